//! What a backend is asked to do, on `dispatch.<backend>.<order>.<generation>`: everything that it needs, so that
//! an adapter reads nothing else. Create-only: however often a node publishes it, it is there once.

use serde::{Deserialize, Serialize};

use super::{EffectId, OrderId, OrderRequestFacts, PriceRecord};
use crate::codec::{bounded, bounded_option};
use crate::limits::{LIST_MAX, ORDER_LINES_MAX, TRACEPARENT_BYTES_MAX};
use crate::{
    AccountId, Currency, Decimal, ItemId, LineId, LocalDate, SourceId, Timestamp, UomCode, WarehouseId,
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dispatch {
    /// The outbox entry that this is.
    pub effect: EffectId,
    pub kind: DispatchKind,
    pub order: OrderId,
    /// From 1. A second `create` exists only after the one before was closed; a `cancel` has the next number.
    pub generation: u32,
    pub backend: SourceId,
    pub account: AccountId,
    /// Ledger time at which the order was accepted.
    pub accepted_at: Timestamp,
    pub facts: OrderRequestFacts,
    pub currency: Currency,
    pub total: Decimal,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_LINES_MAX>")]
    pub lines: Vec<DispatchLine>,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TRACEPARENT_BYTES_MAX>"
    )]
    pub traceparent: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DispatchKind {
    /// Create the order, once.
    Create,
    /// Cancel it, if that is still possible; what became of it comes back as an event.
    Cancel,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DispatchLine {
    pub line: LineId,
    pub item: ItemId,
    /// What was accepted, in `uom`.
    pub quantity: Decimal,
    pub uom: UomCode,
    pub price: PriceRecord,
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub promised: Vec<PromisedPart>,
}

/// A part of a line, with when and where from it was promised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PromisedPart {
    /// In the line's unit.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub quantity: Decimal,
    /// Without: back-ordered, no day is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Date))]
    pub date: Option<LocalDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub warehouse: Option<WarehouseId>,
}
