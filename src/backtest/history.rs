//! The records of a journal, followed one by one: what each engine start began with, and what its stages took and decided.

use super::cycle::Difference;
use super::gateways::{GatewayDifference, Gateways};
use super::risk::RiskReplay;
use super::shard::Edited;
use super::shards::{Followed, ShardDifference, Shards, Stop, StopReason};
use super::start::{Blob, EngineStart};
use crate::journal::{BLOB_KIND, BYTES_VERSION, JournalStage, Position, Record};
use crate::strategy::saved::Left;
use crate::types::{Binary, ClientOrderId, Entry, Event, Notice, StrategyId, Timestamp};
use std::collections::BTreeMap;

/// The largest payload that is put together from its parts.
const BLOB_BYTES_MAX: usize = 1 << 30;

/// Where a replay and its journal part, for people: which record, and what each of the two has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// The engine start in which it is.
    pub epoch: u32,
    /// The journal's sequence of the last record that was read when it showed.
    pub seq: u64,
    /// Whose journal it is.
    pub stage: JournalStage,
    /// Which strategy it concerns; [`StrategyId::NONE`] where it concerns none, or more than one.
    pub strategy: StrategyId,
    /// What differs.
    pub difference: Difference,
}

/// What there is of a stage, over all engine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageSummary {
    /// Its records.
    pub records: u64,
    /// Those of them that were replayed.
    pub replayed: u64,
}

/// Follows a journal.
#[derive(Default)]
pub struct History {
    blob: Vec<u8>,
    start: Option<Box<EngineStart>>,
    /// The sequence of the record that the newest start ends with.
    start_seq: u64,
    left: Option<Vec<(StrategyId, Left)>>,
    replay: Option<RiskReplay>,
    shards: Shards,
    gateways: Gateways,
    /// Whether verdicts are those that were recorded.
    is_following: bool,
    /// The order that somebody asks about.
    asked: Option<ClientOrderId>,
    epoch: u32,
    seq: u64,
    /// The record before the risk cycle that is being read: what risk is now is what it was made into up to there.
    rest_seq: u64,
    /// Records of stages that stand before the first engine start: its beginning is in segments that are gone.
    pub passed_over: u64,
    /// Records followed.
    pub records: u64,
    /// Engine starts among them.
    pub starts: u64,
    /// Orders that risk let pass.
    pub orders: u64,
    /// The stages, in order of their numbers.
    pub stages: BTreeMap<JournalStage, StageSummary>,
    /// Where shards and gateways were not replayed further.
    pub stops: Vec<Stop>,
    /// Where replay first came to something else.
    pub difference: Option<FirstDifference>,
    /// What could not be read, in words.
    pub problem: Option<String>,
}

impl History {
    /// Follows what risk decided instead of deciding again, and leaves all else alone: for recovery.
    #[must_use]
    pub fn following() -> Self {
        Self { is_following: true, ..Self::default() }
    }

    /// Goes on, as [`History::following`], from what [`History::at_rest`] told.
    ///
    /// # Errors
    /// What of it cannot be, in words.
    pub fn following_from(start: Box<EngineStart>) -> Result<Self, String> {
        let mut history = Self::following();
        history.begin(start)?;
        Ok(history)
    }

    /// The same, for somebody who asks about an order: risk tells what its controls made of it, and its shard what its
    /// strategy said.
    #[must_use]
    pub fn asking(mut self, order: ClientOrderId) -> Self {
        self.asked = Some(order);
        self
    }

    /// What the strategy said in the poll in which it wanted the order that was asked about: signals and lines, newest last.
    #[must_use]
    pub fn said(&self) -> &[Notice] {
        &self.shards.said
    }

    /// Follows nothing, for this reason, in words.
    #[must_use]
    pub fn refused(problem: String) -> Self {
        Self { problem: Some(problem), ..Self::following() }
    }

    /// Where risk is between two cycles and nothing is still to be taken: the sequence of the last record that is in it, and an
    /// engine start that begins with what it is now. Whoever goes on from there, from the record after it on, comes to the same
    /// orders, positions and latches. `None` anywhere but right behind the record that begins a cycle.
    #[must_use]
    pub fn at_rest(&self) -> Option<(u64, EngineStart)> {
        let (start, replay) = self.start.as_ref().zip(self.replay.as_ref())?;
        let is_sound = self.difference.is_none() && self.problem.is_none() && self.blob.is_empty();
        let has_just_begun = self.rest_seq + 1 == self.seq && replay.is_at_rest();
        // Facts are a copy of everything: only there are they made.
        let facts = (is_sound && has_just_begun).then(|| replay.risk().facts())?;
        Some((self.rest_seq, EngineStart { facts: Some(facts), ..(**start).clone() }))
    }

    /// What the newest engine start began with; `None` before the first.
    #[must_use]
    pub fn start(&self) -> Option<&EngineStart> {
        self.start.as_deref()
    }

    /// The journal's sequence behind which the newest start's records are.
    #[must_use]
    pub const fn start_seq(&self) -> u64 {
        self.start_seq
    }

    /// What the newest start's instances left behind; `None` where it has not stopped in order.
    #[must_use]
    pub fn left(&self) -> Option<&[(StrategyId, Left)]> {
        self.left.as_deref()
    }

    /// The risk stage as it is after the records so far, of the newest engine start; `None` before the first.
    #[must_use]
    pub const fn replay(&self) -> Option<&RiskReplay> {
        self.replay.as_ref()
    }

    /// Follows a record. After a difference or a problem, nothing more is followed, only counted.
    pub fn record(&mut self, at: Position, record: &Record<'_>) {
        self.records += 1;
        self.seq = record.seq;
        self.stages.entry(JournalStage::of(record.entry.stage)).or_default().records += 1;
        if self.difference.is_some() || self.problem.is_some() {
            return;
        }
        let stage = JournalStage::of(record.entry.stage);
        let is_known = record.entry.version == BYTES_VERSION;
        let followed = match stage {
            JournalStage::Shard(_) | JournalStage::Gateway(_) if self.is_following => Ok(()),
            JournalStage::Risk | JournalStage::Shard(_) | JournalStage::Gateway(_) | JournalStage::Control
                if !is_known =>
            {
                Err(format!("is of version {}, and this program knows {BYTES_VERSION}", record.entry.version))
            }
            JournalStage::Control if record.entry.kind == BLOB_KIND => self.part(record.payload),
            JournalStage::Risk => self.entry(record, Self::risk_entry),
            JournalStage::Shard(shard) => self.entry(record, |history, entry| history.shard_entry(shard, entry)),
            JournalStage::Gateway(venue) => self.entry(record, |history, entry| history.gateway_entry(venue, entry)),
            _ => Ok(()),
        };
        if let Err(problem) = followed {
            self.problem = Some(format!("the record at {at} {problem}"));
        }
    }

    /// Runs what is left when there are no more records.
    pub fn finish(&mut self) {
        if self.difference.is_some() || self.problem.is_some() {
            return;
        }
        if self.starts == 0 && self.passed_over > 0 {
            self.problem = Some(format!(
                "{} records are of an engine start whose beginning is in segments that are gone",
                self.passed_over
            ));
        }
        if let Some(Err(difference)) = self.replay.as_mut().map(RiskReplay::finish) {
            self.differ(JournalStage::Risk, *difference);
        } else if let Err(found) = self.shards.finish() {
            self.differ_in_shard(found);
        } else if let Err(found) = self.gateways.finish() {
            self.differ_in_gateway(found);
        }
    }

    fn differ(&mut self, stage: JournalStage, difference: Difference) {
        let strategy = self.concerned(stage, &difference);
        self.difference = Some(FirstDifference { epoch: self.epoch, seq: self.seq, stage, strategy, difference });
    }

    fn differ_in_shard(&mut self, found: ShardDifference) {
        self.differ(JournalStage::Shard(found.shard), *found.difference);
    }

    fn differ_in_gateway(&mut self, found: GatewayDifference) {
        self.differ(JournalStage::Gateway(found.venue), *found.difference);
    }

    fn part(&mut self, mut payload: &[u8]) -> Result<(), String> {
        let follow = u32::take(&mut payload).ok_or("has no count of the parts that follow")?;
        if self.blob.len() + payload.len() > BLOB_BYTES_MAX {
            return Err("makes a payload larger than any that is written".to_owned());
        }
        self.blob.extend_from_slice(payload);
        if follow > 0 {
            return Ok(());
        }
        let bytes = std::mem::take(&mut self.blob);
        let blob = Blob::take(&mut bytes.as_slice()).ok_or("ends a payload that is nothing known")?;
        match blob {
            Blob::Start(start) => {
                if self.replay.is_some() {
                    self.finish();
                }
                if self.difference.is_none() {
                    self.begin(start)?;
                }
            }
            // Of an engine start whose beginning is gone.
            Blob::Limits(_) | Blob::Override(_) if self.replay.is_none() => self.passed_over += 1,
            Blob::Left(left) => self.left = Some(left),
            Blob::Limits(limits) => self.replaying()?.take_limits(limits),
            Blob::Override(entry) => self.replaying()?.take_override(entry),
        }
        Ok(())
    }

    fn begin(&mut self, start: Box<EngineStart>) -> Result<(), String> {
        self.starts += 1;
        self.epoch = start.config.epoch;
        let replay = RiskReplay::new(&start).map_err(|error| format!("begins what cannot be: {error}"))?;
        let mut replay = if self.is_following { replay.following() } else { replay };
        if let Some(facts) = &start.facts {
            replay.restore(facts).map_err(|error| format!("begins with what cannot be: {error}"))?;
        }
        self.replay = Some(replay);
        if let Some((order, replay)) = self.asked.zip(self.replay.as_mut()) {
            replay.explain(order);
        }
        if !self.is_following {
            self.shards = Shards::new(&start, Edited::EndsIt);
            self.shards.asked = self.asked;
            self.gateways = Gateways::new(&start);
        }
        (self.start, self.start_seq, self.left) = (Some(start), self.seq, None);
        Ok(())
    }

    fn replaying(&mut self) -> Result<&mut RiskReplay, String> {
        self.replay.as_mut().ok_or_else(|| "stands before any engine start".to_owned())
    }

    fn entry(
        &mut self,
        record: &Record<'_>,
        follow: impl FnOnce(&mut Self, &Entry) -> Result<(), String>,
    ) -> Result<(), String> {
        if self.replay.is_none() {
            self.passed_over += 1;
            return Ok(());
        }
        let event = Event::take(&mut &*record.payload).ok_or("is no entry that this program knows")?;
        let (sequence, at) = (record.entry.stage_seq, Timestamp::from_nanos(record.entry.mono_ns));
        follow(self, &Entry { sequence, at, event })
    }

    fn risk_entry(&mut self, entry: &Entry) -> Result<(), String> {
        match entry.event {
            Event::Approved { .. } => self.orders += 1,
            Event::Gap { count } => {
                return Err(format!("says that {count} entries were left out: what follows cannot be replayed"));
            }
            _ => {}
        }
        if entry.event == Event::Cycle {
            self.rest_seq = self.seq.saturating_sub(1);
        }
        let outcome = self.replaying()?.next(entry);
        self.stages.entry(JournalStage::Risk).or_default().replayed += 1;
        if let Err(difference) = outcome {
            self.differ(JournalStage::Risk, *difference);
        } else if let Err(found) = self.shards.taken(entry) {
            self.differ_in_shard(found);
        } else if let Err(found) = self.gateways.taken(entry) {
            self.differ_in_gateway(found);
        }
        Ok(())
    }

    fn shard_entry(&mut self, shard: u8, entry: &Entry) -> Result<(), String> {
        self.replaying()?;
        let stage = JournalStage::Shard(shard);
        match self.shards.entry(shard, entry) {
            Ok(Followed::Replayed) => self.stages.entry(stage).or_default().replayed += 1,
            Ok(Followed::PassedOver) => {}
            Ok(Followed::Stopped(strategy, reason)) => self.stop(stage, strategy, reason),
            Err(found) => self.differ_in_shard(found),
        }
        Ok(())
    }

    fn gateway_entry(&mut self, venue: u8, entry: &Entry) -> Result<(), String> {
        self.replaying()?;
        let stage = JournalStage::Gateway(venue);
        match self.gateways.entry(venue, entry) {
            Ok(Followed::Replayed) => self.stages.entry(stage).or_default().replayed += 1,
            Ok(Followed::PassedOver) => {}
            Ok(Followed::Stopped(strategy, reason)) => self.stop(stage, strategy, reason),
            Err(found) => self.differ_in_gateway(found),
        }
        Ok(())
    }

    fn stop(&mut self, stage: JournalStage, strategy: StrategyId, reason: StopReason) {
        let start = self.start.as_ref().filter(|_| strategy != StrategyId::NONE);
        let strategy = start.map(|start| start.strategy_name(strategy));
        self.stops.push(Stop { epoch: self.epoch, seq: self.seq, stage, strategy, reason });
    }

    /// Which strategy a difference concerns, by the first of the two sides that tells; in a shard's, where neither does, the
    /// only one that it can be of.
    fn concerned(&self, stage: JournalStage, difference: &Difference) -> StrategyId {
        let sides = [difference.recorded, difference.replayed];
        let events = || sides.iter().flatten().map(|entry| entry.event);
        if let Some(strategy) = events().find_map(strategy) {
            return strategy;
        }
        let (JournalStage::Shard(shard), Some(start)) = (stage, &self.start) else { return StrategyId::NONE };
        let instrument = events().find_map(|event| match event {
            Event::Mark { mark, .. } => Some(mark.instrument),
            _ => None,
        });
        let instances = start.shards.get(usize::from(shard)).map_or(&[][..], Vec::as_slice);
        let mut able = instances.iter().filter(|of| instrument.is_none_or(|id| of.instruments.contains(&id)));
        match (able.next(), able.next()) {
            (Some(only), None) => only.id,
            _ => StrategyId::NONE,
        }
    }
}

/// Whose an event is, where it says so.
const fn strategy(event: Event) -> Option<StrategyId> {
    match event {
        Event::Intent { intent, .. } => Some(intent.order.strategy),
        Event::Cancel { intent, .. } | Event::Canceling(intent) | Event::OrderCancel(intent) => Some(intent.strategy),
        Event::Update(update) => Some(update.strategy),
        Event::Approved { order, .. } | Event::Order { order, .. } => Some(order.strategy),
        Event::Denied { client_order_id, .. } => Some(client_order_id.strategy()),
        _ => None,
    }
}
