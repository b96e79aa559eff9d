//! The example strategies on a recorded session, each quarter of a minute of it from a fresh start: what must not
//! happen never does, and enough happens for a demonstration.
//!
//! The venue is the simplest that is not too kind: cancels and orders take effect at once, and a resting order fills
//! only when the market trades or is quoted through its price.

use super::testkit::Kit;
use super::{InstanceState, Strategy};
use crate::book::recorded::{SESSIONS, Session, data};
use crate::book::{BarSeries, DepthBook};
use crate::strategies::{market_maker::MarketMaker, mean_reversion::MeanReversion};
use crate::types::{DepthLevel, MarketEvent, OrderStatus, OrderUpdate, Price, Quantity, Quote, Side, Timestamp, Trade};
use serde_json::Value;

const WINDOW_NS: u64 = 15_000_000_000;

/// One frame of the recording: when the venue sent it, and what the feed would make of it.
struct Step {
    at: Timestamp,
    events: Vec<MarketEvent>,
}

/// A quantity of the recording in the kit's precision (5 places). What is smaller than that is not nothing.
fn quantity(session: &Session, value: i64) -> Quantity {
    let value = i128::from(value) * 100_000;
    let scaled = i64::try_from(value / 10i128.pow(u32::from(session.places[1]))).expect("in range");
    Quantity(scaled.max(i64::from(value > 0)))
}

fn depth(session: &Session, frame: &Value, names: [&str; 2], id: u64, at: Timestamp) -> Vec<MarketEvent> {
    let levels = session.levels(frame, names, id);
    let count = levels.len();
    let event = |(index, (side, level)): (usize, (Side, DepthLevel))| MarketEvent::DepthLevel {
        side,
        is_last: index + 1 == count,
        level: DepthLevel { quantity: quantity(session, level.quantity.0), exchange_ns: at, received_ns: at, ..level },
    };
    levels.into_iter().enumerate().map(event).collect()
}

/// The recording from its snapshot on. It is received when the venue sent it.
fn steps(session: &Session) -> Option<Vec<Step>> {
    let folder = data()?;
    let (mut steps, mut held, mut snapshot_id) = (Vec::new(), Vec::new(), None);
    let mut at = Timestamp::UNKNOWN;
    for frame in session.frames(&folder) {
        let data = &frame["data"];
        at = at.max(Timestamp::from_millis(data["E"].as_u64().unwrap_or_default()));
        let stream = frame["stream"].as_str().unwrap_or_default();
        let price = |name: &str| Price(session.number(0, &data[name]));
        let size = |name: &str| quantity(session, session.number(1, &data[name]));
        let mut events = Vec::new();
        if stream.ends_with("@bookTicker") {
            let (bid, bid_quantity, ask, ask_quantity) = (price("b"), size("B"), price("a"), size("A"));
            let (exchange_ns, received_ns) = (Timestamp::UNKNOWN, at);
            events.push(MarketEvent::Quote(Quote { bid, bid_quantity, ask, ask_quantity, exchange_ns, received_ns }));
        } else if stream.ends_with("@trade") {
            let exchange_ns = Timestamp::from_millis(data["T"].as_u64().expect("an instant"));
            let (price, quantity) = (price("p"), size("q"));
            let trade = Trade { price, quantity, high: price, low: price, exchange_ns, received_ns: at };
            let aggressor = if data["m"] == true { Side::Sell } else { Side::Buy };
            events.push(MarketEvent::Trade { aggressor, count: 1, trade });
        } else if let Some(update_id) = frame["lastUpdateId"].as_u64() {
            snapshot_id = Some(update_id);
            events.push(MarketEvent::DepthSnapshot { update_id, received_ns: at });
            events.extend(depth(session, &frame, ["bids", "asks"], update_id, at));
        } else {
            held.push(data.clone());
        }
        if let Some(snapshot_id) = snapshot_id {
            for update in held.drain(..) {
                let id = update["u"].as_u64().expect("an id");
                if id > snapshot_id {
                    events.extend(depth(session, &update, ["b", "a"], id, at));
                }
            }
        }
        steps.push(Step { at, events });
    }
    Some(steps)
}

/// Orders sent and orders filled in each quarter of a minute, after a minute for the bars of the past.
fn run<S: Strategy>(steps: &[Step]) -> Vec<(usize, usize)> {
    let (mut book, mut series, mut counts) = (DepthBook::new(), BarSeries::new(1_000), Vec::new());
    let mut start = steps.first().expect("a recording").at.plus(4 * WINDOW_NS);
    let end = steps.last().expect("a recording").at;
    for (index, step) in steps.iter().enumerate() {
        if step.at >= start && start.plus(WINDOW_NS) <= end {
            let window = steps[index..].iter().take_while(|step| step.at < start.plus(WINDOW_NS));
            let closes: Vec<i64> = series.closed().iter().map(|bar| bar.close.0).collect();
            counts.push(run_window::<S>(&book, &closes, window));
            start = start.plus(WINDOW_NS);
        }
        for event in &step.events {
            match event {
                MarketEvent::DepthSnapshot { update_id, .. } => book.begin_snapshot(*update_id),
                MarketEvent::DepthLevel { side, is_last, level } => book.apply(*side, level, *is_last),
                MarketEvent::Trade { trade, .. } => drop(series.on_trade(trade, 1)),
                _ => {}
            }
        }
    }
    counts
}

fn run_window<'a, S: Strategy>(
    book: &DepthBook,
    closes: &[i64],
    steps: impl Iterator<Item = &'a Step>,
) -> (usize, usize) {
    let mut kit = Kit::of::<S>(&S::Params::default());
    let (mut orders, mut fills) = (0, 0);
    let mut steps = steps.peekable();
    let at = steps.peek().expect("a window").at;
    kit.set_now(at);
    kit.warm(closes);
    kit.event(MarketEvent::DepthSnapshot { update_id: 1, received_ns: at });
    for side in [Side::Buy, Side::Sell] {
        let count = book.level_count(side);
        for (index, &level) in book.levels(side).enumerate() {
            let level =
                DepthLevel { price: level.price, quantity: level.quantity, received_ns: at, ..Default::default() };
            kit.event(MarketEvent::DepthLevel { side, is_last: side == Side::Sell && index + 1 == count, level });
        }
    }
    for step in steps {
        kit.set_now(step.at);
        for event in &step.events {
            kit.event(*event);
            let through = match event {
                MarketEvent::Quote(quote) => (quote.ask, quote.bid),
                MarketEvent::Trade { trade, .. } => (Price(trade.price.0 + 1), Price(trade.price.0 - 1)),
                _ => continue,
            };
            let is_hit = |order: &OrderUpdate| match (order.status, order.side) {
                (OrderStatus::Created, _) => false,
                (_, Side::Buy) => through.0 <= order.price,
                (_, Side::Sell) => through.1 >= order.price,
            };
            for order in kit.open_orders().iter().filter(|order| is_hit(order)) {
                fills += 1;
                kit.filled(order.client_order_id, order.quantity);
            }
        }
        for intent in kit.take_orders() {
            let order = intent.order;
            orders += 1;
            assert!(order.is_post_only && intent.stamp.is_synced && order.price > Price::ZERO);
            match order.side {
                Side::Buy => assert!(order.price < intent.stamp.ask),
                Side::Sell => assert!(order.price > intent.stamp.bid),
            }
        }
        kit.confirm_cancels();
        assert!(kit.open_orders().len() <= 2, "more than an order a side");
        assert!(kit.position().quantity.0.abs() <= 2_000, "beyond its bound");
    }
    let summary = &kit.summary()[0];
    assert_eq!((summary.state, kit.counters.handler_errors.get()), (InstanceState::Running, 0));
    assert_eq!(summary.tally.denied, 0);
    // Replaces that a fill was faster than.
    assert!(summary.tally.rejected <= fills as u64, "{} rejected, {fills} fills", summary.tally.rejected);
    (orders, fills)
}

/// Every window has fills enough for a demonstration, and those from the `skipped`th on orders too.
fn check<S: Strategy>(session: &Session, quiet_count: usize, skipped: usize) {
    let Some(steps) = steps(session) else { return };
    let counts = run::<S>(&steps);
    println!("{} on {}: orders and fills by 15 s: {counts:?}", S::METADATA.kind, session.name);
    assert!(counts.len() > 15);
    assert!(counts.iter().skip(skipped).all(|(orders, _)| *orders >= 20), "{counts:?}");
    assert!(counts.iter().filter(|(_, fills)| *fills == 0).count() <= quiet_count, "{counts:?}");
}

#[test]
fn mean_reversion_trades_the_spot_session() {
    // In four windows the price runs away from the orders, or stands still.
    check::<MeanReversion>(&SESSIONS[0], 4, 0);
}

#[test]
fn mean_reversion_trades_the_usd_margined_session() {
    check::<MeanReversion>(&SESSIONS[1], 4, 0);
}

#[test]
fn the_market_maker_trades_the_spot_session() {
    // In the first five minutes the price stands still for seconds at a time, and its quotes with it.
    check::<MarketMaker>(&SESSIONS[0], 0, 19);
}

#[test]
fn the_market_maker_trades_the_usd_margined_session() {
    check::<MarketMaker>(&SESSIONS[1], 0, 0);
}
