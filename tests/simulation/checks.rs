//! What must hold at every instant, and in the end.

use super::world::{ACCOUNT, ASSETS, LIMITS_MAX_POSITION, ORDERS_MAX, QUANTITY_UNIT, STRATEGIES, SYMBOLS, open_width};
use gannet::exchange::Offline;
use gannet::risk::Risk;
use gannet::types::{AssetId, ClientOrderId, InstrumentId, Money, OrderStatus, StrategyId, VenueId};
use std::collections::{BTreeMap, BTreeSet};

/// One strategy in one instrument.
type Place = (usize, u16);

/// The exchange's own truth, followed fill by fill.
#[derive(Default)]
pub struct Truth {
    orders_seen: usize,
    fills_seen: usize,
    /// Our number of each order, by the exchange's, and its quantity in our units.
    ours: BTreeMap<u64, ClientOrderId>,
    ids: BTreeSet<ClientOrderId>,
    /// What our orders have made of each place, in our units.
    positions: BTreeMap<Place, i64>,
    /// What all orders have made of each instrument, those placed by hand too.
    totals: BTreeMap<usize, i64>,
}

impl Truth {
    /// Takes in what the exchange did since the last time.
    pub fn follow(&mut self, exchange: &Offline) -> Result<(), String> {
        for order in exchange.orders(ACCOUNT, self.orders_seen) {
            if let Some(id) = ClientOrderId::parse(order.client_order_id.as_bytes()) {
                if !self.ids.insert(id) {
                    return Err(format!("order {id} is at the venue twice"));
                }
                self.ours.insert(order.order_id, id);
            }
        }
        self.orders_seen = exchange.order_count();
        for fill in exchange.fills(ACCOUNT, self.fills_seen) {
            let instrument = symbol_index(&fill.symbol);
            let change = fill.quantity / QUANTITY_UNIT * fill.side.sign();
            *self.totals.entry(instrument).or_default() += change;
            if let Some(id) = self.ours.get(&fill.order_id) {
                *self.positions.entry((instrument, id.strategy().0)).or_default() += change;
            }
        }
        self.fills_seen = exchange.fill_count();
        Ok(())
    }

    pub fn fills(&self) -> usize {
        self.fills_seen
    }

    /// The position of every strategy is within what risk reports, and no order was let through that could break a limit.
    pub fn check(&self, exchange: &Offline, risk: &Risk) -> Result<(), String> {
        let mut open: BTreeMap<Place, (i64, i64, usize)> = BTreeMap::new();
        for (symbol, id, left) in exchange.open_quantities(ACCOUNT) {
            let Some(id) = ClientOrderId::parse(id.as_bytes()) else { continue };
            let (buys, sells, count) = open.entry((symbol_index(symbol), id.strategy().0)).or_default();
            let left = left / QUANTITY_UNIT;
            *(if left > 0 { buys } else { sells }) += left;
            *count += 1;
        }
        for strategy in 0..STRATEGIES {
            let mut orders = 0;
            for (instrument, symbol) in SYMBOLS.iter().enumerate() {
                let place = (instrument, strategy);
                let position = self.positions.get(&place).copied().unwrap_or(0);
                let (buys, sells, count) = open.get(&place).copied().unwrap_or_default();
                orders += count;
                let holding = risk.holding(StrategyId(strategy), InstrumentId(instrument as u32)).expect("permitted");
                let (short, long) = (holding.exposure.worst_short(), holding.exposure.worst_long());
                let what = format!("strategy {strategy} in {symbol}");
                if !(short..=long).contains(&i128::from(position)) {
                    return Err(format!("{what}: true position {position} is outside of {short} to {long}"));
                }
                // What works at the venue is reserved too.
                if i128::from(position + buys) > long || i128::from(position + sells) < short {
                    let worst = (position + sells, position + buys);
                    return Err(format!("{what}: true worst cases {worst:?} are outside of {short} to {long}"));
                }
                if position + buys > LIMITS_MAX_POSITION || position + sells < -LIMITS_MAX_POSITION {
                    return Err(format!(
                        "{what}: {position}, {buys} bought and {sells} sold by open orders break the limit"
                    ));
                }
            }
            if orders > ORDERS_MAX as usize {
                return Err(format!("strategy {strategy}: {orders} open orders break the limit"));
            }
        }
        Ok(())
    }

    /// Why the books do not agree yet, if they do not.
    pub fn disagreement(&self, exchange: &Offline, risk: &Risk) -> Option<String> {
        let open: Vec<_> = exchange.open_quantities(ACCOUNT).map(|(_, id, _)| id.to_owned()).collect();
        if !open.is_empty() {
            return Some(format!("open at the venue: {open:?}"));
        }
        let unsettled = |status: OrderStatus| {
            !matches!(
                status,
                OrderStatus::Filled
                    | OrderStatus::Canceled
                    | OrderStatus::Rejected
                    | OrderStatus::Expired
                    | OrderStatus::Denied
            )
        };
        if let Some(record) = risk.orders().iter().find(|record| unsettled(record.status)) {
            return Some(format!("order {} is {:?}", record.order.client_order_id, record.status));
        }
        for (instrument, symbol) in SYMBOLS.iter().enumerate() {
            let exposure = risk.markets()[instrument].exposure;
            let total = self.totals.get(&instrument).copied().unwrap_or(0);
            if open_width(&exposure) != 0 || exposure.booked() != i128::from(total) {
                return Some(format!("{symbol}: {exposure:?}, the venue's {total}"));
            }
        }
        for order in exchange.orders(ACCOUNT, 0) {
            let Some(id) = ClientOrderId::parse(order.client_order_id.as_bytes()) else { continue };
            let ours = risk.orders().get(id).map(|record| record.filled.0);
            if ours != Some(order.executed / QUANTITY_UNIT) {
                return Some(format!("order {id}: filled {ours:?}, the venue's {}", order.executed / QUANTITY_UNIT));
            }
        }
        for (index, asset) in ASSETS.iter().enumerate() {
            let held = exchange.balance(ACCOUNT, asset);
            let theirs = Money::from_scaled(held.free + held.locked, 8).expect("fits");
            let ours = risk.ledger(VenueId(0)).expect("a venue").balance(AssetId(index as u16));
            if ours != theirs {
                return Some(format!("balance of {asset}: {ours}, the venue's {theirs}"));
            }
        }
        None
    }
}

fn symbol_index(symbol: &str) -> usize {
    SYMBOLS.iter().position(|known| *known == symbol).expect("a known symbol")
}
