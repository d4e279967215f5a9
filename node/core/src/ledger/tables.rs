//! The ledger's tables as lookups load them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pannier_protocol::order::CatalogPoint;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Partition, SourceId, StreamSequence};

use super::orders::HandoverRecord;
use super::{PromiseRows, StockRows};
use crate::freshness::ChainStatus;
use crate::ownership::OwnershipInForce;

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
    /// The last handover, if there ever was one.
    pub handed_over: Option<Arc<HandedOver>>,
}

/// What a handover put in force, for whoever has read as much of the catalog as it needs.
#[derive(Debug)]
pub struct HandedOver {
    pub ownership: Arc<OwnershipInForce>,
    catalog: Vec<CatalogPoint>,
    /// Once and for all.
    is_reached: AtomicBool,
}

impl HandedOver {
    /// `known` where it is of the same handover.
    pub(super) fn of(record: &HandoverRecord, known: Option<Arc<Self>>) -> Arc<Self> {
        let is_same = |known: &Arc<Self>| known.ownership.version == record.ownership.version;
        known.filter(is_same).unwrap_or_else(|| {
            Arc::new(Self {
                ownership: Arc::new(record.ownership.clone()),
                catalog: record.catalog.clone(),
                is_reached: AtomicBool::new(false),
            })
        })
    }

    /// Whether rows of the new source are there that lookups would choose. Tables that are loaded after this said so have
    /// them. `position`: of a partition of the catalog.
    pub fn is_reached(&self, position: impl Fn(Partition) -> StreamSequence) -> bool {
        let is_there = |point: &CatalogPoint| match &point.subject {
            Subject::Catalog(partition, _) => position(*partition) >= point.position,
            Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => true,
        };
        if self.is_reached.load(Ordering::Acquire) {
            return true;
        }
        let is_reached = self.catalog.iter().all(is_there);
        if is_reached {
            self.is_reached.store(true, Ordering::Release);
        }
        is_reached
    }
}
