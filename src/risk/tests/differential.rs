//! The stage against a reference that keeps nothing but the history, and works everything out of it again each time.

use super::reference::{Due, Finances, USDT};
use super::rig::{RICH, Rig, config, instruments};
use crate::risk::{KillScope, MarketOrders, RateLimit, RateSource, Restriction, RiskConfig};
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
    /// A cancel of this strategy in this instrument that was passed on.
    Cancel(StrategyId, InstrumentId),
    Command(TradingState),
    Session(SessionState),
    /// A scope was killed, or released.
    Kill(KillScope, bool),
    /// Weight and orders that the venue counts, of 100 each.
    Budget(u32, u32),
    Reset(StrategyId),
    /// What the account began with.
    Start(AssetId, Money),
    Mark(InstrumentId, Quote),
}

/// What the history says of one order.
#[derive(Clone, Copy, Default)]
struct Known {
    strategy: u16,
    instrument: u32,
    sign: i128,
    /// At which it rests.
    price: i128,
    /// At which it is taken to fill.
    worst: i128,
    quantity: i128,
    filled: i128,
    venue_filled: i128,
    is_over: bool,
    is_filled: bool,
    is_acknowledged: bool,
    never_left: bool,
    is_unknown: bool,
    order_type: OrderType,
    time_in_force: TimeInForce,
}

impl Known {
    fn is_open(&self) -> bool {
        // What the venue shows to know has left, whoever says otherwise.
        let is_denied = self.never_left && !self.is_acknowledged;
        !(self.is_over || self.is_filled || is_denied)
    }

    fn due(&self) -> i128 {
        let end = if self.is_open() { self.quantity } else { self.venue_filled.min(self.quantity) };
        (end - self.filled).max(0)
    }

    fn may_rest(&self) -> bool {
        let is_immediate = matches!(self.time_in_force, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill);
        self.is_open()
            && match self.order_type {
                OrderType::Limit => !is_immediate || self.is_unknown,
                OrderType::StopLimit => self.filled > 0,
                OrderType::Market | OrderType::Stop => false,
            }
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
    killed: BTreeSet<KillScope>,
    generation: i128,
    /// Buys and sells in a row.
    rows: BTreeMap<(u16, u32), [u32; 2]>,
    tripped: BTreeSet<u16>,
    /// Each booked fill's strategy and instant.
    fills: Vec<(u16, Timestamp)>,
    budget: Option<(Timestamp, u32, u32)>,
    finances: Finances,
}

impl Worked {
    fn from(history: &[(Timestamp, Event)], config: &RiskConfig) -> Self {
        let mut worked = Self { state: TradingState::Active, session: SessionState::Ready, ..Self::default() };
        let mut executions = BTreeSet::new();
        for (at, event) in history {
            worked.finances.begin(*at);
            match event {
                Event::Start(asset, amount) => worked.finances.start(*asset, *amount),
                Event::Mark(instrument, quote) => worked.finances.mark(instrument.0, quote, config),
                Event::Kill(scope, is_killed) => {
                    worked.generation += 1;
                    if *is_killed {
                        worked.killed.insert(*scope);
                    } else {
                        worked.killed.remove(scope);
                    }
                    if worked.killed.contains(&KillScope::Engine) {
                        worked.state = TradingState::Halted;
                    }
                }
                Event::Budget(weight, orders) => worked.budget = Some((*at, *weight, *orders)),
                Event::Reset(strategy) => {
                    worked.rows.retain(|(owner, _), _| *owner != strategy.0);
                    worked.tripped.remove(&strategy.0);
                    worked.finances.reset(*strategy);
                }
                Event::Session(session) => worked.session = *session,
                Event::Command(state) => worked.command(*state),
                Event::Cancel(..) => {}
                Event::Intent(intent, denial) => {
                    worked.intent(&as_sent(intent, config), worst_of(intent, config), denial.is_none());
                }
                Event::Report(report) => worked.report(report, *at, &mut executions, config),
            }
        }
        worked
    }

    fn command(&mut self, state: TradingState) {
        if self.killed.contains(&KillScope::Engine) && state != TradingState::Halted {
            return;
        }
        if state == TradingState::Active {
            self.reduce_only_holdings.clear();
            self.reduce_only_instruments.clear();
        }
        self.state = state;
    }

    fn intent(&mut self, order: &Order, worst: i128, is_approved: bool) {
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
                    price: i128::from(
                        if order.order_type == OrderType::Stop { order.stop_price } else { order.price }.0,
                    ),
                    worst,
                    quantity: i128::from(order.quantity.0),
                    order_type: order.order_type,
                    time_in_force: order.time_in_force,
                    ..Known::default()
                },
            );
        }
    }

    fn report(
        &mut self,
        report: &ExecutionReport,
        at: Timestamp,
        executions: &mut BTreeSet<(u32, u64)>,
        config: &RiskConfig,
    ) {
        let Some(order) = self.orders.get_mut(&report.client_order_id) else { return };
        order.venue_filled = order.venue_filled.max(i128::from(report.cumulative_quantity.0));
        match report.kind {
            ReportKind::Fill => {
                if !executions.insert((order.instrument, report.execution_id)) {
                    return;
                }
                order.is_acknowledged = true;
                order.is_unknown = false;
                let place = (order.strategy, order.instrument);
                let held = -order.sign * self.booked.get(&place).copied().unwrap_or(0);
                if order.filled == 0 && order.quantity > held {
                    let row = self.rows.entry(place).or_default();
                    *row = if order.sign > 0 { [row[0] + 1, 0] } else { [0, row[1] + 1] };
                    if row[0].max(row[1]) >= config.limits.strategies[usize::from(place.0)].max_repeat_executions {
                        self.tripped.insert(place.0);
                    }
                }
                self.fills.push((place.0, at));
                self.finances.fill(place, order.sign, report, at, config);
                order.filled += i128::from(report.last_quantity.0);
                order.is_filled |= order.filled >= order.quantity;
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
            ReportKind::Accepted => {
                order.is_acknowledged = true;
                order.is_unknown = false;
            }
            ReportKind::Unknown => order.is_unknown |= order.is_open(),
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

/// The price at which an order is taken to fill; of a market order the touch and the allowed slippage.
fn worst_of(intent: &OrderIntent, config: &RiskConfig) -> i128 {
    let (order, stamp) = (intent.order, &intent.stamp);
    if order.order_type.is_limited() {
        return i128::from(order.price.0);
    }
    let from = match (order.order_type, order.side) {
        (OrderType::Stop, _) => order.stop_price.0,
        (_, Side::Buy) => stamp.ask.0,
        (_, Side::Sell) => stamp.bid.0,
    };
    let slip = config.limits.instruments.get(order.instrument.index()).map_or(0, |limits| limits.max_slippage_bps);
    let slip = (i128::from(from) * i128::from(slip) + 9_999).div_euclid(10_000);
    i128::from(from) + i128::from(order.side.sign()) * slip
}

/// Whether what happened at `at` is within the window that ends with the eighth in which `now` is.
fn is_within(at: Timestamp, now: Timestamp, window_ns: u64) -> bool {
    at.nanos() / (window_ns / 8) + 8 > now.nanos() / (window_ns / 8)
}

/// The order as it is sent.
fn as_sent(intent: &OrderIntent, config: &RiskConfig) -> Order {
    let (order, stamp) = (intent.order, &intent.stamp);
    let Some(limits) = config.limits.instruments.get(order.instrument.0 as usize) else { return order };
    if order.order_type.is_limited() || limits.market_orders != MarketOrders::Protect {
        return order;
    }
    // Ticks are one price unit.
    let slip = |price: i64| (price * i64::from(limits.max_slippage_bps) + 9_999) / 10_000;
    let from = match (order.order_type, order.side) {
        (OrderType::Stop, _) => order.stop_price.0,
        (_, Side::Buy) => stamp.ask.0,
        (_, Side::Sell) => stamp.bid.0,
    };
    let price = Price(from + order.side.sign() * slip(from));
    if order.order_type == OrderType::Stop {
        return Order { order_type: OrderType::StopLimit, price, ..order };
    }
    Order { order_type: OrderType::Limit, time_in_force: TimeInForce::ImmediateOrCancel, price, ..order }
}

/// Whole messages left in a bucket after these, from the beginning: `level` in billionths of a message.
fn left(sent: &[Timestamp], now: Timestamp, limit: RateLimit) -> i128 {
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
    let instrument = instruments().get(order.instrument).copied();
    for (scope, reason, is_known) in [
        (KillScope::Engine, DenialReason::KillSwitchActive, true),
        (KillScope::Strategy(order.strategy), DenialReason::KilledStrategy, true),
        (KillScope::Instrument(order.instrument), DenialReason::KilledInstrument, true),
        (KillScope::Venue(VenueId(0)), DenialReason::KilledVenue, instrument.is_some()),
        (KillScope::Account(VenueId(0)), DenialReason::KilledAccount, instrument.is_some()),
    ] {
        if is_known && known.killed.contains(&scope) {
            return deny(reason, 0, known.generation);
        }
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
    if instrument.is_some() && known.session != SessionState::Ready {
        return deny(DenialReason::NotReady, 3, known.session as i128);
    }
    let (Some(place), Some(instrument)) = (place, instrument) else {
        return deny(DenialReason::NotPermitted, 0, 1);
    };
    let (limits, market) = (&config.limits.permissions[place], &config.limits.instruments[key.1 as usize]);
    let permission = &config.permissions[place];
    let is_resting = order.time_in_force == TimeInForce::GoodTillCanceled;
    if !permission.may_sell && order.side == Side::Sell || !permission.may_stop && order.order_type.is_stop() {
        return deny(DenialReason::NotPermitted, 0, 1);
    }
    if market.restriction == Restriction::Sells && order.side == Side::Sell {
        return deny(DenialReason::RestrictedSymbol, 0, 1);
    }
    let is_market = order.order_type == OrderType::Market;
    let is_stop = order.order_type.is_stop();
    let is_limited = order.order_type.is_limited();
    let price = i128::from(order.price.0);
    let stop_price = i128::from(order.stop_price.0);
    if order.client_order_id.strategy() != order.strategy
        || order.client_order_id.sequence() == 0
        || (is_market && (price != 0 || order.is_post_only || order.time_in_force == TimeInForce::FillOrKill))
        || (!is_market && order.is_post_only && !is_resting)
        || (is_stop && (order.is_post_only || !is_resting || !is_limited && price != 0))
        || (!is_stop && stop_price != 0)
    {
        return deny(DenialReason::BadOrder, 0, 1);
    }
    if quantity < 1 {
        return deny(DenialReason::BadQuantity, 1, quantity);
    }
    if quantity > 500 {
        return deny(DenialReason::BadQuantity, 500, quantity);
    }
    if is_limited && price < 1 {
        return deny(DenialReason::BadPrice, 1, price);
    }
    if is_stop && stop_price < 1 {
        return deny(DenialReason::BadPrice, 1, stop_price);
    }
    let (bid, ask) = (i128::from(stamp.bid.0), i128::from(stamp.ask.0));
    let touch = if order.side == Side::Buy { ask } else { bid };
    let unit = 100_000_000_000i128;
    let own_price = if is_limited { price } else { stop_price };
    let notional = if is_market { touch } else { own_price } * quantity * unit;
    if (!is_market || touch > 0) && notional < instrument.notional_min.0 {
        return deny(DenialReason::MinNotional, instrument.notional_min.0, notional);
    }
    let last_id = known.last_id.get(&key.0).copied().unwrap_or_default();
    if order.client_order_id <= last_id {
        return deny(DenialReason::DuplicateClientOrderId, i128::from(last_id.0), i128::from(order.client_order_id.0));
    }
    let habits = &config.limits.strategies[usize::from(key.0)];
    let approved = || {
        history.iter().filter_map(|(at, event)| match event {
            Event::Intent(intent, None) => Some((*at, intent)),
            _ => None,
        })
    };
    let print = |order: &Order| {
        (order.strategy, order.instrument, order.side, order.order_type, order.price, order.stop_price, order.quantity)
    };
    let same = approved()
        .filter(|(at, other)| print(&other.order) == print(order) && now.since(*at) <= habits.duplicate_window_ns);
    let same = same.count() as i128;
    if same >= i128::from(habits.max_duplicates) {
        return deny(DenialReason::DuplicateOrder, i128::from(habits.max_duplicates), same + 1);
    }
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
    let sign = i128::from(order.side.sign());
    let from = if is_market { touch } else { stop_price };
    let slip = ceil(from * i128::from(market.max_slippage_bps), 10_000);
    let worst = if is_limited { price } else { from + sign * slip };
    let twice_mid = bid + ask;
    let away = (2 * stop_price - twice_mid).abs();
    if is_stop && away * 10_000 > twice_mid * i128::from(market.passive_collar_bps) {
        let away = ceil(away * 10_000, twice_mid);
        return deny(DenialReason::PriceTooFar, i128::from(market.passive_collar_bps), away);
    }
    let reference = if is_stop { 2 * stop_price } else { twice_mid };
    let beyond = (2 * worst - reference) * sign;
    let bps = |part: i128| ceil(part * 10_000, reference);
    if beyond > 0 && bps(beyond) > i128::from(market.collar_bps) {
        return deny(DenialReason::PriceCollar, i128::from(market.collar_bps), bps(beyond));
    }
    if beyond < 0 && bps(-beyond) > i128::from(market.passive_collar_bps) {
        return deny(DenialReason::PriceTooFar, i128::from(market.passive_collar_bps), bps(-beyond));
    }
    let mids = approved().filter(|(at, other)| {
        other.order.instrument == order.instrument
            && !other.order.order_type.is_stop()
            && is_within(*at, now, market.drift_window_ns)
    });
    let mids: Vec<i128> =
        mids.map(|(_, other)| i128::from(other.stamp.bid.0) + i128::from(other.stamp.ask.0)).collect();
    let from = if order.side == Side::Buy { mids.iter().min() } else { mids.iter().max() };
    if let Some(from) = from
        && !is_stop
        && (2 * worst - from) * sign * 10_000 > from * i128::from(market.max_drift_bps)
    {
        let walked = ceil((2 * worst - from) * sign * 10_000, *from);
        return deny(DenialReason::PriceDrift, i128::from(market.max_drift_bps), walked);
    }
    if !is_limited && market.market_orders == MarketOrders::Deny {
        return deny(DenialReason::MarketOrderNotAllowed, 0, 1);
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
    let account = &config.limits.accounts[0];
    let due: Vec<Due> = known
        .orders
        .values()
        .filter(|order| order.due() > 0)
        .map(|order| (order.strategy, order.instrument, order.sign, order.due(), order.worst))
        .collect();
    let new = (key.0, key.1, sign, quantity, worst);
    let exposures = (0..2).map(|id| (id, known.exposure(|_, i| i == id))).collect();
    if let Some(denial) = known.finances.judge(new, &exposures, &due, now, config) {
        return Some(denial);
    }
    let open = |of: &dyn Fn(&Known) -> bool| known.orders.values().filter(|order| order.due() > 0 && of(order)).count();
    for (limit, count) in [
        (habits.max_open_orders, open(&|order| order.strategy == key.0)),
        (market.max_open_orders, open(&|order| order.instrument == key.1)),
        (account.max_open_orders, open(&|_| true)),
    ] {
        if count >= limit as usize {
            return deny(DenialReason::MaxOpenOrders, i128::from(limit), count as i128 + 1);
        }
    }
    let here = known.orders.values().filter(|order| order.instrument == key.1);
    let resting: i128 = here.map(|order| order.due() * order.price * unit).sum();
    let resting = resting + own_price * quantity * unit;
    if resting > market.max_resting_notional.0 {
        return deny(DenialReason::MaxRestingNotional, market.max_resting_notional.0, resting);
    }
    if let Some(denial) = known.finances.judge_results(new, room(own), &due, now, config) {
        return Some(denial);
    }
    let sent = |strategy: Option<u16>, instrument: Option<u32>| -> Vec<Timestamp> {
        let is_of = |of: StrategyId, about: InstrumentId| {
            strategy.is_none_or(|strategy| strategy == of.0)
                && instrument.is_none_or(|instrument| instrument == about.0)
        };
        let is_message = |event: &Event| match event {
            Event::Intent(intent, None) => is_of(intent.order.strategy, intent.order.instrument),
            Event::Cancel(strategy, instrument) => is_of(*strategy, *instrument),
            _ => false,
        };
        history.iter().filter(|(_, event)| is_message(event)).map(|(now, _)| *now).collect()
    };
    let of_strategy = sent(Some(key.0), None);
    for (sent, rate) in
        [(of_strategy.clone(), habits.rate), (sent(None, Some(key.1)), market.rate), (sent(None, None), account.rate)]
    {
        let left = left(&sent, now, rate);
        if left <= i128::from(rate.cancel_reserve) {
            let burst = i128::from(rate.burst);
            return deny(DenialReason::RateLimit, burst - i128::from(rate.cancel_reserve), burst - left + 1);
        }
    }
    if let Some((at, weight, orders)) = known.budget {
        let percent = account.max_budget_percent;
        for (used, seconds) in [(weight, 60), (orders, 10)] {
            if now.since(at) < seconds * 1_000_000_000 && used >= percent {
                return deny(DenialReason::VenueBudget, i128::from(percent), i128::from(used));
            }
        }
    }
    let row = known.rows.get(&key).copied().unwrap_or_default()[order.side.index()];
    let limit = habits.max_repeat_executions;
    if (row >= limit || known.tripped.contains(&key.0)) && quantity > room(own) {
        return deny(DenialReason::RepeatExecution, i128::from(limit), i128::from(row) + 1);
    }
    let is_counted = |at: &Timestamp| is_within(*at, now, habits.ratio_window_ns);
    let messages = of_strategy.iter().filter(|at| is_counted(at)).count() as i128 + 1;
    let fills = known.fills.iter().filter(|(strategy, at)| *strategy == key.0 && is_counted(at)).count() as i128;
    if messages > i128::from(habits.free_messages) && messages > i128::from(habits.max_order_to_trade) * fills.max(1) {
        return deny(
            DenialReason::OrderToTradeRatio,
            i128::from(habits.max_order_to_trade),
            ceil(messages, fills.max(1)),
        );
    }
    let rests = |other: &&Known| other.instrument == key.1 && other.sign == -sign && other.may_rest();
    let opposing = known.orders.values().filter(rests).map(|other| other.price * sign).min();
    if let Some(own) = opposing
        && !order.order_type.is_stop()
        && worst * sign >= own
    {
        return deny(DenialReason::SelfTrade, own * sign, worst);
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
        18..=21 => {
            let mid = 9_940 + random.below(121) as i64;
            order.price = Price(mid);
            (intent.stamp.bid, intent.stamp.ask) = (Price(mid - 1), Price(mid + 1));
        }
        22..=24 => {
            order.order_type = random.of(&[OrderType::Stop, OrderType::StopLimit]);
            order.stop_price = Price(random.of(&[9_900, 9_990, 10_010, 10_100, 9_499, 9_500, 10_501, 0, -1]));
            if order.order_type == OrderType::Stop && !random.one_in(8) {
                order.price = Price::ZERO;
            }
        }
        25 => order.quantity = Quantity(10),
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
            fee: random.below(10) as i64 * 10_000,
            fee_asset: USDT,
            ..report
        };
    }
    ExecutionReport { kind, ..report }
}

/// Makes some of the limits tight, by seed, so that each gets its turn.
fn tighten(config: &mut RiskConfig, seed: u64) {
    let limits = &mut config.limits;
    limits.accounts[0].max_budget_percent = if seed % 8 == 5 { 80 } else { 100 };
    for instrument in &mut limits.instruments {
        instrument.market_orders = match seed / 8 % 3 {
            0 => MarketOrders::Allow,
            1 => MarketOrders::Protect,
            _ => MarketOrders::Deny,
        };
        match seed % 8 {
            2 => (instrument.max_drift_bps, instrument.drift_window_ns) = (40, 40_000_000),
            3 => {
                instrument.max_open_orders = 4;
                instrument.max_resting_notional = Money::from_scaled(50, 3).expect("fits");
            }
            4 => instrument.rate = RateLimit { per_second: 25, burst: 6, cancel_reserve: 1 },
            _ => {}
        }
    }
    for strategy in &mut limits.strategies {
        match seed % 8 {
            1 => (strategy.max_duplicates, strategy.duplicate_window_ns) = (1, 60_000_000),
            3 => strategy.max_open_orders = 3,
            6 => strategy.max_repeat_executions = 3,
            7 => {
                strategy.ratio_window_ns = 400_000_000;
                (strategy.free_messages, strategy.max_order_to_trade) = (4, 3);
            }
            _ => {}
        }
    }
    match seed % 8 {
        0 => {
            limits.instruments[1].restriction = Restriction::Sells;
            config.permissions[0].may_stop = false;
            config.permissions[1].may_sell = false;
        }
        3 => limits.accounts[0].max_open_orders = 5,
        _ => {}
    }
    tighten_money(config, seed);
}

/// The same for the limits of money, in turns of another length.
fn tighten_money(config: &mut RiskConfig, seed: u64) {
    // Ten units at 100.00, in the account's currency.
    let mut cent = 10_000_000_000_000_000;
    if seed.is_multiple_of(3) {
        (config.currency, config.rate_sources) =
            (Some(AssetId(0)), vec![RateSource { asset: USDT, instrument: InstrumentId(0) }]);
        config.limits.accounts[0].max_rate_age_ns = 150_000_000;
        cent /= 100;
    }
    let limits = &mut config.limits;
    match seed % 7 {
        1 => limits.accounts[0].max_gross = Money(8 * cent),
        2 => limits.accounts[0].max_net = Money(5 * cent),
        4 => limits.permissions.iter_mut().for_each(|limits| limits.allocation = Money(40_000_000_000_000_000)),
        5 => limits.strategies.iter_mut().for_each(|limits| {
            limits.turnover_window_ns = 200_000_000;
            (limits.max_turnover, limits.max_daily_turnover) = (Money(8 * cent), Money(15 * cent));
        }),
        6 => limits.strategies.iter_mut().for_each(|limits| {
            (limits.max_daily_loss, limits.max_drawdown) = (Money(cent / 4), Money(cent / 3));
        }),
        _ => {}
    }
}

/// What the account begins with of each asset: of some seeds so little that it runs out.
fn start_of(seed: u64) -> [Money; 3] {
    let poor = [Money(600_000_000_000_000), Money(50_000_000_000_000_000), Money(300_000_000_000_000)];
    if seed % 7 == 3 { poor } else { [RICH; 3] }
}

fn mark(rig: &mut Rig, instrument: InstrumentId, bid: Price, history: &mut Vec<(Timestamp, Event)>) {
    let quantity = Quantity(1);
    let ask = Price(bid.0 + 2);
    let quote =
        Quote { bid, ask, bid_quantity: quantity, ask_quantity: quantity, received_ns: rig.now, ..Quote::default() };
    rig.marks[0].try_send(Mark { instrument, quote }).expect("room");
    rig.poll();
    history.push((rig.now, Event::Mark(instrument, quote)));
}

/// Runs one history; answers how often each reason denied.
fn run(seed: u64, events: usize, reasons: &mut BTreeMap<DenialReason, u64>) {
    let mut config = config();
    tighten(&mut config, seed);
    config.limits.strategies[0].rate = RateLimit { per_second: 20, burst: 8, cancel_reserve: 2 };
    config.limits.accounts[0].rate = RateLimit { per_second: 40, burst: 10, cancel_reserve: 3 };
    // Days pass between two events, and C34 has tests of its own.
    config.limits.accounts[0].max_unknown_age_ns = u64::MAX;
    if seed.is_multiple_of(8) {
        config.limits.permissions[2].max_order_quantity = Quantity::ZERO;
    }
    let mut rig = Rig::new(&config);
    let mut random = Random::new(seed);
    let mut history: Vec<(Timestamp, Event)> = Vec::new();
    let mut ids = Vec::new();
    for (asset, amount) in (0..).map(AssetId).zip(start_of(seed)) {
        rig.risk.start_balance(VenueId(0), asset, amount);
        history.push((rig.now, Event::Start(asset, amount)));
    }
    for instrument in [0, 1].map(InstrumentId) {
        mark(&mut rig, instrument, Price(9_999), &mut history);
    }
    for step in 0..events {
        let night = if random.one_in(1_000) { 86_400_000_000_000 } else { 0 };
        rig.now = rig.now.plus(random.below(4_000_000) + night);
        let now = rig.now;
        // Cancels that are sent again go out before anything else of this instant.
        rig.poll();
        rig.gateway_cancels
            .drain(u64::MAX, |cancel| history.push((now, Event::Cancel(cancel.strategy, cancel.instrument))));
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
                let sent = expected.is_none().then(|| as_sent(&intent, &config));
                assert_eq!(approved, sent, "seed {seed} step {step}");
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
            600..=639 => {
                let (instrument, bid) = (InstrumentId(random.of(&[0, 0, 1])), 9_000 + random.below(2_000) as i64);
                mark(&mut rig, instrument, Price(bid), &mut history);
            }
            640..=979 if !ids.is_empty() => {
                let report = random_report(&ids, &mut random);
                rig.report(report);
                history.push((now, Event::Report(report)));
            }
            980..=985 => {
                let session = random.of(&[SessionState::Down, SessionState::Ready, SessionState::Ready]);
                rig.session(session);
                rig.poll();
                history.push((now, Event::Session(session)));
            }
            986..=989 => match random.below(3) {
                0 => {
                    let strategy = StrategyId(random.of(&[0, 1]));
                    rig.commands.try_send(RiskCommand::Reset(strategy)).expect("room");
                    rig.poll();
                    history.push((now, Event::Reset(strategy)));
                }
                1 => {
                    let (used_weight, used_orders) = (random.of(&[0, 79, 80, 99]), random.of(&[0, 79, 80, 99]));
                    let budget = GatewayMessage::Budget {
                        venue: VenueId(0),
                        used_weight,
                        weight_limit: 100,
                        used_orders,
                        order_limit: 100,
                        received_ns: now,
                    };
                    rig.reports.try_send(budget).expect("room");
                    rig.poll();
                    history.push((now, Event::Budget(used_weight, used_orders)));
                }
                _ if seed.is_multiple_of(4) => {
                    let scope = random.of(&[
                        KillScope::Strategy(StrategyId(0)),
                        KillScope::Strategy(StrategyId(1)),
                        KillScope::Instrument(InstrumentId(0)),
                        KillScope::Venue(VenueId(0)),
                        KillScope::Account(VenueId(0)),
                    ]);
                    let is_killed = random.one_in(2);
                    if is_killed {
                        rig.kill.kill(scope)
                    } else {
                        rig.kill.release(scope)
                    }
                    rig.poll();
                    history.push((now, Event::Kill(scope, is_killed)));
                }
                _ => {}
            },
            990..=997 => {
                use TradingState::{Active, CancelOnly, ReduceOnly};
                let state = random.of(&[Active, Active, Active, Active, ReduceOnly, CancelOnly]);
                rig.commands.try_send(RiskCommand::SetTradingState(state)).expect("room");
                rig.poll();
                history.push((now, Event::Command(state)));
            }
            999 if step > events * 9 / 10 => {
                rig.kill.kill(KillScope::Engine);
                rig.poll();
                history.push((now, Event::Kill(KillScope::Engine, true)));
            }
            _ => {}
        }
        rig.gateway_cancels.drain(u64::MAX, |cancel| {
            history.push((now, Event::Cancel(cancel.strategy, cancel.instrument)));
        });
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
        DenialReason::SelfTrade,
        DenialReason::LimitNotConfigured,
        DenialReason::KilledStrategy,
        DenialReason::KilledInstrument,
        DenialReason::KilledVenue,
        DenialReason::KilledAccount,
        DenialReason::RestrictedSymbol,
        DenialReason::DuplicateOrder,
        DenialReason::PriceDrift,
        DenialReason::MarketOrderNotAllowed,
        DenialReason::MaxOpenOrders,
        DenialReason::MaxRestingNotional,
        DenialReason::VenueBudget,
        DenialReason::RepeatExecution,
        DenialReason::OrderToTradeRatio,
        DenialReason::MaxGross,
        DenialReason::MaxNet,
        DenialReason::StaleFx,
        DenialReason::InsufficientBuyingPower,
        DenialReason::AllocationExceeded,
        DenialReason::MaxTurnover,
        DenialReason::MaxDailyTurnover,
        DenialReason::DailyLossLimit,
        DenialReason::MaxDrawdown,
    ]
    .into_iter()
    .filter(|reason| !reasons.contains_key(reason))
    .collect();
    assert!(uncovered.is_empty(), "never seen: {uncovered:?}; seen {reasons:?}");
}
