//! A journal as its tools open it: as it is, without its lock, also while an engine writes.

use super::content::{Content, Decoded, Decoder};
use super::words::Words;
use crate::backtest::Blob;
use crate::control::journaling::SCHEMA;
use crate::journal::{
    Difference, Disk, FolderDisk, JournalError, Reader, ScanOptions, SegmentHeader, Verdict, Watermark,
    segment_headers, segment_name, verify,
};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a writer may take to note that it has written what is seen in part: some of its intervals.
const NOTE_WAIT: Duration = Duration::from_millis(300);
/// Records within which an engine start tells what things are called.
const START_RECORDS_MAX: u64 = 100_000;

/// A journal's folder.
pub(super) struct Source {
    folder: PathBuf,
    /// Its files.
    pub(super) disk: Arc<dyn Disk>,
}

impl Source {
    /// The journal in this folder.
    ///
    /// # Errors
    /// Where there is none, with what to name instead.
    pub(super) fn open(folder: &Path) -> Result<Self, String> {
        let problem = |problem: &str| Err(format!("{}: {problem}", folder.display()));
        if folder.is_file() {
            return problem("this is a file; name the folder that it is in");
        }
        if !folder.is_dir() {
            return problem("there is no such folder; name a journal's, such as gannet-data/journal");
        }
        let source = Self { folder: folder.to_owned(), disk: Arc::new(FolderDisk::existing(folder)) };
        let names = source.disk.list("").map_err(|error| source.words(&error))?;
        if names.iter().any(|name| name == "checkpoint" || name.starts_with("segment-")) {
            return Ok(source);
        }
        if folder.join("journal").is_dir() {
            return problem("there is no journal in it, but one in its folder journal: name that");
        }
        problem("there is no journal in it; gannet run and gannet demo --journal DIR write one")
    }

    /// A problem with the folder before it.
    pub(super) fn words(&self, problem: &dyn std::fmt::Display) -> String {
        format!("{}: {problem}", self.folder.display())
    }

    /// Where it is.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The headers of its segments; at least one.
    ///
    /// # Errors
    /// What keeps them from being read, or that there is none.
    pub(super) fn headers(&self) -> Result<Vec<SegmentHeader>, String> {
        let headers = segment_headers(self.disk.as_ref()).map_err(|error| self.words(&error))?;
        if headers.is_empty() {
            return Err(self.words(&"there is no segment in it; gannet journal verify DIR judges what is there"));
        }
        Ok(headers)
    }

    /// Up to which sequence the disk had it when that was last noted; 0 for nothing.
    ///
    /// # Errors
    /// What keeps that from being read.
    pub(super) fn durable_seq(&self) -> Result<u64, String> {
        let watermark = Watermark::read(self.disk.as_ref()).map_err(|error| self.words(&error))?;
        Ok(watermark.map_or(0, |watermark| watermark.seq))
    }

    /// Its records from this sequence on, 0 or below the oldest for all that are there.
    ///
    /// # Errors
    /// What keeps them from being read.
    pub(super) fn records(&self, from_seq: u64) -> Result<Records<'_>, String> {
        let headers = self.headers()?;
        let first_seq = headers.first().map_or(1, |header| header.first_seq);
        // Its records would be sound, and mean something else.
        if let Some(other) = headers.iter().find(|header| header.identity.schema_hash != SCHEMA) {
            let difference = Difference::Schema { found: other.identity.schema_hash };
            return Err(self.words(&JournalError::Unsupported { file: segment_name(other.number), difference }));
        }
        let mut decoder = Decoder::default();
        if let Some(words) = self.names_at(&headers, from_seq)? {
            decoder.learn(words);
        }
        let durable_seq = self.durable_seq()?;
        // Behind the end there is nothing to open at: the newest record is read instead, and passed over.
        let opened_at = from_seq.clamp(first_seq, durable_seq.max(first_seq));
        let reader = Reader::open(Arc::clone(&self.disk), opened_at).map_err(|error| self.words(&error))?;
        let reader = reader.ok_or_else(|| self.words(&"its segments have gone meanwhile; try again"))?;
        Ok(Records { source: self, reader, decoder, durable_seq, warning: None })
    }

    /// What the engine start calls things in which this record is; `None` where that is not in the journal any more.
    fn names_at(&self, headers: &[SegmentHeader], seq: u64) -> Result<Option<Words>, String> {
        let Some(within) = headers.iter().rev().find(|header| header.first_seq <= seq) else { return Ok(None) };
        let epoch = within.identity.epoch;
        let Some(first) = headers.iter().find(|header| header.identity.epoch == epoch) else { return Ok(None) };
        if first.first_seq >= seq {
            return Ok(None);
        }
        let failed = |error: JournalError| self.words(&error);
        let Some(mut reader) = Reader::open(Arc::clone(&self.disk), first.first_seq).map_err(failed)? else {
            return Ok(None);
        };
        let mut decoder = Decoder::default();
        let limit = seq.min(first.first_seq.saturating_add(START_RECORDS_MAX)).min(self.durable_seq()?);
        while let Some((position, record)) = reader.next_up_to(limit).map_err(failed)? {
            if matches!(decoder.decode(position, &record).content, Content::Blob(Blob::Start(_))) {
                return Ok(Some(decoder.words().clone()));
            }
        }
        Ok(None)
    }
}

/// The records of a journal, to its end as it is when that is reached.
pub(super) struct Records<'a> {
    source: &'a Source,
    reader: Reader,
    decoder: Decoder,
    durable_seq: u64,
    /// What is to be told at the end, though nothing is wrong with what was read.
    pub(super) warning: Option<String>,
}

impl Records<'_> {
    /// What ids are called in what was read last.
    pub(super) const fn words(&self) -> &Words {
        self.decoder.words()
    }

    /// The sequence that comes next.
    pub(super) fn next_seq(&self) -> u64 {
        self.reader.next_seq()
    }

    /// Up to where the journal was durable when that was last looked at.
    pub(super) const fn durable_seq(&self) -> u64 {
        self.durable_seq
    }

    /// The next record; `None` at the end. Up to the watermark every record has to be there; behind it stands what is being
    /// written, or what a crash left.
    ///
    /// # Errors
    /// Damage with its place, or what the disk refuses.
    pub(super) fn next(&mut self) -> Result<Option<Decoded>, String> {
        loop {
            let limit = if self.reader.next_seq() <= self.durable_seq { self.durable_seq } else { u64::MAX };
            match self.next_up_to(limit) {
                Ok(Some(decoded)) => return Ok(Some(decoded)),
                Ok(None) if limit == u64::MAX => return Ok(None),
                Ok(None) => {}
                Err(JournalError::Corrupt { at, .. }) if at.seq > self.durable_seq && self.is_end()? => {
                    return Ok(None);
                }
                Err(JournalError::Corrupt { at, .. }) if at.seq <= self.durable_seq && limit == u64::MAX => {}
                Err(error) => return Err(self.source.words(&error)),
            }
        }
    }

    /// The next record that is noted as durable; `None` where there is none yet.
    ///
    /// # Errors
    /// Damage with its place, or what the disk refuses.
    pub(super) fn next_durable(&mut self) -> Result<Option<Decoded>, String> {
        if self.reader.next_seq() > self.durable_seq {
            self.durable_seq = self.source.durable_seq()?;
        }
        self.next_up_to(self.durable_seq).map_err(|error| self.source.words(&error))
    }

    fn next_up_to(&mut self, limit: u64) -> Result<Option<Decoded>, JournalError> {
        let Self { reader, decoder, .. } = self;
        let next = reader.next_up_to(limit)?;
        Ok(next.map(|(position, record)| decoder.decode(position, &record)))
    }

    /// Whether the journal ends where something bad stands behind the watermark: it does where that is a write which a crash
    /// cut short, and not where a writer has gone on meanwhile.
    fn is_end(&mut self) -> Result<bool, String> {
        let due = self.reader.next_seq();
        std::thread::sleep(NOTE_WAIT);
        self.durable_seq = self.source.durable_seq()?;
        if self.durable_seq >= due {
            return Ok(false);
        }
        let options = ScanOptions { schemas: vec![SCHEMA], ..ScanOptions::default() };
        match verify(self.source.disk.as_ref(), &options, &mut |_| {}).verdict {
            Verdict::Clean(_) => Ok(true),
            Verdict::Torn(_, torn, _) => {
                let bytes = torn.bytes;
                let warning =
                    format!("{bytes} bytes at its end were cut short by a crash; the next start puts them aside");
                self.warning = Some(self.source.words(&warning));
                Ok(true)
            }
            Verdict::Refused(error) => Err(self.source.words(&error)),
        }
    }
}
