//! One process a journal.

use super::error::JournalError;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file that is locked.
const FILE: &str = "journal.lock";

/// Held by the one process that writes a journal; given back when it is dropped or its process ends, however.
#[derive(Debug)]
pub struct JournalLock {
    _file: Option<File>,
}

impl JournalLock {
    /// Takes the folder, and leaves this process's id in the lock file.
    pub(super) fn take(folder: &Path) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let failed = |error| JournalError::disk(&path.display().to_string(), "locking")(error);
        let options = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options
        };
        let mut file = options().open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(JournalError::Locked { folder: folder.display().to_string(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: Some(file) })
    }

    /// The lock of a disk that no other process can see.
    #[cfg(test)]
    pub(super) fn simulated() -> Self {
        Self { _file: None }
    }
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
