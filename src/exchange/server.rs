//! The server: one thread, one event loop, one port for REST, streams and the WebSocket API.

use super::api::{Operation, Proof};
use super::clock::wall_ns;
use super::core::Core;
use super::limits::Limits;
use super::replay::{BATCH_MESSAGES, Due};
use super::request::{Params, split_signature};
use super::{streams, ws_api};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use axum::serve::ListenerExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest pause of the replay, so that streams made by the clock stay on time.
const PAUSE_MS_MAX: u64 = 20;
/// How long a flat-out replay waits for a client that does not read.
const STALL_NS_MAX: u64 = 5_000_000_000;
/// When in a second bars are closed: recorded trades come up to 25 ms after the fastest.
const SECOND_TICK_MS: u64 = 250;

/// What every connection shares. All of them run on one thread: the lock is never waited for, and never held across an
/// await.
#[derive(Clone)]
pub(super) struct Shared {
    core: Arc<Mutex<Core>>,
    pub latency: Duration,
}

impl Shared {
    pub(super) fn new(core: Core, latency: Duration) -> Self {
        Self { core: Arc::new(Mutex::new(core)), latency }
    }

    pub(super) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves and plays until `stop` fires or its sender is gone.
pub(super) async fn run(
    listener: std::net::TcpListener,
    shared: Shared,
    stop: oneshot::Receiver<()>,
) -> std::io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?.tap_io(|socket| {
        // Without it an answer may wait for the acknowledgement of the one before.
        let _ = socket.set_nodelay(true);
    });
    let router = Router::new()
        .route("/ws", get(streams::raw))
        .route("/ws/{*streams}", get(streams::raw))
        .route("/stream", get(streams::combined))
        .route("/ws-api/v3", get(ws_api::connect))
        .fallback(any(rest))
        .with_state(shared.clone());
    tokio::select! {
        served = async { axum::serve(listener, router).await } => served,
        () = replay(shared) => Ok(()),
        _ = stop => Ok(()),
    }
}

/// Plays what is due, then sleeps; requests are served in between.
async fn replay(shared: Shared) {
    let is_flat_out = shared.core().replay.clock.is_flat_out();
    let (mut fast_tick, mut second_tick) = (0, 0);
    let mut stalled_since = None;
    loop {
        let now_ns = wall_ns();
        let now_ms = now_ns / 1_000_000;
        let due = {
            let mut core = shared.core();
            if fast_tick != now_ms / 100 {
                fast_tick = now_ms / 100;
                core.tick_fast();
            }
            let second = now_ms.saturating_sub(SECOND_TICK_MS) / 1_000;
            if second_tick != second {
                second_tick = second;
                core.tick_second(now_ms);
            }
            if is_flat_out && !core.hub.has_room(BATCH_MESSAGES) {
                // Flat out is as fast as the slowest client; one that has stopped reading is cut off.
                let since = *stalled_since.get_or_insert(now_ns);
                if now_ns.saturating_sub(since) > STALL_NS_MAX {
                    core.hub.cut_off_slow(BATCH_MESSAGES);
                }
                Due::At(now_ns + 1_000_000)
            } else {
                stalled_since = None;
                core.advance(now_ns)
            }
        };
        match due {
            Due::Now => tokio::task::yield_now().await,
            Due::At(at_ns) => {
                let pause = Duration::from_nanos(at_ns.saturating_sub(now_ns));
                tokio::time::sleep(pause.min(Duration::from_millis(PAUSE_MS_MAX))).await;
            }
        }
    }
}

async fn rest(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let (operation, path_exists) = match uri.path().strip_prefix("/api/v3/") {
        Some(path) => Operation::of_rest(method.as_str(), path),
        None => (None, false),
    };
    let Some(operation) = operation else {
        let status = if path_exists { StatusCode::METHOD_NOT_ALLOWED } else { StatusCode::NOT_FOUND };
        return status.into_response();
    };
    // What is signed is the query string and the body, as they were sent, one after the other.
    let (query, in_query) = split_signature(uri.query().unwrap_or_default());
    let (form, in_form) = split_signature(std::str::from_utf8(&body).unwrap_or_default());
    let mut params = Params::from_query(&query);
    params.extend(Params::from_query(&form));
    let signature = in_form.or(in_query);
    let proof = Proof::Signature {
        api_key: headers.get("X-MBX-APIKEY").and_then(|key| key.to_str().ok()),
        payload: &format!("{query}{form}"),
        signature: signature.as_deref(),
    };
    if operation.is_matched() && !shared.latency.is_zero() {
        tokio::time::sleep(shared.latency).await;
    }
    let mut core = shared.core();
    let answer = core.call(operation, &params, &proof);
    let now_ms = wall_ns() / 1_000_000;
    let (status, text) = match answer {
        Ok(text) => (200, text),
        Err(error) => (error.status, error.json()),
    };
    let mut response = (StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST), text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert("x-mbx-used-weight", HeaderValue::from(core.limits.used_weight(now_ms)));
    headers.insert("x-mbx-used-weight-1m", HeaderValue::from(core.limits.used_weight(now_ms)));
    if status == 429 {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(Limits::retry_after(now_ms)));
    }
    if operation.is_order()
        && let Proof::Signature { api_key: Some(api_key), .. } = proof
        && let Ok(account) = core.account_of_key(api_key)
    {
        let (short, day) = core.limits.order_counts(now_ms, account);
        headers.insert("x-mbx-order-count-10s", HeaderValue::from(short));
        headers.insert("x-mbx-order-count-1d", HeaderValue::from(day));
    }
    response
}
