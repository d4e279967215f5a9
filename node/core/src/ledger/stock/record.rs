//! One item's stock over all warehouses of one source.

use pannier_protocol::change::{Lot, Receipt, Reflected};
use pannier_protocol::{Decimal, LocalDate, SupplyReference};
use serde::{Deserialize, Serialize};

use super::row::{RowHash, find};
use crate::dictionary::{ClassNo, UomNo, WarehouseNo};
use crate::rows::RowVersion;

/// Everything that one source says of one item's stock; each list is sorted by its key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemStock {
    pub(super) cells: Vec<StockCell>,
    /// What most items lack.
    pub(super) beside: Option<Box<Beside>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Beside {
    pub(super) supply: Vec<SupplyLine>,
    pub(super) lots: Vec<CellLots>,
    pub(super) safety: Vec<SafetyStock>,
    /// At most one: it is the item's.
    pub(super) oversell: Vec<Oversell>,
}

/// What is at one warehouse, in the unit that the source stated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCell {
    pub warehouse: WarehouseNo,
    pub uom: UomNo,
    pub class: Option<ClassNo>,
    pub on_hand: Decimal,
    /// Reserved by the source itself.
    pub allocated: Decimal,
    /// On hand and not sellable.
    pub quarantine: Decimal,
    /// `on_hand` is already less `allocated`.
    pub on_hand_is_net: bool,
    pub(super) beside: Option<Box<CellBeside>>,
    /// Of the last `stock_set`: an adjustment of a condemned figure does not make it right.
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

/// What most cells lack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CellBeside {
    pub(super) receipts: Vec<Receipt>,
    pub(super) reflects: Option<Reflected>,
}

/// Stock to come on one line of a purchase order or transfer; negative: dated demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupplyLine {
    pub warehouse: WarehouseNo,
    pub uom: UomNo,
    pub reference: SupplyReference,
    pub date: LocalDate,
    /// Still to come, as the owner of the line sees it.
    pub quantity: Decimal,
    /// Cumulative quantity received that `quantity` is already less of.
    pub received: Decimal,
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

/// The lots of one cell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellLots {
    pub warehouse: WarehouseNo,
    pub uom: UomNo,
    pub lots: Box<[Lot]>,
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

/// What is kept back from promises at one warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SafetyStock {
    pub warehouse: WarehouseNo,
    pub uom: UomNo,
    pub quantity: Decimal,
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

/// Whether orders may promise more of the item than there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Oversell {
    pub allowed: bool,
    pub version: RowVersion,
    pub(super) hash: RowHash,
}

impl StockCell {
    /// On hand that nobody has, in millionths: allocation is taken off only where the source has not done so.
    pub(crate) fn sellable(&self) -> i128 {
        let micros = |decimal: Decimal| i128::from(decimal.micros());
        let allocated = if self.on_hand_is_net { 0 } else { micros(self.allocated) };
        micros(self.on_hand) - micros(self.quarantine) - allocated
    }

    /// What `on_hand` contains of supply lines, cumulative, in the cell's unit.
    pub fn receipts(&self) -> &[Receipt] {
        self.beside.as_ref().map_or(&[], |beside| beside.receipts.as_slice())
    }

    /// Which orders of ours `on_hand` contains already; `None`: the source never said.
    pub fn reflects(&self) -> Option<&Reflected> {
        self.beside.as_ref().and_then(|beside| beside.reflects.as_ref())
    }
}

impl ItemStock {
    /// By warehouse.
    pub fn cells(&self) -> &[StockCell] {
        &self.cells
    }

    pub fn cell(&self, warehouse: WarehouseNo) -> Option<&StockCell> {
        find(&self.cells, &warehouse)
    }

    /// Supply lines of one warehouse, by reference.
    pub fn supply(&self, warehouse: WarehouseNo) -> &[SupplyLine] {
        let lines = self.beside.as_ref().map_or(&[][..], |beside| &beside.supply);
        let from = lines.partition_point(|line| line.warehouse < warehouse);
        let to = lines.partition_point(|line| line.warehouse <= warehouse);
        &lines[from..to]
    }

    pub fn lots(&self, warehouse: WarehouseNo) -> Option<&CellLots> {
        self.beside.as_ref().and_then(|beside| find(&beside.lots, &warehouse))
    }

    pub fn safety(&self, warehouse: WarehouseNo) -> Option<&SafetyStock> {
        self.beside.as_ref().and_then(|beside| find(&beside.safety, &warehouse))
    }

    pub fn oversell(&self) -> Option<&Oversell> {
        self.beside.as_ref().and_then(|beside| beside.oversell.first())
    }

    /// Every warehouse that has a cell or supply, each once, in no order of ids.
    pub fn warehouses(&self) -> Vec<WarehouseNo> {
        let supply = self.beside.iter().flat_map(|beside| beside.supply.iter().map(|line| line.warehouse));
        let mut warehouses: Vec<_> = self.cells.iter().map(|cell| cell.warehouse).chain(supply).collect();
        warehouses.sort_unstable();
        warehouses.dedup();
        warehouses
    }
}
