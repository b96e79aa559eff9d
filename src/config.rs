//! Typed configuration, and everything that is wrong with one at once.
//!
//! Read in three steps, each of which reports all it finds: the text against the schema of the types below (unknown
//! keys, wrong types, values out of bounds), then the values against each other ([`Config::validate`]), then, at start,
//! against the venue's own instruments. Secrets are named here, never held.

mod limits;

pub use limits::{AccountLimits, MarketOrdersName, RestrictionName, SelfTradeName, StrategyLimits};

use crate::pipeline::idle::IdleStrategy;
use crate::pipeline::threads::{Layout, ThreadSpec};
use crate::strategy::{FieldError, registry, schema};
use crate::types::parse_fixed;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The commented example: what `gannet check --example` prints and the README shows.
pub const EXAMPLE: &str = include_str!("gannet.toml");

/// The whole configuration.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// How the engine runs.
    #[serde(default)]
    pub engine: Engine,
    /// Who may release what is killed, raise limits and approve builds: any two of them.
    #[serde(default)]
    #[schemars(length(max = 64))]
    pub operators: Vec<OperatorConfig>,
    /// Where it trades.
    #[schemars(length(min = 1, max = 8))]
    pub venues: Vec<Venue>,
    /// What it trades, with the limits of each instrument.
    #[schemars(length(min = 1, max = 256))]
    pub instruments: Vec<InstrumentConfig>,
    /// Who decides, with the limits of each strategy.
    #[schemars(length(min = 1, max = 256))]
    pub strategies: Vec<StrategyConfig>,
    /// The text that it was read from.
    #[serde(skip)]
    pub source: String,
}

/// Somebody who decides, and the key that proves it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OperatorConfig {
    /// What the audit log calls them.
    pub name: String,
    /// Their public key, as `gannet ctl keygen` prints it: Ed25519, base64.
    pub public_key: String,
}

/// Threads, waiting, logging, shutdown.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Engine {
    /// Where what must outlive the engine is kept, and where operators speak to it; from the configuration file's folder
    /// on.
    pub data_dir: PathBuf,
    /// C41: what is at stake; addresses and keys must be of this mode.
    pub mode: Mode,
    /// How stages are spread over threads.
    pub layout: LayoutName,
    /// The threads of the explicit layout.
    pub threads: Vec<ThreadConfig>,
    /// How hot threads wait.
    pub idle: IdleName,
    /// What limits over several instruments are counted in, as an asset of the instruments; by default the quote asset
    /// that all of them have.
    pub currency: Option<String>,
    /// How many shards the strategies are spread over.
    #[schemars(range(min = 1, max = 64))]
    pub shards: usize,
    /// How long a handler may take before it is counted and shown, in µs.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub handler_budget_us: u64,
    /// How long the shutdown waits for the venue to confirm cancels, in ms.
    #[schemars(range(min = 0, max = 600_000))]
    pub shutdown_timeout_ms: u64,
    /// C45: whether a second process watches this one, and cancels everything where it stalls or dies.
    pub watchdog: bool,
    /// C45: how long a hot thread may be silent before the watchdog cancels everything, in ms.
    #[schemars(range(min = 50, max = 60_000))]
    pub stall_ms: u64,
    /// C45: how long a strategy's handler may take before the watchdog kills the engine and starts it again with that
    /// strategy quarantined, in ms.
    #[schemars(range(min = 100, max = 600_000))]
    pub kill_after_ms: u64,
    /// C45: how many times within an hour the watchdog starts the engine again; then it stays down.
    #[schemars(range(min = 0, max = 60))]
    pub restarts_per_hour: u32,
    /// How many times as large a limit may become at once, while the engine runs.
    #[schemars(range(min = 1, max = 1_000))]
    pub limits_change_factor: u32,
    /// Whether shards write the market data that they take into the journal: without it their decisions can be looked at,
    /// but not replayed, and after a crash their strategies begin afresh.
    pub journal_market_data: bool,
    /// What is logged: error, warn, info, debug, trace, or a filter such as `gannet=debug`.
    pub log: String,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("gannet-data"),
            mode: Mode::Simulated,
            layout: LayoutName::Auto,
            threads: Vec::new(),
            idle: IdleName::Yield,
            currency: None,
            shards: 1,
            handler_budget_us: 50,
            shutdown_timeout_ms: 5_000,
            watchdog: true,
            stall_ms: 1_000,
            kill_after_ms: 5_000,
            restarts_per_hour: 3,
            limits_change_factor: 10,
            journal_market_data: true,
            log: "info".to_owned(),
        }
    }
}

/// What is at stake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Nothing: the exchange is a program on this machine.
    Simulated,
    /// Play money, on a venue's test hosts.
    Paper,
    /// Money.
    Live,
}

impl Mode {
    /// Its name, as configured.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }
}

/// Names of layouts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LayoutName {
    /// `fused` below six cores, else `split`.
    Auto,
    /// All hot stages on one thread.
    Fused,
    /// Feed | shards | risk and gateway.
    Split,
    /// As `engine.threads` says.
    Explicit,
}

/// Names of idle strategies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdleName {
    /// Polls again at once.
    Spin,
    /// Polls again after the processor's pause.
    SpinHint,
    /// Spins, then yields.
    Yield,
    /// Spins, then yields, then sleeps.
    Park,
}

/// One thread of the explicit layout.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadConfig {
    /// Stages: `feed-VENUE`, `shard-N`, `risk`, `gateway-VENUE`.
    pub stages: Vec<String>,
    /// The core to pin to.
    #[serde(default)]
    pub core: Option<usize>,
}

/// Names of venue kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VenueKind {
    /// Binance spot, or anything that speaks its protocol.
    BinanceSpot,
}

/// One venue and one account there.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Venue {
    /// What the rest of the configuration calls it.
    pub name: String,
    /// Which protocol it speaks.
    pub kind: VenueKind,
    /// REST: scheme, host and port.
    pub rest: String,
    /// Market streams: the URL of the raw stream endpoint.
    pub market_stream: String,
    /// Order entry and reports: the URL of the WebSocket API.
    pub order_api: String,
    /// How requests are signed.
    pub key_kind: KeyKind,
    /// The API key's source.
    pub api_key: SecretSource,
    /// The source of the private key (PKCS#8 PEM) or of the HMAC secret.
    pub secret: SecretSource,
    /// Allows plain `ws://` and `http://` to other hosts than loopback. Never for a real venue.
    #[serde(default)]
    pub allow_plaintext: bool,
    /// Messages of orders and cancels a second.
    #[serde(default = "default_messages_per_second")]
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_second: u32,
    /// Messages in one burst.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = 100_000))]
    pub message_burst: u32,
    /// Part of the burst that only cancels may use.
    #[serde(default = "default_cancel_reserve")]
    #[schemars(range(min = 0, max = 100_000))]
    pub cancel_reserve: u32,
    /// How long an unanswered request may take before the order's fate counts as unknown, in ms.
    #[serde(default = "default_request_timeout_ms")]
    #[schemars(range(min = 10, max = 60_000))]
    pub request_timeout_ms: u64,
    /// Limits of the account.
    #[serde(default)]
    pub limits: AccountLimits,
    /// C45: the watchdog's own keys, of the same account: it can then cancel though the engine's are revoked. By default the
    /// keys above.
    #[serde(default)]
    pub watchdog: Option<Keys>,
}

/// Keys of an account at a venue.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// How requests are signed.
    pub key_kind: KeyKind,
    /// The API key's source.
    pub api_key: SecretSource,
    /// The source of the private key (PKCS#8 PEM) or of the HMAC secret.
    pub secret: SecretSource,
}

const fn default_messages_per_second() -> u32 {
    10
}
const fn default_burst() -> u32 {
    50
}
const fn default_cancel_reserve() -> u32 {
    10
}
const fn default_request_timeout_ms() -> u64 {
    2_000
}

/// How requests are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyKind {
    /// The session logs on once; orders carry no signature.
    Ed25519,
    /// Every request is signed.
    Hmac,
}

/// Where a secret comes from: exactly one of the two.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSource {
    /// A file that only its owner may read.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// An environment variable.
    #[serde(default)]
    pub env: Option<String>,
}

/// One instrument. A limit that is missing denies every order that needs it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InstrumentConfig {
    /// The name of its venue.
    pub venue: String,
    /// The venue's name for it.
    pub symbol: String,
    /// C06: what is on the restricted list.
    #[serde(default)]
    pub restriction: RestrictionName,
    /// C11: how old market data may be, in ms.
    #[serde(default)]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub data_age_max_ms: Option<u64>,
    /// C13: how far a price may be on the aggressive side of the mid, in basis points.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub collar_bps: Option<u32>,
    /// C13: how far a price may be on the passive side of the mid, in basis points.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub passive_collar_bps: Option<u32>,
    /// C13: how far past the opposite touch a market order is taken to fill, in basis points.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10_000))]
    pub slippage_max_bps: Option<u32>,
    /// C14: how far our own orders may walk the mid within the window, in basis points.
    #[serde(default = "default_drift_max_bps")]
    #[schemars(range(min = 1, max = 10_000))]
    pub drift_max_bps: u32,
    /// C14: the window, in ms.
    #[serde(default = "default_drift_window_ms")]
    #[schemars(range(min = 1, max = 3_600_000))]
    pub drift_window_ms: u64,
    /// C15: what becomes of market orders, and of stop orders that become one.
    #[serde(default)]
    pub market_orders: MarketOrdersName,
    /// C18: the largest position of all strategies together, long or short, in the base asset.
    #[serde(default)]
    pub position_max: Option<String>,
    /// C16: how much of the depth near the touch an order may be, in percent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub depth_share_max_percent: Option<u32>,
    /// C16: how much of what is traded in 24 hours an order may be, in percent, to the hundredth.
    #[serde(default = "default_volume_share_max_percent")]
    pub volume_share_max_percent: String,
    /// C21: open orders of all strategies together.
    #[serde(default = "default_open_orders_max")]
    #[schemars(range(min = 1, max = 65_536))]
    pub open_orders_max: u32,
    /// C21: what all open orders together may be worth at their prices, in the quote asset.
    #[serde(default)]
    pub resting_notional_max: Option<String>,
    /// C24: messages of orders and cancels a second; by default the venue's.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub messages_per_second: Option<u32>,
    /// C24: messages in one burst; by default the venue's.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100_000))]
    pub message_burst: Option<u32>,
}

fn default_volume_share_max_percent() -> String {
    "1".to_owned()
}
const fn default_drift_max_bps() -> u32 {
    300
}
const fn default_drift_window_ms() -> u64 {
    10_000
}
const fn default_open_orders_max() -> u32 {
    100
}

/// One running strategy. A limit that is missing denies every order that needs it.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StrategyConfig {
    /// What reports call it.
    pub name: String,
    /// Its kind in the catalogue: `gannet strategies list`.
    pub kind: String,
    /// Its instruments, as `venue:SYMBOL`.
    #[schemars(length(min = 1, max = 16))]
    pub instruments: Vec<String>,
    /// Its shard; by default the strategies are dealt out in turn.
    #[serde(default)]
    pub shard: Option<usize>,
    /// How long its bars are: 1s, 1m, 3m, 5m, 15m, 30m, 1h, 1d.
    #[serde(default = "default_bars")]
    pub bars: String,
    /// Bars of history it is warmed up with.
    #[serde(default = "default_warm_up_bars")]
    #[schemars(range(min = 0, max = 1_000))]
    pub warm_up_bars: u32,
    /// What it may work with, in the quote asset.
    pub capital: String,
    /// C20: what of its capital it may work with in each instrument, by `venue:SYMBOL`; one that is not named then has
    /// none. By default the capital in equal parts.
    #[serde(default)]
    pub allocations: BTreeMap<String, String>,
    /// C05: which sides it may trade; by default both.
    #[serde(default = "every_side")]
    #[schemars(length(min = 1, max = 2))]
    pub sides: Vec<SideName>,
    /// C05: which types of orders it may send; by default all. A stop order needs that of what it becomes, too.
    #[serde(default = "every_order_type")]
    #[schemars(length(min = 1, max = 3))]
    pub order_types: Vec<OrderTypeName>,
    /// C05: how long its orders may work; by default as they like.
    #[serde(default = "every_time_in_force")]
    #[schemars(length(min = 1, max = 2))]
    pub times_in_force: Vec<TimeInForceName>,
    /// Its parameters: `gannet strategies schema KIND`.
    #[serde(default)]
    pub params: serde_json::Value,
    /// Its limits.
    #[serde(default)]
    pub limits: StrategyLimits,
}

fn default_bars() -> String {
    "1m".to_owned()
}
const fn default_warm_up_bars() -> u32 {
    100
}
fn every_side() -> Vec<SideName> {
    vec![SideName::Buy, SideName::Sell]
}
fn every_order_type() -> Vec<OrderTypeName> {
    vec![OrderTypeName::Limit, OrderTypeName::Market, OrderTypeName::Stop]
}
fn every_time_in_force() -> Vec<TimeInForceName> {
    vec![TimeInForceName::Resting, TimeInForceName::Immediate]
}

/// Names of sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SideName {
    /// Buys.
    Buy,
    /// Sells.
    Sell,
}

/// Names of order types.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OrderTypeName {
    /// Limit orders.
    Limit,
    /// Market orders.
    Market,
    /// Stop and stop-limit orders.
    Stop,
}

/// Names of times in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TimeInForceName {
    /// Good till canceled, or for the day.
    Resting,
    /// Immediate or cancel, fill or kill.
    Immediate,
}

/// Everything that is wrong, each with its key and what is allowed.
#[derive(Debug)]
pub struct ConfigErrors(pub Vec<FieldError>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (order, error) in self.0.iter().enumerate() {
            if order > 0 {
                writeln!(f)?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// Where it cannot be read, and everything that [`Config::parse`] finds.
    pub fn load(path: &Path) -> Result<Self, ConfigErrors> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            ConfigErrors(vec![FieldError::new(path.display().to_string(), format!("cannot be read: {error}"))])
        })?;
        let mut config = Self::parse(&text)?;
        // Whoever names the file, from wherever, means the same directory.
        config.engine.data_dir = path.with_file_name("").join(&config.engine.data_dir);
        Ok(config)
    }

    /// Reads a configuration.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ConfigErrors> {
        let one = |field: &str, reason: String| ConfigErrors(vec![FieldError::new(field.to_owned(), reason)]);
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| one("", error.to_string()))?;
        let value = serde_json::to_value(&table).map_err(|error| one("", error.to_string()))?;
        let mut errors = schema::validate(&schema::of::<Self>(), &value).err().unwrap_or_default();
        errors.extend(params_errors(&value));
        // What is wrong by the schema is taken out, so that the rest can be judged in the same run.
        let mut rest = value;
        for error in &errors {
            remove(&mut rest, &error.field);
        }
        match serde_json::from_value::<Self>(rest) {
            Ok(mut config) => {
                text.clone_into(&mut config.source);
                errors.extend(config.validate());
                if errors.is_empty() { Ok(config) } else { Err(ConfigErrors(errors)) }
            }
            Err(error) if errors.is_empty() => Err(one("", error.to_string())),
            Err(_) => Err(ConfigErrors(errors)),
        }
    }

    /// Judges the values against each other: names that must be unique or must exist, decimals, URLs, sources.
    #[must_use]
    pub fn validate(&self) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let mut wrong = |field: String, reason: String| errors.push(FieldError::new(field, reason));
        for (index, operator) in self.operators.iter().enumerate() {
            let key = |name: &str| format!("operators[{index}].{name}");
            let before = || self.operators.iter().take(index);
            if operator.name.is_empty() || before().any(|other| other.name == operator.name) {
                wrong(key("name"), format!("{:?} must be a name that no other operator has", operator.name));
            }
            if operator_key(&operator.public_key).is_none() {
                wrong(key("public_key"), "must be what `gannet ctl keygen` prints: 32 bytes in base64".to_owned());
            }
            if before().any(|other| other.public_key == operator.public_key) {
                wrong(key("public_key"), "is another operator's: each needs a key of their own".to_owned());
            }
        }
        for (index, venue) in self.venues.iter().enumerate() {
            let key = |name: &str| format!("venues[{index}].{name}");
            if venue.name.is_empty() || venue.name.contains(|c: char| !(c.is_ascii_alphanumeric() || c == '-')) {
                wrong(key("name"), format!("{:?} is no name; letters, digits and dashes are allowed", venue.name));
            }
            if self.venues.iter().take(index).any(|other| other.name == venue.name) {
                wrong(key("name"), format!("{:?} is used by another venue", venue.name));
            }
            for (name, url, secure, plain) in [
                ("rest", &venue.rest, "https://", "http://"),
                ("market_stream", &venue.market_stream, "wss://", "ws://"),
                ("order_api", &venue.order_api, "wss://", "ws://"),
            ] {
                if !url.starts_with(secure) && !(url.starts_with(plain) && (venue.allow_plaintext || is_loopback(url)))
                {
                    wrong(key(name), format!("{url:?} must begin with {secure} ({plain} is for loopback only)"));
                }
            }
            let own = [("api_key", &venue.api_key), ("secret", &venue.secret)];
            let watchdogs = venue.watchdog.iter();
            let watchdogs =
                watchdogs.flat_map(|keys| [("watchdog.api_key", &keys.api_key), ("watchdog.secret", &keys.secret)]);
            for (name, source) in own.into_iter().chain(watchdogs) {
                if source.file.is_some() == source.env.is_some() {
                    wrong(key(name), "exactly one of `file` and `env` is needed".to_owned());
                }
            }
            if venue.cancel_reserve >= venue.message_burst {
                wrong(key("cancel_reserve"), format!("must be below message_burst, which is {}", venue.message_burst));
            }
            for (name, problem) in not_positive(&venue.limits.decimals()) {
                wrong(key(&format!("limits.{name}")), problem);
            }
        }
        for (index, instrument) in self.instruments.iter().enumerate() {
            let key = |name: &str| format!("instruments[{index}].{name}");
            if !self.venues.iter().any(|venue| venue.name == instrument.venue) {
                wrong(key("venue"), format!("no venue is named {:?}", instrument.venue));
            }
            let is_symbol = instrument
                .symbol
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            if !is_symbol || crate::types::Symbol::new(&instrument.symbol).is_none() {
                wrong(
                    key("symbol"),
                    format!("{:?} is no symbol; the venue writes them in upper case", instrument.symbol),
                );
            }
            let decimals = [
                ("position_max", instrument.position_max.as_ref()),
                ("resting_notional_max", instrument.resting_notional_max.as_ref()),
            ];
            for (name, problem) in not_positive(&decimals) {
                wrong(key(name), problem);
            }
            if instrument.volume_share_max_bps().is_none() {
                let text = &instrument.volume_share_max_percent;
                let problem = format!("{text:?} must be from \"0.01\" to \"100\", in hundredths, such as \"0.5\"");
                wrong(key("volume_share_max_percent"), problem);
            }
            if instrument.messages_per_second.is_some() != instrument.message_burst.is_some() {
                wrong(key("message_burst"), "goes together with messages_per_second".to_owned());
            }
            let is_same =
                |other: &InstrumentConfig| (&other.venue, &other.symbol) == (&instrument.venue, &instrument.symbol);
            if self.instruments.iter().take(index).any(is_same) {
                wrong(key("symbol"), format!("{}:{} is listed twice", instrument.venue, instrument.symbol));
            }
        }
        for (index, strategy) in self.strategies.iter().enumerate() {
            let key = |name: &str| format!("strategies[{index}].{name}");
            if strategy.name.is_empty() || self.strategies.iter().take(index).any(|other| other.name == strategy.name) {
                wrong(key("name"), format!("{:?} must be a name that no other strategy has", strategy.name));
            }
            for (order, name) in strategy.instruments.iter().enumerate() {
                if self.instrument_index(name).is_none() {
                    let known: Vec<String> = self.instruments.iter().map(InstrumentConfig::name).collect();
                    wrong(
                        key(&format!("instruments[{order}]")),
                        format!("no instrument is named {name:?}; there are {}", known.join(", ")),
                    );
                }
            }
            if strategy.shard.is_some_and(|shard| shard >= self.engine.shards) {
                wrong(key("shard"), format!("must be below engine.shards, which is {}", self.engine.shards));
            }
            if bar_interval_ns(&strategy.bars).is_none() {
                wrong(
                    key("bars"),
                    format!("{:?} is no interval; 1s, 1m, 3m, 5m, 15m, 30m, 1h, 1d are allowed", strategy.bars),
                );
            }
            let limits = &strategy.limits;
            for (name, problem) in not_positive(&[("capital", Some(&strategy.capital))]) {
                wrong(key(name), problem);
            }
            for (name, problem) in not_positive(&limits.decimals()) {
                wrong(key(&format!("limits.{name}")), problem);
            }
            for (name, problem) in strategy.allocation_errors() {
                wrong(key(&format!("allocations.{name}")), problem);
            }
            if limits.order_to_trade_alert > limits.order_to_trade_max {
                let most = limits.order_to_trade_max;
                wrong(
                    key("limits.order_to_trade_alert"),
                    format!("must be at most order_to_trade_max, which is {most}"),
                );
            }
            if limits.messages_per_second.is_some() != limits.message_burst.is_some() {
                wrong(key("limits"), "messages_per_second and message_burst go together".to_owned());
            }
        }
        if self.engine.kill_after_ms < self.engine.stall_ms {
            wrong("engine.kill_after_ms".to_owned(), format!("must be at least stall_ms, {}", self.engine.stall_ms));
        }
        if self.engine.layout == LayoutName::Explicit && self.engine.threads.is_empty() {
            wrong("engine.threads".to_owned(), "the explicit layout needs them".to_owned());
        }
        if self.engine.layout != LayoutName::Explicit && !self.engine.threads.is_empty() {
            wrong("engine.threads".to_owned(), "are for layout = \"explicit\" only".to_owned());
        }
        errors
    }

    /// The limits that are missing, each of which denies every order that needs it.
    #[must_use]
    pub fn missing_limits(&self) -> Vec<FieldError> {
        let mut missing = Vec::new();
        let mut look = |key: &str, is_there: &[(&str, bool)]| {
            for (name, _) in is_there.iter().filter(|(_, is_there)| !is_there) {
                let reason = "is missing: every order that needs it is denied (LIMIT_NOT_CONFIGURED)";
                missing.push(FieldError::new(format!("{key}.{name}"), reason.to_owned()));
            }
        };
        for (index, venue) in self.venues.iter().enumerate() {
            look(
                &format!("venues[{index}].limits"),
                &venue.limits.decimals().map(|(name, text)| (name, text.is_some())),
            );
        }
        for (index, instrument) in self.instruments.iter().enumerate() {
            let is_there = [
                ("data_age_max_ms", instrument.data_age_max_ms.is_some()),
                ("collar_bps", instrument.collar_bps.is_some()),
                ("passive_collar_bps", instrument.passive_collar_bps.is_some()),
                ("slippage_max_bps", instrument.slippage_max_bps.is_some()),
                ("position_max", instrument.position_max.is_some()),
                ("depth_share_max_percent", instrument.depth_share_max_percent.is_some()),
                ("resting_notional_max", instrument.resting_notional_max.is_some()),
            ];
            look(&format!("instruments[{index}]"), &is_there);
        }
        for (index, strategy) in self.strategies.iter().enumerate() {
            let key = format!("strategies[{index}].limits");
            look(&key, &strategy.limits.decimals().map(|(name, text)| (name, text.is_some())));
            look(&key, &[("messages_per_second", strategy.limits.messages_per_second.is_some())]);
        }
        missing
    }

    /// The place in `instruments` of `venue:SYMBOL`.
    #[must_use]
    pub fn instrument_index(&self, name: &str) -> Option<usize> {
        self.instruments.iter().position(|instrument| instrument.name() == name)
    }

    /// The layout in the thread plan's own words.
    #[must_use]
    pub fn layout(&self) -> Layout {
        let threads = &self.engine.threads;
        match self.engine.layout {
            LayoutName::Auto => Layout::Auto,
            LayoutName::Fused => Layout::Fused,
            LayoutName::Split => Layout::Split,
            LayoutName::Explicit => Layout::Explicit(
                threads.iter().map(|thread| ThreadSpec { stages: thread.stages.clone(), core: thread.core }).collect(),
            ),
        }
    }

    /// The idle strategy in the loop's own words.
    #[must_use]
    pub const fn idle(&self) -> IdleStrategy {
        match self.engine.idle {
            IdleName::Spin => IdleStrategy::Spin,
            IdleName::SpinHint => IdleStrategy::SpinHint,
            IdleName::Yield => IdleStrategy::Yield,
            IdleName::Park => IdleStrategy::Park,
        }
    }
}

impl InstrumentConfig {
    /// [`InstrumentConfig::volume_share_max_percent`] in basis points, from 1 to 10,000; `None` where it is nothing of that.
    #[must_use]
    pub fn volume_share_max_bps(&self) -> Option<u32> {
        let bps = parse_fixed(self.volume_share_max_percent.as_bytes(), 2).ok()?;
        u32::try_from(bps).ok().filter(|bps| (1..=10_000).contains(bps))
    }

    /// `venue:SYMBOL`.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.venue, self.symbol)
    }
}

impl StrategyConfig {
    /// What is wrong with the parts of its capital, each with its instrument.
    fn allocation_errors(&self) -> Vec<(String, String)> {
        let mut errors = Vec::new();
        let mut sum = Decimal::ZERO;
        for (name, amount) in &self.allocations {
            if !self.instruments.contains(name) {
                errors.push((
                    name.clone(),
                    format!("is not of this strategy; there are {}", self.instruments.join(", ")),
                ));
            }
            match not_a_positive_decimal(amount) {
                Some(problem) => errors.push((name.clone(), problem)),
                None => sum = sum.saturating_add(amount.parse().unwrap_or_default()),
            }
            if self.capital.parse().is_ok_and(|capital: Decimal| sum > capital) {
                errors.push((
                    name.clone(),
                    format!("together with those before it, is over the capital of {}", self.capital),
                ));
            }
        }
        errors
    }
}

/// Nanoseconds of a bar's name; `None` for intervals that the venues' klines do not have.
#[must_use]
pub fn bar_interval_ns(name: &str) -> Option<u64> {
    let seconds = match name {
        "1s" => 1,
        "1m" => 60,
        "3m" => 180,
        "5m" => 300,
        "15m" => 900,
        "30m" => 1_800,
        "1h" => 3_600,
        "1d" => 86_400,
        _ => return None,
    };
    Some(seconds * 1_000_000_000)
}

/// Whether a URL's host is this machine.
#[must_use]
pub fn is_loopback(url: &str) -> bool {
    let host = url.split("://").nth(1).unwrap_or(url);
    let host = host.split('/').next().unwrap_or(host);
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.split(']').next())
        .unwrap_or_else(|| host.split(':').next().unwrap_or(host));
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// An operator's public key as configured: base64 of 32 bytes.
#[must_use]
pub fn operator_key(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok().filter(|key| key.len() == 32)
}

/// Takes the value at `path` (`a.b[0].c`) out, if it is there. Items of lists become null, so that others keep their
/// places.
fn remove(value: &mut serde_json::Value, path: &str) {
    let pointer = path.replace(['.', '['], "/").replace(']', "");
    let pointer = format!("/{pointer}");
    let Some((parent, key)) = pointer.rsplit_once('/') else { return };
    match value.pointer_mut(parent) {
        Some(serde_json::Value::Object(fields)) => {
            fields.remove(key);
        }
        Some(serde_json::Value::Array(items)) => {
            if let Some(item) = key.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                *item = serde_json::Value::Null;
            }
        }
        _ => {}
    }
}

/// What is wrong with texts that must be positive decimals where they are given, each with its key.
fn not_positive<'a>(texts: &[(&'a str, Option<&String>)]) -> Vec<(&'a str, String)> {
    texts.iter().filter_map(|(name, text)| Some((*name, not_a_positive_decimal((*text)?)?))).collect()
}

/// What is wrong with a text that must be a positive decimal.
fn not_a_positive_decimal(text: &str) -> Option<String> {
    let is_fine = text.parse::<Decimal>().is_ok_and(|value| value > Decimal::ZERO);
    (!is_fine).then(|| format!("{text:?} must be a positive decimal in quotes, such as \"0.5\""))
}

/// Judges each strategy's parameters against its own schema.
fn params_errors(value: &serde_json::Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let strategies = value.get("strategies").and_then(serde_json::Value::as_array);
    for (index, strategy) in strategies.into_iter().flatten().enumerate() {
        let Some(kind) = strategy.get("kind").and_then(serde_json::Value::as_str) else { continue };
        let Some(entry) = registry::find(kind) else {
            let known: Vec<&str> = registry::registry().iter().map(|entry| entry.metadata.kind).collect();
            let message = format!("no strategy is of kind {kind:?}; there are {}", known.join(", "));
            errors.push(FieldError::new(format!("strategies[{index}].kind"), message));
            continue;
        };
        let params = strategy.get("params").unwrap_or(&serde_json::Value::Null);
        for FieldError { field, message } in entry.validate(params).err().unwrap_or_default() {
            let dot = if field.is_empty() { "" } else { "." };
            errors.push(FieldError::new(format!("strategies[{index}].params{dot}{field}"), message));
        }
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_valid() {
        let config = Config::parse(EXAMPLE).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(!config.strategies.is_empty());
    }

    #[test]
    fn the_readme_shows_the_example() {
        assert!(include_str!("../README.md").contains(EXAMPLE));
    }

    #[test]
    fn all_mistakes_are_told_at_once_each_with_its_key() {
        let text = EXAMPLE
            .replace("layout = \"auto\"", "layout = \"fast\"")
            .replace("shutdown_timeout_ms = 5000", "shutdown_timeout_ms = -1\nshutdown_tiemout_ms = 1")
            .replace("\ncollar_bps = 50", "\ncollar_bps = 0")
            .replace("[\"binance:BTCUSDT\"]", "[\"binance:DOGEUSDT\"]");
        let text = text
            .replace("kind = \"MarketMaker\"", "kind = \"MarketMuker\"")
            .replace("warm_up_bars = 60", "warm_up_bars = \"many\"");
        let errors = Config::parse(&text).expect_err("six mistakes").to_string();
        for key in [
            "engine.layout",
            "engine.shutdown_timeout_ms",
            "shutdown_tiemout_ms",
            "collar_bps",
            "MarketMuker",
            "warm_up_bars",
        ] {
            assert!(errors.contains(key), "{key} in\n{errors}");
        }
    }

    #[test]
    fn values_are_judged_against_each_other() {
        let text = EXAMPLE
            .replace("[\"binance:BTCUSDT\"]", "[\"binance:DOGEUSDT\"]")
            .replace("wss://stream.testnet", "ws://stream.testnet")
            .replace("position_max = \"0.05\"", "position_max = \"-1\"");
        let errors = Config::parse(&text).expect_err("three mistakes").to_string();
        for key in ["DOGEUSDT", "venues[0].market_stream", "limits.position_max"] {
            assert!(errors.contains(key), "{key} in\n{errors}");
        }
    }

    #[test]
    fn limits_that_are_missing_are_named_and_bad_ones_told() {
        let example = Config::parse(EXAMPLE).unwrap_or_else(|errors| panic!("{errors}"));
        assert!(example.missing_limits().is_empty());
        let without = |key: &str| {
            let lines = EXAMPLE.lines().filter(|line| !line.starts_with(&format!("{key} =")));
            let config =
                Config::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap_or_else(|errors| panic!("{errors}"));
            config.missing_limits().iter().map(|error| error.field.clone()).collect::<Vec<_>>()
        };
        for (key, field) in [
            ("gross_max", "venues[0].limits.gross_max"),
            ("resting_notional_max", "instruments[0].resting_notional_max"),
            ("daily_loss_max", "strategies[0].limits.daily_loss_max"),
        ] {
            assert_eq!(without(key), [field]);
        }
        assert!(without("drift_max_bps").is_empty(), "has a default");
        let text = EXAMPLE
            .replace("gross_max = \"20000\"", "gross_max = \"-1\"")
            .replace(
                "# allocations = { \"binance:BTCUSDT\" = \"10000\" }",
                "allocations = { \"binance:BTCUSDT\" = \"10001\" }",
            )
            .replace("order_to_trade_alert = 250", "order_to_trade_alert = 501")
            .replace("drawdown_max = \"300\"", "drawdown_max = \"much\"");
        let errors = Config::parse(&text).expect_err("four mistakes").to_string();
        for key in [
            "venues[0].limits.gross_max",
            "strategies[0].allocations.binance:BTCUSDT",
            "strategies[0].limits.order_to_trade_alert",
            "strategies[0].limits.drawdown_max",
        ] {
            assert!(errors.contains(key), "{key} in\n{errors}");
        }
        let text = EXAMPLE
            .replace("market_orders = \"protect\"", "market_orders = \"sometimes\"")
            .replace("sides = [\"buy\", \"sell\"]", "sides = []")
            .replace("duplicates_max = 3 ", "duplicates_max = 0 ");
        let errors = Config::parse(&text).expect_err("three mistakes").to_string();
        for words in ["instruments[0].market_orders", "protect", "strategies[0].sides", "limits.duplicates_max"] {
            assert!(errors.contains(words), "{words} in\n{errors}");
        }
    }

    #[test]
    fn a_share_of_the_volume_is_in_hundredths_of_a_percent() {
        let with = |line: &str| Config::parse(&EXAMPLE.replace("volume_share_max_percent = \"1\"", line));
        for (line, bps) in [
            ("# none: the default", 100),
            ("volume_share_max_percent = \"0.01\"", 1),
            ("volume_share_max_percent = \"0.5\"", 50),
            ("volume_share_max_percent = \"100\"", 10_000),
        ] {
            let config = with(line).unwrap_or_else(|errors| panic!("{line}: {errors}"));
            assert_eq!(config.instruments[0].volume_share_max_bps(), Some(bps), "{line}");
            assert!(config.missing_limits().is_empty());
        }
        for bad in ["\"0\"", "\"-1\"", "\"0.001\"", "\"100.01\"", "\"much\"", "\"\"", "1"] {
            let errors = with(&format!("volume_share_max_percent = {bad}")).expect_err(bad).to_string();
            assert!(errors.contains("instruments[0].volume_share_max_percent"), "{bad}: {errors}");
        }
    }

    #[test]
    fn loopback_is_this_machine_only() {
        for url in ["ws://127.0.0.1:9/ws", "http://localhost", "ws://[::1]:8080/x"] {
            assert!(is_loopback(url), "{url}");
        }
        for url in ["ws://127.0.0.1.example.org/ws", "http://localhost.example.org", "ws://10.0.0.1"] {
            assert!(!is_loopback(url), "{url}");
        }
    }
}
