//! `/v1/orders`: questions and answers.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::line::request_line;
use super::{ItemType, RequestedQuantity};
use crate::codec::{self, DecodeError, Encoding, bounded, bounded_map, bounded_option, bounded_text};
use crate::limits::{
    ORDER_BYTES_MAX, ORDER_LINES_MAX, ORDER_REFERENCES_MAX, PRICE_HOLD_BYTES_MAX, TEXT_BYTES_MAX,
};
use crate::order::{IfShort, OrderReason, PriceRecord, PromisedPart};
use crate::{
    AccountId, AsOf, ChannelId, Currency, Decimal, DocumentId, EffectId, HoldId, ItemId, LineId, LocalDate,
    OrderId, PurchaseOrder, ReferenceName, ReferenceText, SourceId, StreamSequence, Timestamp,
};

/// `POST /v1/orders`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderRequest {
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub ship_to: Option<AccountId>,
    /// Goes to the ERP untouched; at most 1,024 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub ship_to_address: Option<String>,
    /// The customer's own number. The same one with the same lines again is held for review.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub purchase_order: Option<PurchaseOrder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Z]{3}$"))]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Date))]
    pub requested_date: Option<LocalDate>,
    /// Nothing leaves before everything can.
    #[serde(default)]
    pub ship_complete: bool,
    /// A hold of this account whose stock the order takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub hold: Option<HoldId>,
    /// Go to the ERP untouched: at most 32, name to text, 64 bytes each.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded_map::<_, _, _, ORDER_REFERENCES_MAX>"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub references: BTreeMap<ReferenceName, ReferenceText>,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_LINES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 500))]
    pub lines: Vec<OrderLineRequest>,
}

request_line! {
    /// One line of an order.
    OrderLineRequest {
        /// The client's own name of the line, unique in the order.
        LineId
    } [contract] {
        /// What the customer was shown for one of `uom` (`order_unit_price`); an order at another price is never
        /// changed silently. Without: any price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "12"))]
        pub unit_price: Option<Decimal>,
        /// The signed promise of a price that an earlier lookup gave; its price counts as shown where `unit_price` is
        /// left out.
        #[serde(
            default,
            skip_serializing_if = "Option::is_none",
            deserialize_with = "bounded_option::<_, PRICE_HOLD_BYTES_MAX>"
        )]
        pub price_hold: Option<String>,
        #[serde(default)]
        pub if_short: IfShort,
    }
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderState {
    /// Sent to the ledger, and not judged yet: ask again.
    Pending,
    Accepted,
    /// Accepted, and some of it waits for stock to come.
    Backordered,
    /// Its stock is kept; a human decides.
    Review,
    Rejected,
    /// It came too late to be judged. Nothing was promised; place it again under a new key.
    Expired,
    /// Handed to the backend's queue.
    Dispatched,
    /// The backend has a document of it.
    Acknowledged,
    PartiallyShipped,
    Shipped,
    Returned,
    Cancelled,
    /// The backend cannot take it as it is: an operator replays or dismisses it.
    DeadLettered,
}

/// What became of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum OrderLineState {
    Accepted,
    Backordered,
    Review,
    Rejected,
    /// Nothing is wrong with the line, but the order was not accepted.
    NotPlaced,
}

/// The answer to `POST /v1/orders` and `GET /v1/orders/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderAnswer {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order: OrderId,
    pub state: OrderState,
    /// What is known of the ledger here; the order's own entry is not after it, unless it is pending.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub purchase_order: Option<PurchaseOrder>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<OrderReason>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub total: Option<Decimal>,
    /// The backend that has it, and its number there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub backend: Option<SourceId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub document: Option<DocumentId>,
    /// A cancellation was asked of the backend, which has not answered yet.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cancel_asked: bool,
    pub lines: Vec<OrderLineAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderLineAnswer {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub line: LineId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub item: CompactString,
    pub state: OrderLineState,
    #[serde(default)]
    pub reasons: Vec<OrderReason>,
    /// What was accepted, in the unit ordered.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub quantity: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub uom: CompactString,
    pub promised: Vec<PromisedPart>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub price: Option<PriceRecord>,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub shipped: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub cancelled: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub returned: Decimal,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub substituted_by: Option<ItemId>,
}

/// `POST /v1/orders/{id}/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CancelRequest {
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub reason: Option<String>,
}

/// One step in the life of an order; its id is the ledger entry's, and where `Last-Event-ID` goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderStep {
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "81234.0"))]
    pub id: EffectId,
    /// Ledger time.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub at: Timestamp,
    pub state: OrderState,
    /// What happened, as in `placed`, `acknowledged as 1042`, `approved by jane: known customer`.
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub what: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// `GET /v1/orders/{id}/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OrderSteps {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order: OrderId,
    pub state: OrderState,
    /// The order's place in the ledger.
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub position: StreamSequence,
    pub steps: Vec<OrderStep>,
}

/// An order with its limits checked; the error names the field.
pub fn decode_order(encoding: Encoding, bytes: &[u8]) -> Result<OrderRequest, DecodeError> {
    let request: OrderRequest = codec::decode(encoding, bytes, ORDER_BYTES_MAX)?;
    super::check_lines(request.lines.iter().map(|line| &line.line))?;
    Ok(request)
}
