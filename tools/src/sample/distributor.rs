//! A distributor as the sample describes it: what `showcase.toml` is read into and what generated rows are
//! added to, before any of it becomes a file. Decimals stay text, as people write them; days count from the
//! day that the sample is written for.

use anyhow::Context;
use serde::Deserialize;

/// Everything that the sample's ERP and WMS know.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distributor {
    #[serde(rename = "account")]
    pub accounts: Vec<Account>,
    #[serde(rename = "scope")]
    pub scopes: Vec<Scope>,
    /// Prices of a whole class; those of an item stand with it.
    #[serde(rename = "price")]
    pub class_prices: Vec<Price>,
    #[serde(rename = "item")]
    pub items: Vec<Item>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Account {
    pub account: String,
    pub name: String,
    pub parent: Option<String>,
    /// Without: the account itself.
    pub root: Option<String>,
    pub groups: Vec<String>,
    pub currency: Option<String>,
    pub entitlements: Vec<String>,
    pub contract_only: bool,
    pub blocked: bool,
    pub warehouses: Vec<String>,
    pub sourcing: Option<String>,
    pub lists: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    pub contract: Option<String>,
    pub promotion: Option<String>,
    pub list: Option<String>,
    pub from: Option<i32>,
    /// The last day that counts.
    pub to: Option<i32>,
    /// Whom a contract serves.
    pub accounts: Vec<String>,
    pub groups: Vec<String>,
    pub parent_list: Option<String>,
    pub parent_multiplier: Option<String>,
}

/// One price row; exactly one of the first five is there.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    pub contract: Option<String>,
    pub account: Option<String>,
    pub group: Option<String>,
    pub promotion: Option<String>,
    pub list: Option<String>,
    pub class: Option<String>,
    /// Without: `USD`.
    pub currency: Option<String>,
    pub from: Option<i32>,
    pub to: Option<i32>,
    pub uom: Option<String>,
    /// Without: 1.
    pub per: Option<u32>,
    /// Without: `fixed`.
    pub method: Option<String>,
    pub percents: Vec<String>,
    pub break_uom: Option<String>,
    /// `[from quantity, value]`, at most three.
    pub breaks: Vec<(String, String)>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Item {
    pub item: String,
    pub description: String,
    pub base_uom: String,
    pub class: String,
    pub entitlement: Option<String>,
    pub status: Option<String>,
    pub backorder: bool,
    pub lot_tracked: bool,
    pub uoms: Vec<Uom>,
    pub kit: Vec<Component>,
    pub relations: Vec<Relation>,
    pub references: Vec<Reference>,
    pub stock: Vec<Stock>,
    pub prices: Vec<Price>,
    pub cap: Option<Cap>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Uom {
    pub uom: String,
    /// Base units in one.
    pub numerator: u32,
    pub multiple: Option<String>,
    pub minimum: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    pub item: String,
    pub quantity: String,
    pub uom: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relation {
    pub relation: String,
    pub item: String,
    pub uom: String,
    /// Of the other item for one of this; without: 1.
    pub numerator: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    pub kind: String,
    pub account: Option<String>,
    pub number: String,
    pub uom: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stock {
    pub warehouse: String,
    pub on_hand: String,
    pub allocated: Option<String>,
    pub quarantine: Option<String>,
    pub on_hand_is_net: bool,
    pub safety: Option<String>,
    pub lots: Vec<Lot>,
    pub supply: Vec<Supply>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lot {
    pub lot: String,
    pub quantity: String,
    pub expires: i32,
}

/// Negative: dated demand.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Supply {
    pub reference: String,
    pub day: i32,
    pub quantity: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cap {
    pub contract: String,
    /// In base units.
    pub limit: String,
    pub consumed: String,
    pub past: Option<String>,
}

impl Distributor {
    /// The part that is made by hand.
    pub fn showcase() -> anyhow::Result<Self> {
        toml::from_str(include_str!("showcase.toml")).context("read showcase.toml")
    }
}
