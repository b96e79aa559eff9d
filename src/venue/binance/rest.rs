//! The REST interface as data (cold): requests to be sent by whoever has an HTTP client, and the decoding of bodies.
//! Orders and fills are decoded by [`UserCodec`](super::UserCodec), whose rows are the same.

use super::document::Document;
use super::market::{DecodeError, Level, MarketSymbol};
use super::user::{VenueError, parse_money, venue_error};
use super::{general, market};
use crate::types::{HistoryBar, Money, Price, Quantity, Timestamp, parse_fixed};
use serde::Deserialize;

mod exchange_info;
mod request;

pub use exchange_info::{InstrumentSpec, decode_exchange_info, decode_rate_limits};
pub use request::Request;

/// Levels a side that a snapshot is asked for: its 2,000 levels fit a lane.
pub const SNAPSHOT_LEVELS: u16 = 1_000;

/// Why a body cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestError {
    /// Not of the expected form; says where and what.
    Body(String),
    /// A symbol's numbers make no instrument.
    Instrument {
        /// Which.
        symbol: String,
        /// What is wrong.
        problem: String,
    },
}

impl std::fmt::Display for RestError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Body(text) => write!(f, "the venue's answer cannot be read: {text}"),
            Self::Instrument { symbol, problem } => write!(f, "{symbol}: {problem}"),
        }
    }
}

impl std::error::Error for RestError {}

impl From<serde_json::Error> for RestError {
    fn from(error: serde_json::Error) -> Self {
        Self::Body(error.to_string())
    }
}

impl From<DecodeError> for RestError {
    fn from(error: DecodeError) -> Self {
        Self::Body(error.to_string())
    }
}

/// A snapshot of a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The last update in it.
    pub last_update_id: u64,
    /// Best first.
    pub bids: Vec<Level>,
    /// Best first.
    pub asks: Vec<Level>,
}

/// Decodes a `depth` body, which is overwritten, at the precisions of `symbol`.
///
/// # Errors
/// As [`DecodeError`] states.
pub fn decode_snapshot(body: &mut [u8], symbol: &MarketSymbol) -> Result<Snapshot, DecodeError> {
    Document::new().parse(body, |root| {
        let mut snapshot = Snapshot::default();
        let last = root.field("lastUpdateId").and_then(super::document::Value::unsigned);
        snapshot.last_update_id = last.ok_or(DecodeError::Field("lastUpdateId"))?;
        general::level_list("bids", root.field("bids"), symbol, &mut snapshot.bids)?;
        general::level_list("asks", root.field("asks"), symbol, &mut snapshot.asks)?;
        Ok(snapshot)
    })
}

/// Decodes a `klines` body at the precisions of `symbol`: oldest first, the running bar last.
///
/// # Errors
/// Where the body is not one, or a number does not fit.
pub fn decode_klines(body: &[u8], symbol: &MarketSymbol) -> Result<Vec<HistoryBar>, RestError> {
    let rows: Vec<Vec<serde_json::Value>> = serde_json::from_slice(body)?;
    rows.iter().map(|row| bar(row, symbol)).collect()
}

fn bar(row: &[serde_json::Value], symbol: &MarketSymbol) -> Result<HistoryBar, RestError> {
    let bad = |field: &str| RestError::Body(format!("a bar's {field} is missing or no number"));
    let number = |index: usize, field: &str, precision: u8| {
        let text = row.get(index).and_then(serde_json::Value::as_str).ok_or_else(|| bad(field))?;
        parse_fixed(text.as_bytes(), precision)
            .map_err(|reason| RestError::Body(format!("a bar's {field} {text:?}: {reason}")))
    };
    let price = |index, field| number(index, field, symbol.price_precision).map(Price);
    let open_ms = row.first().and_then(serde_json::Value::as_u64).ok_or_else(|| bad("open time"))?;
    Ok(HistoryBar {
        open: price(1, "open")?,
        high: price(2, "high")?,
        low: price(3, "low")?,
        close: price(4, "close")?,
        volume: Quantity(number(5, "volume", symbol.quantity_precision)?),
        open_ns: Timestamp::from_millis(open_ms),
    })
}

/// Decodes a `ticker/24hr` body of one symbol: what was traded within the last 24 hours, at the precision of `symbol`.
///
/// # Errors
/// Where the body is not one, or the number does not fit.
pub fn decode_day_volume(body: &[u8], symbol: &MarketSymbol) -> Result<Quantity, RestError> {
    #[derive(Deserialize)]
    struct Body {
        volume: String,
    }
    let Body { volume } = serde_json::from_slice(body)?;
    parse_fixed(volume.as_bytes(), symbol.quantity_precision)
        .map(Quantity)
        .map_err(|reason| RestError::Body(format!("a day's volume {volume:?}: {reason}")))
}

/// What the account has of one asset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssetBalance {
    /// The venue's name of the asset.
    pub asset: String,
    /// What is free.
    pub free: Money,
    /// What open orders hold.
    pub locked: Money,
}

/// Decodes an `account` body.
///
/// # Errors
/// Where the body is not one.
pub fn decode_account(body: &[u8]) -> Result<Vec<AssetBalance>, RestError> {
    #[derive(Deserialize)]
    struct Body {
        balances: Vec<Row>,
    }
    #[derive(Deserialize)]
    struct Row {
        asset: String,
        free: String,
        locked: String,
    }
    let body: Body = serde_json::from_slice(body)?;
    let amount =
        |text: &str| parse_money(text).map_err(|reason| RestError::Body(format!("a balance {text:?}: {reason}")));
    body.balances
        .into_iter()
        .map(|row| Ok(AssetBalance { free: amount(&row.free)?, locked: amount(&row.locked)?, asset: row.asset }))
        .collect()
}

/// An open order as far as it takes to cancel it, in any symbol of the account, whether an instrument of ours or not.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OpenOrder {
    /// The venue's name of the instrument.
    pub symbol: String,
    /// The venue's number of the order.
    #[serde(rename = "orderId")]
    pub venue_order_id: u64,
}

/// Decodes an `openOrders` body. A row that cannot be read is an error: whoever asks wants to know of every order.
///
/// # Errors
/// Where the body is not one.
pub fn decode_open_orders(body: &[u8]) -> Result<Vec<OpenOrder>, RestError> {
    let orders: Vec<OpenOrder> = serde_json::from_slice(body)?;
    let is_symbol =
        |symbol: &str| !symbol.is_empty() && symbol.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match orders.iter().find(|order| !is_symbol(&order.symbol)) {
        None => Ok(orders),
        Some(order) => Err(RestError::Body(format!("an order's symbol is {:?}", order.symbol))),
    }
}

/// Decodes a `time` body: the venue's clock.
///
/// # Errors
/// Where the body is not one.
pub fn decode_time(body: &[u8]) -> Result<Timestamp, RestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        server_time: u64,
    }
    let body: Body = serde_json::from_slice(body)?;
    Ok(Timestamp::from_millis(body.server_time))
}

/// Decodes the body of a refusal: `{"code":-1121,"msg":"Invalid symbol."}`.
///
/// # Errors
/// Where the body is not one: a proxy or a firewall answered.
pub fn decode_error(body: &mut [u8]) -> Result<VenueError, DecodeError> {
    Document::new().parse(body, venue_error)
}

const _: () = assert!(SNAPSHOT_LEVELS as usize <= market::LEVELS_MAX);

#[cfg(test)]
mod tests;
