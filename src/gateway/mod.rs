//! Orders out, execution reports in: one account at one venue.
//!
//! The gateway takes nothing but [`Approved`] orders and cancels (`outgoing`), keeps every order on the wire until the
//! venue proves its end ([`wire`]), and publishes all it learns to risk (`incoming`). A new connection first logs on, then
//! subscribes to reports (`session`), then goes through a round of reconciliation ([`rounds`], `reconcile`); only then
//! are new orders sent. Rounds go on while it trades.
//!
//! What it takes is written down poll by poll ([`Tap`]): orders, cancels, frames as they came, connections that arrive and
//! are lost; and, as it depends on nothing else, what the `line` and the `ledger` refused. What it tells is
//! not: risk writes down what it took. In replay the same stage finds all that again ([`Gateway::foretell`]).

mod answers;
mod foretold;
mod incoming;
mod ledger;
mod line;
mod mass_cancels;
mod outgoing;
mod reconcile;
pub mod rounds;
mod session;
mod start;
pub mod wire;

use crate::metrics::{GatewayCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::digest::Digest;
use crate::pipeline::lane::{Receiver, Sender};
use crate::pipeline::outlet::Outlet;
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::risk::Approved;
use crate::types::{
    CancelIntent, ClientOrderId, Disconnect, Event, GatewayMessage, InstrumentId, Instruments, Notice, NoticeCode,
    Outgoing, Request, SentOrder, Timestamp, VenueId,
};
use crate::venue::binance::{OrderEncoder, SessionKind, UserCodec};
use crate::venue::budget::{Budget, BudgetLimits, BudgetUse, Urgency};
use crate::venue::connection::{Arrival, Backoff, ConnectionPort, Lost};
use foretold::Foretold;
use ledger::Ledger;
use line::Line;
use mass_cancels::MassCancels;
use outgoing::Placing;
use reconcile::Numbers;
use rounds::{Rounds, Told};
use session::Step;
pub use start::GatewayStart;
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
/// How often the state's hash is written down, in entries taken.
const HASH_EVERY: u64 = 65_536;

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
    line: Line,
    orders: Receiver<Approved>,
    cancels: Receiver<CancelIntent>,
    port: ConnectionPort,
    requests: Sender<Request>,
    backoff: Backoff,
    wants_connection: bool,
    looked_after_ns: Timestamp,
    codec: UserCodec,
    name: &'static str,
    /// In replay, what the next poll finds.
    foretold: Option<Box<Foretold>>,
    core: Core,
}

/// The session; apart from the line, so that a frame can be lent from it meanwhile.
struct Core {
    venue: VenueId,
    session_kind: SessionKind,
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
    ledger: Ledger,
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
    reports: Outlet<GatewayMessage>,
    backlog: VecDeque<GatewayMessage>,
    sent: Sender<SentOrder>,
    notices: Sender<Notice>,
    tap: Tap,
    /// After how many entries taken the state's hash is written down next.
    hash_at: u64,
    /// Connections so far.
    connection_count: u64,
    counters: Shared<GatewayCounters>,
}

impl Gateway {
    /// The gateway of one account, not connected yet.
    #[must_use]
    pub fn new(config: GatewayConfig, lanes: GatewayLanes, clock: Clock, counters: Shared<GatewayCounters>) -> Self {
        let start = config.start();
        let GatewayConfig { name, encoder, codec, instruments, budget, seed, .. } = config;
        let (line, edge) = (Line::new(Some(encoder)), (name, codec, instruments, budget));
        Self::build(start, line, edge, seed, lanes, clock, counters)
    }

    /// The gateway of a start that is replayed: without a line to any venue.
    #[must_use]
    pub fn replaying(start: GatewayStart, instruments: Arc<Instruments>, lanes: GatewayLanes) -> Self {
        let codec = UserCodec::new(Arc::clone(&instruments), start.venue);
        let edge = ("gateway", codec, instruments, Arc::default());
        let clock = Clock::virtual_at(Timestamp::UNKNOWN);
        let mut gateway = Self::build(start, Line::new(None), edge, 1, lanes, clock, Shared::default());
        gateway.foretell(&Event::Cycle);
        gateway
    }

    fn build(
        config: GatewayStart,
        line: Line,
        (name, codec, instruments, budget): (&'static str, UserCodec, Arc<Instruments>, Arc<Budget>),
        seed: u32,
        lanes: GatewayLanes,
        clock: Clock,
        counters: Shared<GatewayCounters>,
    ) -> Self {
        let last = |id: InstrumentId| config.last_known.get(id.index()).copied().unwrap_or_default();
        let here: Vec<_> = instruments
            .iter()
            .filter(|instrument| instrument.venue == config.venue)
            .map(|instrument| (instrument.id, last(instrument.id).execution_id))
            .collect();
        let instrument_count = instruments.len();
        let mut wire = Wire::new(config.wire_capacity, config.request_timeout_ns);
        // There is room for as many as an earlier run could have on the wire.
        config.open_orders.iter().for_each(|open| _ = wire.restore(open));
        Self {
            clock,
            line,
            orders: lanes.orders,
            cancels: lanes.cancels,
            port: lanes.connections,
            requests: lanes.requests,
            backoff: Backoff::new(seed),
            wants_connection: false,
            looked_after_ns: Timestamp::UNKNOWN,
            codec,
            name,
            foretold: None,
            core: Core {
                venue: config.venue,
                session_kind: config.session_kind,
                instruments,
                wire,
                step: Step::Down,
                next_step: None,
                clock_offset_ns: config.clock_offset_ns,
                is_stream_lost: false,
                is_halted: false,
                ledger: Ledger::new(budget),
                budget_told: Default::default(),
                rounds: Rounds::new(&here, config.reconcile_interval_ns, config.request_timeout_ns),
                executions: Told::default(),
                numbers: Numbers::new(config.last_known, instrument_count),
                mass_cancels: MassCancels::new(instrument_count, config.request_timeout_ns),
                is_broken: false,
                is_leaving: false,
                early_cancels: Vec::with_capacity(EARLY_CANCELS_MAX),
                reports: Outlet::new(lanes.reports, Outgoing::Reports),
                backlog: VecDeque::with_capacity(BACKLOG_MAX),
                sent: lanes.sent,
                notices: lanes.notices,
                tap: Tap::none(),
                hash_at: HASH_EVERY,
                connection_count: 0,
                counters,
            },
        }
    }

    /// The same gateway, which writes down what it takes.
    #[must_use]
    pub fn with_journal(mut self, tap: Tap) -> Self {
        self.core.tap = tap;
        self
    }

    /// Everything that decides what it sends and tells, as one number.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.core.digest(&self.line)
    }

    /// Words that wait to be taken into the journal.
    #[must_use]
    pub fn journal_backlog(&self) -> u64 {
        self.core.tap.backlog()
    }

    /// Whether anything waits for room to be told to risk.
    #[must_use]
    pub fn has_backlog(&self) -> bool {
        !self.core.backlog.is_empty()
    }

    /// Orders that the venue may know and that are not proven ended.
    #[must_use]
    pub fn on_wire(&self) -> usize {
        self.core.wire.len()
    }

    #[cold]
    fn reconnect(&mut self, now: Timestamp) -> usize {
        if let Some(foretold) = &mut self.foretold {
            if std::mem::take(&mut foretold.is_connected) {
                let (was_up, _) = self.line.connect(None);
                self.core.connected(was_up, &mut self.line, now);
            }
            return 0;
        }
        // A connection weighs something, too, and one under a ban makes that longer.
        let is_allowed = self.core.ledger.budget.permits(Urgency::Cancel, session::LOG_ON_WEIGHT, now);
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
                let (was_up, old) = self.line.connect(Some(connection));
                old.into_iter().for_each(|old| self.port.retire(old));
                self.core.connected(was_up, &mut self.line, now);
                1
            }
            Ok(Arrival::Failed { retry_after_s }) => {
                self.backoff.failed(now, retry_after_s);
                0
            }
            Err(_) => 0,
        }
    }

    /// The connection is over, as was found at it.
    #[cold]
    fn cut(&mut self, (reason, why): Cut, is_read: bool, now: Timestamp) {
        self.core.tap.write(Event::Disconnected { reason, is_read });
        self.lost(why, now);
    }

    /// The connection is over, as was found or decided.
    #[cold]
    fn lost(&mut self, why: &'static str, now: Timestamp) {
        if let Some(connection) = self.line.hang_up() {
            self.port.retire(connection);
        }
        if self.backoff.lost(now) {
            self.port.retire_arrivals();
        }
        self.core.lost(why, now);
    }

    /// Looks after the connection, and at the ledger: every so often, and in replay where anything came of it.
    fn look_after(&mut self, now: Timestamp) {
        self.looked_after_ns = now;
        self.core.tell_budget(now);
        if !self.line.is_up() {
            return;
        }
        let kept = match &mut self.foretold {
            None => self.core.step.in_time(now).and_then(|()| self.line.keep_alive(now)).map_err(cut),
            Some(foretold) => foretold.cut(false).map(drop),
        };
        if let Err(cut) = kept {
            self.cut(cut, false, now);
        }
    }

    fn read(&mut self, now: Timestamp) -> usize {
        if !self.line.is_up() {
            return 0;
        }
        let (clock, codec, core) = (&self.clock, &mut self.codec, &mut self.core);
        let mut frames = 0;
        let mut visit = |frame: &mut [u8], received_ns| {
            frames += 1;
            core.frame(codec, frame, received_ns);
        };
        let polled = match (&mut self.foretold, self.line.connection()) {
            (None, Some(connection)) => connection.poll(FRAMES_PER_CYCLE, || clock.now(), visit).map_err(cut),
            (None, None) => Ok(0),
            (Some(foretold), _) => {
                foretold.frames.drain(..).for_each(|(received_ns, mut frame)| visit(&mut frame, received_ns));
                foretold.cut(true)
            }
        };
        match polled {
            Ok(count) => {
                // Frames alone: what is said of the connection itself moves no session.
                if frames > 0 && !core.is_broken {
                    core.proceed(&mut self.line, now);
                }
                count
            }
            Err(cut) => {
                self.cut(cut, true, now);
                1
            }
        }
    }
}

/// Why a connection is over, for the journal and for people.
type Cut = (Disconnect, &'static str);

#[cold]
const fn cut(lost: Lost) -> Cut {
    let reason = match lost {
        Lost::Stream(_) | Lost::GivenUp | Lost::Replaced => Disconnect::Stream,
        Lost::Protocol(_) => Disconnect::Protocol,
        Lost::Closed(code) => Disconnect::Closed(code),
        Lost::Silent(silence_ns) => Disconnect::Silent(silence_ns),
        Lost::WriteBlocked => Disconnect::WriteBlocked,
    };
    (reason, lost.name())
}

impl Stage for Gateway {
    fn poll(&mut self, now: Timestamp) -> usize {
        self.core.tap.begin(now);
        let mut work_done = self.core.flush_backlog();
        if !self.line.is_up() || self.core.is_leaving {
            work_done += self.reconnect(now);
        }
        // Out before in: an order does not wait for the system call that reading the socket is.
        let (core, line, clock) = (&mut self.core, &mut self.line, &self.clock);
        work_done += self.cancels.drain(CANCELS_PER_CYCLE, |cancel| core.cancel(cancel, line, now));
        // All of them by one write.
        core.flush(line);
        let is_caught_up = if let Some(foretold) = &mut self.foretold {
            for (order, only_if_unfilled) in foretold.orders.drain(..) {
                core.order(Placing::again(&order, only_if_unfilled), line, clock, now);
            }
            foretold.is_caught_up
        } else {
            let place = |approved: &Approved| core.order(Placing::of(approved), line, clock, now);
            work_done += self.orders.drain(ORDERS_PER_CYCLE, place);
            !core.early_cancels.is_empty() && !self.orders.has_next()
        };
        if is_caught_up {
            // Whatever was approved before those cancels has been taken: their orders had ended already.
            core.tap.write(Event::CaughtUp);
            core.early_cancels.clear();
        }
        if line.is_up() {
            work_done += core.ask(line, now) + core.reconcile(line, now);
        }
        core.flush(line);
        // Risk has no room: what the venue says next waits in the socket, where nothing is lost.
        if self.core.backlog.is_empty() {
            work_done += self.read(now);
        }
        // Whether a frame just showed it, or a write failed since.
        if std::mem::take(&mut self.core.is_broken) && self.line.is_up() {
            self.lost(Lost::GivenUp.name(), now);
            work_done += 1;
        }
        if now.since(self.looked_after_ns) >= KEEP_ALIVE_EVERY_NS || self.foretold.is_some() {
            self.look_after(now);
        }
        self.core.end_cycle(&mut self.line);
        if let Some(foretold) = &mut self.foretold {
            **foretold = Foretold::default();
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
        self.tap.touch();
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
        if count > 0 {
            self.tap.touch();
        }
        count
    }

    #[inline]
    fn permits(&mut self, urgency: Urgency, weight: u32, now: Timestamp) -> bool {
        self.ledger.permits(urgency, weight, now, &mut self.tap)
    }

    /// A connection is there, and may have taken the place of another.
    fn connected(&mut self, was_up: bool, line: &mut Line, now: Timestamp) {
        self.connection_count += 1;
        self.tap.write(Event::Connected { number: self.connection_count });
        if was_up {
            // It still stood (the venue was about to end it): what is under way on it is in doubt.
            self.lost(Lost::Replaced.name(), now);
        }
        self.counters.connects.increment();
        self.notice(Notice::new(NoticeCode::Connected, now));
        self.is_leaving = false;
        self.begin(line, now);
        // Rare, and much hangs on it.
        self.hash_at = 0;
    }

    /// The cycle is over.
    #[inline]
    fn end_cycle(&mut self, line: &mut Line) {
        self.reports.end_cycle(&mut self.tap);
        self.ledger.end_cycle(&mut self.tap);
        line.end_cycle(&mut self.tap);
        let taken = self.tap.taken();
        if taken >= self.hash_at && self.tap.is_open() {
            self.hash_at = taken + HASH_EVERY;
            let digest = self.digest(line);
            self.tap.write(Event::Hash { taken, digest });
        }
    }

    /// Everything that decides what is sent and told, as one number.
    fn digest(&self, line: &Line) -> u64 {
        let mut digest = Digest::NONE;
        self.wire.fold(&mut digest);
        self.step.fold(&mut digest);
        self.next_step.unwrap_or(Step::Down).fold(&mut digest);
        self.rounds.fold(&mut digest);
        self.executions.fold(&mut digest);
        self.numbers.fold(&mut digest);
        self.mass_cancels.fold(&mut digest);
        let marks = [line.is_up(), self.is_stream_lost, self.is_halted, self.is_leaving];
        let (limits, used) = self.budget_told;
        for number in [
            marks.into_iter().fold(0, |word, mark| word << 1 | u64::from(mark)),
            u64::from(limits.weight) << 32 | u64::from(limits.orders),
            u64::from(used.weight) << 32 | u64::from(used.orders),
            self.backlog.len() as u64,
            self.early_cancels.len() as u64,
            self.connection_count,
            line.asked.value(),
        ] {
            digest.fold(number);
        }
        digest.value()
    }

    /// The instant in the venue's clock, in ms.
    #[inline]
    fn venue_ms(&self, now: Timestamp) -> u64 {
        now.nanos().saturating_add_signed(self.clock_offset_ns) / 1_000_000
    }

    /// Writes what waits, as far as the stream takes it.
    #[inline]
    fn flush(&mut self, line: &mut Line) {
        self.is_broken |= !line.flush(&mut self.tap);
    }

    /// Tells risk what is used of the venue's limits, where that has changed by more than little.
    fn tell_budget(&mut self, now: Timestamp) {
        let Some((limits, used)) = self.ledger.used(now) else { return };
        let (told_limits, told) = self.budget_told;
        let is_news = |told: u32, used: u32, limit: u32| limit > 0 && told.abs_diff(used) > limit / BUDGET_NEWS;
        if limits == told_limits
            && !is_news(told.weight, used.weight, limits.weight)
            && !is_news(told.orders, used.orders, limits.orders)
        {
            return;
        }
        self.budget_told = (limits, used);
        Ledger::tell(limits, used, &mut self.tap);
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
