//! The shard: the stage that owns books and runs strategies on them.
//!
//! In each cycle it drains its lanes in a fixed order, each up to its own limit: commands, orders it had to deny
//! itself, order updates, market data; then timers. What a handler wants is stamped with the market it was decided in
//! and sent to risk before the next handler is called. `now` is the newest message's instant and never goes back; only
//! a passed deadline moves it to the loop's clock.
//!
//! What it takes, and what its lanes to risk had room for, is all that it depends on: that is written down ([`Tap`]), and
//! the same shard fed with it sends the same again. What it sends is not: risk writes down what it took.
//!
//! Here is the stage; in the files beside, in the order in which data flows, what it does: `setup`, `taking`, `market`,
//! `calling`, `budget`, `sending`.

mod budget;
mod calling;
mod market;
mod sending;
mod setup;
mod taking;

use super::desk::{Desk, InstanceState, Tally};
use super::market::Markets;
use super::saved::Left;
use super::{AnyStrategy, Event, FieldError, Signal};
use crate::book::BarSeries;
use crate::metrics::{ShardCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::heartbeat::{self, Heartbeats};
use crate::pipeline::lane::{Receiver, Sender};
use crate::pipeline::outlet::Outlet;
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::types::Event as Entry;
use crate::types::{
    CancelIntent, Denial, InstrumentId, Instruments, Mark, MarketMessage, Money, Notice, OrderIntent, OrderUpdate,
    Outgoing, ShardCommand, StrategyId, Timestamp,
};
use budget::Budget;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use taking::HASH_EVERY;

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
