//! C10: the same order again and again within a short time.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// The same is: of this strategy, in instrument, side, type, prices and quantity. Orders that were denied do not count.
/// `limit` and `observed`: how many may come within the window, and the how-manieth this one is.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (window, limit) = (facts.strategy_limits.duplicate_window_ns, facts.strategy_limits.max_duplicates);
    if window == 0 || limit == 0 {
        return unconfigured(0, 10);
    }
    let count = facts.recent.count(&facts.intent.order, facts.now, window);
    if count < limit {
        return Ok(());
    }
    deny(DenialReason::DuplicateOrder, limit, i128::from(count) + 1)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::Recent;
    use crate::types::{Price, Timestamp};

    const MS: u64 = 1_000_000;

    /// The same order was approved this long ago, in milliseconds.
    fn judge(ages_ms: &[u64], limit: u32, window_ns: u64) -> Result<(), Denial> {
        let mut case = Case::new();
        case.strategy_limits.max_duplicates = limit;
        case.strategy_limits.duplicate_window_ns = window_ns;
        let mut recent = Recent::NONE;
        for age in ages_ms {
            recent.remember(&case.intent.order, Timestamp::from_nanos(NOW.nanos() - age * MS));
        }
        case.with(|facts| super::check(&Facts { recent: &recent, ..*facts }))
    }

    #[test]
    fn within_the_window_and_after_it() {
        assert_eq!(judge(&[], 1, 500 * MS), Ok(()));
        assert_eq!(judge(&[100], 1, 500 * MS), denied(DenialReason::DuplicateOrder, 1, 2));
        assert_eq!(judge(&[500], 1, 500 * MS), denied(DenialReason::DuplicateOrder, 1, 2));
        assert_eq!(judge(&[501], 1, 500 * MS), Ok(()));
        assert_eq!(judge(&[501, 499, 0], 3, 500 * MS), Ok(()));
        assert_eq!(judge(&[500, 499, 0], 3, 500 * MS), denied(DenialReason::DuplicateOrder, 3, 4));
        assert_eq!(judge(&[100], 0, 500 * MS), denied(DenialReason::LimitNotConfigured, 0, 10));
        assert_eq!(judge(&[100], 1, 0), denied(DenialReason::LimitNotConfigured, 0, 10));
        assert_eq!(judge(&[100, 0], u32::MAX, u64::MAX), Ok(()));
        assert_eq!(judge(&[900, 0], 2, u64::MAX), denied(DenialReason::DuplicateOrder, 2, 3));
    }

    #[test]
    fn another_order_is_not_the_same() {
        let mut case = Case::new();
        case.strategy_limits.max_duplicates = 1;
        case.strategy_limits.duplicate_window_ns = 500 * MS;
        let mut recent = Recent::NONE;
        recent.remember(&case.intent.order, NOW);
        case.intent.order.price = Price(9_999);
        assert_eq!(case.with(|facts| super::check(&Facts { recent: &recent, ..*facts })), Ok(()));
    }
}
