//! Prices and quantities: integers at a decimal precision, with exact decimal text in and out.

use std::fmt;

/// The largest precision: an `i64` has 18 whole decimal digits.
pub const PRECISION_MAX: u8 = 18;

/// Powers of ten that fit an `i64`, by exponent.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler")]
pub const POW10: [i64; 19] = {
    let mut table = [1i64; 19];
    let mut exponent = 1;
    while exponent < 19 {
        table[exponent] = table[exponent - 1] * 10;
        exponent += 1;
    }
    table
};

/// Ten to the power of `exponent`, or `None` past 18.
#[must_use]
pub fn pow10(exponent: u8) -> Option<i64> {
    POW10.get(usize::from(exponent)).copied()
}

/// A price: an integer count of `10^-precision` units of the quote asset, at its instrument's price precision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Price(pub i64);

/// A quantity: an integer count of `10^-precision` units of the base asset, at its instrument's quantity precision.
/// Signed where it states a position (short is negative), never negative in an order or a book.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Quantity(pub i64);

impl Price {
    /// No price: an empty side of a book, or an order without one.
    pub const ZERO: Self = Self(0);
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Self = Self(0);
}

/// Why a text is not a number of the wanted precision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseFixedError {
    /// Not of the form `-?digits[.digits]`.
    NotANumber,
    /// A digit other than zero stands beyond the precision: the value would have to be rounded.
    TooPrecise,
    /// The value does not fit 64 bits at this precision.
    Overflow,
}

impl fmt::Display for ParseFixedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotANumber => "not a plain decimal number",
            Self::TooPrecise => "more decimal places than the instrument's precision",
            Self::Overflow => "too large for 64 bits at this precision",
        })
    }
}

impl std::error::Error for ParseFixedError {}

/// Reads `-?digits[.digits]` as an integer count of `10^-precision`.
///
/// Zeros beyond the precision are accepted (venues pad to eight places); any other digit there is
/// [`ParseFixedError::TooPrecise`]: nothing is ever rounded. Exponents, a plus sign, blanks, a bare point and empty
/// text are refused. The obvious implementation; the venue decoders have faster ones that are tested against it.
///
/// # Errors
/// As [`ParseFixedError`] states; a precision over 18 is an overflow.
pub fn parse_fixed(text: &[u8], precision: u8) -> Result<i64, ParseFixedError> {
    let (negative, digits) = match text.split_first() {
        Some((b'-', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut parts = digits.splitn(2, |&byte| byte == b'.');
    let whole = parts.next().unwrap_or_default();
    let fraction = parts.next();
    if whole.is_empty() || fraction.is_some_and(<[u8]>::is_empty) {
        return Err(ParseFixedError::NotANumber);
    }
    let fraction = fraction.unwrap_or_default();
    if !whole.iter().chain(fraction).all(u8::is_ascii_digit) {
        return Err(ParseFixedError::NotANumber);
    }
    let kept = usize::from(precision).min(fraction.len());
    let (fraction, beyond) = fraction.split_at(kept);
    if beyond.iter().any(|&byte| byte != b'0') {
        return Err(ParseFixedError::TooPrecise);
    }
    // Accumulated as a negative number, as the negative range is the larger one.
    let mut value = 0i64;
    for &byte in whole.iter().chain(fraction) {
        value = value
            .checked_mul(10)
            .and_then(|value| value.checked_sub(i64::from(byte - b'0')))
            .ok_or(ParseFixedError::Overflow)?;
    }
    for _ in kept..usize::from(precision) {
        value = value.checked_mul(10).ok_or(ParseFixedError::Overflow)?;
    }
    if negative { Ok(value) } else { value.checked_neg().ok_or(ParseFixedError::Overflow) }
}

/// The decimal text of a fixed-point value, held inline.
#[derive(Clone, Copy)]
pub struct FixedText {
    bytes: [u8; 24],
    start: usize,
}

impl FixedText {
    /// The text as bytes, always ASCII.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    fn push_front(&mut self, byte: u8) {
        if let Some(start) = self.start.checked_sub(1)
            && let Some(slot) = self.bytes.get_mut(start)
        {
            *slot = byte;
            self.start = start;
        }
    }
}

impl fmt::Display for FixedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Writes `value` counts of `10^-precision` as decimal text with exactly `precision` places (at most 18 are written):
/// `format_fixed(6183763, 2)` is `61837.63`.
#[must_use]
pub fn format_fixed(value: i64, precision: u8) -> FixedText {
    let mut text = FixedText { bytes: [b'0'; 24], start: 24 };
    let places = precision.min(PRECISION_MAX);
    let mut rest = value.unsigned_abs();
    let mut written = 0;
    while rest != 0 || written <= places {
        if written == places && places != 0 {
            text.push_front(b'.');
        }
        text.push_front(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        written = written.saturating_add(1);
    }
    if value < 0 {
        text.push_front(b'-');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;
    use std::str::FromStr;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10_000))]

        #[test]
        fn text_out_equals_rust_decimal(value in any::<i64>(), precision in 0..=18u8) {
            let expected = Decimal::from_i128_with_scale(i128::from(value), u32::from(precision)).to_string();
            prop_assert_eq!(format_fixed(value, precision).to_string(), expected);
        }

        #[test]
        fn text_comes_back(value in any::<i64>(), precision in 0..=18u8) {
            prop_assert_eq!(parse_fixed(format_fixed(value, precision).as_bytes(), precision), Ok(value));
        }

        #[test]
        fn text_in_equals_rust_decimal(text in "-?[0-9]{1,12}(\\.[0-9]{1,10})?", precision in 0..=12u8) {
            let decimal = Decimal::from_str(&text).expect("a decimal");
            let scaled = decimal.checked_mul(Decimal::from(pow10(precision).expect("in range"))).expect("fits");
            let expected = if scaled.fract().is_zero() {
                i64::try_from(scaled.trunc().mantissa() / 10i128.pow(scaled.trunc().scale())).map_err(|_| ParseFixedError::Overflow)
            } else {
                Err(ParseFixedError::TooPrecise)
            };
            let read = parse_fixed(text.as_bytes(), precision);
            // Where both are wrong with it, either reason will do.
            prop_assert!(read == expected || (read.is_err() && expected.is_err()), "{} {:?} {:?}", text, read, expected);
        }

        #[test]
        fn junk_is_refused_or_plain(text in "[-+0-9.eE ]{0,12}") {
            let plain = {
                let digits = text.strip_prefix('-').unwrap_or(&text);
                let mut parts = digits.split('.');
                let is_digits = |part: Option<&str>| part.is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
                let whole = is_digits(parts.next());
                let rest = parts.next();
                whole && (rest.is_none() || is_digits(rest)) && parts.next().is_none()
            };
            prop_assert_eq!(parse_fixed(text.as_bytes(), 12).is_ok(), plain);
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        assert_eq!(parse_fixed(b"9223372036854775807", 0), Ok(i64::MAX));
        assert_eq!(parse_fixed(b"-9223372036854775808", 0), Ok(i64::MIN));
        assert_eq!(parse_fixed(b"9223372036854775808", 0), Err(ParseFixedError::Overflow));
        assert_eq!(parse_fixed(b"10", 18), Err(ParseFixedError::Overflow));
        assert_eq!(parse_fixed(b"0.100000000000", 1), Ok(1));
        assert_eq!(parse_fixed(b"0.11", 1), Err(ParseFixedError::TooPrecise));
        for junk in [&b""[..], b"-", b".", b"1.", b".1", b"+1", b"1e3", b"NaN", b" 1", b"1.2.3", b"--1"] {
            assert_eq!(parse_fixed(junk, 8), Err(ParseFixedError::NotANumber), "{junk:?}");
        }
    }
}
