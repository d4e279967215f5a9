//! What must be in one total order: stock of every source, limits and balances, control entries.

mod fold;
pub mod orders;
mod position;
mod promises;
mod saved;
mod stock;
mod tables;

pub use fold::{Ledger, LedgerReader, RULE_VERSION};
pub(crate) use position::{CellRows, PositionTerms};
pub use promises::{ItemPromises, PromiseRows, Promised, When};
pub(crate) use saved::{FrozenLedger, SavedFold, SavedPromise};
pub(crate) use stock::SavedStock;
pub use stock::{
    CapRow, CellLots, CreditRow, ItemStock, Oversell, SafetyStock, StockCell, StockRows, SupplyLine,
};
pub use tables::{HandedOver, LedgerTables, StockChain};
