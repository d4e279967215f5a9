//! An order as it stands, and what may follow what.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::api::{OrderLineState, OrderState};
use pannier_protocol::order::{Need, OrderId, OrderReason, PlaceOrder};
use pannier_protocol::{LocalDate, SourceId, WarehouseId};

use super::{Micros, Model, Seen, Wanted};
use OrderState::{
    Accepted, Acknowledged, Backordered, Cancelled, DeadLettered, Dispatched, Expired, PartiallyShipped,
    Pending, Rejected, Returned, Review, Shipped,
};

pub(super) const SHRINKS_MS: i64 = 24 * 3_600_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    Now,
    On(LocalDate),
    Someday,
}

/// A part of a line, in the line's unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) warehouse: WarehouseId,
    pub(crate) when: When,
    pub(crate) units: Micros,
}

#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) state: OrderLineState,
    pub(crate) needs: Vec<Need>,
    pub(crate) warehouses: Vec<WarehouseId>,
    /// What was accepted, and what of it the line still takes from stock, part by part.
    pub(crate) quantity: Micros,
    pub(crate) parts: Vec<Part>,
    pub(crate) shipped: Micros,
    pub(crate) cancelled: Micros,
    pub(crate) returned: Micros,
}

impl Line {
    /// Takes `units` back, of what was promised last.
    pub(crate) fn give_back(&mut self, mut units: Micros) {
        while let Some(last) = self.parts.last_mut().filter(|_| units > 0) {
            let back = units.min(last.units);
            last.units -= back;
            units -= back;
            if last.units == 0 {
                self.parts.pop();
            }
        }
    }

    pub(crate) fn held(&self) -> Micros {
        self.parts.iter().map(|part| part.units).sum()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) placed: PlaceOrder,
    pub(crate) placed_at: i64,
    pub(crate) state: OrderState,
    pub(crate) reasons: BTreeSet<OrderReason>,
    pub(crate) lines: Vec<Line>,
    pub(crate) backend: Option<SourceId>,
    pub(crate) generation: u32,
    pub(crate) document: Option<String>,
    pub(crate) cancel_asked: bool,
    /// Where it goes once its backend gave it back.
    pub(crate) moving_to: Option<SourceId>,
    pub(crate) positions: BTreeMap<SourceId, u64>,
    pub(crate) acknowledged_at: Option<i64>,
    pub(crate) told_old: bool,
    /// What of it figures contained when they were last looked at, by line, warehouse and item.
    pub(crate) contained: BTreeMap<(String, WarehouseId, String), Micros>,
    /// When it is next looked at whether only its outcome need be kept.
    pub(crate) shrinks_at: Option<i64>,
    pub(crate) shrunk: bool,
}

impl Order {
    /// Its backend was sent it and has not said that it has it.
    pub(super) fn is_on_its_way(&self) -> bool {
        let open = matches!(self.state, Accepted | Backordered | Dispatched | PartiallyShipped);
        open && self.generation > 0 && self.document.is_none()
    }
}

/// Semantics 4, and ARCHITECTURE's drawing; a state may always be told again.
pub(super) fn may(from: OrderState, to: OrderState) -> bool {
    from == to
        || match from {
            Pending => matches!(to, Accepted | Backordered | Review | Rejected | Expired),
            Review => matches!(to, Accepted | Backordered | Rejected | Cancelled),
            Accepted | Backordered => matches!(
                to,
                Dispatched | Acknowledged | PartiallyShipped | Shipped | Review | DeadLettered | Cancelled
            ),
            Dispatched => !matches!(to, Pending | Rejected | Expired | Returned),
            Acknowledged => matches!(to, PartiallyShipped | Shipped | Cancelled | Accepted | Backordered),
            PartiallyShipped => matches!(to, Shipped | Returned | Cancelled),
            Shipped => to == Returned,
            DeadLettered => matches!(to, Accepted | Backordered | Cancelled | Acknowledged),
            Rejected | Expired | Returned | Cancelled => false,
        }
}

pub(super) fn is_closed(state: OrderState) -> bool {
    matches!(state, Rejected | Expired | Cancelled | Shipped | Returned)
}

/// Whether an order of this state counts: in credit, in caps, as the first of two alike.
pub(super) fn counts(state: OrderState) -> bool {
    !matches!(state, Rejected | Expired | Cancelled)
}

impl Model {
    /// The last one of that id, unless only its outcome is left.
    pub(crate) fn order(&self, id: &OrderId) -> Option<&Order> {
        self.find(id).map(|at| &self.orders[at]).filter(|order| !order.shrunk)
    }

    /// Whether anything is known of it: all of it, or its outcome as long as its key is remembered.
    pub(super) fn is_known(&self, order: &Order) -> bool {
        let keyed = &order.placed.keyed;
        let key = (keyed.account.to_string(), "order", keyed.key.to_string());
        !order.shrunk || self.remembered(&key).is_some()
    }

    pub(super) fn find(&self, id: &OrderId) -> Option<usize> {
        self.orders.iter().rposition(|order| order.placed.order == *id)
    }

    /// Orders that are not shrunk.
    pub(super) fn standing(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter().filter(|order| !order.shrunk)
    }

    pub(super) fn set_state(&mut self, at: usize, state: OrderState) {
        let shrinks_at = self.clock + SHRINKS_MS;
        let order = &mut self.orders[at];
        order.state = state;
        if is_closed(state) && order.shrinks_at.is_none() {
            order.shrinks_at = Some(shrinks_at);
        }
    }

    pub(super) fn close(&mut self, at: usize, state: OrderState) {
        self.orders[at].lines.iter_mut().for_each(|line| line.parts.clear());
        self.set_state(at, state);
    }

    pub(super) fn accepted_state(&self, at: usize) -> OrderState {
        let waits = self.orders[at].lines.iter().any(|line| line.state == OrderLineState::Backordered);
        if waits { Backordered } else { Accepted }
    }

    pub(super) fn dispatch(&mut self, at: usize, create: bool) {
        let order = &mut self.orders[at];
        let Some(backend) = &order.backend else { return };
        order.generation += 1;
        let taken = order.lines.iter().filter(|line| line.quantity > 0);
        let wanted = Wanted::Dispatch {
            create,
            order: order.placed.order,
            generation: order.generation,
            backend: backend.to_string(),
            lines: taken.map(|line| (line.name.clone(), line.quantity)).collect(),
        };
        self.outbox.push(wanted);
    }

    /// A dispatch is with the backend's queue.
    pub(super) fn handed_over(&mut self, id: &OrderId, generation: u32) {
        let Some(at) = self.find(id).filter(|at| !self.orders[*at].shrunk) else { return };
        let order = &self.orders[at];
        if order.generation == generation && matches!(order.state, Accepted | Backordered) {
            self.set_state(at, Dispatched);
        }
    }

    /// A day after its end only the outcome of an order stays, unless some figure does not contain it yet.
    pub(super) fn shrink_orders(&mut self) {
        for at in 0..self.orders.len() {
            let order = &self.orders[at];
            if order.shrunk || order.shrinks_at.is_none_or(|due| due > self.clock) {
                continue;
            }
            let open = self.is_open_on_stock(order) || self.is_open_on_balances(order);
            let again = self.clock + SHRINKS_MS;
            let order = &mut self.orders[at];
            if open {
                order.shrinks_at = Some(again);
            } else {
                order.shrunk = true;
                self.saw(Seen::Forgotten);
            }
        }
    }
}
