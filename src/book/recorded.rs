//! The books and bars of recorded sessions, against values computed elsewhere in exact decimals.

use super::{BarSeries, DepthBook, Level};
use crate::types::{DepthLevel, Price, Quantity, Side, Timestamp, Trade, format_fixed, parse_fixed};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

/// The folder of recorded data, beside the project or above it.
pub(crate) fn data() -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let found = found.into_iter().find(|folder| folder.is_dir());
    if found.is_none() {
        println!("skipped: no folder shared/data with recorded sessions here or above");
    }
    found
}

pub(crate) fn unzip(path: &Path) -> impl BufRead + use<> {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    BufReader::new(flate2::read::GzDecoder::new(file))
}

/// A recorded session: its files, and the decimal places of its prices and quantities, in its own text and in ours.
pub(crate) struct Session {
    pub(crate) name: &'static str,
    files: &'static [&'static str],
    pub(crate) places: [u8; 2],
    padding: &'static str,
}

pub(crate) const SESSIONS: [Session; 3] = [
    Session {
        name: "spot_btcusdt",
        files: &["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"],
        places: [2, 8],
        padding: "000000",
    },
    Session { name: "usdm_btcusdt", files: &["usdm_btcusdt_20240808.gz"], places: [2, 3], padding: "" },
    Session {
        name: "cm_btcusd_perp",
        files: &["cm_btcusd_perp_20240808.gz", "cm_btcusd_perp_20240809.gz"],
        places: [1, 0],
        padding: "",
    },
];

impl Session {
    pub(crate) fn number(&self, which: usize, text: &Value) -> i64 {
        parse_fixed(text.as_str().expect("text").as_bytes(), self.places[which]).expect("a number")
    }

    fn text(&self, level: &Level) -> (String, String) {
        let price = format!("{}{}", format_fixed(level.price.0, self.places[0]), self.padding);
        (price, format_fixed(level.quantity.0, self.places[1]).to_string())
    }

    pub(crate) fn frames(&self, folder: &Path) -> impl Iterator<Item = Value> + use<> {
        let paths: Vec<_> = self.files.iter().map(|file| folder.join("binance_raw").join(file)).collect();
        paths.into_iter().flat_map(|path| unzip(&path).lines()).map(|line| {
            let line = line.expect("text");
            serde_json::from_str(line.split_once(' ').expect("an instant and a frame").1).expect("a frame")
        })
    }

    pub(crate) fn levels(&self, frame: &Value, names: [&str; 2], update_id: u64) -> Vec<(Side, DepthLevel)> {
        let mut levels = Vec::new();
        for (side, name) in [(Side::Buy, names[0]), (Side::Sell, names[1])] {
            for pair in frame[name].as_array().expect("levels") {
                let price = Price(self.number(0, &pair[0]));
                let quantity = Quantity(self.number(1, &pair[1]));
                levels.push((side, DepthLevel { price, quantity, update_id, ..DepthLevel::default() }));
            }
        }
        levels
    }
}

/// The book beside the obvious one.
struct Pair {
    book: DepthBook,
    naive: [BTreeMap<i64, i64>; 2],
}

impl Pair {
    fn apply(&mut self, levels: &[(Side, DepthLevel)]) {
        for (index, (side, level)) in levels.iter().enumerate() {
            self.book.apply(*side, level, index + 1 == levels.len());
            let naive = &mut self.naive[side.index()];
            match level.quantity.0 {
                0 => naive.remove(&level.price.0),
                quantity => naive.insert(level.price.0, quantity),
            };
        }
        let pair = |level: &Level| (level.price.0, level.quantity.0);
        assert!(self.book.levels(Side::Buy).map(pair).eq(self.naive[0].iter().rev().map(|(p, q)| (*p, *q))));
        assert!(self.book.levels(Side::Sell).map(pair).eq(self.naive[1].iter().map(|(p, q)| (*p, *q))));
    }

    fn check(&self, session: &Session, expected: &Value) {
        let mut canonical = String::new();
        for (mark, side, name, count) in [("b", Side::Buy, "bids10", "n_bids"), ("a", Side::Sell, "asks10", "n_asks")] {
            canonical.push_str(mark);
            assert_eq!(self.book.level_count(side) as u64, expected[count].as_u64().expect("a count"));
            for (index, level) in self.book.levels(side).enumerate() {
                let (price, quantity) = session.text(level);
                if index < 10 {
                    assert_eq!(expected[name][index], serde_json::json!([price, quantity]));
                }
                write!(canonical, "{price}:{quantity};").expect("room");
            }
        }
        let digest = ring::digest::digest(&ring::digest::SHA256, canonical.as_bytes());
        let digest = digest.as_ref().iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        assert_eq!(expected["book_sha256"].as_str().expect("a digest"), digest, "{}", expected["applied"]);
    }
}

fn check_session(session: &Session) {
    let Some(folder) = data() else { return };
    let path = folder.join(format!("expected/binance_{}_book.json", session.name));
    let expected: Value = serde_json::from_slice(&std::fs::read(path).expect("a file")).expect("expected values");
    let mut checkpoints = expected["checkpoints"].as_array().expect("a list").iter().peekable();
    let mut pair = Pair { book: DepthBook::new(), naive: Default::default() };
    let (mut held, mut applied) = (Vec::new(), 0);
    for frame in session.frames(&folder) {
        if let Some(update_id) = frame["lastUpdateId"].as_u64() {
            pair.book.begin_snapshot(update_id);
            pair.apply(&session.levels(&frame, ["bids", "asks"], update_id));
        } else if frame["stream"].as_str().is_some_and(|stream| stream.contains("@depth")) {
            held.push(frame["data"].clone());
        }
        if !pair.book.is_synced() {
            continue;
        }
        for update in held.drain(..) {
            let last = update["u"].as_u64().expect("an id");
            if last <= pair.book.update_id() {
                continue;
            }
            pair.apply(&session.levels(&update, ["b", "a"], last));
            applied += 1;
            assert!(pair.book.is_synced() && !pair.book.is_crossed());
            if checkpoints.peek().is_some_and(|expected| expected["applied"] == applied) {
                pair.check(session, checkpoints.next().expect("peeked"));
            }
        }
    }
    assert!(checkpoints.next().is_none(), "not every checkpoint was reached");
    assert_eq!(applied, expected["applied"].as_u64().expect("a count"));
    pair.check(session, &expected["final"]);
    assert_eq!(pair.book.dropped_levels(Side::Buy) + pair.book.dropped_levels(Side::Sell), 0);
}

#[test]
fn the_spot_book_is_exact() {
    check_session(&SESSIONS[0]);
}

#[test]
fn the_usd_margined_book_is_exact() {
    check_session(&SESSIONS[1]);
}

#[test]
fn the_coin_margined_book_is_exact() {
    check_session(&SESSIONS[2]);
}

#[test]
fn the_bars_are_exact() {
    let Some(folder) = data() else { return };
    for session in &SESSIONS {
        let (mut series, mut bars) = (BarSeries::new(1_000), Vec::new());
        for frame in session.frames(&folder) {
            let data = &frame["data"];
            if data["e"] == "trade" {
                let exchange_ns = Timestamp::from_millis(data["T"].as_u64().expect("an instant"));
                let price = Price(session.number(0, &data["p"]));
                let quantity = Quantity(session.number(1, &data["q"]));
                let trade =
                    Trade { price, quantity, high: price, low: price, exchange_ns, received_ns: Timestamp::UNKNOWN };
                bars.extend(series.on_trade(&trade, 1));
            } else if let Some(millis) = data["E"].as_u64() {
                bars.extend(series.on_time(Timestamp::from_millis(millis)));
            }
        }
        bars.extend(series.on_time(Timestamp::from_millis(u64::MAX / 2_000_000)));
        assert_eq!(series.late_trades(), 0);
        let mut expected = String::new();
        let path = folder.join(format!("expected/binance_{}_bars1s.csv.gz", session.name));
        unzip(&path).read_to_string(&mut expected).expect("text");
        let mut rows = expected.lines().skip(1);
        for bar in &bars {
            let price = |price: Price| session.text(&Level { price, quantity: bar.volume }).0;
            let volume = session.text(&Level { price: bar.open, quantity: bar.volume }).1;
            let prices = [bar.open, bar.high, bar.low, bar.close].map(price).join(",");
            let row = format!("{},{prices},{volume},{}", bar.open_ns.millis(), bar.trades);
            assert_eq!(rows.next(), Some(row.as_str()), "{}", session.name);
        }
        assert_eq!(rows.next(), None, "{}", session.name);
    }
}
