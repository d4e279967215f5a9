//! A command to place or cancel an order, and outbox entries that are done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pannier_protocol::api::{HoldState, OrderLineState, OrderState};
use pannier_protocol::order::{
    CancelOrder, Dispatch, DispatchKind, DispatchLine, KeyedBy, OrderReason, PlaceOrder,
};
use pannier_protocol::{Decimal, EffectId, Fingerprint, OrderId};

use super::keys::{KeyId, KeyOutcome, KeyRecord, Operation};
use super::outbox::{AlarmKind, OutboxEntry};
use super::record::{HoldRecord, LineRecord, OrderRecord, takes};
use super::state::{Due, DuplicateKey};
use super::stock::sum;
use super::{At, Orders, life, routing};
use crate::dictionary::ItemNo;
use crate::limits::{DUPLICATE_KEPT_MS, KEY_KEPT_MS};
use crate::sourcing::Taken;

/// What becomes of an order before anything is written.
enum Judged {
    Placed {
        state: OrderState,
        lines: Vec<LineRecord>,
        reasons: Vec<OrderReason>,
    },
    /// To be priced again; nothing is remembered of it.
    Returned,
}

impl Orders {
    /// Whether the command is the first with its key. It is not where the key is remembered: the same request gets the
    /// same answer, another one none, and both are for the node to tell.
    pub(super) fn is_first(&self, operation: Operation, keyed: &KeyedBy) -> bool {
        self.reader.key(&KeyId::new(operation, keyed)).is_none()
    }

    pub(super) fn remember(
        &mut self,
        at: &At<'_>,
        operation: Operation,
        keyed: &KeyedBy,
        outcome: KeyOutcome,
    ) {
        let until = at.stock.now.plus_millis(KEY_KEPT_MS);
        let record = KeyRecord { fingerprint: keyed.fingerprint, outcome, position: at.position, until };
        self.put_key(KeyId::new(operation, keyed), Some(record));
    }

    pub(super) fn place_order(&mut self, at: &mut At<'_>, place: &PlaceOrder) {
        // Its id comes from its key: a second one would take the place of the first, with all that is promised of it.
        if !self.is_first(Operation::PlaceOrder, &place.keyed) || self.reader.order(&place.order).is_some() {
            return;
        }
        let held = self.take_over(at, place);
        let judged = self.judge(at, place, held.is_some());
        let kept = matches!(&judged, Judged::Placed { state, .. } if !life::is_closed(*state));
        let freed = held.as_ref().map(|hold| items_of(at, &hold.lines)).unwrap_or_default();
        match held {
            Some(hold) if kept => self.hold_is_over(&hold),
            Some(hold) => self.put_hold(at, hold),
            None => {}
        }
        let Judged::Placed { state, lines, reasons } = judged else { return };
        let mut order = OrderRecord {
            placed: Arc::new(place.clone()),
            edited: None,
            position: at.position,
            placed_at: at.stock.now,
            state,
            reasons,
            backend: routing::route(self.reader.routing().rules(), place, &lines),
            lines,
            generation: 0,
            document: None,
            cancel_asked: false,
            moving_to: None,
            reflected_from: BTreeMap::new(),
            acknowledged_at: None,
            closed_at: None,
            steps: Vec::new(),
        };
        at.step(&mut order, format!("placed: {}", life::name(state)));
        self.remember(at, Operation::PlaceOrder, &place.keyed, KeyOutcome::Order(place.order));
        if kept {
            self.index_duplicate(at, place);
        }
        if matches!(state, OrderState::Accepted | OrderState::Backordered) {
            self.dispatch(at, &mut order, DispatchKind::Create);
        } else if state == OrderState::Review {
            let reason = format!("order {} is held for review: {:?}", place.order, order.reasons);
            at.alarm(self, AlarmKind::Order, Some(place.order), reason);
        }
        let items = items_of(at, &order.lines);
        self.put_order(at, order);
        items.union(&freed).for_each(|item| self.show_item(at, *item));
    }

    /// Shows what lookups see of all items of an order.
    pub(super) fn show_order(&mut self, at: &mut At<'_>, order: &OrderId) {
        let Some(order) = self.reader.order(order) else { return };
        items_of(at, &order.lines).into_iter().for_each(|item| self.show_item(at, item));
    }

    /// Gives the stock of the hold that the order names back to the shelf, for the order to take: nobody comes between,
    /// for it is one entry, and nobody is told of a shelf that is short until the order has its verdict. What is
    /// returned is put back where the order does not take it.
    fn take_over(&mut self, at: &At<'_>, place: &PlaceOrder) -> Option<HoldRecord> {
        let hold = self.reader.hold(&place.hold?)?;
        let is_own = hold.placed.keyed.account == place.keyed.account && hold.state == HoldState::Held;
        if !is_own {
            return None;
        }
        let mut ended = (*hold).clone();
        ended.state = HoldState::Ordered;
        ended.lines.iter_mut().for_each(|line| line.allocations.clear());
        for item in self.write_hold(at, ended) {
            self.show_promises(at, item);
        }
        Some((*hold).clone())
    }

    fn judge(&self, at: &At<'_>, place: &PlaceOrder, hold_taken: bool) -> Judged {
        if at.stream_time > place.keyed.judge_before {
            return refused(place, OrderState::Expired, OrderReason::TooLate);
        }
        if place.doubts.iter().any(|doubt| doubt.reason.refuses()) {
            return doubted(place);
        }
        let read = place.priced_at.shared.max(place.priced_at.partition);
        if self.index.floors.values().any(|floor| read < *floor) {
            return Judged::Returned;
        }
        if self.is_before_handover(place.terms.handover) {
            return Judged::Returned;
        }
        let mut taken = Taken::default();
        let lines: Vec<LineRecord> =
            place.lines.iter().map(|line| at.stock.judge(&line.stock, &place.terms, &mut taken)).collect();
        let mut reasons: Vec<OrderReason> = place.doubts.iter().map(|doubt| doubt.reason).collect();
        if place.hold.is_some() && !hold_taken {
            reasons.push(OrderReason::HoldUnknown);
        }
        if lines.iter().any(|line| line.state == OrderLineState::Rejected) {
            reasons.push(OrderReason::OutOfStock);
            return Judged::Placed { state: OrderState::Rejected, lines: not_placed(lines), reasons };
        }
        if !self.caps_fit(&at.stock, place.lines.iter().flat_map(|line| &line.caps)) {
            return Judged::Returned;
        }
        let credit =
            place.credit.as_ref().and_then(|credit| self.judge_credit(&at.stock, credit, place.currency));
        reasons.extend(credit);
        if duplicate_key(place).is_some_and(|key| self.index.duplicates.contains_key(&key)) {
            reasons.push(OrderReason::SuspectedDuplicate);
        }
        if routing::route(self.reader.routing().rules(), place, &lines).is_none() {
            reasons.push(OrderReason::NoRoute);
        }
        let doubtful = reasons.iter().any(|reason| *reason != OrderReason::HoldUnknown);
        let state = if doubtful { OrderState::Review } else { accepted_state(&lines) };
        Judged::Placed { state, lines, reasons }
    }

    fn index_duplicate(&mut self, at: &At<'_>, place: &PlaceOrder) {
        let Some(key) = duplicate_key(place) else { return };
        let until = at.stock.now.plus_millis(DUPLICATE_KEPT_MS);
        self.index.due.insert((until, Due::DuplicateEnds(key.clone(), place.order)));
        self.index.duplicates.entry(key).or_default().insert(place.order, until);
    }

    /// Opens the next generation: the one before, if there is one, is closed by the entry that leads here.
    pub(super) fn dispatch(&mut self, at: &mut At<'_>, order: &mut OrderRecord, kind: DispatchKind) {
        if order.backend.is_some() {
            order.generation = order.generation.saturating_add(1);
            self.send(at, order, kind);
        }
    }

    /// Has the generation that is open published.
    pub(super) fn send(&mut self, at: &mut At<'_>, order: &OrderRecord, kind: DispatchKind) {
        let Some(backend) = order.backend.clone() else { return };
        let effect = at.id();
        let placed = &order.placed;
        let lines = placed.lines.iter().zip(&order.lines).filter_map(|(line, record)| {
            Some(DispatchLine {
                line: record.line.clone(),
                item: line.stock.item.clone(),
                quantity: record.quantity,
                uom: line.stock.uom.clone(),
                price: line.price.clone()?,
                promised: record.promised.clone(),
            })
        });
        let dispatch = Dispatch {
            effect,
            kind,
            order: placed.order,
            generation: order.generation,
            backend,
            account: placed.keyed.account.clone(),
            accepted_at: at.stock.now,
            facts: order.facts().clone(),
            currency: placed.currency,
            total: placed.total,
            lines: lines.filter(|line| line.quantity.is_positive()).collect(),
            traceparent: placed.keyed.traceparent.clone(),
        };
        self.put_outbox(effect, Some(OutboxEntry::Dispatch(Box::new(dispatch))));
    }

    /// An order without a dispatch is cancelled here. One that has a dispatch may be at its backend already, whatever
    /// the outbox says: the backend is asked, and what became of it comes back as an event.
    pub(super) fn cancel_order(&mut self, at: &mut At<'_>, cancel: &CancelOrder) {
        if !self.is_first(Operation::CancelOrder, &cancel.keyed) {
            return;
        }
        let order =
            self.reader.order(&cancel.order).filter(|it| it.placed.keyed.account == cancel.keyed.account);
        // One that is long over is known too, and as it is.
        let closed = self.reader.closed(&cancel.order).filter(|it| it.account == cancel.keyed.account);
        let outcome = match (order.is_some() || closed.is_some(), at.stream_time > cancel.keyed.judge_before)
        {
            (_, true) => KeyOutcome::Expired,
            (true, false) => KeyOutcome::Order(cancel.order),
            (false, false) => KeyOutcome::Unknown,
        };
        self.remember(at, Operation::CancelOrder, &cancel.keyed, outcome);
        let (Some(order), KeyOutcome::Order(_)) = (order, outcome) else { return };
        let mut order = (*order).clone();
        let reason = cancel.reason.as_deref().unwrap_or("no reason given");
        if order.generation == 0 && life::may(order.state, OrderState::Cancelled) {
            return self.close(
                at,
                order,
                OrderState::Cancelled,
                format!("cancelled by the customer: {reason}"),
            );
        }
        // One that a handover called back for another backend is called back already, and goes nowhere now.
        let was_moving = order.moving_to.take().is_some();
        if life::is_closed(order.state) || (order.cancel_asked && !was_moving) {
            return;
        }
        if !order.cancel_asked {
            order.cancel_asked = true;
            self.dispatch(at, &mut order, DispatchKind::Cancel);
        }
        at.step(&mut order, format!("cancellation asked by the customer: {reason}"));
        self.put_order(at, order);
    }

    /// Ends an order and releases what it promised, but for what has left the shelf: that is missing there until the
    /// source's figure says so.
    pub(super) fn close(&mut self, at: &mut At<'_>, mut order: OrderRecord, state: OrderState, what: String) {
        let items: Vec<_> = takes(&order.lines).map(|take| at.item(&take.item)).collect();
        order.state = state;
        for (line, placed) in order.lines.iter_mut().zip(&order.placed.lines) {
            let kept = sum(line.allocations.iter().map(|allocation| allocation.units));
            let back = kept.checked_sub(line.shipped).map_or(Decimal::ZERO, Decimal::clamped);
            line.give_back(back, &placed.stock.needs);
        }
        at.step(&mut order, what);
        self.put_order(at, order);
        items.into_iter().for_each(|item| self.show_item(at, item));
    }

    pub(super) fn effects_done(&mut self, at: &mut At<'_>, effects: &[EffectId]) {
        for effect in effects {
            let Some(entry) = self.reader.0.outbox.get(effect) else { continue };
            self.put_outbox(*effect, None);
            let Some((order, generation)) = entry.created() else { continue };
            let Some(order) = self.reader.order(order).filter(|it| it.generation == generation) else {
                continue;
            };
            if !matches!(order.state, OrderState::Accepted | OrderState::Backordered) {
                continue;
            }
            let mut order = (*order).clone();
            order.state = OrderState::Dispatched;
            at.step(&mut order, "handed to the backend's queue".to_owned());
            self.put_order(at, order);
        }
    }
}

fn items_of(at: &At<'_>, lines: &[LineRecord]) -> BTreeSet<ItemNo> {
    takes(lines).map(|take| at.item(&take.item)).collect()
}

pub(super) fn accepted_state(lines: &[LineRecord]) -> OrderState {
    let waits = lines.iter().any(|line| line.state == OrderLineState::Backordered);
    if waits { OrderState::Backordered } else { OrderState::Accepted }
}

/// Nothing is promised of an order that is not taken: lines that are in order say so.
fn not_placed(lines: Vec<LineRecord>) -> Vec<LineRecord> {
    let line = |line: LineRecord| {
        let rejected = line.state == OrderLineState::Rejected;
        let state = if rejected { OrderLineState::Rejected } else { OrderLineState::NotPlaced };
        LineRecord::without_stock(line.line, state, line.reasons)
    };
    lines.into_iter().map(line).collect()
}

fn refused(place: &PlaceOrder, state: OrderState, reason: OrderReason) -> Judged {
    let lines = place.lines.iter().map(|line| {
        LineRecord::without_stock(line.stock.line.clone(), OrderLineState::NotPlaced, Vec::new())
    });
    Judged::Placed { state, lines: lines.collect(), reasons: vec![reason] }
}

fn doubted(place: &PlaceOrder) -> Judged {
    let lines = place.lines.iter().map(|line| {
        let of_line = place.doubts.iter().filter(|doubt| doubt.line.as_ref() == Some(&line.stock.line));
        let reasons: Vec<OrderReason> = of_line.map(|doubt| doubt.reason).collect();
        let refuses = reasons.iter().any(|reason| reason.refuses());
        let state = if refuses { OrderLineState::Rejected } else { OrderLineState::NotPlaced };
        LineRecord::without_stock(line.stock.line.clone(), state, reasons)
    });
    let reasons = place.doubts.iter().map(|doubt| doubt.reason).collect();
    Judged::Placed { state: OrderState::Rejected, lines: lines.collect(), reasons }
}

/// The same purchase order of the same account with the same lines, in whatever order.
pub(super) fn duplicate_key(place: &PlaceOrder) -> Option<DuplicateKey> {
    let purchase_order = place.facts.purchase_order.clone()?;
    let mut lines: Vec<(&str, Decimal, &str)> = place
        .lines
        .iter()
        .map(|line| (line.stock.item.as_str(), line.stock.quantity, line.stock.uom.as_str()))
        .collect();
    lines.sort_unstable();
    Some((place.keyed.account.clone(), purchase_order, Fingerprint::of(&lines)))
}
