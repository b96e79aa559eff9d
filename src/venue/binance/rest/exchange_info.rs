//! `exchangeInfo`: the venue's description of its instruments.

use super::RestError;
use crate::types::{
    AssetId, Instrument, InstrumentId, InstrumentStatus, Instruments, Money, ParseFixedError, Price, Quantity, Symbol,
    VenueId, fixed::POW10, parse_fixed,
};
use crate::venue::binance::user::parse_money;
use crate::venue::budget::BudgetLimits;
use serde::Deserialize;

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
    /// Spot; there every order says what is to happen where it would trade with one of ours.
    allowed_self_trade_prevention_modes: Option<Vec<String>>,
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

/// Decodes what `exchangeInfo` says of the venue's limits; zero for a limit that it leaves out.
///
/// # Errors
/// Where the body is not one.
pub fn decode_rate_limits(body: &[u8]) -> Result<BudgetLimits, RestError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Body {
        #[serde(default)]
        rate_limits: Vec<Row>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Row {
        rate_limit_type: String,
        interval: String,
        interval_num: u32,
        limit: u32,
    }
    let body: Body = serde_json::from_slice(body)?;
    let limit = |kind: &str, interval: &str, count: u32| {
        let is_meant =
            |row: &&Row| row.rate_limit_type == kind && row.interval == interval && row.interval_num == count;
        body.rate_limits.iter().find(is_meant).map_or(0, |row| row.limit)
    };
    Ok(BudgetLimits { weight: limit("REQUEST_WEIGHT", "MINUTE", 1), orders: limit("ORDERS", "SECOND", 10) })
}

fn spec(info: &SymbolInfo) -> Result<InstrumentSpec, RestError> {
    let bad = |problem: &str| RestError::Instrument { symbol: info.symbol.clone(), problem: problem.to_owned() };
    let symbol = |text: &str| Symbol::new(text).ok_or_else(|| bad("a name is longer than 23 characters or not ASCII"));
    if info
        .allowed_self_trade_prevention_modes
        .as_ref()
        .is_some_and(|modes| !modes.iter().any(|mode| mode == "EXPIRE_TAKER"))
    {
        return Err(bad("there is no EXPIRE_TAKER among its self-trade prevention modes"));
    }
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
        base: AssetId::default(),
        quote: AssetId::default(),
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
