//! What operators decide. Each says who decided and why: the ledger is the audit.

use serde::{Deserialize, Serialize};

use super::{Fingerprint, OrderId};
use crate::change::{ChainPoint, Invalidate, InvalidateMode, InvalidateScope};
use crate::codec::{bounded, bounded_option, bounded_text};
use crate::limits::{LIST_MAX, RECOVERED_BYTES_MAX, TEXT_BYTES_MAX, TRACEPARENT_BYTES_MAX};
use crate::subject::Subject;
use crate::{
    CompanyId, GroupId, IdempotencyKey, LineId, MarkId, SourceId, StreamSequence, TerritoryId, WarehouseId,
};

/// Under which key an act was asked for: whoever asks again with it is told what became of the first, and nothing
/// happens twice. The fingerprint is of the request as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActKey {
    pub key: IdempotencyKey,
    pub fingerprint: Fingerprint,
    /// W3C trace context of the request; no part of the fingerprint.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TRACEPARENT_BYTES_MAX>"
    )]
    pub traceparent: Option<String>,
}

/// What every decision says beside what it decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Act<'a> {
    pub by: &'a MarkId,
    pub reason: &'a str,
    pub keyed: Option<&'a ActKey>,
}

/// An order that is held for review is let through or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecideOrder {
    pub order: OrderId,
    pub verdict: Verdict,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Approve,
    Reject,
}

/// The dispatch before is closed, and a new generation opened: a replay, or a move to another backend.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redispatch {
    pub order: OrderId,
    /// The generation that is closed; a decision about another one changes nothing.
    pub closes: u32,
    /// Without: the backend that had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<SourceId>,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// A dead letter that nobody will replay: the order is closed, and what it promised is released.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DismissOrder {
    pub order: OrderId,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// What an order promised counts as contained in the source's figures, though no change said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseOverlay {
    pub order: OrderId,
    /// Without: all lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// Which backend receives an order; the whole table, replaced. The first rule that matches decides, and an
/// order that none matches is held for review.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routing {
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub rules: Vec<RouteRule>,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// Every condition that is stated must hold; a rule without one takes everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteRule {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub territory: Option<TerritoryId>,
    /// All that is promised now is promised from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseId>,
    pub backend: SourceId,
}

/// Orders priced before this position of a catalog chain are sent back to be priced again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CatalogFloor {
    pub subject: Subject,
    pub position: StreamSequence,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// Rows that an operator does not trust any more, as [`Invalidate`] says of a source's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvalidateRows {
    pub scope: InvalidateScope,
    pub mode: InvalidateMode,
    /// Per chain the last message that is condemned.
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub up_to: Vec<ChainPoint>,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// The broker lost entries of the ledger, and this is of what a node still knew of orders: published again by
/// `pannier recover`, in parts. From the first part to the one that is `done` no node takes orders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recover {
    /// The last entry that the node knew.
    pub up_to: StreamSequence,
    /// Of `records`; a build that reads another one stops here.
    pub format: u32,
    /// Base64 of compressed records of the fold. Without: a place that is filled, so that no place of the ledger that a
    /// client was told is used for anything else.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, RECOVERED_BYTES_MAX>"
    )]
    pub records: Option<String>,
    /// The last part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub done: bool,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

impl InvalidateRows {
    pub fn invalidate(&self) -> Invalidate {
        Invalidate { scope: self.scope.clone(), mode: self.mode, up_to: self.up_to.clone() }
    }
}
