//! Judging a journal for tools: what is in it, and whether it is whole. Writes nothing, takes no lock.

use super::disk::Disk;
use super::error::JournalError;
use super::record::{Flaw, STAGES_MAX};
use super::scan::{End, Progress, ScanOptions, Torn, scan};

/// What is in a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Segments read.
    pub segments: u64,
    /// Records read.
    pub records: u64,
    /// The first sequence; 0 where there is no record.
    pub first_seq: u64,
    /// The last sequence; 0 where there is no record.
    pub last_seq: u64,
    /// Stages that wrote, each with the count of its records.
    pub stages: Vec<(u16, u64)>,
    /// Segments of which one of the two header copies is not sound. The other one was read; the next start repairs it.
    pub damaged_headers: Vec<u64>,
    /// Whether one of the two watermark slots is not sound: a write of it was cut short, or it is damaged.
    pub is_checkpoint_damaged: bool,
    /// Whether it is whole.
    pub verdict: Verdict,
}

/// Whether a journal is whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every record is there up to this end.
    Clean(End),
    /// A write was cut short behind this end; the next start puts that aside.
    Torn(End, Torn, Flaw),
    /// It is not what was written, or not for this build. The counts of the report reach up to there.
    Refused(JournalError),
}

impl Report {
    /// Whether nothing whatever is wrong.
    #[must_use]
    pub fn is_flawless(&self) -> bool {
        matches!(self.verdict, Verdict::Clean(_)) && self.damaged_headers.is_empty() && !self.is_checkpoint_damaged
    }
}

/// Reads a whole journal and judges it. On the journal of a running engine, what is just being written may pass for a torn
/// end.
pub fn verify(disk: &dyn Disk, options: &ScanOptions, progress: &mut dyn FnMut(Progress)) -> Report {
    let mut counts = vec![0_u64; usize::from(STAGES_MAX)];
    let (mut records, mut first_seq, mut last_seq, mut segments) = (0, 0, 0, 0);
    let mut count_segments = |so_far: Progress| {
        segments = so_far.segments;
        progress(so_far);
    };
    let scanned = scan(disk, options, &mut count_segments, &mut |_, record| {
        records += 1;
        last_seq = record.seq;
        if first_seq == 0 {
            first_seq = record.seq;
        }
        if let Some(count) = counts.get_mut(usize::from(record.entry.stage)) {
            *count += 1;
        }
    });
    let stages = (0_u16..).zip(counts).filter(|&(_, count)| count > 0).collect();
    let (mut damaged_headers, mut is_checkpoint_damaged) = (Vec::new(), false);
    let verdict = match scanned {
        Ok(scanned) => {
            damaged_headers.extend(scanned.damaged_headers.iter().map(|header| header.number));
            is_checkpoint_damaged = scanned.slots.is_some_and(|slots| slots.is_damaged);
            match scanned.torn {
                Some((torn, _, flaw)) => Verdict::Torn(scanned.end, torn, flaw),
                None => Verdict::Clean(scanned.end),
            }
        }
        Err(error) => Verdict::Refused(error),
    };
    Report { segments, records, first_seq, last_seq, stages, damaged_headers, is_checkpoint_damaged, verdict }
}
