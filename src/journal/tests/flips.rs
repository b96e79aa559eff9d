//! J5: every single bit, and bursts.

use super::*;

const SEGMENT: u64 = 16 << 10;

/// One segment, filled to its end, with its watermark at the end or before the first record.
fn filled(is_closed: bool) -> (SimulatedDisk, Records, u64) {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    let mut author = Author::new(11);
    author.fill(&mut log, 1, SEGMENT - 300, 200);
    assert_eq!(log.segment().number, 1);
    let end = log.offset();
    if is_closed {
        log.close().expect("closes");
    }
    (disk, author.written, end)
}

/// Judges a journal that something was done to: never flawless, never other records than were written. The answer is
/// whether recovery would go on with it.
fn judge(disk: &SimulatedDisk, written: &Records, must_keep: u64, what: &str) -> bool {
    let mut found = Records::new();
    let scanned = scan::scan(disk, &options(), &mut |_| {}, &mut |_, record| {
        found.insert(record.seq, (record.entry, record.payload.to_vec()));
    });
    let Ok(scanned) = scanned else { return false };
    let is_noticed = scanned.torn.is_some()
        || !scanned.damaged_headers.is_empty()
        || scanned.slots.is_some_and(|slots| slots.is_damaged);
    assert!(is_noticed, "{what}: not noticed");
    assert!(found.iter().all(|(seq, record)| written.get(seq) == Some(record)), "{what}: other records");
    assert!(found.len() as u64 >= must_keep, "{what}: durable records are gone");
    true
}

#[test]
fn every_single_bit_of_a_journal_counts() {
    let name = segment::name(1);
    for is_closed in [true, false] {
        let (disk, written, end) = filled(is_closed);
        let must_keep = if is_closed { written.len() as u64 } else { 0 };
        let (mut refused, mut aside, mut headers) = (0, 0, 0);
        for bit in 0..8 * SEGMENT as usize {
            let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
            disk.edit(&name, flip);
            let is_taken = judge(&disk, &written, must_keep, &format!("bit {bit}"));
            match (is_taken, bit / 8) {
                (true, 0..8192) => headers += 1,
                (true, _) => aside += 1,
                (false, _) => refused += 1,
            }
            // Sound below the watermark, blank behind: the one is damage, the other the trace of a write.
            if is_closed && bit / 8 >= 8192 {
                assert_eq!(is_taken, bit as u64 / 8 >= end, "bit {bit}");
            }
            disk.edit(&name, flip);
        }
        println!(
            "J5: {} flips, closed: {is_closed}: {refused} refused, {aside} put aside as torn, {headers} read from the \
             other header",
            8 * SEGMENT
        );
        assert_eq!(headers, 2 * 4096 * 8);
        assert!(is_closed || refused > 8 * 7_000, "a good record of a later batch is a proof");
    }
}

#[test]
fn every_single_bit_of_the_watermark_counts() {
    let (disk, written, _) = filled(true);
    let length = disk.read("checkpoint").len();
    let slots = (0..512).chain(4096..4608);
    for bit in slots.clone().flat_map(|byte| (0..8).map(move |bit| 8 * byte + bit)) {
        let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
        disk.edit("checkpoint", flip);
        assert!(judge(&disk, &written, written.len() as u64, &format!("bit {bit}")));
        disk.edit("checkpoint", flip);
    }
    println!("J5: {} flips in a watermark file of {length} bytes", 8 * slots.count());
    disk.edit("checkpoint", |bytes| bytes.fill(0));
    let error = try_recover(&disk).expect_err("gone");
    assert!(matches!(error, JournalError::Corrupt { damage: Damage::Checkpoint, .. }), "{error}");
    disk.lose("checkpoint");
    let error = try_recover(&disk).expect_err("gone");
    assert!(matches!(error, JournalError::Corrupt { damage: Damage::NoCheckpoint, .. }), "{error}");
}

#[test]
fn bursts_and_scattered_flips_are_noticed() {
    let disk = SimulatedDisk::new();
    let mut author = Author::new(13);
    let mut log = open(&disk, 32 << 10);
    author.fill(&mut log, 3, 30_000, 300);
    log.close().expect("closes");
    let mut random = Random(17);
    let count = if is_long() { 1_000_000 } else { 15_000 };
    let mut refused = 0;
    for case in 0..count {
        let number = 1 + random.next() % 3;
        let name = segment::name(number);
        let before = disk.read(&name);
        let mut after = before.clone();
        if case % 2 == 0 {
            let start = random.below(after.len() * 8 - 4096);
            let length = 1 + random.below(if case % 4 == 0 { 32 } else { 4096 });
            for bit in start..start + length {
                after[bit / 8] ^= ((random.next() & 1) as u8) << (bit % 8);
            }
        } else {
            for _ in 0..2 + random.below(8) {
                let bit = random.below(after.len() * 8);
                after[bit / 8] ^= 1 << (bit % 8);
            }
        }
        if after == before {
            continue;
        }
        disk.edit(&name, |bytes| bytes.clone_from(&after));
        refused += usize::from(!judge(&disk, &author.written, author.written.len() as u64, &format!("case {case}")));
        disk.edit(&name, |bytes| bytes.clone_from(&before));
    }
    println!("J5: {count} bursts and scattered flips, {refused} refused, the rest in headers or behind the end");
}
