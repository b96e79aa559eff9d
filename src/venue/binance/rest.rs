//! The REST interface as data (cold): requests to be sent by whoever has an HTTP client, and the decoding of bodies.
//! Orders and fills are decoded by [`UserCodec`](super::UserCodec), whose rows are the same.

use super::document::Document;
use super::market::{DecodeError, Level, Market, MarketSymbol};
use super::sign::Credentials;
use super::user::{VenueError, parse_money, venue_error};
use super::{general, market};
use crate::types::{
    HistoryBar, Instrument, InstrumentId, InstrumentStatus, Instruments, Money, ParseFixedError, Price, Quantity,
    Symbol, Timestamp, VenueId, fixed::POW10, parse_fixed,
};
use serde::Deserialize;

/// Levels a side that a snapshot is asked for: its 2,000 levels fit a lane.
pub const SNAPSHOT_LEVELS: u16 = 1_000;

/// A request, ready for an HTTP client. Its `Debug` shows no key and no signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`; orders go over the WebSocket API.
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

/// An instrument as the venue describes it, without our ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstrumentSpec {
    /// Its assets, base and quote.
    pub assets: (Symbol, Symbol),
    /// Everything else; the ids in it are those of [`InstrumentId::NONE`] and the first asset.
    pub instrument: Instrument,
}

impl InstrumentSpec {
    /// Adds it to the table of a run, as an instrument of `venue`.
    ///
    /// # Errors
    /// What [`Instruments::add`] says.
    pub fn add_to(&self, instruments: &mut Instruments, venue: VenueId) -> Result<InstrumentId, &'static str> {
        let base = instruments.intern_asset(self.assets.0)?;
        let quote = instruments.intern_asset(self.assets.1)?;
        instruments.add(Instrument { venue, base, quote, ..self.instrument })
    }
}

#[derive(Deserialize)]
struct ExchangeInfo {
    symbols: Vec<SymbolInfo>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SymbolInfo {
    symbol: String,
    /// COIN-M calls it `contractStatus`.
    #[serde(alias = "contractStatus")]
    status: String,
    base_asset: String,
    quote_asset: String,
    /// Spot: the places of the assets.
    base_asset_precision: Option<u8>,
    quote_asset_precision: Option<u8>,
    /// Futures: the places of the texts.
    price_precision: Option<u8>,
    quantity_precision: Option<u8>,
    #[serde(default)]
    filters: Vec<Filter>,
}

/// The fields of all filters that we read; each filter has some.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    filter_type: String,
    min_price: Option<String>,
    max_price: Option<String>,
    tick_size: Option<String>,
    min_qty: Option<String>,
    max_qty: Option<String>,
    step_size: Option<String>,
    min_notional: Option<String>,
    max_notional: Option<String>,
    /// USD-M's name for the smallest notional.
    notional: Option<String>,
}

/// Decodes `exchangeInfo`: of `wanted` only, or of all where that is empty.
///
/// # Errors
/// Where the body is not one, or a wanted symbol is missing or has numbers that we cannot take.
pub fn decode_exchange_info(body: &[u8], wanted: &[Symbol]) -> Result<Vec<InstrumentSpec>, RestError> {
    let info: ExchangeInfo = serde_json::from_slice(body)?;
    let is_wanted =
        |info: &&SymbolInfo| wanted.is_empty() || wanted.iter().any(|symbol| symbol.as_str() == info.symbol);
    let specs: Vec<InstrumentSpec> = info.symbols.iter().filter(is_wanted).map(spec).collect::<Result<_, _>>()?;
    match wanted.iter().find(|symbol| !specs.iter().any(|spec| spec.instrument.symbol == **symbol)) {
        Some(missing) => Err(RestError::Instrument {
            symbol: missing.to_string(),
            problem: "the venue has no such symbol".to_owned(),
        }),
        None => Ok(specs),
    }
}

fn spec(info: &SymbolInfo) -> Result<InstrumentSpec, RestError> {
    let bad = |problem: &str| RestError::Instrument { symbol: info.symbol.clone(), problem: problem.to_owned() };
    let symbol = |text: &str| Symbol::new(text).ok_or_else(|| bad("a name is longer than 23 characters or not ASCII"));
    let filter = |kind: &str| info.filters.iter().find(|filter| filter.filter_type == kind);
    let prices = filter("PRICE_FILTER").ok_or_else(|| bad("there is no PRICE_FILTER"))?;
    let lots = filter("LOT_SIZE").ok_or_else(|| bad("there is no LOT_SIZE"))?;
    let none = Filter::default();
    let market_lots = filter("MARKET_LOT_SIZE").unwrap_or(&none);
    let notional = filter("NOTIONAL").or_else(|| filter("MIN_NOTIONAL")).unwrap_or(&none);

    let price_precision = precision(
        places(&[&prices.tick_size, &prices.min_price]),
        info.price_precision.or(info.quote_asset_precision),
        &prices.max_price,
    );
    let quantity_precision = precision(
        places(&[&lots.step_size, &lots.min_qty]),
        info.quantity_precision.or(info.base_asset_precision),
        &lots.max_qty,
    );
    let number = |field: &str, value: &Option<String>, precision: u8| match value {
        None => Ok(0),
        Some(text) => cut_fixed(text, precision).map_err(|reason| bad(&format!("{field} {text:?}: {reason}"))),
    };
    let amount = |field: &str, value: &Option<String>| match value {
        None => Ok(Money::ZERO),
        Some(text) => parse_money(text).map_err(|reason| bad(&format!("{field} {text:?}: {reason}"))),
    };
    let quantity_max = Quantity(number("maxQty", &lots.max_qty, quantity_precision)?);
    let instrument = Instrument {
        id: InstrumentId::NONE,
        venue: VenueId::default(),
        symbol: symbol(&info.symbol)?,
        base: crate::types::AssetId::default(),
        quote: crate::types::AssetId::default(),
        price_precision,
        quantity_precision,
        // A filter's zero means that it is off: then every representable number passes.
        tick: Price(number("tickSize", &prices.tick_size, price_precision)?.max(1)),
        lot: Quantity(number("stepSize", &lots.step_size, quantity_precision)?.max(1)),
        quantity_min: Quantity(number("minQty", &lots.min_qty, quantity_precision)?),
        quantity_max,
        market_quantity_max: match number("MARKET_LOT_SIZE maxQty", &market_lots.max_qty, quantity_precision)? {
            0 => quantity_max,
            most => Quantity(most),
        },
        price_min: Price(number("minPrice", &prices.min_price, price_precision)?),
        price_max: Price(number("maxPrice", &prices.max_price, price_precision)?),
        notional_min: amount(
            "minNotional",
            if notional.min_notional.is_some() { &notional.min_notional } else { &notional.notional },
        )?,
        notional_max: amount("maxNotional", &notional.max_notional)?,
        status: match info.status.as_str() {
            "TRADING" => InstrumentStatus::Trading,
            "HALT" | "BREAK" | "AUCTION_MATCH" | "PRE_TRADING" | "POST_TRADING" | "END_OF_DAY" | "PENDING_TRADING"
            | "CLOSE" | "SETTLING" | "PRE_SETTLE" | "PRE_DELIVERING" | "DELIVERING" | "DELIVERED" => {
                InstrumentStatus::Halted
            }
            _ => InstrumentStatus::Unknown,
        },
    };
    instrument.validate().map_err(bad)?;
    Ok(InstrumentSpec { assets: (symbol(&info.base_asset)?, symbol(&info.quote_asset)?), instrument })
}

/// How many decimal places the longest of these numbers has, padding left out.
fn places(numbers: &[&Option<String>]) -> u8 {
    let of = |text: &String| text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_end_matches('0').len());
    let most = numbers.iter().filter_map(|number| number.as_ref()).map(of).max().unwrap_or(0);
    u8::try_from(most).unwrap_or(u8::MAX)
}

/// The precision at which all texts of the market fit: `needed` for the tick or step, and as many places as the venue
/// states beyond that. The grid alone is not enough: orders older than it stay in the book, and the recorded books
/// have such levels (BTCUSDT, step 0.00001, a level of 25.42618900; NKNUSDT, tick 0.0001, prices of five places).
/// Fewer places where a level of a thousand of the largest orders would not fit 64 bits.
fn precision(needed: u8, stated: Option<u8>, largest: &Option<String>) -> u8 {
    const ORDERS: i64 = 1_000;
    let largest = largest.as_deref().and_then(|text| cut_fixed(text, 0).ok()).unwrap_or(0);
    let fits = |places: u8| {
        let scale = POW10.get(usize::from(places)).copied().unwrap_or(i64::MAX);
        largest.saturating_add(1).checked_mul(ORDERS).and_then(|most| most.checked_mul(scale)).is_some()
    };
    let stated = stated.unwrap_or(needed).min(ASSET_PLACES_MAX);
    (needed..=stated.max(needed)).rev().find(|&places| fits(places)).unwrap_or(needed)
}

/// Places of the venue's own arithmetic.
const ASSET_PLACES_MAX: u8 = 8;

/// A bound at this precision, cut where it has more places (a market order's largest quantity is an average of
/// volumes): a maximum only gets stricter by that.
fn cut_fixed(text: &str, precision: u8) -> Result<i64, ParseFixedError> {
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.len() > usize::from(precision) => {
            let kept = fraction.get(..usize::from(precision)).ok_or(ParseFixedError::NotANumber)?;
            if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(ParseFixedError::NotANumber);
            }
            let point = if kept.is_empty() { "" } else { "." };
            parse_fixed(format!("{whole}{point}{kept}").as_bytes(), precision)
        }
        _ => parse_fixed(text.as_bytes(), precision),
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
