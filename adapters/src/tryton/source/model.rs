//! Rows of Tryton in, changes out; no IO and no clock.
//!
//! One order is some seven updates of three tables, the price job deletes all rows and makes the same ones again, a
//! poll reads much of what it read before. So what is said is never a row that came: it is computed anew for the
//! items and parties that the rows touch, once for all rows that belong together, and only what differs from what
//! was said before goes out.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::ask::Asked;
use pannier_protocol::change::{
    Account, AccountRemoved, Item, ItemRemoved, PriceScope, PriceScopeKind, PriceSelection, Prices,
    PricesRemoved, Reflected, ReflectedLine, SnapshotScope, StockRemoved, StockSet, SupplyRemoved, SupplySet,
    Table as Scope,
};
use pannier_protocol::{
    Change, Currency, Decimal, ListId, LocalDate, SupplyReference, Timestamp, WarehouseId,
};

use super::catalog::{self, Names, Terms, edge};
use super::stock::{Name, Places, Stock, names, stock};
use super::table::{Id, Read, Table};
use super::tables::{Tables, Touched};
use crate::runner::{Snapshot, priced};

/// What Tryton says and what was said of it.
#[derive(Debug)]
pub(super) struct Model {
    terms: Terms,
    tables: Tables,
    places: Places,
    names: Names,
    items: BTreeMap<Id, Said>,
    accounts: BTreeMap<Id, Account>,
}

/// What is said of one product.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Said {
    item: Option<Item>,
    prices: catalog::Prices,
    cells: BTreeMap<WarehouseId, StockSet>,
    supply: BTreeMap<(WarehouseId, SupplyReference), SupplySet>,
}

/// Something for a human to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    /// The same for the same row.
    pub(super) origin: String,
    pub(super) reason: String,
}

/// What a batch of rows comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Rows that are not as they were.
    pub(super) rows: Vec<Read>,
    pub(super) changes: Vec<Change>,
    pub(super) findings: Vec<Finding>,
}

impl Model {
    pub(super) fn new(company: Id, terms: Terms) -> Self {
        let tables = Tables::new(company);
        let (places, names) = (Places::of(&tables), Names::of(&tables, &terms));
        Self { terms, tables, places, names, items: BTreeMap::new(), accounts: BTreeMap::new() }
    }

    /// Rows that were read together and are seen together. Of several of one record the last one counts.
    pub(super) fn take(&mut self, reads: Vec<Read>, now: Timestamp) -> Taken {
        let mut last: BTreeMap<(Table, Id), Read> = BTreeMap::new();
        last.extend(reads.into_iter().map(|read| ((read.table, read.id), read)));
        let mut taken = Taken::default();
        let mut touched = Touched::default();
        let mut is_renamed = false;
        for read in last.into_values().filter(|read| !self.tables.knows(read)).collect::<Vec<_>>() {
            if let Err(error) = self.tables.put(&read, &mut touched) {
                let origin = format!("{}-{}", read.table.sql(), read.id);
                taken.findings.push(Finding { origin, reason: error.to_string() });
            }
            is_renamed |= read.table == Table::Product;
            taken.rows.push(read);
        }
        self.resolve(&mut touched, is_renamed);
        self.say(&touched, now, &mut taken);
        taken
    }

    /// Those of `tables` that are not among `read`: what was deleted shows in no other way.
    pub(super) fn gone(&self, tables: &BTreeSet<Table>, read: &[Read]) -> Vec<Read> {
        let read = read.iter().map(|read| (read.table, read.id)).collect();
        self.tables.gone(tables, &read)
    }

    /// Whether a row says nothing new.
    pub(super) fn knows(&self, read: &Read) -> bool {
        self.tables.knows(read)
    }

    /// Names may pass from one product to another.
    fn resolve(&mut self, touched: &mut Touched, is_renamed: bool) {
        if touched.all {
            self.places = Places::of(&self.tables);
            touched.products.extend(self.tables.products.keys().chain(self.items.keys()));
            touched.parties.extend(self.tables.parties.keys().chain(self.accounts.keys()));
        }
        if touched.all || is_renamed {
            self.names = Names::of(&self.tables, &self.terms);
            let heirs = |id: &Id| {
                let before = self.items.get(id).and_then(|said| said.item.as_ref());
                let before = before.and_then(|item| self.names.owner(item.item.as_str()));
                let code = self.tables.products.get(id).map(|product| product.code.as_str());
                before.into_iter().chain(code.and_then(|code| self.names.owner(code)))
            };
            let heirs: Vec<Id> = touched.products.iter().flat_map(heirs).collect();
            touched.products.extend(heirs);
        }
    }

    fn say(&mut self, touched: &Touched, now: Timestamp, taken: &mut Taken) {
        let mut told = Told::default();
        for id in &touched.products {
            let (after, left_out) = self.said(*id, now, taken);
            let before = self.items.remove(id).unwrap_or_default();
            told.product(&before, &after, &left_out);
            if after != Said::default() {
                self.items.insert(*id, after);
            }
        }
        for id in &touched.parties {
            let after = catalog::account(&self.tables, &self.names, &self.terms, *id);
            let before = match &after {
                Some(after) => self.accounts.insert(*id, after.clone()),
                None => self.accounts.remove(id),
            };
            told.account(before, after);
        }
        let changes = told.changes(self.names.currency, &self.terms);
        for change in changes {
            match change.check() {
                Ok(()) => taken.changes.push(change),
                Err(error) => taken.findings.push(refused(&change, &error.to_string())),
            }
        }
    }

    fn said(&mut self, id: Id, now: Timestamp, taken: &mut Taken) -> (Said, BTreeSet<Name>) {
        let Some(name) = self.names.item(&self.tables, id) else {
            if let Some(product) = self.tables.products.get(&id) {
                let owner = self.names.owner(&product.code);
                let reason = owner.map_or_else(
                    || format!("product {id} has no code that could be an item's"),
                    |owner| format!("product {id} has the code {} of product {owner}", product.code),
                );
                taken.findings.push(Finding { origin: format!("product_product-{id}"), reason });
            }
            return Default::default();
        };
        let item = catalog::item(&self.tables, &self.terms, id, &name);
        let prices = catalog::prices(&self.tables, &self.names, &self.terms, id);
        let Stock { cells, supply, closed, left_out } =
            stock(&self.tables, &self.places, id, &name, now).unwrap_or_default();
        for line in closed {
            self.tables.put_aside(line, id);
        }
        if item.is_none() {
            return Default::default();
        }
        (Said { item, prices, cells, supply }, left_out)
    }

    /// What is asked of one item, as far as it was taken in.
    pub(super) fn live(&self, asked: &Asked) -> Vec<Change> {
        let item = match asked {
            Asked::Stock(asked) => &asked.item,
            Asked::Prices(asked) => &asked.item,
        };
        let Some(said) = self.names.owner(item.as_str()).and_then(|id| self.items.get(&id)) else {
            return Vec::new();
        };
        let mut told = Told::default();
        told.product(&Said { item: said.item.clone(), ..Said::default() }, said, &BTreeSet::new());
        let mut changes = told.changes(self.names.currency, &self.terms);
        changes.retain(|change| asked.covers(change));
        changes
    }

    /// All of it, as snapshots that leave nothing of an earlier life.
    pub(super) fn whole(&self) -> Vec<Snapshot> {
        let mut told = Told::default();
        for said in self.items.values() {
            told.product(&Said::default(), said, &BTreeSet::new());
        }
        for account in self.accounts.values() {
            told.account(None, Some(account.clone()));
        }
        let mut tables: [(Scope, Vec<Change>); 5] =
            [Scope::Items, Scope::Accounts, Scope::Prices, Scope::Stock, Scope::Supply]
                .map(|table| (table, Vec::new()));
        for change in told.changes(self.names.currency, &self.terms) {
            let rows = tables.iter_mut().find(|(table, _)| change.table() == Some(*table));
            if let Some((_, rows)) = rows.filter(|_| change.check().is_ok()) {
                rows.push(change);
            }
        }
        let lists = PriceSelection::Kind(PriceScopeKind::List);
        let scope = |table| {
            if table == Scope::Prices { priced(table, lists.clone()) } else { SnapshotScope::whole(table) }
        };
        tables.into_iter().map(|(table, rows)| Snapshot { scope: scope(table), rows }).collect()
    }
}

fn refused(change: &Change, reason: &str) -> Finding {
    let text = serde_json::to_string(change).unwrap_or_default();
    let shown: String = text.chars().take(CHANGE_CHARS_MAX).collect();
    let origin: String = text.bytes().filter(u8::is_ascii_alphanumeric).take(64).map(char::from).collect();
    Finding { origin, reason: format!("{reason}: {shown}") }
}

/// Of a change in a finding.
const CHANGE_CHARS_MAX: usize = 512;

/// Rows of a list that share their dates go out together.
type PriceGroup = (ListId, Option<LocalDate>, Option<LocalDate>);

/// What is to be said, removals first: a name may pass from one record to another.
#[derive(Default)]
struct Told {
    removed: Vec<Change>,
    set: Vec<Change>,
    prices: BTreeMap<PriceGroup, Vec<pannier_protocol::change::PriceRow>>,
    prices_removed: BTreeMap<(ListId, Option<LocalDate>), Vec<pannier_protocol::change::PriceKey>>,
}

impl Told {
    fn product(&mut self, before: &Said, after: &Said, left_out: &BTreeSet<Name>) {
        let name = |said: &Said| said.item.as_ref().map(|item| item.item.clone());
        if let Some(item) = name(before).filter(|_| name(before) != name(after)) {
            self.removed.push(Change::ItemRemoved(ItemRemoved { item }));
        }
        if before.item != after.item {
            self.set.extend(after.item.clone().map(Change::Item));
        }
        self.prices(before, after);
        for (warehouse, cell) in &before.cells {
            if after.cells.get(warehouse).is_none_or(|it| it.item != cell.item) {
                let (item, warehouse) = (cell.item.clone(), warehouse.clone());
                self.removed.push(Change::StockRemoved(StockRemoved { item, warehouse }));
            }
        }
        for (warehouse, cell) in &after.cells {
            let old = before.cells.get(warehouse);
            if old != Some(cell) {
                self.set.push(Change::StockSet(with_vanished(cell, old, left_out)));
            }
        }
        for (key, row) in &before.supply {
            if after.supply.get(key).is_none_or(|it| it.item != row.item) {
                let SupplySet { item, warehouse, reference, .. } = row.clone();
                self.removed.push(Change::SupplyRemoved(SupplyRemoved { item, warehouse, reference }));
            }
        }
        for (key, row) in &after.supply {
            if before.supply.get(key) != Some(row) {
                self.set.push(Change::SupplySet(row.clone()));
            }
        }
    }

    fn prices(&mut self, before: &Said, after: &Said) {
        for ((list, from), (row, _)) in &before.prices {
            let new = after.prices.get(&(list.clone(), *from));
            if new.is_none_or(|(new, _)| new.key != row.key) {
                self.prices_removed.entry((list.clone(), *from)).or_default().push(row.key.clone());
            }
        }
        for ((list, from), (row, until)) in &after.prices {
            if before.prices.get(&(list.clone(), *from)) != Some(&(row.clone(), *until)) {
                self.prices.entry((list.clone(), *from, *until)).or_default().push(row.clone());
            }
        }
    }

    fn account(&mut self, before: Option<Account>, after: Option<Account>) {
        if before == after {
            return;
        }
        if let Some(before) = before
            && after.as_ref().is_none_or(|after| after.account != before.account)
        {
            self.removed.push(Change::AccountRemoved(AccountRemoved { account: before.account }));
        }
        self.set.extend(after.map(Change::Account));
    }

    fn changes(self, currency: Option<Currency>, terms: &Terms) -> Vec<Change> {
        let mut changes = self.removed;
        let day = |date: Option<LocalDate>| date.map(|date| edge(date, &terms.zone));
        let scope = PriceScope::List;
        if let Some(currency) = currency {
            for ((list, from), rows) in self.prices_removed {
                for rows in rows.chunks(pannier_protocol::limits::LIST_MAX) {
                    let (scope, from, rows) = (scope(list.clone()), day(from), rows.to_vec());
                    changes.push(Change::PricesRemoved(PricesRemoved { scope, currency, from, rows }));
                }
            }
            for ((list, from, until), rows) in self.prices {
                for rows in rows.chunks(pannier_protocol::limits::PRICE_ROWS_MAX) {
                    let (scope, from, to) = (scope(list.clone()), day(from), day(until));
                    changes.push(Change::Prices(Prices { scope, currency, from, to, rows: rows.to_vec() }));
                }
            }
        }
        changes.extend(self.set);
        changes
    }
}

/// Names that the cell had and has no more, as after a restore, are not contained any more; left out they would
/// stay.
fn with_vanished(cell: &StockSet, before: Option<&StockSet>, left_out: &BTreeSet<Name>) -> StockSet {
    let mut cell = cell.clone();
    let kept = names(&cell);
    let before = before.map(names).unwrap_or_default();
    let vanished = before.into_iter().filter(|name| !kept.contains(name) && !left_out.contains(name));
    let zero = |(order, line)| ReflectedLine { order, line, quantity: Decimal::ZERO };
    let vanished: Vec<ReflectedLine> = vanished.map(zero).collect();
    if !vanished.is_empty() {
        let mut lines = match cell.reflects.take() {
            Some(Reflected::Lines(lines)) => lines,
            Some(Reflected::Position(_)) | None => Vec::new(),
        };
        lines.extend(vanished);
        cell.reflects = Some(Reflected::Lines(lines));
    }
    cell
}
