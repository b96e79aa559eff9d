//! C24: the message rate of the strategy, of the instrument and of the venue.

use super::{Facts, Rate, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// `limit` and `observed` are messages: what orders may use of the burst, and what would be in use with this one.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    within(&facts.strategy_rate)?;
    within(&facts.instrument_rate)?;
    within(&facts.venue_rate)
}

#[inline(always)]
fn within(rate: &Rate<'_>) -> Result<(), Denial> {
    if rate.limit.per_second == 0 || rate.limit.burst == 0 {
        return unconfigured(0, 24);
    }
    if rate.left > u64::from(rate.limit.cancel_reserve) { Ok(()) } else { used_up(rate) }
}

#[cold]
fn used_up(rate: &Rate<'_>) -> Result<(), Denial> {
    let burst = i128::from(rate.limit.burst);
    deny(DenialReason::RateLimit, burst - i128::from(rate.limit.cancel_reserve), burst - i128::from(rate.left) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::RateLimit;

    #[test]
    fn the_reserve_is_for_cancels() {
        let mut case = Case::new();
        case.strategy_rate = RateLimit { per_second: 1, burst: 5, cancel_reserve: 2 };
        let mut judge = |left| {
            case.strategy_left = left;
            case.with(super::check)
        };
        assert_eq!(judge(5), Ok(()));
        assert_eq!(judge(3), Ok(()));
        assert_eq!(judge(2), denied(DenialReason::RateLimit, 3, 4));
        assert_eq!(judge(0), denied(DenialReason::RateLimit, 3, 6));
        assert_eq!(judge(u64::MAX), Ok(()));
    }

    #[test]
    fn every_rate_must_be_configured() {
        for (per_second, burst) in [(0, 5), (5, 0), (0, 0)] {
            let mut case = Case::new();
            case.strategy_rate = RateLimit { per_second, burst, cancel_reserve: 0 };
            assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 24));
            let mut case = Case::new();
            case.instrument_rate = RateLimit { per_second, burst, cancel_reserve: 0 };
            assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 24));
            let mut case = Case::new();
            case.venue_rate = RateLimit { per_second, burst, cancel_reserve: 0 };
            assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 24));
        }
        let mut case = Case::new();
        case.instrument_left = 0;
        assert_eq!(case.with(super::check), denied(DenialReason::RateLimit, 100, 101));
        let mut case = Case::new();
        case.venue_left = 0;
        assert_eq!(case.with(super::check), denied(DenialReason::RateLimit, 100, 101));
    }
}
