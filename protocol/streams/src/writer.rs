//! The one writer of a subject.
//!
//! A lock or lease service in front of the subject would be wrong at the moment it matters: a writer that
//! was paused past its lease still publishes. Here the broker itself fences: every message expects the
//! stream sequence of the writer's own last one, so a writer that somebody took over from can never publish
//! again. Taking over is publishing a *claim*; its place in the stream is the writer's epoch, so epochs
//! cannot be invented and the later claim is the greater one.
//!
//! Two processes may still go on in one epoch (commands without a state of their own do), and may say the same
//! in the same millisecond: bytes do not tell whose a message is. So every message bears its writer's *token* in
//! its id, and only a message with that id is one's own. A claim makes a token; who keeps epoch and messages on
//! disk keeps the token beside them, and knows what it sent before a crash; who keeps nothing gets a fresh one.
//!
//! At most one message is in flight: with two, the refusal of the first says nothing about the second.
//! What an attempt goes through until its fate is known is in the
//! `attempt` module.

use bytes::Bytes;
use pannier_protocol::change::Claim;
use pannier_protocol::codec::{decode_envelope, encode_envelope};
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    Change, DecodeError, Encoding, Envelope, Epoch, MarkId, SourceId, SourceSequence, StreamSequence,
    Timestamp, TransactionId,
};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use crate::attempt::{Attempt, Settled, Verdict};
use crate::config::Streams;
use crate::connect::Broker;
use crate::limits::CLAIM_ATTEMPTS_MAX;
use crate::stored::{CONTENT_TYPE, ReadError, Stored, StoredDigest, last_message, stream_info};

/// Which subject is written, by whom.
#[derive(Debug, Clone)]
pub struct Chain {
    pub subject: Subject,
    /// The one in the subject; for the control subject the operator's tool.
    pub source: SourceId,
    pub encoding: Encoding,
}

/// What a message says; the writer adds source, epoch and sequence.
#[derive(Debug, Clone)]
pub struct Draft {
    pub position: u64,
    pub sent_at: Timestamp,
    pub traceparent: Option<String>,
    pub transaction: Option<TransactionId>,
    pub changes: Vec<Change>,
}

/// Tells the messages of one process from those of another in the same epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriterToken(String);

impl WriterToken {
    fn fresh(broker: &Broker) -> Self {
        let inbox = broker.client().new_inbox();
        Self(inbox.rsplit('.').next().unwrap_or(&inbox).to_owned())
    }
}

/// Where a writer goes on.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    pub epoch: &'a Epoch,
    /// The last message known to be stored.
    pub acknowledged: SourceSequence,
    /// Of [`Writer::token`], from whoever kept the messages themselves too; `None` from all others.
    pub token: Option<&'a WriterToken>,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// It is in the stream, once.
    Stored(StreamSequence),
    /// The subject does not continue where this writer left it: claim again and send a snapshot.
    Lost(LostReason),
    /// Another writer claimed the subject: this process must stop writing it.
    Fenced { by: StreamSequence },
    /// It can never be stored as it is; nothing was. The writer goes on with another message.
    Refused { reason: String },
    /// The broker could not be asked in time: the message may or may not be stored, now or later.
    /// Nothing else may be published before [`Writer::settle`] says which.
    Unsettled { reason: String },
}

/// How a subject departed from what its writer knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// The writer's last message is not there any more: the broker lost it, or it aged out.
    Gone,
    /// Another message bears this writer's epoch: two processes share one state.
    Forked,
    /// Something was published without a claim.
    Foreign,
}

/// Why a subject could not be taken.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ClaimError {
    #[error("stream {stream} is not of incarnation {wanted} any more: check it with `pannier init`")]
    OtherIncarnation { stream: String, wanted: pannier_protocol::Incarnation },
    #[error("{subject} is claimed by others all the time; stop the other writers of this source")]
    Contended { subject: String },
    #[error("claiming {subject}: {reason}")]
    NotSettled { subject: String, reason: String },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Why a subject cannot be written on from where it was left.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ResumeError {
    /// Claim instead, and send a snapshot.
    #[error("{subject} does not continue where this writer left it ({reason:?})")]
    Lost { subject: String, reason: LostReason },
    #[error("{subject} was claimed by another writer at {by}; stop one of the two")]
    Fenced { subject: String, by: StreamSequence },
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Writes one subject until it is fenced. See the module's documentation.
#[derive(Debug)]
pub struct Writer {
    broker: Broker,
    stream: String,
    subject: String,
    chain: Chain,
    token: WriterToken,
    reign: Reign,
    pending: Option<Attempt>,
}

/// What the writer knows of its subject.
#[derive(Debug, Clone)]
struct Reign {
    epoch: Epoch,
    /// Of the last message known to be stored; 0 after the claim.
    sequence: SourceSequence,
    stream_sequence: StreamSequence,
    digest: StoredDigest,
}

impl Writer {
    /// Takes the subject over from whoever wrote it. The next message must begin a snapshot unless the
    /// chain is new. `instance` says who, for operators; `now` is the publisher's clock.
    pub async fn claim(
        broker: &Broker,
        streams: &Streams,
        chain: Chain,
        instance: &MarkId,
        now: Timestamp,
    ) -> Result<Self, ClaimError> {
        let (stream, subject) = place(streams, &chain);
        let info = stream_info(broker, &stream).await?;
        if info.incarnation().as_ref() != Some(&streams.incarnation) {
            return Err(ClaimError::OtherIncarnation { stream, wanted: streams.incarnation.clone() });
        }
        let changes = vec![Change::Claim(Claim { instance: instance.clone() })];
        let envelope = Envelope::new(chain.source.clone(), None, SourceSequence(0), 0, now, changes);
        let not_settled = |reason| ClaimError::NotSettled { subject: subject.clone(), reason };
        let payload = encode_envelope(chain.encoding, &envelope).map_err(|e| not_settled(e.to_string()))?;
        let token = WriterToken::fresh(broker);
        for _ in 0..CLAIM_ATTEMPTS_MAX {
            let last = last_message(broker, &stream, &subject).await?;
            let expected = last.map_or(StreamSequence(0), |m| m.stream_sequence);
            let attempt = Attempt {
                stream: stream.clone(),
                subject: subject.clone(),
                expected,
                message_id: format!("{}-claim-{expected}", token.0),
                content_type: chain.encoding.content_type(),
                payload: Bytes::from(payload.clone()),
            };
            let claim = match attempt.settle(broker, |last| judge_claim(&attempt, last)).await {
                Settled::Landed(claim) => claim,
                Settled::Stopped(()) => continue,
                Settled::Refused(reason) | Settled::Unsettled(reason) => return Err(not_settled(reason)),
            };
            let epoch = Epoch { incarnation: streams.incarnation.clone(), claim };
            let (sequence, digest) = (SourceSequence(0), attempt.digest());
            let reign = Reign { epoch, sequence, stream_sequence: claim, digest };
            let broker = broker.clone();
            return Ok(Self { broker, stream, subject, chain, token, reign, pending: None });
        }
        Err(ClaimError::Contended { subject })
    }

    /// Goes on in an epoch after a restart, if the subject still ends with a message of it that is not
    /// before the last one acknowledged. What the process before sent without learning its fate shows in
    /// [`Writer::sequence`]: it is past that one if it was stored.
    pub async fn resume(
        broker: &Broker,
        streams: &Streams,
        chain: Chain,
        kept: Kept<'_>,
    ) -> Result<Self, ResumeError> {
        let Kept { epoch, acknowledged, token } = kept;
        let (stream, subject) = place(streams, &chain);
        let lost = |reason| ResumeError::Lost { subject: subject.clone(), reason };
        let last = last_message(broker, &stream, &subject).await?.ok_or(lost(LostReason::Gone))?;
        let sequence = match whose(&last, epoch) {
            Whose::Own(sequence) if sequence >= acknowledged => sequence,
            Whose::Own(_) | Whose::Older => return Err(lost(LostReason::Gone)),
            Whose::Foreign => return Err(lost(LostReason::Foreign)),
            Whose::Newer { by } => return Err(ResumeError::Fenced { subject, by }),
        };
        let reign = Reign {
            epoch: epoch.clone(),
            sequence,
            stream_sequence: last.stream_sequence,
            digest: last.digest(),
        };
        let token = token.cloned().unwrap_or_else(|| WriterToken::fresh(broker));
        Ok(Self { broker: broker.clone(), stream, subject, chain, token, reign, pending: None })
    }

    pub fn epoch(&self) -> &Epoch {
        &self.reign.epoch
    }

    /// To be kept by who keeps its messages, and given back in [`Kept`].
    pub fn token(&self) -> &WriterToken {
        &self.token
    }

    /// Of the last message known to be stored; the next one gets the next number.
    pub fn sequence(&self) -> SourceSequence {
        self.reign.sequence
    }

    /// Where the last message known to be stored stands in the stream.
    pub fn stream_sequence(&self) -> StreamSequence {
        self.reign.stream_sequence
    }

    pub fn subject(&self) -> &Subject {
        &self.chain.subject
    }

    pub fn encoding(&self) -> Encoding {
        self.chain.encoding
    }

    /// The envelope that [`Writer::publish`] would send next.
    pub fn envelope(&self, draft: Draft) -> Envelope {
        let sequence = SourceSequence(self.reign.sequence.0 + 1);
        let epoch = Some(self.reign.epoch.clone());
        let source = self.chain.source.clone();
        let Draft { position, sent_at, traceparent, transaction, changes } = draft;
        let envelope = Envelope::new(source, epoch, sequence, position, sent_at, changes);
        Envelope { traceparent, transaction, ..envelope }
    }

    /// Publishes the next message and waits until its fate is known, or [`Outcome::Unsettled`]. Dropped
    /// half way it leaves the message unsettled, as a timeout would.
    pub async fn publish(&mut self, draft: Draft) -> Outcome {
        if self.pending.is_some() {
            return Outcome::Unsettled { reason: "the message before is not settled".to_owned() };
        }
        let envelope = self.envelope(draft);
        let payload = match encode_envelope(self.chain.encoding, &envelope) {
            Ok(payload) => Bytes::from(payload),
            Err(error) => return Outcome::Refused { reason: error.to_string() },
        };
        let (token, claim) = (&self.token.0, self.reign.epoch.claim);
        // The hash, since the number of a refused message is given to another.
        let message_id = format!("{token}-{claim}-{}-{:032x}", envelope.sequence, xxh3_128(&payload));
        self.pending = Some(Attempt {
            stream: self.stream.clone(),
            subject: self.subject.clone(),
            expected: self.reign.stream_sequence,
            message_id,
            content_type: self.chain.encoding.content_type(),
            payload,
        });
        self.settle().await
    }

    /// Goes on with the message whose fate is not known: the very same message is offered again until the
    /// broker says. Without one this is [`Outcome::Stored`] of the last.
    pub async fn settle(&mut self) -> Outcome {
        let Some(attempt) = &self.pending else { return Outcome::Stored(self.reign.stream_sequence) };
        let settled = attempt.settle(&self.broker, |last| self.reign.judge(attempt, last)).await;
        let outcome = match settled {
            Settled::Landed(stream_sequence) => {
                self.reign.sequence.0 += 1;
                self.reign.stream_sequence = stream_sequence;
                self.reign.digest = attempt.digest();
                Outcome::Stored(stream_sequence)
            }
            Settled::Stopped(outcome) => outcome,
            Settled::Refused(reason) => Outcome::Refused { reason },
            Settled::Unsettled(reason) => return Outcome::Unsettled { reason },
        };
        self.pending = None;
        outcome
    }
}

/// Who claimed a subject after `epoch` did; who acts outside the ledger on the strength of its claim asks this
/// before each act, for a fenced publish would come too late.
pub async fn fenced_by(
    broker: &Broker,
    streams: &Streams,
    subject: &Subject,
    epoch: &Epoch,
) -> Result<Option<StreamSequence>, ReadError> {
    let stream = if subject.in_ledger() { &streams.ledger } else { &streams.catalog };
    let last = last_message(broker, stream, &streams.prefix.full(subject)).await?;
    Ok(last.and_then(|last| if let Whose::Newer { by } = whose(&last, epoch) { Some(by) } else { None }))
}

fn place(streams: &Streams, chain: &Chain) -> (String, String) {
    let stream = if chain.subject.in_ledger() { &streams.ledger } else { &streams.catalog };
    (stream.clone(), streams.prefix.full(&chain.subject))
}

fn judge_claim(attempt: &Attempt, last: Option<&Stored>) -> Verdict<()> {
    let at = last.map_or(StreamSequence(0), |message| message.stream_sequence);
    if last.is_some_and(|message| attempt.is(message)) {
        Verdict::Landed(at)
    } else if at == attempt.expected {
        Verdict::NotYet
    } else {
        Verdict::Stop(())
    }
}

impl Reign {
    fn judge(&self, attempt: &Attempt, last: Option<&Stored>) -> Verdict<Outcome> {
        let lost = |reason| Verdict::Stop(Outcome::Lost(reason));
        let Some(last) = last else { return lost(LostReason::Gone) };
        if last.stream_sequence < self.stream_sequence {
            return lost(LostReason::Gone);
        }
        if last.stream_sequence == self.stream_sequence {
            let same = last.digest() == self.digest;
            return if same { Verdict::NotYet } else { lost(LostReason::Gone) };
        }
        match whose(last, &self.epoch) {
            Whose::Own(_) if attempt.is(last) => Verdict::Landed(last.stream_sequence),
            Whose::Own(_) => lost(LostReason::Forked),
            Whose::Newer { by } => Verdict::Stop(Outcome::Fenced { by }),
            Whose::Older | Whose::Foreign => lost(LostReason::Foreign),
        }
    }
}

/// Whose reign a message belongs to, seen from one epoch.
enum Whose {
    Own(SourceSequence),
    Newer {
        by: StreamSequence,
    },
    Older,
    /// Not a message that a writer of this deployment makes.
    Foreign,
}

fn whose(message: &Stored, epoch: &Epoch) -> Whose {
    let content_type = message.header(CONTENT_TYPE);
    let decoded = Encoding::of_content_type(content_type).and_then(|e| decode_envelope(e, &message.payload));
    let envelope = match decoded {
        Ok(envelope) => envelope,
        // Only a writer of a newer release writes this, and it claimed the subject before.
        Err(DecodeError::NewerVersion { .. }) => return Whose::Newer { by: message.stream_sequence },
        Err(
            DecodeError::TooLarge { .. }
            | DecodeError::TooDeep
            | DecodeError::ContentType { .. }
            | DecodeError::Malformed { .. },
        ) => return Whose::Foreign,
    };
    let claim = match envelope.epoch {
        Some(of) if of.incarnation == epoch.incarnation => of.claim,
        Some(_) => return Whose::Foreign,
        None if envelope.changes.iter().any(|c| matches!(c, Change::Claim(_))) => message.stream_sequence,
        None => return Whose::Foreign,
    };
    match claim.cmp(&epoch.claim) {
        std::cmp::Ordering::Less => Whose::Older,
        std::cmp::Ordering::Equal => Whose::Own(envelope.sequence),
        std::cmp::Ordering::Greater => Whose::Newer { by: claim },
    }
}
