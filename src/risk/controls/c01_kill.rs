//! C01: the kill switch of the whole engine.

use super::{Facts, deny};
use crate::risk::kill::KillScope;
use crate::types::{Denial, DenialReason};

/// `observed`: the generation of the kill switch.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    if !facts.kills.has(KillScope::Engine) {
        return Ok(());
    }
    deny(DenialReason::KillSwitchActive, 0, facts.kills.generation())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::{KillScope, KillSwitch};

    #[test]
    fn a_kill_of_the_engine_denies_until_it_is_released() {
        let case = Case::new();
        assert_eq!(case.with(super::check), Ok(()));
        let switch = KillSwitch::new();
        let judge = |switch: &KillSwitch| {
            let kills = switch.read();
            case.with(|facts| super::check(&Facts { kills: &kills, ..*facts }))
        };
        switch.kill(KillScope::Engine);
        assert_eq!(judge(&switch), denied(DenialReason::KillSwitchActive, 0, 1));
        switch.kill(KillScope::Engine);
        assert_eq!(judge(&switch), denied(DenialReason::KillSwitchActive, 0, 2));
        switch.release(KillScope::Engine);
        assert_eq!(judge(&switch), Ok(()));
    }
}
