//! Risk again, from its entries.

use super::cycle::{Cycle, Difference};
use super::start::EngineStart;
use crate::metrics::{RiskCounters, Shared};
use crate::pipeline::lane::{Receiver, Sender, lane};
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::risk::{
    Approved, KillSwitch, LimitsTable, Override, Risk, RiskConfigError, RiskFacts, RiskFactsError, RiskLanes,
    approved_lane,
};
use crate::types::{
    CancelIntent, Entry, Event, GatewayMessage, Latch, Mark, Notice, OrderIntent, OrderUpdate, PositionReport,
    RiskCommand,
};
use crossbeam::channel;
use std::collections::VecDeque;

/// More than risk takes from one lane, or puts into one, in a poll.
const LANE: usize = 4_096;
/// Commands that one poll takes.
const COMMANDS: usize = 16;

/// Risk under replay.
pub struct RiskReplay {
    risk: Risk,
    cycle: Cycle,
    limits: VecDeque<Box<LimitsTable>>,
    overrides: VecDeque<Override>,
    /// Whether verdicts are those that were recorded.
    is_following: bool,
    lanes: Lanes,
}

/// The outer ends of risk's lanes.
struct Lanes {
    commands: Sender<RiskCommand>,
    reports: Vec<Sender<GatewayMessage>>,
    cancels: Vec<Sender<CancelIntent>>,
    orders: Vec<Sender<OrderIntent>>,
    marks: Vec<Sender<Mark>>,
    gateway_orders: Vec<Receiver<Approved>>,
    gateway_cancels: Vec<Receiver<CancelIntent>>,
    updates: Vec<Receiver<OrderUpdate>>,
    positions: Receiver<PositionReport>,
    latches: Receiver<Latch>,
    notices: Receiver<Notice>,
    limits: channel::Sender<Box<LimitsTable>>,
    retired_limits: channel::Receiver<Box<LimitsTable>>,
    overrides: channel::Sender<Override>,
}

fn many<T: Copy + Default + Send + Sync + 'static>(count: u8) -> (Vec<Sender<T>>, Vec<Receiver<T>>) {
    (0..count).map(|_| lane(LANE)).unzip()
}

fn lanes(venues: u8, shards: u8) -> (Lanes, RiskLanes) {
    let (commands, commands_in) = lane(COMMANDS);
    let (reports, reports_in) = many(venues);
    let (cancels, cancels_in) = many(shards);
    let (orders, orders_in) = many(shards);
    let (marks, marks_in) = many(shards);
    let (orders_out, gateway_orders) = (0..venues).map(|_| approved_lane(LANE)).unzip();
    let (cancels_out, gateway_cancels) = many(venues);
    let (updates_out, updates) = many(shards);
    let (positions_out, positions) = lane(LANE);
    let (notices_out, notices) = lane(LANE);
    let (latches_out, latches) = lane(LANE);
    let (limits, limits_in) = channel::bounded(COMMANDS);
    let (retire_limits, retired_limits) = channel::bounded(2 * COMMANDS);
    let (overrides, overrides_in) = channel::bounded(COMMANDS);
    let inner = RiskLanes {
        commands: commands_in,
        reports: reports_in,
        cancels: cancels_in,
        orders: orders_in,
        marks: marks_in,
        gateway_orders: orders_out,
        gateway_cancels: cancels_out,
        updates: updates_out,
        positions: positions_out,
        latches: latches_out,
        notices: notices_out,
        limits: limits_in,
        retired_limits: retire_limits,
        overrides: overrides_in,
    };
    let outer = Lanes {
        commands,
        reports,
        cancels,
        orders,
        marks,
        gateway_orders,
        gateway_cancels,
        updates,
        positions,
        latches,
        notices,
        limits,
        retired_limits,
        overrides,
    };
    (outer, inner)
}

impl RiskReplay {
    /// Risk as it was when an engine started.
    ///
    /// # Errors
    /// What of the configuration does not fit.
    pub fn new(start: &EngineStart) -> Result<Self, RiskConfigError> {
        let (outer, inner) = lanes(start.venues, start.shard_count());
        let mut risk = Risk::new(&start.config, inner, KillSwitch::new(), Shared::<RiskCounters>::default())?;
        for &(venue, (asset, amount)) in &start.balances {
            risk.start_balance(venue, asset, amount);
        }
        let (tap, drain) = Tap::roomy();
        let mut risk = risk.with_journal(tap);
        risk.foretell(&Event::Cycle);
        Ok(Self {
            risk,
            cycle: Cycle::new(drain),
            limits: VecDeque::new(),
            overrides: VecDeque::new(),
            is_following: false,
            lanes: outer,
        })
    }

    /// Follows what was decided instead of deciding again: each order's verdict is the recorded one, whatever this build, or
    /// other limits, would come to. For recovery, which restores what happened. That other entries differ is no error then;
    /// an order that was sent and cannot be entered is.
    #[must_use]
    pub fn following(mut self) -> Self {
        self.risk.follow();
        self.is_following = true;
        self
    }

    /// Lets risk begin with what an earlier run left behind, before the first entry.
    ///
    /// # Errors
    /// What does not fit; see [`Risk::restore`].
    pub fn restore(&mut self, facts: &RiskFacts) -> Result<(), RiskFactsError> {
        self.risk.restore(facts)
    }

    /// The stage, as it is after the entries so far.
    #[must_use]
    pub const fn risk(&self) -> &Risk {
        &self.risk
    }

    /// Limits that a later command takes.
    pub fn take_limits(&mut self, limits: Box<LimitsTable>) {
        self.limits.push_back(limits);
    }

    /// An override that a later command takes.
    pub fn take_override(&mut self, entry: Override) {
        self.overrides.push_back(entry);
    }

    /// Whether a cycle has just begun, and nothing waits for a command that takes it.
    pub(super) fn is_at_rest(&self) -> bool {
        self.cycle.entries.len() == 1 && self.limits.is_empty() && self.overrides.is_empty()
    }

    /// The next entry. One that begins a cycle lets the one before it run.
    ///
    /// # Errors
    /// The first difference.
    pub fn next(&mut self, entry: &Entry) -> Result<(), Box<Difference>> {
        let is_over = self.cycle.is_over_with(entry);
        let outcome = if is_over { self.run(false) } else { Ok(()) };
        self.cycle.entries.push(*entry);
        outcome
    }

    /// Runs what is left. The last cycle may have been cut short by a crash: what it lacks is no difference.
    ///
    /// # Errors
    /// The first difference.
    pub fn finish(&mut self) -> Result<(), Box<Difference>> {
        if self.cycle.entries.is_empty() { Ok(()) } else { self.run(true) }
    }

    fn run(&mut self, is_last: bool) -> Result<(), Box<Difference>> {
        let Some(first) = self.cycle.entries.first().copied() else { return Ok(()) };
        let entries = std::mem::take(&mut self.cycle.entries);
        entries.iter().for_each(|entry| self.feed(&entry.event));
        self.cycle.entries = entries;
        self.risk.poll(first.at);
        self.empty();
        if self.is_following {
            self.cycle.take_written();
            let lost = self.cycle.entries.iter().find(|entry| self.is_lost(entry)).copied();
            self.cycle.entries.clear();
            return match lost {
                Some(entry) => Err(Box::new(Difference { recorded: Some(entry), replayed: None })),
                None => Ok(()),
            };
        }
        self.cycle.compare(is_last)
    }

    /// Whether an entry says that an order was sent that risk does not hold as it was sent.
    fn is_lost(&self, entry: &Entry) -> bool {
        let Event::Approved { order, .. } = entry.event else { return false };
        self.risk.orders().get(order.client_order_id).is_none_or(|record| record.order != order)
    }

    /// Lets risk find what it took.
    fn feed(&mut self, event: &Event) {
        // It passes over what comes by a lane, unless it follows.
        self.risk.foretell(event);
        let Lanes { commands, reports, cancels, orders, marks, limits, overrides, .. } = &mut self.lanes;
        // The lanes hold more than a poll takes, so that nothing is refused; and were it, the comparison would show it.
        let _ = match *event {
            Event::Command(command) => {
                if command == RiskCommand::TakeLimits
                    && let Some(table) = self.limits.pop_front()
                {
                    let _ = limits.try_send(table);
                }
                if command == RiskCommand::TakeOverride
                    && let Some(entry) = self.overrides.pop_front()
                {
                    let _ = overrides.try_send(entry);
                }
                commands.try_send(command)
            }
            Event::Gateway { venue, message } => send(reports, venue.0, message),
            Event::Cancel { shard, intent } => send(cancels, shard, intent),
            Event::Intent { shard, intent } => send(orders, shard, intent),
            Event::Mark { shard, mark } => send(marks, shard, mark),
            _ => Ok(()),
        };
    }

    /// Takes out of the lanes what risk put in.
    fn empty(&mut self) {
        let Self { lanes, .. } = self;
        lanes.gateway_orders.iter_mut().for_each(|lane| _ = lane.drain(u64::MAX, |_| {}));
        lanes.gateway_cancels.iter_mut().for_each(|lane| _ = lane.drain(u64::MAX, |_| {}));
        lanes.updates.iter_mut().for_each(|lane| _ = lane.drain(u64::MAX, |_| {}));
        lanes.positions.drain(u64::MAX, |_| {});
        lanes.latches.drain(u64::MAX, |_| {});
        lanes.notices.drain(u64::MAX, |_| {});
        while lanes.retired_limits.try_recv().is_ok() {}
    }
}

fn send<T: Copy + Send + Sync + 'static>(
    lanes: &mut [Sender<T>],
    place: u8,
    message: T,
) -> Result<(), crate::pipeline::lane::Full> {
    lanes.get_mut(usize::from(place)).map_or(Ok(()), |lane| lane.try_send(message))
}
