//! Reading a whole journal and judging it. Writes nothing.
//!
//! | what stands where the next record is due | verdict |
//! | --- | --- |
//! | zeros to the segment's end, in the last segment, at or above the watermark | clean |
//! | zeros to the segment's end, and the next segment continues sequence and chain | go on there |
//! | a bad record, in the last segment, at or above the watermark, and no good record of a later batch behind it | torn end |
//! | a bad record anywhere else; a break of sequence, chain or epoch; a file of the wrong length | damage: refused |
//! | an end, or a torn end, below the watermark | acknowledged records are gone: refused |

use super::checkpoint::{Slots, Watermark};
use super::cursor::{Cursor, Later, Step, Track};
use super::disk::{Disk, DiskFile};
use super::error::{Damage, Difference, JournalError, Position};
use super::record::{Flaw, Record};
use super::segment::{self, HeaderFlaw, SegmentHeader, read_header};

/// What a reader of a whole journal expects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// The engine whose journal it is; `None`: the one that its watermark file names.
    pub engine_id: Option<[u8; 16]>,
    /// The schemas of payloads that the caller reads; none: any.
    pub schemas: Vec<u64>,
    /// Records are wanted from the one after this on, and have to be there: a snapshot's sequence, or 0 for all. `None`:
    /// whatever is still there.
    pub after_seq: Option<u64>,
    /// The chain word that the record `after_seq` has to have: that of a snapshot, which is of this journal only then.
    pub after_chain: Option<u32>,
}

/// How far a scan has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Segments read.
    pub segments: u64,
    /// Segments to read.
    pub segments_total: u64,
    /// Records read.
    pub records: u64,
}

/// The end of a journal: where the next record would stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct End {
    /// The last segment, where in it the records end, and the sequence after the last one.
    pub position: Position,
    /// The chain word of the last record.
    pub chain: u32,
    /// The last segment's epoch; 0 where there is none.
    pub epoch: u32,
}

/// The torn end of a journal: bytes behind the last good record that a write left which was cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Its segment.
    pub segment: u64,
    /// Where it begins.
    pub offset: u64,
    /// Its bytes, up to the last that is not zero; 0 where the file was cut at a record's end.
    pub bytes: u64,
}

/// What a scan found.
#[derive(Debug)]
pub(super) struct Scanned {
    pub(super) end: End,
    /// The torn end, its bytes, and what is wrong with its first record.
    pub(super) torn: Option<(Torn, Vec<u8>, Flaw)>,
    /// The last segment's stated length, where its file is shorter.
    pub(super) cut_from: Option<u64>,
    /// Segments of which one header copy is not sound.
    pub(super) damaged_headers: Vec<SegmentHeader>,
    pub(super) slots: Option<Slots>,
    pub(super) segments: u64,
    pub(super) records: u64,
    /// The first sequence that was read; 0 for none.
    pub(super) first_seq: u64,
}

/// The numbers of the segments that are there, in order.
pub(super) fn segment_numbers(disk: &dyn Disk) -> Result<Vec<u64>, JournalError> {
    let names = disk.list("").map_err(JournalError::disk("the journal's folder", "reading"))?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment::number(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// Opens a segment and reads its header; the answer's flag says whether one copy of it is not sound.
pub(super) fn open_segment(
    disk: &dyn Disk,
    number: u64,
    engine_id: &[u8; 16],
    seq: u64,
) -> Result<(Box<dyn DiskFile>, SegmentHeader, bool), JournalError> {
    let name = segment::name(number);
    let file = disk.open(&name).map_err(JournalError::disk(&name, "opening"))?;
    let corrupt = |damage| JournalError::Corrupt { at: Position { segment: number, offset: 0, seq }, damage };
    match read_header(file.as_ref()).map_err(JournalError::disk(&name, "reading"))? {
        Ok(read) => match segment::misplaced(&read.header, number, engine_id) {
            Some(damage) => Err(corrupt(damage)),
            None => Ok((file, read.header, read.is_damaged)),
        },
        Err(HeaderFlaw::Differs(difference)) => Err(JournalError::Unsupported { file: name, difference }),
        Err(HeaderFlaw::Unsound) => Err(corrupt(Damage::Header)),
    }
}

/// Where to begin so that the record after `after_seq` is among what is read.
pub(super) fn first_needed(
    disk: &dyn Disk,
    numbers: &[u64],
    engine_id: &[u8; 16],
    after_seq: u64,
) -> Result<usize, JournalError> {
    for (index, &number) in numbers.iter().enumerate().rev() {
        let (_, header, _) = open_segment(disk, number, engine_id, 0)?;
        if header.first_seq <= after_seq.saturating_add(1) {
            return Ok(index);
        }
    }
    let segment = numbers.first().map_or(1, |first| first.saturating_sub(1));
    let at = Position { segment, offset: 0, seq: after_seq.saturating_add(1) };
    Err(JournalError::Corrupt { at, damage: Damage::MissingSegment })
}

/// Reads and judges the journal.
pub(super) fn scan(
    disk: &dyn Disk,
    options: &ScanOptions,
    progress: &mut dyn FnMut(Progress),
    visit: &mut dyn FnMut(Position, &Record<'_>),
) -> Result<Scanned, JournalError> {
    let slots = Slots::read(disk)?;
    let numbers = segment_numbers(disk)?;
    let watermark = slots.map(|slots| slots.newest.watermark).unwrap_or_default();
    if let Some(slots) = slots
        && options.engine_id.is_some_and(|engine_id| engine_id != slots.newest.engine_id)
    {
        return Err(corrupt(Position::default(), Damage::ForeignEngine));
    }
    let mut scan = Scan {
        disk,
        options,
        watermark,
        engine_id: slots.map(|slots| slots.newest.engine_id).unwrap_or_default(),
        track: Track::new(1, 0, 0),
        is_watermark_seen: false,
        found: Scanned {
            end: End::default(),
            torn: None,
            cut_from: None,
            damaged_headers: Vec::new(),
            slots,
            segments: 0,
            records: 0,
            first_seq: 0,
        },
    };
    let Some(&last) = numbers.last() else { return scan.nothing() };
    if slots.is_none() {
        return Err(corrupt(Position { segment: last, offset: 0, seq: 0 }, Damage::NoCheckpoint));
    }
    if watermark.segment > last {
        let damage = Damage::ShorterThanWatermark { watermark: watermark.position() };
        return Err(corrupt(Position { segment: last, offset: 0, seq: 0 }, damage));
    }
    let start = match options.after_seq {
        Some(after_seq) => first_needed(disk, &numbers, &scan.engine_id, after_seq)?,
        None => 0,
    };
    let numbers = numbers.get(start..).unwrap_or_default();
    let total = super::bytes::offset(numbers.len());
    for (&number, due) in numbers.iter().zip(numbers.first().copied().unwrap_or_default()..) {
        if number != due {
            let at = Position { segment: due, offset: 0, seq: scan.track.next_seq };
            return Err(corrupt(at, Damage::MissingSegment));
        }
        scan.segment(number, number == last, visit)?;
        progress(Progress { segments: scan.found.segments, segments_total: total, records: scan.found.records });
    }
    scan.finish()
}

fn corrupt(at: Position, damage: Damage) -> JournalError {
    JournalError::Corrupt { at, damage }
}

struct Scan<'a> {
    disk: &'a dyn Disk,
    options: &'a ScanOptions,
    watermark: Watermark,
    engine_id: [u8; 16],
    track: Track,
    is_watermark_seen: bool,
    found: Scanned,
}

impl Scan<'_> {
    /// A journal without segments: new, if nothing says otherwise.
    fn nothing(mut self) -> Result<Scanned, JournalError> {
        let at = Position { segment: 0, offset: 0, seq: 1 };
        self.found.end.position = at;
        if self.watermark.segment > 0 {
            return Err(corrupt(at, Damage::ShorterThanWatermark { watermark: self.watermark.position() }));
        }
        match self.options.after_seq {
            Some(snapshot) if snapshot > 0 => Err(corrupt(at, Damage::SnapshotAhead { snapshot })),
            _ => Ok(self.found),
        }
    }

    fn segment(
        &mut self,
        number: u64,
        is_last: bool,
        visit: &mut dyn FnMut(Position, &Record<'_>),
    ) -> Result<(), JournalError> {
        let name = segment::name(number);
        let is_first = self.found.segments == 0;
        let (file, header, is_damaged) = open_segment(self.disk, number, &self.engine_id, self.track.next_seq)?;
        self.judge_header(&header, is_first)?;
        if is_damaged {
            self.found.damaged_headers.push(header);
        }
        let length = file.length().map_err(JournalError::disk(&name, "measuring"))?;
        if length > header.segment_bytes || (length < header.segment_bytes && !is_last) {
            let at = Position { segment: number, offset: length, seq: self.track.next_seq };
            return Err(corrupt(at, Damage::FileLength { stated: header.segment_bytes, found: length }));
        }
        let mut cursor = Cursor::new(file, &header).map_err(JournalError::disk(&name, "measuring"))?;
        let after_seq = self.options.after_seq.unwrap_or_default();
        let flaw = loop {
            self.check_watermark(number, cursor.offset)?;
            self.check_snapshot(number, cursor.offset)?;
            match cursor.advance(&mut self.track).map_err(JournalError::disk(&name, "reading"))? {
                Step::Record(taken) => {
                    self.found.records += 1;
                    if taken.position.seq > after_seq {
                        visit(taken.position, &cursor.lend(&taken));
                    }
                }
                Step::Blank => break None,
                Step::Flaw(flaw) => break Some(flaw),
            }
        };
        self.found.segments += 1;
        let position = Position { segment: number, offset: cursor.offset, seq: self.track.next_seq };
        self.found.end = End { position, chain: self.track.chain, epoch: header.identity.epoch };
        let tail = cursor.tail().map_err(JournalError::disk(&name, "reading"))?;
        let is_cut = cursor.missing_bytes() > 0;
        let flaw = flaw.or((!tail.is_empty()).then_some(Flaw::Hole)).or(is_cut.then_some(Flaw::Cut));
        if let Some(flaw) = flaw {
            self.judge_tail(&cursor, &tail, flaw, position, is_last)?;
            let torn = Torn { segment: number, offset: position.offset, bytes: super::bytes::offset(tail.len()) };
            self.found.torn = Some((torn, tail, flaw));
            self.found.cut_from = is_cut.then_some(header.segment_bytes);
        }
        Ok(())
    }

    fn judge_header(&mut self, header: &SegmentHeader, is_first: bool) -> Result<(), JournalError> {
        let at = Position { segment: header.number, offset: 0, seq: self.track.next_seq };
        let found = header.identity.schema_hash;
        if !self.options.schemas.is_empty() && !self.options.schemas.contains(&found) {
            let difference = Difference::Schema { found };
            return Err(JournalError::Unsupported { file: segment::name(header.number), difference });
        }
        if is_first {
            // What came before is covered by a snapshot, or is not asked for.
            self.track = Track::new(header.first_seq, header.previous_chain, header.identity.epoch);
            self.found.first_seq = header.first_seq;
        }
        if header.first_seq != self.track.next_seq {
            return Err(corrupt(at, Damage::SequenceBreak { found: header.first_seq }));
        }
        if header.previous_chain != self.track.chain {
            return Err(corrupt(at, Damage::ChainBreak));
        }
        if header.identity.epoch < self.track.epoch {
            let damage = Damage::EpochBreak { before: self.track.epoch, found: header.identity.epoch };
            return Err(corrupt(at, damage));
        }
        self.track.enter(header);
        Ok(())
    }

    /// Where the watermark was, its record has to be the one that it names.
    fn check_watermark(&mut self, number: u64, offset: u64) -> Result<(), JournalError> {
        if self.is_watermark_seen || number != self.watermark.segment || offset < self.watermark.offset {
            return Ok(());
        }
        self.is_watermark_seen = true;
        let is_same = offset == self.watermark.offset
            && self.track.next_seq == self.watermark.seq.wrapping_add(1)
            && self.track.chain == self.watermark.chain;
        if is_same {
            return Ok(());
        }
        let at = Position { segment: number, offset, seq: self.track.next_seq };
        Err(corrupt(at, Damage::DiffersFromWatermark { watermark: self.watermark.position() }))
    }

    /// Where a snapshot was made, its record has to be the one that it saw.
    fn check_snapshot(&self, number: u64, offset: u64) -> Result<(), JournalError> {
        let (Some(snapshot), Some(chain)) = (self.options.after_seq, self.options.after_chain) else { return Ok(()) };
        if self.track.next_seq != snapshot.saturating_add(1) || self.track.chain == chain {
            return Ok(());
        }
        let at = Position { segment: number, offset, seq: self.track.next_seq };
        Err(corrupt(at, Damage::SnapshotDiffers { snapshot }))
    }

    /// Whether what stands behind the last good record is a torn end, and no damage.
    fn judge_tail(
        &self,
        cursor: &Cursor,
        tail: &[u8],
        flaw: Flaw,
        at: Position,
        is_last: bool,
    ) -> Result<(), JournalError> {
        let damage = if (at.segment, at.offset) < (self.watermark.segment, self.watermark.offset) {
            Damage::BelowWatermark { flaw, watermark: self.watermark.position() }
        } else if !is_last {
            Damage::BeforeLaterSegment { flaw }
        } else if !flaw.is_tear() {
            Damage::OutOfPlace { flaw }
        } else {
            match cursor.later_record(tail, &self.track) {
                Later::Nothing => return Ok(()),
                Later::Record(later) => Damage::BeforeLaterRecord { flaw, later },
                Later::TooMuch => Damage::TooMuchToSearch { flaw },
            }
        };
        Err(corrupt(at, damage))
    }

    fn finish(mut self) -> Result<Scanned, JournalError> {
        let at = self.found.end.position;
        if (at.segment, at.offset) < (self.watermark.segment, self.watermark.offset) {
            return Err(corrupt(at, Damage::ShorterThanWatermark { watermark: self.watermark.position() }));
        }
        if let Some(snapshot) = self.options.after_seq.filter(|&after_seq| after_seq >= at.seq) {
            return Err(corrupt(at, Damage::SnapshotAhead { snapshot }));
        }
        if self.found.records == 0 {
            self.found.first_seq = 0;
        }
        Ok(self.found)
    }
}
