//! Risk: judges every order, keeps every order, position and balance; the one truth of them.
//!
//! An [`OrderIntent`](crate::types::OrderIntent) passes the [`controls`] in their order and becomes an [`Approved`],
//! which only this module makes and which is all that a gateway takes. Reports come back through the state machine in
//! [`transitions`] into the [`OrderTable`], and fills through [`portfolio`](crate::portfolio) into positions and
//! balances, each booked once. What open orders may still fill is held against every limit as an [`Exposure`]
//! interval, until the venue has proven their end.
//!
//! Everything fails closed: what is not permitted, configured or known is denied. Cancels always pass.

mod approved;
mod binary;
mod books;
mod breakers;
mod budget;
mod cancels;
mod capital;
mod change;
mod config;
pub mod controls;
mod core;
mod drift;
mod executions;
mod exposure;
mod external;
mod facts;
mod finances;
mod index;
mod kill;
mod latches;
mod limits;
mod order_table;
mod orders;
mod overrides;
mod own_book;
mod parents;
mod rate;
mod ratio;
mod recent;
mod reconcile;
mod recorded;
mod renaming;
mod repeats;
mod reports;
mod resting;
mod restore;
mod results;
mod stage;
mod sweep;
pub mod transitions;
mod window;
mod worth;

pub use approved::{Approved, approved_lane};
pub use books::{Holding, Market};
pub use breakers::{AccountBreakers, StrategyBreakers};
pub use budget::Budget;
pub use capital::Capital;
pub use change::Raise;
pub use config::{Permission, RateSource, RiskConfig, RiskConfigError, RiskLanes};
pub use drift::Drift;
pub use exposure::Exposure;
pub use facts::{
    AccountFacts, ExecutionFacts, HoldingFacts, LargerOrder, MarketFacts, OrderFacts, RiskFacts, RiskFactsError,
    StrategyFacts,
};
pub use finances::Finances;
pub use kill::{KillScope, KillSwitch, Kills};
pub use limits::{
    AccountLimits, InstrumentLimits, Limits, LimitsTable, MarketOrders, RateLimit, Restriction, SelfTradePolicy,
    StrategyLimits, wide,
};
pub use order_table::{CancelStep, OrderRecord, OrderTable};
pub use overrides::Override;
pub use parents::{Parent, ParentFacts};
pub use ratio::OrderToTrade;
pub use recent::Recent;
pub use reconcile::ReconciliationFacts;
pub use renaming::Renaming;
pub use resting::OpenOrders;
pub use results::{Results, ResultsFacts};
pub use stage::Risk;
pub use worth::{QuoteWorth, Worth};

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::rig as test_rig;
