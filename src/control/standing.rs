//! How things stand, as the data directory tells: for `gannet ctl status`, whether an engine runs or not.

use super::data_dir::DataDir;
use super::requests::{self, Signed, now_ms};
use super::state::{Quarantine, State, WatchdogLatch};
use super::watchdog::file::Watched;
use crate::types::DenialReason;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the engine itself shows, once a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// When, in ms since the epoch.
    pub at_ms: u64,
    /// The trading state of the engine.
    pub trading_state: String,
    /// Breakers that stopped something, by reason, with the notice's words; under [`Shown::BREAK`] that our books and a
    /// venue's do not agree.
    pub breakers: BTreeMap<String, String>,
    /// Orders that are not proven ended.
    pub open_orders: u64,
    /// How often each reason denied.
    pub denied: BTreeMap<String, u64>,
    /// What came by transfers that the venue told or a person accepted since the engine's start, or left where negative, by
    /// asset: decimals as text.
    pub transfers: BTreeMap<String, String>,
}

impl Shown {
    /// The file's name in the data directory. It is not synced: what it says is over when the engine is.
    pub const FILE: &'static str = "status.json";
    /// What stops trading where our books and a venue's do not agree (C44).
    pub const BREAK: &'static str = "BOOKS_DISAGREE";
}

/// Everything that an operator wants to know first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Where.
    pub data_dir: String,
    /// The running engine's process id.
    pub engine: Option<u32>,
    /// The newest engine start's number.
    pub epoch: u32,
    /// What is killed.
    pub kills: BTreeSet<String>,
    /// Strategies that are not to run.
    pub quarantined: BTreeMap<String, Quarantine>,
    /// Strategies that a limit over time or a breaker has stopped, and accounts (`account:NAME`), each with what.
    pub tripped: BTreeMap<String, Vec<String>>,
    /// That the watchdog fired.
    pub watchdog: Option<WatchdogLatch>,
    /// Until when venues want no request, in ms since the epoch; those that are over are left out.
    pub bans: BTreeMap<String, u64>,
    /// Requests that wait for a signature.
    pub requests: Vec<Waiting>,
    /// What the engine shows; none where none runs.
    pub shown: Option<Shown>,
}

/// A request that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Its number.
    pub id: String,
    /// What is asked for.
    pub what: String,
    /// Why.
    pub reason: String,
    /// Until when it may be approved, in ms since the epoch.
    pub expires_at_ms: u64,
}

impl Standing {
    /// How things stand in this directory now.
    ///
    /// # Errors
    /// Where the state cannot be read or trusted.
    pub fn of(dir: &DataDir) -> Result<Self, String> {
        let (state, now_ms) = (dir.state().map_err(|error| error.to_string())?, now_ms());
        let watched = Watched::of(dir, &state).map_err(|error| error.to_string())?;
        let engine = dir.engine();
        let shown = dir.read(Shown::FILE).ok().and_then(|text| serde_json::from_str(&text).ok());
        let mut requests: Vec<Waiting> = requests::waiting(dir)
            .iter()
            .filter_map(|id| Signed::load(dir, id).ok()?.request().ok())
            .filter(|request| request.expires_at_ms > now_ms)
            .map(|request| Waiting {
                id: request.id,
                what: request.action.to_string(),
                reason: request.reason,
                expires_at_ms: request.expires_at_ms,
            })
            .collect();
        requests.sort_by_key(|request| request.expires_at_ms);
        Ok(Self {
            data_dir: dir.path().display().to_string(),
            engine,
            epoch: state.epoch,
            tripped: tripped(&state),
            kills: state.kills,
            quarantined: watched.quarantined,
            watchdog: watched.latch,
            bans: state.bans.into_iter().filter(|(_, until_ms)| *until_ms > now_ms).collect(),
            requests,
            shown: shown.filter(|_| engine.is_some()),
        })
    }
}

/// What a limit over time or a breaker has stopped. A day's loss counts for its own day, which risk knows.
fn tripped(state: &State) -> BTreeMap<String, Vec<String>> {
    let strategies = state.strategies.iter().map(|(name, strategy)| (name.clone(), strategy.stops()));
    let accounts = state.reject_storms.iter().map(|(name, count)| {
        let storm = format!("{} {count}", DenialReason::RejectStorm.name());
        (format!("account:{name}"), vec![storm])
    });
    strategies.chain(accounts).filter(|(_, stops)| !stops.is_empty()).collect()
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let none = || "none".to_owned();
        let list = |items: Vec<String>| if items.is_empty() { none() } else { items.join(", ") };
        let engine = self.engine.map_or("none runs".to_owned(), |pid| format!("process {pid}, epoch {}", self.epoch));
        writeln!(f, "data directory  {}", self.data_dir)?;
        writeln!(f, "engine          {engine}")?;
        if let Some(shown) = &self.shown {
            writeln!(f, "trading state   {}", shown.trading_state)?;
            writeln!(f, "open orders     {}", shown.open_orders)?;
            writeln!(f, "breakers        {}", list(shown.breakers.values().cloned().collect()))?;
            writeln!(
                f,
                "denied          {}",
                list(shown.denied.iter().map(|(name, count)| format!("{name} {count}")).collect())
            )?;
            if !shown.transfers.is_empty() {
                let transfers = shown.transfers.iter().map(|(asset, sum)| format!("{sum} {asset}"));
                writeln!(f, "transfers       {}", list(transfers.collect()))?;
            }
        }
        writeln!(f, "killed          {}", list(self.kills.iter().cloned().collect()))?;
        let quarantined = self.quarantined.iter().map(|(name, why)| format!("{name} ({})", why.reason));
        writeln!(f, "quarantined     {}", list(quarantined.collect()))?;
        let tripped = self.tripped.iter().map(|(name, limits)| format!("{name} ({})", limits.join(", ")));
        writeln!(f, "tripped         {}", list(tripped.collect()))?;
        let fired = |latch: &WatchdogLatch| {
            format!("fired: {}; {}", latch.cause, if latch.is_flat { "flat" } else { "NOT FLAT YET" })
        };
        writeln!(f, "watchdog        {}", self.watchdog.as_ref().map_or("has not fired".to_owned(), fired))?;
        for (venue, until_ms) in &self.bans {
            writeln!(f, "banned          {venue} for {} s more", until_ms.saturating_sub(now_ms()) / 1_000)?;
        }
        for request in &self.requests {
            let left_s = request.expires_at_ms.saturating_sub(now_ms()) / 1_000;
            writeln!(f, "request         {} {}: {} ({left_s} s left)", request.id, request.what, request.reason)?;
        }
        Ok(())
    }
}
