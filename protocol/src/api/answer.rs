//! `POST /v1/price-availability`: the answer.

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::change::RelationKind;
use crate::codec::{self, DecodeError, Encoding, bounded_text};
use crate::limits::PRICE_HOLD_BYTES_MAX;
use crate::{
    AccountId, AsOf, Currency, Decimal, ItemId, LocalDate, Money, SourceId, SourceSequence, StreamSequence,
    Timestamp,
};

/// Prices, availability and the proof of how fresh they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LookupAnswer {
    /// The answer is not older than this position; opaque, to be given back as `at_least`.
    #[cfg_attr(feature = "openapi", schema(value_type = String, example = "7f3a.L81240.S551.P90"))]
    pub as_of: AsOf,
    /// `at_least` came from another life of the ledger, with which no position compares.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub other_incarnation: bool,
    /// Another node has other tables than this one, and it is not known yet which is wrong.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nodes_disagree: bool,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub account: Option<AccountId>,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub currency: Currency,
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub pricing_date: Timestamp,
    /// Every chain that was consulted, also where it had nothing.
    pub sources: Vec<SourceState>,
    pub lines: Vec<LineAnswer>,
    pub total: Total,
}

/// An answer as it came over the wire. MessagePack carries amounts without their digits, which are the
/// currency's: they are put back, so that an amount shows the same from both encodings.
pub fn decode_answer(
    encoding: Encoding,
    bytes: &[u8],
    bytes_max: usize,
) -> Result<LookupAnswer, DecodeError> {
    let mut answer: LookupAnswer = codec::decode(encoding, bytes, bytes_max)?;
    let digits = answer.currency.minor_digits();
    answer.total.extended.digits = digits;
    for line in &mut answer.lines {
        let offers = line.substitutes.iter_mut().flatten().filter_map(|offer| offer.price.as_mut());
        line.price.iter_mut().chain(offers).for_each(|price| price.extended.digits = digits);
    }
    Ok(answer)
}

/// What is known of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SourceState {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub source: SourceId,
    /// `stock`, `shared` (items, accounts and shared prices) or `prices` (the family's).
    pub table: String,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub epoch: StreamSequence,
    #[cfg_attr(feature = "openapi", schema(value_type = u64))]
    pub sequence: SourceSequence,
    pub state: FreshnessState,
    /// Since the source was last read to its end; null: it never said.
    pub age_ms: Option<u64>,
}

/// The worse, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum FreshnessState {
    Fresh,
    /// Older than asked for or than the tenant's budget.
    Stale,
    /// A message is missing, forked or of an unknown epoch: until a snapshot, which rows are wrong is unknown.
    Suspect,
    /// Condemned by its source.
    Invalidated,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Freshness {
    pub state: FreshnessState,
    pub age_ms: Option<u64>,
    /// A source was asked for this reply, and what it said is in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub live: bool,
}

/// The worst of all chains consulted, a part of the line each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FreshnessPair {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Freshness>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Freshness>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LineAnswer {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub line: CompactString,
    /// The distributor's own number, also where another was asked; what was asked where nothing was found.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub item: CompactString,
    pub status: LineStatus,
    /// One sentence where the status is not `ok`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What an order of this line would be rounded up to, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub quantity_to_order: Option<Decimal>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<Price>,
    /// Where `hold` was asked for, of a price that is neither suspect nor invalidated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_hold: Option<PriceHold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitutes: Option<Vec<Offer>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freshness: Option<FreshnessPair>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub explain: Option<Explain>,
}

/// What became of a line. The freshness ones mean that policy refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LineStatus {
    Ok,
    /// Unknown, or not for this account: the two look alike.
    NotFound,
    /// The account buys at contract prices only, and no contract has the item.
    NotOnContract,
    NoPrice,
    Stale,
    Suspect,
    Invalidated,
    NotLoaded,
    InvalidQuantity,
    InvalidUom,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Price {
    /// Buys `per` of `uom`; shown to 6 digits.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub unit_price: Decimal,
    /// 1, 100 or 1000.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub per: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub uom: CompactString,
    /// One of the unit ordered; shown to 6 digits.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub order_unit_price: Decimal,
    /// The whole line, rounded once.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub extended: Money,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub list_price: Option<Decimal>,
    /// Name of the level that won, by the tenant's policy.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub level: CompactString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub contract: Option<CompactString>,
    /// When another price may hold; null: no end is known.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = DateTime))]
    pub valid_until: Option<Timestamp>,
    /// Where a cap splits the line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parts: Option<Vec<PricePart>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaks: Option<Vec<BreakShown>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_break: Option<NextBreak>,
}

/// The signed promise of a line's price: for this account and ship-to, item, unit, quantity (where the line has one,
/// `quantity_to_order`), currency, contract and warehouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PriceHold {
    /// To be given as `price_hold` of the order's line.
    #[serde(deserialize_with = "bounded_text::<_, PRICE_HOLD_BYTES_MAX>")]
    pub token: String,
    /// From here on an order is priced again.
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub expires_at: Timestamp,
}

/// A part of a line that a cap split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PricePart {
    /// In the unit ordered.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub quantity: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub unit_price: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub level: CompactString,
}

/// One step of the winning row's ladder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BreakShown {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub min_quantity: Decimal,
    /// The unit of `min_quantity`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub uom: CompactString,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub unit_price: Decimal,
}

/// The step that a larger order would reach.
pub type NextBreak = BreakShown;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Availability {
    /// The unit ordered; all quantities here are in it.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub uom: CompactString,
    pub status: AvailabilityStatus,
    /// Whole units now, over the eligible warehouses, each for itself.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub available: Decimal,
    pub backorder_allowed: bool,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub multiple: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub minimum: Decimal,
    /// The first day on which the whole line is covered; null: not within the horizon.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Date))]
    pub earliest_full_date: Option<LocalDate>,
    /// Where a date was requested: whether the whole line is there by then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_date_met: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouses: Option<Vec<WarehouseAvailability>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Vec<ScheduleEntry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum AvailabilityStatus {
    InStock,
    Partial,
    Backorder,
    OutOfStock,
    Discontinued,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct WarehouseAvailability {
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub warehouse: CompactString,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub available: Decimal,
}

/// What of the line can leave when and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleEntry {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = Date))]
    pub date: LocalDate,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub quantity: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub warehouse: CompactString,
}

/// Another item that could be taken instead.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offer {
    pub relation: RelationKind,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub item: ItemId,
    /// What stands for the whole line, by the relation's ratio.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub quantity: Decimal,
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub uom: CompactString,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<OfferPrice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability: Option<Availability>,
}

/// An offer is priced like a line of its own.
pub type OfferPrice = Price;

/// Why this price and no other. Cost and margin are never part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Explain {
    #[cfg_attr(feature = "openapi", schema(value_type = String, format = DateTime))]
    pub pricing_date: Timestamp,
    /// The winner, as in `contract K-7: SKU-4711 BX`; null: none won.
    pub row: Option<String>,
    pub level: Option<String>,
    pub contract: Option<String>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>))]
    pub source: Option<SourceId>,
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub epoch: Option<StreamSequence>,
    /// The message that stated the row.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<u64>))]
    pub source_sequence: Option<SourceSequence>,
    pub rejected: Vec<RejectedCandidate>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RejectedCandidate {
    pub row: String,
    pub level: String,
    pub reason: RejectedReason,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum RejectedReason {
    /// Not in force at the pricing date.
    NotInForce,
    OtherCurrency,
    OtherWarehouse,
    /// The item lacks the row's unit.
    UnknownUom,
    BelowFirstBreak,
    CapExhausted,
    /// The source is not the owner of these rows.
    NotOwner,
    Invalidated,
    /// A derived row without a list price.
    NoBasePrice,
    LessSpecific,
    /// An earlier level ended the walk.
    LowerLevel,
    DearerThanWinner,
}

/// Sums over the lines that have a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Total {
    /// The sum of the rounded lines.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub extended: Money,
    pub lines_priced: u32,
    /// Every line has a price.
    pub complete: bool,
}
