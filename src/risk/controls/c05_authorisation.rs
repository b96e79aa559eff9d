//! C05: what is not permitted by name is denied.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason};

#[inline]
pub(super) fn check(facts: &Facts<'_>) -> Result<(), Denial> {
    match facts.permission {
        Some(permission) if permission.covers(&facts.intent.order) => Ok(()),
        _ => deny(DenialReason::NotPermitted, 0, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use crate::risk::Permission;
    use crate::types::{OrderType, TimeInForce};

    #[test]
    fn instrument_type_and_time_in_force_must_be_listed() {
        let mut case = Case::new();
        let refusal = denied(DenialReason::NotPermitted, 0, 1);
        let all = Permission::all(case.intent.order.strategy, case.intent.order.instrument);
        let judge = |case: &Case, permission: Option<Permission>| {
            case.with(|facts| super::check(&Facts { permission: permission.as_ref(), ..*facts }))
        };
        assert_eq!(judge(&case, Some(all)), Ok(()));
        assert_eq!(judge(&case, None), refusal);
        assert_eq!(judge(&case, Some(Permission { may_limit: false, ..all })), refusal);
        assert_eq!(judge(&case, Some(Permission { may_good_till_canceled: false, ..all })), refusal);
        for time_in_force in [TimeInForce::ImmediateOrCancel, TimeInForce::FillOrKill] {
            case.intent.order.time_in_force = time_in_force;
            assert_eq!(judge(&case, Some(Permission { may_immediate: false, ..all })), refusal);
        }
        case.intent.order.order_type = OrderType::Market;
        assert_eq!(judge(&case, Some(Permission { may_market: false, ..all })), refusal);
        assert_eq!(judge(&case, Some(Permission { may_limit: false, may_immediate: false, ..all })), Ok(()));
    }
}
