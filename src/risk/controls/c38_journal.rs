//! C38: no order that cannot be written down.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason, JournalHealth};

/// `limit` and `observed` are [`JournalHealth`]s as numbers. Cancels and what the venue reports have a reserve.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    if facts.journal == JournalHealth::Ample {
        return Ok(());
    }
    deny(DenialReason::JournalUnavailable, JournalHealth::Ample as i128, facts.journal as i128)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::JournalHealth;

    #[test]
    fn anything_but_ample_denies() {
        let judge = |journal| Case::new().with(|facts| super::check(&Facts { journal, ..*facts }));
        assert_eq!(judge(JournalHealth::Ample), Ok(()));
        for (health, number) in [(JournalHealth::Short, 1), (JournalHealth::Scarce, 2), (JournalHealth::Gone, 3)] {
            assert_eq!(judge(health), denied(DenialReason::JournalUnavailable, 0, number));
        }
    }
}
