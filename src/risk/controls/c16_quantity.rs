//! C16: the largest order, as a quantity and as a share of what rests near the touch and of what is traded in a day.

use super::{BPS, Facts, bps_of, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// `limit` and `observed` are quantities, or basis points of the visible depth or the day's volume, the observed ones
/// rounded up. Where the volume is not known, there is nothing to be a share of.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let quantity = i128::from(facts.intent.order.quantity.0);
    let limit = i128::from(facts.limits.max_order_quantity.0);
    if limit <= 0 {
        return unconfigured(limit, 16);
    }
    if quantity > limit {
        return deny(DenialReason::MaxOrderQuantity, limit, quantity);
    }
    let share = i128::from(facts.instrument_limits.max_depth_share_bps);
    if share <= 0 {
        return unconfigured(share, 16);
    }
    let depth = i128::from(facts.intent.stamp.near_depth.0).max(0);
    if quantity * BPS > depth * share {
        return deny(DenialReason::MaxDepthShare, share, bps_of(quantity, depth));
    }
    let share = i128::from(facts.instrument_limits.max_volume_share_bps);
    if share <= 0 {
        return unconfigured(share, 16);
    }
    let volume = i128::from(facts.day_volume.0).max(0);
    if quantity * BPS > volume * share {
        return deny(DenialReason::MaxVolumeShare, share, bps_of(quantity, volume));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn judge(quantity: i64, limit: i64, depth: i64, share: u32) -> Result<(), Denial> {
        let mut case = Case::new();
        case.intent.order.quantity = Quantity(quantity);
        case.limits.max_order_quantity = Quantity(limit);
        case.intent.stamp.near_depth = Quantity(depth);
        case.instrument_limits.max_depth_share_bps = share;
        case.with(super::check)
    }

    #[test]
    fn quantity() {
        assert_eq!(judge(99, 100, 1_000, 10_000), Ok(()));
        assert_eq!(judge(100, 100, 1_000, 10_000), Ok(()));
        assert_eq!(judge(101, 100, 1_000, 10_000), denied(DenialReason::MaxOrderQuantity, 100, 101));
        assert_eq!(judge(1, 0, 1_000, 10_000), denied(DenialReason::LimitNotConfigured, 0, 16));
        assert_eq!(judge(1, -1, 1_000, 10_000), denied(DenialReason::LimitNotConfigured, -1, 16));
        assert_eq!(judge(i64::MAX, i64::MAX, i64::MAX, u32::MAX), Ok(()));
    }

    #[test]
    fn share_of_depth() {
        assert_eq!(judge(99, 1_000, 1_000, 1_000), Ok(()));
        assert_eq!(judge(100, 1_000, 1_000, 1_000), Ok(()));
        assert_eq!(judge(101, 1_000, 1_000, 1_000), denied(DenialReason::MaxDepthShare, 1_000, 1_010));
        assert_eq!(judge(1, 1_000, 0, 1_000), denied(DenialReason::MaxDepthShare, 1_000, i128::MAX));
        assert_eq!(judge(1, 1_000, -5, 1_000), denied(DenialReason::MaxDepthShare, 1_000, i128::MAX));
        assert_eq!(judge(1, 1_000, 1_000, 0), denied(DenialReason::LimitNotConfigured, 0, 16));
    }

    #[test]
    fn share_of_the_volume_of_a_day() {
        let judge = |quantity, volume, share| {
            let mut case = Case::new();
            case.intent.order.quantity = Quantity(quantity);
            (case.limits.max_order_quantity, case.intent.stamp.near_depth) = (Quantity(i64::MAX), Quantity(i64::MAX));
            case.day_volume = Quantity(volume);
            case.instrument_limits.max_volume_share_bps = share;
            case.with(super::check)
        };
        let too_much = |share, observed| denied(DenialReason::MaxVolumeShare, share, observed);
        for (quantity, expected) in [(99, Ok(())), (100, Ok(())), (101, too_much(100, 101))] {
            assert_eq!(judge(quantity, 10_000, 100), expected, "{quantity}");
        }
        assert_eq!(judge(100, 9_999, 100), too_much(100, 101), "rounded up");
        for unknown in [0, -1, i64::MIN] {
            assert_eq!(judge(1, unknown, 100), too_much(100, i128::MAX));
            assert_eq!(judge(1, unknown, u32::MAX), too_much(u32::MAX.into(), i128::MAX), "whatever the share");
        }
        assert_eq!(judge(1, 10_000, 0), denied(DenialReason::LimitNotConfigured, 0, 16));
        assert_eq!(judge(i64::MAX, i64::MAX, 10_000), Ok(()));
        assert_eq!(judge(i64::MAX, i64::MAX, 9_999), too_much(9_999, 10_000));
        assert_eq!(judge(i64::MAX, 1, u32::MAX), too_much(u32::MAX.into(), i128::from(i64::MAX) * 10_000));
    }
}
