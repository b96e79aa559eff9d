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

    /// Lifts the limit behind a reason, to the largest number that its field holds; whether there is one. A limit that is not
    /// configured is not there to be lifted: its denial is `LIMIT_NOT_CONFIGURED`.
    pub(in crate::risk) fn lift(&mut self, reason: DenialReason) -> bool {
        self.set(reason, i128::MAX)
    }

    /// Puts the limits behind a reason that are configured at this number, or at what of it fits their field.
    pub(super) fn set(&mut self, reason: DenialReason, number: i128) -> bool {
        let mut fields = self.fields(reason);
        for field in fields.iter_mut().flatten().filter(|field| field.get() > 0) {
            field.set(number);
        }
        fields.iter().any(Option::is_some)
    }

    /// The smallest limit behind a reason; `None` where there is none.
    pub(super) fn limit(&mut self, reason: DenialReason) -> Option<i128> {
        self.fields(reason).iter().flatten().map(Field::get).filter(|limit| *limit > 0).min()
    }

    /// The limits behind a reason.
    fn fields(&mut self, reason: DenialReason) -> [Option<Field<'_>>; 3] {
        use Field::{Count, Money, Quantity};
        let Self { limits, instrument, strategy, account } = self;
        let one = |field| [Some(field), None, None];
        match reason {
            DenialReason::DuplicateOrder => one(Count(&mut strategy.max_duplicates)),
            DenialReason::PriceCollar => one(Count(&mut instrument.collar_bps)),
            DenialReason::PriceTooFar => one(Count(&mut instrument.passive_collar_bps)),
            DenialReason::PriceDrift => one(Count(&mut instrument.max_drift_bps)),
            DenialReason::MaxOrderQuantity => one(Quantity(&mut limits.max_order_quantity)),
            DenialReason::MaxDepthShare => one(Count(&mut instrument.max_depth_share_bps)),
            DenialReason::MaxVolumeShare => one(Count(&mut instrument.max_volume_share_bps)),
            DenialReason::MaxOrderNotional => one(Money(&mut limits.max_order_notional)),
            DenialReason::MaxPosition => {
                [Some(Quantity(&mut limits.max_position)), Some(Quantity(&mut instrument.max_position)), None]
            }
            DenialReason::MaxGross => one(Money(&mut account.max_gross)),
            DenialReason::MaxNet => one(Money(&mut account.max_net)),
            DenialReason::AllocationExceeded => one(Money(&mut limits.allocation)),
            DenialReason::MaxOpenOrders => [
                Some(Count(&mut strategy.max_open_orders)),
                Some(Count(&mut instrument.max_open_orders)),
                Some(Count(&mut account.max_open_orders)),
            ],
            DenialReason::MaxRestingNotional => one(Money(&mut instrument.max_resting_notional)),
            DenialReason::MaxTurnover => one(Money(&mut strategy.max_turnover)),
            DenialReason::MaxDailyTurnover => one(Money(&mut strategy.max_daily_turnover)),
            DenialReason::OrderToTradeRatio => one(Count(&mut strategy.max_order_to_trade)),
            _ => [None, None, None],
        }
    }
}

/// One limit.
enum Field<'a> {
    Count(&'a mut u32),
    Quantity(&'a mut Quantity),
    Money(&'a mut Money),
}

impl Field<'_> {
    fn get(&self) -> i128 {
        match self {
            Self::Count(limit) => i128::from(**limit),
            Self::Quantity(limit) => i128::from(limit.0),
            Self::Money(limit) => limit.0,
        }
    }

    fn set(&mut self, number: i128) {
        match self {
            Self::Count(limit) => **limit = u32::try_from(number).unwrap_or(u32::MAX),
            Self::Quantity(limit) => limit.0 = i64::try_from(number).unwrap_or(i64::MAX),
            Self::Money(limit) => limit.0 = number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::LimitsTable;

    const NO_QUANTITY: Quantity = Quantity(i64::MAX);

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
