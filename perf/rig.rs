//! The machine on memory: every stage as in production, with frames that wait in memory instead of a socket.
//!
//! One venue, one instrument, one shard, one strategy that wants an order at every quote. Each order is
//! immediate-or-cancel, and the venue's report that it expired waits in memory too, so that the machine stays as it is
//! however long it runs. Used by the latency harness and by the test that counts allocations.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness fails by panicking"
)]

use gannet::feed::FeedConfig;
use gannet::feed::depth_sync::DepthRule;
use gannet::gateway::GatewayConfig;
use gannet::journal::{Disk, FolderDisk, Identity, Log, LogConfig, Recorder, ScanOptions, recover};
use gannet::pipeline::clock::Clock;
use gannet::pipeline::heartbeat::{Heartbeats, Pulse};
use gannet::pipeline::lane::Sender;
use gannet::pipeline::order_page::OrderPage;
use gannet::pipeline::stage::Stage;
use gannet::pipeline::{self, ColdEnds, Counters, HotStage, Machine, MachineConfig};
use gannet::risk::{
    AccountLimits, InstrumentLimits, KillSwitch, Limits, LimitsTable, Permission, RateLimit, RiskConfig,
    StrategyLimits, wide,
};
use gannet::strategy::AnyStrategy;
use gannet::strategy::prelude::*;
use gannet::strategy::runner::{Instance, ShardConfig};
use gannet::types::{
    AssetId, ClientOrderId, FeedInput, FeedMessage, InstrumentStatus, Instruments, StrategyId, Symbol, TradingState,
    VenueId,
};
use gannet::venue::binance::{Credentials, Market, MarketCodec, MarketSymbol, OrderEncoder, SessionKind, UserCodec};
use gannet::venue::connection::{Arrival, Connection};
use gannet::venue::{FrameReader, MemoryControl, MemoryStream};
use std::sync::Arc;

/// Buys at the ask whenever the mid is at or below its moving average, else sells at the bid: an order a quote.
pub struct Averager {
    mids: [i64; 64],
    next: usize,
    sum: i64,
}

/// None.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct NoParams {}

impl Strategy for Averager {
    const METADATA: Metadata = Metadata {
        kind: "averager",
        display_name: "Averager",
        version: "1.0.0",
        author: "Gannet",
        description: "An order a quote, for measurements.",
        compatibility: Compatibility::ANY,
    };
    type Params = NoParams;

    fn new(_params: &NoParams, _setup: &Setup) -> Result<Self, FieldError> {
        Ok(Self { mids: [0; 64], next: 0, sum: 0 })
    }

    fn on_quote(&mut self, context: &mut Context, instrument: InstrumentId, quote: &Quote) -> Handled {
        let Some(mid) = quote.mid() else { return Ok(()) };
        if let Some(slot) = self.mids.get_mut(self.next & 63) {
            self.sum += mid.0 - *slot;
            *slot = mid.0;
        }
        self.next += 1;
        let (side, price) = if mid.0 <= self.sum / 64 { (Side::Buy, quote.ask) } else { (Side::Sell, quote.bid) };
        let order = NewOrder::limit(instrument, side, Quantity(100), price).immediate_or_cancel();
        // A denial is counted by risk; the harness compares the counts.
        let _ = context.submit(order);
        Ok(())
    }
}

/// The rig, ready to be driven.
pub struct Rig {
    /// Feed, shard, risk, gateway.
    pub stages: Vec<HotStage>,
    /// The cold ends.
    pub cold: ColdEnds,
    /// Counters.
    pub counters: Counters,
    /// Lets quotes through.
    pub quotes: MemoryControl,
    /// Lets reports through.
    pub reports: MemoryControl,
    /// Bytes of each report.
    pub report_bytes: usize,
    /// Bytes of each quote.
    pub quote_bytes: usize,
    /// The loop's clock.
    pub clock: Clock,
    /// Beats as a hot thread does.
    pulse: Pulse,
    /// Reports let through so far.
    answered: u64,
    /// What writes the journal, and where.
    pub kept: Option<(Recorder, tempfile::TempDir)>,
}

pub const EPOCH: u32 = 1;

/// The raw bookTicker frame of event `index`: 105 bytes as on the wire, its prices moving.
pub fn quote_frame(index: u64) -> String {
    let cents = (index * 7) % 97;
    let bid = 6_183_700 + cents;
    let ask = bid + 1;
    format!(
        "{{\"u\":{},\"s\":\"BTCUSDT\",\"b\":\"{}.{:02}000000\",\"B\":\"3.78826000\",\"a\":\"{}.{:02}000000\",\"A\":\"1.54698000\"}}",
        50_093_239_212 + index,
        bid / 100,
        bid % 100,
        ask / 100,
        ask % 100
    )
}

/// The report that order `sequence` (from 1) expired unfilled.
fn report_frame(sequence: u64) -> String {
    let id = ClientOrderId::new(EPOCH, StrategyId(0), sequence).expect("in range");
    format!(
        "{{\"subscriptionId\":0,\"event\":{{\"e\":\"executionReport\",\"E\":1723161255208,\"s\":\"BTCUSDT\",\"c\":\"{id}\",\"S\":\"BUY\",\"o\":\"LIMIT\",\"f\":\"IOC\",\"q\":\"0.00100000\",\"p\":\"61837.00000000\",\"P\":\"0.00000000\",\"F\":\"0.00000000\",\"g\":-1,\"C\":\"\",\"x\":\"EXPIRED\",\"X\":\"EXPIRED\",\"r\":\"NONE\",\"i\":{:010},\"l\":\"0.00000000\",\"z\":\"0.00000000\",\"L\":\"0.00000000\",\"n\":\"0\",\"N\":null,\"T\":1723161255208,\"t\":-1,\"I\":{:010},\"w\":false,\"m\":false,\"M\":false,\"O\":1723161255208,\"Z\":\"0.00000000\",\"Y\":\"0.00000000\",\"Q\":\"0.00000000\",\"W\":1723161255208,\"V\":\"NONE\"}}}}",
        1_000_000_000 + sequence,
        1_000_000_000 + sequence
    )
}

/// A server's WebSocket text frame.
pub fn framed(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match u8::try_from(text.len()) {
        Ok(length @ 0..=125) => frame.push(length),
        _ => {
            frame.push(126);
            frame.extend_from_slice(&u16::try_from(text.len()).expect("a short frame").to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    frame
}

fn instruments() -> Instruments {
    let mut instruments = Instruments::new();
    let base = instruments.intern_asset(Symbol::new("BTC").expect("a symbol")).expect("room");
    let quote = instruments.intern_asset(Symbol::new("USDT").expect("a symbol")).expect("room");
    let instrument = Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: Symbol::new("BTCUSDT").expect("a symbol"),
        base,
        quote,
        price_precision: 2,
        quantity_precision: 5,
        tick: Price(1),
        lot: Quantity(1),
        quantity_min: Quantity(1),
        quantity_max: Quantity(900_000_000),
        market_quantity_max: Quantity(10_000_000),
        price_min: Price(1),
        price_max: Price(100_000_000),
        notional_min: Money(5_000_000_000_000_000_000),
        notional_max: Money(9_000_000_000_000_000_000_000_000),
        status: InstrumentStatus::Trading,
    };
    instruments.add(instrument).expect("an instrument");
    instruments
}

/// What the venue says until the session is ready, one piece after the other: it knows us, reports will come, and nothing
/// is open. The balances move meanwhile, so that nobody compares them with ours.
pub fn greetings() -> Vec<Vec<u8>> {
    let answer = |id: &str, result: &str| {
        framed(&format!("{{\"id\":\"{id}\",\"status\":200,\"result\":{result},\"rateLimits\":[]}}"))
    };
    vec![
        answer("l0000000000000000", "{}"),
        answer("s0000000000000000", "{\"subscriptionId\":0}"),
        answer("a0000000000000002", "{\"balances\":[]}"),
        answer("o0000000000000003", "[]"),
        answer("f0000000000000004", "[]"),
        answer("a0000000000000005", "{\"balances\":[{\"asset\":\"BTC\",\"free\":\"1\",\"locked\":\"0\"}]}"),
    ]
}

/// A machine of one venue, one instrument, one shard and these strategies, with limits that they never reach.
pub fn config(clock: &Clock, own: Vec<Box<dyn AnyStrategy>>) -> MachineConfig {
    let count = own.len();
    let strategies = || (0u16..).map(StrategyId).take(count);
    let instruments = instruments();
    let shared = Arc::new(instruments.clone());
    let symbols: Vec<MarketSymbol> = instruments.iter().map(MarketSymbol::from).collect();
    // Nothing checks the signature of the log on here.
    let pem = gannet::exchange::DEMO_ED25519_PRIVATE_KEY;
    let keys = Credentials::ed25519("demo".to_owned().into(), &pem.to_owned().into()).expect("a key");
    let rate = RateLimit { per_second: 1_000_000_000, burst: 1_000_000_000, cancel_reserve: 1 };
    let instrument = InstrumentId(0);
    let instances = strategies().zip(own).map(|(id, strategy)| Instance {
        id,
        name: "measured".to_owned(),
        strategy,
        instruments: vec![instrument],
        bar_interval_ms: Some(1_000),
        capital: Money::ZERO,
        is_quarantined: false,
    });
    MachineConfig {
        venues: vec![(
            FeedConfig {
                name: "feed",
                codec: MarketCodec::new(Market::Spot, &symbols),
                depth_rule: DepthRule::Contiguous,
                instruments: vec![instrument],
                instrument_count: 1,
                subscription: b"{}".to_vec(),
                seed: 1,
            },
            GatewayConfig {
                name: "gateway",
                venue: VenueId(0),
                encoder: OrderEncoder::new(Arc::new(keys), SessionKind::LoggedOn),
                codec: UserCodec::new(Arc::clone(&shared), VenueId(0)),
                instruments: shared,
                wire_capacity: 1_024,
                request_timeout_ns: 60_000_000_000,
                clock_offset_ns: 0,
                budget: Arc::default(),
                // Nobody answers a second round here.
                reconcile_interval_ns: 1 << 62,
                last_known: Vec::new(),
                open_orders: Vec::new(),
                seed: 2,
            },
        )],
        shards: vec![(
            ShardConfig { name: "shard-0", epoch: EPOCH, handler_budget_ns: 1_000_000_000, clock: clock.clone() },
            instances.collect(),
        )],
        risk: RiskConfig {
            instruments: instruments.clone(),
            permissions: strategies().map(|strategy| Permission::all(strategy, instrument)).collect(),
            limits: LimitsTable {
                permissions: vec![
                    Limits {
                        max_order_quantity: Quantity(1_000),
                        max_order_notional: Money(1_000_000_000_000_000_000_000),
                        max_position: Quantity(1_000_000),
                        ..wide::LIMITS
                    };
                    count
                ],
                instruments: vec![InstrumentLimits {
                    max_position: Quantity(1_000_000),
                    max_data_age_ns: 10_000_000_000,
                    collar_bps: 100,
                    passive_collar_bps: 100,
                    max_slippage_bps: 100,
                    max_depth_share_bps: 10_000,
                    ..wide::INSTRUMENT
                }],
                strategies: vec![StrategyLimits { rate, ..wide::STRATEGY }; count],
                accounts: vec![AccountLimits { rate, ..wide::ACCOUNT }],
                version: 1,
            },
            shard_of_strategy: vec![0; count],
            trading_state: TradingState::Active,
            order_capacity: 4_096,
            execution_capacity: 4_096,
            position_interval_ns: RiskConfig::POSITION_INTERVAL_NS,
            currency: Some(AssetId(1)),
            rate_sources: Vec::new(),
            day_volumes: vec![Quantity(i64::MAX)],
            epoch: EPOCH,
            latches: Vec::new(),
            identity: None,
        },
        balances: (0..2).map(|asset| (VenueId(0), AssetId(asset), Money(i128::MAX / 4))).collect(),
        facts: None,
        instruments,
    }
}

/// Ends the history, and delivers a book.
pub fn start(inputs: &mut Sender<FeedMessage>) {
    let mut input = |input| {
        let message = FeedMessage { instrument: InstrumentId(0), input };
        inputs.try_send(message).unwrap_or_else(|_| panic!("room"));
    };
    input(FeedInput::HistoryEnd);
    input(FeedInput::SnapshotBegin { update_id: 1 });
    for level in 0..20 {
        let quantity = Quantity(1_000_000);
        input(FeedInput::SnapshotLevel { side: Side::Buy, price: Price(6_183_600 - level), quantity });
        input(FeedInput::SnapshotLevel { side: Side::Sell, price: Price(6_184_000 + level), quantity });
    }
    input(FeedInput::SnapshotEnd);
}

impl Rig {
    /// A machine with `count` quotes and reports in memory.
    pub fn new(count: u64) -> Self {
        let clock = Clock::wall();
        let config = config(&clock, vec![Box::new(Averager { mids: [0; 64], next: 0, sum: 0 })]);
        let heartbeats = Heartbeats::default();
        let pulse = heartbeats.pulse(0);
        let machine = pipeline::build(config, &clock, KillSwitch::new(), heartbeats);
        let machine = machine.unwrap_or_else(|errors| panic!("{errors:?}"));
        let Machine { stages, cold, counters, .. } = machine;
        Self::connect(stages, cold, counters, (clock, pulse), count)
    }

    /// The same, with everything written down as in production: orders in the order page, entries in a log on the disk.
    pub fn journaled(count: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let page = OrderPage::create(&folder.path().join("orders")).expect("a page");
        let clock = Clock::wall();
        let config = config(&clock, vec![Box::new(Averager { mids: [0; 64], next: 0, sum: 0 })]);
        let heartbeats = Heartbeats::default();
        let pulse = heartbeats.pulse(0);
        let machine = pipeline::build(config, &clock, KillSwitch::new(), heartbeats);
        let (machine, taps) = machine.unwrap_or_else(|errors| panic!("{errors:?}")).with_journal(page, true);
        let disk = Arc::new(FolderDisk::create(folder.path().join("journal")).expect("a disk"));
        let recovered = recover(disk.as_ref(), disk.lock().expect("free"), &ScanOptions::default(), &mut |_, _| {});
        let identity = Identity { engine_id: [1; 16], epoch: 1, ..Identity::default() };
        let sizes = LogConfig { ballast_bytes: 0, ..LogConfig::default() };
        let log = Log::open(disk, sizes, identity, recovered.expect("empty")).expect("a log");
        let recorder = Recorder::start(log, taps, |error| panic!("{error}")).expect("a thread");
        let Machine { stages, cold, counters, .. } = machine;
        let mut rig = Self::connect(stages, cold, counters, (clock, pulse), count);
        rig.kept = Some((recorder, folder));
        rig
    }

    /// Connects, logs on, delivers a book, and starts the strategy.
    fn connect(stages: Vec<HotStage>, cold: ColdEnds, counters: Counters, time: (Clock, Pulse), count: u64) -> Self {
        let quote_bytes = framed(&quote_frame(0)).len();
        let quotes: Vec<u8> = (0..count).flat_map(|index| framed(&quote_frame(index))).collect();
        assert_eq!(quotes.len(), quote_bytes * usize::try_from(count).expect("fits"));
        let greetings = greetings();
        let report_bytes = framed(&report_frame(1)).len();
        let mut reports: Vec<u8> = greetings.concat();
        reports.extend((1..=count).flat_map(|sequence| framed(&report_frame(sequence))));
        let (quote_stream, quotes) = MemoryStream::new(quotes);
        let (report_stream, reports) = MemoryStream::new(reports);
        let (clock, pulse) = time;
        let mut rig = Self {
            stages,
            cold,
            counters,
            quotes,
            reports,
            report_bytes,
            quote_bytes,
            clock,
            pulse,
            answered: 0,
            kept: None,
        };
        let connection = |stream: MemoryStream, seed: u32, clock: &Clock| {
            Arrival::Connected(Box::new(Connection::new(Box::new(stream), FrameReader::new(), seed, clock.now())))
        };
        let venue = &mut rig.cold.venues[0];
        venue.feed_arrivals.try_send(connection(quote_stream, 3, &rig.clock)).unwrap_or_else(|_| panic!("room"));
        venue.gateway_arrivals.try_send(connection(report_stream, 5, &rig.clock)).unwrap_or_else(|_| panic!("room"));
        start(&mut venue.inputs);
        rig.poll(100);
        for greeting in &greetings {
            rig.reports.release(greeting.len());
            rig.poll(100);
        }
        rig
    }

    /// Waits until the log has taken everything: flat out is more than any disk takes. At once without a journal.
    pub fn catch_up(&self) {
        let waits = |stage: &HotStage| match stage {
            HotStage::Risk(risk) => risk.journal_backlog() > 0,
            HotStage::Gateway(gateway) => gateway.journal_backlog() > 0,
            _ => false,
        };
        while self.stages.iter().any(waits) {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
    }

    /// Polls every stage `cycles` times.
    pub fn poll(&mut self, cycles: usize) {
        for _ in 0..cycles {
            self.cycle();
        }
    }

    /// Polls every stage once, as the loop of a hot thread does.
    #[inline]
    pub fn cycle(&mut self) {
        let mut now = self.clock.now();
        assert!(!self.pulse.beat(now), "nobody raises an alarm");
        for stage in &mut self.stages {
            if stage.poll(now) > 0 {
                now = self.clock.now();
            }
        }
    }

    /// Lets the venue's report of every order sent so far through, and answers how many those are. Orders are counted by
    /// the gateway itself, as the lane of samples may drop some.
    pub fn answer(&mut self) -> u64 {
        let sent = self.counters.gateways[0].orders_sent.get();
        let due = usize::try_from(sent - self.answered).expect("fits") * self.report_bytes;
        if due > 0 {
            self.reports.warm(due);
            self.reports.release(due);
            self.answered = sent;
        }
        sent
    }

    /// Why nothing was sent, for a harness that expected an order.
    pub fn diagnosis(&mut self) -> String {
        let mut lines = Vec::new();
        for lane in &mut self.cold.notices {
            lane.drain(u64::MAX, |notice| lines.push(format!("{notice:?}")));
        }
        lines.truncate(10);
        format!("{:?}\n{:?}\n{}", self.counters.risk, self.counters.gateways, lines.join("\n"))
    }
}
