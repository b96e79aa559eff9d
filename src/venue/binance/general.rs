//! The general decoder of market frames: takes any order of fields, ignores fields that it does not know, and says what
//! is wrong with a frame. It is the reference for the scanner, which must never differ from it.

use super::document::{Value, pick};
use super::market::{DecodeError, LEVELS_MAX, Level, Levels, Market, MarketFrame, MarketSymbol};
use super::symbols::SymbolTable;
use crate::types::{Price, Quantity, Quote, Side, Timestamp, Trade, parse_fixed};

/// What a document says.
pub(super) fn decode(
    market: Market,
    symbols: &mut SymbolTable,
    levels: &mut Levels,
    root: Value<'_, '_>,
) -> Result<MarketFrame, DecodeError> {
    if !root.is_object() {
        return if root.is_array() { Ok(MarketFrame::Other) } else { Err(DecodeError::Field("e")) };
    }
    let [stream, data] = pick(root, &["stream", "data"])?;
    let event = match (stream, data) {
        (Some(_), Some(data)) => data,
        _ => root,
    };
    let [kind] = pick(event, &["e"])?;
    match kind.map(Value::text) {
        Some(Some("bookTicker")) => quote(symbols, event),
        Some(Some("trade")) => trade(symbols, event),
        Some(Some("aggTrade")) => aggregate_trade(symbols, event),
        Some(Some("depthUpdate")) => depth(market, symbols, levels, event),
        Some(Some("serverShutdown")) => Ok(MarketFrame::Shutdown),
        Some(Some(_)) => Ok(MarketFrame::Other),
        Some(None) => Err(DecodeError::Field("e")),
        None => without_kind(symbols, event),
    }
}

/// Spot's bookTicker does not say what it is; neither do answers to requests.
fn without_kind(symbols: &mut SymbolTable, event: Value<'_, '_>) -> Result<MarketFrame, DecodeError> {
    let [id, result, error, code, ..] = pick(event, &["id", "result", "error", "code"])?;
    if event.field("u").is_some() && event.field("B").is_some() && event.field("A").is_some() {
        return quote(symbols, event);
    }
    if id.is_none() && result.is_none() && error.is_none() && code.is_none() {
        return Ok(MarketFrame::Other);
    }
    let code = error.and_then(|error| error.field("code")).or(code);
    let code = code.and_then(Value::signed).map(|code| i32::try_from(code).unwrap_or(-1));
    let error = code.or(error.filter(|error| !error.is_null()).map(|_| -1));
    Ok(MarketFrame::Reply { id: id.and_then(Value::unsigned).unwrap_or(0), error })
}

fn quote(symbols: &mut SymbolTable, event: Value<'_, '_>) -> Result<MarketFrame, DecodeError> {
    let [update, symbol, bid, bid_quantity, ask, ask_quantity, transaction, time] =
        pick(event, &["u", "s", "b", "B", "a", "A", "T", "E"])?;
    let symbol = known(symbols, symbol)?;
    let quote = Quote {
        bid: price("b", bid, &symbol)?,
        bid_quantity: quantity("B", bid_quantity, &symbol)?,
        ask: price("a", ask, &symbol)?,
        ask_quantity: quantity("A", ask_quantity, &symbol)?,
        exchange_ns: instant(transaction, time)?.unwrap_or_default(),
        received_ns: Timestamp::UNKNOWN,
    };
    Ok(MarketFrame::Quote { instrument: symbol.instrument, quote, update_id: unsigned("u", update)? })
}

fn trade(symbols: &mut SymbolTable, event: Value<'_, '_>) -> Result<MarketFrame, DecodeError> {
    let [symbol, id, at_price, of_quantity, transaction, is_buyer_maker, origin] =
        pick(event, &["s", "t", "p", "q", "T", "m", "X"])?;
    let symbol = known(symbols, symbol)?;
    // Futures say where a trade comes from: those of the insurance fund and of deleveraging met no order book.
    if origin.is_some_and(|origin| origin.text() != Some("MARKET")) {
        return Ok(MarketFrame::Other);
    }
    let id = unsigned("t", id)?;
    let trade = one_trade(&symbol, at_price, of_quantity, transaction)?;
    let aggressor = aggressor(is_buyer_maker)?;
    Ok(MarketFrame::Trade { instrument: symbol.instrument, trade, aggressor, first_trade_id: id, last_trade_id: id })
}

fn aggregate_trade(symbols: &mut SymbolTable, event: Value<'_, '_>) -> Result<MarketFrame, DecodeError> {
    let [symbol, first, last, at_price, of_quantity, transaction, is_buyer_maker] =
        pick(event, &["s", "f", "l", "p", "q", "T", "m"])?;
    let symbol = known(symbols, symbol)?;
    Ok(MarketFrame::Trade {
        instrument: symbol.instrument,
        trade: one_trade(&symbol, at_price, of_quantity, transaction)?,
        aggressor: aggressor(is_buyer_maker)?,
        first_trade_id: unsigned("f", first)?,
        last_trade_id: unsigned("l", last)?,
    })
}

fn depth(
    market: Market,
    symbols: &mut SymbolTable,
    levels: &mut Levels,
    event: Value<'_, '_>,
) -> Result<MarketFrame, DecodeError> {
    let [symbol, first, last, previous, bids, asks, transaction, time] =
        pick(event, &["s", "U", "u", "pu", "b", "a", "T", "E"])?;
    let symbol = known(symbols, symbol)?;
    let previous_update_id = previous.map(|previous| unsigned("pu", Some(previous))).transpose()?;
    if market.has_previous_update_id() && previous_update_id.is_none() {
        return Err(DecodeError::Field("pu"));
    }
    levels.clear();
    level_list("b", bids, &symbol, &mut levels.bids)?;
    level_list("a", asks, &symbol, &mut levels.asks)?;
    Ok(MarketFrame::Depth {
        instrument: symbol.instrument,
        first_update_id: unsigned("U", first)?,
        last_update_id: unsigned("u", last)?,
        previous_update_id,
        exchange_ns: instant(transaction, time)?.ok_or(DecodeError::Field("E"))?,
    })
}

/// Reads `[["price","quantity"],…]` into `list`. Elements beyond the two are ignored: older markets had one.
pub(super) fn level_list(
    field: &'static str,
    value: Option<Value<'_, '_>>,
    symbol: &MarketSymbol,
    list: &mut Vec<Level>,
) -> Result<(), DecodeError> {
    let rows = value.filter(|value| value.is_array()).ok_or(DecodeError::Field(field))?;
    for row in rows.elements() {
        if list.len() >= LEVELS_MAX {
            return Err(DecodeError::TooManyLevels);
        }
        let mut elements = row.elements();
        let price = price(field, elements.next(), symbol)?;
        let quantity = quantity(field, elements.next(), symbol)?;
        list.push(Level { price, quantity });
    }
    Ok(())
}

fn known(symbols: &mut SymbolTable, value: Option<Value<'_, '_>>) -> Result<MarketSymbol, DecodeError> {
    let text = value.and_then(Value::text).ok_or(DecodeError::Field("s"))?;
    symbols.find(text.as_bytes()).ok_or(DecodeError::UnknownSymbol)
}

fn one_trade(
    symbol: &MarketSymbol,
    at_price: Option<Value<'_, '_>>,
    of_quantity: Option<Value<'_, '_>>,
    transaction: Option<Value<'_, '_>>,
) -> Result<Trade, DecodeError> {
    let price = price("p", at_price, symbol)?;
    Ok(Trade {
        price,
        quantity: quantity("q", of_quantity, symbol)?,
        high: price,
        low: price,
        exchange_ns: Timestamp::from_millis(unsigned("T", transaction)?),
        received_ns: Timestamp::UNKNOWN,
    })
}

/// Where the buyer was the maker, the seller took.
fn aggressor(is_buyer_maker: Option<Value<'_, '_>>) -> Result<Side, DecodeError> {
    match is_buyer_maker.and_then(Value::boolean) {
        Some(true) => Ok(Side::Sell),
        Some(false) => Ok(Side::Buy),
        None => Err(DecodeError::Field("m")),
    }
}

/// The instant of the transaction where it is told, else that of the event.
fn instant(transaction: Option<Value<'_, '_>>, event: Option<Value<'_, '_>>) -> Result<Option<Timestamp>, DecodeError> {
    match (transaction, event) {
        (Some(value), _) => unsigned("T", Some(value)).map(|millis| Some(Timestamp::from_millis(millis))),
        (None, Some(value)) => unsigned("E", Some(value)).map(|millis| Some(Timestamp::from_millis(millis))),
        (None, None) => Ok(None),
    }
}

fn unsigned(field: &'static str, value: Option<Value<'_, '_>>) -> Result<u64, DecodeError> {
    value.and_then(Value::unsigned).ok_or(DecodeError::Field(field))
}

fn price(field: &'static str, value: Option<Value<'_, '_>>, symbol: &MarketSymbol) -> Result<Price, DecodeError> {
    fixed(field, value, symbol.price_precision).map(Price)
}

fn quantity(field: &'static str, value: Option<Value<'_, '_>>, symbol: &MarketSymbol) -> Result<Quantity, DecodeError> {
    fixed(field, value, symbol.quantity_precision).map(Quantity)
}

/// A number in a string, at this precision. Prices and quantities of a market are never negative.
fn fixed(field: &'static str, value: Option<Value<'_, '_>>, precision: u8) -> Result<i64, DecodeError> {
    let text = value.and_then(Value::text).ok_or(DecodeError::Field(field))?;
    match parse_fixed(text.as_bytes(), precision) {
        Ok(number) if number >= 0 && !text.starts_with('-') => Ok(number),
        Ok(_) => Err(DecodeError::Number { field, reason: crate::types::ParseFixedError::NotANumber }),
        Err(reason) => Err(DecodeError::Number { field, reason }),
    }
}
