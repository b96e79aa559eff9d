//! Keeping one order where a strategy wants it.

use super::context::Context;
use super::desk::NewOrder;
use crate::types::{ClientOrderId, InstrumentId, OrderStatus, OrderUpdate, Price, Quantity, Side, Timestamp};

/// One resting order on one side of one instrument, kept where its strategy wants it.
///
/// A wanted price that would take liquidity is brought back to the best price of its own side. An order that is
/// wanted elsewhere is canceled, and the new one is sent when the cancel is confirmed: at no time are there two, so
/// that what may fill is never more than what is wanted. After a denial or a reject nothing is sent for a while: what
/// was refused once would be refused again, on every tick.
#[derive(Clone, Copy, Debug)]
pub struct Quoter {
    instrument: InstrumentId,
    side: Side,
    wanted: Option<(Price, Quantity)>,
    /// The order there is, and what was wanted when it was sent.
    order: Option<(ClientOrderId, (Price, Quantity))>,
    cool_down_ns: u64,
    resume_ns: Timestamp,
}

impl Quoter {
    /// No order; after a refusal none is sent for `cool_down_ms`.
    #[must_use]
    pub const fn new(instrument: InstrumentId, side: Side, cool_down_ms: u64) -> Self {
        Self {
            instrument,
            side,
            wanted: None,
            order: None,
            cool_down_ns: cool_down_ms.saturating_mul(1_000_000),
            resume_ns: Timestamp::UNKNOWN,
        }
    }

    /// Wants a post-only order at `price` (on a tick) for `quantity`, and does what can be done towards it now.
    /// Nothing is wanted where one of them is not positive.
    pub fn quote(&mut self, context: &mut Context, price: Price, quantity: Quantity) {
        self.wanted = (price > Price::ZERO && quantity > Quantity::ZERO).then_some((price, quantity));
        self.advance(context);
    }

    /// Wants no order.
    pub fn withdraw(&mut self, context: &mut Context) {
        self.wanted = None;
        self.advance(context);
    }

    /// The order there is, if there is one.
    #[must_use]
    pub fn order(&self) -> Option<ClientOrderId> {
        self.order.map(|(id, _)| id)
    }

    /// Takes an update of one of the strategy's orders. Answers whether it was of this quoter's.
    pub fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> bool {
        if self.order() != Some(update.client_order_id) {
            return false;
        }
        match update.status {
            OrderStatus::Denied | OrderStatus::Rejected => {
                self.resume_ns = context.now().plus(self.cool_down_ns);
                // Wakes the strategy, should the market be silent; without room for it, the market will.
                context.timer(self.resume_ns);
            }
            // What was wanted is done; the strategy decides anew.
            OrderStatus::Filled => self.wanted = None,
            _ => {}
        }
        self.advance(context);
        true
    }

    /// Does what can be done now towards what is wanted: call it from `on_timer`.
    pub fn advance(&mut self, context: &mut Context) {
        if let Some((id, for_wanted)) = self.order
            && let Some(order) = context.working_order(id)
        {
            // A partial fill leaves the rest of what was wanted: that order is still the right one.
            if self.wanted != Some(for_wanted) && !order.is_cancel_wanted {
                context.cancel(id);
            }
            return;
        }
        self.order = None;
        let Some(wanted) = self.wanted else { return };
        let Some(&quote) = context.quote(self.instrument).filter(|quote| quote.is_two_sided()) else { return };
        if context.now() < self.resume_ns || !context.is_synced(self.instrument) {
            return;
        }
        let price = match self.side {
            Side::Buy => wanted.0.min(quote.bid),
            Side::Sell => wanted.0.max(quote.ask),
        };
        match context.submit(NewOrder::limit(self.instrument, self.side, wanted.1, price).post_only()) {
            Ok(id) => self.order = Some((id, wanted)),
            Err(_) => self.resume_ns = context.now().plus(self.cool_down_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testkit::Kit;
    use super::super::{AnyStrategy, Event, Handled, runner::Instance, testkit::Room};
    use super::*;
    use crate::types::{DenialReason, Money, StrategyId};
    use proptest::prelude::*;

    /// Wants a buy at what a trade's price says, and none at a price of 1.
    struct Following(Quoter);

    impl AnyStrategy for Following {
        fn handle(&mut self, context: &mut Context, event: Event) -> Handled {
            match event {
                Event::Trade(_, _, trade) if trade.price == Price(1) => self.0.withdraw(context),
                Event::Trade(_, _, trade) => self.0.quote(context, trade.price, trade.quantity),
                Event::Order(update) => drop(self.0.on_order(context, update)),
                Event::Timer(_) => self.0.advance(context),
                _ => {}
            }
            Ok(())
        }
    }

    fn kit() -> Kit {
        let strategy = Box::new(Following(Quoter::new(Kit::INSTRUMENT, Side::Buy, 1_000)));
        let (name, instruments) = (String::new(), vec![Kit::INSTRUMENT]);
        let id = StrategyId(0);
        let instance = Instance {
            id,
            name,
            strategy,
            instruments,
            bar_interval_ms: None,
            capital: Money::ZERO,
            is_quarantined: false,
        };
        let mut kit = Kit::with(vec![instance], Room::default()).expect("it fits");
        kit.warm(&[]);
        kit.book(100, 102);
        kit
    }

    #[test]
    fn a_price_through_the_market_comes_back_to_the_touch_and_stays() {
        let mut kit = kit();
        kit.trade(Side::Buy, 105, 10);
        kit.accept_all();
        kit.trade(Side::Buy, 105, 10);
        assert_eq!((kit.open_orders().len(), kit.open_orders()[0].price, kit.cancels().len()), (1, Price(100), 0));
        // The market moves while the cancel is under way: the new order does not cross it.
        kit.trade(Side::Buy, 99, 10);
        kit.book(97, 98);
        kit.confirm_cancels();
        assert_eq!(kit.open_orders()[0].price, Price(97));
    }

    proptest! {
        /// Whatever is wanted and whatever becomes of the orders: never two, never through the market, and when all is
        /// quiet, the order that is wanted last.
        #[test]
        fn there_is_one_order_and_in_the_end_the_right_one(
            steps in prop::collection::vec((0..7u8, 1..120i64, 1..20i64), 1..80), last in 2..100i64,
        ) {
            let mut kit = kit();
            for (kind, price, quantity) in steps {
                let order = kit.open_orders().first().copied();
                match (kind, order) {
                    (0, _) => kit.trade(Side::Buy, price, quantity),
                    (1, _) => kit.book(price, price + 1),
                    (2, _) => kit.confirm_cancels(),
                    (3, Some(order)) => kit.filled(order.client_order_id, Quantity(quantity.min(order.quantity.0 - order.filled.0))),
                    (4, Some(order)) => kit.rejected(order.client_order_id, -2010),
                    (5, Some(order)) => kit.denied(order.client_order_id, DenialReason::PriceCollar),
                    _ => kit.advance_ms(300),
                }
                prop_assert!(kit.open_orders().len() <= 1);
            }
            kit.book(100, 102);
            kit.trade(Side::Buy, last, 25);
            for _ in 0..3 {
                kit.confirm_cancels();
                kit.advance_ms(1_100);
            }
            let open: Vec<_> = kit.open_orders().iter().map(|order| (order.price.0, order.quantity.0)).collect();
            prop_assert_eq!(open, [(last, 25)]);
        }
    }
}
