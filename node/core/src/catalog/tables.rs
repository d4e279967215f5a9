//! The catalog as lookups load it: one immutable set of chains, replaced whole when a snapshot is swapped in.

use std::sync::Arc;

use pannier_protocol::limits::PARTITIONS;
use pannier_protocol::{Partition, SourceId};

use super::{CatalogRows, PolicySet};
use crate::freshness::ChainStatus;

/// One chain: whose rows, how fresh, and the rows.
#[derive(Clone)]
pub struct CatalogChain {
    pub source: SourceId,
    pub partition: Partition,
    pub status: Arc<ChainStatus>,
    pub rows: Arc<CatalogRows>,
}

/// All chains of the catalog. A lookup loads it once and reads it to its end.
#[derive(Clone)]
pub struct CatalogTables {
    /// By source id.
    pub shared: Vec<CatalogChain>,
    /// By partition, each by source id.
    pub families: [Vec<CatalogChain>; PARTITIONS as usize],
    pub policies: Arc<PolicySet>,
}

impl Default for CatalogTables {
    /// No chain, and what holds until policies say otherwise.
    fn default() -> Self {
        Self { shared: Vec::new(), families: std::array::from_fn(|_| Vec::new()), policies: Arc::default() }
    }
}

impl CatalogTables {
    pub fn chains(&self, partition: Partition) -> &[CatalogChain] {
        match partition {
            Partition::Shared => &self.shared,
            Partition::Family(number) => &self.families[usize::from(number)],
        }
    }
}
