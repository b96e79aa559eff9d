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
    bytes: [u8; 24],
    start: usize,
}

impl Digits {
    #[inline]
    pub(super) fn new(value: u64, places: usize) -> Self {
        let mut digits = Self { bytes: [b'0'; 24], start: 24 };
        let places = places.min(18);
        let (mut rest, mut written) = (value, 0);
        while rest != 0 || written <= places {
            if written == places && places != 0 {
                digits.push_front(b'.');
            }
            digits.push_front(b'0' + u8::try_from(rest % 10).unwrap_or(0));
            rest /= 10;
            written += 1;
        }
        digits
    }

    #[inline]
    fn push_front(&mut self, byte: u8) {
        self.start = self.start.saturating_sub(1);
        if let Some(slot) = self.bytes.get_mut(self.start) {
            *slot = byte;
        }
    }

    #[inline]
    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
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
