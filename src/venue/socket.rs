//! The mover of bytes: a non-blocking socket that a stage polls, and a stream in memory for tests and measurements.

use crossbeam::queue::ArrayQueue;
use rustls::ClientConnection;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Why a stream is over. It must be dropped: nothing more comes or goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The other side closed it in order.
    Closed,
    /// It broke.
    Io(ErrorKind),
    /// What came is not TLS, or failed its checks.
    Tls,
}

impl std::fmt::Display for StreamError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the other side"),
            Self::Io(kind) => write!(f, "{kind}"),
            Self::Tls => f.write_str("TLS failed"),
        }
    }
}

impl std::error::Error for StreamError {}

/// Bytes in and out, never waiting.
pub trait ByteStream: Send {
    /// Reads what has come, at most the buffer's length; `0` where nothing has.
    ///
    /// # Errors
    /// Where the stream is over.
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError>;

    /// Writes what can be written now and answers how many bytes that were; `0` where none can.
    ///
    /// # Errors
    /// Where the stream is over.
    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError>;
}

/// `0` for what would block, an error for an end.
fn outcome(result: std::io::Result<usize>) -> Result<usize, StreamError> {
    match result {
        Ok(0) => Err(StreamError::Closed),
        Ok(count) => Ok(count),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Err(error) => Err(StreamError::Io(error.kind())),
    }
}

/// A connected socket, set to non-blocking. `rustls` allocates inside for records that come in pieces; the plain one
/// never does.
pub enum Socket {
    /// `ws://`, on loopback.
    Plain(TcpStream),
    /// `wss://`.
    Tls(Box<TlsSocket>),
}

/// A TLS connection and the socket below it.
pub struct TlsSocket {
    /// The state of TLS.
    pub connection: ClientConnection,
    /// The socket.
    pub tcp: TcpStream,
}

impl ByteStream for Socket {
    #[inline]
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self {
            Self::Plain(tcp) => outcome(tcp.read(buffer)),
            Self::Tls(tls) => tls.try_read(buffer),
        }
    }

    #[inline]
    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        match self {
            Self::Plain(_) if bytes.is_empty() => Ok(0),
            Self::Plain(tcp) => outcome(tcp.write(bytes)),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(tcp) => write!(f, "Plain({tcp:?})"),
            Self::Tls(tls) => write!(f, "Tls({:?})", tls.tcp),
        }
    }
}

impl TlsSocket {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        // Records that an earlier write could not get rid of.
        self.flush()?;
        loop {
            match self.connection.reader().read(buffer) {
                Ok(0) => return Err(StreamError::Closed),
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(StreamError::Io(error.kind())),
            }
            match self.connection.read_tls(&mut self.tcp) {
                // The end of the socket: what is still in TLS comes out first, then its verdict on the end.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => return Ok(0),
                Err(error) => return Err(StreamError::Io(error.kind())),
            }
            self.connection.process_new_packets().map_err(|_| StreamError::Tls)?;
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        self.flush()?;
        if bytes.is_empty() || self.connection.wants_write() {
            return Ok(0);
        }
        let taken = self.connection.writer().write(bytes).map_err(|error| StreamError::Io(error.kind()))?;
        self.flush()?;
        Ok(taken)
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        while self.connection.wants_write() {
            if outcome(self.connection.write_tls(&mut self.tcp))? == 0 {
                break;
            }
        }
        Ok(())
    }
}

/// What a [`MemoryStream`] and its [`MemoryControl`] share. Counts never start again.
#[derive(Debug, Default)]
struct MemoryState {
    released: AtomicUsize,
    read: AtomicUsize,
    written: AtomicUsize,
    is_closed: AtomicBool,
}

/// A stream in memory for measurements: delivers preloaded bytes, round and round, as far as its [`MemoryControl`]
/// released them; counts and discards what is written. Never allocates after construction.
#[derive(Debug)]
pub struct MemoryStream {
    incoming: Box<[u8]>,
    position: usize,
    read: usize,
    written: usize,
    state: Arc<MemoryState>,
}

/// The harness's end of a [`MemoryStream`].
#[derive(Clone, Debug)]
pub struct MemoryControl(Arc<MemoryState>);

impl MemoryStream {
    /// A stream of `incoming`, of which nothing is released yet.
    #[must_use]
    pub fn new(incoming: Vec<u8>) -> (Self, MemoryControl) {
        let state = Arc::new(MemoryState::default());
        let stream =
            Self { incoming: incoming.into_boxed_slice(), position: 0, read: 0, written: 0, state: Arc::clone(&state) };
        (stream, MemoryControl(state))
    }
}

impl MemoryControl {
    /// Lets the reader have `count` more bytes; past the end of the incoming bytes they begin again.
    pub fn release(&self, count: usize) {
        self.0.released.fetch_add(count, Ordering::Release);
    }

    /// How many bytes were read in all.
    #[must_use]
    pub fn read_count(&self) -> usize {
        self.0.read.load(Ordering::Acquire)
    }

    /// How many bytes were written in all.
    #[must_use]
    pub fn written_count(&self) -> usize {
        self.0.written.load(Ordering::Acquire)
    }

    /// Ends the stream: reads answer [`StreamError::Closed`] once what was released is read, writes at once.
    pub fn close(&self) {
        self.0.is_closed.store(true, Ordering::Release);
    }
}

impl ByteStream for MemoryStream {
    #[inline]
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        // Closed is looked at first: what was released before the close is then seen too.
        let is_closed = self.state.is_closed.load(Ordering::Acquire);
        let ready = self.state.released.load(Ordering::Acquire).saturating_sub(self.read);
        let incoming = self.incoming.get(self.position..).unwrap_or_default();
        let count = ready.min(incoming.len()).min(buffer.len());
        if count == 0 && is_closed {
            return Err(StreamError::Closed);
        }
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), incoming.get(..count)) {
            to.copy_from_slice(from);
        }
        self.position = if count == incoming.len() { 0 } else { self.position.saturating_add(count) };
        self.read = self.read.wrapping_add(count);
        self.state.read.store(self.read, Ordering::Release);
        Ok(count)
    }

    #[inline]
    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        if self.state.is_closed.load(Ordering::Acquire) {
            return Err(StreamError::Closed);
        }
        self.written = self.written.wrapping_add(bytes.len());
        self.state.written.store(self.written, Ordering::Release);
        Ok(bytes.len())
    }
}

/// Bytes that one end of a pipe hands to the other at once.
#[derive(Clone, Copy)]
struct Chunk {
    bytes: [u8; Self::BYTES_MAX],
    length: u8,
}

impl Chunk {
    const BYTES_MAX: usize = 247;
}

/// One end of a bounded two-way pipe in memory, for tests: what this end writes, the other reads, and a dropped end is
/// a closed stream. Never allocates after construction.
pub struct MemoryPipe {
    incoming: Arc<ArrayQueue<Chunk>>,
    outgoing: Arc<ArrayQueue<Chunk>>,
    /// What of the chunk taken last is not read yet.
    rest: Chunk,
    rest_start: u8,
}

impl MemoryPipe {
    /// Both ends of a pipe that holds `chunks_max` writes of up to 247 bytes in each direction.
    #[must_use]
    pub fn pair(chunks_max: usize) -> (Self, Self) {
        let (one, other) = (Arc::new(ArrayQueue::new(chunks_max.max(1))), Arc::new(ArrayQueue::new(chunks_max.max(1))));
        let rest = Chunk { bytes: [0; Chunk::BYTES_MAX], length: 0 };
        let left = Self { incoming: Arc::clone(&one), outgoing: Arc::clone(&other), rest, rest_start: 0 };
        (left, Self { incoming: other, outgoing: one, rest, rest_start: 0 })
    }
}

impl ByteStream for MemoryPipe {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        let mut count = 0usize;
        loop {
            let rest =
                self.rest.bytes.get(usize::from(self.rest_start)..usize::from(self.rest.length)).unwrap_or_default();
            let space = buffer.get_mut(count..).unwrap_or_default();
            let copied = u8::try_from(rest.len().min(space.len())).unwrap_or(0);
            for (to, from) in space.iter_mut().zip(rest) {
                *to = *from;
            }
            self.rest_start = self.rest_start.saturating_add(copied);
            count = count.saturating_add(usize::from(copied));
            if count == buffer.len() {
                return Ok(count);
            }
            // Looked at before the queue: an end that wrote and was dropped since is then read to its end.
            let is_closed = Arc::strong_count(&self.incoming) == 1;
            match self.incoming.pop() {
                Some(chunk) => (self.rest, self.rest_start) = (chunk, 0),
                None if count == 0 && is_closed => return Err(StreamError::Closed),
                None => return Ok(count),
            }
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        if Arc::strong_count(&self.outgoing) == 1 {
            return Err(StreamError::Closed);
        }
        let mut count = 0usize;
        for part in bytes.chunks(Chunk::BYTES_MAX) {
            let mut chunk = Chunk { bytes: [0; Chunk::BYTES_MAX], length: u8::try_from(part.len()).unwrap_or(0) };
            for (to, from) in chunk.bytes.iter_mut().zip(part) {
                *to = *from;
            }
            if self.outgoing.push(chunk).is_err() {
                break;
            }
            count = count.saturating_add(part.len());
        }
        Ok(count)
    }
}

impl std::fmt::Debug for MemoryPipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MemoryPipe({} writes in, {} out)", self.incoming.len(), self.outgoing.len())
    }
}
