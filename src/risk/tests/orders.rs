//! Orders and reports: what becomes of an order, its exposure and its fills.

use super::rig::{Rig, config, fill};
use crate::types::*;

#[test]
fn an_order_counts_as_open_until_its_fills_are_booked() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    let open_orders = |rig: &Rig| rig.risk.holdings()[0].open_orders;
    assert_eq!(open_orders(&rig), 1);
    // A query found it filled, as after a lost connection; its trades are still asked for.
    rig.report(ExecutionReport {
        client_order_id: id,
        kind: ReportKind::Status,
        status: OrderStatus::Filled,
        cumulative_quantity: Quantity(10),
        ..ExecutionReport::default()
    });
    assert_eq!((rig.order(id).status, rig.exposure(), open_orders(&rig)), (OrderStatus::Filled, (0, 10), 1));
    rig.report(fill(id, 1, 10, 10));
    assert_eq!((rig.order(id).status, rig.exposure(), open_orders(&rig)), (OrderStatus::Filled, (10, 10), 0));
}

#[test]
fn a_fill_is_booked_once_and_a_late_one_all_the_same() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.fill(id, 1, 4);
    rig.fill(id, 1, 4);
    assert_eq!((rig.order(id).filled, rig.exposure()), (Quantity(4), (4, 10)));
    rig.tell(id, ReportKind::Canceled);
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Canceled, (4, 4)));
    rig.fill(id, 2, 5);
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Canceled, (9, 9)));
    rig.fill(id, 3, 1);
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Filled, (10, 10)));
    let codes = rig.notices();
    let count = |code| codes.iter().filter(|&&seen| seen == code).count();
    assert_eq!((count(NoticeCode::LateFill), count(NoticeCode::DuplicateFill)), (2, 1));
    assert_eq!(
        (rig.counters.fills.get(), rig.counters.late_fills.get(), rig.counters.duplicate_fills.get()),
        (3, 2, 1)
    );
    let ledger = rig.risk.ledger(VenueId(0)).expect("there");
    assert_eq!(ledger.change(AssetId(0)).to_decimal_string(), "0.0001");
    assert_eq!(ledger.change(AssetId(1)).to_decimal_string(), "-0.01");
}

#[test]
fn an_unknown_order_keeps_its_reserve_until_the_venue_tells() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.tell(id, ReportKind::Unknown);
    rig.now = rig.now.plus(3_600_000_000_000);
    rig.settle();
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Unknown, (0, 10)));
    rig.tell(id, ReportKind::Sent);
    rig.tell(id, ReportKind::CancelRejected);
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Unknown, (0, 10)));
    let found = |status, cumulative| ExecutionReport {
        client_order_id: id,
        kind: ReportKind::Status,
        status,
        cumulative_quantity: Quantity(cumulative),
        ..ExecutionReport::default()
    };
    rig.report(found(OrderStatus::Accepted, 0));
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Accepted, (0, 10)));
    rig.tell(id, ReportKind::Unknown);
    rig.notices();
    rig.report(found(OrderStatus::Canceled, 6));
    assert_eq!((rig.order(id).status, rig.exposure()), (OrderStatus::Canceled, (0, 6)), "six fills are on their way");
    assert_eq!(rig.notices(), [NoticeCode::MissingFill]);
    rig.fill(id, 1, 6);
    assert_eq!(rig.exposure(), (6, 6));
}

#[test]
fn an_order_that_never_left_is_denied_unless_the_venue_knows_it() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.tell(id, ReportKind::NotSent);
    let record = rig.order(id);
    assert_eq!((record.status, record.reason), (OrderStatus::Denied, DenialReason::GatewayBusy));
    assert_eq!(rig.exposure(), (0, 0));
    rig.tell(id, ReportKind::Accepted);
    let record = rig.order(id);
    assert_eq!((record.status, record.reason, rig.exposure()), (OrderStatus::Accepted, DenialReason::None, (0, 10)));
    rig.tell(id, ReportKind::NotSent);
    assert_eq!(rig.order(id).status, OrderStatus::Accepted);
}

#[test]
fn two_reduce_only_sells_race_and_the_second_loses() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.fill(id, 1, 10);
    rig.commands.try_send(RiskCommand::SetTradingState(TradingState::ReduceOnly)).expect("room");
    rig.poll();
    let first = rig.intent(Side::Sell, 6);
    let second = rig.intent(Side::Sell, 6);
    rig.send(&first).expect("room");
    rig.send(&second).expect("room");
    rig.poll();
    assert_eq!(rig.order(first.order.client_order_id).status, OrderStatus::Created);
    assert!(rig.risk.orders().get(second.order.client_order_id).is_none());
    assert_eq!(rig.denials(), [(DenialReason::ReduceOnlyIncrease, 1)]);
    rig.tell(first.order.client_order_id, ReportKind::Unknown);
    let third = rig.intent(Side::Sell, 5);
    rig.send(&third).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::ReduceOnlyIncrease, 2)], "its fate is not proven");
    rig.tell(first.order.client_order_id, ReportKind::Rejected);
    rig.place(Side::Sell, 10);
}

#[test]
fn a_late_fill_over_the_limit_leaves_reduce_only() {
    let mut rig = Rig::new(&config());
    let ids: Vec<_> = (0..3).map(|_| rig.place(Side::Buy, 33)).collect();
    for &id in &ids {
        rig.tell(id, ReportKind::Canceled);
    }
    let more = rig.place(Side::Buy, 40);
    rig.fill(more, 1, 40);
    for (execution, &id) in (2..).zip(&ids) {
        rig.fill(id, execution, 33);
    }
    assert!(rig.notices().contains(&NoticeCode::PositionOverLimit));
    assert_eq!(rig.risk.holdings()[0].trading_state, TradingState::ReduceOnly);
    assert_eq!(rig.risk.trading_state(), TradingState::Active);
    let buy = rig.intent(Side::Buy, 2);
    rig.send(&buy).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::ReduceOnlyIncrease, 1)]);
    rig.place(Side::Sell, 39);
    rig.commands.try_send(RiskCommand::SetTradingState(TradingState::Active)).expect("room");
    let buy = rig.intent(Side::Buy, 2);
    rig.send(&buy).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::ReduceOnlyIncrease, 1), (DenialReason::MaxPosition, 1)]);
}

#[test]
fn a_used_id_is_denied_and_the_working_order_is_left_alone() {
    let mut rig = Rig::new(&config());
    let intent = rig.intent(Side::Buy, 10);
    rig.send(&intent).expect("room");
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::DuplicateClientOrderId, 1)]);
    assert_eq!(rig.updates(0), []);
    assert_eq!((rig.order(intent.order.client_order_id).status, rig.exposure()), (OrderStatus::Created, (0, 10)));
}

#[test]
fn fills_that_are_none() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.fill(id, 0, 5);
    rig.report(ExecutionReport { last_price: Price(-1), ..fill(id, 1, 5, 5) });
    rig.report(ExecutionReport { last_quantity: Quantity(0), ..fill(id, 2, 5, 5) });
    assert_eq!((rig.order(id).filled, rig.exposure()), (Quantity(0), (0, 10)));
    let codes = rig.notices();
    assert_eq!(codes.iter().filter(|&&code| code == NoticeCode::Misconfigured).count(), 3);
}

#[test]
fn a_fill_that_overflows_halts() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.fill(id, 1, i64::MAX);
    assert_eq!(rig.order(id).status, OrderStatus::Filled);
    let before = rig.risk.holdings()[0].position;
    let id = rig.place(Side::Sell, 5);
    rig.report(ExecutionReport { last_price: Price(i64::MAX), ..fill(id, 2, i64::MAX, 0) });
    assert_eq!(rig.risk.trading_state(), TradingState::Halted);
    assert_eq!(rig.risk.holdings()[0].position, before);
}
