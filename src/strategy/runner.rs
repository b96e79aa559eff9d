//! The shard: the stage that owns books and runs strategies on them.
//!
//! In each cycle it drains its lanes in a fixed order, each up to its own limit: commands, orders it had to deny
//! itself, order updates, market data; then timers. What a handler wants is stamped with the market it was decided in
//! and sent to risk before the next handler is called. `now` is the newest message's instant and never goes back; only
//! a passed deadline moves it to the loop's clock.
//!
//! What it takes, and what its lanes to risk had room for, is all that it depends on: that is written down ([`Tap`]), and
//! the same shard fed with it sends the same again. What it sends is not: risk writes down what it took.

use super::context::Context;
use super::desk::{Desk, Holding, InstanceState, Tally};
use super::market::{Markets, Subscriber};
use super::saved::Left;
use super::{AnyStrategy, Event, FieldError, Signal};
use crate::book::{Bar, BarSeries};
use crate::metrics::{ShardCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::digest::Digest;
use crate::pipeline::heartbeat::{self, Heartbeats};
use crate::pipeline::lane::{Receiver, Sender};
use crate::pipeline::outlet::Outlet;
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::types::Event as Entry;
use crate::types::{
    CancelIntent, ClientOrderId, Denial, DenialReason, InstrumentId, Instruments, Mark, MarketEvent, MarketMessage,
    Money, Notice, NoticeCode, OrderIntent, OrderUpdate, Outgoing, ShardCommand, StrategyId, Timestamp,
};
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How a shard is set up.
#[derive(Clone, Debug)]
pub struct ShardConfig {
    /// Its name in thread names and reports.
    pub name: &'static str,
    /// The engine start's number, in every order's id.
    pub epoch: u32,
    /// How long a handler may take before it is counted and shown.
    pub handler_budget_ns: u64,
    /// The loop's clock, for the time budget only: no decision depends on it.
    pub clock: Clock,
}

/// The lanes of a shard.
pub struct ShardLanes {
    /// From the cold plane.
    pub commands: Receiver<ShardCommand>,
    /// From risk.
    pub updates: Receiver<OrderUpdate>,
    /// From each feed.
    pub market: Vec<Receiver<MarketMessage>>,
    /// To risk. Full: the shard denies the order itself (`LANE_FULL`).
    pub orders: Sender<OrderIntent>,
    /// To risk. Full: the cancel stays with its order and goes out when there is room.
    pub cancels: Sender<CancelIntent>,
    /// To risk. Full: the newest quote of each instrument goes out when there is room.
    pub marks: Sender<Mark>,
    /// To the cold plane. Full: dropped and counted.
    pub notices: Sender<Notice>,
}

/// A strategy with what it runs on.
pub struct Instance {
    /// Its id, on this shard only.
    pub id: StrategyId,
    /// Its name in reports.
    pub name: String,
    /// The strategy.
    pub strategy: Box<dyn AnyStrategy>,
    /// What it may trade.
    pub instruments: Vec<InstrumentId>,
    /// How long its bars last; none where it wants none. On one instrument, the longer intervals must be multiples of
    /// the shortest.
    pub bar_interval_ms: Option<u64>,
    /// What it may use, in the quote asset.
    pub capital: Money,
    /// Whether it is in [`InstanceState::Error`] from the start: none of its handlers is ever called.
    pub is_quarantined: bool,
}

/// What became of an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSummary {
    /// Its id.
    pub id: StrategyId,
    /// Its name.
    pub name: String,
    /// How it fares.
    pub state: InstanceState,
    /// Its orders.
    pub tally: Tally,
    /// Orders that are not proven terminal.
    pub working_count: usize,
}

/// The lane for notices with the counters of what was told in them.
pub(super) struct Notices {
    sender: Sender<Notice>,
    counters: Shared<ShardCounters>,
}

impl Notices {
    pub(super) fn send(&mut self, notice: Notice) {
        if self.sender.try_send(notice).is_err() {
            self.counters.notices_dropped.increment();
        }
    }

    pub(super) fn denied(&mut self, notice: Notice, denial: &Denial) {
        self.counters.denied.increment();
        self.send(Notice { reason: denial.reason, ..notice.values(denial.limit, denial.observed) });
    }
}

/// One instance: the strategy, and its side of things.
struct Slot {
    strategy: Box<dyn AnyStrategy>,
    desk: Desk,
}

/// The instants of what is being handled.
#[derive(Clone, Copy)]
struct Moment {
    /// What handlers see.
    now: Timestamp,
    /// The loop's clock at the start of the cycle.
    decided_ns: Timestamp,
    /// When the bytes were received that led here.
    received_ns: Timestamp,
}

/// Everything but the receiving lanes, so that a lane can be drained into it.
struct Core {
    markets: Markets,
    slots: Vec<Slot>,
    /// Index of an instance, by strategy id.
    slot_of: Vec<Option<u16>>,
    orders: Outlet<OrderIntent>,
    cancels: Outlet<CancelIntent>,
    marks: Outlet<Mark>,
    notices: Notices,
    tap: Tap,
    /// After how many entries taken the state's hash is written down next.
    hash_at: u64,
    counters: Shared<ShardCounters>,
    now: Timestamp,
    cycle_ns: Timestamp,
    heartbeat_ns: Timestamp,
    /// How many levels of an update are still to come, in any instrument.
    is_amid_update: bool,
    budget: Budget,
    /// Tells the watchdog whose handler runs.
    mark: heartbeat::Mark,
    /// Handlers called so far.
    calls: u64,
}

/// Who takes too long. A clock read costs 12 ns, as much as a small handler, so that there is one a cycle, after its
/// orders went out. A cycle over the budget is followed by cycles in which each call is timed and the culprit named;
/// where the slow cycle had made one call only, it is named at once.
struct Budget {
    clock: Clock,
    limit_ns: u64,
    timed_cycles_left: u32,
    calls: u32,
    last_called: usize,
}

impl Budget {
    const TIMED_CYCLES: u32 = 1_000;

    fn is_timing(&self) -> bool {
        self.timed_cycles_left > 0
    }
}

/// How often the state's hash is written down, in entries taken.
const HASH_EVERY: u64 = 65_536;

/// The stage.
pub struct Shard {
    name: &'static str,
    commands: Receiver<ShardCommand>,
    updates: Receiver<OrderUpdate>,
    market: Vec<Receiver<MarketMessage>>,
    core: Core,
}

impl Shard {
    /// The most instances of a shard.
    pub const INSTANCES_MAX: usize = 256;
    /// The most instruments of an instance.
    pub const INSTRUMENTS_MAX: usize = 64;
    /// How many order updates a cycle takes.
    pub const UPDATES_A_CYCLE: u64 = 64;
    /// How many market messages a cycle takes; a depth update is always taken whole.
    pub const MARKET_A_CYCLE: u64 = 64;
    /// How many errors in a row pause an instance.
    pub const ERRORS_MAX: u8 = 3;
    /// How often risk is told that the thread runs.
    pub const HEARTBEAT_NS: u64 = 100_000_000;

    /// Builds the shard and everything it will ever hold.
    ///
    /// # Errors
    /// All that does not fit: instruments that are unknown, too many or twice in an instance, an id twice, intervals
    /// of bars that are not multiples of each other.
    pub fn new(
        config: ShardConfig,
        instruments: &Instruments,
        instances: Vec<Instance>,
        lanes: ShardLanes,
        counters: Shared<ShardCounters>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut core = Core {
            markets: Markets::default(),
            slots: Vec::with_capacity(instances.len()),
            slot_of: Vec::new(),
            orders: Outlet::new(lanes.orders, Outgoing::Intents),
            cancels: Outlet::new(lanes.cancels, Outgoing::CancelIntents),
            marks: Outlet::new(lanes.marks, Outgoing::Marks),
            notices: Notices { sender: lanes.notices, counters: counters.clone() },
            tap: Tap::none(),
            hash_at: HASH_EVERY,
            counters,
            now: Timestamp::UNKNOWN,
            cycle_ns: Timestamp::UNKNOWN,
            heartbeat_ns: Timestamp::UNKNOWN,
            is_amid_update: false,
            budget: Budget {
                clock: config.clock,
                limit_ns: config.handler_budget_ns,
                timed_cycles_left: 0,
                calls: 0,
                last_called: 0,
            },
            mark: Heartbeats::default().mark(0),
            calls: 0,
        };
        let mut errors = Vec::new();
        if instances.len() > Self::INSTANCES_MAX {
            errors.push(FieldError::new("strategies", "at most 256 fit a shard: add a shard"));
        }
        core.add_series(&instances, instruments, &mut errors);
        for instance in instances {
            core.add(instance, config.epoch, &mut errors);
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { name: config.name, commands: lanes.commands, updates: lanes.updates, market: lanes.market, core })
    }

    /// The same shard, which says in `mark` whose handler runs. Without it, it says so to nobody.
    #[must_use]
    pub fn marked_by(mut self, mark: heartbeat::Mark) -> Self {
        self.core.mark = mark;
        self
    }

    /// The same shard, which sends marks of these instruments whether or not anybody holds them: risk reads rates from
    /// them. The feed must send them.
    #[must_use]
    pub fn watching(mut self, instruments: &Instruments, watched: &[InstrumentId]) -> Self {
        for instrument in watched.iter().filter_map(|id| instruments.get(*id)) {
            let market = self.core.markets.intern(instrument);
            if let Some(market) = market.and_then(|index| self.core.markets.list.get_mut(index)) {
                market.is_watched = true;
            }
        }
        self
    }

    /// The same shard, which writes down what it takes.
    #[must_use]
    pub fn with_journal(mut self, tap: Tap) -> Self {
        self.core.tap = tap;
        self
    }

    /// Replay: tells, before a poll, what it will find that no lane carries: which of its lanes to risk are full.
    pub fn foretell(&mut self, event: &Entry) {
        if let Entry::Full { lane, sent } = *event {
            self.core.orders.take_only(lane, sent);
            self.core.cancels.take_only(lane, sent);
            self.core.marks.take_only(lane, sent);
        }
    }

    /// Where it says whose handler runs.
    #[must_use]
    pub const fn mark(&self) -> &heartbeat::Mark {
        &self.core.mark
    }

    /// How long the bars must last that are sent as an instrument's history: the shortest interval that an instance
    /// asked for; `None` where none did. `HistoryEnd` must be sent in any case.
    #[must_use]
    pub fn history_interval_ms(&self, instrument: InstrumentId) -> Option<u64> {
        let market = self.core.markets.list.get(self.core.markets.find(instrument)?)?;
        market.series.first().map(BarSeries::interval_ms)
    }

    /// What became of each instance so far, in the order they were given.
    #[must_use]
    pub fn summary(&self) -> Vec<InstanceSummary> {
        let summary = |slot: &Slot| InstanceSummary {
            id: slot.desk.id,
            name: slot.desk.name.clone(),
            state: slot.desk.state,
            tally: slot.desk.tally,
            working_count: slot.desk.working.len(),
        };
        self.core.slots.iter().map(summary).collect()
    }

    /// What each instance leaves behind for the next start, in the order they were given. For the cold plane, when the shard
    /// is polled no more.
    #[must_use]
    pub fn leave(&self) -> Vec<(StrategyId, Left)> {
        let of = |slot: &Slot| match slot.desk.state {
            InstanceState::Error => Left::InError,
            _ => match catch_unwind(AssertUnwindSafe(|| slot.strategy.save())) {
                Ok(Some(state)) => Left::Saved(state),
                Ok(None) => Left::Nothing,
                Err(payload) => {
                    std::mem::forget(payload);
                    Left::InError
                }
            },
        };
        self.core.slots.iter().map(|slot| (slot.desk.id, of(slot))).collect()
    }

    /// Hands a signal to an instance.
    pub fn send_signal(&mut self, strategy: StrategyId, signal: &Signal) {
        self.core.call_by_id(strategy, Event::Signal(signal));
    }

    /// Hands parameters, built by [`Entry::params`](super::registry::Entry::params), to an instance. They stay the
    /// caller's, to be dropped on the cold plane.
    pub fn set_params(&mut self, strategy: StrategyId, params: &(dyn Any + Send)) {
        self.core.call_by_id(strategy, Event::Params(params));
    }
}

impl Stage for Shard {
    fn poll(&mut self, now: Timestamp) -> usize {
        let core = &mut self.core;
        core.begin_cycle(now);
        let mut done = self.commands.drain(u64::MAX, |command| core.take_command(*command));
        done += core.tell_denials();
        done += self.updates.drain(Self::UPDATES_A_CYCLE, |update| core.take_update(update));
        let mut taken = 0;
        for (number, lane) in (0..).zip(&mut self.market) {
            taken += lane.drain(Self::MARKET_A_CYCLE, |message| core.take_market(number, message));
            // The levels of an update arrive in the lane together: no handler is to see half of them.
            while core.is_amid_update && lane.drain(1, |message| core.take_market(number, message)) == 1 {
                taken += 1;
            }
        }
        if taken > 0 {
            core.counters.market_events.add(u64::try_from(taken).unwrap_or(0));
        }
        done += taken + core.fire_timers();
        if done > 0 {
            core.close_cycle();
        }
        core.send_late();
        core.beat();
        core.end_cycle(done > 0);
        done
    }

    fn name(&self) -> &'static str {
        self.name
    }
}

/// Journal: every input is written down as it is taken, what came of no input by the cycle's own entry.
impl Core {
    #[inline]
    fn begin_cycle(&mut self, now: Timestamp) {
        self.cycle_ns = self.cycle_ns.max(now);
        self.tap.begin(self.cycle_ns);
    }

    fn take_command(&mut self, command: ShardCommand) {
        self.tap.write(Entry::ShardCommand(command));
        match command {
            ShardCommand::StopAll => self.stop_all(),
        }
    }

    #[inline]
    fn take_update(&mut self, update: &OrderUpdate) {
        self.tap.write(Entry::Update(*update));
        self.on_update(update);
    }

    #[inline]
    fn take_market(&mut self, lane: u8, message: &MarketMessage) {
        self.tap.write_market(lane, message);
        self.on_market(message);
    }

    /// What it came to, as one number.
    fn hash(&self) -> u64 {
        let mut digest = Digest::NONE;
        digest.fold(self.now.nanos());
        self.markets.list.iter().for_each(|market| market.fold(&mut digest));
        self.slots.iter().for_each(|slot| slot.desk.fold(&mut digest));
        digest.value()
    }

    /// The cycle is over. Where it did or sent something without having taken anything (a timer, a denial, what a lane had
    /// no room for before, a heartbeat), its instant is what is to be known of it.
    #[inline]
    fn end_cycle(&mut self, has_worked: bool) {
        let has_sent = self.orders.sent() + self.cancels.sent() + self.marks.sent() > 0;
        if (has_worked || has_sent) && !self.tap.is_behind() {
            self.tap.touch();
        }
        self.orders.end_cycle(&mut self.tap);
        self.cancels.end_cycle(&mut self.tap);
        self.marks.end_cycle(&mut self.tap);
        let taken = self.tap.taken();
        if taken >= self.hash_at {
            self.hash_at = taken + HASH_EVERY;
            let digest = self.hash();
            self.tap.write(Entry::Hash { taken, digest });
        }
    }
}

impl Core {
    /// Makes the series of bars of each instrument, shortest interval first.
    fn add_series(&mut self, instances: &[Instance], instruments: &Instruments, errors: &mut Vec<FieldError>) {
        for instance in instances {
            for &id in &instance.instruments {
                let Some(index) = instruments.get(id).and_then(|instrument| self.markets.intern(instrument)) else {
                    errors.push(FieldError::new(instance.name.as_str(), "an instrument of it is unknown"));
                    continue;
                };
                let Some(market) = self.markets.list.get_mut(index) else { continue };
                if let Some(interval) = instance.bar_interval_ms
                    && !market.series.iter().any(|series| series.interval_ms() == interval)
                {
                    market.series.push(BarSeries::new(interval));
                }
                market.series.sort_unstable_by_key(BarSeries::interval_ms);
            }
        }
        for market in &self.markets.list {
            let shortest = market.series.first().map_or(1, BarSeries::interval_ms);
            if market.series.iter().any(|series| series.interval_ms() % shortest != 0) {
                let message = "the intervals of bars of one instrument must be multiples of the shortest";
                errors.push(FieldError::new(market.instrument.symbol.as_str(), message));
            }
        }
    }

    fn add(&mut self, instance: Instance, epoch: u32, errors: &mut Vec<FieldError>) {
        let mut refuse = |message: &str| errors.push(FieldError::new(instance.name.as_str(), message));
        if instance.id > StrategyId::MAX {
            return refuse("its id is too large");
        }
        if instance.instruments.is_empty() || instance.instruments.len() > Shard::INSTRUMENTS_MAX {
            return refuse("an instance trades 1 to 64 instruments");
        }
        let index = self.slots.len();
        if self.slot_of.len() <= instance.id.index() {
            self.slot_of.resize(instance.id.index() + 1, None);
        }
        match self.slot_of.get_mut(instance.id.index()) {
            Some(entry) if entry.is_none() => *entry = u16::try_from(index).ok(),
            _ => return refuse("its id is another's already"),
        }
        let mut holdings: Vec<Holding> = Vec::with_capacity(instance.instruments.len());
        for &instrument in &instance.instruments {
            let Some(found) = self.markets.find(instrument) else { continue };
            let Some(market) = self.markets.list.get_mut(found) else { continue };
            if holdings.iter().any(|holding| holding.instrument == instrument) {
                return refuse("an instrument of it is named twice");
            }
            let wanted = instance.bar_interval_ms;
            let series = market.series.iter().position(|series| Some(series.interval_ms()) == wanted);
            market.subscribers.push(Subscriber { instance: index, series });
            holdings.push(Holding { instrument, market: found, series, position: Default::default() });
        }
        let mut desk = Desk::new(instance.id, instance.name, instance.capital, epoch, holdings);
        if instance.is_quarantined {
            desk.state = InstanceState::Error;
            self.notices.send(Notice::new(NoticeCode::StrategyQuarantined, Timestamp::UNKNOWN).strategy(instance.id));
        }
        self.slots.push(Slot { strategy: instance.strategy, desk });
    }

    /// Takes a message of the feed: the books first, then the strategies that are subscribed.
    #[inline]
    fn on_market(&mut self, message: &MarketMessage) {
        let Some(index) = self.markets.find(message.instrument) else {
            // Without an instrument it is about the venue's connection, and so about each.
            if let MarketEvent::Connection { is_up, received_ns } = message.event {
                (0..self.markets.list.len()).for_each(|index| self.on_connection(index, is_up, received_ns));
            }
            return;
        };
        let Some(market) = self.markets.list.get_mut(index) else { return };
        let instrument = message.instrument;
        match &message.event {
            MarketEvent::Quote(quote) => {
                market.top.apply(*quote);
                market.is_mark_due = true;
                self.heard(index, quote.received_ns);
                self.close_bars(index, quote.exchange_ns, quote.received_ns);
                self.dispatch(index, quote.received_ns, Event::Quote(instrument, quote));
            }
            MarketEvent::Trade { aggressor, count, trade } => {
                self.heard(index, trade.received_ns);
                let series_count = self.markets.list.get(index).map_or(0, |market| market.series.len());
                for series in 0..series_count {
                    let market = self.markets.list.get_mut(index);
                    let closed = market.and_then(|market| market.series.get_mut(series)?.on_trade(trade, *count));
                    if let Some(bar) = closed {
                        self.dispatch_bar(index, series, trade.received_ns, &bar);
                    }
                }
                self.dispatch(index, trade.received_ns, Event::Trade(instrument, *aggressor, trade));
            }
            MarketEvent::DepthSnapshot { update_id, received_ns } => {
                market.depth.begin_snapshot(*update_id);
                market.is_crossed = false;
                self.is_amid_update = true;
                self.heard(index, *received_ns);
            }
            MarketEvent::DepthLevel { side, is_last, level } => {
                market.depth.apply(*side, level, *is_last);
                self.is_amid_update = !*is_last;
                if *is_last {
                    self.heard(index, level.received_ns);
                    self.check_crossing(index);
                    self.close_bars(index, level.exchange_ns, level.received_ns);
                    self.dispatch(index, level.received_ns, Event::Depth(instrument));
                }
            }
            MarketEvent::DepthLost { received_ns } => {
                market.depth.mark_lost();
                self.is_amid_update = false;
                self.now = self.now.max(*received_ns);
            }
            MarketEvent::HistoryBar(bar) => {
                let shortest = market.series.first().map_or(0, BarSeries::interval_ms);
                market.series.iter_mut().for_each(|series| series.on_history(bar, shortest));
            }
            MarketEvent::HistoryEnd => {
                market.is_warm = true;
                self.start_warm();
            }
            MarketEvent::Connection { is_up, received_ns } => self.on_connection(index, *is_up, *received_ns),
        }
    }

    /// Market data of an instrument was received.
    #[inline]
    fn heard(&mut self, index: usize, received_ns: Timestamp) {
        self.now = self.now.max(received_ns);
        if let Some(market) = self.markets.list.get_mut(index) {
            market.data_ns = market.data_ns.max(received_ns);
        }
    }

    fn on_connection(&mut self, index: usize, is_up: bool, received_ns: Timestamp) {
        self.now = self.now.max(received_ns);
        let Some(market) = self.markets.list.get_mut(index) else { return };
        if is_up {
            market.is_up = true;
        } else {
            market.on_down();
            self.is_amid_update = false;
        }
    }

    fn check_crossing(&mut self, index: usize) {
        let Some(market) = self.markets.list.get_mut(index) else { return };
        let was_crossed = std::mem::replace(&mut market.is_crossed, market.depth.is_crossed());
        if market.is_crossed && !was_crossed {
            self.counters.crossed_books.increment();
            let price = |level: Option<&crate::book::Level>| level.map_or(0, |level| i128::from(level.price.0));
            let (bid, ask) = (price(market.depth.best_bid()), price(market.depth.best_ask()));
            let notice = Notice::new(NoticeCode::CrossedBook, self.now).instrument(market.instrument.id);
            self.notices.send(notice.values(ask, bid));
        }
    }

    /// The venue's clock passed: bars whose time is over are closed.
    #[inline]
    fn close_bars(&mut self, index: usize, exchange_ns: Timestamp, received_ns: Timestamp) {
        let series_count = self.markets.list.get(index).map_or(0, |market| market.series.len());
        if !exchange_ns.is_known() {
            return;
        }
        for series in 0..series_count {
            let market = self.markets.list.get_mut(index);
            let closed = market.and_then(|market| market.series.get_mut(series)?.on_time(exchange_ns));
            if let Some(bar) = closed {
                self.dispatch_bar(index, series, received_ns, &bar);
            }
        }
    }

    fn start_warm(&mut self) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let is_warm = |market: usize| self.markets.list.get(market).is_some_and(|market| market.is_warm);
            if slot.desk.state == InstanceState::Warming && slot.desk.holdings.iter().all(|h| is_warm(h.market)) {
                slot.desk.state = InstanceState::Running;
                self.call(index, self.now, Event::Start);
            }
        }
    }

    /// Tells every subscriber of an instrument.
    #[inline]
    fn dispatch(&mut self, market: usize, received_ns: Timestamp, event: Event) {
        let mut next = 0;
        while let Some(&subscriber) = self.markets.list.get(market).and_then(|market| market.subscribers.get(next)) {
            self.call(subscriber.instance, received_ns, event);
            next += 1;
        }
    }

    /// Tells the subscribers of a series of a closed bar.
    fn dispatch_bar(&mut self, market: usize, series: usize, received_ns: Timestamp, bar: &Bar) {
        let mut next = 0;
        while let Some(market) = self.markets.list.get(market)
            && let Some(&subscriber) = market.subscribers.get(next)
        {
            let event = Event::Bar(market.instrument.id, bar);
            if subscriber.series == Some(series) {
                self.call(subscriber.instance, received_ns, event);
            }
            next += 1;
        }
    }

    /// Books an update of risk and tells the strategy.
    fn on_update(&mut self, update: &OrderUpdate) {
        self.now = self.now.max(update.received_ns);
        if let Some(index) = self.slot_index(update.strategy)
            && let Some(slot) = self.slots.get_mut(index)
        {
            slot.desk.apply(update);
            if update.client_order_id == ClientOrderId::NONE {
                // What the strategy holds from before the start: there is no order to tell it of.
                return;
            }
            self.call(index, update.received_ns, Event::Order(update));
        }
    }

    /// Tells strategies of the orders that the shard had to deny.
    fn tell_denials(&mut self) -> usize {
        let mut told = 0;
        for index in 0..self.slots.len() {
            // As many as there are now: what those handlers want and cannot have is told in the next cycle.
            let Some(slot) = self.slots.get(index).filter(|slot| slot.desk.has_denials_due) else { continue };
            for _ in 0..slot.desk.working.len() {
                let now = self.now;
                let Some(update) = self.slots.get_mut(index).and_then(|slot| slot.desk.next_denial(now)) else { break };
                self.on_update(&update);
                told += 1;
            }
        }
        told
    }

    fn fire_timers(&mut self) -> usize {
        let mut fired = 0;
        for index in 0..self.slots.len() {
            let wake_ns = self.slots.get(index).and_then(|slot| slot.desk.brackets.wake_ns);
            if wake_ns.is_some_and(|at| at <= self.cycle_ns) {
                self.now = self.now.max(self.cycle_ns);
                self.tend(index, self.now);
                fired += 1;
            }
            // As many as may be pending: what those handlers ask for, in the past, is told in the next cycle.
            for _ in 0..Desk::TIMERS_MAX {
                let cycle_ns = self.cycle_ns;
                let Some(at) = self.slots.get_mut(index).and_then(|slot| slot.desk.take_timer(cycle_ns)) else { break };
                self.now = self.now.max(cycle_ns);
                self.call(index, self.now, Event::Timer(at));
                fired += 1;
            }
        }
        fired
    }

    fn stop_all(&mut self) {
        self.now = self.now.max(self.cycle_ns);
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let was_running = slot.desk.state == InstanceState::Running;
            if slot.desk.state != InstanceState::Error {
                slot.desk.state = InstanceState::Stopped;
            }
            slot.desk.stop_brackets();
            if was_running {
                self.invoke(index, self.now, Event::Stop);
            }
            self.halt(index, NoticeCode::StrategyStopped);
            self.tend(index, self.now);
        }
    }

    fn slot_index(&self, strategy: StrategyId) -> Option<usize> {
        self.slot_of.get(strategy.index()).copied().flatten().map(usize::from)
    }

    fn call_by_id(&mut self, strategy: StrategyId, event: Event) {
        if let Some(index) = self.slot_index(strategy) {
            self.call(index, self.now, event);
        }
    }

    /// Calls a handler of an instance, if it runs. Its brackets come first: neither a slow nor a failed strategy keeps
    /// them from what they are there for.
    #[inline]
    fn call(&mut self, index: usize, received_ns: Timestamp, event: Event) {
        if matches!(event, Event::Quote(..) | Event::Order(_)) {
            self.tend(index, received_ns);
        }
        if self.slots.get(index).is_some_and(|slot| slot.desk.state == InstanceState::Running) {
            self.invoke(index, received_ns, event);
        }
    }

    /// Calls a handler, and sends what it wants.
    fn invoke(&mut self, index: usize, received_ns: Timestamp, event: Event) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        let moment = Moment { now: self.now, decided_ns: self.cycle_ns, received_ns };
        self.counters.handler_calls.increment();
        self.budget.calls += 1;
        self.budget.last_called = index;
        let started = self.budget.is_timing().then(|| self.budget.clock.now());
        let Slot { strategy, desk } = slot;
        let mut context = Context { now: moment.now, markets: &self.markets, desk, notices: &mut self.notices };
        self.calls = self.calls.wrapping_add(1);
        self.mark.enter(context.desk.id, moment.decided_ns, self.calls);
        // A strategy that panicked is never called again, and of what it shares with others it can only read.
        let returned = catch_unwind(AssertUnwindSafe(|| strategy.handle(&mut context, event)));
        self.mark.leave();
        match returned {
            Ok(Ok(())) => desk.errors_in_row = 0,
            Ok(Err(error)) => {
                self.counters.handler_errors.increment();
                desk.errors_in_row = desk.errors_in_row.saturating_add(1);
                let notice = Notice::new(NoticeCode::StrategyError, moment.now).strategy(desk.id);
                self.notices.send(notice.values(i128::from(desk.errors_in_row), i128::from(error.0)));
                if desk.errors_in_row >= Shard::ERRORS_MAX && desk.state == InstanceState::Running {
                    desk.state = InstanceState::Paused;
                    desk.discard_outbox();
                    self.halt(index, NoticeCode::StrategyPaused);
                }
            }
            Err(payload) => {
                self.counters.panics.increment();
                let notice = Notice::new(NoticeCode::StrategyPanicked, moment.now).strategy(desk.id);
                self.notices.send(notice.excerpt(panic_text(payload.as_ref()).as_bytes()));
                // Dropping what a strategy panicked with could panic again; it happens once an instance.
                std::mem::forget(payload);
                desk.state = InstanceState::Error;
                desk.discard_outbox();
                desk.cancel_all(None);
            }
        }
        if let Some(started) = started {
            let took_ns = self.budget.clock.now().since(started);
            self.check_budget(index, took_ns);
        }
        self.send(index, moment);
    }

    /// Does what the brackets of an instance want done, whether it runs or not.
    #[inline]
    fn tend(&mut self, index: usize, received_ns: Timestamp) {
        if self.slots.get(index).is_some_and(|slot| !slot.desk.brackets.is_empty()) {
            self.send(index, Moment { now: self.now, decided_ns: self.cycle_ns, received_ns });
        }
    }

    /// An instance calls no more: its orders are canceled, the exits of its brackets are not.
    fn halt(&mut self, index: usize, code: NoticeCode) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        slot.desk.cancel_all(None);
        self.notices.send(Notice::new(code, self.now).strategy(slot.desk.id));
    }

    /// Sends what the handler of an instance and its brackets want.
    #[inline]
    fn send(&mut self, index: usize, moment: Moment) {
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
    fn send_late(&mut self) {
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
    fn beat(&mut self) {
        let heartbeat = Mark { instrument: InstrumentId::NONE, ..Mark::default() };
        if self.cycle_ns.since(self.heartbeat_ns) >= Shard::HEARTBEAT_NS && self.marks.try_send(heartbeat).is_ok() {
            self.heartbeat_ns = self.cycle_ns;
        }
    }

    /// The cycle did something: its time is taken, see [`Budget`].
    fn close_cycle(&mut self) {
        let calls = std::mem::take(&mut self.budget.calls);
        if self.budget.is_timing() {
            self.budget.timed_cycles_left -= 1;
        } else if calls > 0 {
            let took_ns = self.budget.clock.now().since(self.cycle_ns);
            if took_ns > self.budget.limit_ns {
                self.budget.timed_cycles_left = Budget::TIMED_CYCLES;
                if calls == 1 {
                    self.check_budget(self.budget.last_called, took_ns);
                }
            }
        }
    }

    fn check_budget(&mut self, index: usize, took_ns: u64) {
        if took_ns > self.budget.limit_ns
            && let Some(slot) = self.slots.get(index)
        {
            self.counters.slow_handlers.increment();
            let notice = Notice::new(NoticeCode::StrategySlow, self.now).strategy(slot.desk.id);
            self.notices.send(notice.values(i128::from(self.budget.limit_ns), i128::from(took_ns)));
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "with something that is no text",
    }
}
