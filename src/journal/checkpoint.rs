//! The watermark: up to where the disk had the journal when that was last noted.
//!
//! Two slots of one sector each, 4,096 bytes apart, written in turn and synced each time: whatever write is cut short, the
//! other slot stands. A bad record below the watermark, or an end before it, is damage and never a torn end.
//!
//! ```text
//!   0  "GANNETCP"  8  u32 byte order mark  12  u32 format version
//!  16  engine id (16)  32  u64 generation, the larger one counts
//!  40  u64 sequence  48  u64 segment  56  u64 offset of what comes next  64  u32 chain  68  u32 epoch
//!  72  zeros  508  u32 CRC32C of all before it
//! ```

use super::bytes;
use super::disk::{self, Disk, DiskFile};
use super::error::{JournalError, Position};
use super::segment::{FORMAT_VERSION, HeaderFlaw, MARK, open_block, seal_block};

/// The watermark file.
pub(super) const FILE: &str = "checkpoint";
const MAGIC: [u8; 8] = *b"GANNETCP";
const SLOT_BYTES: usize = 512;
/// As far apart as the pages of the largest common sector, so that no write touches both.
const SLOT_DISTANCE: usize = 4096;

/// Up to where the disk had the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    /// The last sequence that was durable.
    pub seq: u64,
    /// The segment that it is in; 0 before the first.
    pub segment: u64,
    /// Where the record after it begins.
    pub offset: u64,
    /// The chain word after it.
    pub chain: u32,
    /// The engine start that noted this.
    pub epoch: u32,
}

impl Watermark {
    pub(super) fn position(&self) -> Position {
        Position { segment: self.segment, offset: self.offset, seq: self.seq }
    }

    /// Reads the newest watermark of the journal on `disk`, as the log notes it from time to time: how far a reader in
    /// another process may follow. `None` where there is no journal yet.
    ///
    /// # Errors
    /// `JOURNAL_CORRUPT` where neither slot is sound, `JOURNAL_UNAVAILABLE` where the disk refuses.
    pub fn read(disk: &dyn Disk) -> Result<Option<Self>, JournalError> {
        Ok(Slots::read(disk)?.map(|slots| slots.newest.watermark))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) engine_id: [u8; 16],
    generation: u64,
    pub(super) watermark: Watermark,
}

impl Slot {
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(SLOT_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MARK.to_le_bytes());
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.engine_id);
        out.extend_from_slice(&self.generation.to_le_bytes());
        out.extend_from_slice(&self.watermark.seq.to_le_bytes());
        out.extend_from_slice(&self.watermark.segment.to_le_bytes());
        out.extend_from_slice(&self.watermark.offset.to_le_bytes());
        out.extend_from_slice(&self.watermark.chain.to_le_bytes());
        out.extend_from_slice(&self.watermark.epoch.to_le_bytes());
        out.resize(SLOT_BYTES - 4, 0);
        seal_block(&mut out);
        out
    }

    fn decode(block: &[u8]) -> Result<Self, HeaderFlaw> {
        let mut fields = open_block(block, &MAGIC)?;
        Self::decode_fields(&mut fields).ok_or(HeaderFlaw::Unsound)
    }

    fn decode_fields(fields: &mut &[u8]) -> Option<Self> {
        let (engine_id, generation) = (bytes::take(fields)?, bytes::take_u64(fields)?);
        let watermark = Watermark {
            seq: bytes::take_u64(fields)?,
            segment: bytes::take_u64(fields)?,
            offset: bytes::take_u64(fields)?,
            chain: bytes::take_u32(fields)?,
            epoch: bytes::take_u32(fields)?,
        };
        Some(Self { engine_id, generation, watermark })
    }
}

/// What the watermark file says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slots {
    pub(super) newest: Slot,
    /// Which of the two it is in.
    index: usize,
    /// Whether the other one is not sound: a write that was cut short, or damage.
    pub(super) is_damaged: bool,
}

impl Slots {
    /// `None` where there is no watermark file.
    pub(super) fn read(disk: &dyn Disk) -> Result<Option<Self>, JournalError> {
        let max = bytes::offset(2 * SLOT_DISTANCE);
        let Some(file) = disk::read_whole(disk, FILE, max).map_err(JournalError::disk(FILE, "reading"))? else {
            return Ok(None);
        };
        let slot = |index: usize| {
            let start = index * SLOT_DISTANCE;
            file.get(start..start + SLOT_BYTES).map_or(Err(HeaderFlaw::Unsound), Slot::decode)
        };
        let (newest, index, is_damaged) = match (slot(0), slot(1)) {
            (Ok(first), Ok(second)) if second.generation > first.generation => (second, 1, false),
            (Ok(first), other) => (first, 0, other.is_err()),
            (Err(_), Ok(second)) => (second, 1, true),
            (Err(HeaderFlaw::Differs(difference)), Err(HeaderFlaw::Differs(_))) => {
                return Err(JournalError::Unsupported { file: FILE.to_owned(), difference });
            }
            (Err(_), Err(_)) => {
                let damage = super::error::Damage::Checkpoint;
                return Err(JournalError::Corrupt { at: Position::default(), damage });
            }
        };
        Ok(Some(Self { newest, index, is_damaged }))
    }
}

/// The open watermark file.
#[derive(Debug)]
pub(super) struct Checkpoint {
    file: Box<dyn DiskFile>,
    engine_id: [u8; 16],
    generation: u64,
    /// The slot that the next note goes to: never the newest sound one.
    next_index: usize,
}

impl Checkpoint {
    /// Makes the file of a journal that has no segment yet, with a watermark before the first record. It appears whole,
    /// and before the first segment does.
    pub(super) fn create(disk: &dyn Disk, engine_id: [u8; 16]) -> Result<(), JournalError> {
        let mut both = Slot { engine_id, generation: 0, watermark: Watermark::default() }.encode();
        both.resize(SLOT_DISTANCE, 0);
        both.extend_from_within(..);
        disk::put_whole(disk, "", FILE, &[&both]).map_err(JournalError::disk(FILE, "making"))
    }

    pub(super) fn open(disk: &dyn Disk, slots: &Slots) -> Result<Self, JournalError> {
        let file = disk.open_for_writing(FILE).map_err(JournalError::disk(FILE, "opening"))?;
        let Slot { engine_id, generation, .. } = slots.newest;
        Ok(Self { file, engine_id, generation, next_index: 1 - slots.index.min(1) })
    }

    /// Notes a watermark, and has it on the disk when it answers. After an error the file is not to be written again.
    pub(super) fn note(&mut self, watermark: Watermark) -> Result<(), JournalError> {
        self.generation += 1;
        let slot = Slot { engine_id: self.engine_id, generation: self.generation, watermark };
        let offset = bytes::offset(self.next_index * SLOT_DISTANCE);
        disk::write_whole(self.file.as_ref(), offset, &slot.encode()).map_err(JournalError::disk(FILE, "writing"))?;
        self.file.sync().map_err(JournalError::disk(FILE, "syncing"))?;
        self.next_index = 1 - self.next_index.min(1);
        Ok(())
    }
}
