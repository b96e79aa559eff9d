//! C13: the price of each order is near the reference.

use super::{BPS, Facts, bps_of, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// The reference is the mid; twice the mid is bid plus ask, exactly. An order that pays beyond it is held to the
/// collar, one that rests on its own side to the wider passive one. A market order is judged at its worst price.
///
/// A stop order meets the market at its stop price. That may be as far from the mid as the passive collar allows, to
/// either side; and it is the reference of what the order pays then: its limit price, or its worst price.
/// `limit` and `observed` are basis points, the observed ones rounded up.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let order = &facts.intent.order;
    let stamp = &facts.intent.stamp;
    let collar = i128::from(facts.instrument_limits.collar_bps);
    if collar <= 0 {
        return unconfigured(collar, 13);
    }
    let passive = i128::from(facts.instrument_limits.passive_collar_bps);
    if passive <= 0 {
        return unconfigured(passive, 13);
    }
    if !order.order_type.is_limited() && facts.instrument_limits.max_slippage_bps == 0 {
        return unconfigured(0, 13);
    }
    let Some(price) = facts.terms.worst_price else {
        return deny(DenialReason::NoReferencePrice, stamp.bid.0, stamp.ask.0);
    };
    // Prices are 64 bits and basis points 32: nothing here leaves 128.
    let twice_mid = i128::from(stamp.bid.0) + i128::from(stamp.ask.0);
    let mut reference = twice_mid;
    if order.order_type.is_stop() {
        reference = 2 * i128::from(order.stop_price.0);
        let away = (reference - twice_mid).abs();
        if away * BPS > twice_mid * passive {
            return deny(DenialReason::PriceTooFar, passive, bps_of(away, twice_mid));
        }
    }
    let beyond = (2 * i128::from(price.0) - reference) * i128::from(order.side.sign());
    if beyond > 0 {
        if beyond * BPS > reference * collar {
            return deny(DenialReason::PriceCollar, collar, bps_of(beyond, reference));
        }
    } else if -beyond * BPS > reference * passive {
        return deny(DenialReason::PriceTooFar, passive, bps_of(-beyond, reference));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::{OrderType, Price};

    /// Mid 10,000, collar 1 %, passive 50 %.
    fn case(side: Side, price: i64) -> Case {
        let mut case = Case::new();
        case.intent.stamp.bid = Price(9_999);
        case.intent.stamp.ask = Price(10_001);
        case.intent.order.side = side;
        case.intent.order.price = Price(price);
        case.instrument_limits.collar_bps = 100;
        case.instrument_limits.passive_collar_bps = 5_000;
        case
    }

    #[test]
    fn limit_orders() {
        let judge = |side, price| case(side, price).with(super::check);
        assert_eq!(judge(Side::Buy, 10_099), Ok(()));
        assert_eq!(judge(Side::Buy, 10_100), Ok(()));
        assert_eq!(judge(Side::Buy, 10_101), denied(DenialReason::PriceCollar, 100, 101));
        assert_eq!(judge(Side::Buy, 5_001), Ok(()));
        assert_eq!(judge(Side::Buy, 5_000), Ok(()));
        assert_eq!(judge(Side::Buy, 4_999), denied(DenialReason::PriceTooFar, 5_000, 5_001));
        assert_eq!(judge(Side::Sell, 9_900), Ok(()));
        assert_eq!(judge(Side::Sell, 9_899), denied(DenialReason::PriceCollar, 100, 101));
        assert_eq!(judge(Side::Sell, 15_000), Ok(()));
        assert_eq!(judge(Side::Sell, 15_001), denied(DenialReason::PriceTooFar, 5_000, 5_001));
        assert_eq!(judge(Side::Buy, 10_000), Ok(()));
        let huge = judge(Side::Buy, i64::MAX);
        assert!(matches!(huge, Err(Denial { reason: DenialReason::PriceCollar, limit: 100, .. })));
        let low = judge(Side::Sell, i64::MIN);
        assert!(matches!(low, Err(Denial { reason: DenialReason::PriceCollar, .. })));
    }

    #[test]
    fn half_a_price_unit_of_the_mid_counts() {
        let mut case = case(Side::Buy, 10_101);
        case.intent.stamp.ask = Price(10_002);
        // Mid 10,000.5: 1 % above is 10,100.505.
        assert_eq!(case.with(super::check), denied(DenialReason::PriceCollar, 100, 101));
        case.intent.stamp.ask = Price(10_003);
        assert_eq!(case.with(super::check), Ok(()), "mid 10,001");
    }

    #[test]
    fn market_orders_at_the_opposite_touch_and_slippage() {
        let judge = |side, bid, ask, slippage| {
            let mut case = case(side, 0);
            case.intent.order.order_type = OrderType::Market;
            case.intent.stamp.bid = Price(bid);
            case.intent.stamp.ask = Price(ask);
            case.instrument_limits.max_slippage_bps = slippage;
            case.with(super::check)
        };
        assert_eq!(judge(Side::Buy, 10_000, 10_000, 100), Ok(()));
        assert_eq!(judge(Side::Buy, 9_999, 10_001, 100), denied(DenialReason::PriceCollar, 100, 102));
        assert_eq!(judge(Side::Sell, 9_999, 10_001, 98), Ok(()));
        assert_eq!(judge(Side::Sell, 9_999, 10_001, 101), denied(DenialReason::PriceCollar, 100, 102));
        assert_eq!(judge(Side::Sell, 9_999, 10_001, 10_000), denied(DenialReason::NoReferencePrice, 9_999, 10_001));
        assert_eq!(judge(Side::Buy, 9_999, 10_001, 0), denied(DenialReason::LimitNotConfigured, 0, 13));
        assert_eq!(judge(Side::Buy, 9_999, 0, 10), denied(DenialReason::NoReferencePrice, 9_999, 0));
        let top = i64::MAX;
        assert_eq!(
            judge(Side::Buy, top - 1, top, 1),
            denied(DenialReason::NoReferencePrice, i128::from(top - 1), i128::from(top)),
            "past 64 bits"
        );
    }

    #[test]
    fn stop_orders_at_their_stop_price() {
        let judge = |order_type, side, stop, price, slippage| {
            let mut case = case(side, price);
            case.intent.order.order_type = order_type;
            case.intent.order.stop_price = Price(stop);
            case.instrument_limits.max_slippage_bps = slippage;
            case.with(super::check)
        };
        let limited = |side, stop, price| judge(OrderType::StopLimit, side, stop, price, 0);
        // A protective stop far below the market, beyond the collar of an order that trades at once.
        assert_eq!(limited(Side::Sell, 8_000, 7_920), Ok(()));
        assert_eq!(limited(Side::Sell, 8_000, 7_919), denied(DenialReason::PriceCollar, 100, 102));
        assert_eq!(limited(Side::Sell, 8_000, 12_000), Ok(()));
        assert_eq!(limited(Side::Sell, 8_000, 12_001), denied(DenialReason::PriceTooFar, 5_000, 5_002));
        assert_eq!(limited(Side::Sell, 5_000, 5_000), Ok(()));
        assert_eq!(limited(Side::Sell, 4_999, 4_999), denied(DenialReason::PriceTooFar, 5_000, 5_001));
        assert_eq!(limited(Side::Buy, 15_000, 15_150), Ok(()));
        assert_eq!(limited(Side::Buy, 15_000, 15_151), denied(DenialReason::PriceCollar, 100, 101));
        assert_eq!(limited(Side::Buy, 15_001, 15_001), denied(DenialReason::PriceTooFar, 5_000, 5_001));
        assert!(limited(Side::Buy, i64::MAX, i64::MAX).is_err());
        assert!(limited(Side::Buy, i64::MIN, i64::MIN).is_err());
        let unlimited = |slippage| judge(OrderType::Stop, Side::Sell, 8_000, 0, slippage);
        assert_eq!(unlimited(100), Ok(()));
        assert_eq!(unlimited(101), denied(DenialReason::PriceCollar, 100, 102));
        assert_eq!(unlimited(0), denied(DenialReason::LimitNotConfigured, 0, 13));
    }

    #[test]
    fn both_collars_must_be_configured() {
        for which in 0..2 {
            let mut case = case(Side::Buy, 10_000);
            if which == 0 {
                case.instrument_limits.collar_bps = 0;
            } else {
                case.instrument_limits.passive_collar_bps = 0;
            }
            assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 13));
        }
    }
}
