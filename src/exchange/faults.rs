//! What goes wrong between an exchange and its clients, by chance that a seed decides.
//!
//! The exchange's own truth is never touched: orders, fills and balances are exact. A fault decides whether a request
//! arrives, what is told of it and when, or does what others do to an account: orders by hand, transfers. The injector has
//! no clock and no thread: it is asked with the instant, by the server and by the offline exchange alike.
//!
//! Rates are drawn anew for each seed by [`FaultConfig::swarm`], some kinds left out entirely: else frequent faults would
//! hide what rare ones find.

use super::error::ApiError;
use super::random::Random;
use crate::types::parse_fixed;
use std::fmt;

/// One kind of fault. Those of a message happen to one in so many, those of time so often a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Fault {
    /// A user event is not sent.
    ReportDropped,
    /// A user event is sent twice.
    ReportDuplicated,
    /// A user event is sent up to 3 s late; others overtake it.
    ReportDelayed,
    /// A user event is sent behind the next message.
    ReportReordered,
    /// A request is carried out and never answered.
    AnswerDropped,
    /// A request is carried out and answered up to 1 s late.
    AnswerDelayed,
    /// A request is carried out and answered after a silence of 5 to 12 s.
    AnswerLate,
    /// A request never arrives.
    RequestSwallowed,
    /// A request arrives up to 4 s late; others overtake it.
    RequestDelayed,
    /// The connection breaks before a request has arrived.
    CutBefore,
    /// The connection breaks once a request is carried out, before it is answered.
    CutAfter,
    /// A request is refused with 429, and so are all of the next 1 to 3 s.
    TooManyRequests,
    /// A request is carried out and answered that nobody knows whether it was: 5xx, -1006, -1007.
    UnknownDone,
    /// The same answer to a request that was not carried out.
    UnknownNotDone,
    /// A connection breaks while nothing is asked.
    Cut,
    /// A connection stands still for up to 4 s, both ways.
    Stall,
    /// Everything is refused with 418, new connections too, for 1 to 4 s.
    Ban,
    /// A user data stream ends (`eventStreamTerminated`).
    StreamTerminated,
    /// The server says that it will shut down (`serverShutdown`), and closes the connection 1 to 3 s later.
    ServerShutdown,
    /// Somebody places an order by hand.
    ExternalOrder,
    /// Somebody cancels an order by hand, whosever it is.
    ExternalCancel,
    /// A deposit or withdrawal (`balanceUpdate`).
    Transfer,
    /// The connection of a market data client breaks.
    MarketCut,
}

impl Fault {
    /// Every kind, in order of number.
    pub const ALL: [Self; 23] = [
        Self::ReportDropped,
        Self::ReportDuplicated,
        Self::ReportDelayed,
        Self::ReportReordered,
        Self::AnswerDropped,
        Self::AnswerDelayed,
        Self::AnswerLate,
        Self::RequestSwallowed,
        Self::RequestDelayed,
        Self::CutBefore,
        Self::CutAfter,
        Self::TooManyRequests,
        Self::UnknownDone,
        Self::UnknownNotDone,
        Self::Cut,
        Self::Stall,
        Self::Ban,
        Self::StreamTerminated,
        Self::ServerShutdown,
        Self::ExternalOrder,
        Self::ExternalCancel,
        Self::Transfer,
        Self::MarketCut,
    ];
    const OF_REPORTS: [Self; 4] =
        [Self::ReportDropped, Self::ReportDuplicated, Self::ReportDelayed, Self::ReportReordered];
    const OF_REQUESTS: [Self; 10] = [
        Self::AnswerDropped,
        Self::AnswerDelayed,
        Self::AnswerLate,
        Self::RequestSwallowed,
        Self::RequestDelayed,
        Self::CutBefore,
        Self::CutAfter,
        Self::TooManyRequests,
        Self::UnknownDone,
        Self::UnknownNotDone,
    ];

    /// The name in specifications and summaries: `report_dropped`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReportDropped => "report_dropped",
            Self::ReportDuplicated => "report_duplicated",
            Self::ReportDelayed => "report_delayed",
            Self::ReportReordered => "report_reordered",
            Self::AnswerDropped => "answer_dropped",
            Self::AnswerDelayed => "answer_delayed",
            Self::AnswerLate => "answer_late",
            Self::RequestSwallowed => "request_swallowed",
            Self::RequestDelayed => "request_delayed",
            Self::CutBefore => "cut_before",
            Self::CutAfter => "cut_after",
            Self::TooManyRequests => "too_many_requests",
            Self::UnknownDone => "unknown_done",
            Self::UnknownNotDone => "unknown_not_done",
            Self::Cut => "cut",
            Self::Stall => "stall",
            Self::Ban => "ban",
            Self::StreamTerminated => "stream_terminated",
            Self::ServerShutdown => "server_shutdown",
            Self::ExternalOrder => "external_order",
            Self::ExternalCancel => "external_cancel",
            Self::Transfer => "transfer",
            Self::MarketCut => "market_cut",
        }
    }

    /// Whether it happens to messages; else it happens in time.
    #[must_use]
    pub const fn is_of_messages(self) -> bool {
        (self as u8) < (Self::Cut as u8)
    }

    const fn index(self) -> usize {
        self as usize
    }
}

/// How often each kind happens: of a message in parts per million, of time per 1,000 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultRates([u32; Fault::ALL.len()]);

impl FaultRates {
    /// Nothing goes wrong.
    pub const CALM: Self = Self([0; Fault::ALL.len()]);
    /// Everything goes wrong, each every now and then, yet seldom enough that trading goes on in between.
    pub const STORM: Self = Self([
        10_000, 20_000, 20_000, 20_000, 5_000, 20_000, 5_000, 5_000, 10_000, 1_500, 1_500, 1_000, 5_000, 5_000, 2_000,
        4_000, 500, 1_000, 1_000, 10_000, 4_000, 4_000, 2_000,
    ]);

    /// How often this kind happens.
    #[must_use]
    pub const fn of(&self, fault: Fault) -> u32 {
        self.0[fault.index()]
    }

    /// The same with another rate of one kind.
    #[must_use]
    pub const fn with(mut self, fault: Fault, rate: u32) -> Self {
        self.0[fault.index()] = rate;
        self
    }

    /// Reads `storm`, `calm`, or `KIND=RATE` by commas, each after the first changing what stands before it: percent of
    /// messages, or times a minute.
    ///
    /// # Errors
    /// What is allowed instead, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rates = Self::CALM;
        for part in text.split(',') {
            match part.trim() {
                "calm" => rates = Self::CALM,
                "storm" => rates = Self::STORM,
                part => {
                    let (name, rate) = part.split_once('=').ok_or_else(|| known(part))?;
                    let fault = Fault::ALL.into_iter().find(|fault| fault.name() == name).ok_or_else(|| known(name))?;
                    let places = if fault.is_of_messages() { 4 } else { 3 };
                    let rate = parse_fixed(rate.as_bytes(), places).ok().and_then(|rate| u32::try_from(rate).ok());
                    let rate = rate.filter(|rate| !fault.is_of_messages() || *rate <= 1_000_000);
                    let rate =
                        rate.ok_or_else(|| format!("{part}: a rate is percent of messages, or times a minute"))?;
                    rates = rates.with(fault, rate);
                }
            }
        }
        let sum = |faults: &[Fault]| faults.iter().map(|fault| u64::from(rates.of(*fault))).sum::<u64>();
        if sum(&Fault::OF_REPORTS) > 1_000_000 || sum(&Fault::OF_REQUESTS) > 1_000_000 {
            return Err("the faults of reports, or those of requests, come to more than 100 percent".to_owned());
        }
        Ok(rates)
    }
}

fn known(name: &str) -> String {
    let names: Vec<_> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    format!("`{name}` is neither calm nor storm nor KIND=RATE with a kind of {}", names.join(", "))
}

/// What an injector is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FaultConfig {
    /// Decides everything that is drawn.
    pub seed: u64,
    /// How often what happens.
    pub rates: FaultRates,
    /// Whether nothing happens before the first order, so that whoever connects for the first time is left alone.
    pub waits_for_order: bool,
}

impl FaultConfig {
    /// Nothing goes wrong.
    pub const CALM: Self = Self { seed: 0, rates: FaultRates::CALM, waits_for_order: false };

    /// Faults from the start, at rates that this seed draws between nothing and three times `rates`, half of the kinds
    /// left out.
    #[must_use]
    pub fn swarm(seed: u64, rates: FaultRates) -> Self {
        let mut random = Random::new(seed ^ 0x5EED);
        let mut drawn = rates;
        for fault in Fault::ALL {
            let rate = if random.below(2) == 0 { 0 } else { random.below(u64::from(rates.of(fault)) * 3 + 1) };
            drawn = drawn.with(fault, u32::try_from(rate).unwrap_or(0));
        }
        Self { seed, rates: drawn, waits_for_order: false }
    }
}

/// How often each kind happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    counts: [u64; Fault::ALL.len()],
    /// Requests that came all the same while everything was refused with 429.
    pub requests_while_throttled: u64,
    /// Requests that came all the same while everything was refused with 418.
    pub requests_while_banned: u64,
}

impl FaultCounts {
    /// How often this kind happened.
    #[must_use]
    pub const fn of(&self, fault: Fault) -> u64 {
        self.counts[fault.index()]
    }

    /// Of all kinds together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.requests_while_throttled += other.requests_while_throttled;
        self.requests_while_banned += other.requests_while_banned;
    }
}

impl fmt::Display for FaultCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let happened = Fault::ALL.iter().filter(|fault| self.of(**fault) > 0);
        let words: Vec<_> = happened.map(|fault| format!("{} {}", self.of(*fault), fault.name())).collect();
        f.write_str(&if words.is_empty() { "none".to_owned() } else { words.join(", ") })
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RequestFate {
    /// It is carried out, and answered at once or so many ns late.
    Answered { late_ns: u64 },
    /// It is carried out and not answered.
    Unanswered,
    /// It never arrives.
    Swallowed,
    /// It arrives so many ns late.
    Delayed(u64),
    /// The connection breaks before it arrives.
    CutBefore,
    /// It is carried out, then the connection breaks.
    CutAfter,
    /// It is refused and not carried out.
    Refused(ApiError),
    /// It is answered with a refusal that says nothing, and carried out or not.
    Unproven { error: ApiError, is_done: bool },
}

/// What becomes of a user event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReportFate {
    Sent,
    Dropped,
    Duplicated,
    Delayed(u64),
    Reordered,
}

const SECOND_NS: u64 = 1_000_000_000;
const MINUTE_NS: u64 = 60 * SECOND_NS;

/// Answers after which nobody knows whether the request was carried out: status, code and words.
const UNPROVEN: [(u16, i32, &str); 4] = [
    (500, -1000, "An unknown error occurred while processing the request."),
    (503, -1006, "An unexpected response was received from the message bus. Execution status unknown."),
    (504, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (502, -1001, "Internal error; unable to process your request. Please try again."),
];

/// The injector.
#[derive(Debug)]
pub(super) struct Faults {
    random: Random,
    rates: FaultRates,
    is_on: bool,
    waits_for_order: bool,
    /// When each kind that happens in time happens next; the end of time where it never does.
    next_ns: [u64; Fault::ALL.len()],
    throttled_until_ns: u64,
    banned_until_ns: u64,
    pub counts: FaultCounts,
}

impl Faults {
    pub(super) fn new(config: &FaultConfig, now_ns: u64) -> Self {
        let mut faults = Self {
            random: Random::new(config.seed),
            rates: config.rates,
            is_on: false,
            waits_for_order: config.waits_for_order,
            next_ns: [u64::MAX; Fault::ALL.len()],
            throttled_until_ns: 0,
            banned_until_ns: 0,
            counts: FaultCounts::default(),
        };
        if !faults.waits_for_order {
            faults.begin(now_ns);
        }
        faults
    }

    pub(super) fn is_on(&self) -> bool {
        self.is_on
    }

    pub(super) fn random(&mut self) -> &mut Random {
        &mut self.random
    }

    /// An order came: from here on things go wrong, where they have waited for that.
    pub(super) fn ordered(&mut self, now_ns: u64) {
        if std::mem::take(&mut self.waits_for_order) {
            self.begin(now_ns);
        }
    }

    fn begin(&mut self, now_ns: u64) {
        self.is_on = self.rates != FaultRates::CALM;
        for fault in Fault::ALL {
            self.plan(fault, now_ns);
        }
    }

    fn plan(&mut self, fault: Fault, now_ns: u64) {
        let rate = u64::from(self.rates.of(fault));
        if !fault.is_of_messages() && rate > 0 {
            self.next_ns[fault.index()] = now_ns.saturating_add(self.random.wait(1_000 * MINUTE_NS / rate));
        }
    }

    /// Nothing goes wrong any more; what is under way late still arrives.
    pub(super) fn end(&mut self) {
        (self.is_on, self.waits_for_order) = (false, false);
        (self.throttled_until_ns, self.banned_until_ns) = (0, 0);
    }

    fn count(&mut self, fault: Fault) {
        self.counts.counts[fault.index()] += 1;
    }

    /// Which of these kinds a message meets, if any.
    fn meets(&mut self, kinds: &[Fault]) -> Option<Fault> {
        let mut drawn = self.random.below(1_000_000);
        let found = kinds.iter().copied().find(|kind| {
            let rate = u64::from(self.rates.of(*kind));
            let is_met = drawn < rate;
            drawn = drawn.saturating_sub(rate);
            is_met
        })?;
        self.count(found);
        Some(found)
    }

    /// Until when everything is refused with 418, if it is.
    pub(super) fn ban(&self, now_ns: u64) -> Option<u64> {
        (self.is_on && now_ns < self.banned_until_ns).then_some(self.banned_until_ns)
    }

    /// What becomes of a request that comes now.
    pub(super) fn request(&mut self, now_ns: u64) -> RequestFate {
        const PROMPT: RequestFate = RequestFate::Answered { late_ns: 0 };
        if !self.is_on {
            return PROMPT;
        }
        if let Some(until_ns) = self.ban(now_ns) {
            self.counts.requests_while_banned += 1;
            return RequestFate::Refused(ApiError::banned(now_ns, until_ns));
        }
        if now_ns < self.throttled_until_ns {
            self.counts.requests_while_throttled += 1;
            return RequestFate::Refused(ApiError::throttled(now_ns, self.throttled_until_ns));
        }
        match self.meets(&Fault::OF_REQUESTS) {
            Some(Fault::AnswerDropped) => RequestFate::Unanswered,
            Some(Fault::AnswerDelayed) => RequestFate::Answered { late_ns: self.random.below(SECOND_NS) },
            Some(Fault::AnswerLate) => {
                RequestFate::Answered { late_ns: 5 * SECOND_NS + self.random.below(7 * SECOND_NS) }
            }
            Some(Fault::RequestSwallowed) => RequestFate::Swallowed,
            Some(Fault::RequestDelayed) => RequestFate::Delayed(self.random.below(4 * SECOND_NS)),
            Some(Fault::CutBefore) => RequestFate::CutBefore,
            Some(Fault::CutAfter) => RequestFate::CutAfter,
            Some(Fault::TooManyRequests) => {
                self.throttled_until_ns = now_ns + SECOND_NS + self.random.below(2 * SECOND_NS);
                RequestFate::Refused(ApiError::throttled(now_ns, self.throttled_until_ns))
            }
            Some(fault @ (Fault::UnknownDone | Fault::UnknownNotDone)) => {
                let (status, code, words) = self.random.pick(&UNPROVEN).copied().unwrap_or(UNPROVEN[0]);
                let error = ApiError::unproven(status, code, words);
                RequestFate::Unproven { error, is_done: fault == Fault::UnknownDone }
            }
            _ => PROMPT,
        }
    }

    /// What becomes of a user event.
    pub(super) fn report(&mut self) -> ReportFate {
        if !self.is_on {
            return ReportFate::Sent;
        }
        match self.meets(&Fault::OF_REPORTS) {
            Some(Fault::ReportDropped) => ReportFate::Dropped,
            Some(Fault::ReportDuplicated) => ReportFate::Duplicated,
            Some(Fault::ReportDelayed) => ReportFate::Delayed(self.random.below(3 * SECOND_NS)),
            Some(Fault::ReportReordered) => ReportFate::Reordered,
            _ => ReportFate::Sent,
        }
    }

    /// What happens in time and is due, if anything is. To be asked until it answers `None`.
    pub(super) fn due(&mut self, now_ns: u64) -> Option<Fault> {
        if !self.is_on {
            return None;
        }
        let fault = Fault::ALL.into_iter().find(|fault| self.next_ns[fault.index()] <= now_ns)?;
        self.plan(fault, now_ns);
        if fault == Fault::Ban {
            self.banned_until_ns = now_ns + SECOND_NS + self.random.below(3 * SECOND_NS);
            self.count(fault);
        }
        Some(fault)
    }

    /// A fault of time found somebody to happen to.
    pub(super) fn happened(&mut self, fault: Fault) {
        self.count(fault);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_by_name() {
        assert_eq!(FaultRates::parse("storm"), Ok(FaultRates::STORM));
        let rates = FaultRates::parse("storm,ban=0,report_dropped=2.5,cut=0.1").expect("a specification");
        let found = [Fault::Ban, Fault::ReportDropped, Fault::Cut, Fault::Stall].map(|fault| rates.of(fault));
        assert_eq!(found, [0, 25_000, 100, FaultRates::STORM.of(Fault::Stall)]);
        for bad in ["", "drizzle", "ban", "ban=x", "nothing=1", "cut_after=101", "report_dropped=60,report_delayed=60"]
        {
            assert!(FaultRates::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_are_numbered_in_order_and_named_apart() {
        for (index, fault) in Fault::ALL.into_iter().enumerate() {
            assert_eq!(fault.index(), index);
            assert_eq!(Fault::ALL.iter().filter(|other| other.name() == fault.name()).count(), 1);
        }
        let of_messages = Fault::ALL.iter().filter(|fault| fault.is_of_messages()).count();
        assert_eq!(of_messages, Fault::OF_REPORTS.len() + Fault::OF_REQUESTS.len());
    }

    #[test]
    fn a_seed_decides_everything_and_every_kind_comes() {
        let run = |seed| {
            let mut faults = Faults::new(&FaultConfig { seed, rates: FaultRates::STORM, waits_for_order: false }, 0);
            let mut seen = Vec::new();
            for step in 0..20_000u64 {
                let now_ns = step * SECOND_NS;
                seen.push((faults.request(now_ns), faults.report(), faults.due(now_ns)));
            }
            (seen, faults)
        };
        let (seen, faults) = run(1);
        assert!(seen == run(1).0 && seen != run(2).0);
        for fault in Fault::ALL {
            let is_due = seen.iter().any(|(_, _, due)| *due == Some(fault));
            assert!(is_due || faults.counts.of(fault) > 0, "{}", fault.name());
        }
        assert!(faults.counts.requests_while_banned > 0);
    }

    #[test]
    fn nothing_happens_before_the_first_order_or_after_the_end() {
        let config = FaultConfig { seed: 1, rates: FaultRates::STORM, waits_for_order: true };
        let mut faults = Faults::new(&config, 0);
        let is_calm = |faults: &mut Faults| {
            (0..2_000u64).all(|step| {
                let now_ns = step * SECOND_NS;
                faults.request(now_ns) == RequestFate::Answered { late_ns: 0 }
                    && faults.report() == ReportFate::Sent
                    && faults.due(now_ns).is_none()
            })
        };
        assert!(is_calm(&mut faults));
        faults.ordered(0);
        assert!(!is_calm(&mut faults));
        faults.end();
        faults.ordered(0);
        assert!(is_calm(&mut faults));
        let swarms: Vec<_> = (0..20).map(|seed| FaultConfig::swarm(seed, FaultRates::STORM).rates).collect();
        for fault in Fault::ALL {
            assert!(swarms.iter().any(|rates| rates.of(fault) == 0) && swarms.iter().any(|rates| rates.of(fault) > 0));
        }
    }
}
