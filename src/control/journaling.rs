//! The journal of a run: read before anything else, written from the first entry on.

use super::data_dir::DataDir;
use super::identity;
use super::names::Names;
use crate::backtest::{Blob, History, RiskStart};
use crate::config::Config;
use crate::journal::{
    FolderDisk, Identity, Journal, JournalError, JournalLock, Log, LogConfig, RISK_STAGE, Recorder, Recovered,
    ScanOptions, recover,
};
use crate::pipeline::MachineConfig;
use crate::pipeline::order_page::OrderPage;
use crate::pipeline::tap::Drain;
use crate::types::{Binary, Timestamp};
use ring::digest::{SHA256, digest};
use std::path::PathBuf;
use std::sync::Arc;
use tracing::{error, info};

/// The schema of the records that this program writes and reads: any change of what their bytes mean is another number.
pub const SCHEMA: u64 = 1;
/// Ballast and margin against a full disk, in segments.
const MARGIN_SEGMENTS: u64 = 1;

/// Where and how a run keeps its journal.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Its folder.
    pub folder: PathBuf,
    /// The bytes of a segment.
    pub segment_bytes: u64,
}

impl JournalOptions {
    /// In the data directory, in segments of the usual size, unless a folder is named.
    #[must_use]
    pub fn of(config: &Config, folder: Option<PathBuf>) -> Self {
        let folder = folder.unwrap_or_else(|| config.engine.data_dir.join("journal"));
        Self { folder, segment_bytes: LogConfig::default().segment_bytes }
    }
}

/// A journal that was read whole, and not written yet.
pub struct Opened {
    disk: Arc<FolderDisk>,
    options: JournalOptions,
    engine_id: [u8; 16],
    recovered: Recovered,
    /// What it says.
    pub history: History,
}

impl Opened {
    /// Takes the journal for this process and reads it.
    ///
    /// # Errors
    /// `JOURNAL_LOCKED`, `JOURNAL_CORRUPT`, `JOURNAL_UNAVAILABLE`, `JOURNAL_UNSUPPORTED`, in words, with what to do.
    pub fn open(options: JournalOptions, data: &DataDir) -> Result<Self, String> {
        let words = |error: JournalError| format!("{}: {error}", options.folder.display());
        let engine_id = engine_id(&data.state().map_err(|error| error.to_string())?.directory);
        let disk = Arc::new(FolderDisk::create(&options.folder).map_err(words)?);
        let lock: JournalLock = crate::journal::Disk::lock(disk.as_ref()).map_err(words)?;
        let scan = ScanOptions { engine_id: Some(engine_id), schemas: vec![SCHEMA], after_seq: Some(0) };
        let mut history = History::default();
        let recovered = recover(disk.as_ref(), lock, &scan, &mut |at, record| history.record(at, record));
        let recovered = recovered.map_err(words)?;
        history.finish();
        if let Some(torn) = &recovered.torn {
            info!("journal: {} bytes that a crash cut short were put aside", torn.bytes);
        }
        Ok(Self { disk, options, engine_id, recovered, history })
    }

    /// The newest engine start that it knows; 0 for none.
    #[must_use]
    pub const fn epoch(&self) -> u32 {
        self.recovered.end.epoch
    }

    /// Begins a new epoch in it, writes down what this engine start begins with, and records the taps from then on.
    ///
    /// # Errors
    /// What the disk or the system refuses, in words.
    pub fn start(
        self,
        config: &Config,
        start: Start,
        taps: Vec<(u16, Drain)>,
        now: Timestamp,
    ) -> Result<Recorder, String> {
        let folder = self.options.folder.display().to_string();
        let words = |error: JournalError| format!("{folder}: {error}");
        let segment_bytes = self.options.segment_bytes;
        let sizes = LogConfig {
            segment_bytes,
            ballast_bytes: segment_bytes,
            low_bytes: MARGIN_SEGMENTS * segment_bytes,
            ..LogConfig::default()
        };
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
        let log = Log::open(self.disk, sizes, identity, self.recovered).map_err(words)?;
        let recorder = Recorder::start(log, taps, |error| {
            error!("JOURNAL: {error}; no new orders, everything is canceled");
        });
        let recorder = recorder.map_err(|error| format!("the thread that writes the journal: {error}"))?;
        let mut bytes = Vec::new();
        Blob::Start(Box::new(start.0)).put(&mut bytes);
        recorder.journal().append(bytes).map_err(words)?;
        Ok(recorder)
    }
}

/// What an engine start begins with, for the journal.
pub struct Start(RiskStart);

impl Start {
    /// Of a machine that is about to be built.
    #[must_use]
    pub fn of(machine: &MachineConfig, names: &Names) -> Self {
        let count = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        Self(RiskStart {
            config: machine.risk.clone(),
            balances: machine.balances.iter().map(|&(venue, asset, amount)| (venue, (asset, amount))).collect(),
            venues: count(machine.venues.len()),
            shards: count(machine.shards.len()),
            names: names.clone(),
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

/// Where the order page of a data directory is: in memory, as the heartbeats' is.
///
/// # Errors
/// Where the state file, which names the directory, cannot be read.
pub fn order_page_path(data: &DataDir) -> Result<PathBuf, String> {
    let heartbeats = super::watchdog::page_path(data).map_err(|error| error.to_string())?;
    let name = heartbeats.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(heartbeats.with_file_name(name + "-orders"))
}

/// A new order page.
///
/// # Errors
/// Where it cannot be made, in words.
pub fn order_page(data: &DataDir) -> Result<OrderPage, Vec<String>> {
    let path = order_page_path(data).map_err(|error| vec![error])?;
    OrderPage::create(&path).map_err(|error| vec![format!("the order page {}: {error}", path.display())])
}

/// The taps of a machine, with the stages' numbers in the journal.
#[must_use]
pub fn taps(risk: Drain) -> Vec<(u16, Drain)> {
    vec![(RISK_STAGE, risk)]
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
