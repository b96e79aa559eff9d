//! Positions, cash, fees and rates, in exact integers.
//!
//! A [`Position`] is what one strategy holds of one instrument; a [`Ledger`] is what an account, or one strategy's part
//! of it, holds of each asset. Both are booked from the same [`Fill`]s, and both keep every unit: what a rounding would
//! drop stays in the open cost of the position, so `cash = realized − open cost` holds to the last `10^-18` at every
//! fill. [`Rates`] make one currency of several, and say how old they are.

mod ledger;
mod position;
mod rates;

pub use ledger::{BalanceFacts, Entries, Ledger, LedgerFacts};
pub use position::Position;
pub use rates::{Rate, RateError, Rates, Rounding};

use crate::types::{AssetId, Instrument, Money, Price, Quantity, Side};

/// One execution, as positions and ledgers book it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Buy or sell.
    pub side: Side,
    /// At what price; positive.
    pub price: Price,
    /// How much; positive.
    pub quantity: Quantity,
    /// The fee paid (a rebate is negative), an amount of `fee_asset`.
    pub fee: Money,
    /// What the fee was paid in; [`AssetId::NONE`] where that is not an asset of this run.
    pub fee_asset: AssetId,
}

impl Fill {
    /// The fee in the quote asset: one in the base asset at the price of this fill, rounded away from zero to `10^-18`;
    /// one in a third asset by the newest rates, rounded up.
    ///
    /// # Errors
    /// [`RateError::Missing`] where a third asset has no rate: the [`Ledger`] still holds the fee exactly.
    /// [`RateError::Overflow`].
    pub fn fee_in_quote(&self, instrument: &Instrument, rates: &Rates) -> Result<Money, RateError> {
        if self.fee == Money::ZERO || self.fee_asset == instrument.quote {
            return Ok(self.fee);
        }
        if self.fee_asset != instrument.base {
            return rates.convert(self.fee, self.fee_asset, instrument.quote, Rounding::Up);
        }
        let at_price = || {
            let product = self.fee.0.checked_mul(i128::from(self.price.0))?;
            let scale = i128::from(crate::types::fixed::pow10(instrument.price_precision)?);
            let rest = product.checked_rem(scale)?.signum();
            product.checked_div(scale)?.checked_add(rest).map(Money)
        };
        at_price().ok_or(RateError::Overflow)
    }
}

/// Why a fill was not booked. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BookError {
    /// The price or the quantity is not positive.
    NotAFill,
    /// A sum would leave its range.
    Overflow,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, InstrumentStatus, Symbol, VenueId};

    pub(super) fn btcusdt() -> Instrument {
        Instrument {
            id: InstrumentId(0),
            venue: VenueId(0),
            symbol: Symbol::new("BTCUSDT").expect("a symbol"),
            base: AssetId(0),
            quote: AssetId(1),
            price_precision: 2,
            quantity_precision: 5,
            tick: Price(1),
            lot: Quantity(1),
            quantity_min: Quantity(1),
            quantity_max: Quantity::ZERO,
            market_quantity_max: Quantity::ZERO,
            price_min: Price::ZERO,
            price_max: Price::ZERO,
            notional_min: Money::ZERO,
            notional_max: Money::ZERO,
            status: InstrumentStatus::Trading,
        }
    }

    pub(super) fn fill(side: Side, price: i64, quantity: i64) -> Fill {
        Fill { side, price: Price(price), quantity: Quantity(quantity), fee: Money::ZERO, fee_asset: AssetId::NONE }
    }
}
