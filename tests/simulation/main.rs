//! The real risk and gateway stages against the exchange without sockets, on one thread, under a virtual clock, with
//! everything going wrong that a seed decides.
//!
//! Random traders want orders; the gateway's bytes go through a pipe to the exchange and back; faults lose, double and delay
//! what is told, cut connections, ban the address, trade by hand. After every step the checker compares what risk reports
//! with what the exchange knows; when the faults end, both must come to the same, to the last unit. A second gateway runs on
//! what the first writes down, and must tell the same.
//!
//! ```text
//!   cargo test --test simulation                    past failures, then new seeds for about a minute
//!   GANNET_SEED=77 cargo test --test simulation     one seed again, with what happened in it
//!   GANNET_SEEDS=500 cargo test --test simulation   so many new seeds
//!   GANNET_LONG=yes cargo test --test simulation    ten thousand of them
//! ```

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "tests fail by panicking"
)]
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests may print and look at the time"
)]

mod again;
mod checks;
mod dice;
mod link;
mod traders;
mod world;

use gannet::exchange::{Fault, FaultCounts};
use std::collections::BTreeSet;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use world::{Outcome, World};

/// Seeds that once failed: they are always run.
const FAILED_ONCE: &str = include_str!("seeds.txt");
/// How long new seeds are run where nothing else is asked for.
const TIME: Duration = Duration::from_secs(60);
/// How many at least, however slow the machine is.
const SEEDS_MIN: u64 = 40;
/// How many in a campaign.
const SEEDS_LONG: u64 = 10_000;

/// Runs one seed; the error says what was broken, and when.
fn run(seed: u64, is_told: bool) -> Result<Outcome, String> {
    let played = catch_unwind(AssertUnwindSafe(|| World::new(seed, is_told).play()));
    played.unwrap_or_else(|panic| {
        let words = panic.downcast_ref::<String>().cloned();
        Err(words.or_else(|| panic.downcast_ref::<&str>().map(|words| (*words).to_owned())).unwrap_or_default())
    })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is expected")))
}

/// Written past the test's capture: figures are wanted of a run that passes too.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

#[test]
fn exposure_is_never_understated_and_books_agree_in_the_end() {
    if let Some(seed) = number("GANNET_SEED") {
        let outcome = run(seed, true).unwrap_or_else(|what| panic!("seed {seed}: {what}"));
        return say(&format!("seed {seed}: {outcome:?}"));
    }
    let past = FAILED_ONCE.lines().filter_map(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let count = number("GANNET_SEEDS")
        .or_else(|| std::env::var("GANNET_LONG").is_ok_and(|long| long == "yes").then_some(SEEDS_LONG));
    let first = number("GANNET_FIRST_SEED").unwrap_or(1);
    let started = Instant::now();
    let goes_on = |seed: u64| match count {
        Some(count) => seed - first < count,
        None => seed - first < SEEDS_MIN || started.elapsed() < TIME,
    };
    let (mut total, mut seeds, mut failed) = (Outcome::default(), 0u64, BTreeSet::new());
    for seed in past.chain((first..).take_while(|seed| goes_on(*seed))) {
        match run(seed, false) {
            Ok(outcome) => total.add(&outcome),
            Err(what) => {
                say(&format!("seed {seed} failed: {what}\n  replay: GANNET_SEED={seed} cargo test --test simulation"));
                failed.insert(seed);
            }
        }
        seeds += 1;
    }
    let seconds = started.elapsed().as_secs_f64();
    say(&format!("simulation: {seeds} seeds in {seconds:.0} s, {total}\n  faults: {}", total.faults));
    assert!(failed.is_empty(), "failed seeds, to be added to tests/simulation/seeds.txt: {failed:?}");
    assert_every_fault(&total.faults);
}

/// A campaign in which some kind of fault never happened has tested less than it says.
fn assert_every_fault(counts: &FaultCounts) {
    let missing: Vec<_> =
        Fault::ALL.into_iter().filter(|fault| world::is_survived(*fault) && counts.of(*fault) == 0).collect();
    assert!(missing.is_empty(), "these faults never happened: {missing:?}");
}

#[test]
fn a_seed_is_the_same_run_each_time() {
    for seed in [3, 5] {
        assert_eq!(run(seed, false).map(|outcome| outcome.trace), run(seed, false).map(|outcome| outcome.trace));
    }
}
