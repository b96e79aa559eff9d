//! C01: the kill switch.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason};

/// `observed`: how often the kill word was set.
#[inline]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    if facts.kill_generation == 0 {
        return Ok(());
    }
    deny(DenialReason::KillSwitchActive, 0, facts.kill_generation)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;

    #[test]
    fn any_kill_denies() {
        let case = Case::new();
        assert_eq!(case.with(super::check), Ok(()));
        for generation in [1, u64::MAX] {
            let verdict = case.with(|facts| super::check(&Facts { kill_generation: generation, ..*facts }));
            assert_eq!(verdict, denied(DenialReason::KillSwitchActive, 0, i128::from(generation)));
        }
    }
}
