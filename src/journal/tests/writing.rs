//! The writer's own rules.

use super::*;

#[test]
fn what_was_appended_reads_back_over_many_segments_and_starts() {
    let disk = SimulatedDisk::new();
    let mut author = Author::new(1);
    for start in 1..=4 {
        let mut log = open(&disk, 16 << 10);
        author.stage_seqs = [start * 100; 5];
        let segment = log.segment().number;
        author.fill(&mut log, segment + 2, 9_000, 700);
        assert_eq!(log.durable_seq(), author.written.len() as u64);
        log.close().expect("closes");
        assert_sound(&disk, &author.written);
    }
    let report = verify(&disk, &options(), &mut |_| {});
    assert_eq!((report.segments, report.records), (12, author.written.len() as u64));
    assert_eq!((report.first_seq, report.last_seq), (1, report.records));
    assert_eq!(report.stages.iter().map(|&(_, count)| count).sum::<u64>(), report.records);
    assert_eq!(report.stages.len(), 5);
}

#[test]
fn what_the_format_has_no_room_for_is_refused_and_the_log_goes_on() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, 256 << 10);
    let entry = Stamp { stage: 3, stage_seq: 5, ..Stamp::default() };
    let refused = |log: &mut Log, entry: Stamp, payload: &[u8]| match log.append(&entry, payload) {
        Err(JournalError::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&mut log, entry, b""), Refusal::PayloadEmpty);
    let bytes = PAYLOAD_BYTES_MAX + 1;
    assert_eq!(refused(&mut log, entry, &vec![1; bytes]), Refusal::PayloadTooLarge { bytes, max: PAYLOAD_BYTES_MAX });
    assert_eq!(refused(&mut log, Stamp { stage: 255, ..entry }, b"x"), Refusal::Stage { stage: 255 });
    assert_eq!(refused(&mut log, Stamp { kind: OWN_KINDS, ..entry }, b"x"), Refusal::Kind { kind: OWN_KINDS });
    assert_eq!(log.append(&entry, &vec![1; PAYLOAD_BYTES_MAX]), Ok(1));
    assert_eq!(refused(&mut log, entry, b"x"), Refusal::StageSequence { stage: 3, due: 6, found: 5 });
    assert_eq!(log.append(&Stamp { stage_seq: 6, ..entry }, b"x"), Ok(2));
    assert_eq!(log.close(), Ok(2));
}

#[test]
fn the_smallest_segment_takes_the_largest_payload_that_fits_it() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, SEGMENT_BYTES_MIN);
    let max = segment::payload_max(SEGMENT_BYTES_MIN);
    let mut written = Records::new();
    for stage_seq in 1..=5 {
        let entry = Stamp { stage_seq, ..Stamp::default() };
        assert_eq!(log.append(&entry, &vec![7; max]), Ok(stage_seq));
        written.insert(stage_seq, (entry, vec![7; max]));
    }
    assert!(log.append(&Stamp { stage_seq: 6, ..Stamp::default() }, &vec![7; max + 1]).is_err());
    log.close().expect("closes");
    assert_sound(&disk, &written);
}

#[test]
fn an_epoch_is_used_once_and_an_engine_has_its_own_journal() {
    let disk = SimulatedDisk::new();
    open(&disk, 16 << 10).close().expect("closes");
    let start = |epoch, engine_id| {
        let (recovered, _) = try_recover(&disk).expect("sound");
        Log::open(Arc::new(disk.clone()), config(16 << 10), Identity { engine_id, ..identity(epoch) }, recovered)
    };
    let refused = start(1, ENGINE).expect_err("used");
    assert_eq!(refused, JournalError::Refused(Refusal::Epoch { last: 1, found: 1 }));
    let foreign = start(2, [9; 16]).expect_err("foreign");
    assert!(matches!(foreign, JournalError::Corrupt { damage: Damage::ForeignEngine, .. }));
    start(2, ENGINE).expect("opens");
}

#[test]
fn a_batch_is_one_write_and_one_sync() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, 64 << 10);
    let before = disk.operations();
    let mut author = Author::new(1);
    for _ in 0..20 {
        author.append(&mut log, 100).expect("taken");
    }
    assert_eq!((disk.operations(), log.written_seq()), (before, 0));
    assert_eq!(log.commit(), Ok(20));
    assert_eq!(disk.operation_names()[before as usize..], ["write", "sync"]);
    assert_eq!(log.commit(), Ok(20));
    assert_eq!(disk.operations(), before + 2);
    assert_eq!((log.written_seq(), log.durable_seq(), log.batch_bytes()), (20, 20, 0));
}

#[test]
fn errors_say_what_where_and_what_to_do() {
    let at = Position { segment: 3, offset: 8_192, seq: 77 };
    let text = JournalError::Corrupt { at, damage: Damage::BadRecord { flaw: Flaw::Checksum } }.to_string();
    assert!(text.starts_with("JOURNAL_CORRUPT: segment-0000000003.log at offset 8192, sequence 77: "), "{text}");
    assert!(text.contains("restore it from a backup"), "{text}");
    let text = JournalError::Locked { folder: "journal".to_owned(), holder: Some(7) }.to_string();
    assert_eq!(
        text,
        "JOURNAL_LOCKED: journal: process 7 has this journal; stop it, or give this engine a folder of its own"
    );
}
