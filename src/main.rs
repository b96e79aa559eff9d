//! The `gannet` command.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A low-latency trading core: market data in, risk-checked orders out.
#[derive(Parser)]
#[command(version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Exchange(gannet::exchange::command::Arguments),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Exchange(arguments) => gannet::exchange::command::run(&arguments),
    }
}
