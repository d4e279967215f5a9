//! A price that a lookup promises for a while (semantics 1.14): what the promise says, and whether a line is the one
//! that it was given for. Who signs and verifies it is the shell's business.

use pannier_protocol::api::Price;
use pannier_protocol::order::PriceRecord;
use pannier_protocol::{ContractId, Currency, Decimal, ItemId, LevelName, UomCode};
use serde::{Deserialize, Serialize};

use super::Resolved;
use crate::quote::Record;

/// A price that a lookup promised: what its signed token says of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPrice {
    pub item: ItemId,
    pub uom: UomCode,
    /// The price holds for this quantity only: with another one another break could be reached.
    pub quantity: Decimal,
    pub currency: Currency,
    /// The contract and the warehouse that the line named: each can bring another price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warehouse: Option<String>,
    /// What the customer was shown for one of `uom`.
    pub order_unit_price: Decimal,
    /// With the version of the row.
    pub price: PriceRecord,
}

/// What a line says beside item, unit and quantity that its price depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terms<'l> {
    pub(crate) currency: Currency,
    pub(crate) contract: Option<&'l str>,
    pub(crate) warehouse: Option<&'l str>,
}

impl HeldPrice {
    /// `None` where a name in it is none of ours.
    pub(crate) fn of(
        resolved: &Resolved,
        uom: &str,
        terms: Terms<'_>,
        price: &Price,
        record: &Record,
    ) -> Option<Self> {
        Some(Self {
            item: resolved.item.id.clone(),
            uom: UomCode::new(uom).ok()?,
            quantity: resolved.quantity,
            currency: terms.currency,
            contract: terms.contract.map(str::to_owned),
            warehouse: terms.warehouse.map(str::to_owned),
            order_unit_price: price.order_unit_price,
            price: recorded(price, record)?,
        })
    }

    pub(crate) fn is_of(&self, resolved: &Resolved, uom: &str, terms: Terms<'_>) -> bool {
        self.item == resolved.item.id
            && self.uom.as_str() == uom
            && self.quantity == resolved.quantity
            && self.currency == terms.currency
            && self.contract.as_deref() == terms.contract
            && self.warehouse.as_deref() == terms.warehouse
    }
}

/// `None` where the tenant's policy has a level without a name.
pub(crate) fn recorded(price: &Price, record: &Record) -> Option<PriceRecord> {
    Some(PriceRecord {
        unit_price: price.unit_price,
        per: price.per,
        uom: UomCode::new(&price.uom).ok()?,
        extended: price.extended.amount,
        level: LevelName::new(&price.level).ok()?,
        contract: price.contract.as_deref().and_then(|contract| ContractId::new(contract).ok()),
        row: Some(record.row.clone()),
    })
}
