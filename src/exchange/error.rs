//! Refusals in Binance's own words.

use crate::matching::Refusal;
use std::fmt;

/// A refused request: Binance's code and text, and the HTTP status it comes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiError {
    /// The HTTP status, and the `status` of a WebSocket API answer.
    pub status: u16,
    /// Binance's error code, negative.
    pub code: i32,
    /// Binance's text.
    pub message: String,
    /// More of it, as JSON: the outcome of each half of a replace, or how long to wait.
    pub data: Option<String>,
    /// In how many seconds requests are taken again, where they are not.
    pub retry_after_s: Option<u64>,
}

impl ApiError {
    fn new(status: u16, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None, retry_after_s: None }
    }

    /// `{"code":…,"msg":…}`, and `data` where there is any.
    pub(super) fn json(&self) -> String {
        let mut text = serde_json::json!({ "code": self.code, "msg": self.message }).to_string();
        if let Some(data) = &self.data {
            text.truncate(text.len() - 1);
            text.push_str(&format!(",\"data\":{data}}}"));
        }
        text
    }

    /// The order was neither canceled nor replaced; `data` tells why.
    pub(super) fn replace_failed(data: String) -> Self {
        Self { data: Some(data), ..Self::new(400, -2022, "Order cancel-replace failed.") }
    }

    /// One half of a replace was done, the other not; `data` tells which.
    pub(super) fn replace_half_done(data: String) -> Self {
        Self { data: Some(data), ..Self::new(409, -2021, "Order cancel-replace partially failed.") }
    }

    pub(super) fn restricted_cancel() -> Self {
        Self::new(400, -2011, "Order was not canceled due to cancel restrictions.")
    }

    /// The same, telling until when nothing is taken.
    pub(super) fn until(mut self, now_ns: u64, until_ns: u64) -> Self {
        let (now_ms, until_ms) = (now_ns / 1_000_000, until_ns.div_ceil(1_000_000));
        self.data = Some(format!("{{\"serverTime\":{now_ms},\"retryAfter\":{until_ms}}}"));
        self.retry_after_s = Some(until_ms.saturating_sub(now_ms).div_ceil(1_000));
        self
    }

    pub(super) fn throttled(now_ns: u64, until_ns: u64) -> Self {
        Self::new(429, -1003, "Too much request weight used; please use WebSocket Streams for live updates.")
            .until(now_ns, until_ns)
    }

    pub(super) fn banned(now_ns: u64, until_ns: u64) -> Self {
        let until_ms = until_ns.div_ceil(1_000_000);
        Self::new(418, -1003, format!("Way too much request weight used; IP banned until {until_ms}."))
            .until(now_ns, until_ns)
    }

    /// A refusal that does not tell whether the request was carried out.
    pub(super) fn unproven(status: u16, code: i32, words: &str) -> Self {
        Self::new(status, code, words)
    }

    pub(super) fn unknown_method() -> Self {
        Self::new(400, -1000, "Unknown method.")
    }

    pub(super) fn too_much_weight(limit: u32) -> Self {
        Self::new(
            429,
            -1003,
            format!(
                "Too much request weight used; current limit is {limit} request weight per 1 MINUTE. \
                 Please use WebSocket Streams for live updates to avoid polling the API."
            ),
        )
    }

    pub(super) fn too_many_orders(limit: u32, interval: &str) -> Self {
        Self::new(429, -1015, format!("Too many new orders; current limit is {limit} orders per {interval}."))
    }

    pub(super) fn out_of_receive_window() -> Self {
        Self::new(400, -1021, "Timestamp for this request is outside of the recvWindow.")
    }

    pub(super) fn ahead_of_server() -> Self {
        Self::new(400, -1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    }

    pub(super) fn bad_signature() -> Self {
        Self::new(400, -1022, "Signature for this request is not valid.")
    }

    pub(super) fn bad_api_key_format() -> Self {
        Self::new(401, -2014, "API-key format invalid.")
    }

    pub(super) fn unknown_api_key() -> Self {
        Self::new(401, -2015, "Invalid API-key, IP, or permissions for action.")
    }

    pub(super) fn illegal_characters(name: &str, legal: &str) -> Self {
        Self::new(400, -1100, format!("Illegal characters found in parameter '{name}'; legal range is '{legal}'."))
    }

    pub(super) fn missing(name: &str) -> Self {
        Self::new(400, -1102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."))
    }

    pub(super) fn missing_either(one: &str, other: &str) -> Self {
        Self::new(400, -1102, format!("Param '{one}' or '{other}' must be sent, but both were empty/null!"))
    }

    pub(super) fn not_required(name: &str) -> Self {
        Self::new(400, -1106, format!("Parameter '{name}' sent when not required."))
    }

    pub(super) fn too_precise(name: &str) -> Self {
        Self::new(400, -1111, format!("Parameter '{name}' has too much precision."))
    }

    pub(super) fn bad_time_in_force() -> Self {
        Self::new(400, -1115, "Invalid timeInForce.")
    }

    pub(super) fn bad_order_type() -> Self {
        Self::new(400, -1116, "Invalid orderType.")
    }

    pub(super) fn bad_side() -> Self {
        Self::new(400, -1117, "Invalid side.")
    }

    pub(super) fn bad_interval() -> Self {
        Self::new(400, -1120, "Invalid interval.")
    }

    pub(super) fn bad_symbol() -> Self {
        Self::new(400, -1121, "Invalid symbol.")
    }

    pub(super) fn bad_combination() -> Self {
        Self::new(400, -1128, "Combination of optional parameters invalid.")
    }

    pub(super) fn bad_value(name: &str) -> Self {
        Self::new(400, -1130, format!("Data sent for parameter '{name}' is not valid."))
    }

    pub(super) fn filter(name: &str) -> Self {
        Self::new(400, -1013, format!("Filter failure: {name}"))
    }

    pub(super) fn rejected(message: &str) -> Self {
        Self::new(400, -2010, message)
    }

    pub(super) fn unknown_order() -> Self {
        Self::new(400, -2011, "Unknown order sent.")
    }

    pub(super) fn no_such_order() -> Self {
        Self::new(400, -2013, "Order does not exist.")
    }

    pub(super) fn unsupported_key() -> Self {
        Self::new(400, -4056, "HMAC_SHA256 API key is not supported.")
    }

    pub(super) fn subscription(message: &str) -> Self {
        Self::new(400, -2035, message)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::InsufficientBalance => Self::rejected("Account has insufficient balance for requested action."),
            Refusal::WouldTake => Self::rejected("Order would immediately match and take."),
            Refusal::WouldTrigger => Self::rejected("Stop price would trigger immediately."),
            Refusal::Overflow => Self::bad_value("quantity"),
            Refusal::BelowOneLot => Self::filter("LOT_SIZE"),
        }
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}
