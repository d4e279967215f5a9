//! The ledger's tables as lookups load them.

use std::sync::Arc;

use pannier_protocol::SourceId;

use super::{PromiseRows, StockRows};
use crate::freshness::ChainStatus;

#[derive(Clone)]
pub struct StockChain {
    pub source: SourceId,
    pub status: Arc<ChainStatus>,
    pub rows: Arc<StockRows>,
}

/// All chains of `ledger.stock.*`. A lookup loads it once and reads it to its end.
#[derive(Clone, Default)]
pub struct LedgerTables {
    /// By source id.
    pub chains: Vec<StockChain>,
    /// What orders and holds promise; the same table all along.
    pub promises: Arc<PromiseRows>,
}
