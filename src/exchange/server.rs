//! The server: one thread, one event loop, one port for REST, streams and the WebSocket API.

use super::api::{Operation, Proof};
use super::clock::wall_ns;
use super::core::Core;
use super::error::ApiError;
use super::faults::RequestFate;
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

/// What every connection shares. All of them run on one thread, and who owns the exchange looks in but once: the lock is as
/// good as never waited for, and never held across an await.
#[derive(Clone)]
pub(super) struct Shared {
    core: Arc<Mutex<Core>>,
    pub latency: Duration,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shared({:?})", self.core().summary())
    }
}

impl Shared {
    pub(super) fn new(core: Core, latency: Duration) -> Self {
        Self { core: Arc::new(Mutex::new(core)), latency }
    }

    /// The answer to a new connection while all are refused.
    pub(super) fn refuse_banned(&self) -> Option<Response> {
        let now_ns = wall_ns();
        let until_ns = self.core().faults.ban(now_ns)?;
        Some(refused(&ApiError::banned(now_ns, until_ns)))
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

/// A response that says why not, and when to come again.
fn refused(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = (status, error.json()).into_response();
    if let Some(seconds) = error.retry_after_s {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Waits for what is never answered: the client gives up first, or the exchange ends.
async fn silence() -> Response {
    std::future::pending().await
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
    let fate = shared.core().faults.request(wall_ns());
    let mut pause = if operation.is_matched() { shared.latency } else { Duration::ZERO };
    match &fate {
        // Of one request the connection is all there is: broken or silent, the client learns nothing.
        RequestFate::Swallowed | RequestFate::CutBefore => return silence().await,
        RequestFate::Delayed(late_ns) => pause += Duration::from_nanos(*late_ns),
        _ => {}
    }
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let now_ms = wall_ns() / 1_000_000;
    let answer = match &fate {
        RequestFate::Refused(error) | RequestFate::Unproven { error, is_done: false } => Err(error.clone()),
        _ => {
            let mut core = shared.core();
            core.now_ns = now_ms * 1_000_000;
            core.call(operation, &params, &proof, now_ms)
        }
    };
    let answer = match fate {
        RequestFate::Unanswered | RequestFate::CutAfter => return silence().await,
        RequestFate::Unproven { error, .. } => Err(error),
        RequestFate::Answered { late_ns } if late_ns > 0 => {
            tokio::time::sleep(Duration::from_nanos(late_ns)).await;
            answer
        }
        _ => answer,
    };
    let mut core = shared.core();
    let mut response = match answer {
        Ok(text) => text.into_response(),
        Err(error) => refused(&error),
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json;charset=UTF-8"));
    headers.insert("x-mbx-used-weight", HeaderValue::from(core.limits.used_weight(now_ms)));
    headers.insert("x-mbx-used-weight-1m", HeaderValue::from(core.limits.used_weight(now_ms)));
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
