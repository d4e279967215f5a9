//! Items, their units, kits and relations, and other parties' numbers of them.

use std::collections::BTreeSet;

use pannier_protocol::change::{
    Item, ItemRemoved, KitComponent, Reference, ReferenceKind, ReferenceRemoved, Relation,
};
use pannier_protocol::uom::ItemUom;
use pannier_protocol::{Change, ItemId, UomCode};

use super::gather::{Gathered, checked, one_by_one};
use super::{Body, Parsed};
use crate::files::row::{Cell, CellError, Row};
use crate::files::table::REMOVED;

pub(super) fn items(rows: &[Row<'_>]) -> Parsed {
    let (mut parsed, mut gone) = (Parsed::default(), BTreeSet::new());
    let mut items: Gathered<'_, ItemId, Item> = Gathered::new();
    for row in rows {
        let taken = (|| -> Cell<()> {
            let id: ItemId = row.needed_id("item")?;
            if row.yes(REMOVED)? {
                gone.insert(id);
                return Ok(());
            }
            gone.remove(&id);
            let (first, unit) = (item(row, id.clone()), uom(row));
            items.add(*row, id, false, |item| {
                if item.is_none() {
                    *item = Some(first?);
                }
                match (item, unit?) {
                    (Some(item), Some(unit)) => add_uom(&mut item.uoms, unit),
                    (Some(_) | None, _) => Ok(()),
                }
            });
            Ok(())
        })();
        if let Err(error) = taken {
            items.reject(*row, error);
        }
    }
    let finished = items.finish(|_, item| {
        checked(Change::Item(item.clone()))?;
        Ok(item)
    });
    parsed.body = Body::Items(finished.built);
    parsed.rejects = finished.rejects;
    let removal = |item| Change::ItemRemoved(ItemRemoved { item });
    parsed.removed = gone.into_iter().map(removal).collect();
    parsed.failed = finished.failed.into_iter().map(removal).collect();
    parsed
}

fn item(row: &Row<'_>, item: ItemId) -> Cell<Item> {
    Ok(Item {
        item,
        description: row.text("description")?,
        base_uom: row.needed_id("base_uom")?,
        uoms: Vec::new(),
        class: row.id("class")?,
        entitlement: row.id("entitlement")?,
        status: row.word("status")?.unwrap_or_default(),
        backorder: row.yes("backorder")?,
        lot_tracked: row.yes("lot_tracked")?,
        kit: Vec::new(),
        relations: Vec::new(),
    })
}

fn uom(row: &Row<'_>) -> Cell<Option<ItemUom>> {
    let Some(uom) = row.id::<UomCode>("uom")? else { return Ok(None) };
    Ok(Some(ItemUom {
        uom,
        numerator: row.count("numerator")?.unwrap_or(1),
        denominator: row.count("denominator")?.unwrap_or(1),
        multiple: row.decimal("multiple")?,
        minimum: row.decimal("minimum")?,
    }))
}

fn add_uom(uoms: &mut Vec<ItemUom>, uom: ItemUom) -> Cell<()> {
    if uom.numerator == 0 || uom.denominator == 0 {
        return Err(CellError::row("numerator and denominator must be above 0"));
    }
    if uoms.iter().any(|other| other.uom == uom.uom) {
        return Err(CellError::row(format!("the unit {} stands twice", uom.uom)));
    }
    uoms.push(uom);
    Ok(())
}

pub(super) fn uoms(rows: &[Row<'_>]) -> Parsed {
    details(rows, Body::Uoms, |row, list| {
        let unit = uom(row)?;
        add_uom(list, row.need("uom", unit)?)
    })
}

pub(super) fn kits(rows: &[Row<'_>]) -> Parsed {
    details(rows, Body::Kits, |row, list: &mut Vec<KitComponent>| {
        let quantity = row.needed_decimal("quantity")?;
        if !quantity.is_positive() {
            return Err(CellError { column: "quantity".to_owned(), reason: "must be above 0".to_owned() });
        }
        let (item, uom) = (row.needed_id("component")?, row.needed_id("component_uom")?);
        list.push(KitComponent { item, quantity, uom });
        Ok(())
    })
}

pub(super) fn relations(rows: &[Row<'_>]) -> Parsed {
    details(rows, Body::Relations, |row, list: &mut Vec<Relation>| {
        let (numerator, denominator) = (row.count("numerator")?, row.count("denominator")?);
        if numerator == Some(0) || denominator == Some(0) {
            return Err(CellError::row("numerator and denominator must be above 0"));
        }
        list.push(Relation {
            relation: row.need("relation", row.word("relation")?)?,
            item: row.needed_id("other_item")?,
            uom: row.needed_id("other_uom")?,
            numerator: numerator.unwrap_or(1),
            denominator: denominator.unwrap_or(1),
        });
        Ok(())
    })
}

/// Lists by item. In a delta file an item's rows are its whole list; a row that is `removed` empties it.
fn details<T>(
    rows: &[Row<'_>],
    body: impl Fn(Vec<(ItemId, Vec<T>)>) -> Body,
    add: impl Fn(&Row<'_>, &mut Vec<T>) -> Cell<()>,
) -> Parsed {
    let mut lists: Gathered<'_, ItemId, Vec<T>> = Gathered::new();
    for row in rows {
        let key = row.needed_id::<ItemId>("item").and_then(|item| Ok((item, row.yes(REMOVED)?)));
        match key {
            Ok((item, removed)) => lists.add(*row, item, false, |list| {
                let list = list.get_or_insert_default();
                if removed { Ok(()) } else { add(row, list) }
            }),
            Err(error) => lists.reject(*row, error),
        }
    }
    let finished = lists.finish(|item, list| Ok((item.clone(), list)));
    Parsed { body: body(finished.built), rejects: finished.rejects, ..Parsed::default() }
}

pub(super) fn references(rows: &[Row<'_>]) -> Parsed {
    let reference = |row: &Row<'_>| {
        let (kind, number) = reference_key(row)?;
        let (item, uom) = (row.needed_id("item")?, row.id("uom")?);
        Ok(Change::Reference(Reference { kind, number, item, uom }))
    };
    one_by_one(rows, reference, |row| {
        let (kind, number) = reference_key(row)?;
        Ok(Change::ReferenceRemoved(ReferenceRemoved { kind, number }))
    })
}

fn reference_key(row: &Row<'_>) -> Cell<(ReferenceKind, ItemId)> {
    let word = row.need("kind", row.text("kind")?)?;
    let kind = match word.as_str() {
        "customer" => ReferenceKind::Customer(row.needed_id("account")?),
        "shared_customer" => ReferenceKind::SharedCustomer,
        "vendor" => ReferenceKind::Vendor,
        "gtin" => ReferenceKind::Gtin,
        _ => {
            let reason = format!("{word:?} is none of customer, shared_customer, vendor, gtin; give a map");
            return Err(CellError { column: "kind".to_owned(), reason });
        }
    };
    Ok((kind, row.needed_id("number")?))
}
