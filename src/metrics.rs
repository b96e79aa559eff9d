//! Counters that stages write and displays read.
//!
//! Each stage owns one block, shared by `Arc`. A counter has one writer, so that adding is a plain load and store.

use crossbeam::utils::CachePadded;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count with one writer and any number of readers.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds `count`. Only the stage that owns the block may.
    #[inline]
    pub fn add(&self, count: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(count), Ordering::Relaxed);
    }

    /// Adds one. Only the stage that owns the block may.
    #[inline]
    pub fn increment(&self) {
        self.add(1);
    }

    /// The count.
    #[inline]
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Defines a stage's block of counters with a list of `(name, value)` for displays.
macro_rules! counters {
    ($(#[$meta:meta])* $block:ident { $($(#[$doc:meta])* $name:ident),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Default)]
        pub struct $block {
            $($(#[$doc])* pub $name: Counter,)+
        }

        impl $block {
            /// Every counter with its name, in order of definition.
            #[must_use]
            pub fn list(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name.get())),+]
            }
        }
    };
}

counters! {
    /// What the feed did.
    FeedCounters {
        /// Frames received.
        frames,
        /// Quotes decoded.
        quotes,
        /// Trades decoded.
        trades,
        /// Depth updates decoded.
        depth_updates,
        /// Frames that the schema scanner left to the general decoder.
        slow_frames,
        /// Frames that could not be decoded.
        bad_frames,
        /// Frames of symbols nobody asked for.
        unknown_symbols,
        /// Quotes with the bid at or above the ask.
        crossed_quotes,
        /// Quotes and trades older than one already taken.
        old_events,
        /// Depth updates that did not follow the one before.
        depth_gaps,
        /// Snapshots asked for.
        snapshots_requested,
        /// Snapshots applied.
        snapshots_applied,
        /// Quotes replaced by a newer one because a shard's lane was full.
        conflated_quotes,
        /// Trades summed because a shard's lane was full.
        conflated_trades,
        /// Depth updates left out because a shard's lane was full; each asks for a resync.
        lost_depth_updates,
        /// Connections made.
        connects,
        /// Connections lost.
        disconnects,
        /// Notices dropped because their lane was full.
        notices_dropped,
    }
}

counters! {
    /// What a shard did.
    ShardCounters {
        /// Market messages taken.
        market_events,
        /// Handler calls.
        handler_calls,
        /// Order intents sent to risk.
        orders,
        /// Cancel intents sent to risk.
        cancels,
        /// Intents denied in the shard.
        denied,
        /// Handlers that answered an error.
        handler_errors,
        /// Handlers that panicked.
        panics,
        /// Handlers over their time budget.
        slow_handlers,
        /// Quotes or books that were crossed.
        crossed_books,
        /// Notices dropped because their lane was full.
        notices_dropped,
    }
}

counters! {
    /// What risk did.
    RiskCounters {
        /// Order intents taken.
        intents,
        /// Orders approved.
        approved,
        /// Orders denied.
        denied,
        /// Cancels passed on.
        cancels,
        /// Fills booked.
        fills,
        /// Fills seen before, not booked again.
        duplicate_fills,
        /// Fills booked after their order was terminal.
        late_fills,
        /// Breaks between our books and a venue's.
        breaks,
        /// Orders whose fate became unproven.
        unknown_orders,
        /// Reports of orders that are not ours.
        external_reports,
        /// Notices dropped because their lane was full.
        notices_dropped,
    }
}

counters! {
    /// What a gateway did.
    GatewayCounters {
        /// Orders written to the socket.
        orders_sent,
        /// Cancels written to the socket.
        cancels_sent,
        /// Queries written to the socket.
        queries_sent,
        /// Frames received.
        frames,
        /// Execution reports passed on.
        reports,
        /// Orders that the venue refused.
        rejects,
        /// Frames that could not be decoded.
        bad_frames,
        /// Orders that could not be written.
        not_sent,
        /// Requests unanswered in time.
        timeouts,
        /// Connections made.
        connects,
        /// Connections lost.
        disconnects,
        /// Latency samples dropped because their lane was full.
        samples_dropped,
        /// Notices dropped because their lane was full.
        notices_dropped,
    }
}

/// A block of counters as stages hold it: on cache lines of its own.
pub type Shared<T> = std::sync::Arc<CachePadded<T>>;
