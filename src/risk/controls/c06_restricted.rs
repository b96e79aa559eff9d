//! C06: the restricted list, of instruments or of one side of them. A hard block: reducing orders too.

use super::{Facts, deny};
use crate::risk::Restriction;
use crate::types::{Denial, DenialReason, Side};

#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    match (facts.instrument_limits.restriction, facts.intent.order.side) {
        (Restriction::None, _) | (Restriction::Buys, Side::Sell) | (Restriction::Sells, Side::Buy) => Ok(()),
        _ => deny(DenialReason::RestrictedSymbol, 0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::{InstrumentLimits, Restriction};

    #[test]
    fn each_side_or_both() {
        let refusal = denied(DenialReason::RestrictedSymbol, 0, 1);
        for (restriction, buy, sell) in [
            (Restriction::None, Ok(()), Ok(())),
            (Restriction::Buys, refusal, Ok(())),
            (Restriction::Sells, Ok(()), refusal),
            (Restriction::Both, refusal, refusal),
            (InstrumentLimits::NONE.restriction, refusal, refusal),
        ] {
            let mut case = Case::new();
            case.instrument_limits.restriction = restriction;
            assert_eq!(case.with(super::check), buy, "{restriction:?}");
            case.intent.order.side = Side::Sell;
            assert_eq!(case.with(super::check), sell, "{restriction:?}");
        }
    }
}
