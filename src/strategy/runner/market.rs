//! Market data: the books first, then the strategies that are subscribed.

use super::Core;
use crate::book::{Bar, BarSeries};
use crate::strategy::Event;
use crate::strategy::desk::InstanceState;
use crate::types::{MarketEvent, MarketMessage, Notice, NoticeCode, Timestamp};

impl Core {
    /// Takes a message of the feed: the books first, then the strategies that are subscribed.
    #[inline]
    pub(super) fn on_market(&mut self, message: &MarketMessage) {
        let Some(index) = self.markets.find(message.instrument) else {
            // Without an instrument it is about the venue's connection, and so about each.
            if let MarketEvent::Connection { is_up, received_ns } = message.event {
                (0..self.markets.list.len()).for_each(|index| self.on_connection(index, is_up, received_ns));
            }
            return;
        };
        let Some(market) = self.markets.list.get_mut(index) else { return };
        let instrument = message.instrument;
        match &message.event {
            MarketEvent::Quote(quote) => {
                market.top.apply(*quote);
                market.is_mark_due = true;
                self.heard(index, quote.received_ns);
                self.close_bars(index, quote.exchange_ns, quote.received_ns);
                self.dispatch(index, quote.received_ns, Event::Quote(instrument, quote));
            }
            MarketEvent::Trade { aggressor, count, trade } => {
                self.heard(index, trade.received_ns);
                let series_count = self.markets.list.get(index).map_or(0, |market| market.series.len());
                for series in 0..series_count {
                    let market = self.markets.list.get_mut(index);
                    let closed = market.and_then(|market| market.series.get_mut(series)?.on_trade(trade, *count));
                    if let Some(bar) = closed {
                        self.dispatch_bar(index, series, trade.received_ns, &bar);
                    }
                }
                self.dispatch(index, trade.received_ns, Event::Trade(instrument, *aggressor, trade));
            }
            MarketEvent::DepthSnapshot { update_id, received_ns } => {
                market.depth.begin_snapshot(*update_id);
                market.is_crossed = false;
                self.is_amid_update = true;
                self.heard(index, *received_ns);
            }
            MarketEvent::DepthLevel { side, is_last, level } => {
                market.depth.apply(*side, level, *is_last);
                self.is_amid_update = !*is_last;
                if *is_last {
                    self.heard(index, level.received_ns);
                    self.check_crossing(index);
                    self.close_bars(index, level.exchange_ns, level.received_ns);
                    self.dispatch(index, level.received_ns, Event::Depth(instrument));
                }
            }
            MarketEvent::DepthLost { received_ns } => {
                market.depth.mark_lost();
                self.is_amid_update = false;
                self.now = self.now.max(*received_ns);
            }
            MarketEvent::HistoryBar(bar) => {
                let shortest = market.series.first().map_or(0, BarSeries::interval_ms);
                market.series.iter_mut().for_each(|series| series.on_history(bar, shortest));
            }
            MarketEvent::HistoryEnd => {
                market.is_warm = true;
                self.start_warm();
            }
            MarketEvent::Connection { is_up, received_ns } => self.on_connection(index, *is_up, *received_ns),
        }
    }

    /// Market data of an instrument was received.
    #[inline]
    fn heard(&mut self, index: usize, received_ns: Timestamp) {
        self.now = self.now.max(received_ns);
        if let Some(market) = self.markets.list.get_mut(index) {
            market.data_ns = market.data_ns.max(received_ns);
        }
    }

    fn on_connection(&mut self, index: usize, is_up: bool, received_ns: Timestamp) {
        self.now = self.now.max(received_ns);
        let Some(market) = self.markets.list.get_mut(index) else { return };
        if is_up {
            market.is_up = true;
        } else {
            market.on_down();
            self.is_amid_update = false;
        }
    }

    fn check_crossing(&mut self, index: usize) {
        let Some(market) = self.markets.list.get_mut(index) else { return };
        let was_crossed = std::mem::replace(&mut market.is_crossed, market.depth.is_crossed());
        if market.is_crossed && !was_crossed {
            self.counters.crossed_books.increment();
            let price = |level: Option<&crate::book::Level>| level.map_or(0, |level| i128::from(level.price.0));
            let (bid, ask) = (price(market.depth.best_bid()), price(market.depth.best_ask()));
            let notice = Notice::new(NoticeCode::CrossedBook, self.now).instrument(market.instrument.id);
            self.notices.send(notice.values(ask, bid));
        }
    }

    /// The venue's clock passed: bars whose time is over are closed.
    #[inline]
    fn close_bars(&mut self, index: usize, exchange_ns: Timestamp, received_ns: Timestamp) {
        let series_count = self.markets.list.get(index).map_or(0, |market| market.series.len());
        if !exchange_ns.is_known() {
            return;
        }
        for series in 0..series_count {
            let market = self.markets.list.get_mut(index);
            let closed = market.and_then(|market| market.series.get_mut(series)?.on_time(exchange_ns));
            if let Some(bar) = closed {
                self.dispatch_bar(index, series, received_ns, &bar);
            }
        }
    }

    fn start_warm(&mut self) {
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(index) else { return };
            let is_warm = |market: usize| self.markets.list.get(market).is_some_and(|market| market.is_warm);
            if slot.desk.state == InstanceState::Warming && slot.desk.holdings.iter().all(|h| is_warm(h.market)) {
                slot.desk.state = InstanceState::Running;
                self.call(index, self.now, Event::Start);
            }
        }
    }

    /// Tells every subscriber of an instrument.
    #[inline]
    fn dispatch(&mut self, market: usize, received_ns: Timestamp, event: Event) {
        let mut next = 0;
        while let Some(&subscriber) = self.markets.list.get(market).and_then(|market| market.subscribers.get(next)) {
            self.call(subscriber.instance, received_ns, event);
            next += 1;
        }
    }

    /// Tells the subscribers of a series of a closed bar.
    fn dispatch_bar(&mut self, market: usize, series: usize, received_ns: Timestamp, bar: &Bar) {
        let mut next = 0;
        while let Some(market) = self.markets.list.get(market)
            && let Some(&subscriber) = market.subscribers.get(next)
        {
            let event = Event::Bar(market.instrument.id, bar);
            if subscriber.series == Some(series) {
                self.call(subscriber.instance, received_ns, event);
            }
            next += 1;
        }
    }
}
