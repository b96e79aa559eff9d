//! Requests as pure data.

use super::{OpenOrder, SNAPSHOT_LEVELS};
use crate::types::Symbol;
use crate::venue::binance::market::Market;
use crate::venue::binance::sign::Credentials;

/// A request, ready for an HTTP client. Its `Debug` shows no key and no signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`, or `DELETE` for the watchdog's cancels; orders go over the WebSocket API.
    pub method: &'static str,
    /// What stands behind the host, percent-encoded, signature included.
    pub path_and_query: String,
    /// Headers to be added.
    pub headers: Vec<(&'static str, String)>,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = self.path_and_query.split("&signature=").next().unwrap_or_default();
        write!(f, "{} {shown}", self.method)
    }
}

impl Request {
    fn public(market: Market, path: &str, query: &str) -> Self {
        let root = match market {
            Market::Spot => "/api/v3",
            Market::UsdM => "/fapi/v1",
            Market::CoinM => "/dapi/v1",
        };
        let mark = if query.is_empty() { "" } else { "?" };
        Self { method: "GET", path_and_query: format!("{root}/{path}{mark}{query}"), headers: Vec::new() }
    }

    /// The same request, which cancels instead of asking.
    fn deleting(mut self) -> Self {
        self.method = "DELETE";
        self
    }

    /// Signed over the query as it is sent. Spot only: order entry is.
    fn signed(credentials: &Credentials, path: &str, query: &str, timestamp_ms: u64) -> Self {
        let and = if query.is_empty() { "" } else { "&" };
        let query = format!("{query}{and}timestamp={timestamp_ms}");
        let signature = credentials.sign(query.as_bytes());
        let mut request = Self::public(Market::Spot, path, &query);
        request.path_and_query.push_str("&signature=");
        for &byte in signature.as_bytes() {
            // Base64 has three characters that mean something else in a query.
            match byte {
                b'+' => request.path_and_query.push_str("%2B"),
                b'/' => request.path_and_query.push_str("%2F"),
                b'=' => request.path_and_query.push_str("%3D"),
                _ => request.path_and_query.push(char::from(byte)),
            }
        }
        request.headers.push(("X-MBX-APIKEY", credentials.api_key().to_owned()));
        request
    }

    /// The instruments and their filters: of these symbols on spot, of all on futures, whose interface cannot choose.
    #[must_use]
    pub fn exchange_info(market: Market, symbols: &[Symbol]) -> Self {
        if market != Market::Spot || symbols.is_empty() {
            return Self::public(market, "exchangeInfo", "");
        }
        let quoted: Vec<String> = symbols.iter().map(|symbol| format!("%22{symbol}%22")).collect();
        Self::public(market, "exchangeInfo", &format!("symbols=%5B{}%5D", quoted.join(",")))
    }

    /// A snapshot of a book, [`SNAPSHOT_LEVELS`] a side.
    #[must_use]
    pub fn depth(market: Market, symbol: Symbol) -> Self {
        Self::public(market, "depth", &format!("symbol={symbol}&limit={SNAPSHOT_LEVELS}"))
    }

    /// The last `limit` bars (at most 1,000) of an interval as the venue writes it (`1m`, `1s`), the running one last.
    #[must_use]
    pub fn klines(market: Market, symbol: Symbol, interval: &str, limit: u16) -> Self {
        Self::public(market, "klines", &format!("symbol={symbol}&interval={interval}&limit={limit}"))
    }

    /// What happened to a symbol within the last 24 hours.
    #[must_use]
    pub fn day(market: Market, symbol: Symbol) -> Self {
        Self::public(market, "ticker/24hr", &format!("symbol={symbol}"))
    }

    /// The venue's clock.
    #[must_use]
    pub fn time(market: Market) -> Self {
        Self::public(market, "time", "")
    }

    /// The balances, of assets that there are any of.
    #[must_use]
    pub fn account(credentials: &Credentials, timestamp_ms: u64) -> Self {
        Self::signed(credentials, "account", "omitZeroBalances=true", timestamp_ms)
    }

    /// All open orders.
    #[must_use]
    pub fn open_orders(credentials: &Credentials, timestamp_ms: u64) -> Self {
        Self::signed(credentials, "openOrders", "", timestamp_ms)
    }

    /// Cancels all open orders of a symbol.
    #[must_use]
    pub fn cancel_open_orders(credentials: &Credentials, symbol: &str, timestamp_ms: u64) -> Self {
        Self::signed(credentials, "openOrders", &format!("symbol={symbol}"), timestamp_ms).deleting()
    }

    /// Cancels one order by the venue's number.
    #[must_use]
    pub fn cancel_order(credentials: &Credentials, order: &OpenOrder, timestamp_ms: u64) -> Self {
        let query = format!("symbol={}&orderId={}", order.symbol, order.venue_order_id);
        Self::signed(credentials, "order", &query, timestamp_ms).deleting()
    }

    /// Orders of a symbol from this venue order id on, at most 1,000: oldest first. Without one, the newest.
    #[must_use]
    pub fn all_orders(credentials: &Credentials, symbol: Symbol, from: Option<u64>, timestamp_ms: u64) -> Self {
        let from = from.map(|id| format!("&orderId={id}")).unwrap_or_default();
        Self::signed(credentials, "allOrders", &format!("symbol={symbol}{from}&limit=1000"), timestamp_ms)
    }

    /// Our fills in a symbol from this trade id on, at most 1,000: oldest first. Without one, the newest.
    #[must_use]
    pub fn my_trades(credentials: &Credentials, symbol: Symbol, from: Option<u64>, timestamp_ms: u64) -> Self {
        let from = from.map(|id| format!("&fromId={id}")).unwrap_or_default();
        Self::signed(credentials, "myTrades", &format!("symbol={symbol}{from}&limit=1000"), timestamp_ms)
    }
}
