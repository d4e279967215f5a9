//! `POST /v1/price-availability`: the question.

use std::collections::BTreeSet;
use std::fmt;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::line::request_line;
use crate::codec::{self, DecodeError, Encoding, bounded};
use crate::limits::{LOOKUP_BYTES_MAX, LOOKUP_LINES_MAX};
use crate::{AccountId, AsOf, ChannelId, Currency, Decimal, LocalDate, Timestamp};

/// What a basket costs one account, and when it can have it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookupRequest {
    /// Without: an anonymous visitor, who sees shared levels only.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub account: Option<AccountId>,
    /// One of the account's ship-to records; without: the account itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub ship_to: Option<AccountId>,
    /// ISO 4217; without: the account's, else the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, pattern = "^[A-Z]{3}$"))]
    pub currency: Option<Currency>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub channel: Option<ChannelId>,
    /// The instant at which prices must be in force; without: now. Availability is always as of now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub pricing_date: Option<Timestamp>,
    /// How old the answer may be; the tenant's policy says what happens past it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_staleness_ms: Option<MaxStaleness>,
    /// The `as_of` of an earlier answer, or of a publish: never answer from before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, example = "7f3a.L81234.S551.P90"))]
    pub at_least: Option<AsOf>,
    /// Without: price and availability.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Vec<Include>>))]
    pub include: Option<BTreeSet<Include>>,
    /// `bulk` is shed first when the node is busy; without: `checkout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// 1 to 500 lines, which consume stock and caps from each other in this order.
    #[serde(deserialize_with = "bounded::<_, _, LOOKUP_LINES_MAX>")]
    #[cfg_attr(feature = "openapi", schema(min_items = 1, max_items = 500))]
    pub lines: Vec<LineRequest>,
}

/// Largest age in milliseconds, a part of the answer each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MaxStaleness {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<u64>,
}

/// A part of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Include {
    Price,
    Breaks,
    ListPrice,
    Availability,
    Warehouses,
    Schedule,
    Substitutes,
    Explain,
    /// A signed promise of the price, of an account's prices as of now.
    Hold,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Priority {
    #[default]
    Checkout,
    Bulk,
}

request_line! {
    /// One line of the basket. What is wrong with its values is told on the line and never fails the basket.
    LineRequest {
        /// The client's own name of the line, given back; at most 64 bytes.
        CompactString
    } [contract] {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Date))]
        pub requested_date: Option<LocalDate>,
    }
}

/// Whose number an item is asked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ItemType {
    #[default]
    Own,
    Customer,
    Vendor,
    Gtin,
}

/// A quantity as it was asked: one that is none is refused on its line, not with the basket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestedQuantity {
    Valid(Decimal),
    /// What was there instead, shortened.
    Invalid(CompactString),
}

impl Serialize for RequestedQuantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Valid(quantity) => quantity.serialize(serializer),
            Self::Invalid(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for RequestedQuantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Quantity {
            readable: bool,
        }

        fn shortened(text: impl fmt::Display) -> RequestedQuantity {
            RequestedQuantity::Invalid(text.to_string().chars().take(32).collect())
        }

        impl de::Visitor<'_> for Quantity {
            type Value = RequestedQuantity;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity as a string, as in \"12.5\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<RequestedQuantity, E> {
                Ok(match Decimal::parse(text) {
                    Ok(quantity) if quantity.is_positive() => RequestedQuantity::Valid(quantity),
                    _ => shortened(text),
                })
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<RequestedQuantity, E> {
                Ok(if !self.readable && number > 0 {
                    RequestedQuantity::Valid(Decimal::from_micros(number))
                } else {
                    shortened(format_args!("number {number}"))
                })
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<RequestedQuantity, E> {
                i64::try_from(number).map_or_else(
                    |_| Ok(shortened(format_args!("number {number}"))),
                    |number| self.visit_i64(number),
                )
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<RequestedQuantity, E> {
                Ok(shortened(format_args!("number {number}")))
            }

            fn visit_bool<E: de::Error>(self, value: bool) -> Result<RequestedQuantity, E> {
                Ok(shortened(value))
            }

            fn visit_unit<E: de::Error>(self) -> Result<RequestedQuantity, E> {
                Ok(shortened("null"))
            }
        }

        let readable = deserializer.is_human_readable();
        deserializer.deserialize_any(Quantity { readable })
    }
}

impl LookupRequest {
    /// Whether a part of the answer is asked for.
    pub fn includes(&self, part: Include) -> bool {
        match &self.include {
            Some(parts) => parts.contains(&part),
            None => matches!(part, Include::Price | Include::Availability),
        }
    }
}

/// A request with its limits checked; the error names the field.
pub fn decode_lookup(encoding: Encoding, bytes: &[u8]) -> Result<LookupRequest, DecodeError> {
    let request: LookupRequest = codec::decode(encoding, bytes, LOOKUP_BYTES_MAX)?;
    let malformed =
        |path: String, reason: &str| Err(DecodeError::Malformed { path, reason: reason.to_owned() });
    if request.lines.is_empty() {
        return malformed("lines".to_owned(), "a basket has at least one line");
    }
    for (at, line) in request.lines.iter().enumerate() {
        if line.line.is_empty() || line.line.len() > crate::limits::ID_BYTES_MAX {
            return malformed(format!("lines[{at}].line"), "1 to 64 bytes name the line");
        }
    }
    Ok(request)
}
