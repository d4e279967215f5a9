//! Repeats what operators said in the catalog, as the runner of an adapter repeats what its source said: where the
//! stream forgets, the policies in force would be in checkpoints alone, and the next one would find a subject that nobody
//! has written and begin an epoch that every node refuses.
//!
//! Every node looks at the subject and repeats it where that is due; the broker refuses the second of two that do so at once.

use std::sync::Arc;
use std::time::Duration;

use pannier_protocol::change::{SnapshotScope, Table};
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Encoding, Partition, SourceId, StreamSequence, Timestamp};
use pannier_streams::held::{Held, OPERATOR};
use pannier_streams::stored::{CONTENT_TYPE, ReadError, Stored, next_message};
use pannier_streams::{Broker, Outcome, Streams};

use crate::app::App;
use crate::limits::{POLICIES_LOOK_INTERVAL, POLICIES_REPEATED_AFTER};
use crate::progress::State;
use crate::shutdown::Tasks;

pub(super) struct Repeater {
    pub(super) app: Arc<App>,
    pub(super) broker: Broker,
    pub(super) streams: Streams,
}

impl Repeater {
    /// Until the node stops.
    pub(super) async fn run(self, tasks: Tasks) {
        let stop = tasks.token();
        let operator = SourceId::new(OPERATOR).expect("the operators' source is an id");
        let subject = Subject::Catalog(Partition::Shared, operator);
        let mut progress = self.app.progress.subscribe();
        loop {
            let ready = progress.wait_for(|snapshot| snapshot.state == State::Ready);
            let Some(Ok(_)) = stop.run_until_cancelled(ready).await else { return };
            match stop.run_until_cancelled(self.look(&subject)).await {
                Some(Ok(())) => {}
                Some(Err(reason)) => {
                    tracing::warn!(reason, "the policies in force are not repeated this time")
                }
                None => return,
            }
            if stop.run_until_cancelled(tokio::time::sleep(POLICIES_LOOK_INTERVAL)).await.is_none() {
                return;
            }
        }
    }

    async fn look(&self, subject: &Subject) -> Result<(), String> {
        let Some(tables) = self.app.tables.get() else { return Ok(()) };
        let rows: Vec<_> = tables.catalog.load().documents.values().cloned().map(Change::Policy).collect();
        if rows.is_empty() || !self.is_due(subject).await.map_err(|error| error.to_string())? {
            return Ok(());
        }
        let now = self.app.clock.now();
        let mut held = Held::operator(&self.broker, &self.streams, subject.clone(), now)
            .await
            .map_err(|error| error.to_string())?;
        let (scope, count) = (SnapshotScope::whole(Table::Policies), rows.len());
        match held.snapshot(scope, rows, now).await {
            Outcome::Stored(at) => {
                tracing::info!(%at, count, "the policies in force are repeated");
                Ok(())
            }
            outcome @ (Outcome::Lost(_)
            | Outcome::Fenced { .. }
            | Outcome::Refused { .. }
            | Outcome::Unsettled { .. }) => Err(format!("{outcome:?}")),
        }
    }

    /// Whether the chain is suspect, or the stream is about to forget it.
    async fn is_due(&self, subject: &Subject) -> Result<bool, ReadError> {
        let states = self.app.tables.get().map(|tables| tables.board.states()).unwrap_or_default();
        let Some((_, chain)) = states.into_iter().find(|(of, _)| of == subject) else { return Ok(false) };
        if chain.suspect {
            return Ok(true);
        }
        let Some(since) = self.whole_since(&self.streams.prefix.full(subject)).await? else {
            return Ok(true);
        };
        let age = Duration::from_millis(self.app.clock.now().millis_since(since));
        Ok(self.streams.ages.catalog.is_some() && age >= POLICIES_REPEATED_AFTER)
    }

    /// When the chain began in the stream, or was last repeated there; `None`: neither is in it any more.
    async fn whole_since(&self, subject: &str) -> Result<Option<Timestamp>, ReadError> {
        let (mut since, mut begun, mut from) = (None, None, StreamSequence(1));
        while let Some(message) = next_message(&self.broker, &self.streams.catalog, subject, from).await? {
            let is_first = from == StreamSequence(1);
            from = StreamSequence(message.stream_sequence.0 + 1);
            for change in changes(&message) {
                if let Change::SnapshotBegin(_) = change {
                    begun = Some(message.stream_time);
                } else if let Change::SnapshotEnd(_) = change {
                    since = begun.take().or(since);
                } else if let (Change::Claim(_), true) = (change, is_first) {
                    since = Some(message.stream_time);
                }
            }
        }
        Ok(since)
    }
}

/// None of what no node could read either.
fn changes(message: &Stored) -> Vec<Change> {
    let encoding = Encoding::of_content_type(message.header(CONTENT_TYPE));
    let envelope = encoding.and_then(|encoding| decode_envelope(encoding, &message.payload));
    envelope.map(|envelope| envelope.changes).unwrap_or_default()
}
