//! The gateway with a scripted venue at the other end of a pipe, and a clock set by hand. Whatever a test does, at its end a
//! second gateway runs on what the first wrote down, and must come to the same by the same way.

use crate::backtest::{Difference, GatewayReplay};
use crate::gateway::{Gateway, GatewayConfig, GatewayLanes, GatewayStart, LastKnown, OpenOrder};
use crate::metrics::{GatewayCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender, lane, lane_of};
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::{Drain, Tap};
use crate::risk::Approved;
use crate::types::*;
use crate::venue::binance::{Credentials, OrderEncoder, SessionKind, UserCodec};
use crate::venue::budget::{Budget, BudgetLimits};
use crate::venue::connection::{Arrival, Connection, ConnectionPort};
use crate::venue::{ByteStream, FrameReader, MemoryPipe};
use crossbeam::channel;
use serde_json::{Value, json};
use std::sync::Arc;

/// The first test vector of RFC 8032, section 7.1. Nobody checks what it signs.
const PEM: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
const TIMEOUT_MS: u64 = 2_000;
const QUANTITY: i64 = 10;

pub(super) fn id(sequence: u64) -> ClientOrderId {
    ClientOrderId::new(1, StrategyId(0), sequence).expect("in range")
}

/// The venue's number of order `sequence`.
pub(super) fn venue_id(sequence: u64) -> u64 {
    70 + sequence
}

/// A server's WebSocket frame.
pub(super) fn framed(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The venue's end.
pub(super) struct Venue {
    pipe: MemoryPipe,
    received: Vec<u8>,
    /// What came and was not looked at: names, and the ids of requests.
    came: Vec<(String, String)>,
}

impl Venue {
    pub(super) fn over(pipe: MemoryPipe) -> Self {
        Self { pipe, received: Vec::new(), came: Vec::new() }
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        assert_eq!(self.pipe.try_write(bytes), Ok(bytes.len()), "room in the pipe");
    }

    pub(super) fn say(&mut self, value: &Value) {
        self.write(&framed(1, value.to_string().as_bytes()));
    }

    fn receive(&mut self) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(count @ 1..) = self.pipe.try_read(&mut buffer) {
            self.received.extend_from_slice(&buffer[..count]);
        }
        while let Some((opcode, payload, rest)) = unmasked(&self.received) {
            self.came.push(match opcode {
                1 => named(&serde_json::from_slice(&payload).expect("JSON")),
                8 => ("close".to_owned(), String::new()),
                9 => ("ping".to_owned(), String::new()),
                10 => (format!("pong {}", String::from_utf8_lossy(&payload)), String::new()),
                other => panic!("opcode {other}"),
            });
            self.received = rest;
        }
    }

    /// What came since the last call: requests by method and subject, control frames by name.
    pub(super) fn heard(&mut self) -> Vec<String> {
        self.receive();
        self.came.drain(..).map(|(name, _)| name).collect()
    }

    /// The next question of a round: its name and its id. What else came stays.
    pub(super) fn question(&mut self) -> Option<(String, String)> {
        self.receive();
        let place = self.came.iter().position(|(_, id)| id.starts_with(['a', 'o', 'f']))?;
        Some(self.came.remove(place))
    }

    /// Answers the request of this id.
    pub(super) fn reply(&mut self, id: &str, result: &Value) {
        self.say(&json!({"id": id, "status": 200, "result": result, "rateLimits": []}));
    }
}

/// A request's name and id.
fn named(request: &Value) -> (String, String) {
    let method = request["method"].as_str().expect("a method");
    let id = request["id"].as_str().expect("an id");
    let subject = u64::from_str_radix(&id[1..], 16).expect("a subject");
    let sequence = ClientOrderId(subject).sequence();
    let name = match method {
        "order.place" | "order.cancel" | "order.status" => format!("{method} {sequence}"),
        "order.cancelReplace" => {
            let old = request["params"]["cancelOrigClientOrderId"].as_str().expect("an id");
            let old = ClientOrderId::parse(old.as_bytes()).expect("ours").sequence();
            let is_strict = request["params"]["cancelRestrictions"] == "ONLY_NEW";
            format!("{method} {old} by {sequence}{}", if is_strict { " if unfilled" } else { "" })
        }
        "openOrders.cancelAll" => format!("{method} {subject}"),
        "myTrades" if id.starts_with('f') => format!("{method} from {}", request["params"]["fromId"]),
        "myTrades" => format!("{method} {}", subject - venue_id(0)),
        "openOrders.status" => format!("{method} {}", request["params"]["symbol"].as_str().unwrap_or("-")),
        _ => method.to_owned(),
    };
    (name, id.to_owned())
}

/// The first whole frame of a client: opcode, payload, and what is behind it.
fn unmasked(bytes: &[u8]) -> Option<(u8, Vec<u8>, Vec<u8>)> {
    let (&[first, second], _) = bytes.split_first_chunk::<2>()?;
    let (start, length) = match second & 0x7F {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?))),
        length => (2, usize::from(length)),
    };
    let mask = bytes.get(start..start + 4)?;
    let payload = bytes.get(start + 4..start + 4 + length)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some((first & 0x0F, payload, bytes[start + 4 + length..].to_vec()))
}

/// The answer to a request about `subject`, whose kind `letter` tells.
pub(super) fn answer(letter: char, subject: u64, result: Value) -> Value {
    json!({"id": format!("{letter}{subject:016x}"), "status": 200, "result": result, "rateLimits": []})
}

/// The refusal of a request about `subject`.
pub(super) fn refusal(letter: char, subject: u64, status: u16, code: i32) -> Value {
    json!({"id": format!("{letter}{subject:016x}"), "status": status, "error": {"code": code, "msg": "words"}})
}

/// What `order.place` is answered with.
pub(super) fn acknowledged(sequence: u64) -> Value {
    let result = json!({"symbol": "BTCUSDT", "orderId": venue_id(sequence), "orderListId": -1,
        "clientOrderId": id(sequence).to_string(), "transactTime": 1});
    answer('p', id(sequence).0, result)
}

/// How an order stands, as a query shows it.
pub(super) fn order_row(sequence: u64, status: &str, filled: i64) -> Value {
    json!({"symbol": "BTCUSDT", "orderId": venue_id(sequence), "clientOrderId": id(sequence).to_string(),
        "price": "100.00", "origQty": "10", "executedQty": filled.to_string(), "status": status, "side": "BUY",
        "updateTime": 1})
}

/// What `order.status` is answered with.
pub(super) fn standing(sequence: u64, status: &str, filled: i64) -> Value {
    answer('q', id(sequence).0, order_row(sequence, status, filled))
}

/// A fill as `myTrades` shows it: its execution id and quantity.
pub(super) fn fill_row(sequence: u64, (execution, quantity): (u64, i64)) -> Value {
    json!({"symbol": "BTCUSDT", "id": execution, "orderId": venue_id(sequence), "price": "100.00",
        "qty": quantity.to_string(), "commission": "0", "commissionAsset": "USDT", "time": 1, "isBuyer": true,
        "isMaker": true})
}

/// What `account.status` is answered with.
pub(super) fn balances(held: &[(&str, &str, &str)]) -> Value {
    let row = |(asset, free, locked): &(&str, &str, &str)| json!({"asset": asset, "free": free, "locked": locked});
    json!({"balances": held.iter().map(row).collect::<Vec<_>>()})
}

/// What `myTrades` is answered with: execution ids and quantities.
pub(super) fn trades(sequence: u64, fills: &[(u64, i64)]) -> Value {
    answer('t', venue_id(sequence), fills.iter().map(|&fill| fill_row(sequence, fill)).collect())
}

/// An execution report of type `kind` and status `status`; a fill has an execution id and a quantity.
pub(super) fn execution(sequence: u64, kind: &str, status: &str, fill: (u64, i64), cumulative: i64) -> Value {
    let trade = if fill.0 == 0 { json!(-1) } else { json!(fill.0) };
    let (client, original) = match kind {
        "CANCELED" => ("web_1".to_owned(), id(sequence).to_string()),
        _ => (id(sequence).to_string(), String::new()),
    };
    json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": 1, "s": "BTCUSDT", "c": client, "S": "BUY",
        "o": "LIMIT", "f": "GTC", "q": "10", "p": "100.00", "C": original, "x": kind, "X": status, "r": "NONE",
        "i": venue_id(sequence), "l": fill.1.to_string(), "z": cumulative.to_string(),
        "L": if fill.0 == 0 { "0" } else { "100.00" }, "n": "0", "N": null, "T": 1, "t": trade, "m": true}})
}

pub(super) fn accepted(sequence: u64) -> Value {
    execution(sequence, "NEW", "NEW", (0, 0), 0)
}

pub(super) fn filled(sequence: u64, fill: (u64, i64), cumulative: i64) -> Value {
    let status = if cumulative == QUANTITY { "FILLED" } else { "PARTIALLY_FILLED" };
    execution(sequence, "TRADE", status, fill, cumulative)
}

pub(super) fn canceled(sequence: u64, cumulative: i64) -> Value {
    execution(sequence, "CANCELED", "CANCELED", (0, 0), cumulative)
}

/// Lanes and pipe of a rig.
pub(super) struct Sizes {
    pub(super) reports: usize,
    pub(super) wire: usize,
    /// Writes of 247 bytes that a pipe holds.
    pub(super) pipe: usize,
    /// How often a round of reconciliation begins; zero for one at the start of a session alone.
    pub(super) reconcile_ms: u64,
    pub(super) last_known: LastKnown,
    pub(super) open_orders: Vec<OpenOrder>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            reports: 1_024,
            wire: 64,
            pipe: 4_096,
            reconcile_ms: 0,
            last_known: LastKnown::default(),
            open_orders: Vec::new(),
        }
    }
}

pub(super) struct Rig {
    pub(super) gateway: Gateway,
    pub(super) now: Timestamp,
    clock: Clock,
    orders: Sender<Approved>,
    cancels: Sender<CancelIntent>,
    reports: Receiver<GatewayMessage>,
    pub(super) sent: Receiver<SentOrder>,
    requests: Receiver<Request>,
    arrivals: channel::Sender<Arrival>,
    pub(super) retired: channel::Receiver<Box<Connection>>,
    notices: Receiver<Notice>,
    pub(super) counters: Shared<GatewayCounters>,
    pub(super) budget: Arc<Budget>,
    budgets: Vec<String>,
    pipe: usize,
    is_byte_by_byte: bool,
    pub(super) start: GatewayStart,
    pub(super) instruments: Arc<Instruments>,
    drain: Drain,
    /// Everything that it wrote down.
    pub(super) entries: Vec<Entry>,
    /// Everything that risk was told.
    told: Vec<GatewayMessage>,
}

fn instruments() -> Arc<Instruments> {
    let mut instruments = Instruments::new();
    let base = instruments.intern_asset(Symbol::new("BTC").expect("a symbol")).expect("room");
    let quote = instruments.intern_asset(Symbol::new("USDT").expect("a symbol")).expect("room");
    let instrument = Instrument {
        id: InstrumentId(0),
        venue: VenueId(0),
        symbol: Symbol::new("BTCUSDT").expect("a symbol"),
        base,
        quote,
        price_precision: 2,
        quantity_precision: 0,
        tick: Price(1),
        lot: Quantity(1),
        quantity_min: Quantity(1),
        quantity_max: Quantity(1_000),
        market_quantity_max: Quantity(1_000),
        price_min: Price(1),
        price_max: Price(0),
        notional_min: Money::ZERO,
        notional_max: Money::ZERO,
        status: InstrumentStatus::Trading,
    };
    instruments.add(instrument).expect("an instrument");
    Arc::new(instruments)
}

/// Reads one byte a call.
struct ByteByByte(MemoryPipe);

impl ByteStream for ByteByByte {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, crate::venue::StreamError> {
        self.0.try_read(&mut buffer[..1])
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, crate::venue::StreamError> {
        self.0.try_write(bytes)
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        Self::with(&Sizes::default())
    }

    pub(super) fn with(sizes: &Sizes) -> Self {
        let start = Timestamp::from_millis(1_700_000_000_000);
        let clock = Clock::virtual_at(start);
        let (orders, gateway_orders) = lane_of(256, || Approved::unchecked(Order::default()));
        let (cancels, gateway_cancels) = lane(1_024);
        let (gateway_reports, reports) = lane(sizes.reports);
        let (gateway_sent, sent) = lane(2);
        let (gateway_requests, requests) = lane(16);
        let (gateway_notices, notices) = lane(1_024);
        let (arrivals, gateway_arrivals) = channel::bounded(4);
        let (retire, retired) = channel::bounded(64);
        let counters = Shared::<GatewayCounters>::default();
        let budget = Arc::new(Budget::new(Timestamp::UNKNOWN));
        budget.learn(BudgetLimits { weight: 6_000, orders: 10_000 });
        let instruments = instruments();
        let keys = Credentials::ed25519("test".to_owned().into(), &PEM.to_owned().into()).expect("a key");
        let config = GatewayConfig {
            name: "gateway-test",
            venue: VenueId(0),
            encoder: OrderEncoder::new(Arc::new(keys), SessionKind::LoggedOn),
            codec: UserCodec::new(Arc::clone(&instruments), VenueId(0)),
            instruments: Arc::clone(&instruments),
            wire_capacity: sizes.wire,
            request_timeout_ns: TIMEOUT_MS * 1_000_000,
            clock_offset_ns: 0,
            budget: Arc::clone(&budget),
            reconcile_interval_ns: match sizes.reconcile_ms {
                0 => 1 << 62,
                millis => millis * 1_000_000,
            },
            last_known: vec![sizes.last_known],
            open_orders: sizes.open_orders.clone(),
            seed: 7,
        };
        let lanes = GatewayLanes {
            orders: gateway_orders,
            cancels: gateway_cancels,
            reports: gateway_reports,
            sent: gateway_sent,
            connections: ConnectionPort { arrivals: gateway_arrivals, retired: retire },
            requests: gateway_requests,
            notices: gateway_notices,
        };
        let begun = config.start();
        let (tap, drain) = Tap::new();
        let gateway = Gateway::new(config, lanes, clock.clone(), Shared::clone(&counters)).with_journal(tap);
        let pipe = sizes.pipe;
        Self {
            gateway,
            now: start,
            clock,
            orders,
            cancels,
            reports,
            sent,
            requests,
            arrivals,
            retired,
            notices,
            counters,
            budget,
            budgets: Vec::new(),
            pipe,
            is_byte_by_byte: false,
            start: begun,
            instruments,
            drain,
            entries: Vec::new(),
            told: Vec::new(),
        }
    }

    pub(super) fn byte_by_byte() -> Self {
        let mut rig = Self::new();
        rig.is_byte_by_byte = true;
        rig
    }

    /// Polls until nothing more happens.
    pub(super) fn poll(&mut self) {
        let cycles = if self.is_byte_by_byte { 20_000 } else { 20 };
        for _ in 0..cycles {
            self.cycle();
        }
    }

    /// One cycle.
    pub(super) fn cycle(&mut self) {
        self.gateway.poll(self.now);
        self.drain.drain(|entry| self.entries.push(*entry));
    }

    /// Lets time pass, polling all the while.
    pub(super) fn wait(&mut self, millis: u64) {
        let end = self.now.plus(millis * 1_000_000);
        while self.now < end {
            self.now = self.now.plus(50_000_000).min(end);
            self.clock.set(self.now);
            self.cycle();
        }
        self.poll();
    }

    /// Lets time pass while the venue is there, and says nothing.
    pub(super) fn idle(&mut self, venue: &mut Venue, millis: u64) {
        for start in (0..millis).step_by(4_000) {
            venue.write(&framed(10, b""));
            self.wait((millis - start).min(4_000));
        }
    }

    /// How often a connection was asked for since the last call.
    pub(super) fn connects_wanted(&mut self) -> usize {
        self.requests.drain(u64::MAX, |request| assert_eq!(*request, Request::Connect))
    }

    pub(super) fn has_request(&self) -> bool {
        self.requests.has_next()
    }

    pub(super) fn arrive(&mut self, arrival: Arrival) {
        self.arrivals.try_send(arrival).unwrap_or_else(|_| panic!("room"));
        self.poll();
    }

    pub(super) fn connect_over(&mut self, stream: Box<dyn ByteStream>) {
        self.arrive(Arrival::Connected(Box::new(Connection::new(stream, FrameReader::new(), 3, self.now))));
    }

    /// Hands a connection over; the session begins.
    pub(super) fn connect(&mut self) -> Venue {
        let (near, pipe) = MemoryPipe::pair(self.pipe);
        if self.is_byte_by_byte {
            self.connect_over(Box::new(ByteByByte(near)));
        } else {
            self.connect_over(Box::new(near));
        }
        Venue::over(pipe)
    }

    /// Logs on and subscribes.
    pub(super) fn subscribe(&mut self, venue: &mut Venue) {
        assert_eq!(venue.heard(), ["session.logon"]);
        venue.say(&answer('l', 0, json!({})));
        self.poll();
        assert_eq!(venue.heard(), ["userDataStream.subscribe"]);
        venue.say(&answer('s', 0, json!({"subscriptionId": 0})));
        self.poll();
    }

    /// Answers a whole round of reconciliation: the same balances twice, these open orders and these fills.
    pub(super) fn round(&mut self, venue: &mut Venue, held: &Value, open: &[Value], fills: &[Value]) {
        let answers = [
            ("account.status", held.clone()),
            ("openOrders.status", json!(open)),
            ("myTrades", json!(fills)),
            ("account.status", held.clone()),
        ];
        for (method, result) in answers {
            let (name, id) = venue.question().expect(method);
            assert!(name.starts_with(method), "{name} for {method}");
            venue.reply(&id, &result);
            self.poll();
        }
    }

    /// Logs on, subscribes, and goes through a round in which there is nothing.
    pub(super) fn log_on(&mut self, venue: &mut Venue) {
        self.subscribe(venue);
        self.round(venue, &balances(&[]), &[], &[]);
    }

    /// A new connection on which every order is being asked about, or that is ready where nothing is on the wire.
    pub(super) fn session(&mut self) -> Venue {
        self.poll();
        let mut venue = self.connect();
        self.log_on(&mut venue);
        venue
    }

    /// A ready session, and what led to it forgotten.
    pub(super) fn ready() -> (Self, Venue) {
        Self::ready_with(&Sizes::default())
    }

    pub(super) fn ready_with(sizes: &Sizes) -> (Self, Venue) {
        let mut rig = Self::with(sizes);
        let venue = rig.session();
        assert_eq!(rig.told().last().map(String::as_str), Some("reports up true"));
        rig.noticed();
        (rig, venue)
    }

    /// A ready session with order 1 working.
    pub(super) fn working() -> (Self, Venue) {
        Self::working_with(&Sizes::default())
    }

    pub(super) fn working_with(sizes: &Sizes) -> (Self, Venue) {
        let (mut rig, mut venue) = Self::ready_with(sizes);
        rig.place(1);
        assert_eq!(venue.heard(), ["order.place 1"]);
        venue.say(&acknowledged(1));
        venue.say(&accepted(1));
        rig.poll();
        assert_eq!(rig.told(), ["Sent 1", "Accepted 1"]);
        (rig, venue)
    }

    /// What `say` makes the gateway tell risk.
    pub(super) fn hears(&mut self, venue: &mut Venue, values: &[Value]) -> Vec<String> {
        for value in values {
            venue.say(value);
        }
        self.poll();
        self.told()
    }

    pub(super) fn queue_order(&mut self, sequence: u64) {
        let order = Order {
            client_order_id: id(sequence),
            price: Price(10_000),
            quantity: Quantity(QUANTITY),
            ..Order::default()
        };
        self.orders.try_send(Approved::unchecked(order)).expect("room");
    }

    /// Wants order `sequence` in the place of order `old`.
    pub(super) fn replace(&mut self, old: u64, sequence: u64, only_if_unfilled: bool) {
        let order = Order {
            client_order_id: id(sequence),
            replaces: id(old),
            price: Price(10_100),
            quantity: Quantity(QUANTITY),
            ..Order::default()
        };
        let approved =
            if only_if_unfilled { Approved::unchecked_if_unfilled(order) } else { Approved::unchecked(order) };
        self.orders.try_send(approved).expect("room");
        self.poll();
    }

    /// Wants everything in an instrument canceled.
    pub(super) fn queue_cancel_all(&mut self, instrument: u32) {
        let cancel = CancelIntent { instrument: InstrumentId(instrument), ..CancelIntent::default() };
        self.cancels.try_send(cancel).expect("room");
    }

    pub(super) fn queue_cancel(&mut self, sequence: u64) {
        self.cancels.try_send(CancelIntent { client_order_id: id(sequence), ..CancelIntent::default() }).expect("room");
    }

    pub(super) fn place(&mut self, sequence: u64) {
        self.queue_order(sequence);
        self.poll();
    }

    pub(super) fn cancel(&mut self, sequence: u64) {
        self.queue_cancel(sequence);
        self.poll();
    }

    /// What risk was told since the last call, but for the budget.
    pub(super) fn told(&mut self) -> Vec<String> {
        let (mut told, budgets, all) = (Vec::new(), &mut self.budgets, &mut self.told);
        self.reports.drain(u64::MAX, |message| {
            all.push(*message);
            match message {
                GatewayMessage::Budget { .. } => budgets.push(words(message)),
                _ => told.push(words(message)),
            }
        });
        told
    }

    /// What risk was told of the budget since the last call.
    pub(super) fn budgets_told(&mut self) -> Vec<String> {
        self.told();
        std::mem::take(&mut self.budgets)
    }

    /// The codes of the notices since the last call.
    pub(super) fn noticed(&mut self) -> Vec<NoticeCode> {
        let mut codes = Vec::new();
        self.notices.drain(u64::MAX, |notice| codes.push(notice.code));
        codes
    }
}

/// A gateway that runs on entries, and what it tells.
pub(super) fn replay(
    start: &GatewayStart,
    instruments: &Instruments,
    entries: &[Entry],
) -> Result<(GatewayReplay, Vec<GatewayMessage>), Box<Difference>> {
    let mut bytes = Vec::new();
    start.put(&mut bytes);
    let start = GatewayStart::take(&mut bytes.as_slice()).expect("whole");
    let mut replay = GatewayReplay::new(&start, instruments);
    let mut told = Vec::new();
    let mut tell = |entry: Entry| {
        let Event::Gateway { message, .. } = entry.event else { panic!("{entry:?}") };
        told.push(message);
    };
    entries.iter().try_for_each(|entry| replay.next(entry, &mut tell))?;
    // A cycle that begins lets the last one run.
    replay.next(&Entry { event: Event::Cycle, ..Entry::default() }, &mut tell)?;
    Ok((replay, told))
}

impl Drop for Rig {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.told();
        let (again, told) = replay(&self.start, &self.instruments, &self.entries)
            .unwrap_or_else(|difference| panic!("it replays otherwise: {difference:#?}"));
        assert_eq!(told, self.told, "it tells the same in replay");
        assert_eq!(again.gateway().digest(), self.gateway.digest(), "it comes to the same in replay");
    }
}

/// Without what rounds of reconciliation say of themselves.
pub(super) fn without_rounds(told: Vec<String>) -> Vec<String> {
    told.into_iter().filter(|told| !told.starts_with("round") && !told.starts_with("balance")).collect()
}

fn words(message: &GatewayMessage) -> String {
    match message {
        GatewayMessage::Session { state, .. } => format!("session {state:?}"),
        GatewayMessage::ReportStream { is_up, .. } => format!("reports up {is_up}"),
        GatewayMessage::Round { round, .. } => format!("round {round:?}"),
        GatewayMessage::Balance { asset, total, .. } => format!("balance {}: {total}", asset.0),
        GatewayMessage::Transfer { asset, amount, .. } => format!("transfer {}: {amount}", asset.0),
        GatewayMessage::Budget { used_weight, used_orders, .. } => format!("used {used_weight} {used_orders}"),
        GatewayMessage::Report(report) => {
            let head = format!("{:?} {}", report.kind, report.client_order_id.sequence());
            match report.kind {
                ReportKind::Fill => format!(
                    "{head}: {} of {} by {}",
                    report.last_quantity.0, report.cumulative_quantity.0, report.execution_id
                ),
                ReportKind::Status => format!("{head}: {:?}", report.status),
                ReportKind::Rejected | ReportKind::CancelRejected => format!("{head}: {}", report.code),
                _ => head,
            }
        }
    }
}
