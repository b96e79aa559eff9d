//! What people call things, and the ids of this run.

use crate::config::{Config, InstrumentConfig};
use crate::risk::KillScope;
use crate::types::{InstrumentId, StrategyId, VenueId};

/// The configured names, each list by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Of venues.
    pub venues: Vec<String>,
    /// Of instruments, as `VENUE:SYMBOL`.
    pub instruments: Vec<String>,
    /// Of strategies.
    pub strategies: Vec<String>,
}

crate::types::binary::binary_struct!(Names { venues, instruments, strategies });

impl Names {
    /// The names of a configuration; ids are given in its order.
    #[must_use]
    pub fn of(config: &Config) -> Self {
        Self {
            venues: config.venues.iter().map(|venue| venue.name.clone()).collect(),
            instruments: config.instruments.iter().map(InstrumentConfig::name).collect(),
            strategies: config.strategies.iter().map(|strategy| strategy.name.clone()).collect(),
        }
    }

    /// The id of a venue.
    #[must_use]
    pub fn venue(&self, name: &str) -> Option<VenueId> {
        u8::try_from(place(&self.venues, name)?).ok().map(VenueId)
    }

    /// The id of an instrument.
    #[must_use]
    pub fn instrument(&self, name: &str) -> Option<InstrumentId> {
        u32::try_from(place(&self.instruments, name)?).ok().map(InstrumentId)
    }

    /// The id of a strategy.
    #[must_use]
    pub fn strategy(&self, name: &str) -> Option<StrategyId> {
        u16::try_from(place(&self.strategies, name)?).ok().map(StrategyId)
    }

    /// What a scope's name means: `engine`, `venue:NAME`, `account:NAME`, `instrument:VENUE:SYMBOL`, `strategy:NAME`.
    /// `None` where it names nothing that there is.
    #[must_use]
    pub fn scope(&self, text: &str) -> Option<KillScope> {
        if text == ENGINE {
            return Some(KillScope::Engine);
        }
        let (kind, name) = text.split_once(':')?;
        match kind {
            "venue" => self.venue(name).map(KillScope::Venue),
            "account" => self.venue(name).map(KillScope::Account),
            "instrument" => self.instrument(name).map(KillScope::Instrument),
            "strategy" => self.strategy(name).map(KillScope::Strategy),
            _ => None,
        }
    }

    /// Every scope with its name, the widest first.
    pub fn scopes(&self) -> impl Iterator<Item = (String, KillScope)> {
        let kinds = [
            ("venue", &self.venues),
            ("account", &self.venues),
            ("instrument", &self.instruments),
            ("strategy", &self.strategies),
        ];
        let texts = kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind}:{name}")));
        std::iter::once(ENGINE.to_owned()).chain(texts).filter_map(|text| self.scope(&text).map(|scope| (text, scope)))
    }
}

/// The name of the widest scope.
pub const ENGINE: &str = "engine";

fn place(names: &[String], name: &str) -> Option<usize> {
    names.iter().position(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_has_one_name_and_nothing_else_has_one() {
        let names = Names {
            venues: vec!["a".to_owned(), "b".to_owned()],
            instruments: vec!["a:BTCUSDT".to_owned(), "b:BTCUSDT".to_owned()],
            strategies: vec!["engine".to_owned(), "with:colon".to_owned()],
        };
        let scopes: Vec<_> = names.scopes().collect();
        assert_eq!(scopes.len(), 1 + 2 + 2 + 2 + 2);
        for (text, scope) in &scopes {
            assert_eq!(names.scope(text), Some(*scope), "{text}");
            assert_eq!(scopes.iter().filter(|(_, other)| other == scope).count(), 1, "{text}");
        }
        assert_eq!(names.scope("instrument:b:BTCUSDT"), Some(KillScope::Instrument(InstrumentId(1))));
        assert_eq!(names.scope("strategy:with:colon"), Some(KillScope::Strategy(StrategyId(1))));
        for unknown in ["", "Engine", "all", "venue", "venue:", "venue:c", "instrument:BTCUSDT", "strategy:a", "a"] {
            assert_eq!(names.scope(unknown), None, "{unknown}");
        }
    }
}
