//! The token bucket behind the message rate limit.

use super::limits::RateLimit;
use crate::types::Timestamp;

/// Level units in one message: with one unit a nanosecond for each message a second, refilling is exact.
const MESSAGE: u64 = 1_000_000_000;

/// Tokens left of a [`RateLimit`]. It starts full, and the passing of time fills it up to the burst.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    level: u64,
    refilled_ns: Timestamp,
}

impl TokenBucket {
    /// More than any burst; the first refill cuts it to the limit's.
    pub(super) const FULL: Self = Self { level: u64::MAX, refilled_ns: Timestamp::UNKNOWN };

    /// Adds what the time since the last refill brings. An instant before that brings nothing.
    pub(super) fn refill(&mut self, limit: &RateLimit, now: Timestamp) {
        let brought = now.since(self.refilled_ns).saturating_mul(u64::from(limit.per_second));
        let full = u64::from(limit.burst).saturating_mul(MESSAGE);
        self.level = self.level.saturating_add(brought).min(full);
        self.refilled_ns = self.refilled_ns.max(now);
    }

    /// Whole messages left, reserve included.
    pub(super) const fn left(&self) -> u64 {
        self.level / MESSAGE
    }

    /// Counts one message sent at `now`. A cancel passes an empty bucket too: it cannot take more than there is.
    pub(super) fn take(&mut self, limit: &RateLimit, now: Timestamp) {
        self.refill(limit, now);
        self.level = self.level.saturating_sub(MESSAGE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMIT: RateLimit = RateLimit { per_second: 7, burst: 5, cancel_reserve: 2 };

    proptest! {
        #[test]
        fn no_window_sends_more_than_the_bucket(gaps in proptest::collection::vec(0..400_000_000u64, 1..200)) {
            let mut bucket = TokenBucket::FULL;
            let mut now = Timestamp::from_nanos(1);
            let mut sent = Vec::new();
            for gap in gaps {
                now = now.plus(gap);
                bucket.refill(&LIMIT, now);
                if bucket.left() > u64::from(LIMIT.cancel_reserve) {
                    bucket.take(&LIMIT, now);
                    sent.push(now);
                }
            }
            for (first, from) in sent.iter().enumerate() {
                for (last, to) in sent.iter().enumerate().skip(first) {
                    let allowed = u128::from(LIMIT.burst - LIMIT.cancel_reserve)
                        + u128::from(to.since(*from)) * u128::from(LIMIT.per_second) / 1_000_000_000;
                    prop_assert!((last - first + 1) as u128 <= allowed);
                }
            }
        }
    }

    #[test]
    fn clocks_that_step_back_or_far_ahead_do_no_harm() {
        let mut bucket = TokenBucket::FULL;
        bucket.refill(&LIMIT, Timestamp::from_nanos(10_000_000_000));
        for _ in 0..9 {
            bucket.take(&LIMIT, Timestamp::from_nanos(10_000_000_000));
        }
        bucket.refill(&LIMIT, Timestamp::from_nanos(1));
        assert_eq!(bucket.left(), 0);
        bucket.refill(&LIMIT, Timestamp::from_nanos(10_142_857_143));
        assert_eq!(bucket.left(), 1);
        bucket.refill(&LIMIT, Timestamp::from_nanos(u64::MAX));
        assert_eq!(bucket.left(), 5);
        bucket.refill(&RateLimit { burst: u32::MAX, per_second: u32::MAX, ..LIMIT }, Timestamp::from_nanos(u64::MAX));
        assert_eq!(bucket.left(), 5);
    }
}
