//! Gannet: a low-latency trading core in one binary. Market data in, risk-checked orders out.
//!
//! ```text
//!             hot plane: stages on pinned threads, no locks, no allocation, no waiting
//!   venue ──ws──► feed ──► shard 0..n ──► risk ──► gateway ──ws──► venue
//!                            ▲              ▲          │
//!                            └──────────────┴──────────┘ execution reports
//!             ─────────────────────────────────────────────────────────────
//!             cold plane: one async thread
//!   REST, connections, display ◄──► control ──► commands, snapshots, history ──► stages
//!   what shards, risk and gateways take and decide ──► journal ──► recovery, replay
//! ```
//!
//! # The ideas
//!
//! 1. **Stage** ([`pipeline::stage`]). [`feed`], [`strategy::runner`], [`risk`] and [`gateway`] are plain structs with one
//!    method that matters: `poll(now) -> work done`. No stage owns a thread, draws a random number or knows another
//!    stage. Shard, risk and gateway are pure functions of what they take in, in order; feed and gateway add a socket at
//!    the edge.
//! 2. **Lane** ([`pipeline::lane`]). Stages talk through single-producer rings only, one for each pair and kind, of
//!    fixed-size `Copy` messages ([`types::message`]). Every lane has an outcome for when it is full, in one table.
//! 3. **Thread plan** ([`pipeline::threads`]). Which stages run on which thread is configuration: `fused`, `split`, or an
//!    explicit list. Tests, measurements and production run the very same stages.
//! 4. **Sans-I/O codecs** ([`venue`]). Bytes to messages and back are functions; sockets only move bytes. A fast scanner
//!    decodes what makes up the traffic, a general decoder everything else, and a test proves them equal.
//! 5. **Journal** ([`journal`]). What shards, risk and gateways take, poll by poll, and what they decide goes through a tap each
//!    ([`pipeline::tap`]) into one append-only log. The same stages, fed from it, come to the same by the same way
//!    ([`backtest`]): recovery, audit and replay are one mechanism. An order is in shared memory before it can be on the
//!    wire ([`pipeline::order_page`]), and in the log within a millisecond.
//! 6. **One truth.** [`risk`] owns orders, exposure, positions and balances; the [`gateway`] owns what is on the wire and
//!    publishes all it learns. Displays and the cold plane only read copies.
//!
//! The whole machine is built on one page, in [`pipeline::build`]; one run from configuration to summary is
//! [`control::engine::run`].
//!
//! # Invariants
//!
//! - **Only risk makes an [`risk::Approved`]**, and a gateway takes nothing else. A limit that is not configured denies.
//!   Cancels always pass.
//! - **Orders are never guessed.** An order is entered in [`gateway::wire`] before its bytes are written, and leaves only
//!   by the venue's word. What is unanswered is [`Unknown`](types::OrderStatus::Unknown), keeps its whole reserve, and is
//!   asked about; nothing is ever sent again under a new id. Which report does what to an order in which state is one table
//!   ([`risk::transitions`]), which draws the diagram beside it.
//! - **Exposure is an interval** ([`risk::Exposure`]): what is booked, less what open sells may still fill, plus what open
//!   buys may, orders in doubt and orders that are not ours included. Limits hold at its worse end. Its width is zero when
//!   no order is open.
//! - **Recover, reconcile, then trade**: a start follows what the journal says to its end, with the decisions that were
//!   recorded; what was open then is unknown. After every connect, and again every few seconds, balances, open orders and
//!   fills are compared with the venue's. A question without an answer proves nothing.
//! - **An edited strategy never keeps an engine from starting.** Strategies resume from what they saved, or from their
//!   shard's replay, where their file is the same ([`control::resuming`]); whatever is amiss with that only means that they
//!   begin afresh.
//! - **Whoever stops trading needs nobody.** A kill is a bit in a table and a generation that risk reads each cycle; it
//!   comes from a file, a signal, a panic or the watchdog, while every other thread hangs. Breakers stop by themselves, in
//!   states of their own. What makes trading wider takes two people.
//! - **No order from a book that is not in sync.** The shard's runner, never the strategy, stamps each intent with what
//!   it knew of the market; risk judges from the stamp.
//! - **A client order id is used once.** Its epoch is one more than the highest among our orders at any venue.
//! - **Numbers are integers** at a stated precision; overflow is a refusal. Floats are for indicators in strategies.
//! - **A strategy that fails harms no neighbour**: panics are caught, three errors in a row pause it, its orders are
//!   canceled, the stops that protect its positions stay. One that never returns is what the watchdog is for
//!   ([`control::watchdog`]).
//! - **After start the hot threads allocate nothing** (a test counts), lock nothing, log nothing, and read no clock but the
//!   loop's. Everything is bounded, and what does not fit is counted.
//! - **What a stage did not come by in a message is an input all the same**: kills, pauses, lanes that are full, a journal
//!   that is behind are written down like messages, so that replay finds them too.
//! - **Unsafe code stands in one place**, a module of [`pipeline::heartbeat`], where two processes share memory.
//! - **Who may import whom** is read from the sources by a test (`tests/layering.rs`).
//!
//! # What is deliberately absent
//!
//! No async on the hot plane; no shared state but counters, heartbeats, the rate ledger and the kill switch; no general
//! event bus; no switch that turns a risk control off. Not there yet: the database, backtests, and venues other than
//! Binance spot (the market streams of its futures are decoded).

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

#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    reason = "cold: a thread of its own, which waits for the disk"
)]
pub mod journal;

#[allow(clippy::disallowed_macros, reason = "cold: the stages without their threads")]
pub mod backtest;

#[allow(clippy::disallowed_macros, reason = "cold: read at start")]
pub mod config;

#[allow(
    clippy::disallowed_macros,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "cold: the plane that may wait"
)]
pub mod control;
