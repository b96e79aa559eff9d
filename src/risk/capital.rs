//! Capital: what a strategy's position in an instrument cost, and what its open orders could add to that.

use super::exposure::Exposure;
use crate::types::{Money, Side};

/// What one strategy has at stake in one instrument, in the quote asset: the cost of its position, and what its open
/// orders hold back at their worst prices, unknown ones included. Kept as orders and fills come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capital {
    /// What the position cost; negative of a short one: what it brought.
    pub(super) cost: Money,
    /// What open buys and open sells are worth at their worst prices.
    pub(super) reserved: [Money; 2],
}

impl Capital {
    /// Nothing held, nothing open.
    pub const NONE: Self = Self { cost: Money::ZERO, reserved: [Money::ZERO; 2] };

    /// What open orders of this side hold back went up by so much, or down where negative.
    pub(super) fn reserve(&mut self, side: Side, notional: Money) {
        let [buys, sells] = &mut self.reserved;
        let open = match side {
            Side::Buy => buys,
            Side::Sell => sells,
        };
        *open = open.saturating_add(notional);
    }

    /// What the open quantity cost, or brought.
    #[must_use]
    pub const fn used(&self) -> Money {
        Money(self.cost.0.saturating_abs())
    }

    /// What open orders of this side are worth at their worst prices.
    #[must_use]
    pub const fn open(&self, side: Side) -> Money {
        let [buys, sells] = self.reserved;
        match side {
            Side::Buy => buys,
            Side::Sell => sells,
        }
    }

    /// What open orders could add to what is used, on the worse of the two sides.
    #[must_use]
    pub fn reserved(&self, exposure: &Exposure) -> Money {
        let worst = |side| self.needed(exposure, side, 0, Money::ZERO).unwrap_or(Money(i128::MAX));
        worst(Side::Buy).max(worst(Side::Sell)).saturating_sub(self.used()).max(Money::ZERO)
    }

    /// What the position would have cost if every open order of this side filled, and this quantity and notional more, and
    /// none of the other side did. Closing costs nothing, whatever the price: of what is on its way the
    /// part beyond the position that it closes counts, at the average of all of it. `None` on overflow.
    #[inline(always)]
    #[must_use]
    pub fn needed(&self, exposure: &Exposure, side: Side, quantity: i128, notional: Money) -> Option<Money> {
        let on_its_way = self.open(side).checked_add(notional)?;
        // A change of sign, not a multiplication: those of 128 bits are slow where they are checked.
        let (against, cost) = match side {
            Side::Buy => (exposure.booked().saturating_neg(), self.cost.0),
            Side::Sell => (exposure.booked(), self.cost.0.checked_neg()?),
        };
        if against <= 0 {
            return Money(cost.max(0)).checked_add(on_its_way);
        }
        let total = exposure.open(side).checked_add(quantity)?;
        let opening = total.checked_sub(against)?;
        if opening <= 0 { Some(Money::ZERO) } else { share_up(on_its_way.0, opening, total).map(Money) }
    }
}

/// `amount · part / whole`, rounded up, of numbers that are not negative: divided before it is multiplied.
fn share_up(amount: i128, part: i128, whole: i128) -> Option<i128> {
    let rest = amount.checked_rem(whole)?.checked_mul(part)?;
    let rest = rest.checked_add(whole - 1)?.checked_div(whole)?;
    amount.checked_div(whole)?.checked_mul(part)?.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exposure(booked: i64, buys: i64, sells: i64) -> Exposure {
        let mut exposure = Exposure::NONE;
        exposure.book(if booked < 0 { Side::Sell } else { Side::Buy }, booked.abs());
        exposure.reserve(Side::Buy, 0, buys);
        exposure.reserve(Side::Sell, 0, sells);
        exposure
    }

    fn capital(cost: i128, buys: i128, sells: i128) -> Capital {
        Capital { cost: Money(cost), reserved: [Money(buys), Money(sells)] }
    }

    #[test]
    fn adding_costs_what_is_held_open_and_new() {
        let (held, long) = (exposure(10, 5, 7), capital(1_000, 400, 900));
        assert_eq!(long.needed(&held, Side::Buy, 2, Money(190)), Some(Money(1_590)));
        let (held, short) = (exposure(-10, 5, 7), capital(-1_000, 400, 900));
        assert_eq!(short.needed(&held, Side::Sell, 2, Money(190)), Some(Money(2_090)));
        assert_eq!(capital(0, 0, 0).needed(&exposure(0, 0, 0), Side::Sell, 2, Money(190)), Some(Money(190)));
    }

    #[test]
    fn closing_costs_nothing_whatever_the_price() {
        let (held, long) = (exposure(10, 0, 6), capital(1_000, 0, 60_000));
        assert_eq!(long.needed(&held, Side::Sell, 4, Money(1_000_000)), Some(Money::ZERO));
        let (held, short) = (exposure(-10, 6, 0), capital(-1_000, 60_000, 0));
        assert_eq!(short.needed(&held, Side::Buy, 4, Money(1_000_000)), Some(Money::ZERO));
    }

    #[test]
    fn a_flip_costs_what_it_opens() {
        assert_eq!(capital(1_000, 0, 0).needed(&exposure(10, 0, 0), Side::Sell, 25, Money(2_000)), Some(Money(1_200)));
        // Six of eleven close, of 1,001 in all: 5/11 rounded up.
        assert_eq!(capital(600, 0, 500).needed(&exposure(6, 0, 5), Side::Sell, 6, Money(501)), Some(Money(455)));
        assert_eq!(capital(-600, 500, 0).needed(&exposure(-6, 5, 0), Side::Buy, 6, Money(501)), Some(Money(455)));
    }

    #[test]
    fn what_orders_hold_back_is_the_worse_side() {
        assert_eq!(capital(1_000, 400, 900).reserved(&exposure(10, 4, 9)), Money(400));
        assert_eq!(capital(1_000, 400, 9_000).reserved(&exposure(10, 4, 90)), Money(7_000));
        assert_eq!(capital(1_000, 400, 0).used(), Money(1_000));
        assert_eq!(capital(-1_000, 0, 0).used(), Money(1_000));
        assert_eq!(capital(-1_000, 0, 0).reserved(&exposure(-10, 0, 0)), Money::ZERO);
    }

    #[test]
    fn overflow_is_no_number() {
        let full = capital(i128::MAX, 0, 0);
        assert_eq!(full.needed(&exposure(1, 0, 0), Side::Buy, 1, Money(1)), None);
        assert_eq!(full.reserved(&exposure(1, 0, 0)), Money::ZERO);
        assert_eq!(capital(0, 0, i128::MAX).needed(&exposure(1, 0, 5), Side::Sell, 1, Money(1)), None);
    }
}
