//! The watchdog's own session at a venue: it cancels everything, until the venue has confirmed that nothing is open.

use crate::config::{Config, Venue};
use crate::control::client::{ClientError, VenueClient, watchdog_credentials};
use crate::pipeline::clock::Clock;
use crate::venue::binance::rest::OpenOrder;
use std::cell::RefCell;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

/// How long a request may take: the next one may fare better.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);
/// Requests under way at once, and so connections that are kept warm.
const AT_ONCE: usize = 4;
/// The pause between two looks at the open orders; doubled while orders stay or the venue gives no answer, up to the
/// largest. Long enough for what was under way to arrive between two confirmations.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Empty answers in a row that make a venue flat.
const CONFIRMATIONS: u32 = 2;

/// A session with one venue.
pub struct Session {
    venue: Venue,
    symbols: Vec<String>,
    clock: Clock,
    /// Replaced where its connections fail: the venue's name may mean another address by then.
    client: RefCell<Arc<VenueClient>>,
}

impl Session {
    /// Opens a session and proves that it could do its work: the keys are good, the connections are warm.
    ///
    /// # Errors
    /// Everything that keeps it from that, in words.
    pub async fn open(config: &Config, venue: &Venue, clock: &Clock) -> Result<Self, Vec<String>> {
        let here = config.instruments.iter().filter(|instrument| instrument.venue == venue.name);
        let symbols = here.map(|instrument| instrument.symbol.clone()).collect();
        let named = |error: ClientError| vec![format!("venue {}: watchdog: {error}", venue.name)];
        let client = connect(venue, clock).await?;
        client.measure_clock().await.map_err(named)?;
        client.open_orders().await.map_err(named)?;
        let session =
            Self { venue: venue.clone(), symbols, clock: clock.clone(), client: RefCell::new(Arc::new(client)) };
        session.keep_warm().await;
        Ok(session)
    }

    fn client(&self) -> Arc<VenueClient> {
        Arc::clone(&self.client.borrow())
    }

    /// Asks something cheap on every connection, so that none is closed as idle, and measures the venue's clock.
    pub async fn keep_warm(&self) {
        let count = self.symbols.len().clamp(1, AT_ONCE);
        let client = self.client();
        let asked = (0..count).map(|_| {
            let client = Arc::clone(&client);
            async move { client.measure_clock().await.map(drop) }
        });
        if let Some(error) = together(asked).await {
            warn!("venue {}: {error}", self.venue.name);
            self.renew().await;
        }
    }

    /// Looks the venue's name up anew. Where that fails, the addresses of before are as good as any.
    async fn renew(&self) {
        let Ok(client) = connect(&self.venue, &self.clock).await else { return };
        if client.measure_clock().await.is_ok() {
            self.client.replace(Arc::new(client));
        }
    }

    /// Whether the venue says that nothing is open. No answer is no.
    pub async fn is_flat(&self) -> bool {
        match self.client().open_orders().await {
            Ok(orders) => orders.is_empty(),
            Err(error) => {
                warn!("venue {}: {error}", self.venue.name);
                false
            }
        }
    }

    /// Cancels everything, again and again, until the venue has said twice in a row that nothing is open.
    pub async fn cancel_until_flat(&self) {
        let (mut confirmations, mut pause) = (0, PAUSE);
        loop {
            if confirmations == 0 {
                self.cancel_symbols().await;
            }
            let asked = self.client().open_orders().await;
            match asked {
                Ok(orders) if orders.is_empty() => {
                    confirmations += 1;
                    pause = PAUSE;
                    if confirmations == CONFIRMATIONS {
                        return;
                    }
                }
                Ok(orders) => {
                    confirmations = 0;
                    warn!("venue {}: {} orders are still open", self.venue.name, orders.len());
                    self.cancel_each(orders).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                Err(error) => {
                    confirmations = 0;
                    warn!("venue {}: whether orders are open is not known: {error}", self.venue.name);
                    pause = error.retry_after.unwrap_or_default().max((pause * 2).min(PAUSE_MAX));
                    self.renew().await;
                }
            }
            sleep(pause).await;
        }
    }

    /// Cancels by symbol. What the venue answers does not matter: the open orders are asked for next, and where a symbol
    /// has none it refuses.
    async fn cancel_symbols(&self) {
        for symbols in self.symbols.chunks(AT_ONCE) {
            let canceled = symbols.iter().map(|symbol| {
                let (client, symbol) = (self.client(), symbol.clone());
                async move { client.cancel_open_orders(&symbol).await }
            });
            together(canceled).await;
        }
    }

    /// Cancels one by one: orders in symbols that are not configured, and those that a cancel by symbol left.
    async fn cancel_each(&self, orders: Vec<OpenOrder>) {
        for orders in orders.chunks(AT_ONCE) {
            let canceled = orders.iter().map(|order| {
                let (client, order) = (self.client(), order.clone());
                async move { client.cancel_order(&order).await }
            });
            together(canceled).await;
        }
    }
}

async fn connect(venue: &Venue, clock: &Clock) -> Result<VenueClient, Vec<String>> {
    let client = VenueClient::new(venue, watchdog_credentials(venue)?, clock).map_err(|error| vec![error])?;
    let pinned = client.pinned(REQUEST_TIMEOUT).await;
    pinned.map_err(|error| vec![format!("venue {}: watchdog: {error}", venue.name)])
}

/// Waits for all of them, and answers what went wrong with one, if anything did.
async fn together<F>(requests: impl Iterator<Item = F>) -> Option<ClientError>
where
    F: Future<Output = Result<(), ClientError>> + Send + 'static,
{
    let mut tasks: JoinSet<_> = requests.collect();
    let mut failed = None;
    while let Some(done) = tasks.join_next().await {
        failed = done.ok().and_then(Result::err).or(failed);
    }
    failed
}
