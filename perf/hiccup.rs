//! The machine's own hiccups: what a thread that does nothing but read the clock sees of it.

use gannet::pipeline::clock::Clock;
use hdrhistogram::Histogram;

/// Spins for `millis` and records the gap between any two readings, in ns. What is over a microsecond there is the
/// machine's, and no program on it can be better.
pub fn measure(clock: &Clock, millis: u64) -> Histogram<u64> {
    let mut gaps = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that the histogram takes");
    let start = clock.now();
    let mut last = start;
    while last.since(start) < millis * 1_000_000 {
        let now = clock.now();
        gaps.saturating_record(now.since(last).max(1));
        last = now;
    }
    gaps
}
