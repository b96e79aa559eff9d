//! The journal: a record of 128 bytes into the batch, and records read back with every check.

#![allow(
    missing_docs,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::expect_used,
    reason = "a bench fails by panicking"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gannet::journal::{Disk, FolderDisk, Identity, Log, LogConfig, Reader, ScanOptions, Stamp, recover, verify};
use std::hint::black_box;
use std::sync::Arc;

/// 128 bytes as a record: 48 of header and 4 of chain word come to it.
const PAYLOAD: [u8; 76] = [7; 76];
const RECORDS: u64 = 1_000_000;

fn open(path: &std::path::Path, segment_bytes: u64) -> Log {
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::create(path).expect("a folder"));
    let lock = disk.lock().expect("free");
    let recovered = recover(disk.as_ref(), lock, &ScanOptions::default(), &mut |_, _| {}).expect("sound");
    let identity = Identity { epoch: recovered.end.epoch + 1, ..Identity::default() };
    // Large batches: the disk is not what is measured here.
    let config = LogConfig { segment_bytes, batch_bytes_max: 8 << 20, ballast_bytes: 0, ..LogConfig::default() };
    Log::open(disk, config, identity, recovered).expect("opens")
}

fn journal(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut group = criterion.benchmark_group("journal");

    // The records of a batch alone: each batch is thrown away with its log before it would be written.
    group.throughput(Throughput::Elements(1));
    group.bench_function("append/128 bytes", |bencher| {
        bencher.iter_custom(|iterations| {
            let mut spent = std::time::Duration::ZERO;
            let mut left = iterations;
            while left > 0 {
                let folder = tempfile::tempdir().expect("a folder");
                let mut log = open(folder.path(), 16 << 20);
                let count = left.min(60_000);
                let start = std::time::Instant::now();
                for stage_seq in 0..count {
                    let entry = Stamp { stage_seq, ..Stamp::default() };
                    log.append(black_box(&entry), black_box(&PAYLOAD)).expect("taken");
                }
                spent += start.elapsed();
                left -= count;
            }
            spent
        });
    });

    let mut log = open(folder.path(), 64 << 20);
    for stage_seq in 0..RECORDS {
        log.append(&Stamp { stage_seq, ..Stamp::default() }, &PAYLOAD).expect("taken");
    }
    log.close().expect("durable");
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::existing(folder.path()));
    group.sample_size(10);
    group.throughput(Throughput::Elements(RECORDS));
    group.bench_function("read/1,000,000 records of 128 bytes", |bencher| {
        bencher.iter(|| {
            let mut reader = Reader::open(Arc::clone(&disk), 0).expect("opens").expect("there");
            let mut count = 0;
            while let Some((_, record)) = reader.next().expect("sound") {
                black_box(record.payload);
                count += 1;
            }
            assert_eq!(count, RECORDS);
        });
    });
    group.bench_function("verify/1,000,000 records of 128 bytes", |bencher| {
        bencher.iter(|| {
            let report = verify(disk.as_ref(), &ScanOptions::default(), &mut |_| {});
            assert!(report.is_flawless() && report.records == RECORDS);
        });
    });
    group.finish();
}

criterion_group!(benches, journal);
criterion_main!(benches);
