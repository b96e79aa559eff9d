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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of RFC 6455, section 1.3.
    fn example() -> Handshake {
        let nonce: [u8; 16] = *b"the sample nonce";
        Handshake::new("server.example.com", "/chat", nonce)
    }

    const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

    #[test]
    fn the_example_of_the_standard() {
        let handshake = example();
        let request = std::str::from_utf8(handshake.request()).expect("ASCII");
        assert!(request.starts_with("GET /chat HTTP/1.1\r\nHost: server.example.com\r\n"));
        assert!(request.contains("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n") && request.ends_with("\r\n\r\n"));
        let mut answer = ANSWER.as_bytes().to_vec();
        answer.extend_from_slice(b"\x81\x02hi");
        assert_eq!(handshake.response(&answer), Ok(Some(ANSWER.len())));
        for cut in 0..ANSWER.len() {
            assert_eq!(handshake.response(&answer[..cut]), Ok(None), "{cut}");
        }
    }

    #[test]
    fn refusals_are_told_apart() {
        let handshake = example();
        let answer = |text: &str| handshake.response(text.as_bytes());
        assert_eq!(
            answer("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 17\r\n\r\n"),
            Err(HandshakeError::Refused { status: 429, retry_after_s: Some(17) })
        );
        assert_eq!(
            answer("HTTP/1.1 403 Forbidden\r\n\r\n"),
            Err(HandshakeError::Refused { status: 403, retry_after_s: None })
        );
        assert_eq!(answer("SSH-2.0-OpenSSH\r\n\r\n"), Err(HandshakeError::Malformed));
        assert_eq!(answer(&ANSWER.replace("s3pP", "s3pQ")), Err(HandshakeError::NotAWebSocket));
        assert_eq!(answer(&ANSWER.replace("Upgrade: websocket", "Upgrade: h2c")), Err(HandshakeError::NotAWebSocket));
        let deflate = ANSWER.replace("\r\n\r\n", "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n");
        assert_eq!(answer(&deflate), Err(HandshakeError::NotAWebSocket));
        let long = format!("HTTP/1.1 101 x\r\nX: {}", "y".repeat(HEADER_BYTES_MAX));
        assert_eq!(answer(&long), Err(HandshakeError::TooLarge));
    }

    proptest! {
        /// The server of another implementation takes our request, and we its answer.
        #[test]
        fn the_reference_opens_it(nonce in any::<[u8; 16]>(), path in "/[a-z0-9/]{0,20}(\\?[a-z]=[a-z@/]{0,9})?") {
            use tokio_tungstenite::tungstenite::handshake::server::create_response;
            let handshake = Handshake::new("localhost:9443", &path, nonce);
            let text = std::str::from_utf8(handshake.request()).expect("ASCII");
            let mut lines = text.split("\r\n");
            let target = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a target");
            prop_assert_eq!(target, &path);
            let mut request = tokio_tungstenite::tungstenite::http::Request::get(target);
            for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
                request = request.header(name, value);
            }
            let response = create_response(&request.body(()).expect("a request")).expect("accepted");
            let mut answer = format!("HTTP/1.1 {} OK\r\n", response.status().as_u16());
            for (name, value) in response.headers() {
                answer.push_str(&format!("{name}: {}\r\n", value.to_str().expect("ASCII")));
            }
            answer.push_str("\r\n");
            prop_assert_eq!(handshake.response(answer.as_bytes()), Ok(Some(answer.len())));
        }

        #[test]
        fn hostile_answers_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..9_000)) {
            prop_assert!(!matches!(example().response(&bytes), Ok(Some(_))));
        }
    }
}
