//! C28: the parts of a larger order never exceed it.

use super::{Facts, deny};
use crate::risk::parents::ParentFacts;
use crate::types::{Denial, DenialReason};

/// By our own books, whatever the strategy believes. `limit` and `observed` are quantities: that of the larger order, and
/// what its parts have filled and may still fill with this one. Where the first part said another quantity they are that
/// one and this one's; where it was in another instrument or on the other side, where the larger order was forgotten, and
/// where no more can be remembered, nothing of it may be had: `limit` is zero.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let order = &facts.intent.order;
    let wanted = order.parent_quantity.0;
    let none = || deny(DenialReason::ChildExceedsParent, 0, order.quantity.0);
    let (filled, open) = match &facts.parent {
        ParentFacts::None => return Ok(()),
        ParentFacts::Forgotten | ParentFacts::Full => return none(),
        ParentFacts::New => (0, 0),
        ParentFacts::Known(parent) => {
            if (parent.instrument, parent.side) != (order.instrument, order.side) {
                return none();
            }
            if parent.quantity != order.parent_quantity {
                return deny(DenialReason::ChildExceedsParent, parent.quantity.0, wanted);
            }
            (parent.filled, parent.open)
        }
    };
    let sum = filled.saturating_add(open).saturating_add(facts.added());
    if sum > i128::from(wanted) {
        return deny(DenialReason::ChildExceedsParent, wanted, sum);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::parents::{Parent, ParentFacts};
    use crate::types::InstrumentId;

    fn judge(quantity: i64, of: i64, parent: ParentFacts) -> Result<(), Denial> {
        let mut case = Case::new();
        case.intent.order.parent = 3;
        case.intent.order.quantity = Quantity(quantity);
        case.intent.order.parent_quantity = Quantity(of);
        case.with(|facts| super::check(&Facts { parent, ..*facts }))
    }

    fn known(filled: i128, open: i128) -> Parent {
        Parent { instrument: InstrumentId(0), quantity: Quantity(100), filled, open, ..Parent::default() }
    }

    #[test]
    fn filled_and_open_together() {
        let refused = |limit, sum| denied(DenialReason::ChildExceedsParent, limit, sum);
        assert_eq!(judge(9, 10, ParentFacts::New), Ok(()));
        assert_eq!(judge(10, 10, ParentFacts::New), Ok(()));
        assert_eq!(judge(11, 10, ParentFacts::New), refused(10, 11));
        assert_eq!(judge(1, 0, ParentFacts::New), refused(0, 1));
        assert_eq!(judge(1, -1, ParentFacts::New), refused(-1, 1));
        assert_eq!(judge(39, 100, ParentFacts::Known(known(40, 20))), Ok(()));
        assert_eq!(judge(40, 100, ParentFacts::Known(known(40, 20))), Ok(()));
        assert_eq!(judge(41, 100, ParentFacts::Known(known(40, 20))), refused(100, 101));
        assert_eq!(judge(1, 100, ParentFacts::Known(known(120, 0))), refused(100, 121), "filled past it");
        let most = i128::from(i64::MAX);
        assert_eq!(judge(i64::MAX, i64::MAX, ParentFacts::New), Ok(()));
        assert_eq!(
            judge(i64::MAX, 100, ParentFacts::Known(known(i128::MAX, 1))),
            refused(100, i128::MAX),
            "overflow is a refusal"
        );
        assert_eq!(judge(1, i64::MAX, ParentFacts::Known(Parent { quantity: Quantity(i64::MAX), ..known(most, 0) })), refused(most, most + 1));
    }

    #[test]
    fn what_the_first_part_fixed_and_what_was_forgotten() {
        let refused = |limit, observed| denied(DenialReason::ChildExceedsParent, limit, observed);
        assert_eq!(judge(5, 100, ParentFacts::None), Ok(()));
        assert_eq!(judge(5, 101, ParentFacts::Known(known(0, 0))), refused(100, 101));
        let other = Parent { instrument: InstrumentId(1), ..known(0, 0) };
        assert_eq!(judge(5, 100, ParentFacts::Known(other)), refused(0, 5));
        let other = Parent { side: Side::Sell, ..known(0, 0) };
        assert_eq!(judge(5, 100, ParentFacts::Known(other)), refused(0, 5));
        assert_eq!(judge(5, 100, ParentFacts::Forgotten), refused(0, 5));
        assert_eq!(judge(5, 100, ParentFacts::Full), refused(0, 5));
    }
}
