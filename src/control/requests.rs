//! Requests: what operators ask of an engine, signed.
//!
//! A request is a file in `requests/` of the data directory: the very text that is signed, and the signatures under it.
//! The text says everything that is decided: what, for which directory, why, when, until when, and under which number, so
//! that a signature is good for this one thing, once.

use super::data_dir::{DataDir, DataError};
use super::operators::{OperatorKey, Operators, is_signed};
use super::state::{State, hex, sha256};
use crate::config::operator_key;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The folder of requests in the data directory.
pub const FOLDER: &str = "requests";
/// How long a request waits for its signatures.
pub const LIFETIME: Duration = Duration::from_secs(15 * 60);
/// How far ahead the clock of whoever asks may be.
const CLOCK_AHEAD_MS: u64 = 60_000;
/// Signed before the text, so that no signature of something else is one of a request.
const DOMAIN: &[u8] = b"gannet request 1\n";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// What is killed is to trade again.
    Release {
        /// The scope's name.
        scope: String,
    },
    /// Breakers, counts and quarantine of a strategy begin anew; of all strategies without one.
    Reset {
        /// The strategy's name.
        strategy: Option<String>,
    },
    /// The limits of this configuration are to hold from now on.
    Limits {
        /// Its whole text.
        config: String,
    },
    /// A few orders may pass a limit.
    Override {
        /// The strategy's name.
        strategy: String,
        /// The instrument's, `VENUE:SYMBOL`.
        instrument: String,
        /// The reason that would deny them.
        control: String,
        /// How many.
        orders: u32,
        /// For how long, in s.
        for_s: u64,
    },
    /// This program may trade live with this configuration and these keys.
    ApproveBuild {
        /// The SHA-256 of the program's file.
        program: String,
        /// The SHA-256 of the configuration's text.
        config: String,
        /// The fingerprints of the API keys.
        keys: Vec<String>,
    },
}

/// The text that is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Its number, random: acted on once.
    pub id: String,
    /// Of which data directory.
    pub directory: String,
    /// What is asked for.
    pub action: Action,
    /// Why.
    pub reason: String,
    /// When, in ms since the epoch.
    pub requested_at_ms: u64,
    /// Until when it may be acted on, in ms since the epoch.
    pub expires_at_ms: u64,
}

/// One signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Signature {
    public_key: String,
    signature: String,
}

/// A request's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    text: String,
    signatures: Vec<Signature>,
}

/// A request that may be acted on, and who signed it, in that order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What they signed.
    pub request: Request,
    /// The place and name of each different operator.
    pub signers: Vec<(u32, String)>,
}

/// Why a request is not acted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It cannot be read as a request.
    Unreadable(String),
    /// It is of another directory.
    OtherDirectory,
    /// It was acted on before.
    Used,
    /// It is over.
    Expired,
    /// Its times make no sense.
    Times,
    /// Nobody gave a reason.
    NoReason,
    /// A signature is not that of a configured operator over exactly this text.
    BadSignature,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable(problem) => return write!(f, "it cannot be read: {problem}"),
            Self::OtherDirectory => "it is for another data directory",
            Self::Used => "it was acted on before",
            Self::Expired => "it has expired",
            Self::Times => "its times make no sense: are the clocks right?",
            Self::NoReason => "it gives no reason",
            Self::BadSignature => "a signature is not that of a configured operator over exactly this text",
        })
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Release { scope } => write!(f, "release {scope}"),
            Self::Reset { strategy: Some(strategy) } => write!(f, "reset strategy {strategy}"),
            Self::Reset { strategy: None } => f.write_str("reset all strategies"),
            Self::Limits { config } => write!(f, "limits of the configuration {}", sha256(config.as_bytes())),
            Self::Override { strategy, instrument, control, orders, for_s } => {
                write!(f, "override {control} for {orders} orders of {strategy} in {instrument} within {for_s} s")
            }
            Self::ApproveBuild { program, config, .. } => {
                write!(f, "approve program {program} with configuration {config} for live trading")
            }
        }
    }
}

impl Request {
    /// A request to the engine of this directory.
    ///
    /// # Errors
    /// Where there is no reason, or the system gives no random numbers.
    pub fn new(state: &State, action: Action, reason: &str, now_ms: u64) -> Result<Self, String> {
        if reason.trim().is_empty() {
            return Err("a --reason is needed".to_owned());
        }
        let mut id = [0; 8];
        SystemRandom::new().fill(&mut id).map_err(|_| "the system gives no random numbers".to_owned())?;
        Ok(Self {
            id: hex(&id),
            directory: state.directory.clone(),
            action,
            reason: reason.trim().to_owned(),
            requested_at_ms: now_ms,
            expires_at_ms: now_ms.saturating_add(u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX)),
        })
    }
}

impl Signed {
    /// The request, not signed yet.
    #[must_use]
    pub fn new(request: &Request) -> Self {
        // Text, numbers and enums of text: there is nothing in it that JSON cannot say.
        Self { text: serde_json::to_string_pretty(request).unwrap_or_default(), signatures: Vec::new() }
    }

    /// Signs it, too.
    pub fn sign(&mut self, key: &OperatorKey) {
        let signature = STANDARD.encode(key.sign(&[DOMAIN, self.text.as_bytes()].concat()));
        self.signatures.push(Signature { public_key: key.public_text(), signature });
    }

    /// What the text asks for, whoever signed it.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn request(&self) -> Result<Request, Refusal> {
        serde_json::from_str(&self.text).map_err(|error| Refusal::Unreadable(error.to_string()))
    }

    /// Judges signatures, directory, times and use. One operator's two signatures count once.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn verify(&self, operators: &Operators, state: &State, now_ms: u64) -> Result<Verified, Refusal> {
        let (request, signers) = (self.request()?, self.signers(operators)?);
        if request.directory != state.directory {
            return Err(Refusal::OtherDirectory);
        }
        if state.used.contains_key(&request.id) {
            return Err(Refusal::Used);
        }
        if request.reason.trim().is_empty() {
            return Err(Refusal::NoReason);
        }
        let lifetime_ms = u64::try_from(LIFETIME.as_millis()).unwrap_or(u64::MAX);
        if request.requested_at_ms > now_ms.saturating_add(CLOCK_AHEAD_MS)
            || request.expires_at_ms.saturating_sub(request.requested_at_ms) > lifetime_ms
        {
            return Err(Refusal::Times);
        }
        if request.expires_at_ms <= now_ms {
            return Err(Refusal::Expired);
        }
        Ok(Verified { request, signers })
    }

    /// The different operators who signed exactly this text, in that order.
    ///
    /// # Errors
    /// Where any signature is not one of theirs.
    pub fn signers(&self, operators: &Operators) -> Result<Vec<(u32, String)>, Refusal> {
        let bytes = [DOMAIN, self.text.as_bytes()].concat();
        let mut signers: Vec<(u32, String)> = Vec::new();
        for Signature { public_key, signature } in &self.signatures {
            let key = operator_key(public_key).ok_or(Refusal::BadSignature)?;
            let (place, name) = operators.find(&key).ok_or(Refusal::BadSignature)?;
            let signature = STANDARD.decode(signature).map_err(|_| Refusal::BadSignature)?;
            if !is_signed(&key, &bytes, &signature) {
                return Err(Refusal::BadSignature);
            }
            if signers.iter().all(|(other, _)| *other != place) {
                signers.push((place, name.to_owned()));
            }
        }
        Ok(signers)
    }

    /// Puts the file in the directory's requests.
    ///
    /// # Errors
    /// Where the request cannot be read, or the disk refuses.
    pub fn store(&self, dir: &DataDir) -> Result<(), DataError> {
        let folder = dir.file(FOLDER);
        let what = "see that this user may write there";
        let id = self.request().map_err(|refusal| DataError::new(&folder, refusal, what))?.id;
        if !is_id(&id) {
            return Err(DataError::new(&folder, format!("{id:?} is no number of a request"), what));
        }
        dir.create_folder(FOLDER)?;
        dir.replace(&name(&id), &serde_json::to_string_pretty(self).unwrap_or_default())
    }

    /// Reads the request of this number.
    ///
    /// # Errors
    /// Where there is none, or it cannot be read.
    pub fn load(dir: &DataDir, id: &str) -> Result<Self, String> {
        if !is_id(id) {
            return Err(format!("{id:?} is no number of a request; gannet ctl status lists those that wait"));
        }
        let text = dir
            .read(&name(id))
            .map_err(|error| format!("no request {id} waits ({error}); gannet ctl status lists those that do"))?;
        serde_json::from_str(&text).map_err(|error| format!("request {id} cannot be read: {error}"))
    }
}

/// The numbers of the requests that wait, in no order.
#[must_use]
pub fn waiting(dir: &DataDir) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir.file(FOLDER)) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names.filter_map(|name| name.strip_suffix(".json").map(str::to_owned)).filter(|id| is_id(id)).collect()
}

/// A request's file in the data directory.
#[must_use]
pub fn path(dir: &DataDir, id: &str) -> PathBuf {
    dir.file(&name(id))
}

fn name(id: &str) -> String {
    format!("{FOLDER}/{id}.json")
}

fn is_id(text: &str) -> bool {
    text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The wall clock, in ms since the epoch.
#[must_use]
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::OperatorConfig;

    /// Three keys; the first two are configured operators'.
    pub struct People {
        pub keys: Vec<OperatorKey>,
        pub operators: Operators,
        _folder: tempfile::TempDir,
    }

    impl People {
        pub fn new() -> Self {
            let folder = tempfile::tempdir().expect("a folder");
            let keys: Vec<OperatorKey> = ["alice", "bob", "mallory"]
                .iter()
                .map(|name| OperatorKey::generate(&folder.path().join(name)).expect("made"))
                .collect();
            let mut people = Self { operators: Operators::default(), keys, _folder: folder };
            people.operators = Operators::of(&people.operate(Config::parse(crate::config::EXAMPLE).expect("valid")));
            people
        }

        /// The configuration with the two operators.
        pub fn operate(&self, mut config: Config) -> Config {
            let known = ["alice", "bob"].iter().zip(&self.keys);
            config.operators = known
                .map(|(name, key)| OperatorConfig { name: (*name).to_owned(), public_key: key.public_text() })
                .collect();
            config
        }
    }

    use crate::config::Config;

    const NOW: u64 = 1_000_000_000;

    fn request(state: &State) -> Request {
        Request::new(state, Action::Release { scope: "engine".to_owned() }, "looked at", NOW).expect("a request")
    }

    fn signed(request: &Request, people: &People, by: &[usize]) -> Signed {
        let mut signed = Signed::new(request);
        by.iter().for_each(|place| signed.sign(&people.keys[*place]));
        signed
    }

    #[test]
    fn each_different_operator_counts_once() {
        let (people, state) = (People::new(), State::first().expect("random numbers"));
        let request = request(&state);
        for (by, count) in [(&[][..], 0), (&[0], 1), (&[0, 0], 1), (&[1, 0, 1], 2)] {
            let verified = signed(&request, &people, by).verify(&people.operators, &state, NOW).expect("verified");
            assert_eq!(verified.signers.len(), count, "{by:?}");
            assert_eq!(verified.request, request);
        }
        let both = signed(&request, &people, &[1, 0]).verify(&people.operators, &state, NOW).expect("verified");
        assert_eq!(both.signers, [(1, "bob".to_owned()), (0, "alice".to_owned())]);
    }

    #[test]
    fn strangers_and_other_texts_are_refused() {
        let (people, state) = (People::new(), State::first().expect("random numbers"));
        let first = request(&state);
        let verify = |signed: &Signed| signed.verify(&people.operators, &state, NOW);
        assert_eq!(verify(&signed(&first, &people, &[0, 2])), Err(Refusal::BadSignature));
        // A signature of one request under the text of another.
        let mut moved = Signed::new(&Request { reason: "another".to_owned(), ..first.clone() });
        moved.signatures = signed(&first, &people, &[0, 1]).signatures;
        assert_eq!(verify(&moved), Err(Refusal::BadSignature));
        // Somebody's signature with another's key beside it.
        let mut swapped = signed(&first, &people, &[0]);
        swapped.signatures[0].public_key = people.keys[1].public_text();
        assert_eq!(verify(&swapped), Err(Refusal::BadSignature));
        let nobody = Operators::default();
        assert_eq!(signed(&first, &people, &[0]).verify(&nobody, &state, NOW), Err(Refusal::BadSignature));
    }

    #[test]
    fn a_request_is_good_for_one_directory_once_and_for_a_while() {
        let (people, mut state) = (People::new(), State::first().expect("random numbers"));
        let request = request(&state);
        let verify = |request: &Request, state: &State, now_ms| {
            signed(request, &people, &[0, 1]).verify(&people.operators, state, now_ms).map(drop)
        };
        assert_eq!(verify(&request, &state, request.expires_at_ms - 1), Ok(()));
        assert_eq!(verify(&request, &state, request.expires_at_ms), Err(Refusal::Expired));
        assert_eq!(verify(&request, &state, NOW - CLOCK_AHEAD_MS - 1), Err(Refusal::Times));
        let long = Request { expires_at_ms: request.expires_at_ms + 1, ..request.clone() };
        assert_eq!(verify(&long, &state, NOW), Err(Refusal::Times));
        let silent = Request { reason: " ".to_owned(), ..request.clone() };
        assert_eq!(verify(&silent, &state, NOW), Err(Refusal::NoReason));
        let other = State::first().expect("random numbers");
        assert_eq!(verify(&request, &other, NOW), Err(Refusal::OtherDirectory));
        state.used.insert(request.id.clone(), request.expires_at_ms);
        assert_eq!(verify(&request, &state, NOW), Err(Refusal::Used));
    }

    #[test]
    fn what_is_stored_is_loaded_and_only_numbers_name_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::new(folder.path().join("data"));
        dir.create().expect("made");
        let (people, state) = (People::new(), dir.state().expect("trusted"));
        let request = request(&state);
        let signed = signed(&request, &people, &[0]);
        signed.store(&dir).expect("stored");
        assert_eq!(waiting(&dir), std::slice::from_ref(&request.id));
        assert_eq!(Signed::load(&dir, &request.id), Ok(signed));
        for wrong in ["", "../state", "0123456789ABCDEF", "0123456789abcde"] {
            assert!(Signed::load(&dir, wrong).expect_err("refused").contains("no number"), "{wrong}");
            let escaping = Signed::new(&Request { id: wrong.to_owned(), ..request.clone() });
            assert!(escaping.store(&dir).is_err(), "{wrong}");
        }
    }
}
