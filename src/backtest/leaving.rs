//! What the strategies of an engine that did not stop in order had come to: its shards again, up to the end of the journal.
//!
//! For a restart after a crash. Whatever is amiss with a shard's records only means that its strategies begin afresh: what
//! was traded is risk's to know, and is restored from risk's.

use super::shard::Edited;
use super::shards::{Followed, Shards, StopReason};
use super::start::EngineStart;
use crate::journal::{BYTES_VERSION, JournalStage, Record};
use crate::strategy::saved::Left;
use crate::types::{Binary, Entry, Event, StrategyId, Timestamp};

/// Follows the records behind an engine start.
pub struct Leaving {
    shards: Shards,
    /// Each shard's instances, and why what they came to is not known, where that is so.
    ends: Vec<(Vec<StrategyId>, Option<String>)>,
}

impl Leaving {
    /// Of the engine start whose records follow.
    #[must_use]
    pub fn of(start: &EngineStart) -> Self {
        let ids = start.shards.iter().map(|instances| instances.iter().map(|instance| instance.id).collect());
        Self { shards: Shards::new(start, Edited::StoodInFor), ends: ids.map(|ids| (ids, None)).collect() }
    }

    /// Follows a record.
    pub fn record(&mut self, record: &Record<'_>) {
        let stage = JournalStage::of(record.entry.stage);
        if !matches!(stage, JournalStage::Risk | JournalStage::Shard(_)) {
            return;
        }
        let event = Event::take(&mut &*record.payload).filter(|_| record.entry.version == BYTES_VERSION);
        let (sequence, at) = (record.entry.stage_seq, Timestamp::from_nanos(record.entry.mono_ns));
        let entry = event.map(|event| Entry { sequence, at, event });
        match (stage, entry) {
            (JournalStage::Shard(shard), None) => self.end(shard, "the journal has something of it that is not known"),
            (JournalStage::Shard(shard), Some(entry)) => match self.shards.entry(shard, &entry) {
                Ok(Followed::Stopped(_, StopReason::Gap { .. })) => {
                    self.end(shard, "the engine did not stop in order, and the journal lacks market data");
                }
                Ok(Followed::Stopped(_, StopReason::Refused(problem))) => self.end(shard, &problem),
                Ok(Followed::Stopped(_, StopReason::Edited)) => self.end(shard, "a strategy beside it was edited"),
                Ok(Followed::Replayed | Followed::PassedOver) => {}
                Err(found) => self.end(found.shard, DIFFERS),
            },
            (_, Some(entry)) => {
                if let Err(found) = self.shards.taken(&entry) {
                    self.end(found.shard, DIFFERS);
                }
            }
            (_, None) => {}
        }
    }

    /// What the instances have come to that it is known of, by the records so far: for whoever follows a running engine.
    #[must_use]
    pub fn so_far(&self) -> Vec<(StrategyId, Left)> {
        let known = self.ends.iter().zip(0..).filter(|((_, problem), _)| problem.is_none());
        known.filter_map(|(_, shard)| self.shards.so_far(shard)).flatten().collect()
    }

    /// What each instance came to, or why that is not known, in words.
    #[must_use]
    pub fn finish(self) -> Vec<(StrategyId, Result<Left, String>)> {
        let mut all = Vec::new();
        for ((ids, problem), shard) in self.ends.iter().zip(0..) {
            match (problem, self.shards.leave(shard)) {
                (None, Some(left)) => all.extend(left.into_iter().map(|(id, left)| (id, Ok(left)))),
                (problem, _) => {
                    let problem = problem.as_deref().unwrap_or(DIFFERS);
                    all.extend(ids.iter().map(|id| (*id, Err(problem.to_owned()))));
                }
            }
        }
        all
    }

    /// The first problem of a shard is the one that is told.
    fn end(&mut self, shard: u8, problem: &str) {
        if let Some((_, end)) = self.ends.get_mut(usize::from(shard)) {
            end.get_or_insert_with(|| problem.to_owned());
        }
    }
}

/// Where a shard does not come to the same again: another program's, mostly.
const DIFFERS: &str = "this program does not come to what the engine had come to that did not stop in order";
