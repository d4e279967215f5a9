//! What may be offered in place of an item: alternatives always; substitutes and replacements when the line is
//! not in stock, so that a superseded item is sold out first.
//!
//! Relations are followed in their own direction only. A replacement that is discontinued or hidden from the
//! account hands on to its own replacements; who was met already is not met again, so a cycle ends.

use std::sync::Arc;

use pannier_protocol::Decimal;
use pannier_protocol::change::{ItemStatus, RelationKind};

use super::step;
use crate::catalog::items::is_visible;
use crate::catalog::{AccountContext, CatalogTables, ItemRecord, OrderUnit, RelationRecord, find_item};
use crate::dictionary::ItemNo;
use crate::limits::{OFFERS_MAX, REPLACEMENT_DEPTH_MAX};
use crate::quantity::Exact;

/// A line that others may stand for.
#[derive(Clone, Copy)]
pub struct OfferQuestion<'a> {
    pub catalog: &'a CatalogTables,
    pub account: Option<&'a AccountContext>,
    pub item: &'a ItemRecord,
    pub unit: OrderUnit,
    /// Of the unit.
    pub quantity: Decimal,
    /// See [`super::Promise::is_in_stock`].
    pub in_stock: bool,
}

/// An item that may be offered, and how much of it stands for the whole line. The caller prices it like a line
/// of its own and asks [`super::promise`] for it, without taking anything.
#[derive(Debug, Clone)]
pub struct Candidate {
    pub relation: RelationKind,
    pub item: Arc<ItemRecord>,
    pub unit: OrderUnit,
    /// Whole units, rounded up to what can be ordered.
    pub quantity: Decimal,
}

/// In the order in which the item's record names them; at most [`OFFERS_MAX`].
pub fn candidates(question: &OfferQuestion<'_>) -> Vec<Candidate> {
    let mut offers = Offers { question, met: vec![question.item.item], found: Vec::new() };
    let Some(quantity) = question.unit.to_base(question.quantity) else {
        return Vec::new();
    };
    for relation in &question.item.relations {
        match relation.relation {
            RelationKind::Alternative => offers.direct(relation, quantity),
            RelationKind::Substitute if !question.in_stock => offers.direct(relation, quantity),
            RelationKind::Replacement if !question.in_stock => offers.replacement(relation, quantity, 1),
            RelationKind::Substitute | RelationKind::Replacement => {}
        }
    }
    offers.found
}

struct Offers<'q, 'a> {
    question: &'q OfferQuestion<'a>,
    met: Vec<ItemNo>,
    found: Vec<Candidate>,
}

impl Offers<'_, '_> {
    fn direct(&mut self, relation: &RelationRecord, base_quantity: Exact) {
        if let Some(item) = find_item(self.question.catalog, relation.item)
            && is_visible(&item, self.question.account)
        {
            self.offer(relation, item, base_quantity);
        }
    }

    fn replacement(&mut self, relation: &RelationRecord, base_quantity: Exact, depth: usize) {
        if depth > REPLACEMENT_DEPTH_MAX || self.met.contains(&relation.item) {
            return;
        }
        self.met.push(relation.item);
        let Some(item) = find_item(self.question.catalog, relation.item) else {
            return;
        };
        if item.status == ItemStatus::Active && is_visible(&item, self.question.account) {
            return self.offer(relation, item, base_quantity);
        }
        let Some(stands_for) = in_unit(relation, &item, base_quantity) else {
            return;
        };
        let Some(base_quantity) = stands_for.0.checked_mul(stands_for.1.factor) else {
            return;
        };
        let next = item.relations.iter().filter(|next| next.relation == RelationKind::Replacement);
        next.for_each(|next| self.replacement(next, base_quantity, depth + 1));
    }

    fn offer(&mut self, relation: &RelationRecord, item: Arc<ItemRecord>, base_quantity: Exact) {
        let known = |known: &Candidate| (known.relation, known.item.item) == (relation.relation, item.item);
        if self.found.len() == OFFERS_MAX || self.found.iter().any(known) {
            return;
        }
        let sized = in_unit(relation, &item, base_quantity).and_then(|(quantity, unit)| {
            let quantity = unit.quantity_to_order(rounded_up(quantity, step(&unit))?)?;
            Some((quantity, unit))
        });
        if let Some((quantity, unit)) = sized {
            self.found.push(Candidate { relation: relation.relation, item, unit, quantity });
        }
    }
}

/// What stands for `base_quantity` of the item that carries the relation; `None` where the other item lacks
/// the unit.
fn in_unit(relation: &RelationRecord, item: &ItemRecord, base_quantity: Exact) -> Option<(Exact, OrderUnit)> {
    let unit = item.uom(relation.uom)?;
    let quantity = base_quantity.checked_mul(relation.ratio)?;
    let (uom, factor) = (unit.uom, unit.factor);
    Some((quantity, OrderUnit { uom, factor, multiple: unit.multiple, minimum: unit.minimum }))
}

fn rounded_up(quantity: Exact, step: Decimal) -> Option<Decimal> {
    let steps = quantity.checked_div(Exact::from_decimal(step))?.ceil();
    let micros = steps.checked_mul(i128::from(step.micros()))?;
    i64::try_from(micros).ok().map(Decimal::from_micros)
}
