//! C04: no order before the venue's order session is ready and a round of reconciliation has ended in it.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason, SessionState};

/// The gateway is ready only when it has reconciled; risk counts the rounds itself. `limit` and `observed`: the numbers of
/// [`SessionState`]s, `Reconciling` where the round is missing.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    match facts.session {
        Some(SessionState::Ready) if !facts.is_reconciled => {
            deny(DenialReason::NotReady, SessionState::Ready as u8, SessionState::Reconciling as u8)
        }
        Some(SessionState::Ready) | None => Ok(()),
        Some(state) => deny(DenialReason::NotReady, SessionState::Ready as u8, state as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::SessionState;

    #[test]
    fn only_a_ready_session_takes_orders() {
        let case = Case::new();
        for (state, number) in [(SessionState::Down, 0), (SessionState::LoggingOn, 1), (SessionState::Reconciling, 2)] {
            let verdict = case.with(|facts| super::check(&Facts { session: Some(state), ..*facts }));
            assert_eq!(verdict, denied(DenialReason::NotReady, 3, number));
        }
        assert_eq!(case.with(super::check), Ok(()));
        let verdict = case.with(|facts| super::check(&Facts { is_reconciled: false, ..*facts }));
        assert_eq!(verdict, denied(DenialReason::NotReady, 3, 2));
    }
}
