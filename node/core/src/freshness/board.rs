//! The status of every chain of both streams: ticks and invalidations arrive on one chain and speak of others,
//! and the two streams are applied by two writers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pannier_protocol::change::{Invalidate, Tick};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, SourceId};

use super::condemned::put;
use super::{ChainState, ChainStatus, Condemned};
use crate::limits::CHAINS_MAX;

/// One a node, shared by ledger and catalog.
#[derive(Default)]
pub struct Board {
    /// At most [`CHAINS_MAX`]. A status is changed under this lock where it could be renewed meanwhile.
    pub(super) chains: Mutex<Chains>,
}

type Chains = BTreeMap<Subject, Arc<ChainStatus>>;

impl Board {
    /// The status that the chain goes by now; a new one for a chain not known yet, `None` when there is no
    /// room for one more chain.
    pub fn chain(&self, subject: &Subject) -> Option<Arc<ChainStatus>> {
        chain_in(&mut self.lock(), subject).map(Arc::clone)
    }

    /// A new status for a chain whose rows are replaced; `old` stays with the old rows, as it is.
    pub fn renew(&self, old: &ChainStatus, change: impl FnOnce(&mut ChainState)) -> Arc<ChainStatus> {
        let mut chains = self.lock();
        let status = Arc::new(old.renewed(change));
        chains.insert(old.subject().clone(), Arc::clone(&status));
        status
    }

    /// The chains that a snapshot of their source would heal, complete or state anew where rows are condemned.
    pub fn wanting(&self) -> Vec<Subject> {
        let chains = self.lock();
        let wanting = chains.values().filter(|status| {
            let state = status.state();
            state.suspect || state.wanted || !state.condemned.is_empty()
        });
        wanting.map(|status| status.subject().clone()).collect()
    }

    /// Every chain as it is now, by subject.
    pub fn states(&self) -> Vec<(Subject, Arc<ChainState>)> {
        self.lock().iter().map(|(subject, status)| (subject.clone(), status.load())).collect()
    }

    /// Applies a tick that `source` sent. A point of another source's chain or of another incarnation says
    /// nothing; a chain that has not reached its point is caught up when it does.
    pub fn tick(&self, source: &SourceId, incarnation: &Incarnation, tick: &Tick) {
        let mut chains = self.lock();
        for point in &tick.subjects {
            let own = point.subject.source() == Some(source) && point.epoch.incarnation == *incarnation;
            if own && let Some(status) = chain_in(&mut chains, &point.subject) {
                status.tick(point.epoch.claim, point.sequence, tick.caught_up_to);
            }
        }
    }

    /// Puts an invalidation in force; points of another incarnation condemn nothing that this one has.
    pub fn invalidate(&self, incarnation: &Incarnation, invalidate: &Invalidate) {
        let mut chains = self.lock();
        for point in invalidate.up_to.iter().filter(|point| point.epoch.incarnation == *incarnation) {
            let up_to = (point.epoch.claim, point.sequence);
            let new = Condemned { scope: invalidate.scope.clone(), mode: invalidate.mode, up_to };
            if let Some(status) = chain_in(&mut chains, &point.subject) {
                status.update(|state| put(Arc::make_mut(&mut state.condemned), new));
            }
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Chains> {
        // Nothing that holds the lock can leave the map half changed.
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn chain_in<'a>(chains: &'a mut Chains, subject: &Subject) -> Option<&'a Arc<ChainStatus>> {
    if !chains.contains_key(subject) {
        if chains.len() == CHAINS_MAX {
            return None;
        }
        let status = ChainStatus::new(subject.clone(), ChainState::default());
        chains.insert(subject.clone(), Arc::new(status));
    }
    chains.get(subject)
}
