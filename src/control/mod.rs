//! The cold plane: it does for the hot plane what may wait, and shows people what happens.
//!
//! [`engine`] is one run from configuration to summary: [`assemble`] asks the venues and makes the machine's
//! configuration, [`plane`] serves the hot plane while it runs, [`agree`] compares the books at the end. [`watchdog`] is another process: it cancels
//! everything where this one stalls or dies.

pub mod agree;
pub mod assemble;
pub mod audit;
pub mod client;
mod clocks;
pub mod command;
pub mod ctl;
pub mod data_dir;
pub mod demo;
pub mod demo_operators;
mod difference;
pub mod engine;
pub mod identity;
pub mod instants;
pub mod journal_command;
pub mod journaling;
pub mod keeper;
pub mod kill_file;
mod limits;
pub mod names;
pub mod office;
pub mod operators;
pub mod plane;
pub mod replay;
pub mod requests;
pub mod resuming;
pub mod snapshots;
pub mod standing;
pub mod state;
pub mod status;
pub mod summary;
pub mod view;
pub mod watchdog;

use std::io::IsTerminal;

/// Logs to standard error, as `filter` says; a filter that cannot be read logs at `info`.
pub fn log_to_stderr(filter: &str) {
    let filter = tracing_subscriber::EnvFilter::try_new(filter).unwrap_or_else(|_| "info".into());
    // A second call, as in tests, keeps the first one's subscriber.
    let colored = std::io::stderr().is_terminal();
    let _ =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colored).with_writer(std::io::stderr).try_init();
}
