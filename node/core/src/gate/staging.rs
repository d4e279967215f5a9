//! Units and snapshots between their first message and their last.

use pannier_protocol::change::{Policy, SnapshotBegin, SnapshotScope};
use pannier_protocol::{Change, MarkId, SourceSequence, StreamSequence};
use sha2::{Digest, Sha256};

use super::scope;
use crate::rows::{RowVersion, Rows, Stated, is_relative};

/// A live change that an open snapshot keeps, with the version of its message.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) change: Change,
    pub(super) version: RowVersion,
}

pub(super) fn stated(kept: &[Kept]) -> Vec<Stated<'_>> {
    kept.iter().map(|kept| Stated { change: &kept.change, version: kept.version }).collect()
}

/// Count and SHA-256 of the parts so far, against what the last message says.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    count: u64,
    sha: Sha256,
}

impl Tally {
    pub(super) fn add(&mut self, payload: &[u8], count: u64) {
        self.count += count;
        self.sha.update(payload);
    }

    /// One sentence on what differs from `count` and `hash` (lower-case hex).
    pub(super) fn check(&self, what: &str, id: &MarkId, count: u64, hash: &str) -> Result<(), String> {
        if self.count != count {
            let arrived = self.count;
            return Err(format!("{what} {id:?} says {count} and {arrived} arrived; send it again"));
        }
        let arrived = self.sha.clone().finalize();
        let arrived: String = arrived.iter().map(|byte| format!("{byte:02x}")).collect();
        if arrived != hash {
            return Err(format!("{what} {id:?} says SHA-256 {hash} and {arrived} arrived; send it again"));
        }
        Ok(())
    }
}

/// Changes of an open unit, in the order in which they came.
pub(super) struct OpenUnit {
    pub(super) id: MarkId,
    pub(super) tally: Tally,
    pub(super) changes: Vec<Change>,
    rows_count: u64,
}

impl OpenUnit {
    pub(super) fn new(id: MarkId) -> Self {
        Self { id, tally: Tally::default(), changes: Vec::new(), rows_count: 0 }
    }

    pub(super) fn add(&mut self, payload: &[u8], changes: Vec<Change>) {
        self.tally.add(payload, changes.len() as u64);
        self.rows_count += rows_in(&changes);
        self.changes.extend(changes);
    }

    /// What bounds it: a change of prices has many rows.
    pub(super) fn rows_count(&self) -> u64 {
        self.rows_count
    }
}

/// A snapshot that is being built beside the live table, from the rows of its scope alone. One that is complete
/// and removes too much to be believed without a human is parked: live changes go on being applied to it, so
/// that it is current whenever it is approved.
pub(super) struct OpenSnapshot<R> {
    pub(super) begin: SnapshotBegin,
    /// Its rows were stated when it began: changes that stood between its chunks are later.
    pub(super) version: RowVersion,
    pub(super) began_at: (StreamSequence, SourceSequence),
    pub(super) tally: Tally,
    pub(super) aside: R,
    /// Live changes past its cut, for on top.
    pub(super) overlay: Vec<Kept>,
    pub(super) overlay_rows_count: u64,
    pub(super) policies: Vec<Policy>,
}

impl<R: Rows> OpenSnapshot<R> {
    pub(super) fn new(
        begin: SnapshotBegin,
        version: RowVersion,
        at: (StreamSequence, SourceSequence),
        live: &R,
    ) -> Self {
        Self {
            begin,
            version,
            began_at: at,
            tally: Tally::default(),
            aside: live.aside(),
            overlay: Vec::new(),
            overlay_rows_count: 0,
            policies: Vec::new(),
        }
    }

    pub(super) fn scope(&self) -> &SnapshotScope {
        &self.begin.scope
    }

    /// Whether a change that its source made at `position` goes on top. One at the cut itself is in the picture:
    /// an absolute one says what the picture says, where positions are fine enough, and is right where they are
    /// not; a relative one would count twice.
    pub(super) fn is_past_cut(&self, change: &Change, position: u64) -> bool {
        let past = if is_relative(change) { position > self.begin.cut } else { position >= self.begin.cut };
        past && scope::covers(self.scope(), change)
    }
}

/// Rows that a snapshot counts: a change is one, a price row is one.
pub(super) fn rows_in(changes: &[Change]) -> u64 {
    changes
        .iter()
        .map(|change| if let Change::Prices(prices) = change { prices.rows.len() as u64 } else { 1 })
        .sum()
}
