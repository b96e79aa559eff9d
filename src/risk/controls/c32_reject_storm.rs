//! C32: the venue refuses too many orders, of the strategy or of the account.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// It stays so until a person resets it: whatever the venue refuses, more of it is not the answer. `limit` and `observed`
/// are refusals within the window, when it tripped.
#[inline]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (strategy, account) = (facts.strategy_limits, facts.account_limits);
    for (most, window, rejects) in [
        (strategy.max_rejects, strategy.reject_window_ns, &facts.strategy_breakers.rejects),
        (account.max_rejects, account.reject_window_ns, &facts.account_breakers.rejects),
    ] {
        if most == 0 || window == 0 {
            return unconfigured(0, 32);
        }
        if let Some(count) = rejects.tripped() {
            return deny(DenialReason::RejectStorm, most, count);
        }
    }
    Ok(())
}
