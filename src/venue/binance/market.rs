//! The market streams' codec: one frame in, one [`MarketFrame`] out.

use super::document::Document;
use super::symbols::SymbolTable;
use super::{general, scan};
use crate::types::{Instrument, InstrumentId, ParseFixedError, Price, Quantity, Quote, Side, Symbol, Timestamp, Trade};

/// The most levels that one side of a depth update or snapshot may have. The venue's longest recorded update has
/// 1,226, a snapshot 1,000 a side (5,000 where asked).
pub const LEVELS_MAX: usize = 5_000;
/// The largest frame decoded: also the largest that the WebSocket reader lets through unfragmented.
pub const FRAME_BYTES_MAX: usize = 1 << 20;

/// Which of the venue's markets a stream is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Market {
    /// Spot: depth updates follow each other by `U` = last `u` + 1.
    Spot,
    /// USD-margined futures: depth updates name the one before in `pu`.
    UsdM,
    /// Coin-margined futures: as USD-M; quantities are contracts.
    CoinM,
}

impl Market {
    /// Whether depth updates must name the one before.
    #[must_use]
    pub const fn has_previous_update_id(self) -> bool {
        matches!(self, Self::UsdM | Self::CoinM)
    }
}

/// A symbol that was subscribed to, and the precisions of its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketSymbol {
    /// What it is to us.
    pub instrument: InstrumentId,
    /// What it is to the venue, in upper case.
    pub symbol: Symbol,
    /// Decimal places of prices.
    pub price_precision: u8,
    /// Decimal places of quantities.
    pub quantity_precision: u8,
}

impl From<&Instrument> for MarketSymbol {
    fn from(instrument: &Instrument) -> Self {
        Self {
            instrument: instrument.id,
            symbol: instrument.symbol,
            price_precision: instrument.price_precision,
            quantity_precision: instrument.quantity_precision,
        }
    }
}

/// One level of a depth update. Quantity zero takes the level away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// The level's price.
    pub price: Price,
    /// What rests there now.
    pub quantity: Quantity,
}

/// What a market frame says. `received_ns` is left unknown: the feed knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketFrame {
    /// The best bid and ask.
    Quote {
        /// Of what.
        instrument: InstrumentId,
        /// The quote.
        quote: Quote,
        /// The venue's update id of the book it was taken from.
        update_id: u64,
    },
    /// A trade, or several of one aggressor at one price.
    Trade {
        /// Of what.
        instrument: InstrumentId,
        /// The trade.
        trade: Trade,
        /// Who took liquidity.
        aggressor: Side,
        /// The venue's id of the first trade in it.
        first_trade_id: u64,
        /// The venue's id of the last.
        last_trade_id: u64,
    },
    /// Changes of the book, in [`MarketCodec::levels`].
    Depth {
        /// Of what.
        instrument: InstrumentId,
        /// The first update id in it (`U`).
        first_update_id: u64,
        /// The last update id in it (`u`).
        last_update_id: u64,
        /// The last update id of the update before (`pu`), which futures name.
        previous_update_id: Option<u64>,
        /// The venue's instant of it.
        exchange_ns: Timestamp,
    },
    /// The answer to a request of ours (SUBSCRIBE).
    Reply {
        /// The request's id; zero where it was none of ours.
        id: u64,
        /// The venue's code where it refused.
        error: Option<i32>,
    },
    /// The server will shut down: connect anew at once.
    Shutdown,
    /// Well-formed, and nothing that we decode.
    Other,
}

/// Why a frame could not be decoded. Nothing of it may be used; on a depth stream the book is to be synchronised anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// Larger than [`FRAME_BYTES_MAX`].
    TooLarge,
    /// Not JSON, or nested too deeply, from this byte on.
    NotJson {
        /// The byte's offset in the frame.
        offset: usize,
    },
    /// A field is missing, or has the wrong type.
    Field(&'static str),
    /// A field is there twice.
    Duplicate(&'static str),
    /// A number cannot be taken at the instrument's precision.
    Number {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: ParseFixedError,
    },
    /// A symbol that nobody subscribed to.
    UnknownSymbol,
    /// More than [`LEVELS_MAX`] levels on a side.
    TooManyLevels,
    /// More rows in an answer than the codec holds.
    TooManyRows,
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge => write!(f, "a frame of more than {FRAME_BYTES_MAX} bytes"),
            Self::NotJson { offset } => write!(f, "not JSON at byte {offset}"),
            Self::Field(field) => write!(f, "field {field:?} is missing or has the wrong type"),
            Self::Duplicate(field) => write!(f, "field {field:?} is there twice"),
            Self::Number { field, reason } => write!(f, "field {field:?}: {reason}"),
            Self::UnknownSymbol => f.write_str("a symbol that was not subscribed to"),
            Self::TooManyLevels => write!(f, "more than {LEVELS_MAX} levels on a side"),
            Self::TooManyRows => f.write_str("more rows than the codec holds"),
        }
    }
}

impl std::error::Error for DecodeError {}

/// The levels of the depth frame decoded last, held in fixed room.
#[derive(Debug)]
pub(super) struct Levels {
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl Levels {
    fn new() -> Self {
        Self { bids: Vec::with_capacity(LEVELS_MAX), asks: Vec::with_capacity(LEVELS_MAX) }
    }

    pub(super) fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }
}

/// Decodes the market streams of one connection.
///
/// Two paths: [`scan`] knows exactly the shapes that make up the traffic and gives up at anything else, without an
/// opinion; [`general`] decides every frame that it gives up on. Tests prove that they agree. The first never
/// allocates. The second parses with `simd-json` into buffers that are kept: they grow to the largest frame yet seen.
pub struct MarketCodec {
    market: Market,
    symbols: SymbolTable,
    levels: Levels,
    document: Document,
    slow_frames: u64,
}

impl MarketCodec {
    /// A codec for the streams of these symbols.
    #[must_use]
    pub fn new(market: Market, symbols: &[MarketSymbol]) -> Self {
        Self {
            market,
            symbols: SymbolTable::new(symbols),
            levels: Levels::new(),
            document: Document::new(),
            slow_frames: 0,
        }
    }

    /// Decodes one frame, which is overwritten where the scanner does not recognise it.
    ///
    /// # Errors
    /// As [`DecodeError`] states; then nothing of the frame may be used, its levels neither.
    #[inline]
    pub fn decode(&mut self, frame: &mut [u8]) -> Result<MarketFrame, DecodeError> {
        match self.scan(frame) {
            Some(decoded) => Ok(decoded),
            None => self.decode_general(frame),
        }
    }

    /// The scanner alone: `None` where it does not recognise the frame, which says nothing about it.
    #[inline]
    pub fn scan(&mut self, frame: &[u8]) -> Option<MarketFrame> {
        scan::scan(self.market, &mut self.symbols, &mut self.levels, frame)
    }

    /// The general path alone.
    ///
    /// # Errors
    /// As [`DecodeError`] states.
    #[cold]
    pub fn decode_general(&mut self, frame: &mut [u8]) -> Result<MarketFrame, DecodeError> {
        self.slow_frames = self.slow_frames.wrapping_add(1);
        let (market, symbols, levels) = (self.market, &mut self.symbols, &mut self.levels);
        self.document.parse(frame, |root| general::decode(market, symbols, levels, root))
    }

    /// Bids and asks of the depth frame decoded last, in the venue's order.
    #[inline]
    #[must_use]
    pub fn levels(&self) -> (&[Level], &[Level]) {
        (&self.levels.bids, &self.levels.asks)
    }

    /// How many frames took the general path.
    #[must_use]
    pub const fn slow_frames(&self) -> u64 {
        self.slow_frames
    }
}

impl std::fmt::Debug for MarketCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MarketCodec({:?})", self.market)
    }
}
