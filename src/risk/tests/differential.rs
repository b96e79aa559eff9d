//! The stage against a reference that keeps nothing but the history, and works everything out of it again each time.

use super::rig::{Rig, config, instruments};
use crate::risk::{KillScope, RiskConfig};
use crate::types::*;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::{BTreeMap, BTreeSet};

/// What happened so far, in risk's order.
#[derive(Clone, Copy)]
enum Event {
    /// An intent at an instant, with the verdict that the reference gave it.
    Intent(OrderIntent, Option<Denial>),
    Report(ExecutionReport),
    /// A cancel of this strategy that was passed on.
    Cancel(StrategyId),
    Command(TradingState),
    Session(SessionState),
    Kill,
}

/// What the history says of one order.
#[derive(Clone, Copy, Default)]
struct Known {
    strategy: u16,
    instrument: u32,
    sign: i128,
    quantity: i128,
    filled: i128,
    venue_filled: i128,
    is_over: bool,
    is_filled: bool,
    is_acknowledged: bool,
    never_left: bool,
}

impl Known {
    fn due(&self) -> i128 {
        // What the venue shows to know has left, whoever says otherwise.
        let is_denied = self.never_left && !self.is_acknowledged;
        let end = if self.is_over || self.is_filled || is_denied {
            self.venue_filled.min(self.quantity)
        } else {
            self.quantity
        };
        (end - self.filled).max(0)
    }
}

/// Everything that follows from a history.
#[derive(Default)]
struct Worked {
    orders: BTreeMap<ClientOrderId, Known>,
    last_id: BTreeMap<u16, ClientOrderId>,
    booked: BTreeMap<(u16, u32), i128>,
    reduce_only_holdings: BTreeSet<(u16, u32)>,
    reduce_only_instruments: BTreeSet<u32>,
    state: TradingState,
    session: SessionState,
    kills: i128,
}

impl Worked {
    fn from(history: &[(Timestamp, Event)], config: &RiskConfig) -> Self {
        let mut worked = Self { state: TradingState::Active, session: SessionState::Ready, ..Self::default() };
        let mut executions = BTreeSet::new();
        for (_, event) in history {
            match event {
                Event::Kill => {
                    worked.kills += 1;
                    worked.state = TradingState::Halted;
                }
                Event::Session(session) => worked.session = *session,
                Event::Command(state) => worked.command(*state),
                Event::Cancel(_) => {}
                Event::Intent(intent, denial) => worked.intent(&intent.order, denial.is_none()),
                Event::Report(report) => worked.report(report, &mut executions, config),
            }
        }
        worked
    }

    fn command(&mut self, state: TradingState) {
        if self.kills > 0 && state != TradingState::Halted {
            return;
        }
        if state == TradingState::Active {
            self.reduce_only_holdings.clear();
            self.reduce_only_instruments.clear();
        }
        self.state = state;
    }

    fn intent(&mut self, order: &Order, is_approved: bool) {
        if order.client_order_id.strategy() == order.strategy {
            let last = self.last_id.entry(order.strategy.0).or_default();
            *last = order.client_order_id.max(*last);
        }
        if is_approved {
            self.orders.insert(
                order.client_order_id,
                Known {
                    strategy: order.strategy.0,
                    instrument: order.instrument.0,
                    sign: i128::from(order.side.sign()),
                    quantity: i128::from(order.quantity.0),
                    ..Known::default()
                },
            );
        }
    }

    fn report(&mut self, report: &ExecutionReport, executions: &mut BTreeSet<(u32, u64)>, config: &RiskConfig) {
        let Some(order) = self.orders.get_mut(&report.client_order_id) else { return };
        order.venue_filled = order.venue_filled.max(i128::from(report.cumulative_quantity.0));
        match report.kind {
            ReportKind::Fill => {
                if !executions.insert((order.instrument, report.execution_id)) {
                    return;
                }
                order.is_acknowledged = true;
                order.filled += i128::from(report.last_quantity.0);
                order.is_filled |= order.filled >= order.quantity;
                let place = (order.strategy, order.instrument);
                *self.booked.entry(place).or_default() += order.sign * i128::from(report.last_quantity.0);
                let limit = config.permissions.iter().zip(&config.limits.permissions);
                let limit = limit
                    .filter(|(permission, _)| (permission.strategy.0, permission.instrument.0) == place)
                    .map(|(_, limits)| i128::from(limits.max_position.0))
                    .next();
                if self.booked[&place].abs() > limit.expect("permitted") {
                    self.reduce_only_holdings.insert(place);
                }
                let all: i128 =
                    self.booked.iter().filter(|((_, instrument), _)| *instrument == place.1).map(|(_, q)| q).sum();
                if all.abs() > i128::from(config.limits.instruments[place.1 as usize].max_position.0) {
                    self.reduce_only_instruments.insert(place.1);
                }
            }
            ReportKind::Accepted => order.is_acknowledged = true,
            ReportKind::Canceled | ReportKind::Rejected | ReportKind::Expired => order.is_over = true,
            ReportKind::NotSent => order.never_left = true,
            _ => {}
        }
    }

    /// Booked, open buys, open sells of the orders for which `of` holds.
    fn exposure(&self, of: impl Fn(u16, u32) -> bool) -> (i128, i128, i128) {
        let booked = self.booked.iter().filter(|((s, i), _)| of(*s, *i)).map(|(_, quantity)| quantity).sum();
        let open = |sign| {
            let orders =
                self.orders.values().filter(|order| order.sign == sign && of(order.strategy, order.instrument));
            orders.map(Known::due).sum()
        };
        (booked, open(1), open(-1))
    }
}

/// Whole messages left in a bucket after these, from the beginning: `level` in billionths of a message.
fn left(sent: &[Timestamp], now: Timestamp, limit: crate::risk::RateLimit) -> i128 {
    let full = i128::from(limit.burst) * 1_000_000_000;
    let mut level = full;
    let mut last = Timestamp::UNKNOWN;
    for instant in sent.iter().chain([&now]) {
        level = (level + i128::from(instant.since(last)) * i128::from(limit.per_second)).min(full);
        last = *instant;
        if !std::ptr::eq(instant, &raw const now) {
            level = (level - 1_000_000_000).max(0);
        }
    }
    level / 1_000_000_000
}

/// The controls again, as the published list words them.
fn judge(history: &[(Timestamp, Event)], intent: &OrderIntent, now: Timestamp, config: &RiskConfig) -> Option<Denial> {
    let known = Worked::from(history, config);
    let (order, stamp) = (&intent.order, &intent.stamp);
    let deny = |reason, limit: i128, observed: i128| Some(Denial { reason, limit, observed });
    let place =
        config.permissions.iter().position(|p| p.strategy == order.strategy && p.instrument == order.instrument);
    let quantity = i128::from(order.quantity.0);
    let key = (order.strategy.0, order.instrument.0);
    let own = known.exposure(|s, i| (s, i) == key);
    let all = known.exposure(|_, i| i == key.1);
    let room = |(booked, buys, sells): (i128, i128, i128)| match order.side {
        Side::Buy => (-booked - buys).max(0),
        Side::Sell => (booked - sells).max(0),
    };
    if known.kills > 0 {
        return deny(DenialReason::KillSwitchActive, 0, known.kills);
    }
    match known.state {
        TradingState::Halted => return deny(DenialReason::Halted, 0, 1),
        TradingState::CancelOnly => return deny(DenialReason::CancelOnly, 0, 1),
        _ => {}
    }
    let is_reducing =
        known.state == TradingState::ReduceOnly || order.is_reduce_only || known.reduce_only_holdings.contains(&key);
    if is_reducing && quantity > room(own) {
        return deny(DenialReason::ReduceOnlyIncrease, room(own), quantity);
    }
    if known.reduce_only_instruments.contains(&key.1) && quantity > room(all) {
        return deny(DenialReason::ReduceOnlyIncrease, room(all), quantity);
    }
    let instrument = instruments().get(order.instrument).copied();
    if instrument.is_some() && known.session != SessionState::Ready {
        return deny(DenialReason::NotReady, 3, known.session as i128);
    }
    let (Some(place), Some(instrument)) = (place, instrument) else {
        return deny(DenialReason::NotPermitted, 0, 1);
    };
    let is_market = order.order_type == OrderType::Market;
    let price = i128::from(order.price.0);
    if order.client_order_id.strategy() != order.strategy
        || order.client_order_id.sequence() == 0
        || (is_market && (price != 0 || order.is_post_only || order.time_in_force == TimeInForce::FillOrKill))
        || (!is_market && order.is_post_only && order.time_in_force != TimeInForce::GoodTillCanceled)
    {
        return deny(DenialReason::BadOrder, 0, 1);
    }
    if quantity < 1 {
        return deny(DenialReason::BadQuantity, 1, quantity);
    }
    if quantity > 500 {
        return deny(DenialReason::BadQuantity, 500, quantity);
    }
    if !is_market && price < 1 {
        return deny(DenialReason::BadPrice, 1, price);
    }
    let (bid, ask) = (i128::from(stamp.bid.0), i128::from(stamp.ask.0));
    let touch = if order.side == Side::Buy { ask } else { bid };
    let unit = 100_000_000_000i128;
    if (!is_market || touch > 0) && if is_market { touch } else { price } * quantity * unit < instrument.notional_min.0
    {
        let notional = if is_market { touch } else { price } * quantity * unit;
        return deny(DenialReason::MinNotional, instrument.notional_min.0, notional);
    }
    let last_id = known.last_id.get(&key.0).copied().unwrap_or_default();
    if order.client_order_id <= last_id {
        return deny(DenialReason::DuplicateClientOrderId, i128::from(last_id.0), i128::from(order.client_order_id.0));
    }
    let (limits, market) = (&config.limits.permissions[place], &config.limits.instruments[key.1 as usize]);
    let unset = |control| deny(DenialReason::LimitNotConfigured, 0, control);
    let age = i128::from(now.nanos()) - i128::from(stamp.data_ns.nanos());
    if age > i128::from(market.max_data_age_ns) {
        return deny(DenialReason::StaleMarketData, i128::from(market.max_data_age_ns), age);
    }
    if !stamp.is_synced {
        return deny(DenialReason::BookNotSynced, 1, 0);
    }
    if bid <= 0 || ask <= bid {
        return deny(DenialReason::NoReferencePrice, bid, ask);
    }
    let ceil = |part: i128, whole: i128| (part + whole - 1) / whole;
    let slip = ceil(touch * i128::from(market.max_slippage_bps), 10_000);
    let sign = i128::from(order.side.sign());
    let worst = if is_market { touch + sign * slip } else { price };
    let beyond = (2 * worst - bid - ask) * sign;
    let bps = |part: i128| ceil(part * 10_000, bid + ask);
    if beyond > 0 && bps(beyond) > i128::from(market.collar_bps) {
        return deny(DenialReason::PriceCollar, i128::from(market.collar_bps), bps(beyond));
    }
    if beyond < 0 && bps(-beyond) > i128::from(market.passive_collar_bps) {
        return deny(DenialReason::PriceTooFar, i128::from(market.passive_collar_bps), bps(-beyond));
    }
    if limits.max_order_quantity.0 == 0 {
        return unset(16);
    }
    if quantity > i128::from(limits.max_order_quantity.0) {
        return deny(DenialReason::MaxOrderQuantity, i128::from(limits.max_order_quantity.0), quantity);
    }
    let depth = i128::from(stamp.near_depth.0);
    let share = if depth == 0 { i128::MAX } else { ceil(quantity * 10_000, depth) };
    if share > i128::from(market.max_depth_share_bps) {
        return deny(DenialReason::MaxDepthShare, i128::from(market.max_depth_share_bps), share);
    }
    if worst * quantity * unit > limits.max_order_notional.0 {
        return deny(DenialReason::MaxOrderNotional, limits.max_order_notional.0, worst * quantity * unit);
    }
    for ((booked, buys, sells), limit) in [(own, limits.max_position.0), (all, market.max_position.0)] {
        let worst = if order.side == Side::Buy { booked + buys } else { sells - booked } + quantity;
        if worst > i128::from(limit) {
            return deny(DenialReason::MaxPosition, i128::from(limit), worst);
        }
    }
    let sent = |of: Option<u16>| -> Vec<Timestamp> {
        let is_message = |event: &Event| match event {
            Event::Intent(intent, None) => of.is_none_or(|strategy| strategy == intent.order.strategy.0),
            Event::Cancel(strategy) => of.is_none_or(|of| of == strategy.0),
            _ => false,
        };
        history.iter().filter(|(_, event)| is_message(event)).map(|(now, _)| *now).collect()
    };
    let strategy_rate = config.limits.strategies[usize::from(key.0)].rate;
    for (sent, rate) in [(sent(Some(key.0)), strategy_rate), (sent(None), config.limits.accounts[0].rate)] {
        let left = left(&sent, now, rate);
        if left <= i128::from(rate.cancel_reserve) {
            let burst = i128::from(rate.burst);
            return deny(DenialReason::RateLimit, burst - i128::from(rate.cancel_reserve), burst - left + 1);
        }
    }
    None
}

/// A small random source over proptest's, by seed.
struct Random(TestRng);

impl Random {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }
}

fn random_intent(rig: &mut Rig, random: &mut Random, now: Timestamp) -> OrderIntent {
    let (strategy, instrument) = random.of(&[(0, 0), (0, 0), (0, 0), (1, 0), (1, 1)]);
    let side = random.of(&[Side::Buy, Side::Sell]);
    let quantity = 2 + random.below(18) as i64;
    let mut intent = rig.intent_of(strategy, instrument, side, quantity);
    intent.stamp.data_ns = now;
    let order = &mut intent.order;
    match random.below(40) {
        0 => order.quantity = Quantity(random.of(&[-1, 0, 1, 49, 50, 51, 500, 501, i64::MAX, i64::MIN])),
        1 => order.price = Price(random.of(&[0, -1, i64::MAX, 9_499, 9_500, 9_501, 9_899, 9_900, 10_100, 10_101])),
        2 => order.instrument = InstrumentId(random.of(&[1, 2, u32::MAX])),
        3 => order.strategy = StrategyId(random.of(&[0, 1])),
        4 => intent.stamp.data_ns = Timestamp::from_nanos(now.nanos() - random.of(&[999_999, 1_000_000, 1_000_001])),
        5 => intent.stamp.is_synced = false,
        6 => intent.stamp.bid = Price(random.of(&[0, 10_000, 10_001, 10_002])),
        7 => intent.stamp.near_depth = Quantity(random.of(&[0, 1, 10, 20, 30, 40])),
        8 => order.is_post_only = true,
        9 => order.time_in_force = random.of(&[TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill]),
        10 => order.is_reduce_only = true,
        11 => order.client_order_id = ClientOrderId(order.client_order_id.0 - random.below(3)),
        12..=15 => {
            order.order_type = OrderType::Market;
            order.price = Price::ZERO;
            order.is_post_only = random.one_in(8);
        }
        16 => order.quantity = Quantity(random.of(&[44, 45, 46])),
        17 => order.quantity = Quantity(1),
        _ => {}
    }
    intent
}

fn random_report(ids: &[ClientOrderId], random: &mut Random) -> ExecutionReport {
    let recent = ids.len().saturating_sub(12);
    let report =
        ExecutionReport { client_order_id: random.of(&ids[recent..]), venue_order_id: 1, ..ExecutionReport::default() };
    let kind = match random.below(20) {
        0..=8 => ReportKind::Fill,
        9..=10 => ReportKind::Accepted,
        11..=14 => random.of(&[ReportKind::Canceled, ReportKind::Expired, ReportKind::Rejected]),
        15 => ReportKind::Unknown,
        16 => ReportKind::CancelRejected,
        17 => ReportKind::Sent,
        _ => ReportKind::NotSent,
    };
    if kind == ReportKind::Fill {
        let last_quantity = Quantity(1 + random.below(12) as i64);
        // Few enough ids that many a fill comes twice.
        let execution_id = 1 + random.below(400);
        let cumulative_quantity = Quantity(random.of(&[0, last_quantity.0, 5, 20]));
        return ExecutionReport {
            kind,
            last_quantity,
            last_price: Price(9_000 + random.below(2_000) as i64),
            execution_id,
            cumulative_quantity,
            ..report
        };
    }
    ExecutionReport { kind, ..report }
}

/// Runs one history; answers how often each reason denied.
fn run(seed: u64, events: usize, reasons: &mut BTreeMap<DenialReason, u64>) {
    let mut config = config();
    config.limits.strategies[0].rate = crate::risk::RateLimit { per_second: 20, burst: 8, cancel_reserve: 2 };
    config.limits.accounts[0].rate = crate::risk::RateLimit { per_second: 40, burst: 10, cancel_reserve: 3 };
    if seed.is_multiple_of(8) {
        config.limits.permissions[2].max_order_quantity = Quantity::ZERO;
    }
    let mut rig = Rig::new(&config);
    let mut random = Random::new(seed);
    let mut history: Vec<(Timestamp, Event)> = Vec::new();
    let mut ids = Vec::new();
    for step in 0..events {
        rig.now = rig.now.plus(random.below(4_000_000));
        let now = rig.now;
        match random.below(1_000) {
            0..=499 => {
                let mut intent = random_intent(&mut rig, &mut random, now);
                intent.decided_ns = now;
                let expected = judge(&history, &intent, now, &config);
                rig.send(&intent).expect("room");
                rig.poll();
                let mut found = None;
                rig.notices.drain(u64::MAX, |notice| {
                    if notice.code == NoticeCode::Denied {
                        found = Some(Denial { reason: notice.reason, limit: notice.limit, observed: notice.observed });
                    }
                });
                let approved = rig.gateway_orders.next().map(|approved| *approved.order());
                assert_eq!(found, expected, "seed {seed} step {step}: {intent:?}");
                assert_eq!(approved, expected.is_none().then_some(intent.order), "seed {seed} step {step}");
                if let Some(denial) = expected {
                    *reasons.entry(denial.reason).or_default() += 1;
                } else {
                    ids.push(intent.order.client_order_id);
                }
                history.push((now, Event::Intent(intent, expected)));
            }
            500..=599 if !ids.is_empty() => {
                rig.cancel(random.of(&ids[ids.len().saturating_sub(12)..]));
                rig.poll();
            }
            600..=979 if !ids.is_empty() => {
                let report = random_report(&ids, &mut random);
                rig.report(report);
                history.push((now, Event::Report(report)));
            }
            980..=989 => {
                let session = random.of(&[SessionState::Down, SessionState::Ready, SessionState::Ready]);
                rig.session(session);
                rig.poll();
                history.push((now, Event::Session(session)));
            }
            990..=997 => {
                use TradingState::{Active, CancelOnly, ReduceOnly};
                let state = random.of(&[Active, Active, Active, Active, ReduceOnly, CancelOnly]);
                rig.commands.try_send(RiskCommand::SetTradingState(state)).expect("room");
                rig.poll();
                history.push((now, Event::Command(state)));
            }
            998 => {
                let quote = Quote { bid: Price(1), bid_quantity: Quantity(1), ..Quote::default() };
                rig.marks[0].try_send(Mark { instrument: InstrumentId(0), quote }).expect("room");
                rig.poll();
            }
            999 if step > events * 9 / 10 => {
                rig.kill.kill(KillScope::Engine);
                rig.poll();
                history.push((now, Event::Kill));
            }
            _ => {}
        }
        rig.gateway_cancels.drain(u64::MAX, |cancel| history.push((now, Event::Cancel(cancel.strategy))));
        rig.updates(0);
        rig.updates(1);
        rig.notices.drain(u64::MAX, |_| {});
        rig.positions.drain(u64::MAX, |_| {});
        compare(&rig, &Worked::from(&history, &config), seed, step);
    }
}

fn compare(rig: &Rig, known: &Worked, seed: u64, step: usize) {
    for holding in rig.risk.holdings() {
        let key = (holding.permission.strategy.0, holding.permission.instrument.0);
        let ours = holding.exposure;
        let ours = (ours.booked(), ours.open(Side::Buy), ours.open(Side::Sell));
        assert_eq!(ours, known.exposure(|s, i| (s, i) == key), "seed {seed} step {step}");
        assert_eq!(i128::from(holding.position.quantity().0), ours.0);
    }
    for market in rig.risk.markets() {
        let ours = market.exposure;
        let ours = (ours.booked(), ours.open(Side::Buy), ours.open(Side::Sell));
        assert_eq!(ours, known.exposure(|_, i| i == market.instrument.id.0), "seed {seed} step {step}");
    }
}

#[test]
fn verdict_reason_and_exposure_equal_the_reference() {
    const EVENTS: usize = 250;
    const HISTORIES: u64 = 800;
    let mut reasons = BTreeMap::new();
    for seed in 0..HISTORIES {
        run(seed, EVENTS, &mut reasons);
    }
    let uncovered: Vec<_> = [
        DenialReason::KillSwitchActive,
        DenialReason::ReduceOnlyIncrease,
        DenialReason::CancelOnly,
        DenialReason::NotReady,
        DenialReason::NotPermitted,
        DenialReason::BadQuantity,
        DenialReason::BadPrice,
        DenialReason::MinNotional,
        DenialReason::BadOrder,
        DenialReason::DuplicateClientOrderId,
        DenialReason::StaleMarketData,
        DenialReason::BookNotSynced,
        DenialReason::NoReferencePrice,
        DenialReason::PriceCollar,
        DenialReason::PriceTooFar,
        DenialReason::MaxOrderQuantity,
        DenialReason::MaxDepthShare,
        DenialReason::MaxOrderNotional,
        DenialReason::MaxPosition,
        DenialReason::RateLimit,
        DenialReason::LimitNotConfigured,
    ]
    .into_iter()
    .filter(|reason| !reasons.contains_key(reason))
    .collect();
    assert!(uncovered.is_empty(), "never seen: {uncovered:?}; seen {reasons:?}");
}
