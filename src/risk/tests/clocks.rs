//! Clocks that jump (J9 of the journal's matrix): in the middle of a run, and between two. What is booked depends on no clock;
//! a day that is over does not come back; a jump is no storm; and replay comes to the same.

use super::rig::{Rig, config};
use crate::risk::tests::differential::Random;
use crate::risk::*;
use crate::types::*;

const HOUR_NS: u64 = 3_600_000_000_000;
const DAY_NS: u64 = 24 * HOUR_NS;
/// 1 August 2024, 12:00 UTC.
const NOON: Timestamp = Timestamp::from_nanos(1_722_513_600_000_000_000);
/// More entries than a poll of this test brings by itself: an intent, a report and what follows of them.
const ENTRIES_A_POLL_MAX: usize = 24;

/// Where the clock goes: on, as a rule; else by an hour, a day, a smeared second or a step, to either side, or to 1970.
fn moved(random: &mut Random, now: Timestamp) -> Timestamp {
    let (forth, back) = (|by: u64| now.plus(by), |by: u64| Timestamp::from_nanos(now.nanos().saturating_sub(by)));
    match random.below(40) {
        0 => forth(HOUR_NS),
        1 => back(HOUR_NS),
        2 => forth(DAY_NS),
        3 => back(DAY_NS),
        4 => Timestamp::from_nanos(1),
        5 => back(1_000_000_000 / 86_400),
        6 => forth(128_000_000),
        7 => back(128_000_000),
        8 => forth(400 * DAY_NS),
        _ => forth(random.below(5_000_000)),
    }
}

/// Orders and fills, in the same order whatever the clock says: `clock` gives each step's instant.
fn run(rig: &mut Rig, seed: u64, steps: u64, mut clock: impl FnMut(Timestamp) -> Timestamp) {
    let mut random = Random::new(seed);
    let mut open: Vec<(ClientOrderId, i64)> = Vec::new();
    for execution in 0..steps {
        rig.now = clock(rig.now);
        let before = rig.entries.len();
        if open.len() < 3 {
            let side = if random.below(2) == 0 { Side::Buy } else { Side::Sell };
            // One that a clock makes too old is denied; that is right, and not what is looked at here.
            let intent = rig.intent(side, 4);
            rig.send(&intent).expect("room");
            rig.poll();
            let id = intent.order.client_order_id;
            if rig.risk.orders().get(id).is_some_and(|held| held.status != OrderStatus::Denied) {
                open.push((id, 4));
            }
        }
        if let Some(place) = open.len().checked_sub(1).map(|last| random.below(last as u64 + 1) as usize) {
            let (id, left) = &mut open[place];
            rig.fill(*id, 1_000 * seed + execution, 1);
            *left -= 1;
            if *left == 0 {
                open.remove(place);
            }
        }
        rig.poll();
        while rig.gateway_orders.next().is_some() {}
        let entries = rig.entries.len() - before;
        assert!(entries <= ENTRIES_A_POLL_MAX, "seed {seed}: {entries} entries in one step, at {:?}", rig.now);
    }
}

fn booked(rig: &Rig) -> (Vec<i64>, u64) {
    (rig.risk.holdings().iter().map(|held| held.position.quantity().0).collect(), rig.counters.fills.get())
}

#[test]
fn a_clock_that_jumps_books_nothing_else_and_replays() {
    let mut all_fills = 0;
    for seed in 0..1_000 {
        let config = config();
        let mut rig = Rig::new(&config);
        rig.now = NOON;
        let mut random = Random::new(seed ^ 0x5eed);
        let mut newest_day = 0;
        run(&mut rig, seed, 40, |now| moved(&mut random, now));
        rig.latches.drain(u64::MAX, |latch| {
            if let Latch::Strategy(state) = latch {
                assert!(state.day >= newest_day, "seed {seed}: a day came back");
                newest_day = state.day;
            }
        });
        // Every fill that was told is booked, wherever the clock was.
        let (positions, fills) = booked(&rig);
        let sum: i64 = rig.risk.orders().iter().map(|held| held.filled.0 * held.order.side.sign()).sum();
        assert_eq!(positions.iter().sum::<i64>(), sum, "seed {seed}");
        all_fills += fills;
        rig.replays(&config, &[], &[]).unwrap_or_else(|problem| panic!("seed {seed}: {problem}"));
        // The next start's clock may be anywhere.
        let facts = rig.risk.facts();
        let next = RiskConfig { epoch: 2, ..config };
        let mut again = Rig::restored(&next, &facts);
        again.now = moved(&mut random, NOON);
        again.session(SessionState::Ready);
        again.poll();
        assert_eq!(booked(&again).0, positions, "seed {seed}");
        again.replays(&next, &[], &[]).unwrap_or_else(|problem| panic!("seed {seed}, started again: {problem}"));
    }
    assert!(all_fills > 10_000, "{all_fills}");
}
