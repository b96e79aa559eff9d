//! The exchange without sockets, threads and wall clock: for simulations, which decide what time it is.
//!
//! The same core, sessions and faults as behind the server. A session takes the WebSocket API's requests as text and gives
//! its answers and events as text; who runs it frames them. Nothing moves but by a call, and the same calls have the same
//! outcome.

use super::api::{Operation, Proof};
use super::config::{ExchangeConfig, ExchangeError};
use super::core::{Core, Summary};
use super::error::ApiError;
use super::link::Link;
use super::orders::Status;
use super::request::Params;
use crate::matching::{AccountId, Balance};
use crate::types::{AssetId, Side};
use axum::extract::ws::Utf8Bytes;
use std::collections::BTreeMap;

/// Names one session of an [`Offline`] exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionId(u64);

/// An order as the exchange itself knows it; prices and quantities at 8 decimal places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderTruth {
    /// The exchange's number of it.
    pub order_id: u64,
    /// The client's id of it.
    pub client_order_id: String,
    /// In what.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// The limit price; zero where it has none.
    pub price: i64,
    /// The stop price; zero where it has none.
    pub stop_price: i64,
    /// How much was wanted.
    pub quantity: i64,
    /// How much of it is filled.
    pub executed: i64,
    /// Whether it may still be filled.
    pub is_open: bool,
}

/// A fill as the exchange itself knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FillTruth {
    /// The exchange's number of it.
    pub trade_id: u64,
    /// Of which order.
    pub order_id: u64,
    /// In what.
    pub symbol: String,
    /// Buy or sell.
    pub side: Side,
    /// At what price, at 8 decimal places.
    pub price: i64,
    /// How much, at 8 decimal places.
    pub quantity: i64,
}

/// An exchange that stands still between calls.
pub struct Offline {
    core: Core,
    links: BTreeMap<SessionId, Link>,
    latency_ns: u64,
    now_ns: u64,
    next_session: u64,
}

impl Offline {
    /// An exchange at this instant, in ns since the epoch. `config.listen` means nothing here.
    ///
    /// # Errors
    /// As [`ExchangeError`] says.
    pub fn new(config: &ExchangeConfig, now_ns: u64) -> Result<Self, ExchangeError> {
        Ok(Self {
            core: Core::new(config, now_ns)?,
            links: BTreeMap::new(),
            latency_ns: u64::try_from(config.latency.as_nanos()).unwrap_or(u64::MAX),
            now_ns,
            next_session: 0,
        })
    }

    /// Lets time pass up to `now_ns`: plays the market, lets faults happen, carries out requests that are due. Best in
    /// small steps, as everything that happens within one is of its end.
    pub fn advance(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        while self.core.advance(self.now_ns) == super::replay::Due::Now {}
        for link in self.links.values_mut() {
            link.advance(&mut self.core, self.now_ns);
        }
    }

    /// Ends all faults, and cancels what was placed by hand. Messages that are late still arrive.
    pub fn end_faults(&mut self) {
        self.core.end_faults(self.now_ns);
    }

    /// A new connection.
    ///
    /// # Errors
    /// In how many seconds to try again, where the address is banned.
    pub fn connect(&mut self) -> Result<SessionId, u64> {
        if let Some(until_ns) = self.core.faults.ban(self.now_ns) {
            return Err((until_ns - self.now_ns).div_ceil(1_000_000_000));
        }
        self.next_session += 1;
        let id = SessionId(self.next_session);
        self.links.insert(id, Link::open(&mut self.core, self.latency_ns, self.now_ns));
        Ok(id)
    }

    /// The client closes its connection.
    pub fn disconnect(&mut self, session: SessionId) {
        if let Some(link) = self.links.remove(&session) {
            link.close(&mut self.core);
        }
    }

    /// Whether the connection stands. One that broke is to be [disconnected](Self::disconnect).
    #[must_use]
    pub fn is_connected(&self, session: SessionId) -> bool {
        self.links.get(&session).is_some_and(|link| link.end().is_none())
    }

    /// A client's message; of a session that is gone it is lost.
    pub fn receive(&mut self, session: SessionId, text: &str) {
        if let Some(link) = self.links.get_mut(&session).filter(|link| link.end().is_none()) {
            link.receive(&mut self.core, Utf8Bytes::from(text), self.now_ns);
        }
    }

    /// The next message to the client, if one is due.
    pub fn next(&mut self, session: SessionId) -> Option<String> {
        let link = self.links.get_mut(&session)?;
        link.advance(&mut self.core, self.now_ns);
        link.next(self.now_ns).map(|text| text.as_str().to_owned())
    }

    /// A public REST request (`GET`, its path below `/api/v3/`, its query), without faults: status and body.
    pub fn call(&mut self, path: &str, query: &str) -> (u16, String) {
        let answer = match Operation::of_rest("GET", path).0 {
            Some(operation) => {
                let proof = Proof::Signature { api_key: None, payload: query, signature: None };
                self.core.call(operation, &Params::from_query(query), &proof, self.now_ns / 1_000_000)
            }
            None => Err(ApiError::unknown_method()),
        };
        answer.map_or_else(|error| (error.status, error.json()), |text| (200, text))
    }

    /// Best bid and best ask of a symbol, each as price and quantity at 8 decimal places.
    #[must_use]
    pub fn top(&self, symbol: &str) -> Option<((i64, i64), (i64, i64))> {
        let index = self.core.symbol(symbol).ok()?;
        self.core.symbols.get(index).map(|symbol| (symbol.top.1, symbol.top.2))
    }

    /// Every order of the account of this API key, oldest first, from the `from`th on.
    pub fn orders<'a>(&'a self, api_key: &str, from: usize) -> impl Iterator<Item = OrderTruth> + use<'a> {
        let account = self.account(api_key);
        let orders = self.core.orders.get(from..).unwrap_or_default().iter();
        orders.filter(move |order| Some(order.account) == account).map(|order| OrderTruth {
            order_id: order.id,
            client_order_id: order.client_order_id.clone(),
            symbol: self.core.symbols[order.symbol].name.clone(),
            side: order.side,
            price: order.price,
            stop_price: order.stop_price,
            quantity: order.quantity,
            executed: order.executed,
            is_open: matches!(order.status, Status::New | Status::PartiallyFilled),
        })
    }

    /// How many orders there are, of all accounts.
    #[must_use]
    pub fn order_count(&self) -> usize {
        self.core.orders.len()
    }

    /// The open orders of the account of this API key: our number of each and what may still be filled, with its sign.
    pub fn open_quantities<'a>(&'a self, api_key: &str) -> impl Iterator<Item = (&'a str, &'a str, i64)> + use<'a> {
        let account = self.account(api_key);
        account.into_iter().flat_map(|account| self.core.open_orders(account)).map(|order| {
            let left = (order.quantity - order.executed) * order.side.sign();
            (self.core.symbols[order.symbol].name.as_str(), order.client_order_id.as_str(), left)
        })
    }

    /// Fills of the account of this API key, oldest first, from the `from`th of all accounts on.
    pub fn fills<'a>(&'a self, api_key: &str, from: usize) -> impl Iterator<Item = FillTruth> + use<'a> {
        let account = self.account(api_key);
        let fills = self.core.fills.get(from..).unwrap_or_default().iter();
        fills.filter(move |fill| Some(fill.account) == account).map(|fill| FillTruth {
            trade_id: fill.id,
            order_id: fill.order,
            symbol: self.core.symbols[fill.symbol].name.clone(),
            side: fill.side,
            price: fill.fill.price.0,
            quantity: fill.fill.quantity.0,
        })
    }

    /// How many fills there are, of all accounts.
    #[must_use]
    pub fn fill_count(&self) -> usize {
        self.core.fills.len()
    }

    /// What the account of this API key has of an asset; nothing of what there is not.
    #[must_use]
    pub fn balance(&self, api_key: &str, asset: &str) -> Balance {
        let place =
            self.core.assets.iter().position(|known| known == asset).and_then(|place| u16::try_from(place).ok());
        let held = |account, place| self.core.ledger.balance(account, AssetId(place));
        self.account(api_key).zip(place).map(|(account, place)| held(account, place)).unwrap_or_default()
    }

    /// What happened so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        self.core.summary()
    }

    fn account(&self, api_key: &str) -> Option<AccountId> {
        self.core.account_of_key(api_key).ok()
    }
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Offline({} sessions, {} orders)", self.links.len(), self.core.orders.len())
    }
}

#[cfg(test)]
mod tests;
