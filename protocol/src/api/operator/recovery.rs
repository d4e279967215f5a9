//! What a node still knows of orders when the broker has lost the end of its ledger.

use serde::{Deserialize, Serialize};

use crate::{Incarnation, SourceId, StreamSequence};

/// `GET /v1/operator/recovery`: for `pannier recover`, a page of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecoveryPage {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub node: SourceId,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub incarnation: Option<Incarnation>,
    /// `refused` where the node found that its streams are not those that it read: only then there are parts.
    pub state: String,
    pub detail: String,
    /// The last entries that it read.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub ledger: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub catalog: StreamSequence,
    /// Of `parts`.
    pub format: u32,
    pub parts_count: u64,
    /// From the asked one on, as `decision.recover` carries them.
    pub parts: Vec<String>,
}
