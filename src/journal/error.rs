//! What can go wrong with a journal, told as: what, where, what to do.

use super::record::Flaw;
use std::fmt;
use std::io;

/// A place in the journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The segment's number, from 1.
    pub segment: u64,
    /// Bytes from the segment file's start.
    pub offset: u64,
    /// The sequence of the record there, or of the one that is due there.
    pub seq: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = super::segment::name(self.segment);
        write!(f, "{name} at offset {}, sequence {}", self.offset, self.seq)
    }
}

/// Why a journal cannot be used, or a record not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalError {
    /// What is on the disk is not what was written. Nothing was changed.
    Corrupt {
        /// Where the scan stopped.
        at: Position,
        /// What is wrong there.
        damage: Damage,
    },
    /// Another process has the journal.
    Locked {
        /// The folder.
        folder: String,
        /// The holder's process id, where it could be read.
        holder: Option<u32>,
    },
    /// The disk refused. A writer that met this takes nothing any more.
    Unavailable {
        /// The file or folder.
        file: String,
        /// What was being done to it.
        doing: &'static str,
        /// What the system said.
        problem: String,
    },
    /// The file is sound, but not one that this build reads.
    Unsupported {
        /// The file.
        file: String,
        /// In what it differs.
        difference: Difference,
    },
    /// The caller asked for what the format has no room for. Nothing was written, and the writer goes on.
    Refused(Refusal),
}

/// What is wrong with a journal that cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they hold; each variant says what it means")]
pub enum Damage {
    /// A bad record, met by a reader that does not judge what stands behind it.
    BadRecord { flaw: Flaw },
    /// A bad record where the watermark says that the disk had good ones.
    BelowWatermark { flaw: Flaw, watermark: Position },
    /// A bad record, and behind it a good one of a later batch: what is bad was once on the disk.
    BeforeLaterRecord { flaw: Flaw, later: Position },
    /// A bad record, and a whole segment behind it.
    BeforeLaterSegment { flaw: Flaw },
    /// A bad record, and so much behind it that looks like records that looking on was given up.
    TooMuchToSearch { flaw: Flaw },
    /// A record that is sound by itself, but not the one that is due.
    OutOfPlace { flaw: Flaw },
    /// The journal ends before the watermark: records that were acknowledged are gone.
    ShorterThanWatermark { watermark: Position },
    /// The record at the watermark is not the one that was there.
    DiffersFromWatermark { watermark: Position },
    /// Neither copy of a segment's header is sound.
    Header,
    /// A sound header that belongs to another file.
    Misplaced { number: u64 },
    /// A segment of another engine.
    ForeignEngine,
    /// The segment does not begin where the one before it ended.
    SequenceBreak { found: u64 },
    /// The segment's chain is not the one with which the segment before it ended.
    ChainBreak,
    /// The segment's epoch is lower than the one before it.
    EpochBreak { before: u32, found: u32 },
    /// A segment is not there.
    MissingSegment,
    /// The file is longer, or for a segment with others behind it shorter, than its header says.
    FileLength { stated: u64, found: u64 },
    /// There are segments, but no watermark file.
    NoCheckpoint,
    /// Neither slot of the watermark file is sound.
    Checkpoint,
    /// The snapshot was taken behind the journal's end.
    SnapshotAhead { snapshot: u64 },
    /// The record of this sequence is not the one that the snapshot at it saw.
    SnapshotDiffers {
        /// The snapshot's sequence.
        snapshot: u64,
    },
}

/// In what a sound file differs from those that this build reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they hold; each variant says what it means")]
pub enum Difference {
    /// Its format version.
    Version { found: u32, known: u32 },
    /// The byte order of the machine that wrote it.
    Endianness,
    /// The schema of its records.
    Schema { found: u64 },
}

/// What the format has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named for what they hold; each variant says what it means")]
pub enum Refusal {
    /// A payload of no bytes: a length of zero means that nothing was written.
    PayloadEmpty,
    /// A payload above the limit.
    PayloadTooLarge { bytes: usize, max: usize },
    /// A stage number above the limit, or the journal's own.
    Stage { stage: u16 },
    /// A kind that is the journal's own.
    Kind { kind: u16 },
    /// A stage's sequence that is not one more than its last.
    StageSequence { stage: u16, due: u64, found: u64 },
    /// An epoch that was in use before.
    Epoch { last: u32, found: u32 },
    /// A segment size outside the limits.
    SegmentBytes { bytes: u64, min: u64, max: u64 },
    /// A snapshot of what is not durable yet, or of more bytes than a snapshot may have.
    Snapshot { seq: u64, durable: u64, bytes: usize },
}

impl JournalError {
    /// A refusal of the disk.
    pub(super) fn disk(file: &str, doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Unavailable { file: file.to_owned(), doing, problem: error.to_string() }
    }

    /// The recorder did not answer in time.
    pub(super) fn unanswered() -> Self {
        Self::Unavailable {
            file: "the newest segment".to_owned(),
            doing: "waiting for a write to reach the disk",
            problem: "it took too long".to_owned(),
        }
    }

    /// The name under which operators know this error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Corrupt { .. } => "JOURNAL_CORRUPT",
            Self::Locked { .. } => "JOURNAL_LOCKED",
            Self::Unavailable { .. } => "JOURNAL_UNAVAILABLE",
            Self::Unsupported { .. } => "JOURNAL_UNSUPPORTED",
            Self::Refused(_) => "JOURNAL_REFUSED",
        }
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.code())?;
        match self {
            Self::Corrupt { at, damage } => write!(
                f,
                "{at}: {damage}; nothing was changed: keep a copy of the folder, then restore it from a backup or \
                 recover from the venues"
            ),
            Self::Locked { folder, holder } => {
                let holder = holder.map_or("a process".to_owned(), |pid| format!("process {pid}"));
                write!(f, "{folder}: {holder} has this journal; stop it, or give this engine a folder of its own")
            }
            Self::Unavailable { file, doing, problem } => {
                write!(f, "{doing} {file}: {problem}; see that the disk is sound and has room, then start again")
            }
            Self::Unsupported { file, difference } => write!(f, "{file}: {difference}"),
            Self::Refused(refusal) => write!(f, "{refusal}"),
        }
    }
}

impl std::error::Error for JournalError {}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadRecord { flaw } => write!(f, "{flaw}"),
            Self::BelowWatermark { flaw, watermark } => write!(f, "{flaw}, below what was durable ({watermark})"),
            Self::BeforeLaterRecord { flaw, later } => {
                write!(f, "{flaw}, and a good record stands behind it ({later})")
            }
            Self::BeforeLaterSegment { flaw } => write!(f, "{flaw}, and a segment stands behind it"),
            Self::TooMuchToSearch { flaw } => write!(f, "{flaw}, and what is behind it takes too long to judge"),
            Self::OutOfPlace { flaw } => write!(f, "{flaw}, sound by itself but not the one that is due"),
            Self::ShorterThanWatermark { watermark } => {
                write!(f, "the journal ends here, before what was durable ({watermark})")
            }
            Self::DiffersFromWatermark { watermark } => {
                write!(f, "the record before this is not the one that was durable ({watermark})")
            }
            Self::Header => write!(f, "neither copy of the segment's header is sound"),
            Self::Misplaced { number } => write!(f, "the file holds segment {number}"),
            Self::ForeignEngine => write!(f, "the file is another engine's"),
            Self::SequenceBreak { found } => write!(f, "the segment begins with sequence {found}"),
            Self::ChainBreak => write!(f, "the segment does not continue the chain of the one before it"),
            Self::EpochBreak { before, found } => write!(f, "epoch {found} comes after epoch {before}"),
            Self::MissingSegment => write!(f, "the segment is not there"),
            Self::FileLength { stated, found } => write!(f, "the file has {found} bytes, its header says {stated}"),
            Self::NoCheckpoint => write!(f, "the watermark file is not there, though segments are"),
            Self::Checkpoint => write!(f, "neither slot of the watermark file is sound"),
            Self::SnapshotDiffers { snapshot } => {
                write!(f, "the record {snapshot} is not the one that the snapshot at it was made of")
            }
            Self::SnapshotAhead { snapshot } => write!(f, "the journal ends here, before its snapshot of {snapshot}"),
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version { found, known } => {
                write!(f, "has format version {found}, this build reads {known}; use the build that wrote it")
            }
            Self::Endianness => {
                write!(f, "was written in the other byte order; read it on the kind of machine it is from")
            }
            Self::Schema { found } => {
                write!(
                    f,
                    "holds records of schema {found:016x}, which this build does not read; use the build that wrote it"
                )
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PayloadEmpty => write!(f, "a record without payload; give it at least one byte"),
            Self::PayloadTooLarge { bytes, max } => {
                write!(f, "a payload of {bytes} bytes; split it, {max} is the most")
            }
            Self::Stage { stage } => {
                write!(f, "stage {stage}; stages are below {}", super::record::JOURNAL_STAGE)
            }
            Self::Kind { kind } => write!(f, "kind {kind}; kinds are below {}", super::record::OWN_KINDS),
            Self::StageSequence { stage, due, found } => {
                write!(f, "sequence {found} of stage {stage}, where {due} is due; give a stage's records in its order")
            }
            Self::Epoch { last, found } => write!(f, "epoch {found}; take one above the journal's last, {last}"),
            Self::SegmentBytes { bytes, min, max } => {
                write!(f, "segments of {bytes} bytes; take a multiple of 4096 from {min} to {max}")
            }
            Self::Snapshot { seq, durable, bytes } => write!(
                f,
                "a snapshot of sequence {seq} with {bytes} bytes, where {durable} is durable; wait for it, and keep it \
                 below {} bytes",
                super::snapshots::SNAPSHOT_BYTES_MAX
            ),
        }
    }
}
