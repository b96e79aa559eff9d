//! The stage: drains its lanes in a fixed order, each with its own limit a cycle.

use super::books::{Holding, Market};
use super::config::{RiskConfig, RiskConfigError, RiskLanes};
use super::controls::Explanation;
use super::core::{Core, Outputs, WAITING_MAX};
use super::kill::KillSwitch;
use super::order_table::OrderTable;
use super::results::Results;
use super::worth::QuoteWorth;
use crate::metrics::{RiskCounters, Shared};
use crate::pipeline::lane::Receiver;
use crate::pipeline::order_page::OrderPage;
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::portfolio::{Ledger, Rates};
use crate::types::{
    AssetId, CancelIntent, ClientOrderId, DenialReason, Event, GatewayMessage, InstrumentId, Mark, Money, OrderIntent,
    RiskCommand, StrategyId, Timestamp, TradingState, VenueId,
};

/// Messages taken in one cycle from one lane of each kind.
const COMMANDS_PER_CYCLE: u64 = 16;
const REPORTS_PER_CYCLE: u64 = 256;
const CANCELS_PER_CYCLE: usize = WAITING_MAX;
const ORDERS_PER_CYCLE: usize = WAITING_MAX;
const MARKS_PER_CYCLE: u64 = 256;

/// The risk stage.
pub struct Risk {
    commands: Receiver<RiskCommand>,
    reports: Vec<Receiver<GatewayMessage>>,
    cancels: Vec<Receiver<CancelIntent>>,
    orders: Vec<Receiver<OrderIntent>>,
    marks: Vec<Receiver<Mark>>,
    pub(super) core: Core,
}

impl Risk {
    /// Builds the stage; everything it will ever need is allocated here.
    ///
    /// # Errors
    /// The first thing that does not fit in configuration and lanes.
    pub fn new(
        config: &RiskConfig,
        lanes: RiskLanes,
        kill: KillSwitch,
        counters: Shared<RiskCounters>,
    ) -> Result<Self, RiskConfigError> {
        config.validate(&lanes)?;
        let outputs = Outputs {
            gateway_orders: lanes.gateway_orders,
            gateway_cancels: lanes.gateway_cancels,
            updates: lanes.updates,
            positions: lanes.positions,
            latches: lanes.latches,
            notices: lanes.notices,
            limits: lanes.limits,
            retired_limits: lanes.retired_limits,
            overrides: lanes.overrides,
        };
        Ok(Self {
            commands: lanes.commands,
            reports: lanes.reports,
            cancels: lanes.cancels,
            orders: lanes.orders,
            marks: lanes.marks,
            core: Core::new(config, outputs, kill, counters),
        })
    }

    /// From now on everything that it takes and decides is written down.
    #[must_use]
    pub fn with_journal(mut self, tap: Tap) -> Self {
        self.core.tap = tap;
        self
    }

    /// From now on every order is kept there before it is sent.
    #[must_use]
    pub fn with_order_page(mut self, page: OrderPage) -> Self {
        self.core.order_page = Some(page);
        self
    }

    /// Replay: tells, before a poll, what it will find that no lane carries: kills, pauses, lanes that are full, a journal
    /// that is behind. From the first call on, risk looks at none of them itself.
    pub fn foretell(&mut self, event: &Event) {
        self.core.foretell(event);
    }

    /// Recovery: from now on each order's verdict is the one that [`Risk::foretell`] is told of, and no control judges: what
    /// was sent is at the venue, whatever this program would have decided. All entries of a cycle are to be told, in their
    /// order. An order without a verdict was never sent, and is denied.
    pub fn follow(&mut self) {
        self.core.follow();
    }

    /// Replay: somebody asks what the controls make of this order; [`Risk::explanation`] tells once it was judged.
    pub fn explain(&mut self, order: ClientOrderId) {
        self.core.asked = Some(Box::new((order, None)));
    }

    /// What the controls made of the order that was asked about; `None` until it is judged.
    #[must_use]
    pub fn explanation(&self) -> Option<&Explanation> {
        self.core.asked.as_ref().and_then(|asked| asked.1.as_ref())
    }

    /// Words that wait to be taken into the journal.
    #[must_use]
    pub fn journal_backlog(&self) -> u64 {
        self.core.tap.backlog()
    }

    /// Everything that risk came to, as one number: the same after the same inputs.
    #[must_use]
    pub const fn digest(&self) -> u64 {
        self.core.digest.value()
    }

    /// States what an account began with, before the first fill. Where its books were restored they stand: what changed
    /// while nobody looked is told by fills and transfers, or found by the first comparison with the venue.
    pub fn start_balance(&mut self, venue: VenueId, asset: AssetId, amount: Money) {
        if self.core.restored.contains(&(venue, asset)) {
            return;
        }
        if let Some(ledger) = self.core.books.ledgers.get_mut(usize::from(venue.0)) {
            ledger.start_with(asset, amount);
        }
    }

    /// Every order held.
    #[must_use]
    pub const fn orders(&self) -> &OrderTable {
        &self.core.orders
    }

    /// Every strategy in every instrument that it may trade, in the order of the permissions.
    #[must_use]
    pub fn holdings(&self) -> &[Holding] {
        &self.core.books.holdings
    }

    /// A strategy in an instrument; `None` without a permission.
    #[must_use]
    pub fn holding(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<&Holding> {
        self.core.books.holding(self.core.books.find(strategy, instrument)?)
    }

    /// Profit or loss of a holding's open quantity at the newest mark; `None` where there is no market to close it in.
    #[must_use]
    pub fn unrealized(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<Money> {
        self.core.unrealized(self.core.books.find(strategy, instrument)?)
    }

    /// Every instrument over all strategies, by id.
    #[must_use]
    pub fn markets(&self) -> &[Market] {
        &self.core.books.markets
    }

    /// The account at a venue.
    #[must_use]
    pub fn ledger(&self, venue: VenueId) -> Option<&Ledger> {
        self.core.books.ledgers.get(usize::from(venue.0))
    }

    /// A strategy's part of all accounts: what its own fills and fees changed. [`StrategyId::NONE`] is what belongs to no
    /// strategy. The parts of all add up to the changes of the accounts, to the last unit.
    #[must_use]
    pub fn share(&self, strategy: StrategyId) -> Option<&Ledger> {
        self.core.books.share(strategy)
    }

    /// What a strategy made and traded.
    #[must_use]
    pub fn results(&self, strategy: StrategyId) -> Option<&Results> {
        self.core.books.results.get(strategy.index())
    }

    /// What assets are worth in the account's currency.
    #[must_use]
    pub const fn rates(&self) -> &Rates {
        &self.core.books.rates
    }

    /// What an account's positions are worth, by quote asset.
    #[must_use]
    pub fn worth(&self, venue: VenueId) -> &[QuoteWorth] {
        self.core.books.accounts.get(usize::from(venue.0)).map_or(&[], Vec::as_slice)
    }

    /// How often each reason denied, zeros left out.
    pub fn denied(&self) -> impl Iterator<Item = (DenialReason, u64)> {
        DenialReason::ALL.into_iter().zip(self.core.denied).filter(|&(_, count)| count > 0)
    }

    /// The trading state of the engine; a holding's or a market's own may be stricter.
    #[must_use]
    pub const fn trading_state(&self) -> TradingState {
        self.core.trading_state
    }
}

impl Stage for Risk {
    fn poll(&mut self, now: Timestamp) -> usize {
        let Self { commands, reports, cancels, orders, marks, core } = self;
        core.begin_cycle(now);
        core.turn_day();
        let mut work = core.read_kill_word();
        work += commands.drain(COMMANDS_PER_CYCLE, |command| core.on_command(command));
        for (venue, lane) in reports.iter_mut().enumerate() {
            work += lane.drain(REPORTS_PER_CYCLE, |message| core.on_gateway(venue, message));
        }
        for (shard, lane) in cancels.iter_mut().enumerate() {
            let limit = core.shards.get(shard).map_or(0, |waiting| CANCELS_PER_CYCLE - waiting.held.len());
            work += lane.drain(limit as u64, |intent| core.on_cancel(shard, intent));
        }
        work += core.sweep();
        for (shard, lane) in orders.iter_mut().enumerate() {
            let limit =
                core.shards.get(shard).map_or(0, |waiting| ORDERS_PER_CYCLE.saturating_sub(waiting.denials.len()));
            let taken = lane.drain(limit as u64, |intent| core.on_intent(shard, intent));
            work += taken;
            if taken < limit {
                core.release_held(shard);
            }
        }
        for (shard, lane) in marks.iter_mut().enumerate() {
            work += lane.drain(MARKS_PER_CYCLE, |mark| core.on_mark(shard, mark));
        }
        core.watch_shards();
        core.watch_doubt();
        for venue in 0..core.venues.len() {
            work += core.send_cancels(venue);
        }
        for shard in 0..core.shards.len() {
            work += core.send_updates(shard);
        }
        work += core.report_positions();
        work += core.report_latches();
        core.end_cycle();
        if work == 0 {
            core.orders.warm();
        }
        work
    }

    fn name(&self) -> &'static str {
        "risk"
    }
}
