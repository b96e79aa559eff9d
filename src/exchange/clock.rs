//! Recorded time on the wall clock.

use super::config::Speed;
use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since the Unix epoch: the time that requests are judged by.
pub(super) fn wall_ns() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Maps recorded instants to wall ones: the origin of one is the origin of the other, distances are divided by the
/// speed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReplayClock {
    speed: Speed,
    recorded_origin_ns: u64,
    wall_origin_ns: u64,
}

impl ReplayClock {
    pub(super) const fn new(speed: Speed, recorded_origin_ns: u64, wall_origin_ns: u64) -> Self {
        Self { speed, recorded_origin_ns, wall_origin_ns }
    }

    pub(super) const fn is_flat_out(&self) -> bool {
        matches!(self.speed, Speed::Max)
    }

    /// When an instant of the recording is due. Flat out has no due times: what is past keeps its recorded distance,
    /// and what comes is due now.
    pub(super) fn wall(&self, recorded_ns: u64) -> u64 {
        let thousandths = match self.speed {
            Speed::Thousandths(thousandths) => u128::from(thousandths.max(1)),
            Speed::Max => 1_000,
        };
        let scale = |distance: u64| u64::try_from(u128::from(distance) * 1_000 / thousandths).unwrap_or(u64::MAX);
        match recorded_ns.checked_sub(self.recorded_origin_ns) {
            Some(later) => self.wall_origin_ns.saturating_add(scale(later)),
            None => self.wall_origin_ns.saturating_sub(scale(self.recorded_origin_ns - recorded_ns)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_divided_by_the_speed() {
        let clock = ReplayClock::new(Speed::Thousandths(10_000), 1_000, 5_000);
        assert_eq!([1_000, 2_000, 900].map(|recorded| clock.wall(recorded)), [5_000, 5_100, 4_990]);
        let slow = ReplayClock::new(Speed::Thousandths(500), 1_000, 5_000);
        assert_eq!(slow.wall(2_000), 7_000);
    }
}
