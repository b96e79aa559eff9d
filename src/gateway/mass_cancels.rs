//! Cancels of everything in an instrument: one under way at a time, wanted until the venue has answered.

use crate::pipeline::digest::Digest;
use crate::types::{InstrumentId, Timestamp};

#[derive(Clone, Copy, Debug, Default)]
struct State {
    is_wanted: bool,
    asked: Option<Timestamp>,
    /// Not sent before this instant.
    next_ns: Timestamp,
}

/// By instrument.
#[derive(Debug)]
pub struct MassCancels {
    states: Vec<State>,
    timeout_ns: u64,
    /// Whether any is wanted or unanswered; it only saves looking.
    is_active: bool,
}

impl MassCancels {
    /// For so many instruments; one that is not answered within `timeout_ns` is sent again.
    #[must_use]
    pub fn new(instruments: usize, timeout_ns: u64) -> Self {
        Self { states: vec![State::default(); instruments], timeout_ns, is_active: false }
    }

    /// Everything in the instrument is to be canceled; once, while that is unanswered.
    pub fn want(&mut self, instrument: InstrumentId) {
        if let Some(state) = self.states.get_mut(instrument.index())
            && state.asked.is_none()
        {
            state.is_wanted = true;
            self.is_active = true;
        }
    }

    /// The next that is to be sent: wanted, or not answered in time. Until it is sent, nothing changes by asking.
    #[inline]
    pub fn next_due(&mut self, now: Timestamp) -> Option<InstrumentId> {
        if !self.is_active {
            return None;
        }
        self.is_active = false;
        for (index, state) in self.states.iter().enumerate() {
            let is_overdue = state.asked.is_some_and(|asked| now.since(asked) >= self.timeout_ns);
            self.is_active |= state.is_wanted || state.asked.is_some();
            if (state.is_wanted || is_overdue) && now >= state.next_ns {
                return u32::try_from(index).ok().map(InstrumentId);
            }
        }
        None
    }

    /// It was written.
    pub fn was_sent(&mut self, instrument: InstrumentId, now: Timestamp) {
        if let Some(state) = self.states.get_mut(instrument.index()) {
            *state = State { is_wanted: false, asked: Some(now), next_ns: now };
        }
    }

    /// The venue did it, or has nothing there to cancel.
    pub fn answered(&mut self, instrument: InstrumentId) {
        if let Some(state) = self.states.get_mut(instrument.index()) {
            state.asked = None;
        }
    }

    /// The venue's answer does not tell whether it was done: once more, from this instant on.
    pub fn retry(&mut self, instrument: InstrumentId, at: Timestamp) {
        if let Some(state) = self.states.get_mut(instrument.index())
            && state.asked.take().is_some()
        {
            (state.is_wanted, state.next_ns) = (true, at);
            self.is_active = true;
        }
    }

    /// Folds everything in that decides what is sent.
    pub fn fold(&self, digest: &mut Digest) {
        for state in &self.states {
            digest.fold(u64::from(state.is_wanted));
            digest.fold(state.asked.map_or(0, Timestamp::nanos));
            digest.fold(state.next_ns.nanos());
        }
    }

    /// What was not answered is sent again over the next connection.
    pub fn disconnected(&mut self) {
        for state in &mut self.states {
            state.is_wanted |= state.asked.take().is_some();
            self.is_active |= state.is_wanted;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: InstrumentId = InstrumentId(1);

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + millis)
    }

    #[test]
    fn one_is_under_way_at_a_time_until_it_is_answered() {
        let mut cancels = MassCancels::new(2, 2_000_000_000);
        assert_eq!(cancels.next_due(at(0)), None);
        cancels.want(InstrumentId(9));
        cancels.want(ONE);
        assert_eq!((cancels.next_due(at(0)), cancels.next_due(at(0))), (Some(ONE), Some(ONE)), "until it is sent");
        cancels.was_sent(ONE, at(0));
        cancels.want(ONE);
        assert_eq!(cancels.next_due(at(1)), None);
        cancels.answered(ONE);
        assert_eq!(cancels.next_due(at(9_000)), None);
        cancels.want(ONE);
        assert_eq!(cancels.next_due(at(9_001)), Some(ONE));
    }

    #[test]
    fn what_is_not_answered_is_sent_again() {
        let mut cancels = MassCancels::new(2, 2_000_000_000);
        cancels.want(ONE);
        cancels.was_sent(ONE, at(0));
        assert_eq!((cancels.next_due(at(1_999)), cancels.next_due(at(2_000))), (None, Some(ONE)));
        cancels.was_sent(ONE, at(2_000));
        cancels.disconnected();
        assert_eq!(cancels.next_due(at(2_001)), Some(ONE));
        cancels.was_sent(ONE, at(2_001));
        cancels.retry(ONE, at(3_000));
        assert_eq!((cancels.next_due(at(2_999)), cancels.next_due(at(3_000))), (None, Some(ONE)));
    }
}
