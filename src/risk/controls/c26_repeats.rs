//! C26: so many automatic entries in one direction that a person has to look.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// A strategy that came to its limit enters nothing more, in any instrument or direction, until it is reset; orders that
/// reduce its position pass. `limit` and `observed`: entries in a row, this one included.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let limit = facts.strategy_limits.max_repeat_executions;
    if limit == 0 {
        return unconfigured(0, 26);
    }
    if (facts.repeats < limit && !facts.is_repeat_tripped) || facts.is_reducing() {
        return Ok(());
    }
    deny(DenialReason::RepeatExecution, limit, i128::from(facts.repeats) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn judge(limit: u32, repeats: u32, is_repeat_tripped: bool, held: i64) -> Result<(), Denial> {
        let mut case = Case::new();
        case.strategy_limits.max_repeat_executions = limit;
        case.exposure = exposure(held, 0, 0);
        case.with(|facts| super::check(&Facts { repeats, is_repeat_tripped, ..*facts }))
    }

    #[test]
    fn the_limit_and_one_more() {
        assert_eq!(judge(5, 0, false, 0), Ok(()));
        assert_eq!(judge(5, 3, false, 0), Ok(()));
        assert_eq!(judge(5, 4, false, 0), Ok(()));
        assert_eq!(judge(5, 5, false, 0), denied(DenialReason::RepeatExecution, 5, 6));
        assert_eq!(judge(5, 6, false, 0), denied(DenialReason::RepeatExecution, 5, 7));
        assert_eq!(judge(0, 0, false, 0), denied(DenialReason::LimitNotConfigured, 0, 26));
        let most = i128::from(u32::MAX);
        assert_eq!(judge(u32::MAX, u32::MAX, false, 0), denied(DenialReason::RepeatExecution, most, most + 1));
    }

    #[test]
    fn it_is_sticky_and_reducing_orders_pass() {
        assert_eq!(judge(5, 0, true, 0), denied(DenialReason::RepeatExecution, 5, 1));
        // The order buys 10.
        assert_eq!(judge(5, 5, true, -10), Ok(()));
        assert_eq!(judge(5, 5, true, -9), denied(DenialReason::RepeatExecution, 5, 6));
    }
}
