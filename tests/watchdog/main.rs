//! The watchdog against real processes: an exchange, an engine, and the watchdog that the engine starts.
//!
//! This program is all three of them but the exchange: started with `run` or `watchdog` it is `gannet` itself, with one
//! strategy more, whose handler never returns. So the strategy is in no catalogue, and nothing in the product knows of it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests may wait and print")]

#[path = "../rest/mod.rs"]
mod rest;
mod rig;
mod stuck;

use clap::{Parser, Subcommand};
use gannet::control::command::{self, RunArgs};
use gannet::control::watchdog::command::{self as watchdog, WatchdogArgs};
use libtest_mimic::{Arguments, Trial};
use rig::{Rig, Signal, until};
use serde_json::Value;
use std::process::ExitCode;
use std::time::Instant;

#[derive(Parser)]
struct Program {
    #[command(subcommand)]
    command: Role,
}

#[derive(Subcommand)]
enum Role {
    Run(RunArgs),
    Watchdog(WatchdogArgs),
}

fn main() -> ExitCode {
    if matches!(std::env::args().nth(1).as_deref(), Some("run" | "watchdog")) {
        gannet::strategy::registry::add(stuck::CATALOGUE);
        return match Program::parse().command {
            Role::Watchdog(args) => watchdog::run(&args),
            Role::Run(args) => match command::run(&args) {
                Ok(()) => ExitCode::SUCCESS,
                Err(errors) => {
                    eprintln!("{}", errors.join("\n"));
                    ExitCode::FAILURE
                }
            },
        };
    }
    let mut arguments = Arguments::from_args();
    // Each is four processes.
    arguments.test_threads = arguments.test_threads.or(Some(1));
    let tests: [(&str, fn()); 7] = [
        (
            "an_engine_that_is_stopped_is_flat_and_does_not_trade_on",
            an_engine_that_is_stopped_is_flat_and_does_not_trade_on,
        ),
        ("an_engine_that_is_killed_is_flat", an_engine_that_is_killed_is_flat),
        ("an_engine_that_stops_in_order_needs_no_watchdog", an_engine_that_stops_in_order_needs_no_watchdog),
        ("a_handler_that_never_returns_costs_its_strategy_only", a_handler_that_never_returns_costs_its_strategy_only),
        (
            "an_engine_that_was_started_again_too_often_stays_down",
            an_engine_that_was_started_again_too_often_stays_down,
        ),
        ("a_watchdog_that_is_killed_is_started_again", a_watchdog_that_is_killed_is_started_again),
        (
            "what_a_dead_watchdog_left_is_finished_before_anything_trades",
            what_a_dead_watchdog_left_is_finished_before_anything_trades,
        ),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let tests = tests.into_iter().map(trial).collect();
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn an_engine_that_is_stopped_is_flat_and_does_not_trade_on() {
    let rig = Rig::new();
    let engine = rig.run();
    rig.await_open_orders();
    // In the middle of a write, at the worst: nobody gets at the state before the engine runs again.
    let mid_write = rig.mid_write();
    engine.signal(Signal::Stop);
    let stopped = Instant::now();
    rig.await_empty();
    println!("SIGSTOP to no open order: {:?}, of which the stall takes 1 s", stopped.elapsed());
    until("FLAT is said", || rig.said("FLAT: every venue has confirmed twice").then_some(()));
    until("FLAT is kept", || rig.watchdog()["latch"]["is_flat"].as_bool().filter(|flat| *flat));
    let sent = rig.order_count();
    assert_eq!(rig.state()["watchdog"], Value::Null, "the engine's file is the engine's");

    drop(mid_write);
    engine.signal(Signal::Cont);
    until("the engine is killed", || rig.state()["kills"].to_string().contains("engine").then_some(()));
    std::thread::sleep(std::time::Duration::from_secs(1));
    // What was under way when it was stopped may still have left; nothing new does.
    let after = rig.order_count();
    std::thread::sleep(std::time::Duration::from_secs(1));
    assert_eq!(rig.order_count(), after, "it trades on; {sent} before: {}", rig.log());
    until("what was under way is canceled too", || rig.open_orders().is_empty().then_some(()));
    engine.signal(Signal::Term);
    until("all processes end", || rig.is_over().then_some(()));
}

fn an_engine_that_is_killed_is_flat() {
    let rig = Rig::new();
    let engine = rig.run();
    rig.await_open_orders();
    engine.signal(Signal::Kill);
    let killed = Instant::now();
    rig.await_empty();
    println!("SIGKILL to no open order: {:?}", killed.elapsed());
    until("FLAT is said", || rig.said("FLAT: every venue has confirmed twice").then_some(()));
    until("all processes end", || rig.is_over().then_some(()));
    assert_eq!(rig.watchdog()["latch"]["is_flat"], true, "{}", rig.state());
    assert_eq!(rig.watchdog()["quarantined"], serde_json::json!({}));
}

fn an_engine_that_stops_in_order_needs_no_watchdog() {
    let rig = Rig::new();
    let engine = rig.run();
    rig.await_open_orders();
    engine.signal(Signal::Term);
    until("all processes end", || rig.is_over().then_some(()));
    assert!(!rig.said("FLAT") && rig.watchdog()["latch"].is_null(), "{}", rig.log());
    assert!(rig.open_orders().is_empty());
}

fn a_handler_that_never_returns_costs_its_strategy_only() {
    // On threads of their own, risk and gateway run on and obey the alarm; that must not outlive the restart.
    for layout in ["fused", "split"] {
        let rig = Rig::stuck(&format!("layout = {layout:?}"));
        let first = rig.run();
        until("it hangs", || rig.said(stuck::LAST_WORDS).then_some(()));
        let hung = Instant::now();
        assert!(!rig.open_orders().is_empty(), "its order rests");
        rig.await_empty();
        println!("{layout}: hung to no open order: {:?}, of which the stall takes 1 s", hung.elapsed());
        let again = until("it is started again", || rig.pid_after("the engine is started again as process "));
        println!("{layout}: hung to started again: {:?}, of which the patience takes 3 s", hung.elapsed());
        assert_ne!(again, first.pid());
        assert!(rig.watchdog()["quarantined"]["stuck"]["reason"].is_string(), "{}", rig.state());
        let before = rig.order_count();
        rig.await_orders(before + 5);
        assert_eq!(rig.log().matches(stuck::LAST_WORDS).count(), 1, "the other one does not run");
        assert_eq!(rig.log().matches("is started again").count(), 1);
        rig.signal(again, Signal::Term);
        until("all processes end", || rig.is_over().then_some(()));
        assert!(rig.open_orders().is_empty());
    }
}

fn an_engine_that_was_started_again_too_often_stays_down() {
    let rig = Rig::stuck("restarts_per_hour = 0");
    let _engine = rig.run();
    until("it hangs", || rig.said(stuck::LAST_WORDS).then_some(()));
    // Whoever holds the engine's state keeps none of this from the disk.
    let _mid_write = rig.mid_write();
    until("it stays down", || rig.said("FLAT, and the engine stays down").then_some(()));
    until("all processes end", || rig.is_over().then_some(()));
    assert!(rig.open_orders().is_empty());
    assert_eq!(rig.watchdog()["latch"]["is_flat"], true, "{}", rig.state());
    assert!(rig.watchdog()["quarantined"]["stuck"].is_object(), "{}", rig.state());
}

fn a_watchdog_that_is_killed_is_started_again() {
    let rig = Rig::new();
    let engine = rig.run();
    rig.await_open_orders();
    let first = until("a watchdog", || rig.pid_after("the watchdog is process "));
    rig.signal(first, Signal::Kill);
    until("another one", || rig.pid_after("the watchdog is process ").filter(|pid| *pid != first));
    until("it watches", || (rig.log().matches("watching process").count() == 2).then_some(()));
    engine.signal(Signal::Kill);
    rig.await_empty();
    until("all processes end", || rig.is_over().then_some(()));
    assert_eq!(rig.watchdog()["latch"]["is_flat"], true, "{}", rig.state());
}

fn what_a_dead_watchdog_left_is_finished_before_anything_trades() {
    let rig = Rig::new();
    let engine = rig.run();
    rig.await_open_orders();
    let watchdog = until("a watchdog", || rig.pid_after("the watchdog is process "));
    // The venue hangs, so that nothing can be confirmed.
    rig.exchange.signal(Signal::Stop);
    engine.signal(Signal::Kill);
    until("it begins", || (rig.watchdog()["latch"]["is_flat"] == false).then_some(()));
    rig.signal(watchdog, Signal::Kill);
    until("both are dead", || rig.is_over().then_some(()));
    assert!(!rig.said("FLAT"), "{}", rig.log());
    rig.exchange.signal(Signal::Cont);

    let unwatched = rig.run_with(&["--no-watchdog"]);
    until("it refuses", || rig.said("no venue has confirmed since").then_some(()));
    drop(unwatched);
    let next = rig.run();
    until("the next watchdog says FLAT", || rig.said("FLAT: every venue has confirmed twice").then_some(()));
    rig.await_open_orders();
    let log = rig.log();
    let (flat, traded) = (log.find("FLAT: every venue").unwrap(), log.rfind("hot thread").unwrap());
    assert!(flat < traded, "FLAT comes before the engine's threads run: {log}");
    next.signal(Signal::Term);
    until("all processes end", || rig.is_over().then_some(()));
}
