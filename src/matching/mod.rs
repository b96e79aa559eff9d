//! What an exchange does with orders: price-time matching against a recorded book and tape, and against each other.
//!
//! The recorded market is the other side of nearly every fill. It is seen as level updates, top-of-book quotes and
//! trades, and it does not react to our orders. A [`Market`] holds one instrument:
//!
//! * An incoming order takes what is visible within its limit, best price first. What it took stays taken until the
//!   level's next recorded update.
//! * What rests joins the queue of its price behind all that is visible there. Recorded trades at the price move the
//!   queue and then fill the order; a trade through the price, or a level that crosses it, fills it at its own price.
//!   A level that shrinks without a trade is taken to shrink from behind: the queue ahead is only cut to what is left.
//! * Orders of two accounts match each other in price-time order. An order that meets one of its own account ends the
//!   resting one, itself or both; it trades with itself only where it says so ([`SelfTrade`]).
//! * A stop order waits outside the book, what it could cost locked, until a recorded trade meets its [`Trigger`]; then it
//!   is an order that comes in at that moment. A market buy locks its quantity at the trigger's price; where that is not
//!   enough when it is triggered, and nothing else is free, it ends unfilled.
//!
//! A [`Ledger`] holds what the accounts have. Prices, quantities and amounts are integers at [`PRECISION`] decimal
//! places, as Binance spot writes them. A quote amount is `price × quantity` and a fee is `received × rate`, each
//! rounded down at that precision; a fee is charged in the asset received. What does not fit is refused.

mod ledger;
mod market;
mod side;
mod stops;
#[cfg(test)]
mod tests;

pub use ledger::{Balance, Ledger};
pub use market::{Fees, Market};

use crate::types::{AssetId, LiquiditySide, OrderType, Price, Quantity, Side, TimeInForce};

/// Decimal places of every price, quantity and amount in this module.
pub const PRECISION: u8 = 8;

/// One whole unit.
pub const UNIT: i64 = 100_000_000;

/// Names one account of the exchange; an index into its [`Ledger`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(pub u16);

/// Names one order of the exchange. Given by the caller, never used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(pub u64);

/// What happens when an order would trade with one of its own account. The incoming order's own mode is the one that holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SelfTrade {
    /// The resting order ends, the incoming one goes on.
    #[default]
    ExpireMaker,
    /// The incoming order ends, the resting one stays.
    ExpireTaker,
    /// Both end.
    ExpireBoth,
    /// They trade with each other like any two.
    Allowed,
}

/// The last traded price at which a stop order becomes an order like any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// At this price or above: a buy that stops a loss, a sell that takes a profit.
    AtOrAbove(Price),
    /// At this price or below: a sell that stops a loss, a buy that takes a profit.
    AtOrBelow(Price),
}

impl Trigger {
    /// The price it waits for.
    #[must_use]
    pub const fn price(self) -> Price {
        match self {
            Self::AtOrAbove(price) | Self::AtOrBelow(price) => price,
        }
    }

    /// Whether a trade at `last` triggers it.
    #[must_use]
    pub const fn is_met(self, last: Price) -> bool {
        match self {
            Self::AtOrAbove(price) => last.0 >= price.0,
            Self::AtOrBelow(price) => last.0 <= price.0,
        }
    }
}

/// How much of an order is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So much of the base asset.
    Base(Quantity),
    /// For so much of the quote asset; market orders only, rounded down to a lot.
    Quote(i64),
}

/// An order as it comes in.
#[derive(Clone, Copy, Debug)]
pub struct NewOrder {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// Limit or market.
    pub order_type: OrderType,
    /// How long it works; market orders never rest.
    pub time_in_force: TimeInForce,
    /// The limit price; unused by market orders.
    pub price: Price,
    /// How much.
    pub size: Size,
    /// Refused where it would take.
    pub is_post_only: bool,
    /// What happens when it meets an order of its own account.
    pub self_trade: SelfTrade,
    /// Until when it waits outside the book; `None` for an order that works at once.
    pub trigger: Option<Trigger>,
}

/// An order in the market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Its id.
    pub id: OrderId,
    /// Whose it is.
    pub account: AccountId,
    /// Buy or sell.
    pub side: Side,
    /// The limit price; `None` for market orders.
    pub limit: Option<Price>,
    /// What is not filled yet.
    pub remaining: Quantity,
    /// What is still locked for it: of the quote asset for a buy, of the base asset for a sell.
    pub locked: i64,
}

/// What happened to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report {
    /// A stop order was triggered, and works from now on.
    Triggered(OrderId),
    /// It was filled, in part or whole.
    Fill(Fill),
    /// It ended with a part unfilled.
    Ended {
        /// Which.
        order: OrderId,
        /// Why.
        why: Ended,
    },
}

/// Why an order ended unfilled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time in force, or the end of the book for a market order.
    Unfilled,
    /// It met an order of its own account.
    SelfTrade,
}

/// One fill of one order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Which order.
    pub order: OrderId,
    /// At what price.
    pub price: Price,
    /// How much of the base asset.
    pub quantity: Quantity,
    /// How much of the quote asset.
    pub amount: i64,
    /// The fee, of `fee_asset`.
    pub fee: i64,
    /// The asset received, which the fee is charged in.
    pub fee_asset: AssetId,
    /// Whether it took or made liquidity.
    pub liquidity: LiquiditySide,
}

/// Why an order was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The account does not have what the order could cost.
    InsufficientBalance,
    /// A post-only order would have taken liquidity.
    WouldTake,
    /// A stop order whose trigger the last trade has met already.
    WouldTrigger,
    /// A quantity or price is not positive, or a product does not fit 64 bits.
    Overflow,
    /// A market order for a quote amount that buys or sells less than one lot.
    BelowOneLot,
}

/// `price × quantity` in the quote asset, rounded down; `None` where it does not fit.
#[must_use]
pub fn amount(price: Price, quantity: Quantity) -> Option<i64> {
    i64::try_from(i128::from(price.0) * i128::from(quantity.0) / i128::from(UNIT)).ok()
}
