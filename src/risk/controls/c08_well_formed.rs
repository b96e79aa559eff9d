//! C08: the order makes sense and keeps the venue's filters.

use super::terms::opposite_touch;
use super::{Facts, deny};
use crate::types::{Denial, DenialReason, Instrument, Money, Order, OrderType, Price, Quantity, TimeInForce};

/// `limit` and `observed` are the bound that is broken and the field that breaks it, in the field's unit.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let order = &facts.intent.order;
    let Some(instrument) = facts.instrument else {
        return deny(DenialReason::UnknownInstrument, 0, order.instrument.0);
    };
    fields_agree(order)?;
    quantity(order, instrument)?;
    if order.order_type.is_limited() {
        price(order.price, instrument)?;
    }
    if order.order_type.is_stop() {
        price(order.stop_price, instrument)?;
    }
    let price = match order.order_type {
        OrderType::Limit | OrderType::StopLimit => Some(order.price),
        OrderType::Stop => Some(order.stop_price),
        // Without a touch there is no notional; C12 denies that.
        OrderType::Market => opposite_touch(facts.intent),
    };
    let Some(price) = price else { return Ok(()) };
    let notional = if order.order_type.is_limited() {
        facts.terms.notional
    } else {
        instrument.notional(price, order.quantity)
    };
    let Some(notional) = notional else {
        return deny(DenialReason::NotionalOverflow, i128::MAX, order.quantity.0);
    };
    if notional < instrument.notional_min {
        return deny(DenialReason::MinNotional, instrument.notional_min.0, notional.0);
    }
    if instrument.notional_max > Money::ZERO && notional > instrument.notional_max {
        return deny(DenialReason::NotionalOverflow, instrument.notional_max.0, notional.0);
    }
    Ok(())
}

/// The id is the strategy's own, a market order has no price and does not rest, what may not take rests, and only what
/// waits for a stop price has one. A stop order that is triggered may fill at once, so it cannot be post-only.
fn fields_agree(order: &Order) -> Result<(), Denial> {
    let id = order.client_order_id;
    let is_ours = id.epoch() != 0 && id.sequence() != 0 && id.strategy() == order.strategy;
    let rests = matches!(order.time_in_force, TimeInForce::GoodTillCanceled | TimeInForce::Day);
    let agrees = match order.order_type {
        OrderType::Limit => !order.is_post_only || rests,
        OrderType::Market => {
            order.price.0 == 0 && !order.is_post_only && order.time_in_force != TimeInForce::FillOrKill
        }
        OrderType::Stop => order.price.0 == 0 && !order.is_post_only && rests,
        OrderType::StopLimit => !order.is_post_only && rests,
    } && (order.order_type.is_stop() || order.stop_price.0 == 0);
    if is_ours && agrees {
        return Ok(());
    }
    deny(DenialReason::BadOrder, 0, 1)
}

fn quantity(order: &Order, instrument: &Instrument) -> Result<(), Denial> {
    let quantity = order.quantity.0;
    let least = instrument.quantity_min.0.max(1);
    if quantity < least {
        return deny(DenialReason::BadQuantity, least, quantity);
    }
    if let Some(most) = quantity_max(order.order_type, instrument)
        && quantity > most
    {
        return deny(DenialReason::BadQuantity, most, quantity);
    }
    if quantity.checked_rem(instrument.lot.0) != Some(0) {
        return deny(DenialReason::BadLot, instrument.lot.0, quantity);
    }
    Ok(())
}

/// The smallest maximum that the venue states for this type of order; zero is none.
fn quantity_max(order_type: OrderType, instrument: &Instrument) -> Option<i64> {
    let stated = |most: Quantity| (most.0 > 0).then_some(most.0);
    let any = stated(instrument.quantity_max);
    match order_type {
        OrderType::Limit | OrderType::StopLimit => any,
        OrderType::Market | OrderType::Stop => match (any, stated(instrument.market_quantity_max)) {
            (Some(any), Some(market)) => Some(any.min(market)),
            (any, market) => any.or(market),
        },
    }
}

fn price(price: Price, instrument: &Instrument) -> Result<(), Denial> {
    let price = price.0;
    let least = instrument.price_min.0.max(1);
    if price < least {
        return deny(DenialReason::BadPrice, least, price);
    }
    let most = instrument.price_max.0;
    if most > 0 && price > most {
        return deny(DenialReason::BadPrice, most, price);
    }
    if price.checked_rem(instrument.tick.0) != Some(0) {
        return deny(DenialReason::BadTick, instrument.tick.0, price);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::{ClientOrderId, InstrumentId, Money, OrderType, Price, StrategyId, TimeInForce};

    fn judge(change: impl Fn(&mut Case)) -> Result<(), Denial> {
        let mut case = Case::new();
        case.instrument.tick = Price(5);
        case.instrument.lot = Quantity(2);
        case.instrument.quantity_min = Quantity(4);
        case.instrument.quantity_max = Quantity(100);
        case.instrument.market_quantity_max = Quantity(50);
        case.instrument.price_min = Price(10);
        case.instrument.price_max = Price(20_000);
        change(&mut case);
        case.with(super::check)
    }

    #[test]
    fn quantities() {
        for (quantity, expected) in [
            (i64::MIN, denied(DenialReason::BadQuantity, 4, i128::from(i64::MIN))),
            (-1, denied(DenialReason::BadQuantity, 4, -1)),
            (0, denied(DenialReason::BadQuantity, 4, 0)),
            (3, denied(DenialReason::BadQuantity, 4, 3)),
            (4, Ok(())),
            (5, denied(DenialReason::BadLot, 2, 5)),
            (100, Ok(())),
            (101, denied(DenialReason::BadQuantity, 100, 101)),
            (i64::MAX, denied(DenialReason::BadQuantity, 100, i128::from(i64::MAX))),
        ] {
            assert_eq!(judge(|case| case.intent.order.quantity = Quantity(quantity)), expected, "{quantity}");
        }
        let market = |quantity, any, market| {
            judge(|case| {
                case.intent.order.order_type = OrderType::Market;
                case.intent.order.price = Price::ZERO;
                case.intent.order.quantity = Quantity(quantity);
                case.instrument.quantity_max = Quantity(any);
                case.instrument.market_quantity_max = Quantity(market);
            })
        };
        assert_eq!(market(50, 100, 50), Ok(()));
        assert_eq!(market(52, 100, 50), denied(DenialReason::BadQuantity, 50, 52));
        assert_eq!(market(52, 40, 50), denied(DenialReason::BadQuantity, 40, 52));
        assert_eq!(market(52, 0, 50), denied(DenialReason::BadQuantity, 50, 52));
        assert_eq!(market(52, 0, 0), Ok(()));
    }

    #[test]
    fn prices() {
        for (price, expected) in [
            (i64::MIN, denied(DenialReason::BadPrice, 10, i128::from(i64::MIN))),
            (0, denied(DenialReason::BadPrice, 10, 0)),
            (9, denied(DenialReason::BadPrice, 10, 9)),
            (10, Ok(())),
            (9_999, denied(DenialReason::BadTick, 5, 9_999)),
            (20_000, Ok(())),
            (20_001, denied(DenialReason::BadPrice, 20_000, 20_001)),
        ] {
            assert_eq!(judge(|case| case.intent.order.price = Price(price)), expected, "{price}");
        }
        assert_eq!(
            judge(|case| {
                case.instrument.price_min = Price::ZERO;
                case.intent.order.price = Price::ZERO;
            }),
            denied(DenialReason::BadPrice, 1, 0)
        );
    }

    #[test]
    fn notionals() {
        // 100.00 × 0.00010 is 0.01, which is 10^16 of Money's units.
        const NOTIONAL: i128 = 10_000_000_000_000_000;
        let least = |least| judge(|case| case.instrument.notional_min = Money(least));
        assert_eq!(least(NOTIONAL - 1), Ok(()));
        assert_eq!(least(NOTIONAL), Ok(()));
        assert_eq!(least(NOTIONAL + 1), denied(DenialReason::MinNotional, NOTIONAL + 1, NOTIONAL));
        let most = |most| judge(|case| case.instrument.notional_max = Money(most));
        assert_eq!(most(NOTIONAL + 1), Ok(()));
        assert_eq!(most(NOTIONAL), Ok(()));
        assert_eq!(most(NOTIONAL - 1), denied(DenialReason::NotionalOverflow, NOTIONAL - 1, NOTIONAL));
        let huge = judge(|case| {
            case.instrument.price_max = Price::ZERO;
            case.instrument.quantity_max = Quantity::ZERO;
            case.instrument.tick = Price(1);
            case.instrument.lot = Quantity(1);
            case.intent.order.price = Price(i64::MAX);
            case.intent.order.quantity = Quantity(i64::MAX);
        });
        assert_eq!(huge, denied(DenialReason::NotionalOverflow, i128::MAX, i128::from(i64::MAX)));
    }

    #[test]
    fn stop_orders_have_a_stop_price_that_keeps_the_filters() {
        let stop = |order_type, stop_price, price| {
            judge(|case| {
                let order = &mut case.intent.order;
                (order.order_type, order.stop_price, order.price) = (order_type, Price(stop_price), Price(price));
            })
        };
        for (stop_price, expected) in [
            (i64::MIN, denied(DenialReason::BadPrice, 10, i128::from(i64::MIN))),
            (0, denied(DenialReason::BadPrice, 10, 0)),
            (9, denied(DenialReason::BadPrice, 10, 9)),
            (10, Ok(())),
            (9_999, denied(DenialReason::BadTick, 5, 9_999)),
            (20_000, Ok(())),
            (20_001, denied(DenialReason::BadPrice, 20_000, 20_001)),
            (i64::MAX, denied(DenialReason::BadPrice, 20_000, i128::from(i64::MAX))),
        ] {
            assert_eq!(stop(OrderType::Stop, stop_price, 0), expected, "{stop_price}");
            assert_eq!(stop(OrderType::StopLimit, stop_price, 10_000), expected, "{stop_price}");
        }
        assert_eq!(stop(OrderType::StopLimit, 10_000, 9_999), denied(DenialReason::BadTick, 5, 9_999));
        assert_eq!(stop(OrderType::StopLimit, 10_000, 0), denied(DenialReason::BadPrice, 10, 0));
        let refusal = denied(DenialReason::BadOrder, 0, 1);
        assert_eq!(stop(OrderType::Stop, 10_000, 10_000), refusal, "with a limit price");
        assert_eq!(stop(OrderType::Limit, 10_000, 10_000), refusal, "with a stop price");
        assert_eq!(stop(OrderType::Market, 10_000, 0), refusal, "with a stop price");
    }

    #[test]
    fn stop_orders_rest_are_not_post_only_and_are_worth_their_prices() {
        // 100.00 × 0.00010 and 200.00 × 0.00010.
        const NOTIONAL: i128 = 10_000_000_000_000_000;
        let stop = |order_type, change: fn(&mut Case)| {
            judge(|case| {
                let order = &mut case.intent.order;
                (order.order_type, order.stop_price) = (order_type, Price(20_000));
                order.price = if order_type == OrderType::Stop { Price::ZERO } else { Price(10_000) };
                change(case);
            })
        };
        let refusal = denied(DenialReason::BadOrder, 0, 1);
        for order_type in [OrderType::Stop, OrderType::StopLimit] {
            assert_eq!(stop(order_type, |case| case.intent.order.time_in_force = TimeInForce::Day), Ok(()));
            assert_eq!(stop(order_type, |case| case.intent.order.is_post_only = true), refusal);
            for change in [
                (|case| case.intent.order.time_in_force = TimeInForce::ImmediateOrCancel) as fn(&mut Case),
                |case| case.intent.order.time_in_force = TimeInForce::FillOrKill,
            ] {
                assert_eq!(stop(order_type, change), refusal);
            }
        }
        let least: fn(&mut Case) = |case| case.instrument.notional_min = Money(2 * NOTIONAL);
        assert_eq!(stop(OrderType::Stop, least), Ok(()));
        assert_eq!(stop(OrderType::StopLimit, least), denied(DenialReason::MinNotional, 2 * NOTIONAL, NOTIONAL));
        // The market's own bound on quantities is for what becomes a market order.
        assert_eq!(stop(OrderType::StopLimit, |case| case.intent.order.quantity = Quantity(52)), Ok(()));
        let large = denied(DenialReason::BadQuantity, 50, 52);
        assert_eq!(stop(OrderType::Stop, |case| case.intent.order.quantity = Quantity(52)), large);
    }

    #[test]
    fn orders_for_the_day_are_orders_that_rest() {
        let day = |change: fn(&mut Case)| {
            judge(|case| {
                case.intent.order.time_in_force = TimeInForce::Day;
                change(case);
            })
        };
        assert_eq!(day(|_| {}), Ok(()));
        assert_eq!(day(|case| case.intent.order.is_post_only = true), Ok(()));
    }

    #[test]
    fn fields_that_contradict_each_other() {
        let refusal = denied(DenialReason::BadOrder, 0, 1);
        assert_eq!(judge(|case| case.intent.order.strategy = StrategyId(1)), refusal);
        assert_eq!(judge(|case| case.intent.order.client_order_id = ClientOrderId::NONE), refusal);
        assert_eq!(judge(|case| case.intent.order.order_type = OrderType::Market), refusal, "with a price");
        let market = |change: fn(&mut crate::types::Order)| {
            judge(|case| {
                case.intent.order.order_type = OrderType::Market;
                case.intent.order.price = Price::ZERO;
                change(&mut case.intent.order);
            })
        };
        assert_eq!(market(|_| {}), Ok(()));
        assert_eq!(market(|order| order.time_in_force = TimeInForce::ImmediateOrCancel), Ok(()));
        assert_eq!(market(|order| order.time_in_force = TimeInForce::FillOrKill), refusal);
        assert_eq!(market(|order| order.is_post_only = true), refusal);
        assert_eq!(judge(|case| case.intent.order.is_post_only = true), Ok(()));
        for time_in_force in [TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill] {
            let verdict = judge(|case| {
                case.intent.order.is_post_only = true;
                case.intent.order.time_in_force = time_in_force;
            });
            assert_eq!(verdict, refusal);
        }
    }

    #[test]
    fn an_unknown_instrument() {
        let mut case = Case::new();
        case.intent.order.instrument = InstrumentId(77);
        let verdict = case.with(|facts| super::check(&Facts { instrument: None, ..*facts }));
        assert_eq!(verdict, denied(DenialReason::UnknownInstrument, 0, 77));
    }
}
