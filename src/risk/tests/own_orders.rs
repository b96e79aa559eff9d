//! Orders beside others of our own: self-trades, and the parts of larger orders.

use super::rig::{Rig, config, fill};
use crate::risk::SelfTradePolicy;
use crate::types::*;

fn priced(rig: &mut Rig, strategy: u16, side: Side, price: i64) -> OrderIntent {
    let mut intent = rig.intent_of(strategy, 0, side, 5);
    intent.order.price = Price(price);
    intent
}

/// Sends an intent; answers its id and why it was denied.
fn judge(rig: &mut Rig, intent: &OrderIntent) -> (ClientOrderId, Option<(DenialReason, i128, i128)>) {
    rig.notices();
    rig.send(intent).expect("room");
    rig.poll();
    (intent.order.client_order_id, rig.denial())
}

const SELF_TRADE: Option<(DenialReason, i128, i128)> = Some((DenialReason::SelfTrade, 10_000, 10_000));

#[test]
fn no_order_meets_one_of_another_strategy_until_its_end_is_proven() {
    let mut rig = Rig::new(&config());
    let sell = priced(&mut rig, 1, Side::Sell, 10_000);
    let (own, denial) = judge(&mut rig, &sell);
    assert_eq!(denial, None);
    let buy = |rig: &mut Rig, price| {
        let intent = priced(rig, 0, Side::Buy, price);
        judge(rig, &intent).1
    };
    assert_eq!(buy(&mut rig, 9_999), None, "below it");
    assert_eq!(buy(&mut rig, 10_000), SELF_TRADE, "on its way");
    rig.tell(own, ReportKind::Accepted);
    assert_eq!(buy(&mut rig, 10_001), Some((DenialReason::SelfTrade, 10_000, 10_001)));
    rig.cancel(own);
    assert_eq!(buy(&mut rig, 10_000), SELF_TRADE, "its cancel is on its way");
    rig.tell(own, ReportKind::Unknown);
    assert_eq!(buy(&mut rig, 10_000), SELF_TRADE, "nobody knows");
    rig.tell(own, ReportKind::Canceled);
    assert_eq!(buy(&mut rig, 10_000), None);
}

#[test]
fn the_best_price_counts_and_leaves_with_its_order() {
    let mut rig = Rig::new(&config());
    let ids = [10_003, 10_001, 10_002].map(|price| {
        let intent = priced(&mut rig, 1, Side::Sell, price);
        judge(&mut rig, &intent).0
    });
    let buy = |rig: &mut Rig| {
        let intent = priced(rig, 0, Side::Buy, 10_003);
        judge(rig, &intent).1.map(|(_, own, _)| own)
    };
    assert_eq!(buy(&mut rig), Some(10_001));
    rig.report(fill(ids[1], 1, 5, 5));
    assert_eq!(buy(&mut rig), Some(10_002));
    rig.tell(ids[2], ReportKind::Rejected);
    assert_eq!(buy(&mut rig), Some(10_003));
    rig.tell(ids[0], ReportKind::NotSent);
    assert_eq!(buy(&mut rig), None);
}

#[test]
fn a_stop_order_rests_once_it_is_triggered() {
    let mut rig = Rig::new(&config());
    let mut stop = priced(&mut rig, 1, Side::Sell, 9_990);
    stop.order.order_type = OrderType::StopLimit;
    stop.order.stop_price = Price(9_995);
    let (own, denial) = judge(&mut rig, &stop);
    assert_eq!(denial, None);
    let buy = |rig: &mut Rig| {
        let intent = priced(rig, 0, Side::Buy, 9_990);
        judge(rig, &intent).1
    };
    assert_eq!(buy(&mut rig), None);
    rig.report(fill(own, 1, 2, 2));
    assert_eq!(buy(&mut rig), Some((DenialReason::SelfTrade, 9_990, 9_990)));
    rig.tell(own, ReportKind::Canceled);
    assert_eq!(buy(&mut rig), None);
}

#[test]
fn the_policy_cancels_what_is_in_the_way() {
    for (policy, canceled) in [(SelfTradePolicy::DenyNew, 0), (SelfTradePolicy::CancelOld, 2)] {
        let mut config = config();
        config.limits.accounts[0].self_trade = policy;
        let mut rig = Rig::new(&config);
        for price in [10_000, 10_001, 10_002] {
            let intent = priced(&mut rig, 1, Side::Sell, price);
            judge(&mut rig, &intent);
        }
        let buy = priced(&mut rig, 0, Side::Buy, 10_001);
        assert_eq!(judge(&mut rig, &buy).1, Some((DenialReason::SelfTrade, 10_000, 10_001)));
        assert_eq!(rig.canceled().len(), canceled);
    }
}

#[test]
fn a_replacement_meets_neither_itself_nor_what_it_replaces() {
    let mut rig = Rig::new(&config());
    let old = rig.place(Side::Buy, 5);
    rig.tell(old, ReportKind::Accepted);
    rig.replace(old, 7);
    assert_eq!(rig.denial(), None);
    let sell = priced(&mut rig, 1, Side::Sell, 10_000);
    assert_eq!(judge(&mut rig, &sell).1, SELF_TRADE);
}

fn part(rig: &mut Rig, parent: u32, of: i64, quantity: i64) -> OrderIntent {
    let mut intent = rig.intent(Side::Buy, quantity);
    intent.order.parent = parent;
    intent.order.parent_quantity = Quantity(of);
    intent
}

#[test]
fn a_strategy_that_does_not_count_its_fills_is_stopped_at_the_whole() {
    let mut rig = Rig::new(&config());
    let mut filled = 0;
    for execution_id in 1..=20 {
        let intent = part(&mut rig, 1, 30, 4);
        let (id, denial) = judge(&mut rig, &intent);
        if denial.is_none() {
            rig.report(fill(id, execution_id, 4, 4));
            filled += 4;
        } else {
            assert_eq!(denial, Some((DenialReason::ChildExceedsParent, 30, 32)));
        }
    }
    assert_eq!((filled, rig.exposure()), (28, (28, 28)));
}

#[test]
fn open_parts_count_until_they_end_and_a_replaced_part_once() {
    let mut rig = Rig::new(&config());
    let judge_part = |rig: &mut Rig, quantity| {
        let intent = part(rig, 1, 30, quantity);
        judge(rig, &intent)
    };
    let (first, denial) = judge_part(&mut rig, 20);
    assert_eq!(denial, None);
    assert_eq!(judge_part(&mut rig, 11).1, Some((DenialReason::ChildExceedsParent, 30, 31)));
    rig.tell(first, ReportKind::Accepted);
    let mut amended = part(&mut rig, 1, 30, 31);
    amended.order.replaces = first;
    assert_eq!(judge(&mut rig, &amended).1, Some((DenialReason::ChildExceedsParent, 30, 31)));
    let mut amended = part(&mut rig, 1, 30, 30);
    amended.order.replaces = first;
    let (second, denial) = judge(&mut rig, &amended);
    assert_eq!(denial, None);
    rig.tell(first, ReportKind::Canceled);
    rig.report(fill(second, 1, 10, 10));
    rig.tell(second, ReportKind::Canceled);
    assert_eq!(judge_part(&mut rig, 21).1, Some((DenialReason::ChildExceedsParent, 30, 31)));
    assert_eq!(judge_part(&mut rig, 20).1, None);
    // Another number is another order; an older one is none.
    let intent = part(&mut rig, 5, 10, 10);
    assert_eq!(judge(&mut rig, &intent).1, None);
    let intent = part(&mut rig, 4, 10, 10);
    assert_eq!(judge(&mut rig, &intent).1, Some((DenialReason::ChildExceedsParent, 0, 10)));
}
