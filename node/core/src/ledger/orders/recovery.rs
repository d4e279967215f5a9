//! What a node still knows of orders when the broker has lost the end of its ledger, as entries of the ledger that is
//! left.
//!
//! The problem: a store that was put back, or a tail that was never synced, and customers hold answers to orders that
//! the ledger does not have. To publish the lost commands again and judge them anew gives other verdicts: stock moved,
//! and `judge_before` has passed. So it is not the commands that come back but what the fold made of them: records,
//! with their old positions, keys and verdicts.
//!
//! A record takes the place of one that knows less, and never of one that knows more: parts may come twice. What
//! sources confirmed of an order is found anew in the figures that the ledger is left with, which are as old as it
//! is. What was on its way to a backend is sent again in its generation: that may be lost too, and once more changes nothing.

use std::collections::BTreeSet;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pannier_protocol::api::HoldState;
use pannier_protocol::limits::RECOVERED_BYTES_MAX;
use pannier_protocol::order::{DispatchKind, Recover};
use pannier_protocol::{OrderId, StreamSequence};
use serde::{Deserialize, Serialize};

use super::outbox::OutboxEntry;
use super::place::duplicate_key;
use super::record::{HoldRecord, OrderRecord, takes};
use super::saved::SavedOrders;
use super::state::{ClosedOrder, Due, OrdersReader};
use super::{At, Orders, life};
use crate::checkpoint::FORMAT_VERSION;
use crate::dictionary::ItemNo;
use crate::limits::{
    DUPLICATE_KEPT_MS, ORDER_CLOSED_KEPT_MS, OVERLAY_AGE_MS_MAX, RECOVERED_PLAIN_BYTES,
    RECOVERED_PLAIN_BYTES_MAX,
};

/// The format of records that this build writes and reads: that of checkpoints.
pub const RECOVERY_FORMAT: u32 = FORMAT_VERSION;

/// That entries were lost, and how far it is with what came back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// The last entry that anybody knew of what was lost.
    pub up_to: StreamSequence,
    /// Of the first part.
    pub since: StreamSequence,
    pub done: bool,
}

/// A record that no message has room for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} has {bytes} bytes once it is packed, the most is {RECOVERED_BYTES_MAX}: place it anew by hand"
)]
pub struct TooLarge {
    pub what: String,
    pub bytes: usize,
}

impl OrdersReader {
    /// All records, in parts for [`Recover::records`]; what the fold adds to them meanwhile may be missing.
    pub fn recoverable(&self) -> Result<Vec<String>, TooLarge> {
        let mut parts = Parts::default();
        for (_, record) in self.0.routing.sorted() {
            parts.add(&SavedOrders::Routing(record), || "the routing".to_owned())?;
        }
        for (_, record) in self.0.handover.sorted() {
            parts.add(&SavedOrders::Handover(record), || "the handover".to_owned())?;
        }
        for (key, record) in self.0.acts.sorted() {
            parts.add(&SavedOrders::Act(key.clone(), record), || format!("the act {key}"))?;
        }
        for (id, record) in self.0.orders.sorted() {
            parts.add(&SavedOrders::Order(record), || format!("order {id}"))?;
        }
        for (id, record) in self.0.closed.sorted() {
            parts.add(&SavedOrders::Closed(id, record), || format!("order {id}"))?;
        }
        for (id, record) in self.0.holds.sorted() {
            parts.add(&SavedOrders::Hold(record), || format!("hold {id}"))?;
        }
        for (key, record) in self.0.keys.sorted() {
            parts.add(&SavedOrders::Key(key.clone(), record), || format!("the key {}", key.key))?;
        }
        for (id, entry) in self.0.outbox.sorted() {
            parts.add(&SavedOrders::Outbox(id, entry), || format!("the effect {id}"))?;
        }
        parts.finish()
    }

    /// Whether entries were lost once, and came back.
    pub fn recovery(&self) -> Option<RecoveryRecord> {
        self.0.recovery.get(&()).map(|record| (*record).clone())
    }
}

#[derive(Default)]
struct Parts {
    done: Vec<String>,
    plain: Vec<u8>,
    /// Of the part at hand.
    what: String,
}

impl Parts {
    fn add(&mut self, record: &SavedOrders, what: impl Fn() -> String) -> Result<(), TooLarge> {
        let bytes = rmp_serde::to_vec_named(record);
        let bytes = bytes.map_err(|_| TooLarge { what: what(), bytes: 0 })?;
        if !self.plain.is_empty() && self.plain.len() + bytes.len() > RECOVERED_PLAIN_BYTES {
            self.close()?;
        }
        self.plain.extend(bytes);
        self.what = what();
        Ok(())
    }

    fn close(&mut self) -> Result<(), TooLarge> {
        let packed = STANDARD.encode(lz4_flex::block::compress_prepend_size(&self.plain));
        self.plain.clear();
        if packed.len() > RECOVERED_BYTES_MAX {
            return Err(TooLarge { what: std::mem::take(&mut self.what), bytes: packed.len() });
        }
        self.done.push(packed);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<String>, TooLarge> {
        if !self.plain.is_empty() {
            self.close()?;
        }
        Ok(self.done)
    }
}

/// The records of a part, or why it is none.
fn unpack(part: &str) -> Result<Vec<SavedOrders>, String> {
    let packed = STANDARD.decode(part).map_err(|error| error.to_string())?;
    let (bytes, rest) = lz4_flex::block::uncompressed_size(&packed).map_err(|error| error.to_string())?;
    if bytes > RECOVERED_PLAIN_BYTES_MAX {
        return Err(format!("{bytes} bytes, at most {RECOVERED_PLAIN_BYTES_MAX}"));
    }
    let plain = lz4_flex::block::decompress(rest, bytes).map_err(|error| error.to_string())?;
    let (mut records, mut rest) = (Vec::new(), &plain[..]);
    while !rest.is_empty() {
        records.push(rmp_serde::from_read(&mut rest).map_err(|error| error.to_string())?);
    }
    Ok(records)
}

impl Orders {
    /// One part; see the module's documentation.
    pub(super) fn recover(&mut self, at: &mut At<'_>, recover: &Recover) -> Result<String, String> {
        let records = recover.records.as_deref().map_or(Ok(Vec::new()), unpack);
        let records = records.map_err(|reason| {
            format!(
                "a part of what is to be recovered cannot be read ({reason}): run `pannier recover` again"
            )
        })?;
        let count = records.len();
        let known = self.reader.recovery().filter(|known| !known.done);
        let since = known.map_or(at.position, |known| known.since);
        let record = RecoveryRecord { up_to: recover.up_to, since, done: recover.done };
        self.digest = self.digest.wrapping_add(self.reader.0.set_recovery(record));
        let mut items = BTreeSet::new();
        for record in records {
            items.extend(self.put_back(at, record, recover));
        }
        items.iter().for_each(|item| self.show_item(at, *item));
        if recover.done {
            self.send_again(at);
            self.all_stock_changed(at);
        }
        Ok(format!("{count} records recovered by {}: {}", recover.by, recover.reason))
    }

    /// The items of which something else is promised now.
    fn put_back(&mut self, at: &mut At<'_>, saved: SavedOrders, recover: &Recover) -> BTreeSet<ItemNo> {
        match saved {
            SavedOrders::Order(order) => return self.put_back_order(at, (*order).clone(), recover),
            SavedOrders::Closed(id, closed) => return self.put_back_closed(at, id, (*closed).clone()),
            SavedOrders::Hold(hold) => return self.put_back_hold(at, (*hold).clone()),
            SavedOrders::Key(key, record) => {
                if self.reader.key(&key).is_none() {
                    self.put_key(key, Some((*record).clone()));
                }
            }
            SavedOrders::Act(key, record) => {
                if self.reader.act(&key).is_none() {
                    self.put_act(key, Some((*record).clone()));
                }
            }
            SavedOrders::Routing(routing) => {
                if self.reader.routing().0.is_none_or(|known| known.position < routing.position) {
                    self.digest = self.digest.wrapping_add(self.reader.0.set_routing((*routing).clone()));
                }
            }
            SavedOrders::Handover(handover) => {
                let known = self.reader.handover();
                if known.is_none_or(|known| known.ownership.version < handover.ownership.version) {
                    self.put_handover((*handover).clone());
                }
            }
            SavedOrders::Outbox(_, entry) => self.put_back_effect(at, (*entry).clone()),
            // Follow from the others, or belong to one process.
            SavedOrders::Overcommit(..)
            | SavedOrders::Recovery(_)
            | SavedOrders::Forgotten(_)
            | SavedOrders::Due(..)
            | SavedOrders::ByItem(..)
            | SavedOrders::ByCredit(..)
            | SavedOrders::ByCap(..)
            | SavedOrders::Duplicate(..)
            | SavedOrders::Floor(..)
            | SavedOrders::Overcommitted(..) => {}
        }
        BTreeSet::new()
    }

    fn put_back_order(
        &mut self,
        at: &mut At<'_>,
        mut order: OrderRecord,
        recover: &Recover,
    ) -> BTreeSet<ItemNo> {
        let id = order.placed.order;
        let last = |order: &OrderRecord| order.steps.last().map(|step| step.id);
        let known = self.reader.order(&id);
        let knows_more = known.as_ref().is_some_and(|known| last(known) >= last(&order));
        if knows_more || self.reader.closed(&id).is_some() {
            return BTreeSet::new();
        }
        let items_of = |order: &OrderRecord| -> BTreeSet<ItemNo> {
            takes(&order.lines).map(|take| at.item(&take.item)).collect()
        };
        let mut items = known.as_deref().map(items_of).unwrap_or_default();
        items.extend(items_of(&order));
        if let Some(reflected) = self.reflected(&at.stock, &order) {
            order = reflected;
        }
        let Recover { by, reason, up_to, .. } = recover;
        let what = format!("recovered by {by}, after the broker lost entries up to {up_to}: {reason}");
        at.step(&mut order, what);
        if let Some(closed) = order.closed_at {
            self.index.due.insert((closed.plus_millis(ORDER_CLOSED_KEPT_MS), Due::OrderShrinks(id)));
        }
        if let Some(acknowledged) = order.acknowledged_at {
            self.index.due.insert((acknowledged.plus_millis(OVERLAY_AGE_MS_MAX), Due::OverlayIsOld(id)));
        }
        if let Some(key) = duplicate_key(&order.placed).filter(|_| !life::is_closed(order.state)) {
            let until = order.placed_at.plus_millis(DUPLICATE_KEPT_MS);
            self.index.due.insert((until, Due::DuplicateEnds(key.clone(), id)));
            self.index.duplicates.entry(key).or_default().insert(id, until);
        }
        self.put_order(at, order);
        items
    }

    /// What the ledger has of it in full is over.
    fn put_back_closed(&mut self, at: &At<'_>, id: OrderId, closed: ClosedOrder) -> BTreeSet<ItemNo> {
        let mut items = BTreeSet::new();
        if let Some(order) = self.reader.order(&id) {
            items = takes(&order.lines).map(|take| at.item(&take.item)).collect();
            self.index_items(super::Owner::Order(id), &items, &BTreeSet::new());
            self.index.count(&order.placed, false);
            self.digest = self.digest.wrapping_add(self.reader.0.shrink_order(&order));
        }
        self.digest = self.digest.wrapping_add(self.reader.0.set_closed(id, closed));
        items
    }

    fn put_back_hold(&mut self, at: &At<'_>, hold: HoldRecord) -> BTreeSet<ItemNo> {
        let known = self.reader.hold(&hold.placed.hold);
        if known.is_some_and(|known| known.state != HoldState::Held) {
            return BTreeSet::new();
        }
        self.index.due.insert((hold.expires_at, Due::HoldEnds(hold.placed.hold)));
        self.write_hold(at, hold)
    }

    /// Under a name of its own: the old one may be another entry's by now.
    fn put_back_effect(&mut self, at: &mut At<'_>, mut entry: OutboxEntry) {
        let told = |entry: &OutboxEntry| match entry {
            OutboxEntry::Dispatch(dispatch) => (Some((dispatch.order, dispatch.generation)), None),
            OutboxEntry::Alarm(alarm) => (None, Some(alarm.clone())),
        };
        if self.reader.outbox().iter().any(|(_, known)| told(known) == told(&entry)) {
            return;
        }
        let id = at.id();
        if let OutboxEntry::Dispatch(dispatch) = &mut entry {
            dispatch.effect = id;
        }
        self.put_outbox(id, Some(entry));
    }

    /// What backends were asked and have not answered, whatever the stream of dispatches still has of it.
    fn send_again(&mut self, at: &mut At<'_>) {
        let waiting: BTreeSet<OrderId> =
            self.reader.outbox().iter().filter_map(|(_, entry)| entry.dispatched().copied()).collect();
        for (id, order) in self.reader.0.orders.sorted() {
            let kind = match (order.cancel_asked && !life::is_closed(order.state), order.is_on_its_way()) {
                (true, _) => DispatchKind::Cancel,
                (false, true) => DispatchKind::Create,
                (false, false) => continue,
            };
            if !waiting.contains(&id) {
                self.send(at, &order, kind);
            }
        }
    }
}
