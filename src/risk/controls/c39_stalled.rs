//! C39: the strategy's thread works, and its orders come in time.

use super::{Facts, deny, unconfigured};
use crate::risk::breakers::SILENCE_MAX_NS;
use crate::types::{Denial, DenialReason};

/// `limit` and `observed` are ns from the decision to risk's taking the order; of a silent shard, the silence that is
/// allowed, and -1.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let most = facts.strategy_limits.max_lag_ns;
    if most == 0 {
        return unconfigured(0, 39);
    }
    if facts.is_shard_silent {
        return deny(DenialReason::StrategyStalled, SILENCE_MAX_NS, -1);
    }
    let lag = facts.now.since(facts.intent.decided_ns);
    if lag > most { deny(DenialReason::StrategyStalled, most, lag) } else { Ok(()) }
}
