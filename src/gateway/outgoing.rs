//! Orders, cancels and questions out.

use super::session::Step;
use super::wire::{Ask, CancelPlan};
use super::{Core, EARLY_CANCELS_MAX};
use crate::pipeline::clock::Clock;
use crate::risk::Approved;
use crate::types::{
    CancelIntent, ClientOrderId, ExecutionReport, GatewayMessage, Order, ReportKind, SentOrder, Timestamp,
};
use crate::venue::budget::Urgency;
use crate::venue::connection::{Connection, Lost};

/// Questions sent in one cycle.
const ASKS_PER_CYCLE: usize = 8;
/// What requests weigh at the venue.
const ORDER_WEIGHT: u32 = 1;
const CANCEL_WEIGHT: u32 = 1;
const STATUS_WEIGHT: u32 = 4;
const TRADES_WEIGHT: u32 = 5;

impl Core {
    #[inline]
    pub(super) fn order(
        &mut self,
        approved: &Approved,
        connection: &mut Option<Box<Connection>>,
        clock: &Clock,
        now: Timestamp,
    ) {
        let order = approved.order();
        if let Some(place) = self.early_cancels.iter().position(|id| *id == order.client_order_id) {
            // Canceled before it was sent: then it is not sent.
            self.early_cancels.swap_remove(place);
            return self.not_sent(order, now);
        }
        let venue_ms = self.venue_ms(now);
        let is_replace = order.replaces != ClientOrderId::NONE;
        let Some(connection) = connection.as_mut().filter(|connection| {
            // Bytes that wait would make this order late behind them: a venue that does not read gets no orders.
            self.step == Step::Ready
                && connection.is_flushed()
                && self.wire.has_room()
                && self.budget.permits(Urgency::Order, ORDER_WEIGHT, now)
                && (!is_replace || self.wire.is_replaceable(order.replaces))
        }) else {
            return self.not_sent(order, now);
        };
        let Some(instrument) = self.instruments.get(order.instrument) else { return self.not_sent(order, now) };
        let encoded = if is_replace {
            self.encoder.replace(order, approved.only_if_unfilled(), instrument, venue_ms)
        } else {
            self.encoder.place(order, instrument, venue_ms)
        };
        if !encoded.is_ok_and(|bytes| connection.queue(bytes).is_ok()) {
            return self.not_sent(order, now);
        }
        let encoded_ns = clock.now();
        // Entered before it is written: from here on the venue may have it, whatever happens to the socket.
        self.wire.enter(order, now);
        if connection.flush().is_err() {
            self.is_broken = true;
        }
        self.budget.charge(ORDER_WEIGHT, now);
        self.budget.charge_order(now);
        self.counters.orders_sent.increment();
        self.tell(GatewayMessage::Report(own_report(order, ReportKind::Sent, now)));
        let sample = SentOrder {
            client_order_id: order.client_order_id,
            received_ns: approved.received_ns(),
            decided_ns: approved.decided_ns(),
            approved_ns: approved.approved_ns(),
            taken_ns: now,
            encoded_ns,
        };
        if self.sent.try_send(sample).is_err() {
            self.counters.samples_dropped.increment();
        }
    }

    #[cold]
    fn not_sent(&mut self, order: &Order, now: Timestamp) {
        self.counters.not_sent.increment();
        self.tell(GatewayMessage::Report(own_report(order, ReportKind::NotSent, now)));
    }

    /// Puts a cancel into the write buffer, behind those before it. One that cannot go now is remembered.
    pub(super) fn cancel(&mut self, cancel: &CancelIntent, connection: &mut Option<Box<Connection>>, now: Timestamp) {
        let id = cancel.client_order_id;
        if id == ClientOrderId::NONE {
            self.mass_cancels.want(cancel.instrument);
            if let Some(connection) = connection {
                self.cancel_all(connection, now);
            }
            return;
        }
        if self.wire.find(id).is_none() {
            if self.early_cancels.len() < EARLY_CANCELS_MAX {
                self.early_cancels.push(id);
            }
            return;
        }
        let is_ready = self.step == Step::Ready;
        if self.wire.want_cancel(id, is_ready) == CancelPlan::Send
            && let Some(connection) = connection
        {
            self.send(id, Ask::Cancel, connection, now);
        }
    }

    /// Sends the cancels of whole instruments that are due.
    fn cancel_all(&mut self, connection: &mut Connection, now: Timestamp) -> usize {
        if !self.is_open() {
            return 0;
        }
        let venue_ms = self.venue_ms(now);
        let mut sent = 0;
        while let Some(id) = self.mass_cancels.next_due(now) {
            let Some(instrument) = self.instruments.get(id) else { break };
            if !self.budget.permits(Urgency::Cancel, CANCEL_WEIGHT, now) {
                break;
            }
            let encoded = self.encoder.cancel_all(instrument, venue_ms);
            if !encoded.is_ok_and(|bytes| put(connection, bytes, &mut self.is_broken)) {
                break;
            }
            self.mass_cancels.was_sent(id, now);
            self.budget.charge(CANCEL_WEIGHT, now);
            self.counters.cancels_sent.increment();
            sent += 1;
        }
        sent
    }

    /// Sends what is due: cancels that had to wait, and questions about orders in doubt.
    #[inline]
    pub(super) fn ask(&mut self, connection: &mut Connection, now: Timestamp) -> usize {
        if !self.is_open() {
            return 0;
        }
        let overdue = self.wire.expire(now);
        if overdue > 0 {
            self.counters.timeouts.add(overdue as u64);
            self.tell_doubtful(now);
        }
        let mut asked = self.cancel_all(connection, now);
        while asked < ASKS_PER_CYCLE {
            let Some((order, ask)) = self.wire.next_due(now) else { break };
            if !self.send(order.client_order_id, ask, connection, now) {
                break;
            }
            asked += 1;
        }
        asked
    }

    /// Puts a cancel or a question into the write buffer. `false` where it cannot go now.
    fn send(&mut self, id: ClientOrderId, ask: Ask, connection: &mut Connection, now: Timestamp) -> bool {
        let (urgency, weight) = match ask {
            Ask::Cancel => (Urgency::Cancel, CANCEL_WEIGHT),
            Ask::Status => (Urgency::Query, STATUS_WEIGHT),
            Ask::Trades => (Urgency::Query, TRADES_WEIGHT),
        };
        if !self.budget.permits(urgency, weight, now) {
            return false;
        }
        let venue_ms = self.venue_ms(now);
        let Some(order) = self.wire.find(id) else { return false };
        let venue_order_id = order.venue_order_id;
        let Some(instrument) = self.instruments.get(order.instrument) else { return false };
        let encoded = match ask {
            Ask::Cancel => self.encoder.cancel(id, instrument, venue_ms),
            Ask::Status => self.encoder.status(id, instrument, venue_ms),
            Ask::Trades => self.encoder.my_trades(instrument, venue_order_id, venue_ms),
        };
        if !encoded.is_ok_and(|bytes| put(connection, bytes, &mut self.is_broken)) {
            return false;
        }
        self.wire.was_asked(id, ask, now);
        self.budget.charge(weight, now);
        match ask {
            Ask::Cancel => self.counters.cancels_sent.increment(),
            Ask::Status | Ask::Trades => self.counters.queries_sent.increment(),
        }
        true
    }
}

/// Puts a request into the write buffer, making room in it first where it is full. `false` where there is none.
#[inline]
pub(super) fn put(connection: &mut Connection, bytes: &[u8], is_broken: &mut bool) -> bool {
    if connection.queue(bytes).is_ok() {
        return true;
    }
    let room: Result<(), Lost> = connection.flush();
    *is_broken |= room.is_err();
    room.is_ok() && connection.queue(bytes).is_ok()
}

/// What the gateway itself knows of an order.
fn own_report(order: &Order, kind: ReportKind, now: Timestamp) -> ExecutionReport {
    ExecutionReport {
        client_order_id: order.client_order_id,
        instrument: order.instrument,
        side: order.side,
        kind,
        received_ns: now,
        ..ExecutionReport::default()
    }
}
