//! The line to the venue: the connection, and who writes requests for it.
//!
//! Whether there was room and whether it could be written is all that the gateway depends on, so that is written down; what
//! is written is not, as it holds keys and signatures. In replay there is neither a connection nor anybody who writes.

use super::answers::Answers;
use crate::pipeline::digest::Digest;
use crate::pipeline::tap::Tap;
use crate::types::{ClientOrderId, Event, Instrument, Order, Refuser, Timestamp};
use crate::venue::binance::{OrderEncoder, RequestKind};
use crate::venue::connection::{Connection, Lost};

/// A request, before it is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outbound<'a> {
    Place { order: &'a Order, instrument: &'a Instrument },
    Replace { order: &'a Order, only_if_unfilled: bool, instrument: &'a Instrument },
    Cancel { id: ClientOrderId, instrument: &'a Instrument },
    CancelAll { instrument: &'a Instrument },
    Status { id: ClientOrderId, instrument: &'a Instrument },
    Trades { venue_order_id: u64, instrument: &'a Instrument },
    Balances { number: u64 },
    OpenOrders { number: u64, instrument: Option<&'a Instrument> },
    Fills { number: u64, instrument: &'a Instrument, from: u64 },
    LogOn,
    Subscribe,
}

impl Outbound<'_> {
    /// Its text; none where it cannot be written.
    #[inline]
    fn encode(self, encoder: &mut OrderEncoder, venue_ms: u64) -> Option<&[u8]> {
        let encoded = match self {
            Self::Place { order, instrument } => encoder.place(order, instrument, venue_ms),
            Self::Replace { order, only_if_unfilled, instrument } => {
                encoder.replace(order, only_if_unfilled, instrument, venue_ms)
            }
            Self::Cancel { id, instrument } => encoder.cancel(id, instrument, venue_ms),
            Self::CancelAll { instrument } => encoder.cancel_all(instrument, venue_ms),
            Self::Status { id, instrument } => encoder.status(id, instrument, venue_ms),
            Self::Trades { venue_order_id, instrument } => encoder.my_trades(instrument, venue_order_id, venue_ms),
            Self::Balances { number } => encoder.account_status(number, venue_ms),
            Self::OpenOrders { number, instrument } => encoder.open_orders(number, instrument, venue_ms),
            Self::Fills { number, instrument, from } => encoder.fills(number, instrument, from, venue_ms),
            Self::LogOn => encoder.logon(venue_ms),
            Self::Subscribe => encoder.subscribe(venue_ms),
        };
        encoded.ok()
    }

    /// What it asks, and about what.
    #[inline]
    const fn subject(self) -> (RequestKind, u64) {
        match self {
            Self::Place { order, .. } => (RequestKind::Place, order.client_order_id.0),
            Self::Replace { order, .. } => (RequestKind::Replace, order.client_order_id.0),
            Self::Cancel { id, .. } => (RequestKind::Cancel, id.0),
            Self::CancelAll { instrument } => (RequestKind::CancelAll, instrument.id.0 as u64),
            Self::Status { id, .. } => (RequestKind::Status, id.0),
            Self::Trades { venue_order_id, .. } => (RequestKind::MyTrades, venue_order_id),
            Self::Balances { number } => (RequestKind::Account, number),
            Self::OpenOrders { number, .. } => (RequestKind::OpenOrders, number),
            Self::Fills { number, .. } => (RequestKind::Fills, number),
            Self::LogOn => (RequestKind::Logon, 0),
            Self::Subscribe => (RequestKind::Subscribe, 0),
        }
    }
}

/// The connection, with what became of what was asked of it in this cycle.
pub(super) struct Line {
    connection: Option<Box<Connection>>,
    /// None in replay.
    encoder: Option<OrderEncoder>,
    /// Whether a connection stands, or did in what is replayed.
    is_up: bool,
    buffer: Answers,
    stream: Answers,
    unsent: Answers,
    /// What was asked so far.
    pub(super) asked: Digest,
}

impl Line {
    /// Without a connection yet.
    pub(super) fn new(encoder: Option<OrderEncoder>) -> Self {
        Self {
            connection: None,
            encoder,
            is_up: false,
            buffer: Answers::of(Refuser::Buffer),
            stream: Answers::of(Refuser::Stream),
            unsent: Answers::of(Refuser::Unsent),
            asked: Digest::NONE,
        }
    }

    /// Whether a connection stands.
    #[inline]
    pub(super) const fn is_up(&self) -> bool {
        self.is_up
    }

    /// From now on over this connection, or, in replay, over none. Answers whether one stood, and that one.
    pub(super) fn connect(&mut self, connection: Option<Box<Connection>>) -> (bool, Option<Box<Connection>>) {
        (std::mem::replace(&mut self.is_up, true), std::mem::replace(&mut self.connection, connection))
    }

    /// From now on there is no connection. Answers the one that there was.
    pub(super) fn hang_up(&mut self) -> Option<Box<Connection>> {
        self.is_up = false;
        self.connection.take()
    }

    /// The connection, to be read and looked after; none in replay.
    #[inline]
    pub(super) fn connection(&mut self) -> Option<&mut Connection> {
        self.connection.as_deref_mut()
    }

    /// Whether everything that was sent so far is written.
    #[inline]
    pub(super) fn is_flushed(&mut self, tap: &mut Tap) -> bool {
        let Self { connection, unsent, .. } = self;
        unsent.take(tap, || connection.as_ref().is_some_and(|connection| connection.is_flushed()))
    }

    /// Puts a request into the write buffer. `false` where there is no room, or it cannot be written.
    #[inline]
    pub(super) fn queue(&mut self, request: Outbound<'_>, venue_ms: u64, tap: &mut Tap) -> bool {
        let Self { connection, encoder, buffer, .. } = self;
        let is_taken = buffer.take(tap, || {
            let bytes = encoder.as_mut().and_then(|encoder| request.encode(encoder, venue_ms));
            queue(connection, bytes)
        });
        self.note(request, is_taken, tap)
    }

    /// The same, which makes room first where there is none; `is_broken` where that showed that the stream is over.
    #[inline]
    pub(super) fn put(&mut self, request: Outbound<'_>, venue_ms: u64, tap: &mut Tap, is_broken: &mut bool) -> bool {
        let Self { connection, encoder, buffer, stream, .. } = self;
        let bytes = encoder.as_mut().and_then(|encoder| request.encode(encoder, venue_ms));
        let mut is_taken = buffer.take(tap, || queue(connection, bytes));
        if !is_taken {
            if !stream.take(tap, || flush(connection)) {
                *is_broken = true;
                return false;
            }
            is_taken = buffer.take(tap, || queue(connection, bytes));
        }
        self.note(request, is_taken, tap)
    }

    /// Writes what waits, as far as the stream takes it. `false` where it is over.
    #[inline]
    pub(super) fn flush(&mut self, tap: &mut Tap) -> bool {
        let Self { connection, stream, .. } = self;
        stream.take(tap, || flush(connection))
    }

    /// A request that is on its way is something that came of the cycle.
    #[inline]
    fn note(&mut self, request: Outbound<'_>, is_taken: bool, tap: &mut Tap) -> bool {
        if is_taken {
            tap.touch();
            let (kind, subject) = request.subject();
            self.asked.fold(subject ^ (kind as u64) << 56);
            if let Outbound::Place { order, .. } | Outbound::Replace { order, .. } = request {
                self.asked.fold(order.price.0.cast_unsigned());
                self.asked.fold(order.quantity.0.cast_unsigned() ^ (order.side as u64) << 63);
            }
        }
        is_taken
    }

    /// Replay: what is found in the cycle that comes. From the first call on, there is no connection.
    pub(super) fn foretell(&mut self, event: &Event) {
        let (by, from, count) = match *event {
            Event::Refused { by, from, count } => (by, from, count),
            _ => (Refuser::Budget, 0, 0),
        };
        for answers in [&mut self.buffer, &mut self.stream, &mut self.unsent] {
            answers.foretell(by, from, count);
        }
    }

    /// The cycle is over.
    #[inline]
    pub(super) fn end_cycle(&mut self, tap: &mut Tap) {
        self.buffer.end_cycle(tap);
        self.stream.end_cycle(tap);
        self.unsent.end_cycle(tap);
    }

    /// Pings, and notices a silence.
    pub(super) fn keep_alive(&mut self, now: Timestamp) -> Result<(), Lost> {
        self.connection.as_mut().map_or(Ok(()), |connection| connection.keep_alive(now))
    }
}

#[inline]
fn queue(connection: &mut Option<Box<Connection>>, bytes: Option<&[u8]>) -> bool {
    connection.as_mut().zip(bytes).is_some_and(|(connection, bytes)| connection.queue(bytes).is_ok())
}

#[inline]
fn flush(connection: &mut Option<Box<Connection>>) -> bool {
    connection.as_mut().is_none_or(|connection| connection.is_flushed() || connection.flush().is_ok())
}
