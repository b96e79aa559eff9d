//! Sending to risk what handlers and brackets want: at once where there is room, else later or not at all.

use super::{Core, Moment, Shard};
use crate::strategy::market::Subscriber;
use crate::types::{Denial, DenialReason, InstrumentId, Mark, Notice, NoticeCode, OrderIntent};

impl Core {
    /// Sends what the handler of an instance and its brackets want.
    #[inline]
    pub(super) fn send(&mut self, index: usize, moment: Moment) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let desk = &mut slot.desk;
        if !desk.brackets.is_empty() {
            desk.tend_brackets(&self.markets, moment.now, &mut self.notices);
        }
        for position in 0..desk.outbox.len() {
            let Some(&order) = desk.outbox.get(position) else { break };
            let market = self.markets.find(order.instrument).and_then(|market| self.markets.list.get_mut(market));
            let Some(market) = market else { continue };
            // Risk wants the market of what has an order.
            market.is_mark_due = true;
            let stamp = market.stamp(order.side);
            let intent = OrderIntent { order, stamp, received_ns: moment.received_ns, decided_ns: moment.decided_ns };
            if self.orders.try_send(intent).is_ok() {
                self.counters.orders.increment();
                desk.tally.orders_sent += 1;
            } else {
                desk.deny(order.client_order_id, DenialReason::LaneFull);
                let notice = Notice::new(NoticeCode::Denied, moment.now).order(order.client_order_id);
                let denial = Denial { reason: DenialReason::LaneFull, ..Denial::default() };
                self.notices.denied(notice.instrument(order.instrument), &denial);
            }
        }
        desk.outbox.clear();
        if desk.has_cancels_due {
            self.send_cancels(index);
        }
    }

    fn send_cancels(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.desk.send_cancels(self.cycle_ns, |intent| {
            let is_sent = self.cancels.try_send(intent).is_ok();
            self.counters.cancels.add(u64::from(is_sent));
            is_sent
        });
    }

    /// Sends what waited for room or for the end of the cycle: cancels, and marks of what has a position or an order.
    pub(super) fn send_late(&mut self) {
        for index in 0..self.slots.len() {
            if self.slots.get(index).is_some_and(|slot| slot.desk.has_cancels_due) {
                self.send_cancels(index);
            }
        }
        for market in self.markets.list.iter_mut().filter(|market| market.is_mark_due) {
            let instrument = market.instrument.id;
            let is_concerned = |subscriber: &Subscriber| {
                self.slots.get(subscriber.instance).is_some_and(|slot| slot.desk.is_concerned(instrument))
            };
            let quote = *market.top.quote();
            if quote.is_two_sided() && (market.is_watched || market.subscribers.iter().any(is_concerned)) {
                market.is_mark_due = self.marks.try_send(Mark { instrument, quote }).is_err();
            }
        }
    }

    /// Tells risk that this thread runs, also where there is nothing else to say. Without room the next cycle tries again.
    pub(super) fn beat(&mut self) {
        let heartbeat = Mark { instrument: InstrumentId::NONE, ..Mark::default() };
        if self.cycle_ns.since(self.heartbeat_ns) >= Shard::HEARTBEAT_NS && self.marks.try_send(heartbeat).is_ok() {
            self.heartbeat_ns = self.cycle_ns;
        }
    }
}
