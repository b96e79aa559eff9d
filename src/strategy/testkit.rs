//! A test kit for strategies: the real shard on lanes in memory, and the test in the place of feed, risk and venue.

use super::runner::{Instance, InstanceSummary, Shard, ShardConfig, ShardLanes};
use super::saved::{Left, SavedState};
use super::{FieldError, Setup, Strategy};
use crate::metrics::{ShardCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender, lane};
use crate::pipeline::stage::Stage;
use crate::types::{
    AssetId, CancelIntent, ClientOrderId, DenialReason, DepthLevel, HistoryBar, Instrument, InstrumentId,
    InstrumentStatus, Instruments, Mark, MarketEvent, MarketMessage, Money, Notice, Order, OrderIntent, OrderStatus,
    OrderUpdate, PositionState, Price, Quantity, Quote, ShardCommand, Side, StrategyId, Symbol, Timestamp, Trade,
    VenueId,
};

/// How much room the lanes have.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// For orders.
    pub orders: usize,
    /// For cancels.
    pub cancels: usize,
    /// For marks.
    pub marks: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { orders: 256, cancels: 256, marks: 256 }
    }
}

/// A replace that the venue has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Replace {
    old: ClientOrderId,
    new: ClientOrderId,
    /// What the old order had filled when risk approved the new one. If that was nothing, the venue refuses once it is
    /// not any more; so both never fill.
    filled: Quantity,
}

/// A shard, and what stands around it. Prices are in hundredths, quantities in hundred-thousandths, of the instrument
/// BTCUSDT with id 0; every call polls the shard until it is idle.
pub struct Kit {
    /// The shard, to be looked at.
    pub shard: Shard,
    /// What it counted.
    pub counters: Shared<ShardCounters>,
    commands: Sender<ShardCommand>,
    updates: Sender<OrderUpdate>,
    market: Sender<MarketMessage>,
    orders: Receiver<OrderIntent>,
    cancels: Receiver<CancelIntent>,
    marks: Receiver<Mark>,
    notices: Receiver<Notice>,
    now: Timestamp,
    sent: Vec<OrderIntent>,
    wanted: Vec<CancelIntent>,
    open: Vec<OrderUpdate>,
    replaces: Vec<Replace>,
    /// Whether orders are taken as risk would take them.
    is_risk: bool,
    position: PositionState,
    bar_interval_ms: u64,
    epoch: u32,
    heartbeats: u64,
}

impl Kit {
    /// The instrument's id.
    pub const INSTRUMENT: InstrumentId = InstrumentId(0);
    /// The id of the only instance.
    pub const STRATEGY: StrategyId = StrategyId(0);

    /// One instance of a strategy, on bars of a second.
    ///
    /// # Panics
    /// Where the strategy refuses the parameters.
    #[must_use]
    pub fn of<S: Strategy>(params: &S::Params) -> Self {
        match Self::try_of::<S>(params) {
            Ok(kit) => kit,
            Err(error) => panic!("{error}"),
        }
    }

    /// One instance of a strategy, on bars of a second.
    ///
    /// # Errors
    /// What the strategy says of the parameters.
    pub fn try_of<S: Strategy>(params: &S::Params) -> Result<Self, FieldError> {
        Self::begun::<S>(params, None, 1)
    }

    fn begun<S: Strategy>(params: &S::Params, state: Option<&SavedState>, epoch: u32) -> Result<Self, FieldError> {
        let instruments = [btcusdt().1];
        let (capital, bar_interval_ms) = (Money(10_000 * 10i128.pow(18)), Some(1_000));
        let setup = Setup { strategy: Self::STRATEGY, instruments: &instruments, capital, bar_interval_ms };
        let mut strategy = S::new(params, &setup)?;
        if let Some(state) = state {
            strategy.resume(state)?;
        }
        let instance = Instance {
            id: Self::STRATEGY,
            name: S::METADATA.kind.to_owned(),
            strategy: Box::new(strategy),
            instruments: vec![Self::INSTRUMENT],
            bar_interval_ms,
            capital,
            is_quarantined: false,
        };
        let kit = Self::with_epoch(vec![instance], Room::default(), epoch);
        kit.map_err(|errors| FieldError::new("", format!("{errors:?}")))
    }

    /// The engine starts again: a new instance takes up what this one saved. What works at the venue still does, and is told.
    ///
    /// # Errors
    /// Where there is nothing saved, or the strategy refuses it.
    pub fn restarted<S: Strategy>(mut self, params: &S::Params) -> Result<Self, FieldError> {
        self.poll();
        let left = self.shard.leave().into_iter().next();
        let Some((_, Left::Saved(state))) = left else { return Err(FieldError::new("state", "nothing was saved")) };
        let mut kit = Self::begun::<S>(params, Some(&state), self.epoch + 1)?;
        (kit.now, kit.open, kit.replaces, kit.position) = (self.now, self.open, self.replaces, self.position);
        for update in kit.open.clone() {
            kit.update(OrderUpdate { position: kit.position, ..update });
        }
        Ok(kit)
    }

    /// Several instances, with this much room in the lanes.
    ///
    /// # Errors
    /// What the shard says of them.
    pub fn with(instances: Vec<Instance>, room: Room) -> Result<Self, Vec<FieldError>> {
        Self::with_epoch(instances, room, 1)
    }

    fn with_epoch(instances: Vec<Instance>, room: Room, epoch: u32) -> Result<Self, Vec<FieldError>> {
        let start = Timestamp::from_millis(1_000_000);
        let (commands, commands_in) = lane(16);
        let (updates, updates_in) = lane(256);
        let (market, market_in) = lane(1_024);
        let (orders_out, orders) = lane(room.orders);
        let (cancels_out, cancels) = lane(room.cancels);
        let (marks_out, marks) = lane(room.marks);
        let (notices_out, notices) = lane(1_024);
        let lanes = ShardLanes {
            commands: commands_in,
            updates: updates_in,
            market: vec![market_in],
            orders: orders_out,
            cancels: cancels_out,
            marks: marks_out,
            notices: notices_out,
        };
        let clock = Clock::virtual_at(start);
        let config = ShardConfig { name: "shard", epoch, handler_budget_ns: 1_000_000, clock };
        let counters = Shared::<ShardCounters>::default();
        let bar_interval_ms = instances.iter().filter_map(|instance| instance.bar_interval_ms).min().unwrap_or(1_000);
        let shard = Shard::new(config, &btcusdt().0, instances, lanes, counters.clone())?;
        Ok(Self {
            shard,
            counters,
            commands,
            updates,
            market,
            orders,
            cancels,
            marks,
            notices,
            now: start,
            sent: Vec::new(),
            wanted: Vec::new(),
            open: Vec::new(),
            replaces: Vec::new(),
            is_risk: true,
            position: PositionState::default(),
            bar_interval_ms,
            epoch,
            heartbeats: 0,
        })
    }

    /// Tells the closes of bars that end now, and that history is complete: strategies start.
    pub fn warm(&mut self, closes: &[i64]) {
        let length_ms = self.bar_interval_ms;
        for (back, &close) in (1u64..).zip(closes.iter().rev()).collect::<Vec<_>>().into_iter().rev() {
            let open_ns = Timestamp::from_millis(self.now.millis().saturating_sub(back * length_ms));
            let price = Price(close);
            let bar = HistoryBar { open: price, high: price, low: price, close: price, volume: Quantity(1), open_ns };
            self.event(MarketEvent::HistoryBar(bar));
        }
        self.event(MarketEvent::HistoryEnd);
    }

    /// A whole book and a quote, both of one level a side.
    pub fn book(&mut self, bid: i64, ask: i64) {
        let received_ns = self.now;
        self.event(MarketEvent::DepthSnapshot { update_id: 1, received_ns });
        for (side, price, is_last) in [(Side::Buy, bid, false), (Side::Sell, ask, true)] {
            let level = DepthLevel {
                price: Price(price),
                quantity: Quantity(100_000),
                update_id: 1,
                exchange_ns: self.now,
                received_ns,
            };
            self.event(MarketEvent::DepthLevel { side, is_last, level });
        }
        self.quote(bid, ask);
    }

    /// A quote.
    pub fn quote(&mut self, bid: i64, ask: i64) {
        let quantity = Quantity(100_000);
        self.event(MarketEvent::Quote(Quote {
            bid: Price(bid),
            bid_quantity: quantity,
            ask: Price(ask),
            ask_quantity: quantity,
            exchange_ns: Timestamp::UNKNOWN,
            received_ns: self.now,
        }));
    }

    /// A trade, now.
    pub fn trade(&mut self, aggressor: Side, price: i64, quantity: i64) {
        let trade = Trade {
            price: Price(price),
            quantity: Quantity(quantity),
            high: Price(price),
            low: Price(price),
            exchange_ns: self.now,
            received_ns: self.now,
        };
        self.event(MarketEvent::Trade { aggressor, count: 1, trade });
    }

    /// A bar of one trade at `close`, over: the market data goes on at the bar's end.
    pub fn bar(&mut self, close: i64) {
        self.trade(Side::Buy, close, 1);
        self.advance_ms(self.bar_interval_ms + 250);
        // A level that is not there is taken away: nothing but the venue's time passes.
        let level = DepthLevel {
            price: Price(1),
            update_id: 2,
            exchange_ns: self.now,
            received_ns: self.now,
            ..Default::default()
        };
        self.event(MarketEvent::DepthLevel { side: Side::Buy, is_last: true, level });
        let past = self.now.millis() % self.bar_interval_ms;
        self.advance_ms(self.bar_interval_ms - past);
    }

    /// The book is not in sync any more.
    pub fn depth_lost(&mut self) {
        let received_ns = self.now;
        self.event(MarketEvent::DepthLost { received_ns });
    }

    /// The time passes, and a cycle with it.
    pub fn advance_ms(&mut self, millis: u64) {
        self.now = self.now.plus(millis * 1_000_000);
        self.poll();
    }

    /// It is this instant, if that is later: what follows is received now.
    pub fn set_now(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// A message of the feed about the instrument.
    pub fn event(&mut self, event: MarketEvent) {
        self.message(MarketMessage { instrument: Self::INSTRUMENT, event });
    }

    /// A message of the feed.
    pub fn message(&mut self, message: MarketMessage) {
        if self.market.try_send(message).is_err() {
            panic!("the market lane of the kit is full");
        }
        self.poll();
    }

    /// An update of risk.
    pub fn update(&mut self, update: OrderUpdate) {
        if self.updates.try_send(update).is_err() {
            panic!("the update lane of the kit is full");
        }
        self.poll();
    }

    /// Every strategy is told to stop.
    pub fn stop(&mut self) {
        if self.commands.try_send(ShardCommand::StopAll).is_err() {
            panic!("the command lane of the kit is full");
        }
        self.poll();
    }

    /// Polls the shard until it is idle, without taking anything from its lanes.
    pub fn poll_only(&mut self) {
        while self.shard.poll(self.now) > 0 {}
    }

    fn poll(&mut self) {
        self.poll_only();
        let mut orders = Vec::new();
        let Self { sent, wanted, .. } = self;
        self.orders.drain(u64::MAX, |intent| {
            sent.push(*intent);
            orders.push(intent.order);
        });
        self.cancels.drain(u64::MAX, |intent| wanted.push(*intent));
        if self.is_risk {
            orders.iter().for_each(|order| self.approve(order));
        }
    }

    /// The same, what risk says of orders being left to the test: see [`Kit::update`].
    #[must_use]
    pub const fn without_risk(mut self) -> Self {
        self.is_risk = false;
        self
    }

    /// Takes an order as risk does: one that replaces must name an order that works, and is for what that leaves.
    fn approve(&mut self, order: &Order) {
        let mut update = update_of(order, self.position);
        if order.replaces != ClientOrderId::NONE {
            let old = self.open.iter().find(|open| open.client_order_id == order.replaces).copied();
            let works = |old: &OrderUpdate| matches!(old.status, OrderStatus::Accepted | OrderStatus::PartiallyFilled);
            let reason = match old.filter(works) {
                None => Some(DenialReason::OrderNotAmendable),
                Some(old) if order.quantity <= old.filled => Some(DenialReason::AmendBelowFilled),
                Some(old) => {
                    update.quantity.0 -= old.filled.0;
                    self.replaces.push(Replace { old: order.replaces, new: order.client_order_id, filled: old.filled });
                    None
                }
            };
            self.open.push(update);
            match reason {
                Some(reason) => self.denied(order.client_order_id, reason),
                None => self.tell(order.replaces, OrderStatus::PendingReplace, |_| {}),
            }
            return;
        }
        self.open.push(update);
    }

    /// The orders that were sent since the last call.
    pub fn take_orders(&mut self) -> Vec<OrderIntent> {
        self.poll();
        std::mem::take(&mut self.sent)
    }

    /// The cancels that were sent and not confirmed.
    pub fn cancels(&mut self) -> Vec<CancelIntent> {
        self.poll();
        self.wanted.clone()
    }

    /// The cancels that were sent since the last call, to be answered by [`Kit::update`].
    pub fn take_cancels(&mut self) -> Vec<CancelIntent> {
        self.poll();
        std::mem::take(&mut self.wanted)
    }

    /// The marks that were sent since the last call.
    pub fn take_marks(&mut self) -> Vec<Mark> {
        let mut marks = Vec::new();
        let heartbeats = &mut self.heartbeats;
        self.marks.drain(u64::MAX, |mark| match mark.instrument {
            InstrumentId::NONE => *heartbeats += 1,
            _ => marks.push(*mark),
        });
        marks
    }

    /// How many marks without an instrument were sent since the last call: the shard's heartbeats. Takes all marks.
    pub fn take_heartbeats(&mut self) -> u64 {
        self.take_marks();
        std::mem::take(&mut self.heartbeats)
    }

    /// The notices that were sent since the last call.
    pub fn take_notices(&mut self) -> Vec<Notice> {
        let mut notices = Vec::new();
        self.notices.drain(u64::MAX, |notice| notices.push(*notice));
        notices
    }

    /// The orders that are not terminal, as risk would have them.
    #[must_use]
    pub fn open_orders(&self) -> Vec<OrderUpdate> {
        self.open.clone()
    }

    /// The position, as risk would have it.
    #[must_use]
    pub fn position(&self) -> PositionState {
        self.position
    }

    /// How the instances fare.
    #[must_use]
    pub fn summary(&self) -> Vec<InstanceSummary> {
        self.shard.summary()
    }

    /// The venue accepts every order that it has not spoken of, replaces among them where it can.
    pub fn accept_all(&mut self) {
        let created = self.open.iter().filter(|order| order.status == OrderStatus::Created);
        for id in created.map(|order| order.client_order_id).collect::<Vec<_>>() {
            self.accepted(id);
        }
    }

    /// Whether the venue would accept an order: one that replaces only while the other is open, and where that had
    /// filled nothing when risk looked, still has not.
    #[must_use]
    pub fn is_acceptable(&self, id: ClientOrderId) -> bool {
        let Some(replace) = self.replaces.iter().find(|replace| replace.new == id) else { return true };
        let old = self.open.iter().find(|order| order.client_order_id == replace.old);
        old.is_some_and(|old| replace.filled > Quantity::ZERO || old.filled == Quantity::ZERO)
    }

    /// The venue accepts an order. One that replaces takes the place of the other, which is canceled; where that has
    /// ended, or has filled meanwhile, the venue refuses (-2022), and it works on as far as it does.
    pub fn accepted(&mut self, id: ClientOrderId) {
        if !self.is_acceptable(id) {
            return self.rejected(id, -2022);
        }
        if let Some(replace) = self.replaces.iter().find(|replace| replace.new == id).copied() {
            self.replaces.retain(|other| *other != replace);
            self.canceled(replace.old);
        }
        self.tell(id, OrderStatus::Accepted, |_| {});
    }

    /// An order fills by `quantity` at its price, or its stop price where it has none.
    pub fn filled(&mut self, id: ClientOrderId, quantity: Quantity) {
        let Some(order) = self.open.iter().find(|order| order.client_order_id == id).copied() else { return };
        self.position.quantity.0 += order.side.sign() * quantity.0;
        let is_whole = order.filled.0 + quantity.0 >= order.quantity.0;
        let is_pending = matches!(order.status, OrderStatus::PendingCancel | OrderStatus::PendingReplace);
        let status = match order.status {
            _ if is_whole => OrderStatus::Filled,
            status if is_pending => status,
            _ => OrderStatus::PartiallyFilled,
        };
        self.tell(id, status, |order| {
            order.filled.0 += quantity.0;
            order.venue_filled = order.filled;
            order.last_price = if order.price > Price::ZERO { order.price } else { order.stop_price };
        });
    }

    /// An order is canceled.
    pub fn canceled(&mut self, id: ClientOrderId) {
        self.wanted.retain(|intent| intent.client_order_id != id);
        self.tell(id, OrderStatus::Canceled, |_| {});
    }

    /// An order is canceled after a fill of `quantity` that is still on its way: see [`Kit::booked_late`].
    pub fn canceled_ahead_of_fill(&mut self, id: ClientOrderId, quantity: Quantity) -> Option<OrderUpdate> {
        let order = self.open.iter().find(|order| order.client_order_id == id).copied()?;
        self.wanted.retain(|intent| intent.client_order_id != id);
        self.tell(id, OrderStatus::Canceled, |order| order.venue_filled.0 += quantity.0);
        let venue_filled = Quantity(order.venue_filled.0 + quantity.0);
        Some(OrderUpdate { status: OrderStatus::Canceled, venue_filled, ..order })
    }

    /// The fill arrives that an ended order was missing.
    pub fn booked_late(&mut self, ended: OrderUpdate) {
        self.position.quantity.0 += ended.side.sign() * (ended.venue_filled.0 - ended.filled.0);
        let filled = ended.venue_filled;
        let status = if filled >= ended.quantity { OrderStatus::Filled } else { ended.status };
        self.update(OrderUpdate { filled, status, position: self.position, received_ns: self.now, ..ended });
    }

    /// The venue ends what is left of an order, as of one that was to fill at once.
    pub fn expired(&mut self, id: ClientOrderId) {
        self.tell(id, OrderStatus::Expired, |_| {});
    }

    /// The venue refuses to cancel an order.
    pub fn cancel_refused(&mut self, id: ClientOrderId) {
        self.wanted.retain(|intent| intent.client_order_id != id);
        self.resumed(id, -2011);
    }

    /// Every order whose cancel was sent is canceled, accepted before where it was not.
    pub fn confirm_cancels(&mut self) {
        self.accept_all();
        for intent in std::mem::take(&mut self.wanted) {
            self.canceled(intent.client_order_id);
        }
    }

    /// The venue refuses an order. One that it was to replace works as before.
    pub fn rejected(&mut self, id: ClientOrderId, code: i32) {
        self.refused(id, OrderStatus::Rejected, |order| order.code = code);
    }

    fn refused(&mut self, id: ClientOrderId, status: OrderStatus, change: impl FnOnce(&mut OrderUpdate)) {
        let replace = self.replaces.iter().find(|replace| replace.new == id).copied();
        self.replaces.retain(|replace| replace.new != id);
        self.tell(id, status, change);
        if let Some(replace) = replace {
            self.resumed(replace.old, 0);
        }
    }

    /// The fate of an order is not proven.
    pub fn unknown(&mut self, id: ClientOrderId) {
        self.tell(id, OrderStatus::Unknown, |_| {});
    }

    /// An order whose fate was not proven works.
    pub fn found_working(&mut self, id: ClientOrderId) {
        self.resumed(id, 0);
    }

    /// An order that was to be canceled or replaced works on.
    fn resumed(&mut self, id: ClientOrderId, code: i32) {
        let filled = self.open.iter().find(|order| order.client_order_id == id).map(|order| order.filled);
        let status = match filled {
            Some(filled) if filled > Quantity::ZERO => OrderStatus::PartiallyFilled,
            _ => OrderStatus::Accepted,
        };
        self.tell(id, status, |order| order.code = code);
    }

    /// Risk denies an order. One that it was to replace works as before.
    pub fn denied(&mut self, id: ClientOrderId, reason: DenialReason) {
        self.refused(id, OrderStatus::Denied, |order| order.reason = reason);
    }

    fn tell(&mut self, id: ClientOrderId, status: OrderStatus, change: impl FnOnce(&mut OrderUpdate)) {
        let Some(index) = self.open.iter().position(|order| order.client_order_id == id) else { return };
        let mut update = self.open.remove(index);
        change(&mut update);
        update.status = status;
        update.received_ns = self.now;
        update.position = self.position;
        if !status.is_terminal() {
            self.open.insert(index, update);
        }
        self.update(update);
    }
}

/// An order as risk tells of it first.
fn update_of(order: &Order, position: PositionState) -> OrderUpdate {
    OrderUpdate {
        position,
        client_order_id: order.client_order_id,
        price: order.price,
        stop_price: order.stop_price,
        quantity: order.quantity,
        instrument: order.instrument,
        strategy: order.strategy,
        side: order.side,
        order_type: order.order_type,
        ..OrderUpdate::default()
    }
}

/// The instrument of the kit, alone and in its table, with a second one behind it.
///
/// # Panics
/// Never: both are valid.
#[must_use]
pub fn btcusdt() -> (Instruments, Instrument) {
    let mut instruments = Instruments::new();
    let symbol = |text| Symbol::new(text).unwrap_or_else(|| panic!("{text} is a symbol"));
    for asset in ["BTC", "USDT"] {
        let _ = instruments.intern_asset(symbol(asset));
    }
    let spec = Instrument {
        id: InstrumentId::NONE,
        venue: VenueId(0),
        symbol: symbol("BTCUSDT"),
        base: AssetId(0),
        quote: AssetId(1),
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
    };
    for name in ["BTCUSDT", "BTCFUSDT"] {
        if let Err(reason) = instruments.add(Instrument { symbol: symbol(name), ..spec }) {
            panic!("{name}: {reason}");
        }
    }
    let first = Instrument { id: InstrumentId(0), ..spec };
    (instruments, first)
}
