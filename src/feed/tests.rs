//! The whole stage over a pipe, with scripted frames at the other end and a clock set by hand.

use super::*;
use crate::pipeline::lane::lane;
use crate::types::{MarketEvent, MarketMessage, Price, Quantity, Symbol};
use crate::venue::binance::{Market, MarketSymbol};
use crate::venue::{ByteStream, FrameReader, MemoryPipe, StreamError};
use crossbeam::channel;
use serde_json::json;

const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);

/// Reads one byte a call where so wanted.
struct Near(MemoryPipe, bool);

impl ByteStream for Near {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let limit = if self.1 { 1 } else { buffer.len() };
        self.0.try_read(&mut buffer[..limit])
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.0.try_write(bytes)
    }
}

struct Rig {
    feed: Feed,
    now: Timestamp,
    clock: Clock,
    inputs: Sender<FeedMessage>,
    shards: Vec<Receiver<MarketMessage>>,
    requests: Receiver<Request>,
    notices: Receiver<Notice>,
    arrivals: channel::Sender<Arrival>,
    retired: channel::Receiver<Box<Connection>>,
    counters: Shared<FeedCounters>,
    is_byte_by_byte: bool,
}

impl Rig {
    /// A feed of BTC and ETH to shards with lanes of these capacities.
    fn new(capacities: &[usize]) -> Self {
        let symbol = |instrument, symbol| MarketSymbol {
            instrument,
            symbol: Symbol::new(symbol).expect("a symbol"),
            price_precision: 2,
            quantity_precision: 0,
        };
        let (inputs, feed_inputs) = lane(64);
        let (feed_requests, requests) = lane(64);
        let (feed_notices, notices) = lane(256);
        let (arrivals, feed_arrivals) = channel::bounded(4);
        let (retire, retired) = channel::bounded(16);
        let (senders, shards): (Vec<_>, Vec<_>) = capacities.iter().map(|capacity| lane(*capacity)).unzip();
        let config = FeedConfig {
            name: "feed-test",
            codec: MarketCodec::new(Market::Spot, &[symbol(BTC, "BTCUSDT"), symbol(ETH, "ETHUSDT")]),
            depth_rule: DepthRule::Contiguous,
            instruments: vec![BTC, ETH],
            instrument_count: 2,
            subscription: b"{\"method\":\"SUBSCRIBE\"}".to_vec(),
            seed: 1,
        };
        let lanes = FeedLanes {
            inputs: feed_inputs,
            connections: ConnectionPort { arrivals: feed_arrivals, retired: retire },
            shards: senders.into_iter().map(|sender| (sender, vec![BTC, ETH])).collect(),
            requests: feed_requests,
            notices: feed_notices,
        };
        let now = Timestamp::from_millis(1_700_000_000_000);
        let counters = Shared::<FeedCounters>::default();
        let clock = Clock::virtual_at(now);
        let feed = Feed::new(config, lanes, clock.clone(), Shared::clone(&counters));
        Self {
            feed,
            now,
            clock,
            inputs,
            shards,
            requests,
            notices,
            arrivals,
            retired,
            counters,
            is_byte_by_byte: false,
        }
    }

    /// Connected; what led to it is forgotten.
    fn connected() -> (Self, MemoryPipe) {
        let mut rig = Self::new(&[4_096]);
        rig.poll();
        let venue = rig.connect();
        rig.wait(100);
        rig.requested();
        rig.events();
        rig.noticed();
        (rig, venue)
    }

    fn poll(&mut self) {
        for _ in 0..if self.is_byte_by_byte { 5_000 } else { 20 } {
            self.feed.poll(self.now);
        }
    }

    fn wait(&mut self, millis: u64) {
        for _ in 0..millis / 50 {
            self.now = self.now.plus(50_000_000);
            self.clock.set(self.now);
            self.feed.poll(self.now);
        }
        self.poll();
    }

    fn connect(&mut self) -> MemoryPipe {
        let (near, far) = MemoryPipe::pair(4_096);
        let stream = Box::new(Near(near, self.is_byte_by_byte));
        let connection = Connection::new(stream, FrameReader::new(), 3, self.now);
        self.arrivals.try_send(Arrival::Connected(Box::new(connection))).unwrap_or_else(|_| panic!("room"));
        self.poll();
        far
    }

    fn say(&mut self, venue: &mut MemoryPipe, texts: &[String]) {
        for text in texts {
            say(venue, text);
        }
        self.poll();
    }

    fn hears(&mut self, venue: &mut MemoryPipe, texts: &[String]) -> Vec<String> {
        self.say(venue, texts);
        self.events()
    }

    fn input(&mut self, input: FeedInput) {
        self.inputs.try_send(FeedMessage { instrument: BTC, input }).expect("room");
    }

    fn snapshot(&mut self, update_id: u64, levels: &[(Side, i64, i64)]) {
        self.input(FeedInput::SnapshotBegin { update_id });
        for &(side, price, quantity) in levels {
            self.input(FeedInput::SnapshotLevel { side, price: Price(price), quantity: Quantity(quantity) });
        }
        self.input(FeedInput::SnapshotEnd);
        self.poll();
    }

    fn events_of(&mut self, shard: usize) -> Vec<String> {
        let mut events = Vec::new();
        self.shards[shard].drain(u64::MAX, |message| events.push(words(message)));
        events
    }

    fn events(&mut self) -> Vec<String> {
        self.events_of(0)
    }

    fn noticed(&mut self) -> Vec<NoticeCode> {
        let mut codes = Vec::new();
        self.notices.drain(u64::MAX, |notice| codes.push(notice.code));
        codes
    }

    fn requested(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        self.requests.drain(u64::MAX, |request| requests.push(*request));
        requests
    }
}

fn words(message: &MarketMessage) -> String {
    let instrument = message.instrument.0;
    match message.event {
        MarketEvent::Quote(quote) => format!("{instrument} quote {}/{}", quote.bid.0, quote.ask.0),
        MarketEvent::Trade { aggressor, count, trade } => {
            format!("{instrument} {count} trades {aggressor:?} {}@{}", trade.quantity.0, trade.price.0)
        }
        MarketEvent::DepthSnapshot { update_id, .. } => format!("{instrument} snapshot {update_id}"),
        MarketEvent::DepthLevel { side, is_last, level } => {
            let end = if is_last { "." } else { "" };
            format!("{instrument} {side:?} {}@{} of {}{end}", level.quantity.0, level.price.0, level.update_id)
        }
        MarketEvent::DepthLost { .. } => format!("{instrument} lost"),
        MarketEvent::HistoryBar(bar) => format!("{instrument} bar {}", bar.close.0),
        MarketEvent::HistoryEnd => format!("{instrument} history ends"),
        MarketEvent::Connection { is_up, .. } => format!("{instrument} {}", if is_up { "up" } else { "down" }),
    }
}

fn say(venue: &mut MemoryPipe, text: &str) {
    let mut frame = vec![0x81];
    match text.len() {
        length @ 0..=125 => frame.push(length as u8),
        length => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
    }
    frame.extend_from_slice(text.as_bytes());
    assert_eq!(venue.try_write(&frame), Ok(frame.len()));
}

/// What the feed wrote: how often it subscribed.
fn subscriptions(venue: &mut MemoryPipe) -> usize {
    let mut bytes = vec![0; 4_096];
    let count = venue.try_read(&mut bytes).expect("open");
    let mut rest = &bytes[..count];
    let mut found = 0;
    while let [first, second, a, b, c, d, payload @ ..] = rest {
        let (text, behind) = payload.split_at(usize::from(second & 0x7F));
        let text: Vec<u8> = text.iter().zip([a, b, c, d].into_iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
        found += usize::from(*first == 0x81 && text == b"{\"method\":\"SUBSCRIBE\"}");
        rest = behind;
    }
    found
}

fn quote(id: u64, bid: &str, ask: &str) -> String {
    json!({"u": id, "s": "BTCUSDT", "b": bid, "B": "1", "a": ask, "A": "1"}).to_string()
}

fn trade(id: u64, quantity: u64, is_buyer_maker: bool) -> String {
    json!({"e": "trade", "E": 1, "s": "BTCUSDT", "t": id, "p": "100.00", "q": quantity.to_string(), "T": 1,
        "m": is_buyer_maker, "M": true})
    .to_string()
}

fn depth(first: u64, last: u64, quantity: u64) -> String {
    json!({"e": "depthUpdate", "E": 1, "s": "BTCUSDT", "U": first, "u": last, "b": [["99.00", quantity.to_string()]],
        "a": []})
    .to_string()
}

const LEVELS: [(Side, i64, i64); 2] = [(Side::Buy, 9_900, 1), (Side::Sell, 10_100, 1)];

/// A connected feed whose BTC book is in sync at update 12.
fn synced() -> (Rig, MemoryPipe) {
    let (mut rig, mut venue) = Rig::connected();
    rig.say(&mut venue, &[depth(10, 12, 5)]);
    rig.snapshot(10, &LEVELS);
    let expected = ["0 snapshot 10", "0 Buy 1@9900 of 10", "0 Sell 1@10100 of 10.", "0 Buy 5@9900 of 12."];
    assert_eq!(rig.events(), expected);
    assert_eq!(rig.noticed(), [NoticeCode::DepthSynced]);
    (rig, venue)
}

#[test]
fn it_subscribes_and_asks_for_snapshots_after_each_connect() {
    let mut rig = Rig::new(&[64]);
    rig.poll();
    assert_eq!(rig.requested(), [Request::Connect]);
    let mut venue = rig.connect();
    rig.wait(100);
    assert_eq!(subscriptions(&mut venue), 1);
    assert_eq!(rig.requested(), [Request::Snapshot(BTC), Request::Snapshot(ETH)]);
    assert_eq!(rig.events(), ["0 up", "1 up"]);
    drop(venue);
    rig.poll();
    assert_eq!(rig.events(), ["0 down", "0 lost", "1 down", "1 lost"]);
    assert_eq!((rig.requested(), rig.retired.try_iter().count()), (Vec::new(), 1));
    rig.wait(300);
    assert_eq!(rig.requested(), [Request::Connect]);
    let mut venue = rig.connect();
    rig.wait(100);
    assert_eq!((subscriptions(&mut venue), rig.counters.connects.get(), rig.counters.disconnects.get()), (1, 2, 1));
}

#[test]
fn what_cannot_be_used_is_counted_and_shown() {
    let (mut rig, mut venue) = Rig::connected();
    let bad = [
        quote(1, "99.00", "101.00").replace("BTCUSDT", "XRPUSDT"),
        "{\"u\":".to_owned(),
        quote(2, "99.001", "101.00"),
        quote(3, "-99.00", "101.00").replace("\"b\":", "\"x\":"),
        trade(1, 1, true).replace("\"100.00\"", "\"1e2\""),
    ];
    assert_eq!(rig.hears(&mut venue, &bad), [""; 0]);
    assert_eq!((rig.counters.unknown_symbols.get(), rig.counters.bad_frames.get()), (1, 4));
    let mut expected = vec![NoticeCode::UnknownSymbol];
    expected.extend([NoticeCode::BadMarketFrame; 4]);
    assert_eq!(rig.noticed(), expected);
    assert_eq!(rig.hears(&mut venue, &[quote(4, "99.00", "101.00")]), ["0 quote 9900/10100"]);
    rig.wait(100);
    assert!(rig.counters.slow_frames.get() >= 4, "frames that the scanner left to the other decoder");
}

#[test]
fn a_crossed_quote_passes_and_each_time_it_begins_is_told() {
    let (mut rig, mut venue) = Rig::connected();
    let frames =
        [("99.00", "101.00"), ("101.00", "101.00"), ("102.00", "101.00"), ("99.00", "101.00"), ("103.00", "101.00")];
    let frames: Vec<_> = (1..).zip(frames).map(|(id, (bid, ask))| quote(id, bid, ask)).collect();
    assert_eq!(rig.hears(&mut venue, &frames).len(), 5);
    assert_eq!((rig.counters.crossed_quotes.get(), rig.noticed()), (3, vec![NoticeCode::CrossedBook; 2]));
}

#[test]
fn old_and_repeated_events_are_dropped_by_their_ids() {
    let (mut rig, mut venue) = Rig::connected();
    let frames = [
        quote(5, "99.00", "101.00"),
        quote(5, "98.00", "101.00"),
        quote(4, "97.00", "101.00"),
        trade(7, 1, true),
        trade(7, 2, true),
        trade(6, 3, true),
        trade(8, 4, false),
    ];
    let events = rig.hears(&mut venue, &frames);
    assert_eq!(events, ["0 quote 9900/10100", "0 1 trades Sell 1@10000", "0 1 trades Buy 4@10000"]);
    assert_eq!(rig.counters.old_events.get(), 4);
}

#[test]
fn a_gap_loses_the_book_until_the_next_snapshot() {
    let (mut rig, mut venue) = synced();
    assert_eq!(rig.hears(&mut venue, &[depth(11, 12, 6), depth(13, 14, 7)]), ["0 Buy 7@9900 of 14."]);
    // What could not be read shows as a gap.
    let damaged = depth(15, 15, 8).replace("99.00", "99.001");
    assert_eq!(rig.hears(&mut venue, &[damaged, depth(16, 17, 9)]), ["0 lost"]);
    assert_eq!(rig.noticed(), [NoticeCode::BadMarketFrame, NoticeCode::DepthGap, NoticeCode::DepthLost]);
    rig.requested();
    rig.wait(600);
    assert!(rig.requested().contains(&Request::Snapshot(BTC)));
    // One that is too old for what is held back is asked for again, later.
    rig.snapshot(14, &LEVELS);
    assert_eq!((rig.events(), rig.noticed()), (Vec::new(), vec![NoticeCode::SnapshotTooOld]));
    rig.wait(1_100);
    assert!(rig.requested().contains(&Request::Snapshot(BTC)));
    rig.snapshot(15, &LEVELS);
    assert_eq!(rig.events().last().map(String::as_str), Some("0 Buy 9@9900 of 17."));
    assert_eq!(rig.noticed(), [NoticeCode::DepthSynced]);
    assert_eq!((rig.counters.depth_gaps.get(), rig.counters.snapshots_applied.get()), (1, 2));
}

#[test]
fn a_silent_venue_is_pinged_then_given_up() {
    let (mut rig, _venue) = Rig::connected();
    rig.wait(15_200);
    assert_eq!(rig.events(), ["0 down", "0 lost", "1 down", "1 lost"]);
    assert!(rig.noticed().contains(&NoticeCode::Disconnected));
}

#[test]
fn a_connection_that_is_about_to_end_is_replaced_without_a_gap() {
    let (mut rig, mut old) = synced();
    let frames = ["{\"e\":\"serverShutdown\",\"E\":1}".to_owned(), trade(1, 1, true)];
    assert_eq!(rig.hears(&mut old, &frames), ["0 1 trades Sell 1@10000"]);
    assert_eq!(rig.requested(), [Request::Connect], "at once");
    let mut new = rig.connect();
    rig.wait(100);
    assert_eq!((subscriptions(&mut new), rig.retired.try_iter().count()), (1, 0), "the old one still serves");
    let mut events = rig.events();
    // The new one begins later than where the old one is, then both bring the same.
    rig.say(&mut new, &[trade(4, 4, true), depth(15, 16, 4)]);
    rig.say(&mut old, &[trade(2, 2, true), depth(13, 13, 2), trade(3, 3, true), depth(14, 14, 3)]);
    rig.say(&mut new, &[trade(3, 3, true), depth(14, 14, 3)]);
    rig.say(&mut old, &[trade(4, 4, true), depth(15, 16, 4), "{\"e\":\"serverShutdown\",\"E\":1}".to_owned()]);
    rig.say(&mut new, &[trade(5, 5, true), depth(17, 17, 5)]);
    drop(old);
    rig.say(&mut new, &[trade(6, 6, true), depth(18, 18, 6)]);
    events.extend(rig.events());
    let mut expected = vec!["0 up".to_owned(), "1 up".to_owned()];
    for (trade, update) in [(2, 13), (3, 14), (4, 16), (5, 17), (6, 18)] {
        expected.push(format!("0 1 trades Sell {trade}@10000"));
        expected.push(format!("0 Buy {trade}@9900 of {update}."));
    }
    assert_eq!(events, expected);
    assert_eq!((rig.retired.try_iter().count(), rig.counters.depth_gaps.get()), (1, 0));
    rig.wait(1_000);
    assert!(!rig.requested().contains(&Request::Connect), "one is enough");
}

#[test]
fn an_old_connection_that_does_not_end_is_ended_by_us() {
    let (mut rig, mut old) = Rig::connected();
    rig.say(&mut old, &["{\"e\":\"serverShutdown\",\"E\":1}".to_owned()]);
    let mut new = rig.connect();
    for _ in 0..12 {
        rig.wait(1_000);
        say(&mut new, "{}");
    }
    assert_eq!((rig.retired.try_iter().count(), rig.counters.disconnects.get()), (1, 0));
}

#[test]
fn a_full_lane_conflates_and_every_event_is_accounted_for() {
    let mut rig = Rig::new(&[8, 1_024]);
    rig.poll();
    let mut venue = rig.connect();
    rig.say(&mut venue, &[depth(10, 12, 5)]);
    rig.snapshot(10, &LEVELS);
    let mut slow = Vec::new();
    for step in 0..200u64 {
        let frames = [
            quote(step + 1, "99.00", &format!("{}.00", 101 + step)),
            trade(step + 1, 1, step % 3 == 0),
            depth(13 + step, 13 + step, step + 1),
        ];
        rig.say(&mut venue, &frames);
        if step % 50 == 49 {
            slow.extend(rig.events_of(0));
            rig.poll();
        }
    }
    for _ in 0..10 {
        slow.extend(rig.events_of(0));
        rig.poll();
    }
    let fast = rig.events_of(1);
    let count = |events: &[String], word: &str| events.iter().filter(|event| event.contains(word)).count() as u64;
    assert_eq!((count(&fast, "quote"), count(&fast, "trades")), (200, 200));
    assert_eq!(count(&slow, "quote") + rig.counters.conflated_quotes.get(), 200);
    assert_eq!(count(&slow, "trades") + rig.counters.conflated_trades.get(), 200);
    let traded: u64 = slow
        .iter()
        .filter_map(|event| event.split_once(" trades "))
        .map(|(head, _)| head.split_once(' ').expect("a count").1.parse::<u64>().expect("a number"))
        .sum();
    assert_eq!(traded, 200, "no trade is missing from the sums");
    assert_eq!(slow.iter().rfind(|event| event.contains("quote")).map(String::as_str), Some("0 quote 9900/30000"));
    // The book that did not fit is lost to both shards, and asked for again.
    assert_eq!((rig.counters.lost_depth_updates.get(), count(&slow, "0 lost"), count(&fast, "0 lost")), (1, 1, 1));
    rig.requested();
    rig.wait(700);
    assert!(rig.requested().contains(&Request::Snapshot(BTC)));
    rig.snapshot(212, &LEVELS);
    assert!(rig.events_of(0).contains(&"0 snapshot 212".to_owned()));
    assert_eq!(rig.counters.depth_gaps.get(), 0);
}

#[test]
fn history_passes_whole_through_a_full_lane() {
    let mut rig = Rig::new(&[4, 64]);
    for close in 0..40 {
        rig.input(FeedInput::HistoryBar(HistoryBar { close: Price(close), ..HistoryBar::default() }));
    }
    rig.input(FeedInput::HistoryEnd);
    let mut expected: Vec<_> = (0..40).map(|close| format!("0 bar {close}")).collect();
    expected.push("0 history ends".to_owned());
    for _ in 0..3 {
        rig.poll();
    }
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.extend(rig.events_of(0));
        rig.poll();
    }
    assert_eq!((slow, rig.events_of(1)), (expected.clone(), expected));
}

#[test]
fn frames_that_come_byte_by_byte_say_the_same() {
    let run = |is_byte_by_byte| {
        let mut rig = Rig { is_byte_by_byte, ..Rig::new(&[64]) };
        rig.poll();
        let mut venue = rig.connect();
        let frames = [quote(1, "99.00", "101.00"), trade(1, 3, true), depth(10, 12, 5), trade(2, 4, false)];
        rig.say(&mut venue, &frames);
        rig.snapshot(11, &LEVELS);
        rig.events()
    };
    assert_eq!(run(true), run(false));
    assert_eq!(run(true).len(), 2 + 3 + 4);
}

#[test]
fn notices_that_nobody_takes_are_dropped_and_counted() {
    let (mut rig, mut venue) = Rig::connected();
    for id in 0..300 {
        rig.say(&mut venue, &[quote(id, "99.00", "101.00").replace("BTCUSDT", "XRPUSDT")]);
    }
    assert_eq!((rig.noticed().len(), rig.counters.notices_dropped.get()), (256, 44));
}

#[test]
fn requests_that_find_no_room_are_made_again() {
    let mut rig = Rig::new(&[64]);
    rig.poll();
    let mut venue = rig.connect();
    let mut seconds = |rig: &mut Rig, count: usize| {
        for _ in 0..count {
            rig.wait(1_000);
            rig.say(&mut venue, &["{}".to_owned()]);
        }
    };
    seconds(&mut rig, 1_200);
    assert_eq!(rig.requested().len(), 64);
    assert_eq!(rig.counters.snapshots_requested.get(), 63, "what found no room is not counted as asked");
    seconds(&mut rig, 31);
    let requests = rig.requested();
    assert!(requests.contains(&Request::Snapshot(BTC)) && requests.contains(&Request::Snapshot(ETH)), "{requests:?}");
}
