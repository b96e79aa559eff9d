//! How much of the venue's own request limits is used, as the venue counts.

use crate::types::Timestamp;

const MINUTE_NS: u64 = 60_000_000_000;
const TEN_SECONDS_NS: u64 = 10_000_000_000;

/// What the newest answer of the venue said. A limit of zero: the venue states none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Request weight used in the running minute.
    pub used_weight: u32,
    /// Request weight that is allowed in a minute.
    pub weight_limit: u32,
    /// Orders counted in the running ten seconds.
    pub used_orders: u32,
    /// Orders that are allowed in ten seconds.
    pub order_limit: u32,
    /// When it was received. What it counted is forgotten with its window: no later than a minute, or ten seconds, from
    /// here.
    pub received_ns: Timestamp,
}

impl Budget {
    /// The venue has said nothing.
    pub const NONE: Self =
        Self { used_weight: 0, weight_limit: 0, used_orders: 0, order_limit: 0, received_ns: Timestamp::UNKNOWN };

    /// What is used of which limit, as pairs, at this instant: weight, then orders.
    #[inline]
    pub(super) fn used(&self, now: Timestamp) -> [(u32, u32); 2] {
        let age = now.since(self.received_ns);
        let within = |window, used| if age < window { used } else { 0 };
        [
            (within(MINUTE_NS, self.used_weight), self.weight_limit),
            (within(TEN_SECONDS_NS, self.used_orders), self.order_limit),
        ]
    }
}
