//! Figures of a rolling window, in eight buckets: of a fixed size, and nearly always one comparison to look at.

use crate::types::{Binary, Money, Timestamp};

const BUCKETS: usize = 8;

/// What is summed up over a window: a count, an amount, a range.
pub(super) trait Figures: Copy {
    /// What a time in which nothing happened adds.
    const NONE: Self;

    /// Both together.
    fn join(self, other: Self) -> Self;
}

impl Figures for u32 {
    const NONE: Self = 0;

    fn join(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl Figures for Money {
    const NONE: Self = Self::ZERO;

    fn join(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

/// What was added to each seventh of the window, aligned to multiples of it: the running seventh and the seven before it,
/// so that nothing within the window is left out, and nothing counts that is older than the window and a seventh. Its
/// length comes with each call, as limits may change; figures of an earlier length then count by the instant at which
/// their bucket began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window<T> {
    /// When each bucket began, and its figures.
    buckets: [(u64, T); BUCKETS],
    /// All buckets within the window together, as of the running bucket: that of the newest addition.
    total: T,
    /// When the running bucket began, and how long it lasts.
    newest_ns: u64,
    width_ns: u64,
}

impl<T: Figures + Binary> Binary for Window<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.buckets.put(out);
        self.total.put(out);
        self.newest_ns.put(out);
        self.width_ns.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        Some(Self {
            buckets: Binary::take(from)?,
            total: Binary::take(from)?,
            newest_ns: Binary::take(from)?,
            width_ns: Binary::take(from)?,
        })
    }
}

impl<T: Figures> Window<T> {
    /// A window in which nothing happened.
    pub(super) const NONE: Self = Self { buckets: [(0, T::NONE); BUCKETS], total: T::NONE, newest_ns: 0, width_ns: 0 };

    /// Whether the bucket of the newest addition is still the running one.
    #[inline]
    const fn is_running(&self, now: u64, width: u64) -> bool {
        width == self.width_ns && now.wrapping_sub(self.newest_ns) < width
    }

    /// Adds to the running bucket.
    pub(super) fn add(&mut self, now: Timestamp, window_ns: u64, figures: T) {
        let (now, width) = (now.nanos(), width(window_ns));
        let is_running = self.is_running(now, width);
        if !is_running {
            (self.newest_ns, self.width_ns) = (now - now % width, width);
        }
        let start = self.newest_ns;
        let place = usize::try_from(start / width % BUCKETS as u64).unwrap_or(0);
        if let Some((began, bucket)) = self.buckets.get_mut(place) {
            let before = if *began == start { *bucket } else { T::NONE };
            (*began, *bucket) = (start, before.join(figures));
        }
        self.total = if is_running { self.total.join(figures) } else { self.sum(start, width) };
    }

    /// Everything within the window together.
    #[inline(always)]
    pub(super) fn total(&self, now: Timestamp, window_ns: u64) -> T {
        if self.width_ns == 0 {
            return T::NONE;
        }
        let (now, width) = (now.nanos(), width(window_ns));
        if self.is_running(now, width) { self.total } else { self.sum(now - now % width, width) }
    }

    /// The buckets within the window whose running bucket begins at `start`. One that was never added to is as it was made.
    #[inline(never)]
    fn sum(&self, start: u64, width: u64) -> T {
        let length = width.saturating_mul(BUCKETS as u64);
        let within = self.buckets.iter().filter(|(began, _)| start.saturating_sub(*began) < length);
        within.fold(T::NONE, |sum, (_, figures)| sum.join(*figures))
    }
}

/// How long a bucket lasts; at least 1 ns.
const fn width(window_ns: u64) -> u64 {
    (window_ns / 7).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn total(window: &Window<u32>, now: u64, length: u64) -> u32 {
        window.total(Timestamp::from_nanos(now), length)
    }

    proptest! {
        #[test]
        fn equals_the_list_of_all_that_was_added(
            gaps in proptest::collection::vec((0..300u64, any::<bool>()), 1..120),
        ) {
            let mut window = Window::NONE;
            let mut all: Vec<u64> = Vec::new();
            let mut now = 0;
            for (gap, is_added) in gaps {
                now += gap;
                if is_added {
                    window.add(Timestamp::from_nanos(now), 699, 1);
                    all.push(now);
                }
                let count = |is_within: &dyn Fn(u64) -> bool| all.iter().filter(|at| is_within(**at)).count() as u32;
                let found = total(&window, now, 699);
                prop_assert_eq!(found, count(&|at| at / 100 + 8 > now / 100));
                prop_assert!(found >= count(&|at| now - at <= 699), "nothing within the window is left out");
                prop_assert!(found <= count(&|at| now - at < 800), "nothing much older counts");
            }
        }
    }

    #[test]
    fn edges() {
        let mut window = Window::NONE;
        let mut add = |now| window.add(Timestamp::from_nanos(now), 69, 1);
        add(100);
        add(109);
        assert_eq!([179, 180, 181].map(|now| total(&window, now, 69)), [2, 0, 0]);
        assert_eq!(total(&window, 250, 699), 2, "a longer window from now on");
        assert_eq!(total(&window, 150, 34), 0, "a shorter one");
        assert_eq!(total(&window, u64::MAX, 69), 0);
        window.add(Timestamp::from_nanos(u64::MAX), 0, 1);
        assert_eq!(total(&window, u64::MAX, 0), 1);
        assert_eq!(total(&window, u64::MAX, u64::MAX), 3, "all there was");
    }
}
