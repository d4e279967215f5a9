//! Which backend receives an order: the first rule of the ledger's table that matches.

use pannier_protocol::SourceId;
use pannier_protocol::order::{PlaceOrder, RouteRule, Routing};

use super::record::LineRecord;

/// `None`: no rule takes the order.
pub(super) fn route(routing: &Routing, order: &PlaceOrder, lines: &[LineRecord]) -> Option<SourceId> {
    routing.rules.iter().find(|rule| matches(rule, order, lines)).map(|rule| rule.backend.clone())
}

fn matches(rule: &RouteRule, order: &PlaceOrder, lines: &[LineRecord]) -> bool {
    let facts = &order.route;
    let mut allocations = lines.iter().flat_map(|line| &line.allocations);
    rule.company.as_ref().is_none_or(|company| facts.company.as_ref() == Some(company))
        && rule.group.as_ref().is_none_or(|group| facts.groups.contains(group))
        && rule.territory.as_ref().is_none_or(|territory| facts.territories.contains(territory))
        && rule.warehouse.as_ref().is_none_or(|warehouse| allocations.all(|it| it.warehouse == *warehouse))
}
