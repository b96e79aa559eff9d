//! What positions are worth, at their worst ends: each market's, and the account's by quote asset.
//!
//! A market is valued again when a mark moves its price or an order or fill its exposure, and the sums move by the
//! difference: an order's check looks at no market but its own.

use super::exposure::Exposure;
use crate::types::{AssetId, Instrument, Money, Price, Quantity};

/// What one position is worth at both ends of its interval, in the quote asset. Held within [`Worth::MAX`], so that no
/// sum over markets overflows; what is past it is past every limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worth {
    /// If every open buy filled and no sell did.
    pub long: Money,
    /// If every open sell filled and no buy did; negative is short.
    pub short: Money,
}

impl Worth {
    /// Nothing.
    pub const NONE: Self = Self { long: Money::ZERO, short: Money::ZERO };

    /// The most that one position counts for: 10^15 whole units.
    pub const MAX: Money = Money(1_000_000_000_000_000_000_000_000_000_000_000);

    /// What an exposure is worth at a price.
    #[inline]
    #[must_use]
    pub fn of(exposure: &Exposure, price: Price, instrument: &Instrument) -> Self {
        let unit = instrument.notional(price, Quantity(1)).unwrap_or(Self::MAX).0;
        let worth = |quantity: i128| {
            // A checked multiplication of 128 bits is a call; nearly all of these come in 64, which cannot overflow.
            let product = match (i64::try_from(quantity), i64::try_from(unit)) {
                (Ok(quantity), Ok(unit)) => i128::from(quantity) * i128::from(unit),
                _ => quantity.saturating_mul(unit),
            };
            Money(product.clamp(-Self::MAX.0, Self::MAX.0))
        };
        Self { long: worth(exposure.worst_long()), short: worth(exposure.worst_short()) }
    }

    /// The size of the worse end.
    #[inline]
    #[must_use]
    pub fn gross(&self) -> Money {
        Money(self.long.0.abs().max(self.short.0.abs()))
    }
}

/// What an account's positions in the instruments of one quote asset are worth together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuoteWorth {
    /// The quote asset.
    pub asset: AssetId,
    /// The sizes of all worse ends.
    pub gross: Money,
    /// The sum of all upper ends.
    pub long: Money,
    /// The sum of all lower ends.
    pub short: Money,
}

impl QuoteWorth {
    /// One market's worth went from `before` to `after`.
    #[inline]
    #[must_use]
    pub fn moved(self, before: &Worth, after: &Worth) -> Self {
        // Both are within their bounds, and there are not 10^5 markets: the sums fit.
        let moved = |sum: Money, before: Money, after: Money| sum.saturating_add(after).saturating_sub(before);
        Self {
            asset: self.asset,
            gross: moved(self.gross, before.gross(), after.gross()),
            long: moved(self.long, before.long, after.long),
            short: moved(self.short, before.short, after.short),
        }
    }
}
