//! The `gannet` command.

use clap::{Parser, Subcommand};
use gannet::strategy::command::StrategiesArgs;
use std::process::ExitCode;

/// A low-latency trading core: market data in, risk-checked orders out.
#[derive(Parser)]
#[command(version)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists strategies, shows their parameters, begins a new one
    Strategies(StrategiesArgs),
}

fn main() -> ExitCode {
    let result = match Line::parse().command {
        Command::Strategies(args) => gannet::strategy::command::run(&args, &mut std::io::stdout().lock()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "error: {message}");
            ExitCode::FAILURE
        }
    }
}
