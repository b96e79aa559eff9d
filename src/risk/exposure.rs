//! Exposure as an interval: what is booked, and what open orders may still make of it.

use crate::types::Side;

/// A position that is not proven until every order is: anything from `worst_short` to `worst_long`.
///
/// In quantity units of the instrument, in 128 bits: every order of a full table at the largest quantity fits, so no
/// sum here overflows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exposure {
    booked: i128,
    open: [i128; 2],
}

impl Exposure {
    /// Nothing held, nothing open.
    pub const NONE: Self = Self { booked: 0, open: [0, 0] };

    /// What fills have made of it; negative is short.
    #[must_use]
    pub const fn booked(&self) -> i128 {
        self.booked
    }

    /// What open orders of this side may still fill.
    #[must_use]
    pub const fn open(&self, side: Side) -> i128 {
        let [buys, sells] = self.open;
        match side {
            Side::Buy => buys,
            Side::Sell => sells,
        }
    }

    /// The position if every open buy fills and no sell does.
    #[must_use]
    pub const fn worst_long(&self) -> i128 {
        self.booked + self.open(Side::Buy)
    }

    /// The position if every open sell fills and no buy does.
    #[must_use]
    pub const fn worst_short(&self) -> i128 {
        self.booked - self.open(Side::Sell)
    }

    /// The end of the interval that an order of this side moves, as a size: how far long a buy, how far short a sell.
    #[must_use]
    pub const fn worst(&self, side: Side) -> i128 {
        match side {
            Side::Buy => self.worst_long(),
            Side::Sell => self.open(Side::Sell) - self.booked,
        }
    }

    /// A fill of `quantity`.
    pub(super) fn book(&mut self, side: Side, quantity: i64) {
        self.booked += i128::from(quantity) * i128::from(side.sign());
    }

    /// So much more may fill on this side.
    pub(super) fn add(&mut self, side: Side, quantity: i128) {
        let [buys, sells] = &mut self.open;
        let open = match side {
            Side::Buy => buys,
            Side::Sell => sells,
        };
        *open += quantity;
    }

    /// What one order may still fill went from `before` to `after`.
    pub(super) fn reserve(&mut self, side: Side, before: i64, after: i64) {
        self.add(side, i128::from(after) - i128::from(before));
    }
}
