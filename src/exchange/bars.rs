//! Klines: one-second bars of the tape, summed to longer ones when asked.

use super::text::decimal;
use crate::matching::{UNIT, amount};
use crate::types::{Price, Quantity, Side};
use std::collections::VecDeque;
use std::fmt::Write;

/// How many one-second bars are kept: a day.
pub(super) const BARS_MAX: usize = 86_400;

/// The intervals served, with their length in milliseconds.
const INTERVALS: [(&str, u64); 15] = [
    ("1s", 1_000),
    ("1m", 60_000),
    ("3m", 180_000),
    ("5m", 300_000),
    ("15m", 900_000),
    ("30m", 1_800_000),
    ("1h", 3_600_000),
    ("2h", 7_200_000),
    ("4h", 14_400_000),
    ("6h", 21_600_000),
    ("8h", 28_800_000),
    ("12h", 43_200_000),
    ("1d", 86_400_000),
    ("3d", 259_200_000),
    ("1w", 604_800_000),
];

/// A kline interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval(u8);

impl Interval {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let index = INTERVALS.iter().position(|(name, _)| *name == text)?;
        u8::try_from(index).ok().map(Self)
    }

    pub(super) fn name(self) -> &'static str {
        INTERVALS[usize::from(self.0)].0
    }

    pub(super) fn length_ms(self) -> u64 {
        INTERVALS[usize::from(self.0)].1
    }

    /// When the bar that holds this instant opened. Weeks begin on Monday, and the epoch was a Thursday.
    pub(super) fn open_ms(self, at_ms: u64) -> u64 {
        let shift = if self.name() == "1w" { 4 * 86_400_000 } else { 0 };
        at_ms.saturating_sub((at_ms.saturating_sub(shift)) % self.length_ms())
    }
}

/// A bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bar {
    pub open_ms: u64,
    pub open: i64,
    pub high: i64,
    pub low: i64,
    pub close: i64,
    pub volume: i64,
    pub amount: i64,
    pub taker_buy_volume: i64,
    pub taker_buy_amount: i64,
    pub trade_count: u32,
    pub first_id: u64,
    pub last_id: u64,
}

impl Bar {
    /// A bar in which nothing traded.
    fn empty(open_ms: u64, close: i64) -> Self {
        Self { open_ms, open: close, high: close, low: close, close, ..Self::default() }
    }

    fn add(&mut self, other: &Self) {
        if other.trade_count == 0 {
            return;
        }
        if self.trade_count == 0 {
            *self = Self { open_ms: self.open_ms, ..*other };
            return;
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.close = other.close;
        self.volume = self.volume.saturating_add(other.volume);
        self.amount = self.amount.saturating_add(other.amount);
        self.taker_buy_volume = self.taker_buy_volume.saturating_add(other.taker_buy_volume);
        self.taker_buy_amount = self.taker_buy_amount.saturating_add(other.taker_buy_amount);
        self.trade_count = self.trade_count.saturating_add(other.trade_count);
        self.last_id = other.last_id;
    }

    /// As `klines` answers it.
    pub(super) fn write_row(&self, interval: Interval, out: &mut String) {
        let _ = write!(
            out,
            "[{},\"{}\",\"{}\",\"{}\",\"{}\",\"{}\",{},\"{}\",{},\"{}\",\"{}\",\"0\"]",
            self.open_ms,
            decimal(self.open),
            decimal(self.high),
            decimal(self.low),
            decimal(self.close),
            decimal(self.volume),
            self.open_ms + interval.length_ms() - 1,
            decimal(self.amount),
            self.trade_count,
            decimal(self.taker_buy_volume),
            decimal(self.taker_buy_amount),
        );
    }

    /// As the kline stream tells it.
    pub(super) fn event(&self, symbol: &str, interval: Interval, event_ms: u64, is_closed: bool) -> String {
        // A bar without trades has no trade ids.
        let ids = if self.trade_count > 0 {
            format!("\"f\":{},\"L\":{}", self.first_id, self.last_id)
        } else {
            "\"f\":-1,\"L\":-1".to_owned()
        };
        format!(
            "{{\"e\":\"kline\",\"E\":{event_ms},\"s\":\"{symbol}\",\"k\":{{\"t\":{},\"T\":{},\"s\":\"{symbol}\",\"i\":\"{}\",{ids},\
             \"o\":\"{}\",\"c\":\"{}\",\"h\":\"{}\",\"l\":\"{}\",\"v\":\"{}\",\"n\":{},\"x\":{is_closed},\"q\":\"{}\",\
             \"V\":\"{}\",\"Q\":\"{}\",\"B\":\"0\"}}}}",
            self.open_ms,
            self.open_ms + interval.length_ms() - 1,
            interval.name(),
            decimal(self.open),
            decimal(self.close),
            decimal(self.high),
            decimal(self.low),
            decimal(self.volume),
            self.trade_count,
            decimal(self.amount),
            decimal(self.taker_buy_volume),
            decimal(self.taker_buy_amount),
        )
    }
}

/// A trade on its way into the bars.
#[derive(Clone, Copy, Debug)]
pub(super) struct Print {
    pub id: u64,
    pub trade_ms: u64,
    pub price: i64,
    pub quantity: i64,
    pub aggressor: Side,
}

/// The one-second bars of a symbol; seconds without trades have none.
#[derive(Debug, Default)]
pub(super) struct Bars {
    seconds: VecDeque<Bar>,
}

impl Bars {
    pub(super) fn add(&mut self, print: &Print) {
        let traded = amount(Price(print.price), Quantity(print.quantity)).unwrap_or(i64::MAX);
        let is_buy = print.aggressor == Side::Buy;
        let bar = Bar {
            open_ms: print.trade_ms - print.trade_ms % 1_000,
            open: print.price,
            high: print.price,
            low: print.price,
            close: print.price,
            volume: print.quantity,
            amount: traded,
            taker_buy_volume: if is_buy { print.quantity } else { 0 },
            taker_buy_amount: if is_buy { traded } else { 0 },
            trade_count: 1,
            first_id: print.id,
            last_id: print.id,
        };
        // Trades come in order but for milliseconds around a second's end.
        let at = self.seconds.iter().rposition(|second| second.open_ms <= bar.open_ms);
        match at.and_then(|at| self.seconds.get_mut(at)) {
            Some(second) if second.open_ms == bar.open_ms => second.add(&bar),
            _ => self.seconds.insert(at.map_or(0, |at| at + 1), bar),
        }
        if self.seconds.len() > BARS_MAX {
            self.seconds.pop_front();
        }
    }

    /// Bars from the one that holds `start_ms` (the earliest kept, where none is given) to the one that holds `end_ms`,
    /// without holes: the first `limit` of them where a start is given, else the last.
    pub(super) fn query(&self, interval: Interval, start_ms: Option<u64>, end_ms: u64, limit: usize) -> Vec<Bar> {
        let Some(first) = self.seconds.front() else { return Vec::new() };
        let length = interval.length_ms();
        let last_open = interval.open_ms(end_ms);
        let mut open = interval.open_ms(first.open_ms);
        match start_ms {
            Some(start_ms) => {
                let rounded = interval.open_ms(start_ms);
                open = open.max(if rounded < start_ms { rounded + length } else { rounded });
            }
            None => open = open.max(last_open.saturating_sub(length * (limit as u64).saturating_sub(1))),
        }
        let mut next = self.seconds.partition_point(|second| second.open_ms < open);
        let mut close = next.checked_sub(1).and_then(|at| self.seconds.get(at)).map_or(first.open, |bar| bar.close);
        let mut bars = Vec::new();
        while open <= last_open && bars.len() < limit {
            let mut bar = Bar::empty(open, close);
            while let Some(second) = self.seconds.get(next).filter(|second| second.open_ms < open + length) {
                bar.add(second);
                next += 1;
            }
            close = bar.close;
            bars.push(bar);
            open += length;
        }
        bars
    }

    /// All that was traded in the 24 hours before `now_ms`, in one bar; `None` where nothing was.
    pub(super) fn day(&self, now_ms: u64) -> Option<Bar> {
        let from = now_ms.saturating_sub(86_400_000);
        let mut day = Bar::empty(from, 0);
        let begin = self.seconds.partition_point(|second| second.open_ms < from);
        self.seconds.range(begin..).for_each(|second| day.add(second));
        (day.trade_count > 0).then_some(day)
    }

    /// The volume-weighted average price of the last five minutes, or the last price where nothing traded.
    pub(super) fn average_price(&self, now_ms: u64) -> Option<i64> {
        let begin = self.seconds.partition_point(|second| second.open_ms + 300_000 < now_ms);
        let sums = self.seconds.range(begin..).fold((0i128, 0i128), |(volume, traded), second| {
            (volume + i128::from(second.volume), traded + i128::from(second.amount))
        });
        let average = (sums.1 * i128::from(UNIT)).checked_div(sums.0).and_then(|price| i64::try_from(price).ok());
        average.or_else(|| self.seconds.back().map(|second| second.close))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(id: u64, trade_ms: u64, price: i64) -> Print {
        Print { id, trade_ms, price: price * UNIT, quantity: UNIT, aggressor: Side::Buy }
    }

    #[test]
    fn seconds_are_summed_and_holes_filled() {
        let mut bars = Bars::default();
        for (id, (at, price)) in [(60_500, 10), (61_200, 12), (61_900, 9), (64_000, 11)].into_iter().enumerate() {
            bars.add(&print(id as u64, at, price));
        }
        bars.add(&print(9, 61_999, 20));
        let second = Interval::parse("1s").expect("served");
        let rows = bars.query(second, None, 65_000, 500);
        let closes: Vec<_> = rows.iter().map(|bar| (bar.open_ms / 1_000, bar.close / UNIT, bar.trade_count)).collect();
        assert_eq!(closes, vec![(60, 10, 1), (61, 20, 3), (62, 20, 0), (63, 20, 0), (64, 11, 1), (65, 11, 0)]);
        assert_eq!(bars.query(second, Some(60_001), 65_000, 2).first().map(|bar| bar.open_ms), Some(61_000));
        let minute = bars.query(Interval::parse("1m").expect("served"), None, 65_000, 500);
        assert_eq!(minute.len(), 1);
        let bar = minute[0];
        assert_eq!((bar.open, bar.high, bar.low, bar.close), (10 * UNIT, 20 * UNIT, 9 * UNIT, 11 * UNIT));
        assert_eq!((bar.trade_count, bar.volume), (5, 5 * UNIT));
        assert_eq!(bars.day(65_000).map(|day| day.trade_count), Some(5));
        assert_eq!(bars.average_price(65_000), Some(62 * UNIT / 5));
    }

    #[test]
    fn weeks_begin_on_monday() {
        let week = Interval::parse("1w").expect("served");
        // 2024-08-09 was a Friday; its week began on 2024-08-05.
        assert_eq!(week.open_ms(1_723_161_600_000), 1_722_816_000_000);
        assert_eq!(Interval::parse("7m"), None);
    }
}
