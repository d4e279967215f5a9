//! What every change message carries around its changes.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use crate::limits::{ENVELOPE_VERSION, MESSAGE_CHANGES_MAX};
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
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

    /// See [`MessageDigest`].
    pub fn digest(&self) -> MessageDigest {
        let mut hash = Xxh3::new();
        let covered = (&self.epoch, self.sequence, self.position, &self.changes);
        codec::write_canonical(&covered, &mut hash);
        MessageDigest(hash.digest128())
    }
}
