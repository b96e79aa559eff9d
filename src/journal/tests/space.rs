//! A disk that fills up.

use super::*;

const SEGMENT: u64 = 64 << 10;

fn start(disk: &SimulatedDisk) -> Result<Log, JournalError> {
    let (recovered, _) = try_recover(disk)?;
    let epoch = recovered.end.epoch + 1;
    let config = LogConfig { ballast_bytes: SEGMENT, low_bytes: 2 * SEGMENT, ..config(SEGMENT) };
    Log::open(Arc::new(disk.clone()), config, identity(epoch), recovered)
}

#[test]
fn space_runs_low_then_critical_then_out_and_a_new_start_goes_on_when_there_is_some_again() {
    let disk = SimulatedDisk::new();
    disk.set_capacity(8 * SEGMENT + (10 << 10));
    let mut log = start(&disk).expect("opens");
    assert!(disk.names().contains(&"ballast".to_owned()));
    let mut author = Author::new(1);
    let mut seen = vec![log.space()];
    let mut with_ballast = 0;
    let error = loop {
        let done = author.append(&mut log, 3_000).and_then(|_| log.commit());
        if let Err(error) = done {
            break error;
        }
        if seen.last() != Some(&log.space()) {
            seen.push(log.space());
        }
        if disk.names().contains(&"ballast".to_owned()) {
            with_ballast = log.segment().number;
        }
    };
    assert_eq!(seen, [Space::Ample, Space::Low, Space::Critical]);
    assert_eq!(error.code(), "JOURNAL_UNAVAILABLE", "{error}");
    // Told half a segment before; then the ballast for one segment more.
    assert_eq!((with_ballast, log.segment().number), (7, 8));
    assert_eq!(log.durable_seq(), log.written_seq());
    let durable = log.durable_seq();
    drop(log);
    let (_, records) = try_recover(&disk).expect("sound");
    assert!(records.len() as u64 >= durable);
    start(&disk).expect_err("still full");
    disk.set_capacity(20 * SEGMENT);
    let log = start(&disk).expect("goes on");
    assert_eq!(log.space(), Space::Ample);
    assert!(disk.names().contains(&"ballast".to_owned()));
}

#[test]
fn the_next_segment_is_ready_long_before_it_is_needed() {
    let disk = SimulatedDisk::new();
    let mut log = start(&disk).expect("opens");
    let mut author = Author::new(1);
    author.fill(&mut log, 1, 20_000, 300);
    assert!(!log.is_next_segment_ready());
    author.fill(&mut log, 1, SEGMENT / 2 + 2_000, 300);
    assert!(log.is_next_segment_ready());
    let before = disk.used();
    author.fill(&mut log, 2, 9_000, 300);
    assert_eq!(disk.used(), before, "a roll takes no space");
    assert!(disk.read(&segment::name(2))[20_000..].iter().all(|&byte| byte == 0));
}
