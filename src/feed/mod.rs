//! Market data in.
pub mod depth_sync;
pub mod outbox;
