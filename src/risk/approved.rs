//! The proof that an order passed every control.

use crate::pipeline::lane::{Receiver, Sender, lane_of};
use crate::types::{Order, Timestamp};

/// An order that passed every control, and its instants. Its fields are private and only risk makes one, so a gateway,
/// which takes nothing else, cannot be handed an order that was not checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Approved {
    order: Order,
    received_ns: Timestamp,
    decided_ns: Timestamp,
    approved_ns: Timestamp,
    only_if_unfilled: bool,
}

const _: () = assert!(size_of::<Approved>() <= 96);

impl Approved {
    pub(super) const fn new(
        order: Order,
        received_ns: Timestamp,
        decided_ns: Timestamp,
        approved_ns: Timestamp,
        only_if_unfilled: bool,
    ) -> Self {
        Self { order, received_ns, decided_ns, approved_ns, only_if_unfilled }
    }

    /// An order that no control saw, for the tests of the stage behind risk.
    #[cfg(test)]
    pub(crate) const fn unchecked(order: Order) -> Self {
        Self::new(order, Timestamp::UNKNOWN, Timestamp::UNKNOWN, Timestamp::UNKNOWN, false)
    }

    /// The same, to take its place only while the replaced order has no fill.
    #[cfg(test)]
    pub(crate) const fn unchecked_if_unfilled(order: Order) -> Self {
        Self { only_if_unfilled: true, ..Self::unchecked(order) }
    }

    /// The order.
    #[must_use]
    pub const fn order(&self) -> &Order {
        &self.order
    }

    /// When the bytes were received that led to it.
    #[must_use]
    pub const fn received_ns(&self) -> Timestamp {
        self.received_ns
    }

    /// When the shard handed those to the strategy.
    #[must_use]
    pub const fn decided_ns(&self) -> Timestamp {
        self.decided_ns
    }

    /// When risk took the intent.
    #[must_use]
    pub const fn approved_ns(&self) -> Timestamp {
        self.approved_ns
    }

    /// Whether the order may take the place of another only while that one has no fill: risk reserved for the larger of
    /// the two alone.
    #[must_use]
    pub const fn only_if_unfilled(&self) -> bool {
        self.only_if_unfilled
    }
}

/// The lane from risk to a gateway. Its slots are filled here, as nobody outside of risk can make an [`Approved`].
#[must_use]
pub fn approved_lane(capacity: usize) -> (Sender<Approved>, Receiver<Approved>) {
    const NEVER: Timestamp = Timestamp::UNKNOWN;
    lane_of(capacity, || Approved::new(Order::default(), NEVER, NEVER, NEVER, false))
}
