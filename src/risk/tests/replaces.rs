//! Orders that take the place of another: what is reserved for the pair, and what becomes of each.

use super::rig::{Rig, config, fill};
use crate::types::*;
use proptest::prelude::*;

/// A working order of `quantity`, its messages taken.
fn working(rig: &mut Rig, quantity: i64) -> ClientOrderId {
    let id = rig.place(Side::Buy, quantity);
    rig.tell(id, ReportKind::Accepted);
    rig.gateway_orders.drain(u64::MAX, |_| {});
    rig.updates(0);
    id
}

fn status(rig: &Rig, id: ClientOrderId) -> OrderStatus {
    rig.order(id).status
}

#[test]
fn an_unfilled_order_is_replaced_and_the_larger_is_reserved() {
    for (quantity, width) in [(20, 20), (10, 10), (4, 10)] {
        let mut rig = Rig::new(&config());
        let old = working(&mut rig, 10);
        let new = rig.replace(old, quantity);
        let approved = rig.gateway_orders.next().map(|approved| (*approved.order(), approved.only_if_unfilled()));
        let (order, only_if_unfilled) = approved.expect("approved");
        assert_eq!((order.client_order_id, order.replaces, order.quantity.0), (new, old, quantity));
        assert!(only_if_unfilled);
        assert_eq!((status(&rig, old), rig.exposure()), (OrderStatus::PendingReplace, (0, width)));
        assert_eq!(rig.updates(0), [(old, OrderStatus::PendingReplace)]);
        rig.tell(new, ReportKind::Sent);
        rig.tell(old, ReportKind::Canceled);
        assert_eq!(rig.exposure(), (0, i128::from(quantity)));
        rig.tell(new, ReportKind::Accepted);
        assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::Canceled, OrderStatus::Accepted));
        assert_eq!(rig.exposure(), (0, i128::from(quantity)));
        rig.report(fill(new, 1, quantity, quantity));
        assert_eq!(
            (status(&rig, new), rig.exposure()),
            (OrderStatus::Filled, (i128::from(quantity), i128::from(quantity)))
        );
    }
}

#[test]
fn of_a_filled_order_the_rest_is_sent_and_both_are_reserved() {
    let mut rig = Rig::new(&config());
    let old = working(&mut rig, 10);
    rig.report(fill(old, 1, 4, 4));
    let new = rig.replace(old, 15);
    let approved = rig.gateway_orders.next().map(|approved| (approved.order().quantity.0, approved.only_if_unfilled()));
    assert_eq!(approved, Some((11, false)), "15 in all, of which 4 are filled");
    assert_eq!(rig.exposure(), (4, 4 + 6 + 11));
    // Another fill before the cancel, and then both fill as far as they can.
    rig.report(fill(old, 2, 5, 9));
    assert_eq!(rig.exposure(), (9, 9 + 1 + 11));
    rig.tell(old, ReportKind::Canceled);
    rig.report(fill(new, 3, 11, 11));
    assert_eq!(rig.exposure(), (20, 20));
}

#[test]
fn a_fill_before_the_cancel_makes_the_venue_refuse_and_the_old_order_goes_on() {
    let mut rig = Rig::new(&config());
    let old = working(&mut rig, 10);
    let new = rig.replace(old, 12);
    rig.report(fill(old, 1, 3, 3));
    assert_eq!((status(&rig, old), rig.exposure()), (OrderStatus::PendingReplace, (3, 15)));
    rig.tell(old, ReportKind::CancelRejected);
    rig.tell(new, ReportKind::Rejected);
    assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::PartiallyFilled, OrderStatus::Rejected));
    assert_eq!(rig.exposure(), (3, 10));
    let again = rig.replace(old, 12);
    assert_eq!((status(&rig, old), rig.order(again).order.quantity), (OrderStatus::PendingReplace, Quantity(9)));
    assert_eq!(rig.exposure(), (3, 3 + 7 + 9));
}

#[test]
fn the_old_order_canceled_and_the_new_one_refused_leaves_nothing() {
    for refused_first in [true, false] {
        let mut rig = Rig::new(&config());
        let old = working(&mut rig, 10);
        let new = rig.replace(old, 12);
        let told = [(new, ReportKind::Rejected), (old, ReportKind::Canceled)];
        for (id, kind) in if refused_first { told } else { [told[1], told[0]] } {
            rig.tell(id, kind);
        }
        assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::Canceled, OrderStatus::Rejected));
        assert_eq!((rig.exposure(), rig.risk.holdings()[0].open_orders), ((0, 0), 0));
    }
}

#[test]
fn a_replacement_that_never_left_lets_the_old_order_go_on() {
    let mut rig = Rig::new(&config());
    let old = working(&mut rig, 10);
    let new = rig.replace(old, 12);
    rig.tell(new, ReportKind::NotSent);
    assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::Accepted, OrderStatus::Denied));
    assert_eq!(rig.exposure(), (0, 10));
    // The same where the gateway has no room.
    let mut rig = Rig::with_lanes_of(&config(), 2);
    let old = working(&mut rig, 10);
    rig.place(Side::Buy, 2);
    rig.place(Side::Buy, 2);
    let new = rig.replace(old, 12);
    assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::Accepted, OrderStatus::Denied));
    assert_eq!(rig.exposure(), (0, 14));
}

#[test]
fn without_an_answer_both_keep_their_reserve_until_each_is_proven() {
    let mut rig = Rig::new(&config());
    let old = working(&mut rig, 10);
    let new = rig.replace(old, 12);
    rig.tell(old, ReportKind::Unknown);
    rig.tell(new, ReportKind::Unknown);
    assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::Unknown, OrderStatus::Unknown));
    assert_eq!(rig.exposure(), (0, 12));
    // Found working: its replacement may still come, so it cannot be replaced again.
    rig.report(ExecutionReport {
        client_order_id: old,
        kind: ReportKind::Status,
        status: OrderStatus::Accepted,
        ..ExecutionReport::default()
    });
    assert_eq!((status(&rig, old), rig.exposure()), (OrderStatus::Accepted, (0, 12)));
    rig.replace(old, 11);
    assert_eq!(rig.denial(), Some((DenialReason::OrderNotAmendable, 2, 5)));
    rig.report(ExecutionReport {
        client_order_id: new,
        kind: ReportKind::Status,
        status: OrderStatus::Rejected,
        ..ExecutionReport::default()
    });
    assert_eq!((status(&rig, old), rig.exposure()), (OrderStatus::Accepted, (0, 10)));
    rig.replace(old, 11);
    assert_eq!((rig.denial(), status(&rig, old)), (None, OrderStatus::PendingReplace));
}

#[test]
fn a_venue_that_lets_both_fill_has_both_reserved() {
    let mut rig = Rig::new(&config());
    let old = working(&mut rig, 10);
    let new = rig.replace(old, 12);
    rig.report(fill(old, 1, 3, 3));
    assert_eq!(rig.exposure(), (3, 15));
    rig.tell(new, ReportKind::Accepted);
    assert_eq!(rig.exposure(), (3, 3 + 7 + 12));
    rig.tell(old, ReportKind::Canceled);
    rig.report(fill(new, 2, 12, 12));
    assert_eq!(rig.exposure(), (15, 15));
}

#[test]
fn only_what_is_beyond_the_old_order_counts_against_position_and_reduce_only() {
    let mut config = config();
    config.limits.permissions[0].max_position = Quantity(30);
    let mut rig = Rig::new(&config);
    let old = working(&mut rig, 20);
    rig.replace(old, 31);
    assert_eq!(rig.denial(), Some((DenialReason::MaxPosition, 30, 31)));
    assert_eq!(status(&rig, old), OrderStatus::Accepted);
    let new = rig.replace(old, 30);
    assert_eq!((rig.denial(), rig.exposure()), (None, (0, 30)));
    rig.tell(old, ReportKind::Canceled);
    rig.tell(new, ReportKind::Accepted);
    rig.report(fill(new, 1, 10, 10));
    // Filled in part: the rest of it and the whole of the new one may fill.
    rig.replace(new, 12);
    assert_eq!(rig.denial(), Some((DenialReason::MaxPosition, 30, 32)));
    // Reduce-only: a sell of 10 closes it, and may be amended down and back up, not beyond.
    rig.tell(new, ReportKind::Canceled);
    rig.commands.try_send(RiskCommand::SetTradingState(TradingState::ReduceOnly)).expect("room");
    let exit = rig.place(Side::Sell, 10);
    rig.tell(exit, ReportKind::Accepted);
    rig.replace(exit, 11);
    assert_eq!(rig.denial(), Some((DenialReason::ReduceOnlyIncrease, 0, 1)));
    rig.replace(exit, 10);
    assert_eq!((rig.denial(), rig.exposure()), (None, (0, 10)));
}

#[test]
fn what_cannot_be_replaced() {
    let mut rig = Rig::new(&config());
    let unanswered = rig.place(Side::Buy, 5);
    rig.replace(unanswered, 6);
    assert_eq!(rig.denial(), Some((DenialReason::OrderNotAmendable, 2, 0)));
    rig.replace(ClientOrderId::new(1, StrategyId(0), 77_000).expect("in range"), 6);
    assert_eq!(rig.denial(), Some((DenialReason::OrderNotAmendable, 2, -1)));
    rig.tell(unanswered, ReportKind::Accepted);
    rig.report(fill(unanswered, 1, 3, 3));
    rig.replace(unanswered, 3);
    assert_eq!(rig.denial(), Some((DenialReason::AmendBelowFilled, 3, 3)));
    rig.cancel(unanswered);
    rig.replace(unanswered, 8);
    assert_eq!(rig.denial(), Some((DenialReason::OrderNotAmendable, 2, 4)), "a cancel is on its way");
    rig.tell(unanswered, ReportKind::Canceled);
    rig.replace(unanswered, 8);
    assert_eq!(rig.denial(), Some((DenialReason::OrderNotAmendable, 2, 8)));
    // Before the old order's end is told, the new one is not settled either.
    let old = working(&mut rig, 5);
    let new = rig.replace(old, 6);
    rig.tell(new, ReportKind::Accepted);
    rig.replace(new, 7);
    assert_eq!(rig.denial(), Some((DenialReason::OrderNotAmendable, 2, 5)));
    rig.tell(old, ReportKind::Canceled);
    rig.replace(new, 7);
    assert_eq!((rig.denial(), status(&rig, new)), (None, OrderStatus::PendingReplace));
}

#[test]
fn either_leg_can_be_canceled() {
    let mut rig = Rig::new(&config());
    let old = working(&mut rig, 10);
    let new = rig.replace(old, 12);
    rig.cancel(new);
    rig.cancel(old);
    rig.poll();
    let mut canceled = Vec::new();
    rig.gateway_cancels.drain(u64::MAX, |cancel| canceled.push(cancel.client_order_id));
    assert_eq!(canceled, [new, old]);
    assert_eq!((status(&rig, old), status(&rig, new)), (OrderStatus::PendingCancel, OrderStatus::PendingCancel));
    rig.tell(new, ReportKind::Rejected);
    assert_eq!(status(&rig, old), OrderStatus::PendingCancel, "its cancel is still on its way");
    rig.tell(old, ReportKind::Canceled);
    assert_eq!(rig.exposure(), (0, 0));
}

/// What a venue does with a pair that keeps to `cancelRestrictions=ONLY_NEW`, as reports of each order.
fn histories(old: ClientOrderId, new: ClientOrderId, is_exclusive: bool) -> Vec<Vec<ExecutionReport>> {
    let plain = |client_order_id, kind| ExecutionReport { client_order_id, kind, ..ExecutionReport::default() };
    use ReportKind::{Accepted, CancelRejected, Rejected, Unknown};
    let filled = if is_exclusive { 0 } else { 2 };
    let canceled =
        |cumulative| ExecutionReport { cumulative_quantity: Quantity(cumulative), ..plain(old, ReportKind::Canceled) };
    let mut all = vec![
        // Replaced, and the new one filled.
        vec![canceled(filled), plain(new, Accepted), fill(new, 11, 5, 5), fill(new, 12, 3, 8)],
        // Canceled, and the new one refused.
        vec![canceled(filled), plain(new, Rejected)],
        // Filled before the cancel: neither was done.
        vec![
            fill(old, 13, 4, filled + 4),
            plain(old, CancelRejected),
            plain(new, Rejected),
            fill(old, 14, 2, filled + 6),
        ],
        // No answer; replaced all the same.
        vec![plain(old, Unknown), plain(new, Unknown), canceled(filled), plain(new, Accepted), fill(new, 11, 8, 8)],
        // No answer; not replaced.
        vec![plain(old, Unknown), plain(new, Unknown), plain(new, Rejected), fill(old, 13, 3, filled + 3)],
    ];
    if !is_exclusive {
        all.push(vec![fill(old, 13, 4, filled + 4), canceled(filled + 4), plain(new, Accepted), fill(new, 11, 8, 8)]);
    }
    all
}

proptest! {
    /// However the reports of a history arrive, what was filled and may still fill is inside the interval at every
    /// instant, and at the end the interval is what the venue says.
    #[test]
    fn the_interval_holds_the_truth(history in 0..6usize, is_exclusive in any::<bool>(), mut keys in proptest::collection::vec(any::<u32>(), 5)) {
        let mut rig = Rig::with_lanes_of(&config(), 64);
        let old = working(&mut rig, 10);
        if !is_exclusive {
            rig.report(fill(old, 1, 2, 2));
        }
        let new = rig.replace(old, if is_exclusive { 8 } else { 10 });
        prop_assert_eq!(rig.order(new).order.quantity, Quantity(8));
        let all = histories(old, new, is_exclusive);
        let history = &all[history % all.len()];
        keys.truncate(history.len());
        let booked = if is_exclusive { 0 } else { 2 };
        let truth: i64 = booked + history.iter().map(|report| report.last_quantity.0).sum::<i64>();
        let mut order: Vec<usize> = (0..history.len()).collect();
        order.sort_by_key(|&place| keys[place]);
        for place in order {
            rig.report(history[place]);
            let (low, high) = rig.exposure();
            prop_assert!(low <= i128::from(truth) && i128::from(truth) <= high, "{truth} outside of {low} to {high}");
        }
        let open = |id| if rig.order(id).status.is_terminal() { 0 } else { rig.order(id).order.quantity.0 - rig.order(id).filled.0 };
        let (old_open, new_open) = (open(old), open(new));
        prop_assert!(old_open == 0 || new_open == 0, "one of the two is over");
        prop_assert_eq!(rig.exposure(), (i128::from(truth), i128::from(truth + old_open + new_open)));
    }
}
