//! Order entry: requests of the WebSocket API, encoded into one buffer without allocation.
//!
//! Parameters are written in alphabetical order, as the signature asks for; a session that is logged on leaves key and
//! signature out, which is why no order waits for a signature there. A request's id says what it asks about (a letter
//! and 16 hexadecimal digits), so that its answer needs no table.

use super::sign::Credentials;
use super::text::{Digits, Text, hexadecimal};
use crate::types::{ClientOrderId, Instrument, Order, OrderType, Price, Quantity, Side, TimeInForce};
use std::sync::Arc;

pub use super::text::REQUEST_BYTES_MAX;

/// What a request asks; its letter begins the request's id, a subject in 16 hexadecimal digits follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum RequestKind {
    /// A new order; the subject is its client order id.
    Place = b'p',
    /// A new order in the place of a working one; the subject is the new one's client order id.
    Replace = b'r',
    /// A cancel; the subject is the order's client order id.
    Cancel = b'c',
    /// How an order stands; the subject is its client order id.
    Status = b'q',
    /// A cancel of everything in an instrument; the subject is the instrument.
    CancelAll = b'x',
    /// Open orders, all or of an instrument; the subject is the number that the asker gave the question.
    OpenOrders = b'o',
    /// The fills of an order; the subject is the venue's number of it.
    MyTrades = b't',
    /// The fills in an instrument from one on; the subject is the number that the asker gave the question.
    Fills = b'f',
    /// The log on of the session.
    Logon = b'l',
    /// The subscription to execution reports.
    Subscribe = b's',
    /// The balances; the subject is the number that the asker gave the question.
    Account = b'a',
    /// Not one of ours: the venue could not read the id, or somebody else uses the session.
    Foreign = b'?',
}

impl RequestKind {
    /// Reads a request's id: the kind, and the subject.
    #[must_use]
    pub fn parse(id: &[u8]) -> (Self, u64) {
        let Some((&letter, digits)) = id.split_first() else { return (Self::Foreign, 0) };
        let kind = match letter {
            b'p' => Self::Place,
            b'r' => Self::Replace,
            b'c' => Self::Cancel,
            b'q' => Self::Status,
            b'x' => Self::CancelAll,
            b'o' => Self::OpenOrders,
            b't' => Self::MyTrades,
            b'f' => Self::Fills,
            b'l' => Self::Logon,
            b's' => Self::Subscribe,
            b'a' => Self::Account,
            _ => return (Self::Foreign, 0),
        };
        if digits.len() != 16 {
            return (Self::Foreign, 0);
        }
        let mut subject = 0u64;
        for &digit in digits {
            let nibble = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return (Self::Foreign, 0),
            };
            subject = (subject << 4) | u64::from(nibble);
        }
        (kind, subject)
    }
}

/// How the session proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// Logged on once with Ed25519: requests carry no signature.
    LoggedOn,
    /// Every request carries the API key and a signature.
    SignedEach,
}

/// Why a request cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// The order contradicts itself: no quantity, a limit without a price, a stop without a stop price, post-only at
    /// market or with a time in force that never rests, or it takes nobody's place or its own.
    BadOrder,
    /// These keys cannot log on: the venue takes Ed25519 for that only.
    CannotLogOn,
    /// Longer than [`REQUEST_BYTES_MAX`].
    TooLong,
}

impl std::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::BadOrder => "the order contradicts itself",
            Self::CannotLogOn => "only Ed25519 keys can log on",
            Self::TooLong => "the request is too long",
        })
    }
}

impl std::error::Error for EncodeError {}

/// Encodes requests. What is answered lies in the encoder until the next call.
pub struct OrderEncoder {
    credentials: Arc<Credentials>,
    kind: SessionKind,
    json: Text,
    /// `name=value&…`, for the signature.
    payload: Text,
}

impl OrderEncoder {
    /// An encoder for a session of this kind.
    #[must_use]
    pub fn new(credentials: Arc<Credentials>, kind: SessionKind) -> Self {
        Self { credentials, kind, json: Text::new(), payload: Text::new() }
    }

    /// How the session proves who it is.
    #[must_use]
    pub const fn kind(&self) -> SessionKind {
        self.kind
    }

    /// A new order (`order.place`, answered by an ACK). Whether it may only reduce a position is risk's matter: spot
    /// knows no such orders.
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn place(&mut self, order: &Order, instrument: &Instrument, timestamp_ms: u64) -> Result<&[u8], EncodeError> {
        check(order)?;
        self.begin(RequestKind::Place, &hexadecimal(order.client_order_id.0), b"order.place");
        self.order(order, instrument, timestamp_ms);
        self.end()
    }

    /// A new order in the place of the working one that it names (`order.cancelReplace`): the venue cancels the one and
    /// places the other, or does neither. With `only_if_unfilled` also where the old one has a fill already.
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn replace(
        &mut self,
        order: &Order,
        only_if_unfilled: bool,
        instrument: &Instrument,
        timestamp_ms: u64,
    ) -> Result<&[u8], EncodeError> {
        check(order)?;
        if order.replaces == ClientOrderId::NONE || order.replaces == order.client_order_id {
            return Err(EncodeError::BadOrder);
        }
        self.begin(RequestKind::Replace, &hexadecimal(order.client_order_id.0), b"order.cancelReplace");
        self.text(b"\"cancelOrigClientOrderId\":\"", &order.replaces.text());
        self.text(b"\"cancelReplaceMode\":\"", b"STOP_ON_FAILURE");
        if only_if_unfilled {
            self.text(b"\"cancelRestrictions\":\"", b"ONLY_NEW");
        }
        self.order(order, instrument, timestamp_ms);
        self.end()
    }

    /// What a new order is described by, in alphabetical order.
    #[inline]
    fn order(&mut self, order: &Order, instrument: &Instrument, timestamp_ms: u64) {
        let is_limit = order.order_type.is_limited();
        self.text(b"\"newClientOrderId\":\"", &order.client_order_id.text());
        self.text(b"\"newOrderRespType\":\"", b"ACK");
        if is_limit {
            let Price(price) = order.price;
            self.decimal(b"\"price\":\"", price, instrument.price_precision);
        }
        let Quantity(quantity) = order.quantity;
        self.decimal(b"\"quantity\":\"", quantity, instrument.quantity_precision);
        // Of two orders of ours that would trade with each other the new one ends, as our own check denies the new one:
        // what rests keeps its place in the queue, and no order ends that risk did not judge.
        self.text(b"\"selfTradePreventionMode\":\"", b"EXPIRE_TAKER");
        match order.side {
            Side::Buy => self.text(b"\"side\":\"", b"BUY"),
            Side::Sell => self.text(b"\"side\":\"", b"SELL"),
        }
        if order.order_type.is_stop() {
            let Price(price) = order.stop_price;
            self.decimal(b"\"stopPrice\":\"", price, instrument.price_precision);
        }
        self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        if is_limit && !order.is_post_only {
            match order.time_in_force {
                // The venue has no days: the engine holds them.
                TimeInForce::GoodTillCanceled | TimeInForce::Day => self.text(b"\"timeInForce\":\"", b"GTC"),
                TimeInForce::ImmediateOrCancel => self.text(b"\"timeInForce\":\"", b"IOC"),
                TimeInForce::FillOrKill => self.text(b"\"timeInForce\":\"", b"FOK"),
            }
        }
        self.number(b"\"timestamp\":", timestamp_ms);
        match (order.order_type, order.is_post_only) {
            (OrderType::Limit, false) => self.text(b"\"type\":\"", b"LIMIT"),
            (OrderType::Limit, true) => self.text(b"\"type\":\"", b"LIMIT_MAKER"),
            (OrderType::Market, _) => self.text(b"\"type\":\"", b"MARKET"),
            (OrderType::Stop, _) => self.text(b"\"type\":\"", b"STOP_LOSS"),
            (OrderType::StopLimit, _) => self.text(b"\"type\":\"", b"STOP_LOSS_LIMIT"),
        }
    }

    /// A cancel (`order.cancel`).
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn cancel(
        &mut self,
        client_order_id: ClientOrderId,
        instrument: &Instrument,
        timestamp_ms: u64,
    ) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::Cancel, &hexadecimal(client_order_id.0), b"order.cancel");
        self.text(b"\"origClientOrderId\":\"", &client_order_id.text());
        self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// A question how an order stands (`order.status`).
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn status(
        &mut self,
        client_order_id: ClientOrderId,
        instrument: &Instrument,
        timestamp_ms: u64,
    ) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::Status, &hexadecimal(client_order_id.0), b"order.status");
        self.text(b"\"origClientOrderId\":\"", &client_order_id.text());
        self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// A cancel of everything in an instrument (`openOrders.cancelAll`).
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn cancel_all(&mut self, instrument: &Instrument, timestamp_ms: u64) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::CancelAll, &hexadecimal(u64::from(instrument.id.0)), b"openOrders.cancelAll");
        self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// A question for the open orders of an instrument, or for all (`openOrders.status`). `question` comes back with the
    /// answer.
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn open_orders(
        &mut self,
        question: u64,
        instrument: Option<&Instrument>,
        timestamp_ms: u64,
    ) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::OpenOrders, &hexadecimal(question), b"openOrders.status");
        if let Some(instrument) = instrument {
            self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        }
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// A question for the fills of an order (`myTrades`).
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn my_trades(
        &mut self,
        instrument: &Instrument,
        venue_order_id: u64,
        timestamp_ms: u64,
    ) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::MyTrades, &hexadecimal(venue_order_id), b"myTrades");
        // The most that one answer may have; without it the venue cuts at 500.
        self.number(b"\"limit\":", 1_000);
        self.number(b"\"orderId\":", venue_order_id);
        self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// A question for the fills in an instrument from this venue number on (`myTrades`), oldest first, at most 1,000.
    /// `question` comes back with the answer.
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn fills(
        &mut self,
        question: u64,
        instrument: &Instrument,
        from: u64,
        timestamp_ms: u64,
    ) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::Fills, &hexadecimal(question), b"myTrades");
        self.number(b"\"fromId\":", from);
        self.number(b"\"limit\":", 1_000);
        self.text(b"\"symbol\":\"", instrument.symbol.as_bytes());
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// The balances (`account.status`), of assets that there are any of. `question` comes back with the answer.
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn account_status(&mut self, question: u64, timestamp_ms: u64) -> Result<&[u8], EncodeError> {
        self.begin(RequestKind::Account, &hexadecimal(question), b"account.status");
        self.plain(b"\"omitZeroBalances\":", b"true");
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end()
    }

    /// The log on of the session (`session.logon`).
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn logon(&mut self, timestamp_ms: u64) -> Result<&[u8], EncodeError> {
        if !self.credentials.can_log_on() {
            return Err(EncodeError::CannotLogOn);
        }
        self.begin_signed(RequestKind::Logon, &hexadecimal(0), b"session.logon");
        self.number(b"\"timestamp\":", timestamp_ms);
        self.end_signed()
    }

    /// The subscription to execution reports (`userDataStream.subscribe`, or with a signature of its own where the
    /// session is not logged on).
    ///
    /// # Errors
    /// As [`EncodeError`] states.
    pub fn subscribe(&mut self, timestamp_ms: u64) -> Result<&[u8], EncodeError> {
        match self.kind {
            SessionKind::LoggedOn => {
                self.begin(RequestKind::Subscribe, &hexadecimal(0), b"userDataStream.subscribe");
                self.end()
            }
            SessionKind::SignedEach => {
                self.begin(RequestKind::Subscribe, &hexadecimal(0), b"userDataStream.subscribe.signature");
                self.number(b"\"timestamp\":", timestamp_ms);
                self.end()
            }
        }
    }

    #[inline]
    fn begin(&mut self, kind: RequestKind, subject: &[u8; 16], method: &[u8]) {
        match self.kind {
            SessionKind::LoggedOn => self.begin_unsigned(kind, subject, method),
            SessionKind::SignedEach => self.begin_signed(kind, subject, method),
        }
    }

    #[inline]
    fn begin_unsigned(&mut self, kind: RequestKind, subject: &[u8; 16], method: &[u8]) {
        self.json.clear();
        self.payload.clear();
        self.json.put(b"{\"id\":\"");
        self.json.put(&[kind as u8]);
        self.json.put(subject);
        self.json.put(b"\",\"method\":\"");
        self.json.put(method);
        self.json.put(b"\",\"params\":{");
    }

    fn begin_signed(&mut self, kind: RequestKind, subject: &[u8; 16], method: &[u8]) {
        self.begin_unsigned(kind, subject, method);
        // The first of all names in the alphabet.
        self.json.put(b"\"apiKey\":\"");
        self.json.put(self.credentials.api_key().as_bytes());
        self.json.put(b"\",");
        self.payload.put(b"apiKey=");
        self.payload.put(self.credentials.api_key().as_bytes());
    }

    #[inline]
    fn end(&mut self) -> Result<&[u8], EncodeError> {
        match self.kind {
            SessionKind::LoggedOn => self.end_unsigned(),
            SessionKind::SignedEach => self.end_signed(),
        }
    }

    #[inline]
    fn end_unsigned(&mut self) -> Result<&[u8], EncodeError> {
        // The comma behind the last parameter gives way to the brace.
        self.json.drop_last(b',');
        self.json.put(b"}}");
        self.json.whole().ok_or(EncodeError::TooLong)
    }

    fn end_signed(&mut self) -> Result<&[u8], EncodeError> {
        let signature = self.credentials.sign(self.payload.whole().ok_or(EncodeError::TooLong)?);
        self.json.put(b"\"signature\":\"");
        self.json.put(signature.as_bytes());
        self.json.put(b"\"}}");
        self.json.whole().ok_or(EncodeError::TooLong)
    }

    /// A parameter whose value is a string; `opening` is all that stands before it, from its name's quote mark on.
    #[inline]
    fn text<const N: usize>(&mut self, opening: &[u8; N], value: &[u8]) {
        self.json.put(opening);
        self.json.put(value);
        self.json.put(b"\",");
        self.sign_too(opening, value);
    }

    /// A parameter whose value is a number or a truth.
    #[inline]
    fn plain<const N: usize>(&mut self, opening: &[u8; N], value: &[u8]) {
        self.json.put(opening);
        self.json.put(value);
        self.json.put(b",");
        self.sign_too(opening, value);
    }

    #[inline]
    fn number<const N: usize>(&mut self, opening: &[u8; N], value: u64) {
        let digits = Digits::new(value, 0);
        self.plain(opening, digits.as_bytes());
    }

    #[inline]
    fn decimal<const N: usize>(&mut self, opening: &[u8; N], value: i64, precision: u8) {
        let digits = Digits::new(value.unsigned_abs(), usize::from(precision));
        self.text(opening, digits.as_bytes());
    }

    #[inline]
    fn sign_too(&mut self, opening: &[u8], value: &[u8]) {
        if !self.payload.is_empty() {
            // The name is what stands between the opening's first two quote marks.
            let name = opening.split(|&byte| byte == b'"').nth(1).unwrap_or_default();
            self.payload.put(b"&");
            self.payload.put(name);
            self.payload.put(b"=");
            self.payload.put(value);
        }
    }
}

/// Whether the order can be written down at all.
///
/// # Errors
/// [`EncodeError::BadOrder`].
#[inline]
fn check(order: &Order) -> Result<(), EncodeError> {
    let rests = order.order_type == OrderType::Limit
        && matches!(order.time_in_force, TimeInForce::GoodTillCanceled | TimeInForce::Day);
    let is_bad = order.quantity.0 <= 0
        || (order.order_type.is_limited() && order.price.0 <= 0)
        || (order.order_type.is_stop() && order.stop_price.0 <= 0)
        || (order.is_post_only && !rests);
    if is_bad { Err(EncodeError::BadOrder) } else { Ok(()) }
}

impl std::fmt::Debug for OrderEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OrderEncoder({:?})", self.kind)
    }
}

#[cfg(test)]
mod tests;
