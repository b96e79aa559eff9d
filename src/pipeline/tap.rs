//! The tap: a stage's end of its journal lane.
//!
//! A stage copies into it what it takes and what it decides ([`Event`]); a thread of its own drains it into the log. The
//! stage never waits for that thread: where there is no room, entries are left out and counted, market data long before
//! anything else, and [`Tap::health`] tells the stage in time to send no new orders.

use super::lane::{Receiver, Sender, roomy_lane};
use super::tape::{self, ENTRY_WORDS_MAX, Packed, Unpacking, scratch};
use crate::types::{Entry, Event, JournalHealth, MarketMessage, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Words that a journal lane holds: half a megabyte, 8,000 cycles of one quote each or six depth snapshots. It is
/// larger than any lane between stages because it is only ever appended to: whatever its size, each cache line of it comes
/// back from the thread that read it. Smaller, the snapshots that come when books are built would not fit, nor what comes
/// while that thread is kept from its core for some milliseconds. Larger, it would push all else out of the cache.
pub const CAPACITY_WORDS: u64 = 65_536;
/// Words of a lane that is emptied only after each cycle, as in replay: more than a cycle ever writes.
const ROOMY_WORDS: u64 = 1 << 20;

/// What the thread that drains a tap tells the stage.
#[derive(Debug, Default)]
struct Shared {
    /// Words that it took out of the lane.
    taken: AtomicU64,
    /// The disk has no room for new orders.
    is_short: AtomicBool,
    /// The log cannot be written any more.
    is_gone: AtomicBool,
}

/// The stage's end.
pub struct Tap {
    lane: Option<Sender<u64>>,
    shared: Arc<Shared>,
    packed: Box<Packed>,
    scratch: Vec<u8>,
    /// Words that the lane holds.
    capacity: u64,
    /// Words in the lane or taken out of it.
    words: u64,
    /// Entries of [`Event::is_taken`] kind.
    taken: u64,
    /// Entries that were left out since the newest that was not.
    lost: u64,
    now: Timestamp,
    is_open: bool,
    /// Whether market data is written down at all.
    keeps_market: bool,
}

/// The other end: of the thread that takes the entries away.
pub struct Drain {
    lane: Receiver<u64>,
    unpacking: Unpacking,
    gauge: Gauge,
    /// The number of the newest entry.
    sequence: u64,
    /// The instant of the newest cycle.
    at: Timestamp,
}

/// Tells the stage how the log fares: for the thread that writes it. Clones are the same.
#[derive(Clone, Debug)]
pub struct Gauge(Arc<Shared>);

impl Tap {
    /// A stage without a journal: it writes nothing down, and [`Tap::health`] is ample. For tests and measurements.
    #[must_use]
    pub fn none() -> Self {
        Self {
            lane: None,
            shared: Arc::new(Shared::default()),
            packed: Box::new(Packed::new()),
            scratch: scratch(),
            capacity: 0,
            words: 0,
            taken: 0,
            lost: 0,
            now: Timestamp::UNKNOWN,
            is_open: false,
            keeps_market: true,
        }
    }

    /// A tap and its other end.
    #[must_use]
    pub fn new() -> (Self, Drain) {
        Self::holding(CAPACITY_WORDS)
    }

    /// A tap that has room for all that a cycle can write, and its other end, which empties it after each: for replay.
    #[must_use]
    pub fn roomy() -> (Self, Drain) {
        Self::holding(ROOMY_WORDS)
    }

    fn holding(capacity: u64) -> (Self, Drain) {
        let (sender, receiver) = roomy_lane(usize::try_from(capacity).unwrap_or(usize::MAX));
        let tap = Self { lane: Some(sender), capacity, ..Self::none() };
        let gauge = Gauge(Arc::clone(&tap.shared));
        let (unpacking, at) = (Unpacking::default(), Timestamp::UNKNOWN);
        (tap, Drain { lane: receiver, unpacking, gauge, sequence: 0, at })
    }

    /// The same, which writes market data down or, otherwise, counts it as left out.
    #[must_use]
    pub const fn keeping_market(mut self, keeps_market: bool) -> Self {
        self.keeps_market = keeps_market;
        self
    }

    /// A poll begins, at this instant.
    #[inline]
    pub fn begin(&mut self, now: Timestamp) {
        (self.now, self.is_open) = (now, false);
    }

    /// Whether anything was written down in this poll.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Whether the newest entries were left out. What follows cannot be replayed, so that there is no need to be exact.
    #[must_use]
    pub const fn is_behind(&self) -> bool {
        self.lost > 0
    }

    /// Something comes of this poll: its instant is written down, once.
    #[inline]
    pub fn touch(&mut self) {
        if !self.is_open {
            self.is_open = true;
            if self.lane.is_some() {
                self.count(1);
                self.packed.cycle(self.now);
                self.publish();
            }
        }
    }

    /// Writes something down.
    #[inline]
    pub fn write(&mut self, event: Event) {
        self.touch();
        if self.lane.is_some() {
            self.count(u64::from(event.is_taken()));
            self.packed.bytes(&event, &mut self.scratch);
            self.publish();
        }
    }

    /// Writes market data down that came by this lane, or counts it as left out.
    #[inline]
    pub fn write_market(&mut self, lane: u8, message: &MarketMessage) {
        if self.lane.is_none() {
            return;
        }
        if !self.keeps_market || self.room() < self.reserve() {
            self.taken += 1;
            self.lost += 1;
            return;
        }
        self.touch();
        self.count(1);
        if !self.packed.market(lane, message) {
            self.packed.bytes(&Event::Market { lane, message: *message }, &mut self.scratch);
        }
        self.publish();
    }

    /// Writes down a frame, whole, as the entries that its parts are.
    #[inline]
    pub fn write_frame(&mut self, received_ns: Timestamp, frame: &[u8]) {
        self.touch();
        if self.lane.is_none() {
            return;
        }
        let parts = tape::frame_parts(frame.len());
        self.count(parts);
        let Some(lane) = self.lane.as_mut().filter(|_| self.lost == 0) else {
            self.lost += parts;
            return;
        };
        let (count, mut words) = tape::frame(received_ns, frame);
        match lane.try_send_all(count, || words.next().unwrap_or(0)) {
            Ok(()) => self.words += count as u64,
            Err(_) => self.lost += parts,
        }
    }

    /// How many entries of what was taken were written down or left out.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// Counts what was taken, and tells first of what was left out before.
    #[inline]
    fn count(&mut self, taken: u64) {
        self.taken += taken;
        if self.lost > 0 {
            self.tell_gap();
        }
    }

    #[cold]
    fn tell_gap(&mut self) {
        // Only where what follows fits as well: a gap is told once.
        if self.room() < 2 * ENTRY_WORDS_MAX as u64 {
            return;
        }
        let count = std::mem::take(&mut self.lost);
        self.packed.bytes(&Event::Gap { count }, &mut self.scratch);
        self.publish();
    }

    /// Puts into the lane what is packed.
    #[inline]
    fn publish(&mut self) {
        let Some(lane) = self.lane.as_mut().filter(|_| self.lost == 0) else {
            self.lost += 1;
            return;
        };
        let words = self.packed.words();
        let mut next = words.iter().copied();
        match lane.try_send_all(words.len(), || next.next().unwrap_or(0)) {
            Ok(()) => self.words += words.len() as u64,
            Err(_) => self.lost += 1,
        }
    }

    /// Words that wait to be taken away; zero without a journal.
    #[inline]
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.words.saturating_sub(self.shared.taken.load(Ordering::Relaxed))
    }

    /// Words that only reports, cancels and commands may use, not orders and market data.
    #[inline]
    const fn reserve(&self) -> u64 {
        self.capacity / 2
    }

    #[inline]
    fn room(&self) -> u64 {
        self.capacity.saturating_sub(self.backlog())
    }

    /// What the stage may still do.
    #[inline]
    #[must_use]
    pub fn health(&self) -> JournalHealth {
        if self.lane.is_none() {
            return JournalHealth::Ample;
        }
        let room = self.room();
        if room < ENTRY_WORDS_MAX as u64 || self.shared.is_gone.load(Ordering::Relaxed) {
            JournalHealth::Gone
        } else if room < self.reserve() / 2 {
            JournalHealth::Scarce
        } else if room < self.reserve() || self.shared.is_short.load(Ordering::Relaxed) {
            JournalHealth::Short
        } else {
            JournalHealth::Ample
        }
    }
}

impl Drain {
    /// Visits every entry that waits, and answers how many there were.
    pub fn drain(&mut self, mut visit: impl FnMut(&Entry)) -> usize {
        let Self { lane, unpacking, gauge, sequence, at } = self;
        let before = *sequence;
        let words = lane.drain(u64::MAX, |word| {
            let Some((event, instant)) = unpacking.take(*word) else { return };
            *at = instant.unwrap_or(*at);
            *sequence += 1;
            visit(&Entry { sequence: *sequence, at: *at, event });
        });
        gauge.0.taken.fetch_add(u64::try_from(words).unwrap_or(0), Ordering::Relaxed);
        usize::try_from(*sequence - before).unwrap_or(usize::MAX)
    }

    /// What tells the stage how the log fares.
    #[must_use]
    pub const fn gauge(&self) -> &Gauge {
        &self.gauge
    }
}

impl Gauge {
    /// Tells the stage that the disk has room for new orders, or not.
    pub fn set_short(&self, is_short: bool) {
        self.0.is_short.store(is_short, Ordering::Relaxed);
    }

    /// Tells the stage that the log cannot be written any more. For good: what a disk lost once is not known.
    pub fn set_gone(&self) {
        self.0.is_gone.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{InstrumentId, MarketEvent, Quote};

    fn entries(drain: &mut Drain) -> Vec<Entry> {
        let mut entries = Vec::new();
        drain.drain(|entry| entries.push(*entry));
        entries
    }

    fn events(drain: &mut Drain) -> Vec<Event> {
        entries(drain).iter().map(|entry| entry.event).collect()
    }

    #[test]
    fn a_poll_that_changes_nothing_writes_nothing() {
        let (mut tap, mut drain) = Tap::new();
        tap.begin(Timestamp::from_nanos(1));
        tap.begin(Timestamp::from_nanos(2));
        tap.write(Event::Paused);
        tap.touch();
        tap.begin(Timestamp::from_nanos(3));
        tap.touch();
        let entry = |sequence, at, event| Entry { sequence, at: Timestamp::from_nanos(at), event };
        let expected = [entry(1, 2, Event::Cycle), entry(2, 2, Event::Paused), entry(3, 3, Event::Cycle)];
        assert_eq!(entries(&mut drain), expected);
        assert_eq!(tap.taken(), 3);
    }

    #[test]
    fn what_had_no_room_is_counted_and_health_tells_before() {
        let (mut tap, mut drain) = Tap::new();
        let (mut healths, mut written) = (Vec::new(), 0);
        for _ in 0..CAPACITY_WORDS {
            if healths.last() != Some(&tap.health()) {
                healths.push(tap.health());
            }
            tap.write(Event::Paused);
            written += 1;
        }
        let all = [JournalHealth::Ample, JournalHealth::Short, JournalHealth::Scarce, JournalHealth::Gone];
        assert_eq!(healths, all);
        let kept = entries(&mut drain).len() as u64;
        // Of two words each, behind the cycle's own.
        assert_eq!(kept, CAPACITY_WORDS / 2);
        assert_eq!(tap.health(), JournalHealth::Ample);
        assert!(tap.is_behind());
        tap.write(Event::Paused);
        assert!(!tap.is_behind());
        assert_eq!(events(&mut drain), [Event::Gap { count: 1 + written - kept }, Event::Paused]);
        drain.gauge().set_short(true);
        assert_eq!(tap.health(), JournalHealth::Short);
        drain.gauge().set_gone();
        assert_eq!(tap.health(), JournalHealth::Gone);
        assert_eq!(Tap::none().health(), JournalHealth::Ample);
    }

    fn market(bid: i64) -> MarketMessage {
        let quote = Quote { bid: crate::types::Price(bid), ..Quote::default() };
        MarketMessage { instrument: InstrumentId(1), event: MarketEvent::Quote(quote) }
    }

    #[test]
    fn market_data_makes_way_for_all_else() {
        let (mut tap, mut drain) = Tap::new();
        for bid in 0..20_000 {
            tap.write_market(2, &market(bid));
        }
        assert_eq!(tap.health(), JournalHealth::Short);
        for _ in 0..100 {
            tap.write(Event::Paused);
        }
        let all = events(&mut drain);
        let kept = all.iter().filter(|event| matches!(event, Event::Market { .. })).count() as u64;
        assert_eq!(all[1], Event::Market { lane: 2, message: market(0) });
        assert_eq!(all.len() as u64, 1 + kept + 1 + 100);
        assert_eq!(all[1 + usize::try_from(kept).expect("few")], Event::Gap { count: 20_000 - kept });
        assert!(kept * 7 < CAPACITY_WORDS / 2 + 7 && kept > 2_000, "{kept}");
        assert_eq!(tap.taken(), 1 + 20_000 + 100);
    }

    #[test]
    fn a_frame_is_written_whole_or_left_out_whole() {
        let (mut tap, mut drain) = Tap::new();
        let frame = [b'x'; 1_000];
        let mut parts = 0;
        for _ in 0..700 {
            tap.write_frame(Timestamp::from_nanos(5), &frame);
            parts += 7;
        }
        assert_eq!(tap.taken(), 1 + parts);
        let kept = entries(&mut drain).len() as u64 - 1;
        // 125 words and two more, into all that the lane holds.
        assert_eq!(kept, (CAPACITY_WORDS - 2) / 127 * 7);
        tap.write(Event::Paused);
        assert_eq!(events(&mut drain), [Event::Gap { count: parts - kept }, Event::Paused]);
    }

    #[test]
    fn without_market_data_only_its_count_is_written() {
        let (tap, mut drain) = Tap::new();
        let mut tap = tap.keeping_market(false);
        for now in 1..=3 {
            tap.begin(Timestamp::from_nanos(now));
            tap.write_market(0, &market(1));
        }
        assert_eq!(events(&mut drain), []);
        tap.write(Event::Paused);
        assert_eq!(events(&mut drain), [Event::Gap { count: 3 }, Event::Cycle, Event::Paused]);
    }
}
