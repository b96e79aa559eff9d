//! Strategies that want anything: orders of every type, replaces and cancels, at random.

use super::dice::Dice;
use gannet::types::{
    CancelIntent, ClientOrderId, InstrumentId, MarketStamp, Order, OrderIntent, OrderStatus, OrderType, OrderUpdate,
    Price, Quantity, Side, StrategyId, TimeInForce, Timestamp,
};
use std::collections::BTreeMap;

/// The epoch of all orders.
const EPOCH: u32 = 1;
/// Whether orders take the place of others. Not before the gateway sends them as such.
const REPLACES: bool = true;
/// Working orders that one trader keeps track of.
const KNOWN_MAX: usize = 64;

/// What a trader sees of one instrument: best bid and ask, in ticks.
#[derive(Clone, Copy, Debug)]
pub struct Top {
    pub bid: i64,
    pub ask: i64,
}

/// What a trader wants.
pub enum Wish {
    Order(Box<OrderIntent>),
    Cancel(CancelIntent),
}

pub struct Trader {
    strategy: StrategyId,
    dice: Dice,
    sequence: u64,
    /// Orders that may work, with what they were.
    working: BTreeMap<ClientOrderId, Order>,
    /// One wish in so many steps.
    pace: u64,
}

impl Trader {
    pub fn new(strategy: StrategyId, seed: u64) -> Self {
        let mut dice = Dice::new(seed ^ (u64::from(strategy.0) << 32));
        let pace = 1 + dice.below(12);
        Self { strategy, dice, sequence: 0, working: BTreeMap::new(), pace }
    }

    /// Takes in what became of an order.
    pub fn learn(&mut self, update: &OrderUpdate) {
        let id = update.client_order_id;
        if matches!(
            update.status,
            OrderStatus::Filled
                | OrderStatus::Canceled
                | OrderStatus::Rejected
                | OrderStatus::Expired
                | OrderStatus::Denied
        ) {
            self.working.remove(&id);
        }
    }

    /// What is wanted in this step, if anything.
    pub fn wish(&mut self, tops: &[Top], now: Timestamp) -> Option<Wish> {
        if !self.dice.once_in(self.pace) {
            return None;
        }
        let known: Vec<Order> = self.working.values().copied().collect();
        let chosen = (!known.is_empty()).then(|| known[self.dice.below(known.len() as u64) as usize]);
        match (self.dice.below(10), chosen) {
            (0..3, Some(order)) => Some(self.cancel(&order, now)),
            (3..5, Some(order)) if REPLACES => Some(self.order(tops, Some(&order), now)),
            _ if known.len() >= KNOWN_MAX => chosen.map(|order| self.cancel(&order, now)),
            _ => Some(self.order(tops, None, now)),
        }
    }

    fn cancel(&self, order: &Order, now: Timestamp) -> Wish {
        Wish::Cancel(CancelIntent {
            client_order_id: order.client_order_id,
            instrument: order.instrument,
            strategy: self.strategy,
            decided_ns: now,
        })
    }

    fn order(&mut self, tops: &[Top], replaced: Option<&Order>, now: Timestamp) -> Wish {
        let dice = &mut self.dice;
        let instrument =
            replaced.map_or_else(|| InstrumentId(dice.below(tops.len() as u64) as u32), |old| old.instrument);
        let side = replaced.map_or_else(|| if dice.once_in(2) { Side::Buy } else { Side::Sell }, |old| old.side);
        let Top { bid, ask } = tops[instrument.index()];
        // From well inside the other side to well behind ours.
        let away = dice.between(-10, 40);
        let price = if side == Side::Buy { bid - away } else { ask + away };
        let beyond = dice.between(3, 25);
        let stop_price = if side == Side::Buy { ask + beyond } else { bid - beyond };
        let (order_type, time_in_force, is_post_only) = match dice.below(12) {
            0 => (OrderType::Market, TimeInForce::GoodTillCanceled, false),
            1 => (OrderType::Stop, TimeInForce::GoodTillCanceled, false),
            2 => (OrderType::StopLimit, TimeInForce::GoodTillCanceled, false),
            3 => (OrderType::Limit, TimeInForce::ImmediateOrCancel, false),
            4 => (OrderType::Limit, TimeInForce::FillOrKill, false),
            5 | 6 => (OrderType::Limit, TimeInForce::GoodTillCanceled, true),
            _ => (OrderType::Limit, TimeInForce::GoodTillCanceled, false),
        };
        self.sequence += 1;
        let order = Order {
            client_order_id: ClientOrderId::new(EPOCH, self.strategy, self.sequence).expect("in range"),
            replaces: replaced.map_or(ClientOrderId::NONE, |old| old.client_order_id),
            price: if matches!(order_type, OrderType::Limit | OrderType::StopLimit) {
                Price(price)
            } else {
                Price::ZERO
            },
            stop_price: if matches!(order_type, OrderType::Stop | OrderType::StopLimit) {
                Price(stop_price)
            } else {
                Price::ZERO
            },
            quantity: Quantity(dice.between(100, 2_000) * 100),
            instrument,
            strategy: self.strategy,
            side,
            order_type,
            time_in_force,
            is_post_only,
            is_reduce_only: dice.once_in(10),
            ..Order::default()
        };
        self.working.insert(order.client_order_id, order);
        let stamp = MarketStamp {
            bid: Price(bid),
            ask: Price(ask),
            data_ns: now,
            near_depth: Quantity(10_000_000),
            is_synced: true,
        };
        Wish::Order(Box::new(OrderIntent { order, stamp, received_ns: now, decided_ns: now }))
    }
}
