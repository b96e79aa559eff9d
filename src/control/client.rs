//! One venue's REST interface: what is asked rarely and may take its time.

use crate::config::{KeyKind, SecretSource, Venue};
use crate::pipeline::clock::Clock;
use crate::types::{ExecutionReport, HistoryBar, Instrument, Instruments, Quantity, Symbol};
use crate::venue::binance::rest::{self, AssetBalance, InstrumentSpec, OpenOrder, Request, Snapshot};
use crate::venue::binance::{Credentials, Market, MarketSymbol, UserCodec};
use crate::venue::budget::{Budget, BudgetUse, Urgency};
use crate::venue::connect::{Endpoint, Plaintext, tls_config};
use rustls::ClientConfig;
use secrecy::SecretString;
use std::fmt;
use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// How long a request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest body that is read.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Orders or trades in one page.
pub const PAGE_ROWS: usize = 1_000;
/// Pages read at most.
const PAGES_MAX: usize = 10_000;

/// Why the venue gave no answer that can be used.
#[derive(Debug)]
pub struct ClientError {
    /// What was asked.
    pub request: String,
    /// What came of it, in words.
    pub problem: String,
    /// For how long the venue wants no further request.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.request, self.problem)
    }
}

impl std::error::Error for ClientError {}

/// What an account has many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Orders, numbered by the venue.
    Orders,
    /// Fills, numbered by the venue's trades.
    Fills,
}

impl Rows {
    /// The venue's number of a row.
    #[must_use]
    pub const fn number(self, row: &ExecutionReport) -> u64 {
        match self {
            Self::Orders => row.venue_order_id,
            Self::Fills => row.execution_id,
        }
    }
}

/// A client of one venue with one account's keys.
pub struct VenueClient {
    /// The configured name.
    pub name: String,
    /// Keys.
    pub credentials: Arc<Credentials>,
    /// The market streams' address.
    pub market_stream: Endpoint,
    /// The WebSocket API's address.
    pub order_api: Endpoint,
    /// TLS as all connections use it.
    pub tls: Arc<ClientConfig>,
    base: String,
    http: reqwest::Client,
    budget: Arc<Budget>,
    clock: Clock,
    /// The venue's clock less ours.
    offset_ns: AtomicI64,
}

impl VenueClient {
    /// A client of the configured venue.
    ///
    /// # Errors
    /// What is wrong with the addresses, in words.
    pub fn new(venue: &Venue, credentials: Credentials, clock: &Clock) -> Result<Self, String> {
        let problem = |what: &str, error: &dyn fmt::Display| format!("venue {}: {what}: {error}", venue.name);
        let plaintext = if venue.allow_plaintext { Plaintext::Anywhere } else { Plaintext::LoopbackOnly };
        let tls = tls_config(None).map_err(|error| problem("TLS", &error))?;
        let http = http(&tls, REQUEST_TIMEOUT).build().map_err(|error| problem("HTTP", &error))?;
        Ok(Self {
            name: venue.name.clone(),
            credentials: Arc::new(credentials),
            market_stream: Endpoint::parse(&venue.market_stream, plaintext)
                .map_err(|error| problem("market_stream", &error))?,
            order_api: Endpoint::parse(&venue.order_api, plaintext).map_err(|error| problem("order_api", &error))?,
            tls,
            base: venue.rest.trim_end_matches('/').to_owned(),
            http,
            budget: Arc::default(),
            clock: clock.clone(),
            offset_ns: AtomicI64::new(0),
        })
    }

    /// The same client for whoever cannot wait: requests end after `timeout`, and the venue's name is looked up now, never
    /// when a request is made.
    ///
    /// # Errors
    /// Where the name cannot be looked up.
    pub async fn pinned(mut self, timeout: Duration) -> Result<Self, ClientError> {
        let failed = |problem: String| ClientError { request: self.base.clone(), problem, retry_after: None };
        let url = reqwest::Url::parse(&self.base).map_err(|error| failed(error.to_string()))?;
        let (host, port) = (url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(443));
        let found = tokio::net::lookup_host((host.trim_matches(['[', ']']), port)).await;
        let addresses: Vec<SocketAddr> = found.map_err(|error| failed(format!("{host}: {error}")))?.collect();
        let client = http(&self.tls, timeout).resolve_to_addrs(host, &addresses).build();
        self.http = client.map_err(|error| failed(in_words(&error)))?;
        Ok(self)
    }

    /// What the venue lets this account and address ask; the gateway shares it. A ban that an earlier run was told is to
    /// be put in before the first request, and what [`Budget::banned_until`] says is to be kept.
    #[must_use]
    pub const fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// The venue's clock less ours, as measured by [`VenueClient::measure_clock`].
    #[must_use]
    pub fn offset_ns(&self) -> i64 {
        self.offset_ns.load(Ordering::Relaxed)
    }

    /// Measures the venue's clock: of three answers the quickest counts, as half its round trip is the error.
    ///
    /// # Errors
    /// Where the venue gives no answer.
    pub async fn measure_clock(&self) -> Result<i64, ClientError> {
        let mut best: Option<(u64, i64)> = None;
        for _ in 0..3 {
            let request = Request::time(Market::Spot);
            let before = self.clock.now();
            let body = self.fetch(&request).await?;
            let round_trip_ns = self.clock.now().since(before);
            let venue = rest::decode_time(&body).map_err(|error| unreadable(&request, &error))?;
            let ours = before.plus(round_trip_ns / 2);
            // The venue tells whole milliseconds: half of one is the best guess of what it cut.
            let venue_ns = i128::from(venue.nanos()) + 500_000;
            let offset_ns = i64::try_from(venue_ns - i128::from(ours.nanos())).unwrap_or(0);
            if best.is_none_or(|(quickest, _)| round_trip_ns < quickest) {
                best = Some((round_trip_ns, offset_ns));
            }
        }
        let offset_ns = best.map_or(0, |(_, offset_ns)| offset_ns);
        self.offset_ns.store(offset_ns, Ordering::Relaxed);
        Ok(offset_ns)
    }

    /// The instruments of these symbols.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used.
    pub async fn instruments(&self, symbols: &[Symbol]) -> Result<Vec<InstrumentSpec>, ClientError> {
        let request = Request::exchange_info(Market::Spot, symbols);
        let body = self.fetch(&request).await?;
        self.budget.learn(rest::decode_rate_limits(&body).map_err(|error| unreadable(&request, &error))?);
        rest::decode_exchange_info(&body, symbols).map_err(|error| unreadable(&request, &error))
    }

    /// A snapshot of an instrument's book.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used.
    pub async fn snapshot(&self, instrument: &Instrument) -> Result<Snapshot, ClientError> {
        let request = Request::depth(Market::Spot, instrument.symbol);
        let mut body = self.fetch(&request).await?;
        rest::decode_snapshot(&mut body, &MarketSymbol::from(instrument)).map_err(|error| unreadable(&request, &error))
    }

    /// The last `count` closed bars of an instrument.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used.
    pub async fn bars(
        &self,
        instrument: &Instrument,
        interval: &str,
        count: u32,
    ) -> Result<Vec<HistoryBar>, ClientError> {
        // One more than wanted, as the running bar comes with them.
        let limit = u16::try_from(count.saturating_add(1)).unwrap_or(1_000).min(1_000);
        let request = Request::klines(Market::Spot, instrument.symbol, interval, limit);
        let body = self.fetch(&request).await?;
        let bars = rest::decode_klines(&body, &MarketSymbol::from(instrument))
            .map_err(|error| unreadable(&request, &error))?;
        let interval_ns = crate::config::bar_interval_ns(interval).unwrap_or(0);
        let venue_now = self.clock.now().nanos().saturating_add_signed(self.offset_ns());
        Ok(bars.into_iter().filter(|bar| bar.open_ns.nanos().saturating_add(interval_ns) <= venue_now).collect())
    }

    /// What was traded in an instrument within the last 24 hours.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used.
    pub async fn day_volume(&self, instrument: &Instrument) -> Result<Quantity, ClientError> {
        let request = Request::day(Market::Spot, instrument.symbol);
        let body = self.fetch(&request).await?;
        rest::decode_day_volume(&body, &MarketSymbol::from(instrument)).map_err(|error| unreadable(&request, &error))
    }

    /// The account's balances.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used.
    pub async fn balances(&self) -> Result<Vec<AssetBalance>, ClientError> {
        let request = Request::account(&self.credentials, self.venue_ms());
        let body = self.fetch(&request).await?;
        rest::decode_account(&body).map_err(|error| unreadable(&request, &error))
    }

    /// A page of the account's orders or fills in an instrument: from this venue number on, or with `None` the newest.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used.
    pub async fn page(
        &self,
        rows: Rows,
        instruments: &Arc<Instruments>,
        instrument: &Instrument,
        from: Option<u64>,
    ) -> Result<Vec<ExecutionReport>, ClientError> {
        let mut codec = UserCodec::new(Arc::clone(instruments), instrument.venue);
        let (symbol, venue_ms) = (instrument.symbol, self.venue_ms());
        let request = match rows {
            Rows::Orders => Request::all_orders(&self.credentials, symbol, from, venue_ms),
            Rows::Fills => Request::my_trades(&self.credentials, symbol, from, venue_ms),
        };
        let mut body = self.fetch(&request).await?;
        let decoded = match rows {
            Rows::Orders => codec.decode_orders(&mut body),
            Rows::Fills => codec.decode_trades(&mut body),
        };
        decoded.map(<[_]>::to_vec).map_err(|error| unreadable(&request, &error))
    }

    /// Every open order of the account, of whatever symbol.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used: nothing is known then, least of all that there is none.
    pub async fn open_orders(&self) -> Result<Vec<OpenOrder>, ClientError> {
        let request = Request::open_orders(&self.credentials, self.venue_ms());
        let body = self.fetch(&request).await?;
        rest::decode_open_orders(&body).map_err(|error| unreadable(&request, &error))
    }

    /// Cancels all open orders of a symbol.
    ///
    /// # Errors
    /// Where the venue refuses, as it does where there is none, or gives no answer.
    pub async fn cancel_open_orders(&self, symbol: &str) -> Result<(), ClientError> {
        self.fetch(&Request::cancel_open_orders(&self.credentials, symbol, self.venue_ms())).await.map(drop)
    }

    /// Cancels one order.
    ///
    /// # Errors
    /// Where the venue refuses, as it does where the order has ended, or gives no answer.
    pub async fn cancel_order(&self, order: &OpenOrder) -> Result<(), ClientError> {
        self.fetch(&Request::cancel_order(&self.credentials, order, self.venue_ms())).await.map(drop)
    }

    /// All of the account's orders or fills in an instrument from this venue number on, oldest first.
    ///
    /// # Errors
    /// Where the venue gives no answer that can be used, or more than ten million rows.
    pub async fn all(
        &self,
        rows: Rows,
        instruments: &Arc<Instruments>,
        instrument: &Instrument,
        from: u64,
    ) -> Result<Vec<ExecutionReport>, ClientError> {
        let mut all: Vec<ExecutionReport> = Vec::new();
        let mut from = from;
        for _ in 0..PAGES_MAX {
            let page = self.page(rows, instruments, instrument, Some(from)).await?;
            all.extend_from_slice(&page);
            from = page.last().map_or(from, |last| rows.number(last) + 1);
            if page.len() < PAGE_ROWS {
                return Ok(all);
            }
        }
        Err(ClientError {
            request: format!("{rows:?} of {}", instrument.symbol),
            problem: "there are too many".to_owned(),
            retry_after: None,
        })
    }

    /// Takes over what the venue says of its limits with every answer.
    fn account_for(&self, response: &reqwest::Response) {
        let now = self.clock.now();
        let used = |name| number(response, name).unwrap_or(0);
        let (weight, orders) = (used("x-mbx-used-weight-1m"), used("x-mbx-order-count-10s"));
        self.budget.observe(BudgetUse { weight, orders }, now);
        let until = number(response, "retry-after").map(|seconds| now.plus(u64::from(seconds) * 1_000_000_000));
        match response.status().as_u16() {
            418 => self.budget.ban(until, now),
            429 => self.budget.stop(until, now),
            _ => {}
        }
    }

    fn venue_ms(&self) -> u64 {
        self.clock.now().nanos().saturating_add_signed(self.offset_ns()) / 1_000_000
    }

    async fn fetch(&self, request: &Request) -> Result<Vec<u8>, ClientError> {
        let now = self.clock.now();
        let urgency = if request.method == "DELETE" { Urgency::Cancel } else { Urgency::Query };
        if !self.budget.permits(urgency, 1, now) {
            return Err(ClientError {
                request: format!("{} {request:?}", self.base),
                problem: "not sent: what the venue lets this address ask is used up".to_owned(),
                retry_after: Some(
                    Duration::from_nanos(self.budget.quiet_until(urgency).since(now)).max(Duration::from_secs(1)),
                ),
            });
        }
        let failed =
            |problem: String| ClientError { request: format!("{} {request:?}", self.base), problem, retry_after: None };
        let url = format!("{}{}", self.base, request.path_and_query);
        let mut builder = if request.method == "DELETE" { self.http.delete(url) } else { self.http.get(url) };
        for (name, value) in &request.headers {
            builder = builder.header(*name, value);
        }
        let mut response = builder.send().await.map_err(|error| failed(in_words(&error.without_url())))?;
        let status = response.status();
        self.account_for(&response);
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| failed(in_words(&error.without_url())))? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_BYTES_MAX {
                return Err(failed(format!("the answer is over {BODY_BYTES_MAX} bytes")));
            }
        }
        if status.is_success() {
            return Ok(body);
        }
        let problem = match rest::decode_error(&mut body) {
            Ok(error) => format!("{status}, code {}: {}", error.code, error.message),
            Err(_) => format!("{status}"),
        };
        Err(ClientError { retry_after: retry_after.map(Duration::from_secs), ..failed(problem) })
    }
}

/// What every HTTP client of ours has in common.
fn http(tls: &ClientConfig, timeout: Duration) -> reqwest::ClientBuilder {
    let client = reqwest::Client::builder().tls_backend_preconfigured(tls.clone()).timeout(timeout);
    client.redirect(reqwest::redirect::Policy::none()).no_proxy()
}

/// A header that is a number.
fn number(response: &reqwest::Response, name: &str) -> Option<u32> {
    response.headers().get(name)?.to_str().ok()?.parse().ok()
}

/// An error with its causes, outermost first.
fn in_words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn unreadable(request: &Request, error: &dyn fmt::Display) -> ClientError {
    let problem = format!("the answer cannot be read: {error}");
    ClientError { request: format!("{request:?}"), problem, retry_after: None }
}

/// Reads the keys of a venue from where its configuration says.
///
/// # Errors
/// Everything that is wrong, each with its venue and source. Never what was read.
pub fn credentials(venue: &Venue) -> Result<Credentials, Vec<String>> {
    read_keys(venue.key_kind, &venue.api_key, &venue.secret, &format!("venue {}", venue.name))
}

/// Reads the keys that the watchdog has at a venue: its own, or where none are configured the venue's.
///
/// # Errors
/// As [`credentials`].
pub fn watchdog_credentials(venue: &Venue) -> Result<Credentials, Vec<String>> {
    match &venue.watchdog {
        Some(keys) => read_keys(keys.key_kind, &keys.api_key, &keys.secret, &format!("venue {}: watchdog", venue.name)),
        None => credentials(venue),
    }
}

fn read_keys(
    kind: KeyKind,
    api_key: &SecretSource,
    secret_source: &SecretSource,
    owner: &str,
) -> Result<Credentials, Vec<String>> {
    let named = |problem: String| format!("{owner}: {problem}");
    let (api_key, secret) = match (secret("api_key", api_key), secret("secret", secret_source)) {
        (Ok(api_key), Ok(secret)) => (api_key, secret),
        (api_key, secret) => return Err([api_key.err(), secret.err()].into_iter().flatten().map(named).collect()),
    };
    let made = match kind {
        KeyKind::Ed25519 => Credentials::ed25519(api_key, &secret),
        KeyKind::Hmac => Credentials::hmac(api_key, &secret),
    };
    made.map_err(|error| vec![named(format!("secret: {error}"))])
}

/// Reads one secret.
fn secret(key: &str, source: &SecretSource) -> Result<SecretString, String> {
    match (&source.file, &source.env) {
        (Some(path), None) => read_secret(&format!("{key}.file"), path),
        (None, Some(name)) => std::env::var(name)
            .map(|text| SecretString::from(text.trim().to_owned()))
            .map_err(|_| format!("{key}.env: the environment variable {name} is not set")),
        _ => Err(format!("{key}: exactly one of `file` and `env` is needed")),
    }
}

/// Reads a file that holds a secret, named `key` by whoever told of it.
///
/// # Errors
/// Where it is no regular file, others may read it, or it cannot be read. Never what was read.
pub fn read_secret(key: &str, path: &Path) -> Result<SecretString, String> {
    let named = |error: &dyn fmt::Display| format!("{key} {}: {error}", path.display());
    let metadata = std::fs::symlink_metadata(path).map_err(|error| named(&error))?;
    if !metadata.is_file() {
        return Err(named(&"must be a regular file, not a link or a folder"));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(named(&"may be read by others: chmod 600 it"));
        }
    }
    let mut text = String::new();
    let mut file = std::fs::File::open(path).map_err(|error| named(&error))?;
    file.read_to_string(&mut text).map_err(|error| named(&error))?;
    Ok(SecretString::from(text.trim().to_owned()))
}
