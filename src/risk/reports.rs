//! Reports in: what the venue and the gateway say of orders, and the fills.

use super::books::Holding;
use super::budget::Budget;
use super::core::{Core, number};
use super::executions::Owner;
use super::external::is_external;
use super::order_table::{CancelStep, OrderRecord};
use super::transitions::{Next, OrderEvent, next};
use crate::portfolio::Fill;
use crate::types::{
    ClientOrderId, DenialReason, Event, ExecutionReport, GatewayMessage, InstrumentId, Money, Notice, NoticeCode,
    OrderStatus, Price, Quantity, ReportKind, SessionState, StrategyId, TradingState, VenueId,
};

impl Core {
    pub(super) fn on_gateway(&mut self, venue: usize, message: &GatewayMessage) {
        self.tap.write(Event::Gateway { venue: VenueId(number(venue)), message: *message });
        match message {
            GatewayMessage::Report(report) => self.on_report(report),
            GatewayMessage::Session { venue, state, received_ns } => {
                self.now = self.now.max(*received_ns);
                self.on_session(*venue, *state);
            }
            GatewayMessage::Transfer { venue, asset, amount, received_ns } => {
                self.now = self.now.max(*received_ns);
                self.on_transfer(*venue, *asset, *amount);
            }
            GatewayMessage::ReportStream { venue, is_up, received_ns } => {
                self.now = self.now.max(*received_ns);
                self.on_report_stream(*venue, *is_up);
            }
            GatewayMessage::Round { venue, round, received_ns } => {
                self.now = self.now.max(*received_ns);
                self.on_round(*venue, *round);
            }
            GatewayMessage::Balance { venue, asset, total, received_ns } => {
                self.now = self.now.max(*received_ns);
                self.on_balance(*venue, *asset, *total);
            }
            GatewayMessage::Budget { venue, received_ns, used_weight, weight_limit, used_orders, order_limit } => {
                self.now = self.now.max(*received_ns);
                if let Some(venue) = self.venues.get_mut(usize::from(venue.0)) {
                    venue.budget = Budget {
                        used_weight: *used_weight,
                        weight_limit: *weight_limit,
                        used_orders: *used_orders,
                        order_limit: *order_limit,
                        received_ns: *received_ns,
                    };
                }
            }
        }
    }

    fn on_session(&mut self, venue: VenueId, session: SessionState) {
        let Some(state) = self.venues.get_mut(usize::from(venue.0)) else { return };
        state.session = session;
        if session == SessionState::Down {
            state.reconciliation.on_lost();
            self.cancel_on_disconnect(venue);
        }
    }

    fn on_report(&mut self, report: &ExecutionReport) {
        self.now = self.now.max(report.received_ns);
        let now = self.now;
        let known = self.find_reported(report).or_else(|| self.on_external(report));
        let Some(slot) = known else { return };
        self.orders.name_at_venue(slot, report.venue_order_id);
        let Some(record) = self.orders.at_mut(slot) else { return };
        record.updated_ns = now;
        if report.code != 0 {
            record.code = report.code;
        }
        let is_news = report.cumulative_quantity > record.venue_filled;
        record.venue_filled = record.venue_filled.max(report.cumulative_quantity);
        match report.kind {
            ReportKind::Fill => self.on_fill(slot, report),
            ReportKind::NotSent => self.on_not_sent(slot),
            ReportKind::Sent => self.apply(slot, OrderEvent::Sent),
            ReportKind::Accepted => self.apply(slot, OrderEvent::Accepted),
            ReportKind::Canceled => self.apply(slot, OrderEvent::Canceled),
            ReportKind::Rejected => self.apply(slot, OrderEvent::Rejected),
            ReportKind::Expired => self.apply(slot, OrderEvent::Expired),
            ReportKind::CancelRejected => self.apply(slot, OrderEvent::CancelRejected),
            ReportKind::Unknown => self.on_unproven(slot),
            ReportKind::Status => match found(report.status) {
                OrderEvent::Unproven => self.on_unproven(slot),
                event => self.apply(slot, event),
            },
        }
        self.reserve_due(slot);
        // A report that changes no status may still tell of a fill that is missing.
        self.orders.list(slot);
        let Some(record) = self.orders.at(slot) else { return };
        if is_news && record.venue_filled > record.filled {
            let notice = about(NoticeCode::MissingFill, record, now);
            let values = (i128::from(record.filled.0), i128::from(record.venue_filled.0));
            self.notify(notice.values(values.0, values.1));
        }
    }

    /// The gateway could not write the order. Where the venue has shown that it knows it, that proves nothing.
    fn on_not_sent(&mut self, slot: u32) {
        let Some(record) = self.orders.at(slot) else { return };
        if !record.is_acknowledged && record.status.is_open() {
            self.gateway_busy(slot);
        }
    }

    fn on_unproven(&mut self, slot: u32) {
        let Some(record) = self.orders.at(slot) else { return };
        if record.status.is_open() && record.status != OrderStatus::Unknown {
            let notice = about(NoticeCode::OrderUnknown, record, self.now);
            self.counters.unknown_orders.increment();
            self.notify(notice);
        }
        self.apply(slot, OrderEvent::Unproven);
    }

    /// Books a fill once, whatever the order's status. A report that cannot be booked still counts as what the venue
    /// says was filled, so that the missing part stays reserved and is asked for.
    fn on_fill(&mut self, slot: u32, report: &ExecutionReport) {
        let Some(record) = self.orders.at(slot) else { return };
        let record = *record;
        let (order, now) = (record.order, self.now);
        let fee = Money::from_scaled(report.fee, ExecutionReport::FEE_PRECISION).unwrap_or_default();
        let fill = Fill {
            side: order.side,
            price: report.last_price,
            quantity: report.last_quantity,
            fee,
            fee_asset: report.fee_asset,
        };
        if report.execution_id == 0 || fill.price.0 <= 0 || fill.quantity.0 <= 0 {
            let notice = about(NoticeCode::Misconfigured, &record, now);
            self.notify(notice.excerpt(b"a fill without an execution id, a price or a quantity was not booked"));
            self.apply(slot, OrderEvent::Accepted);
            return;
        }
        let booked_for = self.executions.insert(order.instrument, report.execution_id, Owner::Order);
        let is_ours = order.strategy != StrategyId::NONE;
        if booked_for == Some(Owner::Nobody) && is_ours && self.take_back(order.instrument, &fill) {
            // It was told by the venue's number before we knew that of our order.
        } else if booked_for == Some(Owner::Nobody) {
            // It was booked before its order was adopted.
            if let Some(record) = self.orders.at_mut(slot) {
                record.adopted.0 = record.adopted.0.saturating_add(fill.quantity.0);
            }
            self.orders.list(slot);
            return;
        } else if booked_for.is_some() {
            self.counters.duplicate_fills.increment();
            self.notify(about(NoticeCode::DuplicateFill, &record, now).values(0, i128::from(report.execution_id)));
            return;
        }
        self.count_entry(slot);
        let filled = record.filled.0.checked_add(fill.quantity.0);
        let (Some(filled), Ok(())) = (filled, self.books.book(record.holding, &fill)) else {
            // A fact that our numbers cannot hold: what we know is wrong from here on.
            self.notify(
                about(NoticeCode::Misconfigured, &record, now).excerpt(b"a fill overflows its position: halted"),
            );
            self.enter(TradingState::Halted);
            return;
        };
        self.counters.fills.increment();
        self.count_fill(order.strategy);
        if record.status.is_terminal() {
            self.counters.late_fills.increment();
            let values = (i128::from(order.quantity.0), i128::from(filled));
            self.notify(about(NoticeCode::LateFill, &record, now).values(values.0, values.1));
        }
        if let Some(record) = self.orders.at_mut(slot) {
            record.filled = Quantity(filled);
            record.last_price = fill.price;
        }
        self.fill_of_parent(&order, fill.quantity);
        // Of an order that is not ours the venue alone knows how much is left.
        let counted = if order.strategy == StrategyId::NONE { record.venue_filled.0 } else { filled };
        let is_whole = counted >= order.quantity.0;
        self.apply(slot, if is_whole { OrderEvent::LastFill } else { OrderEvent::PartialFill });
        self.check_position(&record);
        self.kept.booked(order.instrument, report.execution_id);
        self.judge_fill(order.strategy, order.instrument, &fill);
        self.break_on_fill(&record, 2 * i128::from(fill.price.0));
    }

    /// Lets a fill that went over a position limit set reduce-only, for the strategy in this instrument and for the
    /// instrument.
    fn check_position(&mut self, record: &OrderRecord) {
        let limit = i128::from(self.limits.permission(record.holding).max_position.0);
        let is_ours = |holding: &&mut Holding| holding.permission.strategy != StrategyId::NONE;
        if let Some(holding) = self.books.holdings.get_mut(record.holding as usize).filter(is_ours) {
            let booked = holding.exposure.booked();
            if booked.saturating_abs() > limit && holding.trading_state < TradingState::ReduceOnly {
                holding.trading_state = TradingState::ReduceOnly;
                let notice = about(NoticeCode::PositionOverLimit, record, self.now);
                self.notify(notice.values(limit, booked));
            }
        }
        self.check_instrument(record.order.instrument);
    }

    /// The same for an instrument alone.
    pub(super) fn check_instrument(&mut self, instrument: InstrumentId) {
        let limit = i128::from(self.limits.instrument(instrument).max_position.0);
        let Some(market) = self.books.markets.get_mut(instrument.index()) else { return };
        let booked = market.exposure.booked();
        if booked.saturating_abs() > limit && market.trading_state < TradingState::ReduceOnly {
            market.trading_state = TradingState::ReduceOnly;
            let notice = Notice::new(NoticeCode::PositionOverLimit, self.now).instrument(instrument);
            self.notify(notice.values(limit, booked));
        }
    }

    /// Moves an order through the state machine, and its reserve, counts, cancel and shard with it.
    pub(super) fn apply(&mut self, slot: u32, event: OrderEvent) {
        let Some(record) = self.orders.at_mut(slot) else { return };
        let before = *record;
        record.is_acknowledged |= matches!(
            event,
            OrderEvent::Accepted | OrderEvent::PartialFill | OrderEvent::LastFill | OrderEvent::FoundWorking
        );
        record.status = match next(before.status, event) {
            Next::Keep => before.status,
            Next::To(OrderStatus::Accepted) | Next::Resume if record.filled.0 > 0 => OrderStatus::PartiallyFilled,
            Next::Resume if record.is_acknowledged => OrderStatus::Accepted,
            Next::Resume => OrderStatus::Sent,
            Next::To(status) => status,
        };
        let is_answered = matches!(event, OrderEvent::CancelRejected | OrderEvent::FoundWorking | OrderEvent::Unproven);
        if record.cancel == CancelStep::Passed && (is_answered || record.status.is_terminal()) {
            record.cancel = CancelStep::None;
        }
        if record.status != OrderStatus::Denied {
            record.reason = DenialReason::None;
        }
        let after = *record;
        self.digest.fold(after.order.client_order_id.0 ^ u64::from(after.status as u8));
        self.digest.fold(after.filled.0.cast_unsigned());
        self.orders.list(slot);
        self.keep_own(slot);
        self.reserve_due(slot);
        if after.status.is_terminal() {
            self.orders.retire(slot);
        }
        let is_fill = matches!(event, OrderEvent::PartialFill | OrderEvent::LastFill);
        if before.status != after.status || is_fill {
            self.update_shard(slot);
        }
        self.watch_unknown(slot, before.status, after.status);
        if after.status == OrderStatus::Rejected && before.status.is_open() {
            self.count_reject(&after);
        }
        let is_refused = matches!(after.status, OrderStatus::Rejected | OrderStatus::Denied);
        if is_refused && before.status.is_open() {
            self.replacement_refused(after.order.replaces);
        }
        self.cancel_again(slot, event);
    }

    /// Holds what the order may still fill against the limits: no more, no less. What it leaves of a pair is held for the
    /// order that takes its place.
    pub(super) fn reserve_due(&mut self, slot: u32) {
        self.hold(slot);
        let next = self.orders.at(slot).map_or(ClientOrderId::NONE, |record| record.replaced_by);
        if next != ClientOrderId::NONE
            && let Some(next) = self.orders.find(next)
        {
            self.hold(next);
        }
    }

    fn hold(&mut self, slot: u32) {
        let Some(record) = self.orders.at(slot) else { return };
        let shared = if record.is_exclusive { self.shared(record) } else { Quantity::ZERO };
        let due = Quantity(record.due().0.saturating_sub(shared.0).max(0));
        let Some(record) = self.orders.at_mut(slot) else { return };
        let before = std::mem::replace(&mut record.reserve, due);
        let (order, holding, worst) = (record.order, record.holding, record.worst_price);
        self.books.reserve(holding, order.side, before.0, due.0, worst);
        self.rest(&order, before, due);
        self.reserve_of_parent(&order, before, due);
    }

    /// What is held for the order whose place this one takes: as only one of them can fill, that much of this one is held
    /// already. Not so where the venue shows that it did not keep to it: one has filled, and the other works.
    fn shared(&self, record: &OrderRecord) -> Quantity {
        let Some(replaced) = self.orders.get(record.order.replaces) else { return Quantity::ZERO };
        let has_filled = replaced.filled.0 > 0 || replaced.venue_filled.0 > 0;
        if has_filled && record.is_acknowledged { Quantity::ZERO } else { replaced.reserve }
    }

    /// The order that was to take the place of this one never will.
    fn replacement_refused(&mut self, replaced: ClientOrderId) {
        if replaced != ClientOrderId::NONE
            && let Some(slot) = self.orders.find(replaced)
        {
            self.reprice(slot, Price::ZERO);
            self.apply(slot, OrderEvent::ReplaceRejected);
        }
    }
}

/// A notice about an order.
fn about(code: NoticeCode, record: &OrderRecord, now: crate::types::Timestamp) -> Notice {
    let notice = Notice::new(code, now).instrument(record.order.instrument);
    let id = record.order.client_order_id;
    // The strategy of an order of an earlier start need not be the one that its id names.
    if is_external(id) { notice } else { notice.order(id).strategy(record.order.strategy) }
}

/// What a query's answer means.
const fn found(status: OrderStatus) -> OrderEvent {
    match status {
        OrderStatus::Created | OrderStatus::Sent | OrderStatus::Unknown => OrderEvent::Unproven,
        OrderStatus::Accepted
        | OrderStatus::PartiallyFilled
        | OrderStatus::PendingCancel
        | OrderStatus::PendingReplace => OrderEvent::FoundWorking,
        OrderStatus::Filled => OrderEvent::Filled,
        OrderStatus::Canceled => OrderEvent::Canceled,
        OrderStatus::Rejected | OrderStatus::Denied => OrderEvent::Rejected,
        OrderStatus::Expired => OrderEvent::Expired,
    }
}
