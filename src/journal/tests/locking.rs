//! J10: two processes on one journal.

use super::*;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

const FOLDER: &str = "GANNET_TEST_JOURNAL";

/// Not a test of its own: what the other process runs. It takes the journal, says so, and stays.
#[test]
fn the_other_process() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let disk = FolderDisk::create(folder).expect("made");
    let _lock = disk.lock().expect("free");
    println!("\nheld");
    std::thread::park_timeout(std::time::Duration::from_secs(60));
}

fn other_process(folder: &std::path::Path) -> Child {
    let program = std::env::current_exe().expect("this program");
    let name = format!("{}::the_other_process", module_path!().split_once("::").expect("a module").1);
    let mut child = Command::new(program)
        .args(["--exact", &name, "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text") == "held"), "it took the journal");
    child
}

#[test]
fn the_second_process_is_refused_and_told_of_the_first_and_a_killed_one_leaves_it_free() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk = FolderDisk::create(folder.path()).expect("made");
    let rounds = 20;
    for _ in 0..rounds {
        let mut child = other_process(folder.path());
        let locked = JournalError::Locked { folder: folder.path().display().to_string(), holder: Some(child.id()) };
        assert_eq!(disk.lock().expect_err("held"), locked);
        // Readers need no lock.
        assert!(verify(&disk, &ScanOptions::default(), &mut |_| {}).is_flawless());
        child.kill().expect("kill -9");
        child.wait().expect("dead");
        drop(disk.lock().expect("free"));
    }
    println!("J10: {rounds} rounds");
}

#[test]
fn the_lock_is_kept_by_the_log_and_given_back_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::create(folder.path()).expect("made"));
    let (recovered, _) = try_recover(disk.as_ref()).expect("new");
    assert!(disk.lock().is_err());
    let log = Log::open(Arc::clone(&disk), config(16 << 10), identity(1), recovered).expect("opens");
    assert_eq!(disk.lock().expect_err("held").code(), "JOURNAL_LOCKED");
    log.close().expect("closes");
    disk.lock().expect("free");
}
