//! What is on the wire: every order the venue may know and that is not proven ended, and what was asked about it.
//!
//! Pure: no socket, no clock. An order is entered before its bytes are written and leaves only by the venue's word.
//! What is not answered in time, or was written into a connection that was then lost, is *unknown*: the venue is asked
//! for it until it answers definitively.

use crate::pipeline::digest::Digest;
use crate::types::{
    ClientOrderId, ExecutionReport, InstrumentId, Order, OrderStatus, Quantity, ReportKind, Side, Timestamp,
};
use foldhash::fast::FixedState;
use std::collections::{HashMap, VecDeque};

/// How long after an order was written the venue may still accept it: the venue's own limit on a request (10 s) and
/// the receive window (5 s). A "does not exist" before that proves nothing.
pub const ACCEPTANCE_LIMIT_NS: u64 = 15_000_000_000;

/// How many times the venue must say that an order does not exist, after [`ACCEPTANCE_LIMIT_NS`].
pub const NOT_FOUND_PROOFS: u8 = 2;

/// Orders that left the wire last and whose numbers are remembered: a fill, or a look at the open orders, may still
/// speak of them.
const ENDED_MAX: usize = 1_024;

/// What is waited for, by request kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Asked {
    place: Option<Timestamp>,
    cancel: Option<Timestamp>,
    /// An order that is to take this one's place.
    replace: Option<Timestamp>,
    status: Option<Timestamp>,
    trades: Option<Timestamp>,
}

/// One order on the wire.
#[derive(Clone, Copy, Debug)]
pub struct WireOrder {
    /// Which.
    pub client_order_id: ClientOrderId,
    /// In what.
    pub instrument: InstrumentId,
    /// The order whose place it takes.
    pub replaces: ClientOrderId,
    /// Buy or sell.
    pub side: Side,
    /// The venue's number of it; zero until known.
    pub venue_order_id: u64,
    quantity: Quantity,
    /// Filled quantity that was passed on in fills.
    booked: Quantity,
    /// Filled quantity that the venue states.
    stated: Quantity,
    /// Final status that the venue stated, while fills are still missing.
    ended: Option<OrderStatus>,
    written_ns: Timestamp,
    asked: Asked,
    is_unknown: bool,
    /// A cancel was wanted while it could not be sent.
    wants_cancel: bool,
    wants_status: bool,
    wants_trades: bool,
    next_ask_ns: Timestamp,
    not_found: u8,
    /// The connection was made anew, and the venue has not said yet where the order stands.
    is_unreconciled: bool,
    /// Its fate became unknown, which is still to be told.
    is_untold: bool,
    /// The listing of open orders that named it last.
    listed_in: u64,
    /// Its place in [`Wire::live`].
    place: usize,
}

/// An order that an earlier run may have sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// As it was sent.
    pub order: Order,
    /// The venue's number of it; zero where it was not told.
    pub venue_order_id: u64,
    /// What of it is booked.
    pub booked: Quantity,
    /// When it was approved, and so before it was written.
    pub written_ns: Timestamp,
    /// Whether it was to be canceled.
    pub is_cancel_wanted: bool,
}

/// What the gateway is to send next about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Cancel it.
    Cancel,
    /// Ask where it stands.
    Status,
    /// Ask for its trades.
    Trades,
}

/// What a definitive "does not exist" amounts to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotFound {
    /// Not yet proof: asked again later.
    Unproven,
    /// Proof that the venue never took it.
    NeverTaken,
    /// The venue had acknowledged it: it has lost what it knew.
    Forgotten,
}

/// What came of looking for answers that took too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Orders whose fate became unknown by it: they are told by [`Wire::next_doubtful`].
    pub doubtful: usize,
    /// Whether anything was given up on, a question too.
    pub is_any: bool,
}

/// The orders on the wire.
#[derive(Debug)]
pub struct Wire {
    slots: Vec<Option<WireOrder>>,
    free: Vec<usize>,
    /// Slots in use, so that looking through all orders costs as much as there are.
    live: Vec<usize>,
    index: HashMap<ClientOrderId, usize, FixedState>,
    timeout_ns: u64,
    /// Before this instant nothing is due. It only saves looking: whether it was looked before then changes nothing.
    look_at: Timestamp,
    /// The venue's numbers and ours of the orders that left last.
    ended: VecDeque<(u64, ClientOrderId)>,
}

/// What becomes of a wanted cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelPlan {
    /// Send it now.
    Send,
    /// It is remembered, and sent when the session is ready and the order's fate is known.
    Later,
    /// The order is not on the wire any more, or a cancel is pending already.
    Nothing,
}

impl Wire {
    /// How often an unanswered question is repeated.
    pub const ASK_AGAIN_NS: u64 = 1_000_000_000;

    /// Room for `capacity` orders; a request unanswered for `timeout_ns` makes its order's fate unknown.
    #[must_use]
    pub fn new(capacity: usize, timeout_ns: u64) -> Self {
        Self {
            slots: vec![None; capacity],
            free: (0..capacity).rev().collect(),
            live: Vec::with_capacity(capacity),
            index: HashMap::with_capacity_and_hasher(capacity * 2, FixedState::default()),
            timeout_ns,
            look_at: Timestamp::UNKNOWN,
            ended: VecDeque::with_capacity(ENDED_MAX),
        }
    }

    /// Orders on the wire.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether nothing is on the wire.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Whether an order can be entered.
    #[must_use]
    pub fn has_room(&self) -> bool {
        !self.free.is_empty()
    }

    /// The order, if it is on the wire.
    #[must_use]
    pub fn find(&self, id: ClientOrderId) -> Option<&WireOrder> {
        self.index.get(&id).and_then(|&slot| self.slots.get(slot)).and_then(Option::as_ref)
    }

    fn find_mut(&mut self, id: ClientOrderId) -> Option<&mut WireOrder> {
        let slot = *self.index.get(&id)?;
        self.slots.get_mut(slot).and_then(Option::as_mut)
    }

    /// Enters an order that is about to be written. `false` where there is no room.
    pub fn enter(&mut self, order: &Order, now: Timestamp) -> bool {
        let Some(slot) = self.free.pop() else { return false };
        let entry = WireOrder {
            client_order_id: order.client_order_id,
            instrument: order.instrument,
            replaces: order.replaces,
            side: order.side,
            venue_order_id: 0,
            quantity: order.quantity,
            booked: Quantity::ZERO,
            stated: Quantity::ZERO,
            ended: None,
            written_ns: now,
            asked: Asked { place: Some(now), ..Asked::default() },
            is_unknown: false,
            wants_cancel: false,
            wants_status: false,
            wants_trades: false,
            next_ask_ns: now,
            not_found: 0,
            is_unreconciled: false,
            is_untold: false,
            listed_in: 0,
            place: self.live.len(),
        };
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(entry);
        }
        self.live.push(slot);
        self.index.insert(order.client_order_id, slot);
        if let Some(old) = self.find_mut(order.replaces) {
            old.asked.replace = Some(now);
        }
        self.look_at = self.look_at.min(now.plus(self.timeout_ns));
        true
    }

    /// Enters an order that an earlier run may have written: the venue is asked about it before anything new is sent.
    /// `false` where there is no room.
    pub fn restore(&mut self, open: &OpenOrder) -> bool {
        if !self.enter(&open.order, open.written_ns) {
            return false;
        }
        if let Some(entry) = self.find_mut(open.order.client_order_id) {
            entry.asked = Asked::default();
            entry.venue_order_id = open.venue_order_id;
            entry.booked = open.booked;
            entry.stated = open.booked;
            entry.is_unknown = true;
            entry.is_unreconciled = true;
            entry.wants_cancel = open.is_cancel_wanted;
        }
        true
    }

    /// Whether another order may take this one's place: it is there, its fate is known, and nothing else is to end it.
    #[must_use]
    pub fn is_replaceable(&self, id: ClientOrderId) -> bool {
        self.find(id).is_some_and(|order| {
            let is_ending = order.wants_cancel || order.asked.cancel.is_some() || order.asked.replace.is_some();
            !order.is_unknown && !is_ending && order.ended.is_none()
        })
    }

    /// The venue did not cancel the order in favor of another; `is_cancel_refused` where that was for the order's own
    /// sake: where it stands is then asked.
    pub fn replace_refused(&mut self, id: ClientOrderId, is_cancel_refused: bool, now: Timestamp) {
        self.look_at = Timestamp::UNKNOWN;
        if let Some(order) = self.find_mut(id) {
            order.asked.replace = None;
            if is_cancel_refused {
                order.wants_status = true;
                order.next_ask_ns = now;
            }
        }
    }

    /// Takes an order off the wire: it never left, or its end is proven.
    pub fn remove(&mut self, id: ClientOrderId) {
        let Some(slot) = self.index.remove(&id) else { return };
        let Some(order) = self.slots.get_mut(slot).and_then(Option::take) else { return };
        self.free.push(slot);
        if order.venue_order_id != 0 {
            if self.ended.len() >= ENDED_MAX {
                self.ended.pop_front();
            }
            self.ended.push_back((order.venue_order_id, id));
        }
        self.live.swap_remove(order.place);
        // The last one took its place.
        if let Some(&moved) = self.live.get(order.place)
            && let Some(Some(moved)) = self.slots.get_mut(moved)
        {
            moved.place = order.place;
        }
    }

    /// A cancel is wanted; `is_ready` tells whether the session could send it.
    pub fn want_cancel(&mut self, id: ClientOrderId, is_ready: bool) -> CancelPlan {
        let Some(order) = self.find_mut(id) else { return CancelPlan::Nothing };
        if order.asked.cancel.is_some() || order.wants_cancel {
            return CancelPlan::Nothing;
        }
        // A cancel of an order that the venue may not have yet would be refused and prove nothing: status first.
        let plan = if is_ready && !order.is_unknown { CancelPlan::Send } else { CancelPlan::Later };
        // Wanted until it was written: the write buffer may have no room now.
        order.wants_cancel = true;
        self.look_at = Timestamp::UNKNOWN;
        plan
    }

    /// The question was written.
    pub fn was_asked(&mut self, id: ClientOrderId, ask: Ask, now: Timestamp) {
        self.look_at = self.look_at.min(now.plus(self.timeout_ns));
        let Some(order) = self.find_mut(id) else { return };
        match ask {
            Ask::Cancel => {
                order.wants_cancel = false;
                order.asked.cancel = Some(now);
                return;
            }
            Ask::Status => {
                order.wants_status = false;
                order.asked.status = Some(now);
            }
            Ask::Trades => {
                order.wants_trades = false;
                order.asked.trades = Some(now);
            }
        }
        order.next_ask_ns = now.plus(Self::ASK_AGAIN_NS);
    }

    /// The venue answered that it took the order.
    pub fn placed(&mut self, id: ClientOrderId, venue_order_id: u64) {
        if let Some(order) = self.find_mut(id) {
            order.asked.place = None;
            if venue_order_id != 0 {
                order.venue_order_id = venue_order_id;
            }
        }
    }

    /// The answer to a place or cancel does not tell what became of it: the venue is asked from `ask_at` on, and then
    /// the cancel is tried again. `true` where the doubt is news.
    pub fn doubt(&mut self, id: ClientOrderId, ask_at: Timestamp) -> bool {
        self.look_at = Timestamp::UNKNOWN;
        let Some(order) = self.find_mut(id) else { return false };
        order.asked.place = None;
        // A replace is not tried again, and never becomes a cancel: the order is asked about, no more.
        order.asked.replace = None;
        order.wants_cancel |= order.asked.cancel.take().is_some();
        order.wants_status = true;
        order.next_ask_ns = ask_at;
        !std::mem::replace(&mut order.is_unknown, true)
    }

    /// The venue refused to cancel: most often because the order just ended. Where it stands is asked.
    pub fn cancel_refused(&mut self, id: ClientOrderId, now: Timestamp) {
        self.look_at = Timestamp::UNKNOWN;
        if let Some(order) = self.find_mut(id) {
            order.asked.cancel = None;
            order.wants_status = true;
            order.next_ask_ns = now;
        }
    }

    /// Takes in what the venue reported. Answers `Some((booked, stated))` where fills are missing: its trades are then
    /// asked for. An order whose end and fills are all known leaves the wire.
    pub fn report(&mut self, report: &ExecutionReport) -> Option<(Quantity, Quantity)> {
        let (id, timeout_ns) = (report.client_order_id, self.timeout_ns);
        let order = self.find_mut(id)?;
        order.asked.place = None;
        order.is_unknown = false;
        order.not_found = 0;
        if report.venue_order_id != 0 {
            order.venue_order_id = report.venue_order_id;
        }
        if report.kind == ReportKind::Status {
            order.asked.status = None;
            order.wants_status = false;
            order.is_unreconciled = false;
            // What it shows to be missing is another question.
            order.next_ask_ns = Timestamp::UNKNOWN;
        }
        order.stated.0 = order.stated.0.max(report.cumulative_quantity.0);
        if report.kind == ReportKind::Fill {
            // A fill that ends at the stated sum continues what is booked; one seen before ends at or below it.
            let before = report.cumulative_quantity.0.saturating_sub(report.last_quantity.0);
            if before == order.booked.0 {
                order.booked = report.cumulative_quantity;
            }
        }
        match report.kind {
            ReportKind::Canceled => order.ended = Some(OrderStatus::Canceled),
            ReportKind::Expired => order.ended = Some(OrderStatus::Expired),
            ReportKind::Rejected => order.ended = Some(OrderStatus::Rejected),
            ReportKind::Status if report.status.is_terminal() => order.ended = Some(report.status),
            _ if order.booked.0 >= order.quantity.0 => order.ended = Some(OrderStatus::Filled),
            _ => {}
        }
        // What waited for its fate to be known is due now.
        let due_at = order.due_at(timeout_ns);
        self.look_at = self.look_at.min(due_at);
        self.settle(id)
    }

    /// A trades query was answered: all fills together come to `total`.
    pub fn trades_answered(&mut self, id: ClientOrderId, total: Quantity) -> Option<(Quantity, Quantity)> {
        let order = self.find_mut(id)?;
        order.asked.trades = None;
        order.booked.0 = order.booked.0.max(total.0);
        order.stated.0 = order.stated.0.max(total.0);
        if order.booked.0 >= order.quantity.0 {
            order.ended = Some(OrderStatus::Filled);
        }
        self.settle(id)
    }

    /// A fill that nobody told of before, found by looking for fills: with what is filled in all by it.
    pub fn found_fill(&self, id: ClientOrderId, last: Quantity) -> Quantity {
        Quantity(self.find(id).map_or(0, |order| order.booked.0).saturating_add(last.0))
    }

    /// Whether the order left the wire a while ago, its end proven.
    #[must_use]
    pub fn has_ended(&self, id: ClientOrderId) -> bool {
        id != ClientOrderId::NONE && self.ended.iter().any(|&(_, ended)| ended == id)
    }

    /// The order of this venue's number that left the wire a while ago. For rare answers, too.
    #[must_use]
    pub fn ended_by_venue_id(&self, venue_order_id: u64) -> Option<ClientOrderId> {
        self.ended.iter().rev().find(|(ended, _)| *ended == venue_order_id).map(|&(_, id)| id)
    }

    /// A listing of open orders names this one. `true` where that is news: its fate was not proven, or the venue states
    /// more filled, or a number, that we do not know.
    pub fn listed(&mut self, listing: u64, row: &ExecutionReport) -> bool {
        let Some(order) = self.find_mut(row.client_order_id) else { return false };
        order.listed_in = listing;
        order.is_unknown
            || order.is_unreconciled
            || order.venue_order_id != row.venue_order_id
            || row.cumulative_quantity.0 > order.stated.0
    }

    /// The listing is whole: orders that it should have named, of this instrument or of all, are asked about singly.
    /// One that was written after the listing was asked for, or that the venue has not answered yet, may not be in it.
    pub fn unlisted(&mut self, listing: u64, instrument: Option<InstrumentId>, asked_ns: Timestamp) {
        self.look_at = Timestamp::UNKNOWN;
        for slot in &self.live {
            let Some(Some(order)) = self.slots.get_mut(*slot) else { continue };
            let is_meant = instrument.is_none_or(|instrument| instrument == order.instrument)
                && order.listed_in != listing
                && order.written_ns <= asked_ns
                && order.ended.is_none()
                && (order.asked.place.is_none() || order.is_unreconciled);
            if is_meant && order.asked.status.is_none() {
                order.wants_status = true;
            }
        }
    }

    /// Reports may be missing though the connection stands: where every order stands is to be found out.
    pub fn distrust(&mut self) {
        for order in self.slots.iter_mut().flatten() {
            order.is_unreconciled = true;
        }
    }

    /// The order of this venue's number. Looks through all that are on the wire: for rare answers.
    #[must_use]
    pub fn find_by_venue_id(&self, venue_order_id: u64) -> Option<ClientOrderId> {
        let mut orders = self.live.iter().filter_map(|&slot| self.slots.get(slot)).flatten();
        orders.find(|order| order.venue_order_id == venue_order_id).map(|order| order.client_order_id)
    }

    /// The venue says that the order does not exist.
    pub fn not_found(&mut self, id: ClientOrderId, now: Timestamp) -> NotFound {
        self.look_at = Timestamp::UNKNOWN;
        let Some(order) = self.find_mut(id) else { return NotFound::Unproven };
        order.asked.status = None;
        order.is_unreconciled = false;
        if now.since(order.written_ns) >= ACCEPTANCE_LIMIT_NS {
            order.not_found = order.not_found.saturating_add(1);
        }
        // An order that the venue once acknowledged cannot not exist: only an unacknowledged one may be let go.
        if order.not_found >= NOT_FOUND_PROOFS && order.venue_order_id == 0 {
            self.remove(id);
            return NotFound::NeverTaken;
        }
        order.wants_status = true;
        order.next_ask_ns = now.plus(Self::ASK_AGAIN_NS);
        if order.not_found >= NOT_FOUND_PROOFS { NotFound::Forgotten } else { NotFound::Unproven }
    }

    /// Whether the fills of an order that ended, or whose sum jumped, are all there; asks for them if not.
    fn settle(&mut self, id: ClientOrderId) -> Option<(Quantity, Quantity)> {
        let order = self.find_mut(id)?;
        if order.stated.0 > order.booked.0 {
            let (booked, stated) = (order.booked, order.stated);
            order.wants_trades = true;
            self.look_at = Timestamp::UNKNOWN;
            return Some((booked, stated));
        }
        order.wants_trades = false;
        if order.ended.is_some() {
            self.remove(id);
        }
        None
    }

    /// The connection is lost: every question is void, every order's state is to be found out again, first from a listing
    /// of the open orders. Those whose fate became unknown by it are told by [`Wire::next_doubtful`].
    pub fn disconnected(&mut self, now: Timestamp) {
        self.look_at = Timestamp::UNKNOWN;
        for order in self.slots.iter_mut().flatten() {
            let was_in_doubt = order.is_unknown;
            if order.asked.place.is_some() || order.asked.replace.is_some() {
                order.is_unknown = true;
            }
            order.wants_cancel |= order.asked.cancel.is_some();
            order.wants_trades |= order.asked.trades.is_some();
            order.asked = Asked::default();
            order.wants_status = false;
            order.is_unreconciled = true;
            order.next_ask_ns = now;
            order.is_untold = order.is_unknown && !was_in_doubt;
        }
    }

    /// The next order whose fate became unknown, with the connection or with time, and that was not told yet.
    pub fn next_doubtful(&mut self) -> Option<(ClientOrderId, InstrumentId)> {
        let order = self.slots.iter_mut().flatten().find(|order| order.is_untold)?;
        order.is_untold = false;
        Some((order.client_order_id, order.instrument))
    }

    /// Whether the venue has said of every order where it stands since the connection was made, and every fill that is
    /// known to be missing was told. An order that the venue does not have (yet) stays in doubt, but keeps no other
    /// from trading.
    #[must_use]
    pub fn is_reconciled(&self) -> bool {
        self.slots
            .iter()
            .flatten()
            .all(|order| !order.is_unreconciled && !order.wants_trades && order.asked.trades.is_none())
    }

    /// Gives up on answers that took too long.
    pub fn expire(&mut self, now: Timestamp) -> Expired {
        let mut expired = Expired::default();
        if now < self.look_at {
            return expired;
        }
        for slot in &self.live {
            let Some(Some(order)) = self.slots.get_mut(*slot) else { continue };
            let before = order.asked;
            if before == Asked::default() {
                continue;
            }
            if order.expire(now, self.timeout_ns) {
                order.is_untold = true;
                expired.doubtful += 1;
            }
            expired.is_any |= order.asked != before;
        }
        expired
    }

    /// The next order with something to send: cancels before questions.
    pub fn next_due(&mut self, now: Timestamp) -> Option<(WireOrder, Ask)> {
        if now < self.look_at {
            return None;
        }
        let mut due_at = Timestamp::from_nanos(u64::MAX);
        let mut question = None;
        for slot in &self.live {
            let Some(Some(order)) = self.slots.get_mut(*slot) else { continue };
            if order.is_quiet() {
                continue;
            }
            due_at = due_at.min(order.due_at(self.timeout_ns));
            match order.due(now) {
                Some(Ask::Cancel) => return Some((*order, Ask::Cancel)),
                Some(ask) if question.is_none() => question = Some((*order, ask)),
                _ => {}
            }
        }
        if question.is_none() {
            self.look_at = due_at;
        }
        question
    }

    /// Folds everything in that decides what is sent or told. When it is looked next is not part of it.
    pub fn fold(&self, digest: &mut Digest) {
        digest.fold(self.live.len() as u64);
        for order in self.live.iter().filter_map(|&slot| self.slots.get(slot)).flatten() {
            order.fold(digest);
        }
        digest.fold(self.ended.len() as u64);
        for (venue_order_id, id) in &self.ended {
            digest.fold(*venue_order_id);
            digest.fold(id.0);
        }
    }
}

impl WireOrder {
    /// Whether its fate is not proven.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        self.is_unknown
    }

    /// Before when neither anything is due nor an answer overdue, unless something happens to the order.
    fn due_at(&self, timeout_ns: u64) -> Timestamp {
        const NEVER: Timestamp = Timestamp::from_nanos(u64::MAX);
        let Asked { place, cancel, replace, status, trades } = self.asked;
        let asked = [place, cancel, replace, status, trades].into_iter().flatten().min();
        let overdue = asked.map_or(NEVER, |asked| asked.plus(timeout_ns));
        let wants_trades = self.wants_trades && trades.is_none() && self.venue_order_id != 0;
        let wants_status = self.wants_status && status.is_none();
        let wanted = if self.wants_cancel && !self.is_unknown {
            Timestamp::UNKNOWN
        } else if wants_trades || wants_status {
            self.next_ask_ns
        } else {
            NEVER
        };
        overdue.min(wanted)
    }

    fn fold(&self, digest: &mut Digest) {
        let Asked { place, cancel, replace, status, trades } = self.asked;
        for asked in [place, cancel, replace, status, trades] {
            digest.fold(asked.map_or(0, Timestamp::nanos));
        }
        for quantity in [self.quantity, self.booked, self.stated] {
            digest.fold(quantity.0.cast_unsigned());
        }
        for number in [
            self.client_order_id.0,
            u64::from(self.instrument.0),
            self.replaces.0,
            self.side as u64,
            self.venue_order_id,
            self.ended.map_or(u64::MAX, |status| status as u64),
            self.written_ns.nanos(),
            self.next_ask_ns.nanos(),
            u64::from(self.not_found),
            self.listed_in,
        ] {
            digest.fold(number);
        }
        let marks = [
            self.is_unknown,
            self.wants_cancel,
            self.wants_status,
            self.wants_trades,
            self.is_unreconciled,
            self.is_untold,
        ];
        digest.fold(marks.into_iter().fold(0, |word, mark| word << 1 | u64::from(mark)));
    }

    /// Whether nothing is asked, wanted or waited for.
    fn is_quiet(&self) -> bool {
        self.asked == Asked::default() && !self.wants_cancel && !self.wants_status && !self.wants_trades
    }

    /// Gives up on answers that took too long. `true` where the order's fate became unknown by it.
    fn expire(&mut self, now: Timestamp, timeout_ns: u64) -> bool {
        let is_late = |asked: Option<Timestamp>| asked.is_some_and(|at| now.since(at) >= timeout_ns);
        if is_late(self.asked.status) {
            self.asked.status = None;
            self.wants_status = true;
        }
        if is_late(self.asked.trades) {
            self.asked.trades = None;
            self.wants_trades = true;
        }
        let is_cancel_late = is_late(self.asked.cancel);
        if !is_cancel_late && !is_late(self.asked.place) && !is_late(self.asked.replace) {
            return false;
        }
        self.wants_cancel |= is_cancel_late;
        self.asked.place = None;
        self.asked.cancel = None;
        // Never a cancel of its own: the venue may have placed the other one already.
        self.asked.replace = None;
        self.wants_status = true;
        !std::mem::replace(&mut self.is_unknown, true)
    }

    /// What is to be sent about it now.
    fn due(&self, now: Timestamp) -> Option<Ask> {
        if self.wants_cancel && !self.is_unknown {
            return Some(Ask::Cancel);
        }
        if now < self.next_ask_ns {
            return None;
        }
        if self.wants_trades && self.asked.trades.is_none() && self.venue_order_id != 0 {
            return Some(Ask::Trades);
        }
        (self.wants_status && self.asked.status.is_none()).then_some(Ask::Status)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Price, StrategyId};

    const TIMEOUT_NS: u64 = 2_000_000_000;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    fn id(sequence: u64) -> ClientOrderId {
        ClientOrderId::new(1, StrategyId(0), sequence).expect("in range")
    }

    fn order(sequence: u64) -> Order {
        Order { client_order_id: id(sequence), price: Price(100), quantity: Quantity(10), ..Order::default() }
    }

    fn report(sequence: u64, kind: ReportKind, last: i64, cumulative: i64) -> ExecutionReport {
        ExecutionReport {
            client_order_id: id(sequence),
            venue_order_id: 7,
            kind,
            last_quantity: Quantity(last),
            cumulative_quantity: Quantity(cumulative),
            ..ExecutionReport::default()
        }
    }

    fn wire() -> Wire {
        let mut wire = Wire::new(4, TIMEOUT_NS);
        assert!(wire.enter(&order(1), at(0)));
        wire
    }

    fn due(wire: &mut Wire, now: Timestamp) -> Option<Ask> {
        wire.expire(now);
        wire.next_due(now).map(|(_, ask)| ask)
    }

    #[test]
    fn a_filled_order_leaves_and_its_place_is_used_again() {
        let mut wire = wire();
        for sequence in 2..=4 {
            assert!(wire.enter(&order(sequence), at(0)));
        }
        assert!(!wire.enter(&order(5), at(0)));
        assert_eq!(wire.report(&report(1, ReportKind::Accepted, 0, 0)), None);
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 4, 4)), None);
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 6, 10)), None);
        assert!(wire.find(id(1)).is_none());
        assert!(wire.enter(&order(5), at(1)));
        wire.remove(id(4));
        wire.remove(id(2));
        assert_eq!(wire.len(), 2);
        assert!(wire.find(id(5)).is_some() && wire.find(id(3)).is_some());
    }

    #[test]
    fn an_order_of_an_earlier_run_keeps_all_others_waiting_until_the_venue_tells() {
        let mut wire = Wire::new(4, TIMEOUT_NS);
        let open = OpenOrder {
            order: order(1),
            venue_order_id: 7,
            booked: Quantity(4),
            written_ns: at(0),
            is_cancel_wanted: true,
        };
        assert!(wire.restore(&open));
        assert!(!wire.is_reconciled() && wire.find(id(1)).is_some_and(WireOrder::is_unknown));
        // It was filled meanwhile: what is missing is asked for, and is not the whole.
        assert_eq!(wire.report(&report(1, ReportKind::Accepted, 0, 10)), Some((Quantity(4), Quantity(10))));
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 6, 10)), None);
        assert!(wire.is_empty() && wire.is_reconciled());
    }

    #[test]
    fn an_unanswered_order_is_unknown_and_asked_for_until_the_venue_tells() {
        let mut wire = wire();
        assert_eq!(due(&mut wire, at(1_999)), None);
        assert_eq!(wire.expire(at(2_001)), Expired { doubtful: 1, is_any: true });
        assert_eq!(wire.next_doubtful().map(|(id, _)| id), Some(id(1)));
        let (overdue, ask) = wire.next_due(at(2_001)).expect("overdue");
        assert_eq!((overdue.client_order_id, ask), (id(1), Ask::Status));
        wire.was_asked(id(1), Ask::Status, at(2_001));
        // Soon after it was written, "does not exist" proves nothing, however often it is said.
        for millis in [3_100, 4_200, 5_300] {
            assert_eq!(wire.not_found(id(1), at(millis)), NotFound::Unproven);
            assert_eq!(due(&mut wire, at(millis + 1_000)), Some(Ask::Status));
            wire.was_asked(id(1), Ask::Status, at(millis + 1_000));
        }
        assert_eq!(wire.not_found(id(1), at(15_000)), NotFound::Unproven);
        assert_eq!(wire.not_found(id(1), at(16_100)), NotFound::NeverTaken);
        assert!(wire.is_empty());
    }

    #[test]
    fn an_acknowledged_order_never_counts_as_never_taken() {
        let mut wire = wire();
        wire.placed(id(1), 7);
        assert_eq!(wire.not_found(id(1), at(20_000)), NotFound::Unproven);
        for millis in [21_000, 22_000] {
            assert_eq!(wire.not_found(id(1), at(millis)), NotFound::Forgotten);
        }
        assert!(wire.find(id(1)).is_some());
    }

    #[test]
    fn missing_fills_are_asked_for_before_an_ended_order_leaves() {
        let mut wire = wire();
        wire.report(&report(1, ReportKind::Accepted, 0, 0));
        // The fill of 3 was lost; the next one shows it.
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 2, 5)), Some((Quantity(0), Quantity(5))));
        assert_eq!(due(&mut wire, at(1)), Some(Ask::Trades));
        wire.was_asked(id(1), Ask::Trades, at(1));
        assert_eq!(wire.report(&report(1, ReportKind::Canceled, 0, 5)), Some((Quantity(0), Quantity(5))));
        assert_eq!(wire.find_by_venue_id(7), Some(id(1)));
        assert_eq!(wire.trades_answered(id(1), Quantity(5)), None);
        assert!(wire.is_empty());
    }

    #[test]
    fn a_fill_that_comes_twice_changes_nothing() {
        let mut wire = wire();
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 4, 4)), None);
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 4, 4)), None);
        assert_eq!(wire.report(&report(1, ReportKind::Fill, 6, 10)), None);
        assert!(wire.is_empty());
    }

    /// A wire on which order 2 is to take the place of order 1.
    fn replacing() -> Wire {
        let mut wire = wire();
        wire.report(&report(1, ReportKind::Accepted, 0, 0));
        assert!(wire.is_replaceable(id(1)) && !wire.is_replaceable(id(2)));
        assert!(wire.enter(&Order { replaces: id(1), ..order(2) }, at(0)));
        assert!(!wire.is_replaceable(id(1)), "one at a time");
        wire
    }

    #[test]
    fn an_unanswered_replace_makes_both_unknown_and_is_no_cancel() {
        for is_disconnected in [false, true] {
            let mut wire = replacing();
            if is_disconnected {
                wire.disconnected(at(10));
                wire.unlisted(1, None, at(11));
            } else {
                assert_eq!(wire.expire(at(2_001)).doubtful, 2);
            }
            let told = [wire.next_doubtful(), wire.next_doubtful(), wire.next_doubtful()];
            assert_eq!(told.map(|told| told.map(|(id, _)| id)), [Some(id(1)), Some(id(2)), None]);
            for sequence in [1, 2] {
                let (found, ask) = wire.next_due(at(2_001)).expect("due");
                assert_eq!((found.client_order_id, ask), (id(sequence), Ask::Status));
                wire.was_asked(id(sequence), Ask::Status, at(2_001));
            }
            // The venue has the old one as it was: no cancel follows, and it may be replaced again.
            let status = ExecutionReport { status: OrderStatus::Accepted, ..report(1, ReportKind::Status, 0, 0) };
            wire.report(&status);
            assert_eq!(due(&mut wire, at(2_050)), None);
            assert!(wire.is_replaceable(id(1)));
        }
    }

    #[test]
    fn a_refused_replace_leaves_the_old_order_as_it_was() {
        for is_cancel_refused in [false, true] {
            let mut wire = replacing();
            wire.remove(id(2));
            wire.replace_refused(id(1), is_cancel_refused, at(5));
            assert_eq!(due(&mut wire, at(5)), is_cancel_refused.then_some(Ask::Status));
            assert!(wire.is_replaceable(id(1)));
        }
    }

    #[test]
    fn orders_that_a_listing_should_have_named_are_asked_for() {
        let mut wire = wire();
        for sequence in 1..=3 {
            wire.enter(&order(sequence), at(sequence));
            wire.report(&report(sequence, ReportKind::Accepted, 0, 0));
        }
        wire.enter(&order(4), at(4));
        let row = ExecutionReport { status: OrderStatus::Accepted, ..report(1, ReportKind::Status, 0, 0) };
        assert!(!wire.listed(7, &row), "no news");
        // Order 3 was written after the question, order 4 is not answered yet.
        wire.unlisted(7, Some(InstrumentId(0)), at(2));
        let (found, ask) = wire.next_due(at(5)).expect("due");
        assert_eq!((found.client_order_id, ask), (id(2), Ask::Status));
        wire.was_asked(id(2), Ask::Status, at(5));
        assert_eq!(due(&mut wire, at(5)), None);
        wire.distrust();
        assert!(wire.listed(8, &row) && !wire.is_reconciled());
        let filled = ExecutionReport { cumulative_quantity: Quantity(3), ..row };
        wire.report(&row);
        assert!(wire.listed(9, &filled), "a fill that nobody told of");
        assert_eq!(wire.found_fill(id(1), Quantity(3)), Quantity(3));
        wire.report(&report(1, ReportKind::Canceled, 0, 0));
        assert!(wire.has_ended(id(1)) && wire.ended_by_venue_id(7) == Some(id(1)));
    }

    #[test]
    fn after_a_lost_connection_every_order_is_asked_for_first() {
        let mut wire = wire();
        assert!(wire.enter(&order(2), at(0)));
        wire.report(&report(1, ReportKind::Accepted, 0, 0));
        assert_eq!(wire.want_cancel(id(1), true), CancelPlan::Send);
        wire.was_asked(id(1), Ask::Cancel, at(5));
        assert_eq!(wire.want_cancel(id(1), true), CancelPlan::Nothing);
        wire.disconnected(at(10));
        assert_eq!(wire.next_doubtful().map(|(id, _)| id), Some(id(2)));
        assert_eq!(wire.next_doubtful(), None);
        assert!(!wire.is_reconciled());
        // The cancel of the known order goes out again before the question; the other one's state is asked first.
        let (first, ask) = wire.next_due(at(11)).expect("due");
        assert_eq!((first.client_order_id, ask), (id(1), Ask::Cancel));
        wire.was_asked(id(1), Ask::Cancel, at(11));
        assert_eq!(due(&mut wire, at(11)), None, "a listing comes first");
        let row = ExecutionReport { instrument: InstrumentId(0), ..report(3, ReportKind::Status, 0, 0) };
        assert!(!wire.listed(9, &row), "not on the wire");
        wire.unlisted(9, None, at(11));
        assert_eq!(due(&mut wire, at(11)), Some(Ask::Status));
        wire.was_asked(id(1), Ask::Status, at(11));
        let (second, ask) = wire.next_due(at(11)).expect("due");
        assert_eq!((second.client_order_id, ask), (id(2), Ask::Status));
        assert_eq!(wire.want_cancel(id(2), true), CancelPlan::Later);
        wire.was_asked(id(2), Ask::Status, at(11));
        assert_eq!(wire.not_found(id(2), at(12)), NotFound::Unproven);
        assert!(!wire.is_reconciled());
        let status = ExecutionReport { status: OrderStatus::Canceled, ..report(1, ReportKind::Status, 0, 0) };
        assert_eq!(wire.report(&status), None);
        assert!(wire.is_reconciled());
        assert_eq!(wire.len(), 1);
    }
}
