//! Binance: spot market streams and order entry over the WebSocket API, and the market streams of its futures.
//!
//! [`market`] decodes the streams, by [`scan`] where a frame has one of the shapes that make up the traffic, and by
//! [`general`] otherwise. [`order_entry`] encodes requests, [`user`] decodes their answers and the execution reports.
//! [`rest`] is the cold side. [`sign`] holds the keys.

mod cursor;
mod document;
#[cfg(test)]
mod equality;
pub mod general;
pub mod market;
pub mod order_entry;
pub mod refusal;
#[allow(clippy::disallowed_macros, reason = "cold: before trading, and when a book is resynchronised")]
pub mod rest;
pub mod scan;
pub mod sign;
mod symbols;
mod text;
pub mod user;

pub use market::{DecodeError, Level, Market, MarketCodec, MarketFrame, MarketSymbol};
pub use order_entry::{EncodeError, OrderEncoder, RequestKind, SessionKind};
pub use sign::{Credentials, CredentialsError, ed25519_of_pem};
pub use user::{Account, Balance, Leg, Legs, Response, UserCodec, UserFrame, VenueError};
