//! Brackets: an entry of ten at 100.00 or so, a stop at 95.00 and a profit at 105.00, with scripted answers of the venue.

use super::runner::Instance;
use super::shard_tests::{instance, started, state};
use super::testkit::{Kit, Room};
use super::{Bracket, Context, Event, Handled, InstanceState, NewOrder, StrategyError};
use crate::types::{
    ClientOrderId, DenialReason, NoticeCode, Order, OrderStatus, OrderType, OrderUpdate, Price, Quantity, Side,
    TimeInForce,
};
use proptest::prelude::*;

const BRACKET: Bracket = Bracket::new().stop_loss(Price(9_500)).take_profit(Price(10_500));

/// Does `script` once for each trade, with the trade's price.
pub(super) fn on_trade(mut script: impl FnMut(&mut Context, i64) -> Handled + Send + 'static) -> Instance {
    instance(0, move |context, event| match event {
        Event::Trade(_, _, trade) => script(context, trade.price.0),
        _ => Ok(()),
    })
}

pub(super) fn entry(side: Side) -> NewOrder {
    NewOrder::limit(Kit::INSTRUMENT, side, Quantity(10), Price(10_000))
}

fn last_working(context: &Context) -> ClientOrderId {
    context.working().last().map_or(ClientOrderId::NONE, |order| order.client_order_id)
}

/// Trades 1: the entry with its bracket. 2: cancels all. 3: cancels the bracket. 4: trails the stop. 5: replaces the
/// entry. 6: protects the position. 7: an order of its own to sell four. 8: panics. 9: fails.
fn strategy(side: Side, bracket: Bracket) -> Instance {
    on_trade(move |context, script| {
        let id = context.brackets().next().map_or(ClientOrderId::NONE, |armed| armed.id());
        match script {
            1 => drop(context.bracket(entry(side), bracket)?),
            2 => {
                assert!(!context.cancel(last_working(context)) || context.brackets().count() == 0);
                context.cancel_all();
            }
            3 => assert!(context.cancel_bracket(id) && !context.cancel_bracket(ClientOrderId(7))),
            4 => context.amend_bracket(id, bracket.stop_loss(Price(9_700)))?,
            5 => drop(context.replace(id, Quantity(20), Price(10_001))?),
            6 => drop(context.protect(Kit::INSTRUMENT, bracket)?),
            7 => drop(context.sell(Kit::INSTRUMENT, Quantity(4), Price(10_100))?),
            8 => panic!("as planned"),
            9 => return Err(StrategyError(10_000)),
            _ => {}
        }
        Ok(())
    })
}

/// The entry rests at the venue.
fn entered(side: Side, bracket: Bracket) -> (Kit, ClientOrderId) {
    let mut kit = started(vec![strategy(side, bracket)], Room::default());
    kit.book(9_999, 10_001);
    tell(&mut kit, 1);
    kit.accept_all();
    let id = kit.take_orders()[0].order.client_order_id;
    (kit, id)
}

fn tell(kit: &mut Kit, script: i64) {
    kit.trade(Side::Buy, script, 1);
}

fn sent(kit: &mut Kit) -> Vec<Order> {
    kit.take_orders().into_iter().map(|intent| intent.order).collect()
}

fn only(kit: &mut Kit) -> Order {
    let orders = sent(kit);
    assert_eq!(orders.len(), 1, "{orders:?}");
    orders[0]
}

fn told(kit: &mut Kit) -> Vec<(NoticeCode, i128, i128)> {
    let codes = [NoticeCode::PositionUnprotected, NoticeCode::PositionProtected, NoticeCode::BracketEnded];
    let notices = kit.take_notices().into_iter().filter(|notice| codes.contains(&notice.code));
    notices.map(|notice| (notice.code, notice.limit, notice.observed)).collect()
}

fn is_flat(kit: &Kit) -> bool {
    kit.position().quantity == Quantity::ZERO && kit.open_orders().is_empty()
}

#[test]
fn one_stop_grows_with_the_entry_and_makes_way_for_the_profit() {
    for (side, stop, profit, bid) in [(Side::Buy, 9_500, 10_500, 10_500), (Side::Sell, 10_500, 9_500, 9_490)] {
        let bracket = Bracket::new().stop_loss(Price(stop)).take_profit(Price(profit));
        let (mut kit, id) = entered(side, bracket);
        assert!(sent(&mut kit).is_empty(), "nothing to protect yet");
        kit.filled(id, Quantity(4));
        let first = only(&mut kit);
        assert_eq!((first.order_type, first.side, first.is_reduce_only), (OrderType::Stop, side.opposite(), true));
        assert_eq!((first.stop_price, first.quantity), (Price(stop), Quantity(4)));
        // While the stop is not accepted it cannot be replaced; then it is, once for all fills.
        kit.filled(id, Quantity(2));
        kit.filled(id, Quantity(1));
        assert!(sent(&mut kit).is_empty());
        kit.accept_all();
        let second = only(&mut kit);
        assert_eq!((second.replaces, second.quantity), (first.client_order_id, Quantity(7)));
        kit.accept_all();
        kit.filled(id, Quantity(3));
        assert_eq!(only(&mut kit).quantity, Quantity(10));
        kit.accept_all();
        // The market is there: the stop goes first.
        kit.quote(bid, bid + 10);
        kit.quote(bid, bid + 10);
        assert_eq!((sent(&mut kit).len(), kit.cancels().len()), (0, 1));
        kit.confirm_cancels();
        let exit = only(&mut kit);
        assert_eq!((exit.order_type, exit.time_in_force), (OrderType::Limit, TimeInForce::ImmediateOrCancel));
        assert_eq!((exit.price, exit.quantity, exit.is_reduce_only), (Price(profit), Quantity(10), true));
        kit.filled(exit.client_order_id, Quantity(10));
        kit.quote(bid, bid + 10);
        assert!(is_flat(&kit) && sent(&mut kit).is_empty() && told(&mut kit).is_empty());
        assert_eq!((kit.counters.panics.get(), kit.summary()[0].tally.denied), (0, 0));
    }
}

#[test]
fn what_the_profit_did_not_fill_is_protected_again() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    kit.accept_all();
    sent(&mut kit);
    kit.quote(10_500, 10_510);
    kit.confirm_cancels();
    let exit = only(&mut kit);
    kit.filled(exit.client_order_id, Quantity(4));
    kit.expired(exit.client_order_id);
    let stop = only(&mut kit);
    assert_eq!((stop.order_type, stop.quantity), (OrderType::Stop, Quantity(6)));
    kit.accept_all();
    // It is not taken away again on the next tick, but after a second.
    kit.quote(10_500, 10_510);
    assert!(kit.cancels().is_empty());
    kit.advance_ms(1_001);
    assert_eq!(kit.cancels().len(), 1);
    // The market has gone when that is confirmed: the stop comes back.
    kit.quote(10_499, 10_510);
    kit.confirm_cancels();
    let stop = only(&mut kit);
    assert_eq!((stop.order_type, stop.quantity), (OrderType::Stop, Quantity(6)));
}

#[test]
fn a_stop_that_fills_while_its_cancel_is_on_the_way_leaves_nothing_to_take() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    kit.accept_all();
    let stop = only(&mut kit);
    kit.quote(10_500, 10_510);
    kit.filled(stop.client_order_id, Quantity(10));
    kit.cancel_refused(stop.client_order_id);
    kit.quote(10_500, 10_510);
    assert!(is_flat(&kit) && sent(&mut kit).is_empty());
    // In part, the fill arriving after the cancel's confirmation: the exit is for the rest, also before it is booked.
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    kit.accept_all();
    let stop = only(&mut kit);
    kit.quote(10_500, 10_510);
    let ended = kit.canceled_ahead_of_fill(stop.client_order_id, Quantity(3)).expect("open");
    let exit = only(&mut kit);
    assert_eq!(exit.quantity, Quantity(7));
    kit.booked_late(ended);
    kit.filled(exit.client_order_id, Quantity(7));
    assert!(is_flat(&kit));
}

#[test]
fn an_entry_that_fills_after_its_end_is_protected() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    let ended = kit.canceled_ahead_of_fill(id, Quantity(3)).expect("open");
    assert!(sent(&mut kit).is_empty());
    kit.booked_late(ended);
    assert_eq!(only(&mut kit).quantity, Quantity(3));
}

#[test]
fn a_refused_stop_is_tried_again_and_told_of() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    let mut waits = Vec::new();
    for _ in 0..6 {
        let stop = only(&mut kit);
        kit.denied(stop.client_order_id, DenialReason::RateLimit);
        let mut waited = 0;
        while kit.take_orders().is_empty() {
            kit.advance_ms(100);
            waited += 100;
            if waited > 10_000 {
                break;
            }
            if kit.open_orders().iter().any(|order| order.order_type == OrderType::Stop) {
                break;
            }
        }
        waits.push(waited);
        kit.open_orders().iter().for_each(|order| assert_eq!(order.quantity, Quantity(10)));
        // What was sent again is looked at once more.
        let stop = kit.open_orders().last().copied().expect("tried again");
        kit.take_orders();
        kit.denied(stop.client_order_id, DenialReason::RateLimit);
        kit.advance_ms(5_000);
    }
    assert_eq!(waits[0], 100);
    let notices = told(&mut kit);
    assert_eq!(notices[0], (NoticeCode::PositionUnprotected, 1, 10));
    assert_eq!(notices[1], (NoticeCode::PositionUnprotected, 5, 10));
    assert_eq!(notices.len(), 2);
    kit.accept_all();
    assert_eq!(told(&mut kit), [(NoticeCode::PositionProtected, 0, 10)]);
}

#[test]
fn a_stop_that_is_refused_too_often_is_given_up_for_the_market_if_so_wanted() {
    let (mut kit, id) = entered(Side::Buy, BRACKET.or_market());
    kit.filled(id, Quantity(10));
    for _ in 0..5 {
        let stop = only(&mut kit);
        assert_eq!(stop.order_type, OrderType::Stop);
        kit.rejected(stop.client_order_id, -2010);
        kit.advance_ms(2_000);
    }
    let exit = only(&mut kit);
    assert_eq!((exit.order_type, exit.quantity, exit.is_reduce_only), (OrderType::Market, Quantity(10), true));
    kit.filled(exit.client_order_id, Quantity(6));
    kit.expired(exit.client_order_id);
    kit.advance_ms(200);
    let exit = only(&mut kit);
    assert_eq!((exit.order_type, exit.quantity), (OrderType::Market, Quantity(4)));
    kit.filled(exit.client_order_id, Quantity(4));
    assert!(is_flat(&kit));
}

#[test]
fn a_stop_that_the_market_has_passed_is_what_it_would_have_become() {
    let with_limit = BRACKET.stop_limit(Price(9_490));
    for (bracket, order_type, price) in
        [(BRACKET, OrderType::Market, Price::ZERO), (with_limit, OrderType::Limit, Price(9_490))]
    {
        let (mut kit, id) = entered(Side::Buy, bracket);
        kit.filled(id, Quantity(10));
        let stop = only(&mut kit);
        assert_eq!(stop.price, price);
        kit.quote(9_480, 9_481);
        kit.rejected(stop.client_order_id, -2010);
        let exit = only(&mut kit);
        assert_eq!((exit.order_type, exit.price, exit.stop_price), (order_type, price, Price::ZERO));
        assert!(exit.is_reduce_only);
    }
}

#[test]
fn brackets_outlive_pauses_and_panics_but_entries_do_not() {
    for (scripts, expected) in [(vec![9, 9, 9], InstanceState::Paused), (vec![8], InstanceState::Error)] {
        let (mut kit, id) = entered(Side::Buy, BRACKET);
        kit.filled(id, Quantity(4));
        kit.accept_all();
        let stop = only(&mut kit);
        scripts.iter().for_each(|&script| tell(&mut kit, script));
        assert_eq!(state(&kit, 0), expected);
        assert_eq!(kit.cancels().iter().map(|cancel| cancel.client_order_id).collect::<Vec<_>>(), [id]);
        // A fill that was faster than the cancel, and the profit.
        kit.filled(id, Quantity(1));
        let grown = only(&mut kit);
        assert_eq!((grown.replaces, grown.quantity), (stop.client_order_id, Quantity(5)));
        kit.confirm_cancels();
        kit.quote(10_500, 10_510);
        kit.confirm_cancels();
        let exit = only(&mut kit);
        kit.filled(exit.client_order_id, exit.quantity);
        assert!(is_flat(&kit));
    }
}

#[test]
fn an_entry_of_a_handler_that_panicked_leaves_no_bracket() {
    let failing = on_trade(|context, _| {
        context.bracket(entry(Side::Buy), BRACKET).expect("room");
        panic!("as planned")
    });
    let mut kit = started(vec![failing], Room::default());
    tell(&mut kit, 1);
    kit.stop();
    assert!(sent(&mut kit).is_empty() && kit.cancels().is_empty() && told(&mut kit).is_empty());
}

#[test]
fn a_kill_and_a_stop_end_them_and_say_what_stays_open() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    kit.accept_all();
    let stop = only(&mut kit);
    // Risk cancels everything, and denies what comes after.
    kit.canceled(stop.client_order_id);
    kit.advance_ms(200);
    let again = only(&mut kit);
    kit.denied(again.client_order_id, DenialReason::KillSwitchActive);
    kit.quote(10_500, 10_510);
    kit.advance_ms(10_000);
    assert!(sent(&mut kit).is_empty());
    assert_eq!(told(&mut kit).last(), Some(&(NoticeCode::BracketEnded, 0, 10)));

    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(4));
    kit.accept_all();
    kit.stop();
    assert_eq!(kit.cancels().len(), 2);
    kit.confirm_cancels();
    kit.advance_ms(10_000);
    assert!(kit.open_orders().is_empty());
    assert_eq!(told(&mut kit), [(NoticeCode::BracketEnded, 0, 4)]);
}

#[test]
fn exits_are_not_the_strategy_s_to_cancel_but_the_bracket_is() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(4));
    kit.accept_all();
    tell(&mut kit, 2);
    assert_eq!(kit.cancels().iter().map(|cancel| cancel.client_order_id).collect::<Vec<_>>(), [id]);
    kit.confirm_cancels();
    tell(&mut kit, 3);
    assert_eq!(kit.cancels().len(), 1);
    kit.confirm_cancels();
    kit.advance_ms(10_000);
    assert!(kit.open_orders().is_empty());
    assert_eq!((state(&kit, 0), kit.counters.panics.get()), (InstanceState::Running, 0));
}

#[test]
fn what_is_sold_otherwise_shrinks_the_stop() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    kit.accept_all();
    sent(&mut kit);
    tell(&mut kit, 7);
    kit.accept_all();
    let own = only(&mut kit);
    kit.filled(own.client_order_id, Quantity(3));
    assert_eq!(only(&mut kit).quantity, Quantity(7));
    kit.accept_all();
    kit.filled(own.client_order_id, Quantity(1));
    assert_eq!(only(&mut kit).quantity, Quantity(6));
}

#[test]
fn stops_are_trailed_and_entries_replaced() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(4));
    kit.accept_all();
    let stop = only(&mut kit);
    tell(&mut kit, 4);
    let trailed = only(&mut kit);
    assert_eq!((trailed.replaces, trailed.stop_price), (stop.client_order_id, Price(9_700)));
    kit.accept_all();
    tell(&mut kit, 5);
    let entry = only(&mut kit);
    assert_eq!((entry.replaces, entry.quantity, entry.price), (id, Quantity(20), Price(10_001)));
    kit.accept_all();
    kit.filled(entry.client_order_id, Quantity(16));
    assert_eq!(only(&mut kit).quantity, Quantity(20));
    assert_eq!(kit.counters.panics.get(), 0);
}

#[test]
fn a_refused_replace_of_the_stop_leaves_it_and_is_then_done_in_two_steps() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(4));
    kit.accept_all();
    let stop = only(&mut kit);
    kit.filled(id, Quantity(6));
    let grown = only(&mut kit);
    kit.rejected(grown.client_order_id, -1013);
    assert_eq!(kit.cancels().len(), 0);
    kit.advance_ms(101);
    assert_eq!(kit.cancels()[0].client_order_id, stop.client_order_id);
    kit.confirm_cancels();
    let stop = only(&mut kit);
    assert_eq!((stop.replaces, stop.quantity), (ClientOrderId::NONE, Quantity(10)));
}

#[test]
fn a_position_can_be_protected_that_is_there_already() {
    let (mut kit, id) = entered(Side::Buy, BRACKET);
    kit.filled(id, Quantity(10));
    kit.accept_all();
    sent(&mut kit);
    tell(&mut kit, 6);
    assert_eq!((sent(&mut kit).len(), kit.counters.denied.get()), (0, 1), "all of it is protected");
    tell(&mut kit, 3);
    kit.confirm_cancels();
    tell(&mut kit, 6);
    let stop = only(&mut kit);
    assert_eq!((stop.order_type, stop.quantity), (OrderType::Stop, Quantity(10)));
}

#[test]
fn what_makes_no_sense_is_denied() {
    let price = Price;
    let refused = [
        Bracket::new(),
        Bracket::new().stop_limit(price(1)),
        Bracket::new().stop_loss(price(10_000)),
        Bracket::new().stop_loss(price(-5)),
        Bracket::new().take_profit(price(9_999)),
        BRACKET.stop_loss(price(10_600)),
    ];
    let testing = on_trade(move |context, _| {
        for bracket in refused {
            let denied = context.bracket(entry(Side::Buy), bracket).expect_err("no sense");
            assert_eq!(denied.reason, DenialReason::BadOrder, "{bracket:?}");
        }
        assert!(context.bracket(entry(Side::Buy).reduce_only(), BRACKET).is_err());
        assert!(context.bracket(entry(Side::Sell), BRACKET).is_err());
        let denied = (0..17).filter_map(|_| context.bracket(entry(Side::Buy), BRACKET).err()).collect::<Vec<_>>();
        assert_eq!(
            denied.iter().map(|denial| (denial.reason, denial.limit)).collect::<Vec<_>>(),
            [(DenialReason::OrderTableFull, 16)]
        );
        Ok(())
    });
    let mut kit = started(vec![testing], Room::default());
    tell(&mut kit, 1);
    assert_eq!((sent(&mut kit).len(), kit.counters.panics.get()), (16, 0));
}

/// The most that the exits can have filled in the end, of all that was sent: of a pair of which one is to take the
/// other's place, only one.
fn exits_at_worst(kit: &Kit, exits: &[Order], filled: impl Fn(ClientOrderId) -> i64) -> i64 {
    let open = kit.open_orders();
    let leaves = |id: ClientOrderId| {
        let order = open.iter().find(|order| order.client_order_id == id && kit.is_acceptable(id));
        order.map_or(0, |order| order.quantity.0 - order.filled.0)
    };
    let replaced: i64 = exits.iter().map(|exit| leaves(exit.replaces).min(leaves(exit.client_order_id))).sum();
    exits.iter().map(|exit| filled(exit.client_order_id) + leaves(exit.client_order_id)).sum::<i64>() - replaced
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever the venue and risk answer, in whatever order: exits never fill more than the entry did, nor could they;
    /// and in the end the position is closed, or one stop is there for all of it.
    #[test]
    fn exits_never_exceed_the_entry_and_protection_comes_back(
        steps in prop::collection::vec((0..16u8, 0..8usize, 1..6i64), 1..60), is_long in any::<bool>(),
        has_profit in any::<bool>(), falls_back in any::<bool>(),
    ) {
        let (side, sign) = if is_long { (Side::Buy, 1) } else { (Side::Sell, -1) };
        let mut bracket = Bracket::new().stop_loss(Price(10_000 - sign * 500));
        if has_profit { bracket = bracket.take_profit(Price(10_000 + sign * 500)); }
        if falls_back { bracket = bracket.or_market(); }
        let (mut kit, entry) = entered(side, bracket);
        let mut fills: Vec<(ClientOrderId, i64)> = Vec::new();
        let mut exits: Vec<Order> = Vec::new();
        let mut late: Vec<OrderUpdate> = Vec::new();
        for (kind, which, quantity) in steps {
            let open = kit.open_orders();
            let order = open.get(which % open.len().max(1)).copied();
            let wanted = kit.cancels();
            match (kind, order) {
                (0, _) => kit.quote(10_000 + sign * 500, 10_001 + sign * 500),
                (1, _) => kit.quote(9_999, 10_001),
                (2, _) => kit.quote(9_999 - sign * 502, 10_001 - sign * 502),
                (3, _) => kit.advance_ms(700),
                (4..=6, Some(order)) if order.status != OrderStatus::Created => {
                    let quantity = quantity.min(order.quantity.0 - order.filled.0);
                    fills.push((order.client_order_id, quantity));
                    kit.filled(order.client_order_id, Quantity(quantity));
                }
                (7 | 8, Some(order)) if order.status == OrderStatus::Created => kit.accepted(order.client_order_id),
                (9, Some(order)) if order.status == OrderStatus::Created => kit.rejected(order.client_order_id, -2010),
                (10, Some(order)) if order.status == OrderStatus::Created && order.client_order_id != entry => {
                    kit.denied(order.client_order_id, DenialReason::RateLimit);
                }
                (11, Some(order)) if order.status != OrderStatus::Created => kit.expired(order.client_order_id),
                (12, Some(order)) if order.status != OrderStatus::Created => {
                    // Ended, with a fill that is told of later.
                    let quantity = quantity.min(order.quantity.0 - order.filled.0);
                    fills.push((order.client_order_id, quantity));
                    late.extend(kit.canceled_ahead_of_fill(order.client_order_id, Quantity(quantity)));
                }
                (13, Some(order)) if order.status == OrderStatus::Accepted => {
                    kit.unknown(order.client_order_id);
                }
                (14, _) if !wanted.is_empty() => kit.cancel_refused(wanted[which % wanted.len()].client_order_id),
                (15, _) if !wanted.is_empty() => {
                    let id = wanted[which % wanted.len()].client_order_id;
                    if open.iter().any(|order| order.client_order_id == id && order.status != OrderStatus::Created) {
                        kit.canceled(id);
                    }
                }
                _ => if !late.is_empty() { kit.booked_late(late.remove(0)) },
            }
            exits.extend(sent(&mut kit).into_iter().filter(|order| order.side != side));
            let filled = |id: ClientOrderId| fills.iter().filter(|fill| fill.0 == id).map(|fill| fill.1).sum::<i64>();
            prop_assert!(exits_at_worst(&kit, &exits, filled) <= filled(entry), "{exits:?} {fills:?}");
            let stops = kit.open_orders().iter().filter(|order| order.order_type == OrderType::Stop).count();
            prop_assert!(stops <= 2);
        }
        // All answers arrive, and the market is between the two prices.
        late.drain(..).for_each(|ended| kit.booked_late(ended));
        kit.quote(9_999, 10_001);
        if kit.open_orders().iter().any(|order| order.client_order_id == entry) {
            kit.expired(entry);
        }
        for _ in 0..30 {
            kit.confirm_cancels();
            for order in kit.open_orders() {
                let leaves = Quantity(order.quantity.0 - order.filled.0);
                match order.order_type {
                    _ if order.status == OrderStatus::Unknown => kit.found_working(order.client_order_id),
                    OrderType::Market => kit.filled(order.client_order_id, leaves),
                    // With a fill it was triggered, and is a market order since.
                    OrderType::Stop if order.filled > Quantity::ZERO => kit.filled(order.client_order_id, leaves),
                    OrderType::Stop => {}
                    _ => kit.expired(order.client_order_id),
                }
            }
            kit.advance_ms(6_000);
        }
        kit.accept_all();
        let open = kit.open_orders();
        let protected: i64 = open.iter().map(|order| order.quantity.0 - order.filled.0).sum();
        prop_assert_eq!(protected, kit.position().quantity.0 * sign, "{:?}", open);
        prop_assert!(open.len() <= 1);
        prop_assert_eq!(kit.counters.panics.get(), 0);
    }
}
