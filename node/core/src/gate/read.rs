//! Bytes to a message, and whether it may stand where it stands. A message that may not is poison; where at
//! least its place in the chain can be read, the chain knows which sequence was lost to it.

use pannier_protocol::change::{SnapshotBegin, SnapshotEnd, SnapshotScope, Table, UnitBegin, UnitCommit};
use pannier_protocol::codec::{DecodeError, decode, decode_envelope};
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Envelope, Epoch, MarkId, MessageDigest, SourceSequence, Timestamp};
use serde::Deserialize;

use super::scope;
use crate::entry::Entry;
use crate::rows::RowVersion;

/// A message whose place in its chain could be read.
#[derive(Debug, Clone)]
pub struct Message {
    /// Absent in a claim only.
    pub epoch: Option<Epoch>,
    pub sequence: SourceSequence,
    pub position: u64,
    pub sent_at: Timestamp,
    /// Of what was decoded; of the payload where nothing could be.
    pub digest: MessageDigest,
    /// What it says, or one sentence on why that is poison.
    pub body: Result<(Shape, Vec<Change>), String>,
}

/// What a message is for; its other changes are rows, ticks, invalidations and operators' decisions, those of a
/// part rows alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    Claim,
    Live,
    Part(MarkId),
    UnitBegin(UnitBegin),
    UnitCommit(UnitCommit),
    SnapshotBegin(SnapshotBegin),
    SnapshotEnd(SnapshotEnd),
}

/// Why not even its place could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing is wrong with the message; this build is too old for it.
    #[error("envelope version {version}")]
    Newer { version: u16 },
    #[error("{reason}")]
    Garbage { reason: String },
}

/// Of an envelope that cannot be decoded whole, what the gate needs; other fields are passed over.
#[derive(Deserialize)]
struct Header {
    epoch: Option<Epoch>,
    sequence: SourceSequence,
    position: u64,
    sent_at: Timestamp,
}

/// Reads an entry of a chain. Pure: the same bytes on the same subject give the same message on every node.
pub fn read(entry: &Entry<'_>) -> Result<Message, ReadError> {
    let garbage = |reason: String| ReadError::Garbage { reason };
    let Some(encoding) = entry.encoding else {
        return Err(garbage(
            "the content type is neither MessagePack nor JSON; set it at the publisher".into(),
        ));
    };
    let message = match decode_envelope(encoding, entry.payload) {
        Ok(envelope) => from_envelope(envelope, &entry.subject),
        Err(DecodeError::NewerVersion { version }) => return Err(ReadError::Newer { version }),
        Err(error) => {
            from_header(encoding, entry.payload, &error).ok_or_else(|| garbage(error.to_string()))?
        }
    };
    let is_claim = matches!(message.body, Ok((Shape::Claim, _)));
    let numbered = (1..=RowVersion::SEQUENCE_MAX).contains(&message.sequence.0) && message.epoch.is_some();
    match (&message.body, is_claim || numbered) {
        (_, true) => Ok(message),
        (Ok(_), false) => {
            Err(garbage("only a claim has no epoch and no sequence; sequences end at 2^48".into()))
        }
        (Err(reason), false) => Err(garbage(reason.clone())),
    }
}

fn from_envelope(envelope: Envelope, subject: &Subject) -> Message {
    let digest = envelope.digest();
    let Envelope { source, epoch, sequence, position, sent_at, changes, .. } = envelope;
    let own = subject.source().is_none_or(|named| *named == source);
    let body = if own {
        shaped(changes, subject, epoch.is_none() && sequence == SourceSequence(0))
    } else {
        Err(format!("source {source} writes on {subject}; a source writes on its own subjects"))
    };
    Message { epoch, sequence, position, sent_at, digest, body }
}

fn from_header(encoding: Encoding, payload: &[u8], error: &DecodeError) -> Option<Message> {
    let header: Header = decode(encoding, payload, MESSAGE_BYTES_MAX).ok()?;
    let Header { epoch, sequence, position, sent_at } = header;
    let digest = MessageDigest(xxhash_rust::xxh3::xxh3_128(payload));
    Some(Message { epoch, sequence, position, sent_at, digest, body: Err(error.to_string()) })
}

/// What a change makes of the message that begins with it.
fn mark(change: &Change) -> Option<Shape> {
    if let Change::Part(part) = change {
        Some(Shape::Part(part.of.clone()))
    } else if let Change::UnitBegin(begin) = change {
        Some(Shape::UnitBegin(begin.clone()))
    } else if let Change::UnitCommit(commit) = change {
        Some(Shape::UnitCommit(commit.clone()))
    } else if let Change::SnapshotBegin(begin) = change {
        Some(Shape::SnapshotBegin(begin.clone()))
    } else if let Change::SnapshotEnd(end) = change {
        Some(Shape::SnapshotEnd(end.clone()))
    } else {
        matches!(change, Change::Claim(_)).then_some(Shape::Claim)
    }
}

/// Sorts the changes of a message into its shape and the rest.
fn shaped(
    mut changes: Vec<Change>,
    subject: &Subject,
    unnumbered: bool,
) -> Result<(Shape, Vec<Change>), String> {
    for (at, change) in changes.iter().enumerate() {
        if !change.fits(subject) {
            return Err(format!("{} has no place on {subject}", change.kind()));
        }
        if at > 0 && mark(change).is_some() {
            return Err(format!("{} must be the first change of its message", change.kind()));
        }
        change.check().map_err(|invalid| invalid.to_string())?;
    }
    let shape = changes.first().and_then(mark);
    if shape.is_some() {
        changes.remove(0);
    }
    let shape = shape.unwrap_or(Shape::Live);
    let rows_count = changes.iter().filter(|change| change.table().is_some()).count();
    match &shape {
        Shape::Live => Ok(()),
        Shape::Claim if changes.is_empty() && unnumbered => Ok(()),
        Shape::Claim => Err("a claim stands alone in its message, without epoch, at sequence 0".to_owned()),
        Shape::Part(_) if rows_count == changes.len() => Ok(()),
        Shape::Part(_) => Err("a part holds rows alone; send marks beside it".to_owned()),
        Shape::SnapshotBegin(begin) => scope_fits(&begin.scope, subject),
        Shape::UnitBegin(_) | Shape::UnitCommit(_) | Shape::SnapshotEnd(_) => Ok(()),
    }?;
    if !matches!(shape, Shape::Live | Shape::Part(_)) && rows_count > 0 {
        return Err("rows do not stand beside a mark that begins or ends something".to_owned());
    }
    Ok((shape, changes))
}

fn scope_fits(declared: &SnapshotScope, subject: &Subject) -> Result<(), String> {
    let carried = scope::tables(subject);
    let fits = declared.table == Table::All || carried.contains(&declared.table);
    let of_warehouse = declared.warehouse.is_none() || subject.in_ledger();
    let of_prices = declared.prices.is_none() || matches!(declared.table, Table::Scopes | Table::Prices);
    if fits && of_warehouse && of_prices {
        return Ok(());
    }
    Err(format!("snapshot_begin.scope names rows that {subject} does not carry"))
}
