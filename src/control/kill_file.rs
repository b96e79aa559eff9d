//! The kill file and the kill signal: the ways to stop that need nothing but a file system.
//!
//! The file `kill` in the data directory has a killed scope a line, appended by `gannet ctl kill` or by hand
//! (`echo engine >> gannet-data/kill`). A plain thread reads it every 2 ms and sets the kill switch: it works while the
//! async thread hangs, without a database, and whoever else is dead. SIGUSR1 kills everything in the same way.
//!
//! A line that names nothing known kills everything: whoever wrote it meant to stop something. Taking a line away by hand
//! releases nothing: the switch stays set, and the state file remembers. A release strikes lines out with a `#`.

use super::data_dir::{DataDir, DataError};
use super::names::{ENGINE, Names};
use crate::risk::{KillScope, KillSwitch};
use signal_hook::consts::SIGUSR1;
use signal_hook::iterator::Signals;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::error;

/// The file's name in the data directory.
pub const FILE: &str = "kill";
/// How often the file is read: 2 ms cost some 0.3 % of a core.
const INTERVAL: Duration = Duration::from_millis(2);
/// A larger file kills everything.
const BYTES_MAX: u64 = 1 << 20;

/// The thread that watches the file. It ends when this is dropped; what is killed stays killed.
pub struct KillWatch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    dir: DataDir,
    names: Names,
    switch: KillSwitch,
    is_over: AtomicBool,
    /// Reading the file and setting the switch are one, so that no reading from before a release is acted on after it.
    pass: Mutex<()>,
}

impl KillWatch {
    /// Kills what the file says, and from then on whatever is added to it.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(dir: DataDir, names: Names, switch: KillSwitch) -> Result<Self, String> {
        let shared = Arc::new(Shared { dir, names, switch, is_over: AtomicBool::new(false), pass: Mutex::new(()) });
        let mut seen = Seen::default();
        shared.pass(&mut seen);
        let watching = Arc::clone(&shared);
        let watch = move || {
            while !watching.is_over.load(Ordering::Relaxed) {
                std::thread::sleep(INTERVAL);
                watching.pass(&mut seen);
            }
        };
        let thread = std::thread::Builder::new().name("kill-watch".to_owned()).spawn(watch);
        let thread = thread.map_err(|error| format!("the thread that watches the kill file: {error}"))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Releases a scope: its lines are struck out, `durable` makes the release outlive the process, and only then the
    /// switch is set back. A line of the same scope that was added meanwhile keeps it killed.
    ///
    /// # Errors
    /// Where the disk refuses, or `durable` does: it stays killed then.
    pub fn release(&self, scope: KillScope, durable: impl FnOnce() -> Result<(), DataError>) -> Result<(), DataError> {
        let Shared { dir, names, switch, pass, .. } = &*self.shared;
        let means = |line: &str| names.scope(line).unwrap_or(KillScope::Engine) == scope;
        strike(dir, means)?;
        durable()?;
        let _pass = pass.lock().unwrap_or_else(PoisonError::into_inner);
        if !lines(dir).is_ok_and(|lines| lines.iter().any(|(_, line)| means(line))) {
            switch.release(scope);
        }
        Ok(())
    }
}

impl Drop for KillWatch {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What was said of the file already, so that it is said once.
#[derive(Default)]
struct Seen {
    lines: Vec<(u64, String)>,
    problem: Option<String>,
}

impl Shared {
    /// Reads the file once and kills what it says. A file that cannot be read kills everything.
    fn pass(&self, seen: &mut Seen) {
        let _pass = self.pass.lock().unwrap_or_else(PoisonError::into_inner);
        match lines(&self.dir) {
            Ok(lines) => {
                for (place, line) in &lines {
                    let is_new = !seen.lines.iter().any(|(old, text)| (old, text) == (place, line));
                    let scope = self.names.scope(line);
                    if is_new {
                        self.switch.kill(scope.unwrap_or(KillScope::Engine));
                        match scope {
                            Some(_) => error!("KILL {line}: asked for by the kill file"),
                            None => error!("KILL {ENGINE}: the kill file names {line:?}, which is nothing known here"),
                        }
                    }
                }
                (seen.lines, seen.problem) = (lines, None);
            }
            Err(problem) => {
                let problem = problem.to_string();
                if seen.problem.as_ref() != Some(&problem) {
                    self.switch.kill(KillScope::Engine);
                    error!("KILL {ENGINE}: the kill file cannot be read: {problem}");
                    seen.problem = Some(problem);
                }
            }
        }
    }
}

/// Every line that kills, with its place in the file.
fn lines(dir: &DataDir) -> io::Result<Vec<(u64, String)>> {
    let mut bytes = Vec::new();
    match File::open(dir.file(FILE)) {
        Ok(file) => file.take(BYTES_MAX + 1).read_to_end(&mut bytes)?,
        // No file kills nothing; no directory is another thing.
        Err(error) if error.kind() == ErrorKind::NotFound => std::fs::metadata(dir.path()).map(|_| 0)?,
        Err(error) => return Err(error),
    };
    if bytes.len() as u64 > BYTES_MAX {
        return Err(ErrorKind::FileTooLarge.into());
    }
    let mut place = 0;
    let mut lines = Vec::new();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = String::from_utf8_lossy(line).trim().to_owned();
        if !text.is_empty() && !line.starts_with(b"#") {
            lines.push((place, text));
        }
        place += line.len() as u64;
    }
    Ok(lines)
}

/// Strikes out the lines that `means` picks, by one byte each: nothing that others append meanwhile is lost, and a crash
/// leaves whole lines.
fn strike(dir: &DataDir, means: impl Fn(&str) -> bool) -> Result<(), DataError> {
    let path = dir.file(FILE);
    let strike = || {
        let picked: Vec<u64> =
            lines(dir)?.into_iter().filter(|(_, line)| means(line)).map(|(place, _)| place).collect();
        if picked.is_empty() {
            return Ok(());
        }
        let file = OpenOptions::new().write(true).open(&path)?;
        for place in picked {
            file.write_all_at(b"#", place)?;
        }
        file.sync_all()
    };
    strike()
        .map_err(|error: io::Error| DataError::new(&path, error, "it stays killed; see that this user may write it"))
}

/// Asks for a kill: a line in the file, on the disk when this answers.
///
/// # Errors
/// Where the directory is not there, or the disk refuses.
pub fn request(dir: &DataDir, scope: &str) -> Result<(), DataError> {
    dir.append(FILE, scope.trim())
}

/// Whether the file asks for this scope.
#[must_use]
pub fn asks_for(dir: &DataDir, scope: &str) -> bool {
    lines(dir).is_ok_and(|lines| lines.iter().any(|(_, line)| line == scope))
}

/// From now on SIGUSR1 kills everything, for as long as the process lives. A plain thread: first the switch, then the
/// file, so that it stays killed.
///
/// # Errors
/// Where the system refuses the signal or a thread.
pub fn on_signal(switch: KillSwitch, dir: DataDir) -> Result<(), String> {
    let mut signals = Signals::new([SIGUSR1]).map_err(|error| format!("SIGUSR1 cannot be listened to: {error}"))?;
    let listen = move || {
        for _ in signals.forever() {
            switch.kill(KillScope::Engine);
            error!("KILL {ENGINE}: SIGUSR1");
            if let Err(problem) = request(&dir, ENGINE) {
                error!("it may not outlive this process: {problem}");
            }
        }
    };
    let thread = std::thread::Builder::new().name("kill-signal".to_owned()).spawn(listen);
    thread.map(drop).map_err(|error| format!("the thread that listens to SIGUSR1: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, StrategyId, VenueId};
    use std::time::Instant;

    struct Scene {
        _folder: tempfile::TempDir,
        dir: DataDir,
        switch: KillSwitch,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let dir = DataDir::new(folder.path().join("data"));
            dir.create().expect("made");
            Self { _folder: folder, dir, switch: KillSwitch::new() }
        }

        fn watch(&self) -> KillWatch {
            let names = Names {
                venues: vec!["a".to_owned()],
                instruments: vec!["a:X".to_owned(), "a:Y".to_owned()],
                strategies: vec!["one".to_owned(), "two".to_owned()],
            };
            KillWatch::start(self.dir.clone(), names, self.switch.clone()).expect("a thread")
        }

        /// How long it takes until a scope is killed.
        fn until(&self, scope: KillScope) -> Duration {
            let started = Instant::now();
            while !self.switch.read().has(scope) {
                assert!(started.elapsed() < Duration::from_secs(60), "{scope:?} is never killed");
                std::thread::yield_now();
            }
            started.elapsed()
        }
    }

    /// Long enough for many passes.
    fn settle() {
        std::thread::sleep(INTERVAL * 20);
    }

    #[test]
    fn a_line_kills_its_scope_and_no_other() {
        let scene = Scene::new();
        let _watch = scene.watch();
        let mut killed = Vec::new();
        for (line, scope) in [
            ("strategy:two", KillScope::Strategy(StrategyId(1))),
            ("instrument:a:Y", KillScope::Instrument(InstrumentId(1))),
            ("account:a", KillScope::Account(VenueId(0))),
            ("venue:a", KillScope::Venue(VenueId(0))),
            ("engine", KillScope::Engine),
        ] {
            assert!(!scene.switch.read().has(scope));
            request(&scene.dir, line).expect("written");
            scene.until(scope);
            killed.push(scope);
            let now = scene.switch.read();
            assert!(killed.iter().all(|scope| now.has(*scope)));
        }
        assert!(!scene.switch.read().has(KillScope::Strategy(StrategyId(0))));
    }

    #[test]
    fn what_names_nothing_known_kills_everything() {
        for line in ["strategy:three", "stop", "\u{fffd}", "engine please"] {
            let scene = Scene::new();
            let _watch = scene.watch();
            std::fs::write(scene.dir.file(FILE), line).expect("written");
            scene.until(KillScope::Engine);
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_kills_everything() {
        let scene = Scene::new();
        let _watch = scene.watch();
        settle();
        assert!(!scene.switch.read().any(), "no file kills nothing");
        std::fs::create_dir(scene.dir.file(FILE)).expect("made");
        scene.until(KillScope::Engine);

        let scene = Scene::new();
        let _watch = scene.watch();
        std::fs::remove_dir_all(scene.dir.path()).expect("gone");
        scene.until(KillScope::Engine);
    }

    #[test]
    fn lines_from_before_the_start_count_and_taking_them_away_releases_nothing() {
        let scene = Scene::new();
        request(&scene.dir, "strategy:one").expect("written");
        let _watch = scene.watch();
        let scope = KillScope::Strategy(StrategyId(0));
        assert!(scene.switch.read().has(scope), "killed before the start is over");
        std::fs::remove_file(scene.dir.file(FILE)).expect("gone");
        settle();
        assert!(scene.switch.read().has(scope));
    }

    #[test]
    fn a_release_strikes_out_its_lines_alone_and_a_new_kill_works() {
        let scene = Scene::new();
        let watch = scene.watch();
        for line in ["strategy:one", "venue:a", "nonsense", "strategy:one", "engine"] {
            request(&scene.dir, line).expect("written");
        }
        let (strategy, venue) = (KillScope::Strategy(StrategyId(0)), KillScope::Venue(VenueId(0)));
        scene.until(KillScope::Engine);
        watch.release(strategy, || Ok(())).expect("released");
        settle();
        let now = scene.switch.read();
        assert_eq!([strategy, venue, KillScope::Engine].map(|scope| now.has(scope)), [false, true, true]);
        // What was nothing known killed everything, and is released with it.
        watch.release(KillScope::Engine, || Ok(())).expect("released");
        settle();
        let now = scene.switch.read();
        assert_eq!([strategy, venue, KillScope::Engine].map(|scope| now.has(scope)), [false, true, false]);
        request(&scene.dir, "strategy:one").expect("written");
        scene.until(strategy);
    }

    #[test]
    fn a_release_that_is_not_durable_is_none() {
        let scene = Scene::new();
        let watch = scene.watch();
        request(&scene.dir, "engine").expect("written");
        scene.until(KillScope::Engine);
        let refused = DataError::new(scene.dir.path(), "full", "make room");
        assert_eq!(watch.release(KillScope::Engine, || Err(refused.clone())), Err(refused));
        assert!(scene.switch.read().has(KillScope::Engine));
    }

    #[test]
    fn a_kill_while_a_release_goes_on_is_not_lost() {
        let scene = Scene::new();
        let watch = scene.watch();
        request(&scene.dir, "engine").expect("written");
        scene.until(KillScope::Engine);
        watch.release(KillScope::Engine, || request(&scene.dir, "engine")).expect("struck out");
        settle();
        assert!(scene.switch.read().has(KillScope::Engine));
    }

    /// Prints how long a kill takes from the write to the switch; run with `--ignored --nocapture`.
    #[test]
    #[ignore = "a measurement"]
    fn reaction_time() {
        let mut times: Vec<Duration> = (0..500)
            .map(|_| {
                let scene = Scene::new();
                let _watch = scene.watch();
                std::thread::sleep(Duration::from_micros(u64::from(scene.dir.path().as_os_str().len() as u32 * 37)));
                std::fs::write(scene.dir.file(FILE), "engine\n").expect("written");
                scene.until(KillScope::Engine)
            })
            .collect();
        times.sort_unstable();
        println!("kill file to switch: p50 {:?}, p99 {:?}, max {:?}", times[250], times[495], times[499]);
    }
}
