//! What operators decide. Each decision ends in a sentence, of what changed or why nothing did: it is what whoever
//! decided is answered, and what did nothing is an alarm besides.

use pannier_protocol::api::OrderState;
use pannier_protocol::change::InvalidateMode;
use pannier_protocol::limits::ORDER_REFERENCES_MAX;
use pannier_protocol::order::{
    CatalogFloor, DecideOrder, Decision, DismissOrder, DispatchKind, EditOrder, EditableFact, InvalidateRows,
    OrderReason, Redispatch, ReleaseOverlay, Routing, Verdict,
};
use pannier_protocol::{OrderId, StreamSequence};

use super::keys::{ActOutcome, ActRecord};
use super::outbox::AlarmKind;
use super::place::accepted_state;
use super::record::OrderRecord;
use super::routing::RoutingRecord;
use super::{At, Orders, life, routing};
use crate::limits::KEY_KEPT_MS;

/// What changed, or why nothing did.
type Told = Result<String, String>;

impl Orders {
    /// The second decision with a key changes nothing: what became of the first is remembered. Whether this one is carried
    /// out.
    pub(super) fn decision(&mut self, at: &mut At<'_>, decision: &Decision) -> bool {
        let keyed = decision.act().keyed;
        if keyed.is_some_and(|keyed| self.reader.act(&keyed.key).is_some()) {
            return false;
        }
        let told = match decision {
            Decision::Order(decided) => self.decide(at, decided),
            Decision::Redispatch(again) => self.redispatch(at, again),
            Decision::Edit(edit) => self.edit(at, edit),
            Decision::Dismiss(dismiss) => self.dismiss(at, dismiss),
            Decision::ReleaseOverlay(release) => self.release(at, release),
            Decision::Routing(routing) => Ok(self.route_by(at, routing)),
            Decision::CatalogFloor(floor) => Ok(self.raise_floor(floor)),
            Decision::Invalidate(rows) => Ok(condemned(rows)),
            Decision::Recover(recover) => self.recover(at, recover),
            Decision::Handover(handover) => self.hand_over(at, handover),
        };
        if let Err(reason) = &told {
            at.alarm(self, AlarmKind::Event, decision.order().copied(), reason.clone());
        }
        let changed = told.is_ok();
        let Some(keyed) = keyed else { return changed };
        let outcome = told.map_or_else(ActOutcome::Ignored, ActOutcome::Changed);
        let until = at.stock.now.plus_millis(KEY_KEPT_MS);
        let record = ActRecord { fingerprint: keyed.fingerprint, outcome, position: at.position, until };
        self.put_act(keyed.key.clone(), Some(record));
        changed
    }

    /// The order, if the decision can follow its state.
    fn decided(&self, order: &OrderId, to: OrderState, what: &str) -> Result<OrderRecord, String> {
        let found = self.reader.order(order);
        let state = found.as_ref().map_or("not known", |order| life::name(order.state));
        let may = found.filter(|order| order.state != to && life::may(order.state, to));
        let may = may.ok_or_else(|| format!("order {order} is {state}, so nothing came of this: {what}"));
        may.map(|order| (*order).clone())
    }

    fn decide(&mut self, at: &mut At<'_>, decided: &DecideOrder) -> Told {
        let by = format!("by {}: {}", decided.by, decided.reason);
        match decided.verdict {
            Verdict::Approve => {
                let what = format!("approved {by}");
                let order = self.decided(&decided.order, OrderState::Accepted, &what)?;
                if order.state != OrderState::Review {
                    let state = life::name(order.state);
                    return Err(format!(
                        "order {} is {state}; only one in review is approved",
                        decided.order
                    ));
                }
                self.let_through(at, order, what)
            }
            Verdict::Reject => {
                let what = format!("rejected {by}");
                let mut order = self.decided(&decided.order, OrderState::Rejected, &what)?;
                order.reasons.push(OrderReason::RejectedByOperator);
                self.close(at, order, OrderState::Rejected, what.clone());
                Ok(what)
            }
        }
    }

    fn redispatch(&mut self, at: &mut At<'_>, again: &Redispatch) -> Told {
        let what = format!("generation {} is closed by {}: {}", again.closes, again.by, again.reason);
        let mut order = self.decided(&again.order, OrderState::Accepted, &what)?;
        is_at(&order, again.closes)?;
        if let Some(backend) = again.backend.clone().or_else(|| order.moving_to.take()) {
            order.backend = Some(backend);
        }
        self.let_through(at, order, what)
    }

    fn edit(&mut self, at: &mut At<'_>, edit: &EditOrder) -> Told {
        let touched: Vec<&str> = edit.touched().into_iter().map(EditableFact::as_str).collect();
        let what = format!("edited ({}) by {}: {}", touched.join(", "), edit.by, edit.reason);
        let mut order = self.decided(&edit.order, OrderState::Accepted, &what)?;
        if !matches!(order.state, OrderState::Review | OrderState::DeadLettered) {
            let state = life::name(order.state);
            return Err(format!(
                "order {} is {state}; only one in review or in the dead letters is edited",
                edit.order
            ));
        }
        is_at(&order, edit.closes)?;
        let facts = edit.applied_to(order.facts());
        if facts.references.len() > ORDER_REFERENCES_MAX {
            return Err(format!(
                "order {} would have more than {ORDER_REFERENCES_MAX} references: clear some",
                edit.order
            ));
        }
        order.edited = Some(Box::new(facts));
        self.let_through(at, order, what)
    }

    fn dismiss(&mut self, at: &mut At<'_>, dismiss: &DismissOrder) -> Told {
        let what = format!("dismissed by {}: {}", dismiss.by, dismiss.reason);
        let mut order = self.decided(&dismiss.order, OrderState::Cancelled, &what)?;
        if order.state != OrderState::DeadLettered {
            let state = life::name(order.state);
            return Err(format!(
                "order {} is {state}; only a dead letter is dismissed: reject it in review, or cancel it",
                dismiss.order
            ));
        }
        order.reasons.push(OrderReason::Dismissed);
        self.close(at, order, OrderState::Cancelled, what.clone());
        Ok(what)
    }

    fn release(&mut self, at: &mut At<'_>, release: &ReleaseOverlay) -> Told {
        let what = format!("what it promised is released by {}: {}", release.by, release.reason);
        let order = self.reader.order(&release.order);
        let order = order.ok_or_else(|| format!("order {} is not known or long over", release.order))?;
        let line = release.line.as_ref();
        if let Some(line) = line.filter(|line| order.lines.iter().all(|record| record.line != **line)) {
            return Err(format!("order {} has no line {line}", release.order));
        }
        self.release_overlay(at, (*order).clone(), line.map(|line| line.as_str()), what.clone());
        Ok(what)
    }

    fn route_by(&mut self, at: &At<'_>, routing: &Routing) -> String {
        let Routing { rules, by, reason, .. } = routing.clone();
        let what = format!("orders are routed by {} rules of {by}: {reason}", rules.len());
        let record = RoutingRecord { rules, by, reason, position: at.position };
        self.digest = self.digest.wrapping_add(self.reader.0.set_routing(record));
        what
    }

    fn raise_floor(&mut self, floor: &CatalogFloor) -> String {
        let known = self.index.floors.entry(floor.subject.to_string()).or_insert(StreamSequence(0));
        *known = (*known).max(floor.position);
        format!("orders priced before {known} of {} are priced again", floor.subject)
    }

    /// Sends an order to its backend as the next generation; one that no rule took is routed now.
    fn let_through(&mut self, at: &mut At<'_>, mut order: OrderRecord, what: String) -> Told {
        if order.backend.is_none() {
            order.backend = routing::route(self.reader.routing().rules(), &order.placed, &order.lines);
        }
        if order.backend.is_none() {
            let id = order.placed.order;
            return Err(format!("order {id} has no backend: publish a routing rule for it first"));
        }
        self.reopen(at, order, what.clone());
        Ok(what)
    }

    /// Closes the generation before, and opens the next: what of it is still in the outbox is taken out, and what its
    /// backend said of its document, where figures contain it too, says nothing of the next one.
    pub(super) fn reopen(&mut self, at: &mut At<'_>, mut order: OrderRecord, what: String) {
        let id = order.placed.order;
        let open = self.reader.outbox().into_iter().filter(|(_, entry)| entry.dispatched() == Some(&id));
        for (effect, _) in open.collect::<Vec<_>>() {
            self.put_outbox(effect, None);
        }
        order.state = accepted_state(&order.lines);
        order.reflected_from.clear();
        (order.document, order.acknowledged_at) = (None, None);
        (order.cancel_asked, order.moving_to) = (false, None);
        if let Some(reflected) = self.reflected(&at.stock, &order) {
            order = reflected;
        }
        self.dispatch(at, &mut order, DispatchKind::Create);
        at.step(&mut order, what);
        self.put_order(at, order);
        self.show_order(at, &id);
    }
}

/// What is condemned is known to the chains, where lookups read it: no verdict rests on that.
fn condemned(rows: &InvalidateRows) -> String {
    let InvalidateRows { scope, by, reason, .. } = rows;
    let mode = match rows.mode {
        InvalidateMode::Soft => "flagged",
        InvalidateMode::Hard => "not served",
    };
    format!("{scope} of {} chains: {mode} until sent anew, by {by}: {reason}", rows.up_to.len())
}

/// A decision about a generation that is closed already was made by somebody who saw less.
fn is_at(order: &OrderRecord, closes: u32) -> Result<(), String> {
    let (id, open) = (order.placed.order, order.generation);
    let is_open = open == closes;
    is_open.then_some(()).ok_or_else(|| {
        format!(
            "order {id} is at generation {open}, not at {closes}: look at it again, and decide about that"
        )
    })
}
