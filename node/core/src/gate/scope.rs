//! Which changes lie in a snapshot's scope, and which scopes in each other's way.

use pannier_protocol::change::{PriceScope, PriceSelection, SnapshotScope, Table};
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

/// A whole table.
pub(super) fn whole(table: Table) -> SnapshotScope {
    SnapshotScope { table, warehouse: None, prices: None }
}

/// Whether the change states a row that the scope contains (or, removing, may).
pub(super) fn covers(scope: &SnapshotScope, change: &Change) -> bool {
    let warehouse = scope.warehouse.as_ref().is_none_or(|named| warehouse(change) == Some(named));
    let prices = scope.prices.as_ref().is_none_or(|selection| match (selection, price_scope(change)) {
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

fn warehouse(change: &Change) -> Option<&WarehouseId> {
    match change {
        Change::StockSet(of) => Some(&of.warehouse),
        Change::StockAdjust(of) => Some(&of.warehouse),
        Change::StockRemoved(of) => Some(&of.warehouse),
        Change::SupplySet(of) => Some(&of.warehouse),
        Change::SupplyRemoved(of) => Some(&of.warehouse),
        Change::LotsSet(of) => Some(&of.warehouse),
        Change::SafetySet(of) => Some(&of.warehouse),
        Change::OversellSet(_)
        | Change::Credit(_)
        | Change::CreditRemoved(_)
        | Change::Cap(_)
        | Change::CapRemoved(_)
        | Change::Item(_)
        | Change::ItemRemoved(_)
        | Change::Reference(_)
        | Change::ReferenceRemoved(_)
        | Change::Account(_)
        | Change::AccountRemoved(_)
        | Change::Scope(_)
        | Change::ScopeRemoved(_)
        | Change::Prices(_)
        | Change::PricesRemoved(_)
        | Change::Policy(_)
        | Change::Claim(_)
        | Change::Tick(_)
        | Change::Invalidate(_)
        | Change::UnitBegin(_)
        | Change::UnitCommit(_)
        | Change::SnapshotBegin(_)
        | Change::SnapshotEnd(_)
        | Change::Part(_)
        | Change::SnapshotApproved(_)
        | Change::RuleVersionActivated(_) => None,
    }
}

fn price_scope(change: &Change) -> Option<&PriceScope> {
    match change {
        Change::Scope(of) => Some(&of.scope),
        Change::ScopeRemoved(of) => Some(&of.scope),
        Change::Prices(of) => Some(&of.scope),
        Change::PricesRemoved(of) => Some(&of.scope),
        Change::StockSet(_)
        | Change::StockAdjust(_)
        | Change::StockRemoved(_)
        | Change::SupplySet(_)
        | Change::SupplyRemoved(_)
        | Change::LotsSet(_)
        | Change::SafetySet(_)
        | Change::OversellSet(_)
        | Change::Credit(_)
        | Change::CreditRemoved(_)
        | Change::Cap(_)
        | Change::CapRemoved(_)
        | Change::Item(_)
        | Change::ItemRemoved(_)
        | Change::Reference(_)
        | Change::ReferenceRemoved(_)
        | Change::Account(_)
        | Change::AccountRemoved(_)
        | Change::Policy(_)
        | Change::Claim(_)
        | Change::Tick(_)
        | Change::Invalidate(_)
        | Change::UnitBegin(_)
        | Change::UnitCommit(_)
        | Change::SnapshotBegin(_)
        | Change::SnapshotEnd(_)
        | Change::Part(_)
        | Change::SnapshotApproved(_)
        | Change::RuleVersionActivated(_) => None,
    }
}
