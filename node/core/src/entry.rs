//! What goes into the core, and what it wants done.

use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, SourceId, StreamSequence, Timestamp};

/// One message of the ledger or the catalog stream, as the broker delivered it.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub subject: Subject,
    pub stream_sequence: StreamSequence,
    /// The leader's clock when it stored the message; it may go back.
    pub stream_time: Timestamp,
    /// Of an unknown content type there is no encoding: the entry is poison.
    pub encoding: Option<Encoding>,
    pub payload: &'a [u8],
}

/// What the shell is to do. None of it changes the state of the core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Publish to the review stream, create-only by origin.
    Review(Review),
    /// Ask the source to send a snapshot of this chain.
    Resync { subject: Subject, reason: &'static str },
    /// Count and log; `subject` is the chain.
    Dropped { subject: Subject, reason: DropReason },
    /// Leave readiness and stop applying: a newer build is needed.
    Stop { needs: String },
}

/// Something that could not be applied, for a human to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    pub kind: ReviewKind,
    pub subject: Subject,
    pub source: Option<SourceId>,
    pub stream_sequence: StreamSequence,
    /// Which finding of that entry, from 0.
    pub index: u32,
    /// One sentence: what is wrong and what to do.
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReviewKind {
    /// An entry that cannot be decoded, or whose changes are invalid.
    Poison,
    /// A row that was refused while the rest of its message applied.
    Row,
    /// A snapshot that removes too much, or whose count or hash is wrong.
    Snapshot,
    Fork,
}

impl ReviewKind {
    /// The subject token.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poison => "poison",
            Self::Row => "row",
            Self::Snapshot => "snapshot",
            Self::Fork => "fork",
        }
    }
}

/// Why an entry, or a part of it, changed no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    Duplicate,
    /// At or below the last sequence, and older than the window of digests.
    DuplicateUnverified,
    Fork,
    /// A lower epoch than the chain's, or another incarnation's.
    Fenced,
    /// A new epoch that does not begin with a snapshot.
    UnknownEpoch,
    /// A relative change while the chain is suspect, or not loaded yet.
    RelativeWhileSuspect,
    Poison,
    /// A row refused by a rule of its table.
    RowRejected,
    /// A unit or snapshot that was abandoned, parked or wrong.
    StagingDropped,
    /// An order or an event: a later rule version judges it.
    LaterRules,
}

impl DropReason {
    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::DuplicateUnverified => "duplicate_unverified",
            Self::Fork => "fork",
            Self::Fenced => "fenced",
            Self::UnknownEpoch => "unknown_epoch",
            Self::RelativeWhileSuspect => "relative_while_suspect",
            Self::Poison => "poison",
            Self::RowRejected => "row_rejected",
            Self::StagingDropped => "staging_dropped",
            Self::LaterRules => "later_rules",
        }
    }
}
