//! The changes that an item's record takes while it is still the writer's own.

use pannier_protocol::ClassId;
use pannier_protocol::change::{
    Change, LotsSet, OversellSet, Receipt, SafetySet, StockAdjust, StockRemoved, StockSet, SupplyRemoved,
    SupplySet,
};

use super::record::{Beside, CellBeside, CellLots, ItemStock, Oversell, SafetyStock, StockCell, SupplyLine};
use super::reflects::merged as merged_reflects;
use super::row::{Row, RowHash, remove, upsert};
use crate::dictionary::{Dictionary, WarehouseNo};
use crate::limits::CELL_RECEIPTS_MAX;
use crate::rows::{RowRejection, RowVersion};

/// One record being written.
pub(super) struct Draft<'d> {
    pub(super) record: ItemStock,
    pub(super) dictionary: &'d Dictionary,
    pub(super) version: RowVersion,
    /// Digest of the record as it was read.
    pub(super) before: u128,
}

impl Draft<'_> {
    fn beside(&mut self) -> &mut Beside {
        self.record.beside.get_or_insert_default()
    }

    fn known_warehouse(&self, warehouse: &str) -> Option<WarehouseNo> {
        self.dictionary.warehouses.get(warehouse)
    }

    pub(super) fn set_cell(&mut self, set: &StockSet, stated: &Change) {
        let before = self.known_warehouse(set.warehouse.as_str()).and_then(|at| self.record.cell(at));
        match before.and_then(StockCell::reflects) {
            None => self.put_cell(set, self.version, RowHash::of(stated)),
            before => {
                let set =
                    StockSet { reflects: merged_reflects(before, set.reflects.as_ref()), ..set.clone() };
                self.put_cell(&set, self.version, RowHash::of(&Change::StockSet(set.clone())));
            }
        }
    }

    fn put_cell(&mut self, set: &StockSet, version: RowVersion, hash: RowHash) {
        let row = StockCell {
            warehouse: self.dictionary.warehouses.intern(set.warehouse.as_str()),
            uom: self.dictionary.uoms.intern(set.uom.as_str()),
            class: set.class.as_ref().map(|class| self.dictionary.classes.intern(class.as_str())),
            on_hand: set.on_hand,
            allocated: set.allocated,
            quarantine: set.quarantine,
            on_hand_is_net: set.on_hand_is_net,
            beside: CellBeside::of(set),
            version,
            hash,
        };
        upsert(&mut self.record.cells, row);
    }

    /// Adds to the buckets of a cell; refused as a whole where one of them cannot take it.
    pub(super) fn adjust_cell(&mut self, adjust: &StockAdjust) -> Result<(), RowRejection> {
        let refused = |what: &str| {
            let reason = format!(
                "stock_adjust of {} at {}: {what}; send a stock_set of the cell",
                adjust.item, adjust.warehouse
            );
            Err(RowRejection { reason, outdated: Some(adjust.item.clone()) })
        };
        let warehouse = self.known_warehouse(adjust.warehouse.as_str());
        let Some(cell) = warehouse.and_then(|warehouse| self.record.cell(warehouse)) else {
            return refused("there is no cell to add to");
        };
        if self.dictionary.uoms.get(adjust.uom.as_str()) != Some(cell.uom) {
            let stated = self.dictionary.uoms.name(cell.uom);
            return refused(&format!("it is in {} and the cell in {stated}", adjust.uom));
        }
        let sums = (
            cell.on_hand.checked_add(adjust.on_hand),
            cell.allocated.checked_add(adjust.allocated),
            cell.quarantine.checked_add(adjust.quarantine),
        );
        let (Some(on_hand), Some(allocated), Some(quarantine)) = sums else {
            return refused("a sum is out of range");
        };
        if allocated.is_negative() || quarantine.is_negative() {
            return refused("it would leave less than nothing allocated or in quarantine");
        }
        let set = StockSet {
            item: adjust.item.clone(),
            warehouse: adjust.warehouse.clone(),
            uom: adjust.uom.clone(),
            class: cell.class.and_then(|class| ClassId::new(self.dictionary.classes.name(class)).ok()),
            on_hand,
            allocated,
            quarantine,
            on_hand_is_net: cell.on_hand_is_net,
            receipts: merged(cell.receipts(), &adjust.receipts),
            reflects: merged_reflects(cell.reflects(), adjust.reflects.as_ref()),
        };
        let version = cell.version;
        self.put_cell(&set, version, RowHash::of(&Change::StockSet(set.clone())));
        Ok(())
    }

    pub(super) fn remove_cell(&mut self, removed: &StockRemoved) {
        if let Some(warehouse) = self.known_warehouse(removed.warehouse.as_str()) {
            remove(&mut self.record.cells, &warehouse);
        }
    }

    pub(super) fn set_supply(&mut self, set: &SupplySet, stated: &Change) {
        let row = SupplyLine {
            warehouse: self.dictionary.warehouses.intern(set.warehouse.as_str()),
            uom: self.dictionary.uoms.intern(set.uom.as_str()),
            reference: set.reference.clone(),
            date: set.date,
            quantity: set.quantity,
            received: set.received,
            version: self.version,
            hash: RowHash::of(stated),
        };
        upsert(&mut self.beside().supply, row);
    }

    pub(super) fn remove_supply(&mut self, removed: &SupplyRemoved) {
        if let Some(warehouse) = self.known_warehouse(removed.warehouse.as_str()) {
            remove(&mut self.beside().supply, &(warehouse, removed.reference.clone()));
        }
    }

    pub(super) fn set_lots(&mut self, set: &LotsSet, stated: &Change) {
        let warehouse = self.dictionary.warehouses.intern(set.warehouse.as_str());
        if set.lots.is_empty() {
            return remove(&mut self.beside().lots, &warehouse);
        }
        let row = CellLots {
            warehouse,
            uom: self.dictionary.uoms.intern(set.uom.as_str()),
            lots: set.lots.as_slice().into(),
            version: self.version,
            hash: RowHash::of(stated),
        };
        upsert(&mut self.beside().lots, row);
    }

    pub(super) fn set_safety(&mut self, set: &SafetySet, stated: &Change) {
        let warehouse = self.dictionary.warehouses.intern(set.warehouse.as_str());
        if set.quantity.is_zero() {
            return remove(&mut self.beside().safety, &warehouse);
        }
        let row = SafetyStock {
            warehouse,
            uom: self.dictionary.uoms.intern(set.uom.as_str()),
            quantity: set.quantity,
            version: self.version,
            hash: RowHash::of(stated),
        };
        upsert(&mut self.beside().safety, row);
    }

    pub(super) fn set_oversell(&mut self, set: &OversellSet, stated: &Change) {
        let hash = RowHash::of(stated);
        let row = Oversell { allowed: set.allowed, version: self.version, hash };
        upsert(&mut self.beside().oversell, row);
    }
}

impl CellBeside {
    fn of(set: &StockSet) -> Option<Box<Self>> {
        let beside = Self { receipts: set.receipts.clone(), reflects: set.reflects.clone() };
        (beside != Self::default()).then(|| Box::new(beside))
    }
}

/// What an adjustment says of a supply line replaces what was said of it; the oldest go where there are too
/// many, for their owner has long reflected them.
fn merged(before: &[Receipt], stated: &[Receipt]) -> Vec<Receipt> {
    let is_restated = |receipt: &&Receipt| stated.iter().any(|other| other.reference == receipt.reference);
    let mut receipts: Vec<Receipt> =
        before.iter().filter(|receipt| !is_restated(receipt)).chain(stated).cloned().collect();
    let surplus = receipts.len().saturating_sub(CELL_RECEIPTS_MAX);
    receipts.drain(..surplus);
    receipts
}

impl ItemStock {
    /// What a source says of one item outside of its chain: rows as stated, of this item alone.
    pub(crate) fn said(changes: &[Change], version: RowVersion, dictionary: &Dictionary) -> Self {
        let mut draft = Draft { record: Self::default(), dictionary, version, before: 0 };
        for change in changes {
            if let Change::StockSet(set) = change {
                draft.set_cell(set, change);
            } else if let Change::SupplySet(set) = change {
                draft.set_supply(set, change);
            } else if let Change::LotsSet(set) = change {
                draft.set_lots(set, change);
            } else if let Change::SafetySet(set) = change {
                draft.set_safety(set, change);
            } else if let Change::OversellSet(set) = change {
                draft.set_oversell(set, change);
            }
        }
        draft.record
    }

    /// Wrapping sum of the hashes of its rows.
    pub(super) fn digest(&self) -> u128 {
        fn sum<R: Row>(rows: &[R]) -> u128 {
            rows.iter().fold(0, |sum, row| sum.wrapping_add(row.hash().value()))
        }
        let beside = self.beside.as_ref().map_or(0, |beside| {
            [sum(&beside.supply), sum(&beside.lots), sum(&beside.safety), sum(&beside.oversell)]
                .into_iter()
                .fold(0, u128::wrapping_add)
        });
        sum(&self.cells).wrapping_add(beside)
    }

    /// Gives back what a finished record does not need; `None` when nothing is left of it.
    pub(super) fn finished(mut self) -> Option<Self> {
        self.cells.shrink_to_fit();
        if let Some(beside) = &mut self.beside {
            beside.supply.shrink_to_fit();
            beside.lots.shrink_to_fit();
            beside.safety.shrink_to_fit();
            beside.oversell.shrink_to_fit();
        }
        if self.beside.as_deref() == Some(&Beside::default()) {
            self.beside = None;
        }
        if self == Self::default() { None } else { Some(self) }
    }
}
