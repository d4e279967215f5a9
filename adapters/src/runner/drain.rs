//! From the outbox to the broker: one message after the other, each until its fate is known.

use std::collections::HashMap;
use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use bytes::Bytes;
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, Envelope, MarkId, SourceId, SourceSequence, StreamSequence};
use pannier_streams::create::{Created, create};
use pannier_streams::writer::{Chain, ClaimError, Draft, Kept, Outcome, ResumeError, Writer};
use pannier_streams::{Broker, Streams};
use tokio::time::Instant;

use super::clock::now;
use super::outbox::begin_epoch;
use super::store::{ChainRecord, Outgoing, Store, StoreError};
use crate::limits::{ACKNOWLEDGED_UNWRITTEN_MAX, RETRY_DELAY_MAX, RETRY_DELAY_MIN};

/// Why publishing ended. Nothing is lost: what was not sent is in the store.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    #[error(
        "{subject} was taken over by another writer (claim {by}): two adapters run for one source; stop one of \
         them, this one has stopped"
    )]
    Fenced { subject: Subject, by: StreamSequence },
    #[error("the broker will never take message {sequence} of {subject}: {reason}")]
    Refused { subject: Subject, sequence: u64, reason: String },
    #[error("{subject} cannot be claimed")]
    Claim {
        subject: Subject,
        #[source]
        source: ClaimError,
    },
    #[error("{subject} cannot be read")]
    Resume {
        subject: Subject,
        #[source]
        source: ResumeError,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The last messages stored, by stream: what a lookup's `at_least` can wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Positions {
    pub ledger: StreamSequence,
    pub catalog: StreamSequence,
}

/// Sends what the outbox holds. Its writers live as long as the process.
pub(super) struct Drain {
    pub(super) broker: Broker,
    pub(super) streams: Streams,
    pub(super) source: SourceId,
    pub(super) instance: MarkId,
    pub(super) writers: HashMap<Subject, Writer>,
    pub(super) positions: Positions,
    /// Acknowledgements that are not on disk yet.
    pub(super) unwritten: u64,
}

impl Drain {
    /// Returns when everything that was submitted is stored.
    pub(super) async fn run(&mut self, store: &Store) -> Result<Positions, DrainError> {
        loop {
            match store.next_outgoing()? {
                None if self.begin_epochs(store).await? => {}
                None => return Ok(self.positions),
                Some((id, Outgoing::Message { subject, sequence, payload })) => {
                    self.send(store, id, &subject, sequence, &payload).await?;
                }
                Some((id, Outgoing::Review { kind, origin, payload })) => {
                    self.review(&kind, &origin, payload).await;
                    store.write_lazily(|tables| {
                        tables.outbox.remove(id)?;
                        Ok(())
                    })?;
                }
            }
        }
    }

    /// Claims every chain that has no epoch; whether there was one.
    async fn begin_epochs(&mut self, store: &Store) -> Result<bool, DrainError> {
        let mut claimed = false;
        for (subject, chain) in store.chains()? {
            if chain.epoch.is_some() {
                continue;
            }
            let writer = self.claim(&subject).await?;
            tracing::info!(%subject, epoch = %writer.epoch().claim, "claimed; its rows follow as a snapshot");
            let token = Some(writer.token());
            begin_epoch(store, &self.source, &subject, writer.epoch(), token, now())?;
            self.writers.insert(subject, writer);
            claimed = true;
        }
        Ok(claimed)
    }

    async fn claim(&self, subject: &Subject) -> Result<Writer, DrainError> {
        let mut pauses = pauses();
        loop {
            let chain = self.chain(subject);
            match Writer::claim(&self.broker, &self.streams, chain, &self.instance, now()).await {
                Ok(writer) => return Ok(writer),
                Err(source) if is_temporary(&source) => pause(&mut pauses, subject, &source).await,
                Err(source) => return Err(DrainError::Claim { subject: subject.clone(), source }),
            }
        }
    }

    fn chain(&self, subject: &Subject) -> Chain {
        let (subject, source) = (subject.clone(), self.source.clone());
        Chain { subject, source, encoding: Encoding::MessagePack }
    }

    /// The writer of a chain that has an epoch; `None`: the chain was lost and is to be claimed.
    async fn writer(&mut self, store: &Store, subject: &Subject) -> Result<Option<&mut Writer>, DrainError> {
        if self.writers.contains_key(subject) {
            return Ok(self.writers.get_mut(subject));
        }
        let record = store.chain(subject)?;
        let Some(epoch) = &record.epoch else { return Ok(None) };
        let mut pauses = pauses();
        let resumed = loop {
            let (acknowledged, token) = (SourceSequence(record.acknowledged), record.token.as_ref());
            let kept = Kept { epoch, acknowledged, token };
            match Writer::resume(&self.broker, &self.streams, self.chain(subject), kept).await {
                Ok(writer) => break writer,
                Err(ResumeError::Lost { reason, .. }) => {
                    tracing::warn!(%subject, ?reason, "the broker lost messages; claiming anew");
                    lose(store, subject)?;
                    return Ok(None);
                }
                Err(ResumeError::Fenced { by, .. }) => {
                    return Err(DrainError::Fenced { subject: subject.clone(), by });
                }
                Err(ResumeError::Read(error)) if error.is_temporary() => {
                    pause(&mut pauses, subject, &error).await;
                }
                Err(source) => return Err(DrainError::Resume { subject: subject.clone(), source }),
            }
        };
        if resumed.sequence().0 > record.sequence {
            tracing::warn!(%subject, "the broker knows more than this state, which is an old copy; claiming anew");
            lose(store, subject)?;
            return Ok(None);
        }
        Ok(Some(self.writers.entry(subject.clone()).or_insert(resumed)))
    }

    async fn send(
        &mut self,
        store: &Store,
        id: u64,
        subject: &Subject,
        sequence: u64,
        payload: &[u8],
    ) -> Result<(), DrainError> {
        let Some(writer) = self.writer(store, subject).await? else { return Ok(()) };
        if sequence <= writer.sequence().0 {
            let at = writer.stream_sequence();
            return self.acknowledge(store, id, subject, sequence, at);
        }
        let began = Instant::now();
        let outcome = if sequence == writer.sequence().0 + 1 {
            publish(writer, draft(payload)?).await
        } else {
            Outcome::Lost(pannier_streams::writer::LostReason::Gone)
        };
        match outcome {
            Outcome::Stored(at) => {
                self.acknowledge(store, id, subject, sequence, at)?;
                if subject.in_ledger() && !store.is_last(id)? {
                    // Between two chunks the ledger has as much room for orders as a chunk takes.
                    tokio::time::sleep(began.elapsed().min(RETRY_DELAY_MIN)).await;
                }
                Ok(())
            }
            Outcome::Lost(reason) => {
                tracing::warn!(%subject, ?reason, "the broker lost messages; claiming anew");
                self.writers.remove(subject);
                Ok(lose(store, subject)?)
            }
            Outcome::Fenced { by } => Err(DrainError::Fenced { subject: subject.clone(), by }),
            Outcome::Refused { reason } | Outcome::Unsettled { reason } => {
                Err(DrainError::Refused { subject: subject.clone(), sequence, reason })
            }
        }
    }

    fn acknowledge(
        &mut self,
        store: &Store,
        id: u64,
        subject: &Subject,
        sequence: u64,
        at: StreamSequence,
    ) -> Result<(), DrainError> {
        let position =
            if subject.in_ledger() { &mut self.positions.ledger } else { &mut self.positions.catalog };
        *position = (*position).max(at);
        self.unwritten += 1;
        let through = self.unwritten >= ACKNOWLEDGED_UNWRITTEN_MAX;
        let note = |tables: &mut super::store::Tables<'_>| {
            tables.outbox.remove(id)?;
            let mut chain = tables.chain(subject)?;
            (chain.acknowledged, chain.stream_sequence) = (sequence, at.0);
            tables.put_chain(subject, &chain)
        };
        if through {
            self.unwritten = 0;
            store.write(note)?;
        } else {
            store.write_lazily(note)?;
        }
        Ok(())
    }

    async fn review(&self, kind: &str, origin: &str, payload: Vec<u8>) {
        let subject = self.streams.prefix.review_entry(kind, origin);
        let payload = Bytes::from(payload);
        let mut pauses = pauses();
        loop {
            let stream = &self.streams.review;
            match create(&self.broker, stream, &subject, Encoding::Json, payload.clone()).await {
                Created::Stored(_) | Created::Existed(_) => return,
                Created::Refused { reason } => {
                    return tracing::error!(subject, reason, "review entry refused; see the rejects file");
                }
                Created::Unsettled { reason } => {
                    tracing::warn!(subject, reason, "review entry not stored yet");
                    tokio::time::sleep(pauses.next().unwrap_or(RETRY_DELAY_MAX)).await;
                }
            }
        }
    }
}

/// Until the message's fate is known, however long the broker is away.
async fn publish(writer: &mut Writer, draft: Draft) -> Outcome {
    let mut pauses = pauses();
    let mut outcome = writer.publish(draft).await;
    while let Outcome::Unsettled { reason } = outcome {
        tracing::warn!(subject = %writer.subject(), reason, "publish not settled; asking again");
        tokio::time::sleep(pauses.next().unwrap_or(RETRY_DELAY_MAX)).await;
        outcome = writer.settle().await;
    }
    outcome
}

/// What the writer makes the very same bytes of.
fn draft(payload: &[u8]) -> Result<Draft, StoreError> {
    let Envelope { position, sent_at, traceparent, transaction, changes, .. } =
        decode_envelope(Encoding::MessagePack, payload)?;
    Ok(Draft { position, sent_at, traceparent, transaction, changes })
}

/// The chain is to be claimed and repeated whole.
fn lose(store: &Store, subject: &Subject) -> Result<(), StoreError> {
    store.write(|tables| {
        tables.drop_messages(subject)?;
        let chain = tables.chain(subject)?;
        tables.put_chain(subject, &ChainRecord { epoch: None, token: None, ..chain })
    })
}

fn is_temporary(error: &ClaimError) -> bool {
    match error {
        ClaimError::Read(error) => error.is_temporary(),
        ClaimError::NotSettled { .. } => true,
        ClaimError::OtherIncarnation { .. } | ClaimError::Contended { .. } => false,
    }
}

fn pauses() -> impl Iterator<Item = Duration> {
    let delays =
        ExponentialBuilder::default().with_min_delay(RETRY_DELAY_MIN).with_max_delay(RETRY_DELAY_MAX);
    delays.without_max_times().with_jitter().build()
}

async fn pause(
    pauses: &mut impl Iterator<Item = Duration>,
    subject: &Subject,
    error: &(dyn std::error::Error + Sync),
) {
    tracing::warn!(%subject, %error, "broker not ready; trying again");
    tokio::time::sleep(pauses.next().unwrap_or(RETRY_DELAY_MAX)).await;
}
