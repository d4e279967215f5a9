//! One source's chain as a foreign publisher drives it: plain publishes, no fence at the broker, so that what is
//! wrong reaches the gates of the nodes.

use std::collections::VecDeque;

use anyhow::Context as _;
use async_nats::jetstream;
use bytes::Bytes;
use pannier_protocol::change::{Change, Claim, Part, SnapshotBegin, SnapshotEnd, SnapshotScope, Table};
use pannier_protocol::codec::encode_envelope;
use pannier_protocol::limits::{MESSAGE_BYTES_MAX, MESSAGE_CHANGES_MAX};
use pannier_protocol::subject::{Prefix, Subject};
use pannier_protocol::{
    Encoding, Envelope, Epoch, Incarnation, MarkId, SourceSequence, StreamSequence, Timestamp,
};
use sha2::{Digest, Sha256};

/// Messages kept to be sent again; past it a duplicate cannot be told from a fork any more.
const KEPT: usize = 3_000;

pub(crate) struct Chain {
    subject: Subject,
    full: String,
    epoch: Epoch,
    sequence: u64,
    /// The reign before this one, for a writer that does not know it is over.
    before: Option<(Epoch, u64)>,
    sent: VecDeque<Bytes>,
    snapshots: u64,
    /// Where the last message stands in the stream.
    pub(crate) last: StreamSequence,
}

impl Chain {
    /// Claims the subject.
    pub(crate) async fn claim(
        context: &jetstream::Context,
        subject: Subject,
        incarnation: &Incarnation,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let epoch = Epoch { incarnation: incarnation.clone(), claim: StreamSequence(0) };
        let full = Prefix::default().full(&subject);
        let last = StreamSequence(0);
        let mut chain = Self {
            subject,
            full,
            epoch,
            sequence: 0,
            before: None,
            sent: VecDeque::new(),
            snapshots: 0,
            last,
        };
        chain.claim_again(context, now).await?;
        chain.before = None;
        Ok(chain)
    }

    /// A new reign: what the old one sends from here on is fenced.
    pub(crate) async fn claim_again(
        &mut self,
        context: &jetstream::Context,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        let claim = Change::Claim(Claim { instance: MarkId::new("replay")? });
        let source = self.subject.source().context("a chain has a source")?.clone();
        let envelope = Envelope::new(source, None, SourceSequence(0), 0, now, vec![claim]);
        let bytes = encode_envelope(Encoding::MessagePack, &envelope)?.into();
        let claim = publish(context, &self.full, bytes).await?;
        self.before = Some((self.epoch.clone(), self.sequence));
        self.epoch.claim = claim;
        self.sequence = 0;
        self.sent.clear();
        self.last = claim;
        Ok(())
    }

    /// The next message, not sent yet.
    pub(crate) fn next(&mut self, changes: Vec<Change>, now: Timestamp) -> anyhow::Result<Bytes> {
        self.sequence += 1;
        let bytes: Bytes = self.message(&self.epoch.clone(), self.sequence, changes, now)?;
        if self.sent.len() == KEPT {
            self.sent.pop_front();
        }
        self.sent.push_back(bytes.clone());
        Ok(bytes)
    }

    pub(crate) async fn send(&mut self, context: &jetstream::Context, bytes: Bytes) -> anyhow::Result<()> {
        self.last = publish(context, &self.full, bytes).await?;
        Ok(())
    }

    /// A message that was sent `back` messages ago, once more.
    pub(crate) async fn send_again(&self, context: &jetstream::Context, back: usize) -> anyhow::Result<bool> {
        let Some(at) = self.sent.len().checked_sub(back + 1) else { return Ok(false) };
        publish(context, &self.full, self.sent[at].clone()).await?;
        Ok(true)
    }

    /// What a writer of the reign before sends when it wakes up.
    pub(crate) async fn send_late(
        &mut self,
        context: &jetstream::Context,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> anyhow::Result<bool> {
        let Some((epoch, sequence)) = self.before.clone() else { return Ok(false) };
        let bytes = self.message(&epoch, sequence + 1, changes, now)?;
        self.before = Some((epoch, sequence + 1));
        publish(context, &self.full, bytes).await?;
        Ok(true)
    }

    /// The whole chain as a snapshot.
    pub(crate) async fn snapshot(
        &mut self,
        context: &jetstream::Context,
        rows: Vec<Change>,
        now: Timestamp,
    ) -> anyhow::Result<()> {
        self.snapshots += 1;
        let id = MarkId::new(&format!("s{}", self.snapshots))?;
        let scope = SnapshotScope { table: Table::All, warehouse: None, prices: None };
        let begin = Change::SnapshotBegin(SnapshotBegin { id: id.clone(), scope, cut: 0 });
        let bytes = self.next(vec![begin], now)?;
        self.send(context, bytes).await?;
        let (mut hash, mut count) = (Sha256::new(), 0);
        for part in parts(rows) {
            count += part.iter().map(rows_of).sum::<u64>();
            let mark = Change::Part(Part { of: id.clone() });
            let bytes = self.next(std::iter::once(mark).chain(part).collect(), now)?;
            hash.update(&bytes);
            self.send(context, bytes).await?;
        }
        let hash = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let bytes = self.next(vec![Change::SnapshotEnd(SnapshotEnd { id, rows: count, hash })], now)?;
        self.send(context, bytes).await
    }

    fn message(
        &self,
        epoch: &Epoch,
        sequence: u64,
        changes: Vec<Change>,
        now: Timestamp,
    ) -> anyhow::Result<Bytes> {
        let source = self.subject.source().context("a chain has a source")?.clone();
        let envelope = Envelope::new(source, Some(epoch.clone()), SourceSequence(sequence), 0, now, changes);
        Ok(encode_envelope(Encoding::MessagePack, &envelope)?.into())
    }
}

fn rows_of(change: &Change) -> u64 {
    if let Change::Prices(prices) = change { prices.rows.len() as u64 } else { 1 }
}

/// Changes in messages that fit: by count, and by a price row's size, which dominates here.
fn parts(rows: Vec<Change>) -> Vec<Vec<Change>> {
    const PRICE_ROWS_MAX: u64 = MESSAGE_BYTES_MAX as u64 / 96;
    let mut parts: Vec<Vec<Change>> = vec![Vec::new()];
    let mut held = 0;
    for change in rows {
        let more = rows_of(&change);
        let open = parts.len() - 1;
        if held + more > PRICE_ROWS_MAX || parts[open].len() + 1 == MESSAGE_CHANGES_MAX {
            parts.push(vec![change]);
            held = more;
        } else {
            parts[open].push(change);
            held += more;
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

async fn publish(
    context: &jetstream::Context,
    subject: &str,
    bytes: Bytes,
) -> anyhow::Result<StreamSequence> {
    let sent = context.publish(subject.to_owned(), bytes).await.context("publish")?;
    Ok(StreamSequence(sent.await.context("wait for the stream to store it")?.sequence))
}
