//! What backends report. Reports are cumulative and may come twice or late: they move an order along the table of
//! `life`, and what cannot follow is told and changes nothing.

use std::collections::BTreeSet;

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{
    DispatchKind, FailureClass, LineProgress, Need, OrderAcknowledged, OrderCancelled, OrderEvent,
    OrderFailed, OrderProgressed, OrderReason, SourcePosition,
};
use pannier_protocol::{Decimal, SourceId};

use super::outbox::AlarmKind;
use super::record::{LineRecord, OrderRecord, takes};
use super::state::Due;
use super::stock::sum;
use super::{At, Orders, life};
use crate::limits::OVERLAY_AGE_MS_MAX;

impl Orders {
    pub(super) fn event(&mut self, at: &mut At<'_>, backend: &SourceId, event: &OrderEvent) {
        let Some(order) = self.reader.order(event.order()) else {
            let known = self.reader.closed(event.order()).is_some();
            let reason = format!("{} of order {}, which is not open here", event.kind(), event.order());
            // What is reported again of an order that is long over is nothing new.
            if !known {
                at.alarm(self, AlarmKind::Event, Some(*event.order()), reason);
            }
            return;
        };
        if order.backend.as_ref() != Some(backend) {
            let reason = format!("{backend} reports on order {}, which is not its own", event.order());
            return at.alarm(self, AlarmKind::Event, Some(*event.order()), reason);
        }
        let order = (*order).clone();
        match event {
            OrderEvent::Acknowledged(acknowledged) => self.acknowledged(at, order, acknowledged),
            OrderEvent::Progressed(progressed) => self.progressed(at, order, progressed),
            OrderEvent::Cancelled(cancelled) => self.cancelled(at, order, cancelled),
            OrderEvent::Failed(failed) => self.failed(at, order, failed),
        }
    }

    /// Whether the order may go there; otherwise it is told.
    fn can_follow(&mut self, at: &mut At<'_>, order: &OrderRecord, to: OrderState, what: &str) -> bool {
        let may = life::may(order.state, to);
        if !may {
            let (id, state) = (order.placed.order, life::name(order.state));
            let reason = format!(
                "order {id} is {state} and cannot become {}: {what}; look at its backend",
                life::name(to)
            );
            at.alarm(self, AlarmKind::Event, Some(id), reason);
        }
        may
    }

    fn acknowledged(&mut self, at: &mut At<'_>, mut order: OrderRecord, event: &OrderAcknowledged) {
        let what = format!("acknowledged as {}", event.document);
        if event.generation < order.generation && order.is_on_its_way() && !order.cancel_asked {
            return self.is_closed_dispatch(at, &order, &what);
        }
        // A shipment may have been reported before.
        let shipped =
            matches!(order.state, OrderState::PartiallyShipped | OrderState::Shipped | OrderState::Returned);
        if !shipped {
            if !self.can_follow(at, &order, OrderState::Acknowledged, &what) {
                return;
            }
            order.state = OrderState::Acknowledged;
        }
        order.document = Some(event.document.clone());
        reflect_from(&mut order, &event.reflected_from);
        if order.acknowledged_at.is_none() {
            order.acknowledged_at = Some(at.stock.now);
            let old = at.stock.now.plus_millis(OVERLAY_AGE_MS_MAX);
            self.index.due.insert((old, Due::OverlayIsOld(order.placed.order)));
        }
        at.step(&mut order, what);
        self.put_and_reflect(at, order);
    }

    fn put_and_reflect(&mut self, at: &mut At<'_>, order: OrderRecord) {
        let items: BTreeSet<_> = takes(&order.lines).map(|take| at.item(&take.item)).collect();
        self.put_order(at, order);
        self.reflect(at, &items);
    }

    fn progressed(&mut self, at: &mut At<'_>, order: OrderRecord, event: &OrderProgressed) {
        let mut after = order.clone();
        for progress in &event.lines {
            let Some(at_line) = after.lines.iter().position(|line| line.line == progress.line) else {
                let (id, line) = (order.placed.order, &progress.line);
                let reason =
                    format!("the backend reports line {line} of order {id}, which has none of that name");
                at.alarm(self, AlarmKind::Event, Some(id), reason);
                continue;
            };
            let needs = &order.placed.lines[at_line].stock.needs;
            advance(&mut after.lines[at_line], needs, progress);
        }
        let to = reached(&after);
        let what = match &event.shipment {
            Some(shipment) => format!("{} with {}", life::name(to), shipment.document),
            None => format!("{} by the backend's report", life::name(to)),
        };
        if !self.can_follow(at, &order, to, &what) {
            return;
        }
        if to == OrderState::Cancelled && order.is_on_its_way() {
            return self.call_back(at, order, what);
        }
        after.state = to;
        reflect_from(&mut after, &event.reflected_from);
        let items: BTreeSet<_> = takes(&order.lines).map(|take| at.item(&take.item)).collect();
        at.step(&mut after, what);
        self.put_order(at, after);
        self.reflect(at, &items);
    }

    fn cancelled(&mut self, at: &mut At<'_>, mut order: OrderRecord, event: &OrderCancelled) {
        let what = format!("cancelled by the backend: {}", event.reason);
        if event.generation.is_some_and(|generation| generation != order.generation) {
            return self.is_closed_dispatch(at, &order, &what);
        }
        if !self.can_follow(at, &order, OrderState::Cancelled, &what) {
            return;
        }
        if event.generation.is_none() && order.is_on_its_way() {
            return self.call_back(at, order, what);
        }
        match order.moving_to.take() {
            Some(to) if order.state != OrderState::PartiallyShipped => self.moved_on(at, order, to, what),
            Some(_) | None => self.close(at, order, OrderState::Cancelled, what),
        }
    }

    fn is_closed_dispatch(&mut self, at: &mut At<'_>, order: &OrderRecord, what: &str) {
        let reason = format!("order {}: a dispatch that is closed, {what}", order.placed.order);
        at.alarm(self, AlarmKind::Event, Some(order.placed.order), reason);
    }

    /// The backend has no document of the order, and may be about to make one: it is asked not to, or to cancel it, and
    /// the order keeps what it promised until it answers.
    fn call_back(&mut self, at: &mut At<'_>, mut order: OrderRecord, what: String) {
        if !order.cancel_asked {
            order.cancel_asked = true;
            self.dispatch(at, &mut order, DispatchKind::Cancel);
        }
        at.step(&mut order, format!("{what}; what is on its way to it is called back"));
        self.put_and_reflect(at, order);
    }

    fn failed(&mut self, at: &mut At<'_>, mut order: OrderRecord, event: &OrderFailed) {
        let to = match event.class {
            FailureClass::Business => OrderState::Review,
            FailureClass::Poison => OrderState::DeadLettered,
        };
        let what = format!("refused by the backend after {} attempts: {}", event.attempts, event.reason);
        if event.generation != order.generation {
            return self.is_closed_dispatch(at, &order, &what);
        }
        let is_there = order.document.is_some() || order.state == OrderState::PartiallyShipped;
        if order.cancel_asked && is_there {
            // The order goes on; what failed is its cancellation.
            (order.cancel_asked, order.moving_to) = (false, None);
            at.step(&mut order, format!("cancellation {what}"));
            return self.put_order(at, order);
        }
        if self.can_follow(at, &order, to, &what) {
            order.state = to;
            if let Some(moving_to) = order.moving_to.take() {
                order.backend = Some(moving_to);
            }
            if !order.reasons.contains(&OrderReason::RefusedByBackend) {
                order.reasons.push(OrderReason::RefusedByBackend);
            }
            let reason = format!("order {}: {what}", order.placed.order);
            at.alarm(self, AlarmKind::Order, Some(order.placed.order), reason);
            at.step(&mut order, what);
            self.put_order(at, order);
        }
    }
}

/// Positions only rise: a later report does not take back what an earlier one said.
fn reflect_from(order: &mut OrderRecord, positions: &[SourcePosition]) {
    for SourcePosition { source, position } in positions {
        let known = order.reflected_from.entry(source.clone()).or_insert(*position);
        *known = (*known).max(*position);
    }
}

fn advance(line: &mut LineRecord, needs: &[Need], progress: &LineProgress) {
    let raise =
        |known: &mut Decimal, told: Option<Decimal>| *known = told.map_or(*known, |told| told.max(*known));
    raise(&mut line.shipped, progress.shipped);
    raise(&mut line.returned, progress.returned);
    let returned = line.returned;
    raise(&mut line.restocked, progress.restocked.map(|of_it| of_it.min(returned)));
    let before = line.cancelled;
    raise(&mut line.cancelled, progress.cancelled.map(|cancelled| cancelled.min(line.quantity)));
    let back = line.cancelled.checked_sub(before).map_or(Decimal::ZERO, Decimal::clamped);
    line.give_back(back, needs);
    if let Some(item) = &progress.substituted_by {
        line.substituted_by = Some(item.clone());
    }
}

/// Where the quantities of its lines put an order.
fn reached(order: &OrderRecord) -> OrderState {
    let total = |of: fn(&LineRecord) -> Decimal| sum(order.lines.iter().map(of));
    let (shipped, returned) = (total(|line| line.shipped), total(|line| line.returned));
    let done =
        |line: &LineRecord| line.shipped.checked_add(line.cancelled).is_none_or(|done| done >= line.quantity);
    match (shipped.is_positive(), order.lines.iter().all(done)) {
        (true, true) if returned >= shipped => OrderState::Returned,
        (true, true) => OrderState::Shipped,
        (true, false) => OrderState::PartiallyShipped,
        (false, true) => OrderState::Cancelled,
        (false, false) => order.state,
    }
}
