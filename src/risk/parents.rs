//! Larger orders and their parts (C28): what the parts of one may still fill and have filled, by our own books. A strategy
//! that loses count of its fills is stopped here.

use super::core::Core;
use super::facts::LargerOrder;
use super::index::Index;
use crate::types::{InstrumentId, Order, Quantity, Side, StrategyId};

/// Larger orders that are remembered; the oldest without open parts makes room for a new one.
const CAPACITY: usize = 4_096;
/// How many old ones are looked at for one that can make room.
const REUSE_TRIES: usize = 16;

/// A larger order: what its first part fixed, and what its parts came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parent {
    /// In what.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// How much all parts together may fill.
    pub quantity: Quantity,
    /// What they have filled.
    pub filled: i128,
    /// What they may still fill.
    pub open: i128,
    pub(super) strategy: u16,
    pub(super) number: u32,
}

/// What is known of the larger order that an order names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParentFacts {
    /// It names none.
    None,
    /// No part of it was seen, and there is room.
    New,
    /// Its parts so far.
    Known(Parent),
    /// Its number is not above the newest of the strategy: its parts were forgotten, or there were none.
    Forgotten,
    /// Every larger order that is remembered has open parts.
    Full,
}

#[derive(Debug)]
pub(super) struct Parents {
    entries: Vec<Parent>,
    /// The entry to make room next, once all are used.
    oldest: usize,
    index: Index<(u32, u64)>,
    /// The largest number of each strategy.
    newest: Vec<u32>,
}

impl Parents {
    pub(super) fn new(strategies: usize) -> Self {
        Self {
            entries: Vec::with_capacity(CAPACITY),
            oldest: 0,
            index: Index::new(CAPACITY),
            newest: vec![0; strategies],
        }
    }

    const fn key(order: &Order) -> (u32, u64) {
        (order.strategy.0 as u32, order.parent as u64)
    }

    fn find(&self, order: &Order) -> Option<usize> {
        self.index.find(Self::key(order)).map(|place| place as usize)
    }

    /// What is known of an order's parent.
    #[inline]
    pub(super) fn facts(&self, order: &Order) -> ParentFacts {
        if order.parent == 0 {
            return ParentFacts::None;
        }
        if let Some(parent) = self.find(order).and_then(|place| self.entries.get(place)) {
            return ParentFacts::Known(*parent);
        }
        if self.newest.get(order.strategy.index()).is_none_or(|&newest| order.parent <= newest) {
            return ParentFacts::Forgotten;
        }
        if self.room().is_some() { ParentFacts::New } else { ParentFacts::Full }
    }

    /// Where a new entry would go.
    fn room(&self) -> Option<usize> {
        if self.entries.len() < CAPACITY {
            return Some(self.entries.len());
        }
        let places = (0..REUSE_TRIES).map(|step| (self.oldest + step) % CAPACITY);
        places.into_iter().find(|&place| self.entries.get(place).is_some_and(|parent| parent.open == 0))
    }

    /// An order was approved: the first part of a larger order fixes what that is.
    pub(super) fn open(&mut self, order: &Order) {
        if order.parent == 0 || self.find(order).is_some() {
            return;
        }
        let Some(place) = self.room() else { return };
        let entry = Parent {
            instrument: order.instrument,
            side: order.side,
            quantity: order.parent_quantity,
            filled: 0,
            open: 0,
            strategy: order.strategy.0,
            number: order.parent,
        };
        if let Some(old) = self.entries.get_mut(place) {
            self.index.remove((u32::from(old.strategy), u64::from(old.number)));
            *old = entry;
            self.oldest = (place + 1) % CAPACITY;
        } else {
            self.entries.push(entry);
        }
        self.index.insert(Self::key(order), u32::try_from(place).unwrap_or(0));
        if let Some(newest) = self.newest.get_mut(order.strategy.index()) {
            *newest = (*newest).max(order.parent);
        }
    }

    /// Those of which a part may still fill.
    pub(super) fn with_open_parts(&self) -> impl Iterator<Item = LargerOrder> {
        self.entries.iter().filter(|parent| parent.open != 0).map(|parent| LargerOrder {
            strategy: StrategyId(parent.strategy),
            number: parent.number,
            instrument: parent.instrument,
            side: parent.side,
            quantity: parent.quantity,
            filled: parent.filled,
        })
    }

    /// Takes in one of an earlier run, before its parts are.
    pub(super) fn restore(&mut self, larger: &LargerOrder) {
        let part = Order {
            strategy: larger.strategy,
            parent: larger.number,
            parent_quantity: larger.quantity,
            instrument: larger.instrument,
            side: larger.side,
            ..Order::default()
        };
        self.open(&part);
        self.with(&part, |parent| parent.filled = larger.filled);
    }

    fn with(&mut self, order: &Order, change: impl FnOnce(&mut Parent)) {
        if order.parent != 0
            && let Some(parent) = self.find(order).and_then(|place| self.entries.get_mut(place))
        {
            change(parent);
        }
    }
}

impl Core {
    /// What a part may still fill went from `before` to `after`.
    #[inline]
    pub(super) fn reserve_of_parent(&mut self, order: &Order, before: Quantity, after: Quantity) {
        self.parents.with(order, |parent| parent.open += i128::from(after.0) - i128::from(before.0));
    }

    /// A part filled.
    #[inline]
    pub(super) fn fill_of_parent(&mut self, order: &Order, quantity: Quantity) {
        self.parents.with(order, |parent| parent.filled += i128::from(quantity.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(strategy: u16, parent: u32) -> Order {
        Order { strategy: StrategyId(strategy), parent, parent_quantity: Quantity(100), ..Order::default() }
    }

    #[test]
    fn what_made_room_is_never_begun_again_and_open_ones_make_none() {
        let mut parents = Parents::new(2);
        assert_eq!(parents.facts(&part(0, 0)), ParentFacts::None);
        assert_eq!(parents.facts(&part(0, 1)), ParentFacts::New);
        for number in 1..=CAPACITY as u32 {
            parents.open(&part(0, number));
        }
        parents.with(&part(0, 1), |parent| parent.open = 5);
        parents.open(&part(1, 7));
        assert!(matches!(parents.facts(&part(0, 1)), ParentFacts::Known(_)), "it has open parts");
        assert_eq!(parents.facts(&part(0, 2)), ParentFacts::Forgotten);
        assert!(matches!(parents.facts(&part(1, 7)), ParentFacts::Known(_)));
        assert_eq!(parents.facts(&part(1, 6)), ParentFacts::Forgotten, "numbers only grow");
        assert_eq!(parents.facts(&part(1, 8)), ParentFacts::New);
        for number in 1..=CAPACITY as u32 {
            parents.with(&part(0, number), |parent| parent.open = 1);
        }
        parents.with(&part(1, 7), |parent| parent.open = 1);
        assert_eq!(parents.facts(&part(1, 8)), ParentFacts::Full);
        assert_eq!(parents.facts(&part(9, 1)), ParentFacts::Forgotten, "of no strategy that is known");
    }
}
