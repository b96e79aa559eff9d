//! Many orders canceled at once: kills by scope, lost sessions, ended days; and cancels that the venue refuses.

use super::rig::{Rig, config};
use crate::risk::KillScope;
use crate::types::*;

const VENUE: VenueId = VenueId(0);
const ALL: ClientOrderId = ClientOrderId::NONE;
const DAY_NS: u64 = 86_400_000_000_000;

/// A working order of each strategy in each instrument that it may trade: (0, 0), (1, 0), (1, 1).
fn three(rig: &mut Rig) -> [ClientOrderId; 3] {
    let ids = [(0, 0), (1, 0), (1, 1)].map(|(strategy, instrument)| {
        let intent = rig.intent_of(strategy, instrument, Side::Buy, 5);
        rig.send(&intent).expect("room");
        rig.poll();
        let id = intent.order.client_order_id;
        rig.tell(id, ReportKind::Accepted);
        id
    });
    rig.gateway_orders.drain(u64::MAX, |_| {});
    ids
}

fn verdict(rig: &mut Rig, strategy: u16, instrument: u32) -> Option<DenialReason> {
    rig.notices();
    let intent = rig.intent_of(strategy, instrument, Side::Buy, 5);
    rig.send(&intent).expect("room");
    rig.poll();
    rig.denial().map(|(reason, _, _)| reason)
}

#[test]
fn each_scope_cancels_its_own_orders_whole_instruments_first() {
    let (btc, eth) = (InstrumentId(0), InstrumentId(1));
    for (scope, whole, singles) in [
        (KillScope::Engine, vec![btc, eth], vec![0, 1, 2]),
        (KillScope::Venue(VENUE), vec![btc, eth], vec![0, 1, 2]),
        (KillScope::Account(VENUE), vec![btc, eth], vec![0, 1, 2]),
        (KillScope::Instrument(btc), vec![btc], vec![0, 1]),
        (KillScope::Instrument(eth), vec![eth], vec![2]),
        (KillScope::Strategy(StrategyId(1)), vec![], vec![1, 2]),
        (KillScope::Venue(VenueId(1)), vec![], vec![]),
    ] {
        let mut rig = Rig::new(&config());
        let ids = three(&mut rig);
        rig.kill.kill(scope);
        rig.poll();
        let canceled = rig.canceled();
        let expected: Vec<_> = whole.iter().map(|&instrument| (ALL, instrument)).collect();
        assert_eq!(canceled[..expected.len()], expected, "{scope:?}");
        let mut rest: Vec<_> = canceled[expected.len()..].iter().map(|&(id, _)| id).collect();
        rest.sort_unstable();
        assert_eq!(rest, singles.iter().map(|&which| ids[which]).collect::<Vec<_>>(), "{scope:?}");
        // The same scope once more: nothing that is on its way is sent again.
        rig.kill.kill(scope);
        rig.poll();
        assert_eq!(rig.canceled(), [], "{scope:?}");
    }
}

#[test]
fn a_thousand_open_orders_are_handed_over_in_one_cycle() {
    let mut config = config();
    config.limits.permissions[0].max_position = Quantity(1_000_000);
    config.limits.instruments[0].max_position = Quantity(1_000_000);
    config.order_capacity = 4_096;
    let mut rig = Rig::new(&config);
    for _ in 0..1_000 {
        rig.place(Side::Buy, 5);
        rig.gateway_orders.drain(u64::MAX, |_| {});
        rig.now = rig.now.plus(1_000_000);
    }
    rig.kill.kill(KillScope::Instrument(InstrumentId(0)));
    rig.poll();
    let canceled = rig.canceled();
    assert_eq!((canceled.len(), canceled[0].0), (1_001, ALL));
    rig.poll();
    assert_eq!(rig.canceled(), []);
}

#[test]
fn an_order_that_comes_back_to_life_in_a_killed_scope_is_canceled_again() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 5);
    rig.tell(id, ReportKind::NotSent);
    assert_eq!(rig.order(id).status, OrderStatus::Denied);
    rig.kill.kill(KillScope::Strategy(StrategyId(0)));
    rig.poll();
    assert_eq!(rig.canceled(), []);
    rig.tell(id, ReportKind::Accepted);
    assert_eq!(rig.canceled(), [(id, InstrumentId(0))]);
}

#[test]
fn a_release_brings_no_order_back_and_lets_new_ones_pass() {
    let mut rig = Rig::new(&config());
    let ids = three(&mut rig);
    rig.kill.kill(KillScope::Instrument(InstrumentId(0)));
    assert_eq!(verdict(&mut rig, 0, 0), Some(DenialReason::KilledInstrument));
    assert_eq!(verdict(&mut rig, 1, 1), None, "another instrument");
    rig.tell(ids[0], ReportKind::Canceled);
    rig.canceled();
    rig.kill.release(KillScope::Instrument(InstrumentId(0)));
    rig.poll();
    assert_eq!((rig.canceled(), rig.order(ids[0]).status), (vec![], OrderStatus::Canceled));
    assert_eq!(rig.order(ids[1]).status, OrderStatus::PendingCancel, "its cancel is on its way all the same");
    assert_eq!(verdict(&mut rig, 0, 0), None);
}

#[test]
fn a_released_engine_stays_halted_until_a_person_sets_the_state() {
    let mut rig = Rig::new(&config());
    rig.kill.kill(KillScope::Engine);
    rig.poll();
    let set = |rig: &mut Rig, state| {
        rig.commands.try_send(RiskCommand::SetTradingState(state)).expect("room");
        rig.poll();
    };
    set(&mut rig, TradingState::Active);
    assert_eq!(verdict(&mut rig, 0, 0), Some(DenialReason::KillSwitchActive));
    rig.kill.release(KillScope::Engine);
    assert_eq!(verdict(&mut rig, 0, 0), Some(DenialReason::Halted));
    rig.kill.kill(KillScope::Strategy(StrategyId(1)));
    set(&mut rig, TradingState::Active);
    assert_eq!(verdict(&mut rig, 0, 0), None);
    assert_eq!(verdict(&mut rig, 1, 0), Some(DenialReason::KilledStrategy), "setting the state undoes no kill");
}

#[test]
fn a_lost_session_has_its_open_orders_canceled_and_again_when_they_are_found_working() {
    let mut rig = Rig::new(&config());
    let ids = three(&mut rig);
    rig.session(SessionState::Down);
    for id in ids {
        rig.tell(id, ReportKind::Unknown);
    }
    rig.poll();
    let mut wanted: Vec<_> = rig.canceled().into_iter().map(|(id, _)| id).collect();
    wanted.sort_unstable();
    wanted.dedup();
    assert_eq!(wanted, ids, "each by its own: what is not ours stays");
    for state in [SessionState::LoggingOn, SessionState::Reconciling] {
        rig.session(state);
        rig.poll();
    }
    // The cancel was lost with the session: the venue still has it.
    let found = ExecutionReport {
        client_order_id: ids[0],
        kind: ReportKind::Status,
        status: OrderStatus::Accepted,
        ..ExecutionReport::default()
    };
    rig.report(ExecutionReport { kind: ReportKind::Unknown, ..found });
    rig.report(found);
    rig.now = rig.now.plus(10_000_000);
    rig.poll();
    assert_eq!(rig.canceled(), [(ids[0], InstrumentId(0))]);
}

#[test]
fn whole_instruments_wait_for_the_session_and_singles_do_not() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 5);
    rig.session(SessionState::LoggingOn);
    rig.poll();
    rig.kill.kill(KillScope::Venue(VENUE));
    rig.poll();
    assert_eq!(rig.canceled(), [(id, InstrumentId(0))]);
    rig.session(SessionState::Reconciling);
    rig.poll();
    assert_eq!(rig.canceled(), [(ALL, InstrumentId(0))]);
}

#[test]
fn day_orders_end_with_their_day_and_others_do_not() {
    let mut rig = Rig::new(&config());
    let good_till_canceled = rig.place(Side::Buy, 5);
    let mut intent = rig.intent(Side::Buy, 5);
    intent.order.time_in_force = TimeInForce::Day;
    rig.send(&intent).expect("room");
    rig.poll();
    let id = intent.order.client_order_id;
    rig.now = Timestamp::from_nanos(DAY_NS - 1);
    rig.poll();
    assert_eq!(rig.canceled(), []);
    rig.now = Timestamp::from_nanos(DAY_NS);
    rig.poll();
    assert_eq!(rig.canceled(), [(id, InstrumentId(0))]);
    assert_eq!(rig.order(good_till_canceled).status, OrderStatus::Created);
    // One of the new day, beside one of the old day that is found working.
    rig.tell(id, ReportKind::CancelRejected);
    let mut next = rig.intent(Side::Buy, 5);
    next.order.time_in_force = TimeInForce::Day;
    rig.send(&next).expect("room");
    rig.now = rig.now.plus(10_000_000);
    rig.poll();
    assert_eq!(rig.canceled(), [(id, InstrumentId(0))]);
}

#[test]
fn a_refused_cancel_is_sent_again_ever_later_and_then_the_instrument_is_canceled() {
    let mut rig = Rig::new(&config());
    let id = rig.place(Side::Buy, 5);
    rig.tell(id, ReportKind::Accepted);
    rig.cancel(id);
    rig.poll();
    assert_eq!(rig.canceled(), [(id, InstrumentId(0))]);
    let mut wait = 10_000_000;
    for retry in 1..=8 {
        rig.tell(id, ReportKind::CancelRejected);
        rig.now = rig.now.plus(wait - 1);
        rig.poll();
        assert_eq!(rig.canceled(), [], "retry {retry}");
        rig.now = rig.now.plus(1);
        rig.poll();
        assert_eq!(rig.canceled(), [(id, InstrumentId(0))], "retry {retry}");
        wait *= 2;
    }
    rig.notices();
    rig.tell(id, ReportKind::CancelRejected);
    assert_eq!(rig.canceled(), [(ALL, InstrumentId(0))]);
    let mut told = Vec::new();
    rig.notices.drain(u64::MAX, |notice| told.push((notice.code, notice.reason, notice.limit, notice.observed)));
    assert_eq!(told, [(NoticeCode::BreakerTripped, DenialReason::CancelPending, 8, 9)]);
    rig.cancel(id);
    rig.now = rig.now.plus(10_000_000_000);
    rig.poll();
    assert_eq!((rig.canceled(), rig.denials()), (vec![], vec![(DenialReason::CancelPending, 1)]));
    // A kill is another matter.
    rig.kill.kill(KillScope::Strategy(StrategyId(0)));
    rig.poll();
    assert_eq!(rig.canceled(), [(id, InstrumentId(0))]);
}

#[test]
fn cancel_all_takes_every_open_order_a_part_at_a_time() {
    let mut config = config();
    config.order_capacity = 8_192;
    for limits in &mut config.limits.permissions {
        limits.max_position = Quantity(1_000_000);
    }
    for limits in &mut config.limits.instruments {
        limits.max_position = Quantity(1_000_000);
    }
    let mut rig = Rig::new(&config);
    let mut ids = Vec::new();
    for count in 0..4_100 {
        let mut intent = rig.intent_of(count % 2, 0, Side::Buy, 5);
        intent.order.instrument = InstrumentId(u32::from(count % 2));
        rig.send(&intent).expect("room");
        rig.poll();
        ids.push(intent.order.client_order_id);
        rig.updates(usize::from(count % 2));
        rig.gateway_orders.drain(u64::MAX, |_| {});
        rig.now = rig.now.plus(1_000_000);
        rig.notices();
    }
    rig.commands.try_send(RiskCommand::CancelAll).expect("room");
    rig.poll();
    let mut canceled = rig.canceled();
    assert_eq!(canceled.len(), 4_096);
    rig.tell(ids[0], ReportKind::Canceled);
    rig.settle();
    canceled.extend(rig.canceled());
    let mut canceled: Vec<_> = canceled.into_iter().map(|(id, _)| id).collect();
    canceled.sort_unstable();
    canceled.dedup();
    let first = ids.remove(0);
    assert_eq!(rig.order(first).status, OrderStatus::Canceled);
    ids.sort_unstable();
    assert_eq!(canceled, ids, "each once");
    assert_eq!(rig.risk.trading_state(), TradingState::Active);
    rig.now = rig.now.plus(1_000_000_000);
    let later = rig.place(Side::Buy, 5);
    rig.settle();
    assert_eq!(rig.order(later).status, OrderStatus::Created);
}
