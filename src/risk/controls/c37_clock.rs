//! C37: the venue's clock and ours agree.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// `limit` and `observed` are ns between the clocks; after a jump of the wall clock, until the next measurement, how far
/// it jumped.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let most = facts.account_limits.max_clock_skew_ns;
    if most == 0 {
        return unconfigured(0, 37);
    }
    let breakers = facts.account_breakers;
    if breakers.clock_jump_ns != 0 {
        return deny(DenialReason::ClockSkew, most, breakers.clock_jump_ns);
    }
    if breakers.clock_offset_ns.unsigned_abs() > most {
        return deny(DenialReason::ClockSkew, most, breakers.clock_offset_ns);
    }
    Ok(())
}
