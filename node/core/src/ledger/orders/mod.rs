//! Orders and holds: what is promised, to whom, once.
//!
//! The problem: two checkouts on two nodes want the last piece, each within a millisecond, and a client that heard
//! nothing sends its order again to a third. Check and reserve in two steps oversells; a lock or a leader stops
//! checkout with it. Rejected too: verdicts written into the ledger by the node that judged, which is a second
//! step again.
//!
//! The design: a command carries all that the catalog knows, and its verdict is what this fold reaches at the
//! command's entry. Every node reaches the same one, because it reads nothing but the ledger: stock, balances, keys,
//! and ledger time. What must be done in the world (a dispatch to a backend, an alarm) is an entry of the outbox until
//! a later command says that it is done.
//!
//! - `life`: the states and what may follow which, in one table.
//! - `place`, `holds`, `events`, `decisions`, `handover`: what each kind of entry does.
//! - `stock`, `balances`: the judgement of a line, and of credit and caps.
//! - `overlay`: what is promised and in no source's figure yet.
//! - `state`: records, digests, and what others read; `timeline`: the steps of all orders in one line.

mod balances;
mod decisions;
mod events;
mod handover;
mod holds;
mod keys;
mod life;
mod outbox;
mod overlay;
mod place;
mod record;
mod recovery;
mod routing;
mod saved;
mod state;
mod stock;
#[cfg(test)]
mod tests;
mod timeline;
mod view;

use std::collections::BTreeSet;

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{Command, Decision, OrderEvent, OrderId};
use pannier_protocol::{EffectId, IdempotencyKey, SourceId, StreamSequence, Timestamp};

pub use handover::{HandoverRecord, InFlight, rerouted};
pub use keys::{ActOutcome, ActRecord, KeyId, KeyOutcome, KeyRecord, Operation};
pub use life::{following, is_closed, may, name as state_name};
pub use outbox::{Alarm, AlarmKind, OutboxEntries, OutboxEntry};
pub use record::{Allocation, HoldRecord, LineRecord, OrderRecord, Promise, Take};
pub use recovery::{RECOVERY_FORMAT, RecoveryRecord, TooLarge};
pub use routing::{Rerouted, RoutingRecord, dry_run};
pub(crate) use saved::{FrozenOrders, SavedOrders};
pub use state::{CellName, ClosedOrder, OrdersReader, Overcommit, RoutingInForce};
pub use stock::StockChains;
pub use timeline::Stretch;
pub use view::{hold_answer, order_answer, order_steps, shrunk_answer};

use crate::dictionary::{Dictionary, ItemNo};
use crate::ledger::PromiseRows;
use record::takes;
use state::{Due, Index, Owner};
use stock::Stock;

/// The fold's state of orders and holds, and its writer.
#[derive(Default)]
pub struct Orders {
    reader: OrdersReader,
    index: Index,
    digest: u128,
}

/// Where in the ledger the fold is, and what it reads there.
pub(crate) struct At<'a> {
    stock: Stock<'a>,
    position: StreamSequence,
    /// The entry's own stamp, which `judge_before` is held against.
    stream_time: Timestamp,
    /// Effects of this entry so far.
    effects_count: &'a mut u32,
    traceparent: Option<String>,
}

/// An entry's place in the ledger and in time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) position: StreamSequence,
    pub(crate) stream_time: Timestamp,
    /// Ledger time with this entry.
    pub(crate) clock: Timestamp,
}

impl<'a> At<'a> {
    pub(crate) fn new(
        chains: &'a StockChains,
        promises: &'a PromiseRows,
        dictionary: &'a Dictionary,
        effects_count: &'a mut u32,
        moment: Moment,
    ) -> Self {
        let stock = Stock { chains, promises, dictionary, now: moment.clock };
        let Moment { position, stream_time, .. } = moment;
        Self { stock, position, stream_time, effects_count, traceparent: None }
    }

    fn id(&mut self) -> EffectId {
        let id = EffectId { position: self.position, index: *self.effects_count };
        *self.effects_count = self.effects_count.saturating_add(1);
        id
    }

    fn step(&mut self, order: &mut OrderRecord, what: String) {
        let id = self.id();
        order.step(id, self.stock.now, what, self.traceparent.clone());
    }

    fn alarm(&mut self, orders: &mut Orders, kind: AlarmKind, order: Option<OrderId>, reason: String) {
        let id = self.id();
        orders.put_outbox(id, Some(OutboxEntry::Alarm(Alarm { kind, order, reason })));
    }
}

impl Orders {
    pub fn reader(&self) -> OrdersReader {
        self.reader.clone()
    }

    /// Wrapping sum of the hashes of all records.
    pub fn digest(&self) -> u128 {
        self.digest
    }

    /// Judges one command; what came before it at the same entry is judged already.
    pub(crate) fn apply_command(&mut self, at: &mut At<'_>, command: &Command) {
        at.traceparent = command.keyed_by().and_then(|keyed| keyed.traceparent.clone());
        match command {
            Command::PlaceOrder(place) => self.place_order(at, place),
            Command::CancelOrder(cancel) => self.cancel_order(at, cancel),
            Command::PlaceHold(place) => self.place_hold(at, place),
            Command::ChangeHold(change) => self.change_hold(at, change),
            Command::ReleaseHold(release) => self.release_hold(at, release),
            Command::EffectsDone(done) => self.effects_done(at, &done.effects),
        }
    }

    /// Only the backend that has an order reports on it.
    pub(crate) fn apply_event(&mut self, at: &mut At<'_>, backend: &SourceId, event: &OrderEvent) {
        at.traceparent = None;
        self.event(at, backend, event);
    }

    /// Whether it is carried out; of what it decides about chains the rest is the caller's.
    pub(crate) fn apply_decision(&mut self, at: &mut At<'_>, decision: &Decision) -> bool {
        at.traceparent = decision.act().keyed.and_then(|keyed| keyed.traceparent.clone());
        self.decision(at, decision)
    }

    /// Figures of these items changed.
    pub(crate) fn stock_changed(&mut self, at: &mut At<'_>, items: &BTreeSet<ItemNo>) {
        let touched: BTreeSet<ItemNo> =
            items.iter().filter(|item| self.index.by_item.contains_key(item)).copied().collect();
        self.reflect(at, &touched);
    }

    /// Any figure may have changed: a snapshot took effect.
    pub(crate) fn all_stock_changed(&mut self, at: &mut At<'_>) {
        let all: BTreeSet<ItemNo> = self.index.by_item.keys().copied().collect();
        self.reflect(at, &all);
        self.caps_changed(at);
    }

    /// A source counts anew what caps have given.
    pub(crate) fn caps_changed(&self, at: &At<'_>) {
        self.index.by_cap.keys().for_each(|key| self.show_cap(&at.stock, key));
    }

    /// What ends at or before ledger time, in (time, id) order.
    pub(crate) fn expire_due(&mut self, at: &mut At<'_>) {
        at.traceparent = None;
        while self.index.due.first().is_some_and(|(time, _)| *time <= at.stock.now) {
            let Some((time, due)) = self.index.due.pop_first() else { return };
            match due {
                Due::HoldEnds(hold) => self.hold_ends(at, &hold, time),
                Due::KeyEnds(key) => self.key_ends(&key, time),
                Due::ActEnds(key) => self.put_act(key, None),
                Due::OrderShrinks(order) => self.order_shrinks(at, &order),
                Due::DuplicateEnds(key, order) => self.index.forget_duplicate(&key, &order, time),
                Due::OverlayIsOld(order) => self.overlay_is_old(at, &order, time),
            }
        }
    }

    fn put_outbox(&mut self, id: EffectId, entry: Option<OutboxEntry>) {
        self.digest = self.digest.wrapping_add(self.reader.0.set_outbox(id, entry));
    }

    fn put_key(&mut self, key: KeyId, record: Option<KeyRecord>) {
        if let Some(record) = &record {
            self.index.due.insert((record.until, Due::KeyEnds(key.clone())));
        }
        self.digest = self.digest.wrapping_add(self.reader.0.set_key(key, record));
    }

    fn put_act(&mut self, key: IdempotencyKey, record: Option<ActRecord>) {
        if let Some(record) = &record {
            self.index.due.insert((record.until, Due::ActEnds(key.clone())));
        }
        self.digest = self.digest.wrapping_add(self.reader.0.set_act(key, record));
    }

    /// Writes an order and everything that finds it; what is shown of its items is up to the caller.
    fn put_order(&mut self, at: &At<'_>, mut order: OrderRecord) {
        let id = order.placed.order;
        if is_closed(order.state) && order.closed_at.is_none() {
            order.closed_at = Some(at.stock.now);
            self.index.due.insert((
                at.stock.now.plus_millis(crate::limits::ORDER_CLOSED_KEPT_MS),
                Due::OrderShrinks(id),
            ));
        }
        let before = self.reader.order(&id);
        let items_of = |order: &OrderRecord| {
            takes(&order.lines).map(|take| at.item(&take.item)).collect::<BTreeSet<_>>()
        };
        let (old, new) = (before.as_deref().map(items_of).unwrap_or_default(), items_of(&order));
        self.index_items(Owner::Order(id), &old, &new);
        let counts =
            !matches!(order.state, OrderState::Rejected | OrderState::Expired | OrderState::Cancelled);
        self.index.count(&order.placed, counts);
        if !counts && let Some(key) = place::duplicate_key(&order.placed) {
            self.index.forget_duplicate(&key, &id, Timestamp::MAX);
        }
        self.digest = self.digest.wrapping_add(self.reader.0.set_order(order.clone()));
        self.show_caps(&at.stock, &order);
    }

    fn index_items(&mut self, owner: Owner, old: &BTreeSet<ItemNo>, new: &BTreeSet<ItemNo>) {
        for item in old.difference(new) {
            if let Some(owners) = self.index.by_item.get_mut(item) {
                owners.remove(&owner);
                if owners.is_empty() {
                    self.index.by_item.remove(item);
                }
            }
        }
        for item in new {
            self.index.by_item.entry(*item).or_default().insert(owner);
        }
    }

    /// The order is over, and nothing of it is missing in any figure or balance: what stays is its outcome.
    fn order_shrinks(&mut self, at: &At<'_>, id: &OrderId) {
        let Some(order) = self.reader.order(id) else { return };
        if order.is_open_on_stock() || self.is_open_on_balances(&at.stock, &order) {
            let again = at.stock.now.plus_millis(crate::limits::ORDER_CLOSED_KEPT_MS);
            self.index.due.insert((again, Due::OrderShrinks(*id)));
            return;
        }
        let items = takes(&order.lines).map(|take| at.item(&take.item)).collect();
        self.index_items(Owner::Order(*id), &items, &BTreeSet::new());
        self.index.count(&order.placed, false);
        self.digest = self.digest.wrapping_add(self.reader.0.shrink_order(&order));
        if self.reader.key(&KeyId::new(Operation::PlaceOrder, &order.placed.keyed)).is_none() {
            self.digest = self.digest.wrapping_add(self.reader.0.forget_order(id));
        }
        self.show_caps(&at.stock, &order);
    }

    /// What the key placed goes with it where it is over; what is not outlives it.
    fn key_ends(&mut self, key: &KeyId, time: Timestamp) {
        let Some(record) = self.reader.key(key).filter(|record| record.until <= time) else { return };
        self.put_key(key.clone(), None);
        let moved = match record.outcome {
            KeyOutcome::Order(order) if key.operation == Operation::PlaceOrder => {
                self.reader.0.forget_order(&order)
            }
            KeyOutcome::Hold(hold) if key.operation == Operation::PlaceHold && !self.is_held(&hold) => {
                self.reader.0.forget_hold(&hold)
            }
            KeyOutcome::Order(_) | KeyOutcome::Hold(_) | KeyOutcome::Unknown | KeyOutcome::Expired => 0,
        };
        self.digest = self.digest.wrapping_add(moved);
    }
}
