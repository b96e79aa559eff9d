//! What an order comes to at worst: worked out once, for every control that looks at it.

use super::BPS;
use crate::types::{Instrument, Money, OrderIntent, OrderType, Price, Side};

/// The worst price of an order, and what it is worth there.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// The worst price at which the order is taken to fill: a limit order's own; for a market order the opposite touch
    /// (for a stop order its stop price) and the allowed slippage beyond it, rounded away from it. `None` without a
    /// touch, or on overflow.
    pub worst_price: Option<Price>,
    /// Its quantity at that price, in the quote asset; `None` without a price, and on overflow.
    pub notional: Option<Money>,
}

impl Terms {
    /// The terms of an order in the market that it was decided in; `max_slippage_bps` is the instrument's limit.
    #[inline]
    #[must_use]
    pub fn of(intent: &OrderIntent, instrument: Option<&Instrument>, max_slippage_bps: u32) -> Self {
        let order = &intent.order;
        let worst_price = match order.order_type {
            OrderType::Limit | OrderType::StopLimit => Some(order.price),
            // It meets the market at its stop price.
            OrderType::Stop => slipped(order.stop_price, order.side, max_slippage_bps),
            OrderType::Market => opposite_touch(intent).and_then(|touch| slipped(touch, order.side, max_slippage_bps)),
        };
        let notional =
            worst_price.zip(instrument).and_then(|(price, instrument)| instrument.notional(price, order.quantity));
        Self { worst_price, notional }
    }
}

/// The touch that the order would take from; `None` where that side is empty.
pub(super) fn opposite_touch(intent: &OrderIntent) -> Option<Price> {
    let touch = match intent.order.side {
        Side::Buy => intent.stamp.ask,
        Side::Sell => intent.stamp.bid,
    };
    (touch.0 > 0).then_some(touch)
}

fn slipped(from: Price, side: Side, slippage_bps: u32) -> Option<Price> {
    // An i64 times a u32 fits 128 bits.
    let from = i128::from(from.0);
    let slip = from * i128::from(slippage_bps);
    let slip = (slip + BPS - 1) / BPS;
    let price = match side {
        Side::Buy => from + slip,
        Side::Sell => from - slip,
    };
    i64::try_from(price).ok().filter(|&price| price > 0).map(Price)
}
