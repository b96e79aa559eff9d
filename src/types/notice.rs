//! Notices: what hot stages have to say to people. They cross a lane and are put into words on the cold side.

use super::ids::{ClientOrderId, InstrumentId, StrategyId};
use super::order::DenialReason;
use super::time::Timestamp;
use std::fmt;

/// What happened. The meaning of [`Notice::limit`] and [`Notice::observed`] is each code's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum NoticeCode {
    /// A market frame could not be decoded; the excerpt shows where.
    #[default]
    BadMarketFrame,
    /// An order-session frame could not be decoded; the session reconciles.
    BadOrderFrame,
    /// A market frame names a symbol that nobody asked for.
    UnknownSymbol,
    /// A quote or book with the bid at or above the ask.
    CrossedBook,
    /// A depth update does not follow the one before: `limit` expected id, `observed` found id.
    DepthGap,
    /// The book of an instrument is in sync: `observed` its update id.
    DepthSynced,
    /// The book of an instrument is no longer in sync.
    DepthLost,
    /// A snapshot was older than the updates held back: it is fetched again.
    SnapshotTooOld,
    /// A connection was made.
    Connected,
    /// A connection was lost; the excerpt says why.
    Disconnected,
    /// Nothing was received for `observed` ns where `limit` is allowed.
    Silent,
    /// Risk denied an order; `reason`, `limit` and `observed` are the control's.
    Denied,
    /// The venue refused an order: `observed` is its code, the excerpt its words.
    Rejected,
    /// The venue refused to cancel an order: `observed` is its code.
    CancelRejected,
    /// An order's fate is not proven.
    OrderUnknown,
    /// A fill was booked after the order was terminal.
    LateFill,
    /// A fill came twice; the second was not booked.
    DuplicateFill,
    /// The venue counts `observed` filled where `limit` is booked: its trades are asked for.
    MissingFill,
    /// A report of an order that is not ours.
    ExternalOrder,
    /// A strategy's handler answered an error: `observed` is its code, `limit` how many in a row.
    StrategyError,
    /// A strategy was paused after three errors in a row.
    StrategyPaused,
    /// A strategy's handler panicked; it runs no more, its orders are canceled.
    StrategyPanicked,
    /// A strategy was stopped.
    StrategyStopped,
    /// A strategy is not run at all, as a handler of it had stopped the engine.
    StrategyQuarantined,
    /// A handler took `observed` ns where `limit` is its budget.
    StrategySlow,
    /// The kill word was read.
    Killed,
    /// The trading state changed: `observed` is the new one's number.
    TradingStateChanged,
    /// Limits or position were exceeded by a fill: reduce-only.
    PositionOverLimit,
    /// The order session is ready.
    SessionReady,
    /// Something that the configuration or the venue's answer makes impossible; the excerpt says what.
    Misconfigured,
    /// Our books and the venue's do not agree: `limit` the venue's, `observed` ours, in the asset that the excerpt names.
    /// Reduce-only there until they do.
    BooksDisagree,
    /// Our books and the venue's agree again.
    BooksAgree,
    /// A round of reconciliation brought no answer; it proves nothing and is made again.
    ReconcileFailed,
    /// An order that is not ours was adopted: it counts in the account's exposure, and belongs to no strategy.
    ExternalAdopted,
    /// Money came or left other than by trading: `observed`, in the asset that the excerpt names.
    Transfer,
    /// A breaker stopped something: `reason`, `limit` and `observed` are its control's.
    BreakerTripped,
    /// A figure comes near to its limit: `reason` and `observed` are its control's, `limit` is where people are told.
    LimitNear,
    /// A breaker, or a latch, was set back.
    BreakerReset,
    /// New limits are in force: `observed` is their version.
    LimitsChanged,
    /// An order passed by an override: `reason` is the control's that would have denied it, `observed` how many more pass.
    OverrideUsed,
    /// A scope was killed or released; the excerpt names it.
    KillChanged,
    /// The venue sends nothing our way until `observed`, in ns since the epoch.
    VenueBan,
    /// What a bracket should protect has no stop at the venue: `observed` the quantity, `limit` the failures so far, the
    /// excerpt says why.
    PositionUnprotected,
    /// It has one again: `observed` the quantity.
    PositionProtected,
    /// A bracket ended, leaving `observed` of what it protected open; the excerpt says why.
    BracketEnded,
    /// A line that a strategy wrote.
    StrategyLog,
    /// A strategy's signal: `observed` is its confidence in percent, the excerpt its reason.
    StrategySignal,
}

/// A short piece of text or of bytes as received, cut to fit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl Excerpt {
    /// How much is kept.
    pub const BYTES_MAX: usize = 95;

    /// Nothing.
    pub const EMPTY: Self = Self { bytes: [0; Self::BYTES_MAX], length: 0 };

    /// The first bytes of `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        let mut excerpt = Self::EMPTY;
        let mut length = 0u8;
        for (slot, &byte) in excerpt.bytes.iter_mut().zip(bytes) {
            *slot = byte;
            length += 1;
        }
        excerpt.length = length;
        excerpt
    }

    /// What was kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Default for Excerpt {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl fmt::Display for Excerpt {
    /// Writes the bytes as text; what is not visible ASCII is escaped, as the text comes from outside.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.as_bytes().escape_ascii())
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// One notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The allowed or expected value; each code's own unit.
    pub limit: i128,
    /// The observed value; each code's own unit.
    pub observed: i128,
    /// When.
    pub at: Timestamp,
    /// Which order, if one.
    pub client_order_id: ClientOrderId,
    /// Which instrument, if one.
    pub instrument: InstrumentId,
    /// Which strategy, if one.
    pub strategy: StrategyId,
    /// Why risk denied, if it did.
    pub reason: DenialReason,
    /// What happened.
    pub code: NoticeCode,
    /// What it was found in, or said.
    pub excerpt: Excerpt,
}

impl Notice {
    /// A notice of `code` at `at`, about nothing in particular yet.
    #[must_use]
    pub const fn new(code: NoticeCode, at: Timestamp) -> Self {
        Self {
            limit: 0,
            observed: 0,
            at,
            client_order_id: ClientOrderId::NONE,
            instrument: InstrumentId::NONE,
            strategy: StrategyId::NONE,
            reason: DenialReason::None,
            code,
            excerpt: Excerpt::EMPTY,
        }
    }

    /// The same about this instrument.
    #[must_use]
    pub const fn instrument(mut self, instrument: InstrumentId) -> Self {
        self.instrument = instrument;
        self
    }

    /// The same about this strategy.
    #[must_use]
    pub const fn strategy(mut self, strategy: StrategyId) -> Self {
        self.strategy = strategy;
        self
    }

    /// The same about this order and its strategy.
    #[must_use]
    pub const fn order(mut self, client_order_id: ClientOrderId) -> Self {
        self.client_order_id = client_order_id;
        self.strategy = client_order_id.strategy();
        self
    }

    /// The same with what was allowed and what was found.
    #[must_use]
    pub const fn values(mut self, limit: i128, observed: i128) -> Self {
        self.limit = limit;
        self.observed = observed;
        self
    }

    /// The same with an excerpt.
    #[must_use]
    pub fn excerpt(mut self, bytes: &[u8]) -> Self {
        self.excerpt = Excerpt::new(bytes);
        self
    }
}

impl Default for Notice {
    fn default() -> Self {
        Self::new(NoticeCode::default(), Timestamp::UNKNOWN)
    }
}

const _: () = assert!(size_of::<Notice>() <= 192);
