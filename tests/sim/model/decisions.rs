//! What operators decide. What comes too late is told and changes nothing.

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{
    Backends, DecideOrder, DismissOrder, EditOrder, Handover, OrderId, OrderReason, Redispatch, Verdict,
};

use super::orders::{is_closed, may};
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
        let order = &mut self.orders[at];
        let moving_to = order.moving_to.take();
        order.backend = again.backend.clone().or(moving_to).or(order.backend.take());
        self.reopen(at);
    }

    /// Of orders alone: who received them receives none from here on.
    pub(super) fn hand_over(&mut self, handover: &Handover) {
        let Some(Backends { from, to }) = &handover.backends else { return };
        if self.handover > Some(handover.replaces) {
            return self.alarm("event", "");
        }
        self.saw(Seen::HandedOver);
        self.handover = Some(handover.replaces + 1);
        for rule in self.routing.iter_mut().filter(|rule| rule.backend == *from) {
            rule.backend = to.clone();
        }
        for at in 0..self.orders.len() {
            let order = &self.orders[at];
            if order.shrunk || is_closed(order.state) || order.backend.as_ref() != Some(from) {
                continue;
            }
            let is_nobodys = matches!(order.state, OrderState::Review | OrderState::DeadLettered);
            let is_whole = order.state != OrderState::PartiallyShipped;
            if is_nobodys {
                self.orders[at].backend = Some(to.clone());
            } else if order.is_on_its_way() && is_whole && !order.cancel_asked {
                self.saw(Seen::CalledBack);
                self.orders[at].moving_to = Some(to.clone());
                self.call_back(at);
            }
        }
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
    pub(super) fn reopen(&mut self, at: usize) {
        self.saw(Seen::SentAgain);
        let id = self.orders[at].placed.order;
        self.outbox.retain(|it| !matches!(it, Wanted::Dispatch { order, .. } if *order == id));
        let order = &mut self.orders[at];
        order.positions.clear();
        (order.acknowledged_at, order.document, order.cancel_asked) = (None, None, false);
        order.moving_to = None;
        order.told_old = false;
        let state = self.accepted_state(at);
        self.set_state(at, state);
        self.dispatch(at, true);
        self.reflect(false);
    }
}
