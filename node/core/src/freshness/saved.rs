//! The status of a chain as a checkpoint keeps it.

use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use pannier_protocol::subject::Subject;
use pannier_protocol::{SourceSequence, StreamSequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::status::PendingTick;
use super::{Board, ChainState, ChainStatus, Condemned, Parked};

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedStatus {
    subject: Subject,
    epoch: StreamSequence,
    sequence: SourceSequence,
    suspect: bool,
    because: String,
    wanted: bool,
    loaded: bool,
    caught_up_to: Option<Timestamp>,
    parked: Vec<Parked>,
    epochs: Vec<StreamSequence>,
    condemned: Vec<Condemned>,
    ticks: Vec<PendingTick>,
}

/// Every reason for which a chain becomes suspect; operators read them.
const REASONS: [&str; 9] = [
    "",
    "a unit is missing",
    "another writer claimed it",
    "messages are missing",
    "an epoch began, and its snapshot has not ended",
    "a sequence was used twice",
    "its epoch is unknown",
    "it has begun all epochs that it can",
    "an entry could not be applied",
];

impl Board {
    /// By subject.
    pub(crate) fn save(&self) -> Vec<SavedStatus> {
        let chains = self.lock();
        let saved = chains.iter().map(|(subject, status)| {
            let ticks = status.lock().iter().copied().collect();
            let state = status.load();
            SavedStatus {
                subject: subject.clone(),
                epoch: state.epoch,
                sequence: state.sequence,
                suspect: state.suspect,
                because: state.because.to_owned(),
                wanted: state.wanted,
                loaded: state.loaded,
                caught_up_to: state.caught_up_to,
                parked: state.parked.to_vec(),
                epochs: state.epochs.to_vec(),
                condemned: state.condemned.to_vec(),
                ticks,
            }
        });
        saved.collect()
    }

    pub(crate) fn restore(&self, saved: SavedStatus) {
        let because = REASONS.into_iter().find(|reason| *reason == saved.because);
        let state = ChainState {
            epoch: saved.epoch,
            sequence: saved.sequence,
            suspect: saved.suspect,
            because: because.unwrap_or("it was suspect when the checkpoint was made"),
            wanted: saved.wanted,
            loaded: saved.loaded,
            caught_up_to: saved.caught_up_to,
            parked: Arc::new(saved.parked),
            epochs: Arc::new(saved.epochs),
            condemned: Arc::new(saved.condemned),
        };
        let (state, ticks) = (ArcSwap::from_pointee(state), Mutex::new(saved.ticks.into()));
        let status = ChainStatus { subject: saved.subject.clone(), state, ticks, asked_of: None };
        self.lock().insert(saved.subject, Arc::new(status));
    }
}
