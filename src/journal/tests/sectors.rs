//! J6: sectors that were zeroed, overwritten, swapped, or hold what stood there in another life.

use super::*;

const SEGMENT: u64 = 256 << 10;

/// Two engine starts, two segments each. The stale content of a place is what the first start wrote there.
fn filled() -> (SimulatedDisk, Records) {
    let disk = SimulatedDisk::new();
    let mut author = Author::new(19);
    for segment in [2, 4] {
        let mut log = open(&disk, SEGMENT);
        author.stage_seqs = [0; 5];
        author.fill(&mut log, segment, SEGMENT - 5_000, 300);
        log.close().expect("closes");
    }
    (disk, author.written)
}

fn is_flawless(disk: &SimulatedDisk) -> bool {
    verify(disk, &options(), &mut |_| {}).is_flawless()
}

#[test]
fn any_sector_that_is_not_what_was_written_is_noticed() {
    let (disk, written) = filled();
    assert_sound(&disk, &written);
    let mut random = Random(23);
    let names: Vec<String> = (1..=4).map(segment::name).collect();
    let contents: Vec<Vec<u8>> = names.iter().map(|name| disk.read(name)).collect();
    let (mut cases, mut taken) = (0, 0);
    for sector in [512, 4096] {
        let each = if is_long() || sector == 4096 { 1 } else { 3 };
        for (index, name) in names.iter().enumerate() {
            let content = &contents[index];
            for start in (0..content.len()).step_by(sector * each) {
                let place = start..start + sector;
                let other = random.below(content.len() / sector) * sector;
                let (elsewhere, of_other) = (random.below(4), other..other + sector);
                let mut swapped = content.clone();
                swapped[place.clone()].copy_from_slice(&content[of_other.clone()]);
                swapped[of_other.clone()].copy_from_slice(&content[place.clone()]);
                let with = |bytes: &[u8]| {
                    let mut changed = content.clone();
                    changed[place.clone()].copy_from_slice(bytes);
                    changed
                };
                let faults = [
                    with(&vec![0; sector]),
                    with(&random.bytes(sector)),
                    // The older epoch's bytes of the same place, the newer one's where this is the older.
                    with(&contents[(index + 2) % 4][place.clone()]),
                    with(&contents[elsewhere][of_other.clone()]),
                    swapped,
                ];
                for (fault, changed) in faults.iter().enumerate() {
                    if changed == content {
                        continue;
                    }
                    cases += 1;
                    disk.edit(name, |bytes| bytes.clone_from(changed));
                    assert!(!is_flawless(&disk), "fault {fault} of the {sector} bytes at {start} of {name}");
                    if start < 8_192 || start as u64 > SEGMENT - 5_000 {
                        // Recovery goes on only where every record is there.
                        if let Ok((_, records)) = try_recover(&disk.copy()) {
                            assert!(records == written, "fault {fault} at {start} of {name}: other records");
                            taken += 1;
                        }
                    }
                    disk.edit(name, |bytes| bytes.clone_from(content));
                }
            }
        }
    }
    println!("J6: {cases} sector faults, all noticed; {taken} taken with every record");
    assert!(is_flawless(&disk));
}

#[test]
fn whole_segments_that_are_gone_swapped_or_from_before_are_noticed() {
    let (disk, _) = filled();
    let damage = |change: &dyn Fn(&SimulatedDisk)| {
        let disk = disk.copy();
        change(&disk);
        match try_recover(&disk).expect_err("noticed") {
            JournalError::Corrupt { damage, .. } => damage,
            other => panic!("{other}"),
        }
    };
    let copy = |from: u64, to: u64| {
        move |disk: &SimulatedDisk| {
            let content = disk.read(&segment::name(from));
            disk.edit(&segment::name(to), |bytes| *bytes = content);
        }
    };
    assert_eq!(damage(&|disk| disk.lose(&segment::name(2))), Damage::MissingSegment);
    assert_eq!(damage(&|disk| disk.lose(&segment::name(1))), Damage::MissingSegment);
    assert!(matches!(damage(&|disk| disk.lose(&segment::name(4))), Damage::ShorterThanWatermark { .. }));
    assert_eq!(damage(&copy(3, 4)), Damage::Misplaced { number: 3 });
    assert_eq!(damage(&copy(4, 5)), Damage::Misplaced { number: 4 });
    // The last segment as it was before it was written.
    let blank = |disk: &SimulatedDisk| disk.edit(&segment::name(4), |bytes| bytes[8_192..].fill(0));
    assert!(matches!(damage(&blank), Damage::ShorterThanWatermark { .. }));
    let blank = |disk: &SimulatedDisk| disk.edit(&segment::name(3), |bytes| bytes[8_192..].fill(0));
    assert!(matches!(damage(&blank), Damage::SequenceBreak { .. }));
}

#[test]
fn a_sound_journal_that_is_not_the_one_of_the_watermark_is_refused() {
    let (disk, _) = filled();
    let future = |seed| {
        let disk = disk.copy();
        let mut log = open(&disk, SEGMENT);
        Author::new(seed).fill(&mut log, 5, 50_000, 300);
        log.close().expect("closes");
        disk
    };
    let (one, other) = (future(1), future(2));
    let checkpoint = one.read("checkpoint");
    other.edit("checkpoint", |bytes| *bytes = checkpoint);
    let error = try_recover(&other).expect_err("another life");
    assert!(
        matches!(
            error,
            JournalError::Corrupt {
                damage: Damage::DiffersFromWatermark { .. } | Damage::ShorterThanWatermark { .. },
                ..
            }
        ),
        "{error}"
    );
    // Longer than the watermark, and sound to its end.
    let shorter = disk.copy();
    let mut log = open(&shorter, SEGMENT);
    Author::new(1).fill(&mut log, 5, 20_000, 300);
    log.close().expect("closes");
    let checkpoint = shorter.read("checkpoint");
    let other = future(2);
    other.edit("checkpoint", |bytes| *bytes = checkpoint);
    let error = try_recover(&other).expect_err("another life");
    assert!(matches!(error, JournalError::Corrupt { damage: Damage::DiffersFromWatermark { .. }, .. }), "{error}");
}

#[test]
fn each_damage_has_its_own_name() {
    let (disk, _) = filled();
    let damage = |disk: &SimulatedDisk, number: u64, at: usize| {
        let disk = disk.copy();
        disk.edit(&segment::name(number), |bytes| bytes[at] ^= 1);
        match try_recover(&disk).expect_err("damaged") {
            JournalError::Corrupt { damage, at } => (damage, at.segment),
            other => panic!("{other}"),
        }
    };
    let below = |found: (Damage, u64)| matches!(found.0, Damage::BelowWatermark { .. }).then_some(found.1);
    assert_eq!(below(damage(&disk, 4, 100_000)), Some(4));
    assert_eq!(below(damage(&disk, 2, 100_000)), Some(2));
    // Above the watermark: a good record of a later batch, then a later segment, is the proof.
    let mut log = open(&disk, SEGMENT);
    Author::new(5).fill(&mut log, 5, 100_000, 300);
    assert!(matches!(damage(&disk, 5, 50_000).0, Damage::BeforeLaterRecord { .. }));
    let checkpoint = disk.read("checkpoint");
    Author { stage_seqs: [0; 5], ..Author::new(5) }.fill(&mut open(&disk, SEGMENT), 6, 50_000, 300);
    disk.edit("checkpoint", |bytes| *bytes = checkpoint);
    assert!(matches!(damage(&disk, 5, 50_000).0, Damage::BeforeLaterSegment { .. }));
}
