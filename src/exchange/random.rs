//! Numbers by chance that a seed decides: the same seed, the same numbers. SplitMix64.

/// A stream of numbers.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// At least 0 and below `end`; 0 where that is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        u64::try_from((u128::from(self.next()) * u128::from(end)) >> 64).unwrap_or(0)
    }

    /// From `first` to `last`.
    pub(super) fn between(&mut self, first: i64, last: i64) -> i64 {
        first.saturating_add_unsigned(self.below(last.abs_diff(first).saturating_add(1)))
    }

    /// One of a list.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let index = self.below(list.len() as u64);
        list.get(usize::try_from(index).ok()?)
    }

    /// How long until something happens that does so once in `mean` on average, and without memory.
    pub(super) fn wait(&mut self, mean: u64) -> u64 {
        // The logarithm of a number of 53 random bits in (0, 1].
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a float")]
        let uniform = ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a wait of nanoseconds, where the last digit does not matter; `as` ends at the largest"
        )]
        let wait = (-uniform.ln() * mean as f64) as u64;
        wait.max(1)
    }
}
