//! The catalog's fold as a checkpoint keeps it.

use std::sync::Arc;

use compact_str::CompactString;
use pannier_protocol::change::Policy;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Partition, SourceId, StreamSequence};
use serde::{Deserialize, Serialize};

use super::accounts::AccountRecord;
use super::fold::Catalog;
use super::items::ItemRecord;
use super::prices::{FrozenPrices, Row, SavedScope, SavedScopes};
use super::references::{NumberOf, ReferenceKey, ReferenceRecord};
use super::rows::CatalogRows;
use super::sharded::{Records, Slot};
use crate::checkpoint::{Ranks, Renumber, wide};
use crate::dictionary::{AccountNo, ItemNo, ScopeNo};
use crate::gate::{Chain, SavedChain};
use crate::rows::RowVersion;

/// 64 is shared.
pub(super) mod partition {
    use pannier_protocol::Partition;
    use pannier_protocol::limits::PARTITIONS;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    pub(crate) fn serialize<S: Serializer>(value: &Partition, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Partition::Family(number) => u16::from(*number).serialize(serializer),
            Partition::Shared => u16::from(PARTITIONS).serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Partition, D::Error> {
        let number = u16::deserialize(deserializer)?;
        match u8::try_from(number) {
            Ok(number) if number < PARTITIONS => Ok(Partition::Family(number)),
            Ok(_) if number == u16::from(PARTITIONS) => Ok(Partition::Shared),
            Ok(_) | Err(_) => Err(de::Error::custom("there is no such partition")),
        }
    }
}

/// A record with its version and hash, or the tombstone that stands for it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedSlot<T> {
    record: Option<T>,
    version: RowVersion,
    #[serde(with = "wide")]
    hash: u128,
}

/// A record of a chain that is no price.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SavedRecord {
    Item(ItemNo, SavedSlot<ItemRecord>),
    Reference(NumberOf, CompactString, SavedSlot<ReferenceRecord>),
    Account(AccountNo, SavedSlot<AccountRecord>),
    Policy(String, SavedSlot<Policy>),
}

/// What is in force over all chains.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedCatalogFold {
    policies: Vec<Policy>,
    derived: Vec<CompactString>,
    told: Vec<CompactString>,
}

/// What one message left of a chain, collected and not looked into yet.
pub(crate) struct FrozenRows {
    items: Vec<(ItemNo, Slot<ItemRecord>)>,
    references: Vec<(ReferenceKey, Slot<ReferenceRecord>)>,
    accounts: Vec<(AccountNo, Slot<AccountRecord>)>,
    policies: Vec<(&'static str, Slot<Policy>)>,
    prices: FrozenPrices,
}

pub(crate) struct FrozenCatalog {
    pub(crate) positions: Vec<StreamSequence>,
    pub(crate) digest: u128,
    pub(crate) fold: SavedCatalogFold,
    /// By partition, then by source.
    pub(crate) chains: Vec<(SavedChain, FrozenRows)>,
}

impl Renumber for ItemRecord {
    fn renumber(&mut self, ranks: &Ranks) {
        self.item.renumber(ranks);
        self.base_uom.renumber(ranks);
        self.class.renumber(ranks);
        self.uoms.iter_mut().for_each(|unit| unit.uom.renumber(ranks));
        for part in &mut self.kit {
            part.item.renumber(ranks);
            part.uom.renumber(ranks);
        }
        for relation in &mut self.relations {
            relation.item.renumber(ranks);
            relation.uom.renumber(ranks);
        }
    }
}

impl Renumber for AccountRecord {
    fn renumber(&mut self, ranks: &Ranks) {
        self.account.renumber(ranks);
        self.scope.renumber(ranks);
        self.parent.renumber(ranks);
        self.groups.renumber(ranks);
        self.warehouses.renumber(ranks);
        self.lists.renumber(ranks);
    }
}

impl Renumber for ReferenceRecord {
    fn renumber(&mut self, ranks: &Ranks) {
        self.item.renumber(ranks);
        self.uom.renumber(ranks);
    }
}

impl Renumber for NumberOf {
    fn renumber(&mut self, ranks: &Ranks) {
        if let Self::Customer(account) = self {
            account.renumber(ranks);
        }
    }
}

impl Renumber for Policy {
    fn renumber(&mut self, _: &Ranks) {}
}

impl<T: Renumber + Clone> SavedSlot<T> {
    fn new(slot: &Slot<T>, ranks: &Ranks) -> Self {
        match slot {
            Slot::Row { record, version, hash } => {
                let mut record = T::clone(record);
                record.renumber(ranks);
                Self { record: Some(record), version: *version, hash: *hash }
            }
            Slot::Gone(version) => Self { record: None, version: *version, hash: 0 },
        }
    }

    /// Puts it in a table that has none of that key; by how much the digest changes.
    fn restore<K: Eq + std::hash::Hash + Clone>(self, key: K, records: &Records<K, T>) -> u128 {
        let Self { record, version, hash } = self;
        let slot = record.map_or(Slot::Gone(version), |it| Slot::Row { record: Arc::new(it), version, hash });
        records.slots.insert(key, slot);
        hash
    }
}

impl FrozenRows {
    /// Hands out records by rank of their ids.
    pub(crate) fn visit_records<E>(
        &mut self,
        ranks: &Ranks,
        mut visit: impl FnMut(SavedRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        self.items.iter_mut().for_each(|(item, _)| item.renumber(ranks));
        self.items.sort_by_key(|(item, _)| *item);
        for (item, slot) in self.items.drain(..) {
            visit(SavedRecord::Item(item, SavedSlot::new(&slot, ranks)))?;
        }
        self.references.iter_mut().for_each(|(key, _)| key.of.renumber(ranks));
        self.references.sort_by(|(a, _), (b, _)| a.cmp(b));
        for (key, slot) in self.references.drain(..) {
            visit(SavedRecord::Reference(key.of, key.number, SavedSlot::new(&slot, ranks)))?;
        }
        self.accounts.iter_mut().for_each(|(account, _)| account.renumber(ranks));
        self.accounts.sort_by_key(|(account, _)| *account);
        for (account, slot) in self.accounts.drain(..) {
            visit(SavedRecord::Account(account, SavedSlot::new(&slot, ranks)))?;
        }
        self.policies.sort_by_key(|(name, _)| *name);
        for (name, slot) in self.policies.drain(..) {
            visit(SavedRecord::Policy(name.to_owned(), SavedSlot::new(&slot, ranks)))?;
        }
        Ok(())
    }

    pub(crate) fn visit_prices<E>(
        self,
        ranks: &Ranks,
        visit: impl FnMut(&SavedScopes) -> Result<(), E>,
    ) -> Result<(), E> {
        self.prices.visit(ranks, visit)
    }
}

fn collected<K: Eq + std::hash::Hash + Clone, T>(records: &Records<K, T>) -> Vec<(K, Slot<T>)> {
    let mut all = Vec::new();
    records.slots.for_each(|key, slot| all.push((key.clone(), slot.clone())));
    all
}

impl CatalogRows {
    fn freeze(&self) -> FrozenRows {
        FrozenRows {
            items: collected(&self.items),
            references: collected(&self.references),
            accounts: collected(&self.accounts),
            policies: collected(&self.policies),
            prices: self.prices.freeze(),
        }
    }

    /// `None` when it is nothing that this build knows.
    pub(crate) fn restore(&self, saved: SavedRecord) -> Option<()> {
        let moved = match saved {
            SavedRecord::Item(item, slot) => slot.restore(item, &self.items),
            SavedRecord::Reference(of, number, slot) => {
                slot.restore(ReferenceKey { of, number }, &self.references)
            }
            SavedRecord::Account(account, slot) => slot.restore(account, &self.accounts),
            SavedRecord::Policy(name, slot) => {
                let known = slot.record.as_ref().map(|policy| policy.document.name());
                slot.restore(known.filter(|known| *known == name)?, &self.policies)
            }
        };
        self.add_to_digest(moved);
        Some(())
    }

    /// The same of terms and of scopes with their rows.
    pub(crate) fn restore_prices(&self, saved: SavedScopes, scope: Option<SavedScope>) -> Option<()> {
        match (saved, scope) {
            (SavedScopes::Terms(terms), None) => self.prices.restore_terms(terms),
            (SavedScopes::Rows(rows), Some(scope)) => self.restore_scope(scope, rows),
            (SavedScopes::Terms(_), Some(_)) | (SavedScopes::Rows(_), None) | (SavedScopes::Scope(_), _) => {
                None
            }
        }
    }

    fn restore_scope(&self, scope: SavedScope, rows: Vec<Row>) -> Option<()> {
        self.add_to_digest(self.prices.restore_scope(scope, rows)?);
        Some(())
    }
}

impl Catalog {
    /// The state at the positions of all partitions. The error is the chain that cannot be kept now.
    pub(crate) fn freeze(&self) -> Result<FrozenCatalog, Subject> {
        let mut chains = Vec::new();
        for (partition, of_partition) in &self.chains {
            for (source, chain) in of_partition {
                let saved = chain.save().ok_or_else(|| Subject::Catalog(*partition, source.clone()))?;
                chains.push((saved, chain.rows().freeze()));
            }
        }
        let fold = SavedCatalogFold {
            policies: self.policies.values().cloned().collect(),
            derived: self.derived.lists.keys().cloned().collect(),
            told: self.derived.told.iter().cloned().collect(),
        };
        let positions = self.reader.positions.iter().map(crate::watermark::Watermark::get).collect();
        Ok(FrozenCatalog { positions, digest: self.digest(), fold, chains })
    }

    pub(crate) fn restore_fold(&mut self, saved: SavedCatalogFold) {
        let named = |policy: Policy| (policy.document.name(), policy);
        self.policies = saved.policies.into_iter().map(named).collect();
        let number = |name: CompactString| {
            let list: ScopeNo = self.dictionary.scopes.intern(&name);
            (name, list)
        };
        self.derived.lists = saved.derived.into_iter().map(number).collect();
        self.derived.told = saved.told.into_iter().collect();
    }

    /// A chain with rows to be filled; `None` when the board has no room for it.
    pub(crate) fn restore_chain(
        &mut self,
        partition: Partition,
        source: SourceId,
        saved: SavedChain,
    ) -> Option<Arc<CatalogRows>> {
        let status = self.board.chain(&saved.subject)?;
        let rows = CatalogRows::new(Arc::clone(&self.dictionary));
        let incarnation = self.reader.incarnation().clone();
        let chain = Chain::restore(saved, rows, status, Arc::clone(&self.board), incarnation);
        let rows = Arc::clone(chain.rows());
        self.chains.entry(partition).or_default().insert(source, chain);
        Some(rows)
    }

    /// Shows what was put back; messages after these positions can be applied.
    pub(crate) fn restored(&mut self, positions: &[StreamSequence]) {
        self.publish();
        for (watermark, position) in self.reader.positions.iter().zip(positions) {
            watermark.raise(*position);
        }
    }
}
