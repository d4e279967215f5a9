//! What becomes of an order that is placed or taken back.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::api::{OrderLineState, OrderState};
use pannier_protocol::order::{CancelOrder, OrderReason, PlaceOrder, RouteRule};
use pannier_protocol::{Decimal, SourceId};

use super::holds::HoldState;
use super::keys::Outcome;
use super::orders::{Line, Order, counts, is_closed, may};
use super::{Model, Seen, micros};

pub(super) const DUPLICATE_MS: i64 = 30 * 24 * 3_600_000;

struct Verdict {
    state: OrderState,
    lines: Vec<Line>,
    reasons: BTreeSet<OrderReason>,
}

impl Model {
    pub(super) fn place_order(&mut self, place: &PlaceOrder) {
        // Of one that outlives its key there is not a second.
        if !self.is_first("order", &place.keyed) || self.order(&place.order).is_some() {
            return self.saw(Seen::KeyAgain);
        }
        let held = place.hold.filter(|hold| {
            let known = self.holds.get(hold);
            known.is_some_and(|it| self.is_live(it) && it.placed.keyed.account == place.keyed.account)
        });
        let before = held.and_then(|hold| self.holds.get(&hold).cloned());
        // What is held for the order is there for it.
        if let Some(hold) = held.and_then(|hold| self.holds.get_mut(&hold)) {
            hold.end(HoldState::Ordered);
        }
        let verdict = self.judge(place, held.is_some());
        let kept = verdict.as_ref().is_some_and(|verdict| !is_closed(verdict.state));
        if let (Some(hold), Some(before), false) = (held, before, kept) {
            self.holds.insert(hold, before);
        }
        let Some(verdict) = verdict else { return self.saw(Seen::PricedAgain) };
        self.saw(verdict.state);
        verdict.reasons.iter().for_each(|reason| self.saw(reason));
        if held.is_some() && kept {
            self.saw(Seen::OutOfHold);
        }
        self.remember("order", &place.keyed, Outcome::Order(place.order));
        let order = Order {
            placed: place.clone(),
            placed_at: self.clock,
            state: OrderState::Pending,
            reasons: verdict.reasons,
            backend: self.route(place, &verdict.lines),
            lines: verdict.lines,
            generation: 0,
            document: None,
            cancel_asked: false,
            moving_to: None,
            positions: BTreeMap::new(),
            acknowledged_at: None,
            told_old: false,
            contained: BTreeMap::new(),
            shrinks_at: None,
            shrunk: false,
        };
        // Another of this id is over and forgotten.
        self.orders.push(order);
        let at = self.orders.len() - 1;
        self.set_state(at, verdict.state);
        if matches!(verdict.state, OrderState::Accepted | OrderState::Backordered) {
            self.dispatch(at, true);
        } else if verdict.state == OrderState::Review {
            self.alarm("order", place.order);
        }
    }

    /// `None`: it is priced again, and nothing is remembered of it.
    fn judge(&self, place: &PlaceOrder, held: bool) -> Option<Verdict> {
        let blank = || place.lines.iter().map(|line| Line::of(&line.stock)).collect::<Vec<_>>();
        if self.is_late(&place.keyed) {
            let reasons = BTreeSet::from([OrderReason::TooLate]);
            return Some(Verdict { state: OrderState::Expired, lines: blank(), reasons });
        }
        let read = place.priced_at.shared.0.max(place.priced_at.partition.0);
        if self.floors.values().any(|floor| read < *floor) {
            return None;
        }
        if self.handover > place.terms.handover {
            return None;
        }
        let mut reasons = BTreeSet::new();
        if place.hold.is_some() && !held {
            reasons.insert(OrderReason::HoldUnknown);
        }
        let lines = self.judge_lines(place.lines.iter().map(|line| &line.stock), &place.terms);
        if lines.iter().any(|line| line.state == OrderLineState::Rejected) {
            reasons.insert(OrderReason::OutOfStock);
            let lines = blank().into_iter().zip(&lines).map(|(blank, judged)| {
                let rejected = judged.state == OrderLineState::Rejected;
                Line { state: if rejected { judged.state } else { blank.state }, ..blank }
            });
            return Some(Verdict { state: OrderState::Rejected, lines: lines.collect(), reasons });
        }
        if !self.caps_fit(place) {
            return None;
        }
        let doubts = [
            self.judge_credit(place),
            self.is_duplicate(place).then_some(OrderReason::SuspectedDuplicate),
            self.route(place, &lines).is_none().then_some(OrderReason::NoRoute),
        ];
        let doubts: Vec<OrderReason> = doubts.into_iter().flatten().collect();
        let waits = lines.iter().any(|line| line.state == OrderLineState::Backordered);
        let state = match (doubts.is_empty(), waits) {
            (false, _) => OrderState::Review,
            (true, true) => OrderState::Backordered,
            (true, false) => OrderState::Accepted,
        };
        reasons.extend(doubts);
        Some(Verdict { state, lines, reasons })
    }

    /// The same lines under the same number of the same account within 30 days.
    fn is_duplicate(&self, place: &PlaceOrder) -> bool {
        let lines = |place: &PlaceOrder| {
            let lines = place.lines.iter().map(|line| &line.stock);
            let mut lines: Vec<(String, Decimal, String)> =
                lines.map(|line| (line.item.to_string(), line.quantity, line.uom.to_string())).collect();
            lines.sort();
            lines
        };
        place.facts.purchase_order.is_some()
            && self.orders.iter().any(|other| {
                other.placed.keyed.account == place.keyed.account
                    && other.placed.facts.purchase_order == place.facts.purchase_order
                    && lines(&other.placed) == lines(place)
                    && self.clock < other.placed_at + DUPLICATE_MS
                    && counts(other.state)
            })
    }

    pub(super) fn route(&self, place: &PlaceOrder, lines: &[Line]) -> Option<SourceId> {
        let takes = |rule: &&RouteRule| {
            let mut parts = lines.iter().flat_map(|line| &line.parts);
            rule.group.as_ref().is_none_or(|group| place.route.groups.contains(group))
                && rule.warehouse.as_ref().is_none_or(|only| parts.all(|part| part.warehouse == *only))
        };
        self.routing.iter().find(takes).map(|rule| rule.backend.clone())
    }

    pub(super) fn cancel_order(&mut self, cancel: &CancelOrder) {
        if !self.is_first("cancel", &cancel.keyed) {
            return;
        }
        let own = self.find(&cancel.order).filter(|at| {
            let order = &self.orders[*at];
            self.is_known(order) && order.placed.keyed.account == cancel.keyed.account
        });
        let outcome = match (own, self.is_late(&cancel.keyed)) {
            (_, true) => Outcome::Expired,
            (Some(_), false) => Outcome::Order(cancel.order),
            (None, false) => Outcome::Unknown,
        };
        self.remember("cancel", &cancel.keyed, outcome);
        let (Some(at), Outcome::Order(_)) = (own, outcome) else { return };
        let order = &self.orders[at];
        if order.shrunk || is_closed(order.state) {
            return;
        }
        if order.generation == 0 && may(order.state, OrderState::Cancelled) {
            self.close(at, OrderState::Cancelled);
        } else {
            // Called back for another backend: it is called back, and goes nowhere.
            self.orders[at].moving_to = None;
            self.call_back(at);
        }
    }
}

impl Line {
    /// Nothing is promised of it.
    pub(super) fn of(stock: &pannier_protocol::order::StockLine) -> Self {
        debug_assert!(micros(stock.quantity) > 0);
        Self {
            name: stock.line.to_string(),
            state: OrderLineState::NotPlaced,
            needs: stock.needs.clone(),
            warehouses: stock.warehouses.clone(),
            quantity: 0,
            parts: Vec::new(),
            shipped: 0,
            cancelled: 0,
            returned: 0,
        }
    }
}
