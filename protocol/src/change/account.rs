//! Who buys, from where, and how much credit they have.

use serde::{Deserialize, Serialize};

use crate::codec::bounded;
use crate::limits::LIST_MAX;
use crate::{
    AccountId, CompanyId, Currency, Decimal, EntitlementId, GroupId, ListId, TerritoryId, WarehouseId,
};

use super::{Reflected, SourcingMode};

/// One account record, whole: a sold-to, a bill-to above it or a ship-to below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub account: AccountId,
    /// The next account up; a ship-to's is its sold-to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<AccountId>,
    /// The topmost account of the family: its partition holds the family's prices.
    pub root: AccountId,
    /// By rank, the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub groups: Vec<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub entitlements: Vec<EntitlementId>,
    /// Buys at contract prices or not at all.
    #[serde(default)]
    pub contract_only: bool,
    /// No business with this account: lookups and orders answer `account_blocked`.
    #[serde(default)]
    pub blocked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub territories: Vec<TerritoryId>,
    /// Eligible to ship to this account, in sourcing order.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub warehouses: Vec<WarehouseId>,
    /// Without: the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sourcing: Option<SourcingMode>,
    /// Price lists in the order they are asked; without: the tenant's.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub lists: Vec<ListId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRemoved {
    pub account: AccountId,
}

/// Limit and balance of an account as its source sees them. In the ledger, because an order's verdict
/// depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credit {
    pub account: AccountId,
    pub currency: Currency,
    /// Without: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Decimal>,
    /// Owed now.
    pub balance: Decimal,
    #[serde(default)]
    pub blocked: bool,
    /// Which orders of ours `balance` already contains; quantities are amounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflects: Option<Reflected>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditRemoved {
    pub account: AccountId,
}
