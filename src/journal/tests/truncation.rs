//! J4: the last segment's file cut at every byte.

use super::*;

/// A journal whose last segment is filled to its end; its records by where they end, and the watermark's sequence.
fn filled(
    segment_bytes: u64,
    segments: u64,
    is_watermark_late: bool,
) -> (SimulatedDisk, Records, Vec<(u64, u64)>, u64) {
    let disk = SimulatedDisk::new();
    let mut log = open(&disk, segment_bytes);
    let mut author = Author::new(7);
    author.fill(&mut log, segments, 9_000, 250);
    let noted = (segment_bytes - 9_000) / 2;
    author.fill(&mut log, segments, if is_watermark_late { segment_bytes - 3_000 } else { noted }, 250);
    log.checkpoint().expect("noted");
    let watermark = log.durable_seq();
    author.fill(&mut log, segments, segment_bytes - 400, 250);
    assert_eq!(log.segment().number, segments);
    let mut ends = Vec::new();
    let mut reader = Reader::open(Arc::new(disk.clone()), 0).expect("opens").expect("there");
    while let Some((position, record)) = reader.next().expect("sound") {
        if position.segment == segments {
            ends.push((position.offset + record::size_of_record(record.payload.len()) as u64, position.seq));
        }
    }
    (disk, author.written, ends, watermark)
}

fn judge(
    whole: &SimulatedDisk,
    segments: u64,
    cut: usize,
    ends: &[(u64, u64)],
    watermark: u64,
    written: &Records,
) -> bool {
    let last_whole = ends.iter().rev().find(|&&(end, _)| end <= cut as u64).map_or(0, |&(_, seq)| seq);
    let disk = whole.copy();
    disk.edit(&segment::name(segments), |bytes| bytes.truncate(cut));
    match try_recover(&disk) {
        Ok((recovered, records)) => {
            assert!(last_whole >= watermark, "cut at {cut}: {last_whole} taken, {watermark} was durable");
            assert_eq!(recovered.end.position.seq, last_whole + 1, "cut at {cut}");
            assert!(records.len() as u64 == last_whole && records.iter().all(|(seq, found)| written[seq] == *found));
            if cut.is_multiple_of(64) {
                let length = whole.read(&segment::name(segments)).len();
                assert_eq!(disk.read(&segment::name(segments)).len(), length, "the file has its length again");
                let (again, _) = try_recover(&disk).expect("sound");
                assert_eq!((again.end, again.torn), (recovered.end, recovered.torn));
                open(&disk, SEGMENT_BYTES_MIN).close().expect("goes on");
            }
            true
        }
        Err(error) => {
            assert_eq!(error.code(), "JOURNAL_CORRUPT");
            assert!(last_whole < watermark, "cut at {cut}: refused without need: {error}");
            false
        }
    }
}

#[test]
fn a_file_cut_at_any_byte_gives_the_longest_valid_prefix_or_is_refused_below_the_watermark() {
    const SEGMENT: u64 = 72 << 10;
    let (disk, written, ends, watermark) = filled(SEGMENT, 1, false);
    let (mut taken, mut refused) = (0, 0);
    for cut in 0..SEGMENT as usize {
        match judge(&disk, 1, cut, &ends, watermark, &written) {
            true => taken += 1,
            false => refused += 1,
        }
    }
    println!("J4: cut at each of {SEGMENT} bytes: {taken} times the valid prefix, {refused} times refused");
    assert!(taken > 20_000 && refused > 20_000);
}

#[test]
fn a_file_cut_at_any_record_edge_does_the_same_in_a_larger_journal() {
    let size = if is_long() { 1 << 20 } else { 128 << 10 };
    let (disk, written, ends, watermark) = filled(size, 4, true);
    let mut cases = 0;
    for &(end, _) in &ends {
        for cut in [end as usize - 1, end as usize, end as usize + 1] {
            judge(&disk, 4, cut, &ends, watermark, &written);
            cases += 1;
        }
    }
    println!("J4: {cases} cuts at record edges");
}

#[test]
fn a_sealed_segment_that_was_cut_is_refused_even_where_only_zeros_are_gone() {
    let (disk, ..) = filled(16 << 10, 2, false);
    let name = segment::name(1);
    let length = disk.read(&name).len();
    disk.edit(&name, |bytes| bytes.truncate(length - 1));
    let error = try_recover(&disk).expect_err("cut");
    assert!(matches!(error, JournalError::Corrupt { damage: Damage::FileLength { .. }, .. }), "{error}");
    disk.edit(&name, |bytes| bytes.resize(length + 1, 0));
    try_recover(&disk).expect_err("too long");
}
