//! What one unit of a line takes from a warehouse: the item itself, or the components of a kit.

use std::sync::Arc;

use pannier_protocol::Partition;

use crate::catalog::{CatalogTables, ItemRecord, find_item};
use crate::dictionary::ItemNo;
use crate::freshness::{Consulted, RowFacts};
use crate::limits::{KIT_DEPTH_MAX, KIT_PARTS_MAX};
use crate::quantity::Exact;
use crate::sourcing::Need;

/// One item that is taken; each stands once, however often a kit contains it.
#[derive(Debug, Clone)]
pub(super) struct Ingredient<'a> {
    pub(super) item: ItemRef<'a>,
    /// Base units of it for one base unit of what is sold.
    pub(super) quantity: Exact,
}

/// The line's own record, or one that the kit named.
#[derive(Debug, Clone)]
pub(super) enum ItemRef<'a> {
    Line(&'a ItemRecord),
    Component(Arc<ItemRecord>),
}

impl Ingredient<'_> {
    /// `factor`: base units of what is sold in one order unit. `None` out of range.
    pub(super) fn need(&self, factor: Exact) -> Option<Need> {
        Some(Need { item: self.item.record().item, per_unit: self.quantity.checked_mul(factor)? })
    }
}

impl ItemRef<'_> {
    pub(super) fn record(&self) -> &ItemRecord {
        match self {
            Self::Line(record) => record,
            Self::Component(record) => record,
        }
    }
}

/// The ingredients of an item; empty for a kit that cannot be taken apart: a component or its unit is unknown,
/// kits nest too deep (a cycle does) or are too many.
pub(super) fn recipe<'a>(
    catalog: &CatalogTables,
    item: &'a ItemRecord,
    consulted: &mut Consulted,
) -> Vec<Ingredient<'a>> {
    if item.kit.is_empty() {
        return vec![Ingredient { item: ItemRef::Line(item), quantity: Exact::ONE }];
    }
    let mut kit = Explosion { catalog, consulted, ingredients: Vec::new(), parts: 0 };
    let whole = kit.add(item, Exact::ONE, 1);
    whole.map(|()| kit.ingredients).unwrap_or_default()
}

struct Explosion<'c> {
    catalog: &'c CatalogTables,
    consulted: &'c mut Consulted,
    ingredients: Vec<Ingredient<'static>>,
    parts: usize,
}

impl Explosion<'_> {
    fn add(&mut self, kit: &ItemRecord, kits: Exact, depth: usize) -> Option<()> {
        if depth > KIT_DEPTH_MAX {
            return None;
        }
        for part in &kit.kit {
            self.parts += 1;
            if self.parts > KIT_PARTS_MAX {
                return None;
            }
            let record = self.component(part.item)?;
            let per_kit = Exact::from_decimal(part.quantity).checked_mul(record.uom(part.uom)?.factor)?;
            let quantity = kits.checked_mul(per_kit)?;
            if !record.kit.is_empty() {
                self.add(&record, quantity, depth + 1)?;
                continue;
            }
            match self.ingredients.iter_mut().find(|known| known.item.record().item == record.item) {
                Some(known) => known.quantity = known.quantity.checked_add(quantity)?,
                None => self.ingredients.push(Ingredient { item: ItemRef::Component(record), quantity }),
            }
        }
        Some(())
    }

    /// Notes the chains that have the component, or all where none has.
    fn component(&mut self, item: ItemNo) -> Option<Arc<ItemRecord>> {
        let chains = self.catalog.chains(Partition::Shared);
        let found = find_item(self.catalog, item);
        let Some(record) = &found else {
            chains.iter().for_each(|chain| self.consulted.note(&chain.status));
            return None;
        };
        for chain in chains {
            let Some(row) = chain.rows.item(item) else { continue };
            self.consulted.note(&chain.status);
            let facts = || RowFacts { item: Some(record.id.as_str()), ..RowFacts::default() };
            let condemned =
                if Arc::ptr_eq(&row, record) { chain.status.condemns(row.version, facts) } else { None };
            condemned.into_iter().for_each(|mode| self.consulted.note_invalidated(mode));
        }
        found
    }
}
