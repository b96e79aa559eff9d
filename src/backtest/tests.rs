//! A shard that ran on narrow lanes, with updates, timers and bursts, against the same shard from what it wrote down.

use super::shard::Edited;
use super::shards::{Followed, ShardDifference, Shards, StopReason};
use super::start::{EngineStart, InstanceStart};
use super::{History, Leaving, start::Blob};
use crate::control::names::Names;
use crate::journal::{BLOB_KIND, BYTES_VERSION, COLD_STAGE, Position, Record, Stamp, gateway_stage, shard_stage};
use crate::metrics::Shared;
use crate::pipeline::clock::Clock;
use crate::pipeline::lane::{Receiver, Sender, lane};
use crate::pipeline::stage::Stage;
use crate::pipeline::tap::{Drain, Tap};
use crate::risk::{LimitsTable, RiskConfig};
use crate::strategy::runner::{Instance, Shard, ShardConfig, ShardLanes};
use crate::strategy::saved::Left;
use crate::strategy::testkit::btcusdt;
use crate::strategy::{Setup, registry};
use crate::types::{
    Binary, CancelIntent, DepthLevel, Entry, Event, HistoryBar, InstrumentId, Mark, MarketEvent, MarketMessage, Money,
    Notice, Order, OrderIntent, OrderStatus, OrderUpdate, Price, Quantity, Quote, ShardCommand, Side, StrategyId,
    Timestamp, Trade, TradingState,
};
use serde_json::json;

const MAKER: StrategyId = StrategyId(0);
const REVERTER: StrategyId = StrategyId(1);

fn instance(id: StrategyId, kind: &str, params: serde_json::Value) -> InstanceStart {
    InstanceStart {
        id,
        kind: kind.to_owned(),
        file_hash: registry::find(kind).expect("compiled in").file_hash,
        params: params.to_string(),
        instruments: vec![InstrumentId(0)],
        capital: Money(10_000 * 10i128.pow(18)),
        bar_interval_ms: Some(1_000),
        is_quarantined: false,
        resumed: None,
    }
}

fn start() -> EngineStart {
    let config = RiskConfig {
        instruments: btcusdt().0,
        permissions: Vec::new(),
        limits: LimitsTable::default(),
        shard_of_strategy: vec![0, 0],
        trading_state: TradingState::Active,
        order_capacity: 16,
        execution_capacity: 16,
        position_interval_ns: 1,
        currency: None,
        rate_sources: Vec::new(),
        day_volumes: Vec::new(),
        epoch: 1,
        latches: Vec::new(),
        identity: None,
    };
    let names = Names { strategies: ["maker", "reverter"].map(str::to_owned).to_vec(), ..Names::default() };
    let instances = vec![
        instance(MAKER, "market_maker", json!({"rest_min_ms": 5, "cool_down_ms": 20})),
        instance(REVERTER, "mean_reversion", json!({"length": 3, "cool_down_ms": 20})),
    ];
    EngineStart {
        config,
        balances: Vec::new(),
        venues: 2,
        shards: vec![instances],
        gateways: Vec::new(),
        names,
        firsts: Vec::new(),
        facts: None,
    }
}

/// The live one, with the test in the place of feed and risk.
struct Live {
    shard: Shard,
    drain: Drain,
    commands: Sender<ShardCommand>,
    updates: Sender<OrderUpdate>,
    market: [Sender<MarketMessage>; 2],
    orders: Receiver<OrderIntent>,
    cancels: Receiver<CancelIntent>,
    marks: Receiver<Mark>,
    _notices: Receiver<Notice>,
    chance: u64,
    now: Timestamp,
    open: Vec<Order>,
    /// What shard and risk wrote down, in the order in which a log could have it.
    log: Vec<(bool, Entry)>,
    taken: u64,
}

impl Live {
    fn new(start: &EngineStart, keeps_market: bool) -> Self {
        // Narrow, so that they are full often.
        Self::with_room(start, keeps_market, 2)
    }

    fn with_room(start: &EngineStart, keeps_market: bool, room: usize) -> Self {
        let build = |of: &InstanceStart| {
            let instruments = [btcusdt().1];
            let (strategy, capital, bar_interval_ms) = (of.id, of.capital, of.bar_interval_ms);
            let setup = Setup { strategy, instruments: &instruments, capital, bar_interval_ms };
            let params = serde_json::from_str(&of.params).expect("JSON");
            let built = registry::find(&of.kind).expect("compiled in").build(&params, &setup);
            Instance {
                id: of.id,
                name: String::new(),
                strategy: built.unwrap_or_else(|errors| panic!("{errors:?}")),
                instruments: of.instruments.clone(),
                bar_interval_ms,
                capital,
                is_quarantined: false,
            }
        };
        let (commands, commands_in) = lane(4);
        let (updates, updates_in) = lane(16);
        let (market, market_in) = lane(256);
        let (more_market, more_market_in) = lane(256);
        let (orders_out, orders) = lane(room);
        let (cancels_out, cancels) = lane(room);
        let (marks_out, marks) = lane(room);
        let (notices_out, notices) = lane(4);
        let lanes = ShardLanes {
            commands: commands_in,
            updates: updates_in,
            market: vec![market_in, more_market_in],
            orders: orders_out,
            cancels: cancels_out,
            marks: marks_out,
            notices: notices_out,
        };
        let now = Timestamp::from_millis(1_000_000);
        let config = ShardConfig { name: "live", epoch: 1, handler_budget_ns: 1, clock: Clock::virtual_at(now) };
        let instances = start.shards[0].iter().map(build).collect();
        let shard = Shard::new(config, &start.config.instruments, instances, lanes, Shared::default());
        let (tap, drain) = Tap::new();
        let shard = shard.unwrap_or_else(|errors| panic!("{errors:?}")).with_journal(tap.keeping_market(keeps_market));
        let market = [market, more_market];
        Self {
            shard,
            drain,
            commands,
            updates,
            market,
            orders,
            cancels,
            marks,
            _notices: notices,
            chance: 7,
            now,
            open: Vec::new(),
            log: Vec::new(),
            taken: 0,
        }
    }

    fn below(&mut self, end: u64) -> u64 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % end
    }

    fn send(&mut self, event: MarketEvent) {
        let lane = usize::try_from(self.below(2)).expect("small");
        let _ = self.market[lane].try_send(MarketMessage { instrument: InstrumentId(0), event });
    }

    fn book(&mut self) {
        let (now, middle) = (self.now, 10_000 + i64::try_from(self.below(60)).expect("small"));
        match self.below(8) {
            0 => {
                let level =
                    DepthLevel { quantity: Quantity(9), received_ns: now, exchange_ns: now, ..Default::default() };
                // A snapshot, whole, by one lane.
                let lane = usize::try_from(self.below(2)).expect("small");
                let events = [
                    MarketEvent::DepthSnapshot { update_id: 1, received_ns: now },
                    MarketEvent::DepthLevel {
                        side: Side::Buy,
                        is_last: false,
                        level: DepthLevel { price: Price(middle - 1), ..level },
                    },
                    MarketEvent::DepthLevel {
                        side: Side::Sell,
                        is_last: true,
                        level: DepthLevel { price: Price(middle + 1), ..level },
                    },
                ];
                for event in events {
                    let _ = self.market[lane].try_send(MarketMessage { instrument: InstrumentId(0), event });
                }
            }
            1..=3 => {
                let aggressor = if self.below(2) == 0 { Side::Buy } else { Side::Sell };
                let price = Price(middle);
                let trade =
                    Trade { price, quantity: Quantity(1), high: price, low: price, exchange_ns: now, received_ns: now };
                self.send(MarketEvent::Trade { aggressor, count: 1, trade });
            }
            _ => self.send(MarketEvent::Quote(Quote {
                bid: Price(middle - 1),
                bid_quantity: Quantity(5),
                ask: Price(middle + 1),
                ask_quantity: Quantity(7),
                received_ns: now,
                ..Quote::default()
            })),
        }
    }

    /// Risk says something of an open order.
    fn update(&mut self) {
        if self.open.is_empty() {
            return;
        }
        let count = u64::try_from(self.open.len()).expect("few");
        let place = usize::try_from(self.below(count)).expect("few");
        let order = self.open[place];
        let status = match self.below(6) {
            0 => OrderStatus::Filled,
            1 => OrderStatus::Canceled,
            2 => OrderStatus::Rejected,
            _ => OrderStatus::Accepted,
        };
        if status.is_terminal() {
            self.open.remove(place);
        }
        let filled = if status == OrderStatus::Filled { order.quantity } else { Quantity::ZERO };
        let _ = self.updates.try_send(OrderUpdate {
            client_order_id: order.client_order_id,
            strategy: order.strategy,
            instrument: order.instrument,
            price: order.price,
            quantity: order.quantity,
            side: order.side,
            received_ns: self.now,
            filled,
            status,
            ..OrderUpdate::default()
        });
    }

    /// Risk takes what is there.
    fn take(&mut self) {
        let mut events = Vec::new();
        self.orders.drain(u64::MAX, |intent| {
            self.open.push(intent.order);
            events.push(Event::Intent { shard: 0, intent: *intent });
        });
        self.cancels.drain(u64::MAX, |intent| events.push(Event::Cancel { shard: 0, intent: *intent }));
        self.marks.drain(u64::MAX, |mark| events.push(Event::Mark { shard: 0, mark: *mark }));
        for event in events {
            self.taken += 1;
            self.log.push((false, Entry { sequence: self.taken, at: self.now, event }));
        }
    }

    fn drain(&mut self) {
        let Self { drain, log, .. } = self;
        drain.drain(|entry| log.push((true, *entry)));
    }

    fn run(mut self, steps: u64) -> Self {
        for back in (1..=3).rev() {
            let open_ns = Timestamp::from_millis(self.now.millis() - 1_000 * back);
            let price = Price(10_000 + i64::try_from(back).expect("small"));
            let bar = HistoryBar { open: price, high: price, low: price, close: price, volume: Quantity(1), open_ns };
            self.market[0]
                .try_send(MarketMessage { instrument: InstrumentId(0), event: MarketEvent::HistoryBar(bar) })
                .expect("room");
        }
        let end = MarketMessage { instrument: InstrumentId(0), event: MarketEvent::HistoryEnd };
        self.market[0].try_send(end).expect("room");
        for _ in 0..steps {
            self.now = self.now.plus(self.below(3_000_000));
            for _ in 0..self.below(4) {
                self.book();
            }
            if self.below(3) == 0 {
                self.update();
            }
            self.shard.poll(self.now);
            if self.below(3) == 0 {
                self.take();
            }
            if self.below(5) == 0 {
                self.drain();
            }
        }
        self.commands.try_send(ShardCommand::StopAll).expect("room");
        for _ in 0..20 {
            self.now = self.now.plus(1_000_000);
            self.shard.poll(self.now);
            self.take();
        }
        self.drain();
        self
    }
}

/// What came of a log: how many entries of the shard were replayed, where it stopped, or what differs.
fn follow(shards: &mut Shards, log: &[(bool, Entry)]) -> Result<(usize, Option<StopReason>), ShardDifference> {
    let (mut replayed, mut stopped) = (0, None);
    for (is_shard, entry) in log {
        if !is_shard {
            shards.taken(entry)?;
            continue;
        }
        match shards.entry(0, entry)? {
            Followed::Replayed => replayed += 1,
            Followed::PassedOver => {}
            Followed::Stopped(_, reason) => stopped = Some(reason),
        }
    }
    shards.finish()?;
    Ok((replayed, stopped))
}

fn differs(start: &EngineStart, log: &[(bool, Entry)]) -> Option<ShardDifference> {
    follow(&mut Shards::new(start, Edited::EndsIt), log).err()
}

fn count(log: &[(bool, Entry)], is_it: impl Fn(&Event) -> bool) -> usize {
    log.iter().filter(|(_, entry)| is_it(&entry.event)).count()
}

/// The start as a journal has it.
fn kept(start: EngineStart) -> EngineStart {
    let mut bytes = Vec::new();
    Blob::Start(Box::new(start)).put(&mut bytes);
    match Blob::take(&mut bytes.as_slice()) {
        Some(Blob::Start(start)) => *start,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_shard_comes_to_the_same_again_on_lanes_that_are_often_full() {
    let start = kept(start());
    let live = Live::new(&start, true).run(60_000);
    let log = &live.log;
    for lane in [crate::types::Outgoing::Intents, crate::types::Outgoing::Marks] {
        let full = count(log, |event| matches!(event, Event::Full { lane: full, .. } if *full == lane));
        assert!(full > 20, "{lane:?} was full {full} times");
    }
    assert!(count(log, |event| matches!(event, Event::Hash { .. })) >= 1);
    assert!(count(log, |event| matches!(event, Event::Update(_))) > 1_000);
    assert!(count(log, |event| matches!(event, Event::Cancel { .. })) > 100);
    let mut shards = Shards::new(&start, Edited::EndsIt);
    let own = log.iter().filter(|(is_shard, _)| *is_shard).count();
    let outcome = follow(&mut shards, log).unwrap_or_else(|found| panic!("{:#?}", found.difference));
    assert_eq!(outcome, (own, None));
    // Up to the last cycle, in which nothing was left to do.
    assert_eq!(shards.leave(0), Some(live.shard.leave()));
}

#[test]
fn a_parameter_that_was_another_is_found_in_the_order_that_it_changed() {
    let live = Live::new(&start(), true).run(2_000);
    let mut other = start();
    other.shards[0][0].params = json!({"rest_min_ms": 5, "cool_down_ms": 20, "half_spread_ppm": 400}).to_string();
    let found = differs(&other, &live.log).expect("another order");
    let difference = *found.difference;
    match (difference.recorded.map(|entry| entry.event), difference.replayed.map(|entry| entry.event)) {
        (Some(Event::Intent { intent: one, .. }), Some(Event::Intent { intent: other, .. })) => {
            assert_eq!((one.order.strategy, other.order.strategy), (MAKER, MAKER));
            assert_ne!(one.order.price, other.order.price);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_record_that_was_tampered_with_is_found() {
    let live = Live::new(&start(), true).run(2_000);
    // A quote in the middle.
    let mut log = live.log.clone();
    let place = log.len() / 2
        + log[log.len() / 2..]
            .iter()
            .position(|(_, entry)| {
                matches!(entry.event, Event::Market { message, .. } if matches!(message.event, MarketEvent::Quote(_)))
            })
            .expect("a quote");
    if let Event::Market { message, .. } = &mut log[place].1.event
        && let MarketEvent::Quote(quote) = &mut message.event
    {
        quote.bid.0 -= 500;
        quote.ask.0 -= 500;
    }
    assert!(differs(&start(), &log).is_some());
    // An order that risk never took, and one that the shard never sent.
    let orders: Vec<usize> = live
        .log
        .iter()
        .enumerate()
        .filter(|(_, (_, entry))| matches!(entry.event, Event::Intent { .. }))
        .map(|(place, _)| place)
        .collect();
    let middle = orders[orders.len() / 2];
    let mut log = live.log.clone();
    log.remove(middle);
    assert!(differs(&start(), &log).is_some());
    let mut log = live.log.clone();
    log.insert(middle, live.log[middle]);
    assert!(differs(&start(), &log).is_some());
    // The last one, which none comes behind: its instant tells.
    let last = live.log[*orders.last().expect("orders")];
    let mut log = live.log.clone();
    log.insert(orders[orders.len() - 1], last);
    let found = differs(&start(), &log).expect("one too many").difference;
    assert_eq!((found.recorded.map(|entry| entry.event), found.replayed), (Some(last.1.event), None));
}

#[test]
fn without_market_data_replay_ends_and_says_where_and_nothing_differs() {
    let live = Live::new(&start(), false).run(2_000);
    assert!(count(&live.log, |event| matches!(event, Event::Update(_))) > 50, "the rest is kept");
    let mut shards = Shards::new(&start(), Edited::EndsIt);
    let (replayed, stopped) = follow(&mut shards, &live.log).unwrap_or_else(|found| panic!("{:?}", found.difference));
    assert!(matches!(stopped, Some(StopReason::Gap { .. })), "{stopped:?}");
    assert!(replayed < 10, "{replayed}");
    assert_eq!(shards.leave(0), None);
}

#[test]
fn a_shard_with_an_edited_strategy_is_not_compared() {
    let live = Live::new(&start(), true).run(500);
    for edit in [|of: &mut InstanceStart| of.file_hash[0] ^= 1, |of: &mut InstanceStart| of.kind = "gone".to_owned()] {
        let mut edited = start();
        edit(&mut edited.shards[0][1]);
        let mut shards = Shards::new(&edited, Edited::EndsIt);
        let outcome = follow(&mut shards, &live.log).unwrap_or_else(|found| panic!("{:?}", found.difference));
        assert_eq!(outcome, (0, Some(StopReason::Edited)));
    }
}

fn record(stage: u16, entry: &Entry, visit: &mut impl FnMut(&Record<'_>)) {
    let mut payload = Vec::new();
    entry.event.put(&mut payload);
    let (stage_seq, mono_ns) = (entry.sequence, entry.at.nanos());
    let entry = Stamp { stage_seq, mono_ns, stage, version: BYTES_VERSION, ..Stamp::default() };
    visit(&Record { seq: 1, entry, is_batch_end: false, payload: &payload });
}

fn leaving(start: &EngineStart, log: &[(bool, Entry)]) -> Vec<(StrategyId, Result<Left, String>)> {
    let mut leaving = Leaving::of(start);
    for (is_shard, entry) in log {
        let stage = if *is_shard { shard_stage(0) } else { crate::journal::RISK_STAGE };
        record(stage, entry, &mut |record| leaving.record(record));
    }
    leaving.finish()
}

#[test]
fn after_a_crash_strategies_have_what_they_had_come_to() {
    let live = Live::new(&start(), true).run(3_000);
    let all = live.shard.leave().into_iter().map(|(id, left)| (id, Ok(left))).collect::<Vec<_>>();
    assert!(matches!(all[..], [(_, Ok(Left::Saved(_))), (_, Ok(Left::Saved(_)))]));
    assert_eq!(leaving(&start(), &live.log), all);
    // Beside one that was edited, the other still has it, unless they were in each other's way.
    let mut edited = start();
    edited.shards[0][0].file_hash = [0; 16];
    assert!(leaving(&edited, &live.log)[1].1.clone().expect_err("afresh").contains("does not come to"));
    let apart = Live::with_room(&start(), true, 256).run(3_000);
    let (_, left) = apart.shard.leave().remove(1);
    assert_eq!(leaving(&edited, &apart.log), [(MAKER, Ok(Left::Nothing)), (REVERTER, Ok(left))]);
    // A gap, a record of another version, something that is no entry, another program: each ends it, in words.
    let because = |log: &[(bool, Entry)]| leaving(&start(), log)[1].1.clone().expect_err("afresh");
    let mut log = live.log.clone();
    let gap = Entry { event: Event::Gap { count: 3 }, ..log[200].1 };
    log.insert(200, (true, gap));
    assert!(because(&log).contains("lacks market data"));
    let mut other = start();
    other.shards[0][1].params = json!({"length": 4}).to_string();
    assert!(leaving(&other, &live.log)[0].1.clone().expect_err("afresh").contains("does not come to"));
    let mut unknown = Leaving::of(&start());
    let stamp = Stamp { stage: shard_stage(0), version: BYTES_VERSION + 1, ..Stamp::default() };
    unknown.record(&Record { seq: 1, entry: stamp, is_batch_end: false, payload: b"?" });
    assert!(unknown.finish()[0].1.clone().expect_err("afresh").contains("not known"));
}

#[test]
fn a_resumed_start_replays_from_what_it_took_up() {
    let first = Live::new(&start(), true).run(3_000);
    let mut resumed = start();
    for (instance, (_, left)) in resumed.shards[0].iter_mut().zip(first.shard.leave()) {
        let Left::Saved(state) = left else { panic!("{left:?}") };
        instance.resumed = Some(state);
    }
    let resumed = kept(resumed);
    // Something of it shows: the quotes that rested are known again.
    let shards = Shards::new(&resumed, Edited::EndsIt);
    assert_eq!(shards.leave(0), Some(first.shard.leave()));
}

#[test]
fn a_gateways_record_that_cannot_be_read_keeps_nobody_from_recovering() {
    let mut payload = vec![0; 4];
    Blob::Start(Box::new(start())).put(&mut payload);
    for (mut history, is_read) in [(History::following(), false), (History::default(), true)] {
        let mut record = |seq, stage, kind, version, payload: &[u8]| {
            let entry = Stamp { stage, kind, version, ..Stamp::default() };
            history.record(Position::default(), &Record { seq, entry, is_batch_end: false, payload });
        };
        record(1, COLD_STAGE, BLOB_KIND, BYTES_VERSION, &payload);
        record(2, gateway_stage(0), 0, BYTES_VERSION, b"\xff");
        record(3, gateway_stage(0), 0, BYTES_VERSION + 1, b"?");
        history.finish();
        assert_eq!(history.problem.is_some(), is_read, "{:?}", history.problem);
        assert_eq!((history.starts, history.difference), (1, None));
    }
}
