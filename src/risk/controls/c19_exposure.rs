//! C19: what all positions of the account are worth in its currency, each at its worst end.

use super::{Facts, deny, unconfigured};
use crate::portfolio::{RateError, Rounding};
use crate::risk::worth::Worth;
use crate::types::{Denial, DenialReason, Money};

/// `limit` and `observed` are [`Money`] in the account's currency, for `STALE_FX` ages in nanoseconds. Gross is the sum of
/// the sizes of all worst ends; an order that does not add to it passes. Net is the sum of all upper ends for a buy, of
/// all lower ends for a sell, as one moves only the one and one only the other.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (limits, finances, order) = (facts.account_limits, &facts.finances, &facts.intent.order);
    let (gross_max, net_max, age_ns_max) = (limits.max_gross, limits.max_net, limits.max_rate_age_ns);
    if gross_max <= Money::ZERO || net_max <= Money::ZERO || age_ns_max == 0 {
        let first = if gross_max <= Money::ZERO { gross_max } else { net_max.min(Money::ZERO) };
        return unconfigured(first.0, 19);
    }
    let Some(instrument) = facts.instrument else {
        return deny(DenialReason::UnknownInstrument, 0, order.instrument.0);
    };
    let (before, side) = (&finances.market, order.side);
    let after = before.with(side, facts.instrument_exposure.worst(side) + facts.added(), finances.unit);
    let (gross_before, gross_after) = (before.gross(), after.gross());
    let (mut gross, mut net) = (Money::ZERO, Money::ZERO);
    for worth in finances.account {
        let (mut size, mut end) = (worth.gross, worth.end(side));
        if worth.asset == instrument.quote {
            // All are within their bounds, as in `QuoteWorth::moved`.
            size = Money(size.0 - gross_before.0 + gross_after.0);
            end = Money(end.0 - before.end(side).0 + after.end(side).0);
        } else if size == Money::ZERO {
            continue;
        }
        let value = |amount| match finances.rates.value(amount, worth.asset, facts.now, age_ns_max, Rounding::Up) {
            // What does not fit is past every limit.
            Err(RateError::Overflow) => Ok(Worth::MAX),
            other => other,
        };
        match (value(size), value(end)) {
            (Ok(size), Ok(end)) => (gross, net) = (gross.saturating_add(size), net.saturating_add(end)),
            (Err(error), _) | (_, Err(error)) => return stale(age_ns_max, error),
        }
    }
    if gross > gross_max && (gross_after > gross_before || gross_after >= Worth::MAX) {
        return deny(DenialReason::MaxGross, gross_max.0, gross.0);
    }
    if net > net_max {
        return deny(DenialReason::MaxNet, net_max.0, net.0);
    }
    Ok(())
}

/// The denial for want of a rate: how old it may be and is, or the end of the range where there is none.
#[cold]
pub(super) fn stale(age_ns_max: u64, error: RateError) -> Result<(), Denial> {
    let observed = match error {
        RateError::Stale { age_ns } => i128::from(age_ns),
        RateError::Missing | RateError::Overflow => i128::MAX,
    };
    deny(DenialReason::StaleFx, age_ns_max, observed)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::portfolio::{Rate, Rates};
    use crate::risk::worth::{QuoteWorth, Worth};
    use crate::types::{AssetId, Money, Price};

    /// 0.00001 at the mid of 100.00.
    const UNIT: i128 = 1_000_000_000_000_000;
    const EUR: AssetId = AssetId(2);

    /// A buy of 10 at 100.00, with this position in the same instrument and these worths elsewhere.
    fn case(side: Side, held: Exposure, gross: i128, net: i128) -> Case {
        let mut case = Case::new();
        case.intent.order.side = side;
        case.instrument_exposure = held;
        case.account_limits.max_gross = Money(gross * UNIT);
        case.account_limits.max_net = Money(net * UNIT);
        let market = Worth::of(&held, Worth::unit(Price(10_000), &case.instrument));
        case.market = market;
        case.account = vec![QuoteWorth { asset: AssetId(1), ..QuoteWorth::default() }.moved(&Worth::NONE, &market)];
        case
    }

    fn judge(side: Side, held: Exposure, gross: i128, net: i128) -> Result<(), Denial> {
        case(side, held, gross, net).with(super::check)
    }

    fn units(reason: DenialReason, limit: i128, observed: i128) -> Result<(), Denial> {
        denied(reason, limit * UNIT, observed * UNIT)
    }

    #[test]
    fn gross_at_the_worst_end() {
        let held = exposure(90, 5, 50);
        assert_eq!(judge(Side::Buy, held, 106, 1_000), Ok(()));
        assert_eq!(judge(Side::Buy, held, 105, 1_000), Ok(()));
        assert_eq!(judge(Side::Buy, held, 104, 1_000), units(DenialReason::MaxGross, 104, 105));
        assert_eq!(judge(Side::Sell, held, 94, 1_000), Ok(()), "adds nothing to it");
        assert_eq!(judge(Side::Sell, exposure(-90, 50, 5), 104, 1_000), units(DenialReason::MaxGross, 104, 105));
        assert_eq!(judge(Side::Buy, held, 0, 1_000), denied(DenialReason::LimitNotConfigured, 0, 19));
        assert_eq!(judge(Side::Buy, held, -1, 1_000), units(DenialReason::LimitNotConfigured, -1, 0).map_err(|denial| Denial { observed: 19, ..denial }));
    }

    #[test]
    fn net_at_the_end_that_the_order_moves() {
        let held = exposure(90, 5, 0);
        assert_eq!(judge(Side::Buy, held, 1_000, 106), Ok(()));
        assert_eq!(judge(Side::Buy, held, 1_000, 105), Ok(()));
        assert_eq!(judge(Side::Buy, held, 1_000, 104), units(DenialReason::MaxNet, 104, 105));
        assert_eq!(judge(Side::Sell, held, 1_000, 1), Ok(()));
        assert_eq!(judge(Side::Sell, exposure(-90, 0, 5), 1_000, 105), Ok(()));
        assert_eq!(judge(Side::Sell, exposure(-90, 0, 5), 1_000, 104), units(DenialReason::MaxNet, 104, 105));
        assert_eq!(judge(Side::Buy, held, 1_000, 0), denied(DenialReason::LimitNotConfigured, 0, 19));
    }

    #[test]
    fn other_positions_count_at_their_rates() {
        let mut case = case(Side::Buy, exposure(0, 0, 0), 31, 31);
        let elsewhere = QuoteWorth { asset: EUR, gross: Money(10 * UNIT), long: Money(10 * UNIT), short: Money::ZERO };
        case.account.push(elsewhere);
        assert_eq!(case.with(super::check), denied(DenialReason::StaleFx, case.account_limits.max_rate_age_ns.into(), i128::MAX));
        let mut rates = Rates::new(Some(AssetId(1)), 3);
        rates.set(EUR, Rate::of_base(Price(2), 0, NOW).expect("positive"));
        case.rates = rates.clone();
        assert_eq!(case.with(super::check), Ok(()));
        case.account_limits.max_net = Money(29 * UNIT);
        assert_eq!(case.with(super::check), units(DenialReason::MaxNet, 29, 30));
        case.account_limits.max_gross = Money(29 * UNIT);
        assert_eq!(case.with(super::check), units(DenialReason::MaxGross, 29, 30));
        case.account_limits.max_gross = Money(30 * UNIT);
        case.account_limits.max_net = Money(30 * UNIT);
        // One nanosecond too old, and the age itself.
        case.account_limits.max_rate_age_ns = 7;
        for (age, verdict) in [(7, Ok(())), (8, denied(DenialReason::StaleFx, 7, 8))] {
            let at = crate::types::Timestamp::from_nanos(NOW.nanos() - age);
            rates.set(EUR, Rate::of_base(Price(2), 0, at).expect("positive"));
            case.rates = rates.clone();
            assert_eq!(case.with(super::check), verdict);
        }
        case.account_limits.max_rate_age_ns = 0;
        assert_eq!(case.with(super::check), denied(DenialReason::LimitNotConfigured, 0, 19));
    }

    #[test]
    fn without_a_currency_nothing_passes_and_what_does_not_fit_is_past_every_limit() {
        let mut case = case(Side::Buy, exposure(0, 0, 0), 1_000, 1_000);
        case.rates = Rates::NONE;
        assert_eq!(case.with(super::check), denied(DenialReason::StaleFx, case.account_limits.max_rate_age_ns.into(), i128::MAX));
        let mut case = self::case(Side::Buy, exposure(i64::MAX, i64::MAX, 0), 1_000, 1_000);
        case.unit = Worth::unit(Price(i64::MAX), &case.instrument);
        case.intent.order.quantity = Quantity(i64::MAX);
        let verdict = case.with(super::check).expect_err("far past it");
        assert_eq!(verdict.reason, DenialReason::MaxGross);
        assert!(verdict.observed >= Worth::MAX.0 / 2);
    }
}
