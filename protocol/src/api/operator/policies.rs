//! What the tenant decides by data, as it is in force.

use serde::{Deserialize, Serialize};

use crate::AsOf;
use crate::change::Policy;

/// `GET /v1/operator/policies`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PoliciesShown {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    /// The rule version that the fold follows.
    pub rules: u32,
    /// By name; one that was never published is not here, and its default holds.
    pub policies: Vec<PolicyShown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PolicyShown {
    /// Its version and the document.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub policy: Policy,
    /// Put in force by a handover, not by a document.
    pub of_handover: bool,
}
