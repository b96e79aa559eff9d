//! C30: an order is replaced only while it works and its state is settled, and never by less than it has filled.

use super::{Facts, deny};
use crate::types::{ClientOrderId, Denial, DenialReason, OrderStatus};

/// `limit` and `observed` of `ORDER_NOT_AMENDABLE` are numbers of [`OrderStatus`]: the one wanted, and the replaced
/// order's (`PendingReplace` too where another replacement, before or after it, is not settled); -1 where there is no such
/// order of this strategy, instrument, side and parent. Of `AMEND_BELOW_FILLED` they are quantities: what is filled, and
/// what was wanted in all.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    if facts.intent.order.replaces == ClientOrderId::NONE { Ok(()) } else { replacement(facts) }
}

fn replacement(facts: &Facts<'_>) -> Result<(), Denial> {
    let working = OrderStatus::Accepted as u8;
    let order = &facts.intent.order;
    let Some(replaced) = &facts.replaced else { return deny(DenialReason::OrderNotAmendable, working, -1) };
    let old = &replaced.record.order;
    if (old.strategy, old.instrument, old.side, old.parent)
        != (order.strategy, order.instrument, order.side, order.parent)
    {
        return deny(DenialReason::OrderNotAmendable, working, -1);
    }
    let status = if replaced.is_settled { replaced.record.status } else { OrderStatus::PendingReplace };
    if !matches!(status, OrderStatus::Accepted | OrderStatus::PartiallyFilled) {
        return deny(DenialReason::OrderNotAmendable, working, status as u8);
    }
    let filled = replaced.record.filled.max(replaced.record.venue_filled);
    if replaced.wanted <= filled {
        return deny(DenialReason::AmendBelowFilled, filled.0, replaced.wanted.0);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Replaced;
    use super::super::testing::*;
    use crate::risk::OrderRecord;
    use crate::types::{ClientOrderId, InstrumentId, Order, OrderStatus, StrategyId};

    /// A working order of 20 that the case's order is to replace.
    fn record(case: &mut Case) -> OrderRecord {
        let id = ClientOrderId::new(1, StrategyId(0), 4).expect("in range");
        case.intent.order.replaces = id;
        let order = Order { client_order_id: id, quantity: Quantity(20), ..case.intent.order };
        OrderRecord { order, status: OrderStatus::Accepted, reserve: Quantity(20), ..OrderRecord::default() }
    }

    fn judge(case: &Case, record: Option<OrderRecord>, is_settled: bool, wanted: i64) -> Result<(), Denial> {
        case.with(|facts| {
            let replaced = record.as_ref().map(|record| Replaced { record, is_settled, wanted: Quantity(wanted) });
            super::check(&Facts { replaced, ..*facts })
        })
    }

    #[test]
    fn a_new_order_replaces_nothing() {
        assert_eq!(Case::new().with(super::check), Ok(()));
    }

    #[test]
    fn only_a_working_order_of_ones_own_is_replaced() {
        let mut case = Case::new();
        let good = record(&mut case);
        let refused = |status| denied(DenialReason::OrderNotAmendable, 2, status);
        assert_eq!(judge(&case, None, true, 10), refused(-1));
        for (status, expected) in [
            (OrderStatus::Created, refused(0)),
            (OrderStatus::Sent, refused(1)),
            (OrderStatus::Accepted, Ok(())),
            (OrderStatus::PartiallyFilled, Ok(())),
            (OrderStatus::PendingCancel, refused(4)),
            (OrderStatus::PendingReplace, refused(5)),
            (OrderStatus::Unknown, refused(6)),
            (OrderStatus::Filled, refused(7)),
            (OrderStatus::Canceled, refused(8)),
            (OrderStatus::Rejected, refused(9)),
            (OrderStatus::Expired, refused(10)),
            (OrderStatus::Denied, refused(11)),
        ] {
            assert_eq!(judge(&case, Some(OrderRecord { status, ..good }), true, 10), expected, "{status:?}");
        }
        assert_eq!(judge(&case, Some(good), false, 10), refused(5), "another replacement is not settled");
        for order in [
            Order { strategy: StrategyId(1), ..good.order },
            Order { instrument: InstrumentId(1), ..good.order },
            Order { side: Side::Sell, ..good.order },
            Order { parent: 3, ..good.order },
        ] {
            assert_eq!(judge(&case, Some(OrderRecord { order, ..good }), true, 10), refused(-1));
        }
    }

    #[test]
    fn more_is_wanted_than_is_filled() {
        let mut case = Case::new();
        let good = record(&mut case);
        let filled = |booked, stated| OrderRecord { filled: Quantity(booked), venue_filled: Quantity(stated), ..good };
        let refused = |filled, wanted| denied(DenialReason::AmendBelowFilled, filled, wanted);
        assert_eq!(judge(&case, Some(filled(7, 7)), true, 8), Ok(()));
        assert_eq!(judge(&case, Some(filled(7, 7)), true, 7), refused(7, 7));
        assert_eq!(judge(&case, Some(filled(7, 7)), true, 6), refused(7, 6));
        assert_eq!(judge(&case, Some(filled(0, 7)), true, 7), refused(7, 7), "as the venue counts");
        assert_eq!(judge(&case, Some(filled(7, 0)), true, 7), refused(7, 7), "as we count");
        assert_eq!(judge(&case, Some(good), true, 1), Ok(()));
        assert_eq!(judge(&case, Some(good), true, 0), refused(0, 0));
        assert_eq!(judge(&case, Some(good), true, -1), refused(0, -1));
        assert_eq!(judge(&case, Some(good), true, i64::MIN), refused(0, i128::from(i64::MIN)));
        assert_eq!(judge(&case, Some(filled(i64::MAX, 0)), true, i64::MAX), refused(i128::from(i64::MAX), i128::from(i64::MAX)));
    }

    #[test]
    fn a_replacement_that_excludes_the_old_order_adds_what_goes_beyond_it() {
        let mut case = Case::new();
        let old = record(&mut case);
        for (quantity, filled, added) in [(25, 0, 5), (20, 0, 0), (1, 0, 0), (25, 1, 25), (i64::MAX, 0, i128::from(i64::MAX) - 20)] {
            case.intent.order.quantity = Quantity(quantity);
            let record = OrderRecord { filled: Quantity(filled), ..old };
            case.with(|facts| {
                let replaced = Some(Replaced { record: &record, is_settled: true, wanted: Quantity(quantity) });
                assert_eq!(Facts { replaced, ..*facts }.added(), added);
                Ok(())
            })
            .expect("nothing is judged");
        }
    }
}
