//! Limits as they are configured. Each names its control; the README lists those.
//!
//! What bounds money or size has no default: where it is missing, every order that needs it is denied. What bounds
//! behavior has one that suits most strategies.

use schemars::JsonSchema;
use serde::Deserialize;

/// Names of restrictions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RestrictionName {
    /// It may be traded.
    #[default]
    None,
    /// It may not be bought.
    Buys,
    /// It may not be sold.
    Sells,
    /// It may not be traded.
    Both,
}

/// Names of policies for market orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MarketOrdersName {
    /// They are denied.
    Deny,
    /// They are sent as limit orders at the worst price that the slippage limit allows.
    #[default]
    Protect,
    /// They are sent as they are.
    Allow,
}

/// Names of policies for orders that would trade with our own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SelfTradeName {
    /// The new order is denied.
    #[default]
    DenyNew,
    /// The new order is denied, and those in its way are canceled.
    CancelOld,
}

/// Limits of the account at a venue. Amounts are in the engine's currency.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccountLimits {
    /// C19: what all positions together may be worth, each at its worst.
    pub gross_max: Option<String>,
    /// C19: what long less short positions may be worth, at worst.
    pub net_max: Option<String>,
    /// C19: how old a rate into the engine's currency may be, in ms.
    #[schemars(range(min = 1, max = 86_400_000))]
    pub rate_age_max_ms: u64,
    /// C21: open orders.
    #[schemars(range(min = 1, max = 65_536))]
    pub open_orders_max: u32,
    /// C25: our share of the venue's own request limits, in percent.
    #[schemars(range(min = 1, max = 100))]
    pub budget_max_percent: u32,
    /// C29: what becomes of an order that would trade with our own.
    pub self_trade: SelfTradeName,
    /// C32: how many refusals by the venue within the window stop new orders there.
    #[schemars(range(min = 1, max = 100_000))]
    pub rejects_max: u32,
    /// C32: the window, in ms.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub reject_window_ms: u64,
    /// C34: how many orders may be of unproven fate.
    #[schemars(range(min = 1, max = 65_536))]
    pub unknown_max: u32,
    /// C34: how long the fate of an order may be unproven, in ms.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub unknown_age_max_ms: u64,
    /// C37: how far the venue's clock may be from ours, in ms.
    #[schemars(range(min = 1, max = 60_000))]
    pub clock_skew_max_ms: u64,
}

impl Default for AccountLimits {
    fn default() -> Self {
        Self {
            gross_max: None,
            net_max: None,
            rate_age_max_ms: 60_000,
            open_orders_max: 200,
            budget_max_percent: 80,
            self_trade: SelfTradeName::DenyNew,
            rejects_max: 20,
            reject_window_ms: 10_000,
            unknown_max: 5,
            unknown_age_max_ms: 10_000,
            clock_skew_max_ms: 1_000,
        }
    }
}

/// Limits of one strategy: in each of its instruments, and over all of them. Amounts over all are in the engine's
/// currency.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StrategyLimits {
    /// C10: how often the same order may come within the window.
    #[schemars(range(min = 1, max = 255))]
    pub duplicates_max: u32,
    /// C10: the window, in ms.
    #[schemars(range(min = 1, max = 60_000))]
    pub duplicate_window_ms: u64,
    /// C16: the largest order, in the base asset.
    pub order_quantity_max: Option<String>,
    /// C17: the largest order, in the quote asset.
    pub order_notional_max: Option<String>,
    /// C18: the largest position, long or short, counting all that is open as filled, in the base asset.
    pub position_max: Option<String>,
    /// C21: open orders.
    #[schemars(range(min = 1, max = 65_536))]
    pub open_orders_max: u32,
    /// C22: what may be traded within the window.
    pub turnover_max: Option<String>,
    /// C22: the window, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub turnover_window_s: u64,
    /// C22: what may be traded in a day.
    pub daily_turnover_max: Option<String>,
    /// C23: what may be lost in a day.
    pub daily_loss_max: Option<String>,
    /// C23: how far the profit may fall below its best.
    pub drawdown_max: Option<String>,
    /// C24: messages of orders and cancels a second.
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_second: Option<u32>,
    /// C24: messages in one burst.
    #[schemars(range(min = 1, max = 100_000))]
    pub message_burst: Option<u32>,
    /// C26: entries in one direction in a row before a person has to look.
    #[schemars(range(min = 1, max = 1_000_000_000))]
    pub entries_in_a_row_max: u32,
    /// C27: messages for each fill from which on people are told.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub order_to_trade_alert: u32,
    /// C27: messages for each fill from which on orders are denied.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub order_to_trade_max: u32,
    /// C27: the window in which they are counted, in seconds.
    #[schemars(range(min = 1, max = 86_400))]
    pub order_to_trade_window_s: u64,
    /// C27: as many messages pass in a window whatever the ratio.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub free_messages: u32,
    /// C32: how many refusals by the venue within the window stop the strategy.
    #[schemars(range(min = 1, max = 100_000))]
    pub rejects_max: u32,
    /// C32: the window, in ms.
    #[schemars(range(min = 1, max = 3_600_000))]
    pub reject_window_ms: u64,
    /// C33: fills within a second that stop the strategy.
    #[schemars(range(min = 1, max = 100_000))]
    pub fills_per_second_max: u32,
    /// C33: how far a fill may be from the mid that was decided on, on the bad side, in basis points.
    #[schemars(range(min = 1, max = 10_000))]
    pub fill_slippage_max_bps: u32,
    /// C39: how old an order may be when risk takes it, in ms.
    #[schemars(range(min = 1, max = 60_000))]
    pub lag_max_ms: u64,
}

impl Default for StrategyLimits {
    fn default() -> Self {
        Self {
            duplicates_max: 3,
            duplicate_window_ms: 500,
            order_quantity_max: None,
            order_notional_max: None,
            position_max: None,
            open_orders_max: 50,
            turnover_max: None,
            turnover_window_s: 3_600,
            daily_turnover_max: None,
            daily_loss_max: None,
            drawdown_max: None,
            messages_per_second: None,
            message_burst: None,
            entries_in_a_row_max: 1_000,
            order_to_trade_alert: 250,
            order_to_trade_max: 500,
            order_to_trade_window_s: 600,
            free_messages: 1_000,
            rejects_max: 10,
            reject_window_ms: 10_000,
            fills_per_second_max: 50,
            fill_slippage_max_bps: 100,
            lag_max_ms: 500,
        }
    }
}

impl AccountLimits {
    /// The keys that hold amounts.
    #[must_use]
    pub const fn decimals(&self) -> [(&'static str, Option<&String>); 2] {
        [("gross_max", self.gross_max.as_ref()), ("net_max", self.net_max.as_ref())]
    }
}

impl StrategyLimits {
    /// The keys that hold quantities or amounts.
    #[must_use]
    pub const fn decimals(&self) -> [(&'static str, Option<&String>); 7] {
        [
            ("order_quantity_max", self.order_quantity_max.as_ref()),
            ("order_notional_max", self.order_notional_max.as_ref()),
            ("position_max", self.position_max.as_ref()),
            ("turnover_max", self.turnover_max.as_ref()),
            ("daily_turnover_max", self.daily_turnover_max.as_ref()),
            ("daily_loss_max", self.daily_loss_max.as_ref()),
            ("drawdown_max", self.drawdown_max.as_ref()),
        ]
    }
}
