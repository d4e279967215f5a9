//! Commands of intake nodes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{CapUse, EffectId, Fingerprint, HoldId, OrderId, OrderReason, StockLine, StockTerms};
use crate::codec::{bounded, bounded_map, bounded_option, bounded_text};
use crate::limits::{
    EFFECTS_DONE_MAX, LIST_MAX, ORDER_LINES_MAX, ORDER_REFERENCES_MAX, TEXT_BYTES_MAX, TRACEPARENT_BYTES_MAX,
};
use crate::{
    AccountId, AsOf, ChannelId, CompanyId, ContractId, Currency, Decimal, GroupId, IdempotencyKey, LevelName,
    LineId, LocalDate, PurchaseOrder, ReferenceName, ReferenceText, SourceId, SourceSequence, StreamSequence,
    TerritoryId, Timestamp, UomCode,
};

/// Who asked, under which key. The key belongs to account and operation; a second request with it and another
/// fingerprint is refused, with the same one it gets the first one's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyedBy {
    pub account: AccountId,
    pub key: IdempotencyKey,
    /// Of the client's request as it came, not of what the node resolved.
    pub fingerprint: Fingerprint,
    /// An entry that the broker stored later than this is judged expired, for good.
    pub judge_before: Timestamp,
    /// W3C trace context of the request; no part of the fingerprint.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TRACEPARENT_BYTES_MAX>"
    )]
    pub traceparent: Option<String>,
}

/// An order, resolved and priced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceOrder {
    /// Derived from account and key.
    pub order: OrderId,
    pub keyed: KeyedBy,
    pub facts: OrderRequestFacts,
    pub currency: Currency,
    /// The sum of the rounded lines.
    pub total: Decimal,
    /// What prices and items were read at; a command below a raised floor is sent back to be priced again.
    pub priced_at: AsOf,
    pub terms: StockTerms,
    pub route: RouteFacts,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit: Option<CreditUse>,
    /// Stock that was held for this order before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldId>,
    /// Why a human should look, or why the order is refused, as far as the catalog knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub doubts: Vec<IntakeDoubt>,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_LINES_MAX>")]
    pub lines: Vec<OrderLine>,
}

/// What the client said and nobody judges: it goes to the ERP as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderRequestFacts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ship_to: Option<AccountId>,
    /// Free text, at most 1,024 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    pub ship_to_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purchase_order: Option<PurchaseOrder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<ChannelId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_date: Option<LocalDate>,
    #[serde(default)]
    pub ship_complete: bool,
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded_map::<_, _, _, ORDER_REFERENCES_MAX>"
    )]
    pub references: BTreeMap<ReferenceName, ReferenceText>,
}

/// One line of an order with the price it was judged at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderLine {
    pub stock: StockLine,
    /// Without: nothing was found that the account could buy it at; a doubt says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<PriceRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub caps: Vec<CapUse>,
}

/// The price of a line and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRecord {
    /// Buys `per` of `uom`.
    pub unit_price: Decimal,
    pub per: Decimal,
    pub uom: UomCode,
    /// The whole line, rounded once.
    pub extended: Decimal,
    /// Name of the level that won.
    pub level: LevelName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<ContractId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<RowOrigin>,
}

/// The message that stated a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RowOrigin {
    pub source: SourceId,
    pub epoch: StreamSequence,
    pub sequence: SourceSequence,
}

/// What rules of order routing look at.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteFacts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub company: Option<CompanyId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub groups: Vec<GroupId>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub territories: Vec<TerritoryId>,
}

/// Whose credit an order uses, by which source's figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreditUse {
    pub account: AccountId,
    pub source: SourceId,
    pub amount: Decimal,
}

/// What intake found that stock and credit do not say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntakeDoubt {
    /// Without: the whole order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<LineId>,
    pub reason: OrderReason,
    /// One sentence.
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub detail: String,
}

/// Takes an order back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    pub order: OrderId,
    pub keyed: KeyedBy,
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    pub reason: Option<String>,
}

/// Keeps stock for an account until it expires, is released, or becomes an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaceHold {
    /// Derived from account and key.
    pub hold: HoldId,
    pub keyed: KeyedBy,
    pub expires_at: Timestamp,
    /// Otherwise all lines are held whole, or nothing is.
    #[serde(default)]
    pub partial: bool,
    pub terms: StockTerms,
    #[serde(deserialize_with = "bounded::<_, _, ORDER_LINES_MAX>")]
    pub lines: Vec<StockLine>,
}

/// Moves a hold's end, or gives a part of it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeHold {
    pub hold: HoldId,
    pub keyed: KeyedBy,
    /// Absolute: the same request twice extends once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What lines keep, in their own units; never more than they have.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded_map::<_, _, _, ORDER_LINES_MAX>"
    )]
    pub keep: BTreeMap<LineId, Decimal>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseHold {
    pub hold: HoldId,
    pub keyed: KeyedBy,
}

/// Outbox entries that are carried out: they are published, and known to be stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EffectsDone {
    #[serde(deserialize_with = "bounded::<_, _, EFFECTS_DONE_MAX>")]
    pub effects: Vec<EffectId>,
}
