//! The watchdog's own file: that it fired, whom it blames, and how often it started the engine again.
//!
//! It is apart from the engine's state, since an engine that is stopped in the middle of a write holds that file's lock for
//! as long as it stands still, and this is what must be on the disk just then. So no file has two writers that wait for
//! each other:
//!
//! | file | written by | under | read by |
//! | --- | --- | --- | --- |
//! | `watchdog.json` | the watchdog alone | `watchdog.lock`, held for its whole life | the engine's start and office, `gannet ctl` |
//! | `state.json` | the engine, and who speaks for it | `state.lock`, held for each write | the watchdog: reading takes no lock |
//!
//! What the watchdog has written is ended in `state.json`, never by a change of the watchdog's file: [`Settled`] names the
//! alarm, by the instant at which it fired, from which persons have released the engine, whose quarantine they have ended,
//! or whose kill an engine start has taken back. It ends exactly that and nothing newer, and a latch that is not flat it
//! never hides. [`Watched`] is both files together, and the one way to ask.

use super::super::data_dir::{DataDir, DataError};
use super::super::names::ENGINE;
use super::super::state::{Quarantine, RESTORE, State, WatchdogLatch, seal, unseal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tracing::warn;

/// What the watchdog keeps. It holds the newest in memory and writes it whole: it never has to read before it writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchdogFile {
    /// Of this format: [`WatchdogFile::VERSION`].
    pub version: u32,
    /// That it fired.
    pub latch: Option<WatchdogLatch>,
    /// The strategies that it blames, by name; the instants are those of the alarms.
    pub quarantined: BTreeMap<String, Quarantine>,
    /// The alarm after which an engine may start without the kill that obeyed it, in ms since the epoch; zero for none.
    pub kill_over_ms: u64,
    /// When it started the engine again within the last hour, in ms since the epoch.
    pub restarts_ms: Vec<u64>,
}

impl WatchdogFile {
    /// The file's name in the data directory.
    pub const FILE: &'static str = "watchdog.json";
    /// The format that this program writes.
    pub const VERSION: u32 = 1;

    /// What the file says; where there is none yet, what an older program left in the state file.
    ///
    /// # Errors
    /// Where the file cannot be read, or not be trusted.
    pub fn read(dir: &DataDir, state: &State) -> Result<Self, DataError> {
        let path = dir.file(Self::FILE);
        match dir.read(Self::FILE) {
            Ok(text) => unseal::<Self>(&text)
                .and_then(|file| match file.version {
                    ..=Self::VERSION => Ok(Self { version: Self::VERSION, ..file }),
                    newer => Err(format!("is of a newer program: version {newer}, this one knows {}", Self::VERSION)),
                })
                .map_err(|problem| DataError::new(&path, problem, RESTORE)),
            // Whether it is not there, or cannot be read though it is: only the first is innocent.
            Err(problem) if path.symlink_metadata().is_ok() => Err(problem),
            Err(_) => Ok(Self {
                version: Self::VERSION,
                latch: state.watchdog.clone(),
                restarts_ms: state.restarts_ms.clone(),
                ..Self::default()
            }),
        }
    }

    /// Has it on the disk. Only for the one who holds `watchdog.lock`.
    ///
    /// # Errors
    /// Where the disk refuses; the old file stands then.
    pub fn write(&self, dir: &DataDir) -> Result<(), DataError> {
        dir.replace(Self::FILE, &seal(self))
    }

    /// What is begun and not finished.
    #[must_use]
    pub fn unfinished(&self) -> Option<&WatchdogLatch> {
        self.latch.as_ref().filter(|latch| !latch.is_flat || latch.culprit.is_some())
    }

    /// Takes an alarm in, and whom it blames.
    pub fn keep(&mut self, latch: &WatchdogLatch) {
        if let Some(culprit) = &latch.culprit {
            // By the alarm's instant: written twice it is the same, and a later alarm's is another one.
            let reason = "a handler did not return".to_owned();
            self.quarantined.insert(culprit.clone(), Quarantine { reason, at_ms: latch.fired_at_ms });
        }
        self.latch = Some(latch.clone());
    }
}

/// What of the watchdog's file is over, by the instants at which it fired; zero for nothing. Part of the engine's state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settled {
    /// From this alarm persons have released the engine.
    pub released_ms: u64,
    /// The kill that obeyed this alarm was taken back by an engine's start.
    pub kill_ended_ms: u64,
    /// Of these strategies persons have ended the quarantine, by name.
    pub quarantines: BTreeMap<String, u64>,
}

/// What the watchdog says that still holds: both files together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// That it fired, and no person has released the engine since it was flat.
    pub latch: Option<WatchdogLatch>,
    /// Strategies that are not to run, by name, whichever file says so.
    pub quarantined: BTreeMap<String, Quarantine>,
}

impl Watched {
    /// What holds now.
    ///
    /// # Errors
    /// Where the watchdog's file cannot be read, or not be trusted.
    pub fn of(dir: &DataDir, state: &State) -> Result<Self, DataError> {
        Ok(Self::judge(&WatchdogFile::read(dir, state)?, state))
    }

    fn judge(file: &WatchdogFile, state: &State) -> Self {
        let settled = &state.settled;
        let is_over = |latch: &&WatchdogLatch| latch.is_flat && latch.fired_at_ms == settled.released_ms;
        let mut quarantined = state.quarantined.clone();
        let holds = |(name, why): &(&String, &Quarantine)| settled.quarantines.get(*name) != Some(&why.at_ms);
        quarantined.extend(file.quarantined.iter().filter(holds).map(|(name, why)| (name.clone(), why.clone())));
        Self { latch: file.latch.as_ref().filter(|latch| !is_over(latch)).cloned(), quarantined }
    }

    /// Whether there may be orders of an engine that the watchdog stopped: no venue has confirmed since that there are none.
    #[must_use]
    pub fn is_flat(&self) -> bool {
        self.latch.as_ref().is_none_or(|latch| latch.is_flat)
    }

    /// Persons release the engine: what they looked at is over.
    pub fn release(&self, state: &mut State) {
        state.watchdog = None;
        if let Some(latch) = self.latch.as_ref().filter(|latch| latch.is_flat) {
            state.settled.released_ms = latch.fired_at_ms;
        }
    }

    /// Persons end the quarantine of this strategy, or of all; answers whether any was in it.
    pub fn end_quarantine(&self, only: Option<&str>, state: &mut State) -> bool {
        let mut is_any = false;
        for (name, why) in self.quarantined.iter().filter(|(name, _)| only.is_none_or(|only| only == name.as_str())) {
            state.quarantined.remove(name);
            state.settled.quarantines.insert(name.clone(), why.at_ms);
            is_any = true;
        }
        is_any
    }
}

/// An engine starts: the kill that obeyed the alarm after which the watchdog starts it again is over, once. For the holder
/// of `engine.lock`, before anything reads what is killed. Lines in the kill file stand: those are persons'.
///
/// # Errors
/// Where one of the files cannot be read, trusted or written.
pub fn end_kill(dir: &DataDir) -> Result<(), DataError> {
    let state = dir.state()?;
    let kill_over_ms = WatchdogFile::read(dir, &state)?.kill_over_ms;
    if kill_over_ms == state.settled.kill_ended_ms {
        return Ok(());
    }
    let mut was_killed = false;
    dir.update_state(|state| {
        was_killed = state.kills.remove(ENGINE);
        state.settled.kill_ended_ms = kill_over_ms;
    })?;
    if was_killed {
        warn!("the kill that obeyed the watchdog's alarm is over: the engine was started again");
    }
    Ok(())
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

    fn fired(at_ms: u64, is_flat: bool, culprit: Option<&str>) -> WatchdogLatch {
        let culprit = culprit.map(str::to_owned);
        WatchdogLatch { fired_at_ms: at_ms, cause: "silent".to_owned(), is_flat, culprit, ..WatchdogLatch::default() }
    }

    fn watched(dir: &DataDir) -> Watched {
        Watched::of(dir, &dir.state().expect("trusted")).expect("trusted")
    }

    #[test]
    fn it_is_written_while_another_process_holds_the_state_for_ever() {
        let (_folder, dir) = fresh();
        dir.update_state(|state| state.epoch = 1).expect("written");
        // As an engine that was stopped in the middle of a write.
        let held = std::fs::File::open(dir.file("state.lock")).expect("there");
        held.lock().expect("held");
        let mut file = WatchdogFile::read(&dir, &dir.state().expect("read")).expect("none yet");
        file.keep(&fired(7, false, Some("stuck")));
        file.write(&dir).expect("written");
        let watched = watched(&dir);
        assert_eq!(watched.latch, Some(fired(7, false, Some("stuck"))));
        assert_eq!(watched.quarantined["stuck"].at_ms, 7);
        assert!(!watched.is_flat());
        assert!(dir.update_state(|state| state.epoch = 2).is_err(), "it was held all the while");
    }

    #[test]
    fn what_an_older_program_left_in_the_state_still_holds() {
        let (_folder, dir) = fresh();
        let before = |state: &mut State| {
            state.watchdog = Some(fired(7, false, None));
            state.restarts_ms = vec![5];
            state.quarantined.insert("stuck".to_owned(), Quarantine { at_ms: 7, ..Quarantine::default() });
        };
        let state = dir.update_state(before).expect("written");
        assert!(!watched(&dir).is_flat() && watched(&dir).quarantined.contains_key("stuck"));
        let mut file = WatchdogFile::read(&dir, &state).expect("of the state");
        assert_eq!((file.unfinished(), &file.restarts_ms[..]), (Some(&fired(7, false, None)), &[5][..]));
        // The watchdog finishes it: from then on its own file says so.
        file.keep(&fired(7, true, None));
        file.write(&dir).expect("written");
        assert!(watched(&dir).is_flat());
        let watched_before = watched(&dir);
        dir.update_state(|state| {
            watched_before.release(state);
            assert!(watched_before.end_quarantine(None, state));
        })
        .expect("written");
        assert_eq!(watched(&dir), Watched::default());
        assert_eq!(dir.state().expect("trusted").watchdog, None);
    }

    #[test]
    fn persons_end_what_they_looked_at_and_nothing_newer() {
        let (_folder, dir) = fresh();
        let write = |latch: &WatchdogLatch| {
            let mut file = WatchdogFile::read(&dir, &dir.state().expect("trusted")).expect("trusted");
            file.keep(latch);
            file.write(&dir).expect("written");
        };
        write(&fired(7, true, Some("one")));
        let seen = watched(&dir);
        let end = |seen: &Watched, only| {
            dir.update_state(|state| {
                seen.release(state);
                seen.end_quarantine(only, state);
            })
            .expect("written")
        };
        end(&seen, Some("two"));
        assert_eq!(watched(&dir).latch, None);
        assert!(watched(&dir).quarantined.contains_key("one"), "another one was meant");
        end(&seen, Some("one"));
        assert_eq!(watched(&dir), Watched::default());
        // The same alarm, of which the watchdog says later that it is not flat any more.
        write(&fired(7, false, None));
        assert!(!watched(&dir).is_flat(), "never hidden");
        // Another alarm, and the same strategy again.
        write(&fired(8, true, Some("one")));
        end(&seen, None);
        assert_eq!(watched(&dir).latch.expect("a newer one").fired_at_ms, 8);
        assert_eq!(watched(&dir).quarantined["one"].at_ms, 8);
    }

    #[test]
    fn nobody_releases_what_is_not_flat() {
        let (_folder, dir) = fresh();
        let file = WatchdogFile { latch: Some(fired(7, false, None)), ..WatchdogFile::default() };
        file.write(&dir).expect("written");
        let seen = watched(&dir);
        dir.update_state(|state| seen.release(state)).expect("written");
        WatchdogFile { latch: Some(fired(7, true, None)), ..file }.write(&dir).expect("written");
        assert!(watched(&dir).latch.is_some(), "what was not flat when they looked was not released");
    }

    #[test]
    fn the_kill_that_obeyed_an_alarm_ends_once() {
        let (_folder, dir) = fresh();
        let kills = || dir.state().expect("trusted").kills.into_iter().collect::<Vec<_>>();
        let kill =
            |scope: &str| _ = dir.update_state(|state| _ = state.kills.insert(scope.to_owned())).expect("written");
        kill(ENGINE);
        end_kill(&dir).expect("nothing to do");
        assert_eq!(kills(), [ENGINE], "the watchdog has not fired");
        kill("strategy:one");
        WatchdogFile { kill_over_ms: 7, ..WatchdogFile::default() }.write(&dir).expect("written");
        end_kill(&dir).expect("written");
        assert_eq!(kills(), ["strategy:one"]);
        kill(ENGINE);
        end_kill(&dir).expect("nothing to do");
        assert_eq!(kills(), [ENGINE, "strategy:one"], "that kill is another one");
        WatchdogFile { kill_over_ms: 8, ..WatchdogFile::default() }.write(&dir).expect("written");
        end_kill(&dir).expect("written");
        assert_eq!(kills(), ["strategy:one"]);
    }

    #[test]
    fn a_file_that_cannot_be_trusted_is_refused() {
        let (_folder, dir) = fresh();
        let state = dir.state().expect("trusted");
        let file = WatchdogFile { latch: Some(fired(7, true, None)), ..WatchdogFile::default() };
        let text = seal(&file);
        for bad in [text.replace("true", "null"), text[..text.len() / 2].to_owned(), String::new()] {
            std::fs::write(dir.file(WatchdogFile::FILE), bad).expect("written");
            let refused = Watched::of(&dir, &state).expect_err("refused").to_string();
            assert!(refused.contains("watchdog.json") && refused.contains("backup"), "{refused}");
        }
        WatchdogFile { version: WatchdogFile::VERSION + 1, ..file }.write(&dir).expect("written");
        assert!(Watched::of(&dir, &state).expect_err("newer").to_string().contains("newer program"));
    }
}
