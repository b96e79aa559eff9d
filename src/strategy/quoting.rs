//! Keeping one order where a strategy wants it.

use super::context::Context;
use super::desk::NewOrder;
use crate::types::{ClientOrderId, InstrumentId, OrderStatus, OrderUpdate, Price, Quantity, Side, Timestamp};

/// One resting order on one side of one instrument, kept where its strategy wants it.
///
/// An order at another price or quantity is canceled, and the new one is sent when the cancel is confirmed: at no
/// time are there two, so that what may fill is never more than what is wanted. After a denial or a reject nothing is
/// sent for a while: what was refused once would be refused again, on every tick.
#[derive(Clone, Copy, Debug)]
pub struct Quoter {
    instrument: InstrumentId,
    side: Side,
    target: Option<(Price, Quantity)>,
    order: Option<ClientOrderId>,
    cool_down_ns: u64,
    resume_ns: Timestamp,
}

impl Quoter {
    /// No order; after a refusal none is sent for `cool_down_ms`.
    #[must_use]
    pub const fn new(instrument: InstrumentId, side: Side, cool_down_ms: u64) -> Self {
        Self {
            instrument,
            side,
            target: None,
            order: None,
            cool_down_ns: cool_down_ms.saturating_mul(1_000_000),
            resume_ns: Timestamp::UNKNOWN,
        }
    }

    /// Wants a post-only order at `price` for `quantity`, and does what can be done towards it now.
    pub fn quote(&mut self, context: &mut Context, price: Price, quantity: Quantity) {
        self.target = Some((price, quantity));
        self.advance(context);
    }

    /// Wants no order.
    pub fn withdraw(&mut self, context: &mut Context) {
        self.target = None;
        self.advance(context);
    }

    /// What is wanted.
    #[must_use]
    pub fn target(&self) -> Option<(Price, Quantity)> {
        self.target
    }

    /// The order there is, if there is one.
    #[must_use]
    pub fn order(&self) -> Option<ClientOrderId> {
        self.order
    }

    /// Takes an update of one of the strategy's orders. Answers whether it was of this quoter's.
    pub fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> bool {
        if self.order != Some(update.client_order_id) {
            return false;
        }
        if update.status.is_terminal() {
            self.order = None;
            match update.status {
                OrderStatus::Denied | OrderStatus::Rejected => {
                    self.resume_ns = context.now().plus(self.cool_down_ns);
                    // Wakes the strategy should nothing else; `advance` is called again in any case.
                    context.timer(self.resume_ns);
                }
                // What was wanted is done; the strategy decides anew.
                OrderStatus::Filled => self.target = None,
                _ => {}
            }
        }
        self.advance(context);
        true
    }

    /// Does what can be done now towards what is wanted: call it from `on_timer`.
    pub fn advance(&mut self, context: &mut Context) {
        if let Some(id) = self.order {
            let Some(order) = context.working_order(id).copied() else {
                self.order = None;
                return self.advance(context);
            };
            // A partial fill leaves the rest of what was wanted: that order is still the right one.
            let is_right = self.target.is_some_and(|target| target == (order.price, order.quantity));
            if !is_right && !order.is_cancel_wanted {
                context.cancel(id);
            }
            return;
        }
        let Some((price, quantity)) = self.target else { return };
        if context.now() < self.resume_ns || !context.is_synced(self.instrument) {
            return;
        }
        let order = NewOrder::limit(self.instrument, self.side, quantity, price).post_only();
        match context.submit(order) {
            Ok(id) => self.order = Some(id),
            Err(_) => self.resume_ns = context.now().plus(self.cool_down_ns),
        }
    }
}
