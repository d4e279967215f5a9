//! What a backend's reports do to an order. They are cumulative: said twice they say nothing new.

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{
    FailureClass, OrderAcknowledged, OrderEvent, OrderFailed, OrderProgressed, OrderReason, SourcePosition,
};
use pannier_protocol::{Decimal, SourceId};

use super::orders::{Order, may};
use super::{Micros, Model, Seen, micros};

impl Model {
    pub(super) fn event(&mut self, backend: &SourceId, event: &OrderEvent) {
        let id = *event.order();
        let Some(at) = self.find(&id).filter(|at| !self.orders[*at].shrunk) else {
            // Told again of one that is long over is nothing new.
            if !self.find(&id).is_some_and(|at| self.is_known(&self.orders[at])) {
                self.alarm("event", id);
            }
            return;
        };
        if self.orders[at].backend.as_ref() != Some(backend) {
            return self.alarm("event", id);
        }
        match event {
            OrderEvent::Acknowledged(event) => self.acknowledged(at, event),
            OrderEvent::Progressed(event) => self.progressed(at, event),
            OrderEvent::Cancelled(event) => self.cancelled(at, event.generation),
            OrderEvent::Failed(event) => self.failed(at, event),
        }
        self.reflect(true);
    }

    /// Whether it can go there; else a human is told, and nothing changes.
    fn follows(&mut self, at: usize, to: OrderState) -> bool {
        let may = may(self.orders[at].state, to);
        if !may {
            self.alarm("event", self.orders[at].placed.order);
        }
        may
    }

    fn acknowledged(&mut self, at: usize, event: &OrderAcknowledged) {
        let order = &self.orders[at];
        if event.generation < order.generation && order.is_on_its_way() && !order.cancel_asked {
            return self.alarm("event", order.placed.order);
        }
        let under_way = [OrderState::PartiallyShipped, OrderState::Shipped, OrderState::Returned];
        if !under_way.contains(&self.orders[at].state) {
            if !self.follows(at, OrderState::Acknowledged) {
                return;
            }
            self.set_state(at, OrderState::Acknowledged);
        }
        let clock = self.clock;
        let order = &mut self.orders[at];
        order.document = Some(event.document.to_string());
        order.acknowledged_at.get_or_insert(clock);
        raise(order, &event.reflected_from);
    }

    fn progressed(&mut self, at: usize, event: &OrderProgressed) {
        let mut after = self.orders[at].clone();
        for told in &event.lines {
            let Some(line) = after.lines.iter_mut().find(|line| line.name == told.line.as_str()) else {
                self.alarm("event", after.placed.order);
                continue;
            };
            let most = |known: Micros, told: Option<Decimal>| known.max(told.map_or(0, micros));
            let cancelled = most(line.cancelled, told.cancelled).min(line.quantity);
            line.give_back(cancelled - line.cancelled);
            line.cancelled = cancelled;
            line.shipped = most(line.shipped, told.shipped);
            line.returned = most(line.returned, told.returned);
        }
        let to = reached(&after);
        if self.follows(at, to) {
            if to == OrderState::Cancelled && self.orders[at].is_on_its_way() {
                return self.call_back(at);
            }
            raise(&mut after, &event.reflected_from);
            self.orders[at] = after;
            self.set_state(at, to);
        }
    }

    /// What was shipped is gone from the shelf, whatever is cancelled after it.
    fn cancelled(&mut self, at: usize, generation: Option<u32>) {
        let order = &self.orders[at];
        if generation.is_some_and(|it| it != order.generation) {
            return self.alarm("event", order.placed.order);
        }
        if self.follows(at, OrderState::Cancelled) {
            if generation.is_none() && self.orders[at].is_on_its_way() {
                return self.call_back(at);
            }
            let is_whole = self.orders[at].state != OrderState::PartiallyShipped;
            if let Some(to) = self.orders[at].moving_to.take().filter(|_| is_whole) {
                self.saw(Seen::MovedOn);
                self.orders[at].backend = Some(to);
                return self.reopen(at);
            }
            for line in &mut self.orders[at].lines {
                line.give_back((line.held() - line.shipped).max(0));
            }
            self.set_state(at, OrderState::Cancelled);
        }
    }

    /// The backend may be about to make a document: it is told not to, once.
    pub(super) fn call_back(&mut self, at: usize) {
        if !self.orders[at].cancel_asked {
            self.orders[at].cancel_asked = true;
            self.dispatch(at, false);
        }
    }

    fn failed(&mut self, at: usize, event: &OrderFailed) {
        let order = &mut self.orders[at];
        if event.generation != order.generation {
            let id = order.placed.order;
            return self.alarm("event", id);
        }
        let is_there = order.document.is_some() || order.state == OrderState::PartiallyShipped;
        if order.cancel_asked && is_there {
            // Only its cancellation failed.
            (order.cancel_asked, order.moving_to) = (false, None);
            return;
        }
        let to = match event.class {
            FailureClass::Business => OrderState::Review,
            FailureClass::Poison => OrderState::DeadLettered,
        };
        if self.follows(at, to) {
            let order = &mut self.orders[at];
            order.reasons.insert(OrderReason::RefusedByBackend);
            order.backend = order.moving_to.take().or(order.backend.take());
            self.set_state(at, to);
            self.alarm("order", self.orders[at].placed.order);
        }
    }
}

fn raise(order: &mut Order, positions: &[SourcePosition]) {
    for SourcePosition { source, position } in positions {
        let known = order.positions.entry(source.clone()).or_insert(*position);
        *known = (*known).max(*position);
    }
}

/// Where its lines put an order.
fn reached(order: &Order) -> OrderState {
    let shipped: Micros = order.lines.iter().map(|line| line.shipped).sum();
    let returned: Micros = order.lines.iter().map(|line| line.returned).sum();
    let done = order.lines.iter().all(|line| line.shipped + line.cancelled >= line.quantity);
    match (shipped > 0, done) {
        (true, true) if returned >= shipped => OrderState::Returned,
        (true, true) => OrderState::Shipped,
        (true, false) => OrderState::PartiallyShipped,
        (false, true) => OrderState::Cancelled,
        (false, false) => order.state,
    }
}
