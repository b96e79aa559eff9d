//! C07: the venue trades the instrument now.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason, InstrumentStatus};

/// `observed`: the number of the [`InstrumentStatus`].
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let status = facts.instrument.map_or(InstrumentStatus::Unknown, |instrument| instrument.status);
    match status {
        InstrumentStatus::Trading => Ok(()),
        InstrumentStatus::Unknown | InstrumentStatus::Halted => {
            deny(DenialReason::InstrumentHalted, InstrumentStatus::Trading as u8, status as u8)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::InstrumentStatus;

    #[test]
    fn only_trading_instruments_trade() {
        let mut case = Case::new();
        assert_eq!(case.with(super::check), Ok(()));
        case.instrument.status = InstrumentStatus::Halted;
        assert_eq!(case.with(super::check), denied(DenialReason::InstrumentHalted, 1, 2));
        case.instrument.status = InstrumentStatus::Unknown;
        assert_eq!(case.with(super::check), denied(DenialReason::InstrumentHalted, 1, 0));
        let unknown = case.with(|facts| super::check(&Facts { instrument: None, ..*facts }));
        assert_eq!(unknown, denied(DenialReason::InstrumentHalted, 1, 0));
    }
}
