//! A chain that is suspect, and what has been repeated since.

use pannier_protocol::Change;
use pannier_protocol::change::{PriceSelection, SnapshotScope, Table};
use pannier_protocol::subject::Subject;

use super::scope;
use crate::limits::SCOPES_REPEATED_MAX;
use crate::rows::Rows;

/// Why a chain is suspect is in its reviews; what ends it is here. Every new cause begins anew: only what was
/// repeated after the last one counts.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    /// The source was asked to send a snapshot, and has not failed with one since.
    pub(super) asked: bool,
    pub(super) repeated: Vec<SnapshotScope>,
}

impl Doubt {
    /// A snapshot of this scope is in force. Past the limit it does not count: the chain stays suspect.
    pub(super) fn repeat(&mut self, scope: SnapshotScope) {
        if self.repeated.len() < SCOPES_REPEATED_MAX && !self.repeated.contains(&scope) {
            self.repeated.push(scope);
        }
    }

    /// Something went wrong again: what was repeated counts no more. Whether there was any.
    pub(super) fn renew(&mut self) -> bool {
        !std::mem::take(&mut self.repeated).is_empty()
    }

    /// Whether what the change adds to was repeated: then nothing is missing below it.
    pub(super) fn is_cleared_for(&self, change: &Change) -> bool {
        self.repeated.iter().any(|repeated| scope::covers(repeated, change))
    }

    /// Whether a snapshot of everything has ended, or snapshots that together hold every row that the chain
    /// has. The sums prove it without looking at rows: scopes are disjoint by warehouse, and by price scope.
    pub(super) fn is_cleared(&self, subject: &Subject, rows: &impl Rows) -> bool {
        if self.repeated.contains(&SnapshotScope::whole(Table::All)) {
            return true;
        }
        scope::tables(subject).iter().all(|table| {
            let total = rows.rows_count(&SnapshotScope::whole(*table));
            if total == 0 || self.repeated.contains(&SnapshotScope::whole(*table)) {
                return true;
            }
            let parts = self.repeated.iter().filter(|part| part.table == *table && !self.is_within(part));
            let repeated: u64 = parts.map(|part| rows.rows_count(part)).sum();
            repeated == total
        })
    }

    /// Whether the part is a price scope of a kind that was repeated whole, and would be counted twice.
    fn is_within(&self, part: &SnapshotScope) -> bool {
        let Some(PriceSelection::Scope(of)) = &part.prices else { return false };
        let kind = Some(PriceSelection::Kind(of.kind()));
        self.repeated.iter().any(|other| other.table == part.table && other.prices == kind)
    }
}
