//! Accounts and who stands above them.

use std::sync::Arc;

use pannier_protocol::change::{Account, PriceScope, SourcingMode, Table};
use pannier_protocol::{AccountId, CompanyId, Currency, EntitlementId, Partition, TerritoryId};
use serde::{Deserialize, Serialize};

use super::select::select;
use super::tables::CatalogTables;
use crate::dictionary::{AccountNo, Dictionary, ScopeNo, WarehouseNo};
use crate::limits::ANCESTORS_MAX;
use crate::rows::RowVersion;

/// One account with everything that a lookup for it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    pub account: AccountNo,
    pub id: AccountId,
    /// The scope of the account's own prices, by which contracts name it as well.
    pub scope: ScopeNo,
    pub parent: Option<AccountNo>,
    pub root: AccountId,
    /// Of the root: where the family's prices are.
    #[serde(with = "super::saved::partition")]
    pub partition: Partition,
    /// Group scopes by rank, the best first.
    pub groups: Box<[ScopeNo]>,
    pub currency: Option<Currency>,
    /// Sorted.
    pub entitlements: Box<[EntitlementId]>,
    pub contract_only: bool,
    pub blocked: bool,
    pub company: Option<CompanyId>,
    pub territories: Box<[TerritoryId]>,
    /// Eligible, in sourcing order.
    pub warehouses: Box<[WarehouseNo]>,
    pub sourcing: Option<SourcingMode>,
    /// List scopes in the order in which they are asked.
    pub lists: Box<[ScopeNo]>,
    pub version: RowVersion,
}

impl AccountRecord {
    /// Interns a checked change.
    pub fn new(change: &Account, version: RowVersion, dictionary: &Dictionary) -> Self {
        let number = |account: &AccountId| dictionary.accounts.intern(account.as_str());
        let mut entitlements = change.entitlements.clone();
        entitlements.sort_unstable();
        let group = |group| dictionary.scope(&PriceScope::Group(group));
        let list = |list| dictionary.scope(&PriceScope::List(list));
        let warehouse = |id: &pannier_protocol::WarehouseId| dictionary.warehouses.intern(id.as_str());
        Self {
            account: number(&change.account),
            id: change.account.clone(),
            scope: dictionary.scope(&PriceScope::Account(change.account.clone())),
            parent: change.parent.as_ref().map(number),
            root: change.root.clone(),
            partition: Partition::of_root(&change.root),
            groups: change.groups.iter().cloned().map(group).collect(),
            currency: change.currency,
            entitlements: entitlements.into(),
            contract_only: change.contract_only,
            blocked: change.blocked,
            company: change.company.clone(),
            territories: change.territories.as_slice().into(),
            warehouses: change.warehouses.iter().map(warehouse).collect(),
            sourcing: change.sourcing,
            lists: change.lists.iter().cloned().map(list).collect(),
            version,
        }
    }
}

/// Whose prices a basket is looked up for.
#[derive(Debug, Clone)]
pub struct AccountContext {
    pub account: Arc<AccountRecord>,
    /// The account itself where none was named.
    pub ship_to: Arc<AccountRecord>,
    /// What stands between ship-to and account, from the ship-to up.
    pub between: Vec<Arc<AccountRecord>>,
    /// Above the account, nearest first. The family ends where a record is missing.
    pub ancestors: Vec<Arc<AccountRecord>>,
}

/// Why there is no context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccountRefusal {
    /// Also a ship-to that is not the account's: the two look alike.
    #[error("no such account, or the ship-to is not one of it; check both ids")]
    Unknown,
    #[error("the account or its ship-to is blocked; ask the distributor")]
    Blocked,
}

impl AccountContext {
    pub fn partition(&self) -> Partition {
        self.account.partition
    }

    /// In sourcing order; the ship-to's own, else those of the next above it up to the account. Empty: all.
    pub fn warehouses(&self) -> &[WarehouseNo] {
        let upward = std::iter::once(&self.ship_to).chain(&self.between).chain([&self.account]);
        upward.map(|record| record.warehouses.as_ref()).find(|ids| !ids.is_empty()).unwrap_or_default()
    }

    /// The ship-to's own, else the next above's up to the account; `None`: the tenant's.
    pub fn sourcing(&self) -> Option<SourcingMode> {
        let mut upward = std::iter::once(&self.ship_to).chain(&self.between).chain([&self.account]);
        upward.find_map(|record| record.sourcing)
    }

    /// By the account's own record.
    pub fn is_entitled(&self, entitlement: &EntitlementId) -> bool {
        self.account.entitlements.binary_search(entitlement).is_ok()
    }
}

/// The record of an account, by ownership.
pub fn find_account(tables: &CatalogTables, account: AccountNo) -> Option<Arc<AccountRecord>> {
    let owner = tables.ownership.owner(Table::Accounts, None, None);
    select(&tables.chains.shared, |rows| rows.account(account), |_| owner)
}

/// The account, its ship-to and everybody above them.
pub fn resolve(
    tables: &CatalogTables,
    dictionary: &Dictionary,
    account: &AccountId,
    ship_to: Option<&AccountId>,
) -> Result<AccountContext, AccountRefusal> {
    let record = |id: &AccountId| {
        let number = dictionary.accounts.get(id.as_str()).ok_or(AccountRefusal::Unknown)?;
        find_account(tables, number).ok_or(AccountRefusal::Unknown)
    };
    let account = record(account)?;
    let (ship_to, between) = match ship_to {
        Some(id) if *id != account.id => {
            let ship_to = record(id)?;
            let mut between = ancestors(tables, &ship_to);
            let at = between.iter().position(|above| above.account == account.account);
            between.truncate(at.ok_or(AccountRefusal::Unknown)?);
            (ship_to, between)
        }
        Some(_) | None => (Arc::clone(&account), Vec::new()),
    };
    if account.blocked || ship_to.blocked {
        return Err(AccountRefusal::Blocked);
    }
    let ancestors = ancestors(tables, &account);
    Ok(AccountContext { account, ship_to, between, ancestors })
}

/// Nearest first. A cycle ends where it would begin again, and so does a family deeper than the limit.
fn ancestors(tables: &CatalogTables, of: &AccountRecord) -> Vec<Arc<AccountRecord>> {
    let mut above: Vec<Arc<AccountRecord>> = Vec::new();
    let mut next = of.parent;
    while let Some(number) = next {
        let seen = number == of.account || above.iter().any(|record| record.account == number);
        if seen || above.len() == ANCESTORS_MAX {
            break;
        }
        let Some(record) = find_account(tables, number) else { break };
        next = record.parent;
        above.push(record);
    }
    above
}
