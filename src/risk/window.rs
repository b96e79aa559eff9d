//! Figures of a rolling window, in eight buckets: exact to an eighth of the window, of a fixed size, and cheap to look at.

use crate::types::Timestamp;

const BUCKETS: usize = 8;

/// What was added to each eighth of the window, aligned to multiples of it. The window is the running eighth and the
/// seven before it. Its length comes with each call, as limits may change; figures of an earlier length then count
/// by the instant at which their bucket began.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window<T> {
    /// When each bucket began, and its figures.
    buckets: [(u64, T); BUCKETS],
    /// When the newest bucket began, and how long it lasts: spares a division while it is the running one.
    newest_ns: u64,
    width_ns: u64,
}

impl<T: Copy> Window<T> {
    /// A window in which nothing happened; `nothing` is what a bucket begins with.
    pub(super) const fn new(nothing: T) -> Self {
        Self { buckets: [(0, nothing); BUCKETS], newest_ns: 0, width_ns: 0 }
    }

    /// When the bucket of an instant began.
    #[inline]
    fn start(&self, now: u64, width: u64) -> u64 {
        if width == self.width_ns && now.wrapping_sub(self.newest_ns) < width {
            return self.newest_ns;
        }
        now - now.checked_rem(width).unwrap_or(0)
    }

    /// Adds to the running bucket, which begins with `nothing`.
    pub(super) fn add(&mut self, now: Timestamp, window_ns: u64, nothing: T, add: impl FnOnce(&mut T)) {
        let width = width(window_ns);
        let start = self.start(now.nanos(), width);
        (self.newest_ns, self.width_ns) = (start, width);
        let place = start.checked_div(width).and_then(|number| usize::try_from(number % BUCKETS as u64).ok());
        if let Some((began, figures)) = place.and_then(|place| self.buckets.get_mut(place)) {
            if *began != start {
                (*began, *figures) = (start, nothing);
            }
            add(figures);
        }
    }

    /// The buckets within the window. One that was never added to is as it was made.
    #[inline]
    pub(super) fn iter(&self, now: Timestamp, window_ns: u64) -> impl Iterator<Item = &T> {
        let width = width(window_ns);
        let start = self.start(now.nanos(), width);
        let length = width.saturating_mul(BUCKETS as u64);
        let is_within = move |began: u64| start.saturating_sub(began) < length;
        self.buckets.iter().filter(move |(began, _)| is_within(*began)).map(|(_, figures)| figures)
    }
}

const fn width(window_ns: u64) -> u64 {
    let width = window_ns / BUCKETS as u64;
    if width == 0 { 1 } else { width }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(window: &Window<u64>, now: u64, length: u64) -> u64 {
        window.iter(Timestamp::from_nanos(now), length).sum()
    }

    proptest! {
        #[test]
        fn equals_the_list_of_all_that_was_added(gaps in proptest::collection::vec(0..300u64, 1..120)) {
            let mut window = Window::new(0);
            let mut all = Vec::new();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                let expected: u64 = all.iter().filter(|added| **added / 100 + 8 > now / 100).count() as u64;
                prop_assert_eq!(sum(&window, now, 800), expected);
                window.add(Timestamp::from_nanos(now), 800, 0, |count| *count += 1);
                all.push(now);
            }
        }
    }

    #[test]
    fn edges() {
        let mut window = Window::new(0);
        let mut add = |now| window.add(Timestamp::from_nanos(now), 80, 0, |count| *count += 1);
        add(100);
        add(109);
        assert_eq!([179, 180, 181].map(|now| sum(&window, now, 80)), [2, 0, 0]);
        assert_eq!(sum(&window, 250, 800), 2, "a longer window from now on");
        assert_eq!(sum(&window, 150, 40), 0, "a shorter one");
        assert_eq!(sum(&window, u64::MAX, 80), 0);
        window.add(Timestamp::from_nanos(u64::MAX), 0, 0, |count| *count += 1);
        assert_eq!(sum(&window, u64::MAX, 0), 1);
        assert_eq!(sum(&window, u64::MAX, u64::MAX), 3, "all there was");
    }
}
