//! What a row is known by in the mirror: bytes that sort as `subject, table, (warehouse | scope), rest`, so
//! that every scope of a snapshot is one range. Ids hold no control characters: 0 ends each part.

use pannier_protocol::change::{
    PriceKey, PriceScope, PriceScopeKind, PriceSelection, Prices, ReferenceKind, SnapshotScope, Table,
};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Currency, DateEdge};

/// What a change does to the mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Put(Vec<u8>, Box<Change>),
    Remove(Vec<u8>),
    RemoveAll(Vec<u8>),
}

/// The bytes of one key.
#[derive(Debug, Clone)]
pub(super) struct RowKey(Vec<u8>);

impl RowKey {
    fn new(subject: &Subject, table: Table) -> Self {
        let key = Self(Vec::with_capacity(96)).part(&subject.to_string());
        key.byte(table_byte(table))
    }

    fn part(mut self, text: &str) -> Self {
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(0);
        self
    }

    fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    fn maybe(self, text: Option<&str>) -> Self {
        self.part(text.unwrap_or_default())
    }

    fn scope(self, scope: &PriceScope) -> Self {
        self.byte(kind_byte(scope.kind())).part(scope.id())
    }

    fn rate(self, currency: Currency, from: Option<&DateEdge>, key: &PriceKey) -> Self {
        let from = from.map(|edge| format!("{} {}", edge.date, edge.zone));
        self.part(currency.as_str())
            .maybe(from.as_deref())
            .maybe(key.item.as_ref().map(AsRef::as_ref))
            .maybe(key.class.as_ref().map(AsRef::as_ref))
            .maybe(key.uom.as_ref().map(AsRef::as_ref))
            .maybe(key.warehouse.as_ref().map(AsRef::as_ref))
    }

    fn reference(self, kind: &ReferenceKind, number: &str) -> Self {
        let (byte, account) = match kind {
            ReferenceKind::Customer(account) => (0, Some(account.as_str())),
            ReferenceKind::SharedCustomer => (1, None),
            ReferenceKind::Vendor => (2, None),
            ReferenceKind::Gtin => (3, None),
        };
        self.byte(byte).maybe(account).part(number)
    }
}

fn table_byte(table: Table) -> u8 {
    match table {
        Table::Stock => 1,
        Table::Supply => 2,
        Table::Lots => 3,
        Table::Safety => 4,
        Table::Credit => 5,
        Table::Caps => 6,
        Table::Policies => 7,
        Table::Items => 8,
        Table::References => 9,
        Table::Accounts => 10,
        Table::Scopes => 11,
        Table::Prices => 12,
        Table::All => 0,
    }
}

fn kind_byte(kind: PriceScopeKind) -> u8 {
    match kind {
        PriceScopeKind::Contract => 1,
        PriceScopeKind::Account => 2,
        PriceScopeKind::Group => 3,
        PriceScopeKind::Promotion => 4,
        PriceScopeKind::List => 5,
    }
}

/// All rows of a chain.
pub(super) fn chain_range(subject: &Subject) -> Vec<u8> {
    RowKey(Vec::new()).part(&subject.to_string()).0
}

/// The rows that a snapshot of `scope` on `subject` repeats.
pub(super) fn snapshot_range(subject: &Subject, scope: &SnapshotScope) -> Vec<u8> {
    if scope.table == Table::All {
        return chain_range(subject);
    }
    let table = RowKey::new(subject, scope.table);
    match (&scope.warehouse, &scope.prices) {
        (Some(warehouse), _) => table.part(warehouse.as_str()).0,
        (None, Some(PriceSelection::Scope(scope))) => table.scope(scope).0,
        (None, Some(PriceSelection::Kind(kind))) => table.byte(kind_byte(*kind)).0,
        (None, None) => table.0,
    }
}

/// The rows of a table.
pub(super) fn table_range(subject: &Subject, table: Table) -> Vec<u8> {
    RowKey::new(subject, table).0
}

/// Header and rows of a price scope.
pub(super) fn scope_ranges(subject: &Subject, scope: &PriceScope) -> [Vec<u8>; 2] {
    [Table::Scopes, Table::Prices].map(|table| RowKey::new(subject, table).scope(scope).0)
}

/// What a price scope is known by among the homes.
pub(super) fn home_key(scope: &PriceScope) -> Vec<u8> {
    RowKey(Vec::new()).scope(scope).0
}

/// What `change` on `subject` does. Marks and relative changes do nothing: the mirror cannot hold them.
pub(super) fn effects(subject: &Subject, change: &Change) -> Vec<Effect> {
    let cell = |table, warehouse: &str, item: &str| RowKey::new(subject, table).part(warehouse).part(item).0;
    let one = |table, id: &str| RowKey::new(subject, table).part(id).0;
    let put = |key| vec![Effect::Put(key, Box::new(change.clone()))];
    let remove = |key| vec![Effect::Remove(key)];
    match change {
        Change::StockSet(of) => put(cell(Table::Stock, of.warehouse.as_str(), of.item.as_str())),
        Change::StockRemoved(of) => remove(cell(Table::Stock, of.warehouse.as_str(), of.item.as_str())),
        Change::SupplySet(of) => {
            put(supply(subject, of.warehouse.as_str(), of.item.as_str(), of.reference.as_str()))
        }
        Change::SupplyRemoved(of) => {
            remove(supply(subject, of.warehouse.as_str(), of.item.as_str(), of.reference.as_str()))
        }
        Change::LotsSet(of) => {
            let key = cell(Table::Lots, of.warehouse.as_str(), of.item.as_str());
            if of.lots.is_empty() { remove(key) } else { put(key) }
        }
        Change::SafetySet(of) => {
            let key = cell(Table::Safety, of.warehouse.as_str(), of.item.as_str());
            if of.quantity.is_zero() { remove(key) } else { put(key) }
        }
        Change::OversellSet(of) => put(cell(Table::Safety, "", of.item.as_str())),
        Change::Credit(of) => put(one(Table::Credit, of.account.as_str())),
        Change::CreditRemoved(of) => remove(one(Table::Credit, of.account.as_str())),
        Change::Cap(of) => put(cap(subject, of.contract.as_str(), of.item.as_ref().map(AsRef::as_ref))),
        Change::CapRemoved(of) => {
            remove(cap(subject, of.contract.as_str(), of.item.as_ref().map(AsRef::as_ref)))
        }
        Change::Item(of) => put(one(Table::Items, of.item.as_str())),
        Change::ItemRemoved(of) => remove(one(Table::Items, of.item.as_str())),
        Change::Reference(of) => {
            put(RowKey::new(subject, Table::References).reference(&of.kind, of.number.as_str()).0)
        }
        Change::ReferenceRemoved(of) => {
            remove(RowKey::new(subject, Table::References).reference(&of.kind, of.number.as_str()).0)
        }
        Change::Account(of) => put(one(Table::Accounts, of.account.as_str())),
        Change::AccountRemoved(of) => remove(one(Table::Accounts, of.account.as_str())),
        Change::Scope(of) => put(RowKey::new(subject, Table::Scopes).scope(&of.scope).0),
        Change::ScopeRemoved(of) => {
            scope_ranges(subject, &of.scope).into_iter().map(Effect::RemoveAll).collect()
        }
        Change::Prices(of) => of.rows.iter().map(|row| price(subject, of, row)).collect(),
        Change::PricesRemoved(of) => of
            .rows
            .iter()
            .map(|key| {
                let table = RowKey::new(subject, Table::Prices).scope(&of.scope);
                Effect::Remove(table.rate(of.currency, of.from.as_ref(), key).0)
            })
            .collect(),
        Change::Policy(of) => put(one(Table::Policies, of.document.name())),
        Change::StockAdjust(_)
        | Change::Claim(_)
        | Change::Tick(_)
        | Change::Invalidate(_)
        | Change::UnitBegin(_)
        | Change::UnitCommit(_)
        | Change::SnapshotBegin(_)
        | Change::SnapshotEnd(_)
        | Change::Part(_)
        | Change::SnapshotApproved(_)
        | Change::RuleVersionActivated(_)
        | Change::Command(_)
        | Change::Event(_)
        | Change::Decision(_) => Vec::new(),
    }
}

/// The rows that a removal names: of a scope its header.
pub(super) fn named(subject: &Subject, removal: &Change) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for effect in effects(subject, removal) {
        match effect {
            Effect::Put(key, _) | Effect::Remove(key) => keys.push(key),
            Effect::RemoveAll(range) => {
                if range.starts_with(&table_range(subject, Table::Scopes)) {
                    keys.push(range);
                }
            }
        }
    }
    keys
}

fn supply(subject: &Subject, warehouse: &str, item: &str, reference: &str) -> Vec<u8> {
    RowKey::new(subject, Table::Supply).part(warehouse).part(item).part(reference).0
}

fn cap(subject: &Subject, contract: &str, item: Option<&str>) -> Vec<u8> {
    RowKey::new(subject, Table::Caps).part(contract).maybe(item).0
}

fn price(subject: &Subject, of: &Prices, row: &pannier_protocol::change::PriceRow) -> Effect {
    let table = RowKey::new(subject, Table::Prices).scope(&of.scope);
    let key = table.rate(of.currency, of.from.as_ref(), &row.key).0;
    Effect::Put(key, Box::new(Change::Prices(Prices { rows: vec![row.clone()], ..header(of) })))
}

/// The same `prices` change without its rows.
pub(super) fn header(of: &Prices) -> Prices {
    Prices {
        scope: of.scope.clone(),
        currency: of.currency,
        from: of.from.clone(),
        to: of.to.clone(),
        rows: Vec::new(),
    }
}
