//! C25: our share of the venue's own request limits.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// Request weight first, then orders, as the venue counted them last. `limit` and `observed`: what we may use of its
/// limit, and what is used. A limit that the venue does not state cannot be held.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let percent = facts.account_limits.max_budget_percent;
    if percent == 0 {
        return unconfigured(0, 25);
    }
    let [weight, orders] = facts.budget.used(facts.now);
    within(weight, percent)?;
    within(orders, percent)
}

#[inline(always)]
fn within((used, limit): (u32, u32), percent: u32) -> Result<(), Denial> {
    // Two u32 multiplied fit 64 bits.
    let ours = u64::from(limit) * u64::from(percent);
    if limit == 0 || u64::from(used) * 100 < ours { Ok(()) } else { deny(DenialReason::VenueBudget, ours / 100, used) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::Budget;
    use crate::types::Timestamp;

    const SECOND: u64 = 1_000_000_000;

    fn judge(budget: Budget, percent: u32, age_ns: u64) -> Result<(), Denial> {
        let mut case = Case::new();
        case.account_limits.max_budget_percent = percent;
        let received_ns = Timestamp::from_nanos(100 * SECOND);
        let budget = Budget { received_ns, ..budget };
        case.with(|facts| super::check(&Facts { now: received_ns.plus(age_ns), budget: &budget, ..*facts }))
    }

    #[test]
    fn weight_and_orders_at_their_share() {
        let weight = |used| Budget { used_weight: used, weight_limit: 6_000, ..Budget::NONE };
        assert_eq!(judge(weight(0), 80, 0), Ok(()));
        assert_eq!(judge(weight(4_799), 80, 0), Ok(()));
        assert_eq!(judge(weight(4_800), 80, 0), denied(DenialReason::VenueBudget, 4_800, 4_800));
        assert_eq!(judge(weight(4_801), 80, 0), denied(DenialReason::VenueBudget, 4_800, 4_801));
        let orders = |used| Budget { used_orders: used, order_limit: 50, ..Budget::NONE };
        assert_eq!(judge(orders(39), 80, 0), Ok(()));
        assert_eq!(judge(orders(40), 80, 0), denied(DenialReason::VenueBudget, 40, 40));
        let most = i128::from(u32::MAX);
        let huge = Budget { used_weight: u32::MAX, weight_limit: u32::MAX, ..Budget::NONE };
        assert_eq!(judge(huge, 100, 0), denied(DenialReason::VenueBudget, most, most));
        assert_eq!(judge(weight(0), 0, 0), denied(DenialReason::LimitNotConfigured, 0, 25));
    }

    #[test]
    fn counts_age_out_with_their_window() {
        let weight = Budget { used_weight: 10, weight_limit: 10, ..Budget::NONE };
        assert!(judge(weight, 80, 60 * SECOND - 1).is_err());
        assert_eq!(judge(weight, 80, 60 * SECOND), Ok(()));
        let orders = Budget { used_orders: 10, order_limit: 10, ..Budget::NONE };
        assert!(judge(orders, 80, 10 * SECOND - 1).is_err());
        assert_eq!(judge(orders, 80, 10 * SECOND), Ok(()));
    }

    #[test]
    fn a_limit_that_the_venue_does_not_state_passes() {
        assert_eq!(judge(Budget { used_weight: 9_999, used_orders: 9_999, ..Budget::NONE }, 80, 0), Ok(()));
        assert_eq!(judge(Budget::NONE, 80, 0), Ok(()));
    }
}
