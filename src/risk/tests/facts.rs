//! Facts out and in: what a restart finds, what the venue then proves, and what is refused.

use super::rig::{Rig, config, fill, lanes};
use crate::metrics::Shared;
use crate::risk::*;
use crate::types::*;
use proptest::prelude::*;

/// A rig with something of everything: orders in many states, fills, what is not ours, a larger order.
fn busy() -> (Rig, Vec<ClientOrderId>) {
    let mut rig = Rig::new(&config());
    let quote = Quote {
        bid: Price(9_999),
        bid_quantity: Quantity(5),
        ask: Price(10_001),
        ask_quantity: Quantity(5),
        ..Quote::default()
    };
    rig.marks[0].try_send(Mark { instrument: InstrumentId(0), quote }).expect("room");
    let sent = rig.place(Side::Buy, 10);
    let accepted = rig.place(Side::Buy, 8);
    rig.tell(accepted, ReportKind::Accepted);
    let partial = rig.place(Side::Buy, 9);
    rig.fill(partial, 1, 4);
    let canceling = rig.place(Side::Sell, 3);
    rig.tell(canceling, ReportKind::Accepted);
    rig.cancel(canceling);
    rig.poll();
    let missing = rig.place(Side::Buy, 6);
    rig.report(ExecutionReport { cumulative_quantity: Quantity(2), ..of(missing, ReportKind::Canceled) });
    let mut part = rig.intent_of(1, 1, Side::Sell, 5);
    (part.order.parent, part.order.parent_quantity) = (3, Quantity(20));
    rig.send(&part).expect("room");
    rig.poll();
    let part = part.order.client_order_id;
    rig.fill(part, 7, 2);
    rig.report(ExecutionReport {
        kind: ReportKind::Accepted,
        venue_order_id: 70,
        order_quantity: Quantity(12),
        order_price: Price(9_990),
        instrument: InstrumentId(0),
        ..ExecutionReport::default()
    });
    (rig, vec![sent, accepted, partial, canceling, missing, part])
}

fn of(id: ClientOrderId, kind: ReportKind) -> ExecutionReport {
    ExecutionReport { client_order_id: id, kind, ..ExecutionReport::default() }
}

fn found(id: ClientOrderId, status: OrderStatus, cumulative: i64) -> ExecutionReport {
    ExecutionReport { status, cumulative_quantity: Quantity(cumulative), ..of(id, ReportKind::Status) }
}

/// Positions, exposures, accounts and shares.
fn books(risk: &Risk) -> impl PartialEq + std::fmt::Debug + use<> {
    let holdings: Vec<_> = risk.holdings().iter().map(|held| (held.position, held.exposure, held.capital)).collect();
    let shares = [StrategyId(0), StrategyId(1), StrategyId::NONE].map(|strategy| risk.share(strategy).cloned());
    (holdings, risk.ledger(VenueId(0)).cloned(), shares)
}

fn restored(config: &RiskConfig, facts: &RiskFacts) -> Result<Risk, RiskFactsError> {
    let (kill, counters) = (KillSwitch::new(), Shared::default());
    let mut risk = Risk::new(config, lanes(), kill, counters).expect("a good configuration");
    risk.restore(facts).map(|()| risk)
}

fn next_epoch() -> RiskConfig {
    RiskConfig { epoch: 2, ..config() }
}

#[test]
fn what_the_venue_proves_after_a_restart_ends_in_the_same_books() {
    let (mut live, ids) = busy();
    let mut again = Rig::restored(&next_epoch(), &live.risk.facts());
    assert_eq!(books(&again.risk), books(&live.risk));
    for id in &ids[..4] {
        assert_eq!(
            (again.order(*id).status, live.order(*id).status == OrderStatus::Unknown),
            (OrderStatus::Unknown, false)
        );
        assert_eq!(again.order(*id).reserve, live.order(*id).reserve);
    }
    assert_eq!((again.order(ids[4]).status, again.order(ids[4]).reserve), (OrderStatus::Canceled, Quantity(2)));
    again.now = live.now.plus(5_000_000_000);
    let number = |report, venue_order_id| ExecutionReport { venue_order_id, ..report };
    let reports = [
        // The fill from before the crash is told once more.
        fill(ids[2], 1, 4, 4),
        // One happened while nobody looked; one order never arrived; one works; one was canceled.
        number(fill(ids[0], 2, 10, 10), 11),
        found(ids[1], OrderStatus::Rejected, 0),
        found(ids[2], OrderStatus::PartiallyFilled, 4),
        found(ids[3], OrderStatus::Canceled, 0),
        number(fill(ids[4], 3, 2, 2), 14),
        number(ExecutionReport { instrument: InstrumentId(1), ..fill(ids[5], 8, 3, 5) }, 15),
        fill(ids[2], 4, 5, 9),
        fill(ids[2], 4, 5, 9),
    ];
    for report in reports {
        live.report(report);
        again.report(report);
        assert_eq!(books(&again.risk), books(&live.risk), "{report:?}");
    }
    let statuses = |rig: &Rig| ids.iter().map(|id| rig.order(*id).status).collect::<Vec<_>>();
    let ends = [
        OrderStatus::Filled,
        OrderStatus::Rejected,
        OrderStatus::Filled,
        OrderStatus::Canceled,
        OrderStatus::Canceled,
        OrderStatus::Filled,
    ];
    assert_eq!(statuses(&again), ends);
    assert_eq!(statuses(&live), statuses(&again));
    assert_eq!(again.counters.duplicate_fills.get(), 2);
    // What ended for good is in no facts' larger orders, and its late fills still find it.
    assert_eq!(again.risk.facts().larger_orders, []);
    assert!(!again.risk.facts().is_live(InstrumentId(7)));
}

#[test]
fn a_cancel_that_was_wanted_is_sent_when_the_order_turns_out_to_work() {
    let (live, ids) = busy();
    let mut again = Rig::restored(&next_epoch(), &live.risk.facts());
    again.poll();
    assert_eq!(again.canceled(), [], "nothing is known of it yet");
    again.report(found(ids[3], OrderStatus::Accepted, 0));
    again.now = again.now.plus(20_000_000);
    again.settle();
    assert_eq!(again.canceled(), [(ids[3], InstrumentId(0))]);
    assert_eq!(again.order(ids[3]).status, OrderStatus::PendingCancel);
}

#[test]
fn the_shard_is_told_of_orders_in_doubt_and_doubt_is_as_old_as_the_crash() {
    let (live, ids) = busy();
    let facts = live.risk.facts();
    let mut again = Rig::restored(&next_epoch(), &facts);
    assert_eq!(again.updates(0), [], "before the first poll nothing is");
    again.now = live.now.plus(1_000_000_000);
    again.poll();
    let told: Vec<_> = ids[..4].iter().map(|id| (*id, OrderStatus::Unknown)).collect();
    assert_eq!(again.updates(0), told);
    assert_eq!(again.order(ids[0]).unknown_since, facts.at);
    // A run that began with facts is replayed from them.
    again.session(SessionState::Ready);
    again.report(found(ids[0], OrderStatus::Accepted, 0));
    let mut intent = again.intent(Side::Buy, 5);
    intent.order.client_order_id = ClientOrderId::new(2, StrategyId(0), 1).expect("in range");
    again.send(&intent).expect("room");
    again.poll();
    assert_eq!(again.denials(), []);
    again.replays(&next_epoch(), &[], &[]).expect("the same");
    again.follows(&next_epoch(), &[], None).expect("the same");
}

#[test]
fn the_shard_is_told_of_a_position_without_orders() {
    let mut live = Rig::new(&config());
    let bought = live.place(Side::Buy, 5);
    live.fill(bought, 1, 5);
    let mut again = Rig::restored(&next_epoch(), &live.risk.facts());
    again.poll();
    let mut told = Vec::new();
    again.updates[0].drain(u64::MAX, |update| {
        told.push((update.client_order_id, update.strategy, update.position.quantity));
    });
    assert_eq!(told, [(ClientOrderId::NONE, StrategyId(0), Quantity(5))]);
    assert_eq!(again.updates(1), []);
}

#[test]
fn orders_of_earlier_starts_are_known_and_one_of_a_later_start_halts() {
    let (live, ids) = busy();
    let mut again = Rig::restored(&next_epoch(), &live.risk.facts());
    again.report(found(ids[0], OrderStatus::Accepted, 0));
    assert_eq!(again.order(ids[0]).status, OrderStatus::Accepted);
    let of_epoch = |epoch| ClientOrderId::new(epoch, StrategyId(0), 900).expect("in range");
    let external = |id| ExecutionReport {
        venue_order_id: 500 + u64::from(ClientOrderId::epoch(id)),
        order_quantity: Quantity(1),
        ..found(id, OrderStatus::Accepted, 0)
    };
    again.report(external(of_epoch(2)));
    assert_eq!(again.risk.trading_state(), TradingState::Active);
    again.report(external(of_epoch(3)));
    assert_eq!(again.risk.trading_state(), TradingState::Halted);
}

#[test]
fn restored_accounts_stand_and_are_held_against_the_venues() {
    let (live, _) = busy();
    let before = live.risk.ledger(VenueId(0)).expect("there").balance(AssetId(1));
    let mut again = Rig::restored(&next_epoch(), &live.risk.facts());
    again.risk.start_balance(VenueId(0), AssetId(1), Money(5));
    for _ in 0..2 {
        again.round(Round::Begun);
        for asset in (0..3).map(AssetId) {
            let ours = again.risk.ledger(VenueId(0)).expect("there").balance(asset);
            let total = if asset == AssetId(1) { Money(ours.0 - 1) } else { ours };
            let message = GatewayMessage::Balance { venue: VenueId(0), asset, total, received_ns: again.now };
            again.reports.try_send(message).expect("room");
        }
        again.round(Round::Ended { is_conclusive: true });
        again.poll();
    }
    assert_eq!(again.risk.ledger(VenueId(0)).expect("there").balance(AssetId(1)), before);
    assert!(again.notices().contains(&NoticeCode::BooksDisagree));
}

/// Every id as it is.
fn same() -> Renaming {
    Renaming {
        strategies: [0, 1].map(|id| Some(StrategyId(id))).to_vec(),
        instruments: [0, 1].map(|id| Some(InstrumentId(id))).to_vec(),
        assets: [0, 1, 2].map(|id| Some(AssetId(id))).to_vec(),
        venues: vec![Some(VenueId(0))],
    }
}

#[test]
fn ids_of_another_run_mean_the_same_things() {
    let (live, ids) = busy();
    let facts = live.risk.facts();
    assert_eq!(facts.renamed(&same()), Ok(facts.clone()));
    // The other way round: the second strategy and instrument were listed first.
    let swapped = Renaming {
        strategies: vec![Some(StrategyId(1)), Some(StrategyId(0))],
        instruments: vec![Some(InstrumentId(1)), Some(InstrumentId(0))],
        assets: vec![Some(AssetId(2)), Some(AssetId(1)), Some(AssetId(0))],
        ..same()
    };
    let renamed = facts.renamed(&swapped).expect("all are there");
    assert_eq!(renamed.renamed(&swapped), Ok(facts.clone()));
    let order = renamed.orders.iter().find(|order| order.order.client_order_id == ids[5]).expect("kept under its id");
    assert_eq!((order.order.strategy, order.order.instrument), (StrategyId(0), InstrumentId(0)));
    assert_eq!(renamed.larger_orders[0].strategy, StrategyId(0));
}

#[test]
fn what_a_strategy_that_is_gone_left_behind_is_nobodys() {
    let (live, ids) = busy();
    let names = Renaming { strategies: vec![None, Some(StrategyId(1))], ..same() };
    let facts = live.risk.facts().renamed(&names).expect("strategies may go");
    let mut again = Rig::restored(&next_epoch(), &facts);
    let nobodys = again.risk.holdings().iter().find(|held| held.permission.strategy == StrategyId::NONE).expect("one");
    assert_eq!(nobodys.position, live.risk.holdings()[0].position);
    assert_eq!(again.risk.holdings()[0].position.quantity(), Quantity(0));
    assert_eq!(again.risk.markets()[0].exposure, live.risk.markets()[0].exposure, "nothing vanished");
    assert_eq!(
        again.risk.share(StrategyId::NONE).map(crate::portfolio::Ledger::facts),
        live.risk.share(StrategyId(0)).map(crate::portfolio::Ledger::facts)
    );
    let held = again.order(ids[0]);
    assert_eq!(
        (held.order.strategy, held.status, held.reserve),
        (StrategyId::NONE, OrderStatus::Unknown, Quantity(10))
    );
    again.report(ExecutionReport { venue_order_id: 11, ..fill(ids[0], 2, 10, 10) });
    again.poll();
    assert_eq!(again.order(ids[0]).status, OrderStatus::Filled);
    assert_eq!((again.updates(0), again.canceled()), (vec![], vec![]));
    // A strategy that stays, but may not trade there any more.
    let mut config = next_epoch();
    config.permissions.remove(0);
    config.limits.permissions.remove(0);
    let mut again = Rig::restored(&config, &live.risk.facts());
    assert_eq!(again.order(ids[0]).order.strategy, StrategyId::NONE);
    assert_eq!(again.risk.markets()[0].exposure, live.risk.markets()[0].exposure);
    again.poll();
}

#[test]
fn money_does_not_vanish_silently() {
    let (live, _) = busy();
    let facts = live.risk.facts();
    let gone = |instrument: usize| {
        let mut names = same();
        names.instruments[instrument] = None;
        facts.renamed(&names)
    };
    assert_eq!(gone(0), Err(RiskFactsError::InstrumentGone(InstrumentId(0))));
    assert_eq!(gone(1), Err(RiskFactsError::InstrumentGone(InstrumentId(1))));
    let names = Renaming { assets: vec![Some(AssetId(0)), None], ..same() };
    assert_eq!(facts.renamed(&names), Err(RiskFactsError::AssetGone(AssetId(1))));
    let refused = |config: &RiskConfig, facts: &RiskFacts| restored(config, facts).err();
    assert_eq!(refused(&config(), &facts), None);
    let few = RiskConfig { order_capacity: 4, ..config() };
    assert_eq!(refused(&few, &facts), Some(RiskFactsError::OrderCapacity { orders: 7, capacity: 4 }));
    assert_eq!(refused(&RiskConfig { currency: None, ..config() }, &facts), Some(RiskFactsError::CurrencyChanged));
    let mut other = facts.clone();
    other.markets[1].quantity_precision = 6;
    assert_eq!(refused(&config(), &other), Some(RiskFactsError::PrecisionChanged(InstrumentId(1))));
    let mut other = facts.clone();
    other.holdings[0].instrument = InstrumentId(9);
    assert_eq!(refused(&config(), &other), Some(RiskFactsError::InstrumentGone(InstrumentId(9))));
    let mut other = facts.clone();
    other.orders.push(other.orders[0]);
    assert!(matches!(refused(&config(), &other), Some(RiskFactsError::Damaged(_))));
    let mut running = live;
    assert_eq!(running.risk.restore(&facts), Err(RiskFactsError::Running));
    // An instrument that is gone and holds nothing is no matter.
    let mut quiet = Rig::new(&config());
    let id = quiet.place(Side::Buy, 5);
    quiet.tell(id, ReportKind::Canceled);
    let names = Renaming { instruments: vec![Some(InstrumentId(0)), None], ..same() };
    assert_eq!(quiet.risk.facts().renamed(&names).map(|facts| facts.markets.len()), Ok(1));
}

#[test]
fn the_newest_ended_orders_are_kept_and_a_smaller_table_takes_fewer() {
    let mut rig = Rig::new(&config());
    let ids: Vec<_> = (0..6).map(|_| rig.place(Side::Buy, 5)).collect();
    for id in &ids[..5] {
        rig.tell(*id, ReportKind::Canceled);
    }
    let facts = rig.risk.facts();
    let kept = |facts: &RiskFacts| facts.orders.iter().map(|order| order.order.client_order_id).collect::<Vec<_>>();
    assert_eq!(kept(&facts), [ids[5], ids[0], ids[1], ids[2], ids[3], ids[4]]);
    let small = restored(&RiskConfig { order_capacity: 3, ..config() }, &facts).expect("they fit");
    assert_eq!(kept(&small.facts()), [ids[5], ids[3], ids[4]]);
}

#[test]
fn latches_of_either_source_hold() {
    let (live, _) = busy();
    let mut facts = live.risk.facts();
    facts.strategies[0].latch.fill_rate_tripped = 9;
    facts.strategies[1].latch.is_repeat_tripped = true;
    facts.accounts[0].rejects_tripped = 4;
    let latch = StrategyLatch {
        strategy: StrategyId(0),
        rejects_tripped: 3,
        is_drawdown_tripped: true,
        ..StrategyLatch::default()
    };
    let config = RiskConfig { latches: vec![Latch::Strategy(latch)], ..next_epoch() };
    let again = restored(&config, &facts).expect("they fit").facts();
    let [one, other] = &again.strategies[..] else { panic!("two") };
    assert_eq!((one.latch.fill_rate_tripped, one.latch.rejects_tripped, one.latch.is_drawdown_tripped), (9, 3, true));
    assert!(other.latch.is_repeat_tripped && again.accounts[0].rejects_tripped == 4);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Damaged bytes are no facts, or some; what they are is refused or held, and whatever is told then, nothing panics.
    #[test]
    fn hostile_bytes_never_panic(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12), cut in any::<Option<prop::sample::Index>>()) {
        let (live, ids) = busy();
        let mut bytes = live.risk.facts().to_bytes();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Some(facts) = RiskFacts::from_bytes(&bytes) {
            prop_assert_eq!(&facts.to_bytes(), &bytes);
            let renamed = facts.renamed(&same());
            for facts in [Some(facts), renamed.ok()].into_iter().flatten() {
                if restored(&config(), &facts).is_err() {
                    continue;
                }
                let mut again = Rig::restored(&config(), &facts);
                again.poll();
                for (id, execution) in ids.iter().zip(100..) {
                    again.report(ExecutionReport { instrument: InstrumentId(0), ..fill(*id, execution, 3, 3) });
                    again.report(found(*id, OrderStatus::Canceled, 3));
                }
                again.settle();
                prop_assert!(!again.risk.facts().to_bytes().is_empty());
            }
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_facts(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = RiskFacts::from_bytes(&bytes);
        let format = [&[1, 0], bytes.as_slice()].concat();
        let _ = RiskFacts::from_bytes(&format);
        prop_assert_eq!(RiskFacts::from_bytes(&[&[2, 0], bytes.as_slice()].concat()), None);
    }
}
