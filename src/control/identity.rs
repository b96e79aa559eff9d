//! C41: whether keys, venues, mode, program and configuration belong together. Where they do not, every order is denied.
//!
//! The mode says what is at stake; each venue's addresses and key must be of that mode: an address of this machine is a
//! simulation, the venue's test hosts are paper, its real ones live, and others are of no mode. A key belongs to the mode
//! in which it was first used here. Live mode also takes an approval by two operators of this very program, this very
//! configuration and these very keys: their signed requests are kept in `approved.json`, and judged again at each start.

use super::data_dir::{DataDir, DataError};
use super::operators::Operators;
use super::requests::{Action, Signed};
use super::state::sha256;
use crate::config::{Config, Mode, is_loopback};
use crate::types::{Denial, DenialReason};
use std::fmt;

/// The file of approvals in the data directory.
pub const FILE: &str = "approved.json";

/// Binance's own hosts for money and for play.
const LIVE_HOSTS: &[&str] = &[
    "api.binance.com",
    "api-gcp.binance.com",
    "api1.binance.com",
    "api2.binance.com",
    "api3.binance.com",
    "api4.binance.com",
    "stream.binance.com",
    "ws-api.binance.com",
];
const TEST_HOSTS: &[&str] = &[
    "testnet.binance.vision",
    "api.testnet.binance.vision",
    "stream.testnet.binance.vision",
    "ws-api.testnet.binance.vision",
    "demo-api.binance.com",
    "demo-stream.binance.com",
    "demo-ws-api.binance.com",
];

/// Why nothing may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// `MODE_MISMATCH` or `BUILD_NOT_APPROVED`.
    pub reason: DenialReason,
    /// What does not belong where, in words.
    pub problem: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; every order is denied", self.reason, self.problem)
    }
}

impl From<&Mismatch> for Denial {
    fn from(mismatch: &Mismatch) -> Self {
        Self { reason: mismatch.reason, limit: 0, observed: 0 }
    }
}

/// What tells keys apart without telling them.
#[must_use]
pub fn fingerprint(api_key: &str) -> String {
    sha256(api_key.as_bytes())
}

/// What the running program is.
///
/// # Errors
/// Where its file cannot be read.
pub fn of_program() -> Result<String, String> {
    // The link is to the very file that runs, whatever has taken its place since.
    let read = std::fs::read("/proc/self/exe").or_else(|_| std::fs::read(std::env::current_exe()?));
    read.map(|bytes| sha256(&bytes)).map_err(|error| format!("this program's own file cannot be read: {error}"))
}

/// Judges a run: `keys` are the venues' API keys in the configured order.
///
/// # Errors
/// Everything that does not belong together.
pub fn judge(config: &Config, keys: &[&str], dir: &DataDir) -> Result<(), Vec<Mismatch>> {
    let mode = config.engine.mode;
    let mut problems = hosts(config);
    let of_keys = dir.state().map(|state| state.keys).unwrap_or_default();
    for (venue, key) in config.venues.iter().zip(keys) {
        let used = of_keys.get(&fingerprint(key));
        if let Some(used) = used.filter(|used| *used != mode.name()) {
            let name = &venue.name;
            problems.push(mismatch(format!("venue {name}: its key is one of {used} mode, this is {}", mode.name())));
        }
    }
    if mode == Mode::Live {
        match of_program() {
            Ok(program) if is_approved(config, &program, keys, dir) => {}
            Ok(_) => problems.push(unapproved(
                "no two operators have approved this program, configuration and keys: gannet ctl approve-build, and \
                 start again"
                    .to_owned(),
            )),
            Err(problem) => problems.push(unapproved(problem)),
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Whether every address is of the mode.
#[must_use]
pub fn hosts(config: &Config) -> Vec<Mismatch> {
    let mode = config.engine.mode;
    let mut problems = Vec::new();
    for venue in &config.venues {
        for url in [&venue.rest, &venue.market_stream, &venue.order_api] {
            let told = mode_of(url).map_or("no mode that is known", Mode::name);
            if mode_of(url) != Some(mode) {
                let (name, mode) = (&venue.name, mode.name());
                problems.push(mismatch(format!("venue {name}: {url} is of {told}, engine.mode is {mode}")));
            }
        }
    }
    problems
}

/// A key belongs to the mode in which it was first used: from now on to this one.
///
/// # Errors
/// Where the disk refuses.
pub fn remember(config: &Config, keys: &[&str], dir: &DataDir) -> Result<(), DataError> {
    let mode = config.engine.mode.name().to_owned();
    let remember = |state: &mut super::state::State| {
        for key in keys {
            state.keys.entry(fingerprint(key)).or_insert_with(|| mode.clone());
        }
    };
    dir.update_state(remember).map(drop)
}

/// Keeps an approval, so that it can be judged at each start.
///
/// # Errors
/// Where the disk refuses.
pub fn keep(dir: &DataDir, approval: &Signed) -> Result<(), DataError> {
    let mut approvals = approvals(dir);
    approvals.push(approval.clone());
    dir.replace(FILE, &serde_json::to_string_pretty(&approvals).unwrap_or_default())
}

fn approvals(dir: &DataDir) -> Vec<Signed> {
    let text = dir.read(FILE).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
}

/// What cannot be read, is of another directory, or lacks a signature approves nothing.
fn is_approved(config: &Config, program: &str, keys: &[&str], dir: &DataDir) -> bool {
    let (Ok(state), operators) = (dir.state(), Operators::of(config)) else { return false };
    let of_config = sha256(config.source.as_bytes());
    approvals(dir).iter().any(|approval| {
        let Ok(request) = approval.request() else { return false };
        let Action::ApproveBuild { program: approved, config, keys: known } = &request.action else { return false };
        request.directory == state.directory
            && approval.signers(&operators).is_ok_and(|signers| signers.len() >= 2)
            && approved == program
            && *config == of_config
            && keys.iter().all(|key| known.contains(&fingerprint(key)))
    })
}

fn mode_of(url: &str) -> Option<Mode> {
    let host = url.split("://").nth(1)?.split(['/', ':']).next()?;
    if is_loopback(url) {
        Some(Mode::Simulated)
    } else if TEST_HOSTS.contains(&host) {
        Some(Mode::Paper)
    } else {
        LIVE_HOSTS.contains(&host).then_some(Mode::Live)
    }
}

const fn mismatch(problem: String) -> Mismatch {
    Mismatch { reason: DenialReason::ModeMismatch, problem }
}

const fn unapproved(problem: String) -> Mismatch {
    Mismatch { reason: DenialReason::BuildNotApproved, problem }
}

#[cfg(test)]
mod tests {
    use super::super::requests::tests::People;
    use super::super::requests::{Request, now_ms};
    use super::*;
    use crate::config::EXAMPLE;

    fn live() -> Config {
        let text = EXAMPLE
            .replace("mode = \"paper\"", "mode = \"live\"")
            .replace("testnet.binance.vision", "binance.com")
            .replace("https://binance.com", "https://api.binance.com");
        Config::parse(&text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn scene() -> (tempfile::TempDir, DataDir, People) {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().join("data"));
        dir.create().expect("made");
        (folder, dir, People::new())
    }

    fn reasons(verdict: Result<(), Vec<Mismatch>>) -> Vec<DenialReason> {
        verdict.err().unwrap_or_default().iter().map(|problem| problem.reason).collect()
    }

    #[test]
    fn every_address_must_be_of_the_mode() {
        for (url, mode) in [
            ("wss://stream.binance.com:9443/ws", Some(Mode::Live)),
            ("https://api.binance.com", Some(Mode::Live)),
            ("wss://ws-api.testnet.binance.vision/ws-api/v3", Some(Mode::Paper)),
            ("ws://127.0.0.1:9/ws", Some(Mode::Simulated)),
            ("http://[::1]:9", Some(Mode::Simulated)),
            ("https://api.binance.com.example.org", None),
            ("https://example.org/api.binance.com", None),
            ("https://api.binance.com@example.org", None),
            ("ws://10.0.0.1", None),
        ] {
            assert_eq!(mode_of(url), mode, "{url}");
        }
        let (_folder, dir, _) = scene();
        let paper = Config::parse(EXAMPLE).expect("valid");
        assert_eq!(judge(&paper, &["key"], &dir), Ok(()));
        let mut mixed = paper.clone();
        mixed.venues[0].order_api = "wss://ws-api.binance.com/ws-api/v3".to_owned();
        let problems = judge(&mixed, &["key"], &dir).expect_err("mixed");
        assert!(problems.len() == 1 && problems[0].to_string().contains("MODE_MISMATCH"), "{problems:?}");
        for mode in [Mode::Simulated, Mode::Live] {
            let mut other = paper.clone();
            other.engine.mode = mode;
            assert_eq!(hosts(&other).len(), 3);
        }
    }

    #[test]
    fn a_key_belongs_to_the_mode_of_its_first_use() {
        let (_folder, dir, _) = scene();
        let paper = Config::parse(EXAMPLE).expect("valid");
        remember(&live(), &["of live"], &dir).expect("written");
        assert_eq!(reasons(judge(&paper, &["of live"], &dir)), [DenialReason::ModeMismatch]);
        remember(&paper, &["of paper", "of live"], &dir).expect("written");
        assert_eq!(judge(&paper, &["of paper"], &dir), Ok(()));
        assert_eq!(
            reasons(judge(&paper, &["of live"], &dir)),
            [DenialReason::ModeMismatch],
            "it does not change sides"
        );
        assert!(reasons(judge(&live(), &["of paper"], &dir)).contains(&DenialReason::ModeMismatch));
        assert!(!dir.read("state.json").expect("read").contains("of live"), "keys are not told");
    }

    #[test]
    fn live_takes_two_operators_over_this_program_configuration_and_key() {
        let (_folder, dir, people) = scene();
        let config = people.operate(live());
        let state = dir.state().expect("trusted");
        let approve = |program: &str, of_config: &str, key: &str, by: &[usize]| {
            let _ = std::fs::remove_file(dir.file(FILE));
            let action = Action::ApproveBuild {
                program: program.to_owned(),
                config: of_config.to_owned(),
                keys: vec![fingerprint(key)],
            };
            let request = Request::new(&state, action, "released", now_ms() - 3_600_000).expect("one");
            let mut signed = Signed::new(&request);
            by.iter().for_each(|place| signed.sign(&people.keys[*place]));
            keep(&dir, &signed).expect("kept");
            reasons(judge(&config, &["key"], &dir))
        };
        let (program, of_config) = (of_program().expect("read"), sha256(config.source.as_bytes()));
        assert_eq!(reasons(judge(&config, &["key"], &dir)), [DenialReason::BuildNotApproved]);
        assert_eq!(approve(&program, &of_config, "key", &[0, 1]), [], "however long ago");
        for verdict in [
            approve(&program, &of_config, "key", &[0, 0]),
            approve(&program, &of_config, "key", &[0, 2]),
            approve(&sha256(b"other"), &of_config, "key", &[0, 1]),
            approve(&program, &sha256(b"other"), "key", &[0, 1]),
            approve(&program, &of_config, "other", &[0, 1]),
        ] {
            assert_eq!(verdict, [DenialReason::BuildNotApproved]);
        }
        std::fs::write(dir.file(FILE), "[{\"text\":").expect("written");
        assert_eq!(reasons(judge(&config, &["key"], &dir)), [DenialReason::BuildNotApproved]);
    }
}
