//! The keeper: a plain thread that writes down what must outlive the process.
//!
//! It does what waits for a disk, so that neither the async thread nor the one that watches the kill file ever does. What
//! is killed, by whomever, is written at once; so is a limit that stopped a strategy; everything else within 200 ms.

use super::audit::Entry;
use super::data_dir::{DataDir, DataError};
use super::kill_file::KillWatch;
use super::names::{ENGINE, Names};
use super::office::{Office, Premises};
use super::standing::Shown;
use super::state::{State, StrategyState};
use crate::risk::{KillScope, KillSwitch};
use crate::types::Latch;
use crate::venue::budget::Budget;
use crossbeam::channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tracing::{error, warn};

/// How often it looks what there is to do.
const INTERVAL: Duration = Duration::from_millis(5);
/// The longest that a change waits for others to be written with it.
const WRITE_INTERVAL: Duration = Duration::from_millis(200);
/// How often it looks for operators' requests.
const LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// How often operators are shown the newest state.
const SHOW_INTERVAL: Duration = Duration::from_secs(1);
/// Changes under way to it; while they fill the channel, the plane leaves them in risk's lane.
const LATCHES: usize = 1_024;

/// The running thread. Ends when it is dropped, with everything written.
pub struct Keeper {
    /// What risk says must outlive the process goes here.
    pub latches: Sender<Latch>,
    /// What operators are shown goes here; while one waits, there is room for no other.
    pub shown: Sender<Shown>,
    offices: Sender<Office>,
    budgets: Sender<Vec<(String, Arc<Budget>)>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

struct Work {
    dir: DataDir,
    names: Names,
    switch: KillSwitch,
    watch: KillWatch,
    latches: Receiver<Latch>,
    shown: Receiver<Shown>,
    shown_at: Option<Instant>,
    offices: Receiver<Office>,
    of_venues: Receiver<Vec<(String, Arc<Budget>)>>,
    /// What each venue, by name, lets us ask: it knows of bans.
    budgets: Vec<(String, Arc<Budget>)>,
    /// Open once the venues have told what there is to trade.
    office: Option<Office>,
    looked_at: Instant,
    /// The generation of the kill switch that is on the disk.
    written_generation: u64,
    /// What is on the disk, as written last.
    state: State,
    waiting: Vec<Latch>,
    is_urgent: bool,
    written_at: Instant,
    /// The newest failure, so that it is told once.
    problem: Option<DataError>,
}

impl Keeper {
    /// Sets what an earlier run left killed, watches the kill file, and keeps from now on.
    ///
    /// # Errors
    /// Where the state cannot be trusted or written, or the system refuses a thread.
    pub fn start(dir: DataDir, names: Names, switch: KillSwitch) -> Result<Self, String> {
        let state = dir.state().map_err(|error| error.to_string())?;
        for name in &state.kills {
            let scope = names.scope(name);
            switch.kill(scope.unwrap_or(KillScope::Engine));
            match scope {
                Some(_) => error!("KILL {name}: still killed from before the start"),
                None => error!("KILL {ENGINE}: {name:?} is killed from before the start, and is nothing known here"),
            }
        }
        let watch = KillWatch::start(dir.clone(), names.clone(), switch.clone())?;
        let (latches, of_plane) = bounded(LATCHES);
        let (offices, office) = bounded(1);
        let (shown, to_show) = bounded(1);
        let (budgets, of_venues) = bounded(1);
        let mut work = Work {
            dir,
            names,
            switch,
            watch,
            latches: of_plane,
            shown: to_show,
            shown_at: None,
            offices: office,
            of_venues,
            budgets: Vec::new(),
            office: None,
            looked_at: Instant::now(),
            written_generation: 0,
            state,
            waiting: Vec::new(),
            is_urgent: false,
            written_at: Instant::now(),
            problem: None,
        };
        // What is killed at the start is on the disk before anything runs.
        work.keep().map_err(|error| error.to_string())?;
        let is_over = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_over);
        let run = move || {
            while !seen.load(Ordering::Relaxed) {
                work.poll();
                std::thread::sleep(INTERVAL);
            }
            work.take();
            if let Err(problem) = work.keep() {
                error!("what must outlive this process is not written: {problem}");
            }
        };
        let thread = std::thread::Builder::new().name("keeper".to_owned()).spawn(run);
        let thread = thread.map_err(|error| format!("the thread that keeps the state: {error}"))?;
        Ok(Self { latches, shown, offices, budgets, is_over, thread: Some(thread) })
    }

    /// From now on these venues' bans are written down, by name.
    pub fn keep_bans(&self, budgets: Vec<(String, Arc<Budget>)>) {
        // They are made once in a run.
        let _ = self.budgets.try_send(budgets);
    }

    /// From now on operators' requests are judged.
    pub fn open(&self, office: Office) {
        // There is one in a run.
        let _ = self.offices.try_send(office);
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Work {
    fn take(&mut self) {
        if let Ok(budgets) = self.of_venues.try_recv() {
            self.budgets = budgets;
        }
        let is_banned = self.bans().any(|(name, until_ms)| self.state.bans.get(name) < Some(&until_ms));
        self.is_urgent |= is_banned;
        for latch in self.latches.try_iter() {
            self.is_urgent |=
                stops(&latch) && !self.state.latches(&self.names).iter().any(|old| same_stop(old, &latch));
            self.waiting.push(latch);
        }
    }

    /// Until when venues want no request, in ms since the epoch, as far as any has said so.
    fn bans(&self) -> impl Iterator<Item = (&String, u64)> {
        let until_ms = |budget: &Budget| budget.banned_until().nanos().div_ceil(1_000_000);
        self.budgets.iter().map(move |(name, budget)| (name, until_ms(budget))).filter(|(_, until_ms)| *until_ms > 0)
    }

    fn poll(&mut self) {
        self.take();
        self.write();
        self.serve();
        self.show();
    }

    /// Shows operators the newest state, once a second.
    fn show(&mut self) {
        if self.shown_at.is_some_and(|at| at.elapsed() < SHOW_INTERVAL) {
            return;
        }
        let Ok(shown) = self.shown.try_recv() else { return };
        self.shown_at = Some(Instant::now());
        let text = serde_json::to_string(&shown).unwrap_or_default();
        if let Err(problem) = self.dir.show(Shown::FILE, &text) {
            self.tell(Some(problem));
        }
    }

    /// Judges what operators ask for.
    fn serve(&mut self) {
        if let Ok(office) = self.offices.try_recv() {
            self.office = Some(office);
        }
        let Some(office) = self.office.as_mut().filter(|_| self.looked_at.elapsed() >= LOOK_INTERVAL) else { return };
        self.looked_at = Instant::now();
        let premises = Premises { dir: &self.dir, names: &self.names, watch: &self.watch };
        if let Err(problem) = office.poll(&premises) {
            self.tell(Some(problem));
        }
    }

    /// Writes what is new, when it is due.
    fn write(&mut self) {
        let is_killed = self.switch.generation() != self.written_generation;
        let is_due = self.written_at.elapsed() >= WRITE_INTERVAL;
        // What failed is tried again when the next one is due.
        let is_wanted = is_killed || self.is_urgent || !self.waiting.is_empty();
        if !is_wanted || !(is_due || (is_killed || self.is_urgent) && self.problem.is_none()) {
            return;
        }
        self.written_at = Instant::now();
        let kept = self.keep();
        self.tell(kept.err());
    }

    /// Tells a problem once.
    fn tell(&mut self, problem: Option<DataError>) {
        if let Some(problem) = problem.as_ref().filter(|problem| self.problem.as_ref() != Some(problem)) {
            warn!("what must outlive this process is not written: {problem}");
        }
        self.problem = problem;
    }

    /// Writes what is killed and what risk said.
    fn keep(&mut self) -> Result<(), DataError> {
        let killed = self.switch.read();
        let kills: Vec<String> =
            self.names.scopes().filter(|(_, scope)| killed.has(*scope)).map(|(name, _)| name).collect();
        let bans: Vec<(String, u64)> = self.bans().map(|(name, until_ms)| (name.clone(), until_ms)).collect();
        let (names, waiting) = (&self.names, &self.waiting);
        let mut new_kills = Vec::new();
        self.state = self.dir.update_state(|state| {
            new_kills = kills.iter().filter(|name| !state.kills.contains(*name)).cloned().collect();
            state.kills.extend(kills);
            state.bans.extend(bans);
            waiting.iter().for_each(|latch| state.keep(latch, names));
        })?;
        self.waiting.clear();
        self.is_urgent = false;
        self.written_generation = killed.generation();
        new_kills.iter().try_for_each(|name| Entry::of_engine(format!("kill {name}"), "").write(&self.dir))
    }
}

/// Whether a limit or a breaker has stopped a strategy or an account.
fn stops(latch: &Latch) -> bool {
    match latch {
        Latch::Strategy(latch) => StrategyState::from(latch).is_tripped(),
        Latch::Account { rejects_tripped, .. } => *rejects_tripped > 0,
        Latch::Execution { .. } | Latch::Ban { .. } => false,
    }
}

/// Whether both are of the same strategy or account, stopped by the same.
fn same_stop(old: &Latch, new: &Latch) -> bool {
    match (old, new) {
        (Latch::Strategy(old), Latch::Strategy(new)) => {
            old.strategy == new.strategy && StrategyState::from(old).stops() == StrategyState::from(new).stops()
        }
        (Latch::Account { .. }, Latch::Account { .. }) => old == new,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::kill_file;
    use super::*;
    use crate::types::{InstrumentId, StrategyId, StrategyLatch, Timestamp, VenueId};

    fn scene() -> (tempfile::TempDir, DataDir, Names) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().join("data"));
        dir.create().expect("made");
        let names = Names {
            venues: vec!["a".to_owned()],
            instruments: vec!["a:X".to_owned()],
            strategies: vec!["one".to_owned(), "two".to_owned()],
        };
        (folder, dir, names)
    }

    fn until_state(dir: &DataDir, is_true: impl Fn(&State) -> bool) {
        let started = Instant::now();
        while !is_true(&dir.state().expect("trusted")) {
            assert!(started.elapsed() < Duration::from_secs(60), "{:?}", dir.state());
            std::thread::sleep(INTERVAL);
        }
    }

    #[test]
    fn a_kill_by_whomever_outlives_the_process() {
        let (_folder, dir, names) = scene();
        let one = KillScope::Strategy(StrategyId(0));
        let switch = KillSwitch::new();
        let keeper = Keeper::start(dir.clone(), names.clone(), switch.clone()).expect("started");
        switch.kill(one);
        until_state(&dir, |state| state.kills.contains("strategy:one"));
        drop(keeper);
        for swapped in [false, true] {
            let mut names = names.clone();
            if swapped {
                names.strategies.reverse();
            }
            let switch = KillSwitch::new();
            let _keeper = Keeper::start(dir.clone(), names.clone(), switch.clone()).expect("started");
            assert_eq!(switch.read().has(one), !swapped, "by name, not by id");
            assert_eq!(switch.read().has(KillScope::Strategy(StrategyId(1))), swapped);
        }
    }

    #[test]
    fn lines_and_state_both_count_at_the_start() {
        let (_folder, dir, names) = scene();
        kill_file::request(&dir, "venue:a").expect("written");
        dir.update_state(|state| _ = state.kills.insert("strategy:two".to_owned())).expect("written");
        let switch = KillSwitch::new();
        let _keeper = Keeper::start(dir.clone(), names.clone(), switch.clone()).expect("started");
        let killed: Vec<String> =
            names.scopes().filter(|(_, scope)| switch.read().has(*scope)).map(|(name, _)| name).collect();
        assert_eq!(killed, ["venue:a", "strategy:two"]);
        let kept: Vec<String> = dir.state().expect("trusted").kills.into_iter().collect();
        assert_eq!(kept, ["strategy:two", "venue:a"], "on the disk before anything runs");
    }

    #[test]
    fn a_killed_name_that_is_gone_kills_everything() {
        let (_folder, dir, names) = scene();
        dir.update_state(|state| _ = state.kills.insert("strategy:renamed".to_owned())).expect("written");
        let switch = KillSwitch::new();
        let _keeper = Keeper::start(dir, names, switch.clone()).expect("started");
        assert!(switch.read().has(KillScope::Engine));
    }

    #[test]
    fn a_state_that_cannot_be_trusted_is_refused_and_left_alone() {
        let (_folder, dir, names) = scene();
        let path = dir.file(State::FILE);
        std::fs::write(&path, "{}").expect("written");
        let refused = Keeper::start(dir, names, KillSwitch::new()).err().expect("refused");
        assert!(refused.contains("state.json") && refused.contains("backup"), "{refused}");
        assert_eq!(std::fs::read_to_string(path).expect("there"), "{}");
    }

    #[test]
    fn a_ban_is_written_down() {
        let (_folder, dir, names) = scene();
        let keeper = Keeper::start(dir.clone(), names, KillSwitch::new()).expect("started");
        let budget = Arc::new(Budget::default());
        keeper.keep_bans(vec![("a".to_owned(), Arc::clone(&budget))]);
        let until = Timestamp::from_nanos(90_000_000_001);
        budget.ban(Some(until), Timestamp::from_nanos(5));
        until_state(&dir, |state| state.bans.get("a") >= Some(&90_001));
    }

    #[test]
    fn latches_are_written_in_time_and_the_rest_at_the_end() {
        let (_folder, dir, names) = scene();
        let keeper = Keeper::start(dir.clone(), names, KillSwitch::new()).expect("started");
        let latch =
            StrategyLatch { strategy: StrategyId(1), is_loss_tripped: true, day: 3, ..StrategyLatch::default() };
        keeper.latches.send(Latch::Strategy(latch)).expect("taken");
        until_state(&dir, |state| {
            state.strategies.get("two").is_some_and(|state| state.is_loss_tripped && state.day == 3)
        });
        let execution = |execution_id| Latch::Execution { instrument: InstrumentId(0), execution_id };
        (1..=9).for_each(|id| keeper.latches.send(execution(id)).expect("taken"));
        drop(keeper);
        assert_eq!(dir.state().expect("trusted").executions["a:X"], 9);
    }

    #[test]
    fn what_a_breaker_stopped_is_written_at_once() {
        let (_folder, dir, names) = scene();
        let state = dir.state().expect("trusted");
        let (latches, of_plane) = bounded(1);
        let switch = KillSwitch::new();
        let mut work = Work {
            watch: KillWatch::start(dir.clone(), names.clone(), switch.clone()).expect("a thread"),
            dir,
            names,
            switch,
            latches: of_plane,
            shown: bounded(1).1,
            shown_at: None,
            offices: bounded(1).1,
            of_venues: bounded(1).1,
            budgets: Vec::new(),
            office: None,
            looked_at: Instant::now(),
            written_generation: 0,
            state,
            waiting: Vec::new(),
            is_urgent: false,
            written_at: Instant::now(),
            problem: None,
        };
        let strategy = StrategyLatch { strategy: StrategyId(1), ..StrategyLatch::default() };
        let storm = |rejects_tripped| Latch::Account { venue: VenueId(0), rejects_tripped };
        for (latch, is_urgent) in [
            (Latch::Strategy(StrategyLatch { day: 3, ..strategy }), false),
            (Latch::Strategy(StrategyLatch { rejects_tripped: 3, ..strategy }), true),
            (Latch::Strategy(StrategyLatch { rejects_tripped: 3, day: 4, ..strategy }), false),
            (Latch::Strategy(StrategyLatch { rejects_tripped: 3, fill_rate_tripped: 9, ..strategy }), true),
            (Latch::Strategy(StrategyLatch { slippage_tripped_bps: 9, ..strategy }), true),
            (Latch::Strategy(strategy), false),
            (storm(3), true),
            (storm(3), false),
            (storm(0), false),
        ] {
            latches.send(latch).expect("room");
            work.take();
            assert_eq!(work.is_urgent, is_urgent, "{latch:?}");
            work.keep().expect("written");
        }
        assert!(work.state.strategies["two"].stops().is_empty() && work.state.reject_storms.is_empty());
    }
}
