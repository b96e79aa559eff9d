//! What each strategy holds, what each instrument and account adds up to.

use super::config::{Permission, RiskConfig};
use super::exposure::Exposure;
use crate::portfolio::{BookError, Fill, Ledger, Position};
use crate::types::{Instrument, InstrumentId, Money, Quote, Side, StrategyId, TradingState};

/// One strategy in one instrument.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// Who, in what, and how.
    pub permission: Permission,
    /// What fills made of it.
    pub position: Position,
    /// What open orders may still make of it.
    pub exposure: Exposure,
    /// Orders of which anything is still reserved: not proven terminal, or with fills that are not booked yet.
    pub open_orders: u32,
    /// Reduce-only after a fill went over the position limit; the engine's own state may be stricter.
    pub trading_state: TradingState,
    /// Profit or loss of the open quantity when it was last worked out.
    pub unrealized: Money,
    /// Whether displays do not know its newest state.
    pub(super) is_changed: bool,
}

/// One instrument, over all strategies.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// The instrument.
    pub instrument: Instrument,
    /// What all strategies together hold and may still.
    pub exposure: Exposure,
    /// The newest mark.
    pub quote: Quote,
    /// Reduce-only after a fill went over the position limit of all strategies together.
    pub trading_state: TradingState,
    /// Whether there was a mark since positions were last reported.
    pub(super) is_marked: bool,
}

/// Every holding, market and account. The places are allotted at the start, by the permissions.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) holdings: Vec<Holding>,
    pub(super) markets: Vec<Market>,
    pub(super) ledgers: Vec<Ledger>,
    /// By strategy × instrument, [`NO_HOLDING`] where nothing is permitted.
    places: Vec<u32>,
}

const NO_HOLDING: u32 = u32::MAX;

impl Books {
    pub(super) fn new(config: &RiskConfig, venue_count: usize) -> Self {
        let strategies = config.permissions.iter().map(|permission| permission.strategy.index() + 1).max().unwrap_or(0);
        let mut books = Self {
            holdings: Vec::with_capacity(config.permissions.len()),
            markets: Vec::with_capacity(config.instruments.len()),
            ledgers: vec![Ledger::new(config.instruments.assets().len()); venue_count],
            places: vec![NO_HOLDING; strategies * config.instruments.len()],
        };
        for instrument in config.instruments.iter() {
            books.markets.push(Market {
                instrument: *instrument,
                exposure: Exposure::default(),
                quote: Quote::default(),
                trading_state: TradingState::Active,
                is_marked: false,
            });
        }
        for (place, permission) in (0u32..).zip(&config.permissions) {
            books.holdings.push(Holding {
                permission: *permission,
                position: Position::FLAT,
                exposure: Exposure::default(),
                open_orders: 0,
                trading_state: TradingState::Active,
                unrealized: Money::ZERO,
                is_changed: false,
            });
            let index = books.place_index(permission.strategy, permission.instrument);
            if let Some(slot) = index.and_then(|index| books.places.get_mut(index)) {
                *slot = place;
            }
        }
        books
    }

    fn place_index(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<usize> {
        if instrument.index() >= self.markets.len() {
            return None;
        }
        strategy.index().checked_mul(self.markets.len())?.checked_add(instrument.index())
    }

    /// The place of a strategy in an instrument; `None` where it has no permission.
    #[inline]
    pub(super) fn find(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<u32> {
        let index = self.place_index(strategy, instrument)?;
        self.places.get(index).copied().filter(|&place| place != NO_HOLDING)
    }

    #[inline]
    pub(super) fn holding(&self, place: u32) -> Option<&Holding> {
        self.holdings.get(place as usize)
    }

    #[inline]
    pub(super) fn market(&self, instrument: InstrumentId) -> Option<&Market> {
        self.markets.get(instrument.index())
    }

    /// The holding and its market.
    fn pair_mut(&mut self, place: u32) -> Option<(&mut Holding, &mut Market)> {
        let holding = self.holdings.get_mut(place as usize)?;
        let market = self.markets.get_mut(holding.permission.instrument.index())?;
        Some((holding, market))
    }

    /// What an order of this holding may still fill went from `before` to `after`.
    pub(super) fn reserve(&mut self, place: u32, side: Side, before: i64, after: i64) {
        if before != after
            && let Some((holding, market)) = self.pair_mut(place)
        {
            holding.exposure.reserve(side, before, after);
            market.exposure.reserve(side, before, after);
            let count = holding.open_orders;
            holding.open_orders = match (before > 0, after > 0) {
                (false, true) => count.saturating_add(1),
                (true, false) => count.saturating_sub(1),
                _ => count,
            };
            holding.is_changed = true;
        }
    }

    /// Books a fill everywhere it counts.
    ///
    /// # Errors
    /// [`BookError`], and nothing was changed.
    pub(super) fn book(&mut self, place: u32, fill: &Fill) -> Result<(), BookError> {
        let Self { holdings, markets, ledgers, .. } = self;
        let holding = holdings.get_mut(place as usize).ok_or(BookError::NotAFill)?;
        let market = markets.get_mut(holding.permission.instrument.index()).ok_or(BookError::NotAFill)?;
        let mut position = holding.position;
        position.book(fill, &market.instrument, &crate::portfolio::Rates::NONE)?;
        if let Some(ledger) = ledgers.get_mut(usize::from(market.instrument.venue.0)) {
            ledger.book(fill, &market.instrument)?;
        }
        holding.position = position;
        holding.is_changed = true;
        holding.exposure.book(fill.side, fill.quantity.0);
        market.exposure.book(fill.side, fill.quantity.0);
        Ok(())
    }
}
