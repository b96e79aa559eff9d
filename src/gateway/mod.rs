//! Orders out, execution reports in.
pub mod wire;
