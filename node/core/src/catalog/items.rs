//! Items as lookups read them: interned, one immutable record each.

use std::sync::Arc;

use pannier_protocol::api::ItemType;
use pannier_protocol::change::{Item, ItemStatus, RelationKind, Table};
use pannier_protocol::{ClassId, Decimal, EntitlementId, ItemId, Partition};
use serde::{Deserialize, Serialize};

use super::accounts::AccountContext;
use super::references::{NumberOf, ReferenceRecord};
use super::select::select;
use super::tables::CatalogTables;
use crate::dictionary::{ClassNo, Dictionary, ItemNo, UomNo};
use crate::quantity::Exact;
use crate::rows::RowVersion;

/// One item with everything that a lookup of it needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemRecord {
    pub item: ItemNo,
    pub id: ItemId,
    pub base_uom: UomNo,
    /// The base unit is always among them, as 1/1.
    pub uoms: Box<[UomRecord]>,
    pub class: Option<ClassNo>,
    pub class_id: Option<ClassId>,
    pub entitlement: Option<EntitlementId>,
    pub status: ItemStatus,
    pub backorder: bool,
    pub lot_tracked: bool,
    pub kit: Box<[KitPart]>,
    pub relations: Box<[RelationRecord]>,
    pub version: RowVersion,
}

/// A unit of the item.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct UomRecord {
    pub uom: UomNo,
    /// Base units in one.
    pub factor: Exact,
    pub multiple: Option<Decimal>,
    pub minimum: Option<Decimal>,
}

/// A component of a kit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct KitPart {
    pub item: ItemNo,
    /// Per base unit of the kit, in `uom` of the component.
    pub quantity: Decimal,
    pub uom: UomNo,
}

/// An item that may stand for this one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RelationRecord {
    pub relation: RelationKind,
    pub item: ItemNo,
    pub uom: UomNo,
    /// Of `uom`, for one base unit of the item that carries the relation.
    pub ratio: Exact,
}

impl ItemRecord {
    /// Interns a checked change; `None` when a factor is no number.
    pub fn new(change: &Item, version: RowVersion, dictionary: &Dictionary) -> Option<Self> {
        let base_uom = dictionary.uoms.intern(change.base_uom.as_str());
        let stated = change.uoms.iter().map(|unit| {
            Some(UomRecord {
                uom: dictionary.uoms.intern(unit.uom.as_str()),
                factor: Exact::new(unit.numerator.into(), unit.denominator.into())?,
                multiple: unit.multiple,
                minimum: unit.minimum,
            })
        });
        let mut uoms = stated.collect::<Option<Vec<_>>>()?;
        if uoms.iter().all(|unit| unit.uom != base_uom) {
            uoms.push(UomRecord { uom: base_uom, factor: Exact::ONE, multiple: None, minimum: None });
        }
        let kit = change.kit.iter().map(|part| KitPart {
            item: dictionary.items.intern(part.item.as_str()),
            quantity: part.quantity,
            uom: dictionary.uoms.intern(part.uom.as_str()),
        });
        let relations = change.relations.iter().map(|relation| {
            Some(RelationRecord {
                relation: relation.relation,
                item: dictionary.items.intern(relation.item.as_str()),
                uom: dictionary.uoms.intern(relation.uom.as_str()),
                ratio: Exact::new(relation.numerator.into(), relation.denominator.into())?,
            })
        });
        Some(Self {
            item: dictionary.items.intern(change.item.as_str()),
            id: change.item.clone(),
            base_uom,
            uoms: uoms.into(),
            class: change.class.as_ref().map(|class| dictionary.classes.intern(class.as_str())),
            class_id: change.class.clone(),
            entitlement: change.entitlement.clone(),
            status: change.status,
            backorder: change.backorder,
            lot_tracked: change.lot_tracked,
            kit: kit.collect(),
            relations: relations.collect::<Option<_>>()?,
            version,
        })
    }

    pub fn uom(&self, uom: UomNo) -> Option<&UomRecord> {
        self.uoms.iter().find(|unit| unit.uom == uom)
    }
}

/// An item as it was asked for.
#[derive(Debug, Clone)]
pub struct FoundItem {
    pub record: Arc<ItemRecord>,
    /// What one of the number asked is; the line's own unit beats it.
    pub uom: Option<UomNo>,
}

/// The record of an item, by ownership.
pub fn find_item(tables: &CatalogTables, item: ItemNo) -> Option<Arc<ItemRecord>> {
    let owner = |record: &ItemRecord| tables.ownership.owner(Table::Items, None, record.class_id.as_ref());
    select(&tables.chains.shared, |rows| rows.item(item), owner)
}

/// Whether the item exists for the caller: one that the account may not buy looks unknown.
pub fn is_visible(item: &ItemRecord, account: Option<&AccountContext>) -> bool {
    match (&item.entitlement, account) {
        (None, _) => true,
        (Some(entitlement), Some(account)) => account.is_entitled(entitlement),
        (Some(_), None) => false,
    }
}

/// The item behind the number that a line names: the distributor's own, or another party's. A customer's
/// number is looked up for ship-to, account, ancestors nearest first, then shared.
pub fn resolve(
    tables: &CatalogTables,
    dictionary: &Dictionary,
    account: Option<&AccountContext>,
    number: &str,
    item_type: ItemType,
) -> Option<FoundItem> {
    let (item, uom) = match item_type {
        ItemType::Own => (dictionary.items.get(number)?, None),
        ItemType::Vendor => referenced(tables, account, NumberOf::Vendor, number)?,
        ItemType::Gtin => referenced(tables, account, NumberOf::Gtin, number)?,
        ItemType::Customer => {
            let family = account.into_iter().flat_map(|context| {
                let below = std::iter::once(&context.ship_to).chain(&context.between);
                below.chain([&context.account]).chain(&context.ancestors)
            });
            let owners = family.map(|record| NumberOf::Customer(record.account));
            owners.chain([NumberOf::SharedCustomer]).find_map(|of| referenced(tables, account, of, number))?
        }
    };
    let record = find_item(tables, item).filter(|item| is_visible(item, account))?;
    Some(FoundItem { record, uom })
}

/// Of the family's chains and the shared ones, by ownership.
fn referenced(
    tables: &CatalogTables,
    account: Option<&AccountContext>,
    of: NumberOf,
    number: &str,
) -> Option<(ItemNo, Option<UomNo>)> {
    let family = account.map_or(&[][..], |context| tables.chains(context.partition()));
    let chains = family.iter().chain(tables.chains(Partition::Shared));
    let owner = tables.ownership.owner(Table::References, None, None);
    let found: Arc<ReferenceRecord> = select(chains, |rows| rows.reference(of, number), |_| owner)?;
    Some((found.item, found.uom))
}
