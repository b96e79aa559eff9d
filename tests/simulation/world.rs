//! One seed: exchange, stages, lanes and traders, and the time that passes.

use super::again::Again;
use super::checks::Truth;
use super::dice::Dice;
use super::link::Link;
use super::traders::{Top, Trader, Wish};
use crossbeam::channel;
use gannet::exchange::{
    DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, ExchangeConfig, Fault, FaultConfig, FaultCounts, FaultRates,
    Filters, Offline, SymbolConfig, WalkConfig,
};
use gannet::gateway::{Gateway, GatewayConfig, GatewayLanes};
use gannet::metrics::{GatewayCounters, RiskCounters, Shared};
use gannet::pipeline::clock::Clock;
use gannet::pipeline::lane::{Receiver, Sender, lane};
use gannet::pipeline::stage::Stage;
use gannet::pipeline::tap::Tap;
use gannet::risk::{
    AccountLimits, Exposure, InstrumentLimits, KillSwitch, Limits, LimitsTable, Permission, RateLimit, RateSource,
    Risk, RiskConfig, RiskLanes, StrategyLimits, approved_lane, wide,
};
use gannet::types::*;
use gannet::venue::binance::{Credentials, OrderEncoder, SessionKind, UserCodec};
use gannet::venue::budget::{Budget, BudgetLimits};
use gannet::venue::connection::{Arrival, Connection, ConnectionPort};
use gannet::venue::{FrameReader, MemoryPipe};
use secrecy::SecretString;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

pub const ACCOUNT: &str = DEMO_ED25519_API_KEY;
pub const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
/// In the order of their ids.
pub const ASSETS: [&str; 3] = ["BTC", "USDT", "ETH"];
pub const STRATEGIES: u16 = 3;
/// The exchange's units in one of ours, of quantities and of prices.
pub const QUANTITY_UNIT: i64 = 1_000;
const PRICE_UNIT: i64 = 1_000_000;
/// Of a strategy in an instrument: 6 units.
pub const LIMITS_MAX_POSITION: i64 = 600_000;
/// Of a strategy.
pub const ORDERS_MAX: u32 = 24;

/// What the venue allows in a minute, and in ten seconds: enough to be busy.
const WEIGHT_LIMIT: u32 = 100_000;
const ORDER_LIMIT: u32 = 10_000;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const START_NS: u64 = 1_700_000_000 * SECOND;
const UNIT: i64 = 100_000_000;
/// How long the books may take to agree once the faults have ended.
const CALM_MAX_NS: u64 = 90 * SECOND;

/// Whether this kind of fault can happen here: no client of market data takes part.
pub fn is_survived(fault: Fault) -> bool {
    fault != Fault::MarketCut
}

/// What a seed came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub steps: u64,
    pub orders: u64,
    pub fills: u64,
    pub virtual_s: u64,
    /// The longest that the books took to agree.
    pub settled_ms: u64,
    pub faults: FaultCounts,
    /// Everything that the gateway sent.
    pub trace: u64,
}

impl Outcome {
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.orders += other.orders;
        self.fills += other.fills;
        self.virtual_s += other.virtual_s;
        self.settled_ms = self.settled_ms.max(other.settled_ms);
        self.faults.add(&other.faults);
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps, {} virtual s, {} orders, {} fills, {} faults; books agreed within {} ms",
            self.steps,
            self.virtual_s,
            self.orders,
            self.fills,
            self.faults.total(),
            self.settled_ms
        )
    }
}

/// From where to where an exposure reaches.
pub fn open_width(exposure: &Exposure) -> i128 {
    exposure.worst_long() - exposure.worst_short()
}

pub struct World {
    is_told: bool,
    dice: Dice,
    now: Timestamp,
    clock: Clock,
    exchange: Offline,
    truth: Truth,
    risk: Risk,
    gateway: Gateway,
    again: Again,
    traders: Vec<Trader>,
    links: Vec<Link>,
    /// When a wanted connection is made.
    connect_at: Option<Timestamp>,
    /// How often the balances were asked for: a round of reconciliation begins and ends with that.
    looks: u32,
    /// Since when nothing new may be sent.
    halted_since: Option<Timestamp>,
    commands: Sender<RiskCommand>,
    orders: Sender<OrderIntent>,
    cancels: Sender<CancelIntent>,
    marks: Sender<Mark>,
    updates: Receiver<OrderUpdate>,
    requests: Receiver<Request>,
    arrivals: channel::Sender<Arrival>,
    retired: channel::Receiver<Box<Connection>>,
    notices: [Receiver<Notice>; 2],
    /// A break was told that no person has looked at.
    is_break_told: bool,
    spilled: (Receiver<SentOrder>, Receiver<PositionReport>, Receiver<Latch>),
    /// Ports that nothing is put into; they must stay open.
    _ports: Box<dyn std::any::Any>,
    trace: DefaultHasher,
    outcome: Outcome,
}

fn instruments() -> Instruments {
    let mut instruments = Instruments::new();
    let assets = ASSETS.map(|name| instruments.intern_asset(Symbol::new(name).expect("a symbol")).expect("room"));
    for (symbol, base) in SYMBOLS.into_iter().zip([assets[0], assets[2]]) {
        let instrument = Instrument {
            id: InstrumentId::NONE,
            venue: VenueId(0),
            symbol: Symbol::new(symbol).expect("a symbol"),
            base,
            quote: assets[1],
            price_precision: 2,
            quantity_precision: 5,
            tick: Price(1),
            lot: Quantity(1),
            quantity_min: Quantity(1),
            quantity_max: Quantity(900_000_000),
            market_quantity_max: Quantity(10_000_000),
            price_min: Price(1),
            price_max: Price::ZERO,
            notional_min: Money::from_scaled(5, 0).expect("fits"),
            notional_max: Money::ZERO,
            status: InstrumentStatus::Trading,
        };
        instruments.add(instrument).expect("sensible");
    }
    instruments
}

fn exchange_config(seed: u64) -> ExchangeConfig {
    let mut config = ExchangeConfig::shipped().expect("the shipped key");
    let symbol = |symbol: &str| SymbolConfig {
        symbol: symbol.to_owned(),
        base: String::new(),
        quote: "USDT".to_owned(),
        filters: Some(Filters { open_orders_max: 10_000, ..Filters::new(PRICE_UNIT, QUANTITY_UNIT) }),
        recordings: vec![],
    };
    config.symbols = SYMBOLS.map(symbol).to_vec();
    for account in &mut config.accounts {
        account.balances = ASSETS.map(|asset| (asset.to_owned(), 100_000 * UNIT)).to_vec();
    }
    config.walk = Some(WalkConfig { seed, price: 100 * UNIT, step_ticks: 6, interval_ns: 100 * MS });
    config.latency = Duration::from_millis(1);
    (config.weight_limit, config.order_limit) = (WEIGHT_LIMIT, ORDER_LIMIT);
    let mut swarm = FaultConfig::swarm(seed, FaultRates::STORM);
    for fault in Fault::ALL {
        if !is_survived(fault) {
            swarm.rates = swarm.rates.with(fault, 0);
        }
    }
    config.faults = swarm;
    config
}

fn risk_config() -> RiskConfig {
    let rate = RateLimit { per_second: 1_000_000, burst: 100_000, cancel_reserve: 1_000 };
    let permissions: Vec<_> = (0..STRATEGIES)
        .flat_map(|strategy| {
            (0..SYMBOLS.len() as u32).map(move |id| Permission::all(StrategyId(strategy), InstrumentId(id)))
        })
        .collect();
    let limits = Limits { max_position: Quantity(LIMITS_MAX_POSITION), ..wide::LIMITS };
    RiskConfig {
        instruments: instruments(),
        limits: LimitsTable {
            permissions: vec![limits; permissions.len()],
            instruments: vec![InstrumentLimits { rate, ..wide::INSTRUMENT }; SYMBOLS.len()],
            strategies: vec![
                StrategyLimits { rate, max_open_orders: ORDERS_MAX, ..wide::STRATEGY };
                usize::from(STRATEGIES)
            ],
            accounts: vec![AccountLimits { rate, ..wide::ACCOUNT }],
            version: 1,
        },
        permissions,
        shard_of_strategy: vec![0; usize::from(STRATEGIES)],
        trading_state: TradingState::Active,
        order_capacity: 16_384,
        execution_capacity: 65_536,
        position_interval_ns: RiskConfig::POSITION_INTERVAL_NS,
        currency: Some(AssetId(1)),
        rate_sources: vec![
            RateSource { asset: AssetId(0), instrument: InstrumentId(0) },
            RateSource { asset: AssetId(2), instrument: InstrumentId(1) },
        ],
        day_volumes: vec![Quantity(i64::MAX); 2],
        epoch: 1,
        latches: Vec::new(),
        identity: None,
    }
}

impl World {
    pub fn new(seed: u64, is_told: bool) -> Self {
        let now = Timestamp::from_nanos(START_NS);
        let clock = Clock::virtual_at(now);
        let exchange = Offline::new(&exchange_config(seed), START_NS).expect("a good configuration");
        let (commands, risk_commands) = lane(64);
        let (gateway_reports, risk_reports) = lane(4_096);
        let (cancels, risk_cancels) = lane(256);
        let (orders, risk_orders) = lane(256);
        let (marks, risk_marks) = lane(256);
        let (risk_approved, gateway_orders) = approved_lane(4_096);
        let (risk_cancels_out, gateway_cancels) = lane(4_096);
        let (risk_updates, updates) = lane(4_096);
        let (risk_positions, positions) = lane(1_024);
        let (risk_latches, latches) = lane(1_024);
        let (risk_notices, notices_of_risk) = lane(1_024);
        let (gateway_notices, notices_of_gateway) = lane(1_024);
        let (gateway_sent, sent) = lane(1_024);
        let (gateway_requests, requests) = lane(64);
        let (arrivals, gateway_arrivals) = channel::bounded(8);
        let (retire, retired) = channel::bounded(256);
        let (limits, risk_limits) = channel::bounded(4);
        let (retire_limits, retired_limits) = channel::bounded(8);
        let (overrides, risk_overrides) = channel::bounded(4);
        let lanes = RiskLanes {
            commands: risk_commands,
            reports: vec![risk_reports],
            cancels: vec![risk_cancels],
            orders: vec![risk_orders],
            marks: vec![risk_marks],
            gateway_orders: vec![risk_approved],
            gateway_cancels: vec![risk_cancels_out],
            updates: vec![risk_updates],
            positions: risk_positions,
            latches: risk_latches,
            notices: risk_notices,
            limits: risk_limits,
            retired_limits: retire_limits,
            overrides: risk_overrides,
        };
        let mut risk = Risk::new(&risk_config(), lanes, KillSwitch::new(), Shared::<RiskCounters>::default())
            .expect("a good configuration");
        let (tap, of_risk) = Tap::new();
        risk = risk.with_journal(tap);
        for (index, asset) in ASSETS.iter().enumerate() {
            let held = exchange.balance(ACCOUNT, asset);
            risk.start_balance(VenueId(0), AssetId(index as u16), Money::from_scaled(held.free, 8).expect("fits"));
        }
        let keys = Credentials::ed25519(SecretString::from(ACCOUNT), &SecretString::from(DEMO_ED25519_PRIVATE_KEY));
        let instruments = Arc::new(instruments());
        let budget = Arc::new(Budget::new(Timestamp::UNKNOWN));
        budget.learn(BudgetLimits { weight: WEIGHT_LIMIT, orders: ORDER_LIMIT });
        let config = GatewayConfig {
            name: "gateway-simulated",
            venue: VenueId(0),
            encoder: OrderEncoder::new(Arc::new(keys.expect("a key")), SessionKind::LoggedOn),
            codec: UserCodec::new(Arc::clone(&instruments), VenueId(0)),
            instruments,
            wire_capacity: 4_096,
            request_timeout_ns: 2 * SECOND,
            clock_offset_ns: 0,
            budget,
            reconcile_interval_ns: GatewayConfig::RECONCILE_INTERVAL_NS,
            last_known: Vec::new(),
            open_orders: Vec::new(),
            seed: seed as u32,
        };
        let lanes = GatewayLanes {
            orders: gateway_orders,
            cancels: gateway_cancels,
            reports: gateway_reports,
            sent: gateway_sent,
            connections: ConnectionPort { arrivals: gateway_arrivals, retired: retire },
            requests: gateway_requests,
            notices: gateway_notices,
        };
        let (tap, of_gateway) = Tap::new();
        let again = Again::new(&config.start(), &config.instruments, of_gateway, of_risk);
        let gateway = Gateway::new(config, lanes, clock.clone(), Shared::<GatewayCounters>::default());
        let gateway = gateway.with_journal(tap);
        Self {
            is_told,
            dice: Dice::new(seed ^ 0xD1CE),
            now,
            clock,
            exchange,
            truth: Truth::default(),
            risk,
            gateway,
            again,
            traders: (0..STRATEGIES).map(|strategy| Trader::new(StrategyId(strategy), seed)).collect(),
            links: Vec::new(),
            connect_at: None,
            looks: 0,
            halted_since: None,
            commands,
            orders,
            cancels,
            marks,
            updates,
            requests,
            arrivals,
            retired,
            notices: [notices_of_risk, notices_of_gateway],
            is_break_told: false,
            spilled: (sent, positions, latches),
            _ports: Box::new((limits, retired_limits, overrides)),
            trace: DefaultHasher::new(),
            outcome: Outcome::default(),
        }
    }

    /// Trades through the storm, then waits until the books agree.
    pub fn play(mut self) -> Result<Outcome, String> {
        let storm_ends = self.now.plus((10 + self.dice.below(30)) * SECOND);
        while self.now < storm_ends {
            self.want();
            self.step()?;
        }
        self.exchange.end_faults();
        self.say("the faults have ended");
        self.command(RiskCommand::SetTradingState(TradingState::CancelOnly));
        let calm_since = self.now;
        self.command(RiskCommand::CancelAll);
        loop {
            self.step()?;
            let Some(why) = self.truth.disagreement(&self.exchange, &self.risk) else { break };
            // Money that came or left while nobody was told of it is for a person to judge.
            if std::mem::take(&mut self.is_break_told) {
                self.command(RiskCommand::Reset(StrategyId::NONE));
            }
            if self.now.since(calm_since) > CALM_MAX_NS {
                return Err(format!("{} s after the faults ended: {why}", CALM_MAX_NS / SECOND));
            }
        }
        // What it told last is still to be taken.
        self.risk.poll(self.now);
        self.again.end(&self.gateway)?;
        let summary = self.exchange.summary();
        Ok(Outcome {
            orders: summary.orders,
            fills: self.truth.fills() as u64,
            virtual_s: self.now.since(Timestamp::from_nanos(START_NS)) / SECOND,
            settled_ms: self.now.since(calm_since) / MS,
            faults: summary.faults,
            trace: self.trace.finish(),
            ..self.outcome
        })
    }

    fn say(&self, words: &str) {
        if self.is_told {
            println!("{:>12.6} {words}", self.now.since(Timestamp::from_nanos(START_NS)) as f64 / 1e9);
        }
    }

    fn command(&mut self, command: RiskCommand) {
        self.commands.try_send(command).expect("room");
    }

    fn tops(&self) -> Vec<Top> {
        let top = |symbol: &&str| {
            let (bid, ask) = self.exchange.top(symbol).expect("a symbol");
            Top { bid: bid.0 / PRICE_UNIT, ask: ask.0 / PRICE_UNIT }
        };
        SYMBOLS.iter().map(top).collect()
    }

    /// What traders and operators want now.
    fn want(&mut self) {
        let tops = self.tops();
        for trader in &mut self.traders {
            // A full lane is the shard's to deny; here the wish is forgotten.
            let _ = match trader.wish(&tops, self.now) {
                Some(Wish::Order(intent)) => self.orders.try_send(*intent),
                Some(Wish::Cancel(cancel)) => self.cancels.try_send(cancel),
                None => Ok(()),
            };
        }
        for (id, top) in (0u32..).zip(&tops) {
            let quote = Quote {
                bid: Price(top.bid),
                bid_quantity: Quantity(1_000_000),
                ask: Price(top.ask),
                ask_quantity: Quantity(1_000_000),
                exchange_ns: self.now,
                received_ns: self.now,
            };
            let _ = self.marks.try_send(Mark { instrument: InstrumentId(id), quote });
        }
        // An operator halts now and then, and lets go again.
        if self.dice.once_in(400) {
            let states = [TradingState::Halted, TradingState::CancelOnly, TradingState::ReduceOnly];
            let state = states[self.dice.below(3) as usize];
            self.command(RiskCommand::SetTradingState(state));
        } else if self.risk.trading_state() != TradingState::Active && self.dice.once_in(50) {
            self.command(RiskCommand::SetTradingState(TradingState::Active));
        }
    }

    fn step(&mut self) -> Result<(), String> {
        self.outcome.steps += 1;
        self.now = self.now.plus(self.dice.between(1, 30 * MS as i64) as u64);
        self.clock.set(self.now);
        self.exchange.advance(self.now.nanos());
        self.truth.follow(&self.exchange)?;
        self.truth.check(&self.exchange, &self.risk).map_err(|what| self.at(what))?;
        self.carry()?;
        // As often as not a stage is behind.
        for _ in 0..=self.dice.below(3) {
            self.risk.poll(self.now);
            self.gateway.poll(self.now);
        }
        self.again.follow().map_err(|what| self.at(what))?;
        self.look_after_state();
        self.carry()?;
        self.truth.follow(&self.exchange)?;
        self.truth.check(&self.exchange, &self.risk).map_err(|what| self.at(what))?;
        let Self { updates, traders, .. } = self;
        updates.drain(u64::MAX, |update| {
            if let Some(trader) = traders.get_mut(usize::from(update.strategy.0)) {
                trader.learn(update);
            }
        });
        self.drop_displays();
        Ok(())
    }

    fn at(&self, what: String) -> String {
        format!("at {} ms: {what}", self.now.since(Timestamp::from_nanos(START_NS)) / MS)
    }

    /// From when on no order may reach the wire: what was approved before is sent within two steps.
    fn look_after_state(&mut self) {
        let may_not = self.risk.trading_state() >= TradingState::CancelOnly;
        self.halted_since = may_not.then(|| self.halted_since.unwrap_or(self.now));
    }

    /// Connections that are wanted, and bytes on those that stand.
    fn carry(&mut self) -> Result<(), String> {
        let (now, dice) = (self.now, &mut self.dice);
        let connect_at = &mut self.connect_at;
        self.requests.drain(u64::MAX, |request| {
            if *request == Request::Connect {
                connect_at.get_or_insert(now.plus(dice.below(300 * MS)));
            }
        });
        if self.connect_at.is_some_and(|at| at <= now) {
            self.connect_at = None;
            let arrival = match self.exchange.connect() {
                Ok(session) => {
                    let (near, far) = MemoryPipe::pair(512);
                    self.links.push(Link::new(session, far, now));
                    let connection = Connection::new(Box::new(near), FrameReader::new(), dice.next() as u32, now);
                    Arrival::Connected(Box::new(connection))
                }
                Err(seconds) => Arrival::Failed { retry_after_s: Some(seconds) },
            };
            self.arrivals.try_send(arrival).map_err(|_| "arrivals are not taken".to_owned())?;
        }
        let mut sent = Vec::new();
        let exchange = &mut self.exchange;
        self.links.retain_mut(|link| {
            let is_open = link.carry(exchange, now, |text| sent.push(text.to_owned()));
            if !is_open {
                exchange.disconnect(link.session);
            }
            is_open
        });
        self.retired.try_iter().for_each(drop);
        for text in sent {
            text.hash(&mut self.trace);
            self.say(&text);
            let is_order = text.contains("\"order.place\"") || text.contains("\"order.cancelReplace\"");
            self.looks += u32::from(text.contains("\"account.status\""));
            if is_order && self.looks < 2 {
                return Err(self.at(format!("an order was sent before the first round of reconciliation: {text}")));
            }
            if is_order && self.halted_since.is_some_and(|since| now.since(since) > 100 * MS) {
                return Err(self.at(format!("an order was sent while trading had stopped: {text}")));
            }
        }
        Ok(())
    }

    fn drop_displays(&mut self) {
        let now = self.now;
        let is_told = self.is_told;
        let is_break_told = &mut self.is_break_told;
        for lane in &mut self.notices {
            lane.drain(u64::MAX, |notice| {
                *is_break_told |= notice.code == NoticeCode::BooksDisagree;
                if is_told {
                    println!("{:>12.6} {notice:?}", now.since(Timestamp::from_nanos(START_NS)) as f64 / 1e9);
                }
            });
        }
        let (sent, positions, latches) = &mut self.spilled;
        sent.drain(u64::MAX, |_| {});
        positions.drain(u64::MAX, |_| {});
        latches.drain(u64::MAX, |_| {});
    }
}
