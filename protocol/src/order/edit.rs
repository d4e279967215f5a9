//! What an operator may correct of an order that its backend cannot take as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ActKey, OrderId, OrderRequestFacts};
use crate::codec::{bounded, bounded_map, bounded_option, bounded_text};
use crate::limits::{LIST_MAX, ORDER_REFERENCES_MAX, TEXT_BYTES_MAX};
use crate::{LocalDate, MarkId, PurchaseOrder, ReferenceName, ReferenceText};

/// An order in review or in the dead letters is corrected and sent again: generation `closes` is closed and the next
/// one opened with the corrected facts. Only what nobody judged by can be edited. Lines, units, account and ship-to
/// are what was promised and priced: who wants others cancels and places again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditOrder {
    pub order: OrderId,
    /// The generation that is closed, 0 where there was none; a decision about another one changes nothing.
    pub closes: u32,
    pub set: EditedFacts,
    /// Facts that the order is to have no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "bounded::<_, _, LIST_MAX>")]
    pub clear: Vec<EditableFact>,
    pub by: MarkId,
    #[serde(deserialize_with = "bounded_text::<_, TEXT_BYTES_MAX>")]
    pub reason: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyed: Option<ActKey>,
}

/// What takes the place of what the order says; what is left out stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EditedFacts {
    /// At most 1,024 bytes.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "bounded_option::<_, TEXT_BYTES_MAX>"
    )]
    #[cfg_attr(feature = "openapi", schema(max_length = 1024))]
    pub ship_to_address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, max_length = 64))]
    pub purchase_order: Option<PurchaseOrder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Date))]
    pub requested_date: Option<LocalDate>,
    /// These by name; the others stay.
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "bounded_map::<_, _, _, ORDER_REFERENCES_MAX>"
    )]
    #[cfg_attr(feature = "openapi", schema(value_type = std::collections::HashMap<String, String>))]
    pub references: BTreeMap<ReferenceName, ReferenceText>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum EditableFact {
    ShipToAddress,
    PurchaseOrder,
    RequestedDate,
    /// All of them, before those of `set` are put in.
    References,
}

impl EditableFact {
    /// As on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ShipToAddress => "ship_to_address",
            Self::PurchaseOrder => "purchase_order",
            Self::RequestedDate => "requested_date",
            Self::References => "references",
        }
    }
}

impl EditOrder {
    /// What is set or cleared.
    pub fn touched(&self) -> Vec<EditableFact> {
        let set = &self.set;
        let mut touched = self.clear.clone();
        touched.extend(set.ship_to_address.as_ref().map(|_| EditableFact::ShipToAddress));
        touched.extend(set.purchase_order.as_ref().map(|_| EditableFact::PurchaseOrder));
        touched.extend(set.requested_date.as_ref().map(|_| EditableFact::RequestedDate));
        touched.extend((!set.references.is_empty()).then_some(EditableFact::References));
        touched.sort_unstable();
        touched.dedup();
        touched
    }

    /// The facts as they are after the edit.
    pub fn applied_to(&self, facts: &OrderRequestFacts) -> OrderRequestFacts {
        let mut after = facts.clone();
        for fact in &self.clear {
            match fact {
                EditableFact::ShipToAddress => after.ship_to_address = None,
                EditableFact::PurchaseOrder => after.purchase_order = None,
                EditableFact::RequestedDate => after.requested_date = None,
                EditableFact::References => after.references.clear(),
            }
        }
        let EditedFacts { ship_to_address, purchase_order, requested_date, references } = self.set.clone();
        after.ship_to_address = ship_to_address.or(after.ship_to_address);
        after.purchase_order = purchase_order.or(after.purchase_order);
        after.requested_date = requested_date.or(after.requested_date);
        after.references.extend(references);
        after
    }
}
