//! Price rows, the scopes that they belong to, and contract caps.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::bounded;
use crate::limits::{CHAIN_PERCENTS_MAX, LIST_MAX, PRICE_BREAKS_MAX, PRICE_ROWS_MAX};
use crate::{
    AccountId, ClassId, ContractId, Currency, DateEdge, Decimal, GroupId, ItemId, ListId, UomCode,
    WarehouseId,
};

/// Whose prices a row belongs to. The scope, not the row, decides the levels at which a row counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceScope {
    Contract(ContractId),
    Account(AccountId),
    Group(GroupId),
    Promotion(ListId),
    List(ListId),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceScopeKind {
    Contract,
    Account,
    Group,
    Promotion,
    List,
}

impl PriceScope {
    pub fn kind(&self) -> PriceScopeKind {
        match self {
            Self::Contract(_) => PriceScopeKind::Contract,
            Self::Account(_) => PriceScopeKind::Account,
            Self::Group(_) => PriceScopeKind::Group,
            Self::Promotion(_) => PriceScopeKind::Promotion,
            Self::List(_) => PriceScopeKind::List,
        }
    }

    pub fn id(&self) -> &str {
        match self {
            Self::Contract(id) => id.as_str(),
            Self::Account(id) => id.as_str(),
            Self::Group(id) => id.as_str(),
            Self::Promotion(id) | Self::List(id) => id.as_str(),
        }
    }
}

impl fmt::Display for PriceScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind() {
            PriceScopeKind::Contract => "contract",
            PriceScopeKind::Account => "account",
            PriceScopeKind::Group => "group",
            PriceScopeKind::Promotion => "promotion",
            PriceScopeKind::List => "list",
        };
        write!(f, "{kind} {}", self.id())
    }
}

/// Who a scope serves and when. A contract without a header serves nobody; the other kinds need none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeHeader {
    pub scope: PriceScope,
    /// The whole scope holds from this local day on; rows may narrow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateEdge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateEdge>,
    /// Of a contract: whom it serves. Of a promotion: whom it is for, everybody when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub members: Vec<ScopeMember>,
    /// Of a list: what it does not price itself comes from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<ParentList>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeMember {
    Account(AccountId),
    Group(GroupId),
}

/// A list that derives from another: its price is the parent's times `multiplier`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParentList {
    pub list: ListId,
    pub multiplier: Decimal,
}

/// Header and all rows of a scope are gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopeRemoved {
    pub scope: PriceScope,
}

/// Rows of one scope that share currency and dates. A row replaces the one with the same key and `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    pub scope: PriceScope,
    pub currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateEdge>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<DateEdge>,
    #[serde(deserialize_with = "bounded::<_, _, PRICE_ROWS_MAX>")]
    pub rows: Vec<PriceRow>,
}

/// What a row prices: an array `[item, class, uom, warehouse]` on the wire.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PriceKey {
    /// Exactly one of `item` and `class`.
    pub item: Option<ItemId>,
    pub class: Option<ClassId>,
    /// The unit priced; without: the item's base unit.
    pub uom: Option<UomCode>,
    /// Only for lines that name this warehouse.
    pub warehouse: Option<WarehouseId>,
}

/// One price with its ladder: an array
/// `[item, class, uom, warehouse, per, method, break_uom, [[min_quantity, value], ...]]` on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceRow {
    pub key: PriceKey,
    /// The value buys this many units: 1, 100 or 1000.
    pub per: u32,
    pub method: Method,
    /// The unit of the breaks' quantities; without: the row's.
    pub break_uom: Option<UomCode>,
    /// Ascending by quantity; at least one. A row without a ladder has one break from 0.
    pub breaks: Vec<Break>,
}

/// From `min_quantity` on (inclusive) the row's value is `value`: an array `[min_quantity, value]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Break(pub Decimal, pub Decimal);

/// How a break's value becomes a unit price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Method {
    /// The value is the price.
    Fixed,
    /// The value is the price of what lies between this bound and the next.
    Incremental,
    /// List price times the value.
    ListMultiplier,
    /// List price less the value in percent; at an `additive` level the percent is added up.
    ListPercentOff,
    /// List price less the value, then less each of `percents`, one after the other.
    ListChain {
        #[serde(deserialize_with = "bounded::<_, _, CHAIN_PERCENTS_MAX>")]
        percents: Vec<Decimal>,
        /// Round half away to this many digits after each step; without: only at the end, in `extended`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round_digits: Option<u8>,
    },
}

/// Rows that are gone: those of these keys with this currency and `from`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PricesRemoved {
    pub scope: PriceScope,
    pub currency: Currency,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<DateEdge>,
    #[serde(deserialize_with = "bounded::<_, _, PRICE_ROWS_MAX>")]
    pub rows: Vec<PriceKey>,
}

/// A contract's cap with what its source counts as consumed. In the ledger, because it must bite at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub contract: ContractId,
    /// Without: over all items of the contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
    pub basis: CapBasis,
    pub limit: Decimal,
    pub consumed: Decimal,
    #[serde(default)]
    pub past: CapPast,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reflects: Option<super::Reflected>,
}

/// What a cap counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapBasis {
    /// Base units of the items.
    Quantity,
    /// Extended amounts in the contract's currency.
    Amount,
}

/// What happens to a line that does not fit in what is left of a cap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CapPast {
    /// The line does not get the scope's price at all.
    #[default]
    FallThrough,
    /// What fits has the scope's price, the rest the next level's.
    Split,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapRemoved {
    pub contract: ContractId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<ItemId>,
}

type KeyArray = (Option<ItemId>, Option<ClassId>, Option<UomCode>, Option<WarehouseId>);

impl Serialize for PriceKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.item, &self.class, &self.uom, &self.warehouse).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PriceKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (item, class, uom, warehouse) = KeyArray::deserialize(deserializer)?;
        Ok(Self { item, class, uom, warehouse })
    }
}

#[derive(Deserialize)]
struct Breaks(#[serde(deserialize_with = "bounded::<_, _, PRICE_BREAKS_MAX>")] Vec<Break>);

type RowArray = (
    Option<ItemId>,
    Option<ClassId>,
    Option<UomCode>,
    Option<WarehouseId>,
    u32,
    Method,
    Option<UomCode>,
    Breaks,
);

impl Serialize for PriceRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let PriceKey { item, class, uom, warehouse } = &self.key;
        (item, class, uom, warehouse, self.per, &self.method, &self.break_uom, &self.breaks)
            .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PriceRow {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (item, class, uom, warehouse, per, method, break_uom, Breaks(breaks)) =
            RowArray::deserialize(deserializer)?;
        Ok(Self { key: PriceKey { item, class, uom, warehouse }, per, method, break_uom, breaks })
    }
}
