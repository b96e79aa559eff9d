use super::super::sign::tests::{API_KEY, ed25519_credentials, hmac_credentials};
use super::*;
use crate::types::{AssetId, InstrumentId, InstrumentStatus, Money, StrategyId, Symbol, VenueId, format_fixed};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::Value;

fn instrument(price_precision: u8, quantity_precision: u8) -> Instrument {
    Instrument {
        id: InstrumentId(3),
        venue: VenueId(0),
        symbol: Symbol::new("BTCUSDT").expect("a symbol"),
        base: AssetId(0),
        quote: AssetId(1),
        price_precision,
        quantity_precision,
        tick: Price(1),
        lot: Quantity(1),
        quantity_min: Quantity(1),
        quantity_max: Quantity(0),
        market_quantity_max: Quantity(0),
        price_min: Price(1),
        price_max: Price(0),
        notional_min: Money::ZERO,
        notional_max: Money::ZERO,
        status: InstrumentStatus::Trading,
    }
}

fn encoder(kind: SessionKind) -> OrderEncoder {
    OrderEncoder::new(Arc::new(ed25519_credentials()), kind)
}

const ID: ClientOrderId = ClientOrderId(0x0000_1001_0000_0007);

fn order() -> Order {
    Order { client_order_id: ID, price: Price(6_183_763), quantity: Quantity(1_500), ..Order::default() }
}

fn text(bytes: Result<&[u8], EncodeError>) -> String {
    String::from_utf8(bytes.expect("a request").to_vec()).expect("UTF-8")
}

#[test]
fn a_limit_order_byte_for_byte() {
    let mut encoder = encoder(SessionKind::LoggedOn);
    assert_eq!(
        text(encoder.place(&order(), &instrument(2, 5), 1_723_161_255_342)),
        "{\"id\":\"p0000100100000007\",\"method\":\"order.place\",\"params\":{\"newClientOrderId\":\"gn0000100100000007\",\"newOrderRespType\":\"ACK\",\"price\":\"61837.63\",\"quantity\":\"0.01500\",\"selfTradePreventionMode\":\"EXPIRE_TAKER\",\"side\":\"BUY\",\"symbol\":\"BTCUSDT\",\"timeInForce\":\"GTC\",\"timestamp\":1723161255342,\"type\":\"LIMIT\"}}"
    );
    assert_eq!(
        text(encoder.cancel(ID, &instrument(2, 5), 5)),
        "{\"id\":\"c0000100100000007\",\"method\":\"order.cancel\",\"params\":{\"origClientOrderId\":\"gn0000100100000007\",\"symbol\":\"BTCUSDT\",\"timestamp\":5}}"
    );
    assert_eq!(
        text(encoder.subscribe(5)),
        "{\"id\":\"s0000000000000000\",\"method\":\"userDataStream.subscribe\",\"params\":{}}"
    );
}

#[test]
fn a_replace_byte_for_byte() {
    let mut encoder = encoder(SessionKind::LoggedOn);
    let order = Order { replaces: ClientOrderId(0x0000_1001_0000_0006), ..order() };
    let plain = "{\"id\":\"r0000100100000007\",\"method\":\"order.cancelReplace\",\"params\":{\"cancelOrigClientOrderId\":\"gn0000100100000006\",\"cancelReplaceMode\":\"STOP_ON_FAILURE\",\"newClientOrderId\":\"gn0000100100000007\",\"newOrderRespType\":\"ACK\",\"price\":\"61837.63\",\"quantity\":\"0.01500\",\"selfTradePreventionMode\":\"EXPIRE_TAKER\",\"side\":\"BUY\",\"symbol\":\"BTCUSDT\",\"timeInForce\":\"GTC\",\"timestamp\":1723161255342,\"type\":\"LIMIT\"}}";
    assert_eq!(text(encoder.replace(&order, false, &instrument(2, 5), 1_723_161_255_342)), plain);
    let only_new = plain.replace("STOP_ON_FAILURE\",", "STOP_ON_FAILURE\",\"cancelRestrictions\":\"ONLY_NEW\",");
    assert_eq!(text(encoder.replace(&order, true, &instrument(2, 5), 1_723_161_255_342)), only_new);
}

#[test]
fn stops_have_their_stop_price() {
    let mut encoder = encoder(SessionKind::LoggedOn);
    let stop = Order { order_type: OrderType::Stop, stop_price: Price(6_000_001), side: Side::Sell, ..order() };
    let params = |request: &str| request.split_once("\"params\":").expect("parameters").1.to_owned();
    assert_eq!(
        params(&text(encoder.place(&stop, &instrument(2, 5), 5))),
        "{\"newClientOrderId\":\"gn0000100100000007\",\"newOrderRespType\":\"ACK\",\"quantity\":\"0.01500\",\"selfTradePreventionMode\":\"EXPIRE_TAKER\",\"side\":\"SELL\",\"stopPrice\":\"60000.01\",\"symbol\":\"BTCUSDT\",\"timestamp\":5,\"type\":\"STOP_LOSS\"}}"
    );
    let stop_limit = Order { order_type: OrderType::StopLimit, time_in_force: TimeInForce::Day, ..stop };
    assert_eq!(
        params(&text(encoder.place(&stop_limit, &instrument(2, 5), 5))),
        "{\"newClientOrderId\":\"gn0000100100000007\",\"newOrderRespType\":\"ACK\",\"price\":\"61837.63\",\"quantity\":\"0.01500\",\"selfTradePreventionMode\":\"EXPIRE_TAKER\",\"side\":\"SELL\",\"stopPrice\":\"60000.01\",\"symbol\":\"BTCUSDT\",\"timeInForce\":\"GTC\",\"timestamp\":5,\"type\":\"STOP_LOSS_LIMIT\"}}"
    );
}

#[test]
fn kinds_of_orders() {
    let mut encoder = encoder(SessionKind::LoggedOn);
    let mut kind_of = |order: Order| {
        let value: Value = serde_json::from_str(&text(encoder.place(&order, &instrument(2, 5), 1))).expect("JSON");
        let field = |name: &str| value["params"][name].as_str().unwrap_or("-").to_owned();
        (field("type"), field("timeInForce"), field("price"), field("side"))
    };
    let words = |a: &str, b: &str, c: &str, d: &str| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned());
    assert_eq!(kind_of(Order { is_post_only: true, ..order() }), words("LIMIT_MAKER", "-", "61837.63", "BUY"));
    assert_eq!(
        kind_of(Order { time_in_force: TimeInForce::ImmediateOrCancel, side: Side::Sell, ..order() }),
        words("LIMIT", "IOC", "61837.63", "SELL")
    );
    assert_eq!(
        kind_of(Order { time_in_force: TimeInForce::FillOrKill, ..order() }),
        words("LIMIT", "FOK", "61837.63", "BUY")
    );
    assert_eq!(kind_of(Order { order_type: OrderType::Market, ..order() }), words("MARKET", "-", "-", "BUY"));
}

#[test]
fn orders_that_contradict_themselves_are_refused() {
    let mut encoder = encoder(SessionKind::LoggedOn);
    for bad in [
        Order { quantity: Quantity(0), ..order() },
        Order { quantity: Quantity(-1), ..order() },
        Order { price: Price(0), ..order() },
        Order { is_post_only: true, order_type: OrderType::Market, ..order() },
        Order { is_post_only: true, time_in_force: TimeInForce::ImmediateOrCancel, ..order() },
        Order { order_type: OrderType::Stop, ..order() },
        Order { order_type: OrderType::StopLimit, ..order() },
        Order { order_type: OrderType::StopLimit, stop_price: Price(1), is_post_only: true, ..order() },
        Order { order_type: OrderType::StopLimit, stop_price: Price(1), price: Price(0), ..order() },
    ] {
        assert_eq!(encoder.place(&bad, &instrument(2, 5), 1), Err(EncodeError::BadOrder), "{bad:?}");
    }
    for replaces in [ClientOrderId::NONE, ID] {
        let bad = Order { replaces, ..order() };
        assert_eq!(encoder.replace(&bad, true, &instrument(2, 5), 1), Err(EncodeError::BadOrder));
    }
    let mut hmac = OrderEncoder::new(Arc::new(hmac_credentials()), SessionKind::SignedEach);
    assert_eq!(hmac.logon(1), Err(EncodeError::CannotLogOn));
}

/// The parameters as the venue's documentation says that they are signed: sorted by name.
fn payload(value: &Value) -> String {
    let mut pairs: Vec<(String, String)> = value["params"]
        .as_object()
        .expect("parameters")
        .iter()
        .filter(|(name, _)| *name != "signature")
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

type Encode = fn(&mut OrderEncoder) -> Result<&[u8], EncodeError>;

const EVERY_SIGNED_REQUEST: [(&str, Encode); 13] = [
    ("order.place", |encoder| encoder.place(&order(), &instrument(2, 5), 17)),
    ("order.place", |encoder| {
        let stop = Order { order_type: OrderType::StopLimit, stop_price: Price(9), ..order() };
        encoder.place(&stop, &instrument(2, 5), 17)
    }),
    ("order.cancelReplace", |encoder| {
        let order = Order { replaces: ClientOrderId(6), ..order() };
        encoder.replace(&order, true, &instrument(2, 5), 17)
    }),
    ("order.cancel", |encoder| encoder.cancel(ID, &instrument(2, 5), 17)),
    ("order.status", |encoder| encoder.status(ID, &instrument(2, 5), 17)),
    ("openOrders.cancelAll", |encoder| encoder.cancel_all(&instrument(2, 5), 17)),
    ("openOrders.status", |encoder| encoder.open_orders(8, None, 17)),
    ("openOrders.status", |encoder| encoder.open_orders(8, Some(&instrument(2, 5)), 17)),
    ("myTrades", |encoder| encoder.my_trades(&instrument(2, 5), 42, 17)),
    ("myTrades", |encoder| encoder.fills(8, &instrument(2, 5), 43, 17)),
    ("account.status", |encoder| encoder.account_status(8, 17)),
    ("session.logon", |encoder| encoder.logon(17)),
    ("userDataStream.subscribe.signature", |encoder| encoder.subscribe(17)),
];

#[test]
fn every_request_of_an_unlogged_session_is_signed_over_its_sorted_parameters() {
    for (method, encode) in EVERY_SIGNED_REQUEST {
        let credentials = ed25519_credentials();
        let public = credentials.public_key().expect("a key").to_vec();
        let mut encoder = OrderEncoder::new(Arc::new(credentials), SessionKind::SignedEach);
        let value: Value = serde_json::from_str(&text(encode(&mut encoder))).expect("JSON");
        assert_eq!((value["method"].as_str(), value["params"]["apiKey"].as_str()), (Some(method), Some(API_KEY)));
        let signature = STANDARD.decode(value["params"]["signature"].as_str().expect("a signature")).expect("base64");
        UnparsedPublicKey::new(&ED25519, public).verify(payload(&value).as_bytes(), &signature).expect(method);

        let hmac = Arc::new(hmac_credentials());
        let mut encoder = OrderEncoder::new(Arc::clone(&hmac), SessionKind::SignedEach);
        if method != "session.logon" {
            let value: Value = serde_json::from_str(&text(encode(&mut encoder))).expect("JSON");
            let expected = hmac.sign(payload(&value).as_bytes());
            assert_eq!(value["params"]["signature"].as_str().map(str::as_bytes), Some(expected.as_bytes()), "{method}");
        }
    }
}

#[test]
fn a_logged_on_session_signs_nothing_but_its_log_on() {
    let mut encoder = encoder(SessionKind::LoggedOn);
    for (method, encode) in EVERY_SIGNED_REQUEST {
        let value: Value = serde_json::from_str(&text(encode(&mut encoder))).expect("JSON");
        assert_eq!(value["params"]["signature"].is_string(), method == "session.logon", "{method}");
        let id = value["id"].as_str().expect("an id").as_bytes().to_vec();
        let expected = match method {
            "order.place" => (RequestKind::Place, ID.0),
            "order.cancel" => (RequestKind::Cancel, ID.0),
            "order.status" => (RequestKind::Status, ID.0),
            "openOrders.cancelAll" => (RequestKind::CancelAll, 3),
            "order.cancelReplace" => (RequestKind::Replace, ID.0),
            "openOrders.status" => (RequestKind::OpenOrders, 8),
            "myTrades" if value["params"]["fromId"] == 43 => (RequestKind::Fills, 8),
            "myTrades" => (RequestKind::MyTrades, 42),
            "account.status" => (RequestKind::Account, 8),
            "session.logon" => (RequestKind::Logon, 0),
            _ => (RequestKind::Subscribe, 0),
        };
        assert_eq!(RequestKind::parse(&id), expected);
    }
}

proptest! {
    #[test]
    fn numbers_are_written_as_everywhere_else(value in 1..=i64::MAX, precision in 0..=18u8, subject in any::<u64>(), timestamp in any::<u64>()) {
        let mut encoder = encoder(SessionKind::LoggedOn);
        let order = Order { client_order_id: ClientOrderId(subject), price: Price(value), quantity: Quantity(value), strategy: StrategyId(1), ..order() };
        let request = text(encoder.place(&order, &instrument(precision, precision), timestamp));
        let value: Value = serde_json::from_str(&request).expect("JSON");
        let params = &value["params"];
        let expected = format_fixed(order.price.0, precision).to_string();
        prop_assert_eq!((params["price"].as_str(), params["quantity"].as_str()), (Some(expected.as_str()), Some(expected.as_str())));
        prop_assert_eq!(params["timestamp"].as_u64(), Some(timestamp));
        let client_id = ClientOrderId(subject).to_string();
        prop_assert_eq!(params["newClientOrderId"].as_str(), Some(client_id.as_str()));
        prop_assert_eq!(RequestKind::parse(value["id"].as_str().expect("an id").as_bytes()), (RequestKind::Place, subject));
    }

    #[test]
    fn foreign_ids_are_foreign(id in "[a-zA-Z0-9-]{0,40}") {
        let (kind, subject) = RequestKind::parse(id.as_bytes());
        let expected = if kind == RequestKind::Foreign { None } else { Some(format!("{}{subject:016x}", char::from(kind as u8))) };
        prop_assert!(expected.is_none_or(|expected| expected == id));
    }
}
