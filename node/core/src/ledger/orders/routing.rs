//! Which backend receives an order: the first rule of the ledger's table that matches.

use std::collections::BTreeMap;

use pannier_protocol::api::OrderState;
use pannier_protocol::order::{PlaceOrder, RouteRule};
use pannier_protocol::{MarkId, OrderId, SourceId, StreamSequence, WarehouseId};
use serde::{Deserialize, Serialize};

use super::record::LineRecord;
use super::state::OrdersReader;
use super::{OrderRecord, is_closed};
use crate::limits::REROUTED_SHOWN_MAX;

/// The rules in force, and who put them there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutingRecord {
    pub rules: Vec<RouteRule>,
    pub by: MarkId,
    pub reason: String,
    pub position: StreamSequence,
}

/// What other rules would do to the orders that the fold knows: those of one old and one new backend.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rerouted {
    /// `None`: no rule took it.
    pub from: Option<SourceId>,
    pub to: Option<SourceId>,
    pub orders_count: usize,
    /// Of those, the ones that are not over.
    pub open_count: usize,
    /// The first so many in the order of the ledger.
    pub first: Vec<OrderId>,
}

/// `None`: no rule takes the order.
pub(super) fn route(rules: &[RouteRule], order: &PlaceOrder, lines: &[LineRecord]) -> Option<SourceId> {
    rules.iter().find(|rule| matches(rule, order, lines)).map(|rule| rule.backend.clone())
}

fn matches(rule: &RouteRule, order: &PlaceOrder, lines: &[LineRecord]) -> bool {
    let facts = &order.route;
    rule.company.as_ref().is_none_or(|company| facts.company.as_ref() == Some(company))
        && rule.group.as_ref().is_none_or(|group| facts.groups.contains(group))
        && rule.territory.as_ref().is_none_or(|territory| facts.territories.contains(territory))
        && rule.warehouse.as_ref().is_none_or(|warehouse| is_from(lines, warehouse))
}

/// Whether all that was promised is from there. An order that is over has given back what it took, and still says
/// what it was promised.
pub(super) fn is_from(lines: &[LineRecord], warehouse: &WarehouseId) -> bool {
    let mut taken = lines.iter().flat_map(|line| &line.allocations).peekable();
    if taken.peek().is_some() {
        return taken.all(|allocation| allocation.warehouse == *warehouse);
    }
    let mut promised = lines.iter().flat_map(|line| &line.promised);
    promised.all(|part| part.warehouse.as_ref().is_none_or(|from| from == warehouse))
}

/// What `rules` would do to the orders that are open or were a short while ago, by old and new backend. Orders that
/// were never to be sent anywhere are left out.
pub fn dry_run(orders: &OrdersReader, rules: &[RouteRule]) -> Vec<Rerouted> {
    let mut by_backends: BTreeMap<_, Rerouted> = BTreeMap::new();
    let sent = |order: &OrderRecord| !matches!(order.state, OrderState::Rejected | OrderState::Expired);
    for order in orders.after(None, usize::MAX, sent) {
        let (from, to) = (order.backend.clone(), route(rules, &order.placed, &order.lines));
        let told = by_backends.entry((from.clone(), to.clone())).or_insert_with(|| Rerouted {
            from,
            to,
            ..Rerouted::default()
        });
        told.orders_count += 1;
        told.open_count += usize::from(!is_closed(order.state));
        if told.first.len() < REROUTED_SHOWN_MAX {
            told.first.push(order.placed.order);
        }
    }
    by_backends.into_values().collect()
}
