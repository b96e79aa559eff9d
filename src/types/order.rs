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

/// How an order is priced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OrderType {
    /// At its limit price or better.
    #[default]
    Limit,
    /// At whatever price the book has.
    Market,
    /// A market order once the market trades at its stop price or beyond; it does not rest in the book before.
    Stop,
    /// A limit order once the market trades at its stop price or beyond; it does not rest in the book before.
    StopLimit,
}

impl OrderType {
    /// Whether it has a limit price.
    #[must_use]
    pub const fn is_limited(self) -> bool {
        matches!(self, Self::Limit | Self::StopLimit)
    }

    /// Whether it waits for a stop price.
    #[must_use]
    pub const fn is_stop(self) -> bool {
        matches!(self, Self::Stop | Self::StopLimit)
    }
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
    /// Until filled, canceled, or the venue's trading day ends. Where the venue has no such orders (spot crypto), the
    /// engine holds the day: it sends them good till canceled and cancels them when the day is over.
    Day,
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
    /// Working, an order that is to take its place on the wire.
    PendingReplace,
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

/// What is wanted of the venue: the part of an order that never changes. One cache line.
///
/// To replace (amend) an order is to send another under an id of its own that names the one whose place it takes
/// ([`Order::replaces`]): the venue cancels the one and places the other in one step, or does neither.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Order {
    /// Our id for it.
    pub client_order_id: ClientOrderId,
    /// The working order whose place it takes; [`ClientOrderId::NONE`] for a new one.
    pub replaces: ClientOrderId,
    /// The limit price; zero for market and stop orders.
    pub price: Price,
    /// The price at which a stop order is triggered; zero for others.
    pub stop_price: Price,
    /// How much, always positive. In an intent that replaces: how much in all, what the replaced order has filled
    /// included; risk takes that off, by its own books, when it approves.
    pub quantity: Quantity,
    /// The quantity that all children of [`Order::parent`] together may fill; zero without a parent.
    pub parent_quantity: Quantity,
    /// In what.
    pub instrument: InstrumentId,
    /// The strategy's own number of the larger order that this one is a part of; zero for none.
    pub parent: u32,
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

const _: () = assert!(size_of::<Order>() == 64);

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
    /// C02: the strategy is killed.
    KilledStrategy = 200,
    /// C02: the instrument is killed.
    KilledInstrument = 201,
    /// C02: the venue is killed.
    KilledVenue = 202,
    /// C02: the account is killed.
    KilledAccount = 203,
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
    /// C06: the instrument, or this side of it, is on the restricted list.
    RestrictedSymbol = 600,
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
    /// C10: the same order came too often within a short time.
    DuplicateOrder = 1000,
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
    /// C14: our own orders walk the reference price.
    PriceDrift = 1400,
    /// C15: market orders are not allowed here.
    MarketOrderNotAllowed = 1500,
    /// C16: the order's quantity is over the limit.
    MaxOrderQuantity = 1600,
    /// C16: the order is too large a share of the visible depth.
    MaxDepthShare = 1601,
    /// C16: the order is too large a share of what is traded in a day.
    MaxVolumeShare = 1602,
    /// C17: the order's notional is over the limit.
    MaxOrderNotional = 1700,
    /// C18: the worst-case position is over the limit.
    MaxPosition = 1800,
    /// C19: the account's gross exposure would be over the limit.
    MaxGross = 1900,
    /// C19: the account's net exposure would be over the limit.
    MaxNet = 1901,
    /// C19: there is no rate into the account's currency, or it is too old.
    StaleFx = 1902,
    /// C20: the account does not hold what the order could cost.
    InsufficientBuyingPower = 2000,
    /// C20: the strategy's capital in this instrument is used up.
    AllocationExceeded = 2001,
    /// C21: too many open orders.
    MaxOpenOrders = 2100,
    /// C21: what rests in open orders would be over the limit.
    MaxRestingNotional = 2101,
    /// C22: too much was traded within the rolling window.
    MaxTurnover = 2200,
    /// C22: too much was traded today.
    MaxDailyTurnover = 2201,
    /// C23: the strategy lost too much today.
    DailyLossLimit = 2300,
    /// C23: the strategy is too far below its best.
    MaxDrawdown = 2301,
    /// C24: too many messages.
    RateLimit = 2400,
    /// C25: our share of the venue's own request limits is used up.
    VenueBudget = 2500,
    /// C26: too many entries in one direction without a person's doing.
    RepeatExecution = 2600,
    /// C27: too many messages for each fill.
    OrderToTradeRatio = 2700,
    /// C28: the parts of a larger order would exceed it.
    ChildExceedsParent = 2800,
    /// C29: the order would trade with one of our own.
    SelfTrade = 2900,
    /// C30: the new quantity is not above what is filled.
    AmendBelowFilled = 3000,
    /// C30: the order to be replaced does not work, or its state is not settled.
    OrderNotAmendable = 3001,
    /// C31: a cancel of this order is on its way, or was refused too often.
    CancelPending = 3100,
    /// C32: the venue refuses too many orders.
    RejectStorm = 3200,
    /// C33: too many fills in a short time.
    FillRate = 3300,
    /// C33: a fill was too far from the price that was decided on.
    Slippage = 3301,
    /// C34: the fate of too many orders is not proven, or of one for too long.
    TooManyUnknown = 3400,
    /// C35: the order session is up, but reports of executions do not come.
    ExecStreamDown = 3500,
    /// C37: the venue's clock and ours are too far apart, or ours has jumped.
    ClockSkew = 3700,
    /// C38: the journal has no room for orders, or cannot be written.
    JournalUnavailable = 3800,
    /// C39: the strategy's thread is stuck, or its orders come too late.
    StrategyStalled = 3900,
    /// C40: a limit that this check needs is not configured.
    LimitNotConfigured = 4000,
    /// C40: a limit was to be raised by more than the allowed factor, or by one person alone.
    ConfigChangeTooLarge = 4001,
    /// C41: keys, venue and mode (simulated, paper, live) do not belong together.
    ModeMismatch = 4100,
    /// C41: this program or configuration is not approved for live trading.
    BuildNotApproved = 4101,
}

impl DenialReason {
    /// Every reason but [`DenialReason::None`], in order of number.
    pub const ALL: [Self; 72] = [
        Self::LaneFull,
        Self::GatewayBusy,
        Self::OrderTableFull,
        Self::OrderIdExhausted,
        Self::StrategyNotRunning,
        Self::StrategyBurst,
        Self::KillSwitchActive,
        Self::KilledStrategy,
        Self::KilledInstrument,
        Self::KilledVenue,
        Self::KilledAccount,
        Self::ReduceOnlyIncrease,
        Self::CancelOnly,
        Self::Halted,
        Self::NotReady,
        Self::NotPermitted,
        Self::RestrictedSymbol,
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
        Self::DuplicateOrder,
        Self::StaleMarketData,
        Self::BookNotSynced,
        Self::NoReferencePrice,
        Self::PriceCollar,
        Self::PriceTooFar,
        Self::PriceDrift,
        Self::MarketOrderNotAllowed,
        Self::MaxOrderQuantity,
        Self::MaxDepthShare,
        Self::MaxVolumeShare,
        Self::MaxOrderNotional,
        Self::MaxPosition,
        Self::MaxGross,
        Self::MaxNet,
        Self::StaleFx,
        Self::InsufficientBuyingPower,
        Self::AllocationExceeded,
        Self::MaxOpenOrders,
        Self::MaxRestingNotional,
        Self::MaxTurnover,
        Self::MaxDailyTurnover,
        Self::DailyLossLimit,
        Self::MaxDrawdown,
        Self::RateLimit,
        Self::VenueBudget,
        Self::RepeatExecution,
        Self::OrderToTradeRatio,
        Self::ChildExceedsParent,
        Self::SelfTrade,
        Self::AmendBelowFilled,
        Self::OrderNotAmendable,
        Self::CancelPending,
        Self::RejectStorm,
        Self::FillRate,
        Self::Slippage,
        Self::TooManyUnknown,
        Self::ExecStreamDown,
        Self::ClockSkew,
        Self::JournalUnavailable,
        Self::StrategyStalled,
        Self::LimitNotConfigured,
        Self::ConfigChangeTooLarge,
        Self::ModeMismatch,
        Self::BuildNotApproved,
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
            Self::KilledStrategy => "KILLED_STRATEGY",
            Self::KilledInstrument => "KILLED_INSTRUMENT",
            Self::KilledVenue => "KILLED_VENUE",
            Self::KilledAccount => "KILLED_ACCOUNT",
            Self::ReduceOnlyIncrease => "REDUCE_ONLY_INCREASE",
            Self::CancelOnly => "CANCEL_ONLY",
            Self::Halted => "HALTED",
            Self::NotReady => "NOT_READY",
            Self::NotPermitted => "NOT_PERMITTED",
            Self::RestrictedSymbol => "RESTRICTED_SYMBOL",
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
            Self::DuplicateOrder => "DUPLICATE_ORDER",
            Self::StaleMarketData => "STALE_MARKET_DATA",
            Self::BookNotSynced => "BOOK_NOT_SYNCED",
            Self::NoReferencePrice => "NO_REFERENCE_PRICE",
            Self::PriceCollar => "PRICE_COLLAR",
            Self::PriceTooFar => "PRICE_TOO_FAR",
            Self::PriceDrift => "PRICE_DRIFT",
            Self::MarketOrderNotAllowed => "MARKET_ORDER_NOT_ALLOWED",
            Self::MaxOrderQuantity => "MAX_ORDER_QTY",
            Self::MaxDepthShare => "MAX_DEPTH_SHARE",
            Self::MaxVolumeShare => "MAX_VOLUME_SHARE",
            Self::MaxOrderNotional => "MAX_ORDER_NOTIONAL",
            Self::MaxPosition => "MAX_POSITION",
            Self::MaxGross => "MAX_GROSS",
            Self::MaxNet => "MAX_NET",
            Self::StaleFx => "STALE_FX",
            Self::InsufficientBuyingPower => "INSUFFICIENT_BUYING_POWER",
            Self::AllocationExceeded => "ALLOCATION_EXCEEDED",
            Self::MaxOpenOrders => "MAX_OPEN_ORDERS",
            Self::MaxRestingNotional => "MAX_RESTING_NOTIONAL",
            Self::MaxTurnover => "MAX_TURNOVER",
            Self::MaxDailyTurnover => "MAX_DAILY_TURNOVER",
            Self::DailyLossLimit => "DAILY_LOSS_LIMIT",
            Self::MaxDrawdown => "MAX_DRAWDOWN",
            Self::RateLimit => "RATE_LIMIT",
            Self::VenueBudget => "VENUE_BUDGET",
            Self::RepeatExecution => "REPEAT_EXECUTION",
            Self::OrderToTradeRatio => "OTR_LIMIT",
            Self::ChildExceedsParent => "CHILD_EXCEEDS_PARENT",
            Self::SelfTrade => "SELF_TRADE",
            Self::AmendBelowFilled => "AMEND_BELOW_FILLED",
            Self::OrderNotAmendable => "ORDER_NOT_AMENDABLE",
            Self::CancelPending => "CANCEL_PENDING",
            Self::RejectStorm => "REJECT_STORM",
            Self::FillRate => "FILL_RATE",
            Self::Slippage => "SLIPPAGE",
            Self::TooManyUnknown => "TOO_MANY_UNKNOWN",
            Self::ExecStreamDown => "EXEC_STREAM_DOWN",
            Self::ClockSkew => "CLOCK_SKEW",
            Self::JournalUnavailable => "JOURNAL_UNAVAILABLE",
            Self::StrategyStalled => "STRATEGY_STALLED",
            Self::LimitNotConfigured => "LIMIT_NOT_CONFIGURED",
            Self::ConfigChangeTooLarge => "CONFIG_CHANGE_TOO_LARGE",
            Self::ModeMismatch => "MODE_MISMATCH",
            Self::BuildNotApproved => "BUILD_NOT_APPROVED",
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
