//! What a gateway begins with, but for its keys: enough to build the same one again.

use super::wire::OpenOrder;
use super::{GatewayConfig, LastKnown};
use crate::types::VenueId;
use crate::types::binary::{binary_enum, binary_struct};
use crate::venue::binance::SessionKind;

/// What a gateway began with. Nothing secret is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GatewayStart {
    /// Whose orders.
    pub venue: VenueId,
    /// How its sessions prove who they are.
    pub session_kind: SessionKind,
    /// Orders on the wire at most.
    pub wire_capacity: usize,
    /// When an unanswered request makes its order's fate unknown.
    pub request_timeout_ns: u64,
    /// How often a round of reconciliation begins.
    pub reconcile_interval_ns: u64,
    /// The venue's clock less ours, in ns.
    pub clock_offset_ns: i64,
    /// By instrument id, the newest numbers that were known.
    pub last_known: Vec<LastKnown>,
    /// Orders that an earlier run may have sent and that were not proven ended.
    pub open_orders: Vec<OpenOrder>,
}

binary_enum!(SessionKind { 0 = LoggedOn, 1 = SignedEach });
binary_struct! {
    GatewayStart {
        venue, session_kind, wire_capacity, request_timeout_ns, reconcile_interval_ns, clock_offset_ns, last_known,
        open_orders,
    }
    LastKnown { venue_order_id, execution_id }
    OpenOrder { order, venue_order_id, booked, written_ns, is_cancel_wanted }
}

impl GatewayConfig {
    /// What of it is no secret and decides what the gateway does.
    #[must_use]
    pub fn start(&self) -> GatewayStart {
        GatewayStart {
            venue: self.venue,
            session_kind: self.encoder.kind(),
            wire_capacity: self.wire_capacity,
            request_timeout_ns: self.request_timeout_ns,
            reconcile_interval_ns: self.reconcile_interval_ns,
            clock_offset_ns: self.clock_offset_ns,
            last_known: self.last_known.clone(),
            open_orders: self.open_orders.clone(),
        }
    }
}
