//! One chain: its gate, what it has open, and its live rows.
//!
//! Rules that the wire leaves to the reader:
//! - A claim on a chain that had rows makes it suspect at once, not only when the new epoch begins: what the
//!   fenced writer goes on saying is dropped. A snapshot begins the new epoch, normally with sequence 1; when
//!   that first message was lost a later snapshot does it too, since it repeats what was lost.
//! - Whatever makes a chain suspect drops its open unit and snapshot and those parked: what is missing may be a
//!   part of them, or a change on top of them.
//! - A poison entry has consumed its sequence when at least that could be read. Bytes without a readable place
//!   say nothing about the chain: if a sequence was lost to them, the next message shows it.
//! - Positions never fall within an epoch; a new epoch may begin lower (an ERP restored from backup).
//! - A chain is loaded with its first message, or, when that began a snapshot, with the first snapshot's end.

use std::sync::Arc;

use pannier_protocol::change::{InvalidateMode, InvalidateScope, Table};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Incarnation, MarkId, SourceSequence, StreamSequence};

use super::doubt::Doubt;
use super::read::{Message, Shape};
use super::sequence::{Numbered, SequenceGate, Verdict};
use super::staging::{OpenSnapshot, OpenUnit};
use super::{GateMode, Outcome, scope};
use crate::entry::{DropReason, Effect, Entry, ReviewKind};
use crate::freshness::{Board, ChainStatus, Condemned};
use crate::limits::CHAINS_MAX;
use crate::rows::{RowRejection, RowVersion, Rows, Stated, is_relative};

/// The rows of one source on one subject, and how they are kept from being wrong.
pub struct Chain<R> {
    pub(super) subject: Subject,
    pub(super) incarnation: Incarnation,
    pub(super) mode: GateMode,
    pub(super) gate: SequenceGate,
    /// The source's position of the last message.
    pub(super) position: u64,
    /// The source's position of the last row stated live, by table.
    pub(super) stated_at: Vec<(Table, u64)>,
    /// Whether it has stated, or begun to state, anything that lookups read.
    pub(super) carries_rows: bool,
    /// Some: the chain is suspect.
    pub(super) doubt: Option<Doubt>,
    pub(super) unit: Option<OpenUnit>,
    pub(super) snapshot: Option<OpenSnapshot<R>>,
    /// At most `SNAPSHOTS_PARKED_MAX`, of scopes that do not overlap.
    pub(super) parked: Vec<OpenSnapshot<R>>,
    /// The last snapshot that was refused or dropped by itself, whose other messages may still come.
    pub(super) refused: Option<MarkId>,
    pub(super) rows: Arc<R>,
    pub(super) status: Arc<ChainStatus>,
    pub(super) board: Arc<Board>,
}

/// The status for a chain whose first message this is. `None`, said in `out`: the message is poison, which opens
/// no chain, or there is no room for one more.
pub(crate) fn open(
    entry: &Entry<'_>,
    message: &Message,
    board: &Board,
    out: &mut Outcome,
) -> Option<Arc<ChainStatus>> {
    if let Err(reason) = &message.body {
        out.poison(entry, reason.clone());
        return None;
    }
    let status = board.chain(&entry.subject);
    if status.is_none() {
        out.poison(entry, format!("{CHAINS_MAX} chains are open; {} finds no room", entry.subject));
    }
    status
}

impl<R: Rows> Chain<R> {
    /// A chain of which nothing was seen. `status` is the board's of that subject, `rows` are empty.
    pub fn new(
        rows: R,
        status: Arc<ChainStatus>,
        board: Arc<Board>,
        incarnation: Incarnation,
        mode: GateMode,
    ) -> Self {
        Self {
            subject: status.subject().clone(),
            incarnation,
            mode,
            gate: SequenceGate::default(),
            position: 0,
            stated_at: scope::tables(status.subject()).iter().chain(&[Table::All]).map(|t| (*t, 0)).collect(),
            carries_rows: false,
            doubt: None,
            unit: None,
            snapshot: None,
            parked: Vec::new(),
            refused: None,
            rows: Arc::new(rows),
            status,
            board,
        }
    }

    /// The live rows; another table after an outcome that says `swapped`.
    pub fn rows(&self) -> &Arc<R> {
        &self.rows
    }

    /// Replaced together with the rows.
    pub fn status(&self) -> &Arc<ChainStatus> {
        &self.status
    }

    /// Whether lookups have anything to consult in it: false for a chain of claims, ticks and policies alone,
    /// whose silence says nothing about any row.
    pub fn carries_rows(&self) -> bool {
        self.carries_rows
    }

    /// XXH3-128 of the subject, the chain's place, whether it is suspect, and the digest of its rows.
    pub fn digest(&self) -> u128 {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        let subject = self.subject.to_string();
        hash.update(&(subject.len() as u64).to_le_bytes());
        hash.update(subject.as_bytes());
        for number in [self.gate.claimed().0, self.gate.epoch().0, self.gate.last().0] {
            hash.update(&number.to_le_bytes());
        }
        hash.update(&[u8::from(self.doubt.is_some())]);
        hash.update(&self.rows.digest().to_le_bytes());
        hash.digest128()
    }

    /// Takes one message in. `message` is what [`super::read`] made of `entry`, which is of this subject.
    pub fn apply(&mut self, entry: &Entry<'_>, message: Message) -> Outcome {
        let mut out = Outcome::default();
        if let Ok((Shape::Claim, _)) = &message.body {
            self.claim(entry, &mut out);
            return out;
        }
        let Some(epoch) = message.epoch.as_ref().filter(|epoch| epoch.incarnation == self.incarnation) else {
            out.dropped(&self.subject, DropReason::Fenced);
            return out;
        };
        let numbered = Numbered {
            epoch: epoch.claim,
            sequence: message.sequence,
            digest: message.digest,
            begins_epoch: matches!(message.body, Ok((Shape::SnapshotBegin(_), _))),
        };
        if !self.take(entry, &numbered, &mut out) {
            return out;
        }
        if self.mode == GateMode::On && message.position < self.position {
            let (from, to) = (self.position, message.position);
            let reason = format!("position falls from {from} to {to} within an epoch; it never may");
            self.poison(entry, reason, &mut out);
        } else {
            self.position = message.position;
            match message.body {
                Ok((shape, changes)) => {
                    self.accept(entry, (numbered.epoch, numbered.sequence), shape, changes, &mut out)
                }
                Err(reason) => self.poison(entry, reason, &mut out),
            }
        }
        self.status.update(|state| state.sequence = numbered.sequence);
        out
    }

    fn claim(&mut self, entry: &Entry<'_>, out: &mut Outcome) {
        if !self.gate.claim(entry.stream_sequence) {
            out.dropped(&self.subject, DropReason::Duplicate);
        } else if self.gate.is_seen() && self.mode == GateMode::On {
            self.cast_doubt("another writer claimed it", out);
            self.doubt.get_or_insert_default().asked = false;
        }
    }

    /// Whether the message is to be applied. What the gate finds wrong is in `out`.
    fn take(&mut self, entry: &Entry<'_>, numbered: &Numbered, out: &mut Outcome) -> bool {
        let verdict = match self.mode {
            GateMode::On => self.gate.judge(numbered),
            GateMode::Off => Verdict::Next,
        };
        match verdict {
            Verdict::Next => {}
            Verdict::Gap { .. } => {
                self.cast_doubt("messages are missing", out);
                self.ask("messages are missing", out);
            }
            // The snapshot that begins it is what there is to ask for.
            Verdict::NewEpoch { .. } => {
                self.cast_doubt("an epoch began, and its snapshot has not ended", out)
            }
            Verdict::Duplicate => out.dropped(&self.subject, DropReason::Duplicate),
            Verdict::DuplicateUnverified => out.dropped(&self.subject, DropReason::DuplicateUnverified),
            Verdict::Fenced => out.dropped(&self.subject, DropReason::Fenced),
            Verdict::Fork => {
                let Numbered { epoch, sequence, .. } = numbered;
                let reason = format!(
                    "sequence {sequence} of epoch {epoch} came twice with different content; two writers share \
                     an epoch, stop one"
                );
                out.review(entry, ReviewKind::Fork, reason);
                out.dropped(&self.subject, DropReason::Fork);
                self.cast_doubt("a sequence was used twice", out);
                self.ask("a sequence was used twice", out);
            }
            Verdict::UnknownEpoch => {
                out.dropped(&self.subject, DropReason::UnknownEpoch);
                if self.doubt.as_ref().is_none_or(|doubt| !doubt.asked) {
                    let epoch = numbered.epoch;
                    let reason =
                        format!("epoch {epoch} was not claimed here, or did not begin with a snapshot");
                    out.review(entry, ReviewKind::Poison, reason);
                    self.cast_doubt("its epoch is unknown", out);
                }
                self.ask("the epoch is unknown", out);
            }
        }
        let loading = numbered.begins_epoch && self.mode == GateMode::On;
        match verdict {
            Verdict::Next | Verdict::Gap { .. } | Verdict::NewEpoch { .. } => {
                self.enter(numbered.epoch, loading, entry, out)
            }
            Verdict::Duplicate
            | Verdict::DuplicateUnverified
            | Verdict::Fork
            | Verdict::Fenced
            | Verdict::UnknownEpoch => false,
        }
    }

    /// Gives the epoch of an accepted message its number. False: the chain has no numbers left.
    fn enter(&mut self, epoch: StreamSequence, loading: bool, entry: &Entry<'_>, out: &mut Outcome) -> bool {
        let state = self.status.load();
        if state.epoch == epoch {
            return true;
        }
        let is_known = state.epochs.contains(&epoch);
        if !is_known && state.epochs.len() > usize::from(u16::MAX) {
            out.poison(entry, "the chain has begun 65536 epochs; go on under another source id".to_owned());
            self.cast_doubt("it has begun all epochs that it can", out);
            return false;
        }
        self.position = 0;
        self.stated_at.iter_mut().for_each(|(_, position)| *position = 0);
        self.status.update(|state| {
            state.loaded |= !loading;
            (state.epoch, state.sequence) = (epoch, SourceSequence(0));
            if !is_known {
                Arc::make_mut(&mut state.epochs).push(epoch);
            }
        });
        true
    }

    /// Does what an accepted message says. Its sequence is in the gate already.
    fn accept(
        &mut self,
        entry: &Entry<'_>,
        at: (StreamSequence, SourceSequence),
        shape: Shape,
        changes: Vec<Change>,
        out: &mut Outcome,
    ) {
        let version = self.version(entry, at.1);
        let shape = match (self.mode, shape) {
            // Nothing is staged without a gate.
            (GateMode::Off, _) => Shape::Live,
            (GateMode::On, shape) => shape,
        };
        match shape {
            Shape::Part(of) => return self.apply_part(entry, &of, changes, out),
            Shape::Live => {
                let rows: Vec<_> = changes.iter().map(|change| Stated { change, version }).collect();
                self.apply_live(entry, &rows, out);
            }
            Shape::UnitBegin(begin) => self.begin_unit(entry, begin.id, out),
            Shape::UnitCommit(commit) => self.commit_unit(entry, &commit, version, out),
            Shape::SnapshotBegin(begin) => self.begin_snapshot(entry, begin, at, version, out),
            Shape::SnapshotEnd(end) => self.end_snapshot(entry, &end, out),
            Shape::Claim => {}
        }
        for change in &changes {
            if let (Change::Tick(tick), Some(source)) = (change, self.subject.source()) {
                self.board.tick(source, &self.incarnation, tick);
            } else if let Change::Invalidate(invalidate) = change {
                self.board.invalidate(&self.incarnation, invalidate);
            } else if let Change::SnapshotApproved(approved) = change {
                out.approvals.push(approved.clone());
            }
        }
    }

    /// Applies rows to the live table, and to the snapshots that they come after.
    pub(super) fn apply_live(&mut self, entry: &Entry<'_>, rows: &[Stated<'_>], out: &mut Outcome) {
        let mut batch = Vec::with_capacity(rows.len());
        for row in rows {
            if row.change.table().is_none() {
                continue;
            }
            self.note_stated(row.change);
            out.opened |= row.change.table() != Some(Table::Policies) && !self.carries_rows;
            if is_relative(row.change) && !self.is_sound(row.change) {
                out.dropped(&self.subject, DropReason::RelativeWhileSuspect);
            } else {
                batch.push(*row);
            }
            if let Change::Policy(policy) = row.change {
                out.policies.push(policy.clone());
            }
        }
        self.carries_rows |= out.opened;
        self.keep_for_snapshots(entry, rows, out);
        let rejections = self.rows.apply(&batch);
        self.reject(entry, self.last(), rejections, out);
    }

    fn note_stated(&mut self, change: &Change) {
        for (_, position) in self.stated_at.iter_mut().filter(|(table, _)| scope::touches(*table, change)) {
            *position = self.position;
        }
    }

    /// The source's position of the last live change that touched the table.
    pub(super) fn stated_at(&self, table: Table) -> u64 {
        self.stated_at.iter().find(|(of, _)| *of == table).map_or(0, |(_, position)| *position)
    }

    /// Whether what the change adds to is there and can be trusted.
    fn is_sound(&self, change: &Change) -> bool {
        match (&self.doubt, self.mode) {
            (_, GateMode::Off) => true,
            (Some(doubt), GateMode::On) => doubt.is_cleared_for(change),
            // What the first snapshot does not repeat is whole from the chain's first message on.
            (None, GateMode::On) => {
                let repeats = self.snapshot.as_ref().is_some_and(|open| scope::covers(open.scope(), change));
                self.status.load().loaded || (self.snapshot.is_some() && !repeats)
            }
        }
    }

    /// Changes no row, and leaves a hole where the message should have been.
    pub(super) fn poison(&mut self, entry: &Entry<'_>, reason: String, out: &mut Outcome) {
        out.poison(entry, reason);
        self.cast_doubt("an entry could not be applied", out);
        self.ask("an entry could not be applied", out);
    }

    /// Makes the chain suspect, or finds another reason why it is; the first one is told.
    pub(super) fn cast_doubt(&mut self, because: &'static str, out: &mut Outcome) {
        if self.mode == GateMode::Off {
            return;
        }
        let staged = usize::from(self.unit.take().is_some())
            + usize::from(self.snapshot.take().is_some())
            + self.parked.drain(..).count();
        for _ in 0..staged {
            out.dropped(&self.subject, DropReason::StagingDropped);
        }
        let doubt = self.doubt.get_or_insert_default();
        // What the source was sending in answer is of no use now.
        doubt.asked &= staged == 0 && !doubt.renew();
        self.status.update(|state| {
            if !state.suspect {
                state.because = because;
            }
            state.suspect = true;
            state.parked = Arc::default();
        });
    }

    /// Tells rows that were refused. Where a figure was to be changed by so much and was not, what stands there is
    /// condemned until it is stated anew.
    pub(super) fn reject(
        &mut self,
        entry: &Entry<'_>,
        up_to: (StreamSequence, SourceSequence),
        rejections: Vec<RowRejection>,
        out: &mut Outcome,
    ) {
        for item in rejections.iter().filter_map(|rejection| rejection.outdated.clone()) {
            let scope = InvalidateScope::Item(item);
            self.status.condemn(Condemned { scope, mode: InvalidateMode::Soft, up_to });
        }
        out.rejected(entry, rejections);
    }

    /// The place of the last message taken.
    pub(super) fn last(&self) -> (StreamSequence, SourceSequence) {
        (self.gate.epoch(), self.gate.last())
    }

    /// Asks the source for a snapshot, once until something goes wrong with it.
    pub(super) fn ask(&mut self, reason: &'static str, out: &mut Outcome) {
        if self.doubt.as_ref().is_some_and(|doubt| doubt.asked) {
            return;
        }
        if let Some(doubt) = &mut self.doubt {
            doubt.asked = true;
        }
        out.effects.push(Effect::Resync { subject: self.subject.clone(), reason });
    }

    /// When rows of this message are stated. Without a gate whatever comes later counts as later.
    fn version(&self, entry: &Entry<'_>, sequence: SourceSequence) -> RowVersion {
        if self.mode == GateMode::Off {
            return RowVersion::new(0, entry.stream_sequence.0.min(RowVersion::SEQUENCE_MAX));
        }
        let state = self.status.load();
        let number = state.epochs.iter().rposition(|claim| *claim == state.epoch).unwrap_or_default();
        RowVersion::new(u16::try_from(number).unwrap_or(u16::MAX), sequence.0)
    }
}
