//! A TCP proxy between engine and exchange that has bad days on command.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to every connection at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Weather {
    /// Connections made before this number rose are cut.
    cuts: u64,
    /// Nothing goes on to the exchange.
    holds_up: bool,
    /// Nothing comes back to the engine.
    holds_down: bool,
    /// New connections are closed at once.
    refuses: bool,
}

/// A running proxy. Dropping it cuts everything.
pub struct Proxy {
    pub address: SocketAddr,
    weather: watch::Sender<Weather>,
    cut_after_write: Arc<AtomicBool>,
    connections: Arc<AtomicU64>,
}

impl Proxy {
    /// A proxy to this exchange, on the current runtime.
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (weather, seen) = watch::channel(Weather::default());
        let (cut_after_write, connections) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (armed, count) = (Arc::clone(&cut_after_write), Arc::clone(&connections));
        tokio::spawn(async move {
            let mut until_gone = seen.clone();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    gone = until_gone.changed() => if gone.is_err() { return } else { continue },
                };
                let Ok((client, _)) = accepted else { continue };
                if seen.borrow().refuses {
                    continue;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let (weather, armed) = (seen.clone(), Arc::clone(&armed));
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let _ = (client.set_nodelay(true), server.set_nodelay(true));
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    // Whichever ends first ends both.
                    tokio::select! {
                        () = pump(from_client, to_server, weather.clone(), |weather| weather.holds_up, Some(&armed)) => {}
                        () = pump(from_server, to_client, weather, |weather| weather.holds_down, None) => {}
                    }
                });
            }
        });
        Self { address, weather, cut_after_write, connections }
    }

    /// Connections made so far.
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Closes every connection; what was on its way is lost.
    pub fn cut(&self) {
        self.weather.send_modify(|weather| weather.cuts += 1);
    }

    /// Lets the next bytes that go to the exchange pass, and then closes their connection before any answer.
    pub fn cut_after_next_write(&self) {
        self.cut_after_write.store(true, Ordering::Relaxed);
    }

    /// Holds everything back in both directions for a while; nothing is lost.
    pub async fn stall(&self, time: Duration) {
        self.hold(true, true);
        tokio::time::sleep(time).await;
        self.hold(false, false);
    }

    /// Holds one or both directions back.
    pub fn hold(&self, up: bool, down: bool) {
        self.weather.send_modify(|weather| (weather.holds_up, weather.holds_down) = (up, down));
    }

    /// Closes every connection and takes no new ones until told otherwise.
    pub fn refuse(&self, refuses: bool) {
        self.weather.send_modify(|weather| {
            weather.refuses = refuses;
            weather.cuts += 1;
        });
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    is_held: fn(&Weather) -> bool,
    cut_after_write: Option<&AtomicBool>,
) {
    let born = weather.borrow_and_update().cuts;
    let mut buffer = vec![0; 64 << 10];
    loop {
        let now = *weather.borrow_and_update();
        if now.cuts != born {
            return;
        }
        tokio::select! {
            changed = weather.changed() => if changed.is_err() { return },
            read = from.read(&mut buffer), if !is_held(&now) => {
                let Ok(count @ 1..) = read else { return };
                if to.write_all(&buffer[..count]).await.is_err() {
                    return;
                }
                if cut_after_write.is_some_and(|armed| armed.swap(false, Ordering::Relaxed)) {
                    let _ = to.shutdown().await;
                    return;
                }
            }
        }
    }
}
