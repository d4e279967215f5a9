//! What is known of Tryton's tables, and what of it is to be said anew when a row changes.
//!
//! Tryton keeps moves and no balances. They are added up as they come, so that a change costs what is open of its
//! item and not what was ever moved.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::row::{
    BadRow, Cache, Columns, Company, ListPrice, Location, Move, MoveState, Origin, Party, PartyList,
    PriceList, Product, Sale, SaleLine, Template, Uom,
};
use super::table::{Cells, Id, Read, Table};

/// Rows of one company's Tryton.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// Moves, lists and prices of other companies are not taken.
    pub(super) company: Id,
    known: BTreeMap<(Table, Id), u64>,
    pub(super) currencies: BTreeMap<Id, String>,
    pub(super) companies: BTreeMap<Id, Company>,
    pub(super) uoms: BTreeMap<Id, Uom>,
    pub(super) locations: BTreeMap<Id, Location>,
    pub(super) templates: BTreeMap<Id, Template>,
    pub(super) products: BTreeMap<Id, Product>,
    pub(super) list_prices: BTreeMap<Id, ListPrice>,
    pub(super) parties: BTreeMap<Id, Party>,
    pub(super) party_lists: BTreeMap<Id, PartyList>,
    pub(super) price_lists: BTreeMap<Id, PriceList>,
    pub(super) caches: BTreeMap<Id, Cache>,
    pub(super) purchases: BTreeMap<Id, String>,
    pub(super) purchase_lines: BTreeMap<Id, Id>,
    pub(super) sales: BTreeMap<Id, Sale>,
    pub(super) sale_lines: BTreeMap<Id, SaleLine>,
    pub(super) moves: BTreeMap<Id, Move>,
    pub(super) by: Indexes,
    pub(super) sums: Sums,
}

/// Who belongs to whom.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    pub(super) products_of_template: Index,
    pub(super) list_prices_of_template: Index,
    pub(super) caches_of_product: Index,
    pub(super) lists_of_party: Index,
    pub(super) lines_of_sale: Index,
    pub(super) lines_of_product: Index,
    pub(super) open_moves_of_product: Index,
}

/// What moves come to, in millionths of the item's base unit.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// By item and location: into it less out of it, as far as done.
    pub(super) settled: BTreeMap<(Id, Id), i128>,
    /// By sale line: all that was ever meant to be moved for it, open, done or cancelled.
    pub(super) meant: BTreeMap<Id, i128>,
}

#[derive(Debug, Default)]
pub(super) struct Index(BTreeMap<Id, BTreeSet<Id>>);

impl Index {
    pub(super) fn of(&self, owner: Id) -> impl Iterator<Item = Id> + '_ {
        self.0.get(&owner).into_iter().flatten().copied()
    }

    fn change(&mut self, id: Id, old: Option<Id>, new: Option<Id>) {
        if old == new {
            return;
        }
        if let Some(owned) = old.and_then(|old| self.0.get_mut(&old)) {
            owned.remove(&id);
        }
        if let Some(new) = new {
            self.0.entry(new).or_default().insert(id);
        }
    }
}

/// What is to be said anew.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Touched {
    /// A unit, a place or a list changed, which may be part of everything.
    pub(super) all: bool,
    pub(super) products: BTreeSet<Id>,
    pub(super) parties: BTreeSet<Id>,
}

impl Touched {
    fn product(&mut self, old: Option<Id>, new: Option<Id>) {
        self.products.extend(old.into_iter().chain(new));
    }

    fn party(&mut self, old: Option<Id>, new: Option<Id>) {
        self.parties.extend(old.into_iter().chain(new));
    }
}

fn swap<T>(rows: &mut BTreeMap<Id, T>, id: Id, new: Option<T>) -> Option<T> {
    match new {
        Some(new) => rows.insert(id, new),
        None => rows.remove(&id),
    }
}

fn hash_of(cells: &Cells) -> u64 {
    let mut hasher = DefaultHasher::new();
    cells.hash(&mut hasher);
    hasher.finish()
}

impl Tables {
    pub(super) fn new(company: Id) -> Self {
        Self { company, ..Self::default() }
    }

    /// Whether a row is as it was said before.
    pub(super) fn knows(&self, read: &Read) -> bool {
        let before = self.known.get(&(read.table, read.id)).copied();
        before == read.cells.as_ref().map(hash_of)
    }

    /// Those rows of `tables` that are not among `read` any more.
    pub(super) fn gone(&self, tables: &BTreeSet<Table>, read: &BTreeSet<(Table, Id)>) -> Vec<Read> {
        let known = self.known.keys().filter(|(table, _)| tables.contains(table));
        let gone = known.filter(|key| !read.contains(key));
        gone.map(|(table, id)| Read { table: *table, id: *id, cells: None }).collect()
    }

    /// Takes one row in. One without a meaning counts as gone.
    pub(super) fn put(&mut self, read: &Read, touched: &mut Touched) -> Result<(), BadRow> {
        let key = (read.table, read.id);
        match &read.cells {
            Some(cells) => self.known.insert(key, hash_of(cells)),
            None => self.known.remove(&key),
        };
        let columns = read.cells.as_ref().map(|cells| Columns { table: read.table, id: read.id, cells });
        match read.table {
            Table::Currency
            | Table::Company
            | Table::Uom
            | Table::Location
            | Table::PriceList
            | Table::Purchase
            | Table::PurchaseLine => self.put_plain(read, columns.as_ref(), touched),
            Table::Template | Table::Product | Table::ListPrice | Table::Cache => {
                self.put_item(read, columns.as_ref(), touched)
            }
            Table::Party | Table::PartyList => self.put_party(read, columns.as_ref(), touched),
            Table::Sale => self.put_sale(read.id, columns.as_ref(), touched),
            Table::SaleLine => self.put_sale_line(read.id, columns.as_ref(), touched),
            Table::Move => self.put_move(read.id, columns.as_ref(), touched),
        }
    }

    fn put_plain(
        &mut self,
        read: &Read,
        columns: Option<&Columns<'_>>,
        touched: &mut Touched,
    ) -> Result<(), BadRow> {
        let (id, mut bad) = (read.id, None);
        let mut kept = |error: BadRow| bad = Some(error);
        touched.all |= !matches!(read.table, Table::Purchase | Table::PurchaseLine);
        if read.table == Table::Currency {
            swap(&mut self.currencies, id, columns.map(Columns::code));
        } else if read.table == Table::Company {
            swap(&mut self.companies, id, columns.and_then(|it| it.company().map_err(&mut kept).ok()));
        } else if read.table == Table::Uom {
            swap(&mut self.uoms, id, columns.and_then(|it| it.uom().map_err(&mut kept).ok()));
        } else if read.table == Table::Location {
            swap(&mut self.locations, id, columns.and_then(|it| it.location().map_err(&mut kept).ok()));
        } else if read.table == Table::PriceList {
            let list = columns.and_then(|it| it.price_list().map_err(&mut kept).ok());
            swap(&mut self.price_lists, id, list.filter(|it| it.company == Some(self.company)));
        } else if read.table == Table::Purchase {
            swap(&mut self.purchases, id, columns.map(Columns::number));
        } else {
            swap(&mut self.purchase_lines, id, columns.and_then(|it| it.purchase().map_err(&mut kept).ok()));
        }
        bad.map_or(Ok(()), Err)
    }

    fn put_item(
        &mut self,
        read: &Read,
        columns: Option<&Columns<'_>>,
        touched: &mut Touched,
    ) -> Result<(), BadRow> {
        let (id, mut bad) = (read.id, None);
        let mut kept = |error: BadRow| bad = Some(error);
        if read.table == Table::Template {
            swap(&mut self.templates, id, columns.and_then(|it| it.template().map_err(&mut kept).ok()));
            touched.products.extend(self.by.products_of_template.of(id));
        } else if read.table == Table::Product {
            let new = columns.and_then(|it| it.product().map_err(&mut kept).ok());
            let after = new.as_ref().map(|it| it.template);
            let before = swap(&mut self.products, id, new).map(|it| it.template);
            self.by.products_of_template.change(id, before, after);
            touched.products.insert(id);
        } else if read.table == Table::ListPrice {
            let new = columns.and_then(|it| it.list_price().map_err(&mut kept).ok());
            let new = new.filter(|it| it.company.is_none_or(|of| of == self.company));
            let after = new.as_ref().map(|it| it.template);
            let before = swap(&mut self.list_prices, id, new).map(|it| it.template);
            self.by.list_prices_of_template.change(id, before, after);
            for template in before.into_iter().chain(after) {
                touched.products.extend(self.by.products_of_template.of(template));
            }
        } else {
            let new = columns.and_then(|it| it.cache().map_err(&mut kept).ok());
            let after = new.as_ref().map(|it| it.product);
            let before = swap(&mut self.caches, id, new).map(|it| it.product);
            self.by.caches_of_product.change(id, before, after);
            touched.product(before, after);
        }
        bad.map_or(Ok(()), Err)
    }

    fn put_party(
        &mut self,
        read: &Read,
        columns: Option<&Columns<'_>>,
        touched: &mut Touched,
    ) -> Result<(), BadRow> {
        let (id, mut bad) = (read.id, None);
        let mut kept = |error: BadRow| bad = Some(error);
        if read.table == Table::Party {
            swap(&mut self.parties, id, columns.map(Columns::party));
            touched.parties.insert(id);
        } else {
            let new = columns.and_then(|it| it.party_list().map_err(&mut kept).ok());
            let new = new.filter(|it| it.company.is_none_or(|of| of == self.company));
            let after = new.as_ref().and_then(|it| it.party);
            let before = swap(&mut self.party_lists, id, new).and_then(|it| it.party);
            self.by.lists_of_party.change(id, before, after);
            touched.party(before, after);
        }
        bad.map_or(Ok(()), Err)
    }

    fn put_sale(
        &mut self,
        id: Id,
        columns: Option<&Columns<'_>>,
        touched: &mut Touched,
    ) -> Result<(), BadRow> {
        let new = columns.map(Columns::sale).transpose();
        let row = new.as_ref().ok().cloned().flatten().filter(|it| it.company == Some(self.company));
        swap(&mut self.sales, id, row);
        for line in self.by.lines_of_sale.of(id) {
            let product = self.sale_lines.get(&line).and_then(|it| it.product);
            touched.product(product, None);
            // It may have been put aside as long shipped.
            self.by.lines_of_product.change(line, None, product);
        }
        new.map(|_| ())
    }

    fn put_sale_line(
        &mut self,
        id: Id,
        columns: Option<&Columns<'_>>,
        touched: &mut Touched,
    ) -> Result<(), BadRow> {
        let new = columns.map(Columns::sale_line).transpose();
        let row = new.as_ref().ok().cloned().flatten();
        let (sale, product) = (row.as_ref().map(|it| it.sale), row.as_ref().and_then(|it| it.product));
        let before = swap(&mut self.sale_lines, id, row);
        self.by.lines_of_sale.change(id, before.as_ref().map(|it| it.sale), sale);
        let product_before = before.and_then(|it| it.product);
        self.by.lines_of_product.change(id, product_before, product);
        touched.product(product_before, product);
        new.map(|_| ())
    }

    fn put_move(
        &mut self,
        id: Id,
        columns: Option<&Columns<'_>>,
        touched: &mut Touched,
    ) -> Result<(), BadRow> {
        let new = columns.map(Columns::stock_move).transpose();
        let row = new.as_ref().ok().cloned().flatten().filter(|it| it.company == Some(self.company));
        let open = |of: Option<&Move>| of.filter(|it| it.state.is_open()).map(|it| it.product);
        let after = row.clone();
        let before = swap(&mut self.moves, id, row);
        self.by.open_moves_of_product.change(id, open(before.as_ref()), open(after.as_ref()));
        touched.product(before.as_ref().map(|it| it.product), after.as_ref().map(|it| it.product));
        if let Some(before) = before {
            self.sums.add(&before, -1);
        }
        if let Some(after) = after {
            self.sums.add(&after, 1);
        }
        new.map(|_| ())
    }

    /// Leaves a line out of what is looked at for its item, until its sale changes again.
    pub(super) fn put_aside(&mut self, line: Id, product: Id) {
        self.by.lines_of_product.change(line, Some(product), None);
    }
}

impl Sums {
    fn add(&mut self, of: &Move, sign: i128) {
        let quantity = i128::from(of.quantity) * sign;
        if of.state == MoveState::Done {
            add(&mut self.settled, (of.product, of.to), quantity);
            add(&mut self.settled, (of.product, of.from), -quantity);
        }
        if let Origin::SaleLine(line) = of.origin
            && (of.state != MoveState::Void || of.is_cancelled)
        {
            add(&mut self.meant, line, quantity);
        }
    }
}

/// A sum of nothing stays: that an item ever was somewhere is known by it.
fn add<K: Ord>(sums: &mut BTreeMap<K, i128>, key: K, quantity: i128) {
    *sums.entry(key).or_default() += quantity;
}
