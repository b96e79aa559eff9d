//! The limits, as plain numbers. Zero means not configured, and what is not configured denies.

use crate::types::{InstrumentId, Money, Quantity, StrategyId, VenueId};

/// Limits of one strategy in one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// C16: the largest order.
    pub max_order_quantity: Quantity,
    /// C17: the largest order as price times quantity, in the quote asset.
    pub max_order_notional: Money,
    /// C18: how far long or short the strategy may be, at worst.
    pub max_position: Quantity,
    /// C20: the capital allotted to the strategy here, in the quote asset: what its position cost and what its open
    /// orders could add to that, at worst, never exceed it.
    pub allocation: Money,
}

/// Which sides of an instrument are on the restricted list (C06).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restriction {
    /// None.
    #[default]
    None,
    /// It may not be bought.
    Buys,
    /// It may not be sold.
    Sells,
    /// It may not be traded.
    Both,
}

/// What becomes of market orders (C15).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MarketOrders {
    /// They are denied.
    #[default]
    Deny,
    /// They are sent as immediate-or-cancel limit orders at the worst price that the slippage limit allows.
    Protect,
    /// They are sent as they are.
    Allow,
}

/// Limits of one instrument, whoever trades it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstrumentLimits {
    /// C06: what is on the restricted list.
    pub restriction: Restriction,
    /// C11: the oldest market data to decide from, in nanoseconds.
    pub max_data_age_ns: u64,
    /// C13: how far beyond the mid an order may pay, in basis points.
    pub collar_bps: u32,
    /// C13: how far on its own side of the mid an order may rest, in basis points; 10,000 and more bound no buy.
    pub passive_collar_bps: u32,
    /// C13: how far past the opposite touch a market order is taken to fill, in basis points.
    pub max_slippage_bps: u32,
    /// C14: how far our own orders may walk the mid within the window, in basis points.
    pub max_drift_bps: u32,
    /// C14: the window, in nanoseconds.
    pub drift_window_ns: u64,
    /// C15: what becomes of market orders.
    pub market_orders: MarketOrders,
    /// C16: the largest order as a share of the depth near the opposite touch, in basis points.
    pub max_depth_share_bps: u32,
    /// C16: the largest order as a share of what is traded in a day, in basis points.
    pub max_volume_share_bps: u32,
    /// C18: how far long or short all strategies together may be, at worst.
    pub max_position: Quantity,
    /// C21: open orders of all strategies together.
    pub max_open_orders: u32,
    /// C21: what all open orders together are worth at their prices, in the quote asset.
    pub max_resting_notional: Money,
    /// C24: messages about this instrument.
    pub rate: RateLimit,
}

/// Messages (orders, replaces and cancels) that may be sent: `burst` at once, `per_second` in the long run. Orders leave
/// `cancel_reserve` of the burst to cancels, which always pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Refill a second.
    pub per_second: u32,
    /// The most at once.
    pub burst: u32,
    /// The part of the burst that only cancels may use.
    pub cancel_reserve: u32,
}

/// Limits of one strategy over all its instruments. Amounts are in the account's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StrategyLimits {
    /// C10: the window in which the same order counts as a duplicate, in nanoseconds.
    pub duplicate_window_ns: u64,
    /// C10: how often the same order (instrument, side, type, prices, quantity) may come within the window.
    pub max_duplicates: u32,
    /// C21: open orders.
    pub max_open_orders: u32,
    /// C22: what may be traded within the rolling window.
    pub max_turnover: Money,
    /// C22: the window, in nanoseconds.
    pub turnover_window_ns: u64,
    /// C22: what may be traded in a day.
    pub max_daily_turnover: Money,
    /// C23: what may be lost in a day, realized and unrealized, the open quantity at the conservative side of the market.
    pub max_daily_loss: Money,
    /// C23: how far below its best so far the profit may fall.
    pub max_drawdown: Money,
    /// C24: messages.
    pub rate: RateLimit,
    /// C26: entries in one direction in a row before a person has to look.
    pub max_repeat_executions: u32,
    /// C27: the window in which messages and fills are counted, in nanoseconds.
    pub ratio_window_ns: u64,
    /// C27: messages for each fill from which on people are told.
    pub alert_order_to_trade: u32,
    /// C27: messages for each fill from which on orders are denied.
    pub max_order_to_trade: u32,
    /// C27: as many messages pass in a window whatever the ratio.
    pub free_messages: u32,
    /// C32: refusals by the venue within the window that stop the strategy.
    pub max_rejects: u32,
    /// C32: the window, in nanoseconds.
    pub reject_window_ns: u64,
    /// C33: fills within a second that stop the strategy.
    pub max_fills_per_second: u32,
    /// C33: how far from the mid that was decided on a fill may be, on the bad side, in basis points.
    pub max_fill_slippage_bps: u32,
    /// C39: how old an order may be when risk takes it, in nanoseconds.
    pub max_lag_ns: u64,
}

/// What becomes of an order that would trade with one of our own (C29). The venue's own prevention is always asked for
/// too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfTradePolicy {
    /// The new order is denied.
    #[default]
    DenyNew,
    /// The new order is denied, and the orders in its way are canceled.
    CancelOld,
}

/// Limits of one account, which is one venue's. Amounts are in the account's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// C19: the sum of what all positions are worth, each at its worst end.
    pub max_gross: Money,
    /// C19: long less short, at the worse end.
    pub max_net: Money,
    /// C19: how old a rate into the account's currency may be, in nanoseconds.
    pub max_rate_age_ns: u64,
    /// C21: open orders.
    pub max_open_orders: u32,
    /// C24: messages.
    pub rate: RateLimit,
    /// C25: our share of the venue's own request limits, in percent.
    pub max_budget_percent: u32,
    /// C29: what becomes of orders that would trade with our own.
    pub self_trade: SelfTradePolicy,
    /// C32: refusals by the venue within the window that stop new orders there.
    pub max_rejects: u32,
    /// C32: the window, in nanoseconds.
    pub reject_window_ns: u64,
    /// C34: orders whose fate is not proven.
    pub max_unknown: u32,
    /// C34: how long the fate of an order may stay unproven before new orders stop, in nanoseconds.
    pub max_unknown_age_ns: u64,
    /// C37: how far the venue's clock may be from ours, in nanoseconds.
    pub max_clock_skew_ns: u64,
}

/// Every limit of the engine, as one value: built cold, checked by [`LimitsTable::validate`], put in place whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsTable {
    /// Which version of the configuration this is: told with every change.
    pub version: u64,
    /// By permission, in the order of [`RiskConfig::permissions`](super::RiskConfig::permissions).
    pub permissions: Vec<Limits>,
    /// By instrument id.
    pub instruments: Vec<InstrumentLimits>,
    /// By strategy id.
    pub strategies: Vec<StrategyLimits>,
    /// By venue id.
    pub accounts: Vec<AccountLimits>,
}

impl RateLimit {
    /// Nothing configured: denies.
    pub const NONE: Self = Self { per_second: 0, burst: 0, cancel_reserve: 0 };

    fn validate(&self) -> Result<(), &'static str> {
        if self.burst > 0 && self.cancel_reserve >= self.burst {
            return Err("a rate's reserve for cancels leaves nothing of its burst to orders");
        }
        Ok(())
    }
}

impl Limits {
    /// Nothing configured: denies.
    pub const NONE: Self = Self {
        max_order_quantity: Quantity::ZERO,
        max_order_notional: Money::ZERO,
        max_position: Quantity::ZERO,
        allocation: Money::ZERO,
    };
}

impl InstrumentLimits {
    /// Nothing configured: denies.
    pub const NONE: Self = Self {
        restriction: Restriction::Both,
        max_data_age_ns: 0,
        collar_bps: 0,
        passive_collar_bps: 0,
        max_slippage_bps: 0,
        max_drift_bps: 0,
        drift_window_ns: 0,
        market_orders: MarketOrders::Deny,
        max_depth_share_bps: 0,
        max_volume_share_bps: 0,
        max_position: Quantity::ZERO,
        max_open_orders: 0,
        max_resting_notional: Money::ZERO,
        rate: RateLimit::NONE,
    };
}

impl StrategyLimits {
    /// Nothing configured: denies.
    pub const NONE: Self = Self {
        duplicate_window_ns: 0,
        max_duplicates: 0,
        max_open_orders: 0,
        max_turnover: Money::ZERO,
        turnover_window_ns: 0,
        max_daily_turnover: Money::ZERO,
        max_daily_loss: Money::ZERO,
        max_drawdown: Money::ZERO,
        rate: RateLimit::NONE,
        max_repeat_executions: 0,
        ratio_window_ns: 0,
        alert_order_to_trade: 0,
        max_order_to_trade: 0,
        free_messages: 0,
        max_rejects: 0,
        reject_window_ns: 0,
        max_fills_per_second: 0,
        max_fill_slippage_bps: 0,
        max_lag_ns: 0,
    };
}

impl AccountLimits {
    /// Nothing configured: denies.
    pub const NONE: Self = Self {
        max_gross: Money::ZERO,
        max_net: Money::ZERO,
        max_rate_age_ns: 0,
        max_open_orders: 0,
        rate: RateLimit::NONE,
        max_budget_percent: 0,
        self_trade: SelfTradePolicy::DenyNew,
        max_rejects: 0,
        reject_window_ns: 0,
        max_unknown: 0,
        max_unknown_age_ns: 0,
        max_clock_skew_ns: 0,
    };
}

impl LimitsTable {
    /// Limits of a permission.
    #[inline]
    #[must_use]
    pub fn permission(&self, place: u32) -> &Limits {
        self.permissions.get(place as usize).unwrap_or(&Limits::NONE)
    }

    /// Limits of an instrument.
    #[inline]
    #[must_use]
    pub fn instrument(&self, instrument: InstrumentId) -> &InstrumentLimits {
        self.instruments.get(instrument.index()).unwrap_or(&InstrumentLimits::NONE)
    }

    /// Limits of a strategy.
    #[inline]
    #[must_use]
    pub fn strategy(&self, strategy: StrategyId) -> &StrategyLimits {
        self.strategies.get(strategy.index()).unwrap_or(&StrategyLimits::NONE)
    }

    /// Limits of the account at a venue.
    #[inline]
    #[must_use]
    pub fn account(&self, venue: VenueId) -> &AccountLimits {
        self.accounts.get(usize::from(venue.0)).unwrap_or(&AccountLimits::NONE)
    }

    /// Whether the numbers make sense. A zero or a missing entry does: it denies.
    ///
    /// # Errors
    /// The first that does not, in words.
    pub fn validate(&self) -> Result<(), &'static str> {
        for limits in &self.permissions {
            let amounts = [limits.max_order_notional, limits.allocation];
            if limits.max_order_quantity.0 < 0 || limits.max_position.0 < 0 || amounts.iter().any(|amount| amount.0 < 0)
            {
                return Err("a limit of a strategy in an instrument is negative");
            }
        }
        for limits in &self.instruments {
            if limits.max_position.0 < 0 || limits.max_resting_notional.0 < 0 {
                return Err("a limit of an instrument is negative");
            }
            limits.rate.validate()?;
        }
        for limits in &self.strategies {
            let amounts = [limits.max_turnover, limits.max_daily_turnover, limits.max_daily_loss, limits.max_drawdown];
            if amounts.iter().any(|amount| amount.0 < 0) {
                return Err("a limit of a strategy is negative");
            }
            limits.rate.validate()?;
        }
        for limits in &self.accounts {
            if limits.max_gross.0 < 0 || limits.max_net.0 < 0 {
                return Err("a limit of an account is negative");
            }
            limits.rate.validate()?;
        }
        Ok(())
    }
}

/// Limits that nothing reaches, for tests and measurements of something else.
pub mod wide {
    use super::{
        AccountLimits, InstrumentLimits, Limits, MarketOrders, Money, Quantity, RateLimit, Restriction,
        SelfTradePolicy, StrategyLimits,
    };

    const FAR: u64 = 3_600_000_000_000;
    const MUCH: Money = Money(i128::MAX / 4);
    /// A message rate.
    pub const RATE: RateLimit = RateLimit { per_second: 1_000_000, burst: 1_000_000, cancel_reserve: 10 };
    /// Of a strategy in an instrument.
    pub const LIMITS: Limits = Limits {
        max_order_quantity: Quantity(i64::MAX),
        max_order_notional: MUCH,
        max_position: Quantity(i64::MAX),
        allocation: MUCH,
    };
    /// Of an instrument.
    pub const INSTRUMENT: InstrumentLimits = InstrumentLimits {
        restriction: Restriction::None,
        max_data_age_ns: FAR,
        collar_bps: 10_000,
        passive_collar_bps: 10_000,
        max_slippage_bps: 10_000,
        max_drift_bps: 1_000_000,
        drift_window_ns: FAR,
        market_orders: MarketOrders::Allow,
        max_depth_share_bps: u32::MAX,
        max_volume_share_bps: u32::MAX,
        max_position: Quantity(i64::MAX),
        max_open_orders: u32::MAX,
        max_resting_notional: MUCH,
        rate: RATE,
    };
    /// Of a strategy.
    pub const STRATEGY: StrategyLimits = StrategyLimits {
        duplicate_window_ns: 1,
        max_duplicates: u32::MAX,
        max_open_orders: u32::MAX,
        max_turnover: MUCH,
        turnover_window_ns: FAR,
        max_daily_turnover: MUCH,
        max_daily_loss: MUCH,
        max_drawdown: MUCH,
        rate: RATE,
        max_repeat_executions: u32::MAX,
        ratio_window_ns: FAR,
        alert_order_to_trade: u32::MAX,
        max_order_to_trade: u32::MAX,
        free_messages: u32::MAX,
        max_rejects: u32::MAX,
        reject_window_ns: FAR,
        max_fills_per_second: u32::MAX,
        max_fill_slippage_bps: u32::MAX,
        max_lag_ns: FAR,
    };
    /// Of an account.
    pub const ACCOUNT: AccountLimits = AccountLimits {
        max_gross: MUCH,
        max_net: MUCH,
        max_rate_age_ns: FAR,
        max_open_orders: u32::MAX,
        rate: RATE,
        max_budget_percent: 100,
        self_trade: SelfTradePolicy::DenyNew,
        max_rejects: u32::MAX,
        reject_window_ns: FAR,
        max_unknown: u32::MAX,
        max_unknown_age_ns: FAR,
        max_clock_skew_ns: FAR,
    };
}
