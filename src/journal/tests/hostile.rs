//! J14: bytes that nobody wrote, and bytes that somebody wrote to do harm under right checksums.

use super::record::{Seed, encode, flags, seal, size_of_record};
use super::segment::{both_copies, name};
use super::*;
use std::time::Instant;

const SEGMENT: u64 = 64 << 10;

fn sound() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    Author::new(3).fill(&mut log, 2, 20_000, 300);
    log.close().expect("closes");
    disk
}

/// Reads it every way there is; nothing may panic, and nothing may take long.
fn read_every_way(disk: &SimulatedDisk) -> Verdict {
    if let Ok(Some(mut reader)) = Reader::open(Arc::new(disk.clone()), 0) {
        for _ in 0..100_000 {
            if !reader.next().is_ok_and(|record| record.is_some()) {
                break;
            }
        }
    }
    if let Ok(Some(mut reader)) = Reader::open(Arc::new(disk.clone()), 30) {
        while reader.next_up_to(60).is_ok_and(|record| record.is_some()) {}
    }
    _ = newest_snapshot(disk, &ENGINE, &mut |_| true);
    _ = prunable_segments(disk, &ENGINE, 1_000);
    let report = verify(disk, &ScanOptions::default(), &mut |_| {});
    let recovered = try_recover(&disk.copy());
    if matches!(report.verdict, Verdict::Refused(_)) {
        assert!(recovered.is_err());
    }
    report.verdict
}

#[test]
fn arbitrary_bytes_are_refused_without_a_panic() {
    let disk = sound();
    let mut random = Random(29);
    let count = if is_long() { 200_000 } else { 3_000 };
    let files =
        ["checkpoint".to_owned(), name(1), name(2), name(3), "snapshots/snapshot-00000000000000000007.bin".to_owned()];
    let mut refused = 0;
    for _ in 0..count {
        let disk = disk.copy();
        let file = &files[random.below(files.len())];
        let noise = {
            let length = random.below(20_000);
            random.bytes(length)
        };
        let start = random.below(70_000);
        let is_whole = random.below(3) == 0;
        disk.edit(file, |bytes| {
            if is_whole || start >= bytes.len() {
                *bytes = noise;
            } else {
                let end = bytes.len().min(start + noise.len());
                bytes[start..end].copy_from_slice(&noise[..end - start]);
            }
        });
        refused += usize::from(matches!(read_every_way(&disk), Verdict::Refused(_)));
    }
    println!("J14: {count} journals of arbitrary bytes, {refused} refused");
}

/// A segment of our own making, with whatever fields, under right checksums; the watermark is before it.
struct Forger {
    disk: SimulatedDisk,
    header: SegmentHeader,
    bytes: Vec<u8>,
    chain: u32,
}

impl Forger {
    fn new() -> Self {
        let disk = SimulatedDisk::new();
        let header = open(&disk, SEGMENT).segment();
        Self { disk, header, bytes: Vec::new(), chain: header.previous_chain }
    }

    fn seed(&self) -> Seed {
        Seed::new(&self.header.identity.engine_id, self.header.identity.epoch, self.header.number)
    }

    fn add(&mut self, seq: u64, flags: u16, entry: &Stamp, payload: &[u8]) {
        let seed = self.seed();
        self.chain = encode(&mut self.bytes, seed, self.chain, seq, flags, entry, payload);
    }

    fn place(mut self) -> SimulatedDisk {
        let mut content = both_copies(&self.header);
        self.bytes.truncate(SEGMENT as usize - content.len());
        content.append(&mut self.bytes);
        content.resize(SEGMENT as usize, 0);
        self.disk.edit(&name(1), |bytes| *bytes = content);
        self.disk
    }
}

#[test]
fn records_that_break_the_rules_under_right_checksums_are_refused() {
    let entry = Stamp { stage_seq: 1, ..Stamp::default() };
    let verdict = |forge: &dyn Fn(&mut Forger)| {
        let mut forger = Forger::new();
        forger.add(1, flags(0, true), &entry, b"good");
        forge(&mut forger);
        match read_every_way(&forger.place()) {
            Verdict::Refused(JournalError::Corrupt { at, damage: Damage::OutOfPlace { flaw } }) => {
                assert_eq!(at.seq, 2);
                flaw
            }
            other => panic!("{other:?}"),
        }
    };
    let second = Stamp { stage_seq: 2, ..entry };
    for seq in [0, 1, 3, u64::MAX] {
        assert_eq!(verdict(&|forger| forger.add(seq, flags(1, true), &second, b"x")), Flaw::Sequence { found: seq });
    }
    let stage = Stamp { stage: 256, ..second };
    assert_eq!(verdict(&|forger| forger.add(2, flags(1, true), &stage, b"x")), Flaw::Stage { found: 256 });
    let gap = Flaw::StageSequence { stage: 0, due: 2, found: 3 };
    assert_eq!(verdict(&|forger| forger.add(2, flags(1, true), &Stamp { stage_seq: 3, ..entry }, b"x")), gap);
    let batch = Flaw::Batch { due: 1, found: 0 };
    assert_eq!(verdict(&|forger| forger.add(2, flags(0, true), &second, b"x")), batch);
    let chain = verdict(&|forger| {
        forger.chain ^= 1;
        forger.add(2, flags(1, true), &second, b"x");
    });
    assert!(matches!(chain, Flaw::Chain { .. }));
    let padding = verdict(&|forger| {
        let (start, chain, seed) = (forger.bytes.len(), forger.chain, forger.seed());
        forger.add(2, flags(1, true), &second, b"x");
        forger.bytes[start + 49] = 1;
        seal(&mut forger.bytes[start..], seed, chain);
    });
    assert_eq!(padding, Flaw::Padding);
}

/// Changes some field of a record, then makes its checksum and chain right again.
#[test]
fn any_field_changed_under_right_checksums_ends_in_a_verdict_and_in_bounded_time() {
    let mut random = Random(31);
    let count = if is_long() { 300_000 } else { 5_000 };
    let mut verdicts = [0; 3];
    for _ in 0..count {
        let mut forger = Forger::new();
        let mut batch = 0;
        let records = 1 + random.below(40);
        let odd = random.below(records);
        for record in 0..records {
            let is_end = random.below(3) == 0;
            let length = 1 + random.below(200);
            let payload = random.bytes(length);
            let entry = Stamp { stage_seq: record as u64, ..Stamp::default() };
            let start = forger.bytes.len();
            let (chain, seed) = (forger.chain, forger.seed());
            forger.add(record as u64 + 1, flags(batch, is_end), &entry, &payload);
            batch += u16::from(is_end);
            if record == odd {
                // Length, sequence, stage, flags or any byte; half of the time the rest follows as if nothing was.
                let at = start + [0, 1, 2, 8, 15, 44, 46, 48][random.below(8)];
                forger.bytes[at] = random.next() as u8;
                let sealed = seal(&mut forger.bytes[start..], seed, chain);
                if random.below(2) == 0 {
                    forger.chain = sealed;
                }
            }
        }
        let verdict = read_every_way(&forger.place());
        verdicts[match verdict {
            Verdict::Clean(_) => 0,
            Verdict::Torn(..) => 1,
            Verdict::Refused(_) => 2,
        }] += 1;
    }
    println!("J14: {count} forged journals: {} clean, {} torn, {} refused", verdicts[0], verdicts[1], verdicts[2]);
}

#[test]
fn a_tail_made_to_be_slow_to_judge_is_given_up_and_refused() {
    // Every eight bytes begin what looks like the largest record of a sequence to come, and none is one.
    let disk = SimulatedDisk::new();
    let (recovered, _) = try_recover(&disk).expect("new");
    let size = 4 << 20;
    let log = Log::open(Arc::new(disk.clone()), config(size), identity(1), recovered).expect("opens");
    log.close().expect("closes");
    disk.edit(&name(1), |bytes| {
        for place in bytes[8_192..].chunks_exact_mut(8) {
            // As a length 40,000; as a sequence, a few thousand.
            place.copy_from_slice(&40_000_u64.to_le_bytes());
        }
    });
    let start = Instant::now();
    let verdict = read_every_way(&disk);
    assert!(
        matches!(verdict, Verdict::Refused(JournalError::Corrupt { damage: Damage::TooMuchToSearch { .. }, .. })),
        "{verdict:?}"
    );
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn a_payload_that_holds_a_whole_record_is_no_record() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    let header = log.segment();
    let entry = Stamp { stage_seq: 1, ..Stamp::default() };
    let mut inner = vec![0; 4];
    // Aligned as a record would be, and of a batch and a sequence to come.
    inner.resize(8, 0);
    encode(&mut inner, header.seed(), 0, 3, flags(9, true), &entry, b"inside");
    assert_eq!(inner.len(), 8 + size_of_record(6));
    log.append(&entry, b"first").expect("taken");
    log.append(&Stamp { stage_seq: 2, ..entry }, &inner).expect("taken");
    log.close().expect("closes");
    let report = verify(&disk, &options(), &mut |_| {});
    assert!(report.is_flawless() && report.records == 2);
    let first = disk.read(&name(1));
    let at = first.windows(6).position(|window| window == b"inside").expect("there");
    assert_eq!((at - 48) % 8, 0, "the test places it where a record may stand");
}
