//! What is known of the newest checkpoint of this node.

use pannier_core::checkpoint::Head;
use pannier_protocol::{StreamSequence, Timestamp};
use tokio::sync::watch;

use super::folder::Name;
use crate::metrics::{Metrics, OfStream};

/// One that stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) ledger: StreamSequence,
    pub(crate) catalog: StreamSequence,
    /// Ledger time of its state.
    pub(crate) clock: Timestamp,
}

/// Written by the keeper, read by everybody.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    newest: watch::Sender<Option<Kept>>,
}

impl Kept {
    pub(crate) fn of(head: &Head) -> Self {
        let Name { ledger, catalog, .. } = Name::of(head);
        Self { ledger, catalog, clock: head.clock }
    }
}

impl Standing {
    pub(crate) fn set(&self, kept: Kept, metrics: &Metrics) {
        for (stream, position) in [("ledger", kept.ledger), ("catalog", kept.catalog)] {
            let position = i64::try_from(position.0).unwrap_or(i64::MAX);
            metrics.checkpoint_position.get_or_create(&OfStream { stream }).set(position);
        }
        self.newest.send_replace(Some(kept));
    }

    pub(crate) fn newest(&self) -> Option<Kept> {
        self.newest.borrow().clone()
    }

    /// Refreshes what depends on the time.
    pub(crate) fn show(&self, now: Timestamp, metrics: &Metrics) {
        let Some(kept) = self.newest() else { return };
        if kept.clock > Timestamp::MIN {
            let age = u32::try_from(now.millis_since(kept.clock) / 1_000).unwrap_or(u32::MAX);
            metrics.checkpoint_age.set(f64::from(age));
        }
    }
}
