//! `gannet replay`: a journal through the same stages again.

use super::explain::{Story, Told};
use super::journal_command::parse_order;
use crate::backtest::{FirstDifference, History, Stop, StopReason};
use crate::journal::{Disk, FolderDisk, JournalStage, Reader};
use crate::types::{ClientOrderId, StrategyId};
use clap::Args;
use serde::Serialize;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often progress is shown.
const SHOW_INTERVAL: Duration = Duration::from_millis(250);

/// Options of `gannet replay`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Examples:
  gannet replay gannet-data/journal             does the same code come to the same decisions again?
  gannet replay gannet-data/journal --json      {\"identical\":true,\"records\":N,\"orders\":N,\"first_difference\":null,…}
  gannet replay DIR --until 81230               only the records up to this sequence
  gannet replay DIR --explain gn0000100000000007   why this order, and what became of it
Risk is replayed whole, each gateway too unless entries of it were left out, each shard up to where market data was left out,
and not at all where the file of one of its strategies is another than it was: all that is told, and no difference. It writes
nothing and takes no lock: the journal
of a running engine can be replayed up to its newest record. Ends with exit code 1 where anything differs.")]
pub struct ReplayArgs {
    /// The journal's folder.
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Stops after the record of this sequence.
    #[arg(long, value_name = "SEQ")]
    pub until: Option<u64>,
    /// Tells one order's whole story: the tick, the strategy's reason, each control with its margin, instants, fills, and what the
    /// market did after them.
    #[arg(long, value_name = "ORDER", value_parser = parse_order)]
    pub explain: Option<ClientOrderId>,
    /// Prints the result as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// What a replay came to.
#[derive(Clone, Debug, Serialize)]
struct Outcome {
    /// Whether every entry was written again as it was written live.
    identical: bool,
    records: u64,
    /// Records before the first engine start that is there whole: what began it is in segments that were pruned.
    passed_over: u64,
    /// Engine starts.
    starts: u64,
    /// Orders that risk let pass.
    orders: u64,
    first_difference: Option<Shown>,
    /// Why replay stopped before the end, where it did.
    problem: Option<String>,
    /// Risk, shards and gateways.
    stages: Vec<Stage>,
    /// The order that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    explained: Option<Told>,
}

#[derive(Clone, Debug, Serialize)]
struct Shown {
    epoch: u32,
    sequence: u64,
    stage: String,
    /// Which strategy's order it concerns, where it concerns one.
    strategy: Option<String>,
    recorded: String,
    replayed: String,
}

/// What was replayed of a stage.
#[derive(Clone, Debug, Serialize)]
struct Stage {
    stage: String,
    records: u64,
    /// Those of them that were replayed.
    replayed: u64,
    /// Where it was not replayed further, by engine start.
    stopped: Vec<Stopped>,
}

/// Where replay of a stage ended before the engine did.
#[derive(Clone, Debug, Serialize)]
struct Stopped {
    epoch: u32,
    sequence: u64,
    /// `gap`, `edited` or `refused`.
    reason: &'static str,
    /// Because of which strategy, where it is because of one.
    strategy: Option<String>,
    detail: String,
}

impl Stopped {
    fn of(stop: &Stop) -> Self {
        let (reason, detail) = match &stop.reason {
            StopReason::Gap { count } => ("gap", format!("{count} entries were left out")),
            StopReason::Edited => ("edited", "its file is not the one that this program was built with".to_owned()),
            StopReason::Refused(problem) => ("refused", problem.clone()),
        };
        let Stop { epoch, seq, strategy, .. } = stop;
        Self { epoch: *epoch, sequence: *seq, reason, strategy: strategy.clone(), detail }
    }
}

impl Shown {
    fn of(first: &FirstDifference, history: &History) -> Self {
        let text = |entry: Option<crate::types::Entry>| {
            entry.map_or_else(|| "nothing".to_owned(), |entry| format!("{} {:?}", entry.sequence, entry.event))
        };
        Self {
            epoch: first.epoch,
            sequence: first.seq,
            stage: first.stage.to_string(),
            strategy: history
                .start()
                .filter(|_| first.strategy != StrategyId::NONE)
                .map(|start| start.strategy_name(first.strategy)),
            recorded: text(first.difference.recorded),
            replayed: text(first.difference.replayed),
        }
    }
}

/// Replays a journal.
///
/// # Errors
/// What keeps it from being read, and where replay differs, in words.
pub fn run(args: &ReplayArgs) -> Result<(), Vec<String>> {
    let words = |problem: &dyn std::fmt::Display| vec![format!("{}: {problem}", args.folder.display())];
    if !args.folder.is_dir() {
        return Err(words(&"there is no such folder; name a journal's, such as gannet-data/journal"));
    }
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::existing(&args.folder));
    let mut history = History::default();
    let mut story = None;
    if let Some(order) = args.explain {
        history = history.asking(order);
        story = Some(Story::of(order));
    }
    let reader = Reader::open(disk, 0).map_err(|error| words(&error))?;
    let Some(mut reader) = reader else {
        return Err(words(&"there is no journal in it; gannet run and gannet demo --journal DIR write one"));
    };
    let limit = args.until.unwrap_or(u64::MAX);
    let is_shown = !args.json && std::io::stderr().is_terminal();
    let started = Instant::now();
    let mut shown = started;
    while let Some((at, record)) = reader.next_up_to(limit).map_err(|error| words(&error))? {
        history.record(at, &record);
        if let Some(story) = &mut story {
            story.record(&record, &history);
        }
        if is_shown && history.records.is_multiple_of(4_096) && shown.elapsed() > SHOW_INTERVAL {
            shown = Instant::now();
            eprint!("\r{} records, at {at} ", history.records);
        }
    }
    if is_shown {
        eprint!("\r\x1b[K");
    }
    history.finish();
    story.iter_mut().for_each(|story| story.look(&history));
    let explained = story.map(|story| story.tell()).transpose().map_err(|problem| words(&problem))?;
    let outcome = Outcome {
        explained,
        identical: history.difference.is_none() && history.problem.is_none(),
        records: history.records,
        passed_over: history.passed_over,
        starts: history.starts,
        orders: history.orders,
        first_difference: history.difference.as_ref().map(|first| Shown::of(first, &history)),
        problem: history.problem.clone(),
        stages: stages(&history),
    };
    let mut out = std::io::stdout().lock();
    let written = if args.json {
        writeln!(out, "{}", serde_json::to_string(&outcome).unwrap_or_default())
    } else {
        let rate = rate(history.records, started.elapsed());
        writeln!(
            out,
            "{} records, {} engine starts, {} orders, {rate} records a second: {}",
            outcome.records,
            outcome.starts,
            outcome.orders,
            if outcome.identical { "identical" } else { "not identical" }
        )
    };
    written.map_err(|error| words(&error))?;
    if let Some(told) = outcome.explained.as_ref().filter(|_| !args.json) {
        told.write(&mut out).map_err(|error| words(&error))?;
    }
    if !args.json {
        tell(&outcome, &mut out).map_err(|error| words(&error))?;
    }
    match (&outcome.first_difference, &outcome.problem) {
        (None, None) => Ok(()),
        (Some(first), _) => Err(vec![format!(
            "replay differs at sequence {} of epoch {}, stage {}{}:\n  recorded: {}\n  replayed: {}",
            first.sequence,
            first.epoch,
            first.stage,
            first.strategy.as_ref().map(|name| format!(", strategy {name}")).unwrap_or_default(),
            first.recorded,
            first.replayed
        )]),
        (None, Some(problem)) => Err(words(problem)),
    }
}

/// Risk, shards and gateways, with where replay of them ended early.
fn stages(history: &History) -> Vec<Stage> {
    let is_stage =
        |stage: &JournalStage| matches!(stage, JournalStage::Risk | JournalStage::Shard(_) | JournalStage::Gateway(_));
    let of = |stage: &JournalStage| {
        let summary = history.stages.get(stage).copied().unwrap_or_default();
        let stopped = history.stops.iter().filter(|stop| stop.stage == *stage).map(Stopped::of).collect();
        Stage { stage: stage.to_string(), records: summary.records, replayed: summary.replayed, stopped }
    };
    history.stages.keys().filter(|stage| is_stage(stage)).map(of).collect()
}

/// What there is to say of the stages.
fn tell(outcome: &Outcome, out: &mut impl Write) -> std::io::Result<()> {
    if outcome.passed_over > 0 {
        writeln!(out, "  {} records are of an engine start whose beginning was pruned", outcome.passed_over)?;
    }
    for Stage { stage, records, replayed, stopped } in &outcome.stages {
        writeln!(out, "  {stage:<9} {replayed} of {records} records replayed")?;
        for stop in stopped {
            let strategy = stop.strategy.as_ref().map(|name| format!(", strategy {name}")).unwrap_or_default();
            let (epoch, sequence, detail) = (stop.epoch, stop.sequence, &stop.detail);
            writeln!(out, "    up to sequence {sequence} of epoch {epoch}{strategy}: {detail}")?;
        }
    }
    Ok(())
}

/// Records a second, rounded.
fn rate(records: u64, elapsed: Duration) -> u64 {
    let nanos = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX).max(1);
    u64::try_from(u128::from(records) * 1_000_000_000 / u128::from(nanos)).unwrap_or(u64::MAX)
}
