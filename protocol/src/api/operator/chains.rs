//! Acts on what sources said: condemn it, or ask for it anew.

use serde::{Deserialize, Serialize};

use crate::change::{InvalidateMode, InvalidateScope};
use crate::codec::{bounded, bounded_text};
use crate::limits::{LIST_MAX, TEXT_BYTES_MAX};
use crate::subject::Subject;
use crate::{AsOf, MarkId, StreamSequence};

/// Rows that must not be trusted any more, as far as this node has read the chains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidateRequest {
    /// `"all"`, or one of `item`, `account`, `contract`, `price_list`, `warehouse`, `source` with its id.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub scope: InvalidateScope,
    /// `soft`: served and flagged; `hard`: not served until sent anew.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub mode: InvalidateMode,
    /// Of these chains alone; without: of all that the scope may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, max_items = 1024))]
    pub subjects: Vec<Subject>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// What an invalidation would condemn on this node, chain by chain; those with nothing are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InvalidateDryRun {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    pub rows_count: u64,
    pub chains: Vec<CondemnedShown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CondemnedShown {
    /// Without the prefix, as in `ledger.stock.wms-1`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub subject: Subject,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub epoch: StreamSequence,
    /// Of the last message that would be condemned.
    pub sequence: u64,
    /// Stock cells, price rows, items and accounts; of promotions and contracts those that name what is condemned.
    pub rows_count: u64,
}

/// Chains that their sources are to send anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResyncRequest {
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, max_items = 1024))]
    pub subjects: Vec<Subject>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// Nobody acknowledges a request: that a snapshot came is seen in the list of sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ResyncAnswer {
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub asked: Vec<Subject>,
}
