//! `gannet replay --explain ORDER`: one order's whole story, from the journal and from replay.
//!
//! The tick that led to it, what its strategy said, what each control made of it and how near it came to each limit, what the
//! venue said and when, its fills, and what the market did after each of them.

use crate::backtest::{EngineStart, History};
use crate::journal::{JournalStage, Record};
use crate::risk::controls::Explanation;
use crate::types::{
    Binary, ClientOrderId, DenialReason, Event, ExecutionReport, GatewayMessage, Instrument, LiquiditySide,
    MarketEvent, Money, Notice, NoticeCode, OrderIntent, Price, Quote, ReportKind, Side, Timestamp, format_fixed,
};
use serde::Serialize;
use std::io::Write;

/// After how long the market is looked at again, in nanoseconds.
const MARK_OUTS_NS: [u64; 4] = [10_000_000, 100_000_000, 1_000_000_000, 10_000_000_000];

/// What is gathered of one order while the journal is read.
pub struct Story {
    id: ClientOrderId,
    /// Quotes of the last cycles, so that the one that led to the order is still there when the order comes.
    ticks: Vec<(u64, crate::types::InstrumentId, MarketEvent)>,
    intent: Option<(u64, Timestamp, OrderIntent)>,
    tick: Option<(u64, MarketEvent)>,
    /// What its engine start began with.
    start: Option<Box<EngineStart>>,
    explanation: Option<Explanation>,
    said: Vec<Notice>,
    steps: Vec<Step>,
    fills: Vec<Fill>,
}

/// What happened to it, and when.
#[derive(Clone, Debug, Serialize)]
struct Step {
    sequence: u64,
    /// The stage's instant, in ns.
    at_ns: u64,
    /// Since the order was decided, in ns.
    after_ns: u64,
    what: String,
    /// The venue's own instant, where it tells one.
    #[serde(skip_serializing_if = "Option::is_none")]
    venue_ns: Option<u64>,
}

#[derive(Clone, Debug)]
struct Fill {
    report: ExecutionReport,
    at: Timestamp,
    /// The mid of the market so long after it, as twice the price; none where the journal does not have it.
    after: [Option<i128>; MARK_OUTS_NS.len()],
    newest: Option<i128>,
}

/// The story, for people and programs.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    order: String,
    epoch: u32,
    sequence: u64,
    strategy: String,
    instrument: String,
    wanted: String,
    tick: Option<Tick>,
    /// Signals and lines of the strategy in the same poll.
    reasons: Vec<String>,
    market: String,
    checks: Vec<Check>,
    margins: Vec<ShownMargin>,
    steps: Vec<Step>,
    fills: Vec<ToldFill>,
}

#[derive(Clone, Debug, Serialize)]
struct Tick {
    sequence: u64,
    received_ns: u64,
    what: String,
}

#[derive(Clone, Debug, Serialize)]
struct Check {
    control: &'static str,
    passed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    denial: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct ShownMargin {
    limit_of: &'static str,
    limit: String,
    observed: Option<String>,
    /// What of the limit was left, in percent, rounded down.
    left_percent: i64,
}

#[derive(Clone, Debug, Serialize)]
struct ToldFill {
    execution_id: u64,
    price: String,
    quantity: String,
    fee: String,
    liquidity: &'static str,
    mark_outs: Vec<MarkOut>,
}

/// What a fill would have made after a while, against the mid: in hundredths of a basis point of its price, better for us where
/// it is positive.
#[derive(Clone, Debug, Serialize)]
struct MarkOut {
    after_ms: u64,
    bps: Option<String>,
}

impl Story {
    /// Of this order.
    #[must_use]
    pub const fn of(id: ClientOrderId) -> Self {
        Self {
            id,
            ticks: Vec::new(),
            intent: None,
            tick: None,
            start: None,
            explanation: None,
            said: Vec::new(),
            steps: Vec::new(),
            fills: Vec::new(),
        }
    }

    /// What replay has come to: risk judges in the cycle that ends with the record before the next one.
    pub fn look(&mut self, history: &History) {
        let is_its_own = |start: &&EngineStart| start.config.epoch == self.id.epoch();
        let Some(start) = history.start().filter(is_its_own).filter(|_| self.intent.is_some()) else { return };
        if self.start.is_none() {
            self.start = Some(Box::new(start.clone()));
        }
        if self.explanation.is_none() {
            self.explanation = history.replay().and_then(|replay| replay.risk().explanation()).cloned();
        }
        if self.said.is_empty() {
            self.said = history.said().to_vec();
        }
    }

    /// The next record, which replay has followed already.
    pub fn record(&mut self, record: &Record<'_>, history: &History) {
        let stage = JournalStage::of(record.entry.stage);
        if !matches!(stage, JournalStage::Risk | JournalStage::Shard(_)) {
            return;
        }
        let Some(event) = Event::take(&mut &*record.payload) else { return };
        let at = Timestamp::from_nanos(record.entry.mono_ns);
        match event {
            Event::Market { message, .. } => self.market(record.seq, message.instrument, message.event),
            Event::Intent { intent, .. } if intent.order.client_order_id == self.id => {
                let is_it = |(_, instrument, event): &&(u64, _, MarketEvent)| {
                    *instrument == intent.order.instrument && received(event) == intent.received_ns
                };
                self.tick = self.ticks.iter().rev().find(is_it).map(|&(seq, _, event)| (seq, event));
                self.intent = Some((record.seq, at, intent));
                self.step(record.seq, at, "wanted by its strategy, at risk".to_owned(), None);
            }
            Event::Approved { order, .. } if order.client_order_id == self.id => {
                self.step(record.seq, at, "passed every control, on its way to the gateway".to_owned(), None);
            }
            Event::Denied { client_order_id, denial } if client_order_id == self.id => {
                let words = format!("denied {}: limit {}, observed {}", denial.reason, denial.limit, denial.observed);
                self.step(record.seq, at, words, None);
            }
            Event::Cancel { intent, .. } if intent.client_order_id == self.id => {
                self.step(record.seq, at, "to be canceled, as its strategy wants".to_owned(), None);
            }
            Event::Canceling(intent) if intent.client_order_id == self.id => {
                self.step(record.seq, at, "a cancel is on its way to the gateway".to_owned(), None);
            }
            Event::Gateway { message: GatewayMessage::Report(report), .. } if report.client_order_id == self.id => {
                self.report(record.seq, at, &report);
            }
            _ => {}
        }
        if stage == JournalStage::Risk {
            self.look(history);
        }
    }

    fn step(&mut self, sequence: u64, at: Timestamp, what: String, venue_ns: Option<u64>) {
        let decided = self.intent.map_or(at, |(_, _, intent)| intent.decided_ns);
        self.steps.push(Step { sequence, at_ns: at.nanos(), after_ns: at.since(decided), what, venue_ns });
    }

    fn report(&mut self, sequence: u64, at: Timestamp, report: &ExecutionReport) {
        let received = if report.received_ns.is_known() { report.received_ns } else { at };
        let what = match report.kind {
            ReportKind::Sent => "written to the socket".to_owned(),
            ReportKind::Fill => format!("a fill, execution {}", report.execution_id),
            ReportKind::Rejected => format!("refused by the venue, code {}", report.code),
            other => format!("{other:?}, status {:?}", report.status),
        };
        let venue_ns = report.exchange_ns.is_known().then(|| report.exchange_ns.nanos());
        self.step(sequence, received, what, venue_ns);
        let is_new = !self.fills.iter().any(|fill| fill.report.execution_id == report.execution_id);
        if report.kind == ReportKind::Fill && is_new {
            let after = [None; MARK_OUTS_NS.len()];
            self.fills.push(Fill { report: *report, at: received, after, newest: None });
        }
    }

    fn market(&mut self, seq: u64, instrument: crate::types::InstrumentId, event: MarketEvent) {
        if self.intent.is_none() {
            // As many as a shard takes in some cycles; the order's own is among the newest.
            if self.ticks.len() == 4_096 {
                self.ticks.drain(..2_048);
            }
            return self.ticks.push((seq, instrument, event));
        }
        let MarketEvent::Quote(quote) = event else { return };
        let Some(twice_mid) = twice_mid(&quote) else { return };
        for fill in self.fills.iter_mut().filter(|fill| fill.report.instrument == instrument) {
            let age = quote.received_ns.since(fill.at);
            if quote.received_ns < fill.at {
                continue;
            }
            // The market at an instant is the newest quote up to it.
            for (due, after) in MARK_OUTS_NS.iter().zip(&mut fill.after) {
                if age > *due && after.is_none() {
                    *after = fill.newest.or(Some(twice_mid));
                }
            }
            fill.newest = Some(twice_mid);
        }
    }

    /// The story as far as the journal and its replay tell it.
    ///
    /// # Errors
    /// In words, where the journal does not have the order.
    pub fn tell(self) -> Result<Told, String> {
        let missing = || {
            format!("the journal has no order {}; gannet journal inspect DIR --stage risk lists what it has", self.id)
        };
        let (sequence, _, intent) = self.intent.ok_or_else(missing)?;
        let start = self.start.as_deref().ok_or_else(missing)?;
        let order = &intent.order;
        let instrument = start.config.instruments.get(order.instrument);
        let name = start.names.instruments.get(order.instrument.index()).cloned();
        let price = |price: Price| text(price.0, instrument.map_or(0, |instrument| instrument.price_precision));
        let quantity = |value: i64| text(value, instrument.map_or(0, |instrument| instrument.quantity_precision));
        let explanation = self.explanation.as_ref();
        let stamp = &intent.stamp;
        Ok(Told {
            order: self.id.to_string(),
            epoch: self.id.epoch(),
            sequence,
            strategy: start.strategy_name(order.strategy),
            instrument: name.unwrap_or_default(),
            wanted: format!(
                "{:?} {} {:?} at {}, {:?}",
                order.side,
                quantity(order.quantity.0),
                order.order_type,
                price(order.price),
                order.time_in_force
            ),
            tick: self.tick.map(|(sequence, event)| Tick {
                sequence,
                received_ns: received(&event).nanos(),
                what: market_words(&event, &price, &quantity),
            }),
            reasons: self.said.iter().filter_map(reason).collect(),
            market: format!(
                "bid {}, ask {}, {} near the touch, {}, {} ns old at the decision",
                price(stamp.bid),
                price(stamp.ask),
                quantity(stamp.near_depth.0),
                if stamp.is_synced { "in sync" } else { "NOT in sync" },
                intent.decided_ns.since(stamp.data_ns)
            ),
            checks: explanation.map(checks).unwrap_or_default(),
            margins: explanation.map(|explanation| margins(explanation, instrument)).unwrap_or_default(),
            steps: self.steps,
            fills: self.fills.iter().map(|fill| told(fill, order.side, start, &price, &quantity)).collect(),
        })
    }
}

fn told(
    fill: &Fill,
    side: Side,
    start: &EngineStart,
    price: &impl Fn(Price) -> String,
    quantity: &impl Fn(i64) -> String,
) -> ToldFill {
    let report = &fill.report;
    let asset = start.config.instruments.asset(report.fee_asset).map(|asset| asset.as_str().to_owned());
    let mark_outs = MARK_OUTS_NS.iter().zip(&fill.after).map(|(due, twice_mid)| MarkOut {
        after_ms: due / 1_000_000,
        bps: twice_mid.and_then(|twice_mid| mark_out(side, report.last_price, twice_mid)),
    });
    ToldFill {
        execution_id: report.execution_id,
        price: price(report.last_price),
        quantity: quantity(report.last_quantity.0),
        fee: format!("{} {}", text(report.fee, ExecutionReport::FEE_PRECISION), asset.unwrap_or_default()),
        liquidity: match report.liquidity {
            LiquiditySide::Maker => "maker",
            LiquiditySide::Taker => "taker",
        },
        mark_outs: mark_outs.collect(),
    }
}

/// `side · (mid − price) / price`, in basis points to two places, towards zero.
fn mark_out(side: Side, price: Price, twice_mid: i128) -> Option<String> {
    let twice_price = 2 * i128::from(price.0);
    let gain = (twice_mid - twice_price) * i128::from(side.sign()) * 1_000_000;
    let hundredths = gain.checked_div(twice_price)?;
    i64::try_from(hundredths).ok().map(|hundredths| format_fixed(hundredths, 2).to_string())
}

fn checks(explanation: &Explanation) -> Vec<Check> {
    let check = |(control, verdict): &(&'static str, Result<(), crate::types::Denial>)| Check {
        control,
        passed: verdict.is_ok(),
        denial: verdict
            .err()
            .map(|denial| format!("{}: limit {}, observed {}", denial.reason, denial.limit, denial.observed)),
    };
    explanation.checks.iter().map(check).collect()
}

fn margins(explanation: &Explanation, instrument: Option<&Instrument>) -> Vec<ShownMargin> {
    let shown = |reason: DenialReason, value: i128| match reason {
        DenialReason::MaxOrderQuantity | DenialReason::MaxPosition => i64::try_from(value).map_or_else(
            |_| value.to_string(),
            |value| text(value, instrument.map_or(0, |instrument| instrument.quantity_precision)),
        ),
        DenialReason::MaxOrderNotional
        | DenialReason::MaxGross
        | DenialReason::MaxNet
        | DenialReason::AllocationExceeded
        | DenialReason::MaxRestingNotional
        | DenialReason::MaxTurnover
        | DenialReason::MaxDailyTurnover => Money(value).to_decimal_string(),
        _ => value.to_string(),
    };
    let margin = |margin: &crate::risk::controls::Margin| {
        let used = margin.observed.unwrap_or(0).max(0);
        let left = (margin.limit - used).saturating_mul(100).checked_div(margin.limit).unwrap_or(0);
        ShownMargin {
            limit_of: margin.reason.name(),
            limit: shown(margin.reason, margin.limit),
            observed: margin.observed.map(|observed| shown(margin.reason, observed)),
            left_percent: i64::try_from(left).unwrap_or(i64::MIN),
        }
    };
    explanation.margins.iter().map(margin).collect()
}

/// A decimal without zeros at its end.
fn text(value: i64, precision: u8) -> String {
    super::summary::decimal(value, precision)
}

fn twice_mid(quote: &Quote) -> Option<i128> {
    quote.is_two_sided().then(|| i128::from(quote.bid.0) + i128::from(quote.ask.0))
}

/// When the feed had the bytes of a market event.
const fn received(event: &MarketEvent) -> Timestamp {
    match event {
        MarketEvent::Quote(quote) => quote.received_ns,
        MarketEvent::Trade { trade, .. } => trade.received_ns,
        MarketEvent::DepthLevel { level, .. } => level.received_ns,
        MarketEvent::DepthSnapshot { received_ns, .. }
        | MarketEvent::DepthLost { received_ns }
        | MarketEvent::Connection { received_ns, .. } => *received_ns,
        MarketEvent::HistoryBar(_) | MarketEvent::HistoryEnd => Timestamp::UNKNOWN,
    }
}

fn market_words(event: &MarketEvent, price: &impl Fn(Price) -> String, quantity: &impl Fn(i64) -> String) -> String {
    match event {
        MarketEvent::Quote(quote) => format!(
            "quote: bid {} of {}, ask {} of {}",
            price(quote.bid),
            quantity(quote.bid_quantity.0),
            price(quote.ask),
            quantity(quote.ask_quantity.0)
        ),
        MarketEvent::Trade { aggressor, trade, count } => {
            format!("{count} trades, {aggressor:?} aggressor: {} at {}", quantity(trade.quantity.0), price(trade.price))
        }
        MarketEvent::DepthLevel { side, level, .. } => {
            format!("depth: {side:?} {} at {}", quantity(level.quantity.0), price(level.price))
        }
        other => format!("{other:?}"),
    }
}

/// What a strategy said, in words.
fn reason(notice: &Notice) -> Option<String> {
    match notice.code {
        NoticeCode::StrategySignal => Some(format!("signal, confidence {} %: {}", notice.observed, notice.excerpt)),
        NoticeCode::StrategyLog => Some(notice.excerpt.to_string()),
        _ => None,
    }
}

impl Told {
    /// For people.
    ///
    /// # Errors
    /// Where `out` is gone.
    pub fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "order {} of epoch {}, strategy {}, {}", self.order, self.epoch, self.strategy, self.instrument)?;
        writeln!(out, "  wanted   {} (sequence {})", self.wanted, self.sequence)?;
        match &self.tick {
            Some(tick) => writeln!(out, "  tick     {} (sequence {})", tick.what, tick.sequence)?,
            None => {
                writeln!(out, "  tick     not in the journal: a timer, a report, or market data that was left out")?
            }
        }
        for reason in &self.reasons {
            writeln!(out, "  said     {reason}")?;
        }
        writeln!(out, "  market   {}", self.market)?;
        let denials = self.checks.iter().filter(|check| !check.passed);
        writeln!(out, "  controls {} judged", self.checks.len())?;
        for check in denials {
            writeln!(out, "           {} {}", check.control, check.denial.as_deref().unwrap_or_default())?;
        }
        for margin in &self.margins {
            let observed = margin.observed.as_deref().unwrap_or("at most one");
            let (name, limit, left) = (margin.limit_of, &margin.limit, margin.left_percent);
            writeln!(out, "           {name:<24} {observed} of {limit}, {left} % left")?;
        }
        for step in &self.steps {
            writeln!(out, "  {:>+12} ns  {} (sequence {})", step.after_ns, step.what, step.sequence)?;
        }
        for fill in &self.fills {
            writeln!(
                out,
                "  fill {}: {} at {}, {}, fee {}",
                fill.execution_id, fill.quantity, fill.price, fill.liquidity, fill.fee
            )?;
            for mark_out in &fill.mark_outs {
                let bps = mark_out.bps.as_deref().map_or("not in the journal".to_owned(), |bps| format!("{bps} bps"));
                writeln!(out, "           after {:>6} ms {bps}", mark_out.after_ms)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_outs_are_gains_in_basis_points_of_the_price() {
        let of = |side, price, twice_mid| mark_out(side, Price(price), twice_mid);
        assert_eq!(of(Side::Buy, 10_000, 20_020).as_deref(), Some("10.00"));
        assert_eq!(of(Side::Sell, 10_000, 20_020).as_deref(), Some("-10.00"));
        assert_eq!(of(Side::Buy, 10_000, 20_001).as_deref(), Some("0.50"), "half a price unit of the mid counts");
        assert_eq!(of(Side::Buy, 0, 2), None);
    }
}
