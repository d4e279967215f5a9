//! What is sold, under which numbers, and in place of what.

use serde::{Deserialize, Serialize};

use crate::codec::{bounded, bounded_option};
use crate::limits::{LIST_MAX, TEXT_BYTES_MAX};
use crate::uom::ItemUom;
use crate::{AccountId, ClassId, Decimal, EntitlementId, ItemId, UomCode};

/// One item, whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    pub item: ItemId,
    /// At most 1,024 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    pub description: Option<String>,
    /// The unit that stock is promised in; it need not stand in `uoms`, where it would be 1/1.
    pub base_uom: UomCode,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub uoms: Vec<ItemUom>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    /// Only accounts with this entitlement see the item; without, everybody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entitlement: Option<EntitlementId>,
    #[serde(default)]
    pub status: ItemStatus,
    /// Orders past what is there are taken and delivered later.
    #[serde(default)]
    pub backorder: bool,
    #[serde(default)]
    pub lot_tracked: bool,
    /// Not empty: the item is a kit, holds no stock of its own and is promised from its components.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub kit: Vec<KitComponent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub relations: Vec<Relation>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemStatus {
    #[default]
    Active,
    /// Sold out, never bought again.
    Discontinued,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KitComponent {
    pub item: ItemId,
    /// Per base unit of the kit, in `uom`.
    pub quantity: Decimal,
    pub uom: UomCode,
}

/// One direction from the item that carries it: `numerator / denominator` of `item` in `uom` stand for
/// one base unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    pub relation: RelationKind,
    pub item: ItemId,
    pub uom: UomCode,
    pub numerator: u32,
    pub denominator: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RelationKind {
    /// Offered beside the item.
    Alternative,
    /// Offered when the item is short.
    Substitute,
    /// Supersedes the item, which is sold out first.
    Replacement,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemRemoved {
    pub item: ItemId,
}

/// Another party's number of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    pub kind: ReferenceKind,
    /// The number as the other party writes it.
    pub number: ItemId,
    pub item: ItemId,
    /// What one of that number is; the line's own unit beats it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uom: Option<UomCode>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReferenceKind {
    /// That account's own number.
    Customer(AccountId),
    /// A number that all customers may use.
    SharedCustomer,
    Vendor,
    Gtin,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceRemoved {
    pub kind: ReferenceKind,
    pub number: ItemId,
}
