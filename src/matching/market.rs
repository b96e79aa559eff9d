//! One instrument: its recorded book, our orders in it, and the money they move.

use super::side::{BookSide, First, Rank};
use super::stops::Stops;
use super::{
    AccountId, Ended, Fill, Ledger, NewOrder, OpenOrder, OrderId, Refusal, Report, SelfTrade, Size, UNIT, amount,
};
use crate::types::{AssetId, LiquiditySide, OrderType, Price, Quantity, Side, TimeInForce};
use std::collections::BTreeMap;

/// Fee rates in parts per million of what is received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fees {
    /// Of an order that rested.
    pub maker_ppm: u32,
    /// Of an order that took.
    pub taker_ppm: u32,
}

/// The market of one instrument.
#[derive(Debug)]
pub struct Market {
    base: AssetId,
    quote: AssetId,
    lot: Quantity,
    fees: Fees,
    bids: BookSide,
    asks: BookSide,
    orders: BTreeMap<OrderId, OpenOrder>,
    stops: Stops,
    touch: Touch,
    last: Option<Price>,
}

/// The newest recorded top of book.
#[derive(Clone, Copy, Debug, Default)]
struct Touch {
    update_id: u64,
    bid: Price,
    ask: Price,
}

impl Market {
    /// An empty market of `base` against `quote`, whose quantities are multiples of `lot` (at least one unit).
    #[must_use]
    pub fn new(base: AssetId, quote: AssetId, lot: Quantity, fees: Fees) -> Self {
        Self {
            base,
            quote,
            lot: Quantity(lot.0.max(1)),
            fees,
            bids: BookSide::default(),
            asks: BookSide::default(),
            orders: BTreeMap::new(),
            stops: Stops::default(),
            touch: Touch::default(),
            last: None,
        }
    }

    /// The price of the newest recorded trade.
    #[must_use]
    pub const fn last(&self) -> Option<Price> {
        self.last
    }

    /// The order, as long as it is open.
    #[must_use]
    pub fn order(&self, order: OrderId) -> Option<&OpenOrder> {
        self.orders.get(&order)
    }

    /// Open orders, by id.
    pub fn orders(&self) -> impl Iterator<Item = &OpenOrder> {
        self.orders.values()
    }

    /// Takes an order: what it does at once is added to `reports`, what is left of it rests. Answers its quantity in
    /// the base asset.
    ///
    /// # Errors
    /// Why it is refused; then nothing has changed.
    pub fn place(
        &mut self,
        ledger: &mut Ledger,
        new: &NewOrder,
        reports: &mut Vec<Report>,
    ) -> Result<Quantity, Refusal> {
        match new.trigger {
            Some(trigger) if self.last.is_some_and(|last| trigger.is_met(last)) => Err(Refusal::WouldTrigger),
            Some(trigger) => {
                let order = self.lock_for_stop(ledger, new, trigger.price())?;
                self.orders.insert(new.id, order);
                self.stops.add(trigger, *new);
                Ok(order.remaining)
            }
            None => self.work(ledger, new, reports),
        }
    }

    /// What a stop order locks while it waits.
    fn lock_for_stop(&self, ledger: &mut Ledger, new: &NewOrder, trigger: Price) -> Result<OpenOrder, Refusal> {
        let limit = (new.order_type == OrderType::Limit).then_some(new.price);
        let price = limit.unwrap_or(trigger);
        let Size::Base(quantity) = new.size else { return Err(Refusal::Overflow) };
        if price.0 <= 0 || trigger.0 <= 0 || quantity.0 <= 0 {
            return Err(Refusal::Overflow);
        }
        let locked = match new.side {
            Side::Sell => quantity.0,
            Side::Buy => amount(price, quantity).ok_or(Refusal::Overflow)?,
        };
        if !ledger.lock(new.account, self.paid_asset(new.side), locked) {
            return Err(Refusal::InsufficientBalance);
        }
        let (id, account, side) = (new.id, new.account, new.side);
        Ok(OpenOrder { id, account, side, limit, remaining: quantity, locked })
    }

    /// An order that works at once.
    fn work(&mut self, ledger: &mut Ledger, new: &NewOrder, reports: &mut Vec<Report>) -> Result<Quantity, Refusal> {
        let limit = (new.order_type == OrderType::Limit).then_some(new.price);
        if limit.is_some_and(|price| price.0 <= 0) {
            return Err(Refusal::Overflow);
        }
        let quantity = match new.size {
            Size::Base(quantity) => quantity.0,
            Size::Quote(budget) => self.quantity_for(new, budget).ok_or(Refusal::BelowOneLot)?,
        };
        if quantity <= 0 {
            return Err(Refusal::Overflow);
        }
        if new.is_post_only && self.takeable(new, limit, quantity)?.0 > 0 {
            return Err(Refusal::WouldTake);
        }
        let locked = match (new.side, limit) {
            (Side::Sell, _) => quantity,
            (Side::Buy, Some(price)) => amount(price, Quantity(quantity)).ok_or(Refusal::Overflow)?,
            (Side::Buy, None) => self.takeable(new, None, quantity)?.1,
        };
        if !ledger.lock(new.account, self.paid_asset(new.side), locked) {
            return Err(Refusal::InsufficientBalance);
        }
        let order = OpenOrder {
            id: new.id,
            account: new.account,
            side: new.side,
            limit,
            remaining: Quantity(quantity),
            locked,
        };
        self.orders.insert(new.id, order);
        let fills_whole =
            new.time_in_force != TimeInForce::FillOrKill || self.takeable(new, limit, quantity)?.0 >= quantity;
        let why = if fills_whole { self.take(ledger, new, reports) } else { Some(Ended::Unfilled) };
        let Some(order) = self.orders.get(&new.id).copied() else { return Ok(Quantity(quantity)) };
        let rests = limit.is_some() && new.time_in_force == TimeInForce::GoodTillCanceled;
        match (why, order.limit) {
            (None, Some(price)) if rests => {
                let rank = Rank::new(new.side, price);
                self.side_mut(new.side).join(rank, new.id, new.account, order.remaining.0);
            }
            (why, _) => self.end(ledger, new.id, why.unwrap_or(Ended::Unfilled), reports),
        }
        Ok(Quantity(quantity))
    }

    /// Takes an open order out and frees what was locked for it; `None` where there is none of this id.
    pub fn cancel(&mut self, ledger: &mut Ledger, order: OrderId) -> Option<OpenOrder> {
        let order = self.orders.remove(&order)?;
        let was_waiting = self.stops.remove(order.id);
        if !was_waiting && let Some(price) = order.limit {
            self.side_mut(order.side).leave(Rank::new(order.side, price), order.id);
        }
        let is_unlocked = ledger.unlock(order.account, self.paid_asset(order.side), order.locked);
        debug_assert!(is_unlocked, "what an open order locks is locked in the ledger");
        Some(order)
    }

    /// A recorded level: `quantity` rests at `price` now, as of `update_id`. Prices at or inside the newest quote are
    /// left to the quote where that is newer (depth is recorded up to 100 ms later).
    pub fn level(
        &mut self,
        ledger: &mut Ledger,
        update_id: u64,
        side: Side,
        price: Price,
        quantity: Quantity,
        reports: &mut Vec<Report>,
    ) {
        let touch = if side == Side::Buy { self.touch.bid } else { self.touch.ask };
        let rank = Rank::new(side, price);
        if update_id < self.touch.update_id && rank <= Rank::new(side, touch) {
            return;
        }
        self.side_mut(side).update(rank, quantity.0, true);
        self.cross(ledger, side, rank, reports);
    }

    /// The recorded top of book as of `update_id`: nothing better is there any more. An empty side has quantity zero.
    pub fn quote(
        &mut self,
        ledger: &mut Ledger,
        update_id: u64,
        bid: (Price, Quantity),
        ask: (Price, Quantity),
        reports: &mut Vec<Report>,
    ) {
        if update_id < self.touch.update_id {
            return;
        }
        self.touch = Touch { update_id, bid: bid.0, ask: ask.0 };
        // Both sides are stated before either is matched: a book in between was never seen by anybody.
        for (side, (price, quantity)) in [(Side::Buy, bid), (Side::Sell, ask)] {
            let levels = self.side_mut(side);
            if quantity.0 > 0 {
                let rank = Rank::new(side, price);
                levels.remove_better(rank);
                levels.update(rank, quantity.0, false);
            } else {
                levels.remove_better(Rank::WORST);
            }
        }
        self.cross(ledger, Side::Buy, Rank::new(Side::Buy, bid.0), reports);
        self.cross(ledger, Side::Sell, Rank::new(Side::Sell, ask.0), reports);
    }

    /// A recorded trade: it fills our orders that it went through, then moves the queue at its price, then triggers stop
    /// orders, in the order in which they came.
    pub fn trade(
        &mut self,
        ledger: &mut Ledger,
        aggressor: Side,
        price: Price,
        quantity: Quantity,
        reports: &mut Vec<Report>,
    ) {
        let mut left = quantity.0;
        for side in [Side::Buy, Side::Sell] {
            for (rank, queued) in self.side(side).ours_better_than(Rank::new(side, price)) {
                let fill = queued.remaining.min(left);
                if fill > 0 {
                    left -= fill;
                    self.fill_resting(ledger, rank, queued.order, fill, reports);
                }
            }
        }
        let side = aggressor.opposite();
        let rank = Rank::new(side, price);
        for (order, fill) in self.side_mut(side).trade(rank, left) {
            self.fill_resting(ledger, rank, order, fill, reports);
        }
        self.last = Some(price);
        for stop in self.stops.take_met(price) {
            self.trigger(ledger, &stop, reports);
        }
    }

    /// A stop order comes in: with what it had locked, and for a market buy with what else is free.
    fn trigger(&mut self, ledger: &mut Ledger, stop: &NewOrder, reports: &mut Vec<Report>) {
        let Some(waiting) = self.orders.remove(&stop.id) else { return };
        let is_unlocked = ledger.unlock(waiting.account, self.paid_asset(waiting.side), waiting.locked);
        debug_assert!(is_unlocked, "what a stop order locks is locked in the ledger");
        reports.push(Report::Triggered(stop.id));
        if self.work(ledger, stop, reports).is_err() {
            reports.push(Report::Ended { order: stop.id, why: Ended::Unfilled });
        }
    }

    /// Matches an incoming order with what it meets. `Some` where it ends early.
    fn take(&mut self, ledger: &mut Ledger, new: &NewOrder, reports: &mut Vec<Report>) -> Option<Ended> {
        let opposite = new.side.opposite();
        let limit = self.limit_rank(new);
        while let Some(taker) = self.orders.get(&new.id).copied() {
            match self.side(opposite).first(limit)? {
                First::Recorded(rank, available) => {
                    let quantity = available.min(taker.remaining.0);
                    self.side_mut(opposite).take(rank, quantity);
                    self.fill(ledger, new.id, rank.price(), quantity, LiquiditySide::Taker, reports);
                }
                First::Ours(_, maker) if maker.account == taker.account && new.self_trade != SelfTrade::Allowed => {
                    if new.self_trade != SelfTrade::ExpireTaker {
                        self.end(ledger, maker.order, Ended::SelfTrade, reports);
                    }
                    if new.self_trade != SelfTrade::ExpireMaker {
                        return Some(Ended::SelfTrade);
                    }
                }
                First::Ours(rank, maker) => {
                    let quantity = maker.remaining.min(taker.remaining.0);
                    self.fill_resting(ledger, rank, maker.order, quantity, reports);
                    self.fill(ledger, new.id, rank.price(), quantity, LiquiditySide::Taker, reports);
                }
            }
        }
        None
    }

    /// Fills our resting orders that a level of the other side now crosses.
    fn cross(&mut self, ledger: &mut Ledger, side: Side, rank: Rank, reports: &mut Vec<Report>) {
        let opposite = side.opposite();
        loop {
            let available = self.side(side).available(rank);
            let Some((our_rank, queued)) = self.side(opposite).best_of_ours(Rank::new(opposite, rank.price())) else {
                return;
            };
            let fill = queued.remaining.min(available);
            if fill <= 0 {
                return;
            }
            self.side_mut(side).take(rank, fill);
            self.fill_resting(ledger, our_rank, queued.order, fill, reports);
        }
    }

    fn fill_resting(
        &mut self,
        ledger: &mut Ledger,
        rank: Rank,
        order: OrderId,
        quantity: i64,
        reports: &mut Vec<Report>,
    ) {
        let Some(side) = self.orders.get(&order).map(|order| order.side) else { return };
        self.side_mut(side).fill(rank, order, quantity);
        self.fill(ledger, order, rank.price(), quantity, LiquiditySide::Maker, reports);
    }

    /// Books a fill: pays from what is locked, receives less the fee, frees what a better price saved.
    fn fill(
        &mut self,
        ledger: &mut Ledger,
        id: OrderId,
        price: Price,
        quantity: i64,
        liquidity: LiquiditySide,
        reports: &mut Vec<Report>,
    ) {
        let Some(order) = self.orders.get(&id).copied() else { return };
        // It fits: a limit order's own amount did, and a market order's was summed before it was taken.
        let quote_amount = amount(price, Quantity(quantity)).unwrap_or(i64::MAX);
        let (paid, received) =
            if order.side == Side::Buy { (quote_amount, quantity) } else { (quantity, quote_amount) };
        let rate = if liquidity == LiquiditySide::Maker { self.fees.maker_ppm } else { self.fees.taker_ppm };
        let fee = i64::try_from(i128::from(received) * i128::from(rate) / 1_000_000).unwrap_or(received);
        let fee_asset = if order.side == Side::Buy { self.base } else { self.quote };
        let remaining = Quantity(order.remaining.0 - quantity);
        let locked = match (order.side, order.limit) {
            _ if remaining.0 == 0 => 0,
            (Side::Sell, _) => remaining.0,
            (Side::Buy, Some(limit)) => amount(limit, remaining).unwrap_or(0),
            (Side::Buy, None) => order.locked - paid,
        };
        let is_booked = ledger.pay(order.account, self.paid_asset(order.side), paid)
            && ledger.unlock(order.account, self.paid_asset(order.side), order.locked - paid - locked)
            && ledger.receive(order.account, fee_asset, received, fee);
        debug_assert!(is_booked, "a fill never costs more than its order has locked");
        reports.push(Report::Fill(Fill {
            order: id,
            price,
            quantity: Quantity(quantity),
            amount: quote_amount,
            fee,
            fee_asset,
            liquidity,
        }));
        if remaining.0 == 0 {
            self.orders.remove(&id);
        } else if let Some(order) = self.orders.get_mut(&id) {
            order.remaining = remaining;
            order.locked = locked;
        }
    }

    fn end(&mut self, ledger: &mut Ledger, order: OrderId, why: Ended, reports: &mut Vec<Report>) {
        if self.cancel(ledger, order).is_some() {
            reports.push(Report::Ended { order, why });
        }
    }

    /// How much of `quantity` could be taken at once, and what that amounts to.
    fn takeable(&self, new: &NewOrder, limit: Option<Price>, quantity: i64) -> Result<(i64, i64), Refusal> {
        let opposite = new.side.opposite();
        let limit = limit.map_or(Rank::WORST, |price| Rank::new(opposite, price));
        let (mut taken, mut cost) = (0i64, 0i64);
        for (price, available) in self.side(opposite).takeable(limit, avoided(new)) {
            let part = available.min(quantity - taken);
            let part_cost = amount(price, Quantity(part)).ok_or(Refusal::Overflow)?;
            cost = cost.checked_add(part_cost).ok_or(Refusal::Overflow)?;
            taken += part;
            if taken == quantity {
                break;
            }
        }
        Ok((taken, cost))
    }

    /// The whole lots that a budget in the quote asset buys or sells at once; `None` for less than one.
    fn quantity_for(&self, new: &NewOrder, budget: i64) -> Option<i64> {
        let mut left = i128::from(budget);
        let mut quantity = 0i128;
        for (price, available) in self.side(new.side.opposite()).takeable(Rank::WORST, avoided(new)) {
            let affordable = left * i128::from(UNIT) / i128::from(price.0.max(1));
            let part = affordable.min(i128::from(available));
            quantity += part;
            left -= (part * i128::from(price.0) + i128::from(UNIT) - 1) / i128::from(UNIT);
            if part < i128::from(available) || left <= 0 {
                break;
            }
        }
        let lots = quantity / i128::from(self.lot.0);
        i64::try_from(lots * i128::from(self.lot.0)).ok().filter(|quantity| *quantity > 0)
    }

    fn limit_rank(&self, new: &NewOrder) -> Rank {
        match new.order_type {
            OrderType::Limit | OrderType::StopLimit => Rank::new(new.side.opposite(), new.price),
            OrderType::Market | OrderType::Stop => Rank::WORST,
        }
    }

    fn paid_asset(&self, side: Side) -> AssetId {
        if side == Side::Buy { self.quote } else { self.base }
    }

    fn side(&self, side: Side) -> &BookSide {
        if side == Side::Buy { &self.bids } else { &self.asks }
    }

    fn side_mut(&mut self, side: Side) -> &mut BookSide {
        if side == Side::Buy { &mut self.bids } else { &mut self.asks }
    }
}

/// Whose resting orders an order does not trade with.
fn avoided(new: &NewOrder) -> Option<AccountId> {
    (new.self_trade != SelfTrade::Allowed).then_some(new.account)
}
