//! The whole engine against the simulated exchange, over real sockets, in good and bad weather.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests may wait, lock and print"
)]

mod faults;
mod proxy;
#[path = "../rest/mod.rs"]
mod rest;
mod sessions;

use gannet::config::Config;
use gannet::control::engine::{self, Run};
use gannet::control::journaling::JournalOptions;
use gannet::control::plane::Display;
use gannet::control::status::Status;
use gannet::control::summary::Summary;
use gannet::exchange::{
    DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Exchange, ExchangeConfig, ExchangeError, Speed,
};
use gannet::pipeline::Counters;
use gannet::risk::KillSwitch;
use gannet::types::Money;
use gannet::venue::binance::Credentials;
use secrecy::SecretString;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

const CONFIG: &str = include_str!("../../src/control/demo.toml");

/// Where the engine finds each of the venue's three doors.
#[derive(Clone, Copy)]
struct Doors {
    rest: SocketAddr,
    market: SocketAddr,
    orders: SocketAddr,
}

impl Doors {
    const fn all(address: SocketAddr) -> Self {
        Self { rest: address, market: address, orders: address }
    }
}

fn exchange_at(speed: u32) -> Exchange {
    let start = || -> Result<Exchange, ExchangeError> {
        let mut config = ExchangeConfig::shipped()?;
        config.speed = Speed::Thousandths(speed * 1_000);
        Exchange::start(&config)
    };
    start().expect("starts")
}

/// The demo's configuration with these doors, in the fused layout as on any small machine.
fn config_for(doors: Doors) -> Config {
    let text = CONFIG
        .replace("http://ADDRESS", &format!("http://{}", doors.rest))
        .replace("ws://ADDRESS/ws-api/v3", &format!("ws://{}/ws-api/v3", doors.orders))
        .replace("ws://ADDRESS/ws", &format!("ws://{}/ws", doors.market))
        .replace("shutdown_timeout_ms = 5000", "shutdown_timeout_ms = 20000")
        .replace("request_timeout_ms = 5000", "request_timeout_ms = 1000");
    let mut config = Config::parse(&text).unwrap_or_else(|errors| panic!("{errors}"));
    // The engine makes its own folder, which nobody else may enter.
    config.engine.data_dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap().keep().join("data");
    config
}

fn demo_keys() -> Credentials {
    Credentials::ed25519(SecretString::from(DEMO_ED25519_API_KEY), &SecretString::from(DEMO_ED25519_PRIVATE_KEY))
        .expect("the demo's keys")
}

async fn trade(config: &Config, keys: Credentials, stop: impl Future<Output = ()>) -> Result<Summary, Vec<String>> {
    trade_watched(config, keys, &Watch::default(), stop).await
}

async fn trade_watched(
    config: &Config,
    keys: Credentials,
    watch: &Watch,
    stop: impl Future<Output = ()>,
) -> Result<Summary, Vec<String>> {
    let journal = JournalOptions { segment_bytes: 1 << 20, ..JournalOptions::of(config, None) };
    let run = Run { config, credentials: vec![keys], seed: 7, kill: KillSwitch::new(), watchdog: None, journal };
    engine::run(run, &mut watch.clone(), stop).await
}

/// What the engine showed last: how a test sees inside.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<(Seen, String)>>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// Strategies that have paid a fee: they have had a fill.
    strategies_filled: usize,
    orders_sent: u64,
    fills: u64,
    feed_connects: u64,
    gateway_connects: u64,
    timeouts: u64,
    unknown_orders: u64,
    notices_dropped: u64,
    samples_dropped: u64,
}

impl Watch {
    fn now(&self) -> Seen {
        self.0.lock().unwrap().0
    }

    /// Everything that is known of a run that went wrong.
    fn story(&self) -> String {
        self.0.lock().unwrap().1.clone()
    }
}

impl Display for Watch {
    fn show(&mut self, status: &Status, counters: &Counters) -> std::io::Result<()> {
        let (feed, gateway) = (&counters.feeds[0], &counters.gateways[0]);
        let seen = Seen {
            strategies_filled: status.positions.values().filter(|report| report.position.fees != Money::ZERO).count(),
            orders_sent: gateway.orders_sent.get(),
            fills: counters.risk.fills.get(),
            feed_connects: feed.connects.get(),
            gateway_connects: gateway.connects.get(),
            timeouts: gateway.timeouts.get(),
            unknown_orders: counters.risk.unknown_orders.get(),
            notices_dropped: gateway.notices_dropped.get() + counters.risk.notices_dropped.get(),
            samples_dropped: gateway.samples_dropped.get(),
        };
        let counts =
            |list: Vec<(&'static str, u64)>| list.into_iter().filter(|(_, count)| *count > 0).collect::<Vec<_>>();
        let mut story = format!("{:?}\n{:?}\n", counts(feed.list().to_vec()), counts(gateway.list().to_vec()));
        story += &format!("{:?}\n{:?}\n", counts(counters.risk.list().to_vec()), status.denied);
        for (line, count) in &status.lines {
            story += &format!("  {line} (x{count})\n");
        }
        *self.0.lock().unwrap() = (seen, story);
        Ok(())
    }
}

/// Waits until `is_true` of what the engine shows, at most a minute: an order that the venue never saw is in doubt for
/// 16 seconds, by its rules. Looks are counted, not time, as a busy machine may let this process wait.
async fn until(watch: &Watch, what: &str, is_true: impl Fn(&Seen) -> bool) {
    for _ in 0..3_000 {
        if is_true(&watch.now()) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("never came: {what}; {}", watch.story());
}

/// The end of every run, good weather or bad: both sides' books agree, no order was sent twice, none is open.
fn assert_agreed(summary: &Summary, account: &rest::Account) {
    if !summary.venue_agrees {
        for symbol in rest::SYMBOLS {
            eprintln!("{:#?}", account.orders(symbol));
            eprintln!("{}", account.ask("myTrades", &format!("symbol={symbol}&fromId=0")));
        }
        eprintln!("{}", account.ask("account", "omitZeroBalances=true"));
    }
    assert!(summary.venue_agrees, "{summary}");
    assert_eq!(account.open_orders(), Vec::<serde_json::Value>::new(), "{summary}");
    account.unique_ids();
}
