//! C14: our own orders do not walk the market.

use super::{BPS, Facts, bps_of, deny, unconfigured};
use crate::types::{Denial, DenialReason, Side};

/// Many small steps, each inside the collar of C13, can carry a price far. So the worst price of a buy is held against
/// the lowest mid at which any order of ours in the instrument was approved within the window, and that of a sell
/// against the highest. A stop order moves nothing before the market has moved to it: C13 alone judges its prices.
/// `limit` and `observed` are basis points, the observed ones rounded up.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (limit, window) = (i128::from(facts.instrument_limits.max_drift_bps), facts.instrument_limits.drift_window_ns);
    if limit <= 0 || window == 0 {
        return unconfigured(0, 14);
    }
    let order = &facts.intent.order;
    if order.order_type.is_stop() {
        return Ok(());
    }
    let Some((lowest, highest)) = facts.drift.range(facts.now, window) else { return Ok(()) };
    // A market order without a worst price was denied by C13.
    let Some(price) = facts.terms.worst_price else { return Ok(()) };
    let from = match order.side {
        Side::Buy => i128::from(lowest),
        Side::Sell => i128::from(highest),
    };
    // Prices are 64 bits and basis points 32: nothing here leaves 128.
    let walked = (2 * i128::from(price.0) - from) * i128::from(order.side.sign());
    if walked * BPS > from * limit {
        return deny(DenialReason::PriceDrift, limit, bps_of(walked, from));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::Drift;
    use crate::types::{MarketStamp, OrderType, Price, Timestamp};

    const WINDOW: u64 = 800;

    fn stamp(mid: i64) -> MarketStamp {
        MarketStamp { bid: Price(mid - 1), ask: Price(mid + 1), ..MarketStamp::default() }
    }

    /// Orders went out at these mids this long ago; the limit is 1 % in 800 ns.
    fn judge(mids: &[(u64, i64)], side: Side, price: i64) -> Result<(), Denial> {
        judge_within(mids, side, price, 100, WINDOW)
    }

    fn judge_within(mids: &[(u64, i64)], side: Side, price: i64, limit: u32, window: u64) -> Result<(), Denial> {
        let mut case = Case::new();
        case.intent.order.side = side;
        case.intent.order.price = Price(price);
        case.instrument_limits.max_drift_bps = limit;
        case.instrument_limits.drift_window_ns = window;
        let mut drift = Drift::NONE;
        for &(age, mid) in mids {
            drift.approved(&stamp(mid), Timestamp::from_nanos(NOW.nanos() - age), window);
        }
        case.with(|facts| super::check(&Facts { drift: &drift, ..*facts }))
    }

    #[test]
    fn up_from_the_lowest_and_down_from_the_highest() {
        let mids = [(300, 10_000), (200, 10_050), (100, 9_950)];
        assert_eq!(judge(&[], Side::Buy, 20_000), Ok(()), "nothing went out yet");
        assert_eq!(judge(&mids, Side::Buy, 10_049), Ok(()));
        assert_eq!(judge(&mids, Side::Buy, 10_050), denied(DenialReason::PriceDrift, 100, 101));
        assert_eq!(judge(&mids, Side::Sell, 9_950), Ok(()));
        assert_eq!(judge(&mids, Side::Sell, 9_949), denied(DenialReason::PriceDrift, 100, 101));
        assert_eq!(judge(&mids, Side::Buy, 1), Ok(()));
        assert!(judge(&mids, Side::Buy, i64::MAX).is_err());
        assert!(judge(&mids, Side::Sell, i64::MIN).is_err());
        let exact = [(1, 10_000)];
        assert_eq!(judge(&exact, Side::Buy, 10_099), Ok(()));
        assert_eq!(judge(&exact, Side::Buy, 10_100), Ok(()));
        assert_eq!(judge(&exact, Side::Buy, 10_101), denied(DenialReason::PriceDrift, 100, 101));
    }

    #[test]
    fn many_small_steps_add_up() {
        // The market follows our buys, each within the collar of the mid it sees, one in every eighth of the window.
        let steps: Vec<(u64, i64)> = (1..=7).map(|step| (step * 100, 10_000 + 20 * (7 - step as i64))).collect();
        assert_eq!(judge(&steps, Side::Buy, 10_100), Ok(()));
        assert_eq!(judge(&steps, Side::Buy, 10_101), denied(DenialReason::PriceDrift, 100, 101));
    }

    #[test]
    fn what_is_out_of_the_window_is_forgotten() {
        // The running seventh began 20 ns ago; the one that began seven before it is the last that counts.
        assert_eq!(NOW.nanos() % (WINDOW / 7 + 1), 20);
        assert!(judge(&[(825, 9_000)], Side::Buy, 10_000).is_err());
        assert_eq!(judge(&[(826, 9_000)], Side::Buy, 10_000), Ok(()));
    }

    #[test]
    fn market_orders_at_their_worst_price_and_stop_orders_by_c13_alone() {
        let mut case = Case::new();
        case.instrument_limits.max_drift_bps = 100;
        case.instrument_limits.drift_window_ns = WINDOW;
        case.instrument_limits.max_slippage_bps = 100;
        let mut drift = Drift::NONE;
        drift.approved(&stamp(10_000), NOW, WINDOW);
        let judge = |case: &Case| case.with(|facts| super::check(&Facts { drift: &drift, ..*facts }));
        case.intent.order.order_type = OrderType::Market;
        case.intent.order.price = Price::ZERO;
        // The ask of 10,001 and 1 %.
        assert_eq!(judge(&case), denied(DenialReason::PriceDrift, 100, 102));
        case.intent.order.order_type = OrderType::Stop;
        case.intent.order.stop_price = Price(12_000);
        assert_eq!(judge(&case), Ok(()));
    }

    #[test]
    fn both_limits_must_be_configured() {
        let refusal = denied(DenialReason::LimitNotConfigured, 0, 14);
        assert_eq!(judge_within(&[], Side::Buy, 10_000, 0, WINDOW), refusal);
        assert_eq!(judge_within(&[], Side::Buy, 10_000, 1, 0), refusal);
        assert_eq!(judge_within(&[(0, 1)], Side::Buy, 10_000, u32::MAX, u64::MAX), Ok(()));
    }
}
