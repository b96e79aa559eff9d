//! Orders, their states, and the reasons for which risk denies one.

use super::fixed::{Price, Quantity};
use super::ids::{ClientOrderId, InstrumentId, StrategyId};
use std::fmt;

/// Which side of the book an order is on, or which side the aggressor of a trade was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Side {
    /// Buys the base asset.
    #[default]
    Buy,
    /// Sells the base asset.
    Sell,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }

    /// `1` for a buy, `-1` for a sell: the sign of a fill in a position.
    #[must_use]
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }

    /// `0` for a buy, `1` for a sell.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::Buy => 0,
            Self::Sell => 1,
        }
    }
}

/// How an order is priced. Stop orders come with the order state machine's own issue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderType {
    /// At its limit price or better.
    #[default]
    Limit,
    /// At whatever price the book has.
    Market,
}

/// How long an order works.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until filled or canceled.
    #[default]
    GoodTillCanceled,
    /// What does not fill at once is canceled.
    ImmediateOrCancel,
    /// Fills whole at once or not at all.
    FillOrKill,
}

/// Whether a fill took liquidity or made it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LiquiditySide {
    /// Rested in the book.
    #[default]
    Maker,
    /// Crossed the book.
    Taker,
}

/// What the engine may do with orders, from most to least.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum TradingState {
    /// Everything that risk allows.
    Active,
    /// Only orders that bring a position closer to zero.
    ReduceOnly,
    /// No new orders; cancels pass.
    CancelOnly,
    /// No new orders, all working ones canceled; sticky until released.
    #[default]
    Halted,
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderStatus {
    /// Approved by risk, not yet on the wire.
    #[default]
    Created,
    /// On the wire, unanswered.
    Sent,
    /// Working at the venue.
    Accepted,
    /// Working, filled in part.
    PartiallyFilled,
    /// Working, a cancel on the wire.
    PendingCancel,
    /// Its fate is not proven; it keeps its whole risk reserve until the venue tells.
    Unknown,
    /// Filled whole.
    Filled,
    /// Canceled, perhaps after partial fills.
    Canceled,
    /// Refused by the venue.
    Rejected,
    /// Ended by its time in force or by the venue.
    Expired,
    /// Refused by our own risk; never left the engine.
    Denied,
}

impl OrderStatus {
    /// Whether no further change of status is due (a late fill may still be booked).
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Canceled | Self::Rejected | Self::Expired | Self::Denied)
    }

    /// Whether the order rests, or may rest, in the venue's book.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !self.is_terminal()
    }
}

/// What is wanted of the venue: the part of an order that never changes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Order {
    /// Our id for it.
    pub client_order_id: ClientOrderId,
    /// The limit price; zero for market orders.
    pub price: Price,
    /// How much, always positive.
    pub quantity: Quantity,
    /// In what.
    pub instrument: InstrumentId,
    /// For whom.
    pub strategy: StrategyId,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
    /// How long it works.
    pub time_in_force: TimeInForce,
    /// Must not take liquidity: the venue refuses it where it would.
    pub is_post_only: bool,
    /// Must bring the position closer to zero.
    pub is_reduce_only: bool,
}

const _: () = assert!(size_of::<Order>() == 40);

/// Why risk denied an order. Numbers are permanent and only ever added to; the hundreds are the control's number in the
/// published list of controls (C03 is 300 to 399), except 0 to 99, which are the engine's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
#[non_exhaustive]
pub enum DenialReason {
    /// Not denied.
    #[default]
    None = 0,
    /// The lane towards risk was full.
    LaneFull = 1,
    /// The lane towards the gateway was full.
    GatewayBusy = 2,
    /// The order table is full.
    OrderTableFull = 3,
    /// No client order id is left in this epoch.
    OrderIdExhausted = 4,
    /// The strategy is stopping or stopped.
    StrategyNotRunning = 5,
    /// One call of a handler wanted more orders than it may.
    StrategyBurst = 6,
    /// C01: the kill switch is set.
    KillSwitchActive = 100,
    /// C03: the trading state allows only orders that reduce the position.
    ReduceOnlyIncrease = 300,
    /// C03: the trading state allows cancels only.
    CancelOnly = 301,
    /// C03: trading is halted.
    Halted = 302,
    /// C04: not everything that must be ready before the first order is.
    NotReady = 400,
    /// C05: the strategy may not trade this instrument.
    NotPermitted = 500,
    /// C07: the venue does not trade the instrument now.
    InstrumentHalted = 700,
    /// C08: the quantity is not positive, not within the venue's bounds, or overflows.
    BadQuantity = 800,
    /// C08: the price is not positive or not within the venue's bounds.
    BadPrice = 801,
    /// C08: the price is off the tick.
    BadTick = 802,
    /// C08: the quantity is off the lot.
    BadLot = 803,
    /// C08: price times quantity is below the venue's minimum.
    MinNotional = 804,
    /// C08: price times quantity does not fit.
    NotionalOverflow = 805,
    /// C08: the instrument is unknown.
    UnknownInstrument = 806,
    /// C08: the fields of the order contradict each other.
    BadOrder = 807,
    /// C09: this client order id was used before.
    DuplicateClientOrderId = 900,
    /// C11: the market data is too old.
    StaleMarketData = 1100,
    /// C11: the book is not in sync with the venue.
    BookNotSynced = 1101,
    /// C12: there is no reference price.
    NoReferencePrice = 1200,
    /// C13: the price is too far on the aggressive side of the reference.
    PriceCollar = 1300,
    /// C13: the price is too far on the passive side of the reference.
    PriceTooFar = 1301,
    /// C16: the order's quantity is over the limit.
    MaxOrderQuantity = 1600,
    /// C16: the order is too large a share of the visible depth.
    MaxDepthShare = 1601,
    /// C17: the order's notional is over the limit.
    MaxOrderNotional = 1700,
    /// C18: the worst-case position is over the limit.
    MaxPosition = 1800,
    /// C24: too many messages.
    RateLimit = 2400,
    /// C40: a limit that this check needs is not configured.
    LimitNotConfigured = 4000,
}

impl DenialReason {
    /// Every reason but [`DenialReason::None`], in order of number.
    pub const ALL: [Self; 33] = [
        Self::LaneFull,
        Self::GatewayBusy,
        Self::OrderTableFull,
        Self::OrderIdExhausted,
        Self::StrategyNotRunning,
        Self::StrategyBurst,
        Self::KillSwitchActive,
        Self::ReduceOnlyIncrease,
        Self::CancelOnly,
        Self::Halted,
        Self::NotReady,
        Self::NotPermitted,
        Self::InstrumentHalted,
        Self::BadQuantity,
        Self::BadPrice,
        Self::BadTick,
        Self::BadLot,
        Self::MinNotional,
        Self::NotionalOverflow,
        Self::UnknownInstrument,
        Self::BadOrder,
        Self::DuplicateClientOrderId,
        Self::StaleMarketData,
        Self::BookNotSynced,
        Self::NoReferencePrice,
        Self::PriceCollar,
        Self::PriceTooFar,
        Self::MaxOrderQuantity,
        Self::MaxDepthShare,
        Self::MaxOrderNotional,
        Self::MaxPosition,
        Self::RateLimit,
        Self::LimitNotConfigured,
    ];

    /// The name in reports: `PRICE_COLLAR`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::LaneFull => "LANE_FULL",
            Self::GatewayBusy => "GATEWAY_BUSY",
            Self::OrderTableFull => "ORDER_TABLE_FULL",
            Self::OrderIdExhausted => "ORDER_ID_EXHAUSTED",
            Self::StrategyNotRunning => "STRATEGY_NOT_RUNNING",
            Self::StrategyBurst => "STRATEGY_BURST",
            Self::KillSwitchActive => "KILL_SWITCH_ACTIVE",
            Self::ReduceOnlyIncrease => "REDUCE_ONLY_INCREASE",
            Self::CancelOnly => "CANCEL_ONLY",
            Self::Halted => "HALTED",
            Self::NotReady => "NOT_READY",
            Self::NotPermitted => "NOT_PERMITTED",
            Self::InstrumentHalted => "INSTRUMENT_HALTED",
            Self::BadQuantity => "BAD_QTY",
            Self::BadPrice => "BAD_PRICE",
            Self::BadTick => "BAD_TICK",
            Self::BadLot => "BAD_LOT",
            Self::MinNotional => "MIN_NOTIONAL",
            Self::NotionalOverflow => "NOTIONAL_OVERFLOW",
            Self::UnknownInstrument => "UNKNOWN_INSTRUMENT",
            Self::BadOrder => "BAD_ORDER",
            Self::DuplicateClientOrderId => "DUPLICATE_CLORDID",
            Self::StaleMarketData => "STALE_MARKET_DATA",
            Self::BookNotSynced => "BOOK_NOT_SYNCED",
            Self::NoReferencePrice => "NO_REFERENCE_PRICE",
            Self::PriceCollar => "PRICE_COLLAR",
            Self::PriceTooFar => "PRICE_TOO_FAR",
            Self::MaxOrderQuantity => "MAX_ORDER_QTY",
            Self::MaxDepthShare => "MAX_DEPTH_SHARE",
            Self::MaxOrderNotional => "MAX_ORDER_NOTIONAL",
            Self::MaxPosition => "MAX_POSITION",
            Self::RateLimit => "RATE_LIMIT",
            Self::LimitNotConfigured => "LIMIT_NOT_CONFIGURED",
        }
    }
}

impl fmt::Display for DenialReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A denial: the reason, the limit and what was observed. The unit is the control's own (lots, ticks, nanoseconds,
/// basis points, or [`Money`](super::Money) for notionals).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Denial {
    /// Why.
    pub reason: DenialReason,
    /// What would have been allowed.
    pub limit: i128,
    /// What was asked or found.
    pub observed: i128,
}
