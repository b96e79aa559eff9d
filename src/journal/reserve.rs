//! Room for what comes next: the next segment, made ahead, and a ballast file to give up when the disk is full.

use super::disk::{self, Disk, DiskFile};
use super::error::JournalError;
use super::segment::{self, RECORDS_START, SegmentHeader, both_copies};
use std::io::{self, ErrorKind};
use std::sync::Arc;

/// The next segment, until it gets its name.
pub(super) const SPARE: &str = "spare";
/// Space that is given up so that the engine can cancel and book fills on a full disk.
const BALLAST: &str = "ballast";
/// What is set aside in one go, so that a commit waits for no more than this.
const PIECE_BYTES: u64 = 1 << 20;

/// How much room the journal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Space {
    /// Nothing to do.
    Ample,
    /// Tell somebody: after the next segment there is less left than configured.
    Low,
    /// The next segment cannot be had, or only for the ballast: write only what must be, stop taking new risk.
    Critical,
}

#[derive(Debug)]
struct Spare {
    file: Box<dyn DiskFile>,
    /// The bytes that are set aside, all of them synced.
    filled: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reserve {
    disk: Arc<dyn Disk>,
    segment_bytes: u64,
    ballast_bytes: u64,
    low_bytes: u64,
    spare: Option<Spare>,
    has_ballast: bool,
}

/// Whether the disk has no room, rather than a fault. A short write of zeros is how a full disk shows too.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero)
}

impl Reserve {
    pub(super) fn new(disk: Arc<dyn Disk>, segment_bytes: u64, ballast_bytes: u64, low_bytes: u64) -> Self {
        let has_ballast = disk.open(BALLAST).and_then(|file| file.length()).is_ok_and(|length| length >= ballast_bytes);
        Self { disk, segment_bytes, ballast_bytes, low_bytes, spare: None, has_ballast }
    }

    /// How much room there is, the next segment counted.
    pub(super) fn space(&self) -> Space {
        let Ok(free) = self.disk.free_bytes() else { return Space::Critical };
        let needed = self.needed_bytes();
        if free < needed || (self.ballast_bytes > 0 && !self.has_ballast) {
            Space::Critical
        } else if free - needed < self.low_bytes {
            Space::Low
        } else {
            Space::Ample
        }
    }

    fn needed_bytes(&self) -> u64 {
        self.segment_bytes - self.spare.as_ref().map_or(0, |spare| spare.filled)
    }

    /// Sets another piece of the next segment aside. A full disk is no error yet: [`Self::space`] tells of it, and there is
    /// half a segment left to write in.
    pub(super) fn prepare_piece(&mut self) -> Result<(), JournalError> {
        if self.needed_bytes() == 0 {
            return Ok(());
        }
        // Asking costs a system call, failing would cost a file made and removed, at each commit.
        if self.spare.is_none() && self.disk.free_bytes().is_ok_and(|free| free < self.segment_bytes) {
            return Ok(());
        }
        match self.fill(PIECE_BYTES) {
            Err(error) if is_full(&error) => self.drop_spare().map_err(JournalError::disk(SPARE, "removing")),
            filled => filled.map_err(JournalError::disk(SPARE, "allocating")),
        }
    }

    /// Makes the ballast where it is missing and there is room for it and two segments.
    pub(super) fn restore_ballast(&mut self) -> Result<(), JournalError> {
        let least = self.ballast_bytes.saturating_add(self.segment_bytes.saturating_mul(2));
        if self.has_ballast || self.ballast_bytes == 0 || self.disk.free_bytes().is_ok_and(|free| free < least) {
            return Ok(());
        }
        let make = || {
            let file = self.disk.create(BALLAST)?;
            disk::write_zeros(file.as_ref(), 0, self.ballast_bytes)?;
            file.sync()?;
            self.disk.sync_folder("")
        };
        match make() {
            Ok(()) => self.has_ballast = true,
            Err(error) if is_full(&error) => {
                self.disk.remove(BALLAST).map_err(JournalError::disk(BALLAST, "removing"))?;
            }
            Err(error) => return Err(JournalError::disk(BALLAST, "allocating")(error)),
        }
        Ok(())
    }

    /// Turns the spare into the segment of this header, `first` being its first bytes behind the header, and has it on the
    /// disk, name and all, when it answers. On a full disk the ballast is given up for it.
    pub(super) fn take(&mut self, header: &SegmentHeader, first: &[u8]) -> Result<Box<dyn DiskFile>, JournalError> {
        if let Err(error) = self.fill(self.segment_bytes) {
            let refused = JournalError::disk(SPARE, "allocating");
            if !is_full(&error) || !self.has_ballast {
                return Err(refused(error));
            }
            self.drop_spare().map_err(JournalError::disk(SPARE, "removing"))?;
            self.disk.remove(BALLAST).map_err(JournalError::disk(BALLAST, "giving up"))?;
            self.has_ballast = false;
            self.disk.sync_folder("").map_err(JournalError::disk(BALLAST, "giving up"))?;
            self.fill(self.segment_bytes).map_err(refused)?;
        }
        let name = segment::name(header.number);
        let Some(Spare { file, .. }) = self.spare.take() else {
            return Err(JournalError::disk(SPARE, "allocating")(ErrorKind::NotFound.into()));
        };
        let place = || {
            disk::write_whole(file.as_ref(), 0, &both_copies(header))?;
            if !first.is_empty() {
                disk::write_whole(file.as_ref(), RECORDS_START, first)?;
            }
            // Content before name: a segment that can be seen is whole.
            file.sync()?;
            self.disk.rename(SPARE, &name)?;
            self.disk.sync_folder("")
        };
        place().map_err(JournalError::disk(&name, "making"))?;
        Ok(file)
    }

    /// Sets aside up to `most` bytes more of the spare.
    fn fill(&mut self, most: u64) -> io::Result<()> {
        let mut spare = match self.spare.take() {
            Some(spare) => spare,
            None => Spare { file: self.disk.create(SPARE)?, filled: 0 },
        };
        let from = spare.filled;
        let to = self.segment_bytes.min(from + most);
        let written = disk::write_zeros(spare.file.as_ref(), from, to).and_then(|()| spare.file.sync());
        if written.is_ok() {
            spare.filled = to;
        }
        self.spare = Some(spare);
        written
    }

    fn drop_spare(&mut self) -> io::Result<()> {
        // Closed before it is removed: an open file keeps its space.
        self.spare = None;
        self.disk.remove(SPARE)
    }

    /// Whether the next segment is there whole.
    #[cfg(test)]
    pub(super) fn is_ready(&self) -> bool {
        self.needed_bytes() == 0
    }
}
