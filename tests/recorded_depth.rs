//! Recorded sessions through the whole feed stage into a depth book: raw frames and a snapshot in, exact books out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests fail by panicking"
)]
#![allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "tests may print")]

use crossbeam::channel;
use gannet::book::DepthBook;
use gannet::feed::depth_sync::DepthRule;
use gannet::feed::{Feed, FeedConfig, FeedLanes};
use gannet::metrics::{FeedCounters, Shared};
use gannet::pipeline::clock::Clock;
use gannet::pipeline::lane::{Receiver, Sender, lane};
use gannet::pipeline::stage::Stage;
use gannet::types::{
    FeedInput, FeedMessage, InstrumentId, MarketEvent, MarketMessage, Notice, NoticeCode, Price, Quantity, Side,
    Symbol, Timestamp, format_fixed, parse_fixed,
};
use gannet::venue::binance::{Market, MarketCodec, MarketSymbol};
use gannet::venue::connection::{Arrival, Connection, ConnectionPort};
use gannet::venue::{ByteStream, FrameReader, MemoryPipe};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// A recorded session: the market's rule, the symbol, and the decimal places of prices and quantities.
struct Session {
    name: &'static str,
    files: &'static [&'static str],
    market: Market,
    symbol: &'static str,
    places: [u8; 2],
    /// What the venue's text of a price has behind our places.
    padding: &'static str,
}

const INSTRUMENT: InstrumentId = InstrumentId(0);

/// The feed, its venue, and the book behind it.
struct Machine {
    feed: Feed,
    venue: MemoryPipe,
    inputs: Sender<FeedMessage>,
    market: Receiver<MarketMessage>,
    notices: Receiver<Notice>,
    counters: Shared<FeedCounters>,
    book: DepthBook,
    now: Timestamp,
    places: [u8; 2],
}

impl Machine {
    fn new(session: &Session) -> Self {
        let [price_precision, quantity_precision] = session.places;
        let symbol = MarketSymbol {
            instrument: INSTRUMENT,
            symbol: Symbol::new(session.symbol).expect("a symbol"),
            price_precision,
            quantity_precision,
        };
        let (inputs, feed_inputs) = lane(4_096);
        let (to_shard, market) = lane(4_096);
        let (requests, _) = lane(16);
        let (feed_notices, notices) = lane(64);
        let (arrive, arrivals) = channel::bounded(1);
        let (retired, _) = channel::bounded(1);
        let config = FeedConfig {
            name: "feed-recorded",
            codec: MarketCodec::new(session.market, &[symbol]),
            depth_rule: if session.market == Market::Spot { DepthRule::Contiguous } else { DepthRule::Linked },
            instruments: vec![INSTRUMENT],
            instrument_count: 1,
            subscription: b"{}".to_vec(),
            seed: 1,
        };
        let lanes = FeedLanes {
            inputs: feed_inputs,
            connections: ConnectionPort { arrivals, retired },
            shards: vec![(to_shard, vec![INSTRUMENT])],
            requests,
            notices: feed_notices,
        };
        let now = Timestamp::from_millis(1_700_000_000_000);
        let counters = Shared::<FeedCounters>::default();
        let feed = Feed::new(config, lanes, Clock::virtual_at(now), Shared::clone(&counters));
        let (near, venue) = MemoryPipe::pair(4_096);
        let connection = Connection::new(Box::new(near), FrameReader::new(), 1, now);
        arrive.try_send(Arrival::Connected(Box::new(connection))).unwrap_or_else(|_| panic!("room"));
        let book = DepthBook::new();
        let mut machine = Self { feed, venue, inputs, market, notices, counters, book, now, places: session.places };
        machine.poll();
        machine
    }

    fn poll(&mut self) {
        for _ in 0..3 {
            self.feed.poll(self.now);
        }
    }

    /// Sends one recorded line and calls `visit` with the book after each update that is whole.
    fn take(&mut self, line: &str, mut visit: impl FnMut(&DepthBook)) {
        let text = line.split_once(' ').expect("an instant and a frame").1;
        if text.contains("\"stream\"") {
            let mut frame = vec![0x81];
            match u16::try_from(text.len()) {
                Ok(length @ 0..=125) => frame.push(u8::try_from(length).expect("short")),
                Ok(length) => {
                    frame.push(126);
                    frame.extend_from_slice(&length.to_be_bytes());
                }
                Err(_) => {
                    frame.push(127);
                    frame.extend_from_slice(&(text.len() as u64).to_be_bytes());
                }
            }
            frame.extend_from_slice(text.as_bytes());
            assert_eq!(self.venue.try_write(&frame), Ok(frame.len()));
        } else {
            self.snapshot(&serde_json::from_str(text).expect("a snapshot"));
        }
        self.poll();
        let book = &mut self.book;
        self.market.drain(u64::MAX, |message| match &message.event {
            MarketEvent::DepthSnapshot { update_id, .. } => book.begin_snapshot(*update_id),
            MarketEvent::DepthLevel { side, is_last, level } => {
                book.apply(*side, level, *is_last);
                if *is_last {
                    assert!(book.is_synced() && !book.is_crossed());
                    visit(book);
                }
            }
            MarketEvent::DepthLost { .. } => panic!("the book is lost at {}", book.update_id()),
            _ => {}
        });
    }

    fn snapshot(&mut self, snapshot: &Value) {
        let mut send = |input| {
            self.inputs.try_send(FeedMessage { instrument: INSTRUMENT, input }).expect("room");
        };
        send(FeedInput::SnapshotBegin { update_id: snapshot["lastUpdateId"].as_u64().expect("an id") });
        for (side, name) in [(Side::Buy, "bids"), (Side::Sell, "asks")] {
            for (price, quantity) in rows(&snapshot[name], self.places) {
                send(FeedInput::SnapshotLevel { side, price: Price(price), quantity: Quantity(quantity) });
            }
        }
        send(FeedInput::SnapshotEnd);
    }

    /// Nothing was refused, lost or left out.
    fn check_counters(&mut self) {
        for (name, count) in self.counters.list() {
            let is_fault = ["bad_frames", "unknown_symbols", "depth_gaps", "lost_depth_updates", "disconnects"];
            assert!(count == 0 || !is_fault.contains(&name), "{name} {count}");
        }
        assert_eq!(self.counters.snapshots_applied.get(), 1);
        let mut codes = Vec::new();
        self.notices.drain(u64::MAX, |notice| codes.push(notice.code));
        assert_eq!(codes, [NoticeCode::Connected, NoticeCode::DepthSynced]);
    }
}

fn rows(levels: &Value, places: [u8; 2]) -> impl Iterator<Item = (i64, i64)> {
    levels.as_array().expect("levels").iter().map(move |pair| {
        let number = |which: usize| {
            parse_fixed(pair[which].as_str().expect("text").as_bytes(), places[which]).expect("a number")
        };
        (number(0), number(1))
    })
}

/// The folder of recorded data, beside the project or above it.
fn data() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let found = found.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no folder shared/data with recorded sessions here or above");
    }
    found
}

fn check(session: &Session, book: &DepthBook, expected: &Value) {
    let mut canonical = String::new();
    for (mark, side, name, count) in [("b", Side::Buy, "bids10", "n_bids"), ("a", Side::Sell, "asks10", "n_asks")] {
        canonical.push_str(mark);
        assert_eq!(Some(book.level_count(side) as u64), expected[count].as_u64(), "{}", expected["u"]);
        for (index, level) in book.levels(side).enumerate() {
            let price = format!("{}{}", format_fixed(level.price.0, session.places[0]), session.padding);
            let quantity = format_fixed(level.quantity.0, session.places[1]).to_string();
            if index < 10 && !expected[name].is_null() {
                assert_eq!(expected[name][index], serde_json::json!([price, quantity]));
            }
            write!(canonical, "{price}:{quantity};").expect("room");
        }
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
    let digest = digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    assert_eq!(expected["book_sha256"].as_str(), Some(digest.as_str()), "{}", expected["u"]);
}

fn check_session(session: &Session) {
    let Some(folder) = data() else { return };
    let path = folder.join(format!("expected/binance_{}_book.json", session.name));
    let expected: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("expected values");
    let mut checkpoints = expected["checkpoints"].as_array().expect("a list").iter().peekable();
    let mut machine = Machine::new(session);
    for file in session.files {
        let file = std::fs::File::open(folder.join("binance_raw").join(file)).expect("a recording");
        for line in BufReader::new(flate2::read::GzDecoder::new(file)).lines() {
            machine.take(&line.expect("text"), |book| {
                if checkpoints.peek().is_some_and(|expected| expected["u"] == book.update_id()) {
                    check(session, book, checkpoints.next().expect("peeked"));
                }
            });
        }
    }
    assert!(checkpoints.next().is_none(), "not every checkpoint was reached");
    assert_eq!(Some(machine.book.update_id()), expected["final"]["u"].as_u64());
    check(session, &machine.book, &expected["final"]);
    machine.check_counters();
}

#[test]
fn the_spot_session() {
    check_session(&Session {
        name: "spot_btcusdt",
        files: &["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"],
        market: Market::Spot,
        symbol: "BTCUSDT",
        places: [2, 8],
        padding: "000000",
    });
}

#[test]
fn the_usd_margined_session() {
    check_session(&Session {
        name: "usdm_btcusdt",
        files: &["usdm_btcusdt_20240808.gz"],
        market: Market::UsdM,
        symbol: "BTCUSDT",
        places: [2, 3],
        padding: "",
    });
}

#[test]
fn the_coin_margined_session() {
    check_session(&Session {
        name: "cm_btcusd_perp",
        files: &["cm_btcusd_perp_20240808.gz", "cm_btcusd_perp_20240809.gz"],
        market: Market::CoinM,
        symbol: "BTCUSD_PERP",
        places: [1, 0],
        padding: "",
    });
}

/// The venue's rule applied the obvious way.
#[derive(Default)]
struct Naive {
    sides: [BTreeMap<i64, i64>; 2],
    update_id: Option<u64>,
    held: Vec<Value>,
}

impl Naive {
    fn take(&mut self, line: &str, places: [u8; 2]) {
        let frame: Value = serde_json::from_str(line.split_once(' ').expect("a frame").1).expect("JSON");
        if frame["lastUpdateId"].is_u64() {
            self.update_id = frame["lastUpdateId"].as_u64();
            self.apply([&frame["bids"], &frame["asks"]], places);
        } else if frame["data"]["e"] == "depthUpdate" {
            self.held.push(frame["data"].clone());
        }
        let Some(mut known) = self.update_id else { return };
        for update in std::mem::take(&mut self.held) {
            let last = update["u"].as_u64().expect("an id");
            if last > known {
                assert!(update["U"].as_u64().expect("an id") <= known + 1, "the recording has a gap at {last}");
                self.apply([&update["b"], &update["a"]], places);
                known = last;
            }
        }
        self.update_id = Some(known);
    }

    fn apply(&mut self, levels: [&Value; 2], places: [u8; 2]) {
        for (side, levels) in self.sides.iter_mut().zip(levels) {
            for (price, quantity) in rows(levels, places) {
                match quantity {
                    0 => side.remove(&price),
                    quantity => side.insert(price, quantity),
                };
            }
        }
    }
}

#[test]
fn the_recordings_that_ship_against_the_obvious_book() {
    for (file, symbol) in [("spot_btcusdt_20240808.zst", "BTCUSDT"), ("usdm_btcusdt_20240808.zst", "BTCFUSDT")] {
        let places = [2, 8];
        let session = Session { name: symbol, files: &[], market: Market::Spot, symbol, places, padding: "" };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/exchange/recordings").join(file);
        let file = std::fs::File::open(path).expect("the recording");
        let lines = BufReader::new(zstd::stream::read::Decoder::new(file).expect("zstd")).lines();
        let (mut machine, mut naive, mut compared) = (Machine::new(&session), Naive::default(), 0);
        for (index, line) in lines.enumerate() {
            let line = line.expect("text");
            let mut is_news = false;
            machine.take(&line, |_| is_news = true);
            naive.take(&line, places);
            if !is_news {
                continue;
            }
            assert_eq!(Some(machine.book.update_id()), naive.update_id, "line {index}");
            let depth = if index % 100 == 0 { usize::MAX } else { 5 };
            let level = |level: &gannet::book::Level| (level.price.0, level.quantity.0);
            let pair = |(price, quantity): (&i64, &i64)| (*price, *quantity);
            let [bids, asks] = &naive.sides;
            let book = &machine.book;
            assert!(book.levels(Side::Buy).map(level).take(depth).eq(bids.iter().rev().map(pair).take(depth)));
            assert!(book.levels(Side::Sell).map(level).take(depth).eq(asks.iter().map(pair).take(depth)));
            compared += 1;
        }
        assert!(compared > 3_000, "{symbol}: {compared} updates");
        machine.check_counters();
    }
}
