//! Brackets: a stop loss and a take profit tied to an entry, of which one cancels the other.
//!
//! A bracket is held by the desk, not by the strategy's code, so that it works on while the strategy is paused or in
//! error. What the entry has filled is protected by one reduce-only stop that rests at the venue and grows, by replace,
//! with each fill of the entry. The take profit rests nowhere: when the market reaches it, the stop is canceled, and
//! only when the venue has confirmed that does the exit go out. So at most one order can close the position at any
//! time, and all exits together never fill more than the entry did.
//!
//! What is to be done next is decided from the state alone (`ArmedBracket::decide`), anew after each update, quote
//! and passed deadline: there is no step that a lost or a late report could leave half done. An order that is refused
//! is tried again after a wait that doubles; people are told that there is no protection, and when there is again.

use super::desk::{Desk, NewOrder, WorkingOrder};
use super::market::Markets;
use super::runner::Notices;
use crate::types::{
    ClientOrderId, Denial, DenialReason, Instrument, InstrumentId, Notice, NoticeCode, OrderStatus, OrderUpdate, Price,
    Quantity, Quote, Side, Timestamp,
};

/// Where a position is closed, at a loss or with a profit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bracket {
    /// What triggers the stop; zero where there is none.
    stop_price: Price,
    /// The limit of the stop; zero where it becomes a market order.
    stop_limit: Price,
    /// Where the profit is taken; zero where it is not.
    take_profit: Price,
    falls_back: bool,
}

impl Bracket {
    /// Nothing yet: a stop loss, a take profit or both are to be added.
    #[must_use]
    pub const fn new() -> Self {
        Self { stop_price: Price::ZERO, stop_limit: Price::ZERO, take_profit: Price::ZERO, falls_back: false }
    }

    /// The same with a stop: a market order once the market trades at `price` or beyond.
    #[must_use]
    pub const fn stop_loss(mut self, price: Price) -> Self {
        self.stop_price = price;
        self
    }

    /// The same, the stop being a limit order at `price` once it is triggered: it gives away no more than that, but may
    /// not fill at all.
    #[must_use]
    pub const fn stop_limit(mut self, price: Price) -> Self {
        self.stop_limit = price;
        self
    }

    /// The same with a limit order at `price` once the market (the bid for a long position, the ask for a short one) is
    /// there.
    #[must_use]
    pub const fn take_profit(mut self, price: Price) -> Self {
        self.take_profit = price;
        self
    }

    /// The same, closing the position at market where the stop is refused [`ArmedBracket::TRIES_QUICK`] times. Without,
    /// it is tried again for as long as [`ArmedBracket::TRIES_MAX`] allow, the position being unprotected.
    #[must_use]
    pub const fn or_market(mut self) -> Self {
        self.falls_back = true;
        self
    }

    /// Whether it makes sense for a position that an order of this side opens, at about this price (zero: not known).
    fn fits(&self, side: Side, price: Price) -> bool {
        // Seen from a long position; of a short one everything is the other way around.
        let above = |high: Price, low: Price| match side {
            _ if high == Price::ZERO || low == Price::ZERO => true,
            Side::Buy => high > low,
            Side::Sell => high < low,
        };
        let has_stop = self.stop_price > Price::ZERO;
        let prices = [self.stop_price, self.stop_limit, self.take_profit];
        prices.iter().all(|&price| price >= Price::ZERO)
            && (has_stop || self.take_profit > Price::ZERO)
            && (has_stop || self.stop_limit == Price::ZERO)
            && above(self.take_profit, self.stop_price)
            && above(self.take_profit, price)
            && above(price, self.stop_price)
    }
}

/// What an order is to its bracket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// Opens the position.
    Entry,
    /// Rests at the venue and closes it at a loss.
    Stop,
    /// Closes it now.
    Exit,
}

/// One order of a bracket.
#[derive(Clone, Copy, Debug)]
struct Leg {
    id: ClientOrderId,
    replaces: ClientOrderId,
    role: Role,
    quantity: i64,
    /// What was booked.
    filled: i64,
    /// What counts in the bracket's sum.
    counted: i64,
    is_open: bool,
    /// No fill of it is on its way any more.
    is_settled: bool,
    /// The bracket itself wanted it to end.
    is_end_wanted: bool,
}

impl Leg {
    fn new(order: &WorkingOrder, role: Role) -> Self {
        Self {
            id: order.client_order_id,
            replaces: order.replaces,
            role,
            quantity: order.quantity.0,
            filled: 0,
            counted: 0,
            is_open: true,
            is_settled: false,
            is_end_wanted: false,
        }
    }

    const fn leaves(&self) -> i64 {
        self.quantity.saturating_sub(self.filled)
    }
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Nothing, until something happens.
    Wait,
    /// Send an order.
    Place(NewOrder, Role),
    /// Let the stop be for this quantity, with the prices that are wanted now.
    Replace(ClientOrderId, Quantity),
    /// Cancel an order.
    Cancel(ClientOrderId),
    /// The stop cannot rest, as the market is through it already: what it would have become is sent.
    Close,
    /// It is over.
    End(&'static str),
}

/// What a decision looks at besides the bracket itself.
struct World<'a> {
    rules: &'a Instrument,
    quote: &'a Quote,
    /// What of the position, in the bracket's direction, no earlier bracket is there for.
    held: i64,
    working: &'a [WorkingOrder],
    now: Timestamp,
}

impl World<'_> {
    fn order(&self, id: ClientOrderId) -> Option<&WorkingOrder> {
        self.working.iter().find(|order| order.client_order_id == id)
    }
}

/// A bracket at work.
#[derive(Clone, Debug)]
pub struct ArmedBracket {
    id: ClientOrderId,
    instrument: InstrumentId,
    /// The side of the entry.
    side: Side,
    bracket: Bracket,
    legs: [Option<Leg>; Self::LEGS_MAX],
    /// What the entry filled, as far as it is booked.
    entered: i64,
    /// What the exits filled; of those that ended, as the venue counts, so that a fill on its way is not closed twice.
    exited: i64,
    /// The position is to be closed now: at market, or where the stop has a limit and was passed, at that.
    closing: Option<Price>,
    /// Why it is to end though something is open.
    ending: Option<&'static str>,
    failures: u32,
    failed_ns: Timestamp,
    /// When a refused stop or exit is tried again.
    retry_ns: Timestamp,
    /// When the profit may be taken again after an exit that did not fill whole.
    take_ns: Timestamp,
    takes_in_vain: u32,
    is_stop_rejected: bool,
    is_replace_refused: bool,
    /// How many failures there were when people were told last that there is no protection.
    told: Option<u32>,
}

impl ArmedBracket {
    /// How often a refused stop is tried again quickly, within two seconds.
    pub const TRIES_QUICK: u32 = 5;
    /// How often a refused stop is tried before the bracket ends: for more than an hour.
    pub const TRIES_MAX: u32 = 1_000;
    /// The most orders of one bracket that are remembered, open ones and those that ended last.
    const LEGS_MAX: usize = 8;
    const WAIT_MIN_NS: u64 = 100_000_000;
    const WAIT_MAX_NS: u64 = 5_000_000_000;
    const TAKE_WAIT_MIN_NS: u64 = 1_000_000_000;
    const TAKE_WAIT_MAX_NS: u64 = 60_000_000_000;
    /// Failures further apart than this have nothing to do with each other.
    const FORGOTTEN_NS: u64 = 60_000_000_000;

    fn new(id: ClientOrderId, instrument: InstrumentId, side: Side, bracket: Bracket) -> Self {
        Self {
            id,
            instrument,
            side,
            bracket,
            legs: [None; Self::LEGS_MAX],
            entered: 0,
            exited: 0,
            closing: None,
            ending: None,
            failures: 0,
            failed_ns: Timestamp::UNKNOWN,
            retry_ns: Timestamp::UNKNOWN,
            take_ns: Timestamp::UNKNOWN,
            takes_in_vain: 0,
            is_stop_rejected: false,
            is_replace_refused: false,
            told: None,
        }
    }

    /// Its id: that of its entry.
    #[must_use]
    pub const fn id(&self) -> ClientOrderId {
        self.id
    }

    /// In what.
    #[must_use]
    pub const fn instrument(&self) -> InstrumentId {
        self.instrument
    }

    /// Where it closes the position.
    #[must_use]
    pub const fn bracket(&self) -> Bracket {
        self.bracket
    }

    /// What the entry filled.
    #[must_use]
    pub const fn entered(&self) -> Quantity {
        Quantity(self.entered)
    }

    /// What the exits filled.
    #[must_use]
    pub const fn exited(&self) -> Quantity {
        Quantity(self.exited)
    }

    fn leg(&self, id: ClientOrderId) -> Option<&Leg> {
        self.legs.iter().flatten().find(|leg| leg.id == id)
    }

    fn leg_mut(&mut self, id: ClientOrderId) -> Option<&mut Leg> {
        self.legs.iter_mut().flatten().find(|leg| leg.id == id)
    }

    /// Where a new order of it can be remembered: an empty place, or that of the oldest order that ended.
    fn free_place(&self) -> Option<usize> {
        let ended = |leg: &Option<Leg>| leg.is_some_and(|leg| !leg.is_open && leg.is_settled);
        let id_at = |index: &usize| self.legs.get(*index).copied().flatten().map(|leg| leg.id);
        let empty = self.legs.iter().position(Option::is_none);
        empty
            .or_else(|| (0..self.legs.len()).filter(|&index| self.legs.get(index).is_some_and(ended)).min_by_key(id_at))
    }

    fn add(&mut self, leg: Leg) {
        if let Some(place) = self.free_place().and_then(|place| self.legs.get_mut(place)) {
            *place = Some(leg);
        }
    }

    /// Takes an update of one of its orders.
    fn apply(&mut self, update: &OrderUpdate) {
        let Some(leg) = self.leg_mut(update.client_order_id) else { return };
        let was_open = leg.is_open;
        leg.is_open = update.status.is_open();
        leg.quantity = update.quantity.0;
        leg.filled = update.filled.0;
        leg.is_settled = !leg.is_open && update.filled >= update.venue_filled;
        let counts = match leg.role {
            Role::Entry => update.filled,
            // Of an exit that ended, what it filled is certain, though it may not be booked yet.
            _ if leg.is_open => update.filled,
            _ => update.filled.max(update.venue_filled),
        };
        let more = counts.0.saturating_sub(leg.counted).max(0);
        leg.counted = leg.counted.saturating_add(more);
        let leg = *leg;
        match leg.role {
            Role::Entry => self.entered = self.entered.saturating_add(more),
            Role::Stop | Role::Exit => self.exited = self.exited.saturating_add(more),
        }
        if was_open && !leg.is_open && leg.role != Role::Entry {
            self.on_exit_ended(&leg, update);
        }
    }

    /// An exit is over: whether that was meant, and what follows where it was not.
    fn on_exit_ended(&mut self, leg: &Leg, update: &OrderUpdate) {
        let is_refused = matches!(update.status, OrderStatus::Denied | OrderStatus::Rejected);
        if is_refused && let Some(replaced) = self.leg_mut(leg.replaces) {
            replaced.is_end_wanted = false;
        }
        if is_kill(update.reason) {
            self.ending = Some("killed");
        } else if matches!(update.reason, DenialReason::OrderNotAmendable | DenialReason::AmendBelowFilled) {
            // The order that was to be replaced has changed meanwhile: its update says how, or will.
            self.retry_ns = update.received_ns.plus(Self::WAIT_MIN_NS);
        } else if is_refused {
            self.is_replace_refused = leg.replaces != ClientOrderId::NONE;
            self.is_stop_rejected = leg.role == Role::Stop && update.status == OrderStatus::Rejected;
            self.fail(update.received_ns);
        } else if update.status != OrderStatus::Filled && !leg.is_end_wanted {
            match leg.role {
                // Canceled by somebody else, or by the venue.
                Role::Entry | Role::Stop => self.fail(update.received_ns),
                // There was too little to trade with.
                Role::Exit if self.closing.is_some() => self.retry_ns = update.received_ns.plus(Self::WAIT_MIN_NS),
                Role::Exit => {}
            }
        }
        if leg.role == Role::Exit && update.status != OrderStatus::Filled {
            let wait_ns = (Self::TAKE_WAIT_MIN_NS << self.takes_in_vain.min(6)).min(Self::TAKE_WAIT_MAX_NS);
            self.takes_in_vain = self.takes_in_vain.saturating_add(1);
            self.take_ns = update.received_ns.plus(wait_ns);
        }
    }

    fn fail(&mut self, now: Timestamp) {
        if now.since(self.failed_ns) > Self::FORGOTTEN_NS {
            self.failures = 0;
        }
        let wait_ns = (Self::WAIT_MIN_NS << self.failures.min(6)).min(Self::WAIT_MAX_NS);
        self.failures = self.failures.saturating_add(1);
        self.failed_ns = now;
        self.retry_ns = now.plus(wait_ns);
        if self.failures >= Self::TRIES_QUICK && self.bracket.falls_back {
            self.closing = Some(Price::ZERO);
        }
        if self.failures >= Self::TRIES_MAX {
            self.ending = Some("refused too often");
        }
    }

    /// What is still to be closed, in whole lots: what the entry filled and no exit did, as far as the position is there.
    fn due(&self, world: &World) -> i64 {
        let open = self.entered.saturating_sub(self.exited).min(world.held).max(0);
        world.rules.floor_to_lot(Quantity(open)).0
    }

    /// Whether the profit can be taken now.
    fn is_taken(&self, world: &World) -> bool {
        let (target, quote) = (self.bracket.take_profit, world.quote);
        target > Price::ZERO
            && world.now >= self.take_ns
            && quote.is_two_sided()
            && match self.side {
                Side::Buy => quote.bid >= target,
                Side::Sell => quote.ask <= target,
            }
    }

    /// Whether the market is where the stop would be triggered.
    fn is_stopped(&self, quote: &Quote) -> bool {
        quote.is_two_sided()
            && match self.side {
                Side::Buy => quote.bid <= self.bracket.stop_price,
                Side::Sell => quote.ask >= self.bracket.stop_price,
            }
    }

    /// Whether the venue would take an order of this size.
    fn is_large_enough(&self, due: i64, rules: &Instrument) -> bool {
        let stop = self.bracket.stop_price;
        let price = if stop > Price::ZERO { stop } else { self.bracket.take_profit };
        let is_worth_it = rules.notional(price, Quantity(due)).is_some_and(|notional| notional >= rules.notional_min);
        due >= rules.quantity_min.0 && is_worth_it
    }

    /// The order that closes `due` of the position at `price` (zero: at market).
    fn exit(&self, due: i64, price: Price) -> NewOrder {
        let (side, quantity) = (self.side.opposite(), Quantity(due));
        let order = match price {
            Price::ZERO => NewOrder::market(self.instrument, side, quantity),
            price => NewOrder::limit(self.instrument, side, quantity, price),
        };
        order.reduce_only()
    }

    fn stop(&self, due: i64) -> NewOrder {
        let (side, quantity, stop_price) = (self.side.opposite(), Quantity(due), self.bracket.stop_price);
        let order = match self.bracket.stop_limit {
            Price::ZERO => NewOrder::stop(self.instrument, side, quantity, stop_price),
            price => NewOrder::stop_limit(self.instrument, side, quantity, stop_price, price),
        };
        order.reduce_only()
    }

    /// What is to be done next.
    fn decide(&self, world: &World) -> Step {
        if let Some(why) = self.ending {
            return Step::End(why);
        }
        let due = self.due(world);
        let is_leaving = self.closing.is_some() || self.is_taken(world);
        let open = || self.legs.iter().flatten().filter(|leg| leg.is_open);
        // What is being closed is not to grow.
        if (is_leaving || self.exited > 0)
            && let Some(entry) = open().find(|leg| leg.role == Role::Entry && is_cancelable(leg, world))
        {
            return Step::Cancel(entry.id);
        }
        let mut exits = open().filter(|leg| leg.role != Role::Entry);
        match (exits.next(), exits.next()) {
            (None, _) => self.arm(due, world),
            (Some(only), None) => self.adjust(only, due, is_leaving, world),
            (Some(one), Some(other)) => {
                let newest = if one.id > other.id { one } else { other };
                let is_replacing =
                    [one, other].iter().any(|leg| world.order(leg.id).is_some_and(|order| order.is_replace_wanted));
                // Two where none takes the other's place: risk had ended one, and the venue knows it after all.
                let surplus = match (is_leaving || due == 0, is_replacing) {
                    (true, _) => [Some(one), Some(other)],
                    (false, true) => [None, None],
                    (false, false) => [Some(newest), None],
                };
                let surplus = surplus.into_iter().flatten().find(|leg| is_cancelable(leg, world));
                surplus.map_or(Step::Wait, |leg| Step::Cancel(leg.id))
            }
        }
    }

    /// No exit is open: what is to be sent.
    fn arm(&self, due: i64, world: &World) -> Step {
        let has_entry = self.legs.iter().flatten().any(|leg| leg.role == Role::Entry && !leg.is_settled);
        if due == 0 || !self.is_large_enough(due, world.rules) {
            return match (has_entry, due) {
                (true, _) => Step::Wait,
                (false, 0) => Step::End("closed"),
                (false, _) => Step::End("below the venue's smallest order"),
            };
        }
        let can_send = world.now >= self.retry_ns;
        match self.closing {
            Some(price) if can_send => Step::Place(self.exit(due, price), Role::Exit),
            Some(_) => Step::Wait,
            None if self.is_taken(world) => {
                Step::Place(self.exit(due, self.bracket.take_profit).immediate_or_cancel(), Role::Exit)
            }
            None if self.bracket.stop_price == Price::ZERO => Step::Wait,
            None if self.is_stop_rejected && self.is_stopped(world.quote) => Step::Close,
            None if can_send => Step::Place(self.stop(due), Role::Stop),
            None => Step::Wait,
        }
    }

    /// One exit is open: whether it is the right one.
    fn adjust(&self, leg: &Leg, due: i64, is_leaving: bool, world: &World) -> Step {
        let Some(order) = world.order(leg.id) else { return Step::Wait };
        let cancel = if is_cancelable(leg, world) { Step::Cancel(leg.id) } else { Step::Wait };
        if leg.role == Role::Exit {
            // It ends by itself; never may it fill more than there is.
            return if leg.leaves() > due { cancel } else { Step::Wait };
        }
        if is_leaving || due == 0 || self.bracket.stop_price == Price::ZERO {
            return cancel;
        }
        let wanted = self.stop(due);
        let is_right = leg.leaves() == due && order.stop_price == wanted.stop_price && order.price == wanted.price;
        if is_right || !order.is_replaceable() {
            return Step::Wait;
        }
        // With a fill it was triggered: it closes the position already, as far as it goes.
        if leg.filled > 0 || !self.is_large_enough(due, world.rules) {
            return if leg.leaves() > due { cancel } else { Step::Wait };
        }
        let is_other_kind = order.order_type != wanted.order_type;
        match is_other_kind || self.is_replace_refused {
            _ if world.now < self.retry_ns => Step::Wait,
            true => cancel,
            false => Step::Replace(leg.id, Quantity(due)),
        }
    }

    /// Whether it has something to protect by a stop, and none is open.
    fn is_unprotected(&self, due: i64) -> bool {
        let has_exit = self.legs.iter().flatten().any(|leg| leg.is_open && leg.role != Role::Entry);
        due > 0 && self.bracket.stop_price > Price::ZERO && !has_exit
    }

    /// When it wants to look again though nothing happens.
    fn wake_ns(&self, now: Timestamp) -> Option<Timestamp> {
        [self.retry_ns, self.take_ns].into_iter().filter(|&at| at > now).min()
    }
}

fn is_cancelable(leg: &Leg, world: &World) -> bool {
    world.order(leg.id).is_some_and(|order| !order.is_cancel_wanted)
}

/// Whether risk denied because of a kill: nothing is to be sent any more.
const fn is_kill(reason: DenialReason) -> bool {
    matches!(
        reason,
        DenialReason::KillSwitchActive
            | DenialReason::KilledStrategy
            | DenialReason::KilledInstrument
            | DenialReason::KilledVenue
            | DenialReason::KilledAccount
            | DenialReason::Halted
    )
}

/// The brackets of an instance, oldest first.
#[derive(Debug)]
pub(super) struct Brackets {
    list: Vec<ArmedBracket>,
    /// When one of them wants to look again.
    pub(super) wake_ns: Option<Timestamp>,
}

impl Brackets {
    /// The most brackets of an instance; the next is denied (`ORDER_TABLE_FULL`).
    pub(super) const MAX: usize = 16;

    pub(super) fn new() -> Self {
        Self { list: Vec::with_capacity(Self::MAX), wake_ns: None }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ArmedBracket> {
        self.list.iter()
    }

    fn find(&mut self, id: ClientOrderId) -> Option<&mut ArmedBracket> {
        self.list.iter_mut().find(|armed| armed.id == id)
    }

    fn owner(&mut self, order: ClientOrderId) -> Option<&mut ArmedBracket> {
        self.list.iter_mut().find(|armed| armed.leg(order).is_some())
    }

    /// Takes an update of any order.
    pub(super) fn apply(&mut self, update: &OrderUpdate) {
        if let Some(armed) = self.owner(update.client_order_id) {
            armed.apply(update);
        }
    }

    /// The bracket that `order` is an entry of, if it is one's; refused where that cannot remember another.
    pub(super) fn room_for_entry(&mut self, order: ClientOrderId) -> Result<Option<ClientOrderId>, Denial> {
        let Some(armed) = self.owner(order) else { return Ok(None) };
        match armed.free_place() {
            Some(_) => Ok(Some(armed.id)),
            None => Err(table_full(ArmedBracket::LEGS_MAX)),
        }
    }

    /// Another order takes the place of the entry.
    pub(super) fn follow(&mut self, entry_of: Option<ClientOrderId>, successor: &WorkingOrder) {
        if let Some(armed) = entry_of.and_then(|id| self.find(id)) {
            armed.add(Leg::new(successor, Role::Entry));
        }
    }

    /// The order never left: a bracket of which it is the entry never was.
    pub(super) fn forget(&mut self, order: ClientOrderId) {
        self.list.retain(|armed| armed.id != order);
        if let Some(armed) = self.owner(order) {
            for leg in armed.legs.iter_mut().filter(|leg| leg.is_some_and(|leg| leg.id == order)) {
                *leg = None;
            }
        }
    }
}

fn table_full(limit: usize) -> Denial {
    let limit = i128::try_from(limit).unwrap_or(i128::MAX);
    Denial { reason: DenialReason::OrderTableFull, limit, observed: limit.saturating_add(1) }
}

const BAD_ORDER: Denial = Denial { reason: DenialReason::BadOrder, limit: 0, observed: 0 };

impl Desk {
    /// Wants an entry that is protected as it fills.
    pub(super) fn bracket(&mut self, entry: &NewOrder, bracket: Bracket) -> Result<ClientOrderId, Denial> {
        let price = if entry.price > Price::ZERO { entry.price } else { entry.stop_price };
        if entry.is_reduce_only || !bracket.fits(entry.side, price) {
            return Err(BAD_ORDER);
        }
        if self.brackets.list.len() >= Brackets::MAX {
            return Err(table_full(Brackets::MAX));
        }
        let id = self.submit(entry)?;
        let mut armed = ArmedBracket::new(id, entry.instrument, entry.side, bracket);
        if let Some(order) = self.working_order(id) {
            armed.add(Leg::new(order, Role::Entry));
        }
        self.brackets.list.push(armed);
        Ok(id)
    }

    /// Wants protected what of the position no bracket protects yet.
    pub(super) fn protect(&mut self, instrument: InstrumentId, bracket: Bracket) -> Result<ClientOrderId, Denial> {
        self.check_room(instrument)?;
        let position = self.holding(instrument).map_or(0, |holding| holding.position.quantity.0);
        let side = if position < 0 { Side::Sell } else { Side::Buy };
        let ours = self.brackets.iter().filter(|armed| (armed.instrument, armed.side) == (instrument, side));
        let protected = ours.map(|armed| armed.entered.saturating_sub(armed.exited)).fold(0, i64::saturating_add);
        let entered = position.saturating_abs().saturating_sub(protected);
        if entered <= 0 || !bracket.fits(side, Price::ZERO) {
            return Err(BAD_ORDER);
        }
        if self.brackets.list.len() >= Brackets::MAX {
            return Err(table_full(Brackets::MAX));
        }
        let id = self.next_id()?;
        self.brackets.list.push(ArmedBracket { entered, ..ArmedBracket::new(id, instrument, side, bracket) });
        Ok(id)
    }

    /// Wants a bracket to close elsewhere from now on.
    pub(super) fn amend_bracket(&mut self, id: ClientOrderId, bracket: Bracket) -> Result<(), Denial> {
        let Some(armed) = self.brackets.find(id).filter(|armed| armed.closing.is_none()) else {
            return Err(Denial { reason: DenialReason::OrderNotAmendable, ..BAD_ORDER });
        };
        if !bracket.fits(armed.side, Price::ZERO) {
            return Err(BAD_ORDER);
        }
        armed.bracket = bracket;
        armed.is_stop_rejected = false;
        Ok(())
    }

    /// Wants a bracket to be no more: its exits are canceled, and its entry; what it filled is the strategy's own to close.
    pub(super) fn cancel_bracket(&mut self, id: ClientOrderId) -> bool {
        let Some(armed) = self.brackets.find(id) else { return false };
        armed.ending = Some("canceled by its strategy");
        true
    }

    /// Ends all brackets, as the instance stops.
    pub(super) fn stop_brackets(&mut self) {
        for armed in &mut self.brackets.list {
            armed.ending = Some("stopped");
        }
    }

    /// Does for each bracket what is to be done now.
    pub(super) fn tend_brackets(&mut self, markets: &Markets, now: Timestamp, notices: &mut Notices) {
        let mut wake_ns = None;
        let mut index = 0;
        while let Some(armed) = self.brackets.list.get(index) {
            let (instrument, id) = (armed.instrument, armed.id);
            let market = self.holding(instrument).and_then(|holding| markets.list.get(holding.market));
            let Some(market) = market else {
                index += 1;
                continue;
            };
            let mut is_over = false;
            // Each step changes what the next decision sees; there are at most a cancel for each order, and one to send.
            for _ in 0..=ArmedBracket::LEGS_MAX {
                let held = self.held_for(index, &market.instrument);
                let Some(armed) = self.brackets.list.get(index) else { break };
                let quote = market.top.quote();
                let world = World { rules: &market.instrument, quote, held, working: &self.working, now };
                let (step, due) = (armed.decide(&world), armed.due(&world));
                is_over = self.take_step(index, step, due, now, notices);
                if is_over || step == Step::Wait {
                    break;
                }
            }
            if is_over {
                self.brackets.list.remove(index);
                continue;
            }
            if let Some(armed) = self.brackets.find(id) {
                wake_ns = [wake_ns, armed.wake_ns(now)].into_iter().flatten().min();
            }
            index += 1;
        }
        self.brackets.wake_ns = wake_ns;
    }

    /// What of the position is there for the bracket at `index`, after those before it.
    fn held_for(&self, index: usize, rules: &Instrument) -> i64 {
        let Some(armed) = self.brackets.list.get(index) else { return 0 };
        let position = self.holding(rules.id).map_or(0, |holding| holding.position.quantity.0);
        let mut held = position.saturating_mul(armed.side.sign()).max(0);
        for earlier in self.brackets.list.iter().take(index) {
            if (earlier.instrument, earlier.side) == (armed.instrument, armed.side) {
                let claimed = earlier.entered.saturating_sub(earlier.exited).clamp(0, held);
                held = held.saturating_sub(claimed);
            }
        }
        held
    }

    /// Takes one step; whether the bracket is over with it.
    fn take_step(&mut self, index: usize, step: Step, due: i64, now: Timestamp, notices: &mut Notices) -> bool {
        let has_room = self.brackets.list.get(index).is_some_and(|armed| armed.free_place().is_some());
        match step {
            Step::Wait => self.tell_protection(index, due, now, notices),
            Step::Place(..) | Step::Replace(..) if !has_room => self.on_step_refused(index, now),
            Step::Place(order, role) => match self.place(&order, ClientOrderId::NONE) {
                Ok(id) => self.add_leg(index, id, role),
                Err(_) => self.on_step_refused(index, now),
            },
            Step::Replace(id, quantity) => {
                let Some(wanted) = self.brackets.list.get(index).map(|armed| armed.stop(quantity.0)) else {
                    return false;
                };
                match self.take_place(id, quantity, wanted.stop_price, wanted.price) {
                    Ok(successor) => {
                        self.expect_end(index, id);
                        self.add_leg(index, successor, Role::Stop);
                    }
                    Err(_) => self.on_step_refused(index, now),
                }
            }
            Step::Cancel(id) => {
                self.cancel(id);
                self.expect_end(index, id);
            }
            Step::Close => {
                if let Some(armed) = self.brackets.list.get_mut(index) {
                    armed.closing = Some(armed.bracket.stop_limit);
                    armed.retry_ns = now;
                }
            }
            Step::End(why) => {
                self.end(index, why, due, now, notices);
                return true;
            }
        }
        false
    }

    fn add_leg(&mut self, index: usize, id: ClientOrderId, role: Role) {
        let Some(armed) = self.brackets.list.get_mut(index) else { return };
        if let Some(order) = self.working.iter_mut().find(|order| order.client_order_id == id) {
            order.bracket = armed.id;
            armed.add(Leg::new(order, role));
            if order.replaces == ClientOrderId::NONE {
                armed.is_replace_refused = false;
            }
            armed.is_stop_rejected = false;
        }
    }

    fn expect_end(&mut self, index: usize, id: ClientOrderId) {
        if let Some(leg) = self.brackets.list.get_mut(index).and_then(|armed| armed.leg_mut(id)) {
            leg.is_end_wanted = true;
        }
    }

    fn on_step_refused(&mut self, index: usize, now: Timestamp) {
        if let Some(armed) = self.brackets.list.get_mut(index) {
            armed.fail(now);
        }
    }

    /// Tells people when there is no stop where there should be one, and when there is again.
    fn tell_protection(&mut self, index: usize, due: i64, now: Timestamp, notices: &mut Notices) {
        let Some(armed) = self.brackets.list.get_mut(index) else { return };
        let is_unprotected = armed.is_unprotected(due);
        let about = Notice::new(NoticeCode::PositionUnprotected, now).order(armed.id).instrument(armed.instrument);
        let is_worse = |told: u32| told < ArmedBracket::TRIES_QUICK && armed.failures >= ArmedBracket::TRIES_QUICK;
        if is_unprotected && armed.told.is_none_or(is_worse) {
            let why: &[u8] = match (armed.failures, armed.closing) {
                (0, _) => b"below the venue's smallest order",
                (_, Some(_)) => b"the stop was refused, the position is closed instead",
                _ => b"the stop was refused or canceled, it is tried again",
            };
            notices.send(about.values(i128::from(armed.failures), i128::from(due)).excerpt(why));
            armed.told = Some(armed.failures);
        } else if armed.told.is_some() && !is_unprotected {
            let rests = |leg: &Leg| {
                let order = self.working.iter().find(|order| order.client_order_id == leg.id);
                leg.role == Role::Stop && order.is_some_and(WorkingOrder::is_replaceable)
            };
            if armed.legs.iter().flatten().any(rests) {
                armed.told = None;
                notices.send(Notice { code: NoticeCode::PositionProtected, ..about.values(0, i128::from(due)) });
            }
        }
    }

    /// Lets go of a bracket: what is open of it is canceled, and is the strategy's own from here on.
    fn end(&mut self, index: usize, why: &'static str, due: i64, now: Timestamp, notices: &mut Notices) {
        let Some(armed) = self.brackets.list.get(index) else { return };
        if due > 0 {
            let notice = Notice::new(NoticeCode::BracketEnded, now).order(armed.id).instrument(armed.instrument);
            notices.send(notice.values(0, i128::from(due)).excerpt(why.as_bytes()));
        }
        let open = armed.legs;
        for leg in open.iter().flatten().filter(|leg| leg.is_open) {
            self.cancel(leg.id);
            if let Some(order) = self.working.iter_mut().find(|order| order.client_order_id == leg.id) {
                order.bracket = ClientOrderId::NONE;
            }
        }
    }
}
