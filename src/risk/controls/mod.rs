//! The pre-trade controls: one small file and one line below for each.
//!
//! To add a control: write `cNN_name.rs` with `pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial>` and its
//! table test, and put its name into the list where its number belongs. What it needs to know it reads from [`Facts`];
//! where that does not hold it yet, add a field and fill it in `Core::facts`. A reason of its own goes to the end of
//! its hundred in [`DenialReason`].
//!
//! Controls are pure: they change nothing, and all of them together look at one order of one strategy at one instant.

use crate::types::{
    ClientOrderId, Denial, DenialReason, Instrument, JournalHealth, Order, OrderIntent, Price, Quantity, SessionState,
    Side, Timestamp, TradingState,
};

use super::breakers::{AccountBreakers, StrategyBreakers};
use super::budget::Budget;
use super::config::Permission;
use super::drift::Drift;
use super::exposure::Exposure;
use super::finances::Finances;
use super::kill::Kills;
use super::limits::{AccountLimits, InstrumentLimits, Limits, RateLimit, StrategyLimits};
use super::order_table::OrderRecord;
use super::parents::ParentFacts;
use super::ratio::OrderToTrade;
use super::recent::Recent;
use super::resting::OpenOrders;

mod c42_override;
mod terms;
pub(super) use c42_override::Lifted;
pub use terms::Terms;

/// Declares the controls and evaluates them in this order; the first failure gives the reason.
macro_rules! controls_in_order {
    ($($control:ident),+ $(,)?) => {
        $(mod $control;)+

        /// The controls, in the order in which they are evaluated.
        pub const CONTROLS: &[&str] = &[$(stringify!($control)),+];

        /// Judges one order.
        ///
        /// # Errors
        /// The first control that denies it: its reason, its limit and what it found.
        #[inline]
        pub fn evaluate(facts: &Facts<'_>) -> Result<(), Denial> {
            $($control::check(facts)?;)+
            Ok(())
        }
    };
}

controls_in_order! {
    c01_kill,
    c02_kill_scope,
    c03_trading_state,
    c04_ready,
    c05_authorisation,
    c06_restricted,
    c07_instrument_status,
    c08_well_formed,
    c09_unique_id,
    c10_duplicate,
    c11_freshness,
    c12_reference,
    c13_collar,
    c14_drift,
    c15_market_orders,
    c16_quantity,
    c17_notional,
    c18_position,
    c19_exposure,
    c20_buying_power,
    c21_open_orders,
    c22_turnover,
    c23_loss,
    c24_message_rate,
    c25_venue_budget,
    c26_repeats,
    c27_order_to_trade,
    c28_parent,
    c29_self_trade,
    c30_amend,
    c32_reject_storm,
    c33_fills,
    c34_unknown,
    c35_exec_stream,
    c37_clock,
    c38_journal,
    c39_stalled,
    c41_identity,
}

/// A message rate and what is left of it.
#[derive(Clone, Copy, Debug)]
pub struct Rate<'a> {
    /// The limit.
    pub limit: &'a RateLimit,
    /// Whole messages left now, the reserve for cancels included.
    pub left: u64,
}

/// The order whose place another is to take.
#[derive(Clone, Copy, Debug)]
pub struct Replaced<'a> {
    /// The order.
    pub record: &'a OrderRecord,
    /// Whether no other order is on its way to take its place, and its own place is taken for good.
    pub is_settled: bool,
    /// How much is wanted in all, what it has filled included.
    pub wanted: Quantity,
}

impl Replaced<'_> {
    /// Whether only one of the two can fill: the venue is asked to replace it only if it has no fill.
    #[must_use]
    pub const fn is_exclusive(&self) -> bool {
        self.record.filled.0 == 0
    }
}

/// Everything that a control may look at. Where the order names something unknown, its limits are [`Limits::NONE`] and
/// the like, which deny, and its exposure is none.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The order, and the market it was decided in. Of a replacement the quantity is what goes out: what the replaced
    /// order has filled is taken off.
    pub intent: &'a OrderIntent,
    /// What it comes to at worst: [`Terms::of`] it.
    pub terms: Terms,
    /// Risk's instant.
    pub now: Timestamp,
    /// What is killed.
    pub kills: &'a Kills,
    /// The stricter of the engine's trading state and that of the strategy in this instrument.
    pub trading_state: TradingState,
    /// The trading state of the instrument over all strategies; reduce-only while the venue's books and ours disagree.
    pub instrument_state: TradingState,
    /// How far the venue's order session is; `None` where the instrument is unknown, which C05 denies.
    pub session: Option<SessionState>,
    /// What the strategy may do in this instrument.
    pub permission: Option<&'a Permission>,
    /// The instrument.
    pub instrument: Option<&'a Instrument>,
    /// The largest id that the strategy used so far.
    pub last_id: ClientOrderId,
    /// Limits of the strategy in this instrument.
    pub limits: &'a Limits,
    /// Limits of the instrument.
    pub instrument_limits: &'a InstrumentLimits,
    /// Limits of the strategy over all its instruments.
    pub strategy_limits: &'a StrategyLimits,
    /// Limits of the account.
    pub account_limits: &'a AccountLimits,
    /// What was traded in the instrument within 24 hours; zero where that is not known.
    pub day_volume: Quantity,
    /// The order whose place it takes; `None` for a new one, and where there is no such order.
    pub replaced: Option<Replaced<'a>>,
    /// What is known of the larger order that it is a part of.
    pub parent: ParentFacts,
    /// The best price of our own orders that may rest on the other side of the instrument.
    pub opposing: Option<Price>,
    /// What the strategy has at stake in this instrument.
    pub exposure: &'a Exposure,
    /// What all strategies have at stake in it.
    pub instrument_exposure: &'a Exposure,
    /// What the strategy ordered a moment ago.
    pub recent: &'a Recent,
    /// Where the market was when orders in the instrument went out.
    pub drift: &'a Drift,
    /// What is open of the strategy, in the instrument, and of the account.
    pub open_orders: OpenOrders,
    /// The money around it.
    pub finances: Finances<'a>,
    /// The strategy's messages.
    pub strategy_rate: Rate<'a>,
    /// Messages about the instrument.
    pub instrument_rate: Rate<'a>,
    /// The venue's messages.
    pub venue_rate: Rate<'a>,
    /// How much of the venue's own request limits is used.
    pub budget: &'a Budget,
    /// Entries of the strategy in this instrument in a row, on the order's side.
    pub repeats: u32,
    /// Whether the strategy came to its limit of those since a person looked.
    pub is_repeat_tripped: bool,
    /// What the strategy sent, and what was filled of it.
    pub order_to_trade: &'a OrderToTrade,
    /// The breakers of the strategy.
    pub strategy_breakers: &'a StrategyBreakers,
    /// The breakers of the account.
    pub account_breakers: &'a AccountBreakers,
    /// Whether a round of reconciliation has ended at the venue since its session came up.
    pub is_reconciled: bool,
    /// How far the journal is behind.
    pub journal: JournalHealth,
    /// Whether nothing was heard of the strategy's shard for too long.
    pub is_shard_silent: bool,
    /// Why nothing may be sent, where keys, mode, program or configuration do not belong together.
    pub identity: Option<&'a Denial>,
}

impl Facts<'_> {
    /// By how much the order raises what may still fill on its side: its quantity, or, where only one of it and the order
    /// whose place it takes can fill, what it has more than that one.
    #[inline(always)]
    fn added(&self) -> i128 {
        let quantity = i128::from(self.intent.order.quantity.0);
        match &self.replaced {
            Some(replaced) if replaced.is_exclusive() => (quantity - i128::from(replaced.record.reserve.0)).max(0),
            _ => quantity,
        }
    }

    /// The order as it is sent: what C15 makes of a market order.
    pub(super) fn protected_order(&self) -> Order {
        let order = &self.intent.order;
        let policy = self.instrument_limits.market_orders;
        self.instrument.map_or(*order, |instrument| {
            c15_market_orders::protected(order, policy, self.terms.worst_price, instrument)
        })
    }

    /// Whether the order only brings the strategy's position closer to zero, even if all that is on its way on this
    /// side fills.
    fn is_reducing(&self) -> bool {
        self.added() <= room(self.exposure, self.intent.order.side)
    }
}

/// How much an order of this side could still reduce, if all that is on its way on this side fills. Orders on the other
/// side may never fill and are not counted on.
fn room(exposure: &Exposure, side: Side) -> i128 {
    let held = match side {
        Side::Buy => exposure.booked().saturating_neg(),
        Side::Sell => exposure.booked(),
    };
    held.saturating_sub(exposure.open(side)).max(0)
}

/// Basis points in one.
const BPS: i128 = 10_000;

/// The denial itself.
#[cold]
fn deny(reason: DenialReason, limit: impl Into<i128>, observed: impl Into<i128>) -> Result<(), Denial> {
    Err(Denial { reason, limit: limit.into(), observed: observed.into() })
}

/// The denial for a limit of zero (or less): it is not configured. `control` is the number of the control that needs it.
#[cold]
fn unconfigured(limit: i128, control: i128) -> Result<(), Denial> {
    deny(DenialReason::LimitNotConfigured, limit, control)
}

/// `part` of `whole` in basis points, rounded up; the largest number where there is no whole. For denials only.
#[cold]
fn bps_of(part: i128, whole: i128) -> i128 {
    if whole <= 0 {
        return i128::MAX;
    }
    part.saturating_mul(BPS).saturating_add(whole - 1) / whole
}

#[cfg(test)]
mod testing;
