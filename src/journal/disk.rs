//! The few things that the journal asks of a disk, and the disk that is a folder.
//!
//! A seam because tests put a disk here that loses, tears and reorders what was not synced, and refuses at any byte.

use super::error::JournalError;
use super::lock::JournalLock;
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Files by name below one folder. A name may have one folder before it (`snapshots/x`). What it answers outlives a loss of
/// power only after the sync that belongs to it: a file's content after [`DiskFile::sync`], its name after
/// [`Disk::sync_folder`].
pub trait Disk: Send + Sync + fmt::Debug {
    /// The files in a folder, sorted; `""` is the journal's own. None where the folder is not there.
    ///
    /// # Errors
    /// Where the system refuses.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes an empty file, also where one was.
    ///
    /// # Errors
    /// Where the system refuses.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to read it.
    ///
    /// # Errors
    /// Where it is not there ([`ErrorKind::NotFound`]) or the system refuses.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to change it.
    ///
    /// # Errors
    /// Where it is not there ([`ErrorKind::NotFound`]) or the system refuses.
    fn open_for_writing(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Makes a folder where it is not there yet.
    ///
    /// # Errors
    /// Where the system refuses.
    fn create_folder(&self, name: &str) -> io::Result<()>;
    /// Gives a file another name, whole, also where one of that name was.
    ///
    /// # Errors
    /// Where the system refuses.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Takes a file's name away.
    ///
    /// # Errors
    /// Where it is not there ([`ErrorKind::NotFound`]) or the system refuses.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Has the names in a folder on the disk when it answers.
    ///
    /// # Errors
    /// Where the system refuses.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// The bytes that this user may still take.
    ///
    /// # Errors
    /// Where the system refuses.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Takes the folder for this process.
    ///
    /// # Errors
    /// `JOURNAL_LOCKED` where another one has it, `JOURNAL_UNAVAILABLE` where the system refuses.
    fn lock(&self) -> Result<JournalLock, JournalError>;
}

/// An open file.
pub trait DiskFile: Send + fmt::Debug {
    /// Its bytes.
    ///
    /// # Errors
    /// Where the system refuses.
    fn length(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset` on; the answer is short only where the file ends.
    ///
    /// # Errors
    /// Where the system refuses.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// One write at `offset`; the answer is how many bytes were taken, which may be fewer.
    ///
    /// # Errors
    /// Where the system refuses. What of the bytes was taken is not known then.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize>;
    /// Has the file's content and length on the disk when it answers. A refusal is final: the system forgets what it could
    /// not write, and a second sync would say that all is well.
    ///
    /// # Errors
    /// Where the system refuses.
    fn sync(&self) -> io::Result<()>;
}

/// Writes all of `bytes`, in one write.
pub(super) fn write_whole(file: &dyn DiskFile, offset: u64, bytes: &[u8]) -> io::Result<()> {
    let taken = file.write_at(offset, bytes)?;
    if taken == bytes.len() {
        return Ok(());
    }
    // Never carried on: after a short write comes the reason for it, and the caller is to hear of it at once.
    let problem = format!("only {taken} of {} bytes were taken", bytes.len());
    Err(io::Error::new(ErrorKind::WriteZero, problem))
}

/// Writes zeros over `from..to`: real ones, so that the disk has set the space aside.
pub(super) fn write_zeros(file: &dyn DiskFile, mut from: u64, to: u64) -> io::Result<()> {
    const PIECE: u64 = 256 << 10;
    while from < to {
        let piece = PIECE.min(to - from);
        write_whole(file, from, &vec![0; super::bytes::length(piece)])?;
        from += piece;
    }
    Ok(())
}

/// The whole file; `None` where it is not there. Longer ones than `max` bytes are refused.
pub(super) fn read_whole(disk: &dyn Disk, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let length = file.length()?;
    if length > max {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "is too large to be ours"));
    }
    let mut bytes = vec![0; super::bytes::length(length)];
    let filled = file.read_at(0, &mut bytes)?;
    bytes.truncate(filled);
    Ok(Some(bytes))
}

/// Puts a file in place whole: written beside it, synced, renamed, and the folder synced.
pub(super) fn put_whole(disk: &dyn Disk, folder: &str, name: &str, parts: &[&[u8]]) -> io::Result<()> {
    let beside = format!("{name}.tmp");
    let file = disk.create(&beside)?;
    let mut offset = 0;
    for part in parts {
        write_whole(file.as_ref(), offset, part)?;
        offset += super::bytes::offset(part.len());
    }
    file.sync()?;
    disk.rename(&beside, name)?;
    disk.sync_folder(folder)
}

/// A folder of the file system.
#[derive(Clone, Debug)]
pub struct FolderDisk {
    path: PathBuf,
}

impl FolderDisk {
    /// The folder at `path`, made for its owner alone where it is not there yet.
    ///
    /// # Errors
    /// `JOURNAL_UNAVAILABLE` where it cannot be made.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        // The folder's own name has to outlive a loss of power as well.
        let made =
            made.and_then(|()| path.parent().filter(|path| !path.as_os_str().is_empty()).map_or(Ok(()), sync_folder));
        made.map_err(JournalError::disk(&path.display().to_string(), "making"))?;
        Ok(Self { path })
    }

    /// The folder at `path`, as it is: for tools that only read.
    #[must_use]
    pub fn existing(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// A file made or opened for its owner alone.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

impl Disk for FolderDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path.join(folder)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                // Names that are not text are none of ours.
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = private().create(true).truncate(true).open(self.path.join(name))?;
        Ok(Box::new(FolderFile { file }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FolderFile { file: File::open(self.path.join(name))? }))
    }

    fn open_for_writing(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FolderFile { file: private().open(self.path.join(name))? }))
    }

    fn create_folder(&self, name: &str) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        sync_folder(&self.path.join(folder))
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::statvfs(&self.path)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn lock(&self) -> Result<JournalLock, JournalError> {
        JournalLock::take(&self.path)
    }
}

#[derive(Debug)]
struct FolderFile {
    file: File,
}

impl DiskFile for FolderFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, mut offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset) {
                Ok(0) => break,
                Ok(read) => {
                    filled += read;
                    offset += super::bytes::offset(read);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write_at(bytes, offset) {
                // A signal came before the first byte was taken: nothing was lost.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                taken => return taken,
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        // `fdatasync`: the content and what is needed to read it back, the length included.
        self.file.sync_data()
    }
}
