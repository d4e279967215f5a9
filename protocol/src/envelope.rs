//! What every change message carries around its changes, and what makes it a message that may stand on its
//! subject. A wrong one is poison as a whole: half a batch is not what the source said.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::limits::{ENVELOPE_VERSION, MESSAGE_CHANGES_MAX, SOURCE_SEQUENCE_MAX, TRACEPARENT_BYTES_MAX};
use crate::subject::Subject;
use crate::{Change, Incarnation, SourceId, Timestamp, TransactionId, codec};

/// A publisher's own number of a message: dense within one subject and epoch, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SourceSequence(pub u64);

/// JetStream's number of a message in its stream, from 1; 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StreamSequence(pub u64);

impl fmt::Display for SourceSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for StreamSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// One writer's reign over one subject: where its claim stands in the stream. Never invented, so the
/// later claim is always the greater epoch. Epochs of two incarnations do not compare.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epoch {
    pub incarnation: Incarnation,
    /// Stream sequence of the claim message.
    pub claim: StreamSequence,
}

/// One change message: one atomic batch of one source on one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// [`ENVELOPE_VERSION`] of the writer.
    pub version: u16,
    /// Must be the one in the subject.
    pub source: SourceId,
    /// Absent in a claim only: its place in the stream becomes the epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// From 1, +1 a message of this subject and epoch; 0 in a claim.
    pub sequence: SourceSequence,
    /// The source's own coordinate (log position, export time in ms); never falls within a subject.
    pub position: u64,
    /// The publisher's clock when it made the message.
    pub sent_at: Timestamp,
    /// W3C trace context.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "codec::bounded_option::<_, TRACEPARENT_BYTES_MAX>"
    )]
    pub traceparent: Option<String>,
    /// The source's transaction that this message is a part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<TransactionId>,
    #[serde(deserialize_with = "codec::bounded::<_, _, MESSAGE_CHANGES_MAX>")]
    pub changes: Vec<Change>,
}

/// What tells a redelivered message from a fork: XXH3-128 of the canonical MessagePack of epoch,
/// sequence, position and changes. `sent_at` and `traceparent` may differ between two sends of one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageDigest(pub u128);

/// Why a well-formed message is refused; `path` names the field as decode errors do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct InvalidMessage {
    pub path: String,
    pub reason: String,
}

fn invalid(path: &str, reason: &str) -> InvalidMessage {
    InvalidMessage { path: path.to_owned(), reason: reason.to_owned() }
}

impl Envelope {
    /// An envelope of this build's version without trace context.
    pub fn new(
        source: SourceId,
        epoch: Option<Epoch>,
        sequence: SourceSequence,
        position: u64,
        sent_at: Timestamp,
        changes: Vec<Change>,
    ) -> Self {
        Self {
            version: ENVELOPE_VERSION,
            source,
            epoch,
            sequence,
            position,
            sent_at,
            traceparent: None,
            transaction: None,
            changes,
        }
    }

    /// Whether this message may stand on `subject`: its source and epoch, where its marks are, the place of
    /// every change and every rule that needs nothing but the change itself.
    pub fn check(&self, subject: &Subject) -> Result<(), InvalidMessage> {
        if subject.source().is_some_and(|named| *named != self.source) {
            return Err(invalid("source", "is not the source that the subject names"));
        }
        let claims = self.changes.iter().any(|change| matches!(change, Change::Claim(_)));
        match (&self.epoch, claims) {
            (None, true) if self.sequence.0 == 0 => {}
            (None, true) => return Err(invalid("sequence", "is 0 in a claim")),
            (None, false) => return Err(invalid("epoch", "is missing; only a claim has none")),
            (Some(_), true) => return Err(invalid("epoch", "a claim has none: its place becomes the epoch")),
            (Some(epoch), false) => {
                if epoch.claim.0 == 0 {
                    return Err(invalid("epoch.claim", "stream sequences start at 1"));
                }
                if !(1..=SOURCE_SEQUENCE_MAX).contains(&self.sequence.0) {
                    return Err(invalid("sequence", "must be 1 to 281474976710655"));
                }
            }
        }
        let in_part = matches!(self.changes.first(), Some(Change::Part(_)));
        for (at, change) in self.changes.iter().enumerate() {
            let kind = change.kind();
            let wrong = |reason: String| InvalidMessage { path: format!("changes[{at}].{kind}"), reason };
            if !change.fits(subject) {
                return Err(wrong(format!("has no place on {subject}; see WIRE.md, Changes")));
            }
            if change.stands_alone() && self.changes.len() > 1 {
                return Err(wrong("stands alone in its message; send the others in one of their own".into()));
            }
            if in_part && at > 0 && change.table().is_none() {
                return Err(wrong("is no row, and only rows follow a part mark".into()));
            }
            if !in_part && matches!(change, Change::Part(_)) {
                return Err(wrong("must be the first change of its message".into()));
            }
            change.check().map_err(|invalid| InvalidMessage {
                path: format!("changes[{at}].{kind}.{}", invalid.field),
                reason: invalid.reason.to_owned(),
            })?;
        }
        Ok(())
    }

    /// See [`MessageDigest`].
    pub fn digest(&self) -> MessageDigest {
        let mut hash = Xxh3::new();
        let covered = (&self.epoch, self.sequence, self.position, &self.changes);
        codec::write_canonical(&covered, &mut hash);
        MessageDigest(hash.digest128())
    }
}
