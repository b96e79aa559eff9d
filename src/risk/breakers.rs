//! Breakers: what stops new orders by itself, each in a state of its own beside the operator's trading state.
//!
//! A breaker that trips says so once. Those of strategies and the storm of refusals at an account stay until a person
//! resets them, over restarts too; those that follow a state (orders in doubt, reports, clocks, a silent shard) end with it. Cancels pass all
//! of them.

use super::core::{Core, ShardState};
use super::order_table::OrderRecord;
use super::window::Window;
use crate::types::{
    DenialReason, Event, Notice, NoticeCode, OrderStatus, StrategyId, StrategyLatch, Timestamp, VenueId,
};
use std::collections::VecDeque;

/// How long a shard that had begun to send heartbeats may be silent before it counts as stuck: ten of them.
pub(super) const SILENCE_MAX_NS: u64 = 1_000_000_000;
const SECOND_NS: u64 = 1_000_000_000;
const BPS: i128 = 10_000;

/// Refusals by the venue within a window, and whether there were too many (C32).
#[derive(Clone, Copy, Debug)]
pub struct Rejects {
    window: Window<u32>,
    tripped: Option<u32>,
}

impl Rejects {
    /// None so far.
    pub const NONE: Self = Self { window: Window::NONE, tripped: None };

    /// As an earlier run left it: tripped by so many, or not by none.
    pub(super) const fn restored(tripped: u32) -> Self {
        Self { tripped: if tripped == 0 { None } else { Some(tripped) }, ..Self::NONE }
    }

    /// How many there were when it tripped.
    #[inline]
    pub(super) const fn tripped(&self) -> Option<u32> {
        self.tripped
    }

    /// Counts one; answers how many there are where that is the one too many.
    fn count(&mut self, now: Timestamp, window_ns: u64, most: u32) -> Option<u32> {
        self.window.add(now, window_ns, 1);
        let count = self.window.total(now, window_ns);
        if count < most || self.tripped.is_some() {
            return None;
        }
        self.tripped = Some(count);
        self.tripped
    }
}

/// The breakers of one strategy.
#[derive(Clone, Copy, Debug)]
pub struct StrategyBreakers {
    /// C32.
    pub(super) rejects: Rejects,
    fills: Window<u32>,
    /// C33: how many fills there were in the second that tripped it.
    pub(super) fill_rate_tripped: Option<u32>,
    /// C33: how far the fill that tripped it was off, in basis points.
    pub(super) slippage_tripped: Option<i128>,
}

impl StrategyBreakers {
    /// Nothing happened.
    pub const NONE: Self =
        Self { rejects: Rejects::NONE, fills: Window::NONE, fill_rate_tripped: None, slippage_tripped: None };

    /// As an earlier run left them. What tripped was at least one, or one basis point: zero is nothing.
    pub(super) fn restored(latch: &StrategyLatch) -> Self {
        Self {
            rejects: Rejects::restored(latch.rejects_tripped),
            fill_rate_tripped: (latch.fill_rate_tripped > 0).then_some(latch.fill_rate_tripped),
            slippage_tripped: (latch.slippage_tripped_bps > 0).then_some(i128::from(latch.slippage_tripped_bps)),
            ..Self::NONE
        }
    }
}

/// The breakers of one account.
#[derive(Clone, Debug)]
pub struct AccountBreakers {
    /// C32.
    pub(super) rejects: Rejects,
    /// C34: orders in doubt, oldest first, each with since when. What was settled meanwhile leaves when it comes to the
    /// front, or when there is no room.
    unknown: VecDeque<(u32, Timestamp)>,
    pub(super) unknown_count: u32,
    /// Whether people were told that there are too many, or one for too long.
    is_unknown_told: bool,
    /// C35: whether reports of executions come. While the session is down C04 denies.
    pub(super) is_reported: bool,
    /// C37: the venue's clock less ours when it was measured last, in ns. The start measures it before the first order.
    pub(super) clock_offset_ns: i64,
    /// C37: by how much the wall clock jumped since then; zero for not at all.
    pub(super) clock_jump_ns: i64,
}

impl AccountBreakers {
    /// Of no account.
    pub const NONE: Self = Self {
        rejects: Rejects::NONE,
        unknown: VecDeque::new(),
        unknown_count: 0,
        is_unknown_told: false,
        is_reported: true,
        clock_offset_ns: 0,
        clock_jump_ns: 0,
    };

    /// Nothing happened. At most `orders` can be in doubt.
    pub(super) fn new(orders: usize) -> Self {
        Self { unknown: VecDeque::with_capacity(orders), ..Self::NONE }
    }

    /// Since when the fate of the oldest order in doubt is not proven; as of the last [`Core::settle_unknown`].
    #[inline]
    pub(super) fn oldest_unknown(&self) -> Option<Timestamp> {
        self.unknown.front().map(|&(_, since)| since)
    }
}

impl Core {
    /// The venue refused an order (C32).
    pub(super) fn count_reject(&mut self, record: &OrderRecord) {
        let (order, now) = (&record.order, self.now);
        let limits = self.limits.strategy(order.strategy);
        let of_strategy = self.strategies.get_mut(order.strategy.index()).and_then(|state| {
            let count = state.breakers.rejects.count(now, limits.reject_window_ns, limits.max_rejects)?;
            Some((limits.max_rejects, count))
        });
        let venue = self.books.market(order.instrument).map(|market| market.instrument.venue);
        let of_account = venue.and_then(|venue| {
            let limits = self.limits.account(venue);
            let state = self.venues.get_mut(usize::from(venue.0))?;
            let count = state.breakers.rejects.count(now, limits.reject_window_ns, limits.max_rejects)?;
            Some((venue, limits.max_rejects, count))
        });
        let notice = Notice::new(NoticeCode::BreakerTripped, now);
        if let Some((limit, count)) = of_strategy {
            let notice = notice.strategy(order.strategy).values(i128::from(limit), i128::from(count));
            self.notify(Notice { reason: DenialReason::RejectStorm, ..notice });
            self.send_latch(order.strategy);
        }
        if let Some((venue, limit, count)) = of_account {
            let notice = notice.values(i128::from(limit), i128::from(count)).excerpt(b"the whole account");
            self.notify(Notice { reason: DenialReason::RejectStorm, ..notice });
            self.send_account_latch(venue);
        }
    }

    /// A fill was booked (C33). `twice` is twice the price of the fill.
    pub(super) fn break_on_fill(&mut self, record: &OrderRecord, twice: i128) {
        let (order, now) = (&record.order, self.now);
        let limits = self.limits.strategy(order.strategy);
        let Some(state) = self.strategies.get_mut(order.strategy.index()) else { return };
        let breakers = &mut state.breakers;
        breakers.fills.add(now, SECOND_NS, 1);
        let count = breakers.fills.total(now, SECOND_NS);
        let notice = Notice::new(NoticeCode::BreakerTripped, now).order(order.client_order_id);
        let notice = notice.instrument(order.instrument);
        let mut told = [None; 2];
        let [rate, slippage] = &mut told;
        if count > limits.max_fills_per_second && breakers.fill_rate_tripped.is_none() {
            breakers.fill_rate_tripped = Some(count);
            let notice = notice.values(i128::from(limits.max_fills_per_second), i128::from(count));
            *rate = Some(Notice { reason: DenialReason::FillRate, ..notice });
        }
        // Prices are 64 bits and basis points 32: nothing here leaves 128.
        let (reference, limit) = (record.twice_reference, i128::from(limits.max_fill_slippage_bps));
        let beyond = (twice - reference) * i128::from(order.side.sign());
        if reference > 0 && beyond * BPS > reference * limit && breakers.slippage_tripped.is_none() {
            let bps = (beyond * BPS + reference - 1) / reference;
            breakers.slippage_tripped = Some(bps);
            *slippage = Some(Notice { reason: DenialReason::Slippage, ..notice.values(limit, bps) });
        }
        let has_tripped = told.iter().any(Option::is_some);
        for notice in told.into_iter().flatten() {
            self.notify(notice);
        }
        if has_tripped {
            self.send_latch(order.strategy);
        }
    }

    /// An order's fate became unproven, or is no longer (C34).
    pub(super) fn watch_unknown(&mut self, slot: u32, before: OrderStatus, after: OrderStatus) {
        let is_unknown = after == OrderStatus::Unknown;
        if (before == OrderStatus::Unknown) == is_unknown {
            return;
        }
        let now = self.now;
        let Some(record) = self.orders.at_mut(slot) else { return };
        record.unknown_since = if is_unknown { now } else { Timestamp::UNKNOWN };
        let instrument = record.order.instrument;
        let Some(venue) = self.books.market(instrument).map(|market| usize::from(market.instrument.venue.0)) else {
            return;
        };
        let Self { venues, orders, .. } = self;
        let Some(breakers) = venues.get_mut(venue).map(|venue| &mut venue.breakers) else { return };
        if !is_unknown {
            breakers.unknown_count = breakers.unknown_count.saturating_sub(1);
            return;
        }
        breakers.unknown_count = breakers.unknown_count.saturating_add(1);
        if breakers.unknown.len() == breakers.unknown.capacity() {
            breakers.unknown.retain(|&(slot, since)| {
                orders.at(slot).is_some_and(|record| record.unknown_since == since && since.is_known())
            });
        }
        breakers.unknown.push_back((slot, now));
    }

    /// An order was restored whose fate has not been proven since then; the oldest of all is told first.
    pub(super) fn doubt_since(&mut self, slot: u32, since: Timestamp) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        record.unknown_since = since;
        let venue = self.books.market(record.order.instrument).map(|market| usize::from(market.instrument.venue.0));
        if let Some(state) = venue.and_then(|venue| self.venues.get_mut(venue)) {
            state.breakers.unknown_count = state.breakers.unknown_count.saturating_add(1);
            state.breakers.unknown.push_back((slot, since));
        }
    }

    /// Lets the orders in doubt that were settled since leave the front of the list.
    #[inline]
    pub(super) fn settle_unknown(&mut self, venue: VenueId) {
        let Self { venues, orders, .. } = self;
        let Some(breakers) = venues.get_mut(usize::from(venue.0)).map(|venue| &mut venue.breakers) else { return };
        while let Some(&(slot, since)) = breakers.unknown.front() {
            if orders.at(slot).is_some_and(|record| record.unknown_since == since) {
                return;
            }
            breakers.unknown.pop_front();
        }
    }

    /// Reports of executions come, or no longer do (C35).
    pub(super) fn on_report_stream(&mut self, venue: VenueId, is_up: bool) {
        let Some(state) = self.venues.get_mut(usize::from(venue.0)) else { return };
        let was_up = std::mem::replace(&mut state.breakers.is_reported, is_up);
        if was_up != is_up {
            let code = if is_up { NoticeCode::BreakerReset } else { NoticeCode::BreakerTripped };
            self.notify(Notice { reason: DenialReason::ExecStreamDown, ..Notice::new(code, self.now) });
        }
    }

    /// The clock of a venue was measured (C37); what it was held for before is over.
    pub(super) fn on_clock(&mut self, venue: VenueId, offset_ns: i64) {
        let most = self.limits.account(venue).max_clock_skew_ns;
        let Some(state) = self.venues.get_mut(usize::from(venue.0)) else { return };
        let breakers = &mut state.breakers;
        let was_off = breakers.clock_offset_ns.unsigned_abs() > most || breakers.clock_jump_ns != 0;
        (breakers.clock_offset_ns, breakers.clock_jump_ns) = (offset_ns, 0);
        let is_off = offset_ns.unsigned_abs() > most;
        if was_off != is_off {
            let code = if is_off { NoticeCode::BreakerTripped } else { NoticeCode::BreakerReset };
            let notice = Notice::new(code, self.now).values(i128::from(most), i128::from(offset_ns));
            self.notify(Notice { reason: DenialReason::ClockSkew, ..notice });
        }
    }

    /// The wall clock jumped (C37): whatever was measured before is void.
    pub(super) fn on_clock_jump(&mut self, by_ns: i64) {
        for state in &mut self.venues {
            state.breakers.clock_jump_ns = by_ns;
        }
        let notice = Notice::new(NoticeCode::BreakerTripped, self.now).values(0, i128::from(by_ns));
        let notice = notice.excerpt(b"the wall clock jumped; the venues' clocks are measured anew");
        self.notify(Notice { reason: DenialReason::ClockSkew, ..notice });
    }

    /// A shard lives (C39).
    pub(super) fn on_heartbeat(&mut self, shard: usize) {
        let now = self.now;
        let Some(state) = self.shards.get_mut(shard) else { return };
        state.heard_ns = now;
        if std::mem::take(&mut state.is_silent) {
            let notice = Notice::new(NoticeCode::BreakerReset, now);
            self.notify(Notice { reason: DenialReason::StrategyStalled, ..notice });
        }
    }

    /// Tells when there are too many orders in doubt, or one for too long, and when there are not any more (C34).
    pub(super) fn watch_doubt(&mut self) {
        for venue in (0..self.venues.len()).filter_map(|venue| u8::try_from(venue).ok().map(VenueId)) {
            let place = usize::from(venue.0);
            let is_quiet = |breakers: &AccountBreakers| breakers.unknown_count == 0 && !breakers.is_unknown_told;
            if self.venues.get(place).is_none_or(|state| is_quiet(&state.breakers)) {
                continue;
            }
            self.settle_unknown(venue);
            let limits = self.limits.account(venue);
            let Some(breakers) = self.venues.get_mut(place).map(|state| &mut state.breakers) else { continue };
            let age =
                breakers.oldest_unknown().filter(|_| breakers.unknown_count > 0).map_or(0, |at| self.now.since(at));
            let by_count = (i128::from(limits.max_unknown), i128::from(breakers.unknown_count));
            let by_age = (i128::from(limits.max_unknown_age_ns), i128::from(age));
            let over = [by_count, by_age].into_iter().find(|(limit, found)| found > limit);
            if over.is_some() == std::mem::replace(&mut breakers.is_unknown_told, over.is_some()) {
                continue;
            }
            let code = if over.is_some() { NoticeCode::BreakerTripped } else { NoticeCode::BreakerReset };
            let (limit, found) = over.unwrap_or(by_count);
            let notice = Notice::new(code, self.now).values(limit, found);
            self.notify(Notice { reason: DenialReason::TooManyUnknown, ..notice });
        }
    }

    /// Finds shards that fell silent, and cancels what their strategies have open (C39). To be called after the marks were
    /// drained, so that a pause of the whole thread is no silence of one stage. Where this stage's own thread was paused,
    /// the others' may have been too: the silence counts from its waking.
    pub(super) fn watch_shards(&mut self) {
        let now = self.now;
        if self.has_paused() {
            for state in self.shards.iter_mut().filter(|state| is_awaited(state)) {
                state.heard_ns = now;
            }
        }
        for shard in 0..self.shards.len() {
            let Some(state) = self.shards.get_mut(shard) else { return };
            let silence = now.since(state.heard_ns);
            if state.is_silent || !state.heard_ns.is_known() || silence <= SILENCE_MAX_NS {
                continue;
            }
            state.is_silent = true;
            self.tap.touch();
            self.start_sweep();
            let notice = Notice::new(NoticeCode::BreakerTripped, now);
            let notice = notice.values(i128::from(SILENCE_MAX_NS), i128::from(silence));
            self.notify(Notice { reason: DenialReason::StrategyStalled, ..notice });
        }
    }

    /// Whether this thread stood still before this poll; what it came by on its own, and so an input.
    fn has_paused(&mut self) -> bool {
        let pause = self.now.since(std::mem::replace(&mut self.watched_ns, self.now));
        let has_paused = match self.foretold {
            None => pause > SILENCE_MAX_NS / 4 && self.shards.iter().any(is_awaited),
            Some(foretold) => foretold.has_paused,
        };
        if has_paused {
            self.tap.write(Event::Paused);
        }
        has_paused
    }

    /// Whether the shard of a strategy fell silent.
    #[inline]
    pub(super) fn is_silent(&self, strategy: StrategyId) -> bool {
        let shard = self.strategies.get(strategy.index()).map(|state| state.shard);
        shard.and_then(|shard| self.shards.get(shard)).is_some_and(|shard| shard.is_silent)
    }

    /// A person looked at a strategy, or at all: then at the accounts too. Of strategies [`Core::reset_results`] tells.
    pub(super) fn reset_breakers(&mut self, strategy: StrategyId) {
        if strategy != StrategyId::NONE {
            if let Some(state) = self.strategies.get_mut(strategy.index()) {
                state.breakers = StrategyBreakers::NONE;
            }
            return;
        }
        for state in &mut self.strategies {
            state.breakers = StrategyBreakers::NONE;
        }
        for venue in (0..self.venues.len()).filter_map(|venue| u8::try_from(venue).ok().map(VenueId)) {
            if let Some(state) = self.venues.get_mut(usize::from(venue.0)) {
                state.breakers.rejects = Rejects::NONE;
            }
            self.send_account_latch(venue);
        }
    }
}

/// Whether a shard is to send heartbeats.
const fn is_awaited(shard: &ShardState) -> bool {
    shard.heard_ns.is_known() && !shard.is_silent
}
