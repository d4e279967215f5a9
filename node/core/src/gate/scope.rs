//! Which changes lie in a snapshot's scope, and which scopes in each other's way.

use pannier_protocol::change::{PriceSelection, SnapshotScope, Table};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, WarehouseId};

/// The tables that a subject can carry.
pub(super) fn tables(subject: &Subject) -> &'static [Table] {
    match subject {
        Subject::Stock(_) => {
            &[Table::Stock, Table::Supply, Table::Lots, Table::Safety, Table::Credit, Table::Caps]
        }
        Subject::Catalog(..) => {
            &[Table::Items, Table::References, Table::Accounts, Table::Scopes, Table::Prices, Table::Policies]
        }
        Subject::Order(_) | Subject::Event(_) | Subject::Control => &[],
    }
}

/// Whether the change states a row that the scope contains (or, removing, may).
pub(super) fn covers(scope: &SnapshotScope, change: &Change) -> bool {
    let warehouse = scope.warehouse.as_ref().is_none_or(|named| change.warehouse() == Some(named));
    let prices = scope.prices.as_ref().is_none_or(|selection| match (selection, change.price_scope()) {
        (PriceSelection::Scope(named), Some(of)) => named == of,
        (PriceSelection::Kind(kind), Some(of)) => *kind == of.kind(),
        (_, None) => false,
    });
    touches(scope.table, change) && warehouse && prices
}

/// Whether the change states or removes rows of the table.
pub(super) fn touches(table: Table, change: &Change) -> bool {
    let both = matches!((change, table), (Change::ScopeRemoved(_), Table::Prices));
    change.table().is_some_and(|of| both || of == table || table == Table::All)
}

/// Whether a row can lie in both.
pub(super) fn overlap(one: &SnapshotScope, other: &SnapshotScope) -> bool {
    let differ = |one: Option<&WarehouseId>, other| matches!((one, other), (Some(a), Some(b)) if a != b);
    let tables = one.table == other.table || one.table == Table::All || other.table == Table::All;
    let prices = match (&one.prices, &other.prices) {
        (Some(PriceSelection::Scope(a)), Some(PriceSelection::Scope(b))) => a == b,
        (Some(PriceSelection::Kind(a)), Some(PriceSelection::Kind(b))) => a == b,
        (Some(PriceSelection::Kind(kind)), Some(PriceSelection::Scope(of)))
        | (Some(PriceSelection::Scope(of)), Some(PriceSelection::Kind(kind))) => of.kind() == *kind,
        (None, _) | (_, None) => true,
    };
    tables && prices && !differ(one.warehouse.as_ref(), other.warehouse.as_ref())
}
