//! C20: the account has what the order could cost, and the strategy may use so much.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason, Money, Quantity, Side};

/// A buy pays at most its worst price in the quote asset, a sell its quantity of the base asset. First against what the
/// account has free of that, then against the strategy's allocation in the instrument. What the order whose place it takes
/// holds back counts as free where only one of the two can fill. `limit` and `observed` are [`Money`]: what is free and
/// what is needed, or what is allotted and what would be used at worst.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (order, finances) = (&facts.intent.order, &facts.finances);
    let Some(instrument) = facts.instrument else {
        return deny(DenialReason::UnknownInstrument, 0, order.instrument.0);
    };
    let Some(notional) = facts.terms.notional else {
        return deny(DenialReason::NotionalOverflow, finances.free.0, i128::MAX);
    };
    let base = |quantity: Quantity| Money::from_scaled(quantity.0, instrument.quantity_precision);
    // What fits when it was reserved fits still.
    let (mut released_notional, mut released_quantity) = (Money::ZERO, Quantity::ZERO);
    if let Some(replaced) = facts.replaced.as_ref().filter(|replaced| replaced.is_exclusive()) {
        released_quantity = replaced.record.reserve;
        released_notional = instrument.notional(replaced.record.worst_price, released_quantity).unwrap_or_default();
    }
    let (needed, released) = match order.side {
        Side::Buy => (notional, released_notional),
        Side::Sell => (
            base(order.quantity).unwrap_or(Money(i128::MAX)),
            if released_quantity == Quantity::ZERO { Money::ZERO } else { base(released_quantity).unwrap_or_default() },
        ),
    };
    let free = finances.free.saturating_add(released);
    if needed > free {
        return deny(DenialReason::InsufficientBuyingPower, free.0, needed.0);
    }
    let limit = facts.limits.allocation;
    if limit <= Money::ZERO {
        return unconfigured(limit.0, 20);
    }
    let more = notional.saturating_sub(released_notional);
    match finances.capital.needed(facts.exposure, order.side, facts.added(), more) {
        Some(used) if used <= limit => Ok(()),
        used => deny(DenialReason::AllocationExceeded, limit.0, used.map_or(i128::MAX, |used| used.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::Capital;
    use crate::types::{Money, OrderType, Price};

    /// 100.00 × 0.00010, and 0.00010.
    const NOTIONAL: i128 = 10_000_000_000_000_000;
    const QUANTITY: i128 = 100_000_000_000_000;

    #[test]
    fn what_is_free_pays_for_it() {
        for (side, needed) in [(Side::Buy, NOTIONAL), (Side::Sell, QUANTITY)] {
            let judge = |free| {
                let mut case = Case::new();
                case.intent.order.side = side;
                case.free = Money(free);
                case.with(super::check)
            };
            assert_eq!(judge(needed + 1), Ok(()));
            assert_eq!(judge(needed), Ok(()));
            assert_eq!(judge(needed - 1), denied(DenialReason::InsufficientBuyingPower, needed - 1, needed));
            assert_eq!(judge(0), denied(DenialReason::InsufficientBuyingPower, 0, needed));
            assert_eq!(judge(-5), denied(DenialReason::InsufficientBuyingPower, -5, needed));
        }
    }

    #[test]
    fn a_market_buy_pays_its_worst_price() {
        let mut case = Case::new();
        case.intent.order.order_type = OrderType::Market;
        case.intent.order.price = Price::ZERO;
        case.intent.stamp.ask = Price(10_000);
        case.instrument_limits.max_slippage_bps = 100;
        let worst = NOTIONAL / 100 * 101;
        case.free = Money(worst - 1);
        assert_eq!(case.with(super::check), denied(DenialReason::InsufficientBuyingPower, worst - 1, worst));
        case.free = Money(worst);
        assert_eq!(case.with(super::check), Ok(()));
    }

    #[test]
    fn the_allocation_covers_what_is_held_open_and_new() {
        let judge = |allocation| {
            let mut case = Case::new();
            case.exposure = exposure(50, 20, 0);
            case.capital = Capital::NONE;
            case.capital.cost = Money(NOTIONAL * 5);
            case.capital.reserve(Side::Buy, Money(NOTIONAL * 2));
            case.limits.allocation = Money(allocation);
            case.with(super::check)
        };
        let needed = NOTIONAL * 8;
        assert_eq!(judge(needed + 1), Ok(()));
        assert_eq!(judge(needed), Ok(()));
        assert_eq!(judge(needed - 1), denied(DenialReason::AllocationExceeded, needed - 1, needed));
        assert_eq!(judge(0), denied(DenialReason::LimitNotConfigured, 0, 20));
        assert_eq!(judge(-1), denied(DenialReason::LimitNotConfigured, -1, 20));
    }

    #[test]
    fn closing_needs_none_of_it() {
        let mut case = Case::new();
        case.intent.order.side = Side::Sell;
        case.exposure = exposure(50, 0, 40);
        case.capital.cost = Money(NOTIONAL);
        case.capital.reserve(Side::Sell, Money(NOTIONAL * 100));
        case.limits.allocation = Money(1);
        assert_eq!(case.with(super::check), Ok(()));
        case.exposure = exposure(50, 0, 41);
        assert!(matches!(case.with(super::check), Err(Denial { reason: DenialReason::AllocationExceeded, .. })));
    }

    #[test]
    fn overflow_denies() {
        let mut case = Case::new();
        case.capital.cost = Money(i128::MAX);
        case.limits.allocation = Money(i128::MAX);
        assert_eq!(case.with(super::check), denied(DenialReason::AllocationExceeded, i128::MAX, i128::MAX));
        case.intent.order.price = Price(i64::MAX);
        case.intent.order.quantity = Quantity(i64::MAX);
        assert!(matches!(case.with(super::check), Err(Denial { reason: DenialReason::NotionalOverflow, .. })));
    }
}
