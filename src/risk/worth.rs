//! What positions are worth, at their worst ends: each market's, and the account's by quote asset.
//!
//! A market is valued again when a mark moves its price or an order or fill its exposure, and the sums move by the
//! difference: an order's check looks at no market but its own.

use super::exposure::Exposure;
use crate::types::{AssetId, Instrument, Money, Price, Quantity, Side};

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

    /// What the smallest quantity of an instrument is worth at a price: what [`Worth::of`] counts in.
    #[inline]
    #[must_use]
    pub fn unit(price: Price, instrument: &Instrument) -> Money {
        instrument.notional(price, Quantity(1)).unwrap_or(Self::MAX)
    }

    /// What an exposure is worth where the smallest quantity is worth `unit`.
    #[inline]
    #[must_use]
    pub fn of(exposure: &Exposure, unit: Money) -> Self {
        Self { long: value(exposure.worst_long(), unit), short: value(exposure.worst_short(), unit) }
    }

    /// The same where orders of this side may fill up to `quantity`: the end that they move, and the other as it was.
    #[inline]
    #[must_use]
    pub(super) fn with(self, side: Side, quantity: i128, unit: Money) -> Self {
        match side {
            Side::Buy => Self { long: value(quantity, unit), ..self },
            Side::Sell => Self { short: value(-quantity, unit), ..self },
        }
    }

    /// The end that an order of this side moves, as a size: the upper of a buy, the lower of a sell.
    #[inline(always)]
    pub(super) fn end(&self, side: Side) -> Money {
        match side {
            Side::Buy => self.long,
            Side::Sell => Money(-self.short.0),
        }
    }

    /// The size of the worse end.
    #[inline(always)]
    #[must_use]
    pub fn gross(&self) -> Money {
        Money(self.long.0.abs().max(self.short.0.abs()))
    }
}

/// What one end of an interval is worth, within [`Worth::MAX`].
#[inline]
fn value(quantity: i128, unit: Money) -> Money {
    // A checked multiplication of 128 bits is a call; nearly all of these come in 64, which cannot overflow.
    let product = match (i64::try_from(quantity), i64::try_from(unit.0)) {
        (Ok(quantity), Ok(unit)) => i128::from(quantity) * i128::from(unit),
        _ => quantity.saturating_mul(unit.0),
    };
    Money(product.clamp(-Worth::MAX.0, Worth::MAX.0))
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
    /// The end that an order of this side moves, as a size.
    #[inline(always)]
    pub(super) fn end(&self, side: Side) -> Money {
        match side {
            Side::Buy => self.long,
            Side::Sell => Money(-self.short.0),
        }
    }

    /// One market's worth went from `before` to `after`.
    #[inline]
    #[must_use]
    pub fn moved(self, before: &Worth, after: &Worth) -> Self {
        // All are within their bounds, and there are not 10^5 markets: the sums fit.
        let moved = |sum: Money, before: Money, after: Money| Money(sum.0 - before.0 + after.0);
        Self {
            asset: self.asset,
            gross: moved(self.gross, before.gross(), after.gross()),
            long: moved(self.long, before.long, after.long),
            short: moved(self.short, before.short, after.short),
        }
    }
}
