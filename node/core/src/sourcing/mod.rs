//! Spreads a line over warehouses and days: the arithmetic that a lookup shows and that a verdict promises by,
//! so that the two cannot differ. It knows numbers only: where stock is read, and whose rows count, is said by
//! its callers.
//!
//! From the inside out: a [`Position`] is what one warehouse has of one item by day; its [`Atp`] never takes from
//! a later day; a [`Ladder`] is what a warehouse can ship of the line in whole order units; the [`Plan`] spreads
//! the line over the ladders. What a line takes is noted in [`Taken`], and the next line finds less.

mod ladder;
mod position;
mod taken;

use pannier_protocol::Decimal;
use pannier_protocol::change::SourcingMode;

use crate::dictionary::{ItemNo, WarehouseNo};
use crate::quantity::Exact;

pub(crate) use ladder::{Ladder, Plan, Shipment, available, plan};
use position::Few;
pub(crate) use position::Position;
pub use taken::Taken;
pub(crate) use taken::Taking;

/// What one order unit takes of one item: a kit's component, or the item itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Need {
    pub(crate) item: ItemNo,
    /// In base units of the item.
    pub(crate) per_unit: Exact,
}

/// A line with what it needs, what earlier lines took, and how it may be spread.
#[derive(Clone, Copy)]
pub(crate) struct Sourced<'l> {
    /// `None`: what one unit takes cannot be computed, and nothing is promised.
    pub(crate) needs: Option<&'l [Need]>,
    pub(crate) mode: SourcingMode,
    /// The smallest part of a unit that ships by itself.
    pub(crate) step: Decimal,
    pub(crate) taken: &'l Taken,
}

impl Sourced<'_> {
    /// `positions` are those of the needs, in their order. What cannot be computed is not promised.
    pub(crate) fn ladder(&self, warehouse: WarehouseNo, positions: &[Position]) -> Ladder {
        // Only a line that waits for its last piece keeps what could leave before.
        let keeping = self.mode == SourcingMode::ShipComplete;
        let each = |needs: &[Need]| {
            let each = needs.iter().zip(positions).map(|(need, position)| {
                let taken = self.taken.of(need.item, warehouse);
                Some((need.per_unit, position.atp(taken, keeping)?))
            });
            each.collect::<Option<Few<_>>>()
        };
        let ladder = self.needs.and_then(each).and_then(|each| Ladder::new(warehouse, &each, self.step));
        ladder.unwrap_or(Ladder { warehouse, now: Decimal::ZERO, steps: Few::new() })
    }

    /// What a plan over these ladders takes of each item.
    pub(crate) fn takings(&self, ladders: &[Ladder], plan: &Plan) -> Vec<Taking> {
        let of_shipment = |shipment: &Shipment| {
            let (warehouse, day) = (ladders[shipment.at].warehouse, shipment.day);
            let units = Exact::from_decimal(shipment.quantity);
            self.needs.into_iter().flatten().filter_map(move |need| {
                let quantity = need.per_unit.checked_mul(units)?;
                Some(Taking { item: need.item, warehouse, day, quantity })
            })
        };
        plan.shipments.iter().flat_map(of_shipment).collect()
    }
}
