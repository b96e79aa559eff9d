//! The mover of bytes: a non-blocking socket that a stage polls. Its stand-ins for tests are in [`memory`](super::memory).

use rustls::ClientConnection;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;

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
