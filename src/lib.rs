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

// In the order in which data flows.
pub mod types;

#[allow(clippy::disallowed_macros, reason = "cold: builds the machine once; its lanes and loop use none")]
pub mod pipeline;

pub mod feed;

pub mod book;

pub mod strategy;

/// The strategies of the folder `strategies/`, one module a file.
pub mod strategies {
    include!(concat!(env!("OUT_DIR"), "/strategies.rs"));
}

pub mod risk;

pub mod gateway;

pub mod venue;

pub mod portfolio;

#[allow(clippy::indexing_slicing, reason = "cold: an exchange's, not ours")]
pub mod matching;

#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    reason = "cold: a server of its own"
)]
pub mod exchange;

pub mod metrics;

#[allow(clippy::disallowed_macros, reason = "cold: read at start")]
pub mod config;

#[allow(clippy::disallowed_macros, clippy::disallowed_methods, reason = "cold: the plane that may wait")]
pub mod control;
