//! Brackets through the real risk stage, to a venue whose reports arrive in any order, some of them twice.

use super::bracket_tests::{entry, on_trade};
use super::testkit::{Kit, Room};
use super::{Bracket, InstanceState};
use crate::risk::test_rig::{Rig, config};
use crate::risk::{InstrumentLimits, wide};
use crate::types::{
    ClientOrderId, ExecutionReport, InstrumentId, Order, OrderType, Price, Quantity, ReportKind, Side, StrategyId,
    TimeInForce,
};
use proptest::prelude::*;
use std::collections::VecDeque;

/// What risk passed on and the venue has not looked at.
enum Incoming {
    Order(Order, bool),
    Cancel(ClientOrderId),
}

struct AtVenue {
    order: Order,
    filled: i64,
    is_open: bool,
}

struct World {
    kit: Kit,
    rig: Rig,
    incoming: VecDeque<Incoming>,
    orders: Vec<AtVenue>,
    /// What the venue said and nobody heard yet.
    reports: Vec<ExecutionReport>,
    execution_id: u64,
    entry_side: Side,
}

impl World {
    fn new(side: Side, bracket: Bracket) -> Self {
        let mut config = config();
        config.instruments = super::testkit::btcusdt().0;
        config.limits.permissions.iter_mut().for_each(|limits| *limits = wide::LIMITS);
        let instrument = InstrumentLimits { max_slippage_bps: 100, ..wide::INSTRUMENT };
        config.limits.instruments.iter_mut().for_each(|limits| *limits = instrument);
        let strategy = on_trade(move |context, _| {
            context.bracket(entry(side), bracket)?;
            Ok(())
        });
        let mut kit = Kit::with(vec![strategy], Room::default()).expect("it fits").without_risk();
        kit.warm(&[]);
        kit.book(9_999, 10_001);
        kit.trade(Side::Buy, 1, 1);
        let mut world = Self {
            kit,
            rig: Rig::new(&config),
            incoming: VecDeque::new(),
            orders: Vec::new(),
            reports: Vec::new(),
            execution_id: 0,
            entry_side: side,
        };
        world.pump();
        world.arrive(false);
        world.deliver_all();
        world
    }

    /// Carries everything between shard and risk, and out of risk.
    fn pump(&mut self) {
        let Self { kit, rig, incoming, .. } = self;
        loop {
            let mut moved = 0;
            for intent in kit.take_orders() {
                rig.now = rig.now.max(intent.decided_ns);
                rig.orders[0].try_send(intent).expect("room");
                moved += 1;
            }
            for intent in kit.take_cancels() {
                rig.cancels[0].try_send(intent).expect("room");
                moved += 1;
            }
            moved += rig.poll();
            rig.gateway_orders.drain(u64::MAX, |approved| {
                incoming.push_back(Incoming::Order(*approved.order(), approved.only_if_unfilled()));
            });
            rig.gateway_cancels.drain(u64::MAX, |cancel| incoming.push_back(Incoming::Cancel(cancel.client_order_id)));
            let mut updates = Vec::new();
            rig.updates[0].drain(u64::MAX, |update| updates.push(*update));
            moved += updates.len();
            updates.into_iter().for_each(|update| kit.update(update));
            if moved == 0 {
                return;
            }
        }
    }

    fn advance_ms(&mut self, millis: u64) {
        self.kit.advance_ms(millis);
        self.rig.now = self.rig.now.plus(millis * 1_000_000);
        self.pump();
    }

    fn say(&mut self, id: ClientOrderId, kind: ReportKind, code: i32) {
        let filled = self.orders.iter().find(|order| order.order.client_order_id == id).map_or(0, |order| order.filled);
        self.reports.push(ExecutionReport {
            client_order_id: id,
            kind,
            code,
            venue_order_id: 7,
            cumulative_quantity: Quantity(filled),
            instrument: InstrumentId(0),
            ..ExecutionReport::default()
        });
    }

    /// The venue looks at the next message.
    fn arrive(&mut self, is_refused: bool) {
        match self.incoming.pop_front() {
            Some(Incoming::Order(order, only_if_unfilled)) => {
                let id = order.client_order_id;
                if order.replaces != ClientOrderId::NONE {
                    let old = self.orders.iter_mut().find(|old| old.order.client_order_id == order.replaces);
                    let Some(old) = old.filter(|old| old.is_open && !(only_if_unfilled && old.filled > 0)) else {
                        self.say(order.replaces, ReportKind::CancelRejected, -2022);
                        return self.say(id, ReportKind::Rejected, -2022);
                    };
                    old.is_open = false;
                    self.say(order.replaces, ReportKind::Canceled, 0);
                }
                if is_refused {
                    return self.say(id, ReportKind::Rejected, -2010);
                }
                self.orders.push(AtVenue { order, filled: 0, is_open: true });
                self.say(id, ReportKind::Accepted, 0);
            }
            Some(Incoming::Cancel(id)) => {
                let order = self.orders.iter_mut().find(|order| order.order.client_order_id == id && order.is_open);
                if let Some(order) = order {
                    order.is_open = false;
                    self.say(id, ReportKind::Canceled, 0);
                } else {
                    self.say(id, ReportKind::CancelRejected, -2011);
                }
            }
            None => {}
        }
    }

    fn open(&self) -> Vec<usize> {
        (0..self.orders.len()).filter(|&index| self.orders[index].is_open).collect()
    }

    fn fill(&mut self, index: usize, quantity: i64) {
        let at = &mut self.orders[index];
        let quantity = quantity.min(at.order.quantity.0 - at.filled);
        at.filled += quantity;
        at.is_open = at.filled < at.order.quantity.0;
        self.execution_id += 1;
        let report = crate::risk::test_rig::fill(at.order.client_order_id, self.execution_id, quantity, at.filled);
        self.reports.push(report);
    }

    /// What was to fill at once does so as far as `quantity`, and is over.
    fn cross(&mut self, index: usize, quantity: i64) {
        let order = self.orders[index].order;
        if order.order_type == OrderType::Market || order.time_in_force == TimeInForce::ImmediateOrCancel {
            if quantity > 0 {
                self.fill(index, quantity);
            }
            self.expire(index);
        }
    }

    fn expire(&mut self, index: usize) {
        if std::mem::replace(&mut self.orders[index].is_open, false) {
            self.say(self.orders[index].order.client_order_id, ReportKind::Expired, 0);
        }
    }

    fn deliver(&mut self, which: usize) {
        if !self.reports.is_empty() {
            let report = self.reports.remove(which % self.reports.len());
            self.rig.report(ExecutionReport { received_ns: self.rig.now, ..report });
            self.pump();
        }
    }

    fn deliver_all(&mut self) {
        while !self.reports.is_empty() {
            self.deliver(0);
        }
    }

    /// What entry and exits have filled at the venue, and what open exits may still.
    fn truth(&self) -> (i64, i64, i64) {
        let is_entry = |at: &&AtVenue| at.order.side == self.entry_side;
        let entered = self.orders.iter().filter(is_entry).map(|at| at.filled).sum();
        let exits = || self.orders.iter().filter(|at| !is_entry(at));
        let open = exits().filter(|at| at.is_open).map(|at| at.order.quantity.0 - at.filled).sum();
        (entered, exits().map(|at| at.filled).sum(), open)
    }

    fn diagnosis(&self) -> String {
        let orders = self.orders.iter().map(|at| {
            let order = &at.order;
            format!(
                "{:?} {:?} {} {}/{} open {}",
                order.side,
                order.order_type,
                order.client_order_id.sequence(),
                at.filled,
                order.quantity.0,
                at.is_open
            )
        });
        format!("{:#?} {:?}", orders.collect::<Vec<_>>(), self.rig.denials())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// At the venue, where it counts: exits never fill more than the entry has, nor can what is open there; and when all
    /// was told, the position is closed or one stop is there for the whole of it.
    #[test]
    fn at_the_venue_exits_never_exceed_the_entry(
        steps in prop::collection::vec((0..14u8, 0..16usize, 1..6i64), 1..120), is_long in any::<bool>(),
        falls_back in any::<bool>(),
    ) {
        let (side, sign) = if is_long { (Side::Buy, 1) } else { (Side::Sell, -1) };
        let bracket = Bracket::new().stop_loss(Price(10_000 - sign * 500)).take_profit(Price(10_000 + sign * 500));
        let mut world = World::new(side, if falls_back { bracket.or_market() } else { bracket });
        for (kind, which, quantity) in steps {
            let open = world.open();
            match (kind, open.get(which % open.len().max(1)).copied()) {
                (0, _) => world.kit.quote(10_000 + sign * 500, 10_001 + sign * 500),
                (1, _) => world.kit.quote(9_999, 10_001),
                (2, _) => world.kit.quote(9_999 - sign * 502, 10_001 - sign * 502),
                (3, _) => world.advance_ms(700),
                (4..=6, Some(index)) => {
                    if world.orders[index].order.time_in_force == TimeInForce::ImmediateOrCancel {
                        world.cross(index, quantity - 1);
                    } else {
                        world.fill(index, quantity);
                    }
                }
                (7 | 8, _) => world.arrive(which == 0),
                (9, Some(_)) if !world.reports.is_empty() => {
                    let again = world.reports[which % world.reports.len()];
                    world.reports.push(again);
                }
                _ => world.deliver(which),
            }
            world.pump();
            let (entered, exited, open) = world.truth();
            prop_assert!(exited + open <= entered, "{entered} {exited} {open} {}", world.diagnosis());
        }
        // Everything arrives; the entry ends; the market is between the two prices.
        world.kit.quote(9_999, 10_001);
        for round in 0..40 {
            world.pump();
            while !world.incoming.is_empty() || !world.reports.is_empty() {
                world.arrive(false);
                world.deliver_all();
            }
            for index in world.open() {
                let at = &world.orders[index];
                if at.order.order_type == OrderType::Stop && at.filled > 0 {
                    // It was triggered, and is a market order since.
                    world.fill(index, i64::MAX);
                } else if at.order.side == side && round == 0 {
                    world.expire(index);
                } else {
                    world.cross(index, i64::MAX);
                }
            }
            world.deliver_all();
            world.advance_ms(6_000);
        }
        let (entered, exited, open) = world.truth();
        let holding = world.rig.risk.holding(StrategyId(0), InstrumentId(0)).expect("permitted");
        prop_assert_eq!(holding.exposure.booked(), i128::from((entered - exited) * sign));
        prop_assert_eq!(open, entered - exited, "{}", world.diagnosis());
        prop_assert_eq!(world.kit.counters.panics.get(), 0);
        prop_assert_eq!(world.kit.summary()[0].state, InstanceState::Running);
    }
}
