//! Decide: strategies, and the shard that runs them.
//!
//! A strategy is one file in `strategies/` with one type that implements [`Strategy`]. It is told what happens through
//! handlers, reads the market and its own orders and positions from a [`Context`], and writes orders, signals and log
//! lines into it. It has no clock, no I/O and no globals, so that the same events give the same decisions.
//!
//! A [`Shard`](runner::Shard) runs instances of strategies beside each other: it owns the books of their instruments,
//! calls their handlers, and keeps one that fails from touching its neighbours.

pub mod brackets;
#[allow(clippy::disallowed_macros, reason = "cold: the command line")]
pub mod command;
pub mod context;
mod desk;
pub mod indicators;
mod market;
pub mod quoting;
#[allow(clippy::disallowed_macros, reason = "cold: builds instances")]
pub mod registry;
pub mod runner;
#[allow(clippy::disallowed_macros, reason = "cold: before a run and after it")]
pub mod saved;
#[allow(clippy::disallowed_macros, reason = "cold: checks configuration")]
pub mod schema;
mod state_hash;
#[allow(clippy::disallowed_macros, clippy::panic, reason = "cold: fails the test it is used in")]
pub mod testkit;

#[cfg(test)]
mod bracket_risk_tests;
#[cfg(test)]
mod bracket_tests;
#[cfg(test)]
mod recorded;
#[cfg(test)]
mod shard_tests;

pub use brackets::{ArmedBracket, Bracket};
pub use context::Context;
pub use desk::{InstanceState, NewOrder, Tally, WorkingOrder};
pub use saved::SavedState;

use crate::book::Bar;
use crate::types::{
    Denial, Excerpt, Instrument, InstrumentId, Money, OrderUpdate, Price, Quantity, Quote, Side, StrategyId, Timestamp,
    Trade, parse_fixed,
};
use std::any::Any;
use std::fmt;

/// What strategy files import.
pub mod prelude {
    pub use super::indicators::{Atr, Bollinger, Ema, Rsi, Sma, StandardDeviation};
    pub use super::quoting::{Quoter, SavedQuoter};
    pub use super::{
        ArmedBracket, Bracket, Compatibility, Context, FieldError, Handled, MarketType, Metadata, NewOrder, SavedState,
        Setup, Signal, SignalAction, Strategy, StrategyError, WorkingOrder, float_to_price, price_to_float,
    };
    pub use crate::book::{Bar, DepthBook, Level};
    pub use crate::types::{
        ClientOrderId, Denial, DenialReason, Instrument, InstrumentId, Money, OrderStatus, OrderType, OrderUpdate,
        PositionState, Price, Quantity, Quote, Side, Timestamp, Trade,
    };
    pub use schemars::JsonSchema;
    pub use serde::{Deserialize, Serialize};
}

/// A kind of market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketType {
    /// Crypto assets against each other, delivered at once.
    Spot,
    /// Contracts that never expire.
    Perpetual,
    /// Contracts with a date.
    Future,
    /// Shares.
    Equity,
}

impl MarketType {
    /// The name in listings: `SPOT`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Spot => "SPOT",
            Self::Perpetual => "PERPETUAL",
            Self::Future => "FUTURE",
            Self::Equity => "EQUITY",
        }
    }
}

/// Where a strategy may run. An empty list allows all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compatibility {
    /// Names of venues.
    pub venues: &'static [&'static str],
    /// Kinds of markets.
    pub market_types: &'static [MarketType],
    /// Symbols; `*` stands for any run of characters.
    pub symbol_patterns: &'static [&'static str],
    /// The smallest capital, in whole units of the account's currency.
    pub capital_min: u64,
}

impl Compatibility {
    /// Anywhere.
    pub const ANY: Self = Self { venues: &[], market_types: &[], symbol_patterns: &[], capital_min: 0 };
}

/// What a strategy says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata {
    /// Its name in configuration: `mean_reversion`, the name of its file.
    pub kind: &'static str,
    /// Its name on screens.
    pub display_name: &'static str,
    /// Its version, as in `1.0.0`.
    pub version: &'static str,
    /// Who wrote it.
    pub author: &'static str,
    /// What it does, in a sentence or two.
    pub description: &'static str,
    /// Where it may run.
    pub compatibility: Compatibility,
}

/// A field of a configuration that is wrong, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// The field's path: `params.length`; empty where the whole is meant.
    pub field: String,
    /// What is wrong with it and what is allowed.
    pub message: String,
}

impl FieldError {
    /// An error of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() { f.write_str(&self.message) } else { write!(f, "{}: {}", self.field, self.message) }
    }
}

impl std::error::Error for FieldError {}

/// What an instance is made of, besides its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Its id.
    pub strategy: StrategyId,
    /// What it may trade, in the configured order.
    pub instruments: &'a [Instrument],
    /// What it may use, in the quote asset.
    pub capital: Money,
    /// How long its bars last; none where it wants none.
    pub bar_interval_ms: Option<u64>,
}

impl<'a> Setup<'a> {
    /// The instrument, for a strategy that trades one.
    ///
    /// # Errors
    /// Where there are more or none.
    pub fn only_instrument(&self) -> Result<&'a Instrument, FieldError> {
        match self.instruments {
            [instrument] => Ok(instrument),
            others => {
                let message = ["one is needed, not ", &others.len().to_string()].concat();
                Err(FieldError::new("instruments", message))
            }
        }
    }

    /// A quantity given as a decimal number (`0.001`) in whole lots of `instrument`, exactly as written.
    ///
    /// # Errors
    /// Where it is not a multiple of the lot, below the venue's smallest order, or does not fit.
    pub fn quantity(&self, field: &str, instrument: &Instrument, value: f64) -> Result<Quantity, FieldError> {
        let precision = instrument.quantity_precision;
        // The shortest text of a float is the decimal that was written.
        let parsed = parse_fixed(value.to_string().as_bytes(), precision);
        let quantity = Quantity(parsed.map_err(|error| FieldError::new(field, error.to_string()))?);
        let refused = if quantity != instrument.floor_to_lot(quantity) {
            ("must be a multiple of ", instrument.lot)
        } else if quantity < instrument.quantity_min || quantity <= Quantity::ZERO {
            ("must be at least ", instrument.quantity_min.max(instrument.lot))
        } else {
            return Ok(quantity);
        };
        let allowed = crate::types::format_fixed(refused.1.0, precision);
        Err(FieldError::new(field, [refused.0, allowed.as_str(), " of ", instrument.symbol.as_str()].concat()))
    }

    /// How long the bars last, for a strategy that needs them.
    ///
    /// # Errors
    /// Where none are configured.
    pub fn bars(&self) -> Result<u64, FieldError> {
        self.bar_interval_ms.ok_or_else(|| FieldError::new("bars", "an interval is needed, such as 1s or 1m"))
    }
}

/// A price as a float, in its own units (hundredths of a dollar, say): exact up to 2^53 of them. For indicators.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "prices of markets are far below 2^53 units")]
pub fn price_to_float(price: Price) -> f64 {
    price.0 as f64
}

/// The price nearest to a float in price units; `None` where it is no number or too large.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "in range and whole")]
pub fn float_to_price(value: f64) -> Option<Price> {
    let rounded = value.round();
    (rounded.abs() <= 9_007_199_254_740_992.0).then_some(Price(rounded as i64))
}

/// Why a handler failed: a number of the strategy's own, from 10,000; below are [`Denial`]s that it passed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrategyError(pub u16);

impl From<Denial> for StrategyError {
    fn from(denial: Denial) -> Self {
        Self(denial.reason as u16)
    }
}

/// What handlers answer. Three errors in a row pause the instance.
pub type Handled = Result<(), StrategyError>;

/// What a strategy thinks should be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalAction {
    /// Buy.
    Buy,
    /// Sell.
    Sell,
    /// Leave things as they are.
    Hold,
    /// Bring the position to zero.
    Close,
}

/// A signal: an opinion that is shown and recorded, not an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// In what.
    pub instrument: InstrumentId,
    /// What should be done.
    pub action: SignalAction,
    /// How sure it is, 0 to 100.
    pub confidence_percent: u8,
    /// Why.
    pub reason: Excerpt,
    /// Where a loss should be taken.
    pub stop_loss: Option<Price>,
    /// Where a profit should be taken.
    pub take_profit: Option<Price>,
}

impl Signal {
    /// A signal without stop and target.
    #[must_use]
    pub fn new(instrument: InstrumentId, action: SignalAction, confidence_percent: u8, reason: &str) -> Self {
        let reason = Excerpt::new(reason.as_bytes());
        Self { instrument, action, confidence_percent, reason, stop_loss: None, take_profit: None }
    }
}

/// Typed parameters: `#[derive(Deserialize, JsonSchema)] #[serde(default, deny_unknown_fields)]`, with the defaults of
/// `Default` and bounds from `#[schemars(range(min = …, max = …))]`.
pub trait Params: serde::de::DeserializeOwned + schemars::JsonSchema + Default + Send + 'static {}

impl<T: serde::de::DeserializeOwned + schemars::JsonSchema + Default + Send + 'static> Params for T {}

/// A trading strategy.
///
/// Handlers are called one at a time, in the order in which the shard took the events. They must not allocate, block
/// or panic: the first costs latency, the second stops the shard, the third ends the instance.
pub trait Strategy: Send + Sized + 'static {
    /// What it says of itself.
    const METADATA: Metadata;

    /// Its parameters.
    type Params: Params;

    /// An instance. The parameters are within the bounds of their schema already.
    ///
    /// # Errors
    /// The field that does not fit the instruments, the capital or the other fields.
    fn new(params: &Self::Params, setup: &Setup) -> Result<Self, FieldError>;

    /// What it wants to find again after a restart. Asked for after the last handler was called, never while it trades, so
    /// that it may allocate. By default it begins afresh each time.
    fn save(&self) -> Option<SavedState> {
        None
    }

    /// Takes up what this very file saved in an earlier run, with the parameters of today: right after [`Strategy::new`],
    /// before any handler. Orders that are open still are told like new ones; what came of others while the engine was down
    /// never is. [`Strategy::on_start`] follows as always, with the bars of the past: those that are in the state already
    /// are not to be counted again.
    ///
    /// # Errors
    /// Why it does not fit. The instance then begins afresh.
    fn resume(&mut self, _state: &SavedState) -> Result<(), FieldError> {
        Err(FieldError::new("state", "is not kept by this strategy"))
    }

    /// Called once, after the bars of the past are there ([`Context::bars`]) and before the first live event.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_start(&mut self, _context: &mut Context) -> Handled {
        Ok(())
    }

    /// The top of book changed.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_quote(&mut self, _context: &mut Context, _instrument: InstrumentId, _quote: &Quote) -> Handled {
        Ok(())
    }

    /// A trade, or several of one aggressor side summed.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_trade(&mut self, _context: &mut Context, _instrument: InstrumentId, _side: Side, _trade: &Trade) -> Handled {
        Ok(())
    }

    /// A depth update was applied whole: see [`Context::depth`].
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_depth(&mut self, _context: &mut Context, _instrument: InstrumentId) -> Handled {
        Ok(())
    }

    /// A bar closed.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_bar(&mut self, _context: &mut Context, _instrument: InstrumentId, _bar: &Bar) -> Handled {
        Ok(())
    }

    /// One of its orders changed: accepted, filled, canceled, rejected by the venue, denied by risk.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_order(&mut self, _context: &mut Context, _update: &OrderUpdate) -> Handled {
        Ok(())
    }

    /// A signal from outside.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_signal(&mut self, _context: &mut Context, _signal: &Signal) -> Handled {
        Ok(())
    }

    /// The deadline `at`, asked for with [`Context::timer`], has passed.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_timer(&mut self, _context: &mut Context, _at: Timestamp) -> Handled {
        Ok(())
    }

    /// New parameters, within the bounds of their schema.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_params(&mut self, _context: &mut Context, _params: &Self::Params) -> Handled {
        Ok(())
    }

    /// The instance stops. Cancels still go out, new orders are denied; its working orders are canceled after this.
    ///
    /// # Errors
    /// What the strategy finds wrong.
    fn on_stop(&mut self, _context: &mut Context) -> Handled {
        Ok(())
    }
}

/// What a handler is called with, one variant a handler.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// [`Strategy::on_start`].
    Start,
    /// [`Strategy::on_quote`].
    Quote(InstrumentId, &'a Quote),
    /// [`Strategy::on_trade`].
    Trade(InstrumentId, Side, &'a Trade),
    /// [`Strategy::on_depth`].
    Depth(InstrumentId),
    /// [`Strategy::on_bar`].
    Bar(InstrumentId, &'a Bar),
    /// [`Strategy::on_order`].
    Order(&'a OrderUpdate),
    /// [`Strategy::on_signal`].
    Signal(&'a Signal),
    /// [`Strategy::on_timer`].
    Timer(Timestamp),
    /// [`Strategy::on_params`]; of another type than the strategy's own they are a `WRONG_PARAMS` of [`AnyStrategy`].
    Params(&'a (dyn Any + Send)),
    /// [`Strategy::on_stop`].
    Stop,
}

/// A strategy of any type, as the shard holds it.
pub trait AnyStrategy: Send {
    /// Calls the handler of `event`.
    ///
    /// # Errors
    /// What the handler answers.
    fn handle(&mut self, context: &mut Context, event: Event) -> Handled;

    /// As [`Strategy::save`].
    fn save(&self) -> Option<SavedState> {
        None
    }

    /// As [`Strategy::resume`].
    ///
    /// # Errors
    /// Why it does not fit.
    fn resume(&mut self, _state: &SavedState) -> Result<(), FieldError> {
        Err(FieldError::new("state", "is not kept by this strategy"))
    }
}

impl dyn AnyStrategy {
    /// The parameters handed over are of another strategy's type.
    pub const WRONG_PARAMS: StrategyError = StrategyError(9_999);
}

impl<S: Strategy> AnyStrategy for S {
    fn save(&self) -> Option<SavedState> {
        Strategy::save(self)
    }

    fn resume(&mut self, state: &SavedState) -> Result<(), FieldError> {
        Strategy::resume(self, state)
    }

    #[inline]
    fn handle(&mut self, context: &mut Context, event: Event) -> Handled {
        match event {
            Event::Start => self.on_start(context),
            Event::Quote(instrument, quote) => self.on_quote(context, instrument, quote),
            Event::Trade(instrument, side, trade) => self.on_trade(context, instrument, side, trade),
            Event::Depth(instrument) => self.on_depth(context, instrument),
            Event::Bar(instrument, bar) => self.on_bar(context, instrument, bar),
            Event::Order(update) => self.on_order(context, update),
            Event::Signal(signal) => self.on_signal(context, signal),
            Event::Timer(at) => self.on_timer(context, at),
            Event::Params(params) => match params.downcast_ref() {
                Some(params) => self.on_params(context, params),
                None => Err(<dyn AnyStrategy>::WRONG_PARAMS),
            },
            Event::Stop => self.on_stop(context),
        }
    }
}
