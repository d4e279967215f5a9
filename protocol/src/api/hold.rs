//! `/v1/holds`: questions and answers.

use std::collections::BTreeMap;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use super::line::request_line;
use super::{ItemType, OrderLineState, RequestedQuantity};
use crate::codec::{self, DecodeError, Encoding, bounded, bounded_map};
use crate::limits::{ORDER_BYTES_MAX, ORDER_LINES_MAX};
use crate::order::{OrderReason, PromisedPart};
use crate::{AccountId, AsOf, Decimal, HoldId, LineId, Timestamp};

/// `POST /v1/holds`: keeps stock off the shelf for an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldRequest {
    #[cfg_attr(feature = "openapi", schema(value_type = String, max_length = 64))]
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub ship_to: Option<AccountId>,
    /// Absolute, at most a day ahead.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
    /// Hold what is there of each line; without, all lines whole or nothing.
    #[serde(default)]
    pub partial: bool,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_LINES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 500))]
    pub lines: Vec<HoldLineRequest>,
}

request_line! {
    /// One line of a hold.
    HoldLineRequest {
        /// The client's own name of the line, unique in the hold.
        LineId
    } {}
}

/// `PATCH /v1/holds/{id}`: a new end, or less than before.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldChangeRequest {
    /// Absolute, so that a repeated request extends once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub expires_at: Option<Timestamp>,
    /// Line to the quantity it keeps.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded_map::<_, _, _, ORDER_LINES_MAX>"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub keep: BTreeMap<LineId, Decimal>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum HoldState {
    /// Sent to the ledger, and not judged yet: ask again.
    Pending,
    Held,
    /// Not enough was there; nothing is held.
    Refused,
    Expired,
    Released,
    /// An order took it over.
    Ordered,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldAnswer {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub hold: HoldId,
    pub state: HoldState,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub as_of: AsOf,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub account: AccountId,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
    pub lines: Vec<HoldLineAnswer>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HoldLineAnswer {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub line: LineId,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub item: CompactString,
    pub state: OrderLineState,
    #[serde(default)]
    pub reasons: Vec<OrderReason>,
    /// What is held, in the unit asked.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub quantity: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub uom: CompactString,
    pub promised: Vec<PromisedPart>,
}

/// A hold with its limits checked; the error names the field.
pub fn decode_hold(encoding: Encoding, bytes: &[u8]) -> Result<HoldRequest, DecodeError> {
    let request: HoldRequest = codec::decode(encoding, bytes, ORDER_BYTES_MAX)?;
    super::check_lines(request.lines.iter().map(|line| &line.line))?;
    Ok(request)
}
