//! The wall clock against the loop's: whether somebody, or something, has set it.

use crate::pipeline::clock::Clock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A larger step between two looks is a jump. Clocks that are only made to run faster or slower step by less.
const JUMP_NS: i128 = 100_000_000;
/// Looks that took longer than this say nothing: the machine did something else meanwhile.
const LOOK_NS_MAX: u64 = 10_000_000;
/// How often the venues' clocks are measured.
pub const MEASURE_EVERY: Duration = Duration::from_secs(10);

/// Finds jumps of the wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallWatch {
    /// The wall clock less the loop's, at the last look.
    difference_ns: Option<i128>,
}

impl WallWatch {
    /// Looks at both clocks; answers by how much the wall clock has jumped since the last look.
    pub fn look(&mut self, clock: &Clock) -> Option<i64> {
        let Clock::Wall { .. } = clock else { return None };
        let before = clock.now();
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let took_ns = clock.now().since(before);
        self.observe(before.nanos(), i128::try_from(wall.as_nanos()).unwrap_or(i128::MAX), took_ns)
    }

    fn observe(&mut self, loop_ns: u64, wall_ns: i128, took_ns: u64) -> Option<i64> {
        if took_ns > LOOK_NS_MAX {
            return None;
        }
        let difference_ns = wall_ns - i128::from(loop_ns);
        let by_ns = difference_ns - self.difference_ns.replace(difference_ns)?;
        (by_ns.abs() > JUMP_NS).then(|| i64::try_from(by_ns).unwrap_or(if by_ns < 0 { i64::MIN } else { i64::MAX }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_once_and_a_drift_never() {
        let mut watch = WallWatch::default();
        let (second, jump) = (1_000_000_000, 2_000_000_000);
        assert_eq!(watch.observe(0, 500, 0), None, "the first look has nothing to compare with");
        assert_eq!(watch.observe(second, 1_000_000_500 + JUMP_NS, 0), None, "as much as a slewed clock could");
        assert_eq!(watch.observe(second, 1_000_000_501 + 2 * JUMP_NS + jump, LOOK_NS_MAX + 1), None);
        assert_eq!(watch.observe(second, 1_000_000_500 + JUMP_NS + jump, 0), Some(2_000_000_000));
        assert_eq!(watch.observe(second, 1_000_000_500 + JUMP_NS + jump, 0), None);
        assert_eq!(watch.observe(second, 500, 0), Some(-3_100_000_000));
    }
}
