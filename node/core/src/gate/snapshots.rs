//! Units and snapshots of a chain: opened, filled, checked, put in force.
//!
//! A snapshot is built aside from the rows of its scope alone, and takes what lies outside from the live table
//! at the moment it is swapped in. Live changes apply at once and, where they are past the snapshot's cut, again
//! on top of it: relative ones too that a suspect chain could not take, for the snapshot is what they add to.
//! Its cut must not lie before a change of its tables that was applied before it began; it would take that back.

use std::sync::Arc;

use pannier_protocol::change::{
    SnapshotApproved, SnapshotBegin, SnapshotEnd, SnapshotScope, Table, UnitCommit,
};
use pannier_protocol::{Change, MarkId, SourceSequence, StreamSequence};

use super::staging::{Kept, OpenSnapshot, OpenUnit, rows_in, stated};
use super::{Chain, Outcome, scope};
use crate::entry::{DropReason, Entry, ReviewKind};
use crate::freshness::Parked;
use crate::limits::{
    SNAPSHOT_OVERLAY_MAX, SNAPSHOT_REMOVAL_PERCENT_MAX, SNAPSHOTS_PARKED_MAX, UNIT_CHANGES_MAX,
};
use crate::rows::{RowVersion, Rows, Stated};

impl<R: Rows> Chain<R> {
    pub(super) fn begin_unit(&mut self, entry: &Entry<'_>, id: MarkId, out: &mut Outcome) {
        if self.snapshot.as_ref().is_some_and(|open| open.begin.id == id) {
            return self.poison(entry, format!("{id:?} is the open snapshot's id; take another"), out);
        }
        if self.unit.replace(OpenUnit::new(id)).is_some() {
            out.dropped(&self.subject, DropReason::StagingDropped);
        }
    }

    /// A message of the open unit or snapshot.
    pub(super) fn apply_part(
        &mut self,
        entry: &Entry<'_>,
        of: &MarkId,
        changes: Vec<Change>,
        out: &mut Outcome,
    ) {
        if let Some(unit) = self.unit.as_mut().filter(|unit| unit.id == *of) {
            unit.add(entry.payload, changes);
            if unit.rows_count() > UNIT_CHANGES_MAX as u64 {
                let reason = format!("unit {of:?} has more than {UNIT_CHANGES_MAX} rows; split it");
                self.poison(entry, reason, out);
            }
            return;
        }
        let Some(open) = self.snapshot.as_mut().filter(|open| open.begin.id == *of) else {
            return self.stray(entry, "part", of, out);
        };
        if let Some(outside) = changes.iter().find(|change| !scope::covers(open.scope(), change)) {
            let reason = format!("{} lies outside of what snapshot {of:?} repeats", outside.kind());
            return self.poison(entry, reason, out);
        }
        open.tally.add(entry.payload, rows_in(&changes));
        let rows: Vec<_> = changes.iter().map(|change| Stated { change, version: open.version }).collect();
        out.rejected(entry, open.aside.apply(&rows));
        for change in changes {
            if let Change::Policy(policy) = change {
                open.policies.push(policy);
            }
        }
    }

    /// A unit is stated when it is committed, over what came between. Rejected: versions of its parts, by which
    /// a delete between them would leave a hole in what has to be seen whole.
    pub(super) fn commit_unit(
        &mut self,
        entry: &Entry<'_>,
        commit: &UnitCommit,
        version: RowVersion,
        out: &mut Outcome,
    ) {
        let Some(unit) = self.unit.take_if(|unit| unit.id == commit.id) else {
            self.stray(entry, "unit_commit", &commit.id, out);
            // Its changes were made now and are nowhere: a snapshot that is open already does not have them.
            self.cast_doubt("a unit is missing", out);
            return self.ask("a unit is missing", out);
        };
        match unit.tally.check("unit", &commit.id, commit.count, &commit.hash) {
            Ok(()) => {
                let rows: Vec<_> = unit.changes.iter().map(|change| Stated { change, version }).collect();
                self.apply_live(entry, &rows, out);
            }
            Err(reason) => {
                out.dropped(&self.subject, DropReason::StagingDropped);
                self.poison(entry, reason, out);
            }
        }
    }

    pub(super) fn begin_snapshot(
        &mut self,
        entry: &Entry<'_>,
        begin: SnapshotBegin,
        at: (StreamSequence, SourceSequence),
        version: RowVersion,
        out: &mut Outcome,
    ) {
        if self.unit.as_ref().is_some_and(|unit| unit.id == begin.id) {
            let reason = format!("{:?} is the open unit's id; take another", begin.id);
            return self.poison(entry, reason, out);
        }
        if self.snapshot.take().is_some() {
            out.dropped(&self.subject, DropReason::StagingDropped);
        }
        let (cut, applied) = (begin.cut, self.stated_at(begin.scope.table));
        if cut < applied {
            let reason = format!(
                "snapshot {:?} shows position {cut}, but changes up to {applied} were applied before it began; \
                 extract it again",
                begin.id
            );
            return self.refuse_snapshot(entry, begin.id, reason, out);
        }
        self.refused = None;
        out.opened = begin.scope.table != Table::Policies && !self.carries_rows;
        self.carries_rows |= out.opened;
        self.snapshot = Some(OpenSnapshot::new(begin, version, at, &*self.rows));
    }

    pub(super) fn end_snapshot(&mut self, entry: &Entry<'_>, end: &SnapshotEnd, out: &mut Outcome) {
        let Some(mut open) = self.snapshot.take_if(|open| open.begin.id == end.id) else {
            return self.stray(entry, "snapshot_end", &end.id, out);
        };
        if let Err(reason) = open.tally.check("snapshot", &end.id, end.rows, &end.hash) {
            return self.refuse_snapshot(entry, open.begin.id, reason, out);
        }
        let overlay = std::mem::take(&mut open.overlay);
        let rejections = open.aside.apply(&stated(&overlay));
        self.reject(entry, self.last(), rejections, out);
        let total = self.rows.rows_count(open.scope());
        let missing = self.rows.rows_missing_in(&open.aside, open.scope());
        if missing.saturating_mul(100) > total.saturating_mul(SNAPSHOT_REMOVAL_PERCENT_MAX) {
            let (id, subject, epoch) = (&end.id, &self.subject, open.began_at.0);
            let reason = format!(
                "snapshot {id:?} would remove {missing} of {total} rows; if that is right: \
                 pannier snapshot approve {subject} {epoch} {id}"
            );
            out.review(entry, ReviewKind::Snapshot, reason);
            out.dropped(&self.subject, DropReason::StagingDropped);
            self.park(open, out);
        } else {
            self.swap_in(open, out);
        }
    }

    /// Puts a parked snapshot in force. Nothing else happens when none of that epoch and id is parked.
    pub fn approve(&mut self, entry: &Entry<'_>, approved: &SnapshotApproved) -> Outcome {
        let mut out = Outcome::default();
        let named = |parked: &OpenSnapshot<R>| {
            parked.begin.id == approved.id && parked.began_at.0 == approved.epoch.claim
        };
        match self.parked.iter().position(named) {
            Some(at) => {
                let parked = self.parked.remove(at);
                self.swap_in(parked, &mut out);
            }
            None => {
                let SnapshotApproved { subject, id, .. } = approved;
                out.review(entry, ReviewKind::Snapshot, format!("no snapshot {id:?} of {subject} is parked"));
            }
        }
        out
    }

    /// Rows past the cut are kept for the open snapshot and applied to those parked.
    pub(super) fn keep_for_snapshots(&mut self, entry: &Entry<'_>, rows: &[Stated<'_>], out: &mut Outcome) {
        for parked in &self.parked {
            let past = |row: &&Stated<'_>| parked.is_past_cut(row.change, self.position);
            let rows: Vec<_> = rows.iter().filter(past).copied().collect();
            // What it rejects was, or would have been, rejected by the live table.
            parked.aside.apply(&rows);
        }
        let Some(open) = &mut self.snapshot else { return };
        for Stated { change, version } in rows {
            if open.is_past_cut(change, self.position) {
                open.overlay_rows_count += rows_in(std::slice::from_ref(change));
                open.overlay.push(Kept { change: Change::clone(change), version: *version });
            }
        }
        if open.overlay_rows_count > SNAPSHOT_OVERLAY_MAX as u64 {
            let id = open.begin.id.clone();
            let reason =
                format!("more than {SNAPSHOT_OVERLAY_MAX} rows changed while snapshot {id:?} was open");
            self.snapshot = None;
            self.refuse_snapshot(entry, id, reason, out);
        }
    }

    fn swap_in(&mut self, open: OpenSnapshot<R>, out: &mut Outcome) {
        let OpenSnapshot { begin, began_at, aside, policies, .. } = open;
        self.rows.share_outside(&aside, &begin.scope);
        self.rows = Arc::new(aside);
        self.evict_parked(&begin.scope, out);
        let parked = self.parked_shown();
        let is_whole = begin.scope == SnapshotScope::whole(Table::All);
        if let Some(doubt) = &mut self.doubt {
            doubt.repeat(begin.scope);
            if doubt.is_cleared(&self.subject, &*self.rows) {
                self.doubt = None;
            }
        }
        let suspect = self.doubt.is_some();
        self.status = self.board.renew(&self.status, |state| {
            (state.suspect, state.wanted, state.loaded) = (suspect, false, true);
            state.parked = parked;
            if is_whole && !state.condemned.is_empty() {
                Arc::make_mut(&mut state.condemned).retain(|condemned| condemned.up_to >= began_at);
            }
        });
        out.swapped = true;
        out.policies.extend(policies);
    }

    fn park(&mut self, open: OpenSnapshot<R>, out: &mut Outcome) {
        self.evict_parked(&open.begin.scope, out);
        if self.parked.len() == SNAPSHOTS_PARKED_MAX {
            self.parked.remove(0);
            out.dropped(&self.subject, DropReason::StagingDropped);
        }
        self.parked.push(open);
        let parked = self.parked_shown();
        self.status.update(|state| state.parked = parked);
    }

    /// For operators, and so that no tick calls fresh what waits for their word.
    pub(super) fn parked_shown(&self) -> Arc<Vec<Parked>> {
        let shown =
            self.parked.iter().map(|parked| Parked { epoch: parked.began_at.0, id: parked.begin.id.clone() });
        Arc::new(shown.collect())
    }

    /// What was parked of the same rows is older than what is there now.
    fn evict_parked(&mut self, scope: &SnapshotScope, out: &mut Outcome) {
        for _ in self.parked.extract_if(.., |parked| scope::overlap(parked.scope(), scope)) {
            out.dropped(&self.subject, DropReason::StagingDropped);
        }
    }

    /// The snapshot is of no use: the table stays as it is, and the source is asked for another.
    fn refuse_snapshot(&mut self, entry: &Entry<'_>, id: MarkId, reason: String, out: &mut Outcome) {
        out.review(entry, ReviewKind::Snapshot, reason);
        out.dropped(&self.subject, DropReason::StagingDropped);
        self.refused = Some(id);
        self.status.update(|state| state.wanted = true);
        if let Some(doubt) = &mut self.doubt {
            doubt.asked = false;
        }
        self.ask("a snapshot could not be used", out);
    }

    /// A message of something that is not open: the rest of what was dropped, or a publisher's mistake.
    fn stray(&mut self, entry: &Entry<'_>, kind: &'static str, id: &MarkId, out: &mut Outcome) {
        if self.doubt.is_some() || self.refused.as_ref() == Some(id) {
            out.dropped(&self.subject, DropReason::StagingDropped);
        } else {
            self.poison(entry, format!("{kind} of {id:?}, which is not open; begin it first"), out);
        }
    }
}
