//! J13: snapshots that were cut short, damaged, or do not fit the journal; and what may be pruned.

use super::simulated::Keep;
use super::*;

const SEGMENT: u64 = 16 << 10;

fn snapshot(seq: u64) -> Snapshot {
    Snapshot { engine_id: ENGINE, seq, chain: 1, state_hash: seq ^ 9, bytes: Random(seq).bytes(700) }
}

fn newest(disk: &SimulatedDisk) -> (u64, usize) {
    let accept = &mut |found: &Snapshot| *found == snapshot(found.seq);
    let (found, passed_over) = newest_snapshot(disk, &ENGINE, accept).expect("read");
    (found.map_or(0, |found| found.seq), passed_over.len())
}

fn file(seq: u64) -> String {
    format!("snapshots/snapshot-{seq:020}.bin")
}

/// A journal over six segments with snapshots at these sequences.
fn journal(snapshots: &[u64]) -> (SimulatedDisk, Records, u64) {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    let mut author = Author::new(1);
    author.fill(&mut log, 6, 10_000, 300);
    for &seq in snapshots {
        write_snapshot(&disk, &snapshot(seq), log.durable_seq()).expect("written");
    }
    let last = log.close().expect("closes");
    (disk, author.written, last)
}

#[test]
fn a_crash_at_any_step_of_a_snapshot_leaves_the_one_before_or_the_new_one() {
    let (before, ..) = journal(&[10]);
    let whole = before.copy();
    write_snapshot(&whole, &snapshot(20), 20).expect("written");
    let mut states = 0;
    for operation in 0..whole.operations() {
        let disk = before.copy();
        disk.crash_at(operation);
        write_snapshot(&disk, &snapshot(20), 20).expect_err("crashes");
        let keeps = (0..disk.unsynced()).map(Keep::First).chain((0..50).map(Keep::Some));
        for keep in keeps.chain([Keep::Nothing, Keep::Everything]) {
            let after = disk.after_crash(keep);
            let (seq, passed_over) = newest(&after);
            assert!((seq == 10 || seq == 20) && passed_over == 0, "operation {operation}, {keep:?}: {seq}");
            write_snapshot(&after, &snapshot(20), 20).expect("written again");
            assert_eq!(newest(&after), (20, 0));
            states += 1;
        }
    }
    for keep in [Keep::Nothing, Keep::Everything, Keep::Some(1)] {
        assert_eq!(newest(&whole.after_crash(keep)), (20, 0), "durable when it answered");
    }
    println!("J13: {} operations, {states} states", whole.operations());
}

#[test]
fn every_bit_of_a_snapshot_counts_and_the_next_older_one_takes_its_place() {
    let (disk, ..) = journal(&[10, 20]);
    let bits = disk.read(&file(20)).len() * 8;
    for bit in 0..bits {
        let flip = |bytes: &mut Vec<u8>| bytes[bit / 8] ^= 1 << (bit % 8);
        disk.edit(&file(20), flip);
        assert_eq!(newest(&disk), (10, 1), "bit {bit}");
        disk.edit(&file(20), flip);
    }
    let length = disk.read(&file(20)).len();
    for cut in 0..length {
        let whole = disk.read(&file(20));
        disk.edit(&file(20), |bytes| bytes.truncate(cut));
        assert_eq!(newest(&disk), (10, 1), "cut at {cut}");
        disk.edit(&file(20), |bytes| *bytes = whole);
    }
    println!("J13: {bits} flips, {length} cuts");
    disk.edit(&file(20), |bytes| bytes.push(0));
    assert_eq!(newest(&disk), (10, 1));
    disk.edit(&file(10), |bytes| bytes[600] ^= 1);
    assert_eq!(newest(&disk), (0, 2));
    let (none, passed_over) = newest_snapshot(&disk, &ENGINE, &mut |_| true).expect("read");
    assert!(none.is_none() && passed_over[0].seq == 20 && passed_over[1].problem.contains("checksum"));
    // A sound one under another's name, one of another engine, and one whose state is not what its hash names.
    let other = disk.copy();
    write_snapshot(&other, &snapshot(30), 99).expect("written");
    let bytes = other.read(&file(30));
    disk.edit(&file(20), |content| *content = bytes);
    assert_eq!(newest(&disk).0, 0);
    write_snapshot(&disk, &Snapshot { engine_id: [1; 16], ..snapshot(40) }, 99).expect("written");
    write_snapshot(&disk, &Snapshot { state_hash: 1, ..snapshot(50) }, 99).expect("written");
    write_snapshot(&disk, &snapshot(15), 99).expect("written");
    assert_eq!(newest(&disk), (15, 3));
}

#[test]
fn a_snapshot_of_what_is_not_durable_is_refused() {
    let disk = SimulatedDisk::new();
    let error = write_snapshot(&disk, &snapshot(11), 10).expect_err("not durable");
    assert!(matches!(error, JournalError::Refused(Refusal::Snapshot { seq: 11, durable: 10, .. })));
    assert_eq!(disk.operations(), 0);
}

#[test]
fn a_snapshot_that_the_journal_does_not_reach_or_does_not_continue_is_refused() {
    let (disk, written, last) = journal(&[]);
    let recover_from = |disk: &SimulatedDisk, after_seq| {
        let mut seqs = Vec::new();
        let options = ScanOptions { after_seq: Some(after_seq), ..options() };
        recover(disk, disk.lock().expect("free"), &options, &mut |_, record| seqs.push(record.seq))
            .map(|recovered| (recovered, seqs))
    };
    for after in (0..=last).step_by(11).chain([last]) {
        let (recovered, seqs) = recover_from(&disk, after).expect("sound");
        assert_eq!(seqs, (after + 1..=last).collect::<Vec<_>>());
        assert!(recovered.records <= written.len() as u64);
    }
    let damage = |result: Result<(Recovered, Vec<u64>), JournalError>| match result.expect_err("refused") {
        JournalError::Corrupt { damage, .. } => damage,
        other => panic!("{other}"),
    };
    assert_eq!(damage(recover_from(&disk, last + 1)), Damage::SnapshotAhead { snapshot: last + 1 });
    disk.lose(&segment::name(3));
    assert_eq!(damage(recover_from(&disk, 1)), Damage::MissingSegment);
    // A gap below what is needed harms nothing.
    let (_, seqs) = recover_from(&disk, last - 1).expect("sound");
    assert_eq!(seqs, [last]);
    disk.lose(&segment::name(1));
    disk.lose(&segment::name(2));
    assert_eq!(damage(recover_from(&disk, 0)), Damage::MissingSegment);
    let empty = SimulatedDisk::new();
    assert_eq!(damage(recover_from(&empty, 5)), Damage::SnapshotAhead { snapshot: 5 });
}

#[test]
fn segments_go_only_below_the_older_of_two_snapshots_and_what_is_acknowledged() {
    let (disk, written, last) = journal(&[]);
    let first_seqs: Vec<u64> =
        (1..=6).map(|number| scan::open_segment(&disk, number, &ENGINE, 0).expect("sound").1.first_seq).collect();
    let prunable = |disk: &SimulatedDisk, acknowledged| prunable_segments(disk, &ENGINE, acknowledged).expect("sound");
    assert!(prunable(&disk, last).is_empty());
    write_snapshot(&disk, &snapshot(last), last).expect("written");
    assert!(prunable(&disk, last).is_empty(), "one snapshot is none");
    write_snapshot(&disk, &snapshot(first_seqs[3]), last).expect("written");
    assert_eq!(prunable(&disk, last), [1, 2, 3]);
    assert_eq!(prunable(&disk, first_seqs[2] - 1), [1, 2]);
    assert_eq!(prunable(&disk, first_seqs[2] - 2), [1]);
    assert!(prunable(&disk, 0).is_empty());
    // A damaged newer one does not count: the older of those that hold decides.
    write_snapshot(&disk, &snapshot(first_seqs[2]), last).expect("written");
    disk.edit(&file(last), |bytes| bytes[550] ^= 1);
    assert_eq!(prunable(&disk, last), [1, 2]);
    let whole = disk.copy();
    prune_segments(&whole, &ENGINE, last).expect("pruned");
    let mut states = 0;
    for operation in 0..whole.operations() {
        let killed = disk.copy();
        killed.crash_at(operation);
        prune_segments(&killed, &ENGINE, last).expect_err("killed");
        for keep in [Keep::Nothing, Keep::Everything].into_iter().chain((0..40).map(Keep::Some)) {
            let after = killed.after_crash(keep);
            assert!(verify(&after, &ScanOptions { after_seq: None, ..options() }, &mut |_| {}).is_flawless());
            states += 1;
        }
    }
    println!("J13: pruning killed in {states} states");
    let mut found = Records::new();
    let options = ScanOptions { after_seq: Some(first_seqs[2]), ..options() };
    recover(&whole, whole.lock().expect("free"), &options, &mut |_, record| {
        found.insert(record.seq, (record.entry, record.payload.to_vec()));
    })
    .expect("sound");
    assert!(found.iter().all(|(seq, record)| written[seq] == *record) && found.len() as u64 == last - first_seqs[2]);
}

#[test]
fn two_snapshots_that_hold_are_always_kept() {
    let (disk, _, last) = journal(&[10, 20, 30, 40]);
    disk.edit("snapshots/snapshot-00000000000000000050.bin.tmp", |bytes| bytes.push(1));
    disk.edit(&file(40), |bytes| bytes[550] ^= 1);
    assert_eq!(prune_snapshots(&disk, &ENGINE, 0).expect("pruned"), [10]);
    assert_eq!(verified_snapshots(&disk, &ENGINE, 9).expect("read"), [30, 20]);
    assert!(!disk.names().iter().any(|name| name.ends_with(".tmp")));
    assert!(disk.names().contains(&file(40)), "what does not hold stays to be looked at until it is old");
    write_snapshot(&disk, &snapshot(last), last).expect("written");
    assert_eq!(prune_snapshots(&disk, &ENGINE, 2).expect("pruned"), [20]);
}
