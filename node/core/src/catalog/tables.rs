//! The catalog as lookups load it: one immutable set of chains, replaced whole when a snapshot is swapped in.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier_protocol::change::{Policy, PolicyDocument};
use pannier_protocol::limits::PARTITIONS;
use pannier_protocol::{Partition, SourceId};

use super::{CatalogRows, PolicySet};
use crate::freshness::ChainStatus;
use crate::ownership::OwnershipInForce;

/// One chain: whose rows, how fresh, and the rows.
#[derive(Clone)]
pub struct CatalogChain {
    pub source: SourceId,
    pub partition: Partition,
    pub status: Arc<ChainStatus>,
    pub rows: Arc<CatalogRows>,
}

/// The catalog as one lookup reads it to its end; cheap to clone.
#[derive(Clone, Default)]
pub struct CatalogTables {
    pub chains: Arc<ChainSet>,
    /// What holds until policies say otherwise.
    pub policies: Arc<PolicySet>,
    pub ownership: Arc<OwnershipInForce>,
    /// The documents that say so, by name, as they were published.
    pub documents: Arc<BTreeMap<&'static str, Policy>>,
}

/// All chains of the catalog.
#[derive(Clone)]
pub struct ChainSet {
    /// By source id.
    pub shared: Vec<CatalogChain>,
    /// By partition, each by source id.
    pub families: [Vec<CatalogChain>; PARTITIONS as usize],
}

impl Default for ChainSet {
    fn default() -> Self {
        Self { shared: Vec::new(), families: std::array::from_fn(|_| Vec::new()) }
    }
}

impl CatalogTables {
    /// Puts one document in force.
    pub(crate) fn put(&mut self, policy: &Policy) {
        if let PolicyDocument::Ownership(document) = &policy.document {
            self.ownership = Arc::new(OwnershipInForce::new(policy.version, document.clone()));
        } else {
            Arc::make_mut(&mut self.policies).set(policy.document.clone());
        }
    }

    /// Of a handover and a document of policy the one with the higher version is in force, and of equal ones the
    /// handover: it moved orders as well.
    pub(crate) fn hand_over(&mut self, ownership: &Arc<OwnershipInForce>) {
        if ownership.version >= self.ownership.version {
            self.ownership = Arc::clone(ownership);
        }
    }

    pub fn chains(&self, partition: Partition) -> &[CatalogChain] {
        match partition {
            Partition::Shared => &self.chains.shared,
            Partition::Family(number) => &self.chains.families[usize::from(number)],
        }
    }
}
