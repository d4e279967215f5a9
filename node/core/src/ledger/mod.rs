//! What must be in one total order: stock of every source, limits and balances, control entries.

mod fold;
mod stock;
mod tables;

pub use fold::{Ledger, LedgerReader, RULE_VERSION};
pub use stock::{
    CapRow, CellLots, CreditRow, ItemStock, Oversell, SafetyStock, StockCell, StockRows, SupplyLine,
};
pub use tables::{LedgerTables, StockChain};
