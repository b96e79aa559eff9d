//! C21: how many orders are open, and what they are worth.

use super::{Facts, Replaced, deny, unconfigured};
use crate::risk::resting::resting_notional;
use crate::types::{ClientOrderId, Denial, DenialReason, Money};

/// Orders of the strategy, then in the instrument, then of the account; `limit` and `observed` are how many, this one
/// included; one that takes another's place makes no more of them. Then what those in the instrument are worth at their
/// prices, in its quote asset, less what leaves with the replaced order where only one of the two can fill.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let order = &facts.intent.order;
    let open = &facts.open_orders;
    let replaces = order.replaces != ClientOrderId::NONE;
    few(facts.strategy_limits.max_open_orders, open.strategy, replaces)?;
    few(facts.instrument_limits.max_open_orders, open.instrument, replaces)?;
    few(facts.account_limits.max_open_orders, open.account, replaces)?;
    let limit = facts.instrument_limits.max_resting_notional.0;
    if limit <= 0 {
        return unconfigured(limit, 21);
    }
    let notional = if order.order_type.is_limited() {
        // It rests at its worst price.
        facts.terms.notional
    } else {
        facts.instrument.and_then(|instrument| resting_notional(order, instrument, order.quantity))
    };
    let sum = |notional: Money| notional.checked_add(open.instrument_notional)?.checked_sub(leaves(facts));
    match notional.and_then(sum) {
        None => deny(DenialReason::MaxRestingNotional, limit, i128::MAX),
        Some(worth) if worth.0 > limit => deny(DenialReason::MaxRestingNotional, limit, worth.0),
        Some(_) => Ok(()),
    }
}

#[inline(always)]
fn few(limit: u32, count: u32, replaces: bool) -> Result<(), Denial> {
    if limit == 0 {
        return unconfigured(0, 21);
    }
    if count < limit || replaces { Ok(()) } else { deny(DenialReason::MaxOpenOrders, limit, i128::from(count) + 1) }
}

/// What leaves with the order whose place this one takes.
#[inline]
fn leaves(facts: &Facts<'_>) -> Money {
    let leaves = |replaced: &Replaced<'_>| {
        let record = replaced.record;
        let instrument = facts.instrument.filter(|instrument| instrument.id == record.order.instrument)?;
        resting_notional(&record.order, instrument, record.reserve).filter(|_| replaced.is_exclusive())
    };
    facts.replaced.as_ref().and_then(leaves).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::Replaced;
    use crate::risk::{OpenOrders, OrderRecord};
    use crate::types::{ClientOrderId, Money, OrderType, Price};

    #[test]
    fn counts_of_strategy_instrument_and_account() {
        for which in 0..3 {
            let judge = |limit, count, replaces| {
                let mut case = Case::new();
                case.intent.order.replaces = ClientOrderId(replaces);
                match which {
                    0 => case.strategy_limits.max_open_orders = limit,
                    1 => case.instrument_limits.max_open_orders = limit,
                    _ => case.account_limits.max_open_orders = limit,
                }
                let mut open_orders = OpenOrders::default();
                match which {
                    0 => open_orders.strategy = count,
                    1 => open_orders.instrument = count,
                    _ => open_orders.account = count,
                }
                case.with(|facts| super::check(&Facts { open_orders, ..*facts }))
            };
            assert_eq!(judge(10, 0, 0), Ok(()));
            assert_eq!(judge(10, 8, 0), Ok(()));
            assert_eq!(judge(10, 9, 0), Ok(()));
            assert_eq!(judge(10, 10, 0), denied(DenialReason::MaxOpenOrders, 10, 11));
            assert_eq!(judge(10, 12, 0), denied(DenialReason::MaxOpenOrders, 10, 13));
            assert_eq!(judge(10, 10, 1), Ok(()), "takes another's place");
            assert_eq!(judge(0, 0, 0), denied(DenialReason::LimitNotConfigured, 0, 21));
            assert_eq!(judge(0, 0, 1), denied(DenialReason::LimitNotConfigured, 0, 21));
            let most = i128::from(u32::MAX);
            assert_eq!(judge(u32::MAX, u32::MAX, 0), denied(DenialReason::MaxOpenOrders, most, most + 1));
        }
    }

    /// 100.00 × 0.00010.
    const NOTIONAL: i128 = 10_000_000_000_000_000;

    #[test]
    fn what_rests_in_the_instrument() {
        let judge = |limit, resting, change: fn(&mut Case)| {
            let mut case = Case::new();
            case.instrument_limits.max_resting_notional = Money(limit);
            change(&mut case);
            let open_orders = OpenOrders { instrument_notional: Money(resting), ..OpenOrders::default() };
            case.with(|facts| super::check(&Facts { open_orders, ..*facts }))
        };
        let plain = |_: &mut Case| {};
        assert_eq!(judge(3 * NOTIONAL, 2 * NOTIONAL - 1, plain), Ok(()));
        assert_eq!(judge(3 * NOTIONAL, 2 * NOTIONAL, plain), Ok(()));
        let over = denied(DenialReason::MaxRestingNotional, 3 * NOTIONAL, 3 * NOTIONAL + 1);
        assert_eq!(judge(3 * NOTIONAL, 2 * NOTIONAL + 1, plain), over);
        assert_eq!(judge(0, 0, plain), denied(DenialReason::LimitNotConfigured, 0, 21));
        assert_eq!(judge(-1, 0, plain), denied(DenialReason::LimitNotConfigured, -1, 21));
        let overflow = denied(DenialReason::MaxRestingNotional, 1, i128::MAX);
        assert_eq!(judge(1, i128::MAX, plain), overflow);
        let huge = |case: &mut Case| {
            case.intent.order.price = Price(i64::MAX);
            case.intent.order.quantity = Quantity(i64::MAX);
        };
        assert_eq!(judge(1, 0, huge), overflow);
        let stop = |case: &mut Case| {
            case.intent.order.order_type = OrderType::Stop;
            case.intent.order.price = Price::ZERO;
            case.intent.order.stop_price = Price(20_000);
        };
        assert_eq!(judge(2 * NOTIONAL, 0, stop), Ok(()), "at its stop price");
        assert!(judge(2 * NOTIONAL - 1, 0, stop).is_err());
        let market = |case: &mut Case| {
            case.intent.order.order_type = OrderType::Market;
            case.intent.order.price = Price::ZERO;
        };
        assert_eq!(judge(1, 0, market), Ok(()), "does not rest");
    }

    #[test]
    fn what_is_replaced_leaves() {
        let mut case = Case::new();
        case.instrument_limits.max_resting_notional = Money(NOTIONAL);
        let open_orders = OpenOrders { instrument_notional: Money(NOTIONAL), ..OpenOrders::default() };
        let order = case.intent.order;
        let judge = |reserve, filled| {
            let (reserve, filled) = (Quantity(reserve), Quantity(filled));
            let record = OrderRecord { order, reserve, filled, ..OrderRecord::default() };
            let replaced = Some(Replaced { record: &record, is_settled: true, wanted: order.quantity });
            case.with(|facts| super::check(&Facts { open_orders, replaced, ..*facts }))
        };
        assert_eq!(judge(10, 0), Ok(()));
        let part = NOTIONAL + NOTIONAL / 10;
        assert_eq!(judge(9, 0), denied(DenialReason::MaxRestingNotional, NOTIONAL, part));
        let both = denied(DenialReason::MaxRestingNotional, NOTIONAL, 2 * NOTIONAL);
        assert_eq!(judge(10, 1), both, "with a fill of the replaced one, both may come to rest");
    }
}
