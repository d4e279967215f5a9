//! What a file says, completed by what other files said before: units, kits and relations of items, roots of
//! accounts; and cut into the snapshots that a full file is.
//!
//! An item is one record on the wire and often four files in a legacy system. The files' lists are kept as notes
//! of their own, so that neither file needs the other to come first, and an item that comes back gets them again.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use pannier_protocol::change::{Account, Item, KitComponent, PriceSelection, Relation, SnapshotScope, Table};
use pannier_protocol::uom::ItemUom;
use pannier_protocol::{AccountId, Change, ItemId, WarehouseId};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::config::{Covers, Mode};
use super::mapping::Mapping;
use super::row::Reject;
use super::rows::{Body, Parsed, ParsedAccount};
use crate::limits::FAMILY_DEPTH_MAX;
use crate::runner::{Desk, Snapshot, StoreError, Submission, priced};

/// A submission, what was found wrong on the way, and which parts of its table a full file covers.
#[derive(Debug, Default)]
pub(super) struct Composed {
    pub(super) submission: Submission,
    pub(super) rejects: Vec<Reject>,
    /// Empty text: the table.
    pub(super) parts: BTreeSet<String>,
}

/// Completes `parsed` by what `desk` remembers.
pub(super) fn compose(desk: &Desk, mapping: &Mapping, parsed: Parsed) -> Result<Composed, StoreError> {
    let Parsed { body, removed, rejects, failed } = parsed;
    let mut composed = Composed { rejects, ..Composed::default() };
    let groups = match body {
        Body::Items(items) => composed.items(desk, mapping, items)?,
        Body::Uoms(lists) => composed.details(desk, mapping, lists, |item, list| item.uoms = list)?,
        Body::Kits(lists) => composed.details(desk, mapping, lists, |item, list| item.kit = list)?,
        Body::Relations(lists) => {
            composed.details(desk, mapping, lists, |item, list| item.relations = list)?
        }
        Body::Accounts(accounts) => composed.accounts(desk, mapping, accounts, &removed)?,
        Body::Groups(groups) => groups,
    };
    let table = mapping.table.snapshot_table().filter(|_| mapping.mode == Mode::Full);
    match table {
        Some(table) => {
            let mut rows = Vec::new();
            for change in &failed {
                rows.extend(desk.remembered(change)?);
            }
            rows.extend(groups.into_iter().flatten());
            composed.cut_snapshots(mapping, table, rows);
        }
        None => {
            composed.parts.insert(String::new());
            composed.submission.groups = groups;
        }
    }
    composed.submission.groups.extend(removed.into_iter().map(|change| vec![change]));
    Ok(composed)
}

fn detail_key(table: &str, item: &str) -> String {
    format!("detail/{table}/{item}")
}

fn detail<T: DeserializeOwned>(
    desk: &Desk,
    table: &str,
    item: &ItemId,
) -> Result<Option<Vec<T>>, StoreError> {
    let note = desk.note(&detail_key(table, item.as_str()))?;
    note.map(|bytes| crate::runner::decode(&bytes)).transpose()
}

impl Composed {
    fn reject(&mut self, reason: String) {
        let (column, record) = (String::new(), String::new());
        self.rejects.push(Reject { line: 0, column, reason, record });
    }

    /// The item, if it is valid as a whole.
    fn checked(&mut self, item: Item) -> Option<Vec<Change>> {
        let id = item.item.clone();
        let change = Change::Item(item);
        match change.check() {
            Ok(()) => Some(vec![change]),
            Err(error) => {
                self.reject(format!("item {id}, with what other files say of it: {error}"));
                None
            }
        }
    }

    fn items(
        &mut self,
        desk: &Desk,
        mapping: &Mapping,
        items: Vec<Item>,
    ) -> Result<Vec<Vec<Change>>, StoreError> {
        let mut groups = Vec::with_capacity(items.len());
        for mut item in items {
            if !mapping.fields.contains_key("uom") {
                item.uoms = detail::<ItemUom>(desk, "uoms", &item.item)?.unwrap_or_default();
            }
            item.kit = detail::<KitComponent>(desk, "kits", &item.item)?.unwrap_or_default();
            item.relations = detail::<Relation>(desk, "relations", &item.item)?.unwrap_or_default();
            let id = item.item.clone();
            match self.checked(item) {
                Some(group) => groups.push(group),
                None => groups.extend(desk.item(&id)?.map(|before| vec![Change::Item(before)])),
            }
        }
        Ok(groups)
    }

    fn details<T: Serialize + DeserializeOwned + Clone>(
        &mut self,
        desk: &Desk,
        mapping: &Mapping,
        lists: Vec<(ItemId, Vec<T>)>,
        put: impl Fn(&mut Item, Vec<T>),
    ) -> Result<Vec<Vec<Change>>, StoreError> {
        let table = mapping.table.as_str();
        let mut lists: BTreeMap<ItemId, Vec<T>> = lists.into_iter().collect();
        if mapping.mode == Mode::Full {
            let prefix = detail_key(table, "");
            for (key, _) in desk.notes(&prefix)? {
                if let Ok(item) = ItemId::new(&key[prefix.len()..]) {
                    lists.entry(item).or_default();
                }
            }
        }
        let mut groups = Vec::new();
        for (id, list) in lists {
            if let Some(before) = desk.item(&id)? {
                let mut item = before.clone();
                put(&mut item, list.clone());
                if item != before {
                    match self.checked(item) {
                        Some(group) => groups.push(group),
                        None => continue,
                    }
                }
            }
            let note = if list.is_empty() { None } else { Some(crate::runner::encode(&list)?) };
            self.submission.notes.push((detail_key(table, id.as_str()), note));
        }
        Ok(groups)
    }

    /// With roots found through parents where the mapping has none. In a delta file accounts below one that moved
    /// get their new root too.
    fn accounts(
        &mut self,
        desk: &Desk,
        mapping: &Mapping,
        parsed: Vec<ParsedAccount>,
        removed: &[Change],
    ) -> Result<Vec<Vec<Change>>, StoreError> {
        let mut known: HashMap<AccountId, Account> =
            if mapping.mode == Mode::Full { HashMap::new() } else { desk.accounts()? };
        for change in removed {
            if let Change::AccountRemoved(gone) = change {
                known.remove(&gone.account);
            }
        }
        let mut order: Vec<AccountId> = Vec::new();
        let mut rooted: BTreeSet<AccountId> = BTreeSet::new();
        let before = known.clone();
        for ParsedAccount { account, has_root, .. } in parsed {
            order.push(account.account.clone());
            if has_root {
                rooted.insert(account.account.clone());
            }
            known.insert(account.account.clone(), account);
        }
        let mut below: Vec<AccountId> = before.keys().filter(|id| !order.contains(id)).cloned().collect();
        below.sort_unstable();
        let by_parents = !mapping.fields.contains_key("root");
        let mut groups = Vec::new();
        for id in order.iter().chain(below.iter().filter(|_| by_parents)) {
            let Some(account) = known.get(id) else { continue };
            let root = if rooted.contains(id) { Some(account.root.clone()) } else { root(&known, id) };
            let Some(root) = root else {
                self.reject(format!(
                    "account {id}: its parents go round, or further than {FAMILY_DEPTH_MAX} up"
                ));
                continue;
            };
            let account = Account { root, ..account.clone() };
            if mapping.mode == Mode::Full || before.get(id) != Some(&account) {
                groups.push(vec![Change::Account(account)]);
            }
        }
        Ok(groups)
    }

    fn cut_snapshots(&mut self, mapping: &Mapping, table: Table, rows: Vec<Change>) {
        let mut cut: BTreeMap<String, Snapshot> = BTreeMap::new();
        let part = |scope: SnapshotScope| Snapshot { scope, rows: Vec::new() };
        let kind = mapping.price_kind();
        if !matches!(mapping.covers, Covers::Warehouses | Covers::Scopes) {
            let scope =
                kind.map_or(SnapshotScope::whole(table), |kind| priced(table, PriceSelection::Kind(kind)));
            cut.insert(String::new(), part(scope));
        }
        for change in rows {
            let scope = crate::runner::price_scope(&change).cloned();
            let key = match mapping.covers {
                Covers::Warehouses => warehouse(&change).map(ToString::to_string),
                Covers::Scopes => scope.as_ref().map(ToString::to_string),
                Covers::Table
                | Covers::Contracts
                | Covers::Accounts
                | Covers::Groups
                | Covers::Promotions
                | Covers::Lists => Some(String::new()),
            };
            if let (Some(kind), Some(of)) = (kind, &scope)
                && of.kind() != kind
            {
                self.reject(format!("{of} is not among what the file covers; set `covers`"));
                continue;
            }
            let scope = match (mapping.covers, scope) {
                (Covers::Warehouses, _) => {
                    SnapshotScope { table, warehouse: warehouse(&change).cloned(), prices: None }
                }
                (_, Some(of)) => priced(table, PriceSelection::Scope(of)),
                (_, None) => SnapshotScope::whole(table),
            };
            cut.entry(key.unwrap_or_default()).or_insert_with(|| part(scope)).rows.push(change);
        }
        self.parts = cut.keys().cloned().collect();
        self.submission.snapshots = cut.into_values().collect();
    }
}

fn warehouse(change: &Change) -> Option<&WarehouseId> {
    if let Change::StockSet(of) = change {
        Some(&of.warehouse)
    } else if let Change::SupplySet(of) = change {
        Some(&of.warehouse)
    } else if let Change::LotsSet(of) = change {
        Some(&of.warehouse)
    } else if let Change::SafetySet(of) = change {
        Some(&of.warehouse)
    } else {
        None
    }
}

/// The topmost account above `of`; a parent that is in no file is one. `None`: there is no end.
fn root(accounts: &HashMap<AccountId, Account>, of: &AccountId) -> Option<AccountId> {
    let mut at = of;
    for _ in 0..FAMILY_DEPTH_MAX {
        match accounts.get(at).and_then(|account| account.parent.as_ref()) {
            Some(parent) => at = parent,
            None => return Some(at.clone()),
        }
    }
    None
}
