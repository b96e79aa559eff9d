//! `gannet journal tail`: the newest records, and new ones as they come.

use super::inspecting::line;
use super::interrupt::Interrupt;
use super::output::Output;
use super::source::{Records, Source};
use clap::Args;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::time::Duration;

/// How often new records are looked for: as often as the journal notes how far it is.
const INTERVAL: Duration = Duration::from_millis(100);

/// Options of `gannet journal tail`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet journal tail gannet-data/journal
  gannet journal tail DIR -n 100 --json
  gannet journal tail DIR --follow --json | grep '\"kind\":\"denied\"'
With --follow, records are shown when the journal notes them as durable, ten times a second; over new segments and new
engine starts, until Ctrl-C. It writes nothing and takes no lock.")]
pub struct TailArgs {
    /// The journal's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Goes on with new records as they come.
    #[arg(long, short)]
    pub follow: bool,
    /// How many of the newest records.
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 20)]
    pub lines: usize,
    /// Prints one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

/// Shows the newest records.
///
/// # Errors
/// What keeps them from being read.
pub(super) fn run(args: &TailArgs) -> Result<(), Vec<String>> {
    let one = |error: String| vec![error];
    let source = Source::open(&args.folder).map_err(one)?;
    let interrupt = Interrupt::watch().map_err(one)?;
    let wanted = u64::try_from(args.lines).unwrap_or(u64::MAX);
    let from = source.durable_seq().map_err(one)?.saturating_add(1).saturating_sub(wanted);
    let mut records = source.records(from).map_err(one)?;
    let mut out = Output::new();
    for line in newest(args, &mut records, &interrupt)? {
        out.line(&line)?;
    }
    out.flush()?;
    if let Some(warning) = &records.warning {
        eprintln!("gannet: warning: {warning}");
    }
    while args.follow && !interrupt.is_seen() && !out.is_over {
        while let Some(decoded) = records.next_durable().map_err(one)? {
            out.line(&line(&decoded, records.words(), args.json))?;
            if interrupt.is_seen() {
                break;
            }
        }
        out.flush()?;
        std::thread::sleep(INTERVAL);
    }
    Ok(())
}

fn newest(args: &TailArgs, records: &mut Records<'_>, interrupt: &Interrupt) -> Result<VecDeque<String>, Vec<String>> {
    let mut lines = VecDeque::new();
    // The watermark is behind a running engine: what came since is read too, and the oldest given up for it.
    while let Some(decoded) = records.next().map_err(|error| vec![error])? {
        lines.push_back(line(&decoded, records.words(), args.json));
        if lines.len() > args.lines {
            lines.pop_front();
        }
        if interrupt.is_seen() {
            break;
        }
    }
    Ok(lines)
}
