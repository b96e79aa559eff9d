//! Market maker: rests a buy and a sell around the fair price, and earns the distance between them.
//!
//! Fair is the mid weighted by the quantities at the touch. Both quotes lean away from what is held (a long position
//! lowers them, so that the sell is likelier to fill), stop adding to a position at its bound, and never take
//! liquidity. They move only when the fair price has moved enough and they have rested long enough, also after
//! a fill: every move costs the place in the queue and a message.

use gannet::strategy::prelude::*;

/// What can be set. Distances are parts per million of the price: 100 are one basis point.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MarketMakerParams {
    /// How far each quote is from the fair price, at least a tick.
    #[schemars(range(min = 0, max = 100000))]
    half_spread_ppm: u32,
    /// How far both quotes are moved against a position at its bound; in proportion below.
    #[schemars(range(min = 0, max = 100000))]
    skew_ppm: u32,
    /// How far the fair price moves before the quotes do.
    #[schemars(range(min = 0, max = 100000))]
    requote_ppm: u32,
    /// How long quotes rest before they are moved, in milliseconds.
    #[schemars(range(min = 0, max = 60000))]
    rest_min_ms: u64,
    /// Quantity of each quote, in the base asset.
    #[schemars(range(min = 0.00000001, max = 1000000.0))]
    order_quantity: f64,
    /// The largest position, long or short, in the base asset.
    #[schemars(range(min = 0.00000001, max = 1000000.0))]
    position_max: f64,
    /// After a denial or reject, how long to wait before the next order on that side, in milliseconds.
    #[schemars(range(min = 1, max = 60000))]
    cool_down_ms: u64,
}

impl Default for MarketMakerParams {
    fn default() -> Self {
        Self {
            half_spread_ppm: 10,
            skew_ppm: 20,
            requote_ppm: 1,
            rest_min_ms: 500,
            order_quantity: 0.001,
            position_max: 0.02,
            cool_down_ms: 1_000,
        }
    }
}

/// One instance.
pub struct MarketMaker {
    instrument: InstrumentId,
    params: MarketMakerParams,
    order_quantity: Quantity,
    position_max: Quantity,
    buy: Quoter,
    sell: Quoter,
    /// The fair price and position that the quotes are for, and since when.
    quoted: Option<(Price, Quantity, Timestamp)>,
}

impl Strategy for MarketMaker {
    const METADATA: Metadata = Metadata {
        kind: "market_maker",
        display_name: "Market maker",
        version: "1.0.0",
        author: "Gannet",
        description: "Quotes both sides around the microprice and leans against its inventory.",
        compatibility: Compatibility::ANY,
    };

    type Params = MarketMakerParams;

    fn new(params: &Self::Params, setup: &Setup) -> Result<Self, FieldError> {
        let instrument = setup.only_instrument()?;
        let order_quantity = setup.quantity("order_quantity", instrument, params.order_quantity)?;
        let position_max = setup.quantity("position_max", instrument, params.position_max)?;
        if position_max < order_quantity {
            return Err(FieldError::new("position_max", "must be at least order_quantity"));
        }
        Ok(Self {
            instrument: instrument.id,
            params: params.clone(),
            order_quantity,
            position_max,
            buy: Quoter::new(instrument.id, Side::Buy, params.cool_down_ms),
            sell: Quoter::new(instrument.id, Side::Sell, params.cool_down_ms),
            quoted: None,
        })
    }

    /// The quotes that rest. Where fair was is of no use later: it is looked at anew.
    fn save(&self) -> Option<SavedState> {
        SavedState::of(1, &(self.buy.save(), self.sell.save()))
    }

    fn resume(&mut self, state: &SavedState) -> Result<(), FieldError> {
        let (buy, sell): (SavedQuoter, SavedQuoter) = state.read(1)?;
        self.buy.resume(&buy);
        self.sell.resume(&sell);
        Ok(())
    }

    fn on_quote(&mut self, context: &mut Context, _: InstrumentId, _: &Quote) -> Handled {
        self.decide(context);
        Ok(())
    }

    fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> Handled {
        self.buy.on_order(context, update);
        self.sell.on_order(context, update);
        self.decide(context);
        Ok(())
    }

    fn on_timer(&mut self, context: &mut Context, _: Timestamp) -> Handled {
        self.buy.advance(context);
        self.sell.advance(context);
        Ok(())
    }
}

impl MarketMaker {
    /// Moves the quotes if it is time to.
    fn decide(&mut self, context: &mut Context) {
        let fair = context.microprice(self.instrument).filter(|_| context.is_synced(self.instrument));
        let Some(fair) = fair else {
            // The market is not known: nothing is to rest in it.
            self.quoted = None;
            self.buy.withdraw(context);
            self.sell.withdraw(context);
            return;
        };
        let position = context.position(self.instrument).quantity;
        if let Some((last_fair, last_position, since)) = self.quoted {
            let has_rested = context.now().since(since) >= self.params.rest_min_ms.saturating_mul(1_000_000);
            let has_moved = fair.0.abs_diff(last_fair.0) >= share(fair, self.params.requote_ppm).unsigned_abs();
            if !has_rested || (!has_moved && position == last_position) {
                return;
            }
        }
        self.quoted = Some((fair, position, context.now()));
        self.requote(context, fair, position);
    }

    fn requote(&mut self, context: &mut Context, fair: Price, position: Quantity) {
        let Some(rules) = context.instrument(self.instrument).copied() else { return };
        let half_spread = share(fair, self.params.half_spread_ppm).max(rules.tick.0);
        let lean = i128::from(share(fair, self.params.skew_ppm)) * i128::from(position.0)
            / i128::from(self.position_max.0.max(1));
        // Beyond its bound, as after a late fill, the position leans no more than at it.
        let lean_max = share(fair, self.params.skew_ppm);
        let lean = i64::try_from(lean).unwrap_or(lean_max).clamp(-lean_max, lean_max);
        let center = fair.0.saturating_sub(lean);
        let bid = rules.floor_to_tick(Price(center.saturating_sub(half_spread)));
        let ask = rules.ceil_to_tick(Price(center.saturating_add(half_spread)));
        let room = |sign: i64| {
            let room = self.position_max.0.saturating_sub(position.0.saturating_mul(sign));
            rules.floor_to_lot(Quantity(room.clamp(0, self.order_quantity.0)))
        };
        let (bid_quantity, ask_quantity) = (room(1), room(-1));
        self.buy.quote(context, bid, bid_quantity);
        self.sell.quote(context, ask, ask_quantity);
    }
}

/// `ppm` millionths of a price.
fn share(price: Price, ppm: u32) -> i64 {
    i64::try_from(i128::from(price.0) * i128::from(ppm) / 1_000_000).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use gannet::strategy::testkit::Kit;

    fn started() -> Kit {
        let params = MarketMakerParams {
            half_spread_ppm: 1_000,
            skew_ppm: 2_000,
            requote_ppm: 100,
            rest_min_ms: 500,
            order_quantity: 0.002,
            position_max: 0.01,
            cool_down_ms: 1_000,
        };
        let mut kit = Kit::of::<MarketMaker>(&params);
        kit.warm(&[]);
        kit.book(9999, 10_001);
        kit
    }

    /// The quotes have rested, and the market is as it was.
    fn rest(kit: &mut Kit) {
        kit.advance_ms(600);
        kit.quote(9999, 10_001);
        kit.confirm_cancels();
    }

    fn quotes(kit: &Kit) -> Vec<(Side, i64, i64)> {
        kit.open_orders().iter().map(|order| (order.side, order.price.0, order.quantity.0)).collect()
    }

    #[test]
    fn quotes_both_sides_of_fair() {
        let mut kit = started();
        assert_eq!(quotes(&kit), [(Side::Buy, 9990, 200), (Side::Sell, 10_010, 200)]);
        assert!(kit.take_orders().iter().all(|intent| intent.order.is_post_only));
    }

    #[test]
    fn moves_when_fair_moved_and_the_quotes_have_rested() {
        let mut kit = started();
        kit.accept_all();
        kit.advance_ms(600);
        kit.take_orders();
        kit.book(10_000, 10_001);
        assert!(kit.take_orders().is_empty(), "moved by less than the threshold");
        kit.book(10_100, 10_102);
        assert!(kit.take_orders().iter().all(|intent| intent.order.replaces != ClientOrderId::NONE));
        kit.accept_all();
        assert_eq!(quotes(&kit), [(Side::Buy, 10_091, 200), (Side::Sell, 10_111, 200)]);
        kit.book(10_200, 10_202);
        assert!(kit.take_orders().is_empty(), "has not rested");
        kit.advance_ms(600);
        kit.book(10_200, 10_202);
        assert_eq!((kit.take_orders().len(), kit.cancels().len()), (2, 0));
    }

    #[test]
    fn leans_against_its_inventory_and_stops_at_its_bound() {
        let mut kit = started();
        for _ in 0..5 {
            kit.accept_all();
            let buy = kit.open_orders().into_iter().find(|order| order.side == Side::Buy).expect("room to buy");
            kit.filled(buy.client_order_id, buy.quantity);
            rest(&mut kit);
        }
        assert_eq!(kit.position().quantity, Quantity(1_000));
        // Fair 100.00, leaning 0.20, half a spread of 0.10: at the touch.
        assert_eq!(quotes(&kit), [(Side::Sell, 10_001, 200)]);
    }

    #[test]
    fn a_partial_fill_moves_the_quotes_by_what_was_filled() {
        let mut kit = started();
        kit.accept_all();
        let buy = kit.open_orders()[0];
        kit.filled(buy.client_order_id, Quantity(100));
        assert!(kit.cancels().is_empty(), "has not rested");
        rest(&mut kit);
        // A tenth of the bound leans a tenth of 0.20; rounding is away from the market.
        assert_eq!(quotes(&kit), [(Side::Buy, 9988, 200), (Side::Sell, 10_008, 200)]);
    }

    #[test]
    fn backs_off_after_a_reject() {
        let mut kit = started();
        kit.accept_all();
        let buy = kit.open_orders()[0];
        kit.rejected(buy.client_order_id, -2010);
        kit.take_orders();
        for _ in 0..5 {
            kit.advance_ms(100);
            kit.book(9999, 10_001);
        }
        assert!(kit.take_orders().is_empty());
        kit.advance_ms(600);
        assert_eq!(kit.take_orders().len(), 1);
    }

    #[test]
    fn withdraws_when_the_book_is_not_in_sync() {
        let mut kit = started();
        kit.accept_all();
        kit.depth_lost();
        kit.quote(9999, 10_001);
        kit.confirm_cancels();
        assert!(kit.open_orders().is_empty());
    }

    #[test]
    fn quotes_that_rest_are_its_own_again_after_a_restart() {
        let params = MarketMakerParams { half_spread_ppm: 1_000, rest_min_ms: 0, ..MarketMakerParams::default() };
        let mut kit = Kit::of::<MarketMaker>(&params);
        kit.warm(&[]);
        kit.book(9999, 10_001);
        kit.accept_all();
        let before = quotes(&kit);
        let mut kit = kit.restarted::<MarketMaker>(&params).expect("resumes");
        kit.warm(&[]);
        kit.book(9999, 10_001);
        assert_eq!((kit.take_orders().len(), kit.cancels().len(), quotes(&kit)), (0, 0, before));
        // What they were sent with is not known any more, so that they are ended first where others are wanted.
        kit.book(10_099, 10_101);
        assert_eq!(kit.cancels().len(), 2);
        kit.confirm_cancels();
        assert_eq!(kit.open_orders().len(), 2);
    }

    #[test]
    fn a_jump_of_the_price_is_followed() {
        let mut kit = started();
        kit.accept_all();
        kit.advance_ms(600);
        kit.book(5000, 5002);
        kit.confirm_cancels();
        assert_eq!(quotes(&kit), [(Side::Buy, 4996, 200), (Side::Sell, 5006, 200)]);
    }
}
