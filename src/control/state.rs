//! The state file: what a restart must not forget, in one small file.
//!
//! It is written whole with a checksum over its very bytes, and replaced by a rename after a sync. A file that cannot be
//! trusted is refused and never written over: the engine does not start, rather than start without its kills and the
//! day's losses. Everything is by name, as ids are those of one run. The engine and `gannet ctl` change it through
//! [`DataDir::update_state`](super::data_dir::DataDir::update_state), one at a time; the watchdog, which must not wait for an
//! engine that stands still, has a [file of its own](super::watchdog::file).

use super::names::Names;
use super::watchdog::file::Settled;
use crate::types::{DenialReason, Latch, Money, StrategyId, StrategyLatch};
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What to do with a state that cannot be trusted.
pub const RESTORE: &str = "put the file back from a backup, or, once the venue shows no open order and every kill and \
                           limit of the day was judged by a person, move the whole data directory away and begin anew";

/// What a restart must not forget.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Of this format: [`State::VERSION`].
    pub version: u32,
    /// Names this directory, so that a release for one engine is none for another.
    pub directory: String,
    /// The newest engine start's number. Durable before its first order.
    pub epoch: u32,
    /// What is killed, by name: `engine`, `venue:NAME`, `instrument:VENUE:SYMBOL`, …
    pub kills: BTreeSet<String>,
    /// Strategies that are not to run, by name. Of older programs' watchdogs: today's is [`Watched`'s] to tell.
    ///
    /// [`Watched`'s]: super::watchdog::file::Watched
    pub quarantined: BTreeMap<String, Quarantine>,
    /// Each strategy's limits over time, by name.
    pub strategies: BTreeMap<String, StrategyState>,
    /// How many refusals by the venue stopped an account (C32), by its venue's name.
    pub reject_storms: BTreeMap<String, u32>,
    /// The newest execution that was booked, by `VENUE:SYMBOL`.
    pub executions: BTreeMap<String, u64>,
    /// Until when a venue wants no request, in ms since the epoch, by name.
    pub bans: BTreeMap<String, u64>,
    /// That the watchdog of an older program fired; counts until today's has a file of its own.
    pub watchdog: Option<WatchdogLatch>,
    /// When the watchdog of an older program started the engine again, in ms since the epoch.
    pub restarts_ms: Vec<u64>,
    /// What of the watchdog's file is over.
    pub settled: Settled,
    /// The mode in which an API key was first used, by its fingerprint.
    pub keys: BTreeMap<String, String>,
    /// Requests that were acted on and when they expire, in ms since the epoch, by nonce.
    pub used: BTreeMap<String, u64>,
}

/// Why a strategy is not to run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quarantine {
    /// In words.
    pub reason: String,
    /// Since when, in ms since the epoch.
    pub at_ms: u64,
}

/// That the watchdog fired. No engine trades until it is flat; that it fired stays until a person releases the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WatchdogLatch {
    /// When, in ms since the epoch.
    pub fired_at_ms: u64,
    /// Why, in words.
    pub cause: String,
    /// Whether every venue has confirmed that no order of ours is open.
    pub is_flat: bool,
    /// Whether the engine was killed before, by somebody else: then it stays so when it is started again.
    pub was_killed: bool,
    /// The strategy whose handler did not return, while the engine is to be started again without it.
    pub culprit: Option<String>,
}

/// A strategy's limits over time, as [`StrategyLatch`] has them. Amounts are counts of `10^-18` of the account's currency,
/// as text, since JSON's numbers are too short.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the fields are StrategyLatch's")]
pub struct StrategyState {
    #[serde(with = "amount")]
    pub day_profit: Money,
    #[serde(with = "amount")]
    pub drawdown: Money,
    #[serde(with = "amount")]
    pub day_turnover: Money,
    pub day: u32,
    pub repeats: [u32; 2],
    pub rejects_tripped: u32,
    pub fill_rate_tripped: u32,
    pub slippage_tripped_bps: i64,
    pub is_loss_tripped: bool,
    pub is_drawdown_tripped: bool,
    pub is_repeat_tripped: bool,
}

/// Exact amounts as text.
mod amount {
    use crate::types::Money;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(amount: &Money, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&amount.0.to_string())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Money, D::Error> {
        String::deserialize(from)?.parse().map(Money).map_err(D::Error::custom)
    }
}

impl State {
    /// The file's name in the data directory.
    pub const FILE: &'static str = "state.json";
    /// The format that this program writes. It reads older ones. A field whose loss lets trade what was stopped makes a new
    /// version, so that no older program, which would drop it with its next write, takes the file:
    ///
    /// 1. the first;
    /// 2. what C32 and C33 stopped;
    /// 3. what the watchdog writes is in a file of its own.
    pub const VERSION: u32 = 3;

    /// The state of a new directory.
    ///
    /// # Errors
    /// Where the system gives no random numbers.
    pub fn first() -> Result<Self, String> {
        let mut name = [0; 16];
        SystemRandom::new().fill(&mut name).map_err(|_| "the system gives no random numbers".to_owned())?;
        Ok(Self { version: Self::VERSION, directory: hex(&name), ..Self::default() })
    }

    /// The whole file.
    #[must_use]
    pub fn to_text(&self) -> String {
        seal(self)
    }

    /// Reads a whole file.
    ///
    /// # Errors
    /// Why it cannot be trusted, in words.
    pub fn of_text(text: &str) -> Result<Self, String> {
        let mut state: Self = unseal(text)?;
        if state.version > Self::VERSION {
            return Err(format!("is of a newer program: version {}, this one knows {}", state.version, Self::VERSION));
        }
        // The next write is of this program's format.
        state.version = Self::VERSION;
        Ok(state)
    }

    /// Keeps what risk says must outlive the process.
    pub fn keep(&mut self, latch: &Latch, names: &Names) {
        match latch {
            Latch::Strategy(latch) => {
                if let Some(name) = names.strategies.get(latch.strategy.index()) {
                    self.strategies.insert(name.clone(), StrategyState::from(latch));
                }
            }
            Latch::Execution { instrument, execution_id } => {
                if let Some(name) = names.instruments.get(instrument.index()) {
                    let newest = self.executions.entry(name.clone()).or_default();
                    *newest = (*newest).max(*execution_id);
                }
            }
            Latch::Account { venue, rejects_tripped } => {
                if let Some(name) = names.venues.get(usize::from(venue.0)) {
                    self.reject_storms.insert(name.clone(), *rejects_tripped);
                    self.reject_storms.retain(|_, rejects_tripped| *rejects_tripped > 0);
                }
            }
            Latch::Ban { venue, until } => {
                if let Some(name) = names.venues.get(usize::from(venue.0)) {
                    self.bans.insert(name.clone(), until.millis());
                }
            }
        }
    }

    /// The same in this run's ids. What is of names that this run does not have stays in the file.
    #[must_use]
    pub fn latches(&self, names: &Names) -> Vec<Latch> {
        let strategies = self
            .strategies
            .iter()
            .filter_map(|(name, state)| Some(Latch::Strategy(state.latch(names.strategy(name)?))));
        let executions = self.executions.iter().filter_map(|(name, execution_id)| {
            Some(Latch::Execution { instrument: names.instrument(name)?, execution_id: *execution_id })
        });
        let accounts = self
            .reject_storms
            .iter()
            .filter_map(|(name, &rejects_tripped)| Some(Latch::Account { venue: names.venue(name)?, rejects_tripped }));
        strategies.chain(executions).chain(accounts).collect()
    }
}

impl StrategyState {
    /// The limits that stopped the strategy, by their denials' names, with what was observed where that is kept.
    #[must_use]
    pub fn stops(&self) -> Vec<String> {
        let limits = [
            (self.is_loss_tripped, DenialReason::DailyLossLimit, 0),
            (self.is_drawdown_tripped, DenialReason::MaxDrawdown, 0),
            (self.is_repeat_tripped, DenialReason::RepeatExecution, 0),
            (self.rejects_tripped > 0, DenialReason::RejectStorm, i64::from(self.rejects_tripped)),
            (self.fill_rate_tripped > 0, DenialReason::FillRate, i64::from(self.fill_rate_tripped)),
            (self.slippage_tripped_bps > 0, DenialReason::Slippage, self.slippage_tripped_bps),
        ];
        let in_words = |reason: DenialReason, observed| match observed {
            0 => reason.name().to_owned(),
            _ => format!("{} {observed}", reason.name()),
        };
        let stopped = limits.into_iter().filter(|(is_tripped, ..)| *is_tripped);
        stopped.map(|(_, reason, observed)| in_words(reason, observed)).collect()
    }

    /// Whether any of them did.
    #[must_use]
    pub fn is_tripped(&self) -> bool {
        !self.stops().is_empty()
    }

    const fn latch(&self, strategy: StrategyId) -> StrategyLatch {
        StrategyLatch {
            day_profit: self.day_profit,
            drawdown: self.drawdown,
            day_turnover: self.day_turnover,
            day: self.day,
            repeats: self.repeats,
            rejects_tripped: self.rejects_tripped,
            fill_rate_tripped: self.fill_rate_tripped,
            slippage_tripped_bps: self.slippage_tripped_bps,
            strategy,
            is_loss_tripped: self.is_loss_tripped,
            is_drawdown_tripped: self.is_drawdown_tripped,
            is_repeat_tripped: self.is_repeat_tripped,
        }
    }
}

impl From<&StrategyLatch> for StrategyState {
    fn from(latch: &StrategyLatch) -> Self {
        Self {
            day_profit: latch.day_profit,
            drawdown: latch.drawdown,
            day_turnover: latch.day_turnover,
            day: latch.day,
            repeats: latch.repeats,
            rejects_tripped: latch.rejects_tripped,
            fill_rate_tripped: latch.fill_rate_tripped,
            slippage_tripped_bps: latch.slippage_tripped_bps,
            is_loss_tripped: latch.is_loss_tripped,
            is_drawdown_tripped: latch.is_drawdown_tripped,
            is_repeat_tripped: latch.is_repeat_tripped,
        }
    }
}

// The file around its body: JSON as a whole, and the body's bytes are found without reading it.
const PREFIX: &str = "{\"checksum\":\"";
const MIDDLE: &str = "\",\"state\":\n";
const SUFFIX: &str = "\n}\n";

/// A whole file with a checksum over the very bytes of what it says.
#[must_use]
pub fn seal(contents: &impl Serialize) -> String {
    // Strings and integers in maps with text keys: there is nothing in it that JSON cannot say.
    let body = serde_json::to_string_pretty(contents).unwrap_or_default();
    format!("{PREFIX}{}{MIDDLE}{body}{SUFFIX}", sha256(body.as_bytes()))
}

/// What such a file says.
///
/// # Errors
/// Why it cannot be trusted, in words.
pub fn unseal<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let parts =
        text.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)).and_then(|rest| rest.split_once(MIDDLE));
    let Some((stated, body)) = parts else {
        return Err("is cut short, or was written by something else".to_owned());
    };
    if stated != sha256(body.as_bytes()) {
        return Err("was changed or damaged: its checksum does not fit".to_owned());
    }
    serde_json::from_str(body).map_err(|error| format!("cannot be read: {error}"))
}

/// The SHA-256 of these bytes, in hexadecimal digits.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Bytes as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, Timestamp, VenueId};

    fn names() -> Names {
        Names {
            venues: vec!["a".to_owned()],
            instruments: vec!["a:X".to_owned(), "a:Y".to_owned()],
            strategies: vec!["one".to_owned(), "two".to_owned()],
        }
    }

    fn full() -> State {
        let mut state = State { epoch: 7, ..State::first().expect("random numbers") };
        state.kills.insert("strategy:one".to_owned());
        state.quarantined.insert("two".to_owned(), Quarantine { reason: "it never returned".to_owned(), at_ms: 5 });
        state.bans.insert("a".to_owned(), 9);
        state.watchdog =
            Some(WatchdogLatch { fired_at_ms: 6, cause: "\"silent\"".to_owned(), ..WatchdogLatch::default() });
        let latch = StrategyLatch {
            day_profit: Money(i128::MIN),
            day_turnover: Money(i128::MAX),
            repeats: [1, 2],
            rejects_tripped: 10,
            fill_rate_tripped: u32::MAX,
            slippage_tripped_bps: i64::MAX,
            strategy: StrategyId(1),
            is_loss_tripped: true,
            ..StrategyLatch::default()
        };
        state.keep(&Latch::Strategy(latch), &names());
        state.keep(&Latch::Account { venue: VenueId(0), rejects_tripped: 20 }, &names());
        state.keep(&Latch::Execution { instrument: InstrumentId(1), execution_id: 12 }, &names());
        state.keep(&Latch::Ban { venue: VenueId(0), until: Timestamp::from_millis(9) }, &names());
        assert_eq!(state.bans.get("a"), Some(&9));
        state
    }

    #[test]
    fn what_is_written_is_read() {
        let state = full();
        assert_eq!(State::of_text(&state.to_text()), Ok(state.clone()));
        let json: serde_json::Value = serde_json::from_str(&state.to_text()).expect("JSON as a whole");
        assert_eq!(json["state"]["epoch"], 7);
    }

    #[test]
    fn no_changed_byte_is_trusted() {
        let text = full().to_text();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            let changed = String::from_utf8(bytes).expect("ASCII stays ASCII");
            assert!(State::of_text(&changed).is_err(), "byte {place} of {text}");
            assert!(State::of_text(&text[..place]).is_err(), "cut at {place}");
        }
    }

    #[test]
    fn a_newer_format_is_refused_and_an_older_one_is_read() {
        let newer = State { version: State::VERSION + 1, ..State::default() };
        assert!(State::of_text(&newer.to_text()).expect_err("newer").contains("newer program"));
        let body = "{\"version\": 1, \"epoch\": 3}";
        let older = format!("{PREFIX}{}{MIDDLE}{body}{SUFFIX}", sha256(body.as_bytes()));
        let read = State::of_text(&older).expect("read");
        assert_eq!((read.epoch, read.version), (3, State::VERSION), "and written as this program writes it");
        let body = "{\"version\": 1, \"strategies\": {\"one\": {\"is_loss_tripped\": true, \"day_profit\": \"1\"}}}";
        let older = format!("{PREFIX}{}{MIDDLE}{body}{SUFFIX}", sha256(body.as_bytes()));
        let read = State::of_text(&older).expect("read");
        assert_eq!(read.strategies["one"].stops(), ["DAILY_LOSS_LIMIT"]);
        assert!(read.reject_storms.is_empty());
    }

    #[test]
    fn latches_follow_their_names_into_a_run_with_other_ids() {
        let state = full();
        let swapped = Names {
            instruments: vec!["a:Y".to_owned()],
            strategies: vec!["two".to_owned(), "new".to_owned()],
            ..names()
        };
        let latches = state.latches(&swapped);
        assert!(latches.contains(&Latch::Execution { instrument: InstrumentId(0), execution_id: 12 }));
        assert!(latches.contains(&Latch::Account { venue: VenueId(0), rejects_tripped: 20 }));
        let Latch::Strategy(latch) = latches[0] else { panic!("{latches:?}") };
        assert!(latch.strategy == StrategyId(0) && latch.is_loss_tripped);
        assert_eq!((latch.rejects_tripped, latch.fill_rate_tripped), (10, u32::MAX));
        assert_eq!(latch.slippage_tripped_bps, i64::MAX);
        assert_eq!(latches.len(), 3);
        assert_eq!(state.latches(&Names::default()), []);
    }

    #[test]
    fn what_was_set_back_is_kept_as_that() {
        let mut state = full();
        assert_eq!(state.strategies["two"].stops().len(), 4);
        let latch = StrategyLatch { strategy: StrategyId(1), ..StrategyLatch::default() };
        state.keep(&Latch::Strategy(latch), &names());
        state.keep(&Latch::Account { venue: VenueId(0), rejects_tripped: 0 }, &names());
        assert!(state.strategies["two"].stops().is_empty() && state.reject_storms.is_empty(), "{state:?}");
    }

    #[test]
    fn an_older_execution_does_not_replace_a_newer_one() {
        let mut state = full();
        state.keep(&Latch::Execution { instrument: InstrumentId(1), execution_id: 3 }, &names());
        assert_eq!(state.executions["a:Y"], 12);
    }
}
