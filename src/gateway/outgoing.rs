//! Orders, cancels and questions out.

use super::line::{Line, Outbound};
use super::session::Step;
use super::wire::{Ask, CancelPlan};
use super::{Core, EARLY_CANCELS_MAX};
use crate::pipeline::clock::Clock;
use crate::risk::Approved;
use crate::types::{
    CancelIntent, ClientOrderId, Event, ExecutionReport, GatewayMessage, Order, ReportKind, SentOrder, Timestamp,
};
use crate::venue::budget::Urgency;

/// Questions sent in one cycle.
const ASKS_PER_CYCLE: usize = 8;
/// What requests weigh at the venue.
const ORDER_WEIGHT: u32 = 1;
const CANCEL_WEIGHT: u32 = 1;
const STATUS_WEIGHT: u32 = 4;
const TRADES_WEIGHT: u32 = 5;

/// An order that is to be sent, with what a gateway needs to know of it. Only an [`Approved`] becomes one, but for replay,
/// which has no line to a venue.
#[derive(Clone, Copy)]
pub(super) struct Placing<'a> {
    order: &'a Order,
    only_if_unfilled: bool,
    /// For displays: when the bytes were received that led to it, when it was decided, and when approved.
    instants: [Timestamp; 3],
}

impl<'a> Placing<'a> {
    #[inline]
    pub(super) const fn of(approved: &'a Approved) -> Self {
        Self {
            order: approved.order(),
            only_if_unfilled: approved.only_if_unfilled(),
            instants: [approved.received_ns(), approved.decided_ns(), approved.approved_ns()],
        }
    }

    /// As it was sent once.
    pub(super) const fn again(order: &'a Order, only_if_unfilled: bool) -> Self {
        Self { order, only_if_unfilled, instants: [Timestamp::UNKNOWN; 3] }
    }
}

impl Core {
    #[inline]
    pub(super) fn order(&mut self, placing: Placing<'_>, line: &mut Line, clock: &Clock, now: Timestamp) {
        self.place(placing, line, clock, now);
        // Behind it: an order does not wait for what is read after the poll, and risk has written it down already.
        self.tap.write(Event::Order { order: *placing.order, only_if_unfilled: placing.only_if_unfilled });
    }

    #[inline]
    fn place(&mut self, placing: Placing<'_>, line: &mut Line, clock: &Clock, now: Timestamp) {
        let Placing { order, only_if_unfilled, instants } = placing;
        if let Some(place) = self.early_cancels.iter().position(|id| *id == order.client_order_id) {
            // Canceled before it was sent: then it is not sent.
            self.early_cancels.swap_remove(place);
            return self.not_sent(order, now);
        }
        let venue_ms = self.venue_ms(now);
        let is_replace = order.replaces != ClientOrderId::NONE;
        // Bytes that wait would make this order late behind them: a venue that does not read gets no orders.
        let is_possible = line.is_up()
            && self.step == Step::Ready
            && line.is_flushed(&mut self.tap)
            && self.wire.has_room()
            && self.permits(Urgency::Order, ORDER_WEIGHT, now)
            && (!is_replace || self.wire.is_replaceable(order.replaces));
        let Some(instrument) = self.instruments.get(order.instrument).filter(|_| is_possible) else {
            return self.not_sent(order, now);
        };
        let request = if is_replace {
            Outbound::Replace { order, only_if_unfilled, instrument }
        } else {
            Outbound::Place { order, instrument }
        };
        if !line.queue(request, venue_ms, &mut self.tap) {
            return self.not_sent(order, now);
        }
        let encoded_ns = clock.now();
        // Entered before it is written: from here on the venue may have it, whatever happens to the socket.
        self.wire.enter(order, now);
        if !line.flush(&mut self.tap) {
            self.is_broken = true;
        }
        self.ledger.budget.charge(ORDER_WEIGHT, now);
        self.ledger.budget.charge_order(now);
        self.counters.orders_sent.increment();
        self.tell(GatewayMessage::Report(own_report(order, ReportKind::Sent, now)));
        let [received_ns, decided_ns, approved_ns] = instants;
        let sample = SentOrder {
            client_order_id: order.client_order_id,
            received_ns,
            decided_ns,
            approved_ns,
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
    pub(super) fn cancel(&mut self, cancel: &CancelIntent, line: &mut Line, now: Timestamp) {
        self.tap.write(Event::OrderCancel(*cancel));
        let id = cancel.client_order_id;
        if id == ClientOrderId::NONE {
            self.mass_cancels.want(cancel.instrument);
            if line.is_up() {
                self.cancel_all(line, now);
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
        if self.wire.want_cancel(id, is_ready) == CancelPlan::Send && line.is_up() {
            self.send(id, Ask::Cancel, line, now);
        }
    }

    /// Sends the cancels of whole instruments that are due.
    fn cancel_all(&mut self, line: &mut Line, now: Timestamp) -> usize {
        if !self.is_open() {
            return 0;
        }
        let venue_ms = self.venue_ms(now);
        let mut sent = 0;
        while let Some(id) = self.mass_cancels.next_due(now) {
            let Some(instrument) = self.instruments.get(id) else { break };
            if !self.ledger.permits(Urgency::Cancel, CANCEL_WEIGHT, now, &mut self.tap) {
                break;
            }
            if !line.put(Outbound::CancelAll { instrument }, venue_ms, &mut self.tap, &mut self.is_broken) {
                break;
            }
            self.mass_cancels.was_sent(id, now);
            self.ledger.budget.charge(CANCEL_WEIGHT, now);
            self.counters.cancels_sent.increment();
            sent += 1;
        }
        sent
    }

    /// Sends what is due: cancels that had to wait, and questions about orders in doubt.
    #[inline]
    pub(super) fn ask(&mut self, line: &mut Line, now: Timestamp) -> usize {
        if !self.is_open() {
            return 0;
        }
        let overdue = self.wire.expire(now);
        if overdue.is_any {
            self.tap.touch();
        }
        if overdue.doubtful > 0 {
            self.counters.timeouts.add(overdue.doubtful as u64);
            self.tell_doubtful(now);
        }
        let mut asked = self.cancel_all(line, now);
        while asked < ASKS_PER_CYCLE {
            let Some((order, ask)) = self.wire.next_due(now) else { break };
            if !self.send(order.client_order_id, ask, line, now) {
                break;
            }
            asked += 1;
        }
        asked
    }

    /// Puts a cancel or a question into the write buffer. `false` where it cannot go now.
    fn send(&mut self, id: ClientOrderId, ask: Ask, line: &mut Line, now: Timestamp) -> bool {
        let (urgency, weight) = match ask {
            Ask::Cancel => (Urgency::Cancel, CANCEL_WEIGHT),
            Ask::Status => (Urgency::Query, STATUS_WEIGHT),
            Ask::Trades => (Urgency::Query, TRADES_WEIGHT),
        };
        if !self.permits(urgency, weight, now) {
            return false;
        }
        let venue_ms = self.venue_ms(now);
        let Some(order) = self.wire.find(id) else { return false };
        let venue_order_id = order.venue_order_id;
        let Some(instrument) = self.instruments.get(order.instrument) else { return false };
        let request = match ask {
            Ask::Cancel => Outbound::Cancel { id, instrument },
            Ask::Status => Outbound::Status { id, instrument },
            Ask::Trades => Outbound::Trades { venue_order_id, instrument },
        };
        if !line.put(request, venue_ms, &mut self.tap, &mut self.is_broken) {
            return false;
        }
        self.wire.was_asked(id, ask, now);
        self.ledger.budget.charge(weight, now);
        match ask {
            Ask::Cancel => self.counters.cancels_sent.increment(),
            Ask::Status | Ask::Trades => self.counters.queries_sent.increment(),
        }
        true
    }
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
