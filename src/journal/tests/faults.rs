//! J8: the disk refuses. The writer stops for good, and what it said is durable is.

use super::simulated::{Fault, Keep};
use super::*;
use std::io::ErrorKind;

const SEGMENT: u64 = 16 << 10;

/// Writes until the disk refuses; the answer is the log as it is then, and the error.
fn until_refused(disk: &SimulatedDisk, author: &mut Author) -> Option<(Log, JournalError)> {
    let mut log = try_open(disk, SEGMENT).ok()?;
    for round in 0..60 {
        for _ in 0..1 + round % 3 {
            if let Err(error) = author.append(&mut log, 300) {
                return Some((log, error));
            }
        }
        let done = log.commit().map(drop).and_then(|()| if round % 9 == 8 { log.checkpoint() } else { Ok(()) });
        if let Err(error) = done {
            return Some((log, error));
        }
    }
    None
}

fn after_a_refusal(disk: &SimulatedDisk, mut log: Log, error: &JournalError, author: &mut Author, what: &str) {
    assert_eq!(error.code(), "JOURNAL_UNAVAILABLE", "{what}");
    assert_eq!((log.poison(), log.space()), (Some(error), Space::Critical), "{what}");
    let (operations, durable) = (disk.operations(), log.durable_seq());
    let written = author.written.clone();
    for _ in 0..3 {
        assert_eq!(author.append(&mut log, 10).expect_err("poisoned"), *error, "{what}");
        assert_eq!(log.commit().expect_err("poisoned"), *error, "{what}");
        assert_eq!(log.checkpoint().expect_err("poisoned"), *error, "{what}");
    }
    assert_eq!(log.durable_seq(), durable);
    assert_eq!(log.close().expect_err("poisoned"), *error, "{what}");
    assert_eq!(disk.operations(), operations, "{what}: a writer that failed wrote or synced again");
    for keep in [Keep::Nothing, Keep::Everything, Keep::First(1), Keep::Some(1), Keep::Some(2)] {
        let after = disk.after_crash(keep);
        let (_, records) = try_recover(&after).unwrap_or_else(|error| panic!("{what}, {keep:?}: {error}"));
        assert!(records.iter().all(|(seq, record)| written.get(seq) == Some(record)), "{what}, {keep:?}");
        let is_kept = written.keys().filter(|&&seq| seq <= durable).all(|seq| records.contains_key(seq));
        assert!(is_kept, "{what}, {keep:?}: a durable record is gone");
        // Space freed, disk changed: a new start goes on.
        open(&after, SEGMENT).close().expect("goes on");
    }
}

#[test]
fn an_error_at_any_operation_stops_the_writer_for_good_and_breaks_no_promise() {
    let disk = SimulatedDisk::new();
    assert!(until_refused(&disk, &mut Author::new(1)).is_none());
    let operations = disk.operations();
    let faults = [
        Fault::Error(ErrorKind::Other),
        Fault::Error(ErrorKind::StorageFull),
        Fault::Short(0),
        Fault::Short(7),
        Fault::TakenThenError(100, ErrorKind::Other),
    ];
    let (mut cases, mut poisoned) = (0, 0);
    for operation in 0..operations {
        for fault in faults {
            let disk = SimulatedDisk::new();
            disk.fault_at(operation, fault);
            let mut author = Author::new(1);
            cases += 1;
            if let Some((log, error)) = until_refused(&disk, &mut author) {
                poisoned += 1;
                let name = disk.operation_names().last().copied().unwrap_or_default();
                after_a_refusal(&disk, log, &error, &mut author, &format!("operation {operation} ({name}), {fault:?}"));
            }
        }
    }
    println!("J8: {operations} operations, {cases} faults, {poisoned} met by a writer under way");
    assert!(poisoned > 200);
}

#[test]
fn a_write_cut_at_any_byte_of_a_record_leaves_what_was_durable() {
    let mut cases = 0;
    // The second operation of a commit is its sync: the first is the write.
    let prepare = |disk: &SimulatedDisk| {
        let mut log = open(disk, SEGMENT);
        let mut author = Author::new(5);
        for _ in 0..4 {
            author.append(&mut log, 200).expect("taken");
        }
        log.commit().expect("durable");
        author.append(&mut log, 200).expect("taken");
        (log, author)
    };
    let size = prepare(&SimulatedDisk::new()).0.batch_bytes();
    for taken in 0..size {
        let faults = [
            Fault::Short(taken),
            Fault::TakenThenError(taken, ErrorKind::StorageFull),
            Fault::TakenThenError(taken, ErrorKind::Other),
        ];
        for fault in faults {
            let disk = SimulatedDisk::new();
            let (mut log, mut author) = prepare(&disk);
            disk.fault_at(disk.operations(), fault);
            let error = log.commit().expect_err("cut");
            assert_eq!((log.written_seq(), log.durable_seq()), (4, 4));
            after_a_refusal(&disk, log, &error, &mut author, &format!("{fault:?}"));
            cases += 1;
        }
    }
    println!("J8: {cases} cuts within a record of {size} bytes");
}

#[test]
fn a_failed_sync_is_never_tried_again() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT);
    let mut author = Author::new(1);
    author.append(&mut log, 100).expect("taken");
    let write = disk.operations();
    disk.fault_at(write + 1, Fault::Error(ErrorKind::Other));
    let error = log.commit().expect_err("not synced");
    assert!(error.to_string().contains("syncing segment-0000000001.log"), "{error}");
    assert_eq!((log.written_seq(), log.durable_seq()), (1, 0));
    assert_eq!(log.commit().expect_err("poisoned"), error);
    assert_eq!(disk.operation_names()[write as usize..], ["write", "sync"]);
}
