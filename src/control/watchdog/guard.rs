//! The engine's side of the watchdog: a plain thread that shows that the process runs, obeys alarms, and keeps a watchdog
//! running.

use super::{is_locked, own_program, page_path};
use crate::control::data_dir::DataDir;
use crate::pipeline::heartbeat::{Heartbeats, Phase};
use crate::risk::{KillScope, KillSwitch};
use crate::types::Timestamp;
use std::ffi::OsString;
use std::process::{Child, Command};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How often it beats and looks for an alarm.
const BEAT: Duration = Duration::from_millis(10);
/// How long it waits before it starts a watchdog again.
const RESTART_WAIT: Duration = Duration::from_secs(1);
/// How often it looks whether a watchdog that it has not started itself is still there.
const LOOK: Duration = Duration::from_millis(100);

/// The plain thread. It ends when this is dropped.
pub struct Guard {
    page: Heartbeats,
    stop: Arc<AtomicBool>,
    /// Whether a watchdog ended with an error before it watched.
    has_failed: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Guard {
    /// Makes the page and starts the thread, which starts the watchdog with these arguments, now and whenever there is
    /// none. The lock of the data directory must be held.
    ///
    /// # Errors
    /// Why the page or the thread cannot be made, in words.
    pub fn start(
        data: &DataDir,
        kill: KillSwitch,
        arguments: Vec<OsString>,
        started_ns: Timestamp,
    ) -> Result<Self, String> {
        let path = page_path(data).map_err(|error| error.to_string())?;
        let page = Heartbeats::create(&path, std::process::id(), started_ns);
        let page = page.map_err(|error| format!("{}: {error}", path.display()))?;
        let (stop, has_failed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let watch = Watch {
            page: page.clone(),
            data: data.clone(),
            kill,
            arguments,
            child: None,
            obeyed: page.alarm(),
            released: page.alarm(),
            next: Instant::now(),
            has_failed: Arc::clone(&has_failed),
        };
        let thread = {
            let stop = Arc::clone(&stop);
            std::thread::Builder::new().name("guard".to_owned()).spawn(move || watch.run(&stop))
        };
        let thread = thread.map_err(|error| format!("a thread cannot be started: {error}"))?;
        Ok(Self { page, stop, has_failed, thread: Some(thread) })
    }

    /// Where the hot threads beat.
    #[must_use]
    pub const fn heartbeats(&self) -> &Heartbeats {
        &self.page
    }

    /// Waits until a watchdog watches this engine: then nothing that an earlier one left behind is open at any venue.
    ///
    /// # Errors
    /// Where the watchdog could not begin: it has told why.
    pub async fn watched(&self) -> Result<(), String> {
        let started = Instant::now();
        let mut told_s = 0;
        while !self.page.is_watched() {
            if self.has_failed.load(Ordering::Relaxed) {
                return Err("the watchdog could not begin, as it says above; --no-watchdog trades without".to_owned());
            }
            tokio::time::sleep(BEAT).await;
            let waited_s = started.elapsed().as_secs();
            if waited_s >= told_s + 5 {
                told_s = waited_s;
                warn!("waiting for the watchdog, which must be ready, and every venue flat, before anything is traded");
            }
        }
        Ok(())
    }

    /// The engine has ended in order: none of its orders is open.
    pub fn set_stopped(&self) {
        self.page.set_stopped();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // What never traded left nothing behind. What traded and did not end in order has its end looked after.
        if self.page.engine().phase == Phase::Starting {
            self.page.set_stopped();
        }
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its end, whichever, changes nothing any more.
            let _ = thread.join();
        }
    }
}

/// What the thread works on.
struct Watch {
    page: Heartbeats,
    data: DataDir,
    kill: KillSwitch,
    arguments: Vec<OsString>,
    child: Option<Child>,
    /// The last alarm that was obeyed, and the last that a person has released.
    obeyed: u64,
    released: u64,
    /// When it looks for the watchdog next.
    next: Instant,
    has_failed: Arc<AtomicBool>,
}

impl Watch {
    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.page.guard_beat();
            self.obey();
            if Instant::now() >= self.next && self.page.engine().phase != Phase::Stopped {
                self.next = Instant::now() + LOOK;
                self.keep_watchdog();
            }
            std::thread::sleep(BEAT);
        }
    }

    /// Kills the engine where an alarm was raised, and tells the watchdog once a person has released it.
    fn obey(&mut self) {
        let alarm = self.page.alarm();
        if alarm != self.obeyed {
            // The hot threads do the same as soon as they run: whoever is first.
            self.kill.kill(KillScope::Engine);
            self.obeyed = alarm;
            warn!("the watchdog has raised an alarm: the engine is killed until a person releases it");
        } else if self.obeyed != self.released && !self.kill.read().has(KillScope::Engine) {
            self.released = self.obeyed;
            self.page.set_released(self.released);
        }
    }

    /// Starts the watchdog where there is none.
    fn keep_watchdog(&mut self) {
        if let Some(child) = &mut self.child {
            match child.try_wait() {
                Ok(None) => return,
                Ok(Some(status)) => {
                    let is_refused = status.code() == Some(1) && !self.page.is_watched();
                    self.has_failed.store(is_refused, Ordering::Relaxed);
                    warn!("the watchdog has ended ({status}); it is started again");
                }
                Err(error) => warn!("the watchdog: {error}"),
            }
            self.child = None;
            self.page.set_watched(0);
            self.next = Instant::now() + RESTART_WAIT;
            return;
        }
        // One that was there before this engine, as it has started it again.
        if is_locked(&self.data) {
            return;
        }
        let mut command = Command::new(own_program());
        command.args(&self.arguments);
        // Not in the terminal's foreground: what interrupts the engine must not end who looks after its end.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        match command.spawn() {
            Ok(child) => {
                info!("the watchdog is process {}", child.id());
                self.child = Some(child);
            }
            Err(error) => {
                warn!("the watchdog cannot be started: {error}");
                self.next = Instant::now() + RESTART_WAIT;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_kills_once_and_a_release_is_told() {
        let (page, kill) = (Heartbeats::default(), KillSwitch::new());
        page.raise_alarm();
        let mut watch = Watch {
            page: page.clone(),
            data: DataDir::new("nowhere"),
            kill: kill.clone(),
            arguments: Vec::new(),
            child: None,
            obeyed: page.alarm(),
            released: page.alarm(),
            next: Instant::now(),
            has_failed: Arc::default(),
        };
        watch.obey();
        assert!(!kill.read().any(), "an alarm from before this engine is not its own");
        let alarm = page.raise_alarm();
        watch.obey();
        watch.obey();
        assert_eq!((kill.read().has(KillScope::Engine), kill.generation()), (true, 1));
        assert_ne!(page.released(), alarm);
        kill.release(KillScope::Engine);
        watch.obey();
        assert_eq!(page.released(), alarm);
        // Killed again by somebody else: that is not the watchdog's to release.
        kill.kill(KillScope::Engine);
        watch.obey();
        assert!(kill.read().has(KillScope::Engine) && page.released() == alarm);
    }
}
