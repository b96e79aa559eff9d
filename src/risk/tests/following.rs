//! Verdicts that are followed where they were recorded, whatever this program would decide.

use super::rig::{Rig, config, deny_all};
use crate::backtest::Difference;
use crate::types::*;

#[test]
fn what_was_sent_and_denied_is_so_again_under_limits_that_deny_everything() {
    let config = config();
    let mut rig = Rig::new(&config);
    let [first, second, third] =
        [(Side::Buy, 10), (Side::Sell, 5), (Side::Buy, 7)].map(|(side, size)| rig.place(side, size));
    rig.tell(first, ReportKind::Accepted);
    rig.fill(first, 1, 4);
    // Denied: too large; the same id once more; the gateway could not write one.
    let large = rig.intent(Side::Buy, 51);
    rig.send(&large).expect("room");
    let mut again = rig.intent(Side::Buy, 3);
    again.order.client_order_id = first;
    rig.send(&again).expect("room");
    rig.poll();
    assert_eq!(rig.denials().len(), 2);
    rig.tell(second, ReportKind::NotSent);
    // A market order as risk made it, and one that takes another's place.
    let mut market = rig.intent(Side::Buy, 6);
    (market.order.order_type, market.order.price) = (OrderType::Market, Price::ZERO);
    rig.send(&market).expect("room");
    rig.poll();
    rig.report(ExecutionReport { venue_order_id: 9, client_order_id: third, ..ExecutionReport::default() });
    rig.tell(third, ReportKind::Accepted);
    let replacement = rig.replace(third, 9);
    assert_eq!(rig.order(third).status, OrderStatus::PendingReplace);
    rig.cancel(first);
    rig.poll();
    let replay = rig.follows(&config, &[], None).expect("the same");
    let orders = replay.risk().orders();
    for id in [first, second, third, replacement] {
        assert_eq!(
            orders.get(id).map(|held| (held.status, held.worst_price)),
            Some((rig.order(id).status, rig.order(id).worst_price))
        );
    }
    assert_eq!(orders.get(large.order.client_order_id), None);
    assert_eq!(
        replay.risk().denied().map(|(reason, _)| reason).collect::<Vec<_>>(),
        rig.denials().iter().map(|(reason, _)| *reason).collect::<Vec<_>>()
    );
}

#[test]
fn orders_that_a_full_lane_denied_end_as_denied() {
    let config = config();
    let mut rig = Rig::with_lanes_of(&config, 2);
    let intents = [2, 3, 4, 5].map(|size| rig.intent(Side::Buy, size));
    for intent in &intents {
        rig.send(intent).expect("room");
    }
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::GatewayBusy, 2)]);
    let replay = rig.follows(&config, &[], None).expect("the same");
    for intent in &intents {
        let id = intent.order.client_order_id;
        assert_eq!(replay.risk().orders().get(id).map(|held| held.status), Some(rig.order(id).status));
    }
    // So do they where the crash cut off that the lane was full.
    let full = rig.entries.iter().position(|entry| matches!(entry.event, Event::Full { .. })).expect("one");
    rig.entries.truncate(full);
    rig.follows(&config, &[], None).expect("the same");
}

#[test]
fn an_order_whose_verdict_was_cut_off_was_never_sent() {
    let config = config();
    let mut rig = Rig::new(&config);
    let kept = rig.place(Side::Buy, 10);
    let cut = rig.place(Side::Buy, 5);
    let is_cut = |entry: &Entry| matches!(entry.event, Event::Approved { order, .. } if order.client_order_id == cut);
    let end = rig.entries.iter().position(is_cut).expect("approved");
    let whole = rig.entries.clone();
    rig.entries.truncate(end);
    let mut other = Rig::new(&config);
    other.entries = std::mem::take(&mut rig.entries);
    let replay = other.followed(&deny_all(&config)).expect("no order is lost");
    assert_eq!(replay.risk().orders().get(kept).map(|held| held.status), Some(OrderStatus::Created));
    assert_eq!(replay.risk().orders().get(cut), None);
    assert_eq!(replay.risk().denied().collect::<Vec<_>>(), [(DenialReason::JournalUnavailable, 1)]);
    // One that is said to be sent and was never taken cannot be entered: that is told.
    let mut orphaned = whole;
    orphaned
        .retain(|entry| !matches!(entry.event, Event::Intent { intent, .. } if intent.order.client_order_id == cut));
    other.entries = orphaned;
    let lost: Result<_, Box<Difference>> = other.followed(&deny_all(&config));
    let recorded = lost.err().and_then(|difference| difference.recorded).map(|entry| entry.event);
    assert!(matches!(recorded, Some(Event::Approved { order, .. }) if order.client_order_id == cut));
}
