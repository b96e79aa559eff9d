//! C18: the largest position, as it would be if everything open on this side filled.

use super::{Facts, deny, unconfigured};
use crate::risk::exposure::Exposure;
use crate::types::{Denial, DenialReason, Quantity};

/// `limit` and `observed` are quantities: how far long (of a buy) or short (of a sell) it may be and would be. First
/// the strategy's own position, then that of all strategies together. An order that excludes the one whose place it
/// takes counts as far as it goes beyond that one.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    within(facts, facts.exposure, facts.limits.max_position)?;
    within(facts, facts.instrument_exposure, facts.instrument_limits.max_position)
}

#[inline(always)]
fn within(facts: &Facts<'_>, exposure: &Exposure, limit: Quantity) -> Result<(), Denial> {
    let limit = i128::from(limit.0);
    if limit <= 0 {
        return unconfigured(limit, 18);
    }
    let worst = exposure.worst(facts.intent.order.side) + facts.added();
    if worst <= limit {
        return Ok(());
    }
    deny(DenialReason::MaxPosition, limit, worst)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn judge(side: Side, quantity: i64, exposure_of: (i64, i64, i64), limit: i64) -> Result<(), Denial> {
        let mut case = Case::new();
        case.intent.order.side = side;
        case.intent.order.quantity = Quantity(quantity);
        case.exposure = exposure(exposure_of.0, exposure_of.1, exposure_of.2);
        case.limits.max_position = Quantity(limit);
        case.instrument_limits.max_position = Quantity(i64::MAX);
        case.with(super::check)
    }

    #[test]
    fn the_worst_case_counts() {
        assert_eq!(judge(Side::Buy, 4, (90, 5, 0), 100), Ok(()));
        assert_eq!(judge(Side::Buy, 5, (90, 5, 0), 100), Ok(()));
        assert_eq!(judge(Side::Buy, 6, (90, 5, 0), 100), denied(DenialReason::MaxPosition, 100, 101));
        assert_eq!(judge(Side::Buy, 6, (90, 5, 50), 100), denied(DenialReason::MaxPosition, 100, 101));
        assert_eq!(judge(Side::Sell, 190, (90, 5, 0), 100), Ok(()));
        assert_eq!(judge(Side::Sell, 191, (90, 5, 0), 100), denied(DenialReason::MaxPosition, 100, 101));
        assert_eq!(judge(Side::Buy, 1, (0, 0, 0), 0), denied(DenialReason::LimitNotConfigured, 0, 18));
        assert_eq!(judge(Side::Buy, 1, (0, 0, 0), -3), denied(DenialReason::LimitNotConfigured, -3, 18));
        let past = 2 * i128::from(i64::MAX);
        assert_eq!(
            judge(Side::Buy, i64::MAX, (i64::MAX, 0, 0), i64::MAX),
            denied(DenialReason::MaxPosition, i128::from(i64::MAX), past)
        );
        assert_eq!(judge(Side::Buy, 10, (-200, 0, 0), 100), Ok(()), "brings a short position that is over its limit back");
    }

    #[test]
    fn all_strategies_together() {
        let mut case = Case::new();
        case.instrument_exposure = exposure(90, 5, 0);
        case.intent.order.quantity = Quantity(6);
        case.limits.max_position = Quantity(1_000);
        case.instrument_limits.max_position = Quantity(100);
        assert_eq!(case.with(super::check), denied(DenialReason::MaxPosition, 100, 101));
        case.intent.order.quantity = Quantity(5);
        assert_eq!(case.with(super::check), Ok(()));
        case.instrument_limits.max_position = Quantity::ZERO;
        assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 18));
    }
}
