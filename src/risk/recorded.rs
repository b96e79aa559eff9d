//! Recorded verdicts: what was decided on each order, where risk follows that instead of judging again.
//!
//! A restart restores what was decided, whatever the program of today would decide: an order that was sent is at the venue.

use crate::types::{ClientOrderId, Denial, DenialReason, Event, Order};
use std::collections::VecDeque;

/// What was decided on an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It went out, as it stands here.
    Approved {
        /// As it was sent.
        order: Order,
        /// Whether it might take another's place only while that one had no fill.
        only_if_unfilled: bool,
    },
    /// It did not.
    Denied(Denial),
}

impl Outcome {
    /// Nothing was written down: it was taken, and the process ended before it was decided on. It was never sent.
    const MISSING: Self = Self::Denied(Denial { reason: DenialReason::JournalUnavailable, limit: 0, observed: 1 });
}

/// The verdicts on the orders of the cycle that comes, in the order in which they were taken.
#[derive(Debug, Default)]
pub(super) struct Recorded {
    verdicts: VecDeque<(ClientOrderId, Outcome)>,
    /// Whether the newest order's verdict is still to be told: it stands before anything else that was taken. What is
    /// denied later (a cancel that was refused too often, an order that the gateway could not write) is no verdict.
    is_awaited: bool,
}

impl Recorded {
    /// The next entry of the cycle.
    pub(super) fn hear(&mut self, event: &Event) {
        match event {
            Event::Intent { intent, .. } => {
                self.verdicts.push_back((intent.order.client_order_id, Outcome::MISSING));
                self.is_awaited = true;
            }
            Event::Approved { order, only_if_unfilled } => {
                let outcome = Outcome::Approved { order: *order, only_if_unfilled: *only_if_unfilled };
                self.tell(order.client_order_id, outcome);
            }
            Event::Denied { client_order_id, denial } => self.tell(*client_order_id, Outcome::Denied(*denial)),
            other => self.is_awaited &= !other.is_taken(),
        }
    }

    fn tell(&mut self, id: ClientOrderId, outcome: Outcome) {
        if self.is_awaited
            && let Some((newest, verdict)) = self.verdicts.back_mut()
            && *newest == id
        {
            (*verdict, self.is_awaited) = (outcome, false);
        }
    }

    /// The verdict on the order that is taken now.
    pub(super) fn take(&mut self, id: ClientOrderId) -> Outcome {
        let place = self.verdicts.iter().position(|(other, _)| *other == id);
        let verdict = place.and_then(|place| self.verdicts.drain(..=place).next_back());
        verdict.map_or(Outcome::MISSING, |(_, outcome)| outcome)
    }

    /// The cycle is over.
    pub(super) fn clear(&mut self) {
        self.verdicts.clear();
        self.is_awaited = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{CancelIntent, OrderIntent, Quantity, StrategyId};

    fn order(sequence: u64, quantity: i64) -> Order {
        let client_order_id = ClientOrderId::new(1, StrategyId(0), sequence).expect("in range");
        Order { client_order_id, quantity: Quantity(quantity), ..Order::default() }
    }

    fn intent(sequence: u64) -> Event {
        Event::Intent { shard: 0, intent: OrderIntent { order: order(sequence, 9), ..OrderIntent::default() } }
    }

    const fn denied(sequence: u64, reason: DenialReason) -> Event {
        let client_order_id = ClientOrderId((1 << 44) | sequence);
        Event::Denied { client_order_id, denial: Denial { reason, limit: 1, observed: 2 } }
    }

    #[test]
    fn a_verdict_stands_right_behind_its_order_and_what_is_missing_was_never_sent() {
        let mut recorded = Recorded::default();
        let events = [
            // A cancel that was refused too often: no order of this cycle.
            denied(1, DenialReason::CancelPending),
            intent(1),
            Event::Approved { order: order(1, 5), only_if_unfilled: true },
            Event::Canceling(CancelIntent::default()),
            denied(1, DenialReason::CancelPending),
            intent(1),
            denied(1, DenialReason::DuplicateClientOrderId),
            intent(2),
            intent(3),
            Event::Paused,
            Event::Approved { order: order(3, 5), only_if_unfilled: false },
        ];
        events.iter().for_each(|event| recorded.hear(event));
        let id = |sequence| order(sequence, 0).client_order_id;
        assert_eq!(recorded.take(id(1)), Outcome::Approved { order: order(1, 5), only_if_unfilled: true });
        let reason = DenialReason::DuplicateClientOrderId;
        assert_eq!(recorded.take(id(1)), Outcome::Denied(Denial { reason, limit: 1, observed: 2 }));
        assert_eq!([2, 3, 4].map(|sequence| recorded.take(id(sequence))), [Outcome::MISSING; 3]);
        recorded.hear(&intent(5));
        recorded.clear();
        recorded.hear(&denied(5, DenialReason::Halted));
        assert_eq!(recorded.take(id(5)), Outcome::MISSING);
    }
}
