//! J11: files of each format that was ever released, read to the same contents for ever; others refused by name.
//!
//! `GANNET_GOLDEN=write` makes the files of the format of this build.

use super::*;
use std::path::{Path, PathBuf};

/// A checksum over the place, the fields and the payload of every record of the golden journal.
const DIGEST: u32 = 3_027_235_639;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/journal/format-1")
}

/// Two engine starts, a torn end between them, a roll, a snapshot.
fn made_now() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let mut author = Author::new(42);
    let mut log = open(&disk, 16 << 10);
    author.fill(&mut log, 2, 10_000, 120);
    let (seq, chain) = (log.durable_seq(), log.durable_chain());
    let snapshot =
        Snapshot { engine_id: ENGINE, seq, chain, state_hash: 0x1234_5678_9abc_def0, bytes: b"a state".to_vec() };
    write_snapshot(&disk, &snapshot, seq).expect("written");
    let end = log.offset() as usize;
    log.close().expect("closes");
    disk.edit(&segment::name(2), |bytes| bytes[end + 3] = 9);
    let mut log = open(&disk, 16 << 10);
    author.stage_seqs = [0; 5];
    author.fill(&mut log, 3, 12_000, 400);
    log.close().expect("closes");
    // What is only set aside is no part of a format.
    if disk.names().contains(&"spare".to_owned()) {
        disk.lose("spare");
    }
    disk
}

fn golden() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    for within in ["", "quarantine", "snapshots"] {
        for entry in std::fs::read_dir(folder().join(within)).expect("golden files") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                let name = path.strip_prefix(folder()).expect("within").to_str().expect("text").to_owned();
                disk.edit(&name, |bytes| *bytes = std::fs::read(&path).expect("read"));
            }
        }
    }
    disk
}

fn digest(disk: &SimulatedDisk) -> (u64, u32) {
    let mut reader = Reader::open(Arc::new(disk.clone()), 0).expect("opens").expect("there");
    let (mut count, mut digest) = (0, 0);
    while let Some((position, record)) = reader.next().expect("sound") {
        count += 1;
        let Stamp { stage_seq, mono_ns, wall_ns, kind, version, stage } = record.entry;
        for field in [position.segment, position.offset, record.seq, stage_seq, mono_ns, wall_ns as u64] {
            digest = crc32c::crc32c_append(digest, &field.to_le_bytes());
        }
        for field in [kind, version, stage, u16::from(record.is_batch_end)] {
            digest = crc32c::crc32c_append(digest, &field.to_le_bytes());
        }
        digest = crc32c::crc32c_append(digest, record.payload);
    }
    (count, digest)
}

#[test]
fn the_journal_of_format_1_reads_as_it_did_when_it_was_written() {
    if std::env::var("GANNET_GOLDEN").is_ok_and(|word| word == "write") {
        let disk = made_now();
        for name in disk.names() {
            let path = folder().join(&name);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, disk.read(&name)).expect("written");
        }
    }
    let disk = golden();
    let report = verify(&disk, &options(), &mut |_| {});
    assert!(report.is_flawless(), "{report:?}");
    assert_eq!(digest(&disk), (report.records, DIGEST));
    let (snapshot, passed_over) = newest_snapshot(&disk, &ENGINE, &mut |_| true).expect("read");
    assert_eq!((snapshot.expect("there").bytes, passed_over.len()), (b"a state".to_vec(), 0));
    // And this build still writes it, byte for byte.
    let now = made_now();
    assert_eq!(now.names(), disk.names());
    for name in now.names() {
        assert!(now.read(&name) == disk.read(&name), "{name} is written otherwise than before");
    }
}

/// Both header copies of the last segment with other bytes at one place, sealed again.
fn changed(at: usize, new: &[u8]) -> SimulatedDisk {
    let disk = golden();
    disk.edit(&segment::name(3), |bytes| {
        let mut block = bytes[..segment::BLOCK_BYTES - 4].to_vec();
        block[at..at + new.len()].copy_from_slice(new);
        segment::seal_block(&mut block);
        bytes[..segment::BLOCK_BYTES].copy_from_slice(&block);
        bytes[segment::BLOCK_BYTES..2 * segment::BLOCK_BYTES].copy_from_slice(&block);
    });
    disk
}

#[test]
fn other_versions_byte_orders_and_schemas_are_refused_with_the_reason() {
    let refused = |disk: &SimulatedDisk, options: &ScanOptions| {
        let before = disk.operations();
        let error = recover(disk, disk.lock().expect("free"), options, &mut |_, _| {}).expect_err("not for this build");
        assert_eq!(disk.operations(), before);
        match error {
            JournalError::Unsupported { file, difference } => (file, difference),
            other => panic!("{other}"),
        }
    };
    let name = segment::name(3);
    let version = Difference::Version { found: 2, known: FORMAT_VERSION };
    assert_eq!(refused(&changed(12, &2u32.to_le_bytes()), &options()), (name.clone(), version));
    assert_eq!(refused(&changed(8, &[1, 2, 3, 4]), &options()), (name.clone(), Difference::Endianness));
    let schema = Difference::Schema { found: 78 };
    assert_eq!(refused(&changed(64, &78u64.to_le_bytes()), &options()), (name, schema));
    let both = ScanOptions { schemas: vec![77, 78], ..options() };
    assert!(verify(&changed(64, &78u64.to_le_bytes()), &both, &mut |_| {}).is_flawless());
    // The watermark file too.
    let disk = golden();
    disk.edit("checkpoint", |bytes| {
        for start in [0, 4096] {
            let mut slot = bytes[start..start + 508].to_vec();
            slot[12] = 9;
            segment::seal_block(&mut slot);
            bytes[start..start + 512].copy_from_slice(&slot);
        }
    });
    let version = Difference::Version { found: 9, known: FORMAT_VERSION };
    assert_eq!(refused(&disk, &options()), ("checkpoint".to_owned(), version));
}
