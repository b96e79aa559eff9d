//! Sessions that begin, break and begin again.

use super::rig::{
    Rig, Sizes, Venue, accepted, canceled, execution, filled, framed, id, refusal, standing, trades, without_rounds,
};
use crate::types::NoticeCode;
use crate::venue::connection::Arrival;
use crate::venue::{ByteStream, MemoryPipe, StreamError};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_session_logs_on_subscribes_and_is_ready() {
    let mut rig = Rig::new();
    rig.poll();
    assert_eq!(rig.connects_wanted(), 1);
    rig.place(1);
    assert_eq!(rig.told(), ["NotSent 1"], "nobody is connected");
    let mut venue = rig.connect();
    assert_eq!(rig.told(), ["session LoggingOn"]);
    rig.place(2);
    assert_eq!(rig.told(), ["NotSent 2"]);
    rig.log_on(&mut venue);
    let round = ["round Begun", "round Ended { is_conclusive: true }"];
    let steps = ["session LoggingOn", "session Reconciling", round[0], round[1], "session Ready", "reports up true"];
    assert_eq!(rig.told(), steps);
    assert_eq!(rig.noticed(), [NoticeCode::Connected, NoticeCode::SessionReady]);
    assert_eq!((rig.counters.not_sent.get(), rig.connects_wanted()), (2, 0));
}

#[test]
fn a_cut_after_the_write_makes_the_order_unknown_until_the_venue_tells() {
    let (mut rig, venue) = Rig::ready();
    rig.connects_wanted();
    rig.place(1);
    drop(venue);
    rig.poll();
    assert_eq!(rig.told(), ["Sent 1", "session Down", "Unknown 1"]);
    assert_eq!(rig.retired.try_iter().count(), 1, "the old connection is given back");
    rig.place(2);
    assert_eq!(rig.told(), ["NotSent 2"]);
    assert_eq!(rig.connects_wanted(), 0, "not at once");
    rig.wait(300);
    assert_eq!(rig.connects_wanted(), 1);
    let mut venue = rig.session();
    assert_eq!(rig.told()[2..], ["session Reconciling", "round Begun", "round Ended { is_conclusive: true }"]);
    assert_eq!(venue.heard(), ["order.status 1"], "which was not among the open orders");
    rig.place(3);
    assert_eq!(rig.told(), ["NotSent 3"], "not before the venue said where order 1 stands");
    assert_eq!(
        rig.hears(&mut venue, &[standing(1, "NEW", 0)]),
        ["Status 1: Accepted", "session Ready", "reports up true"]
    );
    rig.place(4);
    assert_eq!((rig.told(), venue.heard()), (vec!["Sent 4".to_owned()], vec!["order.place 4".to_owned()]));
}

#[test]
fn fills_of_a_cut_session_are_fetched_before_new_orders() {
    let (mut rig, venue) = Rig::working();
    drop(venue);
    rig.poll();
    assert_eq!(rig.told(), ["session Down"], "an acknowledged order is not unknown");
    rig.wait(300);
    let mut venue = rig.session();
    rig.told();
    assert_eq!(venue.heard(), ["order.status 1"]);
    assert_eq!(rig.hears(&mut venue, &[standing(1, "FILLED", 10)]), ["Status 1: Filled"]);
    rig.wait(50);
    assert_eq!(venue.heard(), ["myTrades 1"]);
    // The venue's trades lag behind: what is missing is asked for again.
    assert_eq!(rig.hears(&mut venue, &[trades(1, &[(501, 4)])]), ["Fill 1: 4 of 4 by 501"]);
    rig.place(2);
    assert_eq!(rig.told(), ["NotSent 2"]);
    rig.wait(1_050);
    assert!(venue.heard().contains(&"myTrades 1".to_owned()));
    let told = without_rounds(rig.hears(&mut venue, &[trades(1, &[(501, 4), (502, 6)])]));
    assert_eq!(told, ["Fill 1: 4 of 4 by 501", "Fill 1: 6 of 10 by 502", "session Ready", "reports up true"]);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn an_order_that_the_venue_does_not_have_yet_keeps_no_other_from_trading() {
    let (mut rig, venue) = Rig::ready();
    rig.place(1);
    drop(venue);
    rig.wait(300);
    let mut venue = rig.session();
    rig.told();
    venue.heard();
    assert_eq!(rig.hears(&mut venue, &[refusal('q', id(1).0, 400, -2013)]), ["session Ready", "reports up true"]);
    rig.place(2);
    assert_eq!(rig.told(), ["Sent 2"]);
    // It was under way all the while, and is accepted late.
    assert_eq!(rig.hears(&mut venue, &[accepted(1)]), ["Accepted 1"]);
    assert_eq!(rig.gateway.on_wire(), 2);
}

#[test]
fn a_cancel_wanted_while_down_is_sent_after_the_reconnect() {
    let (mut rig, venue) = Rig::working();
    drop(venue);
    rig.poll();
    rig.cancel(1);
    rig.wait(300);
    let mut venue = rig.session();
    rig.wait(50);
    assert_eq!(venue.heard(), ["order.cancel 1", "order.status 1"]);
    rig.told();
    let told = rig.hears(&mut venue, &[canceled(1, 0)]);
    assert_eq!(told, ["Canceled 1", "session Ready", "reports up true"]);
}

#[test]
fn a_cancel_of_an_order_in_doubt_waits_until_the_venue_has_it() {
    let (mut rig, venue) = Rig::ready();
    rig.place(1);
    drop(venue);
    rig.poll();
    rig.cancel(1);
    rig.wait(300);
    let mut venue = rig.session();
    assert_eq!(venue.heard(), ["order.status 1"]);
    rig.hears(&mut venue, &[standing(1, "NEW", 0)]);
    rig.wait(50);
    assert_eq!(venue.heard(), ["order.cancel 1"]);
}

#[test]
fn what_cannot_be_understood_gives_the_session_up_and_every_order_is_asked_about() {
    let unknown = execution(1, "SOMETHING_NEW", "NEW", (0, 0), 0);
    for frame in [b"{\"e\":\"executionRep".to_vec(), unknown.to_string().into_bytes()] {
        let (mut rig, mut venue) = Rig::working();
        rig.noticed();
        venue.write(&framed(1, &frame));
        rig.poll();
        assert_eq!(rig.told(), ["session Down"]);
        assert_eq!(rig.counters.bad_frames.get(), 1);
        assert!(rig.noticed().contains(&NoticeCode::BadOrderFrame));
        rig.wait(300);
        let mut venue = rig.session();
        assert_eq!(venue.heard(), ["order.status 1"]);
        rig.told();
        assert_eq!(
            rig.hears(&mut venue, &[standing(1, "NEW", 0)]),
            ["Status 1: Accepted", "session Ready", "reports up true"]
        );
    }
}

#[test]
fn a_session_that_is_about_to_end_is_replaced_before_it_does() {
    for seconds in [1, 100] {
        let (mut rig, mut old) = Rig::working();
        rig.connects_wanted();
        for _ in 0..seconds {
            rig.wait(1_000);
            old.write(&framed(10, b""));
        }
        old.say(&json!({"e": "serverShutdown", "E": 1}));
        rig.poll();
        assert_eq!(rig.connects_wanted(), 1, "at once, {seconds} s after the connection was made");
        // The old session serves until the new connection is there.
        old.heard();
        rig.place(2);
        assert_eq!((rig.told(), old.heard()), (vec!["Sent 2".to_owned()], vec!["order.place 2".to_owned()]));
        assert_eq!(rig.hears(&mut old, &[accepted(2)]), ["Accepted 2"]);
        let mut new = rig.connect();
        assert_eq!(rig.told(), ["session Down", "session LoggingOn"]);
        assert_eq!(rig.retired.try_iter().count(), 1);
        rig.log_on(&mut new);
        rig.told();
        assert_eq!(new.heard(), ["order.status 1", "order.status 2"]);
        let told = rig.hears(&mut new, &[standing(1, "NEW", 0), standing(2, "NEW", 0)]);
        assert_eq!(told.last().map(String::as_str), Some("reports up true"));
        rig.wait(1_000);
        assert_eq!(rig.connects_wanted(), 0);
    }
}

#[test]
fn a_session_that_ends_while_its_successor_is_made_asks_once() {
    let (mut rig, mut old) = Rig::ready();
    rig.wait(10_000);
    old.write(&framed(10, b""));
    rig.connects_wanted();
    old.say(&json!({"e": "serverShutdown", "E": 1}));
    rig.poll();
    drop(old);
    rig.wait(5_000);
    assert_eq!(rig.connects_wanted(), 1);
    rig.session();
    assert_eq!(rig.told().last().map(String::as_str), Some("reports up true"));
}

#[test]
fn a_connection_that_arrived_unasked_is_not_used_when_it_is_old() {
    let (mut rig, venue) = Rig::ready();
    let (near, _far) = MemoryPipe::pair(16);
    rig.connect_over(Box::new(near));
    rig.wait(1_000);
    rig.told();
    drop(venue);
    rig.poll();
    assert_eq!(rig.told(), ["session Down"]);
    assert_eq!(rig.retired.try_iter().count(), 2);
}

#[test]
fn a_venue_that_falls_silent_is_pinged_and_then_given_up() {
    let (mut rig, mut venue) = Rig::working();
    rig.wait(4_900);
    assert_eq!(venue.heard(), [""; 0]);
    rig.wait(200);
    assert_eq!(venue.heard(), ["ping"]);
    venue.write(&framed(10, b""));
    rig.wait(4_900);
    assert_eq!((venue.heard(), rig.told()), (Vec::new(), Vec::new()));
    rig.wait(5_200);
    assert_eq!(venue.heard(), ["ping", "ping"]);
    rig.wait(5_000);
    assert_eq!(rig.told(), ["session Down"]);
    assert_eq!(rig.counters.disconnects.get(), 1);
}

#[test]
fn pings_are_answered_with_their_payload() {
    let (mut rig, mut venue) = Rig::ready();
    venue.write(&framed(9, b"1700000000"));
    rig.poll();
    assert_eq!(venue.heard(), ["pong 1700000000"]);
}

#[test]
fn a_refused_log_on_is_told_and_tried_again_ever_later() {
    let mut rig = Rig::new();
    rig.poll();
    let mut waits = Vec::new();
    for _ in 0..8 {
        assert_eq!(rig.connects_wanted(), 1);
        let mut venue = rig.connect();
        assert_eq!(venue.heard(), ["session.logon"]);
        venue.say(&refusal('l', 0, 401, -2015));
        rig.poll();
        assert_eq!(rig.noticed(), [NoticeCode::Connected, NoticeCode::Misconfigured, NoticeCode::Disconnected]);
        let start = rig.now;
        for _ in 0..1_000 {
            rig.wait(50);
            if rig.has_request() {
                break;
            }
        }
        waits.push(rig.now.since(start) / 1_000_000);
    }
    assert!(waits[0] <= 300 && waits[7] >= 15_000 && waits[7] <= 30_100, "{waits:?}");
    assert!(waits.is_sorted(), "{waits:?}");
}

#[test]
fn a_log_on_that_is_not_answered_is_given_up() {
    let mut rig = Rig::new();
    rig.poll();
    let mut venue = rig.connect();
    rig.wait(5_000);
    venue.write(&framed(10, b""));
    rig.wait(5_200);
    assert_eq!(rig.told(), ["session LoggingOn", "session Down"]);
}

#[test]
fn a_connection_that_cannot_be_made_is_asked_for_after_what_the_venue_wants() {
    let mut rig = Rig::new();
    rig.poll();
    assert_eq!(rig.connects_wanted(), 1);
    rig.arrive(Arrival::Failed { retry_after_s: Some(90) });
    rig.wait(89_900);
    assert_eq!(rig.connects_wanted(), 0);
    rig.wait(200);
    assert_eq!(rig.connects_wanted(), 1);
    // No answer at all: asked again after a minute.
    rig.wait(59_000);
    assert_eq!(rig.connects_wanted(), 0);
    rig.wait(2_000);
    assert_eq!(rig.connects_wanted(), 1);
}

#[test]
fn sessions_that_end_soon_are_tried_within_the_venues_budget() {
    let mut rig = Rig::new();
    let mut connects = 0;
    let end = rig.now.plus(300_000_000_000);
    while rig.now < end {
        rig.wait(50);
        if rig.connects_wanted() > 0 {
            connects += 1;
            drop(rig.session());
            rig.poll();
            rig.told();
        }
    }
    assert!((10..100).contains(&connects), "{connects} connections in five minutes");
}

/// A stream on which nothing comes any more, and whose writes fail when told so.
struct Dying {
    pipe: MemoryPipe,
    is_dead: Arc<AtomicBool>,
}

impl ByteStream for Dying {
    fn try_read(&mut self, buffer: &mut [u8]) -> Result<usize, StreamError> {
        self.pipe.try_read(buffer)
    }

    fn try_write(&mut self, bytes: &[u8]) -> Result<usize, StreamError> {
        if self.is_dead.load(Ordering::Relaxed) {
            return Err(StreamError::Io(std::io::ErrorKind::BrokenPipe));
        }
        self.pipe.try_write(bytes)
    }
}

#[test]
fn a_write_that_fails_ends_the_session_though_nothing_is_read() {
    for with_cancel in [false, true] {
        let mut rig = Rig::new();
        rig.poll();
        let (near, far) = MemoryPipe::pair(64);
        let is_dead = Arc::new(AtomicBool::new(false));
        rig.connect_over(Box::new(Dying { pipe: near, is_dead: Arc::clone(&is_dead) }));
        let mut venue = Venue::over(far);
        rig.log_on(&mut venue);
        rig.place(1);
        rig.hears(&mut venue, &[accepted(1)]);
        is_dead.store(true, Ordering::Relaxed);
        if with_cancel {
            rig.cancel(1);
            assert_eq!(rig.told(), ["session Down"]);
        } else {
            rig.place(2);
            assert_eq!(rig.told(), ["Sent 2", "session Down", "Unknown 2"]);
        }
    }
}

#[test]
fn a_broken_session_is_left_even_while_risk_has_no_room() {
    let mut rig = Rig::with(&Sizes { reports: 8, ..Sizes::default() });
    rig.poll();
    let (near, far) = MemoryPipe::pair(64);
    let is_dead = Arc::new(AtomicBool::new(false));
    rig.connect_over(Box::new(Dying { pipe: near, is_dead: Arc::clone(&is_dead) }));
    let mut venue = Venue::over(far);
    rig.log_on(&mut venue);
    for sequence in 1..=3 {
        rig.place(sequence);
    }
    is_dead.store(true, Ordering::Relaxed);
    rig.place(4);
    assert_eq!(rig.counters.disconnects.get(), 1);
    let mut told = Vec::new();
    for _ in 0..10 {
        told.extend(rig.told());
        rig.poll();
    }
    assert_eq!(told[told.len() - 5..], ["session Down", "Unknown 1", "Unknown 2", "Unknown 3", "Unknown 4"]);
}

#[test]
fn reports_are_taken_while_reconciling() {
    let (mut rig, venue) = Rig::working();
    drop(venue);
    rig.wait(300);
    let mut venue = rig.session();
    rig.told();
    // The order ends before the question about it is answered.
    let told = rig.hears(&mut venue, &[filled(1, (501, 10), 10)]);
    assert_eq!(told, ["Fill 1: 10 of 10 by 501", "session Ready", "reports up true"]);
    assert_eq!(rig.hears(&mut venue, &[standing(1, "FILLED", 10)]), ["Status 1: Filled"]);
}
