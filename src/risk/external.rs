//! Orders and fills of the account that are not ours: other programs', people's, or those of an earlier start.
//!
//! They are adopted: an order is held in the order table under an id that is never sent, its reserve counts in the
//! instrument's and the account's exposure, its fills are booked once into a holding of the instrument that belongs to
//! no strategy. No shard hears of them, and no cancel of one is sent: only canceling a whole instrument reaches them.

use super::core::Core;
use super::executions::Owner;
use super::order_table::OrderRecord;
use super::transitions::OrderEvent;
use crate::portfolio::Fill;
use crate::types::{
    ClientOrderId, ExecutionReport, InstrumentId, Money, Notice, NoticeCode, Order, OrderStatus, Quantity, ReportKind,
    StrategyId, Timestamp, TradingState, VenueId,
};

/// The strategy's bits of ids that are never sent: one more than [`StrategyId::MAX`]. Their epoch is zero, which no order
/// of ours has.
const NOBODY: u64 = StrategyId::MAX.0 as u64 + 1;

/// Whether an id was made here.
pub(super) const fn is_external(id: ClientOrderId) -> bool {
    id.epoch() == 0
}

impl Core {
    /// The order that a report is about: by our id, or by the venue's number of an order that we know by that.
    pub(super) fn find_reported(&self, report: &ExecutionReport) -> Option<u32> {
        let by_id = self.orders.find(report.client_order_id);
        by_id.or_else(|| self.orders.find_at_venue(report.instrument, report.venue_order_id))
    }

    /// A report of an order that is not in our table. What is open of it is adopted, and a fill is booked.
    #[cold]
    pub(super) fn on_external(&mut self, report: &ExecutionReport) -> Option<u32> {
        self.counters.external_reports.increment();
        let id = report.client_order_id;
        if id != ClientOrderId::NONE && id.epoch() > self.epoch {
            let notice = Notice::new(NoticeCode::Misconfigured, self.now).instrument(report.instrument).order(id);
            let notice = notice.values(i128::from(self.epoch), i128::from(id.epoch()));
            self.notify(
                notice.excerpt(b"an order of a later start than ours: two engines trade on this account; halted"),
            );
            self.enter(TradingState::Halted);
        }
        let place = self.books.external(report.instrument)?;
        let is_open = match report.kind {
            ReportKind::Accepted => true,
            ReportKind::Fill => report.cumulative_quantity < report.order_quantity,
            ReportKind::Status => matches!(report.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled),
            _ => false,
        };
        if is_open && report.venue_order_id != 0 {
            return self.adopt(report, place);
        }
        if report.kind == ReportKind::Fill {
            self.book_external(report, place);
        }
        None
    }

    fn adopt(&mut self, report: &ExecutionReport, place: u32) -> Option<u32> {
        self.external_count = self.external_count.wrapping_add(1);
        let client_order_id = ClientOrderId((NOBODY << ClientOrderId::SEQUENCE_BITS) | u64::from(self.external_count));
        let order = Order {
            client_order_id,
            price: report.order_price,
            quantity: report.order_quantity,
            instrument: report.instrument,
            strategy: StrategyId::NONE,
            side: report.side,
            ..Order::default()
        };
        // What it filled before we knew of it is in the balances that we began with, or is told as fills of its own.
        let before = report.cumulative_quantity.0.saturating_sub(report.last_quantity.0).max(0);
        let record = OrderRecord {
            order,
            status: OrderStatus::Accepted,
            is_acknowledged: true,
            adopted: Quantity(before),
            venue_filled: Quantity(before),
            worst_price: report.order_price,
            approved_ns: self.now,
            updated_ns: self.now,
            holding: place,
            ..OrderRecord::default()
        };
        let Some(slot) = self.orders.insert(record) else {
            self.no_room(report.instrument);
            if report.kind == ReportKind::Fill {
                self.book_external(report, place);
            }
            return None;
        };
        self.orders.name_at_venue(slot, report.venue_order_id);
        self.reserve_due(slot);
        self.keep_own(slot);
        let notice = Notice::new(NoticeCode::ExternalAdopted, self.now).instrument(report.instrument);
        let open = report.order_quantity.0.saturating_sub(before);
        self.notify(notice.values(i128::from(report.venue_order_id), i128::from(open)));
        Some(slot)
    }

    /// What is open at the venue cannot be told any more: no new orders in the instrument until a person sets the state.
    fn no_room(&mut self, instrument: InstrumentId) {
        if let Some(market) = self.books.markets.get_mut(instrument.index()) {
            market.trading_state = market.trading_state.max(TradingState::CancelOnly);
        }
        let notice = Notice::new(NoticeCode::Misconfigured, self.now).instrument(instrument);
        self.notify(notice.excerpt(b"no room for an order that is not ours: cancels only in its instrument"));
    }

    /// Books a fill of an order that is not held.
    fn book_external(&mut self, report: &ExecutionReport, place: u32) {
        let fill = Fill {
            side: report.side,
            price: report.last_price,
            quantity: report.last_quantity,
            fee: Money::from_scaled(report.fee, ExecutionReport::FEE_PRECISION).unwrap_or_default(),
            fee_asset: report.fee_asset,
        };
        let notice = Notice::new(NoticeCode::ExternalOrder, self.now).instrument(report.instrument);
        if report.execution_id == 0 || fill.price.0 <= 0 || fill.quantity.0 <= 0 {
            let notice = Notice { code: NoticeCode::Misconfigured, ..notice };
            self.notify(notice.excerpt(b"a fill without an execution id, a price or a quantity was not booked"));
            return;
        }
        if self.executions.insert(report.instrument, report.execution_id, Owner::Nobody).is_some() {
            self.counters.duplicate_fills.increment();
            return;
        }
        if self.books.book(place, &fill).is_err() {
            let notice = Notice { code: NoticeCode::Misconfigured, ..notice };
            self.notify(notice.excerpt(b"a fill overflows its position: halted"));
            self.enter(TradingState::Halted);
            return;
        }
        self.counters.fills.increment();
        self.kept.booked(report.instrument, report.execution_id);
        self.notify(notice.values(i128::from(report.execution_id), i128::from(fill.quantity.0)));
        self.check_instrument(report.instrument);
    }

    /// Takes a fill back that was booked as nobody's and turned out to be of an order of ours; whether that could be done.
    pub(super) fn take_back(&mut self, instrument: InstrumentId, fill: &Fill) -> bool {
        let fee = Money(fill.fee.0.saturating_neg());
        let reversed = Fill { side: fill.side.opposite(), fee, ..*fill };
        let place = self.books.external(instrument);
        place.is_some_and(|place| self.books.book(place, &reversed).is_ok())
    }

    /// A round told every open order of a venue and every fill: orders that are not ours and that it did not tell are
    /// over, and nothing of them is missing any more. A fill of one may have been booked before the order was known.
    pub(super) fn end_untold(&mut self, venue: VenueId, begun: Timestamp) {
        for place in (0..self.orders.open_count()).rev() {
            let Some(slot) = self.orders.open_at(place) else { continue };
            let Some(record) = self.orders.at(slot) else { continue };
            let is_here =
                self.books.market(record.order.instrument).is_some_and(|market| market.instrument.venue == venue);
            if is_here && record.order.strategy == StrategyId::NONE && record.updated_ns < begun {
                self.apply(slot, OrderEvent::Canceled);
                if let Some(record) = self.orders.at_mut(slot) {
                    record.adopted.0 = record.adopted.0.saturating_add(record.due().0);
                }
                self.reserve_due(slot);
                self.orders.list(slot);
            }
        }
    }
}
