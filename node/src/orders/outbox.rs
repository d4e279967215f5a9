//! Publishes what the fold's outbox holds, and says in the ledger that it is done.
//!
//! Publishing is create-only under a subject that the entry names, so a node that does it again, or another node that
//! does it too, makes no second message; the entry leaves the outbox when the ledger says so, and a node that starts
//! finds there what is still open. While the node is catching up nothing is published: what it sees there is mostly
//! done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use pannier_core::ledger::orders::OutboxEntry;
use pannier_protocol::codec::encode;
use pannier_protocol::limits::EFFECTS_DONE_MAX;
use pannier_protocol::order::{Command, EffectsDone};
use pannier_protocol::{EffectId, Encoding, OrderId};
use pannier_streams::{Broker, Created, Streams, create};
use serde_json::json;

use super::{Committer, Fate};
use crate::app::App;
use crate::limits::{ORDER_STORED_WAIT, OUTBOX_IN_FLIGHT_MAX, OUTBOX_LOOK_INTERVAL};
use crate::metrics::OfEffect;
use crate::progress::State;
use crate::shutdown::Tasks;

/// What carries the outbox out.
pub(crate) struct Outbox {
    pub(crate) app: Arc<App>,
    pub(crate) broker: Broker,
    pub(crate) streams: Streams,
    pub(crate) committer: Committer,
}

impl Outbox {
    /// Looks after every entry that this node applied, and now and then.
    pub(crate) async fn run(self, tasks: Tasks) {
        let stop = tasks.token();
        let mut progress = self.app.progress.subscribe();
        loop {
            let woken = tokio::time::timeout(OUTBOX_LOOK_INTERVAL, progress.changed());
            match stop.run_until_cancelled(woken).await {
                None | Some(Ok(Err(_))) => return,
                Some(Ok(Ok(())) | Err(_)) => {}
            }
            let ready = progress.borrow_and_update().state == State::Ready;
            if ready && stop.run_until_cancelled(self.look()).await.is_none() {
                return;
            }
        }
    }

    /// Publishes all that is open, and waits until the ledger has it as done: what is told twice changes nothing.
    async fn look(&self) {
        let Some(tables) = self.app.tables.get() else { return };
        // By order: what calls a create back must not come before it. Orders do not wait for each other.
        let mut by_order: BTreeMap<Result<OrderId, EffectId>, Vec<_>> = BTreeMap::new();
        for (id, entry) in tables.ledger.orders().outbox().into_iter().take(EFFECTS_DONE_MAX) {
            by_order.entry(entry.dispatched().cloned().ok_or(id)).or_default().push((id, entry));
        }
        let published = futures_util::stream::iter(by_order.into_values())
            .map(|entries| self.publish_in_order(entries))
            .buffer_unordered(OUTBOX_IN_FLIGHT_MAX);
        let done: BTreeSet<EffectId> = published.concat().await.into_iter().collect();
        if done.is_empty() {
            return;
        }
        let command = Command::EffectsDone(EffectsDone { effects: done.into_iter().collect() });
        match self.committer.submit(command) {
            Ok(mut ticket) => {
                if let Fate::Stored { position, .. } = ticket.fate(ORDER_STORED_WAIT).await {
                    super::verdict::passed(&self.app.progress, position, ORDER_STORED_WAIT).await;
                }
            }
            Err(error) => tracing::warn!(%error, "outbox entries are published and not yet told done"),
        }
    }

    /// Those whose messages are stored, up to the first that is not.
    async fn publish_in_order(&self, entries: Vec<(EffectId, Arc<OutboxEntry>)>) -> Vec<EffectId> {
        let mut done = Vec::with_capacity(entries.len());
        for (id, entry) in entries {
            if !self.publish(id, &entry).await {
                break;
            }
            done.push(id);
        }
        done
    }

    /// Whether the entry's message is stored.
    async fn publish(&self, id: EffectId, entry: &OutboxEntry) -> bool {
        let Streams { prefix, dispatch, review, incarnation, .. } = &self.streams;
        let (effect, stream, subject, encoding, payload) = match entry {
            OutboxEntry::Dispatch(task) => {
                let subject = prefix.dispatch(&task.backend, &task.order, task.generation);
                let encoded = encode(Encoding::MessagePack, &**task);
                ("dispatch", dispatch, subject, Encoding::MessagePack, encoded.ok())
            }
            OutboxEntry::Alarm(alarm) => {
                let origin = format!("{incarnation}-L{}-{}", id.position, id.index);
                let subject = prefix.review_entry(alarm.kind.as_str(), &origin);
                let body = json!({
                    "kind": alarm.kind.as_str(), "order": alarm.order, "reason": alarm.reason,
                    "stream": "ledger", "stream_sequence": id.position,
                });
                ("review", review, subject, Encoding::Json, Some(body.to_string().into_bytes()))
            }
        };
        let Some(payload) = payload else { return false };
        let (outcome, stored) =
            match create(&self.broker, stream, &subject, encoding, Bytes::from(payload)).await {
                Created::Stored(_) => ("published", true),
                Created::Existed(_) => ("known", true),
                Created::Refused { reason } | Created::Unsettled { reason } => {
                    tracing::error!(
                        subject,
                        reason,
                        "an entry of the outbox could not be published; it is tried again"
                    );
                    ("failed", false)
                }
            };
        self.app.metrics.effects.get_or_create(&OfEffect { effect, outcome }).inc();
        stored
    }
}
