//! What being watched costs a hot thread: its beat each cycle, and a shard's mark around each handler.

#![allow(missing_docs, clippy::disallowed_macros, clippy::expect_used, reason = "a bench fails by panicking")]

use criterion::{Criterion, criterion_group, criterion_main};
use gannet::pipeline::heartbeat::Heartbeats;
use gannet::types::{StrategyId, Timestamp};
use std::hint::black_box;

const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);

fn heartbeat(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let mapped = Heartbeats::create(&folder.path().join("heartbeat"), 1, NOW).expect("a page");
    let mut group = criterion.benchmark_group("heartbeat");
    for (name, page) in [("private", Heartbeats::default()), ("mapped", mapped)] {
        let mut pulse = page.pulse(0);
        group.bench_function(format!("beat/{name}"), |bencher| bencher.iter(|| pulse.beat(black_box(NOW))));
        let mark = page.mark(0);
        group.bench_function(format!("mark/{name}"), |bencher| {
            bencher.iter(|| {
                mark.enter(black_box(StrategyId(3)), black_box(NOW), 7);
                mark.leave();
            });
        });
    }
    group.finish();
}

criterion_group!(benches, heartbeat);
criterion_main!(benches);
