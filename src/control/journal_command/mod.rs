//! `gannet journal`: what persons and programs do with a journal besides running it.
//!
//! Each subcommand is a file: `verifying`, `inspecting`, `exporting`, `tailing`, `pruning`. They share how a journal is
//! opened and read to its end though an engine may be writing (`source`), what a record says (`content`), and how that is
//! written down, for programs and for people from the same lists of fields (`fields`, `text`, `words`).

mod content;
pub(super) use content::parse_order;
mod exporting;
mod fields;
mod inspecting;
mod interrupt;
mod output;
mod parquet_file;
mod progress;
mod pruning;
mod source;
mod tailing;
mod text;
mod verifying;
mod words;

pub use exporting::{ExportArgs, Format};
pub use inspecting::InspectArgs;
pub use pruning::PruneArgs;
pub use tailing::TailArgs;
pub use verifying::VerifyArgs;

use clap::{Args, Subcommand};

/// Options of `gannet journal`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet journal verify gannet-data/journal                     is it whole? exit code 1 where a start would refuse it
  gannet journal inspect DIR --order gn0000100000000001         what became of an order
  gannet journal tail DIR --follow                              what risk takes and decides, as it does
  gannet journal export DIR --to records.parquet                for other programs
  gannet journal prune DIR --below 81230 --dry-run              which segments may go
DIR is a journal's folder: `journal` in the data directory, or what --journal named. All but prune only read, also while an
engine writes. `gannet replay DIR` runs a journal again.")]
pub struct JournalArgs {
    #[command(subcommand)]
    command: JournalCommand,
}

#[derive(Clone, Debug, Subcommand)]
enum JournalCommand {
    /// Read a whole journal and say whether it is what was written.
    Verify(VerifyArgs),
    /// Show its segments, or records one a line.
    Inspect(InspectArgs),
    /// Write every record to a file, as JSON lines or Parquet.
    Export(ExportArgs),
    /// Show the newest records, and new ones as they come.
    Tail(TailArgs),
    /// Delete segments that are in two snapshots and kept elsewhere.
    Prune(PruneArgs),
}

/// Runs a subcommand.
///
/// # Errors
/// What is wrong, where, and what to do, in words.
pub fn run(args: &JournalArgs) -> Result<(), Vec<String>> {
    match &args.command {
        JournalCommand::Verify(args) => verifying::run(args),
        JournalCommand::Inspect(args) => inspecting::run(args),
        JournalCommand::Export(args) => exporting::run(args),
        JournalCommand::Tail(args) => tailing::run(args),
        JournalCommand::Prune(args) => pruning::run(args),
    }
}
