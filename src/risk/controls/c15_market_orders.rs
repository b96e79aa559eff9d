//! C15: market orders only where the instrument's policy lets them be.

use super::{Facts, deny};
use crate::risk::MarketOrders;
use crate::types::{Denial, DenialReason, Instrument, Order, OrderType, Price, Side, TimeInForce};

/// A stop order without a limit price becomes a market order, so the policy is for it too.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    if is_unlimited(&facts.intent.order) && facts.instrument_limits.market_orders == MarketOrders::Deny {
        return deny(DenialReason::MarketOrderNotAllowed, 0, 1);
    }
    Ok(())
}

const fn is_unlimited(order: &Order) -> bool {
    matches!(order.order_type, OrderType::Market | OrderType::Stop)
}

/// The order as it is sent. Where the policy is to protect, a market order becomes a limit order at its worst price,
/// which fills at once or not, and a stop order one with its worst price as the limit; both rounded to the tick that
/// pays less.
pub(super) fn protected(order: &Order, policy: MarketOrders, worst: Option<Price>, instrument: &Instrument) -> Order {
    let Some(worst) = worst.filter(|_| policy == MarketOrders::Protect && is_unlimited(order)) else { return *order };
    let price = match order.side {
        Side::Buy => instrument.floor_to_tick(worst),
        Side::Sell => instrument.ceil_to_tick(worst),
    };
    if order.order_type == OrderType::Stop {
        return Order { order_type: OrderType::StopLimit, price, ..*order };
    }
    Order { order_type: OrderType::Limit, time_in_force: TimeInForce::ImmediateOrCancel, price, ..*order }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::{InstrumentLimits, MarketOrders};
    use crate::types::{Order, OrderType, Price, TimeInForce};

    fn case(order_type: OrderType, policy: MarketOrders) -> Case {
        let mut case = Case::new();
        case.intent.order.order_type = order_type;
        case.instrument_limits.market_orders = policy;
        case
    }

    #[test]
    fn policies() {
        use MarketOrders::{Allow, Deny, Protect};
        use OrderType::{Limit, Market, Stop, StopLimit};
        let refusal = denied(DenialReason::MarketOrderNotAllowed, 0, 1);
        for (order_type, policy, expected) in [
            (Market, Deny, refusal),
            (Stop, Deny, refusal),
            (Limit, Deny, Ok(())),
            (StopLimit, Deny, Ok(())),
            (Market, Protect, Ok(())),
            (Market, Allow, Ok(())),
            (Stop, Protect, Ok(())),
            (Stop, Allow, Ok(())),
        ] {
            assert_eq!(case(order_type, policy).with(super::check), expected, "{order_type:?} {policy:?}");
        }
        assert_eq!(InstrumentLimits::NONE.market_orders, Deny);
    }

    /// As it is sent from a market of 99.99 to 100.01, with 10 basis points of slippage and ticks of 0.04.
    fn sent(order_type: OrderType, policy: MarketOrders, side: Side, stop_price: i64) -> Order {
        let mut case = case(order_type, policy);
        case.instrument.tick = Price(4);
        let order = &mut case.intent.order;
        (order.side, order.price, order.stop_price) = (side, Price::ZERO, Price(stop_price));
        let sent = std::cell::Cell::new(Order::default());
        case.with(|facts| {
            sent.set(facts.protected_order());
            Ok(())
        })
        .expect("judged by nobody");
        sent.get()
    }

    #[test]
    fn protected_orders_never_pay_more_than_the_slippage_allows() {
        let buy = sent(OrderType::Market, MarketOrders::Protect, Side::Buy, 0);
        // 100.01 and 10 basis points, rounded up: 100.12, which is on the tick.
        assert_eq!((buy.order_type, buy.time_in_force), (OrderType::Limit, TimeInForce::ImmediateOrCancel));
        assert_eq!(buy.price, Price(10_012));
        let sell = sent(OrderType::Market, MarketOrders::Protect, Side::Sell, 0);
        // 99.99 less 0.10: 99.89, up to the tick.
        assert_eq!(sell.price, Price(9_992));
        let stop = sent(OrderType::Stop, MarketOrders::Protect, Side::Sell, 9_800);
        // 98.00 less 0.10 rounded away: 97.90, up to the tick.
        assert_eq!((stop.order_type, stop.price, stop.stop_price), (OrderType::StopLimit, Price(9_792), Price(9_800)));
        assert_eq!(stop.time_in_force, TimeInForce::GoodTillCanceled);
        let allowed = sent(OrderType::Market, MarketOrders::Allow, Side::Buy, 0);
        assert_eq!((allowed.order_type, allowed.price), (OrderType::Market, Price::ZERO));
        assert_eq!(sent(OrderType::Limit, MarketOrders::Protect, Side::Buy, 0).order_type, OrderType::Limit);
    }
}
