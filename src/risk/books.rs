//! What each strategy holds, what each instrument and account adds up to.

use super::capital::Capital;
use super::config::{Permission, RiskConfig};
use super::exposure::Exposure;
use super::results::Results;
use super::worth::{QuoteWorth, Worth};
use crate::portfolio::{BookError, Entries, Fill, Ledger, Position, Rate, Rates};
use crate::types::{
    AssetId, Instrument, InstrumentId, Mark, Money, Price, Quantity, Quote, Side, StrategyId, Symbol, Timestamp,
    TradingState,
};

/// One strategy in one instrument.
#[derive(Clone, Copy, Debug)]
pub struct Holding {
    /// Who, in what, and how.
    pub permission: Permission,
    /// What fills made of it.
    pub position: Position,
    /// What open orders may still make of it.
    pub exposure: Exposure,
    /// What it cost, and what open orders hold back.
    pub capital: Capital,
    /// Orders of which anything is still reserved: not proven terminal, or with fills that are not booked yet.
    pub open_orders: u32,
    /// Reduce-only after a fill went over the position limit; the engine's own state may be stricter.
    pub trading_state: TradingState,
    /// Profit or loss of the open quantity when it was last worked out.
    pub unrealized: Money,
    /// What of its profit is counted in its strategy's.
    pub(super) counted: Money,
    /// Whether displays do not know its newest state.
    pub(super) is_changed: bool,
}

impl Holding {
    const fn of(permission: Permission) -> Self {
        Self {
            permission,
            position: Position::FLAT,
            exposure: Exposure::NONE,
            capital: Capital::NONE,
            open_orders: 0,
            trading_state: TradingState::Active,
            unrealized: Money::ZERO,
            counted: Money::ZERO,
            is_changed: false,
        }
    }
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
    /// What positions are valued at: the mid of the newest mark, before the first one that of the first order's market.
    pub price: Price,
    /// What the smallest quantity is worth at that price.
    pub(super) unit: Money,
    /// What all strategies' position is worth, at its worst ends.
    pub worth: Worth,
    /// C16: what was traded in it at its venue within 24 hours, by all, when that was last told; zero where it is not known.
    pub day_volume: Quantity,
    /// Reduce-only after a fill went over the position limit of all strategies together.
    pub trading_state: TradingState,
    /// Whether there was a mark since positions were last reported.
    pub(super) is_marked: bool,
}

impl Market {
    fn value_at(&mut self, price: Price) {
        (self.price, self.unit) = (price, Worth::unit(price, &self.instrument));
    }
}

/// Every holding, market and account. The places are allotted at the start, by the permissions.
#[derive(Debug)]
pub(super) struct Books {
    pub(super) holdings: Vec<Holding>,
    pub(super) markets: Vec<Market>,
    pub(super) ledgers: Vec<Ledger>,
    /// Each strategy's part of the ledgers, by strategy id; the last is of what belongs to none.
    pub(super) shares: Vec<Ledger>,
    /// By strategy id.
    pub(super) results: Vec<Results>,
    /// What each account's positions are worth, by venue id and then by quote asset.
    pub(super) accounts: Vec<Vec<QuoteWorth>>,
    pub(super) rates: Rates,
    /// The names of assets, by id.
    pub(super) assets: Vec<Symbol>,
    /// The asset whose rate an instrument's mid is, and whether the asset is its base; by instrument id.
    rate_sources: Vec<Option<(AssetId, bool)>>,
    /// The places of an instrument.
    holders: Vec<Vec<u32>>,
    /// By strategy × instrument, [`NO_HOLDING`] where nothing is permitted.
    places: Vec<u32>,
}

const NO_HOLDING: u32 = u32::MAX;

impl Books {
    pub(super) fn new(config: &RiskConfig, venue_count: usize) -> Self {
        let strategies = config.permissions.iter().map(|permission| permission.strategy.index() + 1).max().unwrap_or(0);
        let (assets, instruments) = (config.instruments.assets().len(), config.instruments.len());
        let mut books = Self {
            holdings: Vec::with_capacity(config.permissions.len() + instruments),
            markets: Vec::with_capacity(instruments),
            ledgers: vec![Ledger::new(assets); venue_count],
            shares: vec![Ledger::new(assets); config.shard_of_strategy.len() + 1],
            results: vec![Results::NONE; config.shard_of_strategy.len()],
            accounts: vec![Vec::new(); venue_count],
            rates: Rates::new(config.currency, assets),
            assets: config.instruments.assets().to_vec(),
            rate_sources: vec![None; instruments],
            holders: vec![Vec::new(); instruments],
            places: vec![NO_HOLDING; strategies * config.instruments.len()],
        };
        for instrument in config.instruments.iter() {
            books.markets.push(Market {
                instrument: *instrument,
                exposure: Exposure::default(),
                quote: Quote::default(),
                price: Price::ZERO,
                unit: Money::ZERO,
                worth: Worth::NONE,
                day_volume: config.day_volumes.get(instrument.id.index()).copied().unwrap_or(Quantity::ZERO),
                trading_state: TradingState::Active,
                is_marked: false,
            });
            if let Some(account) = books.accounts.get_mut(usize::from(instrument.venue.0))
                && !account.iter().any(|worth| worth.asset == instrument.quote)
            {
                account.push(QuoteWorth { asset: instrument.quote, ..QuoteWorth::default() });
            }
        }
        for source in &config.rate_sources {
            if let Some(instrument) = config.instruments.get(source.instrument)
                && let Some(slot) = books.rate_sources.get_mut(source.instrument.index())
            {
                *slot = Some((source.asset, source.asset == instrument.base));
            }
        }
        for (place, permission) in (0u32..).zip(&config.permissions) {
            books.holdings.push(Holding::of(*permission));
            if let Some(holders) = books.holders.get_mut(permission.instrument.index()) {
                holders.push(place);
            }
            if let Some(results) = books.results.get_mut(permission.strategy.index())
                && let Some(instrument) = config.instruments.get(permission.instrument)
            {
                results.trade_in(instrument.quote);
            }
            let index = books.place_index(permission.strategy, permission.instrument);
            if let Some(slot) = index.and_then(|index| books.places.get_mut(index)) {
                *slot = place;
            }
        }
        // What belongs to no strategy, one for each instrument, behind all others.
        for instrument in config.instruments.iter() {
            books.holdings.push(Holding::of(Permission::external(instrument.id)));
        }
        books
    }

    /// The place of what belongs to no strategy in an instrument.
    pub(super) fn external(&self, instrument: InstrumentId) -> Option<u32> {
        let first = self.holdings.len().checked_sub(self.markets.len())?;
        let place = self.market(instrument).and_then(|_| first.checked_add(instrument.index()))?;
        u32::try_from(place).ok()
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

    /// The place of this number among those of an instrument.
    #[inline]
    pub(super) fn holder(&self, instrument: InstrumentId, number: usize) -> Option<u32> {
        self.holders.get(instrument.index())?.get(number).copied()
    }

    /// What belongs to a strategy of the accounts.
    pub(super) fn share(&self, strategy: StrategyId) -> Option<&Ledger> {
        self.shares.get(strategy.index()).or(self.shares.last())
    }

    /// What an order of this holding may still fill went from `before` to `after`, at `worst` price.
    pub(super) fn reserve(&mut self, place: u32, side: Side, before: i64, after: i64, worst: Price) {
        if before == after {
            return;
        }
        let Some((holding, market)) = self.pair_mut(place) else { return };
        holding.exposure.reserve(side, before, after);
        market.exposure.reserve(side, before, after);
        let count = holding.open_orders;
        holding.open_orders = match (before > 0, after > 0) {
            (false, true) => count.saturating_add(1),
            (true, false) => count.saturating_sub(1),
            _ => count,
        };
        holding.is_changed = true;
        // The whole order's worth did fit when it was approved, so a part of it does.
        let change = Quantity(after.saturating_sub(before));
        let notional = market.instrument.notional(worst, change).unwrap_or_default();
        holding.capital.reserve(side, notional);
        let (strategy, instrument) = (holding.permission.strategy, market.instrument);
        let (asset, amount) = match side {
            Side::Buy => (instrument.quote, notional),
            Side::Sell => {
                let base = Money::from_scaled(change.0, instrument.quantity_precision);
                (instrument.base, base.unwrap_or_default())
            }
        };
        if let Some(ledger) = self.ledgers.get_mut(usize::from(instrument.venue.0)) {
            ledger.reserve(asset, amount);
        }
        let results = self.results.get_mut(strategy.index());
        if let Some(purse) = results.and_then(|results| results.purse_mut(instrument.quote)) {
            purse.open = purse.open.saturating_add(notional);
        }
        self.price_first(instrument.id, worst);
        self.revalue(instrument.id);
    }

    /// Books a fill everywhere it counts.
    ///
    /// # Errors
    /// [`BookError`], and nothing was changed.
    pub(super) fn book(&mut self, place: u32, fill: &Fill) -> Result<(), BookError> {
        let Self { holdings, markets, ledgers, shares, rates, .. } = self;
        let holding = holdings.get_mut(place as usize).ok_or(BookError::NotAFill)?;
        let market = markets.get_mut(holding.permission.instrument.index()).ok_or(BookError::NotAFill)?;
        let instrument = &market.instrument;
        let mut position = holding.position;
        position.book(fill, instrument, rates)?;
        let entries = Entries::of(fill, instrument)?;
        let own = holding.permission.strategy.index().min(shares.len().saturating_sub(1));
        let (share, account) = (shares.get_mut(own), ledgers.get_mut(usize::from(instrument.venue.0)));
        let mut both = [share, account];
        if both.iter().flatten().any(|ledger| !ledger.fits(&entries)) {
            return Err(BookError::Overflow);
        }
        both.iter_mut().flatten().for_each(|ledger| ledger.add(&entries));
        holding.position = position;
        holding.capital.cost = position.open_cost();
        holding.is_changed = true;
        holding.exposure.book(fill.side, fill.quantity.0);
        market.exposure.book(fill.side, fill.quantity.0);
        let id = instrument.id;
        self.price_first(id, fill.price);
        self.revalue(id);
        self.count_profit(place);
        Ok(())
    }

    /// Takes in what an earlier run held in a place in which nothing is held yet.
    pub(super) fn restore(&mut self, place: u32, position: &Position, state: TradingState, unrealized: Money) {
        let Some((holding, market)) = self.pair_mut(place) else { return };
        let quantity = position.quantity().0;
        let side = if quantity < 0 { Side::Sell } else { Side::Buy };
        let size = quantity.saturating_abs();
        holding.position = *position;
        holding.capital.cost = position.open_cost();
        holding.trading_state = state;
        holding.unrealized = unrealized;
        holding.is_changed = true;
        holding.exposure.book(side, size);
        market.exposure.book(side, size);
        let id = market.instrument.id;
        self.revalue(id);
        self.count_profit(place);
    }

    /// Takes the newest top of book of an instrument that somebody holds, or whose mid is a rate; whether it told one.
    pub(super) fn mark(&mut self, mark: &Mark, now: Timestamp) -> bool {
        let Some(market) = self.markets.get_mut(mark.instrument.index()) else { return false };
        let mut is_rate = false;
        market.quote = mark.quote;
        market.is_marked = true;
        let precision = market.instrument.price_precision;
        if let Some(mid) = mark.quote.mid() {
            market.value_at(mid);
            self.revalue(mark.instrument);
            if let Some((asset, is_base)) = self.rate_sources.get(mark.instrument.index()).copied().flatten() {
                let at = if mark.quote.received_ns.is_known() { mark.quote.received_ns } else { now };
                let of = if is_base { Rate::of_base } else { Rate::of_quote };
                if let Some(rate) = of(mid, precision, at) {
                    self.rates.set(asset, rate);
                    is_rate = true;
                }
            }
        }
        let mut next = 0;
        while let Some(place) = self.holder(mark.instrument, next) {
            next += 1;
            self.count_profit(place);
        }
        is_rate
    }

    /// Values an instrument at this price where it has none yet.
    #[inline]
    pub(super) fn price_first(&mut self, instrument: InstrumentId, price: Price) {
        if let Some(market) = self.markets.get_mut(instrument.index())
            && market.price.0 <= 0
        {
            market.value_at(price);
            self.revalue(instrument);
        }
    }

    /// Counts what an instrument's position is worth into its account, in place of what was counted.
    #[inline]
    fn revalue(&mut self, instrument: InstrumentId) {
        let Some(market) = self.markets.get_mut(instrument.index()) else { return };
        let after = Worth::of(&market.exposure, market.unit);
        let before = std::mem::replace(&mut market.worth, after);
        let account = self.accounts.get_mut(usize::from(market.instrument.venue.0));
        let mut quotes = account.into_iter().flatten();
        if let Some(sum) = quotes.find(|worth| worth.asset == market.instrument.quote) {
            *sum = sum.moved(&before, &after);
        }
    }

    /// Counts what a holding made into its strategy's purse, in place of what was counted. Where the market is one-sided
    /// the last known figure stands, but nothing is at stake in a flat position.
    fn count_profit(&mut self, place: u32) {
        let Some((holding, market)) = self.pair_mut(place) else { return };
        let unrealized = holding.position.unrealized(&market.quote, &market.instrument);
        holding.unrealized = unrealized.unwrap_or(holding.unrealized);
        let realized = holding.position.realized().saturating_sub(holding.position.fees());
        let after = realized.saturating_add(holding.unrealized);
        let before = std::mem::replace(&mut holding.counted, after);
        let (strategy, quote) = (holding.permission.strategy, market.instrument.quote);
        let results = self.results.get_mut(strategy.index());
        if let Some(purse) = results.and_then(|results| results.purse_mut(quote)) {
            purse.profit = purse.profit.saturating_add(after).saturating_sub(before);
        }
    }
}
