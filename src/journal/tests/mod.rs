//! What the journal promises, tried on a disk that loses, tears, reorders and refuses.
//!
//! Counts are those of a pull request; `GANNET_LONG=yes` runs the full ones.

mod crashes;
mod faults;
mod flips;
mod golden;
mod hostile;
mod locking;
mod reading;
mod sectors;
mod simulated;
mod snapshots;
mod space;
mod truncation;
mod writing;

use super::*;
use simulated::SimulatedDisk;
use std::collections::BTreeMap;
use std::sync::Arc;

const ENGINE: [u8; 16] = *b"engine of tests.";

fn is_long() -> bool {
    std::env::var("GANNET_LONG").is_ok_and(|long| long == "yes")
}

/// A generator of 64-bit numbers that is the same for ever.
#[derive(Clone)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }
}

fn config(segment_bytes: u64) -> LogConfig {
    LogConfig { segment_bytes, batch_bytes_max: 4096, ballast_bytes: 0, low_bytes: segment_bytes }
}

fn identity(epoch: u32) -> Identity {
    Identity {
        engine_id: ENGINE,
        epoch,
        schema_hash: 77,
        build_hash: [3; 32],
        config_hash: [4; 32],
        created_wall_ns: 1_700_000_000_000_000_000 + i64::from(epoch),
        created_mono_ns: u64::from(epoch),
        boot_id: [5; 16],
    }
}

fn options() -> ScanOptions {
    ScanOptions { engine_id: Some(ENGINE), schemas: vec![77], after_seq: Some(0), after_chain: None }
}

/// Records by their sequence, the journal's own left out.
type Records = BTreeMap<u64, (Stamp, Vec<u8>)>;

fn try_recover(disk: &dyn Disk) -> Result<(Recovered, Records), JournalError> {
    let mut records = Records::new();
    let recovered = recover(disk, disk.lock()?, &options(), &mut |_, record| {
        if record.entry.kind < OWN_KINDS {
            records.insert(record.seq, (record.entry, record.payload.to_vec()));
        }
    })?;
    Ok((recovered, records))
}

fn try_open(disk: &SimulatedDisk, segment_bytes: u64) -> Result<Log, JournalError> {
    let (recovered, _) = try_recover(disk)?;
    let epoch = recovered.end.epoch + 1;
    Log::open(Arc::new(disk.clone()), config(segment_bytes), identity(epoch), recovered)
}

fn open(disk: &SimulatedDisk, segment_bytes: u64) -> Log {
    try_open(disk, segment_bytes).expect("opens")
}

/// A writer of records that follow the rules, and what it wrote.
#[derive(Clone)]
struct Author {
    random: Random,
    stage_seqs: [u64; 5],
    written: Records,
}

impl Author {
    fn new(seed: u64) -> Self {
        Self { random: Random(seed), stage_seqs: [0; 5], written: Records::new() }
    }

    fn append(&mut self, log: &mut Log, payload_max: usize) -> Result<u64, JournalError> {
        let stage = self.random.below(5);
        let payload = {
            let length = 1 + self.random.below(payload_max);
            self.random.bytes(length)
        };
        let entry = Stamp {
            stage_seq: self.stage_seqs[stage] + 1,
            mono_ns: self.random.next(),
            wall_ns: self.random.next() as i64,
            kind: (self.random.next() % u64::from(OWN_KINDS)) as u16,
            version: 1,
            stage: stage as u16,
        };
        let seq = log.append(&entry, &payload)?;
        self.stage_seqs[stage] += 1;
        self.written.insert(seq, (entry, payload));
        Ok(seq)
    }

    /// Appends until the log is in this segment with at least so many bytes of records, committing every few.
    fn fill(&mut self, log: &mut Log, segment: u64, bytes: u64, payload_max: usize) {
        let mut pending = 0;
        while (log.segment().number, log.offset() + log.batch_bytes() as u64) < (segment, bytes) {
            self.append(log, payload_max).expect("taken");
            pending += 1;
            if pending > self.random.below(6) {
                log.commit().expect("durable");
                pending = 0;
            }
        }
        log.commit().expect("durable");
    }
}

fn assert_sound(disk: &dyn Disk, written: &Records) {
    let report = verify(disk, &options(), &mut |_| {});
    assert!(report.is_flawless(), "{report:?}");
    let (_, records) = try_recover(disk).expect("sound");
    assert!(records == *written, "other records than were written");
}
