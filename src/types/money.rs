//! Amounts of an asset, exact for every instrument.

use super::fixed::{POW10, Price, Quantity};
use std::fmt;
use std::iter::Sum;

/// An amount of one asset (which one is told by its context) in units of `10^-18`.
///
/// One scale serves all: a price times a quantity is exact as long as their precisions add up to at most 18 (which
/// [`Instrument::validate`](super::Instrument::validate) asks), and 128 bits reach 1.7e20 whole units. Every operation
/// that could leave the range is checked; overflow is a refusal, never a wrap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Money(pub i128);

impl Money {
    /// Decimal places of the scale.
    pub const PRECISION: u8 = 18;
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// `price × quantity` of an instrument with these precisions; `None` on overflow or where they add up to more
    /// than 18.
    #[inline]
    #[must_use]
    pub fn notional(price: Price, quantity: Quantity, price_precision: u8, quantity_precision: u8) -> Option<Self> {
        let places = price_precision.checked_add(quantity_precision)?;
        // Two 64-bit numbers multiplied fit 128.
        Self::from_scaled_i128(i128::from(price.0) * i128::from(quantity.0), places)
    }

    /// `value` counts of `10^-places`; `None` on overflow or past 18 places.
    #[must_use]
    pub fn from_scaled(value: i64, places: u8) -> Option<Self> {
        Self::from_scaled_i128(i128::from(value), places)
    }

    #[inline]
    fn from_scaled_i128(value: i128, places: u8) -> Option<Self> {
        let missing = Self::PRECISION.checked_sub(places)?;
        let factor = POW10.get(usize::from(missing)).copied()?;
        // A checked multiplication of 128 bits is a call; nearly all amounts come in 64, which cannot overflow.
        match i64::try_from(value) {
            Ok(value) => Some(Self(i128::from(value) * i128::from(factor))),
            Err(_) => value.checked_mul(i128::from(factor)).map(Self),
        }
    }

    /// The amount in counts of `10^-places`, rounded towards zero; `None` past 18 places or where it does not fit.
    #[must_use]
    pub fn to_scaled(self, places: u8) -> Option<i64> {
        let missing = Self::PRECISION.checked_sub(places)?;
        let factor = POW10.get(usize::from(missing)).copied()?;
        i64::try_from(self.0 / i128::from(factor)).ok()
    }

    /// The sum, or `None` on overflow.
    #[inline]
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or `None` on overflow.
    #[inline]
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The sum, held at the ends of the range: for displays and totals, never for a check.
    #[inline]
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        // A branch that is never taken costs less than the selects of 128 bits.
        match self.0.checked_add(other.0) {
            Some(sum) => Self(sum),
            None => end_of_range(self.0 < 0),
        }
    }

    /// The difference, held at the ends of the range: for displays and totals, never for a check.
    #[inline]
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        match self.0.checked_sub(other.0) {
            Some(difference) => Self(difference),
            None => end_of_range(self.0 < 0),
        }
    }

    /// The amount as a float, for displays and statistics only.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a display value")]
    pub fn to_f64(self) -> f64 {
        self.0 as f64 / 1e18
    }

    /// The whole decimal text without trailing zeros: `-12.5`.
    #[must_use]
    #[expect(clippy::disallowed_macros, reason = "displays only")]
    pub fn to_decimal_string(self) -> String {
        let whole = self.0.unsigned_abs() / 1_000_000_000_000_000_000;
        let fraction = self.0.unsigned_abs() % 1_000_000_000_000_000_000;
        let sign = if self.0 < 0 { "-" } else { "" };
        let text = format!("{sign}{whole}.{fraction:018}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// Where a sum is held that does not fit.
#[cold]
const fn end_of_range(is_negative: bool) -> Money {
    Money(if is_negative { i128::MIN } else { i128::MAX })
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.to_decimal_string())
    }
}

impl Sum for Money {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    proptest! {
        #[test]
        fn notional_equals_rust_decimal(price in 0..10_000_000_000i64, quantity in 0..10_000_000_000i64, price_precision in 0..=8u8, quantity_precision in 0..=8u8) {
            let exact = Decimal::new(price, u32::from(price_precision)) * Decimal::new(quantity, u32::from(quantity_precision));
            let ours = Money::notional(Price(price), Quantity(quantity), price_precision, quantity_precision).expect("fits");
            prop_assert_eq!(ours.to_decimal_string(), exact.normalize().to_string());
        }
    }

    #[test]
    fn overflow_is_a_refusal() {
        assert_eq!(Money::notional(Price(i64::MAX), Quantity(i64::MAX), 0, 0), None);
        assert_eq!(Money::notional(Price(1), Quantity(1), 10, 9), None);
        assert_eq!(Money(i128::MAX).checked_add(Money(1)), None);
        assert_eq!(Money(1_500_000_000_000_000_000).to_scaled(0), Some(1));
        assert_eq!(Money(-1_500_000_000_000_000_000).to_decimal_string(), "-1.5");
    }
}
