//! `gannet demo`: everything on one machine with nothing to set up.

use super::data_dir::DataDir;
use super::demo_operators::{Operators, words};
use super::engine::{self, Run};
use super::journaling::JournalOptions;
use super::kill_file;
use super::plane::{Display, NoDisplay};
use super::status::Status;
use super::summary::{Summary, VenueSummary};
use super::view::{Totals, draw};
use crate::config::{Config, LayoutName};
use crate::exchange::{
    DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Exchange, ExchangeConfig, FaultConfig, FaultRates, Speed,
};
use crate::metrics::Counter;
use crate::pipeline::Counters;
use crate::risk::KillSwitch;
use crate::venue::binance::Credentials;
use clap::{Args, ValueEnum};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::crossterm::terminal::disable_raw_mode;
use secrecy::SecretString;
use std::future::Future;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const CONFIG: &str = include_str!("demo.toml");
/// How many times faster than recorded the demo plays.
const SPEED: f64 = 10.0;

/// The bytes of a segment of the demo's journal: small, as they are set aside before it begins.
const SEGMENT_BYTES: u64 = 8 << 20;
/// The records between two of its snapshots: few, so that a demo makes some.
const SNAPSHOT_RECORDS: u64 = 25_000;

/// How long the demo waits at its end for proof of what faults have left in doubt, in milliseconds.
const PROOF_MS: u64 = 40_000;

/// How long the demo's operators look for transfers that the engine was never told of: as long as it takes to find, in two
/// rounds that compare, that books do not agree.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often the view's end is looked for while no key is pressed.
const KEY_WAIT: Duration = Duration::from_millis(100);

/// Where the hot stages of the demo run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutChoice {
    /// All on one thread.
    Fused,
    /// Feed, shards, risk and gateway on a thread each.
    Split,
}

/// Options of `gannet demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet demo                        trade until Ctrl-C, with a live view
  gannet demo --for 15s --json       trade for 15 seconds, print one JSON object
  gannet demo --speed 50 --layout split
  gannet demo --faults storm --seed 7     everything that can go wrong at a venue goes wrong until the demo stops; then
                                          the books must agree all the same
  gannet demo --faults storm,ban=0        the same without bans; `gannet exchange --help` lists all kinds
  gannet exchange --listen 127.0.0.1:9800 &  gannet demo --exchange 127.0.0.1:9800")]
pub struct DemoArgs {
    /// How long to trade: 15s, 2m, 1h. Without it, until Ctrl-C.
    #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How many times faster than recorded the market moves [default: 10].
    #[arg(long, value_name = "N", value_parser = parse_speed, conflicts_with = "exchange")]
    pub speed: Option<f64>,
    /// What goes wrong at the venue, from the first order until the demo is stopped: `calm`, `storm`, or KIND=RATE by
    /// commas. After the faults end, the books agree.
    #[arg(long, value_name = "PRESET|SPEC", default_value = "calm", value_parser = FaultRates::parse, conflicts_with = "exchange")]
    pub faults: FaultRates,
    /// Starts everything that is drawn by chance, what goes wrong too.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u32,
    /// How the stages are spread over threads [default: by the number of cores].
    #[arg(long, value_enum)]
    pub layout: Option<LayoutChoice>,
    /// Trades on an exchange that runs already, started with `gannet exchange`.
    #[arg(long, value_name = "127.0.0.1:PORT")]
    pub exchange: Option<SocketAddr>,
    /// Keeps kills and latches there; by default nothing outlives the demo.
    #[arg(long, value_name = "FOLDER")]
    pub data: Option<PathBuf>,
    /// Keeps the journal there, and kills and latches in its folder `data`; by default nothing outlives the demo.
    #[arg(long, value_name = "DIR")]
    pub journal: Option<PathBuf>,
    /// Prints one JSON object at the end, and nothing else on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Reads `15s`, `2m`, `1h`, `500ms`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: f64 = number.parse().map_err(|_| format!("{text:?} is no time; write 15s, 2m or 1h"))?;
    let seconds = match unit {
        "ms" => number / 1_000.0,
        "s" | "" => number,
        "m" => number * 60.0,
        "h" => number * 3_600.0,
        _ => return Err(format!("{unit:?} is no unit of time; ms, s, m and h are")),
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{text:?} is out of range"))
}

fn parse_speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.01..=1_000.0).contains(&speed) => Ok(speed),
        _ => Err(format!("{text:?} is no speed; 0.01 to 1000 is allowed")),
    }
}

/// Runs the demo: exchange, engine, view, summary.
///
/// # Errors
/// Everything that keeps it from running, in words.
pub fn run(args: &DemoArgs) -> Result<(), Vec<String>> {
    let one = |error: &dyn std::fmt::Display| vec![error.to_string()];
    let (exchange, address) = match args.exchange {
        Some(address) => (None, address),
        None => {
            let mut config = ExchangeConfig::shipped().map_err(|error| one(&error))?;
            config.speed = speed(args.speed.unwrap_or(SPEED));
            config.faults = FaultConfig { seed: args.seed.into(), rates: args.faults, waits_for_order: true };
            let exchange = Exchange::start(&config).map_err(|error| one(&error))?;
            let address = exchange.address();
            (Some(exchange), address)
        }
    };
    let mut config = Config::parse(&CONFIG.replace("ADDRESS", &address.to_string())).map_err(|error| one(&error))?;
    config.engine.layout = match args.layout {
        None => LayoutName::Auto,
        Some(LayoutChoice::Fused) => LayoutName::Fused,
        Some(LayoutChoice::Split) => LayoutName::Split,
    };
    let is_stormy = args.faults != FaultRates::CALM;
    // A demo remembers nothing, unless it is told where.
    let temporary = tempfile::tempdir().map_err(|error| one(&error))?;
    let beside_journal = args.journal.as_ref().map(|journal| journal.join("data"));
    config.engine.data_dir = args.data.clone().or(beside_journal).unwrap_or_else(|| temporary.path().join("data"));
    // Ten times the recorded market, for hours maybe: where nobody keeps the journal, it is not to fill the disk.
    config.engine.journal_market_data = args.journal.is_some();
    if is_stormy {
        // What a request came to that was lost at the last moment is proven only after all the time that the venue has to
        // take it. Where nothing is in doubt, nothing waits.
        config.engine.shutdown_timeout_ms = PROOF_MS;
    }
    let api_key = SecretString::from(DEMO_ED25519_API_KEY);
    let keys =
        Credentials::ed25519(api_key, &SecretString::from(DEMO_ED25519_PRIVATE_KEY)).map_err(|error| one(&error))?;
    let operators = Operators::new(temporary.path()).map_err(|error| vec![error])?;
    config.operators = operators.configured();
    let data = DataDir::new(&config.engine.data_dir);
    let kill = KillSwitch::new();
    kill_file::on_signal(kill.clone(), data.clone()).map_err(|error| vec![error])?;
    let journal = JournalOptions {
        segment_bytes: SEGMENT_BYTES,
        snapshot_records: SNAPSHOT_RECORDS,
        ..JournalOptions::of(&config, args.journal.clone())
    };
    let engine = Run { config: &config, credentials: vec![keys], seed: args.seed, kill, watchdog: None, journal };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| one(&error))?;
    let stop = stop_signal(args.duration);
    let calm = async || {
        let Some(exchange) = exchange.as_ref().filter(|_| is_stormy) else { return };
        exchange.end_faults();
        match operators.accept_transfers(exchange, &data, PATIENCE).await {
            Ok(accepted) if accepted.is_empty() => {}
            Ok(accepted) => eprintln!("two operators signed for transfers that were never told: {}", words(&accepted)),
            Err(missing) => eprintln!("{missing}"),
        }
    };
    let is_shown = !args.json && std::io::stdout().is_terminal();
    let summary = runtime.block_on(async {
        if is_shown {
            let mut view = TerminalView::open(format!("gannet demo, {address}")).map_err(|error| one(&error))?;
            let key = view.stop_key();
            let stop = async {
                tokio::select! { () = stop => {}, () = key => {} }
                calm().await;
            };
            engine::run(engine, &mut view, stop).await
        } else {
            super::log_to_stderr("warn");
            let stop = async {
                stop.await;
                calm().await;
            };
            engine::run(engine, &mut NoDisplay, stop).await
        }
    });
    // The last requests are answered: only now may the exchange go.
    if let Some(exchange) = exchange {
        let faults = exchange.stop().faults;
        if faults.total() > 0 {
            eprintln!("faults: {faults}");
        }
    }
    print(&summary?, args.json)
}

fn speed(times: f64) -> Speed {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "0.01 to 1,000, checked when it was read"
    )]
    Speed::Thousandths((times * 1_000.0).round() as u32)
}

/// Prints a summary: as one line of JSON, or in words.
///
/// # Errors
/// Where standard output is gone, or a venue's books are not ours: whoever calls must look.
pub fn print(summary: &Summary, json: bool) -> Result<(), Vec<String>> {
    let mut out = std::io::stdout().lock();
    let text = if json { serde_json::to_string(summary).map(|text| text + "\n") } else { Ok(summary.to_string()) };
    let text = text.map_err(|error| vec![error.to_string()])?;
    out.write_all(text.as_bytes()).map_err(|error| vec![error.to_string()])?;
    let disagreeing: Vec<_> = summary.venues.iter().filter(|venue| !venue.agrees).collect();
    if disagreeing.is_empty() {
        return Ok(());
    }
    let told = |venue: &&VenueSummary| {
        format!("venue {} disagrees with our books: {}", venue.name, venue.differences.join("; "))
    };
    Err(disagreeing.iter().map(told).collect())
}

/// Resolves at SIGINT, SIGTERM, or after `duration`.
pub fn stop_signal(duration: Option<Duration>) -> Pin<Box<dyn Future<Output = ()>>> {
    Box::pin(async move {
        let timer = async {
            match duration {
                Some(duration) => tokio::time::sleep(duration).await,
                None => std::future::pending().await,
            }
        };
        let terminate = async {
            match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(mut signal) => {
                    signal.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = timer => {}
            () = terminate => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    })
}

/// The live view on a terminal; gives the terminal back when it is dropped.
pub struct TerminalView {
    terminal: DefaultTerminal,
    title: String,
    started: Instant,
    is_open: Arc<AtomicBool>,
}

impl TerminalView {
    /// Takes the terminal: what is typed is not echoed into the view, and Ctrl-C comes as a key.
    ///
    /// # Errors
    /// Where there is none.
    pub fn open(title: String) -> std::io::Result<Self> {
        let terminal = ratatui::try_init()?;
        Ok(Self { terminal, title, started: Instant::now(), is_open: Arc::new(AtomicBool::new(true)) })
    }

    /// Resolves when Ctrl-C or q is pressed. Keys are read on a thread of its own, as that blocks; where they cannot
    /// be, Ctrl-C becomes a signal again.
    pub fn stop_key(&self) -> impl Future<Output = ()> + use<> {
        let (pressed, stop) = tokio::sync::oneshot::channel();
        let is_open = Arc::clone(&self.is_open);
        let read = move || match wait_for_stop_key(&is_open) {
            // The engine may have stopped meanwhile.
            Ok(true) => drop(pressed.send(())),
            Ok(false) => {}
            Err(_) => drop(disable_raw_mode()),
        };
        if std::thread::Builder::new().name("keys".to_owned()).spawn(read).is_err() {
            drop(disable_raw_mode());
        }
        async {
            if stop.await.is_err() {
                std::future::pending().await
            }
        }
    }
}

/// `true` when Ctrl-C or q was pressed, `false` when the view was closed.
fn wait_for_stop_key(is_open: &AtomicBool) -> std::io::Result<bool> {
    while is_open.load(Ordering::Relaxed) {
        if event::poll(KEY_WAIT)?
            && let Event::Key(key) = event::read()?
            && is_stop(&key)
        {
            return Ok(true);
        }
    }
    Ok(false)
}

fn is_stop(key: &KeyEvent) -> bool {
    let is_control = key.modifiers.contains(KeyModifiers::CONTROL);
    key.is_press() && (key.code == KeyCode::Char('q') || is_control && key.code == KeyCode::Char('c'))
}

impl Drop for TerminalView {
    fn drop(&mut self) {
        self.is_open.store(false, Ordering::Relaxed);
        ratatui::restore();
    }
}

impl Display for TerminalView {
    fn show(&mut self, status: &Status, counters: &Counters) -> std::io::Result<()> {
        let sum = |counts: &mut dyn Iterator<Item = u64>| counts.sum::<u64>();
        let title = format!("{}, {} s", self.title, self.started.elapsed().as_secs());
        let feeds = || counters.feeds.iter();
        let gateways = |pick: fn(&crate::metrics::GatewayCounters) -> &Counter| {
            counters.gateways.iter().map(|block| pick(block).get()).sum::<u64>()
        };
        let totals = Totals {
            title,
            market_events: sum(
                &mut feeds().map(|feed| feed.quotes.get() + feed.trades.get() + feed.depth_updates.get())
            ),
            conflated: sum(&mut feeds()
                .map(|feed| feed.conflated_quotes.get() + feed.conflated_trades.get() + feed.lost_depth_updates.get())),
            orders_sent: gateways(|block| &block.orders_sent),
            cancels_sent: gateways(|block| &block.cancels_sent),
            rejects: gateways(|block| &block.rejects),
            fills: counters.risk.fills.get(),
            open_orders: status.positions.values().map(|report| u64::from(report.open_orders)).sum(),
        };
        self.terminal.draw(|frame| draw(frame, status, &totals)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_valid() {
        Config::parse(&CONFIG.replace("ADDRESS", "127.0.0.1:1")).unwrap_or_else(|errors| panic!("{errors}"));
    }

    #[test]
    fn control_c_and_q_stop() {
        for (code, modifiers, stops) in [
            (KeyCode::Char('c'), KeyModifiers::CONTROL, true),
            (KeyCode::Char('q'), KeyModifiers::NONE, true),
            (KeyCode::Char('c'), KeyModifiers::NONE, false),
            (KeyCode::Enter, KeyModifiers::NONE, false),
        ] {
            assert_eq!(is_stop(&KeyEvent::new(code, modifiers)), stops, "{code:?} {modifiers:?}");
        }
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(parse_duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        for bad in ["", "s", "-1s", "15 parsecs", "1e99h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
