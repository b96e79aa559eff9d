//! The loop's clock: wall time at start plus a monotonic counter, or virtual time under test.

use crate::types::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Tells the instant. Clones tell the same time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's time stamp counter, anchored to the wall clock once at start: it never steps back or jumps,
    /// whatever happens to the wall clock later.
    Wall {
        /// The calibrated counter.
        counter: quanta::Clock,
        /// Nanoseconds since the epoch at counter value zero.
        offset_ns: u64,
    },
    /// An instant that is set by hand: simulations, backtests, tests.
    Virtual(Arc<AtomicU64>),
}

impl Clock {
    /// The wall clock. Calibrates the counter, which takes some milliseconds: once, at start.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "the one reading of the wall clock there is")]
    pub fn wall() -> Self {
        let counter = quanta::Clock::new();
        let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let wall_ns = u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX);
        let offset_ns = wall_ns.saturating_sub(counter.delta_as_nanos(0, counter.raw()));
        Self::Wall { counter, offset_ns }
    }

    /// A virtual clock that stands at `start` until [`Clock::set`].
    #[must_use]
    pub fn virtual_at(start: Timestamp) -> Self {
        Self::Virtual(Arc::new(AtomicU64::new(start.nanos())))
    }

    /// The instant now.
    #[inline]
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Self::Wall { counter, offset_ns } => {
                Timestamp::from_nanos(offset_ns.saturating_add(counter.delta_as_nanos(0, counter.raw())))
            }
            Self::Virtual(nanos) => Timestamp::from_nanos(nanos.load(Ordering::Relaxed)),
        }
    }

    /// Moves a virtual clock to `instant`, never back; the wall clock cannot be set and stays as it is.
    pub fn set(&self, instant: Timestamp) {
        if let Self::Virtual(nanos) = self {
            nanos.fetch_max(instant.nanos(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wall_clock_is_near_the_systems_and_never_goes_back() {
        let clock = Clock::wall();
        let system = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        let system = Timestamp::from_nanos(u64::try_from(system.as_nanos()).expect("before 2554"));
        let ours = clock.now();
        assert!(system.since(ours).max(ours.since(system)) < 1_000_000_000);
        let mut last = ours;
        for _ in 0..10_000 {
            let now = clock.now();
            assert!(now >= last);
            last = now;
        }
    }

    #[test]
    fn a_virtual_clock_moves_only_forward_and_by_hand() {
        let clock = Clock::virtual_at(Timestamp::from_nanos(5));
        let twin = clock.clone();
        twin.set(Timestamp::from_nanos(9));
        twin.set(Timestamp::from_nanos(7));
        assert_eq!(clock.now(), Timestamp::from_nanos(9));
    }
}
