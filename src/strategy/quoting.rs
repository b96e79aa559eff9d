//! Keeping one order where a strategy wants it.

use super::context::Context;
use super::desk::NewOrder;
use crate::types::{
    ClientOrderId, DenialReason, InstrumentId, OrderStatus, OrderUpdate, Price, Quantity, Side, Timestamp,
};
use serde::{Deserialize, Serialize};

/// An order of a quoter, and what was wanted when it was sent.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Quoted {
    id: ClientOrderId,
    wanted: (Price, Quantity),
}

/// One resting order on one side of one instrument, kept where its strategy wants it.
///
/// A wanted price that would take liquidity is brought back to the best price of its own side. An order that is wanted
/// elsewhere is replaced, in one step at the venue: what may fill is never more than what is wanted. Where that cannot
/// be, it is canceled, and the new one is sent when the cancel is confirmed. After a denial or a reject nothing is sent
/// for a while: what was refused once would be refused again, on every tick.
#[derive(Clone, Copy, Debug)]
pub struct Quoter {
    instrument: InstrumentId,
    side: Side,
    wanted: Option<(Price, Quantity)>,
    /// The order there is.
    order: Option<Quoted>,
    /// The order that is to take its place.
    successor: Option<Quoted>,
    /// A successor whose predecessor filled first: that it is refused tells nothing of the next.
    outrun: Option<ClientOrderId>,
    cool_down_ns: u64,
    resume_ns: Timestamp,
    /// What it did before a restart was taken up, and its strategy has not said since what is wanted.
    is_resumed: bool,
}

/// What a [`Quoter`] finds again after a restart: its orders, in plain numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SavedQuoter {
    /// Id, price and quantity of the order there is, then of the one that is to take its place.
    orders: [Option<(u64, i64, i64)>; 2],
    resume_ns: u64,
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
            successor: None,
            outrun: None,
            cool_down_ns: cool_down_ms.saturating_mul(1_000_000),
            resume_ns: Timestamp::UNKNOWN,
            is_resumed: false,
        }
    }

    /// What is to be found again after a restart.
    #[must_use]
    pub fn save(&self) -> SavedQuoter {
        let plain = |quoted: Quoted| (quoted.id.0, quoted.wanted.0.0, quoted.wanted.1.0);
        SavedQuoter {
            orders: [self.order, self.successor].map(|order| order.map(plain)),
            resume_ns: self.resume_ns.nanos(),
        }
    }

    /// Takes up what was saved. The orders that still work are its own again and stay as they are; nothing is sent,
    /// replaced or canceled until the strategy says what it wants now.
    pub fn resume(&mut self, saved: &SavedQuoter) {
        let quoted =
            |(id, price, quantity)| Quoted { id: ClientOrderId(id), wanted: (Price(price), Quantity(quantity)) };
        let [order, successor] = saved.orders.map(|order| order.map(quoted));
        (self.order, self.successor, self.outrun) = (order, successor, None);
        self.wanted = successor.or(order).map(|quoted| quoted.wanted);
        self.resume_ns = Timestamp::from_nanos(saved.resume_ns);
        self.is_resumed = true;
    }

    /// Wants a post-only order at `price` (on a tick) for `quantity`, and does what can be done towards it now.
    /// Nothing is wanted where one of them is not positive.
    pub fn quote(&mut self, context: &mut Context, price: Price, quantity: Quantity) {
        self.wanted = (price > Price::ZERO && quantity > Quantity::ZERO).then_some((price, quantity));
        self.is_resumed = false;
        self.advance(context);
    }

    /// Wants no order.
    pub fn withdraw(&mut self, context: &mut Context) {
        self.wanted = None;
        self.is_resumed = false;
        self.advance(context);
    }

    /// The order there is, if there is one.
    #[must_use]
    pub fn order(&self) -> Option<ClientOrderId> {
        self.order.map(|order| order.id)
    }

    /// Takes an update of one of the strategy's orders. Answers whether it was of this quoter's.
    pub fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> bool {
        let id = update.client_order_id;
        let is_ours = |quoted: Option<Quoted>| quoted.is_some_and(|quoted| quoted.id == id);
        if !is_ours(self.order) && !is_ours(self.successor) {
            return false;
        }
        match update.status {
            OrderStatus::Denied | OrderStatus::Rejected if self.outrun == Some(id) => {}
            // The order to be replaced had changed before, as its own update will tell. It is not tried twice.
            OrderStatus::Denied
                if matches!(update.reason, DenialReason::OrderNotAmendable | DenialReason::AmendBelowFilled) =>
            {
                self.order.map(|order| context.cancel(order.id));
            }
            OrderStatus::Denied | OrderStatus::Rejected => {
                self.resume_ns = context.now().plus(self.cool_down_ns);
                // Wakes the strategy, should the market be silent; without room for it, the market will.
                context.timer(self.resume_ns);
            }
            // What was wanted is done; the strategy decides anew.
            OrderStatus::Filled => {
                self.wanted = None;
                self.outrun = self.successor.map(|successor| successor.id);
            }
            _ => {}
        }
        self.advance(context);
        true
    }

    /// Does what can be done now towards what is wanted: call it from `on_timer`.
    pub fn advance(&mut self, context: &mut Context) {
        self.settle(context);
        if self.is_resumed {
            return;
        }
        let price = self.price(context);
        let (Some(order), None) = (self.order, self.successor) else {
            match (self.successor, self.wanted) {
                // Both are ended where none is wanted; else the replace is waited for.
                (Some(successor), None) => {
                    context.cancel(successor.id);
                    self.order.map(|order| context.cancel(order.id));
                }
                (Some(_), Some(_)) => {}
                (None, _) => self.send(context, price),
            }
            return;
        };
        let Some(&working) = context.working_order(order.id) else { return };
        // A partial fill leaves the rest of what was wanted: that order is still the right one.
        if self.wanted == Some(order.wanted) || working.is_cancel_wanted {
            return;
        }
        if let (Some(wanted), Some(price)) = (self.wanted, price) {
            let quantity = Quantity(wanted.1.0.saturating_add(working.filled.0));
            match working.status {
                // Its acceptance is waited for: before, it can be canceled only.
                OrderStatus::Created | OrderStatus::Sent => return,
                _ if !working.is_replaceable() => {}
                _ => {
                    if let Ok(id) = context.replace(order.id, quantity, price) {
                        self.successor = Some(Quoted { id, wanted });
                        return;
                    }
                }
            }
        }
        context.cancel(order.id);
    }

    /// Forgets the orders that work no more; a successor whose predecessor is gone is the order there is.
    fn settle(&mut self, context: &Context) {
        let works = |quoted: &Quoted| context.working_order(quoted.id).is_some();
        self.successor = self.successor.filter(works);
        self.order = self.order.filter(works);
        if self.order.is_none() {
            self.order = self.successor.take();
        }
    }

    /// What the wanted price is in this market; none while nothing is to be sent.
    fn price(&self, context: &Context) -> Option<Price> {
        let (wanted, _) = self.wanted?;
        let quote = context.quote(self.instrument).filter(|quote| quote.is_two_sided())?;
        if context.now() < self.resume_ns || !context.is_synced(self.instrument) {
            return None;
        }
        Some(match self.side {
            Side::Buy => wanted.min(quote.bid),
            Side::Sell => wanted.max(quote.ask),
        })
    }

    fn send(&mut self, context: &mut Context, price: Option<Price>) {
        let (Some(wanted), Some(price)) = (self.wanted, price) else { return };
        match context.submit(NewOrder::limit(self.instrument, self.side, wanted.1, price).post_only()) {
            Ok(id) => self.order = Some(Quoted { id, wanted }),
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
        kit.book(97, 98);
        kit.trade(Side::Buy, 99, 10);
        kit.accept_all();
        assert_eq!((kit.open_orders().len(), kit.open_orders()[0].price, kit.cancels().len()), (1, Price(97), 0));
    }

    #[test]
    fn an_order_wanted_elsewhere_is_replaced_for_what_is_wanted() {
        let mut kit = kit();
        kit.trade(Side::Buy, 90, 10);
        // Unanswered, it cannot be replaced; then it goes to what was wanted last.
        kit.trade(Side::Buy, 91, 10);
        kit.trade(Side::Buy, 92, 8);
        assert_eq!(kit.take_orders().len(), 1);
        kit.accept_all();
        let first = kit.open_orders()[0];
        let replace = kit.take_orders()[0].order;
        assert_eq!(
            (replace.replaces, replace.price, replace.quantity),
            (first.client_order_id, Price(92), Quantity(8))
        );
        kit.accept_all();
        // What is filled comes on top of what is wanted.
        kit.filled(replace.client_order_id, Quantity(3));
        kit.trade(Side::Buy, 93, 8);
        assert_eq!(kit.take_orders()[0].order.quantity, Quantity(11));
        assert_eq!(kit.open_orders().last().map(|order| order.quantity), Some(Quantity(8)));
        // Nothing is wanted while the replace is on the way: both go.
        kit.trade(Side::Buy, 1, 1);
        kit.confirm_cancels();
        kit.confirm_cancels();
        assert!(kit.open_orders().is_empty());
    }

    #[test]
    fn a_fill_that_outran_its_replace_needs_no_cooling_down() {
        let mut kit = kit();
        kit.trade(Side::Buy, 90, 10);
        kit.accept_all();
        kit.trade(Side::Buy, 91, 10);
        let first = kit.take_orders()[0].order.client_order_id;
        kit.filled(first, Quantity(10));
        kit.accept_all();
        assert!(kit.open_orders().is_empty(), "the replace was refused");
        kit.trade(Side::Buy, 92, 10);
        assert_eq!(kit.take_orders().len(), 1);
        // A replace that was refused for itself: the order goes, and nothing comes for a while.
        kit.accept_all();
        kit.trade(Side::Buy, 93, 10);
        let refused = kit.take_orders()[0].order.client_order_id;
        kit.rejected(refused, -1013);
        kit.confirm_cancels();
        assert!(kit.open_orders().is_empty() && kit.take_orders().is_empty());
        kit.advance_ms(1_100);
        assert_eq!(kit.take_orders()[0].order.price, Price(93));
    }

    proptest! {
        /// Whatever is wanted and whatever becomes of the orders: never two but where one takes the other's place, and
        /// when all is quiet, the order that is wanted last.
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
                let open = kit.open_orders();
                prop_assert!(open.len() <= 1 || (open.len() == 2 && open[0].status == OrderStatus::PendingReplace));
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
