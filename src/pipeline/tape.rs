//! The tape: entries as words of a journal lane, each as long as what it says.
//!
//! What costs a hot thread is not the copying but the cache lines that it has to take back from the thread that read them
//! last, a dozen nanoseconds for three of them. An entry of one size would be as long as the longest, 192 bytes; most are
//! market data and the beginnings of cycles, which take 56 and 16 here. Those have forms of their own. All others are
//! written as in the log ([`Binary`]), behind a word that says how many bytes there are. A frame is one run of words, however
//! long it is, and comes out as the entries that its parts are.
//!
//! Nobody keeps a tape: its forms may change with any build.

use crate::types::{
    Binary, DepthLevel, Event, FRAME_PART_BYTES, FramePart, InstrumentId, MarketEvent, MarketMessage, Price, Quantity,
    Quote, Side, Timestamp, Trade,
};

/// The most words of an entry.
pub(super) const ENTRY_WORDS_MAX: usize = 64;
/// The most bytes of an entry that has no form of its own.
const BYTES_MAX: usize = 8 * (ENTRY_WORDS_MAX - 1);

/// Forms, in the lowest byte of the first word.
mod form {
    pub(super) const BYTES: u64 = 0;
    pub(super) const CYCLE: u64 = 1;
    pub(super) const QUOTE: u64 = 2;
    pub(super) const BUY: u64 = 3;
    pub(super) const SELL: u64 = 4;
    pub(super) const LEVEL: u64 = 5;
    pub(super) const FRAME: u64 = 6;
}

/// One entry, packed.
pub(super) struct Packed {
    words: [u64; ENTRY_WORDS_MAX],
    length: usize,
}

impl Packed {
    pub(super) const fn new() -> Self {
        Self { words: [0; ENTRY_WORDS_MAX], length: 0 }
    }

    /// Its words.
    #[inline]
    pub(super) fn words(&self) -> &[u64] {
        self.words.get(..self.length).unwrap_or_default()
    }

    /// A cycle that begins.
    #[inline]
    pub(super) fn cycle(&mut self, at: Timestamp) {
        self.set([form::CYCLE, at.nanos()]);
    }

    /// Market data; `false` where it has no form of its own.
    #[inline]
    pub(super) fn market(&mut self, lane: u8, message: &MarketMessage) -> bool {
        let first = |form: u64, more: u16| {
            form | u64::from(lane) << 8 | u64::from(more) << 16 | u64::from(message.instrument.0) << 32
        };
        match &message.event {
            MarketEvent::Quote(quote) => self.set([
                first(form::QUOTE, 0),
                quote.bid.0.cast_unsigned(),
                quote.bid_quantity.0.cast_unsigned(),
                quote.ask.0.cast_unsigned(),
                quote.ask_quantity.0.cast_unsigned(),
                quote.exchange_ns.nanos(),
                quote.received_ns.nanos(),
            ]),
            MarketEvent::Trade { aggressor, count, trade } => self.set([
                first(if *aggressor == Side::Buy { form::BUY } else { form::SELL }, *count),
                trade.price.0.cast_unsigned(),
                trade.quantity.0.cast_unsigned(),
                trade.high.0.cast_unsigned(),
                trade.low.0.cast_unsigned(),
                trade.exchange_ns.nanos(),
                trade.received_ns.nanos(),
            ]),
            MarketEvent::DepthLevel { side, is_last, level } => self.set([
                first(form::LEVEL, u16::from(*side == Side::Sell) | u16::from(*is_last) << 1),
                level.price.0.cast_unsigned(),
                level.quantity.0.cast_unsigned(),
                level.update_id,
                level.exchange_ns.nanos(),
                level.received_ns.nanos(),
            ]),
            _ => return false,
        }
        true
    }

    /// Anything, as in the log. `scratch` has room for [`BYTES_MAX`] bytes, so that nothing is allocated.
    pub(super) fn bytes(&mut self, event: &Event, scratch: &mut Vec<u8>) {
        scratch.clear();
        event.put(scratch);
        assert!(scratch.len() <= BYTES_MAX, "an entry fits the tape");
        let count = scratch.len() as u64;
        self.length = 1 + scratch.len().div_ceil(8);
        for (word, bytes) in self.words.iter_mut().skip(1).zip(scratch.chunks(8)) {
            let mut whole = [0; 8];
            for (place, byte) in whole.iter_mut().zip(bytes) {
                *place = *byte;
            }
            *word = u64::from_le_bytes(whole);
        }
        if let Some(first) = self.words.first_mut() {
            *first = form::BYTES | count << 16;
        }
    }

    #[inline]
    fn set<const N: usize>(&mut self, words: [u64; N]) {
        self.length = N;
        for (place, word) in self.words.iter_mut().zip(words) {
            *place = word;
        }
    }
}

/// A frame: how many words it is, and those words.
#[inline]
pub(super) fn frame(received_ns: Timestamp, frame: &[u8]) -> (usize, impl Iterator<Item = u64>) {
    let (whole, rest) = frame.as_chunks();
    let mut last = [0; 8];
    last.iter_mut().zip(rest).for_each(|(place, byte)| *place = *byte);
    let last = (!rest.is_empty()).then_some(u64::from_le_bytes(last));
    let first = [form::FRAME | (frame.len() as u64) << 16, received_ns.nanos()];
    let words = whole.iter().map(|bytes| u64::from_le_bytes(*bytes)).chain(last);
    (2 + frame.len().div_ceil(8), first.into_iter().chain(words))
}

/// How many entries the parts of a frame are.
#[inline]
pub(super) fn frame_parts(bytes: usize) -> u64 {
    bytes.div_ceil(FRAME_PART_BYTES).max(1) as u64
}

/// Room for what [`Packed::bytes`] puts together.
pub(super) fn scratch() -> Vec<u8> {
    Vec::with_capacity(2 * BYTES_MAX)
}

/// Puts entries together again, word by word.
#[derive(Debug, Default)]
pub(super) struct Unpacking {
    words: Vec<u64>,
    /// How many words the entry has that is being put together.
    due: usize,
    bytes: Vec<u8>,
    frame: OpenFrame,
}

/// A frame whose parts are being put together.
#[derive(Debug, Default)]
struct OpenFrame {
    received_ns: Timestamp,
    /// Bytes that are still to come.
    rest: usize,
    part: FramePart,
}

impl OpenFrame {
    /// Takes the next word, and answers the part that is whole with it.
    fn take(&mut self, word: u64) -> Option<Event> {
        let bytes = word.to_le_bytes();
        let bytes = bytes.get(..self.rest).unwrap_or(&bytes);
        self.part.push(bytes);
        self.rest -= bytes.len();
        (self.rest == 0 || self.part.is_full()).then(|| self.part())
    }

    fn part(&mut self) -> Event {
        let (received_ns, part) = (self.received_ns, std::mem::take(&mut self.part));
        Event::Frame { received_ns, rest: u32::try_from(self.rest).unwrap_or(u32::MAX), part }
    }
}

impl Unpacking {
    /// Takes the next word, and answers the entry that is whole with it, and the instant where it is a cycle's beginning.
    pub(super) fn take(&mut self, word: u64) -> Option<(Event, Option<Timestamp>)> {
        if self.frame.rest > 0 {
            return self.frame.take(word).map(|event| (event, None));
        }
        if self.words.is_empty() {
            self.due = match word & 0xff {
                form::CYCLE | form::FRAME => 2,
                form::QUOTE | form::BUY | form::SELL => 7,
                form::LEVEL => 6,
                _ => 1 + usize::try_from(word >> 16).unwrap_or(0).div_ceil(8),
            };
        }
        self.words.push(word);
        if self.words.len() < self.due {
            return None;
        }
        let entry = self.whole();
        self.words.clear();
        entry
    }

    fn whole(&mut self) -> Option<(Event, Option<Timestamp>)> {
        let first = *self.words.first()?;
        let word = |place: usize| self.words.get(place).copied().unwrap_or(0);
        let price = |place: usize| Price(word(place).cast_signed());
        let quantity = |place: usize| Quantity(word(place).cast_signed());
        let instant = |place: usize| Timestamp::from_nanos(word(place));
        let more = u16::try_from(first >> 16 & 0xffff).unwrap_or(0);
        let event = match first & 0xff {
            form::CYCLE => return Some((Event::Cycle, Some(instant(1)))),
            form::FRAME => {
                let (received_ns, rest) = (instant(1), usize::try_from(first >> 16).unwrap_or(0));
                self.frame = OpenFrame { received_ns, rest, ..OpenFrame::default() };
                return (rest == 0).then(|| (self.frame.part(), None));
            }
            form::QUOTE => MarketEvent::Quote(Quote {
                bid: price(1),
                bid_quantity: quantity(2),
                ask: price(3),
                ask_quantity: quantity(4),
                exchange_ns: instant(5),
                received_ns: instant(6),
            }),
            kind @ (form::BUY | form::SELL) => MarketEvent::Trade {
                aggressor: if kind == form::BUY { Side::Buy } else { Side::Sell },
                count: more,
                trade: Trade {
                    price: price(1),
                    quantity: quantity(2),
                    high: price(3),
                    low: price(4),
                    exchange_ns: instant(5),
                    received_ns: instant(6),
                },
            },
            form::LEVEL => MarketEvent::DepthLevel {
                side: if more & 1 == 0 { Side::Buy } else { Side::Sell },
                is_last: more & 2 != 0,
                level: DepthLevel {
                    price: price(1),
                    quantity: quantity(2),
                    update_id: word(3),
                    exchange_ns: instant(4),
                    received_ns: instant(5),
                },
            },
            _ => {
                let count = usize::try_from(first >> 16).unwrap_or(0);
                self.bytes.clear();
                self.words.iter().skip(1).for_each(|word| self.bytes.extend_from_slice(&word.to_le_bytes()));
                return Event::take(&mut self.bytes.get(..count)?).map(|event| (event, None));
            }
        };
        let instrument = InstrumentId(u32::try_from(first >> 32).unwrap_or(0));
        let lane = u8::try_from(first >> 8 & 0xff).unwrap_or(0);
        Some((Event::Market { lane, message: MarketMessage { instrument, event } }, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What comes of an event that goes over the tape, and its words.
    fn over(event: &Event) -> (Event, usize) {
        let (mut packed, mut scratch, mut unpacking) = (Packed::new(), scratch(), Unpacking::default());
        match event {
            Event::Market { lane, message } if packed.market(*lane, message) => {}
            event => packed.bytes(event, &mut scratch),
        }
        let words = packed.words().to_vec();
        let mut whole = words.iter().filter_map(|&word| unpacking.take(word));
        let (event, at) = whole.next().expect("whole with its last word");
        assert_eq!((at, whole.next()), (None, None));
        (event, words.len())
    }

    proptest! {
        #[test]
        fn what_goes_over_the_tape_comes_out_the_same(
            tag in 0..40u8, inner in 0..8u8,
            bytes in proptest::collection::vec(prop_oneof![0..2u8, any::<u8>()], 300),
        ) {
            let mut bytes = bytes;
            bytes[0] = tag;
            bytes[match tag { 5 => 2, 18 => 6, _ => 1 }] = inner;
            if let Some(event) = Event::take(&mut bytes.as_slice()) {
                let (out, words) = over(&event);
                prop_assert_eq!(out, event);
                prop_assert!(words <= 32, "{} words", words);
            }
        }
    }

    #[test]
    fn a_frame_comes_out_in_parts_and_whole() {
        for length in [0, 1, 8, 159, 160, 161, 319, 320, 1_001] {
            let bytes: Vec<u8> = (0..length).map(|place| (place % 251) as u8).collect();
            let (count, words) = frame(Timestamp::from_nanos(7), &bytes);
            let words: Vec<u64> = words.collect();
            assert_eq!(words.len(), count);
            let (mut unpacking, mut whole, mut parts, mut left) = (Unpacking::default(), Vec::new(), 0, None);
            for word in words.into_iter().chain([form::CYCLE, 9]) {
                match unpacking.take(word) {
                    Some((Event::Frame { received_ns, rest, part }, None)) => {
                        assert_eq!(received_ns, Timestamp::from_nanos(7));
                        whole.extend_from_slice(part.as_bytes());
                        parts += 1;
                        left = Some(rest);
                        assert_eq!(whole.len() + rest as usize, length);
                    }
                    None => {}
                    other => assert_eq!(other, Some((Event::Cycle, Some(Timestamp::from_nanos(9))))),
                }
            }
            assert_eq!((&whole, parts, left), (&bytes, frame_parts(length), Some(0)), "{length}");
        }
    }

    #[test]
    fn what_comes_most_is_short() {
        let market = |event| Event::Market { lane: 3, message: MarketMessage { instrument: InstrumentId(9), event } };
        let level = DepthLevel { price: Price(-1), update_id: u64::MAX, ..DepthLevel::default() };
        for (event, words) in [
            (market(MarketEvent::Quote(Quote { bid: Price(i64::MIN), ..Quote::default() })), 7),
            (market(MarketEvent::Trade { aggressor: Side::Buy, count: u16::MAX, trade: Trade::default() }), 7),
            (market(MarketEvent::Trade { aggressor: Side::Sell, count: 1, trade: Trade::default() }), 7),
            (market(MarketEvent::DepthLevel { side: Side::Sell, is_last: true, level }), 6),
            (market(MarketEvent::DepthLevel { side: Side::Buy, is_last: false, level }), 6),
        ] {
            assert_eq!(over(&event), (event, words));
        }
        let mut packed = Packed::new();
        packed.cycle(Timestamp::from_nanos(7));
        assert_eq!(packed.words(), [1, 7]);
    }
}
