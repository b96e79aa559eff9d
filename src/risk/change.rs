//! C40: what a change of limits raises. Cold: asked before a table is sent to risk, never on an order's way.

use super::limits::{AccountLimits, InstrumentLimits, Limits, LimitsTable, MarketOrders, Restriction, StrategyLimits};
use crate::types::DenialReason;
use std::fmt;

/// One limit that a new table raises, and why that may not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raise {
    /// Which list of the table: permissions, instruments, strategies, accounts.
    pub list: &'static str,
    /// The place in it.
    pub index: usize,
    /// The limit's name in the table.
    pub name: &'static str,
    /// What it was.
    pub before: i128,
    /// What it would be.
    pub after: i128,
    /// Whether it is by more than the allowed factor, which no number of people may do at once; otherwise it only lacks
    /// a second person.
    pub is_too_large: bool,
}

impl Raise {
    /// Why it may not be.
    pub const REASON: DenialReason = DenialReason::ConfigChangeTooLarge;
}

impl fmt::Display for Raise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { list, index, name, before, after, is_too_large } = self;
        let why = if *is_too_large { "by more than the allowed factor" } else { "needs a second person" };
        write!(f, "{}: {list}[{index}].{name} from {before} to {after} {why}", Self::REASON)
    }
}

/// A limit, and which way it is raised.
#[derive(Clone, Copy)]
enum Figure {
    /// More allows more.
    More(i128),
    /// Less allows more: the windows in which something is remembered.
    Less(i128),
    /// A larger number allows more, but its size means nothing.
    Rank(i128),
}

use Figure::{Less, More, Rank};

impl Figure {
    const fn value(self) -> i128 {
        match self {
            More(value) | Less(value) | Rank(value) => value,
        }
    }

    /// Whether the new figure allows more, and whether by more than the factor. Where nothing was configured, which
    /// denied, whatever comes is a raise, and there is nothing for a factor to be of.
    fn raise(self, before: i128, factor: u32) -> Option<bool> {
        let (after, factor) = (self.value(), i128::from(factor));
        match self {
            Rank(_) => (after > before).then_some(false),
            More(_) if after > before => Some(before > 0 && after > before.saturating_mul(factor)),
            Less(_) if after > 0 && (before <= 0 || after < before) => {
                Some(before > 0 && before > after.saturating_mul(factor))
            }
            More(_) | Less(_) => None,
        }
    }
}

impl LimitsTable {
    /// What of a new table may not be put in place of this one: whatever it raises by more than `factor`, and, unless
    /// two people have confirmed it, whatever it raises at all. Lowering is for anybody. Empty: the change may be made.
    #[must_use]
    pub fn check_change(&self, new: &Self, factor: u32, is_confirmed_by_two: bool) -> Vec<Raise> {
        let mut raises = Vec::new();
        let mut compare = |list, index, before: &[(&'static str, Figure)], after: &[(&'static str, Figure)]| {
            for ((name, before), (_, after)) in before.iter().zip(after) {
                let before = before.value();
                let Some(is_too_large) = after.raise(before, factor) else { continue };
                if is_too_large || !is_confirmed_by_two {
                    raises.push(Raise { list, index, name, before, after: after.value(), is_too_large });
                }
            }
        };
        for (index, after) in new.permissions.iter().enumerate() {
            let before = self.permissions.get(index).unwrap_or(&Limits::NONE);
            compare("permissions", index, &of_permission(before), &of_permission(after));
        }
        for (index, after) in new.instruments.iter().enumerate() {
            let before = self.instruments.get(index).unwrap_or(&InstrumentLimits::NONE);
            compare("instruments", index, &of_instrument(before), &of_instrument(after));
        }
        for (index, after) in new.strategies.iter().enumerate() {
            let before = self.strategies.get(index).unwrap_or(&StrategyLimits::NONE);
            compare("strategies", index, &of_strategy(before), &of_strategy(after));
        }
        for (index, after) in new.accounts.iter().enumerate() {
            let before = self.accounts.get(index).unwrap_or(&AccountLimits::NONE);
            compare("accounts", index, &of_account(before), &of_account(after));
        }
        raises
    }
}

// The structs are taken apart by name, so that a limit that is added and not listed here does not compile.

fn of_permission(limits: &Limits) -> Vec<(&'static str, Figure)> {
    let Limits { max_order_quantity, max_order_notional, max_position, allocation } = *limits;
    vec![
        ("max_order_quantity", More(max_order_quantity.0.into())),
        ("max_order_notional", More(max_order_notional.0)),
        ("max_position", More(max_position.0.into())),
        ("allocation", More(allocation.0)),
    ]
}

fn of_instrument(limits: &InstrumentLimits) -> Vec<(&'static str, Figure)> {
    let InstrumentLimits {
        restriction,
        max_data_age_ns,
        collar_bps,
        passive_collar_bps,
        max_slippage_bps,
        max_drift_bps,
        drift_window_ns,
        market_orders,
        max_depth_share_bps,
        max_volume_share_bps,
        max_position,
        max_open_orders,
        max_resting_notional,
        rate,
    } = *limits;
    let may = |side, is_restricted: bool| (side, Rank(i128::from(!is_restricted)));
    vec![
        may("restriction of buys", matches!(restriction, Restriction::Buys | Restriction::Both)),
        may("restriction of sells", matches!(restriction, Restriction::Sells | Restriction::Both)),
        ("max_data_age_ns", More(max_data_age_ns.into())),
        ("collar_bps", More(collar_bps.into())),
        ("passive_collar_bps", More(passive_collar_bps.into())),
        ("max_slippage_bps", More(max_slippage_bps.into())),
        ("max_drift_bps", More(max_drift_bps.into())),
        ("drift_window_ns", Less(drift_window_ns.into())),
        (
            "market_orders",
            Rank(match market_orders {
                MarketOrders::Deny => 0,
                MarketOrders::Protect => 1,
                MarketOrders::Allow => 2,
            }),
        ),
        ("max_depth_share_bps", More(max_depth_share_bps.into())),
        ("max_volume_share_bps", More(max_volume_share_bps.into())),
        ("max_position", More(max_position.0.into())),
        ("max_open_orders", More(max_open_orders.into())),
        ("max_resting_notional", More(max_resting_notional.0)),
        ("rate.per_second", More(rate.per_second.into())),
        ("rate.burst", More(rate.burst.into())),
        ("rate.cancel_reserve", Rank(-i128::from(rate.cancel_reserve))),
    ]
}

fn of_strategy(limits: &StrategyLimits) -> Vec<(&'static str, Figure)> {
    let StrategyLimits {
        duplicate_window_ns,
        max_duplicates,
        max_open_orders,
        max_turnover,
        turnover_window_ns,
        max_daily_turnover,
        max_daily_loss,
        max_drawdown,
        rate,
        max_repeat_executions,
        ratio_window_ns,
        alert_order_to_trade,
        max_order_to_trade,
        free_messages,
        max_rejects,
        reject_window_ns,
        max_fills_per_second,
        max_fill_slippage_bps,
        max_lag_ns,
    } = *limits;
    vec![
        ("duplicate_window_ns", Less(duplicate_window_ns.into())),
        ("max_duplicates", More(max_duplicates.into())),
        ("max_open_orders", More(max_open_orders.into())),
        ("max_turnover", More(max_turnover.0)),
        ("turnover_window_ns", Less(turnover_window_ns.into())),
        ("max_daily_turnover", More(max_daily_turnover.0)),
        ("max_daily_loss", More(max_daily_loss.0)),
        ("max_drawdown", More(max_drawdown.0)),
        ("rate.per_second", More(rate.per_second.into())),
        ("rate.burst", More(rate.burst.into())),
        ("rate.cancel_reserve", Rank(-i128::from(rate.cancel_reserve))),
        ("max_repeat_executions", More(max_repeat_executions.into())),
        ("ratio_window_ns", Less(ratio_window_ns.into())),
        ("alert_order_to_trade", More(alert_order_to_trade.into())),
        ("max_order_to_trade", More(max_order_to_trade.into())),
        ("free_messages", More(free_messages.into())),
        ("max_rejects", More(max_rejects.into())),
        ("reject_window_ns", Less(reject_window_ns.into())),
        ("max_fills_per_second", More(max_fills_per_second.into())),
        ("max_fill_slippage_bps", More(max_fill_slippage_bps.into())),
        ("max_lag_ns", More(max_lag_ns.into())),
    ]
}

fn of_account(limits: &AccountLimits) -> Vec<(&'static str, Figure)> {
    let AccountLimits {
        max_gross,
        max_net,
        max_rate_age_ns,
        max_open_orders,
        rate,
        max_budget_percent,
        // Either way the new order is denied.
        self_trade: _,
        max_rejects,
        reject_window_ns,
        max_unknown,
        max_unknown_age_ns,
        max_clock_skew_ns,
    } = *limits;
    vec![
        ("max_gross", More(max_gross.0)),
        ("max_net", More(max_net.0)),
        ("max_rate_age_ns", More(max_rate_age_ns.into())),
        ("max_open_orders", More(max_open_orders.into())),
        ("rate.per_second", More(rate.per_second.into())),
        ("rate.burst", More(rate.burst.into())),
        ("rate.cancel_reserve", Rank(-i128::from(rate.cancel_reserve))),
        ("max_budget_percent", More(max_budget_percent.into())),
        ("max_rejects", More(max_rejects.into())),
        ("reject_window_ns", Less(reject_window_ns.into())),
        ("max_unknown", More(max_unknown.into())),
        ("max_unknown_age_ns", More(max_unknown_age_ns.into())),
        ("max_clock_skew_ns", More(max_clock_skew_ns.into())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::wide;
    use crate::types::{Money, Quantity};

    fn table() -> LimitsTable {
        let limits = Limits { max_order_quantity: Quantity(100), ..wide::LIMITS };
        LimitsTable {
            permissions: vec![limits; 2],
            instruments: vec![wide::INSTRUMENT],
            strategies: vec![StrategyLimits { max_rejects: 10, reject_window_ns: 1_000, ..wide::STRATEGY }],
            accounts: vec![wide::ACCOUNT],
            version: 1,
        }
    }

    fn check(change: impl Fn(&mut LimitsTable), is_confirmed_by_two: bool) -> Vec<(&'static str, usize, bool)> {
        let (old, mut new) = (table(), table());
        change(&mut new);
        let raises = old.check_change(&new, 10, is_confirmed_by_two);
        raises.iter().map(|raise| (raise.name, raise.index, raise.is_too_large)).collect()
    }

    #[test]
    fn a_raise_needs_two_people_and_keeps_to_the_factor() {
        let quantity =
            |quantity| move |new: &mut LimitsTable| new.permissions[1].max_order_quantity = Quantity(quantity);
        let name = "max_order_quantity";
        for (after, by_one, by_two) in [
            (0, None, None),
            (99, None, None),
            (100, None, None),
            (101, Some(false), None),
            (1_000, Some(false), None),
            (1_001, Some(true), Some(true)),
            (i64::MAX, Some(true), Some(true)),
        ] {
            let expected =
                |raise: Option<bool>| raise.map(|is_too_large| (name, 1, is_too_large)).into_iter().collect::<Vec<_>>();
            assert_eq!(check(quantity(after), false), expected(by_one), "{after}");
            assert_eq!(check(quantity(after), true), expected(by_two), "{after}");
        }
    }

    #[test]
    fn what_was_not_configured_may_become_anything_by_two_people() {
        let mut old = table();
        old.permissions[0].max_position = Quantity::ZERO;
        let raises = |is_confirmed| old.check_change(&table(), 10, is_confirmed).len();
        assert_eq!((raises(false), raises(true)), (1, 0));
        let none = LimitsTable::default();
        assert!(none.check_change(&table(), 10, false).len() > 40, "every limit there is");
        assert_eq!(none.check_change(&table(), 10, true), []);
        assert_eq!(table().check_change(&none, 10, false), [], "to take limits away denies");
    }

    #[test]
    fn shorter_memories_and_looser_policies_are_raises_too() {
        let window = |window| move |new: &mut LimitsTable| new.strategies[0].reject_window_ns = window;
        assert_eq!(check(window(2_000), false), []);
        assert_eq!(check(window(999), false), [("reject_window_ns", 0, false)]);
        assert_eq!(check(window(100), true), []);
        assert_eq!(check(window(99), true), [("reject_window_ns", 0, true)]);
        assert_eq!(check(window(0), false), [], "not configured: denies");
        let (mut old, mut new) = (table(), table());
        old.instruments[0].restriction = Restriction::Buys;
        new.instruments[0].restriction = Restriction::Sells;
        old.instruments[0].market_orders = MarketOrders::Deny;
        new.accounts[0].rate.cancel_reserve = 0;
        let names: Vec<_> = old.check_change(&new, 10, false).iter().map(|raise| raise.name).collect();
        assert_eq!(names, ["restriction of buys", "market_orders", "rate.cancel_reserve"]);
        assert_eq!(old.check_change(&new, 10, true), []);
    }

    #[test]
    fn a_raise_says_what_it_is() {
        let (mut old, mut new) = (table(), table());
        old.accounts[0].max_gross = Money(5);
        new.accounts[0].max_gross = Money(55);
        let said: Vec<String> = old.check_change(&new, 10, true).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["CONFIG_CHANGE_TOO_LARGE: accounts[0].max_gross from 5 to 55 by more than the allowed factor"]
        );
    }
}
