//! One submission of an adapter: into the mirror, and into messages, in one transaction of the store.
//!
//! A chain that has no epoch yet, or lost it, gets no messages: its snapshot will say everything, once, when
//! the claim is made. So an adapter that has much to say at its first start says it in one snapshot a chain.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::change::{PriceSelection, SnapshotScope, Table};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, SourceId, Timestamp, TransactionId};
use redb::ReadableTable;

use super::home::{Homes, Said, is_ledger, price_scope};
use super::outbox::Sheet;
use super::row_key::{Effect, effects, snapshot_range};
use super::store::{ChainRecord, Outgoing, Store, StoreError, Tables, encode};

/// What an adapter read of its source, to be published and remembered together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Submission {
    /// The source's own transaction; its parts on several subjects carry the same id.
    pub transaction: Option<TransactionId>,
    /// The source's coordinate of it (log position, export time in ms).
    pub position: u64,
    /// Applied before the groups.
    pub snapshots: Vec<Snapshot>,
    /// Each group is seen by readers as a whole or not at all, as far as it is on one subject.
    pub groups: Vec<Vec<Change>>,
    /// What the adapter must remember if and only if this was taken; `None` forgets.
    pub notes: Vec<(String, Option<Vec<u8>>)>,
    pub reviews: Vec<Review>,
}

/// The whole of a scope: what it does not repeat is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub scope: SnapshotScope,
    /// Rows of that scope only, absolute ones.
    pub rows: Vec<Change>,
}

/// Something for a human to look at; published once however often it is submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Review {
    /// One subject token.
    pub kind: &'static str,
    /// One subject token that is the same for the same finding.
    pub origin: String,
    pub payload: Vec<u8>,
}

/// What a subject is to carry, in order.
#[derive(Default)]
struct Share {
    /// What comes from another subject as it was there, or goes to it.
    moved: Vec<Vec<Change>>,
    snapshots: Vec<Snapshot>,
    groups: Vec<Vec<Change>>,
}

/// Takes a submission in. Durable when this returns.
pub(super) fn submit(
    store: &Store,
    source: &SourceId,
    submission: Submission,
    now: Timestamp,
) -> Result<(), StoreError> {
    store.write(|tables| {
        let said = said(tables, source, &submission)?;
        let (homes, moves) = Homes::settle(tables, source, &said)?;
        let mut shares: BTreeMap<Subject, Share> = BTreeMap::new();
        for moved in moves {
            shares.entry(moved.to).or_default().moved.push(moved.rows);
            shares.entry(moved.from).or_default().moved.push(vec![moved.removal]);
        }
        for snapshot in submission.snapshots {
            split_snapshot(tables, source, &homes, snapshot, &mut shares)?;
        }
        for group in submission.groups {
            let mut parts: BTreeMap<Subject, Vec<Change>> = BTreeMap::new();
            for change in group {
                parts.entry(homes.subject(&change)).or_default().push(change);
            }
            for (subject, part) in parts {
                shares.entry(subject).or_default().groups.push(part);
            }
        }
        for (subject, share) in shares {
            let sheet = Sheet {
                subject: &subject,
                source,
                position: submission.position,
                transaction: submission.transaction.as_ref(),
                now,
            };
            write_share(tables, &sheet, share)?;
        }
        for (key, note) in submission.notes {
            match note {
                Some(bytes) => tables.notes.insert(key.as_str(), bytes.as_slice())?,
                None => tables.notes.remove(key.as_str())?,
            };
        }
        for Review { kind, origin, payload } in submission.reviews {
            tables.push(&Outgoing::Review { kind: kind.to_owned(), origin, payload })?;
        }
        Ok(())
    })
}

/// What the submission says about roots and headers.
fn said(tables: &Tables<'_>, source: &SourceId, submission: &Submission) -> Result<Said, StoreError> {
    let mut said = Said::default();
    let shared = Subject::Catalog(pannier_protocol::Partition::Shared, source.clone());
    for snapshot in &submission.snapshots {
        if matches!(snapshot.scope.table, Table::Accounts | Table::All) {
            let range = super::row_key::table_range(&shared, Table::Accounts);
            for change in super::store::rows_of(&tables.rows, &range)? {
                if let Change::Account(account) = change {
                    said.roots.insert(account.account, None);
                }
            }
        }
        snapshot.rows.iter().for_each(|change| said.note(change));
    }
    submission.groups.iter().flatten().for_each(|change| said.note(change));
    Ok(said)
}

impl Said {
    fn note(&mut self, change: &Change) {
        if let Change::Account(account) = change {
            self.roots.insert(account.account.clone(), Some(account.root.clone()));
        } else if let Change::AccountRemoved(removed) = change {
            self.roots.insert(removed.account.clone(), None);
        } else if let Change::Scope(header) = change {
            self.headers.insert(header.scope.clone(), Some(header.clone()));
        } else if let Change::ScopeRemoved(removed) = change {
            self.headers.insert(removed.scope.clone(), None);
        }
        if let Some(scope) = price_scope(change) {
            self.scopes.insert(scope.clone());
        }
    }
}

/// A snapshot of prices is one on every subject that has rows of its scope, before or after.
fn split_snapshot(
    tables: &Tables<'_>,
    source: &SourceId,
    homes: &Homes,
    snapshot: Snapshot,
    shares: &mut BTreeMap<Subject, Share>,
) -> Result<(), StoreError> {
    let Snapshot { scope, rows } = snapshot;
    let mut parts: BTreeMap<Subject, Vec<Change>> = BTreeMap::new();
    if is_ledger(scope.table) {
        parts.insert(Subject::Stock(source.clone()), rows);
    } else {
        if !matches!(scope.table, Table::Scopes | Table::Prices) {
            parts.entry(Subject::Catalog(pannier_protocol::Partition::Shared, source.clone())).or_default();
        }
        for (subject, _) in tables.chains()? {
            if has_rows(tables, &subject, &scope)? {
                parts.entry(subject).or_default();
            }
        }
        for change in rows {
            parts.entry(homes.subject(&change)).or_default().push(change);
        }
    }
    for (subject, rows) in parts {
        shares.entry(subject).or_default().snapshots.push(Snapshot { scope: scope.clone(), rows });
    }
    Ok(())
}

fn has_rows(tables: &Tables<'_>, subject: &Subject, scope: &SnapshotScope) -> Result<bool, StoreError> {
    let range = snapshot_range(subject, scope);
    let first = tables.rows.range(range.as_slice()..)?.next().transpose()?;
    Ok(first.is_some_and(|(key, _)| key.value().starts_with(&range)))
}

fn write_share(tables: &mut Tables<'_>, sheet: &Sheet<'_>, share: Share) -> Result<(), StoreError> {
    let mut chain = tables.chain(sheet.subject)?;
    chain.position = chain.position.max(sheet.position);
    write_groups(tables, sheet, &mut chain, share.moved)?;
    for snapshot in share.snapshots {
        mirror_snapshot(tables, sheet.subject, &snapshot)?;
        if chain.epoch.is_some() {
            sheet.push_snapshot(tables, &mut chain, &snapshot.scope, snapshot.rows)?;
        }
    }
    write_groups(tables, sheet, &mut chain, share.groups)?;
    tables.put_chain(sheet.subject, &chain)
}

fn write_groups(
    tables: &mut Tables<'_>,
    sheet: &Sheet<'_>,
    chain: &mut ChainRecord,
    groups: Vec<Vec<Change>>,
) -> Result<(), StoreError> {
    for group in &groups {
        mirror(tables, sheet.subject, group)?;
    }
    if chain.epoch.is_some() { sheet.push_groups(tables, chain, groups) } else { Ok(()) }
}

fn mirror(tables: &mut Tables<'_>, subject: &Subject, changes: &[Change]) -> Result<(), StoreError> {
    for effect in changes.iter().flat_map(|change| effects(subject, change)) {
        match effect {
            Effect::Put(key, change) => {
                tables.rows.insert(key.as_slice(), encode(change.as_ref())?.as_slice())?;
            }
            Effect::Remove(key) => {
                tables.rows.remove(key.as_slice())?;
            }
            Effect::RemoveAll(range) => remove_all(tables, &range, &BTreeSet::new())?,
        }
    }
    Ok(())
}

fn mirror_snapshot(
    tables: &mut Tables<'_>,
    subject: &Subject,
    snapshot: &Snapshot,
) -> Result<(), StoreError> {
    let mut kept = BTreeSet::new();
    for effect in snapshot.rows.iter().flat_map(|change| effects(subject, change)) {
        if let Effect::Put(key, change) = effect {
            tables.rows.insert(key.as_slice(), encode(change.as_ref())?.as_slice())?;
            kept.insert(key);
        }
    }
    remove_all(tables, &snapshot_range(subject, &snapshot.scope), &kept)
}

fn remove_all(tables: &mut Tables<'_>, range: &[u8], kept: &BTreeSet<Vec<u8>>) -> Result<(), StoreError> {
    let mut gone = Vec::new();
    for entry in tables.rows.range(range..)? {
        let (key, _) = entry?;
        if !key.value().starts_with(range) {
            break;
        }
        if !kept.contains(key.value()) {
            gone.push(key.value().to_vec());
        }
    }
    for key in gone {
        tables.rows.remove(key.as_slice())?;
    }
    Ok(())
}

/// The price scopes of one kind, or one of them.
pub fn priced(table: Table, prices: PriceSelection) -> SnapshotScope {
    SnapshotScope { table, warehouse: None, prices: Some(prices) }
}
