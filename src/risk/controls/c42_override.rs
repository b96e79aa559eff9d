//! C42: what an override lifts.
//!
//! Not a control in the row: it works on what the others read. To override a denial is to lift its limit for one order
//! and to judge that order again, so that every other limit still holds.

use super::Facts;
use crate::risk::{AccountLimits, InstrumentLimits, Limits, StrategyLimits};
use crate::types::{DenialReason, Money, Quantity};

/// The limits of one order, some of them lifted.
pub(in crate::risk) struct Lifted {
    limits: Limits,
    instrument: InstrumentLimits,
    strategy: StrategyLimits,
    account: AccountLimits,
}

const NO_MONEY: Money = Money(i128::MAX);
const NO_QUANTITY: Quantity = Quantity(i64::MAX);

impl Lifted {
    pub(in crate::risk) const fn of(facts: &Facts<'_>) -> Self {
        Self {
            limits: *facts.limits,
            instrument: *facts.instrument_limits,
            strategy: *facts.strategy_limits,
            account: *facts.account_limits,
        }
    }

    #[cfg(test)]
    pub(in crate::risk) fn new(table: &crate::risk::LimitsTable) -> Self {
        let (limits, instrument) = (table.permissions[0], table.instruments[0]);
        Self { limits, instrument, strategy: table.strategies[0], account: table.accounts[0] }
    }

    /// The same facts under these limits.
    pub(in crate::risk) const fn facts<'a>(&'a self, facts: &Facts<'a>) -> Facts<'a> {
        Facts {
            limits: &self.limits,
            instrument_limits: &self.instrument,
            strategy_limits: &self.strategy,
            account_limits: &self.account,
            ..*facts
        }
    }

    /// Lifts the limit behind a reason, to the largest number that its field holds; whether there is one. A limit that is not configured is not there to be lifted:
    /// its denial is `LIMIT_NOT_CONFIGURED`.
    pub(in crate::risk) const fn lift(&mut self, reason: DenialReason) -> bool {
        match reason {
            DenialReason::DuplicateOrder => self.strategy.max_duplicates = u32::MAX,
            DenialReason::PriceCollar => self.instrument.collar_bps = u32::MAX,
            DenialReason::PriceTooFar => self.instrument.passive_collar_bps = u32::MAX,
            DenialReason::PriceDrift => self.instrument.max_drift_bps = u32::MAX,
            DenialReason::MaxOrderQuantity => self.limits.max_order_quantity = NO_QUANTITY,
            DenialReason::MaxDepthShare => self.instrument.max_depth_share_bps = u32::MAX,
            DenialReason::MaxVolumeShare => self.instrument.max_volume_share_bps = u32::MAX,
            DenialReason::MaxOrderNotional => self.limits.max_order_notional = NO_MONEY,
            DenialReason::MaxPosition => {
                lift_quantity(&mut self.limits.max_position);
                lift_quantity(&mut self.instrument.max_position);
            }
            DenialReason::MaxGross => self.account.max_gross = NO_MONEY,
            DenialReason::MaxNet => self.account.max_net = NO_MONEY,
            DenialReason::AllocationExceeded => self.limits.allocation = NO_MONEY,
            DenialReason::MaxOpenOrders => {
                lift_count(&mut self.strategy.max_open_orders);
                lift_count(&mut self.instrument.max_open_orders);
                lift_count(&mut self.account.max_open_orders);
            }
            DenialReason::MaxRestingNotional => self.instrument.max_resting_notional = NO_MONEY,
            DenialReason::MaxTurnover => self.strategy.max_turnover = NO_MONEY,
            DenialReason::MaxDailyTurnover => self.strategy.max_daily_turnover = NO_MONEY,
            DenialReason::OrderToTradeRatio => self.strategy.max_order_to_trade = u32::MAX,
            _ => return false,
        }
        true
    }
}

/// Lifts one of several limits behind the same reason, if it is configured.
const fn lift_quantity(limit: &mut Quantity) {
    if limit.0 > 0 {
        *limit = NO_QUANTITY;
    }
}

const fn lift_count(limit: &mut u32) {
    if *limit > 0 {
        *limit = u32::MAX;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::LimitsTable;

    #[test]
    fn of_several_limits_behind_a_reason_those_that_are_not_configured_stay_so() {
        let mut lifted = Lifted::new(&LimitsTable {
            permissions: vec![Limits { max_position: Quantity(5), ..Limits::NONE }],
            instruments: vec![InstrumentLimits { max_open_orders: 3, ..InstrumentLimits::NONE }],
            strategies: vec![StrategyLimits::NONE],
            accounts: vec![AccountLimits { max_open_orders: 9, ..AccountLimits::NONE }],
            version: 1,
        });
        assert!(lifted.lift(DenialReason::MaxPosition) && lifted.lift(DenialReason::MaxOpenOrders));
        let Lifted { limits, instrument, strategy, account } = lifted;
        assert_eq!((limits.max_position, instrument.max_position), (NO_QUANTITY, Quantity::ZERO));
        let counts = (strategy.max_open_orders, instrument.max_open_orders, account.max_open_orders);
        assert_eq!(counts, (0, u32::MAX, u32::MAX));
    }
}
