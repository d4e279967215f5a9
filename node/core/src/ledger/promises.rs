//! What orders and holds promise and no source's figures contain yet.
//!
//! The problem: a source overwrites its figure with what it counts, and forgets orders that have not reached it
//! (a nightly export that restores two pieces sold an hour ago oversells them). Rejected: lowering the source's
//! own row, which the next overwrite undoes. So what is promised stands in a table of its own, beside the
//! sources', and every reader subtracts it: a lookup, and the verdict over the next order.
//!
//! The fold of orders writes it, one item at a time; readers see an item's promises before or after.

use std::sync::Arc;

use dashmap::DashMap;
use pannier_protocol::{Decimal, LocalDate, Timestamp};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};

use crate::dictionary::{ItemNo, ScopeNo, UomNo, WarehouseNo};
use crate::limits::TABLE_SHARDS_STOCK;

/// From when on something was promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum When {
    /// It is on the shelf.
    Now,
    /// It comes until then.
    On(LocalDate),
    /// No day is known; what comes is kept for it.
    Someday,
}

/// A quantity of one item that is spoken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Promised {
    pub warehouse: WarehouseNo,
    pub when: When,
    /// Of a hold: from then on it counts nothing, also before the ledger says so.
    pub expires: Option<Timestamp>,
    /// The base unit at the time of the promise; in another one it is never converted.
    pub uom: UomNo,
    /// In base units, less what the source's figures contain.
    pub quantity: Decimal,
}

/// All that is promised of one item, by warehouse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemPromises {
    pub(super) promised: Box<[Promised]>,
}

impl ItemPromises {
    pub fn at(&self, warehouse: WarehouseNo) -> &[Promised] {
        let from = self.promised.partition_point(|promised| promised.warehouse < warehouse);
        let to = self.promised.partition_point(|promised| promised.warehouse <= warehouse);
        &self.promised[from..to]
    }
}

/// The table; one writer, many readers.
pub struct PromiseRows {
    pub(super) items: DashMap<ItemNo, Arc<ItemPromises>, FxBuildHasher>,
    /// What orders use up of caps, in each cap's own basis.
    pub(super) caps: DashMap<(ScopeNo, Option<ItemNo>), Decimal, FxBuildHasher>,
}

impl Default for PromiseRows {
    fn default() -> Self {
        Self {
            items: DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_STOCK),
            caps: DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_STOCK),
        }
    }
}

impl PromiseRows {
    /// As one entry left them; `None`: nothing is promised.
    pub fn of(&self, item: ItemNo) -> Option<Arc<ItemPromises>> {
        self.items.get(&item).map(|promises| Arc::clone(&promises))
    }

    /// What accepted orders use of a cap and its source does not count yet.
    pub fn cap_in_flight(&self, contract: ScopeNo, item: Option<ItemNo>) -> Decimal {
        self.caps.get(&(contract, item)).map_or(Decimal::ZERO, |used| *used)
    }

    /// Replaces what is promised of an item; what is nothing is left out.
    pub(crate) fn put(&self, item: ItemNo, mut promised: Vec<Promised>) {
        promised.retain(|promised| promised.quantity.is_positive());
        promised.sort_unstable();
        if promised.is_empty() {
            self.items.remove(&item);
        } else {
            self.items.insert(item, Arc::new(ItemPromises { promised: promised.into() }));
        }
    }

    pub(crate) fn put_cap(&self, contract: ScopeNo, item: Option<ItemNo>, used: Decimal) {
        if used.is_positive() {
            self.caps.insert((contract, item), used);
        } else {
            self.caps.remove(&(contract, item));
        }
    }
}
