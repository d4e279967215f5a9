//! Item and entitlement, quantity, unit, in this order (semantics 5, Request).

use std::sync::Arc;

use pannier_protocol::Decimal;
use pannier_protocol::api::{LineAsked, LineStatus, RequestedQuantity};

use super::Refused;
use crate::catalog::{AccountContext, CatalogTables, ItemRecord, OrderUnit, items, uoms};
use crate::dictionary::Dictionary;

/// A line whose item, quantity and unit are in order.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) item: Arc<ItemRecord>,
    pub(crate) unit: OrderUnit,
    /// What was asked, rounded up to what can be ordered.
    pub(crate) quantity: Decimal,
    pub(crate) asked: Decimal,
}

pub(crate) fn resolve(
    catalog: &CatalogTables,
    dictionary: &Dictionary,
    account: Option<&AccountContext>,
    line: LineAsked<'_>,
) -> Result<Resolved, Refused> {
    let found = items::resolve(catalog, dictionary, account, line.item, line.item_type);
    let found = found.ok_or(Refused { status: LineStatus::NotFound, detail: "no such item" })?;
    let RequestedQuantity::Valid(asked) = *line.quantity else {
        let detail = "a quantity is a positive decimal of at most 6 places, as a string";
        return Err(Refused { status: LineStatus::InvalidQuantity, detail });
    };
    let unit = uoms::resolve(&found.record, dictionary, line.uom, found.uom);
    let unit = unit.map_err(|_| Refused {
        status: LineStatus::InvalidUom,
        detail: "the item is not sold in this unit; ask in one of its units",
    })?;
    let quantity = unit.quantity_to_order(asked).ok_or(Refused {
        status: LineStatus::InvalidQuantity,
        detail: "rounded up to multiple and minimum the quantity is out of range; order less",
    })?;
    Ok(Resolved { item: found.record, unit, quantity, asked })
}
