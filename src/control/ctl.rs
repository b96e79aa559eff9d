//! `gannet ctl`: operators speak to an engine, through its data directory alone.

use super::command::DEFAULT_FILE;
use super::data_dir::DataDir;
use super::kill_file;
use super::names::{ENGINE, Names};
use crate::config::{Config, Engine};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an engine may take to confirm a kill.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Options of `gannet ctl`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl kill                          stop everything: no new orders, all orders are canceled
  gannet ctl kill strategy:btc-maker       stop one strategy
SCOPE is engine (the default), venue:NAME, account:NAME, instrument:VENUE:SYMBOL or strategy:NAME.
`kill -USR1 PID` and `echo engine >> gannet-data/kill` stop everything too. A kill stays over restarts.")]
pub struct CtlArgs {
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum CtlCommand {
    /// Stop a scope: no new orders, all orders are canceled; it stays so until it is released.
    Kill(KillArgs),
}

/// Which engine is meant.
#[derive(Clone, Debug, Args)]
struct Target {
    /// The configuration that the engine runs with.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The engine's data directory, where it is not the configured one.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

/// Options of `gannet ctl kill`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl kill
  gannet ctl kill instrument:binance:BTCUSDT
  gannet ctl kill strategy:btc-maker --config /etc/gannet/gannet.toml
Needs no key. What names nothing known kills everything.")]
struct KillArgs {
    /// What to stop: engine, venue:NAME, account:NAME, instrument:VENUE:SYMBOL, strategy:NAME.
    #[arg(default_value = ENGINE)]
    scope: String,
    #[command(flatten)]
    target: Target,
}

/// Does what an operator asks for.
///
/// # Errors
/// What keeps it from being done, in words.
pub fn run(args: &CtlArgs) -> Result<(), Vec<String>> {
    match &args.command {
        CtlCommand::Kill(args) => kill(args).map_err(|error| vec![error]),
    }
}

impl Target {
    /// The data directory. A configuration that is missing or broken must not keep anybody from killing: then what of it
    /// can be read counts.
    fn data_dir(&self) -> DataDir {
        let configured = || {
            let text = std::fs::read_to_string(&self.config).unwrap_or_default();
            let table: toml::Table = text.parse().unwrap_or_default();
            let named = table.get("engine").and_then(|engine| engine.get("data_dir")).and_then(toml::Value::as_str);
            self.config.with_file_name("").join(named.map_or(Engine::default().data_dir, PathBuf::from))
        };
        DataDir::new(self.data.clone().unwrap_or_else(configured))
    }

    fn names(&self) -> Option<Names> {
        Config::load(&self.config).ok().map(|config| Names::of(&config))
    }
}

fn kill(args: &KillArgs) -> Result<(), String> {
    let (dir, scope) = (args.target.data_dir(), args.scope.trim());
    if scope.is_empty() || scope.contains(['\n', '\r']) || scope.starts_with('#') {
        return Err(format!(
            "{scope:?} is no scope; engine, venue:NAME, account:NAME, instrument:VENUE:SYMBOL and strategy:NAME are"
        ));
    }
    exists(dir.path())?;
    let started = Instant::now();
    kill_file::request(&dir, scope).map_err(|error| error.to_string())?;
    let is_unknown = args.target.names().is_some_and(|names| names.scope(scope).is_none());
    if is_unknown {
        println!("{scope} is nothing known in {}: everything is killed", args.target.config.display());
    }
    let Some(pid) = dir.engine() else {
        println!("{scope}: no engine runs on {}; the next one starts with it killed", dir.path().display());
        return Ok(());
    };
    let is_taken = || dir.state().is_ok_and(|state| state.kills.contains(scope) || state.kills.contains(ENGINE));
    while !is_taken() {
        if started.elapsed() > KILL_WAIT {
            return Err(format!(
                "{scope}: asked for, but process {pid} has not confirmed it within {KILL_WAIT:?}: it hangs, or its disk \
                 does. Cancel at the venue, or end it (kill -9 {pid}) so that the watchdog does"
            ));
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    println!(
        "{scope}: killed; process {pid} confirmed it and wrote it down after {} ms",
        started.elapsed().as_millis()
    );
    Ok(())
}

fn exists(dir: &Path) -> Result<(), String> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(format!("{}: there is no such data directory; name the engine's --config or --data", dir.display()))
}
