//! What the scanner reads a frame with: texts, integers and decimals, eight bytes at a time.
//!
//! Eight digits become a number in three multiplications (SWAR, after Daniel Lemire, "Quickly parsing eight digits",
//! 2018); the first byte that is no digit is found the same way, without a loop.

use super::market::MarketSymbol;
use super::symbols::SymbolTable;
use crate::types::{Price, Quantity, Timestamp, parse_fixed};

const EIGHT_ZEROS: u64 = 0x3030_3030_3030_3030;
const QUOTES: u64 = 0x2222_2222_2222_2222;
const BACKSLASHES: u64 = 0x5C5C_5C5C_5C5C_5C5C;
const BLANKS: u64 = 0x2020_2020_2020_2020;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
/// Powers of ten that a word of digits may be scaled by.
const POW10: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// What is left of the frame.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    pub(super) const fn new(frame: &'a [u8]) -> Self {
        Self(frame)
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// Steps over this text, if it is next.
    #[inline]
    pub(super) fn take<const N: usize>(&mut self, text: &[u8; N]) -> Option<()> {
        if !self.has(text) {
            return None;
        }
        Some(())
    }

    /// Steps over this text and answers whether it was next.
    #[inline]
    pub(super) fn has<const N: usize>(&mut self, text: &[u8; N]) -> bool {
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
    pub(super) fn skip_text(&mut self) -> Option<()> {
        loop {
            let word = word(self.0);
            let quotes = zero_bytes(word ^ QUOTES);
            let others =
                zero_bytes(word ^ BACKSLASHES) | (word.wrapping_sub(BLANKS) & !word & HIGH_BITS) | (word & HIGH_BITS);
            let found = quotes | others;
            if found == 0 {
                self.0 = self.0.get(8..)?;
                continue;
            }
            // The lowest mark of each kind is exact, and only the lowest of all is looked at.
            let at = found.trailing_zeros();
            self.0 = self.0.get(usize::try_from(at / 8).unwrap_or(0) + 1..)?;
            return (quotes & (1 << at) != 0).then_some(());
        }
    }

    /// An integer of up to 16 digits.
    #[inline]
    pub(super) fn integer(&mut self) -> Option<u64> {
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
    pub(super) fn price(&mut self, symbol: &MarketSymbol) -> Option<Price> {
        self.decimal(symbol.price_precision).map(Price)
    }

    #[inline]
    pub(super) fn quantity(&mut self, symbol: &MarketSymbol) -> Option<Quantity> {
        self.decimal(symbol.quantity_precision).map(Quantity)
    }

    /// A symbol's inside and its closing quote mark.
    #[inline]
    pub(super) fn symbol(&mut self, symbols: &mut SymbolTable) -> Option<MarketSymbol> {
        let (symbol, bytes) = symbols.starting(self.0)?;
        self.0 = self.0.get(bytes..)?;
        Some(symbol)
    }

    #[inline]
    pub(super) fn millis(&mut self) -> Option<Timestamp> {
        self.integer().map(Timestamp::from_millis)
    }

    #[inline]
    pub(super) fn boolean(&mut self) -> Option<bool> {
        if self.has(b"true") { Some(true) } else { self.take(b"false").map(|()| false) }
    }
}

/// The next eight bytes with the digits among them as 0 to 9, and how many digits they begin with.
#[inline]
fn digits(bytes: &[u8]) -> (u64, usize) {
    let word = word(bytes) ^ EIGHT_ZEROS;
    // The high bit of each byte that is over 9. A carry can only spoil bytes behind the first such one.
    let others = (word.wrapping_add(0x7676_7676_7676_7676) | word) & HIGH_BITS;
    (word, usize::try_from(others.trailing_zeros() / 8).unwrap_or(0))
}

/// The next eight bytes; behind the end of the frame zeros.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    match bytes.first_chunk::<8>() {
        Some(chunk) => u64::from_le_bytes(*chunk),
        None => last_word(bytes),
    }
}

/// The high bit of each byte that is zero; above the lowest such, of others perhaps too.
#[inline]
const fn zero_bytes(word: u64) -> u64 {
    word.wrapping_sub(0x0101_0101_0101_0101) & !word & HIGH_BITS
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
