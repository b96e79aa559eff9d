//! A strategy whose handler never returns, once an order of its own rests at the venue.

use gannet::strategy::prelude::*;
use gannet::strategy::registry::Entry;

/// What it says before it falls silent.
pub const LAST_WORDS: &str = "this handler does not return";

/// It alone.
pub static CATALOGUE: &[Entry] = &[Entry::of::<Stuck>("tests/watchdog/stuck.rs")];

#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StuckParams {}

pub struct Stuck {
    instrument: InstrumentId,
    quantity: Quantity,
    tick: i64,
    buy: Quoter,
}

impl Strategy for Stuck {
    const METADATA: Metadata = Metadata {
        kind: "stuck",
        display_name: "Stuck",
        version: "0.1.0",
        author: "",
        description: "Never returns.",
        compatibility: Compatibility::ANY,
    };

    type Params = StuckParams;

    fn new(_: &Self::Params, setup: &Setup) -> Result<Self, FieldError> {
        let instrument = setup.only_instrument()?;
        let quantity = setup.quantity("quantity", instrument, 0.002)?;
        let (id, tick) = (instrument.id, instrument.tick.0);
        Ok(Self { instrument: id, quantity, tick, buy: Quoter::new(id, Side::Buy, 1_000) })
    }

    fn on_quote(&mut self, context: &mut Context, instrument: InstrumentId, _: &Quote) -> Handled {
        if let Some(&quote) = context.quote(self.instrument).filter(|_| instrument == self.instrument) {
            // One percent away: it rests until it is canceled.
            let price = quote.bid.0 - quote.bid.0 / 100;
            self.buy.quote(context, Price(price - price % self.tick), self.quantity);
        }
        Ok(())
    }

    fn on_order(&mut self, context: &mut Context, update: &OrderUpdate) -> Handled {
        self.buy.on_order(context, update);
        if update.status == OrderStatus::Accepted {
            eprintln!("{LAST_WORDS}");
            loop {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }
}
