//! Orders out, execution reports in: one account at one venue.
//!
//! The gateway takes nothing but [`Approved`] orders and cancels (`outgoing`), keeps every order on the wire until the
//! venue proves its end ([`wire`]), and publishes all it learns to risk (`incoming`). A new connection first logs on, then
//! subscribes to reports (`session`), then goes through a round of reconciliation ([`rounds`], `reconcile`); only then
//! are new orders sent. Rounds go on while it trades.

mod incoming;
mod mass_cancels;
mod outgoing;
mod reconcile;
pub mod rounds;
mod session;
pub mod wire;

use crate::metrics::{GatewayCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender};
use crate::pipeline::stage::Stage;
use crate::risk::Approved;
use crate::types::{
    CancelIntent, ClientOrderId, GatewayMessage, InstrumentId, Instruments, Notice, NoticeCode, Request, SentOrder,
    Timestamp, VenueId,
};
use crate::venue::binance::{OrderEncoder, UserCodec};
use crate::venue::budget::{Budget, BudgetLimits, BudgetUse, Urgency};
use crate::venue::connection::{Arrival, Backoff, Connection, ConnectionPort, Lost};
use mass_cancels::MassCancels;
use reconcile::Numbers;
use rounds::{Rounds, Told};
use session::Step;
use std::collections::VecDeque;
use std::sync::Arc;
pub use wire::OpenOrder;
use wire::Wire;

/// Frames taken from the socket in one cycle.
const FRAMES_PER_CYCLE: usize = 8;
/// Cancels taken in one cycle: all that their lane can hold, so that a kill goes out in one piece.
const CANCELS_PER_CYCLE: u64 = 4_096;
/// Orders taken in one cycle.
const ORDERS_PER_CYCLE: u64 = 16;
/// Reports that may wait for room in the lane to risk. While any does, the socket is not read, so that one cycle's
/// frames are the most that can come on top: eight answers of a thousand trades.
const BACKLOG_MAX: usize = 10_000;
/// Cancels that may wait for their orders to come out of the lane: as many as that lane can hold at most.
const EARLY_CANCELS_MAX: usize = 4_096;
/// How often a connection is looked after.
const KEEP_ALIVE_EVERY_NS: u64 = 100_000_000;
/// A change of the budget that risk is told: this part of a limit.
const BUDGET_NEWS: u32 = 64;

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
    /// What the venue lets us ask, shared with whoever else does.
    pub budget: Arc<Budget>,
    /// How often a round of reconciliation begins; less often where rounds would weigh more than a quarter of what the
    /// venue allows in a minute.
    pub reconcile_interval_ns: u64,
    /// By instrument id, the newest numbers that are known of an earlier run, or of before this one. Fills behind them are
    /// asked for; instruments left out have none.
    pub last_known: Vec<LastKnown>,
    /// Orders that an earlier run may have sent and that are not proven ended.
    pub open_orders: Vec<OpenOrder>,
    /// Starts masks and spreads retries.
    pub seed: u32,
}

impl GatewayConfig {
    /// How often a round of reconciliation begins where nobody says otherwise.
    pub const RECONCILE_INTERVAL_NS: u64 = 3_000_000_000;
}

/// The newest of the venue's numbers that are known in an instrument; zero where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastKnown {
    /// Of an order of ours.
    pub venue_order_id: u64,
    /// Of a fill of ours.
    pub execution_id: u64,
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
    /// Reports do not come any more, though the session stands: nothing new is sent until all is known again.
    is_stream_lost: bool,
    /// The venue has lost what it knew: nothing new is sent in this run.
    is_halted: bool,
    budget: Arc<Budget>,
    /// What risk was told of the budget last.
    budget_told: (BudgetLimits, BudgetUse),
    rounds: Rounds,
    executions: Told,
    numbers: Numbers,
    mass_cancels: MassCancels,
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
        let last = |id: InstrumentId| config.last_known.get(id.index()).copied().unwrap_or_default();
        let here: Vec<_> = config
            .instruments
            .iter()
            .filter(|instrument| instrument.venue == config.venue)
            .map(|instrument| (instrument.id, last(instrument.id).execution_id))
            .collect();
        let instrument_count = config.instruments.len();
        let mut wire = Wire::new(config.wire_capacity, config.request_timeout_ns);
        // There is room for as many as an earlier run could have on the wire.
        config.open_orders.iter().for_each(|open| _ = wire.restore(open));
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
                wire,
                step: Step::Down,
                next_step: None,
                clock_offset_ns: config.clock_offset_ns,
                is_stream_lost: false,
                is_halted: false,
                budget: config.budget,
                budget_told: Default::default(),
                rounds: Rounds::new(&here, config.reconcile_interval_ns, config.request_timeout_ns),
                executions: Told::default(),
                numbers: Numbers::new(config.last_known, instrument_count),
                mass_cancels: MassCancels::new(instrument_count, config.request_timeout_ns),
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
        // A connection weighs something, too, and one under a ban makes that longer.
        let is_allowed = self.core.budget.permits(Urgency::Cancel, session::LOG_ON_WEIGHT, now);
        if is_allowed && (self.wants_connection || self.backoff.is_due(now)) {
            self.wants_connection = self.requests.try_send(Request::Connect).is_err();
        }
        match self.port.arrivals.try_recv() {
            Ok(Arrival::Connected(connection)) if !is_allowed => {
                self.port.retire(connection);
                self.backoff.failed(now, None);
                0
            }
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
                if let Some(connection) = &mut self.connection {
                    self.core.begin(connection, now);
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
        self.core.tell_budget(now);
        let Some(connection) = &mut self.connection else { return };
        let kept = self.core.step.in_time(now).and_then(|()| connection.keep_alive(now));
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
        // All of them by one write.
        core.flush(connection);
        work_done += self.orders.drain(ORDERS_PER_CYCLE, |approved| core.order(approved, connection, clock, now));
        if !core.early_cancels.is_empty() && !self.orders.has_next() {
            // Whatever was approved before those cancels has been taken: their orders had ended already.
            core.early_cancels.clear();
        }
        if let Some(connection) = connection {
            work_done += core.ask(connection, now) + core.reconcile(connection, now);
        }
        core.flush(connection);
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

    /// The instant in the venue's clock, in ms.
    #[inline]
    fn venue_ms(&self, now: Timestamp) -> u64 {
        now.nanos().saturating_add_signed(self.clock_offset_ns) / 1_000_000
    }

    /// Writes what waits, as far as the stream takes it.
    #[inline]
    fn flush(&mut self, connection: &mut Option<Box<Connection>>) {
        if let Some(connection) = connection
            && !connection.is_flushed()
            && connection.flush().is_err()
        {
            self.is_broken = true;
        }
    }

    /// Tells risk what is used of the venue's limits, where that has changed by more than little.
    fn tell_budget(&mut self, now: Timestamp) {
        let (limits, used) = (self.budget.limits(), self.budget.used(now));
        let (told_limits, told) = self.budget_told;
        let is_news = |told: u32, used: u32, limit: u32| limit > 0 && told.abs_diff(used) > limit / BUDGET_NEWS;
        if limits == told_limits
            && !is_news(told.weight, used.weight, limits.weight)
            && !is_news(told.orders, used.orders, limits.orders)
        {
            return;
        }
        self.budget_told = (limits, used);
        self.tell(GatewayMessage::Budget {
            venue: self.venue,
            used_weight: used.weight,
            weight_limit: limits.weight,
            used_orders: used.orders,
            order_limit: limits.orders,
            received_ns: now,
        });
    }
}

#[cfg(test)]
mod tests;
