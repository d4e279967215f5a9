//! A handover: from one entry on rows, order routing and orders of a scope are another system's.
//!
//! The problem: whoever switches ownership, routing and the reporter of orders one after the other has a time in which
//! an order is sent to the old ERP and counted on the new one's stock, or is reported on by both. So they change
//! together, at the entry. Orders in flight are decided one by one: one of which the old backend has a document stays
//! with it until it is over, unless it was carried over; one that is on its way is called back, and goes to the new
//! backend once the old one has said that it will not make it. Handing back is the same entry the other way.

use std::collections::BTreeSet;
use std::sync::Arc;

use pannier_protocol::api::OrderState;
use pannier_protocol::change::{ChainPoint, Table};
use pannier_protocol::order::{
    Backends, CatalogPoint, DispatchKind, Handover, HandoverScope, MovedOrder, RouteRule,
};
use pannier_protocol::subject::Subject;
use pannier_protocol::{MarkId, SourceId, StreamSequence};
use serde::{Deserialize, Serialize};

use super::record::takes;
use super::routing::{RoutingRecord, is_from};
use super::state::OrdersReader;
use super::stock::StockChains;
use super::{At, OrderRecord, Orders, is_closed};
use crate::ownership::OwnershipInForce;

/// The last handover: what it put in force, and who decided it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandoverRecord {
    pub scope: HandoverScope,
    pub from: SourceId,
    pub to: SourceId,
    pub backends: Option<Backends>,
    pub ownership: OwnershipInForce,
    /// What a node must have read of the catalog before it chooses by `ownership`.
    pub catalog: Vec<CatalogPoint>,
    pub by: MarkId,
    pub reason: String,
    pub position: StreamSequence,
}

/// What becomes of an order in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum InFlight {
    /// With the old backend until it is over.
    Stays,
    /// The new backend has it already, under another number.
    Moves,
    /// It is on its way to the old backend: it goes to the new one once the old one gave it back.
    CalledBack,
    /// No backend has it; whoever decides on it sends it to the new one.
    Waits,
}

impl OrdersReader {
    /// The last one, if there ever was one.
    pub fn handover(&self) -> Option<Arc<HandoverRecord>> {
        self.0.handover.get(&())
    }

    /// The orders of a scope that are not over, and what a handover makes of each, in the order of the ledger.
    pub fn in_flight(
        &self,
        scope: &HandoverScope,
        backends: &Backends,
        moved: &[MovedOrder],
    ) -> Vec<(Arc<OrderRecord>, InFlight)> {
        let wanted = |order: &OrderRecord| fate(order, scope, backends, moved).is_some();
        let orders = self.after(None, usize::MAX, wanted).into_iter();
        orders.filter_map(|order| fate(&order, scope, backends, moved).map(|fate| (order, fate))).collect()
    }

    /// Every order that is listed as moved must be one that can: what is half true was decided by somebody who saw less.
    pub fn check_moved(
        &self,
        handover: &Handover,
        in_flight: &[(Arc<OrderRecord>, InFlight)],
    ) -> Result<(), String> {
        for MovedOrder { order, .. } in &handover.moved {
            let is_over =
                self.closed(order).is_some() || self.order(order).is_some_and(|order| is_closed(order.state));
            let moves = in_flight
                .iter()
                .any(|(record, fate)| record.placed.order == *order && *fate == InFlight::Moves);
            if !is_over && !moves {
                return Err(format!(
                    "order {order} is listed as moved, and the old backend has no document of it, or it is not of the \
                     scope: leave it out, then ask again"
                ));
            }
        }
        Ok(())
    }
}

/// `None`: it is over, or not in the scope.
fn fate(
    order: &OrderRecord,
    scope: &HandoverScope,
    backends: &Backends,
    moved: &[MovedOrder],
) -> Option<InFlight> {
    let is_here = scope.warehouse.as_ref().is_none_or(|warehouse| is_from(&order.lines, warehouse));
    if is_closed(order.state) || order.backend.as_ref() != Some(&backends.from) || !is_here {
        return None;
    }
    let listed = moved.iter().any(|moved| moved.order == order.placed.order);
    let is_nobodys = matches!(order.state, OrderState::Review | OrderState::DeadLettered);
    let may_be_made = order.is_on_its_way() && order.state != OrderState::PartiallyShipped;
    Some(match (is_nobodys, may_be_made && !order.cancel_asked) {
        (true, _) => InFlight::Waits,
        (false, true) => InFlight::CalledBack,
        (false, false) if listed && !order.is_on_its_way() => InFlight::Moves,
        (false, false) => InFlight::Stays,
    })
}

/// Order routing after a handover: what went to the old backend goes to the new one, of a warehouse only what is all
/// from there.
pub fn rerouted(rules: &[RouteRule], scope: &HandoverScope, backends: &Backends) -> Vec<RouteRule> {
    let mut after = Vec::with_capacity(rules.len());
    for rule in rules {
        if rule.backend != backends.from {
            after.push(rule.clone());
            continue;
        }
        let moved = RouteRule { backend: backends.to.clone(), ..rule.clone() };
        match (&scope.warehouse, &rule.warehouse) {
            (None, _) => after.push(moved),
            (Some(scope), Some(named)) if scope == named => after.push(moved),
            (Some(_), Some(_)) => after.push(rule.clone()),
            (Some(scope), None) => {
                after.push(RouteRule { warehouse: Some(scope.clone()), ..moved });
                after.push(rule.clone());
            }
        }
    }
    after
}

/// Why a chain is not what the handover says of it, if it is not.
fn is_missing(chains: &StockChains, point: &ChainPoint, to: &SourceId) -> Option<String> {
    let Subject::Stock(source) = &point.subject else { return None };
    let state = chains.get(source).map(|chain| chain.status().load());
    let is_there = state.is_some_and(|state| {
        let reached = (state.epoch, state.sequence) >= (point.epoch.claim, point.sequence);
        source == to && reached && state.loaded && !state.suspect
    });
    (!is_there).then(|| {
        format!(
            "{} is not complete up to message {}, so nothing is handed over: have {to} send it anew, then ask again",
            point.subject, point.sequence
        )
    })
}

impl Orders {
    pub(super) fn hand_over(&mut self, at: &mut At<'_>, handover: &Handover) -> Result<String, String> {
        let known = self.reader.handover();
        if let Some(known) = known.filter(|known| known.ownership.version > handover.replaces) {
            return Err(format!(
                "the handover at {} came first: look at what is in force now, and decide about that",
                known.position
            ));
        }
        let Handover { scope, from, to, backends, by, reason, .. } = handover.clone();
        for point in &handover.snapshots {
            is_missing(at.stock.chains, point, &to).map_or(Ok(()), Err)?;
        }
        let in_flight = match &backends {
            Some(backends) => self.reader.in_flight(&scope, backends, &handover.moved),
            None => Vec::new(),
        };
        self.reader.check_moved(handover, &in_flight)?;
        let version = handover.replaces.saturating_add(1);
        let record = HandoverRecord {
            ownership: OwnershipInForce::new(version, handover.ownership.clone()),
            catalog: handover.catalog.clone(),
            scope,
            from,
            to,
            backends,
            by,
            reason,
            position: at.position,
        };
        self.put_handover(record);
        let mut told = format!("{} is handed over to {}, as ownership {version}", handover.from, handover.to);
        if let Some(backends) = &handover.backends {
            self.reroute(at, handover, backends);
            let count = |wanted| in_flight.iter().filter(|(_, fate)| *fate == wanted).count();
            told = format!(
                "{told}; of the orders of {} {} stay, {} moved, {} are called back, {} wait for a decision",
                backends.from,
                count(InFlight::Stays),
                count(InFlight::Moves),
                count(InFlight::CalledBack),
                count(InFlight::Waits)
            );
            for (order, fate) in &in_flight {
                self.hand_over_order(at, OrderRecord::clone(order), *fate, handover);
            }
        }
        self.hand_over_figures(at, handover);
        Ok(format!("{told}, by {}: {}", handover.by, handover.reason))
    }

    pub(super) fn put_handover(&mut self, record: HandoverRecord) {
        self.digest = self.digest.wrapping_add(self.reader.0.set_handover(record));
    }

    fn reroute(&mut self, at: &At<'_>, handover: &Handover, backends: &Backends) {
        let Some(known) = self.reader.routing().0 else { return };
        let record = RoutingRecord {
            rules: rerouted(&known.rules, &handover.scope, backends),
            by: handover.by.clone(),
            reason: handover.reason.clone(),
            position: at.position,
        };
        self.digest = self.digest.wrapping_add(self.reader.0.set_routing(record));
    }

    fn hand_over_order(
        &mut self,
        at: &mut At<'_>,
        mut order: OrderRecord,
        fate: InFlight,
        handover: &Handover,
    ) {
        let Some(Backends { from, to }) = &handover.backends else { return };
        let by = format!("handed over by {}: {}", handover.by, handover.reason);
        match fate {
            InFlight::Stays => at.step(&mut order, format!("stays with {from} until it is over; {by}")),
            InFlight::Waits => {
                order.backend = Some(to.clone());
                at.step(&mut order, format!("goes to {to} once it is decided on; {by}"));
            }
            InFlight::CalledBack => {
                order.moving_to = Some(to.clone());
                order.cancel_asked = true;
                self.dispatch(at, &mut order, DispatchKind::Cancel);
                at.step(&mut order, format!("called back from {from} to go to {to}; {by}"));
            }
            InFlight::Moves => {
                let id = order.placed.order;
                let Some(moved) = handover.moved.iter().find(|moved| moved.order == id) else { return };
                order.backend = Some(to.clone());
                order.document = Some(moved.document.clone());
                order.reflected_from =
                    moved.reflected_from.iter().map(|it| (it.source.clone(), it.position)).collect();
                at.step(&mut order, format!("carried over from {from} to {to} as {}; {by}", moved.document));
            }
        }
        self.put_order(at, order);
    }

    /// What orders take of figures that are handed over is taken of the new source's from here on, and looked for there:
    /// of stock while an order is open, of credit and caps as long as it counts.
    fn hand_over_figures(&mut self, at: &mut At<'_>, handover: &Handover) {
        let Handover { scope, from, to, .. } = handover;
        let mut items = BTreeSet::new();
        for (_, order) in self.reader.0.orders.sorted() {
            let mut after = OrderRecord::clone(&order);
            if scope.has(Table::Stock) && !is_closed(order.state) {
                take_from(&mut after, scope, from, to);
            }
            if scope.has(Table::Credit) || scope.has(Table::Caps) {
                self.use_balances_of(&mut after, scope, from, to);
            }
            let (before, placed) = (&*order, &after.placed);
            let is_same = takes(&before.lines).eq(takes(&after.lines)) && Arc::ptr_eq(&before.placed, placed);
            if is_same {
                continue;
            }
            items.extend(takes(&after.lines).map(|take| at.item(&take.item)));
            let counted = self.index.counts(&order.placed);
            self.index.count(&order.placed, false);
            self.show_caps(&at.stock, &order);
            let after = self.reflected(&at.stock, &after).unwrap_or(after);
            self.put_order(at, after.clone());
            if !counted {
                self.index.count(&after.placed, false);
                self.show_caps(&at.stock, &after);
            }
        }
        items.into_iter().for_each(|item| self.show_item(at, item));
    }

    /// What a backend was asked to give back is given back: the order goes where it is moving to.
    pub(super) fn moved_on(&mut self, at: &mut At<'_>, mut order: OrderRecord, to: SourceId, what: String) {
        let what = format!("{what}; it goes to {to}");
        order.backend = Some(to);
        self.reopen(at, order, what);
    }

    /// Whether sources of a command were chosen before the handover that is in force.
    pub(super) fn is_before_handover(&self, chosen_by: Option<u64>) -> bool {
        self.reader.handover().is_some_and(|known| chosen_by < Some(known.ownership.version))
    }

    fn use_balances_of(
        &self,
        order: &mut OrderRecord,
        scope: &HandoverScope,
        from: &SourceId,
        to: &SourceId,
    ) {
        let of_credit = scope.has(Table::Credit)
            && order.placed.credit.as_ref().is_some_and(|credit| credit.source == *from);
        let caps = order.placed.lines.iter().flat_map(|line| &line.caps);
        let of_caps = scope.has(Table::Caps) && caps.into_iter().any(|cap| cap.source == *from);
        if !of_credit && !of_caps {
            return;
        }
        let placed = Arc::make_mut(&mut order.placed);
        if let Some(credit) = placed.credit.as_mut().filter(|_| of_credit) {
            credit.source = to.clone();
        }
        for cap in placed.lines.iter_mut().flat_map(|line| &mut line.caps).filter(|_| of_caps) {
            if cap.source == *from {
                cap.source = to.clone();
            }
        }
    }
}

fn take_from(order: &mut OrderRecord, scope: &HandoverScope, from: &SourceId, to: &SourceId) {
    for allocation in order.lines.iter_mut().flat_map(|line| &mut line.allocations) {
        if scope.warehouse.as_ref().is_some_and(|warehouse| *warehouse != allocation.warehouse) {
            continue;
        }
        for take in allocation.takes.iter_mut().filter(|take| take.source.as_ref() == Some(from)) {
            take.source = Some(to.clone());
        }
    }
}
