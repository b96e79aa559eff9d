//! How many messages a strategy sends for each fill.

use super::core::Core;
use super::window::{Figures, Window};
use crate::types::{DenialReason, Notice, NoticeCode, StrategyId, Timestamp};

/// Messages (orders, replaces and cancels) and fills of one strategy within the window.
#[derive(Clone, Copy, Debug)]
pub struct OrderToTrade {
    window: Window<Counts>,
    /// Whether people were told that the ratio is high; they are again once it was not.
    pub(super) is_told: bool,
}

/// What was sent, and what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) messages: u64,
    pub(super) fills: u64,
}

impl Figures for Counts {
    const NONE: Self = Self { messages: 0, fills: 0 };

    fn join(self, other: Self) -> Self {
        Self { messages: self.messages + other.messages, fills: self.fills + other.fills }
    }
}

impl OrderToTrade {
    /// Nothing was sent.
    pub const NONE: Self = Self { window: Window::NONE, is_told: false };

    /// A message was sent.
    pub fn on_message(&mut self, now: Timestamp, window_ns: u64) {
        self.window.add(now, window_ns, Counts { messages: 1, fills: 0 });
    }

    /// A fill was booked.
    pub fn on_fill(&mut self, now: Timestamp, window_ns: u64) {
        self.window.add(now, window_ns, Counts { messages: 0, fills: 1 });
    }

    #[inline]
    pub(super) fn counts(&self, now: Timestamp, window_ns: u64) -> Counts {
        self.window.total(now, window_ns)
    }
}

impl Core {
    /// A message was sent: counts it, and tells people where there come to be too many.
    pub(super) fn watch_ratio(&mut self, strategy: StrategyId) {
        let (limits, now) = (self.limits.strategy(strategy), self.now);
        let Some(state) = self.strategies.get_mut(strategy.index()) else { return };
        let ratio = &mut state.order_to_trade;
        ratio.on_message(now, limits.ratio_window_ns);
        let counts = ratio.counts(now, limits.ratio_window_ns);
        let (limit, free) = (limits.alert_order_to_trade, u64::from(limits.free_messages));
        let is_high = counts.messages > free && counts.exceed(limit);
        if is_high && !std::mem::replace(&mut ratio.is_told, is_high) {
            let notice = Notice::new(NoticeCode::LimitNear, now).strategy(strategy);
            let notice = notice.values(i128::from(limit), i128::from(counts.ratio()));
            self.notify(Notice { reason: DenialReason::OrderToTradeRatio, ..notice });
        } else if !is_high {
            ratio.is_told = false;
        }
    }

    /// A fill was booked.
    pub(super) fn count_fill(&mut self, strategy: StrategyId) {
        let window_ns = self.limits.strategy(strategy).ratio_window_ns;
        if let Some(state) = self.strategies.get_mut(strategy.index()) {
            state.order_to_trade.on_fill(self.now, window_ns);
        }
    }
}

impl Counts {
    /// Whether there are more than `limit` messages for each fill; before the first fill as if there had been one.
    #[inline]
    pub(super) fn exceed(self, limit: u32) -> bool {
        self.messages > u64::from(limit).saturating_mul(self.fills.max(1))
    }

    /// Messages for each fill, rounded up.
    pub(super) fn ratio(self) -> u64 {
        self.messages.div_ceil(self.fills.max(1))
    }
}
