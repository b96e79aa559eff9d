//! The simulated exchange: a real server that speaks Binance spot's protocols and plays recorded market data.
//!
//! ```text
//!   recordings ─► replay ─► public book, trades, klines ─► hub ─► streams        /ws  /stream
//!                   │
//!                   └─────► matching ◄── orders ◄── REST  /api/v3/ · WebSocket API  /ws-api/v3
//!                              └──► executions, balances ─► user data, on the WebSocket API
//! ```
//!
//! One thread, one event loop, one loopback port. What is recorded is played as it is: our orders take from it and wait
//! in its queues ([`crate::matching`]), but they do not appear in the public book, and the market does not react.
//! The recording runs at its own pace, at N times, or flat out; at its end it starts again, all ids going on, and the
//! books jump to its beginning by ordinary depth updates, so a client in sync stays in sync. Event times are restated on
//! the wall clock, spacing divided by the speed (flat out each event is of the instant it is sent); requests are judged
//! by the wall clock. Before its starting point the recording is served as history, and klines reach back ten minutes as
//! if it had run before.
//!
//! Differences from Binance: user trades count from 1 in ids of their own; no order lists, icebergs or trailing stops; one
//! account per API key; self-trade prevention knows no DECREMENT; fees are charged in the asset received; no 24-hour limit
//! on connections. There is no randomness in it unless [faults](FaultConfig) are asked for: the same requests at the same
//! points of the recording have the same outcome.
//!
//! [`Offline`] is the same exchange without sockets and wall clock, for simulations.

mod api;
mod auth;
mod bars;
mod book;
mod clock;
pub mod command;
mod config;
mod core;
mod disturb;
mod error;
mod faults;
mod hub;
mod limits;
mod link;
mod offline;
mod orders;
mod public;
mod random;
mod recording;
mod replace;
mod replay;
mod request;
mod server;
mod streams;
mod text;
mod trading;
mod walk;
mod ws_api;

pub use auth::{DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Key, KeyError};
pub use config::{AccountConfig, ExchangeConfig, ExchangeError, Filters, RecordingSource, Speed, SymbolConfig};
pub use core::Summary;
pub use faults::{Fault, FaultConfig, FaultCounts, FaultRates};
pub use offline::{FillTruth, Offline, OrderTruth, SessionId};
pub use recording::{RECORDING_BYTES_MAX, RecordingError};
pub use walk::WalkConfig;

use crate::types::Money;
use server::Shared;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// The recorded BTCUSDT spot session; `recordings/README.md` names its source and licence.
pub const SPOT_BTCUSDT: &[u8] = include_bytes!("recordings/spot_btcusdt_20240808.zst");
/// The recorded BTCUSDT USD-M futures session in spot's form, as BTCFUSDT.
pub const USDM_BTCUSDT: &[u8] = include_bytes!("recordings/usdm_btcusdt_20240808.zst");

/// A running exchange. Dropping it stops it.
#[derive(Debug)]
pub struct Exchange {
    address: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<Summary>>,
}

impl Exchange {
    /// Loads the recordings, listens, and starts to play in a thread of its own. When this returns, clients can connect.
    ///
    /// # Errors
    /// As [`ExchangeError`] says; nothing runs then.
    pub fn start(config: &ExchangeConfig) -> Result<Self, ExchangeError> {
        if !config.listen.ip().is_loopback() {
            return Err(ExchangeError::NotLoopback(config.listen));
        }
        let listener = TcpListener::bind(config.listen).map_err(|error| ExchangeError::Listen(config.listen, error))?;
        let address = listener.local_addr().map_err(|error| ExchangeError::Listen(config.listen, error))?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ExchangeError::System)?;
        let shared = Shared::new(core::Core::new(config, clock::wall_ns())?, config.latency);
        let (stop, stopped) = oneshot::channel();
        let serving = shared.clone();
        let serve = move || {
            let shared = serving;
            if let Err(error) = runtime.block_on(server::run(listener, shared.clone(), stopped)) {
                tracing::error!(%error, "the simulated exchange has stopped");
            }
            // Ends every connection before the books are summed up.
            drop(runtime);
            shared.core().summary()
        };
        let thread =
            std::thread::Builder::new().name("exchange".to_owned()).spawn(serve).map_err(ExchangeError::System)?;
        Ok(Self { address, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends all faults, and cancels what was placed by hand: from here on everything is told, and the books of whoever
    /// asks agree with the exchange's own.
    pub fn end_faults(&self) {
        self.shared.core().end_faults(clock::wall_ns());
    }

    /// What came to the trading account by transfers so far, or left it where negative, by asset: what its owner finds in
    /// the venue's history, whether or not a stream told it. Money by which nothing came or left in all is left out.
    #[must_use]
    pub fn transfers(&self) -> BTreeMap<String, Money> {
        self.shared.core().transfers()
    }

    /// Ends it: connections are closed, its thread is joined.
    pub fn stop(mut self) -> Summary {
        self.join()
    }

    fn join(&mut self) -> Summary {
        drop(self.stop.take());
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.join();
    }
}
