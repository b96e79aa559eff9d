//! A shard again, from its entries.

use super::cycle::{Cycle, Difference};
use super::start::{EngineStart, InstanceStart};
use crate::metrics::{ShardCounters, Shared};
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender, roomy_lane};
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::Tap;
use crate::strategy::runner::{Instance, Shard, ShardConfig, ShardLanes};
use crate::strategy::saved::Left;
use crate::strategy::{AnyStrategy, Context, Event as StrategyEvent, Handled, Setup, registry};
use crate::types::{
    CancelIntent, Entry, Event, Instrument, InstrumentId, Mark, MarketMessage, Notice, OrderIntent, OrderUpdate,
    ShardCommand, StrategyId, Timestamp,
};

/// More than a shard takes from one lane, or puts into one, in a poll: a burst and a whole depth snapshot.
const LANE: usize = 8_192;

/// Why a shard cannot be built again as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Unlike {
    /// The file of this strategy is another than it was, or gone.
    Edited(StrategyId),
    /// This program refuses what was accepted then, in words.
    Refused(StrategyId, String),
}

/// What becomes of a strategy whose file is another than it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edited {
    /// Its shard is not replayed: nothing is said of what is not known.
    EndsIt,
    /// Something stands in for it that does nothing, so that the others are replayed nearly as they were.
    StoodInFor,
}

/// Does nothing, in the place of a strategy that is not there any more.
struct StandIn;

impl AnyStrategy for StandIn {
    fn handle(&mut self, _: &mut Context, _: StrategyEvent) -> Handled {
        Ok(())
    }
}

/// A shard under replay.
pub(super) struct ShardReplay {
    number: u8,
    shard: Shard,
    cycle: Cycle,
    lanes: Lanes,
    /// Strategies that something stands in for. What the shard writes down is not held against the journal then, as it tells
    /// of them too.
    pub(super) stood_in_for: Vec<StrategyId>,
    /// The instant of the newest cycle that has run whole.
    pub(super) ran_ns: Timestamp,
}

/// The outer ends of a shard's lanes.
struct Lanes {
    commands: Sender<ShardCommand>,
    updates: Sender<OrderUpdate>,
    market: Vec<Sender<MarketMessage>>,
    orders: Receiver<OrderIntent>,
    cancels: Receiver<CancelIntent>,
    marks: Receiver<Mark>,
    notices: Receiver<Notice>,
}

fn lanes(venues: u8) -> (Lanes, ShardLanes) {
    let (commands, commands_in) = roomy_lane(LANE);
    let (updates, updates_in) = roomy_lane(LANE);
    // One a venue is as many as it can have. Those that it had are the first of them; the others bring nothing.
    let (market, market_in) = (0..venues).map(|_| roomy_lane(LANE)).unzip();
    let (orders_out, orders) = roomy_lane(LANE);
    let (cancels_out, cancels) = roomy_lane(LANE);
    let (marks_out, marks) = roomy_lane(LANE);
    let (notices_out, notices) = roomy_lane(LANE);
    let inner = ShardLanes {
        commands: commands_in,
        updates: updates_in,
        market: market_in,
        orders: orders_out,
        cancels: cancels_out,
        marks: marks_out,
        notices: notices_out,
    };
    (Lanes { commands, updates, market, orders, cancels, marks, notices }, inner)
}

impl ShardReplay {
    /// The shard of this number as it was when the engine started.
    pub(super) fn new(start: &EngineStart, number: u8, edited: Edited) -> Result<Self, Unlike> {
        let own = start.shards.get(usize::from(number)).map_or(&[][..], Vec::as_slice);
        let (mut instances, mut stood_in_for) = (Vec::new(), Vec::new());
        for instance in own {
            let strategy = match strategy(start, instance) {
                Err(Unlike::Edited(id)) if edited == Edited::StoodInFor => {
                    stood_in_for.push(id);
                    Box::new(StandIn)
                }
                built => built?,
            };
            instances.push(Instance {
                id: instance.id,
                name: start.strategy_name(instance.id),
                strategy,
                instruments: instance.instruments.clone(),
                bar_interval_ms: instance.bar_interval_ms,
                capital: instance.capital,
                is_quarantined: instance.is_quarantined,
            });
        }
        let config = ShardConfig {
            name: "shard",
            epoch: start.config.epoch,
            // What takes long here took its own time then.
            handler_budget_ns: u64::MAX,
            clock: Clock::virtual_at(Timestamp::UNKNOWN),
        };
        let (outer, inner) = lanes(start.venues);
        let instruments = &start.config.instruments;
        let shard = Shard::new(config, instruments, instances, inner, Shared::<ShardCounters>::default());
        let first = own.first().map_or(StrategyId::NONE, |instance| instance.id);
        let shard = shard.map_err(|errors| Unlike::Refused(first, format!("{errors:?}")))?;
        // As the machine does it: rates are marked by the first shard.
        let watched: Vec<InstrumentId> = match number {
            0 => start.config.rate_sources.iter().map(|source| source.instrument).collect(),
            _ => Vec::new(),
        };
        let (tap, drain) = Tap::roomy();
        let shard = shard.watching(instruments, &watched).with_journal(tap);
        let cycle = Cycle::new(drain);
        Ok(Self { number, shard, cycle, lanes: outer, stood_in_for, ran_ns: Timestamp::UNKNOWN })
    }

    /// The next entry. One that begins a cycle lets the one before it run; `send` is told what the shard sends in it.
    ///
    /// The last cycle is never run. A crash may have cut it short, so that what it sends proves nothing; and where a handler
    /// never returned, that is where it is.
    pub(super) fn next(&mut self, entry: &Entry, send: &mut impl FnMut(Entry)) -> Result<(), Box<Difference>> {
        let is_over = self.cycle.is_over_with(entry);
        let outcome = if is_over { self.run(send) } else { Ok(()) };
        self.cycle.entries.push(*entry);
        outcome
    }

    fn run(&mut self, send: &mut impl FnMut(Entry)) -> Result<(), Box<Difference>> {
        let Some(first) = self.cycle.entries.first().copied() else { return Ok(()) };
        let entries = std::mem::take(&mut self.cycle.entries);
        entries.iter().for_each(|entry| self.feed(&entry.event));
        self.cycle.entries = entries;
        self.shard.poll(first.at);
        self.ran_ns = first.at;
        let (shard, Lanes { orders, cancels, marks, notices, .. }) = (self.number, &mut self.lanes);
        let mut put = |event| send(Entry { sequence: first.sequence, at: first.at, event });
        orders.drain(u64::MAX, |intent| put(Event::Intent { shard, intent: *intent }));
        cancels.drain(u64::MAX, |intent| put(Event::Cancel { shard, intent: *intent }));
        marks.drain(u64::MAX, |mark| put(Event::Mark { shard, mark: *mark }));
        notices.drain(u64::MAX, |_| {});
        if self.stood_in_for.is_empty() {
            return self.cycle.compare(false);
        }
        self.cycle.take_written();
        self.cycle.entries.clear();
        Ok(())
    }

    /// What its instances have come to.
    pub(super) fn leave(&self) -> Vec<(StrategyId, Left)> {
        self.shard.leave()
    }

    /// Lets the shard find what it took. The lanes hold more than a poll takes, so that nothing is refused; and were it, the
    /// comparison would show it.
    fn feed(&mut self, event: &Event) {
        self.shard.foretell(event);
        let Lanes { commands, updates, market, .. } = &mut self.lanes;
        let _ = match *event {
            Event::ShardCommand(command) => commands.try_send(command),
            Event::Update(update) => updates.try_send(update),
            Event::Market { lane, message } => {
                market.get_mut(usize::from(lane)).map_or(Ok(()), |lane| lane.try_send(message))
            }
            _ => Ok(()),
        };
    }
}

/// A strategy as it was built then.
fn strategy(start: &EngineStart, instance: &InstanceStart) -> Result<Box<dyn AnyStrategy>, Unlike> {
    let InstanceStart { id, capital, bar_interval_ms, .. } = *instance;
    let entry = registry::find(&instance.kind).filter(|entry| entry.file_hash == instance.file_hash);
    let Some(entry) = entry else { return Err(Unlike::Edited(id)) };
    let find = |id: &InstrumentId| start.config.instruments.get(*id).copied();
    let instruments: Vec<Instrument> = instance.instruments.iter().filter_map(find).collect();
    let setup = Setup { strategy: id, instruments: &instruments, capital, bar_interval_ms };
    let refused = |problem: String| Unlike::Refused(id, problem);
    let params = serde_json::from_str(&instance.params).map_err(|error| refused(error.to_string()))?;
    let mut strategy = entry.build(&params, &setup).map_err(|errors| refused(format!("{errors:?}")))?;
    if let Some(state) = &instance.resumed {
        strategy.resume(state).map_err(|error| refused(error.to_string()))?;
    }
    Ok(strategy)
}
