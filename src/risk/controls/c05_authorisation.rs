//! C05: what is not permitted by name is denied.

use super::{Facts, deny};
use crate::types::{Denial, DenialReason};

#[inline(always)]
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
        assert_eq!(judge(&case, Some(Permission { may_buy: false, ..all })), refusal);
        assert_eq!(judge(&case, Some(Permission { may_sell: false, ..all })), Ok(()));
        case.intent.order.side = Side::Sell;
        assert_eq!(judge(&case, Some(Permission { may_sell: false, ..all })), refusal);
        assert_eq!(judge(&case, Some(Permission { may_buy: false, ..all })), Ok(()));
        case.intent.order.order_type = OrderType::Market;
        assert_eq!(judge(&case, Some(Permission { may_market: false, ..all })), refusal);
        assert_eq!(judge(&case, Some(Permission { may_limit: false, may_immediate: false, ..all })), Ok(()));
    }

    #[test]
    fn stop_orders_need_their_own_permission_and_that_of_what_they_become() {
        let refusal = denied(DenialReason::NotPermitted, 0, 1);
        let all = Permission::all(crate::types::StrategyId(0), crate::types::InstrumentId(0));
        let mut case = Case::new();
        let mut judge = |order_type, time_in_force, permission: Permission| {
            case.intent.order.order_type = order_type;
            case.intent.order.time_in_force = time_in_force;
            case.with(|facts| super::check(&Facts { permission: Some(&permission), ..*facts }))
        };
        let rests = TimeInForce::GoodTillCanceled;
        for (order_type, becomes, other) in [
            (OrderType::Stop, Permission { may_market: false, ..all }, Permission { may_limit: false, ..all }),
            (OrderType::StopLimit, Permission { may_limit: false, ..all }, Permission { may_market: false, ..all }),
        ] {
            assert_eq!(judge(order_type, rests, all), Ok(()));
            assert_eq!(judge(order_type, rests, Permission { may_stop: false, ..all }), refusal);
            assert_eq!(judge(order_type, rests, becomes), refusal);
            assert_eq!(judge(order_type, rests, other), Ok(()));
            for time_in_force in [rests, TimeInForce::Day] {
                let none = Permission { may_good_till_canceled: false, ..all };
                assert_eq!(judge(order_type, time_in_force, none), refusal);
            }
        }
    }
}
