//! Fifty strategies trade four instruments of one account until there were so many fills, and at every one of them all
//! books add up: what the strategies hold of each asset together is what the venue holds, to the last unit.
//!
//! The real risk stage stands between random strategies and a venue of its own ([`gannet::matching`]), whose ledger is the
//! truth. Fees are paid in the quote asset, in the base asset and in a third one. Somebody else trades on the same account
//! meanwhile: those orders and fills belong to no strategy, and count all the same. 100,000 fills, or a million with
//! `GANNET_LONG=yes`.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::disallowed_macros,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use crossbeam::channel;
use gannet::matching::{
    self, AccountId, Ended, Fees, Ledger, Market, NewOrder, OrderId, Refusal, Report, SelfTrade, Size,
};
use gannet::metrics::{RiskCounters, Shared};
use gannet::pipeline::lane::{Receiver, Sender, lane};
use gannet::pipeline::stage::Stage;
use gannet::risk::{
    AccountLimits, Approved, InstrumentLimits, KillSwitch, Limits, LimitsTable, Override, Permission, RateSource, Risk,
    RiskConfig, RiskLanes, StrategyLimits, approved_lane, wide,
};
use gannet::types::*;
use std::collections::{BTreeMap, VecDeque};

const STRATEGIES: u16 = 50;
const OURS: AccountId = AccountId(0);
const OTHERS: AccountId = AccountId(1);
const VENUE: VenueId = VenueId(0);
const UNIT: i64 = matching::UNIT;

const BTC: AssetId = AssetId(0);
const USDT: AssetId = AssetId(1);
const ETH: AssetId = AssetId(2);
const BNB: AssetId = AssetId(3);
const ASSETS: [AssetId; 4] = [BTC, USDT, ETH, BNB];

/// Symbol, base, quote, tick, lot, first mid, whether fees are paid in BNB. At eight places, so that amounts are exact.
const INSTRUMENTS: [(&str, AssetId, AssetId, i64, i64, i64, bool); 4] = [
    ("BTCUSDT", BTC, USDT, UNIT / 100, UNIT / 100_000, 60_000 * UNIT, false),
    ("ETHUSDT", ETH, USDT, UNIT / 100, UNIT / 10_000, 3_000 * UNIT, true),
    ("ETHBTC", ETH, BTC, UNIT / 100_000, UNIT / 1_000, UNIT / 20, false),
    ("BNBUSDT", BNB, USDT, UNIT / 10, UNIT / 1_000, 500 * UNIT, true),
];

/// What the account begins with: so little that buying power runs out now and then.
const START: [i64; 4] = [UNIT / 2, 30_000 * UNIT, 10 * UNIT, 50_000 * UNIT];

/// Numbers of orders that are not ours begin here.
const BY_HAND: u64 = 1 << 62;

/// xorshift64*: the same run for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn side(&mut self) -> Side {
        if self.one_in(2) { Side::Buy } else { Side::Sell }
    }
}

fn instruments() -> Instruments {
    let mut instruments = Instruments::new();
    for name in ["BTC", "USDT", "ETH", "BNB"] {
        instruments.intern_asset(Symbol::new(name).expect("a symbol")).expect("room");
    }
    for (symbol, base, quote, tick, lot, ..) in INSTRUMENTS {
        instruments
            .add(Instrument {
                id: InstrumentId::NONE,
                venue: VENUE,
                symbol: Symbol::new(symbol).expect("a symbol"),
                base,
                quote,
                price_precision: matching::PRECISION,
                quantity_precision: matching::PRECISION,
                tick: Price(tick),
                lot: Quantity(lot),
                quantity_min: Quantity(lot),
                quantity_max: Quantity::ZERO,
                market_quantity_max: Quantity::ZERO,
                price_min: Price::ZERO,
                price_max: Price::ZERO,
                notional_min: Money::ZERO,
                notional_max: Money::ZERO,
                status: InstrumentStatus::Trading,
            })
            .expect("sensible");
    }
    instruments
}

fn config() -> RiskConfig {
    let permissions: Vec<Permission> = (0..STRATEGIES)
        .flat_map(|strategy| (0..4).map(move |id| Permission::all(StrategyId(strategy), InstrumentId(id))))
        .collect();
    let instrument = InstrumentLimits { passive_collar_bps: 10_000, max_slippage_bps: 500, ..wide::INSTRUMENT };
    RiskConfig {
        limits: LimitsTable {
            version: 1,
            permissions: vec![Limits { ..wide::LIMITS }; permissions.len()],
            instruments: vec![instrument; INSTRUMENTS.len()],
            strategies: vec![StrategyLimits { ..wide::STRATEGY }; usize::from(STRATEGIES)],
            accounts: vec![AccountLimits { ..wide::ACCOUNT }],
        },
        instruments: instruments(),
        permissions,
        shard_of_strategy: vec![0; usize::from(STRATEGIES)],
        trading_state: TradingState::Active,
        order_capacity: 8_192,
        execution_capacity: 8_192,
        position_interval_ns: RiskConfig::POSITION_INTERVAL_NS,
        currency: Some(USDT),
        rate_sources: [(BTC, 0), (ETH, 1), (BNB, 3)]
            .map(|(asset, id)| RateSource { asset, instrument: InstrumentId(id) })
            .to_vec(),
        day_volumes: vec![Quantity(i64::MAX); 4],
        epoch: 1,
        latches: Vec::new(),
        identity: None,
    }
}

/// The risk stage with the other ends of its lanes.
struct Engine {
    risk: Risk,
    now: Timestamp,
    orders: Sender<OrderIntent>,
    cancels: Sender<CancelIntent>,
    marks: Sender<Mark>,
    reports: Sender<GatewayMessage>,
    approved: Receiver<Approved>,
    canceled: Receiver<CancelIntent>,
    updates: Receiver<OrderUpdate>,
    displays: (Receiver<PositionReport>, Receiver<Notice>, Receiver<Latch>),
    _cold: (Sender<RiskCommand>, channel::Sender<Box<LimitsTable>>, channel::Receiver<Box<LimitsTable>>),
    _overrides: channel::Sender<Override>,
}

impl Engine {
    fn new() -> Self {
        let (commands, commands_in) = lane(16);
        let (reports, reports_in) = lane(1_024);
        let (cancels, cancels_in) = lane(1_024);
        let (orders, orders_in) = lane(1_024);
        let (marks, marks_in) = lane(1_024);
        let (orders_out, approved) = approved_lane(1_024);
        let (cancels_out, canceled) = lane(1_024);
        let (updates_out, updates) = lane(1_024);
        let (positions_out, positions) = lane(1_024);
        let (notices_out, notices) = lane(1_024);
        let (latches_out, latches) = lane(1_024);
        let (limits, limits_in) = channel::bounded(4);
        let (retire_limits, retired_limits) = channel::bounded(8);
        let (overrides, overrides_in) = channel::bounded(4);
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
        let mut risk = Risk::new(&config(), lanes, KillSwitch::new(), Shared::<RiskCounters>::default())
            .expect("a good configuration");
        for (asset, amount) in ASSETS.into_iter().zip(START) {
            risk.start_balance(VENUE, asset, Money::from_scaled(amount, matching::PRECISION).expect("fits"));
        }
        let mut engine = Self {
            risk,
            now: Timestamp::from_millis(1_000),
            orders,
            cancels,
            marks,
            reports,
            approved,
            canceled,
            updates,
            displays: (positions, notices, latches),
            _cold: (commands, limits, retired_limits),
            _overrides: overrides,
        };
        let ready = GatewayMessage::Session { venue: VENUE, state: SessionState::Ready, received_ns: engine.now };
        let round = |round| GatewayMessage::Round { venue: VENUE, round, received_ns: engine.now };
        for message in [round(Round::Begun), round(Round::Ended { is_conclusive: false }), ready] {
            engine.reports.try_send(message).expect("room");
        }
        engine.poll();
        engine
    }

    fn poll(&mut self) {
        self.risk.poll(self.now);
        self.updates.drain(u64::MAX, |_| {});
        self.displays.0.drain(u64::MAX, |_| {});
        self.displays.1.drain(u64::MAX, |_| {});
        self.displays.2.drain(u64::MAX, |_| {});
    }
}

/// What the counts of a run are.
#[derive(Debug, Default)]
struct Counts {
    orders: u64,
    replaced: u64,
    fills: u64,
    duplicates: u64,
    own_trades: u64,
    external: u64,
    fees_in_quote: u64,
    fees_in_base: u64,
    fees_in_third: u64,
}

/// The venue, the strategies, and what is on its way between them.
struct World {
    engine: Engine,
    random: Random,
    markets: Vec<Market>,
    mids: [i64; 4],
    ledger: Ledger,
    update_id: u64,
    sequence: u64,
    executions: [u64; 4],
    /// Our orders at the venue: whose, and how much of each is filled.
    open: BTreeMap<OrderId, (Order, i64)>,
    /// Reports that risk did not get yet, each with what it changes of the balances.
    on_its_way: VecDeque<(ExecutionReport, [i128; 4])>,
    /// The sum of those changes.
    undelivered: [i128; 4],
    /// Net quantity and quote cash before fees, by instrument, of what was delivered.
    delivered: [(i128, i128); 4],
    counts: Counts,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut ledger = Ledger::new(2, ASSETS.len());
        for (asset, amount) in ASSETS.into_iter().zip(START) {
            assert!(ledger.deposit(OURS, asset, amount) && ledger.deposit(OTHERS, asset, 1_000_000_000 * UNIT));
        }
        let market = |(_, base, quote, _, lot, _, in_bnb): (&str, AssetId, AssetId, i64, i64, i64, bool)| {
            let fees = if in_bnb { Fees::default() } else { Fees { maker_ppm: 100, taker_ppm: 750 } };
            Market::new(base, quote, Quantity(lot), fees)
        };
        let mut world = Self {
            engine: Engine::new(),
            random: Random(seed),
            markets: INSTRUMENTS.map(market).into(),
            mids: INSTRUMENTS.map(|(.., mid, _)| mid),
            ledger,
            update_id: 0,
            sequence: 0,
            executions: [0; 4],
            open: BTreeMap::new(),
            on_its_way: VecDeque::new(),
            undelivered: [0; 4],
            delivered: [(0, 0); 4],
            counts: Counts::default(),
        };
        for id in 0..4 {
            world.move_market(id);
        }
        world
    }

    /// The market moves by a few ticks: what rests may fill, and risk sees a mark.
    fn move_market(&mut self, id: usize) {
        let (_, _, _, tick, lot, first, _) = INSTRUMENTS[id];
        let step = (self.random.below(9) as i64 - 4) * (first / 20_000 / tick).max(1) * tick;
        self.mids[id] = (self.mids[id] + step).clamp(first * 9 / 10, first * 11 / 10);
        let spread = (1 + self.random.below(3) as i64) * tick;
        let (bid, ask) = (Price(self.mids[id] / tick * tick - spread), Price(self.mids[id] / tick * tick + spread));
        let quantity = Quantity(lot * (1 + self.random.below(2_000) as i64));
        self.update_id += 1;
        let mut reports = Vec::new();
        let market = &mut self.markets[id];
        market.quote(&mut self.ledger, self.update_id, (bid, quantity), (ask, quantity), &mut reports);
        self.take(id, None, &reports);
        let (received_ns, instrument) = (self.engine.now, InstrumentId(id as u32));
        let quote = Quote { bid, ask, bid_quantity: quantity, ask_quantity: quantity, received_ns, ..Quote::default() };
        self.engine.marks.try_send(Mark { instrument, quote }).expect("room");
    }

    /// A strategy wants something.
    fn decide(&mut self) {
        let random = &mut self.random;
        let (strategy, id) = (StrategyId(random.below(u64::from(STRATEGIES)) as u16), random.below(4) as usize);
        let (_, _, _, tick, lot, ..) = INSTRUMENTS[id];
        let (side, kind) = (random.side(), random.below(8));
        let mid = self.mids[id] / tick * tick;
        let away = tick * (random.below(12) as i64 - 4);
        let (order_type, price, time_in_force) = match kind {
            0 => (OrderType::Market, 0, TimeInForce::GoodTillCanceled),
            1 => (OrderType::Limit, mid + side.sign() * 3 * tick, TimeInForce::FillOrKill),
            2..=3 => (OrderType::Limit, mid + side.sign() * 2 * tick, TimeInForce::ImmediateOrCancel),
            _ => (OrderType::Limit, mid - side.sign() * away, TimeInForce::GoodTillCanceled),
        };
        let order = Order {
            price: Price(price),
            quantity: Quantity(lot * (1 + random.below(600) as i64)),
            instrument: InstrumentId(id as u32),
            strategy,
            side,
            order_type,
            time_in_force,
            ..Order::default()
        };
        self.intend(order, mid, tick);
    }

    /// A strategy wants another price or quantity for an order that works.
    fn amend(&mut self) {
        let Some((old, _)) = self.any_open() else { return };
        let (_, _, _, tick, lot, ..) = INSTRUMENTS[old.instrument.index()];
        let mid = self.mids[old.instrument.index()] / tick * tick;
        let away = tick * (self.random.below(12) as i64 - 3);
        let quantity = Quantity(lot * (1 + self.random.below(900) as i64));
        let price = Price(mid - old.side.sign() * away);
        self.intend(Order { price, quantity, replaces: old.client_order_id, ..old }, mid, tick);
    }

    /// One of our orders at the venue.
    fn any_open(&mut self) -> Option<(Order, i64)> {
        let ours = self.open.range(..OrderId(BY_HAND));
        let nth = self.random.below(ours.clone().count().max(1) as u64) as usize;
        ours.map(|(_, found)| *found).nth(nth)
    }

    fn intend(&mut self, order: Order, mid: i64, tick: i64) {
        self.sequence += 1;
        let client_order_id = ClientOrderId::new(1, order.strategy, self.sequence).expect("in range");
        let order = Order { client_order_id, ..order };
        let now = self.engine.now;
        let stamp = MarketStamp {
            bid: Price(mid - tick),
            ask: Price(mid + tick),
            data_ns: now,
            near_depth: Quantity(i64::MAX),
            is_synced: true,
        };
        let intent = OrderIntent { order, stamp, received_ns: now, decided_ns: now };
        self.engine.orders.try_send(intent).expect("room");
    }

    /// A strategy takes an order back.
    fn take_back(&mut self) {
        let Some((order, _)) = self.any_open() else { return };
        let cancel = CancelIntent {
            client_order_id: order.client_order_id,
            instrument: order.instrument,
            strategy: order.strategy,
            decided_ns: self.engine.now,
        };
        self.engine.cancels.try_send(cancel).expect("room");
    }

    /// Somebody places or cancels an order on our account by hand.
    fn act_by_hand(&mut self) {
        let theirs = self.open.range(OrderId(BY_HAND)..).next().map(|(order, (found, _))| (*order, *found));
        if let Some((order, found)) = theirs.filter(|_| self.random.one_in(2)) {
            self.cancel(&found, order);
            return;
        }
        let random = &mut self.random;
        let id = random.below(4) as usize;
        let (_, _, _, tick, lot, ..) = INSTRUMENTS[id];
        let side = random.side();
        self.sequence += 1;
        let order = Order {
            price: Price(self.mids[id] / tick * tick - side.sign() * tick * (random.below(12) as i64 - 4)),
            quantity: Quantity(lot * (1 + random.below(600) as i64)),
            instrument: InstrumentId(id as u32),
            strategy: StrategyId::NONE,
            side,
            time_in_force: if random.one_in(3) {
                TimeInForce::ImmediateOrCancel
            } else {
                TimeInForce::GoodTillCanceled
            },
            ..Order::default()
        };
        self.place(&order, OrderId(BY_HAND + self.sequence));
    }

    /// The venue does what risk passed on.
    fn trade(&mut self) {
        while let Some(approved) = self.engine.approved.next() {
            let order = approved.order();
            let (new, old) = (OrderId(order.client_order_id.0), OrderId(order.replaces.0));
            if order.replaces == ClientOrderId::NONE {
                self.place(order, new);
                continue;
            }
            let replaced = Order { client_order_id: order.replaces, ..*order };
            let is_filled = self.open.get(&old).is_none_or(|(_, filled)| *filled > 0);
            if (approved.only_if_unfilled() && is_filled) || !self.cancel(&replaced, old) {
                self.say(&replaced, old, ReportKind::CancelRejected, 0);
                self.say(order, new, ReportKind::Rejected, 0);
            } else {
                self.counts.replaced += 1;
                self.place(order, new);
            }
        }
        while let Some(cancel) = self.engine.canceled.next() {
            let (client_order_id, instrument) = (cancel.client_order_id, cancel.instrument);
            let order = Order { client_order_id, instrument, strategy: cancel.strategy, ..Order::default() };
            if !self.cancel(&order, OrderId(client_order_id.0)) {
                self.say(&order, OrderId(client_order_id.0), ReportKind::CancelRejected, 0);
            }
        }
    }

    /// Cancels an order, if it is there.
    fn cancel(&mut self, order: &Order, id: OrderId) -> bool {
        let is_there = self.markets[order.instrument.index()].cancel(&mut self.ledger, id).is_some();
        if is_there && let Some((order, filled)) = self.open.remove(&id) {
            self.say(&order, id, ReportKind::Canceled, filled);
        }
        is_there
    }

    fn place(&mut self, order: &Order, id: OrderId) {
        let new = NewOrder {
            id,
            account: OURS,
            side: order.side,
            order_type: order.order_type,
            time_in_force: order.time_in_force,
            price: order.price,
            size: Size::Base(order.quantity),
            is_post_only: order.is_post_only,
            // So that nobody but risk keeps our orders from each other.
            self_trade: SelfTrade::Allowed,
            trigger: None,
        };
        let is_ours = order.strategy != StrategyId::NONE;
        self.counts.orders += u64::from(is_ours);
        let mut reports = Vec::new();
        match self.markets[order.instrument.index()].place(&mut self.ledger, &new, &mut reports) {
            Ok(_) => {
                self.open.insert(id, (*order, 0));
                self.say(order, id, ReportKind::Accepted, 0);
                self.take(order.instrument.index(), is_ours.then_some(id), &reports);
            }
            // Buying power is risk's to know: the venue never has to say so. By hand anything may be tried.
            Err(refusal) if is_ours => {
                assert_ne!(refusal, Refusal::InsufficientBalance, "{order:?}");
                self.say(order, id, ReportKind::Rejected, 0);
            }
            Err(_) => {}
        }
    }

    fn say(&mut self, order: &Order, id: OrderId, kind: ReportKind, filled: i64) {
        let report = ExecutionReport { kind, cumulative_quantity: Quantity(filled), ..Self::report(order, id) };
        self.on_its_way.push_back((report, [0; 4]));
    }

    /// A report about an order, as the venue words it: of one by hand the client's id is not of our form.
    fn report(order: &Order, id: OrderId) -> ExecutionReport {
        ExecutionReport {
            client_order_id: order.client_order_id,
            venue_order_id: id.0,
            order_quantity: order.quantity,
            order_price: order.price,
            instrument: order.instrument,
            side: order.side,
            ..ExecutionReport::default()
        }
    }

    /// Puts what the venue did into reports.
    fn take(&mut self, id: usize, taker: Option<OrderId>, reports: &[Report]) {
        for report in reports {
            match report {
                Report::Fill(fill) => self.fill(id, taker, fill),
                Report::Ended { order, why } => {
                    assert_eq!(*why, Ended::Unfilled);
                    if let Some((found, filled)) = self.open.remove(order) {
                        self.say(&found, *order, ReportKind::Expired, filled);
                    }
                }
                Report::Triggered(_) => {}
            }
        }
    }

    fn fill(&mut self, id: usize, taker: Option<OrderId>, fill: &matching::Fill) {
        let (_, base, quote, .., in_bnb) = INSTRUMENTS[id];
        if taker.is_some_and(|taker| taker != fill.order) {
            self.counts.own_trades += 1;
        }
        let (order, filled) = self.open.get_mut(&fill.order).expect("one of ours");
        *filled += fill.quantity.0;
        let (order, filled) = (*order, *filled);
        if filled == order.quantity.0 {
            self.open.remove(&fill.order);
        }
        let (mut fee, mut fee_asset) = (fill.fee, fill.fee_asset);
        if in_bnb {
            // Three quarters of a thousandth, at some price of BNB.
            (fee, fee_asset) = (1 + fill.amount / 700_000 + self.random.below(7) as i64, BNB);
            assert!(self.ledger.deposit(OURS, BNB, -fee), "fees are covered");
        }
        match fee_asset {
            asset if asset == quote => self.counts.fees_in_quote += 1,
            asset if asset == base => self.counts.fees_in_base += 1,
            _ => self.counts.fees_in_third += 1,
        }
        self.executions[id] += 1;
        self.counts.external += u64::from(order.strategy == StrategyId::NONE);
        let report = ExecutionReport {
            kind: ReportKind::Fill,
            execution_id: self.executions[id],
            last_price: fill.price,
            last_quantity: fill.quantity,
            cumulative_quantity: Quantity(filled),
            fee,
            fee_asset,
            liquidity: fill.liquidity,
            ..Self::report(&order, fill.order)
        };
        let sign = i128::from(order.side.sign());
        let mut change = [0; 4];
        change[base.index()] += sign * i128::from(fill.quantity.0);
        change[quote.index()] -= sign * i128::from(fill.amount);
        change[fee_asset.index()] -= i128::from(fee);
        for (sum, change) in self.undelivered.iter_mut().zip(change) {
            *sum += change;
        }
        self.on_its_way.push_back((report, change));
    }

    /// Risk gets what is on its way: out of order now and then, and now and then twice.
    fn deliver(&mut self) {
        while !self.on_its_way.is_empty() {
            let ahead =
                if self.random.one_in(6) { self.random.below(self.on_its_way.len() as u64) as usize } else { 0 };
            // Orders by hand have no id of ours to be told apart by: their reports stay in order.
            let is_ours = |(report, _): &&(ExecutionReport, _)| report.client_order_id != ClientOrderId::NONE;
            let ahead = self.on_its_way.get(ahead).filter(is_ours).map_or(0, |_| ahead);
            let (report, change) = self.on_its_way.remove(ahead).expect("within");
            let times = if self.random.one_in(50) { 2 } else { 1 };
            for _ in 0..times {
                self.engine.reports.try_send(GatewayMessage::Report(report)).expect("room");
            }
            self.engine.poll();
            self.counts.duplicates += u64::from(times == 2 && report.kind == ReportKind::Fill);
            if report.kind == ReportKind::Fill {
                self.counts.fills += 1;
                for (sum, change) in self.undelivered.iter_mut().zip(change) {
                    *sum -= change;
                }
                let id = report.instrument.index();
                let (_, base, quote, ..) = INSTRUMENTS[id];
                let fee = |asset: AssetId| if report.fee_asset == asset { i128::from(report.fee) } else { 0 };
                let (held, cash) = &mut self.delivered[id];
                *held += change[base.index()] + fee(base);
                *cash += change[quote.index()] + fee(quote);
                self.check(id);
            }
        }
    }

    /// All books add up.
    fn check(&self, id: usize) {
        let risk = &self.engine.risk;
        let ledger = risk.ledger(VENUE).expect("there");
        let strategies = (0..STRATEGIES).map(StrategyId).chain([StrategyId::NONE]);
        let mut sums = [Money::ZERO; 4];
        for share in strategies.filter_map(|strategy| risk.share(strategy)) {
            for (sum, asset) in sums.iter_mut().zip(ASSETS) {
                *sum = sum.saturating_add(share.change(asset));
            }
        }
        for (sum, asset) in sums.into_iter().zip(ASSETS) {
            let held = self.ledger.balance(OURS, asset);
            let venue = i128::from(held.free) + i128::from(held.locked) - self.undelivered[asset.index()];
            let venue = Money(venue * 10_000_000_000);
            let start = Money(i128::from(START[asset.index()]) * 10_000_000_000);
            assert_eq!(start.saturating_add(sum), venue, "{asset:?} after {} fills", self.counts.fills);
            assert_eq!(ledger.balance(asset), venue, "{asset:?} after {} fills", self.counts.fills);
        }
        let (mut quantity, mut cash) = (0, 0);
        for holding in risk.holdings().iter().filter(|holding| holding.permission.instrument.index() == id) {
            quantity += i128::from(holding.position.quantity().0);
            cash += holding.position.realized().0 - holding.position.open_cost().0;
        }
        let (held, paid) = self.delivered[id];
        assert_eq!((quantity, cash), (held, paid * 10_000_000_000), "after {} fills", self.counts.fills);
    }
}

#[test]
fn books_add_up_at_every_fill() {
    let is_long = std::env::var("GANNET_LONG").is_ok_and(|value| value == "yes");
    let wanted = if is_long { 1_000_000 } else { 100_000 };
    let mut world = World::new(0x9E37_79B9_7F4A_7C15);
    while world.counts.fills < wanted {
        world.engine.now = world.engine.now.plus(2_000_000);
        let id = world.random.below(4) as usize;
        world.move_market(id);
        // Somebody else's orders are known before anything is decided: what they take of the balances is then.
        if world.random.one_in(4) {
            world.act_by_hand();
        }
        world.deliver();
        for _ in 0..=world.random.below(6) {
            world.decide();
        }
        for _ in 0..world.random.below(3) {
            world.amend();
        }
        for _ in 0..world.random.below(3) {
            world.take_back();
        }
        world.engine.poll();
        world.trade();
        world.deliver();
    }
    let denied: Vec<_> = world.engine.risk.denied().collect();
    println!("{:?}; denied {denied:?}", world.counts);
    let Counts { replaced, external, fees_in_quote, fees_in_base, fees_in_third, duplicates, .. } = world.counts;
    assert!(
        [replaced, external, fees_in_quote, fees_in_base, fees_in_third, duplicates].iter().all(|&count| count > 1_000)
    );
    assert_eq!(world.counts.own_trades, 0, "two of our own orders traded with each other");
    let power = denied.iter().find(|(reason, _)| *reason == DenialReason::InsufficientBuyingPower);
    assert!(power.is_some_and(|(_, count)| *count > 100), "buying power never ran out");
    // Nothing is held back for orders that have ended.
    while let Some((&id, &(order, _))) = world.open.iter().next() {
        if id >= OrderId(BY_HAND) {
            world.cancel(&order, id);
            world.deliver();
            continue;
        }
        let cancel = CancelIntent {
            client_order_id: order.client_order_id,
            instrument: order.instrument,
            strategy: order.strategy,
            decided_ns: world.engine.now,
        };
        world.engine.cancels.try_send(cancel).expect("room");
        world.engine.now = world.engine.now.plus(1_000_000_000);
        world.engine.poll();
        world.trade();
        world.deliver();
    }
    let ledger = world.engine.risk.ledger(VENUE).expect("there");
    assert_eq!(ASSETS.map(|asset| ledger.reserved(asset)), [Money::ZERO; 4]);
    assert!(
        world
            .engine
            .risk
            .holdings()
            .iter()
            .all(|holding| { holding.open_orders == 0 && holding.capital.reserved(&holding.exposure) == Money::ZERO })
    );
}
