//! What an instance has: its orders, positions, timers, and what it wrote that is not sent yet.

use super::brackets::Brackets;
use crate::types::{
    CancelIntent, ClientOrderId, Denial, DenialReason, InstrumentId, Money, Order, OrderStatus, OrderType, OrderUpdate,
    PositionState, Price, Quantity, Side, StrategyId, TimeInForce, Timestamp,
};

/// How an instance fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InstanceState {
    /// The bars of the past are arriving; no handler was called yet.
    #[default]
    Warming,
    /// Its handlers are called.
    Running,
    /// Three errors in a row: no handler is called, its orders are canceled; orders and positions are kept up.
    Paused,
    /// A handler panicked: as paused, and for good.
    Error,
    /// It was told to stop: as paused, and for good.
    Stopped,
}

impl InstanceState {
    /// The name in listings: `RUNNING`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Warming => "WARMING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Error => "ERROR",
            Self::Stopped => "STOPPED",
        }
    }
}

/// An order as a strategy asks for it. Whether its prices and quantities are the venue's to take is for risk to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) stop_price: Price,
    pub(super) quantity: Quantity,
    pub(super) order_type: OrderType,
    time_in_force: TimeInForce,
    is_post_only: bool,
    pub(super) is_reduce_only: bool,
    parent: u32,
    parent_quantity: Quantity,
}

impl NewOrder {
    /// A limit order that works until filled or canceled.
    #[must_use]
    pub const fn limit(instrument: InstrumentId, side: Side, quantity: Quantity, price: Price) -> Self {
        Self {
            instrument,
            side,
            price,
            stop_price: Price::ZERO,
            quantity,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCanceled,
            is_post_only: false,
            is_reduce_only: false,
            parent: 0,
            parent_quantity: Quantity::ZERO,
        }
    }

    /// A market order.
    #[must_use]
    pub const fn market(instrument: InstrumentId, side: Side, quantity: Quantity) -> Self {
        let order = Self::limit(instrument, side, quantity, Price::ZERO);
        Self { order_type: OrderType::Market, time_in_force: TimeInForce::ImmediateOrCancel, ..order }
    }

    /// A market order as soon as the market trades at `stop_price` or beyond: at or above it for a buy, at or below it for
    /// a sell. Until then it rests at the venue, out of sight.
    #[must_use]
    pub const fn stop(instrument: InstrumentId, side: Side, quantity: Quantity, stop_price: Price) -> Self {
        let order = Self::limit(instrument, side, quantity, Price::ZERO);
        Self { order_type: OrderType::Stop, stop_price, ..order }
    }

    /// A limit order at `price` as soon as the market trades at `stop_price` or beyond.
    #[must_use]
    pub const fn stop_limit(
        instrument: InstrumentId,
        side: Side,
        quantity: Quantity,
        stop_price: Price,
        price: Price,
    ) -> Self {
        let order = Self::limit(instrument, side, quantity, price);
        Self { order_type: OrderType::StopLimit, stop_price, ..order }
    }

    /// The same, refused by the venue where it would take liquidity.
    #[must_use]
    pub const fn post_only(mut self) -> Self {
        self.is_post_only = true;
        self
    }

    /// The same, denied where it would not bring the position closer to zero.
    #[must_use]
    pub const fn reduce_only(mut self) -> Self {
        self.is_reduce_only = true;
        self
    }

    /// The same, what does not fill at once being canceled.
    #[must_use]
    pub const fn immediate_or_cancel(mut self) -> Self {
        self.time_in_force = TimeInForce::ImmediateOrCancel;
        self
    }

    /// The same, filled whole at once or not at all.
    #[must_use]
    pub const fn fill_or_kill(mut self) -> Self {
        self.time_in_force = TimeInForce::FillOrKill;
        self
    }

    /// The same, canceled when the day (UTC) is over.
    #[must_use]
    pub const fn day(mut self) -> Self {
        self.time_in_force = TimeInForce::Day;
        self
    }

    /// The same as a part of a larger order: all parts with this number, which is the strategy's own, together never fill
    /// more than `parent_quantity`.
    #[must_use]
    pub const fn part_of(mut self, parent: u32, parent_quantity: Quantity) -> Self {
        self.parent = parent;
        self.parent_quantity = parent_quantity;
        self
    }
}

/// An order of the instance that is not proven terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkingOrder {
    /// Its id.
    pub client_order_id: ClientOrderId,
    /// The order whose place it takes; [`ClientOrderId::NONE`] where it takes none's.
    pub replaces: ClientOrderId,
    /// The bracket that it is an exit of: that keeps it, the strategy cannot cancel or replace it.
    /// [`ClientOrderId::NONE`] for the strategy's own.
    pub bracket: ClientOrderId,
    /// In what.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// Its limit price; zero where it has none.
    pub price: Price,
    /// The price that triggers it; zero where it is no stop order.
    pub stop_price: Price,
    /// Its quantity.
    pub quantity: Quantity,
    /// What of it is filled.
    pub filled: Quantity,
    /// Where it stands.
    pub status: OrderStatus,
    /// Whether it was asked to be canceled and the venue has not refused that.
    pub is_cancel_wanted: bool,
    /// Whether another order is to take its place and that was not refused.
    pub is_replace_wanted: bool,
    /// What it was asked for with; unknown of an order that only risk told of.
    terms: Option<NewOrder>,
    /// Whether risk spoke of it: before, a cancel could overtake the order.
    is_known: bool,
    is_cancel_due: bool,
    reason: DenialReason,
}

impl WorkingOrder {
    /// Marks it to be canceled; whether that is news.
    fn want_cancel(&mut self) -> bool {
        let is_news = !self.is_cancel_wanted;
        self.is_cancel_wanted = true;
        self.is_cancel_due |= is_news;
        is_news
    }

    /// What may still fill.
    #[must_use]
    pub fn leaves(&self) -> Quantity {
        Quantity(self.quantity.0.saturating_sub(self.filled.0))
    }

    /// Whether another order may take its place: it works, as far as risk has told, and nothing else is wanted of it. (Nor
    /// may the order whose place it took still work.)
    #[must_use]
    pub fn is_replaceable(&self) -> bool {
        matches!(self.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled)
            && self.terms.is_some()
            && !self.is_cancel_wanted
            && !self.is_replace_wanted
    }

    fn of(update: &OrderUpdate) -> Self {
        Self {
            client_order_id: update.client_order_id,
            replaces: ClientOrderId::NONE,
            bracket: ClientOrderId::NONE,
            instrument: update.instrument,
            side: update.side,
            order_type: update.order_type,
            price: update.price,
            stop_price: update.stop_price,
            quantity: update.quantity,
            filled: update.filled,
            status: update.status,
            is_cancel_wanted: false,
            is_replace_wanted: false,
            terms: None,
            is_known: true,
            is_cancel_due: false,
            reason: DenialReason::None,
        }
    }
}

/// What became of an instance's orders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Orders sent to risk.
    pub orders_sent: u64,
    /// Orders filled in whole.
    pub orders_filled: u64,
    /// Updates that told of a fill.
    pub fills: u64,
    /// Orders denied, by the shard or by risk.
    pub denied: u64,
    /// Orders that the venue refused.
    pub rejected: u64,
}

/// An instrument of an instance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    pub(super) instrument: InstrumentId,
    pub(super) market: usize,
    pub(super) series: Option<usize>,
    pub(super) position: PositionState,
}

/// An instance's side of things. Everything in it is bounded and allocated at construction.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) id: StrategyId,
    pub(super) name: String,
    pub(super) state: InstanceState,
    pub(super) capital: Money,
    pub(super) holdings: Vec<Holding>,
    pub(super) working: Vec<WorkingOrder>,
    /// What the handler that runs wants sent.
    pub(super) outbox: Vec<Order>,
    pub(super) tally: Tally,
    pub(super) brackets: Brackets,
    pub(super) errors_in_row: u8,
    pub(super) has_cancels_due: bool,
    pub(super) has_denials_due: bool,
    timers: Vec<Timestamp>,
    pub(super) next_timer: Option<Timestamp>,
    epoch: u32,
    sequence: u64,
}

impl Desk {
    /// The most orders that one call of a handler may want; the next is denied (`STRATEGY_BURST`).
    pub(super) const BURST_MAX: usize = 64;
    /// The most working orders of an instance; the next is denied (`ORDER_TABLE_FULL`).
    pub(super) const WORKING_MAX: usize = 128;
    /// The most timers of an instance that have not passed; the next is refused.
    pub(super) const TIMERS_MAX: usize = 32;

    pub(super) fn new(id: StrategyId, name: String, capital: Money, epoch: u32, holdings: Vec<Holding>) -> Self {
        Self {
            id,
            name,
            state: InstanceState::Warming,
            capital,
            holdings,
            // The exits of brackets come on top, and orders that risk says work after all.
            working: Vec::with_capacity(2 * Self::WORKING_MAX),
            outbox: Vec::with_capacity(Self::BURST_MAX + Brackets::MAX),
            tally: Tally::default(),
            brackets: Brackets::new(),
            errors_in_row: 0,
            has_cancels_due: false,
            has_denials_due: false,
            timers: Vec::with_capacity(Self::TIMERS_MAX),
            next_timer: None,
            epoch,
            sequence: 0,
        }
    }

    #[inline]
    pub(super) fn holding(&self, instrument: InstrumentId) -> Option<&Holding> {
        self.holdings.iter().find(|holding| holding.instrument == instrument)
    }

    pub(super) fn working_order(&self, id: ClientOrderId) -> Option<&WorkingOrder> {
        self.working.iter().find(|order| order.client_order_id == id)
    }

    fn working_order_mut(&mut self, id: ClientOrderId) -> Option<&mut WorkingOrder> {
        self.working.iter_mut().find(|order| order.client_order_id == id)
    }

    /// Whether a strategy may want one more order.
    pub(super) fn check_room(&self, instrument: InstrumentId) -> Result<(), Denial> {
        if self.state != InstanceState::Running {
            return refuse(DenialReason::StrategyNotRunning, 0, 0);
        }
        if self.holding(instrument).is_none() {
            return refuse(DenialReason::NotPermitted, 0, 0);
        }
        if self.outbox.len() >= Self::BURST_MAX {
            return refuse(DenialReason::StrategyBurst, Self::BURST_MAX, self.outbox.len() + 1);
        }
        if self.working.len() >= Self::WORKING_MAX {
            return refuse(DenialReason::OrderTableFull, Self::WORKING_MAX, self.working.len() + 1);
        }
        Ok(())
    }

    /// Takes an order of the strategy into the outbox.
    #[inline]
    pub(super) fn submit(&mut self, new: &NewOrder) -> Result<ClientOrderId, Denial> {
        self.check_room(new.instrument)?;
        self.place(new, ClientOrderId::NONE)
    }

    /// Takes an order into the outbox that is to take the place of one of the strategy's. A bracket follows its entry.
    pub(super) fn replace(
        &mut self,
        id: ClientOrderId,
        quantity: Quantity,
        stop_price: Price,
        price: Price,
    ) -> Result<ClientOrderId, Denial> {
        let Some(order) = self.working_order(id).filter(|order| order.bracket == ClientOrderId::NONE) else {
            return refuse(DenialReason::OrderNotAmendable, 0, 0);
        };
        self.check_room(order.instrument)?;
        let entry_of = self.brackets.room_for_entry(id)?;
        let successor = self.take_place(id, quantity, stop_price, price)?;
        if let Some(order) = self.working.iter().find(|order| order.client_order_id == successor) {
            self.brackets.follow(entry_of, order);
        }
        Ok(successor)
    }

    /// Takes an order into the outbox that is to take the place of `id`: `quantity` in all, what that has filled included.
    pub(super) fn take_place(
        &mut self,
        id: ClientOrderId,
        quantity: Quantity,
        stop_price: Price,
        price: Price,
    ) -> Result<ClientOrderId, Denial> {
        let Some(order) = self.working_order(id).filter(|order| order.is_replaceable()) else {
            return refuse(DenialReason::OrderNotAmendable, 0, 0);
        };
        // Risk waits for the end of the order whose place that one took.
        if self.working_order(order.replaces).is_some() {
            return refuse(DenialReason::OrderNotAmendable, 0, 0);
        }
        let (filled, bracket) = (order.filled, order.bracket);
        let Some(terms) = order.terms else { return refuse(DenialReason::OrderNotAmendable, 0, 0) };
        if quantity <= filled {
            let (limit, observed) = (i128::from(filled.0), i128::from(quantity.0));
            return Err(Denial { reason: DenialReason::AmendBelowFilled, limit, observed });
        }
        let successor = self.place(&NewOrder { quantity, stop_price, price, ..terms }, id)?;
        if let Some(order) = self.working_order_mut(successor) {
            order.bracket = bracket;
            // Risk takes off what is filled by its own books, and tells.
            order.quantity = Quantity(quantity.0.saturating_sub(filled.0));
        }
        if let Some(order) = self.working_order_mut(id) {
            order.is_replace_wanted = true;
        }
        Ok(successor)
    }

    /// Takes an order into the outbox.
    ///
    /// # Errors
    /// No room in the lists, or no id left.
    pub(super) fn place(&mut self, new: &NewOrder, replaces: ClientOrderId) -> Result<ClientOrderId, Denial> {
        for (length, capacity) in
            [(self.working.len(), self.working.capacity()), (self.outbox.len(), self.outbox.capacity())]
        {
            if length >= capacity {
                return refuse(DenialReason::OrderTableFull, capacity, length + 1);
            }
        }
        let client_order_id = self.next_id()?;
        self.outbox.push(Order {
            client_order_id,
            replaces,
            stop_price: new.stop_price,
            parent_quantity: new.parent_quantity,
            parent: new.parent,
            price: new.price,
            quantity: new.quantity,
            instrument: new.instrument,
            strategy: self.id,
            side: new.side,
            order_type: new.order_type,
            time_in_force: new.time_in_force,
            is_post_only: new.is_post_only,
            is_reduce_only: new.is_reduce_only,
        });
        self.working.push(WorkingOrder {
            client_order_id,
            replaces,
            bracket: ClientOrderId::NONE,
            instrument: new.instrument,
            side: new.side,
            order_type: new.order_type,
            price: new.price,
            stop_price: new.stop_price,
            quantity: new.quantity,
            filled: Quantity::ZERO,
            status: OrderStatus::Created,
            is_cancel_wanted: false,
            is_replace_wanted: false,
            terms: Some(*new),
            is_known: false,
            is_cancel_due: false,
            reason: DenialReason::None,
        });
        Ok(client_order_id)
    }

    /// An id that was never used: of an order, or of a bracket that has no entry.
    pub(super) fn next_id(&mut self) -> Result<ClientOrderId, Denial> {
        let Some(id) = ClientOrderId::new(self.epoch, self.id, self.sequence.saturating_add(1)) else {
            return refuse(DenialReason::OrderIdExhausted, 0, 0);
        };
        self.sequence += 1;
        Ok(id)
    }

    /// Marks an order to be canceled; whether there is such an order.
    pub(super) fn cancel(&mut self, id: ClientOrderId) -> bool {
        let Some(order) = self.working.iter_mut().find(|order| order.client_order_id == id) else { return false };
        self.has_cancels_due |= order.want_cancel();
        true
    }

    /// Marks all orders, or those of one instrument, to be canceled; exits of brackets stay.
    pub(super) fn cancel_all(&mut self, instrument: Option<InstrumentId>) {
        for order in &mut self.working {
            let is_own = order.bracket == ClientOrderId::NONE;
            if is_own && instrument.is_none_or(|instrument| order.instrument == instrument) {
                self.has_cancels_due |= order.want_cancel();
            }
        }
    }

    /// Sends the cancels that are due and whose orders risk knows; what `send` refuses stays due.
    pub(super) fn send_cancels(&mut self, decided_ns: Timestamp, mut send: impl FnMut(CancelIntent) -> bool) {
        self.has_cancels_due = false;
        for order in &mut self.working {
            if !order.is_cancel_due {
                continue;
            }
            let (client_order_id, instrument, strategy) = (order.client_order_id, order.instrument, self.id);
            let intent = CancelIntent { client_order_id, instrument, strategy, decided_ns };
            order.is_cancel_due = !(order.is_known && send(intent));
            self.has_cancels_due |= order.is_cancel_due;
        }
    }

    /// The handler that wanted them is not to be trusted: its orders never leave.
    pub(super) fn discard_outbox(&mut self) {
        while let Some(order) = self.outbox.pop() {
            self.working.retain(|working| working.client_order_id != order.client_order_id);
            self.resume(order.replaces);
            self.brackets.forget(order.client_order_id);
        }
    }

    /// The order that was to take its place never will.
    fn resume(&mut self, replaced: ClientOrderId) {
        if let Some(order) = self.working_order_mut(replaced) {
            order.is_replace_wanted = false;
        }
    }

    /// An order of the outbox could not be sent: it is to be told as denied.
    pub(super) fn deny(&mut self, id: ClientOrderId, reason: DenialReason) {
        if let Some(order) = self.working_order_mut(id) {
            order.status = OrderStatus::Denied;
            order.reason = reason;
            order.is_cancel_due = false;
            self.has_denials_due = true;
        }
    }

    /// The next order that the shard itself denied, as an update.
    pub(super) fn next_denial(&mut self, received_ns: Timestamp) -> Option<OrderUpdate> {
        let Some(order) = self.working.iter().find(|order| order.status == OrderStatus::Denied) else {
            self.has_denials_due = false;
            return None;
        };
        Some(OrderUpdate {
            position: self.holding(order.instrument).map(|holding| holding.position).unwrap_or_default(),
            client_order_id: order.client_order_id,
            price: order.price,
            stop_price: order.stop_price,
            quantity: order.quantity,
            filled: Quantity::ZERO,
            venue_filled: Quantity::ZERO,
            last_price: Price::ZERO,
            received_ns,
            instrument: order.instrument,
            code: 0,
            strategy: self.id,
            reason: order.reason,
            status: OrderStatus::Denied,
            side: order.side,
            order_type: order.order_type,
        })
    }

    /// Books an update: the order's state, the position, the tally, the brackets.
    pub(super) fn apply(&mut self, update: &OrderUpdate) {
        let instrument = update.instrument;
        if let Some(holding) = self.holdings.iter_mut().find(|holding| holding.instrument == instrument) {
            holding.position = update.position;
        }
        let id = update.client_order_id;
        let index = self.working.iter().position(|order| order.client_order_id == id);
        let before = index.and_then(|index| self.working.get(index)).map_or(Quantity::ZERO, |order| order.filled);
        self.tally.fills += u64::from(update.filled > before);
        match (index, update.status.is_terminal()) {
            (Some(index), true) => {
                let ended = self.working.remove(index);
                if matches!(update.status, OrderStatus::Denied | OrderStatus::Rejected) {
                    self.resume(ended.replaces);
                }
                let tally = &mut self.tally;
                match update.status {
                    OrderStatus::Filled => tally.orders_filled += 1,
                    OrderStatus::Denied => tally.denied += 1,
                    OrderStatus::Rejected => tally.rejected += 1,
                    _ => {}
                }
            }
            (Some(index), false) => {
                if let Some(order) = self.working.get_mut(index) {
                    let was_canceling = order.status == OrderStatus::PendingCancel;
                    let works = matches!(update.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled);
                    order.status = update.status;
                    order.quantity = update.quantity;
                    order.filled = update.filled;
                    order.is_known = true;
                    // The venue refused to cancel it: it may be asked again.
                    let is_refused = works && (was_canceling || update.code != 0);
                    order.is_cancel_wanted &= !is_refused || order.is_cancel_due;
                }
            }
            // Risk had said that it never left, but the venue knows it. Beyond the room for those it is not listed here;
            // risk has it.
            (None, false) if self.working.len() < self.working.capacity() => {
                self.working.push(WorkingOrder::of(update));
            }
            (None, _) => {}
        }
        self.brackets.apply(update);
    }

    /// Asks to be told when `at` has passed; whether there was room.
    pub(super) fn add_timer(&mut self, at: Timestamp) -> bool {
        if self.timers.len() >= Self::TIMERS_MAX {
            return false;
        }
        self.timers.push(at);
        self.next_timer = Some(self.next_timer.map_or(at, |next| next.min(at)));
        true
    }

    /// What it asked to be told of, in no order that means anything.
    pub(super) fn timers(&self) -> &[Timestamp] {
        &self.timers
    }

    /// How many ids of orders were given.
    pub(super) const fn ids_used(&self) -> u64 {
        self.sequence
    }

    /// Takes the earliest timer that has passed at `now`.
    pub(super) fn take_timer(&mut self, now: Timestamp) -> Option<Timestamp> {
        let due = self.next_timer.filter(|&at| at <= now)?;
        if let Some(index) = self.timers.iter().position(|&at| at == due) {
            self.timers.swap_remove(index);
        }
        self.next_timer = self.timers.iter().min().copied();
        Some(due)
    }

    /// Whether it has a position or an order in the instrument.
    pub(super) fn is_concerned(&self, instrument: InstrumentId) -> bool {
        self.holding(instrument).is_some_and(|holding| holding.position.quantity != Quantity::ZERO)
            || self.working.iter().any(|order| order.instrument == instrument)
    }
}

fn refuse<T>(reason: DenialReason, limit: usize, observed: usize) -> Result<T, Denial> {
    let wide = |count: usize| i128::try_from(count).unwrap_or(i128::MAX);
    Err(Denial { reason, limit: wide(limit), observed: wide(observed) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::transitions::{Next, OrderEvent, next};
    use proptest::prelude::*;

    const EVENTS: [OrderEvent; 14] = [
        OrderEvent::Sent,
        OrderEvent::Accepted,
        OrderEvent::PartialFill,
        OrderEvent::LastFill,
        OrderEvent::Filled,
        OrderEvent::Canceled,
        OrderEvent::Rejected,
        OrderEvent::Expired,
        OrderEvent::NotSent,
        OrderEvent::CancelRequested,
        OrderEvent::CancelRejected,
        OrderEvent::Unproven,
        OrderEvent::FoundWorking,
        OrderEvent::ReplaceRejected,
    ];

    /// An order as risk has it.
    struct Record {
        id: ClientOrderId,
        replaces: ClientOrderId,
        status: OrderStatus,
        is_dirty: bool,
    }

    impl Record {
        fn take(&mut self, event: OrderEvent) {
            let before = self.status;
            self.status = match next(before, event) {
                Next::Keep => before,
                Next::To(status) => status,
                Next::Resume => OrderStatus::Accepted,
            };
            self.is_dirty |= self.status != before;
        }
    }

    fn desk() -> Desk {
        let holding = Holding { instrument: InstrumentId(0), market: 0, series: None, position: Default::default() };
        let mut desk = Desk::new(StrategyId(0), String::new(), Money::ZERO, 1, vec![holding]);
        desk.state = InstanceState::Running;
        desk
    }

    proptest! {
        /// Whatever happens to orders at risk, and however late and conflated it is told: in the end the desk lists those
        /// that risk has open, and no others; and an order waits for its successor only while there is one.
        #[test]
        fn the_list_is_what_risk_has_open(
            steps in prop::collection::vec((0..8u8, 0..12usize, 0..EVENTS.len()), 1..200), is_told_late in any::<bool>(),
        ) {
            let mut desk = desk();
            let mut risk: Vec<Record> = Vec::new();
            let tell = |desk: &mut Desk, record: &mut Record| {
                record.is_dirty = false;
                desk.apply(&OrderUpdate {
                    client_order_id: record.id,
                    status: record.status,
                    quantity: Quantity(9),
                    ..OrderUpdate::default()
                });
            };
            for (kind, which, event) in steps {
                let which = risk.len().saturating_sub(1 + which);
                let id = risk.get(which).map_or(ClientOrderId::NONE, |record| record.id);
                let wanted = match kind {
                    0 => desk.submit(&NewOrder::limit(InstrumentId(0), Side::Buy, Quantity(9), Price(1))),
                    1 => desk.replace(id, Quantity(9), Price::ZERO, Price(2)),
                    2 => {
                        desk.cancel(id);
                        continue;
                    }
                    3 => {
                        if let Some(record) = risk.iter_mut().find(|record| record.is_dirty) {
                            tell(&mut desk, record);
                        }
                        continue;
                    }
                    _ => {
                        let Some(record) = risk.get_mut(which) else { continue };
                        record.take(EVENTS[event]);
                        let (status, replaces) = (record.status, record.replaces);
                        if matches!(status, OrderStatus::Rejected | OrderStatus::Denied)
                            && let Some(old) = risk.iter_mut().find(|record| record.id == replaces)
                        {
                            old.take(OrderEvent::ReplaceRejected);
                        }
                        if !is_told_late {
                            risk.iter_mut().filter(|record| record.is_dirty).for_each(|record| tell(&mut desk, record));
                        }
                        continue;
                    }
                };
                let Ok(id) = wanted else { continue };
                let replaces = desk.outbox.pop().map_or(ClientOrderId::NONE, |order| order.replaces);
                let mut record = Record { id, replaces, status: OrderStatus::Created, is_dirty: false };
                match risk.iter_mut().find(|record| record.id == replaces) {
                    Some(old) if matches!(old.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled) => {
                        old.take(OrderEvent::ReplaceRequested);
                    }
                    None => {}
                    Some(_) => (record.status, record.is_dirty) = (OrderStatus::Denied, true),
                }
                risk.push(record);
            }
            risk.iter_mut().filter(|record| record.is_dirty).for_each(|record| tell(&mut desk, record));
            let mut listed: Vec<_> = desk.working.iter().map(|order| order.client_order_id).collect();
            listed.sort_unstable();
            let open: Vec<_> = risk.iter().filter(|record| record.status.is_open()).map(|record| record.id).collect();
            prop_assert_eq!(listed, open);
            for order in desk.working.iter().filter(|order| order.is_replace_wanted) {
                let is_successor = |other: &&Record| other.replaces == order.client_order_id;
                let refused = |other: &Record| matches!(other.status, OrderStatus::Denied | OrderStatus::Rejected);
                prop_assert!(risk.iter().filter(is_successor).any(|other| !refused(other)), "{order:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_refused_here() {
        let mut desk = desk();
        let tell = |desk: &mut Desk, id, status, filled| {
            desk.apply(&OrderUpdate {
                client_order_id: id,
                status,
                quantity: Quantity(9),
                filled: Quantity(filled),
                ..OrderUpdate::default()
            });
        };
        let stop = NewOrder::stop_limit(InstrumentId(0), Side::Sell, Quantity(9), Price(50), Price(49));
        let id = desk.submit(&stop.day().part_of(7, Quantity(20))).expect("room");
        let replace = |desk: &mut Desk, id, quantity| desk.replace(id, Quantity(quantity), Price(40), Price(39));
        let reason = |refused: Result<ClientOrderId, Denial>| refused.expect_err("refused").reason;
        assert_eq!(reason(replace(&mut desk, ClientOrderId(5), 9)), DenialReason::OrderNotAmendable);
        assert_eq!(reason(replace(&mut desk, id, 9)), DenialReason::OrderNotAmendable, "risk has not spoken of it");
        tell(&mut desk, id, OrderStatus::PartiallyFilled, 4);
        assert_eq!(reason(replace(&mut desk, id, 4)), DenialReason::AmendBelowFilled);
        desk.outbox.clear();
        let next = replace(&mut desk, id, 12).expect("it works");
        let sent = desk.outbox[0];
        assert_eq!(
            (sent.replaces, sent.quantity, sent.stop_price, sent.price),
            (id, Quantity(12), Price(40), Price(39))
        );
        assert_eq!((sent.order_type, sent.time_in_force), (OrderType::StopLimit, TimeInForce::Day));
        assert_eq!((sent.parent, sent.parent_quantity), (7, Quantity(20)));
        assert_eq!(desk.working_order(next).map(|order| order.quantity), Some(Quantity(8)));
        assert_eq!(reason(replace(&mut desk, id, 12)), DenialReason::OrderNotAmendable, "one at a time");
        tell(&mut desk, next, OrderStatus::Accepted, 0);
        assert_eq!(reason(replace(&mut desk, next, 12)), DenialReason::OrderNotAmendable, "the first is not gone");
        tell(&mut desk, id, OrderStatus::Canceled, 4);
        assert_eq!(desk.working_order(next).map(|order| order.quantity), Some(Quantity(9)), "as risk tells");
        let last = replace(&mut desk, next, 12).expect("it works");
        tell(&mut desk, last, OrderStatus::Rejected, 0);
        assert!(desk.cancel(next));
        assert_eq!(reason(replace(&mut desk, next, 12)), DenialReason::OrderNotAmendable, "a cancel is wanted");
    }
}
