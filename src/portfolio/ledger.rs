//! What an account holds of each asset.

use super::{BookError, Fill};
use crate::types::binary::binary_struct;
use crate::types::{AssetId, Instrument, Money, Quantity};

/// What one asset began with, how trading and transfers changed it, and what of it is spoken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Balance {
    start: Money,
    change: Money,
    transferred: Money,
    fees: Money,
    reserved: Money,
}

impl Balance {
    fn total(&self) -> Option<Money> {
        self.start.checked_add(self.change)?.checked_add(self.transferred)
    }
}

/// What a fill moves: base against quote, and the fee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entries {
    base: (AssetId, Money),
    quote: (AssetId, Money),
    fee: (AssetId, Money),
}

impl Entries {
    /// What `fill` moves.
    ///
    /// # Errors
    /// [`BookError`].
    pub fn of(fill: &Fill, instrument: &Instrument) -> Result<Self, BookError> {
        if fill.quantity.0 <= 0 || fill.price.0 <= 0 {
            return Err(BookError::NotAFill);
        }
        let legs = || {
            let signed = fill.quantity.0.checked_mul(fill.side.sign())?;
            let base = Money::from_scaled(signed, instrument.quantity_precision)?;
            let cost = instrument.notional(fill.price, Quantity(signed))?;
            Some((base, Money(cost.0.checked_neg()?), Money(fill.fee.0.checked_neg()?)))
        };
        let (base, quote, fee) = legs().ok_or(BookError::Overflow)?;
        Ok(Self { base: (instrument.base, base), quote: (instrument.quote, quote), fee: (fill.fee_asset, fee) })
    }

    const fn list(&self) -> [(AssetId, Money); 3] {
        [self.base, self.quote, self.fee]
    }
}

/// What must survive of the balance of one asset: all but what open orders may take of it, which they tell themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BalanceFacts {
    /// Of which asset.
    pub asset: AssetId,
    /// What it began with.
    pub start: Money,
    /// How fills, fees and funding changed it.
    pub change: Money,
    /// What came, or left where negative, other than by trading.
    pub transferred: Money,
    /// Fees paid in it.
    pub fees: Money,
}

/// What must survive of a [`Ledger`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerFacts {
    /// By asset; of assets that are not listed nothing is known.
    pub balances: Vec<BalanceFacts>,
    /// See [`Ledger::fees_elsewhere`].
    pub fees_elsewhere: u64,
}

binary_struct! {
    BalanceFacts { asset, start, change, transferred, fees }
    LedgerFacts { balances, fees_elsewhere }
}

/// The balances of one account, or of one strategy's part of it, by asset: what the venue said at the start, and the
/// changes since, each exact.
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

    /// What must survive.
    #[must_use]
    pub fn facts(&self) -> LedgerFacts {
        let balances = (0..).map(AssetId).zip(&self.balances).map(|(asset, balance)| {
            let Balance { start, change, transferred, fees, .. } = *balance;
            BalanceFacts { asset, start, change, transferred, fees }
        });
        LedgerFacts { balances: balances.collect(), fees_elsewhere: self.fees_elsewhere }
    }

    /// Adds what survived of a ledger; what it began with is put in place of what is stated here. What is of an asset that
    /// this ledger does not know is passed over.
    ///
    /// # Errors
    /// [`BookError::Overflow`]; some of it may have been added.
    pub fn restore(&mut self, facts: &LedgerFacts) -> Result<(), BookError> {
        for facts in &facts.balances {
            let Some(balance) = self.balances.get_mut(facts.asset.index()) else { continue };
            let sum = |own: Money, more| own.checked_add(more).ok_or(BookError::Overflow);
            balance.start = facts.start;
            balance.change = sum(balance.change, facts.change)?;
            balance.transferred = sum(balance.transferred, facts.transferred)?;
            balance.fees = sum(balance.fees, facts.fees)?;
        }
        self.fees_elsewhere = self.fees_elsewhere.saturating_add(facts.fees_elsewhere);
        Ok(())
    }

    /// States what the venue says the account began with. Unknown assets are passed over: nothing here is paid in them.
    pub fn start_with(&mut self, asset: AssetId, amount: Money) {
        if let Some(balance) = self.balances.get_mut(asset.index()) {
            balance.start = amount;
        }
    }

    /// States what the account holds now, as the venue says: what it began with is what all changes since leave of that.
    /// Where that overflows nothing is changed.
    pub fn begin_with(&mut self, asset: AssetId, total: Money) {
        if let Some(balance) = self.balances.get_mut(asset.index())
            && let Some(start) =
                total.checked_sub(balance.change).and_then(|rest| rest.checked_sub(balance.transferred))
        {
            balance.start = start;
        }
    }

    /// Books a fill.
    ///
    /// # Errors
    /// [`BookError`], and no balance was changed.
    pub fn book(&mut self, fill: &Fill, instrument: &Instrument) -> Result<(), BookError> {
        let entries = Entries::of(fill, instrument)?;
        if !self.fits(&entries) {
            return Err(BookError::Overflow);
        }
        self.add(&entries);
        Ok(())
    }

    /// Whether all three entries can be added, in whatever assets they are.
    #[must_use]
    pub fn fits(&self, entries: &Entries) -> bool {
        let list = entries.list();
        let sum = || list.iter().try_fold(0i128, |sum, (_, amount)| sum.checked_add(amount.0.checked_abs()?));
        let Some(sum) = sum() else { return false };
        list.iter().filter_map(|(asset, _)| self.balances.get(asset.index())).all(|balance| {
            let parts = [Some(balance.change), balance.total(), Some(balance.fees)];
            parts.iter().all(|part| part.and_then(|part| part.0.checked_abs()?.checked_add(sum)).is_some())
        })
    }

    /// Adds entries that fit. What is of an asset that is not of this run is in no balance; such fees are counted.
    pub fn add(&mut self, entries: &Entries) {
        for (asset, amount) in entries.list() {
            if let Some(balance) = self.balances.get_mut(asset.index()) {
                balance.change = balance.change.saturating_add(amount);
            }
        }
        let (asset, amount) = entries.fee;
        match self.balances.get_mut(asset.index()) {
            Some(balance) => balance.fees = balance.fees.saturating_sub(amount),
            None if amount != Money::ZERO => self.fees_elsewhere = self.fees_elsewhere.saturating_add(1),
            None => {}
        }
    }

    /// Books a payment that is part of trading but no fill (funding): received, or paid where negative.
    ///
    /// # Errors
    /// [`BookError::Overflow`], and nothing was changed.
    pub fn fund(&mut self, asset: AssetId, amount: Money) -> Result<(), BookError> {
        let Some(balance) = self.balances.get_mut(asset.index()) else { return Ok(()) };
        let change = balance.change.checked_add(amount).ok_or(BookError::Overflow)?;
        balance.total().and_then(|total| total.checked_add(amount)).ok_or(BookError::Overflow)?;
        balance.change = change;
        Ok(())
    }

    /// Books money that came to the account, or left it where negative, other than by trading.
    ///
    /// # Errors
    /// [`BookError::Overflow`], and nothing was changed.
    pub fn transfer(&mut self, asset: AssetId, amount: Money) -> Result<(), BookError> {
        let Some(balance) = self.balances.get_mut(asset.index()) else { return Ok(()) };
        let transferred = balance.transferred.checked_add(amount).ok_or(BookError::Overflow)?;
        balance.total().and_then(|total| total.checked_add(amount)).ok_or(BookError::Overflow)?;
        balance.transferred = transferred;
        Ok(())
    }

    /// What open orders may still take of an asset went up by so much, or down where negative.
    #[inline]
    pub fn reserve(&mut self, asset: AssetId, amount: Money) {
        if let Some(balance) = self.balances.get_mut(asset.index()) {
            balance.reserved = balance.reserved.saturating_add(amount);
        }
    }

    /// How fills, fees and funding changed an asset so far.
    #[must_use]
    pub fn change(&self, asset: AssetId) -> Money {
        self.balances.get(asset.index()).map_or(Money::ZERO, |balance| balance.change)
    }

    /// What the account holds of an asset now.
    #[must_use]
    pub fn balance(&self, asset: AssetId) -> Money {
        self.balances.get(asset.index()).and_then(Balance::total).unwrap_or_default()
    }

    /// What open orders may still take of an asset.
    #[must_use]
    pub fn reserved(&self, asset: AssetId) -> Money {
        self.balances.get(asset.index()).map_or(Money::ZERO, |balance| balance.reserved)
    }

    /// What of an asset no order may take; less than nothing where orders could take more than there is.
    #[inline]
    #[must_use]
    pub fn free(&self, asset: AssetId) -> Money {
        self.balance(asset).saturating_sub(self.reserved(asset))
    }

    /// Fees paid in an asset so far, exactly.
    #[must_use]
    pub fn fees(&self, asset: AssetId) -> Money {
        self.balances.get(asset.index()).map_or(Money::ZERO, |balance| balance.fees)
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

    fn decimal(money: Money) -> Decimal {
        money.to_decimal_string().parse().expect("a decimal")
    }

    proptest! {
        #[test]
        fn balances_equal_decimal_arithmetic(
            steps in proptest::collection::vec((any::<bool>(), 1..10_000_000i64, 1..1_000_000i64, 0..100_000i64, 0..4u16), 1..50),
        ) {
            let instrument = btcusdt();
            let mut ledger = Ledger::new(3);
            ledger.start_with(instrument.quote, Money::from_scaled(1_000, 0).expect("fits"));
            let mut expected = [Decimal::ZERO, Decimal::from(1_000), Decimal::ZERO];
            let mut fees_in_quote = Decimal::ZERO;
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
                if AssetId(fee_asset) == instrument.quote {
                    fees_in_quote += Decimal::new(fee, 8);
                }
                // Now and then money comes, goes, or is paid as funding.
                if quantity % 7 == 0 {
                    let amount = Money::from_scaled(quantity - 500_000, 3).expect("fits");
                    ledger.transfer(instrument.quote, amount).expect("fits");
                    ledger.fund(instrument.quote, fee_money).expect("fits");
                    expected[1] += Decimal::new(quantity - 500_000, 3) + Decimal::new(fee, 8);
                }
            }
            prop_assert_eq!(decimal(ledger.fees(instrument.quote)), fees_in_quote);
            for (asset, expected) in (0..).zip(expected) {
                prop_assert_eq!(ledger.balance(AssetId(asset)).to_decimal_string(), expected.normalize().to_string());
            }
            let mut restored = Ledger::new(3);
            restored.start_with(instrument.quote, Money(7));
            restored.restore(&ledger.facts()).expect("fits");
            prop_assert_eq!(restored, ledger);
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
    fn transfers_and_funding_change_the_balance_and_not_past_its_range() {
        let usdt = AssetId(1);
        let mut ledger = Ledger::new(2);
        ledger.start_with(usdt, Money(100));
        ledger.transfer(usdt, Money(50)).expect("fits");
        ledger.transfer(usdt, Money(-120)).expect("fits");
        ledger.fund(usdt, Money(-7)).expect("fits");
        assert_eq!((ledger.balance(usdt), ledger.change(usdt)), (Money(23), Money(-7)));
        assert_eq!(ledger.transfer(usdt, Money(i128::MAX)), Err(BookError::Overflow));
        assert_eq!(ledger.fund(usdt, Money(i128::MAX)), Err(BookError::Overflow));
        assert_eq!(ledger.balance(usdt), Money(23));
        ledger.transfer(AssetId::NONE, Money(1)).expect("not of this run: nothing to book");
    }

    #[test]
    fn what_is_reserved_is_not_free() {
        let usdt = AssetId(1);
        let mut ledger = Ledger::new(2);
        ledger.start_with(usdt, Money(100));
        ledger.reserve(usdt, Money(130));
        assert_eq!((ledger.free(usdt), ledger.balance(usdt)), (Money(-30), Money(100)));
        ledger.reserve(usdt, Money(-130));
        assert_eq!((ledger.free(usdt), ledger.reserved(usdt)), (Money(100), Money::ZERO));
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
