//! Lanes: the single-producer rings through which stages talk, and what happens when one is full.
//!
//! The only module that knows the `disruptor` crate. Its edges, measured: `publish` spins for ever on a full ring, so
//! only `try_publish` is used; an event guard marks all it covers as read when it is dropped, so [`Receiver::drain`]
//! visits every event of the guard it took.

use disruptor::{
    BusySpin, EventPoller, Producer, SingleConsumerBarrier, SingleProducer, SingleProducerBarrier,
    build_single_producer,
};

/// The largest lane between stages: larger rings fall out of the cache.
pub const CAPACITY_MAX: usize = 4_096;

/// The lane was full; the message was not taken. What then happens is stated per lane in [`Outcome`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// What happens when a lane is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The newest quote wins, trades are summed per side, a depth update that does not fit whole marks the book
    /// unsynced and asks for a resync; all of it is counted.
    Conflate,
    /// The order is denied where it stands; cancels have a lane of their own.
    Deny,
    /// The gateway stops reading its socket until there is room; nothing is dropped.
    StopReading,
    /// The sender keeps the newest state and sends it when there is room.
    KeepNewest,
    /// The message is dropped and counted: displays only.
    DropCounted,
    /// The sender, on the cold plane, waits.
    Wait,
}

/// Every lane of the machine with its outcome, by the name it is built under.
//
// Where each outcome is tested, in order: `feed/tests.rs` and `feed/outbox.rs`; `strategy/shard_tests.rs` for the
// shard's three; `risk/tests/lanes.rs` for the gateway's orders and cancels; `gateway/tests/orders.rs` for reports;
// `risk/tests/lanes.rs` for updates and positions; `gateway/tests/orders.rs` for sent orders; `feed/tests.rs` for notices
// and requests; `control/plane.rs` for commands, snapshots and history;
// `pipeline/tap.rs` for the journal's.
pub const OUTCOMES: &[(&str, Outcome)] = &[
    ("feed → shard: market", Outcome::Conflate),
    ("shard → risk: orders", Outcome::Deny),
    ("shard → risk: cancels", Outcome::KeepNewest),
    ("shard → risk: marks", Outcome::KeepNewest),
    ("risk → gateway: orders", Outcome::Deny),
    ("risk → gateway: cancels", Outcome::KeepNewest),
    ("gateway → risk: reports", Outcome::StopReading),
    ("risk → shard: order updates", Outcome::KeepNewest),
    ("risk → control: positions", Outcome::KeepNewest),
    ("risk → control: latches", Outcome::KeepNewest),
    ("gateway → control: sent orders", Outcome::DropCounted),
    ("stage → control: notices", Outcome::DropCounted),
    ("control → stage: commands", Outcome::Wait),
    ("control → feed: snapshots and history", Outcome::Wait),
    ("stage → control: requests", Outcome::KeepNewest),
    ("stage → journal: market data", Outcome::DropCounted),
];

/// The sending end of a lane.
pub struct Sender<T> {
    producer: SingleProducer<T, SingleConsumerBarrier>,
}

/// The receiving end of a lane.
pub struct Receiver<T> {
    poller: EventPoller<T, SingleProducerBarrier>,
}

/// A lane of at least `capacity` messages (rounded up to a power of two, at most [`CAPACITY_MAX`]).
#[must_use]
pub fn lane<T: Copy + Default + Send + Sync + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    lane_of(capacity, T::default)
}

/// As [`lane`], of messages that have no public default: `empty` fills the slots before their first use.
#[must_use]
pub fn lane_of<T: Copy + Send + Sync + 'static>(capacity: usize, empty: fn() -> T) -> (Sender<T>, Receiver<T>) {
    let capacity = capacity.clamp(2, CAPACITY_MAX).next_power_of_two();
    let (poller, builder) = build_single_producer(capacity, empty, BusySpin).new_event_poller();
    (Sender { producer: builder.build() }, Receiver { poller })
}

/// As [`lane`], and as large as is asked for, above [`CAPACITY_MAX`] too; who makes one says why.
#[must_use]
pub fn roomy_lane<T: Copy + Default + Send + Sync + 'static>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let capacity = capacity.max(2).next_power_of_two();
    let (poller, builder) = build_single_producer(capacity, T::default, BusySpin).new_event_poller();
    (Sender { producer: builder.build() }, Receiver { poller })
}

impl<T: Copy + Send + Sync + 'static> Sender<T> {
    /// Puts one message into the lane.
    ///
    /// # Errors
    /// [`Full`], and the message was not taken.
    #[inline]
    pub fn try_send(&mut self, message: T) -> Result<(), Full> {
        match self.producer.try_publish(|slot| *slot = message) {
            Ok(_) => Ok(()),
            Err(_) => Err(Full),
        }
    }

    /// Puts `count` messages into the lane, or none: they become visible to the receiver together. `next` is called
    /// once for each, in order.
    ///
    /// # Errors
    /// [`Full`] where not all of them fit, and nothing was taken.
    #[inline]
    pub fn try_send_all(&mut self, count: usize, mut next: impl FnMut() -> T) -> Result<(), Full> {
        if count == 0 {
            return Ok(());
        }
        let published = self.producer.try_batch_publish(count, |slots| {
            for slot in slots {
                *slot = next();
            }
        });
        match published {
            Ok(_) => Ok(()),
            Err(_) => Err(Full),
        }
    }
}

impl<T: Copy + Send + Sync + 'static> Receiver<T> {
    /// Visits up to `limit` waiting messages in order and answers how many there were.
    #[inline]
    pub fn drain(&mut self, limit: u64, mut visit: impl FnMut(&T)) -> usize {
        // A sender that is gone looks like an empty lane: stages stop by a flag, never by a lane's end.
        let Ok(mut events) = self.poller.take(limit) else { return 0 };
        let mut count = 0;
        for event in &mut events {
            visit(event);
            count += 1;
        }
        count
    }

    /// Takes the next message, if there is one.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a lane is never at its end: no iterator")]
    pub fn next(&mut self) -> Option<T> {
        let mut taken = None;
        self.drain(1, |message| taken = Some(*message));
        taken
    }

    /// Whether a message waits.
    #[inline]
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.poller.has_available()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_refuses_and_a_drained_one_takes_again() {
        let (mut sender, mut receiver) = lane::<u64>(4);
        for value in 0..4 {
            assert_eq!(sender.try_send(value), Ok(()));
        }
        assert_eq!(sender.try_send(4), Err(Full));
        let mut seen = Vec::new();
        assert_eq!(receiver.drain(3, |value| seen.push(*value)), 3);
        assert_eq!(seen, [0, 1, 2]);
        assert_eq!(sender.try_send(4), Ok(()));
        assert_eq!((receiver.next(), receiver.next(), receiver.next()), (Some(3), Some(4), None));
    }

    #[test]
    fn a_batch_fits_whole_or_not_at_all() {
        let (mut sender, mut receiver) = lane::<u64>(8);
        let mut values = 0..;
        assert_eq!(sender.try_send_all(6, || values.next().unwrap_or(0)), Ok(()));
        assert_eq!(sender.try_send_all(3, || 99), Err(Full));
        assert_eq!(sender.try_send_all(0, || 99), Ok(()));
        let mut seen = Vec::new();
        receiver.drain(u64::MAX, |value| seen.push(*value));
        assert_eq!(seen, [0, 1, 2, 3, 4, 5]);
        assert!(!receiver.has_next());
    }

    #[test]
    fn nothing_is_lost_or_reordered_between_threads() {
        const COUNT: u64 = 200_000;
        let (mut sender, mut receiver) = lane::<u64>(64);
        let writer = std::thread::spawn(move || {
            for value in 0..COUNT {
                while sender.try_send(value).is_err() {
                    std::thread::yield_now();
                }
            }
            sender
        });
        let mut expected = 0;
        while expected < COUNT {
            let count = receiver.drain(16, |value| {
                assert_eq!(*value, expected);
                expected += 1;
            });
            if count == 0 {
                std::thread::yield_now();
            }
        }
        drop(writer.join());
    }
}
