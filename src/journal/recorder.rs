//! The recorder: from every stage's tap into the log.
//!
//! One thread empties the taps every millisecond; it never spins (a reader that does costs the hot thread several times as
//! much) and never waits for the disk. Another writes what came: one write and one sync, however much it is, so that a slow
//! disk makes larger batches, and no stage feels it before [`CHUNKS`] of them wait. Stages wait for nothing here. Whoever
//! needs proof that something is kept ([`Journal::append`]) waits for the sync; that is the cold plane.

use super::error::JournalError;
use super::log::Log;
use super::record::Stamp;
use super::reserve::Space;
use super::stages::COLD_STAGE;
use crate::pipeline::tap::{Drain, Gauge};
use crate::types::{Binary, Entry};
use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How often the taps are drained.
const INTERVAL: Duration = Duration::from_millis(1);
/// How often the watermark is noted.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(100);
/// Chunks that may wait for the disk: a second of a busy engine with a few shards; 300 MB where each was a full lane.
const CHUNKS: usize = 256;
/// Payloads that may wait.
const WAITING: usize = 64;
/// How long a payload may take to reach the disk.
const PATIENCE: Duration = Duration::from_secs(10);

/// The version of entries' and payloads' bytes.
pub const BYTES_VERSION: u16 = 1;
/// Records of this kind are parts of a payload: `u32` of the parts that follow, then the bytes. Entries' kinds are below.
pub const BLOB_KIND: u16 = 0x100;

/// Appends an entry of a stage to a log.
///
/// # Errors
/// Those of [`Log::append`].
pub fn append_entry(log: &mut Log, stage: u16, entry: &Entry, bytes: &mut Vec<u8>) -> Result<u64, JournalError> {
    bytes.clear();
    entry.event.put(bytes);
    log.append(&stamp(stage, entry, bytes.first().copied().unwrap_or(0)), bytes)
}

/// What a stage says of an entry. `kind` is the first of its bytes.
fn stamp(stage: u16, entry: &Entry, kind: u8) -> Stamp {
    // The loop's clock counts from the wall clock, so its instants are both.
    Stamp {
        stage_seq: entry.sequence,
        mono_ns: entry.at.nanos(),
        wall_ns: i64::try_from(entry.at.nanos()).unwrap_or(i64::MAX),
        kind: u16::from(kind),
        version: BYTES_VERSION,
        stage,
    }
}

/// What one stage wrote down since it was looked at last, as the bytes of its records: packed, as many may have to wait.
struct Chunk {
    /// Where each record's bytes end, and what its stage says of it.
    stamps: Vec<(usize, Stamp)>,
    bytes: Vec<u8>,
}

impl Chunk {
    /// What waits in a tap; `None` where nothing does.
    fn of(stage: u16, tap: &mut Drain) -> Option<Self> {
        let mut chunk = Self { stamps: Vec::new(), bytes: Vec::new() };
        tap.drain(|entry| {
            let begin = chunk.bytes.len();
            entry.event.put(&mut chunk.bytes);
            let kind = chunk.bytes.get(begin).copied().unwrap_or(0);
            chunk.stamps.push((chunk.bytes.len(), stamp(stage, entry, kind)));
        });
        (!chunk.stamps.is_empty()).then_some(chunk)
    }

    fn append_to(&self, log: &mut Log) -> Result<(), JournalError> {
        let mut begin = 0;
        for (end, stamp) in &self.stamps {
            log.append(stamp, self.bytes.get(begin..*end).unwrap_or_default())?;
            begin = *end;
        }
        Ok(())
    }
}

/// A payload that is to be kept, and who waits for that.
struct Blob {
    bytes: Vec<u8>,
    kept: Sender<Result<u64, JournalError>>,
}

/// How far the journal is.
#[derive(Debug, Default)]
struct Progress {
    written_seq: AtomicU64,
    durable_seq: AtomicU64,
    is_gone: AtomicBool,
}

/// A way to the recorder: clones are the same.
#[derive(Clone)]
pub struct Journal {
    blobs: Sender<Blob>,
    progress: Arc<Progress>,
}

impl Journal {
    /// Has a payload on the disk when it answers, with its sequence. Blocks: for the cold plane.
    ///
    /// # Errors
    /// `JOURNAL_UNAVAILABLE` where the disk refused, now or before, or did not answer in time.
    pub fn append(&self, bytes: Vec<u8>) -> Result<u64, JournalError> {
        let (kept, answer) = bounded(1);
        self.blobs.send_timeout(Blob { bytes, kept }, PATIENCE).map_err(|_| JournalError::unanswered())?;
        answer.recv_timeout(PATIENCE).map_err(|_| JournalError::unanswered())?
    }

    /// The newest record that was handed to the disk.
    #[must_use]
    pub fn written_seq(&self) -> u64 {
        self.progress.written_seq.load(Ordering::Acquire)
    }

    /// The newest record that a loss of power does not take.
    #[must_use]
    pub fn durable_seq(&self) -> u64 {
        self.progress.durable_seq.load(Ordering::Acquire)
    }

    /// Whether the log can no longer be written.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.progress.is_gone.load(Ordering::Acquire)
    }
}

/// The running threads. They end, with everything written, when it is dropped.
pub struct Recorder {
    journal: Journal,
    is_over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The thread that empties the taps: it never waits for the disk, so that no stage feels a slow one.
struct Emptier {
    /// Each stage's number and tap.
    taps: Vec<(u16, Drain)>,
    chunks: Sender<Chunk>,
    /// What there was no room for yet.
    held: Option<Chunk>,
}

/// The thread that waits for the disk.
struct Writer {
    log: Log,
    chunks: Receiver<Chunk>,
    blobs: Receiver<Blob>,
    gauges: Vec<Gauge>,
    blob_count: u64,
    progress: Arc<Progress>,
    on_trouble: Box<dyn Fn(&JournalError) + Send>,
    bytes: Vec<u8>,
    noted_at: Instant,
}

impl Recorder {
    /// Records these stages from now on. `on_trouble` is called once, when the log is gone.
    ///
    /// # Errors
    /// Where the system refuses a thread.
    pub fn start(
        log: Log,
        taps: Vec<(u16, Drain)>,
        on_trouble: impl Fn(&JournalError) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (blobs, waiting) = bounded(WAITING);
        let (chunks, taken) = bounded(CHUNKS);
        let progress = Arc::new(Progress::default());
        let gauges = taps.iter().map(|(_, tap)| tap.gauge().clone()).collect();
        let mut emptier = Emptier { taps, chunks, held: None };
        let mut writer = Writer {
            log,
            chunks: taken,
            blobs: waiting,
            gauges,
            blob_count: 0,
            progress: Arc::clone(&progress),
            on_trouble: Box::new(on_trouble),
            bytes: Vec::new(),
            noted_at: Instant::now(),
        };
        let is_over = Arc::new(AtomicBool::new(false));
        let mut recorder = Self { journal: Journal { blobs, progress }, is_over, threads: Vec::new() };
        let seen = Arc::clone(&recorder.is_over);
        let empty = move || {
            loop {
                // What came before the end was asked for is taken by the round after it.
                let is_last = seen.load(Ordering::Acquire);
                emptier.round();
                if is_last && emptier.held.is_none() {
                    break;
                }
                std::thread::sleep(INTERVAL);
            }
        };
        let write = move || {
            while writer.round() {}
            let Writer { log, .. } = writer;
            if log.poison().is_none() {
                let _ = log.close();
            }
        };
        let named = |name: &str| std::thread::Builder::new().name(name.to_owned());
        recorder.threads.push(named("journal-disk").spawn(write)?);
        recorder.threads.push(named("journal").spawn(empty)?);
        Ok(recorder)
    }

    /// The way to it.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Emptier {
    fn round(&mut self) {
        if let Some(chunk) = self.held.take() {
            self.hand_on(chunk);
        }
        for place in 0..self.taps.len() {
            // While there is no room behind, entries stay where the stage sees them.
            let Some((stage, tap)) = self.taps.get_mut(place).filter(|_| self.held.is_none()) else { return };
            if let Some(chunk) = Chunk::of(*stage, tap) {
                self.hand_on(chunk);
            }
        }
    }

    fn hand_on(&mut self, chunk: Chunk) {
        if let Err(TrySendError::Full(chunk)) = self.chunks.try_send(chunk) {
            self.held = Some(chunk);
        }
    }
}

impl Writer {
    /// Writes what waits; `false` when there will be no more.
    fn round(&mut self) -> bool {
        let mut failure = self.log.poison().cloned();
        let first = self.chunks.recv_timeout(INTERVAL);
        let is_last = matches!(first, Err(RecvTimeoutError::Disconnected));
        // Payloads first: entries that need them come behind them.
        let mut waiting = Vec::new();
        while let Ok(blob) = self.blobs.try_recv() {
            let appended = match &failure {
                Some(error) => Err(error.clone()),
                None => self.append_blob(&blob.bytes),
            };
            failure = failure.or(appended.as_ref().err().cloned());
            waiting.push((blob.kept, appended));
        }
        let Self { log, chunks, .. } = self;
        for chunk in first.into_iter().chain(chunks.try_iter()) {
            if failure.is_none() {
                failure = chunk.append_to(log).err();
            }
        }
        if failure.is_none() && self.log.batch_bytes() > 0 {
            failure = self.log.commit().err();
        }
        if failure.is_none() && self.noted_at.elapsed() >= CHECKPOINT_INTERVAL {
            self.noted_at = Instant::now();
            failure = self.log.checkpoint().err();
            // Low is for people to act on; critical is too late for orders.
            let is_short = self.log.space() == Space::Critical;
            self.gauges.iter().for_each(|gauge| gauge.set_short(is_short));
        }
        self.progress.written_seq.store(self.log.written_seq(), Ordering::Release);
        self.progress.durable_seq.store(self.log.durable_seq(), Ordering::Release);
        for (kept, appended) in waiting {
            let answer = match (&failure, appended) {
                (Some(error), Ok(_)) => Err(error.clone()),
                (_, appended) => appended,
            };
            // Whoever waits no longer does not ask.
            let _ = kept.send(answer);
        }
        if let Some(error) = failure
            && !self.progress.is_gone.swap(true, Ordering::AcqRel)
        {
            self.gauges.iter().for_each(Gauge::set_gone);
            (self.on_trouble)(&error);
        }
        !is_last
    }

    /// Appends a payload in as many records as it takes.
    fn append_blob(&mut self, bytes: &[u8]) -> Result<u64, JournalError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let most = self.log.payload_bytes_max().saturating_sub(4).max(1);
        let parts = bytes.len().div_ceil(most).max(1);
        let mut seq = 0;
        for (part, content) in bytes.chunks(most).enumerate() {
            self.bytes.clear();
            u32::try_from(parts - 1 - part).unwrap_or(u32::MAX).put(&mut self.bytes);
            self.bytes.extend_from_slice(content);
            self.blob_count += 1;
            let stamp = Stamp {
                stage_seq: self.blob_count,
                mono_ns: now_ns,
                wall_ns: i64::try_from(now_ns).unwrap_or(i64::MAX),
                kind: BLOB_KIND,
                version: BYTES_VERSION,
                stage: COLD_STAGE,
            };
            seq = self.log.append(&stamp, &self.bytes)?;
        }
        Ok(seq)
    }
}
