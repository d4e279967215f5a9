//! What the lines of one request have promised already, so that they do not promise it twice.

use rustc_hash::FxHashMap;

use crate::dictionary::{ItemNo, WarehouseNo};
use crate::quantity::Exact;

/// Base units that earlier lines of this request took, by item and warehouse.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    of: FxHashMap<(ItemNo, WarehouseNo), TakenOf>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct TakenOf {
    pub(super) shelf: Exact,
    /// Days from today, and what was taken of what comes until then.
    pub(super) dated: Vec<(i32, Exact)>,
}

/// What a promise takes of one item at one warehouse.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Taking {
    pub(super) item: ItemNo,
    pub(super) warehouse: WarehouseNo,
    /// `None`: from the shelf, now.
    pub(super) day: Option<i32>,
    /// In base units.
    pub(super) quantity: Exact,
}

impl Taken {
    pub(super) fn of(&self, item: ItemNo, warehouse: WarehouseNo) -> Option<&TakenOf> {
        self.of.get(&(item, warehouse))
    }

    pub(super) fn add(&mut self, taking: &Taking) {
        let empty = || TakenOf { shelf: Exact::ZERO, dated: Vec::new() };
        let of = self.of.entry((taking.item, taking.warehouse)).or_insert_with(empty);
        match taking.day {
            Some(day) => of.dated.push((day, taking.quantity)),
            // A sum out of range stays a dated entry, where it ends the item's promises by the same overflow.
            None => match of.shelf.checked_add(taking.quantity) {
                Some(shelf) => of.shelf = shelf,
                None => of.dated.push((0, taking.quantity)),
            },
        }
    }
}
