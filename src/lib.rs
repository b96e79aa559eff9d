//! Gannet: a low-latency trading core.
// The map is completed as the modules land.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests fail by panicking"
    )
)]

// Lets strategy files, and only them, name the crate as their users do: `use gannet::…`.
extern crate self as gannet;

pub mod metrics;
pub mod pipeline;
pub mod types;
