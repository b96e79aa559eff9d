//! Indicators, one value at a time: constant work, no allocation after construction.
//!
//! Each answers `None` until it has seen enough. Sums that slide are computed afresh once a window, so that rounding
//! errors do not pile up over months of bars. All of them can be part of a strategy's saved state; read again, they have
//! the room that they had.

use serde::{Deserialize, Serialize};

/// The last `length` values.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(try_from = "SavedWindow")]
struct Window {
    values: Vec<f64>,
    length: usize,
    next: usize,
}

/// The same as it is read, before it is known to be one.
#[derive(Deserialize)]
struct SavedWindow {
    values: Vec<f64>,
    length: usize,
    next: usize,
}

impl TryFrom<SavedWindow> for Window {
    type Error = &'static str;

    fn try_from(saved: SavedWindow) -> Result<Self, Self::Error> {
        let SavedWindow { mut values, length, next } = saved;
        let is_next = if values.len() == length { next < length } else { next == 0 };
        if !(1..=Self::LENGTH_MAX).contains(&length) || values.len() > length || !is_next {
            return Err("a window whose parts do not fit");
        }
        // Updates must find room.
        values.reserve_exact(length - values.len());
        Ok(Self { values, length, next })
    }
}

impl Window {
    /// The longest that is read: far longer than any that is of use.
    const LENGTH_MAX: usize = 1 << 20;

    fn new(length: usize) -> Self {
        let length = length.max(1);
        Self { values: Vec::with_capacity(length), length, next: 0 }
    }

    /// Takes a value, and answers the one that left.
    fn push(&mut self, value: f64) -> Option<f64> {
        if self.values.len() < self.length {
            self.values.push(value);
            return None;
        }
        let left = self.values.get_mut(self.next).map(|slot| std::mem::replace(slot, value));
        self.next = (self.next + 1) % self.length;
        left
    }

    fn is_full(&self) -> bool {
        self.values.len() == self.length
    }

    /// Whether a whole window went by since this was true last.
    fn is_at_start(&self) -> bool {
        self.next == 0
    }

    fn sum(&self) -> f64 {
        self.values.iter().sum()
    }
}

#[expect(clippy::cast_precision_loss, reason = "lengths of windows are small")]
fn as_float(length: usize) -> f64 {
    length as f64
}

/// Simple moving average.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Sma {
    window: Window,
    sum: f64,
}

impl Sma {
    /// Over `length` values, at least 1.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { window: Window::new(length), sum: 0.0 }
    }

    /// Takes a value.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        let left = self.window.push(value);
        self.sum += value - left.unwrap_or(0.0);
        if self.window.is_at_start() {
            self.sum = self.window.sum();
        }
        self.value()
    }

    /// How many values it is over.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.window.length
    }

    /// The average.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.window.is_full().then(|| self.sum / as_float(self.window.length))
    }
}

/// Exponential moving average with weight `2 / (length + 1)`, begun with the simple average of the first `length`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Ema {
    start: Sma,
    weight: f64,
    value: Option<f64>,
}

impl Ema {
    /// Over `length` values, at least 1.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { start: Sma::new(length), weight: 2.0 / (as_float(length.max(1)) + 1.0), value: None }
    }

    /// Takes a value.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        self.value = match self.value {
            Some(last) => Some(last + self.weight * (value - last)),
            None => self.start.update(value),
        };
        self.value
    }

    /// The average.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value
    }
}

/// Rolling mean and standard deviation of the population (divided by `length`), after Welford.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct StandardDeviation {
    window: Window,
    mean: f64,
    /// Sum of squared distances from the mean.
    squares: f64,
}

impl StandardDeviation {
    /// Over `length` values, at least 1.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { window: Window::new(length), mean: 0.0, squares: 0.0 }
    }

    /// Takes a value.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        let before = self.mean;
        match self.window.push(value) {
            Some(left) => {
                self.mean += (value - left) / as_float(self.window.length);
                self.squares += (value - left) * (value - self.mean + left - before);
            }
            None => {
                self.mean += (value - before) / as_float(self.window.values.len());
                self.squares += (value - before) * (value - self.mean);
            }
        }
        if self.window.is_at_start() {
            self.mean = self.window.sum() / as_float(self.window.values.len());
            self.squares = self.window.values.iter().map(|value| (value - self.mean).powi(2)).sum();
        }
        self.value()
    }

    /// The deviation.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        // Rounding may leave a hair less than nothing.
        self.window.is_full().then(|| (self.squares.max(0.0) / as_float(self.window.length)).sqrt())
    }

    /// The mean of the same values.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        self.window.is_full().then_some(self.mean)
    }
}

/// What [`Bollinger`] answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bands {
    /// The mean less the width.
    pub lower: f64,
    /// The mean.
    pub mean: f64,
    /// The mean plus the width.
    pub upper: f64,
}

/// Bollinger bands: the mean, and `width` standard deviations of the population around it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Bollinger {
    deviation: StandardDeviation,
    width: f64,
}

impl Bollinger {
    /// Over `length` values, at least 1, and `width` deviations to each side.
    #[must_use]
    pub fn new(length: usize, width: f64) -> Self {
        Self { deviation: StandardDeviation::new(length), width }
    }

    /// Takes a value.
    pub fn update(&mut self, value: f64) -> Option<Bands> {
        self.deviation.update(value);
        self.value()
    }

    /// How many values they are over, and how many deviations wide to each side.
    #[must_use]
    pub const fn shape(&self) -> (usize, f64) {
        (self.deviation.window.length, self.width)
    }

    /// The bands.
    #[must_use]
    pub fn value(&self) -> Option<Bands> {
        let (mean, deviation) = (self.deviation.mean()?, self.deviation.value()?);
        Some(Bands { lower: mean - self.width * deviation, mean, upper: mean + self.width * deviation })
    }
}

/// An average after Wilder: the mean of the first `length`, then `1 / length` of each new value.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
struct Wilder {
    start: Sma,
    length: f64,
    value: Option<f64>,
}

impl Wilder {
    fn new(length: usize) -> Self {
        Self { start: Sma::new(length), length: as_float(length.max(1)), value: None }
    }

    fn update(&mut self, value: f64) -> Option<f64> {
        self.value = match self.value {
            Some(last) => Some((last * (self.length - 1.0) + value) / self.length),
            None => self.start.update(value),
        };
        self.value
    }
}

/// Relative strength index after Wilder, 0 to 100; 100 where nothing was lost.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Rsi {
    last: Option<f64>,
    gain: Wilder,
    loss: Wilder,
}

impl Rsi {
    /// Over `length` changes, at least 1.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { last: None, gain: Wilder::new(length), loss: Wilder::new(length) }
    }

    /// Takes a value.
    pub fn update(&mut self, value: f64) -> Option<f64> {
        if let Some(last) = self.last.replace(value) {
            self.gain.update((value - last).max(0.0));
            self.loss.update((last - value).max(0.0));
        }
        self.value()
    }

    /// The index.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        let (gain, loss) = (self.gain.value?, self.loss.value?);
        Some(if loss > 0.0 { 100.0 - 100.0 / (1.0 + gain / loss) } else { 100.0 })
    }
}

/// Average true range after Wilder. The first bar has no true range, having no close before it.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct Atr {
    last_close: Option<f64>,
    range: Wilder,
}

impl Atr {
    /// Over `length` true ranges, at least 1.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { last_close: None, range: Wilder::new(length) }
    }

    /// Takes a bar.
    pub fn update(&mut self, high: f64, low: f64, close: f64) -> Option<f64> {
        if let Some(last) = self.last_close.replace(close) {
            self.range.update((high - low).max((high - last).abs()).max((low - last).abs()));
        }
        self.value()
    }

    /// The average.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.range.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;
    use std::io::Read;
    use std::path::{Path, PathBuf};

    #[test]
    fn a_window_whose_parts_do_not_fit_is_not_read() {
        for text in [
            r#"{"values":[1.0,2.0],"length":1,"next":0}"#,
            r#"{"values":[1.0],"length":2,"next":1}"#,
            r#"{"values":[1.0,2.0],"length":2,"next":2}"#,
            r#"{"values":[],"length":0,"next":0}"#,
            r#"{"values":[],"length":99999999,"next":0}"#,
        ] {
            assert!(serde_json::from_str::<Window>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<Window>(r#"{"values":[1.0,2.0],"length":2,"next":1}"#).is_ok());
    }

    fn close_to(left: Option<f64>, right: Option<f64>, within: f64) -> bool {
        match (left, right) {
            (Some(left), Some(right)) => (left - right).abs() <= within,
            (None, None) => true,
            _ => false,
        }
    }

    fn folder() -> Option<PathBuf> {
        let found = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|up| up.join("shared/data/indicators"));
        let found = found.into_iter().find(|folder| folder.is_dir());
        if found.is_none() {
            println!("skipped: no folder shared/data/indicators with expected values here or above");
        }
        found
    }

    fn text(path: PathBuf) -> String {
        let mut text = String::new();
        let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("text");
        text
    }

    /// Compares with the published values, row by row. `update` takes high, low and close.
    fn check(name: &str, column: &str, mut update: impl FnMut(f64, f64, f64) -> Option<f64>) {
        let Some(folder) = folder() else { return };
        let expected = text(folder.join(format!("expected_{name}.json.gz")));
        let expected: Vec<Value> = serde_json::from_str(&expected).expect("expected values");
        let quotes = text(folder.join("quotes_default.csv.gz"));
        let rows: Vec<Vec<f64>> = quotes
            .lines()
            .skip(1)
            .map(|line| line.split(',').skip(1).map(|cell| cell.parse().expect("a number")).collect())
            .collect();
        assert_eq!(rows.len(), expected.len());
        let mut compared = 0;
        for (row, expected) in rows.iter().zip(&expected) {
            let value = update(row[1], row[2], row[3]);
            let expected = expected[column].as_f64();
            assert!(close_to(value, expected, 1e-9), "{name}.{column}: {value:?} for {expected:?}");
            compared += u32::from(expected.is_some());
        }
        assert!(compared > 400);
    }

    #[test]
    fn published_values_are_met() {
        let mut sma = Sma::new(20);
        check("sma", "sma", |_, _, close| sma.update(close));
        let mut ema = Ema::new(20);
        check("ema", "ema", |_, _, close| ema.update(close));
        let mut deviation = StandardDeviation::new(14);
        check("stdev", "stdDev", |_, _, close| deviation.update(close));
        let mut deviation = StandardDeviation::new(14);
        check("stdev", "mean", |_, _, close| {
            deviation.update(close);
            deviation.mean()
        });
        for (column, pick) in
            [("lowerBand", Bands::lower as fn(&Bands) -> f64), ("upperBand", Bands::upper), ("sma", Bands::mean)]
        {
            let mut bands = Bollinger::new(20, 2.0);
            check("bb", column, |_, _, close| bands.update(close).as_ref().map(pick));
        }
        let mut rsi = Rsi::new(14);
        check("rsi", "rsi", |_, _, close| rsi.update(close));
        let mut atr = Atr::new(14);
        check("atr", "atr", |high, low, close| atr.update(high, low, close));
    }

    impl Bands {
        fn lower(&self) -> f64 {
            self.lower
        }
        fn mean(&self) -> f64 {
            self.mean
        }
        fn upper(&self) -> f64 {
            self.upper
        }
    }

    fn naive_mean(values: &[f64], length: usize) -> Option<f64> {
        let tail = values.len().checked_sub(length).map(|start| &values[start..])?;
        Some(tail.iter().sum::<f64>() / length as f64)
    }

    fn naive_deviation(values: &[f64], length: usize) -> Option<f64> {
        let mean = naive_mean(values, length)?;
        let tail = &values[values.len() - length..];
        Some((tail.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / length as f64).sqrt())
    }

    fn naive_wilder(values: &[f64], length: usize) -> Option<f64> {
        let first = values.get(..length)?.iter().sum::<f64>() / length as f64;
        Some(values[length..].iter().fold(first, |last, value| (last * (length as f64 - 1.0) + value) / length as f64))
    }

    proptest! {
        #[test]
        fn what_was_saved_goes_on_as_if_nothing_had_been(
            values in prop::collection::vec(60_000.0..62_000.0f64, 1..100), more in prop::collection::vec(60_000.0..62_000.0f64, 1..50),
            length in 1..40usize,
        ) {
            let (mut bands, mut rsi, mut atr) = (Bollinger::new(length, 2.0), Rsi::new(length), Atr::new(length));
            for value in values {
                bands.update(value);
                rsi.update(value);
                atr.update(value + 3.0, value - 2.0, value);
            }
            let saved = crate::strategy::SavedState::of(1, &(&bands, &rsi, &atr)).expect("small");
            let (mut bands_again, mut rsi_again, mut atr_again): (Bollinger, Rsi, Atr) = saved.read(1).expect("whole");
            prop_assert_eq!(bands_again.deviation.window.values.capacity() >= length, true);
            prop_assert_eq!(bands_again.shape(), bands.shape());
            for value in more {
                let close = |left, right| close_to(left, right, 1e-6);
                let lower = |bands: Option<Bands>| bands.map(|bands| bands.lower);
                prop_assert!(close(lower(bands.update(value)), lower(bands_again.update(value))));
                prop_assert!(close(rsi.update(value), rsi_again.update(value)));
                let (high, low) = (value + 3.0, value - 2.0);
                prop_assert!(close(atr.update(high, low, value), atr_again.update(high, low, value)));
            }
        }

        #[test]
        fn one_at_a_time_equals_all_over_again(
            values in prop::collection::vec(60_000.0..62_000.0f64, 1..200), length in 1..40usize,
        ) {
            let (mut sma, mut ema) = (Sma::new(length), Ema::new(length));
            let (mut deviation, mut rsi, mut atr) = (StandardDeviation::new(length), Rsi::new(length), Atr::new(length));
            for end in 1..=values.len() {
                let (seen, value) = (&values[..end], values[end - 1]);
                prop_assert!(close_to(sma.update(value), naive_mean(seen, length), 1e-6));
                // Squared, as the root of nearly nothing magnifies what rounding left.
                let squared = |value: f64| value * value;
                prop_assert!(close_to(deviation.update(value).map(squared), naive_deviation(seen, length).map(squared), 1e-6));
                let weight = 2.0 / (length as f64 + 1.0);
                let naive_ema = naive_mean(seen.get(..length).unwrap_or_default(), length)
                    .map(|first| seen[length..].iter().fold(first, |last, value| last + weight * (value - last)));
                prop_assert!(close_to(ema.update(value), naive_ema, 1e-6));
                let changes: Vec<f64> = seen.windows(2).map(|pair| pair[1] - pair[0]).collect();
                let gains: Vec<f64> = changes.iter().map(|change| change.max(0.0)).collect();
                let losses: Vec<f64> = changes.iter().map(|change| (-change).max(0.0)).collect();
                let naive_rsi = naive_wilder(&gains, length).zip(naive_wilder(&losses, length))
                    .map(|(gain, loss)| if loss > 0.0 { 100.0 - 100.0 / (1.0 + gain / loss) } else { 100.0 });
                prop_assert!(close_to(rsi.update(value), naive_rsi, 1e-6));
                let ranges: Vec<f64> = seen.windows(2).map(|pair| {
                    let (last, high, low) = (pair[0], pair[1] + 3.0, pair[1] - 2.0);
                    (high - low).max((high - last).abs()).max((low - last).abs())
                }).collect();
                prop_assert!(close_to(atr.update(value + 3.0, value - 2.0, value), naive_wilder(&ranges, length), 1e-6));
            }
        }
    }
}
