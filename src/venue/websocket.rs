//! A WebSocket client's frames (RFC 6455) without I/O: bytes of the socket in, frames out, and back.
//!
//! [`FrameReader`] owns one buffer, allocated at construction. The caller reads socket bytes into
//! [`buffer_mut`](FrameReader::buffer_mut), says how many with [`advance`](FrameReader::advance), and takes frames with
//! [`next`](FrameReader::next) until there is none. Payloads are handed out in place, also those of fragmented
//! messages, which are closed up inside the buffer.
//!
//! Text is not checked to be UTF-8 here: the decoders above do it where it matters. The market scanner accepts ASCII
//! only, and `simd-json`, which takes everything else, refuses malformed UTF-8; a second pass would be paid by every
//! frame and find nothing that those let through.

mod writer;

pub use writer::{FrameWriter, WriterFull};

/// The largest payload of one frame.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// The largest message, all its fragments together.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// The largest payload of a control frame (RFC 6455, 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;
/// The most that one read asks of the socket: the buffer stays within the cache.
pub const READ_BYTES_MAX: usize = 64 << 10;

/// A header: two bytes, an extended length of up to eight, and four of a mask where a client is the sender.
const HEADER_BYTES_MAX: usize = 14;
/// Room for a message closed up, one frame behind it, and a read.
const BUFFER_BYTES: usize = MESSAGE_BYTES_MAX + FRAME_BYTES_MAX + HEADER_BYTES_MAX + READ_BYTES_MAX;
/// Bytes left over by a read that are moved to the front at once, so that reads stay at the front of the buffer.
const CHEAP_MOVE_BYTES: usize = 4 << 10;

/// What the venue sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A text message; mutable, as `simd-json` decodes in place.
    Text(&'a mut [u8]),
    /// A binary message.
    Binary(&'a mut [u8]),
    /// To be answered with a pong of the same payload.
    Ping(&'a [u8]),
    /// An answer to our ping.
    Pong,
    /// The venue closes the connection: nothing follows.
    Close {
        /// Why, as RFC 6455 section 7.4 numbers it; 1005 where none was given.
        code: u16,
        /// The venue's words.
        reason: &'a [u8],
    },
}

/// Why the byte stream is not a WebSocket server's. The stream has no next frame after it: the reader answers the same
/// error again, and the connection must be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// A server's frame is masked.
    Masked,
    /// A reserved bit is set; no extension was agreed on.
    ReservedBits,
    /// An opcode that RFC 6455 does not define.
    BadOpcode,
    /// A control frame over 125 bytes.
    ControlTooLong,
    /// A control frame without the final bit.
    ControlFragmented,
    /// A frame over [`FRAME_BYTES_MAX`].
    FrameTooLarge,
    /// Fragments that add up to more than [`MESSAGE_BYTES_MAX`].
    MessageTooLarge,
    /// A length written in more bytes than it needs.
    LengthNotMinimal,
    /// A continuation without a beginning.
    UnexpectedContinuation,
    /// A new message within a fragmented one.
    UnfinishedMessage,
    /// A close frame whose payload is one byte, or whose code may not be sent.
    BadClose,
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Masked => "a frame from the server is masked",
            Self::ReservedBits => "a reserved bit is set",
            Self::BadOpcode => "an undefined opcode",
            Self::ControlTooLong => "a control frame of more than 125 bytes",
            Self::ControlFragmented => "a fragmented control frame",
            Self::FrameTooLarge => "a frame of more than 1 MiB",
            Self::MessageTooLarge => "a message of more than 4 MiB",
            Self::LengthNotMinimal => "a length in more bytes than it needs",
            Self::UnexpectedContinuation => "a continuation without a beginning",
            Self::UnfinishedMessage => "a new message within a fragmented one",
            Self::BadClose => "a close frame with a bad code",
        })
    }
}

impl std::error::Error for FrameError {}

#[derive(Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    Text,
    Binary,
}

/// A frame's header, decoded.
struct Header {
    is_final: bool,
    opcode: u8,
    header_bytes: usize,
    payload_bytes: usize,
}

/// Cuts socket bytes into frames.
///
/// The buffer holds, in this order: what of a fragmented message has come (`message..message_end`, closed up), and the
/// bytes not yet looked at (`unread..end`).
pub struct FrameReader {
    buffer: Box<[u8]>,
    message: usize,
    message_end: usize,
    /// The kind of the fragmented message, while one is open.
    open: Option<MessageKind>,
    unread: usize,
    end: usize,
}

impl Default for FrameReader {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameReader {
    /// A reader with an empty buffer. The only allocation it ever makes; pages are touched as they are needed.
    #[must_use]
    pub fn new() -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { buffer, message: 0, message_end: 0, open: None, unread: 0, end: 0 }
    }

    /// Forgets everything: for a new connection.
    pub fn clear(&mut self) {
        (self.message, self.message_end, self.unread, self.end, self.open) = (0, 0, 0, 0, None);
    }

    /// Where the next socket bytes go: at least one byte and at most [`READ_BYTES_MAX`], provided that the caller took
    /// all frames (until [`next`](Self::next) answered `None`) since the last read.
    #[inline]
    pub fn buffer_mut(&mut self) -> &mut [u8] {
        if self.unread == self.end && self.open.is_none() {
            (self.unread, self.end) = (0, 0);
        } else {
            self.move_to_front();
        }
        let limit = self.end.saturating_add(READ_BYTES_MAX).min(self.buffer.len());
        self.buffer.get_mut(self.end..limit).unwrap_or_default()
    }

    /// Says that `read` bytes were put into the buffer.
    #[inline]
    pub fn advance(&mut self, read: usize) {
        self.end = self.end.saturating_add(read).min(self.buffer.len());
    }

    /// Puts `bytes` behind what is there (what a handshake read past its end) and answers how many fitted.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        let space = self.buffer_mut();
        let fitting = bytes.len().min(space.len());
        for (slot, &byte) in space.iter_mut().zip(bytes) {
            *slot = byte;
        }
        self.advance(fitting);
        fitting
    }

    /// The next whole frame, or `None` until more bytes have come. Fragments are kept until their message is whole;
    /// control frames between them come out at once.
    ///
    /// # Errors
    /// As [`FrameError`] states, again and again.
    #[inline]
    #[expect(clippy::should_implement_trait, reason = "a lending iterator, and it can fail")]
    pub fn next(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        loop {
            let Some(header) = self.header()? else { return Ok(None) };
            let start = self.unread.saturating_add(header.header_bytes);
            let end = start.saturating_add(header.payload_bytes);
            if end > self.end {
                return Ok(None);
            }
            match header.opcode {
                0x8..=0xA => return self.control(header.opcode, start, end).map(Some),
                0x1 | 0x2 if header.is_final => {
                    self.unread = end;
                    let payload = self.buffer.get_mut(start..end).unwrap_or_default();
                    return Ok(Some(if header.opcode == 0x1 { Frame::Text(payload) } else { Frame::Binary(payload) }));
                }
                0x1 | 0x2 => {
                    self.open = Some(if header.opcode == 0x1 { MessageKind::Text } else { MessageKind::Binary });
                    (self.message, self.message_end, self.unread) = (start, end, end);
                }
                _ => {
                    if self.message_end.saturating_sub(self.message).saturating_add(header.payload_bytes)
                        > MESSAGE_BYTES_MAX
                    {
                        return Err(FrameError::MessageTooLarge);
                    }
                    self.buffer.copy_within(start..end, self.message_end);
                    self.message_end = self.message_end.saturating_add(header.payload_bytes);
                    self.unread = end;
                    if header.is_final {
                        let kind = self.open.take();
                        let payload = self.buffer.get_mut(self.message..self.message_end).unwrap_or_default();
                        let is_text = kind == Some(MessageKind::Text);
                        return Ok(Some(if is_text { Frame::Text(payload) } else { Frame::Binary(payload) }));
                    }
                }
            }
        }
    }

    /// Decodes and judges the header at `unread`; `None` until it is whole. Everything that can be refused is refused
    /// here, before the payload has come: a hostile length never makes us wait for it.
    #[inline]
    fn header(&self) -> Result<Option<Header>, FrameError> {
        let bytes = self.buffer.get(self.unread..self.end).unwrap_or_default();
        let Some(&[first, second]) = bytes.first_chunk::<2>() else { return Ok(None) };
        let (is_final, opcode) = (first & 0x80 != 0, first & 0x0F);
        if first & 0x70 != 0 {
            return Err(FrameError::ReservedBits);
        }
        if second & 0x80 != 0 {
            return Err(FrameError::Masked);
        }
        match opcode {
            0x0 if self.open.is_none() => return Err(FrameError::UnexpectedContinuation),
            0x1 | 0x2 if self.open.is_some() => return Err(FrameError::UnfinishedMessage),
            0x0..=0x2 => {}
            0x8..=0xA if second > 125 => return Err(FrameError::ControlTooLong),
            0x8..=0xA if !is_final => return Err(FrameError::ControlFragmented),
            0x8..=0xA => {}
            _ => return Err(FrameError::BadOpcode),
        }
        let (header_bytes, length) = match second {
            126 => {
                let Some(&[_, _, a, b]) = bytes.first_chunk::<4>() else { return Ok(None) };
                (4, u64::from(u16::from_be_bytes([a, b])))
            }
            127 => {
                let Some(&[_, _, a, b, c, d, e, f, g, h]) = bytes.first_chunk::<10>() else { return Ok(None) };
                (10, u64::from_be_bytes([a, b, c, d, e, f, g, h]))
            }
            length => (2, u64::from(length)),
        };
        if (header_bytes == 4 && length < 126) || (header_bytes == 10 && length <= u64::from(u16::MAX)) {
            return Err(FrameError::LengthNotMinimal);
        }
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX);
        if payload_bytes > FRAME_BYTES_MAX {
            return Err(FrameError::FrameTooLarge);
        }
        Ok(Some(Header { is_final, opcode, header_bytes, payload_bytes }))
    }

    #[cold]
    fn control(&mut self, opcode: u8, start: usize, end: usize) -> Result<Frame<'_>, FrameError> {
        let payload = self.buffer.get(start..end).unwrap_or_default();
        let frame = match (opcode, payload) {
            (0x9, payload) => Frame::Ping(payload),
            (0xA, _) => Frame::Pong,
            (_, []) => Frame::Close { code: 1005, reason: &[] },
            (_, [high, low, reason @ ..]) => {
                let code = u16::from_be_bytes([*high, *low]);
                // 1004 to 1006 and 1015 are never sent; below 1000 and from 5000 on nothing is defined.
                if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                    return Err(FrameError::BadClose);
                }
                Frame::Close { code, reason }
            }
            (_, [_]) => return Err(FrameError::BadClose),
        };
        self.unread = end;
        Ok(frame)
    }

    /// Moves what is kept to the front of the buffer, where that is cheap or must be.
    fn move_to_front(&mut self) {
        let unread_bytes = self.end.saturating_sub(self.unread);
        let message_bytes = if self.open.is_some() { self.message_end.saturating_sub(self.message) } else { 0 };
        let is_short = self.buffer.len().saturating_sub(self.end) < READ_BYTES_MAX;
        if !is_short && unread_bytes.saturating_add(message_bytes) > CHEAP_MOVE_BYTES {
            return;
        }
        if message_bytes != 0 {
            self.buffer.copy_within(self.message..self.message_end, 0);
        }
        (self.message, self.message_end) = (0, message_bytes);
        self.buffer.copy_within(self.unread..self.end, message_bytes);
        (self.unread, self.end) = (message_bytes, message_bytes.saturating_add(unread_bytes));
    }
}

impl std::fmt::Debug for FrameReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FrameReader({} bytes unread)", self.end.saturating_sub(self.unread))
    }
}

#[cfg(test)]
mod tests;
