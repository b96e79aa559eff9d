//! The writer.

use super::bytes;
use super::checkpoint::{Checkpoint, Slots, Watermark};
use super::disk::{self, Disk, DiskFile};
use super::error::{Damage, JournalError, Refusal};
use super::lock::JournalLock;
use super::record::{self, JOURNAL_STAGE, OWN_KINDS, RECOVERED_TORN, STAGES_MAX, Seed, Stamp};
use super::recovery::Recovered;
use super::reserve::{Reserve, Space};
use super::scan::Torn;
use super::segment::{self, Identity, RECORDS_START, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SegmentHeader};
use std::sync::Arc;

/// The sizes of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// The bytes of a segment: a multiple of 4,096 from 16 KiB to 1 GiB. Larger: fewer rolls, coarser pruning.
    pub segment_bytes: u64,
    /// A batch of more bytes is committed by the append that would make it so. Larger: fewer syncs, more to lose.
    pub batch_bytes_max: usize,
    /// The bytes of the ballast file, which is given up for one more segment when the disk is full: a segment's, or 0 for
    /// none.
    pub ballast_bytes: u64,
    /// Space is [`Space::Low`] when less than this is left besides the next segment.
    pub low_bytes: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        let segment_bytes = 64 << 20;
        Self { segment_bytes, batch_bytes_max: 256 << 10, ballast_bytes: segment_bytes, low_bytes: segment_bytes }
    }
}

/// Records that the disk does not have yet.
#[derive(Debug)]
struct Batch {
    bytes: Vec<u8>,
    number: u16,
    /// The last record: where it begins, and the chain word before it. It is sealed again when the batch ends with it.
    last_start: usize,
    last_chain: u32,
}

/// The one writer of a journal. Nothing in it waits for anything but the disk, and after an error of the disk it takes
/// nothing any more: what a failed write or sync left is not known, and no retry can tell.
#[derive(Debug)]
pub struct Log {
    disk: Arc<dyn Disk>,
    config: LogConfig,
    payload_max: usize,
    header: SegmentHeader,
    seed: Seed,
    file: Box<dyn DiskFile>,
    /// Where the batch will stand.
    offset: u64,
    batch: Batch,
    next_seq: u64,
    /// The chain word after the last record appended, and after the last durable one.
    chain: u32,
    durable_chain: u32,
    written_seq: u64,
    durable_seq: u64,
    /// Each stage's next sequence in this epoch.
    stages: Vec<Option<u64>>,
    checkpoint: Checkpoint,
    reserve: Reserve,
    poison: Option<JournalError>,
    _lock: JournalLock,
}

impl Log {
    /// Begins a new segment and with it a new epoch. If recovery put a torn end aside, the segment's first record tells of
    /// it, durably before the segment can be seen.
    ///
    /// # Errors
    /// `JOURNAL_REFUSED` for an epoch that was used before or a segment size outside the limits, `JOURNAL_CORRUPT` where
    /// the journal is another engine's, `JOURNAL_UNAVAILABLE` where the disk refuses.
    pub fn open(
        disk: Arc<dyn Disk>,
        config: LogConfig,
        identity: Identity,
        recovered: Recovered,
    ) -> Result<Self, JournalError> {
        let end = recovered.end;
        if identity.epoch <= end.epoch {
            return Err(JournalError::Refused(Refusal::Epoch { last: end.epoch, found: identity.epoch }));
        }
        let (min, max) = (SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        if !(min..=max).contains(&config.segment_bytes) || !config.segment_bytes.is_multiple_of(4096) {
            return Err(JournalError::Refused(Refusal::SegmentBytes { bytes: config.segment_bytes, min, max }));
        }
        if !recovered.has_checkpoint {
            Checkpoint::create(disk.as_ref(), identity.engine_id)?;
        }
        let at = end.position;
        let Some(slots) = Slots::read(disk.as_ref())? else {
            return Err(JournalError::Corrupt { at, damage: Damage::NoCheckpoint });
        };
        if slots.newest.engine_id != identity.engine_id {
            return Err(JournalError::Corrupt { at, damage: Damage::ForeignEngine });
        }
        let checkpoint = Checkpoint::open(disk.as_ref(), &slots)?;
        let header = SegmentHeader {
            identity,
            number: at.segment + 1,
            first_seq: at.seq,
            previous_chain: end.chain,
            segment_bytes: config.segment_bytes,
        };
        let Recovered { torn, lock, .. } = recovered;
        let mut first = Vec::new();
        let mut chain = end.chain;
        let mut stages = vec![None; usize::from(STAGES_MAX)];
        if let Some(torn) = torn {
            chain = tell_of(torn, &mut first, &header);
            if let Some(own) = stages.last_mut() {
                *own = Some(2);
            }
        }
        let mut reserve = Reserve::new(Arc::clone(&disk), config.segment_bytes, config.ballast_bytes, config.low_bytes);
        let file = reserve.take(&header, &first)?;
        let next_seq = at.seq + u64::from(torn.is_some());
        let mut log = Self {
            disk,
            config,
            payload_max: segment::payload_max(config.segment_bytes),
            seed: header.seed(),
            header,
            file,
            offset: RECORDS_START + bytes::offset(first.len()),
            batch: Batch { bytes: Vec::new(), number: u16::from(torn.is_some()), last_start: 0, last_chain: chain },
            next_seq,
            chain,
            durable_chain: chain,
            written_seq: next_seq - 1,
            durable_seq: next_seq - 1,
            stages,
            checkpoint,
            reserve,
            poison: None,
            _lock: lock,
        };
        log.checkpoint()?;
        log.reserve.restore_ballast()?;
        Ok(log)
    }

    /// Takes a record into the batch; the answer is its sequence. Commits what is before it where the batch or the segment
    /// is full.
    ///
    /// # Errors
    /// `JOURNAL_REFUSED` for what the format has no room for: nothing was taken, and the log goes on.
    /// `JOURNAL_UNAVAILABLE` where the disk refused, now or before.
    pub fn append(&mut self, entry: &Stamp, payload: &[u8]) -> Result<u64, JournalError> {
        if let Some(poison) = &self.poison {
            return Err(poison.clone());
        }
        self.check(entry, payload).map_err(JournalError::Refused)?;
        let size = record::size_of_record(payload.len());
        let is_batch_full = self.batch.bytes.len() + size > self.config.batch_bytes_max;
        let end = self.offset + bytes::offset(self.batch.bytes.len() + size);
        let is_segment_full = end > self.config.segment_bytes;
        if is_batch_full || is_segment_full {
            self.commit()?;
        }
        if is_segment_full {
            self.roll()?;
        }
        if let Some(slot) = self.stages.get_mut(usize::from(entry.stage)) {
            *slot = Some(entry.stage_seq.wrapping_add(1));
        }
        let batch = &mut self.batch;
        (batch.last_start, batch.last_chain) = (batch.bytes.len(), self.chain);
        let flags = record::flags(batch.number, false);
        let (out, seq) = (&mut batch.bytes, self.next_seq);
        self.chain = record::encode(out, self.seed, self.chain, seq, flags, entry, payload);
        self.next_seq += 1;
        Ok(seq)
    }

    fn check(&self, entry: &Stamp, payload: &[u8]) -> Result<(), Refusal> {
        let (bytes, max) = (payload.len(), self.payload_max);
        if bytes == 0 {
            return Err(Refusal::PayloadEmpty);
        }
        if bytes > max {
            return Err(Refusal::PayloadTooLarge { bytes, max });
        }
        let Stamp { stage, stage_seq: found, kind, .. } = *entry;
        if stage >= JOURNAL_STAGE {
            return Err(Refusal::Stage { stage });
        }
        if kind >= OWN_KINDS {
            return Err(Refusal::Kind { kind });
        }
        match self.stages.get(usize::from(stage)).copied().flatten() {
            Some(due) if due != found => Err(Refusal::StageSequence { stage, due, found }),
            _ => Ok(()),
        }
    }

    /// Writes the batch and has it on the disk when it answers: one write, one sync. The answer is the durable sequence.
    ///
    /// # Errors
    /// `JOURNAL_UNAVAILABLE` where the disk refused, now or before: the log is of no more use.
    pub fn commit(&mut self) -> Result<u64, JournalError> {
        if let Some(poison) = &self.poison {
            return Err(poison.clone());
        }
        if !self.batch.bytes.is_empty() {
            let written = self.write_batch();
            self.or_poison(written)?;
        }
        if self.offset >= self.config.segment_bytes / 2 {
            let prepared = self.reserve.prepare_piece();
            self.or_poison(prepared)?;
        }
        Ok(self.durable_seq)
    }

    fn write_batch(&mut self) -> Result<(), JournalError> {
        let batch = &mut self.batch;
        let last = batch.bytes.get_mut(batch.last_start..).unwrap_or_default();
        record::mark_batch_end(last);
        self.chain = record::seal(last, self.seed, batch.last_chain);
        debug_assert!(
            record::is_batch(&batch.bytes, self.seed, self.durable_seq + 1, self.durable_chain),
            "unreadable"
        );
        let name = || segment::name(self.header.number);
        disk::write_whole(self.file.as_ref(), self.offset, &batch.bytes)
            .map_err(|error| JournalError::disk(&name(), "writing")(error))?;
        self.written_seq = self.next_seq - 1;
        self.file.sync().map_err(|error| JournalError::disk(&name(), "syncing")(error))?;
        self.durable_seq = self.written_seq;
        self.durable_chain = self.chain;
        self.offset += bytes::offset(batch.bytes.len());
        batch.bytes.clear();
        batch.number = record::next_batch(batch.number);
        Ok(())
    }

    /// Goes on in the next segment. The one before is whole and durable: its batch was committed.
    fn roll(&mut self) -> Result<(), JournalError> {
        let header = SegmentHeader {
            number: self.header.number + 1,
            first_seq: self.next_seq,
            previous_chain: self.chain,
            ..self.header
        };
        let taken = self.reserve.take(&header, &[]);
        self.file = self.or_poison(taken)?;
        (self.seed, self.header) = (header.seed(), header);
        (self.offset, self.batch.number) = (RECORDS_START, 0);
        self.checkpoint()?;
        let restored = self.reserve.restore_ballast();
        self.or_poison(restored)
    }

    /// Notes on the disk how far the journal is durable, so that damage below is told from a torn end for certain. Worth a
    /// call every 100 ms; at a new segment and at the end the log does it itself.
    ///
    /// # Errors
    /// `JOURNAL_UNAVAILABLE` where the disk refused, now or before: the log is of no more use.
    pub fn checkpoint(&mut self) -> Result<(), JournalError> {
        if let Some(poison) = &self.poison {
            return Err(poison.clone());
        }
        let noted = self.checkpoint.note(self.watermark());
        self.or_poison(noted)
    }

    /// Commits, notes the watermark, and gives the journal back.
    ///
    /// # Errors
    /// As [`Self::commit`].
    pub fn close(mut self) -> Result<u64, JournalError> {
        let durable_seq = self.commit()?;
        self.checkpoint()?;
        Ok(durable_seq)
    }

    fn or_poison<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if let Err(error) = &result {
            self.poison = Some(error.clone());
        }
        result
    }

    fn watermark(&self) -> Watermark {
        Watermark {
            seq: self.durable_seq,
            segment: self.header.number,
            offset: self.offset,
            chain: self.durable_chain,
            epoch: self.header.identity.epoch,
        }
    }

    /// The last sequence that the system has taken: what a reader on this machine may follow to. A loss of power may still
    /// take what is above [`Self::durable_seq`].
    #[must_use]
    pub fn written_seq(&self) -> u64 {
        self.written_seq
    }

    /// The last sequence that the disk has: no crash takes it back.
    #[must_use]
    pub fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// The sequence that the next record will have.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// The chain word of the last durable record: what a snapshot of it is bound to.
    #[must_use]
    pub fn durable_chain(&self) -> u32 {
        self.durable_chain
    }

    /// The most bytes that a payload may have here: less than the format's limit where segments are small.
    #[must_use]
    pub fn payload_bytes_max(&self) -> usize {
        self.payload_max
    }

    /// The bytes that wait for a commit.
    #[must_use]
    pub fn batch_bytes(&self) -> usize {
        self.batch.bytes.len()
    }

    /// The segment that is written to.
    #[must_use]
    pub fn segment(&self) -> SegmentHeader {
        self.header
    }

    /// Why the log takes nothing any more; `None` while it does.
    #[must_use]
    pub fn poison(&self) -> Option<&JournalError> {
        self.poison.as_ref()
    }

    /// How much room the journal has. Asks the system: for every so many milliseconds, not for every record.
    #[must_use]
    pub fn space(&self) -> Space {
        if self.poison.is_some() { Space::Critical } else { self.reserve.space() }
    }

    /// The disk that it writes to.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// Where the next batch will stand.
    #[cfg(test)]
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    #[cfg(test)]
    pub(super) fn is_next_segment_ready(&self) -> bool {
        self.reserve.is_ready()
    }
}

/// The first record of an epoch whose recovery put a torn end aside, a batch of its own; the answer is the chain after it.
fn tell_of(torn: Torn, out: &mut Vec<u8>, header: &SegmentHeader) -> u32 {
    let entry = Stamp {
        stage_seq: 1,
        mono_ns: header.identity.created_mono_ns,
        wall_ns: header.identity.created_wall_ns,
        kind: RECOVERED_TORN,
        version: 1,
        stage: JOURNAL_STAGE,
    };
    let payload: Vec<u8> = [torn.segment, torn.offset, torn.bytes].into_iter().flat_map(u64::to_le_bytes).collect();
    let flags = record::flags(0, true);
    record::encode(out, header.seed(), header.previous_chain, header.first_seq, flags, &entry, &payload)
}
