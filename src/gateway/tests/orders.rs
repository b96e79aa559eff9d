//! One order's ways through a session.

use super::rig::{
    Rig, Sizes, accepted, acknowledged, canceled, execution, filled, framed, id, refusal, standing, trades, venue_id,
};
use crate::gateway::wire::ACCEPTANCE_LIMIT_NS;
use crate::types::NoticeCode;
use crate::venue::budget::BudgetLimits;

#[test]
fn an_order_is_placed_acknowledged_and_filled() {
    let (mut rig, mut venue) = Rig::working();
    assert_eq!(rig.hears(&mut venue, &[filled(1, (501, 4), 4)]), ["Fill 1: 4 of 4 by 501"]);
    assert_eq!(rig.hears(&mut venue, &[filled(1, (502, 6), 10)]), ["Fill 1: 6 of 10 by 502"]);
    assert_eq!((rig.gateway.on_wire(), rig.counters.orders_sent.get(), rig.counters.reports.get()), (0, 1, 3));
    assert_eq!(rig.sent.next().map(|sample| sample.client_order_id), Some(id(1)));
}

#[test]
fn a_fill_may_overtake_the_answer_to_its_order() {
    let (mut rig, mut venue) = Rig::ready();
    rig.place(1);
    rig.told();
    assert_eq!(rig.hears(&mut venue, &[filled(1, (501, 10), 10), acknowledged(1)]), ["Fill 1: 10 of 10 by 501"]);
    assert_eq!(rig.gateway.on_wire(), 0);
    rig.wait(5_000);
    assert_eq!(rig.told(), [""; 0], "nothing is in doubt");
}

#[test]
fn reports_that_come_twice_are_passed_on_and_change_nothing_here() {
    let (mut rig, mut venue) = Rig::working();
    let twice = [accepted(1), filled(1, (501, 4), 4), filled(1, (501, 4), 4), canceled(1, 4), canceled(1, 4)];
    // Risk books a fill once, by its execution id.
    let fill = "Fill 1: 4 of 4 by 501";
    assert_eq!(rig.hears(&mut venue, &twice), ["Accepted 1", fill, fill, "Canceled 1", "Canceled 1"]);
    assert_eq!(rig.gateway.on_wire(), 0);
    rig.wait(3_000);
    assert_eq!(venue.heard(), [""; 0]);
}

#[test]
fn a_fill_after_the_cancel_is_passed_on() {
    let (mut rig, mut venue) = Rig::working();
    let late = [canceled(1, 0), filled(1, (501, 4), 4)];
    assert_eq!(rig.hears(&mut venue, &late), ["Canceled 1", "Fill 1: 4 of 4 by 501"]);
}

#[test]
fn fills_that_are_missing_are_fetched() {
    let (mut rig, mut venue) = Rig::working();
    assert_eq!(rig.hears(&mut venue, &[filled(1, (502, 2), 5)]), ["Fill 1: 2 of 5 by 502"]);
    rig.wait(50);
    assert_eq!(venue.heard(), ["myTrades 1"]);
    assert_eq!(rig.noticed().last(), Some(&NoticeCode::MissingFill));
    // It ends meanwhile; it stays on the wire until its fills are told.
    assert_eq!(rig.hears(&mut venue, &[canceled(1, 5)]), ["Canceled 1"]);
    assert_eq!(rig.gateway.on_wire(), 1);
    let told = rig.hears(&mut venue, &[trades(1, &[(501, 3), (502, 2)])]);
    assert_eq!(told, ["Fill 1: 3 of 3 by 501", "Fill 1: 2 of 5 by 502"]);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn each_fill_dropped_in_turn_is_repaired() {
    let fills = [(501, 3), (502, 2), (503, 5)];
    for dropped in 0..fills.len() {
        let (mut rig, mut venue) = Rig::working();
        let mut cumulative = 0;
        let mut reports = Vec::new();
        for (index, &fill) in fills.iter().enumerate() {
            cumulative += fill.1;
            if index != dropped {
                reports.push(filled(1, fill, cumulative));
            }
        }
        let mut told = rig.hears(&mut venue, &reports);
        if dropped == 2 {
            // Nothing shows that the last one is missing until the order is asked about.
            drop(venue);
            rig.poll();
            rig.wait(500);
            venue = rig.session();
            venue.say(&standing(1, "FILLED", 10));
            rig.poll();
        }
        rig.wait(50);
        assert_eq!(venue.heard().last().map(String::as_str), Some("myTrades 1"), "without {dropped}");
        told.extend(rig.hears(&mut venue, &[trades(1, &fills)]));
        for fill in ["Fill 1: 3 of 3 by 501", "Fill 1: 2 of 5 by 502", "Fill 1: 5 of 10 by 503"] {
            assert!(told.iter().any(|told| told == fill), "{fill} without {dropped}: {told:?}");
        }
        assert_eq!(rig.gateway.on_wire(), 0);
    }
}

#[test]
fn a_refused_order_is_rejected_with_the_venues_code() {
    for (status, code) in [(400, -2010), (400, -1013), (400, -1021), (400, -1121)] {
        let (mut rig, mut venue) = Rig::ready();
        rig.place(1);
        rig.told();
        assert_eq!(rig.hears(&mut venue, &[refusal('p', id(1).0, status, code)]), [format!("Rejected 1: {code}")]);
        assert_eq!((rig.gateway.on_wire(), rig.counters.rejects.get()), (0, 1));
        assert_eq!(rig.noticed().last(), Some(&NoticeCode::Rejected));
    }
}

#[test]
fn an_answer_that_proves_nothing_makes_the_order_unknown_and_it_is_asked_about() {
    for (status, code) in [(503, -1000), (500, -2010), (400, -1006), (400, -1007), (400, -9999)] {
        let (mut rig, mut venue) = Rig::ready();
        rig.place(1);
        rig.told();
        venue.heard();
        assert_eq!(rig.hears(&mut venue, &[refusal('p', id(1).0, status, code)]), ["Unknown 1"], "{status} {code}");
        assert_eq!(venue.heard(), ["order.status 1"]);
        assert_eq!(rig.hears(&mut venue, &[standing(1, "NEW", 0)]), ["Status 1: Accepted"]);
        rig.wait(3_000);
        assert_eq!((venue.heard(), rig.gateway.on_wire()), (Vec::new(), 1));
    }
}

#[test]
fn an_unanswered_order_is_unknown_and_asked_about() {
    let (mut rig, mut venue) = Rig::ready();
    rig.place(1);
    assert_eq!(rig.told(), ["Sent 1"]);
    venue.heard();
    rig.wait(1_950);
    assert_eq!(rig.told(), [""; 0]);
    rig.wait(100);
    assert_eq!((rig.told(), venue.heard()), (vec!["Unknown 1".to_owned()], vec!["order.status 1".to_owned()]));
    assert_eq!(rig.counters.timeouts.get(), 1);
    assert_eq!(rig.hears(&mut venue, &[standing(1, "CANCELED", 0)]), ["Status 1: Canceled"]);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn a_cancel_that_comes_too_late_is_refused_and_the_order_is_asked_about() {
    let (mut rig, mut venue) = Rig::working();
    rig.cancel(1);
    assert_eq!(venue.heard(), ["order.cancel 1"]);
    rig.cancel(1);
    assert_eq!(venue.heard(), [""; 0], "one is pending");
    assert_eq!(rig.hears(&mut venue, &[refusal('c', id(1).0, 400, -2011)]), ["CancelRejected 1: -2011"]);
    assert_eq!(venue.heard(), ["order.status 1"]);
    assert_eq!(rig.hears(&mut venue, &[standing(1, "FILLED", 10)]), ["Status 1: Filled"]);
    rig.wait(50);
    assert_eq!(venue.heard(), ["myTrades 1"]);
    assert_eq!(rig.hears(&mut venue, &[trades(1, &[(501, 10)])]), ["Fill 1: 10 of 10 by 501"]);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn a_cancel_whose_refusal_proves_nothing_is_tried_again() {
    for (status, code) in [(503, -1000), (400, -1007), (400, -9999)] {
        let (mut rig, mut venue) = Rig::working();
        rig.cancel(1);
        venue.heard();
        assert_eq!(rig.hears(&mut venue, &[refusal('c', id(1).0, status, code)]), ["Unknown 1"], "{status} {code}");
        assert_eq!(venue.heard(), [""; 0], "not at once, as it may go on");
        rig.wait(1_050);
        assert_eq!(venue.heard(), ["order.status 1"]);
        assert_eq!(rig.hears(&mut venue, &[standing(1, "NEW", 0)]), ["Status 1: Accepted"]);
        rig.wait(50);
        assert_eq!(venue.heard(), ["order.cancel 1"]);
        assert_eq!(rig.hears(&mut venue, &[canceled(1, 0)]), ["Canceled 1"]);
        assert_eq!(rig.gateway.on_wire(), 0);
    }
}

#[test]
fn an_unanswered_cancel_is_asked_about_and_tried_again() {
    let (mut rig, mut venue) = Rig::working();
    rig.cancel(1);
    venue.heard();
    rig.wait(2_050);
    assert_eq!((rig.told(), venue.heard()), (vec!["Unknown 1".to_owned()], vec!["order.status 1".to_owned()]));
    rig.hears(&mut venue, &[standing(1, "NEW", 0)]);
    rig.wait(50);
    assert_eq!(venue.heard(), ["order.cancel 1"]);
}

#[test]
fn a_cancel_that_overtakes_its_order_keeps_it_from_being_sent() {
    let (mut rig, mut venue) = Rig::ready();
    rig.queue_order(1);
    rig.queue_cancel(1);
    rig.queue_order(2);
    rig.poll();
    assert_eq!(
        (rig.told(), venue.heard()),
        (vec!["NotSent 1".to_owned(), "Sent 2".to_owned()], vec!["order.place 2".to_owned()])
    );
    // A cancel of an order that ended long ago asks nothing.
    rig.cancel(9);
    assert_eq!(venue.heard(), [""; 0]);
}

#[test]
fn an_order_that_finds_no_room_on_the_wire_never_leaves() {
    let mut rig = Rig::with(&Sizes { wire: 2, ..Sizes::default() });
    let mut venue = rig.session();
    rig.told();
    for sequence in 1..=3 {
        rig.place(sequence);
    }
    rig.wait(200);
    assert_eq!(rig.told(), ["Sent 1", "Sent 2", "NotSent 3"]);
    assert_eq!(venue.heard(), ["order.place 1", "order.place 2"]);
    assert_eq!(rig.hears(&mut venue, &[filled(1, (501, 10), 10)]), ["Fill 1: 10 of 10 by 501"]);
    rig.place(4);
    assert_eq!((rig.told(), venue.heard()), (vec!["Sent 4".to_owned()], vec!["order.place 4".to_owned()]));
}

#[test]
fn reports_that_find_no_room_wait_and_the_socket_with_them() {
    let mut rig = Rig::with(&Sizes { reports: 8, ..Sizes::default() });
    let mut venue = rig.session();
    rig.told();
    let before = rig.counters.frames.get();
    for sequence in 1..=3 {
        rig.place(sequence);
    }
    let mut told = rig.told();
    for sequence in 1..=3 {
        venue.say(&accepted(sequence));
        for fill in 1..=5 {
            venue.say(&filled(sequence, (sequence * 10 + fill, 2), 2 * fill as i64));
        }
    }
    rig.poll();
    let taken = rig.counters.frames.get();
    rig.poll();
    assert_eq!(rig.counters.frames.get(), taken, "the socket is left alone");
    assert!(taken - before < 18);
    for _ in 0..20 {
        told.extend(rig.told());
        rig.poll();
    }
    let mut expected: Vec<String> = (1..=3).map(|sequence| format!("Sent {sequence}")).collect();
    for sequence in 1..=3 {
        expected.push(format!("Accepted {sequence}"));
        expected.extend((1..=5).map(|fill| format!("Fill {sequence}: 2 of {} by {}", 2 * fill, sequence * 10 + fill)));
    }
    assert_eq!(told, expected);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn a_venue_that_does_not_read_gets_no_orders_and_holds_nobody_up() {
    let mut rig = Rig::with(&Sizes { pipe: 4, ..Sizes::default() });
    let mut venue = rig.session();
    rig.told();
    for sequence in 1..=6 {
        rig.place(sequence);
    }
    let told = rig.told();
    let sent = told.iter().filter(|told| told.starts_with("Sent")).count();
    assert!((1..6).contains(&sent), "{told:?}");
    assert!(told[sent..].iter().all(|told| told.starts_with("NotSent")), "{told:?}");
    // It reads again: what waited goes out, then new orders.
    let mut heard = venue.heard();
    rig.wait(100);
    heard.extend(venue.heard());
    assert_eq!(heard.len(), sent, "{heard:?}");
    rig.place(7);
    assert_eq!((rig.told(), venue.heard()), (vec!["Sent 7".to_owned()], vec!["order.place 7".to_owned()]));
}

#[test]
fn cancels_that_find_no_room_in_the_write_buffer_are_sent_later() {
    let mut rig = Rig::with(&Sizes { pipe: 64, wire: 4_000, ..Sizes::default() });
    rig.budget.learn(BudgetLimits { weight: 1_000_000, orders: 0 });
    let mut venue = rig.session();
    for sequence in 1..=4_000 {
        rig.place(sequence);
        venue.heard();
        venue.say(&acknowledged(sequence));
        rig.hears(&mut venue, &[accepted(sequence)]);
    }
    // More than the buffer holds.
    for sequence in 1..=4_000 {
        rig.queue_cancel(sequence);
        if sequence % 1_000 == 0 {
            rig.cycle();
        }
    }
    let mut heard = std::collections::BTreeSet::new();
    for _ in 0..400 {
        heard.extend(venue.heard().into_iter().filter(|heard| heard.starts_with("order.cancel")));
        rig.poll();
        rig.now = rig.now.plus(10_000_000);
    }
    assert_eq!(heard.len(), 4_000);
}

#[test]
fn samples_that_nobody_takes_are_dropped_and_counted() {
    let (mut rig, _venue) = Rig::ready();
    for sequence in 1..=5 {
        rig.place(sequence);
    }
    assert_eq!((rig.sent.drain(u64::MAX, |_| {}), rig.counters.samples_dropped.get()), (2, 3));
}

/// Everything that the venue can say of an order, and a ping in between.
fn script(rig: &mut Rig) -> Vec<String> {
    let mut venue = rig.session();
    for sequence in 1..=4 {
        rig.place(sequence);
    }
    for sequence in 1..=3 {
        venue.say(&acknowledged(sequence));
        venue.say(&accepted(sequence));
    }
    venue.write(&framed(9, b"are you there"));
    venue.say(&refusal('p', id(4).0, 400, -2010));
    venue.say(&filled(1, (501, 4), 4));
    venue.say(&execution(2, "EXPIRED", "EXPIRED", (0, 0), 0));
    venue.say(&filled(1, (502, 6), 10));
    venue.say(&canceled(3, 0));
    rig.poll();
    let mut told = rig.told();
    told.extend(venue.heard());
    told
}

#[test]
fn frames_that_come_byte_by_byte_say_the_same() {
    let whole = script(&mut Rig::new());
    assert_eq!(whole.len(), 7 + 4 + 3 + 5 + 5, "{whole:?}");
    assert_eq!(script(&mut Rig::byte_by_byte()), whole);
}

#[test]
fn that_an_order_does_not_exist_is_believed_late_and_when_said_twice() {
    let (mut rig, mut venue) = Rig::ready();
    rig.place(1);
    drop(venue);
    rig.wait(500);
    venue = rig.session();
    let written = rig.now;
    let mut questions = 0;
    let mut told = rig.told();
    // The last question but one is the first that counts.
    for _ in 0..60 {
        rig.wait(500);
        for heard in venue.heard() {
            if heard == "order.status 1" {
                questions += 1;
                venue.say(&refusal('q', id(1).0, 400, -2013));
            }
        }
        told.extend(rig.told());
        let elapsed = rig.now.since(written);
        if elapsed < ACCEPTANCE_LIMIT_NS - 1_000_000_000 {
            assert_eq!(rig.gateway.on_wire(), 1, "after {elapsed} ns");
        }
    }
    assert_eq!(rig.gateway.on_wire(), 0);
    assert!((10..=20).contains(&questions), "{questions}");
    assert_eq!(told.last().map(String::as_str), Some("Status 1: Rejected"));
    assert_eq!(told.iter().filter(|told| *told == "Unknown 1").count(), 1, "{told:?}");
    assert_eq!(venue_id(1), 71);
}
