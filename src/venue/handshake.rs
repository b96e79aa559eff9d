//! The opening of a WebSocket (RFC 6455, section 4.1), client side, without I/O.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// The most that a server's answer may have of headers.
pub const HEADER_BYTES_MAX: usize = 8 << 10;

const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why the server's answer opens no WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeError {
    /// No end of the headers within [`HEADER_BYTES_MAX`].
    TooLarge,
    /// Not HTTP/1.1.
    Malformed,
    /// The server answered something else than 101.
    Refused {
        /// The HTTP status: 429 is too many requests, 418 a ban.
        status: u16,
        /// How long the server wants us to stay away, in seconds.
        retry_after_s: Option<u64>,
    },
    /// Status 101 without the headers that prove a WebSocket server: something in between answered.
    NotAWebSocket,
}

impl std::fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge => write!(f, "the answer has more than {HEADER_BYTES_MAX} bytes of headers"),
            Self::Malformed => f.write_str("the answer is not HTTP/1.1"),
            Self::Refused { status, retry_after_s: None } => write!(f, "the server answered HTTP status {status}"),
            Self::Refused { status, retry_after_s: Some(seconds) } => {
                write!(f, "the server answered HTTP status {status}, retry after {seconds} s")
            }
            Self::NotAWebSocket => f.write_str("the answer lacks the headers of a WebSocket server"),
        }
    }
}

impl std::error::Error for HandshakeError {}

/// One upgrade of one connection.
#[derive(Clone, Debug)]
pub struct Handshake {
    request: Vec<u8>,
    accept: String,
}

impl Handshake {
    /// The upgrade of a connection to `host` (with its port where that is not the scheme's own) at `path` (with its
    /// query). `nonce` must be random.
    #[must_use]
    pub fn new(host: &str, path: &str, nonce: [u8; 16]) -> Self {
        let key = STANDARD.encode(nonce);
        let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
        hash.update(key.as_bytes());
        hash.update(KEY_SUFFIX);
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nUser-Agent: gannet\r\n\r\n"
        );
        Self { request: request.into_bytes(), accept: STANDARD.encode(hash.finish()) }
    }

    /// What is to be sent.
    #[must_use]
    pub fn request(&self) -> &[u8] {
        &self.request
    }

    /// Judges what was received so far: `None` until the headers are whole, then how many bytes they are. What follows
    /// them belongs to the [`FrameReader`](super::FrameReader).
    ///
    /// # Errors
    /// As [`HandshakeError`] states.
    pub fn response(&self, received: &[u8]) -> Result<Option<usize>, HandshakeError> {
        let within = received.get(..HEADER_BYTES_MAX.min(received.len())).unwrap_or_default();
        let Some(end) = within.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if received.len() >= HEADER_BYTES_MAX { Err(HandshakeError::TooLarge) } else { Ok(None) };
        };
        let head =
            received.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or(HandshakeError::Malformed)?;
        let mut lines = head.split("\r\n");
        let status = status_of(lines.next().unwrap_or_default()).ok_or(HandshakeError::Malformed)?;
        let headers: Vec<(&str, &str)> =
            lines.filter_map(|line| line.split_once(':')).map(|(name, value)| (name.trim(), value.trim())).collect();
        let value =
            |wanted: &str| headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| *value);
        if status != 101 {
            let retry_after_s = value("retry-after").and_then(|value| value.parse().ok());
            return Err(HandshakeError::Refused { status, retry_after_s });
        }
        let is_upgrade = value("upgrade").is_some_and(|value| value.eq_ignore_ascii_case("websocket"));
        let is_connection = value("connection")
            .is_some_and(|value| value.split(',').any(|token| token.trim().eq_ignore_ascii_case("upgrade")));
        let is_accepted = value("sec-websocket-accept") == Some(self.accept.as_str());
        // We offer no extension and no protocol: a server that agrees on one talks to somebody else.
        let is_plain =
            value("sec-websocket-extensions").is_none_or(str::is_empty) && value("sec-websocket-protocol").is_none();
        if is_upgrade && is_connection && is_accepted && is_plain {
            Ok(Some(end + 4))
        } else {
            Err(HandshakeError::NotAWebSocket)
        }
    }
}

/// The status of `HTTP/1.1 101 Switching Protocols`.
fn status_of(line: &str) -> Option<u16> {
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "))?;
    let digits = rest.split(' ').next()?;
    (digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}
