//! Rounds of reconciliation, as they are gone through: questions out, answers in, and what risk is told of them.

use super::line::{Line, Outbound};
use super::rounds::{Look, Question};
use super::session::Step;
use super::{Core, LastKnown};
use crate::pipeline::digest::Digest;
use crate::types::{
    ClientOrderId, ExecutionReport, GatewayMessage, InstrumentId, Notice, NoticeCode, Round, Timestamp,
};
use crate::venue::binance::{Response, UserCodec};
use crate::venue::budget::Urgency;

impl Core {
    /// Begins a round that is due, and asks its next question.
    #[inline]
    pub(super) fn reconcile(&mut self, line: &mut Line, now: Timestamp) -> usize {
        if !matches!(self.step, Step::Reconciling | Step::Ready) {
            return 0;
        }
        if self.rounds.is_overdue(now) {
            self.fail_round(now);
        }
        if self.rounds.is_due(now) {
            // Without a round there is no trading; another one may wait.
            let urgency = if self.step == Step::Ready { Urgency::Background } else { Urgency::Query };
            if !self.permits(urgency, Question::Balances.weight(), now) {
                return 0;
            }
            self.rounds.begin(self.ledger.weight_limit(&mut self.tap), now);
            self.executions.rotate();
            self.tell_round(Round::Begun, now);
        }
        let Some((number, question)) = self.rounds.question() else { return 0 };
        usize::from(self.ask_round(number, question, line, now))
    }

    fn ask_round(&mut self, number: u64, question: Question, line: &mut Line, now: Timestamp) -> bool {
        if !self.permits(Urgency::Query, question.weight(), now) {
            return false;
        }
        let venue_ms = self.venue_ms(now);
        let request = match question {
            Question::Balances => Outbound::Balances { number },
            Question::OpenOrders(id) => {
                Outbound::OpenOrders { number, instrument: id.and_then(|id| self.instruments.get(id)) }
            }
            Question::Fills { instrument, from } => {
                let Some(instrument) = self.instruments.get(instrument) else { return false };
                Outbound::Fills { number, instrument, from }
            }
        };
        if !line.put(request, venue_ms, &mut self.tap, &mut self.is_broken) {
            return false;
        }
        self.rounds.was_asked(now);
        self.ledger.budget.charge(question.weight(), now);
        self.counters.queries_sent.increment();
        true
    }

    fn tell_round(&mut self, round: Round, now: Timestamp) {
        self.tell(GatewayMessage::Round { venue: self.venue, round, received_ns: now });
    }

    /// Gives the round up that is under way, if one is; another is tried later.
    pub(super) fn fail_round(&mut self, now: Timestamp) {
        if self.rounds.is_running() {
            self.rounds.fail(now);
            self.tell_round(Round::Failed, now);
            self.notice(Notice::new(NoticeCode::ReconcileFailed, now));
        }
    }

    /// The answer to a round's question. One that is late belongs to no round any more.
    pub(super) fn round_answered(&mut self, response: &Response, codec: &UserCodec, now: Timestamp) {
        let Some((question, asked)) = self.rounds.expects(response.subject) else { return };
        if response.error.is_some() {
            return self.fail_round(now);
        }
        match question {
            Question::Balances => self.looked(codec, now),
            Question::OpenOrders(instrument) => {
                self.listed(response.subject, codec.reports(), now);
                self.wire.unlisted(response.subject, instrument, asked);
                self.rounds.listed();
            }
            Question::Fills { .. } => {
                for fill in codec.reports() {
                    self.found_fill(fill, now);
                }
                let largest = codec.reports().iter().map(|fill| fill.execution_id).max().unwrap_or(0);
                if !self.rounds.filled(codec.reports().len(), largest) {
                    self.fail_round(now);
                }
            }
        }
    }

    fn looked(&mut self, codec: &UserCodec, now: Timestamp) {
        let Look::Second { is_conclusive } = self.rounds.looked(codec.balances()) else { return };
        for balance in codec.balances() {
            let total = balance.free.saturating_add(balance.locked);
            self.tell(GatewayMessage::Balance { venue: self.venue, asset: balance.asset, total, received_ns: now });
        }
        self.tell_round(Round::Ended { is_conclusive }, now);
    }

    /// Open orders. Risk is told of those that the wire does not have, as they are not ours, and of those on the wire
    /// that are news; not of one whose end was told while the listing was under way.
    fn listed(&mut self, listing: u64, rows: &[ExecutionReport], now: Timestamp) {
        for &row in rows {
            let id = row.client_order_id;
            let is_told = if self.wire.find(id).is_some() {
                self.wire.listed(listing, &row)
            } else {
                row.instrument != InstrumentId::NONE && !self.wire.has_ended(id)
            };
            if is_told {
                self.report(row, now);
            }
        }
    }

    /// A fill of an instrument: told where nobody told of it before, with our order's id where it is one of ours.
    fn found_fill(&mut self, fill: &ExecutionReport, now: Timestamp) {
        if self.executions.contains(fill.instrument, fill.execution_id) {
            return;
        }
        let working = self.wire.find_by_venue_id(fill.venue_order_id);
        let ended = || self.wire.ended_by_venue_id(fill.venue_order_id);
        let client_order_id = working.or_else(ended).unwrap_or(ClientOrderId::NONE);
        let cumulative_quantity = self.wire.found_fill(client_order_id, fill.last_quantity);
        self.report(ExecutionReport { client_order_id, cumulative_quantity, ..*fill }, now);
    }
}

/// The venue's newest numbers, by instrument. What happens now has larger ones: numbers that are far below show that the
/// venue went back to an earlier state.
#[derive(Debug)]
pub(super) struct Numbers(Vec<LastKnown>);

/// How far below the newest number another may be that the venue gave just before: reports overtake each other, and one
/// instrument may see thousands of orders a second.
const BEHIND_MAX: u64 = 1_000_000;

impl Numbers {
    pub(super) fn new(mut last_known: Vec<LastKnown>, instruments: usize) -> Self {
        last_known.resize(instruments, LastKnown::default());
        Self(last_known)
    }

    /// Folds everything in.
    pub(super) fn fold(&self, digest: &mut Digest) {
        for known in &self.0 {
            digest.fold(known.venue_order_id);
            digest.fold(known.execution_id);
        }
    }

    /// Takes in the number of an order that the venue took just now. `false` where it cannot be.
    pub(super) fn takes_order(&mut self, instrument: InstrumentId, number: u64) -> bool {
        self.0.get_mut(instrument.index()).is_none_or(|last| takes(&mut last.venue_order_id, number))
    }

    /// Takes in the number of a fill that happened just now. `false` where it cannot be.
    pub(super) fn takes_execution(&mut self, instrument: InstrumentId, number: u64) -> bool {
        self.0.get_mut(instrument.index()).is_none_or(|last| takes(&mut last.execution_id, number))
    }
}

fn takes(newest: &mut u64, number: u64) -> bool {
    let is_sane = number.saturating_add(BEHIND_MAX) >= *newest;
    *newest = (*newest).max(number);
    is_sane
}
