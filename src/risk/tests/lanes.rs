//! Full lanes and full tables.

use super::rig::{Rig, config, fill};
use crate::risk::KillScope;
use crate::types::*;

#[test]
fn a_gateway_without_room_denies() {
    let mut rig = Rig::with_lanes_of(&config(), 4);
    let ids: Vec<_> = (0..5).map(|_| rig.place(Side::Buy, 5)).collect();
    assert_eq!(rig.denials(), [(DenialReason::GatewayBusy, 1)]);
    let last = rig.order(ids[4]);
    assert_eq!((last.status, last.reserve), (OrderStatus::Denied, Quantity(0)));
    assert_eq!(rig.exposure(), (0, 20));
    assert_eq!(rig.updates(0), [(ids[4], OrderStatus::Denied)]);
    rig.gateway_orders.drain(u64::MAX, |_| {});
    rig.place(Side::Buy, 5);
    assert_eq!(rig.gateway_orders.drain(u64::MAX, |_| {}), 1);
}

#[test]
fn cancels_wait_for_room() {
    let mut rig = Rig::with_lanes_of(&config(), 4);
    let mut ids = Vec::new();
    for _ in 0..10 {
        ids.push(rig.place(Side::Buy, 5));
        rig.gateway_orders.drain(u64::MAX, |_| {});
    }
    rig.kill.kill(KillScope::Engine);
    let mut canceled = Vec::new();
    for round in 0..4 {
        rig.poll();
        if round == 0 {
            rig.tell(ids[8], ReportKind::Canceled);
        }
        rig.gateway_cancels.drain(u64::MAX, |cancel| canceled.push(cancel.client_order_id));
    }
    ids.remove(8);
    assert_eq!(canceled.remove(0), ClientOrderId::NONE, "the whole instrument first");
    canceled.sort_unstable();
    assert_eq!(canceled, ids, "each once; what ended meanwhile not at all");
}

#[test]
fn a_shard_without_room_gets_the_newest_state_and_every_denial() {
    let mut rig = Rig::with_lanes_of(&config(), 4);
    let mut ids = Vec::new();
    for _ in 0..6 {
        ids.push(rig.place(Side::Buy, 5));
        rig.gateway_orders.drain(u64::MAX, |_| {});
    }
    for &id in &ids {
        rig.tell(id, ReportKind::Accepted);
    }
    for (execution, &id) in (1..).zip(&ids) {
        rig.fill(id, execution, 5);
    }
    // Denied orders: as many as may wait, and no more is taken from the lane.
    let mut denied = Vec::new();
    for _ in 0..100 {
        let intent = rig.intent(Side::Buy, 5_000);
        denied.push(intent.order.client_order_id);
        rig.send(&intent).expect("room");
    }
    rig.poll();
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::BadQuantity, 64)]);
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen.extend(rig.updates(0));
        rig.poll();
    }
    assert_eq!(rig.denials(), [(DenialReason::BadQuantity, 100)]);
    let of = |id| seen.iter().filter(|(seen, _)| *seen == id).map(|&(_, status)| status).collect::<Vec<_>>();
    for (position, &id) in ids.iter().enumerate() {
        let expected = [OrderStatus::Accepted, OrderStatus::Filled];
        assert_eq!(of(id), if position < 4 { &expected[..] } else { &expected[1..] });
    }
    assert!(denied.iter().all(|&id| of(id) == [OrderStatus::Denied]));
}

#[test]
fn a_table_of_open_orders_is_full_and_old_ones_make_room() {
    let mut config = config();
    config.order_capacity = 4;
    let mut rig = Rig::new(&config);
    let ids: Vec<_> = (0..4).map(|_| rig.place(Side::Buy, 5)).collect();
    let intent = rig.intent(Side::Buy, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::OrderTableFull, 1)]);
    rig.tell(ids[2], ReportKind::Canceled);
    rig.tell(ids[1], ReportKind::Canceled);
    rig.place(Side::Buy, 5);
    assert!(rig.risk.orders().get(ids[2]).is_none(), "the oldest terminal one");
    rig.fill(ids[1], 1, 5);
    assert_eq!(rig.exposure(), (5, 20));
    rig.place(Side::Buy, 5);
    let waiting = rig.intent(Side::Buy, 5);
    rig.send(&waiting).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::OrderTableFull, 2)]);
}

#[test]
fn positions_are_reported_at_intervals_and_the_newest_wins() {
    let mut config = config();
    config.position_interval_ns = 1_000;
    let mut rig = Rig::with_lanes_of(&config, 2);
    let id = rig.place(Side::Buy, 10);
    rig.fill(id, 1, 4);
    rig.positions.drain(u64::MAX, |_| {});
    rig.now = rig.now.plus(1_000);
    rig.poll();
    rig.report(fill(id, 2, 6, 10));
    assert_eq!(rig.positions.next().map(|report| report.position.quantity), Some(Quantity(4)));
    assert!(rig.positions.next().is_none(), "not before the interval is over");
    rig.now = rig.now.plus(1_000);
    rig.poll();
    let report = rig.positions.next().expect("due");
    assert_eq!((report.position.quantity, report.open_orders, report.unrealized), (Quantity(10), 0, Money::ZERO));
    let quote = Quote {
        bid: Price(10_100),
        bid_quantity: Quantity(1),
        ask: Price(10_200),
        ask_quantity: Quantity(1),
        ..Quote::default()
    };
    for _ in 0..5 {
        rig.marks[0].try_send(Mark { instrument: InstrumentId(0), quote }).expect("room");
    }
    rig.now = rig.now.plus(1_000);
    rig.poll();
    // A mark moves what is shown of everybody in the instrument, once.
    let mut reports = Vec::new();
    rig.positions.drain(u64::MAX, |report| reports.push(*report));
    let own: Vec<_> = reports.iter().filter(|report| report.strategy == StrategyId(0)).collect();
    assert_eq!(own.len(), 1);
    assert_eq!((own[0].bid, own[0].ask), (quote.bid, quote.ask));
    assert_eq!(own[0].unrealized.to_decimal_string(), "0.0001");
    assert_eq!(rig.risk.unrealized(StrategyId(0), InstrumentId(0)), Some(own[0].unrealized));
    rig.now = rig.now.plus(1_000);
    rig.poll();
    assert!(rig.positions.next().is_none(), "nothing changed");
}
