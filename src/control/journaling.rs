//! The journal of a run: read before anything else, written from the first entry on.

use super::assemble::Facts;
use super::data_dir::DataDir;
use super::identity;
use super::names::Names;
use super::resuming::Leftovers;
use super::snapshots::{self, Follower};
use crate::backtest::{Blob, EngineStart, History, InstanceStart, Leaving};
use crate::config::Config;
use crate::gateway::OpenOrder;
use crate::journal::{
    Disk, FolderDisk, Identity, Journal, JournalError, JournalLock, Log, LogConfig, Reader, Record, Recorder,
    Recovered, ScanOptions, crash, epochs, recover,
};
use crate::pipeline::order_page::{OrderPage, PagedOrder};
use crate::pipeline::tap::Drain;
use crate::pipeline::{HotStage, MachineConfig};
use crate::risk::{OrderFacts, Renaming, RiskFacts};
use crate::strategy::runner::{Instance, Shard, ShardConfig};
use crate::strategy::saved::Left;
use crate::types::{
    Binary, ClientOrderId, DenialReason, InstrumentId, Instruments, OrderStatus, OrderType, Price, Quantity,
    StrategyId, Timestamp,
};
use ring::digest::{SHA256, digest};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tracing::{error, info, warn};

/// The schema of the records that this program writes and reads: any change of what their bytes mean is another number.
/// A test holds an example of every entry and payload against the digest that stands beside it.
pub const SCHEMA: u64 = 3;
/// What those examples come to under this schema.
#[cfg(test)]
pub const SCHEMA_DIGEST: u64 = 0xeec9_f009_447a_08bf;

/// Records between two snapshots, unless somebody says otherwise: what a restart reads in a fraction of a second.
const SNAPSHOT_RECORDS: u64 = 1_000_000;

/// Where and how a run keeps its journal.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Its folder.
    pub folder: PathBuf,
    /// The bytes of a segment.
    pub segment_bytes: u64,
    /// How many records are between two snapshots.
    pub snapshot_records: u64,
    /// Puts the journal that is there aside and begins anew, with what the venues say.
    pub is_begun_anew: bool,
}

impl JournalOptions {
    /// In the data directory, in segments of the usual size, unless a folder is named.
    #[must_use]
    pub fn of(config: &Config, folder: Option<PathBuf>) -> Self {
        let folder = folder.unwrap_or_else(|| config.engine.data_dir.join("journal"));
        Self {
            folder,
            segment_bytes: LogConfig::default().segment_bytes,
            snapshot_records: SNAPSHOT_RECORDS,
            is_begun_anew: false,
        }
    }
}

/// A journal that was read whole, and not written yet.
pub struct Opened {
    disk: Arc<dyn Disk>,
    options: JournalOptions,
    engine_id: [u8; 16],
    recovered: Recovered,
    /// What it says.
    pub history: History,
    /// What strategies had come to at the snapshot from which it was read.
    left_at_snapshot: Option<Vec<(StrategyId, Left)>>,
    /// How it was read.
    pub recovery: Recovery,
}

/// How an earlier run was recovered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recovery {
    /// The engine start that left it.
    pub epoch: u32,
    /// The record of the snapshot from which the journal was read; none where it was read from an engine start on.
    pub snapshot: Option<u64>,
    /// Records that were followed.
    pub records: u64,
    /// How long reading it took, in milliseconds.
    pub read_ms: u64,
}

impl Opened {
    /// Takes the journal for this process and reads it.
    ///
    /// # Errors
    /// `JOURNAL_LOCKED`, `JOURNAL_CORRUPT`, `JOURNAL_UNAVAILABLE`, `JOURNAL_UNSUPPORTED`, in words, with what to do.
    pub fn open(options: JournalOptions, data: &DataDir) -> Result<Self, String> {
        let words = |error: JournalError| format!("{}: {error}", options.folder.display());
        let engine_id = engine_id(&data.state().map_err(|error| error.to_string())?.directory);
        let disk = crash::disk(FolderDisk::create(&options.folder).map_err(words)?);
        let mut lock = disk.lock().map_err(words)?;
        if options.is_begun_anew {
            put_aside(&options.folder).map_err(|error| format!("{}: {error}", options.folder.display()))?;
            FolderDisk::create(&options.folder).map_err(words)?;
            lock = disk.lock().map_err(words)?;
        }
        let snapshot = snapshots::newest(disk.as_ref(), &engine_id).map_err(words)?;
        // An epoch begins with all that the ones before it left behind, so the newest is enough; the one before it, too,
        // where that start did not come so far as to write that down; a later snapshot, better still; else all there is.
        let epochs = epochs(disk.as_ref()).map_err(words)?;
        let newest = epochs.len().checked_sub(2).and_then(|place| epochs.get(place)).map(|&(_, first)| first - 1);
        let beginning = match (snapshot, newest) {
            (Some(snapshot), newest) if snapshot.seq >= newest.unwrap_or(0) => Beginning::Snapshot(snapshot),
            (_, Some(after_seq)) => Beginning::After(after_seq),
            _ => Beginning::Oldest,
        };
        let started = Instant::now();
        let (mut snapshot, mut left_at_snapshot) = (None, None);
        if let Beginning::Snapshot(known) = &beginning {
            (snapshot, left_at_snapshot) = (Some(known.seq), Some(known.left.clone()));
        }
        let is_all = matches!(beginning, Beginning::Oldest);
        let (recovered, history) = match read(disk.as_ref(), lock, engine_id, beginning).map_err(words)? {
            (recovered, history) if history.starts == 0 && !is_all => {
                drop(recovered);
                let lock = disk.lock().map_err(words)?;
                (snapshot, left_at_snapshot) = (None, None);
                read(disk.as_ref(), lock, engine_id, Beginning::Oldest).map_err(words)?
            }
            whole => whole,
        };
        let recovery = Recovery {
            epoch: recovered.end.epoch,
            snapshot,
            records: history.records,
            read_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        };
        if let Some(torn) = &recovered.torn {
            info!("journal: {} bytes that a crash cut short were put aside", torn.bytes);
        }
        Ok(Self { disk, options, engine_id, recovered, history, left_at_snapshot, recovery })
    }

    /// What an earlier run left behind, in this run's ids; `None` where there was none. `paged` are the orders that it kept
    /// before it sent them: those that the log does not have were sent in its last millisecond.
    ///
    /// # Errors
    /// Why it cannot be restored, and what to do, in words.
    pub fn restored(
        &self,
        names: &Names,
        instruments: &Instruments,
        paged: &[PagedOrder],
    ) -> Result<Option<Restored>, String> {
        let folder = self.options.folder.display();
        let refused = |problem: &dyn std::fmt::Display| {
            format!("{folder}: {problem}; nothing is traded on what is not known: {RECOVER}")
        };
        if let Some(problem) = &self.history.problem {
            return Err(refused(problem));
        }
        if let Some(first) = &self.history.difference {
            return Err(refused(&format!("the record {} cannot be followed: {:?}", first.seq, first.difference)));
        }
        let Some((start, replay)) = self.history.start().zip(self.history.replay()) else { return Ok(None) };
        let mut facts = replay.risk().facts();
        let epoch = start.config.epoch;
        let is_lost = |paged: &&PagedOrder| {
            let id = paged.order.client_order_id;
            id.epoch() == epoch && replay.risk().orders().get(id).is_none()
        };
        let lost: Vec<OrderFacts> = paged.iter().filter(is_lost).map(|paged| sent(paged, &facts)).collect();
        if !lost.is_empty() {
            info!("journal: {} orders were sent in the last moment before the engine was gone", lost.len());
        }
        facts.orders.splice(0..0, lost);
        let renaming = renaming(start, names, instruments);
        let facts = facts.renamed(&renaming).map_err(|error| refused(&error))?;
        let firsts = start.firsts.iter().zip(&renaming.instruments);
        let firsts = firsts.filter_map(|(firsts, id)| Some(((*id)?, *firsts))).collect();
        Ok(Some(Restored { facts, firsts, epoch }))
    }

    /// What the strategies of the newest engine start left behind. Where it did not stop in order, that is worked out: its
    /// shards are replayed, and whatever is amiss with one only means that its strategies begin afresh.
    #[must_use]
    pub fn leftovers(&self) -> Leftovers {
        let Some(start) = self.history.start() else { return Leftovers::default() };
        if let Some(left) = self.history.left() {
            return Leftovers::of(start, left.iter().cloned().map(|(id, left)| (id, Ok(left))).collect());
        }
        if let Some(snapshot) = self.left_at_snapshot.as_ref().filter(|_| self.history.start_seq() == 0) {
            // A day's market data would take long to be followed; what is behind the snapshot was missed, as the downtime is.
            let left: BTreeMap<_, _> = snapshot.iter().cloned().collect();
            let because = "market data was missing in the journal when the newest snapshot was made";
            let one = |instance: &InstanceStart| {
                (instance.id, left.get(&instance.id).cloned().ok_or_else(|| because.to_owned()))
            };
            return Leftovers::of(start, start.shards.iter().flatten().map(one).collect());
        }
        info!("journal: epoch {} did not stop in order: its shards are replayed", start.config.epoch);
        let mut leaving = Leaving::of(start);
        match self.replay(|record| leaving.record(record)) {
            Ok(()) => Leftovers::of(start, leaving.finish()),
            Err(error) => {
                warn!("journal: {error}: every strategy begins afresh");
                let all = start.shards.iter().flatten();
                Leftovers::of(start, all.map(|instance| (instance.id, Err(error.to_string()))).collect())
            }
        }
    }

    /// Visits the records behind the newest engine start.
    fn replay(&self, mut visit: impl FnMut(&Record<'_>)) -> Result<(), JournalError> {
        let last = self.recovered.end.position.seq.saturating_sub(1);
        if last <= self.history.start_seq() {
            return Ok(());
        }
        let Some(mut reader) = Reader::open(Arc::clone(&self.disk), self.history.start_seq() + 1)? else {
            return Ok(());
        };
        while let Some((_, record)) = reader.next_up_to(last)? {
            visit(&record);
        }
        Ok(())
    }

    /// The newest engine start that it knows; 0 for none.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.recovered.end.epoch
    }

    /// Begins a new epoch in it, writes down what this engine start begins with, and records the stages' taps from then on.
    ///
    /// # Errors
    /// What the disk or the system refuses, in words.
    pub fn start(
        self,
        config: &Config,
        start: Start,
        taps: Vec<(u16, Drain)>,
        now: Timestamp,
    ) -> Result<Recording, String> {
        let folder = self.options.folder.display().to_string();
        let words = |error: JournalError| format!("{folder}: {error}");
        let segment_bytes = self.options.segment_bytes;
        let sizes =
            LogConfig { segment_bytes, ballast_bytes: segment_bytes, low_bytes: segment_bytes, ..LogConfig::default() };
        let program = identity::of_program().unwrap_or_default();
        let identity = Identity {
            engine_id: self.engine_id,
            epoch: start.0.config.epoch,
            schema_hash: SCHEMA,
            build_hash: hash(program.as_bytes()),
            config_hash: hash(config.source.as_bytes()),
            created_wall_ns: i64::try_from(now.nanos()).unwrap_or(i64::MAX),
            created_mono_ns: now.nanos(),
            boot_id: boot_id(),
        };
        let (disk, from_seq) = (Arc::clone(&self.disk), self.recovered.end.position.seq);
        let log = Log::open(self.disk, sizes, identity, self.recovered).map_err(words)?;
        let recorder = Recorder::start(log, taps, |error| {
            error!("JOURNAL: {error}; no new orders, everything is canceled");
        });
        let recorder = recorder.map_err(|error| format!("the thread that writes the journal: {error}"))?;
        let mut bytes = Vec::new();
        Blob::Start(Box::new(start.0)).put(&mut bytes);
        recorder.journal().append(bytes).map_err(words)?;
        let journal = recorder.journal().clone();
        let follower = Follower::start(disk, journal, self.engine_id, from_seq, self.options.snapshot_records);
        let follower = follower.map_err(|error| format!("the thread that follows the journal: {error}"))?;
        Ok(Recording { _follower: follower, recorder })
    }
}

/// A journal that is being written, and followed. Both end when it is dropped, the follower first.
pub struct Recording {
    _follower: Follower,
    recorder: Recorder,
}

impl Recording {
    /// The way to it.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        self.recorder.journal()
    }
}

/// What to do where a journal cannot be trusted.
const RECOVER: &str = "look with `gannet journal verify`, restore the folder from a backup, or begin a new journal with what \
                       the venues say: `gannet run --recover-from-venue`";

/// What an earlier run left behind.
pub struct Restored {
    /// Orders, positions, balances, latches.
    pub facts: RiskFacts,
    /// The venue's first order and first fill that are of this journal, of each instrument that is known.
    firsts: Vec<(InstrumentId, (u64, u64))>,
    /// The engine start that left it.
    pub epoch: u32,
}

impl Restored {
    /// From when on the venue's orders and fills are ours to know.
    pub fn begin(&self, facts: &mut Facts) {
        for &(id, (order, trade)) in &self.firsts {
            let firsts = facts.first_orders.get_mut(id.index()).zip(facts.first_trades.get_mut(id.index()));
            if let Some((first_order, first_trade)) = firsts {
                (*first_order, *first_trade) = (order, trade);
            }
        }
    }

    /// Lets the machine begin with it.
    pub fn enter(self, machine: &mut MachineConfig) {
        for (_, gateway) in &mut machine.venues {
            let here = |id: InstrumentId| machine.instruments.get(id).is_some_and(|found| found.venue == gateway.venue);
            let is_open = |order: &&OrderFacts| {
                order.is_live() && order.order.strategy != StrategyId::NONE && here(order.order.instrument)
            };
            gateway.open_orders = self.facts.orders.iter().filter(is_open).map(open_order).collect();
            for (id, known) in (0..).map(InstrumentId).zip(&mut gateway.last_known) {
                known.execution_id = known.execution_id.max(self.asked_from(id).saturating_sub(1));
            }
        }
        // They are among the facts, exactly.
        machine.risk.latches.clear();
        machine.facts = Some(self.facts);
    }

    /// The first fill that the venue is asked for: some way before the newest, as one that was on its way may have been
    /// overtaken. Those that are known are not booked again.
    fn asked_from(&self, instrument: InstrumentId) -> u64 {
        let of_it = self.facts.executions.iter().filter(|execution| execution.instrument == instrument);
        let mut numbers: Vec<u64> = of_it.map(|execution| execution.execution_id).collect();
        numbers.sort_unstable();
        let newest = numbers.len().saturating_sub(FILLS_ASKED_AGAIN);
        numbers.get(newest).copied().unwrap_or(0)
    }
}

/// Fills that the venue is asked for again: more than can have been on their way at once.
const FILLS_ASKED_AGAIN: usize = 32;

fn open_order(facts: &OrderFacts) -> OpenOrder {
    OpenOrder {
        order: facts.order,
        venue_order_id: facts.venue_order_id,
        booked: facts.filled,
        written_ns: facts.approved_ns,
        is_cancel_wanted: facts.is_cancel_wanted,
    }
}

/// An order of which only the order page knows.
fn sent(paged: &PagedOrder, facts: &RiskFacts) -> OrderFacts {
    let PagedOrder { order, approved_ns, only_if_unfilled } = *paged;
    let market = facts.markets.iter().find(|market| market.instrument == order.instrument);
    let worst_price = match order.order_type {
        OrderType::Limit | OrderType::StopLimit => order.price,
        OrderType::Stop => order.stop_price,
        OrderType::Market => market.map_or(Price::ZERO, |market| market.price),
    };
    OrderFacts {
        order,
        status: OrderStatus::Unknown,
        is_cancel_wanted: false,
        is_acknowledged: false,
        is_exclusive: only_if_unfilled,
        replaced_by: ClientOrderId::NONE,
        venue_order_id: 0,
        is_named: false,
        adopted: Quantity::ZERO,
        filled: Quantity::ZERO,
        venue_filled: Quantity::ZERO,
        worst_price,
        last_price: Price::ZERO,
        code: 0,
        reason: DenialReason::None,
        received_ns: approved_ns,
        decided_ns: approved_ns,
        approved_ns,
        updated_ns: approved_ns,
        unknown_since: Timestamp::UNKNOWN,
        twice_reference: 2 * i128::from(worst_price.0),
    }
}

/// What the ids of an earlier start are in this run, by name.
fn renaming(start: &EngineStart, names: &Names, instruments: &Instruments) -> Renaming {
    let assets = start.config.instruments.assets().iter();
    Renaming {
        strategies: start.names.strategies.iter().map(|name| names.strategy(name)).collect(),
        instruments: start.names.instruments.iter().map(|name| names.instrument(name)).collect(),
        assets: assets.map(|asset| instruments.asset_named(asset.as_bytes())).collect(),
        venues: start.names.venues.iter().map(|name| names.venue(name)).collect(),
    }
}

/// From where a journal is read.
enum Beginning {
    /// What was left behind up to its sequence.
    Snapshot(snapshots::Known),
    /// From the record after this one on: an engine start's first.
    After(u64),
    /// From the oldest that is still there.
    Oldest,
}

/// Reads a journal from there on, and follows it.
fn read(
    disk: &dyn Disk,
    lock: JournalLock,
    engine_id: [u8; 16],
    beginning: Beginning,
) -> Result<(Recovered, History), JournalError> {
    let (after_seq, after_chain, start) = match beginning {
        Beginning::Snapshot(snapshot) => (Some(snapshot.seq), Some(snapshot.chain), Some(snapshot.start)),
        Beginning::After(seq) => (Some(seq), None, None),
        Beginning::Oldest => (None, None, None),
    };
    let scan = ScanOptions { engine_id: Some(engine_id), schemas: vec![SCHEMA], after_seq, after_chain };
    let mut history = match start.map(History::following_from) {
        None => History::following(),
        Some(Ok(history)) => history,
        Some(Err(problem)) => History::refused(problem),
    };
    let recovered = recover(disk, lock, &scan, &mut |at, record| history.record(at, record))?;
    history.finish();
    Ok((recovered, history))
}

/// What an engine start begins with, for the journal.
pub struct Start(EngineStart);

impl Start {
    /// Of a machine that is about to be built. `instances` is what each strategy was built from, by id.
    #[must_use]
    pub fn of(machine: &MachineConfig, instances: &[InstanceStart], names: &Names, facts: &Facts) -> Self {
        let count = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        let start = |instance: &Instance| {
            let start = instances.get(instance.id.index())?.clone();
            Some(InstanceStart { is_quarantined: instance.is_quarantined, ..start })
        };
        let of_shard = |(_, own): &(ShardConfig, Vec<Instance>)| own.iter().filter_map(start).collect();
        Self(EngineStart {
            config: machine.risk.clone(),
            balances: machine.balances.iter().map(|&(venue, asset, amount)| (venue, (asset, amount))).collect(),
            venues: count(machine.venues.len()),
            shards: machine.shards.iter().map(of_shard).collect(),
            gateways: machine.venues.iter().map(|(_, gateway)| gateway.start()).collect(),
            names: names.clone(),
            firsts: facts.first_orders.iter().copied().zip(facts.first_trades.iter().copied()).collect(),
            facts: machine.facts.clone(),
        })
    }
}

/// Has limits or an override in the journal before risk is told of them.
///
/// # Errors
/// What the disk refuses, in words.
pub fn keep(journal: &Journal, blob: &Blob) -> Result<(), String> {
    let mut bytes = Vec::new();
    blob.put(&mut bytes);
    journal.append(bytes).map(drop).map_err(|error| error.to_string())
}

/// Has in the journal what strategies left behind, after their shards have stopped.
///
/// # Errors
/// What the disk refuses, in words.
pub fn keep_left(journal: &Journal, stages: &[HotStage]) -> Result<(), String> {
    let shards = stages.iter().filter_map(|stage| if let HotStage::Shard(shard) = stage { Some(shard) } else { None });
    keep(journal, &Blob::Left(shards.flat_map(Shard::leave).collect()))
}

/// Where the order page of a data directory is: in memory, as the heartbeats' is.
///
/// # Errors
/// Where the state file, which names the directory, cannot be read.
pub fn order_page_path(data: &DataDir) -> Result<PathBuf, String> {
    let heartbeats = super::watchdog::page_path(data).map_err(|error| error.to_string())?;
    let name = heartbeats.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(heartbeats.with_file_name(name + "-orders"))
}

/// What an engine that is gone kept in its order page.
///
/// # Errors
/// Where it cannot be read, in words.
pub fn paged_orders(data: &DataDir) -> Result<Vec<PagedOrder>, String> {
    let path = order_page_path(data)?;
    OrderPage::read(&path).map_err(|error| format!("the order page {}: {error}", path.display()))
}

/// The engine has stopped in order: all that the page has is in the log. Memory is given back; where it cannot be, the next
/// engine finds nothing new in it.
pub fn discard_order_page(data: &DataDir) {
    if let Ok(path) = order_page_path(data) {
        let _ = std::fs::remove_file(path);
    }
}

/// A new order page.
///
/// # Errors
/// Where it cannot be made, in words.
pub fn order_page(data: &DataDir) -> Result<OrderPage, Vec<String>> {
    let path = order_page_path(data).map_err(|error| vec![error])?;
    crash::reach("page-before");
    OrderPage::create(&path).map_err(|error| vec![format!("the order page {}: {error}", path.display())])
}

/// Renames a journal's folder, so that nothing of it is lost.
fn put_aside(folder: &Path) -> std::io::Result<()> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let aside = folder.with_file_name(format!("{name}-aside-{}", now.as_secs()));
    std::fs::rename(folder, &aside)?;
    warn!(
        "the journal was put aside as {}: positions begin at nothing, balances with what the venues say",
        aside.display()
    );
    Ok(())
}

/// The name of a data directory, 32 hexadecimal digits, as 16 bytes.
fn engine_id(directory: &str) -> [u8; 16] {
    let mut id = [0; 16];
    for (place, byte) in id.iter_mut().enumerate() {
        let digits = directory.get(2 * place..2 * place + 2).unwrap_or_default();
        *byte = u8::from_str_radix(digits, 16).unwrap_or(0);
    }
    id
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or([0; 32])
}

/// Which boot of the machine this is; zeros where the system does not say.
fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    engine_id(&text.replace('-', ""))
}
