//! The public book of a symbol: what the depth stream builds, and nothing of our own orders.

use super::recording::Level;
use super::text::decimal;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The most levels that one depth event made by the exchange itself carries.
pub(super) const EVENT_LEVELS_MAX: usize = 1_000;

/// Changed levels, as a depth event carries them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub bids: Vec<Level>,
    pub asks: Vec<Level>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct PublicBook {
    bids: BTreeMap<Reverse<i64>, i64>,
    asks: BTreeMap<i64, i64>,
}

impl PublicBook {
    pub(super) fn new(bids: &[Level], asks: &[Level]) -> Self {
        let mut book = Self::default();
        book.apply(bids, asks);
        book
    }

    pub(super) fn apply(&mut self, bids: &[Level], asks: &[Level]) {
        for &(price, quantity) in bids {
            if quantity > 0 {
                self.bids.insert(Reverse(price), quantity);
            } else {
                self.bids.remove(&Reverse(price));
            }
        }
        for &(price, quantity) in asks {
            if quantity > 0 {
                self.asks.insert(price, quantity);
            } else {
                self.asks.remove(&price);
            }
        }
    }

    /// Bids and asks, best first.
    pub(super) fn bids(&self) -> impl Iterator<Item = Level> {
        self.bids.iter().map(|(price, quantity)| (price.0, *quantity))
    }

    pub(super) fn asks(&self) -> impl Iterator<Item = Level> {
        self.asks.iter().map(|(price, quantity)| (*price, *quantity))
    }

    /// The depth events that make this book the other one. What is to go goes first, so that the book is never crossed
    /// on the way.
    pub(super) fn changes_to(&self, other: &Self) -> Vec<Changes> {
        let gone_bids =
            self.bids.keys().filter(|price| !other.bids.contains_key(price)).map(|price| (true, (price.0, 0)));
        let gone_asks =
            self.asks.keys().filter(|price| !other.asks.contains_key(price)).map(|price| (false, (*price, 0)));
        let new_bids = other.bids.iter().filter(|(price, quantity)| self.bids.get(price) != Some(quantity));
        let new_asks = other.asks.iter().filter(|(price, quantity)| self.asks.get(price) != Some(quantity));
        let all: Vec<(bool, Level)> = gone_bids
            .chain(gone_asks)
            .chain(new_bids.map(|(price, quantity)| (true, (price.0, *quantity))))
            .chain(new_asks.map(|(price, quantity)| (false, (*price, *quantity))))
            .collect();
        let split = |part: &[(bool, Level)]| {
            let of = |is_bid| part.iter().filter(|change| change.0 == is_bid).map(|change| change.1).collect();
            Changes { bids: of(true), asks: of(false) }
        };
        all.chunks(EVENT_LEVELS_MAX).map(split).collect()
    }

    /// `{"lastUpdateId":…,"bids":…,"asks":…}` with so many levels a side.
    pub(super) fn snapshot(&self, last_update_id: u64, limit: usize) -> String {
        let mut out = format!("{{\"lastUpdateId\":{last_update_id},\"bids\":");
        write_levels(self.bids().take(limit), &mut out);
        out.push_str(",\"asks\":");
        write_levels(self.asks().take(limit), &mut out);
        out.push('}');
        out
    }
}

/// A depth event.
pub(super) fn depth_event(symbol: &str, event_ms: u64, ids: (u64, u64), bids: &[Level], asks: &[Level]) -> String {
    let mut out = String::with_capacity(120 + 32 * (bids.len() + asks.len()));
    let (first, last) = ids;
    let _ =
        write!(out, "{{\"e\":\"depthUpdate\",\"E\":{event_ms},\"s\":\"{symbol}\",\"U\":{first},\"u\":{last},\"b\":");
    write_levels(bids.iter().copied(), &mut out);
    out.push_str(",\"a\":");
    write_levels(asks.iter().copied(), &mut out);
    out.push('}');
    out
}

fn write_levels(levels: impl Iterator<Item = Level>, out: &mut String) {
    out.push('[');
    for (index, (price, quantity)) in levels.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str("[\"");
        out.push_str(decimal(price).as_str());
        out.push_str("\",\"");
        out.push_str(decimal(quantity).as_str());
        out.push_str("\"]");
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn book() -> impl Strategy<Value = PublicBook> {
        let level = (1..50i64, 1..5i64);
        (prop::collection::vec(level.clone(), 0..40), prop::collection::vec(level, 0..40), 40..60i64).prop_map(
            |(bids, asks, middle)| {
                let bids: Vec<_> = bids.into_iter().map(|(distance, quantity)| (middle - distance, quantity)).collect();
                let asks: Vec<_> = asks.into_iter().map(|(distance, quantity)| (middle + distance, quantity)).collect();
                PublicBook::new(&bids, &asks)
            },
        )
    }

    proptest! {
        /// A client that applies the events of a jump ends with the new book, and is never crossed between levels.
        #[test]
        fn a_jump_is_made_of_ordinary_updates(from in book(), to in book()) {
            let mut client = from.clone();
            for changes in from.changes_to(&to) {
                for level in changes.bids {
                    client.apply(&[level], &[]);
                }
                for level in changes.asks {
                    client.apply(&[], &[level]);
                }
                if let (Some(bid), Some(ask)) = (client.bids().next(), client.asks().next()) {
                    prop_assert!(bid.0 < ask.0);
                }
            }
            prop_assert_eq!(client.snapshot(1, 1_000), to.snapshot(1, 1_000));
        }
    }

    #[test]
    fn events_are_written_as_the_venue_does() {
        assert_eq!(
            depth_event("ABC", 5, (6, 7), &[(1_050_000_000, 0)], &[]),
            r#"{"e":"depthUpdate","E":5,"s":"ABC","U":6,"u":7,"b":[["10.50000000","0.00000000"]],"a":[]}"#
        );
    }
}
