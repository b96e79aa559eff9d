//! Breakers through the stage: at the limit, past it, and how each ends.

use super::rig::{Rig, config, fill};
use crate::risk::RiskConfig;
use crate::types::*;

fn rig(change: impl Fn(&mut RiskConfig)) -> Rig {
    let mut config = config();
    change(&mut config);
    Rig::new(&config)
}

/// The reason, limit and observed value of the newest denial, or nothing if the order passed.
fn judged(rig: &mut Rig, side: Side) -> Option<(DenialReason, i128, i128)> {
    let intent = rig.intent(side, 5);
    judge(rig, &intent)
}

fn judge(rig: &mut Rig, intent: &OrderIntent) -> Option<(DenialReason, i128, i128)> {
    rig.notices.drain(u64::MAX, |_| {});
    rig.send(intent).expect("room");
    rig.poll();
    let mut denial = None;
    rig.notices.drain(u64::MAX, |notice| {
        if notice.code == NoticeCode::Denied {
            denial = Some((notice.reason, notice.limit, notice.observed));
        }
    });
    assert_eq!(rig.risk.orders().get(intent.order.client_order_id).is_none(), denial.is_some());
    denial
}

fn command(rig: &mut Rig, command: RiskCommand) {
    rig.commands.try_send(command).expect("room");
    rig.poll();
}

fn reject(rig: &mut Rig) {
    let id = rig.place(Side::Buy, 5);
    rig.tell(id, ReportKind::Rejected);
}

#[test]
fn c32_refusals_within_the_window_stop_the_strategy_until_a_person_resets_it() {
    let mut rig = rig(|config| {
        config.limits.strategies[0].max_rejects = 3;
        config.limits.strategies[0].reject_window_ns = 8_000;
    });
    reject(&mut rig);
    reject(&mut rig);
    rig.now = rig.now.plus(16_000);
    reject(&mut rig);
    reject(&mut rig);
    assert_eq!(judged(&mut rig, Side::Buy), None, "two of them are out of the window");
    reject(&mut rig);
    assert_eq!(judged(&mut rig, Side::Sell), Some((DenialReason::RejectStorm, 3, 3)));
    rig.now = rig.now.plus(1_000_000);
    assert_eq!(judged(&mut rig, Side::Sell), Some((DenialReason::RejectStorm, 3, 3)), "time does not heal it");
    let other = rig.intent_of(1, 0, Side::Buy, 5);
    assert_eq!(judge(&mut rig, &other), None, "another strategy trades on");
    command(&mut rig, RiskCommand::Reset(StrategyId(1)));
    assert!(judged(&mut rig, Side::Sell).is_some(), "another strategy was meant");
    command(&mut rig, RiskCommand::Reset(StrategyId(0)));
    assert_eq!(judged(&mut rig, Side::Sell), None);
}

#[test]
fn c32_refusals_of_the_account_stop_every_strategy() {
    let mut rig = rig(|config| {
        config.limits.accounts[0].max_rejects = 2;
        config.limits.accounts[0].reject_window_ns = 8_000_000_000;
    });
    reject(&mut rig);
    reject(&mut rig);
    let other = rig.intent_of(1, 0, Side::Buy, 5);
    assert_eq!(judge(&mut rig, &other), Some((DenialReason::RejectStorm, 2, 2)));
    command(&mut rig, RiskCommand::Reset(StrategyId(0)));
    assert!(judged(&mut rig, Side::Buy).is_some(), "the account is reset with everything else");
    command(&mut rig, RiskCommand::Reset(StrategyId::NONE));
    assert_eq!(judged(&mut rig, Side::Buy), None);
}

/// What was told to be kept of the breakers since: of strategy 0, then of the account.
fn kept(rig: &mut Rig) -> Vec<Latch> {
    let (mut strategy, mut account) = (None, None);
    rig.latches.drain(u64::MAX, |latch| match latch {
        Latch::Strategy(of) if of.strategy == StrategyId(0) => strategy = Some(*latch),
        Latch::Account { .. } => account = Some(*latch),
        _ => {}
    });
    strategy.into_iter().chain(account).collect()
}

/// Goes on in another run with what was kept, until a person resets it; answers what is kept then.
fn restart(change: impl Fn(&mut RiskConfig), latches: Vec<Latch>, expected: Option<(DenialReason, i128, i128)>) {
    let mut rig = rig(|config| {
        change(config);
        config.latches = latches.clone();
    });
    assert_eq!(judged(&mut rig, Side::Buy), expected, "after the restart");
    command(&mut rig, RiskCommand::Reset(StrategyId::NONE));
    assert_eq!(judged(&mut rig, Side::Buy), None);
    let latches = kept(&mut rig);
    assert_eq!(latches.len(), 2, "what was set back is told too");
    let mut rig = self::rig(|config| {
        change(config);
        config.latches = latches.clone();
    });
    assert_eq!(judged(&mut rig, Side::Buy), None, "and after a restart");
}

#[test]
fn c32_refusals_stop_over_a_restart() {
    let storm = Some((DenialReason::RejectStorm, 2, 2));
    let of_strategy = |config: &mut RiskConfig| {
        config.limits.strategies[0].max_rejects = 2;
        config.limits.strategies[0].reject_window_ns = 8_000_000_000;
    };
    let of_account = |config: &mut RiskConfig| {
        config.limits.accounts[0].max_rejects = 2;
        config.limits.accounts[0].reject_window_ns = 8_000_000_000;
    };
    for change in [&of_strategy as &dyn Fn(&mut RiskConfig), &of_account] {
        let mut rig = rig(change);
        reject(&mut rig);
        kept(&mut rig);
        reject(&mut rig);
        let latches = kept(&mut rig);
        assert!(!latches.is_empty(), "told at once");
        restart(change, latches, storm);
    }
}

#[test]
fn c33_fills_stop_over_a_restart() {
    let fast = |config: &mut RiskConfig| config.limits.strategies[0].max_fills_per_second = 1;
    let mut rig = rig(fast);
    let id = rig.place(Side::Buy, 40);
    rig.fill(id, 1, 3);
    rig.fill(id, 2, 3);
    restart(fast, kept(&mut rig), Some((DenialReason::FillRate, 1, 2)));

    let far = |config: &mut RiskConfig| config.limits.strategies[0].max_fill_slippage_bps = 50;
    let mut rig = self::rig(far);
    let id = rig.place(Side::Buy, 5);
    rig.report(ExecutionReport { last_price: Price(10_051), ..fill(id, 1, 5, 5) });
    restart(far, kept(&mut rig), Some((DenialReason::Slippage, 50, 51)));
}

#[test]
fn a_latch_that_found_no_room_is_told_later() {
    let mut config = config();
    config.limits.accounts[0].max_rejects = 1;
    let mut rig = Rig::with_lanes_of(&config, 2);
    command(&mut rig, RiskCommand::Reset(StrategyId::NONE));
    reject(&mut rig);
    let mut newest = None;
    for _ in 0..3 {
        rig.latches.drain(u64::MAX, |latch| {
            if let Latch::Account { rejects_tripped, .. } = latch {
                newest = Some(*rejects_tripped);
            }
        });
        rig.now = rig.now.plus(100_000_000);
        rig.poll();
    }
    assert_eq!(newest, Some(1));
}

#[test]
fn c33_fills_within_a_second_let_only_reducing_orders_pass() {
    let mut rig = rig(|config| config.limits.strategies[0].max_fills_per_second = 2);
    let id = rig.place(Side::Buy, 40);
    for execution in 1..=2 {
        rig.fill(id, execution, 3);
    }
    assert_eq!(judged(&mut rig, Side::Buy), None, "as many as may be");
    rig.fill(id, 3, 3);
    assert_eq!(judged(&mut rig, Side::Buy), Some((DenialReason::FillRate, 2, 3)));
    assert_eq!(judged(&mut rig, Side::Sell), None, "it reduces");
    command(&mut rig, RiskCommand::Reset(StrategyId::NONE));
    assert_eq!(judged(&mut rig, Side::Buy), None);
}

#[test]
fn c33_a_fill_far_from_the_mid_that_was_decided_on() {
    // Decided at a mid of 100.00: 100.50 is 50 basis points on the bad side of a buy.
    for (price, tripped) in [(10_050, None), (10_051, Some((DenialReason::Slippage, 50, 51))), (9_000, None)] {
        let mut rig = rig(|config| config.limits.strategies[0].max_fill_slippage_bps = 50);
        let id = rig.place(Side::Buy, 5);
        rig.report(ExecutionReport { last_price: Price(price), ..fill(id, 1, 5, 5) });
        assert_eq!(judged(&mut rig, Side::Buy), tripped, "{price}");
    }
}

#[test]
fn c34_orders_in_doubt_stop_new_ones_until_they_are_settled() {
    let mut rig = rig(|config| {
        config.limits.accounts[0].max_unknown = 1;
        config.limits.accounts[0].max_unknown_age_ns = 1_000;
    });
    let ids = [rig.place(Side::Buy, 5), rig.place(Side::Buy, 5)];
    rig.tell(ids[0], ReportKind::Unknown);
    assert_eq!(judged(&mut rig, Side::Buy), None, "one may be in doubt");
    rig.tell(ids[1], ReportKind::Unknown);
    assert_eq!(judged(&mut rig, Side::Sell), Some((DenialReason::TooManyUnknown, 1, 2)));
    rig.tell(ids[0], ReportKind::Accepted);
    assert_eq!(judged(&mut rig, Side::Buy), None);
    rig.now = rig.now.plus(1_000);
    assert_eq!(judged(&mut rig, Side::Buy), None, "as old as it may be");
    rig.now = rig.now.plus(1);
    assert_eq!(judged(&mut rig, Side::Buy), Some((DenialReason::TooManyUnknown, 1_000, 1_001)));
    rig.tell(ids[1], ReportKind::Canceled);
    assert_eq!(judged(&mut rig, Side::Buy), None);
}

#[test]
fn c34_a_list_of_doubts_that_is_full_forgets_only_what_is_settled() {
    let mut rig = rig(|config| {
        config.limits.accounts[0].max_unknown_age_ns = 10;
        config.order_capacity = 2;
    });
    let (first, second) = (rig.place(Side::Buy, 5), rig.place(Side::Buy, 5));
    rig.tell(first, ReportKind::Unknown);
    for _ in 0..8 {
        rig.now = rig.now.plus(1);
        rig.tell(second, ReportKind::Unknown);
        rig.tell(second, ReportKind::Accepted);
    }
    rig.now = rig.now.plus(3);
    rig.tell(second, ReportKind::Canceled);
    assert_eq!(judged(&mut rig, Side::Buy), Some((DenialReason::TooManyUnknown, 10, 11)));
}

#[test]
fn c35_without_reports_of_executions_nothing_new_is_sent() {
    let mut rig = rig(|_| {});
    let tell = |rig: &mut Rig, is_up| {
        let message = GatewayMessage::ReportStream { venue: VenueId(0), is_up, received_ns: rig.now };
        rig.reports.try_send(message).expect("room");
        rig.poll();
    };
    tell(&mut rig, false);
    assert_eq!(judged(&mut rig, Side::Buy), Some((DenialReason::ExecStreamDown, 1, 0)));
    tell(&mut rig, true);
    assert_eq!(judged(&mut rig, Side::Buy), None);
}

#[test]
fn c37_clocks_apart_and_clocks_that_jump() {
    let mut rig = rig(|config| config.limits.accounts[0].max_clock_skew_ns = 100);
    let venue = VenueId(0);
    for (offset_ns, is_denied) in [(100, false), (-100, false), (101, true), (-101, true), (i64::MIN, true), (0, false)]
    {
        command(&mut rig, RiskCommand::Clock { venue, offset_ns });
        let denial = is_denied.then_some((DenialReason::ClockSkew, 100, i128::from(offset_ns)));
        assert_eq!(judged(&mut rig, Side::Buy), denial, "{offset_ns}");
    }
    command(&mut rig, RiskCommand::ClockJump { by_ns: -7 });
    assert_eq!(judged(&mut rig, Side::Buy), Some((DenialReason::ClockSkew, 100, -7)));
    command(&mut rig, RiskCommand::Clock { venue, offset_ns: 3 });
    assert_eq!(judged(&mut rig, Side::Buy), None, "measured again");
}

#[test]
fn c39_an_order_that_is_taken_too_late() {
    let mut rig = rig(|config| config.limits.strategies[0].max_lag_ns = 1_000);
    for (lag, denial) in [(1_000, None), (1_001, Some((DenialReason::StrategyStalled, 1_000, 1_001)))] {
        let intent = rig.intent(Side::Buy, 5);
        rig.now = rig.now.plus(lag);
        assert_eq!(judge(&mut rig, &intent), denial, "{lag}");
    }
}

#[test]
fn c39_a_shard_that_falls_silent_has_its_orders_canceled() {
    let mut rig = rig(|_| {});
    let beat = |rig: &mut Rig, shard: usize| {
        let heartbeat = Mark { instrument: InstrumentId::NONE, ..Mark::default() };
        rig.marks[shard].try_send(heartbeat).expect("room");
        rig.poll();
    };
    beat(&mut rig, 0);
    beat(&mut rig, 1);
    let id = rig.place(Side::Buy, 5);
    for _ in 0..10 {
        rig.now = rig.now.plus(100_000_000);
        beat(&mut rig, 1);
    }
    assert_eq!(rig.order(id).status, OrderStatus::Created, "as silent as it may be");
    rig.now = rig.now.plus(1);
    rig.settle();
    assert_eq!(rig.order(id).status, OrderStatus::PendingCancel);
    assert_eq!(judged(&mut rig, Side::Buy), Some((DenialReason::StrategyStalled, 1_000_000_000, -1)));
    let other = rig.intent_of(1, 0, Side::Buy, 5);
    assert_eq!(judge(&mut rig, &other), None, "the other shard lives");
    beat(&mut rig, 0);
    assert_eq!(judged(&mut rig, Side::Buy), None, "heard again");
}

#[test]
fn each_breaker_that_is_not_configured_denies() {
    type Change = fn(&mut RiskConfig);
    let changes: [(i128, Change); 9] = [
        (32, |config| config.limits.strategies[0].max_rejects = 0),
        (32, |config| config.limits.accounts[0].reject_window_ns = 0),
        (33, |config| config.limits.strategies[0].max_fills_per_second = 0),
        (33, |config| config.limits.strategies[0].max_fill_slippage_bps = 0),
        (34, |config| config.limits.accounts[0].max_unknown = 0),
        (34, |config| config.limits.accounts[0].max_unknown_age_ns = 0),
        (37, |config| config.limits.accounts[0].max_clock_skew_ns = 0),
        (39, |config| config.limits.strategies[0].max_lag_ns = 0),
        (32, |config| config.limits.strategies[0].reject_window_ns = 0),
    ];
    for (control, change) in changes {
        assert_eq!(judged(&mut rig(change), Side::Buy), Some((DenialReason::LimitNotConfigured, 0, control)));
    }
}

#[test]
fn people_are_told_once_of_too_many_orders_in_doubt_and_when_it_is_over() {
    let mut config = config();
    config.limits.accounts[0].max_unknown = 1;
    let mut rig = Rig::new(&config);
    let ids = [rig.place(Side::Buy, 5), rig.place(Side::Buy, 5)];
    let told = |rig: &mut Rig| {
        let mut told = Vec::new();
        rig.poll();
        rig.notices.drain(u64::MAX, |notice| {
            if notice.reason == DenialReason::TooManyUnknown {
                told.push((notice.code, notice.limit, notice.observed));
            }
        });
        told
    };
    rig.tell(ids[0], ReportKind::Unknown);
    assert_eq!(told(&mut rig), []);
    rig.tell(ids[1], ReportKind::Unknown);
    assert_eq!(told(&mut rig), [(NoticeCode::BreakerTripped, 1, 2)]);
    assert_eq!(told(&mut rig), []);
    rig.tell(ids[0], ReportKind::Accepted);
    assert_eq!(told(&mut rig), [(NoticeCode::BreakerReset, 1, 1)]);
}

#[test]
fn while_this_stage_slept_silence_proves_nothing() {
    let mut rig = Rig::new(&config());
    rig.place(Side::Buy, 5);
    let beat = Mark { instrument: InstrumentId::NONE, ..Mark::default() };
    rig.marks[0].try_send(beat).expect("room");
    rig.poll();
    rig.now = rig.now.plus(60_000_000_000);
    rig.poll();
    assert_eq!(rig.canceled(), []);
    for _ in 0..12 {
        rig.now = rig.now.plus(100_000_000);
        rig.poll();
    }
    assert_eq!(rig.canceled().len(), 1, "it is still silent");
}
