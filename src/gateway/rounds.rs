//! Rounds of reconciliation: which questions a round has, in which order they are asked, and when the next one is due.
//!
//! A round asks for the balances, the open orders, the fills since the last known in each instrument, and the balances
//! again: where those stood still, they can be compared with our books. One question is under way at a time, and one
//! that is refused or not answered fails the round. Pure: no socket, no clock.

use crate::pipeline::digest::Digest;
use crate::types::{AssetId, InstrumentId, Money, Timestamp};
use crate::venue::binance::Balance;
use foldhash::fast::FixedState;
use std::collections::HashSet;

/// Rows of a full answer: there may be more behind it.
const PAGE_ROWS: usize = 1_000;
/// What the questions weigh at the venue.
const BALANCES_WEIGHT: u32 = 20;
const OPEN_ORDERS_WEIGHT: u32 = 6;
const ALL_OPEN_ORDERS_WEIGHT: u32 = 80;
const FILLS_WEIGHT: u32 = 20;
/// What the venue allows in a minute at least, while it has not said.
const WEIGHT_LIMIT_MIN: u32 = 1_200;
/// The part of the venue's allowance that rounds may take: a quarter.
const SHARE: u64 = 4;
const MINUTE_NS: u64 = 60_000_000_000;
/// How soon a round may follow the beginning of the one before, where something seems to be amiss.
const SOON_NS: u64 = 1_000_000_000;
/// How long after a failed round the next one is begun: twice as long after each, up to the longest.
const RETRY_NS: (u64, u64) = (1_000_000_000, 30_000_000_000);

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// All balances.
    Balances,
    /// The open orders of an instrument, or all.
    OpenOrders(Option<InstrumentId>),
    /// The fills in an instrument from this venue number on.
    Fills {
        /// In what.
        instrument: InstrumentId,
        /// The first number that is not known.
        from: u64,
    },
}

impl Question {
    /// What it weighs at the venue.
    #[must_use]
    pub const fn weight(self) -> u32 {
        match self {
            Self::Balances => BALANCES_WEIGHT,
            Self::OpenOrders(Some(_)) => OPEN_ORDERS_WEIGHT,
            Self::OpenOrders(None) => ALL_OPEN_ORDERS_WEIGHT,
            Self::Fills { .. } => FILLS_WEIGHT,
        }
    }
}

/// What a look at the balances was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// The first of the round.
    First,
    /// The second: the round is over.
    Second {
        /// Whether nothing moved since the first.
        is_conclusive: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Idle,
    FirstLook,
    /// Of the instrument at this place, or of all.
    OpenOrders(usize),
    /// In the instrument at this place.
    Fills(usize),
    SecondLook,
}

/// The rounds of one account.
#[derive(Debug)]
pub struct Rounds {
    /// Each instrument, and the number of its first fill that is not known.
    instruments: Vec<(InstrumentId, u64)>,
    interval_ns: u64,
    timeout_ns: u64,
    step: Step,
    /// The number of the question that is asked next, or is under way.
    number: u64,
    asked: Option<Timestamp>,
    begun: Timestamp,
    next_at: Timestamp,
    retry_ns: u64,
    /// Whether a round has ended since [`Rounds::restart`].
    has_ended: bool,
    first_look: Vec<(AssetId, Money)>,
}

impl Rounds {
    /// Rounds over these instruments, each with the number of the last fill that is known, every `interval_ns`; a
    /// question unanswered for `timeout_ns` fails its round.
    #[must_use]
    pub fn new(instruments: &[(InstrumentId, u64)], interval_ns: u64, timeout_ns: u64) -> Self {
        Self {
            instruments: instruments.iter().map(|&(id, last)| (id, last.saturating_add(1))).collect(),
            interval_ns,
            timeout_ns,
            step: Step::Idle,
            number: 1,
            asked: None,
            begun: Timestamp::UNKNOWN,
            next_at: Timestamp::UNKNOWN,
            retry_ns: RETRY_NS.0,
            has_ended: false,
            first_look: Vec::with_capacity(crate::venue::binance::user::BALANCES_MAX),
        }
    }

    /// Whether one question for all open orders weighs less than one for each instrument.
    fn lists_all(&self) -> bool {
        let each = u32::try_from(self.instruments.len()).unwrap_or(u32::MAX).saturating_mul(OPEN_ORDERS_WEIGHT);
        each >= ALL_OPEN_ORDERS_WEIGHT
    }

    /// What a whole round weighs, with one page of fills for each instrument.
    #[must_use]
    pub fn weight(&self) -> u32 {
        let count = u32::try_from(self.instruments.len()).unwrap_or(u32::MAX);
        let open_orders = count.saturating_mul(OPEN_ORDERS_WEIGHT).min(ALL_OPEN_ORDERS_WEIGHT);
        count.saturating_mul(FILLS_WEIGHT).saturating_add(open_orders).saturating_add(2 * BALANCES_WEIGHT)
    }

    /// How often rounds begin: as configured, or as often as a quarter of what the venue allows in a minute is enough
    /// for, where that is less often.
    #[must_use]
    pub fn interval_ns(&self, weight_limit: u32) -> u64 {
        let limit = if weight_limit == 0 { WEIGHT_LIMIT_MIN } else { weight_limit };
        let least_ns = u64::from(self.weight()).saturating_mul(MINUTE_NS).saturating_mul(SHARE) / u64::from(limit);
        self.interval_ns.max(least_ns)
    }

    /// The next round is due at once, and only it counts: the connection, or the stream of reports, was made anew.
    pub fn restart(&mut self) {
        self.stop();
        self.has_ended = false;
        self.next_at = Timestamp::UNKNOWN;
        self.retry_ns = RETRY_NS.0;
    }

    /// Something seems to be amiss: the next round is due soon.
    pub fn hasten(&mut self) {
        self.next_at = self.next_at.min(self.begun.plus(SOON_NS));
    }

    /// Whether a round has ended since the last restart.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a round is to begin.
    #[inline]
    #[must_use]
    pub fn is_due(&self, now: Timestamp) -> bool {
        self.step == Step::Idle && now >= self.next_at
    }

    /// Whether a round is under way.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.step != Step::Idle
    }

    /// Begins a round.
    pub fn begin(&mut self, weight_limit: u32, now: Timestamp) {
        self.step = Step::FirstLook;
        self.asked = None;
        self.begun = now;
        self.next_at = now.plus(self.interval_ns(weight_limit));
    }

    /// Ends a round without a result. `false` where none was under way.
    pub fn stop(&mut self) -> bool {
        self.number = self.number.wrapping_add(1);
        self.asked = None;
        std::mem::replace(&mut self.step, Step::Idle) != Step::Idle
    }

    /// The round has failed; the next one is tried after a while.
    pub fn fail(&mut self, now: Timestamp) {
        self.stop();
        self.next_at = now.plus(self.retry_ns);
        self.retry_ns = self.retry_ns.saturating_mul(2).min(RETRY_NS.1);
    }

    /// What is to be asked now, and its number.
    #[inline]
    #[must_use]
    pub fn question(&self) -> Option<(u64, Question)> {
        if self.asked.is_some() { None } else { self.current().map(|question| (self.number, question)) }
    }

    fn current(&self) -> Option<Question> {
        match self.step {
            Step::Idle => None,
            Step::FirstLook | Step::SecondLook => Some(Question::Balances),
            Step::OpenOrders(_) if self.lists_all() => Some(Question::OpenOrders(None)),
            Step::OpenOrders(place) => self.instruments.get(place).map(|&(id, _)| Question::OpenOrders(Some(id))),
            Step::Fills(place) => {
                self.instruments.get(place).map(|&(instrument, from)| Question::Fills { instrument, from })
            }
        }
    }

    /// The question was written.
    pub fn was_asked(&mut self, now: Timestamp) {
        self.asked = Some(now);
    }

    /// The question under way, if it has this number, and when it was asked. Anything else is a late answer to a question
    /// of a round that is over.
    #[must_use]
    pub fn expects(&self, number: u64) -> Option<(Question, Timestamp)> {
        let asked = self.asked.filter(|_| number == self.number)?;
        self.current().map(|question| (question, asked))
    }

    /// Whether the question under way should have been answered by now.
    #[inline]
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) >= self.timeout_ns)
    }

    fn go_to(&mut self, step: Step) {
        self.number = self.number.wrapping_add(1);
        self.asked = None;
        // Where there is no such instrument the next kind of question has its turn.
        self.step = match step {
            Step::OpenOrders(place) if place >= self.instruments.len() || (place > 0 && self.lists_all()) => {
                if self.instruments.is_empty() { Step::SecondLook } else { Step::Fills(0) }
            }
            Step::Fills(place) if place >= self.instruments.len() => Step::SecondLook,
            other => other,
        };
    }

    /// The balances were answered.
    pub fn looked(&mut self, balances: &[Balance]) -> Look {
        let totals = balances.iter().map(|balance| (balance.asset, balance.free.saturating_add(balance.locked)));
        if self.step == Step::FirstLook {
            self.first_look.clear();
            self.first_look.extend(totals);
            self.go_to(Step::OpenOrders(0));
            return Look::First;
        }
        let is_conclusive =
            balances.len() == self.first_look.len() && totals.into_iter().all(|total| self.first_look.contains(&total));
        self.go_to(Step::Idle);
        self.has_ended = true;
        self.retry_ns = RETRY_NS.0;
        Look::Second { is_conclusive }
    }

    /// The open orders were answered.
    pub fn listed(&mut self) {
        if let Step::OpenOrders(place) = self.step {
            self.go_to(Step::OpenOrders(place.saturating_add(1)));
        }
    }

    /// Fills were answered: how many, and the largest number among them. `false` where the answer leads nowhere.
    pub fn filled(&mut self, rows: usize, largest: u64) -> bool {
        let Step::Fills(place) = self.step else { return false };
        let Some((_, from)) = self.instruments.get_mut(place) else { return false };
        let is_ahead = largest >= *from;
        if rows > 0 && is_ahead {
            *from = largest.saturating_add(1);
        }
        let is_full = rows >= PAGE_ROWS;
        if is_full && !is_ahead {
            return false;
        }
        self.go_to(Step::Fills(if is_full { place } else { place.saturating_add(1) }));
        true
    }

    /// Folds everything in.
    pub fn fold(&self, digest: &mut Digest) {
        for (id, from) in &self.instruments {
            digest.fold(u64::from(id.0));
            digest.fold(*from);
        }
        let (step, place) = match self.step {
            Step::Idle => (0, 0),
            Step::FirstLook => (1, 0),
            Step::OpenOrders(place) => (2, place),
            Step::Fills(place) => (3, place),
            Step::SecondLook => (4, 0),
        };
        for number in [
            step,
            place as u64,
            self.number,
            self.asked.map_or(0, Timestamp::nanos),
            self.begun.nanos(),
            self.next_at.nanos(),
            self.retry_ns,
            u64::from(self.has_ended),
        ] {
            digest.fold(number);
        }
        for (asset, total) in &self.first_look {
            digest.fold(u64::from(asset.0));
            digest.fold_wide(total.0);
        }
    }
}

/// Executions that were told of since the round before last began, so that a round tells only of those that nobody told
/// of. What does not fit is told twice, which risk sees by itself.
#[derive(Debug)]
pub struct Told {
    current: HashSet<(InstrumentId, u64), FixedState>,
    previous: HashSet<(InstrumentId, u64), FixedState>,
    /// What is in each of them, as one number: whatever their order.
    sums: (u64, u64),
}

impl Default for Told {
    fn default() -> Self {
        let set = || HashSet::with_capacity_and_hasher(Self::EXECUTIONS_MAX * 2, FixedState::default());
        Self { current: set(), previous: set(), sums: (0, 0) }
    }
}

impl Told {
    /// Executions of one round at most.
    const EXECUTIONS_MAX: usize = 8_192;

    /// A round begins.
    pub fn rotate(&mut self) {
        std::mem::swap(&mut self.current, &mut self.previous);
        self.current.clear();
        self.sums = (0, self.sums.0);
    }

    /// Folds everything in.
    pub fn fold(&self, digest: &mut Digest) {
        for number in [self.current.len() as u64, self.sums.0, self.previous.len() as u64, self.sums.1] {
            digest.fold(number);
        }
    }

    /// Whether it was told of.
    #[must_use]
    pub fn contains(&self, instrument: InstrumentId, execution_id: u64) -> bool {
        let execution = (instrument, execution_id);
        self.current.contains(&execution) || self.previous.contains(&execution)
    }

    /// It is told of.
    #[inline]
    pub fn insert(&mut self, instrument: InstrumentId, execution_id: u64) {
        if self.current.len() < Self::EXECUTIONS_MAX && self.current.insert((instrument, execution_id)) {
            let mut digest = Digest::NONE;
            digest.fold(u64::from(instrument.0));
            digest.fold(execution_id);
            self.sums.0 ^= digest.value();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000 + seconds * 1_000)
    }

    fn rounds(instruments: u32) -> Rounds {
        let instruments: Vec<_> = (0..instruments).map(|id| (InstrumentId(id), 100)).collect();
        Rounds::new(&instruments, 3 * SECOND_NS, 2 * SECOND_NS)
    }

    fn balance(asset: u16, free: i128, locked: i128) -> Balance {
        Balance { asset: AssetId(asset), free: Money(free), locked: Money(locked) }
    }

    /// Asks the next question.
    fn ask(rounds: &mut Rounds) -> Option<Question> {
        let (number, question) = rounds.question()?;
        rounds.was_asked(at(0));
        assert_eq!(rounds.question(), None, "one at a time");
        assert_eq!(rounds.expects(number), Some((question, at(0))));
        assert_eq!(rounds.expects(number + 1), None);
        Some(question)
    }

    #[test]
    fn a_round_asks_everything_in_order() {
        let mut rounds = rounds(2);
        assert!(rounds.is_due(at(0)));
        rounds.begin(6_000, at(0));
        assert!(!rounds.is_due(at(0)) && rounds.is_running());
        assert_eq!(ask(&mut rounds), Some(Question::Balances));
        assert_eq!(rounds.looked(&[balance(0, 5, 5), balance(1, 1, 0)]), Look::First);
        for id in [0, 1] {
            assert_eq!(ask(&mut rounds), Some(Question::OpenOrders(Some(InstrumentId(id)))));
            rounds.listed();
        }
        let fills = |instrument, from| Some(Question::Fills { instrument: InstrumentId(instrument), from });
        assert_eq!(ask(&mut rounds), fills(0, 101));
        assert!(rounds.filled(1_000, 1_500), "a full page has another behind it");
        assert_eq!(ask(&mut rounds), fills(0, 1_501));
        assert!(rounds.filled(2, 1_503));
        assert_eq!(ask(&mut rounds), fills(1, 101));
        assert!(rounds.filled(0, 0));
        assert_eq!(ask(&mut rounds), Some(Question::Balances));
        // What an order holds is no change of what there is.
        assert_eq!(rounds.looked(&[balance(1, 1, 0), balance(0, 3, 7)]), Look::Second { is_conclusive: true });
        assert!(rounds.has_ended() && !rounds.is_running());
        assert!(!rounds.is_due(at(2)) && rounds.is_due(at(4)));
        rounds.begin(6_000, at(4));
        rounds.looked(&[]);
        rounds.listed();
        rounds.listed();
        assert_eq!(ask(&mut rounds), fills(0, 1_504), "from where the round before came to");
    }

    #[test]
    fn balances_that_moved_prove_nothing() {
        for second in
            [vec![], vec![balance(0, 4, 5)], vec![balance(1, 5, 5)], vec![balance(0, 10, 0), balance(1, 1, 0)]]
        {
            let mut rounds = rounds(0);
            rounds.begin(0, at(0));
            rounds.looked(&[balance(0, 5, 5)]);
            assert_eq!(rounds.looked(&second), Look::Second { is_conclusive: false }, "{second:?}");
        }
    }

    #[test]
    fn many_instruments_are_listed_at_once_and_less_often() {
        let mut many = rounds(20);
        many.begin(6_000, at(0));
        many.looked(&[]);
        assert_eq!(ask(&mut many), Some(Question::OpenOrders(None)));
        many.listed();
        assert!(matches!(ask(&mut many), Some(Question::Fills { .. })));
        assert_eq!((rounds(1).weight(), many.weight()), (66, 520));
        assert_eq!(rounds(1).interval_ns(6_000), 3 * SECOND_NS);
        // 520 of the 1,500 that are a quarter of 6,000.
        assert_eq!(many.interval_ns(6_000), 20_800_000_000);
        assert_eq!(many.interval_ns(0), 104 * SECOND_NS, "the venue has not said");
    }

    #[test]
    fn a_failed_round_is_tried_again_ever_later() {
        let mut rounds = rounds(1);
        let mut now = at(0);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(rounds.is_due(now));
            rounds.begin(6_000, now);
            let (number, _) = rounds.question().expect("a question");
            rounds.was_asked(now);
            assert!(!rounds.is_overdue(now.plus(SECOND_NS)) && rounds.is_overdue(now.plus(2 * SECOND_NS)));
            rounds.fail(now);
            assert_eq!((rounds.expects(number), rounds.has_ended()), (None, false), "late");
            now = now.plus(seconds * SECOND_NS - 1);
            assert!(!rounds.is_due(now));
            now = now.plus(1);
        }
        rounds.restart();
        assert!(rounds.is_due(at(0)));
    }

    #[test]
    fn a_full_page_that_leads_nowhere_is_no_answer() {
        let mut rounds = rounds(1);
        rounds.begin(6_000, at(0));
        rounds.looked(&[]);
        rounds.listed();
        assert!(!rounds.filled(1_000, 100));
    }

    #[test]
    fn suspicion_hastens_the_next_round() {
        let mut rounds = rounds(0);
        rounds.begin(6_000, at(0));
        rounds.looked(&[]);
        rounds.looked(&[]);
        assert!(!rounds.is_due(at(1)));
        rounds.hasten();
        assert!(rounds.is_due(at(1)));
    }

    #[test]
    fn executions_are_remembered_for_two_rounds() {
        let mut told = Told::default();
        told.insert(InstrumentId(0), 7);
        told.rotate();
        assert!(told.contains(InstrumentId(0), 7) && !told.contains(InstrumentId(1), 7));
        told.rotate();
        assert!(!told.contains(InstrumentId(0), 7));
    }
}
