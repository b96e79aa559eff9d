//! What a shard knows of its instruments.

use crate::book::{BarSeries, DepthBook, TopOfBook};
use crate::types::{Instrument, InstrumentId, MarketStamp, Quantity, Side, Timestamp};

/// Who is told of an instrument, and with which of its bars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    /// Index of the instance.
    pub(super) instance: usize,
    /// Index of the series it wants closed bars of.
    pub(super) series: Option<usize>,
}

/// One instrument: the venue's rules, its books and bars.
#[derive(Debug)]
pub(super) struct Market {
    pub(super) instrument: Instrument,
    pub(super) top: TopOfBook,
    pub(super) depth: DepthBook,
    /// One for each interval that an instance asked for, shortest first.
    pub(super) series: Vec<BarSeries>,
    pub(super) subscribers: Vec<Subscriber>,
    /// When the newest market data was received.
    pub(super) data_ns: Timestamp,
    /// Whether the venue's market data is not known to be down.
    pub(super) is_up: bool,
    /// Whether all of history was told.
    pub(super) is_warm: bool,
    /// Whether the quote is newer than the last mark.
    pub(super) is_mark_due: bool,
    /// Whether risk wants its marks though nobody holds it: its mid is a rate.
    pub(super) is_watched: bool,
    pub(super) is_crossed: bool,
}

impl Market {
    /// How many levels count as near the touch in [`MarketStamp::near_depth`].
    pub(super) const NEAR_LEVELS: usize = 5;

    pub(super) fn new(instrument: Instrument) -> Self {
        Self {
            instrument,
            top: TopOfBook::default(),
            depth: DepthBook::new(),
            series: Vec::new(),
            subscribers: Vec::new(),
            data_ns: Timestamp::UNKNOWN,
            is_up: true,
            is_warm: false,
            is_mark_due: false,
            is_watched: false,
            is_crossed: false,
        }
    }

    /// Whether orders may be decided on what is known: the book is in sync with the venue, and neither it nor the
    /// quote is crossed.
    #[inline]
    pub(super) fn is_synced(&self) -> bool {
        self.is_up && self.depth.is_synced() && !self.is_crossed && !self.top.is_crossed()
    }

    /// What risk is told of the market of an order on `side`.
    #[inline]
    pub(super) fn stamp(&self, side: Side) -> MarketStamp {
        let quote = self.top.quote();
        MarketStamp {
            bid: if quote.bid_quantity > Quantity::ZERO { quote.bid } else { Default::default() },
            ask: if quote.ask_quantity > Quantity::ZERO { quote.ask } else { Default::default() },
            data_ns: self.data_ns,
            near_depth: self.depth.near_quantity(side.opposite(), Self::NEAR_LEVELS),
            is_synced: self.is_synced(),
        }
    }

    /// The connection was lost: nothing of the market is known any more.
    pub(super) fn on_down(&mut self) {
        self.is_up = false;
        self.top.clear();
        self.depth.mark_lost();
        self.series.iter_mut().for_each(BarSeries::on_gap);
    }
}

/// The instruments of a shard.
#[derive(Debug, Default)]
pub(super) struct Markets {
    pub(super) list: Vec<Market>,
    /// By instrument id.
    index: Vec<Option<u16>>,
}

impl Markets {
    /// The index of an instrument, adding it where it is new.
    pub(super) fn intern(&mut self, instrument: &Instrument) -> Option<usize> {
        let id = instrument.id;
        if let Some(found) = self.find(id) {
            return Some(found);
        }
        let added = u16::try_from(self.list.len()).ok()?;
        if self.index.len() <= id.index() {
            self.index.resize(id.index() + 1, None);
        }
        *self.index.get_mut(id.index())? = Some(added);
        self.list.push(Market::new(*instrument));
        Some(usize::from(added))
    }

    #[inline]
    pub(super) fn find(&self, id: InstrumentId) -> Option<usize> {
        self.index.get(id.index()).copied().flatten().map(usize::from)
    }
}
