//! The records of a journal, followed one by one: what each engine start began with, and what its risk took and decided.

use super::risk::{Blob, Difference, RiskReplay, RiskStart};
use crate::journal::{BLOB_KIND, BYTES_VERSION, COLD_STAGE, Position, RISK_STAGE, Record};
use crate::types::{Binary, Entry, Event, Timestamp};

/// The largest payload that is put together from its parts.
const BLOB_BYTES_MAX: usize = 1 << 30;

/// Where a replay and its journal part, for people: which record, and what each of the two has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FirstDifference {
    /// The engine start in which it is.
    pub epoch: u32,
    /// The journal's sequence of the last record that was read when it showed.
    pub seq: u64,
    /// What differs.
    pub difference: Difference,
}

/// Follows a journal.
#[derive(Default)]
pub struct History {
    blob: Vec<u8>,
    start: Option<Box<RiskStart>>,
    replay: Option<RiskReplay>,
    /// Whether verdicts are those that were recorded.
    is_following: bool,
    epoch: u32,
    seq: u64,
    /// Records followed.
    pub records: u64,
    /// Engine starts among them.
    pub starts: u64,
    /// Orders that risk let pass.
    pub orders: u64,
    /// Where replay first came to something else.
    pub difference: Option<FirstDifference>,
    /// What could not be read, in words.
    pub problem: Option<String>,
}

impl History {
    /// Follows what was decided instead of deciding again: for recovery.
    #[must_use]
    pub fn following() -> Self {
        Self { is_following: true, ..Self::default() }
    }

    /// What the newest engine start began with; `None` before the first.
    #[must_use]
    pub fn start(&self) -> Option<&RiskStart> {
        self.start.as_deref()
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
        if self.difference.is_some() || self.problem.is_some() {
            return;
        }
        let stage = record.entry.stage;
        let followed = match (stage, record.entry.kind) {
            (COLD_STAGE | RISK_STAGE, _) if record.entry.version != BYTES_VERSION => {
                Err(format!("is of version {}, and this program knows {BYTES_VERSION}", record.entry.version))
            }
            (COLD_STAGE, BLOB_KIND) => self.part(record.payload),
            (RISK_STAGE, _) => self.entry(record),
            _ => Ok(()),
        };
        if let Err(problem) = followed {
            self.problem = Some(format!("the record at {at} {problem}"));
        }
    }

    /// Runs what is left when there are no more records.
    pub fn finish(&mut self) {
        if self.difference.is_none()
            && let Some(replay) = &mut self.replay
            && let Err(difference) = replay.finish()
        {
            self.differ(*difference);
        }
    }

    fn differ(&mut self, difference: Difference) {
        self.difference = Some(FirstDifference { epoch: self.epoch, seq: self.seq, difference });
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
                self.finish();
                if self.difference.is_some() {
                    return Ok(());
                }
                self.starts += 1;
                self.epoch = start.config.epoch;
                let replay = RiskReplay::new(&start).map_err(|error| format!("begins what cannot be: {error}"))?;
                let mut replay = if self.is_following { replay.following() } else { replay };
                if let Some(facts) = &start.facts {
                    replay.restore(facts).map_err(|error| format!("begins with what cannot be: {error}"))?;
                }
                self.replay = Some(replay);
                self.start = Some(start);
            }
            Blob::Limits(limits) => self.replaying()?.take_limits(limits),
            Blob::Override(entry) => self.replaying()?.take_override(entry),
        }
        Ok(())
    }

    fn replaying(&mut self) -> Result<&mut RiskReplay, String> {
        self.replay.as_mut().ok_or_else(|| "stands before any engine start".to_owned())
    }

    fn entry(&mut self, record: &Record<'_>) -> Result<(), String> {
        let event = Event::take(&mut &*record.payload).ok_or("is no entry that this program knows")?;
        let (sequence, at) = (record.entry.stage_seq, Timestamp::from_nanos(record.entry.mono_ns));
        match event {
            Event::Approved { .. } => self.orders += 1,
            Event::Gap { count } => {
                return Err(format!("says that {count} entries were left out: what follows cannot be replayed"));
            }
            _ => {}
        }
        let outcome = self.replaying()?.next(&Entry { sequence, at, event });
        if let Err(difference) = outcome {
            self.differ(*difference);
        }
        Ok(())
    }
}
