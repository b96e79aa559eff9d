//! The limits, as plain numbers. Zero means not configured, and what is not configured denies.

use crate::types::{InstrumentId, Money, Quantity, StrategyId, VenueId};

/// Limits of one strategy in one instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// The largest order.
    pub max_order_quantity: Quantity,
    /// The largest order as price times quantity, in the quote asset.
    pub max_order_notional: Money,
    /// How far long or short the strategy may be, at worst.
    pub max_position: Quantity,
}

/// Limits of one instrument, whoever trades it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InstrumentLimits {
    /// How far long or short all strategies together may be, at worst.
    pub max_position: Quantity,
    /// The oldest market data to decide from, in nanoseconds.
    pub max_data_age_ns: u64,
    /// How far beyond the mid an order may pay, in basis points.
    pub collar_bps: u32,
    /// How far on its own side of the mid an order may rest, in basis points; 10,000 and more bound no buy.
    pub passive_collar_bps: u32,
    /// How far past the opposite touch a market order is taken to fill, in basis points.
    pub max_slippage_bps: u32,
    /// The largest order as a share of the depth near the opposite touch, in basis points.
    pub max_depth_share_bps: u32,
}

/// Messages (orders and cancels) that may be sent: `burst` at once, `per_second` in the long run. Orders leave
/// `cancel_reserve` of the burst to cancels, which always pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Refill a second.
    pub per_second: u32,
    /// The most at once.
    pub burst: u32,
    /// The part of the burst that only cancels may use.
    pub cancel_reserve: u32,
}

/// Every limit of the engine, as one value: built cold, checked by [`LimitsTable::validate`], put in place whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LimitsTable {
    /// By permission, in the order of [`RiskConfig::permissions`](super::RiskConfig::permissions).
    pub permissions: Vec<Limits>,
    /// By instrument id.
    pub instruments: Vec<InstrumentLimits>,
    /// By strategy id.
    pub strategies: Vec<RateLimit>,
    /// By venue id.
    pub venues: Vec<RateLimit>,
}

impl Limits {
    /// Nothing configured: denies.
    pub const NONE: Self =
        Self { max_order_quantity: Quantity::ZERO, max_order_notional: Money::ZERO, max_position: Quantity::ZERO };
}

impl InstrumentLimits {
    /// Nothing configured: denies.
    pub const NONE: Self = Self {
        max_position: Quantity::ZERO,
        max_data_age_ns: 0,
        collar_bps: 0,
        passive_collar_bps: 0,
        max_slippage_bps: 0,
        max_depth_share_bps: 0,
    };
}

impl RateLimit {
    /// Nothing configured: denies.
    pub const NONE: Self = Self { per_second: 0, burst: 0, cancel_reserve: 0 };
}

impl LimitsTable {
    /// Limits of a permission.
    #[inline]
    #[must_use]
    pub fn permission(&self, place: u32) -> &Limits {
        self.permissions.get(place as usize).unwrap_or(&Limits::NONE)
    }

    /// Limits of an instrument.
    #[inline]
    #[must_use]
    pub fn instrument(&self, instrument: InstrumentId) -> &InstrumentLimits {
        self.instruments.get(instrument.index()).unwrap_or(&InstrumentLimits::NONE)
    }

    /// The message rate of a strategy.
    #[inline]
    #[must_use]
    pub fn strategy(&self, strategy: StrategyId) -> &RateLimit {
        self.strategies.get(strategy.index()).unwrap_or(&RateLimit::NONE)
    }

    /// The message rate of a venue.
    #[inline]
    #[must_use]
    pub fn venue(&self, venue: VenueId) -> &RateLimit {
        self.venues.get(usize::from(venue.0)).unwrap_or(&RateLimit::NONE)
    }

    /// Whether the numbers make sense. A zero or a missing entry does: it denies.
    ///
    /// # Errors
    /// The first that does not, in words.
    pub fn validate(&self) -> Result<(), &'static str> {
        for limits in &self.permissions {
            if limits.max_order_quantity.0 < 0 || limits.max_position.0 < 0 || limits.max_order_notional.0 < 0 {
                return Err("a limit of a strategy in an instrument is negative");
            }
        }
        if self.instruments.iter().any(|limits| limits.max_position.0 < 0) {
            return Err("the position limit of an instrument is negative");
        }
        for rate in self.strategies.iter().chain(&self.venues) {
            if rate.burst > 0 && rate.cancel_reserve >= rate.burst {
                return Err("a rate's reserve for cancels leaves nothing of its burst to orders");
            }
        }
        Ok(())
    }
}
