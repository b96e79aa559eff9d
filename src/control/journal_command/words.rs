//! What ids are called: as the engine start says that wrote the records which hold them.

use super::text::{Value, Writer};
use crate::backtest::EngineStart;
use crate::types::{AssetId, ClientOrderId, InstrumentId, StrategyId, VenueId};

/// The names of one engine start. What is not known is written as its kind and number: `instrument 3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Words {
    venues: Vec<String>,
    instruments: Vec<String>,
    strategies: Vec<String>,
    assets: Vec<String>,
}

impl Words {
    /// Of an engine start.
    pub(super) fn of(start: &EngineStart) -> Self {
        Self {
            venues: start.names.venues.clone(),
            instruments: start.names.instruments.clone(),
            strategies: start.names.strategies.clone(),
            assets: start.config.instruments.assets().iter().map(|asset| asset.as_str().to_owned()).collect(),
        }
    }

    /// An instrument's name; `None` where none is meant.
    pub(super) fn instrument(&self, id: InstrumentId) -> Option<String> {
        (id != InstrumentId::NONE).then(|| named(&self.instruments, id.index(), "instrument"))
    }
}

fn named(names: &[String], index: usize, kind: &str) -> String {
    names.get(index).cloned().unwrap_or_else(|| format!("{kind} {index}"))
}

impl Value for VenueId {
    fn write(&self, writer: &mut Writer<'_>) {
        named(&writer.words.venues, usize::from(self.0), "venue").write(writer);
    }
}

impl Value for InstrumentId {
    fn write(&self, writer: &mut Writer<'_>) {
        writer.words.instrument(*self).write(writer);
    }
}

impl Value for StrategyId {
    fn write(&self, writer: &mut Writer<'_>) {
        let name = (*self != Self::NONE).then(|| named(&writer.words.strategies, self.index(), "strategy"));
        name.write(writer);
    }
}

impl Value for AssetId {
    fn write(&self, writer: &mut Writer<'_>) {
        let name = (*self != Self::NONE).then(|| named(&writer.words.assets, self.index(), "asset"));
        name.write(writer);
    }
}

impl Value for ClientOrderId {
    fn write(&self, writer: &mut Writer<'_>) {
        (*self != Self::NONE).then(|| self.to_string()).write(writer);
    }
}
