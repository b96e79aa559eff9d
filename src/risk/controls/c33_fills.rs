//! C33: fills come too fast, or one was too far from the price that was decided on.

use super::{Facts, deny, unconfigured};
use crate::types::{Denial, DenialReason};

/// It stays so until a person resets it; orders that reduce the position pass. `limit` and `observed` are fills within a
/// second, or basis points, when it tripped.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let (limits, breakers) = (facts.strategy_limits, facts.strategy_breakers);
    if limits.max_fills_per_second == 0 || limits.max_fill_slippage_bps == 0 {
        return unconfigured(0, 33);
    }
    let tripped = match (breakers.fill_rate_tripped, breakers.slippage_tripped) {
        (Some(count), _) => (DenialReason::FillRate, limits.max_fills_per_second, i128::from(count)),
        (None, Some(bps)) => (DenialReason::Slippage, limits.max_fill_slippage_bps, bps),
        (None, None) => return Ok(()),
    };
    if facts.is_reducing() { Ok(()) } else { deny(tripped.0, tripped.1, tripped.2) }
}
