//! What the exchange serves, to whom, and how fast.

use super::auth::{DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Key, KeyError};
use super::faults::FaultConfig;
use super::recording::RecordingError;
use super::walk::WalkConfig;
use crate::matching::{Fees, UNIT};
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// How fast recorded time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many thousandths of the recorded pace: 1,000 is as recorded, 10,000 ten times as fast.
    Thousandths(u32),
    /// As fast as the slowest market-data client reads. Every event then carries the instant it is sent.
    Max,
}

impl Speed {
    /// The recorded pace.
    pub const RECORDED: Self = Self::Thousandths(1_000);
}

/// Where a recording is.
#[derive(Clone, Debug)]
pub enum RecordingSource {
    /// A file of lines `<receive ns> <frame>`: plain, `.gz` or `.zst`.
    File(PathBuf),
    /// The same, compressed with zstd, in memory.
    Embedded(&'static [u8]),
    /// The same, uncompressed.
    Text(String),
}

/// The exchange's rules for orders in a symbol; prices, quantities and amounts at 8 decimal places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filters {
    /// PRICE_FILTER: prices are multiples of this, from one of it.
    pub tick: i64,
    /// PRICE_FILTER: the highest price.
    pub price_max: i64,
    /// LOT_SIZE: quantities are multiples of this, from one of it.
    pub lot: i64,
    /// LOT_SIZE: the largest quantity of a limit order.
    pub quantity_max: i64,
    /// MARKET_LOT_SIZE: the largest quantity of a market order.
    pub market_quantity_max: i64,
    /// NOTIONAL: the smallest price times quantity.
    pub notional_min: i64,
    /// NOTIONAL: the largest price times quantity.
    pub notional_max: i64,
    /// MAX_NUM_ORDERS: how many orders an account may have open.
    pub open_orders_max: usize,
}

impl Filters {
    /// Binance's usual rules with this tick and lot.
    #[must_use]
    pub const fn new(tick: i64, lot: i64) -> Self {
        Self {
            tick,
            price_max: 1_000_000 * UNIT,
            lot,
            quantity_max: 9_000 * UNIT,
            market_quantity_max: 100 * UNIT,
            notional_min: 5 * UNIT,
            notional_max: 9_000_000 * UNIT,
            open_orders_max: 200,
        }
    }
}

/// One symbol and the recordings that it is played from.
#[derive(Clone, Debug)]
pub struct SymbolConfig {
    /// The name it is served under; empty for the recording's own.
    pub symbol: String,
    /// The base asset; empty for what is left of the symbol without its quote asset.
    pub base: String,
    /// The quote asset; empty for the known one that the symbol ends in.
    pub quote: String,
    /// The rules; `None` for tick and lot as fine as the recording's own prices and trades.
    pub filters: Option<Filters>,
    /// Recordings of one symbol, each continuing the one before.
    pub recordings: Vec<RecordingSource>,
}

/// One account.
#[derive(Clone, Debug)]
pub struct AccountConfig {
    /// What it is called in messages of this program; the protocol has no names.
    pub name: String,
    /// The API key that requests carry.
    pub api_key: String,
    /// What signatures are checked with.
    pub key: Key,
    /// Asset and amount, at 8 decimal places.
    pub balances: Vec<(String, i64)>,
}

/// A whole exchange.
#[derive(Clone, Debug)]
pub struct ExchangeConfig {
    /// Where it listens: loopback only, as keys may be known to all. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// What it trades.
    pub symbols: Vec<SymbolConfig>,
    /// How fast it plays.
    pub speed: Speed,
    /// Where in the recording it starts, in recorded time; what is before is served as history.
    pub start_offset: Duration,
    /// Who trades.
    pub accounts: Vec<AccountConfig>,
    /// What a fill costs.
    pub fees: Fees,
    /// How long an order or cancel takes from its arrival to the book. The server's timer has a resolution of 1 ms.
    pub latency: Duration,
    /// Request weight a minute, all clients together (they share the loopback address).
    pub weight_limit: u32,
    /// New orders of an account in 10 seconds. Binance allows 100; a local run at many times the recorded pace needs
    /// more.
    pub order_limit: u32,
    /// A market by chance in place of the recorded one; then symbols need filters and no recordings.
    pub walk: Option<WalkConfig>,
    /// What goes wrong.
    pub faults: FaultConfig,
}

impl ExchangeConfig {
    /// The two shipped recordings (`BTCUSDT`, and the USD-M session as `BTCFUSDT`) from their 60th second, at recorded
    /// pace on a free port, with two accounts of 1,000,000 USDT, 10 BTC and 10 BTCF: key `demo` with the HMAC secret
    /// `demo`, and [`DEMO_ED25519_API_KEY`].
    ///
    /// # Errors
    /// Never with the key that ships; a wrong one is told.
    pub fn shipped() -> Result<Self, KeyError> {
        let symbol = |symbol: &str, base: &str, filters, bytes| SymbolConfig {
            symbol: symbol.to_owned(),
            base: base.to_owned(),
            quote: "USDT".to_owned(),
            filters: Some(filters),
            recordings: vec![RecordingSource::Embedded(bytes)],
        };
        let account = |name: &str, api_key: &str, key| AccountConfig {
            name: name.to_owned(),
            api_key: api_key.to_owned(),
            key,
            balances: vec![
                ("USDT".to_owned(), 1_000_000 * UNIT),
                ("BTC".to_owned(), 10 * UNIT),
                ("BTCF".to_owned(), 10 * UNIT),
            ],
        };
        Ok(Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            symbols: vec![
                symbol("BTCUSDT", "BTC", Filters::new(UNIT / 100, UNIT / 100_000), super::SPOT_BTCUSDT),
                symbol("BTCFUSDT", "BTCF", Filters::new(UNIT / 10, UNIT / 1_000), super::USDM_BTCUSDT),
            ],
            speed: Speed::RECORDED,
            start_offset: Duration::from_secs(60),
            accounts: vec![
                account("demo", "demo", Key::Hmac("demo".to_owned())),
                account("demo-ed25519", DEMO_ED25519_API_KEY, Key::ed25519_of_private_pem(DEMO_ED25519_PRIVATE_KEY)?),
            ],
            fees: Fees { maker_ppm: 1_000, taker_ppm: 1_000 },
            latency: Duration::ZERO,
            weight_limit: 6_000,
            order_limit: 1_000,
            walk: None,
            faults: FaultConfig::CALM,
        })
    }
}

/// Why an exchange cannot start.
#[derive(Debug)]
pub enum ExchangeError {
    /// The address is not a loopback one.
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    Listen(SocketAddr, std::io::Error),
    /// A recording cannot be played.
    Recording(RecordingError),
    /// A key cannot be read.
    Key(KeyError),
    /// The configuration contradicts itself; the text says how.
    Config(String),
    /// The system gave no thread or no event loop.
    System(std::io::Error),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLoopback(address) => write!(
                f,
                "cannot listen on {address}: the simulated exchange has keys that everybody knows and serves loopback \
                 addresses only, for example 127.0.0.1:9000"
            ),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Recording(error) => error.fmt(f),
            Self::Key(error) => error.fmt(f),
            Self::Config(text) => f.write_str(text),
            Self::System(error) => write!(f, "cannot start the exchange's thread: {error}"),
        }
    }
}

impl std::error::Error for ExchangeError {}

impl From<RecordingError> for ExchangeError {
    fn from(error: RecordingError) -> Self {
        Self::Recording(error)
    }
}

impl From<KeyError> for ExchangeError {
    fn from(error: KeyError) -> Self {
        Self::Key(error)
    }
}
