//! The kill drill: the real program is killed again and again, at any moment, and goes on from its journal.
//!
//! A simulated exchange lives on in a process of its own. An engine (`gannet demo --exchange … --journal DIR`) trades on it
//! and gets SIGKILL: while it starts, while it recovers, while it trades. Started again on the same journal it has to
//! recover, reconcile and trade on. At the end the books agree with the exchange's to the last unit, every engine start
//! replays to what it decided live, and no client order id was used twice.
//!
//! `GANNET_KILLS=1000` and `GANNET_ROUNDS=20` set the counts, `GANNET_LONG=yes` both; `GANNET_SEED` what is drawn by chance.

#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

mod full_disk;
#[path = "../rewriting/mod.rs"]
mod rewriting;
mod snapshots;

use gannet::backtest::Blob;
use gannet::journal::{Disk, FolderDisk, RISK_STAGE, Reader, crash};
use gannet::types::{Binary, Event};
use rewriting::{Written, rewrite};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// No step takes longer, on however busy a machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// A child that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn gannet() -> Command {
    Command::new(env!("CARGO_BIN_EXE_gannet"))
}

/// An exchange at ten times the recorded pace, and its address. Whoever starts again every second asks more than a venue
/// would let it.
fn exchange(folder: &Path) -> (Process, String) {
    let log = folder.join("exchange.log");
    let out = File::create(&log).unwrap();
    let child = gannet()
        .args(["exchange", "--listen", "127.0.0.1:0", "--speed", "10", "--weight", "10000000"])
        .stdout(out.try_clone().unwrap())
        .stderr(out)
        .spawn()
        .unwrap();
    let process = Process(child);
    let started = Instant::now();
    loop {
        let text = std::fs::read_to_string(&log).unwrap();
        if let Some(rest) = text.split("127.0.0.1:").nth(1) {
            let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
            if rest.len() > port.len() && !port.is_empty() {
                return (process, format!("127.0.0.1:{port}"));
            }
        }
        assert!(started.elapsed() < PATIENCE, "the exchange never listened: {text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Drill {
    folder: tempfile::TempDir,
    journal: PathBuf,
    _exchange: Process,
    address: String,
}

impl Drill {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (exchange, address) = exchange(folder.path());
        Self { journal: folder.path().join("journal"), folder, _exchange: exchange, address }
    }

    fn engine(&self, time: &str) -> Command {
        let mut command = gannet();
        command
            .args(["demo", "--json", "--for", time, "--exchange", &self.address, "--journal"])
            .arg(&self.journal)
            .stdin(Stdio::null());
        command
    }

    /// Runs the engine to its end.
    fn run(&self, time: &str) -> Output {
        self.engine(time).output().unwrap()
    }

    /// Runs the engine and kills it after so long, unless it ended itself, which it must not.
    fn kill_after(&self, round: u64, wait: Duration) {
        let log = self.folder.path().join("engine.log");
        let errors = File::create(&log).unwrap();
        let mut engine = Process(self.engine("600s").stdout(Stdio::null()).stderr(errors).spawn().unwrap());
        std::thread::sleep(wait);
        if let Some(status) = engine.0.try_wait().unwrap() {
            panic!("round {round}: it ended by itself, {status}: {}", std::fs::read_to_string(&log).unwrap());
        }
        engine.0.kill().unwrap();
        engine.0.wait().unwrap();
    }

    fn replay(&self) -> Value {
        let output = gannet().args(["replay", "--json"]).arg(&self.journal).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let replay: Value =
            serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}{}", String::from_utf8_lossy(&output.stderr)));
        // A gateway's always, whatever was killed when, unless the beginning of its start was pruned.
        let gateway = replay["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == "gateway-0");
        let is_whole =
            |stage: &Value| stage["replayed"] == stage["records"] && stage["stopped"] == serde_json::json!([]);
        assert!(replay["passed_over"] != 0 || gateway.is_some_and(is_whole), "{replay}");
        replay
    }

    /// The ids under which orders were sent, over all engine starts: how many, and none twice.
    fn order_ids(&self) -> usize {
        let disk: Arc<dyn Disk> = Arc::new(FolderDisk::existing(self.journal.clone()));
        let mut reader = Reader::open(disk, 0).unwrap().expect("a journal");
        let mut ids = BTreeSet::new();
        while let Some((at, record)) = reader.next().unwrap() {
            if record.entry.stage == RISK_STAGE
                && let Some(Event::Approved { order, .. }) = Event::take(&mut &*record.payload)
            {
                assert!(ids.insert(order.client_order_id), "{} was used twice, at {at}", order.client_order_id);
            }
        }
        ids.len()
    }
}

/// Numbers by chance (Knuth's multiplier), from a seed that is told.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// From 8 ms to 8 s, each doubling as likely as the next.
    fn wait(&mut self) -> Duration {
        let least = 8 << self.below(10);
        Duration::from_millis(least + self.below(least))
    }
}

/// At every crash point, a few times: the engine comes to it and dies, and the next one goes on.
#[test]
fn at_every_crash_point_it_goes_on_from_its_journal() {
    let rounds = number("GANNET_ROUNDS", if is_long() { 20 } else { 1 });
    let drill = Drill::new();
    drill.run("1s");
    let mut hits = 0;
    for round in 0..rounds {
        for point in crash::POINTS {
            // Later rounds come to it later, where it is come to often.
            let often = ["segment", "checkpoint-write", "checkpoint-sync"].iter().any(|kind| point.starts_with(kind));
            let count = if often { 1 + round * 7 % 40 } else { 1 };
            let mut engine = drill.engine("3s");
            engine.env(crash::VARIABLE, format!("{point}:{count}"));
            let output = engine.output().unwrap();
            let is_hit = output.status.signal() == Some(9);
            hits += u64::from(is_hit);
            assert!(is_hit || output.status.success(), "{point}: {}", String::from_utf8_lossy(&output.stderr));
            let after = drill.run("500ms");
            let (text, errors) = (String::from_utf8_lossy(&after.stdout), String::from_utf8_lossy(&after.stderr));
            assert!(after.status.success(), "after {point}: {text}{errors}");
        }
    }
    let replay = drill.replay();
    assert_eq!(replay["identical"], true, "{replay}");
    println!(
        "{hits} deaths at {} crash points, {} engine starts, {} orders",
        crash::POINTS.len(),
        replay["starts"],
        drill.order_ids()
    );
    // What makes a journal is come to only where there is none; the rest is.
    assert!(hits >= rounds * 14, "{hits}");
}

fn is_long() -> bool {
    std::env::var("GANNET_LONG").is_ok_and(|long| long == "yes")
}

fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn whenever_it_is_killed_it_goes_on_from_its_journal() {
    let (kills, seed) = (number("GANNET_KILLS", if is_long() { 1_000 } else { 16 }), number("GANNET_SEED", 1));
    let drill = Drill::new();
    let mut chance = Chance(seed);
    let mut traded = 0;
    for round in 0..kills {
        drill.kill_after(round, chance.wait());
        // Every so often the whole is looked at, so that a fault is found near the kill that made it.
        if round % 16 == 15 {
            let replay = drill.replay();
            assert_eq!(replay["identical"], true, "seed {seed}, after kill {round}: {replay}");
            traded = drill.order_ids();
        }
    }
    let last = drill.run("5s");
    let (text, errors) = (String::from_utf8_lossy(&last.stdout), String::from_utf8_lossy(&last.stderr));
    assert!(last.status.success(), "seed {seed}: {text}{errors}");
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["venue_agrees"], true, "seed {seed}: {summary}");
    let replay = drill.replay();
    assert_eq!(replay["identical"], true, "seed {seed}: {replay}");
    assert!(drill.order_ids() > traded, "it trades on: {summary}");
    println!(
        "{kills} kills, {} engine starts, {} orders, {} records",
        replay["starts"],
        drill.order_ids(),
        replay["records"]
    );
}

/// How each strategy began, by name.
fn beginnings(output: &Output) -> Vec<(String, Value)> {
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}{errors}");
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["venue_agrees"], true, "{summary}");
    let strategies = summary["strategies"].as_array().unwrap();
    strategies
        .iter()
        .map(|strategy| (strategy["name"].as_str().unwrap().to_owned(), strategy["began"].clone()))
        .collect()
}

#[test]
fn strategies_find_what_they_had_come_to_and_an_edited_one_begins_afresh() {
    let drill = Drill::new();
    let how =
        |output: &Output| beginnings(output).into_iter().map(|(_, began)| began["how"].clone()).collect::<Vec<_>>();
    assert_eq!(how(&drill.run("3s")), ["new", "new"]);
    assert_eq!(how(&drill.run("1s")), ["resumed", "resumed"]);
    drill.kill_after(0, Duration::from_secs(6));
    let after_crash = beginnings(&drill.run("1s"));
    for (name, began) in &after_crash {
        // It is replayed, unless the machine was so busy that market data was left out.
        let is_gap = began["because"].as_str().is_some_and(|because| because.contains("lacks market data"));
        assert!(began["how"] == "resumed" || is_gap, "{name}: {began}");
    }
    let replay = drill.replay();
    assert_eq!(replay["identical"], true, "{replay}");

    // One engine start alone in its journal, of a program that had another file of the maker.
    let drill = Drill::new();
    assert_eq!(how(&drill.run("3s")), ["new", "new"]);
    let (journal, before) = (drill.journal.clone(), drill.folder.path().join("before"));
    std::fs::rename(&journal, &before).unwrap();
    rewrite(&before, &journal, |written| {
        if let Written::Blob(_, blob) = written
            && let Blob::Start(start) = blob.as_mut()
        {
            start.shards[0][0].file_hash[0] ^= 1;
        }
    });
    std::fs::rename(before.join("data"), journal.join("data")).unwrap();
    let began = beginnings(&drill.run("2s"));
    assert_eq!(began[0].1["how"], "afresh", "{began:?}");
    assert!(began[0].1["because"].as_str().unwrap().contains("edited"), "{began:?}");
    assert_eq!(began[1].1["how"], "resumed", "{began:?}");
}

#[test]
fn a_second_engine_on_the_same_journal_is_refused() {
    let drill = Drill::new();
    let log = drill.folder.path().join("first.log");
    let first = drill.engine("600s").stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap();
    let first = Process(first);
    let started = Instant::now();
    while !drill.journal.join("segment-0000000001.log").exists() {
        assert!(started.elapsed() < PATIENCE, "{}", std::fs::read_to_string(&log).unwrap());
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut second = drill.engine("1s");
    // Another data directory, so that it is the journal's own lock that refuses.
    let output = second.arg("--data").arg(drill.folder.path().join("other")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("JOURNAL_LOCKED"), "{told}");
    assert!(told.contains(&first.0.id().to_string()), "names the holder: {told}");
    drop(first);
    let freed = drill.run("8s");
    assert!(freed.status.success(), "{}", String::from_utf8_lossy(&freed.stderr));
}
