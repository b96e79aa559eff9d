//! C17: the largest order as price times quantity.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// At the order's worst price. `limit` and `observed` are [`Money`](crate::types::Money).
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let limit = facts.limits.max_order_notional.0;
    if limit <= 0 {
        return unconfigured(limit, 17);
    }
    match facts.terms.notional {
        None => deny(DenialReason::NotionalOverflow, limit, i128::MAX),
        Some(notional) if notional.0 > limit => deny(DenialReason::MaxOrderNotional, limit, notional.0),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::{Money, OrderType, Price};

    /// 100.00 × 0.00010.
    const NOTIONAL: i128 = 10_000_000_000_000_000;

    #[test]
    fn one_unit_over_is_over() {
        let mut case = Case::new();
        let mut judge = |limit| {
            case.limits.max_order_notional = Money(limit);
            case.with(super::check)
        };
        assert_eq!(judge(NOTIONAL + 1), Ok(()));
        assert_eq!(judge(NOTIONAL), Ok(()));
        assert_eq!(judge(NOTIONAL - 1), denied(DenialReason::MaxOrderNotional, NOTIONAL - 1, NOTIONAL));
        assert_eq!(judge(0), denied(DenialReason::LimitNotConfigured, 0, 17));
        assert_eq!(judge(-1), denied(DenialReason::LimitNotConfigured, -1, 17));
        case.intent.order.price = Price(i64::MAX);
        case.intent.order.quantity = Quantity(i64::MAX);
        case.limits.max_order_notional = Money(1);
        assert_eq!(case.with(super::check), denied(DenialReason::NotionalOverflow, 1, i128::MAX));
    }

    #[test]
    fn market_orders_at_their_worst_price() {
        let mut case = Case::new();
        case.intent.order.order_type = OrderType::Market;
        case.intent.order.price = Price::ZERO;
        case.intent.stamp.ask = Price(10_000);
        case.instrument_limits.max_slippage_bps = 100;
        let at_worst = NOTIONAL / 100 * 101;
        case.limits.max_order_notional = Money(at_worst);
        assert_eq!(case.with(super::check), Ok(()));
        case.limits.max_order_notional = Money(at_worst - 1);
        assert_eq!(
            case.with(super::check),
            denied(DenialReason::MaxOrderNotional, at_worst - 1, at_worst)
        );
    }
}
