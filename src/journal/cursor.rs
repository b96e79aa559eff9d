//! A walk through one segment, record by record, and a look at what stands behind a bad one.

use super::bytes;
use super::disk::DiskFile;
use super::error::Position;
use super::record::{
    self, Flaw, Parsed, RECORD_BYTES_MAX, RECORD_BYTES_MIN, RECORD_HEADER_BYTES, Record, STAGES_MAX, Seed,
};
use super::segment::{RECORDS_START, SegmentHeader};
use std::io;

/// What is read from the file at once; the largest record fits.
const BUFFER_BYTES: usize = 256 << 10;
const _: () = assert!(BUFFER_BYTES >= RECORD_BYTES_MAX);
/// How many times over the bytes behind a bad record are summed in the search for a good one, before that is given up.
/// Only what looks like a record in length and sequence is summed, so that honest journals need less than once.
const SEARCH_ROUNDS: u64 = 8;

/// What is due next: carried from record to record and from segment to segment.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) next_seq: u64,
    pub(super) chain: u32,
    pub(super) epoch: u32,
    /// The batch of the next record.
    batch: u16,
    /// Each stage's next sequence; `None` where it has not written in this epoch.
    stages: Vec<Option<u64>>,
}

impl Track {
    pub(super) fn new(next_seq: u64, chain: u32, epoch: u32) -> Self {
        Self { next_seq, chain, epoch, batch: 0, stages: vec![None; usize::from(STAGES_MAX)] }
    }

    /// Goes on in the next segment.
    pub(super) fn enter(&mut self, header: &SegmentHeader) {
        self.batch = 0;
        if header.identity.epoch != self.epoch {
            self.epoch = header.identity.epoch;
            self.stages.fill(None);
        }
    }

    /// Checks that a record is the one that is due, and moves on past it.
    fn take(&mut self, parsed: &Parsed) -> Result<(), Flaw> {
        if parsed.seq != self.next_seq {
            return Err(Flaw::Sequence { found: parsed.seq });
        }
        let chain = record::chained(self.chain, parsed.checksum);
        if parsed.chain != chain {
            return Err(Flaw::Chain { due: chain, found: parsed.chain });
        }
        if parsed.batch != self.batch {
            return Err(Flaw::Batch { due: self.batch, found: parsed.batch });
        }
        let (stage, found) = (parsed.entry.stage, parsed.entry.stage_seq);
        let slot = self.stages.get_mut(usize::from(stage)).ok_or(Flaw::Stage { found: stage })?;
        if let Some(due) = slot.filter(|&due| due != found) {
            return Err(Flaw::StageSequence { stage, due, found });
        }
        *slot = Some(found.wrapping_add(1));
        self.next_seq = self.next_seq.wrapping_add(1);
        self.chain = chain;
        if parsed.is_batch_end {
            self.batch = record::next_batch(self.batch);
        }
        Ok(())
    }
}

/// What stands where the walk has come to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    Record(Taken),
    /// Nothing was written here; what is behind was not looked at.
    Blank,
    Flaw(Flaw),
}

/// A record that was taken; its payload is lent by [`Cursor::lend`] until the walk goes on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    pub(super) position: Position,
    parsed: Parsed,
    payload_at: usize,
}

/// What stands behind a bad record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Later {
    Nothing,
    Record(Position),
    TooMuch,
}

/// The walk.
#[derive(Debug)]
pub(super) struct Cursor {
    file: Box<dyn DiskFile>,
    number: u64,
    seed: Seed,
    /// Where the segment ends by its header.
    stated_end: u64,
    /// Where its file does, if that is before.
    file_end: u64,
    /// Where the next record begins.
    pub(super) offset: u64,
    buffer: Vec<u8>,
    /// Where in the buffer the next record begins, and where the buffer's content ends.
    at: usize,
    filled: usize,
}

impl Cursor {
    pub(super) fn new(file: Box<dyn DiskFile>, header: &SegmentHeader) -> io::Result<Self> {
        let file_end = file.length()?.min(header.segment_bytes);
        Ok(Self {
            file,
            number: header.number,
            seed: header.seed(),
            stated_end: header.segment_bytes,
            file_end,
            offset: RECORDS_START,
            // No record is larger than its segment.
            buffer: vec![0; BUFFER_BYTES.min(bytes::length(header.segment_bytes))],
            at: 0,
            filled: 0,
        })
    }

    /// How many bytes of the segment the file lacks.
    pub(super) fn missing_bytes(&self) -> u64 {
        self.stated_end - self.file_end
    }

    /// Takes the next record, if it is the one that is due.
    pub(super) fn advance(&mut self, track: &mut Track) -> io::Result<Step> {
        let parsed = match self.look()? {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(Step::Blank),
            Err(flaw) => return Ok(Step::Flaw(flaw)),
        };
        if let Err(flaw) = track.take(&parsed) {
            return Ok(Step::Flaw(flaw));
        }
        let position = Position { segment: self.number, offset: self.offset, seq: parsed.seq };
        let payload_at = self.at + RECORD_HEADER_BYTES;
        self.at += parsed.size;
        self.offset += bytes::offset(parsed.size);
        Ok(Step::Record(Taken { position, parsed, payload_at }))
    }

    /// The record that was taken last.
    pub(super) fn lend(&self, taken: &Taken) -> Record<'_> {
        let Parsed { seq, entry, is_batch_end, payload_bytes, .. } = taken.parsed;
        let payload = self.buffer.get(taken.payload_at..taken.payload_at + payload_bytes).unwrap_or_default();
        Record { seq, entry, is_batch_end, payload }
    }

    /// Forgets what was read ahead: a writer may have written there since.
    pub(super) fn forget(&mut self) {
        (self.at, self.filled) = (0, 0);
    }

    fn look(&mut self) -> io::Result<Result<Option<Parsed>, Flaw>> {
        let room = self.stated_end.saturating_sub(self.offset);
        if self.offset >= self.file_end || room < bytes::offset(RECORD_BYTES_MIN) {
            return Ok(Ok(None));
        }
        self.fill(RECORD_HEADER_BYTES)?;
        let measured = match record::measure(self.window()) {
            Err(Flaw::PastEnd) => return Ok(Err(Flaw::Cut)),
            measured => measured,
        };
        let (payload_bytes, size) = match measured {
            Ok(Some(measured)) => measured,
            Ok(None) => return Ok(Ok(None)),
            Err(flaw) => return Ok(Err(flaw)),
        };
        if bytes::offset(size) > room {
            return Ok(Err(Flaw::PastEnd));
        }
        self.fill(size)?;
        let Some(record) = self.window().get(..size) else { return Ok(Err(Flaw::Cut)) };
        Ok(record::parse(record, payload_bytes, self.seed).map(Some))
    }

    fn window(&self) -> &[u8] {
        self.buffer.get(self.at..self.filled).unwrap_or_default()
    }

    /// Has at least `needed` bytes in the buffer, if the file has them.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        if self.filled - self.at >= needed {
            return Ok(());
        }
        let most = bytes::length(self.file_end.saturating_sub(self.offset)).min(self.buffer.len());
        self.forget();
        self.filled = self.file.read_at(self.offset, self.buffer.get_mut(..most).unwrap_or_default())?;
        Ok(())
    }

    /// Everything from here on, but the zeros at the end.
    pub(super) fn tail(&mut self) -> io::Result<Vec<u8>> {
        self.forget();
        let (mut end, mut from) = (self.offset, self.offset);
        while from < self.file_end {
            let piece = bytes::length(self.file_end - from).min(self.buffer.len());
            let piece = self.buffer.get_mut(..piece).unwrap_or_default();
            let filled = self.file.read_at(from, piece)?;
            if filled == 0 {
                break;
            }
            let written = bytes::trimmed(piece.get(..filled).unwrap_or_default()).len();
            if written > 0 {
                end = from + bytes::offset(written);
            }
            from += bytes::offset(filled);
        }
        // A segment's size is limited, and so is this.
        let mut tail = vec![0; bytes::length(end - self.offset)];
        let filled = self.file.read_at(self.offset, &mut tail)?;
        tail.truncate(filled);
        Ok(tail)
    }

    /// Looks in what stands behind a bad record for a good one that proves that the bad one was once on the disk: one of
    /// another batch than the bad one's, for a batch is written only when the disk has the one before it. Good records of
    /// the same batch prove nothing: the sectors of one write reach the disk in any order.
    pub(super) fn later_record(&self, tail: &[u8], track: &Track) -> Later {
        let due = track.next_seq;
        let last = due.saturating_add(bytes::offset(tail.len() / RECORD_BYTES_MIN) + 1);
        let mut budget = bytes::offset(tail.len()) * SEARCH_ROUNDS + bytes::offset(RECORD_BYTES_MAX);
        // The zeros at the end were cut off: the last record's own among them.
        let mut padded = tail.to_vec();
        padded.resize(tail.len() + 8, 0);
        for at in (8..tail.len()).step_by(8) {
            let rest = padded.get(at..).unwrap_or_default();
            let Ok(Some((payload_bytes, size))) = record::measure(rest) else { continue };
            let Some(record) = rest.get(..size) else { continue };
            let seq = record.get(8..).and_then(|mut fields| bytes::take_u64(&mut fields));
            if !seq.is_some_and(|seq| (due..=last).contains(&seq)) {
                continue;
            }
            let Some(left) = budget.checked_sub(bytes::offset(size)) else { return Later::TooMuch };
            budget = left;
            let Ok(parsed) = record::parse(record, payload_bytes, self.seed) else { continue };
            if parsed.batch != track.batch {
                let offset = self.offset + bytes::offset(at);
                return Later::Record(Position { segment: self.number, offset, seq: parsed.seq });
            }
        }
        Later::Nothing
    }
}
