//! Orders out, execution reports in: one account at one venue.
//!
//! The gateway takes nothing but [`Approved`] orders and cancels, keeps every order on the wire until the venue proves
//! its end ([`wire`]), and publishes all it learns to risk. A new connection first logs on, then subscribes to reports,
//! then asks the venue about every order that is not proven ended; only then are new orders sent.

pub mod wire;

use crate::metrics::{GatewayCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender};
use crate::pipeline::stage::Stage;
use crate::risk::Approved;
use crate::types::{
    CancelIntent, ClientOrderId, ExecutionReport, GatewayMessage, InstrumentId, Instruments, Notice, NoticeCode, Order,
    OrderStatus, Quantity, ReportKind, Request, SentOrder, SessionState, Timestamp, VenueId,
};
use crate::venue::binance::refusal::{Refusal, classify};
use crate::venue::binance::{OrderEncoder, RequestKind, Response, SessionKind, UserCodec, UserFrame, VenueError};
use crate::venue::connection::{Arrival, Backoff, Connection, ConnectionPort, Lost};
use std::collections::VecDeque;
use std::sync::Arc;
use wire::{Ask, CancelPlan, NotFound, Wire};

/// Frames taken from the socket in one cycle.
const FRAMES_PER_CYCLE: usize = 8;
/// Cancels taken in one cycle.
const CANCELS_PER_CYCLE: u64 = 64;
/// Orders taken in one cycle.
const ORDERS_PER_CYCLE: u64 = 16;
/// Questions sent in one cycle.
const ASKS_PER_CYCLE: usize = 8;
/// Reports that may wait for room in the lane to risk. While any does, the socket is not read, so that one cycle's
/// frames are the most that can come on top: eight answers of a thousand trades.
const BACKLOG_MAX: usize = 10_000;
/// Cancels that may wait for their orders to come out of the lane: as many as that lane can hold at most.
const EARLY_CANCELS_MAX: usize = 4_096;
/// How often a connection is looked after.
const KEEP_ALIVE_EVERY_NS: u64 = 100_000_000;
/// How long a step of logging on may take.
const STEP_MAX_NS: u64 = 10_000_000_000;
/// How long new orders are held off after the venue said that there were too many.
const TOO_MANY_PAUSE_NS: u64 = 1_000_000_000;

/// What a gateway is made of.
pub struct GatewayConfig {
    /// `gateway-VENUE`.
    pub name: &'static str,
    /// Whose orders.
    pub venue: VenueId,
    /// Writes this account's requests.
    pub encoder: OrderEncoder,
    /// Reads the venue's answers.
    pub codec: UserCodec,
    /// Every instrument.
    pub instruments: Arc<Instruments>,
    /// Orders on the wire at most; further ones are not sent.
    pub wire_capacity: usize,
    /// When an unanswered request makes its order's fate unknown.
    pub request_timeout_ns: u64,
    /// The venue's clock less ours, in ns, for the timestamps of requests.
    pub clock_offset_ns: i64,
    /// Starts masks and spreads retries.
    pub seed: u32,
}

/// The lanes of a gateway.
pub struct GatewayLanes {
    /// Orders that passed risk.
    pub orders: Receiver<Approved>,
    /// Cancels.
    pub cancels: Receiver<CancelIntent>,
    /// To risk.
    pub reports: Sender<GatewayMessage>,
    /// Instants of sent orders, for displays.
    pub sent: Sender<SentOrder>,
    /// Connections, and where lost ones go.
    pub connections: ConnectionPort,
    /// What only the cold plane can do.
    pub requests: Sender<Request>,
    /// What people should know.
    pub notices: Sender<Notice>,
}

/// How far the session is, in its own steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Down,
    LoggingOn { since: Timestamp },
    Subscribing { since: Timestamp },
    Reconciling,
    Ready,
}

/// The stage.
pub struct Gateway {
    clock: Clock,
    connection: Option<Box<Connection>>,
    orders: Receiver<Approved>,
    cancels: Receiver<CancelIntent>,
    port: ConnectionPort,
    requests: Sender<Request>,
    backoff: Backoff,
    wants_connection: bool,
    looked_after_ns: Timestamp,
    codec: UserCodec,
    name: &'static str,
    core: Core,
}

/// The session; apart from the connection, so that a frame can be lent from it meanwhile.
struct Core {
    venue: VenueId,
    encoder: OrderEncoder,
    instruments: Arc<Instruments>,
    wire: Wire,
    step: Step,
    /// The step that an answer opened; entered once the frames that were read are taken.
    next_step: Option<Step>,
    clock_offset_ns: i64,
    paused_until: Timestamp,
    /// A frame showed that the session cannot go on as it is.
    is_broken: bool,
    /// The venue said that it is about to close.
    is_leaving: bool,
    /// Cancels of orders that are not on the wire, but may still be in the lane.
    early_cancels: Vec<ClientOrderId>,
    reports: Sender<GatewayMessage>,
    backlog: VecDeque<GatewayMessage>,
    sent: Sender<SentOrder>,
    notices: Sender<Notice>,
    counters: Shared<GatewayCounters>,
}

impl Gateway {
    /// The gateway of one account, not connected yet.
    #[must_use]
    pub fn new(config: GatewayConfig, lanes: GatewayLanes, clock: Clock, counters: Shared<GatewayCounters>) -> Self {
        Self {
            clock,
            connection: None,
            orders: lanes.orders,
            cancels: lanes.cancels,
            port: lanes.connections,
            requests: lanes.requests,
            backoff: Backoff::new(config.seed),
            wants_connection: false,
            looked_after_ns: Timestamp::UNKNOWN,
            codec: config.codec,
            name: config.name,
            core: Core {
                venue: config.venue,
                encoder: config.encoder,
                instruments: config.instruments,
                wire: Wire::new(config.wire_capacity, config.request_timeout_ns),
                step: Step::Down,
                next_step: None,
                clock_offset_ns: config.clock_offset_ns,
                paused_until: Timestamp::UNKNOWN,
                is_broken: false,
                is_leaving: false,
                early_cancels: Vec::with_capacity(EARLY_CANCELS_MAX),
                reports: lanes.reports,
                backlog: VecDeque::with_capacity(BACKLOG_MAX),
                sent: lanes.sent,
                notices: lanes.notices,
                counters,
            },
        }
    }

    /// Orders that the venue may know and that are not proven ended.
    #[must_use]
    pub fn on_wire(&self) -> usize {
        self.core.wire.len()
    }

    #[cold]
    fn reconnect(&mut self, now: Timestamp) -> usize {
        if self.wants_connection || self.backoff.is_due(now) {
            self.wants_connection = self.requests.try_send(Request::Connect).is_err();
        }
        match self.port.arrivals.try_recv() {
            Ok(Arrival::Connected(connection)) => {
                self.backoff.connected(now);
                // Where the old one still stands (the venue is about to end it), what is under way on it is in doubt.
                if let Some(old) = self.connection.replace(connection) {
                    self.port.retire(old);
                    self.core.lost(Lost::Replaced, now);
                }
                self.core.counters.connects.increment();
                self.core.notice(Notice::new(NoticeCode::Connected, now));
                self.core.is_leaving = false;
                let first = match self.core.encoder.kind() {
                    SessionKind::LoggedOn => Step::LoggingOn { since: now },
                    SessionKind::SignedEach => Step::Subscribing { since: now },
                };
                if let Some(connection) = &mut self.connection {
                    self.core.enter(first, connection, now);
                }
                1
            }
            Ok(Arrival::Failed { retry_after_s }) => {
                self.backoff.failed(now, retry_after_s);
                0
            }
            Err(_) => 0,
        }
    }

    #[cold]
    fn lost(&mut self, lost: Lost, now: Timestamp) {
        if let Some(connection) = self.connection.take() {
            self.port.retire(connection);
        }
        if self.backoff.lost(now) {
            self.port.retire_arrivals();
        }
        self.core.lost(lost, now);
    }

    fn look_after(&mut self, now: Timestamp) {
        self.looked_after_ns = now;
        let Some(connection) = &mut self.connection else { return };
        let is_late = match self.core.step {
            Step::LoggingOn { since } | Step::Subscribing { since } => now.since(since) >= STEP_MAX_NS,
            Step::Down | Step::Reconciling | Step::Ready => false,
        };
        let kept = if is_late { Err(Lost::Silent(STEP_MAX_NS)) } else { connection.keep_alive(now) };
        if let Err(lost) = kept {
            self.lost(lost, now);
        }
    }

    fn read(&mut self, now: Timestamp) -> usize {
        let Some(connection) = &mut self.connection else { return 0 };
        let (clock, codec, core) = (&self.clock, &mut self.codec, &mut self.core);
        let polled = connection.poll(
            FRAMES_PER_CYCLE,
            || clock.now(),
            |frame, received_ns| core.frame(codec, frame, received_ns),
        );
        match polled {
            Ok(count) => {
                if count > 0 && !core.is_broken {
                    core.proceed(connection, now);
                }
                count
            }
            Err(lost) => {
                self.lost(lost, now);
                1
            }
        }
    }
}

impl Stage for Gateway {
    fn poll(&mut self, now: Timestamp) -> usize {
        let mut work_done = self.core.flush_backlog();
        if self.connection.is_none() || self.core.is_leaving {
            work_done += self.reconnect(now);
        }
        // Out before in: an order does not wait for the system call that reading the socket is.
        let (core, connection, clock) = (&mut self.core, &mut self.connection, &self.clock);
        work_done += self.cancels.drain(CANCELS_PER_CYCLE, |cancel| core.cancel(cancel, connection, now));
        work_done += self.orders.drain(ORDERS_PER_CYCLE, |approved| core.order(approved, connection, clock, now));
        if !core.early_cancels.is_empty() && !self.orders.has_next() {
            // Whatever was approved before those cancels has been taken: their orders had ended already.
            core.early_cancels.clear();
        }
        if let Some(connection) = connection {
            work_done += core.ask(connection, now);
        }
        // Risk has no room: what the venue says next waits in the socket, where nothing is lost.
        if self.core.backlog.is_empty() {
            work_done += self.read(now);
        }
        // Whether a frame just showed it, or a write failed since.
        if std::mem::take(&mut self.core.is_broken) && self.connection.is_some() {
            self.lost(Lost::GivenUp, now);
            work_done += 1;
        }
        if now.since(self.looked_after_ns) >= KEEP_ALIVE_EVERY_NS {
            self.look_after(now);
        }
        work_done
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

impl Core {
    fn notice(&mut self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.counters.notices_dropped.increment();
        }
    }

    /// Tells risk; what finds no room waits in order.
    #[inline]
    fn tell(&mut self, message: GatewayMessage) {
        if self.backlog.is_empty() && self.reports.try_send(message).is_ok() {
            return;
        }
        if self.backlog.len() < BACKLOG_MAX {
            self.backlog.push_back(message);
        } else {
            // A new session asks the venue about everything that is not told.
            self.is_broken = true;
        }
    }

    #[inline]
    fn flush_backlog(&mut self) -> usize {
        let mut count = 0;
        while let Some(message) = self.backlog.front() {
            if self.reports.try_send(*message).is_err() {
                break;
            }
            self.backlog.pop_front();
            count += 1;
        }
        count
    }

    fn tell_session(&mut self, state: SessionState, now: Timestamp) {
        self.tell(GatewayMessage::Session { venue: self.venue, state, received_ns: now });
    }

    /// The instant in the venue's clock, in ms.
    #[inline]
    fn venue_ms(&self, now: Timestamp) -> u64 {
        now.nanos().saturating_add_signed(self.clock_offset_ns) / 1_000_000
    }

    // --- Orders and cancels out ---------------------------------------------------------------------------------

    #[inline]
    fn order(&mut self, approved: &Approved, connection: &mut Option<Box<Connection>>, clock: &Clock, now: Timestamp) {
        let order = approved.order();
        if let Some(place) = self.early_cancels.iter().position(|id| *id == order.client_order_id) {
            // Canceled before it was sent: then it is not sent.
            self.early_cancels.swap_remove(place);
            return self.not_sent(order, now);
        }
        let venue_ms = self.venue_ms(now);
        let Some(connection) = connection.as_mut().filter(|connection| {
            // Bytes that wait would make this order late behind them: a venue that does not read gets no orders.
            self.step == Step::Ready && now >= self.paused_until && connection.is_flushed() && self.wire.has_room()
        }) else {
            return self.not_sent(order, now);
        };
        let Some(instrument) = self.instruments.get(order.instrument) else { return self.not_sent(order, now) };
        let is_queued = match self.encoder.place(order, instrument, venue_ms) {
            Ok(bytes) => connection.queue(bytes).is_ok(),
            Err(_) => false,
        };
        if !is_queued {
            return self.not_sent(order, now);
        }
        let encoded_ns = clock.now();
        // Entered before it is written: from here on the venue may have it, whatever happens to the socket.
        self.wire.enter(order, now);
        if connection.flush().is_err() {
            self.is_broken = true;
        }
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

    fn cancel(&mut self, cancel: &CancelIntent, connection: &mut Option<Box<Connection>>, now: Timestamp) {
        let is_ready = self.step == Step::Ready;
        if self.wire.find(cancel.client_order_id).is_none() {
            if self.early_cancels.len() < EARLY_CANCELS_MAX {
                self.early_cancels.push(cancel.client_order_id);
            }
            return;
        }
        match (self.wire.want_cancel(cancel.client_order_id, is_ready), connection) {
            (CancelPlan::Send, Some(connection)) => {
                self.send(cancel.client_order_id, cancel.instrument, Ask::Cancel, connection, now);
            }
            (CancelPlan::Send | CancelPlan::Later | CancelPlan::Nothing, _) => {}
        }
    }

    /// Sends what is due: cancels that had to wait, and questions about orders in doubt.
    #[inline]
    fn ask(&mut self, connection: &mut Connection, now: Timestamp) -> usize {
        if !matches!(self.step, Step::Reconciling | Step::Ready) {
            return 0;
        }
        let mut asked = 0;
        while asked < ASKS_PER_CYCLE {
            let mut overdue = None;
            let next = self.wire.next_due(now, |order| overdue = Some((order.client_order_id, order.instrument)));
            if let Some((id, instrument)) = overdue {
                self.counters.timeouts.increment();
                self.tell_unknown(id, instrument, now);
            }
            let Some((order, ask)) = next else { break };
            if !self.send(order.client_order_id, order.instrument, ask, connection, now) {
                break;
            }
            asked += 1;
        }
        asked
    }

    fn send(
        &mut self,
        id: ClientOrderId,
        instrument: InstrumentId,
        ask: Ask,
        connection: &mut Connection,
        now: Timestamp,
    ) -> bool {
        let venue_ms = self.venue_ms(now);
        let Some(instrument) = self.instruments.get(instrument) else { return false };
        let venue_order_id = self.wire.find(id).map_or(0, |order| order.venue_order_id);
        let encoded = match ask {
            Ask::Cancel => self.encoder.cancel(id, instrument, venue_ms),
            Ask::Status => self.encoder.status(id, instrument, venue_ms),
            Ask::Trades => self.encoder.my_trades(instrument, venue_order_id, venue_ms),
        };
        let is_queued = encoded.is_ok_and(|bytes| connection.queue(bytes).is_ok());
        if !is_queued {
            return false;
        }
        if connection.flush().is_err() {
            self.is_broken = true;
        }
        self.wire.was_asked(id, ask, now);
        match ask {
            Ask::Cancel => self.counters.cancels_sent.increment(),
            Ask::Status | Ask::Trades => self.counters.queries_sent.increment(),
        }
        true
    }

    // --- The session --------------------------------------------------------------------------------------------

    fn enter(&mut self, step: Step, connection: &mut Connection, now: Timestamp) {
        self.step = step;
        let venue_ms = self.venue_ms(now);
        let encoded = match step {
            Step::LoggingOn { .. } => self.encoder.logon(venue_ms),
            Step::Subscribing { .. } => self.encoder.subscribe(venue_ms),
            Step::Reconciling => return self.tell_session(SessionState::Reconciling, now),
            Step::Down | Step::Ready => return,
        };
        if !encoded.is_ok_and(|bytes| connection.queue(bytes).is_ok()) || connection.flush().is_err() {
            self.is_broken = true;
        }
        self.tell_session(SessionState::LoggingOn, now);
    }

    /// Moves the session on after frames were taken.
    fn proceed(&mut self, connection: &mut Connection, now: Timestamp) {
        if let Some(step) = self.next_step.take() {
            self.enter(step, connection, now);
        }
        if self.step == Step::Reconciling && self.wire.is_reconciled() {
            self.step = Step::Ready;
            self.tell_session(SessionState::Ready, now);
            self.notice(Notice::new(NoticeCode::SessionReady, now));
        }
    }

    #[cold]
    fn lost(&mut self, lost: Lost, now: Timestamp) {
        self.step = Step::Down;
        self.is_leaving = false;
        self.counters.disconnects.increment();
        self.tell_session(SessionState::Down, now);
        self.notice(Notice::new(NoticeCode::Disconnected, now).excerpt(lost.name().as_bytes()));
        self.next_step = None;
        self.wire.disconnected(now);
        while let Some((id, instrument)) = self.wire.next_doubtful() {
            self.tell_unknown(id, instrument, now);
        }
    }

    fn tell_unknown(&mut self, id: ClientOrderId, instrument: InstrumentId, now: Timestamp) {
        let report = ExecutionReport {
            client_order_id: id,
            instrument,
            kind: ReportKind::Unknown,
            received_ns: now,
            ..ExecutionReport::default()
        };
        self.tell(GatewayMessage::Report(report));
        self.notice(Notice::new(NoticeCode::OrderUnknown, now).order(id).instrument(instrument));
    }

    // --- What the venue says ------------------------------------------------------------------------------------

    fn frame(&mut self, codec: &mut UserCodec, frame: &mut [u8], received_ns: Timestamp) {
        self.counters.frames.increment();
        match codec.decode_user(frame) {
            Ok(UserFrame::Report(report)) => self.report(report, received_ns),
            Ok(UserFrame::Response(response)) => self.response(&response, codec, received_ns),
            Ok(UserFrame::StreamTerminated) => self.is_broken = true,
            Ok(UserFrame::Shutdown) => self.is_leaving = true,
            Ok(UserFrame::Account(_) | UserFrame::Other) => {}
            Ok(UserFrame::UnknownReport(_)) | Err(_) => {
                // Something about orders was said that we do not understand. The only safe reading is to ask the
                // venue about every one of them: over a new session, which begins with that.
                self.counters.bad_frames.increment();
                self.notice(Notice::new(NoticeCode::BadOrderFrame, received_ns).excerpt(frame));
                self.is_broken = true;
            }
        }
    }

    fn report(&mut self, mut report: ExecutionReport, received_ns: Timestamp) {
        report.received_ns = received_ns;
        self.counters.reports.increment();
        if report.kind == ReportKind::Rejected {
            self.counters.rejects.increment();
        }
        let missing = self.wire.report(&report);
        self.tell(GatewayMessage::Report(report));
        if let Some((booked, stated)) = missing {
            let notice = Notice::new(NoticeCode::MissingFill, received_ns).order(report.client_order_id);
            self.notice(notice.instrument(report.instrument).values(i128::from(booked.0), i128::from(stated.0)));
        }
    }

    fn response(&mut self, response: &Response, codec: &UserCodec, received_ns: Timestamp) {
        let id = response.client_order_id();
        match (response.kind, &response.error) {
            (RequestKind::Logon, None) => self.next_step = Some(Step::Subscribing { since: received_ns }),
            (RequestKind::Subscribe, None) => self.next_step = Some(Step::Reconciling),
            (RequestKind::Logon | RequestKind::Subscribe, Some(error)) => {
                let notice = Notice::new(NoticeCode::Misconfigured, received_ns).values(0, i128::from(error.code));
                self.notice(notice.excerpt(error.message.as_bytes()));
                self.is_broken = true;
            }
            (RequestKind::Place, None) => {
                self.wire.placed(id, codec.reports().first().map_or(0, |report| report.venue_order_id));
            }
            (RequestKind::Place, Some(error)) => self.place_refused(id, response.status, error, received_ns),
            (RequestKind::Cancel, Some(error)) => self.cancel_refused(id, response.status, error, received_ns),
            (RequestKind::Status, None) => {
                for &report in codec.reports() {
                    self.report(report, received_ns);
                }
            }
            (RequestKind::Status, Some(error)) if classify(response.status, error.code) == Refusal::NoSuchOrder => {
                self.no_such_order(id, error.code, received_ns);
            }
            // Not asked for yet.
            (RequestKind::Replace | RequestKind::Fills, _) => {}
            (RequestKind::MyTrades, None) => self.trades(response.subject, codec.reports(), received_ns),
            // The report stream tells what became of a cancel; what else is refused is asked again when it is overdue.
            _ => {}
        }
    }

    /// All fills of an order, oldest first; risk books those that it has not.
    fn trades(&mut self, venue_order_id: u64, fills: &[ExecutionReport], received_ns: Timestamp) {
        let Some(id) = self.wire.find_by_venue_id(venue_order_id) else { return };
        let mut total = Quantity::ZERO;
        for &fill in fills {
            total.0 = total.0.saturating_add(fill.last_quantity.0);
            let report = ExecutionReport { client_order_id: id, cumulative_quantity: total, received_ns, ..fill };
            self.tell(GatewayMessage::Report(report));
        }
        self.wire.trades_answered(id, total);
    }

    fn cancel_refused(&mut self, id: ClientOrderId, status: u16, error: &VenueError, received_ns: Timestamp) {
        let code = error.code;
        match classify(status, code) {
            Refusal::Proven | Refusal::NoSuchOrder => self.wire.cancel_refused(id, received_ns),
            Refusal::TooMany => {
                self.pause(error, received_ns);
                return self.doubt(id, self.paused_until, received_ns);
            }
            // It may be canceled all the same.
            Refusal::Unproven => return self.doubt(id, received_ns.plus(Wire::ASK_AGAIN_NS), received_ns),
        }
        self.notice(Notice::new(NoticeCode::CancelRejected, received_ns).order(id).values(0, i128::from(code)));
        let Some(order) = self.wire.find(id) else { return };
        let (instrument, side) = (order.instrument, order.side);
        let report = ExecutionReport {
            client_order_id: id,
            instrument,
            side,
            kind: ReportKind::CancelRejected,
            code,
            received_ns,
            ..ExecutionReport::default()
        };
        self.tell(GatewayMessage::Report(report));
    }

    /// Holds new orders off, as the venue wants.
    fn pause(&mut self, error: &VenueError, received_ns: Timestamp) {
        self.paused_until = received_ns.plus(TOO_MANY_PAUSE_NS).max(error.retry_after);
    }

    fn doubt(&mut self, id: ClientOrderId, ask_at: Timestamp, received_ns: Timestamp) {
        let Some(instrument) = self.wire.find(id).map(|order| order.instrument) else { return };
        if self.wire.doubt(id, ask_at) {
            self.tell_unknown(id, instrument, received_ns);
        }
    }

    fn place_refused(&mut self, id: ClientOrderId, status: u16, error: &VenueError, received_ns: Timestamp) {
        let Some(order) = self.wire.find(id) else { return };
        let (instrument, side) = (order.instrument, order.side);
        let refusal = classify(status, error.code);
        if !matches!(refusal, Refusal::Proven | Refusal::TooMany) {
            return self.doubt(id, received_ns, received_ns);
        }
        if refusal == Refusal::TooMany {
            self.pause(error, received_ns);
        }
        self.wire.remove(id);
        self.counters.rejects.increment();
        let report = ExecutionReport {
            client_order_id: id,
            instrument,
            side,
            kind: ReportKind::Rejected,
            code: error.code,
            received_ns,
            ..ExecutionReport::default()
        };
        self.tell(GatewayMessage::Report(report));
        let notice = Notice::new(NoticeCode::Rejected, received_ns).order(id).instrument(instrument);
        self.notice(notice.values(0, i128::from(error.code)).excerpt(error.message.as_bytes()));
    }

    /// The venue does not know the order: proof only when it had all the time there is to accept it.
    fn no_such_order(&mut self, id: ClientOrderId, code: i32, received_ns: Timestamp) {
        let Some(order) = self.wire.find(id) else { return };
        let (instrument, side) = (order.instrument, order.side);
        if self.wire.not_found(id, received_ns) == NotFound::NeverTaken {
            let report = ExecutionReport {
                client_order_id: id,
                instrument,
                side,
                kind: ReportKind::Status,
                status: OrderStatus::Rejected,
                code,
                received_ns,
                ..ExecutionReport::default()
            };
            self.tell(GatewayMessage::Report(report));
        }
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

#[cfg(test)]
mod tests;
