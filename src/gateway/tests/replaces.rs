//! One order in the place of another.

use super::rig::{
    Rig, Venue, accepted, acknowledged, answer, canceled, filled, id, order_row, refusal, standing, venue_id,
};
use serde_json::{Value, json};

/// A session with order 1 working, whose place order 2 is to take.
fn replacing() -> (Rig, Venue) {
    let (mut rig, mut venue) = Rig::working();
    rig.replace(1, 2, true);
    assert_eq!(rig.told(), ["Sent 2"]);
    assert_eq!(venue.heard(), ["order.cancelReplace 1 by 2 if unfilled"]);
    (rig, venue)
}

fn replaced() -> Value {
    let result = json!({"cancelResult": "SUCCESS", "newOrderResult": "SUCCESS",
        "cancelResponse": {"symbol": "BTCUSDT", "origClientOrderId": id(1).to_string(), "orderId": venue_id(1),
            "clientOrderId": "x", "executedQty": "0", "status": "CANCELED", "side": "BUY", "transactTime": 1},
        "newOrderResponse": acknowledged(2)["result"]});
    answer('r', id(2).0, result)
}

fn half(status: u16, code: i32, cancel: Value, place: Value) -> Value {
    let result = |leg: &Value| match leg {
        Value::Null => "NOT_ATTEMPTED",
        leg if leg["code"].is_i64() => "FAILURE",
        _ => "SUCCESS",
    };
    let mut answer = refusal('r', id(2).0, status, code);
    answer["error"]["data"] = json!({"cancelResult": result(&cancel), "newOrderResult": result(&place),
        "cancelResponse": cancel, "newOrderResponse": place});
    answer
}

#[test]
fn a_replace_ends_the_one_and_places_the_other() {
    let (mut rig, mut venue) = replacing();
    assert_eq!(rig.gateway.on_wire(), 2);
    assert_eq!(rig.hears(&mut venue, &[replaced(), canceled(1, 0), accepted(2)]), ["Canceled 1", "Accepted 2"]);
    assert_eq!(rig.gateway.on_wire(), 1);
    rig.wait(3_000);
    assert_eq!((rig.told(), venue.heard()), (vec![], vec![]), "nothing is in doubt");
    // The new one, which may have fills, is replaced in turn.
    rig.replace(2, 3, false);
    assert_eq!(venue.heard(), ["order.cancelReplace 2 by 3"]);
}

#[test]
fn reports_may_overtake_the_answer_to_a_replace() {
    let (mut rig, mut venue) = replacing();
    let told = rig.hears(&mut venue, &[canceled(1, 0), filled(2, (501, 10), 10), replaced()]);
    assert_eq!(told, ["Canceled 1", "Fill 2: 10 of 10 by 501"]);
    rig.wait(3_000);
    assert_eq!((rig.gateway.on_wire(), venue.heard()), (0, vec![]));
}

#[test]
fn a_replace_of_what_is_not_there_or_about_to_end_never_leaves() {
    let (mut rig, mut venue) = Rig::working();
    rig.replace(7, 8, false);
    assert_eq!(rig.told(), ["NotSent 8"], "not on the wire");
    rig.cancel(1);
    rig.replace(1, 9, false);
    assert_eq!((rig.told(), venue.heard()), (vec!["NotSent 9".to_owned()], vec!["order.cancel 1".to_owned()]));
    let (mut rig, _venue) = replacing();
    rig.replace(1, 3, false);
    assert_eq!(rig.told(), ["NotSent 3"], "one at a time");
}

#[test]
fn a_cancel_does_not_wait_for_a_replace() {
    let (mut rig, mut venue) = replacing();
    rig.cancel(1);
    rig.cancel(2);
    assert_eq!(venue.heard(), ["order.cancel 1", "order.cancel 2"]);
}

#[test]
fn where_the_cancel_fails_neither_is_done() {
    let (mut rig, mut venue) = replacing();
    let failed = half(400, -2022, json!({"code": -2011, "msg": "words"}), Value::Null);
    assert_eq!(rig.hears(&mut venue, &[failed]), ["Rejected 2: -2022", "CancelRejected 1: -2011"]);
    assert_eq!(venue.heard(), ["order.status 1"]);
    assert_eq!(rig.hears(&mut venue, &[standing(1, "NEW", 0)]), ["Status 1: Accepted"]);
    rig.replace(1, 3, false);
    assert_eq!(venue.heard(), ["order.cancelReplace 1 by 3"]);
}

#[test]
fn where_only_the_new_order_fails_the_old_one_is_canceled_all_the_same() {
    let (mut rig, mut venue) = replacing();
    let failed = half(409, -2021, order_row(1, "CANCELED", 0), json!({"code": -2010, "msg": "words"}));
    assert_eq!(rig.hears(&mut venue, &[failed, canceled(1, 0)]), ["Rejected 2: -2010", "Canceled 1"]);
    assert_eq!((rig.gateway.on_wire(), venue.heard()), (0, vec![]));
}

#[test]
fn a_replace_that_is_refused_whole_leaves_the_old_order_as_it_was() {
    for (status, code) in [(400, -1013), (400, -2010), (429, -1015), (400, -2022)] {
        let (mut rig, mut venue) = replacing();
        let told = rig.hears(&mut venue, &[refusal('r', id(2).0, status, code)]);
        assert_eq!(told, [format!("Rejected 2: {code}")]);
        assert_eq!((rig.gateway.on_wire(), venue.heard()), (1, vec![]));
        rig.wait(3_000);
        assert_eq!(rig.told(), [""; 0]);
    }
}

#[test]
fn an_answer_that_proves_nothing_leaves_both_in_doubt() {
    let unproven = json!({"code": -1007, "msg": "words"});
    for answer in [
        refusal('r', id(2).0, 503, -1000),
        refusal('r', id(2).0, 400, -1007),
        refusal('r', id(2).0, 409, -2021),
        half(500, -2022, json!({"code": -2011, "msg": ""}), Value::Null),
        half(400, -2022, unproven.clone(), unproven),
    ] {
        let (mut rig, mut venue) = replacing();
        assert_eq!(rig.hears(&mut venue, &[answer]), ["Unknown 2", "Unknown 1"]);
        assert_eq!(venue.heard(), ["order.status 1", "order.status 2"]);
        // The venue did it after all.
        let told = rig.hears(&mut venue, &[standing(1, "CANCELED", 0), standing(2, "NEW", 0)]);
        assert_eq!(told, ["Status 1: Canceled", "Status 2: Accepted"]);
        assert_eq!(rig.gateway.on_wire(), 1);
    }
}

#[test]
fn an_unanswered_replace_leaves_both_in_doubt_and_cancels_nothing() {
    for is_cut in [false, true] {
        let (mut rig, mut venue) = replacing();
        let mut told = if is_cut {
            drop(venue);
            rig.poll();
            let told = rig.told();
            rig.wait(300);
            venue = rig.session();
            told
        } else {
            rig.wait(2_050);
            rig.told()
        };
        told.retain(|told| told.starts_with("Unknown"));
        assert_eq!(told, ["Unknown 1", "Unknown 2"]);
        assert_eq!(venue.heard(), ["order.status 1", "order.status 2"]);
        rig.told();
        // Neither was done: the old order works on, the new one is not there.
        rig.hears(&mut venue, &[standing(1, "NEW", 0), refusal('q', id(2).0, 400, -2013)]);
        rig.wait(900);
        assert_eq!(venue.heard(), [""; 0], "no cancel");
    }
}
