//! The top of book of one instrument.

use crate::types::{Price, Quantity, Quote};

/// The newest quote, and what follows from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct TopOfBook {
    quote: Quote,
}

impl TopOfBook {
    /// Takes a newer quote. Order is the feed's concern: it passes on no quote older than one already sent.
    #[inline]
    pub fn apply(&mut self, quote: Quote) {
        self.quote = quote;
    }

    /// Forgets the quote: after a lost connection the market is not known until it is told again.
    pub fn clear(&mut self) {
        self.quote = Quote::default();
    }

    /// The newest quote; both quantities are zero where none is known.
    #[inline]
    #[must_use]
    pub fn quote(&self) -> &Quote {
        &self.quote
    }

    /// Whether both sides are known and the bid is at or above the ask.
    #[inline]
    #[must_use]
    pub fn is_crossed(&self) -> bool {
        let quote = &self.quote;
        quote.bid_quantity > Quantity::ZERO && quote.ask_quantity > Quantity::ZERO && quote.bid >= quote.ask
    }

    /// The mid weighted by the opposite quantities, rounded down to a price unit: it leans to the side that is about
    /// to give way (Stoikov, "The micro-price", in its simplest form). `None` where the quote is not two-sided.
    #[must_use]
    pub fn microprice(&self) -> Option<Price> {
        let quote = &self.quote;
        if !quote.is_two_sided() {
            return None;
        }
        let (bid_quantity, ask_quantity) = (i128::from(quote.bid_quantity.0), i128::from(quote.ask_quantity.0));
        let distance = i128::from(quote.ask.0) - i128::from(quote.bid.0);
        let lean = distance.checked_mul(bid_quantity)? / (bid_quantity + ask_quantity);
        quote.bid.0.checked_add(i64::try_from(lean).ok()?).map(Price)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn top(bid: i64, bid_quantity: i64, ask: i64, ask_quantity: i64) -> TopOfBook {
        let mut top = TopOfBook::default();
        top.apply(Quote {
            bid: Price(bid),
            bid_quantity: Quantity(bid_quantity),
            ask: Price(ask),
            ask_quantity: Quantity(ask_quantity),
            ..Quote::default()
        });
        top
    }

    proptest! {
        #[test]
        fn the_microprice_stays_within_the_quote(
            bid in 1..i64::MAX / 2, spread in 1..i64::MAX / 2, bid_quantity in 1..i64::MAX, ask_quantity in 1..i64::MAX,
        ) {
            let price = top(bid, bid_quantity, bid + spread, ask_quantity).microprice().expect("two-sided");
            prop_assert!((bid..=bid + spread).contains(&price.0));
        }
    }

    #[test]
    fn the_microprice_leans_to_the_thin_side() {
        assert_eq!(top(100, 9, 110, 1).microprice(), Some(Price(109)));
        assert_eq!(top(100, 1, 110, 9).microprice(), Some(Price(101)));
        assert_eq!(top(100, 0, 110, 9).microprice(), None);
    }

    #[test]
    fn crossed_and_cleared() {
        assert!(top(110, 1, 110, 1).is_crossed());
        assert!(!top(110, 1, 110, 0).is_crossed());
        let mut crossed = top(111, 1, 110, 1);
        crossed.clear();
        assert_eq!(*crossed.quote(), Quote::default());
        assert!(!crossed.is_crossed());
    }
}
