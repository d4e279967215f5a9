//! What operators decide.

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{DecideOrder, Decision, DispatchKind, OrderReason, Redispatch, Verdict};
use pannier_protocol::{OrderId, StreamSequence};

use super::outbox::AlarmKind;
use super::place::accepted_state;
use super::record::OrderRecord;
use super::{At, Orders, life};

impl Orders {
    pub(super) fn decision(&mut self, at: &mut At<'_>, decision: &Decision) {
        match decision {
            Decision::Order(decided) => self.decide(at, decided),
            Decision::Redispatch(again) => self.redispatch(at, again),
            Decision::Dismiss(dismiss) => {
                let what = format!("dismissed by {}: {}", dismiss.by, dismiss.reason);
                let Some(mut order) = self.decided(at, &dismiss.order, OrderState::Cancelled, &what) else {
                    return;
                };
                order.reasons.push(OrderReason::Dismissed);
                self.close(at, order, OrderState::Cancelled, what);
            }
            Decision::ReleaseOverlay(release) => {
                let what = format!("what it promised is released by {}: {}", release.by, release.reason);
                if let Some(order) = self.reader.order(&release.order) {
                    let line = release.line.as_ref().map(|line| line.as_str());
                    self.release_overlay(at, (*order).clone(), line, what);
                }
            }
            Decision::Routing(routing) => self.index.routing = routing.clone(),
            Decision::CatalogFloor(floor) => {
                let known = self.index.floors.entry(floor.subject.to_string()).or_insert(StreamSequence(0));
                *known = (*known).max(floor.position);
            }
        }
    }

    /// The order, if the decision can follow its state; a decision that comes too late is told.
    fn decided(
        &mut self,
        at: &mut At<'_>,
        order: &OrderId,
        to: OrderState,
        what: &str,
    ) -> Option<OrderRecord> {
        let found = self.reader.order(order);
        let state = found.as_ref().map_or("not known", |order| life::name(order.state));
        let may = found.filter(|order| order.state != to && life::may(order.state, to));
        if may.is_none() {
            let reason = format!("order {order} is {state}, so nothing came of this: {what}");
            at.alarm(self, AlarmKind::Event, Some(*order), reason);
        }
        may.map(|order| (*order).clone())
    }

    fn decide(&mut self, at: &mut At<'_>, decided: &DecideOrder) {
        let by = format!("by {}: {}", decided.by, decided.reason);
        let is_held =
            self.reader.order(&decided.order).is_some_and(|order| order.state == OrderState::Review);
        let to = match decided.verdict {
            Verdict::Approve if is_held => OrderState::Accepted,
            Verdict::Reject => OrderState::Rejected,
            // Only what is held can be let through.
            Verdict::Approve => OrderState::Pending,
        };
        let Some(mut order) = self.decided(at, &decided.order, to, &by) else { return };
        match decided.verdict {
            Verdict::Approve => {
                if order.backend.is_none() {
                    order.backend = super::routing::route(&self.index.routing, &order.placed, &order.lines);
                }
                if order.backend.is_none() {
                    let reason = format!(
                        "order {} has no backend: publish a routing rule for it first",
                        decided.order
                    );
                    return at.alarm(self, AlarmKind::Order, Some(decided.order), reason);
                }
                self.reopen(at, order, format!("approved {by}"));
            }
            Verdict::Reject => {
                order.reasons.push(OrderReason::RejectedByOperator);
                self.close(at, order, OrderState::Rejected, format!("rejected {by}"));
            }
        }
    }

    fn redispatch(&mut self, at: &mut At<'_>, again: &Redispatch) {
        let what = format!("generation {} is closed by {}: {}", again.closes, again.by, again.reason);
        let is_open = self.reader.order(&again.order).is_some_and(|order| order.generation == again.closes);
        let to = if is_open { OrderState::Accepted } else { OrderState::Pending };
        let Some(mut order) = self.decided(at, &again.order, to, &what) else { return };
        if let Some(backend) = &again.backend {
            order.backend = Some(backend.clone());
        }
        self.reopen(at, order, what);
    }

    /// Takes what is still in the outbox of the generation before out, and opens the next.
    fn reopen(&mut self, at: &mut At<'_>, mut order: OrderRecord, what: String) {
        let id = order.placed.order;
        let open = self
            .reader
            .outbox()
            .into_iter()
            .filter(|(_, entry)| entry.created().is_some_and(|(of, _)| *of == id));
        for (effect, _) in open.collect::<Vec<_>>() {
            self.put_outbox(effect, None);
        }
        order.state = accepted_state(&order.lines);
        self.dispatch(at, &mut order, DispatchKind::Create);
        at.step(&mut order, what);
        self.put_order(at, order);
        self.show_order(at, &id);
    }
}
