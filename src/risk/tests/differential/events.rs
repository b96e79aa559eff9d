//! Random events.

use super::super::reference::Event;
use super::super::rig::Rig;
use super::Random;
use super::swarm::{Swarm, change};
use crate::risk::{KillScope, Override};
use crate::types::*;

impl Swarm {
    /// The next event, about the newest of these orders.
    pub fn event(&mut self, rig: &mut Rig, orders: &[Order], random: &mut Random) -> Event {
        let orders = &orders[orders.len().saturating_sub(self.recent)..];
        let (venue, received_ns) = (VenueId(0), rig.now);
        if random.one_in(4)
            && let Some(event) = self.next.pop_front()
        {
            return event;
        }
        let kind = random.weighted(&self.events);
        match kind {
            1 if !orders.is_empty() => Event::CancelAsked(random.of(orders).client_order_id),
            2 if !orders.is_empty() => {
                let order = random.of(orders);
                let venue_order_id = u64::from(order.client_order_id.sequence());
                let venue_order_id = if random.one_in(20) { random.below(40) } else { venue_order_id };
                let report = ExecutionReport { venue_order_id, ..self.report(&order, random) };
                Event::Gateway(GatewayMessage::Report(report))
            }
            17 => Event::Gateway(GatewayMessage::Report(self.external(random))),
            3 => Event::Mark(random.below(2) as usize, mark(received_ns, random)),
            4 => {
                use SessionState::{Down, LoggingOn, Ready, Reconciling};
                let state = random.of(&[Down, LoggingOn, Reconciling, Ready]);
                let round = |round| Event::Gateway(GatewayMessage::Round { venue, round, received_ns });
                let ready = Event::Gateway(GatewayMessage::Session { venue, state: Ready, received_ns });
                let ended = round(Round::Ended { is_conclusive: false });
                [round(Round::Begun), ended, ready].into_iter().for_each(|event| self.soon(event, random));
                Event::Gateway(GatewayMessage::Session { venue, state, received_ns })
            }
            5 => {
                let scope = scope(random);
                self.soon(Event::Kill(scope, false), random);
                self.soon(Event::Command(RiskCommand::SetTradingState(TradingState::Active)), random);
                Event::Kill(scope, !random.one_in(3))
            }
            6 => {
                use TradingState::{Active, CancelOnly, Halted, ReduceOnly};
                let state = random.of(&[Active, Active, ReduceOnly, CancelOnly, Halted]);
                self.soon(Event::Command(RiskCommand::SetTradingState(Active)), random);
                Event::Command(RiskCommand::SetTradingState(state))
            }
            7 => Event::Limits(self.changed_limits(random)),
            8 => Event::Override(self.override_of(received_ns, random)),
            9 => {
                let (asset, cents) = (AssetId(random.below(3) as u16), i128::from(random.between(-3, 3)));
                let amount = Money(cents * 10_000_000_000_000_000);
                Event::Gateway(GatewayMessage::Transfer { venue, asset, amount, received_ns })
            }
            10 => Event::Gateway(GatewayMessage::Budget {
                venue,
                used_weight: random.of(&[0, 49, 50, 79, 80, 99, 100]),
                weight_limit: random.of(&[0, 100, 100]),
                used_orders: random.of(&[0, 49, 50, 79, 80, 99, 100]),
                order_limit: random.of(&[0, 100, 100]),
                received_ns,
            }),
            11 => Event::Command(RiskCommand::Reset(random.of(&[StrategyId(0), StrategyId(1), StrategyId::NONE]))),
            12 if random.one_in(2) => {
                let instrument = InstrumentId(random.below(3) as u32);
                let told = |day_volume| Event::Command(RiskCommand::Volume { instrument, day_volume });
                self.soon(told(Quantity(i64::MAX)), random);
                told(Quantity(random.of(&[i64::MIN, -1, 0, 100, 1_000, 10_000, i64::MAX])))
            }
            12 => Event::Command(RiskCommand::CancelAll),
            13 => {
                let is_up = random.one_in(3);
                self.soon(Event::Gateway(GatewayMessage::ReportStream { venue, is_up: true, received_ns }), random);
                Event::Gateway(GatewayMessage::ReportStream { venue, is_up, received_ns })
            }
            14 if random.one_in(3) => Event::Command(RiskCommand::ClockJump { by_ns: random.of(&[-5, 7]) }),
            14 => {
                self.soon(Event::Command(RiskCommand::Clock { venue, offset_ns: 0 }), random);
                let offset_ns = random.of(&[0, 0, 1_000_000, -1_000_000, 1_000_001, -1_000_001]);
                Event::Command(RiskCommand::Clock { venue, offset_ns })
            }
            15 => Event::Mark(random.below(2) as usize, Mark { instrument: InstrumentId::NONE, ..Mark::default() }),
            16 => self.round(rig, random),
            _ => Event::Intent(Box::new(self.intent(rig, orders, random)), Ok(Vec::new())),
        }
    }

    /// For the most part, what stops trading is over soon.
    fn soon(&mut self, event: Event, random: &mut Random) {
        if !random.one_in(4) {
            self.next.push_back(event);
        }
    }

    /// A round of reconciliation, which finds the account as it is, or a little off; its balances come next.
    fn round(&mut self, rig: &Rig, random: &mut Random) -> Event {
        let (venue, received_ns) = (VenueId(0), rig.now);
        let off = random.of(&[0, 0, 1, 2]);
        let ledger = rig.risk.ledger(venue).expect("the account");
        for asset in (0..3).map(AssetId) {
            let total = Money(ledger.balance(asset).0 + off * i128::from(asset.0));
            self.next.push_back(Event::Gateway(GatewayMessage::Balance { venue, asset, total, received_ns }));
        }
        let is_conclusive = !random.one_in(4);
        let round = if random.one_in(6) { Round::Failed } else { Round::Ended { is_conclusive } };
        self.next.push_back(Event::Gateway(GatewayMessage::Round { venue, round, received_ns }));
        Event::Gateway(GatewayMessage::Round { venue, round: Round::Begun, received_ns })
    }

    fn changed_limits(&mut self, random: &mut Random) -> Box<crate::risk::LimitsTable> {
        if random.one_in(4) {
            self.limits = self.config.limits.clone();
        }
        change(&mut self.limits, random);
        let mut limits = self.limits.clone();
        if random.one_in(10) {
            limits.permissions[0].max_position = Quantity(-1);
        }
        Box::new(limits)
    }

    fn override_of(&self, now: Timestamp, random: &mut Random) -> Override {
        Override {
            strategy: StrategyId(random.of(&[0, 0, 0, 1])),
            instrument: InstrumentId(random.of(&[0, 0, 0, 1, 2])),
            reason: if random.one_in(10) { DenialReason::RateLimit } else { random.of(&Override::REASONS) },
            orders_left: random.below(4) as u32,
            expires_ns: now.plus(random.below(50 * self.pause_ns)),
            requester: random.below(2) as u32,
            approver: 1 + random.below(2) as u32,
        }
    }

    /// A new order, one in the place of another, or a part of a larger one; good, or odd.
    fn intent(&self, rig: &mut Rig, orders: &[Order], random: &mut Random) -> OrderIntent {
        let (strategy, instrument) = random.of(&[(0, 0), (0, 0), (0, 0), (1, 0), (1, 1), (0, 2)]);
        let side = random.of(&[Side::Buy, Side::Sell]);
        let mut intent = rig.intent_of(strategy, instrument, side, 2 * random.between(1, 10));
        intent.order.price = Price(10_000 - side.sign() * 5 * random.between(-1, 4));
        if self.is_dull {
            (intent.order.price, intent.order.quantity) = (Price(10_000 - side.sign() * 5), Quantity(10));
        }
        if !orders.is_empty() && random.one_in(6) {
            let old = random.of(orders);
            if random.one_in(8) {
                intent.order.replaces = old.client_order_id;
            } else {
                let quantity = random.between(1, 30);
                intent = rig.intent_of(old.strategy.0.min(1), old.instrument.0, old.side, quantity);
                let price = Price(10_000 - old.side.sign() * 5 * random.between(0, 4));
                let (replaces, parent, parent_quantity) = (old.client_order_id, old.parent, old.parent_quantity);
                intent.order = Order { price, replaces, parent, parent_quantity, ..intent.order };
            }
        } else if random.one_in(6) {
            (intent.order.parent, intent.order.parent_quantity) = (1 + random.below(6) as u32, Quantity(40));
        }
        if random.one_in(self.odd_one_in) {
            make_odd(&mut intent, rig.now, random);
        }
        intent
    }

    /// A report of any of these orders, or of one that is not ours.
    pub fn further(&self, orders: &[Order], random: &mut Random) -> ExecutionReport {
        if orders.is_empty() || random.one_in(5) {
            return self.external(random);
        }
        let order = random.of(orders);
        let venue_order_id =
            if random.one_in(20) { random.below(40) } else { u64::from(order.client_order_id.sequence()) };
        ExecutionReport { venue_order_id, ..self.report(&order, random) }
    }

    /// A report of an order that is not ours, or of another start of ours.
    fn external(&self, random: &mut Random) -> ExecutionReport {
        let order = Order {
            quantity: Quantity(random.between(0, 30)),
            instrument: InstrumentId(random.of(&[0, 0, 1, 2, 3])),
            side: random.of(&[Side::Buy, Side::Sell]),
            ..Order::default()
        };
        let epoch = random.of(&[0, 0, 0, 0, 0, 0, 1, 1, 2]);
        let id = ClientOrderId::new(epoch, StrategyId(0), 9_999_999);
        ExecutionReport {
            client_order_id: id.unwrap_or_default(),
            venue_order_id: random.of(&[0, 1_000_001, 1_000_002, 1_000_003]),
            order_quantity: order.quantity,
            order_price: Price(10_000 - order.side.sign() * 5 * random.between(0, 4)),
            ..self.report(&order, random)
        }
    }

    /// Any report of this order, whatever was said of it before.
    fn report(&self, order: &Order, random: &mut Random) -> ExecutionReport {
        let last_quantity = Quantity(random.between(1, order.quantity.0.clamp(1, 20)));
        let report = ExecutionReport {
            client_order_id: order.client_order_id,
            instrument: order.instrument,
            side: order.side,
            cumulative_quantity: Quantity(random.of(&[0, 0, last_quantity.0, 5, order.quantity.0.clamp(0, 60)])),
            ..ExecutionReport::default()
        };
        let fill = ExecutionReport {
            kind: ReportKind::Fill,
            last_quantity,
            last_price: Price(random.between(9_000, 11_000)),
            execution_id: 1 + random.below(self.executions),
            fee: random.of(&[0, 0, 0, 1, 25, 3_001, -10]),
            fee_asset: AssetId(random.below(4) as u16),
            ..report
        };
        let kind = match random.weighted(&self.reports) {
            0 | 1 => return fill,
            2 => ReportKind::Accepted,
            3 => ReportKind::Canceled,
            4 => ReportKind::Expired,
            5 => ReportKind::Rejected,
            6 => ReportKind::Unknown,
            7 => ReportKind::CancelRejected,
            8 => ReportKind::NotSent,
            9 => {
                use OrderStatus::*;
                let open = [Created, Sent, Accepted, PartiallyFilled, PendingCancel, PendingReplace, Unknown];
                let ends = [Filled, Canceled, Rejected, Expired, Denied];
                let status = if random.one_in(2) { random.of(&open) } else { random.of(&ends) };
                return ExecutionReport { kind: ReportKind::Status, status, ..report };
            }
            _ if random.one_in(2) => ReportKind::Sent,
            _ => match random.below(3) {
                0 => return ExecutionReport { execution_id: 0, ..fill },
                1 => return ExecutionReport { last_price: Price::ZERO, ..fill },
                _ => return ExecutionReport { last_quantity: Quantity(-1), ..fill },
            },
        };
        ExecutionReport { kind, ..report }
    }
}

fn make_odd(intent: &mut OrderIntent, now: Timestamp, random: &mut Random) {
    let order = &mut intent.order;
    match random.below(33) {
        0 => order.quantity = Quantity(random.of(&[-1, 0, 1, 49, 50, 51, 500, 501, i64::MAX, i64::MIN])),
        1 => order.price = Price(random.of(&[0, -1, i64::MAX, 9_499, 9_500, 9_501, 9_899, 9_900, 10_100, 10_101])),
        2 => order.instrument = InstrumentId(random.of(&[1, 2, 3, u32::MAX])),
        3 => order.strategy = StrategyId(random.of(&[0, 1, 2])),
        4 => intent.stamp.data_ns = Timestamp::from_nanos(now.nanos() - random.of(&[999_999, 1_000_000, 1_000_001])),
        5 => intent.stamp.is_synced = false,
        6 => intent.stamp.bid = Price(random.of(&[0, -5, 10_000, 10_001, 10_002])),
        7 => intent.stamp.near_depth = Quantity(random.of(&[0, 1, 10, 20, 30, 40])),
        8 => order.is_post_only = true,
        9 => {
            use TimeInForce::{Day, FillOrKill, ImmediateOrCancel};
            order.time_in_force = random.of(&[Day, Day, ImmediateOrCancel, FillOrKill]);
        }
        10 => order.is_reduce_only = true,
        11 => order.client_order_id = ClientOrderId(order.client_order_id.0 - random.below(3)),
        12..=15 => {
            (order.order_type, order.price) = (OrderType::Market, Price::ZERO);
            order.is_post_only = random.one_in(8);
            if random.one_in(8) {
                order.time_in_force = TimeInForce::FillOrKill;
            }
        }
        16 => order.quantity = Quantity(random.of(&[44, 45, 46])),
        17 => order.quantity = Quantity(random.of(&[1, 3, 11, 12])),
        18..=21 => {
            let mid = random.between(9_940, 10_060);
            order.price = Price(mid);
            (intent.stamp.bid, intent.stamp.ask) = (Price(mid - 1), Price(mid + 1));
        }
        22..=24 => {
            order.order_type = random.of(&[OrderType::Stop, OrderType::StopLimit]);
            order.stop_price = Price(random.of(&[9_900, 9_990, 10_010, 10_100, 9_499, 9_500, 10_501, 0, -1]));
            if order.order_type == OrderType::Stop && !random.one_in(8) {
                order.price = Price::ZERO;
            }
        }
        25 => order.quantity = Quantity(10),
        26 => order.price = Price(order.price.0 + random.between(-20, 20)),
        27 => (order.parent, order.parent_quantity) = (random.below(6) as u32, Quantity(random.of(&[0, 10, 41]))),
        28 => order.stop_price = Price(1),
        29 => order.quantity = Quantity(random.between(30, 120)),
        31 => intent.decided_ns = Timestamp::from_nanos(now.nanos() - random.of(&[999_999, 1_000_000, 1_000_001])),
        30 => (order.price, order.quantity) = (Price(i64::MAX), Quantity(i64::MAX)),
        _ => order.quantity = Quantity(2 * random.between(10, 40)),
    }
}

fn scope(random: &mut Random) -> KillScope {
    random.of(&[
        KillScope::Strategy(StrategyId(0)),
        KillScope::Strategy(StrategyId(1)),
        KillScope::Instrument(InstrumentId(0)),
        KillScope::Instrument(InstrumentId(2)),
        KillScope::Venue(VenueId(0)),
        KillScope::Account(VenueId(0)),
        KillScope::Engine,
    ])
}

fn mark(now: Timestamp, random: &mut Random) -> Mark {
    let mid = random.between(9_500, 10_500);
    let quote = Quote {
        bid: Price(mid - random.between(0, 3)),
        bid_quantity: Quantity(random.of(&[0, 5, 5, 5, 5])),
        ask: Price(mid + random.between(0, 3)),
        ask_quantity: Quantity(random.of(&[0, 5, 5, 5, 5])),
        received_ns: if random.one_in(4) { Timestamp::UNKNOWN } else { now },
        ..Quote::default()
    };
    Mark { instrument: InstrumentId(random.of(&[0, 0, 1, 2])), quote }
}
