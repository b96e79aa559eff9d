//! Instruments: what is traded, with the venue's rules for it.

use super::fixed::{PRECISION_MAX, Price, Quantity};
use super::ids::{AssetId, InstrumentId, VenueId};
use super::money::Money;
use std::fmt;

/// A venue's name for an instrument or an asset: at most [`Symbol::BYTES_MAX`] visible ASCII bytes, held inline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl Symbol {
    /// The longest name held.
    pub const BYTES_MAX: usize = 23;

    /// The name, or `None` where it is empty, too long or not visible ASCII.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let length = u8::try_from(text.len()).ok()?;
        if text.is_empty() || text.len() > Self::BYTES_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut bytes = [0; Self::BYTES_MAX];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Self { bytes, length })
    }

    /// The name as bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.as_str())
    }
}

/// Whether the venue takes orders for an instrument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum InstrumentStatus {
    /// Nothing is known: no trading.
    #[default]
    Unknown,
    /// Continuous trading.
    Trading,
    /// Halted, in auction, or closed by the venue.
    Halted,
}

/// One instrument and the venue's rules for orders in it. All prices are at `price_precision`, all quantities at
/// `quantity_precision`; a maximum of zero means the venue states none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instrument {
    /// Its index in [`Instruments`].
    pub id: InstrumentId,
    /// Where it trades.
    pub venue: VenueId,
    /// The venue's name for it, in the venue's own upper case.
    pub symbol: Symbol,
    /// What is bought and sold.
    pub base: AssetId,
    /// What it is paid in.
    pub quote: AssetId,
    /// Decimal places of prices.
    pub price_precision: u8,
    /// Decimal places of quantities.
    pub quantity_precision: u8,
    /// Prices are multiples of this.
    pub tick: Price,
    /// Quantities are multiples of this.
    pub lot: Quantity,
    /// The smallest order.
    pub quantity_min: Quantity,
    /// The largest limit order.
    pub quantity_max: Quantity,
    /// The largest market order.
    pub market_quantity_max: Quantity,
    /// The lowest price.
    pub price_min: Price,
    /// The highest price.
    pub price_max: Price,
    /// The smallest price times quantity.
    pub notional_min: Money,
    /// The largest price times quantity.
    pub notional_max: Money,
    /// Whether orders are taken.
    pub status: InstrumentStatus,
}

impl Instrument {
    /// `price × quantity`, or `None` on overflow.
    #[must_use]
    pub fn notional(&self, price: Price, quantity: Quantity) -> Option<Money> {
        Money::notional(price, quantity, self.price_precision, self.quantity_precision)
    }

    /// Whether the numbers make sense together.
    ///
    /// # Errors
    /// The first thing that does not, in words.
    pub fn validate(&self) -> Result<(), &'static str> {
        if self.price_precision > PRECISION_MAX || self.quantity_precision > PRECISION_MAX {
            return Err("a precision is over 18 places");
        }
        if self.price_precision + self.quantity_precision > Money::PRECISION {
            return Err("price and quantity precision together are over 18 places");
        }
        if self.tick.0 <= 0 {
            return Err("the tick is not positive");
        }
        if self.lot.0 <= 0 {
            return Err("the lot is not positive");
        }
        if self.quantity_min.0 < 0 || self.quantity_max.0 < 0 || self.market_quantity_max.0 < 0 {
            return Err("a quantity bound is negative");
        }
        if self.price_min.0 < 0 || self.price_max.0 < 0 || self.notional_min.0 < 0 || self.notional_max.0 < 0 {
            return Err("a price or notional bound is negative");
        }
        Ok(())
    }

    /// The price rounded down to a tick (towards zero for the positive prices of a book).
    #[must_use]
    pub fn floor_to_tick(&self, price: Price) -> Price {
        Price(price.0 - price.0.checked_rem(self.tick.0).unwrap_or(0))
    }

    /// The price rounded up to a tick.
    #[must_use]
    pub fn ceil_to_tick(&self, price: Price) -> Price {
        let beyond = price.0.checked_rem(self.tick.0).unwrap_or(0);
        if beyond == 0 { price } else { Price((price.0 - beyond).saturating_add(self.tick.0)) }
    }

    /// The quantity rounded down to a lot.
    #[must_use]
    pub fn floor_to_lot(&self, quantity: Quantity) -> Quantity {
        Quantity(quantity.0 - quantity.0.checked_rem(self.lot.0).unwrap_or(0))
    }
}

/// The instruments and assets of this run, by dense id. Built cold at start, then shared read-only.
#[derive(Clone, Debug, Default)]
pub struct Instruments {
    list: Vec<Instrument>,
    assets: Vec<Symbol>,
}

impl Instruments {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The id of the asset named `symbol`, allotting the next one where it is new.
    ///
    /// # Errors
    /// Where 65,535 assets are known already.
    pub fn intern_asset(&mut self, symbol: Symbol) -> Result<AssetId, &'static str> {
        if let Some(id) = self.asset_named(symbol.as_bytes()) {
            return Ok(id);
        }
        let id = u16::try_from(self.assets.len()).ok().filter(|&id| id != u16::MAX).ok_or("too many assets")?;
        self.assets.push(symbol);
        Ok(AssetId(id))
    }

    /// Adds an instrument under the next id, which is written into it.
    ///
    /// # Errors
    /// What [`Instrument::validate`] says, or that its assets are unknown, or that the venue has the symbol already.
    pub fn add(&mut self, mut instrument: Instrument) -> Result<InstrumentId, &'static str> {
        instrument.validate()?;
        if self.asset(instrument.base).is_none() || self.asset(instrument.quote).is_none() {
            return Err("an asset of it is unknown");
        }
        if self.find(instrument.venue, instrument.symbol.as_bytes()).is_some() {
            return Err("the venue has an instrument of this symbol already");
        }
        let id = InstrumentId(u32::try_from(self.list.len()).map_err(|_| "too many instruments")?);
        instrument.id = id;
        self.list.push(instrument);
        Ok(id)
    }

    /// The instrument of this id.
    #[must_use]
    pub fn get(&self, id: InstrumentId) -> Option<&Instrument> {
        self.list.get(id.index())
    }

    /// The name of an asset.
    #[must_use]
    pub fn asset(&self, id: AssetId) -> Option<Symbol> {
        self.assets.get(id.index()).copied()
    }

    /// The asset of this name.
    #[must_use]
    pub fn asset_named(&self, symbol: &[u8]) -> Option<AssetId> {
        let index = self.assets.iter().position(|asset| asset.as_bytes() == symbol)?;
        u16::try_from(index).ok().map(AssetId)
    }

    /// The instrument of this venue and symbol. Linear: for the cold side.
    #[must_use]
    pub fn find(&self, venue: VenueId, symbol: &[u8]) -> Option<&Instrument> {
        self.list.iter().find(|instrument| instrument.venue == venue && instrument.symbol.as_bytes() == symbol)
    }

    /// All instruments, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &Instrument> {
        self.list.iter()
    }

    /// All assets, in order of their ids.
    #[must_use]
    pub fn assets(&self) -> &[Symbol] {
        &self.assets
    }

    /// How many instruments there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn btcusdt(instruments: &mut Instruments) -> Instrument {
        let base = instruments.intern_asset(Symbol::new("BTC").expect("a symbol")).expect("room");
        let quote = instruments.intern_asset(Symbol::new("USDT").expect("a symbol")).expect("room");
        Instrument {
            id: InstrumentId::NONE,
            venue: VenueId(0),
            symbol: Symbol::new("BTCUSDT").expect("a symbol"),
            base,
            quote,
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

    #[test]
    fn ids_are_dense_and_duplicates_refused() {
        let mut instruments = Instruments::new();
        let spec = btcusdt(&mut instruments);
        assert_eq!(instruments.add(spec), Ok(InstrumentId(0)));
        assert!(instruments.add(spec).is_err());
        assert_eq!(instruments.add(Instrument { venue: VenueId(1), ..spec }), Ok(InstrumentId(1)));
        assert!(
            instruments
                .add(Instrument { symbol: Symbol::new("X").expect("a symbol"), tick: Price(0), ..spec })
                .is_err()
        );
        assert_eq!(instruments.find(VenueId(1), b"BTCUSDT").map(|found| found.id), Some(InstrumentId(1)));
        assert_eq!(instruments.assets().len(), 2);
    }

    #[test]
    fn rounding_keeps_to_the_grid() {
        let mut instruments = Instruments::new();
        let spec = Instrument { tick: Price(5), lot: Quantity(10), ..btcusdt(&mut instruments) };
        assert_eq!(
            (spec.floor_to_tick(Price(14)), spec.ceil_to_tick(Price(11)), spec.ceil_to_tick(Price(10))),
            (Price(10), Price(15), Price(10))
        );
        assert_eq!(spec.floor_to_lot(Quantity(19)), Quantity(10));
    }

    #[test]
    fn symbols_are_bounded() {
        assert!(Symbol::new("").is_none());
        assert!(Symbol::new("TWENTY_FOUR_BYTES_LONG_X").is_none());
        assert!(Symbol::new("a b").is_none());
        assert_eq!(Symbol::new("1000SHIBUSDT").map(|symbol| symbol.to_string()).as_deref(), Some("1000SHIBUSDT"));
    }
}
