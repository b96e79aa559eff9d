//! The scanner: decodes exactly the shapes that make up the traffic, eight bytes at a time.
//!
//! It reads a frame from left to right and expects each field where the venue puts it. At anything else (another order
//! of fields, a new field, a blank, an escape, a symbol not subscribed to, a number that does not fit) it gives up with
//! `None`, which says nothing about the frame: the general decoder then decides. So it never errs, and where it answers
//! it answers what the general decoder would: it accepts a subset, byte for byte well-formed.

use super::cursor::Cursor;
use super::market::{LEVELS_MAX, Level, Levels, Market, MarketFrame, MarketSymbol};
use super::symbols::SymbolTable;
use crate::types::{Price, Quantity, Quote, Side, Timestamp, Trade};

/// Decodes a frame, or gives up.
#[inline]
pub(super) fn scan(
    market: Market,
    symbols: &mut SymbolTable,
    levels: &mut Levels,
    frame: &[u8],
) -> Option<MarketFrame> {
    let mut cursor = Cursor::new(frame);
    let is_combined = cursor.has(b"{\"stream\":\"");
    if is_combined {
        cursor.skip_text()?;
        cursor.take(b",\"data\":{")?;
    } else {
        cursor.take(b"{")?;
    }
    let decoded = event(market, symbols, levels, &mut cursor)?;
    cursor.take(b"}")?;
    if is_combined {
        cursor.take(b"}")?;
    }
    cursor.is_at_end().then_some(decoded)
}

/// An event from its first field to its closing brace.
#[inline]
fn event(
    market: Market,
    symbols: &mut SymbolTable,
    levels: &mut Levels,
    cursor: &mut Cursor<'_>,
) -> Option<MarketFrame> {
    if cursor.has(b"\"u\":") {
        return quote(symbols, cursor);
    }
    cursor.take(b"\"e\":\"")?;
    if cursor.has(b"bookTicker\",\"u\":") {
        quote(symbols, cursor)
    } else if cursor.has(b"trade\",\"E\":") {
        trade(symbols, cursor)
    } else if cursor.has(b"depthUpdate\",\"E\":") {
        depth(market, symbols, levels, cursor)
    } else if cursor.has(b"aggTrade\",\"E\":") {
        aggregate_trade(symbols, cursor)
    } else {
        None
    }
}

/// `UPDATE[,"e":"bookTicker"],"s":…,["ps":…,]"b":…,"B":…,"a":…,"A":…[,"T":…,"E":…]`
#[inline]
fn quote(symbols: &mut SymbolTable, cursor: &mut Cursor<'_>) -> Option<MarketFrame> {
    let update_id = cursor.integer()?;
    if !cursor.has(b",\"s\":\"") {
        cursor.take(b",\"e\":\"bookTicker\",\"s\":\"")?;
    }
    let symbol = cursor.symbol(symbols)?;
    if cursor.has(b",\"ps\":\"") {
        cursor.skip_text()?;
    }
    cursor.take(b",\"b\":\"")?;
    let bid = cursor.price(&symbol)?;
    cursor.take(b",\"B\":\"")?;
    let bid_quantity = cursor.quantity(&symbol)?;
    cursor.take(b",\"a\":\"")?;
    let ask = cursor.price(&symbol)?;
    cursor.take(b",\"A\":\"")?;
    let ask_quantity = cursor.quantity(&symbol)?;
    let mut exchange_ns = Timestamp::UNKNOWN;
    if cursor.has(b",\"T\":") {
        exchange_ns = cursor.millis()?;
        cursor.take(b",\"E\":")?;
        cursor.integer()?;
    }
    let quote = Quote { bid, bid_quantity, ask, ask_quantity, exchange_ns, received_ns: Timestamp::UNKNOWN };
    Some(MarketFrame::Quote { instrument: symbol.instrument, quote, update_id })
}

/// Spot: `E,"s":…,"t":…,"p":…,"q":…,"T":…,"m":…,"M":…`; futures: `E,"T":…,"s":…,"t":…,"p":…,"q":…,"X":"MARKET","m":…`
#[inline]
fn trade(symbols: &mut SymbolTable, cursor: &mut Cursor<'_>) -> Option<MarketFrame> {
    cursor.integer()?;
    let early = if cursor.has(b",\"T\":") { Some(cursor.millis()?) } else { None };
    cursor.take(b",\"s\":\"")?;
    let symbol = cursor.symbol(symbols)?;
    cursor.take(b",\"t\":")?;
    let id = cursor.integer()?;
    let (price, quantity) = price_and_quantity(&symbol, cursor)?;
    let exchange_ns = match early {
        Some(instant) => {
            cursor.take(b",\"X\":\"MARKET\"")?;
            instant
        }
        None => {
            cursor.take(b",\"T\":")?;
            cursor.millis()?
        }
    };
    let aggressor = aggressor(cursor)?;
    let trade = Trade { price, quantity, high: price, low: price, exchange_ns, received_ns: Timestamp::UNKNOWN };
    Some(MarketFrame::Trade { instrument: symbol.instrument, trade, aggressor, first_trade_id: id, last_trade_id: id })
}

/// `E[,"a":…],"s":…[,"a":…],"p":…,"q":…,"f":…,"l":…,"T":…,"m":…[,"M":…]`
#[inline]
fn aggregate_trade(symbols: &mut SymbolTable, cursor: &mut Cursor<'_>) -> Option<MarketFrame> {
    cursor.integer()?;
    let is_id_first = cursor.has(b",\"a\":");
    if is_id_first {
        cursor.integer()?;
    }
    cursor.take(b",\"s\":\"")?;
    let symbol = cursor.symbol(symbols)?;
    if !is_id_first {
        cursor.take(b",\"a\":")?;
        cursor.integer()?;
    }
    let (price, quantity) = price_and_quantity(&symbol, cursor)?;
    cursor.take(b",\"f\":")?;
    let first_trade_id = cursor.integer()?;
    cursor.take(b",\"l\":")?;
    let last_trade_id = cursor.integer()?;
    cursor.take(b",\"T\":")?;
    let exchange_ns = cursor.millis()?;
    let aggressor = aggressor(cursor)?;
    let trade = Trade { price, quantity, high: price, low: price, exchange_ns, received_ns: Timestamp::UNKNOWN };
    Some(MarketFrame::Trade { instrument: symbol.instrument, trade, aggressor, first_trade_id, last_trade_id })
}

#[inline]
fn price_and_quantity(symbol: &MarketSymbol, cursor: &mut Cursor<'_>) -> Option<(Price, Quantity)> {
    cursor.take(b",\"p\":\"")?;
    let price = cursor.price(symbol)?;
    cursor.take(b",\"q\":\"")?;
    let quantity = cursor.quantity(symbol)?;
    Some((price, quantity))
}

/// `,"m":…[,"M":…]`: where the buyer was the maker, the seller took.
#[inline]
fn aggressor(cursor: &mut Cursor<'_>) -> Option<Side> {
    cursor.take(b",\"m\":")?;
    let side = if cursor.boolean()? { Side::Sell } else { Side::Buy };
    if cursor.has(b",\"M\":") {
        cursor.boolean()?;
    }
    Some(side)
}

/// `E,["T":…,]"s":…,["ps":…,]"U":…,"u":…,["pu":…,]"b":[…],"a":[…]`
fn depth(
    market: Market,
    symbols: &mut SymbolTable,
    levels: &mut Levels,
    cursor: &mut Cursor<'_>,
) -> Option<MarketFrame> {
    let mut exchange_ns = cursor.millis()?;
    if cursor.has(b",\"T\":") {
        exchange_ns = cursor.millis()?;
    }
    cursor.take(b",\"s\":\"")?;
    let symbol = cursor.symbol(symbols)?;
    if cursor.has(b",\"ps\":\"") {
        cursor.skip_text()?;
    }
    cursor.take(b",\"U\":")?;
    let first_update_id = cursor.integer()?;
    cursor.take(b",\"u\":")?;
    let last_update_id = cursor.integer()?;
    let previous_update_id = if cursor.has(b",\"pu\":") { Some(cursor.integer()?) } else { None };
    if market.has_previous_update_id() && previous_update_id.is_none() {
        return None;
    }
    levels.clear();
    cursor.take(b",\"b\":[")?;
    side(&symbol, &mut levels.bids, cursor)?;
    cursor.take(b",\"a\":[")?;
    side(&symbol, &mut levels.asks, cursor)?;
    Some(MarketFrame::Depth {
        instrument: symbol.instrument,
        first_update_id,
        last_update_id,
        previous_update_id,
        exchange_ns,
    })
}

/// The inside of a list of levels and its closing bracket.
#[inline]
fn side(symbol: &MarketSymbol, list: &mut Vec<Level>, cursor: &mut Cursor<'_>) -> Option<()> {
    if cursor.has(b"]") {
        return Some(());
    }
    loop {
        cursor.take(b"[\"")?;
        let price = cursor.price(symbol)?;
        cursor.take(b",\"")?;
        let quantity = cursor.quantity(symbol)?;
        if list.len() >= LEVELS_MAX {
            return None;
        }
        list.push(Level { price, quantity });
        if cursor.has(b"]]") {
            return Some(());
        }
        cursor.take(b"],")?;
    }
}
