//! What a venue lets us ask: one ledger for an account and its address, shared by all that send there.
//!
//! The venue counts the weight of requests by address in each minute, and new orders by account in each ten seconds. The
//! ledger counts what is sent, and takes over what the venue says it has counted where that is more: others may use the
//! same address. As a limit comes near, what is least urgent stops first; the last part is left to cancels.
//!
//! A refusal for too many requests stops its whole class until the venue's instant: too much weight stops everything,
//! too many orders stops orders. A ban stops everything too, over restarts: [`Budget::banned_until`] is to be kept.
//!
//! Windows are by our own clock, so that near a window's end the ledger is off by what the two clocks differ.

use crate::types::Timestamp;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long the venue counts weight.
const WEIGHT_WINDOW_NS: u64 = 60_000_000_000;
/// How long it counts orders.
const ORDERS_WINDOW_NS: u64 = 10_000_000_000;
/// The shortest ban there is, for one that does not say how long it is.
const BAN_MIN_NS: u64 = 120_000_000_000;

/// How badly something must be sent: from what waits first to what never should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// A look at whether everything is as we think.
    Background,
    /// What is to be known before trading can go on.
    Query,
    /// A new order.
    Order,
    /// A cancel.
    Cancel,
}

impl Urgency {
    /// The percentage of a limit up to which it is sent.
    const fn share(self) -> u64 {
        match self {
            Self::Background => 50,
            Self::Query => 80,
            Self::Order => 90,
            Self::Cancel => 100,
        }
    }
}

/// What the venue allows, as it describes itself; zero where it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetLimits {
    /// Request weight in a minute.
    pub weight: u32,
    /// New orders in ten seconds.
    pub orders: u32,
}

/// What is used of it, in the running windows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BudgetUse {
    /// Request weight.
    pub weight: u32,
    /// New orders.
    pub orders: u32,
}

/// The ledger. Readers and writers are on several threads; nobody waits.
#[derive(Debug, Default)]
pub struct Budget {
    weight_limit: AtomicU32,
    order_limit: AtomicU32,
    weight: Window<WEIGHT_WINDOW_NS>,
    orders: Window<ORDERS_WINDOW_NS>,
    weight_stopped_until: AtomicU64,
    orders_stopped_until: AtomicU64,
    banned_until: AtomicU64,
}

impl Budget {
    /// A ledger without limits, until they are learned. `banned_until` is what an earlier run was told.
    #[must_use]
    pub fn new(banned_until: Timestamp) -> Self {
        Self { banned_until: AtomicU64::new(banned_until.nanos()), ..Self::default() }
    }

    /// Takes over what the venue says of its limits; what it does not say stays.
    pub fn learn(&self, limits: BudgetLimits) {
        for (known, said) in [(&self.weight_limit, limits.weight), (&self.order_limit, limits.orders)] {
            if said != 0 {
                known.store(said, Ordering::Relaxed);
            }
        }
    }

    /// The limits, as far as they are known.
    #[must_use]
    pub fn limits(&self) -> BudgetLimits {
        BudgetLimits {
            weight: self.weight_limit.load(Ordering::Relaxed),
            orders: self.order_limit.load(Ordering::Relaxed),
        }
    }

    /// What is used.
    #[must_use]
    pub fn used(&self, now: Timestamp) -> BudgetUse {
        BudgetUse { weight: self.weight.used(now), orders: self.orders.used(now) }
    }

    /// Whether something of this weight may be sent.
    #[inline]
    #[must_use]
    pub fn permits(&self, urgency: Urgency, weight: u32, now: Timestamp) -> bool {
        if now < self.quiet_until(urgency) {
            return false;
        }
        let limits = self.limits();
        let fits = |used: u32, more: u32, limit: u32| {
            limit == 0 || (u64::from(used) + u64::from(more)) * 100 <= u64::from(limit) * urgency.share()
        };
        // The share is for weight; orders have no other use, so that they may have all of their own limit.
        fits(self.weight.used(now), weight, limits.weight)
            && (urgency != Urgency::Order || limits.orders == 0 || self.orders.used(now) < limits.orders)
    }

    /// Counts a request that is sent.
    #[inline]
    pub fn charge(&self, weight: u32, now: Timestamp) {
        self.weight.add(now, weight);
    }

    /// Counts a new order that is sent, besides its weight.
    #[inline]
    pub fn charge_order(&self, now: Timestamp) {
        self.orders.add(now, 1);
    }

    /// Takes over what the venue has counted; zero where it does not say.
    pub fn observe(&self, used: BudgetUse, now: Timestamp) {
        self.weight.raise(now, used.weight);
        self.orders.raise(now, used.orders);
    }

    /// The venue refused as there was too much weight: nothing is sent until then, or until the minute ends.
    pub fn stop(&self, until: Option<Timestamp>, now: Timestamp) {
        let until = until.unwrap_or_else(|| Window::<WEIGHT_WINDOW_NS>::end(now));
        self.weight_stopped_until.fetch_max(until.nanos(), Ordering::Relaxed);
    }

    /// The venue refused as there were too many orders: none is sent until then, or until the ten seconds end.
    pub fn stop_orders(&self, until: Option<Timestamp>, now: Timestamp) {
        let until = until.unwrap_or_else(|| Window::<ORDERS_WINDOW_NS>::end(now));
        self.orders_stopped_until.fetch_max(until.nanos(), Ordering::Relaxed);
    }

    /// The venue has banned the address: nothing is sent until then, or for the shortest time of a ban.
    pub fn ban(&self, until: Option<Timestamp>, now: Timestamp) {
        let until = until.unwrap_or_else(|| now.plus(BAN_MIN_NS));
        self.banned_until.fetch_max(until.nanos(), Ordering::Relaxed);
    }

    /// Until when the venue has banned the address; in the past, or unknown, where it has not.
    #[must_use]
    pub fn banned_until(&self) -> Timestamp {
        Timestamp::from_nanos(self.banned_until.load(Ordering::Relaxed))
    }

    /// Until when nothing of this urgency is sent, as the venue wants it.
    #[inline]
    #[must_use]
    pub fn quiet_until(&self, urgency: Urgency) -> Timestamp {
        let orders = if urgency == Urgency::Order { self.orders_stopped_until.load(Ordering::Relaxed) } else { 0 };
        let all = self.weight_stopped_until.load(Ordering::Relaxed).max(self.banned_until.load(Ordering::Relaxed));
        Timestamp::from_nanos(all.max(orders))
    }
}

/// A count that begins anew every so many ns: the number of the window in the upper half, the count in the lower.
#[derive(Debug, Default)]
struct Window<const LENGTH_NS: u64>(AtomicU64);

impl<const LENGTH_NS: u64> Window<LENGTH_NS> {
    fn number(now: Timestamp) -> u64 {
        (now.nanos() / LENGTH_NS) & u64::from(u32::MAX)
    }

    fn end(now: Timestamp) -> Timestamp {
        Timestamp::from_nanos((now.nanos() / LENGTH_NS).saturating_add(1).saturating_mul(LENGTH_NS))
    }

    fn count(word: u64, now: Timestamp) -> u32 {
        if word >> 32 == Self::number(now) { u32::try_from(word & u64::from(u32::MAX)).unwrap_or(u32::MAX) } else { 0 }
    }

    #[inline]
    fn used(&self, now: Timestamp) -> u32 {
        Self::count(self.0.load(Ordering::Relaxed), now)
    }

    #[inline]
    fn update(&self, now: Timestamp, change: impl Fn(u32) -> u32) {
        let next = |word| Some(Self::number(now) << 32 | u64::from(change(Self::count(word, now))));
        // Never refused: the closure always has a next value.
        let _ = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
    }

    #[inline]
    fn add(&self, now: Timestamp, more: u32) {
        self.update(now, |count| count.saturating_add(more));
    }

    fn raise(&self, now: Timestamp, to: u32) {
        self.update(now, |count| count.max(to));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: BudgetLimits = BudgetLimits { weight: 1_000, orders: 10 };

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_700_000_040_000 + millis)
    }

    fn budget() -> Budget {
        let budget = Budget::new(Timestamp::UNKNOWN);
        budget.learn(LIMITS);
        budget
    }

    #[test]
    fn the_least_urgent_stops_first_and_the_rest_is_for_cancels() {
        let budget = budget();
        for (urgency, most) in
            [(Urgency::Background, 500), (Urgency::Query, 800), (Urgency::Order, 900), (Urgency::Cancel, 1_000)]
        {
            budget.observe(BudgetUse { weight: most - 1, orders: 0 }, at(0));
            assert!(budget.permits(urgency, 1, at(1)), "{urgency:?}");
            budget.charge(1, at(2));
            assert!(!budget.permits(urgency, 1, at(3)), "{urgency:?}");
        }
        assert_eq!(budget.used(at(4)).weight, 1_000);
        // The next minute is a new one.
        assert!(budget.permits(Urgency::Background, 500, at(60_000)));
        assert_eq!(budget.used(at(60_000)).weight, 0);
    }

    #[test]
    fn what_is_not_known_limits_nothing_and_what_is_not_said_changes_nothing() {
        let budget = Budget::new(Timestamp::UNKNOWN);
        budget.charge(u32::MAX, at(0));
        assert!(budget.permits(Urgency::Background, u32::MAX, at(0)));
        budget.learn(LIMITS);
        budget.learn(BudgetLimits { weight: 0, orders: 20 });
        assert_eq!(budget.limits(), BudgetLimits { weight: 1_000, orders: 20 });
        budget.observe(BudgetUse::default(), at(0));
        assert_eq!(budget.used(at(0)).weight, u32::MAX);
    }

    #[test]
    fn orders_are_counted_in_ten_seconds() {
        let budget = budget();
        for _ in 0..10 {
            assert!(budget.permits(Urgency::Order, 1, at(0)));
            budget.charge_order(at(0));
        }
        assert!(!budget.permits(Urgency::Order, 1, at(9_999)) && budget.permits(Urgency::Cancel, 1, at(9_999)));
        assert!(budget.permits(Urgency::Order, 1, at(10_000)));
        budget.observe(BudgetUse { weight: 0, orders: 10 }, at(10_001));
        assert!(!budget.permits(Urgency::Order, 1, at(10_002)));
    }

    #[test]
    fn too_much_stops_its_class_and_a_ban_everything() {
        let budget = budget();
        budget.stop_orders(None, at(1));
        assert!(!budget.permits(Urgency::Order, 1, at(9_999)) && budget.permits(Urgency::Cancel, 1, at(1)));
        assert!(budget.permits(Urgency::Order, 1, at(10_000)));
        budget.stop(None, at(10_001));
        assert!(!budget.permits(Urgency::Cancel, 1, at(59_999)) && budget.permits(Urgency::Cancel, 1, at(60_000)));
        budget.stop(Some(at(90_000)), at(60_001));
        budget.stop(Some(at(70_000)), at(60_002));
        assert!(!budget.permits(Urgency::Cancel, 1, at(89_999)) && budget.permits(Urgency::Cancel, 1, at(90_000)));
        budget.ban(None, at(100_000));
        assert_eq!(budget.banned_until(), at(220_000));
        assert!(!Budget::new(budget.banned_until()).permits(Urgency::Cancel, 0, at(219_999)));
        assert!(Budget::new(budget.banned_until()).permits(Urgency::Cancel, 0, at(220_000)));
    }
}
