//! Six reports of one order, in each of the 720 orders in which they can arrive, through the real stage.

use super::rig::{Rig, config, fill};
use crate::risk::CancelStep;
use crate::types::*;

/// Every order of `items`.
fn permutations<T: Copy>(items: &[T]) -> Vec<Vec<T>> {
    if items.len() <= 1 {
        return vec![items.to_vec()];
    }
    let mut all = Vec::new();
    for (position, &first) in items.iter().enumerate() {
        let mut rest = items.to_vec();
        rest.remove(position);
        for mut tail in permutations(&rest) {
            tail.insert(0, first);
            all.push(tail);
        }
    }
    all
}

/// A report of the order: its kind, and of a fill execution id, quantity and cumulative quantity.
#[derive(Clone, Copy)]
enum Said {
    Plain(ReportKind),
    /// Execution id, quantity, cumulative quantity.
    Fill(u64, i64, i64),
    /// The end of it, with the cumulative quantity that the venue states.
    Over(ReportKind, i64),
    /// A query's answer: status and cumulative quantity.
    Found(OrderStatus, i64),
}

impl Said {
    fn report(self, id: ClientOrderId) -> ExecutionReport {
        let plain = ExecutionReport { client_order_id: id, venue_order_id: 7, ..ExecutionReport::default() };
        match self {
            Self::Plain(kind) => ExecutionReport { kind, ..plain },
            Self::Fill(execution_id, quantity, cumulative) => fill(id, execution_id, quantity, cumulative),
            Self::Over(kind, cumulative) => {
                ExecutionReport { kind, cumulative_quantity: Quantity(cumulative), ..plain }
            }
            Self::Found(status, cumulative) => {
                ExecutionReport { kind: ReportKind::Status, status, cumulative_quantity: Quantity(cumulative), ..plain }
            }
        }
    }
}

/// Tells six reports of an order of 10, whose cancel is on its way, in every order; whatever it is, the end is one.
fn tell(story: [Said; 6], is_canceling: bool, status: OrderStatus, filled: i64, open: i64) {
    let mut config = config();
    config.order_capacity = 8;
    config.execution_capacity = 16;
    let mut ends = Vec::new();
    for (run, arrival) in permutations(&[0, 1, 2, 3, 4, 5]).into_iter().enumerate() {
        let mut rig = Rig::with_lanes_of(&config, 16);
        let id = rig.place(Side::Buy, 10);
        if is_canceling {
            rig.cancel(id);
            rig.poll();
        }
        for report in arrival {
            rig.report(story[report].report(id));
        }
        let record = rig.order(id);
        assert_eq!((record.status, record.filled.0, record.reserve.0), (status, filled, open), "run {run}");
        assert_eq!(record.cancel, CancelStep::None);
        let filled_and_open = (i128::from(filled), i128::from(filled + open));
        assert_eq!(rig.exposure(), filled_and_open, "of no width when nothing is open");
        let holding = rig.risk.holdings()[0];
        assert_eq!(holding.open_orders, u32::from(open > 0));
        let ledger = rig.risk.ledger(VenueId(0)).expect("there").clone();
        ends.push((holding.position, ledger));
    }
    assert_eq!(ends.len(), 720);
    assert!(ends.iter().all(|end| *end == ends[0]));
}

use ReportKind::{Accepted, CancelRejected, Canceled, Expired, Sent, Unknown};
use Said::{Fill, Found, Over, Plain};

#[test]
fn filled_whole() {
    let story = [Plain(Sent), Plain(Accepted), Fill(1, 3, 3), Fill(2, 4, 7), Fill(3, 3, 10), Plain(CancelRejected)];
    tell(story, true, OrderStatus::Filled, 10, 0);
}

#[test]
fn still_open() {
    let story = [Plain(Sent), Plain(Accepted), Fill(1, 3, 3), Fill(2, 4, 7), Plain(CancelRejected), Fill(3, 2, 9)];
    tell(story, true, OrderStatus::PartiallyFilled, 9, 1);
}

#[test]
fn canceled_after_fills() {
    let story = [Plain(Sent), Plain(Accepted), Fill(1, 3, 3), Fill(2, 4, 7), Plain(CancelRejected), Over(Canceled, 7)];
    tell(story, true, OrderStatus::Canceled, 7, 0);
}

#[test]
fn expired_after_fills() {
    let story = [Plain(Sent), Plain(Accepted), Fill(1, 3, 3), Fill(2, 4, 7), Plain(CancelRejected), Over(Expired, 7)];
    tell(story, true, OrderStatus::Expired, 7, 0);
}

#[test]
fn each_report_twice() {
    let story = [Plain(Accepted), Plain(Accepted), Fill(1, 4, 4), Fill(1, 4, 4), Over(Canceled, 4), Over(Canceled, 4)];
    tell(story, true, OrderStatus::Canceled, 4, 0);
}

#[test]
fn the_last_fill_twice_and_a_cancel_that_lost() {
    let story = [Plain(Accepted), Fill(1, 4, 4), Fill(2, 6, 10), Fill(2, 6, 10), Plain(CancelRejected), Fill(1, 4, 4)];
    tell(story, true, OrderStatus::Filled, 10, 0);
}

#[test]
fn doubted_and_found_filled() {
    let found = Found(OrderStatus::Filled, 10);
    let story = [Plain(Sent), Plain(Unknown), Plain(Accepted), Fill(1, 4, 4), Fill(2, 6, 10), found];
    tell(story, false, OrderStatus::Filled, 10, 0);
}

#[test]
fn doubted_and_found_canceled() {
    let found = Found(OrderStatus::Canceled, 4);
    let story = [Plain(Sent), Plain(Unknown), Plain(Accepted), Fill(1, 4, 4), found, Over(Canceled, 4)];
    tell(story, true, OrderStatus::Canceled, 4, 0);
}

#[test]
fn found_filled_before_its_fills_come() {
    let story =
        [Found(OrderStatus::Filled, 10), Plain(Unknown), Fill(1, 3, 0), Fill(2, 3, 0), Fill(3, 4, 0), Fill(2, 3, 0)];
    tell(story, true, OrderStatus::Filled, 10, 0);
}
