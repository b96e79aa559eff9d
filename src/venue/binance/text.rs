//! What requests are written with: a buffer of fixed size, numbers, hexadecimal digits. Nothing allocates or formats.

use super::sign::hex_digit;

/// The longest request.
pub const REQUEST_BYTES_MAX: usize = 1536;

/// Text in a buffer of fixed size, which remembers whether something did not fit.
pub(super) struct Text {
    bytes: Box<[u8; REQUEST_BYTES_MAX]>,
    length: usize,
    is_cut: bool,
}

impl Text {
    pub(super) fn new() -> Self {
        Self { bytes: Box::new([0; REQUEST_BYTES_MAX]), length: 0, is_cut: false }
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        (self.length, self.is_cut) = (0, false);
    }

    #[inline]
    pub(super) fn put(&mut self, text: &[u8]) {
        match self.bytes.get_mut(self.length..).and_then(|space| space.get_mut(..text.len())) {
            Some(space) => {
                space.copy_from_slice(text);
                self.length += text.len();
            }
            None => self.is_cut = true,
        }
    }

    /// Whether nothing was put since it was cleared.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    #[inline]
    pub(super) fn drop_last(&mut self, byte: u8) {
        if self.bytes.get(..self.length).is_some_and(|text| text.last() == Some(&byte)) {
            self.length -= 1;
        }
    }

    #[inline]
    pub(super) fn whole(&self) -> Option<&[u8]> {
        if self.is_cut { None } else { self.bytes.get(..self.length) }
    }
}

/// A number's decimal digits with a point before the last `places` of them.
pub(super) struct Digits {
    bytes: [u8; 25],
    start: usize,
}

impl Digits {
    #[inline]
    pub(super) fn new(value: u64, places: usize) -> Self {
        const EIGHT: u64 = 100_000_000;
        let places = places.min(18);
        let mut bytes = [b'0'; 25];
        let (high, low) = (value / EIGHT, value % EIGHT);
        let parts = [high / EIGHT, high % EIGHT, low];
        if let Some((_, digits)) = bytes.split_first_mut() {
            for (chunk, part) in digits.as_chunks_mut::<8>().0.iter_mut().zip(parts) {
                *chunk = eight_digits(part);
            }
        }
        // At least one digit stands before the point.
        let count = value.checked_ilog10().map_or(1, |log| usize::try_from(log).unwrap_or(0) + 1).max(places + 1);
        let mut start = bytes.len() - count;
        if places != 0 {
            // What stands before the point makes room for it.
            let point = bytes.len() - 1 - places;
            bytes.copy_within(start..=point, start - 1);
            if let Some(byte) = bytes.get_mut(point) {
                *byte = b'.';
            }
            start -= 1;
        }
        Self { bytes, start }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

/// The eight decimal digits of a number under 10^8: halves, quarters and single digits side by side in one word.
#[inline]
fn eight_digits(value: u64) -> [u8; 8] {
    let halves = (value / 10_000) | ((value % 10_000) << 32);
    let hundreds = (halves.wrapping_mul(10_486) >> 20) & 0x0000_007F_0000_007F;
    let pairs = hundreds | (halves.wrapping_sub(hundreds.wrapping_mul(100)) << 16);
    let tens = (pairs.wrapping_mul(103) >> 10) & 0x000F_000F_000F_000F;
    let digits = tens | (pairs.wrapping_sub(tens.wrapping_mul(10)) << 8);
    digits.wrapping_add(0x3030_3030_3030_3030).to_le_bytes()
}

/// Sixteen lower-case hexadecimal digits.
#[inline]
pub(super) fn hexadecimal(value: u64) -> [u8; 16] {
    let mut text = [0; 16];
    for (pair, byte) in text.as_chunks_mut::<2>().0.iter_mut().zip(value.to_be_bytes()) {
        *pair = [hex_digit(byte >> 4), hex_digit(byte & 15)];
    }
    text
}
