//! `gannet run` and `gannet check`.

use super::client::{VenueClient, credentials, watchdog_credentials};
use super::data_dir::DataDir;
use super::demo::{print, stop_signal};
use super::engine::{self, Run};
use super::identity;
use super::journaling::JournalOptions;
use super::kill_file;
use super::operators::Operators;
use super::plane::NoDisplay;
use super::resuming::Leftovers;
use super::watchdog::session::Session;
use crate::config::{Config, EXAMPLE, Venue};
use crate::pipeline::clock::Clock;
use crate::pipeline::threads::{allowed_cores, plan};
use crate::risk::KillSwitch;
use clap::Args;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The file that is read where no other is named.
pub(super) const DEFAULT_FILE: &str = "gannet.toml";
/// How far the venue's clock may be from ours: its own tolerance for requests from the future.
const CLOCK_OFFSET_MAX_MS: i64 = 1_000;

/// Options of `gannet run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet check --example > gannet.toml     a commented configuration to start from
  gannet run --config gannet.toml          trade until SIGINT or SIGTERM, watched by a second process
  gannet run --no-watchdog                 trade unwatched
SIGINT and SIGTERM stop in order: strategies stop, working orders are canceled and their confirmations awaited.
SIGUSR1 kills: no new orders, all orders are canceled, and it stays so over restarts; see gannet ctl --help.")]
pub struct RunArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// Trades without the process that cancels everything where this one stalls or dies.
    #[arg(long)]
    pub no_watchdog: bool,
    /// Keeps the journal there [default: the folder `journal` in the data directory].
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// Puts a journal that cannot be trusted aside, and begins a new one with what the venues say: strategies' positions
    /// begin at nothing.
    #[arg(long)]
    pub recover_from_venue: bool,
    /// Prints the summary as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Options of `gannet check`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet check                       judge gannet.toml, its keys, its venues' answers
  gannet check --offline             the same without asking the venues
  gannet check --example             print a commented configuration
Ends with exit code 1 where anything is found.")]
pub struct CheckArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// Asks no venue.
    #[arg(long)]
    pub offline: bool,
    /// Prints a commented configuration, and checks nothing.
    #[arg(long)]
    pub example: bool,
    /// Prints the findings as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Trades until a signal.
///
/// # Errors
/// Everything that keeps it from running, in words.
pub fn run(args: &RunArgs) -> Result<(), Vec<String>> {
    let config = load(&args.config)?;
    super::log_to_stderr(&config.engine.log);
    let (keys, errors): (Vec<_>, Vec<_>) = config.venues.iter().map(credentials).partition(Result::is_ok);
    if !errors.is_empty() {
        return Err(errors.into_iter().filter_map(Result::err).flatten().collect());
    }
    let kill = KillSwitch::new();
    kill_file::on_signal(kill.clone(), DataDir::new(&config.engine.data_dir)).map_err(|error| vec![error])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| vec![error.to_string()])?;
    let run = Run {
        config: &config,
        credentials: keys.into_iter().filter_map(Result::ok).collect(),
        seed: std::process::id(),
        kill,
        journal: JournalOptions {
            is_begun_anew: args.recover_from_venue,
            ..JournalOptions::of(&config, args.journal.clone())
        },
        watchdog: (config.engine.watchdog && !args.no_watchdog).then(|| watchdog_arguments(&args.config)),
    };
    let summary = runtime.block_on(engine::run(run, &mut NoDisplay, stop_signal(None)))?;
    print(&summary, args.json)
}

/// What starts this program as the watchdog of this run, with the run's own arguments behind.
fn watchdog_arguments(config: &Path) -> Vec<OsString> {
    let own = ["watchdog".into(), "--config".into(), config.into(), "--".into()];
    // Once is what was asked for: an engine that is started again goes on from the new journal.
    let of_run = std::env::args_os().skip(1).filter(|argument| argument != "--recover-from-venue");
    own.into_iter().chain(of_run).collect()
}

/// Judges a configuration whole.
///
/// # Errors
/// Every finding, in words.
pub fn check(args: &CheckArgs) -> Result<(), Vec<String>> {
    if args.example {
        print!("{EXAMPLE}");
        return Ok(());
    }
    let (findings, warnings) = match load(&args.config) {
        Ok(config) => (findings(&config, args.offline), warnings(&config)),
        Err(errors) => (errors, Vec::new()),
    };
    if args.json {
        let found = serde_json::json!({ "ok": findings.is_empty(), "findings": findings, "warnings": warnings });
        println!("{found}");
        return if findings.is_empty() { Ok(()) } else { Err(Vec::new()) };
    }
    for warning in warnings {
        eprintln!("gannet: warning: {warning}");
    }
    if !findings.is_empty() {
        return Err(findings);
    }
    println!("{}: no findings", args.config.display());
    Ok(())
}

pub(super) fn load(path: &Path) -> Result<Config, Vec<String>> {
    if !path.exists() {
        let hint = "gannet check --example prints a commented one";
        return Err(vec![format!("{}: there is no such file; {hint}", path.display())]);
    }
    Config::load(path).map_err(|errors| errors.0.iter().map(|error| format!("{}: {error}", path.display())).collect())
}

/// What is allowed, and could be better.
fn warnings(config: &Config) -> Vec<String> {
    let mut warnings = of_watchdog(config);
    if !Operators::of(config).can_confirm() {
        let what = "what is killed cannot be released, no limit be raised while the engine runs, nothing be approved";
        warnings.push(format!("operators: there are no two of them: {what}"));
    }
    warnings
}

fn of_watchdog(config: &Config) -> Vec<String> {
    if !config.engine.watchdog {
        return vec!["engine.watchdog: nobody cancels anything where the engine stalls or dies".to_owned()];
    }
    let without = config.venues.iter().filter(|venue| venue.watchdog.is_none());
    let told = |venue: &Venue| {
        format!(
            "venue {}: the watchdog has no keys of its own: where the engine's are revoked, neither can cancel",
            venue.name
        )
    };
    without.map(told).collect()
}

/// What is wrong beyond the text: threads, keys, venues.
fn findings(config: &Config, offline: bool) -> Vec<String> {
    let mut findings: Vec<String> = config.missing_limits().iter().map(ToString::to_string).collect();
    let feeds = config.venues.iter().map(|venue| format!("feed-{}", venue.name));
    let shards = (0..config.engine.shards).map(|index| format!("shard-{index}"));
    let gateways = config.venues.iter().map(|venue| format!("gateway-{}", venue.name));
    let stages: Vec<String> = feeds.chain(shards).chain(["risk".to_owned()]).chain(gateways).collect();
    let names: Vec<&str> = stages.iter().map(String::as_str).collect();
    findings.extend(plan(&config.layout(), &names, &allowed_cores()).err().unwrap_or_default());
    let clock = Clock::wall();
    let mut clients: Vec<VenueClient> = Vec::new();
    for venue in &config.venues {
        let made = credentials(venue);
        match made.and_then(|keys| VenueClient::new(venue, keys, &clock).map_err(|error| vec![error])) {
            Ok(client) => clients.push(client),
            Err(errors) => findings.extend(errors),
        }
        if venue.watchdog.is_some() {
            findings.extend(watchdog_credentials(venue).err().unwrap_or_default());
        }
    }
    let keys: Vec<&str> = clients.iter().map(|client| client.credentials.api_key()).collect();
    let identity = identity::judge(config, &keys, &DataDir::new(&config.engine.data_dir)).err();
    findings.extend(identity.iter().flatten().map(ToString::to_string));
    if offline || clients.len() < config.venues.len() {
        return findings;
    }
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => {
            let asked = runtime.block_on(super::assemble::ask_venues(config, &mut clients));
            match asked {
                Ok(facts) => {
                    findings.extend(
                        super::assemble::assemble(config, &clients, &facts, &Leftovers::default(), &clock, 1)
                            .err()
                            .unwrap_or_default(),
                    );
                }
                Err(errors) => findings.extend(errors),
            }
            for venue in config.venues.iter().filter(|venue| venue.watchdog.is_some()) {
                findings.extend(runtime.block_on(Session::open(config, venue, &clock)).err().unwrap_or_default());
            }
        }
        Err(error) => findings.push(error.to_string()),
    }
    for client in &clients {
        let offset_ms = client.offset_ns() / 1_000_000;
        if offset_ms.abs() > CLOCK_OFFSET_MAX_MS {
            findings.push(format!(
                "venue {}: its clock is {offset_ms} ms from ours; synchronise this machine's",
                client.name
            ));
        }
    }
    findings
}
