//! What is shown. A page's `next` is given back as `cursor`, and nothing is to be read from it.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::api::{HoldAnswer, OrderAnswer, OrderState, OrderStep};
use crate::order::{OrderReason, OrderRequestFacts, RouteRule};
use crate::{
    AccountId, AsOf, Currency, Decimal, DocumentId, IdempotencyKey, MarkId, OrderId, PurchaseOrder, SourceId,
    StreamSequence, Timestamp,
};

/// `GET /v1/operator/orders`: in the order of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderPage {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    pub orders: Vec<OrderShown>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// An order in one line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderShown {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order: OrderId,
    pub state: OrderState,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub purchase_order: Option<PurchaseOrder>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<OrderReason>,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub placed_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub total: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub currency: Currency,
    pub lines_count: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub backend: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub document: Option<DocumentId>,
    /// What `closes` of an act has to say.
    pub generation: u32,
    /// What happened last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<OrderStep>,
}

/// `GET /v1/operator/orders/{order}`: an order with its whole life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderWhole {
    pub order: OrderAnswer,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub key: IdempotencyKey,
    /// What `closes` of an act has to say.
    pub generation: u32,
    /// These are of an order that is not long over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub placed_at: Option<Timestamp>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub closed_at: Option<Timestamp>,
    /// What goes to the backend beside lines and prices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub facts: Option<OrderRequestFacts>,
    /// What the client had said, where an operator edited it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub placed_facts: Option<OrderRequestFacts>,
    pub steps: Vec<OrderStep>,
}

/// `GET /v1/operator/holds`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldPage {
    pub holds: Vec<HoldAnswer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// `GET /v1/operator/sources`: every chain, and how far it can be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourcesShown {
    pub chains: Vec<ChainShown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChainShown {
    /// Without the prefix, as in `ledger.stock.wms-1`.
    pub subject: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub source: Option<SourceId>,
    /// Stream sequence of the claim that it lives under.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub epoch: StreamSequence,
    /// Of the last message.
    pub sequence: u64,
    /// Why something may be missing in it; without, nothing is known to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspect: Option<String>,
    /// A snapshot could not be used, and another one is wanted.
    pub snapshot_wanted: bool,
    /// Its first snapshot has ended.
    pub loaded: bool,
    /// Since its source was last read to its end; without: it never said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Invalidations in force.
    pub invalidations_count: usize,
    /// Snapshots that wait for approval.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parked: Vec<ParkedShown>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ParkedShown {
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub epoch: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: MarkId,
}

/// `GET /v1/operator/review`: what a human is to look at, as it lies in the stream, the oldest first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReviewPage {
    pub entries: Vec<ReviewEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReviewEntry {
    /// In the review stream.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
    pub subject: String,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub stored_at: Timestamp,
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub entry: serde_json::Value,
}

/// `GET /v1/operator/dispatch`: what waits for which backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DispatchBacklog {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    pub backends: Vec<BackendBacklog>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackendBacklog {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub backend: SourceId,
    /// Dispatches that are not known to be in the backend's queue yet.
    pub outbox_count: usize,
    /// Orders that are in its queue, or at it and not acknowledged.
    pub dispatched_count: usize,
    /// Orders whose cancellation it has not answered.
    pub cancel_asked_count: usize,
    /// Orders that it refused, for a human.
    pub review_count: usize,
    pub dead_lettered_count: usize,
    /// When the order that waits the longest to be acknowledged was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub oldest_at: Option<Timestamp>,
}

/// `GET /v1/operator/overcommits`: cells of which more is promised than there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overcommits {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    pub cells: Vec<Overcommitted>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Overcommitted {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub item: CompactString,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub warehouse: CompactString,
    /// The entry of the ledger since which it is so.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub since: StreamSequence,
    /// The last orders that were promised some of it, the latest last.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub orders: Vec<OrderId>,
    pub orders_count: usize,
}

/// `GET /v1/operator/routing`: the rules in force; none before the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoutingShown {
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Object>))]
    pub rules: Vec<RouteRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub by: Option<MarkId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Their entry of the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub position: Option<StreamSequence>,
}

/// `PUT /v1/operator/routing?dry_run=true`: where known orders would go, by the backend that they have and the one
/// that they would have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RoutingDryRun {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    pub routes: Vec<Reroute>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Reroute {
    /// Without: no rule took them, they are held for review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub from: Option<SourceId>,
    /// Without: no rule would take them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub to: Option<SourceId>,
    pub orders_count: usize,
    /// Of those, the ones that are not over.
    pub open_count: usize,
    /// The first of them, in the order of the ledger.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub first: Vec<OrderId>,
}
