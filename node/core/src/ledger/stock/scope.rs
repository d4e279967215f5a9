//! Which rows of an item's record a snapshot repeats. A record holds rows of several tables and warehouses,
//! so a snapshot of one of them takes records apart and merges them row by row.

use std::sync::Arc;

use pannier_protocol::change::{SnapshotScope, Table};

use super::record::{Beside, ItemStock};
use super::row::{Row, find, upsert};
use crate::dictionary::{Dictionary, WarehouseNo};

/// A snapshot's scope with its warehouse interned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Selection {
    table: Option<Table>,
    warehouse: Warehouses,
}

#[derive(Debug, Clone, Copy)]
enum Warehouses {
    All,
    /// `None`: one that no row ever named.
    One(Option<WarehouseNo>),
}

impl Selection {
    /// A scope of price rows selects no stock.
    pub(super) fn new(scope: &SnapshotScope, dictionary: &Dictionary) -> Self {
        let warehouse = match &scope.warehouse {
            None => Warehouses::All,
            Some(warehouse) => Warehouses::One(dictionary.warehouses.get(warehouse.as_str())),
        };
        Self { table: if scope.prices.is_some() { None } else { Some(scope.table) }, warehouse }
    }

    /// Whether the whole of a table without warehouses is selected.
    pub(super) fn has_table(self, table: Table) -> bool {
        self.is_of(table) && matches!(self.warehouse, Warehouses::All)
    }

    fn is_of(self, table: Table) -> bool {
        self.table == Some(table) || self.table == Some(Table::All)
    }

    fn has<R: Row>(self, row: &R) -> bool {
        let here = match self.warehouse {
            Warehouses::All => true,
            Warehouses::One(selected) => selected.is_some() && row.warehouse() == selected,
        };
        here && self.is_of(R::TABLE)
    }
}

impl ItemStock {
    pub(super) fn rows_count(&self, selection: Selection) -> u64 {
        self.rows_missing_in(&Self::default(), selection)
    }

    /// Selected rows whose key `other` does not have.
    pub(super) fn rows_missing_in(&self, other: &Self, selection: Selection) -> u64 {
        fn missing<R: Row>(rows: &[R], other: &[R], selection: Selection) -> u64 {
            let gone = |row: &&R| selection.has(*row) && find(other, &row.key()).is_none();
            rows.iter().filter(gone).count() as u64
        }
        let cells = missing(&self.cells, &other.cells, selection);
        let Some(beside) = &self.beside else {
            return cells;
        };
        let none = Beside::default();
        let other = other.beside.as_deref().unwrap_or(&none);
        cells
            + missing(&beside.supply, &other.supply, selection)
            + missing(&beside.lots, &other.lots, selection)
            + missing(&beside.safety, &other.safety, selection)
            + missing(&beside.oversell, &other.oversell, selection)
    }

    /// The rows of `before` outside the selection, under those of `aside`; `None` when there are none of
    /// either. `before` itself where nothing of it is selected and nothing lies on top.
    pub(super) fn merged_outside(
        before: &Arc<Self>,
        aside: Option<&Arc<Self>>,
        selection: Selection,
    ) -> Option<Arc<Self>> {
        if aside.is_none() && before.rows_count(selection) == 0 {
            return Some(Arc::clone(before));
        }
        fn outside<R: Row>(before: &[R], aside: &[R], selection: Selection) -> Vec<R> {
            let mut rows: Vec<R> = before.iter().filter(|row| !selection.has(*row)).cloned().collect();
            for row in aside {
                upsert(&mut rows, row.clone());
            }
            rows
        }
        let none = Self::default();
        let aside = aside.map_or(&none, Arc::as_ref);
        let (nothing, nothing_aside) = (Beside::default(), Beside::default());
        let beside = before.beside.as_deref().unwrap_or(&nothing);
        let beside_aside = aside.beside.as_deref().unwrap_or(&nothing_aside);
        let merged = Self {
            cells: outside(&before.cells, &aside.cells, selection),
            beside: Some(Box::new(Beside {
                supply: outside(&beside.supply, &beside_aside.supply, selection),
                lots: outside(&beside.lots, &beside_aside.lots, selection),
                safety: outside(&beside.safety, &beside_aside.safety, selection),
                oversell: outside(&beside.oversell, &beside_aside.oversell, selection),
            })),
        };
        merged.finished().map(Arc::new)
    }
}
