//! Rounds of reconciliation, and the stream of reports when it is lost.

use super::rig::{
    Rig, Sizes, Venue, accepted, acknowledged, balances, canceled, execution, fill_row, filled, id, order_row, refusal,
    standing, trades, without_rounds,
};
use crate::gateway::LastKnown;
use crate::types::NoticeCode;
use serde_json::{Value, json};

const HELD: [(&str, &str, &str); 2] = [("BTC", "1.5", "0.5"), ("USDT", "100", "0")];
const BEGUN: &str = "round Begun";
const CONCLUSIVE: &str = "round Ended { is_conclusive: true }";
const FAILED: &str = "round Failed";

fn every_three_seconds() -> Sizes {
    Sizes { reconcile_ms: 3_000, ..Sizes::default() }
}

/// An open order of somebody else.
fn foreign(number: u64) -> Value {
    let mut row = order_row(1, "NEW", 0);
    (row["orderId"], row["clientOrderId"]) = (number.into(), "web_7".into());
    row
}

#[test]
fn a_round_asks_for_everything_and_tells_it() {
    let mut rig =
        Rig::with(&Sizes { last_known: LastKnown { venue_order_id: 0, execution_id: 499 }, ..Sizes::default() });
    rig.poll();
    let mut venue = rig.connect();
    rig.subscribe(&mut venue);
    rig.told();
    let answers = [
        ("account.status", balances(&HELD)),
        ("openOrders.status BTCUSDT", json!([foreign(900)])),
        ("myTrades from 500", json!([fill_row(829, (501, 4))])),
        ("account.status", balances(&HELD)),
    ];
    rig.place(1);
    assert_eq!(rig.told(), ["NotSent 1"], "not before the first round is over");
    let mut told = Vec::new();
    for (asked, result) in answers {
        let (name, id) = venue.question().expect(asked);
        assert_eq!(name, asked);
        venue.reply(&id, &result);
        rig.poll();
        told.extend(rig.told());
    }
    let expected = ["Status 0: Accepted", "Fill 0: 4 of 4 by 501"];
    assert_eq!(told[..2], expected);
    let whole = 1_000_000_000_000_000_000_i128;
    let totals = [format!("balance 0: {:?}", 2 * whole), format!("balance 1: {:?}", 100 * whole)];
    let totals = totals.map(|total| total.replace(": ", ": Money(") + ")");
    assert_eq!(told.len(), 7, "{told:?} {totals:?}");
    assert_eq!(told[4..], [CONCLUSIVE, "session Ready", "reports up true"]);
}

#[test]
fn rounds_follow_each_other_and_do_not_stop_trading() {
    let (mut rig, mut venue) = Rig::working_with(&every_three_seconds());
    for round in 0..3 {
        rig.wait(3_000);
        assert_eq!(rig.told(), [BEGUN], "{round}");
        rig.place(10 + round);
        assert_eq!(rig.told(), [format!("Sent {}", 10 + round)]);
        venue.say(&acknowledged(10 + round));
        rig.round(&mut venue, &balances(&HELD), &[order_row(1, "NEW", 0)], &[]);
        let told = rig.told();
        assert_eq!(told.last().map(String::as_str), Some(CONCLUSIVE));
        assert!(without_rounds(told).is_empty(), "nothing is news");
        venue.heard();
        rig.hears(&mut venue, &[canceled(10 + round, 0)]);
    }
}

#[test]
fn balances_that_moved_make_a_round_inconclusive() {
    let (mut rig, mut venue) = Rig::ready_with(&every_three_seconds());
    rig.wait(3_000);
    for result in [balances(&HELD), json!([]), json!([]), balances(&HELD[..1])] {
        let (_, id) = venue.question().expect("a question");
        venue.reply(&id, &result);
        rig.poll();
    }
    let told = rig.told();
    assert_eq!(told.last().map(String::as_str), Some("round Ended { is_conclusive: false }"));
}

#[test]
fn a_refused_or_unanswered_question_fails_the_round_and_another_is_tried() {
    for is_refused in [true, false] {
        let mut rig = Rig::new();
        rig.poll();
        let mut venue = rig.connect();
        rig.subscribe(&mut venue);
        rig.told();
        rig.noticed();
        let (_, late) = venue.question().expect("a question");
        if is_refused {
            venue.say(&json!({"id": late, "status": 503, "error": {"code": -1000, "msg": "words"}}));
            rig.poll();
        } else {
            rig.wait(2_000);
        }
        assert_eq!(rig.told(), [FAILED]);
        assert_eq!(rig.noticed(), [NoticeCode::ReconcileFailed]);
        rig.place(1);
        assert_eq!(rig.told(), ["NotSent 1"], "it proves nothing");
        rig.wait(1_000);
        assert_eq!(rig.told(), [BEGUN]);
        // What comes late belongs to nothing.
        venue.reply(&late, &balances(&HELD));
        rig.poll();
        rig.round(&mut venue, &balances(&HELD), &[], &[]);
        assert_eq!(rig.told().last().map(String::as_str), Some("reports up true"));
    }
}

#[test]
fn a_lost_connection_fails_the_round() {
    let (mut rig, venue) = Rig::ready_with(&every_three_seconds());
    rig.wait(3_000);
    drop(venue);
    rig.poll();
    assert_eq!(rig.told(), [BEGUN, "session Down", FAILED]);
}

#[test]
fn what_a_cut_session_missed_is_found_by_the_round() {
    let (mut rig, mut venue) = Rig::working();
    rig.place(2);
    rig.hears(&mut venue, &[acknowledged(2), accepted(2)]);
    drop(venue);
    rig.wait(300);
    let mut venue = rig.connect();
    rig.subscribe(&mut venue);
    rig.told();
    let fills = [fill_row(1, (501, 10)), fill_row(2, (502, 3)), fill_row(829, (503, 1))];
    rig.round(&mut venue, &balances(&HELD), &[order_row(2, "PARTIALLY_FILLED", 3)], &fills);
    let told = without_rounds(rig.told());
    assert_eq!(
        told,
        ["Status 2: PartiallyFilled", "Fill 1: 10 of 10 by 501", "Fill 2: 3 of 3 by 502", "Fill 0: 1 of 1 by 503"]
    );
    assert_eq!(rig.gateway.on_wire(), 1);
    // The listing had shown that one is missing before the fills were asked for.
    let told = rig.hears(&mut venue, &[trades(2, &[(502, 3)])]);
    assert_eq!(told, ["Fill 2: 3 of 3 by 502", "session Ready", "reports up true"]);
}

#[test]
fn a_fill_that_no_report_told_is_found_by_the_next_round_and_told_once() {
    let (mut rig, mut venue) = Rig::working_with(&every_three_seconds());
    assert_eq!(rig.hears(&mut venue, &[filled(1, (502, 2), 2)]), ["Fill 1: 2 of 2 by 502"]);
    let fills = [fill_row(1, (502, 2)), fill_row(1, (503, 3))];
    for (fills, expected) in [(&fills[..], vec!["Fill 1: 3 of 5 by 503"]), (&fills[1..], vec![])] {
        rig.wait(3_000);
        rig.round(&mut venue, &balances(&HELD), &[order_row(1, "PARTIALLY_FILLED", 2)], fills);
        assert_eq!(without_rounds(rig.told()), expected);
    }
    // The report of it comes after all: risk books an execution once.
    assert_eq!(rig.hears(&mut venue, &[filled(1, (503, 3), 5)]), ["Fill 1: 3 of 5 by 503"]);
    assert_eq!(rig.hears(&mut venue, &[filled(1, (504, 5), 10)]), ["Fill 1: 5 of 10 by 504"]);
    assert_eq!(rig.gateway.on_wire(), 0);
    // A fill of an order that has ended has its id all the same.
    rig.wait(3_000);
    rig.round(&mut venue, &balances(&HELD), &[], &[fill_row(1, (505, 1))]);
    assert_eq!(without_rounds(rig.told()), ["Fill 1: 1 of 1 by 505"]);
}

#[test]
fn a_listing_does_not_bring_back_what_ended_meanwhile() {
    let (mut rig, mut venue) = Rig::working_with(&every_three_seconds());
    rig.wait(3_000);
    rig.hears(&mut venue, &[canceled(1, 0)]);
    rig.round(&mut venue, &balances(&HELD), &[order_row(1, "NEW", 0)], &[]);
    assert!(without_rounds(rig.told()).is_empty());
}

#[test]
fn an_order_that_a_listing_leaves_out_is_asked_about_once() {
    let (mut rig, mut venue) = Rig::working_with(&every_three_seconds());
    rig.wait(3_000);
    rig.round(&mut venue, &balances(&HELD), &[], &[]);
    assert_eq!(venue.heard(), ["order.status 1"]);
    rig.told();
    assert_eq!(rig.hears(&mut venue, &[standing(1, "CANCELED", 0)]), ["Status 1: Canceled"]);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn a_missing_fill_hastens_the_next_round() {
    let (mut rig, mut venue) = Rig::working_with(&Sizes { reconcile_ms: 60_000, ..Sizes::default() });
    rig.wait(2_000);
    rig.hears(&mut venue, &[filled(1, (502, 2), 5)]);
    rig.wait(50);
    let heard = venue.heard();
    assert!(heard.contains(&"myTrades 1".to_owned()) && heard.contains(&"account.status".to_owned()), "{heard:?}");
}

#[test]
fn transfers_are_told_and_account_positions_are_not() {
    let (mut rig, mut venue) = Rig::ready();
    let transfer = json!({"subscriptionId": 0, "event": {"e": "balanceUpdate", "E": 1, "a": "USDT", "d": "-100.5",
        "T": 1}});
    let position = json!({"subscriptionId": 0, "event": {"e": "outboundAccountPosition", "E": 1, "u": 1,
        "B": [{"a": "USDT", "f": "1", "l": "0"}]}});
    let told = rig.hears(&mut venue, &[transfer, position]);
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("transfer 1: -100.5") || told[0].contains("-100500000000000000000"), "{told:?}");
}

fn terminated() -> Value {
    json!({"subscriptionId": 0, "event": {"e": "eventStreamTerminated", "E": 1}})
}

/// The venue takes the new subscription.
fn subscribe_again(rig: &mut Rig, venue: &mut Venue) {
    assert!(venue.heard().contains(&"userDataStream.subscribe".to_owned()));
    venue.say(&json!({"id": "s0000000000000000", "status": 200, "result": {"subscriptionId": 1}}));
    rig.poll();
}

#[test]
fn a_lost_stream_is_told_at_once_and_made_anew_on_the_same_socket() {
    let (mut rig, mut venue) = Rig::working();
    assert_eq!(rig.hears(&mut venue, &[terminated()]), ["reports up false"]);
    rig.place(2);
    assert_eq!(rig.told(), ["NotSent 2"]);
    subscribe_again(&mut rig, &mut venue);
    // Cancels pass all the while.
    rig.cancel(1);
    assert!(venue.heard().contains(&"order.cancel 1".to_owned()) || venue.question().is_some());
    rig.told();
    assert_eq!(rig.counters.disconnects.get(), 0);
}

#[test]
fn what_a_lost_stream_did_not_tell_is_found_before_trading_goes_on() {
    let (mut rig, mut venue) = Rig::working();
    rig.hears(&mut venue, &[terminated()]);
    subscribe_again(&mut rig, &mut venue);
    assert_eq!(rig.told(), [BEGUN]);
    rig.round(&mut venue, &balances(&HELD), &[], &[fill_row(1, (501, 4))]);
    assert_eq!(without_rounds(rig.told()), ["Fill 1: 4 of 4 by 501"]);
    assert_eq!(venue.heard(), ["order.status 1"]);
    let told = rig.hears(&mut venue, &[standing(1, "CANCELED", 4)]);
    assert_eq!(told, ["Status 1: Canceled", "reports up true"]);
    rig.place(2);
    assert_eq!(rig.told(), ["Sent 2"]);
}

#[test]
fn a_stream_that_cannot_be_made_anew_ends_the_session() {
    let (mut rig, mut venue) = Rig::working();
    rig.hears(&mut venue, &[terminated()]);
    rig.hears(&mut venue, &[refusal('s', 0, 400, -2035)]);
    assert_eq!(rig.counters.disconnects.get(), 1);
    let (mut rig, mut venue) = Rig::working();
    rig.hears(&mut venue, &[terminated()]);
    rig.wait(10_200);
    assert_eq!(rig.counters.disconnects.get(), 1, "unanswered");
}

#[test]
fn numbers_that_go_back_stop_trading_for_good() {
    let known = LastKnown { venue_order_id: 5_000_000, execution_id: 5_000_000 };
    let (mut rig, mut venue) = Rig::ready_with(&Sizes { last_known: known, ..Sizes::default() });
    rig.place(1);
    rig.told();
    assert_eq!(rig.hears(&mut venue, &[acknowledged(1)]), ["session Reconciling"]);
    assert!(rig.noticed().contains(&NoticeCode::Misconfigured));
    rig.place(2);
    assert_eq!(rig.told(), ["NotSent 2"]);
    rig.hears(&mut venue, &[accepted(1)]);
    venue.heard();
    rig.cancel(1);
    assert_eq!(venue.heard(), ["order.cancel 1"], "cancels pass");
    drop(venue);
    rig.wait(300);
    rig.session();
    assert!(!rig.told().contains(&"session Ready".to_owned()));
}

#[test]
fn a_venue_that_forgot_an_order_stops_trading_for_good() {
    let (mut rig, mut venue) = Rig::working();
    rig.wait(14_900);
    venue.write(&super::rig::framed(10, b""));
    rig.wait(1_000);
    rig.cancel(1);
    rig.told();
    for _ in 0..2 {
        rig.hears(&mut venue, &[refusal('c', id(1).0, 400, -2011), refusal('q', id(1).0, 400, -2013)]);
        rig.wait(1_100);
    }
    let told = rig.hears(&mut venue, &[execution(1, "CANCELED", "CANCELED", (0, 0), 0)]);
    assert_eq!(told, ["Canceled 1"]);
    rig.place(2);
    assert_eq!(rig.told(), ["NotSent 2"]);
    assert!(rig.noticed().contains(&NoticeCode::Misconfigured));
}
