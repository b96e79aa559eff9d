//! What segments there are, by their headers alone.

use super::checkpoint::Slots;
use super::disk::Disk;
use super::error::{Damage, JournalError, Position};
use super::scan::{open_segment, segment_numbers};
use super::segment::SegmentHeader;

/// The headers of the segments that are there, oldest first. Records are not looked at. Empty where there is no segment.
///
/// # Errors
/// `JOURNAL_CORRUPT` where the watermark file or a header is not there or not sound, `JOURNAL_UNSUPPORTED` where another
/// build wrote it, `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn segment_headers(disk: &dyn Disk) -> Result<Vec<SegmentHeader>, JournalError> {
    let numbers = segment_numbers(disk)?;
    let Some(&first) = numbers.first() else { return Ok(Vec::new()) };
    let Some(slots) = Slots::read(disk)? else {
        let at = Position { segment: first, offset: 0, seq: 0 };
        return Err(JournalError::Corrupt { at, damage: Damage::NoCheckpoint });
    };
    let header = |number: u64| open_segment(disk, number, &slots.newest.engine_id, 0).map(|(_, header, _)| header);
    numbers.into_iter().map(header).collect()
}
