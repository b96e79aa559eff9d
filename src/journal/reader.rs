//! Reading a journal in order, to its end or along with its writer.

use super::checkpoint::Slots;
use super::cursor::{Cursor, Step, Track};
use super::disk::{Disk, DiskFile};
use super::error::{Damage, JournalError, Position};
use super::record::{Flaw, Record};
use super::scan::{first_needed, open_segment, segment_numbers};
use super::segment::{self, SegmentHeader};
use std::io::ErrorKind;
use std::sync::Arc;

/// Gives the records of a journal one by one, each checked for its checksum, its sequence and its chain. Needs one buffer
/// of 256 KiB and no lock.
#[derive(Debug)]
pub struct Reader {
    disk: Arc<dyn Disk>,
    engine_id: [u8; 16],
    header: SegmentHeader,
    cursor: Cursor,
    track: Track,
    /// Records below this are read, but not given.
    from_seq: u64,
}

impl Reader {
    /// A reader that gives record `from_seq` first; 0 for the oldest that is there. `None` where the journal has no segment
    /// yet.
    ///
    /// # Errors
    /// `JOURNAL_CORRUPT` where the watermark file, the segment that has to hold `from_seq`, or its header is not there or not
    /// sound; `JOURNAL_UNSUPPORTED` where another build wrote it; `JOURNAL_UNAVAILABLE` where the disk refuses.
    pub fn open(disk: Arc<dyn Disk>, from_seq: u64) -> Result<Option<Self>, JournalError> {
        let numbers = segment_numbers(disk.as_ref())?;
        let Some(&first) = numbers.first() else { return Ok(None) };
        let at = Position { segment: first, offset: 0, seq: from_seq };
        let Some(slots) = Slots::read(disk.as_ref())? else {
            return Err(JournalError::Corrupt { at, damage: Damage::NoCheckpoint });
        };
        let engine_id = slots.newest.engine_id;
        let index = match from_seq.checked_sub(1) {
            Some(after_seq) => first_needed(disk.as_ref(), &numbers, &engine_id, after_seq)?,
            None => 0,
        };
        let number = numbers.get(index).copied().unwrap_or(first);
        let (file, header, _) = open_segment(disk.as_ref(), number, &engine_id, from_seq)?;
        let track = Track::new(header.first_seq, header.previous_chain, header.identity.epoch);
        let cursor = cursor(file, &header)?;
        Ok(Some(Self { disk, engine_id, header, cursor, track, from_seq }))
    }

    /// The next record; `None` at the end. The record is lent until the next call. For a journal that nobody writes: what is
    /// just being written is an error here.
    ///
    /// # Errors
    /// `JOURNAL_CORRUPT` where something bad stands in its place: whether that is a torn end is for
    /// [`verify`](super::verify()) to say. `JOURNAL_UNSUPPORTED`, `JOURNAL_UNAVAILABLE` as at opening.
    #[allow(clippy::should_implement_trait, reason = "it lends, which an iterator cannot")]
    pub fn next(&mut self) -> Result<Option<(Position, Record<'_>)>, JournalError> {
        self.next_up_to(u64::MAX)
    }

    /// The next record with a sequence up to `limit`; `None` where there is none yet. `limit` is what the writer says that it
    /// has written ([`Log::written_seq`](super::Log::written_seq)) or made durable, by way of an atomic within the engine, or
    /// of [`Watermark::read`](super::Watermark::read) from another process: nothing above it is looked at.
    ///
    /// # Errors
    /// `JOURNAL_CORRUPT` where a record up to `limit` is not there or bad. `JOURNAL_UNSUPPORTED`, `JOURNAL_UNAVAILABLE` as
    /// at opening.
    pub fn next_up_to(&mut self, limit: u64) -> Result<Option<(Position, Record<'_>)>, JournalError> {
        let taken = loop {
            if self.track.next_seq > limit {
                return Ok(None);
            }
            match self.step()? {
                Step::Record(taken) if taken.position.seq >= self.from_seq => break taken,
                Step::Record(_) => {}
                Step::Blank if self.enter_next()? => {}
                Step::Blank if limit == u64::MAX => return self.end().map(|()| None),
                Step::Blank => return Err(self.bad(Flaw::Hole)),
                Step::Flaw(flaw) => return Err(self.bad(flaw)),
            }
        };
        Ok(Some((taken.position, self.cursor.lend(&taken))))
    }

    /// The sequence that comes next.
    #[must_use]
    pub fn next_seq(&self) -> u64 {
        self.track.next_seq.max(self.from_seq)
    }

    /// The header of the segment that is read.
    #[must_use]
    pub fn segment(&self) -> &SegmentHeader {
        &self.header
    }

    /// The chain word of the last record that was read: what a snapshot at it is bound to.
    #[must_use]
    pub fn chain(&self) -> u32 {
        self.track.chain
    }

    /// A step, taken again on what is on the disk now if what was read ahead does not hold the record: the writer may have
    /// put it there since.
    fn step(&mut self) -> Result<Step, JournalError> {
        let failed = |number| move |error| JournalError::disk(&segment::name(number), "reading")(error);
        let number = self.header.number;
        match self.cursor.advance(&mut self.track).map_err(failed(number))? {
            Step::Record(taken) => Ok(Step::Record(taken)),
            Step::Blank | Step::Flaw(_) => {
                self.cursor.forget();
                self.cursor.advance(&mut self.track).map_err(failed(number))
            }
        }
    }

    /// Goes on to the next segment if it is there. The blank was seen before that segment was looked for, so more may have
    /// been written in front of it since.
    fn enter_next(&mut self) -> Result<bool, JournalError> {
        let number = self.header.number + 1;
        let seq = self.track.next_seq;
        match self.disk.open(&segment::name(number)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(JournalError::disk(&segment::name(number), "opening")(error)),
            Ok(_) => {}
        }
        let (file, header, _) = open_segment(self.disk.as_ref(), number, &self.engine_id, seq)?;
        if header.first_seq > seq {
            self.cursor.forget();
            // A copy of the track, so that the record is taken by the caller's next step.
            let mut track = self.track.clone();
            let (offset, read) = (self.cursor.offset, self.cursor.advance(&mut track));
            self.cursor.offset = offset;
            self.cursor.forget();
            if matches!(read, Ok(Step::Record(_))) {
                return Ok(true);
            }
        }
        let at = Position { segment: number, offset: 0, seq };
        let damage = if header.first_seq != seq {
            Damage::SequenceBreak { found: header.first_seq }
        } else if header.previous_chain != self.track.chain {
            Damage::ChainBreak
        } else {
            self.track.enter(&header);
            self.cursor = cursor(file, &header)?;
            self.header = header;
            return Ok(true);
        };
        Err(JournalError::Corrupt { at, damage })
    }

    /// The end of a journal that nobody writes: nothing may stand behind it.
    fn end(&mut self) -> Result<(), JournalError> {
        let name = segment::name(self.header.number);
        if !self.cursor.tail().map_err(JournalError::disk(&name, "reading"))?.is_empty() {
            return Err(self.bad(Flaw::Hole));
        }
        match segment_numbers(self.disk.as_ref())?.last() {
            Some(&last) if last > self.header.number => {
                let at = Position { segment: self.header.number + 1, offset: 0, seq: self.track.next_seq };
                Err(JournalError::Corrupt { at, damage: Damage::MissingSegment })
            }
            _ => Ok(()),
        }
    }

    fn bad(&self, flaw: Flaw) -> JournalError {
        let (segment, offset, seq) = (self.header.number, self.cursor.offset, self.track.next_seq);
        JournalError::Corrupt { at: Position { segment, offset, seq }, damage: Damage::BadRecord { flaw } }
    }
}

fn cursor(file: Box<dyn DiskFile>, header: &SegmentHeader) -> Result<Cursor, JournalError> {
    Cursor::new(file, header).map_err(JournalError::disk(&segment::name(header.number), "measuring"))
}
