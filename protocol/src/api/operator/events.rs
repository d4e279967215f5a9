//! The steps of all orders, for programs that tell channels of them.

use serde::{Deserialize, Serialize};

use crate::api::OrderStep;
use crate::{AccountId, AsOf, ChannelId, OrderId, PurchaseOrder};

/// `GET /v1/operator/events`: what happened to orders, in the order of the ledger, from a place on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventPage {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    /// Not all that came after the place is kept any more, or the place is one of another ledger: what is kept follows.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub missed: bool,
    pub events: Vec<EventShown>,
    /// Where to go on from, with `after`; the same on every node.
    pub next: String,
    /// More is there already.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// A step, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EventShown {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order: OrderId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub purchase_order: Option<PurchaseOrder>,
    pub step: OrderStep,
}
