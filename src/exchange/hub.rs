//! Who gets which event: market-data clients by topic, each with a bounded queue.

use super::bars::Interval;
use axum::extract::ws::Utf8Bytes;
use std::collections::{BTreeMap, BTreeSet};
use tokio::sync::mpsc;

/// How many messages wait for a client before it is taken for too slow.
pub(super) const CLIENT_QUEUE: usize = 16_384;

/// A stream of one symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    BookTicker,
    Trade,
    AggregateTrade,
    /// Changes as recorded, every 100 ms on spot.
    DepthFast,
    /// The same summed over a second.
    DepthSlow,
    Partial {
        levels: u8,
        is_fast: bool,
    },
    Kline(Interval),
    Ticker,
    MiniTicker,
}

/// A stream of a symbol, by its index.
pub(super) type Topic = (usize, Stream);

impl Stream {
    /// Reads what is after the `@`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "bookTicker" => Self::BookTicker,
            "trade" => Self::Trade,
            "aggTrade" => Self::AggregateTrade,
            "depth@100ms" => Self::DepthFast,
            "depth" | "depth@1000ms" => Self::DepthSlow,
            "ticker" => Self::Ticker,
            "miniTicker" => Self::MiniTicker,
            _ => {
                if let Some(interval) = text.strip_prefix("kline_") {
                    return Interval::parse(interval).map(Self::Kline);
                }
                let (levels, speed) = text.strip_prefix("depth")?.split_once('@').unwrap_or((&text[5..], "1000ms"));
                let levels = levels.parse().ok().filter(|levels| [5, 10, 20].contains(levels))?;
                Self::Partial { levels, is_fast: matches!(speed, "100ms") }
            }
        })
    }
}

struct Client {
    queue: mpsc::Sender<Utf8Bytes>,
    is_combined: bool,
    /// The names subscribed to, as the client wrote them.
    names: Vec<(String, Option<Topic>)>,
}

/// All market-data clients.
#[derive(Default)]
pub(super) struct Hub {
    clients: BTreeMap<u64, Client>,
    topics: BTreeMap<Topic, Vec<(u64, String)>>,
    next_client: u64,
    /// Those of them that were cut off because they did not keep up, and do not know yet.
    slow: BTreeSet<u64>,
    /// Clients that were cut off because they did not keep up.
    pub slow_clients: u64,
    /// Messages queued for clients.
    pub messages: u64,
}

impl Hub {
    pub(super) fn join(&mut self, is_combined: bool) -> (u64, mpsc::Receiver<Utf8Bytes>) {
        let (queue, receiver) = mpsc::channel(CLIENT_QUEUE);
        self.next_client += 1;
        self.clients.insert(self.next_client, Client { queue, is_combined, names: Vec::new() });
        (self.next_client, receiver)
    }

    pub(super) fn leave(&mut self, client: u64) {
        self.clients.remove(&client);
        for listeners in self.topics.values_mut() {
            listeners.retain(|(listener, _)| *listener != client);
        }
    }

    pub(super) fn subscribe(&mut self, client: u64, name: &str, topic: Option<Topic>) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        if entry.names.iter().any(|(known, _)| known == name) {
            return;
        }
        entry.names.push((name.to_owned(), topic));
        if let Some(topic) = topic {
            self.topics.entry(topic).or_default().push((client, name.to_owned()));
        }
    }

    pub(super) fn unsubscribe(&mut self, client: u64, name: &str) {
        if let Some(entry) = self.clients.get_mut(&client) {
            entry.names.retain(|(known, _)| known != name);
        }
        for listeners in self.topics.values_mut() {
            listeners.retain(|(listener, known)| *listener != client || known != name);
        }
    }

    pub(super) fn names(&self, client: u64) -> Vec<String> {
        let names = self.clients.get(&client).map(|client| client.names.as_slice()).unwrap_or_default();
        names.iter().map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn set_combined(&mut self, client: u64, is_combined: bool) {
        if let Some(client) = self.clients.get_mut(&client) {
            client.is_combined = is_combined;
        }
    }

    pub(super) fn has_listeners(&self, topic: Topic) -> bool {
        self.topics.get(&topic).is_some_and(|listeners| !listeners.is_empty())
    }

    /// The kline intervals that somebody listens to.
    pub(super) fn klines(&self, symbol: usize) -> Vec<Interval> {
        let of_symbol = self.topics.iter().filter(|((of, _), listeners)| *of == symbol && !listeners.is_empty());
        of_symbol
            .filter_map(|((_, stream), _)| if let Stream::Kline(interval) = stream { Some(*interval) } else { None })
            .collect()
    }

    /// Queues an event for all who listen to it. It is written once, and once more where it is to be wrapped. A client
    /// whose queue is full is cut off: nobody waits for it, and it must not go on with a hole.
    pub(super) fn publish(&mut self, topic: Topic, write: impl FnOnce() -> String) {
        let Some(listeners) = self.topics.get(&topic).filter(|listeners| !listeners.is_empty()) else { return };
        let plain = Utf8Bytes::from(write());
        let mut wrapped: Option<(&str, Utf8Bytes)> = None;
        let mut too_slow = Vec::new();
        for (listener, name) in listeners {
            let Some(client) = self.clients.get(listener) else { continue };
            let message = if client.is_combined {
                match &wrapped {
                    Some((known, message)) if *known == name => message.clone(),
                    _ => {
                        let message = Utf8Bytes::from(format!("{{\"stream\":\"{name}\",\"data\":{plain}}}"));
                        wrapped = Some((name, message.clone()));
                        message
                    }
                }
            } else {
                plain.clone()
            };
            if client.queue.try_send(message).is_err() {
                too_slow.push(*listener);
            }
            self.messages += 1;
        }
        for client in too_slow {
            self.cut_off(client);
        }
    }

    fn cut_off(&mut self, client: u64) {
        self.slow_clients += 1;
        self.slow.insert(client);
        self.leave(client);
    }

    /// Whether a client was cut off as it was too slow; asked once.
    pub(super) fn was_slow(&mut self, client: u64) -> bool {
        self.slow.remove(&client)
    }

    /// The clients that are connected.
    pub(super) fn clients(&self) -> Vec<u64> {
        self.clients.keys().copied().collect()
    }

    /// Whether every client has room for so many messages more.
    pub(super) fn has_room(&self, messages: usize) -> bool {
        self.clients.values().all(|client| client.queue.capacity() >= messages)
    }

    /// Cuts off the clients that have not.
    pub(super) fn cut_off_slow(&mut self, messages: usize) {
        let has_no_room = |(id, client): (&u64, &Client)| (client.queue.capacity() < messages).then_some(*id);
        let slow: Vec<u64> = self.clients.iter().filter_map(has_no_room).collect();
        for client in slow {
            self.cut_off(client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_names() {
        assert_eq!(Stream::parse("depth20@100ms"), Some(Stream::Partial { levels: 20, is_fast: true }));
        assert_eq!(Stream::parse("depth5"), Some(Stream::Partial { levels: 5, is_fast: false }));
        assert_eq!(Stream::parse("kline_1s"), Interval::parse("1s").map(Stream::Kline));
        for unknown in ["depth7", "kline_7m", "nothing", "", "dep"] {
            assert_eq!(Stream::parse(unknown), None, "{unknown}");
        }
    }

    #[test]
    fn a_client_that_does_not_read_is_cut_off_and_counted() {
        let mut hub = Hub::default();
        let topic = (0, Stream::Trade);
        let (slow, mut slow_queue) = hub.join(false);
        let (fast, mut fast_queue) = hub.join(true);
        hub.subscribe(slow, "abc@trade", Some(topic));
        hub.subscribe(fast, "abc@trade", Some(topic));
        for _ in 0..=CLIENT_QUEUE {
            hub.publish(topic, || "{}".to_owned());
            assert_eq!(fast_queue.try_recv().expect("sent").as_str(), r#"{"stream":"abc@trade","data":{}}"#);
        }
        assert_eq!(hub.slow_clients, 1);
        let mut received = 0;
        while slow_queue.try_recv().is_ok() {
            received += 1;
        }
        assert_eq!(received, CLIENT_QUEUE, "what was queued is still there, then the end");
        assert!(hub.has_listeners(topic));
        hub.unsubscribe(fast, "abc@trade");
        assert!(!hub.has_listeners(topic));
        assert!(hub.names(fast).is_empty());
    }
}
