//! What operators decide on its way into `ledger.control`, and what waits for them in the review stream.
//!
//! All nodes and the command line write the control subject in one epoch, as one another's heirs: each act takes the
//! subject where it ends, and the broker refuses the second of two that come at once, which then begins anew. An act
//! bears its key, so that one that was stored twice is carried out once.

use bytes::Bytes;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, StreamSequence, Timestamp};
use pannier_streams::held::{Held, Said};
use pannier_streams::stored::{ReadError, Stored, next_message};
use pannier_streams::{Broker, Outcome, Streams};
use tokio::sync::Mutex;

use crate::limits::ACT_ATTEMPTS_MAX;

/// What became of an act on its way to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ActFate {
    Stored(StreamSequence),
    /// It may or may not be in the ledger.
    Unknown {
        reason: String,
    },
    /// It never will be.
    NotStored {
        reason: String,
    },
}

/// The node's hand on the streams of operators.
pub(crate) struct OperatorDesk {
    broker: Broker,
    streams: Streams,
    /// Acts of one node wait for each other, not for the broker to refuse them.
    turn: Mutex<()>,
}

impl OperatorDesk {
    pub(crate) fn new(broker: Broker, streams: Streams) -> Self {
        Self { broker, streams, turn: Mutex::new(()) }
    }

    /// One act as one entry of the ledger. Dropped half way it leaves the act's fate unknown.
    pub(crate) async fn publish(
        &self,
        change: Change,
        traceparent: Option<String>,
        now: Timestamp,
    ) -> ActFate {
        let _turn = self.turn.lock().await;
        let mut reason = String::new();
        for _ in 0..ACT_ATTEMPTS_MAX {
            let held = Held::operator(&self.broker, &self.streams, Subject::Control, now).await;
            let mut held = match held {
                Ok(held) => held,
                Err(error) => return ActFate::NotStored { reason: error.to_string() },
            };
            let (traceparent, changes) = (traceparent.clone(), vec![change.clone()]);
            match held.publish(Said { sent_at: now, traceparent, transaction: None, changes }).await {
                Outcome::Stored(position) => return ActFate::Stored(position),
                Outcome::Unsettled { reason } => return ActFate::Unknown { reason },
                Outcome::Refused { reason } => return ActFate::NotStored { reason },
                // Somebody else's entry came first: this one is nowhere, and is offered behind it.
                Outcome::Lost(lost) => reason = format!("{lost:?}"),
                Outcome::Fenced { by } => reason = format!("claimed at {by}"),
            }
        }
        ActFate::NotStored { reason: format!("others write the control subject all the time ({reason})") }
    }

    /// Review entries from a place in their stream on, at most `count`.
    pub(crate) async fn reviews(
        &self,
        subject: &str,
        mut from: StreamSequence,
        count: usize,
    ) -> Result<Vec<Stored>, ReadError> {
        let mut entries = Vec::new();
        while entries.len() < count {
            let next = next_message(&self.broker, &self.streams.review, subject, from).await?;
            let Some(entry) = next else { break };
            from = StreamSequence(entry.stream_sequence.0 + 1);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Asks the source of a chain for a snapshot; nobody acknowledges that.
    pub(crate) async fn ask_resync(&self, subject: &Subject) -> Result<(), String> {
        let source = subject.source().ok_or("it has no source that could send it")?;
        let to = self.streams.prefix.resync(source);
        let sent = self.broker.client().publish(to, Bytes::from(subject.to_string())).await;
        sent.map_err(|error| error.to_string())
    }

    /// Of review entries of one kind, or of all.
    pub(crate) fn review_subject(&self, kind: Option<&str>) -> String {
        self.streams.prefix.review_entry(kind.unwrap_or("*"), "*")
    }

    /// Without the prefix.
    pub(crate) fn short<'s>(&self, subject: &'s str) -> &'s str {
        let short = subject.strip_prefix(self.streams.prefix.as_str());
        short.map_or(subject, |short| short.trim_start_matches('.'))
    }
}
