//! The writer of a subject for as long as one command runs.
//!
//! A command has no state of its own between two runs, and a new claim every time would make the chain
//! suspect every time: a new epoch begins with a snapshot. So a command goes on in the epoch of the
//! subject's last message when the claim of that epoch bears its own instance name, and the broker's fence
//! sees to it that of two such commands at once one is refused.

use anyhow::{Context, bail};
use pannier_protocol::change::ChainPoint;
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    AsOf, Change, Encoding, Envelope, Epoch, MarkId, Partition, SourceId, StreamSequence, TransactionId,
};
use pannier_streams::stored::{CONTENT_TYPE, Stored, last_message, message_at};
use pannier_streams::writer::Kept;
use pannier_streams::{Broker, Chain, Draft, Outcome, Streams, Writer};

use crate::broker::now;

/// Under which commands of operators (policies, approvals) write.
pub(crate) const OPERATOR: &str = "operator";
/// Times that a message whose fate is unknown is offered again before the command gives up.
const SETTLE_ATTEMPTS_MAX: usize = 3;

/// A subject that this process may write.
pub(crate) struct Held {
    writer: Writer,
    streams: Streams,
    /// Of the last message; never falls.
    position: u64,
}

/// How a subject is taken.
pub(crate) struct Taking<'a> {
    pub(crate) chain: Chain,
    /// Who writes: epochs of the same name are continued.
    pub(crate) instance: &'a MarkId,
    /// Whether a subject that another instance wrote is taken over.
    pub(crate) claim: bool,
}

impl Held {
    pub(crate) async fn take(broker: &Broker, streams: &Streams, taking: Taking<'_>) -> anyhow::Result<Self> {
        let Taking { chain, instance, claim } = taking;
        let full = streams.prefix.full(&chain.subject);
        let stream = if chain.subject.in_ledger() { &streams.ledger } else { &streams.catalog };
        let last = last_message(broker, stream, &full).await?;
        let streams_kept = streams.clone();
        let Some(last) = last else {
            let writer = Writer::claim(broker, streams, chain, instance, now()?).await?;
            return Ok(Self { writer, streams: streams_kept, position: 0 });
        };
        let envelope = decode(&last).with_context(|| format!("read the last message of {full}"))?;
        let epoch = match envelope.epoch.clone() {
            Some(epoch) => epoch,
            None => Epoch { incarnation: streams.incarnation.clone(), claim: last.stream_sequence },
        };
        let position = envelope.position;
        let claimed_by = claimant(broker, stream, &epoch).await?;
        let writer = if claimed_by.as_ref() == Some(instance) {
            let kept = Kept { epoch: &epoch, acknowledged: envelope.sequence, token: None };
            Writer::resume(broker, streams, chain, kept).await?
        } else if claim {
            tracing::warn!(subject = full, "taken over: its rows are suspect until a snapshot of it ends");
            Writer::claim(broker, streams, chain, instance, now()?).await?
        } else {
            let by = claimed_by.map_or("an unknown writer".to_owned(), |id| id.to_string());
            bail!(
                "{full} is written by {by}, not by {instance}; name that --instance to go on in its place, \
                 or take the subject over with --claim"
            );
        };
        Ok(Self { writer, streams: streams_kept, position })
    }

    /// For operators' changes to catalog chains: `catalog.shared.operator`.
    pub(crate) async fn operator(
        broker: &Broker,
        streams: &Streams,
        subject: Subject,
    ) -> anyhow::Result<Self> {
        let source = SourceId::new(OPERATOR)?;
        let instance = MarkId::new("pannier")?;
        let chain = Chain { subject, source, encoding: Encoding::MessagePack };
        Self::take(broker, streams, Taking { chain, instance: &instance, claim: false }).await
    }

    /// Publishes one message and waits until it is known to be stored.
    pub(crate) async fn publish(
        &mut self,
        changes: Vec<Change>,
        transaction: Option<TransactionId>,
    ) -> anyhow::Result<AsOf> {
        let sent_at = now()?;
        self.position = self.position.max(sent_at.millis().unsigned_abs());
        let draft = Draft { position: self.position, sent_at, traceparent: None, transaction, changes };
        let mut outcome = self.writer.publish(draft).await;
        for _ in 0..SETTLE_ATTEMPTS_MAX {
            let Outcome::Unsettled { reason } = &outcome else { break };
            tracing::warn!(reason, "whether the message is stored is not known, asking again");
            outcome = self.writer.settle().await;
        }
        let subject = self.writer.subject();
        match outcome {
            Outcome::Stored(sequence) => Ok(self.as_of(sequence)),
            Outcome::Unsettled { reason } => bail!(
                "the broker cannot be asked whether the message on {subject} is stored ({reason}); \
                 read the subject's end before sending it again"
            ),
            Outcome::Fenced { by } => bail!("{subject} was claimed by another writer at {by}"),
            Outcome::Lost(reason) => {
                bail!("{subject} does not end where this command left it ({reason:?}); run it again")
            }
            Outcome::Refused { reason } => bail!("the broker refuses the message on {subject}: {reason}"),
        }
    }

    /// Where this subject stands: what a tick says of it.
    pub(crate) fn point(&self) -> ChainPoint {
        ChainPoint {
            subject: self.writer.subject().clone(),
            epoch: self.writer.epoch().clone(),
            sequence: self.writer.sequence(),
        }
    }

    /// The position up to and with the last message.
    pub(crate) fn last(&self) -> AsOf {
        self.as_of(self.writer.stream_sequence())
    }

    /// A token that no node answers before, once given as `at_least`.
    fn as_of(&self, sequence: StreamSequence) -> AsOf {
        let none = StreamSequence(0);
        let (mut ledger, mut shared, mut partition) = (none, none, none);
        match self.writer.subject() {
            Subject::Catalog(Partition::Shared, _) => shared = sequence,
            Subject::Catalog(Partition::Family(_), _) => partition = sequence,
            Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => ledger = sequence,
        }
        AsOf { incarnation: self.streams.incarnation.clone(), ledger, shared, partition }
    }
}

/// Who claimed an epoch; `None` where its claim is not in the stream any more.
async fn claimant(broker: &Broker, stream: &str, epoch: &Epoch) -> anyhow::Result<Option<MarkId>> {
    let Some(claim) = message_at(broker, stream, epoch.claim).await? else { return Ok(None) };
    let envelope =
        decode(&claim).with_context(|| format!("read the claim at {} of {stream}", epoch.claim))?;
    let mut claims = envelope
        .changes
        .into_iter()
        .filter_map(|change| if let Change::Claim(claim) = change { Some(claim.instance) } else { None });
    Ok(claims.next())
}

pub(crate) fn decode(message: &Stored) -> anyhow::Result<Envelope> {
    let encoding = Encoding::of_content_type(message.header(CONTENT_TYPE))?;
    Ok(decode_envelope(encoding, &message.payload)?)
}

#[cfg(test)]
mod tests;
