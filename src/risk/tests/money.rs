//! Buying power, capital, exposure, turnover and losses over the life of orders, limits and the process.

use super::rig::{Rig, config, fill};
use crate::risk::{LimitsTable, RateSource, RiskConfig};
use crate::types::*;

const USDT: AssetId = AssetId(1);
/// 0.01 USDT, what one unit of quantity costs at 100.00 × 10.
const CENT: i128 = 10_000_000_000_000_000;
const DAY_NS: u64 = 86_400_000_000_000;

fn refused(rig: &mut Rig, side: Side, quantity: i64) -> Option<Denial> {
    let intent = rig.intent(side, quantity);
    judged(rig, &intent)
}

fn judged(rig: &mut Rig, intent: &OrderIntent) -> Option<Denial> {
    rig.notices.drain(u64::MAX, |_| {});
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

fn denial(reason: DenialReason, limit: i128, observed: i128) -> Option<Denial> {
    Some(Denial { reason, limit, observed })
}

fn fill_at(rig: &mut Rig, id: ClientOrderId, execution: u64, quantity: i64, price: i64) {
    let report = ExecutionReport { last_price: Price(price), ..fill(id, execution, quantity, quantity) };
    rig.report(report);
}

fn mark(rig: &mut Rig, instrument: u32, bid: i64, ask: i64) {
    let quantity = Quantity(1);
    let quote = Quote {
        bid: Price(bid),
        ask: Price(ask),
        bid_quantity: quantity,
        ask_quantity: quantity,
        received_ns: rig.now,
        ..Quote::default()
    };
    rig.marks[0].try_send(Mark { instrument: InstrumentId(instrument), quote }).expect("room");
    rig.poll();
}

fn take(rig: &mut Rig, change: impl Fn(&mut LimitsTable)) {
    let mut limits = config().limits;
    change(&mut limits);
    rig.limits.send(Box::new(limits)).expect("room");
    rig.commands.try_send(RiskCommand::TakeLimits).expect("room");
    rig.poll();
}

fn strategy_latches(rig: &mut Rig) -> Vec<StrategyLatch> {
    let mut seen = Vec::new();
    rig.latches.drain(u64::MAX, |latch| {
        if let Latch::Strategy(latch) = latch {
            seen.push(*latch);
        }
    });
    seen
}

#[test]
fn buying_power_is_reserved_at_approval_and_released_at_the_end() {
    let mut rig = Rig::new(&config());
    // 0.09 USDT: an order of 10 at 100.00 needs 0.01.
    rig.risk.start_balance(VenueId(0), USDT, Money(9 * CENT));
    let first = rig.place(Side::Buy, 45);
    let power = DenialReason::InsufficientBuyingPower;
    let needed = |quantity: i128| quantity * CENT / 10;
    let second = rig.place(Side::Buy, 35);
    assert_eq!(refused(&mut rig, Side::Buy, 11), denial(power, needed(10), needed(11)));
    rig.tell(first, ReportKind::Unknown);
    assert_eq!(refused(&mut rig, Side::Buy, 11), denial(power, needed(10), needed(11)), "unknown keeps its reserve");
    rig.fill(second, 1, 20);
    let ledger = rig.risk.ledger(VenueId(0)).expect("there");
    assert_eq!((ledger.reserved(USDT).0, ledger.free(USDT).0), (needed(60), needed(10)), "paid instead of reserved");
    rig.tell(first, ReportKind::Canceled);
    let last = rig.place(Side::Buy, 45);
    rig.tell(last, ReportKind::Rejected);
    rig.tell(second, ReportKind::Expired);
    assert_eq!(rig.risk.ledger(VenueId(0)).expect("there").reserved(USDT), Money::ZERO);
    // A sell reserves the base asset.
    rig.risk.start_balance(VenueId(0), AssetId(0), Money::ZERO);
    let held = 20 * 10_000_000_000_000;
    assert_eq!(refused(&mut rig, Side::Sell, 21), denial(power, held, held / 20 * 21));
    rig.place(Side::Sell, 20);
    assert_eq!(refused(&mut rig, Side::Sell, 2), denial(power, 0, held / 10));
}

#[test]
fn an_order_that_never_leaves_gives_its_reserve_back() {
    let mut rig = Rig::with_lanes_of(&config(), 2);
    let before = rig.risk.ledger(VenueId(0)).expect("there").free(USDT);
    for _ in 0..3 {
        rig.place(Side::Buy, 10);
    }
    assert_eq!(rig.denials(), [(DenialReason::GatewayBusy, 1)]);
    let ledger = rig.risk.ledger(VenueId(0)).expect("there");
    assert_eq!(ledger.free(USDT), before.saturating_sub(Money(2 * CENT)));
}

#[test]
fn a_pair_of_which_only_one_can_fill_reserves_the_larger_at_the_worse_price() {
    let mut rig = Rig::new(&config());
    rig.risk.start_balance(VenueId(0), USDT, Money(4 * CENT));
    let reserved = |rig: &Rig| rig.risk.ledger(VenueId(0)).expect("there").reserved(USDT).0 * 100 / CENT;
    let old = rig.place(Side::Buy, 20);
    rig.tell(old, ReportKind::Accepted);
    let mut intent = rig.intent(Side::Buy, 30);
    intent.order.replaces = old;
    intent.order.price = Price(10_050);
    // 30 at 100.50 are 3.015 cents: two of them are held already.
    assert_eq!(judged(&mut rig, &intent), None);
    assert_eq!(reserved(&rig), 301, "30 at the higher price, not 20 of them at the lower one");
    assert_eq!(
        refused(&mut rig, Side::Buy, 10).map(|denial| denial.reason),
        Some(DenialReason::InsufficientBuyingPower)
    );
    // The replacement never comes: the old order stands alone, at its own price.
    rig.tell(intent.order.client_order_id, ReportKind::Rejected);
    assert_eq!(reserved(&rig), 200);
    let mut next = rig.intent(Side::Buy, 39);
    next.order.replaces = old;
    next.order.price = Price(9_900);
    assert_eq!(judged(&mut rig, &next), None);
    assert_eq!(reserved(&rig), 200 + 188, "20 at 100.00 or 99.00, and 19 at 99.00");
    rig.tell(old, ReportKind::Canceled);
    assert_eq!(reserved(&rig), 386);
    rig.tell(next.order.client_order_id, ReportKind::Canceled);
    assert_eq!(reserved(&rig), 0);
}

#[test]
fn transfers_change_what_can_be_spent() {
    let mut rig = Rig::new(&config());
    rig.risk.start_balance(VenueId(0), USDT, Money(CENT));
    assert!(refused(&mut rig, Side::Buy, 20).is_some());
    let transfer =
        GatewayMessage::Transfer { venue: VenueId(0), asset: USDT, amount: Money(CENT), received_ns: rig.now };
    rig.reports.try_send(transfer).expect("room");
    rig.poll();
    assert_eq!(refused(&mut rig, Side::Buy, 20), None);
}

#[test]
fn capital_follows_orders_and_fills_and_is_shown() {
    let mut config = config();
    config.limits.permissions[0].allocation = Money(5 * CENT);
    let mut rig = Rig::new(&config);
    let id = rig.place(Side::Buy, 30);
    fill_at(&mut rig, id, 1, 20, 9_000);
    // 20 cost 1.8 cents, 10 are still open at 1 cent.
    let capital = rig.risk.holdings()[0].capital;
    assert_eq!((capital.used().0, capital.open(Side::Buy).0), (18 * CENT / 10, CENT));
    let allocation = DenialReason::AllocationExceeded;
    assert_eq!(refused(&mut rig, Side::Buy, 23), denial(allocation, 5 * CENT, 51 * CENT / 10));
    assert_eq!(refused(&mut rig, Side::Buy, 22), None);
    // Closing needs none, and going on to the other side what it opens.
    assert_eq!(refused(&mut rig, Side::Sell, 20), None);
    rig.now = rig.now.plus(RiskConfig::POSITION_INTERVAL_NS);
    rig.poll();
    let mut shown = PositionReport::default();
    rig.positions.drain(u64::MAX, |report| {
        if report.strategy == StrategyId(0) {
            shown = *report;
        }
    });
    let parts = (shown.allocated.0, shown.used.0, shown.reserved.0);
    assert_eq!(parts, (5 * CENT, 18 * CENT / 10, 32 * CENT / 10));
    assert_eq!((shown.position.quantity, shown.position.average_price), (Quantity(20), Price(9_000)));
}

#[test]
fn gross_follows_marks_orders_and_fills() {
    let mut config = config();
    config.limits.accounts[0].max_gross = Money(9 * CENT);
    let mut rig = Rig::new(&config);
    let first = rig.place(Side::Buy, 45);
    rig.place(Side::Buy, 40);
    let gross = DenialReason::MaxGross;
    assert_eq!(refused(&mut rig, Side::Buy, 6), denial(gross, 9 * CENT, 91 * CENT / 10));
    // Another instrument, another strategy, one account: gross adds up, net does not.
    let mut other = rig.intent_of(1, 1, Side::Sell, 6);
    assert_eq!(judged(&mut rig, &other), denial(gross, 9 * CENT, 91 * CENT / 10));
    fill_at(&mut rig, first, 1, 45, 10_000);
    mark(&mut rig, 0, 10_999, 11_001);
    assert_eq!(rig.risk.worth(VenueId(0))[0].gross.0, 85 * CENT / 10 * 11 / 10);
    // Over the limit by the market's doing: what adds nothing passes.
    assert_eq!(refused(&mut rig, Side::Sell, 10), None);
    mark(&mut rig, 0, 4_999, 5_001);
    other.order.client_order_id = ClientOrderId(other.order.client_order_id.0 + 100);
    assert_eq!(judged(&mut rig, &other), None);
}

#[test]
fn a_quote_asset_without_a_fresh_rate_denies() {
    let mut config = config();
    // The account counts in BTC, so that what is quoted in USDT needs a rate, the inverse of instrument 0.
    config.currency = Some(AssetId(0));
    config.rate_sources = vec![RateSource { asset: USDT, instrument: InstrumentId(0) }];
    config.limits.accounts[0].max_rate_age_ns = 1_000;
    let mut rig = Rig::new(&config);
    let stale = DenialReason::StaleFx;
    assert_eq!(refused(&mut rig, Side::Buy, 10), denial(stale, 1_000, i128::MAX));
    mark(&mut rig, 0, 9_999, 10_001);
    rig.now = rig.now.plus(1_000);
    assert_eq!(refused(&mut rig, Side::Buy, 10), None);
    rig.now = rig.now.plus(1);
    assert_eq!(refused(&mut rig, Side::Buy, 10), denial(stale, 1_000, 1_001));
    // A mark in the other instrument is no rate.
    mark(&mut rig, 1, 9_999, 10_001);
    assert_eq!(refused(&mut rig, Side::Buy, 10), denial(stale, 1_000, 1_001));
}

#[test]
fn a_rate_that_moves_counts_in_what_was_made_elsewhere() {
    let mut config = config();
    config.currency = Some(AssetId(0));
    config.rate_sources = vec![RateSource { asset: USDT, instrument: InstrumentId(0) }];
    // 0.00005 BTC.
    config.limits.strategies[1].max_daily_loss = Money::from_scaled(5, 5).expect("fits");
    let mut rig = Rig::new(&config);
    mark(&mut rig, 0, 9_999, 10_001);
    let intent = rig.intent_of(1, 1, Side::Buy, 40);
    rig.send(&intent).expect("room");
    rig.poll();
    fill_at(&mut rig, intent.order.client_order_id, 1, 40, 10_000);
    mark(&mut rig, 1, 9_000, 9_002);
    let loss = |rig: &Rig| rig.risk.results(StrategyId(1)).expect("there").loss();
    assert_eq!(loss(&rig), Money::from_scaled(4, 5).expect("fits"), "0.004 USDT at 100");
    mark(&mut rig, 0, 4_999, 5_001);
    assert_eq!(loss(&rig), Money::from_scaled(8, 5).expect("fits"), "at 50");
    assert_eq!(rig.risk.results(StrategyId(1)).expect("there").loss_tripped(), Some(loss(&rig)));
}

#[test]
fn turnover_counts_fills_and_open_orders_and_the_day_ends() {
    let mut config = config();
    config.limits.strategies[0].max_turnover = Money(6 * CENT);
    config.limits.strategies[0].turnover_window_ns = 31_000_000_000;
    config.limits.strategies[0].max_daily_turnover = Money(10 * CENT);
    let mut rig = Rig::new(&config);
    let first = rig.place(Side::Buy, 40);
    let window = DenialReason::MaxTurnover;
    assert_eq!(refused(&mut rig, Side::Buy, 21), denial(window, 6 * CENT, 61 * CENT / 10), "it may all fill");
    fill_at(&mut rig, first, 1, 40, 10_000);
    assert_eq!(refused(&mut rig, Side::Buy, 21), denial(window, 6 * CENT, 61 * CENT / 10));
    rig.now = rig.now.plus(36_000_000_000);
    let second = rig.place(Side::Sell, 40);
    fill_at(&mut rig, second, 2, 40, 10_000);
    rig.now = rig.now.plus(36_000_000_000);
    let day = DenialReason::MaxDailyTurnover;
    assert_eq!(refused(&mut rig, Side::Buy, 21), denial(day, 10 * CENT, 101 * CENT / 10));
    rig.now = Timestamp::from_nanos(DAY_NS);
    assert_eq!(refused(&mut rig, Side::Buy, 21), None);
}

/// A rig with strategy 0 long 40 at 100.00, a sell of 10 and a buy of 5 open, and a loss limit of one cent.
fn losing(change: impl Fn(&mut RiskConfig)) -> (Rig, ClientOrderId, ClientOrderId) {
    let mut config = config();
    config.limits.strategies[0].max_daily_loss = Money(CENT);
    change(&mut config);
    let mut rig = Rig::new(&config);
    let id = rig.place(Side::Buy, 40);
    fill_at(&mut rig, id, 1, 40, 10_000);
    let (closes, opens) = (rig.place(Side::Sell, 10), rig.place(Side::Buy, 5));
    rig.gateway_cancels.drain(u64::MAX, |_| {});
    (rig, closes, opens)
}

fn tripped(rig: &mut Rig) -> usize {
    rig.notices().into_iter().filter(|&code| code == NoticeCode::BreakerTripped).count()
}

#[test]
fn a_loss_past_its_limit_latches_for_the_day_and_cancels_what_opens() {
    let (mut rig, closes, opens) = losing(|_| {});
    // 40 of 100.00 at a bid of 75.00 are a loss of exactly one cent.
    mark(&mut rig, 0, 7_500, 7_502);
    rig.poll();
    assert_eq!((tripped(&mut rig), rig.risk.results(StrategyId(0)).expect("there").loss()), (0, Money(CENT)));
    mark(&mut rig, 0, 7_499, 7_501);
    rig.poll();
    assert_eq!(tripped(&mut rig), 1);
    let mut canceled = Vec::new();
    rig.gateway_cancels.drain(u64::MAX, |cancel| canceled.push(cancel.client_order_id));
    assert_eq!(canceled, [opens], "not the order that closes, {closes}");
    let loss = CENT + CENT / 2_500;
    let limit = DenialReason::DailyLossLimit;
    assert_eq!(refused(&mut rig, Side::Buy, 2), denial(limit, CENT, loss));
    assert_eq!(refused(&mut rig, Side::Sell, 31), denial(limit, CENT, loss));
    assert_eq!(refused(&mut rig, Side::Sell, 30), None);
    // A better market, a higher limit, a person: the day's latch stays, and is told once.
    mark(&mut rig, 0, 10_999, 11_001);
    take(&mut rig, |limits| limits.strategies[0].max_daily_loss = Money(100 * CENT));
    rig.commands.try_send(RiskCommand::Reset(StrategyId(0))).expect("room");
    assert_eq!(refused(&mut rig, Side::Buy, 2), denial(limit, 100 * CENT, loss));
    mark(&mut rig, 0, 5_000, 5_002);
    assert_eq!(tripped(&mut rig), 0);
    // Another strategy is not concerned, and the next day begins anew.
    let other = rig.intent_of(1, 0, Side::Buy, 2);
    assert_eq!(judged(&mut rig, &other), None);
    rig.now = Timestamp::from_nanos(DAY_NS);
    assert_eq!(refused(&mut rig, Side::Buy, 2), None);
    assert_eq!(rig.risk.results(StrategyId(0)).expect("there").loss(), Money::ZERO, "the day began at this profit");
}

#[test]
fn fees_and_realized_losses_count() {
    let (mut rig, closes, _) = losing(|_| {});
    let report = ExecutionReport { last_price: Price(5_000), fee: 500_000, fee_asset: USDT, ..fill(closes, 2, 10, 10) };
    rig.report(report);
    // Half a cent on 10 of them, and half a cent of fees; the rest is not marked yet.
    assert_eq!(rig.risk.results(StrategyId(0)).expect("there").loss(), Money(CENT));
    assert_eq!(tripped(&mut rig), 0);
    let id = rig.place(Side::Sell, 5);
    let report = ExecutionReport { fee: 1, fee_asset: USDT, ..fill(id, 3, 5, 5) };
    rig.report(report);
    assert_eq!(tripped(&mut rig), 1);
}

#[test]
fn the_drawdown_latch_outlives_days_and_restarts_until_a_person_sets_it_back() {
    let drawdown = |config: &mut RiskConfig| {
        config.limits.strategies[0].max_daily_loss = Money(1_000 * CENT);
        config.limits.strategies[0].max_drawdown = Money(2 * CENT);
    };
    let (mut rig, ..) = losing(drawdown);
    mark(&mut rig, 0, 12_500, 12_502);
    mark(&mut rig, 0, 7_500, 7_502);
    assert_eq!(tripped(&mut rig), 0, "two cents below the best");
    mark(&mut rig, 0, 7_499, 7_501);
    assert_eq!(tripped(&mut rig), 1);
    let found = 2 * CENT + CENT / 2_500;
    let limit = DenialReason::MaxDrawdown;
    assert_eq!(refused(&mut rig, Side::Buy, 2), denial(limit, 2 * CENT, found));
    rig.now = Timestamp::from_nanos(3 * DAY_NS);
    assert_eq!(refused(&mut rig, Side::Buy, 2), denial(limit, 2 * CENT, found));
    let kept = strategy_latches(&mut rig).into_iter().rfind(|latch| latch.strategy == StrategyId(0));
    assert!(kept.is_some_and(|latch| latch.is_drawdown_tripped));
    let mut config = config();
    drawdown(&mut config);
    config.latches = kept.into_iter().map(Latch::Strategy).collect();
    let mut rig = Rig::new(&config);
    rig.now = Timestamp::from_nanos(9 * DAY_NS);
    assert_eq!(refused(&mut rig, Side::Buy, 2), denial(limit, 2 * CENT, found));
    rig.commands.try_send(RiskCommand::Reset(StrategyId::NONE)).expect("room");
    assert_eq!(refused(&mut rig, Side::Buy, 2), None);
}

#[test]
fn a_restart_brings_the_day_back_and_a_clock_set_back_does_not_end_it() {
    let latch = |day| StrategyLatch {
        day_profit: Money(-2 * CENT),
        drawdown: Money(3 * CENT),
        day_turnover: Money(9 * CENT),
        day,
        strategy: StrategyId(0),
        is_loss_tripped: true,
        ..StrategyLatch::default()
    };
    let start = |day, today: u64| {
        let mut config = config();
        config.limits.strategies[0].max_daily_loss = Money(CENT);
        config.limits.strategies[0].max_daily_turnover = Money(10 * CENT);
        config.latches = vec![Latch::Strategy(latch(day))];
        let mut rig = Rig::new(&config);
        rig.now = Timestamp::from_nanos(today * DAY_NS);
        rig
    };
    for today in [5, 4] {
        let mut rig = start(5, today);
        assert_eq!(refused(&mut rig, Side::Buy, 2), denial(DenialReason::DailyLossLimit, CENT, 2 * CENT));
        let turnover = denial(DenialReason::MaxDailyTurnover, 10 * CENT, 9 * CENT + 11 * CENT / 10);
        assert_eq!(refused(&mut rig, Side::Buy, 11), turnover);
        let results = rig.risk.results(StrategyId(0)).expect("there");
        assert_eq!((results.day_turnover(), results.drawdown()), (Money(9 * CENT), Money(3 * CENT)));
    }
    let mut rig = start(5, 6);
    assert_eq!(refused(&mut rig, Side::Buy, 2), None);
    assert_eq!(rig.risk.results(StrategyId(0)).expect("there").drawdown(), Money(3 * CENT), "over days");
}

#[test]
fn lower_limits_trip_at_once() {
    let (mut rig, ..) = losing(|config| config.limits.strategies[0].max_daily_loss = Money(100 * CENT));
    mark(&mut rig, 0, 7_500, 7_502);
    assert_eq!(tripped(&mut rig), 0);
    take(&mut rig, |limits| limits.strategies[0].max_daily_loss = Money(CENT - 1));
    assert_eq!(tripped(&mut rig), 1);
    take(&mut rig, |limits| {
        limits.permissions[0].allocation = Money(1);
        limits.accounts[0].max_gross = Money(1);
        limits.strategies[1].max_turnover = Money(1);
    });
    let mut order = rig.intent_of(1, 1, Side::Buy, 2);
    assert_eq!(judged(&mut rig, &order).map(|denial| denial.reason), Some(DenialReason::MaxGross));
    take(&mut rig, |limits| limits.permissions[2].allocation = Money(1));
    order.order.client_order_id = ClientOrderId(order.order.client_order_id.0 + 100);
    assert_eq!(judged(&mut rig, &order).map(|denial| denial.reason), Some(DenialReason::AllocationExceeded));
    take(&mut rig, |limits| limits.strategies[1].max_turnover = Money(1));
    order.order.client_order_id = ClientOrderId(order.order.client_order_id.0 + 1);
    assert_eq!(judged(&mut rig, &order).map(|denial| denial.reason), Some(DenialReason::MaxTurnover));
}

#[test]
fn latches_are_told_at_intervals_and_at_once_when_something_trips() {
    let (mut rig, ..) = losing(|_| {});
    rig.settle();
    rig.latches.drain(u64::MAX, |_| {});
    mark(&mut rig, 0, 9_900, 9_902);
    assert_eq!(strategy_latches(&mut rig), [], "not before the interval is over");
    rig.now = rig.now.plus(50_000_000);
    rig.poll();
    let told = strategy_latches(&mut rig);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].day_profit, told[0].day_turnover), (Money(-4 * CENT / 100), Money(4 * CENT)));
    mark(&mut rig, 0, 5_000, 5_002);
    assert!(strategy_latches(&mut rig).iter().any(|latch| latch.is_loss_tripped));
}

#[test]
fn the_newest_execution_is_kept_though_the_lane_is_full() {
    let mut rig = Rig::with_lanes_of(&config(), 2);
    rig.latches.drain(u64::MAX, |_| {});
    let id = rig.place(Side::Buy, 40);
    for execution in [7, 9, 8] {
        rig.fill(id, execution, 10);
    }
    let mut executions = Vec::new();
    for _ in 0..8 {
        rig.now = rig.now.plus(50_000_000);
        rig.poll();
        rig.latches.drain(u64::MAX, |latch| {
            if let Latch::Execution { execution_id, .. } = latch {
                executions.push(*execution_id);
            }
        });
    }
    assert_eq!(executions, [7, 9], "the first at once, of the others the newest");
    // Another run takes it in, and does not book it again.
    let mut config = config();
    config.latches = vec![Latch::Execution { instrument: InstrumentId(0), execution_id: 9 }];
    let mut rig = Rig::new(&config);
    let id = rig.place(Side::Buy, 40);
    rig.fill(id, 9, 10);
    assert_eq!(rig.exposure(), (0, 40));
}

#[test]
fn what_each_strategy_holds_of_each_asset_adds_up_to_the_account() {
    let mut rig = Rig::new(&config());
    let first = rig.place(Side::Buy, 40);
    let intent = rig.intent_of(1, 0, Side::Sell, 30);
    let second = intent.order.client_order_id;
    assert_eq!(judged(&mut rig, &intent), None);
    for (execution, id, fee_asset) in [(1, first, 0), (2, second, 1), (3, first, 2), (4, second, 7)] {
        let report = ExecutionReport { fee: 123, fee_asset: AssetId(fee_asset), ..fill(id, execution, 9, 9) };
        rig.report(report);
    }
    let ledger = rig.risk.ledger(VenueId(0)).expect("there");
    for asset in (0..3).map(AssetId) {
        let shares = [StrategyId(0), StrategyId(1), StrategyId::NONE].map(|strategy| rig.risk.share(strategy));
        let sum: Money = shares.into_iter().flatten().map(|share| share.change(asset)).sum();
        assert_eq!(sum, ledger.change(asset), "{asset:?}");
    }
    assert_eq!(ledger.fees_elsewhere(), 1);
}
