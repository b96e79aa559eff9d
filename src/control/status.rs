//! What displays show: the newest of everything that the hot plane tells.

use super::requests::now_ms;
use super::standing::Shown;
use crate::types::{DenialReason, Instruments, Money, Notice, NoticeCode, PositionReport, SentOrder, StrategyId};
use hdrhistogram::Histogram;
use std::collections::{BTreeMap, VecDeque};

/// Lines of notices kept for displays.
const LINES_MAX: usize = 64;
/// The trading states in words, by number.
const TRADING_STATES: [&str; 4] = ["active", "reduce-only", "cancel-only", "halted"];

/// The newest state, fed by the cold plane's loop.
pub struct Status {
    /// Positions by (strategy, instrument) id.
    pub positions: BTreeMap<(u16, u32), PositionReport>,
    /// Denials by reason.
    pub denied: BTreeMap<&'static str, u64>,
    /// From frame to order bytes.
    pub tick_to_trade: Histogram<u64>,
    /// The newest notices in words, oldest first, each with how often it came in a row.
    pub lines: VecDeque<(String, u64)>,
    /// The engine's trading state, as its number.
    trading_state: i128,
    /// What stops trading or narrows it, with the newest words: breakers by reason, and books that do not agree.
    breakers: BTreeMap<&'static str, String>,
    /// What came by transfers that were told or accepted, or left where negative, by asset.
    transfers: BTreeMap<String, Money>,
    instruments: Instruments,
    strategies: Vec<String>,
}

impl Status {
    /// Nothing known yet. `strategies` are names by id.
    ///
    /// # Panics
    /// Never: the histogram's bounds are constants that it accepts.
    #[must_use]
    #[allow(clippy::expect_used, reason = "constant bounds")]
    pub fn new(instruments: Instruments, strategies: Vec<String>) -> Self {
        Self {
            positions: BTreeMap::new(),
            denied: BTreeMap::new(),
            tick_to_trade: Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that the histogram takes"),
            lines: VecDeque::with_capacity(LINES_MAX),
            trading_state: 0,
            breakers: BTreeMap::new(),
            transfers: BTreeMap::new(),
            instruments,
            strategies,
        }
    }

    /// Takes a position.
    pub fn position(&mut self, report: &PositionReport) {
        self.positions.insert((report.strategy.0, report.instrument.0), *report);
    }

    /// Takes the instants of a sent order.
    pub fn sent(&mut self, sent: &SentOrder) {
        // An order that no frame led to (a timer's) has no tick to be measured from.
        if sent.received_ns.is_known() {
            self.tick_to_trade.saturating_record(sent.encoded_ns.since(sent.received_ns));
        }
    }

    /// Takes a notice and answers it in words.
    pub fn notice(&mut self, notice: &Notice) -> String {
        if notice.code == NoticeCode::Denied {
            *self.denied.entry(notice.reason.name()).or_default() += 1;
        }
        let line = self.in_words(notice);
        match notice.code {
            NoticeCode::TradingStateChanged => self.trading_state = notice.observed,
            NoticeCode::BreakerTripped => drop(self.breakers.insert(notice.reason.name(), line.clone())),
            NoticeCode::BreakerReset if notice.reason == DenialReason::None => {
                let is_all = notice.strategy == StrategyId::NONE;
                self.breakers.retain(|reason, _| *reason == Shown::BREAK && !is_all);
            }
            NoticeCode::BreakerReset => drop(self.breakers.remove(notice.reason.name())),
            NoticeCode::BooksDisagree => drop(self.breakers.insert(Shown::BREAK, line.clone())),
            NoticeCode::BooksAgree => drop(self.breakers.remove(Shown::BREAK)),
            NoticeCode::Transfer => {
                let sum = self.transfers.entry(notice.excerpt.to_string()).or_default();
                *sum = sum.saturating_add(Money(notice.observed));
            }
            _ => {}
        }
        match self.lines.back_mut() {
            Some((last, count)) if *last == line => *count += 1,
            _ => {
                if self.lines.len() == LINES_MAX {
                    self.lines.pop_front();
                }
                self.lines.push_back((line.clone(), 1));
            }
        }
        line
    }

    /// What `gannet ctl status` shows of it.
    #[must_use]
    pub fn shown(&self, open_orders: u64) -> Shown {
        let state = TRADING_STATES.get(usize::try_from(self.trading_state).unwrap_or(usize::MAX));
        Shown {
            at_ms: now_ms(),
            trading_state: (*state.unwrap_or(&"?")).to_owned(),
            breakers: self.breakers.iter().map(|(reason, words)| ((*reason).to_owned(), words.clone())).collect(),
            open_orders,
            denied: self.denied.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect(),
            transfers: self.transfers.iter().map(|(asset, sum)| (asset.clone(), sum.to_decimal_string())).collect(),
        }
    }

    /// The strategy's configured name.
    #[must_use]
    pub fn strategy_name(&self, id: u16) -> &str {
        let nobody = if id == StrategyId::NONE.0 { "EXTERNAL" } else { "?" };
        self.strategies.get(usize::from(id)).map_or(nobody, String::as_str)
    }

    /// The instruments of this run.
    #[must_use]
    pub const fn instruments(&self) -> &Instruments {
        &self.instruments
    }

    fn in_words(&self, notice: &Notice) -> String {
        let Notice { limit, observed, excerpt, .. } = notice;
        let what = match notice.code {
            NoticeCode::BadMarketFrame => format!("a market frame cannot be read: {excerpt}"),
            NoticeCode::BadOrderFrame => format!("an order frame cannot be read, reconciling: {excerpt}"),
            NoticeCode::UnknownSymbol => format!("a frame of a symbol nobody asked for: {excerpt}"),
            NoticeCode::CrossedBook => format!("crossed: bid {limit}, ask {observed}"),
            NoticeCode::DepthGap => format!("depth gap: {limit} expected, {observed} found"),
            NoticeCode::DepthSynced => format!("book in sync at {observed}"),
            NoticeCode::DepthLost => "book lost, waiting for a snapshot".to_owned(),
            NoticeCode::SnapshotTooOld => "snapshot older than the stream, fetching another".to_owned(),
            NoticeCode::Connected => "connected".to_owned(),
            NoticeCode::Disconnected => format!("disconnected: {excerpt}"),
            NoticeCode::Silent => format!("silent for {observed} ns, {limit} allowed"),
            NoticeCode::Denied => format!("denied {}: limit {limit}, observed {observed}", notice.reason),
            NoticeCode::Rejected => format!("rejected by the venue, code {observed}: {excerpt}"),
            NoticeCode::CancelRejected => format!("cancel refused by the venue, code {observed}"),
            NoticeCode::OrderUnknown => "fate unknown, asking the venue".to_owned(),
            NoticeCode::LateFill => "a fill after the order's end was booked".to_owned(),
            NoticeCode::DuplicateFill => "a fill came twice and was booked once".to_owned(),
            NoticeCode::MissingFill => format!("{observed} filled at the venue, {limit} booked: asking for its trades"),
            NoticeCode::ExternalOrder => format!("an order that is not ours: {excerpt}"),
            NoticeCode::StrategyError => format!("handler error {observed}, {limit} in a row"),
            NoticeCode::StrategyPaused => "paused after three errors in a row".to_owned(),
            NoticeCode::StrategyPanicked => "panicked: stopped, its orders are canceled".to_owned(),
            NoticeCode::StrategyStopped => "stopped".to_owned(),
            NoticeCode::StrategyQuarantined => {
                "in quarantine, not run: a handler of it had stopped the engine".to_owned()
            }
            NoticeCode::StrategySlow => format!("a handler took {observed} ns, {limit} allowed"),
            NoticeCode::Killed => "KILLED: no new orders, all orders are canceled".to_owned(),
            NoticeCode::TradingStateChanged => format!("trading state is now {observed}"),
            NoticeCode::PositionOverLimit => format!("position {observed} is over its limit {limit}: reduce-only"),
            NoticeCode::SessionReady => "order session ready".to_owned(),
            NoticeCode::Misconfigured => format!("code {observed}: {excerpt}"),
            NoticeCode::BooksDisagree => {
                format!("BREAK: the venue holds {limit}, we {observed}: {excerpt}; reduce-only")
            }
            NoticeCode::BooksAgree => "our books and the venue's agree again".to_owned(),
            NoticeCode::ReconcileFailed => format!("reconciliation brought no answer, trying again: {excerpt}"),
            NoticeCode::ExternalAdopted => format!("an order that is not ours was adopted: {excerpt}"),
            NoticeCode::Transfer => format!("money came or left: {observed} of {excerpt}"),
            NoticeCode::BreakerTripped => {
                format!("BREAKER {}: limit {limit}, observed {observed} {excerpt}", notice.reason)
            }
            NoticeCode::LimitNear => format!("{} comes near: told at {limit}, observed {observed}", notice.reason),
            NoticeCode::BreakerReset => format!("set back: {} {excerpt}", notice.reason),
            NoticeCode::LimitsChanged => format!("new limits are in force, version {observed}"),
            NoticeCode::OverrideUsed => format!("passed by an override of {}, {observed} more may", notice.reason),
            NoticeCode::KillChanged => format!("kill switch: {excerpt}"),
            NoticeCode::VenueBan => format!("the venue refuses everything until {observed} ns: {excerpt}"),
            NoticeCode::PositionUnprotected => {
                format!("UNPROTECTED: {observed} without a stop, {limit} failed: {excerpt}")
            }
            NoticeCode::PositionProtected => format!("{observed} is protected by a stop again"),
            NoticeCode::BracketEnded => format!("a bracket ended with {observed} still open: {excerpt}"),
            NoticeCode::StrategyLog => excerpt.to_string(),
            NoticeCode::StrategySignal => format!("signal, confidence {observed} %: {excerpt}"),
        };
        let mut line = String::new();
        if let Some(name) = self.strategies.get(notice.strategy.index()) {
            line.push_str(name);
            line.push(' ');
        }
        if let Some(instrument) = self.instruments.get(notice.instrument) {
            line.push_str(instrument.symbol.as_str());
            line.push(' ');
        }
        line + &what
    }

    /// How many orders were denied.
    #[must_use]
    pub fn denied_count(&self) -> u64 {
        self.denied.values().sum()
    }
}

/// Whether a person should be told at once.
#[must_use]
pub const fn is_warning(code: NoticeCode) -> bool {
    !matches!(
        code,
        NoticeCode::DepthSynced
            | NoticeCode::Connected
            | NoticeCode::SessionReady
            | NoticeCode::StrategyStopped
            | NoticeCode::PositionProtected
            | NoticeCode::StrategyLog
            | NoticeCode::StrategySignal
            | NoticeCode::Denied
            | NoticeCode::TradingStateChanged
            | NoticeCode::BooksAgree
            | NoticeCode::LimitsChanged
            | NoticeCode::BreakerReset
            | NoticeCode::Transfer
    )
}
