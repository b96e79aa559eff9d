//! The session: logging on, subscribing to reports, being ready, and being lost.

use super::Core;
use super::line::{Line, Outbound};
use crate::pipeline::digest::Digest;
use crate::types::{
    ClientOrderId, ExecutionReport, GatewayMessage, InstrumentId, Notice, NoticeCode, ReportKind, SessionState,
    Timestamp,
};
use crate::venue::binance::SessionKind;
use crate::venue::connection::Lost;

/// How long a step of logging on may take.
const STEP_MAX_NS: u64 = 10_000_000_000;
/// What a step of logging on weighs at the venue.
pub(super) const LOG_ON_WEIGHT: u32 = 2;

/// How far the session is, in its own steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Down,
    LoggingOn { since: Timestamp },
    Subscribing { since: Timestamp },
    Reconciling,
    Ready,
}

impl Step {
    /// Whether the step may go on.
    ///
    /// # Errors
    /// Where the venue has not answered it in time.
    pub(super) fn in_time(self, now: Timestamp) -> Result<(), Lost> {
        match self {
            Self::LoggingOn { since } | Self::Subscribing { since } if now.since(since) >= STEP_MAX_NS => {
                Err(Lost::Silent(STEP_MAX_NS))
            }
            _ => Ok(()),
        }
    }

    /// Folds it in.
    pub(super) fn fold(self, digest: &mut Digest) {
        let (number, since) = match self {
            Self::Down => (1, Timestamp::UNKNOWN),
            Self::LoggingOn { since } => (2, since),
            Self::Subscribing { since } => (3, since),
            Self::Reconciling => (4, Timestamp::UNKNOWN),
            Self::Ready => (5, Timestamp::UNKNOWN),
        };
        digest.fold(number);
        digest.fold(since.nanos());
    }
}

impl Core {
    /// Whether the venue takes cancels and questions: it knows who we are.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(self.step, Step::Reconciling | Step::Ready) || self.is_stream_lost
    }

    /// Begins a session on a new connection.
    pub(super) fn begin(&mut self, line: &mut Line, now: Timestamp) {
        let first = match self.session_kind {
            SessionKind::LoggedOn => Step::LoggingOn { since: now },
            SessionKind::SignedEach => Step::Subscribing { since: now },
        };
        self.enter(first, line, now);
    }

    fn enter(&mut self, step: Step, line: &mut Line, now: Timestamp) {
        self.step = step;
        let venue_ms = self.venue_ms(now);
        let request = match step {
            Step::LoggingOn { .. } => Outbound::LogOn,
            Step::Subscribing { .. } => Outbound::Subscribe,
            Step::Reconciling => {
                self.rounds.restart();
                return self.tell_session(SessionState::Reconciling, now);
            }
            Step::Down | Step::Ready => return,
        };
        if !line.queue(request, venue_ms, &mut self.tap) || !line.flush(&mut self.tap) {
            self.is_broken = true;
        }
        self.ledger.budget.charge(LOG_ON_WEIGHT, now);
        self.tell_session(SessionState::LoggingOn, now);
    }

    /// Risk is told of the session's steps; not of those that only make the stream of reports anew.
    fn tell_session(&mut self, state: SessionState, now: Timestamp) {
        if !self.is_stream_lost {
            self.tell(GatewayMessage::Session { venue: self.venue, state, received_ns: now });
        }
    }

    fn tell_stream(&mut self, is_up: bool, now: Timestamp) {
        self.tell(GatewayMessage::ReportStream { venue: self.venue, is_up, received_ns: now });
    }

    /// Moves the session on after frames were taken.
    pub(super) fn proceed(&mut self, line: &mut Line, now: Timestamp) {
        if let Some(step) = self.next_step.take() {
            self.enter(step, line, now);
        }
        let is_known = self.rounds.has_ended() && self.wire.is_reconciled();
        if self.step == Step::Reconciling && is_known && !self.is_halted {
            self.step = Step::Ready;
            if !self.is_stream_lost {
                self.tell_session(SessionState::Ready, now);
                self.notice(Notice::new(NoticeCode::SessionReady, now));
            }
            self.is_stream_lost = false;
            self.tell_stream(true, now);
        }
    }

    /// Reports come no more, while the socket stands: told at once, subscribed again, and what was missed is found out.
    #[cold]
    pub(super) fn stream_lost(&mut self, now: Timestamp) {
        if !self.is_open() {
            // The session is being made anyway, and the subscription with it; a termination of it makes that fail.
            self.is_broken = true;
            return;
        }
        if !self.is_stream_lost {
            self.tell_stream(false, now);
        }
        self.fail_round(now);
        self.is_stream_lost = true;
        self.wire.distrust();
        self.next_step = Some(Step::Subscribing { since: now });
    }

    /// The venue has lost what it knew, or shows what it was long ago: nothing new is sent in this run. Cancels pass.
    #[cold]
    pub(super) fn halt(&mut self, why: &[u8], now: Timestamp) {
        if std::mem::replace(&mut self.is_halted, true) {
            return;
        }
        self.notice(Notice::new(NoticeCode::Misconfigured, now).excerpt(why));
        if self.step == Step::Ready {
            self.step = Step::Reconciling;
            self.tell_session(SessionState::Reconciling, now);
        }
    }

    #[cold]
    pub(super) fn lost(&mut self, why: &'static str, now: Timestamp) {
        self.step = Step::Down;
        self.is_leaving = false;
        self.is_stream_lost = false;
        self.counters.disconnects.increment();
        self.tell_session(SessionState::Down, now);
        self.notice(Notice::new(NoticeCode::Disconnected, now).excerpt(why.as_bytes()));
        self.next_step = None;
        self.fail_round(now);
        self.mass_cancels.disconnected();
        self.wire.disconnected(now);
        self.tell_doubtful(now);
    }

    /// Tells of every order whose fate became unknown.
    pub(super) fn tell_doubtful(&mut self, now: Timestamp) {
        while let Some((id, instrument)) = self.wire.next_doubtful() {
            self.tell_unknown(id, instrument, now);
        }
    }

    pub(super) fn tell_unknown(&mut self, id: ClientOrderId, instrument: InstrumentId, now: Timestamp) {
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
}
