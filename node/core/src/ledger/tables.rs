//! The ledger's tables as lookups load them.

use std::sync::Arc;

use pannier_protocol::SourceId;

use crate::freshness::ChainStatus;

/// The rows of one source: cells, supply, lots, safety stock, credit and caps.
pub struct StockRows {}

#[derive(Clone)]
pub struct StockChain {
    pub source: SourceId,
    pub status: Arc<ChainStatus>,
    pub rows: Arc<StockRows>,
}

/// All chains of `ledger.stock.*`, by source id.
pub struct LedgerTables {
    pub chains: Vec<StockChain>,
}
