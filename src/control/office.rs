//! The office: judges operators' requests and acts on them, on the keeper's thread.
//!
//! What makes trading wider takes two different operators over the same text, with a reason; what makes it narrower takes
//! one. Everything is in the audit log before it is acted on. What is refused is told there too, and does nothing.

use super::audit::Entry;
use super::data_dir::{DataDir, DataError};
use super::difference;
use super::identity;
use super::journaling;
use super::kill_file::KillWatch;
use super::limits;
use super::names::{ENGINE, Names};
use super::operators::Operators;
use super::requests::{self, Action, Refusal, Request, Signed, Verified, now_ms};
use super::state::State;
use super::watchdog::file::Watched;
use crate::backtest::Blob;
use crate::config::Config;
use crate::journal::Journal;
use crate::pipeline::clock::Clock;
use crate::risk::{LimitsTable, Override};
use crate::types::{DenialReason, Instruments, RiskCommand, StrategyId, TradingState};
use crossbeam::channel::{Receiver, Sender, bounded};
use std::collections::BTreeMap;
use std::sync::Arc;
use tracing::{error, info, warn};

/// Orders to the plane that wait at most; a request is refused while there is no room.
const ORDERS: usize = 8;

/// What the plane is to tell risk.
#[derive(Debug)]
pub enum Order {
    /// A command.
    Command(RiskCommand),
    /// Limits, and the command that takes them.
    Limits(Box<LimitsTable>),
    /// An override, and the command that takes it.
    Override(Override),
}

/// What requests are judged against, and where they go.
pub struct Office {
    operators: Operators,
    /// The running configuration.
    config: Config,
    instruments: Arc<Instruments>,
    /// The limits in force.
    limits: LimitsTable,
    clock: Clock,
    orders: Sender<Order>,
    /// The files as they were judged last, by number: one that only waits is judged once.
    judged: BTreeMap<String, Signed>,
    journal: Option<Journal>,
}

/// What acting needs besides.
pub struct Premises<'a> {
    /// The data directory.
    pub dir: &'a DataDir,
    /// This run's names.
    pub names: &'a Names,
    /// What releases.
    pub watch: &'a KillWatch,
}

impl Office {
    /// The office of a run, and where its orders come out.
    #[must_use]
    pub fn new(
        config: &Config,
        instruments: Arc<Instruments>,
        limits: LimitsTable,
        clock: Clock,
    ) -> (Self, Receiver<Order>) {
        let (orders, of_plane) = bounded(ORDERS);
        let operators = Operators::of(config);
        let office = Self {
            operators,
            config: config.clone(),
            instruments,
            limits,
            clock,
            orders,
            judged: BTreeMap::new(),
            journal: None,
        };
        (office, of_plane)
    }

    /// From now on what risk is to take is in the journal before it is told to take it.
    pub fn keep_in(&mut self, journal: Journal) {
        self.journal = Some(journal);
    }

    /// Looks at every request that waits.
    ///
    /// # Errors
    /// Where the disk refuses: nothing was acted on that is not in the audit log.
    pub fn poll(&mut self, premises: &Premises<'_>) -> Result<(), DataError> {
        let waiting = requests::waiting(premises.dir);
        self.judged.retain(|id, _| waiting.contains(id));
        for id in waiting {
            self.judge(&id, premises)?;
        }
        Ok(())
    }

    fn judge(&mut self, id: &str, premises: &Premises<'_>) -> Result<(), DataError> {
        let dir = premises.dir;
        let entry = Entry { request: id.to_owned(), what: "request".to_owned(), ..Entry::default() };
        let signed = match Signed::load(dir, id) {
            Ok(signed) => signed,
            // Taken back by whoever asked, or being replaced.
            Err(_) if !requests::path(dir, id).exists() => return Ok(()),
            Err(problem) => return close(dir, id, Entry { outcome: "refused".to_owned(), detail: problem, ..entry }),
        };
        let is_known = self.judged.get(id) == Some(&signed);
        let state = dir.state()?;
        let watched = Watched::of(dir, &state)?;
        let verified = match signed.verify(&self.operators, &state, now_ms()) {
            Ok(verified) if verified.request.id == id => verified,
            Ok(_) => {
                let detail = "its number is not its file's".to_owned();
                return close(dir, id, Entry { outcome: "refused".to_owned(), detail, ..entry });
            }
            Err(refusal) => {
                let outcome = if refusal == Refusal::Expired { "expired" } else { "refused" }.to_owned();
                let entry = signed.request().map_or(entry.clone(), |request| of(&request, &[]));
                return close(dir, id, Entry { outcome, detail: refusal.to_string(), request: id.to_owned(), ..entry });
            }
        };
        if is_known {
            return Ok(());
        }
        let Verified { request, signers } = &verified;
        let names: Vec<String> = signers.iter().map(|(_, name)| name.clone()).collect();
        let entry = of(request, &names);
        let outcome = |outcome: &str, detail: &str| Entry {
            outcome: outcome.to_owned(),
            detail: detail.to_owned(),
            ..entry.clone()
        };
        let needed = match self.needed(&request.action, premises, &state, &watched) {
            Ok(needed) => needed,
            Err(problem) => return close(dir, id, outcome("refused", &problem)),
        };
        if signers.len() < needed {
            let detail = format!("{} of {needed} operators have signed", signers.len());
            outcome("requested", &detail).write(dir)?;
            info!("request {id}: {}: {detail}", request.action);
            self.judged.insert(id.to_owned(), signed);
            return Ok(());
        }
        outcome("approved", "").write(dir)?;
        warn!("request {id}: {}, approved by {}: {}", request.action, names.join(" and "), request.reason);
        match self.act(&verified, &signed, premises, &watched) {
            Ok(detail) => close(dir, id, outcome("done", &detail)),
            Err(problem) => {
                error!("request {id}: {problem}");
                close(dir, id, outcome("failed", &problem))
            }
        }
    }

    /// How many operators an action needs.
    ///
    /// # Errors
    /// Why it cannot be done by any number of them.
    fn needed(
        &self,
        action: &Action,
        premises: &Premises<'_>,
        state: &State,
        watched: &Watched,
    ) -> Result<usize, String> {
        let known = |what: &str, name: &str, is_known: bool| {
            if is_known { Ok(()) } else { Err(format!("no {what} is named {name:?}")) }
        };
        match action {
            Action::Release { scope } => {
                if !state.kills.contains(scope) {
                    let killed: Vec<&str> = state.kills.iter().map(String::as_str).collect();
                    let killed = if killed.is_empty() { "nothing".to_owned() } else { killed.join(", ") };
                    return Err(format!("{scope} is not killed; {killed} is"));
                }
                if scope == ENGINE && !watched.is_flat() {
                    return Err(
                        "the watchdog has fired and has not seen every order's end: look at the venue".to_owned()
                    );
                }
            }
            Action::Reset { strategy: Some(name) } => {
                known(
                    "strategy",
                    name,
                    premises.names.strategy(name).is_some() || watched.quarantined.contains_key(name),
                )?;
            }
            Action::Reset { strategy: None } | Action::ApproveBuild { .. } => {}
            Action::Limits { config } => {
                let raises = self.limits.check_change(&self.new_limits(config)?.0, self.factor(), false);
                let too_large: Vec<String> =
                    raises.iter().filter(|raise| raise.is_too_large).map(ToString::to_string).collect();
                if !too_large.is_empty() {
                    return Err(too_large.join("; "));
                }
                return Ok(if raises.is_empty() { 1 } else { 2 });
            }
            Action::Override { .. } => {
                // The second operator is not known yet.
                self.override_of(action, premises, [0, 1])?;
            }
        }
        Ok(2)
    }

    /// Does what was approved. What the watchdog said is that by which it was judged: of an alarm that came since nothing is
    /// ended. It is marked as used, on the disk, no later than it is done.
    fn act(
        &mut self,
        verified: &Verified,
        signed: &Signed,
        premises: &Premises<'_>,
        watched: &Watched,
    ) -> Result<String, String> {
        let Premises { dir, names, watch } = premises;
        let Verified { request, signers } = verified;
        let in_words = |error: DataError| error.to_string();
        let mark = |state: &mut State| {
            // What expired long ago is refused as that.
            let forget_ms = now_ms().saturating_sub(24 * 3_600_000);
            state.used.retain(|_, expires_at_ms| *expires_at_ms > forget_ms);
            state.used.insert(request.id.clone(), request.expires_at_ms);
        };
        match &request.action {
            Action::Release { scope } => {
                let durable = || {
                    let unknown = |name: &String| scope == ENGINE && names.scope(name).is_none();
                    dir.update_state(|state| {
                        mark(state);
                        state.kills.retain(|name| name != scope && !unknown(name));
                        if scope == ENGINE {
                            watched.release(state);
                        }
                    })
                    .map(drop)
                };
                match names.scope(scope) {
                    Some(known) => watch.release(known, durable).map_err(in_words)?,
                    // It was nothing known and killed everything; the engine's own scope is released apart.
                    None => durable().map_err(in_words)?,
                }
                if scope == ENGINE {
                    self.send(Order::Command(RiskCommand::SetTradingState(TradingState::Active)))?;
                }
                let left = dir.state().map_err(in_words)?.kills;
                let left: Vec<&str> = left.iter().map(String::as_str).collect();
                Ok(if left.is_empty() { String::new() } else { format!("still killed: {}", left.join(", ")) })
            }
            Action::Reset { strategy } => {
                let mut was_quarantined = false;
                let set_back = |state: &mut State| {
                    mark(state);
                    was_quarantined = watched.end_quarantine(strategy.as_deref(), state);
                };
                dir.update_state(set_back).map_err(in_words)?;
                let id = strategy.as_ref().map_or(Some(StrategyId::NONE), |name| names.strategy(name));
                if let Some(id) = id {
                    self.send(Order::Command(RiskCommand::Reset(id)))?;
                }
                let quarantine = "no longer in quarantine: it runs from the next start of the engine on";
                Ok(if was_quarantined { quarantine.to_owned() } else { String::new() })
            }
            Action::Limits { config } => {
                let (limits, config) = self.new_limits(config)?;
                let may_raise = signers.len() >= 2;
                let raises = self.limits.check_change(&limits, self.factor(), may_raise);
                if let Some(raise) = raises.first() {
                    return Err(raise.to_string());
                }
                dir.update_state(mark).map_err(in_words)?;
                self.keep(&Blob::Limits(Box::new(limits.clone())))?;
                self.send(Order::Limits(Box::new(limits.clone())))?;
                let version = limits.version;
                (self.limits, self.config) = (limits, config);
                Ok(format!("version {version}; the next start reads the configuration file: put the new one there"))
            }
            Action::Override { .. } => {
                let [Some((requester, _)), Some((approver, _))] = [signers.first(), signers.get(1)] else {
                    return Err("it needs two operators".to_owned());
                };
                let wanted = self.override_of(&request.action, premises, [*requester, *approver])?;
                dir.update_state(mark).map_err(in_words)?;
                self.keep(&Blob::Override(wanted))?;
                self.send(Order::Override(wanted))?;
                Ok(String::new())
            }
            Action::ApproveBuild { .. } => {
                dir.update_state(mark).and_then(|_| identity::keep(dir, signed)).map_err(in_words)?;
                Ok("it holds from the next start on".to_owned())
            }
        }
    }

    /// The limits of a configuration that differs from the running one in nothing else, and that configuration.
    fn new_limits(&self, text: &str) -> Result<(LimitsTable, Config), String> {
        let mut config = Config::parse(text).map_err(|errors| errors.to_string())?;
        config.engine.data_dir.clone_from(&self.config.engine.data_dir);
        let others = difference::beyond_limits(&self.config, &config);
        if !others.is_empty() {
            return Err(format!("only limits may change while the engine runs; this differs: {}", others.join(", ")));
        }
        let version = self.limits.version + 1;
        let table = limits::table(&config, &self.instruments, version).map_err(|errors| errors.join("; "))?;
        table.validate().map_err(str::to_owned)?;
        Ok((table, config))
    }

    fn factor(&self) -> u32 {
        self.config.engine.limits_change_factor
    }

    fn override_of(&self, action: &Action, premises: &Premises<'_>, by: [u32; 2]) -> Result<Override, String> {
        let Action::Override { strategy, instrument, control, orders, for_s } = action else {
            return Err("it is no override".to_owned());
        };
        let names = premises.names;
        let reason = DenialReason::ALL.into_iter().find(|reason| reason.name() == control);
        let [requester, approver] = by;
        let now = self.clock.now();
        let wanted = Override {
            strategy: names.strategy(strategy).ok_or_else(|| format!("no strategy is named {strategy:?}"))?,
            instrument: names.instrument(instrument).ok_or_else(|| format!("no instrument is named {instrument:?}"))?,
            reason: reason.filter(|reason| Override::REASONS.contains(reason)).ok_or_else(|| {
                let allowed: Vec<&str> = Override::REASONS.iter().map(|reason| reason.name()).collect();
                format!("{control:?} cannot be overridden; these can: {}", allowed.join(", "))
            })?,
            orders_left: *orders,
            expires_ns: now.plus(for_s.saturating_mul(1_000_000_000)),
            requester,
            approver,
        };
        wanted.validate(now).map_err(str::to_owned)?;
        Ok(wanted)
    }

    /// Has it in the journal, where there is one.
    fn keep(&self, blob: &Blob) -> Result<(), String> {
        self.journal.as_ref().map_or(Ok(()), |journal| journaling::keep(journal, blob))
    }

    fn send(&self, order: Order) -> Result<(), String> {
        self.orders
            .try_send(order)
            .map_err(|_| "the engine is busy or stopping, and was not told; ask again".to_owned())
    }
}

/// What the audit log says of a request.
fn of(request: &Request, by: &[String]) -> Entry {
    Entry {
        what: request.action.to_string(),
        by: by.to_vec(),
        reason: request.reason.clone(),
        request: request.id.clone(),
        ..Entry::default()
    }
}

/// A request is over: its end is told, and its file goes.
fn close(dir: &DataDir, id: &str, entry: Entry) -> Result<(), DataError> {
    entry.write(dir)?;
    info!("request {id}: {}: {} {}", entry.what, entry.outcome, entry.detail);
    let path = requests::path(dir, id);
    std::fs::remove_file(&path).map_err(|error| DataError::new(&path, error, "see that this user may remove it"))
}

#[cfg(test)]
mod tests {
    use super::super::audit;
    use super::super::kill_file;
    use super::super::requests::tests::People;
    use super::super::state::WatchdogLatch;
    use super::super::watchdog::file::WatchdogFile;
    use super::*;
    use crate::config::EXAMPLE;
    use crate::risk::{KillScope, KillSwitch};
    use crate::strategy::testkit::btcusdt;
    use crate::types::Timestamp;

    struct Scene {
        _folder: tempfile::TempDir,
        people: People,
        dir: DataDir,
        names: Names,
        switch: KillSwitch,
        watch: KillWatch,
        office: Office,
        orders: Receiver<Order>,
    }

    impl Scene {
        fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let dir = DataDir::new(folder.path().join("data"));
            dir.create().expect("made");
            let config = Config::parse(EXAMPLE).unwrap_or_else(|errors| panic!("{errors}"));
            let (names, switch, people) = (Names::of(&config), KillSwitch::new(), People::new());
            let watch = KillWatch::start(dir.clone(), names.clone(), switch.clone()).expect("a thread");
            let instruments = Arc::new(btcusdt().0);
            let table = limits::table(&config, &instruments, 1).expect("limits");
            let clock = Clock::virtual_at(Timestamp::from_nanos(1));
            let (mut office, orders) = Office::new(&config, instruments, table, clock);
            office.operators = people.operators.clone();
            Self { _folder: folder, people, dir, names, switch, watch, office, orders }
        }

        fn kill(&self, scope: &str) {
            kill_file::request(&self.dir, scope).expect("written");
            self.switch.kill(self.names.scope(scope).unwrap_or(KillScope::Engine));
            self.dir.update_state(|state| _ = state.kills.insert(scope.to_owned())).expect("written");
        }

        /// Asks, signed by these people, and answers what the audit log says.
        fn ask(&mut self, action: Action, by: &[usize]) -> Entry {
            let request =
                Request::new(&self.dir.state().expect("trusted"), action, "looked at", now_ms()).expect("one");
            let mut signed = Signed::new(&request);
            by.iter().for_each(|place| signed.sign(&self.people.keys[*place]));
            self.put(&signed)
        }

        fn put(&mut self, signed: &Signed) -> Entry {
            signed.store(&self.dir).expect("stored");
            self.poll();
            audit::about(&self.dir, &signed.request().expect("one").id).pop().expect("told")
        }

        fn watched(&self) -> Watched {
            Watched::of(&self.dir, &self.dir.state().expect("trusted")).expect("trusted")
        }

        fn poll(&mut self) {
            let premises = Premises { dir: &self.dir, names: &self.names, watch: &self.watch };
            self.office.poll(&premises).expect("a disk");
        }
    }

    fn release(scope: &str) -> Action {
        Action::Release { scope: scope.to_owned() }
    }

    #[test]
    fn a_release_takes_two_different_operators() {
        for (by, outcome) in [(&[][..], "requested"), (&[0], "requested"), (&[0, 0], "requested"), (&[0, 2], "refused")]
        {
            let mut scene = Scene::new();
            scene.kill("engine");
            assert_eq!(scene.ask(release("engine"), by).outcome, outcome, "{by:?}");
            assert!(scene.switch.read().has(KillScope::Engine));
            assert!(scene.dir.state().expect("trusted").kills.contains("engine"));
            assert!(scene.orders.is_empty());
        }
        let mut scene = Scene::new();
        scene.kill("engine");
        let entry = scene.ask(release("engine"), &[1, 0]);
        assert_eq!((entry.outcome.as_str(), entry.by), ("done", vec!["bob".to_owned(), "alice".to_owned()]));
        assert_eq!((entry.what.as_str(), entry.reason.as_str()), ("release engine", "looked at"));
        assert!(!scene.switch.read().any());
        assert!(scene.dir.state().expect("trusted").kills.is_empty());
        let order = scene.orders.try_recv().expect("one");
        assert!(matches!(order, Order::Command(RiskCommand::SetTradingState(TradingState::Active))), "{order:?}");
        assert!(requests::waiting(&scene.dir).is_empty());
    }

    #[test]
    fn the_second_signature_may_come_later_and_no_request_works_twice() {
        let mut scene = Scene::new();
        scene.kill("strategy:btc-maker");
        let state = scene.dir.state().expect("trusted");
        let request = Request::new(&state, release("strategy:btc-maker"), "looked at", now_ms()).expect("one");
        let mut signed = Signed::new(&request);
        signed.sign(&scene.people.keys[0]);
        assert_eq!(scene.put(&signed).outcome, "requested");
        let lines = scene.dir.read(audit::FILE).expect("read").lines().count();
        scene.poll();
        assert_eq!(scene.dir.read(audit::FILE).expect("read").lines().count(), lines, "what waits is told once");
        signed.sign(&scene.people.keys[1]);
        assert_eq!(scene.put(&signed).outcome, "done");
        assert!(!scene.switch.read().any());
        scene.kill("strategy:btc-maker");
        let again = scene.put(&signed);
        assert_eq!((again.outcome.as_str(), again.detail.as_str()), ("refused", "it was acted on before"));
        assert!(scene.switch.read().any());
    }

    #[test]
    fn what_is_not_killed_cannot_be_released_and_what_is_nothing_known_can() {
        let mut scene = Scene::new();
        scene.kill("venue:binance");
        let refused = scene.ask(release("engine"), &[0, 1]);
        assert_eq!(
            (refused.outcome.as_str(), refused.detail.as_str()),
            ("refused", "engine is not killed; venue:binance is")
        );
        scene.kill("engine");
        scene.dir.update_state(|state| _ = state.kills.insert("strategy:renamed".to_owned())).expect("written");
        let done = scene.ask(release("engine"), &[0, 1]);
        assert_eq!((done.outcome.as_str(), done.detail.as_str()), ("done", "still killed: venue:binance"));
        assert!(!scene.switch.read().has(KillScope::Engine));
    }

    #[test]
    fn nothing_is_released_before_the_watchdog_has_seen_it_flat() {
        let mut scene = Scene::new();
        scene.kill("engine");
        let fire = |scene: &Scene, is_flat| {
            let latch = WatchdogLatch { fired_at_ms: 7, is_flat, ..WatchdogLatch::default() };
            let file = WatchdogFile { latch: Some(latch), ..WatchdogFile::default() };
            file.write(&scene.dir).expect("written");
        };
        fire(&scene, false);
        assert!(scene.ask(release("engine"), &[0, 1]).detail.contains("watchdog"));
        assert!(scene.switch.read().any());
        fire(&scene, true);
        assert_eq!(scene.ask(release("engine"), &[0, 1]).outcome, "done");
        assert_eq!(scene.watched(), Watched::default());
        // Without its file there is what an older program has written.
        scene.kill("engine");
        std::fs::remove_file(scene.dir.file(WatchdogFile::FILE)).expect("gone");
        let older = |is_flat| Some(WatchdogLatch { is_flat, ..WatchdogLatch::default() });
        scene.dir.update_state(|state| state.watchdog = older(false)).expect("written");
        assert!(scene.ask(release("engine"), &[0, 1]).detail.contains("watchdog"));
        scene.dir.update_state(|state| state.watchdog = older(true)).expect("written");
        assert_eq!(scene.ask(release("engine"), &[0, 1]).outcome, "done");
        assert_eq!(scene.dir.state().expect("trusted").watchdog, None);
    }

    #[test]
    fn a_reset_ends_quarantine_and_tells_risk() {
        let mut scene = Scene::new();
        let culprit = Some("btc-maker".to_owned());
        let mut file = WatchdogFile::default();
        file.keep(&WatchdogLatch { fired_at_ms: 7, is_flat: true, culprit, ..WatchdogLatch::default() });
        file.write(&scene.dir).expect("written");
        let older = |state: &mut State| _ = state.quarantined.insert("gone".to_owned(), Default::default());
        scene.dir.update_state(older).expect("written");
        let reset = |name: &str| Action::Reset { strategy: Some(name.to_owned()) };
        assert_eq!(scene.ask(reset("nobody"), &[0, 1]).outcome, "refused");
        assert_eq!(scene.ask(reset("btc-maker"), &[0]).outcome, "requested");
        let done = scene.ask(reset("btc-maker"), &[0, 1]);
        assert!(done.outcome == "done" && done.detail.contains("next start"), "{done:?}");
        assert_eq!(scene.watched().quarantined.into_keys().collect::<Vec<_>>(), ["gone"]);
        let order = scene.orders.try_recv().expect("one");
        assert!(matches!(order, Order::Command(RiskCommand::Reset(StrategyId(0)))), "{order:?}");
        assert_eq!(scene.ask(Action::Reset { strategy: None }, &[0, 1]).outcome, "done");
        assert!(scene.watched().quarantined.is_empty());
    }

    #[test]
    fn one_operator_lowers_limits_two_raise_them_and_nobody_by_more_than_the_factor() {
        let new = |from: &str, to: &str| {
            assert!(EXAMPLE.contains(from), "{from}");
            Action::Limits { config: EXAMPLE.replace(from, to) }
        };
        let (limit, lower, higher) = ("gross_max = \"20000\"", "gross_max = \"10000\"", "gross_max = \"200000\"");
        for (action, by, outcome, detail) in [
            (new(limit, lower), &[0][..], "done", "version 2"),
            (new(limit, higher), &[0], "requested", "1 of 2"),
            (new(limit, higher), &[0, 1], "done", "version 2"),
            (new(limit, "gross_max = \"200000.01\""), &[0, 1], "refused", "CONFIG_CHANGE_TOO_LARGE"),
            (new("shards = 1 ", "shards = 2 "), &[0, 1], "refused", "engine.shards"),
            (new(limit, "gross_max = \"-1\""), &[0, 1], "refused", "gross_max"),
        ] {
            let mut scene = Scene::new();
            let entry = scene.ask(action, by);
            assert!(entry.outcome == outcome && entry.detail.contains(detail), "{outcome}, {detail}: {entry:?}");
            let orders: Vec<Order> = scene.orders.try_iter().collect();
            assert_eq!(orders.len(), usize::from(outcome == "done"), "{orders:?}");
            assert!(orders.iter().all(|order| matches!(order, Order::Limits(table) if table.version == 2)));
        }
    }

    #[test]
    fn a_raise_is_against_the_limits_in_force() {
        let mut scene = Scene::new();
        let with = |value: &str| Action::Limits { config: EXAMPLE.replace("gross_max = \"20000\"", value) };
        assert_eq!(scene.ask(with("gross_max = \"1000\""), &[0]).outcome, "done");
        assert_eq!(scene.ask(with("gross_max = \"2000\""), &[0]).outcome, "requested");
        assert_eq!(scene.ask(with("gross_max = \"20000\""), &[0, 1]).outcome, "refused");
    }

    #[test]
    fn an_override_names_who_asked_and_who_approved() {
        let wanted = |control: &str, orders, for_s| Action::Override {
            strategy: "btc-maker".to_owned(),
            instrument: "binance:BTCUSDT".to_owned(),
            control: control.to_owned(),
            orders,
            for_s,
        };
        let mut scene = Scene::new();
        for (action, by, outcome) in [
            (wanted("MAX_POSITION", 2, 60), &[0, 0][..], "requested"),
            (wanted("KILL_SWITCH_ACTIVE", 2, 60), &[0, 1], "refused"),
            (wanted("MAX_POSITION", 0, 60), &[0, 1], "refused"),
            (wanted("MAX_POSITION", 2, 0), &[0, 1], "refused"),
        ] {
            assert_eq!(scene.ask(action, by).outcome, outcome);
            assert!(scene.orders.is_empty());
        }
        assert_eq!(scene.ask(wanted("MAX_POSITION", 2, 60), &[1, 0]).outcome, "done");
        let Ok(Order::Override(sent)) = scene.orders.try_recv() else { panic!("no override") };
        assert_eq!((sent.requester, sent.approver, sent.orders_left), (1, 0, 2));
        assert_eq!((sent.reason, sent.expires_ns), (DenialReason::MaxPosition, Timestamp::from_nanos(60_000_000_001)));
    }

    #[test]
    fn files_that_are_no_requests_are_refused_and_taken_away() {
        let mut scene = Scene::new();
        scene.dir.create_folder(requests::FOLDER).expect("made");
        let path = requests::path(&scene.dir, "0123456789abcdef");
        std::fs::write(&path, "{}").expect("written");
        scene.poll();
        assert!(!path.exists());
        assert_eq!(audit::about(&scene.dir, "0123456789abcdef")[0].outcome, "refused");
    }
}
