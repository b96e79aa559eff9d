//! What the stage refuses to be built from.

use super::rig::{config, lanes};
use crate::risk::{Limits, Permission, RateLimit, RateSource, RiskConfig, RiskConfigError};
use crate::types::{AssetId, InstrumentId, Money, StrategyId};

fn refusal(change: impl Fn(&mut RiskConfig)) -> Option<RiskConfigError> {
    let mut config = config();
    change(&mut config);
    config.validate(&lanes()).err()
}

#[test]
fn parts_that_do_not_fit_each_other() {
    use RiskConfigError::{DoublePermission, NoShard, OrderCapacity, UnknownInstrument, UnknownStrategy};
    let (strategy, instrument) = (StrategyId(0), InstrumentId(0));
    let permit =
        |strategy, instrument| refusal(move |config| config.permissions.push(Permission::all(strategy, instrument)));
    assert_eq!(refusal(|_| {}), None);
    assert_eq!(permit(strategy, instrument), Some(DoublePermission(strategy, instrument)));
    assert_eq!(permit(strategy, InstrumentId(9)), Some(UnknownInstrument(InstrumentId(9))));
    assert_eq!(permit(StrategyId(9), instrument), Some(UnknownStrategy(StrategyId(9))));
    assert_eq!(refusal(|config| config.shard_of_strategy[0] = 2), Some(NoShard(strategy)));
    assert_eq!(refusal(|config| config.order_capacity = 0), Some(OrderCapacity));
    assert_eq!(refusal(|config| config.order_capacity = usize::MAX), Some(OrderCapacity));
}

#[test]
fn rates_that_no_instrument_tells() {
    let source = |asset, instrument| RateSource { asset: AssetId(asset), instrument: InstrumentId(instrument) };
    let with = |source| refusal(move |config| config.rate_sources.push(source));
    assert_eq!(with(source(0, 0)), None);
    for wrong in [source(1, 0), source(2, 0), source(0, 1), source(0, 9)] {
        assert_eq!(with(wrong), Some(RiskConfigError::RateSource(wrong)));
    }
    let without_currency = refusal(move |config| {
        config.currency = None;
        config.rate_sources.push(source(0, 0));
    });
    assert_eq!(without_currency, Some(RiskConfigError::RateSource(source(0, 0))));
}

#[test]
fn limits_that_make_no_sense() {
    let is_limits = |refusal| matches!(refusal, Some(RiskConfigError::Limits(_)));
    let minus = Limits { max_order_notional: Money(-1), ..Limits::NONE };
    assert!(is_limits(refusal(|config| config.limits.permissions[0] = minus)));
    let no_room = RateLimit { per_second: 1, burst: 5, cancel_reserve: 5 };
    assert!(is_limits(refusal(|config| config.limits.accounts[0].rate = no_room)));
    assert!(!is_limits(refusal(|config| config.limits.accounts.clear())), "denies, which is sensible");
}

#[test]
fn lanes_that_do_not_fit() {
    let mut short = lanes();
    short.orders.pop();
    assert_eq!(config().validate(&short), Err(RiskConfigError::Lanes));
    let mut none = lanes();
    none.gateway_orders.clear();
    none.gateway_cancels.clear();
    assert_eq!(config().validate(&none), Err(RiskConfigError::NoGateway(InstrumentId(0))));
}
