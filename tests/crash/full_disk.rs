//! A disk that is full in earnest: a file system of its own (in memory), filled to its last block while the engine trades.

use super::{Drill, PATIENCE, Process};
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A small file system, gone with its owner.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// `None` where this process may not mount one.
    fn mount(folder: &Path, mebibytes: u64) -> Option<Self> {
        fs::create_dir(folder).unwrap();
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(folder).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Takes all the room that there is, until it is released.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).unwrap();
        let mut piece = 1 << 20;
        while piece > 0 {
            if file.write_all(&vec![1; piece]).is_err() {
                piece /= 2;
            }
        }
    }

    fn release(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there does not keep it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// What a running engine shows.
fn shown(data: &Path) -> Value {
    let text = fs::read_to_string(data.join("status.json")).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

fn wait_for(what: &str, data: &Path, log: &Path, is_so: impl Fn(&Value) -> bool) {
    let started = Instant::now();
    while !is_so(&shown(data)) {
        let told = fs::read_to_string(log).unwrap_or_default();
        assert!(started.elapsed() < PATIENCE, "{what}: {}\n{told}", shown(data));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn denied(shown: &Value) -> u64 {
    shown["denied"]["JOURNAL_UNAVAILABLE"].as_u64().unwrap_or(0)
}

fn is_told(shown: &Value) -> bool {
    shown["breakers"]["JOURNAL_UNAVAILABLE"].is_string()
}

#[test]
fn a_full_disk_stops_new_orders_and_nothing_else_until_there_is_room() {
    let mut drill = Drill::new();
    // Room for market data while it trades: some 20 MB a second.
    let small = drill.folder.path().join("small");
    let Some(disk) = SmallDisk::mount(&small, 1_024) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    drill.journal = small.join("journal");
    let (data, log) = (drill.folder.path().join("data"), drill.folder.path().join("engine.log"));
    let mut command = drill.engine("600s");
    command.arg("--data").arg(&data).stdout(Stdio::piped()).stderr(File::create(&log).unwrap());
    let mut engine = Process(command.spawn().unwrap());
    wait_for("it trades", &data, &log, |shown| shown["open_orders"].as_u64() > Some(0));
    disk.fill();
    wait_for("new orders are denied", &data, &log, |shown| denied(shown) > 0 && is_told(shown));
    // What rests is canceled or filled, and both are written down: there is room for that.
    disk.release();
    wait_for("it takes orders again", &data, &log, |shown| !is_told(shown));
    wait_for("it trades again", &data, &log, |shown| shown["open_orders"].as_u64() > Some(0));
    let pid = engine.0.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut engine.0.stdout.take().unwrap(), &mut text).unwrap();
    let told = fs::read_to_string(&log).unwrap();
    assert!(engine.0.wait().unwrap().success(), "{text}{told}");
    let summary: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(summary["venue_agrees"], true, "{summary}");
    let replay = drill.replay();
    assert_eq!(replay["identical"], true, "{replay}");
    println!("{} orders denied while the disk was full, {} sent", denied(&shown(&data)), drill.order_ids());
}

#[test]
fn a_disk_without_room_for_a_journal_is_refused_before_anything_is_traded() {
    let mut drill = Drill::new();
    let small = drill.folder.path().join("small");
    let Some(_disk) = SmallDisk::mount(&small, 4) else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    drill.journal = small.join("journal");
    let mut command = drill.engine("1s");
    let output = command.arg("--data").arg(drill.folder.path().join("data")).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("JOURNAL_UNAVAILABLE"), "{told}");
}
