//! Making a connection: resolve, connect, TLS, upgrade. Blocking, so for cold threads only; what comes out is set to
//! non-blocking and handed to the stage that polls it.

use super::handshake::{Handshake, HandshakeError};
use super::socket::{Socket, TlsSocket};
use super::websocket::FrameReader;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where `ws://` is accepted. There is no fallback to it: an endpoint is one or the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plaintext {
    /// On this machine only.
    #[default]
    LoopbackOnly,
    /// Everywhere: the configuration says so in so many words.
    Anywhere,
}

/// A WebSocket's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    is_tls: bool,
    host: String,
    port: u16,
    path: String,
    plaintext: Plaintext,
}

impl Endpoint {
    /// Reads `wss://host[:port][/path][?query]`, or `ws://` where `plaintext` allows it.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub fn parse(url: &str, plaintext: Plaintext) -> Result<Self, ConnectError> {
        let bad = |what: &str| ConnectError::Url(format!("{url:?}: {what}"));
        let (is_tls, rest) = match (url.strip_prefix("wss://"), url.strip_prefix("ws://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            _ => return Err(bad("write wss://host/path (or ws:// on loopback)")),
        };
        if !rest.bytes().all(|byte| byte.is_ascii_graphic()) || rest.contains('#') {
            return Err(bad("only visible ASCII and no fragment are allowed"));
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| bad("the port is not a number from 1 to 65535"))?)
            }
            _ => (authority, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() || host.contains('@') || port == 0 {
            return Err(bad("the host is missing or names a user, or the port is 0"));
        }
        let endpoint = Self { is_tls, host, port, path, plaintext };
        if !endpoint.is_tls && plaintext == Plaintext::LoopbackOnly && !endpoint.names_loopback() {
            return Err(bad("ws:// is accepted for loopback only: use wss://"));
        }
        Ok(endpoint)
    }

    /// The same host with another path (and query).
    #[must_use]
    pub fn with_path(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    fn names_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let is_default = self.port == if self.is_tls { 443 } else { 80 };
        if is_default { host } else { format!("{host}:{}", self.port) }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", if self.is_tls { "wss" } else { "ws" }, self.authority(), self.path)
    }
}

/// Why there is no connection. Each names the host and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectError {
    /// The address cannot be used as it is written.
    Url(String),
    /// The name has no address.
    Resolve(String),
    /// No address took the connection in time.
    Connect(String),
    /// The server's certificate or TLS is not acceptable. Never worked around.
    Tls(String),
    /// The server did not open a WebSocket.
    Handshake {
        /// Which server.
        host: String,
        /// What it answered.
        error: HandshakeError,
    },
    /// The connection broke, or was silent for longer than the timeout.
    Io(String),
}

impl ConnectError {
    /// How long the server wants us to stay away, in seconds, where it said so.
    #[must_use]
    pub const fn retry_after_s(&self) -> Option<u64> {
        match self {
            Self::Handshake { error: HandshakeError::Refused { retry_after_s, .. }, .. } => *retry_after_s,
            _ => None,
        }
    }
}

impl std::fmt::Display for ConnectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Url(text) | Self::Resolve(text) | Self::Connect(text) | Self::Tls(text) | Self::Io(text) => {
                f.write_str(text)
            }
            Self::Handshake { host, error } => {
                write!(f, "{host}: {error}: check the URL's path, and for 429 or 418 wait")
            }
        }
    }
}

impl std::error::Error for ConnectError {}

/// A connection whose WebSocket is open.
#[derive(Debug)]
pub struct Connected {
    /// Non-blocking.
    pub socket: Socket,
    /// With what the server sent behind its handshake already in it.
    pub reader: FrameReader,
}

/// TLS as we want it: `ring`, TLS 1.2 or 1.3, the Mozilla roots, and `extra_root` (PEM) where given.
///
/// # Errors
/// Where the PEM holds no usable certificate.
pub fn tls_config(extra_root: Option<&[u8]>) -> Result<Arc<ClientConfig>, ConnectError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    if let Some(pem) = extra_root {
        let bad = |what: &str| ConnectError::Tls(format!("the extra root certificate: {what}"));
        let mut count = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| bad("it is not PEM"))?;
            roots.add(certificate).map_err(|error| bad(&error.to_string()))?;
            count += 1;
        }
        if count == 0 {
            return Err(bad("it holds no certificate"));
        }
    }
    // Named here, as two providers in one build would make the process-wide default a panic.
    let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConnectError::Tls(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Connects, all steps together within `timeout` (but for the resolver, which the system bounds).
///
/// # Errors
/// As [`ConnectError`] states.
pub fn connect(endpoint: &Endpoint, timeout: Duration, tls: Arc<ClientConfig>) -> Result<Connected, ConnectError> {
    let deadline = Instant::now() + timeout;
    let host = endpoint.authority();
    let mut nonce = [0; 16];
    tls.crypto_provider()
        .secure_random
        .fill(&mut nonce)
        .map_err(|_| ConnectError::Tls("no random numbers".to_owned()))?;
    let tcp = connect_tcp(endpoint, deadline)?;
    let io = |error: &std::io::Error| {
        ConnectError::Io(format!("{host}: {error}: the connection broke during its opening; it is tried again"))
    };
    tcp.set_nodelay(true).map_err(|error| io(&error))?;
    let mut stream = if endpoint.is_tls {
        let name = ServerName::try_from(endpoint.host.clone())
            .map_err(|_| ConnectError::Url(format!("{host}: not a host name that a certificate could have")))?;
        let connection =
            ClientConnection::new(tls, name).map_err(|error| ConnectError::Tls(format!("{host}: {error}")))?;
        Opening::Tls(Box::new(TlsSocket { connection, tcp }))
    } else {
        Opening::Plain(tcp)
    };

    let handshake = Handshake::new(&host, &endpoint.path, nonce);
    stream.write_all(handshake.request(), deadline).map_err(|error| tls_or_io(&host, &error))?;
    let mut received = Vec::with_capacity(1024);
    let mut reader = FrameReader::new();
    loop {
        let mut part = [0; 4096];
        let count = stream.read(&mut part, deadline).map_err(|error| tls_or_io(&host, &error))?;
        received.extend_from_slice(part.get(..count).unwrap_or_default());
        match handshake.response(&received) {
            Ok(Some(header_bytes)) => {
                // At most one read, so it fits.
                reader.feed(received.get(header_bytes..).unwrap_or_default());
                break;
            }
            Ok(None) if count != 0 => {}
            Ok(None) => return Err(ConnectError::Io(format!("{host}: closed before it answered the handshake"))),
            Err(error) => return Err(ConnectError::Handshake { host, error }),
        }
    }
    let socket = match stream {
        Opening::Plain(tcp) => Socket::Plain(tcp),
        Opening::Tls(tls) => Socket::Tls(tls),
    };
    let tcp = match &socket {
        Socket::Plain(tcp) => tcp,
        Socket::Tls(tls) => &tls.tcp,
    };
    tcp.set_nonblocking(true).map_err(|error| io(&error))?;
    Ok(Connected { socket, reader })
}

fn connect_tcp(endpoint: &Endpoint, deadline: Instant) -> Result<TcpStream, ConnectError> {
    let host = endpoint.authority();
    let addresses = (endpoint.host.as_str(), endpoint.port).to_socket_addrs().map_err(|error| {
        ConnectError::Resolve(format!("{host}: {error}: check the host's name and this machine's DNS"))
    })?;
    let mut last = "it has no address".to_owned();
    for address in addresses {
        // A name for loopback that resolves to elsewhere would send keys in the clear.
        if !endpoint.is_tls && endpoint.plaintext == Plaintext::LoopbackOnly && !address.ip().is_loopback() {
            last = format!("{address} is not loopback, and ws:// is accepted there only");
            continue;
        }
        match TcpStream::connect_timeout(&address, left(deadline)) {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(ConnectError::Connect(format!("{host}: {last}: check that the server runs and the port is open")))
}

/// What is left until the deadline, never zero: a zero timeout means none at all to the system.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

fn tls_or_io(host: &str, error: &std::io::Error) -> ConnectError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error) => ConnectError::Tls(format!(
            "{host}: {error}: the server's certificate is not accepted; there is no way round it"
        )),
        None if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
            ConnectError::Io(format!("{host}: no answer within the timeout"))
        }
        None => ConnectError::Io(format!("{host}: {error}")),
    }
}

/// The connection while it is opened, blocking with the time that is left.
enum Opening {
    Plain(TcpStream),
    Tls(Box<TlsSocket>),
}

impl Opening {
    fn limit(&self, deadline: Instant) -> std::io::Result<()> {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            Self::Tls(tls) => &tls.tcp,
        };
        if Instant::now() >= deadline {
            return Err(ErrorKind::TimedOut.into());
        }
        tcp.set_read_timeout(Some(left(deadline)))?;
        tcp.set_write_timeout(Some(left(deadline)))
    }

    fn read(&mut self, buffer: &mut [u8], deadline: Instant) -> std::io::Result<usize> {
        self.limit(deadline)?;
        match self {
            Self::Plain(tcp) => tcp.read(buffer),
            Self::Tls(tls) => rustls::Stream::new(&mut tls.connection, &mut tls.tcp).read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8], deadline: Instant) -> std::io::Result<()> {
        self.limit(deadline)?;
        match self {
            Self::Plain(tcp) => tcp.write_all(bytes),
            Self::Tls(tls) => {
                let mut stream = rustls::Stream::new(&mut tls.connection, &mut tls.tcp);
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }
}

#[cfg(test)]
mod tests;
