//! C11: the order was decided from fresh market data and a book in sync.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// `limit` and `observed` are ages in nanoseconds. Data of an unknown instant is as old as can be.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let limit = i128::from(facts.instrument_limits.max_data_age_ns);
    if limit <= 0 {
        return unconfigured(limit, 11);
    }
    let stamp = &facts.intent.stamp;
    let age = facts.now.since(stamp.data_ns);
    if i128::from(age) > limit {
        return deny(DenialReason::StaleMarketData, limit, age);
    }
    if !stamp.is_synced {
        return deny(DenialReason::BookNotSynced, 1, 0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::Timestamp;

    #[test]
    fn age_and_sync() {
        let mut case = Case::new();
        let mut judge = |age: u64, limit: u64, is_synced: bool| {
            case.instrument_limits.max_data_age_ns = limit;
            case.intent.stamp.data_ns = Timestamp::from_nanos(NOW.nanos() - age);
            case.intent.stamp.is_synced = is_synced;
            case.with(super::check)
        };
        assert_eq!(judge(99, 100, true), Ok(()));
        assert_eq!(judge(100, 100, true), Ok(()));
        assert_eq!(judge(101, 100, true), denied(DenialReason::StaleMarketData, 100, 101));
        assert_eq!(judge(0, 0, true), denied(DenialReason::LimitNotConfigured, 0, 11));
        assert_eq!(judge(0, 100, false), denied(DenialReason::BookNotSynced, 1, 0));
        assert_eq!(judge(101, 100, false), denied(DenialReason::StaleMarketData, 100, 101));
        let now = i128::from(NOW.nanos());
        assert_eq!(judge(NOW.nanos(), 100, true), denied(DenialReason::StaleMarketData, 100, now));
        assert_eq!(judge(NOW.nanos(), u64::MAX, true), Ok(()));
        case.intent.stamp.data_ns = NOW.plus(1_000);
        case.instrument_limits.max_data_age_ns = 1;
        assert_eq!(case.with(super::check), Ok(()), "another observer's clock is a little ahead");
    }
}
