//! Making a journal ready for the next engine start.
//!
//! The scan comes first, and nothing is written before it ends well. Then, in this order, each step synced before the next:
//! the torn end is copied to `quarantine/`, then zeroed; header copies that are not sound are written anew from the other
//! one; left-over files are removed. Killed anywhere, the next recovery does what is left and answers the same: the copy in
//! quarantine tells of a torn end that is zeroed already, for as long as no segment follows it.

use super::bytes;
use super::disk::{self, Disk};
use super::error::{JournalError, Position};
use super::lock::JournalLock;
use super::record::Record;
use super::reserve::SPARE;
use super::scan::{End, ScanOptions, Scanned, Torn, scan};
use super::segment::{self, SegmentHeader, both_copies};
use std::io::{self, ErrorKind};

/// The folder of torn ends that were put aside.
const QUARANTINE: &str = "quarantine";

/// A journal that was read whole and is ready for a new epoch. Only [`recover`] makes one.
#[derive(Debug)]
pub struct Recovered {
    /// Where it ends.
    pub end: End,
    /// The torn end that was put aside, if there was one. The next engine start's first record tells of it.
    pub torn: Option<Torn>,
    /// Segments of which one header copy was written anew.
    pub repaired_headers: Vec<u64>,
    /// Records read, those before the snapshot included.
    pub records: u64,
    /// The first sequence read; 0 for none.
    pub first_seq: u64,
    /// Whether there is a watermark file already.
    pub(super) has_checkpoint: bool,
    pub(super) lock: JournalLock,
}

/// Reads the journal from `options.after_seq` on, giving each record to `visit`, judges it, and repairs what a cut write
/// left. What `visit` was given is to be thrown away if the answer is an error.
///
/// # Errors
/// `JOURNAL_CORRUPT` and `JOURNAL_UNSUPPORTED`, with nothing changed; `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn recover(
    disk: &dyn Disk,
    lock: JournalLock,
    options: &ScanOptions,
    visit: &mut dyn FnMut(Position, &Record<'_>),
) -> Result<Recovered, JournalError> {
    let scanned = scan(disk, options, &mut |_| {}, visit)?;
    let torn = put_torn_end_aside(disk, &scanned)?;
    for header in &scanned.damaged_headers {
        let name = segment::name(header.number);
        rewrite_header(disk, &name, header).map_err(JournalError::disk(&name, "repairing"))?;
    }
    clear(disk).map_err(JournalError::disk("the journal's folder", "clearing"))?;
    Ok(Recovered {
        end: scanned.end,
        torn,
        repaired_headers: scanned.damaged_headers.iter().map(|header| header.number).collect(),
        records: scanned.records,
        first_seq: scanned.first_seq,
        has_checkpoint: scanned.slots.is_some(),
        lock,
    })
}

/// Where the torn end that began here is kept.
fn quarantine_name(end: Position) -> String {
    format!("{QUARANTINE}/{}.{}.torn", segment::name(end.segment), end.offset)
}

fn put_torn_end_aside(disk: &dyn Disk, scanned: &Scanned) -> Result<Option<Torn>, JournalError> {
    let end = scanned.end.position;
    let kept_name = quarantine_name(end);
    let kept = match disk.open(&kept_name) {
        Ok(file) => Some(file.length().map_err(JournalError::disk(&kept_name, "measuring"))?),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(JournalError::disk(&kept_name, "opening")(error)),
    };
    let Some((found, tail, _)) = &scanned.torn else {
        return Ok(kept.map(|bytes| Torn { segment: end.segment, offset: end.offset, bytes }));
    };
    // Whole since its rename: a recovery that was killed while it zeroed the end must not put the rest in its place.
    let bytes = match kept {
        Some(bytes) => bytes,
        None => {
            keep(disk, &kept_name, tail).map_err(JournalError::disk(&kept_name, "writing"))?;
            found.bytes
        }
    };
    let name = segment::name(end.segment);
    zero_tail(disk, &name, end.offset, bytes::offset(tail.len()), scanned.cut_from)
        .map_err(JournalError::disk(&name, "zeroing the torn end of"))?;
    Ok(Some(Torn { bytes, ..*found }))
}

fn keep(disk: &dyn Disk, name: &str, tail: &[u8]) -> io::Result<()> {
    disk.create_folder(QUARANTINE)?;
    disk.sync_folder("")?;
    disk::put_whole(disk, QUARANTINE, name, &[tail])
}

fn zero_tail(disk: &dyn Disk, name: &str, offset: u64, bytes: u64, cut_from: Option<u64>) -> io::Result<()> {
    let file = disk.open_for_writing(name)?;
    disk::write_zeros(file.as_ref(), offset, offset + bytes)?;
    if let Some(end) = cut_from {
        disk::write_zeros(file.as_ref(), file.length()?, end)?;
    }
    file.sync()
}

fn rewrite_header(disk: &dyn Disk, name: &str, header: &SegmentHeader) -> io::Result<()> {
    let file = disk.open_for_writing(name)?;
    disk::write_whole(file.as_ref(), 0, &both_copies(header))?;
    file.sync()
}

/// Removes what a start or a roll left that was cut short.
fn clear(disk: &dyn Disk) -> io::Result<()> {
    let is_left_over = |name: &str| name == SPARE || name.ends_with(".tmp");
    let names = disk.list("")?;
    let left_over: Vec<_> = names.iter().filter(|name| is_left_over(name)).collect();
    for name in &left_over {
        disk.remove(name)?;
    }
    if left_over.is_empty() { Ok(()) } else { disk.sync_folder("") }
}
