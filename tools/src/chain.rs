//! The writer of a subject for as long as one command runs, in the words of the command line.

use anyhow::{Context, bail};
use pannier_protocol::change::ChainPoint;
use pannier_protocol::subject::Subject;
use pannier_protocol::{AsOf, Change, Partition, StreamSequence, TransactionId};
use pannier_streams::held::{self, Said, TakeError};
pub(crate) use pannier_streams::held::{OPERATOR, Taking};
use pannier_streams::{Broker, Outcome, Streams};

use crate::broker::now;

/// A subject that this process may write.
pub(crate) struct Held(held::Held);

impl Held {
    pub(crate) async fn take(broker: &Broker, streams: &Streams, taking: Taking<'_>) -> anyhow::Result<Self> {
        let instance = taking.instance.clone();
        match held::Held::take(broker, streams, taking, now()?).await {
            Ok(held) => Ok(Self(held)),
            Err(TakeError::Other { subject, by }) => bail!(
                "{subject} is written by {by}, not by {instance}; name that --instance to go on in its place, \
                 or take the subject over with --claim"
            ),
            Err(error) => Err(error.into()),
        }
    }

    /// For operators' changes: `ledger.control`, `catalog.shared.operator`.
    pub(crate) async fn operator(
        broker: &Broker,
        streams: &Streams,
        subject: Subject,
    ) -> anyhow::Result<Self> {
        let held = held::Held::operator(broker, streams, subject, now()?).await;
        Ok(Self(held.context("another program writes in the place of operators: find it, and stop it")?))
    }

    /// Publishes one message and waits until it is known to be stored.
    pub(crate) async fn publish(
        &mut self,
        changes: Vec<Change>,
        transaction: Option<TransactionId>,
    ) -> anyhow::Result<AsOf> {
        let said = Said { sent_at: now()?, traceparent: None, transaction, changes };
        let outcome = self.0.publish(said).await;
        let subject = self.0.subject();
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
        self.0.point()
    }

    /// The position up to and with the last message.
    pub(crate) fn last(&self) -> AsOf {
        self.as_of(self.0.stream_sequence())
    }

    /// A token that no node answers before, once given as `at_least`.
    fn as_of(&self, sequence: StreamSequence) -> AsOf {
        let none = StreamSequence(0);
        let (mut ledger, mut shared, mut partition) = (none, none, none);
        match self.0.subject() {
            Subject::Catalog(Partition::Shared, _) => shared = sequence,
            Subject::Catalog(Partition::Family(_), _) => partition = sequence,
            Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => ledger = sequence,
        }
        AsOf { incarnation: self.0.incarnation().clone(), ledger, shared, partition }
    }
}

#[cfg(test)]
mod tests;
