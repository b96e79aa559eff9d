//! The shards of an engine start under replay, each up to where what it took is known.

use super::cycle::Difference;
use super::sent::Sent;
use super::shard::{Edited, ShardReplay, Unlike};
use super::start::EngineStart;
use crate::journal::JournalStage;
use crate::strategy::saved::Left;
use crate::types::{Entry, Event, StrategyId};

/// Why a shard was not replayed to the end. None of it is a difference: nothing was found that contradicts the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// Entries were left out there: market data, as there was no room or as was configured.
    Gap {
        /// How many.
        count: u64,
    },
    /// The file of a strategy on it is another than the one that was compiled then, or gone.
    Edited,
    /// This program cannot build what was built then, in words.
    Refused(String),
}

/// Where the replay of a shard ended before its journal did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The engine start in which it is.
    pub epoch: u32,
    /// The journal's sequence of the record that it could not go beyond.
    pub seq: u64,
    /// Which shard.
    pub stage: JournalStage,
    /// Because of which strategy; none where it is because of none.
    pub strategy: Option<String>,
    /// Why.
    pub reason: StopReason,
}

/// Where a shard and its journal part.
pub(super) struct ShardDifference {
    pub(super) shard: u8,
    pub(super) difference: Box<Difference>,
}

/// What became of an entry.
pub(super) enum Followed {
    /// It was replayed.
    Replayed,
    /// Replay of its shard had ended before.
    PassedOver,
    /// Replay of its shard ends with it, because of a strategy or of none.
    Stopped(StrategyId, StopReason),
}

/// One shard.
struct Run {
    replay: ShardReplay,
    sent: Sent,
}

/// All shards of an engine start.
#[derive(Default)]
pub(super) struct Shards {
    /// By number; none where replay ended.
    runs: Vec<Option<Run>>,
    /// What they would have been stopped by, told when their first entry comes: until then nothing is amiss.
    unlike: Vec<Option<Unlike>>,
}

impl Shards {
    /// As they were when an engine started.
    pub(super) fn new(start: &EngineStart, edited: Edited) -> Self {
        let mut shards = Self::default();
        for number in 0..start.shard_count() {
            let (run, unlike) = match ShardReplay::new(start, number, edited) {
                Ok(replay) => {
                    let sent = Sent::without(replay.stood_in_for.clone());
                    (Some(Run { replay, sent }), None)
                }
                Err(unlike) => (None, Some(unlike)),
            };
            shards.runs.push(run);
            shards.unlike.push(unlike);
        }
        shards
    }

    /// The next entry of a shard.
    pub(super) fn entry(&mut self, shard: u8, entry: &Entry) -> Result<Followed, ShardDifference> {
        let place = usize::from(shard);
        if let Some(unlike) = self.unlike.get_mut(place).and_then(Option::take) {
            return Ok(match unlike {
                Unlike::Edited(strategy) => Followed::Stopped(strategy, StopReason::Edited),
                Unlike::Refused(strategy, problem) => Followed::Stopped(strategy, StopReason::Refused(problem)),
            });
        }
        let Some(run) = self.runs.get_mut(place) else { return Ok(Followed::PassedOver) };
        let Some(Run { replay, sent }) = run else { return Ok(Followed::PassedOver) };
        if let Event::Gap { count } = entry.event {
            // The cycle before it lacks something, too: it is not run.
            *run = None;
            return Ok(Followed::Stopped(StrategyId::NONE, StopReason::Gap { count }));
        }
        let mut outcome = Ok(());
        let ran = replay.next(entry, &mut |message| {
            if outcome.is_ok() {
                outcome = sent.sent(message);
            }
        });
        // What it sent is what the cycle's entries led to: told first, as it names a strategy.
        outcome.and(ran).map(|()| Followed::Replayed).map_err(|difference| ShardDifference { shard, difference })
    }

    /// An entry of risk: what it took from a shard.
    pub(super) fn taken(&mut self, entry: &Entry) -> Result<(), ShardDifference> {
        let shard = match entry.event {
            Event::Intent { shard, .. } | Event::Cancel { shard, .. } | Event::Mark { shard, .. } => shard,
            _ => return Ok(()),
        };
        match self.runs.get_mut(usize::from(shard)) {
            Some(Some(run)) => run.sent.taken(*entry).map_err(|found| ShardDifference { shard, difference: found }),
            _ => Ok(()),
        }
    }

    /// What the instances of a shard have come to by now; `None` where replay of it has ended.
    pub(super) fn so_far(&self, shard: u8) -> Option<Vec<(StrategyId, Left)>> {
        self.runs.get(usize::from(shard))?.as_ref().map(|run| run.replay.leave())
    }

    /// There are no more entries: what the instances of a shard have come to; `None` where replay of it ended before.
    pub(super) fn leave(&self, shard: u8) -> Option<Vec<(StrategyId, Left)>> {
        let run = self.runs.get(usize::from(shard))?.as_ref()?;
        run.sent.finish(run.replay.ran_ns).ok()?;
        Some(run.replay.leave())
    }

    /// There are no more entries of this engine start.
    pub(super) fn finish(&self) -> Result<(), ShardDifference> {
        for (run, shard) in self.runs.iter().zip(0..) {
            let Some(run) = run else { continue };
            run.sent.finish(run.replay.ran_ns).map_err(|found| ShardDifference { shard, difference: found })?;
        }
        Ok(())
    }
}
