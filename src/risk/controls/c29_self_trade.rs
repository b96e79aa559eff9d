//! C29: no order meets one of our own.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason, Side};

/// Over all strategies of the account and orders of it that are not ours, whether they rest, are on their way, are
/// being canceled, or nobody knows. `limit` and `observed` are prices: our own order's, and the worst that this one may
/// trade at. A stop order trades only when it is triggered, and is not judged before.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let Some(own) = facts.opposing else { return Ok(()) };
    let order = &facts.intent.order;
    if order.order_type.is_stop() {
        return Ok(());
    }
    // Without a worst price the order was denied before.
    let Some(price) = facts.terms.worst_price else { return Ok(()) };
    let meets = match order.side {
        Side::Buy => price >= own,
        Side::Sell => price <= own,
    };
    if meets { deny(DenialReason::SelfTrade, own.0, price.0) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::{OrderType, Price};

    fn judge(side: Side, order_type: OrderType, price: i64, own: Option<i64>) -> Result<(), Denial> {
        let mut case = Case::new();
        case.intent.order.side = side;
        case.intent.order.order_type = order_type;
        case.intent.order.price = Price(price);
        case.with(|facts| super::check(&Facts { opposing: own.map(Price), ..*facts }))
    }

    #[test]
    fn at_our_own_price_and_beyond() {
        let limit = OrderType::Limit;
        assert_eq!(judge(Side::Buy, limit, 100, None), Ok(()));
        assert_eq!(judge(Side::Buy, limit, 99, Some(100)), Ok(()));
        assert_eq!(judge(Side::Buy, limit, 100, Some(100)), denied(DenialReason::SelfTrade, 100, 100));
        assert_eq!(judge(Side::Buy, limit, 101, Some(100)), denied(DenialReason::SelfTrade, 100, 101));
        assert_eq!(judge(Side::Sell, limit, 101, Some(100)), Ok(()));
        assert_eq!(judge(Side::Sell, limit, 100, Some(100)), denied(DenialReason::SelfTrade, 100, 100));
        assert_eq!(judge(Side::Sell, limit, 99, Some(100)), denied(DenialReason::SelfTrade, 100, 99));
        let most = i128::from(i64::MAX);
        assert_eq!(judge(Side::Sell, limit, 1, Some(i64::MAX)), denied(DenialReason::SelfTrade, most, 1));
        assert_eq!(judge(Side::Buy, limit, i64::MAX, Some(0)), denied(DenialReason::SelfTrade, 0, most));
    }

    #[test]
    fn a_market_order_at_the_worst_it_may_trade_at_and_a_stop_order_not_yet() {
        // 10 basis points beyond the ask of 10,001, rounded away from it.
        assert_eq!(judge(Side::Buy, OrderType::Market, 0, Some(10_013)), Ok(()));
        let refusal = denied(DenialReason::SelfTrade, 10_012, 10_012);
        assert_eq!(judge(Side::Buy, OrderType::Market, 0, Some(10_012)), refusal);
        assert_eq!(judge(Side::Buy, OrderType::StopLimit, 10_100, Some(10_000)), Ok(()));
        assert_eq!(judge(Side::Buy, OrderType::Stop, 0, Some(10_000)), Ok(()));
    }
}
