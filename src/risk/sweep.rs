//! Canceling many orders at once, and again where a cancel did not take: kills, halts, lost sessions, ended days,
//! losses.
//!
//! Whatever wants orders gone starts one pass over the open ones, which asks of each whether anything wants it gone. A
//! pass takes [`OPEN_PER_CYCLE`] orders a cycle and begins anew when something else wants more gone. An order that comes
//! back to life while there is still a reason against it is canceled again.

use super::core::Core;
use super::kill::{KillScope, Kills};
use super::order_table::{CancelStep, OrderRecord};
use super::transitions::OrderEvent;
use crate::types::{
    CancelIntent, ClientOrderId, Denial, DenialReason, Event, InstrumentId, Notice, NoticeCode, SessionState,
    StrategyId, TimeInForce, Timestamp, TradingState, VenueId,
};
use std::collections::VecDeque;

/// Open orders that a pass looks at in one cycle: enough for all that an account usually has.
const OPEN_PER_CYCLE: usize = 4_096;
/// Cancels of one order that are sent again after the venue refused one or the order came back to life (C31); then
/// everything in its instrument is canceled, and people are told.
pub(super) const RETRIES_MAX: u8 = 8;
/// How long after the first refusal the cancel is sent again; each further one waits twice as long.
const RETRY_AFTER_NS: u64 = 10_000_000;
/// A UTC day.
pub(super) const DAY_NS: u64 = 86_400_000_000_000;

/// Where canceling many orders has come to.
#[derive(Debug)]
pub(super) struct Sweep {
    /// Open orders that the running pass has not looked at; `None` while there is no pass.
    left: Option<usize>,
    /// Everything open is to go, as of this pass.
    is_all: bool,
    /// By venue: its session is lost, so what is open there is to go, as of this pass.
    lost: Vec<bool>,
    /// By venue: instruments in which everything is to be canceled, orders that are not ours included.
    mass: Vec<VecDeque<InstrumentId>>,
    /// Orders whose cancel is to be sent again, and when the first of them is due.
    retries: Vec<u32>,
    retry_at: Timestamp,
    day: u64,
}

impl Sweep {
    pub(super) fn new(venues: usize, instruments: usize, orders: usize) -> Self {
        Self {
            left: None,
            is_all: false,
            lost: vec![false; venues],
            mass: (0..venues).map(|_| VecDeque::with_capacity(instruments)).collect(),
            retries: Vec::with_capacity(orders),
            retry_at: Timestamp::UNKNOWN,
            day: 0,
        }
    }
}

/// The UTC day of an instant.
pub(super) const fn day_of(instant: Timestamp) -> u64 {
    instant.nanos() / DAY_NS
}

impl Core {
    /// Starts a pass, or lets the running one begin anew.
    pub(super) fn start_sweep(&mut self) {
        self.sweep.left = Some(self.orders.open_count());
    }

    /// Everything open is to be canceled.
    pub(super) fn cancel_all(&mut self) {
        self.sweep.is_all = true;
        self.start_sweep();
    }

    /// C36: a session is lost; what is open there is to be canceled as soon as the venue can be reached again.
    pub(super) fn cancel_on_disconnect(&mut self, venue: VenueId) {
        if let Some(is_lost) = self.sweep.lost.get_mut(usize::from(venue.0)) {
            *is_lost = true;
            self.start_sweep();
        }
    }

    /// Starts what a change of the kill switch asks for: in scopes that cover whole instruments, first everything in an
    /// instrument by one request, then every order by its own. A release starts nothing: what was canceled stays so.
    pub(super) fn sweep_killed(&mut self, before: &Kills) {
        if !self.kills.any() {
            return;
        }
        for index in 0..self.books.markets.len() {
            let Some(market) = self.books.markets.get(index) else { continue };
            let (instrument, venue) = (market.instrument.id, market.instrument.venue);
            let is_covered = |kills: &Kills| kills.cover(instrument, venue);
            if is_covered(&self.kills) && !is_covered(before) && self.resting.has_open(instrument) {
                self.cancel_instrument(instrument, venue);
            }
        }
        self.start_sweep();
    }

    /// Wants everything in an instrument canceled by one request.
    fn cancel_instrument(&mut self, instrument: InstrumentId, venue: VenueId) {
        if let Some(mass) = self.sweep.mass.get_mut(usize::from(venue.0))
            && !mass.contains(&instrument)
        {
            mass.push_back(instrument);
        }
    }

    /// Goes on with the pass where the last cycle left off: from the end of the list to its beginning, as an order that
    /// ends between two cycles has its place taken by the last one.
    pub(super) fn sweep(&mut self) -> usize {
        self.end_day();
        let Some(left) = self.sweep.left else { return self.retry_cancels() };
        self.tap.touch();
        let left = left.min(self.orders.open_count());
        let rest = left.saturating_sub(OPEN_PER_CYCLE);
        for place in rest..left {
            let Some(slot) = self.orders.open_at(place) else { continue };
            let ours = self.orders.at(slot).filter(|record| record.order.strategy != StrategyId::NONE);
            let Some(record) = ours else { continue };
            if self.sweep.is_all || self.is_lost(record) || self.is_unwanted(record) {
                self.force_cancel(slot);
            }
        }
        self.sweep.left = (rest > 0).then_some(rest);
        if rest == 0 {
            self.sweep.is_all = false;
            self.sweep.lost.fill(false);
        }
        1
    }

    fn is_lost(&self, record: &OrderRecord) -> bool {
        let venue = self.books.market(record.order.instrument).map(|market| usize::from(market.instrument.venue.0));
        venue.and_then(|venue| self.sweep.lost.get(venue)).copied().unwrap_or(false)
    }

    /// Whether there is a lasting reason against an open order: a halt, a kill of its scope, the end of its day, a
    /// loss past its limit, a shard that is stuck.
    fn is_unwanted(&self, record: &OrderRecord) -> bool {
        let order = &record.order;
        let Some(venue) = self.books.market(order.instrument).map(|market| market.instrument.venue) else {
            return false;
        };
        let is_over = order.time_in_force == TimeInForce::Day && day_of(record.approved_ns) < self.sweep.day;
        is_over
            || self.trading_state == TradingState::Halted
            || self.kills.cover(order.instrument, venue)
            || self.kills.has(KillScope::Strategy(order.strategy))
            || self.opens_past_a_loss(record)
            || self.is_silent(order.strategy)
    }

    /// Cancels day orders when their day is over.
    fn end_day(&mut self) {
        let day = day_of(self.now);
        if day > std::mem::replace(&mut self.sweep.day, day) {
            self.tap.touch();
            self.start_sweep();
        }
    }

    /// Cancels again an order that the venue has shown to work though somebody wants it gone.
    pub(super) fn cancel_again(&mut self, slot: u32, event: OrderEvent) {
        let ours = self.orders.at(slot).filter(|record| record.order.strategy != StrategyId::NONE);
        let Some(record) = ours else { return };
        let is_evidence = matches!(event, OrderEvent::Accepted | OrderEvent::CancelRejected | OrderEvent::FoundWorking);
        if !is_evidence || record.status.is_terminal() || record.cancel != CancelStep::None || record.is_retrying {
            return;
        }
        if !record.is_cancel_wanted && self.is_unwanted(record) {
            self.force_cancel(slot);
        } else if record.is_cancel_wanted {
            self.retry_later(slot);
        }
    }

    /// Lets a cancel be sent again after a while, or, where that was done often enough, cancels everything in the
    /// instrument and tells people.
    fn retry_later(&mut self, slot: u32) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        if record.cancel_retries > RETRIES_MAX {
            return;
        }
        record.cancel_retries += 1;
        let (retries, order) = (record.cancel_retries, record.order);
        if retries <= RETRIES_MAX {
            record.is_retrying = true;
            record.retry_at = self.now.plus(RETRY_AFTER_NS << (retries - 1));
            let due = record.retry_at;
            self.sweep.retries.push(slot);
            if !self.sweep.retry_at.is_known() || due < self.sweep.retry_at {
                self.sweep.retry_at = due;
            }
            return;
        }
        if let Some(venue) = self.books.market(order.instrument).map(|market| market.instrument.venue) {
            self.cancel_instrument(order.instrument, venue);
        }
        let notice = Notice::new(NoticeCode::BreakerTripped, self.now).instrument(order.instrument);
        let notice = notice.order(order.client_order_id).values(i128::from(RETRIES_MAX), i128::from(retries));
        self.notify(Notice { reason: DenialReason::CancelPending, ..notice });
    }

    /// Sends again the cancels that are due.
    fn retry_cancels(&mut self) -> usize {
        if self.sweep.retries.is_empty() || self.now < self.sweep.retry_at {
            return 0;
        }
        self.tap.touch();
        let mut next = Timestamp::UNKNOWN;
        let mut place = 0;
        while let Some(&slot) = self.sweep.retries.get(place) {
            let waits = |record: &&mut OrderRecord| record.is_retrying && record.status.is_open();
            let due = self.orders.at_mut(slot).filter(waits).map(|record| record.retry_at);
            if let Some(due) = due.filter(|due| *due > self.now) {
                next = if next.is_known() { next.min(due) } else { due };
                place += 1;
                continue;
            }
            self.sweep.retries.swap_remove(place);
            let Some(record) = self.orders.at_mut(slot) else { continue };
            record.is_retrying = false;
            if due.is_some() {
                self.request_cancel(slot);
            }
        }
        self.sweep.retry_at = next;
        1
    }

    /// A strategy wants an order canceled that the venue refused to cancel too often.
    pub(super) fn deny_cancel(&mut self, slot: u32) {
        let Some(record) = self.orders.at(slot) else { return };
        let (order, retries) = (record.order, i128::from(record.cancel_retries));
        let denial = Denial { reason: DenialReason::CancelPending, limit: i128::from(RETRIES_MAX), observed: retries };
        self.count_denial(&order.client_order_id, order.instrument, &denial);
    }

    /// Passes on the cancels of whole instruments, once the venue can be reached.
    pub(super) fn send_mass_cancels(&mut self, venue: usize) -> usize {
        let mut sent = 0;
        while let Some(state) = self.venues.get_mut(venue).filter(|state| state.session >= SessionState::Reconciling)
            && let Some(mass) = self.sweep.mass.get_mut(venue)
            && let Some(&instrument) = mass.front()
        {
            let intent = CancelIntent {
                client_order_id: ClientOrderId::NONE,
                instrument,
                strategy: StrategyId::NONE,
                decided_ns: self.now,
            };
            if state.cancels.try_send(intent).is_err() {
                return sent;
            }
            mass.pop_front();
            self.tap.write(Event::Canceling(intent));
            sent += 1;
            self.counters.cancels.increment();
            self.count_message(StrategyId::NONE, instrument);
        }
        sent
    }
}
