//! Maps that one writer fills and many readers read, and records in them that keep their deletes.
//!
//! A DashMap's shards are paid for when it is made, 128 bytes each, and a chain of a family partition has no
//! items: 65 partitions times five maps of 4,096 shards would be 170 MB of empty locks a source. A map is
//! therefore made by its first row. What leaves is a clone (an `Arc`, mostly), never a guard.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::{Arc, OnceLock};

use dashmap::DashMap;
use rustc_hash::{FxBuildHasher, FxHashMap};

use crate::rows::RowVersion;

pub(super) struct Sharded<K, V> {
    map: OnceLock<DashMap<K, V, FxBuildHasher>>,
    shards: usize,
}

impl<K: Eq + Hash, V: Clone> Sharded<K, V> {
    pub(super) const fn new(shards: usize) -> Self {
        Self { map: OnceLock::new(), shards }
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        self.map.get()?.get(key).map(|entry| entry.value().clone())
    }

    pub(super) fn insert(&self, key: K, value: V) {
        self.map
            .get_or_init(|| DashMap::with_hasher_and_shard_amount(FxBuildHasher, self.shards))
            .insert(key, value);
    }

    /// In no order: what `visit` makes of it must not depend on one.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&K, &V)) {
        if let Some(map) = self.map.get() {
            map.iter().for_each(|entry| visit(entry.key(), entry.value()));
        }
    }
}

/// A record, or the delete that an older upsert must not undo. A tombstone ends with the next snapshot of
/// its scope.
pub(super) enum Slot<T> {
    Row { record: Arc<T>, version: RowVersion, hash: u128 },
    Gone(RowVersion),
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Row { record, version, hash } => {
                Self::Row { record: Arc::clone(record), version: *version, hash: *hash }
            }
            Self::Gone(version) => Self::Gone(*version),
        }
    }
}

impl<T> Slot<T> {
    fn version(&self) -> RowVersion {
        match self {
            Self::Row { version, .. } | Self::Gone(version) => *version,
        }
    }

    fn hash(&self) -> u128 {
        match self {
            Self::Row { hash, .. } => *hash,
            Self::Gone(_) => 0,
        }
    }
}

/// Whole records by key, each with the version and stable hash of the change that stated it.
pub(super) struct Records<K, T> {
    pub(super) slots: Sharded<K, Slot<T>>,
}

impl<K: Eq + Hash + Clone, T> Records<K, T> {
    pub(super) const fn new(shards: usize) -> Self {
        Self { slots: Sharded::new(shards) }
    }

    pub(super) fn get<Q>(&self, key: &Q) -> Option<Arc<T>>
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ?Sized,
    {
        match self.slots.get(key)? {
            Slot::Row { record, .. } => Some(record),
            Slot::Gone(_) => None,
        }
    }

    /// Changes of one batch, to be committed together.
    pub(super) fn edit(&self) -> RecordsEdit<'_, K, T> {
        RecordsEdit { records: self, staged: FxHashMap::default() }
    }

    /// Of the records that are there, in no order.
    pub(super) fn keys(&self) -> Vec<K> {
        let mut keys = Vec::new();
        self.slots.for_each(|key, slot| {
            if matches!(slot, Slot::Row { .. }) {
                keys.push(key.clone());
            }
        });
        keys
    }

    pub(super) fn count(&self) -> u64 {
        self.count_of(|_| true)
    }

    pub(super) fn count_of(&self, counts: impl Fn(&T) -> bool) -> u64 {
        let mut count = 0;
        self.slots.for_each(|_, slot| {
            count += u64::from(matches!(slot, Slot::Row { record, .. } if counts(record)));
        });
        count
    }

    /// Records that `aside` does not have.
    pub(super) fn missing_in(&self, aside: &Self) -> u64 {
        let mut count = 0;
        self.slots.for_each(|key, slot| {
            count += u64::from(matches!(slot, Slot::Row { .. }) && aside.get(key).is_none());
        });
        count
    }

    /// Gives `aside` what it does not know; the sum of the hashes given.
    pub(super) fn share_with(&self, aside: &Self) -> u128 {
        let mut digest = 0_u128;
        self.slots.for_each(|key, slot| {
            if aside.slots.get(key).is_none() {
                digest = digest.wrapping_add(slot.hash());
                aside.slots.insert(key.clone(), slot.clone());
            }
        });
        digest
    }
}

/// The records that one batch touches: readers see the last state of each.
pub(super) struct RecordsEdit<'a, K, T> {
    records: &'a Records<K, T>,
    staged: FxHashMap<K, Slot<T>>,
}

impl<K: Eq + Hash + Clone, T> RecordsEdit<'_, K, T> {
    pub(super) fn put(&mut self, key: K, record: T, version: RowVersion, hash: u128) {
        self.set(key, Slot::Row { record: Arc::new(record), version, hash });
    }

    pub(super) fn remove(&mut self, key: K, version: RowVersion) {
        self.set(key, Slot::Gone(version));
    }

    fn set(&mut self, key: K, slot: Slot<T>) {
        let before = self.staged.get(&key).map(Slot::version);
        let before = before.or_else(|| self.records.slots.get(&key).map(|slot| slot.version()));
        if before.is_none_or(|version| version <= slot.version()) {
            self.staged.insert(key, slot);
        }
    }

    /// Replaces each record once; by how much the digest changes.
    pub(super) fn commit(self) -> u128 {
        let mut digest = 0_u128;
        for (key, slot) in self.staged {
            let before = self.records.slots.get(&key).map_or(0, |slot| slot.hash());
            digest = digest.wrapping_add(slot.hash()).wrapping_sub(before);
            self.records.slots.insert(key, slot);
        }
        digest
    }
}
