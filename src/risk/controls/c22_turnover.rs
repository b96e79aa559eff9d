//! C22: what a strategy trades within a rolling window and within a day.

use super::c19_exposure::stale;
use super::{Facts, deny, unconfigured};
use crate::portfolio::Rounding;
use crate::types::{Denial, DenialReason, Money};

/// What was traded, what open orders would trade at their worst prices, and this order. The window is counted in seventh
/// parts: what was traded counts for the window and at most one part more. `limit` and `observed` are [`Money`]
/// in the account's currency.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (limits, finances, order) = (facts.strategy_limits, &facts.finances, &facts.intent.order);
    let (window_max, day_max, window_ns) = (limits.max_turnover, limits.max_daily_turnover, limits.turnover_window_ns);
    if window_max <= Money::ZERO || day_max <= Money::ZERO || window_ns == 0 {
        let first = if window_max <= Money::ZERO { window_max } else { day_max.min(Money::ZERO) };
        return unconfigured(first.0, 22);
    }
    let Some(instrument) = facts.instrument else {
        return deny(DenialReason::UnknownInstrument, 0, order.instrument.0);
    };
    let Some(notional) = facts.terms.notional else {
        return deny(DenialReason::NotionalOverflow, limits.max_turnover.0, i128::MAX);
    };
    let (results, age_ns_max) = (finances.results, facts.account_limits.max_rate_age_ns);
    let new = finances.rates.value(notional, instrument.quote, facts.now, age_ns_max, Rounding::Up);
    let (open, new) = match (results.open(finances.rates, facts.now, age_ns_max), new) {
        (Ok(open), Ok(new)) => (open, new),
        (Err(error), _) | (_, Err(error)) => return stale(age_ns_max, error),
    };
    let more = open.saturating_add(new);
    let window = results.window_turnover(facts.now, window_ns).saturating_add(more);
    if window > window_max {
        return deny(DenialReason::MaxTurnover, window_max.0, window.0);
    }
    let day = results.day_turnover().saturating_add(more);
    if day > day_max {
        return deny(DenialReason::MaxDailyTurnover, day_max.0, day.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::portfolio::Rates;
    use crate::types::{AssetId, Money, Price};

    /// 100.00 × 0.00010.
    const NOTIONAL: i128 = 10_000_000_000_000_000;

    /// With three orders' worth traded, and one open.
    fn case() -> Case {
        let mut case = Case::new();
        case.results.trade_in(AssetId(1));
        case.results.purse_mut(AssetId(1)).expect("just made").open = Money(NOTIONAL);
        case.results.traded(NOW, case.strategy_limits.turnover_window_ns, Money(3 * NOTIONAL));
        case
    }

    #[test]
    fn window_and_day() {
        let judge = |window, day| {
            let mut case = case();
            case.strategy_limits.max_turnover = Money(window);
            case.strategy_limits.max_daily_turnover = Money(day);
            case.with(super::check)
        };
        let (far, would_be) = (i128::MAX, 5 * NOTIONAL);
        assert_eq!(judge(would_be + 1, far), Ok(()));
        assert_eq!(judge(would_be, far), Ok(()));
        assert_eq!(judge(would_be - 1, far), denied(DenialReason::MaxTurnover, would_be - 1, would_be));
        assert_eq!(judge(far, would_be + 1), Ok(()));
        assert_eq!(judge(far, would_be), Ok(()));
        assert_eq!(judge(far, would_be - 1), denied(DenialReason::MaxDailyTurnover, would_be - 1, would_be));
        for limit in [0, -1] {
            assert_eq!(judge(limit, far), denied(DenialReason::LimitNotConfigured, limit, 22));
            assert_eq!(judge(far, limit), denied(DenialReason::LimitNotConfigured, limit, 22));
        }
        let mut case = case();
        case.strategy_limits.turnover_window_ns = 0;
        assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 22));
    }

    #[test]
    fn what_has_no_value_and_what_does_not_fit() {
        let mut case = case();
        case.rates = Rates::NONE;
        let age = i128::from(case.account_limits.max_rate_age_ns);
        assert_eq!(case.with(super::check), denied(DenialReason::StaleFx, age, i128::MAX));
        let mut case = self::case();
        case.results.traded(NOW, case.strategy_limits.turnover_window_ns, Money(i128::MAX));
        assert!(matches!(case.with(super::check), Err(Denial { reason: DenialReason::MaxTurnover, .. })));
        case.intent.order.price = Price(i64::MAX);
        case.intent.order.quantity = Quantity(i64::MAX);
        assert!(matches!(case.with(super::check), Err(Denial { reason: DenialReason::NotionalOverflow, .. })));
    }
}
