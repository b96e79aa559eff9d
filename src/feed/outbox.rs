//! What goes to one shard, and what becomes of it while the shard's lane is full.
//!
//! Per instrument the newest quote wins, trades are summed per aggressor side, and a depth update that does not fit
//! whole is refused, so that the feed loses the book and asks for a snapshot. Nothing is left out uncounted.

use super::depth_sync::SideLevel;
use crate::metrics::{FeedCounters, Shared};
use crate::pipeline::lane::{Full, Sender};
use crate::types::{
    DepthLevel, HistoryBar, InstrumentId, MarketEvent, MarketMessage, Price, Quantity, Quote, Side, Timestamp, Trade,
};

/// What waits for room, of one instrument, in the order in which it is sent.
#[derive(Clone, Copy, Debug, Default)]
struct Waiting {
    connection: Option<(bool, Timestamp)>,
    depth_lost: Option<Timestamp>,
    trades: [Option<(u16, Trade)>; 2],
    quote: Option<Quote>,
    is_listed: bool,
}

/// The way to one shard.
pub struct Outbox {
    lane: Sender<MarketMessage>,
    /// By instrument; `None` where the shard has no subscriber.
    waiting: Vec<Option<Waiting>>,
    /// Instruments with something waiting, oldest first.
    listed: Vec<InstrumentId>,
    counters: Shared<FeedCounters>,
}

/// The instants and the id that all levels of one update share.
#[derive(Clone, Copy, Debug)]
pub struct LevelStamp {
    /// The venue's id of the update.
    pub update_id: u64,
    /// The venue's instant of it.
    pub exchange_ns: Timestamp,
    /// When the feed had its bytes.
    pub received_ns: Timestamp,
}

impl Outbox {
    /// The way to the shard at the other end of `lane`, for the instruments it subscribes to. `instrument_count`
    /// bounds all ids.
    #[must_use]
    pub fn new(
        lane: Sender<MarketMessage>,
        subscribed: &[InstrumentId],
        instrument_count: usize,
        counters: Shared<FeedCounters>,
    ) -> Self {
        let mut waiting = vec![None; instrument_count];
        for instrument in subscribed {
            if let Some(slot) = waiting.get_mut(instrument.index()) {
                *slot = Some(Waiting::default());
            }
        }
        Self { lane, waiting, listed: Vec::with_capacity(instrument_count), counters }
    }

    /// Whether the shard has a subscriber to this instrument.
    #[inline]
    #[must_use]
    pub fn is_subscribed(&self, instrument: InstrumentId) -> bool {
        matches!(self.waiting.get(instrument.index()), Some(Some(_)))
    }

    /// Sends a quote, or keeps it as the newest.
    #[inline]
    pub fn quote(&mut self, instrument: InstrumentId, quote: Quote) {
        let Some(Some(waiting)) = self.waiting.get_mut(instrument.index()) else { return };
        if !waiting.is_listed && send(&mut self.lane, instrument, MarketEvent::Quote(quote)).is_ok() {
            return;
        }
        if waiting.quote.replace(quote).is_some() {
            self.counters.conflated_quotes.increment();
        }
        list(waiting, &mut self.listed, instrument);
    }

    /// Sends a trade, or adds it to what waits of its side.
    #[inline]
    pub fn trade(&mut self, instrument: InstrumentId, aggressor: Side, trade: Trade) {
        let Some(Some(waiting)) = self.waiting.get_mut(instrument.index()) else { return };
        let event = MarketEvent::Trade { aggressor, count: 1, trade };
        if !waiting.is_listed && send(&mut self.lane, instrument, event).is_ok() {
            return;
        }
        let [buys, sells] = &mut waiting.trades;
        let slot = match aggressor {
            Side::Buy => buys,
            Side::Sell => sells,
        };
        *slot = Some(match *slot {
            None => (1, trade),
            Some((count, sum)) => {
                self.counters.conflated_trades.increment();
                (count.saturating_add(1), add_trade(sum, trade))
            }
        });
        list(waiting, &mut self.listed, instrument);
    }

    /// Sends that the book is lost; waits for room if it must.
    pub fn depth_lost(&mut self, instrument: InstrumentId, received_ns: Timestamp) {
        let Some(Some(waiting)) = self.waiting.get_mut(instrument.index()) else { return };
        waiting.depth_lost = Some(received_ns);
        list(waiting, &mut self.listed, instrument);
    }

    /// Sends that the connection is up or down; waits for room if it must.
    pub fn connection(&mut self, instrument: InstrumentId, is_up: bool, received_ns: Timestamp) {
        let Some(Some(waiting)) = self.waiting.get_mut(instrument.index()) else { return };
        waiting.connection = Some((is_up, received_ns));
        list(waiting, &mut self.listed, instrument);
    }

    /// Sends a depth update whole. An update without levels (its quantities canceled out) sends nothing.
    ///
    /// # Errors
    /// [`Full`] where it does not fit, or where an earlier loss of the book still waits.
    #[inline]
    pub fn depth_update(
        &mut self,
        instrument: InstrumentId,
        stamp: LevelStamp,
        count: usize,
        mut levels: impl Iterator<Item = SideLevel>,
    ) -> Result<(), Full> {
        let Some(Some(waiting)) = self.waiting.get(instrument.index()) else { return Ok(()) };
        if waiting.depth_lost.is_some() {
            return Err(Full);
        }
        let mut left = count;
        self.lane.try_send_all(count, || {
            left = left.saturating_sub(1);
            level_message(instrument, stamp, levels.next(), left == 0)
        })
    }

    /// Sends a snapshot whole.
    ///
    /// # Errors
    /// As for [`Outbox::depth_update`].
    pub fn snapshot(&mut self, instrument: InstrumentId, stamp: LevelStamp, levels: &[SideLevel]) -> Result<(), Full> {
        let Some(Some(waiting)) = self.waiting.get(instrument.index()) else { return Ok(()) };
        if waiting.depth_lost.is_some() {
            return Err(Full);
        }
        let mut rest = levels.iter();
        let mut is_head = true;
        self.lane.try_send_all(levels.len() + 1, || {
            if std::mem::take(&mut is_head) {
                let LevelStamp { update_id, received_ns, .. } = stamp;
                return MarketMessage { instrument, event: MarketEvent::DepthSnapshot { update_id, received_ns } };
            }
            let level = rest.next().copied();
            level_message(instrument, stamp, level, rest.len() == 0)
        })
    }

    /// Sends a bar of the past, or with `None` that all were sent.
    ///
    /// # Errors
    /// [`Full`] where it does not fit.
    pub fn history(&mut self, instrument: InstrumentId, bar: Option<HistoryBar>) -> Result<(), Full> {
        if !self.is_subscribed(instrument) {
            return Ok(());
        }
        send(&mut self.lane, instrument, bar.map_or(MarketEvent::HistoryEnd, MarketEvent::HistoryBar))
    }

    /// Sends what waits, as far as there is room, and answers how many messages that were.
    #[inline]
    pub fn flush(&mut self) -> usize {
        if self.listed.is_empty() { 0 } else { self.flush_waiting() }
    }

    #[cold]
    fn flush_waiting(&mut self) -> usize {
        let mut sent = 0;
        let (lane, all) = (&mut self.lane, &mut self.waiting);
        self.listed.retain(|&instrument| {
            let Some(Some(waiting)) = all.get_mut(instrument.index()) else { return false };
            let is_empty = flush_one(lane, instrument, waiting, &mut sent).is_ok();
            waiting.is_listed = !is_empty;
            !is_empty
        });
        sent
    }
}

fn flush_one(
    lane: &mut Sender<MarketMessage>,
    instrument: InstrumentId,
    waiting: &mut Waiting,
    sent: &mut usize,
) -> Result<(), Full> {
    let mut send_counted = |event| {
        send(lane, instrument, event)?;
        *sent += 1;
        Ok(())
    };
    if let Some((is_up, received_ns)) = waiting.connection {
        send_counted(MarketEvent::Connection { is_up, received_ns })?;
        waiting.connection = None;
    }
    if let Some(received_ns) = waiting.depth_lost {
        send_counted(MarketEvent::DepthLost { received_ns })?;
        waiting.depth_lost = None;
    }
    for (slot, aggressor) in waiting.trades.iter_mut().zip([Side::Buy, Side::Sell]) {
        if let Some((count, trade)) = *slot {
            send_counted(MarketEvent::Trade { aggressor, count, trade })?;
            *slot = None;
        }
    }
    if let Some(quote) = waiting.quote {
        send_counted(MarketEvent::Quote(quote))?;
        waiting.quote = None;
    }
    Ok(())
}

fn list(waiting: &mut Waiting, listed: &mut Vec<InstrumentId>, instrument: InstrumentId) {
    if !waiting.is_listed {
        waiting.is_listed = true;
        listed.push(instrument);
    }
}

#[inline]
fn send(lane: &mut Sender<MarketMessage>, instrument: InstrumentId, event: MarketEvent) -> Result<(), Full> {
    lane.try_send(MarketMessage { instrument, event })
}

#[inline]
fn level_message(
    instrument: InstrumentId,
    stamp: LevelStamp,
    level: Option<SideLevel>,
    is_last: bool,
) -> MarketMessage {
    // A count larger than the levels would repeat an empty level, which changes no book.
    let SideLevel { side, price, quantity } = level.unwrap_or_default();
    let LevelStamp { update_id, exchange_ns, received_ns } = stamp;
    let level = DepthLevel { price, quantity, update_id, exchange_ns, received_ns };
    MarketMessage { instrument, event: MarketEvent::DepthLevel { side, is_last, level } }
}

/// The sum of two trades of one side, the later one last.
fn add_trade(sum: Trade, later: Trade) -> Trade {
    Trade {
        quantity: Quantity(sum.quantity.0.saturating_add(later.quantity.0)),
        high: Price(sum.high.0.max(later.high.0)),
        low: Price(sum.low.0.min(later.low.0)),
        ..later
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::lane::{Receiver, lane};

    const BTC: InstrumentId = InstrumentId(0);
    const ETH: InstrumentId = InstrumentId(1);

    fn outbox(capacity: usize) -> (Outbox, Receiver<MarketMessage>, Shared<FeedCounters>) {
        let (sender, receiver) = lane(capacity);
        let counters = Shared::<FeedCounters>::default();
        (Outbox::new(sender, &[BTC], 2, Shared::clone(&counters)), receiver, counters)
    }

    fn quote(bid: i64) -> Quote {
        Quote {
            bid: Price(bid),
            bid_quantity: Quantity(1),
            ask: Price(bid + 1),
            ask_quantity: Quantity(1),
            ..Quote::default()
        }
    }

    fn trade(price: i64, quantity: i64) -> Trade {
        Trade {
            price: Price(price),
            quantity: Quantity(quantity),
            high: Price(price),
            low: Price(price),
            ..Trade::default()
        }
    }

    fn stamp(update_id: u64) -> LevelStamp {
        LevelStamp { update_id, exchange_ns: Timestamp::UNKNOWN, received_ns: Timestamp::UNKNOWN }
    }

    fn events(receiver: &mut Receiver<MarketMessage>) -> Vec<MarketEvent> {
        let mut events = Vec::new();
        receiver.drain(u64::MAX, |message| events.push(message.event));
        events
    }

    #[test]
    fn the_newest_quote_wins_and_trades_are_summed_when_full() {
        let (mut outbox, mut receiver, counters) = outbox(2);
        outbox.quote(BTC, quote(1));
        outbox.quote(BTC, quote(2));
        for bid in 3..6 {
            outbox.quote(BTC, quote(bid));
        }
        outbox.trade(BTC, Side::Buy, trade(10, 1));
        outbox.trade(BTC, Side::Sell, trade(9, 5));
        outbox.trade(BTC, Side::Buy, trade(12, 2));
        outbox.trade(BTC, Side::Buy, trade(11, 4));
        assert_eq!(events(&mut receiver), [MarketEvent::Quote(quote(1)), MarketEvent::Quote(quote(2))]);
        assert_eq!(outbox.flush(), 2);
        let sum =
            Trade { price: Price(11), quantity: Quantity(7), high: Price(12), low: Price(10), ..Trade::default() };
        assert_eq!(
            events(&mut receiver),
            [
                MarketEvent::Trade { aggressor: Side::Buy, count: 3, trade: sum },
                MarketEvent::Trade { aggressor: Side::Sell, count: 1, trade: trade(9, 5) },
            ]
        );
        assert_eq!(outbox.flush(), 1);
        assert_eq!(events(&mut receiver), [MarketEvent::Quote(quote(5))]);
        assert_eq!((counters.conflated_quotes.get(), counters.conflated_trades.get()), (2, 2));
        outbox.quote(BTC, quote(6));
        assert_eq!(events(&mut receiver), [MarketEvent::Quote(quote(6))]);
    }

    #[test]
    fn a_depth_update_fits_whole_or_is_refused() {
        let (mut outbox, mut receiver, _) = outbox(4);
        let levels = [1, 2, 3].map(|price| SideLevel { side: Side::Sell, price: Price(price), quantity: Quantity(1) });
        assert_eq!(outbox.depth_update(BTC, stamp(1), 3, levels.into_iter()), Ok(()));
        assert_eq!(outbox.depth_update(BTC, stamp(2), 3, levels.into_iter()), Err(Full));
        let lasts: Vec<bool> = events(&mut receiver)
            .into_iter()
            .map(|event| matches!(event, MarketEvent::DepthLevel { is_last: true, .. }))
            .collect();
        assert_eq!(lasts, [false, false, true]);
    }

    #[test]
    fn a_lost_book_is_told_before_the_snapshot_that_follows() {
        let (mut outbox, mut receiver, _) = outbox(4);
        let levels = [SideLevel { side: Side::Buy, price: Price(1), quantity: Quantity(1) }];
        outbox.depth_lost(BTC, Timestamp::from_nanos(7));
        assert_eq!(outbox.snapshot(BTC, stamp(3), &levels), Err(Full));
        assert_eq!(outbox.flush(), 1);
        assert_eq!(outbox.snapshot(BTC, stamp(3), &levels), Ok(()));
        let events = events(&mut receiver);
        assert!(matches!(events[0], MarketEvent::DepthLost { .. }));
        assert!(matches!(events[1], MarketEvent::DepthSnapshot { update_id: 3, .. }));
        assert!(matches!(events[2], MarketEvent::DepthLevel { is_last: true, .. }));
    }

    #[test]
    fn what_nobody_subscribed_to_is_not_sent() {
        let (mut outbox, mut receiver, _) = outbox(4);
        outbox.quote(ETH, quote(1));
        outbox.trade(ETH, Side::Buy, trade(1, 1));
        assert_eq!(outbox.history(ETH, None), Ok(()));
        assert_eq!(events(&mut receiver), []);
    }
}
