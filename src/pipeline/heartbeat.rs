//! Heartbeats in shared memory: how another process sees whether the hot threads run, and which strategy they are in.
//!
//! One page of atomic words, mapped by the engine and by its watchdog. Every writer has cache lines of its own, so that a
//! beat is two stores to a line that nobody else writes: no system call, no lock, no allocation; 3 ns a cycle and 4 ns a
//! handler, with the look for an alarm (`benches/heartbeat.rs`). The memory outlives its writer's process, whatever ended it.
//!
//! | line | written by | says |
//! | --- | --- | --- |
//! | engine | the engine, at start and at its end | process id, start, epoch, generation, phase, how many threads |
//! | watchdog | the watchdog | a number that changes when trading must stop; which engine it watches |
//! | guard | the engine's plain thread | that the process as a whole runs; which alarm was released by a person |
//! | thread | each hot thread, each cycle | the loop's clock and a count |
//! | shard | each shard, around each handler | the strategy whose handler runs, and since when |
//!
//! Whether an engine lives at all is told by the lock of its data directory, not by the process id in the page, which the
//! system may use again.

use crate::types::{StrategyId, Timestamp};
use std::array::from_fn;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The most hot threads that are watched. More than a layout can have: 64 shards, 8 feeds, 8 gateways, risk.
pub const THREADS_MAX: usize = 96;
/// The most shards that are watched.
pub const SHARDS_MAX: usize = 64;

/// Begins every page: a version of its layout.
const MAGIC: u64 = u64::from_be_bytes(*b"gannet\0\x01");

/// A line of words with one writer. Two cache lines, as processors fetch them in pairs.
#[repr(C, align(128))]
#[derive(Debug)]
struct Line([AtomicU64; 4]);

impl Line {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; 4])
    }
}

/// The page as it lies in memory.
#[repr(C)]
#[derive(Debug)]
struct Page {
    /// Magic, process id, start.
    identity: Line,
    /// Epoch, generation, phase, thread count.
    engine: Line,
    /// Alarm, the generation that is watched.
    watchdog: Line,
    /// Beat, the alarm that was released.
    guard: Line,
    /// Instant, count.
    threads: [Line; THREADS_MAX],
    /// Strategy plus one, instant it was entered, calls, thread.
    shards: [Line; SHARDS_MAX],
}

/// Where a page lies.
#[derive(Debug)]
enum Memory {
    /// In this process alone.
    Private(Box<Page>),
    /// In a file that others may have mapped too.
    Shared(mapping::Mapping),
}

/// How far an engine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It has not traded yet.
    Starting,
    /// Its hot threads run.
    Trading,
    /// It ended in order: no order of its own is open.
    Stopped,
}

/// Who the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Engine {
    /// Its process.
    pub pid: u32,
    /// When it started.
    pub started_ns: Timestamp,
    /// Its epoch; zero until it is known.
    pub epoch: u32,
    /// How many engines have had this page.
    pub generation: u64,
    /// How far it has come.
    pub phase: Phase,
    /// How many of its threads beat.
    pub threads: usize,
}

/// A handler that has not returned yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Whose.
    pub strategy: StrategyId,
    /// The loop's clock at the start of the cycle that called it.
    pub entered_ns: Timestamp,
    /// How many handlers of the shard were called before: tells one call from the next.
    pub calls: u64,
    /// The hot thread it runs on.
    pub thread: usize,
}

/// The page. Clones are the same page.
#[derive(Clone, Debug)]
pub struct Heartbeats(Arc<Memory>);

impl Default for Heartbeats {
    /// A page that no other process sees: for tests, measurements, backtests and engines without a watchdog.
    fn default() -> Self {
        let page = Page {
            identity: Line::new(),
            engine: Line::new(),
            watchdog: Line::new(),
            guard: Line::new(),
            threads: from_fn(|_| Line::new()),
            shards: from_fn(|_| Line::new()),
        };
        Self(Arc::new(Memory::Private(Box::new(page))))
    }
}

impl Heartbeats {
    /// The page in the file at `path`, for a new engine: the only one, as its lock of the data directory says. The file is
    /// made where there is none, for its owner only.
    ///
    /// # Errors
    /// Where the file cannot be made or mapped, or is not this user's alone.
    pub fn create(path: &Path, pid: u32, started_ns: Timestamp) -> io::Result<Self> {
        let file = private(OpenOptions::new().read(true).write(true).create(true).truncate(false)).open(path)?;
        is_ours(&file)?;
        if file.metadata()?.len() < mapping::BYTES {
            file.set_len(mapping::BYTES)?;
        }
        let page = Self(Arc::new(Memory::Shared(mapping::Mapping::of(&file)?)));
        page.begin(pid, started_ns);
        Ok(page)
    }

    /// The page in the file at `path`, for the watchdog.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] where no engine has made it yet; [`io::ErrorKind::InvalidData`] where it is no page
    /// of this version; else where it cannot be opened or mapped.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = private(OpenOptions::new().read(true).write(true)).open(path)?;
        is_ours(&file)?;
        if file.metadata()?.len() < mapping::BYTES {
            return Err(io::ErrorKind::NotFound.into());
        }
        let page = Self(Arc::new(Memory::Shared(mapping::Mapping::of(&file)?)));
        match page.page().identity.0[0].load(Ordering::Acquire) {
            MAGIC => Ok(page),
            0 => Err(io::ErrorKind::NotFound.into()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    #[inline]
    fn page(&self) -> &Page {
        match &*self.0 {
            Memory::Private(page) => page,
            Memory::Shared(mapping) => mapping.page(),
        }
    }

    /// A new engine has the page.
    fn begin(&self, pid: u32, started_ns: Timestamp) {
        let page = self.page();
        let [epoch, generation, phase, threads] = &page.engine.0;
        threads.store(0, Ordering::Relaxed);
        epoch.store(0, Ordering::Relaxed);
        for shard in &page.shards {
            shard.0[0].store(0, Ordering::Relaxed);
        }
        page.identity.0[1].store(u64::from(pid), Ordering::Relaxed);
        page.identity.0[2].store(started_ns.nanos(), Ordering::Relaxed);
        phase.store(Phase::Starting as u64, Ordering::Release);
        generation.fetch_add(1, Ordering::Release);
        page.identity.0[0].store(MAGIC, Ordering::Release);
    }

    /// Who the engine is, and how far it has come.
    #[must_use]
    pub fn engine(&self) -> Engine {
        let page = self.page();
        let [epoch, generation, phase, threads] = &page.engine.0;
        let phase = match phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Trading,
            _ => Phase::Stopped,
        };
        Engine {
            pid: u32::try_from(page.identity.0[1].load(Ordering::Relaxed)).unwrap_or(0),
            started_ns: Timestamp::from_nanos(page.identity.0[2].load(Ordering::Relaxed)),
            epoch: u32::try_from(epoch.load(Ordering::Relaxed)).unwrap_or(0),
            generation: generation.load(Ordering::Acquire),
            phase,
            threads: usize::try_from(threads.load(Ordering::Relaxed)).unwrap_or(0).min(THREADS_MAX),
        }
    }

    /// The engine's epoch is known.
    pub fn set_epoch(&self, epoch: u32) {
        self.page().engine.0[0].store(u64::from(epoch), Ordering::Relaxed);
    }

    /// `threads` hot threads run from now on.
    pub fn set_trading(&self, threads: usize) {
        let [.., phase, count] = &self.page().engine.0;
        count.store(u64::try_from(threads).unwrap_or(0), Ordering::Relaxed);
        phase.store(Phase::Trading as u64, Ordering::Release);
    }

    /// The engine ended in order: none of its orders is open.
    pub fn set_stopped(&self) {
        self.page().engine.0[2].store(Phase::Stopped as u64, Ordering::Release);
    }

    /// The place where a hot thread beats.
    #[must_use]
    pub fn pulse(&self, thread: usize) -> Pulse {
        let alarm = self.alarm();
        Pulse { page: self.clone(), thread: thread.min(THREADS_MAX - 1), count: self.beats(thread), alarm }
    }

    /// The place where a shard says whose handler runs.
    #[must_use]
    pub fn mark(&self, shard: usize) -> Mark {
        Mark { page: self.clone(), shard: shard.min(SHARDS_MAX - 1) }
    }

    /// How often a hot thread has beaten.
    #[must_use]
    pub fn beats(&self, thread: usize) -> u64 {
        self.page().threads.get(thread).map_or(0, |line| line.0[1].load(Ordering::Relaxed))
    }

    /// The handler that a shard is in, if it is in one.
    #[must_use]
    pub fn running(&self, shard: usize) -> Option<Running> {
        let [strategy, entered_ns, calls, thread] = &self.page().shards.get(shard)?.0;
        let strategy = strategy.load(Ordering::Acquire).checked_sub(1)?;
        Some(Running {
            strategy: u16::try_from(strategy).map_or(StrategyId::NONE, StrategyId),
            entered_ns: Timestamp::from_nanos(entered_ns.load(Ordering::Relaxed)),
            calls: calls.load(Ordering::Relaxed),
            thread: usize::try_from(thread.load(Ordering::Relaxed)).unwrap_or(usize::MAX),
        })
    }

    /// The engine's plain thread runs.
    pub fn guard_beat(&self) {
        self.page().guard.0[0].fetch_add(1, Ordering::Relaxed);
    }

    /// How often the engine's plain thread has beaten.
    #[must_use]
    pub fn guard_beats(&self) -> u64 {
        self.page().guard.0[0].load(Ordering::Relaxed)
    }

    /// A person has released what this alarm had stopped.
    pub fn set_released(&self, alarm: u64) {
        self.page().guard.0[1].store(alarm, Ordering::Release);
    }

    /// The last alarm that a person has released.
    #[must_use]
    pub fn released(&self) -> u64 {
        self.page().guard.0[1].load(Ordering::Acquire)
    }

    /// Trading must stop: every hot thread sees it in its next cycle. Answers the alarm's number.
    pub fn raise_alarm(&self) -> u64 {
        self.page().watchdog.0[0].fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The watchdog watches this engine from now on: it may trade. Zero where none is watched any more.
    pub fn set_watched(&self, generation: u64) {
        self.page().watchdog.0[1].store(generation, Ordering::Release);
    }

    /// Whether a watchdog has said that it watches the engine that has the page now.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        self.page().watchdog.0[1].load(Ordering::Acquire) == self.engine().generation
    }

    /// The number of the last alarm, zero where there was none.
    #[inline]
    #[must_use]
    pub fn alarm(&self) -> u64 {
        self.page().watchdog.0[0].load(Ordering::Relaxed)
    }
}

/// Where one hot thread beats.
#[derive(Debug)]
pub struct Pulse {
    page: Heartbeats,
    thread: usize,
    count: u64,
    alarm: u64,
}

impl Pulse {
    /// To be called each cycle. Answers whether an alarm was raised since the last: trading must stop.
    #[inline]
    pub fn beat(&mut self, now: Timestamp) -> bool {
        self.count = self.count.wrapping_add(1);
        let page = self.page.page();
        if let Some(line) = page.threads.get(self.thread) {
            line.0[0].store(now.nanos(), Ordering::Relaxed);
            line.0[1].store(self.count, Ordering::Relaxed);
        }
        let alarm = page.watchdog.0[0].load(Ordering::Relaxed);
        std::mem::replace(&mut self.alarm, alarm) != alarm
    }
}

/// Where one shard says whose handler runs.
#[derive(Clone, Debug)]
pub struct Mark {
    page: Heartbeats,
    shard: usize,
}

impl Mark {
    /// The shard runs on this hot thread.
    pub fn place(&self, thread: usize) {
        if let Some(line) = self.page.page().shards.get(self.shard) {
            line.0[3].store(u64::try_from(thread).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// A handler of this strategy is called. The `calls`th of the shard, in the cycle that began at `entered_ns`.
    #[inline]
    pub fn enter(&self, strategy: StrategyId, entered_ns: Timestamp, calls: u64) {
        if let Some(line) = self.page.page().shards.get(self.shard) {
            line.0[1].store(entered_ns.nanos(), Ordering::Relaxed);
            line.0[2].store(calls, Ordering::Relaxed);
            // Last, so that whoever sees the strategy sees the rest.
            line.0[0].store(u64::from(strategy.0) + 1, Ordering::Release);
        }
    }

    /// It returned.
    #[inline]
    pub fn leave(&self) {
        if let Some(line) = self.page.page().shards.get(self.shard) {
            line.0[0].store(0, Ordering::Relaxed);
        }
    }
}

/// A file that is opened for its owner alone, and never through a link.
pub(super) fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or(0);
    options.mode(0o600).custom_flags(no_follow)
}

/// A page that somebody else may write could stop an engine, or keep its watchdog quiet.
pub(super) fn is_ours(file: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let metadata = file.metadata()?;
    let is_private = metadata.is_file() && metadata.permissions().mode() & 0o077 == 0;
    if is_private && metadata.uid() == rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "is not a file of this user alone"))
}

/// The only unsafe code there is: two processes, or one and the next, cannot share memory without.
pub(super) mod mapping {
    #![allow(unsafe_code, reason = "maps a file, and reads its bytes as atomic words")]

    use super::Page;
    use memmap2::{MmapOptions, MmapRaw};
    use std::fs::File;
    use std::io;
    use std::sync::atomic::AtomicU64;

    const PAGE_BYTES: usize = size_of::<Page>();
    /// How long the file is.
    pub const BYTES: u64 = PAGE_BYTES as u64;

    /// A page in a file's memory.
    #[derive(Debug)]
    pub struct Mapping(MmapRaw);

    impl Mapping {
        /// Maps the first [`BYTES`] of a file that is at least so long.
        pub fn of(file: &File) -> io::Result<Self> {
            MmapOptions::new().len(PAGE_BYTES).map_raw(file).map(Self)
        }

        #[inline]
        pub(super) fn page(&self) -> &Page {
            // SAFETY: the mapping is `PAGE_BYTES` long, begins at a page of memory, which is aligned beyond a `Page`'s
            // 128 bytes, and lives as long as `self`. A `Page` is atomic words only: each bit pattern is valid, and other
            // threads and processes that write them do so atomically. The file is its owner's alone, and Gannet never
            // shortens it.
            unsafe { &*self.0.as_ptr().cast::<Page>() }
        }
    }

    /// So many words of a file's memory.
    #[derive(Debug)]
    pub struct Words {
        map: MmapRaw,
        count: usize,
    }

    impl Words {
        /// Maps the first `count` words of a file that is at least so long.
        pub fn of(file: &File, count: usize) -> io::Result<Self> {
            let map = MmapOptions::new().len(count.saturating_mul(size_of::<AtomicU64>())).map_raw(file)?;
            Ok(Self { map, count })
        }

        #[inline]
        pub fn all(&self) -> &[AtomicU64] {
            // SAFETY: the mapping is `count` words long, begins at a page of memory, and lives as long as `self`. Words are
            // atomic: each bit pattern is valid, and whoever writes them does so atomically. The file is its owner's
            // alone, and Gannet never shortens it.
            unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), self.count) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_nanos(7);

    /// The engine's page and the watchdog's, over one file.
    fn pair() -> (tempfile::TempDir, Heartbeats, Heartbeats) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("heartbeat");
        let engine = Heartbeats::create(&path, 42, NOW).expect("a page");
        let watchdog = Heartbeats::open(&path).expect("the same page");
        (folder, engine, watchdog)
    }

    #[test]
    fn lines_are_their_writers_own() {
        assert_eq!(size_of::<Line>(), 128);
        assert_eq!(size_of::<Page>(), (4 + THREADS_MAX + SHARDS_MAX) * 128);
    }

    #[test]
    fn what_one_mapping_writes_the_other_reads() {
        let (_folder, engine, watchdog) = pair();
        let expected = Engine { pid: 42, started_ns: NOW, epoch: 0, generation: 1, phase: Phase::Starting, threads: 0 };
        assert_eq!(watchdog.engine(), expected);
        engine.set_epoch(9);
        engine.set_trading(2);
        assert_eq!(watchdog.engine(), Engine { epoch: 9, phase: Phase::Trading, threads: 2, ..expected });
        let mut pulse = engine.pulse(1);
        for beats in 1..4 {
            assert!(!pulse.beat(NOW));
            assert_eq!((watchdog.beats(0), watchdog.beats(1)), (0, beats));
        }
        let mark = engine.mark(3);
        mark.place(1);
        assert_eq!(watchdog.running(3), None);
        mark.enter(StrategyId(0), NOW, 5);
        let running = Running { strategy: StrategyId(0), entered_ns: NOW, calls: 5, thread: 1 };
        assert_eq!(watchdog.running(3), Some(running));
        mark.leave();
        assert_eq!(watchdog.running(3), None);
        engine.guard_beat();
        assert_eq!(watchdog.guard_beats(), 1);
        engine.set_stopped();
        assert_eq!(watchdog.engine().phase, Phase::Stopped);
    }

    #[test]
    fn every_thread_is_told_once_of_an_alarm() {
        let (_folder, engine, watchdog) = pair();
        let (mut first, mut second) = (engine.pulse(0), engine.pulse(1));
        assert!(!first.beat(NOW) && !second.beat(NOW));
        assert_eq!(watchdog.raise_alarm(), 1);
        assert!(first.beat(NOW) && second.beat(NOW));
        assert!(!first.beat(NOW) && !second.beat(NOW));
        // An engine that starts after it was dealt with is not told of the last one's.
        assert!(!engine.pulse(2).beat(NOW));
        engine.set_released(1);
        assert_eq!(watchdog.released(), watchdog.alarm());
    }

    #[test]
    fn the_watchdog_sees_the_next_engine_in_the_memory_it_has() {
        let (folder, engine, watchdog) = pair();
        engine.set_trading(3);
        engine.mark(0).enter(StrategyId(1), NOW, 1);
        watchdog.raise_alarm();
        drop(engine);
        watchdog.set_watched(watchdog.engine().generation);
        assert!(watchdog.is_watched());
        let next = Heartbeats::create(&folder.path().join("heartbeat"), 43, NOW).expect("the same file");
        assert!(!next.is_watched(), "not yet");
        let Engine { pid, generation, phase, threads, .. } = watchdog.engine();
        assert_eq!((pid, generation, phase, threads), (43, 2, Phase::Starting, 0));
        assert_eq!((next.alarm(), watchdog.running(0)), (1, None));
    }

    #[test]
    fn only_a_private_file_that_an_engine_made_is_a_page() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("heartbeat");
        let kind = |path: &Path| Heartbeats::open(path).expect_err("no page").kind();
        assert_eq!(kind(&path), io::ErrorKind::NotFound);
        std::fs::write(&path, vec![1; 64 * 1_024]).expect("written");
        assert_eq!(kind(&path), io::ErrorKind::PermissionDenied);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("set");
        assert_eq!(kind(&path), io::ErrorKind::InvalidData);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(Heartbeats::open(&link).is_err() && Heartbeats::create(&link, 1, NOW).is_err());
    }

    #[test]
    fn a_page_of_its_own_sees_everything_too() {
        let page = Heartbeats::default();
        let mut pulse = page.pulse(0);
        assert!(!pulse.beat(NOW));
        page.raise_alarm();
        assert!(pulse.beat(NOW));
        assert_eq!(page.beats(0), 2);
        // A place beyond the last is the last: nothing is lost, nothing panics.
        page.mark(SHARDS_MAX + 5).enter(StrategyId(3), NOW, 1);
        assert_eq!(page.running(SHARDS_MAX - 1).map(|running| running.strategy), Some(StrategyId(3)));
    }
}
