//! C34: the fate of too many orders is not proven, or of one for too long.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// `limit` and `observed` are orders in doubt at the account, or how long the oldest has been, in ns.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (most, age_max) = (facts.account_limits.max_unknown, facts.account_limits.max_unknown_age_ns);
    if most == 0 || age_max == 0 {
        return unconfigured(0, 34);
    }
    let count = facts.account_breakers.unknown_count;
    if count > most {
        return deny(DenialReason::TooManyUnknown, most, count);
    }
    let Some(since) = facts.account_breakers.oldest_unknown().filter(|_| count > 0) else { return Ok(()) };
    let age = facts.now.since(since);
    if age > age_max { deny(DenialReason::TooManyUnknown, age_max, age) } else { Ok(()) }
}
