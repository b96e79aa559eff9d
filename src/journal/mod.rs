//! The journal: an append-only log of byte records that survives crashes and knows when it has not.
//!
//! ```text
//!   append ──► batch ──commit──► segment-0000000007.log      written_seq after the write, durable_seq after the sync
//!                                  │ full: roll
//!   spare (made ahead) ──header, sync, rename──► segment-0000000008.log
//!
//!   start:  lock ─► recover ─► open        recover = scan, judge, put a torn end aside
//!   live:   Log ─► Reader::next_up_to      one writer, any number of readers
//! ```
//!
//! It knows nothing of what the bytes mean. In the folder:
//!
//! | name | what it is |
//! | --- | --- |
//! | `segment-0000000001.log` … | the records, in files of one size, set aside with real zeros; an engine start begins a new one |
//! | `checkpoint` | the watermark: up to where the disk had the journal when last noted, in two slots |
//! | `snapshots/` | states at a sequence, so that recovery need not read everything |
//! | `quarantine/` | torn ends that recovery put aside |
//! | `spare` | the next segment, while it is made |
//! | `ballast` | space to give up for one more segment when the disk is full |
//! | `journal.lock` | held by the process that writes |
//!
//! A segment is a 4,096-byte header, the same once more, then records from offset 8,192 on, then zeros (`segment.rs`). A
//! record is 48 bytes of header, its payload, padding, and a chain word, a multiple of 8 in all (`record.rs`):
//!
//! | offset | field |
//! | --- | --- |
//! | 0 | `u32` payload bytes, 1 to 65,536; 0 where nothing was written |
//! | 4 | `u32` CRC32C over the length and bytes 8 up to the chain word, seeded with engine id, epoch, segment number |
//! | 8 | `u64` sequence, one more than the record before it, for ever |
//! | 16 | `u64` sequence of the stage, one more each, within an epoch |
//! | 24 | `u64` the stage's instant, monotonic |
//! | 32 | `i64` the same, wall clock |
//! | 40 | `u16` kind, `u16` version, `u16` stage, `u16` flags (bit 0: batch end; bits 1 to 15: batch number) |
//! | 48 | payload, then zeros up to four bytes below a multiple of 8 |
//! | end - 4 | `u32` chain: CRC32C of this record's checksum, continued from the record before it |
//!
//! # The durability promise
//!
//! - What is at or below [`Log::durable_seq`] is there after any crash, unchanged, or the journal says `JOURNAL_CORRUPT`.
//! - What is above it is there up to some record, without gaps, or is gone. A batch that was being written may be there in
//!   part: the records before the first that is missing.
//! - A bad end is put aside only where it can be nothing but a write that was cut short: at or above the watermark, in the
//!   last segment, with no good record of a later batch behind it. Everything else is refused, with nothing changed.
//! - A log that met an error of the disk never writes or syncs again.
//!
//! A damaged sector in the very batch that came last before a crash, and above the watermark, cannot be told from a torn
//! write. [`Log::checkpoint`] after every commit leaves no such batch, at the price of a second sync.

mod bytes;
mod checkpoint;
pub mod crash;
mod cursor;
mod disk;
mod error;
mod list;
mod lock;
mod log;
mod prune;
mod reader;
mod record;
mod recorder;
mod recovery;
mod reserve;
mod scan;
mod segment;
mod snapshots;
mod stages;
mod verify;

#[cfg(test)]
mod tests;

pub use checkpoint::Watermark;
pub use disk::{Disk, DiskFile, FolderDisk};
pub use error::{Damage, Difference, JournalError, Position, Refusal};
pub use list::segment_headers;
pub use lock::JournalLock;
pub use log::{Log, LogConfig};
pub use prune::{prunable_segments, prune_segments};
pub use reader::Reader;
pub use record::{
    Flaw, JOURNAL_STAGE, OWN_KINDS, PAYLOAD_BYTES_MAX, RECORD_HEADER_BYTES, RECOVERED_TORN, Record, STAGES_MAX, Stamp,
};
pub use recorder::{BLOB_KIND, BYTES_VERSION, Journal, Recorder, append_entry};
pub use recovery::{Recovered, recover};
pub use reserve::Space;
pub use scan::{End, Progress, ScanOptions, Torn};
pub use segment::{
    FORMAT_VERSION, Identity, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, SegmentHeader, epochs, name as segment_name,
};
pub use snapshots::{
    PassedOver, SNAPSHOT_BYTES_MAX, SNAPSHOTS_KEPT_MIN, Snapshot, newest_snapshot, prune_snapshots, verified_snapshots,
    write_snapshot,
};
pub use stages::{COLD_STAGE, GATEWAYS_MAX, JournalStage, RISK_STAGE, SHARDS_MAX, gateway_stage, shard_stage};
pub use verify::{Report, Verdict, verify};
