//! C41: keys, venue and mode belong together, and this program and configuration are approved.

use super::Facts;
use crate::types::Denial;

/// It was found out at the start, for the whole engine: then every order is denied for that reason.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    match facts.identity {
        None => Ok(()),
        Some(denial) => Err(*denial),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn what_was_found_at_the_start_denies() {
        let case = Case::new();
        assert_eq!(case.with(super::check), Ok(()));
        for reason in [DenialReason::ModeMismatch, DenialReason::BuildNotApproved] {
            let denial = Denial { reason, limit: 1, observed: 2 };
            let verdict = case.with(|facts| super::check(&Facts { identity: Some(&denial), ..*facts }));
            assert_eq!(verdict, denied(reason, 1, 2));
        }
    }
}
