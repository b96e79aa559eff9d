use super::super::socket::ByteStream;
use super::super::websocket::{Frame, FrameWriter};
use super::*;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::net::TcpListener;
use std::thread::JoinHandle;
use tokio_tungstenite::tungstenite::{Message, accept};

const ROOT: &[u8] = include_bytes!("../../../tests/data/tls/root.pem");
const SERVER: &[u8] = include_bytes!("../../../tests/data/tls/server.pem");
const EXPIRED: &[u8] = include_bytes!("../../../tests/data/tls/expired.pem");
const SERVER_KEY: &[u8] = include_bytes!("../../../tests/data/tls/server.key");
const TIMEOUT: Duration = Duration::from_secs(5);

/// A server for one connection: greets at once, then echoes texts until the client closes. Behind TLS with this
/// certificate, if one is given.
fn server(certificate: Option<&'static [u8]>) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let thread = std::thread::spawn(move || {
        let (tcp, _) = listener.accept().expect("a client");
        match certificate {
            None => echo(tcp),
            Some(pem) => {
                let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().expect("PEM");
                let key = PrivateKeyDer::from_pem_slice(SERVER_KEY).expect("PEM");
                let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                    .with_safe_default_protocol_versions()
                    .expect("versions")
                    .with_no_client_auth()
                    .with_single_cert(chain, key)
                    .expect("a certificate");
                echo(StreamOwned::new(ServerConnection::new(Arc::new(config)).expect("a server"), tcp));
            }
        }
    });
    (port, thread)
}

fn echo(stream: impl Read + Write) {
    // A client that does not like our certificate never gets here.
    let Ok(mut socket) = accept(stream) else { return };
    socket.send(Message::text("hello")).expect("sent");
    while let Ok(message) = socket.read() {
        if message.is_text() {
            socket.send(message).expect("sent");
        }
    }
}

/// Polls until a text has come.
fn next_text(connected: &mut Connected) -> Vec<u8> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(Frame::Text(text)) = connected.reader.next().expect("frames") {
            return text.to_vec();
        }
        let count = connected.socket.try_read(connected.reader.buffer_mut()).expect("a stream");
        connected.reader.advance(count);
        assert!(Instant::now() < deadline, "nothing came");
    }
}

fn converse(mut connected: Connected, thread: JoinHandle<()>) {
    assert_eq!(next_text(&mut connected), b"hello");
    let mut writer = FrameWriter::new(1 << 20);
    let long = "x".repeat(300_000);
    for text in ["one", long.as_str(), "three"] {
        writer.text(text.as_bytes(), 0x0102_0304).expect("room");
        // The server echoes while we still write: read and write in turns, as a stage does.
        let mut answer = None;
        let deadline = Instant::now() + TIMEOUT;
        while answer.is_none() || !writer.pending().is_empty() {
            let written = connected.socket.try_write(writer.pending()).expect("a stream");
            writer.consume(written);
            let count = connected.socket.try_read(connected.reader.buffer_mut()).expect("a stream");
            connected.reader.advance(count);
            if let Some(Frame::Text(text)) = connected.reader.next().expect("frames") {
                answer = Some(text.to_vec());
            }
            assert!(Instant::now() < deadline, "no echo");
        }
        assert_eq!(answer.as_deref(), Some(text.as_bytes()));
    }
    assert_eq!(connected.socket.try_read(connected.reader.buffer_mut()), Ok(0), "nothing more, and no wait for it");
    drop(connected);
    thread.join().expect("the server");
}

fn to(url: &str) -> Endpoint {
    Endpoint::parse(url, Plaintext::LoopbackOnly).expect("an endpoint")
}

#[test]
fn plain_on_loopback() {
    let (port, thread) = server(None);
    let connected =
        connect(&to(&format!("ws://127.0.0.1:{port}/ws")), TIMEOUT, tls_config(None).expect("TLS")).expect("connected");
    converse(connected, thread);
}

#[test]
fn tls_with_a_root_of_our_own() {
    let (port, thread) = server(Some(SERVER));
    let connected = connect(&to(&format!("wss://localhost:{port}/ws")), TIMEOUT, tls_config(Some(ROOT)).expect("TLS"))
        .expect("connected");
    converse(connected, thread);
}

#[test]
fn certificates_are_never_worked_around() {
    for (name, certificate, root, host) in [
        ("unknown issuer", SERVER, None, "localhost"),
        ("another host", SERVER, Some(ROOT), "127.0.0.1"),
        ("expired", EXPIRED, Some(ROOT), "localhost"),
    ] {
        let (port, thread) = server(Some(certificate));
        let result = connect(&to(&format!("wss://{host}:{port}/ws")), TIMEOUT, tls_config(root).expect("TLS"));
        assert!(matches!(result, Err(ConnectError::Tls(ref text)) if text.contains(host)), "{name}: {result:?}");
        drop(result);
        thread.join().expect("the server");
    }
    assert!(matches!(tls_config(Some(b"no PEM")), Err(ConnectError::Tls(_))));
}

/// A server that answers these bytes to whatever comes.
fn answering(answer: &'static [u8]) -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let thread = std::thread::spawn(move || {
        let (mut tcp, _) = listener.accept().expect("a client");
        let mut request = [0; 2048];
        assert!(tcp.read(&mut request).is_ok());
        let _ = tcp.write_all(answer);
        if answer.is_empty() {
            std::thread::sleep(Duration::from_millis(600));
        }
    });
    (port, thread)
}

#[test]
fn refusals_name_the_host_and_the_status() {
    let (port, thread) = answering(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 0\r\n\r\n");
    let error = connect(&to(&format!("ws://127.0.0.1:{port}/ws")), TIMEOUT, tls_config(None).expect("TLS"))
        .expect_err("refused");
    assert_eq!(error.retry_after_s(), Some(30));
    assert!(error.to_string().contains("429") && error.to_string().contains(&format!("127.0.0.1:{port}")));
    thread.join().expect("the server");

    let (port, thread) = answering(b"");
    let begun = Instant::now();
    let error =
        connect(&to(&format!("ws://127.0.0.1:{port}/")), Duration::from_millis(200), tls_config(None).expect("TLS"))
            .expect_err("silent");
    assert!(matches!(error, ConnectError::Io(ref text) if text.contains("timeout")), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(550));
    thread.join().expect("the server");

    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port();
    let error =
        connect(&to(&format!("ws://127.0.0.1:{port}/")), TIMEOUT, tls_config(None).expect("TLS")).expect_err("nobody");
    assert!(matches!(error, ConnectError::Connect(_)), "{error}");
}

#[test]
fn addresses() {
    let parse = |url: &str| {
        Endpoint::parse(url, Plaintext::LoopbackOnly)
            .map(|endpoint| endpoint.to_string())
            .map_err(|error| error.to_string())
    };
    assert_eq!(
        parse("wss://stream.binance.com:9443/stream?streams=a@b/c@d").as_deref(),
        Ok("wss://stream.binance.com:9443/stream?streams=a@b/c@d")
    );
    assert_eq!(parse("wss://ws-api.binance.com:443/ws-api/v3").as_deref(), Ok("wss://ws-api.binance.com/ws-api/v3"));
    assert_eq!(parse("ws://localhost:8080").as_deref(), Ok("ws://localhost:8080/"));
    assert_eq!(parse("ws://[::1]:8080/x").as_deref(), Ok("ws://[::1]:8080/x"));
    assert_eq!(parse("ws://127.0.0.1").as_deref(), Ok("ws://127.0.0.1/"));
    for bad in [
        "ws://stream.binance.com/ws",
        "ws://192.168.0.1/ws",
        "http://localhost/",
        "wss://",
        "wss://host:0/",
        "wss://host:70000/",
        "wss://user@host/",
        "wss://ho st/",
        "wss://host/\r\nX: y",
    ] {
        assert!(parse(bad).is_err(), "{bad}");
    }
    assert!(Endpoint::parse("ws://192.168.0.1/ws", Plaintext::Anywhere).is_ok());
}
