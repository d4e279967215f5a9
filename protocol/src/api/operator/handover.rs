//! A handover as it is asked for, tried, and shown.

use serde::{Deserialize, Serialize};

use super::TableDrift;
use crate::api::OrderState;
use crate::change::{ChainPoint, OwnershipRule, Table};
use crate::codec::{bounded, bounded_text};
use crate::limits::{HANDOVER_TABLES_MAX, LIST_MAX, TEXT_BYTES_MAX};
use crate::order::{Backends, MovedOrder, RouteRule};
use crate::{AsOf, ClassId, DocumentId, MarkId, OrderId, SourceId, StreamSequence, WarehouseId};

/// `POST /v1/operator/handover`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandoverRequest {
    /// What `from` owns of these tables by the rules in force; empty: only orders.
    #[serde(default, deserialize_with = "bounded::<_, _, HANDOVER_TABLES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>, max_items = 16))]
    pub tables: Vec<Table>,
    /// Only there: of stock, supply, lots, safety and orders.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 32))]
    pub warehouse: Option<WarehouseId>,
    /// Only of this class: of items and prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub class: Option<ClassId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub from: SourceId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 32))]
    pub to: SourceId,
    /// Without: orders stay where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Backends>,
    /// Orders that were carried over to the new backend.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub moved: Vec<MovedOrder>,
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: String,
}

/// `POST /v1/operator/handover?dry_run=true`: all that would be in force, and what becomes of every order in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandoverDryRun {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    /// The version of ownership that it would be.
    pub version: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub ownership: Vec<OwnershipRule>,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub routing: Vec<RouteRule>,
    /// The chains of the new source, and how far each is complete.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub snapshots: Vec<ChainPoint>,
    /// In the order of the ledger.
    pub orders: Vec<InFlightShown>,
    /// How the rows of the new source compare with those that they would replace, by table.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<TableDrift>,
}

/// An order in flight, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct InFlightShown {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order: OrderId,
    pub state: OrderState,
    /// At the old backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub document: Option<DocumentId>,
    pub fate: InFlightFate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum InFlightFate {
    /// With the old backend until it is over.
    Stays,
    /// The new backend has it already.
    Moves,
    /// From the old backend, which may not have made a document yet; then it goes to the new one.
    CalledBack,
    /// For a decision; whatever is sent then goes to the new backend.
    Waits,
}

/// `GET /v1/operator/handover`: ownership in force, and the last handover if there ever was one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandoverShown {
    /// 0 before the first rule.
    pub version: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub ownership: Vec<OwnershipRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastHandover>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LastHandover {
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub tables: Vec<Table>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub warehouse: Option<WarehouseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub class: Option<ClassId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub from: SourceId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub to: SourceId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backends: Option<Backends>,
    /// The version of ownership that it put in force.
    pub version: u64,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub by: MarkId,
    pub reason: String,
    /// Its entry of the ledger.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
}
