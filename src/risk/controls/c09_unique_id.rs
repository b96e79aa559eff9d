//! C09: no client order id is used twice.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason};

/// A strategy's ids only ever grow (epoch first, then sequence), so the largest is all that must be remembered.
/// `limit` and `observed`: that one and the order's.
#[inline(always)]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    let id = facts.intent.order.client_order_id;
    if id > facts.last_id {
        return Ok(());
    }
    deny(DenialReason::DuplicateClientOrderId, facts.last_id.0, id.0)
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::types::ClientOrderId;

    #[test]
    fn ids_grow() {
        let case = Case::new();
        let id = case.intent.order.client_order_id;
        let judge = |last| case.with(|facts| super::check(&Facts { last_id: ClientOrderId(last), ..*facts }));
        assert_eq!(judge(0), Ok(()));
        assert_eq!(judge(id.0 - 1), Ok(()));
        for last in [id.0, id.0 + 1, u64::MAX] {
            assert_eq!(
                judge(last),
                denied(DenialReason::DuplicateClientOrderId, i128::from(last), i128::from(id.0))
            );
        }
    }
}
