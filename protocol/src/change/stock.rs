//! What sources say about stock. Quantities are in the unit that the change names, as the source meant
//! it: a cell keeps that unit, and an item whose base unit changes makes the old cell stale.

use serde::{Deserialize, Serialize};

use crate::codec::{bounded, bounded_text};
use crate::limits::{ID_BYTES_MAX, LIST_MAX};
use crate::{ClassId, Decimal, ItemId, LocalDate, LotId, SupplyReference, UomCode, WarehouseId};

/// The absolute state of one cell. Replaces what this source said of (item, warehouse) before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockSet {
    pub item: ItemId,
    pub warehouse: WarehouseId,
    pub uom: UomCode,
    /// Product class, by which ownership and staleness budgets may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    pub on_hand: Decimal,
    /// Reserved by the source itself.
    #[serde(default)]
    pub allocated: Decimal,
    /// On hand and not sellable.
    #[serde(default)]
    pub quarantine: Decimal,
    /// `true`: `on_hand` is already less `allocated`, which is then not subtracted again.
    #[serde(default)]
    pub on_hand_is_net: bool,
    /// Receipts that `on_hand` contains and the supply's owner may not have seen yet.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub receipts: Vec<Receipt>,
    /// Which orders of ours the figures already contain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflects: Option<Reflected>,
}

/// A movement: adds to the buckets of a cell, which must exist. Refused while the chain is suspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockAdjust {
    pub item: ItemId,
    pub warehouse: WarehouseId,
    pub uom: UomCode,
    #[serde(default)]
    pub on_hand: Decimal,
    #[serde(default)]
    pub allocated: Decimal,
    #[serde(default)]
    pub quarantine: Decimal,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub receipts: Vec<Receipt>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflects: Option<Reflected>,
}

/// The source no longer keeps this item there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockRemoved {
    pub item: ItemId,
    pub warehouse: WarehouseId,
}

/// What was received on one supply line so far, cumulative, so that saying it twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receipt {
    pub reference: SupplyReference,
    pub received: Decimal,
}

/// How a figure says which orders it contains (semantics 2.11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reflected {
    /// By name: cumulative quantity per order line.
    Lines(#[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")] Vec<ReflectedLine>),
    /// By the source's own position: every order whose document reached its state at or before it.
    Position(u64),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReflectedLine {
    #[serde(deserialize_with = "bounded_text::<_, ID_BYTES_MAX>")]
    pub order: String,
    #[serde(deserialize_with = "bounded_text::<_, ID_BYTES_MAX>")]
    pub line: String,
    /// Cumulative, in base units.
    pub quantity: Decimal,
}

/// Stock to come on one line of a purchase order or transfer; negative: dated demand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplySet {
    pub item: ItemId,
    pub warehouse: WarehouseId,
    pub reference: SupplyReference,
    pub uom: UomCode,
    pub date: LocalDate,
    /// Still to come, as the owner of the line sees it.
    pub quantity: Decimal,
    /// Cumulative quantity received that `quantity` is already less of: receipts past it are netted.
    #[serde(default)]
    pub received: Decimal,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupplyRemoved {
    pub item: ItemId,
    pub warehouse: WarehouseId,
    pub reference: SupplyReference,
}

/// All lots of one cell; an empty list removes them. A lot past its date is on hand and not sellable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LotsSet {
    pub item: ItemId,
    pub warehouse: WarehouseId,
    pub uom: UomCode,
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub lots: Vec<Lot>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    pub lot: LotId,
    pub quantity: Decimal,
    /// The last day on which it may be sold, in the business zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<LocalDate>,
}

/// Stock that is kept back from promises.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SafetySet {
    pub item: ItemId,
    pub warehouse: WarehouseId,
    pub uom: UomCode,
    /// 0 removes it.
    pub quantity: Decimal,
}

/// Whether orders may promise more of an item than there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OversellSet {
    pub item: ItemId,
    pub allowed: bool,
}
