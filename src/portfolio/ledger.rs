//! What one account holds of each asset.

use super::{BookError, Fill};
use crate::types::{AssetId, Instrument, Money};

/// What one asset began with and how fills and fees changed it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Balance {
    start: Money,
    change: Money,
}

/// The balances of one account, by asset: what the venue said at the start, and the changes since, each exact.
///
/// At the end of a session `balance` equals the venue's own figure to the last unit, or a fill was missed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    balances: Vec<Balance>,
    fees_elsewhere: u64,
}

impl Ledger {
    /// An empty account in `asset_count` assets. The number is fixed from here on.
    #[must_use]
    pub fn new(asset_count: usize) -> Self {
        Self { balances: vec![Balance::default(); asset_count], fees_elsewhere: 0 }
    }

    /// States what the venue says the account began with. Unknown assets are passed over: nothing here is paid in them.
    pub fn start_with(&mut self, asset: AssetId, amount: Money) {
        if let Some(balance) = self.balances.get_mut(asset.index()) {
            balance.start = amount;
        }
    }

    /// Books a fill: base against quote, and the fee.
    ///
    /// # Errors
    /// [`BookError`], and no balance was changed.
    pub fn book(&mut self, fill: &Fill, instrument: &Instrument) -> Result<(), BookError> {
        if fill.quantity.0 <= 0 || fill.price.0 <= 0 {
            return Err(BookError::NotAFill);
        }
        let [base, quote] = Self::legs(fill, instrument).ok_or(BookError::Overflow)?;
        let minus_fee = fill.fee.0.checked_neg().map(Money).ok_or(BookError::Overflow)?;
        let entries = [(instrument.base, base), (instrument.quote, quote), (fill.fee_asset, minus_fee)];
        for (done, &(asset, amount)) in entries.iter().enumerate() {
            if self.add(asset, amount).is_none() {
                for &(asset, amount) in entries.iter().take(done) {
                    // What was just added fits when it is taken back.
                    self.add(asset, Money(amount.0.saturating_neg()));
                }
                return Err(BookError::Overflow);
            }
        }
        if fill.fee != Money::ZERO && self.balances.get(fill.fee_asset.index()).is_none() {
            self.fees_elsewhere = self.fees_elsewhere.saturating_add(1);
        }
        Ok(())
    }

    /// What the fill adds to base and quote.
    fn legs(fill: &Fill, instrument: &Instrument) -> Option<[Money; 2]> {
        let signed = fill.quantity.0.checked_mul(fill.side.sign())?;
        let base = Money::from_scaled(signed, instrument.quantity_precision)?;
        let cost = instrument.notional(fill.price, crate::types::Quantity(signed))?;
        Some([base, Money(cost.0.checked_neg()?)])
    }

    /// Adds to an asset's change; an asset that is not of this run takes anything.
    fn add(&mut self, asset: AssetId, amount: Money) -> Option<()> {
        if let Some(balance) = self.balances.get_mut(asset.index()) {
            let change = balance.change.checked_add(amount)?;
            balance.start.checked_add(change)?;
            balance.change = change;
        }
        Some(())
    }

    /// How fills and fees changed an asset so far.
    #[must_use]
    pub fn change(&self, asset: AssetId) -> Money {
        self.balances.get(asset.index()).map_or(Money::ZERO, |balance| balance.change)
    }

    /// What the account holds of an asset now.
    #[must_use]
    pub fn balance(&self, asset: AssetId) -> Money {
        self.balances.get(asset.index()).map_or(Money::ZERO, |balance| balance.start.saturating_add(balance.change))
    }

    /// Fees that were paid in assets this run does not know; they are in no balance.
    #[must_use]
    pub const fn fees_elsewhere(&self) -> u64 {
        self.fees_elsewhere
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{btcusdt, fill};
    use super::*;
    use crate::types::Side;
    use proptest::prelude::*;
    use rust_decimal::Decimal;

    proptest! {
        #[test]
        fn balances_equal_decimal_arithmetic(
            steps in proptest::collection::vec((any::<bool>(), 1..10_000_000i64, 1..1_000_000i64, 0..100_000i64, 0..4u16), 1..50),
        ) {
            let instrument = btcusdt();
            let mut ledger = Ledger::new(3);
            ledger.start_with(instrument.quote, Money::from_scaled(1_000, 0).expect("fits"));
            let mut expected = [Decimal::ZERO, Decimal::from(1_000), Decimal::ZERO];
            for (is_buy, price, quantity, fee, fee_asset) in steps {
                let side = if is_buy { Side::Buy } else { Side::Sell };
                let fee_money = Money::from_scaled(fee, 8).expect("fits");
                let fill = Fill { fee: fee_money, fee_asset: AssetId(fee_asset), ..fill(side, price, quantity) };
                ledger.book(&fill, &instrument).expect("fits");
                let signed = Decimal::new(quantity * side.sign(), 5);
                expected[0] += signed;
                expected[1] -= signed * Decimal::new(price, 2);
                if let Some(balance) = expected.get_mut(usize::from(fee_asset)) {
                    *balance -= Decimal::new(fee, 8);
                }
            }
            for (asset, expected) in (0..).zip(expected) {
                prop_assert_eq!(ledger.balance(AssetId(asset)).to_decimal_string(), expected.normalize().to_string());
            }
        }
    }

    #[test]
    fn an_overflow_changes_nothing() {
        let instrument = btcusdt();
        let mut ledger = Ledger::new(2);
        ledger.start_with(instrument.base, Money(i128::MAX));
        let before = ledger.clone();
        assert_eq!(ledger.book(&fill(Side::Buy, 1, 1), &instrument), Err(BookError::Overflow));
        assert_eq!(ledger, before);
        let mut ledger = Ledger::new(2);
        ledger.start_with(instrument.quote, Money(i128::MAX));
        let before = ledger.clone();
        assert_eq!(ledger.book(&fill(Side::Sell, 1, 1), &instrument), Err(BookError::Overflow));
        assert_eq!(ledger, before);
    }

    #[test]
    fn a_fee_in_an_unknown_asset_is_counted() {
        let instrument = btcusdt();
        let mut ledger = Ledger::new(2);
        let fill = Fill { fee: Money(1), fee_asset: AssetId::NONE, ..fill(Side::Buy, 1, 1) };
        ledger.book(&fill, &instrument).expect("fits");
        assert_eq!(ledger.fees_elsewhere(), 1);
    }
}
