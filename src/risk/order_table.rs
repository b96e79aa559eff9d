//! Every order of this run, as far as there is room for the old ones.

use super::index::Index;
use crate::types::{
    ClientOrderId, DenialReason, InstrumentId, Order, OrderStatus, Price, Quantity, StrategyId, Timestamp,
};
use std::collections::VecDeque;

/// How many old orders are looked at for one whose slot can be used again.
const REUSE_TRIES: usize = 16;

/// How far the cancel of an order is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum CancelStep {
    /// None is asked for.
    #[default]
    None,
    /// Asked for, but the lane to the gateway has had no room yet.
    Wanted,
    /// With the gateway; no second one is sent before the venue answers.
    Passed,
}

/// One order and what is known of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrderRecord {
    /// What was wanted.
    pub order: Order,
    /// Where it stands.
    pub status: OrderStatus,
    /// How far a cancel of it is.
    pub cancel: CancelStep,
    /// Whether somebody wants it canceled. That stays so when the venue refuses it.
    pub is_cancel_wanted: bool,
    /// How often its cancel was sent again, or should have been.
    pub cancel_retries: u8,
    /// When its cancel is to be sent again, while it waits for that.
    pub(super) retry_at: Timestamp,
    pub(super) is_retrying: bool,
    /// Whether the venue has shown that it knows the order.
    pub is_acknowledged: bool,
    /// Whether this order and the one whose place it takes cannot both fill, so that the larger of the two is reserved.
    pub is_exclusive: bool,
    /// The newest order that was to take its place; [`ClientOrderId::NONE`] while there is none.
    pub replaced_by: ClientOrderId,
    /// The venue's number of it; zero until told.
    pub venue_order_id: u64,
    /// What it had filled before we knew of it: of an order that is not ours.
    pub adopted: Quantity,
    /// What is booked of its fills.
    pub filled: Quantity,
    /// The most that the venue said was filled.
    pub venue_filled: Quantity,
    /// What it may still fill: this is what exposure counts. Of an order that excludes the one whose place it takes, what
    /// it may fill beyond that one.
    pub reserve: Quantity,
    /// At what price that is counted: the worst at which it is taken to fill.
    pub worst_price: Price,
    /// Price of the newest booked fill.
    pub last_price: Price,
    /// The venue's code of a refusal.
    pub code: i32,
    /// Our reason, where the order is denied.
    pub reason: DenialReason,
    /// When the bytes were received that led to it.
    pub received_ns: Timestamp,
    /// When the shard handed those to the strategy.
    pub decided_ns: Timestamp,
    /// When risk took the intent.
    pub approved_ns: Timestamp,
    /// When risk last learned of it.
    pub updated_ns: Timestamp,
    /// Since when its fate is not proven; unknown where it is.
    pub unknown_since: Timestamp,
    /// Twice the price that its fills are held against: twice the mid when it was decided, of a stop order twice its stop
    /// price.
    pub(super) twice_reference: i128,
    /// One more than its place among the open orders; zero where it is not among them.
    pub(super) open_place: u32,
    /// Whether it stands in the book of our own resting orders.
    pub(super) is_in_own_book: bool,
    /// Its strategy and instrument, as an index.
    pub(super) holding: u32,
    /// Whether its shard does not know the newest state yet.
    pub(super) is_dirty: bool,
    /// Whether it waits among the terminal ones.
    pub(super) is_queued: bool,
}

impl OrderRecord {
    /// What may still fill: of an open order all that is not filled, `Unknown` or not; of a terminal one what the
    /// venue counts and we have not booked yet.
    #[must_use]
    pub fn due(&self) -> Quantity {
        if self.order.strategy == StrategyId::NONE {
            return self.due_elsewhere();
        }
        let end = if self.status.is_open() { self.order.quantity } else { self.venue_filled.min(self.order.quantity) };
        Quantity(end.0.saturating_sub(self.filled.0).max(0))
    }
}

impl OrderRecord {
    /// What may still fill of an order that is not ours. Its fills before we knew of it may be told or not, so that what is
    /// booked can be less or more than what the venue counts: the one that leaves more to fill holds.
    fn due_elsewhere(&self) -> Quantity {
        let whole = self.order.quantity.0;
        let booked = self.adopted.0.saturating_add(self.filled.0);
        let due = if self.status.is_open() {
            whole.saturating_sub(booked.min(self.venue_filled.0))
        } else {
            self.venue_filled.0.min(whole).saturating_sub(booked)
        };
        Quantity(due.max(0))
    }
}

/// A fixed number of orders, found by client order id. Terminal orders stay for late fills and for the last comparison
/// with the venue, until their slot is needed: the oldest goes first.
#[derive(Debug)]
pub struct OrderTable {
    /// All there will ever be, so that no page is touched for the first time by an order; the first `used` are held.
    records: Vec<OrderRecord>,
    used: usize,
    is_warm: bool,
    index: Index<u64>,
    /// By instrument and the venue's number.
    at_venue: Index<(u32, u64)>,
    /// The open ones, in no order that means anything.
    open: Vec<u32>,
    terminal: VecDeque<u32>,
}

impl OrderTable {
    pub(super) fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, Self::CAPACITY_MAX);
        let mut terminal = VecDeque::from(vec![0; capacity]);
        terminal.clear();
        Self {
            records: vec![OrderRecord::default(); capacity],
            used: 0,
            is_warm: false,
            index: Index::new(capacity),
            at_venue: Index::new(capacity),
            open: Vec::with_capacity(capacity),
            terminal,
        }
    }

    /// The largest table.
    pub const CAPACITY_MAX: usize = 1 << 24;

    /// The order of this id.
    #[must_use]
    pub fn get(&self, id: ClientOrderId) -> Option<&OrderRecord> {
        self.records.get(self.find(id)? as usize)
    }

    /// Every order held, old ones too, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &OrderRecord> {
        self.records.iter().take(self.used)
    }

    /// How many orders are held.
    #[must_use]
    pub fn len(&self) -> usize {
        self.used
    }

    /// Whether none is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// How many orders fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.records.len()
    }

    #[inline]
    pub(super) fn find(&self, id: ClientOrderId) -> Option<u32> {
        self.index.find(id.0)
    }

    #[inline]
    pub(super) fn at(&self, slot: u32) -> Option<&OrderRecord> {
        self.records.get(slot as usize)
    }

    #[inline]
    pub(super) fn at_mut(&mut self, slot: u32) -> Option<&mut OrderRecord> {
        self.records.get_mut(slot as usize)
    }

    /// Puts an order in; `None` where no slot is free or can be used again. Its id is new: control C09 sees to that.
    pub(super) fn insert(&mut self, record: OrderRecord) -> Option<u32> {
        let slot = if self.used < self.records.len() {
            self.used += 1;
            u32::try_from(self.used - 1).ok()?
        } else {
            self.reuse()?
        };
        *self.records.get_mut(slot as usize)? = record;
        self.is_warm = false;
        self.index.insert(record.order.client_order_id.0, slot);
        self.list(slot);
        Some(slot)
    }

    /// Puts an order among the open ones, or takes it out, as its status says.
    pub(super) fn list(&mut self, slot: u32) {
        let Some(record) = self.records.get_mut(slot as usize) else { return };
        // What is not ours stays until a round has told what it missed of its fills.
        let is_external = record.order.strategy == StrategyId::NONE;
        match (record.status.is_open() || (is_external && record.due().0 > 0), record.open_place) {
            (true, 0) => {
                self.open.push(slot);
                record.open_place = u32::try_from(self.open.len()).unwrap_or(0);
            }
            (false, 1..) => {
                let place = record.open_place;
                record.open_place = 0;
                self.open.swap_remove(place as usize - 1);
                let moved = self.open.get(place as usize - 1).copied();
                if let Some(moved) = moved.and_then(|moved| self.records.get_mut(moved as usize)) {
                    moved.open_place = place;
                }
            }
            _ => {}
        }
    }

    /// The order that the venue gave this number in an instrument.
    pub(super) fn find_at_venue(&self, instrument: InstrumentId, venue_order_id: u64) -> Option<u32> {
        if venue_order_id == 0 { None } else { self.at_venue.find((instrument.0, venue_order_id)) }
    }

    /// Keeps the venue's number of an order.
    pub(super) fn name_at_venue(&mut self, slot: u32, venue_order_id: u64) {
        let Some(record) = self.records.get_mut(slot as usize) else { return };
        if venue_order_id == 0 || record.venue_order_id == venue_order_id {
            return;
        }
        let instrument = record.order.instrument.0;
        let before = std::mem::replace(&mut record.venue_order_id, venue_order_id);
        self.forget_at_venue(slot, instrument, before);
        self.at_venue.insert((instrument, venue_order_id), slot);
    }

    fn forget_at_venue(&mut self, slot: u32, instrument: u32, venue_order_id: u64) {
        if self.at_venue.find((instrument, venue_order_id)) == Some(slot) {
            self.at_venue.remove((instrument, venue_order_id));
        }
    }

    /// The slots of the open orders, and those of the terminal ones, the oldest first.
    pub(super) fn by_end(&self) -> (impl Iterator<Item = u32>, impl Iterator<Item = u32> + Clone) {
        let is_open = |slot: &u32| self.at(*slot).is_some_and(|record| record.status.is_open());
        let used = u32::try_from(self.used).unwrap_or(u32::MAX);
        ((0..used).filter(is_open), self.terminal.iter().copied().filter(move |slot| !is_open(slot)))
    }

    /// How many orders are open.
    pub(super) fn open_count(&self) -> usize {
        self.open.len()
    }

    /// The slot of the open order at this place of the list.
    pub(super) fn open_at(&self, place: usize) -> Option<u32> {
        self.open.get(place).copied()
    }

    /// Brings the slot of the next order into the cache, which the whole table does not fit. To be called when there is
    /// nothing to do, so that no order waits for memory.
    #[inline]
    pub(super) fn warm(&mut self) {
        if !std::mem::replace(&mut self.is_warm, true) {
            let is_fresh = self.used < self.records.len();
            let next = if is_fresh { Some(self.used) } else { self.terminal.front().map(|&slot| slot as usize) };
            std::hint::black_box(next.and_then(|slot| self.records.get(slot)).copied());
        }
    }

    /// Lets a terminal order wait for its slot to be needed.
    pub(super) fn retire(&mut self, slot: u32) {
        if let Some(record) = self.records.get_mut(slot as usize)
            && !record.is_queued
        {
            record.is_queued = true;
            self.terminal.push_back(slot);
        }
    }

    /// Takes the oldest terminal order out of the table. One with fills still due, or that still stands in a list of
    /// what waits for a lane, goes behind the others.
    fn reuse(&mut self) -> Option<u32> {
        for _ in 0..REUSE_TRIES {
            let slot = self.terminal.pop_front()?;
            let record = self.records.get_mut(slot as usize)?;
            if record.status.is_open() {
                // The venue brought it back to life; it comes here again when it ends.
                record.is_queued = false;
            } else if record.is_dirty || record.is_retrying || record.due().0 > 0 || record.cancel == CancelStep::Wanted
            {
                self.terminal.push_back(slot);
            } else {
                let (order, at_venue) = (record.order, record.venue_order_id);
                self.index.remove(order.client_order_id.0);
                self.forget_at_venue(slot, order.instrument.0, at_venue);
                return Some(slot);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u64, status: OrderStatus) -> OrderRecord {
        let client_order_id = ClientOrderId::new(1, StrategyId(0), sequence).expect("in range");
        OrderRecord { order: Order { client_order_id, ..Order::default() }, status, ..OrderRecord::default() }
    }

    #[test]
    fn the_oldest_terminal_order_makes_room_and_open_ones_never_do() {
        let mut table = OrderTable::new(3);
        for sequence in 1..=3 {
            assert!(table.insert(record(sequence, OrderStatus::Created)).is_some());
        }
        assert_eq!(table.insert(record(4, OrderStatus::Created)), None);
        for slot in [2, 0] {
            table.at_mut(slot).expect("there").status = OrderStatus::Canceled;
            table.retire(slot);
        }
        assert_eq!(table.insert(record(4, OrderStatus::Created)), Some(2));
        assert!(table.get(record(3, OrderStatus::Created).order.client_order_id).is_none());
        table.at_mut(0).expect("there").is_dirty = true;
        assert_eq!(table.insert(record(5, OrderStatus::Created)), None);
        table.at_mut(0).expect("there").is_dirty = false;
        assert_eq!(table.insert(record(5, OrderStatus::Created)), Some(0));
        assert_eq!(table.find(record(5, OrderStatus::Created).order.client_order_id), Some(0));
        assert_eq!(table.len(), 3);
    }

    #[test]
    fn what_is_due_of_an_order() {
        let mut record =
            OrderRecord { filled: Quantity(3), venue_filled: Quantity(5), ..record(1, OrderStatus::Unknown) };
        record.order.quantity = Quantity(10);
        assert_eq!(record.due(), Quantity(7));
        record.status = OrderStatus::Canceled;
        assert_eq!(record.due(), Quantity(2));
        record.filled = Quantity(11);
        assert_eq!(record.due(), Quantity(0));
    }
}
