//! C27: messages for each fill.

use super::{Facts, deny, unconfigured};
use crate::risk::ratio::Counts;
use crate::types::{Denial, DenialReason};

/// Orders, replaces and cancels of the strategy within the window, this order included, for each of its fills; before
/// the first fill as if there had been one. The free messages pass whatever the ratio. Where it is high, but not over
/// the limit, people are told. `limit` and `observed` are messages for each fill, rounded up.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let limits = facts.strategy_limits;
    if limits.ratio_window_ns == 0 || limits.max_order_to_trade == 0 || limits.alert_order_to_trade == 0 {
        return unconfigured(0, 27);
    }
    let counts = facts.order_to_trade.counts(facts.now, limits.ratio_window_ns);
    let counts = Counts { messages: counts.messages + 1, ..counts };
    if counts.messages <= u64::from(limits.free_messages) || !counts.exceed(limits.max_order_to_trade) {
        return Ok(());
    }
    deny(DenialReason::OrderToTradeRatio, limits.max_order_to_trade, counts.ratio())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::OrderToTrade;
    use crate::types::Timestamp;

    const WINDOW: u64 = 8_000;

    fn judge(messages: u64, fills: u64, free: u32, limit: u32) -> Result<(), Denial> {
        let mut case = Case::new();
        case.strategy_limits.ratio_window_ns = WINDOW;
        case.strategy_limits.alert_order_to_trade = 1;
        case.strategy_limits.max_order_to_trade = limit;
        case.strategy_limits.free_messages = free;
        let mut order_to_trade = OrderToTrade::NONE;
        for _ in 0..messages {
            order_to_trade.on_message(NOW, WINDOW);
        }
        for _ in 0..fills {
            order_to_trade.on_fill(NOW, WINDOW);
        }
        case.with(|facts| super::check(&Facts { order_to_trade: &order_to_trade, ..*facts }))
    }

    #[test]
    fn the_ratio() {
        assert_eq!(judge(28, 3, 0, 10), Ok(()));
        assert_eq!(judge(29, 3, 0, 10), Ok(()));
        assert_eq!(judge(30, 3, 0, 10), denied(DenialReason::OrderToTradeRatio, 10, 11));
        assert_eq!(judge(59, 3, 0, 10), denied(DenialReason::OrderToTradeRatio, 10, 20));
        assert_eq!(judge(9, 0, 0, 10), Ok(()));
        assert_eq!(judge(10, 0, 0, 10), denied(DenialReason::OrderToTradeRatio, 10, 11));
        assert_eq!(judge(0, 0, 0, u32::MAX), Ok(()));
    }

    #[test]
    fn free_messages_pass() {
        assert_eq!(judge(99, 0, 100, 10), Ok(()));
        assert_eq!(judge(100, 0, 100, 10), denied(DenialReason::OrderToTradeRatio, 10, 101));
        assert_eq!(judge(100, 11, 100, 10), Ok(()));
    }

    #[test]
    fn all_of_it_must_be_configured() {
        let refusal = denied(DenialReason::LimitNotConfigured, 0, 27);
        assert_eq!(judge(0, 0, 0, 0), refusal);
        for which in 0..2 {
            let mut case = Case::new();
            if which == 0 {
                case.strategy_limits.ratio_window_ns = 0;
            } else {
                case.strategy_limits.alert_order_to_trade = 0;
            }
            assert_eq!(case.with(super::check), refusal);
        }
    }

    #[test]
    fn what_is_out_of_the_window_is_forgotten() {
        let mut case = Case::new();
        case.strategy_limits.ratio_window_ns = WINDOW;
        case.strategy_limits.max_order_to_trade = 1;
        case.strategy_limits.free_messages = 0;
        let judge = |age| {
            let mut order_to_trade = OrderToTrade::NONE;
            order_to_trade.on_message(Timestamp::from_nanos(NOW.nanos() - age), WINDOW);
            case.with(|facts| super::check(&Facts { order_to_trade: &order_to_trade, ..*facts }))
        };
        assert_eq!(judge(8_731), denied(DenialReason::OrderToTradeRatio, 1, 2));
        assert_eq!(judge(8_732), Ok(()));
    }
}
