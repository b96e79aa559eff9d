//! What risk costs: all controls on one order, an order through the stage, a fill through the stage.
//!
//! The stage's figures contain its lanes, both ways, and the poll of all the others; `idle` is a poll without work.

#![allow(
    missing_docs,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a bench fails by panicking, and times with the system's clock"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use crossbeam::channel;
use gannet::metrics::{RiskCounters, Shared};
use gannet::pipeline::lane::{Receiver, Sender, lane};
use gannet::pipeline::stage::Stage;
use gannet::portfolio::Rates;
use gannet::risk::controls::{Facts, Rate, Terms, evaluate};
use gannet::risk::{
    AccountBreakers, AccountLimits, Approved, Budget, Drift, Exposure, Finances, InstrumentLimits, KillSwitch, Kills,
    Limits, LimitsTable, OpenOrders, OrderToTrade, Override, ParentFacts, Permission, QuoteWorth, RateLimit, Recent,
    Risk, RiskConfig, RiskLanes, StrategyBreakers, StrategyLimits, Worth, approved_lane, wide,
};
use gannet::types::*;
use std::hint::black_box;
use std::time::{Duration, Instant};

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);
const RATE: RateLimit = RateLimit { per_second: 4_000_000_000, burst: 4_000_000_000, cancel_reserve: 10 };
const LIMITS: Limits = Limits {
    max_order_quantity: Quantity(1_000),
    max_order_notional: Money(i128::MAX),
    max_position: Quantity(1 << 50),
    ..wide::LIMITS
};
const INSTRUMENT_LIMITS: InstrumentLimits = InstrumentLimits {
    max_position: Quantity(1 << 50),
    max_data_age_ns: 1_000_000,
    collar_bps: 100,
    passive_collar_bps: 500,
    max_slippage_bps: 50,
    max_depth_share_bps: 5_000,
    max_drift_bps: 500,
    drift_window_ns: 10_000_000_000,
    rate: RATE,
    ..wide::INSTRUMENT
};

/// As the configuration sets them, but for what so many orders at one instant would reach.
const STRATEGY_LIMITS: StrategyLimits =
    StrategyLimits { duplicate_window_ns: 500_000_000, ratio_window_ns: 600_000_000_000, rate: RATE, ..wide::STRATEGY };
const ACCOUNT_LIMITS: AccountLimits = AccountLimits { rate: RATE, ..wide::ACCOUNT };

struct Machine {
    risk: Risk,
    orders: Sender<OrderIntent>,
    reports: Sender<GatewayMessage>,
    gateway_orders: Receiver<Approved>,
    updates: Receiver<OrderUpdate>,
    // Kept, so that the lanes have both of their ends.
    _others: (Sender<RiskCommand>, Sender<CancelIntent>, Sender<Mark>, Receiver<CancelIntent>),
    _displays: (Receiver<PositionReport>, Receiver<Notice>, Receiver<Latch>),
    _limits: (channel::Sender<Box<LimitsTable>>, channel::Receiver<Box<LimitsTable>>),
    _overrides: channel::Sender<Override>,
    sequence: u64,
}

fn instruments() -> Instruments {
    let mut instruments = Instruments::new();
    let base = instruments.intern_asset(Symbol::new("BTC").unwrap()).unwrap();
    let quote = instruments.intern_asset(Symbol::new("USDT").unwrap()).unwrap();
    let instrument = Instrument {
        id: InstrumentId::NONE,
        venue: VenueId(0),
        symbol: Symbol::new("BTCUSDT").unwrap(),
        base,
        quote,
        price_precision: 2,
        quantity_precision: 5,
        tick: Price(1),
        lot: Quantity(1),
        quantity_min: Quantity(1),
        quantity_max: Quantity(900_000_000),
        market_quantity_max: Quantity::ZERO,
        price_min: Price(1),
        price_max: Price(100_000_000),
        notional_min: Money::from_scaled(5, 0).unwrap(),
        notional_max: Money::ZERO,
        status: InstrumentStatus::Trading,
    };
    instruments.add(instrument).unwrap();
    instruments
}

impl Machine {
    fn new() -> Self {
        let config = RiskConfig {
            instruments: instruments(),
            permissions: vec![Permission::all(StrategyId(0), InstrumentId(0))],
            limits: LimitsTable {
                permissions: vec![LIMITS],
                instruments: vec![INSTRUMENT_LIMITS],
                strategies: vec![STRATEGY_LIMITS],
                accounts: vec![ACCOUNT_LIMITS],
                version: 1,
            },
            shard_of_strategy: vec![0],
            trading_state: TradingState::Active,
            order_capacity: RiskConfig::ORDER_CAPACITY,
            execution_capacity: RiskConfig::EXECUTION_CAPACITY,
            position_interval_ns: RiskConfig::POSITION_INTERVAL_NS,
            currency: Some(AssetId(1)),
            rate_sources: Vec::new(),
            day_volumes: vec![Quantity(i64::MAX)],
            epoch: 1,
            latches: Vec::new(),
            identity: None,
        };
        let (commands, commands_in) = lane(16);
        let (reports, reports_in) = lane(1_024);
        let (cancels, cancels_in) = lane(1_024);
        let (orders, orders_in) = lane(1_024);
        let (marks, marks_in) = lane(1_024);
        let (orders_out, gateway_orders) = approved_lane(1_024);
        let (cancels_out, gateway_cancels) = lane(1_024);
        let (updates_out, updates) = lane(1_024);
        let (positions_out, positions) = lane(1_024);
        let (notices_out, notices) = lane(1_024);
        let (latches_out, latches) = lane(1_024);
        let (limits, limits_in) = channel::bounded(4);
        let (retire_limits, retired_limits) = channel::bounded(8);
        let (overrides, overrides_in) = channel::bounded(32);
        let lanes = RiskLanes {
            commands: commands_in,
            reports: vec![reports_in],
            cancels: vec![cancels_in],
            orders: vec![orders_in],
            marks: vec![marks_in],
            gateway_orders: vec![orders_out],
            gateway_cancels: vec![cancels_out],
            updates: vec![updates_out],
            positions: positions_out,
            latches: latches_out,
            notices: notices_out,
            limits: limits_in,
            retired_limits: retire_limits,
            overrides: overrides_in,
        };
        let mut risk = Risk::new(&config, lanes, KillSwitch::new(), Shared::<RiskCounters>::default()).expect("valid");
        for asset in [AssetId(0), AssetId(1)] {
            risk.start_balance(VenueId(0), asset, Money(i128::MAX / 4));
        }
        let mut machine = Self {
            risk,
            orders,
            reports,
            gateway_orders,
            updates,
            _others: (commands, cancels, marks, gateway_cancels),
            _displays: (positions, notices, latches),
            _limits: (limits, retired_limits),
            _overrides: overrides,
            sequence: 0,
        };
        let ready = GatewayMessage::Session { venue: VenueId(0), state: SessionState::Ready, received_ns: NOW };
        let round = |round| GatewayMessage::Round { venue: VenueId(0), round, received_ns: NOW };
        for message in [round(Round::Begun), round(Round::Ended { is_conclusive: false }), ready] {
            machine.reports.try_send(message).unwrap();
        }
        machine.risk.poll(NOW);
        machine
    }

    fn intent(&mut self) -> OrderIntent {
        self.sequence += 1;
        let id = ClientOrderId::new(1, StrategyId(0), self.sequence).unwrap();
        intent(id, if self.sequence.is_multiple_of(2) { Side::Buy } else { Side::Sell })
    }

    fn report(&mut self, id: ClientOrderId, kind: ReportKind) {
        let report = ExecutionReport { client_order_id: id, kind, venue_order_id: id.0, ..ExecutionReport::default() };
        let fill = ExecutionReport {
            execution_id: id.0,
            last_price: Price(6_000_000),
            last_quantity: Quantity(10),
            cumulative_quantity: Quantity(10),
            fee: 600,
            fee_asset: AssetId(1),
            ..report
        };
        let report = if kind == ReportKind::Fill { fill } else { report };
        self.reports.try_send(GatewayMessage::Report(report)).unwrap();
    }
}

fn intent(client_order_id: ClientOrderId, side: Side) -> OrderIntent {
    OrderIntent {
        order: Order { client_order_id, price: Price(6_000_000), quantity: Quantity(10), side, ..Order::default() },
        stamp: MarketStamp {
            bid: Price(5_999_999),
            ask: Price(6_000_001),
            data_ns: NOW,
            near_depth: Quantity(100_000),
            is_synced: true,
        },
        received_ns: NOW,
        decided_ns: NOW,
    }
}

/// What a check costs that looks at nothing: the call, and its answer.
#[inline(never)]
fn empty(facts: &Facts<'_>) -> Result<(), Denial> {
    black_box(facts);
    Ok(())
}

fn risk(criterion: &mut Criterion) {
    let instruments = instruments();
    let permission = Permission::all(StrategyId(0), InstrumentId(0));
    let intent = intent(ClientOrderId::new(1, StrategyId(0), 5).unwrap(), Side::Buy);
    // A busy strategy: 20 orders in the last half second, none of them the same, and orders over the whole of a window.
    let (mut recent, mut drift, mut order_to_trade) = (Recent::NONE, Drift::NONE, OrderToTrade::NONE);
    for step in 0..20 {
        let order = Order { quantity: Quantity(100 + step), ..intent.order };
        let at = Timestamp::from_nanos(NOW.nanos() - 400_000_000 + 20_000_000 * step.cast_unsigned());
        recent.remember(&order, at);
        drift.approved(&intent.stamp, at, INSTRUMENT_LIMITS.drift_window_ns);
        order_to_trade.on_message(at, STRATEGY_LIMITS.ratio_window_ns);
    }
    let rates = Rates::new(Some(AssetId(1)), 2);
    let breakers = AccountBreakers::NONE;
    let facts = Facts {
        intent: &intent,
        terms: Terms::of(&intent, instruments.get(InstrumentId(0)), INSTRUMENT_LIMITS.max_slippage_bps),
        now: NOW,
        kills: &Kills::NONE,
        trading_state: TradingState::Active,
        instrument_state: TradingState::Active,
        session: Some(SessionState::Ready),
        permission: Some(&permission),
        instrument: instruments.get(InstrumentId(0)),
        last_id: ClientOrderId::NONE,
        limits: &LIMITS,
        instrument_limits: &INSTRUMENT_LIMITS,
        strategy_limits: &STRATEGY_LIMITS,
        account_limits: &ACCOUNT_LIMITS,
        day_volume: Quantity(i64::MAX),
        replaced: None,
        parent: ParentFacts::None,
        opposing: None,
        exposure: &Exposure::NONE,
        instrument_exposure: &Exposure::NONE,
        finances: Finances {
            rates: &rates,
            free: Money(i128::MAX / 4),
            account: &[QuoteWorth { asset: AssetId(1), gross: Money::ZERO, long: Money::ZERO, short: Money::ZERO }],
            unit: Worth::unit(Price(6_000_000), instruments.get(InstrumentId(0)).unwrap()),
            ..Finances::NONE
        },
        strategy_rate: Rate { limit: &RATE, left: 100 },
        recent: &recent,
        drift: &drift,
        open_orders: OpenOrders::default(),
        instrument_rate: Rate { limit: &RATE, left: 100 },
        venue_rate: Rate { limit: &RATE, left: 100 },
        strategy_breakers: &StrategyBreakers::NONE,
        account_breakers: &breakers,
        is_reconciled: true,
        journal: JournalHealth::Ample,
        is_shard_silent: false,
        budget: &Budget { used_weight: 100, weight_limit: 6_000, used_orders: 10, order_limit: 100, received_ns: NOW },
        repeats: 1,
        is_repeat_tripped: false,
        order_to_trade: &order_to_trade,
        identity: None,
    };
    evaluate(&facts).expect("a good order");
    criterion.bench_function("risk/controls: an empty check", |bench| bench.iter(|| empty(black_box(&facts))));
    criterion.bench_function("risk/controls: one good order", |bench| bench.iter(|| evaluate(black_box(&facts))));

    let mut machine = Machine::new();
    criterion.bench_function("risk/stage: idle", |bench| bench.iter(|| machine.risk.poll(NOW)));
    criterion.bench_function("risk/stage: one order approved", |bench| {
        bench.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                let intent = machine.intent();
                machine.orders.try_send(intent).unwrap();
                let start = Instant::now();
                machine.risk.poll(NOW);
                let approved = machine.gateway_orders.next();
                spent += start.elapsed();
                assert!(approved.is_some());
                machine.report(intent.order.client_order_id, ReportKind::Rejected);
                machine.risk.poll(NOW);
                machine.updates.drain(u64::MAX, |_| {});
            }
            spent
        });
    });
    criterion.bench_function("risk/stage: one fill booked", |bench| {
        bench.iter_custom(|count| {
            let mut spent = Duration::ZERO;
            for _ in 0..count {
                let intent = machine.intent();
                machine.orders.try_send(intent).unwrap();
                machine.risk.poll(NOW);
                machine.gateway_orders.next();
                machine.report(intent.order.client_order_id, ReportKind::Fill);
                let start = Instant::now();
                machine.risk.poll(NOW);
                let update = machine.updates.next();
                spent += start.elapsed();
                assert_eq!(update.map(|update| update.status), Some(OrderStatus::Filled));
            }
            spent
        });
    });
    criterion.bench_function("risk/the clock's own cost", |bench| {
        bench.iter_custom(|count| (0..count).map(|_| Instant::now().elapsed()).sum());
    });
}

criterion_group!(benches, risk);
criterion_main!(benches);
