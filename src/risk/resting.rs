//! How many orders are open, and what they are worth at their prices.

use super::core::Core;
use crate::types::{Instrument, InstrumentId, Money, Order, Quantity};

/// Open orders of one strategy, instrument or account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOrders {
    /// Of the strategy, in all its instruments.
    pub strategy: u32,
    /// In the instrument, of all strategies.
    pub instrument: u32,
    /// Of the account, which is the venue's.
    pub account: u32,
    /// What those in the instrument may still fill, at their prices, in the quote asset.
    pub instrument_notional: Money,
}

/// Orders of which anything is still reserved, counted by strategy, instrument and account.
#[derive(Debug)]
pub(super) struct Resting {
    strategies: Vec<u32>,
    instruments: Vec<(u32, Money)>,
    accounts: Vec<u32>,
}

impl Resting {
    pub(super) fn new(strategies: usize, instruments: usize, accounts: usize) -> Self {
        Self {
            strategies: vec![0; strategies],
            instruments: vec![(0, Money::ZERO); instruments],
            accounts: vec![0; accounts],
        }
    }

    /// What is open around an order of this strategy in this instrument.
    #[inline]
    pub(super) fn around(&self, order: &Order, instrument: &Instrument) -> OpenOrders {
        let (count, notional) = self.instruments.get(order.instrument.index()).copied().unwrap_or_default();
        OpenOrders {
            strategy: self.strategies.get(order.strategy.index()).copied().unwrap_or(0),
            instrument: count,
            account: self.accounts.get(usize::from(instrument.venue.0)).copied().unwrap_or(0),
            instrument_notional: notional,
        }
    }

    /// Whether anything is open in an instrument.
    pub(super) fn has_open(&self, instrument: InstrumentId) -> bool {
        self.instruments.get(instrument.index()).is_some_and(|(orders, _)| *orders > 0)
    }

    /// What an order may still fill went from `before` to `after`.
    pub(super) fn change(&mut self, order: &Order, instrument: &Instrument, before: Quantity, after: Quantity) {
        let count = |count: &mut u32| match (before.0 > 0, after.0 > 0) {
            (false, true) => *count = count.saturating_add(1),
            (true, false) => *count = count.saturating_sub(1),
            _ => {}
        };
        if let Some((orders, notional)) = self.instruments.get_mut(instrument.id.index()) {
            count(orders);
            let value = |quantity| resting_notional(order, instrument, quantity).unwrap_or_default();
            *notional = notional.saturating_add(value(after)).saturating_sub(value(before));
        }
        // Orders that are not ours belong to no strategy.
        if let Some(orders) = self.strategies.get_mut(order.strategy.index()) {
            count(orders);
        }
        if let Some(orders) = self.accounts.get_mut(usize::from(instrument.venue.0)) {
            count(orders);
        }
    }
}

impl Core {
    /// What an order may still fill went from `before` to `after`.
    pub(super) fn rest(&mut self, order: &Order, before: Quantity, after: Quantity) {
        if before != after
            && let Some(market) = self.books.market(order.instrument)
        {
            self.resting.change(order, &market.instrument, before, after);
        }
    }
}

/// What a quantity of an order is worth while it rests: at its limit price, or else at its stop price. A market order
/// does not rest: it is worth nothing here. `None` on overflow.
#[inline]
pub(super) fn resting_notional(order: &Order, instrument: &Instrument, quantity: Quantity) -> Option<Money> {
    let price = if order.order_type.is_limited() { order.price } else { order.stop_price };
    instrument.notional(price, quantity)
}
