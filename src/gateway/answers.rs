//! Answers of a gateway's surroundings, in the order in which it asks in a cycle: may it, is there room, was it written.
//!
//! Nearly always they are yes. So only runs of no are written down, and only where anything came of the cycle: a gateway that
//! waits for room asks again in each, which changes nothing.

use crate::pipeline::tap::Tap;
use crate::types::{Event, Refuser};

/// Runs of no that are kept until the cycle ends. Where there are more, much came of the cycle, and they are written down at
/// once.
const RUNS_MAX: usize = 1_024;

/// A run of no: behind how many answers, and how many there are.
type Run = (u32, u32);

/// The answers of one kind, in this cycle.
pub(super) struct Answers {
    by: Refuser,
    asked: u32,
    refused: Vec<Run>,
    /// In replay, the answers that come.
    foretold: Option<Vec<Run>>,
}

impl Answers {
    /// Of nobody yet.
    pub(super) fn of(by: Refuser) -> Self {
        Self { by, asked: 0, refused: Vec::with_capacity(RUNS_MAX), foretold: None }
    }

    /// The next answer: what `ask` says, or, in replay, what was said then.
    #[inline]
    pub(super) fn take(&mut self, tap: &mut Tap, ask: impl FnOnce() -> bool) -> bool {
        let place = self.asked;
        self.asked = place.wrapping_add(1);
        let is_granted = match &self.foretold {
            None => ask(),
            Some(runs) => !runs.iter().any(|&(from, count)| place.wrapping_sub(from) < count),
        };
        if !is_granted {
            self.note(place, tap);
        }
        is_granted
    }

    #[cold]
    fn note(&mut self, place: u32, tap: &mut Tap) {
        if let Some((from, count)) = self.refused.last_mut()
            && from.wrapping_add(*count) == place
        {
            *count += 1;
            return;
        }
        if self.refused.len() >= RUNS_MAX {
            self.write(tap);
        }
        self.refused.push((place, 1));
    }

    fn write(&mut self, tap: &mut Tap) {
        for (from, count) in self.refused.drain(..) {
            tap.write(Event::Refused { by: self.by, from, count });
        }
    }

    /// Replay: a run of no in the cycle that comes. From the first call on, nobody is asked.
    pub(super) fn foretell(&mut self, by: Refuser, from: u32, count: u32) {
        let runs = self.foretold.get_or_insert_default();
        if by == self.by && count > 0 {
            runs.push((from, count));
        }
    }

    /// The cycle is over.
    #[inline]
    pub(super) fn end_cycle(&mut self, tap: &mut Tap) {
        self.asked = 0;
        if !self.refused.is_empty() {
            if tap.is_open() {
                self.write(tap);
            }
            self.refused.clear();
        }
        if let Some(runs) = &mut self.foretold {
            runs.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Timestamp;

    fn written(drain: &mut crate::pipeline::tap::Drain) -> Vec<Event> {
        let mut events = Vec::new();
        drain.drain(|entry| events.push(entry.event));
        events
    }

    #[test]
    fn runs_of_no_are_written_where_anything_came_of_the_cycle_and_answer_the_same_in_replay() {
        let pattern = [true, false, false, true, false, true];
        let (mut tap, mut drain) = Tap::new();
        let mut live = Answers::of(Refuser::Buffer);
        tap.begin(Timestamp::from_nanos(1));
        assert_eq!(pattern.map(|answer| live.take(&mut tap, || answer)), pattern);
        live.end_cycle(&mut tap);
        assert_eq!(written(&mut drain), [], "nothing came of it");
        tap.begin(Timestamp::from_nanos(2));
        assert_eq!(pattern.map(|answer| live.take(&mut tap, || answer)), pattern);
        tap.touch();
        live.end_cycle(&mut tap);
        let run = |from, count| Event::Refused { by: Refuser::Buffer, from, count };
        assert_eq!(written(&mut drain), [Event::Cycle, run(1, 2), run(4, 1)]);

        let mut again = Answers::of(Refuser::Buffer);
        again.foretell(Refuser::Buffer, 1, 2);
        again.foretell(Refuser::Stream, 0, 9);
        again.foretell(Refuser::Buffer, 4, 1);
        assert_eq!(pattern.map(|_| again.take(&mut tap, || unreachable!("nobody is asked"))), pattern);
        again.end_cycle(&mut tap);
        assert!(again.take(&mut tap, || false), "the next cycle's are others");
    }
}
