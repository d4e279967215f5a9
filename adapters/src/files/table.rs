//! What a file can hold, and the canonical fields of each: the left side of every `columns` mapping.

use pannier_protocol::change::Table;
use serde::Deserialize;

/// What the rows of a file are. Declared in the order in which a folder is taken: what others refer to
/// comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileTable {
    /// Units of items, where they have a file of their own.
    Uoms,
    /// Components of kits, likewise.
    Kits,
    /// Alternatives, substitutes and replacements, likewise.
    Relations,
    Items,
    References,
    Accounts,
    /// Headers of price scopes: whom a contract serves and when.
    Scopes,
    Prices,
    Stock,
    Supply,
    Lots,
    Safety,
    Credit,
    Caps,
}

/// One canonical field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldSpec {
    pub name: &'static str,
    /// The mapping must say where it stands.
    pub required: bool,
}

const fn must(name: &'static str) -> FieldSpec {
    FieldSpec { name, required: true }
}

const fn may(name: &'static str) -> FieldSpec {
    FieldSpec { name, required: false }
}

/// Whose prices: exactly one of them is filled in each row.
pub(super) const SCOPE_FIELDS: [&str; 5] = ["contract", "account", "group", "promotion", "list"];
/// Fields whose cells can hold several values, with a separator between.
pub(super) const LIST_FIELDS: [&str; 8] = [
    "groups",
    "entitlements",
    "territories",
    "warehouses",
    "lists",
    "percents",
    "member_accounts",
    "member_groups",
];
/// Of a row that goes: in every table of a delta file.
pub(super) const REMOVED: &str = "removed";

const UOMS: &[FieldSpec] =
    &[must("item"), must("uom"), must("numerator"), may("denominator"), may("multiple"), may("minimum")];
const KITS: &[FieldSpec] = &[must("item"), must("component"), must("quantity"), must("component_uom")];
const RELATIONS: &[FieldSpec] = &[
    must("item"),
    must("relation"),
    must("other_item"),
    must("other_uom"),
    may("numerator"),
    may("denominator"),
];
const ITEMS: &[FieldSpec] = &[
    must("item"),
    must("base_uom"),
    may("description"),
    may("class"),
    may("entitlement"),
    may("status"),
    may("backorder"),
    may("lot_tracked"),
    may("uom"),
    may("numerator"),
    may("denominator"),
    may("multiple"),
    may("minimum"),
];
const REFERENCES: &[FieldSpec] = &[must("kind"), must("number"), must("item"), may("account"), may("uom")];
const ACCOUNTS: &[FieldSpec] = &[
    must("account"),
    may("parent"),
    may("root"),
    may("groups"),
    may("currency"),
    may("entitlements"),
    may("contract_only"),
    may("blocked"),
    may("company"),
    may("territories"),
    may("warehouses"),
    may("sourcing"),
    may("lists"),
];
const SCOPES: &[FieldSpec] = &[
    may("contract"),
    may("account"),
    may("group"),
    may("promotion"),
    may("list"),
    may("from"),
    may("to"),
    may("member_accounts"),
    may("member_groups"),
    may("parent_list"),
    may("parent_multiplier"),
];
const PRICES: &[FieldSpec] = &[
    may("contract"),
    may("account"),
    may("group"),
    may("promotion"),
    may("list"),
    must("currency"),
    may("from"),
    may("to"),
    may("item"),
    may("class"),
    may("uom"),
    may("warehouse"),
    may("per"),
    may("method"),
    may("percents"),
    may("round_digits"),
    may("break_uom"),
    may("min_quantity"),
    may("value"),
];
const STOCK: &[FieldSpec] = &[
    must("item"),
    must("warehouse"),
    may("uom"),
    may("class"),
    must("on_hand"),
    may("allocated"),
    may("quarantine"),
    may("on_hand_is_net"),
];
const SUPPLY: &[FieldSpec] = &[
    must("item"),
    must("warehouse"),
    must("reference"),
    may("uom"),
    must("date"),
    must("quantity"),
    may("received"),
];
const LOTS: &[FieldSpec] =
    &[must("item"), must("warehouse"), may("uom"), must("lot"), must("quantity"), may("expires")];
const SAFETY: &[FieldSpec] = &[must("item"), must("warehouse"), may("uom"), must("quantity")];
const CREDIT: &[FieldSpec] =
    &[must("account"), must("currency"), may("limit"), must("balance"), may("blocked")];
const CAPS: &[FieldSpec] =
    &[must("contract"), may("item"), must("basis"), must("limit"), must("consumed"), may("past")];

impl FileTable {
    pub const ALL: [Self; 14] = [
        Self::Uoms,
        Self::Kits,
        Self::Relations,
        Self::Items,
        Self::References,
        Self::Accounts,
        Self::Scopes,
        Self::Prices,
        Self::Stock,
        Self::Supply,
        Self::Lots,
        Self::Safety,
        Self::Credit,
        Self::Caps,
    ];

    /// As in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uoms => "uoms",
            Self::Kits => "kits",
            Self::Relations => "relations",
            Self::Items => "items",
            Self::References => "references",
            Self::Accounts => "accounts",
            Self::Scopes => "scopes",
            Self::Prices => "prices",
            Self::Stock => "stock",
            Self::Supply => "supply",
            Self::Lots => "lots",
            Self::Safety => "safety",
            Self::Credit => "credit",
            Self::Caps => "caps",
        }
    }

    /// Its fields, beside `REMOVED`.
    pub fn fields(self) -> &'static [FieldSpec] {
        match self {
            Self::Uoms => UOMS,
            Self::Kits => KITS,
            Self::Relations => RELATIONS,
            Self::Items => ITEMS,
            Self::References => REFERENCES,
            Self::Accounts => ACCOUNTS,
            Self::Scopes => SCOPES,
            Self::Prices => PRICES,
            Self::Stock => STOCK,
            Self::Supply => SUPPLY,
            Self::Lots => LOTS,
            Self::Safety => SAFETY,
            Self::Credit => CREDIT,
            Self::Caps => CAPS,
        }
    }

    /// The table of changes that a full file is a snapshot of; details of items are no table of their own.
    pub fn snapshot_table(self) -> Option<Table> {
        match self {
            Self::Uoms | Self::Kits | Self::Relations => None,
            Self::Items => Some(Table::Items),
            Self::References => Some(Table::References),
            Self::Accounts => Some(Table::Accounts),
            Self::Scopes => Some(Table::Scopes),
            Self::Prices => Some(Table::Prices),
            Self::Stock => Some(Table::Stock),
            Self::Supply => Some(Table::Supply),
            Self::Lots => Some(Table::Lots),
            Self::Safety => Some(Table::Safety),
            Self::Credit => Some(Table::Credit),
            Self::Caps => Some(Table::Caps),
        }
    }

    /// Whether it is published to the ledger; else to the catalog.
    pub fn in_ledger(self) -> bool {
        self.has_warehouses() || matches!(self, Self::Credit | Self::Caps)
    }

    pub fn has_warehouses(self) -> bool {
        matches!(self, Self::Stock | Self::Supply | Self::Lots | Self::Safety)
    }

    pub fn has_price_scopes(self) -> bool {
        matches!(self, Self::Scopes | Self::Prices)
    }
}
