//! The `gannet` command: arguments in, exit code out.

#![allow(clippy::disallowed_macros, reason = "a command line speaks")]

use clap::{Parser, Subcommand};
use gannet::control::command::{self, CheckArgs, RunArgs};
use gannet::control::ctl::{self, CtlArgs};
use gannet::control::demo::{self, DemoArgs};
use gannet::control::journal_command::{self as journal, JournalArgs};
use gannet::control::replay::{self, ReplayArgs};
use gannet::control::watchdog::command::{self as watchdog, WatchdogArgs};
use gannet::exchange::command::{self as exchange, Arguments as ExchangeArgs};
use gannet::strategy::command::{self as strategies, StrategiesArgs};
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A low-latency trading core: market data in, risk-checked orders out.
#[derive(Parser)]
#[command(version, arg_required_else_help = true, after_help = "Start with: gannet demo")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Trade a simulated exchange that replays real recorded markets: nothing to set up.
    Demo(DemoArgs),
    /// Trade, as a configuration says.
    Run(RunArgs),
    /// Judge a configuration, its keys and its venues' answers; name every finding.
    Check(CheckArgs),
    /// Operate a running engine: kill, release, limits, overrides, status.
    Ctl(CtlArgs),
    /// Run the simulated exchange alone, for any client that speaks Binance's protocols.
    Exchange(ExchangeArgs),
    /// Watch an engine from a second process: cancel everything where it stalls or dies. `gannet run` starts it.
    Watchdog(WatchdogArgs),
    /// Run a journal through the same stages again: the same decisions, or where they first differ.
    Replay(ReplayArgs),
    /// Verify, inspect, export, follow or prune a journal.
    Journal(JournalArgs),
    /// List the strategies, show a parameter schema, start a new one.
    Strategies(StrategiesArgs),
}

fn main() -> ExitCode {
    let done = match &Arguments::parse().command {
        Command::Demo(args) => demo::run(args),
        Command::Run(args) => command::run(args),
        Command::Check(args) => command::check(args),
        Command::Ctl(args) => ctl::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Journal(args) => journal::run(args),
        Command::Exchange(args) => return exchange::run(args),
        Command::Watchdog(args) => return watchdog::run(args),
        Command::Strategies(args) => strategies::run(args, &mut std::io::stdout().lock()).map_err(|error| vec![error]),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(errors) => {
            for error in errors {
                eprintln!("gannet: {error}");
            }
            ExitCode::FAILURE
        }
    }
}
