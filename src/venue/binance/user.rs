//! The order session's incoming side: answers to requests, and the user data stream's events.

use super::document::{Document, Value, pick};
use super::market::DecodeError;
use super::order_entry::RequestKind;
use crate::types::{AssetId, ClientOrderId, Excerpt, ExecutionReport, Instruments, Money, Timestamp, VenueId};
use std::sync::Arc;

mod decode;

use decode::Names;
pub(super) use decode::{parse_money, venue_error};

/// The most orders or fills taken from one answer: what the venue itself answers at most. One more is an error, and the
/// session asks in smaller parts.
pub const ROWS_MAX: usize = 1_000;
/// The most balances taken from one answer; of assets that no configured instrument uses none is taken.
pub const BALANCES_MAX: usize = 1_000;

/// What a frame of the order session says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UserFrame {
    /// The answer to a request; its rows are in [`UserCodec::reports`] and [`UserCodec::balances`].
    Response(Response),
    /// An execution report. `received_ns` is left unknown: the gateway knows it.
    Report(ExecutionReport),
    /// An execution report of a type or status that we do not know: the order is to be asked about. What could be read
    /// of it is here.
    UnknownReport(ExecutionReport),
    /// Balances changed; the new ones are in [`UserCodec::balances`].
    Account(Account),
    /// The stream of execution reports ended: subscribe again, and reconcile.
    StreamTerminated,
    /// The server will shut down: connect anew.
    Shutdown,
    /// Well-formed, and nothing that we decode.
    Other,
}

/// Balances changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The venue's instant of it.
    pub exchange_ns: Timestamp,
    /// Whether the balances are absolute; else they are differences (a deposit or a withdrawal).
    pub is_absolute: bool,
}

/// One asset of the account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// Of what.
    pub asset: AssetId,
    /// What is free; of a difference, the difference.
    pub free: Money,
    /// What open orders hold.
    pub locked: Money,
}

/// What the venue refused with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VenueError {
    /// Its code: -2010 is a new order refused.
    pub code: i32,
    /// Its words.
    pub message: Excerpt,
    /// For how long nothing may be sent: until this instant (429 and 418).
    pub retry_after: Timestamp,
}

/// What became of one half of a replace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leg {
    /// Done.
    Done,
    /// Refused with this code.
    Refused(i32),
    /// Not tried, as the other half had failed.
    NotTried,
    /// The venue does not say.
    Unproven,
}

/// What became of a replace: its two halves, the venue's answer to which is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Legs {
    /// The cancel of the old order.
    pub cancel: Leg,
    /// The new order.
    pub place: Leg,
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// What was asked.
    pub kind: RequestKind,
    /// About what: see [`RequestKind`].
    pub subject: u64,
    /// As HTTP's: 200 is done.
    pub status: u16,
    /// Why not, where not.
    pub error: Option<VenueError>,
    /// Of a replace, what became of its halves, where the venue says so.
    pub legs: Option<Legs>,
    /// The request weight used in the running minute; zero where the answer does not say.
    pub used_weight: u32,
    /// The orders counted in the running ten seconds; zero where the answer does not say.
    pub used_orders: u32,
}

impl Response {
    /// The order that it is about, where it is about one.
    #[must_use]
    pub const fn client_order_id(&self) -> ClientOrderId {
        match self.kind {
            RequestKind::Place | RequestKind::Replace | RequestKind::Cancel | RequestKind::Status => {
                ClientOrderId(self.subject)
            }
            _ => ClientOrderId::NONE,
        }
    }
}

/// Decodes the frames of an order session. Correct rather than fast: `simd-json` into buffers that are kept.
pub struct UserCodec {
    document: Document,
    names: Names,
    reports: Vec<ExecutionReport>,
    balances: Vec<Balance>,
}

impl UserCodec {
    /// A codec for an account that trades these instruments of this venue.
    #[must_use]
    pub fn new(instruments: Arc<Instruments>, venue: VenueId) -> Self {
        Self {
            document: Document::new(),
            names: Names { instruments, venue },
            reports: Vec::with_capacity(ROWS_MAX),
            balances: Vec::with_capacity(BALANCES_MAX),
        }
    }

    /// The orders or fills of the answer decoded last.
    ///
    /// By their kind: an order that was placed is `Accepted`, one that was canceled `Canceled`, one that
    /// was asked about `Status`, a fill `Fill` (with the venue's number of its order: the
    /// venue does not repeat ours). Of a replace, what was canceled comes before what was placed.
    #[must_use]
    pub fn reports(&self) -> &[ExecutionReport] {
        &self.reports
    }

    /// The balances of the answer or event decoded last.
    #[must_use]
    pub fn balances(&self) -> &[Balance] {
        &self.balances
    }

    /// Decodes one frame, which is overwritten.
    ///
    /// # Errors
    /// As [`DecodeError`] states: the session must then reconcile, as what the frame said is lost.
    pub fn decode_user(&mut self, frame: &mut [u8]) -> Result<UserFrame, DecodeError> {
        let (names, reports, balances) = (&self.names, &mut self.reports, &mut self.balances);
        reports.clear();
        balances.clear();
        self.document.parse(frame, |root| {
            // An event comes bare, in the WebSocket API's wrapper, or in that of a combined stream.
            // Not every event in the wrapper names a subscription: a server that will shut down says so to all.
            let [event, data, stream] = pick(root, &["event", "data", "stream"])?;
            let event = event.or(data.filter(|_| stream.is_some())).unwrap_or(root);
            let [kind] = pick(event, &["e"])?;
            match kind.map(Value::text) {
                Some(Some("executionReport")) => names.execution_report(event),
                Some(Some("outboundAccountPosition")) => names.account_position(event, balances),
                Some(Some("balanceUpdate")) => names.balance_update(event, balances),
                Some(Some("eventStreamTerminated")) => Ok(UserFrame::StreamTerminated),
                Some(Some("serverShutdown")) => Ok(UserFrame::Shutdown),
                Some(Some(_)) => Ok(UserFrame::Other),
                Some(None) => Err(DecodeError::Field("e")),
                None => names.response(root, reports, balances).map(UserFrame::Response),
            }
        })
    }

    /// Decodes a REST answer that lists orders (`openOrders`, `allOrders`).
    ///
    /// # Errors
    /// As [`DecodeError`] states.
    pub fn decode_orders(&mut self, body: &mut [u8]) -> Result<&[ExecutionReport], DecodeError> {
        self.decode_list(RequestKind::OpenOrders, body)
    }

    /// Decodes a REST answer that lists fills (`myTrades`).
    ///
    /// # Errors
    /// As [`DecodeError`] states.
    pub fn decode_trades(&mut self, body: &mut [u8]) -> Result<&[ExecutionReport], DecodeError> {
        self.decode_list(RequestKind::MyTrades, body)
    }

    fn decode_list(&mut self, kind: RequestKind, body: &mut [u8]) -> Result<&[ExecutionReport], DecodeError> {
        let (names, reports) = (&self.names, &mut self.reports);
        reports.clear();
        self.document.parse(body, |root| {
            if root.is_array() { names.rows(kind, root, reports) } else { Err(DecodeError::Field("result")) }
        })?;
        Ok(&self.reports)
    }
}

impl std::fmt::Debug for UserCodec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UserCodec({} instruments)", self.names.instruments.len())
    }
}

#[cfg(test)]
mod tests;
