//! Cancels of whole instruments, and many at once.

use super::rig::{Rig, Sizes, accepted, acknowledged, answer, canceled, order_row, refusal};
use serde_json::{Value, json};

fn all_canceled(rows: &[Value]) -> Value {
    answer('x', 0, json!(rows))
}

#[test]
fn everything_in_an_instrument_is_canceled_by_one_request_before_single_ones() {
    let (mut rig, mut venue) = Rig::working();
    rig.place(2);
    rig.hears(&mut venue, &[acknowledged(2), accepted(2)]);
    venue.heard();
    for _ in 0..2 {
        rig.queue_cancel_all(0);
    }
    rig.queue_cancel(1);
    rig.queue_cancel(2);
    // An instrument that is not there.
    rig.queue_cancel_all(9);
    rig.poll();
    assert_eq!(venue.heard(), ["openOrders.cancelAll 0", "order.cancel 1", "order.cancel 2"]);
    rig.queue_cancel_all(0);
    rig.poll();
    assert_eq!(venue.heard(), [""; 0], "one is unanswered");
    let mut rows = vec![order_row(1, "CANCELED", 0), order_row(2, "CANCELED", 0)];
    for row in &mut rows {
        row["origClientOrderId"] = row["clientOrderId"].clone();
    }
    let told = rig.hears(&mut venue, &[canceled(1, 0), canceled(2, 0), all_canceled(&rows)]);
    assert_eq!(told, ["Canceled 1", "Canceled 2"]);
    rig.wait(5_000);
    assert_eq!(venue.heard(), ["ping"], "it is done");
    rig.queue_cancel_all(0);
    rig.poll();
    assert_eq!(venue.heard(), ["openOrders.cancelAll 0"]);
}

#[test]
fn an_instrument_with_nothing_open_is_done() {
    let (mut rig, mut venue) = Rig::ready();
    rig.queue_cancel_all(0);
    rig.poll();
    venue.heard();
    assert_eq!(rig.hears(&mut venue, &[refusal('x', 0, 400, -2011)]), [""; 0]);
    rig.wait(3_000);
    assert_eq!((venue.heard(), rig.noticed()), (vec![], vec![]));
}

#[test]
fn a_mass_cancel_that_may_not_have_been_done_is_sent_again() {
    let (mut rig, mut venue) = Rig::ready();
    rig.queue_cancel_all(0);
    rig.poll();
    assert_eq!(venue.heard().len(), 1);
    rig.wait(2_050);
    assert_eq!(venue.heard(), ["openOrders.cancelAll 0"], "unanswered");
    rig.hears(&mut venue, &[refusal('x', 0, 503, -1000)]);
    assert_eq!(venue.heard(), [""; 0]);
    rig.wait(1_050);
    assert_eq!(venue.heard(), ["openOrders.cancelAll 0"]);
    drop(venue);
    rig.wait(300);
    let mut venue = rig.connect();
    rig.subscribe(&mut venue);
    // Before anything is known of what is open.
    assert!(venue.heard().contains(&"openOrders.cancelAll 0".to_owned()));
}

#[test]
fn a_mass_cancel_wanted_while_down_is_the_first_thing_sent() {
    let (mut rig, venue) = Rig::working();
    drop(venue);
    rig.poll();
    rig.queue_cancel_all(0);
    rig.wait(300);
    let mut venue = rig.connect();
    rig.subscribe(&mut venue);
    assert_eq!(venue.heard(), ["openOrders.cancelAll 0", "account.status"]);
}

#[test]
fn a_thousand_cancels_go_out_in_one_cycle() {
    let (mut rig, mut venue) = Rig::ready_with(&Sizes { wire: 1_000, ..Sizes::default() });
    for sequence in 1..=1_000 {
        rig.queue_order(sequence);
        if sequence % 200 == 0 {
            rig.wait(100);
        }
    }
    for sequence in 1..=1_000 {
        venue.say(&accepted(sequence));
        if sequence % 100 == 0 {
            rig.poll();
            rig.told();
        }
    }
    venue.heard();
    rig.queue_cancel_all(0);
    for sequence in 1..1_000 {
        rig.queue_cancel(sequence);
    }
    rig.cycle();
    let heard = venue.heard();
    assert_eq!((heard.len(), heard[0].as_str()), (1_000, "openOrders.cancelAll 0"));
}
