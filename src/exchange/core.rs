//! The exchange's own truth: symbols, accounts, orders, fills, and who is told of them.

use super::auth::Key;
use super::bars::Bars;
use super::book::PublicBook;
use super::config::{ExchangeConfig, ExchangeError, Filters};
use super::error::ApiError;
use super::faults::{FaultCounts, Faults};
use super::hub::Hub;
use super::limits::Limits;
use super::orders::{FillRecord, OrderRecord};
use super::recording::{Level, Recording};
use super::replay::Replay;
use super::text::decimal;
use super::walk::Walk;
use crate::matching::{AccountId, Ledger, Market, UNIT};
use crate::types::{AssetId, Quantity};
use axum::extract::ws::Utf8Bytes;
use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use tokio::sync::mpsc;

/// How many public trades a symbol keeps for queries.
pub(super) const TRADES_KEPT: usize = 1_000;
/// How many orders the exchange remembers; the one after is refused.
pub(super) const ORDERS_MAX: usize = 2_000_000;
/// How many messages wait for a WebSocket API session before it is cut off.
pub(super) const SESSION_QUEUE: usize = 4_096;

/// A symbol as it stands.
pub(super) struct SymbolState {
    pub name: String,
    pub base: AssetId,
    pub quote: AssetId,
    pub filters: Filters,
    pub market: Market,
    pub book: PublicBook,
    pub last_update_id: u64,
    /// Update id, bid and ask of the newest quote.
    pub top: (u64, Level, Level),
    pub trades: VecDeque<PublicTrade>,
    pub aggregates: VecDeque<PublicTrade>,
    pub next_aggregate: u64,
    pub bars: Bars,
    /// What its recording has of trades.
    pub recorded_volume: i64,
    /// Depth changes since the last event of the slow stream, and the id of the first.
    pub slow_depth: Option<(u64, PublicChanges)>,
}

/// The newest quantity of each changed price, bids and asks.
pub(super) type PublicChanges = (BTreeMap<i64, i64>, BTreeMap<i64, i64>);

/// A public trade, or an aggregate of some.
#[derive(Clone, Copy, Debug)]
pub(super) struct PublicTrade {
    pub id: u64,
    pub first_id: u64,
    pub last_id: u64,
    pub price: i64,
    pub quantity: i64,
    pub at_ms: u64,
    pub is_buyer_maker: bool,
}

pub(super) struct AccountState {
    pub api_key: String,
    pub key: Key,
    pub updated_ms: u64,
    /// Its open orders, oldest first.
    pub open: Vec<u64>,
}

/// Somebody who is told what happens to an account.
pub(super) struct UserListener {
    pub session: u64,
    pub subscription_id: u64,
    pub account: AccountId,
    pub queue: mpsc::Sender<Utf8Bytes>,
}

/// What was decided over a session from outside; its [`Link`](super::link::Link) obeys.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SessionOrders {
    /// From when on its connection is broken; zero for never.
    pub cut_at_ns: u64,
    /// Until when it stands still.
    pub stalled_until_ns: u64,
}

/// What happened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Recorded events played.
    pub market_events: u64,
    /// Messages queued for market-data clients.
    pub market_messages: u64,
    /// How often the recording started again.
    pub laps: u64,
    /// Orders accepted.
    pub orders: u64,
    /// Requests refused.
    pub refused: u64,
    /// Fills of orders.
    pub fills: u64,
    /// Clients cut off because they did not read.
    pub slow_clients: u64,
    /// Faults that were injected.
    pub faults: FaultCounts,
}

pub(super) struct Core {
    pub symbols: Vec<SymbolState>,
    pub assets: Vec<String>,
    pub accounts: Vec<AccountState>,
    pub ledger: Ledger,
    /// By asset, what transfers came to.
    pub transferred: Vec<i64>,
    pub orders: Vec<OrderRecord>,
    pub fills: Vec<FillRecord>,
    pub executions: u64,
    pub hub: Hub,
    pub users: Vec<UserListener>,
    /// The open sessions of the WebSocket API, by number, and what was decided over them.
    pub sessions: BTreeMap<u64, SessionOrders>,
    pub replay: Replay,
    /// The market, where it is not recorded.
    pub walk: Option<Walk>,
    pub faults: Faults,
    /// The instant of the input that is worked on.
    pub now_ns: u64,
    pub limits: Limits,
    pub fees: crate::matching::Fees,
    pub summary: Summary,
    pub next_session: u64,
}

impl Core {
    /// Loads the recordings and opens the accounts, with the book as it stands at the starting point.
    pub(super) fn new(config: &ExchangeConfig, now_ns: u64) -> Result<Self, ExchangeError> {
        let mut assets = Vec::new();
        let mut symbols: Vec<SymbolState> = Vec::new();
        let mut recordings = Vec::new();
        for symbol in &config.symbols {
            let recording = match config.walk {
                None => Recording::load(&symbol.recordings)?,
                Some(_) => Recording::default(),
            };
            let name = if symbol.symbol.is_empty() { recording.symbol.clone() } else { symbol.symbol.to_uppercase() };
            if symbols.iter().any(|known| known.name == name) {
                return Err(ExchangeError::Config(format!("two recordings are served as {name}: rename one of them")));
            }
            let (base, quote) = pair(&name, &symbol.base, &symbol.quote)?;
            let filters = symbol
                .filters
                .unwrap_or_else(|| Filters::new(finest(recording.price_places), finest(recording.quantity_places)));
            if filters.tick <= 0 || filters.lot <= 0 {
                return Err(ExchangeError::Config(format!("{name}: tick and lot must be positive")));
            }
            let (base, quote) = (asset_id(&mut assets, &base)?, asset_id(&mut assets, &quote)?);
            symbols.push(SymbolState {
                market: Market::new(base, quote, Quantity(filters.lot), config.fees),
                name,
                base,
                quote,
                filters,
                book: PublicBook::default(),
                last_update_id: 0,
                top: (0, (0, 0), (0, 0)),
                trades: VecDeque::new(),
                aggregates: VecDeque::new(),
                next_aggregate: 1,
                bars: Bars::default(),
                recorded_volume: recording.volume(),
                slow_depth: None,
            });
            if config.walk.is_none() {
                recordings.push(recording);
            }
        }
        for (asset, _) in config.accounts.iter().flat_map(|account| &account.balances) {
            asset_id(&mut assets, asset)?;
        }
        let mut ledger = Ledger::new(config.accounts.len(), assets.len());
        let mut accounts: Vec<AccountState> = Vec::new();
        for (index, account) in config.accounts.iter().enumerate() {
            if accounts.iter().any(|known| known.api_key == account.api_key) {
                return Err(ExchangeError::Config(format!("two accounts have the API key `{}`", account.api_key)));
            }
            let id =
                u16::try_from(index).map(AccountId).map_err(|_| ExchangeError::Config("too many accounts".into()))?;
            for (asset, amount) in &account.balances {
                let asset_id = asset_id(&mut assets, asset)?;
                if *amount < 0 || !ledger.deposit(id, asset_id, *amount) {
                    return Err(ExchangeError::Config(format!(
                        "account {}: the amount of {asset} does not fit",
                        account.name
                    )));
                }
            }
            let (api_key, key) = (account.api_key.clone(), account.key.clone());
            accounts.push(AccountState { api_key, key, updated_ms: now_ns / 1_000_000, open: Vec::new() });
        }
        let replay = Replay::new(recordings, config, now_ns)?;
        let mut core = Self {
            symbols,
            transferred: vec![0; assets.len()],
            assets,
            accounts,
            ledger,
            orders: Vec::new(),
            fills: Vec::new(),
            executions: 0,
            hub: Hub::default(),
            users: Vec::new(),
            sessions: BTreeMap::new(),
            replay,
            walk: config.walk.map(|walk| Walk::new(walk, config.symbols.len(), now_ns)),
            faults: Faults::new(&config.faults, now_ns),
            now_ns,
            limits: Limits::new(config.weight_limit, config.order_limit, config.accounts.len()),
            fees: config.fees,
            summary: Summary::default(),
            next_session: 0,
        };
        core.play_history(now_ns);
        core.open_walk(now_ns);
        Ok(core)
    }

    pub(super) fn summary(&self) -> Summary {
        Summary {
            slow_clients: self.hub.slow_clients + self.summary.slow_clients,
            market_messages: self.hub.messages,
            fills: self.fills.len() as u64,
            orders: self.orders.len() as u64,
            faults: self.faults.counts,
            ..self.summary
        }
    }

    pub(super) fn symbol(&self, name: &str) -> Result<usize, ApiError> {
        self.symbols.iter().position(|symbol| symbol.name == name).ok_or_else(ApiError::bad_symbol)
    }

    pub(super) fn asset(&self, asset: AssetId) -> &str {
        self.assets.get(asset.index()).map_or("", String::as_str)
    }

    pub(super) fn account_of_key(&self, api_key: &str) -> Result<AccountId, ApiError> {
        let index = self.accounts.iter().position(|account| account.api_key == api_key);
        index.and_then(|index| u16::try_from(index).ok()).map(AccountId).ok_or_else(ApiError::unknown_api_key)
    }

    /// Tells the listeners of an account. One whose queue is full is cut off: it would miss a report.
    pub(super) fn tell(&mut self, account: AccountId, event: &str) {
        let before = self.users.len();
        self.users.retain(|listener| {
            let is_other = listener.account != account;
            is_other
                || listener
                    .queue
                    .try_send(Utf8Bytes::from(format!(
                        "{{\"subscriptionId\":{},\"event\":{event}}}",
                        listener.subscription_id
                    )))
                    .is_ok()
        });
        self.summary.slow_clients += (before - self.users.len()) as u64;
    }

    /// Tells an account what it has of the two assets of a symbol.
    pub(super) fn tell_balances(&mut self, account: AccountId, symbol: usize, at_ms: u64) {
        let (base, quote) = (self.symbols[symbol].base, self.symbols[symbol].quote);
        let mut event = format!("{{\"e\":\"outboundAccountPosition\",\"E\":{at_ms},\"u\":{at_ms},\"B\":[");
        for (index, asset) in [base, quote].into_iter().enumerate() {
            let balance = self.ledger.balance(account, asset);
            let _ = write!(
                event,
                "{}{{\"a\":\"{}\",\"f\":\"{}\",\"l\":\"{}\"}}",
                if index > 0 { "," } else { "" },
                self.asset(asset),
                decimal(balance.free),
                decimal(balance.locked)
            );
        }
        event.push_str("]}");
        self.accounts[usize::from(account.0)].updated_ms = at_ms;
        self.tell(account, &event);
    }
}

/// One unit of the last of so many decimal places.
fn finest(places: u8) -> i64 {
    UNIT / crate::types::fixed::pow10(places).unwrap_or(1).clamp(1, UNIT)
}

fn asset_id(assets: &mut Vec<String>, name: &str) -> Result<AssetId, ExchangeError> {
    let index = assets.iter().position(|known| known == name).unwrap_or_else(|| {
        assets.push(name.to_owned());
        assets.len() - 1
    });
    u16::try_from(index).map(AssetId).map_err(|_| ExchangeError::Config("too many assets".to_owned()))
}

/// Base and quote asset, by the symbol where they are not given.
fn pair(symbol: &str, base: &str, quote: &str) -> Result<(String, String), ExchangeError> {
    const QUOTES: [&str; 9] = ["USDT", "FDUSD", "USDC", "TUSD", "BUSD", "BTC", "ETH", "BNB", "EUR"];
    let known = if quote.is_empty() { QUOTES.into_iter().find(|known| symbol.ends_with(known)) } else { Some(quote) };
    let quote = known
        .ok_or_else(|| ExchangeError::Config(format!("{symbol}: its quote asset is none of {}", QUOTES.join(", "))))?;
    let base = if base.is_empty() { symbol.strip_suffix(quote).unwrap_or(symbol) } else { base };
    Ok((base.to_owned(), quote.to_owned()))
}
