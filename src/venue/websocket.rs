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
        if self.buffer.len().saturating_sub(self.end) < needed {
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::{Cursor, Read, Write};
    use tokio_tungstenite::tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
    use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes, protocol::frame};

    /// A frame that owns what it says.
    #[derive(Clone, Debug, PartialEq, Eq)]
    enum Owned {
        Text(Vec<u8>),
        Binary(Vec<u8>),
        Ping(Vec<u8>),
        Pong,
        Close(u16, Vec<u8>),
    }

    fn owned(frame: Frame<'_>) -> Owned {
        match frame {
            Frame::Text(payload) => Owned::Text(payload.to_vec()),
            Frame::Binary(payload) => Owned::Binary(payload.to_vec()),
            Frame::Ping(payload) => Owned::Ping(payload.to_vec()),
            Frame::Pong => Owned::Pong,
            Frame::Close { code, reason } => Owned::Close(code, reason.to_vec()),
        }
    }

    /// What comes out when `bytes` come in parts of these sizes, round and round.
    fn read_in_parts(bytes: &[u8], parts: &[usize]) -> Result<Vec<Owned>, FrameError> {
        let mut reader = FrameReader::new();
        let (mut frames, mut rest, mut sizes) = (Vec::new(), bytes, parts.iter().cycle());
        while !rest.is_empty() {
            let space = reader.buffer_mut();
            let count = sizes.next().expect("a size").clamp(&1, &rest.len()).min(&space.len()).to_owned();
            assert!(count > 0, "no room");
            space[..count].copy_from_slice(&rest[..count]);
            reader.advance(count);
            rest = &rest[count..];
            while let Some(frame) = reader.next()? {
                frames.push(owned(frame));
            }
        }
        Ok(frames)
    }

    fn read_whole(bytes: &[u8]) -> Result<Vec<Owned>, FrameError> {
        read_in_parts(bytes, &[usize::MAX])
    }

    /// A server's frame, written plainly.
    fn server_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..=125 => bytes.push(length as u8),
            length @ 126..=65_535 => {
                bytes.push(126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                bytes.push(127);
                bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        bytes.extend_from_slice(payload);
        bytes
    }

    /// An in-memory stream for the reference: reads what it was given, keeps what is written.
    struct Duplex(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Duplex {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            match self.0.read(buffer)? {
                0 => Err(std::io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }
    }

    impl Write for Duplex {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn reference(incoming: Vec<u8>, role: Role) -> WebSocket<Duplex> {
        WebSocket::from_raw_socket(Duplex(Cursor::new(incoming), Vec::new()), role, Some(WebSocketConfig::default()))
    }

    /// What the reference reads as a client.
    fn read_by_reference(bytes: &[u8]) -> Result<Vec<Owned>, ()> {
        use tokio_tungstenite::tungstenite::Error;
        let mut client = reference(bytes.to_vec(), Role::Client);
        let mut frames = Vec::new();
        loop {
            match client.read() {
                Ok(Message::Text(text)) => frames.push(Owned::Text(text.as_bytes().to_vec())),
                Ok(Message::Binary(bytes)) => frames.push(Owned::Binary(bytes.to_vec())),
                Ok(Message::Ping(bytes)) => frames.push(Owned::Ping(bytes.to_vec())),
                Ok(Message::Pong(_)) => frames.push(Owned::Pong),
                Ok(Message::Close(close)) => {
                    let (code, reason) =
                        close.map_or((1005, Vec::new()), |close| (close.code.into(), close.reason.as_bytes().to_vec()));
                    frames.push(Owned::Close(code, reason));
                    return Ok(frames);
                }
                Ok(Message::Frame(_)) => {}
                Err(Error::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(frames),
                Err(_) => return Err(()),
            }
        }
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            proptest::collection::vec(b' '..=b'~', 0..200),
            proptest::collection::vec(b' '..=b'~', 120..135),
            proptest::collection::vec(b' '..=b'~', 65_530..65_540),
        ]
    }

    /// Server frames: whole messages, fragmented ones, control frames between.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let whole = (payload(), any::<bool>())
            .prop_map(|(payload, is_text)| server_frame(if is_text { 0x81 } else { 0x82 }, &payload));
        let control = (proptest::collection::vec(b' '..=b'~', 0..=125), any::<bool>())
            .prop_map(|(payload, is_ping)| server_frame(if is_ping { 0x89 } else { 0x8A }, &payload));
        let fragmented =
            (proptest::collection::vec(proptest::collection::vec(b' '..=b'~', 0..300), 2..6), any::<bool>()).prop_map(
                |(parts, is_text)| {
                    let last = parts.len() - 1;
                    let mut bytes = Vec::new();
                    for (index, part) in parts.iter().enumerate() {
                        let opcode = match (index, is_text) {
                            (0, true) => 1,
                            (0, false) => 2,
                            _ => 0,
                        };
                        bytes.extend(server_frame(if index == last { 0x80 | opcode } else { opcode }, part));
                        if index != last && index % 2 == 0 {
                            bytes.extend(server_frame(0x89, b"between"));
                        }
                    }
                    bytes
                },
            );
        proptest::collection::vec(prop_oneof![4 => whole, 2 => control, 2 => fragmented], 0..8)
            .prop_map(|frames| frames.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn reads_what_the_reference_reads(bytes in stream(), parts in proptest::collection::vec(1..5_000usize, 1..8)) {
            let expected = read_by_reference(&bytes).expect("a stream");
            prop_assert_eq!(read_whole(&bytes).expect("a stream"), expected.clone());
            prop_assert_eq!(read_in_parts(&bytes, &parts).expect("a stream"), expected);
        }

        #[test]
        fn one_byte_at_a_time_is_the_same(bytes in stream().prop_filter("short", |bytes| bytes.len() < 3_000)) {
            prop_assert_eq!(read_in_parts(&bytes, &[1]), read_whole(&bytes));
        }

        /// Any bytes at all: no panic, the same in parts, and what we accept to its end the reference accepts too.
        #[test]
        fn hostile_bytes_are_an_error_or_frames(mut bytes in stream(), at in any::<prop::sample::Index>(), byte in any::<u8>(), tail in proptest::collection::vec(any::<u8>(), 0..40)) {
            bytes.extend(tail);
            if !bytes.is_empty() {
                let at = at.index(bytes.len().min(64));
                bytes[at] = byte;
            }
            prop_assume!(bytes.len() < 5_000);
            let whole = read_whole(&bytes);
            prop_assert_eq!(read_in_parts(&bytes, &[1]), whole.clone());
            if let (Ok(ours), Ok(theirs)) = (whole, read_by_reference(&bytes)) {
                // The reference ends at a close frame.
                prop_assert_eq!(&ours[..theirs.len()], &theirs[..]);
            }
        }

        #[test]
        fn the_reference_reads_what_we_write(payloads in proptest::collection::vec(payload(), 1..5), mask in any::<u32>(), part in 1..4_000usize) {
            let mut writer = FrameWriter::new(300_000);
            let mut bytes = Vec::new();
            for payload in &payloads {
                writer.text(payload, mask).expect("room");
                // The socket takes some of it now and then.
                let taken = writer.pending().len().min(part);
                bytes.extend_from_slice(&writer.pending()[..taken]);
                writer.consume(taken);
            }
            writer.pong(b"pong", mask).expect("room");
            writer.close(1000, mask).expect("room");
            bytes.extend_from_slice(writer.pending());
            let mut server = reference(bytes, Role::Server);
            for payload in &payloads {
                let text = Utf8Bytes::try_from(Bytes::from(payload.clone())).expect("ASCII");
                prop_assert_eq!(server.read().expect("a message"), Message::Text(text));
            }
            prop_assert_eq!(server.read().expect("a pong"), Message::Pong(Bytes::from_static(b"pong")));
            match server.read().expect("a close") {
                Message::Close(Some(close)) => prop_assert_eq!(close.code, frame::coding::CloseCode::Normal),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn every_violation_is_named() {
        let ping_between = [server_frame(0x01, b"a"), server_frame(0x81, b"b")].concat();
        let cases: [(&[u8], FrameError); 12] = [
            (&[0xC1, 0x00], FrameError::ReservedBits),
            (&[0x81, 0x80, 1, 2, 3, 4], FrameError::Masked),
            (&[0x83, 0x00], FrameError::BadOpcode),
            (&[0x8B, 0x00], FrameError::BadOpcode),
            (&[0x89, 126, 0, 126], FrameError::ControlTooLong),
            (&[0x09, 0x00], FrameError::ControlFragmented),
            (&[0x80, 0x00], FrameError::UnexpectedContinuation),
            (&ping_between, FrameError::UnfinishedMessage),
            (&[0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1], FrameError::FrameTooLarge),
            (&[0x82, 127, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF], FrameError::FrameTooLarge),
            (&[0x82, 126, 0, 125], FrameError::LengthNotMinimal),
            (&[0x88, 1, 3], FrameError::BadClose),
        ];
        for (bytes, error) in cases {
            assert_eq!(read_whole(bytes), Err(error), "{bytes:02x?}");
            let mut reader = FrameReader::new();
            assert_eq!(reader.feed(bytes), bytes.len());
            while reader.next() != Err(error) {}
            assert_eq!(reader.next(), Err(error), "it stays an error");
        }
        assert_eq!(read_whole(&[0x88, 2, 0x03, 0xED]), Err(FrameError::BadClose), "1005 is never sent");
        assert_eq!(read_whole(&[0x88, 0]), Ok(vec![Owned::Close(1005, Vec::new())]));
    }

    #[test]
    fn messages_up_to_the_limit_pass_and_no_further() {
        let part = vec![b'x'; FRAME_BYTES_MAX];
        let mut bytes = server_frame(0x01, &part);
        for _ in 0..2 {
            bytes.extend(server_frame(0x00, &part));
        }
        let mut whole = bytes.clone();
        whole.extend(server_frame(0x80, &part));
        whole.extend(server_frame(0x81, b"after"));
        let frames = read_whole(&whole).expect("a message");
        assert_eq!(frames, [Owned::Text(vec![b'x'; MESSAGE_BYTES_MAX]), Owned::Text(b"after".to_vec())]);
        bytes.extend(server_frame(0x00, &part));
        bytes.extend(server_frame(0x80, b"x"));
        assert_eq!(read_whole(&bytes), Err(FrameError::MessageTooLarge));
    }

    #[test]
    fn a_full_writer_refuses_whole_frames() {
        let mut writer = FrameWriter::new(64);
        assert_eq!(writer.text(&[b'x'; 40], 7), Ok(()));
        let before = writer.pending().to_vec();
        assert_eq!(writer.text(&[b'x'; 40], 7), Err(WriterFull));
        assert_eq!(writer.pending(), before, "nothing was written of it");
        assert_eq!(writer.pong(&[0; 126], 7), Err(WriterFull));
        writer.consume(before.len());
        assert_eq!(writer.text(&[b'x'; 40], 7), Ok(()));
    }
}
