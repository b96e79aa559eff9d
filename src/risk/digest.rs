//! The digest: everything that risk came to, as one number.
//!
//! Each change of an order, a position, a result or a state is folded in as it happens, so that the number costs nothing
//! to ask for, and two runs that have the same number after the same inputs have come to the same by the same way.

/// A running hash. Not against somebody who means to deceive it: the journal's own checksums are for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest(u64);

impl Digest {
    pub(super) const NONE: Self = Self(0x243f_6a88_85a3_08d3);

    #[inline]
    pub(super) fn fold(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "both halves are folded")]
    pub(super) fn fold_wide(&mut self, value: i128) {
        self.fold(value.cast_unsigned() as u64);
        self.fold((value.cast_unsigned() >> 64) as u64);
    }

    pub(super) const fn value(self) -> u64 {
        self.0
    }
}
