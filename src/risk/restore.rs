//! Facts that an earlier run left behind, taken in before the first poll.
//!
//! Nothing is changed unless everything fits. What was open is in doubt from the instant of the facts on and keeps its
//! whole reserve, until the venue has told; a cancel that was wanted is sent again where it turns out to work. All that can
//! be worked out is worked out anew, by the functions that keep it live.
//!
//! Facts of this very engine start are those of a snapshot: the run goes on from there with the entries behind it.

use super::breakers::{Rejects, StrategyBreakers};
use super::core::Core;
use super::executions::Owner;
use super::facts::{HoldingFacts, OrderFacts, RiskFacts, RiskFactsError, StrategyFacts};
use super::stage::Risk;
use crate::portfolio::Ledger;
use crate::types::{
    ClientOrderId, InstrumentId, OrderStatus, Price, StrategyId, StrategyLatch, Timestamp, TradingState,
};
use std::collections::BTreeMap;

/// The largest price that an order is held against, twice: twice what a price can be, and room.
const TWICE_PRICE_MAX: u128 = 1 << 66;
/// The most that parts of a larger order can have filled: far more executions than there are, of the largest size.
const FILLED_MAX: i128 = 1 << 100;

impl Risk {
    /// Everything that must survive a restart.
    #[must_use]
    pub fn facts(&self) -> RiskFacts {
        self.core.survivors()
    }

    /// Takes in what an earlier run left behind, in this run's ids, before the first poll. Orders and positions of a strategy
    /// that may not trade their instrument any more belong to nobody. What [`Risk::start_balance`] says of a restored account
    /// does not count, before or after.
    ///
    /// # Errors
    /// [`RiskFactsError`], and nothing was changed.
    pub fn restore(&mut self, facts: &RiskFacts) -> Result<(), RiskFactsError> {
        self.core.restore(facts)
    }
}

/// Facts that fit, by the places of this run.
struct Plan {
    holdings: BTreeMap<u32, HoldingFacts>,
    orders: Vec<(OrderFacts, u32)>,
    ledgers: Vec<Ledger>,
    shares: Vec<Ledger>,
    /// Instruments whose numbers mean what they meant.
    usable: BTreeMap<InstrumentId, bool>,
}

impl Plan {
    fn is_usable(&self, instrument: InstrumentId) -> bool {
        self.usable.get(&instrument).copied().unwrap_or(false)
    }
}

impl Core {
    fn restore(&mut self, facts: &RiskFacts) -> Result<(), RiskFactsError> {
        let plan = self.plan(facts)?;
        self.external_count = self.external_count.max(facts.external_count);
        self.restore_markets(facts, &plan);
        for (place, held) in &plan.holdings {
            self.books.restore(*place, &held.position, held.trading_state, held.unrealized);
            self.repeats.restore(*place, held.repeats);
        }
        (self.books.ledgers, self.books.shares) = (plan.ledgers.clone(), plan.shares.clone());
        self.restore_accounts(facts);
        for (asset, rate) in &facts.rates {
            self.books.rates.set(*asset, *rate);
        }
        for execution in &facts.executions {
            let owner = if execution.is_nobodys { Owner::Nobody } else { Owner::Order };
            self.executions.insert(execution.instrument, execution.execution_id, owner);
        }
        for larger in &facts.larger_orders {
            self.parents.restore(larger);
        }
        self.restore_orders(facts, &plan.orders);
        for strategy in &facts.strategies {
            self.restore_strategy(strategy);
        }
        for bytes in facts.to_bytes().chunks(8) {
            self.digest.fold(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)));
        }
        Ok(())
    }

    /// Whether everything fits, and where it goes.
    fn plan(&self, facts: &RiskFacts) -> Result<Plan, RiskFactsError> {
        if self.now.is_known() || !self.orders.is_empty() {
            return Err(RiskFactsError::Running);
        }
        if facts.currency != self.books.rates.currency() {
            return Err(RiskFactsError::CurrencyChanged);
        }
        let usable = self.usable(facts)?;
        let (mut ledgers, mut shares) = (self.books.ledgers.clone(), self.books.shares.clone());
        for account in &facts.accounts {
            let Some(ledger) = ledgers.get_mut(usize::from(account.venue.0)) else { continue };
            ledger.restore(&account.ledger).map_err(|_| RiskFactsError::Overflow)?;
        }
        let nobodys = shares.len().saturating_sub(1);
        let parts = facts.strategies.iter().map(|facts| (facts.strategy.index().min(nobodys), &facts.share));
        for (place, part) in parts.chain([(nobodys, &facts.nobodys)]) {
            let Some(share) = shares.get_mut(place) else { continue };
            share.restore(part).map_err(|_| RiskFactsError::Overflow)?;
        }
        if facts.larger_orders.iter().any(|larger| !(0..=FILLED_MAX).contains(&larger.filled)) {
            return Err(RiskFactsError::Damaged("a larger order has filled what no order can"));
        }
        let mut plan = Plan { holdings: self.places_held(facts)?, orders: Vec::new(), ledgers, shares, usable };
        plan.orders = self.places_ordered(facts, &plan)?;
        Ok(plan)
    }

    /// Which instruments' numbers mean what they meant. Where they do not, or the instrument is gone, nothing may be held.
    fn usable(&self, facts: &RiskFacts) -> Result<BTreeMap<InstrumentId, bool>, RiskFactsError> {
        let mut usable = BTreeMap::new();
        let held = facts.holdings.iter().map(|held| held.instrument);
        let mentioned = held.chain(facts.orders.iter().map(|order| order.order.instrument));
        for id in mentioned.chain(facts.markets.iter().map(|market| market.instrument)) {
            if usable.contains_key(&id) {
                continue;
            }
            let Some(market) = self.books.market(id) else {
                if facts.is_live(id) {
                    return Err(RiskFactsError::InstrumentGone(id));
                }
                usable.insert(id, false);
                continue;
            };
            let precisions = (market.instrument.price_precision, market.instrument.quantity_precision);
            let known = facts.markets.iter().find(|market| market.instrument == id);
            let is_same = known.is_some_and(|market| (market.price_precision, market.quantity_precision) == precisions);
            if !is_same && facts.is_live(id) {
                return Err(RiskFactsError::PrecisionChanged(id));
            }
            usable.insert(id, is_same);
        }
        Ok(usable)
    }

    /// The place of what a strategy has in an instrument, nobody's where it may not trade there; and whether it is its own.
    fn owner(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<(u32, bool)> {
        let own = self.books.find(strategy, instrument).map(|place| (place, true));
        own.or_else(|| self.books.external(instrument).map(|place| (place, false)))
    }

    /// Positions by their places; those that come to one place are joined.
    fn places_held(&self, facts: &RiskFacts) -> Result<BTreeMap<u32, HoldingFacts>, RiskFactsError> {
        let mut places: BTreeMap<u32, HoldingFacts> = BTreeMap::new();
        for held in &facts.holdings {
            if held.position.quantity().0 == i64::MIN {
                return Err(RiskFactsError::Damaged("a position is of a size that no position is"));
            }
            let Some((place, is_own)) = self.owner(held.strategy, held.instrument) else { continue };
            let held = if is_own { *held } else { nobodys(held) };
            let joined = match places.get(&place) {
                None => held,
                Some(other) => HoldingFacts {
                    position: other.position.joined(&held.position).ok_or(RiskFactsError::Overflow)?,
                    unrealized: other.unrealized.saturating_add(held.unrealized),
                    ..held
                },
            };
            places.insert(place, joined);
        }
        Ok(places)
    }

    /// Orders by their places: all that may still fill, and as many of the newest others as there is room for.
    fn places_ordered(&self, facts: &RiskFacts, plan: &Plan) -> Result<Vec<(OrderFacts, u32)>, RiskFactsError> {
        let mut ids: Vec<ClientOrderId> = facts.orders.iter().map(|order| order.order.client_order_id).collect();
        ids.sort_unstable();
        if ids.first() == Some(&ClientOrderId::NONE) || !ids.is_sorted_by(|one, next| one < next) {
            return Err(RiskFactsError::Damaged("two orders have one id, or an order has none"));
        }
        if facts.orders.iter().any(|order| order.twice_reference.unsigned_abs() > TWICE_PRICE_MAX) {
            return Err(RiskFactsError::Damaged("an order is held against a price that is none"));
        }
        let capacity = self.orders.capacity();
        let live = facts.orders.iter().filter(|order| order.is_live()).count();
        let Some(room) = capacity.checked_sub(live) else {
            return Err(RiskFactsError::OrderCapacity { orders: live, capacity });
        };
        let mut left_out = (facts.orders.len() - live).saturating_sub(room);
        let mut orders = Vec::with_capacity(capacity.min(facts.orders.len()));
        for order in &facts.orders {
            if left_out > 0 && !order.is_live() {
                left_out -= 1;
                continue;
            }
            let owner = self.owner(order.order.strategy, order.order.instrument);
            let Some((place, is_own)) = owner.filter(|_| plan.is_usable(order.order.instrument)) else { continue };
            orders.push((if is_own { *order } else { order.disowned() }, place));
        }
        Ok(orders)
    }

    fn restore_markets(&mut self, facts: &RiskFacts, plan: &Plan) {
        for market in &facts.markets {
            self.kept.restore_newest(market.instrument, market.newest_execution);
            let Some(own) = self.books.markets.get_mut(market.instrument.index()) else { continue };
            own.trading_state = own.trading_state.max(market.trading_state);
            if plan.is_usable(market.instrument) {
                self.books.price_first(market.instrument, Price(market.price.0.max(0)));
            }
        }
    }

    fn restore_accounts(&mut self, facts: &RiskFacts) {
        for account in &facts.accounts {
            let Some(state) = self.venues.get_mut(usize::from(account.venue.0)) else { continue };
            state.has_sent |= account.has_sent;
            state.reconciliation.restore(&account.reconciliation, facts.epoch == self.epoch);
            let tripped = state.breakers.rejects.tripped().unwrap_or(0).max(account.rejects_tripped);
            state.breakers.rejects = Rejects::restored(tripped);
            self.restored.extend(account.ledger.balances.iter().map(|balance| (account.venue, balance.asset)));
        }
    }

    /// Puts the orders into the table, then holds what they may still fill: of a pair, first for the order whose place is to
    /// be taken, which has the smaller id.
    fn restore_orders(&mut self, facts: &RiskFacts, orders: &[(OrderFacts, u32)]) {
        let mut slots = Vec::with_capacity(orders.len());
        let mut doubts = Vec::new();
        for (order, place) in orders {
            let record = order.record(*place);
            let Some(slot) = self.orders.insert(record) else { continue };
            if order.is_named {
                self.orders.name_at_venue(slot, order.venue_order_id);
            }
            slots.push((order.order.client_order_id, slot));
            if record.status.is_terminal() {
                self.orders.retire(slot);
            }
            if record.status == OrderStatus::Unknown {
                let since = if order.unknown_since.is_known() { order.unknown_since } else { facts.at };
                doubts.push((since.max(Timestamp::from_nanos(1)), slot));
                self.tell_later(slot);
            }
        }
        doubts.sort_unstable();
        for (since, slot) in doubts {
            self.doubt_since(slot, since);
        }
        slots.sort_unstable();
        for (_, slot) in slots {
            self.reserve_due(slot);
            self.keep_own(slot);
        }
    }

    /// Lets the order's shard be told its state by the first poll.
    fn tell_later(&mut self, slot: u32) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        let shard = self.strategies.get(record.order.strategy.index()).map(|strategy| strategy.shard);
        if let Some(shard) = shard.and_then(|shard| self.shards.get_mut(shard)) {
            record.is_dirty = true;
            shard.dirty.push_back(slot);
        }
    }

    /// What a strategy made, and what stopped it: what either of facts and latches says has stopped it.
    fn restore_strategy(&mut self, facts: &StrategyFacts) {
        let (strategy, latch) = (facts.strategy, &facts.latch);
        let Some(own) = self.strategy_latch(strategy) else { return };
        if let Some(results) = self.books.results.get_mut(strategy.index()) {
            results.restore_facts(&facts.results);
        }
        if let Some(state) = self.strategies.get_mut(strategy.index()) {
            state.breakers = StrategyBreakers::restored(&StrategyLatch {
                rejects_tripped: own.rejects_tripped.max(latch.rejects_tripped),
                fill_rate_tripped: own.fill_rate_tripped.max(latch.fill_rate_tripped),
                slippage_tripped_bps: own.slippage_tripped_bps.max(latch.slippage_tripped_bps),
                ..own
            });
        }
        if latch.is_repeat_tripped {
            self.repeats.trip(strategy);
        }
        self.latch_changed(strategy);
    }
}

/// A position as it is held for nobody: no state and no habit of a strategy goes with it.
fn nobodys(held: &HoldingFacts) -> HoldingFacts {
    HoldingFacts { strategy: StrategyId::NONE, trading_state: TradingState::Active, repeats: [0; 2], ..*held }
}
