//! The risk stage with both ends of every lane in hand: two strategies on two shards, two instruments of one venue.

use crate::backtest::{Blob, Difference, EngineStart, RiskReplay};
use crate::control::names::Names;
use crate::metrics::{RiskCounters, Shared};
use crate::pipeline::lane::{Full, Receiver, Sender, lane};
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::{Drain, Tap};
use crate::portfolio::Ledger;
use crate::risk::*;
use crate::types::*;
use crossbeam::channel;

pub struct Rig {
    pub risk: Risk,
    pub kill: KillSwitch,
    pub counters: Shared<RiskCounters>,
    pub now: Timestamp,
    pub commands: Sender<RiskCommand>,
    pub reports: Sender<GatewayMessage>,
    pub cancels: Vec<Sender<CancelIntent>>,
    pub orders: Vec<Sender<OrderIntent>>,
    pub marks: Vec<Sender<Mark>>,
    pub gateway_orders: Receiver<Approved>,
    pub gateway_cancels: Receiver<CancelIntent>,
    pub updates: Vec<Receiver<OrderUpdate>>,
    pub positions: Receiver<PositionReport>,
    pub notices: Receiver<Notice>,
    pub latches: Receiver<Latch>,
    pub limits: channel::Sender<Box<LimitsTable>>,
    pub retired_limits: channel::Receiver<Box<LimitsTable>>,
    pub overrides: channel::Sender<Override>,
    sequence: u64,
    drain: Drain,
    /// What it began with.
    facts: Option<RiskFacts>,
    /// What risk wrote down so far.
    pub entries: Vec<Entry>,
}

pub fn instruments() -> Instruments {
    let mut instruments = Instruments::new();
    let mut asset = |name| instruments.intern_asset(Symbol::new(name).expect("a symbol")).expect("room");
    let (btc, usdt, eth) = (asset("BTC"), asset("USDT"), asset("ETH"));
    for (symbol, base) in [("BTCUSDT", btc), ("ETHUSDT", eth)] {
        instruments
            .add(Instrument {
                id: InstrumentId::NONE,
                venue: VenueId(0),
                symbol: Symbol::new(symbol).expect("a symbol"),
                base,
                quote: usdt,
                price_precision: 2,
                quantity_precision: 5,
                tick: Price(1),
                lot: Quantity(1),
                quantity_min: Quantity(1),
                quantity_max: Quantity(500),
                market_quantity_max: Quantity::ZERO,
                price_min: Price::ZERO,
                price_max: Price::ZERO,
                notional_min: Money::from_scaled(2, 3).expect("fits"),
                notional_max: Money::ZERO,
                status: InstrumentStatus::Trading,
            })
            .expect("sensible");
    }
    instruments
}

pub fn config() -> RiskConfig {
    let limits = Limits {
        max_order_quantity: Quantity(50),
        max_order_notional: Money::from_scaled(45, 3).expect("fits"),
        max_position: Quantity(100),
        ..wide::LIMITS
    };
    let instrument = InstrumentLimits {
        max_position: Quantity(150),
        max_data_age_ns: 1_000_000,
        collar_bps: 100,
        passive_collar_bps: 500,
        max_slippage_bps: 50,
        max_depth_share_bps: 5_000,
        ..wide::INSTRUMENT
    };
    let rate = RateLimit { per_second: 1_000_000, burst: 1_000, cancel_reserve: 10 };
    RiskConfig {
        instruments: instruments(),
        permissions: vec![
            Permission::all(StrategyId(0), InstrumentId(0)),
            Permission::all(StrategyId(1), InstrumentId(0)),
            Permission::all(StrategyId(1), InstrumentId(1)),
        ],
        limits: LimitsTable {
            permissions: vec![limits; 3],
            instruments: vec![instrument; 2],
            strategies: vec![StrategyLimits { rate, ..wide::STRATEGY }; 2],
            accounts: vec![AccountLimits { rate, ..wide::ACCOUNT }],
            version: 1,
        },
        shard_of_strategy: vec![0, 1],
        trading_state: TradingState::Active,
        order_capacity: 1_024,
        execution_capacity: 4_096,
        position_interval_ns: RiskConfig::POSITION_INTERVAL_NS,
        currency: Some(AssetId(1)),
        rate_sources: Vec::new(),
        day_volumes: vec![Quantity(i64::MAX); 2],
        epoch: 1,
        latches: Vec::new(),
        identity: None,
    }
}

/// The same with nothing permitted by any limit.
pub fn deny_all(config: &RiskConfig) -> RiskConfig {
    let mut config = config.clone();
    config.limits.permissions.fill(Limits::NONE);
    config.limits.instruments.fill(InstrumentLimits::NONE);
    config.limits.strategies.fill(StrategyLimits::NONE);
    config.limits.accounts.fill(AccountLimits::NONE);
    config
}

/// What the account begins with of every asset: more than any order of these tests needs.
pub const RICH: Money = Money(i128::MAX / 4);

impl Rig {
    /// A rig whose session is ready.
    pub fn new(config: &RiskConfig) -> Self {
        Self::with_lanes_of(config, 4_096)
    }

    /// The same with small lanes out of risk.
    pub fn with_lanes_of(config: &RiskConfig, capacity: usize) -> Self {
        let mut rig = Self::bare(config, capacity, None);
        rig.session(SessionState::Ready);
        rig.poll();
        rig
    }

    /// A rig that begins with what another one left behind, before its first poll.
    pub fn restored(config: &RiskConfig, facts: &RiskFacts) -> Self {
        Self::bare(config, 4_096, Some(facts))
    }

    fn bare(config: &RiskConfig, capacity: usize, facts: Option<&RiskFacts>) -> Self {
        let (commands, commands_in) = lane(16);
        let (reports, reports_in) = lane(4_096);
        let (cancels, cancels_in): (Vec<_>, Vec<_>) = (0..2).map(|_| lane(256)).unzip();
        let (orders, orders_in): (Vec<_>, Vec<_>) = (0..2).map(|_| lane(256)).unzip();
        let (marks, marks_in): (Vec<_>, Vec<_>) = (0..2).map(|_| lane(256)).unzip();
        let (orders_out, gateway_orders) = approved_lane(capacity);
        let (cancels_out, gateway_cancels) = lane(capacity);
        let (updates_out, updates): (Vec<_>, Vec<_>) = (0..2).map(|_| lane(capacity)).unzip();
        let (positions_out, positions) = lane(capacity);
        let (notices_out, notices) = lane(4_096);
        let (latches_out, latches) = lane(capacity);
        let (limits, limits_in) = channel::bounded(4);
        let (retire_limits, retired_limits) = channel::bounded(8);
        let (overrides, overrides_in) = channel::bounded(32);
        let lanes = RiskLanes {
            commands: commands_in,
            reports: vec![reports_in],
            cancels: cancels_in,
            orders: orders_in,
            marks: marks_in,
            gateway_orders: vec![orders_out],
            gateway_cancels: vec![cancels_out],
            updates: updates_out,
            positions: positions_out,
            latches: latches_out,
            notices: notices_out,
            limits: limits_in,
            retired_limits: retire_limits,
            overrides: overrides_in,
        };
        let (kill, counters) = (KillSwitch::new(), Shared::<RiskCounters>::default());
        let (tap, drain) = Tap::new();
        let risk = Risk::new(config, lanes, kill.clone(), counters.clone()).expect("a good configuration");
        let mut risk = risk.with_journal(tap);
        if let Some(facts) = facts {
            risk.restore(facts).expect("they fit");
        }
        for asset in 0..config.instruments.assets().len() {
            risk.start_balance(VenueId(0), AssetId(asset as u16), RICH);
        }
        Self {
            risk,
            kill,
            counters,
            now: Timestamp::from_millis(1_000),
            commands,
            reports,
            cancels,
            orders,
            marks,
            gateway_orders,
            gateway_cancels,
            updates,
            positions,
            notices,
            latches,
            limits,
            retired_limits,
            overrides,
            sequence: 0,
            drain,
            entries: Vec::new(),
            facts: facts.cloned(),
        }
    }

    pub fn poll(&mut self) -> usize {
        let work = self.risk.poll(self.now);
        self.drain.drain(|entry| self.entries.push(*entry));
        work
    }

    /// Runs a second risk on what this one wrote down, which must come to the same by the same way. `balances` are those that
    /// the account began with besides the usual ones, `blobs` what commands took.
    pub fn replays(&self, config: &RiskConfig, balances: &[(AssetId, i128)], blobs: &[Blob]) -> Result<(), String> {
        let mut replay = self.replay(config, balances, self.facts.as_ref())?;
        for blob in blobs {
            match blob {
                Blob::Limits(limits) => replay.take_limits(limits.clone()),
                Blob::Override(entry) => replay.take_override(*entry),
                Blob::Start(_) | Blob::Left(_) => return Err("nothing that risk takes".to_owned()),
            }
        }
        feed(&mut replay, &self.entries).map_err(|difference| format!("{difference:#?}"))?;
        let (live, again) = (&self.risk, replay.risk());
        let held = |risk: &Risk| {
            let facts = |held: &Holding| (held.position, held.exposure, held.capital, held.trading_state);
            risk.holdings().iter().map(facts).collect::<Vec<_>>()
        };
        let states = [live, again].map(|risk| (risk.digest(), held(risk)));
        if states[0] != states[1] {
            return Err(format!("the state after {} entries: {states:#?}", self.entries.len()));
        }
        Ok(())
    }

    /// The same, but the second risk follows the verdicts that were recorded, under limits that deny everything: the same
    /// orders are sent, and the same is held. With facts it begins there, with as many entries behind it.
    pub fn follows(
        &self,
        config: &RiskConfig,
        balances: &[(AssetId, i128)],
        from: Option<(&RiskFacts, usize)>,
    ) -> Result<RiskReplay, String> {
        let facts = from.map(|(facts, _)| facts).or(self.facts.as_ref());
        let mut replay = self.replay(&deny_all(config), balances, facts)?.following();
        let rest = &self.entries[from.map_or(0, |(_, entries)| entries)..];
        feed(&mut replay, rest).map_err(|difference| format!("{difference:#?}"))?;
        let orders = |risk: &Risk| {
            let facts =
                |held: &OrderRecord| (held.order, held.filled, held.venue_filled, held.reserve, held.is_exclusive);
            let mut orders: Vec<_> = risk.orders().iter().map(|held| (facts(held), held.status.is_open())).collect();
            orders.sort_by_key(|((order, ..), _)| order.client_order_id);
            orders
        };
        let held = |risk: &Risk| {
            let of_holding = |held: &Holding| (held.position, held.exposure, held.open_orders);
            let of_market = |market: &Market| market.exposure;
            let holdings: Vec<_> = risk.holdings().iter().map(of_holding).collect();
            (
                holdings,
                risk.markets().iter().map(of_market).collect::<Vec<_>>(),
                risk.ledger(VenueId(0)).map(Ledger::facts),
            )
        };
        let (live, again) = (&self.risk, replay.risk());
        for (live, again) in orders(live).iter().zip(&orders(again)) {
            if live != again {
                return Err(format!("{live:#?}\n  is {again:#?}"));
            }
        }
        if orders(live).len() != orders(again).len() || held(live) != held(again) {
            return Err(format!("{:#?}\n  is {:#?}", held(live), held(again)));
        }
        Ok(replay)
    }

    /// A second risk that followed what was recorded.
    pub fn followed(&self, config: &RiskConfig) -> Result<RiskReplay, Box<Difference>> {
        let mut replay = self.replay(config, &[], None).expect("a good configuration").following();
        feed(&mut replay, &self.entries)?;
        Ok(replay)
    }

    fn replay(
        &self,
        config: &RiskConfig,
        balances: &[(AssetId, i128)],
        facts: Option<&RiskFacts>,
    ) -> Result<RiskReplay, String> {
        let rich = (0..config.instruments.assets().len()).map(|asset| (AssetId(asset as u16), RICH));
        let balances = rich.chain(balances.iter().map(|(asset, amount)| (*asset, Money(*amount))));
        let balances = balances.map(|balance| (VenueId(0), balance)).collect();
        let start = EngineStart {
            config: config.clone(),
            balances,
            venues: 1,
            shards: vec![Vec::new(); 2],
            gateways: Vec::new(),
            names: Names::default(),
            firsts: Vec::new(),
            facts: None,
        };
        let mut bytes = Vec::new();
        Blob::Start(Box::new(start)).put(&mut bytes);
        let Some(Blob::Start(start)) = Blob::take(&mut bytes.as_slice()) else { return Err("the start".to_owned()) };
        let mut replay = RiskReplay::new(&start).map_err(|error| error.to_string())?;
        if let Some(facts) = facts {
            replay.restore(facts).map_err(|error| error.to_string())?;
        }
        Ok(replay)
    }

    pub fn settle(&mut self) {
        for _ in 0..64 {
            self.poll();
        }
    }

    /// Tells of the session; before it is ready, a round of reconciliation ends.
    pub fn session(&mut self, state: SessionState) {
        if state == SessionState::Ready {
            self.round(Round::Begun);
            self.round(Round::Ended { is_conclusive: false });
        }
        let message = GatewayMessage::Session { venue: VenueId(0), state, received_ns: self.now };
        self.reports.try_send(message).expect("room");
    }

    pub fn round(&mut self, round: Round) {
        let message = GatewayMessage::Round { venue: VenueId(0), round, received_ns: self.now };
        self.reports.try_send(message).expect("room");
    }

    /// A good order of strategy 0 in instrument 0, in a market of 99.99 to 100.01.
    pub fn intent(&mut self, side: Side, quantity: i64) -> OrderIntent {
        self.intent_of(0, 0, side, quantity)
    }

    pub fn intent_of(&mut self, strategy: u16, instrument: u32, side: Side, quantity: i64) -> OrderIntent {
        self.sequence += 1;
        let strategy = StrategyId(strategy);
        OrderIntent {
            order: Order {
                client_order_id: ClientOrderId::new(1, strategy, self.sequence).expect("in range"),
                // A tick apart, so that our own do not meet.
                price: Price(if side == Side::Buy { 10_000 } else { 10_001 }),
                quantity: Quantity(quantity),
                instrument: InstrumentId(instrument),
                strategy,
                side,
                ..Order::default()
            },
            stamp: MarketStamp {
                bid: Price(9_999),
                ask: Price(10_001),
                data_ns: self.now,
                near_depth: Quantity(1_000),
                is_synced: true,
            },
            received_ns: self.now,
            decided_ns: self.now,
        }
    }

    pub fn send(&mut self, intent: &OrderIntent) -> Result<(), Full> {
        let shard = usize::from(intent.order.strategy.0.min(1));
        self.orders[shard].try_send(*intent)
    }

    /// Sends a good order through, and answers its id.
    pub fn place(&mut self, side: Side, quantity: i64) -> ClientOrderId {
        let intent = self.intent(side, quantity);
        self.send(&intent).expect("room");
        self.poll();
        assert!(self.risk.orders().get(intent.order.client_order_id).is_some(), "{:?}", self.denials());
        intent.order.client_order_id
    }

    /// Asks for another order in the place of one, `quantity` in all; answers its id, whether it was denied or not.
    pub fn replace(&mut self, replaces: ClientOrderId, quantity: i64) -> ClientOrderId {
        let side = self.risk.orders().get(replaces).map_or(Side::Buy, |record| record.order.side);
        let mut intent = self.intent(side, quantity);
        intent.order.replaces = replaces;
        self.send(&intent).expect("room");
        self.poll();
        intent.order.client_order_id
    }

    pub fn cancel(&mut self, id: ClientOrderId) {
        let cancel = CancelIntent { client_order_id: id, strategy: id.strategy(), ..CancelIntent::default() };
        self.cancels[usize::from(id.strategy().0)].try_send(cancel).expect("room");
    }

    /// The cancels that were handed to the gateway, in their order.
    pub fn canceled(&mut self) -> Vec<(ClientOrderId, InstrumentId)> {
        let mut canceled = Vec::new();
        self.gateway_cancels.drain(u64::MAX, |cancel| canceled.push((cancel.client_order_id, cancel.instrument)));
        canceled
    }

    pub fn report(&mut self, report: ExecutionReport) {
        self.reports.try_send(GatewayMessage::Report(report)).expect("room");
        self.poll();
    }

    pub fn tell(&mut self, id: ClientOrderId, kind: ReportKind) {
        self.report(ExecutionReport { client_order_id: id, kind, venue_order_id: 7, ..ExecutionReport::default() });
    }

    pub fn fill(&mut self, id: ClientOrderId, execution_id: u64, quantity: i64) {
        self.report(fill(id, execution_id, quantity, 0));
    }

    pub fn order(&self, id: ClientOrderId) -> OrderRecord {
        *self.risk.orders().get(id).expect("in the table")
    }

    pub fn exposure(&self) -> (i128, i128) {
        let exposure = self.risk.holdings()[0].exposure;
        (exposure.worst_short(), exposure.worst_long())
    }

    pub fn denials(&self) -> Vec<(DenialReason, u64)> {
        self.risk.denied().collect()
    }

    /// The newest denial that people were told of.
    pub fn denial(&mut self) -> Option<(DenialReason, i128, i128)> {
        let mut newest = None;
        self.notices.drain(u64::MAX, |notice| {
            if notice.code == NoticeCode::Denied {
                newest = Some((notice.reason, notice.limit, notice.observed));
            }
        });
        newest
    }

    pub fn notices(&mut self) -> Vec<NoticeCode> {
        let mut codes = Vec::new();
        self.notices.drain(u64::MAX, |notice| codes.push(notice.code));
        codes
    }

    pub fn updates(&mut self, shard: usize) -> Vec<(ClientOrderId, OrderStatus)> {
        let mut seen = Vec::new();
        self.updates[shard].drain(u64::MAX, |update| seen.push((update.client_order_id, update.status)));
        seen
    }
}

pub fn fill(id: ClientOrderId, execution_id: u64, quantity: i64, cumulative: i64) -> ExecutionReport {
    ExecutionReport {
        client_order_id: id,
        kind: ReportKind::Fill,
        venue_order_id: 7,
        execution_id,
        last_price: Price(10_000),
        last_quantity: Quantity(quantity),
        cumulative_quantity: Quantity(cumulative),
        ..ExecutionReport::default()
    }
}

/// Lets a second risk run on entries.
fn feed(replay: &mut RiskReplay, entries: &[Entry]) -> Result<(), Box<Difference>> {
    entries.iter().try_for_each(|entry| replay.next(entry))?;
    replay.finish()
}

/// Lanes whose other ends are gone, for what only looks at how many there are.
pub fn lanes() -> RiskLanes {
    RiskLanes {
        commands: lane(2).1,
        reports: vec![lane(2).1],
        cancels: vec![lane(2).1, lane(2).1],
        orders: vec![lane(2).1, lane(2).1],
        marks: vec![lane(2).1, lane(2).1],
        gateway_orders: vec![approved_lane(2).0],
        gateway_cancels: vec![lane(2).0],
        updates: vec![lane(2).0, lane(2).0],
        positions: lane(2).0,
        latches: lane(2).0,
        notices: lane(2).0,
        limits: channel::bounded(1).1,
        retired_limits: channel::bounded(1).0,
        overrides: channel::bounded(1).1,
    }
}
