//! What a tenant decides by data: one whole document per name, the last version in force.

use serde::{Deserialize, Serialize};

use crate::codec::{bounded, bounded_text};
use crate::limits::{ID_BYTES_MAX, LEVELS_MAX, LIST_MAX};
use crate::{ClassId, Currency, ListId, SourceId, WarehouseId, Zone};

use super::Table;

/// A new version of one document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Counts up by one a document; a lower or equal one is refused.
    pub version: u64,
    pub document: PolicyDocument,
}

/// A document by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyDocument {
    /// Price levels, first to last.
    Levels(#[serde(deserialize_with = "bounded::<_, _, LEVELS_MAX>")] Vec<LevelRule>),
    Staleness(Staleness),
    Sourcing(Sourcing),
    /// How `extended` is rounded.
    Rounding(Rounding),
    /// Whose midnight begins a business day.
    BusinessZone(Zone),
    Ownership(Ownership),
    Defaults(Defaults),
}

impl PolicyDocument {
    pub fn name(&self) -> &'static str {
        match self {
            Self::Levels(_) => "levels",
            Self::Staleness(_) => "staleness",
            Self::Sourcing(_) => "sourcing",
            Self::Rounding(_) => "rounding",
            Self::BusinessZone(_) => "business_zone",
            Self::Ownership(_) => "ownership",
            Self::Defaults(_) => "defaults",
        }
    }
}

/// One level of the price walk: a key shape (customer x item x warehouse) and what a hit means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelRule {
    /// As answers show it.
    #[serde(deserialize_with = "bounded_text::<_, ID_BYTES_MAX>")]
    pub name: String,
    pub customer: CustomerKey,
    #[serde(default)]
    pub item: ItemKeyKind,
    #[serde(default)]
    pub warehouse: WarehouseKey,
    #[serde(default)]
    pub policy: LevelPolicy,
}

/// Which scopes a level looks into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CustomerKey {
    /// The contract that the line names, where it serves the account, an ancestor or a group of it.
    LineContract,
    ShipToContract,
    CustomerContract,
    /// Nearest ancestor first.
    AncestorContract,
    /// By rank of the group.
    GroupContract,
    Customer,
    Group,
    Promotion,
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemKeyKind {
    Item,
    Class,
    /// Rows of the item before rows of its class.
    #[default]
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WarehouseKey {
    /// Only rows that name the line's warehouse.
    Named,
    /// Only rows without a warehouse.
    Without,
    #[default]
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelPolicy {
    /// A hit ends the walk.
    #[default]
    First,
    /// The best of this level and those below.
    Lowest,
    /// The winner's percent is added, the walk goes on.
    Additive,
}

/// How old an answer may be, and what happens past it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staleness {
    /// The most specific rule counts: one of the item's class before one without.
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub rules: Vec<StalenessRule>,
    /// What happens when a chain that was consulted is suspect.
    pub suspect: InDoubt,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StalenessRule {
    pub table: StalenessTable,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    pub budget_ms: u64,
    pub past: PastBudget,
    /// Of `ask`: what happens where the source gives no answer in time.
    #[serde(default, skip_serializing_if = "InDoubt::is_refuse")]
    pub unanswered: InDoubt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StalenessTable {
    Price,
    Availability,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastBudget {
    /// Answer, flagged.
    Serve,
    /// Do not answer.
    Refuse,
    /// Ask the source about this key, for this reply only.
    Ask,
}

/// What becomes of an answer that may be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InDoubt {
    /// Answer, flagged.
    Serve,
    /// Do not answer.
    #[default]
    Refuse,
}

impl InDoubt {
    fn is_refuse(&self) -> bool {
        *self == Self::Refuse
    }
}

/// How a line is spread over warehouses and days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sourcing {
    pub mode: SourcingMode,
    /// Supply counts up to this many days after today.
    pub horizon_days: u16,
    pub past_due: PastDue,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourcingMode {
    /// One warehouse ships the line.
    Single,
    /// All together, nothing before the day on which the whole line is covered.
    ShipComplete,
    /// What each has, as it has it.
    Split,
}

/// What supply is worth that should have come already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastDue {
    /// Nothing, until it is dated anew.
    Ignore,
    /// Expected this many days after today.
    Days(u16),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    HalfAway,
    HalfEven,
    Up,
    Down,
}

/// Whose rows count where several sources have some. The first rule that matches decides; without a match
/// the source with the lowest id that has a row does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ownership {
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub rules: Vec<OwnershipRule>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnershipRule {
    pub table: Table,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<WarehouseId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ClassId>,
    pub source: SourceId,
}

/// What holds where neither request nor account says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Defaults {
    pub currency: Currency,
    /// Price lists in the order they are asked.
    #[serde(deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub lists: Vec<ListId>,
    /// What becomes of an order whose price is not the one that the customer was shown.
    #[serde(default, skip_serializing_if = "PriceMoved::is_default")]
    pub price_moved: PriceMoved,
}

/// An order's price is not the one shown before; it is never changed silently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceMoved {
    /// The signed price of a lookup holds until it expires. One that is not signed is the client's word, and
    /// goes to review.
    Honour,
    /// The price of now, where it is the lower one; else a human decides.
    AcceptIfLower,
    /// A human decides.
    #[default]
    Review,
    /// The order is rejected.
    Refuse,
}

impl PriceMoved {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}
