//! What assets are worth in the account's currency, and since when.

use crate::types::{AssetId, Binary, Money, Price, Timestamp, fixed::pow10};

/// Which way an amount is rounded that a rate does not divide evenly, to `10^-18`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Towards less: for what one has, so that it never looks like more.
    Down,
    /// Towards more: for what is held against a limit, so that it never looks like less.
    Up,
}

/// What one asset is worth in another, as a fraction: the price of an instrument between them, either way round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    numerator: i64,
    denominator: i64,
    at: Timestamp,
}

impl Binary for Rate {
    fn put(&self, out: &mut Vec<u8>) {
        self.numerator.put(out);
        self.denominator.put(out);
        self.at.put(out);
    }

    /// What is not positive is no rate: nothing could be divided by it.
    fn take(from: &mut &[u8]) -> Option<Self> {
        let rate = Self { numerator: i64::take(from)?, denominator: i64::take(from)?, at: Timestamp::take(from)? };
        (rate.numerator > 0 && rate.denominator > 0).then_some(rate)
    }
}

impl Rate {
    /// An asset in itself.
    pub const ONE: Self = Self { numerator: 1, denominator: 1, at: Timestamp::UNKNOWN };

    /// The base asset in the quote asset, by a price as of an instant; `None` unless the price is positive.
    #[must_use]
    pub fn of_base(price: Price, price_precision: u8, at: Timestamp) -> Option<Self> {
        let denominator = pow10(price_precision)?;
        (price.0 > 0).then_some(Self { numerator: price.0, denominator, at })
    }

    /// The quote asset in the base asset, likewise.
    #[must_use]
    pub fn of_quote(price: Price, price_precision: u8, at: Timestamp) -> Option<Self> {
        Some(Self::of_base(price, price_precision, at)?.inverse())
    }

    /// The same rate the other way round.
    #[must_use]
    pub const fn inverse(self) -> Self {
        Self { numerator: self.denominator, denominator: self.numerator, at: self.at }
    }

    /// The instant of the price.
    #[must_use]
    pub const fn at(&self) -> Timestamp {
        self.at
    }

    /// The amount in the other asset; `None` on overflow.
    #[inline]
    #[must_use]
    pub fn apply(&self, amount: Money, rounding: Rounding) -> Option<Money> {
        if self.numerator == self.denominator { Some(amount) } else { self.divide(amount, rounding) }
    }

    /// Divided before it is multiplied, so that no intermediate leaves 128 bits: `(a·d + r)·n / d = a·n + r·n / d`, and
    /// `r·n` is a product of two 64-bit numbers.
    fn divide(&self, amount: Money, rounding: Rounding) -> Option<Money> {
        let (numerator, denominator) = (i128::from(self.numerator), i128::from(self.denominator));
        let whole = amount.0.div_euclid(denominator).checked_mul(numerator)?;
        // Neither is negative: the remainder of a Euclidean division never is.
        let part = amount.0.rem_euclid(denominator) * numerator;
        let part = match rounding {
            Rounding::Down => part / denominator,
            Rounding::Up => (part + denominator - 1) / denominator,
        };
        whole.checked_add(part).map(Money)
    }
}

/// Why an amount has no value in the account's currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateError {
    /// There is no currency, or no rate was ever told.
    Missing,
    /// The rate is older than asked for.
    Stale {
        /// How old, in nanoseconds.
        age_ns: u64,
    },
    /// The amount does not fit.
    Overflow,
}

/// The rates of every asset into the account's currency. That currency itself is worth one and never stale.
#[derive(Clone, Debug, Default)]
pub struct Rates {
    currency: Option<AssetId>,
    rates: Vec<Option<Rate>>,
}

impl Rates {
    /// No currency and no rates: nothing has a value.
    pub const NONE: Self = Self { currency: None, rates: Vec::new() };

    /// No rate known but that of the currency.
    #[must_use]
    pub fn new(currency: Option<AssetId>, asset_count: usize) -> Self {
        let mut rates = vec![None; asset_count];
        if let Some(own) = currency.and_then(|currency| rates.get_mut(currency.index())) {
            *own = Some(Rate::ONE);
        }
        Self { currency, rates }
    }

    /// The account's currency.
    #[must_use]
    pub const fn currency(&self) -> Option<AssetId> {
        self.currency
    }

    /// Puts the newest rate of an asset in place. The currency's own stays one.
    pub fn set(&mut self, asset: AssetId, rate: Rate) {
        if Some(asset) != self.currency
            && let Some(known) = self.rates.get_mut(asset.index())
        {
            *known = Some(rate);
        }
    }

    /// Every asset that has a rate, and the newest one.
    pub fn known(&self) -> impl Iterator<Item = (AssetId, Rate)> {
        (0..).map(AssetId).zip(&self.rates).filter_map(|(asset, rate)| rate.map(|rate| (asset, rate)))
    }

    /// The newest rate of an asset, however old.
    #[inline]
    #[must_use]
    pub fn newest(&self, asset: AssetId) -> Option<Rate> {
        self.rates.get(asset.index()).copied().flatten()
    }

    /// An amount of an asset in the account's currency, by a rate of at most this age.
    ///
    /// # Errors
    /// [`RateError`].
    #[inline(always)]
    pub fn value(
        &self,
        amount: Money,
        asset: AssetId,
        now: Timestamp,
        age_ns_max: u64,
        rounding: Rounding,
    ) -> Result<Money, RateError> {
        if Some(asset) == self.currency {
            return Ok(amount);
        }
        let rate = self.newest(asset).ok_or(RateError::Missing)?;
        let age_ns = now.since(rate.at);
        if age_ns > age_ns_max {
            return Err(RateError::Stale { age_ns });
        }
        rate.apply(amount, rounding).ok_or(RateError::Overflow)
    }

    /// An amount of one asset in another, by the newest rates of both into the account's currency, however old. Rounded
    /// twice where neither is that currency.
    ///
    /// # Errors
    /// [`RateError::Missing`] or [`RateError::Overflow`].
    pub fn convert(&self, amount: Money, from: AssetId, to: AssetId, rounding: Rounding) -> Result<Money, RateError> {
        if from == to {
            return Ok(amount);
        }
        let (from, to) = self.newest(from).zip(self.newest(to)).ok_or(RateError::Missing)?;
        let value = from.apply(amount, rounding).ok_or(RateError::Overflow)?;
        to.inverse().apply(value, rounding).ok_or(RateError::Overflow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rust_decimal::{Decimal, RoundingStrategy};

    const BTC: AssetId = AssetId(0);
    const USDT: AssetId = AssetId(1);
    const EUR: AssetId = AssetId(2);

    fn decimal(money: Money) -> Decimal {
        money.to_decimal_string().parse().expect("a decimal")
    }

    proptest! {
        #[test]
        fn a_rate_is_decimal_arithmetic_rounded_at_the_last_place(
            units in -1_000_000_000i64..1_000_000_000, places in 0..=8u8, price in 1..100_000_000i64, precision in 0..=4u8,
        ) {
            let amount = Money::from_scaled(units, places).expect("fits");
            let price_decimal = Decimal::new(price, u32::from(precision));
            let at = Timestamp::from_nanos(1);
            let direct = Rate::of_base(Price(price), precision, at).expect("positive");
            let inverse = Rate::of_quote(Price(price), precision, at).expect("positive");
            let exact = decimal(amount) * price_decimal;
            prop_assert_eq!(direct.apply(amount, Rounding::Down).map(decimal), Some(exact.normalize()));
            prop_assert_eq!(direct.apply(amount, Rounding::Up).map(decimal), Some(exact.normalize()));
            // A quotient may not end: between the two roundings lies no more than one unit, and the quotient.
            let down = inverse.apply(amount, Rounding::Down).expect("fits");
            let up = inverse.apply(amount, Rounding::Up).expect("fits");
            prop_assert!(up.0 - down.0 <= 1);
            prop_assert!(direct.apply(down, Rounding::Down).expect("fits") <= amount);
            prop_assert!(direct.apply(up, Rounding::Up).expect("fits") >= amount);
            if let Some(quotient) = decimal(amount).checked_div(price_decimal) {
                let near = quotient.round_dp_with_strategy(12, RoundingStrategy::ToZero);
                prop_assert!((decimal(down) - near).abs() <= Decimal::new(2, 12));
            }
        }
    }

    #[test]
    fn missing_old_and_too_large() {
        let mut rates = Rates::new(Some(USDT), 3);
        let at = Timestamp::from_nanos(1_000);
        let one = Money::from_scaled(1, 0).expect("fits");
        let value = |rates: &Rates, asset, now, age| {
            rates.value(one, asset, Timestamp::from_nanos(now), age, Rounding::Down).map(Money::to_decimal_string)
        };
        assert_eq!(value(&rates, BTC, 1_000, 5), Err(RateError::Missing));
        assert_eq!(value(&rates, AssetId::NONE, 1_000, 5), Err(RateError::Missing));
        rates.set(BTC, Rate::of_base(Price(6_000_050), 2, at).expect("positive"));
        assert_eq!(value(&rates, BTC, 1_005, 5).as_deref(), Ok("60000.5"));
        assert_eq!(value(&rates, BTC, 1_006, 5), Err(RateError::Stale { age_ns: 6 }));
        assert_eq!(value(&rates, USDT, u64::MAX, 0).as_deref(), Ok("1"), "the currency itself");
        rates.set(USDT, Rate::of_base(Price(2), 0, at).expect("positive"));
        assert_eq!(value(&rates, USDT, u64::MAX, 0).as_deref(), Ok("1"), "stays one");
        let much = rates.value(Money(i128::MAX), BTC, at, 0, Rounding::Down);
        assert_eq!(much, Err(RateError::Overflow));
        assert_eq!(value(&Rates::new(None, 3), USDT, 0, 5), Err(RateError::Missing), "no currency, no value");
        assert_eq!(Rate::of_base(Price(0), 2, at), None);
        assert_eq!(Rate::of_quote(Price(-1), 2, at), None);
    }

    #[test]
    fn one_asset_in_another() {
        let mut rates = Rates::new(Some(USDT), 3);
        let at = Timestamp::from_nanos(1);
        let two = Money::from_scaled(2, 0).expect("fits");
        let convert =
            |rates: &Rates, from, to| rates.convert(two, from, to, Rounding::Down).map(Money::to_decimal_string);
        assert_eq!(convert(&rates, EUR, EUR).as_deref(), Ok("2"));
        assert_eq!(convert(&rates, BTC, EUR), Err(RateError::Missing));
        rates.set(BTC, Rate::of_base(Price(50_000), 0, at).expect("positive"));
        assert_eq!(convert(&rates, BTC, EUR), Err(RateError::Missing));
        rates.set(EUR, Rate::of_base(Price(125), 2, at).expect("positive"));
        assert_eq!(convert(&rates, BTC, EUR).as_deref(), Ok("80000"));
        assert_eq!(convert(&rates, USDT, EUR).as_deref(), Ok("1.6"));
        assert_eq!(convert(&rates, EUR, USDT).as_deref(), Ok("2.5"));
    }

    #[test]
    fn rounding_of_what_does_not_divide() {
        let third = Rate::of_quote(Price(3), 0, Timestamp::from_nanos(1)).expect("positive");
        assert_eq!(third.apply(Money(10), Rounding::Down), Some(Money(3)));
        assert_eq!(third.apply(Money(10), Rounding::Up), Some(Money(4)));
        assert_eq!(third.apply(Money(-10), Rounding::Down), Some(Money(-4)));
        assert_eq!(third.apply(Money(-10), Rounding::Up), Some(Money(-3)));
        let largest = Rate { numerator: i64::MAX, denominator: i64::MAX - 1, at: Timestamp::UNKNOWN };
        assert!(largest.apply(Money(i128::from(i64::MAX) - 2), Rounding::Up).is_some(), "the largest product fits");
    }
}
