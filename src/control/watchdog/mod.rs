//! The watchdog (C45): a second process that cancels everything where the engine stalls or dies.
//!
//! ```text
//!   engine: hot threads ──beats──► page in shared memory ──looks, each 5 ms──► watchdog ──REST, own session──► venues
//!           guard thread ◄──────────────alarm──────────────────────────────────────┘
//! ```
//!
//! [`guard`] is the engine's side, [`judge`] decides from the beats, [`session`] cancels until a venue is flat, and this
//! file does one after the other: alarm, cancel, FLAT; where a strategy's handler does not return, kill the engine and
//! start it again without that strategy. What it has to finish stands in [a file of its own](mod@file), which nothing that the
//! engine holds can keep it from writing, so that another watchdog goes on where one was killed.

pub mod command;
pub mod file;
pub mod guard;
pub mod judge;
pub mod session;

use super::data_dir::{DataDir, DataError};
use super::names::ENGINE;
use super::state::WatchdogLatch;
use crate::config::Config;
use crate::pipeline::clock::Clock;
use crate::pipeline::heartbeat::{Heartbeats, Phase};
use crate::types::StrategyId;
use file::WatchdogFile;
use judge::{Judge, Stall, Verdict};
use rustix::process::{Pid, Signal, kill_process};
use session::Session;
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::future::Future;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command};
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::{error, info, warn};

/// Held by the one watchdog of a data directory.
const LOCK_FILE: &str = "watchdog.lock";
/// How often it looks at the heartbeats.
const LOOK: Duration = Duration::from_millis(5);
/// How often connections are used that are to stay open.
const KEEP_WARM: Duration = Duration::from_secs(10);
/// How often the venues are asked again while an engine that was stopped is still there.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// How long it waits before it tries to open a session again.
const OPEN_AGAIN: Duration = Duration::from_secs(1);
/// How long restarts count.
const HOUR: Duration = Duration::from_secs(3_600);

/// How a watch ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The engine stopped in order: there was nothing to do.
    Stopped,
    /// The engine is gone or stands still, and every venue has confirmed that nothing is open.
    Flat,
}

/// What is under way at the venues: answers whether they are flat at its end.
type Work = Pin<Box<dyn Future<Output = bool>>>;

/// The watchdog's process.
pub struct Watchdog<'a> {
    config: &'a Config,
    data: DataDir,
    /// What must outlive this process, as it should be on the disk.
    file: WatchdogFile,
    sessions: Rc<Vec<Session>>,
    page: Heartbeats,
    judge: Judge,
    /// Arguments to start the engine again with; none where nobody told them.
    engine: Vec<OsString>,
    /// An engine that it has started itself.
    child: Option<Child>,
    started: Instant,
    ticks: Interval,
}

impl<'a> Watchdog<'a> {
    /// Opens a session with each venue, and waits for an engine to have made its page. Only for the one who holds the lock,
    /// with what its file says.
    ///
    /// # Errors
    /// Everything that keeps it from its work, in words.
    pub async fn open(
        config: &'a Config,
        data: DataDir,
        file: WatchdogFile,
        engine: Vec<OsString>,
    ) -> Result<Self, Vec<String>> {
        let clock = Clock::wall();
        let mut sessions = Vec::new();
        for venue in &config.venues {
            sessions.push(loop {
                match Session::open(config, venue, &clock).await {
                    Ok(session) => break session,
                    // Who has something to finish does not give up.
                    Err(errors) if file.unfinished().is_some() => {
                        errors.iter().for_each(|problem| error!("{problem}"));
                        sleep(OPEN_AGAIN).await;
                    }
                    Err(errors) => return Err(errors),
                }
            });
        }
        let path = page_path(&data).map_err(|error| vec![error.to_string()])?;
        let mut is_told = false;
        let page = loop {
            match Heartbeats::open(&path) {
                Ok(page) => break page,
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(vec![format!("{}: {error}", path.display())]);
                }
                // The memory is gone with the machine's last run; what was begun then is to be finished all the same.
                Err(_) if file.unfinished().is_some() => break Heartbeats::default(),
                Err(_) => {
                    if !std::mem::replace(&mut is_told, true) {
                        info!("waiting for an engine to start on {}", data.path().display());
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        };
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let judge = Judge::new(config.engine.stall_ms * 1_000_000);
        let sessions = Rc::new(sessions);
        Ok(Self { config, data, file, sessions, page, judge, engine, child: None, started: Instant::now(), ticks })
    }

    /// Watches until the engine has stopped in order, or is gone for good and every venue flat.
    ///
    /// # Errors
    /// Where its file cannot be written.
    pub async fn run(&mut self) -> Result<End, String> {
        // What cannot be written now could not be when it counts; and from now on this file counts, not the engine's.
        self.file.write(&self.data).map_err(|error| error.to_string())?;
        // What an earlier watchdog did not finish comes first.
        let mut unfinished = self.file.unfinished().cloned();
        loop {
            let latch = match unfinished.take() {
                Some(latch) => latch,
                None => match self.watch().await {
                    Some(cause) => {
                        let was_killed = self.data.state().is_ok_and(|state| state.kills.contains(ENGINE));
                        WatchdogLatch { fired_at_ms: now_ms(), cause, was_killed, ..WatchdogLatch::default() }
                    }
                    None => return Ok(End::Stopped),
                },
            };
            if let Some(end) = self.deal_with(latch).await {
                return Ok(end);
            }
        }
    }

    /// Watches until something is wrong, and answers what; `None` when the engine has stopped in order.
    async fn watch(&mut self) -> Option<String> {
        let generation = self.page.engine().generation;
        info!("watching process {}", self.page.engine().pid);
        self.page.set_watched(generation);
        let sessions = Rc::clone(&self.sessions);
        let mut warm = Box::pin(async move {
            loop {
                sleep(KEEP_WARM).await;
                for session in sessions.iter() {
                    session.keep_warm().await;
                }
            }
        });
        loop {
            tokio::select! {
                () = &mut warm => {}
                _ = self.ticks.tick() => {}
            }
            match self.look() {
                Verdict::Beating => {}
                Verdict::Stalled(stall) => return Some(self.describe(&stall)),
                Verdict::Silent if !self.is_alive() => return Some("the engine's process is gone".to_owned()),
                Verdict::Silent => {}
                Verdict::Quiet if self.page.engine().phase == Phase::Stopped => return None,
                // It ended before it traded.
                Verdict::Quiet if !self.is_alive() => return None,
                Verdict::Quiet => sleep(LOOK * 10).await,
            }
        }
    }

    /// Stops trading, and cancels until every venue is flat. Then, where a handler did not return, starts the engine again
    /// without that strategy, if that is allowed. Answers how it ended, or `None` where an engine is to be watched.
    async fn deal_with(&mut self, mut latch: WatchdogLatch) -> Option<End> {
        let seen = Instant::now();
        let first = self.page.engine();
        // An engine that waits for this to be over has done nothing that it must stop.
        let alarm = if first.phase == Phase::Trading { self.page.raise_alarm() } else { self.page.alarm() };
        self.page.set_watched(0);
        error!("{}: everything is canceled at every venue", latch.cause);
        let mut work = self.cancel_until_flat();
        latch.is_flat = false;
        let mut recording = self.record(&latch);
        let (mut is_gone, mut is_killed) = (!self.is_alive(), false);
        loop {
            tokio::select! {
                is_flat = &mut work => {
                    if is_flat && !latch.is_flat {
                        let after = seen.elapsed();
                        warn!("FLAT: every venue has confirmed twice that no order is open, {after:?} after the alarm");
                    } else if latch.is_flat && !is_flat {
                        error!("not flat any more, or not known: everything is canceled again");
                    }
                    latch.is_flat = is_flat;
                    recorded(recording).await;
                    recording = self.record(&latch);
                    work = if is_flat { self.look_again() } else { self.cancel_until_flat() };
                }
                _ = self.ticks.tick() => {}
            }
            if !is_gone {
                let verdict = self.look();
                if let Verdict::Stalled(Stall { handler: Some((strategy, held_ns)), .. }) = verdict
                    && held_ns >= self.config.engine.kill_after_ms * 1_000_000
                    && !is_killed
                {
                    is_killed = true;
                    latch.culprit = Some(self.name(strategy));
                    recorded(recording).await;
                    recording = self.record(&latch);
                    self.kill_engine(&self.name(strategy), held_ns);
                }
                if !matches!(verdict, Verdict::Beating) && !self.is_alive() {
                    is_gone = true;
                    // What it sent last may have come after the confirmations.
                    latch.is_flat = false;
                    work = self.cancel_until_flat();
                }
            }
            if !latch.is_flat {
                continue;
            }
            let engine = self.page.engine();
            let is_next = engine.generation != first.generation || engine.phase == Phase::Starting;
            if is_gone || is_next || engine.phase == Phase::Stopped {
                recorded(recording).await;
                if let Some(culprit) = latch.culprit.take() {
                    if is_gone && !is_next {
                        return self.restart(&culprit, &latch).await;
                    }
                    recorded(self.record(&latch)).await;
                }
                // A person, or whatever supervises it, may have started the next one.
                return if is_next && self.is_alive() { None } else { Some(End::Flat) };
            }
            if self.page.released() == alarm {
                warn!("a person has released the engine: it is watched again");
                recorded(recording).await;
                self.file.latch = None;
                recorded(self.write()).await;
                self.judge = Judge::new(self.config.engine.stall_ms * 1_000_000);
                return None;
            }
        }
    }

    /// Starts the engine again with its own command line, without this strategy.
    async fn restart(&mut self, culprit: &str, latch: &WatchdogLatch) -> Option<End> {
        let generation = self.page.engine().generation;
        let (limit, now_ms) = (self.config.engine.restarts_per_hour, now_ms());
        let since_ms = now_ms.saturating_sub(u64::try_from(HOUR.as_millis()).unwrap_or(0));
        let has_arguments = !self.engine.is_empty();
        self.file.keep(latch);
        // What of the engine still ran obeyed the alarm, and that was kept: its next start takes it back.
        if !latch.was_killed {
            self.file.kill_over_ms = latch.fired_at_ms;
        }
        self.file.restarts_ms.retain(|at_ms| *at_ms > since_ms);
        let may_start = has_arguments && self.file.restarts_ms.len() < usize::try_from(limit).unwrap_or(usize::MAX);
        if may_start {
            self.file.restarts_ms.push(now_ms);
        }
        // What is not on the disk would not be counted: it would begin anew for ever.
        if !recorded(self.write()).await || !may_start {
            let told = if has_arguments { "" } else { ", and this watchdog was not told its arguments" };
            error!("FLAT, and the engine stays down: it is started again {limit} times within an hour at most{told}");
            return Some(End::Flat);
        }
        match Command::new(own_program()).args(&self.engine).spawn() {
            Ok(child) => {
                warn!("the engine is started again as process {}, without {culprit}", child.id());
                self.child = Some(child);
            }
            Err(problem) => {
                error!("FLAT, and the engine stays down: it cannot be started again: {problem}");
                return Some(End::Flat);
            }
        }
        while self.page.engine().generation == generation {
            self.ticks.tick().await;
            if !self.is_alive() {
                error!("FLAT, and the engine stays down: it ended as soon as it was started again");
                return Some(End::Flat);
            }
        }
        None
    }

    fn look(&mut self) -> Verdict {
        let now_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.judge.look(&self.page, now_ns)
    }

    /// Whether the engine's process is there: by its lock, which the system takes from the dead.
    fn is_alive(&mut self) -> bool {
        if let Some(child) = &mut self.child {
            if matches!(child.try_wait(), Ok(None)) {
                return true;
            }
            self.child = None;
        }
        self.data.engine().is_some()
    }

    /// Ends the engine, which a handler holds up: nothing but its death can stop that.
    fn kill_engine(&self, culprit: &str, held_ns: u64) {
        let pid = self.page.engine().pid;
        let held = Duration::from_nanos(held_ns);
        error!("a handler of {culprit} has not returned for {held:?}: process {pid} is killed");
        // The lock names who holds it: no other process is hit.
        let target = i32::try_from(pid).ok().and_then(Pid::from_raw).filter(|_| self.data.engine() == Some(pid));
        if let Some(Err(problem)) = target.map(|target| kill_process(target, Signal::KILL)) {
            error!("process {pid} cannot be killed: {problem}");
        }
    }

    fn cancel_until_flat(&self) -> Work {
        let sessions = Rc::clone(&self.sessions);
        Box::pin(async move {
            all(sessions.iter().map(|session| async {
                session.cancel_until_flat().await;
                true
            }))
            .await
        })
    }

    /// Asks every venue once more, later: an engine that is still there could have had an order under way.
    fn look_again(&self) -> Work {
        let sessions = Rc::clone(&self.sessions);
        Box::pin(async move {
            sleep(LOOK_AGAIN).await;
            all(sessions.iter().map(Session::is_flat)).await
        })
    }

    /// Has the latch on the disk, and the strategy that it blames in quarantine.
    fn record(&mut self, latch: &WatchdogLatch) -> Recording {
        self.file.keep(latch);
        self.write()
    }

    /// Has its file on the disk as it is now, by a thread of its own: nothing waits for a disk meanwhile. The one before must
    /// have ended.
    fn write(&self) -> Recording {
        let (file, data) = (self.file.clone(), self.data.clone());
        tokio::task::spawn_blocking(move || file.write(&data))
    }

    fn describe(&self, stall: &Stall) -> String {
        let silent = Duration::from_nanos(stall.silent_ns);
        let by = stall.handler.map(|(strategy, _)| format!(", in a handler of {}", self.name(strategy)));
        format!("hot thread {} is silent for {silent:?}{}", stall.thread, by.unwrap_or_default())
    }

    fn name(&self, strategy: StrategyId) -> String {
        let configured = self.config.strategies.get(strategy.index());
        configured.map_or_else(|| format!("strategy {}", strategy.0), |strategy| strategy.name.clone())
    }
}

type Recording = JoinHandle<Result<(), DataError>>;

/// Waits until it is on the disk, and answers whether it is. What cannot be written is told; canceling goes on all the same.
async fn recorded(recording: Recording) -> bool {
    let written = recording.await.map_err(|error| error.to_string());
    let written = written.and_then(|written| written.map_err(|error| error.to_string()));
    if let Err(problem) = &written {
        error!("{problem}");
    }
    written.is_ok()
}

/// Waits for all of them at once, and answers whether all are true.
async fn all<F: Future<Output = bool>>(futures: impl Iterator<Item = F>) -> bool {
    let mut waiting: Vec<Option<Pin<Box<F>>>> = futures.map(|future| Some(Box::pin(future))).collect();
    let mut are_true = true;
    std::future::poll_fn(move |context| {
        for slot in &mut waiting {
            if let Some(future) = slot
                && let std::task::Poll::Ready(is_true) = future.as_mut().poll(context)
            {
                are_true &= is_true;
                *slot = None;
            }
        }
        if waiting.iter().all(Option::is_none) { std::task::Poll::Ready(are_true) } else { std::task::Poll::Pending }
    })
    .await
}

/// Where the page of a data directory is: in memory where the system has a folder for that, so that no write to a disk ever
/// holds a hot thread up.
///
/// # Errors
/// Where the state file, which names the directory, cannot be read.
pub fn page_path(data: &DataDir) -> Result<PathBuf, DataError> {
    let memory = Path::new("/dev/shm");
    let directory = data.state()?.directory;
    Ok(if memory.is_dir() { memory.join(format!("gannet-{directory}")) } else { data.file("heartbeat") })
}

/// Takes the data directory for this process, as the one watchdog on it; `None` where another has it.
fn lock(data: &DataDir) -> std::io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(data.file(LOCK_FILE))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether a watchdog has the data directory.
fn is_locked(data: &DataDir) -> bool {
    let file = File::open(data.file(LOCK_FILE));
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// This very program, though its file may have been replaced by a newer one meanwhile.
fn own_program() -> PathBuf {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { running } else { std::env::current_exe().unwrap_or_else(|_| PathBuf::from("gannet")) }
}

fn now_ms() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
