//! Wire formats: bytes to messages and messages to bytes, without I/O, and the mover of bytes below them.
//!
//! [`websocket`] cuts the byte stream into frames and [`handshake`] opens it; [`socket`] moves the bytes, [`mod@connect`]
//! makes the connection (cold). Each venue has a folder of its own: what its frames mean.

pub mod binance;
pub mod budget;
#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "cold: makes connections, and names what failed"
)]
pub mod connect;
pub mod connection;
#[allow(clippy::disallowed_macros, reason = "cold: once a connection")]
pub mod handshake;
pub mod memory;
pub mod socket;
pub mod websocket;

pub use budget::{Budget, BudgetLimits, BudgetUse, Urgency};
pub use connect::{ConnectError, Connected, Endpoint, Plaintext, connect, tls_config};
pub use memory::{MemoryControl, MemoryPipe, MemoryStream};
pub use socket::{ByteStream, Socket, StreamError};
pub use websocket::{Frame, FrameError, FrameReader, FrameWriter, WriterFull};
