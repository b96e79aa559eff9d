//! What stages say to each other: fixed-size `Copy` structs, one lane for each pair and kind.
//!
//! A market message is one cache line; what concerns an order is two. Instants ride along so that each stage's share
//! of tick-to-trade can be told from the message alone.

use super::fixed::{Price, Quantity};
use super::ids::{AssetId, ClientOrderId, InstrumentId, StrategyId, VenueId};
use super::money::Money;
use super::order::{DenialReason, LiquiditySide, Order, OrderStatus, OrderType, Side, TradingState};
use super::time::Timestamp;

/// The best bid and ask. A side with quantity zero is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Quote {
    /// Best bid price.
    pub bid: Price,
    /// What is bid there.
    pub bid_quantity: Quantity,
    /// Best ask price.
    pub ask: Price,
    /// What is asked there.
    pub ask_quantity: Quantity,
    /// The venue's instant of it; unknown on spot, whose quotes carry none.
    pub exchange_ns: Timestamp,
    /// When the feed had its bytes.
    pub received_ns: Timestamp,
}

impl Quote {
    /// Whether both sides are there and the bid is below the ask.
    #[must_use]
    pub const fn is_two_sided(&self) -> bool {
        self.bid_quantity.0 > 0 && self.ask_quantity.0 > 0 && self.bid.0 < self.ask.0
    }

    /// The middle of bid and ask, rounded down to a price unit; `None` where a side is missing or the quote is crossed.
    #[must_use]
    pub const fn mid(&self) -> Option<Price> {
        if self.is_two_sided() { Some(Price(self.bid.0 + (self.ask.0 - self.bid.0) / 2)) } else { None }
    }
}

/// One trade, or several of one aggressor side summed because a lane was full (then `count` is over 1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Trade {
    /// The price; of several, that of the last.
    pub price: Price,
    /// The quantity; of several, the sum.
    pub quantity: Quantity,
    /// The highest price among them.
    pub high: Price,
    /// The lowest price among them.
    pub low: Price,
    /// The venue's instant of it (the trade's own, not the event's).
    pub exchange_ns: Timestamp,
    /// When the feed had its bytes.
    pub received_ns: Timestamp,
}

/// One level of a depth update or snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DepthLevel {
    /// The level's price.
    pub price: Price,
    /// What rests there now; zero takes the level away.
    pub quantity: Quantity,
    /// The venue's id of the update this level belongs to.
    pub update_id: u64,
    /// The venue's instant of it.
    pub exchange_ns: Timestamp,
    /// When the feed had its bytes.
    pub received_ns: Timestamp,
}

/// One closed bar: history from the venue, sent before the first live event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct HistoryBar {
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Sum of quantities.
    pub volume: Quantity,
    /// When it began, by the venue's clock. How long it lasted is the bar interval that was asked for.
    pub open_ns: Timestamp,
}

/// What a [`MarketMessage`] says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum MarketEvent {
    /// A new top of book.
    Quote(Quote),
    /// `count` trades in which this side was the aggressor.
    Trade {
        /// Who took liquidity.
        aggressor: Side,
        /// How many trades are summed in it.
        count: u16,
        /// The trade, or the sum.
        trade: Trade,
    },
    /// The book is to be emptied: the levels of a snapshot follow.
    DepthSnapshot {
        /// The venue's update id of the snapshot.
        update_id: u64,
        /// When the feed had its bytes.
        received_ns: Timestamp,
    },
    /// A level; with `is_last` the update is whole and the book may be looked at.
    DepthLevel {
        /// Which side of the book.
        side: Side,
        /// Whether it ends its update.
        is_last: bool,
        /// The level.
        level: DepthLevel,
    },
    /// The book is no longer in sync with the venue; a snapshot will follow. Orders are not to be sent from it.
    DepthLost {
        /// When that was found.
        received_ns: Timestamp,
    },
    /// A closed bar of the past.
    HistoryBar(HistoryBar),
    /// All bars of the past were sent.
    HistoryEnd,
    /// The venue's market data is connected, or no longer is.
    Connection {
        /// Whether it is.
        is_up: bool,
        /// When that was found.
        received_ns: Timestamp,
    },
}

/// Feed to shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketMessage {
    /// Which instrument it is about.
    pub instrument: InstrumentId,
    /// What happened.
    pub event: MarketEvent,
}

impl Default for MarketMessage {
    fn default() -> Self {
        Self { instrument: InstrumentId::NONE, event: MarketEvent::HistoryEnd }
    }
}

const _: () = assert!(size_of::<MarketMessage>() == 64);

/// What the shard's runner, never the strategy, knew of the market when an intent was made. Risk judges from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MarketStamp {
    /// Best bid; zero where there is none.
    pub bid: Price,
    /// Best ask; zero where there is none.
    pub ask: Price,
    /// When the newest market data of the instrument was received.
    pub data_ns: Timestamp,
    /// What rests near the touch on the side an order would take from.
    pub near_depth: Quantity,
    /// Whether the book is in sync with the venue and not crossed.
    pub is_synced: bool,
}

/// Shard to risk: an order that a strategy wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OrderIntent {
    /// What is wanted.
    pub order: Order,
    /// The market it was decided in.
    pub stamp: MarketStamp,
    /// When the bytes were received that led to it.
    pub received_ns: Timestamp,
    /// When the shard handed those to the strategy.
    pub decided_ns: Timestamp,
}

const _: () = assert!(size_of::<OrderIntent>() <= 128);

/// Shard to risk, and risk to gateway: an order is to be canceled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct CancelIntent {
    /// Which order.
    pub client_order_id: ClientOrderId,
    /// In what.
    pub instrument: InstrumentId,
    /// Whose.
    pub strategy: StrategyId,
    /// When the shard or risk decided so.
    pub decided_ns: Timestamp,
}

const _: () = assert!(size_of::<CancelIntent>() <= 64);

/// Shard to risk: the market of an instrument in which there is a position or an order. With [`InstrumentId::NONE`] it
/// tells of no market, but that the shard's thread still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Mark {
    /// In what.
    pub instrument: InstrumentId,
    /// The top of book.
    pub quote: Quote,
}

const _: () = assert!(size_of::<Mark>() <= 64);

/// What the venue, or the gateway, says of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ReportKind {
    /// Written to the socket. Not proof of anything but that.
    #[default]
    Sent,
    /// Working at the venue.
    Accepted,
    /// A fill; `last_*`, `execution_id` and the fee are set.
    Fill,
    /// Canceled, by us or by the venue.
    Canceled,
    /// Refused by the venue; `code` tells why.
    Rejected,
    /// Ended by its time in force or by the venue.
    Expired,
    /// The venue refused to cancel it; the order's own state is as it was, or told by the reports that follow.
    CancelRejected,
    /// Its fate is not proven: unanswered in time, or the connection was lost after the write.
    Unknown,
    /// The gateway could not write it; it never left. Proof that the venue does not have it.
    NotSent,
    /// A query found the order as these fields say; `status` is the venue's.
    Status,
}

/// Gateway to risk: an execution report, or what the gateway itself learned of an order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ExecutionReport {
    /// Which order; [`ClientOrderId::NONE`] where the venue's id is not one of ours.
    pub client_order_id: ClientOrderId,
    /// The venue's number of the order.
    pub venue_order_id: u64,
    /// The venue's number of the trade, within the instrument; fills are booked once by it. Zero: not a fill.
    pub execution_id: u64,
    /// Price of this fill.
    pub last_price: Price,
    /// Quantity of this fill.
    pub last_quantity: Quantity,
    /// Quantity of all fills so far, as the venue counts.
    pub cumulative_quantity: Quantity,
    /// The fee of this fill in counts of `10^-8` of `fee_asset`.
    pub fee: i64,
    /// Quantity of the whole order; zero where the venue does not say. Of orders that are not ours it is all we know.
    pub order_quantity: Quantity,
    /// Limit price of the order, of a stop order without one its stop price; zero where the venue does not say.
    pub order_price: Price,
    /// The venue's instant of it.
    pub exchange_ns: Timestamp,
    /// When the gateway had its bytes (for its own findings: when it found them).
    pub received_ns: Timestamp,
    /// The venue's reason of a refusal: its error code, zero where there is none.
    pub code: i32,
    /// In what.
    pub instrument: InstrumentId,
    /// The asset of the fee.
    pub fee_asset: AssetId,
    /// What it says.
    pub kind: ReportKind,
    /// The status that the venue states with it.
    pub status: OrderStatus,
    /// Buy or sell.
    pub side: Side,
    /// Whether the fill made or took liquidity.
    pub liquidity: LiquiditySide,
}

impl ExecutionReport {
    /// Decimal places of [`ExecutionReport::fee`].
    pub const FEE_PRECISION: u8 = 8;
}

const _: () = assert!(size_of::<ExecutionReport>() <= 128);

/// How far an order session is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum SessionState {
    /// No connection.
    #[default]
    Down,
    /// Connected, logging on and subscribing to reports.
    LoggingOn,
    /// Logged on; asking the venue about every order that is not proven terminal.
    Reconciling,
    /// Orders may be sent.
    Ready,
}

/// How a round of reconciliation goes: the gateway asks the venue for balances, open orders and fills, then for the
/// balances again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Round {
    /// Begun: what is said of open orders from here on belongs to it.
    Begun,
    /// Over: every open order, every fill since the last known and every balance was told. Conclusive if the balances
    /// before and after were the same, so that they can be compared with our books.
    Ended {
        /// Whether the balances stood still meanwhile.
        is_conclusive: bool,
    },
    /// Given up, as an answer did not come or was a refusal: it proves nothing, above all not that anything is flat.
    Failed,
}

/// Gateway to risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum GatewayMessage {
    /// Of one order.
    Report(ExecutionReport),
    /// Of the order session of a venue.
    Session {
        /// Which venue.
        venue: VenueId,
        /// How far it is.
        state: SessionState,
        /// When that was found.
        received_ns: Timestamp,
    },
    /// Whether reports of executions come. Orders could be sent without; they are not.
    ReportStream {
        /// Which venue.
        venue: VenueId,
        /// Whether they come.
        is_up: bool,
        /// When that was found.
        received_ns: Timestamp,
    },
    /// A round of reconciliation.
    Round {
        /// Which venue.
        venue: VenueId,
        /// How it goes.
        round: Round,
        /// When that was found.
        received_ns: Timestamp,
    },
    /// What the account holds of an asset, as the second look of a round found it. Assets that are not told are zero.
    Balance {
        /// Which venue.
        venue: VenueId,
        /// Of what.
        asset: AssetId,
        /// Free and held by open orders together.
        total: Money,
        /// When the answer was received.
        received_ns: Timestamp,
    },
    /// Money came to the account or left it, other than by trading.
    Transfer {
        /// Which venue.
        venue: VenueId,
        /// Of what.
        asset: AssetId,
        /// How much; negative where it left.
        amount: Money,
        /// When that was received.
        received_ns: Timestamp,
    },
    /// How much of the venue's own limits is used.
    Budget {
        /// Which venue.
        venue: VenueId,
        /// Request weight used in the running minute, by whatever shares the address.
        used_weight: u32,
        /// Request weight that the venue allows in a minute; zero where it does not say.
        weight_limit: u32,
        /// Orders counted in the running ten seconds.
        used_orders: u32,
        /// Orders that the venue allows in ten seconds; zero where it does not say.
        order_limit: u32,
        /// When the answer was received.
        received_ns: Timestamp,
    },
}

impl Default for GatewayMessage {
    fn default() -> Self {
        Self::Session { venue: VenueId(0), state: SessionState::Down, received_ns: Timestamp::UNKNOWN }
    }
}

const _: () = assert!(size_of::<GatewayMessage>() <= 128);

/// A strategy's position in an instrument, as risk books it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PositionState {
    /// Net quantity; negative is short.
    pub quantity: Quantity,
    /// Average price of the open quantity, rounded to a price unit; zero when flat.
    pub average_price: Price,
    /// Realized profit and loss before fees, in the quote asset.
    pub realized: Money,
    /// Fees paid so far, valued in the quote asset at the price of their fill.
    pub fees: Money,
}

/// Risk to shard: an order of one of its strategies changed, with the position after it. Where the lane is full, risk
/// sends the newest state when there is room, so several changes may arrive as one: quantities are cumulative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct OrderUpdate {
    /// The position after it.
    pub position: PositionState,
    /// Which order.
    pub client_order_id: ClientOrderId,
    /// Its limit price.
    pub price: Price,
    /// Its stop price; zero where it is no stop order.
    pub stop_price: Price,
    /// Its quantity.
    pub quantity: Quantity,
    /// What of it is filled, as far as it is booked.
    pub filled: Quantity,
    /// What of it the venue counts as filled: more than [`OrderUpdate::filled`] where a fill is still on its way to us.
    pub venue_filled: Quantity,
    /// Price of the newest fill; zero where there is none.
    pub last_price: Price,
    /// When risk learned of it.
    pub received_ns: Timestamp,
    /// In what.
    pub instrument: InstrumentId,
    /// The venue's error code of a refusal; zero where there is none.
    pub code: i32,
    /// Whose.
    pub strategy: StrategyId,
    /// Our reason of a denial.
    pub reason: DenialReason,
    /// Where it stands.
    pub status: OrderStatus,
    /// Buy or sell.
    pub side: Side,
    /// How it is priced.
    pub order_type: OrderType,
}

const _: () = assert!(size_of::<OrderUpdate>() <= 128);

/// Cold plane to shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum ShardCommand {
    /// Every strategy stops: `on_stop`, then no more events and no more intents.
    #[default]
    StopAll,
}

/// Cold plane to risk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum RiskCommand {
    /// Sets the trading state. Towards more trading it is refused while the kill switch is set.
    SetTradingState(TradingState),
    /// Cancels every order that is not proven terminal.
    #[default]
    CancelAll,
    /// Takes the limits that wait in the port, whole, from this input on.
    TakeLimits,
    /// Takes the override that waits in the port.
    TakeOverride,
    /// A person looked: breakers, repeat counts and the drawdown latch of this strategy begin anew. With
    /// [`StrategyId::NONE`] those of all do, and of the accounts; and where the venue's books and ours disagree, the
    /// difference is booked as money that came or left.
    Reset(StrategyId),
    /// The clock of a venue was measured.
    Clock {
        /// Which venue.
        venue: VenueId,
        /// The venue's clock less ours, in ns.
        offset_ns: i64,
    },
    /// The wall clock jumped against the loop's: no new orders until the venues' clocks were measured again.
    ClockJump {
        /// By how much, in ns.
        by_ns: i64,
    },
    /// The venue was asked what is traded in an instrument (C16).
    Volume {
        /// In what.
        instrument: InstrumentId,
        /// What was traded within the last 24 hours; zero or less is as if it were not known.
        day_volume: Quantity,
    },
}

/// Risk to cold plane: what displays show of a strategy's position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct PositionReport {
    /// The position.
    pub position: PositionState,
    /// Profit or loss of the open quantity at the conservative side of the market, in the quote asset.
    pub unrealized: Money,
    /// The capital allotted to the strategy in this instrument, in the quote asset.
    pub allocated: Money,
    /// What of it the position uses: what the open quantity cost, or brought.
    pub used: Money,
    /// What open orders could add to that at worst, unknown ones included.
    pub reserved: Money,
    /// The best bid that it was valued at; zero until there is a mark.
    pub bid: Price,
    /// The best ask that it was valued at; zero until there is a mark.
    pub ask: Price,
    /// The position if every open sell filled and no buy did: the lower end of what it may be.
    pub worst_short: i64,
    /// The position if every open buy filled and no sell did: the upper end. The same as the lower one when no order is
    /// open and none is unknown.
    pub worst_long: i64,
    /// Orders of this strategy in this instrument that are not proven terminal, or whose fills are not all booked.
    pub open_orders: u32,
    /// In what.
    pub instrument: InstrumentId,
    /// Whose.
    pub strategy: StrategyId,
}

const _: () = assert!(size_of::<PositionReport>() <= 160);

/// What a restart must not forget of a strategy's limits over time. Amounts are in the account's currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct StrategyLatch {
    /// Profit of the day so far, realized and unrealized, after fees; negative is a loss.
    pub day_profit: Money,
    /// How far the profit is below its best, zero or more.
    pub drawdown: Money,
    /// What was traded in the day so far.
    pub day_turnover: Money,
    /// The day, in days since the epoch (UTC). Amounts of another day than the running one count for nothing.
    pub day: u32,
    /// Entries in a row, buys and sells, without a person's doing.
    pub repeats: [u32; 2],
    /// C32: refusals by the venue within the window, when they stopped the strategy; zero where they have not. As the next
    /// two, it stays so until a person sets it back.
    pub rejects_tripped: u32,
    /// C33: fills within a second, when they stopped the strategy; zero where they have not.
    pub fill_rate_tripped: u32,
    /// C33: how far the fill that stopped the strategy was off, in basis points, the largest number for more than that;
    /// zero where none has.
    pub slippage_tripped_bps: i64,
    /// Whose.
    pub strategy: StrategyId,
    /// The loss limit of the day was passed.
    pub is_loss_tripped: bool,
    /// The drawdown limit was passed; it stays so over days until a person sets it back.
    pub is_drawdown_tripped: bool,
    /// The limit of repeated entries was passed; it stays so until a person sets it back.
    pub is_repeat_tripped: bool,
}

/// Risk to cold plane: what must outlive the process, for the state file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Latch {
    /// Of a strategy: its newest state.
    Strategy(StrategyLatch),
    /// The newest execution that was booked in an instrument.
    Execution {
        /// In what.
        instrument: InstrumentId,
        /// The venue's number of it.
        execution_id: u64,
    },
    /// The breaker of an account at a venue, where refusals of all its strategies count.
    Account {
        /// At which venue.
        venue: VenueId,
        /// C32: refusals within the window, when they stopped the account; zero where they have not.
        rejects_tripped: u32,
    },
    /// A venue has banned this address: nothing is sent there, over restarts too. The cold plane's own, from the venue's
    /// ledger.
    Ban {
        /// Which venue.
        venue: VenueId,
        /// Until when.
        until: Timestamp,
    },
}

impl Default for Latch {
    fn default() -> Self {
        Self::Execution { instrument: InstrumentId::NONE, execution_id: 0 }
    }
}

const _: () = assert!(size_of::<Latch>() <= 128);

/// Gateway to cold plane: the instants of one order on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct SentOrder {
    /// Which order.
    pub client_order_id: ClientOrderId,
    /// When the bytes were received that led to it.
    pub received_ns: Timestamp,
    /// When the shard handed those to the strategy.
    pub decided_ns: Timestamp,
    /// When risk took the intent.
    pub approved_ns: Timestamp,
    /// When the gateway took the order.
    pub taken_ns: Timestamp,
    /// When its bytes were ready for the socket.
    pub encoded_ns: Timestamp,
}

/// Cold plane to feed: what had to be fetched by request. A snapshot is a run of these from begin to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FeedInput {
    /// A depth snapshot begins.
    SnapshotBegin {
        /// The venue's update id of it.
        update_id: u64,
    },
    /// One level of it.
    SnapshotLevel {
        /// Which side of the book.
        side: Side,
        /// The level's price.
        price: Price,
        /// What rests there.
        quantity: Quantity,
    },
    /// It was whole.
    SnapshotEnd,
    /// A bar of the past.
    HistoryBar(HistoryBar),
    /// All bars of the past were sent.
    HistoryEnd,
}

/// Cold plane to feed, with the instrument it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedMessage {
    /// Which instrument.
    pub instrument: InstrumentId,
    /// What was fetched.
    pub input: FeedInput,
}

impl Default for FeedMessage {
    fn default() -> Self {
        Self { instrument: InstrumentId::NONE, input: FeedInput::HistoryEnd }
    }
}

/// Stage to cold plane: what a hot thread must not do itself, as it blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Request {
    /// Connect to the venue, and hand the connection over.
    #[default]
    Connect,
    /// Fetch a depth snapshot of this instrument.
    Snapshot(InstrumentId),
}
