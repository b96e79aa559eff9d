//! What a handler sees and writes.

use super::brackets::{ArmedBracket, Bracket};
use super::desk::{Desk, NewOrder, WorkingOrder};
use super::market::{Market, Markets};
use super::runner::Notices;
use super::{Signal, SignalAction};
use crate::book::{Bar, DepthBook};
use crate::types::{
    ClientOrderId, Denial, Instrument, InstrumentId, Money, Notice, NoticeCode, PositionState, Price, Quantity, Quote,
    Side, StrategyId, Timestamp, format_fixed,
};
use std::fmt::{self, Write};

/// The world of one instance during one call of a handler.
///
/// Of instruments that are not the instance's own, nothing is known: the accessors answer what they answer for an
/// instrument that was never quoted.
pub struct Context<'a> {
    pub(super) now: Timestamp,
    pub(super) markets: &'a Markets,
    pub(super) desk: &'a mut Desk,
    pub(super) notices: &'a mut Notices,
}

impl Context<'_> {
    /// The instant: that of the newest message the shard took. It never goes back.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The instance's id.
    #[must_use]
    pub fn strategy(&self) -> StrategyId {
        self.desk.id
    }

    /// What it may use, in the quote asset.
    #[must_use]
    pub fn capital(&self) -> Money {
        self.desk.capital
    }

    /// Its instruments, in the configured order.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        let markets = self.desk.holdings.iter().filter_map(|holding| self.markets.list.get(holding.market));
        markets.map(|market| &market.instrument)
    }

    /// The venue's rules for an instrument.
    #[must_use]
    pub fn instrument(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.market(instrument).map(|market| &market.instrument)
    }

    /// The newest quote; none before the first, and after a lost connection.
    #[must_use]
    pub fn quote(&self, instrument: InstrumentId) -> Option<&Quote> {
        let quote = self.market(instrument)?.top.quote();
        (quote.bid_quantity > Quantity::ZERO || quote.ask_quantity > Quantity::ZERO).then_some(quote)
    }

    /// The mid weighted by the opposite quantities; see [`TopOfBook::microprice`](crate::book::TopOfBook::microprice).
    #[must_use]
    pub fn microprice(&self, instrument: InstrumentId) -> Option<Price> {
        self.market(instrument)?.top.microprice()
    }

    /// The depth book.
    #[must_use]
    pub fn depth(&self, instrument: InstrumentId) -> Option<&DepthBook> {
        self.market(instrument).map(|market| &market.depth)
    }

    /// Whether the book is in sync with the venue and not crossed. Orders decided while it is not are denied by risk.
    #[must_use]
    pub fn is_synced(&self, instrument: InstrumentId) -> bool {
        self.market(instrument).is_some_and(Market::is_synced)
    }

    /// The last closed bars, oldest first, at most [`BarSeries::KEPT`](crate::book::BarSeries::KEPT).
    #[must_use]
    pub fn bars(&self, instrument: InstrumentId) -> &[Bar] {
        self.series(instrument).map_or(&[], |series| series.closed())
    }

    /// The closed bars that began after the instant `counted`: those that an indicator has not counted yet which was resumed,
    /// and had the bar that began then as its newest. All of them where `counted` is unknown; `None` where those that are
    /// kept begin later, so that some between may be missing, and it is better begun anew with [`Context::bars`].
    #[must_use]
    pub fn bars_since(&self, instrument: InstrumentId, counted: Timestamp) -> Option<&[Bar]> {
        let bars = self.bars(instrument);
        if !counted.is_known() {
            return Some(bars);
        }
        let new = bars.partition_point(|bar| bar.open_ns <= counted);
        if new == 0 { None } else { bars.get(new..) }
    }

    /// The bar in progress, if a trade began one.
    #[must_use]
    pub fn bar_in_progress(&self, instrument: InstrumentId) -> Option<&Bar> {
        self.series(instrument)?.current()
    }

    /// The position, as risk booked it.
    #[must_use]
    pub fn position(&self, instrument: InstrumentId) -> PositionState {
        self.desk.holding(instrument).map(|holding| holding.position).unwrap_or_default()
    }

    /// The orders that are not proven terminal, oldest first.
    #[must_use]
    pub fn working(&self) -> &[WorkingOrder] {
        &self.desk.working
    }

    /// A working order.
    #[must_use]
    pub fn working_order(&self, id: ClientOrderId) -> Option<&WorkingOrder> {
        self.desk.working_order(id)
    }

    /// Buys at `price` or better until filled or canceled.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn buy(&mut self, instrument: InstrumentId, quantity: Quantity, price: Price) -> Result<ClientOrderId, Denial> {
        self.submit(NewOrder::limit(instrument, Side::Buy, quantity, price))
    }

    /// Sells at `price` or better until filled or canceled.
    ///
    /// # Errors
    /// As [`Context::submit`].
    pub fn sell(
        &mut self,
        instrument: InstrumentId,
        quantity: Quantity,
        price: Price,
    ) -> Result<ClientOrderId, Denial> {
        self.submit(NewOrder::limit(instrument, Side::Sell, quantity, price))
    }

    /// Wants an order. It is sent to risk when the handler is done (also where that answers an error, not where it
    /// panics); what becomes of it is told by `on_order`.
    ///
    /// # Errors
    /// Where the shard itself refuses it: more than 64 in one call, more than 128 working, an instrument that is not
    /// the instance's, an instance that is stopping, or no id left.
    pub fn submit(&mut self, order: NewOrder) -> Result<ClientOrderId, Denial> {
        let submitted = self.desk.submit(&order);
        self.counted(submitted)
    }

    /// Wants a working order to be for `quantity` in all (what it has filled included) at the limit price `price`. A new
    /// order, under the id that is answered, takes the place of the old one in one step at the venue; all else of it
    /// stays. It goes to the end of the queue. Until that is done the old one works on, its status `PendingReplace`;
    /// then it is `Canceled`, or, where the venue or risk refuses the new one, it works as before.
    ///
    /// # Errors
    /// As [`Context::submit`], and `ORDER_NOT_AMENDABLE` where [`WorkingOrder::is_replaceable`] says no or a bracket
    /// keeps it, `AMEND_BELOW_FILLED` where nothing would be left to fill.
    pub fn replace(&mut self, id: ClientOrderId, quantity: Quantity, price: Price) -> Result<ClientOrderId, Denial> {
        let stop_price = self.desk.working_order(id).map_or(Price::ZERO, |order| order.stop_price);
        self.replace_stop(id, quantity, stop_price, price)
    }

    /// As [`Context::replace`], of an order with a stop price; `price` is zero where it becomes a market order.
    ///
    /// # Errors
    /// As [`Context::replace`].
    pub fn replace_stop(
        &mut self,
        id: ClientOrderId,
        quantity: Quantity,
        stop_price: Price,
        price: Price,
    ) -> Result<ClientOrderId, Denial> {
        let replaced = self.desk.replace(id, quantity, stop_price, price);
        self.counted(replaced)
    }

    /// Wants an order (the entry) whose position is closed by itself: as it fills, a stop for what is filled rests at the
    /// venue, and when the market reaches the take profit, the stop makes way for it. Never do both fill, nor more than
    /// the entry did. This goes on while the strategy is paused or in error, and ends when the position is closed, with
    /// a kill, when the strategy is stopped, or by [`Context::cancel_bracket`]. Its exits are among
    /// [`Context::working`] and are told to `on_order`, but are not the strategy's to cancel. What else the strategy
    /// sells of the position shrinks the stop; orders of its own that still may leave less room for it at risk.
    ///
    /// The id is the entry's and the bracket's. The bracket follows an entry that is replaced.
    ///
    /// # Errors
    /// As [`Context::submit`]; `BAD_ORDER` where the prices contradict each other or the entry's, or the entry is
    /// reduce-only; `ORDER_TABLE_FULL` past 16 brackets.
    pub fn bracket(&mut self, entry: NewOrder, bracket: Bracket) -> Result<ClientOrderId, Denial> {
        let submitted = self.desk.bracket(&entry, bracket);
        self.counted(submitted)
    }

    /// Wants the position as it is now closed as [`Context::bracket`] says, as far as no bracket is there for it already.
    ///
    /// # Errors
    /// As [`Context::bracket`]; `BAD_ORDER` also where there is nothing to protect.
    pub fn protect(&mut self, instrument: InstrumentId, bracket: Bracket) -> Result<ClientOrderId, Denial> {
        let protected = self.desk.protect(instrument, bracket);
        self.counted(protected)
    }

    /// Wants a bracket to close elsewhere from now on, as when a stop is trailed: its stop is replaced.
    ///
    /// # Errors
    /// `BAD_ORDER` where the prices contradict each other, `ORDER_NOT_AMENDABLE` where there is no such bracket or it is
    /// closing the position already.
    pub fn amend_bracket(&mut self, id: ClientOrderId, bracket: Bracket) -> Result<(), Denial> {
        let amended = self.desk.amend_bracket(id, bracket);
        self.counted(amended)
    }

    /// Wants a bracket to be no more: its entry and its exits are canceled, and the position is the strategy's to close.
    /// Answers whether there is such a bracket.
    pub fn cancel_bracket(&mut self, id: ClientOrderId) -> bool {
        self.desk.cancel_bracket(id)
    }

    /// The brackets at work, oldest first.
    pub fn brackets(&self) -> impl Iterator<Item = &ArmedBracket> {
        self.desk.brackets.iter()
    }

    /// Wants an order canceled, once however often asked. Answers whether it is one that works and is not kept by a
    /// bracket. The order works on until `on_order` tells otherwise: it may still fill.
    pub fn cancel(&mut self, id: ClientOrderId) -> bool {
        let is_own = |order: &WorkingOrder| order.bracket == ClientOrderId::NONE;
        self.desk.working_order(id).is_some_and(is_own) && self.desk.cancel(id)
    }

    /// Wants all orders canceled but the exits of brackets.
    pub fn cancel_all(&mut self) {
        self.desk.cancel_all(None);
    }

    /// Wants all orders in an instrument canceled but the exits of brackets.
    pub fn cancel_all_in(&mut self, instrument: InstrumentId) {
        self.desk.cancel_all(Some(instrument));
    }

    /// Asks for `on_timer` as soon as `at` has passed. Answers whether there was room: 32 may be pending.
    pub fn timer(&mut self, at: Timestamp) -> bool {
        self.desk.add_timer(at)
    }

    /// Shows and records a signal.
    pub fn signal(&mut self, signal: &Signal) {
        let precision = self.instrument(signal.instrument).map_or(0, |instrument| instrument.price_precision);
        let mut text = Line::default();
        // Writing cannot fail: what does not fit is cut.
        let _ = text.write_str(match signal.action {
            SignalAction::Buy => "BUY",
            SignalAction::Sell => "SELL",
            SignalAction::Hold => "HOLD",
            SignalAction::Close => "CLOSE",
        });
        for (name, price) in [("stop", signal.stop_loss), ("target", signal.take_profit)] {
            if let Some(price) = price {
                let _ = write!(text, " {name} {}", format_fixed(price.0, precision));
            }
        }
        let _ = write!(text, ": {}", std::str::from_utf8(signal.reason.as_bytes()).unwrap_or_default());
        let notice = Notice::new(NoticeCode::StrategySignal, self.now)
            .strategy(self.desk.id)
            .instrument(signal.instrument)
            .values(100, i128::from(signal.confidence_percent))
            .excerpt(text.as_bytes());
        self.notices.send(notice);
    }

    /// Writes a line into the log, cut at 95 bytes.
    pub fn log(&mut self, text: &str) {
        let notice = Notice::new(NoticeCode::StrategyLog, self.now).strategy(self.desk.id).excerpt(text.as_bytes());
        self.notices.send(notice);
    }

    /// Tells and counts what the shard itself refused.
    fn counted<T>(&mut self, wanted: Result<T, Denial>) -> Result<T, Denial> {
        if let Err(denial) = &wanted {
            self.desk.tally.denied += 1;
            self.notices.denied(Notice::new(NoticeCode::Denied, self.now).strategy(self.desk.id), denial);
        }
        wanted
    }

    fn market(&self, instrument: InstrumentId) -> Option<&Market> {
        self.markets.list.get(self.desk.holding(instrument)?.market)
    }

    fn series(&self, instrument: InstrumentId) -> Option<&crate::book::BarSeries> {
        let holding = self.desk.holding(instrument)?;
        self.markets.list.get(holding.market)?.series.get(holding.series?)
    }
}

/// A short text in the making, without allocation; what does not fit is cut.
struct Line {
    bytes: [u8; 160],
    length: usize,
}

impl Default for Line {
    fn default() -> Self {
        Self { bytes: [0; 160], length: 0 }
    }
}

impl Line {
    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (slot, &byte) in self.bytes.iter_mut().skip(self.length).zip(text.as_bytes()) {
            *slot = byte;
            self.length += 1;
        }
        Ok(())
    }
}
