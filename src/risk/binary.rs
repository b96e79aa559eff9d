//! The bytes of what risk is built from, and of what is handed to it beside its messages.

use super::config::{Permission, RateSource, RiskConfig};
use super::limits::{
    AccountLimits, InstrumentLimits, Limits, LimitsTable, MarketOrders, RateLimit, Restriction, SelfTradePolicy,
    StrategyLimits,
};
use super::overrides::Override;
use crate::types::binary::{binary_enum, binary_struct};

binary_enum!(Restriction { 0 = None, 1 = Buys, 2 = Sells, 3 = Both });
binary_enum!(MarketOrders { 0 = Deny, 1 = Protect, 2 = Allow });
binary_enum!(SelfTradePolicy { 0 = DenyNew, 1 = CancelOld });
binary_struct! {
    RateLimit { per_second, burst, cancel_reserve }
    Limits { max_order_quantity, max_order_notional, max_position, allocation }
    InstrumentLimits {
        restriction, max_data_age_ns, collar_bps, passive_collar_bps, max_slippage_bps, max_drift_bps, drift_window_ns,
        market_orders, max_depth_share_bps, max_volume_share_bps, max_position, max_open_orders, max_resting_notional, rate,
    }
    StrategyLimits {
        duplicate_window_ns, max_duplicates, max_open_orders, max_turnover, turnover_window_ns, max_daily_turnover,
        max_daily_loss, max_drawdown, rate, max_repeat_executions, ratio_window_ns, alert_order_to_trade,
        max_order_to_trade, free_messages, max_rejects, reject_window_ns, max_fills_per_second, max_fill_slippage_bps,
        max_lag_ns,
    }
    AccountLimits {
        max_gross, max_net, max_rate_age_ns, max_open_orders, rate, max_budget_percent, self_trade, max_rejects,
        reject_window_ns, max_unknown, max_unknown_age_ns, max_clock_skew_ns,
    }
    LimitsTable { version, permissions, instruments, strategies, accounts }
    Permission {
        strategy, instrument, may_buy, may_sell, may_limit, may_market, may_stop, may_good_till_canceled, may_immediate,
    }
    RateSource { asset, instrument }
    Override { strategy, instrument, reason, orders_left, expires_ns, requester, approver }
    RiskConfig {
        instruments, permissions, limits, shard_of_strategy, trading_state, order_capacity, execution_capacity,
        position_interval_ns, currency, rate_sources, epoch, latches, identity, day_volumes,
    }
}
