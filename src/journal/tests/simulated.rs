//! A disk in memory that keeps apart what was written and what was synced, crashes at any operation, and refuses.
//!
//! The model is a page cache over sectors of 512 bytes: a crash leaves, of the sectors written since a file's last sync and
//! of the names changed since a folder's, any choice. A sync that failed leaves the pages clean: the next one succeeds, and
//! what the first one lost stays lost.

use super::Random;
use crate::journal::{Disk, DiskFile, JournalError, JournalLock};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::{Arc, Mutex, MutexGuard};

const SECTOR: usize = 512;

/// What an operation meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// An error of this kind, nothing taken. A sync that meets it loses what it had to write.
    Error(ErrorKind),
    /// Only so many bytes of a write are taken, without an error.
    Short(usize),
    /// So many bytes of a write are taken, then it fails.
    TakenThenError(usize, ErrorKind),
}

/// What a crash leaves of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keep {
    Nothing,
    Everything,
    /// The first so many sectors and names, in the order in which they were written.
    First(usize),
    /// Any, each as a coin falls.
    Some(u64),
}

/// A name, and the inode that it has from then on.
type NameChange = (String, Option<usize>);

#[derive(Clone, Debug)]
struct Sector {
    index: usize,
    content: Vec<u8>,
}

#[derive(Clone, Debug, Default)]
struct Inode {
    live: Vec<u8>,
    durable: Vec<u8>,
    /// Sectors written since the last sync, whole, in order, with the count of all unsynced things before.
    pending: Vec<(u64, Sector)>,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    /// Changes of names since their folder's last sync: one change may be of two names (a rename).
    pending_names: Vec<(u64, Vec<NameChange>)>,
    clock: u64,
    operations: u64,
    crash_at: Option<u64>,
    is_crashed: bool,
    fault: Option<(u64, Fault)>,
    capacity: u64,
    log: Vec<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct SimulatedDisk(Arc<Mutex<State>>);

/// What an operation is to do.
enum Verdict {
    Go,
    /// Do it, then fail: it was under way when the power went.
    GoThenCrash,
    Fault(Fault),
}

fn crashed() -> io::Error {
    io::Error::other("the power is gone")
}

impl State {
    fn begin(&mut self, what: &'static str) -> io::Result<Verdict> {
        if self.is_crashed {
            return Err(crashed());
        }
        let operation = self.operations;
        self.operations += 1;
        self.log.push(what);
        if self.crash_at == Some(operation) {
            self.is_crashed = true;
            return Ok(Verdict::GoThenCrash);
        }
        match self.fault {
            Some((at, fault)) if at == operation => Ok(Verdict::Fault(fault)),
            _ => Ok(Verdict::Go),
        }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn change_names(&mut self, changes: Vec<NameChange>) {
        let at = self.tick();
        apply(&mut self.names, &changes);
        self.pending_names.push((at, changes));
    }

    fn used(&self) -> u64 {
        self.names.values().map(|&inode| self.inodes[inode].live.len() as u64).sum()
    }

    fn write(&mut self, inode: usize, offset: usize, bytes: &[u8]) {
        let file = &mut self.inodes[inode];
        let end = offset + bytes.len();
        if file.live.len() < end {
            file.live.resize(end, 0);
        }
        file.live[offset..end].copy_from_slice(bytes);
        for index in offset / SECTOR..end.div_ceil(SECTOR) {
            self.clock += 1;
            let file = &mut self.inodes[inode];
            let content = file.live[index * SECTOR..file.live.len().min((index + 1) * SECTOR)].to_vec();
            file.pending.push((self.clock, Sector { index, content }));
        }
    }
}

fn apply(names: &mut BTreeMap<String, usize>, changes: &[NameChange]) {
    for (name, inode) in changes {
        match inode {
            Some(inode) => _ = names.insert(name.clone(), *inode),
            None => _ = names.remove(name),
        }
    }
}

fn put(content: &mut Vec<u8>, sector: &Sector) {
    let start = sector.index * SECTOR;
    if content.len() < start + sector.content.len() {
        content.resize(start + sector.content.len(), 0);
    }
    content[start..start + sector.content.len()].copy_from_slice(&sector.content);
}

fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl SimulatedDisk {
    pub(super) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { capacity: 1 << 40, ..State::default() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test thread panicked within")
    }

    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    pub(super) fn operation_names(&self) -> Vec<&'static str> {
        self.state().log.clone()
    }

    pub(super) fn crash_at(&self, operation: u64) {
        self.state().crash_at = Some(operation);
    }

    pub(super) fn fault_at(&self, operation: u64, fault: Fault) {
        self.state().fault = Some((operation, fault));
    }

    pub(super) fn set_capacity(&self, bytes: u64) {
        self.state().capacity = bytes;
    }

    pub(super) fn used(&self) -> u64 {
        self.state().used()
    }

    /// How many things are not synced.
    pub(super) fn unsynced(&self) -> usize {
        let state = self.state();
        state.pending_names.len() + state.inodes.iter().map(|inode| inode.pending.len()).sum::<usize>()
    }

    /// A disk with what a crash leaves.
    pub(super) fn after_crash(&self, keep: Keep) -> Self {
        let state = self.state();
        let mut random = Random(if let Keep::Some(seed) = keep { seed } else { 0 });
        let mut order: Vec<u64> = state.pending_names.iter().map(|(at, _)| *at).collect();
        order.extend(state.inodes.iter().flat_map(|inode| inode.pending.iter().map(|(at, _)| *at)));
        order.sort_unstable();
        let kept: std::collections::BTreeSet<u64> = match keep {
            Keep::Nothing => Default::default(),
            Keep::Everything => order.into_iter().collect(),
            Keep::First(count) => order.into_iter().take(count).collect(),
            Keep::Some(_) => order.into_iter().filter(|_| random.next().is_multiple_of(2)).collect(),
        };
        let mut inodes = Vec::new();
        for inode in &state.inodes {
            let mut content = inode.durable.clone();
            for (_, sector) in inode.pending.iter().filter(|(at, _)| kept.contains(at)) {
                put(&mut content, sector);
            }
            inodes.push(Inode { live: content.clone(), durable: content, pending: Vec::new() });
        }
        let mut names = state.durable_names.clone();
        for (_, changes) in state.pending_names.iter().filter(|(at, _)| kept.contains(at)) {
            apply(&mut names, changes);
        }
        let durable_names = names.clone();
        let capacity = state.capacity;
        Self(Arc::new(Mutex::new(State { inodes, names, durable_names, capacity, ..State::default() })))
    }

    /// A disk with the same files, everything synced.
    pub(super) fn copy(&self) -> Self {
        self.after_crash(Keep::Everything)
    }

    pub(super) fn read(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].live.clone()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Changes a file behind the journal's back, durably.
    pub(super) fn edit(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let inode = match state.names.get(name) {
            Some(&inode) => inode,
            None => {
                state.inodes.push(Inode::default());
                let inode = state.inodes.len() - 1;
                state.names.insert(name.to_owned(), inode);
                state.durable_names.insert(name.to_owned(), inode);
                inode
            }
        };
        let file = &mut state.inodes[inode];
        change(&mut file.live);
        file.durable.clone_from(&file.live);
    }

    /// Takes a file away behind the journal's back, durably.
    pub(super) fn lose(&self, name: &str) {
        let mut state = self.state();
        state.names.remove(name).expect("there");
        state.durable_names.remove(name);
    }

    fn open_inode(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let state = self.state();
        if state.is_crashed {
            return Err(crashed());
        }
        let inode = *state.names.get(name).ok_or(ErrorKind::NotFound)?;
        Ok(Box::new(SimulatedFile { disk: self.clone(), inode }))
    }

    fn name_operation(&self, what: &'static str, change: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.state();
        match state.begin(what)? {
            Verdict::Go => change(&mut state),
            Verdict::GoThenCrash => change(&mut state).and(Err(crashed())),
            Verdict::Fault(Fault::Error(kind) | Fault::TakenThenError(_, kind)) => Err(kind.into()),
            Verdict::Fault(Fault::Short(_)) => change(&mut state),
        }
    }
}

impl Disk for SimulatedDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.is_crashed {
            return Err(crashed());
        }
        let within = state.names.keys().filter(|name| folder_of(name) == folder);
        Ok(within.map(|name| name.rsplit('/').next().expect("a name").to_owned()).collect())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.name_operation("create", |state| {
            state.inodes.push(Inode::default());
            let inode = state.inodes.len() - 1;
            state.change_names(vec![(name.to_owned(), Some(inode))]);
            Ok(())
        })?;
        self.open_inode(name)
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open_inode(name)
    }

    fn open_for_writing(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.open_inode(name)
    }

    fn create_folder(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.name_operation("rename", |state| {
            let inode = *state.names.get(from).ok_or(ErrorKind::NotFound)?;
            state.change_names(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.name_operation("remove", |state| {
            state.names.get(name).ok_or(ErrorKind::NotFound)?;
            state.change_names(vec![(name.to_owned(), None)]);
            Ok(())
        })
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        let mut state = self.state();
        match state.begin("sync_folder")? {
            Verdict::Go | Verdict::Fault(Fault::Short(_)) => {
                let pending = std::mem::take(&mut state.pending_names);
                let (now, later): (Vec<_>, Vec<_>) =
                    pending.into_iter().partition(|(_, changes)| folder_of(&changes[0].0) == folder);
                now.iter().for_each(|(_, changes)| apply(&mut state.durable_names, changes));
                state.pending_names = later;
                Ok(())
            }
            Verdict::GoThenCrash => Err(crashed()),
            Verdict::Fault(Fault::Error(kind) | Fault::TakenThenError(_, kind)) => Err(kind.into()),
        }
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        Ok(state.capacity.saturating_sub(state.used()))
    }

    fn lock(&self) -> Result<JournalLock, JournalError> {
        Ok(JournalLock::simulated())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    inode: usize,
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].live.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        if state.is_crashed {
            return Err(crashed());
        }
        let live = &state.inodes[self.inode].live;
        let rest = live.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let verdict = state.begin("write")?;
        let grown = (offset + bytes.len() as u64).saturating_sub(state.inodes[self.inode].live.len() as u64);
        let room = state.capacity.saturating_sub(state.used());
        let fits = if grown > room { bytes.len().saturating_sub((grown - room) as usize) } else { bytes.len() };
        let (taken, error) = match verdict {
            Verdict::Go if fits == 0 && !bytes.is_empty() => (0, Some(ErrorKind::StorageFull.into())),
            Verdict::Go => (fits, None),
            Verdict::GoThenCrash => (bytes.len(), Some(crashed())),
            Verdict::Fault(Fault::Error(kind)) => (0, Some(kind.into())),
            Verdict::Fault(Fault::Short(taken)) => (taken.min(bytes.len()), None),
            Verdict::Fault(Fault::TakenThenError(taken, kind)) => (taken.min(bytes.len()), Some(kind.into())),
        };
        state.write(self.inode, offset as usize, &bytes[..taken]);
        error.map_or(Ok(taken), Err)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        match state.begin("sync")? {
            Verdict::Go | Verdict::Fault(Fault::Short(_)) => {
                let file = &mut state.inodes[self.inode];
                for (_, sector) in std::mem::take(&mut file.pending) {
                    put(&mut file.durable, &sector);
                }
                Ok(())
            }
            Verdict::GoThenCrash => Err(crashed()),
            Verdict::Fault(Fault::Error(kind) | Fault::TakenThenError(_, kind)) => {
                // The pages count as clean from here on, and were never written.
                state.inodes[self.inode].pending.clear();
                Err(kind.into())
            }
        }
    }
}
