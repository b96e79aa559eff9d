//! Facts of one run in the ids of another: by their names, which the cold plane knows.

use super::facts::{AccountFacts, ExecutionFacts, HoldingFacts, MarketFacts, OrderFacts, RiskFacts, RiskFactsError};
use super::facts::{LargerOrder, StrategyFacts};
use crate::portfolio::{BalanceFacts, LedgerFacts};
use crate::types::{AssetId, ClientOrderId, InstrumentId, StrategyId, StrategyLatch, VenueId};

/// What each id of the run that wrote facts is in this run, each list by the earlier id; `None`, or the end of the list,
/// where there is no such thing any more. No two are the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renaming {
    /// Strategies.
    pub strategies: Vec<Option<StrategyId>>,
    /// Instruments.
    pub instruments: Vec<Option<InstrumentId>>,
    /// Assets.
    pub assets: Vec<Option<AssetId>>,
    /// Venues.
    pub venues: Vec<Option<VenueId>>,
}

impl Renaming {
    fn strategy(&self, id: StrategyId) -> Option<StrategyId> {
        self.strategies.get(id.index()).copied().flatten()
    }

    fn instrument(&self, id: InstrumentId) -> Option<InstrumentId> {
        self.instruments.get(id.index()).copied().flatten()
    }

    fn asset(&self, id: AssetId) -> Option<AssetId> {
        self.assets.get(id.index()).copied().flatten()
    }

    fn venue(&self, id: VenueId) -> Option<VenueId> {
        self.venues.get(usize::from(id.0)).copied().flatten()
    }

    /// Balances in assets that are gone are left out: no instrument is in them, and where one was, it holds nothing.
    fn ledger(&self, ledger: &LedgerFacts) -> LedgerFacts {
        let renamed = |balance: &BalanceFacts| Some(BalanceFacts { asset: self.asset(balance.asset)?, ..*balance });
        LedgerFacts { balances: ledger.balances.iter().filter_map(renamed).collect(), ..*ledger }
    }
}

impl RiskFacts {
    /// The same in this run's ids.
    ///
    /// Positions and orders of a strategy that is gone belong to nobody, as those of the account that are not ours; what it
    /// made is nobody's part of the accounts, and its results and latches end with it. Of an instrument that is gone nothing
    /// is kept, and of an account neither: nothing may be held or open there.
    ///
    /// # Errors
    /// What is gone and must not be: [`RiskFactsError::InstrumentGone`], [`RiskFactsError::AssetGone`].
    pub fn renamed(&self, names: &Renaming) -> Result<Self, RiskFactsError> {
        let mentioned = self.holdings.iter().map(|held| held.instrument);
        let mut mentioned = mentioned.chain(self.orders.iter().map(|order| order.order.instrument));
        let is_lost = |id: &InstrumentId| names.instrument(*id).is_none() && self.is_live(*id);
        if let Some(gone) = mentioned.find(is_lost) {
            return Err(RiskFactsError::InstrumentGone(gone));
        }
        let asset = |id: AssetId| names.asset(id).ok_or(RiskFactsError::AssetGone(id));
        let currency = self.currency.map(asset).transpose()?;
        let (staying, gone): (Vec<_>, Vec<_>) =
            self.strategies.iter().partition(|facts| names.strategy(facts.strategy).is_some());
        let mut nobodys = names.ledger(&self.nobodys);
        for facts in gone {
            join(&mut nobodys, &names.ledger(&facts.share)).ok_or(RiskFactsError::Overflow)?;
        }
        Ok(Self {
            currency,
            orders: self.orders.iter().filter_map(|order| rename_order(names, order)).collect(),
            executions: self.executions.iter().filter_map(|execution| rename_execution(names, execution)).collect(),
            holdings: self.holdings.iter().filter_map(|held| rename_holding(names, held)).collect(),
            markets: self.markets.iter().filter_map(|market| rename_market(names, market)).collect(),
            accounts: self.accounts.iter().filter_map(|account| rename_account(names, account)).collect(),
            strategies: staying.into_iter().map(|facts| rename_strategy(names, facts)).collect::<Result<_, _>>()?,
            nobodys,
            larger_orders: self.larger_orders.iter().filter_map(|larger| rename_larger(names, larger)).collect(),
            rates: self.rates.iter().filter_map(|(id, rate)| Some((names.asset(*id)?, *rate))).collect(),
            ..*self
        })
    }
}

fn rename_order(names: &Renaming, facts: &OrderFacts) -> Option<OrderFacts> {
    let mut facts = *facts;
    facts.order.instrument = names.instrument(facts.order.instrument)?;
    match names.strategy(facts.order.strategy) {
        Some(strategy) => facts.order.strategy = strategy,
        None => facts = facts.disowned(),
    }
    Some(facts)
}

impl OrderFacts {
    /// The order as it is held for nobody: a part of nothing larger. It takes nobody's place either: what is reserved of it
    /// is all that it may fill.
    pub(super) fn disowned(mut self) -> Self {
        if self.order.strategy == StrategyId::NONE {
            return self;
        }
        (self.order.strategy, self.order.parent) = (StrategyId::NONE, 0);
        (self.is_exclusive, self.replaced_by) = (false, ClientOrderId::NONE);
        // Of such an order the venue's count alone tells what is left, and it counts at least what it told.
        self.venue_filled = self.venue_filled.max(self.filled);
        self
    }
}

fn rename_execution(names: &Renaming, facts: &ExecutionFacts) -> Option<ExecutionFacts> {
    Some(ExecutionFacts { instrument: names.instrument(facts.instrument)?, ..*facts })
}

fn rename_holding(names: &Renaming, facts: &HoldingFacts) -> Option<HoldingFacts> {
    let strategy = names.strategy(facts.strategy).unwrap_or(StrategyId::NONE);
    Some(HoldingFacts { strategy, instrument: names.instrument(facts.instrument)?, ..*facts })
}

fn rename_market(names: &Renaming, facts: &MarketFacts) -> Option<MarketFacts> {
    Some(MarketFacts { instrument: names.instrument(facts.instrument)?, ..*facts })
}

fn rename_account(names: &Renaming, facts: &AccountFacts) -> Option<AccountFacts> {
    Some(AccountFacts {
        venue: names.venue(facts.venue)?,
        ledger: names.ledger(&facts.ledger),
        reconciliation: facts.reconciliation.renamed(|asset| names.asset(asset)),
        ..*facts
    })
}

fn rename_larger(names: &Renaming, facts: &LargerOrder) -> Option<LargerOrder> {
    let (strategy, instrument) = (names.strategy(facts.strategy)?, names.instrument(facts.instrument)?);
    Some(LargerOrder { strategy, instrument, ..*facts })
}

fn rename_strategy(names: &Renaming, facts: &StrategyFacts) -> Result<StrategyFacts, RiskFactsError> {
    let strategy = names.strategy(facts.strategy).unwrap_or(StrategyId::NONE);
    Ok(StrategyFacts {
        strategy,
        share: names.ledger(&facts.share),
        results: facts.results.renamed(|asset| names.asset(asset))?,
        latch: StrategyLatch { strategy, ..facts.latch },
    })
}

/// Adds a ledger to another one; `None` on overflow.
fn join(into: &mut LedgerFacts, ledger: &LedgerFacts) -> Option<()> {
    into.fees_elsewhere = into.fees_elsewhere.saturating_add(ledger.fees_elsewhere);
    for more in &ledger.balances {
        match into.balances.iter_mut().find(|balance| balance.asset == more.asset) {
            Some(own) => {
                own.start = own.start.checked_add(more.start)?;
                own.change = own.change.checked_add(more.change)?;
                own.transferred = own.transferred.checked_add(more.transferred)?;
                own.fees = own.fees.checked_add(more.fees)?;
            }
            None => into.balances.push(*more),
        }
    }
    Some(())
}
