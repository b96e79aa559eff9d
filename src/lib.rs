//! Gannet: a low-latency trading core.
// The map is completed as the modules land.

#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        clippy::disallowed_macros,
        clippy::disallowed_methods,
        clippy::disallowed_types,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unwrap_used,
        reason = "tests fail by panicking"
    )
)]

// Lets strategy files, and only them, name the crate as their users do: `use gannet::…`.
extern crate self as gannet;

pub mod book;
#[allow(clippy::disallowed_macros, reason = "cold: read at start")]
pub mod config;
#[allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "cold: the plane that may wait")]
pub mod control;
pub mod feed;
pub mod gateway;
pub mod metrics;
pub mod pipeline;
pub mod portfolio;
pub mod risk;
pub mod strategy;
pub mod types;
pub mod venue;

/// The strategies of the folder `strategies/`, one module a file.
pub mod strategies {
    include!(concat!(env!("OUT_DIR"), "/strategies.rs"));
}
