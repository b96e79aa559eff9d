//! The server's end of one connection: WebSocket frames over a pipe on one side, a session of the exchange on the other.

use gannet::exchange::{Offline, SessionId};
use gannet::types::Timestamp;
use gannet::venue::{ByteStream, MemoryPipe};

/// How often the server pings.
const PING_NS: u64 = 20_000_000_000;

pub struct Link {
    pub session: SessionId,
    pipe: MemoryPipe,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    pinged_ns: Timestamp,
}

impl Link {
    pub fn new(session: SessionId, pipe: MemoryPipe, now: Timestamp) -> Self {
        Self { session, pipe, incoming: Vec::new(), outgoing: Vec::new(), pinged_ns: now }
    }

    /// Moves what there is, both ways, and shows each request to `see`; `false` once the connection is over.
    pub fn carry(&mut self, exchange: &mut Offline, now: Timestamp, mut see: impl FnMut(&str)) -> bool {
        let mut buffer = [0; 4_096];
        let is_open = loop {
            match self.pipe.try_read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => self.incoming.extend_from_slice(&buffer[..count]),
                Err(_) => break false,
            }
        };
        while let Some((opcode, payload, length)) = unmasked(&self.incoming) {
            self.incoming.drain(..length);
            match opcode {
                1 => {
                    let text = String::from_utf8(payload).expect("requests are text");
                    see(&text);
                    exchange.receive(self.session, &text);
                }
                8 => return false,
                9 => self.outgoing.extend(framed(10, &payload)),
                _ => {}
            }
        }
        while let Some(text) = exchange.next(self.session) {
            self.outgoing.extend(framed(1, text.as_bytes()));
        }
        if now.since(self.pinged_ns) >= PING_NS {
            self.pinged_ns = now;
            self.outgoing.extend(framed(9, b"gannet"));
        }
        let Ok(written) = self.pipe.try_write(&self.outgoing) else { return false };
        self.outgoing.drain(..written);
        is_open && exchange.is_connected(self.session)
    }
}

/// A server's frame.
fn framed(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..=125 => frame.push(length as u8),
        length @ 126..=0xFFFF => {
            frame.push(126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            frame.push(127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

/// The first whole frame of a client: opcode, payload, and how long it is in all.
fn unmasked(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let (&[first, second], _) = bytes.split_first_chunk::<2>()?;
    let (start, length) = match second & 0x7F {
        126 => (4, usize::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?))),
        length => (2, usize::from(length)),
    };
    let mask = bytes.get(start..start + 4)?;
    let payload = bytes.get(start + 4..start + 4 + length)?;
    let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    Some((first & 0x0F, payload, start + 4 + length))
}
