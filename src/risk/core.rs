//! What risk knows, and how it speaks: the state behind the stage, without the lanes that it reads.

use super::approved::Approved;
use super::books::Books;
use super::breakers::{AccountBreakers, StrategyBreakers};
use super::budget::Budget;
use super::config::RiskConfig;
use super::controls::Explanation;
use super::drift::Drift;
use super::executions::Executions;
use super::kill::{KillScope, KillSwitch, Kills};
use super::latches::Latches;
use super::limits::LimitsTable;
use super::order_table::OrderTable;
use super::overrides::{Override, Overrides};
use super::own_book::OwnBook;
use super::parents::Parents;
use super::rate::TokenBucket;
use super::ratio::OrderToTrade;
use super::recent::Recent;
use super::reconcile::Reconciliation;
use super::recorded::Recorded;
use super::repeats::Repeats;
use super::resting::Resting;
use super::sweep::Sweep;
use crate::metrics::{RiskCounters, Shared};
use crate::pipeline::digest::Digest;
use crate::pipeline::lane::Sender;
use crate::pipeline::order_page::OrderPage;
use crate::pipeline::outlet::Outlet;
use crate::pipeline::tap::Tap;
use crate::types::{
    AssetId, CancelIntent, ClientOrderId, Denial, DenialReason, Event, InstrumentId, JournalHealth, Latch, Mark, Money,
    Notice, NoticeCode, OrderUpdate, Outgoing, PositionReport, PositionState, Quantity, RiskCommand, SessionState,
    StrategyId, Timestamp, TradingState, VenueId,
};
use crossbeam::channel;
use std::collections::VecDeque;

/// Denials, and cancels that overtook their order, that wait for one shard. While either is full, nothing more that
/// could add to it is taken from the shard's lane.
pub(super) const WAITING_MAX: usize = 64;

/// One strategy's messages and habits.
#[derive(Debug)]
pub(super) struct StrategyState {
    pub(super) bucket: TokenBucket,
    pub(super) recent: Recent,
    pub(super) order_to_trade: OrderToTrade,
    pub(super) breakers: StrategyBreakers,
    /// The largest client order id seen.
    pub(super) last_id: ClientOrderId,
    pub(super) shard: usize,
}

/// What went out in one instrument.
#[derive(Debug)]
pub(super) struct InstrumentState {
    pub(super) bucket: TokenBucket,
    pub(super) drift: Drift,
}

/// One venue's session, and the lanes to its gateway.
pub(super) struct VenueState {
    pub(super) session: SessionState,
    pub(super) bucket: TokenBucket,
    pub(super) budget: Budget,
    pub(super) breakers: AccountBreakers,
    pub(super) reconciliation: Reconciliation,
    pub(super) orders: Outlet<Approved>,
    pub(super) cancels: Outlet<CancelIntent>,
    /// Whether an order of ours was handed to its gateway.
    pub(super) has_sent: bool,
    /// Orders whose cancel the lane had no room for yet.
    pub(super) wanted: VecDeque<u32>,
}

/// The lane to one shard, and what waits for room in it.
pub(super) struct ShardState {
    pub(super) updates: Outlet<OrderUpdate>,
    /// Orders whose newest state the shard does not know.
    pub(super) dirty: VecDeque<u32>,
    /// Denials, and at a start positions, that had no room; orders of this shard are not taken while they fill this list.
    pub(super) denials: VecDeque<OrderUpdate>,
    /// Cancels of orders that are still in the shard's order lane.
    pub(super) held: VecDeque<CancelIntent>,
    /// When its newest heartbeat came; unknown before the first.
    pub(super) heard_ns: Timestamp,
    /// Whether no heartbeat came for too long.
    pub(super) is_silent: bool,
}

/// What replay says that happened to risk from outside, other than by a message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Foretold {
    pub(super) has_paused: bool,
    pub(super) journal: JournalHealth,
}

pub(super) struct Core {
    pub(super) now: Timestamp,
    /// Where everything that is taken and decided is written down.
    pub(super) tap: Tap,
    /// What of that could be written.
    pub(super) journal: JournalHealth,
    pub(super) digest: Digest,
    /// Where orders are kept before they are sent.
    pub(super) order_page: Option<OrderPage>,
    /// At how many taken entries the digest is written down next.
    hash_at: u64,
    /// In replay alone.
    pub(super) foretold: Option<Foretold>,
    /// In recovery alone: the verdicts to follow.
    pub(super) recorded: Option<Recorded>,
    /// The order that somebody asks about, and what the controls made of it.
    pub(super) asked: Option<Box<(ClientOrderId, Option<Explanation>)>>,
    /// What was restored of which account's balances: nothing else says what those began with.
    pub(super) restored: Vec<(VenueId, AssetId)>,
    pub(super) kill: KillSwitch,
    /// What is killed, as read last.
    pub(super) kills: Kills,
    pub(super) trading_state: TradingState,
    /// Boxed, so that new ones are put in place by moving a pointer.
    pub(super) limits: Box<LimitsTable>,
    pub(super) books: Books,
    pub(super) orders: OrderTable,
    pub(super) executions: Executions,
    pub(super) strategies: Vec<StrategyState>,
    /// By instrument id.
    pub(super) instruments: Vec<InstrumentState>,
    pub(super) resting: Resting,
    pub(super) repeats: Repeats,
    pub(super) overrides: Overrides,
    /// C41: why nothing may be sent.
    pub(super) identity: Option<Denial>,
    pub(super) venues: Vec<VenueState>,
    pub(super) shards: Vec<ShardState>,
    pub(super) sweep: Sweep,
    /// When shards were last looked after.
    pub(super) watched_ns: Timestamp,
    pub(super) epoch: u32,
    /// Orders that are not ours and were adopted so far.
    pub(super) external_count: u32,
    pub(super) own_book: OwnBook,
    pub(super) parents: Parents,
    /// The running day (UTC).
    pub(super) day: u32,
    /// What was told of what must outlive the process.
    pub(super) kept: Latches,
    pub(super) denied: [u64; DenialReason::ALL.len()],
    pub(super) counters: Shared<RiskCounters>,
    pub(super) latches: Sender<Latch>,
    limits_port: channel::Receiver<Box<LimitsTable>>,
    retired_limits: channel::Sender<Box<LimitsTable>>,
    positions: Sender<PositionReport>,
    notices: Sender<Notice>,
    position_interval_ns: u64,
    positions_sent_ns: Timestamp,
}

/// The sending ends that the core speaks through.
pub(super) struct Outputs {
    pub(super) gateway_orders: Vec<Sender<Approved>>,
    pub(super) gateway_cancels: Vec<Sender<CancelIntent>>,
    pub(super) updates: Vec<Sender<OrderUpdate>>,
    pub(super) positions: Sender<PositionReport>,
    pub(super) latches: Sender<Latch>,
    pub(super) notices: Sender<Notice>,
    pub(super) limits: channel::Receiver<Box<LimitsTable>>,
    pub(super) retired_limits: channel::Sender<Box<LimitsTable>>,
    pub(super) overrides: channel::Receiver<Override>,
}

/// How often the digest is written down, in entries taken.
const HASH_EVERY: u64 = 65_536;

/// A shard or venue as entries name it. There are fewer than 256 of each.
#[inline]
pub(super) fn number(place: usize) -> u8 {
    u8::try_from(place).unwrap_or(u8::MAX)
}

impl Core {
    pub(super) fn new(config: &RiskConfig, outputs: Outputs, kill: KillSwitch, counters: Shared<RiskCounters>) -> Self {
        let capacity = config.order_capacity;
        let gateways = outputs.gateway_orders.into_iter().zip(outputs.gateway_cancels);
        let venues: Vec<_> = gateways
            .zip(0..)
            .map(|((orders, cancels), venue)| VenueState {
                session: SessionState::Down,
                bucket: TokenBucket::FULL,
                budget: Budget::NONE,
                breakers: AccountBreakers::new(capacity),
                reconciliation: Reconciliation::new(config.instruments.assets().len()),
                orders: Outlet::new(orders, Outgoing::Orders(venue)),
                cancels: Outlet::new(cancels, Outgoing::Cancels(venue)),
                has_sent: false,
                wanted: VecDeque::with_capacity(capacity),
            })
            .collect();
        let shards = outputs.updates.into_iter().zip(0..).map(|(updates, shard)| ShardState {
            updates: Outlet::new(updates, Outgoing::Updates(shard)),
            dirty: VecDeque::with_capacity(capacity),
            denials: VecDeque::with_capacity(WAITING_MAX),
            held: VecDeque::with_capacity(WAITING_MAX),
            heard_ns: Timestamp::UNKNOWN,
            is_silent: false,
        });
        let strategies = config.shard_of_strategy.iter().map(|&shard| StrategyState {
            bucket: TokenBucket::FULL,
            recent: Recent::NONE,
            order_to_trade: OrderToTrade::NONE,
            breakers: StrategyBreakers::NONE,
            last_id: ClientOrderId::NONE,
            shard,
        });
        let accounts = venues.len();
        let sweep = Sweep::new(accounts, config.instruments.len(), capacity);
        let mut core = Self {
            now: Timestamp::UNKNOWN,
            tap: Tap::none(),
            journal: JournalHealth::Ample,
            digest: Digest::NONE,
            order_page: None,
            hash_at: HASH_EVERY,
            foretold: None,
            recorded: None,
            asked: None,
            restored: Vec::new(),
            kill,
            kills: Kills::NONE,
            trading_state: config.trading_state,
            limits: Box::new(config.limits.clone()),
            books: Books::new(config, venues.len()),
            orders: OrderTable::new(capacity),
            executions: Executions::new(config.execution_capacity),
            strategies: strategies.collect(),
            instruments: config
                .instruments
                .iter()
                .map(|_| InstrumentState { bucket: TokenBucket::FULL, drift: Drift::NONE })
                .collect(),
            resting: Resting::new(config.shard_of_strategy.len(), config.instruments.len(), venues.len()),
            repeats: Repeats::new(config),
            overrides: Overrides::new(outputs.overrides),
            identity: config.identity,
            venues,
            shards: shards.collect(),
            sweep,
            watched_ns: Timestamp::UNKNOWN,
            epoch: config.epoch,
            external_count: 0,
            own_book: OwnBook::new(config.instruments.len(), capacity),
            parents: Parents::new(config.shard_of_strategy.len()),
            day: 0,
            kept: Latches::new(config.shard_of_strategy.len(), config.instruments.len(), accounts),
            denied: [0; DenialReason::ALL.len()],
            counters,
            latches: outputs.latches,
            limits_port: outputs.limits,
            retired_limits: outputs.retired_limits,
            positions: outputs.positions,
            notices: outputs.notices,
            position_interval_ns: config.position_interval_ns,
            positions_sent_ns: Timestamp::UNKNOWN,
        };
        core.restore_latches(&config.latches);
        core
    }

    /// A poll begins. How far the journal is behind is read, and obeyed.
    pub(super) fn begin_cycle(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
        self.tap.begin(self.now);
        let health = self.foretold.map_or_else(|| self.tap.health(), |foretold| foretold.journal);
        if health == self.journal {
            return;
        }
        self.tap.write(Event::Journal(health));
        let before = std::mem::replace(&mut self.journal, health);
        let code = if health > before { NoticeCode::BreakerTripped } else { NoticeCode::BreakerReset };
        let notice = Notice::new(code, self.now).values(0, health as i128);
        self.notify(Notice { reason: DenialReason::JournalUnavailable, ..notice });
        // While it is only behind, C38 denies new orders, and trading goes on when it has caught up. What was not written
        // down is another matter.
        if health == JournalHealth::Gone {
            self.enter(TradingState::Halted);
        }
    }

    /// A poll ends.
    pub(super) fn end_cycle(&mut self) {
        for venue in &mut self.venues {
            venue.orders.end_cycle(&mut self.tap);
            venue.cancels.end_cycle(&mut self.tap);
        }
        for shard in &mut self.shards {
            shard.updates.end_cycle(&mut self.tap);
        }
        let taken = self.tap.taken();
        if taken >= self.hash_at {
            self.hash_at = taken + HASH_EVERY;
            self.tap.write(Event::Hash { taken, digest: self.digest.value() });
        }
        if let Some(foretold) = &mut self.foretold {
            foretold.has_paused = false;
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.clear();
        }
    }

    /// Recovery: from now on verdicts are not worked out but taken from what is foretold.
    pub(super) fn follow(&mut self) {
        self.recorded = Some(Recorded::default());
    }

    /// Replay: what the cycle that comes will find.
    pub(super) fn foretell(&mut self, event: &Event) {
        if let Some(recorded) = &mut self.recorded {
            recorded.hear(event);
        }
        let foretold = self.foretold.get_or_insert(Foretold { has_paused: false, journal: self.journal });
        match *event {
            Event::Journal(health) => foretold.journal = health,
            Event::Paused => foretold.has_paused = true,
            Event::KillWord { word, bits } => self.kill.restore(word, bits),
            Event::Killed { generation } => self.kill.restore_generation(generation),
            Event::Full { lane, sent } => {
                for venue in &mut self.venues {
                    venue.orders.take_only(lane, sent);
                    venue.cancels.take_only(lane, sent);
                }
                self.shards.iter_mut().for_each(|shard| shard.updates.take_only(lane, sent));
            }
            _ => {}
        }
    }

    /// Does what the cold plane wants.
    pub(super) fn on_command(&mut self, command: &RiskCommand) {
        self.tap.write(Event::Command(*command));
        match command {
            RiskCommand::SetTradingState(state) => self.set_trading_state(*state),
            RiskCommand::CancelAll => self.cancel_all(),
            RiskCommand::TakeLimits => self.take_limits(),
            RiskCommand::TakeOverride => self.take_override(),
            RiskCommand::Reset(strategy) => self.reset(*strategy),
            RiskCommand::Clock { venue, offset_ns } => self.on_clock(*venue, *offset_ns),
            RiskCommand::ClockJump { by_ns } => self.on_clock_jump(*by_ns),
            RiskCommand::Volume { instrument, day_volume } => self.on_volume(*instrument, *day_volume),
        }
    }

    /// Reads the kill switch, and lets what is killed now be canceled. A kill of the engine also halts, and a release does
    /// not take that back: trading begins again when a person sets the trading state, not before.
    pub(super) fn read_kill_word(&mut self) -> usize {
        if self.kill.generation() == self.kills.generation() {
            return 0;
        }
        let before = std::mem::replace(&mut self.kills, self.kill.read());
        for (word, bits) in self.kills.changes(&before) {
            self.tap.write(Event::KillWord { word, bits });
        }
        self.tap.write(Event::Killed { generation: self.kills.generation() });
        self.digest.fold(self.kills.generation());
        self.sweep_killed(&before);
        let generation = i128::from(self.kills.generation());
        if self.kills.has(KillScope::Engine) {
            self.notify(Notice::new(NoticeCode::Killed, self.now).values(0, generation));
            self.enter(TradingState::Halted);
        }
        1
    }

    /// Puts the limits in place that wait in the port, whole, from this input on. They were judged on the cold plane; what
    /// does not fit this engine all the same is not taken.
    pub(super) fn take_limits(&mut self) {
        let Ok(mut limits) = self.limits_port.try_recv() else { return };
        let sizes = |table: &LimitsTable| {
            [table.permissions.len(), table.instruments.len(), table.strategies.len(), table.accounts.len()]
        };
        if sizes(&limits) == sizes(&self.limits) && limits.validate().is_ok() {
            std::mem::swap(&mut self.limits, &mut limits);
            self.judge_all_results();
            let version = i128::from(self.limits.version);
            self.notify(Notice::new(NoticeCode::LimitsChanged, self.now).values(0, version));
        } else {
            let notice = Notice::new(NoticeCode::Misconfigured, self.now);
            self.notify(notice.excerpt(b"limits that are not of this engine were not taken"));
        }
        // The cold plane keeps room for as many as it sends.
        let _ = self.retired_limits.try_send(limits);
    }

    /// A venue told what is traded in an instrument (C16).
    pub(super) fn on_volume(&mut self, instrument: InstrumentId, day_volume: Quantity) {
        if let Some(market) = self.books.markets.get_mut(instrument.index()) {
            market.day_volume = day_volume;
        }
    }

    /// A person looked at a strategy, or at all: what only a person may set back begins anew.
    pub(super) fn reset(&mut self, strategy: StrategyId) {
        self.repeats.reset(strategy);
        self.reset_breakers(strategy);
        if strategy == StrategyId::NONE {
            self.accept_balances();
        }
        self.reset_results(strategy);
        self.notify(Notice::new(NoticeCode::BreakerReset, self.now).strategy(strategy).excerpt(b"by a person"));
    }

    /// Sets the trading state as a command asks; towards more trading not while the kill switch is set.
    pub(super) fn set_trading_state(&mut self, wanted: TradingState) {
        if self.kills.has(KillScope::Engine) && wanted < TradingState::Halted {
            let values = (i128::from(wanted as u8), i128::from(self.kills.generation()));
            self.notify(Notice::new(NoticeCode::Killed, self.now).values(values.0, values.1));
            return;
        }
        if wanted == TradingState::Active {
            // The operator takes back what fills over a limit have set; the limits themselves still hold.
            for holding in &mut self.books.holdings {
                holding.trading_state = TradingState::Active;
            }
            for market in &mut self.books.markets {
                market.trading_state = TradingState::Active;
            }
        }
        self.enter(wanted);
    }

    /// Goes into a trading state, and says so. Halted cancels everything.
    pub(super) fn enter(&mut self, state: TradingState) {
        if state == TradingState::Halted {
            self.start_sweep();
        }
        if state != self.trading_state {
            let values = (i128::from(self.trading_state as u8), i128::from(state as u8));
            self.digest.fold(u64::from(state as u8));
            self.trading_state = state;
            self.notify(Notice::new(NoticeCode::TradingStateChanged, self.now).values(values.0, values.1));
        }
    }

    /// Tells people, or counts that it could not.
    pub(super) fn notify(&mut self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.counters.notices_dropped.increment();
        }
    }

    /// Values what is held at the newest top of book; a mark of no instrument is the shard's heartbeat.
    pub(super) fn on_mark(&mut self, shard: usize, mark: &Mark) {
        self.tap.write(Event::Mark { shard: number(shard), mark: *mark });
        if mark.instrument == InstrumentId::NONE {
            return self.on_heartbeat(shard);
        }
        let is_rate = self.books.mark(mark, self.now);
        if is_rate { self.judge_all_results() } else { self.judge_holders(mark.instrument) }
    }

    /// The position of a holding, as messages carry it.
    pub(super) fn position_state(&self, place: u32) -> PositionState {
        let state = |place| {
            let holding = self.books.holding(place)?;
            let market = self.books.market(holding.permission.instrument)?;
            Some(holding.position.state(&market.instrument))
        };
        state(place).unwrap_or_default()
    }

    /// Marks an order for its shard, and sends what there is room for.
    pub(super) fn update_shard(&mut self, slot: u32) {
        // No shard hears of what is not ours.
        let ours = self.orders.at_mut(slot).filter(|record| record.order.strategy != StrategyId::NONE);
        let Some(record) = ours else { return };
        let strategy = record.order.strategy;
        let was_dirty = std::mem::replace(&mut record.is_dirty, true);
        let Some(shard) = self.strategies.get(strategy.index()).map(|strategy| strategy.shard) else { return };
        if !was_dirty && let Some(shard) = self.shards.get_mut(shard) {
            shard.dirty.push_back(slot);
        }
        self.send_updates(shard);
    }

    /// Sends a shard what waits for it, as far as its lane has room: denials, then the newest state of changed orders.
    pub(super) fn send_updates(&mut self, shard: usize) -> usize {
        let mut sent = 0;
        while let Some(waiting) = self.shards.get_mut(shard)
            && let Some(denial) = waiting.denials.front()
        {
            if waiting.updates.try_send(*denial).is_err() {
                return sent;
            }
            waiting.denials.pop_front();
            self.tap.touch();
            sent += 1;
        }
        while let Some(slot) = self.shards.get(shard).and_then(|waiting| waiting.dirty.front().copied()) {
            let update = self.order_update(slot);
            let Some(waiting) = self.shards.get_mut(shard) else { return sent };
            if waiting.updates.try_send(update).is_err() {
                return sent;
            }
            waiting.dirty.pop_front();
            self.tap.touch();
            if let Some(record) = self.orders.at_mut(slot) {
                record.is_dirty = false;
            }
            sent += 1;
        }
        sent
    }

    fn order_update(&self, slot: u32) -> OrderUpdate {
        let Some(record) = self.orders.at(slot) else { return OrderUpdate::default() };
        OrderUpdate {
            position: self.position_state(record.holding),
            client_order_id: record.order.client_order_id,
            price: record.order.price,
            stop_price: record.order.stop_price,
            quantity: record.order.quantity,
            filled: record.filled,
            venue_filled: record.venue_filled.max(record.filled),
            last_price: record.last_price,
            received_ns: record.updated_ns,
            instrument: record.order.instrument,
            code: record.code,
            strategy: record.order.strategy,
            reason: record.reason,
            status: record.status,
            side: record.order.side,
            order_type: record.order.order_type,
        }
    }

    /// Reports the positions that changed, or whose market did, at most once an interval. What does not fit is sent
    /// the next time, with its newest state.
    pub(super) fn report_positions(&mut self) -> usize {
        if self.now.since(self.positions_sent_ns) < self.position_interval_ns {
            return 0;
        }
        self.positions_sent_ns = self.now;
        let mut sent = 0;
        for (place, holding) in (0u32..).zip(&mut self.books.holdings) {
            let Some(market) = self.books.markets.get(holding.permission.instrument.index()) else { continue };
            // What is not ours is shown while there is any.
            let is_nothing = holding.permission.strategy == StrategyId::NONE && holding.position.quantity().0 == 0;
            if !holding.is_changed && (!market.is_marked || is_nothing) {
                continue;
            }
            let report = PositionReport {
                position: holding.position.state(&market.instrument),
                unrealized: holding.unrealized,
                allocated: self.limits.permission(place).allocation,
                used: holding.capital.used(),
                reserved: holding.capital.reserved(&holding.exposure),
                bid: market.quote.bid,
                ask: market.quote.ask,
                worst_short: clamped(holding.exposure.worst_short()),
                worst_long: clamped(holding.exposure.worst_long()),
                open_orders: holding.open_orders,
                instrument: holding.permission.instrument,
                strategy: holding.permission.strategy,
            };
            holding.is_changed = self.positions.try_send(report).is_err();
            sent += usize::from(!holding.is_changed);
        }
        for market in &mut self.books.markets {
            market.is_marked = false;
        }
        sent
    }

    /// Profit or loss of every open quantity at the newest marks, in no asset in particular: each holding's own.
    pub(super) fn unrealized(&self, place: u32) -> Option<Money> {
        let holding = self.books.holding(place)?;
        let market = self.books.market(holding.permission.instrument)?;
        holding.position.unrealized(&market.quote, &market.instrument)
    }
}

/// For displays: the ends of the range stand for what is beyond them.
fn clamped(quantity: i128) -> i64 {
    i64::try_from(quantity).unwrap_or(if quantity < 0 { i64::MIN } else { i64::MAX })
}
