//! Facts: what of the stage must survive a restart, as bytes and back.
//!
//! What can be worked out from the rest is not among them: reserves, exposures, counts, the own book and all indexes are
//! built anew when facts are restored ([`Risk::restore`](super::Risk::restore)), by the same functions that keep them live.
//! Neither are limits, kills, rates of messages and what was seen a moment ago: those are told again, or begin anew.

use super::core::Core;
use super::executions::Owner;
use super::order_table::{CancelStep, OrderRecord};
use super::reconcile::ReconciliationFacts;
use super::results::ResultsFacts;
use crate::portfolio::{LedgerFacts, Position, Rate};
use crate::types::binary::binary_struct;
use crate::types::{
    AssetId, Binary, ClientOrderId, DenialReason, InstrumentId, Money, Order, OrderStatus, Price, Quantity, Side,
    StrategyId, StrategyLatch, Timestamp, TradingState, VenueId,
};
use std::fmt;

/// Terminal orders that are kept so that late fills find them, besides all those whose fills are not all booked.
pub(super) const TERMINAL_MAX: usize = 4_096;

/// Everything that must survive. Ids are those of the run that wrote it; [`RiskFacts::renamed`] makes them another run's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RiskFacts {
    pub(super) format: Format,
    /// Risk's instant.
    pub at: Timestamp,
    /// The engine start that wrote it.
    pub epoch: u32,
    /// The trading state of the engine. It is for whoever starts it to decide what a new start makes of that.
    pub trading_state: TradingState,
    /// What limits over several instruments, results and rates are counted in.
    pub currency: Option<AssetId>,
    /// How many orders that are not ours were adopted: their ids are numbered.
    pub external_count: u32,
    /// Open orders, then terminal ones, the oldest first.
    pub orders: Vec<OrderFacts>,
    /// Executions that were booked, the oldest first.
    pub executions: Vec<ExecutionFacts>,
    /// Every strategy in every instrument in which there was anything; and what belongs to none.
    pub holdings: Vec<HoldingFacts>,
    /// Every instrument.
    pub markets: Vec<MarketFacts>,
    /// Every account.
    pub accounts: Vec<AccountFacts>,
    /// Every strategy.
    pub strategies: Vec<StrategyFacts>,
    /// The part of all accounts that belongs to no strategy.
    pub nobodys: LedgerFacts,
    /// Larger orders with open parts.
    pub larger_orders: Vec<LargerOrder>,
    /// The newest rate of each asset that has one.
    pub rates: Vec<(AssetId, Rate)>,
}

/// The number of the format, in front of everything else. What is of another one is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Format;

impl Format {
    const NUMBER: u16 = 1;
}

impl Binary for Format {
    fn put(&self, out: &mut Vec<u8>) {
        Self::NUMBER.put(out);
    }

    fn take(from: &mut &[u8]) -> Option<Self> {
        (u16::take(from)? == Self::NUMBER).then_some(Self)
    }
}

/// One order. See [`OrderRecord`] for the meaning of each field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderFacts {
    /// What was wanted, as it was sent.
    pub order: Order,
    /// Where it stood.
    pub status: OrderStatus,
    /// Whether somebody wants it canceled.
    pub is_cancel_wanted: bool,
    /// Whether the venue has shown that it knows the order.
    pub is_acknowledged: bool,
    /// Whether this order and the one whose place it takes cannot both fill.
    pub is_exclusive: bool,
    /// The newest order that was to take its place.
    pub replaced_by: ClientOrderId,
    /// The venue's number of it.
    pub venue_order_id: u64,
    /// Whether that number leads to it: of two orders that were told with the same one, the newer.
    pub is_named: bool,
    /// What it had filled before it was known.
    pub adopted: Quantity,
    /// What is booked of its fills.
    pub filled: Quantity,
    /// The most that the venue said was filled.
    pub venue_filled: Quantity,
    /// At what price its reserve is counted.
    pub worst_price: Price,
    /// Price of the newest booked fill.
    pub last_price: Price,
    /// The venue's code of a refusal.
    pub code: i32,
    /// Our reason, where it is denied.
    pub reason: DenialReason,
    /// When the bytes were received that led to it.
    pub received_ns: Timestamp,
    /// When the shard handed those to the strategy.
    pub decided_ns: Timestamp,
    /// When risk took the intent.
    pub approved_ns: Timestamp,
    /// When risk last learned of it.
    pub updated_ns: Timestamp,
    /// Since when its fate was not proven; unknown where it was.
    pub unknown_since: Timestamp,
    /// Twice the price that its fills are held against.
    pub twice_reference: i128,
}

impl OrderFacts {
    fn of(record: &OrderRecord, is_named: bool) -> Self {
        Self {
            order: record.order,
            status: record.status,
            // One that is on its way counts as lost with the process: it is sent again if the order turns out to work.
            is_cancel_wanted: record.is_cancel_wanted || record.cancel != CancelStep::None,
            is_acknowledged: record.is_acknowledged,
            is_exclusive: record.is_exclusive,
            replaced_by: record.replaced_by,
            venue_order_id: record.venue_order_id,
            is_named,
            adopted: record.adopted,
            filled: record.filled,
            venue_filled: record.venue_filled,
            worst_price: record.worst_price,
            last_price: record.last_price,
            code: record.code,
            reason: record.reason,
            received_ns: record.received_ns,
            decided_ns: record.decided_ns,
            approved_ns: record.approved_ns,
            updated_ns: record.updated_ns,
            unknown_since: record.unknown_since,
            twice_reference: record.twice_reference,
        }
    }

    /// The order as it is restored: what was open is in doubt, nothing is reserved yet, and no cancel is on its way. The
    /// venue's number is given to it where it is put into the table.
    pub(super) fn record(&self, holding: u32) -> OrderRecord {
        OrderRecord {
            order: self.order,
            status: if self.status.is_open() { OrderStatus::Unknown } else { self.status },
            is_cancel_wanted: self.is_cancel_wanted,
            is_acknowledged: self.is_acknowledged,
            is_exclusive: self.is_exclusive,
            replaced_by: self.replaced_by,
            venue_order_id: if self.is_named { 0 } else { self.venue_order_id },
            adopted: self.adopted,
            filled: self.filled,
            venue_filled: self.venue_filled,
            worst_price: self.worst_price,
            last_price: self.last_price,
            code: self.code,
            reason: self.reason,
            received_ns: self.received_ns,
            decided_ns: self.decided_ns,
            approved_ns: self.approved_ns,
            updated_ns: self.updated_ns,
            twice_reference: self.twice_reference,
            holding,
            ..OrderRecord::default()
        }
    }

    /// Whether anything of it may still fill.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status.is_open() || self.record(0).due().0 > 0
    }
}

/// One execution that was booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionFacts {
    /// In what.
    pub instrument: InstrumentId,
    /// The venue's number of it.
    pub execution_id: u64,
    /// Whether it was booked for no order that is known: it may turn out to be of one of ours.
    pub is_nobodys: bool,
}

/// What one strategy, or nobody, held of one instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HoldingFacts {
    /// Who; [`StrategyId::NONE`] for nobody.
    pub strategy: StrategyId,
    /// In what.
    pub instrument: InstrumentId,
    /// What fills made of it; what it cost is the capital that it uses.
    pub position: Position,
    /// Its own trading state.
    pub trading_state: TradingState,
    /// Profit or loss of the open quantity when it was last worked out.
    pub unrealized: Money,
    /// C26: entries in a row, buys and sells.
    pub repeats: [u32; 2],
}

/// One instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarketFacts {
    /// Which.
    pub instrument: InstrumentId,
    /// In what prices of it are counted.
    pub price_precision: u8,
    /// In what quantities of it are counted.
    pub quantity_precision: u8,
    /// What positions were valued at; zero before there was a price.
    pub price: Price,
    /// Its own trading state.
    pub trading_state: TradingState,
    /// The newest execution that was booked in it; zero for none.
    pub newest_execution: u64,
}

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFacts {
    /// At which venue.
    pub venue: VenueId,
    /// Its books.
    pub ledger: LedgerFacts,
    /// Whether an order of ours was ever handed to its gateway: from then on our books are held against the venue's.
    pub has_sent: bool,
    /// C44: how they compare with the venue's.
    pub reconciliation: ReconciliationFacts,
    /// C32: refusals within the window, when they stopped the account; zero where they have not.
    pub rejects_tripped: u32,
}

/// One strategy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StrategyFacts {
    /// Which.
    pub strategy: StrategyId,
    /// Its part of all accounts.
    pub share: LedgerFacts,
    /// What it made and traded.
    pub results: ResultsFacts,
    /// Its breakers; amounts are in `results`, exactly.
    pub latch: StrategyLatch,
}

/// C28: a larger order with open parts. What those may still fill they tell themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargerOrder {
    /// Whose.
    pub strategy: StrategyId,
    /// The strategy's number of it.
    pub number: u32,
    /// In what.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// How much all parts together may fill.
    pub quantity: Quantity,
    /// What they have filled.
    pub filled: i128,
}

binary_struct! {
    RiskFacts {
        format, at, epoch, trading_state, currency, external_count, orders, executions, holdings, markets, accounts,
        strategies, nobodys, larger_orders, rates,
    }
    OrderFacts {
        order, status, is_cancel_wanted, is_acknowledged, is_exclusive, replaced_by, venue_order_id, is_named, adopted,
        filled, venue_filled, worst_price, last_price, code, reason, received_ns, decided_ns, approved_ns, updated_ns,
        unknown_since, twice_reference,
    }
    ExecutionFacts { instrument, execution_id, is_nobodys }
    HoldingFacts { strategy, instrument, position, trading_state, unrealized, repeats }
    MarketFacts { instrument, price_precision, quantity_precision, price, trading_state, newest_execution }
    AccountFacts { venue, ledger, has_sent, reconciliation, rejects_tripped }
    StrategyFacts { strategy, share, results, latch }
    LargerOrder { strategy, number, instrument, side, quantity, filled }
}

impl RiskFacts {
    /// Whether an instrument has a position, or an order of which anything may still fill.
    #[must_use]
    pub fn is_live(&self, instrument: InstrumentId) -> bool {
        let is_held = |held: &HoldingFacts| held.instrument == instrument && held.position.quantity().0 != 0;
        let is_open = |order: &OrderFacts| order.order.instrument == instrument && order.is_live();
        self.holdings.iter().any(is_held) || self.orders.iter().any(is_open)
    }

    /// The whole of some bytes; `None` where they are no facts, or of a format that this program does not know.
    #[must_use]
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        Self::take(&mut bytes).filter(|_| bytes.is_empty())
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }
}

/// Why facts cannot be restored. Nothing of them was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RiskFactsError {
    /// An instrument with a position or open orders is not configured any more; its id is the earlier run's.
    InstrumentGone(InstrumentId),
    /// An asset in which a strategy made something, or the account's currency, belongs to no instrument any more; its id is
    /// the earlier run's.
    AssetGone(AssetId),
    /// Prices or quantities of an instrument with a position or open orders are counted in other units now.
    PrecisionChanged(InstrumentId),
    /// The account's currency is another one, so that no result means the same.
    CurrencyChanged,
    /// More orders may still fill than the order table holds.
    OrderCapacity {
        /// How many may.
        orders: usize,
        /// How many it holds.
        capacity: usize,
    },
    /// Positions or balances that come together do not fit.
    Overflow,
    /// Numbers that no run leaves behind.
    Damaged(&'static str),
    /// The stage has run already.
    Running,
}

impl fmt::Display for RiskFactsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InstrumentGone(instrument) => {
                write!(f, "{instrument} has a position or open orders, and is not configured any more")
            }
            Self::AssetGone(asset) => write!(f, "asset {} has results, and no instrument is in it any more", asset.0),
            Self::PrecisionChanged(instrument) => write!(
                f,
                "{instrument} has a position or open orders, and its prices or quantities have another precision now"
            ),
            Self::CurrencyChanged => {
                f.write_str("the account's currency is another one than when results were counted")
            }
            Self::OrderCapacity { orders, capacity } => {
                write!(f, "{orders} orders may still fill, and the order table holds {capacity}")
            }
            Self::Overflow => f.write_str("positions or balances that come together do not fit"),
            Self::Damaged(what) => f.write_str(what),
            Self::Running => f.write_str("facts are restored before the first poll"),
        }
    }
}

impl std::error::Error for RiskFactsError {}

impl Core {
    /// Everything that must survive.
    pub(super) fn survivors(&self) -> RiskFacts {
        let books = &self.books;
        RiskFacts {
            format: Format,
            at: self.now,
            epoch: self.epoch,
            trading_state: self.trading_state,
            currency: books.rates.currency(),
            external_count: self.external_count,
            orders: self.order_facts(),
            executions: self.executions.iter().map(execution_facts).collect(),
            holdings: self.holding_facts(),
            markets: self.market_facts(),
            accounts: self.account_facts(),
            strategies: self.strategy_facts(),
            nobodys: books.shares.last().map_or_else(LedgerFacts::default, |share| share.facts()),
            larger_orders: self.parents.with_open_parts().collect(),
            rates: books.rates.known().collect(),
        }
    }

    fn order_facts(&self) -> Vec<OrderFacts> {
        let of = |slot: u32| {
            let record = self.orders.at(slot)?;
            let named = self.orders.find_at_venue(record.order.instrument, record.venue_order_id);
            Some(OrderFacts::of(record, named == Some(slot)))
        };
        let (open, terminal) = self.orders.by_end();
        let mut left_out = terminal.clone().filter_map(of).filter(|order| !order.is_live()).count();
        left_out = left_out.saturating_sub(TERMINAL_MAX);
        let newest = terminal.filter_map(of).filter(|order| {
            let is_left_out = left_out > 0 && !order.is_live();
            left_out -= usize::from(is_left_out);
            !is_left_out
        });
        open.filter_map(of).chain(newest).collect()
    }

    fn holding_facts(&self) -> Vec<HoldingFacts> {
        let held = (0u32..).zip(&self.books.holdings).map(|(place, holding)| HoldingFacts {
            strategy: holding.permission.strategy,
            instrument: holding.permission.instrument,
            position: holding.position,
            trading_state: holding.trading_state,
            unrealized: holding.unrealized,
            repeats: [Side::Buy, Side::Sell].map(|side| self.repeats.count(place, side)),
        });
        let nothing = (Position::FLAT, TradingState::Active, Money::ZERO, [0; 2]);
        held.filter(|held| (held.position, held.trading_state, held.unrealized, held.repeats) != nothing).collect()
    }

    fn market_facts(&self) -> Vec<MarketFacts> {
        let markets = self.books.markets.iter().map(|market| MarketFacts {
            instrument: market.instrument.id,
            price_precision: market.instrument.price_precision,
            quantity_precision: market.instrument.quantity_precision,
            price: market.price,
            trading_state: market.trading_state,
            newest_execution: self.kept.newest(market.instrument.id),
        });
        markets.collect()
    }

    fn account_facts(&self) -> Vec<AccountFacts> {
        let accounts = (0u8..).map(VenueId).zip(self.books.ledgers.iter().zip(&self.venues));
        let facts = accounts.map(|(venue, (ledger, state))| AccountFacts {
            venue,
            ledger: ledger.facts(),
            has_sent: state.has_sent,
            reconciliation: state.reconciliation.facts(),
            rejects_tripped: state.breakers.rejects.tripped().unwrap_or(0),
        });
        facts.collect()
    }

    fn strategy_facts(&self) -> Vec<StrategyFacts> {
        let strategies = (0..self.books.results.len()).filter_map(|index| u16::try_from(index).ok().map(StrategyId));
        let facts = strategies.filter_map(|strategy| {
            Some(StrategyFacts {
                strategy,
                share: self.books.shares.get(strategy.index())?.facts(),
                results: self.books.results.get(strategy.index())?.facts(),
                latch: self.strategy_latch(strategy)?,
            })
        });
        facts.collect()
    }
}

fn execution_facts((instrument, execution_id, owner): (InstrumentId, u64, Owner)) -> ExecutionFacts {
    ExecutionFacts { instrument, execution_id, is_nobodys: owner == Owner::Nobody }
}
