//! The stage against the [`reference`](super::reference): the same random histories through both, and after each event
//! the same verdict, reason, limit, observed value and exposure.
//!
//! Each seed is a history of its own: it draws which limits are tight, what happens often and how reports misbehave
//! ([`Swarm`]), so that every reason has its turn. A difference is told with the seed, the events up to it, and how to run
//! that history alone.

mod events;
mod survival;
mod swarm;

use super::reference::{CONTROLS, Event, History, World, judge};
use super::rig::Rig;
use crate::backtest::Blob;
use crate::risk::{RiskConfig, controls};
use crate::types::*;
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use std::collections::BTreeMap;
use std::fmt::Debug;
use swarm::Swarm;

/// Reasons that other parts of the engine give, and one that C05 leaves nothing to: what is unknown is not permitted.
const ELSEWHERE: [DenialReason; 7] = [
    DenialReason::LaneFull,
    DenialReason::OrderIdExhausted,
    DenialReason::StrategyNotRunning,
    DenialReason::StrategyBurst,
    DenialReason::UnknownInstrument,
    DenialReason::ConfigChangeTooLarge,
    DenialReason::JournalUnavailable,
];

/// A small random source over proptest's, by seed.
pub(super) struct Random(TestRng);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    fn between(&mut self, first: i64, last: i64) -> i64 {
        first + self.below((last - first + 1) as u64) as i64
    }

    fn one_in(&mut self, count: u64) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len() as u64) as usize]
    }

    /// A place in a list of weights, each as often as its weight says.
    fn weighted(&mut self, weights: &[u64]) -> usize {
        let mut left = self.below(weights.iter().sum());
        let is_here = |weight: &u64| {
            let is_here = left < *weight;
            left = left.saturating_sub(*weight);
            is_here
        };
        weights.iter().position(is_here).expect("below the sum")
    }
}

/// How often what came.
#[derive(Default)]
struct Tally {
    events: u64,
    approved: u64,
    denied: BTreeMap<DenialReason, u64>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.events += other.events;
        self.approved += other.approved;
        for (reason, count) in &other.denied {
            *self.denied.entry(*reason).or_default() += count;
        }
    }

    fn count(&self, reason: DenialReason) -> u64 {
        self.denied.get(&reason).copied().unwrap_or(0)
    }

    fn print(&self) {
        println!("{} orders and events, {} orders approved; denied:", self.events, self.approved);
        for reason in DenialReason::ALL.into_iter().filter(|reason| !ELSEWHERE.contains(reason)) {
            println!("{:>28} {:>9}", reason.name(), self.count(reason));
        }
    }
}

/// One history, through the stage and the reference.
struct Comparison {
    config: RiskConfig,
    balances: Vec<(AssetId, i128)>,
    rig: Rig,
    history: History,
    /// What commands took.
    blobs: Vec<Blob>,
}

impl Comparison {
    fn new(swarm: &Swarm) -> Self {
        let config = swarm.config.clone();
        let mut rig = Rig::new(&config);
        for (asset, amount) in &swarm.balances {
            rig.risk.start_balance(VenueId(0), *asset, Money(*amount));
        }
        Self { config, balances: swarm.balances.clone(), rig, history: History::new(), blobs: Vec::new() }
    }

    fn world(&self) -> World<'_> {
        World::of(&self.history, self.rig.now, &self.config, &self.balances)
    }

    /// Polls until what is due at this instant was done; what was passed on as cancels enters the history.
    fn settle(&mut self) {
        self.rig.poll();
        self.rig.poll();
        let (now, history) = (self.rig.now, &mut self.history);
        self.rig.gateway_cancels.drain(u64::MAX, |cancel| history.push((now, Event::CancelPassed(*cancel))));
        self.rig.updates(0);
        self.rig.updates(1);
        self.rig.positions.drain(u64::MAX, |_| {});
        self.rig.latches.drain(u64::MAX, |_| {});
        while self.rig.retired_limits.try_recv().is_ok() {}
    }

    /// Lets an event happen on both sides.
    ///
    /// # Errors
    /// The first difference, in words.
    fn happen(&mut self, event: Event, tally: &mut Tally) -> Result<(), String> {
        tally.events += 1;
        let event = match event {
            Event::Intent(intent, _) => return self.order(intent, tally),
            event => event,
        };
        self.inject(&event);
        self.history.push((self.rig.now, event));
        let said = self.world().said;
        self.settle();
        differ("denied", &self.denied(tally), &said.into_iter().collect())?;
        self.compare()
    }

    fn order(&mut self, intent: Box<OrderIntent>, tally: &mut Tally) -> Result<(), String> {
        let world = self.world();
        let verdict = judge(&world, &intent);
        let wire = world.on_wire(&intent);
        let is_exclusive = world.replaced(&wire).is_some_and(|replaced| replaced.filled == 0);
        let wanted = verdict.is_ok().then(|| (world.as_sent(&wire, &intent.stamp), is_exclusive));
        let expected: Vec<Denial> = verdict.clone().err().into_iter().collect();
        self.rig.send(&intent).map_err(|_| "the lane is full")?;
        self.history.push((self.rig.now, Event::Intent(intent, verdict)));
        self.settle();
        differ("denied", &self.denied(tally), &expected)?;
        let sent = self.rig.gateway_orders.next().map(|sent| (*sent.order(), sent.only_if_unfilled()));
        differ("approved", &sent, &wanted)?;
        tally.approved += u64::from(sent.is_some());
        self.compare()
    }

    /// What risk denied since it was asked last.
    fn denied(&mut self, tally: &mut Tally) -> Vec<Denial> {
        let mut denied = Vec::new();
        self.rig.notices.drain(u64::MAX, |notice| {
            if notice.code == NoticeCode::Denied {
                denied.push(Denial { reason: notice.reason, limit: notice.limit, observed: notice.observed });
                *tally.denied.entry(notice.reason).or_default() += 1;
            }
        });
        denied
    }

    fn inject(&mut self, event: &Event) {
        let rig = &mut self.rig;
        match event {
            Event::Intent(..) | Event::CancelPassed(_) => {}
            Event::CancelAsked(id) => {
                let (client_order_id, strategy) = (*id, id.strategy());
                let cancel = CancelIntent { client_order_id, strategy, ..CancelIntent::default() };
                rig.cancels[usize::from(strategy.0.min(1))].try_send(cancel).expect("room");
            }
            Event::Gateway(message) => rig.reports.try_send(*message).expect("room"),
            Event::Command(command) => rig.commands.try_send(*command).expect("room"),
            Event::Limits(limits) => {
                self.blobs.push(Blob::Limits(limits.clone()));
                rig.limits.try_send(limits.clone()).expect("room");
                rig.commands.try_send(RiskCommand::TakeLimits).expect("room");
            }
            Event::Override(wanted) => {
                self.blobs.push(Blob::Override(*wanted));
                rig.overrides.try_send(*wanted).expect("room");
                rig.commands.try_send(RiskCommand::TakeOverride).expect("room");
            }
            Event::Mark(shard, mark) => rig.marks[*shard].try_send(*mark).expect("room"),
            Event::Kill(scope, true) => rig.kill.kill(*scope),
            Event::Kill(scope, false) => rig.kill.release(*scope),
        }
    }

    /// Status and reserve of each order; position and exposure interval of each strategy and instrument.
    fn compare(&self) -> Result<(), String> {
        let (world, risk) = (self.world(), &self.rig.risk);
        for known in world.orders.values() {
            let id = known.order.client_order_id;
            let held = risk.orders().get(id).map(|record| (record.status, i128::from(record.reserve.0)));
            differ(&format!("{id:?}"), &held, &Some((known.status, world.reserve(known))))?;
        }
        let interval =
            |exposure: crate::risk::Exposure| (exposure.booked(), exposure.open(Side::Buy), exposure.open(Side::Sell));
        for holding in risk.holdings() {
            let place = (holding.permission.strategy, holding.permission.instrument);
            let known = world.exposure(|other| other == place);
            differ(&format!("{place:?}"), &interval(holding.exposure), &known)?;
        }
        for market in risk.markets() {
            let id = market.instrument.id;
            differ(&format!("{id:?}"), &interval(market.exposure), &world.exposure(|other| other.1 == id))?;
        }
        Ok(())
    }
}

fn differ<T: PartialEq + Debug>(what: &str, engine: &T, reference: &T) -> Result<(), String> {
    if engine == reference {
        return Ok(());
    }
    Err(format!("{what}\n     engine: {engine:?}\n  reference: {reference:?}"))
}

/// Runs the history of a seed.
///
/// # Errors
/// The first difference, with the history up to it.
fn run(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random::new(seed);
    let mut swarm = Swarm::new(&mut random);
    let mut comparison = Comparison::new(&swarm);
    let mut orders = Vec::new();
    let mut midway = None;
    for step in 0..swarm.length {
        if step == swarm.length / 2 {
            midway = Some((comparison.rig.risk.facts(), comparison.rig.entries.len()));
        }
        comparison.rig.now = comparison.rig.now.plus(swarm.pause(&mut random));
        // What is due by now goes out before anything else of this instant.
        comparison.settle();
        let event = swarm.event(&mut comparison.rig, &orders, &mut random);
        let order = if let Event::Intent(intent, _) = &event { Some(intent.order) } else { None };
        comparison.happen(event, tally).map_err(|difference| {
            let lines = comparison.history.iter().map(|(at, event)| format!("{} {event:?}\n", at.nanos()));
            let lines: String = lines.collect();
            format!("{lines}seed {seed}, event {step}: {difference}\nGANNET_SEED={seed} runs this history alone")
        })?;
        // Some that were denied are spoken of too.
        let is_held = |order: &Order| comparison.rig.risk.orders().get(order.client_order_id).is_some();
        orders.extend(order.filter(|order| is_held(order) || random.one_in(10)));
    }
    let Comparison { config, balances, rig, blobs, .. } = &mut comparison;
    rig.replays(config, balances, blobs).map_err(|difference| format!("seed {seed}, in replay: {difference}"))?;
    if config.order_capacity > swarm::FEW {
        // Whose slot is used again first depends on what waits for a cancel, which limits ask for too.
        for from in [None, midway.as_ref().map(|(facts, entries)| (facts, *entries))] {
            rig.follows(config, balances, from).map_err(|difference| format!("seed {seed}, followed: {difference}"))?;
        }
    }
    survival::survives(rig, &swarm, &orders, &mut random)
        .map_err(|difference| format!("seed {seed}, restored: {difference}"))
}

/// Runs seeds from the first on until there were so many events, on so many threads.
fn campaign(events: u64, threads: u64) -> Tally {
    let share = |thread: u64| {
        let mut tally = Tally::default();
        let mut seed = thread;
        while tally.events < events / threads {
            run(seed, &mut tally).unwrap_or_else(|difference| panic!("{difference}"));
            seed += threads;
        }
        tally
    };
    let mut all = Tally::default();
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..threads).map(|thread| scope.spawn(move || share(thread))).collect();
        runs.into_iter().for_each(|run| all.add(&run.join().expect("no difference: it is told above")));
    });
    all
}

#[test]
fn the_reference_judges_by_every_control() {
    assert_eq!(controls::CONTROLS, CONTROLS);
}

/// `GANNET_LONG=yes` runs ten million orders and events, `GANNET_SEED` one history alone.
#[test]
fn verdict_reason_and_exposure_equal_the_reference() {
    if let Some(seed) = std::env::var("GANNET_SEED").ok().and_then(|seed| seed.parse().ok()) {
        let mut tally = Tally::default();
        run(seed, &mut tally).unwrap_or_else(|difference| panic!("{difference}"));
        return tally.print();
    }
    let is_long = std::env::var("GANNET_LONG").is_ok_and(|long| long == "yes");
    let (events, least) = if is_long { (10_000_000, 1_000) } else { (700_000, 1) };
    let tally = campaign(events, 2);
    tally.print();
    let reasons = DenialReason::ALL.into_iter().filter(|reason| !ELSEWHERE.contains(reason));
    let rare: Vec<_> = reasons.filter(|reason| tally.count(*reason) < least).collect();
    assert!(rare.is_empty(), "fewer than {least} times: {rare:?}");
}
