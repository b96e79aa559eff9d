//! Snapshots of a running engine, made beside it: a thread follows the journal as it is written, with the very code that a
//! restart follows it with, and every so often has what risk has come to on the disk. No hot thread knows of it.
//!
//! A snapshot is an engine start that begins with what risk is at that record ([`History::at_rest`]); a restart goes on from the
//! newest one that holds, bound to the journal by its chain word. The two newest are kept.

use crate::backtest::{Blob, EngineStart, History, Leaving};
use crate::journal::{
    Disk, Journal, JournalError, Reader, SNAPSHOTS_KEPT_MIN, Snapshot, newest_snapshot, prune_snapshots, write_snapshot,
};
use crate::strategy::saved::Left;
use crate::types::{Binary, StrategyId};
use ring::digest::{SHA256, digest};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tracing::{debug, warn};

/// How often it looks for new records.
const INTERVAL: Duration = Duration::from_millis(200);

/// A snapshot that holds.
pub struct Known {
    /// The last record that is in it.
    pub seq: u64,
    /// The chain word of that record.
    pub chain: u32,
    /// What an engine would begin with there.
    pub start: Box<EngineStart>,
    /// What its strategies had come to there, as far as that is known.
    pub left: Vec<(StrategyId, Left)>,
}

/// The newest snapshot that holds; those that do not are told of.
///
/// # Errors
/// `JOURNAL_UNAVAILABLE` where the disk refuses.
pub fn newest(disk: &dyn Disk, engine_id: &[u8; 16]) -> Result<Option<Known>, JournalError> {
    let mut opened = None;
    let mut accept = |snapshot: &Snapshot| {
        opened = open(snapshot);
        opened.is_some()
    };
    let (snapshot, passed_over) = newest_snapshot(disk, engine_id, &mut accept)?;
    for other in passed_over {
        warn!("journal: {} is passed over: {}", other.file, other.problem);
    }
    let known =
        |(snapshot, (start, left)): (Snapshot, _)| Known { seq: snapshot.seq, chain: snapshot.chain, start, left };
    Ok(snapshot.zip(opened).map(known))
}

/// What is in a snapshot: what an engine would begin with there, and what its strategies had come to.
pub type Content = (Box<EngineStart>, Vec<(StrategyId, Left)>);

/// What is in a snapshot: two payloads as the journal has them. `None` where its hash names something else, or it is of a
/// program that this one does not understand.
#[must_use]
pub fn open(snapshot: &Snapshot) -> Option<Content> {
    let mut bytes = snapshot.bytes.as_slice();
    let (start, left) = (Blob::take(&mut bytes)?, Blob::take(&mut bytes)?);
    match (start, left) {
        (Blob::Start(start), Blob::Left(left)) if bytes.is_empty() && hash(&snapshot.bytes) == snapshot.state_hash => {
            Some((start, left))
        }
        _ => None,
    }
}

fn hash(bytes: &[u8]) -> u64 {
    digest(&SHA256, bytes).as_ref().iter().take(8).fold(0, |hash, &byte| hash << 8 | u64::from(byte))
}

/// The thread. It ends when it is dropped, in the middle of what it reads.
pub struct Follower {
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread works on.
struct Follow {
    disk: Arc<dyn Disk>,
    journal: Journal,
    engine_id: [u8; 16],
    every: u64,
    is_over: Arc<AtomicBool>,
    history: History,
    /// The shards, once the engine start is read.
    leaving: Option<Leaving>,
    /// The record of the newest snapshot.
    newest: u64,
}

impl Follower {
    /// Follows a journal from the record `from_seq` on, where an engine start begins, and makes a snapshot every so many
    /// records.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(
        disk: Arc<dyn Disk>,
        journal: Journal,
        engine_id: [u8; 16],
        from_seq: u64,
        every: u64,
    ) -> std::io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let mut follow = Follow {
            disk,
            journal,
            engine_id,
            every: every.max(1),
            is_over: Arc::clone(&is_over),
            history: History::following(),
            leaving: None,
            newest: from_seq.saturating_sub(1),
        };
        let run = move || {
            if let Err(error) = follow.run(from_seq) {
                // The snapshots before stand, and a restart reads more of the journal.
                warn!("no further snapshots of the journal are made in this run: {error}");
            }
        };
        let thread = std::thread::Builder::new().name("journal-follower".to_owned()).spawn(run)?;
        Ok(Self { is_over, thread: Some(thread) })
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Follow {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn run(&mut self, from_seq: u64) -> Result<(), String> {
        let words = |error: JournalError| error.to_string();
        let mut reader = loop {
            if self.is_over() {
                return Ok(());
            }
            if self.journal.durable_seq() >= from_seq
                && let Some(reader) = Reader::open(Arc::clone(&self.disk), from_seq).map_err(words)?
            {
                break reader;
            }
            std::thread::sleep(INTERVAL);
        };
        while !self.is_over() {
            let durable = self.journal.durable_seq();
            loop {
                let chain = reader.chain();
                let Some((at, record)) = reader.next_up_to(durable).map_err(words)? else { break };
                self.history.record(at, &record);
                match &mut self.leaving {
                    Some(leaving) => leaving.record(&record),
                    none => *none = self.history.start().map(Leaving::of),
                }
                if let Some(problem) = &self.history.problem {
                    return Err(problem.clone());
                }
                if record.seq.saturating_sub(self.newest) > self.every
                    && let Some((seq, start)) = self.history.at_rest()
                {
                    self.write(seq, chain, start, durable).map_err(words)?;
                }
                if self.is_over() {
                    return Ok(());
                }
            }
            std::thread::sleep(INTERVAL);
        }
        Ok(())
    }

    fn write(&mut self, seq: u64, chain: u32, start: EngineStart, durable: u64) -> Result<(), JournalError> {
        let mut bytes = Vec::new();
        Blob::Start(Box::new(start)).put(&mut bytes);
        Blob::Left(self.leaving.as_ref().map(Leaving::so_far).unwrap_or_default()).put(&mut bytes);
        let state_hash = hash(&bytes);
        let size = bytes.len();
        let snapshot = Snapshot { engine_id: self.engine_id, seq, chain, state_hash, bytes };
        write_snapshot(self.disk.as_ref(), &snapshot, durable)?;
        // As a restart would open it: what does not hold is not counted on.
        prune_snapshots(self.disk.as_ref(), &self.engine_id, SNAPSHOTS_KEPT_MIN)?;
        debug!("journal: snapshot at {seq}, {size} bytes");
        self.newest = seq;
        Ok(())
    }
}
