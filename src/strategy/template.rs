//! What it does, in a sentence: follows the trend of closed bars.
//!
//! A strategy is one file with one type, named as the file. Handlers are called one at a time and must not block,
//! allocate or panic; everything they may know and do is in the context. `gannet strategies list` shows it after the
//! next build, `cargo test strategy_template` runs the tests below.

use gannet::strategy::prelude::*;

/// What can be set: each with its bounds and what it means, which forms and `gannet strategies schema` show.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StrategyTemplateParams {
    /// How many bars the average is of.
    #[schemars(range(min = 1, max = 500))]
    length: usize,
    /// Quantity of each order, in the base asset.
    #[schemars(range(min = 0.00000001, max = 1000000.0))]
    order_quantity: f64,
}

impl Default for StrategyTemplateParams {
    fn default() -> Self {
        Self { length: 20, order_quantity: 0.001 }
    }
}

/// One instance: its parameters in exact integers, and what it remembers.
pub struct StrategyTemplate {
    instrument: InstrumentId,
    order_quantity: Quantity,
    average: Sma,
    /// When the newest bar began that is in the average.
    counted: Timestamp,
    buy: Quoter,
    sell: Quoter,
}

impl Strategy for StrategyTemplate {
    const METADATA: Metadata = Metadata {
        kind: "strategy_template",
        display_name: "Strategy template",
        version: "0.1.0",
        author: "",
        description: "Holds one order quantity while the close is above its average.",
        compatibility: Compatibility::ANY,
    };

    type Params = StrategyTemplateParams;

    // The place to allocate and to refuse what does not fit together.
    fn new(params: &Self::Params, setup: &Setup) -> Result<Self, FieldError> {
        let instrument = setup.only_instrument()?;
        setup.bars()?;
        Ok(Self {
            instrument: instrument.id,
            order_quantity: setup.quantity("order_quantity", instrument, params.order_quantity)?,
            average: Sma::new(params.length),
            counted: Timestamp::UNKNOWN,
            buy: Quoter::new(instrument.id, Side::Buy, 1_000),
            sell: Quoter::new(instrument.id, Side::Sell, 1_000),
        })
    }

    // What the next start of the engine finds again: whatever serde can write. Without these two it begins afresh each
    // time. The number is the version of what is saved: a state of another one is not read, and with another text of this
    // file none is.
    fn save(&self) -> Option<SavedState> {
        SavedState::of(1, &(&self.average, self.counted.nanos(), self.buy.save(), self.sell.save()))
    }

    fn resume(&mut self, state: &SavedState) -> Result<(), FieldError> {
        let (average, counted_ns, buy, sell): (Sma, u64, SavedQuoter, SavedQuoter) = state.read(1)?;
        // Parameters may have changed since.
        if average.length() == self.average.length() {
            (self.average, self.counted) = (average, Timestamp::from_nanos(counted_ns));
        }
        self.buy.resume(&buy);
        self.sell.resume(&sell);
        Ok(())
    }

    // The bars of the past are there before the first live event. Where it was resumed, some of them are in the average.
    fn on_start(&mut self, context: &mut Context) -> Handled {
        let bars = context.bars_since(self.instrument, self.counted).unwrap_or_else(|| {
            self.average = Sma::new(self.average.length());
            context.bars(self.instrument)
        });
        for bar in bars {
            self.average.update(price_to_float(bar.close));
            self.counted = bar.open_ns;
        }
        Ok(())
    }

    fn on_bar(&mut self, context: &mut Context, instrument: InstrumentId, bar: &Bar) -> Handled {
        let close = price_to_float(bar.close);
        self.counted = bar.open_ns;
        let (Some(average), Some(&quote)) = (self.average.update(close), context.quote(instrument)) else {
            return Ok(());
        };
        let is_held = context.position(instrument).quantity > Quantity::ZERO;
        // Quoters keep one post-only order each where it is wanted.
        if close > average && !is_held {
            self.buy.quote(context, quote.bid, self.order_quantity);
        } else {
            self.buy.withdraw(context);
        }
        if close < average && is_held {
            self.sell.quote(context, quote.ask, self.order_quantity);
        } else {
            self.sell.withdraw(context);
        }
        Ok(())
    }

    fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> Handled {
        self.buy.on_order(context, update);
        self.sell.on_order(context, update);
        Ok(())
    }

    // A quoter that was refused asks to be woken.
    fn on_timer(&mut self, context: &mut Context, _: Timestamp) -> Handled {
        self.buy.advance(context);
        self.sell.advance(context);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gannet::strategy::testkit::Kit;

    #[test]
    fn buys_above_the_average() {
        let params = StrategyTemplateParams { length: 3, ..Default::default() };
        let mut kit = Kit::of::<StrategyTemplate>(&params);
        kit.warm(&[10_000, 10_000, 10_000]);
        kit.book(9999, 10_001);
        kit.bar(9900);
        assert!(kit.take_orders().is_empty());
        kit.bar(10_200);
        let orders = kit.take_orders();
        assert_eq!(orders.len(), 1);
        assert_eq!((orders[0].order.side, orders[0].order.price), (Side::Buy, Price(9999)));
    }
}
