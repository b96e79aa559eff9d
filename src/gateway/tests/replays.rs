//! What a gateway writes down, and what comes of it in replay. That every other test's run replays to the same is looked at
//! by the rig, at its end.

use super::rig::{
    Rig, Sizes, accepted, acknowledged, balances, canceled, fill_row, filled, framed, id, replay, standing,
};
use crate::gateway::OpenOrder;
use crate::types::{BudgetReading, Disconnect, Entry, Event, FramePart, Order, Price, Quantity, Refuser, Timestamp};
use crate::venue::budget::{BudgetLimits, BudgetUse};

/// What it wrote down so far, without cycles.
fn written(rig: &Rig) -> Vec<Event> {
    rig.entries.iter().map(|entry| entry.event).filter(|event| *event != Event::Cycle).collect()
}

/// A run with a bit of everything in it.
fn run() -> Rig {
    let (mut rig, mut venue) = Rig::working();
    rig.cancel(1);
    rig.hears(&mut venue, &[filled(1, (501, 4), 4), canceled(1, 4)]);
    rig.place(2);
    rig.hears(&mut venue, &[acknowledged(2), accepted(2)]);
    drop(venue);
    rig.wait(1_000);
    rig
}

#[test]
fn a_poll_in_which_nothing_happens_writes_nothing() {
    let (mut rig, mut venue) = Rig::working();
    rig.budget.learn(BudgetLimits { weight: 1_000, orders: 100 });
    rig.budget.observe(BudgetUse { weight: 1_000, orders: 0 }, rig.now);
    rig.wait(1_000);
    // A cancel that may not go: it waits in every poll.
    rig.cancel(1);
    rig.queue_cancel_all(0);
    rig.wait(100);
    let before = rig.entries.len();
    rig.wait(2_000);
    assert_eq!(rig.entries.len(), before);
    rig.idle(&mut venue, 60_000);
    assert!(venue.heard().contains(&"order.cancel 1".to_owned()));
    let refused = |event: &Event| matches!(event, Event::Refused { by: Refuser::Budget, .. });
    assert!(written(&rig).iter().any(refused), "what the order's cycle was refused");
}

#[test]
fn what_is_taken_is_written_in_its_order() {
    let rig = run();
    let all = written(&rig);
    let place = |wanted: &dyn Fn(&Event) -> bool| all.iter().position(wanted).expect("written");
    let of = |sequence| move |event: &Event| matches!(event, Event::Order { order, .. } if order.client_order_id == id(sequence));
    let places = [
        place(&|event| *event == Event::Connected { number: 1 }),
        place(&|event| matches!(event, Event::Frame { .. })),
        place(&of(1)),
        place(&|event| matches!(event, Event::OrderCancel(cancel) if cancel.client_order_id == id(1))),
        place(&of(2)),
        place(&|event| matches!(event, Event::Disconnected { reason: Disconnect::Stream, is_read: true })),
    ];
    assert!(places.is_sorted(), "{places:?}");
    assert!(all.iter().any(|event| matches!(event, Event::Hash { .. })));
    assert!(all.iter().any(|event| matches!(event, Event::Budget(BudgetReading::Used { .. }))));
}

/// Entries with the first event changed that `edit` changes.
fn edited(rig: &Rig, edit: impl Fn(&mut Event) -> bool) -> Vec<Entry> {
    let mut entries = rig.entries.clone();
    let changed = entries.iter_mut().find_map(|entry| edit(&mut entry.event).then_some(()));
    assert_eq!(changed, Some(()), "there is such an entry");
    entries
}

#[test]
fn whatever_was_another_shows() {
    let rig = run();
    type Edit = fn(&mut Event) -> bool;
    let edits: [(&str, Edit); 6] = [
        ("an order", |event| match event {
            Event::Order { order, .. } => {
                order.quantity.0 += 1;
                true
            }
            _ => false,
        }),
        ("a refusal", |event| match event {
            Event::Full { .. } | Event::Order { .. } => {
                *event = Event::Refused { by: Refuser::Unsent, from: 0, count: 1 };
                true
            }
            _ => false,
        }),
        ("a frame", |event| match event {
            Event::Frame { part, .. } => {
                *part = FramePart::default();
                part.push(b"{}");
                true
            }
            _ => false,
        }),
        ("a connection", |event| match event {
            Event::Connected { .. } => {
                *event = Event::CaughtUp;
                true
            }
            _ => false,
        }),
        ("a ledger", |event| match event {
            Event::Budget(BudgetReading::Used { used_weight, .. }) => {
                *used_weight += 1_000;
                true
            }
            _ => false,
        }),
        ("a hash", |event| match event {
            Event::Hash { digest, .. } => {
                *digest ^= 1;
                true
            }
            _ => false,
        }),
    ];
    let (_, told) = replay(&rig.start, &rig.instruments, &rig.entries).expect("the same");
    for (what, edit) in edits {
        let again = replay(&rig.start, &rig.instruments, &edited(&rig, edit));
        let is_same =
            again.is_ok_and(|(again, others)| others == told && again.gateway().digest() == rig.gateway.digest());
        assert!(!is_same, "{what}");
    }
}

#[test]
fn a_cycle_that_a_crash_cut_short_is_no_difference() {
    let rig = run();
    for cut in 0..rig.entries.len() {
        let mut told = Vec::new();
        let mut again = crate::backtest::GatewayReplay::new(&rig.start, &rig.instruments);
        let entries = rig.entries.iter().take(cut);
        let outcome: Result<Vec<()>, _> =
            entries.map(|entry| again.next(entry, &mut |entry| told.push(entry))).collect();
        assert!(outcome.is_ok(), "cut at {cut}: {outcome:#?}");
    }
}

#[test]
fn orders_of_an_earlier_run_are_among_what_it_begins_with() {
    let order = Order { client_order_id: id(1), price: Price(10_000), quantity: Quantity(10), ..Order::default() };
    let open = OpenOrder {
        order,
        venue_order_id: 71,
        booked: Quantity(4),
        written_ns: Timestamp::from_millis(1),
        is_cancel_wanted: true,
    };
    let mut rig = Rig::with(&Sizes { open_orders: vec![open], ..Sizes::default() });
    let mut venue = rig.session();
    rig.hears(&mut venue, &[standing(1, "NEW", 4)]);
    rig.wait(100);
    assert!(venue.heard().contains(&"order.cancel 1".to_owned()));
    rig.hears(&mut venue, &[canceled(1, 4)]);
    assert_eq!(rig.gateway.on_wire(), 0);
}

#[test]
fn an_answer_of_many_rows_is_one_frame_in_many_entries() {
    let mut rig = Rig::new();
    rig.poll();
    let mut venue = rig.connect();
    rig.subscribe(&mut venue);
    let fills: Vec<_> = (1..=200).map(|number| fill_row(number, (500 + number, 1))).collect();
    rig.round(&mut venue, &balances(&[]), &[], &fills);
    let parts: Vec<u32> = written(&rig)
        .iter()
        .filter_map(|event| match event {
            Event::Frame { rest, .. } => Some(*rest),
            _ => None,
        })
        .collect();
    assert!(parts.iter().any(|rest| *rest > 10_000), "{parts:?}");
    assert!(rig.told().iter().filter(|told| told.starts_with("Fill")).count() == 200);
}

#[test]
fn a_session_that_breaks_as_it_is_read_or_looked_after_is_told_apart() {
    let (mut rig, mut venue) = Rig::working();
    venue.write(&framed(8, &[3, 233]));
    rig.poll();
    rig.wait(300);
    let venue = rig.session();
    rig.wait(16_000);
    drop(venue);
    let lost: Vec<Event> =
        written(&rig).into_iter().filter(|event| matches!(event, Event::Disconnected { .. })).collect();
    assert_eq!(lost[0], Event::Disconnected { reason: Disconnect::Closed(1_001), is_read: true });
    assert!(matches!(lost[1], Event::Disconnected { reason: Disconnect::Silent(_), is_read: false }), "{lost:?}");
}
