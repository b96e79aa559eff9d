//! C23: what a strategy may lose in a day, and how far its profit may fall below its best.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason, Money};

/// A limit that is passed latches, the day's until the next one, the drawdown's until a person sets it back; orders that
/// reduce the strategy's position pass all the same. `limit` and `observed` are [`Money`] in the account's currency: the
/// limit, and the loss or drawdown that passed it.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (limits, results) = (facts.strategy_limits, facts.finances.results);
    within(facts, DenialReason::DailyLossLimit, limits.max_daily_loss, results.loss(), results.loss_tripped())?;
    within(facts, DenialReason::MaxDrawdown, limits.max_drawdown, results.drawdown(), results.drawdown_tripped())
}

#[inline(always)]
fn within(
    facts: &Facts<'_>,
    reason: DenialReason,
    limit: Money,
    found: Money,
    tripped: Option<Money>,
) -> Result<(), Denial> {
    if limit <= Money::ZERO {
        return unconfigured(limit.0, 23);
    }
    if (tripped.is_none() && found <= limit) || facts.is_reducing() {
        return Ok(());
    }
    deny(reason, limit.0, tripped.map_or(found, |tripped| tripped.max(found)).0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::portfolio::Rates;
    use crate::types::{AssetId, Money};

    const USDT: AssetId = AssetId(1);

    /// With a loss of 100.
    fn case() -> Case {
        let mut case = Case::new();
        case.results.trade_in(USDT);
        profit(&mut case, -100);
        case
    }

    fn profit(case: &mut Case, amount: i128) {
        case.results.purse_mut(USDT).expect("traded in").profit = Money(amount);
        case.results.count(&Rates::new(Some(USDT), 2));
    }

    fn judge(loss: i128, drawdown: i128) -> Result<(), Denial> {
        let mut case = case();
        case.strategy_limits.max_daily_loss = Money(loss);
        case.strategy_limits.max_drawdown = Money(drawdown);
        case.with(super::check)
    }

    #[test]
    fn one_unit_over_is_over() {
        assert_eq!(judge(101, 1_000), Ok(()));
        assert_eq!(judge(100, 1_000), Ok(()));
        assert_eq!(judge(99, 1_000), denied(DenialReason::DailyLossLimit, 99, 100));
        assert_eq!(judge(1_000, 101), Ok(()));
        assert_eq!(judge(1_000, 100), Ok(()));
        assert_eq!(judge(1_000, 99), denied(DenialReason::MaxDrawdown, 99, 100));
        for limit in [0, -1] {
            assert_eq!(judge(limit, 1_000), denied(DenialReason::LimitNotConfigured, limit, 23));
            assert_eq!(judge(1_000, limit), denied(DenialReason::LimitNotConfigured, limit, 23));
        }
    }

    #[test]
    fn orders_that_reduce_pass() {
        let mut case = case();
        case.strategy_limits.max_daily_loss = Money(1);
        case.exposure = exposure(-10, 0, 0);
        assert_eq!(case.with(super::check), Ok(()));
        case.exposure = exposure(-10, 1, 0);
        assert_eq!(case.with(super::check), denied(DenialReason::DailyLossLimit, 1, 100));
    }

    #[test]
    fn the_drawdown_is_from_the_best() {
        let mut case = case();
        profit(&mut case, 500);
        profit(&mut case, 300);
        case.strategy_limits.max_drawdown = Money(199);
        assert_eq!(case.with(super::check), denied(DenialReason::MaxDrawdown, 199, 200));
        case.strategy_limits.max_drawdown = Money(200);
        assert_eq!(case.with(super::check), Ok(()));
    }

    #[test]
    fn a_loss_at_the_end_of_the_range_is_over() {
        let mut case = case();
        profit(&mut case, i128::MIN);
        case.strategy_limits.max_daily_loss = Money(i128::MAX - 1);
        assert_eq!(case.with(super::check), denied(DenialReason::DailyLossLimit, i128::MAX - 1, i128::MAX));
    }
}
