//! What the risk stage is built from.

use super::approved::Approved;
use super::limits::LimitsTable;
use super::overrides::Override;
use crate::pipeline::lane::{Receiver, Sender};
use crate::types::{
    AssetId, CancelIntent, Denial, GatewayMessage, Instrument, InstrumentId, Instruments, Latch, Mark, Notice, Order,
    OrderIntent, OrderType, OrderUpdate, PositionReport, Quantity, RiskCommand, Side, StrategyId, TimeInForce,
    TradingState,
};
use crossbeam::channel;
use std::fmt;

/// What a strategy may do in an instrument. What is not listed is not permitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permission {
    /// Who.
    pub strategy: StrategyId,
    /// In what.
    pub instrument: InstrumentId,
    /// Buys.
    pub may_buy: bool,
    /// Sells.
    pub may_sell: bool,
    /// Limit orders.
    pub may_limit: bool,
    /// Market orders.
    pub may_market: bool,
    /// Orders that wait for a stop price: market ones where market orders are permitted, limit ones likewise.
    pub may_stop: bool,
    /// Orders that work until canceled or until the day ends.
    pub may_good_till_canceled: bool,
    /// Immediate-or-cancel and fill-or-kill orders.
    pub may_immediate: bool,
}

impl Permission {
    /// Of what belongs to no strategy: nothing.
    pub(super) const fn external(instrument: InstrumentId) -> Self {
        Self {
            strategy: StrategyId::NONE,
            instrument,
            may_buy: false,
            may_sell: false,
            may_limit: false,
            may_market: false,
            may_stop: false,
            may_good_till_canceled: false,
            may_immediate: false,
        }
    }

    /// Everything in this instrument.
    #[must_use]
    pub const fn all(strategy: StrategyId, instrument: InstrumentId) -> Self {
        Self {
            strategy,
            instrument,
            may_buy: true,
            may_sell: true,
            may_limit: true,
            may_market: true,
            may_stop: true,
            may_good_till_canceled: true,
            may_immediate: true,
        }
    }

    /// Whether an order is of a side, type and time in force that it covers.
    #[must_use]
    pub const fn covers(&self, order: &Order) -> bool {
        let side = match order.side {
            Side::Buy => self.may_buy,
            Side::Sell => self.may_sell,
        };
        let order_type = match order.order_type {
            OrderType::Limit => self.may_limit,
            OrderType::Market => self.may_market,
            OrderType::Stop => self.may_stop && self.may_market,
            OrderType::StopLimit => self.may_stop && self.may_limit,
        };
        let time_in_force = match (order.order_type, order.time_in_force) {
            // A market order fills at once whatever it says.
            (OrderType::Market, _) => true,
            (_, TimeInForce::GoodTillCanceled | TimeInForce::Day) => self.may_good_till_canceled,
            (_, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill) => self.may_immediate,
        };
        side && order_type && time_in_force
    }
}

/// What the risk stage is built from.
#[derive(Clone, Debug)]
pub struct RiskConfig {
    /// Every instrument of the run.
    pub instruments: Instruments,
    /// Who may trade what. Each strategy and instrument at most once.
    pub permissions: Vec<Permission>,
    /// Every limit.
    pub limits: LimitsTable,
    /// The shard of each strategy, by strategy id.
    pub shard_of_strategy: Vec<usize>,
    /// The trading state at the start.
    pub trading_state: TradingState,
    /// How many orders are held; when all of them are open, new ones are denied.
    pub order_capacity: usize,
    /// How many executions are remembered so that none is booked twice; the oldest is forgotten first.
    pub execution_capacity: usize,
    /// The shortest time between two reports of a position, in nanoseconds.
    pub position_interval_ns: u64,
    /// What limits over several instruments are counted in. Without one they deny.
    pub currency: Option<AssetId>,
    /// Which instruments tell the rates of other assets into it.
    pub rate_sources: Vec<RateSource>,
    /// C16: what was traded in each instrument within the last 24 hours, by instrument id, as the venues say before the
    /// start. Where it is missing or zero, orders are denied until a command tells it.
    pub day_volumes: Vec<Quantity>,
    /// This engine start's number: an order of ours with a higher one is another engine's.
    pub epoch: u32,
    /// What an earlier run left behind.
    pub latches: Vec<Latch>,
    /// C41: why nothing may be sent, where keys, mode, program or configuration do not belong together.
    pub identity: Option<Denial>,
}

/// An instrument whose mid is the rate of its base asset in its quote asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSource {
    /// Which asset's rate it tells.
    pub asset: AssetId,
    /// The instrument, between that asset and the account's currency, either way round.
    pub instrument: InstrumentId,
}

impl RiskConfig {
    /// A usual order table.
    pub const ORDER_CAPACITY: usize = 65_536;
    /// A usual memory of executions.
    pub const EXECUTION_CAPACITY: usize = 65_536;
    /// A usual interval of position reports: 50 ms.
    pub const POSITION_INTERVAL_NS: u64 = 50_000_000;
}

/// The lanes of the risk stage.
pub struct RiskLanes {
    /// From the cold plane.
    pub commands: Receiver<RiskCommand>,
    /// From each gateway.
    pub reports: Vec<Receiver<GatewayMessage>>,
    /// From each shard: cancels.
    pub cancels: Vec<Receiver<CancelIntent>>,
    /// From each shard: orders.
    pub orders: Vec<Receiver<OrderIntent>>,
    /// From each shard: the markets of what it holds.
    pub marks: Vec<Receiver<Mark>>,
    /// To each venue's gateway, by venue id: orders.
    pub gateway_orders: Vec<Sender<Approved>>,
    /// To each venue's gateway, by venue id: cancels.
    pub gateway_cancels: Vec<Sender<CancelIntent>>,
    /// To each shard.
    pub updates: Vec<Sender<OrderUpdate>>,
    /// To the cold plane: positions.
    pub positions: Sender<PositionReport>,
    /// To the cold plane: what must outlive the process.
    pub latches: Sender<Latch>,
    /// To the cold plane: what people should know.
    pub notices: Sender<Notice>,
    /// Limits that wait for [`RiskCommand::TakeLimits`].
    pub limits: channel::Receiver<Box<LimitsTable>>,
    /// Where replaced limits go, to be dropped cold.
    pub retired_limits: channel::Sender<Box<LimitsTable>>,
    /// Overrides that wait for [`RiskCommand::TakeOverride`], one each.
    pub overrides: channel::Receiver<Override>,
}

/// Why a risk stage cannot be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskConfigError {
    /// A permission names an instrument that there is none of.
    UnknownInstrument(InstrumentId),
    /// A permission names a strategy that no shard runs.
    UnknownStrategy(StrategyId),
    /// Two permissions are of the same strategy and instrument.
    DoublePermission(StrategyId, InstrumentId),
    /// A strategy's shard has no lanes.
    NoShard(StrategyId),
    /// An instrument's venue has no gateway lanes.
    NoGateway(InstrumentId),
    /// The lists of lanes do not fit each other.
    Lanes,
    /// The order table has no capacity, or more than it may.
    OrderCapacity,
    /// A rate's instrument is not between its asset and the account's currency.
    RateSource(RateSource),
    /// A limit makes no sense.
    Limits(&'static str),
}

impl fmt::Display for RiskConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownInstrument(instrument) => write!(f, "a permission names {instrument}, which is not known"),
            Self::UnknownStrategy(strategy) => write!(f, "a permission names {strategy}, which no shard runs"),
            Self::DoublePermission(strategy, instrument) => {
                write!(f, "{strategy} has two permissions for {instrument}")
            }
            Self::NoShard(strategy) => write!(f, "the shard of {strategy} has no lanes"),
            Self::NoGateway(instrument) => write!(f, "the venue of {instrument} has no gateway lanes"),
            Self::Lanes => f.write_str("each venue needs an order and a cancel lane, each shard one of every kind"),
            Self::OrderCapacity => f.write_str("the order table holds 1 to 16,777,216 orders"),
            Self::RateSource(RateSource { asset, instrument }) => {
                write!(f, "{instrument} tells no rate of asset {} in the account's currency", asset.0)
            }
            Self::Limits(problem) => f.write_str(problem),
        }
    }
}

impl std::error::Error for RiskConfigError {}

impl RiskConfig {
    /// Whether the parts fit each other and the lanes.
    ///
    /// # Errors
    /// The first that does not.
    pub fn validate(&self, lanes: &RiskLanes) -> Result<(), RiskConfigError> {
        let shards = lanes.updates.len();
        if [lanes.cancels.len(), lanes.orders.len(), lanes.marks.len()] != [shards; 3]
            || lanes.gateway_orders.len() != lanes.gateway_cancels.len()
        {
            return Err(RiskConfigError::Lanes);
        }
        for instrument in self.instruments.iter() {
            if usize::from(instrument.venue.0) >= lanes.gateway_orders.len() {
                return Err(RiskConfigError::NoGateway(instrument.id));
            }
        }
        for (position, permission) in self.permissions.iter().enumerate() {
            let (strategy, instrument) = (permission.strategy, permission.instrument);
            if self.instruments.get(instrument).is_none() {
                return Err(RiskConfigError::UnknownInstrument(instrument));
            }
            match self.shard_of_strategy.get(strategy.index()) {
                None => return Err(RiskConfigError::UnknownStrategy(strategy)),
                Some(&shard) if shard >= shards => return Err(RiskConfigError::NoShard(strategy)),
                Some(_) => {}
            }
            if self.permissions.iter().take(position).any(|o| (o.strategy, o.instrument) == (strategy, instrument)) {
                return Err(RiskConfigError::DoublePermission(strategy, instrument));
            }
        }
        for source in &self.rate_sources {
            let tells = |instrument: &Instrument| {
                let pair = (Some(instrument.base), Some(instrument.quote));
                pair == (Some(source.asset), self.currency) || pair == (self.currency, Some(source.asset))
            };
            if !self.instruments.get(source.instrument).is_some_and(tells) {
                return Err(RiskConfigError::RateSource(*source));
            }
        }
        if self.order_capacity == 0 || self.order_capacity > super::OrderTable::CAPACITY_MAX {
            return Err(RiskConfigError::OrderCapacity);
        }
        self.limits.validate().map_err(RiskConfigError::Limits)
    }
}
