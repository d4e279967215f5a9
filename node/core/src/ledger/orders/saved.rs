//! Orders as a checkpoint keeps them: all records, and what only the fold knows of them.

use std::sync::Arc;

use pannier_protocol::{AccountId, EffectId, IdempotencyKey, OrderId, StreamSequence, Timestamp};
use serde::{Deserialize, Serialize};

use super::Orders;
use super::balances::CapKey;
use super::handover::HandoverRecord;
use super::keys::{ActRecord, KeyId, KeyRecord};
use super::outbox::OutboxEntry;
use super::record::{HoldRecord, OrderRecord};
use super::recovery::RecoveryRecord;
use super::routing::RoutingRecord;
use super::state::{CellName, ClosedOrder, Due, DuplicateKey, Index, Overcommit, Owner};
use crate::checkpoint::{Ranks, Renumber, shared};
use crate::dictionary::{ItemNo, WarehouseNo};

/// What one entry left, collected and not looked into yet.
pub(crate) struct FrozenOrders {
    records: Vec<SavedOrders>,
    index: Index,
    forgotten: Option<EffectId>,
}

/// One record, or one line of an index.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum SavedOrders {
    Order(#[serde(with = "shared")] Arc<OrderRecord>),
    Hold(#[serde(with = "shared")] Arc<HoldRecord>),
    Key(KeyId, #[serde(with = "shared")] Arc<KeyRecord>),
    Outbox(EffectId, #[serde(with = "shared")] Arc<OutboxEntry>),
    Closed(OrderId, #[serde(with = "shared")] Arc<ClosedOrder>),
    Act(IdempotencyKey, #[serde(with = "shared")] Arc<ActRecord>),
    Overcommit(CellName, #[serde(with = "shared")] Arc<Overcommit>),
    Routing(#[serde(with = "shared")] Arc<RoutingRecord>),
    Recovery(#[serde(with = "shared")] Arc<RecoveryRecord>),
    Handover(#[serde(with = "shared")] Arc<HandoverRecord>),
    Forgotten(EffectId),
    Due(Timestamp, Due),
    ByItem(ItemNo, Vec<Owner>),
    ByCredit(AccountId, Vec<OrderId>),
    ByCap(CapKey, Vec<OrderId>),
    Duplicate(DuplicateKey, Vec<(OrderId, Timestamp)>),
    Floor(String, StreamSequence),
    Overcommitted(ItemNo, WarehouseNo),
}

impl FrozenOrders {
    /// By id; what has numbers, by rank.
    pub(crate) fn records(self, ranks: &Ranks) -> impl Iterator<Item = SavedOrders> {
        use SavedOrders as Saved;
        let Index { due, by_item, by_credit, by_cap, duplicates, floors, overcommitted } = self.index;
        let mut items: Vec<_> = by_item.into_iter().collect();
        items.iter_mut().for_each(|(item, _)| item.renumber(ranks));
        items.sort_by_key(|(item, _)| *item);
        let mut cells: Vec<_> = overcommitted.into_iter().collect();
        for (item, warehouse) in &mut cells {
            item.renumber(ranks);
            warehouse.renumber(ranks);
        }
        cells.sort_unstable();
        let records = self.records.into_iter().chain(self.forgotten.map(Saved::Forgotten));
        records
            .chain(due.into_iter().map(|(time, due)| Saved::Due(time, due)))
            .chain(items.into_iter().map(|(item, of)| Saved::ByItem(item, of.into_iter().collect())))
            .chain(by_credit.into_iter().map(|(key, of)| Saved::ByCredit(key, of.into_iter().collect())))
            .chain(by_cap.into_iter().map(|(key, of)| Saved::ByCap(key, of.into_iter().collect())))
            .chain(duplicates.into_iter().map(|(key, of)| Saved::Duplicate(key, of.into_iter().collect())))
            .chain(floors.into_iter().map(|(subject, floor)| Saved::Floor(subject, floor)))
            .chain(cells.into_iter().map(|(item, warehouse)| Saved::Overcommitted(item, warehouse)))
    }
}

impl Orders {
    pub(crate) fn freeze(&self) -> FrozenOrders {
        use SavedOrders as Saved;
        let shared = &self.reader.0;
        let mut records = Vec::new();
        records.extend(shared.orders.sorted().into_iter().map(|(_, order)| Saved::Order(order)));
        records.extend(shared.holds.sorted().into_iter().map(|(_, hold)| Saved::Hold(hold)));
        records.extend(shared.keys.sorted().into_iter().map(|(key, record)| Saved::Key(key, record)));
        records.extend(shared.outbox.sorted().into_iter().map(|(id, entry)| Saved::Outbox(id, entry)));
        records.extend(shared.closed.sorted().into_iter().map(|(id, closed)| Saved::Closed(id, closed)));
        records.extend(shared.acts.sorted().into_iter().map(|(key, act)| Saved::Act(key, act)));
        let cells = shared.overcommits.sorted().into_iter();
        records.extend(cells.map(|(cell, overcommit)| Saved::Overcommit(cell, overcommit)));
        records.extend(shared.routing.sorted().into_iter().map(|(_, routing)| Saved::Routing(routing)));
        records.extend(shared.recovery.sorted().into_iter().map(|(_, recovery)| Saved::Recovery(recovery)));
        records.extend(shared.handover.sorted().into_iter().map(|(_, handover)| Saved::Handover(handover)));
        FrozenOrders { records, index: self.index.clone(), forgotten: shared.timeline.forgotten() }
    }

    /// Puts one back that is not there yet; the digest is made anew.
    pub(crate) fn restore(&mut self, saved: SavedOrders) {
        let (shared, index) = (&self.reader.0, &mut self.index);
        let moved = match saved {
            SavedOrders::Order(order) => {
                let id = order.placed.order;
                shared.timeline.note(id, &[], &order.steps);
                shared.orders.set(id, Some(order))
            }
            SavedOrders::Hold(hold) => shared.holds.set(hold.placed.hold, Some(hold)),
            SavedOrders::Key(key, record) => shared.keys.set(key, Some(record)),
            SavedOrders::Outbox(id, entry) => shared.outbox.set(id, Some(entry)),
            SavedOrders::Closed(id, closed) => shared.closed.set(id, Some(closed)),
            SavedOrders::Act(key, act) => shared.acts.set(key, Some(act)),
            SavedOrders::Overcommit(cell, overcommit) => shared.overcommits.set(cell, Some(overcommit)),
            SavedOrders::Routing(routing) => shared.routing.set((), Some(routing)),
            SavedOrders::Recovery(recovery) => shared.recovery.set((), Some(recovery)),
            SavedOrders::Handover(handover) => shared.handover.set((), Some(handover)),
            SavedOrders::Forgotten(id) => {
                shared.timeline.forget(Some(id));
                0
            }
            SavedOrders::Due(time, due) => {
                index.due.insert((time, due));
                0
            }
            SavedOrders::ByItem(item, owners) => {
                index.by_item.insert(item, owners.into_iter().collect());
                0
            }
            SavedOrders::ByCredit(account, orders) => {
                index.by_credit.insert(account, orders.into_iter().collect());
                0
            }
            SavedOrders::ByCap(key, orders) => {
                index.by_cap.insert(key, orders.into_iter().collect());
                0
            }
            SavedOrders::Duplicate(key, orders) => {
                index.duplicates.insert(key, orders.into_iter().collect());
                0
            }
            SavedOrders::Floor(subject, floor) => {
                index.floors.insert(subject, floor);
                0
            }
            SavedOrders::Overcommitted(item, warehouse) => {
                index.overcommitted.insert((item, warehouse));
                0
            }
        };
        self.digest = self.digest.wrapping_add(moved);
    }
}
