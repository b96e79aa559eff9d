//! The machine, built whole on one page.
//!
//! ```text
//!   venue ──ws──► feed ──► shard 0..n ──► risk ──► gateway ──ws──► venue
//!                            ▲              ▲          │
//!                            └──────────────┴──────────┘
//! ```
//!
//! [`build`] makes every lane and every stage in the order of that picture; [`Machine::start`] puts the stages on
//! threads. What the cold plane holds of it is [`ColdEnds`].

pub mod clock;
pub mod digest;
pub mod heartbeat;
pub mod idle;
pub mod lane;
pub mod order_page;
pub mod outlet;
pub mod stage;
pub mod tap;
mod tape;
#[allow(clippy::disallowed_macros, reason = "cold: plans before any thread starts; its loop uses none")]
pub mod threads;

use crate::feed::{Feed, FeedConfig, FeedLanes};
use crate::gateway::{Gateway, GatewayConfig, GatewayLanes};
use crate::journal::{GATEWAYS_MAX, RISK_STAGE, SHARDS_MAX, gateway_stage, shard_stage};
use crate::metrics::{FeedCounters, GatewayCounters, RiskCounters, ShardCounters, Shared};
use crate::risk::{
    KillScope, KillSwitch, LimitsTable, Override, Risk, RiskConfig, RiskFacts, RiskLanes, approved_lane,
};
use crate::strategy::runner::{Instance, Shard, ShardConfig, ShardLanes};
use crate::types::{
    AssetId, FeedMessage, InstrumentId, Instruments, Latch, Money, Notice, PositionReport, Request, RiskCommand,
    SentOrder, ShardCommand, Timestamp, VenueId,
};
use crate::venue::connection::{Arrival, Connection, ConnectionPort};
use clock::Clock;
use crossbeam::channel;
use heartbeat::Heartbeats;
use idle::IdleStrategy;
use lane::{Receiver, Sender, lane};
use order_page::OrderPage;
use stage::Stage;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tap::{Drain, Tap};
use threads::{Layout, OnTrouble};

/// Messages a lane holds, by what it carries. As few as a burst needs: a ring is written round and round, so that all of
/// it has to stay in the cache for an order not to wait for memory.
mod capacity {
    /// A snapshot of 2,000 levels must fit whole.
    pub const MARKET: usize = super::lane::CAPACITY_MAX;
    /// Two bursts of one handler.
    pub const ORDERS: usize = 128;
    pub const CANCELS: usize = 256;
    /// As many open orders as an account usually has go out in one cycle when all of them are to be canceled.
    pub const GATEWAY_CANCELS: usize = 2_048;
    pub const MARKS: usize = 64;
    pub const REPORTS: usize = 256;
    pub const UPDATES: usize = 256;
    pub const DISPLAY: usize = 1_024;
    pub const COMMANDS: usize = 16;
    pub const REQUESTS: usize = 256;
    pub const CONNECTIONS: usize = 4;
}

/// What the machine is built from: each stage's own plain struct.
pub struct MachineConfig {
    /// Every instrument.
    pub instruments: Instruments,
    /// Each venue's ends, in order of venue id.
    pub venues: Vec<(FeedConfig, GatewayConfig)>,
    /// Each shard and what it runs.
    pub shards: Vec<(ShardConfig, Vec<Instance>)>,
    /// Limits, permissions, sizes.
    pub risk: RiskConfig,
    /// What each account began with.
    pub balances: Vec<(VenueId, AssetId, Money)>,
    /// What an earlier run left behind.
    pub facts: Option<RiskFacts>,
}

/// What the cold plane holds of one venue.
pub struct ColdVenue {
    /// Which.
    pub venue: VenueId,
    /// Snapshots and history to the feed.
    pub inputs: Sender<FeedMessage>,
    /// What the feed asks for.
    pub feed_requests: Receiver<Request>,
    /// Connections to the feed.
    pub feed_arrivals: channel::Sender<Arrival>,
    /// What the gateway asks for.
    pub gateway_requests: Receiver<Request>,
    /// Connections to the gateway.
    pub gateway_arrivals: channel::Sender<Arrival>,
    /// Instants of sent orders.
    pub sent: Receiver<SentOrder>,
}

/// What the cold plane holds of the machine.
pub struct ColdEnds {
    /// By venue id.
    pub venues: Vec<ColdVenue>,
    /// Commands, by shard.
    pub shards: Vec<Sender<ShardCommand>>,
    /// Commands to risk.
    pub risk: Sender<RiskCommand>,
    /// Positions.
    pub positions: Receiver<PositionReport>,
    /// What must outlive the process.
    pub latches: Receiver<Latch>,
    /// New limits to risk: sent before the command that takes them.
    pub limits: channel::Sender<Box<LimitsTable>>,
    /// Limits that were replaced, to be dropped.
    pub retired_limits: channel::Receiver<Box<LimitsTable>>,
    /// Overrides to risk: each sent before the command that takes it.
    pub overrides: channel::Sender<Override>,
    /// Notices of every stage.
    pub notices: Vec<Receiver<Notice>>,
    /// Connections that are over, to be dropped.
    pub retired: channel::Receiver<Box<Connection>>,
}

/// The counters of every stage.
#[derive(Clone, Default)]
pub struct Counters {
    /// By venue id.
    pub feeds: Vec<Shared<FeedCounters>>,
    /// By shard.
    pub shards: Vec<Shared<ShardCounters>>,
    /// Risk's.
    pub risk: Shared<RiskCounters>,
    /// By venue id.
    pub gateways: Vec<Shared<GatewayCounters>>,
}

/// Any stage: so that threads hold all kinds in one list and hand them back as what they are.
#[allow(clippy::large_enum_variant, reason = "a handful of them, moved once")]
pub enum HotStage {
    /// Market data in.
    Feed(Feed),
    /// Strategies.
    Shard(Shard),
    /// Checks and accounts.
    Risk(Risk),
    /// Orders out.
    Gateway(Gateway),
}

impl Stage for HotStage {
    #[inline]
    fn poll(&mut self, now: Timestamp) -> usize {
        match self {
            Self::Feed(stage) => stage.poll(now),
            Self::Shard(stage) => stage.poll(now),
            Self::Risk(stage) => stage.poll(now),
            Self::Gateway(stage) => stage.poll(now),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Feed(stage) => stage.name(),
            Self::Shard(stage) => stage.name(),
            Self::Risk(stage) => stage.name(),
            Self::Gateway(stage) => stage.name(),
        }
    }
}

/// The machine, not running yet.
pub struct Machine {
    /// In flow order.
    pub stages: Vec<HotStage>,
    /// What the cold plane holds of it.
    pub cold: ColdEnds,
    /// Every stage's counters.
    pub counters: Counters,
    /// The kill word that risk reads.
    pub kill: KillSwitch,
    /// Where its threads beat.
    pub heartbeats: Heartbeats,
    clock: Clock,
}

/// Builds every lane and every stage.
///
/// # Errors
/// Everything that does not fit, in words.
pub fn build(
    config: MachineConfig,
    clock: &Clock,
    kill: KillSwitch,
    heartbeats: Heartbeats,
) -> Result<Machine, Vec<String>> {
    let MachineConfig { instruments, venues, shards, risk, balances, facts } = config;
    let counters = Counters {
        feeds: venues.iter().map(|_| Shared::default()).collect(),
        shards: shards.iter().map(|_| Shared::default()).collect(),
        risk: Shared::default(),
        gateways: venues.iter().map(|_| Shared::default()).collect(),
    };
    let mut notices = Vec::new();
    let mut notice_lane = || {
        let (sender, receiver) = lane(capacity::DISPLAY);
        notices.push(receiver);
        sender
    };
    let (retire, retired) = channel::bounded(capacity::CONNECTIONS * 2 * venues.len());
    let mut feeds = Vec::new();
    let mut shard_stages = Vec::new();
    let mut gateways = Vec::new();

    // feed ──► shard: one lane for each pair that has an instrument in common.
    let mut market_to_shards: Vec<Vec<(Sender<_>, Vec<InstrumentId>)>> = venues.iter().map(|_| Vec::new()).collect();
    let mut market_lanes = Vec::new();
    let rates: Vec<InstrumentId> = risk.rate_sources.iter().map(|source| source.instrument).collect();
    for (_, instances) in &shards {
        let mut of_shard = Vec::new();
        for (venue, outgoing) in market_to_shards.iter_mut().enumerate() {
            let is_here =
                |id: &InstrumentId| instruments.get(*id).is_some_and(|found| usize::from(found.venue.0) == venue);
            let traded = instances.iter().flat_map(|instance| &instance.instruments);
            // Rates are marked by the first shard, whoever trades there.
            let rates = if market_lanes.is_empty() { rates.as_slice() } else { &[] };
            let mut wanted: Vec<InstrumentId> = traded.chain(rates).copied().filter(is_here).collect();
            wanted.sort_unstable();
            wanted.dedup();
            if !wanted.is_empty() {
                let (sender, receiver) = lane(capacity::MARKET);
                outgoing.push((sender, wanted));
                of_shard.push(receiver);
            }
        }
        market_lanes.push(of_shard);
    }

    // 1  Market data in.
    let mut cold_venues = Vec::new();
    let mut gateway_configs = Vec::new();
    for (index, ((feed, gateway), to_shards)) in venues.into_iter().zip(market_to_shards).enumerate() {
        let venue = VenueId(u8::try_from(index).map_err(|_| vec!["there are more than 255 venues".to_owned()])?);
        let (inputs, feed_inputs) = lane(capacity::MARKET);
        let (requests, feed_requests) = lane(capacity::REQUESTS);
        let (feed_arrivals, arrivals) = channel::bounded(capacity::CONNECTIONS);
        let lanes = FeedLanes {
            inputs: feed_inputs,
            connections: ConnectionPort { arrivals, retired: retire.clone() },
            shards: to_shards,
            requests,
            notices: notice_lane(),
        };
        let own_counters = counters.feeds.get(index).cloned().unwrap_or_default();
        feeds.push(HotStage::Feed(Feed::new(feed, lanes, clock.clone(), own_counters)));
        let (gateway_requests_in, gateway_requests) = lane(capacity::REQUESTS);
        let (gateway_arrivals, arrivals) = channel::bounded(capacity::CONNECTIONS);
        let (sent, cold_sent) = lane(capacity::DISPLAY);
        let connections = ConnectionPort { arrivals, retired: retire.clone() };
        gateway_configs.push((gateway, gateway_requests_in, connections, sent));
        cold_venues.push(ColdVenue {
            venue,
            inputs,
            feed_requests,
            feed_arrivals,
            gateway_requests,
            gateway_arrivals,
            sent: cold_sent,
        });
    }

    // 2  Strategies decide.
    let mut errors = Vec::new();
    let (mut cold_shards, mut updates) = (Vec::new(), Vec::new());
    let (mut cancels, mut orders, mut marks) = (Vec::new(), Vec::new(), Vec::new());
    for (((shard, instances), market), own_counters) in shards.into_iter().zip(market_lanes).zip(&counters.shards) {
        let (command_in, commands) = lane(capacity::COMMANDS);
        let (update_in, shard_updates) = lane(capacity::UPDATES);
        let (orders_out, risk_orders) = lane(capacity::ORDERS);
        let (cancels_out, risk_cancels) = lane(capacity::CANCELS);
        let (marks_out, risk_marks) = lane(capacity::MARKS);
        let lanes = ShardLanes {
            commands,
            updates: shard_updates,
            market,
            orders: orders_out,
            cancels: cancels_out,
            marks: marks_out,
            notices: notice_lane(),
        };
        cold_shards.push(command_in);
        updates.push(update_in);
        orders.push(risk_orders);
        cancels.push(risk_cancels);
        marks.push(risk_marks);
        let mark = heartbeats.mark(shard_stages.len());
        match Shard::new(shard, &instruments, instances, lanes, Shared::clone(own_counters)) {
            Ok(shard) => {
                let watched = if shard_stages.is_empty() { rates.as_slice() } else { &[] };
                shard_stages.push(HotStage::Shard(shard.marked_by(mark).watching(&instruments, watched)));
            }
            Err(fields) => errors.extend(fields.iter().map(ToString::to_string)),
        }
    }

    // 3  Risk checks and accounts; 4  gateways send what it approved and report back.
    let (mut reports, mut gateway_orders, mut gateway_cancels) = (Vec::new(), Vec::new(), Vec::new());
    for ((gateway, requests, connections, sent), own_counters) in gateway_configs.into_iter().zip(&counters.gateways) {
        let (report_in, risk_reports) = lane(capacity::REPORTS);
        let (approved_in, approved) = approved_lane(capacity::ORDERS);
        let (cancel_in, gateway_cancel) = lane(capacity::GATEWAY_CANCELS);
        reports.push(risk_reports);
        gateway_orders.push(approved_in);
        gateway_cancels.push(cancel_in);
        let lanes = GatewayLanes {
            orders: approved,
            cancels: gateway_cancel,
            reports: report_in,
            sent,
            connections,
            requests,
            notices: notice_lane(),
        };
        gateways.push(HotStage::Gateway(Gateway::new(gateway, lanes, clock.clone(), Shared::clone(own_counters))));
    }
    let (risk_commands_in, commands) = lane(capacity::COMMANDS);
    let (positions_in, positions) = lane(capacity::DISPLAY);
    let (latches_in, latches) = lane(capacity::DISPLAY);
    let (limits, limits_port) = channel::bounded(capacity::COMMANDS);
    let (retire_limits, retired_limits) = channel::bounded(2 * capacity::COMMANDS);
    let (overrides, overrides_port) = channel::bounded(capacity::COMMANDS);
    let lanes = RiskLanes {
        commands,
        reports,
        cancels,
        orders,
        marks,
        gateway_orders,
        gateway_cancels,
        updates,
        positions: positions_in,
        latches: latches_in,
        notices: notice_lane(),
        limits: limits_port,
        retired_limits: retire_limits,
        overrides: overrides_port,
    };
    let risk = match Risk::new(&risk, lanes, kill.clone(), Shared::clone(&counters.risk)) {
        Ok(mut risk) => {
            if let Some(Err(error)) = facts.as_ref().map(|facts| risk.restore(facts)) {
                errors.push(error.to_string());
            }
            for (venue, asset, amount) in balances {
                risk.start_balance(venue, asset, amount);
            }
            Some(HotStage::Risk(risk))
        }
        Err(error) => {
            errors.push(error.to_string());
            None
        }
    };
    if !errors.is_empty() {
        return Err(errors);
    }
    let stages = feeds.into_iter().chain(shard_stages).chain(risk).chain(gateways).collect();
    let cold = ColdEnds {
        venues: cold_venues,
        shards: cold_shards,
        risk: risk_commands_in,
        positions,
        latches,
        limits,
        retired_limits,
        overrides,
        notices,
        retired,
    };
    Ok(Machine { stages, cold, counters, kill, heartbeats, clock: clock.clone() })
}

/// The machine's threads.
pub struct Running {
    threads: Vec<std::thread::JoinHandle<Vec<HotStage>>>,
    stop: Arc<AtomicBool>,
    /// The threads' names, with the core each is pinned to.
    pub plan: Vec<(String, Option<usize>)>,
}

impl Machine {
    /// From now on what shards, risk and gateways take and decide is written down, market data only where `keeps_market`. The
    /// other ends are for the thread that writes the log, each with the number of its stage. Orders are kept in the page
    /// before they are sent.
    #[must_use]
    pub fn with_journal(mut self, page: OrderPage, keeps_market: bool) -> (Self, Vec<(u16, Drain)>) {
        let (mut page, mut shards, mut gateways) = (Some(page), 0..SHARDS_MAX, 0..GATEWAYS_MAX);
        let mut drains = Vec::new();
        let mut tapped = |number| {
            let (tap, drain) = Tap::new();
            drains.push((number, drain));
            tap.keeping_market(keeps_market)
        };
        let attach = |stage| match stage {
            HotStage::Risk(risk) => {
                let risk = risk.with_journal(tapped(RISK_STAGE));
                HotStage::Risk(match page.take() {
                    Some(page) => risk.with_order_page(page),
                    None => risk,
                })
            }
            HotStage::Shard(shard) => match shards.next() {
                Some(number) => HotStage::Shard(shard.with_journal(tapped(shard_stage(number)))),
                // A configuration has fewer.
                None => HotStage::Shard(shard),
            },
            HotStage::Gateway(gateway) => match gateways.next() {
                Some(venue) => HotStage::Gateway(gateway.with_journal(tapped(gateway_stage(venue)))),
                None => HotStage::Gateway(gateway),
            },
            stage => stage,
        };
        self.stages = self.stages.into_iter().map(attach).collect();
        (self, drains)
    }

    /// Puts the stages on threads. Everything that can be wrong with the layout is found before the first one starts.
    ///
    /// # Errors
    /// What is wrong with the layout, or that the system refuses a thread.
    #[expect(clippy::disallowed_macros, reason = "cold: once, at start")]
    pub fn start(self, layout: &Layout, idle: IdleStrategy) -> Result<(Running, ColdEnds, Counters), Vec<String>> {
        let names: Vec<&str> = self.stages.iter().map(HotStage::name).collect();
        let plan = threads::plan(layout, &names, &threads::allowed_cores())?;
        let stop = Arc::new(AtomicBool::new(false));
        let kill = self.kill.clone();
        // A stage that is gone cannot be trusted to have finished anything: everything else stops trading.
        let on_trouble: OnTrouble = Arc::new(move |_| kill.kill(KillScope::Engine));
        let mut stages: Vec<Option<HotStage>> = self.stages.into_iter().map(Some).collect();
        let shown = plan.iter().map(|thread| (thread.name.clone(), thread.core)).collect();
        let mut running = Vec::new();
        self.heartbeats.set_trading(plan.len());
        for (number, thread) in plan.into_iter().enumerate() {
            let taken = thread.stages.iter().filter_map(|&index| stages.get_mut(index).and_then(Option::take));
            let own: Vec<HotStage> = taken.collect();
            for stage in &own {
                if let HotStage::Shard(shard) = stage {
                    shard.mark().place(number);
                }
            }
            let (clock, pulse) = (self.clock.clone(), self.heartbeats.pulse(number));
            match threads::spawn(thread, own, clock, idle, Arc::clone(&stop), Arc::clone(&on_trouble), pulse) {
                Ok(handle) => running.push(handle),
                Err(error) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(vec![format!("a hot thread cannot be started: {error}")]);
                }
            }
        }
        Ok((Running { threads: running, stop, plan: shown }, self.cold, self.counters))
    }
}

impl Running {
    /// Stops the threads and hands the stages back, for the summary.
    #[must_use]
    pub fn stop(self) -> Vec<HotStage> {
        self.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    }
}
