//! A scope of rows and orders passes from one system to another, at one entry for all nodes.

use serde::{Deserialize, Serialize};

use super::{ActKey, OrderId, SourcePosition};
use crate::change::{ChainPoint, Ownership, Table};
use crate::codec::{bounded, bounded_text};
use crate::limits::{HANDOVER_TABLES_MAX, LIST_MAX, TEXT_BYTES_MAX, TICK_SUBJECTS_MAX};
use crate::subject::Subject;
use crate::{ClassId, DocumentId, MarkId, SourceId, StreamSequence, WarehouseId};

/// From this entry on rows of `to` count where rows of `from` did, and orders of the scope are the other backend's.
/// What the catalog decides is resolved in it, so that every node does the same. Handing back is the same entry the
/// other way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Handover {
    pub scope: HandoverScope,
    pub from: SourceId,
    pub to: SourceId,
    /// Without: orders stay with the backends that they have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Backends>,
    /// How far the chains of `to` were complete; the ledger's are looked at again by the fold.
    #[serde(deserialize_with = "bounded::<_, _, TICK_SUBJECTS_MAX>")]
    pub snapshots: Vec<ChainPoint>,
    /// How far a node must have read the catalog before it chooses by `ownership`.
    #[serde(
        default,
        skip_serializing_if = "Vec::is_empty",
        deserialize_with = "bounded::<_, _, TICK_SUBJECTS_MAX>"
    )]
    pub catalog: Vec<CatalogPoint>,
    /// The version of ownership that `ownership` was made from, and which it follows.
    pub replaces: u64,
    /// The whole document that is in force from here on.
    pub ownership: Ownership,
    /// Orders that the new backend has already; all others stay or are called back.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub moved: Vec<MovedOrder>,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// What is handed over.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandoverScope {
    /// Empty: only orders.
    #[serde(default, deserialize_with = "bounded::<_, _, HANDOVER_TABLES_MAX>")]
    pub tables: Vec<Table>,
    /// Of stock, and of orders: those that are all from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseId>,
    /// Of items and prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
}

/// Who received orders, and who does from here on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Backends {
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub from: SourceId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub to: SourceId,
}

/// A place in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogPoint {
    /// A chain of the new source; its partition is what is read so far.
    pub subject: Subject,
    pub position: StreamSequence,
}

/// An order in flight that was carried over outside of Pannier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MovedOrder {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order: OrderId,
    /// Its number at the new backend.
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub document: DocumentId,
    /// From which position on the new sources' figures contain it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub reflected_from: Vec<SourcePosition>,
}

impl HandoverScope {
    /// Whether rows of a table are handed over, wherever they are.
    pub fn has(&self, table: Table) -> bool {
        self.tables.iter().any(|named| *named == table || *named == Table::All)
    }
}
