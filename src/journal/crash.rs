//! Crash points: for the kill drill, which lets the process die just before or after any operation on the journal's disk.
//!
//! `GANNET_CRASH_AT=POINT` or `POINT:N` in the environment: the process kills itself, as nobody can stop it, when it comes to
//! that point for the N-th time. A point is a kind of file, what is done to it, and `before` or `after`. Without the
//! variable nothing of this stands in the way of any operation.

use super::disk::{Disk, DiskFile, FolderDisk};
use super::error::JournalError;
use super::lock::JournalLock;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The variable.
pub const VARIABLE: &str = "GANNET_CRASH_AT";

/// Every point, in the order in which a start comes to them.
pub const POINTS: [&str; 36] = [
    "checkpoint-create-before",
    "checkpoint-create-after",
    "checkpoint-write-before",
    "checkpoint-write-after",
    "checkpoint-sync-before",
    "checkpoint-sync-after",
    "spare-create-before",
    "spare-create-after",
    "spare-write-before",
    "spare-write-after",
    "spare-sync-before",
    "spare-sync-after",
    "spare-rename-before",
    "spare-rename-after",
    "folder-sync-before",
    "folder-sync-after",
    "ballast-create-before",
    "ballast-create-after",
    "ballast-write-before",
    "ballast-write-after",
    "segment-write-before",
    "segment-write-after",
    "segment-sync-before",
    "segment-sync-after",
    "snapshots-create-before",
    "snapshots-create-after",
    "snapshots-write-before",
    "snapshots-write-after",
    "snapshots-sync-before",
    "snapshots-sync-after",
    "snapshots-rename-before",
    "snapshots-rename-after",
    "epoch-after",
    "page-before",
    "left-before",
    "left-after",
];

struct Wanted {
    point: String,
    left: AtomicU64,
}

fn wanted() -> Option<&'static Wanted> {
    static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();
    let read = || {
        let text = std::env::var(VARIABLE).ok()?;
        let (point, count) = text.split_once(':').unwrap_or((&text, "1"));
        Some(Wanted { point: point.to_owned(), left: AtomicU64::new(count.parse().unwrap_or(1)) })
    };
    WANTED.get_or_init(read).as_ref()
}

/// The process comes to this point.
pub fn reach(point: &str) {
    if let Some(wanted) = wanted().filter(|wanted| wanted.point == point)
        && wanted.left.fetch_sub(1, Ordering::Relaxed) == 1
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is on its way: nothing more is done.
        loop {
            std::thread::park();
        }
    }
}

/// A folder as a disk: with its crash points where the variable is set.
#[must_use]
pub fn disk(folder: FolderDisk) -> Arc<dyn Disk> {
    if wanted().is_some() { Arc::new(CrashDisk(folder)) } else { Arc::new(folder) }
}

/// What a file is, by its name.
fn kind(name: &str) -> &'static str {
    ["checkpoint", "spare", "ballast", "segment", "quarantine", "snapshots"]
        .into_iter()
        .find(|kind| name.starts_with(kind))
        .unwrap_or("other")
}

fn around<T>(kind: &str, what: &str, act: impl FnOnce() -> T) -> T {
    reach(&format!("{kind}-{what}-before"));
    let done = act();
    reach(&format!("{kind}-{what}-after"));
    done
}

#[derive(Debug)]
struct CrashDisk(FolderDisk);

#[derive(Debug)]
struct CrashFile {
    file: Box<dyn DiskFile>,
    kind: &'static str,
}

impl CrashFile {
    fn boxed(file: Box<dyn DiskFile>, name: &str) -> Box<dyn DiskFile> {
        Box::new(Self { file, kind: kind(name) })
    }
}

impl Disk for CrashDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        self.0.list(folder)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        around(kind(name), "create", || self.0.create(name)).map(|file| CrashFile::boxed(file, name))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open(name)
    }

    fn open_for_writing(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.0.open_for_writing(name).map(|file| CrashFile::boxed(file, name))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        self.0.create_folder(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        around(kind(from), "rename", || self.0.rename(from, to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        around(kind(name), "remove", || self.0.remove(name))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        around("folder", "sync", || self.0.sync_folder(folder))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn lock(&self) -> Result<JournalLock, JournalError> {
        self.0.lock()
    }
}

impl DiskFile for CrashFile {
    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read_at(offset, buffer)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        around(self.kind, "write", || self.file.write_at(offset, bytes))
    }

    fn sync(&self) -> io::Result<()> {
        around(self.kind, "sync", || self.file.sync())
    }
}
