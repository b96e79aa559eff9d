//! Reading along with the writer, and from the middle.

use super::*;

fn read_all(reader: &mut Reader, limit: u64) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some((position, record)) = reader.next_up_to(limit).expect("sound") {
        assert_eq!(position.seq, record.seq);
        seqs.push(record.seq);
    }
    seqs
}

#[test]
fn a_reader_follows_the_writer_over_segments_and_never_looks_above_the_limit() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, 16 << 10);
    let mut author = Author::new(1);
    let mut reader = Reader::open(Arc::new(disk.clone()), 0).expect("opens").expect("there");
    let mut seen = 0;
    for round in 0..300 {
        for _ in 0..author.random.below(4) {
            author.append(&mut log, 500).expect("taken");
        }
        if round % 3 != 0 {
            log.commit().expect("durable");
        }
        let written = log.written_seq();
        let limit = written.saturating_sub(author.random.below(3) as u64).max(seen);
        let read = read_all(&mut reader, limit);
        assert_eq!(read, (seen + 1..=limit).collect::<Vec<_>>());
        seen = limit;
    }
    assert!(log.segment().number > 5);
    let durable_seq = log.close().expect("closes");
    read_all(&mut reader, durable_seq);
    assert!(reader.next().expect("the end").is_none());
    let watermark = Watermark::read(&disk).expect("sound").expect("there");
    assert_eq!((watermark.seq, watermark.chain), (durable_seq, reader.chain()));
}

#[test]
fn a_reader_begins_at_any_record() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, 16 << 10);
    let mut author = Author::new(1);
    author.fill(&mut log, 4, 10_000, 300);
    let last = log.close().expect("closes");
    for from in (1..=last).step_by(7).chain([last]) {
        let mut reader = Reader::open(Arc::new(disk.clone()), from).expect("opens").expect("there");
        assert_eq!(reader.next_seq(), from);
        let (_, record) = reader.next().expect("sound").expect("there");
        assert_eq!((record.entry, record.payload.to_vec()), author.written[&from]);
    }
    disk.lose(&segment::name(1));
    let gone = Reader::open(Arc::new(disk.clone()), 1).expect_err("not there");
    assert!(matches!(gone, JournalError::Corrupt { damage: Damage::MissingSegment, .. }), "{gone}");
}

#[test]
fn a_bad_record_is_an_error_and_not_the_end() {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, 16 << 10);
    let mut author = Author::new(1);
    author.fill(&mut log, 1, 12_000, 300);
    let last = log.close().expect("closes");
    disk.edit(&segment::name(1), |bytes| bytes[11_000] ^= 4);
    for limit in [last, u64::MAX] {
        let mut reader = Reader::open(Arc::new(disk.clone()), 0).expect("opens").expect("there");
        let error = loop {
            match reader.next_up_to(limit) {
                Ok(Some(_)) => {}
                Ok(None) => panic!("ended"),
                Err(error) => break error,
            }
        };
        assert!(matches!(error, JournalError::Corrupt { damage: Damage::BadRecord { .. }, .. }), "{error}");
    }
    disk.edit(&segment::name(1), |bytes| bytes[8_192..].fill(0));
    let mut reader = Reader::open(Arc::new(disk.clone()), 0).expect("opens").expect("there");
    assert!(reader.next_up_to(last).is_err(), "what was written is not there");
}

#[test]
fn a_folder_on_a_real_disk_does_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::create(folder.path().join("journal")).expect("made"));
    let mut author = Author::new(1);
    for epoch in 1..=3 {
        let (recovered, records) = try_recover(disk.as_ref()).expect("sound");
        assert!(records == author.written);
        let config = LogConfig { ballast_bytes: 32 << 10, ..config(32 << 10) };
        let mut log = Log::open(Arc::clone(&disk), config, identity(epoch), recovered).expect("opens");
        assert_ne!(log.space(), Space::Critical);
        author.stage_seqs = [0; 5];
        let segment = log.segment().number;
        author.fill(&mut log, segment + 1, 20_000, 2_000);
        let durable = log.durable_seq();
        let snapshot =
            Snapshot { engine_id: ENGINE, seq: durable, chain: log.durable_chain(), state_hash: 1, bytes: vec![1] };
        write_snapshot(disk.as_ref(), &snapshot, durable).expect("written");
        log.close().expect("closes");
    }
    assert_eq!(verified_snapshots(disk.as_ref(), &ENGINE, 9).expect("read").len(), 3);
    let mut reader = Reader::open(Arc::clone(&disk), 0).expect("opens").expect("there");
    assert_eq!(read_all(&mut reader, u64::MAX).len(), author.written.len());
    let pruned = prune_segments(disk.as_ref(), &ENGINE, u64::MAX).expect("pruned");
    assert!(!pruned.is_empty());
    assert!(verify(disk.as_ref(), &ScanOptions::default(), &mut |_| {}).is_flawless());
}
