//! Where our own orders rest: by instrument and side, sorted by price, so that no new order meets one of them (C29).

use super::core::Core;
use super::limits::SelfTradePolicy;
use super::order_table::OrderRecord;
use crate::types::{InstrumentId, Order, OrderStatus, OrderType, Price, Side, StrategyId, TimeInForce};

/// Orders on one side of one instrument. An order of ours that would not fit is denied.
const CAPACITY_MAX: usize = 4_096;
/// Room on each side that only orders that are not ours to deny may use.
const SPARE: usize = 64;
/// Orders in the way of one new order that are canceled for it; the next try cancels further ones.
const CANCELED_MAX: usize = 64;

/// One side: the best price at the end, so that orders near the touch move little.
#[derive(Debug)]
struct Rows {
    rows: Vec<(Price, u32)>,
    /// Orders that found no room: while there are any, nothing is known to be free of them.
    overflown: u32,
}

/// The own resting orders of every instrument: all strategies', and those of the account that are not ours.
#[derive(Debug)]
pub(super) struct OwnBook {
    sides: Vec<[Rows; 2]>,
    capacity: usize,
}

/// A number that is larger where the price is better for the other side.
const fn key(side: Side, price: Price) -> i64 {
    match side {
        Side::Buy => price.0,
        Side::Sell => price.0.saturating_neg(),
    }
}

impl Rows {
    /// Where a price belongs: behind its equals.
    fn place(&self, side: Side, price: Price) -> usize {
        self.rows.partition_point(|&(other, _)| key(side, other) <= key(side, price))
    }
}

impl OwnBook {
    pub(super) fn new(instruments: usize, orders: usize) -> Self {
        let capacity = orders.min(CAPACITY_MAX) + SPARE;
        let rows = || Rows { rows: Vec::with_capacity(capacity), overflown: 0 };
        Self { sides: (0..instruments).map(|_| [rows(), rows()]).collect(), capacity }
    }

    fn rows(&self, instrument: InstrumentId, side: Side) -> Option<&Rows> {
        self.sides.get(instrument.index())?.get(side.index())
    }

    fn rows_mut(&mut self, instrument: InstrumentId, side: Side) -> Option<&mut Rows> {
        self.sides.get_mut(instrument.index())?.get_mut(side.index())
    }

    /// The best price of our own on this side; as good as can be while not all of them fit.
    #[inline]
    pub(super) fn best(&self, instrument: InstrumentId, side: Side) -> Option<Price> {
        let rows = self.rows(instrument, side)?;
        if rows.overflown > 0 {
            return Some(if side == Side::Buy { Price(i64::MAX) } else { Price::ZERO });
        }
        rows.rows.last().map(|&(price, _)| price)
    }

    /// Whether one more order of ours fits.
    pub(super) fn has_room(&self, instrument: InstrumentId, side: Side) -> bool {
        self.rows(instrument, side).is_some_and(|rows| rows.rows.len() + SPARE < self.capacity)
    }

    /// How many of ours fit on a side.
    pub(super) const fn room(&self) -> usize {
        self.capacity - SPARE
    }

    fn insert(&mut self, order: &Order, slot: u32) {
        let capacity = self.capacity;
        let Some(rows) = self.rows_mut(order.instrument, order.side) else { return };
        if rows.rows.len() < capacity {
            let place = rows.place(order.side, order.price);
            rows.rows.insert(place, (order.price, slot));
        } else {
            rows.overflown = rows.overflown.saturating_add(1);
        }
    }

    fn remove(&mut self, order: &Order, slot: u32) {
        let Some(rows) = self.rows_mut(order.instrument, order.side) else { return };
        let end = rows.place(order.side, order.price);
        let equals = rows.rows.get(..end).unwrap_or_default().iter().rev();
        let behind = equals.take_while(|(price, _)| *price == order.price).position(|&(_, other)| other == slot);
        match behind.and_then(|behind| end.checked_sub(behind + 1)) {
            Some(place) => drop(rows.rows.remove(place)),
            None => rows.overflown = rows.overflown.saturating_sub(1),
        }
    }

    /// The order `depth` places behind the best one, if an order of the other side at this price would meet it.
    fn in_the_way(&self, instrument: InstrumentId, side: Side, price: Price, depth: usize) -> Option<u32> {
        let rows = self.rows(instrument, side)?;
        let &(own, slot) = rows.rows.get(rows.rows.len().checked_sub(depth + 1)?)?;
        (key(side, own) >= key(side, price)).then_some(slot)
    }
}

/// Whether an order may rest in the venue's book at its price, now or when it arrives there. A stop order does once it was
/// triggered, of which its first fill is the proof. What must fill at once does not; but where its fate is not proven it
/// may still arrive.
fn may_rest(record: &OrderRecord) -> bool {
    let order = &record.order;
    let is_there = match order.order_type {
        OrderType::Limit => match order.time_in_force {
            TimeInForce::GoodTillCanceled | TimeInForce::Day => true,
            TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill => record.status == OrderStatus::Unknown,
        },
        OrderType::StopLimit => record.filled.0 > 0,
        OrderType::Market | OrderType::Stop => false,
    };
    is_there && record.status.is_open()
}

impl Core {
    /// Keeps an order where it may rest, or no longer.
    pub(super) fn keep_own(&mut self, slot: u32) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        let rests = may_rest(record);
        if rests == std::mem::replace(&mut record.is_in_own_book, rests) {
            return;
        }
        if rests {
            self.own_book.insert(&record.order, slot);
        } else {
            self.own_book.remove(&record.order, slot);
        }
    }

    /// Where the policy says so, cancels our own orders that a denied order would have met at this price; those that are
    /// not ours to cancel stay.
    pub(super) fn make_way(&mut self, order: &Order, price: Price) {
        let venue = self.books.market(order.instrument).map(|market| market.instrument.venue);
        if venue.is_none_or(|venue| self.limits.account(venue).self_trade != SelfTradePolicy::CancelOld) {
            return;
        }
        for depth in 0..CANCELED_MAX {
            let slot = self.own_book.in_the_way(order.instrument, order.side.opposite(), price, depth);
            let Some(slot) = slot else { return };
            if self.orders.at(slot).is_some_and(|record| record.order.strategy != StrategyId::NONE) {
                self.force_cancel(slot);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Quantity;
    use proptest::prelude::*;

    fn order(side: Side, price: i64) -> Order {
        Order { side, price: Price(price), quantity: Quantity(1), instrument: InstrumentId(0), ..Order::default() }
    }

    proptest! {
        #[test]
        fn best_and_order_equal_a_sorted_list(steps in proptest::collection::vec((any::<bool>(), 1..20i64, 0..40u32), 1..200)) {
            let mut book = OwnBook::new(1, 100);
            let mut lists: [Vec<(i64, u32)>; 2] = [Vec::new(), Vec::new()];
            for (is_buy, price, slot) in steps {
                let side = if is_buy { Side::Buy } else { Side::Sell };
                let list = &mut lists[side.index()];
                if let Some(known) = list.iter().position(|&(_, other)| other == slot) {
                    let (price, _) = list.remove(known);
                    book.remove(&order(side, price), slot);
                } else {
                    list.push((price, slot));
                    book.insert(&order(side, price), slot);
                }
                let best = list.iter().map(|&(price, _)| key(side, Price(price))).max();
                prop_assert_eq!(book.best(InstrumentId(0), side).map(|price| key(side, price)), best);
                let met = (0..).map_while(|depth| book.in_the_way(InstrumentId(0), side, Price(10), depth)).count();
                prop_assert_eq!(met, list.iter().filter(|&&(price, _)| key(side, Price(price)) >= key(side, Price(10))).count());
            }
        }
    }

    #[test]
    fn while_not_all_fit_every_price_is_in_the_way() {
        let mut book = OwnBook::new(1, 1);
        assert!(book.has_room(InstrumentId(0), Side::Buy));
        for slot in 0..65 {
            book.insert(&order(Side::Buy, 10), slot);
        }
        assert!(!book.has_room(InstrumentId(0), Side::Buy));
        assert_eq!(book.best(InstrumentId(0), Side::Buy), Some(Price(10)));
        book.insert(&order(Side::Buy, 11), 65);
        assert_eq!(book.best(InstrumentId(0), Side::Buy), Some(Price(i64::MAX)));
        book.remove(&order(Side::Buy, 11), 65);
        assert_eq!(book.best(InstrumentId(0), Side::Buy), Some(Price(10)));
    }
}
