//! What one strategy holds of one instrument.

use super::{BookError, Fill, RateError, Rates};
use crate::types::binary::binary_struct;
use crate::types::{Instrument, Money, PositionState, Price, Quantity, Quote};

/// A position at average cost, booked fill by fill.
///
/// The invariant is `cash = realized − open_cost`, where cash is the sum of what all fills paid and received: a closing
/// fill takes its share of the open cost rounded towards zero, and the remainder stays with what is still open. When
/// the position is flat the open cost is zero, so nothing was ever lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    quantity: i64,
    open_cost: Money,
    realized: Money,
    fees: Money,
    fees_unvalued: u32,
}

binary_struct!(Position { quantity, open_cost, realized, fees, fees_unvalued });

impl Position {
    /// Nothing held, nothing earned.
    pub const FLAT: Self =
        Self { quantity: 0, open_cost: Money::ZERO, realized: Money::ZERO, fees: Money::ZERO, fees_unvalued: 0 };

    /// Books a fill: opens, adds, closes, or closes and opens on the other side. A fee in a third asset counts by its
    /// rate; without one it is counted only ([`Position::fees_unvalued`]).
    ///
    /// # Errors
    /// [`BookError`], and the position is as it was.
    pub fn book(&mut self, fill: &Fill, instrument: &Instrument, rates: &Rates) -> Result<(), BookError> {
        if fill.quantity.0 <= 0 || fill.price.0 <= 0 {
            return Err(BookError::NotAFill);
        }
        let mut booked = self.booked(fill, instrument).ok_or(BookError::Overflow)?;
        match fill.fee_in_quote(instrument, rates) {
            Ok(fee) => booked.fees = booked.fees.checked_add(fee).ok_or(BookError::Overflow)?,
            Err(RateError::Overflow) => return Err(BookError::Overflow),
            Err(_) => booked.fees_unvalued = booked.fees_unvalued.saturating_add(1),
        }
        *self = booked;
        Ok(())
    }

    /// Books a funding payment, in the quote asset: received, or paid where negative. It is part of the realized profit
    /// and moves neither quantity nor cost.
    ///
    /// # Errors
    /// [`BookError::Overflow`], and the position is as it was.
    pub fn fund(&mut self, amount: Money) -> Result<(), BookError> {
        self.realized = self.realized.checked_add(amount).ok_or(BookError::Overflow)?;
        Ok(())
    }

    fn booked(mut self, fill: &Fill, instrument: &Instrument) -> Option<Self> {
        let closes = self.quantity.signum() == -fill.side.sign();
        let closing = if closes { fill.quantity.0.min(self.quantity.checked_abs()?) } else { 0 };
        if closing > 0 {
            let cost = self.cost_of(closing)?;
            let received = self.signed_notional(fill, closing, instrument)?.0.checked_neg()?;
            self.realized = self.realized.checked_add(Money(received))?.checked_sub(cost)?;
            self.open_cost = self.open_cost.checked_sub(cost)?;
        }
        let opening = fill.quantity.0.checked_sub(closing)?;
        if opening > 0 {
            let cost = self.signed_notional(fill, opening, instrument)?;
            self.open_cost = self.open_cost.checked_add(cost)?;
        }
        self.quantity = self.quantity.checked_add(fill.quantity.0.checked_mul(fill.side.sign())?)?;
        Some(self)
    }

    /// What `quantity` at the fill's price costs: positive for a buy, negative for a sell.
    fn signed_notional(self, fill: &Fill, quantity: i64, instrument: &Instrument) -> Option<Money> {
        instrument.notional(fill.price, Quantity(quantity.checked_mul(fill.side.sign())?))
    }

    /// The share of the open cost that `closing` of the open quantity has, rounded towards zero. Divided before it is
    /// multiplied, so that no intermediate leaves 128 bits: `(a·q + r)·c / q = a·c + r·c / q`.
    fn cost_of(self, closing: i64) -> Option<Money> {
        let open = i128::from(self.quantity.checked_abs()?);
        let closing = i128::from(closing);
        if closing == open {
            return Some(self.open_cost);
        }
        let whole = self.open_cost.0.checked_div(open)?.checked_mul(closing)?;
        let rest = self.open_cost.0.checked_rem(open)?.checked_mul(closing)?.checked_div(open)?;
        whole.checked_add(rest).map(Money)
    }

    /// This position and another one in the same instrument as one: what the two hold against each other is closed, each at
    /// its own cost. `None` on overflow.
    #[must_use]
    pub fn joined(&self, other: &Self) -> Option<Self> {
        let closes = self.quantity.signum() == -other.quantity.signum();
        let closing = if closes { self.quantity.checked_abs()?.min(other.quantity.checked_abs()?) } else { 0 };
        let closed =
            if closing > 0 { self.cost_of(closing)?.checked_add(other.cost_of(closing)?)? } else { Money::ZERO };
        Some(Self {
            quantity: self.quantity.checked_add(other.quantity)?,
            open_cost: self.open_cost.checked_add(other.open_cost)?.checked_sub(closed)?,
            realized: self.realized.checked_add(other.realized)?.checked_sub(closed)?,
            fees: self.fees.checked_add(other.fees)?,
            fees_unvalued: self.fees_unvalued.saturating_add(other.fees_unvalued),
        })
    }

    /// Net quantity; negative is short.
    #[must_use]
    pub const fn quantity(&self) -> Quantity {
        Quantity(self.quantity)
    }

    /// What the open quantity cost; of a short position, less than zero: what it brought.
    #[must_use]
    pub const fn open_cost(&self) -> Money {
        self.open_cost
    }

    /// Realized profit and loss before fees, funding included, in the quote asset.
    #[must_use]
    pub const fn realized(&self) -> Money {
        self.realized
    }

    /// Fees so far, valued in the quote asset by [`Fill::fee_in_quote`].
    #[must_use]
    pub const fn fees(&self) -> Money {
        self.fees
    }

    /// How many fees had no value in the quote asset when they were paid. They are in no figure here, but in the ledger.
    #[must_use]
    pub const fn fees_unvalued(&self) -> u32 {
        self.fees_unvalued
    }

    /// Average price of the open quantity, rounded half up to a price unit: for displays, never for a sum. Zero when
    /// flat.
    #[must_use]
    pub fn average_price(&self, instrument: &Instrument) -> Price {
        let average = || {
            let one = instrument.notional(Price(1), Quantity(self.quantity))?.0;
            let twice = self.open_cost.0.checked_mul(2)?.checked_add(one)?;
            i64::try_from(twice.checked_div(one.checked_mul(2)?)?).ok()
        };
        if self.quantity == 0 { Price::ZERO } else { average().map_or(Price::ZERO, Price) }
    }

    /// Profit or loss of the open quantity if it were closed at the touch: a long position at the bid, a short one at
    /// the ask. `None` where that side is empty, or on overflow.
    #[must_use]
    pub fn unrealized(&self, quote: &Quote, instrument: &Instrument) -> Option<Money> {
        let (price, resting) = match self.quantity.signum() {
            0 => return Some(Money::ZERO),
            1 => (quote.bid, quote.bid_quantity),
            _ => (quote.ask, quote.ask_quantity),
        };
        if resting.0 <= 0 || price.0 <= 0 {
            return None;
        }
        instrument.notional(price, Quantity(self.quantity))?.checked_sub(self.open_cost)
    }

    /// The position as messages carry it.
    #[must_use]
    pub fn state(&self, instrument: &Instrument) -> PositionState {
        PositionState {
            quantity: self.quantity(),
            average_price: self.average_price(instrument),
            realized: self.realized,
            fees: self.fees,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{btcusdt, fill};
    use super::*;
    use crate::portfolio::Rate;
    use crate::types::{AssetId, Side, Timestamp};
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    /// Average cost as a textbook has it, in decimals, from the whole history at once.
    fn reference(fills: &[Fill]) -> (i64, Decimal, Decimal) {
        let (mut quantity, mut cost, mut realized) = (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO);
        for fill in fills {
            let price = Decimal::new(fill.price.0, 2);
            let mut rest = Decimal::new(fill.quantity.0 * fill.side.sign(), 5);
            if !quantity.is_zero() && quantity.is_sign_positive() != rest.is_sign_positive() {
                let closed = rest.abs().min(quantity.abs());
                let signed = if quantity.is_sign_positive() { closed } else { -closed };
                let average = cost / quantity;
                realized += (price - average) * signed;
                cost -= average * signed;
                quantity -= signed;
                rest += signed;
            }
            cost += price * rest;
            quantity += rest;
        }
        (i64::try_from((quantity * Decimal::new(100_000, 0)).trunc().mantissa()).unwrap_or(0), cost, realized)
    }

    fn decimal(money: Money) -> Decimal {
        money.to_decimal_string().parse().expect("a decimal")
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn equals_the_textbook_and_loses_nothing(
            steps in proptest::collection::vec((any::<bool>(), 1..10_000_000i64, 1..1_000_000i64, 0..1_000i64), 1..60),
        ) {
            let instrument = btcusdt();
            let mut position = Position::FLAT;
            let mut cash = 0i128;
            let mut fees = 0i128;
            let mut fills = Vec::new();
            for (is_buy, price, quantity, fee) in steps {
                let side = if is_buy { Side::Buy } else { Side::Sell };
                let fill = Fill { fee: Money(i128::from(fee)), fee_asset: instrument.quote, ..fill(side, price, quantity) };
                fills.push(fill);
                position.book(&fill, &instrument, &Rates::NONE).expect("fits");
                // Two and five places make a unit of 10^-7, 10^11 of Money's.
                cash -= i128::from(side.sign()) * i128::from(price) * i128::from(quantity) * 100_000_000_000;
                fees += i128::from(fee);
                prop_assert_eq!(position.realized().0 - position.open_cost().0, cash);
                prop_assert_eq!(position.fees().0, fees);
                if position.quantity().0 == 0 {
                    prop_assert_eq!(position.open_cost(), Money::ZERO);
                    prop_assert_eq!(position.realized().0, cash);
                }
            }
            let (quantity, cost, realized) = reference(&fills);
            prop_assert_eq!(position.quantity().0, quantity);
            let tolerance = Decimal::new(1, 12);
            prop_assert!((decimal(position.open_cost()) - cost).abs() < tolerance);
            prop_assert!((decimal(position.realized()) - realized).abs() < tolerance);
        }
    }

    proptest! {
        #[test]
        fn two_positions_are_one_with_the_same_cash(
            steps in proptest::collection::vec((any::<bool>(), any::<bool>(), 1..10_000i64, 1..1_000i64), 1..40),
        ) {
            let instrument = btcusdt();
            let mut positions = [Position::FLAT; 2];
            for (is_first, is_buy, price, quantity) in steps {
                let side = if is_buy { Side::Buy } else { Side::Sell };
                let position = &mut positions[usize::from(is_first)];
                position.book(&fill(side, price, quantity), &instrument, &Rates::NONE).expect("fits");
            }
            let [one, other] = positions;
            let joined = one.joined(&other).expect("fits");
            let cash = |position: Position| position.realized().0 - position.open_cost().0;
            prop_assert_eq!(joined.quantity().0, one.quantity().0 + other.quantity().0);
            prop_assert_eq!(cash(joined), cash(one) + cash(other));
            prop_assert!(joined.quantity().0 != 0 || joined.open_cost() == Money::ZERO);
            prop_assert_eq!(other.joined(&one), Some(joined));
            prop_assert_eq!(one.joined(&Position::FLAT), Some(one));
        }
    }

    #[test]
    fn a_flip_realizes_the_old_side_and_opens_the_new_one() {
        let instrument = btcusdt();
        let mut position = Position::FLAT;
        position.book(&fill(Side::Buy, 10000, 200000), &instrument, &Rates::NONE).expect("fits");
        position.book(&fill(Side::Sell, 11000, 500000), &instrument, &Rates::NONE).expect("fits");
        assert_eq!(position.quantity(), Quantity(-300000));
        assert_eq!(position.realized().to_decimal_string(), "20");
        assert_eq!(position.open_cost().to_decimal_string(), "-330");
        assert_eq!(position.average_price(&instrument), Price(11000));
        let quote = Quote {
            bid: Price(9900),
            bid_quantity: Quantity(1),
            ask: Price(10000),
            ask_quantity: Quantity(1),
            ..Quote::default()
        };
        assert_eq!(position.unrealized(&quote, &instrument).map(Money::to_decimal_string).as_deref(), Some("30"));
        let one_sided = Quote { ask_quantity: Quantity::ZERO, ..quote };
        assert_eq!(position.unrealized(&one_sided, &instrument), None);
        assert_eq!(Position::FLAT.unrealized(&one_sided, &instrument), Some(Money::ZERO));
    }

    #[test]
    fn the_average_is_rounded_half_up() {
        let instrument = btcusdt();
        let mut position = Position::FLAT;
        position.book(&fill(Side::Buy, 100, 1), &instrument, &Rates::NONE).expect("fits");
        position.book(&fill(Side::Buy, 101, 1), &instrument, &Rates::NONE).expect("fits");
        assert_eq!(position.average_price(&instrument), Price(101));
        position.book(&fill(Side::Buy, 100, 1), &instrument, &Rates::NONE).expect("fits");
        assert_eq!(position.average_price(&instrument), Price(100));
    }

    #[test]
    fn fees_in_base_and_quote_are_valued_at_the_price_of_their_fill() {
        let instrument = btcusdt();
        let in_quote = |fill: Fill| fill.fee_in_quote(&instrument, &Rates::NONE);
        let base_fee = Fill { fee: Money(3), fee_asset: instrument.base, ..fill(Side::Buy, 50_33, 1) };
        assert_eq!(in_quote(base_fee), Ok(Money(151)));
        assert_eq!(in_quote(Fill { fee: Money(-3), ..base_fee }), Ok(Money(-151)), "a rebate");
        assert_eq!(in_quote(Fill { fee_asset: instrument.quote, ..base_fee }), Ok(Money(3)));
        assert_eq!(in_quote(Fill { fee_asset: AssetId(7), ..base_fee }), Err(RateError::Missing));
        assert_eq!(in_quote(Fill { fee: Money(i128::MAX), ..base_fee }), Err(RateError::Overflow));
    }

    #[test]
    fn a_fee_in_a_third_asset_counts_by_its_rate_or_is_counted() {
        let instrument = btcusdt();
        let mut rates = Rates::new(Some(instrument.quote), 3);
        let third = AssetId(2);
        let fill = Fill { fee: Money(1_000), fee_asset: third, ..fill(Side::Buy, 50_33, 1) };
        let mut position = Position::FLAT;
        position.book(&fill, &instrument, &rates).expect("fits");
        assert_eq!((position.fees(), position.fees_unvalued()), (Money::ZERO, 1));
        rates.set(third, Rate::of_base(Price(612_345), 3, Timestamp::from_nanos(1)).expect("positive"));
        position.book(&fill, &instrument, &rates).expect("fits");
        assert_eq!((position.fees(), position.fees_unvalued()), (Money(612_345), 1));
        // In another account currency the value goes through it, and is rounded up.
        let mut rates = Rates::new(Some(AssetId(3)), 4);
        rates.set(third, Rate::of_base(Price(1), 0, Timestamp::from_nanos(1)).expect("positive"));
        rates.set(instrument.quote, Rate::of_base(Price(3), 0, Timestamp::from_nanos(1)).expect("positive"));
        assert_eq!(fill.fee_in_quote(&instrument, &rates), Ok(Money(334)));
    }

    #[test]
    fn funding_is_realized_profit() {
        let instrument = btcusdt();
        let mut position = Position::FLAT;
        position.book(&fill(Side::Buy, 10000, 200000), &instrument, &Rates::NONE).expect("fits");
        let before = position;
        position.fund(Money(500)).expect("fits");
        position.fund(Money(-800)).expect("fits");
        assert_eq!(position.realized(), Money(-300));
        assert_eq!((position.quantity(), position.open_cost()), (before.quantity(), before.open_cost()));
        position.fund(Money(i128::MIN)).expect_err("does not fit");
        assert_eq!(position.realized(), Money(-300));
    }

    #[test]
    fn overflow_and_nonsense_are_refused_and_change_nothing() {
        let instrument = btcusdt();
        let mut position = Position::FLAT;
        position.book(&fill(Side::Buy, 1, i64::MAX), &instrument, &Rates::NONE).expect("fits");
        let before = position;
        assert_eq!(position.book(&fill(Side::Buy, 1, 1), &instrument, &Rates::NONE), Err(BookError::Overflow));
        assert_eq!(
            position.book(&fill(Side::Buy, i64::MAX, i64::MAX), &instrument, &Rates::NONE),
            Err(BookError::Overflow)
        );
        assert_eq!(position.book(&fill(Side::Sell, 0, 1), &instrument, &Rates::NONE), Err(BookError::NotAFill));
        assert_eq!(position.book(&fill(Side::Sell, 1, -1), &instrument, &Rates::NONE), Err(BookError::NotAFill));
        assert_eq!(position, before);
    }
}
