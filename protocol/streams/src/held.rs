//! The writer of a subject for as long as one act takes.
//!
//! A command, or a node that publishes what an operator decides, has no state of its own between two acts, and a
//! new claim every time would make the chain suspect every time: a new epoch begins with a snapshot. So it goes
//! on in the epoch of the subject's last message when the claim of that epoch bears its own instance name, and the
//! broker's fence sees to it that of two such writers at once one is refused.

use pannier_protocol::change::{ChainPoint, Part, SnapshotBegin, SnapshotEnd, SnapshotScope};
use pannier_protocol::codec::{decode_envelope, encode_envelope};
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    Change, DecodeError, Encoding, Envelope, Epoch, Incarnation, MarkId, SourceId, StreamSequence, Timestamp,
    TransactionId,
};
use sha2::{Digest, Sha256};

use crate::config::Streams;
use crate::connect::Broker;
use crate::limits::SETTLE_ATTEMPTS_MAX;
use crate::stored::{CONTENT_TYPE, ReadError, Stored, last_message, message_at};
use crate::writer::{Chain, ClaimError, Draft, Kept, Outcome, ResumeError, Writer};

/// The source under which operators (policies, approvals, decisions) write.
pub const OPERATOR: &str = "operator";
/// The instance of all who write for operators: they go on in one epoch.
const OPERATORS: &str = "pannier";

/// A subject that this process may write.
#[derive(Debug)]
pub struct Held {
    writer: Writer,
    incarnation: Incarnation,
    /// Of the last message; never falls.
    position: u64,
}

/// How a subject is taken.
#[derive(Debug)]
pub struct Taking<'a> {
    pub chain: Chain,
    /// Who writes: epochs of the same name are continued.
    pub instance: &'a MarkId,
    /// Whether a subject that another instance wrote is taken over.
    pub claim: bool,
}

/// What a message says.
#[derive(Debug, Clone)]
pub struct Said {
    pub sent_at: Timestamp,
    pub traceparent: Option<String>,
    pub transaction: Option<TransactionId>,
    pub changes: Vec<Change>,
}

/// Why a subject cannot be written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("message {position} of {subject} cannot be read: {source}; is it of a newer version?")]
    Decode { subject: String, position: StreamSequence, source: DecodeError },
    #[error(transparent)]
    Claim(#[from] ClaimError),
    #[error(transparent)]
    Resume(#[from] ResumeError),
    /// Its epoch is another's, and it was not to be taken over.
    #[error("{subject} is written by {by}")]
    Other { subject: String, by: String },
}

impl Held {
    pub async fn take(
        broker: &Broker,
        streams: &Streams,
        taking: Taking<'_>,
        now: Timestamp,
    ) -> Result<Self, TakeError> {
        let Taking { chain, instance, claim } = taking;
        let full = streams.prefix.full(&chain.subject);
        let stream = if chain.subject.in_ledger() { &streams.ledger } else { &streams.catalog };
        let incarnation = streams.incarnation.clone();
        let Some(last) = last_message(broker, stream, &full).await? else {
            let writer = Writer::claim(broker, streams, chain, instance, now).await?;
            return Ok(Self { writer, incarnation, position: 0 });
        };
        let envelope = decode(&last)?;
        let epoch = match envelope.epoch.clone() {
            Some(epoch) => epoch,
            None => Epoch { incarnation: incarnation.clone(), claim: last.stream_sequence },
        };
        let position = envelope.position;
        let claimed_by = claimant(broker, stream, &epoch).await?;
        // A claim may be older than what the stream keeps; the operators' source has one instance.
        let is_aged = claimed_by.is_none() && chain.source.as_str() == OPERATOR;
        let writer = if is_aged || claimed_by.as_ref() == Some(instance) {
            let kept = Kept { epoch: &epoch, acknowledged: envelope.sequence, token: None };
            Writer::resume(broker, streams, chain, kept).await?
        } else if claim {
            tracing::warn!(subject = full, "taken over: its rows are suspect until a snapshot of it ends");
            Writer::claim(broker, streams, chain, instance, now).await?
        } else {
            let by = claimed_by.map_or("an unknown writer".to_owned(), |id| id.to_string());
            return Err(TakeError::Other { subject: full, by });
        };
        Ok(Self { writer, incarnation, position })
    }

    /// For what operators write on `ledger.control` and `catalog.shared.operator`.
    pub async fn operator(
        broker: &Broker,
        streams: &Streams,
        subject: Subject,
        now: Timestamp,
    ) -> Result<Self, TakeError> {
        let source = SourceId::new(OPERATOR).expect("the operators' source is an id");
        let instance = MarkId::new(OPERATORS).expect("the operators' instance is an id");
        let chain = Chain { subject, source, encoding: Encoding::MessagePack };
        Self::take(broker, streams, Taking { chain, instance: &instance, claim: false }, now).await
    }

    /// Publishes one message and waits, for so long as it is worth it, until its fate is known.
    pub async fn publish(&mut self, said: Said) -> Outcome {
        let draft = self.draft(said);
        let mut outcome = self.writer.publish(draft).await;
        for _ in 0..SETTLE_ATTEMPTS_MAX {
            let Outcome::Unsettled { reason } = &outcome else { break };
            tracing::warn!(reason, "whether the message is stored is not known, asking again");
            outcome = self.writer.settle().await;
        }
        outcome
    }

    /// Repeats what `scope` holds, each row in a message of its own, for there are few of them. Ended by anything but
    /// [`Outcome::Stored`] it leaves a snapshot that the next one replaces.
    pub async fn snapshot(&mut self, scope: SnapshotScope, rows: Vec<Change>, now: Timestamp) -> Outcome {
        let id = MarkId::new(&format!("repeat-{}", self.writer.sequence()));
        let id = id.expect("letters and digits are an id");
        let cut = self.position.max(now.millis().unsigned_abs());
        let (mut sha, count) = (Sha256::new(), rows.len() as u64);
        let mut outcome =
            self.say(Change::SnapshotBegin(SnapshotBegin { id: id.clone(), scope, cut }), now).await;
        for row in rows {
            let Outcome::Stored(_) = outcome else { return outcome };
            let changes = vec![Change::Part(Part { of: id.clone() }), row];
            let said = Said { sent_at: now, traceparent: None, transaction: None, changes };
            let draft = self.draft(said.clone());
            let envelope = self.writer.envelope(draft);
            match encode_envelope(self.writer.encoding(), &envelope) {
                Ok(payload) => sha.update(&payload),
                Err(error) => return Outcome::Refused { reason: error.to_string() },
            }
            outcome = self.publish(said).await;
        }
        let Outcome::Stored(_) = outcome else { return outcome };
        let hash = sha.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        self.say(Change::SnapshotEnd(SnapshotEnd { id, rows: count, hash }), now).await
    }

    async fn say(&mut self, change: Change, sent_at: Timestamp) -> Outcome {
        self.publish(Said { sent_at, traceparent: None, transaction: None, changes: vec![change] }).await
    }

    fn draft(&mut self, said: Said) -> Draft {
        let Said { sent_at, traceparent, transaction, changes } = said;
        self.position = self.position.max(sent_at.millis().unsigned_abs());
        Draft { position: self.position, sent_at, traceparent, transaction, changes }
    }

    pub fn subject(&self) -> &Subject {
        self.writer.subject()
    }

    pub fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }

    /// Where the last message known to be stored stands in the stream.
    pub fn stream_sequence(&self) -> StreamSequence {
        self.writer.stream_sequence()
    }

    /// Where this subject stands: what a tick says of it.
    pub fn point(&self) -> ChainPoint {
        ChainPoint {
            subject: self.writer.subject().clone(),
            epoch: self.writer.epoch().clone(),
            sequence: self.writer.sequence(),
        }
    }
}

/// Who claimed an epoch; `None` where its claim is not in the stream any more.
async fn claimant(broker: &Broker, stream: &str, epoch: &Epoch) -> Result<Option<MarkId>, TakeError> {
    let Some(claim) = message_at(broker, stream, epoch.claim).await? else { return Ok(None) };
    let mut claims = decode(&claim)?
        .changes
        .into_iter()
        .filter_map(|change| if let Change::Claim(claim) = change { Some(claim.instance) } else { None });
    Ok(claims.next())
}

fn decode(message: &Stored) -> Result<Envelope, TakeError> {
    let encoding = Encoding::of_content_type(message.header(CONTENT_TYPE));
    encoding.and_then(|encoding| decode_envelope(encoding, &message.payload)).map_err(|source| {
        TakeError::Decode { subject: message.subject.clone(), position: message.stream_sequence, source }
    })
}
