//! Which executions were booked already.

use super::index::Index;
use crate::types::InstrumentId;

/// For whom an execution was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Owner {
    /// For an order that is held.
    Order = 0,
    /// For no order that we know: it may turn out to be one of ours.
    Nobody = 1,
}

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

    /// Remembers an execution as booked for its owner; who it was booked for before, if it was.
    pub(super) fn insert(&mut self, instrument: InstrumentId, execution_id: u64, owner: Owner) -> Option<Owner> {
        let key = (instrument.0, execution_id);
        if let Some(known) = self.index.find(key) {
            let known = if known == Owner::Order as u32 { Owner::Order } else { Owner::Nobody };
            if known == Owner::Nobody {
                self.index.insert(key, owner as u32);
            }
            return Some(known);
        }
        if let Some(oldest) = self.ring.get_mut(self.next) {
            self.index.remove(*oldest);
            *oldest = key;
        } else {
            self.ring.push(key);
        }
        self.index.insert(key, owner as u32);
        self.next = (self.next + 1) % self.capacity;
        None
    }
}

impl Executions {
    /// All that are remembered, the oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (InstrumentId, u64, Owner)> {
        let (newer, older) = self.ring.split_at(self.next.min(self.ring.len()));
        older.iter().chain(newer).map(|&(instrument, execution_id)| {
            let is_nobodys = self.index.find((instrument, execution_id)) == Some(Owner::Nobody as u32);
            (InstrumentId(instrument), execution_id, if is_nobodys { Owner::Nobody } else { Owner::Order })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let mut executions = Executions::new(3);
        let mut is_new = |instrument, id| executions.insert(InstrumentId(instrument), id, Owner::Order).is_none();
        for id in 1..=3 {
            assert!(is_new(0, id));
        }
        assert!(!is_new(0, 1));
        assert!(is_new(1, 1), "another instrument's, in place of the oldest");
        assert!(!is_new(0, 2));
        assert!(is_new(0, 1), "forgotten");
        assert!(is_new(0, 2), "forgotten");
        assert!(!is_new(1, 1));
        let all: Vec<_> = executions.iter().map(|(instrument, id, _)| (instrument.0, id)).collect();
        assert_eq!(all, [(1, 1), (0, 1), (0, 2)]);
    }

    #[test]
    fn what_was_nobodys_can_become_an_orders_and_never_goes_back() {
        let mut executions = Executions::new(3);
        let mut insert = |owner| executions.insert(InstrumentId(0), 7, owner);
        assert_eq!(insert(Owner::Nobody), None);
        assert_eq!(insert(Owner::Nobody), Some(Owner::Nobody));
        assert_eq!(insert(Owner::Order), Some(Owner::Nobody));
        for owner in [Owner::Nobody, Owner::Order] {
            assert_eq!(insert(owner), Some(Owner::Order));
        }
    }
}
