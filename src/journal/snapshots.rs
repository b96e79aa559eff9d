//! Snapshots: what a caller makes of the records up to a sequence, as bytes, so that recovery need not read them all.
//!
//! A file each, below `snapshots/`: written beside its name, synced, renamed, the folder synced. A 512-byte header, then the
//! bytes. A snapshot counts when its checksums hold and the caller finds its state hash right; else the next older one does.
//!
//! ```text
//!   0  "GANNETSN"  8  u32 byte order mark  12  u32 format version
//!  16  engine id (16)  32  u64 sequence  40  u64 state hash  48  u64 bytes  56  u32 their CRC32C  60  u32 chain
//!  64  zeros  508  u32 CRC32C of all before it
//! ```

use super::bytes;
use super::disk::{self, Disk};
use super::error::{JournalError, Refusal};
use super::segment::{FORMAT_VERSION, HeaderFlaw, MARK, open_block, seal_block};

/// The most bytes of a snapshot.
pub const SNAPSHOT_BYTES_MAX: usize = 1 << 30;
/// Snapshots that hold are kept, at least so many.
pub const SNAPSHOTS_KEPT_MIN: usize = 2;

const FOLDER: &str = "snapshots";
const MAGIC: [u8; 8] = *b"GANNETSN";
const HEADER_BYTES: usize = 512;
const BEGINNING: &str = "snapshot-";
const ENDING: &str = ".bin";

/// A snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Whose journal.
    pub engine_id: [u8; 16],
    /// The last record that is in it.
    pub seq: u64,
    /// The chain word of that record.
    pub chain: u32,
    /// What the caller says of the state that the bytes hold.
    pub state_hash: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A snapshot that was passed over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PassedOver {
    /// Its file.
    pub file: String,
    /// Its sequence, by its name.
    pub seq: u64,
    /// Why.
    pub problem: String,
}

impl Snapshot {
    fn header(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&MARK.to_le_bytes());
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&self.engine_id);
        out.extend_from_slice(&self.seq.to_le_bytes());
        out.extend_from_slice(&self.state_hash.to_le_bytes());
        out.extend_from_slice(&bytes::offset(self.bytes.len()).to_le_bytes());
        out.extend_from_slice(&crc32c::crc32c(&self.bytes).to_le_bytes());
        out.extend_from_slice(&self.chain.to_le_bytes());
        out.resize(HEADER_BYTES - 4, 0);
        seal_block(&mut out);
        out
    }

    fn decode(file: &[u8]) -> Result<Self, String> {
        let unsound = || "its header is not sound".to_owned();
        let (header, content) = file.split_at_checked(HEADER_BYTES).ok_or_else(unsound)?;
        let mut fields = open_block(header, &MAGIC).map_err(|flaw| match flaw {
            HeaderFlaw::Unsound => unsound(),
            HeaderFlaw::Differs(difference) => difference.to_string(),
        })?;
        let (snapshot, length, checksum) = Self::decode_fields(&mut fields).ok_or_else(unsound)?;
        if length != bytes::offset(content.len()) {
            return Err(format!("it has {} bytes, its header says {length}", content.len()));
        }
        if crc32c::crc32c(content) != checksum {
            return Err("the checksum of its bytes differs".to_owned());
        }
        Ok(Self { bytes: content.to_vec(), ..snapshot })
    }

    fn decode_fields(fields: &mut &[u8]) -> Option<(Self, u64, u32)> {
        let (engine_id, seq, state_hash) = (bytes::take(fields)?, bytes::take_u64(fields)?, bytes::take_u64(fields)?);
        let (length, checksum, chain) = (bytes::take_u64(fields)?, bytes::take_u32(fields)?, bytes::take_u32(fields)?);
        Some((Self { engine_id, seq, chain, state_hash, bytes: Vec::new() }, length, checksum))
    }
}

fn name(seq: u64) -> String {
    format!("{FOLDER}/{BEGINNING}{seq:020}{ENDING}")
}

/// The sequences of the snapshots that are there, by their names, newest first.
fn sequences(disk: &dyn Disk) -> Result<Vec<u64>, JournalError> {
    let names = disk.list(FOLDER).map_err(JournalError::disk(FOLDER, "reading"))?;
    let seq = |file: &String| file.strip_prefix(BEGINNING)?.strip_suffix(ENDING)?.parse().ok();
    let mut found: Vec<u64> = names.iter().filter_map(seq).collect();
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Has a snapshot on the disk when it answers.
///
/// # Errors
/// `JOURNAL_REFUSED` for a sequence above `durable_seq`: a crash could leave a snapshot of records that the journal lacks.
/// `JOURNAL_UNAVAILABLE` where the disk refuses; the snapshots before it stand.
pub fn write_snapshot(disk: &dyn Disk, snapshot: &Snapshot, durable_seq: u64) -> Result<(), JournalError> {
    let size = snapshot.bytes.len();
    if snapshot.seq > durable_seq || size > SNAPSHOT_BYTES_MAX {
        let refusal = Refusal::Snapshot { seq: snapshot.seq, durable: durable_seq, bytes: size };
        return Err(JournalError::Refused(refusal));
    }
    let name = name(snapshot.seq);
    let write = || {
        disk.create_folder(FOLDER)?;
        disk.sync_folder("")?;
        disk::put_whole(disk, FOLDER, &name, &[&snapshot.header(), &snapshot.bytes])
    };
    write().map_err(JournalError::disk(&name, "writing"))
}

/// Reads the snapshot of this sequence; the inner error says why it does not count.
fn read(disk: &dyn Disk, seq: u64, engine_id: &[u8; 16]) -> Result<Result<Snapshot, String>, JournalError> {
    let name = name(seq);
    let max = bytes::offset(SNAPSHOT_BYTES_MAX + HEADER_BYTES);
    let file = match disk::read_whole(disk, &name, max) {
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => return Ok(Err(error.to_string())),
        file => file.map_err(JournalError::disk(&name, "reading"))?,
    };
    let Some(file) = file else { return Ok(Err("it is not there".to_owned())) };
    Ok(Snapshot::decode(&file).and_then(|snapshot| {
        if snapshot.engine_id != *engine_id {
            return Err("it is another engine's".to_owned());
        }
        if snapshot.seq == seq { Ok(snapshot) } else { Err(format!("it is the one of sequence {}", snapshot.seq)) }
    }))
}

/// The newest snapshot that holds and that `accept` takes (it restores the state and compares its hash, say), and those that
/// were passed over for it, newest first. None where no snapshot holds: the journal is read from its first record then.
///
/// # Errors
/// `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn newest_snapshot(
    disk: &dyn Disk,
    engine_id: &[u8; 16],
    accept: &mut dyn FnMut(&Snapshot) -> bool,
) -> Result<(Option<Snapshot>, Vec<PassedOver>), JournalError> {
    let mut passed_over = Vec::new();
    for seq in sequences(disk)? {
        let problem = match read(disk, seq, engine_id)? {
            Ok(snapshot) if accept(&snapshot) => return Ok((Some(snapshot), passed_over)),
            Ok(_) => "its state is not the one that its hash names".to_owned(),
            Err(problem) => problem,
        };
        passed_over.push(PassedOver { file: name(seq), seq, problem });
    }
    Ok((None, passed_over))
}

/// The sequences of the snapshots that hold, newest first, at most `most` of them.
///
/// # Errors
/// `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn verified_snapshots(disk: &dyn Disk, engine_id: &[u8; 16], most: usize) -> Result<Vec<u64>, JournalError> {
    let mut verified = Vec::new();
    for seq in sequences(disk)? {
        if verified.len() == most {
            break;
        }
        if read(disk, seq, engine_id)?.is_ok() {
            verified.push(seq);
        }
    }
    Ok(verified)
}

/// Removes snapshots older than the newest `keep` that hold, and what a write left that was cut short; the answer is the
/// sequences removed. Fewer than [`SNAPSHOTS_KEPT_MIN`] are never kept.
///
/// # Errors
/// `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn prune_snapshots(disk: &dyn Disk, engine_id: &[u8; 16], keep: usize) -> Result<Vec<u64>, JournalError> {
    let keep = keep.max(SNAPSHOTS_KEPT_MIN);
    let verified = verified_snapshots(disk, engine_id, keep)?;
    let oldest = verified.last().copied().filter(|_| verified.len() == keep).unwrap_or_default();
    let removed: Vec<u64> = sequences(disk)?.into_iter().filter(|&seq| seq < oldest).collect();
    let names = disk.list(FOLDER).map_err(JournalError::disk(FOLDER, "reading"))?;
    let cut_short = names.iter().filter(|name| name.ends_with(".tmp")).map(|name| format!("{FOLDER}/{name}"));
    let mut is_any = false;
    for name in removed.iter().map(|&seq| name(seq)).chain(cut_short) {
        disk.remove(&name).map_err(JournalError::disk(&name, "removing"))?;
        is_any = true;
    }
    if is_any {
        disk.sync_folder(FOLDER).map_err(JournalError::disk(FOLDER, "syncing"))?;
    }
    Ok(removed)
}
