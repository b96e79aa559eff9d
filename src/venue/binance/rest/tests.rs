use super::super::equality::{shared, shipped, symbol, unzip};
use super::super::market::Market;
use super::super::sign::tests::{ed25519_credentials, hmac_credentials};
use super::*;
use crate::types::{InstrumentStatus, Instruments, Symbol, VenueId};
use crate::venue::budget::BudgetLimits;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

fn btcusdt() -> Json {
    json!({"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quoteAssetPrecision": 8, "filters": [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000", "tickSize": "0.01000000"},
        {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": "0.00000000", "maxQty": "123.456789019", "stepSize": "0.00000000"},
        {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": true, "maxNotional": "9000000.00000000"},
        {"filterType": "SOMETHING_NEW", "limit": 5}]})
}

fn decode(symbols: &[Json], wanted: &[&str]) -> Result<Vec<InstrumentSpec>, RestError> {
    let wanted: Vec<Symbol> = wanted.iter().map(|name| Symbol::new(name).expect("a symbol")).collect();
    decode_exchange_info(json!({"timezone": "UTC", "symbols": symbols}).to_string().as_bytes(), &wanted)
}

#[test]
fn filters_become_an_instrument() {
    let specs = decode(&[btcusdt()], &["BTCUSDT"]).expect("a spec");
    let found = specs[0].instrument;
    assert_eq!((found.price_precision, found.quantity_precision), (8, 8));
    assert_eq!((found.tick, found.lot), (Price(1_000_000), Quantity(1_000)));
    assert_eq!((found.price_min, found.price_max), (Price(1_000_000), Price(100_000_000_000_000)));
    assert_eq!((found.quantity_min, found.quantity_max), (Quantity(1_000), Quantity(900_000_000_000)));
    assert_eq!(found.market_quantity_max, Quantity(12_345_678_901), "cut to the places there are");
    assert_eq!(
        (found.notional_min.to_decimal_string(), found.notional_max.to_decimal_string()),
        ("5".into(), "9000000".into())
    );
    assert_eq!(found.status, InstrumentStatus::Trading);
    let mut instruments = Instruments::new();
    let id = specs[0].add_to(&mut instruments, VenueId(2)).expect("added");
    let added = instruments.get(id).expect("there");
    assert_eq!(
        (added.venue, instruments.asset(added.base), instruments.asset(added.quote)),
        (VenueId(2), Symbol::new("BTC"), Symbol::new("USDT"))
    );
}

#[test]
fn precision_has_room_for_the_largest_levels() {
    let mut cheap = btcusdt();
    cheap["filters"][1] =
        json!({"filterType": "LOT_SIZE", "minQty": "1.00", "maxQty": "92300000.00", "stepSize": "1.00"});
    let found = decode(&[cheap], &[]).expect("a spec")[0].instrument;
    // A thousand orders of the largest size would not fit at eight places.
    assert_eq!((found.quantity_precision, found.lot), (7, Quantity(10_000_000)));
    let mut futures = btcusdt();
    (futures["pricePrecision"], futures["quantityPrecision"]) = (2.into(), 3.into());
    futures["filters"][1]["stepSize"] = "0.001".into();
    futures["filters"][1]["minQty"] = "0.001".into();
    let found = decode(&[futures], &[]).expect("a spec")[0].instrument;
    assert_eq!((found.price_precision, found.quantity_precision), (2, 3));
}

#[test]
fn limits_are_what_the_venue_says() {
    let row = |kind: &str, interval: &str, count: u32, limit: u32| json!({"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit});
    let rows = [
        row("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
        row("ORDERS", "SECOND", 10, 100),
        row("ORDERS", "DAY", 1, 200_000),
        row("RAW_REQUESTS", "MINUTE", 5, 61_000),
    ];
    let limits = |value: Json| decode_rate_limits(value.to_string().as_bytes()).expect("limits");
    assert_eq!(limits(json!({"rateLimits": rows})), BudgetLimits { weight: 6_000, orders: 100 });
    assert_eq!(limits(json!({"symbols": []})), BudgetLimits::default());
    assert!(decode_rate_limits(b"5").is_err());
}

#[test]
fn what_cannot_be_traded_is_an_error_that_names_it() {
    let problem = |change: fn(&mut Json), wanted: &[&str]| {
        let mut info = btcusdt();
        change(&mut info);
        decode(&[info], wanted).map(|specs| specs.len()).map_err(|error| error.to_string())
    };
    assert_eq!(problem(|_| {}, &["ETHUSDT"]), Err("ETHUSDT: the venue has no such symbol".to_owned()));
    assert_eq!(
        problem(|info| info["filters"][0]["filterType"] = "X".into(), &[]),
        Err("BTCUSDT: there is no PRICE_FILTER".to_owned())
    );
    assert_eq!(
        problem(|info| info["filters"][1]["filterType"] = "X".into(), &[]),
        Err("BTCUSDT: there is no LOT_SIZE".to_owned())
    );
    assert!(
        problem(|info| info["filters"][0]["tickSize"] = "1e-8".into(), &[])
            .is_err_and(|error| error.contains("tickSize"))
    );
    assert!(problem(|info| info["baseAsset"] = 5.into(), &[]).is_err());
    assert!(
        problem(|info| info["allowedSelfTradePreventionModes"] = json!(["NONE", "EXPIRE_MAKER"]), &[])
            .is_err_and(|error| error.contains("EXPIRE_TAKER"))
    );
    for (status, expected) in [
        ("HALT", InstrumentStatus::Halted),
        ("BREAK", InstrumentStatus::Halted),
        ("NEW_STATE", InstrumentStatus::Unknown),
    ] {
        let mut info = btcusdt();
        info["status"] = status.into();
        assert_eq!(decode(&[info], &[]).expect("a spec")[0].instrument.status, expected);
    }
}

#[test]
fn collected_bodies_decode() {
    let Some(folder) = shared("binance_frames") else { return };
    let mut counts = [0; 6];
    for file in ["spot_docs_json.jsonl.gz", "nautilus_fixtures.jsonl.gz", "binance_net_fixtures.jsonl.gz"] {
        let text = String::from_utf8(unzip(&folder.join(file))).expect("UTF-8");
        for row in text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON")) {
            let (value, path) = (&row["json"], row["path"].as_str().unwrap_or_default());
            let body = value.to_string().into_bytes();
            let wide = symbol(0, "ANY", 8, 8);
            if value["lastUpdateId"].is_u64() && value["bids"].is_array() {
                let snapshot = decode_snapshot(&mut body.clone(), &wide).expect(path);
                assert_eq!(
                    (Some(snapshot.last_update_id), Some(snapshot.bids.len())),
                    (value["lastUpdateId"].as_u64(), value["bids"].as_array().map(Vec::len))
                );
                counts[0] += 1;
            } else if value["serverTime"].is_u64() && value["symbols"].is_null() {
                assert_eq!(Some(decode_time(&body).expect(path).millis()), value["serverTime"].as_u64());
                counts[1] += 1;
            } else if value["balances"].is_array() && value["makerCommission"].is_i64() {
                assert_eq!(Some(decode_account(&body).expect(path).len()), value["balances"].as_array().map(Vec::len));
                counts[2] += 1;
            } else if path.contains("lines")
                && path.contains("pot")
                && value[0].as_array().is_some_and(|row| row.len() == 12)
            {
                let bars = decode_klines(&body, &wide).expect(path);
                assert_eq!(
                    (Some(bars.len()), Some(bars[0].open_ns.millis())),
                    (value.as_array().map(Vec::len), value[0][0].as_u64())
                );
                assert!(bars.iter().all(|bar| bar.high >= bar.low));
                counts[3] += 1;
            } else if value["code"].as_i64().is_some_and(|code| code < 0) && value["msg"].is_string() {
                let error = decode_error(&mut body.clone()).expect(path);
                assert_eq!(Some(i64::from(error.code)), value["code"].as_i64());
                counts[4] += 1;
            } else if value["symbols"][0]["filters"][0].is_object()
                && value["exchangeFilters"].is_array()
                && path.contains("pot")
            {
                match decode_exchange_info(&body, &[]) {
                    Ok(specs) => {
                        assert_eq!(Some(specs.len()), value["symbols"].as_array().map(Vec::len));
                        counts[5] += 1;
                    }
                    // Documentation that leaves filters out.
                    Err(error) => assert!(error.to_string().contains("there is no"), "{path}: {error}"),
                }
            }
        }
    }
    println!("snapshots, times, accounts, klines, errors, instruments: {counts:?}");
    assert!(counts.iter().all(|&count| count > 0), "{counts:?}");
}

#[test]
fn recorded_snapshots_decode_whole() {
    for recording in shipped() {
        let body = recording.frames.iter().find(|frame| frame.starts_with(b"{\"lastUpdateId\"")).expect("a snapshot");
        let snapshot = decode_snapshot(&mut body.clone(), &recording.symbols[0]).expect("a snapshot");
        assert_eq!((snapshot.bids.len(), snapshot.asks.len()), (1_000, 1_000));
        assert!(snapshot.bids[0].price < snapshot.asks[0].price);
        assert!(
            snapshot.bids.is_sorted_by(|a, b| a.price > b.price)
                && snapshot.asks.is_sorted_by(|a, b| a.price < b.price)
        );
    }
}

#[test]
fn requests_are_what_the_venue_documents() {
    let name = |text: &str| Symbol::new(text).expect("a symbol");
    let path = |request: Request| request.path_and_query;
    assert_eq!(
        path(Request::exchange_info(Market::Spot, &[name("BTCUSDT"), name("ETHBTC")])),
        "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22ETHBTC%22%5D"
    );
    assert_eq!(path(Request::exchange_info(Market::UsdM, &[name("BTCUSDT")])), "/fapi/v1/exchangeInfo");
    assert_eq!(path(Request::depth(Market::Spot, name("BTCUSDT"))), "/api/v3/depth?symbol=BTCUSDT&limit=1000");
    assert_eq!(
        path(Request::klines(Market::CoinM, name("BTCUSD_PERP"), "1m", 500)),
        "/dapi/v1/klines?symbol=BTCUSD_PERP&interval=1m&limit=500"
    );
    assert_eq!(path(Request::time(Market::Spot)), "/api/v3/time");
    assert_eq!(path(Request::day(Market::Spot, name("BTCUSDT"))), "/api/v3/ticker/24hr?symbol=BTCUSDT");

    let credentials = hmac_credentials();
    let request = Request::my_trades(&credentials, name("BTCUSDT"), Some(7), 1_499_827_319_559);
    let (query, signature) = request.path_and_query.split_once("&signature=").expect("a signature");
    assert_eq!(query, "/api/v3/myTrades?symbol=BTCUSDT&fromId=7&limit=1000&timestamp=1499827319559");
    let expected = credentials.sign(query.split_once('?').expect("a query").1.as_bytes());
    assert_eq!(signature.as_bytes(), expected.as_bytes());
    assert_eq!(request.headers, [("X-MBX-APIKEY", credentials.api_key().to_owned())]);
    assert!(!format!("{request:?}").contains(signature) && !format!("{request:?}").contains(credentials.api_key()));
    assert!(path(Request::open_orders(&credentials, 5)).starts_with("/api/v3/openOrders?timestamp=5&signature="));
    assert!(
        path(Request::account(&credentials, 5))
            .starts_with("/api/v3/account?omitZeroBalances=true&timestamp=5&signature=")
    );
    assert!(
        path(Request::all_orders(&credentials, name("BTCUSDT"), None, 5))
            .starts_with("/api/v3/allOrders?symbol=BTCUSDT&limit=1000&timestamp=5&")
    );
    // Base64's own characters never reach a query.
    for timestamp in 0..50 {
        let request = path(Request::open_orders(&ed25519_credentials(), timestamp));
        let signature = request.split_once("&signature=").expect("a signature").1;
        assert!(
            signature.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'%') && signature.ends_with("%3D%3D")
        );
    }
}

proptest! {
    #[test]
    fn hostile_bodies_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let wide = symbol(0, "ANY", 8, 8);
        let mut info = json!({"symbols": [btcusdt()]}).to_string().into_bytes();
        let at = at.index(info.len());
        info[at] = byte;
        for body in [bytes, info] {
            let _ = decode_exchange_info(&body, &[]);
            let _ = (decode_klines(&body, &wide), decode_account(&body), decode_time(&body));
            let _ = (decode_snapshot(&mut body.clone(), &wide), decode_error(&mut body.clone()));
        }
    }
}

#[test]
fn open_orders_of_any_symbol_are_listed_and_none_is_passed_over() {
    let body = br#"[{"symbol":"BTCUSDT","orderId":28,"price":"1"},{"symbol":"4_X","orderId":1}]"#;
    let order = |symbol: &str, venue_order_id| OpenOrder { symbol: symbol.to_owned(), venue_order_id };
    assert_eq!(decode_open_orders(body).expect("orders"), [order("BTCUSDT", 28), order("4_X", 1)]);
    assert_eq!(decode_open_orders(b"[]").expect("none"), []);
    for bad in ["", "{}", "null", r#"{"code":-1003}"#, r#"[{"symbol":"A"}]"#, r#"[{"symbol":"A&b=1","orderId":1}]"#] {
        assert!(decode_open_orders(bad.as_bytes()).is_err(), "{bad:?} is no list of open orders");
    }
}

#[test]
fn cancels_are_deletes_and_signed() {
    let keys = hmac_credentials();
    let all = Request::cancel_open_orders(&keys, "BTCUSDT", 5);
    assert_eq!(all.method, "DELETE");
    assert!(all.path_and_query.starts_with("/api/v3/openOrders?symbol=BTCUSDT&timestamp=5&signature="), "{all:?}");
    let order = OpenOrder { symbol: "BTCUSDT".to_owned(), venue_order_id: 9 };
    let one = Request::cancel_order(&keys, &order, 5);
    assert_eq!(one.method, "DELETE");
    assert!(one.path_and_query.starts_with("/api/v3/order?symbol=BTCUSDT&orderId=9&timestamp=5&signature="), "{one:?}");
}

#[test]
fn the_volume_of_a_day_is_read_exactly_or_not_at_all() {
    let symbol = MarketSymbol { quantity_precision: 5, ..shipped()[0].symbols[0] };
    let read = |text: &str| decode_day_volume(text.as_bytes(), &symbol);
    // As the venue's documentation has it, cut to some fields.
    let body = r#"{"symbol":"BNBBTC","priceChange":"-94.99999800","lastPrice":"4.00000200","volume":"8913.30000000","quoteVolume":"15.30000000","count":76}"#;
    assert_eq!(read(body), Ok(Quantity(891_330_000)));
    assert_eq!(read(r#"{"volume":"0.00000000"}"#), Ok(Quantity::ZERO));
    for bad in ["", "[]", "{}", r#"{"volume":5}"#, r#"{"volume":"many"}"#, r#"{"volume":"99999999999999999999"}"#] {
        assert!(read(bad).is_err(), "{bad}");
    }
}
