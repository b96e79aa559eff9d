//! Market-data streams: `/ws`, `/ws/<stream>/…` and `/stream?streams=…`.

use super::core::Core;
use super::hub::{Stream, Topic};
use super::request::Params;
use super::server::Shared;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Path, RawQuery, State};
use axum::response::Response;
use futures_util::SinkExt;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// How often the server pings, and how long it waits for a pong.
pub(super) const PING_INTERVAL: Duration = Duration::from_secs(20);
pub(super) const PONG_WAIT: Duration = Duration::from_secs(60);
/// How long a write may take before the client is given up.
pub(super) const WRITE_WAIT: Duration = Duration::from_secs(10);
/// The largest message a client may send.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Messages, pings and pongs that a client may send in a second.
const MESSAGES_A_SECOND: u32 = 5;
/// Streams that one connection may have.
const STREAMS_MAX: usize = 1_024;
/// How many events are put into one write.
const WRITE_BATCH: usize = 256;

pub(super) async fn raw(
    State(shared): State<Shared>,
    path: Option<Path<String>>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let names = path.map(|Path(streams)| streams).unwrap_or_default();
    open(shared, upgrade, false, &names)
}

pub(super) async fn combined(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    upgrade: WebSocketUpgrade,
) -> Response {
    let params = Params::from_query(query.as_deref().unwrap_or_default());
    open(shared, upgrade, true, params.text("streams").unwrap_or_default())
}

fn open(shared: Shared, upgrade: WebSocketUpgrade, is_combined: bool, names: &str) -> Response {
    let names: Vec<String> = names.split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if let Some(refused) = shared.refuse_banned() {
        return refused;
    }
    upgrade
        .max_message_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| async move { serve(shared, socket, is_combined, names).await })
}

async fn serve(shared: Shared, mut socket: WebSocket, is_combined: bool, names: Vec<String>) {
    let (client, mut queue) = {
        let mut core = shared.core();
        let (client, queue) = core.hub.join(is_combined);
        for name in names.into_iter().take(STREAMS_MAX) {
            let topic = core.topic(&name);
            core.hub.subscribe(client, &name, topic);
        }
        (client, queue)
    };
    let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let mut allowance = Allowance::default();
    let mut batch = Vec::with_capacity(WRITE_BATCH);
    let farewell = loop {
        tokio::select! {
            count = queue.recv_many(&mut batch, WRITE_BATCH) => {
                if count == 0 {
                    break shared.core().hub.was_slow(client).then_some("too slow");
                }
                if !matches!(timeout(WRITE_WAIT, write(&mut socket, &mut batch)).await, Ok(Ok(()))) {
                    break None;
                }
            }
            message = socket.recv() => {
                let Some(Ok(message)) = message else { break None };
                if !allowance.takes(Instant::now()) {
                    break Some("Too many requests");
                }
                match message {
                    Message::Text(text) => {
                        let answer = shared.core().command(client, &text);
                        if !sent(&mut socket, answer).await {
                            break None;
                        }
                    }
                    Message::Pong(_) => heard = Instant::now(),
                    Message::Close(_) => break None,
                    Message::Ping(_) | Message::Binary(_) => {}
                }
            }
            _ = ping.tick() => {
                if heard.elapsed() > PONG_WAIT {
                    break Some("no pong");
                }
                if !matches!(timeout(WRITE_WAIT, socket.send(Message::Ping("gannet".into()))).await, Ok(Ok(()))) {
                    break None;
                }
            }
        }
    };
    shared.core().hub.leave(client);
    close(socket, farewell).await;
}

async fn write(socket: &mut WebSocket, batch: &mut Vec<Utf8Bytes>) -> Result<(), axum::Error> {
    for text in batch.drain(..) {
        socket.feed(Message::Text(text)).await?;
    }
    socket.flush().await
}

/// Sends one message; `false` where the client is gone or does not read.
async fn sent(socket: &mut WebSocket, text: String) -> bool {
    matches!(timeout(WRITE_WAIT, socket.send(Message::Text(text.into()))).await, Ok(Ok(())))
}

/// Says goodbye where there is a reason to.
pub(super) async fn close(mut socket: WebSocket, reason: Option<&'static str>) {
    if let Some(reason) = reason {
        let frame = CloseFrame { code: close_code::POLICY, reason: reason.into() };
        let _ = timeout(WRITE_WAIT, socket.send(Message::Close(Some(frame)))).await;
    }
}

/// How many messages came in this second.
#[derive(Default)]
struct Allowance {
    since: Option<Instant>,
    count: u32,
}

impl Allowance {
    fn takes(&mut self, now: Instant) -> bool {
        if self.since.is_none_or(|since| now.duration_since(since) >= Duration::from_secs(1)) {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count += 1;
        self.count <= MESSAGES_A_SECOND
    }
}

impl Core {
    /// The stream of that name; as at Binance, a name of an unknown symbol or kind is taken and never sends anything.
    fn topic(&self, name: &str) -> Option<Topic> {
        let (symbol, stream) = name.split_once('@')?;
        let index = self.symbols.iter().position(|known| known.name.to_lowercase() == symbol)?;
        Some((index, Stream::parse(stream)?))
    }

    /// SUBSCRIBE, UNSUBSCRIBE, LIST_SUBSCRIPTIONS, SET_PROPERTY and GET_PROPERTY.
    fn command(&mut self, client: u64, text: &str) -> String {
        let Ok(request) = serde_json::from_str::<Value>(text) else {
            return json!({ "error": { "code": 3, "msg": "Invalid JSON: expected value" }, "id": null }).to_string();
        };
        let id = request.get("id").cloned().unwrap_or(Value::Null);
        let result = self.commanded(client, &request);
        match result {
            Ok(result) => json!({ "result": result, "id": id }).to_string(),
            Err(message) => {
                json!({ "error": { "code": 2, "msg": format!("Invalid request: {message}") }, "id": id }).to_string()
            }
        }
    }

    fn commanded(&mut self, client: u64, request: &Value) -> Result<Value, &'static str> {
        let method = request.get("method").and_then(Value::as_str).ok_or("missing field `method`")?;
        let params = request.get("params").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        match method {
            "LIST_SUBSCRIPTIONS" => return Ok(json!(self.hub.names(client))),
            "SET_PROPERTY" => {
                let [Value::String(name), Value::Bool(is_combined)] = params else { return Err("wrong parameters") };
                if name != "combined" {
                    return Err("unknown property");
                }
                self.hub.set_combined(client, *is_combined);
                return Ok(Value::Null);
            }
            "SUBSCRIBE" | "UNSUBSCRIBE" => {}
            _ => {
                return Err(
                    "unknown variant, expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`",
                );
            }
        }
        let names: Option<Vec<&str>> = params.iter().map(Value::as_str).collect();
        let names = names.filter(|names| !names.is_empty()).ok_or("params must be a list of stream names")?;
        if method == "SUBSCRIBE" && self.hub.names(client).len() + names.len() > STREAMS_MAX {
            return Err("too many streams");
        }
        for name in names {
            if method == "SUBSCRIBE" {
                let topic = self.topic(name);
                self.hub.subscribe(client, name, topic);
            } else {
                self.hub.unsubscribe(client, name);
            }
        }
        Ok(Value::Null)
    }
}
