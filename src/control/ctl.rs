//! `gannet ctl`: operators speak to an engine, through its data directory alone.

use super::audit;
use super::client::credentials;
use super::command::DEFAULT_FILE;
use super::data_dir::DataDir;
use super::demo::parse_duration;
use super::identity;
use super::kill_file;
use super::names::{ENGINE, Names};
use super::operators::{OperatorKey, Operators};
use super::requests::{Action, LIFETIME, Request, Signed, now_ms};
use super::standing::Standing;
use super::state::sha256;
use crate::config::{Config, Engine};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long an engine may take to confirm a kill.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// How long it may take to judge a request.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// Options of `gannet ctl`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl kill                          stop everything: no new orders, all orders are canceled
  gannet ctl kill strategy:btc-maker       stop one strategy
  gannet ctl status                        what runs, what is killed, which requests wait
  gannet ctl release --reason \"venue is back\" --key alice.pem
  gannet ctl approve 0123456789abcdef --key bob.pem
SCOPE is engine (the default), venue:NAME, account:NAME, instrument:VENUE:SYMBOL or strategy:NAME.
`kill -USR1 PID` and `echo engine >> gannet-data/kill` stop everything too. A kill stays over restarts; a release takes two
of the configured operators.")]
pub struct CtlArgs {
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum CtlCommand {
    /// Stop a scope: no new orders, all orders are canceled; it stays so until it is released.
    Kill(KillArgs),
    /// Show what runs, what is killed, tripped or quarantined, and which requests wait.
    Status(StatusArgs),
    /// Ask for a killed scope to trade again; a second operator approves.
    Release(ReleaseArgs),
    /// Sign a request that somebody else made.
    Approve(ApproveArgs),
    /// Ask for a strategy's breakers, counts and quarantine to begin anew; a second operator approves.
    Reset(ResetArgs),
    /// Put the limits of a new configuration in force; one operator lowers, two raise.
    Limits(LimitsArgs),
    /// Ask for a few orders to pass a limit; a second operator approves.
    Override(OverrideArgs),
    /// Approve this program and a configuration, with its keys, for live trading; it takes two operators.
    ApproveBuild(ApproveBuildArgs),
    /// Make an operator's key.
    Keygen(KeygenArgs),
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

/// Options of `gannet ctl status`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl status
  gannet ctl status --json --data /var/lib/gannet")]
struct StatusArgs {
    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

/// Who asks, and why.
#[derive(Clone, Debug, Args)]
struct Signing {
    /// Why: it stays in the audit log.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// An operator's private key; with two of them the request waits for nobody.
    #[arg(long = "key", value_name = "FILE", required = true)]
    keys: Vec<PathBuf>,
    #[command(flatten)]
    target: Target,
}

/// Options of `gannet ctl release`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl release --reason \"venue is back, books agree\" --key alice.pem
  gannet ctl release strategy:btc-maker --reason \"fixed\" --key alice.pem --key bob.pem
It takes two different configured operators; the second one signs with gannet ctl approve.")]
struct ReleaseArgs {
    /// What is to trade again, as gannet ctl status names it.
    #[arg(default_value = ENGINE)]
    scope: String,
    #[command(flatten)]
    signing: Signing,
}

/// Options of `gannet ctl approve`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl status                                   lists the requests that wait
  gannet ctl approve 0123456789abcdef --key bob.pem
What is signed is shown first.")]
struct ApproveArgs {
    /// The request's number.
    id: String,
    /// Your private key.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    #[command(flatten)]
    target: Target,
}

/// Options of `gannet ctl reset`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl reset --strategy btc-maker --reason \"loss understood\" --key alice.pem
  gannet ctl reset --reason \"after the venue's outage\" --key alice.pem --key bob.pem
A strategy that was quarantined runs from the next start of the engine on.")]
struct ResetArgs {
    /// Which; all of them without.
    #[arg(long, value_name = "NAME")]
    strategy: Option<String>,
    #[command(flatten)]
    signing: Signing,
}

/// Options of `gannet ctl limits`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl limits --from lower.toml --reason \"less risk over the weekend\" --key alice.pem
  gannet ctl limits --from higher.toml --reason \"new allocation\" --key alice.pem --key bob.pem
The new file may differ from the running one in limits alone. To lower takes one operator, to raise two; nothing is raised
by more than engine.limits_change_factor at once.")]
struct LimitsArgs {
    /// The configuration with the new limits.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    #[command(flatten)]
    signing: Signing,
}

/// Options of `gannet ctl override`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl override --strategy btc-maker --instrument binance:BTCUSDT --control MAX_ORDER_NOTIONAL --orders 1 \\
      --for 10m --reason \"close the hedge in one order\" --key alice.pem --key bob.pem
CONTROL is the reason that denied the order; only limits that are numbers can be overridden.")]
struct OverrideArgs {
    /// Whose orders.
    #[arg(long, value_name = "NAME")]
    strategy: String,
    /// In what.
    #[arg(long, value_name = "VENUE:SYMBOL")]
    instrument: String,
    /// Which denial they pass.
    #[arg(long, value_name = "REASON")]
    control: String,
    /// How many.
    #[arg(long, value_name = "N")]
    orders: u32,
    /// For how long: 30s, 10m, 1h.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    duration: Duration,
    #[command(flatten)]
    signing: Signing,
}

/// Options of `gannet ctl approve-build`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl approve-build --reason \"release 1.2, reviewed\" --key alice.pem --key bob.pem
Approved are the very program that runs this command, the configuration that --config names, and its API keys, which must be
readable from here. It holds from the next start of the engine on, until any of the three changes.")]
struct ApproveBuildArgs {
    #[command(flatten)]
    signing: Signing,
}

/// Options of `gannet ctl keygen`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet ctl keygen alice.pem
Only its owner may read the file. The public key that is printed goes into the configuration:
  [[operators]]
  name = \"alice\"
  public_key = \"…\"")]
struct KeygenArgs {
    /// The new file, PKCS#8 PEM.
    file: PathBuf,
}

/// Does what an operator asks for.
///
/// # Errors
/// What keeps it from being done, in words.
pub fn run(args: &CtlArgs) -> Result<(), Vec<String>> {
    let done = match &args.command {
        CtlCommand::Kill(args) => kill(args),
        CtlCommand::Status(args) => status(args),
        CtlCommand::Release(args) => ask(&args.signing, Action::Release { scope: args.scope.trim().to_owned() }),
        CtlCommand::Approve(args) => approve(args),
        CtlCommand::Reset(args) => ask(&args.signing, Action::Reset { strategy: args.strategy.clone() }),
        CtlCommand::Limits(args) => new_limits(args).and_then(|action| ask(&args.signing, action)),
        CtlCommand::Override(args) => ask(&args.signing, an_override(args)),
        CtlCommand::ApproveBuild(args) => {
            this_build(&args.signing.target).and_then(|action| ask(&args.signing, action))
        }
        CtlCommand::Keygen(args) => keygen(args),
    };
    done.map_err(|error| vec![error])
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

    /// An operator's key, which must be a configured one's where the configuration can be read.
    fn key(&self, path: &Path) -> Result<OperatorKey, String> {
        let key = OperatorKey::load(path)?;
        if let Ok(config) = Config::load(&self.config) {
            let operators = Operators::of(&config);
            if operators.find(key.public_key()).is_none() {
                let (path, config) = (path.display(), self.config.display());
                return Err(format!(
                    "--key {path}: is no key of an operator in {config}; there are {}",
                    operators.names()
                ));
            }
        }
        Ok(key)
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

fn keygen(args: &KeygenArgs) -> Result<(), String> {
    let key = OperatorKey::generate(&args.file)?;
    println!("{}", key.public_text());
    Ok(())
}

fn new_limits(args: &LimitsArgs) -> Result<Action, String> {
    // Mistakes are told here, before anybody is asked to sign them.
    let config = Config::load(&args.from).map_err(|errors| format!("{}: {errors}", args.from.display()))?;
    Ok(Action::Limits { config: config.source })
}

fn this_build(target: &Target) -> Result<Action, String> {
    let config = Config::load(&target.config).map_err(|errors| format!("{}: {errors}", target.config.display()))?;
    let keys = config.venues.iter().map(|venue| {
        let keys = credentials(venue).map_err(|errors| errors.join("; "))?;
        Ok(identity::fingerprint(keys.api_key()))
    });
    let keys = keys.collect::<Result<_, String>>()?;
    Ok(Action::ApproveBuild { program: identity::of_program()?, config: sha256(config.source.as_bytes()), keys })
}

fn an_override(args: &OverrideArgs) -> Action {
    Action::Override {
        strategy: args.strategy.clone(),
        instrument: args.instrument.clone(),
        control: args.control.to_ascii_uppercase(),
        orders: args.orders,
        for_s: args.duration.as_secs(),
    }
}

/// Makes a request, signs it with the given keys, and tells what comes of it.
fn ask(signing: &Signing, action: Action) -> Result<(), String> {
    let dir = signing.target.data_dir();
    exists(dir.path())?;
    let state = dir.state().map_err(|error| error.to_string())?;
    let request = Request::new(&state, action, &signing.reason, now_ms())?;
    let mut signed = Signed::new(&request);
    for path in &signing.keys {
        signed.sign(&signing.target.key(path)?);
    }
    hand_in(&dir, &signed, &request)
}

fn approve(args: &ApproveArgs) -> Result<(), String> {
    let dir = args.target.data_dir();
    exists(dir.path())?;
    let mut signed = Signed::load(&dir, &args.id)?;
    let request = signed.request().map_err(|refusal| format!("request {}: {refusal}", args.id))?;
    println!("{}\nreason: {}", request.action, request.reason);
    signed.sign(&args.target.key(&args.key)?);
    hand_in(&dir, &signed, &request)
}

/// Puts the request where the engine finds it, and waits for its word.
fn hand_in(dir: &DataDir, signed: &Signed, request: &Request) -> Result<(), String> {
    let told_before = audit::about(dir, &request.id).len();
    signed.store(dir).map_err(|error| error.to_string())?;
    let (id, action) = (&request.id, &request.action);
    let minutes = LIFETIME.as_secs() / 60;
    if dir.engine().is_none() {
        println!(
            "request {id}: {action}: no engine runs on {}; one that starts within {minutes} min will judge it",
            dir.path().display()
        );
        return Ok(());
    }
    let started = Instant::now();
    loop {
        match audit::about(dir, id).into_iter().skip(told_before).next_back() {
            Some(entry) if entry.outcome == "done" => {
                println!("request {id}: {action}: done{}", also(&entry.detail));
                return Ok(());
            }
            Some(entry) if entry.outcome == "requested" => {
                println!(
                    "request {id}: {action}: {}; within {minutes} min: gannet ctl approve {id} --key FILE",
                    entry.detail
                );
                return Ok(());
            }
            // What follows is told at once, too.
            Some(entry) if entry.outcome == "approved" => {}
            Some(entry) => return Err(format!("request {id}: {action}: {}{}", entry.outcome, also(&entry.detail))),
            None => {}
        }
        if started.elapsed() > ANSWER_WAIT {
            return Err(format!(
                "request {id}: {action}: handed in, but the engine has not answered within {ANSWER_WAIT:?}: is it still starting?"
            ));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn also(detail: &str) -> String {
    if detail.is_empty() { String::new() } else { format!("; {detail}") }
}

fn status(args: &StatusArgs) -> Result<(), String> {
    let dir = args.target.data_dir();
    exists(dir.path())?;
    let standing = Standing::of(&dir)?;
    if args.json {
        println!("{}", serde_json::to_string(&standing).map_err(|error| error.to_string())?);
    } else {
        print!("{standing}");
    }
    Ok(())
}

fn exists(dir: &Path) -> Result<(), String> {
    if dir.is_dir() {
        return Ok(());
    }
    Err(format!("{}: there is no such data directory; name the engine's --config or --data", dir.display()))
}
