//! Messages of one chain, numbered and encoded, before any of them is sent.
//!
//! They are encoded when they are decided, not when they are sent: the hash of a snapshot is over the very
//! bytes, and after a crash the very same bytes go out again.

use std::collections::BTreeMap;

use pannier_protocol::change::{
    ChainPoint, Part, SnapshotBegin, SnapshotEnd, SnapshotScope, Table, Tick, UnitBegin, UnitCommit,
};
use pannier_protocol::codec::encode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    Change, Encoding, Envelope, Epoch, MarkId, Partition, SourceId, SourceSequence, Timestamp, TransactionId,
};
use pannier_streams::writer::WriterToken;
use sha2::{Digest, Sha256};

use super::pack::{Packed, Room, pack_groups, pack_parts, rows_count};
use super::row_key::chain_range;
use super::store::{ChainRecord, Outgoing, Store, StoreError, Tables, rows_of};
use crate::limits::{REPEAT_AGE_MS_MAX, REPEAT_SPREAD_MS};

/// What the messages of one subject share.
pub(super) struct Sheet<'a> {
    pub(super) subject: &'a Subject,
    pub(super) source: &'a SourceId,
    pub(super) position: u64,
    pub(super) transaction: Option<&'a TransactionId>,
    pub(super) now: Timestamp,
}

impl Sheet<'_> {
    /// Numbers, encodes and stores one message; gives its bytes.
    fn push(
        &self,
        tables: &mut Tables<'_>,
        chain: &mut ChainRecord,
        changes: Vec<Change>,
    ) -> Result<Vec<u8>, StoreError> {
        chain.sequence += 1;
        let mut envelope = Envelope::new(
            self.source.clone(),
            chain.epoch.clone(),
            SourceSequence(chain.sequence),
            chain.position,
            self.now,
            changes,
        );
        envelope.transaction = self.transaction.cloned();
        let payload = encode_envelope(Encoding::MessagePack, &envelope)?;
        let (subject, sequence) = (self.subject.clone(), chain.sequence);
        tables.push(&Outgoing::Message { subject, sequence, payload: payload.clone() })?;
        Ok(payload)
    }

    /// The parts between two marks. Gives the hash of their bytes.
    fn push_parts(
        &self,
        tables: &mut Tables<'_>,
        chain: &mut ChainRecord,
        of: &MarkId,
        parts: Vec<Vec<Change>>,
    ) -> Result<String, StoreError> {
        let mut hash = Sha256::new();
        for part in parts {
            let mark = Change::Part(Part { of: of.clone() });
            let changes = std::iter::once(mark).chain(part).collect();
            hash.update(self.push(tables, chain, changes)?);
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn push_snapshot(
        &self,
        tables: &mut Tables<'_>,
        chain: &mut ChainRecord,
        scope: &SnapshotScope,
        rows: Vec<Change>,
    ) -> Result<(), StoreError> {
        let parts = pack_parts(rows, Room::of(self.subject));
        let id = mark_id('s', chain);
        let rows = parts.iter().map(|part| rows_count(part)).sum();
        let begin = SnapshotBegin { id: id.clone(), scope: scope.clone(), cut: chain.position };
        self.push(tables, chain, vec![Change::SnapshotBegin(begin)])?;
        let hash = self.push_parts(tables, chain, &id, parts)?;
        self.push(tables, chain, vec![Change::SnapshotEnd(SnapshotEnd { id, rows, hash })])?;
        Ok(())
    }

    pub(super) fn push_groups(
        &self,
        tables: &mut Tables<'_>,
        chain: &mut ChainRecord,
        groups: Vec<Vec<Change>>,
    ) -> Result<(), StoreError> {
        for packed in pack_groups(groups, Room::of(self.subject)) {
            match packed {
                Packed::Message(changes) => {
                    self.push(tables, chain, changes)?;
                }
                Packed::Unit(parts) => {
                    let id = mark_id('u', chain);
                    let count = parts.iter().map(|part| part.len() as u64).sum();
                    self.push(tables, chain, vec![Change::UnitBegin(UnitBegin { id: id.clone() })])?;
                    let hash = self.push_parts(tables, chain, &id, parts)?;
                    self.push(tables, chain, vec![Change::UnitCommit(UnitCommit { id, count, hash })])?;
                }
            }
        }
        Ok(())
    }
}

/// Unique within chain and epoch: it has the sequence of the mark's own message.
fn mark_id(kind: char, chain: &ChainRecord) -> MarkId {
    MarkId::new(&format!("{kind}{}", chain.sequence + 1)).expect("a letter and digits are an id")
}

/// Begins an epoch: its first message begins a snapshot of everything that the mirror has.
pub(super) fn begin_epoch(
    store: &Store,
    source: &SourceId,
    subject: &Subject,
    epoch: &Epoch,
    token: Option<&WriterToken>,
    now: Timestamp,
) -> Result<(), StoreError> {
    store.write(|tables| {
        tables.drop_messages(subject)?;
        let mut chain = tables.chain(subject)?;
        (chain.epoch, chain.token) = (Some(epoch.clone()), token.cloned());
        (chain.sequence, chain.acknowledged) = (0, 0);
        push_all(tables, source, subject, chain, now)
    })
}

/// Repeats a chain whole. False: it has no epoch, so that its snapshot comes anyway, or one is under way.
pub(super) fn repeat(
    store: &Store,
    source: &SourceId,
    subject: &Subject,
    now: Timestamp,
) -> Result<bool, StoreError> {
    store.write(|tables| {
        let chain = tables.chain(subject)?;
        if chain.epoch.is_none() || chain.sequence > chain.acknowledged {
            return Ok(false);
        }
        push_all(tables, source, subject, chain, now)?;
        Ok(true)
    })
}

/// Repeats chains whose last snapshot is so old that streams will forget it; which ones.
pub(super) fn repeat_old(
    store: &Store,
    source: &SourceId,
    now: Timestamp,
) -> Result<Vec<Subject>, StoreError> {
    let mut repeated = Vec::new();
    for (subject, mut chain) in store.chains()? {
        let Some(whole_at) = chain.whole_at else {
            chain.whole_at = Some(now);
            store.write(|tables| tables.put_chain(&subject, &chain))?;
            continue;
        };
        if now >= whole_at.plus_millis(REPEAT_AGE_MS_MAX - early(&subject))
            && repeat(store, source, &subject, now)?
        {
            repeated.push(subject);
        }
    }
    Ok(repeated)
}

/// By how much a chain is repeated before it has to be, in ms: not all of a source at once.
fn early(subject: &Subject) -> i64 {
    match subject {
        Subject::Catalog(Partition::Family(number), _) => i64::from(*number) * REPEAT_SPREAD_MS,
        Subject::Catalog(Partition::Shared, _)
        | Subject::Stock(_)
        | Subject::Order(_)
        | Subject::Event(_)
        | Subject::Control => 0,
    }
}

fn push_all(
    tables: &mut Tables<'_>,
    source: &SourceId,
    subject: &Subject,
    mut chain: ChainRecord,
    now: Timestamp,
) -> Result<(), StoreError> {
    let rows = rows_of(&tables.rows, &chain_range(subject))?;
    let sheet = Sheet { subject, source, position: chain.position, transaction: None, now };
    sheet.push_snapshot(tables, &mut chain, &SnapshotScope::whole(Table::All), rows)?;
    chain.whole_at = Some(now);
    tables.put_chain(subject, &chain)
}

/// Until when each part of what a source publishes was read to its end; `None`: not once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CaughtUp {
    /// Stock and what else the ledger holds.
    pub ledger: Option<Timestamp>,
    /// The shared catalog.
    pub shared: Option<Timestamp>,
    /// Prices in the families' partitions.
    pub families: Option<Timestamp>,
}

impl CaughtUp {
    fn of(&self, subject: &Subject) -> Option<Timestamp> {
        match subject {
            Subject::Stock(_) => self.ledger,
            Subject::Catalog(Partition::Shared, _) => self.shared,
            Subject::Catalog(Partition::Family(_), _) => self.families,
            Subject::Order(_) | Subject::Event(_) | Subject::Control => None,
        }
    }
}

/// One tick for all chains of a stream that were read to the same instant, on the first of them. A single
/// tick for the whole source would have to name the oldest of them for all.
pub(super) fn push_ticks(
    store: &Store,
    source: &SourceId,
    caught_up: &CaughtUp,
    now: Timestamp,
) -> Result<(), StoreError> {
    store.write(|tables| {
        let mut ticks: BTreeMap<(bool, Timestamp), Vec<(Subject, ChainRecord)>> = BTreeMap::new();
        for (subject, chain) in tables.chains()? {
            if let (Some(at), Some(_)) = (caught_up.of(&subject), &chain.epoch) {
                ticks.entry((subject.in_ledger(), at)).or_default().push((subject, chain));
            }
        }
        for ((_, caught_up_to), chains) in ticks {
            let point = |(subject, chain): &(Subject, ChainRecord)| {
                let (subject, sequence) = (subject.clone(), SourceSequence(chain.sequence));
                chain.epoch.clone().map(|epoch| ChainPoint { subject, epoch, sequence })
            };
            let subjects = chains.iter().filter_map(point).collect();
            let tick = Change::Tick(Tick { caught_up_to, subjects });
            if let Some((subject, mut chain)) = chains.into_iter().next_back() {
                let sheet =
                    Sheet { subject: &subject, source, position: chain.position, transaction: None, now };
                sheet.push(tables, &mut chain, vec![tick])?;
                tables.put_chain(&subject, &chain)?;
            }
        }
        Ok(())
    })
}
