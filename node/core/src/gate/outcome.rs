//! What came of one message.

use pannier_protocol::Change;
use pannier_protocol::change::{Policy, RuleVersionActivated, SnapshotApproved};
use pannier_protocol::subject::Subject;

use crate::entry::{DropReason, Effect, Entry, Review, ReviewKind};
use crate::rows::RowRejection;

/// What a message did beyond the rows of its chain, for the fold that holds the chain.
#[derive(Debug, Default)]
pub struct Outcome {
    pub effects: Vec<Effect>,
    /// The chain's rows are another table now: a new table set is due.
    pub swapped: bool,
    /// The chain carries rows from here on: a new table set is due.
    pub opened: bool,
    /// Policies that took effect.
    pub policies: Vec<Policy>,
    /// Operators' decisions that stood in the message.
    pub approvals: Vec<SnapshotApproved>,
    pub activations: Vec<RuleVersionActivated>,
    /// Commands, events and decisions about orders, in their order.
    pub orders: Vec<Change>,
    findings_count: u32,
}

impl Outcome {
    pub(crate) fn dropped(&mut self, subject: &Subject, reason: DropReason) {
        self.effects.push(Effect::Dropped { subject: subject.clone(), reason });
    }

    pub(crate) fn review(&mut self, entry: &Entry<'_>, kind: ReviewKind, reason: String) {
        self.effects.push(Effect::Review(Review {
            kind,
            subject: entry.subject.clone(),
            source: entry.subject.source().cloned(),
            stream_sequence: entry.stream_sequence,
            index: self.findings_count,
            reason,
        }));
        self.findings_count += 1;
    }

    pub(crate) fn poison(&mut self, entry: &Entry<'_>, reason: String) {
        self.review(entry, ReviewKind::Poison, reason);
        self.dropped(&entry.subject, DropReason::Poison);
    }

    pub(crate) fn rejected(&mut self, entry: &Entry<'_>, rejections: Vec<RowRejection>) {
        for rejection in rejections {
            self.review(entry, ReviewKind::Row, rejection.reason);
            self.dropped(&entry.subject, DropReason::RowRejected);
        }
    }
}
