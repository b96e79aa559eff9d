//! Going on from a snapshot: the newest that holds, the older one, or all there is; it comes to the same.

use super::{Drill, PATIENCE, Process};
use gannet::backtest::History;
use gannet::control::snapshots::open;
use gannet::journal::{Disk, FolderDisk, Reader, newest_snapshot, verified_snapshots};
use gannet::risk::RiskFacts;
use gannet::types::{OrderStatus, Timestamp};
use serde_json::Value;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

impl Drill {
    fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(FolderDisk::existing(self.journal.clone()))
    }

    fn engine_id(&self) -> [u8; 16] {
        Reader::open(self.disk(), 0).unwrap().expect("a journal").segment().identity.engine_id
    }

    /// The files of snapshots, oldest first.
    fn snapshots(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.journal.join("snapshots")) else { return Vec::new() };
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "bin"));
        files.sort();
        files
    }

    /// The sequences of the snapshots, by their files, oldest first.
    fn sequences(&self) -> Vec<u64> {
        let seq = |path: &PathBuf| path.file_stem()?.to_str()?.strip_prefix("snapshot-")?.parse().ok();
        self.snapshots().iter().filter_map(seq).collect()
    }

    /// Runs an engine until the older of its snapshots is so many records behind what was there before, and kills it.
    fn kill_behind_snapshots(&self, records: u64) {
        let (before, log) = (self.sequences().last().copied().unwrap_or(0), self.folder.path().join("engine.log"));
        let mut command = self.engine("600s");
        let errors = File::create(&log).unwrap();
        let mut engine = Process(command.stdout(Stdio::null()).stderr(errors).spawn().unwrap());
        let started = Instant::now();
        while self.sequences().len() < 2 || self.sequences().first() <= Some(&(before + records)) {
            assert!(started.elapsed() < PATIENCE, "{}", fs::read_to_string(&log).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        engine.0.kill().unwrap();
        engine.0.wait().unwrap();
    }

    /// Starts again, for so long, and lets it stop in order: from which record on it read, and what it told. That an order
    /// which was on its way at the kill does not exist is proven after some seconds only; then the books agree.
    fn goes_on(&self, time: &str, is_proven: bool) -> (Option<u64>, String) {
        let output = self.run(time);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
        assert!(!is_proven || summary["venue_agrees"] == true, "{summary}{told}");
        assert!(summary["recovered"]["records"].as_u64() > Some(0), "{summary}");
        (summary["recovered"]["snapshot"].as_u64(), told)
    }
}

/// What risk comes to at the journal's end, from there on.
fn facts(drill: &Drill, mut history: History, from_seq: u64) -> (RiskFacts, u64) {
    let mut reader = Reader::open(drill.disk(), from_seq).unwrap().expect("a journal");
    let mut records = 0;
    while let Some((at, record)) = reader.next().unwrap() {
        history.record(at, &record);
        records += 1;
    }
    history.finish();
    assert_eq!((history.problem.as_ref(), history.difference), (None, None));
    let mut facts = history.replay().expect("an engine start").risk().facts();
    // What is open is in doubt after a restart; that begins at the snapshot or at the crash, and ends with the first round.
    for order in facts.orders.iter_mut().filter(|order| order.status.is_open()) {
        (order.status, order.unknown_since) = (OrderStatus::Unknown, Timestamp::UNKNOWN);
    }
    (facts, records)
}

#[test]
fn a_restart_goes_on_from_the_newest_snapshot_that_holds() {
    let drill = Drill::new();
    drill.kill_behind_snapshots(1);
    // From the snapshot and from the beginning: the same orders, positions, balances, latches.
    let (newest, _) = newest_snapshot(drill.disk().as_ref(), &drill.engine_id(), &mut |_| true).unwrap();
    let newest = newest.expect("a snapshot");
    let (whole, all) = facts(&drill, History::following(), 0);
    let going_on = History::following_from(open(&newest).expect("it holds").0).expect("it can be begun");
    let (rest, some) = facts(&drill, going_on, newest.seq + 1);
    assert!(rest == whole, "{rest:#?}\n  is not {whole:#?}");
    assert_eq!(some, all - newest.seq);
    assert_eq!(drill.goes_on("1s", false).0, Some(newest.seq));

    // The newest is damaged: the one before it.
    drill.kill_behind_snapshots(1);
    let files = drill.snapshots();
    // Two are kept; a kill may have come between a third and the end of the oldest.
    let [.., older, newest] = files.as_slice() else { panic!("{files:?}") };
    let mut bytes = fs::read(newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(newest, &bytes).unwrap();
    let (seq, told) = drill.goes_on("1s", false);
    assert!(older.ends_with(format!("snapshot-{:020}.bin", seq.unwrap())) && told.contains("is passed over"), "{told}");

    // None holds: the journal itself.
    drill.kill_behind_snapshots(1);
    for file in drill.snapshots() {
        fs::write(file, b"nothing").unwrap();
    }
    assert_eq!(drill.goes_on("1s", false).0, None);

    // Segments that are in two snapshots go, the one that the engine started in among them, and it still goes on; replay says
    // what it has not.
    drill.kill_behind_snapshots(300_000);
    let held = verified_snapshots(drill.disk().as_ref(), &drill.engine_id(), 2).unwrap();
    let below = held.last().unwrap().to_string();
    let pruned = super::gannet().args(["journal", "prune", "--json", "--below", &below]).arg(&drill.journal).output();
    let pruned = pruned.unwrap();
    assert!(pruned.status.success(), "{}", String::from_utf8_lossy(&pruned.stderr));
    assert!(!drill.journal.join("segment-0000000001.log").exists(), "{}", String::from_utf8_lossy(&pruned.stdout));
    assert!(drill.goes_on("8s", true).0 >= held.first().copied());
    let replay = drill.replay();
    assert_eq!(replay["identical"], true, "{replay}");
    assert!(replay["passed_over"].as_u64() > Some(0), "{replay}");
}
