//! The status of every chain of both streams: a tick arrives on one chain and speaks of all chains of its
//! source, and the two streams are applied by two writers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pannier_protocol::change::Tick;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, SourceId};

use super::{ChainState, ChainStatus, Invalidations};
use crate::limits::CHAINS_MAX;

/// One a node, shared by ledger and catalog.
#[derive(Default)]
pub struct Board {
    /// At most [`CHAINS_MAX`].
    chains: Mutex<BTreeMap<Subject, Arc<ChainStatus>>>,
    invalidations: Arc<Invalidations>,
}

impl Board {
    /// The invalidations in force on this node.
    pub fn invalidations(&self) -> &Arc<Invalidations> {
        &self.invalidations
    }

    /// The status that the chain goes by now; a new one for a chain not known yet, `None` when there is no
    /// room for one more chain.
    pub fn chain(&self, subject: &Subject) -> Option<Arc<ChainStatus>> {
        let mut chains = self.lock();
        if let Some(status) = chains.get(subject) {
            return Some(Arc::clone(status));
        }
        if chains.len() == CHAINS_MAX {
            return None;
        }
        let status = Arc::new(ChainStatus::new(subject.clone(), ChainState::default()));
        chains.insert(subject.clone(), Arc::clone(&status));
        Some(status)
    }

    /// A new status for a chain whose rows are replaced; `old` stays with the old rows, as it is.
    pub fn renew(&self, old: &ChainStatus, change: impl FnOnce(&mut ChainState)) -> Arc<ChainStatus> {
        let mut chains = self.lock();
        let status = Arc::new(old.renewed(change));
        chains.insert(old.subject().clone(), Arc::clone(&status));
        status
    }

    /// Applies a tick that `source` sent. A point of another source's chain or of another incarnation says
    /// nothing; a chain that has not reached its point is caught up when it does.
    pub fn tick(&self, source: &SourceId, incarnation: &Incarnation, tick: &Tick) {
        for point in &tick.subjects {
            if point.subject.source() != Some(source) || point.epoch.incarnation != *incarnation {
                continue;
            }
            if self.chain(&point.subject).is_none() {
                continue;
            }
            // Under the lock, so that the status is not renewed in between.
            if let Some(status) = self.lock().get(&point.subject) {
                status.tick(point.epoch.claim, point.sequence, tick.caught_up_to);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Subject, Arc<ChainStatus>>> {
        // Nothing that holds the lock can leave the map half changed.
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
