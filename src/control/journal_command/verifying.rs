//! `gannet journal verify`: whether a journal is whole.

use super::content::stage_name;
use super::output::{Output, thousands};
use super::progress::Progress;
use super::source::Source;
use crate::control::journaling::SCHEMA;
use crate::journal::{Report, ScanOptions, Verdict, epochs, verify};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Options of `gannet journal verify`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet journal verify gannet-data/journal
  gannet journal verify DIR --json   {\"verdict\":\"whole\",\"segments\":N,\"records\":N,\"stages\":{\"risk\":N,…},…}
It reads every record, writes nothing and takes no lock. Ends with exit code 0 where the journal is whole, and also where
only its end was cut short by a crash (\"torn\", told as a warning): the next start puts that aside. Ends with 1 where it is
damaged or not for this build (\"refused\"): gannet run would not start on it. While an engine writes, what is just being
written may pass for a torn end.")]
pub struct VerifyArgs {
    /// The journal's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Prints the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What is in a journal, for programs.
#[derive(Clone, Debug, Serialize)]
struct Found {
    /// `whole`, `torn` or `refused`.
    verdict: &'static str,
    segments: u64,
    records: u64,
    first_seq: u64,
    last_seq: u64,
    /// Records by stage.
    stages: BTreeMap<String, u64>,
    /// Engine starts that the segments' headers name.
    epochs: Vec<u32>,
    /// Segments of which one of the two header copies is not sound.
    damaged_headers: Vec<u64>,
    is_checkpoint_damaged: bool,
    /// Bytes at its end that a crash cut short.
    torn_bytes: Option<u64>,
    /// Why it is refused.
    problem: Option<String>,
}

impl Found {
    fn of(report: &Report, epochs: Vec<u32>) -> Self {
        let (verdict, torn_bytes, problem) = match &report.verdict {
            Verdict::Clean(_) => ("whole", None, None),
            Verdict::Torn(_, torn, _) => ("torn", Some(torn.bytes), None),
            Verdict::Refused(error) => ("refused", None, Some(error.to_string())),
        };
        Self {
            verdict,
            segments: report.segments,
            records: report.records,
            first_seq: report.first_seq,
            last_seq: report.last_seq,
            stages: report.stages.iter().map(|&(stage, count)| (stage_name(stage), count)).collect(),
            epochs,
            damaged_headers: report.damaged_headers.clone(),
            is_checkpoint_damaged: report.is_checkpoint_damaged,
            torn_bytes,
            problem,
        }
    }
}

/// Reads a whole journal and judges it, showing progress.
pub(super) fn judge(source: &Source, is_quiet: bool) -> Report {
    let mut shown = Progress::new(is_quiet);
    let options = ScanOptions { schemas: vec![SCHEMA], ..ScanOptions::default() };
    verify(source.disk.as_ref(), &options, &mut |so_far| {
        let (segments, total, records) = (so_far.segments, so_far.segments_total, so_far.records);
        shown.show(|| format!("{segments} of {total} segments, {} records", thousands(records)));
    })
}

/// Judges a journal.
///
/// # Errors
/// Why it is refused.
pub(super) fn run(args: &VerifyArgs) -> Result<(), Vec<String>> {
    let source = Source::open(&args.folder).map_err(|error| vec![error])?;
    let report = judge(&source, args.json);
    // Headers that cannot be read are in the verdict.
    let epochs = epochs(source.disk.as_ref()).unwrap_or_default();
    let found = Found::of(&report, epochs.into_iter().map(|(epoch, _)| epoch).collect());
    let mut out = Output::new();
    if args.json {
        out.line(&serde_json::to_string(&found).unwrap_or_default())?;
    } else {
        for line in lines(&found, &report) {
            out.line(&line)?;
        }
    }
    out.flush()?;
    for warning in warnings(&found) {
        eprintln!("gannet: warning: {}", source.words(&warning));
    }
    match found.problem {
        Some(problem) => Err(vec![source.words(&problem)]),
        None => Ok(()),
    }
}

/// What there is to say to people.
fn lines(found: &Found, report: &Report) -> Vec<String> {
    let counts = found.stages.iter().map(|(stage, count)| format!("{stage} {}", thousands(*count)));
    let edge = |epoch: Option<&u32>| epoch.copied().unwrap_or_default();
    let (first_epoch, last_epoch) = (edge(found.epochs.first()), edge(found.epochs.last()));
    let mut lines = vec![
        format!("segments  {}", thousands(found.segments)),
        format!("records   {}, sequences {} to {}", thousands(found.records), found.first_seq, found.last_seq),
        format!("stages    {}", counts.collect::<Vec<_>>().join(", ")),
        format!("epochs    {}, {first_epoch} to {last_epoch}", found.epochs.len()),
    ];
    lines.push(match &report.verdict {
        Verdict::Clean(end) => {
            format!("verdict   whole: every record is there; the next one comes to {}", end.position)
        }
        Verdict::Torn(end, torn, flaw) => format!(
            "verdict   torn: a crash cut short what was being written at {}: {flaw}, {} bytes",
            end.position, torn.bytes
        ),
        Verdict::Refused(_) => "verdict   refused; the figures above reach up to where it stopped".to_owned(),
    });
    lines
}

/// What is no reason to refuse it.
fn warnings(found: &Found) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Some(bytes) = found.torn_bytes {
        warnings.push(format!("{bytes} bytes at its end were cut short by a crash; the next start puts them aside"));
    }
    for number in &found.damaged_headers {
        warnings.push(format!(
            "segment {number}: one of the two copies of its header is damaged; the next start repairs it"
        ));
    }
    if found.is_checkpoint_damaged {
        warnings.push("one of the two slots of its watermark is damaged; the next note replaces it".to_owned());
    }
    warnings
}
