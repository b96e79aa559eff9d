//! After start, the hot thread allocates nothing: 100,000 events through the fused pipeline, counted by the allocator.

#![allow(
    clippy::disallowed_macros,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "tests fail by panicking"
)]
#![allow(unsafe_code, missing_docs, reason = "an allocator that counts cannot be written without")]

#[path = "../perf/rig.rs"]
mod rig;

use rig::Rig;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

thread_local! {
    /// Allocations of this thread since it was set to `Some`.
    static ALLOCATIONS: Cell<Option<u64>> = const { Cell::new(None) };
}

struct Counting;

fn count() {
    // A thread that is ending has no counter any more, and nothing to count.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get().map(|count| count + 1)));
}

// SAFETY: every call is passed on to the system's allocator as it came; counting touches a `Cell` only.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> u64 {
    ALLOCATIONS.set(Some(0));
    work();
    let count = ALLOCATIONS.get().expect("counting");
    ALLOCATIONS.set(None);
    count
}

#[test]
fn the_counter_counts() {
    assert!(allocations_of(|| drop(std::hint::black_box(vec![1u8; 100]))) >= 2);
}

const EVENTS: u64 = 100_000;
const WARM_UP: u64 = 1_000;

#[test]
fn a_hundred_thousand_events_allocate_nothing() {
    allocate_nothing(Rig::new(EVENTS + WARM_UP), |_, _| {});
}

/// Everything is written down meanwhile, in the order page too.
#[test]
fn nor_do_they_with_a_journal() {
    // Flat out for so long is more than any disk takes: every so often the log is waited for.
    allocate_nothing(Rig::journaled(EVENTS + WARM_UP), |rig, answered| {
        if answered.is_multiple_of(128) {
            rig.catch_up();
        }
    });
}

fn allocate_nothing(mut rig: Rig, between: impl Fn(&Rig, u64)) {
    let mut answered = 0;
    let mut run = |rig: &mut Rig, until: u64| {
        while answered < until {
            rig.quotes.release(rig.quote_bytes);
            for _ in 0..8 {
                rig.cycle();
            }
            // Displays are not looked at, but their samples are taken, as the cold plane does.
            rig.cold.venues[0].sent.drain(u64::MAX, |_| {});
            let sent = rig.answer();
            if sent == answered {
                return false;
            }
            answered = sent;
            between(rig, answered);
        }
        true
    };
    // The general decoder of execution reports grows its buffers to the largest frame it has seen: start includes one.
    assert!(run(&mut rig, WARM_UP), "{}", rig.diagnosis());
    let mut is_done = false;
    let allocations = allocations_of(|| is_done = run(&mut rig, WARM_UP + EVENTS));
    assert!(is_done, "{}", rig.diagnosis());
    assert_eq!(allocations, 0);
    assert_eq!(rig.counters.gateways[0].orders_sent.get(), WARM_UP + EVENTS);
    assert_eq!(rig.counters.risk.approved.get(), WARM_UP + EVENTS);
    drop(rig.kept);
}
