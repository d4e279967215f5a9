//! A chain's place as a checkpoint keeps it.

use std::sync::Arc;

use pannier_protocol::change::{SnapshotScope, Table};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, MarkId, MessageDigest, SourceSequence, StreamSequence};
use serde::{Deserialize, Serialize};

use super::doubt::Doubt;
use super::window::DigestWindow;
use super::{Chain, GateMode, OpenChain, SequenceGate};
use crate::freshness::{Board, ChainStatus};
use crate::rows::Rows;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedGate {
    claimed: StreamSequence,
    epoch: StreamSequence,
    last: SourceSequence,
    window: Vec<Option<(u64, u64)>>,
}

/// A chain without its rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedChain {
    pub(crate) subject: Subject,
    gate: SavedGate,
    position: u64,
    stated_at: Vec<(Table, u64)>,
    carries_rows: bool,
    doubt: Option<SavedDoubt>,
    refused: Option<MarkId>,
}

#[derive(Debug, Serialize, Deserialize)]
struct SavedDoubt {
    asked: bool,
    repeated: Vec<SnapshotScope>,
}

/// A chain of entries without rows.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedOpen {
    gate: SavedGate,
    missing_count: u64,
}

impl SequenceGate {
    fn save(&self) -> SavedGate {
        let halves = |digest: MessageDigest| ((digest.0 >> 64) as u64, digest.0 as u64);
        let window = self.window.digests.iter().map(|digest| digest.map(halves)).collect();
        SavedGate { claimed: self.claimed, epoch: self.epoch, last: self.last, window }
    }

    fn restore(saved: SavedGate) -> Self {
        let whole = |(high, low)| MessageDigest((u128::from(high) << 64) | u128::from(low));
        let digests = saved.window.into_iter().map(|halves: Option<(u64, u64)>| halves.map(whole)).collect();
        let window = DigestWindow { digests };
        Self { claimed: saved.claimed, epoch: saved.epoch, last: saved.last, window }
    }
}

impl<R: Rows> Chain<R> {
    /// `None` while a snapshot or unit is open or parked: half a table aside is not kept.
    pub(crate) fn save(&self) -> Option<SavedChain> {
        if self.unit.is_some() || self.snapshot.is_some() || !self.parked.is_empty() {
            return None;
        }
        let doubt = self.doubt.as_ref();
        Some(SavedChain {
            subject: self.subject.clone(),
            gate: self.gate.save(),
            position: self.position,
            stated_at: self.stated_at.clone(),
            carries_rows: self.carries_rows,
            doubt: doubt.map(|it| SavedDoubt { asked: it.asked, repeated: it.repeated.clone() }),
            refused: self.refused.clone(),
        })
    }

    /// The chain that was saved, over rows that are still to be filled.
    pub(crate) fn restore(
        saved: SavedChain,
        rows: R,
        status: Arc<ChainStatus>,
        board: Arc<Board>,
        incarnation: Incarnation,
    ) -> Self {
        let doubt = saved.doubt.map(|it| Doubt { asked: it.asked, repeated: it.repeated });
        Self {
            gate: SequenceGate::restore(saved.gate),
            position: saved.position,
            stated_at: saved.stated_at,
            carries_rows: saved.carries_rows,
            doubt,
            refused: saved.refused,
            ..Self::new(rows, status, board, incarnation, GateMode::On)
        }
    }
}

impl OpenChain {
    pub(crate) fn save(&self) -> SavedOpen {
        SavedOpen { gate: self.gate.save(), missing_count: self.missing_count }
    }

    pub(crate) fn restore(saved: SavedOpen, incarnation: Incarnation) -> Self {
        let SavedOpen { gate, missing_count } = saved;
        Self { gate: SequenceGate::restore(gate), missing_count, ..Self::new(incarnation, GateMode::On) }
    }
}
