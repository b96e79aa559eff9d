//! The digest: everything that a stage came to, as one number.
//!
//! Two runs that have the same number after the same inputs have come to the same. Risk folds in each change of an order, a
//! position, a result or a state as it happens, so that the number tells of the way there, too, and costs nothing to ask
//! for; a shard, which changes with every quote, folds in what it has when it is asked.

/// A running hash. Not against somebody who means to deceive it: the journal's own checksums are for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(u64);

impl Digest {
    /// Of nothing.
    pub const NONE: Self = Self(0x243f_6a88_85a3_08d3);

    /// Folds a number in.
    #[inline]
    pub fn fold(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    /// Folds a wide number in.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded")]
    pub fn fold_wide(&mut self, value: i128) {
        self.fold(value.cast_unsigned() as u64);
        self.fold((value.cast_unsigned() >> 64) as u64);
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u64 {
        self.0
    }
}
