//! The tap: a stage's end of its journal lane.
//!
//! A stage copies into it what it takes and what it decides ([`Event`]); a thread of its own drains it into the log. The
//! stage never waits for that thread: where there is no room, entries are left out and counted, and long before that
//! [`Tap::health`] tells the stage to send no new orders.

use super::lane::{Receiver, Sender, lane};
use crate::types::{Entry, Event, JournalHealth, Timestamp};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Entries that a journal lane holds. It is written round and round by the stage and read by another core, so that no
/// larger one would be faster; it is a burst's worth of what 1 ms brings.
pub const CAPACITY: u64 = 4_096;
/// Entries that only reports, cancels and commands may use.
const RESERVE: u64 = 2_048;

/// What the thread that drains a tap tells the stage.
#[derive(Debug, Default)]
struct Shared {
    /// Entries that it took out of the lane.
    taken: AtomicU64,
    /// The disk has no room for new orders.
    is_short: AtomicBool,
    /// The log cannot be written any more.
    is_gone: AtomicBool,
}

/// The stage's end.
pub struct Tap {
    lane: Option<Sender<Entry>>,
    shared: Arc<Shared>,
    /// Entries in the lane or taken out of it.
    sequence: u64,
    /// Entries of [`Event::is_taken`] kind.
    taken: u64,
    /// Entries that there was no room for, since the newest that there was.
    lost: u64,
    now: Timestamp,
    is_open: bool,
}

/// The other end: of the thread that takes the entries away.
pub struct Drain {
    lane: Receiver<Entry>,
    gauge: Gauge,
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
            sequence: 0,
            taken: 0,
            lost: 0,
            now: Timestamp::UNKNOWN,
            is_open: false,
        }
    }

    /// A tap and its other end.
    #[must_use]
    pub fn new() -> (Self, Drain) {
        let (sender, receiver) = lane(usize::try_from(CAPACITY).unwrap_or(usize::MAX));
        let tap = Self { lane: Some(sender), ..Self::none() };
        let gauge = Gauge(Arc::clone(&tap.shared));
        (tap, Drain { lane: receiver, gauge })
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

    /// Something comes of this poll: its instant is written down, once.
    #[inline]
    pub fn touch(&mut self) {
        if !self.is_open {
            self.is_open = true;
            self.put(Event::Cycle);
        }
    }

    /// Writes something down.
    #[inline]
    pub fn write(&mut self, event: Event) {
        self.touch();
        self.put(event);
    }

    /// How many entries of what was taken were written down.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    #[inline]
    fn put(&mut self, event: Event) {
        let Some(lane) = &mut self.lane else { return };
        self.taken += u64::from(event.is_taken());
        if self.lost > 0 {
            let gap = Entry { sequence: self.sequence + 1, at: self.now, event: Event::Gap { count: self.lost } };
            if lane.try_send(gap).is_err() {
                self.lost += 1;
                return;
            }
            (self.sequence, self.lost) = (self.sequence + 1, 0);
        }
        let entry = Entry { sequence: self.sequence + 1, at: self.now, event };
        match lane.try_send(entry) {
            Ok(()) => self.sequence += 1,
            Err(_) => self.lost += 1,
        }
    }

    /// Entries that wait to be taken away; zero without a journal.
    #[inline]
    #[must_use]
    pub fn backlog(&self) -> u64 {
        self.sequence.saturating_sub(self.shared.taken.load(Ordering::Relaxed))
    }

    /// What the stage may still do.
    #[inline]
    #[must_use]
    pub fn health(&self) -> JournalHealth {
        if self.lane.is_none() {
            return JournalHealth::Ample;
        }
        let room = CAPACITY.saturating_sub(self.backlog());
        if room == 0 || self.shared.is_gone.load(Ordering::Relaxed) {
            JournalHealth::Gone
        } else if room < RESERVE / 2 {
            JournalHealth::Scarce
        } else if room < RESERVE || self.shared.is_short.load(Ordering::Relaxed) {
            JournalHealth::Short
        } else {
            JournalHealth::Ample
        }
    }
}

impl Drain {
    /// Visits every entry that waits, and answers how many there were.
    pub fn drain(&mut self, visit: impl FnMut(&Entry)) -> usize {
        let count = self.lane.drain(u64::MAX, visit);
        self.gauge.0.taken.fetch_add(u64::try_from(count).unwrap_or(0), Ordering::Relaxed);
        count
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

    fn entries(drain: &mut Drain) -> Vec<Entry> {
        let mut entries = Vec::new();
        drain.drain(|entry| entries.push(*entry));
        entries
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
        let mut healths = Vec::new();
        for _ in 0..CAPACITY + 10 {
            if healths.last() != Some(&tap.health()) {
                healths.push(tap.health());
            }
            tap.write(Event::Paused);
        }
        let all = [JournalHealth::Ample, JournalHealth::Short, JournalHealth::Scarce, JournalHealth::Gone];
        assert_eq!(healths, all);
        assert_eq!(entries(&mut drain).len() as u64, CAPACITY);
        assert_eq!(tap.health(), JournalHealth::Ample);
        tap.write(Event::Paused);
        let after: Vec<Event> = entries(&mut drain).iter().map(|entry| entry.event).collect();
        assert_eq!(after, [Event::Gap { count: 11 }, Event::Paused], "the cycle's own entry is one of them");
        drain.gauge().set_short(true);
        assert_eq!(tap.health(), JournalHealth::Short);
        drain.gauge().set_gone();
        assert_eq!(tap.health(), JournalHealth::Gone);
        assert_eq!(Tap::none().health(), JournalHealth::Ample);
    }
}
