//! Controls that remember: what the stage counts, over time, over changes of limits, and over a restart.

use super::rig::{Rig, config, fill};
use crate::pipeline::stage::Stage;
use crate::risk::*;
use crate::types::*;

/// What became of an order.
fn send(rig: &mut Rig, intent: &OrderIntent) -> Option<Denial> {
    rig.send(intent).expect("room");
    rig.poll();
    let mut denial = None;
    rig.notices.drain(u64::MAX, |notice| {
        if notice.code == NoticeCode::Denied {
            denial = Some(Denial { reason: notice.reason, limit: notice.limit, observed: notice.observed });
        }
    });
    denial
}

fn buy(rig: &mut Rig, quantity: i64) -> Option<Denial> {
    let intent = rig.intent(Side::Buy, quantity);
    send(rig, &intent)
}

fn reason(denial: Option<Denial>) -> Option<DenialReason> {
    denial.map(|denial| denial.reason)
}

/// The newest approved order as the gateway gets it.
fn newest(rig: &mut Rig) -> Option<Order> {
    let mut newest = None;
    rig.gateway_orders.drain(u64::MAX, |approved| newest = Some(*approved.order()));
    newest
}

/// New limits while it runs.
fn change(rig: &mut Rig, config: &mut RiskConfig, change: impl Fn(&mut LimitsTable)) {
    change(&mut config.limits);
    config.limits.version += 1;
    rig.limits.try_send(Box::new(config.limits.clone())).expect("room");
    rig.commands.try_send(RiskCommand::TakeLimits).expect("room");
    rig.poll();
    assert_eq!(rig.notices(), [NoticeCode::LimitsChanged]);
    assert!(rig.retired_limits.try_recv().is_ok());
}

fn later(rig: &mut Rig, millis: u64) {
    rig.now = rig.now.plus(millis * 1_000_000);
}

#[test]
fn a_kill_of_a_scope_stops_its_orders_and_its_release_lets_them_pass() {
    let mut rig = Rig::new(&config());
    rig.kill.kill(KillScope::Strategy(StrategyId(0)));
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::KilledStrategy));
    let other = rig.intent_of(1, 0, Side::Buy, 20);
    assert_eq!(send(&mut rig, &other), None);
    rig.kill.kill(KillScope::Instrument(InstrumentId(0)));
    let other = rig.intent_of(1, 0, Side::Buy, 20);
    assert_eq!(reason(send(&mut rig, &other)), Some(DenialReason::KilledInstrument));
    let elsewhere = rig.intent_of(1, 1, Side::Buy, 20);
    assert_eq!(send(&mut rig, &elsewhere), None);
    rig.kill.release(KillScope::Instrument(InstrumentId(0)));
    rig.kill.release(KillScope::Strategy(StrategyId(0)));
    assert_eq!(buy(&mut rig, 20), None);
}

#[test]
fn the_restricted_list_changes_while_it_runs() {
    let mut config = config();
    let mut rig = Rig::new(&config);
    assert_eq!(buy(&mut rig, 20), None);
    change(&mut rig, &mut config, |limits| limits.instruments[0].restriction = Restriction::Buys);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::RestrictedSymbol));
    let sell = rig.intent(Side::Sell, 20);
    assert_eq!(send(&mut rig, &sell), None);
}

#[test]
fn duplicates_within_the_window() {
    let mut config = config();
    config.limits.strategies[0].duplicate_window_ns = 500_000_000;
    config.limits.strategies[0].max_duplicates = 1;
    let mut rig = Rig::new(&config);
    assert_eq!(buy(&mut rig, 20), None);
    later(&mut rig, 100);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::DuplicateOrder));
    assert_eq!(buy(&mut rig, 21), None, "another order");
    later(&mut rig, 401);
    assert_eq!(buy(&mut rig, 20), None, "501 ms after the one that passed: the denied one does not count");
    later(&mut rig, 1);
    change(&mut rig, &mut config, |limits| limits.strategies[0].max_duplicates = 2);
    assert_eq!(buy(&mut rig, 20), None);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::DuplicateOrder));
}

#[test]
fn an_order_that_the_gateway_had_no_room_for_repeats_nothing() {
    let mut config = config();
    config.limits.strategies[0].duplicate_window_ns = 500_000_000;
    config.limits.strategies[0].max_duplicates = 1;
    let mut rig = Rig::with_lanes_of(&config, 2);
    assert_eq!((buy(&mut rig, 20), buy(&mut rig, 21)), (None, None));
    assert_eq!(reason(buy(&mut rig, 22)), Some(DenialReason::GatewayBusy));
    while newest(&mut rig).is_some() {}
    assert_eq!(buy(&mut rig, 22), None);
}

#[test]
fn prices_that_walk_up() {
    let mut config = config();
    config.limits.instruments[0].max_drift_bps = 50;
    config.limits.instruments[0].drift_window_ns = 800_000_000;
    let mut rig = Rig::new(&config);
    let at = |rig: &mut Rig, mid: i64| {
        let mut intent = rig.intent(Side::Buy, 20);
        intent.order.price = Price(mid);
        (intent.stamp.bid, intent.stamp.ask) = (Price(mid - 1), Price(mid + 1));
        let denial = send(rig, &intent);
        if denial.is_none() {
            rig.tell(intent.order.client_order_id, ReportKind::Rejected);
        }
        denial
    };
    for step in 0..=5 {
        assert_eq!(at(&mut rig, 10_000 + 10 * step), None, "each at the mid it sees");
        later(&mut rig, 10);
    }
    let denial = Denial { reason: DenialReason::PriceDrift, limit: 50, observed: 60 };
    assert_eq!(at(&mut rig, 10_060), Some(denial));
    later(&mut rig, 800);
    assert_eq!(at(&mut rig, 10_060), None);
    later(&mut rig, 1);
    change(&mut rig, &mut config, |limits| limits.instruments[0].max_drift_bps = 5);
    assert_eq!(reason(at(&mut rig, 10_070)), Some(DenialReason::PriceDrift));
}

#[test]
fn market_orders_are_sent_protected_and_kept_as_they_were_sent() {
    let mut config = config();
    config.limits.instruments[0].market_orders = MarketOrders::Protect;
    let mut rig = Rig::new(&config);
    let market = |rig: &mut Rig| {
        let mut intent = rig.intent(Side::Buy, 20);
        (intent.order.order_type, intent.order.price) = (OrderType::Market, Price::ZERO);
        let denial = send(rig, &intent);
        (denial, intent.order.client_order_id)
    };
    let (denial, id) = market(&mut rig);
    assert_eq!(denial, None);
    let sent = newest(&mut rig).expect("sent");
    assert_eq!((sent.order_type, sent.time_in_force), (OrderType::Limit, TimeInForce::ImmediateOrCancel));
    // 100.01 and 50 basis points, rounded up.
    assert_eq!((sent.price, rig.order(id).order), (Price(10_052), sent));
    change(&mut rig, &mut config, |limits| limits.instruments[0].market_orders = MarketOrders::Deny);
    assert_eq!(reason(market(&mut rig).0), Some(DenialReason::MarketOrderNotAllowed));
    change(&mut rig, &mut config, |limits| limits.instruments[0].market_orders = MarketOrders::Allow);
    assert_eq!(market(&mut rig).0, None);
    assert_eq!(newest(&mut rig).map(|order| order.order_type), Some(OrderType::Market));
}

#[test]
fn open_orders_are_counted_until_they_end() {
    let mut config = config();
    config.limits.strategies[0].max_open_orders = 2;
    let mut rig = Rig::new(&config);
    let (first, second) = (rig.place(Side::Buy, 20), rig.place(Side::Buy, 20));
    let over = Denial { reason: DenialReason::MaxOpenOrders, limit: 2, observed: 3 };
    assert_eq!(buy(&mut rig, 20), Some(over));
    rig.tell(first, ReportKind::Unknown);
    assert_eq!(buy(&mut rig, 20), Some(over), "of unproven fate: still counted");
    rig.tell(first, ReportKind::Canceled);
    assert_eq!(buy(&mut rig, 20), None);
    rig.fill(second, 1, 20);
    assert_eq!(buy(&mut rig, 20), None);
    assert_eq!(buy(&mut rig, 20), Some(over));
    let other = rig.intent_of(1, 0, Side::Buy, 20);
    assert_eq!(send(&mut rig, &other), None, "another strategy");
    change(&mut rig, &mut config, |limits| limits.instruments[0].max_open_orders = 3);
    let other = rig.intent_of(1, 0, Side::Buy, 20);
    assert_eq!(send(&mut rig, &other), Some(Denial { limit: 3, observed: 4, ..over }), "in the instrument");
    change(&mut rig, &mut config, |limits| {
        limits.instruments[0].max_open_orders = 9;
        limits.accounts[0].max_open_orders = 3;
    });
    let elsewhere = rig.intent_of(1, 1, Side::Buy, 20);
    assert_eq!(send(&mut rig, &elsewhere), Some(Denial { limit: 3, observed: 4, ..over }), "of the account");
}

#[test]
fn what_rests_is_counted_at_its_price_until_it_fills() {
    let mut config = config();
    // 100.00 × 0.00020 each.
    let worth = |quantity: i128| Money(1_000_000_000_000_000 * quantity);
    config.limits.instruments[0].max_resting_notional = worth(40);
    let mut rig = Rig::new(&config);
    let first = rig.place(Side::Buy, 20);
    rig.place(Side::Buy, 20);
    let over = |quantity| {
        Some(Denial { reason: DenialReason::MaxRestingNotional, limit: worth(40).0, observed: worth(quantity).0 })
    };
    assert_eq!(buy(&mut rig, 20), over(60));
    rig.fill(first, 1, 5);
    assert_eq!(buy(&mut rig, 6), over(41));
    assert_eq!(buy(&mut rig, 5), None);
    rig.tell(first, ReportKind::Canceled);
    assert_eq!(buy(&mut rig, 16), over(41));
    assert_eq!(buy(&mut rig, 15), None);
}

#[test]
fn the_rate_of_an_instrument_is_its_own() {
    let mut config = config();
    config.limits.instruments[0].rate = RateLimit { per_second: 1, burst: 3, cancel_reserve: 1 };
    let mut rig = Rig::new(&config);
    assert_eq!((buy(&mut rig, 20), buy(&mut rig, 21)), (None, None));
    assert_eq!(buy(&mut rig, 20), Some(Denial { reason: DenialReason::RateLimit, limit: 2, observed: 3 }));
    let elsewhere = rig.intent_of(1, 1, Side::Buy, 20);
    assert_eq!(send(&mut rig, &elsewhere), None);
    later(&mut rig, 1_000);
    assert_eq!(buy(&mut rig, 20), None);
}

#[test]
fn the_budget_at_the_venue_ages_out() {
    let mut config = config();
    config.limits.accounts[0].max_budget_percent = 80;
    let mut rig = Rig::new(&config);
    let tell = |rig: &mut Rig, used_weight, used_orders| {
        let budget = GatewayMessage::Budget {
            venue: VenueId(0),
            used_weight,
            weight_limit: 6_000,
            used_orders,
            order_limit: 50,
            received_ns: rig.now,
        };
        rig.reports.try_send(budget).expect("room");
        rig.poll();
    };
    tell(&mut rig, 4_799, 39);
    assert_eq!(buy(&mut rig, 20), None);
    tell(&mut rig, 4_800, 39);
    assert_eq!(buy(&mut rig, 20), Some(Denial { reason: DenialReason::VenueBudget, limit: 4_800, observed: 4_800 }));
    change(&mut rig, &mut config, |limits| limits.accounts[0].max_budget_percent = 81);
    assert_eq!(buy(&mut rig, 20), None);
    later(&mut rig, 1);
    tell(&mut rig, 0, 50);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::VenueBudget));
    later(&mut rig, 10_000);
    assert_eq!(buy(&mut rig, 20), None);
}

/// Buys and is filled whole.
fn enter(rig: &mut Rig, side: Side, execution_id: u64) {
    let id = rig.place(side, 20);
    rig.fill(id, execution_id, 10);
    rig.fill(id, execution_id + 1, 10);
}

#[test]
fn entries_in_a_row_stop_a_strategy_until_a_person_looked() {
    let mut config = config();
    config.limits.strategies[0].max_repeat_executions = 3;
    let mut rig = Rig::new(&config);
    for execution_id in [10, 20] {
        enter(&mut rig, Side::Buy, execution_id);
        // Sold again, which reduces and is no entry.
        enter(&mut rig, Side::Sell, execution_id + 2);
    }
    enter(&mut rig, Side::Sell, 30);
    enter(&mut rig, Side::Buy, 40);
    for execution_id in [50, 60] {
        assert_eq!(rig.denials(), []);
        enter(&mut rig, Side::Buy, execution_id);
        enter(&mut rig, Side::Sell, execution_id + 2);
    }
    rig.notices();
    assert_eq!(rig.denials(), [], "an entry in the other direction began a new row: two since then");
    let id = rig.place(Side::Buy, 20);
    rig.fill(id, 70, 20);
    assert_eq!(rig.notices(), [NoticeCode::BreakerTripped]);
    let over = Denial { reason: DenialReason::RepeatExecution, limit: 3, observed: 4 };
    assert_eq!(buy(&mut rig, 20), Some(over));
    let reduces = rig.intent(Side::Sell, 20);
    assert_eq!(send(&mut rig, &reduces), None);
    rig.fill(reduces.order.client_order_id, 80, 20);
    let other_way = rig.intent(Side::Sell, 20);
    assert_eq!(reason(send(&mut rig, &other_way)), Some(DenialReason::RepeatExecution), "it is sticky");
    change(&mut rig, &mut config, |limits| limits.strategies[0].max_repeat_executions = 100);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::RepeatExecution), "a higher limit does not reset it");
    rig.commands.try_send(RiskCommand::Reset(StrategyId(1))).expect("room");
    rig.poll();
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::RepeatExecution), "of another strategy");
    rig.commands.try_send(RiskCommand::Reset(StrategyId(0))).expect("room");
    rig.poll();
    assert_eq!(buy(&mut rig, 20), None);
}

#[test]
fn a_restart_does_not_reset_entries_in_a_row() {
    let mut config = config();
    config.limits.strategies[0].max_repeat_executions = 3;
    let latch = StrategyLatch { strategy: StrategyId(0), repeats: [2, 0], ..StrategyLatch::default() };
    config.latches = vec![Latch::Strategy(latch)];
    let mut rig = Rig::new(&config);
    enter(&mut rig, Side::Buy, 10);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::RepeatExecution));
    config.latches = vec![Latch::Strategy(StrategyLatch { repeats: [0, 0], is_repeat_tripped: true, ..latch })];
    let mut rig = Rig::new(&config);
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::RepeatExecution));
    rig.commands.try_send(RiskCommand::Reset(StrategyId::NONE)).expect("room");
    rig.poll();
    assert_eq!(buy(&mut rig, 20), None);
}

#[test]
fn messages_for_each_fill() {
    let mut config = config();
    let limits = &mut config.limits.strategies[0];
    limits.ratio_window_ns = 8_000_000_000;
    limits.free_messages = 4;
    limits.alert_order_to_trade = 4;
    limits.max_order_to_trade = 6;
    let mut rig = Rig::new(&config);
    let mut ids = Vec::new();
    for _ in 0..2 {
        let id = rig.place(Side::Buy, 2);
        rig.cancel(id);
        rig.poll();
        rig.tell(id, ReportKind::Canceled);
        ids.push(id);
    }
    assert_eq!(rig.notices(), []);
    let id = rig.place(Side::Buy, 2);
    assert_eq!(rig.notices(), [NoticeCode::LimitNear], "the fifth");
    assert_eq!(buy(&mut rig, 2), None);
    assert_eq!(buy(&mut rig, 2), Some(Denial { reason: DenialReason::OrderToTradeRatio, limit: 6, observed: 7 }));
    rig.cancel(id);
    rig.poll();
    assert_eq!(rig.gateway_cancels.drain(u64::MAX, |_| {}), 3, "cancels pass");
    rig.fill(id, 1, 1);
    rig.fill(id, 2, 1);
    assert_eq!(buy(&mut rig, 2), None, "8 for 2");
    later(&mut rig, 9_144);
    change(&mut rig, &mut config, |limits| limits.strategies[0].max_order_to_trade = 1);
    for _ in 0..4 {
        assert_eq!(buy(&mut rig, 2), None, "forgotten");
    }
    assert_eq!(reason(buy(&mut rig, 2)), Some(DenialReason::OrderToTradeRatio));
}

#[test]
fn an_identity_that_is_not_approved_denies_everything() {
    let denial = Denial { reason: DenialReason::BuildNotApproved, limit: 1, observed: 2 };
    let mut config = config();
    config.identity = Some(denial);
    let mut rig = Rig::new(&config);
    assert_eq!(buy(&mut rig, 20), Some(denial));
}

#[test]
fn nothing_configured_denies_everything() {
    let mut config = config();
    for which in 0..4 {
        let mut limits = config.limits.clone();
        match which {
            0 => limits.permissions.fill(Limits::NONE),
            1 => limits.instruments.fill(InstrumentLimits { restriction: Restriction::None, ..InstrumentLimits::NONE }),
            2 => limits.strategies.fill(StrategyLimits::NONE),
            _ => limits.accounts.fill(AccountLimits::NONE),
        }
        let mut rig = Rig::new(&config);
        change(&mut rig, &mut config, |table| *table = limits.clone());
        assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::LimitNotConfigured), "{which}");
        config = super::rig::config();
    }
}

#[test]
fn a_share_of_a_volume_that_is_told_while_it_runs() {
    let mut config = config();
    config.limits.instruments[0].max_volume_share_bps = 100;
    config.day_volumes = vec![Quantity(2_000)];
    let mut rig = Rig::new(&config);
    let denied = |limit, observed| Some(Denial { reason: DenialReason::MaxVolumeShare, limit, observed });
    assert_eq!(buy(&mut rig, 20), None);
    assert_eq!(buy(&mut rig, 21), denied(100, 105));
    let tell = |rig: &mut Rig, day_volume| {
        let instrument = InstrumentId(0);
        rig.commands.try_send(RiskCommand::Volume { instrument, day_volume: Quantity(day_volume) }).expect("room");
        // Of what there is not, nothing comes.
        let instrument = InstrumentId(9);
        rig.commands.try_send(RiskCommand::Volume { instrument, day_volume: Quantity(1) }).expect("room");
        rig.poll();
    };
    tell(&mut rig, 2_100);
    assert_eq!(buy(&mut rig, 21), None);
    tell(&mut rig, 0);
    assert_eq!(buy(&mut rig, 2), denied(100, i128::MAX));
    tell(&mut rig, 2_100);
    change(&mut rig, &mut config, |limits| limits.instruments[0].max_volume_share_bps = 50);
    assert_eq!(buy(&mut rig, 11), denied(50, 53));
    // Whoever was not asked about it trades nothing in it.
    config.day_volumes = Vec::new();
    assert_eq!(buy(&mut Rig::new(&config), 2), denied(50, i128::MAX));
}

#[test]
fn each_limit_that_is_not_configured_denies_by_itself() {
    type Change = fn(&mut LimitsTable);
    let changes: [(i128, Change); 23] = [
        (10, |limits| limits.strategies[0].duplicate_window_ns = 0),
        (10, |limits| limits.strategies[0].max_duplicates = 0),
        (11, |limits| limits.instruments[0].max_data_age_ns = 0),
        (13, |limits| limits.instruments[0].collar_bps = 0),
        (13, |limits| limits.instruments[0].passive_collar_bps = 0),
        (13, |limits| limits.instruments[0].max_slippage_bps = 0),
        (14, |limits| limits.instruments[0].max_drift_bps = 0),
        (14, |limits| limits.instruments[0].drift_window_ns = 0),
        (16, |limits| limits.permissions[0].max_order_quantity = Quantity::ZERO),
        (16, |limits| limits.instruments[0].max_depth_share_bps = 0),
        (16, |limits| limits.instruments[0].max_volume_share_bps = 0),
        (17, |limits| limits.permissions[0].max_order_notional = Money::ZERO),
        (18, |limits| limits.permissions[0].max_position = Quantity::ZERO),
        (18, |limits| limits.instruments[0].max_position = Quantity::ZERO),
        (21, |limits| limits.strategies[0].max_open_orders = 0),
        (21, |limits| limits.instruments[0].max_open_orders = 0),
        (21, |limits| limits.accounts[0].max_open_orders = 0),
        (21, |limits| limits.instruments[0].max_resting_notional = Money::ZERO),
        (24, |limits| limits.instruments[0].rate = RateLimit::NONE),
        (25, |limits| limits.accounts[0].max_budget_percent = 0),
        (26, |limits| limits.strategies[0].max_repeat_executions = 0),
        (27, |limits| limits.strategies[0].ratio_window_ns = 0),
        (27, |limits| limits.strategies[0].max_order_to_trade = 0),
    ];
    for (control, take_away) in changes {
        let mut config = config();
        let mut rig = Rig::new(&config);
        change(&mut rig, &mut config, take_away);
        let mut intent = rig.intent(Side::Buy, 20);
        (intent.order.order_type, intent.order.price) = (OrderType::Market, Price::ZERO);
        let denial = Denial { reason: DenialReason::LimitNotConfigured, limit: 0, observed: control };
        assert_eq!(send(&mut rig, &intent), Some(denial));
    }
}

fn an_override(rig: &Rig) -> Override {
    Override {
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        reason: DenialReason::MaxOrderQuantity,
        orders_left: 2,
        expires_ns: rig.now.plus(1_000),
        requester: 1,
        approver: 2,
    }
}

fn take(rig: &mut Rig, wanted: Override) -> Vec<NoticeCode> {
    rig.overrides.try_send(wanted).expect("room");
    rig.commands.try_send(RiskCommand::TakeOverride).expect("room");
    rig.poll();
    rig.notices()
}

#[test]
fn an_override_lifts_one_limit_for_a_few_orders() {
    let mut config = config();
    config.limits.permissions[0].max_order_quantity = Quantity(30);
    let mut rig = Rig::new(&config);
    assert_eq!(reason(buy(&mut rig, 31)), Some(DenialReason::MaxOrderQuantity));
    let wanted = an_override(&rig);
    assert_eq!(take(&mut rig, wanted), []);
    let other = rig.intent_of(1, 0, Side::Buy, 51);
    assert_eq!(reason(send(&mut rig, &other)), Some(DenialReason::MaxOrderQuantity), "of another strategy");
    let mut thin = rig.intent(Side::Buy, 31);
    thin.stamp.near_depth = Quantity(40);
    assert_eq!(
        reason(send(&mut rig, &thin)),
        Some(DenialReason::MaxDepthShare),
        "the same control's other limit holds"
    );
    assert_eq!(reason(buy(&mut rig, 46)), Some(DenialReason::MaxOrderNotional), "those behind it hold");
    let first = rig.intent(Side::Buy, 31);
    rig.send(&first).expect("room");
    rig.poll();
    assert_eq!(rig.notices(), [NoticeCode::OverrideUsed]);
    assert_eq!(newest(&mut rig), Some(first.order));
    assert_eq!(buy(&mut rig, 20), None, "needs none: does not use it up");
    assert_eq!(buy(&mut rig, 31), None, "the second");
    let original = Denial { reason: DenialReason::MaxOrderQuantity, limit: 30, observed: 31 };
    assert_eq!(buy(&mut rig, 31), Some(original), "used up");
    let wanted = an_override(&rig);
    take(&mut rig, wanted);
    rig.now = rig.now.plus(1_000);
    let mut late = rig.intent(Side::Buy, 31);
    late.stamp.data_ns = rig.now;
    assert_eq!(send(&mut rig, &late), Some(original), "expired");
}

#[test]
fn two_overrides_for_one_order_are_used_together_or_not_at_all() {
    let mut config = config();
    config.limits.permissions[0].max_position = Quantity(40);
    let mut rig = Rig::new(&config);
    for reason in [DenialReason::MaxOrderQuantity, DenialReason::MaxPosition] {
        let wanted = Override { reason, orders_left: 1, ..an_override(&rig) };
        take(&mut rig, wanted);
    }
    assert_eq!(reason(buy(&mut rig, 51)), Some(DenialReason::MaxOrderNotional));
    let mut cheap = rig.intent(Side::Buy, 51);
    cheap.order.price = Price(9_500);
    cheap.stamp.ask = Price(10_000);
    assert_eq!(reason(send(&mut rig, &cheap)), Some(DenialReason::MaxOrderNotional));
    change(&mut rig, &mut config, |limits| limits.permissions[0].max_order_notional = Money(i128::MAX));
    assert_eq!(buy(&mut rig, 51), None, "neither was used up");
    assert_eq!(reason(buy(&mut rig, 51)), Some(DenialReason::MaxOrderQuantity));
}

#[test]
fn overrides_that_are_not_taken() {
    let mut rig = Rig::new(&config());
    let good = an_override(&rig);
    for bad in [
        Override { approver: good.requester, ..good },
        Override { orders_left: 0, ..good },
        Override { expires_ns: rig.now, ..good },
        Override { strategy: StrategyId(7), ..good },
        Override { instrument: InstrumentId(1), ..good },
        Override { reason: DenialReason::KillSwitchActive, ..good },
        Override { reason: DenialReason::NotReady, ..good },
        Override { reason: DenialReason::LimitNotConfigured, ..good },
        Override { reason: DenialReason::BuildNotApproved, ..good },
    ] {
        assert_eq!(take(&mut rig, bad), [NoticeCode::Misconfigured], "{bad:?}");
    }
    for _ in 0..16 {
        assert_eq!(take(&mut rig, good), []);
    }
    assert_eq!(take(&mut rig, good), [NoticeCode::Misconfigured], "there is no room");
    rig.now = rig.now.plus(1_000);
    let next = Override { expires_ns: rig.now.plus(1), ..good };
    assert_eq!(take(&mut rig, next), [], "those that are over make room");
}

#[test]
fn only_what_can_be_lifted_can_be_overridden() {
    use crate::risk::controls::Lifted;
    let table = config().limits;
    for reason in DenialReason::ALL {
        let mut lifted = Lifted::new(&table);
        assert_eq!(lifted.lift(reason), Override::REASONS.contains(&reason), "{reason}");
    }
}

#[test]
fn orders_of_a_replayed_instant_are_judged_alike() {
    let mut config = config();
    config.limits.strategies[0].duplicate_window_ns = 500_000_000;
    config.limits.strategies[0].max_duplicates = 2;
    let run = || {
        let mut rig = Rig::new(&config);
        let verdicts: Vec<_> = (0..40)
            .map(|step| {
                later(&mut rig, 37 * (step % 5));
                let denial = buy(&mut rig, 2 + i64::try_from(step % 3).expect("small"));
                rig.risk.poll(rig.now);
                denial
            })
            .collect();
        verdicts
    };
    assert_eq!(run(), run());
}

#[test]
fn a_late_fill_of_an_ended_order_is_an_entry_too() {
    let mut config = config();
    config.limits.strategies[0].max_repeat_executions = 1;
    let mut rig = Rig::new(&config);
    let id = rig.place(Side::Buy, 20);
    rig.tell(id, ReportKind::Canceled);
    assert_eq!(buy(&mut rig, 20), None);
    rig.report(fill(id, 1, 20, 0));
    assert_eq!(reason(buy(&mut rig, 20)), Some(DenialReason::RepeatExecution));
}

#[test]
fn a_journal_that_is_behind_stops_orders_until_it_has_caught_up_and_one_that_lost_entries_halts() {
    use crate::pipeline::tap::CAPACITY_WORDS;
    let mut rig = Rig::new(&config());
    let resting = rig.place(Side::Buy, 2);
    // Nobody takes the entries away meanwhile.
    let fill_up = |rig: &mut Rig, most: u64| {
        let mark = Mark {
            instrument: InstrumentId(0),
            quote: Quote { bid: Price(9_999), ask: Price(10_001), ..Quote::default() },
        };
        while rig.risk.journal_backlog() < most {
            rig.marks[0].try_send(mark).expect("room");
            rig.risk.poll(rig.now);
        }
    };
    fill_up(&mut rig, CAPACITY_WORDS * 7 / 8);
    let intent = rig.intent(Side::Buy, 2);
    rig.send(&intent).expect("room");
    rig.risk.poll(rig.now);
    assert_eq!(rig.notices().last(), Some(&NoticeCode::Denied));
    rig.poll();
    assert_eq!(buy(&mut rig, 2), None, "it has caught up");
    fill_up(&mut rig, CAPACITY_WORDS - 63);
    rig.risk.poll(rig.now);
    rig.poll();
    rig.poll();
    assert_eq!(rig.risk.trading_state(), TradingState::Halted);
    assert_eq!(rig.order(resting).cancel, CancelStep::Passed, "cancels pass");
    assert_eq!(reason(buy(&mut rig, 2)), Some(DenialReason::Halted));
}
