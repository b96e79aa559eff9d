//! `gannet journal prune`: deletes segments that nobody needs any more.

use super::output::{Output, thousands};
use super::source::Source;
use super::verifying::judge;
use crate::journal::{
    SNAPSHOTS_KEPT_MIN, SegmentHeader, Verdict, prunable_segments, prune_segments, segment_name, verified_snapshots,
};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Options of `gannet journal prune`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet journal prune gannet-data/journal --below 81230 --dry-run   what would go
  gannet journal prune gannet-data/journal --below 81230
A segment goes only when every record of it is in the older of two snapshots that hold, and below SEQ: with it you state that
every record below SEQ is kept elsewhere, exported for instance. No database takes records yet, so that without --below
nothing is acknowledged and nothing is deleted. The newest segment always stays. It may run while the engine writes, which
never goes back to an older segment. A journal that `gannet journal verify` refuses is not touched.")]
pub struct PruneArgs {
    /// The journal's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Every record below this sequence is kept elsewhere.
    #[arg(long, value_name = "SEQ", value_parser = clap::value_parser!(u64).range(1..))]
    pub below: Option<u64>,
    /// Only says what would be deleted.
    #[arg(long)]
    pub dry_run: bool,
    /// Prints the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What came of it, for programs.
#[derive(Serialize)]
struct Outcome {
    is_dry_run: bool,
    /// Segments that were deleted, or would be.
    segments: Vec<Gone>,
    bytes: u64,
    /// Sequences of the newest snapshots that hold.
    snapshots: Vec<u64>,
    /// Why nothing goes.
    reason: Option<String>,
}

#[derive(Serialize)]
struct Gone {
    file: String,
    first_seq: u64,
    last_seq: u64,
    bytes: u64,
}

/// Deletes what nobody needs.
///
/// # Errors
/// What keeps the journal from being read or trusted, or the disk refuses.
pub(super) fn run(args: &PruneArgs) -> Result<(), Vec<String>> {
    let outcome = prune(args).map_err(|error| vec![error])?;
    let mut out = Output::new();
    if args.json {
        out.line(&serde_json::to_string(&outcome).unwrap_or_default())?;
        return out.flush();
    }
    let does = if args.dry_run { "would delete" } else { "deleted" };
    for gone in &outcome.segments {
        let Gone { file, first_seq, last_seq, .. } = gone;
        out.line(&format!("{does} {file}, sequences {first_seq} to {last_seq}"))?;
    }
    let (count, bytes) = (outcome.segments.len(), thousands(outcome.bytes));
    match &outcome.reason {
        Some(reason) => out.line(&format!("nothing is deleted: {reason}"))?,
        None => out.line(&format!("{does} {count} segments, {bytes} bytes"))?,
    }
    out.flush()
}

fn prune(args: &PruneArgs) -> Result<Outcome, String> {
    let source = Source::open(&args.folder)?;
    let disk = source.disk.as_ref();
    let failed = |error: crate::journal::JournalError| source.words(&error);
    // What is deleted cannot be looked at again: first it has to be known for sound.
    if let Verdict::Refused(error) = judge(&source, args.json).verdict {
        return Err(failed(error));
    }
    let headers = source.headers()?;
    let engine_id = headers.first().map(|header| header.identity.engine_id).unwrap_or_default();
    let snapshots = verified_snapshots(disk, &engine_id, SNAPSHOTS_KEPT_MIN).map_err(failed)?;
    let nothing = |reason: String| Outcome {
        is_dry_run: args.dry_run,
        segments: Vec::new(),
        bytes: 0,
        snapshots: snapshots.clone(),
        reason: Some(reason),
    };
    let Some(below) = args.below else {
        return Ok(nothing(
            "nothing is acknowledged, as no database takes the records yet; export them, then state with --below SEQ up \
             to where they are kept elsewhere"
                .to_owned(),
        ));
    };
    let durable_seq = source.durable_seq()?;
    if below > durable_seq.saturating_add(1) {
        let problem = format!("--below {below} is behind its end; its last record is {durable_seq}");
        return Err(source.words(&problem));
    }
    let acknowledged_seq = below.saturating_sub(1);
    let prunable = prunable_segments(disk, &engine_id, acknowledged_seq).map_err(failed)?;
    if prunable.is_empty() {
        return Ok(nothing(why_nothing(&headers, &snapshots, below)));
    }
    // The engine may have gone on: what goes is what is found now, never more than stated.
    let numbers =
        if args.dry_run { prunable } else { prune_segments(disk, &engine_id, acknowledged_seq).map_err(failed)? };
    let segments: Vec<Gone> = numbers.into_iter().filter_map(|number| gone(&headers, number)).collect();
    let bytes = segments.iter().map(|gone| gone.bytes).sum();
    Ok(Outcome { is_dry_run: args.dry_run, segments, bytes, snapshots, reason: None })
}

fn why_nothing(headers: &[SegmentHeader], snapshots: &[u64], below: u64) -> String {
    let Some(&older) = snapshots.get(SNAPSHOTS_KEPT_MIN - 1) else {
        return format!(
            "it takes {SNAPSHOTS_KEPT_MIN} snapshots that hold, and there are {}; segments are needed until then",
            snapshots.len()
        );
    };
    match headers.get(1) {
        None => "there is one segment, and the newest one always stays".to_owned(),
        Some(next) => format!(
            "the oldest segment reaches to sequence {}, and only what is below {below} and in the snapshot of {older} may go",
            next.first_seq.saturating_sub(1)
        ),
    }
}

/// A segment that goes: its records end before the next one's.
fn gone(headers: &[SegmentHeader], number: u64) -> Option<Gone> {
    let place = headers.iter().position(|header| header.number == number)?;
    let (header, next) = (headers.get(place)?, headers.get(place + 1)?);
    Some(Gone {
        file: segment_name(number),
        first_seq: header.first_seq,
        last_seq: next.first_seq.saturating_sub(1),
        bytes: header.segment_bytes,
    })
}
