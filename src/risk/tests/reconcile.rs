//! Our books against the venue's: what is a break, what is none, and how it ends.

use super::rig::{Rig, config};
use crate::types::*;

const USDT: AssetId = AssetId(1);
/// What the account begins with; the tests' amounts are more, or less, than this.
const START: i128 = 1_000_000_000_000_000_000_000;

fn tell(rig: &mut Rig, round: Round) {
    let message = GatewayMessage::Round { venue: VenueId(0), round, received_ns: rig.now };
    rig.reports.try_send(message).expect("room");
    rig.poll();
}

/// A whole round in which the venue states these changes of balances; the others are zero.
fn round(rig: &mut Rig, balances: &[(AssetId, i128)], is_conclusive: bool) {
    tell(rig, Round::Begun);
    for &(asset, change) in balances {
        let received_ns = rig.now;
        let message = GatewayMessage::Balance { venue: VenueId(0), asset, total: Money(START + change), received_ns };
        rig.reports.try_send(message).expect("room");
    }
    tell(rig, Round::Ended { is_conclusive });
}

fn told(rig: &mut Rig) -> Vec<(NoticeCode, i128, i128)> {
    let mut told = Vec::new();
    rig.notices.drain(u64::MAX, |notice| {
        if matches!(notice.code, NoticeCode::BooksDisagree | NoticeCode::BooksAgree) {
            told.push((notice.code, notice.limit, notice.observed));
        }
    });
    told
}

fn passes(rig: &mut Rig, side: Side) -> bool {
    let intent = rig.intent(side, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    rig.risk.orders().get(intent.order.client_order_id).is_some()
}

fn rig() -> Rig {
    let mut rig = Rig::new(&config());
    for asset in [AssetId(0), AssetId(2)] {
        rig.risk.start_balance(VenueId(0), asset, Money::ZERO);
    }
    rig.risk.start_balance(VenueId(0), USDT, Money(START));
    // Before the first order, what a round says is what the account began with.
    let id = rig.place(Side::Buy, 5);
    rig.tell(id, ReportKind::Canceled);
    told(&mut rig);
    rig
}

#[test]
fn books_that_agree_are_no_news() {
    let mut rig = rig();
    for _ in 0..3 {
        round(&mut rig, &[(USDT, 0)], true);
    }
    assert_eq!(told(&mut rig), []);
    assert!(passes(&mut rig, Side::Buy));
}

#[test]
fn the_same_difference_twice_is_a_break_and_agreement_ends_it() {
    let mut rig = rig();
    round(&mut rig, &[(USDT, -1)], true);
    assert_eq!(told(&mut rig), [], "it may be a fill on its way");
    round(&mut rig, &[(USDT, -1)], true);
    assert_eq!(told(&mut rig), [(NoticeCode::BooksDisagree, START - 1, START)]);
    assert!(!passes(&mut rig, Side::Buy), "reduce-only");
    assert_eq!(rig.denials(), [(DenialReason::ReduceOnlyIncrease, 1)]);
    round(&mut rig, &[(USDT, -1)], true);
    round(&mut rig, &[(USDT, -2)], true);
    assert_eq!(told(&mut rig), [], "told once; another difference does not end it");
    assert!(!passes(&mut rig, Side::Buy));
    round(&mut rig, &[(USDT, 0)], true);
    assert_eq!(told(&mut rig), [(NoticeCode::BooksAgree, 0, 0)]);
    assert!(passes(&mut rig, Side::Buy));
}

#[test]
fn a_difference_that_moves_is_a_fill_on_its_way() {
    let mut rig = rig();
    for change in [-1, -2, 0, -1] {
        round(&mut rig, &[(USDT, change)], true);
    }
    assert_eq!(told(&mut rig), []);
}

#[test]
fn what_failed_or_stood_not_still_proves_nothing() {
    let mut rig = rig();
    round(&mut rig, &[(USDT, 1)], false);
    round(&mut rig, &[(USDT, 1)], false);
    tell(&mut rig, Round::Begun);
    tell(&mut rig, Round::Failed);
    assert_eq!(told(&mut rig), []);
    round(&mut rig, &[(USDT, 7)], true);
    round(&mut rig, &[(USDT, 7)], true);
    assert_eq!(told(&mut rig).len(), 1);
    tell(&mut rig, Round::Begun);
    tell(&mut rig, Round::Failed);
    assert_eq!(told(&mut rig), [], "a failed round ends no break");
    assert!(!passes(&mut rig, Side::Buy));
}

#[test]
fn a_person_who_has_looked_books_what_nobody_could_explain() {
    let mut rig = rig();
    round(&mut rig, &[(USDT, -400)], true);
    round(&mut rig, &[(USDT, -400)], true);
    assert!(!passes(&mut rig, Side::Buy));
    rig.commands.try_send(RiskCommand::Reset(StrategyId(0))).expect("room");
    rig.poll();
    assert!(!passes(&mut rig, Side::Buy), "one strategy was meant");
    rig.commands.try_send(RiskCommand::Reset(StrategyId::NONE)).expect("room");
    rig.poll();
    assert!(passes(&mut rig, Side::Buy));
    assert_eq!(rig.risk.ledger(VenueId(0)).map(|ledger| ledger.balance(USDT)), Some(Money(START - 400)));
    told(&mut rig);
    round(&mut rig, &[(USDT, -400)], true);
    round(&mut rig, &[(USDT, -400)], true);
    assert_eq!(told(&mut rig), []);
}

#[test]
fn an_asset_that_is_not_told_is_zero() {
    let mut rig = rig();
    round(&mut rig, &[], true);
    round(&mut rig, &[], true);
    assert_eq!(told(&mut rig), [(NoticeCode::BooksDisagree, 0, START)]);
}

#[test]
fn a_transfer_is_no_break() {
    let mut rig = rig();
    let received_ns = rig.now;
    let message = GatewayMessage::Transfer { venue: VenueId(0), asset: USDT, amount: Money(-400), received_ns };
    rig.reports.try_send(message).expect("room");
    round(&mut rig, &[(USDT, -400)], true);
    round(&mut rig, &[(USDT, -400)], true);
    assert_eq!(told(&mut rig), []);
}

#[test]
fn the_first_conclusive_round_before_any_order_says_what_the_account_began_with() {
    let mut rig = Rig::new(&config());
    let ours = |rig: &Rig| rig.risk.ledger(VenueId(0)).expect("there").balance(USDT);
    let before = ours(&rig);
    round(&mut rig, &[(USDT, 7)], false);
    assert_eq!(ours(&rig), before, "inconclusive");
    round(&mut rig, &[(USDT, 7)], true);
    assert_eq!(ours(&rig), Money(START + 7));
    round(&mut rig, &[(USDT, 8)], true);
    assert_eq!(ours(&rig), Money(START + 7), "only the first");
}

#[test]
fn each_session_needs_a_round_that_has_ended() {
    let mut rig = rig();
    for state in [SessionState::Down, SessionState::Ready] {
        let message = GatewayMessage::Session { venue: VenueId(0), state, received_ns: rig.now };
        rig.reports.try_send(message).expect("room");
    }
    rig.poll();
    assert!(!passes(&mut rig, Side::Buy));
    assert_eq!(rig.denial(), Some((DenialReason::NotReady, 3, 2)));
    for part in [Round::Begun, Round::Failed, Round::Ended { is_conclusive: true }] {
        tell(&mut rig, part);
    }
    assert!(!passes(&mut rig, Side::Buy), "the end of no round");
    round(&mut rig, &[(USDT, 0)], false);
    assert!(passes(&mut rig, Side::Buy));
}
