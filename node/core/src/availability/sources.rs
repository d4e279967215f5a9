//! What a verdict needs to know of a line beside the ledger: which warehouses may ship it, what one unit takes of
//! which items, and whose rows count where. The same choices as those of a promise, without the figures.

use pannier_protocol::order::{Need, NeedCell};
use pannier_protocol::{Decimal, UomCode, WarehouseId};

use super::reader::{Flags, Reader, Records};
use super::recipe::{Ingredient, recipe};
use super::{StockQuestion, backorder_allowed, eligible, step};
use crate::freshness::Consulted;
use crate::quantity::Exact;

/// Where a line may be taken from.
#[derive(Debug)]
pub(crate) struct Sources {
    /// In sourcing order.
    pub(crate) warehouses: Vec<WarehouseId>,
    /// Empty for a kit that cannot be taken apart, and where a factor is out of range: it sells nothing.
    pub(crate) needs: Vec<Need>,
    pub(crate) step: Decimal,
    pub(crate) consulted: Consulted,
    pub(crate) flags: Flags,
}

pub(crate) fn sources(question: &StockQuestion<'_>) -> Sources {
    let mut reader = Reader::new(question);
    let ingredients = recipe(question.catalog, question.item, &mut reader.consulted);
    let records: Vec<Records<'_>> =
        ingredients.iter().map(|ingredient| reader.records(ingredient.item.record())).collect();
    let numbers = eligible(question, &mut reader, &records);
    let needs = ingredients.iter().zip(&records).map(|(ingredient, records)| {
        let cells = numbers.iter().map(|warehouse| reader.sources(records, *warehouse)).collect();
        need(question, ingredient, cells)
    });
    let needs = needs.collect::<Option<Vec<_>>>().unwrap_or_default();
    let name = |warehouse| WarehouseId::new(question.dictionary.warehouses.name(warehouse)).ok();
    Sources {
        warehouses: numbers.into_iter().filter_map(name).collect(),
        needs,
        step: step(&question.unit),
        consulted: reader.consulted,
        flags: reader.flags,
    }
}

/// `None` out of range.
fn need(question: &StockQuestion<'_>, ingredient: &Ingredient<'_>, cells: Vec<NeedCell>) -> Option<Need> {
    let record = ingredient.item.record();
    let per_unit: Exact = ingredient.quantity.checked_mul(question.unit.factor)?;
    Some(Need {
        item: record.id.clone(),
        base_uom: UomCode::new(question.dictionary.uoms.name(record.base_uom)).ok()?,
        numerator: i64::try_from(per_unit.numerator()).ok()?,
        denominator: i64::try_from(per_unit.denominator()).ok()?,
        lot_tracked: record.lot_tracked,
        // Of what is sold: so a lookup says whether a kit may be back-ordered.
        backorder: backorder_allowed(question.item),
        cells,
    })
}
