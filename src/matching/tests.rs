use super::*;
use crate::types::AssetId;
use proptest::prelude::*;

const BTC: AssetId = AssetId(0);
const USDT: AssetId = AssetId(1);
const FEES: Fees = Fees { maker_ppm: 1_000, taker_ppm: 2_000 };

/// A market between 100 and 101 with 5 on each side, and two accounts of 1,000 BTC and 100,000 USDT.
struct Setup {
    market: Market,
    ledger: Ledger,
    next_id: u64,
}

fn units(value: f64) -> i64 {
    (value * 1e8).round() as i64
}

impl Setup {
    fn new() -> Self {
        let mut ledger = Ledger::new(2, 2);
        for account in [AccountId(0), AccountId(1)] {
            assert!(ledger.deposit(account, BTC, units(1_000.0)));
            assert!(ledger.deposit(account, USDT, units(100_000.0)));
        }
        let mut setup = Self { market: Market::new(BTC, USDT, Quantity(units(0.001)), FEES), ledger, next_id: 1 };
        assert!(setup.level(Side::Buy, 100.0, 5.0).is_empty());
        assert!(setup.level(Side::Sell, 101.0, 5.0).is_empty());
        setup
    }

    fn level(&mut self, side: Side, price: f64, quantity: f64) -> Vec<Report> {
        let mut reports = Vec::new();
        let (price, quantity) = (Price(units(price)), Quantity(units(quantity)));
        self.market.level(&mut self.ledger, 1, side, price, quantity, &mut reports);
        reports
    }

    fn trade(&mut self, aggressor: Side, price: f64, quantity: f64) -> Vec<Report> {
        let mut reports = Vec::new();
        let (price, quantity) = (Price(units(price)), Quantity(units(quantity)));
        self.market.trade(&mut self.ledger, aggressor, price, quantity, &mut reports);
        reports
    }

    fn quote(&mut self, update_id: u64, bid: (f64, f64), ask: (f64, f64)) -> Vec<Report> {
        let mut reports = Vec::new();
        let pair = |(price, quantity)| (Price(units(price)), Quantity(units(quantity)));
        self.market.quote(&mut self.ledger, update_id, pair(bid), pair(ask), &mut reports);
        reports
    }

    fn limit(&mut self, account: u16, side: Side, price: f64, quantity: f64) -> NewOrder {
        self.next_id += 1;
        NewOrder {
            id: OrderId(self.next_id),
            account: AccountId(account),
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCanceled,
            price: Price(units(price)),
            size: Size::Base(Quantity(units(quantity))),
            is_post_only: false,
            self_trade: SelfTrade::ExpireMaker,
            trigger: None,
        }
    }

    fn place(&mut self, new: &NewOrder) -> Result<Vec<Report>, Refusal> {
        let mut reports = Vec::new();
        self.market.place(&mut self.ledger, new, &mut reports).map(|_| reports)
    }

    fn rest(&mut self, account: u16, side: Side, price: f64, quantity: f64) -> OrderId {
        let new = self.limit(account, side, price, quantity);
        assert_eq!(self.place(&new), Ok(vec![]));
        new.id
    }
}

/// Order, price and quantity of the fills.
fn fills(reports: &[Report]) -> Vec<(u64, i64, i64)> {
    let fill = |report: &Report| match report {
        Report::Fill(fill) => Some((fill.order.0, fill.price.0, fill.quantity.0)),
        Report::Triggered(_) | Report::Ended { .. } => None,
    };
    reports.iter().filter_map(fill).collect()
}

#[test]
fn an_incoming_order_takes_and_rests_and_pays_its_fee() {
    let mut setup = Setup::new();
    let new = setup.limit(0, Side::Buy, 101.5, 7.0);
    let reports = setup.place(&new).expect("taken");
    assert_eq!(fills(&reports), vec![(new.id.0, units(101.0), units(5.0))]);
    let Report::Fill(fill) = reports[0] else { panic!("a fill") };
    assert_eq!((fill.amount, fill.fee, fill.fee_asset), (units(505.0), units(0.01), BTC));
    assert_eq!(setup.market.order(new.id).map(|order| order.remaining), Some(Quantity(units(2.0))));
    let usdt = setup.ledger.balance(AccountId(0), USDT);
    assert_eq!(usdt, Balance { free: units(100_000.0 - 505.0 - 203.0), locked: units(203.0) });
    // What it took stays taken until the level is stated again.
    let second = setup.limit(1, Side::Buy, 101.0, 1.0);
    assert_eq!(setup.place(&second), Ok(vec![]));
    // The level comes back and crosses both: the better price first.
    assert_eq!(
        fills(&setup.level(Side::Sell, 101.0, 2.5)),
        vec![(new.id.0, units(101.5), units(2.0)), (second.id.0, units(101.0), units(0.5))]
    );
}

#[test]
fn trades_move_the_queue_and_then_fill() {
    let mut setup = Setup::new();
    let first = setup.rest(0, Side::Buy, 100.0, 1.0);
    let second = setup.rest(1, Side::Buy, 100.0, 1.0);
    assert!(setup.trade(Side::Sell, 100.0, 4.0).is_empty());
    assert!(setup.trade(Side::Buy, 100.0, 50.0).is_empty(), "the other side's trade");
    assert_eq!(fills(&setup.trade(Side::Sell, 100.0, 1.5)), vec![(first.0, units(100.0), units(0.5))]);
    assert_eq!(
        fills(&setup.trade(Side::Sell, 100.0, 1.0)),
        vec![(first.0, units(100.0), units(0.5)), (second.0, units(100.0), units(0.5))]
    );
    assert_eq!(fills(&setup.trade(Side::Sell, 99.0, 1.0)), vec![(second.0, units(100.0), units(0.5))], "through");
}

#[test]
fn a_quote_before_its_trade_moves_the_queue_once() {
    let mut setup = Setup::new();
    setup.quote(2, (100.0, 5.0), (101.0, 5.0));
    let order = setup.rest(0, Side::Buy, 100.0, 1.0);
    setup.quote(3, (100.0, 3.0), (101.0, 5.0));
    assert!(setup.trade(Side::Sell, 100.0, 2.0).is_empty());
    assert!(setup.trade(Side::Sell, 100.0, 3.0).is_empty(), "three were still ahead");
    assert_eq!(fills(&setup.trade(Side::Sell, 100.0, 1.0)), vec![(order.0, units(100.0), units(1.0))]);
}

#[test]
fn a_level_that_shrinks_shrinks_from_behind() {
    let mut setup = Setup::new();
    setup.level(Side::Buy, 100.0, 2.0);
    let order = setup.rest(0, Side::Buy, 100.0, 1.0);
    setup.level(Side::Buy, 100.0, 9.0);
    setup.level(Side::Buy, 100.0, 3.0);
    assert!(setup.trade(Side::Sell, 100.0, 2.0).is_empty());
    assert_eq!(fills(&setup.trade(Side::Sell, 100.0, 1.0)), vec![(order.0, units(100.0), units(1.0))]);
}

#[test]
fn depth_older_than_the_quote_leaves_the_touch_alone() {
    let mut setup = Setup::new();
    setup.quote(9, (100.5, 1.0), (100.6, 1.0));
    let order = setup.rest(0, Side::Buy, 100.5, 1.0);
    assert!(setup.level(Side::Sell, 100.5, 3.0).is_empty(), "an ask of before the quote");
    assert!(setup.market.order(order).is_some());
}

#[test]
fn refusals_change_nothing() {
    let mut setup = Setup::new();
    let before = setup.ledger.clone();
    let mut post_only = setup.limit(0, Side::Buy, 101.0, 1.0);
    post_only.is_post_only = true;
    assert_eq!(setup.place(&post_only), Err(Refusal::WouldTake));
    let poor = setup.limit(0, Side::Buy, 100.0, 1_000.1);
    assert_eq!(setup.place(&poor), Err(Refusal::InsufficientBalance));
    let huge = setup.limit(0, Side::Buy, 90_000_000_000.0, 90_000_000_000.0);
    assert_eq!(setup.place(&huge), Err(Refusal::Overflow));
    let nothing = setup.limit(0, Side::Buy, 100.0, 0.0);
    assert_eq!(setup.place(&nothing), Err(Refusal::Overflow));
    assert_eq!(setup.ledger.balance(AccountId(0), USDT), before.balance(AccountId(0), USDT));
    assert_eq!(setup.market.orders().count(), 0);
}

#[test]
fn time_in_force() {
    let mut setup = Setup::new();
    let mut fill_or_kill = setup.limit(0, Side::Buy, 101.0, 5.1);
    fill_or_kill.time_in_force = TimeInForce::FillOrKill;
    assert_eq!(setup.place(&fill_or_kill), Ok(vec![Report::Ended { order: fill_or_kill.id, why: Ended::Unfilled }]));
    let mut immediate = setup.limit(0, Side::Buy, 101.0, 5.1);
    immediate.time_in_force = TimeInForce::ImmediateOrCancel;
    let reports = setup.place(&immediate).expect("taken");
    assert_eq!(fills(&reports), vec![(immediate.id.0, units(101.0), units(5.0))]);
    assert_eq!(reports[1], Report::Ended { order: immediate.id, why: Ended::Unfilled });
    assert_eq!(setup.ledger.balance(AccountId(0), USDT).locked, 0);
}

#[test]
fn market_orders_by_quantity_and_by_amount() {
    let mut setup = Setup::new();
    setup.level(Side::Sell, 102.0, 5.0);
    let mut market = setup.limit(0, Side::Buy, 0.0, 6.0);
    market.order_type = OrderType::Market;
    let reports = setup.place(&market).expect("taken");
    assert_eq!(fills(&reports), vec![(market.id.0, units(101.0), units(5.0)), (market.id.0, units(102.0), units(1.0))]);
    let mut spend = setup.limit(0, Side::Buy, 0.0, 0.0);
    (spend.order_type, spend.size) = (OrderType::Market, Size::Quote(units(102.15)));
    assert_eq!(fills(&setup.place(&spend).expect("taken")), vec![(spend.id.0, units(102.0), units(1.001))]);
    assert_eq!(setup.ledger.balance(AccountId(0), USDT).locked, 0);
    spend.size = Size::Quote(units(0.1));
    assert_eq!(setup.place(&spend), Err(Refusal::BelowOneLot));
}

#[test]
fn two_accounts_match_and_one_account_never_does() {
    let mut setup = Setup::new();
    let ask = setup.rest(0, Side::Sell, 100.5, 1.0);
    let buy = setup.limit(1, Side::Buy, 100.5, 0.4);
    let reports = setup.place(&buy).expect("taken");
    assert_eq!(fills(&reports), vec![(ask.0, units(100.5), units(0.4)), (buy.id.0, units(100.5), units(0.4))]);
    let mut own = setup.limit(0, Side::Buy, 100.5, 1.0);
    own.self_trade = SelfTrade::ExpireTaker;
    assert_eq!(setup.place(&own), Ok(vec![Report::Ended { order: own.id, why: Ended::SelfTrade }]));
    let own = setup.limit(0, Side::Buy, 100.5, 1.0);
    assert_eq!(setup.place(&own), Ok(vec![Report::Ended { order: ask, why: Ended::SelfTrade }]));
    assert!(setup.market.order(own.id).is_some());
}

#[test]
fn self_trades_end_both_or_are_allowed() {
    let mut setup = Setup::new();
    let ask = setup.rest(0, Side::Sell, 100.5, 1.0);
    let mut both = setup.limit(0, Side::Buy, 100.5, 1.0);
    both.self_trade = SelfTrade::ExpireBoth;
    let ended = |id: OrderId| Report::Ended { order: id, why: Ended::SelfTrade };
    assert_eq!(setup.place(&both), Ok(vec![ended(ask), ended(both.id)]));
    assert_eq!(setup.market.orders().count(), 0);
    let ask = setup.rest(0, Side::Sell, 100.5, 1.0);
    let mut allowed = setup.limit(0, Side::Buy, 100.5, 1.0);
    allowed.self_trade = SelfTrade::Allowed;
    let reports = setup.place(&allowed).expect("taken");
    assert_eq!(fills(&reports), vec![(ask.0, units(100.5), units(1.0)), (allowed.id.0, units(100.5), units(1.0))]);
}

#[test]
fn stops_wait_locked_outside_the_book_until_a_trade_triggers_them() {
    let mut setup = Setup::new();
    setup.trade(Side::Buy, 101.0, 0.1);
    let stop = |setup: &mut Setup, side, price, trigger| {
        let mut new = setup.limit(0, side, price, 1.0);
        new.trigger = Some(trigger);
        new
    };
    let at = |price| Price(units(price));
    let early = stop(&mut setup, Side::Buy, 101.0, Trigger::AtOrAbove(at(101.0)));
    assert_eq!(setup.place(&early), Err(Refusal::WouldTrigger));
    let buy = stop(&mut setup, Side::Buy, 102.0, Trigger::AtOrAbove(at(101.5)));
    let sell = stop(&mut setup, Side::Sell, 99.0, Trigger::AtOrBelow(at(99.5)));
    assert_eq!((setup.place(&buy), setup.place(&sell)), (Ok(vec![]), Ok(vec![])));
    assert_eq!(setup.ledger.balance(AccountId(0), USDT).locked, units(102.0));
    assert_eq!(setup.ledger.balance(AccountId(0), BTC).locked, units(1.0));
    // Neither is in the book: the other account meets the recorded market only.
    let other = setup.limit(1, Side::Buy, 99.2, 1.0);
    assert_eq!(setup.place(&other), Ok(vec![]));
    assert!(setup.trade(Side::Buy, 101.49, 0.1).is_empty());
    let reports = setup.trade(Side::Buy, 101.5, 0.1);
    assert_eq!(reports[0], Report::Triggered(buy.id));
    assert_eq!(fills(&reports), vec![(buy.id.0, units(101.0), units(1.0))]);
    assert_eq!(setup.ledger.balance(AccountId(0), USDT).locked, 0);
    assert!(setup.market.cancel(&mut setup.ledger, sell.id).is_some());
    assert_eq!(setup.ledger.balance(AccountId(0), BTC).locked, 0);
    assert!(setup.trade(Side::Sell, 99.0, 0.1).iter().all(|report| !matches!(report, Report::Triggered(_))));
}

#[test]
fn a_market_stop_that_cannot_pay_any_more_ends_unfilled() {
    let mut setup = Setup::new();
    setup.level(Side::Sell, 101.0, 0.0);
    setup.level(Side::Sell, 150.0, 900.0);
    let mut stop = setup.limit(0, Side::Buy, 0.0, 900.0);
    stop.order_type = OrderType::Market;
    stop.trigger = Some(Trigger::AtOrAbove(Price(units(110.0))));
    assert_eq!(setup.place(&stop), Ok(vec![]));
    let reports = setup.trade(Side::Buy, 110.0, 0.1);
    assert_eq!(reports, vec![Report::Triggered(stop.id), Report::Ended { order: stop.id, why: Ended::Unfilled }]);
    assert_eq!(setup.ledger.balance(AccountId(0), USDT), Balance { free: units(100_000.0), locked: 0 });
}

/// What a random session does.
#[derive(Clone, Debug)]
enum Action {
    Place { account: u16, is_buy: bool, price: i64, quantity: i64, kind: u8 },
    Cancel { index: usize },
    Level { is_buy: bool, price: i64, quantity: i64 },
    Quote { bid: i64, spread: i64, bid_quantity: i64, ask_quantity: i64 },
    Trade { is_buy: bool, price: i64, quantity: i64 },
}

fn action() -> impl Strategy<Value = Action> {
    let price = 90..110i64;
    prop_oneof![
        4 => (0..2u16, any::<bool>(), price.clone(), 1..400i64, 0..10u8)
            .prop_map(|(account, is_buy, price, quantity, kind)| Action::Place { account, is_buy, price, quantity, kind }),
        1 => (0..64usize).prop_map(|index| Action::Cancel { index }),
        3 => (any::<bool>(), price.clone(), 0..300i64).prop_map(|(is_buy, price, quantity)| Action::Level { is_buy, price, quantity }),
        2 => (90..109i64, 1..5i64, 0..300i64, 0..300i64)
            .prop_map(|(bid, spread, bid_quantity, ask_quantity)| Action::Quote { bid, spread, bid_quantity, ask_quantity }),
        3 => (any::<bool>(), price, 1..300i64).prop_map(|(is_buy, price, quantity)| Action::Trade { is_buy, price, quantity }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Nothing is made or lost, nothing goes below zero, what is locked is what open orders lock, fills add up to what
    /// their order wanted, and of two orders of one price and side the earlier fills first.
    #[test]
    fn money_and_time_are_kept(actions in prop::collection::vec(action(), 1..80)) {
        let mut setup = Setup::new();
        let total = |ledger: &Ledger, asset| {
            let held = [AccountId(0), AccountId(1)].map(|account| ledger.balance(account, asset));
            held.iter().map(|held| i128::from(held.free) + i128::from(held.locked)).sum::<i128>() + ledger.fees(asset) + ledger.market(asset)
        };
        let before = [BTC, USDT].map(|asset| total(&setup.ledger, asset));
        let mut placed: Vec<NewOrder> = Vec::new();
        let mut stops = Vec::new();
        let mut filled = std::collections::BTreeMap::<u64, i64>::new();
        for (step, action) in actions.into_iter().enumerate() {
            let mut reports = Vec::new();
            let update_id = step as u64 + 2;
            let side = |is_buy| if is_buy { Side::Buy } else { Side::Sell };
            match action {
                Action::Place { account, is_buy, price, quantity, kind } => {
                    let mut new = setup.limit(account, side(is_buy), price as f64, quantity as f64);
                    match kind {
                        0 => new.order_type = OrderType::Market,
                        1 => new.time_in_force = TimeInForce::ImmediateOrCancel,
                        2 => new.time_in_force = TimeInForce::FillOrKill,
                        3 => new.is_post_only = true,
                        4 => new.self_trade = SelfTrade::ExpireTaker,
                        5 => new.self_trade = SelfTrade::ExpireBoth,
                        6 => new.self_trade = SelfTrade::Allowed,
                        7 | 8 => {
                            let trigger = Price(units(if is_buy { price + 2 } else { price - 2 } as f64));
                            new.trigger = Some(if is_buy { Trigger::AtOrAbove(trigger) } else { Trigger::AtOrBelow(trigger) });
                            if kind == 8 {
                                new.order_type = OrderType::Market;
                            }
                        }
                        _ => {}
                    }
                    if setup.market.place(&mut setup.ledger, &new, &mut reports).is_ok() {
                        // Time priority is by id only as long as no stop waits while later orders rest.
                        stops.extend(new.trigger);
                        placed.push(new);
                    }
                }
                Action::Cancel { index } => {
                    if let Some(new) = placed.get(index) {
                        let open = setup.market.order(new.id).copied();
                        prop_assert_eq!(setup.market.cancel(&mut setup.ledger, new.id), open);
                    }
                }
                Action::Level { is_buy, price, quantity } => reports = setup.level(side(is_buy), price as f64, quantity as f64),
                Action::Quote { bid, spread, bid_quantity, ask_quantity } => {
                    reports = setup.quote(update_id, (bid as f64, bid_quantity as f64), ((bid + spread) as f64, ask_quantity as f64));
                }
                Action::Trade { is_buy, price, quantity } => reports = setup.trade(side(is_buy), price as f64, quantity as f64),
            }
            for report in &reports {
                let Report::Fill(fill) = report else { continue };
                prop_assert!(fill.quantity.0 > 0);
                *filled.entry(fill.order.0).or_default() += fill.quantity.0;
                let new = placed.iter().find(|new| new.id == fill.order).expect("an order of ours");
                if new.order_type == OrderType::Limit {
                    let is_within = match new.side { Side::Buy => fill.price <= new.price, Side::Sell => fill.price >= new.price };
                    prop_assert!(is_within);
                }
                if fill.liquidity == LiquiditySide::Maker && stops.is_empty() {
                    let earlier = setup.market.orders().find(|other| {
                        other.id < fill.order && other.side == new.side && other.limit == Some(new.price)
                    });
                    prop_assert!(earlier.is_none(), "{:?} before {:?}", fill, earlier);
                }
            }
            for (asset, before) in [BTC, USDT].into_iter().zip(before) {
                prop_assert_eq!(total(&setup.ledger, asset), before);
            }
            for account in [AccountId(0), AccountId(1)] {
                for (asset, paid_by) in [(BTC, Side::Sell), (USDT, Side::Buy)] {
                    let held = setup.ledger.balance(account, asset);
                    prop_assert!(held.free >= 0 && held.locked >= 0);
                    let of_orders = setup.market.orders().filter(|order| order.account == account && order.side == paid_by);
                    prop_assert_eq!(held.locked, of_orders.map(|order| order.locked).sum::<i64>());
                }
            }
            for order in setup.market.orders() {
                let Size::Base(wanted) = placed.iter().find(|new| new.id == order.id).expect("placed").size else { panic!("by quantity") };
                prop_assert_eq!(order.remaining.0 + filled.get(&order.id.0).copied().unwrap_or(0), wanted.0);
            }
        }
    }
}
