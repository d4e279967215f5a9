//! Acts: each needs an `Idempotency-Key`, says who and why, and is an entry of the ledger.

use serde::{Deserialize, Serialize};

use crate::api::OrderAnswer;
use crate::codec::{bounded, bounded_text};
use crate::limits::{LIST_MAX, TEXT_BYTES_MAX};
use crate::order::{EditableFact, EditedFacts, RouteRule};
use crate::{AsOf, LineId, MarkId, SourceId, StreamSequence};

/// Approve, reject, dismiss.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActRequest {
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// A replay, or a move to another backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RedispatchRequest {
    /// The generation that is closed, as it was shown; about another one nothing changes.
    pub closes: u32,
    /// Without: the backend that had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 32))]
    pub backend: Option<SourceId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// Corrects what nobody judged by, and sends the order again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EditRequest {
    /// The generation that is closed, as it was shown: 0 where there was none.
    pub closes: u32,
    #[serde(default)]
    pub set: EditedFacts,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub clear: Vec<EditableFact>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// What the order promised counts as contained in the source's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseRequest {
    /// Without: all lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub line: Option<LineId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// The whole table of order routing, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoutingRequest {
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>, max_items = 1024))]
    pub rules: Vec<RouteRule>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ActOutcome {
    /// `detail` says what.
    Changed,
    /// It came too late, or cannot follow: `detail` says why nothing changed.
    Ignored,
    /// It is or may be in the ledger, and was not judged in time: ask again with the same key.
    Pending,
}

/// What became of an act, by this node's own fold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ActAnswer {
    pub outcome: ActOutcome,
    pub detail: String,
    /// Its entry of the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub position: Option<StreamSequence>,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    /// The order as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<OrderAnswer>,
}
