//! Time bars of one instrument, by the venue's clock.
//!
//! A bar holds the trades whose own instant lies in it. It is closed by the first trade of a later bar, or by any
//! other event of the venue that is [`BarSeries::CLOSE_GRACE_NS`] past its end. An interval without trades has no
//! bar, as in the venue's own streams of trades; a strategy that wants one repeats the last close.

use crate::types::{HistoryBar, Price, Quantity, Timestamp, Trade};

/// One bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bar {
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Sum of quantities; held at the end of the range.
    pub volume: Quantity,
    /// When it began, by the venue's clock: a multiple of its interval since the epoch.
    pub open_ns: Timestamp,
    /// How many trades are in it; zero in history, which does not tell.
    pub trades: u32,
    /// Whether it was watched from its beginning. The first live bar was not.
    pub is_complete: bool,
}

impl Bar {
    fn of_trade(trade: &Trade, count: u16, open_ns: Timestamp, is_complete: bool) -> Self {
        Self {
            // Of several trades summed, the first price is not known: the last stands for it.
            open: trade.price,
            high: trade.high,
            low: trade.low,
            close: trade.price,
            volume: trade.quantity,
            open_ns,
            trades: u32::from(count),
            is_complete,
        }
    }

    fn extend(&mut self, high: Price, low: Price, close: Price, volume: Quantity, trades: u32) {
        self.high = self.high.max(high);
        self.low = self.low.min(low);
        self.close = close;
        self.volume = Quantity(self.volume.0.saturating_add(volume.0));
        self.trades = self.trades.saturating_add(trades);
    }
}

/// The bars of one interval: the one in progress and the last closed ones. Allocates at construction only.
#[derive(Debug)]
pub struct BarSeries {
    interval_ns: u64,
    current: Option<Bar>,
    /// The newest closed bars, oldest first. Twice the room that is shown, so that they are moved down rarely and can
    /// always be read as one slice.
    closed: Vec<Bar>,
    /// No trade before this instant enters a bar any more: its bar is closed, or history told it.
    floor_ns: Timestamp,
    /// The latest instant of the venue that was seen, in history or live.
    seen_ns: Timestamp,
    late_trades: u64,
}

impl BarSeries {
    /// How many closed bars can be read.
    pub const KEPT: usize = 512;

    /// How long after a bar's end events other than trades leave it open. Streams of one venue are not in order among
    /// each other: in the recorded sessions trades come up to 154 ms after a depth update of a later instant.
    pub const CLOSE_GRACE_NS: u64 = 250_000_000;

    /// No bars yet; each lasts `interval_ms` (at least 1).
    #[must_use]
    pub fn new(interval_ms: u64) -> Self {
        Self {
            interval_ns: interval_ms.max(1).saturating_mul(1_000_000),
            current: None,
            closed: Vec::with_capacity(2 * Self::KEPT),
            floor_ns: Timestamp::UNKNOWN,
            seen_ns: Timestamp::UNKNOWN,
            late_trades: 0,
        }
    }

    /// How long a bar lasts.
    #[must_use]
    pub fn interval_ms(&self) -> u64 {
        self.interval_ns / 1_000_000
    }

    /// Takes a trade, or `count` summed ones, and answers the bar that it closed. A trade of a bar that is closed
    /// already, or that history told, changes nothing and is counted.
    #[inline]
    pub fn on_trade(&mut self, trade: &Trade, count: u16) -> Option<Bar> {
        if trade.exchange_ns < self.floor_ns {
            self.late_trades += 1;
            return None;
        }
        let open_ns = self.open_of(trade.exchange_ns);
        if let Some(bar) = &mut self.current
            && bar.open_ns == open_ns
        {
            bar.extend(trade.high, trade.low, trade.price, trade.quantity, u32::from(count));
            self.seen_ns = self.seen_ns.max(trade.exchange_ns);
            return None;
        }
        let closed = self.close();
        // Watched from its beginning if the venue was heard before it.
        let is_complete = self.seen_ns.is_known() && self.seen_ns <= open_ns;
        self.current = Some(Bar::of_trade(trade, count, open_ns, is_complete));
        self.floor_ns = self.floor_ns.max(open_ns);
        self.seen_ns = self.seen_ns.max(trade.exchange_ns);
        closed
    }

    /// The venue stated this instant in an event that is no trade: answers the bar that is thereby over.
    #[inline]
    pub fn on_time(&mut self, exchange_ns: Timestamp) -> Option<Bar> {
        self.seen_ns = self.seen_ns.max(exchange_ns);
        let end_ns = self.current.as_ref()?.open_ns.plus(self.interval_ns);
        if exchange_ns < end_ns.plus(Self::CLOSE_GRACE_NS) {
            return None;
        }
        self.close()
    }

    /// Takes a closed bar of the past that lasted `interval_ms`, a divisor of this series' own: several make one bar
    /// here. They must come in order; one that is not newer than the last changes nothing.
    pub fn on_history(&mut self, past: &HistoryBar, interval_ms: u64) {
        let open_ns = self.open_of(past.open_ns);
        if past.open_ns < self.floor_ns {
            return;
        }
        match &mut self.current {
            Some(bar) if bar.open_ns == open_ns => bar.extend(past.high, past.low, past.close, past.volume, 0),
            _ => {
                self.close();
                self.current = Some(Bar {
                    open: past.open,
                    high: past.high,
                    low: past.low,
                    close: past.close,
                    volume: past.volume,
                    open_ns,
                    trades: 0,
                    is_complete: past.open_ns == open_ns,
                });
            }
        }
        let end_ns = past.open_ns.plus(interval_ms.saturating_mul(1_000_000));
        self.seen_ns = self.seen_ns.max(end_ns);
        self.floor_ns = self.floor_ns.max(end_ns);
        if end_ns >= open_ns.plus(self.interval_ns) {
            self.close();
        }
    }

    /// The market data was interrupted: what is in progress, and the bar after it, are not known in whole.
    pub fn on_gap(&mut self) {
        if let Some(bar) = &mut self.current {
            bar.is_complete = false;
        }
        self.seen_ns = Timestamp::UNKNOWN;
    }

    /// The last closed bars, oldest first, at most [`BarSeries::KEPT`].
    #[must_use]
    pub fn closed(&self) -> &[Bar] {
        let start = self.closed.len().saturating_sub(Self::KEPT);
        self.closed.get(start..).unwrap_or_default()
    }

    /// The bar in progress, if a trade began one.
    #[must_use]
    pub fn current(&self) -> Option<&Bar> {
        self.current.as_ref()
    }

    /// How many trades came too late for their bar.
    #[must_use]
    pub fn late_trades(&self) -> u64 {
        self.late_trades
    }

    fn open_of(&self, instant: Timestamp) -> Timestamp {
        Timestamp::from_nanos(instant.nanos() - instant.nanos() % self.interval_ns)
    }

    fn close(&mut self) -> Option<Bar> {
        let bar = self.current.take()?;
        if self.closed.len() == 2 * Self::KEPT {
            self.closed.copy_within(Self::KEPT + 1.., 0);
            self.closed.truncate(Self::KEPT - 1);
        }
        self.closed.push(bar);
        self.floor_ns = self.floor_ns.max(bar.open_ns.plus(self.interval_ns));
        Some(bar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn trade(exchange_ms: u64, price: i64, quantity: i64) -> Trade {
        Trade {
            price: Price(price),
            quantity: Quantity(quantity),
            high: Price(price),
            low: Price(price),
            exchange_ns: Timestamp::from_millis(exchange_ms),
            received_ns: Timestamp::from_millis(exchange_ms),
        }
    }

    fn past(open_ms: u64, open: i64, high: i64, low: i64, close: i64) -> HistoryBar {
        HistoryBar {
            open: Price(open),
            high: Price(high),
            low: Price(low),
            close: Price(close),
            volume: Quantity(1),
            open_ns: Timestamp::from_millis(open_ms),
        }
    }

    proptest! {
        #[test]
        fn bars_equal_grouping_the_trades(
            steps in prop::collection::vec((0..700u64, 1..1_000i64, 1..50i64), 1..400), interval_ms in 1..1_500u64,
        ) {
            let mut series = BarSeries::new(interval_ms);
            let mut expected: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
            let mut closed = Vec::new();
            let mut now = 10_000;
            for (step, price, quantity) in steps {
                now += step;
                closed.extend(series.on_time(Timestamp::from_millis(now)));
                closed.extend(series.on_trade(&trade(now, price, quantity), 1));
                expected.entry(now / interval_ms * interval_ms).or_default().push((price, quantity));
            }
            closed.extend(series.on_time(Timestamp::from_millis(now + 10_000)));
            prop_assert_eq!(series.late_trades(), 0);
            prop_assert_eq!(closed.len(), expected.len());
            prop_assert_eq!(series.closed(), &closed[closed.len().saturating_sub(BarSeries::KEPT)..]);
            for (bar, (open_ms, trades)) in closed.iter().zip(expected) {
                prop_assert_eq!(bar.open_ns, Timestamp::from_millis(open_ms));
                prop_assert_eq!(bar.open.0, trades[0].0);
                prop_assert_eq!(bar.close.0, trades[trades.len() - 1].0);
                prop_assert_eq!(bar.high.0, trades.iter().map(|trade| trade.0).max().expect("one"));
                prop_assert_eq!(bar.low.0, trades.iter().map(|trade| trade.0).min().expect("one"));
                prop_assert_eq!(bar.volume.0, trades.iter().map(|trade| trade.1).sum::<i64>());
                prop_assert_eq!(bar.trades as usize, trades.len());
            }
        }
    }

    #[test]
    fn time_alone_closes_a_bar_after_the_grace() {
        let mut series = BarSeries::new(1_000);
        assert_eq!(series.on_trade(&trade(1_500, 10, 1), 1), None);
        assert_eq!(series.on_time(Timestamp::from_millis(2_249)), None);
        assert_eq!(series.on_trade(&trade(1_999, 11, 1), 1), None);
        let bar = series.on_time(Timestamp::from_millis(2_250)).expect("closed");
        assert_eq!((bar.close, bar.trades, bar.is_complete), (Price(11), 2, false));
        assert_eq!(series.on_trade(&trade(1_999, 99, 1), 1), None);
        assert_eq!((series.late_trades(), series.current()), (1, None));
        assert_eq!(series.on_trade(&trade(3_999, 12, 1), 1), None);
        assert_eq!(series.on_trade(&trade(4_000, 12, 1), 1).map(|bar| bar.is_complete), Some(true));
    }

    #[test]
    fn live_bars_go_on_where_history_ended() {
        let mut series = BarSeries::new(1_000);
        series.on_history(&past(1_000, 1, 2, 1, 2), 1_000);
        series.on_history(&past(2_000, 2, 3, 2, 3), 1_000);
        series.on_history(&past(2_000, 9, 9, 9, 9), 1_000);
        assert_eq!(series.closed().iter().map(|bar| bar.close.0).collect::<Vec<_>>(), [2, 3]);
        // Told by history already.
        assert_eq!(series.on_trade(&trade(2_900, 50, 1), 1), None);
        assert_eq!((series.late_trades(), series.current()), (1, None));
        series.on_trade(&trade(3_100, 4, 1), 1);
        assert_eq!(series.on_trade(&trade(4_000, 5, 1), 1).map(|bar| (bar.open.0, bar.is_complete)), Some((4, true)));
        series.on_gap();
        assert_eq!(series.on_trade(&trade(5_000, 5, 1), 1).map(|bar| bar.is_complete), Some(false));
    }

    #[test]
    fn finer_history_makes_coarser_bars() {
        let mut series = BarSeries::new(3_000);
        for (second, price) in [(2, 5), (3, 10), (4, 30), (5, 20), (6, 7)] {
            series.on_history(&past(second * 1_000, price, price + 1, price - 1, price), 1_000);
        }
        let bars: Vec<_> = series.closed().iter().map(|bar| (bar.open.0, bar.high.0, bar.low.0, bar.close.0)).collect();
        assert_eq!(bars, [(5, 6, 4, 5), (10, 31, 9, 20)]);
        assert_eq!(series.current().map(|bar| bar.open.0), Some(7));
        // The bar in progress continues with what is live, and with nothing that history told.
        series.on_trade(&trade(6_500, 90, 1), 1);
        series.on_trade(&trade(7_500, 40, 1), 1);
        assert_eq!(series.current().map(|bar| (bar.open.0, bar.high.0)), Some((7, 40)));
    }
}
