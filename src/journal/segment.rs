//! A segment: one file of the journal, its name and its header.
//!
//! The header takes the first 4,096 bytes of the file and stands once more in the next 4,096: a bad sector costs nothing.
//! Records begin at 8,192. All numbers are little endian.
//!
//! ```text
//!   0  "GANNETJL"       8  u32 byte order mark     12  u32 format version
//!  16  engine id (16)  32  u64 segment number      40  u32 epoch          44  u32 chain before the first record
//!  48  u64 first sequence   56  u64 bytes of the file   64  u64 schema hash
//!  72  build hash (32) 104  config hash (32)
//! 136  i64 created, wall   144  u64 created, monotonic  152  boot id (16)
//! 168  zeros          4092  u32 CRC32C of all before it
//! ```

use super::bytes;
use super::disk::{Disk, DiskFile};
use super::error::{Damage, Difference, JournalError};
use super::record::{RECORD_BYTES_MIN, Seed};
use std::io;

/// The format that this build writes.
pub const FORMAT_VERSION: u32 = 1;
/// The smallest segment.
pub const SEGMENT_BYTES_MIN: u64 = 16 << 10;
/// The largest.
pub const SEGMENT_BYTES_MAX: u64 = 1 << 30;

pub(super) const BLOCK_BYTES: usize = 4096;
/// Where the records begin.
pub(super) const RECORDS_START: u64 = 8192;
/// What stands before every file of the journal.
pub(super) const MARK: u32 = 0x0102_0304;
const MAGIC: [u8; 8] = *b"GANNETJL";
const ENDING: &str = ".log";
const BEGINNING: &str = "segment-";

/// Who writes, and when it began: the same in every segment of one engine start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The engine, for as long as its journal lives.
    pub engine_id: [u8; 16],
    /// The engine start: larger than all before it.
    pub epoch: u32,
    /// The schema of the payloads.
    pub schema_hash: u64,
    /// The build that writes.
    pub build_hash: [u8; 32],
    /// The configuration that it runs.
    pub config_hash: [u8; 32],
    /// When it started, in nanoseconds since 1970.
    pub created_wall_ns: i64,
    /// The same instant by the monotonic clock, in nanoseconds.
    pub created_mono_ns: u64,
    /// Within which boot of the machine that clock counts.
    pub boot_id: [u8; 16],
}

/// What a segment says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Who wrote it.
    pub identity: Identity,
    /// Its number, from 1.
    pub number: u64,
    /// The sequence of its first record.
    pub first_seq: u64,
    /// The chain word before its first record.
    pub previous_chain: u32,
    /// The bytes of its file.
    pub segment_bytes: u64,
}

impl SegmentHeader {
    pub(super) fn seed(&self) -> Seed {
        Seed::new(&self.identity.engine_id, self.identity.epoch, self.number)
    }

    /// One copy of the header.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(BLOCK_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MARK.to_le_bytes());
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.identity.engine_id);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.identity.epoch.to_le_bytes());
        out.extend_from_slice(&self.previous_chain.to_le_bytes());
        out.extend_from_slice(&self.first_seq.to_le_bytes());
        out.extend_from_slice(&self.segment_bytes.to_le_bytes());
        out.extend_from_slice(&self.identity.schema_hash.to_le_bytes());
        out.extend_from_slice(&self.identity.build_hash);
        out.extend_from_slice(&self.identity.config_hash);
        out.extend_from_slice(&self.identity.created_wall_ns.to_le_bytes());
        out.extend_from_slice(&self.identity.created_mono_ns.to_le_bytes());
        out.extend_from_slice(&self.identity.boot_id);
        out.resize(BLOCK_BYTES - 4, 0);
        seal_block(&mut out);
        out
    }

    /// Reads one copy of a header, whatever segment it is of.
    fn decode(block: &[u8]) -> Result<Self, HeaderFlaw> {
        let mut fields = open_block(block, &MAGIC)?;
        Self::decode_fields(&mut fields).ok_or(HeaderFlaw::Unsound)
    }

    fn decode_fields(fields: &mut &[u8]) -> Option<Self> {
        let engine_id = bytes::take(fields)?;
        let number = bytes::take_u64(fields)?;
        let epoch = bytes::take_u32(fields)?;
        let previous_chain = bytes::take_u32(fields)?;
        let first_seq = bytes::take_u64(fields)?;
        let segment_bytes = bytes::take_u64(fields)?;
        let identity = Identity {
            engine_id,
            epoch,
            schema_hash: bytes::take_u64(fields)?,
            build_hash: bytes::take(fields)?,
            config_hash: bytes::take(fields)?,
            created_wall_ns: bytes::take_i64(fields)?,
            created_mono_ns: bytes::take_u64(fields)?,
            boot_id: bytes::take(fields)?,
        };
        // Sizes from a file are believed only within limits: memory and time are bounded by them.
        let is_sized = (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&segment_bytes) && segment_bytes % 4096 == 0;
        (is_sized && first_seq > 0 && number > 0).then_some(Self {
            identity,
            number,
            first_seq,
            previous_chain,
            segment_bytes,
        })
    }
}

/// Why a block is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HeaderFlaw {
    Unsound,
    Differs(Difference),
}

/// Adds the checksum to a block that lacks only that.
pub(super) fn seal_block(block: &mut Vec<u8>) {
    let checksum = crc32c::crc32c(block);
    block.extend_from_slice(&checksum.to_le_bytes());
}

/// Checks a block's beginning and its checksum; the answer is what stands between.
pub(super) fn open_block<'a>(block: &'a [u8], magic: &[u8; 8]) -> Result<&'a [u8], HeaderFlaw> {
    let (checked, checksum) = block.split_last_chunk::<4>().ok_or(HeaderFlaw::Unsound)?;
    let mut fields = checked;
    let found: [u8; 8] = bytes::take(&mut fields).ok_or(HeaderFlaw::Unsound)?;
    let mark = bytes::take_u32(&mut fields).ok_or(HeaderFlaw::Unsound)?;
    let version = bytes::take_u32(&mut fields).ok_or(HeaderFlaw::Unsound)?;
    if found != *magic {
        return Err(HeaderFlaw::Unsound);
    }
    // Before the checksum, which the other byte order would have turned round too.
    if mark == MARK.swap_bytes() {
        return Err(HeaderFlaw::Differs(Difference::Endianness));
    }
    if mark != MARK || crc32c::crc32c(checked) != u32::from_le_bytes(*checksum) {
        return Err(HeaderFlaw::Unsound);
    }
    if version != FORMAT_VERSION {
        return Err(HeaderFlaw::Differs(Difference::Version { found: version, known: FORMAT_VERSION }));
    }
    Ok(fields)
}

/// A segment's header, and whether one of its two copies is not sound.
pub(super) struct HeaderRead {
    pub(super) header: SegmentHeader,
    pub(super) is_damaged: bool,
}

/// Reads a segment's header from whichever copy is sound. The outer error is the disk's.
pub(super) fn read_header(file: &dyn DiskFile) -> io::Result<Result<HeaderRead, HeaderFlaw>> {
    let mut blocks = vec![0; 2 * BLOCK_BYTES];
    let filled = file.read_at(0, &mut blocks)?;
    blocks.truncate(filled);
    let (first, second) = blocks.split_at_checked(BLOCK_BYTES).unwrap_or((&blocks, &[]));
    Ok(match (SegmentHeader::decode(first), SegmentHeader::decode(second)) {
        (Ok(header), Ok(other)) if header == other => Ok(HeaderRead { header, is_damaged: false }),
        // Two sound headers that differ: one is another segment's, and nothing says which.
        (Ok(_), Ok(_)) => Err(HeaderFlaw::Unsound),
        (Ok(header), Err(_)) | (Err(_), Ok(header)) => Ok(HeaderRead { header, is_damaged: true }),
        (Err(HeaderFlaw::Differs(difference)), Err(HeaderFlaw::Differs(_))) => Err(HeaderFlaw::Differs(difference)),
        // A difference that one copy alone states is a damaged word in it.
        (Err(_), Err(_)) => Err(HeaderFlaw::Unsound),
    })
}

/// Each epoch in a journal, the oldest first, with the sequence of its first record. Segments whose headers are not sound
/// are passed over: whoever reads them says what is wrong.
///
/// # Errors
/// `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn epochs(disk: &dyn Disk) -> Result<Vec<(u32, u64)>, JournalError> {
    let files = disk.list("").map_err(JournalError::disk("the journal's folder", "listing"))?;
    let mut epochs: Vec<(u32, u64)> = Vec::new();
    for file in files.iter().filter(|file| number(file).is_some()) {
        let opened = disk.open(file).map_err(JournalError::disk(file, "opening"))?;
        let read = read_header(opened.as_ref()).map_err(JournalError::disk(file, "reading"))?;
        let Ok(HeaderRead { header, .. }) = read else { continue };
        if epochs.last().is_none_or(|(newest, _)| *newest != header.identity.epoch) {
            epochs.push((header.identity.epoch, header.first_seq));
        }
    }
    Ok(epochs)
}

/// Writes both copies, from this one.
pub(super) fn both_copies(header: &SegmentHeader) -> Vec<u8> {
    let mut out = header.encode();
    out.extend_from_within(..);
    out
}

/// The file of this segment.
#[must_use]
pub fn name(number: u64) -> String {
    format!("{BEGINNING}{number:010}{ENDING}")
}

/// The number of the segment in the file of this name; `None` for other files.
#[must_use]
pub fn number(file: &str) -> Option<u64> {
    let digits = file.strip_prefix(BEGINNING)?.strip_suffix(ENDING)?;
    let number = digits.parse().ok()?;
    // One name a number: "segment-1.log" is none of ours.
    (name(number) == file && number > 0).then_some(number)
}

/// The most payload bytes of a record in segments of this size.
pub(super) fn payload_max(segment_bytes: u64) -> usize {
    let room = bytes::length(segment_bytes.saturating_sub(RECORDS_START));
    super::record::PAYLOAD_BYTES_MAX.min(room.saturating_sub(RECORD_BYTES_MIN))
}

/// What is wrong with a header that is sound but not the one that is due.
pub(super) fn misplaced(header: &SegmentHeader, number: u64, engine_id: &[u8; 16]) -> Option<Damage> {
    if header.identity.engine_id != *engine_id {
        return Some(Damage::ForeignEngine);
    }
    (header.number != number).then_some(Damage::Misplaced { number: header.number })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let identity = Identity {
            engine_id: [1; 16],
            epoch: 2,
            schema_hash: 3,
            build_hash: [4; 32],
            config_hash: [5; 32],
            created_wall_ns: -6,
            created_mono_ns: 7,
            boot_id: [8; 16],
        };
        SegmentHeader { identity, number: 9, first_seq: 10, previous_chain: 11, segment_bytes: 16 << 10 }
    }

    #[test]
    fn a_header_reads_back_as_it_was_written_and_every_bit_of_it_counts() {
        let block = header().encode();
        assert_eq!(block.len(), BLOCK_BYTES);
        assert_eq!(SegmentHeader::decode(&block), Ok(header()));
        for bit in 0..block.len() * 8 {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(SegmentHeader::decode(&flipped), Err(HeaderFlaw::Unsound), "bit {bit}");
        }
    }

    #[test]
    fn other_versions_and_byte_orders_are_named() {
        let changed = |at: usize, bytes: &[u8]| {
            let mut block = header().encode();
            block[at..at + bytes.len()].copy_from_slice(bytes);
            block.truncate(BLOCK_BYTES - 4);
            seal_block(&mut block);
            SegmentHeader::decode(&block)
        };
        let version = Difference::Version { found: 2, known: 1 };
        assert_eq!(changed(12, &2u32.to_le_bytes()), Err(HeaderFlaw::Differs(version)));
        assert_eq!(changed(8, &MARK.to_be_bytes()), Err(HeaderFlaw::Differs(Difference::Endianness)));
        assert_eq!(changed(56, &u64::MAX.to_le_bytes()), Err(HeaderFlaw::Unsound));
    }

    #[test]
    fn a_segment_has_one_name() {
        assert_eq!(name(7), "segment-0000000007.log");
        assert_eq!(number(&name(7)), Some(7));
        assert_eq!(number(&name(12_345_678_901)), Some(12_345_678_901));
        for other in
            ["segment-7.log", "segment-+000000007.log", "segment-0000000000.log", "segment-0000000007.log.tmp", "x"]
        {
            assert_eq!(number(other), None, "{other}");
        }
    }
}
