//! The scanner against the general decoder: on every recorded frame, and on frames that were tampered with.

use super::market::{DecodeError, Level, Market, MarketCodec, MarketFrame, MarketSymbol};
use super::rest;
use crate::types::{InstrumentId, Price, Quantity, Side, Symbol, Timestamp, parse_fixed};
use flate2::read::GzDecoder;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A recording: its market, its symbols, its frames.
pub(super) struct Recording {
    pub(super) market: Market,
    pub(super) symbols: Vec<MarketSymbol>,
    pub(super) frames: Vec<Vec<u8>>,
}

pub(super) fn unzip(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(std::fs::File::open(path).expect("the file")).read_to_end(&mut bytes).expect("gzip");
    bytes
}

/// The folder of shared recordings, if this checkout has one beside or above it.
pub(super) fn shared(folder: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|parent| parent.join("shared/data").join(folder))
        .find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: there is no shared/data/{folder}");
    }
    found
}

pub(super) fn symbol(id: u32, name: &str, price_precision: u8, quantity_precision: u8) -> MarketSymbol {
    let symbol = Symbol::new(name).expect("a symbol");
    MarketSymbol { instrument: InstrumentId(id), symbol, price_precision, quantity_precision }
}

fn btc(market: Market) -> MarketSymbol {
    match market {
        // Not the step's five places: orders older than the step stay in the book.
        Market::Spot => symbol(7, "BTCUSDT", 2, 8),
        Market::UsdM => symbol(8, "BTCUSDT", 1, 3),
        Market::CoinM => symbol(9, "BTCUSD_PERP", 1, 0),
    }
}

/// Reads `time frame` and `time: frame` lines.
fn recording(market: Market, symbols: Vec<MarketSymbol>, path: &Path) -> Recording {
    let frames = unzip(path)
        .split(|&byte| byte == b'\n')
        .filter(|line| line.first().is_some_and(u8::is_ascii_digit))
        .filter_map(|line| line.iter().position(|&byte| byte == b'{').map(|at| line[at..].to_vec()))
        .collect();
    Recording { market, symbols, frames }
}

/// The recordings that ship with the crate.
pub(super) fn shipped() -> Vec<Recording> {
    [(Market::Spot, "spot"), (Market::UsdM, "usdm"), (Market::CoinM, "cm")]
        .into_iter()
        .map(|(market, name)| {
            let path = format!("{}/tests/data/binance_{name}.txt.gz", env!("CARGO_MANIFEST_DIR"));
            recording(market, vec![btc(market)], Path::new(&path))
        })
        .collect()
}

type Decoded = Result<(MarketFrame, Vec<Level>, Vec<Level>), DecodeError>;

fn with_levels(codec: &MarketCodec, frame: MarketFrame) -> (MarketFrame, Vec<Level>, Vec<Level>) {
    match frame {
        MarketFrame::Depth { .. } => (frame, codec.levels().0.to_vec(), codec.levels().1.to_vec()),
        _ => (frame, Vec::new(), Vec::new()),
    }
}

fn general(codec: &mut MarketCodec, frame: &[u8]) -> Decoded {
    codec.decode_general(&mut frame.to_vec()).map(|decoded| with_levels(codec, decoded))
}

/// Where the scanner answers, the general decoder must answer the same. Tells whether the scanner did.
fn agree(codec: &mut MarketCodec, frame: &[u8]) -> bool {
    let scanned = codec.scan(frame).map(|decoded| with_levels(codec, decoded));
    let Some(scanned) = scanned else { return false };
    assert_eq!(Ok(scanned), general(codec, frame), "{}", frame.escape_ascii());
    true
}

/// How many of the recording's stream frames the scanner took, and how many there are.
fn compare(recording: &Recording) -> (usize, usize) {
    let mut codec = MarketCodec::new(recording.market, &recording.symbols);
    let (mut scanned, mut frames) = (0, 0);
    for frame in recording.frames.iter().filter(|frame| frame.starts_with(b"{\"stream\"")) {
        frames += 1;
        let by_scanner = agree(&mut codec, frame);
        scanned += usize::from(by_scanner);
        let decoded = general(&mut codec, frame).unwrap_or_else(|error| panic!("{error}: {}", frame.escape_ascii()));
        let is_kline = frame.windows(6).any(|window| window == b"@kline");
        assert_eq!(decoded.0 == MarketFrame::Other, is_kline, "{}", frame.escape_ascii());
        assert!(by_scanner || is_kline, "not recognised: {}", frame.escape_ascii());
        // The same frame outside of its wrapper.
        let at = frame.windows(8).position(|window| window == b"\"data\":{").expect("data") + 7;
        assert_eq!(agree(&mut codec, &frame[at..frame.len() - 1]), by_scanner);
    }
    (scanned, frames)
}

#[test]
fn both_paths_agree_on_the_shipped_recordings() {
    for recording in shipped() {
        assert_eq!(compare(&recording), (240, 240));
    }
}

#[test]
fn both_paths_agree_on_every_recorded_frame() {
    let Some(folder) = shared("binance_raw") else { return };
    let mut total = 0;
    for (market, name) in [
        (Market::Spot, "spot_btcusdt_20240808"),
        (Market::Spot, "spot_btcusdt_20240809"),
        (Market::UsdM, "usdm_btcusdt_20240808"),
        (Market::CoinM, "cm_btcusd_perp_20240808"),
        (Market::CoinM, "cm_btcusd_perp_20240809"),
    ] {
        let (scanned, frames) = compare(&recording(market, vec![btc(market)], &folder.join(format!("{name}.gz"))));
        assert!(scanned * 100 >= frames * 99, "{name}: {scanned} of {frames}");
        total += frames;
    }
    assert_eq!(total, 41_248 + 58_325 + 93_953 + 48_269 + 50_116);
}

#[test]
fn both_paths_agree_on_many_symbols_with_the_venues_own_precisions() {
    let Some(folder) = shared("binance_raw") else { return };
    for (market, name) in [(Market::Spot, "cryptofeed_BINANCE"), (Market::UsdM, "cryptofeed_BINANCE_FUTURES")] {
        let lines = unzip(&folder.join(format!("{name}.0.gz")));
        let line = lines.split(|&byte| byte == b'\n').next().expect("a line");
        let body = &line[line.iter().position(|&byte| byte == b'{').expect("a body")..];
        let specs = rest::decode_exchange_info(body, &[]).expect("instruments");
        assert!(specs.len() > 20, "{name}: {}", specs.len());
        let symbols: Vec<MarketSymbol> = specs
            .iter()
            .enumerate()
            .map(|(id, spec)| MarketSymbol {
                instrument: InstrumentId(u32::try_from(id).expect("few")),
                ..MarketSymbol::from(&spec.instrument)
            })
            .collect();
        let (scanned, frames) = compare(&recording(market, symbols.clone(), &folder.join(format!("{name}.ws.1.0.gz"))));
        println!("{name}: {scanned} of {frames} frames by the scanner");
        // Every snapshot fits the precisions derived from the filters, too.
        let bodies = unzip(&folder.join(format!("{name}.http.0.0.gz")));
        let mut snapshots = 0;
        for line in bodies.split(|&byte| byte == b'\n') {
            let Some(at) = line.iter().position(|&byte| byte == b'{') else { continue };
            let url = String::from_utf8_lossy(&line[..at]).into_owned();
            let Some(wanted) = symbols.iter().find(|symbol| url.contains(&format!("symbol={}&", symbol.symbol))) else {
                continue;
            };
            let snapshot = rest::decode_snapshot(&mut line[at..].to_vec(), wanted).expect("a snapshot");
            assert!(snapshot.bids[0].price < snapshot.asks[0].price && snapshot.last_update_id > 0);
            snapshots += 1;
        }
        assert!(snapshots >= 4, "{name}: {snapshots}");
    }
}

/// The text without the blanks outside of strings, and without `//` comments: as the venue would send it.
fn compact(text: &str) -> Vec<u8> {
    let (mut compact, mut is_inside) = (Vec::new(), false);
    for line in text.lines() {
        let line = line.split_once("//").map_or(line, |(line, _)| line);
        for byte in line.bytes() {
            is_inside ^= byte == b'"';
            if is_inside || !byte.is_ascii_whitespace() {
                compact.push(byte);
            }
        }
    }
    compact
}

#[test]
fn both_paths_agree_on_every_collected_stream_example() {
    let Some(folder) = shared("binance_frames") else { return };
    let symbols: Vec<MarketSymbol> = ["BNBBTC", "BNBUSDT", "BTCUSDT", "ETHUSDT", "BTCUSD_200626"]
        .iter()
        .zip(0..)
        .map(|(name, id)| symbol(id, name, 8, 8))
        .collect();
    let mut kinds = std::collections::BTreeMap::new();
    let mut scanned = 0;
    for file in ["spot_docs_json.jsonl.gz", "nautilus_fixtures.jsonl.gz", "binance_net_fixtures.jsonl.gz"] {
        let text = String::from_utf8(unzip(&folder.join(file))).expect("UTF-8");
        for row in text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON")) {
            let value = &row["json"];
            let event = if value["data"].is_object() { &value["data"] } else { value };
            let kind = event["e"].as_str().unwrap_or(if event["B"].is_string() && event["u"].is_u64() {
                "bookTicker"
            } else {
                ""
            });
            if !["trade", "aggTrade", "bookTicker", "depthUpdate"].contains(&kind) {
                continue;
            }
            *kinds.entry(kind.to_owned()).or_insert(0) += 1;
            let frame = compact(row["text"].as_str().expect("text"));
            let frame = if serde_json::from_slice::<serde_json::Value>(&frame).is_ok() {
                frame
            } else {
                value.to_string().into_bytes()
            };
            let mut codec = MarketCodec::new(Market::Spot, &symbols);
            scanned += usize::from(agree(&mut codec, &frame));
            match general(&mut codec, &frame) {
                Ok((MarketFrame::Other, ..)) => panic!("{}", frame.escape_ascii()),
                Ok(_) | Err(DecodeError::UnknownSymbol) => {}
                Err(error) => panic!("{error}: {}", frame.escape_ascii()),
            }
        }
    }
    println!("{kinds:?}, {scanned} by the scanner");
    assert!(kinds.len() == 4 && scanned >= 5, "{kinds:?} {scanned}");
}

/// xorshift64*: enough to pick places with.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

fn mutate(frame: &mut Vec<u8>, random: &mut Random) {
    const BYTES: &[u8] = b"0123456789.\",:{}[]-+eE \\/\tnulltruefalsabBAmMpqTsuU\x00\x1f\x80\xc3\xff";
    const NUMBERS: [&[u8]; 12] = [
        b"0",
        b"00",
        b"01",
        b"1e3",
        b"-1",
        b"-0.0",
        b"18446744073709551615",
        b"99999999999999999999",
        b"0.000000001",
        b".5",
        b"5.",
        b"123456789012.12345678",
    ];
    let at = random.below(frame.len());
    match random.below(9) {
        0 => frame[at] ^= 1 << random.below(8),
        1 => frame[at] = BYTES[random.below(BYTES.len())],
        2 => drop(frame.remove(at)),
        3 => frame.insert(at, BYTES[random.below(BYTES.len())]),
        4 => {
            let other = random.below(frame.len());
            frame.swap(at, other);
        }
        5 => frame.truncate(at),
        6 => {
            // Another number in place of one that is there.
            if let Some(start) = (at..frame.len()).find(|&at| frame[at].is_ascii_digit()) {
                let end = (start..frame.len())
                    .find(|&at| !frame[at].is_ascii_digit() && frame[at] != b'.')
                    .unwrap_or(frame.len());
                frame.splice(start..end, NUMBERS[random.below(NUMBERS.len())].iter().copied());
            }
        }
        7 => {
            // Another digit: still a frame, with another value.
            if let Some(digit) = (at..frame.len()).find(|&at| frame[at].is_ascii_digit()) {
                frame[digit] = b'0' + random.below(10) as u8;
            }
        }
        _ => {
            let end = (at + random.below(24)).min(frame.len());
            let piece = frame[at..end].to_vec();
            let to = random.below(frame.len());
            frame.splice(to..to, piece);
        }
    }
}

#[test]
fn both_paths_agree_on_mutated_frames() {
    const MUTANTS: usize = 80_000;
    for (number, recording) in shipped().iter().enumerate() {
        let frames: Vec<&Vec<u8>> =
            recording.frames.iter().filter(|frame| frame.starts_with(b"{\"stream\"") && frame.len() < 4_000).collect();
        let mut codec = MarketCodec::new(recording.market, &recording.symbols);
        let mut random = Random(0x9E37_79B9_7F4A_7C15 + number as u64);
        let (mut scanned, mut refused) = (0, 0);
        for mutant in 0..MUTANTS {
            let mut frame = frames[mutant % frames.len()].clone();
            for _ in 0..=random.below(3) {
                if !frame.is_empty() {
                    mutate(&mut frame, &mut random);
                }
            }
            let by_scanner = agree(&mut codec, &frame);
            scanned += usize::from(by_scanner);
            refused += usize::from(!by_scanner && general(&mut codec, &frame).is_err());
        }
        println!("of {MUTANTS} mutants the scanner took {scanned}, the general decoder refused {refused}");
        // Neither answer is the rule: the test would prove little.
        assert!(scanned > MUTANTS / 20 && refused > MUTANTS / 20);
    }
}

/// A third reading of the recorded frames, by `serde_json` and the obvious number parser.
#[test]
fn values_are_what_a_plain_reading_says() {
    for recording in shipped() {
        let symbol = recording.symbols[0];
        let mut codec = MarketCodec::new(recording.market, &recording.symbols);
        for frame in recording.frames.iter().filter(|frame| frame.starts_with(b"{\"stream\"")) {
            let value: serde_json::Value = serde_json::from_slice(frame).expect("JSON");
            let data = &value["data"];
            let price = |value: &serde_json::Value| {
                Price(parse_fixed(value.as_str().expect("text").as_bytes(), symbol.price_precision).expect("a price"))
            };
            let quantity = |value: &serde_json::Value| {
                Quantity(
                    parse_fixed(value.as_str().expect("text").as_bytes(), symbol.quantity_precision)
                        .expect("a quantity"),
                )
            };
            let millis = |field: &str| data[field].as_u64().map_or(Timestamp::UNKNOWN, Timestamp::from_millis);
            match codec.decode(&mut frame.clone()).expect("a frame") {
                MarketFrame::Quote { quote, update_id, instrument } => {
                    assert_eq!((instrument, Some(update_id)), (symbol.instrument, data["u"].as_u64()));
                    assert_eq!((quote.bid, quote.bid_quantity), (price(&data["b"]), quantity(&data["B"])));
                    assert_eq!((quote.ask, quote.ask_quantity), (price(&data["a"]), quantity(&data["A"])));
                    assert_eq!(quote.exchange_ns, millis("T"));
                }
                MarketFrame::Trade { trade, aggressor, first_trade_id, last_trade_id, .. } => {
                    assert_eq!((trade.price, trade.quantity), (price(&data["p"]), quantity(&data["q"])));
                    assert_eq!((Some(first_trade_id), last_trade_id), (data["t"].as_u64(), first_trade_id));
                    assert_eq!(aggressor == Side::Sell, data["m"].as_bool() == Some(true));
                    assert_eq!(trade.exchange_ns, millis("T"));
                }
                MarketFrame::Depth { first_update_id, last_update_id, previous_update_id, exchange_ns, .. } => {
                    assert_eq!((Some(first_update_id), Some(last_update_id)), (data["U"].as_u64(), data["u"].as_u64()));
                    assert_eq!(previous_update_id, data["pu"].as_u64());
                    assert_eq!(exchange_ns, if recording.market == Market::Spot { millis("E") } else { millis("T") });
                    for (side, levels) in [("b", codec.levels().0), ("a", codec.levels().1)] {
                        let plain: Vec<Level> = data[side]
                            .as_array()
                            .expect("levels")
                            .iter()
                            .map(|row| Level { price: price(&row[0]), quantity: quantity(&row[1]) })
                            .collect();
                        assert_eq!(levels, plain);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(codec.slow_frames(), 0);
    }
}
