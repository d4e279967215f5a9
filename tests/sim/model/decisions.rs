//! What operators decide. What comes too late is told and changes nothing.

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{
    DecideOrder, DismissOrder, EditOrder, OrderId, OrderReason, Redispatch, Verdict,
};

use super::orders::may;
use super::{Model, Seen, Wanted};

impl Model {
    fn standing_order(&self, id: &OrderId) -> Option<usize> {
        self.find(id).filter(|at| !self.orders[*at].shrunk)
    }

    pub(super) fn decide(&mut self, decided: &DecideOrder) {
        let held = |at: &usize| self.orders[*at].state == OrderState::Review;
        let Some(at) = self.standing_order(&decided.order).filter(held) else {
            return self.alarm("event", decided.order);
        };
        if decided.verdict == Verdict::Reject {
            self.orders[at].reasons.insert(OrderReason::RejectedByOperator);
            return self.close(at, OrderState::Rejected);
        }
        self.let_through(at);
    }

    /// To where the rules send it now, if nobody knew before; without a backend it stays as it was.
    fn let_through(&mut self, at: usize) {
        let order = &self.orders[at];
        let backend = order.backend.clone().or_else(|| self.route(&order.placed, &order.lines));
        if backend.is_none() {
            return self.alarm("event", self.orders[at].placed.order);
        }
        self.orders[at].backend = backend;
        self.reopen(at);
    }

    pub(super) fn redispatch(&mut self, again: &Redispatch) {
        let fits = |at: &usize| {
            let order = &self.orders[*at];
            order.generation == again.closes
                && order.state != OrderState::Accepted
                && may(order.state, OrderState::Accepted)
        };
        let Some(at) = self.standing_order(&again.order).filter(fits) else {
            return self.alarm("event", again.order);
        };
        if let Some(backend) = &again.backend {
            self.orders[at].backend = Some(backend.clone());
        }
        self.reopen(at);
    }

    /// What an operator writes in another way goes out as the next generation.
    pub(super) fn edit(&mut self, edit: &EditOrder) {
        let fits = |at: &usize| {
            let order = &self.orders[*at];
            matches!(order.state, OrderState::Review | OrderState::DeadLettered)
                && order.generation == edit.closes
        };
        match self.standing_order(&edit.order).filter(fits) {
            Some(at) => self.let_through(at),
            None => self.alarm("event", edit.order),
        }
    }

    /// A dead letter that nobody will replay.
    pub(super) fn dismiss(&mut self, dismiss: &DismissOrder) {
        let dead = |at: &usize| self.orders[*at].state == OrderState::DeadLettered;
        match self.standing_order(&dismiss.order).filter(dead) {
            Some(at) => {
                self.orders[at].reasons.insert(OrderReason::Dismissed);
                self.close(at, OrderState::Cancelled);
            }
            None => self.alarm("event", dismiss.order),
        }
    }

    /// The generation before is closed, with all that its backend said of it; the next one begins.
    fn reopen(&mut self, at: usize) {
        self.saw(Seen::SentAgain);
        let id = self.orders[at].placed.order;
        self.outbox.retain(|it| !matches!(it, Wanted::Dispatch { order, .. } if *order == id));
        let order = &mut self.orders[at];
        order.positions.clear();
        (order.acknowledged_at, order.document, order.cancel_asked) = (None, None, false);
        order.told_old = false;
        let state = self.accepted_state(at);
        self.set_state(at, state);
        self.dispatch(at, true);
        self.reflect(false);
    }
}
