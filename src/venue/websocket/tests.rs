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
    let fragmented = (proptest::collection::vec(proptest::collection::vec(b' '..=b'~', 0..300), 2..6), any::<bool>())
        .prop_map(|(parts, is_text)| {
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
        });
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
