//! What follows from a history: every figure that a control looks at.

use super::order::{Known, News};
use super::{Event, Verdict};
use crate::risk::{KillScope, LimitsTable, Override, RiskConfig};
use crate::types::*;
use std::collections::{BTreeMap, BTreeSet};

pub const BPS: i128 = 10_000;
pub const DAY_NS: u64 = 86_400_000_000_000;
const RETRIES_MAX: u32 = 8;
const SECOND_NS: u64 = 1_000_000_000;

/// A strategy in an instrument.
pub type Place = (StrategyId, InstrumentId);

/// What one strategy holds of one instrument, at average cost; amounts in the quote asset.
#[derive(Clone, Copy, Default)]
pub struct Position {
    pub quantity: i128,
    pub cost: i128,
    realized: i128,
    fees: i128,
    /// When it could be worked out last.
    unrealized: i128,
}

/// What a strategy made, in the account's currency.
#[derive(Clone, Copy, Default)]
pub struct Results {
    day: u64,
    profit: i128,
    day_start: i128,
    best: i128,
    pub day_turnover: i128,
    /// What passed the limit.
    pub loss_tripped: Option<i128>,
    pub drawdown_tripped: Option<i128>,
}

impl Results {
    pub fn loss(&self) -> i128 {
        self.day_start - self.profit
    }

    pub fn drawdown(&self) -> i128 {
        self.best - self.profit
    }
}

/// An order that passed: as the venue was to see it, before any protection, and the market it was decided in.
pub struct Passed {
    pub at: Timestamp,
    pub order: Order,
    pub stamp: MarketStamp,
}

/// A fill that was booked.
pub struct Booked {
    pub at: Timestamp,
    pub strategy: StrategyId,
    pub parent: u32,
    pub quantity: i128,
    /// In the account's currency at the rate of then.
    pub worth: i128,
}

/// What the first part of a larger order fixed.
#[derive(Clone, Copy)]
pub struct Whole {
    pub instrument: InstrumentId,
    pub side: Side,
    pub quantity: Quantity,
}

/// A rate into the account's currency, as a fraction, and when it was told.
#[derive(Clone, Copy)]
pub struct Rate {
    over: i128,
    under: i128,
    at: Timestamp,
}

impl Rate {
    pub fn up(self, amount: i128) -> i128 {
        -(-amount * self.over).div_euclid(self.under)
    }

    pub fn down(self, amount: i128) -> i128 {
        (amount * self.over).div_euclid(self.under)
    }
}

/// What the venue refused, or filled, of somebody since a person looked last, and how much it was when it was too much.
#[derive(Clone, Default)]
pub struct Breaker {
    at: Vec<Timestamp>,
    pub tripped: Option<i128>,
}

impl Breaker {
    /// As an earlier run left it.
    fn tripped_by(count: u32) -> Self {
        Self { tripped: Some(i128::from(count)), ..Self::default() }
    }

    /// Counts one more; trips where there are at least so many within eight parts.
    fn count(&mut self, now: Timestamp, window_ns: u64, most: i128) {
        self.at.push(now);
        let count = self.at.iter().filter(|at| is_within(**at, now, window_ns)).count() as i128;
        if count >= most {
            self.tripped.get_or_insert(count);
        }
    }
}

/// How old a rate is that is too old; the end of the range where there is none.
pub struct Stale(pub i128);

/// Everything that follows from a history.
pub struct World<'a> {
    pub config: &'a RiskConfig,
    pub now: Timestamp,
    pub limits: &'a LimitsTable,
    pub orders: BTreeMap<ClientOrderId, Known>,
    /// By the venue's numbers.
    at_venue: BTreeMap<(InstrumentId, u64), ClientOrderId>,
    /// How many orders that are not ours were adopted.
    adopted: u64,
    /// Ended orders, the oldest first: their slots may be used again.
    retired: Vec<ClientOrderId>,
    pub passed: Vec<Passed>,
    pub last_id: BTreeMap<StrategyId, ClientOrderId>,
    pub wholes: BTreeMap<(StrategyId, u32), Whole>,
    pub positions: BTreeMap<Place, Position>,
    pub messages: Vec<(Timestamp, StrategyId, InstrumentId)>,
    pub fills: Vec<Booked>,
    /// Executions that were booked, and whether that was for an order that is held.
    executions: BTreeMap<(InstrumentId, u64), bool>,
    pub state: TradingState,
    pub reduce_only: BTreeSet<Place>,
    pub reduce_only_instruments: BTreeSet<InstrumentId>,
    /// Where an order that is not ours found no room.
    pub cancel_only_instruments: BTreeSet<InstrumentId>,
    pub session: SessionState,
    /// Whether a round has ended since the session came up; when the running one began; whether one was compared.
    pub is_reconciled: bool,
    begun: Option<Timestamp>,
    is_compared: bool,
    pub killed: BTreeSet<KillScope>,
    pub generation: i128,
    quotes: BTreeMap<InstrumentId, Quote>,
    /// What positions are valued at.
    pub prices: BTreeMap<InstrumentId, i128>,
    rates: BTreeMap<AssetId, Rate>,
    /// What the account holds.
    balances: BTreeMap<AssetId, i128>,
    pub results: BTreeMap<StrategyId, Results>,
    /// Entries in a row, buys and sells.
    pub rows: BTreeMap<Place, [u32; 2]>,
    pub repeat_tripped: BTreeSet<StrategyId>,
    /// The venue's newest count: weight and orders, each with its limit.
    pub budget: Option<(Timestamp, [(u32, u32); 2])>,
    pub overrides: Vec<Override>,
    /// Refusals, by strategy and of the whole account.
    pub rejects: BTreeMap<Option<StrategyId>, Breaker>,
    pub fill_rate: BTreeMap<StrategyId, Breaker>,
    /// How far the first fill that was too far off was, in basis points.
    pub slippage: BTreeMap<StrategyId, i128>,
    pub is_reported: bool,
    /// What is traded in a day, as told last.
    pub day_volumes: BTreeMap<InstrumentId, i128>,
    /// The venue's clock less ours, and by how much ours jumped since that was measured.
    pub clock: (i64, i64),
    /// When each shard was heard last.
    heard: BTreeMap<usize, Timestamp>,
    silent: BTreeSet<usize>,
    /// When risk's own thread looked last.
    looked: Timestamp,
    /// What the running round was told, what the last one found to differ, and whether two found the same.
    stated: BTreeMap<AssetId, i128>,
    differences: BTreeMap<AssetId, i128>,
    pub is_broken: bool,
    /// What the last event made risk deny: a cancel, or an order that the gateway could not write.
    pub said: Option<Denial>,
}

impl<'a> World<'a> {
    /// What follows at `now` from everything before.
    pub fn of(
        history: &'a [(Timestamp, Event)],
        now: Timestamp,
        config: &'a RiskConfig,
        balances: &[(AssetId, i128)],
    ) -> Self {
        let mut world = Self {
            config,
            now,
            limits: &config.limits,
            orders: BTreeMap::new(),
            at_venue: BTreeMap::new(),
            adopted: 0,
            retired: Vec::new(),
            passed: Vec::new(),
            last_id: BTreeMap::new(),
            wholes: BTreeMap::new(),
            positions: (config.permissions.iter().map(|p| (p.strategy, p.instrument)))
                .chain(config.instruments.iter().map(|instrument| (StrategyId::NONE, instrument.id)))
                .map(|place| (place, Position::default()))
                .collect(),
            messages: Vec::new(),
            fills: Vec::new(),
            executions: BTreeMap::new(),
            state: config.trading_state,
            reduce_only: BTreeSet::new(),
            reduce_only_instruments: BTreeSet::new(),
            cancel_only_instruments: BTreeSet::new(),
            session: SessionState::Ready,
            is_reconciled: true,
            begun: None,
            is_compared: false,
            killed: BTreeSet::new(),
            generation: 0,
            quotes: BTreeMap::new(),
            prices: BTreeMap::new(),
            rates: BTreeMap::new(),
            balances: balances.iter().copied().collect(),
            results: (0u16..)
                .map(StrategyId)
                .zip(&config.shard_of_strategy)
                .map(|(id, _)| (id, Results::default()))
                .collect(),
            rows: BTreeMap::new(),
            repeat_tripped: BTreeSet::new(),
            budget: None,
            overrides: Vec::new(),
            rejects: BTreeMap::new(),
            fill_rate: BTreeMap::new(),
            slippage: BTreeMap::new(),
            day_volumes: (0..)
                .map(InstrumentId)
                .zip(config.day_volumes.iter().map(|told| i128::from(told.0)))
                .collect(),
            is_reported: true,
            clock: (0, 0),
            heard: BTreeMap::new(),
            silent: BTreeSet::new(),
            looked: Timestamp::from_millis(1_000),
            stated: BTreeMap::new(),
            differences: BTreeMap::new(),
            is_broken: false,
            said: None,
        };
        if let Some(currency) = config.currency {
            world.rates.insert(currency, Rate { over: 1, under: 1, at: Timestamp::UNKNOWN });
        }
        for latch in &config.latches {
            world.remember(latch);
        }
        for (at, event) in history {
            world.now = *at;
            world.said = None;
            world.look();
            world.happen(event);
        }
        world.now = now;
        world.look();
        world
    }

    /// What an earlier run left behind.
    fn remember(&mut self, latch: &Latch) {
        match latch {
            Latch::Execution { instrument, execution_id } => {
                self.executions.insert((*instrument, *execution_id), true);
            }
            Latch::Ban { .. } => {}
            Latch::Account { rejects_tripped, .. } => {
                self.rejects.insert(None, Breaker::tripped_by(*rejects_tripped));
            }
            Latch::Strategy(latch) => {
                let results = Results {
                    day: u64::from(latch.day),
                    day_start: -latch.day_profit.0,
                    best: latch.drawdown.0.max(0),
                    day_turnover: latch.day_turnover.0,
                    ..Results::default()
                };
                let results = Results {
                    loss_tripped: latch.is_loss_tripped.then(|| results.loss()),
                    drawdown_tripped: latch.is_drawdown_tripped.then(|| results.drawdown()),
                    ..results
                };
                self.results.insert(latch.strategy, results);
                for place in self.positions.keys().filter(|place| place.0 == latch.strategy) {
                    self.rows.insert(*place, latch.repeats);
                }
                if latch.is_repeat_tripped {
                    self.repeat_tripped.insert(latch.strategy);
                }
                if latch.rejects_tripped > 0 {
                    self.rejects.insert(Some(latch.strategy), Breaker::tripped_by(latch.rejects_tripped));
                }
                if latch.fill_rate_tripped > 0 {
                    self.fill_rate.insert(latch.strategy, Breaker::tripped_by(latch.fill_rate_tripped));
                }
                if latch.slippage_tripped_bps > 0 {
                    self.slippage.insert(latch.strategy, i128::from(latch.slippage_tripped_bps));
                }
            }
        }
    }

    fn happen(&mut self, event: &'a Event) {
        match event {
            Event::Intent(intent, verdict) => self.on_intent(intent, verdict),
            Event::CancelAsked(id) => self.on_cancel_asked(*id),
            Event::CancelPassed(cancel) => self.on_cancel_passed(cancel),
            Event::Gateway(message) => self.on_gateway(message),
            Event::Command(RiskCommand::SetTradingState(state)) => self.set_state(*state),
            Event::Command(RiskCommand::Reset(strategy)) => self.reset(*strategy),
            Event::Command(RiskCommand::Clock { offset_ns, .. }) => self.clock = (*offset_ns, 0),
            Event::Command(RiskCommand::ClockJump { by_ns }) => self.clock.1 = *by_ns,
            Event::Command(RiskCommand::Volume { instrument, day_volume }) => {
                self.day_volumes.insert(*instrument, i128::from(day_volume.0));
            }
            // What that cancels is told as what was passed on.
            Event::Command(_) => {}
            Event::Limits(limits) => {
                if makes_sense(limits, self.limits) {
                    self.limits = limits;
                    self.count_results(|_| true);
                }
            }
            Event::Override(wanted) => self.on_override(*wanted),
            Event::Mark(shard, mark) if mark.instrument == InstrumentId::NONE => {
                self.heard.insert(*shard, self.now);
                self.silent.remove(shard);
            }
            Event::Mark(_, mark) => self.on_mark(mark),
            Event::Kill(scope, is_killed) => {
                self.generation += 1;
                if *is_killed {
                    self.killed.insert(*scope);
                } else {
                    self.killed.remove(scope);
                }
                if self.killed.contains(&KillScope::Engine) {
                    self.state = TradingState::Halted;
                }
            }
        }
    }

    // Orders and cancels.

    /// The order as the venue is to see it: of one that takes another's place, less what that one has filled.
    pub fn on_wire(&self, intent: &OrderIntent) -> Order {
        let order = intent.order;
        let filled = self.replaced(&order).map_or(0, |replaced| replaced.filled as i64);
        let rest = order.quantity.0.saturating_sub(filled);
        if filled == 0 || rest <= 0 { order } else { Order { quantity: Quantity(rest), ..order } }
    }

    /// The order whose place another takes.
    pub fn replaced(&self, order: &Order) -> Option<&Known> {
        if order.replaces == ClientOrderId::NONE { None } else { self.orders.get(&order.replaces) }
    }

    /// The worst price at which an order is taken to fill.
    pub fn worst_price(&self, order: &Order, stamp: &MarketStamp) -> Option<i128> {
        let touch = match (order.order_type, order.side) {
            (OrderType::Limit | OrderType::StopLimit, _) => return Some(i128::from(order.price.0)),
            (OrderType::Stop, _) => order.stop_price.0,
            (OrderType::Market, Side::Buy) => stamp.ask.0,
            (OrderType::Market, Side::Sell) => stamp.bid.0,
        };
        let limits = self.limits.instruments.get(order.instrument.index())?;
        let slip = ceil(i128::from(touch) * i128::from(limits.max_slippage_bps), BPS);
        let price = i128::from(touch) + sign(order.side) * slip;
        (touch > 0 && price > 0 && price <= i128::from(i64::MAX)).then_some(price)
    }

    /// The order as it is sent: where market orders are protected, with its worst price as the limit.
    pub fn as_sent(&self, order: &Order, stamp: &MarketStamp) -> Order {
        let is_protected = self
            .limits
            .instruments
            .get(order.instrument.index())
            .is_some_and(|limits| limits.market_orders == crate::risk::MarketOrders::Protect);
        let (Some(worst), false, true) = (self.worst_price(order, stamp), order.order_type.is_limited(), is_protected)
        else {
            return *order;
        };
        let tick = i128::from(self.instrument(order.instrument).tick.0);
        // To the tick that pays less.
        let price = match order.side {
            Side::Buy => worst / tick * tick,
            Side::Sell => ceil(worst, tick) * tick,
        };
        let price = Price(price as i64);
        match order.order_type {
            OrderType::Stop => Order { order_type: OrderType::StopLimit, price, ..*order },
            _ => {
                let time_in_force = TimeInForce::ImmediateOrCancel;
                Order { order_type: OrderType::Limit, time_in_force, price, ..*order }
            }
        }
    }

    fn on_intent(&mut self, intent: &OrderIntent, verdict: &Verdict) {
        let (stamp, wire) = (&intent.stamp, self.on_wire(intent));
        let (bid, ask) = (i128::from(stamp.bid.0), i128::from(stamp.ask.0));
        if bid > 0 && bid < ask && wire.instrument.index() < self.config.instruments.len() {
            self.prices.entry(wire.instrument).or_insert((bid + ask).div_euclid(2));
        }
        let id = wire.client_order_id;
        if id.strategy() == wire.strategy && self.results.contains_key(&wire.strategy) {
            let last = self.last_id.entry(wire.strategy).or_default();
            *last = id.max(*last);
        }
        match verdict {
            Err(denial) => {
                if denial.reason == DenialReason::OrderTableFull && self.has_room_at(&wire) {
                    self.make_room();
                }
            }
            Ok(used) => self.pass(intent, &wire, used),
        }
    }

    fn pass(&mut self, intent: &OrderIntent, wire: &Order, used: &[DenialReason]) {
        let stamp = &intent.stamp;
        for reason in used {
            let place = self.find_override(wire, *reason).expect("it was used");
            self.overrides[place].orders_left -= 1;
        }
        let is_exclusive = self.replaced(wire).is_some_and(|replaced| replaced.filled == 0);
        let mid = i128::from(stamp.bid.0) + i128::from(stamp.ask.0);
        let worst = self.worst_price(wire, stamp).expect("it passed");
        let twice_reference = if wire.order_type.is_stop() { 2 * i128::from(wire.stop_price.0) } else { mid };
        let sent = self.as_sent(wire, stamp);
        let known = Known { twice_reference, is_exclusive, ..Known::new(sent, worst, self.now) };
        assert!(self.make_room(), "there was room");
        self.orders.insert(wire.client_order_id, known);
        if wire.parent != 0 {
            let whole = Whole { instrument: wire.instrument, side: wire.side, quantity: wire.parent_quantity };
            self.wholes.entry((wire.strategy, wire.parent)).or_insert(whole);
        }
        self.messages.push((self.now, wire.strategy, wire.instrument));
        self.passed.push(Passed { at: self.now, order: *wire, stamp: *stamp });
        self.learn(wire.replaces, News::ReplaceRequested);
    }

    /// Whether there is a slot for one more order; where all are used, the oldest that ended and is due nothing leaves.
    fn make_room(&mut self) -> bool {
        if self.orders.len() < self.config.order_capacity {
            return true;
        }
        for _ in 0..16 {
            if self.retired.is_empty() {
                return false;
            }
            let id = self.retired.remove(0);
            let known = self.orders.get_mut(&id).expect("held");
            if known.is_open() {
                known.is_retired = false;
            } else if known.due() > 0 || known.retry_at.is_some() {
                self.retired.push(id);
            } else {
                let known = self.orders.remove(&id).expect("held");
                self.forget_at_venue(&known);
                return true;
            }
        }
        false
    }

    /// Whether one more order may rest on this side.
    pub fn has_room_at(&self, order: &Order) -> bool {
        let rest = self.orders.values().filter(|known| {
            (known.order.instrument, known.order.side) == (order.instrument, order.side) && known.may_rest()
        });
        rest.count() < self.config.order_capacity
    }

    pub fn has_room(&self) -> bool {
        let is_free = |id: &ClientOrderId| {
            let known = &self.orders[id];
            !known.is_open() && known.due() == 0 && known.retry_at.is_none()
        };
        self.orders.len() < self.config.order_capacity || self.retired.iter().take(16).any(is_free)
    }

    fn on_cancel_asked(&mut self, id: ClientOrderId) {
        let Some(known) = self.orders.get_mut(&id) else { return };
        if !known.is_open() || known.is_cancel_passed {
            return;
        }
        known.is_cancel_wanted = true;
        if known.retry_at.is_some() {
            return;
        }
        if known.retries > RETRIES_MAX {
            let (limit, observed) = (i128::from(RETRIES_MAX), i128::from(known.retries));
            self.said = Some(Denial { reason: DenialReason::CancelPending, limit, observed });
            return;
        }
        known.is_cancel_passed = true;
        self.learn(id, News::CancelPassed);
    }

    /// A cancel that nobody asked for in this moment is one that is sent again, or one that risk itself wants.
    fn on_cancel_passed(&mut self, cancel: &CancelIntent) {
        self.messages.push((self.now, cancel.strategy, cancel.instrument));
        let now = self.now;
        let Some(known) = self.orders.get_mut(&cancel.client_order_id) else { return };
        if known.is_cancel_passed {
            return;
        }
        if known.retry_at.is_none_or(|due| due > now) {
            known.retries = 0;
        }
        known.retry_at = None;
        known.is_cancel_wanted = true;
        known.is_cancel_passed = true;
        self.learn(cancel.client_order_id, News::CancelPassed);
    }

    /// One order changed, and those that hang on it.
    fn learn(&mut self, id: ClientOrderId, news: News) {
        let now = self.now;
        let Some(known) = self.orders.get_mut(&id) else { return };
        let was = known.status;
        let was_open = known.is_open();
        known.learn(news);
        let is = known.status;
        if (was == OrderStatus::Unknown) != (is == OrderStatus::Unknown) {
            known.unknown_since = (is == OrderStatus::Unknown).then_some(now);
        }
        if !known.is_open() && !known.is_retired {
            known.is_retired = true;
            self.retired.push(id);
        }
        let is_evidence = matches!(news, News::Accepted | News::CancelRejected | News::FoundWorking);
        if is_evidence
            && known.is_open()
            && !known.is_cancel_passed
            && known.retry_at.is_none()
            && known.is_cancel_wanted
            && known.retries <= RETRIES_MAX
        {
            known.retries += 1;
            let wait = 10_000_000 << (known.retries - 1);
            known.retry_at = (known.retries <= RETRIES_MAX).then(|| now.plus(wait));
        }
        let Order { replaces, strategy, .. } = known.order;
        if was_open && is == OrderStatus::Rejected {
            let (ours, account) = (self.limits.strategies.get(strategy.index()), &self.limits.accounts[0]);
            let ours = ours.map(|limits| (Some(strategy), limits.reject_window_ns, limits.max_rejects));
            let all = (None, account.reject_window_ns, account.max_rejects);
            for (of, window, most) in ours.into_iter().chain([all]) {
                self.rejects.entry(of).or_default().count(now, window, i128::from(most));
            }
        }
        if was_open && matches!(is, OrderStatus::Rejected | OrderStatus::Denied) {
            self.learn(replaces, News::ReplaceRefused);
        }
    }

    // Reports.

    fn on_gateway(&mut self, message: &GatewayMessage) {
        match *message {
            GatewayMessage::Report(ref report) => self.on_report(report),
            GatewayMessage::Session { state, .. } => {
                self.session = state;
                if state == SessionState::Down {
                    (self.is_reconciled, self.begun) = (false, None);
                }
            }
            GatewayMessage::Transfer { asset, amount, .. } => *self.balances.entry(asset).or_default() += amount.0,
            GatewayMessage::Budget { used_weight, weight_limit, used_orders, order_limit, received_ns, .. } => {
                self.budget = Some((received_ns, [(used_weight, weight_limit), (used_orders, order_limit)]));
            }
            GatewayMessage::ReportStream { is_up, .. } => self.is_reported = is_up,
            GatewayMessage::Round { round, .. } => self.on_round(round),
            GatewayMessage::Balance { asset, total, .. } => {
                self.stated.insert(asset, total.0);
            }
        }
    }

    fn on_round(&mut self, round: Round) {
        match (round, self.begun) {
            (Round::Begun, _) => {
                self.begun = Some(self.now);
                self.stated.clear();
            }
            (Round::Failed, _) => self.begun = None,
            (Round::Ended { .. }, None) => {}
            (Round::Ended { is_conclusive }, Some(begun)) => {
                (self.begun, self.is_reconciled) = (None, true);
                // What is not ours and was not told in it is over, and nothing of it is missing.
                let is_untold = |known: &&Known| !known.is_ours() && known.updated < begun;
                let untold = self.orders.values().filter(is_untold).map(|known| known.order.client_order_id);
                for id in untold.collect::<Vec<_>>() {
                    self.learn(id, News::Ended(OrderStatus::Canceled));
                    let known = self.orders.get_mut(&id).expect("held");
                    known.adopted += known.due();
                }
                if is_conclusive {
                    self.compare_books();
                }
            }
        }
    }

    /// A difference that two rounds in a row found is a break; a round that finds none ends it. What the first one finds is
    /// what the account began with, if we had sent nothing.
    fn compare_books(&mut self) {
        let of = |map: &BTreeMap<AssetId, i128>, asset| map.get(&asset).copied().unwrap_or(0);
        let assets = (0..self.config.instruments.assets().len() as u16).map(AssetId);
        if !self.is_compared && self.passed.is_empty() {
            self.balances.extend(assets.clone().map(|asset| (asset, of(&self.stated, asset))));
        }
        self.is_compared = true;
        let found = assets.map(|asset| (asset, of(&self.balances, asset) - of(&self.stated, asset)));
        let found: BTreeMap<AssetId, i128> = found.collect();
        let is_same = |(asset, off): (&AssetId, &i128)| *off != 0 && self.differences.get(asset) == Some(off);
        let (agrees, is_break) = (found.values().all(|off| *off == 0), found.iter().any(is_same));
        self.is_broken = is_break || self.is_broken && !agrees;
        self.differences = found;
    }

    /// The order that a report is about: by our id, or by the venue's number.
    fn find(&self, report: &ExecutionReport) -> Option<ClientOrderId> {
        let id = report.client_order_id;
        if self.orders.contains_key(&id) {
            return Some(id);
        }
        self.at_venue.get(&(report.instrument, report.venue_order_id)).copied().filter(|_| report.venue_order_id != 0)
    }

    fn name_at_venue(&mut self, id: ClientOrderId, venue_order_id: u64) {
        let known = self.orders[&id].clone();
        if venue_order_id != 0 && venue_order_id != known.venue_order_id {
            self.forget_at_venue(&known);
            self.at_venue.insert((known.order.instrument, venue_order_id), id);
            self.orders.get_mut(&id).expect("held").venue_order_id = venue_order_id;
        }
    }

    fn forget_at_venue(&mut self, known: &Known) {
        let number = (known.order.instrument, known.venue_order_id);
        if self.at_venue.get(&number) == Some(&known.order.client_order_id) {
            self.at_venue.remove(&number);
        }
    }

    /// A report of an order that is not held: what is open of it is adopted, and then as any other; else its fill is booked.
    fn on_external(&mut self, report: &ExecutionReport) -> Option<ClientOrderId> {
        let id = report.client_order_id;
        if id != ClientOrderId::NONE && id.epoch() > self.config.epoch {
            self.state = TradingState::Halted;
        }
        if report.instrument.index() >= self.config.instruments.len() {
            return None;
        }
        let is_fill = report.kind == ReportKind::Fill;
        let is_open = match report.kind {
            ReportKind::Accepted => true,
            ReportKind::Fill => report.cumulative_quantity < report.order_quantity,
            ReportKind::Status => matches!(report.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled),
            _ => false,
        };
        if is_open && report.venue_order_id != 0 {
            self.adopted += 1;
            if self.make_room() {
                return Some(self.adopt(report));
            }
            self.cancel_only_instruments.insert(report.instrument);
        }
        let is_sound = report.execution_id != 0 && report.last_price.0 > 0 && report.last_quantity.0 > 0;
        let execution = (report.instrument, report.execution_id);
        if is_fill && is_sound && !self.executions.contains_key(&execution) {
            self.executions.insert(execution, false);
            self.book((StrategyId::NONE, report.instrument), report.side, report);
            self.check_position(report.instrument);
        }
        None
    }

    /// Under an id that no order of ours has: epoch zero, and a strategy that there cannot be.
    fn adopt(&mut self, report: &ExecutionReport) -> ClientOrderId {
        let client_order_id = ClientOrderId((u64::from(StrategyId::MAX.0) + 1) << 32 | self.adopted);
        let order = Order {
            client_order_id,
            price: report.order_price,
            quantity: report.order_quantity,
            instrument: report.instrument,
            strategy: StrategyId::NONE,
            side: report.side,
            ..Order::default()
        };
        let adopted = i128::from(report.cumulative_quantity.0 - report.last_quantity.0).max(0);
        let known = Known {
            status: OrderStatus::Accepted,
            is_acknowledged: true,
            adopted,
            venue_filled: adopted,
            ..Known::new(order, i128::from(report.order_price.0), self.now)
        };
        if known.due() > 0 && known.worst > 0 {
            self.prices.entry(report.instrument).or_insert(known.worst);
        }
        self.orders.insert(client_order_id, known);
        client_order_id
    }

    fn on_report(&mut self, report: &ExecutionReport) {
        use OrderStatus::*;
        let Some(id) = self.find(report).or_else(|| self.on_external(report)) else { return };
        self.name_at_venue(id, report.venue_order_id);
        let now = self.now;
        let known = self.orders.get_mut(&id).expect("held");
        known.updated = now;
        known.venue_filled = known.venue_filled.max(i128::from(report.cumulative_quantity.0));
        let news = match report.kind {
            ReportKind::Fill => return self.on_fill(id, report),
            ReportKind::NotSent => {
                if known.is_open() && !known.is_acknowledged {
                    self.said = Some(Denial { reason: DenialReason::GatewayBusy, limit: 0, observed: 1 });
                    self.learn(id, News::NotSent);
                }
                return;
            }
            ReportKind::Sent => News::Sent,
            ReportKind::Accepted => News::Accepted,
            ReportKind::Canceled => News::Ended(Canceled),
            ReportKind::Rejected => News::Ended(Rejected),
            ReportKind::Expired => News::Ended(Expired),
            ReportKind::CancelRejected => News::CancelRejected,
            ReportKind::Unknown => News::Unproven,
            ReportKind::Status => match report.status {
                Created | Sent | Unknown => News::Unproven,
                Accepted | PartiallyFilled | PendingCancel | PendingReplace => News::FoundWorking,
                Denied => News::Ended(Rejected),
                end => News::Ended(end),
            },
        };
        self.learn(id, news);
    }

    fn on_fill(&mut self, id: ClientOrderId, report: &ExecutionReport) {
        let known = self.orders[&id].clone();
        let order = known.order;
        let place = (order.strategy, order.instrument);
        if report.execution_id == 0 || report.last_price.0 <= 0 || report.last_quantity.0 <= 0 {
            return self.learn(id, News::Accepted);
        }
        match self.executions.insert((order.instrument, report.execution_id), true) {
            None => {}
            // It was told by the venue's number before we knew that of our order: it is taken back.
            Some(false) if known.is_ours() => {
                let reversed = ExecutionReport { fee: -report.fee, ..*report };
                self.book((StrategyId::NONE, order.instrument), order.side.opposite(), &reversed);
            }
            // It was booked before its order was adopted.
            Some(false) => {
                self.orders.get_mut(&id).expect("held").adopted += i128::from(report.last_quantity.0);
                return;
            }
            Some(true) => return,
        }
        if known.is_ours() {
            self.count_entry(&known);
        }
        let worth = self.book(place, order.side, report);
        let quantity = i128::from(report.last_quantity.0);
        self.fills.push(Booked { at: self.now, strategy: place.0, parent: order.parent, quantity, worth });
        if known.is_ours() {
            self.watch_fill(&known, i128::from(report.last_price.0));
        }
        self.orders.get_mut(&id).expect("known").filled += quantity;
        self.learn(id, News::Filled);
        let number = self.config.permissions.iter().position(|p| (p.strategy, p.instrument) == place);
        let most = number.map(|number| i128::from(self.limits.permissions[number].max_position.0));
        if most.is_some_and(|most| self.positions[&place].quantity.abs() > most) {
            self.reduce_only.insert(place);
        }
        self.check_position(place.1);
        if let Some(results) = self.results.get_mut(&place.0) {
            results.day_turnover = results.day_turnover.saturating_add(worth);
        }
        self.count_results(|strategy| strategy == place.0);
    }

    /// A fill may bring everybody's position past its limit.
    fn check_position(&mut self, instrument: InstrumentId) {
        let all: i128 = self.positions.iter().filter(|(of, _)| of.1 == instrument).map(|(_, p)| p.quantity).sum();
        if all.abs() > i128::from(self.limits.instruments[instrument.index()].max_position.0) {
            self.reduce_only_instruments.insert(instrument);
        }
    }

    /// The first fill of an order that adds to the position, or turns it over, is an entry; but an order that took the
    /// place of one that had begun to fill goes on with that one's.
    fn count_entry(&mut self, known: &Known) {
        let order = &known.order;
        let place = (order.strategy, order.instrument);
        let against = -sign(order.side) * self.positions[&place].quantity;
        let goes_on = self.replaced(order).is_some_and(|replaced| replaced.filled > 0);
        if known.filled > 0 || goes_on || i128::from(order.quantity.0) <= against {
            return;
        }
        let row = self.rows.entry(place).or_default();
        let count = row[order.side.index()] + 1;
        *row = [0; 2];
        row[order.side.index()] = count;
        if count >= self.limits.strategies[place.0.index()].max_repeat_executions {
            self.repeat_tripped.insert(place.0);
        }
    }

    /// Fills that are too many within a second, or too far beyond what was decided on.
    fn watch_fill(&mut self, known: &Known, price: i128) {
        let (strategy, reference) = (known.order.strategy, known.twice_reference);
        let limits = &self.limits.strategies[strategy.index()];
        let most = i128::from(limits.max_fills_per_second) + 1;
        self.fill_rate.entry(strategy).or_default().count(self.now, SECOND_NS, most);
        let beyond = (2 * price - reference) * sign(known.order.side);
        if beyond * BPS > reference * i128::from(limits.max_fill_slippage_bps) {
            self.slippage.entry(strategy).or_insert(ceil(beyond * BPS, reference));
        }
    }

    /// Books a fill at average cost; answers what it traded in the account's currency, more than any limit where that
    /// cannot be told.
    fn book(&mut self, place: Place, side: Side, report: &ExecutionReport) -> i128 {
        let instrument = *self.instrument(place.1);
        let (unit, lot) = (unit(&instrument), base_unit(&instrument));
        let (price, size) = (i128::from(report.last_price.0), i128::from(report.last_quantity.0));
        let fee = i128::from(report.fee) * 10_000_000_000;
        let fee_in_quote = self.fee_in_quote(fee, report.fee_asset, &instrument, price);
        let quantity = sign(side) * size;
        let position = self.positions.get_mut(&place).expect("permitted");
        let closing = if position.quantity.signum() == -sign(side) { size.min(position.quantity.abs()) } else { 0 };
        if closing > 0 {
            let cost = position.cost * closing / position.quantity.abs();
            position.realized -= sign(side) * closing * price * unit + cost;
            position.cost -= cost;
        }
        position.cost += sign(side) * (size - closing) * price * unit;
        position.quantity += quantity;
        position.fees += fee_in_quote.unwrap_or(0);
        for (asset, change) in
            [(instrument.base, quantity * lot), (instrument.quote, -quantity * price * unit), (report.fee_asset, -fee)]
        {
            *self.balances.entry(asset).or_default() += change;
        }
        self.prices.entry(place.1).or_insert(price);
        self.count_unrealized(place);
        self.rates.get(&instrument.quote).map_or(i128::MAX, |rate| rate.up(size * price * unit))
    }

    fn fee_in_quote(&self, fee: i128, asset: AssetId, instrument: &Instrument, price: i128) -> Option<i128> {
        if fee == 0 || asset == instrument.quote {
            return Some(fee);
        }
        if asset == instrument.base {
            let scale = 10i128.pow(u32::from(instrument.price_precision));
            let away = |amount: i128| ceil(amount * price, scale);
            return Some(if fee < 0 { -away(-fee) } else { away(fee) });
        }
        let (from, to) = (self.rates.get(&asset)?, self.rates.get(&instrument.quote)?);
        let value = from.up(fee);
        Some(Rate { over: to.under, under: to.over, at: to.at }.up(value))
    }

    // Marks, money, results.

    fn on_mark(&mut self, mark: &Mark) {
        if mark.instrument.index() >= self.config.instruments.len() {
            return;
        }
        self.quotes.insert(mark.instrument, mark.quote);
        let quote = &mark.quote;
        if quote.bid_quantity.0 > 0 && quote.ask_quantity.0 > 0 && quote.bid < quote.ask {
            let mid = (i128::from(quote.bid.0) + i128::from(quote.ask.0)).div_euclid(2);
            self.prices.insert(mark.instrument, mid);
            let instrument = *self.instrument(mark.instrument);
            let at = if quote.received_ns.is_known() { quote.received_ns } else { self.now };
            let scale = 10i128.pow(u32::from(instrument.price_precision));
            for source in self.config.rate_sources.iter().filter(|source| source.instrument == mark.instrument) {
                let is_base = source.asset == instrument.base;
                let (over, under) = if is_base { (mid, scale) } else { (scale, mid) };
                if mid > 0 {
                    self.rates.insert(source.asset, Rate { over, under, at });
                }
            }
        }
        let holders: Vec<Place> = self.positions.keys().filter(|place| place.1 == mark.instrument).copied().collect();
        for place in holders {
            self.count_unrealized(place);
        }
        self.count_results(|_| true);
    }

    /// A long position closes at the bid, a short one at the ask; where that is missing the last figure stands.
    fn count_unrealized(&mut self, place: Place) {
        let unit = unit(self.instrument(place.1));
        let quote = self.quotes.get(&place.1).copied().unwrap_or_default();
        let position = self.positions.get_mut(&place).expect("permitted");
        let (price, resting) = match position.quantity.signum() {
            0 => {
                position.unrealized = 0;
                return;
            }
            1 => (quote.bid.0, quote.bid_quantity.0),
            _ => (quote.ask.0, quote.ask_quantity.0),
        };
        if price > 0 && resting > 0 {
            position.unrealized = position.quantity * i128::from(price) * unit - position.cost;
        }
    }

    /// What each strategy made, in the account's currency at the newest rates; and what that trips.
    fn count_results(&mut self, of: impl Fn(StrategyId) -> bool) {
        for (strategy, results) in self.results.iter_mut().filter(|(strategy, _)| of(**strategy)) {
            let mut made: BTreeMap<AssetId, i128> = BTreeMap::new();
            for (place, position) in self.positions.iter().filter(|(place, _)| place.0 == *strategy) {
                let quote = self.config.instruments.get(place.1).expect("known").quote;
                *made.entry(quote).or_default() += position.realized - position.fees + position.unrealized;
            }
            let worth = |(asset, amount): (&AssetId, &i128)| match amount {
                0 => Some(0),
                amount => Some(self.rates.get(asset)?.down(*amount)),
            };
            // Where there is no rate the last figure stands.
            if let Some(profit) = made.iter().map(worth).sum::<Option<i128>>() {
                results.profit = profit;
                results.best = results.best.max(profit);
            }
            let limits = &self.limits.strategies[strategy.index()];
            let (loss, drawdown) = (results.loss(), results.drawdown());
            if limits.max_daily_loss.0 > 0 && loss > limits.max_daily_loss.0 {
                results.loss_tripped.get_or_insert(loss);
            }
            if limits.max_drawdown.0 > 0 && drawdown > limits.max_drawdown.0 {
                results.drawdown_tripped.get_or_insert(drawdown);
            }
        }
    }

    /// Time went on to this instant. Where risk's own thread paused, the others' may have too: silence counts from here.
    fn look(&mut self) {
        self.turn_day();
        // When the first cancel is sent again, those of orders that ended meanwhile are forgotten.
        let now = self.now;
        if self.orders.values().any(|known| known.retry_at.is_some_and(|due| due <= now)) {
            self.orders.values_mut().filter(|known| !known.is_open()).for_each(|known| known.retry_at = None);
        }
        let pause = self.now.since(self.looked);
        self.looked = self.now;
        for (shard, heard) in &mut self.heard {
            if pause > SECOND_NS / 4 && !self.silent.contains(shard) {
                *heard = self.now;
            }
            if self.now.since(*heard) > SECOND_NS {
                self.silent.insert(*shard);
            }
        }
    }

    fn turn_day(&mut self) {
        let day = self.now.nanos() / DAY_NS;
        for results in self.results.values_mut().filter(|results| day > results.day) {
            results.day = day;
            results.day_turnover = 0;
            results.day_start = results.profit;
            results.loss_tripped = None;
        }
    }

    // Commands.

    fn set_state(&mut self, state: TradingState) {
        if self.killed.contains(&KillScope::Engine) && state != TradingState::Halted {
            return;
        }
        if state == TradingState::Active {
            self.reduce_only.clear();
            self.reduce_only_instruments.clear();
            self.cancel_only_instruments.clear();
        }
        self.state = state;
    }

    fn reset(&mut self, strategy: StrategyId) {
        if strategy == StrategyId::NONE && self.is_broken {
            // What could not be explained came, or left.
            for (asset, off) in std::mem::take(&mut self.differences) {
                *self.balances.entry(asset).or_default() -= off;
            }
            self.is_broken = false;
        }
        let is_meant = |owner: &StrategyId| strategy == StrategyId::NONE || *owner == strategy;
        self.rows.retain(|place, _| !is_meant(&place.0));
        self.repeat_tripped.retain(|owner| !is_meant(owner));
        self.rejects.retain(|owner, _| owner.map_or(strategy != StrategyId::NONE, |owner| !is_meant(&owner)));
        self.fill_rate.retain(|owner, _| !is_meant(owner));
        self.slippage.retain(|owner, _| !is_meant(owner));
        for (_, results) in self.results.iter_mut().filter(|(owner, _)| is_meant(owner)) {
            results.best = results.profit;
            results.drawdown_tripped = None;
        }
    }

    fn on_override(&mut self, wanted: Override) {
        let now = self.now;
        self.overrides.retain(|entry| entry.orders_left > 0 && entry.expires_ns > now);
        let is_sensible = Override::REASONS.contains(&wanted.reason)
            && wanted.requester != wanted.approver
            && wanted.orders_left > 0
            && wanted.expires_ns > now
            && wanted.strategy != StrategyId::NONE
            && self.positions.contains_key(&(wanted.strategy, wanted.instrument));
        if is_sensible && self.overrides.len() < 16 {
            self.overrides.push(wanted);
        }
    }

    /// The override by which an order passes a denial.
    pub fn find_override(&self, order: &Order, reason: DenialReason) -> Option<usize> {
        self.overrides.iter().position(|entry| {
            (entry.strategy, entry.instrument, entry.reason) == (order.strategy, order.instrument, reason)
                && entry.orders_left > 0
                && entry.expires_ns > self.now
        })
    }

    // What the controls ask.

    pub fn instrument(&self, id: InstrumentId) -> &'a Instrument {
        self.config.instruments.get(id).expect("known")
    }

    /// What of an order counts against limits: what it may fill, of one that excludes the order whose place it takes only
    /// what it may fill beyond that one; unless the venue has shown that it did not keep to it.
    pub fn reserve(&self, known: &Known) -> i128 {
        let shared = match self.replaced(&known.order).filter(|_| known.is_exclusive) {
            Some(replaced) if (replaced.filled > 0 || replaced.venue_filled > 0) && known.is_acknowledged => 0,
            Some(replaced) => self.reserve(replaced),
            None => 0,
        };
        (known.due() - shared).max(0)
    }

    /// At what price that counts: while another that excludes it may take its place, at the worse of both.
    pub fn held_price(&self, known: &Known) -> i128 {
        let may_come = |other: &&Known| {
            other.is_exclusive
                && other.order.replaces == known.order.client_order_id
                && !matches!(other.status, OrderStatus::Rejected | OrderStatus::Denied)
        };
        self.orders.values().filter(may_come).map(|other| other.worst).fold(known.worst, i128::max)
    }

    /// Orders of which anything is reserved, with how much.
    pub fn open<'b>(&'b self, of: impl Fn(&Order) -> bool + 'b) -> impl Iterator<Item = (&'b Known, i128)> + 'b {
        let orders = self.orders.values().filter(move |known| of(&known.order));
        orders.map(|known| (known, self.reserve(known))).filter(|(_, reserve)| *reserve > 0)
    }

    /// Booked, open buys, open sells.
    pub fn exposure(&self, of: impl Fn(Place) -> bool) -> (i128, i128, i128) {
        let booked = self.positions.iter().filter(|(place, _)| of(**place)).map(|(_, p)| p.quantity).sum();
        let (mut buys, mut sells) = (0, 0);
        for (known, reserve) in self.open(|order| of((order.strategy, order.instrument))) {
            match known.order.side {
                Side::Buy => buys += reserve,
                Side::Sell => sells += reserve,
            }
        }
        (booked, buys, sells)
    }

    /// What the account can still spend of an asset.
    pub fn free(&self, asset: AssetId) -> i128 {
        let held: i128 = self
            .open(|_| true)
            .map(|(known, reserve)| {
                let instrument = self.instrument(known.order.instrument);
                match known.order.side {
                    Side::Buy if instrument.quote == asset => reserve * self.held_price(known) * unit(instrument),
                    Side::Sell if instrument.base == asset => reserve * base_unit(instrument),
                    _ => 0,
                }
            })
            .sum();
        self.balances.get(&asset).copied().unwrap_or(0) - held
    }

    /// Whether a strategy's shard, once heard, was not heard for more than a second.
    pub fn is_silent(&self, strategy: StrategyId) -> bool {
        self.silent.contains(&self.config.shard_of_strategy[strategy.index()])
    }

    /// The rate of an asset, at most so old.
    pub fn rate(&self, asset: AssetId, age_max: u64) -> Result<Rate, Stale> {
        let rate = self.rates.get(&asset).ok_or(Stale(i128::MAX))?;
        let age = self.now.since(rate.at);
        if Some(asset) != self.config.currency && age > age_max { Err(Stale(i128::from(age))) } else { Ok(*rate) }
    }
}

pub fn sign(side: Side) -> i128 {
    if side == Side::Buy { 1 } else { -1 }
}

/// Rounded up; of numbers that are not negative.
pub fn ceil(part: i128, whole: i128) -> i128 {
    (part + whole - 1) / whole
}

/// What one quantity unit at one price unit is worth.
pub fn unit(instrument: &Instrument) -> i128 {
    10i128.pow(u32::from(18 - instrument.price_precision - instrument.quantity_precision))
}

/// One quantity unit of the base asset.
pub fn base_unit(instrument: &Instrument) -> i128 {
    10i128.pow(u32::from(18 - instrument.quantity_precision))
}

/// Limits that are of this engine, none negative, no reserve as large as its burst.
fn makes_sense(table: &LimitsTable, now: &LimitsTable) -> bool {
    let sizes = |t: &LimitsTable| [t.permissions.len(), t.instruments.len(), t.strategies.len(), t.accounts.len()];
    let permissions = table.permissions.iter().all(|limits| {
        limits.max_order_quantity.0.min(limits.max_position.0) >= 0
            && limits.max_order_notional.0.min(limits.allocation.0) >= 0
    });
    let instruments =
        table.instruments.iter().all(|limits| limits.max_position.0 >= 0 && limits.max_resting_notional.0 >= 0);
    let strategies = table.strategies.iter().all(|limits| {
        limits.max_turnover.0.min(limits.max_daily_turnover.0) >= 0
            && limits.max_daily_loss.0.min(limits.max_drawdown.0) >= 0
    });
    let accounts = table.accounts.iter().all(|limits| limits.max_gross.0.min(limits.max_net.0) >= 0);
    let mut rates = (table.instruments.iter().map(|limits| limits.rate))
        .chain(table.strategies.iter().map(|limits| limits.rate))
        .chain(table.accounts.iter().map(|limits| limits.rate));
    let rates = rates.all(|rate| rate.burst == 0 || rate.cancel_reserve < rate.burst);
    sizes(table) == sizes(now) && permissions && instruments && strategies && accounts && rates
}

/// Whether a window, counted in seventh parts of which the last is the one that `now` is in, has this instant in it.
pub fn is_within(at: Timestamp, now: Timestamp, window_ns: u64) -> bool {
    let part_ns = window_ns / 7 + 1;
    at.nanos() / part_ns + 8 > now.nanos() / part_ns
}
