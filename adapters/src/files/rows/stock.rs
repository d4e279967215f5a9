//! Stock, supply, lots and safety stock.

use pannier_protocol::change::{Lot, LotsSet, SafetySet, StockRemoved, StockSet, SupplyRemoved, SupplySet};
use pannier_protocol::{Change, Decimal, ItemId, UomCode, WarehouseId};

use super::gather::{Gathered, checked, one_by_one};
use super::{Body, Parsed};
use crate::files::row::{Cell, CellError, Row};
use crate::files::table::REMOVED;

/// In which unit quantities are, where the file does not say.
pub(super) struct Units<'a> {
    pub(super) base_uom: &'a dyn Fn(&ItemId) -> Option<UomCode>,
}

impl Units<'_> {
    fn uom(&self, row: &Row<'_>, item: &ItemId) -> Cell<UomCode> {
        if let Some(uom) = row.id("uom")? {
            return Ok(uom);
        }
        (self.base_uom)(item).ok_or_else(|| {
            let reason = format!("no unit, and item {item} is in no items file of this source; map uom");
            CellError { column: "uom".to_owned(), reason }
        })
    }
}

fn cell_of(row: &Row<'_>) -> Cell<(ItemId, WarehouseId)> {
    Ok((row.needed_id("item")?, row.needed_id("warehouse")?))
}

pub(super) fn stock(rows: &[Row<'_>], units: &Units<'_>) -> Parsed {
    let set = |row: &Row<'_>| {
        let (item, warehouse) = cell_of(row)?;
        Ok(Change::StockSet(StockSet {
            uom: units.uom(row, &item)?,
            item,
            warehouse,
            class: row.id("class")?,
            on_hand: row.needed_decimal("on_hand")?,
            allocated: row.decimal("allocated")?.unwrap_or(Decimal::ZERO),
            quarantine: row.decimal("quarantine")?.unwrap_or(Decimal::ZERO),
            on_hand_is_net: row.yes("on_hand_is_net")?,
            receipts: Vec::new(),
            reflects: None,
        }))
    };
    one_by_one(rows, set, |row| {
        let (item, warehouse) = cell_of(row)?;
        Ok(Change::StockRemoved(StockRemoved { item, warehouse }))
    })
}

pub(super) fn supply(rows: &[Row<'_>], units: &Units<'_>) -> Parsed {
    let set = |row: &Row<'_>| {
        let (item, warehouse) = cell_of(row)?;
        Ok(Change::SupplySet(SupplySet {
            uom: units.uom(row, &item)?,
            item,
            warehouse,
            reference: row.needed_id("reference")?,
            date: row.need("date", row.date("date")?)?,
            quantity: row.needed_decimal("quantity")?,
            received: row.decimal("received")?.unwrap_or(Decimal::ZERO),
        }))
    };
    one_by_one(rows, set, |row| {
        let (item, warehouse) = cell_of(row)?;
        Ok(Change::SupplyRemoved(SupplyRemoved { item, warehouse, reference: row.needed_id("reference")? }))
    })
}

pub(super) fn safety(rows: &[Row<'_>], units: &Units<'_>) -> Parsed {
    let set = |row: &Row<'_>| {
        let (item, warehouse) = cell_of(row)?;
        let uom = units.uom(row, &item)?;
        Ok(Change::SafetySet(SafetySet { item, warehouse, uom, quantity: row.needed_decimal("quantity")? }))
    };
    one_by_one(rows, set, |row| {
        let (item, warehouse) = cell_of(row)?;
        let uom = units.uom(row, &item).unwrap_or_else(|_| any_uom());
        Ok(Change::SafetySet(SafetySet { item, warehouse, uom, quantity: Decimal::ZERO }))
    })
}

/// All lots of one cell are one change; a bad lot spoils its cell, whose sellable quantity would be wrong.
pub(super) fn lots(rows: &[Row<'_>], units: &Units<'_>) -> Parsed {
    let mut cells: Gathered<'_, (ItemId, WarehouseId), LotsSet> = Gathered::new();
    for row in rows {
        let key = cell_of(row).and_then(|key| Ok((key, row.yes(REMOVED)?)));
        let ((item, warehouse), removed) = match key {
            Ok(key) => key,
            Err(error) => {
                cells.reject(*row, error);
                continue;
            }
        };
        cells.add(*row, (item.clone(), warehouse.clone()), true, |cell| {
            let uom = units.uom(row, &item)?;
            let cell =
                cell.get_or_insert_with(|| LotsSet { item, warehouse, uom: uom.clone(), lots: Vec::new() });
            if removed {
                return Ok(());
            }
            if uom != cell.uom {
                return Err(CellError::row(format!("counts in another unit than {}", cell.uom)));
            }
            let lot = row.needed_id("lot")?;
            if cell.lots.iter().any(|other| other.lot == lot) {
                return Err(CellError::row(format!("lot {lot} stands twice")));
            }
            let (quantity, expires) = (row.needed_decimal("quantity")?, row.date("expires")?);
            cell.lots.push(Lot { lot, quantity, expires });
            Ok(())
        });
    }
    let finished = cells.finish(|_, cell| Ok(vec![checked(Change::LotsSet(cell))?]));
    let removal = |(item, warehouse): (ItemId, WarehouseId)| {
        let uom = (units.base_uom)(&item).unwrap_or_else(any_uom);
        Change::LotsSet(LotsSet { item, warehouse, uom, lots: Vec::new() })
    };
    let failed = finished.failed.into_iter().map(removal).collect();
    Parsed { body: Body::Groups(finished.built), rejects: finished.rejects, failed, ..Parsed::default() }
}

/// A removal is in no unit.
fn any_uom() -> UomCode {
    UomCode::new("EA").expect("two letters are a unit")
}
