//! `gannet exchange`: the simulated exchange alone, for any client.

use super::config::{AccountConfig, ExchangeConfig, ExchangeError, Filters, RecordingSource, Speed, SymbolConfig};
use super::{DEMO_ED25519_API_KEY, Exchange, FaultConfig, FaultRates, Key};
use crate::matching::{Fees, PRECISION};
use crate::types::parse_fixed;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Run the simulated exchange: recorded market data behind Binance spot's own REST, streams and WebSocket API.
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  gannet exchange                                     the data that ships, at recorded pace, on 127.0.0.1:9000
  gannet exchange --speed 10 --start 120              ten times as fast, from the 120th second
  gannet exchange --data btcusdt.gz --speed max       a recording of your own, as fast as its clients read
  gannet exchange --data BTCFUSDT=usdm_btcusdt.gz     the same, served under another name
  gannet exchange --account me:my-key:my-secret:USDT=1000,BTC=0.5
  gannet exchange --faults storm --seed 7             everything goes wrong, from the first order on
  gannet exchange --faults report_dropped=2,cut=0.5   2 % of user events lost, a connection broken every two minutes

A client needs: REST http://ADDRESS/api/v3, streams ws://ADDRESS/ws or /stream, WebSocket API ws://ADDRESS/ws-api/v3.
A recording has lines `<receive ns> <frame>` of one symbol's @bookTicker, @trade and @depth streams and a REST snapshot.")]
pub struct Arguments {
    /// A recording (plain, .gz, .zst), or SYMBOL=FILE to rename its symbol; several of one name are played one after
    /// the other [default: the two that ship]
    #[arg(long = "data", value_name = "[SYMBOL=]FILE", num_args = 1..)]
    data: Vec<String>,
    /// Where to listen; loopback addresses only
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// How many times the recorded pace, at most three decimals; 0 or `max` is as fast as clients read
    #[arg(long, value_name = "N", default_value = "1", value_parser = parse_speed)]
    speed: Speed,
    /// Where in the recording to start, in seconds; what is before is history
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    start: u64,
    /// An account; the secret is an HMAC secret, or `ed25519:` and a public key in base64 [default: the HMAC key `demo`
    /// with secret `demo`, and the demo's own]
    #[arg(long = "account", value_name = "NAME:KEY:SECRET:ASSET=AMOUNT,…", value_parser = parse_account)]
    accounts: Vec<AccountConfig>,
    /// Fees of a maker and of a taker, in basis points
    #[arg(long, value_name = "MAKER,TAKER", default_value = "10,10", value_parser = parse_fees)]
    fees: Fees,
    /// How long an order takes to the book, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    latency: u64,
    /// How much request weight an address may use in a minute
    #[arg(long, value_name = "N", default_value_t = 6_000)]
    weight: u32,
    /// Tick and lot of a symbol [default: as fine as its recording]
    #[arg(long = "filters", value_name = "SYMBOL:TICK,LOT", value_parser = parse_filters)]
    filters: Vec<(String, Filters)>,
    /// What goes wrong from the first order on: `calm`, `storm`, and KIND=RATE to change a rate, by commas. Rates are percent
    /// of messages (report_dropped, report_duplicated, report_delayed, report_reordered, answer_dropped, answer_delayed,
    /// answer_late, request_swallowed, request_delayed, cut_before, cut_after, too_many_requests, unknown_done,
    /// unknown_not_done) or times a minute (cut, stall, ban, stream_terminated, server_shutdown, external_order,
    /// external_cancel, transfer, market_cut)
    #[arg(long, value_name = "PRESET|SPEC", default_value = "calm", value_parser = FaultRates::parse)]
    faults: FaultRates,
    /// Decides what goes wrong
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

/// Reads `N` with at most three decimals, `0` or `max`.
///
/// # Errors
/// What is allowed instead, in words.
pub fn parse_speed(text: &str) -> Result<Speed, String> {
    if text == "max" {
        return Ok(Speed::Max);
    }
    match parse_fixed(text.as_bytes(), 3).map(u32::try_from) {
        Ok(Ok(0)) => Ok(Speed::Max),
        Ok(Ok(thousandths)) => Ok(Speed::Thousandths(thousandths)),
        _ => Err("a number such as 1, 10 or 0.5 with at most three decimals, or max".to_owned()),
    }
}

fn amount_of(text: &str) -> Result<i64, String> {
    let amount = parse_fixed(text.as_bytes(), PRECISION).map_err(|error| format!("`{text}` is {error}"))?;
    if amount < 0 { Err(format!("`{text}` is negative")) } else { Ok(amount) }
}

fn parse_account(text: &str) -> Result<AccountConfig, String> {
    const FORM: &str = "expected NAME:KEY:SECRET:ASSET=AMOUNT,… such as me:my-key:my-secret:USDT=1000,BTC=0.5";
    let (name, rest) = text.split_once(':').ok_or(FORM)?;
    let (api_key, rest) = rest.split_once(':').ok_or(FORM)?;
    let (secret, balances) = rest.rsplit_once(':').ok_or(FORM)?;
    if name.is_empty() || api_key.is_empty() || secret.is_empty() {
        return Err(FORM.to_owned());
    }
    let key = match secret.strip_prefix("ed25519:") {
        Some(public) => Key::ed25519_of_public_base64(public).map_err(|error| error.to_string())?,
        None => Key::Hmac(secret.to_owned()),
    };
    let balance = |pair: &str| {
        let (asset, amount) = pair.split_once('=').ok_or(FORM)?;
        Ok((asset.to_owned(), amount_of(amount)?))
    };
    let balances = balances.split(',').map(balance).collect::<Result<_, String>>()?;
    Ok(AccountConfig { name: name.to_owned(), api_key: api_key.to_owned(), key, balances })
}

fn parse_fees(text: &str) -> Result<Fees, String> {
    let rate = |text: &str| {
        let ppm = parse_fixed(text.as_bytes(), 2).ok().and_then(|rate| u32::try_from(rate).ok());
        ppm.filter(|ppm| *ppm <= 1_000_000).ok_or("expected two rates in basis points, such as 7.5,10")
    };
    let (maker, taker) = text.split_once(',').ok_or("expected two rates in basis points, such as 7.5,10")?;
    Ok(Fees { maker_ppm: rate(maker)?, taker_ppm: rate(taker)? })
}

fn parse_filters(text: &str) -> Result<(String, Filters), String> {
    const FORM: &str = "expected SYMBOL:TICK,LOT such as BTCUSDT:0.01,0.00001";
    let (symbol, steps) = text.split_once(':').ok_or(FORM)?;
    let (tick, lot) = steps.split_once(',').ok_or(FORM)?;
    match (amount_of(tick)?, amount_of(lot)?) {
        (tick @ 1.., lot @ 1..) => Ok((symbol.to_uppercase(), Filters::new(tick, lot))),
        _ => Err(FORM.to_owned()),
    }
}

impl Arguments {
    /// The exchange that these arguments describe.
    ///
    /// # Errors
    /// Where they contradict each other.
    pub fn config(&self) -> Result<ExchangeConfig, ExchangeError> {
        let mut config = ExchangeConfig::shipped()?;
        (config.listen, config.speed, config.fees) = (self.listen, self.speed, self.fees);
        config.start_offset = Duration::from_secs(self.start);
        config.latency = Duration::from_millis(self.latency);
        config.weight_limit = self.weight;
        config.faults = FaultConfig { seed: self.seed, rates: self.faults, waits_for_order: true };
        if !self.accounts.is_empty() {
            config.accounts.clone_from(&self.accounts);
        }
        if !self.data.is_empty() {
            config.symbols = self.symbols();
        }
        for (symbol, filters) in &self.filters {
            let Some(known) =
                config.symbols.iter_mut().find(|known| known.symbol == *symbol || known.symbol.is_empty())
            else {
                return Err(ExchangeError::Config(format!(
                    "--filters {symbol}: no recording is served under that name"
                )));
            };
            known.filters = Some(*filters);
        }
        Ok(config)
    }

    /// One symbol for each name; files without a name are symbols of their own.
    fn symbols(&self) -> Vec<SymbolConfig> {
        let mut symbols: Vec<SymbolConfig> = Vec::new();
        for data in &self.data {
            let (name, file) = match data.split_once('=') {
                Some((name, file)) if !name.contains(['/', '.']) => (name.to_uppercase(), file),
                _ => (String::new(), data.as_str()),
            };
            let source = RecordingSource::File(PathBuf::from(file));
            match symbols.iter_mut().find(|symbol| !name.is_empty() && symbol.symbol == name) {
                Some(symbol) => symbol.recordings.push(source),
                None => symbols.push(SymbolConfig {
                    symbol: name,
                    base: String::new(),
                    quote: String::new(),
                    filters: None,
                    recordings: vec![source],
                }),
            }
        }
        symbols
    }
}

/// Runs the exchange until SIGINT or SIGTERM, then says what happened.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gannet exchange: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(arguments: &Arguments) -> Result<(), ExchangeError> {
    let config = arguments.config()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExchangeError::System)?;
    // Signals are caught before the address is printed: whoever reads it may send one.
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let listen = |kind| tokio::signal::unix::signal(kind).map_err(ExchangeError::System);
        use tokio::signal::unix::SignalKind;
        (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?)
    };
    let exchange = Exchange::start(&config)?;
    let address = exchange.address();
    println!("listening on {address}");
    println!("  REST          http://{address}/api/v3");
    println!("  streams       ws://{address}/ws  ws://{address}/stream");
    println!("  WebSocket API ws://{address}/ws-api/v3");
    for account in &config.accounts {
        let kind = match account.key {
            Key::Hmac(_) => "HMAC",
            Key::Ed25519(_) => "Ed25519",
        };
        let note = if account.api_key == DEMO_ED25519_API_KEY { " (the demo's own)" } else { "" };
        println!("  account       {}: API key `{}`, {kind}{note}", account.name, account.api_key);
    }
    runtime.block_on(async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    });
    let summary = exchange.stop();
    println!(
        "stopped: {} market events played ({} laps), {} messages sent, {} orders, {} fills, {} requests refused, {} slow \
         clients cut off",
        summary.market_events,
        summary.laps,
        summary.market_messages,
        summary.orders,
        summary.fills,
        summary.refused,
        summary.slow_clients
    );
    if summary.faults.total() > 0 {
        println!("faults: {}", summary.faults);
    }
    Ok(())
}
