//! Which subject a change belongs on.
//!
//! Prices of one account family stand in that family's partition, everything else of the catalog in the
//! shared one. Which family a contract serves is known from its header and the accounts' roots, and both may
//! change: then the scope moves, its rows first, so that nobody ever sees it without prices.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::change::{PriceScope, ScopeHeader, ScopeMember, ScopeRemoved, Table};
use pannier_protocol::subject::Subject;
use pannier_protocol::{AccountId, Change, Partition, SourceId};
use redb::{ReadableTable, ReadableTableMetadata};

use super::row_key::{home_key, scope_ranges, table_range};
use super::store::{StoreError, Tables, decode, encode, rows_of};

/// The scope of a change that has one.
pub(crate) fn price_scope(change: &Change) -> Option<&PriceScope> {
    if let Change::Scope(of) = change {
        Some(&of.scope)
    } else if let Change::ScopeRemoved(of) = change {
        Some(&of.scope)
    } else if let Change::Prices(of) = change {
        Some(&of.scope)
    } else if let Change::PricesRemoved(of) = change {
        Some(&of.scope)
    } else {
        None
    }
}

pub(super) fn is_ledger(table: Table) -> bool {
    match table {
        Table::Stock | Table::Supply | Table::Lots | Table::Safety | Table::Credit | Table::Caps => true,
        Table::Items
        | Table::References
        | Table::Accounts
        | Table::Scopes
        | Table::Prices
        | Table::Policies
        | Table::All => false,
    }
}

/// Which partition a scope's prices are in, by its members and their roots.
pub(super) fn partition_of(
    scope: &PriceScope,
    members: &[ScopeMember],
    root_of: impl Fn(&AccountId) -> AccountId,
) -> Partition {
    match scope {
        PriceScope::Account(account) => Partition::of_root(&root_of(account)),
        PriceScope::Contract(_) => {
            let roots: Option<BTreeSet<AccountId>> = members
                .iter()
                .map(|member| match member {
                    ScopeMember::Account(account) => Some(root_of(account)),
                    ScopeMember::Group(_) => None,
                })
                .collect();
            match roots.as_ref().map(|roots| (roots.len(), roots.first())) {
                Some((1, Some(root))) => Partition::of_root(root),
                Some(_) | None => Partition::Shared,
            }
        }
        PriceScope::Group(_) | PriceScope::Promotion(_) | PriceScope::List(_) => Partition::Shared,
    }
}

/// What a submission says about accounts and headers, over what the mirror says.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// New root, or gone.
    pub(super) roots: BTreeMap<AccountId, Option<AccountId>>,
    pub(super) headers: BTreeMap<PriceScope, Option<ScopeHeader>>,
    /// All scopes that are written.
    pub(super) scopes: BTreeSet<PriceScope>,
}

/// A scope that changes its subject.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) from: Subject,
    pub(super) to: Subject,
    /// Header and rows as they were.
    pub(super) rows: Vec<Change>,
    pub(super) removal: Change,
}

/// Homes of all scopes that a submission writes or moves, and the moves.
pub(super) struct Homes {
    source: SourceId,
    shared: Subject,
    of: BTreeMap<PriceScope, Partition>,
}

impl Homes {
    /// Decides and records them. Scopes whose accounts got another root are moved even if not written.
    pub(super) fn settle(
        tables: &mut Tables<'_>,
        source: &SourceId,
        said: &Said,
    ) -> Result<(Self, Vec<Move>), StoreError> {
        let shared = Subject::Catalog(Partition::Shared, source.clone());
        let mut homes = Self { source: source.clone(), shared, of: BTreeMap::new() };
        let mut scopes = said.scopes.clone();
        let rerooted = homes.rerooted(tables, said)?;
        if !rerooted.is_empty() {
            scopes.extend(homes.scopes_of(tables, &rerooted)?);
        }
        let mut moves = Vec::new();
        for scope in scopes {
            let old = home(tables, &scope)?;
            let new = homes.decide(tables, said, &scope, old)?;
            if let Some(old) = old.filter(|old| *old != new) {
                moves.push(homes.moved(tables, &scope, old, new)?);
            }
            if old != Some(new) {
                let home = Home { scope: scope.clone(), partition: token(new) };
                tables.homes.insert(home_key(&scope).as_slice(), encode(&home)?.as_slice())?;
            }
            homes.of.insert(scope, new);
        }
        Ok((homes, moves))
    }

    /// Where a change is published.
    pub(super) fn subject(&self, change: &Change) -> Subject {
        if change.table().is_some_and(is_ledger) {
            return Subject::Stock(self.source.clone());
        }
        let partition = price_scope(change).and_then(|scope| self.of.get(scope));
        Subject::Catalog(partition.copied().unwrap_or(Partition::Shared), self.source.clone())
    }

    fn root_of(
        &self,
        tables: &Tables<'_>,
        said: &Said,
        account: &AccountId,
    ) -> Result<AccountId, StoreError> {
        let root = match said.roots.get(account) {
            Some(root) => root.clone(),
            None => self.mirrored_root(tables, account)?,
        };
        Ok(root.unwrap_or_else(|| account.clone()))
    }

    fn mirrored_root(
        &self,
        tables: &Tables<'_>,
        account: &AccountId,
    ) -> Result<Option<AccountId>, StoreError> {
        let mut key = table_range(&self.shared, Table::Accounts);
        key.extend_from_slice(account.as_str().as_bytes());
        key.push(0);
        let Some(bytes) = tables.rows.get(key.as_slice())? else { return Ok(None) };
        let change: Change = decode(bytes.value())?;
        Ok(if let Change::Account(account) = change { Some(account.root) } else { None })
    }

    /// Accounts that have another root than before.
    fn rerooted(&self, tables: &Tables<'_>, said: &Said) -> Result<BTreeSet<AccountId>, StoreError> {
        let mut rerooted = BTreeSet::new();
        if tables.homes.is_empty()? {
            return Ok(rerooted);
        }
        for (account, root) in &said.roots {
            let before = self.mirrored_root(tables, account)?.unwrap_or_else(|| account.clone());
            if root.as_ref().unwrap_or(account) != &before {
                rerooted.insert(account.clone());
            }
        }
        Ok(rerooted)
    }

    /// Scopes that are of one of `accounts` or serve it.
    fn scopes_of(
        &self,
        tables: &Tables<'_>,
        accounts: &BTreeSet<AccountId>,
    ) -> Result<Vec<PriceScope>, StoreError> {
        let mut found = Vec::new();
        for entry in tables.homes.iter()? {
            let home: Home = decode(entry?.1.value())?;
            let touched = match &home.scope {
                PriceScope::Account(account) => accounts.contains(account),
                PriceScope::Contract(_) => {
                    let partition = home.partition.parse().unwrap_or(Partition::Shared);
                    self.header(tables, &home.scope, partition)?.is_some_and(|header| {
                        header.members.iter().any(|member| {
                            matches!(member, ScopeMember::Account(account) if accounts.contains(account))
                        })
                    })
                }
                PriceScope::Group(_) | PriceScope::Promotion(_) | PriceScope::List(_) => false,
            };
            if touched {
                found.push(home.scope);
            }
        }
        Ok(found)
    }

    fn decide(
        &self,
        tables: &Tables<'_>,
        said: &Said,
        scope: &PriceScope,
        old: Option<Partition>,
    ) -> Result<Partition, StoreError> {
        let header = match (said.headers.get(scope), old) {
            (Some(header), _) => header.clone(),
            (None, Some(old)) => self.header(tables, scope, old)?,
            (None, None) => None,
        };
        let members = header.map(|header| header.members).unwrap_or_default();
        let mut roots = BTreeMap::new();
        let accounts = members.iter().filter_map(|member| match member {
            ScopeMember::Account(account) => Some(account),
            ScopeMember::Group(_) => None,
        });
        let own = if let PriceScope::Account(account) = scope { Some(account) } else { None };
        for account in accounts.chain(own) {
            roots.insert(account.clone(), self.root_of(tables, said, account)?);
        }
        Ok(partition_of(scope, &members, |account| {
            roots.get(account).cloned().unwrap_or_else(|| account.clone())
        }))
    }

    fn header(
        &self,
        tables: &Tables<'_>,
        scope: &PriceScope,
        partition: Partition,
    ) -> Result<Option<ScopeHeader>, StoreError> {
        let subject = Subject::Catalog(partition, self.source.clone());
        let [header, _] = scope_ranges(&subject, scope);
        let Some(bytes) = tables.rows.get(header.as_slice())? else { return Ok(None) };
        let change: Change = decode(bytes.value())?;
        Ok(if let Change::Scope(header) = change { Some(header) } else { None })
    }

    fn moved(
        &self,
        tables: &Tables<'_>,
        scope: &PriceScope,
        old: Partition,
        new: Partition,
    ) -> Result<Move, StoreError> {
        let [from, to] = [old, new].map(|partition| Subject::Catalog(partition, self.source.clone()));
        let mut rows = Vec::new();
        for range in scope_ranges(&from, scope) {
            rows.extend(rows_of(&tables.rows, &range)?);
        }
        let removal = Change::ScopeRemoved(ScopeRemoved { scope: scope.clone() });
        Ok(Move { from, to, rows, removal })
    }
}

/// Where a scope's rows are.
#[derive(Debug, serde::Serialize, serde::Deserialize)]
struct Home {
    scope: PriceScope,
    /// As in subjects.
    partition: String,
}

fn token(partition: Partition) -> String {
    partition.to_string()
}

fn home(tables: &Tables<'_>, scope: &PriceScope) -> Result<Option<Partition>, StoreError> {
    let bytes = tables.homes.get(home_key(scope).as_slice())?;
    bytes.map_or(Ok(None), |bytes| partition_in(bytes.value()))
}

/// The partition in an entry of the homes.
pub(super) fn partition_in(home: &[u8]) -> Result<Option<Partition>, StoreError> {
    let home: Home = decode(home)?;
    Ok(home.partition.parse().ok())
}
