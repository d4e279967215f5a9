//! Where the row of a change lies within its table: what scopes of snapshots and partitions are told by.

use crate::WarehouseId;

use super::{Change, PriceScope};

/// The part of a table that a row belongs to.
enum Division<'c> {
    Warehouse(&'c WarehouseId),
    Prices(&'c PriceScope),
    /// A table that is not divided, or no row at all.
    Undivided,
}

impl Change {
    /// The warehouse whose row this states, adds to or removes.
    pub fn warehouse(&self) -> Option<&WarehouseId> {
        if let Division::Warehouse(warehouse) = self.row_division() { Some(warehouse) } else { None }
    }

    /// The price scope whose header or rows this states or removes.
    pub fn price_scope(&self) -> Option<&PriceScope> {
        if let Division::Prices(scope) = self.row_division() { Some(scope) } else { None }
    }

    fn row_division(&self) -> Division<'_> {
        match self {
            Self::StockSet(of) => Division::Warehouse(&of.warehouse),
            Self::StockAdjust(of) => Division::Warehouse(&of.warehouse),
            Self::StockRemoved(of) => Division::Warehouse(&of.warehouse),
            Self::SupplySet(of) => Division::Warehouse(&of.warehouse),
            Self::SupplyRemoved(of) => Division::Warehouse(&of.warehouse),
            Self::LotsSet(of) => Division::Warehouse(&of.warehouse),
            Self::SafetySet(of) => Division::Warehouse(&of.warehouse),
            Self::Scope(of) => Division::Prices(&of.scope),
            Self::ScopeRemoved(of) => Division::Prices(&of.scope),
            Self::Prices(of) => Division::Prices(&of.scope),
            Self::PricesRemoved(of) => Division::Prices(&of.scope),
            Self::OversellSet(_)
            | Self::Credit(_)
            | Self::CreditRemoved(_)
            | Self::Cap(_)
            | Self::CapRemoved(_)
            | Self::Item(_)
            | Self::ItemRemoved(_)
            | Self::Reference(_)
            | Self::ReferenceRemoved(_)
            | Self::Account(_)
            | Self::AccountRemoved(_)
            | Self::Policy(_)
            | Self::Claim(_)
            | Self::Tick(_)
            | Self::Invalidate(_)
            | Self::UnitBegin(_)
            | Self::UnitCommit(_)
            | Self::SnapshotBegin(_)
            | Self::SnapshotEnd(_)
            | Self::Part(_)
            | Self::SnapshotApproved(_)
            | Self::RuleVersionActivated(_)
            | Self::Command(_)
            | Self::Event(_)
            | Self::Decision(_) => Division::Undivided,
        }
    }
}
