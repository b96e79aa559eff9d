//! Which executions were booked already.

use super::index::Index;
use crate::types::InstrumentId;

/// The executions booked last, by instrument and execution id. When it is full the oldest is forgotten: venues repeat
/// a report within seconds or at a reconnect, not `capacity` fills later.
#[derive(Debug)]
pub(super) struct Executions {
    ring: Vec<(u32, u64)>,
    next: usize,
    capacity: usize,
    index: Index<(u32, u64)>,
}

impl Executions {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.max(1);
        Self { ring: Vec::with_capacity(capacity), next: 0, capacity, index: Index::new(capacity) }
    }

    /// Remembers an execution; `false` where it was known already.
    pub(super) fn insert(&mut self, instrument: InstrumentId, execution_id: u64) -> bool {
        let key = (instrument.0, execution_id);
        if self.index.find(key).is_some() {
            return false;
        }
        if let Some(oldest) = self.ring.get_mut(self.next) {
            self.index.remove(*oldest);
            *oldest = key;
        } else {
            self.ring.push(key);
        }
        self.index.insert(key, 0);
        self.next = (self.next + 1) % self.capacity;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut executions = Executions::new(3);
        for id in 1..=3 {
            assert!(executions.insert(InstrumentId(0), id));
        }
        assert!(!executions.insert(InstrumentId(0), 1));
        assert!(executions.insert(InstrumentId(1), 1), "another instrument's, in place of the oldest");
        assert!(!executions.insert(InstrumentId(0), 2));
        assert!(executions.insert(InstrumentId(0), 1), "forgotten");
        assert!(executions.insert(InstrumentId(0), 2), "forgotten");
        assert!(!executions.insert(InstrumentId(1), 1));
    }
}
