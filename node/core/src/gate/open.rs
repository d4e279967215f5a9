//! Entries without rows, as in `ledger.control` and in the chains of orders and events: duplicates are dropped, gaps counted, nothing is held back.
//! What an operator decided, or a customer ordered, is not undone by a message that is missing.

use pannier_protocol::{Change, Incarnation, SourceSequence, StreamSequence};

use super::read::{Message, Shape};
use super::sequence::{Numbered, SequenceGate, Verdict};
use super::{GateMode, Outcome};
use crate::entry::{DropReason, Entry, ReviewKind};
use crate::freshness::Board;

/// A chain of decisions, commands or events.
#[derive(Debug)]
pub struct OpenChain {
    pub(super) incarnation: Incarnation,
    pub(super) mode: GateMode,
    pub(super) gate: SequenceGate,
    pub(super) missing_count: u64,
}

impl OpenChain {
    pub fn new(incarnation: Incarnation, mode: GateMode) -> Self {
        Self { incarnation, mode, gate: SequenceGate::default(), missing_count: 0 }
    }

    /// Messages that never came.
    pub fn missing_count(&self) -> u64 {
        self.missing_count
    }

    pub fn claimed(&self) -> StreamSequence {
        self.gate.claimed()
    }

    pub fn last(&self) -> SourceSequence {
        self.gate.last()
    }

    /// Takes one message in. Any first message begins a new epoch; approvals and activations are in the outcome.
    pub fn apply(&mut self, entry: &Entry<'_>, message: Message, board: &Board) -> Outcome {
        let mut out = Outcome::default();
        if let Ok((Shape::Claim, _)) = &message.body {
            if !self.gate.claim(entry.stream_sequence) {
                out.dropped(&entry.subject, DropReason::Duplicate);
            }
            return out;
        }
        let Some(epoch) = message.epoch.as_ref().filter(|epoch| epoch.incarnation == self.incarnation) else {
            out.dropped(&entry.subject, DropReason::Fenced);
            return out;
        };
        let (sequence, digest) = (message.sequence, message.digest);
        let numbered = Numbered { epoch: epoch.claim, sequence, digest, begins_epoch: true };
        let verdict = match self.mode {
            GateMode::On => self.gate.judge(&numbered),
            GateMode::Off => Verdict::Next,
        };
        let reason = match verdict {
            Verdict::Next => None,
            Verdict::Gap { missing } | Verdict::NewEpoch { missing } => {
                self.missing_count = self.missing_count.saturating_add(missing);
                None
            }
            Verdict::Duplicate => Some(DropReason::Duplicate),
            Verdict::DuplicateUnverified => Some(DropReason::DuplicateUnverified),
            Verdict::Fork => {
                let reason =
                    format!("sequence {sequence} came twice with different content; the first stands");
                out.review(entry, ReviewKind::Fork, reason);
                Some(DropReason::Fork)
            }
            Verdict::Fenced => Some(DropReason::Fenced),
            Verdict::UnknownEpoch => Some(DropReason::UnknownEpoch),
        };
        match (reason, message.body) {
            (Some(reason), _) => out.dropped(&entry.subject, reason),
            (None, Ok((Shape::Live, changes))) => self.accept(changes, board, &mut out),
            (None, Ok(_)) => out.poison(entry, "units and snapshots have no place in control entries".into()),
            (None, Err(reason)) => out.poison(entry, reason),
        }
        out
    }

    fn accept(&self, changes: Vec<Change>, board: &Board, out: &mut Outcome) {
        for change in changes {
            if let Change::Invalidate(invalidate) = &change {
                board.invalidate(&self.incarnation, invalidate);
            } else if let Change::SnapshotApproved(approved) = change {
                out.approvals.push(approved);
            } else if let Change::RuleVersionActivated(activated) = change {
                out.activations.push(activated);
            } else if matches!(change, Change::Command(_) | Change::Event(_) | Change::Decision(_)) {
                out.orders.push(change);
            }
        }
    }
}
