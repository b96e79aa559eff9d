//! Strategies over a restart: which find what they left behind, and which begin afresh, and why.

use super::names::Names;
use crate::backtest::{EngineStart, InstanceStart};
use crate::strategy::saved::{Left, SavedState};
use crate::strategy::{AnyStrategy, FieldError};
use crate::types::StrategyId;
use serde::Serialize;
use std::collections::BTreeMap;

/// How a strategy begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Beginning {
    /// No earlier run had it.
    New,
    /// It took up what it had saved.
    Resumed,
    /// An earlier run had it, but what it came to there is not taken up.
    Afresh {
        /// Why, in words.
        because: String,
    },
}

/// What one strategy left behind.
#[derive(Clone, Debug)]
struct Leftover {
    start: InstanceStart,
    /// What it traded, by name: ids are those of one run.
    instruments: Vec<String>,
    left: Result<Left, String>,
}

/// What the strategies of an earlier run left behind, by name.
#[derive(Clone, Debug, Default)]
pub struct Leftovers(BTreeMap<String, Leftover>);

impl Leftovers {
    /// Of the run that began so, and what its instances left.
    #[must_use]
    pub fn of(start: &EngineStart, left: Vec<(StrategyId, Result<Left, String>)>) -> Self {
        let mut left: BTreeMap<StrategyId, _> = left.into_iter().collect();
        let leftover = |instance: &InstanceStart| {
            let named = |id: &crate::types::InstrumentId| start.names.instruments.get(id.index()).cloned();
            let instruments = instance.instruments.iter().filter_map(named).collect();
            let left = left.remove(&instance.id).unwrap_or_else(|| Err("its thread was gone".to_owned()));
            (start.strategy_name(instance.id), Leftover { start: instance.clone(), instruments, left })
        };
        Self(start.shards.iter().flatten().map(leftover).collect())
    }

    /// Lets a strategy that was just built take up what it left behind, where that is still the same strategy on the same
    /// instruments. `afresh` builds it once more where it refuses; parameters are its own to judge.
    ///
    /// # Errors
    /// Those of `afresh`.
    pub fn begin(
        &self,
        start: &mut InstanceStart,
        names: &Names,
        strategy: Box<dyn AnyStrategy>,
        afresh: impl FnOnce() -> Result<Box<dyn AnyStrategy>, Vec<FieldError>>,
    ) -> Result<(Box<dyn AnyStrategy>, Beginning), Vec<FieldError>> {
        let name = names.strategies.get(start.id.index()).map_or("", String::as_str);
        let Some(found) = self.0.get(name) else { return Ok((strategy, Beginning::New)) };
        match found.state(start, names) {
            Err(because) => Ok((strategy, Beginning::Afresh { because })),
            Ok(state) => {
                let mut strategy = strategy;
                match strategy.resume(state) {
                    Ok(()) => {
                        start.resumed = Some(state.clone());
                        Ok((strategy, Beginning::Resumed))
                    }
                    Err(error) => {
                        Ok((afresh()?, Beginning::Afresh { because: format!("it refuses its state: {error}") }))
                    }
                }
            }
        }
    }
}

impl Leftover {
    /// What it may take up that is to begin so, or why it may not.
    fn state(&self, start: &InstanceStart, names: &Names) -> Result<&SavedState, String> {
        let InstanceStart { kind, file_hash, bar_interval_ms, .. } = &self.start;
        let named = |id: &crate::types::InstrumentId| names.instruments.get(id.index());
        if *kind != start.kind {
            return Err(format!("it was a {kind}, and is a {} now", start.kind));
        }
        if *file_hash != start.file_hash {
            return Err("its file was edited".to_owned());
        }
        if !start.instruments.iter().map(named).eq(self.instruments.iter().map(Some)) {
            return Err("its instruments are others".to_owned());
        }
        if *bar_interval_ms != start.bar_interval_ms {
            return Err("its bars are of another length".to_owned());
        }
        match &self.left {
            Ok(Left::Saved(state)) => Ok(state),
            Ok(Left::Nothing) => Err("it saves nothing".to_owned()),
            Ok(Left::InError) => Err("it was in error".to_owned()),
            Err(problem) => Err(problem.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::{Context, Event, Handled};
    use crate::types::{InstrumentId, Money};

    /// Takes up any state but one of version 9.
    struct Any;

    impl AnyStrategy for Any {
        fn handle(&mut self, _: &mut Context, _: Event) -> Handled {
            Ok(())
        }

        fn resume(&mut self, state: &SavedState) -> Result<(), FieldError> {
            if state.version() == 9 { Err(FieldError::new("state", "no")) } else { Ok(()) }
        }
    }

    fn instance() -> InstanceStart {
        InstanceStart {
            id: StrategyId(0),
            kind: "maker".to_owned(),
            file_hash: [1; 16],
            params: "{}".to_owned(),
            instruments: vec![InstrumentId(1)],
            capital: Money(1),
            bar_interval_ms: Some(1_000),
            is_quarantined: false,
            resumed: None,
        }
    }

    #[test]
    fn what_is_another_strategy_than_it_was_begins_afresh_and_says_why() {
        let text = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let names = Names { venues: text(&["v"]), instruments: text(&["v:A", "v:B"]), strategies: text(&["one"]) };
        let begin = |left: Result<Left, String>, edit: &dyn Fn(&mut InstanceStart)| {
            let leftover = Leftover { start: instance(), instruments: text(&["v:B"]), left };
            let leftovers = Leftovers(BTreeMap::from([("one".to_owned(), leftover)]));
            let mut start = instance();
            edit(&mut start);
            let (_, beginning) =
                leftovers.begin(&mut start, &names, Box::new(Any), || Ok(Box::new(Any))).expect("builds");
            assert_eq!(start.resumed.is_some(), beginning == Beginning::Resumed);
            match beginning {
                Beginning::Afresh { because } => because,
                other => format!("{other:?}"),
            }
        };
        let saved = |version| Ok(Left::Saved(SavedState::of(version, &1).expect("small")));
        assert_eq!(begin(saved(1), &|_| {}), "Resumed");
        assert_eq!(begin(saved(1), &|start| start.params = "{\"a\":1}".to_owned()), "Resumed");
        assert_eq!(begin(saved(1), &|start| start.id = StrategyId(7)), "New");
        assert!(begin(saved(9), &|_| {}).contains("refuses its state: state: no"));
        assert!(begin(saved(1), &|start| start.file_hash = [2; 16]).contains("edited"));
        assert!(begin(saved(1), &|start| start.kind = "taker".to_owned()).contains("it was a maker"));
        assert!(begin(saved(1), &|start| start.instruments = vec![InstrumentId(0)]).contains("instruments"));
        assert!(begin(saved(1), &|start| start.bar_interval_ms = None).contains("bars"));
        assert!(begin(Ok(Left::Nothing), &|_| {}).contains("nothing"));
        assert!(begin(Ok(Left::InError), &|_| {}).contains("in error"));
        assert_eq!(begin(Err("a gap".to_owned()), &|_| {}), "a gap");
    }
}
