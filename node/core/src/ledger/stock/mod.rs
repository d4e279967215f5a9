//! The stock tables of one source: cells, supply, lots, safety stock and oversell flags by item, and the
//! limits and balances of accounts and contracts.
//!
//! The problem: a receipt lowers a purchase order and raises on hand, a transfer lowers one warehouse and
//! raises another, and no reader may see one half. One map entry a cell would need a lock around two of
//! them, and readers that take it. So the unit of visibility is the item: one immutable [`ItemStock`] over
//! all warehouses, which a batch replaces by one map insert. An item has few cells, so copying them costs
//! less than the insert.

mod balances;
mod record;
mod reflects;
mod row;
mod saved;
mod scope;
mod table;
mod write;

#[cfg(test)]
mod tests;

pub use balances::{CapRow, CreditRow};
pub use record::{CellLots, ItemStock, Oversell, SafetyStock, StockCell, SupplyLine};
pub(crate) use reflects::{covers, named};
pub(crate) use saved::{FrozenStock, SavedStock};
pub use table::StockRows;
