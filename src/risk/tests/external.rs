//! Orders and fills of the account that are not ours.

use super::rig::{Rig, config};
use crate::types::*;

/// What the venue says of an order of 10 at 100.00 that nobody here sent.
fn told(kind: ReportKind, venue_order_id: u64, cumulative: i64) -> ExecutionReport {
    ExecutionReport {
        kind,
        status: OrderStatus::Accepted,
        venue_order_id,
        order_quantity: Quantity(10),
        order_price: Price(10_000),
        cumulative_quantity: Quantity(cumulative),
        instrument: InstrumentId(0),
        side: Side::Buy,
        ..ExecutionReport::default()
    }
}

fn filled(venue_order_id: u64, execution_id: u64, quantity: i64, cumulative: i64) -> ExecutionReport {
    ExecutionReport {
        execution_id,
        last_quantity: Quantity(quantity),
        last_price: Price(10_000),
        ..told(ReportKind::Fill, venue_order_id, cumulative)
    }
}

/// The instrument's exposure: of all strategies and what is not ours.
fn whole(rig: &Rig) -> (i128, i128) {
    let exposure = rig.risk.markets()[0].exposure;
    (exposure.worst_short(), exposure.worst_long())
}

fn nobodys(rig: &Rig) -> i64 {
    let is_nobodys = |holding: &&crate::risk::Holding| {
        holding.permission.strategy == StrategyId::NONE && holding.permission.instrument == InstrumentId(0)
    };
    rig.risk.holdings().iter().find(is_nobodys).expect("one for each instrument").position.quantity().0
}

fn round(rig: &mut Rig) {
    for round in [Round::Begun, Round::Ended { is_conclusive: false }] {
        rig.now = rig.now.plus(1);
        let message = GatewayMessage::Round { venue: VenueId(0), round, received_ns: rig.now };
        rig.reports.try_send(message).expect("room");
        rig.poll();
    }
}

/// What a simulated venue showed: reports overtook each other, and its fill stayed missing for good.
#[test]
fn an_order_that_is_known_after_its_fill_was_booked_is_settled_by_a_round() {
    let mut rig = Rig::new(&config());
    rig.report(filled(70, 1, 10, 10));
    assert_eq!((whole(&rig), nobodys(&rig)), ((10, 10), 10));
    rig.report(told(ReportKind::Accepted, 70, 0));
    rig.report(ExecutionReport { status: OrderStatus::Filled, ..told(ReportKind::Status, 70, 10) });
    assert_eq!(nobodys(&rig), 10);
    round(&mut rig);
    assert_eq!((whole(&rig), nobodys(&rig)), ((10, 10), 10), "nothing of it is missing");
}

#[test]
fn what_a_repeated_fill_shows_to_be_missing_is_settled_by_a_round_too() {
    let mut rig = Rig::new(&config());
    rig.report(told(ReportKind::Accepted, 70, 0));
    rig.report(filled(70, 1, 4, 4));
    rig.report(told(ReportKind::Canceled, 70, 4));
    assert_eq!(whole(&rig), (4, 4));
    rig.report(filled(70, 1, 4, 8));
    assert_eq!(whole(&rig), (4, 8), "4 are missing");
    round(&mut rig);
    assert_eq!(whole(&rig), (4, 4));
}

#[test]
fn an_order_is_adopted_with_its_reserve_booked_once_and_let_go_at_its_end() {
    let mut rig = Rig::new(&config());
    rig.report(told(ReportKind::Accepted, 70, 0));
    assert_eq!((whole(&rig), rig.exposure()), ((0, 10), (0, 0)));
    assert!(rig.notices().contains(&NoticeCode::ExternalAdopted));
    rig.report(told(ReportKind::Accepted, 70, 0));
    assert_eq!(whole(&rig), (0, 10), "once");
    rig.report(filled(70, 1, 4, 4));
    rig.report(filled(70, 1, 4, 4));
    assert_eq!((whole(&rig), nobodys(&rig)), ((4, 10), 4));
    rig.report(told(ReportKind::Canceled, 70, 4));
    assert_eq!((whole(&rig), nobodys(&rig)), ((4, 4), 4));
    assert_eq!((rig.updates(0), rig.updates(1)), (vec![], vec![]), "no shard hears of it");
    let ledger = rig.risk.ledger(VenueId(0)).expect("there");
    assert_eq!(ledger.change(AssetId(0)), Money::from_scaled(4, 5).expect("fits"));
}

#[test]
fn what_it_filled_before_it_was_known_is_not_reserved_and_not_booked_unless_told() {
    let mut rig = Rig::new(&config());
    rig.report(told(ReportKind::Status, 70, 6));
    assert_eq!(whole(&rig), (0, 4));
    // The same fills, told by their executions: booked, and no less is open.
    rig.report(ExecutionReport { order_quantity: Quantity(0), ..filled(70, 1, 6, 0) });
    assert_eq!((whole(&rig), nobodys(&rig)), ((6, 10), 6));
    rig.report(filled(70, 2, 4, 10));
    assert_eq!((whole(&rig), nobodys(&rig)), ((10, 10), 10));
    // One that is first heard of by a fill.
    rig.report(filled(71, 3, 2, 5));
    assert_eq!((whole(&rig), nobodys(&rig)), ((12, 17), 12));
}

#[test]
fn fills_known_by_the_venues_number_alone_go_to_whoever_has_it() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    rig.report(ExecutionReport { client_order_id: id, ..told(ReportKind::Accepted, 80, 0) });
    rig.report(ExecutionReport { order_quantity: Quantity(0), ..filled(80, 1, 3, 0) });
    assert_eq!((rig.order(id).filled, nobodys(&rig)), (Quantity(3), 0));
    rig.report(ExecutionReport { order_quantity: Quantity(0), ..filled(81, 2, 5, 0) });
    rig.report(ExecutionReport { order_quantity: Quantity(0), ..filled(81, 2, 5, 0) });
    assert_eq!((rig.order(id).filled, nobodys(&rig)), (Quantity(3), 5));
    assert_eq!(whole(&rig), (8, 15));
    rig.report(ExecutionReport { last_price: Price(0), ..filled(82, 3, 5, 10) });
    rig.report(filled(82, 0, 5, 10));
    assert_eq!(nobodys(&rig), 5, "without a price or an execution id it is no fill");
}

#[test]
fn fills_that_were_booked_before_their_order_was_adopted_are_not_missing() {
    let mut rig = Rig::new(&config());
    rig.report(ExecutionReport { order_quantity: Quantity(0), ..filled(70, 1, 4, 0) });
    assert_eq!((whole(&rig), nobodys(&rig)), ((4, 4), 4));
    // Late reports: of its beginning, and of the fill that is booked.
    rig.report(told(ReportKind::Accepted, 70, 0));
    rig.report(filled(70, 1, 4, 4));
    rig.report(filled(70, 1, 4, 4));
    assert_eq!((whole(&rig), nobodys(&rig)), ((4, 10), 4));
    rig.report(told(ReportKind::Canceled, 70, 4));
    assert_eq!((whole(&rig), nobodys(&rig)), ((4, 4), 4));
    // The same where the fill is the first that is heard of the order.
    rig.report(ExecutionReport { order_quantity: Quantity(0), ..filled(71, 2, 4, 0) });
    rig.report(filled(71, 2, 4, 4));
    assert_eq!((whole(&rig), nobodys(&rig)), ((8, 14), 8));
    rig.report(told(ReportKind::Canceled, 71, 4));
    assert_eq!((whole(&rig), nobodys(&rig)), ((8, 8), 8));
}

#[test]
fn a_fill_that_turns_out_to_be_ours_is_taken_back_from_nobody() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 10);
    // The venue's number of our order is not known yet.
    let fill = ExecutionReport { order_quantity: Quantity(0), fee: 3, fee_asset: AssetId(1), ..filled(80, 1, 10, 0) };
    rig.report(fill);
    let account = |rig: &Rig| {
        let ledger = rig.risk.ledger(VenueId(0)).expect("there");
        [AssetId(0), AssetId(1)].map(|asset| (ledger.balance(asset), ledger.fees(asset)))
    };
    let before = account(&rig);
    assert_eq!((nobodys(&rig), whole(&rig)), (10, (10, 20)), "what may still fill of ours is held until it is proven");
    rig.report(ExecutionReport {
        client_order_id: id,
        status: OrderStatus::Filled,
        ..told(ReportKind::Status, 80, 10)
    });
    rig.report(ExecutionReport { client_order_id: id, ..fill });
    assert_eq!((nobodys(&rig), whole(&rig), rig.exposure()), (0, (10, 10), (10, 10)));
    assert_eq!((rig.order(id).status, rig.order(id).filled), (OrderStatus::Filled, Quantity(10)));
    assert_eq!(account(&rig), before, "the account is as it was");
    rig.report(ExecutionReport { client_order_id: id, ..fill });
    rig.report(fill);
    assert_eq!((nobodys(&rig), whole(&rig)), (0, (10, 10)));
}

#[test]
fn orders_of_an_earlier_start_are_nobodys_and_of_a_later_one_halt() {
    let mut config = config();
    config.epoch = 5;
    let mut rig = Rig::new(&config);
    let of = |epoch| ClientOrderId::new(epoch, StrategyId(0), 1).expect("in range");
    rig.report(ExecutionReport { client_order_id: of(4), ..told(ReportKind::Status, 70, 0) });
    assert_eq!((whole(&rig), rig.exposure()), ((0, 10), (0, 0)));
    assert_eq!(rig.risk.trading_state(), TradingState::Active);
    rig.report(ExecutionReport { client_order_id: of(5), ..told(ReportKind::Status, 71, 0) });
    assert_eq!(rig.risk.trading_state(), TradingState::Active);
    rig.report(ExecutionReport { client_order_id: of(6), ..told(ReportKind::Status, 72, 0) });
    assert_eq!((rig.risk.trading_state(), whole(&rig)), (TradingState::Halted, (0, 30)));
    assert!(rig.notices().contains(&NoticeCode::Misconfigured));
}

#[test]
fn they_count_against_limits_and_self_trades_and_only_whole_instruments_cancel_them() {
    let mut rig = Rig::new(&config());
    rig.report(ExecutionReport { order_quantity: Quantity(140), ..told(ReportKind::Accepted, 70, 0) });
    rig.place(Side::Buy, 10);
    let intent = rig.intent(Side::Buy, 2);
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denial(), Some((DenialReason::MaxPosition, 150, 152)));
    let mut sell = rig.intent(Side::Sell, 5);
    sell.order.price = Price(10_000);
    rig.send(&sell).expect("room");
    rig.poll();
    assert_eq!(rig.denial(), Some((DenialReason::SelfTrade, 10_000, 10_000)));
    rig.commands.try_send(RiskCommand::CancelAll).expect("room");
    rig.poll();
    assert_eq!(rig.canceled().len(), 1, "ours");
    rig.kill.kill(crate::risk::KillScope::Venue(VenueId(0)));
    rig.poll();
    assert_eq!(rig.canceled(), [(ClientOrderId::NONE, InstrumentId(0))]);
}

#[test]
fn what_an_ended_round_did_not_tell_is_over() {
    let mut rig = Rig::new(&config());
    let own = rig.place(Side::Buy, 10);
    rig.tell(own, ReportKind::Accepted);
    rig.report(told(ReportKind::Accepted, 70, 0));
    rig.report(told(ReportKind::Accepted, 71, 0));
    assert_eq!(whole(&rig), (0, 30));
    rig.now = rig.now.plus(1_000);
    rig.round(Round::Begun);
    let now = rig.now;
    rig.report(ExecutionReport { received_ns: now, ..told(ReportKind::Status, 71, 0) });
    rig.round(Round::Failed);
    rig.poll();
    assert_eq!(whole(&rig), (0, 30), "a round that failed proves nothing");
    rig.now = rig.now.plus(1_000);
    rig.round(Round::Begun);
    let now = rig.now;
    rig.report(ExecutionReport { received_ns: now, ..told(ReportKind::Status, 71, 0) });
    rig.round(Round::Ended { is_conclusive: false });
    rig.poll();
    assert_eq!(whole(&rig), (0, 20), "ours is asked for by itself");
}

#[test]
fn without_room_the_instrument_takes_cancels_only() {
    let mut config = config();
    config.order_capacity = 2;
    let mut rig = Rig::new(&config);
    for venue_order_id in 70..73 {
        rig.report(told(ReportKind::Accepted, venue_order_id, 0));
    }
    assert_eq!((whole(&rig), rig.risk.markets()[0].trading_state), ((0, 20), TradingState::CancelOnly));
    rig.report(filled(73, 1, 5, 5));
    assert_eq!(whole(&rig), (5, 25), "its fills are booked all the same");
    let intent = rig.intent(Side::Buy, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::CancelOnly, 1)]);
}
