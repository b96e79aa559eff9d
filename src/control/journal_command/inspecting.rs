//! `gannet journal inspect`: segments, or records one a line.

use super::content::{Decoded, parse_order, parse_stage};
use super::fields::Kind;
use super::output::{Output, short_hex};
use super::source::{Records, Source};
use super::text::{Style, Writer};
use super::words::Words;
use crate::control::instants::rfc3339;
use crate::journal::{SegmentHeader, segment_name};
use crate::types::{ClientOrderId, Timestamp};
use clap::Args;
use std::path::PathBuf;

/// Options of `gannet journal inspect`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet journal inspect gannet-data/journal                its segments: engine start, first sequence, build, configuration
  gannet journal inspect DIR --seq 81230                    one record
  gannet journal inspect DIR --from 81000 --until 81230
  gannet journal inspect DIR --order gn0000100000000001     what became of an order
  gannet journal inspect DIR --stage control --json         engine starts, limits and overrides; one JSON object a line
A line is sequence, stage, the stage's own sequence, instant, kind and content. Prices and quantities are counts of their
smallest unit; the record `engine_start` names the precisions. It writes nothing and takes no lock.")]
pub struct InspectArgs {
    /// The journal's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The record of this sequence.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with_all = ["from", "until"])]
    pub seq: Option<u64>,
    /// Records from this sequence on.
    #[arg(long, value_name = "N")]
    pub from: Option<u64>,
    /// Records up to this sequence.
    #[arg(long, value_name = "N")]
    pub until: Option<u64>,
    /// Records of this stage: risk, shard-0, gateway-0, control (engine starts, limits, overrides), journal, or a number.
    #[arg(long, value_name = "NAME", value_parser = parse_stage)]
    pub stage: Option<u16>,
    /// Records that concern this order.
    #[arg(long, value_name = "ID", value_parser = parse_order)]
    pub order: Option<ClientOrderId>,
    /// At most so many.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// Prints one JSON object a line.
    #[arg(long)]
    pub json: bool,
}

impl InspectArgs {
    const fn is_filtered(&self) -> bool {
        self.seq.is_some()
            || self.from.is_some()
            || self.until.is_some()
            || self.stage.is_some()
            || self.order.is_some()
            || self.limit.is_some()
    }
}

/// A record as a line.
pub(super) fn line(decoded: &Decoded, words: &Words, is_json: bool) -> String {
    let mut writer = Writer::new(if is_json { Style::Json } else { Style::Words }, words);
    if is_json {
        decoded.write(&mut writer);
        return writer.finish();
    }
    decoded.content.fields(&mut writer);
    let content = writer.finish();
    format!("{} {content}", decoded.heading()).trim_end().to_owned()
}

/// Shows what is in a journal.
///
/// # Errors
/// What keeps it from being read, or what there is not.
pub(super) fn run(args: &InspectArgs) -> Result<(), Vec<String>> {
    let one = |error: String| vec![error];
    let source = Source::open(&args.folder).map_err(one)?;
    let headers = source.headers().map_err(one)?;
    if !args.is_filtered() {
        return segments(&headers, args.json);
    }
    let from = args.seq.or(args.from).unwrap_or(0);
    let until = args.seq.or(args.until).unwrap_or(u64::MAX);
    if from > until {
        return Err(vec![format!("--from {from} is behind --until {until}; turn them round")]);
    }
    let first = headers.first().map_or(1, |header| header.first_seq);
    if until < first {
        let problem = format!("it begins with sequence {first}; what was before {until} is not there any more");
        return Err(vec![source.words(&problem)]);
    }
    let mut records = source.records(from).map_err(one)?;
    show(args, &source, &mut records, from, until)
}

fn show(
    args: &InspectArgs,
    source: &Source,
    records: &mut Records<'_>,
    from: u64,
    until: u64,
) -> Result<(), Vec<String>> {
    let mut out = Output::new();
    let mut left = args.limit.unwrap_or(u64::MAX);
    let mut shown = 0_u64;
    while left > 0 && records.next_seq() <= until && !out.is_over {
        let Some(decoded) = records.next().map_err(|error| vec![error])? else { break };
        let is_meant = (from..=until).contains(&decoded.position.seq)
            && args.stage.is_none_or(|stage| decoded.stamp.stage == stage)
            && args.order.is_none_or(|order| decoded.concerns(order));
        if is_meant {
            out.line(&line(&decoded, records.words(), args.json))?;
            (left, shown) = (left - 1, shown + 1);
        }
    }
    out.flush()?;
    if let Some(warning) = &records.warning {
        eprintln!("gannet: warning: {warning}");
    }
    let last = records.next_seq().saturating_sub(1);
    if from > last {
        let problem = format!("it ends with sequence {last}, before {from}; ask for that one or an earlier one");
        return Err(vec![source.words(&problem)]);
    }
    if shown == 0 {
        eprintln!("gannet: {}", source.words(&"no record is of that kind"));
    }
    Ok(())
}

/// The segments' headers.
fn segments(headers: &[SegmentHeader], is_json: bool) -> Result<(), Vec<String>> {
    let mut out = Output::new();
    if !is_json {
        out.line("segment                  epoch     first seq  created                         build         config            bytes")?;
    }
    for header in headers {
        let (identity, file) = (&header.identity, segment_name(header.number));
        let created = rfc3339(Timestamp::from_nanos(u64::try_from(identity.created_wall_ns).unwrap_or(0)));
        let (build, config) = (short_hex(&identity.build_hash), short_hex(&identity.config_hash));
        if is_json {
            let words = Words::default();
            let mut writer = Writer::new(Style::Json, &words);
            writer.object(|writer| {
                writer.field("segment", &header.number);
                writer.field("file", &file);
                writer.field("epoch", &identity.epoch);
                writer.field("first_seq", &header.first_seq);
                writer.field("created", &created);
                writer.field("build", &build);
                writer.field("config", &config);
                writer.field("bytes", &header.segment_bytes);
            });
            out.line(&writer.finish())?;
        } else {
            let (epoch, first, bytes) = (identity.epoch, header.first_seq, header.segment_bytes);
            out.line(&format!("{file:<24} {epoch:>5} {first:>13}  {created}  {build}  {config} {bytes:>12}"))?;
        }
    }
    out.flush()
}
