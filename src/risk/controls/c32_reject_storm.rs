//! C32: the venue refuses too many orders, of the strategy or of the account.

use super::{Facts, deny, unconfigured};
use crate::risk::breakers::Rejects;
use crate::types::{Denial, DenialReason};

/// It stays so until a person resets it: whatever the venue refuses, more of it is not the answer. `limit` and `observed`
/// are refusals within the window, when it tripped.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (strategy, account) = (facts.strategy_limits, facts.account_limits);
    none(strategy.max_rejects, strategy.reject_window_ns, &facts.strategy_breakers.rejects)?;
    none(account.max_rejects, account.reject_window_ns, &facts.account_breakers.rejects)
}

#[inline(always)]
fn none(most: u32, window_ns: u64, rejects: &Rejects) -> Result<(), Denial> {
    if most == 0 || window_ns == 0 {
        return unconfigured(0, 32);
    }
    match rejects.tripped() {
        None => Ok(()),
        Some(count) => deny(DenialReason::RejectStorm, most, count),
    }
}
