//! `gannet journal export`: every record, for other programs.

use super::interrupt::Interrupt;
use super::output::thousands;
use super::parquet_file::ParquetFile;
use super::progress::Progress;
use super::source::{Records, Source};
use super::text::{Style, Writer};
use clap::{Args, ValueEnum};
use serde::Serialize;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Options of `gannet journal export`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet journal export gannet-data/journal --to records.jsonl
  gannet journal export DIR --to records.parquet
  duckdb -c \"select kind, count(*) from 'records.parquet' group by kind\"
JSON lines hold seq, segment, offset, stage, stage_seq, at_ns, kind, then the record's own fields; numbers of 128 bits are
text. Parquet has the columns seq, stage, stage_seq, at_ns, kind, client_order_id, instrument, price, quantity, side and
content (the JSON line). Prices and quantities are counts of their smallest unit; records of kind `engine_start` name the
precisions. The file appears whole or not at all, and takes the place of one of that name. A journal that `gannet journal
verify` refuses is not exported; of a running engine's, what there is so far.")]
pub struct ExportArgs {
    /// The journal's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    pub to: PathBuf,
    /// What to write [default: by the file's ending, .jsonl or .parquet].
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What an export can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// A Parquet file.
    Parquet,
}

impl Format {
    fn of(path: &Path) -> Result<Self, String> {
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("jsonl" | "ndjson") => Ok(Self::Jsonl),
            Some("parquet") => Ok(Self::Parquet),
            _ => Err(format!(
                "{}: its ending names no format; end it with .jsonl or .parquet, or give --format",
                path.display()
            )),
        }
    }
}

/// What came of it, for programs.
#[derive(Serialize)]
struct Outcome<'a> {
    file: &'a Path,
    records: u64,
    bytes: u64,
}

/// Exports a journal.
///
/// # Errors
/// What keeps it from being read, or the file from being written. Then there is no file.
pub(super) fn run(args: &ExportArgs) -> Result<(), Vec<String>> {
    export(args).map_err(|error| vec![error])
}

fn export(args: &ExportArgs) -> Result<(), String> {
    let source = Source::open(&args.folder)?;
    let format = args.format.map_or_else(|| Format::of(&args.to), Ok)?;
    let failed =
        |error: std::io::Error| format!("{}: {error}; name a file in a folder that can be written", args.to.display());
    let folder = match args.to.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if args.to.is_dir() {
        return Err(format!("{}: this is a folder; name a file in it", args.to.display()));
    }
    if folder.canonicalize().map_err(failed)? == source.folder().canonicalize().map_err(failed)? {
        return Err(format!("{}: this is in the journal's own folder; name a file elsewhere", args.to.display()));
    }
    let interrupt = Interrupt::watch()?;
    // Beside its place, so that it can take it in one step. Gone again where anything fails.
    let file = NamedTempFile::new_in(folder).map_err(failed)?;
    let mut records = source.records(0)?;
    let out = BufWriter::new(file.as_file().try_clone().map_err(failed)?);
    let count = match format {
        Format::Jsonl => json_lines(&mut records, out, &interrupt, args)?,
        Format::Parquet => parquet(&mut records, out, &interrupt, args)?,
    };
    file.as_file().sync_all().map_err(failed)?;
    let bytes = file.as_file().metadata().map_err(failed)?.len();
    file.persist(&args.to).map_err(|error| failed(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    if let Some(warning) = &records.warning {
        eprintln!("gannet: warning: {warning}");
    }
    let said = if args.json {
        serde_json::to_string(&Outcome { file: &args.to, records: count, bytes }).unwrap_or_default()
    } else {
        format!("{} records, {} bytes in {}", thousands(count), thousands(bytes), args.to.display())
    };
    writeln!(std::io::stdout(), "{said}").map_err(|error| format!("standard output: {error}"))
}

/// Gives every record to `take`, with progress; the answer is how many there were.
fn each(
    records: &mut Records<'_>,
    interrupt: &Interrupt,
    is_quiet: bool,
    take: &mut dyn FnMut(&super::content::Decoded, &super::words::Words) -> Result<(), String>,
) -> Result<u64, String> {
    let mut shown = Progress::new(is_quiet);
    let mut count = 0;
    while let Some(decoded) = records.next()? {
        if interrupt.is_seen() {
            return Err("interrupted; no file was written".to_owned());
        }
        take(&decoded, records.words())?;
        count += 1;
        let total = records.durable_seq().saturating_sub(decoded.position.seq).saturating_add(count);
        shown.step(|| format!("{} of {} records", thousands(count), thousands(total)));
    }
    Ok(count)
}

fn json_lines(
    records: &mut Records<'_>,
    mut out: BufWriter<File>,
    interrupt: &Interrupt,
    args: &ExportArgs,
) -> Result<u64, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", args.to.display());
    let count = each(records, interrupt, args.json, &mut |decoded, words| {
        let mut writer = Writer::new(Style::Json, words);
        decoded.write(&mut writer);
        writeln!(out, "{}", writer.finish()).map_err(failed)
    })?;
    out.flush().map_err(failed)?;
    Ok(count)
}

fn parquet(
    records: &mut Records<'_>,
    out: BufWriter<File>,
    interrupt: &Interrupt,
    args: &ExportArgs,
) -> Result<u64, String> {
    let failed = |error: String| format!("{}: {error}", args.to.display());
    let mut file = ParquetFile::begin(out).map_err(failed)?;
    let count = each(records, interrupt, args.json, &mut |decoded, words| file.row(decoded, words).map_err(failed))?;
    file.end().map_err(failed)?;
    Ok(count)
}
