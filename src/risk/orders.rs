//! Intents in: judged, then approved or denied.

use super::approved::Approved;
use super::breakers::{AccountBreakers, StrategyBreakers};
use super::budget::Budget;
use super::controls::{self, Explanation, Facts, Rate, Replaced, Terms};
use super::core::{Core, number};
use super::drift::Drift;
use super::exposure::Exposure;
use super::order_table::OrderRecord;
use super::overrides::Used;
use super::ratio::OrderToTrade;
use super::recent::Recent;
use super::recorded::Outcome;
use super::resting::OpenOrders;
use super::transitions::OrderEvent;
use crate::types::{
    ClientOrderId, Denial, DenialReason, Event, Notice, NoticeCode, Order, OrderIntent, OrderStatus, OrderUpdate,
    Price, Quantity, TradingState,
};

const NO_EXPOSURE: Exposure = Exposure::NONE;
static NOTHING_RECENT: Recent = Recent::NONE;
static NO_DRIFT: Drift = Drift::NONE;
static NO_BREAKERS: StrategyBreakers = StrategyBreakers::NONE;
static NO_ACCOUNT: AccountBreakers = AccountBreakers::NONE;
static NOTHING_SENT: OrderToTrade = OrderToTrade::NONE;

/// Whether the gateway has room for an order that passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Room {
    /// Its lane is asked.
    Asked,
    /// It had: that is written down.
    Recorded,
    /// It had none: that is written down.
    None,
}

impl Room {
    /// Whether the order is on its way; the lane is offered it unless there was no room.
    #[inline]
    fn has(self, send: impl FnOnce() -> bool) -> bool {
        match self {
            Self::Asked => send(),
            Self::Recorded => {
                send();
                true
            }
            Self::None => false,
        }
    }
}

/// An order that passed, and how.
#[derive(Clone, Copy, Debug)]
struct Passed {
    /// As it is sent.
    order: Order,
    /// The worst price at which it is taken to fill.
    worst: Price,
    /// Whether it excludes the order whose place it takes.
    is_exclusive: bool,
    room: Room,
    /// The overrides that it needed.
    used: Used,
}

impl Core {
    /// Judges an intent from this shard.
    pub(super) fn on_intent(&mut self, shard: usize, intent: &OrderIntent) {
        self.tap.write(Event::Intent { shard: number(shard), intent: *intent });
        self.now = self.now.max(intent.decided_ns);
        self.counters.intents.increment();
        let order = &intent.order;
        let place = self.books.find(order.strategy, order.instrument);
        let venue = self.books.market(order.instrument).map(|market| market.instrument.venue);
        if let Some(strategy) = self.strategies.get_mut(order.strategy.index()) {
            strategy.bucket.refill(&self.limits.strategy(order.strategy).rate, self.now);
        }
        if let Some(venue) = venue
            && let Some(state) = self.venues.get_mut(usize::from(venue.0))
        {
            state.bucket.refill(&self.limits.account(venue).rate, self.now);
        }
        if let Some(state) = self.instruments.get_mut(order.instrument.index()) {
            state.bucket.refill(&self.limits.instrument(order.instrument).rate, self.now);
        }
        self.prepare_finances(intent);
        if let Some(venue) = venue {
            self.settle_unknown(venue);
        }
        let (on_wire, is_exclusive) = self.on_wire(intent);
        let recorded = self.recorded.as_mut().map(|recorded| recorded.take(order.client_order_id));
        let facts = self.facts(&on_wire, intent.order.quantity, place);
        let (sent, worst) = (facts.protected_order(), facts.terms.worst_price.unwrap_or_default());
        let explained = match &self.asked {
            Some(asked) if asked.0 == order.client_order_id => Some(Explanation::of(&facts)),
            _ => None,
        };
        let passed = Passed { order: sent, worst, is_exclusive, room: Room::Asked, used: 0 };
        let verdict = match recorded {
            Some(recorded) => self.recorded_verdict(recorded, passed),
            None => match controls::evaluate(&facts) {
                Ok(()) => Ok(passed),
                Err(denial) => self.overrides.judge(&facts, denial).map(|used| Passed { used, ..passed }),
            },
        };
        if let Some(asked) = self.asked.as_mut().filter(|_| explained.is_some()) {
            asked.1 = explained;
        }
        let id = order.client_order_id;
        if id.strategy() == order.strategy
            && let Some(strategy) = self.strategies.get_mut(order.strategy.index())
        {
            strategy.last_id = strategy.last_id.max(id);
        }
        // An order that passed has a permission, and so a place.
        let verdict = verdict.and_then(|passed| {
            self.approve(&on_wire, &passed, place.ok_or_else(not_permitted)?)?;
            Ok(passed.used)
        });
        match verdict {
            Ok(0) => {}
            Ok(used) => self.use_overrides(used, intent),
            Err(denial) => {
                self.deny(shard, intent, place, &denial);
                if denial.reason == DenialReason::SelfTrade {
                    self.make_way(&intent.order, worst);
                }
            }
        }
    }

    /// What was decided on an order, where that is not for this run to decide. Its worst price is its own where it has one.
    #[cold]
    fn recorded_verdict(&self, recorded: Outcome, judged: Passed) -> Result<Passed, Denial> {
        let is_held = self.orders.find(judged.order.client_order_id).is_some();
        match recorded {
            // A second order under one id would take the first one's place in the table.
            Outcome::Approved { .. } if is_held => Err(not_permitted()),
            Outcome::Approved { order, only_if_unfilled } => {
                let worst = if order.order_type.is_limited() { order.price } else { judged.worst };
                Ok(Passed { order, worst, is_exclusive: only_if_unfilled, room: Room::Recorded, ..judged })
            }
            // It had passed every control, and ended in the table.
            Outcome::Denied(denial) if denial.reason == DenialReason::GatewayBusy && !is_held => {
                Ok(Passed { room: Room::None, ..judged })
            }
            Outcome::Denied(denial) => Err(denial),
        }
    }

    /// The intent as the venue is to see it, and whether it excludes the order whose place it takes: of a replacement, the
    /// quantity less what the replaced order has filled in our books. Where that leaves nothing the quantity stays as it
    /// was asked for, and C30 denies it.
    fn on_wire(&self, intent: &OrderIntent) -> (OrderIntent, bool) {
        let replaces = intent.order.replaces;
        let mut intent = *intent;
        let replaced = if replaces == ClientOrderId::NONE { None } else { self.orders.get(replaces) };
        let Some(replaced) = replaced else { return (intent, false) };
        let rest = intent.order.quantity.0.saturating_sub(replaced.filled.0);
        if rest > 0 {
            intent.order.quantity = Quantity(rest);
        }
        (intent, replaced.filled.0 == 0)
    }

    /// The order whose place another is to take.
    fn replaced(&self, id: ClientOrderId, wanted: Quantity) -> Option<Replaced<'_>> {
        if id == ClientOrderId::NONE {
            return None;
        }
        let record = self.orders.get(id)?;
        let is_open = |id| self.orders.get(id).is_some_and(|other| other.status.is_open());
        let is_settled = !is_open(record.order.replaces) && !is_open(record.replaced_by);
        Some(Replaced { record, is_settled, wanted })
    }

    /// Gathers what the controls look at.
    fn facts<'a>(&'a self, intent: &'a OrderIntent, wanted: Quantity, place: Option<u32>) -> Facts<'a> {
        let order = &intent.order;
        let holding = place.and_then(|place| self.books.holding(place));
        let market = self.books.market(order.instrument);
        let strategy = self.strategies.get(order.strategy.index());
        let venue = market.and_then(|market| self.venues.get(usize::from(market.instrument.venue.0)));
        let instrument_state = self.instruments.get(order.instrument.index());
        let instrument_limits = self.limits.instrument(order.instrument);
        let strategy_limits = self.limits.strategy(order.strategy);
        let account_limits =
            market.map_or(&super::AccountLimits::NONE, |market| self.limits.account(market.instrument.venue));
        let instrument = market.map(|market| &market.instrument);
        Facts {
            intent,
            terms: Terms::of(intent, instrument, instrument_limits.max_slippage_bps),
            now: self.now,
            kills: &self.kills,
            trading_state: holding.map_or(self.trading_state, |holding| holding.trading_state.max(self.trading_state)),
            instrument_state: market.map_or(TradingState::Active, |market| {
                let broken = self.is_broken(market.instrument.venue);
                market.trading_state.max(if broken { TradingState::ReduceOnly } else { TradingState::Active })
            }),
            session: venue.map(|venue| venue.session),
            permission: holding.map(|holding| &holding.permission),
            instrument,
            day_volume: market.map_or(Quantity::ZERO, |market| market.day_volume),
            last_id: strategy.map_or(ClientOrderId::NONE, |strategy| strategy.last_id),
            limits: place.map_or(&super::Limits::NONE, |place| self.limits.permission(place)),
            instrument_limits,
            strategy_limits,
            account_limits,
            replaced: self.replaced(order.replaces, wanted),
            parent: self.parents.facts(order),
            opposing: self.own_book.best(order.instrument, order.side.opposite()),
            exposure: holding.map_or(&NO_EXPOSURE, |holding| &holding.exposure),
            instrument_exposure: market.map_or(&NO_EXPOSURE, |market| &market.exposure),
            recent: strategy.map_or(&NOTHING_RECENT, |strategy| &strategy.recent),
            drift: instrument_state.map_or(&NO_DRIFT, |state| &state.drift),
            open_orders: market
                .map_or_else(OpenOrders::default, |market| self.resting.around(order, &market.instrument)),
            finances: self.finances(order, holding, market),
            strategy_rate: Rate {
                limit: &strategy_limits.rate,
                left: strategy.map_or(0, |strategy| strategy.bucket.left()),
            },
            instrument_rate: Rate {
                limit: &instrument_limits.rate,
                left: instrument_state.map_or(0, |state| state.bucket.left()),
            },
            venue_rate: Rate { limit: &account_limits.rate, left: venue.map_or(0, |venue| venue.bucket.left()) },
            budget: venue.map_or(&Budget::NONE, |venue| &venue.budget),
            repeats: place.map_or(0, |place| self.repeats.count(place, order.side)),
            is_repeat_tripped: self.repeats.is_tripped(order.strategy),
            order_to_trade: strategy.map_or(&NOTHING_SENT, |strategy| &strategy.order_to_trade),
            strategy_breakers: strategy.map_or(&NO_BREAKERS, |strategy| &strategy.breakers),
            account_breakers: venue.map_or(&NO_ACCOUNT, |venue| &venue.breakers),
            is_reconciled: venue.is_some_and(|venue| venue.reconciliation.is_reconciled),
            journal: self.journal,
            is_shard_silent: self.is_silent(order.strategy),
            identity: self.identity.as_ref(),
        }
    }

    /// Puts the order into the table with its reserve, and hands it to the gateway.
    ///
    /// # Errors
    /// `ORDER_TABLE_FULL`: nothing was done. A gateway without room is not an error here: the order is in the table
    /// by then, and ends there as denied.
    fn approve(&mut self, intent: &OrderIntent, passed: &Passed, place: u32) -> Result<(), Denial> {
        let Passed { order, worst, is_exclusive, room, .. } = *passed;
        let record = OrderRecord {
            order,
            status: OrderStatus::Created,
            received_ns: intent.received_ns,
            decided_ns: intent.decided_ns,
            approved_ns: self.now,
            updated_ns: self.now,
            twice_reference: twice_reference(intent),
            holding: place,
            is_exclusive,
            worst_price: worst,
            ..OrderRecord::default()
        };
        if room == Room::Asked && !self.own_book.has_room(order.instrument, order.side) {
            return Err(full(self.own_book.room()));
        }
        let slot = self.orders.insert(record).ok_or(full(self.orders.capacity()))?;
        self.parents.open(&order);
        self.reserve_due(slot);
        self.keep_own(slot);
        // In memory that outlives this process before it can be on the wire.
        if let Some(page) = &mut self.order_page {
            page.keep(&order, self.now, is_exclusive);
        }
        let approved = Approved::new(order, intent.received_ns, intent.decided_ns, self.now, is_exclusive);
        let venue = self.books.market(order.instrument).map(|market| usize::from(market.instrument.venue.0));
        let venue = venue.and_then(|venue| self.venues.get_mut(venue));
        if let Some(venue) = venue
            && room.has(|| venue.orders.try_send(approved).is_ok())
        {
            venue.has_sent = true;
            self.tap.write(Event::Approved { order, only_if_unfilled: is_exclusive });
            self.digest.fold(order.client_order_id.0);
            self.count_message(order.strategy, order.instrument);
            self.remember(intent);
            self.counters.approved.increment();
            self.replace_requested(&order, worst, is_exclusive);
        } else {
            self.gateway_busy(slot);
        }
        Ok(())
    }

    /// The order whose place this one takes, if one, waits for that.
    fn replace_requested(&mut self, order: &Order, worst: Price, is_exclusive: bool) {
        if order.replaces == ClientOrderId::NONE {
            return;
        }
        let Some(slot) = self.orders.find(order.replaces) else { return };
        if let Some(record) = self.orders.at_mut(slot) {
            record.replaced_by = order.client_order_id;
        }
        if is_exclusive {
            self.reprice(slot, worst);
        }
        self.apply(slot, OrderEvent::ReplaceRequested);
    }

    /// Ends an order that never left the engine: denied, as the gateway had no room for it.
    pub(super) fn gateway_busy(&mut self, slot: u32) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        record.reason = DenialReason::GatewayBusy;
        let order = record.order;
        self.count_denial(
            &order.client_order_id,
            order.instrument,
            &Denial { reason: DenialReason::GatewayBusy, limit: 0, observed: 1 },
        );
        self.apply(slot, OrderEvent::NotSent);
    }

    /// Tells the shard, the people and the counters.
    fn deny(&mut self, shard: usize, intent: &OrderIntent, place: Option<u32>, denial: &Denial) {
        let order = &intent.order;
        self.count_denial(&order.client_order_id, order.instrument, denial);
        // An update would speak of the first order of this id, which may be working.
        if denial.reason == DenialReason::DuplicateClientOrderId && self.orders.find(order.client_order_id).is_some() {
            return;
        }
        let update = OrderUpdate {
            position: place.map(|place| self.position_state(place)).unwrap_or_default(),
            client_order_id: order.client_order_id,
            price: order.price,
            stop_price: order.stop_price,
            quantity: order.quantity,
            received_ns: self.now,
            instrument: order.instrument,
            strategy: order.strategy,
            reason: denial.reason,
            status: OrderStatus::Denied,
            side: order.side,
            order_type: order.order_type,
            ..OrderUpdate::default()
        };
        if let Some(waiting) = self.shards.get_mut(shard) {
            // There is room: no order is taken from the shard otherwise.
            waiting.denials.push_back(update);
        }
        self.send_updates(shard);
    }

    pub(super) fn count_denial(&mut self, id: &ClientOrderId, instrument: crate::types::InstrumentId, denial: &Denial) {
        self.tap.write(Event::Denied { client_order_id: *id, denial: *denial });
        self.digest.fold(id.0 ^ denial.reason as u64);
        self.digest.fold_wide(denial.limit ^ denial.observed);
        self.counters.denied.increment();
        let index = DenialReason::ALL.iter().position(|&reason| reason == denial.reason);
        if let Some(count) = index.and_then(|index| self.denied.get_mut(index)) {
            *count = count.saturating_add(1);
        }
        let notice = Notice::new(NoticeCode::Denied, self.now).order(*id).instrument(instrument);
        self.notify(Notice { reason: denial.reason, ..notice.values(denial.limit, denial.observed) });
    }
}

fn full(capacity: usize) -> Denial {
    let limit = i128::try_from(capacity).unwrap_or(i128::MAX);
    Denial { reason: DenialReason::OrderTableFull, limit, observed: limit.saturating_add(1) }
}

/// See [`OrderRecord::twice_reference`].
fn twice_reference(intent: &OrderIntent) -> i128 {
    let (order, stamp) = (&intent.order, &intent.stamp);
    if order.order_type.is_stop() {
        return 2 * i128::from(order.stop_price.0);
    }
    i128::from(stamp.bid.0) + i128::from(stamp.ask.0)
}

fn not_permitted() -> Denial {
    Denial { reason: DenialReason::NotPermitted, limit: 0, observed: 1 }
}
