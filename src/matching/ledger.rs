//! What the accounts have.

use super::AccountId;
use crate::types::AssetId;

/// One asset of one account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    /// What can be spent or withdrawn.
    pub free: i64,
    /// What is held for open orders.
    pub locked: i64,
}

/// The balances of every account. No balance is ever negative. With what was paid in fees and what the recorded market
/// gained or lost, the sum of each asset never changes.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    accounts: Vec<Vec<Balance>>,
    fees: Vec<i128>,
    market: Vec<i128>,
}

impl Ledger {
    /// `accounts` accounts that have nothing of any of `assets` assets.
    #[must_use]
    pub fn new(accounts: usize, assets: usize) -> Self {
        Self {
            accounts: vec![vec![Balance::default(); assets]; accounts],
            fees: vec![0; assets],
            market: vec![0; assets],
        }
    }

    /// What `account` has of `asset`; nothing of what does not exist.
    #[must_use]
    pub fn balance(&self, account: AccountId, asset: AssetId) -> Balance {
        self.slot(account, asset).copied().unwrap_or_default()
    }

    /// What was paid in fees, of `asset`.
    #[must_use]
    pub fn fees(&self, asset: AssetId) -> i128 {
        self.fees.get(asset.index()).copied().unwrap_or_default()
    }

    /// What the recorded market gained of `asset`, negative where it gave.
    #[must_use]
    pub fn market(&self, asset: AssetId) -> i128 {
        self.market.get(asset.index()).copied().unwrap_or_default()
    }

    /// Adds to what is free. `false`, and no change, where the account or asset does not exist or it does not fit.
    #[must_use]
    pub fn deposit(&mut self, account: AccountId, asset: AssetId, amount: i64) -> bool {
        self.change(account, asset, amount, 0)
    }

    /// Moves from free to locked. `false`, and no change, where there is not enough.
    #[must_use]
    pub(super) fn lock(&mut self, account: AccountId, asset: AssetId, amount: i64) -> bool {
        amount.checked_neg().is_some_and(|negative| self.change(account, asset, negative, amount))
    }

    /// Moves from locked back to free. `false`, and no change, where there is not enough.
    #[must_use]
    pub(super) fn unlock(&mut self, account: AccountId, asset: AssetId, amount: i64) -> bool {
        amount.checked_neg().is_some_and(|negative| self.change(account, asset, amount, negative))
    }

    /// Gives from what is locked to the other side of a trade.
    #[must_use]
    pub(super) fn pay(&mut self, account: AccountId, asset: AssetId, amount: i64) -> bool {
        let is_paid = amount.checked_neg().is_some_and(|negative| self.change(account, asset, 0, negative));
        if is_paid && let Some(market) = self.market.get_mut(asset.index()) {
            *market += i128::from(amount);
        }
        is_paid
    }

    /// Takes from the other side of a trade what is left after the fee.
    #[must_use]
    pub(super) fn receive(&mut self, account: AccountId, asset: AssetId, amount: i64, fee: i64) -> bool {
        let is_received = amount.checked_sub(fee).is_some_and(|net| self.change(account, asset, net, 0));
        if is_received
            && let (Some(market), Some(fees)) = (self.market.get_mut(asset.index()), self.fees.get_mut(asset.index()))
        {
            *market -= i128::from(amount);
            *fees += i128::from(fee);
        }
        is_received
    }

    fn change(&mut self, account: AccountId, asset: AssetId, free: i64, locked: i64) -> bool {
        let Some(slot) = self.accounts.get_mut(usize::from(account.0)).and_then(|all| all.get_mut(asset.index()))
        else {
            return false;
        };
        match (slot.free.checked_add(free), slot.locked.checked_add(locked)) {
            (Some(free), Some(locked)) if free >= 0 && locked >= 0 => {
                *slot = Balance { free, locked };
                true
            }
            _ => false,
        }
    }

    fn slot(&self, account: AccountId, asset: AssetId) -> Option<&Balance> {
        self.accounts.get(usize::from(account.0))?.get(asset.index())
    }
}
