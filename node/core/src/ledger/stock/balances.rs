//! Limits and balances: credit of accounts, caps of contracts. One map entry each; they are few.

use std::sync::Arc;

use dashmap::DashMap;
use pannier_protocol::change::{
    Cap, CapBasis, CapPast, CapRemoved, Change, Credit, CreditRemoved, PriceScope, Reflected,
};
use pannier_protocol::{Currency, Decimal};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use super::reflects::merged;
use super::row::RowHash;
use crate::dictionary::{AccountNo, Dictionary, ItemNo, ScopeNo};
use crate::limits::TABLE_SHARDS_SMALL;
use crate::rows::RowVersion;

/// Limit and balance of one account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditRow {
    pub currency: Currency,
    /// `None`: no limit.
    pub limit: Option<Decimal>,
    /// Owed now.
    pub balance: Decimal,
    pub blocked: bool,
    /// Which orders of ours `balance` contains already.
    #[serde(with = "crate::checkpoint::shared_option")]
    pub reflects: Option<Arc<Reflected>>,
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

/// How much a contract gives, and what its source counts as consumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapRow {
    pub basis: CapBasis,
    pub limit: Decimal,
    pub consumed: Decimal,
    pub past: CapPast,
    /// Which orders of ours `consumed` contains already.
    #[serde(with = "crate::checkpoint::shared_option")]
    pub reflects: Option<Arc<Reflected>>,
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

impl CapRow {
    /// What is left of it, never below 0.
    pub fn left(&self) -> Decimal {
        self.limit.checked_sub(self.consumed).map_or(Decimal::ZERO, Decimal::clamped)
    }
}

/// A map whose rows are counted by their hashes.
pub(super) struct Balances {
    pub(super) credit: DashMap<AccountNo, CreditRow, FxBuildHasher>,
    /// Without an item: over all items of the contract.
    pub(super) caps: DashMap<(ScopeNo, Option<ItemNo>), CapRow, FxBuildHasher>,
}

impl Balances {
    pub(super) fn new() -> Self {
        Self {
            credit: DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_SMALL),
            caps: DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_SMALL),
        }
    }

    pub(super) fn find_credit(&self, account: AccountNo) -> Option<CreditRow> {
        self.credit.get(&account).map(|row| row.clone())
    }

    pub(super) fn find_cap(&self, contract: ScopeNo, item: Option<ItemNo>) -> Option<CapRow> {
        self.caps.get(&(contract, item)).map(|row| row.clone())
    }

    /// Each of these returns by how much the digest moves.
    pub(super) fn set_credit(&self, credit: &Credit, version: RowVersion, dictionary: &Dictionary) -> u128 {
        let account = dictionary.accounts.intern(credit.account.as_str());
        let before = self.find_credit(account).and_then(|row| row.reflects);
        let reflects = merged(before.as_deref(), credit.reflects.as_ref());
        let row = CreditRow {
            currency: credit.currency,
            limit: credit.limit,
            balance: credit.balance,
            blocked: credit.blocked,
            version,
            hash: RowHash::of(&Change::Credit(Credit { reflects: reflects.clone(), ..credit.clone() })),
            reflects: reflects.map(Arc::new),
        };
        let hash = row.hash;
        let before = self.credit.insert(account, row);
        moved(before.map(|row| row.hash), Some(hash))
    }

    pub(super) fn remove_credit(&self, removed: &CreditRemoved, dictionary: &Dictionary) -> u128 {
        let account = dictionary.accounts.get(removed.account.as_str());
        let before = account.and_then(|account| self.credit.remove(&account));
        moved(before.map(|(_, row)| row.hash), None)
    }

    pub(super) fn set_cap(&self, cap: &Cap, version: RowVersion, dictionary: &Dictionary) -> u128 {
        let contract = dictionary.scope(&PriceScope::Contract(cap.contract.clone()));
        let item = cap.item.as_ref().map(|item| dictionary.items.intern(item.as_str()));
        let before = self.find_cap(contract, item).and_then(|row| row.reflects);
        let reflects = merged(before.as_deref(), cap.reflects.as_ref());
        let row = CapRow {
            basis: cap.basis,
            limit: cap.limit,
            consumed: cap.consumed,
            past: cap.past,
            version,
            hash: RowHash::of(&Change::Cap(Cap { reflects: reflects.clone(), ..cap.clone() })),
            reflects: reflects.map(Arc::new),
        };
        let hash = row.hash;
        let before = self.caps.insert((contract, item), row);
        moved(before.map(|row| row.hash), Some(hash))
    }

    pub(super) fn remove_cap(&self, removed: &CapRemoved, dictionary: &Dictionary) -> u128 {
        let contract = dictionary.scope_if_known(&PriceScope::Contract(removed.contract.clone()));
        let item = removed.item.as_ref().map(|item| dictionary.items.get(item.as_str()));
        let before = match (contract, item) {
            (None, _) | (_, Some(None)) => None,
            (Some(contract), item) => self.caps.remove(&(contract, item.flatten())),
        };
        moved(before.map(|(_, row)| row.hash), None)
    }

    pub(super) fn credit_count(&self) -> u64 {
        self.credit.len() as u64
    }

    pub(super) fn caps_count(&self) -> u64 {
        self.caps.len() as u64
    }

    pub(super) fn credit_missing_in(&self, other: &Self) -> u64 {
        self.credit.iter().filter(|row| !other.credit.contains_key(row.key())).count() as u64
    }

    pub(super) fn caps_missing_in(&self, other: &Self) -> u64 {
        self.caps.iter().filter(|row| !other.caps.contains_key(row.key())).count() as u64
    }

    /// Gives `other` the rows that it lacks; returns by how much its digest moves.
    pub(super) fn share_credit(&self, other: &Self) -> u128 {
        share(&self.credit, &other.credit, |row| row.hash)
    }

    pub(super) fn share_caps(&self, other: &Self) -> u128 {
        share(&self.caps, &other.caps, |row| row.hash)
    }
}

fn share<K: Copy + Eq + std::hash::Hash, R: Clone>(
    from: &DashMap<K, R, FxBuildHasher>,
    to: &DashMap<K, R, FxBuildHasher>,
    hash: impl Fn(&R) -> RowHash,
) -> u128 {
    let mut digest: u128 = 0;
    for row in from {
        if !to.contains_key(row.key()) {
            to.insert(*row.key(), row.value().clone());
            digest = digest.wrapping_add(hash(row.value()).value());
        }
    }
    digest
}

fn moved(before: Option<RowHash>, after: Option<RowHash>) -> u128 {
    let value = |hash: Option<RowHash>| hash.map_or(0, RowHash::value);
    value(after).wrapping_sub(value(before))
}
