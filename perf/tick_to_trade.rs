//! Tick to trade: raw frame bytes in memory to order bytes ready for the socket.
//!
//! `cargo bench --bench tick_to_trade -- [--json] [--seconds N | --flat-out]`
//!
//! Every stage runs as in production; only the sockets are memory. Frames come at planned instants, whether the machine
//! keeps up or not, and a latency is counted from the planned instant: a stall is charged to every event that it
//! delayed. `journal` is fused with everything written down, as in production, the log's own thread included. Beside it, from the same run: the floor (the same job as one function), and the machine's own hiccups.
//! One line a measurement; all times in ns.

#![allow(
    missing_docs,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a harness fails by panicking"
)]

mod floor;
mod hiccup;
mod rig;

use floor::Floor;
use gannet::pipeline::heartbeat::Heartbeats;
use gannet::pipeline::idle::IdleStrategy;
use gannet::pipeline::threads::{self, Layout, OnTrouble};
use gannet::types::SentOrder;
use hdrhistogram::Histogram;
use rig::Rig;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events a second.
const RATES: [u64; 3] = [1_000, 10_000, 100_000];
/// Events of one measurement at most: each waits in memory with its report.
const EVENTS_MAX: u64 = 200_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let seconds = arguments.iter().position(|argument| argument == "--seconds");
    let seconds: u64 = seconds.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(2);
    if arguments.iter().any(|argument| argument == "--flat-out") {
        return flat_out(EVENTS_MAX);
    }
    let mut report = Report { json, medians: Vec::new() };
    report.header();
    let floor = measure_floor();
    report.line("none", 0, "floor", &floor);
    for rate in RATES {
        let count = (rate * seconds).min(EVENTS_MAX);
        let rig = Rig::new(count + WARM_UP);
        report.line("none", 0, "hiccup", &hiccup::measure(&rig.clock, 300));
        report.measurement("fused", rate, &fused(rig, rate, count));
        report.measurement("journal", rate, &fused(Rig::journaled(count + WARM_UP), rate, count));
    }
    for rate in RATES {
        let count = (rate * seconds).min(EVENTS_MAX);
        report.measurement("split", rate, &split(Rig::new(count + WARM_UP), rate, count));
    }
    report.footer(floor.value_at_quantile(0.5));
}

/// Events of the warm-up after which the log is waited for.
const CATCH_UP_EVERY: u64 = 128;
/// Events before the measured ones.
const WARM_UP: u64 = 10_000;

/// Histograms by interval.
struct Measured {
    whole: Histogram<u64>,
    feed: Histogram<u64>,
    shard: Histogram<u64>,
    risk: Histogram<u64>,
    gateway: Histogram<u64>,
}

impl Measured {
    fn new() -> Self {
        let [whole, feed, shard, risk, gateway] = [(); 5].map(|()| histogram());
        Self { whole, feed, shard, risk, gateway }
    }

    /// Records order `index`; a warm-up order whose sample comes late is passed over.
    fn record_planned(&mut self, sent: &SentOrder, index: u64, start_ns: u64, interval_ns: u64) {
        if let Some(event) = index.checked_sub(WARM_UP) {
            self.record(sent, start_ns + event * interval_ns);
        }
    }

    fn record(&mut self, sent: &SentOrder, planned_ns: u64) {
        self.whole.saturating_record(sent.encoded_ns.nanos().saturating_sub(planned_ns).max(1));
        self.feed.saturating_record(sent.decided_ns.since(sent.received_ns).max(1));
        self.shard.saturating_record(sent.approved_ns.since(sent.decided_ns).max(1));
        self.risk.saturating_record(sent.taken_ns.since(sent.approved_ns).max(1));
        self.gateway.saturating_record(sent.encoded_ns.since(sent.taken_ns).max(1));
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that the histogram takes")
}

/// The floor: throughput is not what is asked, but each event on its own, between two fenced readings.
fn measure_floor() -> Histogram<u64> {
    let counter = quanta::Clock::new();
    let frames: Vec<String> = (0..1_024).map(rig::quote_frame).collect();
    let mut floor = Floor::new();
    let mut times = histogram();
    for round in 0..500_000u64 {
        let frame = frames[(round % 1_024) as usize].as_bytes();
        let start = fenced(&counter);
        let order = floor.frame_to_order(black_box(frame), 1_723_161_255_208 + round);
        assert!(black_box(order).is_some());
        let end = fenced(&counter);
        if round >= 10_000 {
            times.saturating_record(counter.delta_as_nanos(start, end).max(1));
        }
    }
    times
}

/// Reads the counter: not before what stands ahead of it is done, and nothing that follows is begun before.
#[inline]
fn fenced(counter: &quanta::Clock) -> u64 {
    load_fence();
    let raw = counter.raw();
    load_fence();
    raw
}

#[inline]
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "the only fence that orders the counter")]
fn load_fence() {
    // SAFETY: LFENCE takes nothing, touches no memory, and every x86-64 processor has it.
    unsafe { std::arch::x86_64::_mm_lfence() }
}

#[inline]
#[cfg(not(target_arch = "x86_64"))]
fn load_fence() {
    std::sync::atomic::fence(Ordering::SeqCst);
}

/// Events one after the other as fast as they go, for a profiler.
fn flat_out(count: u64) {
    let mut rig = Rig::new(count);
    let start = rig.clock.now();
    let mut answered = 0;
    while answered < count {
        rig.quotes.release(rig.quote_bytes);
        rig.cycle();
        answered = drain(&mut rig, |_, _| {});
    }
    let each = rig.clock.now().since(start) as f64 / count as f64;
    println!("{count} events, {each:.0} ns each, their reports included");
}

/// All stages on this thread, which also lets the frames through.
fn fused(mut rig: Rig, rate: u64, count: u64) -> Measured {
    let mut measured = Measured::new();
    let mut answered = 0;
    for event in 0..WARM_UP {
        rig.quotes.release(rig.quote_bytes);
        while answered <= event {
            rig.cycle();
            answered = drain(&mut rig, |_, _| {});
        }
        rig.poll(2);
        if event % CATCH_UP_EVERY == 0 {
            rig.catch_up();
        }
    }
    assert_eq!(answered, WARM_UP, "{}", rig.diagnosis());
    let start_ns = rig.clock.now().nanos() + 1_000_000;
    let interval_ns = 1_000_000_000 / rate;
    let mut released = 0;
    let mut done = 0;
    while done < count && rig.clock.now().nanos() < start_ns + PATIENCE_NS {
        let now = rig.clock.now().nanos();
        while released < count && now >= start_ns + released * interval_ns {
            rig.quotes.release(rig.quote_bytes);
            released += 1;
        }
        rig.cycle();
        let sent = drain(&mut rig, |index, sent| {
            measured.record_planned(sent, index, start_ns, interval_ns);
        });
        if sent - WARM_UP > done {
            done = sent - WARM_UP;
            rig.quotes.warm(rig.quote_bytes);
        }
    }
    measured
}

/// Takes the samples, lets the venue's reports through, and answers how many orders were sent so far. Where this thread
/// is late, samples are dropped: `count` then says less than was sent.
fn drain(rig: &mut Rig, mut visit: impl FnMut(u64, &SentOrder)) -> u64 {
    rig.cold.venues[0].sent.drain(u64::MAX, |sent| visit(u64::from(sent.client_order_id.sequence()) - 1, sent));
    rig.answer()
}

/// When a measurement that does not end is given up: more threads than cores may make a load impossible.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Feed, shard, and risk with gateway on a thread each; this thread lets the frames through.
fn split(mut rig: Rig, rate: u64, count: u64) -> Measured {
    let mut measured = Measured::new();
    let stop = Arc::new(AtomicBool::new(false));
    let names: Vec<&'static str> = rig.stages.iter().map(gannet::pipeline::stage::Stage::name).collect();
    let plan = threads::plan(&Layout::Split, &names, &threads::allowed_cores()).expect("a plan");
    let mut stages: Vec<Option<_>> = std::mem::take(&mut rig.stages).into_iter().map(Some).collect();
    let on_trouble: OnTrouble = Arc::new(|trouble| panic!("{trouble:?}"));
    let heartbeats = Heartbeats::default();
    let mut running = Vec::new();
    for (number, thread) in plan.into_iter().enumerate() {
        let own = thread.stages.iter().filter_map(|&index| stages[index].take()).collect();
        let (clock, stop, on_trouble) = (rig.clock.clone(), Arc::clone(&stop), Arc::clone(&on_trouble));
        let (idle, pulse) = (IdleStrategy::Yield, heartbeats.pulse(number));
        running.push(threads::spawn(thread, own, clock, idle, stop, on_trouble, pulse).expect("a thread"));
    }
    let mut answered = 0;
    for event in 0..WARM_UP {
        rig.quotes.release(rig.quote_bytes);
        while answered <= event {
            answered = drain(&mut rig, |_, _| {});
            std::thread::yield_now();
        }
    }
    let start_ns = rig.clock.now().nanos() + 1_000_000;
    let interval_ns = 1_000_000_000 / rate;
    let mut released = 0;
    let mut done = 0;
    while done < count && rig.clock.now().nanos() < start_ns + PATIENCE_NS {
        let now = rig.clock.now().nanos();
        while released < count && now >= start_ns + released * interval_ns {
            rig.quotes.release(rig.quote_bytes);
            released += 1;
        }
        let sent = drain(&mut rig, |index, sent| {
            measured.record_planned(sent, index, start_ns, interval_ns);
        });
        done = sent - WARM_UP;
        // More threads than cores: whoever waits must let others run.
        std::thread::yield_now();
    }
    stop.store(true, Ordering::Relaxed);
    for thread in running {
        drop(thread.join());
    }
    measured
}

struct Report {
    json: bool,
    medians: Vec<(&'static str, u64, u64)>,
}

impl Report {
    fn header(&self) {
        if !self.json {
            println!(
                "{:<7}{:>9} {:<15}{:>9}{:>8}{:>8}{:>9}{:>10}{:>10}{:>11}",
                "layout", "rate/s", "interval", "count", "p50", "p90", "p99", "p99.9", "p99.99", "max"
            );
        }
    }

    fn measurement(&mut self, layout: &'static str, rate: u64, measured: &Measured) {
        self.medians.push((layout, rate, measured.whole.value_at_quantile(0.5)));
        self.line(layout, rate, "frame_to_order", &measured.whole);
        self.line(layout, rate, "feed", &measured.feed);
        self.line(layout, rate, "shard", &measured.shard);
        self.line(layout, rate, "risk", &measured.risk);
        self.line(layout, rate, "gateway", &measured.gateway);
    }

    fn line(&self, layout: &str, rate: u64, interval: &str, histogram: &Histogram<u64>) {
        let [p50, p90, p99, p99_9, p99_99] = [0.5, 0.9, 0.99, 0.999, 0.9999].map(|q| histogram.value_at_quantile(q));
        let (count, max) = (histogram.len(), histogram.max());
        if self.json {
            println!(
                "{{\"layout\":\"{layout}\",\"rate_per_s\":{rate},\"interval\":\"{interval}\",\"count\":{count},\"p50\":{p50},\"p90\":{p90},\"p99\":{p99},\"p99_9\":{p99_9},\"p99_99\":{p99_99},\"max\":{max}}}"
            );
        } else {
            println!(
                "{layout:<7}{rate:>9} {interval:<15}{count:>9}{p50:>8}{p90:>8}{p99:>9}{p99_9:>10}{p99_99:>10}{max:>11}"
            );
        }
    }

    fn footer(&self, floor: u64) {
        if !self.json {
            for (layout, rate, p50) in &self.medians {
                println!("{layout} at {rate}/s: p50 is {:.2} times the floor", *p50 as f64 / floor as f64);
            }
        }
    }
}
