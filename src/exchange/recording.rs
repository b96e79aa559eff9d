//! Recorded sessions: lines `<receive ns> <frame JSON>` of the bookTicker, trade and depth streams of one symbol, with
//! a REST depth snapshot among them.
//!
//! A recording is read whole at the start, into integers. What is before the snapshot, or not newer than it, is left
//! out; from there on the depth updates must follow each other without a gap. A USD-M session is read as well: its
//! updates are chained by `pu`, and fields that spot does not have are passed over.

use super::config::RecordingSource;
use crate::matching::PRECISION;
use crate::types::{Side, parse_fixed};
use serde::Deserialize;
use std::fmt;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

/// The largest recording that is read, uncompressed.
pub const RECORDING_BYTES_MAX: u64 = 1 << 30;

/// A price and a quantity, at 8 decimal places.
pub(super) type Level = (i64, i64);

/// One recorded session of one symbol.
#[derive(Debug, Default)]
pub(super) struct Recording {
    /// The symbol that its streams name, in upper case.
    pub symbol: String,
    /// The update id of the snapshot.
    pub snapshot_id: u64,
    pub snapshot_bids: Vec<Level>,
    pub snapshot_asks: Vec<Level>,
    pub events: Vec<Event>,
    levels: Vec<Level>,
    /// Decimal places of its quotes and trades that are ever used.
    pub price_places: u8,
    pub quantity_places: u8,
    /// How far the venue's clock was ahead of the recorder's at most: that is of the fastest frame.
    pub clock_lead_ns: i64,
}

/// A recorded event.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// When the recorder had it.
    pub received_ns: u64,
    pub kind: EventKind,
}

#[derive(Clone, Debug)]
pub(super) enum EventKind {
    Quote { update_id: u64, bid: Level, ask: Level },
    Trade(RecordedTrade),
    Depth { update_id: u64, event_ms: u64, bids: Range<u32>, asks: Range<u32> },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct RecordedTrade {
    pub id: u64,
    pub event_ms: u64,
    pub trade_ms: u64,
    pub price: i64,
    pub quantity: i64,
    pub aggressor: Side,
    /// Where it is the last of the fills of one taker at one price: how many they are, and their sum.
    pub aggregate: Option<(u32, i64)>,
}

/// Why a recording cannot be played.
#[derive(Debug)]
pub struct RecordingError {
    source: String,
    line: usize,
    what: String,
}

impl RecordingError {
    fn new(source: &str, line: usize, what: impl Into<String>) -> Self {
        Self { source: source.to_owned(), line, what: what.into() }
    }
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "recording {}", self.source)?;
        if self.line > 0 {
            write!(f, ", line {}", self.line)?;
        }
        write!(f, ": {}", self.what)
    }
}

impl std::error::Error for RecordingError {}

#[derive(Deserialize)]
struct SnapshotFrame<'a> {
    #[serde(rename = "lastUpdateId")]
    last_update_id: u64,
    #[serde(borrow)]
    bids: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    asks: Vec<(&'a str, &'a str)>,
}

#[derive(Deserialize)]
struct QuoteFrame<'a> {
    u: u64,
    b: &'a str,
    #[serde(rename = "B")]
    bid_quantity: &'a str,
    a: &'a str,
    #[serde(rename = "A")]
    ask_quantity: &'a str,
}

#[derive(Deserialize)]
struct TradeFrame<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    trade_ms: u64,
    m: bool,
}

#[derive(Deserialize)]
struct DepthFrame<'a> {
    #[serde(rename = "E")]
    event_ms: u64,
    #[serde(rename = "U")]
    first: u64,
    u: u64,
    pu: Option<u64>,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
}

#[derive(Deserialize)]
struct Wrapped<T> {
    data: T,
}

impl Recording {
    /// What its trades come to together.
    pub(super) fn volume(&self) -> i64 {
        let traded = |event: &Event| if let EventKind::Trade(trade) = &event.kind { trade.quantity } else { 0 };
        self.events.iter().map(traded).fold(0, i64::saturating_add)
    }

    /// Reads one session, each source continuing the one before.
    pub(super) fn load(sources: &[RecordingSource]) -> Result<Self, RecordingError> {
        let mut reading = Reading::default();
        for source in sources {
            let (name, text) = text_of(source)?;
            for (index, line) in text.lines().enumerate() {
                reading.line(line).map_err(|what| RecordingError::new(&name, index + 1, what))?;
            }
            reading.source = name;
        }
        reading.finish()
    }

    pub(super) fn levels(&self, range: &Range<u32>) -> &[Level] {
        self.levels.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// When its first and last event were recorded.
    pub(super) fn span(&self) -> (u64, u64) {
        let at = |event: Option<&Event>| event.map_or(0, |event| event.received_ns);
        (at(self.events.first()), at(self.events.last()))
    }
}

/// A recording on its way in.
#[derive(Default)]
struct Reading {
    recording: Recording,
    source: String,
    has_snapshot: bool,
    /// Depth updates and other events from before the snapshot came (it is recorded later than what follows it).
    depth_id: u64,
    is_chained: bool,
    clock_lead_ns: Option<i64>,
    aggregate: Option<(usize, u32, i64)>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (instant, frame) = line.split_once(' ').ok_or("not of the form `<receive ns> <frame>`")?;
        let received_ns: u64 = instant.parse().map_err(|_| "the receive time is not a number")?;
        if self.recording.events.last().is_some_and(|event| event.received_ns > received_ns) {
            return Err("the receive time goes backwards".to_owned());
        }
        let Some(stream) = frame.strip_prefix("{\"stream\":\"").and_then(|rest| rest.split('"').next()) else {
            return self.snapshot(frame);
        };
        let (symbol, kind) = stream.split_once('@').ok_or("the stream has no `@`")?;
        if self.recording.symbol.is_empty() {
            self.recording.symbol = symbol.to_uppercase();
        } else if !self.recording.symbol.eq_ignore_ascii_case(symbol) {
            return Err(format!("a second symbol, {symbol}: record one symbol a file"));
        }
        if kind == "bookTicker" {
            let Wrapped { data } = parse::<Wrapped<QuoteFrame>>(frame)?;
            let bid = self.touched(data.b, data.bid_quantity)?;
            let ask = self.touched(data.a, data.ask_quantity)?;
            self.push(received_ns, EventKind::Quote { update_id: data.u, bid, ask });
        } else if kind == "trade" {
            let Wrapped { data } = parse::<Wrapped<TradeFrame>>(frame)?;
            let (price, quantity) = self.touched(data.p, data.q)?;
            // USD-M tells of insurance fund and liquidation fills with no price.
            if price > 0 && quantity > 0 {
                self.lead(received_ns, data.event_ms)?;
                self.trade(received_ns, &data, price, quantity);
            }
        } else if kind.starts_with("depth") && !is_partial(kind) {
            let Wrapped { data } = parse::<Wrapped<DepthFrame>>(frame)?;
            self.lead(received_ns, data.event_ms)?;
            self.depth(received_ns, &data)?;
        }
        // Other streams are made by the exchange itself.
        Ok(())
    }

    fn snapshot(&mut self, frame: &str) -> Result<(), String> {
        let snapshot = parse::<SnapshotFrame>(frame)?;
        if self.has_snapshot {
            // A later one of the same session says what the updates already did.
            return Ok(());
        }
        self.has_snapshot = true;
        let recording = &mut self.recording;
        recording.snapshot_id = snapshot.last_update_id;
        recording.snapshot_bids = levels_of(&snapshot.bids)?;
        recording.snapshot_asks = levels_of(&snapshot.asks)?;
        Ok(())
    }

    fn depth(&mut self, received_ns: u64, data: &DepthFrame<'_>) -> Result<(), String> {
        let previous = data.pu.unwrap_or_else(|| data.first.wrapping_sub(1));
        if self.is_chained && previous != self.depth_id {
            return Err(format!("a gap in the depth stream: {previous} does not follow {}", self.depth_id));
        }
        (self.is_chained, self.depth_id) = (true, data.u);
        let levels = &mut self.recording.levels;
        let mut add = |side: &[(&str, &str)]| -> Result<Range<u32>, String> {
            let start = u32::try_from(levels.len()).map_err(|_| "too many levels")?;
            levels.extend(levels_of(side)?);
            Ok(start..u32::try_from(levels.len()).map_err(|_| "too many levels")?)
        };
        let (bids, asks) = (add(&data.b)?, add(&data.a)?);
        self.push(received_ns, EventKind::Depth { update_id: data.u, event_ms: data.event_ms, bids, asks });
        Ok(())
    }

    fn trade(&mut self, received_ns: u64, data: &TradeFrame<'_>, price: i64, quantity: i64) {
        let aggressor = if data.m { Side::Sell } else { Side::Buy };
        let index = self.recording.events.len();
        let mut sum = (1u32, quantity);
        if let Some((last, count, before)) = self.aggregate
            && let Some(Event { kind: EventKind::Trade(trade), .. }) = self.recording.events.get_mut(last)
            && (trade.price, trade.trade_ms, trade.aggressor) == (price, data.trade_ms, aggressor)
            && trade.id.checked_add(1) == Some(data.t)
        {
            trade.aggregate = None;
            sum = (count.saturating_add(1), before.saturating_add(quantity));
        }
        self.aggregate = Some((index, sum.0, sum.1));
        let trade = RecordedTrade {
            id: data.t,
            event_ms: data.event_ms,
            trade_ms: data.trade_ms,
            price,
            quantity,
            aggressor,
            aggregate: Some(sum),
        };
        self.push(received_ns, EventKind::Trade(trade));
    }

    fn push(&mut self, received_ns: u64, kind: EventKind) {
        self.recording.events.push(Event { received_ns, kind });
    }

    fn lead(&mut self, received_ns: u64, event_ms: u64) -> Result<(), String> {
        let event_ns = i64::try_from(event_ms.saturating_mul(1_000_000)).map_err(|_| "the event time does not fit")?;
        let received_ns = i64::try_from(received_ns).map_err(|_| "the receive time does not fit")?;
        let lead = event_ns - received_ns;
        self.clock_lead_ns = Some(self.clock_lead_ns.map_or(lead, |before| before.max(lead)));
        Ok(())
    }

    /// Reads a price and quantity of the touch, and learns from them how fine the symbol's numbers are.
    fn touched(&mut self, price: &str, quantity: &str) -> Result<Level, String> {
        self.recording.price_places = self.recording.price_places.max(places_of(price));
        self.recording.quantity_places = self.recording.quantity_places.max(places_of(quantity));
        level_of(price, quantity)
    }

    /// Leaves out what the snapshot already holds.
    fn finish(self) -> Result<Recording, RecordingError> {
        let Self { mut recording, source, has_snapshot, clock_lead_ns, .. } = self;
        if !has_snapshot {
            return Err(RecordingError::new(&source, 0, "there is no depth snapshot in it to build the book from"));
        }
        let snapshot_id = recording.snapshot_id;
        let is_newer =
            |event: &Event| matches!(event.kind, EventKind::Depth { update_id, .. } if update_id > snapshot_id);
        let Some(first) = recording.events.iter().position(is_newer) else {
            return Err(RecordingError::new(&source, 0, "no depth update follows its snapshot"));
        };
        recording.events.drain(..first);
        recording.clock_lead_ns = clock_lead_ns.unwrap_or(0);
        Ok(recording)
    }
}

fn parse<'a, T: Deserialize<'a>>(frame: &'a str) -> Result<T, String> {
    serde_json::from_str(frame).map_err(|error| error.to_string())
}

/// `depth5`, `depth20@100ms`: states of the book, not changes.
fn is_partial(kind: &str) -> bool {
    kind.strip_prefix("depth").is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()))
}

fn level_of(price: &str, quantity: &str) -> Result<Level, String> {
    let number = |text: &str| parse_fixed(text.as_bytes(), PRECISION).map_err(|error| format!("{text}: {error}"));
    Ok((number(price)?, number(quantity)?))
}

fn levels_of(texts: &[(&str, &str)]) -> Result<Vec<Level>, String> {
    texts.iter().map(|(price, quantity)| level_of(price, quantity)).collect()
}

fn places_of(text: &str) -> u8 {
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction.trim_end_matches('0'));
    u8::try_from(fraction.len()).unwrap_or(PRECISION)
}

fn text_of(source: &RecordingSource) -> Result<(String, String), RecordingError> {
    let (name, bytes) = match source {
        RecordingSource::Text(text) => return Ok(("in memory".to_owned(), text.clone())),
        RecordingSource::Embedded(bytes) => ("that ships".to_owned(), decompressed(bytes, Some("zst"))),
        RecordingSource::File(path) => {
            let extension = path.extension().and_then(|extension| extension.to_str());
            let name = path.display().to_string();
            (name, read(path).and_then(|bytes| decompressed(&bytes, extension)))
        }
    };
    let bytes = bytes.map_err(|error| RecordingError::new(&name, 0, error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| RecordingError::new(&name, 0, "not UTF-8 text"))?;
    Ok((name, text))
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    bounded(std::fs::File::open(path)?)
}

fn decompressed(bytes: &[u8], extension: Option<&str>) -> std::io::Result<Vec<u8>> {
    match extension {
        Some("gz") => bounded(flate2::read::MultiGzDecoder::new(bytes)),
        Some("zst") => bounded(zstd::Decoder::new(bytes)?),
        _ => Ok(bytes.to_vec()),
    }
}

fn bounded(reader: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(RECORDING_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > RECORDING_BYTES_MAX {
        return Err(std::io::Error::other("larger than 1 GiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = r#"1000000000 {"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","E":2000,"s":"ABCUSDT","U":5,"u":7,"b":[],"a":[]}}
1000000001 {"stream":"abcusdt@trade","data":{"e":"trade","E":2000,"s":"ABCUSDT","t":1,"p":"10.50","q":"1.000","T":1999,"m":true,"M":true}}
1000000002 {"lastUpdateId":7,"bids":[["10.5","2"]],"asks":[["10.6","3"]]}
1000000003 {"stream":"abcusdt@depth@100ms","data":{"e":"depthUpdate","E":2000,"s":"ABCUSDT","U":8,"u":9,"b":[["10.5","1"]],"a":[]}}
1000000004 {"stream":"abcusdt@trade","data":{"e":"trade","E":2000,"s":"ABCUSDT","t":2,"p":"10.50","q":"1.000","T":2000,"m":true,"M":true}}
1000000005 {"stream":"abcusdt@trade","data":{"e":"trade","E":2000,"s":"ABCUSDT","t":3,"p":"10.50","q":"0.250","T":2000,"m":true,"M":true}}
"#;

    fn load(text: &str) -> Result<Recording, RecordingError> {
        Recording::load(&[RecordingSource::Text(text.to_owned())])
    }

    #[test]
    fn what_the_snapshot_holds_is_left_out_and_fills_of_one_taker_are_summed() {
        let recording = load(LINES).expect("plays");
        assert_eq!((recording.symbol.as_str(), recording.snapshot_id), ("ABCUSDT", 7));
        assert_eq!((recording.price_places, recording.quantity_places), (1, 2));
        assert_eq!(recording.events.len(), 3);
        let aggregates: Vec<_> = recording
            .events
            .iter()
            .filter_map(|event| if let EventKind::Trade(trade) = &event.kind { Some(trade.aggregate) } else { None })
            .collect();
        assert_eq!(aggregates, vec![None, Some((2, 125_000_000))]);
        assert_eq!(recording.clock_lead_ns, 1_000_000_000);
    }

    #[test]
    fn what_cannot_be_played_is_told_with_its_line() {
        for (text, said) in [
            (LINES.replace("\"U\":8", "\"U\":9"), "line 4: a gap in the depth stream: 8 does not follow 7"),
            (LINES.replace("10.5\",\"1\"", "10.5\",\"x\""), "line 4: x: not a plain decimal number"),
            (LINES.replace("1000000004", "1"), "line 5: the receive time goes backwards"),
            (LINES.replace("1000000004 ", ""), "line 5"),
            (LINES.lines().take(2).collect::<Vec<_>>().join("\n"), "there is no depth snapshot"),
            (LINES.replacen("abcusdt@trade", "xyzusdt@trade", 1), "line 2: a second symbol"),
        ] {
            let error = load(&text).expect_err(said).to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
