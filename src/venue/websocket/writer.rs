//! The way out: masked frames in one bounded buffer.

use super::{CONTROL_BYTES_MAX, HEADER_BYTES_MAX};

/// The outgoing buffer has no room for the frame: the venue reads too slowly. Nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterFull;

impl std::fmt::Display for WriterFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the outgoing buffer is full: the venue reads too slowly")
    }
}

impl std::error::Error for WriterFull {}

/// Builds masked client frames into one bounded buffer that a socket empties.
pub struct FrameWriter {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl FrameWriter {
    /// A writer that holds at most `capacity` bytes of frames not yet written. The only allocation it ever makes.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { buffer: vec![0; capacity].into_boxed_slice(), start: 0, end: 0 }
    }

    /// Forgets everything: for a new connection.
    pub fn clear(&mut self) {
        (self.start, self.end) = (0, 0);
    }

    /// What the socket is to write.
    #[inline]
    #[must_use]
    pub fn pending(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Says that the socket took `written` bytes.
    #[inline]
    pub fn consume(&mut self, written: usize) {
        self.start = self.start.saturating_add(written).min(self.end);
        if self.start == self.end {
            self.clear();
        }
    }

    /// Appends a text message. `mask` should be unpredictable to whoever chose the payload (RFC 6455, 10.3).
    ///
    /// # Errors
    /// [`WriterFull`] where it does not fit.
    #[inline]
    pub fn text(&mut self, payload: &[u8], mask: u32) -> Result<(), WriterFull> {
        self.frame(0x1, payload, mask)
    }

    /// Appends a ping.
    ///
    /// # Errors
    /// [`WriterFull`] where it does not fit, or where the payload is over [`CONTROL_BYTES_MAX`].
    pub fn ping(&mut self, payload: &[u8], mask: u32) -> Result<(), WriterFull> {
        self.control(0x9, payload, mask)
    }

    /// Appends a pong with the payload of the ping it answers.
    ///
    /// # Errors
    /// [`WriterFull`] where it does not fit, or where the payload is over [`CONTROL_BYTES_MAX`].
    pub fn pong(&mut self, payload: &[u8], mask: u32) -> Result<(), WriterFull> {
        self.control(0xA, payload, mask)
    }

    /// Appends a close frame.
    ///
    /// # Errors
    /// [`WriterFull`] where it does not fit.
    pub fn close(&mut self, code: u16, mask: u32) -> Result<(), WriterFull> {
        self.control(0x8, &code.to_be_bytes(), mask)
    }

    fn control(&mut self, opcode: u8, payload: &[u8], mask: u32) -> Result<(), WriterFull> {
        if payload.len() > CONTROL_BYTES_MAX { Err(WriterFull) } else { self.frame(opcode, payload, mask) }
    }

    #[inline]
    fn frame(&mut self, opcode: u8, payload: &[u8], mask: u32) -> Result<(), WriterFull> {
        let needed = payload.len().saturating_add(HEADER_BYTES_MAX);
        if self.buffer.len().saturating_sub(self.end) < needed && self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end.saturating_sub(self.start));
        }
        let mask = mask.to_ne_bytes();
        let [a, b, c, d] = mask;
        let space = self.buffer.get_mut(self.end..).unwrap_or_default();
        let header_bytes;
        let body = match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length @ 0..=125), _) => {
                let (header, body) = space.split_first_chunk_mut::<6>().ok_or(WriterFull)?;
                *header = [0x80 | opcode, 0x80 | length, a, b, c, d];
                header_bytes = 6;
                body
            }
            (_, Ok(length)) => {
                let (header, body) = space.split_first_chunk_mut::<8>().ok_or(WriterFull)?;
                let [high, low] = length.to_be_bytes();
                *header = [0x80 | opcode, 0x80 | 126, high, low, a, b, c, d];
                header_bytes = 8;
                body
            }
            _ => {
                let (header, body) = space.split_first_chunk_mut::<14>().ok_or(WriterFull)?;
                let [e, f, g, h, i, j, k, l] = u64::try_from(payload.len()).unwrap_or(u64::MAX).to_be_bytes();
                *header = [0x80 | opcode, 0x80 | 127, e, f, g, h, i, j, k, l, a, b, c, d];
                header_bytes = 14;
                body
            }
        };
        let body = body.get_mut(..payload.len()).ok_or(WriterFull)?;
        copy_masked(body, payload, mask);
        self.end = self.end.saturating_add(header_bytes).saturating_add(payload.len());
        Ok(())
    }
}

impl std::fmt::Debug for FrameWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameWriter({} bytes pending)", self.pending().len())
    }
}

/// Copies `from` to `to` (of the same length) under the mask, eight bytes at a time: the mask's period of four divides
/// eight, so every word has the same mask.
#[inline]
fn copy_masked(to: &mut [u8], from: &[u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (to_words, to_rest) = to.as_chunks_mut::<8>();
    let (from_words, from_rest) = from.as_chunks::<8>();
    for (to, from) in to_words.iter_mut().zip(from_words) {
        *to = (u64::from_ne_bytes(*from) ^ wide).to_ne_bytes();
    }
    for ((to, from), mask) in to_rest.iter_mut().zip(from_rest).zip([a, b, c, d, a, b, c]) {
        *to = from ^ mask;
    }
}
