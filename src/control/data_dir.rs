//! The data directory: where the engine keeps what must outlive it, and where operators speak to it.
//!
//! | name | what it is |
//! | --- | --- |
//! | `engine.lock` | held by the engine that runs here, with its process id in it |
//! | `state.json` | what a restart must not forget ([`state`](super::state)) |
//! | `watchdog.json` | what the watchdog must not forget ([`file`](super::watchdog::file)) |
//! | `watchdog.lock` | held by the one watchdog of this directory |
//! | `kill` | a killed scope a line ([`kill_file`](super::kill_file)) |
//! | `requests/` | what operators ask for, signed ([`requests`](super::requests)) |
//! | `status.json` | what the engine shows ([`standing`](super::standing)) |
//! | `audit.jsonl` | who decided what ([`audit`](super::audit)) |
//!
//! Only its owner may enter it. Everything in it is written by few and read by many: a file appears whole or not at all.

use super::state::State;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a writer of the state file waits for another one to finish.
const WRITE_WAIT: Duration = Duration::from_secs(2);
/// The largest file of ours that is read.
pub const FILE_BYTES_MAX: u64 = 16 << 20;

/// Why the data directory, or a file in it, cannot be used: where, what and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataError {
    /// Where.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: &'static str,
}

impl DataError {
    /// A problem of the file at `path`.
    #[must_use]
    pub fn new(path: &Path, problem: impl fmt::Display, remedy: &'static str) -> Self {
        Self { path: path.to_owned(), problem: problem.to_string(), remedy }
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.path.display(), self.problem, self.remedy)
    }
}

impl std::error::Error for DataError {}

/// What to do where the system refuses.
const LOOK: &str = "see that the disk is there, has room, and that this user may write";

/// A data directory, by name. Clones are the same directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir {
    path: PathBuf,
}

/// Held by the one engine that runs on a directory; given back when it is dropped or its process ends, however.
#[derive(Debug)]
pub struct EngineLock {
    _file: File,
}

impl DataDir {
    /// The directory at `path`, whether it is there or not.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of this name in it.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Makes the directory where it is not there yet, for its owner alone, and its first state.
    ///
    /// # Errors
    /// Where it cannot be made, others may enter it, or its state cannot be trusted.
    pub fn create(&self) -> Result<(), DataError> {
        let failed = |error: io::Error| DataError::new(&self.path, error, LOOK);
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path).map_err(failed)?;
        let metadata = fs::metadata(&self.path).map_err(failed)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(DataError::new(&self.path, "others may enter it, and kill or read there", "chmod 700 it"));
        }
        if !self.file(State::FILE).exists() {
            // Whatever was in use has an audit log.
            if self.file(super::audit::FILE).exists() {
                let problem = "is gone, though this directory was in use: kills and limits of the day are not known";
                return Err(DataError::new(&self.file(State::FILE), problem, super::state::RESTORE));
            }
            let first = State::first().map_err(|problem| DataError::new(&self.path, problem, LOOK))?;
            self.replace(State::FILE, &first.to_text())?;
        }
        self.state().map(drop)
    }

    /// Makes a folder in it, for its owner alone, where it is not there yet.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn create_folder(&self, name: &str) -> Result<(), DataError> {
        let path = self.file(name);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|error| DataError::new(&path, error, LOOK))
    }

    /// Takes the directory for this process, as the one engine on it.
    ///
    /// # Errors
    /// Where another engine has it: its process id is named.
    pub fn lock(&self) -> Result<EngineLock, DataError> {
        let path = self.file("engine.lock");
        let failed = |error: io::Error| DataError::new(&path, error, LOOK);
        let mut file = private().read(true).truncate(false).open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file).map_or("a process".to_owned(), |pid| format!("process {pid}"));
                let problem = format!("another engine runs on this data directory: {holder}");
                return Err(DataError::new(&self.path, problem, "stop it, or give this one a data_dir of its own"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(EngineLock { _file: file })
    }

    /// The process id of the engine that runs on this directory now; `None` where none does.
    #[must_use]
    pub fn engine(&self) -> Option<u32> {
        let mut file = OpenOptions::new().read(true).open(self.file("engine.lock")).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => holder(&mut file),
            _ => None,
        }
    }

    /// The state as it is on the disk.
    ///
    /// # Errors
    /// Where it cannot be read, or not be trusted.
    pub fn state(&self) -> Result<State, DataError> {
        let path = self.file(State::FILE);
        let text = self.read(State::FILE)?;
        State::of_text(&text).map_err(|problem| DataError::new(&path, problem, super::state::RESTORE))
    }

    /// Changes the state: reads the newest, lets `change` work on it, and has it on the disk when it answers. One writer
    /// at a time, of whatever process, so that no change is lost. What does not change anything is not written.
    ///
    /// # Errors
    /// Where another writer does not finish in time, where the state cannot be trusted, or the disk refuses. Nothing
    /// was changed then.
    pub fn update_state(&self, change: impl FnOnce(&mut State)) -> Result<State, DataError> {
        let path = self.file("state.lock");
        let failed = |error: io::Error| DataError::new(&path, error, LOOK);
        let file = private().truncate(false).open(&path).map_err(failed)?;
        let deadline = Instant::now() + WRITE_WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(DataError::new(&path, "another process holds it", "see which one hangs, and end it"));
                }
                Err(TryLockError::Error(error)) => return Err(failed(error)),
            }
        }
        let before = self.state()?;
        let mut after = before.clone();
        change(&mut after);
        if after != before {
            self.replace(State::FILE, &after.to_text())?;
        }
        Ok(after)
    }

    /// Puts a file in place whole: written beside it, synced, renamed, and the directory synced.
    ///
    /// # Errors
    /// Where the disk refuses; the old file stands then.
    pub fn replace(&self, name: &str, text: &str) -> Result<(), DataError> {
        self.put(name, text, true)
    }

    /// Puts a file in place whole, but waits for no disk: a loss of power may take it.
    ///
    /// # Errors
    /// Where the disk refuses; the old file stands then.
    pub fn show(&self, name: &str, text: &str) -> Result<(), DataError> {
        self.put(name, text, false)
    }

    fn put(&self, name: &str, text: &str, is_durable: bool) -> Result<(), DataError> {
        let path = self.file(name);
        let beside = path.with_extension("tmp");
        let write = || {
            let mut file = private().truncate(true).open(&beside)?;
            file.write_all(text.as_bytes())?;
            if is_durable {
                file.sync_all()?;
            }
            fs::rename(&beside, &path)?;
            path.parent().filter(|_| is_durable).map_or(Ok(()), sync_folder)
        };
        write().map_err(|error: io::Error| DataError::new(&path, error, LOOK))
    }

    /// Appends a line to a file, and has it on the disk when it answers. One write, so that lines of several processes
    /// never mix.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn append(&self, name: &str, line: &str) -> Result<(), DataError> {
        let path = self.file(name);
        let write = || {
            let is_new = !path.exists();
            let mut file = private().append(true).truncate(false).read(true).open(&path)?;
            // A line that somebody wrote by hand may lack its end.
            let before = if ends_a_line(&mut file)? { "" } else { "\n" };
            file.write_all(format!("{before}{line}\n").as_bytes())?;
            file.sync_all()?;
            if is_new { path.parent().map_or(Ok(()), sync_folder) } else { Ok(()) }
        };
        write().map_err(|error: io::Error| DataError::new(&path, error, LOOK))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where it is not there, cannot be read, or is too large.
    pub fn read(&self, name: &str) -> Result<String, DataError> {
        let path = self.file(name);
        let read = || {
            let file = File::open(&path)?;
            if file.metadata()?.len() > FILE_BYTES_MAX {
                return Err(io::Error::new(ErrorKind::FileTooLarge, "is too large to be ours"));
            }
            let mut text = String::new();
            file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
            Ok(text)
        };
        read().map_err(|error| DataError::new(&path, error, LOOK))
    }
}

/// A file that is made where it is not there, for its owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.create(true).write(true).mode(0o600);
    options
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

/// A name in a directory outlives a loss of power only when the directory was synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn ends_a_line(file: &mut File) -> io::Result<bool> {
    use std::io::{Seek, SeekFrom};
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> (tempfile::TempDir, DataDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().join("data"));
        dir.create().expect("made");
        (folder, dir)
    }

    #[test]
    fn it_is_its_owners_alone() {
        let (_folder, dir) = fresh();
        let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode(dir.path()), 0o700);
        assert_eq!(mode(&dir.file(State::FILE)), 0o600);
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o750)).expect("set");
        assert!(dir.create().expect_err("open to others").to_string().contains("chmod 700"));
    }

    #[test]
    fn the_second_engine_is_refused_and_told_of_the_first() {
        let (_folder, dir) = fresh();
        assert_eq!(dir.engine(), None);
        let lock = dir.lock().expect("free");
        let pid = std::process::id();
        assert_eq!(dir.engine(), Some(pid));
        let refused = dir.lock().expect_err("held").to_string();
        assert!(refused.contains(&format!("process {pid}")), "{refused}");
        drop(lock);
        assert_eq!(dir.engine(), None);
        dir.lock().expect("free again");
    }

    #[test]
    fn no_change_of_many_writers_is_lost() {
        let (_folder, dir) = fresh();
        let writers = (0..4).map(|writer| {
            let dir = dir.clone();
            std::thread::spawn(move || {
                for line in 0..10 {
                    dir.update_state(|state| _ = state.kills.insert(format!("strategy:{writer}-{line}"))).expect("ok");
                }
            })
        });
        writers.collect::<Vec<_>>().into_iter().for_each(|writer| writer.join().expect("done"));
        assert_eq!(dir.state().expect("trusted").kills.len(), 40);
    }

    #[test]
    fn a_directory_that_lost_its_state_is_refused() {
        let (_folder, dir) = fresh();
        dir.append("audit.jsonl", "{}").expect("written");
        fs::remove_file(dir.file(State::FILE)).expect("gone");
        let refused = dir.create().expect_err("in use").to_string();
        assert!(refused.contains("state.json") && refused.contains("backup"), "{refused}");
    }

    #[test]
    fn a_write_that_was_cut_short_leaves_the_old_state() {
        let (_folder, dir) = fresh();
        dir.update_state(|state| state.epoch = 7).expect("written");
        fs::write(dir.file("state.tmp"), "{\"half").expect("written");
        assert_eq!(dir.state().expect("trusted").epoch, 7);
        dir.update_state(|state| state.epoch = 8).expect("written");
        assert_eq!(dir.state().expect("trusted").epoch, 8);
    }

    #[test]
    fn lines_are_appended_whole() {
        let (_folder, dir) = fresh();
        fs::write(dir.file("kill"), "by hand").expect("written");
        dir.append("kill", "engine").expect("written");
        dir.append("kill", "venue:a").expect("written");
        assert_eq!(dir.read("kill").expect("read"), "by hand\nengine\nvenue:a\n");
    }
}
