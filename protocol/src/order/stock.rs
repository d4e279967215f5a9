//! What a line takes, and from where: resolved by the intake node, judged by the fold.

use serde::{Deserialize, Serialize};

use crate::change::{PastDue, SourcingMode};
use crate::codec::bounded;
use crate::limits::{LIST_MAX, ORDER_NEEDS_MAX};
use crate::{ContractId, Decimal, ItemId, LineId, SourceId, UomCode, WarehouseId, Zone};

/// How stock is counted for a command: the tenant's policy and the account's as the intake node knew them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockTerms {
    /// Decides which day ledger time is.
    pub zone: Zone,
    /// Supply counts up to this many days after today.
    pub horizon_days: u16,
    pub past_due: PastDue,
    pub mode: SourcingMode,
    /// The version of the handover by which sources were chosen; without: before the first. One that is older than
    /// the handover in force is sent back to be resolved again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handover: Option<u64>,
}

/// A line as far as stock goes. A kit has several needs, any other item one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StockLine {
    pub line: LineId,
    /// The distributor's own number, whatever the client asked by.
    pub item: ItemId,
    /// In `uom`, rounded up to multiple and minimum.
    pub quantity: Decimal,
    pub uom: UomCode,
    /// The smallest part of `quantity` that ships by itself: 1, or the unit's fractional multiple.
    pub step: Decimal,
    pub if_short: IfShort,
    /// In sourcing order; each need has its cells in the same order.
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub warehouses: Vec<WarehouseId>,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_NEEDS_MAX>")]
    pub needs: Vec<Need>,
}

/// What becomes of a line that stock does not cover now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum IfShort {
    /// Promise from supply to come, and the rest without a date, where the item may be back-ordered.
    Backorder,
    /// Take what is there now and drop the rest.
    Partial,
    /// Reject the line, and with it the order.
    #[default]
    Reject,
}

/// What one unit of a line takes of one item, and the cells that may give it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    pub item: ItemId,
    /// Rows in another unit count nothing.
    pub base_uom: UomCode,
    /// Base units for one unit of the line, as a fraction; both above 0.
    pub numerator: i64,
    pub denominator: i64,
    pub lot_tracked: bool,
    /// What is missing may be ordered all the same.
    pub backorder: bool,
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub cells: Vec<NeedCell>,
}

/// Whose rows count at one warehouse; without a source there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NeedCell {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lots: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub safety: Option<SourceId>,
}

/// What a line uses up of a capped contract price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapUse {
    /// Whose cap counts.
    pub source: SourceId,
    pub contract: ContractId,
    /// Without: the cap over all items of the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    /// In the cap's own basis: base units, or the contract's currency.
    pub amount: Decimal,
}
