//! What must be in one total order: stock of every source, limits and balances, control entries.

mod tables;

pub use tables::{LedgerTables, StockChain, StockRows};
