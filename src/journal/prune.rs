//! Which segments may go.

use super::disk::Disk;
use super::error::JournalError;
use super::scan::{open_segment, segment_numbers};
use super::segment;
use super::snapshots::{SNAPSHOTS_KEPT_MIN, verified_snapshots};

/// The segments that nobody needs any more, oldest first: those whose every record is in the older of the two newest
/// snapshots that hold, and at or below `acknowledged_seq`, up to which others have taken what they keep (fills into the
/// database, say). The newest segment is never among them.
///
/// # Errors
/// `JOURNAL_CORRUPT` and `JOURNAL_UNSUPPORTED` where a segment's header is not sound, `JOURNAL_UNAVAILABLE` where the disk
/// refuses.
pub fn prunable_segments(
    disk: &dyn Disk,
    engine_id: &[u8; 16],
    acknowledged_seq: u64,
) -> Result<Vec<u64>, JournalError> {
    let verified = verified_snapshots(disk, engine_id, SNAPSHOTS_KEPT_MIN)?;
    let Some(&older) = verified.get(SNAPSHOTS_KEPT_MIN - 1) else { return Ok(Vec::new()) };
    let limit = older.min(acknowledged_seq);
    let numbers = segment_numbers(disk)?;
    let mut prunable = Vec::new();
    for (&number, &next) in numbers.iter().zip(numbers.iter().skip(1)) {
        let (_, header, _) = open_segment(disk, next, engine_id, 0)?;
        if header.first_seq > limit.saturating_add(1) {
            break;
        }
        prunable.push(number);
    }
    Ok(prunable)
}

/// Removes [`prunable_segments`]; the answer is their numbers. Oldest first, and each durably before the next, so that what
/// is left never has a gap.
///
/// # Errors
/// As [`prunable_segments`].
pub fn prune_segments(disk: &dyn Disk, engine_id: &[u8; 16], acknowledged_seq: u64) -> Result<Vec<u64>, JournalError> {
    let prunable = prunable_segments(disk, engine_id, acknowledged_seq)?;
    for &number in &prunable {
        let name = segment::name(number);
        disk.remove(&name).and_then(|()| disk.sync_folder("")).map_err(JournalError::disk(&name, "removing"))?;
    }
    Ok(prunable)
}
