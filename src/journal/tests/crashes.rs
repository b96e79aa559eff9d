//! J7 and J3: a crash at every operation, with any choice of what was not synced lost.

use super::simulated::{Fault, Keep};
use super::*;

const SEGMENT: u64 = 16 << 10;

/// What was promised before the lights went out.
#[derive(Default)]
struct Promise {
    written: Records,
    durable_seq: u64,
    snapshot_seq: u64,
}

/// A life of a journal: two engine starts, rolls, checkpoints, snapshots, pruning. Ends at the first error.
fn live(disk: &SimulatedDisk, promise: &mut Promise) -> Result<(), JournalError> {
    let mut author = Author::new(1);
    for start in 0..2 {
        let mut log = try_open(disk, SEGMENT)?;
        promise.durable_seq = promise.durable_seq.max(log.durable_seq());
        author.stage_seqs = [0; 5];
        for round in 0..50 {
            for _ in 0..author.random.below(5) {
                author.append(&mut log, 400)?;
                promise.written.clone_from(&author.written);
                promise.durable_seq = promise.durable_seq.max(log.durable_seq());
            }
            log.commit()?;
            promise.durable_seq = log.durable_seq();
            if round % 7 == 6 {
                log.checkpoint()?;
            }
            if round % 16 == 15 {
                let seq = log.durable_seq();
                let snapshot = snapshot(seq, log.durable_chain());
                write_snapshot(disk, &snapshot, seq)?;
                promise.snapshot_seq = seq;
            }
        }
        if start == 0 {
            log.close()?;
        }
    }
    Ok(())
}

fn snapshot(seq: u64, chain: u32) -> Snapshot {
    Snapshot { engine_id: ENGINE, seq, chain, state_hash: seq ^ 5, bytes: seq.to_le_bytes().repeat(100) }
}

/// What has to hold on a disk after a crash; the answer is what recovery gave.
fn judge(disk: &SimulatedDisk, promise: &Promise) -> Result<(Recovered, Records), String> {
    let (recovered, records) = try_recover(disk).map_err(|error| format!("refused: {error}"))?;
    for (seq, found) in &records {
        if promise.written.get(seq) != Some(found) {
            return Err(format!("record {seq} is not what was written"));
        }
    }
    let lost = promise.written.keys().find(|&&seq| seq <= promise.durable_seq && !records.contains_key(&seq));
    if let Some(lost) = lost {
        return Err(format!("record {lost} of {} durable ones is gone", promise.durable_seq));
    }
    let (newest, _) = newest_snapshot(disk, &ENGINE, &mut |found| found.state_hash == found.seq ^ 5)
        .map_err(|error| format!("snapshots: {error}"))?;
    let newest = newest.map_or(0, |snapshot| snapshot.seq);
    if newest < promise.snapshot_seq || newest >= recovered.end.position.seq {
        return Err(format!("snapshot {newest}, where {} is due", promise.snapshot_seq));
    }
    Ok((recovered, records))
}

fn choices(unsynced: usize) -> Vec<Keep> {
    let random = if is_long() { 4_000 } else { 110 };
    let mut choices = vec![Keep::Nothing, Keep::Everything];
    choices.extend((1..unsynced).map(Keep::First));
    if unsynced > 1 {
        choices.extend((0..random).map(Keep::Some));
    }
    choices
}

#[test]
fn the_durable_promise_holds_after_a_crash_at_any_operation_whatever_is_kept() {
    let disk = SimulatedDisk::new();
    live(&disk, &mut Promise::default()).expect("nothing goes wrong");
    let operations = disk.operations();
    assert!(operations > 250, "{operations} operations are too few to mean anything");
    let (mut states, mut torn, mut lost) = (0, 0, 0);
    for operation in 0..operations {
        let disk = SimulatedDisk::new();
        disk.crash_at(operation);
        let mut promise = Promise::default();
        live(&disk, &mut promise).expect_err("crashes");
        for keep in choices(disk.unsynced()) {
            let what = disk.operation_names().last().copied().unwrap_or_default();
            let after = disk.after_crash(keep);
            let before = after.copy();
            let (recovered, records) = judge(&after, &promise)
                .unwrap_or_else(|problem| panic!("operation {operation} ({what}), {keep:?}: {problem}"));
            states += 1;
            torn += usize::from(recovered.torn.is_some());
            lost += promise.written.len() - records.len();
            // Once more, and once more after the next start.
            let (again, same) = try_recover(&after).expect("recovers again");
            assert_eq!((again.end, again.torn, same.len()), (recovered.end, recovered.torn, records.len()));
            if states % 8 == 0 {
                start_again(&after, records.clone(), recovered.torn);
            }
            if recovered.torn.is_some() && torn % 16 == 0 {
                a_recovery_that_is_killed_is_taken_up(&before, &recovered, &records);
            }
        }
    }
    println!(
        "J7: {operations} operations, {states} states, {torn} torn ends, {lost} records that were not durable lost"
    );
    assert!(torn > 50 && lost > 50);
}

/// The journal goes on after a crash, and tells of the torn end.
fn start_again(disk: &SimulatedDisk, mut records: Records, torn: Option<Torn>) {
    let mut log = open(disk, SEGMENT);
    let first = log.segment().first_seq;
    let mut author = Author::new(2);
    for _ in 0..3 {
        author.append(&mut log, 100).expect("taken");
    }
    log.close().expect("closes");
    records.append(&mut author.written);
    assert_sound(disk, &records);
    let mut told = None;
    let mut read = |_, record: &Record<'_>| {
        if record.seq == first && record.entry.kind == RECOVERED_TORN {
            let words: Vec<u64> =
                record.payload.chunks(8).map(|word| u64::from_le_bytes(word.try_into().expect("8"))).collect();
            told = Some(Torn { segment: words[0], offset: words[1], bytes: words[2] });
        }
    };
    recover(disk, disk.lock().expect("free"), &options(), &mut read).expect("sound");
    assert_eq!(told, torn);
}

/// J3: killed at every operation of its own, recovery comes to the same end.
fn a_recovery_that_is_killed_is_taken_up(disk: &SimulatedDisk, clean: &Recovered, records: &Records) {
    let whole = disk.copy();
    try_open(&whole, SEGMENT).expect("opens");
    for operation in 0..whole.operations() {
        let killed = disk.copy();
        killed.crash_at(operation);
        try_open(&killed, SEGMENT).expect_err("killed");
        for keep in
            [Keep::Nothing, Keep::Everything, Keep::First(1), Keep::Some(operation), Keep::Some(operation + 999)]
        {
            let after = killed.after_crash(keep);
            let (recovered, same) = try_recover(&after).expect("recovers");
            assert!(same == *records, "operation {operation}, {keep:?}");
            // Either the new segment is there, with its record of the torn end, or the torn end is still to be told of.
            if recovered.end.position.segment == clean.end.position.segment {
                assert_eq!((recovered.end, recovered.torn), (clean.end, clean.torn), "operation {operation}, {keep:?}");
            } else {
                assert_eq!(recovered.end.position.seq, clean.end.position.seq + 1);
            }
        }
    }
}

#[test]
fn recovery_writes_nothing_before_the_scan_has_ended_well() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    let mut author = Author::new(3);
    author.fill(&mut log, 2, 9_000, 300);
    log.close().expect("closes");
    disk.edit(&segment::name(1), |bytes| bytes[9_000] ^= 1);
    disk.edit(&segment::name(2), |bytes| bytes[15_000] = 9);
    let before = disk.operations();
    try_recover(&disk).expect_err("damaged");
    assert_eq!(disk.operations(), before);
}

#[test]
fn a_watermark_that_was_noted_outlives_a_crash_and_one_that_is_cut_short_leaves_the_one_before() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    let mut author = Author::new(4);
    let noted = |disk: &SimulatedDisk| Watermark::read(disk).expect("sound").expect("there").seq;
    for round in 1..=5 {
        author.append(&mut log, 100).expect("taken");
        log.commit().expect("durable");
        log.checkpoint().expect("noted");
        assert_eq!(noted(&disk.after_crash(Keep::Nothing)), round);
    }
    for taken in [0, 1, 100, 300, 511] {
        let cut = disk.copy();
        let mut log = open(&cut, SEGMENT);
        author.stage_seqs = [0; 5];
        author.append(&mut log, 100).expect("taken");
        log.commit().expect("durable");
        log.checkpoint().expect("noted");
        let before = noted(&cut);
        author.append(&mut log, 100).expect("taken");
        log.commit().expect("durable");
        cut.fault_at(cut.operations(), Fault::Short(taken));
        log.checkpoint().expect_err("cut");
        let after = cut.after_crash(Keep::Everything);
        assert_eq!(noted(&after), before, "{taken} bytes");
        try_recover(&after).expect("sound");
    }
}
