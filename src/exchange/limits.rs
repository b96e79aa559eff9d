//! Request weight and order counts.

use super::error::ApiError;
use crate::matching::AccountId;

/// New orders of an account in a day.
pub(super) const ORDERS_A_DAY: u32 = 10_000_000;

#[derive(Clone, Copy, Debug, Default)]
struct Window {
    begin: u64,
    count: u32,
}

impl Window {
    /// Counts `more` within the window of `length_ms` that holds `now_ms`.
    fn add(&mut self, now_ms: u64, length_ms: u64, more: u32) -> u32 {
        let begin = now_ms - now_ms % length_ms;
        if self.begin != begin {
            *self = Self { begin, count: 0 };
        }
        self.count = self.count.saturating_add(more);
        self.count
    }
}

/// When the window of this length that holds `now_ms` ends.
fn end_ns(now_ms: u64, length_ms: u64) -> u64 {
    (now_ms - now_ms % length_ms + length_ms) * 1_000_000
}

/// The counters. Weight is one for all: every client comes from the loopback address.
#[derive(Debug)]
pub(super) struct Limits {
    weight_max: u32,
    orders_max: u32,
    weight: Window,
    orders: Vec<(Window, Window)>,
}

impl Limits {
    pub(super) fn new(weight_max: u32, orders_max: u32, accounts: usize) -> Self {
        Self { weight_max, orders_max, weight: Window::default(), orders: vec![Default::default(); accounts] }
    }

    /// Counts a request; the weight used in this minute.
    pub(super) fn weigh(&mut self, now_ms: u64, weight: u32) -> Result<u32, ApiError> {
        let used = self.weight.add(now_ms, 60_000, weight);
        if used > self.weight_max {
            return Err(ApiError::too_much_weight(self.weight_max).until(now_ms * 1_000_000, end_ns(now_ms, 60_000)));
        }
        Ok(used)
    }

    pub(super) fn used_weight(&mut self, now_ms: u64) -> u32 {
        self.weight.add(now_ms, 60_000, 0)
    }

    /// Counts a new order.
    pub(super) fn order(&mut self, now_ms: u64, account: AccountId) -> Result<(), ApiError> {
        let Some((short, day)) = self.orders.get_mut(usize::from(account.0)) else { return Ok(()) };
        if short.add(now_ms, 10_000, 1) > self.orders_max {
            let error = ApiError::too_many_orders(self.orders_max, "10 SECOND");
            return Err(error.until(now_ms * 1_000_000, end_ns(now_ms, 10_000)));
        }
        if day.add(now_ms, 86_400_000, 1) > ORDERS_A_DAY {
            return Err(ApiError::too_many_orders(ORDERS_A_DAY, "1 DAY"));
        }
        Ok(())
    }

    /// New orders of an account in this 10 seconds and this day.
    pub(super) fn order_counts(&mut self, now_ms: u64, account: AccountId) -> (u32, u32) {
        let windows = self.orders.get_mut(usize::from(account.0));
        windows.map_or((0, 0), |(short, day)| (short.add(now_ms, 10_000, 0), day.add(now_ms, 86_400_000, 0)))
    }

    /// The `rateLimits` of `exchangeInfo`, without its brackets.
    pub(super) fn rules(&self) -> String {
        format!(
            "{{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":{}}},\
             {{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":{}}},\
             {{\"rateLimitType\":\"ORDERS\",\"interval\":\"DAY\",\"intervalNum\":1,\"limit\":{ORDERS_A_DAY}}}",
            self.weight_max, self.orders_max
        )
    }

    /// The `rateLimits` of a WebSocket API answer: order counts for orders, weight for all.
    pub(super) fn state(&mut self, now_ms: u64, orders_of: Option<AccountId>) -> String {
        let mut out = String::from("[");
        if let Some(account) = orders_of {
            let (short, day) = self.order_counts(now_ms, account);
            out.push_str(&format!(
                "{{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,\"limit\":{},\"count\":{short}}},\
                 {{\"rateLimitType\":\"ORDERS\",\"interval\":\"DAY\",\"intervalNum\":1,\"limit\":{ORDERS_A_DAY},\"count\":{day}}},",
                self.orders_max
            ));
        }
        let (limit, used) = (self.weight_max, self.used_weight(now_ms));
        out.push_str(&format!(
            "{{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\",\"intervalNum\":1,\"limit\":{limit},\"count\":{used}}}]"
        ));
        out
    }
}
