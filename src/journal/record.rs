//! One record: its bytes, its checksum and its place in the chain.
//!
//! ```text
//!  0  u32 length        of the payload, 1 to 65,536; 0: nothing was written here
//!  4  u32 checksum      CRC32C over the length, then bytes 8 up to the chain word (padding included), seeded with
//!                       engine id, epoch and segment number
//!  8  u64 seq           strictly one more than the record before it, across segments and epochs
//! 16  u64 stage_seq     strictly one more than the stage's last, within an epoch
//! 24  u64 mono_ns       the stage's instant
//! 32  i64 wall_ns
//! 40  u16 kind | 42 u16 version | 44 u16 stage | 46 u16 flags
//! 48  payload, then zeros up to four bytes below a multiple of eight
//! -4  u32 chain         CRC32C of this record's checksum, continued from the chain word before it
//! ```
//!
//! So a record of `n` payload bytes takes `(n + 52)` rounded up to a multiple of 8, and every record begins at one. Bit 0
//! of the flags marks the last record of a batch; bits 1 to 15 are the batch's number within its segment, from 0, lowest
//! 15 bits. Batches are what the disk has or has not: batch `n + 1` is written only after the disk has batch `n`.

use super::bytes;
use std::fmt;

/// Bytes before the payload.
pub const RECORD_HEADER_BYTES: usize = 48;
/// The most bytes that a payload may have.
pub const PAYLOAD_BYTES_MAX: usize = 64 << 10;
/// Stages are numbered below this.
pub const STAGES_MAX: u16 = 256;
/// The stage of the journal's own records.
pub const JOURNAL_STAGE: u16 = STAGES_MAX - 1;
/// Kinds from here on are the journal's own.
pub const OWN_KINDS: u16 = 0xff00;
/// The kind of the record that tells of a torn end which recovery put aside. Its payload is the segment, the offset and
/// the bytes put aside, `u64` each.
pub const RECOVERED_TORN: u16 = 0xff01;

/// The chain word and its padding's unit.
const CHAIN_BYTES: usize = 4;
const ALIGNMENT: usize = 8;
/// The least bytes that a record takes.
pub(super) const RECORD_BYTES_MIN: usize = RECORD_HEADER_BYTES + ALIGNMENT;
/// The most.
pub(super) const RECORD_BYTES_MAX: usize = size_of_record(PAYLOAD_BYTES_MAX);
const BATCH_END: u16 = 1;

/// What a stage says of a record: everything but the payload and what the writer adds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// The record's number among its stage's, one more each; the first of an epoch may be any.
    pub stage_seq: u64,
    /// The stage's instant by the monotonic clock, in nanoseconds.
    pub mono_ns: u64,
    /// The same instant by the wall clock, in nanoseconds since 1970. Never decides an order of records.
    pub wall_ns: i64,
    /// What the payload is: below [`OWN_KINDS`].
    pub kind: u16,
    /// The version of the payload's encoding.
    pub version: u16,
    /// Who wrote it: below [`JOURNAL_STAGE`].
    pub stage: u16,
}

/// A record as it was read; the payload is lent by the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number in the journal.
    pub seq: u64,
    /// What its stage said of it.
    pub entry: Stamp,
    /// Whether it is the last of its batch.
    pub is_batch_end: bool,
    /// Its content.
    pub payload: &'a [u8],
}

/// What is wrong with the bytes where a record is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they hold; each variant says what it means")]
pub enum Flaw {
    /// A length that no record has.
    Length { found: u32 },
    /// The record would run past the segment's end.
    PastEnd,
    /// The file ends within the record.
    Cut,
    /// Nothing was written here, but something behind it.
    Hole,
    /// The checksum differs.
    Checksum,
    /// The padding is not zero.
    Padding,
    /// The chain word differs.
    Chain { due: u32, found: u32 },
    /// Another sequence than the one that is due.
    Sequence { found: u64 },
    /// A stage that there is not.
    Stage { found: u16 },
    /// Another sequence of the stage than the one that is due.
    StageSequence { stage: u16, due: u64, found: u64 },
    /// Another batch than the one that is due.
    Batch { due: u16, found: u16 },
}

impl Flaw {
    /// Whether a write that was cut short can have left this. It cannot leave a record that is sound by itself and yet not
    /// the one that is due. (It can leave one whose chain word, which is last, is blank or cut.)
    pub(super) fn is_tear(self) -> bool {
        match self {
            Self::Length { .. } | Self::PastEnd | Self::Cut | Self::Hole | Self::Checksum => true,
            Self::Chain { due, found } => (0..4).any(|bytes| found == due & !(u32::MAX << (8 * bytes))),
            Self::Padding
            | Self::Sequence { .. }
            | Self::Stage { .. }
            | Self::StageSequence { .. }
            | Self::Batch { .. } => false,
        }
    }
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found } => write!(f, "a record of {found} bytes"),
            Self::PastEnd => write!(f, "a record that runs past the segment's end"),
            Self::Cut => write!(f, "a record that the file's end cuts off"),
            Self::Hole => write!(f, "no record, though bytes stand behind"),
            Self::Checksum => write!(f, "a record whose checksum differs"),
            Self::Padding => write!(f, "a record whose padding is not zero"),
            Self::Chain { .. } => write!(f, "a record that does not continue the chain"),
            Self::Sequence { found } => write!(f, "a record with sequence {found}"),
            Self::Stage { found } => write!(f, "a record of stage {found}, which there is not"),
            Self::StageSequence { stage, due, found } => {
                write!(f, "a record of stage {stage} with its sequence {found}, where {due} is due")
            }
            Self::Batch { due, found } => write!(f, "a record of batch {found}, where {due} is due"),
        }
    }
}

/// With what a segment's checksums begin: bytes that stood elsewhere, or in another life of this space, do not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seed(u32);

impl Seed {
    pub(super) fn new(engine_id: &[u8; 16], epoch: u32, segment: u64) -> Self {
        let crc = crc32c::crc32c(engine_id);
        let crc = crc32c::crc32c_append(crc, &epoch.to_le_bytes());
        Self(crc32c::crc32c_append(crc, &segment.to_le_bytes()))
    }

    /// The checksum of a record of this length, whose bytes from 8 up to the chain word are `body`.
    pub(super) fn checksum(self, length: [u8; 4], body: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &length), body)
    }
}

/// The chain word after a record with this checksum.
pub(super) fn chained(chain: u32, checksum: u32) -> u32 {
    crc32c::crc32c_append(chain, &checksum.to_le_bytes())
}

/// The bytes that a record with so many payload bytes takes.
pub(super) const fn size_of_record(payload: usize) -> usize {
    (RECORD_HEADER_BYTES + payload + CHAIN_BYTES).next_multiple_of(ALIGNMENT)
}

/// The flags of a record of this batch.
pub(super) fn flags(batch: u16, is_batch_end: bool) -> u16 {
    (batch << 1) | if is_batch_end { BATCH_END } else { 0 }
}

/// The number of the batch after this one.
pub(super) fn next_batch(batch: u16) -> u16 {
    (batch + 1) & (u16::MAX >> 1)
}

/// A record's fields, checked against its own checksum and against nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parsed {
    pub(super) seq: u64,
    pub(super) entry: Stamp,
    pub(super) batch: u16,
    pub(super) is_batch_end: bool,
    pub(super) checksum: u32,
    pub(super) chain: u32,
    pub(super) payload_bytes: usize,
    pub(super) size: usize,
}

/// The payload bytes of the record that begins here, and the bytes that it takes; `Ok(None)` where none was written.
pub(super) fn measure(mut bytes: &[u8]) -> Result<Option<(usize, usize)>, Flaw> {
    let found = bytes::take_u32(&mut bytes).ok_or(Flaw::PastEnd)?;
    match usize::try_from(found) {
        Ok(0) => Ok(None),
        Ok(payload) if payload <= PAYLOAD_BYTES_MAX => Ok(Some((payload, size_of_record(payload)))),
        _ => Err(Flaw::Length { found }),
    }
}

/// Reads a record of `payload_bytes` that takes all of `record`.
pub(super) fn parse(record: &[u8], payload_bytes: usize, seed: Seed) -> Result<Parsed, Flaw> {
    let size = record.len();
    let (checked, mut chain) =
        record.split_last_chunk::<CHAIN_BYTES>().map(|(a, b)| (a, b.as_slice())).ok_or(Flaw::Cut)?;
    let mut fields = checked;
    let length: [u8; 4] = bytes::take(&mut fields).ok_or(Flaw::Cut)?;
    let checksum = bytes::take_u32(&mut fields).ok_or(Flaw::Cut)?;
    if seed.checksum(length, fields) != checksum {
        return Err(Flaw::Checksum);
    }
    let parsed = parse_fields(fields, checksum, bytes::take_u32(&mut chain), payload_bytes, size).ok_or(Flaw::Cut)?;
    let padding = checked.get(RECORD_HEADER_BYTES + payload_bytes..).ok_or(Flaw::Cut)?;
    if padding.iter().any(|&byte| byte != 0) {
        return Err(Flaw::Padding);
    }
    Ok(parsed)
}

fn parse_fields(
    mut fields: &[u8],
    checksum: u32,
    chain: Option<u32>,
    payload_bytes: usize,
    size: usize,
) -> Option<Parsed> {
    let fields = &mut fields;
    let seq = bytes::take_u64(fields)?;
    let (stage_seq, mono_ns, wall_ns) = (bytes::take_u64(fields)?, bytes::take_u64(fields)?, bytes::take_i64(fields)?);
    let (kind, version, stage) = (bytes::take_u16(fields)?, bytes::take_u16(fields)?, bytes::take_u16(fields)?);
    let flags = bytes::take_u16(fields)?;
    Some(Parsed {
        seq,
        entry: Stamp { stage_seq, mono_ns, wall_ns, kind, version, stage },
        batch: flags >> 1,
        is_batch_end: flags & BATCH_END != 0,
        checksum,
        chain: chain?,
        payload_bytes,
        size,
    })
}

/// Appends a record to `out`; the answer is the chain word after it. `payload` is within the limits: the log has seen to
/// it.
pub(super) fn encode(
    out: &mut Vec<u8>,
    seed: Seed,
    chain: u32,
    seq: u64,
    flags: u16,
    entry: &Stamp,
    payload: &[u8],
) -> u32 {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let start = out.len();
    let mut header = [0; RECORD_HEADER_BYTES];
    let mut rest = header.as_mut_slice();
    let mut put = |field: &[u8]| {
        if let Some((place, after)) = std::mem::take(&mut rest).split_at_mut_checked(field.len()) {
            place.copy_from_slice(field);
            rest = after;
        }
    };
    put(&length);
    put(&[0; 4]);
    put(&seq.to_le_bytes());
    put(&entry.stage_seq.to_le_bytes());
    put(&entry.mono_ns.to_le_bytes());
    put(&entry.wall_ns.to_le_bytes());
    put(&entry.kind.to_le_bytes());
    put(&entry.version.to_le_bytes());
    put(&entry.stage.to_le_bytes());
    put(&flags.to_le_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
    out.resize(start + size_of_record(payload.len()), 0);
    seal(out.get_mut(start..).unwrap_or_default(), seed, chain)
}

/// Writes the checksum and the chain word into a record that is otherwise whole; the answer is the chain word.
pub(super) fn seal(record: &mut [u8], seed: Seed, chain: u32) -> u32 {
    let Some((checked, last)) = record.split_last_chunk_mut::<CHAIN_BYTES>() else { return chain };
    let Some((length, rest)) = checked.split_first_chunk_mut::<4>() else { return chain };
    let Some((place, body)) = rest.split_first_chunk_mut::<4>() else { return chain };
    let checksum = seed.checksum(*length, body);
    *place = checksum.to_le_bytes();
    let chain = chained(chain, checksum);
    *last = chain.to_le_bytes();
    chain
}

/// Marks a whole record as the last of its batch; to be sealed again.
pub(super) fn mark_batch_end(record: &mut [u8]) {
    if let Some(low) = record.get_mut(RECORD_HEADER_BYTES - 2) {
        *low |= BATCH_END.to_le_bytes()[0];
    }
}

/// Whether these bytes are whole records, one after the other from `seq` and `chain` on, the last one ending the batch:
/// what is about to be written, read as a reader will.
pub(super) fn is_batch(mut bytes: &[u8], seed: Seed, mut seq: u64, mut chain: u32) -> bool {
    let mut is_ended = false;
    while let Ok(Some((payload_bytes, size))) = measure(bytes) {
        let Some((record, rest)) = bytes.split_at_checked(size) else { return false };
        let Ok(parsed) = parse(record, payload_bytes, seed) else { return false };
        chain = chained(chain, parsed.checksum);
        if is_ended || parsed.seq != seq || parsed.chain != chain {
            return false;
        }
        (seq, is_ended, bytes) = (seq + 1, parsed.is_batch_end, rest);
    }
    is_ended && bytes.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed(7);

    fn encoded(payload: &[u8]) -> (Vec<u8>, u32) {
        let mut out = Vec::new();
        let entry = Stamp { stage_seq: 3, mono_ns: 4, wall_ns: -5, kind: 6, version: 7, stage: 8 };
        let chain = encode(&mut out, SEED, 9, 2, flags(5, true), &entry, payload);
        (out, chain)
    }

    #[test]
    fn a_record_reads_back_as_it_was_written_at_every_length() {
        for length in (1..200).chain([PAYLOAD_BYTES_MAX - 1, PAYLOAD_BYTES_MAX]) {
            let payload: Vec<u8> = (0..length).map(|at| (at * 31 + 1) as u8).collect();
            let (bytes, chain) = encoded(&payload);
            assert_eq!(bytes.len() % ALIGNMENT, 0);
            let (payload_bytes, size) = measure(&bytes).expect("a length").expect("written");
            assert_eq!((payload_bytes, size), (length, bytes.len()));
            let parsed = parse(&bytes, payload_bytes, SEED).expect("sound");
            assert_eq!((parsed.seq, parsed.batch, parsed.is_batch_end), (2, 5, true));
            assert_eq!(parsed.entry, Stamp { stage_seq: 3, mono_ns: 4, wall_ns: -5, kind: 6, version: 7, stage: 8 });
            assert_eq!((parsed.chain, chained(9, parsed.checksum)), (chain, chain));
            assert_eq!(&bytes[RECORD_HEADER_BYTES..][..payload_bytes], payload);
        }
        assert_eq!(size_of_record(76), 128);
        assert!(RECORD_BYTES_MIN == size_of_record(1) && RECORD_BYTES_MAX == size_of_record(PAYLOAD_BYTES_MAX));
    }

    #[test]
    fn a_record_of_another_segment_epoch_or_engine_does_not_pass() {
        let seed = Seed::new(&[1; 16], 2, 3);
        for other in [Seed::new(&[2; 16], 2, 3), Seed::new(&[1; 16], 3, 3), Seed::new(&[1; 16], 2, 4)] {
            let mut out = Vec::new();
            encode(&mut out, seed, 0, 1, 0, &Stamp::default(), b"payload");
            assert!(parse(&out, 7, seed).is_ok());
            assert_eq!(parse(&out, 7, other).expect_err("foreign"), Flaw::Checksum);
        }
    }

    #[test]
    fn every_bit_of_a_record_counts() {
        let (bytes, chain) = encoded(b"thirteen byte");
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let passes = measure(&flipped).is_ok_and(|measured| {
                measured.is_some_and(|(payload_bytes, size)| {
                    size == flipped.len()
                        && parse(&flipped, payload_bytes, SEED)
                            .is_ok_and(|parsed| parsed.chain == chain && chained(9, parsed.checksum) == chain)
                })
            });
            assert!(!passes, "bit {bit}");
        }
    }

    #[test]
    fn padding_that_is_not_zero_is_refused_even_under_a_right_checksum() {
        let (mut bytes, _) = encoded(b"thirteen byte");
        let padding = RECORD_HEADER_BYTES + 13;
        bytes[padding] = 1;
        seal(&mut bytes, SEED, 9);
        assert_eq!(parse(&bytes, 13, SEED).expect_err("padded"), Flaw::Padding);
    }
}
