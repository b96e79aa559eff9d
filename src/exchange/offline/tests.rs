use super::*;
use crate::exchange::{
    DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Fault, FaultConfig, FaultRates, Filters, SymbolConfig, WalkConfig,
};
use crate::matching::UNIT;
use crate::venue::binance::{Credentials, OrderEncoder, SessionKind};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::sync::Arc;

const START_NS: u64 = 1_700_000_000_000_000_000;
const MS: u64 = 1_000_000;

fn config(seed: u64, faults: FaultConfig) -> ExchangeConfig {
    let mut config = ExchangeConfig::shipped().expect("the shipped key");
    config.symbols = vec![SymbolConfig {
        symbol: "BTCUSDT".to_owned(),
        base: "BTC".to_owned(),
        quote: "USDT".to_owned(),
        filters: Some(Filters::new(UNIT / 100, UNIT / 100_000)),
        recordings: vec![],
    }];
    config.walk = Some(WalkConfig { seed, price: 100 * UNIT, step_ticks: 5, interval_ns: 100 * MS });
    config.faults = faults;
    config
}

/// A client whose session logged on and listens.
struct Client {
    exchange: Offline,
    session: SessionId,
    now_ns: u64,
    asked: u64,
    heard: Vec<Value>,
}

impl Client {
    fn new(config: &ExchangeConfig) -> Self {
        let mut exchange = Offline::new(config, START_NS).expect("a good configuration");
        let session = exchange.connect().expect("not banned");
        let mut client = Self { exchange, session, now_ns: START_NS, asked: 0, heard: Vec::new() };
        client.log_on();
        client
    }

    fn log_on(&mut self) {
        let (key, secret) = (SecretString::from(DEMO_ED25519_API_KEY), SecretString::from(DEMO_ED25519_PRIVATE_KEY));
        let keys = Credentials::ed25519(key, &secret).expect("a key");
        let mut encoder = OrderEncoder::new(Arc::new(keys), SessionKind::LoggedOn);
        let text = String::from_utf8(encoder.logon(self.now_ns / MS).expect("short").to_vec()).expect("text");
        self.exchange.receive(self.session, &text);
        self.send("userDataStream.subscribe", json!({}));
    }

    fn send(&mut self, method: &str, mut params: Value) {
        self.asked += 1;
        params["timestamp"] = json!(self.now_ns / MS);
        let request = json!({ "id": self.asked, "method": method, "params": params });
        self.exchange.receive(self.session, &request.to_string());
    }

    fn wait(&mut self, millis: u64) {
        self.now_ns += millis * MS;
        self.exchange.advance(self.now_ns);
        while let Some(text) = self.exchange.next(self.session) {
            self.heard.push(serde_json::from_str(&text).expect("JSON"));
        }
    }

    /// The answer to a request.
    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(method, params);
        self.wait(0);
        let id = json!(self.asked);
        self.heard.iter().find(|heard| heard["id"] == id).cloned().unwrap_or(Value::Null)
    }

    fn limit(&self, side: &str, price: &str, id: u64) -> Value {
        json!({ "symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.5", "price": price,
                "newClientOrderId": format!("o{id}") })
    }
}

#[test]
fn a_session_trades_in_virtual_time() {
    let mut client = Client::new(&config(1, FaultConfig::CALM));
    let placed = client.ask("order.place", client.limit("BUY", "90.00", 1));
    assert_eq!(placed["result"]["status"], "NEW", "{placed}");
    let open: Vec<_> = client.exchange.open_quantities(DEMO_ED25519_API_KEY).collect();
    assert_eq!(open, [("BTCUSDT", "o1", 50_000_000)]);
    let taken = client.ask("order.place", client.limit("SELL", "90.00", 2));
    assert_eq!(taken["result"]["status"], "FILLED", "{taken}");
    let sold: i64 = client.exchange.fills(DEMO_ED25519_API_KEY, 0).map(|fill| fill.quantity).sum();
    assert_eq!(sold, UNIT / 2);
    assert_eq!(client.exchange.balance(DEMO_ED25519_API_KEY, "BTC").free, 10 * UNIT - UNIT / 2);
    let reports: Vec<_> =
        client.heard.iter().map(|heard| heard["event"]["x"].clone()).filter(Value::is_string).collect();
    assert_eq!(reports[..3], [json!("NEW"), json!("NEW"), json!("TRADE")]);
    // A request of too long ago is refused by the exchange's clock, not by the wall's.
    client.wait(10_000);
    let late = json!({ "id": 99, "method": "order.cancel", "params": { "symbol": "BTCUSDT", "origClientOrderId": "o1", "timestamp": START_NS / MS } });
    client.exchange.receive(client.session, &late.to_string());
    client.wait(0);
    assert_eq!(client.heard.last().expect("an answer")["error"]["code"], -1021);
    assert!(client.exchange.summary().market_events >= 100);
    let (status, klines) = client.exchange.call("klines", "symbol=BTCUSDT&interval=1s&limit=5");
    assert_eq!((status, serde_json::from_str::<Vec<Value>>(&klines).expect("rows").len()), (200, 5));
}

#[test]
fn the_market_walks_in_ordinary_updates() {
    let mut exchange = Offline::new(&config(3, FaultConfig::CALM), START_NS).expect("a good configuration");
    let (mut last_id, mut prices) = (0, std::collections::BTreeSet::new());
    for step in 1..200 {
        exchange.advance(START_NS + step * 100 * MS);
        let (bid, ask) = exchange.top("BTCUSDT").expect("a symbol");
        assert!(bid.0 < ask.0 && bid.1 > 0 && ask.1 > 0);
        let (_, depth) = exchange.call("depth", "symbol=BTCUSDT&limit=5");
        let depth: Value = serde_json::from_str(&depth).expect("JSON");
        let (id, best) = (depth["lastUpdateId"].as_u64().expect("an id"), depth["bids"][0][0].clone());
        assert!(id >= last_id && best == json!(crate::exchange::text::decimal(bid.0).as_str()));
        last_id = id;
        prices.insert(bid.0);
    }
    assert!(prices.len() > 20);
}

/// One fault alone, at a rate of everything.
fn alone(fault: Fault) -> FaultConfig {
    let rate = if fault.is_of_messages() { 1_000_000 } else { 60_000_000 };
    FaultConfig { seed: 5, rates: FaultRates::CALM.with(fault, rate), waits_for_order: true }
}

/// What two orders and a cancel come to under one fault: what was heard of the second order, and whether it is there.
fn outcome(fault: Fault) -> (Client, Value, bool) {
    let mut client = Client::new(&config(1, alone(fault)));
    client.ask("order.place", client.limit("BUY", "80.00", 1));
    let answer = client.ask("order.place", client.limit("BUY", "81.00", 2));
    let is_there = client.exchange.orders(DEMO_ED25519_API_KEY, 0).any(|order| order.client_order_id == "o2");
    (client, answer, is_there)
}

#[test]
fn faults_decide_what_arrives_and_what_is_told() {
    for (fault, is_answered, is_done, is_up) in [
        (Fault::AnswerDropped, false, true, true),
        (Fault::AnswerLate, false, true, true),
        (Fault::RequestSwallowed, false, false, true),
        (Fault::CutBefore, false, false, false),
        (Fault::CutAfter, false, true, false),
        (Fault::UnknownDone, true, true, true),
        (Fault::UnknownNotDone, true, false, true),
        (Fault::TooManyRequests, true, false, true),
    ] {
        let (client, answer, is_there) = outcome(fault);
        assert_eq!((!answer.is_null(), is_there), (is_answered, is_done), "{}: {answer}", fault.name());
        assert_eq!(client.exchange.is_connected(client.session), is_up, "{}", fault.name());
        assert_eq!(client.exchange.summary().faults.of(fault), 1, "{}", fault.name());
    }
    let (_, answer, _) = outcome(Fault::TooManyRequests);
    assert_eq!((&answer["status"], answer["error"]["data"]["retryAfter"].is_u64()), (&json!(429), true));
    let (mut client, _, _) = outcome(Fault::AnswerLate);
    client.wait(12_000);
    assert!(client.heard.iter().any(|heard| heard["id"] == json!(client.asked) && heard["status"] == 200));
}

#[test]
fn user_events_are_dropped_doubled_late_and_overtaken() {
    let reports = |client: &Client| -> Vec<String> {
        let named = client.heard.iter().filter(|heard| heard["event"]["e"] == "executionReport");
        named.map(|heard| heard["event"]["c"].as_str().expect("an id").to_owned()).collect()
    };
    let (client, ..) = outcome(Fault::ReportDropped);
    assert!(reports(&client).is_empty());
    let (client, ..) = outcome(Fault::ReportDuplicated);
    assert_eq!(reports(&client), ["o1", "o1", "o2", "o2"]);
    let (mut client, ..) = outcome(Fault::ReportDelayed);
    assert!(reports(&client).is_empty());
    client.wait(3_000);
    assert_eq!(reports(&client).len(), 2);
    let (mut client, ..) = outcome(Fault::ReportReordered);
    client.wait(200);
    assert_eq!(reports(&client).len(), 2);
}

#[test]
fn time_brings_bans_cuts_stalls_and_strangers() {
    let after = |fault| {
        let mut client = Client::new(&config(1, alone(fault)));
        client.ask("order.place", client.limit("BUY", "99.00", 1));
        for _ in 0..20 {
            client.wait(10);
        }
        client
    };
    assert_eq!(after(Fault::Ban).exchange.connect().err().map(|seconds| (1..=4).contains(&seconds)), Some(true));
    let client = after(Fault::Cut);
    assert!(!client.exchange.is_connected(client.session));
    let mut client = after(Fault::Stall);
    assert!(client.ask("time", json!({})).is_null());
    let client = after(Fault::StreamTerminated);
    assert!(client.heard.iter().any(|heard| heard["event"]["e"] == "eventStreamTerminated"));
    let mut client = after(Fault::ServerShutdown);
    assert!(client.heard.iter().any(|heard| heard["event"]["e"] == "serverShutdown"));
    client.wait(3_000);
    assert!(!client.exchange.is_connected(client.session));
    let mut client = after(Fault::ExternalOrder);
    assert!(client.exchange.orders(DEMO_ED25519_API_KEY, 1).count() > 0);
    client.exchange.end_faults();
    assert_eq!(
        client.exchange.open_quantities(DEMO_ED25519_API_KEY).filter(|order| order.1.starts_with("web_")).count(),
        0
    );
    let client = after(Fault::ExternalCancel);
    assert_eq!(client.exchange.open_quantities(DEMO_ED25519_API_KEY).count(), 0);
    let client = after(Fault::Transfer);
    assert!(client.heard.iter().any(|heard| heard["event"]["e"] == "balanceUpdate"));
}

#[test]
fn the_same_calls_have_the_same_outcome() {
    let run = |seed| {
        let faults = FaultConfig { seed, rates: FaultRates::STORM, waits_for_order: true };
        let mut client = Client::new(&config(seed, faults));
        for step in 0..300u64 {
            if !client.exchange.is_connected(client.session) {
                client.exchange.disconnect(client.session);
                if let Ok(session) = client.exchange.connect() {
                    client.session = session;
                    client.log_on();
                }
            }
            let (side, price) = if step % 2 == 0 { ("BUY", "100.00") } else { ("SELL", "100.00") };
            client.send("order.place", client.limit(side, price, step));
            client.wait(100);
        }
        (client.heard, client.exchange.summary())
    };
    let (heard, summary) = run(7);
    assert!(summary.fills > 10 && summary.faults.total() > 10, "{summary:?}");
    assert!((heard, summary) == run(7));
    assert!(summary != run(8).1);
}
