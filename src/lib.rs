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

#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    reason = "cold: a server of its own"
)]
pub mod exchange;
pub mod matching;
pub mod metrics;
pub mod pipeline;
pub mod types;
