//! What a shard came to, as one number: its books, bars, orders, positions and timers.
//!
//! It is worked out where it is written down, every 65,536 inputs, between two cycles of a hot thread: so it looks at the
//! levels of a book that strategies look at, not at all 16,000, and takes a few µs.

use super::desk::Desk;
use super::market::Market;
use crate::book::Bar;
use crate::pipeline::digest::Digest;
use crate::types::{Quote, Side};

/// The levels on each side of a book that are looked at, from the touch on. Of those behind there is their number.
const LEVELS: usize = 32;

impl Market {
    pub(super) fn fold(&self, digest: &mut Digest) {
        let Quote { bid, bid_quantity, ask, ask_quantity, exchange_ns, received_ns } = *self.top.quote();
        for number in [bid.0, bid_quantity.0, ask.0, ask_quantity.0] {
            digest.fold(number.cast_unsigned());
        }
        for instant in [exchange_ns, received_ns, self.data_ns] {
            digest.fold(instant.nanos());
        }
        for flag in [self.is_up, self.is_warm, self.is_mark_due, self.is_crossed, self.depth.is_synced()] {
            digest.fold(u64::from(flag));
        }
        digest.fold(self.depth.update_id());
        for side in [Side::Buy, Side::Sell] {
            digest.fold(self.depth.level_count(side) as u64);
            for level in self.depth.levels(side).take(LEVELS) {
                digest.fold(level.price.0.cast_unsigned());
                digest.fold(level.quantity.0.cast_unsigned());
            }
        }
        for series in &self.series {
            digest.fold(series.closed().len() as u64);
            for bar in series.closed().last().into_iter().chain(series.current()) {
                fold_bar(bar, digest);
            }
        }
    }
}

fn fold_bar(bar: &Bar, digest: &mut Digest) {
    for number in [bar.open.0, bar.high.0, bar.low.0, bar.close.0, bar.volume.0] {
        digest.fold(number.cast_unsigned());
    }
    digest.fold(bar.open_ns.nanos());
}

impl Desk {
    pub(super) fn fold(&self, digest: &mut Digest) {
        digest.fold(u64::from(self.id.0));
        digest.fold(self.state as u64);
        digest.fold(u64::from(self.errors_in_row));
        for holding in &self.holdings {
            digest.fold(holding.position.quantity.0.cast_unsigned());
            digest.fold(holding.position.average_price.0.cast_unsigned());
            digest.fold_wide(holding.position.realized.0);
            digest.fold_wide(holding.position.fees.0);
        }
        for order in &self.working {
            digest.fold(order.client_order_id.0);
            digest.fold(order.replaces.0);
            digest.fold(order.bracket.0);
            digest.fold(order.status as u64);
            for number in [order.price.0, order.stop_price.0, order.quantity.0, order.filled.0] {
                digest.fold(number.cast_unsigned());
            }
            digest.fold(u64::from(order.is_cancel_wanted) | u64::from(order.is_replace_wanted) << 1);
        }
        for bracket in self.brackets.iter() {
            digest.fold(bracket.id().0);
            digest.fold(bracket.entered().0.cast_unsigned());
            digest.fold(bracket.exited().0.cast_unsigned());
        }
        for timer in self.timers() {
            digest.fold(timer.nanos());
        }
        let tally = &self.tally;
        for count in [tally.orders_sent, tally.orders_filled, tally.fills, tally.denied, tally.rejected] {
            digest.fold(count);
        }
        digest.fold(self.ids_used());
    }
}
