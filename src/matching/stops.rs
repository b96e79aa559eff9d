//! Stop orders that wait for their trigger.

use super::{NewOrder, OrderId, Trigger};
use crate::types::Price;
use std::collections::BTreeMap;

/// Waiting stop orders, by id: that is in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Stops {
    waiting: BTreeMap<OrderId, (Trigger, NewOrder)>,
}

impl Stops {
    pub(super) fn add(&mut self, trigger: Trigger, new: NewOrder) {
        self.waiting.insert(new.id, (trigger, NewOrder { trigger: None, ..new }));
    }

    /// Takes one out; whether it waited.
    pub(super) fn remove(&mut self, order: OrderId) -> bool {
        self.waiting.remove(&order).is_some()
    }

    /// Takes out those that a trade at `last` triggers, as orders that work at once.
    pub(super) fn take_met(&mut self, last: Price) -> Vec<NewOrder> {
        let met: Vec<OrderId> =
            self.waiting.iter().filter(|(_, (trigger, _))| trigger.is_met(last)).map(|(order, _)| *order).collect();
        met.iter().filter_map(|order| self.waiting.remove(order)).map(|(_, new)| new).collect()
    }
}
