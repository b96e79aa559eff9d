//! A live WebSocket as a stage polls it: frames in, frames out, pings answered, silence noticed.

use super::socket::{ByteStream, StreamError};
use super::websocket::{Frame, FrameError, FrameReader, FrameWriter, WriterFull};
use crate::types::Timestamp;
use crossbeam::channel::{Receiver, Sender};

/// Why a connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The stream ended or failed.
    Stream(StreamError),
    /// The venue broke the WebSocket protocol.
    Protocol(FrameError),
    /// The venue closed it, with this code.
    Closed(u16),
    /// No byte came for this many ns, pings notwithstanding.
    Silent(u64),
    /// The venue read nothing of ours for so long that the buffer is full.
    WriteBlocked,
    /// We gave it up: what it said cannot be relied on, or it takes nothing more.
    GivenUp,
    /// The venue was about to end it, and a new one took its place.
    Replaced,
}

impl Lost {
    /// In a word, for notices.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stream(_) => "the connection broke",
            Self::Protocol(_) => "the venue broke the WebSocket protocol",
            Self::Closed(_) => "the venue closed the connection",
            Self::Silent(_) => "the venue fell silent",
            Self::WriteBlocked => "the venue stopped reading",
            Self::GivenUp => "the session was given up",
            Self::Replaced => "a new connection took its place",
        }
    }
}

/// An open WebSocket.
pub struct Connection {
    stream: Box<dyn ByteStream>,
    reader: FrameReader,
    writer: FrameWriter,
    mask: u32,
    /// Whether every frame that was read has been taken, so that there is room to read on.
    is_drained: bool,
    read_ns: Timestamp,
    pinged_ns: Timestamp,
}

impl Connection {
    /// Bytes of frames that wait to be written, at most: a thousand cancels, each signed for itself, and more.
    pub const WRITE_BYTES_MAX: usize = 512 << 10;
    /// How long nothing may come before we ping.
    pub const PING_AFTER_NS: u64 = 5_000_000_000;
    /// How long nothing may come, with two pings sent, before the connection counts as lost.
    pub const SILENCE_MAX_NS: u64 = 15_000_000_000;

    /// Over `stream`, whose handshake left its rest in `reader`. `seed` starts the masks; they keep intermediaries
    /// from being tricked by chosen payloads, and ours are all our own.
    #[must_use]
    pub fn new(stream: Box<dyn ByteStream>, reader: FrameReader, seed: u32, now: Timestamp) -> Self {
        Self {
            stream,
            reader,
            writer: FrameWriter::new(Self::WRITE_BYTES_MAX),
            mask: seed | 1,
            is_drained: false,
            read_ns: now,
            pinged_ns: now,
        }
    }

    /// Takes up to `limit` text or binary frames and calls `visit` with each and the instant at which its bytes were
    /// read; `clock` is asked for that once a read. Answers how many there were; pings are answered on the way.
    ///
    /// # Errors
    /// Why the connection is over. It must not be polled again.
    #[inline]
    pub fn poll(
        &mut self,
        limit: usize,
        clock: impl Fn() -> Timestamp,
        mut visit: impl FnMut(&mut [u8], Timestamp),
    ) -> Result<usize, Lost> {
        let mut taken = 0;
        if self.is_drained {
            let count = self.stream.try_read(self.reader.buffer_mut()).map_err(Lost::Stream)?;
            if count == 0 {
                return Ok(0);
            }
            self.reader.advance(count);
            self.read_ns = clock();
            self.is_drained = false;
        }
        while taken < limit {
            match self.reader.next().map_err(Lost::Protocol)? {
                None => {
                    self.is_drained = true;
                    break;
                }
                Some(Frame::Text(payload) | Frame::Binary(payload)) => visit(payload, self.read_ns),
                Some(Frame::Ping(payload)) => {
                    let mask = next_mask(&mut self.mask);
                    self.writer.pong(payload, mask).map_err(|WriterFull| Lost::WriteBlocked)?;
                    self.flush()?;
                }
                Some(Frame::Pong) => {}
                Some(Frame::Close { code, .. }) => return Err(Lost::Closed(code)),
            }
            taken += 1;
        }
        Ok(taken)
    }

    /// Whether everything sent so far was handed to the system.
    #[inline]
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.writer.pending().is_empty()
    }

    /// Puts a text message behind what waits, without writing it: [`Connection::flush`] does.
    ///
    /// # Errors
    /// [`WriterFull`], and nothing of it was taken.
    #[inline]
    pub fn queue(&mut self, payload: &[u8]) -> Result<(), WriterFull> {
        let mask = next_mask(&mut self.mask);
        self.writer.text(payload, mask)
    }

    /// Writes what waits, as far as the stream takes it.
    ///
    /// # Errors
    /// Where the stream is over.
    #[inline]
    pub fn flush(&mut self) -> Result<(), Lost> {
        while !self.writer.pending().is_empty() {
            let count = self.stream.try_write(self.writer.pending()).map_err(Lost::Stream)?;
            if count == 0 {
                break;
            }
            self.writer.consume(count);
        }
        Ok(())
    }

    /// Pings where the venue is quiet, writes what waits, and notices a silence that is too long.
    ///
    /// # Errors
    /// Why the connection is over.
    pub fn keep_alive(&mut self, now: Timestamp) -> Result<(), Lost> {
        let silence_ns = now.since(self.read_ns);
        if silence_ns >= Self::SILENCE_MAX_NS {
            return Err(Lost::Silent(silence_ns));
        }
        if silence_ns >= Self::PING_AFTER_NS && now.since(self.pinged_ns) >= Self::PING_AFTER_NS {
            self.pinged_ns = now;
            let mask = next_mask(&mut self.mask);
            self.writer.ping(b"", mask).map_err(|WriterFull| Lost::WriteBlocked)?;
        }
        self.flush()
    }

    /// Says goodbye, as far as the stream takes it at once.
    pub fn close(&mut self) {
        let mask = next_mask(&mut self.mask);
        if self.writer.close(1000, mask).is_ok() {
            // A stream that is over needs no goodbye.
            let _ = self.flush();
        }
    }
}

/// The next mask: xorshift, never zero.
#[inline]
const fn next_mask(state: &mut u32) -> u32 {
    let mut next = *state;
    next ^= next << 13;
    next ^= next >> 17;
    next ^= next << 5;
    *state = next;
    next
}

/// What comes of a request to connect.
pub enum Arrival {
    /// A connection.
    Connected(Box<Connection>),
    /// None; the venue may have said how long to stay away.
    Failed {
        /// Seconds to stay away.
        retry_after_s: Option<u64>,
    },
}

/// Where a stage gets its connections from and where it gives lost ones to: making and dropping them blocks, so the
/// cold plane does both.
pub struct ConnectionPort {
    /// What comes of requests.
    pub arrivals: Receiver<Arrival>,
    /// Connections that are over.
    pub retired: Sender<Box<Connection>>,
}

impl ConnectionPort {
    /// Gives back what arrived while a connection stood: it is old, and nobody looked after it.
    pub fn retire_arrivals(&self) {
        while let Ok(arrival) = self.arrivals.try_recv() {
            if let Arrival::Connected(connection) = arrival {
                self.retire(connection);
            }
        }
    }

    /// Gives a connection back.
    pub fn retire(&self, connection: Box<Connection>) {
        // Where the cold plane is gone or behind by many connections, dropping it here is the lesser evil.
        drop(self.retired.try_send(connection));
    }
}

/// When to ask for a connection: at once, and after one that did not last twice as long each time, spread so that many
/// engines do not come at once.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next_ns: u64,
    retry_at: Timestamp,
    /// Since when the connection there is stands.
    connected_at: Option<Timestamp>,
    spread: u32,
    /// Whether a request is not answered yet.
    is_asked: bool,
}

impl Backoff {
    /// The shortest and the longest wait.
    const RANGE_NS: (u64, u64) = (250_000_000, 30_000_000_000);
    /// How long an answer to a request may take before it is made again.
    const ANSWER_NS: u64 = 60_000_000_000;
    /// How long a connection must have stood for the wait after it to be the shortest again. Venues count connections:
    /// Binance lets one address make 300 in five minutes.
    const PROVEN_NS: u64 = 5_000_000_000;

    /// Asks at once, then ever later. `seed` spreads the waits.
    #[must_use]
    pub const fn new(seed: u32) -> Self {
        let next_ns = Self::RANGE_NS.0;
        Self { next_ns, retry_at: Timestamp::UNKNOWN, connected_at: None, spread: seed | 1, is_asked: false }
    }

    /// Whether to ask for a connection now. Answering so counts as asking.
    pub fn is_due(&mut self, now: Timestamp) -> bool {
        if now < self.retry_at {
            return false;
        }
        self.is_asked = true;
        self.retry_at = now.plus(Self::ANSWER_NS);
        true
    }

    /// The connection that was asked for is there. The next one may be asked for at once, unless this one took the
    /// place of another: a venue that ends each soon after it is made is not followed in a hurry.
    pub fn connected(&mut self, now: Timestamp) {
        self.is_asked = false;
        self.retry_at = now;
        if self.connected_at.is_some() {
            self.judge(now);
            self.schedule(now, None);
        }
        self.connected_at = Some(now);
    }

    /// No connection could be made: the next is asked for after the wait, or after what the venue wanted.
    pub fn failed(&mut self, now: Timestamp, retry_after_s: Option<u64>) {
        self.is_asked = false;
        self.schedule(now, retry_after_s);
    }

    /// The connection was lost: the next is asked for after the wait. `false` where one is asked for already.
    pub fn lost(&mut self, now: Timestamp) -> bool {
        self.judge(now);
        if !self.is_asked {
            self.schedule(now, None);
        }
        !self.is_asked
    }

    /// A connection that stood for long enough starts the waits over.
    fn judge(&mut self, now: Timestamp) {
        if self.connected_at.take().is_some_and(|at| now.since(at) >= Self::PROVEN_NS) {
            self.next_ns = Self::RANGE_NS.0;
        }
    }

    fn schedule(&mut self, now: Timestamp, retry_after_s: Option<u64>) {
        let jitter = u64::from(next_mask(&mut self.spread) % 256);
        let wait_ns = self.next_ns / 2 + self.next_ns / 512 * jitter;
        let asked_ns = retry_after_s.unwrap_or(0).saturating_mul(1_000_000_000);
        self.retry_at = now.plus(wait_ns.max(asked_ns));
        self.next_ns = (self.next_ns * 2).min(Self::RANGE_NS.1);
    }
}
