//! One poll of a stage under replay: what the journal says of it, and what the stage writes down of it now.

use crate::pipeline::tap::Drain;
use crate::types::{Entry, Event};

/// Where replay and journal part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What the journal has; none where the stage did more than was written live.
    pub recorded: Option<Entry>,
    /// What the stage did in replay; none where it did less.
    pub replayed: Option<Entry>,
}

/// The cycle that is being read.
pub(super) struct Cycle {
    /// Its entries so far.
    pub(super) entries: Vec<Entry>,
    written: Vec<Entry>,
    drain: Drain,
}

impl Cycle {
    /// Of a stage whose entries come out of here.
    pub(super) const fn new(drain: Drain) -> Self {
        Self { entries: Vec::new(), written: Vec::new(), drain }
    }

    /// Whether this entry begins the next cycle, so that the one before it is to run.
    pub(super) fn is_over_with(&self, entry: &Entry) -> bool {
        entry.event == Event::Cycle && !self.entries.is_empty()
    }

    /// The stage was polled: takes what it wrote, and holds it against what was written live. The last cycle may have been
    /// cut short by a crash: what it lacks is no difference.
    pub(super) fn compare(&mut self, is_last: bool) -> Result<(), Box<Difference>> {
        self.take_written();
        let (recorded, replayed) = (&self.entries, &self.written);
        let outcome = (0..recorded.len().max(replayed.len()))
            .map(|place| Difference { recorded: recorded.get(place).copied(), replayed: replayed.get(place).copied() })
            .find(|pair| pair.recorded != pair.replayed)
            .filter(|pair| !(is_last && is_cut(pair, recorded)));
        self.entries.clear();
        outcome.map_or(Ok(()), |difference| Err(Box::new(difference)))
    }

    /// Takes what the stage wrote.
    pub(super) fn take_written(&mut self) {
        let Self { drain, written, .. } = self;
        written.clear();
        drain.drain(|entry| written.push(*entry));
    }
}

/// Whether a cycle that a crash cut short has, up to where it was cut, nothing else than replay came to. What was taken
/// behind the cut is missing, so from there on they may differ.
fn is_cut(difference: &Difference, cycle: &[Entry]) -> bool {
    let newest = cycle.last().map_or(0, |entry| entry.sequence);
    match (difference.recorded, difference.replayed) {
        (None, Some(_)) => true,
        (Some(recorded), _) => recorded.sequence == newest && matches!(recorded.event, Event::Full { .. }),
        _ => false,
    }
}
