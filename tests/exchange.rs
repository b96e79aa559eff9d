//! The simulated exchange through real sockets, as a Binance client uses it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests may wait and print")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use gannet::exchange::{
    DEMO_ED25519_API_KEY, DEMO_ED25519_PRIVATE_KEY, Exchange, ExchangeConfig, ExchangeError, Speed,
};
use ring::{hmac, signature::Ed25519KeyPair};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio_tungstenite::tungstenite::stream::MaybeTlsStream;
use tokio_tungstenite::tungstenite::{Message, WebSocket, connect};

type Socket = WebSocket<MaybeTlsStream<TcpStream>>;

fn start(change: impl FnOnce(&mut ExchangeConfig)) -> Exchange {
    let mut config = ExchangeConfig::shipped().expect("the shipped key");
    change(&mut config);
    Exchange::start(&config).expect("starts")
}

fn now_ms() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

fn open(exchange: &Exchange, path: &str) -> Socket {
    let (mut socket, _) = connect(format!("ws://{}{path}", exchange.address())).expect("connects");
    if let MaybeTlsStream::Plain(stream) = socket.get_mut() {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    }
    socket
}

fn next(socket: &mut Socket) -> Value {
    loop {
        if let Message::Text(text) = socket.read().expect("a message in time") {
            return serde_json::from_str(&text).expect("JSON");
        }
    }
}

fn send(socket: &mut Socket, value: &Value) {
    socket.send(Message::Text(value.to_string().into())).expect("sent");
}

/// Status, head and body.
fn http(exchange: &Exchange, method: &str, target: &str, key: &str) -> (u16, String, Value) {
    let mut stream = TcpStream::connect(exchange.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: x\r\nX-MBX-APIKEY: {key}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a response");
    let status = head[9..12].parse().unwrap();
    (status, head.to_owned(), serde_json::from_str(body).unwrap_or(Value::Null))
}

fn hmac_hex(payload: &str) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, b"demo"), payload.as_bytes());
    tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(exchange: &Exchange, method: &str, path: &str, query: &str) -> (u16, String, Value) {
    let query = format!("{query}&timestamp={}", now_ms());
    http(exchange, method, &format!("/api/v3/{path}?{query}&signature={}", hmac_hex(&query)), "demo")
}

/// The parameters with key and signature, as the WebSocket API wants them: sorted by name.
fn with_signature(mut params: Value, api_key: &str, sign: impl Fn(&str) -> String) -> Value {
    let object = params.as_object_mut().unwrap();
    object.insert("apiKey".into(), api_key.into());
    object.insert("timestamp".into(), now_ms().into());
    let sorted: BTreeMap<_, _> = object.iter().collect();
    let pair = |(name, value): (&&String, &&Value)| {
        format!("{name}={}", value.as_str().map_or(value.to_string(), str::to_owned))
    };
    let payload: Vec<_> = sorted.iter().map(pair).collect();
    let signature = sign(&payload.join("&"));
    object.insert("signature".into(), signature.into());
    params
}

fn ed25519(payload: &str) -> String {
    let body: String = DEMO_ED25519_PRIVATE_KEY.lines().filter(|line| !line.starts_with('-')).collect();
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&STANDARD.decode(body).unwrap()).unwrap();
    STANDARD.encode(pair.sign(payload.as_bytes()))
}

fn ask(socket: &mut Socket, id: u64, method: &str, params: &Value) -> Value {
    send(socket, &json!({ "id": id, "method": method, "params": params }));
    loop {
        let answer = next(socket);
        if answer["id"] == json!(id) {
            return answer;
        }
    }
}

fn top(exchange: &Exchange) -> (f64, f64) {
    let (_, _, ticker) = http(exchange, "GET", "/api/v3/ticker/bookTicker?symbol=BTCUSDT", "");
    let price = |name: &str| ticker[name].as_str().unwrap().parse::<f64>().unwrap();
    (price("bidPrice"), price("askPrice"))
}

fn shared_data(file: &str) -> Option<PathBuf> {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().map(|parent| parent.join("shared/data").join(file)).find(|path| path.exists())
}

#[test]
fn only_loopback_is_served() {
    let mut config = ExchangeConfig::shipped().unwrap();
    config.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Exchange::start(&config), Err(ExchangeError::NotLoopback(_))));
}

#[test]
fn an_order_lives_on_a_session_that_logged_on_once() {
    let exchange = start(|_| {});
    let mut socket = open(&exchange, "/ws-api/v3");
    let order = |price: f64, id: &str| {
        json!({ "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.01000",
                "price": format!("{price:.2}"), "newClientOrderId": id, "timestamp": now_ms() })
    };
    let (bid, ask_price) = top(&exchange);
    assert_eq!(ask(&mut socket, 1, "order.place", &order(bid, "gn0"))["error"]["code"], -2014, "not logged on");
    let logon = ask(&mut socket, 2, "session.logon", &with_signature(json!({}), "demo", hmac_hex));
    assert_eq!(logon["error"]["code"], -4056, "HMAC keys cannot log on: {logon}");
    let logon = ask(&mut socket, 3, "session.logon", &with_signature(json!({}), DEMO_ED25519_API_KEY, ed25519));
    assert_eq!((&logon["status"], &logon["result"]["apiKey"]), (&json!(200), &json!(DEMO_ED25519_API_KEY)));
    assert_eq!(ask(&mut socket, 4, "userDataStream.subscribe", &json!({}))["result"]["subscriptionId"], 0);

    let placed = ask(&mut socket, 5, "order.place", &order(bid * 0.9, "resting"));
    assert_eq!((&placed["status"], &placed["result"]["status"]), (&json!(200), &json!("NEW")), "{placed}");
    assert_eq!(placed["rateLimits"][0]["rateLimitType"], "ORDERS");
    let report = next(&mut socket);
    assert_eq!(report["subscriptionId"], 0);
    let event = &report["event"];
    assert_eq!((&event["e"], &event["x"], &event["X"]), (&json!("executionReport"), &json!("NEW"), &json!("NEW")));
    assert_eq!(
        (&event["c"], &event["C"], &event["t"], &event["N"]),
        (&json!("resting"), &json!(""), &json!(-1), &Value::Null)
    );
    let position = next(&mut socket);
    assert_eq!(position["event"]["e"], "outboundAccountPosition");
    assert_ne!(position["event"]["B"][1]["l"], "0.00000000");

    let again = ask(&mut socket, 6, "order.place", &order(bid * 0.9, "resting"));
    assert_eq!(again["error"], json!({ "code": -2010, "msg": "Duplicate order sent." }));
    let by_name = json!({ "symbol": "BTCUSDT", "origClientOrderId": "resting", "timestamp": now_ms() });
    assert_eq!(ask(&mut socket, 7, "order.status", &by_name)["result"]["status"], "NEW");
    assert_eq!(ask(&mut socket, 8, "order.cancel", &by_name)["result"]["status"], "CANCELED");
    let event = next(&mut socket)["event"].clone();
    assert_eq!((&event["x"], &event["C"], &event["z"]), (&json!("CANCELED"), &json!("resting"), &json!("0.00000000")));
    next(&mut socket);
    assert_eq!(ask(&mut socket, 9, "order.cancel", &by_name)["error"]["code"], -2011);

    let taken = ask(&mut socket, 10, "order.place", &order(ask_price + 5.0, "taking"));
    assert_eq!(taken["result"]["status"], "FILLED", "{taken}");
    let fills = taken["result"]["fills"].as_array().unwrap().clone();
    let mut executed = 0.0;
    assert_eq!(next(&mut socket)["event"]["x"], "NEW");
    for fill in &fills {
        let event = next(&mut socket)["event"].clone();
        assert_eq!((&event["x"], &event["t"], &event["N"]), (&json!("TRADE"), &fill["tradeId"], &json!("BTC")));
        executed += event["l"].as_str().unwrap().parse::<f64>().unwrap();
        assert!((event["z"].as_str().unwrap().parse::<f64>().unwrap() - executed).abs() < 1e-9);
    }
    let position = next(&mut socket)["event"].clone();
    assert_eq!(position["B"][0], json!({ "a": "BTC", "f": "10.00999000", "l": "0.00000000" }));
    let account = ask(&mut socket, 11, "account.status", &json!({ "timestamp": now_ms() }));
    let btc = account["result"]["balances"]
        .as_array()
        .unwrap()
        .iter()
        .find(|balance| balance["asset"] == "BTC")
        .unwrap()
        .clone();
    assert_eq!(btc["free"], "10.00999000");
    let all = json!({ "symbol": "BTCUSDT", "orderId": 2, "limit": 10, "timestamp": now_ms() });
    assert_eq!(ask(&mut socket, 12, "allOrders", &all)["result"].as_array().unwrap().len(), 1);
    let summary = exchange.stop();
    assert_eq!((summary.orders, summary.fills), (2, fills.len() as u64));
}

#[test]
fn signed_requests_and_their_user_stream() {
    let exchange = start(|_| {});
    let mut socket = open(&exchange, "/ws-api/v3");
    let subscribed =
        ask(&mut socket, 1, "userDataStream.subscribe.signature", &with_signature(json!({}), "demo", hmac_hex));
    assert_eq!(subscribed["result"]["subscriptionId"], 0, "{subscribed}");
    let (status, head, placed) =
        signed(&exchange, "POST", "order", "symbol=BTCUSDT&side=SELL&type=MARKET&quantity=0.01");
    assert_eq!((status, &placed["status"]), (200, &json!("FILLED")), "{placed}");
    assert!(head.contains("x-mbx-used-weight-1m"), "{head}");
    assert_eq!(next(&mut socket)["event"]["x"], "NEW");
    assert_eq!(next(&mut socket)["event"]["x"], "TRADE");
    let (_, _, trades) = signed(&exchange, "GET", "myTrades", "symbol=BTCUSDT&fromId=1&limit=1000");
    let sold: f64 =
        trades.as_array().unwrap().iter().map(|trade| trade["qty"].as_str().unwrap().parse::<f64>().unwrap()).sum();
    assert!((sold - 0.01).abs() < 1e-9);
    // Another way of the same account, and another account's orders stay its own.
    let params =
        json!({ "symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "quantity": "0.001", "price": "50000.00" });
    let placed = ask(&mut socket, 2, "order.place", &with_signature(params.clone(), DEMO_ED25519_API_KEY, ed25519));
    assert_eq!(placed["status"], 200, "{placed}");
    assert!(placed["result"].get("status").is_none(), "LIMIT_MAKER is acknowledged");
    let (_, _, open) = signed(&exchange, "GET", "openOrders", "symbol=BTCUSDT");
    assert_eq!(open, json!([]));
}

#[test]
fn refusals_have_binances_codes() {
    let exchange = start(|_| {});
    let (bid, _) = top(&exchange);
    let limit = |price: f64, quantity: &str| {
        format!("symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&price={price:.2}&quantity={quantity}")
    };
    let table = [
        (limit(bid * 0.9, "0.00001"), -1013, "Filter failure: NOTIONAL"),
        (limit(bid * 0.9, "0.000011"), -1013, "Filter failure: LOT_SIZE"),
        (limit(bid * 0.9, "1").replace("&quantity", "1&quantity"), -1013, "Filter failure: PRICE_FILTER"),
        (limit(bid * 0.9, "1").replace("BTCUSDT", "NOUSDT"), -1121, "Invalid symbol."),
        (limit(bid * 0.9, "1").replace("BUY", "HOLD"), -1117, "Invalid side."),
        (limit(bid * 0.9, "1").replace("LIMIT", "STOP"), -1116, "Invalid orderType."),
        (limit(bid * 0.9, "1").replace("GTC", "DAY"), -1115, "Invalid timeInForce."),
        (limit(bid * 0.9, "x"), -1100, "Illegal characters found in parameter 'quantity'"),
        (limit(bid * 0.9, "0.0000000001"), -1111, "too much precision"),
        (limit(bid * 0.9, ""), -1102, "'quantity'"),
        (limit(bid * 0.9, "100"), -2010, "Account has insufficient balance for requested action."),
        (
            limit(bid * 1.1, "0.01").replace("LIMIT&timeInForce=GTC", "LIMIT_MAKER"),
            -2010,
            "Order would immediately match and take.",
        ),
    ];
    for (query, code, said) in table {
        let (status, _, error) = signed(&exchange, "POST", "order", &query);
        assert_eq!((status, &error["code"]), (400, &json!(code)), "{query}: {error}");
        assert!(error["msg"].as_str().unwrap().contains(said), "{error}");
    }
    let (_, _, error) = signed(&exchange, "GET", "order", "symbol=BTCUSDT&orderId=99");
    assert_eq!(error, json!({ "code": -2013, "msg": "Order does not exist." }));
    let (_, _, error) = signed(&exchange, "DELETE", "order", "symbol=BTCUSDT&orderId=99");
    assert_eq!(error, json!({ "code": -2011, "msg": "Unknown order sent." }));
    let stamped = |timestamp: u64, key: &str| {
        let query = format!("timestamp={timestamp}");
        http(&exchange, "GET", &format!("/api/v3/account?{query}&signature={}", hmac_hex(&query)), key)
    };
    assert_eq!(stamped(now_ms() - 6_000, "demo").2["code"], -1021);
    assert_eq!(stamped(now_ms() + 2_000, "demo").2["code"], -1021);
    assert_eq!((stamped(now_ms(), "other").0, stamped(now_ms(), "other").2["code"].clone()), (401, json!(-2015)));
    assert_eq!((stamped(now_ms(), "").0, stamped(now_ms(), "").2["code"].clone()), (401, json!(-2014)));
    let (_, _, error) = http(&exchange, "GET", &format!("/api/v3/account?timestamp={}&signature=00", now_ms()), "demo");
    assert_eq!(error, json!({ "code": -1022, "msg": "Signature for this request is not valid." }));
    let mut socket = open(&exchange, "/ws-api/v3");
    assert_eq!(ask(&mut socket, 1, "no.such", &json!({}))["error"]["code"], -1000);
    let last = (0..400).map(|_| http(&exchange, "GET", "/api/v3/exchangeInfo", "").0).find(|status| *status != 200);
    assert_eq!(last, Some(429), "6,000 of weight a minute");
}

#[test]
fn one_order_replaces_another_or_says_which_half_failed() {
    let exchange = start(|_| {});
    let (bid, _) = top(&exchange);
    let replace = |mode: &str, old: &str, price: f64, id: &str| {
        let query = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={price:.2}&newClientOrderId={id}\
             &cancelReplaceMode={mode}&cancelOrigClientOrderId={old}"
        );
        signed(&exchange, "POST", "order/cancelReplace", &query)
    };
    let query = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={:.2}&newClientOrderId=a",
        bid * 0.9
    );
    assert_eq!(signed(&exchange, "POST", "order", &query).0, 200);
    let (status, head, both) = replace("STOP_ON_FAILURE", "a", bid * 0.91, "b");
    assert_eq!((status, &both["cancelResult"], &both["newOrderResult"]), (200, &json!("SUCCESS"), &json!("SUCCESS")));
    assert_eq!(
        (&both["cancelResponse"]["origClientOrderId"], &both["newOrderResponse"]["status"]),
        (&json!("a"), &json!("NEW"))
    );
    assert!(head.contains("x-mbx-order-count-10s: 2") && head.contains("x-mbx-used-weight-1m"), "{head}");
    // The old one is gone: nothing is attempted, or only the new one is done.
    let (status, _, error) = replace("STOP_ON_FAILURE", "a", bid * 0.92, "c");
    assert_eq!(
        (status, &error["code"], &error["data"]["newOrderResult"]),
        (400, &json!(-2022), &json!("NOT_ATTEMPTED"))
    );
    assert_eq!(
        (&error["data"]["cancelResponse"]["code"], &error["data"]["newOrderResponse"]),
        (&json!(-2011), &Value::Null)
    );
    let (status, _, error) = replace("ALLOW_FAILURE", "a", bid * 0.92, "c");
    assert_eq!((status, &error["code"], &error["data"]["cancelResult"]), (409, &json!(-2021), &json!("FAILURE")));
    assert_eq!(error["data"]["newOrderResponse"]["clientOrderId"], "c");
    let (status, _, error) = replace("ALLOW_FAILURE", "a", bid * 0.92, "c");
    assert_eq!(
        (status, &error["code"], &error["data"]["newOrderResponse"]["code"]),
        (400, &json!(-2022), &json!(-2010))
    );
    // Refused before anything is canceled: the filters.
    let (status, _, error) = replace("STOP_ON_FAILURE", "b", 0.01, "d");
    assert_eq!((status, &error["code"], error.get("data")), (400, &json!(-1013), None));
    // Canceled, and then refused by matching.
    let query = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT_MAKER&quantity=0.01&price={:.2}&cancelReplaceMode=STOP_ON_FAILURE\
         &cancelOrigClientOrderId=b&cancelRestrictions=ONLY_",
        bid * 1.1
    );
    let (status, _, error) = signed(&exchange, "POST", "order/cancelReplace", &format!("{query}PARTIALLY_FILLED"));
    assert_eq!((status, &error["code"], &error["data"]["cancelResponse"]["code"]), (400, &json!(-2022), &json!(-2011)));
    let (status, _, error) = signed(&exchange, "POST", "order/cancelReplace", &format!("{query}NEW"));
    assert_eq!((status, &error["code"], &error["data"]["cancelResult"]), (409, &json!(-2021), &json!("SUCCESS")));
    assert_eq!(error["data"]["newOrderResponse"]["msg"], "Order would immediately match and take.");
    let (_, _, open) = signed(&exchange, "GET", "openOrders", "symbol=BTCUSDT");
    assert_eq!(open.as_array().unwrap().iter().map(|order| &order["clientOrderId"]).collect::<Vec<_>>(), ["c"]);
    let (_, _, rules) = http(&exchange, "GET", "/api/v3/exchangeInfo?symbol=BTCUSDT", "");
    assert_eq!(rules["symbols"][0]["cancelReplaceAllowed"], true);
}

#[test]
fn stop_orders_wait_outside_the_book_and_are_triggered_by_trades() {
    let exchange = start(|config| config.speed = Speed::Thousandths(20_000));
    let mut socket = open(&exchange, "/ws-api/v3");
    ask(&mut socket, 1, "userDataStream.subscribe.signature", &with_signature(json!({}), "demo", hmac_hex));
    let (bid, _) = top(&exchange);
    let stop = |side: &str, kind: &str, stop: f64| {
        format!("symbol=BTCUSDT&side={side}&type={kind}&quantity=0.01&stopPrice={stop:.2}")
    };
    let (_, _, error) = signed(&exchange, "POST", "order", &stop("BUY", "STOP_LOSS", bid * 0.9));
    assert_eq!(error, json!({ "code": -2010, "msg": "Stop price would trigger immediately." }));
    let limited = stop("SELL", "STOP_LOSS_LIMIT", bid * 0.9) + &format!("&timeInForce=GTC&price={:.2}", bid * 0.8);
    let (status, _, placed) = signed(&exchange, "POST", "order", &limited);
    assert_eq!((status, placed.get("status")), (200, None), "acknowledged: {placed}");
    let event = next(&mut socket)["event"].clone();
    assert_eq!((&event["x"], &event["w"], event.get("W")), (&json!("NEW"), &json!(false), None), "{event}");
    assert_ne!(event["P"], "0.00000000");
    let (_, _, order) = signed(&exchange, "GET", "order", "symbol=BTCUSDT&orderId=1");
    assert_eq!((&order["isWorking"], &order["type"]), (&json!(false), &json!("STOP_LOSS_LIMIT")));
    // The market moves through one of them soon, however far it is gone on a busy machine before each comes.
    for _ in 0..10 {
        let (bid, ask_price) = top(&exchange);
        for query in [stop("BUY", "STOP_LOSS", ask_price + 0.05), stop("BUY", "TAKE_PROFIT", bid - 0.05)] {
            signed(&exchange, "POST", "order", &query);
        }
    }
    loop {
        let event = next(&mut socket)["event"].clone();
        if event["x"] == "NEW" && event["w"] == true {
            assert!(event["W"].is_u64() && event["o"] != "STOP_LOSS_LIMIT", "{event}");
            break;
        }
    }
    while next(&mut socket)["event"]["x"] != "TRADE" {}
}

/// A client's book, by price in the venue's own text.
#[derive(Default)]
struct ClientBook {
    sides: [BTreeMap<u64, (String, String)>; 2],
    update_id: u64,
}

impl ClientBook {
    fn apply(&mut self, side: usize, levels: &Value) {
        for level in levels.as_array().unwrap() {
            let (price, quantity) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
            let key = price.replace('.', "").parse().unwrap();
            if quantity.bytes().all(|byte| byte == b'0' || byte == b'.') {
                self.sides[side].remove(&key);
            } else {
                self.sides[side].insert(key, (price.to_owned(), quantity.to_owned()));
            }
        }
    }

    fn event(&mut self, event: &Value) {
        if event["u"].as_u64().unwrap() <= self.update_id {
            return;
        }
        assert!(event["U"].as_u64().unwrap() <= self.update_id + 1, "a gap after {}: {}", self.update_id, event["U"]);
        self.update_id = event["u"].as_u64().unwrap();
        self.apply(0, &event["b"]);
        self.apply(1, &event["a"]);
    }

    fn synced(exchange: &Exchange, socket: &mut Socket, symbol: &str) -> Self {
        let first = next(socket);
        let (_, _, snapshot) = http(exchange, "GET", &format!("/api/v3/depth?symbol={symbol}&limit=5000"), "");
        let mut book = Self { update_id: snapshot["lastUpdateId"].as_u64().unwrap(), ..Self::default() };
        book.apply(0, &snapshot["bids"]);
        book.apply(1, &snapshot["asks"]);
        book.event(&first);
        book
    }

    fn best(&self, side: usize, count: usize) -> Vec<Value> {
        let row = |(_, (price, quantity)): (&u64, &(String, String))| json!([price, quantity]);
        if side == 0 {
            self.sides[0].iter().rev().take(count).map(row).collect()
        } else {
            self.sides[1].iter().take(count).map(row).collect()
        }
    }
}

#[test]
fn a_synced_client_has_the_recorded_book() {
    let Some(path) = shared_data("expected/binance_spot_btcusdt_book.json") else {
        println!("skipped: shared/data is not there");
        return;
    };
    let expected: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let checkpoint = &expected["checkpoints"][1];
    let exchange = start(|config| {
        config.speed = Speed::Thousandths(20_000);
        config.start_offset = Duration::ZERO;
    });
    let mut socket = open(&exchange, "/ws/btcusdt@depth@100ms");
    let mut book = ClientBook::synced(&exchange, &mut socket, "BTCUSDT");
    let wanted = checkpoint["u"].as_u64().unwrap();
    assert!(book.update_id < wanted);
    while book.update_id < wanted {
        book.event(&next(&mut socket));
    }
    assert_eq!(book.update_id, wanted);
    assert_eq!(json!(book.best(0, 10)), checkpoint["bids10"]);
    assert_eq!(json!(book.best(1, 10)), checkpoint["asks10"]);
    assert_eq!(json!(book.sides[0].len()), checkpoint["n_bids"]);
    assert_eq!(json!(book.sides[1].len()), checkpoint["n_asks"]);
}

#[test]
fn flat_out_over_the_end_a_synced_client_stays_right() {
    let exchange = start(|config| config.speed = Speed::Max);
    let mut socket = open(&exchange, "/ws");
    send(&mut socket, &json!({ "method": "SUBSCRIBE", "params": ["btcfusdt@depth@100ms"], "id": 1 }));
    assert_eq!(next(&mut socket), json!({ "result": null, "id": 1 }));
    let mut book = ClientBook::synced(&exchange, &mut socket, "BTCFUSDT");
    // More than one lap of 6,551 updates: the end is passed at least once.
    for _ in 0..8_000 {
        book.event(&next(&mut socket));
        let (bid, ask) = (book.sides[0].last_key_value(), book.sides[1].first_key_value());
        if let (Some(bid), Some(ask)) = (bid, ask) {
            assert!(bid.0 < ask.0, "crossed at {}", book.update_id);
        }
    }
    send(&mut socket, &json!({ "method": "LIST_SUBSCRIPTIONS", "id": 2 }));
    loop {
        let message = next(&mut socket);
        if message["id"] == 2 {
            assert_eq!(message["result"], json!(["btcfusdt@depth@100ms"]));
            break;
        }
        book.event(&message);
    }
    let summary = exchange.stop();
    assert!(summary.laps >= 1 && summary.slow_clients == 0, "{summary:?}");
}

#[test]
fn streams_are_wrapped_and_restated() {
    let exchange = start(|config| config.speed = Speed::Thousandths(10_000));
    let streams =
        "btcusdt@trade/btcusdt@bookTicker/btcusdt@aggTrade/btcusdt@kline_1s/btcusdt@depth5@100ms/btcusdt@miniTicker";
    let mut socket = open(&exchange, &format!("/stream?streams={streams}"));
    let mut seen = BTreeMap::<String, u32>::new();
    let mut last_trade = 0;
    while seen.len() < 6 {
        let message = next(&mut socket);
        let (stream, data) = (message["stream"].as_str().unwrap().to_owned(), &message["data"]);
        if stream == "btcusdt@trade" {
            let (id, at_ms) = (data["t"].as_u64().unwrap(), data["T"].as_u64().unwrap());
            assert!(last_trade == 0 || id == last_trade + 1);
            assert!(at_ms <= now_ms() && at_ms + 60_000 > now_ms(), "on the wall clock, however busy the machine");
            last_trade = id;
        }
        *seen.entry(stream).or_default() += 1;
    }
    assert!(seen["btcusdt@bookTicker"] > 50, "{seen:?}");
}

#[test]
fn klines_of_before_the_start_are_the_recorded_bars() {
    let Some(path) = shared_data("expected/binance_spot_btcusdt_bars1s.csv.gz") else {
        println!("skipped: shared/data is not there");
        return;
    };
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let number = |text: &str| text.parse::<f64>().unwrap();
    let bar = |row: &[f64]| (row[0].to_bits(), row[1].to_bits(), row[2].to_bits(), row[3].to_bits());
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| names.iter().position(|known| *known == name).unwrap();
    let columns = ["open", "high", "low", "close"].map(column);
    let expected: Vec<_> = lines
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            bar(&columns.map(|column| number(cells[column])))
        })
        .collect();
    let exchange = start(|_| {});
    let (_, _, klines) = http(&exchange, "GET", "/api/v3/klines?symbol=BTCUSDT&interval=1s&limit=55", "");
    let served: Vec<_> = klines
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row[8] != json!(0))
        .map(|row| bar(&[1, 2, 3, 4].map(|cell| number(row[cell].as_str().unwrap()))))
        .collect();
    // The last two seconds may still be growing.
    let whole = &served[..served.len() - 2];
    assert!(whole.len() > 40, "{}", whole.len());
    assert!(expected.windows(whole.len()).any(|window| window == whole), "the recorded bars in their order");
}
