//! How a source whose rows do not count yet compares with those whose rows do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::change::Table;
use crate::{AsOf, Decimal, SourceId};

/// `GET /v1/operator/shadow`. Rows move while they are compared: a key that changes between two reads may be told as
/// different once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ShadowShown {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    /// Whose rows are compared with those that count.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceId,
    /// Those in which any row was compared.
    pub tables: Vec<TableDrift>,
}

/// One table, key by key; keys that the compared source owns itself are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TableDrift {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub table: Table,
    pub equal_count: u64,
    /// Both have a row, and a lookup could answer differently by them.
    pub different_count: u64,
    /// Only the owner has a row.
    pub missing_count: u64,
    /// Only the compared source has one.
    pub extra_count: u64,
    /// How old what is compared is, by source: the compared one, and every owner.
    pub sources: Vec<ComparedSource>,
    /// The largest `by` first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub worst: Vec<Drift>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComparedSource {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceId,
    /// Since all its chains of the table were read to their end; without: some never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Some chain may have missed something, or has not ended its first snapshot: differences may be of that.
    pub suspect: bool,
}

/// One key on which two sources differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Drift {
    /// As in `SKU-4711 @DAL`, or `contract K-7: SKU-4711 BX`.
    pub key: String,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub owner: SourceId,
    /// How far apart: in base units for stock, supply, lots and safety, in the account's currency for credit, in the cap's
    /// basis for caps, in percent of the owner's last break for prices. Without: not a matter of more or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub by: Option<Decimal>,
    /// What the owner says where they differ; all that it says where the other has no row.
    pub owned: BTreeMap<String, String>,
    /// What the compared source says.
    pub shadow: BTreeMap<String, String>,
}
