use super::super::equality::{shared, unzip};
use super::*;
use crate::types::{
    Instrument, InstrumentId, InstrumentStatus, LiquiditySide, OrderStatus, Price, Quantity, ReportKind, Side, Symbol,
    parse_fixed,
};
use crate::venue::binance::refusal::{Refusal, classify};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn instruments() -> Arc<Instruments> {
    let mut instruments = Instruments::new();
    let asset = |instruments: &mut Instruments, name: &str| {
        instruments.intern_asset(Symbol::new(name).expect("a name")).expect("room")
    };
    for (base, quote) in
        [("ETH", "BTC"), ("BTC", "USDT"), ("ETH", "USDT"), ("BTC", "USD"), ("LTC", "BTC"), ("BNB", "BTC")]
    {
        let (base_id, quote_id) = (asset(&mut instruments, base), asset(&mut instruments, quote));
        let spec = Instrument {
            id: InstrumentId::NONE,
            venue: VenueId(0),
            symbol: Symbol::new(&format!("{base}{quote}")).expect("a name"),
            base: base_id,
            quote: quote_id,
            price_precision: 8,
            quantity_precision: 8,
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
        };
        instruments.add(spec).expect("an instrument");
    }
    Arc::new(instruments)
}

fn codec() -> UserCodec {
    UserCodec::new(instruments(), VenueId(0))
}

fn decode(codec: &mut UserCodec, value: &Json) -> Result<UserFrame, DecodeError> {
    codec.decode_user(value.to_string().into_bytes().as_mut_slice())
}

fn rows(folder: &str, file: &str) -> Vec<Json> {
    let Some(folder) = shared(folder) else { return Vec::new() };
    let text = String::from_utf8(unzip(&folder.join(file))).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn report(frame: UserFrame) -> ExecutionReport {
    match frame {
        UserFrame::Report(report) | UserFrame::UnknownReport(report) => report,
        other => panic!("{other:?}"),
    }
}

const OURS: ClientOrderId = ClientOrderId(0x0000_1001_0000_0007);

fn trade_event() -> Json {
    json!({"subscriptionId": 0, "event": {"e": "executionReport", "E": 2, "s": "BTCUSDT", "c": "gn0000100100000007",
        "S": "SELL", "o": "LIMIT", "f": "GTC", "q": "1.00000000", "p": "61837.63000000", "C": "", "x": "TRADE",
        "X": "PARTIALLY_FILLED", "r": "NONE", "i": 42, "l": "0.25000000", "z": "0.50000000", "L": "61837.63000000",
        "n": "0.00000123", "N": "BTC", "T": 1723161255342u64, "t": 99, "I": 7, "w": false, "m": true, "M": true}})
}

#[test]
fn a_fill_has_everything() {
    let instruments = instruments();
    let UserFrame::Report(report) = decode(&mut codec(), &trade_event()).expect("a report") else { panic!("a report") };
    let expected = ExecutionReport {
        client_order_id: OURS,
        venue_order_id: 42,
        execution_id: 99,
        last_price: Price(6_183_763_000_000),
        last_quantity: Quantity(25_000_000),
        cumulative_quantity: Quantity(50_000_000),
        fee: 123,
        order_quantity: Quantity(100_000_000),
        order_price: Price(6_183_763_000_000),
        exchange_ns: Timestamp::from_millis(1_723_161_255_342),
        received_ns: Timestamp::UNKNOWN,
        code: 0,
        instrument: InstrumentId(1),
        fee_asset: instruments.asset_named(b"BTC").expect("BTC"),
        kind: ReportKind::Fill,
        status: OrderStatus::PartiallyFilled,
        side: Side::Sell,
        liquidity: LiquiditySide::Maker,
    };
    assert_eq!(report, expected);
}

#[test]
fn a_cancel_is_of_the_order_that_it_cancels() {
    let mut event = trade_event();
    let fields = &mut event["event"];
    for (field, value) in [
        ("x", "CANCELED"),
        ("X", "CANCELED"),
        ("c", "anything"),
        ("C", "gn0000100100000007"),
        ("l", "0"),
        ("L", "0"),
        ("n", "0"),
    ] {
        fields[field] = value.into();
    }
    fields["t"] = (-1).into();
    fields["N"] = Json::Null;
    let found = report(decode(&mut codec(), &event).expect("a report"));
    assert_eq!((found.kind, found.client_order_id, found.execution_id), (ReportKind::Canceled, OURS, 0));
    assert_eq!((found.cumulative_quantity, found.fee_asset), (Quantity(50_000_000), AssetId::NONE));
}

#[test]
fn what_we_do_not_know_is_said_to_be_so() {
    for (field, value) in [("x", "REPLACED"), ("x", "SOMETHING_NEW"), ("X", "ANOTHER_STATUS")] {
        let mut event = trade_event();
        event["event"][field] = value.into();
        assert!(matches!(decode(&mut codec(), &event), Ok(UserFrame::UnknownReport(_))), "{value}");
    }
    let mut event = trade_event();
    event["event"]["L"] = "0.00000000".into();
    assert!(matches!(decode(&mut codec(), &event), Ok(UserFrame::UnknownReport(_))), "a fill without a price");
    event = trade_event();
    event["event"]["s"] = "XYZ".into();
    assert_eq!(report(decode(&mut codec(), &event).expect("a report")).instrument, InstrumentId::NONE);
}

#[test]
fn a_damaged_report_is_an_error() {
    for field in ["s", "c", "S", "x", "X", "i", "l", "z", "L", "n", "T", "m"] {
        let mut event = trade_event();
        event["event"].as_object_mut().expect("fields").remove(field);
        assert!(decode(&mut codec(), &event).is_err(), "without {field}");
    }
    for (field, value) in [
        ("n", json!("0.000000001")),
        ("z", json!(0.5)),
        ("l", json!("1e-8")),
        ("i", json!("42")),
        ("S", json!("HOLD")),
        ("L", json!("NaN")),
    ] {
        let mut event = trade_event();
        event["event"][field] = value;
        assert!(decode(&mut codec(), &event).is_err(), "{field}");
    }
    let twice = trade_event().to_string().replacen("\"z\":", "\"z\":\"0.1\",\"z\":", 1);
    assert_eq!(codec().decode_user(&mut twice.into_bytes()), Err(DecodeError::Duplicate("z")));
}

#[test]
fn documented_and_collected_reports_decode_to_what_they_state() {
    let mut events = Vec::new();
    for (folder, file) in [
        ("binance_frames", "spot_docs_json.jsonl.gz"),
        ("binance_frames", "nautilus_fixtures.jsonl.gz"),
        ("binance_frames", "binance_net_fixtures.jsonl.gz"),
    ] {
        events.extend(rows(folder, file).into_iter().map(|row| row["json"].clone()).filter(|value| {
            let event = value.get("event").or(value.get("data")).unwrap_or(value);
            event["e"] == "executionReport"
        }));
    }
    let mut fills = 0;
    for value in &events {
        let event = value.get("event").or(value.get("data")).unwrap_or(value);
        let frame = decode(&mut codec(), value).unwrap_or_else(|error| panic!("{error}: {value}"));
        let found = report(frame);
        assert_eq!(Some(found.venue_order_id), event["i"].as_u64(), "{value}");
        assert_eq!(Some(found.exchange_ns.millis()), event["T"].as_u64(), "{value}");
        assert_eq!(found.side == Side::Buy, event["S"] == "BUY", "{value}");
        assert_eq!(found.client_order_id, ClientOrderId::NONE, "{value}");
        let total = parse_fixed(event["z"].as_str().expect("z").as_bytes(), 8).expect("a quantity");
        assert_eq!(found.cumulative_quantity, Quantity(total), "{value}");
        let expected = match (event["x"].as_str().expect("x"), event["X"].as_str().expect("X")) {
            ("NEW", _) => Some(ReportKind::Accepted),
            ("CANCELED", "CANCELED") | ("TRADE", "CANCELED") => Some(ReportKind::Canceled),
            ("CANCELED", "PENDING_CANCEL") | ("TRADE", "NEW") => Some(ReportKind::Status),
            ("REJECTED", _) => Some(ReportKind::Rejected),
            ("EXPIRED" | "TRADE_PREVENTION" | "TRADE", "EXPIRED" | "EXPIRED_IN_MATCH") => Some(ReportKind::Expired),
            ("TRADE", _) if event["l"] == "0.00000000" => Some(ReportKind::Status),
            ("TRADE", _) if event["L"] == "0.00000000" => None,
            ("TRADE", _) => {
                fills += 1;
                assert_eq!(Some(found.execution_id), event["t"].as_u64(), "{value}");
                assert_eq!(found.fee, parse_fixed(event["n"].as_str().expect("n").as_bytes(), 8).expect("a fee"));
                Some(ReportKind::Fill)
            }
            ("CALCULATED", _) => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(matches!(frame, UserFrame::Report(_)).then_some(found.kind), expected, "{value}");
    }
    if !events.is_empty() {
        assert!(events.len() >= 21 && fills >= 4, "{} events, {fills} fills", events.len());
    }
}

#[test]
fn other_events() {
    let mut codec = codec();
    let position = json!({"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "E": 5, "u": 4,
        "B": [{"a": "ETH", "f": "10000.000000", "l": "0.500000"}, {"a": "NEVERHEARD", "f": "1", "l": "0"}]}});
    let expected = Account { exchange_ns: Timestamp::from_millis(5), is_absolute: true };
    assert_eq!(decode(&mut codec, &position), Ok(UserFrame::Account(expected)));
    assert_eq!(codec.balances().len(), 1);
    assert_eq!(
        (
            codec.balances()[0].free.to_decimal_string().as_str(),
            codec.balances()[0].locked.to_decimal_string().as_str()
        ),
        ("10000", "0.5")
    );
    let update = json!({"e": "balanceUpdate", "E": 5, "a": "BTC", "d": "-100.00000000", "T": 4});
    assert!(matches!(decode(&mut codec, &update), Ok(UserFrame::Account(Account { is_absolute: false, .. }))));
    assert_eq!(codec.balances()[0].free.to_decimal_string(), "-100");
    let cases = [
        (json!({"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1}}), UserFrame::StreamTerminated),
        (json!({"e": "serverShutdown", "E": 1}), UserFrame::Shutdown),
        (json!({"event": {"e": "serverShutdown", "E": 1}}), UserFrame::Shutdown),
        (json!({"subscriptionId": 0, "event": {"e": "listStatus", "E": 1}}), UserFrame::Other),
    ];
    for (value, expected) in cases {
        assert_eq!(decode(&mut codec, &value), Ok(expected));
    }
}

fn response(codec: &mut UserCodec, value: &Json) -> Response {
    match decode(codec, value).expect("a response") {
        UserFrame::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn documented_answers_decode_to_what_they_state() {
    let documentation = rows("binance_frames", "spot_docs_json.jsonl.gz");
    if documentation.is_empty() {
        return;
    }
    let answer = |section: &str, number: usize, letter: char| {
        let is_answer = |row: &&Json| {
            row["section"].as_str().is_some_and(|text| text.starts_with(section)) && row["json"]["result"] != Json::Null
        };
        let mut value = documentation
            .iter()
            .filter(|row| row["path"] == "web-socket-api.md")
            .filter(is_answer)
            .nth(number)
            .expect(section)["json"]
            .clone();
        value["id"] = format!("{letter}0000100100000007").into();
        value
    };
    let mut codec = codec();
    let placed = response(&mut codec, &answer("Place new order (TRADE)", 0, 'p'));
    assert_eq!((placed.client_order_id(), placed.error, placed.used_weight, placed.used_orders), (OURS, None, 1, 1));
    assert_eq!(
        codec.reports().iter().map(|report| (report.kind, report.venue_order_id)).collect::<Vec<_>>(),
        [(ReportKind::Accepted, 12_569_099_453)]
    );
    response(&mut codec, &answer("Place new order (TRADE)", 2, 'p'));
    assert_eq!((codec.reports()[0].kind, codec.reports()[0].status), (ReportKind::Status, OrderStatus::Filled));
    response(&mut codec, &answer("Cancel order (TRADE)", 0, 'c'));
    assert_eq!(
        (codec.reports()[0].kind, codec.reports()[0].cumulative_quantity),
        (ReportKind::Canceled, Quantity(1_000))
    );
    response(&mut codec, &answer("Query order", 0, 'q'));
    assert_eq!(
        (codec.reports()[0].kind, codec.reports()[0].status, codec.reports()[0].side),
        (ReportKind::Status, OrderStatus::Filled, Side::Sell)
    );
    assert_eq!(codec.reports()[0].exchange_ns.millis(), 1_660_801_717_945);
    response(&mut codec, &answer("Current open orders", 0, 'o'));
    assert_eq!((codec.reports().len(), codec.reports()[0].status), (1, OrderStatus::PartiallyFilled));
    response(&mut codec, &answer("Cancel open orders", 0, 'x'));
    assert_eq!(codec.reports().len(), 1, "the order list is left to its reports");
    response(&mut codec, &answer("Account trade history", 0, 't'));
    let fills: Vec<_> =
        codec.reports().iter().map(|fill| (fill.execution_id, fill.last_quantity, fill.liquidity)).collect();
    assert_eq!(
        fills,
        [
            (1_650_422_481, Quantity(635_000), LiquiditySide::Maker),
            (1_650_422_482, Quantity(212_000), LiquiditySide::Maker)
        ]
    );
    response(&mut codec, &answer("Account information", 0, 'a'));
    assert_eq!(
        codec.balances().iter().map(|balance| balance.free.to_decimal_string()).collect::<Vec<_>>(),
        ["0", "1.3447112", "1021.21"]
    );

    // No documented frame of the session makes the codec stumble.
    let mut frames = 0;
    for row in documentation.iter().filter(|row| row["path"] == "web-socket-api.md") {
        let value = &row["json"];
        if value["id"].is_string() && value["status"].is_u64() {
            let found = response(&mut codec, value);
            assert_eq!(
                (found.kind, u64::from(found.status)),
                (RequestKind::Foreign, value["status"].as_u64().expect("a status"))
            );
            assert_eq!(found.error.map(|error| i64::from(error.code)), value["error"]["code"].as_i64());
            frames += 1;
        }
    }
    assert!(frames > 60, "{frames}");
}

#[test]
fn refusals_prove_what_they_prove() {
    let refusal = |status: u16, code: i32| json!({"id": "p0000100100000007", "status": status, "error": {"code": code, "msg": "words", "data": {"retryAfter": 9}}});
    let mut codec = codec();
    for (status, code, refusal_of) in [
        (400, -2010, Refusal::Proven),
        (400, -1013, Refusal::Proven),
        (400, -1021, Refusal::Proven),
        (429, -1003, Refusal::TooMany),
        (418, -1003, Refusal::TooMany),
        (409, -2021, Refusal::Unproven),
        (500, -1000, Refusal::Unproven),
        (503, -2010, Refusal::Unproven),
        (400, -1006, Refusal::Unproven),
        (400, -1007, Refusal::Unproven),
    ] {
        let found = response(&mut codec, &refusal(status, code));
        let error = found.error.expect("an error");
        assert_eq!(classify(found.status, error.code), refusal_of, "{status} {code}");
        assert_eq!((error.code, error.message.as_bytes(), error.retry_after.millis()), (code, b"words".as_slice(), 9));
    }
    assert_eq!(
        decode(&mut codec, &json!({"id": "p0000100100000007", "status": 200})),
        Err(DecodeError::Field("result"))
    );
    assert_eq!(
        response(&mut codec, &json!({"id": null, "status": 400, "error": {"code": -1102, "msg": ""}})).kind,
        RequestKind::Foreign
    );
}

fn replaced() -> Json {
    json!({"id": "r0000100100000007", "status": 200, "result": {"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS",
        "cancelResponse": {"symbol": "BTCUSDT", "origClientOrderId": "gn0000100100000006", "orderId": 41,
            "orderListId": -1, "clientOrderId": "91fe37ce9e69c90d6358c0", "transactTime": 1684804350068u64,
            "price": "23416.10000000", "origQty": "0.00847000", "executedQty": "0.00001000", "status": "CANCELED",
            "timeInForce": "GTC", "type": "LIMIT", "side": "SELL", "selfTradePreventionMode": "NONE"},
        "newOrderResponse": {"symbol": "BTCUSDT", "orderId": 42, "orderListId": -1,
            "clientOrderId": "gn0000100100000007", "transactTime": 1684804350069u64}}, "rateLimits": []})
}

fn half_replaced(status: u16, code: i32, cancel: (&str, Json), place: (&str, Json)) -> Json {
    json!({"id": "r0000100100000007", "status": status, "error": {"code": code, "msg": "Order cancel-replace failed.",
        "data": {"cancelResult": cancel.0, "cancelResponse": cancel.1, "newOrderResult": place.0,
            "newOrderResponse": place.1}}, "rateLimits": []})
}

#[test]
fn a_replace_is_answered_by_halves() {
    let mut codec = codec();
    let found = response(&mut codec, &replaced());
    assert_eq!((found.kind, found.client_order_id()), (RequestKind::Replace, OURS));
    assert_eq!(found.legs, Some(Legs { cancel: Leg::Done, place: Leg::Done }));
    let rows: Vec<_> = codec
        .reports()
        .iter()
        .map(|row| (row.kind, row.venue_order_id, row.client_order_id, row.cumulative_quantity))
        .collect();
    let old = ClientOrderId(0x0000_1001_0000_0006);
    assert_eq!(
        rows,
        [(ReportKind::Canceled, 41, old, Quantity(1_000)), (ReportKind::Accepted, 42, OURS, Quantity::ZERO)]
    );
    let refused = |code: i32| json!({"code": code, "msg": "words"});
    let canceled = replaced()["result"]["cancelResponse"].clone();
    for (answer, cancel, place) in [
        (
            half_replaced(400, -2022, ("FAILURE", refused(-2011)), ("NOT_ATTEMPTED", Json::Null)),
            Leg::Refused(-2011),
            Leg::NotTried,
        ),
        (half_replaced(409, -2021, ("SUCCESS", canceled), ("FAILURE", refused(-2010))), Leg::Done, Leg::Refused(-2010)),
        (
            half_replaced(400, -2022, ("FAILURE", refused(-2011)), ("FAILURE", refused(-2010))),
            Leg::Refused(-2011),
            Leg::Refused(-2010),
        ),
        (half_replaced(400, -2022, ("FAILURE", Json::Null), ("MAYBE", Json::Null)), Leg::Unproven, Leg::Unproven),
    ] {
        let found = response(&mut codec, &answer);
        assert_eq!(found.legs, Some(Legs { cancel, place }), "{answer}");
        assert!(found.error.is_some() && codec.reports().is_empty());
    }
    let whole = json!({"id": "r0000100100000007", "status": 400, "error": {"code": -1013, "msg": "Filter failure"}});
    assert_eq!(response(&mut codec, &whole).legs, None);
    for half in ["cancelResponse", "newOrderResponse"] {
        let mut damaged = replaced();
        damaged["result"].as_object_mut().expect("fields").remove(half);
        assert_eq!(decode(&mut codec, &damaged), Err(DecodeError::Field(half)));
    }
}

#[test]
fn fills_of_an_instrument_are_rows_like_those_of_an_order() {
    let row = json!({"symbol": "BTCUSDT", "id": 99, "orderId": 42, "orderListId": -1, "price": "4.00000100",
        "qty": "12.00000000", "quoteQty": "48.000012", "commission": "10.10000000", "commissionAsset": "BNB",
        "time": 1499865549590u64, "isBuyer": true, "isMaker": false, "isBestMatch": true});
    let mut codec = codec();
    let found = response(&mut codec, &json!({"id": "f0000000000000009", "status": 200, "result": [row]}));
    assert_eq!((found.kind, found.subject, found.client_order_id()), (RequestKind::Fills, 9, ClientOrderId::NONE));
    let fill = codec.reports()[0];
    assert_eq!((fill.kind, fill.execution_id, fill.venue_order_id), (ReportKind::Fill, 99, 42));
    assert_eq!((fill.last_quantity, fill.side), (Quantity(1_200_000_000), Side::Buy));
}

#[test]
fn more_rows_than_fit_are_an_error() {
    let row = json!({"symbol": "BTCUSDT", "orderId": 1, "clientOrderId": "x", "executedQty": "0", "status": "NEW", "side": "BUY"});
    let mut body = Json::Array(vec![row; ROWS_MAX]);
    assert_eq!(codec().decode_orders(&mut body.to_string().into_bytes()).map(<[_]>::len), Ok(ROWS_MAX));
    let more = body[0].clone();
    body.as_array_mut().expect("rows").push(more);
    assert_eq!(codec().decode_orders(&mut body.to_string().into_bytes()), Err(DecodeError::TooManyRows));
}

proptest! {
    #[test]
    fn money_text_comes_back(whole in -1_000_000_000_000i64..1_000_000_000_000, places in 0..=18u32, digits in 0..u32::MAX) {
        let text = rust_decimal::Decimal::new(i64::from(digits), places.min(9)).to_string();
        let text = format!("{whole}.{}", text.split_once('.').map_or("0", |(_, fraction)| fraction));
        let exact: rust_decimal::Decimal = text.parse().expect("a decimal");
        prop_assert_eq!(parse_money(&text).expect("fits").to_decimal_string(), exact.normalize().to_string());
    }

    #[test]
    fn hostile_frames_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut codec = codec();
        let half = half_replaced(409, -2021, ("SUCCESS", Json::Null), ("FAILURE", json!({"code": -2010})));
        for whole in [trade_event(), replaced(), half] {
            let mut event = whole.to_string().into_bytes();
            let at = at.index(event.len());
            event[at] = byte;
            let _ = codec.decode_user(&mut event);
        }
        prop_assert!(codec.decode_user(&mut bytes.clone()).is_err() || std::str::from_utf8(&bytes).is_ok());
    }
}
