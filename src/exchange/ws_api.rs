//! The WebSocket API: requests and answers by id, sessions that log on once, and user data pushed on the same socket.

use super::api::{Operation, Proof};
use super::auth::Key;
use super::clock::wall_ns;
use super::core::{Core, UserListener};
use super::error::ApiError;
use super::link::{End, Link};
use super::request::Params;
use super::server::Shared;
use super::streams::{MESSAGE_BYTES_MAX, PING_INTERVAL, PONG_WAIT, WRITE_WAIT, close};
use crate::matching::AccountId;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

pub(super) async fn connect(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    if let Some(refused) = shared.refuse_banned() {
        return refused;
    }
    upgrade.max_message_size(MESSAGE_BYTES_MAX).on_upgrade(move |socket| async move { serve(shared, socket).await })
}

/// What is known of who is at the other end.
pub(super) struct Session {
    id: u64,
    connected_ms: u64,
    /// Account, API key and since when, once logged on.
    authorized: Option<(AccountId, String, u64)>,
    returns_rate_limits: bool,
    next_subscription: u64,
    /// The subscription made by `userDataStream.subscribe`, which ends with the logon.
    own_subscription: Option<u64>,
    queue: mpsc::Sender<Utf8Bytes>,
}

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    id: Value,
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
}

async fn serve(shared: Shared, mut socket: WebSocket) {
    let latency_ns = u64::try_from(shared.latency.as_nanos()).unwrap_or(u64::MAX);
    let mut link = Link::open(&mut shared.core(), latency_ns, wall_ns());
    let mut ping = interval_at(Instant::now() + PING_INTERVAL, PING_INTERVAL);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut heard = Instant::now();
    let farewell = 'open: loop {
        let now_ns = wall_ns();
        link.advance(&mut shared.core(), now_ns);
        while let Some(message) = link.next(now_ns) {
            if !matches!(timeout(WRITE_WAIT, socket.send(Message::Text(message))).await, Ok(Ok(()))) {
                break 'open None;
            }
        }
        match link.end() {
            Some(End::Cut) => break None,
            Some(End::Closed(reason)) => break Some(reason),
            None => {}
        }
        let due_ns = link.due_ns(&shared.core(), now_ns);
        let pause = Duration::from_nanos(due_ns.unwrap_or(0).saturating_sub(wall_ns()));
        tokio::select! {
            biased;
            event = link.wait_for_event() => {
                let Some(event) = event else { break None };
                link.took(&mut shared.core(), event, wall_ns());
            }
            () = sleep(pause), if due_ns.is_some() => {}
            message = socket.recv() => {
                let Some(Ok(message)) = message else { break None };
                match message {
                    Message::Text(text) => link.receive(&mut shared.core(), text, wall_ns()),
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
    link.close(&mut shared.core());
    close(socket, farewell).await;
}

impl Session {
    pub(super) fn new(id: u64, queue: mpsc::Sender<Utf8Bytes>, now_ms: u64) -> Self {
        Self {
            id,
            connected_ms: now_ms,
            authorized: None,
            returns_rate_limits: true,
            next_subscription: 0,
            own_subscription: None,
            queue,
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether its own subscription still stands: the exchange may have ended it.
    fn is_subscribed(&self, core: &Core) -> bool {
        let is_own = |listener: &UserListener| {
            (listener.session, Some(listener.subscription_id)) == (self.id, self.own_subscription)
        };
        core.users.iter().any(is_own)
    }

    /// Whether a subscription of this session was ended because its queue was full.
    pub(super) fn was_cut_off(&self, core: &Core) -> bool {
        self.queue.capacity() == 0 && !core.users.iter().any(|listener| listener.session == self.id)
    }

    /// Carries out a request, and answers it.
    pub(super) fn answer(&mut self, core: &mut Core, text: &str, now_ms: u64) -> String {
        self.answered(core, text, None, now_ms)
    }

    /// Answers a request with a refusal, without looking at more than its id.
    pub(super) fn refuse(&mut self, core: &mut Core, text: &str, error: ApiError, now_ms: u64) -> String {
        self.answered(core, text, Some(error), now_ms)
    }

    fn answered(&mut self, core: &mut Core, text: &str, refusal: Option<ApiError>, now_ms: u64) -> String {
        let request: Request = match serde_json::from_str(text) {
            Ok(request) => request,
            Err(_) => {
                let error = ApiError::illegal_characters("request", "a JSON object with id, method and params");
                return format!("{{\"id\":null,\"status\":{},\"error\":{}}}", error.status, error.json());
            }
        };
        let params = Params::from_json(&request.params);
        let operation = Operation::of_method(&request.method);
        let result = match (refusal, operation) {
            (Some(error), _) => Err(error),
            (None, Some(operation)) => self.call(core, operation, &params, now_ms),
            (None, None) => self.manage(core, &request.method, &params, now_ms),
        };
        let orders_of = match operation {
            Some(operation) if operation.is_order() => self
                .authorized
                .as_ref()
                .map(|(account, ..)| *account)
                .or_else(|| params.text("apiKey").and_then(|key| core.account_of_key(key).ok())),
            _ => None,
        };
        let shows = params.text("returnRateLimits").map_or(self.returns_rate_limits, |text| text == "true");
        let rate_limits =
            if shows { format!(",\"rateLimits\":{}", core.limits.state(now_ms, orders_of)) } else { String::new() };
        match result {
            Ok(result) => format!("{{\"id\":{},\"status\":200,\"result\":{result}{rate_limits}}}", request.id),
            Err(error) => {
                format!("{{\"id\":{},\"status\":{},\"error\":{}{rate_limits}}}", request.id, error.status, error.json())
            }
        }
    }

    fn call(&self, core: &mut Core, operation: Operation, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        match (&self.authorized, params.text("apiKey")) {
            (Some((account, ..)), None) => core.call(operation, params, &Proof::Session(*account), now_ms),
            (_, api_key) => {
                let payload = params.sorted_payload();
                let proof = Proof::Signature { api_key, payload: &payload, signature: params.text("signature") };
                core.call(operation, params, &proof, now_ms)
            }
        }
    }

    fn manage(&mut self, core: &mut Core, method: &str, params: &Params, now_ms: u64) -> Result<String, ApiError> {
        core.limits.weigh(now_ms, 2)?;
        match method {
            "session.logon" => {
                let account = self.signed(core, params, now_ms)?;
                let state = &core.accounts[usize::from(account.0)];
                // Only Ed25519 keys may log on.
                if !matches!(state.key, Key::Ed25519(_)) {
                    return Err(ApiError::unsupported_key());
                }
                self.authorized = Some((account, state.api_key.clone(), now_ms));
                if let Some(shows) = params.text("returnRateLimits") {
                    self.returns_rate_limits = shows == "true";
                }
                Ok(self.status(core, now_ms))
            }
            "session.status" => Ok(self.status(core, now_ms)),
            "session.logout" => {
                self.authorized = None;
                if let Some(id) = self.own_subscription.take() {
                    core.users.retain(|listener| (listener.session, listener.subscription_id) != (self.id, id));
                }
                Ok(self.status(core, now_ms))
            }
            "userDataStream.subscribe" => {
                let account =
                    self.authorized.as_ref().map(|(account, ..)| *account).ok_or_else(ApiError::unknown_api_key)?;
                if self.is_subscribed(core) {
                    return Err(ApiError::subscription("User Data Stream subscription already active."));
                }
                let id = self.subscribe(core, account);
                self.own_subscription = Some(id);
                Ok(format!("{{\"subscriptionId\":{id}}}"))
            }
            "userDataStream.subscribe.signature" => {
                let account = self.signed(core, params, now_ms)?;
                Ok(format!("{{\"subscriptionId\":{}}}", self.subscribe(core, account)))
            }
            "userDataStream.unsubscribe" => {
                let wanted = params.integer("subscriptionId")?;
                core.users.retain(|listener| {
                    listener.session != self.id || wanted.is_some_and(|wanted| listener.subscription_id != wanted)
                });
                if wanted.is_none() || wanted == self.own_subscription {
                    self.own_subscription = None;
                }
                Ok("{}".to_owned())
            }
            "session.subscriptions" => {
                let own = core.users.iter().filter(|listener| listener.session == self.id);
                Ok(super::public::array(
                    own.map(|listener| format!("{{\"subscriptionId\":{}}}", listener.subscription_id)),
                ))
            }
            _ => Err(ApiError::unknown_method()),
        }
    }

    fn signed(&self, core: &Core, params: &Params, now_ms: u64) -> Result<AccountId, ApiError> {
        let payload = params.sorted_payload();
        let (api_key, signature) = (params.text("apiKey"), params.text("signature"));
        core.authenticate(params, &Proof::Signature { api_key, payload: &payload, signature }, now_ms)
    }

    fn subscribe(&mut self, core: &mut Core, account: AccountId) -> u64 {
        let subscription_id = self.next_subscription;
        self.next_subscription += 1;
        core.users.push(UserListener { session: self.id, subscription_id, account, queue: self.queue.clone() });
        subscription_id
    }

    fn status(&self, core: &Core, now_ms: u64) -> String {
        let (api_key, since) = match &self.authorized {
            Some((_, api_key, since)) => (Value::from(api_key.as_str()), Value::from(*since)),
            None => (Value::Null, Value::Null),
        };
        format!(
            "{{\"apiKey\":{api_key},\"authorizedSince\":{since},\"connectedSince\":{},\"returnRateLimits\":{},\"serverTime\":{now_ms},\
             \"userDataStream\":{}}}",
            self.connected_ms,
            self.returns_rate_limits,
            self.is_subscribed(core)
        )
    }
}
