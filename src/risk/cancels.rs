//! Cancels: always pass, one at a time for an order.

use super::core::{Core, number};
use super::order_table::CancelStep;
use super::sweep::RETRIES_MAX;
use super::transitions::OrderEvent;
use crate::types::{CancelIntent, Event, InstrumentId, StrategyId};

impl Core {
    /// A strategy wants an order canceled. As cancels are drained before orders, one may overtake its order: it is
    /// held until the shard's order lane has been emptied.
    pub(super) fn on_cancel(&mut self, shard: usize, intent: &CancelIntent) {
        self.tap.write(Event::Cancel { shard: number(shard), intent: *intent });
        self.now = self.now.max(intent.decided_ns);
        let id = intent.client_order_id;
        if let Some(slot) = self.orders.find(id) {
            self.request_cancel(slot);
        } else if self.strategies.get(id.strategy().index()).is_some_and(|strategy| id > strategy.last_id)
            && let Some(waiting) = self.shards.get_mut(shard)
        {
            // There is room: no cancel is taken from the shard otherwise.
            waiting.held.push_back(*intent);
        }
    }

    /// Looks again at cancels that overtook their order, now that every order sent before them was taken. What is
    /// still not there was denied, or never sent.
    pub(super) fn release_held(&mut self, shard: usize) {
        while let Some(intent) = self.shards.get_mut(shard).and_then(|waiting| waiting.held.pop_front()) {
            if let Some(slot) = self.orders.find(intent.client_order_id) {
                self.request_cancel(slot);
            }
        }
    }

    /// Cancels an order unless a cancel of it is on its way, or about to be sent again (C31). Of a terminal one the shard
    /// is told the state once more.
    pub(super) fn request_cancel(&mut self, slot: u32) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        if record.status.is_terminal() {
            self.update_shard(slot);
            return;
        }
        if record.cancel != CancelStep::None {
            return;
        }
        record.is_cancel_wanted = true;
        if record.is_retrying {
            return;
        }
        if record.cancel_retries > RETRIES_MAX {
            return self.deny_cancel(slot);
        }
        record.cancel = CancelStep::Wanted;
        let instrument = record.order.instrument;
        let venue = self.books.market(instrument).map_or(0, |market| usize::from(market.instrument.venue.0));
        if let Some(venue) = self.venues.get_mut(venue) {
            venue.wanted.push_back(slot);
        }
        self.send_cancels(venue);
        self.apply(slot, OrderEvent::CancelRequested);
    }

    /// Cancels an order that its strategy did not ask to cancel: at once, however often the venue refused that before.
    pub(super) fn force_cancel(&mut self, slot: u32) {
        if let Some(record) = self.orders.at_mut(slot)
            && record.status.is_open()
            && record.cancel == CancelStep::None
        {
            record.cancel_retries = 0;
            record.is_retrying = false;
            self.request_cancel(slot);
        }
    }

    /// Passes on the cancels that wait, whole instruments first, as far as the gateway's lane has room.
    pub(super) fn send_cancels(&mut self, venue: usize) -> usize {
        let mut sent = self.send_mass_cancels(venue);
        while let Some(state) = self.venues.get_mut(venue)
            && let Some(&slot) = state.wanted.front()
        {
            let Some(record) = self.orders.at_mut(slot) else { return sent };
            if record.status.is_terminal() {
                record.cancel = CancelStep::None;
            } else {
                let order = &record.order;
                let intent = CancelIntent {
                    client_order_id: order.client_order_id,
                    instrument: order.instrument,
                    strategy: order.strategy,
                    decided_ns: self.now,
                };
                if state.cancels.try_send(intent).is_err() {
                    return sent;
                }
                record.cancel = CancelStep::Passed;
                self.tap.write(Event::Canceling(intent));
                self.digest.fold(intent.client_order_id.0);
                sent += 1;
                self.counters.cancels.increment();
                self.count_message(intent.strategy, intent.instrument);
            }
            if let Some(state) = self.venues.get_mut(venue) {
                state.wanted.pop_front();
            }
        }
        sent
    }

    /// Counts a message against the rates of its strategy, its instrument and its venue.
    pub(super) fn count_message(&mut self, strategy: StrategyId, instrument: InstrumentId) {
        if let Some(state) = self.strategies.get_mut(strategy.index()) {
            state.bucket.take(&self.limits.strategy(strategy).rate, self.now);
        }
        if let Some(venue) = self.books.market(instrument).map(|market| market.instrument.venue)
            && let Some(state) = self.venues.get_mut(usize::from(venue.0))
        {
            state.bucket.take(&self.limits.account(venue).rate, self.now);
        }
        if let Some(state) = self.instruments.get_mut(instrument.index()) {
            state.bucket.take(&self.limits.instrument(instrument).rate, self.now);
        }
        self.watch_ratio(strategy);
    }
}
