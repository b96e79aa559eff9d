//! C12: there is a price to judge by.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason};

/// The reference is the mid of a two-sided, uncrossed top of book. `limit` and `observed`: bid and ask.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let stamp = &facts.intent.stamp;
    if stamp.bid.0 > 0 && stamp.bid < stamp.ask {
        return Ok(());
    }
    deny(DenialReason::NoReferencePrice, stamp.bid.0, stamp.ask.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::Price;

    #[test]
    fn both_sides_and_not_crossed() {
        let mut case = Case::new();
        for (bid, ask, is_good) in
            [(1, 2, true), (2, 2, false), (3, 2, false), (0, 2, false), (2, 0, false), (0, 0, false), (-2, 2, false)]
        {
            case.intent.stamp.bid = Price(bid);
            case.intent.stamp.ask = Price(ask);
            let refusal = denied(DenialReason::NoReferencePrice, i128::from(bid), i128::from(ask));
            assert_eq!(case.with(super::check), if is_good { Ok(()) } else { refusal });
        }
    }
}
