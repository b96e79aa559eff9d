//! The scanner: decodes exactly the shapes that make up the traffic, eight bytes at a time.
//!
//! It reads a frame from left to right and expects each field where the venue puts it. At anything else (another order
//! of fields, a new field, a blank, an escape, a symbol not subscribed to, a number that does not fit) it gives up with
//! `None`, which says nothing about the frame: the general decoder then decides. So it never errs, and where it answers
//! it answers what the general decoder would: it accepts a subset, byte for byte well-formed.
//!
//! Eight digits become a number in three multiplications (SWAR, after Daniel Lemire, "Quickly parsing eight digits",
//! 2018); the first byte that is no digit is found the same way, without a loop.

use super::market::{LEVELS_MAX, Level, Levels, Market, MarketFrame, MarketSymbol};
use crate::types::{Price, Quantity, Quote, Side, Symbol, Timestamp, Trade, parse_fixed};

const EIGHT_ZEROS: u64 = 0x3030_3030_3030_3030;
/// Powers of ten that a word of digits may be scaled by.
const POW10: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// The subscribed symbols, compared as three words each. Linear: a connection has few, and the last one found is
/// looked at first, as events of an instrument come in runs.
#[derive(Debug)]
pub(super) struct SymbolTable {
    entries: Vec<Entry>,
    last: usize,
}

/// A symbol and the quote mark behind it, as they stand in a frame.
#[derive(Clone, Copy, Debug)]
struct Entry {
    words: [u64; 3],
    masks: [u64; 3],
    bytes: usize,
    symbol: MarketSymbol,
}

impl SymbolTable {
    pub(super) fn new(symbols: &[MarketSymbol]) -> Self {
        let entry = |symbol: &MarketSymbol| {
            let (mut text, mut mask) = ([0u8; 24], [0u8; 24]);
            let quoted = symbol.symbol.as_bytes().iter().chain(b"\"");
            for ((text, mask), byte) in text.iter_mut().zip(&mut mask).zip(quoted) {
                (*text, *mask) = (*byte, 0xFF);
            }
            Entry {
                words: words(&text),
                masks: words(&mask),
                bytes: symbol.symbol.as_bytes().len() + 1,
                symbol: *symbol,
            }
        };
        Self { entries: symbols.iter().map(entry).collect(), last: 0 }
    }

    /// The symbol of exactly this name.
    pub(super) fn find(&self, name: &[u8]) -> Option<MarketSymbol> {
        self.entries.iter().map(|entry| entry.symbol).find(|entry| entry.symbol.as_bytes() == name)
    }

    /// The symbol that `bytes` begin with, closing quote mark included, and the bytes of both.
    #[inline]
    fn starting(&mut self, bytes: &[u8]) -> Option<(MarketSymbol, usize)> {
        // Behind a symbol there is always more of the frame: where there is not, the general decoder will see.
        let found = words(bytes.first_chunk::<24>()?);
        if let Some(entry) = self.entries.get(self.last)
            && entry.matches(&found)
        {
            return Some((entry.symbol, entry.bytes));
        }
        let index = self.entries.iter().position(|entry| entry.matches(&found))?;
        self.last = index;
        self.entries.get(index).map(|entry| (entry.symbol, entry.bytes))
    }
}

impl Entry {
    #[inline]
    fn matches(&self, found: &[u64; 3]) -> bool {
        let ([a, b, c], [d, e, f], [x, y, z]) = (self.words, self.masks, *found);
        ((x & d) ^ a) | ((y & e) ^ b) | ((z & f) ^ c) == 0
    }
}

const _: () = assert!(Symbol::BYTES_MAX < 24);

#[inline]
fn words(bytes: &[u8; 24]) -> [u64; 3] {
    let mut words = [0; 3];
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<8>().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// What is left of the frame.
#[derive(Clone, Copy)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    /// Steps over this text, if it is next.
    #[inline]
    fn take<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        if !self.has(text) {
            return None;
        }
        Some(())
    }

    /// Steps over this text and answers whether it was next.
    #[inline]
    fn has<const N: usize>(&mut self, text: &[u8; N]) -> bool {
        match self.0.split_first_chunk::<N>() {
            Some((next, rest)) if next == text => {
                self.0 = rest;
                true
            }
            _ => false,
        }
    }

    /// Steps over a string's inside and its closing quote mark: ASCII without escapes or control characters.
    #[inline]
    fn skip_text(&mut self) -> Option<()> {
        let end = self.0.iter().take(64).position(|&byte| byte == b'"')?;
        let (text, rest) = self.0.split_at_checked(end)?;
        let is_plain = text.iter().all(|&byte| (b' '..=b'~').contains(&byte) && byte != b'\\');
        self.0 = rest.get(1..)?;
        is_plain.then_some(())
    }

    /// An integer of up to 16 digits.
    #[inline]
    fn integer(&mut self) -> Option<u64> {
        let (word, count) = digits(self.0);
        if count == 8 {
            let (low_word, low_count) = digits(self.0.get(8..)?);
            let scale = POW10.get(low_count)?;
            let value = number(word, 8).wrapping_mul(*scale).wrapping_add(number(low_word, low_count));
            self.0 = self.0.get(8 + low_count..)?;
            // JSON has no leading zeros.
            return (word & 0xFF != 0).then_some(value);
        }
        if count == 0 || (count > 1 && word & 0xFF == 0) {
            return None;
        }
        self.0 = self.0.get(count..)?;
        Some(number(word, count))
    }

    /// A decimal in a string, up to and with its closing quote mark, as an integer at `precision`: what `parse_fixed`
    /// makes of it, where it is not negative.
    #[inline]
    fn decimal(&mut self, precision: u8) -> Option<i64> {
        let kept = usize::from(precision);
        let (whole_word, whole_count) = digits(self.0);
        let behind = self.0.get(whole_count..)?;
        if whole_count != 0
            && kept <= 8
            && let Some((b'.', behind)) = behind.split_first()
        {
            let (word, count) = digits(behind);
            if count != 0
                && let Some((b'"', rest)) = behind.get(count..)?.split_first()
            {
                let whole = number(whole_word, whole_count).wrapping_mul(*POW10.get(kept)?);
                let fraction = if count >= kept {
                    // Digits beyond the precision must be zeros, which padding is and anything else is not.
                    let beyond = low_bytes(word, count) ^ low_bytes(word, kept);
                    if beyond != 0 {
                        return None;
                    }
                    number(word, kept)
                } else {
                    number(word, count).wrapping_mul(*POW10.get(kept - count)?)
                };
                self.0 = rest;
                // At most 8 digits before the point and 8 behind: no overflow.
                return i64::try_from(whole.wrapping_add(fraction)).ok();
            }
        }
        self.long_decimal(precision)
    }

    /// The same for numbers without a point or with more digits.
    #[inline(never)]
    fn long_decimal(&mut self, precision: u8) -> Option<i64> {
        let end = self.0.iter().take(48).position(|&byte| byte == b'"')?;
        let (text, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..)?;
        if text.first() == Some(&b'-') { None } else { parse_fixed(text, precision).ok() }
    }

    #[inline]
    fn price(&mut self, symbol: &MarketSymbol) -> Option<Price> {
        self.decimal(symbol.price_precision).map(Price)
    }

    #[inline]
    fn quantity(&mut self, symbol: &MarketSymbol) -> Option<Quantity> {
        self.decimal(symbol.quantity_precision).map(Quantity)
    }

    /// A symbol's inside and its closing quote mark.
    #[inline]
    fn symbol(&mut self, symbols: &mut SymbolTable) -> Option<MarketSymbol> {
        let (symbol, bytes) = symbols.starting(self.0)?;
        self.0 = self.0.get(bytes..)?;
        Some(symbol)
    }

    #[inline]
    fn millis(&mut self) -> Option<Timestamp> {
        self.integer().map(Timestamp::from_millis)
    }

    #[inline]
    fn boolean(&mut self) -> Option<bool> {
        if self.has(b"true") { Some(true) } else { self.take(b"false").map(|()| false) }
    }
}

/// The next eight bytes with the digits among them as 0 to 9, and how many digits they begin with.
#[inline]
fn digits(bytes: &[u8]) -> (u64, usize) {
    let word = match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes),
    };
    let word = word ^ EIGHT_ZEROS;
    // The high bit of each byte that is over 9. A carry can only spoil bytes behind the first such one.
    let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & 0x8080_8080_8080_8080;
    (word, usize::try_from(others.trailing_zeros() / 8).unwrap_or(0))
}

#[cold]
fn last_word(bytes: &[u8]) -> u64 {
    let mut word = [0; 8];
    for (to, from) in word.iter_mut().zip(bytes) {
        *to = *from;
    }
    u64::from_le_bytes(word)
}

/// The first `count` bytes of a word, the rest zero.
#[inline]
fn low_bytes(word: u64, count: usize) -> u64 {
    let bits = u32::try_from(count * 8).unwrap_or(64);
    word & !u64::MAX.unbounded_shl(bits)
}

/// The number that the first `count` digits of a word make.
#[inline]
fn number(word: u64, count: usize) -> u64 {
    // Shifted up, so that zeros stand before them: the first digit is in the lowest byte.
    let word = word.unbounded_shl(64 - u32::try_from(count * 8).unwrap_or(64));
    let pairs = word.wrapping_mul(10).wrapping_add(word >> 8);
    let high = (pairs & 0x0000_00FF_0000_00FF).wrapping_mul(0x000F_4240_0000_0064);
    let low = ((pairs >> 16) & 0x0000_00FF_0000_00FF).wrapping_mul(0x0000_2710_0000_0001);
    high.wrapping_add(low) >> 32
}

/// Decodes a frame, or gives up.
#[inline]
pub(super) fn scan(
    market: Market,
    symbols: &mut SymbolTable,
    levels: &mut Levels,
    frame: &[u8],
) -> Option<MarketFrame> {
    let mut cursor = Cursor(frame);
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
    cursor.0.is_empty().then_some(decoded)
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
