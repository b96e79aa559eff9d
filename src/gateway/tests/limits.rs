//! What the venue lets us ask.

use super::rig::{Rig, Sizes, Venue, accepted, acknowledged, balances, canceled, id, refusal, standing};
use crate::types::{NoticeCode, Timestamp};
use crate::venue::budget::{BudgetLimits, BudgetUse};
use serde_json::{Value, json};

/// A session with order 1 working, and order 2 just sent.
fn sending() -> (Rig, Venue) {
    let (mut rig, mut venue) = Rig::working();
    rig.place(2);
    venue.heard();
    rig.told();
    (rig, venue)
}

fn until(mut refusal: Value, instant: Timestamp) -> Value {
    refusal["error"]["data"] = json!({"retryAfter": instant.millis()});
    refusal
}

#[test]
fn too_many_orders_hold_new_ones_off_and_nothing_else() {
    let (mut rig, mut venue) = sending();
    assert_eq!(rig.hears(&mut venue, &[refusal('p', id(2).0, 429, -1015)]), ["Rejected 2: -1015"]);
    rig.place(3);
    assert_eq!((rig.told(), venue.heard()), (vec!["NotSent 3".to_owned()], vec![]));
    rig.cancel(1);
    assert_eq!(venue.heard(), ["order.cancel 1"]);
    assert_eq!(rig.hears(&mut venue, &[canceled(1, 0)]), ["Canceled 1"]);
    // Until the ten seconds in which the venue counts are over.
    rig.wait(10_000);
    venue.heard();
    rig.place(4);
    assert_eq!((rig.told(), venue.heard()), (vec!["Sent 4".to_owned()], vec!["order.place 4".to_owned()]));
}

#[test]
fn too_much_weight_stops_everything_until_the_venues_instant() {
    let (mut rig, mut venue) = sending();
    let refused = until(refusal('p', id(2).0, 429, -1003), rig.now.plus(4_000_000_000));
    assert_eq!(rig.hears(&mut venue, &[refused]), ["Rejected 2: -1003"]);
    rig.place(3);
    rig.cancel(1);
    rig.queue_cancel_all(0);
    rig.wait(3_950);
    assert_eq!((rig.told(), venue.heard()), (vec!["NotSent 3".to_owned()], vec![]));
    rig.wait(100);
    assert_eq!(venue.heard(), ["openOrders.cancelAll 0", "order.cancel 1"]);
    rig.place(4);
    assert_eq!(rig.told(), ["Sent 4"]);
}

#[test]
fn a_cancel_that_was_one_too_many_waits_and_is_tried_again() {
    let (mut rig, mut venue) = Rig::working();
    rig.cancel(1);
    venue.heard();
    let refused = until(refusal('c', id(1).0, 429, -1003), rig.now.plus(1_000_000_000));
    assert_eq!(rig.hears(&mut venue, &[refused]), ["Unknown 1"]);
    rig.wait(950);
    assert_eq!(venue.heard(), [""; 0]);
    rig.wait(100);
    assert_eq!(venue.heard(), ["order.status 1"]);
    rig.hears(&mut venue, &[standing(1, "NEW", 0)]);
    rig.wait(50);
    assert_eq!(venue.heard(), ["order.cancel 1"]);
}

#[test]
fn under_a_ban_nothing_at_all_is_sent_over_reconnects_too() {
    let (mut rig, mut venue) = sending();
    rig.connects_wanted();
    let end = rig.now.plus(180_000_000_000);
    assert_eq!(rig.hears(&mut venue, &[until(refusal('p', id(2).0, 418, -1003), end)]), ["Rejected 2: -1003"]);
    assert!(rig.noticed().contains(&NoticeCode::VenueBan));
    assert_eq!(rig.budget.banned_until(), end);
    rig.cancel(1);
    rig.place(3);
    rig.wait(3_000);
    assert_eq!(venue.heard(), [""; 0]);
    drop(venue);
    rig.wait(150_000);
    assert_eq!(rig.connects_wanted(), 0);
    rig.wait(30_000);
    assert_eq!(rig.connects_wanted(), 1);
}

#[test]
fn a_connection_that_arrives_under_a_ban_is_given_back() {
    let mut rig = Rig::new();
    rig.poll();
    rig.budget.ban(Some(rig.now.plus(10_000_000_000)), rig.now);
    let mut venue = rig.connect();
    assert_eq!((venue.heard(), rig.retired.try_iter().count()), (vec![], 1));
    rig.wait(9_950);
    assert_eq!(rig.connects_wanted(), 1, "the one before the ban");
    rig.wait(1_000);
    assert_eq!(rig.connects_wanted(), 1);
}

#[test]
fn the_last_part_of_the_budget_is_for_cancels() {
    let (mut rig, mut venue) = sending();
    rig.hears(&mut venue, &[acknowledged(2), accepted(2)]);
    rig.budget.learn(BudgetLimits { weight: 1_000, orders: 100 });
    rig.budget.observe(BudgetUse { weight: 900, orders: 0 }, rig.now);
    rig.place(3);
    assert_eq!(rig.told(), ["NotSent 3"]);
    // What should be asked waits, too.
    rig.cancel(1);
    rig.hears(&mut venue, &[refusal('c', id(1).0, 400, -2011)]);
    assert_eq!(venue.heard(), ["order.cancel 1"]);
    rig.cancel(2);
    assert_eq!(venue.heard(), ["order.cancel 2"]);
    rig.idle(&mut venue, 40_000);
    assert!(venue.heard().contains(&"order.status 1".to_owned()));
}

#[test]
fn risk_is_told_what_is_used_when_it_changes_by_more_than_little() {
    let (mut rig, mut venue) = Rig::ready();
    rig.budget.learn(BudgetLimits { weight: 6_400, orders: 100 });
    rig.wait(100);
    assert_eq!(rig.budgets_told().last().map(String::as_str), Some("used 70 0"));
    rig.place(1);
    rig.wait(100);
    assert_eq!(rig.budgets_told(), [""; 0], "one order is little");
    let mut answer = acknowledged(1);
    answer["rateLimits"] = json!([
        {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 100, "count": 7},
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 6400, "count": 1500}]);
    rig.hears(&mut venue, &[answer]);
    rig.wait(100);
    assert_eq!(rig.budgets_told(), ["used 1500 7"]);
    // The next minute is a new one.
    rig.idle(&mut venue, 60_000);
    assert_eq!(rig.budgets_told().last().map(String::as_str), Some("used 0 0"));
}

#[test]
fn rounds_wait_for_the_budget_but_the_first_one_less_long() {
    let mut rig = Rig::with(&Sizes { reconcile_ms: 3_000, ..Sizes::default() });
    rig.budget.learn(BudgetLimits { weight: 1_000, orders: 100 });
    rig.budget.observe(BudgetUse { weight: 600, orders: 0 }, rig.now);
    rig.poll();
    let mut venue = rig.connect();
    rig.subscribe(&mut venue);
    rig.round(&mut venue, &balances(&[]), &[], &[]);
    assert_eq!(rig.told().last().map(String::as_str), Some("reports up true"));
    // More than half is used: another one may wait until the minute is over.
    rig.idle(&mut venue, 39_900);
    assert!(!venue.heard().contains(&"account.status".to_owned()));
    rig.wait(200);
    assert!(venue.heard().contains(&"account.status".to_owned()));
}
