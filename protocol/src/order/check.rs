//! What a command, an event or a decision must satisfy beyond its shape.

use std::collections::BTreeSet;

use super::{
    ChangeHold, Command, Decision, EditOrder, EditableFact, Handover, LineProgress, Need, OrderEvent,
    OrderId, PlaceHold, PlaceOrder, StockLine, StockTerms,
};
use crate::LineId;
use crate::change::Table;
use crate::change::check::{Check, ensure, not_negative, positive};
use crate::limits::HORIZON_DAYS_MAX;

impl Command {
    pub(crate) fn check(&self) -> Check {
        match self {
            Self::PlaceOrder(place) => check_order(place),
            Self::PlaceHold(place) => check_hold(place),
            Self::ChangeHold(change) => check_change(change),
            Self::CancelOrder(_) | Self::ReleaseHold(_) => Ok(()),
            Self::EffectsDone(done) => ensure(!done.effects.is_empty(), "effects", "at least one"),
        }
    }
}

impl OrderEvent {
    pub(crate) fn check(&self) -> Check {
        match self {
            Self::Progressed(progressed) => check_progress(&progressed.lines),
            Self::Failed(failed) => ensure(failed.generation > 0, "generation", "generations start at 1"),
            Self::Cancelled(event) => {
                ensure(event.generation != Some(0), "generation", "generations start at 1")
            }
            Self::Acknowledged(event) => ensure(event.generation > 0, "generation", "generations start at 1"),
        }
    }
}

impl Decision {
    pub(crate) fn check(&self) -> Check {
        match self {
            Self::Redispatch(again) => ensure(again.closes > 0, "closes", "generations start at 1"),
            Self::Edit(edit) => check_edit(edit),
            Self::Invalidate(rows) => ensure(!rows.up_to.is_empty(), "up_to", "at least one chain"),
            Self::Handover(handover) => check_handover(handover),
            Self::Order(_)
            | Self::Dismiss(_)
            | Self::ReleaseOverlay(_)
            | Self::Routing(_)
            | Self::CatalogFloor(_)
            | Self::Recover(_) => Ok(()),
        }
    }
}

fn check_handover(handover: &Handover) -> Check {
    let Handover { scope, backends, moved, .. } = handover;
    ensure(!scope.tables.is_empty() || backends.is_some(), "scope.tables", "neither tables nor orders")?;
    let tables: BTreeSet<Table> = scope.tables.iter().copied().collect();
    ensure(tables.len() == scope.tables.len(), "scope.tables", "a table is named twice")?;
    ensure(
        !tables.contains(&Table::Policies),
        "scope.tables",
        "policies are the tenant's, whoever published them",
    )?;
    let of_stock = [Table::Stock, Table::Supply, Table::Lots, Table::Safety];
    let only = |of: &[Table]| tables.iter().all(|table| of.contains(table));
    ensure(
        scope.warehouse.is_none() || only(&of_stock),
        "scope.warehouse",
        "only stock, supply, lots, safety and orders are handed over by warehouse",
    )?;
    ensure(
        scope.class.is_none() || (only(&[Table::Items, Table::Prices]) && backends.is_none()),
        "scope.class",
        "only items and prices are handed over by class",
    )?;
    ensure(tables.is_empty() || handover.from != handover.to, "to", "it is the old source")?;
    let other = backends.as_ref().is_none_or(|backends| backends.from != backends.to);
    ensure(other, "backends.to", "it is the old backend")?;
    ensure(moved.is_empty() || backends.is_some(), "moved", "orders move with backends alone: name them")?;
    let orders: BTreeSet<&OrderId> = moved.iter().map(|moved| &moved.order).collect();
    ensure(orders.len() == moved.len(), "moved", "an order is named twice")
}

fn check_order(place: &PlaceOrder) -> Check {
    let derived = OrderId::derive(&place.keyed.account, &place.keyed.key);
    ensure(place.order == derived, "order", "the id is not the one of account and key")?;
    not_negative("total", place.total)?;
    place.credit.as_ref().map_or(Ok(()), |credit| not_negative("credit.amount", credit.amount))?;
    check_terms(&place.terms)?;
    check_lines(place.lines.iter().map(|line| &line.stock))?;
    let mut prices = place.lines.iter().filter_map(|line| line.price.as_ref());
    prices.try_for_each(|price| positive("lines.price.per", price.per))?;
    place.lines.iter().flat_map(|line| &line.caps).try_for_each(|cap| not_negative("lines.caps", cap.amount))
}

fn check_hold(place: &PlaceHold) -> Check {
    let derived = super::HoldId::derive(&place.keyed.account, &place.keyed.key);
    ensure(place.hold == derived, "hold", "the id is not the one of account and key")?;
    check_terms(&place.terms)?;
    check_lines(place.lines.iter())
}

fn check_change(change: &ChangeHold) -> Check {
    let says = change.expires_at.is_some() || !change.keep.is_empty();
    ensure(says, "expires_at", "neither a new end nor quantities to keep: nothing to change")?;
    change.keep.values().try_for_each(|kept| not_negative("keep", *kept))
}

fn check_terms(terms: &StockTerms) -> Check {
    ensure(terms.horizon_days <= HORIZON_DAYS_MAX, "terms.horizon_days", "at most 730 days")
}

fn check_lines<'l>(lines: impl Iterator<Item = &'l StockLine>) -> Check {
    let mut names: BTreeSet<&LineId> = BTreeSet::new();
    for line in lines {
        ensure(names.insert(&line.line), "lines.line", "two lines have one name")?;
        positive("lines.quantity", line.quantity)?;
        positive("lines.step", line.step)?;
        line.needs.iter().try_for_each(|need| check_need(need, line.warehouses.len()))?;
    }
    ensure(!names.is_empty(), "lines", "at least one line")
}

fn check_need(need: &Need, warehouses: usize) -> Check {
    let fraction = need.numerator > 0 && need.denominator > 0;
    ensure(fraction, "lines.needs.numerator", "numerator and denominator must be above 0")?;
    ensure(need.cells.len() == warehouses, "lines.needs.cells", "one cell for each warehouse of the line")
}

fn check_edit(edit: &EditOrder) -> Check {
    let nothing = "neither facts to set nor facts to clear: to send it again as it is, redispatch it";
    ensure(!edit.touched().is_empty(), "set", nothing)?;
    let set = EditOrder { clear: Vec::new(), ..edit.clone() }.touched();
    // References are cleared before others are put in; a single fact cannot be both.
    let both = edit.clear.iter().any(|fact| *fact != EditableFact::References && set.contains(fact));
    ensure(!both, "clear", "a fact is set and cleared")
}

fn check_progress(lines: &[LineProgress]) -> Check {
    let mut names: BTreeSet<&LineId> = BTreeSet::new();
    for line in lines {
        ensure(names.insert(&line.line), "lines.line", "two lines have one name")?;
        for (field, quantity) in [
            ("lines.shipped", line.shipped),
            ("lines.cancelled", line.cancelled),
            ("lines.returned", line.returned),
            ("lines.restocked", line.restocked),
        ] {
            quantity.map_or(Ok(()), |quantity| not_negative(field, quantity))?;
        }
        let back = line.returned.zip(line.restocked).is_none_or(|(returned, of_it)| of_it <= returned);
        ensure(back, "lines.restocked", "more than was returned")?;
    }
    Ok(())
}
