//! All that the fold knows of orders and holds, and the tables that others read.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use compact_str::CompactString;
use dashmap::DashMap;
use pannier_protocol::api::OrderState;
use pannier_protocol::order::{PlaceOrder, RouteRule};
use pannier_protocol::{
    AccountId, EffectId, Fingerprint, HoldId, IdempotencyKey, OrderId, PurchaseOrder, StreamSequence,
    Timestamp,
};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128;

use super::handover::HandoverRecord;
use super::keys::{ActRecord, KeyId, KeyRecord};
use super::outbox::{OutboxEntries, OutboxEntry};
use super::record::{HoldRecord, OrderRecord};
use super::recovery::RecoveryRecord;
use super::routing::RoutingRecord;
use super::timeline::Timeline;
use crate::dictionary::ItemNo;
use crate::limits::TABLE_SHARDS_SMALL;

/// One map of records; the fold writes, everybody reads.
pub(super) struct Records<K, V>(DashMap<K, Arc<V>, FxBuildHasher>);

impl<K: Eq + std::hash::Hash + Clone, V> Default for Records<K, V> {
    fn default() -> Self {
        Self(DashMap::with_hasher_and_shard_amount(FxBuildHasher, TABLE_SHARDS_SMALL))
    }
}

impl<K: Eq + std::hash::Hash + Ord + Clone + Serialize, V: Serialize> Records<K, V> {
    pub(super) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.0.get(key).map(|record| Arc::clone(&record))
    }

    /// In the order of keys.
    pub(super) fn sorted(&self) -> Vec<(K, Arc<V>)> {
        let mut all: Vec<_> = self.0.iter().map(|it| (it.key().clone(), Arc::clone(it.value()))).collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// The first `count` after a place, in the order of places, of those that are wanted.
    fn after(
        &self,
        after: Option<(StreamSequence, K)>,
        count: usize,
        position: impl Fn(&V) -> StreamSequence,
        wanted: impl Fn(&V) -> bool,
    ) -> Vec<Arc<V>> {
        let mut first = BTreeMap::new();
        for it in &self.0 {
            let place = (position(it.value()), it.key().clone());
            let is_after = after.as_ref().is_none_or(|after| place > *after);
            if is_after && wanted(it.value()) {
                first.insert(place, Arc::clone(it.value()));
                if first.len() > count {
                    first.pop_last();
                }
            }
        }
        first.into_values().collect()
    }

    /// Returns by how much the digest moves.
    pub(super) fn set(&self, key: K, record: Option<Arc<V>>) -> u128 {
        let hash = |record: &Arc<V>| hash_of(&(&key, &**record));
        let after = record.as_ref().map_or(0, hash);
        let before = match record {
            Some(record) => self.0.insert(key.clone(), record),
            None => self.0.remove(&key).map(|(_, record)| record),
        };
        after.wrapping_sub(before.as_ref().map_or(0, hash))
    }
}

/// XXH3-128 of the canonical MessagePack.
fn hash_of<T: Serialize>(value: &T) -> u128 {
    let bytes = rmp_serde::to_vec_named(value);
    debug_assert!(bytes.is_ok(), "records of the fold are encodable");
    xxh3_128(&bytes.unwrap_or_default())
}

/// What others read.
#[derive(Default)]
pub(super) struct Shared {
    pub(super) orders: Records<OrderId, OrderRecord>,
    pub(super) holds: Records<HoldId, HoldRecord>,
    pub(super) keys: Records<KeyId, KeyRecord>,
    pub(super) outbox: Records<EffectId, OutboxEntry>,
    pub(super) closed: Records<OrderId, ClosedOrder>,
    pub(super) acts: Records<IdempotencyKey, ActRecord>,
    pub(super) overcommits: Records<CellName, Overcommit>,
    /// One, once an operator routed orders.
    pub(super) routing: Records<(), RoutingRecord>,
    /// One, once something was handed over.
    pub(super) handover: Records<(), HandoverRecord>,
    /// One, once entries were lost.
    pub(super) recovery: Records<(), RecoveryRecord>,
    pub(super) timeline: Timeline,
}

/// A cell by its names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CellName {
    pub item: CompactString,
    pub warehouse: CompactString,
}

/// More is promised of a cell than there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overcommit {
    pub cell: CellName,
    /// The entry since which it is so.
    pub since: StreamSequence,
}

/// The rules of order routing in force, if an operator ever gave some.
#[derive(Debug, Clone, Default)]
pub struct RoutingInForce(pub Option<Arc<RoutingRecord>>);

impl RoutingInForce {
    pub fn rules(&self) -> &[RouteRule] {
        self.0.as_ref().map_or(&[], |record| &record.rules)
    }
}

/// What stays of an order that is over, as long as its key does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedOrder {
    pub account: AccountId,
    pub key: IdempotencyKey,
    pub fingerprint: Fingerprint,
    pub state: OrderState,
    pub position: StreamSequence,
}

/// Orders and holds as the fold left them; cheap to clone.
#[derive(Clone, Default)]
pub struct OrdersReader(pub(super) Arc<Shared>);

impl OrdersReader {
    pub fn order(&self, order: &OrderId) -> Option<Arc<OrderRecord>> {
        self.0.orders.get(order)
    }

    /// What is left of an order that is long over.
    pub fn closed(&self, order: &OrderId) -> Option<Arc<ClosedOrder>> {
        self.0.closed.get(order)
    }

    pub fn hold(&self, hold: &HoldId) -> Option<Arc<HoldRecord>> {
        self.0.holds.get(hold)
    }

    /// What a key was used for, if it is remembered.
    pub fn key(&self, key: &KeyId) -> Option<Arc<KeyRecord>> {
        self.0.keys.get(key)
    }

    /// What is to be published, first things first.
    pub fn outbox(&self) -> OutboxEntries {
        self.0.outbox.sorted()
    }

    /// What became of an operator's act, if its key is remembered.
    pub fn act(&self, key: &IdempotencyKey) -> Option<Arc<ActRecord>> {
        self.0.acts.get(key)
    }

    /// Cells of which more is promised than there is.
    pub fn overcommits(&self) -> Vec<Arc<Overcommit>> {
        self.0.overcommits.sorted().into_iter().map(|(_, overcommit)| overcommit).collect()
    }

    pub fn routing(&self) -> RoutingInForce {
        RoutingInForce(self.0.routing.get(&()))
    }

    /// Those orders that are `wanted`, at most `count`, in the order of the ledger: from the first one, or from the one
    /// after a place. Orders of one entry stand in the order of their ids. Walks over all that the fold knows.
    pub fn after(
        &self,
        place: Option<(StreamSequence, OrderId)>,
        count: usize,
        wanted: impl Fn(&OrderRecord) -> bool,
    ) -> Vec<Arc<OrderRecord>> {
        self.0.orders.after(place, count, |order| order.position, wanted)
    }

    /// The same of holds.
    pub fn holds_after(
        &self,
        place: Option<(StreamSequence, HoldId)>,
        count: usize,
        wanted: impl Fn(&HoldRecord) -> bool,
    ) -> Vec<Arc<HoldRecord>> {
        self.0.holds.after(place, count, |hold| hold.position, wanted)
    }
}

/// Who promised something of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Owner {
    Order(OrderId),
    Hold(HoldId),
}

/// What ends by itself, and when.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Due {
    HoldEnds(HoldId),
    KeyEnds(KeyId),
    ActEnds(IdempotencyKey),
    OrderShrinks(OrderId),
    DuplicateEnds(DuplicateKey, OrderId),
    OverlayIsOld(OrderId),
}

/// Account, purchase order, and the hash of the lines.
pub(crate) type DuplicateKey = (AccountId, PurchaseOrder, Fingerprint);

/// State that only the fold reads.
#[derive(Clone, Default)]
pub(super) struct Index {
    pub(super) due: BTreeSet<(Timestamp, Due)>,
    /// Who has something open of an item, so that a change of it looks at few orders.
    pub(super) by_item: BTreeMap<ItemNo, BTreeSet<Owner>>,
    /// Orders that may use credit, by the account whose credit it is.
    pub(super) by_credit: BTreeMap<AccountId, BTreeSet<OrderId>>,
    pub(super) by_cap: BTreeMap<super::balances::CapKey, BTreeSet<OrderId>>,
    /// Orders that another one may repeat, with when that is none of our business any more.
    pub(super) duplicates: BTreeMap<DuplicateKey, BTreeMap<OrderId, Timestamp>>,
    pub(super) floors: BTreeMap<String, StreamSequence>,
    /// Cells that are promised beyond what there is, so that each is told once.
    pub(super) overcommitted: BTreeSet<(ItemNo, crate::dictionary::WarehouseNo)>,
}

impl Index {
    /// Whether an order counts in the credit or the caps that it uses.
    pub(super) fn counts(&self, placed: &PlaceOrder) -> bool {
        fn has(orders: Option<&BTreeSet<OrderId>>, order: &OrderId) -> bool {
            orders.is_some_and(|orders| orders.contains(order))
        }
        let credit = placed.credit.as_ref().and_then(|credit| self.by_credit.get(&credit.account));
        let mut caps = placed
            .lines
            .iter()
            .flat_map(|line| &line.caps)
            .map(|cap| self.by_cap.get(&(cap.source.clone(), cap.contract.clone(), cap.item.clone())));
        has(credit, &placed.order) || caps.any(|orders| has(orders, &placed.order))
    }

    /// Whether an order counts in the credit and the caps that it uses.
    pub(super) fn count(&mut self, placed: &PlaceOrder, counts: bool) {
        fn put<K: Ord>(map: &mut BTreeMap<K, BTreeSet<OrderId>>, key: K, order: OrderId, counts: bool) {
            if counts {
                map.entry(key).or_default().insert(order);
            } else if let Slot::Occupied(mut orders) = map.entry(key) {
                orders.get_mut().remove(&order);
                if orders.get().is_empty() {
                    orders.remove();
                }
            }
        }
        if let Some(credit) = &placed.credit {
            put(&mut self.by_credit, credit.account.clone(), placed.order, counts);
        }
        for cap in placed.lines.iter().flat_map(|line| &line.caps) {
            let key = (cap.source.clone(), cap.contract.clone(), cap.item.clone());
            put(&mut self.by_cap, key, placed.order, counts);
        }
    }
}

impl Index {
    /// Nothing repeats this order, or not any more, if its time is up by then.
    pub(super) fn forget_duplicate(&mut self, key: &DuplicateKey, order: &OrderId, by: Timestamp) {
        let Some(orders) = self.duplicates.get_mut(key) else { return };
        orders.retain(|id, until| id != order || *until > by);
        if orders.is_empty() {
            self.duplicates.remove(key);
        }
    }
}

impl Shared {
    pub(super) fn set_order(&self, record: OrderRecord) -> u128 {
        let order = record.placed.order;
        let before = self.orders.get(&order);
        let before = before.as_ref().map_or(&[][..], |before| &before.steps);
        self.timeline.note(order, before, &record.steps);
        self.orders.set(order, Some(Arc::new(record)))
    }

    pub(super) fn shrink_order(&self, order: &OrderRecord) -> u128 {
        let keyed = &order.placed.keyed;
        let closed = ClosedOrder {
            account: keyed.account.clone(),
            key: keyed.key.clone(),
            fingerprint: keyed.fingerprint,
            state: order.state,
            position: order.position,
        };
        self.timeline.note(order.placed.order, &order.steps, &[]);
        let moved = self.orders.set(order.placed.order, None);
        moved.wrapping_add(self.closed.set(order.placed.order, Some(Arc::new(closed))))
    }

    pub(super) fn forget_order(&self, order: &OrderId) -> u128 {
        self.closed.set(*order, None)
    }

    pub(super) fn forget_hold(&self, hold: &HoldId) -> u128 {
        self.holds.set(*hold, None)
    }

    pub(super) fn set_hold(&self, record: HoldRecord) -> u128 {
        self.holds.set(record.placed.hold, Some(Arc::new(record)))
    }

    pub(super) fn set_key(&self, key: KeyId, record: Option<KeyRecord>) -> u128 {
        self.keys.set(key, record.map(Arc::new))
    }

    pub(super) fn set_act(&self, key: IdempotencyKey, record: Option<ActRecord>) -> u128 {
        self.acts.set(key, record.map(Arc::new))
    }

    pub(super) fn set_overcommit(&self, cell: CellName, since: Option<StreamSequence>) -> u128 {
        let record = since.map(|since| Arc::new(Overcommit { cell: cell.clone(), since }));
        self.overcommits.set(cell, record)
    }

    pub(super) fn set_routing(&self, record: RoutingRecord) -> u128 {
        self.routing.set((), Some(Arc::new(record)))
    }

    pub(super) fn set_handover(&self, record: HandoverRecord) -> u128 {
        self.handover.set((), Some(Arc::new(record)))
    }

    pub(super) fn set_recovery(&self, record: RecoveryRecord) -> u128 {
        self.recovery.set((), Some(Arc::new(record)))
    }

    pub(super) fn set_closed(&self, order: OrderId, record: ClosedOrder) -> u128 {
        self.closed.set(order, Some(Arc::new(record)))
    }

    pub(super) fn set_outbox(&self, id: EffectId, entry: Option<OutboxEntry>) -> u128 {
        self.outbox.set(id, entry.map(Arc::new))
    }
}
