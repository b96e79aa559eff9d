//! What a run amounted to: the object that `--json` prints, and the same in words.

use super::journaling::Recovery;
use super::resuming::Beginning;
use crate::types::format_fixed;
use hdrhistogram::Histogram;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// One run, from its first market event to its last order's end.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Quotes, trades and depth updates that the feeds decoded.
    pub market_events: u64,
    /// Orders written to a venue.
    pub orders_sent: u64,
    /// Orders that filled, whole or in part.
    pub orders_filled: u64,
    /// The same for each strategy.
    pub strategies: Vec<StrategySummary>,
    /// How an earlier run was recovered; none where there was none.
    pub recovered: Option<Recovery>,
    /// Denied orders by reason.
    pub denied: BTreeMap<&'static str, u64>,
    /// Net positions by instrument, over all strategies.
    pub positions: Vec<PositionSummary>,
    /// Profit and loss.
    pub pnl: ProfitAndLoss,
    /// From the arrival of a frame's bytes to its order's bytes ready for the socket.
    pub tick_to_trade_ns: Latency,
    /// What was left out, conflated or not shown, by counter; zero counts are left out here too.
    pub dropped: BTreeMap<String, u64>,
    /// Each venue, and whether its own books agree with ours.
    pub venues: Vec<VenueSummary>,
    /// Whether all of them do.
    pub venue_agrees: bool,
}

/// One strategy.
#[derive(Clone, Debug, Serialize)]
pub struct StrategySummary {
    /// Its configured name.
    pub name: String,
    /// How it began: new, resumed or afresh.
    pub began: Beginning,
    /// Its orders written to a venue.
    pub orders_sent: u64,
    /// Those of them that filled, whole or in part.
    pub orders_filled: u64,
}

/// One instrument's position. Decimals as text, exact.
#[derive(Clone, Debug, Serialize)]
pub struct PositionSummary {
    /// `venue:SYMBOL`.
    pub instrument: String,
    /// Net quantity, negative for short.
    pub quantity: String,
    /// Average price of the open quantity; 0 when flat.
    pub average_price: String,
}

/// Decimals as text, exact.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ProfitAndLoss {
    /// The account's currency, which all of it is in, at the newest rates; empty where there is none.
    pub currency: String,
    /// Of closed quantity, before fees.
    pub realized: String,
    /// Of open quantity, at the conservative side of the last market.
    pub unrealized: String,
    /// Paid, each valued when it was paid.
    pub fees: String,
    /// What has no rate into the currency, and so is in no figure above: instruments.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unvalued: Vec<String>,
}

/// A latency distribution in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
#[allow(missing_docs, reason = "the percentiles name themselves")]
pub struct Latency {
    pub count: u64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub max: u64,
}

/// One venue.
#[derive(Clone, Debug, Serialize)]
pub struct VenueSummary {
    /// Its configured name.
    pub name: String,
    /// Whether orders, positions and balances are the same in its books and in ours.
    pub agrees: bool,
    /// Where they are not, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
}

/// A fixed-point value as exact decimal text, without zeros at its end: venues state eight places whatever they use.
#[must_use]
pub fn decimal(value: i64, precision: u8) -> String {
    let text = format_fixed(value, precision).to_string();
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// A latency in the unit that people read it in.
#[must_use]
pub fn duration(ns: u64) -> String {
    let (whole, part, unit) = match ns {
        0..1_000 => return format!("{ns} ns"),
        1_000..1_000_000 => (ns / 1_000, ns % 1_000 / 100, "µs"),
        1_000_000..1_000_000_000 => (ns / 1_000_000, ns % 1_000_000 / 100_000, "ms"),
        _ => (ns / 1_000_000_000, ns % 1_000_000_000 / 100_000_000, "s"),
    };
    format!("{whole}.{part} {unit}")
}

impl ProfitAndLoss {
    /// In words, to four decimals: net, and what it is made of.
    fn in_words(&self) -> String {
        let amount = |text: &str| text.parse::<f64>().unwrap_or(f64::NAN);
        let (realized, unrealized, fees) = (amount(&self.realized), amount(&self.unrealized), amount(&self.fees));
        let net = realized + unrealized - fees;
        let mut words =
            format!("{net:.4} net: {realized:.4} realized, {unrealized:.4} unrealized, {fees:.4} paid in fees");
        if !self.unvalued.is_empty() {
            words.push_str(", without ");
            words.push_str(&self.unvalued.join(", "));
        }
        words
    }
}

impl Latency {
    /// In words.
    #[must_use]
    pub fn in_words(&self) -> String {
        let Self { count, .. } = self;
        let [p50, p90, p99, p99_9, max] = [self.p50, self.p90, self.p99, self.p99_9, self.max].map(duration);
        format!("p50 {p50}, p90 {p90}, p99 {p99}, p99.9 {p99_9}, max {max} ({count} orders)")
    }

    /// The percentiles of a histogram.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        Self {
            count: histogram.len(),
            p50: histogram.value_at_quantile(0.5),
            p90: histogram.value_at_quantile(0.9),
            p99: histogram.value_at_quantile(0.99),
            p99_9: histogram.value_at_quantile(0.999),
            max: histogram.max(),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "market events   {}", self.market_events)?;
        writeln!(f, "orders          {} sent, {} filled", self.orders_sent, self.orders_filled)?;
        for strategy in &self.strategies {
            writeln!(f, "  {:<14}{} sent, {} filled", strategy.name, strategy.orders_sent, strategy.orders_filled)?;
        }
        let list = |map: &mut dyn Iterator<Item = (String, u64)>| {
            let items: Vec<String> = map.map(|(name, count)| format!("{name} {count}")).collect();
            if items.is_empty() { "none".to_owned() } else { items.join(", ") }
        };
        writeln!(
            f,
            "denied          {}",
            list(&mut self.denied.iter().map(|(name, count)| ((*name).to_owned(), *count)))
        )?;
        for position in &self.positions {
            let PositionSummary { instrument, quantity, average_price } = position;
            let at = if quantity == "0" { String::new() } else { format!(" at {average_price}") };
            writeln!(f, "position        {instrument}: {quantity}{at}")?;
        }
        writeln!(f, "profit and loss {}", self.pnl.in_words())?;
        writeln!(f, "tick to trade   {}", self.tick_to_trade_ns.in_words())?;
        writeln!(f, "dropped         {}", list(&mut self.dropped.iter().map(|(name, count)| (name.clone(), *count))))?;
        for venue in &self.venues {
            let verdict = if venue.agrees { "agrees with our books" } else { "DISAGREES with our books" };
            writeln!(f, "venue           {} {verdict}", venue.name)?;
            for difference in &venue.differences {
                writeln!(f, "                {difference}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_have_no_zeros_at_their_end() {
        for (value, precision, text) in [
            (800_000, 8, "0.008"),
            (-800_001, 8, "-0.00800001"),
            (0, 8, "0"),
            (100, 0, "100"),
            (10_000_000_000, 8, "100"),
            (i64::MIN, 18, "-9.223372036854775808"),
        ] {
            assert_eq!(decimal(value, precision), text);
        }
    }

    #[test]
    fn latencies_have_a_unit() {
        for (ns, text) in
            [(0, "0 ns"), (999, "999 ns"), (19_503, "19.5 µs"), (1_000_000, "1.0 ms"), (2_050_000_000, "2.0 s")]
        {
            assert_eq!(duration(ns), text);
        }
    }

    #[test]
    fn profit_and_loss_in_words_adds_up() {
        let pnl = ProfitAndLoss {
            realized: "-0.166303333333333332".to_owned(),
            unrealized: "1.5".to_owned(),
            fees: "1.11206835".to_owned(),
            ..ProfitAndLoss::default()
        };
        assert_eq!(pnl.in_words(), "0.2216 net: -0.1663 realized, 1.5000 unrealized, 1.1121 paid in fees");
    }
}
