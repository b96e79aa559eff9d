//! `gannet journal`: each subcommand on a journal that a real run wrote, on damaged copies of it, and on a live one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests may wait and print")]

mod rewriting;

use gannet::backtest::Blob;
use gannet::control::journaling::SCHEMA;
use gannet::journal::{
    Disk, FolderDisk, Identity, Log, LogConfig, RISK_STAGE, ScanOptions, Snapshot, append_entry, recover, segment_name,
    write_snapshot,
};
use gannet::types::{Entry, Event, FramePart, InstrumentId, MarketEvent, Timestamp};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use rewriting::{Written, rewrite};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

fn gannet(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gannet"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_LOG");
    command
}

/// `gannet journal COMMAND DIR …`.
fn journal(command: &str, folder: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["journal", command, folder.to_str().unwrap()];
    arguments.extend(more);
    gannet(&arguments).output().expect("it starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn assert_refused(output: &Output, words: &[&str]) {
    let errors = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    for word in words {
        assert!(errors.contains(word), "{word:?} in\n{errors}");
    }
}

/// What it said, of a command that went well.
fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&said(output)).expect("JSON")
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// The journal of a demo of three seconds; made once.
fn demo() -> &'static Path {
    static DEMO: OnceLock<PathBuf> = OnceLock::new();
    DEMO.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("journal-of-a-demo");
        let _ = fs::remove_dir_all(&folder);
        let output =
            gannet(&["demo", "--for", "3s", "--json", "--journal", folder.to_str().unwrap()]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        folder
    })
}

/// A copy of it, without what is only room.
fn copy() -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(demo()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("segment-") || name == "checkpoint" {
            fs::copy(&path, to.path().join(name)).unwrap();
        }
    }
    to
}

/// The segment that the newest records are in.
fn last_segment(folder: &Path) -> PathBuf {
    let headers = lines(&said(&journal("inspect", folder, &["--json"])));
    folder.join(headers.last().unwrap()["file"].as_str().unwrap())
}

/// Where the bytes of a segment end that are not zeros, at a record's edge.
fn written(path: &Path) -> u64 {
    let bytes = fs::read(path).unwrap();
    let last = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    (last as u64 + 1).next_multiple_of(8)
}

/// Every record, by export.
fn records(folder: &Path) -> Vec<Value> {
    let files = tempfile::tempdir().unwrap();
    let file = files.path().join("records.jsonl");
    said(&journal("export", folder, &["--to", file.to_str().unwrap()]));
    lines(&fs::read_to_string(file).unwrap())
}

#[test]
fn a_journal_is_verified_and_shown() {
    let found = json(&journal("verify", demo(), &["--json"]));
    assert_eq!((&found["verdict"], &found["first_seq"]), (&"whole".into(), &1.into()), "{found}");
    assert_eq!(found["records"], found["last_seq"]);
    let (count, stages) = (found["records"].as_u64().unwrap(), &found["stages"]);
    let counts = stages.as_object().unwrap().values().map(|count| count.as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), count);
    for stage in ["control", "risk", "shard-0", "shard-1", "gateway-0"] {
        assert!(stages[stage].as_u64().unwrap() > 0, "{stages}");
    }
    assert_eq!(found["epochs"].as_array().unwrap().len(), 1);
    let shown = said(&journal("verify", demo(), &[]));
    assert!(shown.contains("verdict   whole") && shown.contains("stages    control"), "{shown}");

    let headers = lines(&said(&journal("inspect", demo(), &["--json"])));
    assert_eq!(headers.len() as u64, found["segments"].as_u64().unwrap());
    assert_eq!((&headers[0]["file"], &headers[0]["first_seq"]), (&segment_name(1).into(), &1.into()));
    assert!(said(&journal("inspect", demo(), &[])).contains(&segment_name(1)));

    let start = lines(&said(&journal("inspect", demo(), &["--stage", "control", "--limit", "1", "--json"])));
    assert_eq!(start[0]["kind"], "engine_start");
    assert_eq!(start[0]["instruments"][0]["name"], "simulated:BTCUSDT");
    let one = lines(&said(&journal("inspect", demo(), &["--seq", "7", "--json"])));
    assert_eq!((one.len(), &one[0]["seq"]), (1, &7.into()));
    let some = said(&journal("inspect", demo(), &["--from", "5", "--until", "9"]));
    assert_eq!(some.lines().count(), 5, "{some}");
    assert!(some.trim_start().starts_with("5 "), "{some}");

    let tail = lines(&said(&journal("tail", demo(), &["-n", "5", "--json"])));
    let due: Vec<u64> = (count - 4..=count).collect();
    assert_eq!(tail.iter().map(|line| line["seq"].as_u64().unwrap()).collect::<Vec<_>>(), due);
    assert_eq!(said(&journal("tail", demo(), &[])).lines().count(), 20);
}

#[test]
fn every_record_is_exported_in_both_formats() {
    let files = tempfile::tempdir().unwrap();
    let file = |name: &str| files.path().join(name);
    let count = json(&journal("verify", demo(), &["--json"]))["records"].as_u64().unwrap();
    let to = |name: &str| journal("export", demo(), &["--json", "--to", file(name).to_str().unwrap()]);
    assert_eq!(json(&to("a.jsonl"))["records"], count);
    assert_eq!(json(&to("a.parquet"))["records"], count);
    let written = fs::read_to_string(file("a.jsonl")).unwrap();
    let records = lines(&written);
    assert_eq!(records.len() as u64, count);
    for (record, seq) in records.iter().zip(1_u64..) {
        assert_eq!(record["seq"], seq);
        assert_ne!(record["kind"], "unknown", "{record}");
    }
    let rows = SerializedFileReader::new(fs::File::open(file("a.parquet")).unwrap()).unwrap();
    assert_eq!(u64::try_from(rows.metadata().file_metadata().num_rows()), Ok(count));
    let mut orders = 0;
    for ((row, record), line) in rows.get_row_iter(None).unwrap().zip(&records).zip(written.lines()) {
        let row = row.unwrap();
        assert_eq!(row.get_ulong(0).unwrap(), record["seq"].as_u64().unwrap());
        assert_eq!(row.get_string(1).unwrap(), record["stage"].as_str().unwrap());
        assert_eq!(row.get_string(4).unwrap(), record["kind"].as_str().unwrap());
        assert_eq!(row.get_string(10).unwrap(), line);
        if record["kind"] == "approved" {
            let order = &record["order"];
            orders += 1;
            assert_eq!(row.get_string(5).unwrap(), order["client_order_id"].as_str().unwrap());
            assert_eq!(row.get_string(6).unwrap(), order["instrument"].as_str().unwrap());
            assert_eq!(row.get_long(7).unwrap(), order["price"].as_i64().unwrap());
            assert_eq!(row.get_long(8).unwrap(), order["quantity"].as_i64().unwrap());
            assert_eq!(row.get_string(9).unwrap(), order["side"].as_str().unwrap());
            assert!(order["instrument"].as_str().unwrap().starts_with("simulated:"), "{record}");
        }
    }
    assert!(orders > 0, "the demo sends orders");

    // What became of one order: it is wanted, passes, and is reported on.
    let order = records.iter().find(|record| record["kind"] == "approved").unwrap();
    let id = order["order"]["client_order_id"].as_str().unwrap();
    let story = lines(&said(&journal("inspect", demo(), &["--order", id, "--json"])));
    assert!(story.iter().any(|line| line["kind"] == "update" && line["stage"].as_str().unwrap().starts_with("shard-")));
    // The order of records means something within a stage only.
    let of_risk = story.iter().filter(|line| line["stage"] == "risk");
    let kinds: Vec<&str> = of_risk.map(|line| line["kind"].as_str().unwrap()).collect();
    assert!(kinds.starts_with(&["intent", "approved"]) && kinds.contains(&"gateway"), "{kinds:?}");
    // Names are known though reading begins behind the engine start.
    let seq = order["seq"].to_string();
    let one = lines(&said(&journal("inspect", demo(), &["--seq", &seq, "--json"])));
    assert_eq!(one[0], *order);
}

#[test]
fn a_cut_end_is_told_and_a_cut_journal_is_refused() {
    let folder = copy();
    let count = records(folder.path()).len();
    let path = last_segment(folder.path());
    let segment = path.file_name().unwrap().to_str().unwrap().to_owned();
    let end = written(&path);
    // Half a record behind the last one: what a crash leaves.
    let mut bytes = fs::read(&path).unwrap();
    bytes[end as usize..end as usize + 40].fill(7);
    fs::write(&path, &bytes).unwrap();
    let output = journal("verify", folder.path(), &["--json"]);
    assert_eq!(json(&output)["verdict"], "torn");
    assert!(text(&output.stderr).contains("40 bytes at its end were cut short"), "{}", text(&output.stderr));
    assert_eq!(records(folder.path()).len(), count);
    let tail = journal("tail", folder.path(), &["-n", "1", "--json"]);
    assert_eq!(lines(&said(&tail))[0]["seq"], count);
    assert!(text(&tail.stderr).contains("the next start puts them aside"));

    // Shorter than what was durable.
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(end - 24).unwrap();
    let files = tempfile::tempdir().unwrap();
    let to = files.path().join("records.jsonl");
    for output in [
        journal("verify", folder.path(), &[]),
        journal("export", folder.path(), &["--to", to.to_str().unwrap()]),
        journal("tail", folder.path(), &[]),
        journal("prune", folder.path(), &["--below", "5"]),
    ] {
        assert_refused(&output, &["JOURNAL_CORRUPT", &segment, "offset", "keep a copy"]);
    }
    assert_eq!(fs::read_dir(files.path()).unwrap().count(), 0, "no file, not even in part");
}

#[test]
fn one_flipped_bit_is_refused_with_its_place() {
    let folder = copy();
    let all = records(folder.path());
    // In the newest segment, which is all that tail reads.
    let newest = &all.last().unwrap()["segment"];
    let within: Vec<&Value> = all.iter().filter(|record| record["segment"] == *newest).collect();
    let hit = within[within.len() / 2];
    let offset = hit["offset"].as_u64().unwrap();
    let path = folder.path().join(segment_name(hit["segment"].as_u64().unwrap()));
    let mut bytes = fs::read(&path).unwrap();
    bytes[offset as usize + 49] ^= 4;
    fs::write(&path, bytes).unwrap();
    let place = format!("{} at offset {offset}, sequence {}", path.file_name().unwrap().to_str().unwrap(), hit["seq"]);
    let files = tempfile::tempdir().unwrap();
    let to = files.path().join("records.parquet");
    for output in [
        journal("verify", folder.path(), &["--json"]),
        journal("export", folder.path(), &["--to", to.to_str().unwrap()]),
        journal("inspect", folder.path(), &["--stage", "risk"]),
        journal("tail", folder.path(), &[]),
        journal("prune", folder.path(), &["--below", "5"]),
    ] {
        assert_refused(&output, &["JOURNAL_CORRUPT", &place, "checksum"]);
    }
    assert!(!to.exists());
    // What stands before it can still be looked at.
    let before = (hit["seq"].as_u64().unwrap() - 1).to_string();
    assert_eq!(said(&journal("inspect", folder.path(), &["--seq", &before])).lines().count(), 1);
}

#[test]
fn what_is_no_journal_is_told_with_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let file = empty.path().join("x");
    for command in ["verify", "inspect", "tail", "prune"] {
        assert_refused(&journal(command, empty.path(), &[]), &["no journal in it", "gannet demo --journal DIR"]);
        assert_refused(&journal(command, &empty.path().join("gone"), &[]), &["no such folder", "gannet-data/journal"]);
        assert_refused(&journal(command, Path::new(env!("CARGO_BIN_EXE_gannet")), &[]), &["is a file", "the folder"]);
    }
    assert_refused(&journal("export", demo(), &["--to", file.to_str().unwrap()]), &["--format", ".parquet"]);
    assert_refused(&journal("export", demo(), &["--to", "/nowhere/x.jsonl"]), &["/nowhere/x.jsonl", "folder"]);
    let inside = demo().join("x.jsonl");
    assert_refused(&journal("export", demo(), &["--to", inside.to_str().unwrap()]), &["elsewhere"]);
    assert_refused(&journal("inspect", demo(), &["--seq", "99999999"]), &["ends with sequence", "earlier"]);
    assert_refused(&journal("inspect", demo(), &["--from", "9", "--until", "8"]), &["turn them round"]);
    assert_refused(&journal("prune", demo(), &["--below", "99999999"]), &["behind its end"]);
    for (more, words) in [
        (&["--stage", "rsik"][..], "risk, shard-0, gateway-0, control, journal"),
        (&["--order", "17"], "16 hexadecimal digits"),
        (&["--seq", "0"], "1.."),
        (&["--seq", "1", "--from", "1"], "--from"),
    ] {
        let output = journal("inspect", demo(), more);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}

#[test]
fn every_subcommand_has_examples() {
    for command in ["verify", "inspect", "export", "tail", "prune"] {
        let help = said(&gannet(&["journal", command, "--help"]).output().unwrap());
        assert!(help.contains("Examples:") && help.contains(&format!("gannet journal {command}")), "{help}");
    }
    assert!(said(&gannet(&["journal", "--help"]).output().unwrap()).contains("gannet journal verify"));
}

/// One engine start with so many entries, in segments of the smallest size.
fn write_epoch(folder: &Path, epoch: u32, count: u64) -> Log {
    let disk = Arc::new(FolderDisk::create(folder).unwrap());
    let engine_id = [7; 16];
    let options = ScanOptions { engine_id: Some(engine_id), ..ScanOptions::default() };
    let lock = disk.lock().unwrap();
    let recovered = recover(disk.as_ref(), lock, &options, &mut |_, _| {}).unwrap();
    let config = LogConfig { segment_bytes: 16 << 10, ballast_bytes: 0, low_bytes: 16 << 10, ..LogConfig::default() };
    let identity = Identity { engine_id, epoch, schema_hash: SCHEMA, ..Identity::default() };
    let mut log = Log::open(disk, config, identity, recovered).unwrap();
    append(&mut log, 1, count);
    log
}

fn append(log: &mut Log, from: u64, count: u64) {
    let mut bytes = Vec::new();
    for sequence in from..from + count {
        let entry =
            Entry { sequence, at: Timestamp::from_nanos(sequence), event: Event::Killed { generation: sequence } };
        append_entry(log, RISK_STAGE, &entry, &mut bytes).unwrap();
        if sequence % 50 == 0 {
            log.commit().unwrap();
        }
    }
    log.commit().unwrap();
    log.checkpoint().unwrap();
}

#[test]
fn a_live_journal_is_followed_over_segments_and_engine_starts() {
    let folder = tempfile::tempdir().unwrap();
    let mut log = write_epoch(folder.path(), 1, 30);
    let mut tail = gannet(&["journal", "tail", folder.path().to_str().unwrap(), "-n", "3", "--follow", "--json"]);
    let mut tail = tail.spawn().unwrap();
    let mut out = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut take = |due: std::ops::RangeInclusive<u64>| {
        for seq in due {
            let line: Value = serde_json::from_str(&out.next().expect("a line").unwrap()).unwrap();
            assert_eq!((&line["seq"], &line["kind"]), (&seq.into(), &"killed".into()));
        }
    };
    take(28..=30);
    append(&mut log, 31, 470);
    assert!(log.segment().number > 2, "it has rolled");
    take(31..=500);
    log.close().unwrap();
    let log = write_epoch(folder.path(), 2, 10);
    take(501..=510);
    let sent = Command::new("sh").args(["-c", &format!("kill -INT {}", tail.id())]).status().unwrap();
    assert!(sent.success());
    assert_eq!(tail.wait().unwrap().code(), Some(0), "Ctrl-C is how it ends");
    drop(log);
    let found = json(&journal("verify", folder.path(), &["--json"]));
    assert_eq!(found["epochs"], serde_json::json!([1, 2]));
}

#[test]
fn only_what_is_in_two_snapshots_and_kept_elsewhere_is_pruned() {
    let folder = tempfile::tempdir().unwrap();
    let log = write_epoch(folder.path(), 1, 1_000);
    let segments = || -> Vec<String> {
        let names = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("segment-")).collect();
        names.sort();
        names
    };
    let all = segments();
    assert!(all.len() > 5, "{all:?}");
    let prune = |more: &[&str]| said(&journal("prune", folder.path(), more));
    assert!(prune(&[]).contains("nothing is acknowledged"));
    assert!(prune(&["--below", "1001"]).contains("2 snapshots that hold, and there are 0"));
    for seq in [400, 900] {
        let snapshot = Snapshot { engine_id: [7; 16], seq, chain: 0, state_hash: 0, bytes: vec![1; 100] };
        write_snapshot(log.disk().as_ref(), &snapshot, log.durable_seq()).unwrap();
    }
    assert!(prune(&["--below", "50"]).contains("only what is below 50"));
    let dry = prune(&["--below", "1001", "--dry-run"]);
    assert!(dry.contains(&format!("would delete {}, sequences 1 to ", segment_name(1))), "{dry}");
    assert_eq!(segments(), all);
    // The engine still has the journal.
    let done: Value = serde_json::from_str(&prune(&["--below", "1001", "--json"])).unwrap();
    let gone: Vec<&str> =
        done["segments"].as_array().unwrap().iter().map(|gone| gone["file"].as_str().unwrap()).collect();
    assert!(
        !gone.is_empty()
            && done["segments"].as_array().unwrap().iter().all(|gone| gone["last_seq"].as_u64() <= Some(400))
    );
    assert_eq!(segments(), all[gone.len()..]);
    assert!(prune(&["--below", "1001"]).contains("only what is below 1001 and in the snapshot of 400"));
    drop(log);
    let found = json(&journal("verify", folder.path(), &["--json"]));
    assert_eq!((&found["verdict"], found["last_seq"].as_u64()), (&"whole".into(), Some(1_000)));
    assert_refused(&journal("inspect", folder.path(), &["--seq", "1"]), &["begins with sequence"]);
    let first = found["first_seq"].as_u64().unwrap();
    assert_eq!(records(folder.path()).len() as u64, 1_001 - first);
}

/// `gannet replay DIR --json`, and what it says of it all on standard error.
fn replay(folder: &Path) -> (Value, String) {
    let output = gannet(&["replay", folder.to_str().unwrap(), "--json"]).output().unwrap();
    let found: Value = serde_json::from_str(&text(&output.stdout)).expect("JSON");
    assert_eq!(output.status.code(), Some(i32::from(found["identical"] != true)), "{found}");
    (found, text(&output.stderr))
}

/// What was replayed of a stage.
fn stage<'a>(found: &'a Value, name: &str) -> &'a Value {
    found["stages"].as_array().unwrap().iter().find(|stage| stage["stage"] == name).expect("the stage")
}

#[test]
fn risk_and_every_shard_and_gateway_replay_to_what_they_were() {
    let (found, _) = replay(demo());
    assert_eq!(found["identical"], true, "{found}");
    assert_eq!(found["stages"].as_array().unwrap().len(), 4);
    for name in ["risk", "gateway-0"] {
        let of = stage(&found, name);
        assert_eq!((&of["replayed"], &of["stopped"]), (&of["records"], &serde_json::json!([])), "{of}");
    }
    for name in ["shard-0", "shard-1"] {
        let shard = stage(&found, name);
        // Only on a machine that is busy beyond measure is anything left out.
        let stopped = shard["stopped"].as_array().unwrap();
        assert!(stopped.iter().all(|stop| stop["reason"] == "gap"), "{shard}");
        assert!(shard["replayed"] == shard["records"] || !stopped.is_empty(), "{shard}");
    }
    let told = said(&gannet(&["replay", demo().to_str().unwrap()]).output().unwrap());
    assert!(told.contains("shard-1 ") && told.contains(": identical"), "{told}");
    let all = records(demo());
    let left = all.iter().find(|record| record["kind"] == "strategies_left").expect("it stopped in order");
    assert_eq!(
        (&left["strategies"][0]["strategy"], &left["strategies"][0]["state"]),
        (&"maker".into(), &"saved".into())
    );
}

#[test]
fn a_market_that_was_another_is_found_with_stage_and_strategy() {
    let folder = tempfile::tempdir().unwrap();
    let mut seen = 0;
    rewrite(demo(), folder.path(), |written| {
        if let Written::Entry(stamp, Event::Market { message, .. }) = written
            && let MarketEvent::Quote(quote) = &mut message.event
            && stamp.stage == gannet::journal::shard_stage(0)
            // What the maker trades; the shard marks another instrument besides, whose mid is a rate and nobody's there.
            && message.instrument == InstrumentId(0)
        {
            seen += 1;
            // Early: on a machine that is busy beyond measure, market data is left out soon.
            if seen > 5 {
                quote.bid.0 -= quote.bid.0 / 100;
                quote.ask.0 -= quote.ask.0 / 100;
            }
        }
    });
    let (found, told) = replay(folder.path());
    let first = &found["first_difference"];
    assert_eq!(
        (&found["identical"], &first["stage"], &first["strategy"]),
        (&false.into(), &"shard-0".into(), &"maker".into())
    );
    assert!(told.contains("stage shard-0, strategy maker"), "{told}");
}

/// The demo's journal with the gateway's entries edited.
fn with_gateway(edit: impl Fn(&mut Event)) -> (Value, String) {
    let folder = tempfile::tempdir().unwrap();
    rewrite(demo(), folder.path(), |written| {
        if let Written::Entry(stamp, event) = written
            && stamp.stage == gannet::journal::gateway_stage(0)
        {
            edit(event);
        }
    });
    replay(folder.path())
}

#[test]
fn a_frame_that_was_another_is_found_with_stage_and_sequence() {
    // What is filled in all, as the venue says it.
    let (found, told) = with_gateway(|event| {
        if let Event::Frame { part, .. } = event
            && let Some(place) = part.as_bytes().windows(5).position(|window| window == b"\"z\":\"")
        {
            let mut bytes = part.as_bytes().to_vec();
            if let Some(digit) = bytes.get_mut(place + 5) {
                *digit = if *digit == b'9' { b'8' } else { b'9' };
            }
            *part = FramePart::default();
            part.push(&bytes);
        }
    });
    let first = &found["first_difference"];
    assert_eq!((&found["identical"], &first["stage"]), (&false.into(), &"gateway-0".into()), "{found}");
    assert!(first["sequence"].as_u64() > Some(0) && first["recorded"] != first["replayed"], "{first}");
    assert!(told.contains("stage gateway-0"), "{told}");
}

#[test]
fn a_gateway_that_lacks_entries_is_replayed_up_to_there_and_all_else_to_the_end() {
    let (found, told) = with_gateway(|event| {
        if let Event::Connected { .. } = event {
            *event = Event::Gap { count: 3 };
        }
    });
    assert_eq!(found["identical"], true, "{found}{told}");
    let gateway = stage(&found, "gateway-0");
    assert_eq!(gateway["stopped"][0]["reason"], "gap", "{gateway}");
    assert!(gateway["replayed"].as_u64() < gateway["records"].as_u64(), "{gateway}");
    assert_eq!(stage(&found, "risk")["records"], stage(&found, "risk")["replayed"]);
}

#[test]
fn frames_are_shown_and_no_key_is_kept() {
    let all = records(demo());
    let of_gateway = || all.iter().filter(|record| record["stage"] == "gateway-0");
    for kind in ["connected", "frame", "order", "hash"] {
        assert!(of_gateway().any(|record| record["kind"] == kind), "{kind}");
    }
    let frame = of_gateway().find(|record| record["kind"] == "frame").unwrap();
    assert!(frame["part"].as_str().unwrap().starts_with("{\""), "{frame}");
    let order = of_gateway().find(|record| record["kind"] == "order").unwrap();
    let id = order["order"]["client_order_id"].as_str().unwrap();
    let story = lines(&said(&journal("inspect", demo(), &["--order", id, "--stage", "gateway-0", "--json"])));
    assert!(story.iter().any(|line| line["kind"] == "order"), "{story:?}");
    // The answer to the log on names the key: blanked, or not there at all.
    let kept: String = of_gateway().filter_map(|record| record["part"].as_str()).collect();
    let named: Vec<&str> = kept.split("\"apiKey\":\"").skip(1).collect();
    assert!(!named.is_empty() && named.iter().all(|rest| rest.starts_with('*')), "{named:?}");
}

#[test]
fn a_parameter_that_was_another_is_found_and_an_edited_file_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let edit = |to: &str, edit: &dyn Fn(&mut gannet::backtest::InstanceStart)| {
        let to = folder.path().join(to);
        rewrite(demo(), &to, |written| {
            if let Written::Blob(_, blob) = written
                && let Blob::Start(start) = blob.as_mut()
            {
                start.shards.iter_mut().flatten().filter(|instance| instance.kind == "market_maker").for_each(edit);
            }
        });
        replay(&to).0
    };
    let found = edit("params", &|instance| {
        let mut params: Value = serde_json::from_str(&instance.params).unwrap();
        params["half_spread_ppm"] = 5_000.into();
        instance.params = params.to_string();
    });
    let first = &found["first_difference"];
    assert_eq!((&first["stage"], &first["strategy"]), (&"shard-0".into(), &"maker".into()), "{found}");
    let found = edit("file", &|instance| instance.file_hash[3] ^= 1);
    assert_eq!(found["identical"], true, "{found}");
    let shard = stage(&found, "shard-0");
    assert_eq!((&shard["replayed"], &shard["stopped"][0]["reason"]), (&0.into(), &"edited".into()), "{shard}");
    assert_eq!(shard["stopped"][0]["strategy"], "maker");
    assert_eq!(stage(&found, "risk")["records"], stage(&found, "risk")["replayed"]);
    // As it was: it is the rewriting of nothing that changes nothing.
    assert_eq!(edit("same", &|_| {})["identical"], true);
}
