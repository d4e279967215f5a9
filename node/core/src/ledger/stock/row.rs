//! What all rows of an item's record have in common: a key to be sorted by, and a hash to be counted by.

use std::cmp::Ordering;

use pannier_protocol::SupplyReference;
use pannier_protocol::change::{Change, Table};
use pannier_protocol::codec::change_hash;
use serde::{Deserialize, Serialize};

use super::record::{CellLots, Oversell, SafetyStock, StockCell, SupplyLine};
use crate::dictionary::WarehouseNo;

/// Hash of a row's canonical encoding; two words, so that a row is aligned to 8 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RowHash([u64; 2]);

impl RowHash {
    pub(super) fn of(change: &Change) -> Self {
        let hash = change_hash(change);
        Self([(hash >> 64) as u64, hash as u64])
    }

    pub(super) fn value(self) -> u128 {
        (u128::from(self.0[0]) << 64) | u128::from(self.0[1])
    }
}

/// A row of one of the lists of an item's record.
pub(super) trait Row: Clone {
    type Key;
    const TABLE: Table;

    fn key(&self) -> Self::Key;
    fn compare(&self, key: &Self::Key) -> Ordering;
    fn warehouse(&self) -> Option<WarehouseNo>;
    fn hash(&self) -> RowHash;
}

macro_rules! rows_by_warehouse {
    ($($row:ident $table:ident),+) => {$(
        impl Row for $row {
            type Key = WarehouseNo;
            const TABLE: Table = Table::$table;

            fn key(&self) -> WarehouseNo {
                self.warehouse
            }

            fn compare(&self, key: &WarehouseNo) -> Ordering {
                self.warehouse.cmp(key)
            }

            fn warehouse(&self) -> Option<WarehouseNo> {
                Some(self.warehouse)
            }

            fn hash(&self) -> RowHash {
                self.hash
            }
        }
    )+};
}

rows_by_warehouse!(StockCell Stock, CellLots Lots, SafetyStock Safety);

impl Row for SupplyLine {
    type Key = (WarehouseNo, SupplyReference);
    const TABLE: Table = Table::Supply;

    fn key(&self) -> Self::Key {
        (self.warehouse, self.reference.clone())
    }

    fn compare(&self, (warehouse, reference): &Self::Key) -> Ordering {
        self.warehouse.cmp(warehouse).then_with(|| self.reference.cmp(reference))
    }

    fn warehouse(&self) -> Option<WarehouseNo> {
        Some(self.warehouse)
    }

    fn hash(&self) -> RowHash {
        self.hash
    }
}

impl Row for Oversell {
    type Key = ();
    const TABLE: Table = Table::Safety;

    fn key(&self) {}

    fn compare(&self, (): &()) -> Ordering {
        Ordering::Equal
    }

    fn warehouse(&self) -> Option<WarehouseNo> {
        None
    }

    fn hash(&self) -> RowHash {
        self.hash
    }
}

fn position<R: Row>(rows: &[R], key: &R::Key) -> Result<usize, usize> {
    rows.binary_search_by(|row| row.compare(key))
}

pub(super) fn find<'r, R: Row>(rows: &'r [R], key: &R::Key) -> Option<&'r R> {
    position(rows, key).ok().map(|at| &rows[at])
}

/// Puts a row in its place, over the one that had its key.
pub(super) fn upsert<R: Row>(rows: &mut Vec<R>, row: R) {
    match position(rows, &row.key()) {
        Ok(at) => rows[at] = row,
        Err(at) => rows.insert(at, row),
    }
}

pub(super) fn remove<R: Row>(rows: &mut Vec<R>, key: &R::Key) {
    if let Ok(at) = position(rows, key) {
        rows.remove(at);
    }
}
