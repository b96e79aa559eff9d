//! The ledger of what the venue lets us ask, as a gateway reads it: others write to it as well, so that what it says is an
//! input like any other.

use super::answers::Answers;
use crate::pipeline::tap::Tap;
use crate::types::{BudgetReading, Event, Refuser, Timestamp};
use crate::venue::budget::{Budget, BudgetLimits, BudgetUse, Urgency};
use std::collections::VecDeque;
use std::sync::Arc;

/// The ledger, and what was read of it in this cycle.
pub(super) struct Ledger {
    /// What is written to it goes there; in replay to one that nobody reads.
    pub(super) budget: Arc<Budget>,
    permits: Answers,
    /// In replay, what is read in the cycle that comes.
    foretold: Option<VecDeque<BudgetReading>>,
}

impl Ledger {
    pub(super) fn new(budget: Arc<Budget>) -> Self {
        Self { budget, permits: Answers::of(Refuser::Budget), foretold: None }
    }

    /// Whether something of this weight may be sent.
    #[inline]
    pub(super) fn permits(&mut self, urgency: Urgency, weight: u32, now: Timestamp, tap: &mut Tap) -> bool {
        let Self { budget, permits, .. } = self;
        permits.take(tap, || budget.permits(urgency, weight, now))
    }

    /// The request weight that the venue allows in a minute.
    pub(super) fn weight_limit(&mut self, tap: &mut Tap) -> u32 {
        match self.read(tap, |budget| BudgetReading::WeightLimit(budget.limits().weight)) {
            BudgetReading::WeightLimit(limit) => limit,
            _ => 0,
        }
    }

    /// Until when no cancel may be sent.
    pub(super) fn quiet_until(&mut self, tap: &mut Tap) -> Timestamp {
        match self.read(tap, |budget| BudgetReading::QuietUntil(budget.quiet_until(Urgency::Cancel))) {
            BudgetReading::QuietUntil(until) => until,
            _ => Timestamp::UNKNOWN,
        }
    }

    fn read(&mut self, tap: &mut Tap, read: impl FnOnce(&Budget) -> BudgetReading) -> BudgetReading {
        let reading = match &mut self.foretold {
            None => read(&self.budget),
            Some(readings) => readings.pop_front().unwrap_or_default(),
        };
        tap.write(Event::Budget(reading));
        reading
    }

    /// What is allowed and used. It is for the caller to write it down where anything comes of it ([`Ledger::tell`]); in
    /// replay there is only what was.
    pub(super) fn used(&mut self, now: Timestamp) -> Option<(BudgetLimits, BudgetUse)> {
        let Some(readings) = &mut self.foretold else { return Some((self.budget.limits(), self.budget.used(now))) };
        match readings.pop_front() {
            Some(BudgetReading::Used { used_weight, weight_limit, used_orders, order_limit }) => Some((
                BudgetLimits { weight: weight_limit, orders: order_limit },
                BudgetUse { weight: used_weight, orders: used_orders },
            )),
            _ => None,
        }
    }

    /// Writes down what [`Ledger::used`] read.
    pub(super) fn tell(limits: BudgetLimits, used: BudgetUse, tap: &mut Tap) {
        tap.write(Event::Budget(BudgetReading::Used {
            used_weight: used.weight,
            weight_limit: limits.weight,
            used_orders: used.orders,
            order_limit: limits.orders,
        }));
    }

    /// Replay: what is found in the cycle that comes. From the first call on, the ledger is not read.
    pub(super) fn foretell(&mut self, event: &Event) {
        let readings = self.foretold.get_or_insert_default();
        match *event {
            Event::Budget(reading) => readings.push_back(reading),
            Event::Refused { by, from, count } => self.permits.foretell(by, from, count),
            _ => self.permits.foretell(Refuser::Budget, 0, 0),
        }
    }

    /// The cycle is over.
    #[inline]
    pub(super) fn end_cycle(&mut self, tap: &mut Tap) {
        self.permits.end_cycle(tap);
        if let Some(readings) = &mut self.foretold {
            readings.clear();
        }
    }
}
