//! What a backend says became of an order. Quantities are cumulative, so that saying it twice changes nothing.

use serde::{Deserialize, Serialize};

use super::OrderId;
use crate::codec::{bounded, bounded_option, bounded_text};
use crate::limits::{LIST_MAX, ORDER_LINES_MAX, TEXT_BYTES_MAX};
use crate::{Decimal, DocumentId, ItemId, LineId, SourceId, Timestamp};

/// The backend has the order as a document of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderAcknowledged {
    pub order: OrderId,
    pub generation: u32,
    /// The backend's own number of it.
    pub document: DocumentId,
    /// Where sources that confirm by position count the order: figures not below it contain the order
    /// (semantics 2.11). Empty where they confirm by name, or later.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub reflected_from: Vec<SourcePosition>,
}

/// A place in a source's own coordinate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePosition {
    pub source: SourceId,
    pub position: u64,
}

/// Lines moved on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderProgressed {
    pub order: OrderId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<Shipment>,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_LINES_MAX>")]
    pub lines: Vec<LineProgress>,
    /// See [`OrderAcknowledged::reflected_from`].
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub reflected_from: Vec<SourcePosition>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipment {
    pub document: DocumentId,
    pub at: Timestamp,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    pub tracking: Option<String>,
}

/// How far a line is, in its own unit, cumulative; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LineProgress {
    pub line: LineId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub returned: Option<Decimal>,
    /// Of `returned`, what went back to sellable stock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restocked: Option<Decimal>,
    /// Delivered in the place of what was ordered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substituted_by: Option<ItemId>,
}

/// The backend has cancelled the whole order, or it never will have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderCancelled {
    pub order: OrderId,
    /// Of the cancel that was carried out; none where the backend cancelled by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
}

/// The backend did not take a dispatch, and will not without help.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderFailed {
    pub order: OrderId,
    pub generation: u32,
    pub class: FailureClass,
    /// What the backend said, and what to do.
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    pub attempts: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FailureClass {
    /// The backend's own rules refuse it: a human decides.
    Business,
    /// It can never be taken as it is: a dead letter, to be edited and replayed, or dismissed.
    Poison,
}
