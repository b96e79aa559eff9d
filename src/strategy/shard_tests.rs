//! The shard's promises, each with scripted strategies on the real shard.

use super::runner::{Instance, Shard};
use super::testkit::{Kit, Room};
use super::{AnyStrategy, Context, Event, Handled, InstanceState, NewOrder, Signal, SignalAction, StrategyError};
use crate::types::{
    ClientOrderId, DenialReason, HistoryBar, InstrumentId, MarketEvent, MarketMessage, Money, NoticeCode, OrderStatus,
    OrderUpdate, Price, Quantity, Quote, Side, StrategyId, Timestamp,
};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

type Script = Box<dyn FnMut(&mut Context, Event) -> Handled + Send>;

struct Scripted(Script);

impl AnyStrategy for Scripted {
    fn handle(&mut self, context: &mut Context, event: Event) -> Handled {
        self.0(context, event)
    }
}

pub(super) fn instance(id: u16, script: impl FnMut(&mut Context, Event) -> Handled + Send + 'static) -> Instance {
    Instance {
        id: StrategyId(id),
        name: format!("scripted {id}"),
        strategy: Box::new(Scripted(Box::new(script))),
        instruments: vec![Kit::INSTRUMENT],
        bar_interval_ms: Some(1_000),
        capital: Money::ZERO,
        is_quarantined: false,
    }
}

/// What a strategy was told, in words.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn write(&self, event: &Event) {
        let line = match event {
            Event::Start => "start".to_owned(),
            Event::Quote(_, quote) => format!("quote {}", quote.bid.0),
            Event::Trade(_, _, trade) => format!("trade {}", trade.price.0),
            Event::Depth(_) => "depth".to_owned(),
            Event::Bar(_, bar) => format!("bar {}", bar.close.0),
            Event::Order(update) => format!("order {:?} {}", update.status, update.reason),
            Event::Signal(_) => "signal".to_owned(),
            Event::Timer(_) => "timer".to_owned(),
            Event::Params(_) => "params".to_owned(),
            Event::Stop => "stop".to_owned(),
        };
        self.0.lock().expect("unpoisoned").push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("unpoisoned"))
    }
}

fn logged(id: u16, log: &Log) -> Instance {
    let log = log.clone();
    instance(id, move |_, event| {
        log.write(&event);
        Ok(())
    })
}

fn order(price: i64) -> NewOrder {
    NewOrder::limit(Kit::INSTRUMENT, Side::Buy, Quantity(100), Price(price))
}

/// Buys once on every quote, and logs.
fn buyer(id: u16, log: &Log) -> Instance {
    let log = log.clone();
    instance(id, move |context, event| {
        log.write(&event);
        if let Event::Quote(_, quote) = event {
            context.submit(order(quote.bid.0))?;
        }
        Ok(())
    })
}

pub(super) fn started(instances: Vec<Instance>, room: Room) -> Kit {
    let mut kit = Kit::with(instances, room).expect("they fit");
    kit.warm(&[]);
    kit
}

pub(super) fn state(kit: &Kit, index: usize) -> InstanceState {
    kit.summary()[index].state
}

#[test]
fn strategies_start_when_history_is_told() {
    let log = Log::default();
    let seen = log.clone();
    let mut kit = Kit::with(
        vec![instance(0, move |context, event| {
            seen.write(&event);
            if let Event::Start = event {
                let closes: Vec<_> = context.bars(Kit::INSTRUMENT).iter().map(|bar| bar.close.0).collect();
                assert_eq!(closes, [5, 6]);
                assert_eq!(context.quote(Kit::INSTRUMENT).map(|quote| quote.bid.0), Some(99));
            }
            Ok(())
        })],
        Room::default(),
    )
    .expect("it fits");
    kit.quote(99, 101);
    assert!(log.take().is_empty());
    kit.warm(&[5, 6]);
    kit.quote(98, 101);
    assert_eq!(log.take(), ["start", "quote 98"]);
    assert_eq!((state(&kit, 0), kit.counters.panics.get()), (InstanceState::Running, 0));
    assert_eq!(kit.shard.history_interval_ms(Kit::INSTRUMENT), Some(1_000));
    assert_eq!(kit.shard.history_interval_ms(InstrumentId(1)), None);
}

#[test]
fn a_panic_ends_one_instance_and_touches_no_neighbour() {
    let (before, after, alone) = (Log::default(), Log::default(), Log::default());
    let failing = instance(1, |context, event| {
        if let Event::Quote(_, quote) = event {
            context.submit(order(quote.bid.0)).expect("room");
            assert!(quote.bid.0 < 102, "as planned");
        }
        Ok(())
    });
    let feed = |kit: &mut Kit| {
        for bid in 100..106 {
            kit.book(bid, 110);
            kit.trade(Side::Sell, bid, 1);
            kit.accept_all();
            kit.advance_ms(700);
        }
    };
    let mut kit = started(vec![logged(0, &before), failing, logged(2, &after)], Room::default());
    feed(&mut kit);
    let mut undisturbed = started(vec![logged(0, &alone)], Room::default());
    feed(&mut undisturbed);
    let expected = alone.take();
    assert!(expected.len() > 18, "{expected:?}");
    assert_eq!((before.take(), after.take()), (expected.clone(), expected));
    assert_eq!(
        [0, 1, 2].map(|index| state(&kit, index)),
        [InstanceState::Running, InstanceState::Error, InstanceState::Running]
    );
    // Two orders went out before; the one of the handler that panicked did not; both are canceled.
    assert_eq!((kit.take_orders().len(), kit.cancels().len()), (2, 2));
    assert_eq!(kit.counters.panics.get(), 1);
    let notice = kit.take_notices().into_iter().find(|notice| notice.code == NoticeCode::StrategyPanicked);
    let notice = notice.expect("told");
    assert_eq!((notice.strategy, notice.excerpt.as_bytes()), (StrategyId(1), &b"as planned"[..]));
}

#[test]
fn three_errors_in_a_row_pause() {
    let failing = instance(0, |context, event| match event {
        Event::Quote(_, quote) if quote.bid.0 == 100 => Ok(()),
        Event::Quote(_, quote) => {
            context.submit(order(quote.bid.0))?;
            Err(StrategyError(10_001))
        }
        _ => Ok(()),
    });
    let mut kit = started(vec![failing], Room::default());
    for bid in [1, 2, 100, 3, 4] {
        kit.quote(bid, 110);
        kit.accept_all();
    }
    // A call without error starts the count afresh, the answers to orders among them.
    assert_eq!((state(&kit, 0), kit.cancels().len()), (InstanceState::Running, 0));
    for bid in [5, 6, 7] {
        kit.quote(bid, 110);
    }
    assert_eq!(state(&kit, 0), InstanceState::Paused);
    let orders = kit.take_orders();
    assert_eq!(orders.len(), 6, "the orders of the call that paused it are not sent");
    kit.accept_all();
    assert_eq!(kit.cancels().len(), 6);
    kit.quote(8, 110);
    assert_eq!((kit.counters.handler_errors.get(), kit.take_orders().len()), (7, 0));
    // Its orders and position are kept up all the same.
    kit.filled(orders[0].order.client_order_id, Quantity(100));
    kit.canceled(orders[1].order.client_order_id);
    assert_eq!((kit.summary()[0].tally.orders_filled, kit.summary()[0].working_count), (1, 4));
    let codes: Vec<_> = kit.take_notices().iter().map(|notice| (notice.code, notice.limit, notice.observed)).collect();
    assert_eq!(codes.iter().filter(|notice| notice.0 == NoticeCode::StrategyError).count(), 7);
    assert!(codes.contains(&(NoticeCode::StrategyError, 3, 10_001)));
    assert_eq!(codes.iter().filter(|notice| notice.0 == NoticeCode::StrategyPaused).count(), 1);
}

#[test]
fn a_burst_is_cut_at_its_limit() {
    let bursting = instance(0, |context, event| {
        if let Event::Quote(..) = event {
            let refused: Vec<_> = (0..66).filter_map(|_| context.submit(order(1)).err()).collect();
            assert_eq!(refused.len(), 2);
            assert_eq!(
                (refused[0].reason, refused[0].limit, refused[0].observed),
                (DenialReason::StrategyBurst, 64, 65)
            );
        }
        Ok(())
    });
    let mut kit = started(vec![bursting], Room::default());
    kit.quote(100, 110);
    assert_eq!((state(&kit, 0), kit.take_orders().len()), (InstanceState::Running, 64));
    assert_eq!((kit.counters.denied.get(), kit.summary()[0].tally.denied), (2, 2));
}

#[test]
fn working_orders_are_bounded() {
    let log = Log::default();
    let mut kit = started(vec![buyer(0, &log)], Room::default());
    for _ in 0..128 {
        kit.quote(100, 110);
    }
    assert_eq!(kit.take_orders().len(), 128);
    kit.quote(100, 110);
    assert_eq!((kit.take_orders().len(), kit.counters.denied.get()), (0, 1));
    let reasons: Vec<_> = kit.take_notices().iter().map(|notice| notice.reason).collect();
    assert_eq!(reasons, [DenialReason::OrderTableFull, DenialReason::None], "the denial, then the error that it became")
}

#[test]
fn a_full_order_lane_denies_in_the_shard() {
    let log = Log::default();
    let bursting = {
        let log = log.clone();
        instance(0, move |context, event| {
            log.write(&event);
            if let Event::Quote(..) = event {
                for price in 1..=5 {
                    context.submit(order(price))?;
                }
            }
            Ok(())
        })
    };
    let mut kit = started(vec![bursting], Room { orders: 2, ..Room::default() });
    kit.quote(100, 110);
    assert_eq!(
        log.take()[1..],
        ["quote 100", "order Denied LANE_FULL", "order Denied LANE_FULL", "order Denied LANE_FULL"]
    );
    assert_eq!(kit.take_orders().iter().map(|intent| intent.order.price.0).collect::<Vec<_>>(), [1, 2]);
    assert_eq!((kit.counters.denied.get(), kit.counters.orders.get()), (3, 2));
    let summary = &kit.summary()[0];
    assert_eq!((summary.working_count, summary.tally.denied, summary.tally.orders_sent), (2, 3, 2));
    assert_eq!(kit.take_notices().iter().filter(|notice| notice.reason == DenialReason::LaneFull).count(), 3);
}

#[test]
fn a_full_cancel_lane_keeps_the_cancels() {
    let canceling = instance(0, |context, event| {
        match event {
            Event::Quote(_, quote) if quote.bid.0 == 100 => {
                for price in 1..=5 {
                    context.submit(order(price))?;
                }
            }
            Event::Quote(..) => context.cancel_all(),
            _ => {}
        }
        Ok(())
    });
    let mut kit = started(vec![canceling], Room { cancels: 2, ..Room::default() });
    kit.quote(100, 110);
    kit.accept_all();
    kit.quote(101, 110);
    let mut canceled = Vec::new();
    for _ in 0..5 {
        kit.advance_ms(1);
        canceled.extend(kit.cancels().iter().map(|intent| intent.client_order_id.sequence()));
    }
    canceled.sort_unstable();
    canceled.dedup();
    assert_eq!(canceled, [1, 2, 3, 4, 5]);
    assert_eq!(kit.counters.cancels.get(), 5, "each once");
}

#[test]
fn a_cancel_never_overtakes_its_order() {
    let hasty = instance(0, |context, event| {
        if let Event::Quote(..) = event {
            let id = context.submit(order(1))?;
            assert!(context.cancel(id) && context.cancel(id));
            assert!(!context.cancel(ClientOrderId(77)));
        }
        Ok(())
    });
    let mut kit = started(vec![hasty], Room::default());
    kit.quote(100, 110);
    kit.advance_ms(5);
    assert_eq!((kit.take_orders().len(), kit.cancels().len()), (1, 0));
    kit.accept_all();
    assert_eq!((kit.cancels().len(), state(&kit, 0)), (1, InstanceState::Running));
}

#[test]
fn a_refused_cancel_can_be_asked_again() {
    let canceling = instance(0, |context, event| {
        match event {
            Event::Quote(_, quote) if quote.bid.0 == 100 => {
                context.submit(order(1))?;
            }
            Event::Quote(..) => context.cancel_all(),
            _ => {}
        }
        Ok(())
    });
    let mut kit = started(vec![canceling], Room::default());
    kit.quote(100, 110);
    kit.accept_all();
    kit.quote(101, 110);
    kit.quote(101, 110);
    assert_eq!(kit.counters.cancels.get(), 1);
    let open = kit.open_orders()[0];
    kit.update(OrderUpdate { status: OrderStatus::PendingCancel, ..open });
    kit.update(OrderUpdate { status: OrderStatus::Accepted, code: -2011, ..open });
    kit.quote(101, 110);
    assert_eq!(kit.counters.cancels.get(), 2);
}

#[test]
fn marks_are_of_what_has_an_order_or_a_position_and_conflate() {
    let log = Log::default();
    let buying_once = {
        let log = log.clone();
        instance(0, move |context, event| {
            log.write(&event);
            if let Event::Quote(_, quote) = event
                && quote.bid.0 == 105
            {
                context.submit(order(1))?;
            }
            Ok(())
        })
    };
    let mut kit = started(vec![buying_once], Room { marks: 2, ..Room::default() });
    kit.quote(100, 110);
    assert!(kit.take_marks().is_empty());
    kit.quote(105, 110);
    for bid in [106, 107, 108] {
        kit.quote(bid, 110);
    }
    let bids = |kit: &mut Kit| kit.take_marks().iter().map(|mark| mark.quote.bid.0).collect::<Vec<_>>();
    assert_eq!(bids(&mut kit), [105, 106]);
    kit.advance_ms(1);
    assert_eq!(bids(&mut kit), [108], "the newest, when there is room");
    kit.advance_ms(1);
    assert!(bids(&mut kit).is_empty());
    // Filled: the position keeps the marks coming. Flat: they end.
    let id = kit.take_orders()[0].order.client_order_id;
    kit.filled(id, Quantity(100));
    kit.quote(109, 110);
    assert_eq!(bids(&mut kit), [109]);
    let update = OrderUpdate { client_order_id: id, status: OrderStatus::Filled, ..OrderUpdate::default() };
    kit.update(update);
    kit.quote(108, 110);
    assert!(bids(&mut kit).is_empty());
}

#[test]
fn intents_carry_the_market_they_were_decided_in() {
    let log = Log::default();
    let mut kit = started(vec![buyer(0, &log)], Room::default());
    kit.quote(99, 110);
    kit.book(100, 110);
    kit.depth_lost();
    kit.quote(101, 110);
    kit.book(112, 111);
    kit.event(MarketEvent::Connection { is_up: false, received_ns: Timestamp::from_millis(1_000_000) });
    kit.event(MarketEvent::Connection { is_up: true, received_ns: Timestamp::from_millis(1_000_000) });
    kit.quote(103, 111);
    let stamps: Vec<_> = kit
        .take_orders()
        .iter()
        .map(|intent| (intent.stamp.bid.0, intent.stamp.ask.0, intent.stamp.near_depth.0, intent.stamp.is_synced))
        .collect();
    assert_eq!(
        stamps,
        [
            (99, 110, 0, false),
            (100, 110, 100_000, true),
            (101, 110, 100_000, false),
            (112, 111, 100_000, false),
            (103, 111, 100_000, false),
        ]
    );
    assert_eq!(kit.counters.crossed_books.get(), 1);
}

#[test]
fn timers_fire_once_and_are_bounded() {
    let log = Log::default();
    let timing = {
        let log = log.clone();
        instance(0, move |context, event| {
            log.write(&event);
            if let Event::Start = event {
                let now = context.now().max(Timestamp::from_millis(1_000_000));
                let taken = (0..40).filter(|&index| context.timer(now.plus(5_000_000 + index % 2))).count();
                assert_eq!(taken, 32);
            }
            if let Event::Timer(at) = event {
                assert!(context.now() >= at);
            }
            Ok(())
        })
    };
    let mut kit = started(vec![timing], Room::default());
    kit.advance_ms(4);
    assert_eq!(log.take(), ["start"]);
    kit.advance_ms(2);
    assert_eq!(log.take(), vec!["timer"; 32]);
    kit.advance_ms(50);
    assert!(log.take().is_empty());
}

#[test]
fn stop_ends_all_but_the_books() {
    let log = Log::default();
    let stopping = {
        let log = log.clone();
        instance(0, move |context, event| {
            log.write(&event);
            match event {
                Event::Quote(..) => drop(context.submit(order(1))?),
                Event::Stop => {
                    assert_eq!(
                        context.submit(order(2)).map_err(|denial| denial.reason),
                        Err(DenialReason::StrategyNotRunning)
                    );
                }
                _ => {}
            }
            Ok(())
        })
    };
    let mut kit = started(vec![stopping], Room::default());
    kit.quote(100, 110);
    kit.accept_all();
    kit.stop();
    assert_eq!(kit.cancels().len(), 1);
    kit.quote(101, 110);
    let id = kit.cancels()[0].client_order_id;
    kit.canceled(id);
    kit.stop();
    assert_eq!(log.take(), ["start", "quote 100", "order Accepted NONE", "stop"]);
    assert_eq!((state(&kit, 0), kit.summary()[0].working_count), (InstanceState::Stopped, 0));
    assert_eq!(kit.counters.market_events.get(), 3);
}

#[test]
fn signals_and_logs_are_told() {
    let signaling = instance(0, |context, event| {
        if let Event::Quote(..) = event {
            context.log("a line");
            let signal = Signal::new(Kit::INSTRUMENT, SignalAction::Buy, 80, "cheap");
            context.signal(&Signal { stop_loss: Some(Price(9900)), ..signal });
        }
        Ok(())
    });
    let mut kit = started(vec![signaling], Room::default());
    kit.quote(100, 110);
    let told: Vec<_> = kit.take_notices().iter().map(|n| (n.code, n.observed, n.excerpt.to_string())).collect();
    assert_eq!(
        told,
        [
            (NoticeCode::StrategyLog, 0, "a line".to_owned()),
            (NoticeCode::StrategySignal, 80, "BUY stop 99.00: cheap".to_owned())
        ]
    );
}

#[test]
fn parameters_and_signals_reach_their_handlers() {
    let log = Log::default();
    let mut kit = started(vec![logged(0, &log)], Room::default());
    kit.shard.send_signal(StrategyId(0), &Signal::new(Kit::INSTRUMENT, SignalAction::Hold, 1, ""));
    kit.shard.set_params(StrategyId(0), &7u8);
    kit.shard.set_params(StrategyId(9), &7u8);
    assert_eq!(log.take(), ["start", "signal", "params"]);
    let entry = super::registry::find("market_maker").expect("compiled in");
    let instruments = [super::testkit::btcusdt().1];
    let setup = super::Setup {
        strategy: StrategyId(0),
        instruments: &instruments,
        capital: Money::ZERO,
        bar_interval_ms: None,
    };
    let mut kit = started(
        vec![Instance {
            strategy: entry.build(&serde_json::Value::Null, &setup).expect("defaults"),
            ..logged(0, &log)
        }],
        Room::default(),
    );
    kit.shard.set_params(StrategyId(0), &7u8);
    let errors: Vec<_> = kit.take_notices().iter().map(|notice| notice.observed).collect();
    assert_eq!(errors, [9_999]);
    let params = entry.params(&serde_json::json!({"half_spread_ppm": 100})).expect("valid");
    kit.shard.set_params(StrategyId(0), params.as_ref());
    assert!(kit.take_notices().is_empty());
}

#[test]
fn what_does_not_fit_together_is_told_at_once() {
    let log = Log::default();
    let build = |instances: Vec<Instance>| Kit::with(instances, Room::default()).is_ok();
    assert!(build(vec![logged(0, &log), logged(1, &log)]));
    assert!(!build(vec![logged(0, &log), logged(0, &log)]));
    assert!(!build(vec![Instance { instruments: vec![InstrumentId(9)], ..logged(0, &log) }]));
    assert!(!build(vec![Instance { instruments: vec![], ..logged(0, &log) }]));
    assert!(!build(vec![Instance { instruments: vec![Kit::INSTRUMENT; 2], ..logged(0, &log) }]));
    assert!(!build(vec![logged(0, &log), Instance { bar_interval_ms: Some(1_500), ..logged(1, &log) }]));
    assert!(build(vec![logged(0, &log), Instance { bar_interval_ms: Some(3_000), ..logged(1, &log) }]));
    assert!(!build((0..=Shard::INSTANCES_MAX as u16).map(|id| logged(id, &log)).collect()));
}

#[test]
fn each_instance_has_bars_of_its_own_interval() {
    let (fast, slow) = (Log::default(), Log::default());
    let mut kit = Kit::with(
        vec![logged(0, &fast), Instance { bar_interval_ms: Some(4_000), ..logged(1, &slow) }],
        Room::default(),
    )
    .expect("they fit");
    let bar = |second: u64, price: i64| {
        let (price, open_ns) = (Price(price), Timestamp::from_millis(second * 1_000));
        MarketEvent::HistoryBar(HistoryBar {
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Quantity(1),
            open_ns,
        })
    };
    (996..1_000).for_each(|second| kit.event(bar(second, second as i64)));
    kit.event(MarketEvent::HistoryEnd);
    for price in 1..=5 {
        kit.bar(price);
    }
    let bars = |log: &Log| log.take().into_iter().filter(|line| line.starts_with("bar")).collect::<Vec<_>>();
    assert_eq!(bars(&fast), ["bar 1", "bar 2", "bar 3", "bar 4", "bar 5"]);
    assert_eq!(bars(&slow), ["bar 2", "bar 4"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever one instance does, its neighbours are told the same, in the same order.
    #[test]
    fn neighbours_are_told_the_same_whatever_one_does(
        events in prop::collection::vec((0..4u8, 90..110i64), 1..60), misdeeds in prop::collection::vec(0..5u8, 60),
    ) {
        let run = |with_failing: bool| {
            let log = Log::default();
            let mut misdeeds = misdeeds.clone().into_iter().cycle();
            let failing = instance(0, move |context, event| {
                if let Event::Start | Event::Order(_) = event {
                    return Ok(());
                }
                match misdeeds.next() {
                    Some(0) => panic!("as planned"),
                    Some(1) => Err(StrategyError(10_000)),
                    Some(2) => {
                        for _ in 0..70 {
                            let _ = context.submit(order(1));
                        }
                        Ok(())
                    }
                    Some(3) => {
                        context.cancel_all();
                        context.timer(context.now());
                        Ok(())
                    }
                    _ => Ok(()),
                }
            });
            let mut instances = vec![buyer(1, &log)];
            if with_failing {
                instances.insert(0, failing);
            }
            let mut kit = started(instances, Room { cancels: 4, ..Room::default() });
            for &(kind, price) in &events {
                match kind {
                    0 => kit.quote(price, 200),
                    1 => kit.trade(Side::Buy, price, 1),
                    2 => kit.book(price, 200),
                    _ => kit.advance_ms(300),
                }
            }
            let of_neighbour = |intent: &crate::types::OrderIntent| intent.order.strategy == StrategyId(1);
            let orders: Vec<_> = kit.take_orders().into_iter().filter(of_neighbour).collect();
            (log.take(), orders)
        };
        prop_assert_eq!(run(true), run(false));
    }
}

#[test]
fn time_never_goes_back() {
    let last = Arc::new(Mutex::new(Timestamp::UNKNOWN));
    let seen = last.clone();
    let watching = instance(0, move |context, _| {
        let mut last = seen.lock().expect("unpoisoned");
        assert!(context.now() >= *last);
        *last = context.now();
        Ok(())
    });
    let mut kit = started(vec![watching], Room::default());
    for nanos in [5, 9, 7, 3, 11] {
        let quote = Quote { received_ns: Timestamp::from_nanos(nanos), ..Quote::default() };
        kit.message(MarketMessage { instrument: Kit::INSTRUMENT, event: MarketEvent::Quote(quote) });
    }
    assert_eq!(*last.lock().expect("unpoisoned"), Timestamp::from_nanos(11));
    assert_eq!(kit.counters.panics.get(), 0);
}

#[test]
fn a_quarantined_instance_is_never_called_and_its_neighbours_run() {
    let (quarantined, neighbour) = (Log::default(), Log::default());
    let instances = vec![Instance { is_quarantined: true, ..buyer(0, &quarantined) }, logged(1, &neighbour)];
    let mut kit = started(instances, Room::default());
    kit.quote(100, 110);
    kit.advance_ms(5);
    kit.stop();
    assert_eq!((quarantined.take(), neighbour.take().len()), (vec![], 3));
    assert_eq!([0, 1].map(|index| state(&kit, index)), [InstanceState::Error, InstanceState::Stopped]);
    assert_eq!(kit.take_orders().len(), 0);
    let told = kit.take_notices().into_iter().find(|notice| notice.code == NoticeCode::StrategyQuarantined);
    assert_eq!(told.map(|notice| notice.strategy), Some(StrategyId(0)));
}

#[test]
fn risk_hears_from_the_thread_also_when_nothing_happens() {
    let log = Log::default();
    let mut kit = started(vec![logged(0, &log)], Room { marks: 2, ..Room::default() });
    assert_eq!(kit.take_heartbeats(), 1);
    for _ in 0..99 {
        kit.advance_ms(1);
    }
    assert_eq!(kit.take_heartbeats(), 0);
    kit.advance_ms(1);
    assert_eq!(kit.take_heartbeats(), 1);
    // A full lane: the newest is sent when there is room, and no more than is due.
    for _ in 0..5 {
        kit.advance_ms(100);
    }
    assert_eq!(kit.take_heartbeats(), 2);
    kit.advance_ms(1);
    kit.advance_ms(1);
    assert_eq!(kit.take_heartbeats(), 1);
}
