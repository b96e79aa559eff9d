//! C03: the trading state, and orders that say themselves that they may only reduce.

use super::{Facts, deny, room};
use crate::risk::exposure::Exposure;
use crate::types::{Denial, DenialReason, Side, TradingState};

/// `limit` and `observed` of a reduce-only denial: the quantity that could still be reduced, and the order's (of one that
/// excludes the order whose place it takes, what it has more than that one).
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let order = &facts.intent.order;
    match facts.trading_state.max(facts.instrument_state) {
        TradingState::Halted => return deny(DenialReason::Halted, 0, 1),
        TradingState::CancelOnly => return deny(DenialReason::CancelOnly, 0, 1),
        TradingState::Active | TradingState::ReduceOnly => {}
    }
    if order.is_reduce_only || facts.trading_state == TradingState::ReduceOnly {
        reduces(facts.exposure, order.side, facts.added())?;
    }
    if facts.instrument_state == TradingState::ReduceOnly {
        reduces(facts.instrument_exposure, order.side, facts.added())?;
    }
    Ok(())
}

/// Whether the position comes closer to zero, and no further than zero.
fn reduces(exposure: &Exposure, side: Side, added: i128) -> Result<(), Denial> {
    let room = room(exposure, side);
    if added <= room {
        return Ok(());
    }
    deny(DenialReason::ReduceOnlyIncrease, room, added)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    fn verdict(state: TradingState, side: Side, quantity: i64, booked: i64, open_sells: i64) -> Result<(), Denial> {
        let mut case = Case::new();
        case.intent.order.side = side;
        case.intent.order.quantity = Quantity(quantity);
        case.exposure = exposure(booked, 0, open_sells);
        case.with(|facts| super::check(&Facts { trading_state: state, ..*facts }))
    }

    #[test]
    fn states_from_most_to_least() {
        assert_eq!(verdict(TradingState::Active, Side::Buy, 11, 0, 0), Ok(()));
        assert_eq!(verdict(TradingState::CancelOnly, Side::Sell, 1, 10, 0), denied(DenialReason::CancelOnly, 0, 1));
        assert_eq!(verdict(TradingState::Halted, Side::Sell, 1, 10, 0), denied(DenialReason::Halted, 0, 1));
    }

    #[test]
    fn reduce_only_up_to_zero_and_not_past_it() {
        let state = TradingState::ReduceOnly;
        assert_eq!(verdict(state, Side::Sell, 9, 10, 0), Ok(()));
        assert_eq!(verdict(state, Side::Sell, 10, 10, 0), Ok(()));
        assert_eq!(verdict(state, Side::Sell, 11, 10, 0), denied(DenialReason::ReduceOnlyIncrease, 10, 11));
        assert_eq!(verdict(state, Side::Sell, 6, 10, 6), denied(DenialReason::ReduceOnlyIncrease, 4, 6));
        assert_eq!(verdict(state, Side::Sell, 1, 0, 0), denied(DenialReason::ReduceOnlyIncrease, 0, 1));
        assert_eq!(verdict(state, Side::Buy, 1, 10, 0), denied(DenialReason::ReduceOnlyIncrease, 0, 1));
        assert_eq!(verdict(state, Side::Buy, 10, -10, 0), Ok(()));
        assert_eq!(verdict(state, Side::Buy, 11, -10, 0), denied(DenialReason::ReduceOnlyIncrease, 10, 11));
        assert_eq!(
            verdict(state, Side::Sell, i64::MAX, i64::MIN, i64::MAX),
            denied(DenialReason::ReduceOnlyIncrease, 0, i128::from(i64::MAX))
        );
    }

    #[test]
    fn an_order_may_ask_for_it_and_an_instrument_may_be_in_it() {
        let mut case = Case::new();
        case.intent.order.is_reduce_only = true;
        assert_eq!(case.with(super::check), denied(DenialReason::ReduceOnlyIncrease, 0, 10));
        case.intent.order.is_reduce_only = false;
        case.exposure = exposure(-10, 0, 0);
        let instrument_state = TradingState::ReduceOnly;
        let verdict = case.with(|facts| super::check(&Facts { instrument_state, ..*facts }));
        assert_eq!(verdict, denied(DenialReason::ReduceOnlyIncrease, 0, 10));
        case.instrument_exposure = exposure(-10, 0, 0);
        let verdict = case.with(|facts| super::check(&Facts { instrument_state, ..*facts }));
        assert_eq!(verdict, Ok(()));
    }
}
