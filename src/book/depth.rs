//! The depth book of one instrument: price levels with what rests at each.
//!
//! A side is one sorted array that runs from the far end to the touch. Nearly every change is near the touch, so that
//! the search, which gallops from the touch outwards, ends after a few steps on lines that are in the cache, and an
//! insertion or removal moves only the levels nearer the touch. The obvious book, a `BTreeMap`, stays in the tests,
//! where the two are compared after every event, on random streams and on recorded sessions.

use crate::types::{DepthLevel, Price, Quantity, Side};

/// How far a book is in sync with its venue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BookSync {
    /// It is not: no snapshot yet, or an update was lost. What it holds is empty or old.
    #[default]
    Lost,
    /// The levels of a snapshot are arriving; none is visible before the last.
    Loading,
    /// It is.
    Synced,
}

/// One price level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Its price.
    pub price: Price,
    /// What rests there, always positive.
    pub quantity: Quantity,
}

/// One side of the book.
#[derive(Debug)]
struct Ladder {
    side: Side,
    /// From the far end to the touch; the other way round while a snapshot loads, as snapshots come from the touch.
    levels: Vec<Level>,
    is_loading: bool,
    dropped: u64,
}

impl Ladder {
    fn new(side: Side) -> Self {
        Self { side, levels: Vec::with_capacity(DepthBook::LEVELS_MAX), is_loading: false, dropped: 0 }
    }

    /// Whether `left` is farther from the touch than `right`.
    #[inline]
    fn is_farther(&self, left: Price, right: Price) -> bool {
        match self.side {
            Side::Buy => left < right,
            Side::Sell => left > right,
        }
    }

    fn begin_loading(&mut self) {
        self.levels.clear();
        self.is_loading = true;
        self.dropped = 0;
    }

    fn end_loading(&mut self) {
        if self.is_loading {
            self.levels.reverse();
            self.is_loading = false;
        }
    }

    #[inline]
    fn best(&self) -> Option<&Level> {
        self.visible().last()
    }

    #[inline]
    fn visible(&self) -> &[Level] {
        if self.is_loading { &[] } else { &self.levels }
    }

    /// Where `price` stands or would stand.
    #[inline]
    fn locate(&self, price: Price) -> usize {
        if self.is_loading {
            return self.levels.partition_point(|level| self.is_farther(price, level.price));
        }
        // Gallops from the touch outwards, then halves the span it ended in.
        let mut upper = self.levels.len();
        let mut step = 1;
        while let Some(probe) = upper.checked_sub(step)
            && self.levels.get(probe).is_some_and(|level| !self.is_farther(level.price, price))
        {
            upper = probe;
            step *= 2;
        }
        let lower = upper.saturating_sub(step);
        let span = self.levels.get(lower..upper).unwrap_or_default();
        lower + span.partition_point(|level| self.is_farther(level.price, price))
    }

    #[inline]
    fn set(&mut self, price: Price, quantity: Quantity) {
        let at = self.locate(price);
        match self.levels.get_mut(at) {
            Some(level) if level.price == price => {
                if quantity > Quantity::ZERO {
                    level.quantity = quantity;
                } else {
                    self.levels.remove(at);
                }
            }
            _ if quantity > Quantity::ZERO => self.insert(at, Level { price, quantity }),
            // A level is taken away that is not there: usual after a snapshot, which shows fewer than there are.
            _ => {}
        }
    }

    fn insert(&mut self, at: usize, level: Level) {
        if self.levels.len() < DepthBook::LEVELS_MAX {
            self.levels.insert(at, level);
            return;
        }
        // Full: the farthest level makes room, which may be this one.
        self.dropped += 1;
        if self.is_loading {
            if at < self.levels.len() {
                self.levels.pop();
                self.levels.insert(at, level);
            }
        } else if let Some(nearer) = at.checked_sub(1) {
            self.levels.copy_within(1..at, 0);
            if let Some(slot) = self.levels.get_mut(nearer) {
                *slot = level;
            }
        }
    }
}

/// The depth book of one instrument. Allocates at construction only (256 KiB).
#[derive(Debug)]
pub struct DepthBook {
    bids: Ladder,
    asks: Ladder,
    sync: BookSync,
    is_whole: bool,
    update_id: u64,
}

impl Default for DepthBook {
    fn default() -> Self {
        Self::new()
    }
}

impl DepthBook {
    /// The most levels a side holds; recorded books grow to some 5,000. When full, the level farthest from the touch
    /// is dropped and counted in [`DepthBook::dropped_levels`]: the book stays exact from the touch to its farthest
    /// level, and knows nothing beyond. A level dropped once stays unknown until the venue tells it again.
    pub const LEVELS_MAX: usize = 8_192;

    /// An empty book, not in sync.
    #[must_use]
    pub fn new() -> Self {
        Self {
            bids: Ladder::new(Side::Buy),
            asks: Ladder::new(Side::Sell),
            sync: BookSync::Lost,
            is_whole: true,
            update_id: 0,
        }
    }

    /// Empties the book for a snapshot: the levels that follow are its, up to the one applied with `is_last`. Until
    /// then the book reads as empty.
    pub fn begin_snapshot(&mut self, update_id: u64) {
        self.bids.begin_loading();
        self.asks.begin_loading();
        self.sync = BookSync::Loading;
        self.is_whole = false;
        self.update_id = update_id;
    }

    /// Applies a level; with `is_last` its update, or the snapshot, is whole. A quantity of zero (or below: the feed
    /// lets none through) takes the level away. While the book is [`BookSync::Lost`], levels change nothing.
    #[inline]
    pub fn apply(&mut self, side: Side, level: &DepthLevel, is_last: bool) {
        if self.sync == BookSync::Lost {
            return;
        }
        match side {
            Side::Buy => self.bids.set(level.price, level.quantity),
            Side::Sell => self.asks.set(level.price, level.quantity),
        }
        self.is_whole = is_last;
        self.update_id = level.update_id;
        if is_last && self.sync == BookSync::Loading {
            self.bids.end_loading();
            self.asks.end_loading();
            self.sync = BookSync::Synced;
        }
    }

    /// An update was lost: the levels are kept to be looked at, but no longer change, until a snapshot.
    pub fn mark_lost(&mut self) {
        if self.sync == BookSync::Loading {
            self.begin_snapshot(0);
            self.bids.end_loading();
            self.asks.end_loading();
        }
        self.sync = BookSync::Lost;
        self.is_whole = true;
    }

    /// How far it is in sync.
    #[must_use]
    pub fn sync(&self) -> BookSync {
        self.sync
    }

    /// Whether it is in sync and not in the middle of an update.
    #[inline]
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.sync == BookSync::Synced && self.is_whole
    }

    /// Whether the levels of an update are still to come.
    #[inline]
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The venue's id of the newest update applied.
    #[must_use]
    pub fn update_id(&self) -> u64 {
        self.update_id
    }

    /// The best bid.
    #[inline]
    #[must_use]
    pub fn best_bid(&self) -> Option<&Level> {
        self.bids.best()
    }

    /// The best ask.
    #[inline]
    #[must_use]
    pub fn best_ask(&self) -> Option<&Level> {
        self.asks.best()
    }

    /// Whether the best bid is at or above the best ask.
    #[inline]
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(bid), Some(ask)) if bid.price >= ask.price)
    }

    /// The levels of a side (buys: bids) from the touch outwards.
    pub fn levels(&self, side: Side) -> impl ExactSizeIterator<Item = &Level> {
        self.ladder(side).visible().iter().rev()
    }

    /// How many levels a side has.
    #[must_use]
    pub fn level_count(&self, side: Side) -> usize {
        self.ladder(side).visible().len()
    }

    /// What rests on the `count` levels of a side that are nearest the touch.
    #[inline]
    #[must_use]
    pub fn near_quantity(&self, side: Side, count: usize) -> Quantity {
        Quantity(self.levels(side).take(count).fold(0i64, |sum, level| sum.saturating_add(level.quantity.0)))
    }

    /// How many levels were dropped on a side since the last snapshot because it was full.
    #[must_use]
    pub fn dropped_levels(&self, side: Side) -> u64 {
        self.ladder(side).dropped
    }

    fn ladder(&self, side: Side) -> &Ladder {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// The obvious book.
    #[derive(Default)]
    struct Naive {
        sides: [BTreeMap<i64, i64>; 2],
    }

    impl Naive {
        fn set(&mut self, side: Side, price: i64, quantity: i64) {
            let levels = &mut self.sides[side.index()];
            if quantity > 0 {
                levels.insert(price, quantity);
            } else {
                levels.remove(&price);
            }
            if levels.len() > DepthBook::LEVELS_MAX {
                let farthest = match side {
                    Side::Buy => levels.first_key_value(),
                    Side::Sell => levels.last_key_value(),
                };
                let farthest = *farthest.expect("not empty").0;
                levels.remove(&farthest);
            }
        }

        fn levels(&self, side: Side) -> Vec<Level> {
            let level = |(price, quantity): (&i64, &i64)| Level { price: Price(*price), quantity: Quantity(*quantity) };
            match side {
                Side::Buy => self.sides[0].iter().rev().map(level).collect(),
                Side::Sell => self.sides[1].iter().map(level).collect(),
            }
        }
    }

    fn level(price: i64, quantity: i64) -> DepthLevel {
        DepthLevel { price: Price(price), quantity: Quantity(quantity), update_id: 1, ..DepthLevel::default() }
    }

    fn assert_equal(book: &DepthBook, naive: &Naive) {
        for side in [Side::Buy, Side::Sell] {
            assert_eq!(book.levels(side).copied().collect::<Vec<_>>(), naive.levels(side));
            let near = naive.levels(side).iter().take(3).map(|level| level.quantity.0).sum();
            assert_eq!(book.near_quantity(side, 3), Quantity(near));
        }
        assert_eq!(book.best_bid().copied(), naive.levels(Side::Buy).first().copied());
        assert_eq!(book.best_ask().copied(), naive.levels(Side::Sell).first().copied());
    }

    fn side() -> impl Strategy<Value = Side> {
        prop_oneof![Just(Side::Buy), Just(Side::Sell)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn the_book_equals_the_obvious_one_after_every_event(
            snapshot in prop::collection::vec((side(), 0..200i64, 0..5i64), 1..150),
            updates in prop::collection::vec((side(), 0..200i64, 0..5i64), 0..300),
        ) {
            let (mut book, mut naive) = (DepthBook::new(), Naive::default());
            book.begin_snapshot(1);
            for (index, &(side, price, quantity)) in snapshot.iter().enumerate() {
                prop_assert_eq!(book.best_bid(), None);
                book.apply(side, &level(price, quantity), index + 1 == snapshot.len());
                naive.set(side, price, quantity);
            }
            assert_equal(&book, &naive);
            for (side, price, quantity) in updates {
                book.apply(side, &level(price, quantity), true);
                naive.set(side, price, quantity);
                assert_equal(&book, &naive);
            }
        }
    }

    #[test]
    fn a_full_side_drops_the_farthest_level() {
        const MAX: i64 = DepthBook::LEVELS_MAX as i64;
        for side in [Side::Buy, Side::Sell] {
            let (mut book, mut naive) = (DepthBook::new(), Naive::default());
            let mut set = |book: &mut DepthBook, price: i64, is_last: bool| {
                book.apply(side, &level(price, 7), is_last);
                naive.set(side, price, 7);
                if is_last {
                    assert_equal(book, &naive);
                }
            };
            book.begin_snapshot(1);
            // Both ways round, so that the snapshot overflows at the near and at the far end.
            for step in 0..MAX {
                set(&mut book, 100_000 + 2 * step, false);
            }
            set(&mut book, 99_999, false);
            set(&mut book, 200_000, true);
            assert_eq!(book.dropped_levels(side), 2);
            for price in [100_001, 99_997, 116_000, 200_001, 100_000] {
                set(&mut book, price, true);
            }
            assert_eq!(book.level_count(side), DepthBook::LEVELS_MAX);
            book.begin_snapshot(2);
            assert_eq!(book.dropped_levels(side), 0);
        }
    }

    #[test]
    fn sync_is_told_truly() {
        let mut book = DepthBook::new();
        book.apply(Side::Buy, &level(10, 1), true);
        assert_eq!((book.sync(), book.level_count(Side::Buy)), (BookSync::Lost, 0));
        book.begin_snapshot(5);
        book.apply(Side::Buy, &level(10, 1), false);
        assert_eq!((book.sync(), book.is_synced()), (BookSync::Loading, false));
        book.apply(Side::Sell, &level(11, 1), true);
        assert!(book.is_synced() && !book.is_crossed());
        book.apply(Side::Buy, &level(11, 1), false);
        assert!(!book.is_synced() && book.is_crossed());
        book.apply(Side::Sell, &level(11, 0), true);
        assert!(book.is_synced() && !book.is_crossed());
        book.mark_lost();
        book.apply(Side::Buy, &level(12, 1), true);
        assert_eq!((book.is_synced(), book.best_bid().map(|best| best.price)), (false, Some(Price(11))));
        book.begin_snapshot(6);
        book.apply(Side::Buy, &level(9, 1), false);
        book.mark_lost();
        assert_eq!((book.sync(), book.level_count(Side::Buy)), (BookSync::Lost, 0));
    }
}
