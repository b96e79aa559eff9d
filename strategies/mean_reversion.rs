//! Mean reversion: buys below and sells above a moving average, and gets out at the average.
//!
//! On each closed bar it draws Bollinger bands around the closes of the last bars. It rests a buy at the lower band
//! and a sell at the upper one, on the bet that a price that strayed comes back. Once it holds something, the order
//! that would reduce that goes to the mean instead: that is where the bet is won. Both orders move with the bands,
//! never take liquidity, and never let the position beyond its bound.

use gannet::strategy::prelude::*;

/// What can be set.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeanReversionParams {
    /// How many bars the mean and the bands are of.
    #[schemars(range(min = 2, max = 500))]
    length: usize,
    /// How many standard deviations the bands are from the mean.
    #[schemars(range(min = 0.1, max = 10.0))]
    width: f64,
    /// Quantity of each order, in the base asset.
    #[schemars(range(min = 0.00000001, max = 1000000.0))]
    order_quantity: f64,
    /// The largest position, long or short, in the base asset.
    #[schemars(range(min = 0.00000001, max = 1000000.0))]
    position_max: f64,
    /// After a denial or reject, how long to wait before the next order on that side, in milliseconds.
    #[schemars(range(min = 1, max = 60000))]
    cool_down_ms: u64,
}

impl Default for MeanReversionParams {
    fn default() -> Self {
        Self { length: 20, width: 1.0, order_quantity: 0.001, position_max: 0.02, cool_down_ms: 1_000 }
    }
}

/// One instance.
pub struct MeanReversion {
    instrument: InstrumentId,
    order_quantity: Quantity,
    position_max: Quantity,
    bands: Bollinger,
    /// When the newest bar began that is in the bands.
    counted: Timestamp,
    buy: Quoter,
    sell: Quoter,
}

/// What is found again after a restart.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct State {
    bands: Bollinger,
    counted_ns: u64,
    buy: SavedQuoter,
    sell: SavedQuoter,
}

impl Strategy for MeanReversion {
    const METADATA: Metadata = Metadata {
        kind: "mean_reversion",
        display_name: "Mean reversion",
        version: "1.0.0",
        author: "Gannet",
        description: "Rests orders at Bollinger bands of closed bars and exits at their mean.",
        compatibility: Compatibility::ANY,
    };

    type Params = MeanReversionParams;

    fn new(params: &Self::Params, setup: &Setup) -> Result<Self, FieldError> {
        let instrument = setup.only_instrument()?;
        setup.bars()?;
        let order_quantity = setup.quantity("order_quantity", instrument, params.order_quantity)?;
        let position_max = setup.quantity("position_max", instrument, params.position_max)?;
        if position_max < order_quantity {
            return Err(FieldError::new("position_max", "must be at least order_quantity"));
        }
        Ok(Self {
            instrument: instrument.id,
            order_quantity,
            position_max,
            bands: Bollinger::new(params.length, params.width),
            counted: Timestamp::UNKNOWN,
            buy: Quoter::new(instrument.id, Side::Buy, params.cool_down_ms),
            sell: Quoter::new(instrument.id, Side::Sell, params.cool_down_ms),
        })
    }

    fn save(&self) -> Option<SavedState> {
        let (bands, counted_ns) = (self.bands.clone(), self.counted.nanos());
        SavedState::of(1, &State { bands, counted_ns, buy: self.buy.save(), sell: self.sell.save() })
    }

    fn resume(&mut self, state: &SavedState) -> Result<(), FieldError> {
        let State { bands, counted_ns, buy, sell } = state.read(1)?;
        // With other parameters they are of no use; the bars of the past make new ones.
        if bands.shape() == self.bands.shape() {
            (self.bands, self.counted) = (bands, Timestamp::from_nanos(counted_ns));
        }
        self.buy.resume(&buy);
        self.sell.resume(&sell);
        Ok(())
    }

    /// The bars of the past make the bands ready at once. Those that were counted before a restart are not counted again.
    fn on_start(&mut self, context: &mut Context) -> Handled {
        let bars = context.bars_since(self.instrument, self.counted).unwrap_or_else(|| {
            let (length, width) = self.bands.shape();
            self.bands = Bollinger::new(length, width);
            context.bars(self.instrument)
        });
        for bar in bars {
            self.bands.update(price_to_float(bar.close));
            self.counted = bar.open_ns;
        }
        Ok(())
    }

    fn on_bar(&mut self, context: &mut Context, _: InstrumentId, bar: &Bar) -> Handled {
        self.bands.update(price_to_float(bar.close));
        self.counted = bar.open_ns;
        self.decide(context, &[Side::Buy, Side::Sell]);
        Ok(())
    }

    fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> Handled {
        self.buy.on_order(context, update);
        self.sell.on_order(context, update);
        if matches!(update.status, OrderStatus::Filled | OrderStatus::PartiallyFilled) {
            // What is held now wants a way out. The next entry waits for the next bar: in a fall, each fill would
            // otherwise be followed by another at once.
            let is_long = context.position(self.instrument).quantity > Quantity::ZERO;
            self.decide(context, &[if is_long { Side::Sell } else { Side::Buy }]);
        }
        Ok(())
    }

    fn on_timer(&mut self, context: &mut Context, _: Timestamp) -> Handled {
        self.buy.advance(context);
        self.sell.advance(context);
        Ok(())
    }
}

impl MeanReversion {
    /// Says where the orders of these sides should rest now.
    fn decide(&mut self, context: &mut Context, sides: &[Side]) {
        let (Some(bands), Some(&rules)) = (self.bands.value(), context.instrument(self.instrument)) else { return };
        let position = context.position(self.instrument).quantity;
        for &side in sides {
            // What this order would take off a position of the other sign, and what it may add to one of its own.
            let against = Quantity(position.0.saturating_mul(-side.sign()));
            let room = Quantity(self.position_max.0.saturating_add(against.0));
            let (level, most) = match side {
                _ if against > Quantity::ZERO => (bands.mean, against),
                Side::Buy => (bands.lower, room),
                Side::Sell => (bands.upper, room),
            };
            let price = float_to_price(level).unwrap_or_default();
            let quantity = rules.floor_to_lot(self.order_quantity.min(most));
            match side {
                Side::Buy => self.buy.quote(context, rules.floor_to_tick(price), quantity),
                Side::Sell => self.sell.quote(context, rules.ceil_to_tick(price), quantity),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gannet::strategy::testkit::Kit;

    /// An instance warmed with closes around 100.00, of which the bands are 99.00 and 101.00.
    fn started() -> Kit {
        let params = MeanReversionParams { length: 4, width: 1.0, ..MeanReversionParams::default() };
        let mut kit = Kit::of::<MeanReversion>(&params);
        kit.warm(&[9900, 10_100, 9900, 10_100]);
        kit.book(9999, 10_001);
        kit
    }

    fn prices(kit: &mut Kit) -> Vec<(Side, i64)> {
        kit.take_orders().iter().map(|intent| (intent.order.side, intent.order.price.0)).collect()
    }

    #[test]
    fn rests_at_both_bands_and_follows_them() {
        let mut kit = started();
        kit.bar(9900);
        let first = kit.take_orders();
        assert_eq!(first.iter().map(|intent| intent.order.price.0).collect::<Vec<_>>(), [9900, 10_100]);
        assert!(first.iter().all(|intent| intent.order.is_post_only && intent.stamp.is_synced));
        // The same bands again: nothing to do.
        kit.accept_all();
        kit.bar(10_100);
        assert_eq!((prices(&mut kit), kit.cancels().len()), (vec![], 0));
        // Other bands: new orders take the places of the old ones.
        kit.bar(10_300);
        let moved = kit.take_orders();
        let replaced: Vec<_> = moved.iter().map(|intent| intent.order.replaces).collect();
        assert_eq!(replaced, first.iter().map(|intent| intent.order.client_order_id).collect::<Vec<_>>());
        kit.accept_all();
        assert_eq!((kit.open_orders().len(), kit.cancels().len()), (2, 0));
    }

    #[test]
    fn a_band_beyond_the_market_joins_the_best_price() {
        let mut kit = started();
        kit.book(9800, 9802);
        kit.bar(9900);
        assert_eq!(prices(&mut kit), [(Side::Buy, 9800), (Side::Sell, 10_100)]);
    }

    #[test]
    fn exits_at_the_mean_and_keeps_within_its_bound() {
        let mut kit = started();
        kit.bar(9900);
        let orders = kit.take_orders();
        kit.accept_all();
        kit.filled(orders[0].order.client_order_id, orders[0].order.quantity);
        // The sell moves to the mean, for what is held; the next buy waits for the next bar.
        assert_eq!(prices(&mut kit), [(Side::Sell, 10_001)]);
        kit.accept_all();
        assert_eq!(kit.open_orders().len(), 1);
        // Buys until there is no room.
        for _ in 0..30 {
            kit.bar(9900);
            kit.accept_all();
            let buys: Vec<_> = kit.open_orders().into_iter().filter(|order| order.side == Side::Buy).collect();
            buys.iter().for_each(|order| kit.filled(order.client_order_id, order.quantity));
        }
        assert_eq!(kit.position().quantity, Quantity(2_000));
        assert!(kit.open_orders().iter().all(|order| order.side == Side::Sell));
    }

    #[test]
    fn backs_off_after_a_denial() {
        let mut kit = started();
        kit.bar(9900);
        for intent in kit.take_orders() {
            kit.denied(intent.order.client_order_id, DenialReason::PriceTooFar);
        }
        kit.advance_ms(900);
        assert_eq!(prices(&mut kit), []);
        kit.advance_ms(200);
        assert_eq!(prices(&mut kit).len(), 2);
    }

    #[test]
    fn sends_nothing_from_a_book_that_is_not_in_sync() {
        let mut kit = started();
        kit.depth_lost();
        kit.bar(9900);
        assert_eq!(prices(&mut kit), []);
    }

    #[test]
    fn after_a_restart_no_bar_is_counted_twice_and_none_is_missing() {
        let params = MeanReversionParams { length: 4, width: 1.0, ..MeanReversionParams::default() };
        let mut kit = started();
        kit.bar(9900);
        kit.accept_all();
        let before = kit.open_orders().len();
        let mut kit = kit.restarted::<MeanReversion>(&params).expect("resumes");
        kit.advance_ms(1_000);
        // The history of the restart: three bars that were counted before, told otherwise here, and two that nobody saw.
        kit.warm(&[1, 1, 1, 9900, 10_300]);
        kit.book(9999, 10_001);
        assert_eq!((kit.take_orders().len(), kit.open_orders().len()), (0, before), "the orders are its own");
        kit.bar(9900);
        kit.confirm_cancels();
        // One that saw it all.
        let mut other = started();
        for close in [9900, 9900, 10_300, 9900] {
            other.bar(close);
            other.accept_all();
        }
        let open = |kit: &Kit| kit.open_orders().iter().map(|order| (order.side, order.price)).collect::<Vec<_>>();
        assert_eq!(open(&kit), open(&other));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (field, params) in [
            ("order_quantity", MeanReversionParams { order_quantity: 0.000001, ..Default::default() }),
            ("position_max", MeanReversionParams { position_max: 0.0005, ..Default::default() }),
        ] {
            assert_eq!(Kit::try_of::<MeanReversion>(&params).err().map(|error| error.field), Some(field.to_owned()));
        }
    }
}
