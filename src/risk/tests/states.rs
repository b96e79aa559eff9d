//! Kill word, trading states, session gate, cancels.

use super::rig::{Rig, config};
use crate::risk::{CancelStep, KillScope};
use crate::types::*;

#[test]
fn a_kill_halts_for_good_and_cancels_everything() {
    let mut rig = Rig::new(&config());
    let ids: Vec<_> = (0..5).map(|_| rig.place(Side::Buy, 5)).collect();
    rig.tell(ids[0], ReportKind::Unknown);
    rig.tell(ids[1], ReportKind::Canceled);
    rig.kill.kill(KillScope::Engine);
    rig.poll();
    let mut canceled = Vec::new();
    rig.gateway_cancels.drain(u64::MAX, |cancel| canceled.push(cancel.client_order_id));
    assert_eq!(canceled.remove(0), ClientOrderId::NONE, "the whole instrument first");
    canceled.sort_unstable();
    assert_eq!(canceled, [ids[0], ids[2], ids[3], ids[4]]);
    assert_eq!(rig.order(ids[0]).status, OrderStatus::Unknown);
    assert_eq!(rig.order(ids[2]).status, OrderStatus::PendingCancel);
    assert_eq!(rig.risk.trading_state(), TradingState::Halted);
    rig.commands.try_send(RiskCommand::SetTradingState(TradingState::Active)).expect("room");
    let intent = rig.intent(Side::Buy, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::KillSwitchActive, 1)]);
    assert_eq!(rig.risk.trading_state(), TradingState::Halted);
    let codes = rig.notices();
    assert_eq!(codes.iter().filter(|&&code| code == NoticeCode::Killed).count(), 2);
}

#[test]
fn one_cancel_at_a_time() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 5);
    rig.tell(id, ReportKind::Accepted);
    for _ in 0..3 {
        rig.cancel(id);
    }
    rig.poll();
    assert_eq!(rig.gateway_cancels.drain(u64::MAX, |_| {}), 1);
    rig.tell(id, ReportKind::CancelRejected);
    assert_eq!((rig.order(id).status, rig.order(id).cancel), (OrderStatus::Accepted, CancelStep::None));
    rig.cancel(id);
    rig.poll();
    assert_eq!(rig.gateway_cancels.drain(u64::MAX, |_| {}), 0, "it is sent again in a while as it is");
    rig.now = rig.now.plus(10_000_000);
    rig.poll();
    assert_eq!(rig.gateway_cancels.drain(u64::MAX, |_| {}), 1);
    rig.tell(id, ReportKind::Canceled);
    rig.updates(0);
    rig.cancel(id);
    rig.poll();
    assert_eq!(rig.gateway_cancels.drain(u64::MAX, |_| {}), 0);
    assert_eq!(rig.updates(0), [(id, OrderStatus::Canceled)], "told once more");
}

#[test]
fn a_cancel_that_overtakes_its_order_is_not_lost() {
    let mut rig = Rig::new(&config());
    let intent = rig.intent(Side::Buy, 5);
    let denied = rig.intent(Side::Buy, 5_000);
    let id = intent.order.client_order_id;
    rig.send(&intent).expect("room");
    rig.send(&denied).expect("room");
    rig.cancel(id);
    rig.cancel(denied.order.client_order_id);
    rig.cancel(ClientOrderId::new(1, StrategyId(0), 4_000).expect("in range"));
    rig.poll();
    assert_eq!(rig.gateway_orders.drain(u64::MAX, |_| {}), 1);
    assert_eq!(rig.gateway_cancels.next().map(|cancel| cancel.client_order_id), Some(id));
    assert!(rig.gateway_cancels.next().is_none());
    assert_eq!(rig.order(id).status, OrderStatus::PendingCancel);
}

#[test]
fn cancels_pass_whatever_the_state_and_the_rate() {
    let mut config = config();
    config.limits.accounts[0].rate.burst = 3;
    config.limits.accounts[0].rate.per_second = 1;
    config.limits.accounts[0].rate.cancel_reserve = 1;
    let mut rig = Rig::new(&config);
    let ids = [rig.place(Side::Buy, 5), rig.place(Side::Buy, 5)];
    let intent = rig.intent(Side::Buy, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::RateLimit, 1)]);
    rig.commands.try_send(RiskCommand::SetTradingState(TradingState::CancelOnly)).expect("room");
    for id in ids {
        rig.cancel(id);
    }
    rig.poll();
    assert_eq!(rig.gateway_cancels.drain(u64::MAX, |_| {}), 2);
    let intent = rig.intent(Side::Buy, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    assert_eq!(rig.denials(), [(DenialReason::CancelOnly, 1), (DenialReason::RateLimit, 1)]);
}

#[test]
fn no_order_before_the_session_is_ready_and_none_after_it_is_lost() {
    let mut rig = Rig::new(&config());
    for (expected, state) in [
        (1, SessionState::Down),
        (2, SessionState::LoggingOn),
        (3, SessionState::Reconciling),
        (3, SessionState::Ready),
    ] {
        rig.session(state);
        let intent = rig.intent(Side::Buy, 5);
        rig.send(&intent).expect("room");
        rig.poll();
        assert_eq!(rig.denials(), [(DenialReason::NotReady, expected)]);
    }
}
