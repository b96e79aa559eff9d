//! What a shard or a gateway sends to risk, held against what risk wrote down as taken from it.
//!
//! Lane by lane and in order. The records of two stages come in any order: whichever is ahead waits for the other. What is
//! left over at the end was on its way, but for orders and cancels that were decided, and for what a gateway had told long
//! before, in cycles that replay has run.

use super::cycle::Difference;
use crate::types::{Entry, Event, StrategyId, Timestamp};
use std::collections::VecDeque;

/// One lane.
#[derive(Debug, Default)]
struct Lane {
    recorded: VecDeque<Entry>,
    replayed: VecDeque<Entry>,
}

/// Risk takes what was told sooner than this after it was, or its thread stood still: by then a gateway has told it.
const TOLD_NS: u64 = 10_000_000_000;

/// The lanes from a shard to risk, and the one from a gateway.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Strategies whose messages are not compared, nor, where there are any, marks.
    left_out: Vec<StrategyId>,
    orders: Lane,
    cancels: Lane,
    marks: Lane,
    told: Lane,
}

impl Sent {
    /// Of a shard, what these strategies send being left out.
    pub(super) fn without(left_out: Vec<StrategyId>) -> Self {
        Self { left_out, ..Self::default() }
    }

    /// Risk took this.
    pub(super) fn taken(&mut self, entry: Entry) -> Result<(), Box<Difference>> {
        self.lane(&entry.event).map_or(Ok(()), |lane| {
            lane.recorded.push_back(entry);
            lane.pair()
        })
    }

    /// The shard sends this in replay.
    pub(super) fn sent(&mut self, entry: Entry) -> Result<(), Box<Difference>> {
        self.lane(&entry.event).map_or(Ok(()), |lane| {
            lane.replayed.push_back(entry);
            lane.pair()
        })
    }

    /// Everything before this instant was replayed: what risk took that was decided by then must have been sent.
    pub(super) fn finish(&self, before: Timestamp) -> Result<(), Box<Difference>> {
        let is_due = |entry: &&Entry| match entry.event {
            Event::Intent { intent, .. } => intent.decided_ns < before,
            Event::Cancel { intent, .. } => intent.decided_ns < before,
            Event::Gateway { .. } => entry.at.plus(TOLD_NS) < before,
            _ => false,
        };
        let first =
            [&self.orders, &self.cancels, &self.told].into_iter().find_map(|lane| lane.recorded.iter().find(is_due));
        first.map_or(Ok(()), |entry| Err(Box::new(Difference { recorded: Some(*entry), replayed: None })))
    }

    fn lane(&mut self, event: &Event) -> Option<&mut Lane> {
        match event {
            Event::Intent { intent, .. } if !self.left_out.contains(&intent.order.strategy) => Some(&mut self.orders),
            Event::Cancel { intent, .. } if !self.left_out.contains(&intent.strategy) => Some(&mut self.cancels),
            Event::Mark { .. } if self.left_out.is_empty() => Some(&mut self.marks),
            Event::Gateway { .. } => Some(&mut self.told),
            _ => None,
        }
    }
}

impl Lane {
    fn pair(&mut self) -> Result<(), Box<Difference>> {
        while let (Some(recorded), Some(replayed)) = (self.recorded.front(), self.replayed.front()) {
            if recorded.event != replayed.event {
                return Err(Box::new(Difference { recorded: Some(*recorded), replayed: Some(*replayed) }));
            }
            self.recorded.pop_front();
            self.replayed.pop_front();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{CancelIntent, ClientOrderId, Mark};

    fn cancel(id: u64, at: u64) -> Entry {
        let decided_ns = Timestamp::from_nanos(at);
        let intent = CancelIntent { client_order_id: ClientOrderId(id), decided_ns, ..CancelIntent::default() };
        Entry { sequence: id, at: Timestamp::from_nanos(at), event: Event::Cancel { shard: 0, intent } }
    }

    #[test]
    fn either_side_may_be_ahead_and_what_differs_is_found_in_order() {
        let mut sent = Sent::default();
        let mark = |at| Entry { event: Event::Mark { shard: 0, mark: Mark::default() }, ..cancel(0, at) };
        assert_eq!(sent.taken(cancel(1, 10)), Ok(()));
        assert_eq!(sent.taken(cancel(2, 20)), Ok(()));
        assert_eq!(sent.sent(mark(5)), Ok(()));
        assert_eq!(sent.sent(cancel(1, 10)), Ok(()));
        assert_eq!(sent.finish(Timestamp::from_nanos(20)), Ok(()), "it was decided in a cycle that was not replayed");
        let lost = sent.finish(Timestamp::from_nanos(21)).expect_err("it should have been sent");
        assert_eq!((lost.recorded, lost.replayed), (Some(cancel(2, 20)), None));
        let other = sent.sent(cancel(3, 20)).expect_err("another");
        assert_eq!((other.recorded, other.replayed), (Some(cancel(2, 20)), Some(cancel(3, 20))));
    }
}
