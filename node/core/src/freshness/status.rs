//! One chain's state, and the ticks that wait for it to get where they already are.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, Guard};
use pannier_protocol::subject::Subject;
use pannier_protocol::{MarkId, SourceSequence, StreamSequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::Condemned;
use crate::limits::TICKS_PENDING_MAX;
use crate::rows::RowVersion;

/// One chain's state, replaced as messages apply. Lookups read it, the chain's writer and the ticks of any
/// chain of its source write it.
#[derive(Debug)]
pub struct ChainStatus {
    pub(super) subject: Subject,
    pub(super) state: ArcSwap<ChainState>,
    /// Serialises writers; by arrival, at most [`TICKS_PENDING_MAX`].
    pub(super) ticks: Mutex<VecDeque<PendingTick>>,
    /// Of what a source said when it was asked: the chain that it said nothing on.
    pub(super) asked_of: Option<Arc<ChainStatus>>,
}

/// What is known of one chain at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainState {
    /// Stream sequence of the claim that the chain lives under; 0 before the first.
    pub epoch: StreamSequence,
    /// The last message applied.
    pub sequence: SourceSequence,
    /// A message is missing, forked or of an unknown epoch, until a snapshot ends.
    pub suspect: bool,
    /// Why it became suspect last; empty before it ever was.
    pub because: &'static str,
    /// A snapshot of the source was of no use and none was since: another is wanted, suspect or not.
    pub wanted: bool,
    /// Its first snapshot, if it began with one, has ended.
    pub loaded: bool,
    /// When the source was last read to its end; `None`: it never said.
    pub caught_up_to: Option<Timestamp>,
    /// Snapshots that wait for an operator's word.
    pub parked: Arc<Vec<Parked>>,
    /// The claims of all epochs that rows may bear, by the epoch's number within the chain.
    pub epochs: Arc<Vec<StreamSequence>>,
    /// The invalidations in force on this chain.
    pub condemned: Arc<Vec<Condemned>>,
}

/// A snapshot that would remove much, and is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    pub epoch: StreamSequence,
    pub id: MarkId,
}

impl ChainState {
    /// Whether a snapshot said something of the chain that lookups do not see: until they do, or it is given up for
    /// another one, having read the source to its end proves nothing.
    fn is_withheld(&self) -> bool {
        self.wanted || !self.parked.is_empty()
    }

    /// The place in the chain at which a row was stated; orders as messages do.
    pub fn stated_at(&self, version: RowVersion) -> (StreamSequence, SourceSequence) {
        let claim = self.epochs.get(usize::from(version.epoch_number())).copied().unwrap_or_default();
        (claim, SourceSequence(version.source_sequence()))
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct PendingTick {
    epoch: StreamSequence,
    sequence: SourceSequence,
    caught_up_to: Timestamp,
}

impl ChainStatus {
    pub fn new(subject: Subject, state: ChainState) -> Self {
        Self { subject, state: ArcSwap::from_pointee(state), ticks: Mutex::default(), asked_of: None }
    }

    /// Of rows that the chain's source said when it was asked at `read_at`. What is missing or condemned in the chain
    /// is not in them.
    pub(crate) fn live(chain: &Arc<Self>, read_at: Timestamp) -> Self {
        let before = chain.load();
        let state = ChainState {
            epoch: before.epoch,
            sequence: before.sequence,
            loaded: true,
            caught_up_to: Some(read_at),
            epochs: Arc::clone(&before.epochs),
            ..ChainState::default()
        };
        Self { asked_of: Some(Arc::clone(chain)), ..Self::new(chain.subject.clone(), state) }
    }

    /// The chain in whose place a source was asked.
    pub fn asked_of(&self) -> Option<&Arc<Self>> {
        self.asked_of.as_ref()
    }

    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    pub fn load(&self) -> Arc<ChainState> {
        self.state.load_full()
    }

    pub(super) fn state(&self) -> Guard<Arc<ChainState>> {
        self.state.load()
    }

    /// Changes the state in one step; ticks that waited for it take effect with it.
    pub fn update(&self, change: impl FnOnce(&mut ChainState)) {
        let mut ticks = self.lock();
        let mut state = ChainState::clone(&self.state.load());
        change(&mut state);
        settle(&mut state, &mut ticks);
        self.state.store(Arc::new(state));
    }

    /// The source was read to its end at `caught_up_to` when it had written up to (`epoch`, `sequence`).
    /// Takes effect when the chain has applied that; a lower epoch's tick never does.
    pub(super) fn tick(&self, epoch: StreamSequence, sequence: SourceSequence, caught_up_to: Timestamp) {
        let mut ticks = self.lock();
        if ticks.len() == TICKS_PENDING_MAX {
            ticks.pop_front();
        }
        ticks.push_back(PendingTick { epoch, sequence, caught_up_to });
        let mut state = ChainState::clone(&self.state.load());
        settle(&mut state, &mut ticks);
        self.state.store(Arc::new(state));
    }

    /// A status that goes on from here, for new rows; this one stays as it is, with the old rows.
    pub(super) fn renewed(&self, change: impl FnOnce(&mut ChainState)) -> Self {
        let mut ticks = self.lock().clone();
        let mut state = ChainState::clone(&self.state.load());
        change(&mut state);
        settle(&mut state, &mut ticks);
        let (subject, state) = (self.subject.clone(), ArcSwap::from_pointee(state));
        Self { subject, state, ticks: Mutex::new(ticks), asked_of: None }
    }

    /// Condemns rows that were stated up to a place in the chain.
    pub fn condemn(&self, condemned: Condemned) {
        self.update(|state| super::condemned::put(Arc::make_mut(&mut state.condemned), condemned));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, VecDeque<PendingTick>> {
        // Nothing that holds the lock can leave the list half changed.
        self.ticks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn settle(state: &mut ChainState, ticks: &mut VecDeque<PendingTick>) {
    let withheld = state.is_withheld();
    ticks.retain(|tick| {
        if tick.epoch == state.epoch && tick.sequence <= state.sequence && !withheld {
            state.caught_up_to = state.caught_up_to.max(Some(tick.caught_up_to));
            return false;
        }
        tick.epoch >= state.epoch
    });
}
