//! What the tenant decides by data, with what holds until they do.

use pannier_protocol::change::{
    CustomerKey, Defaults, InDoubt, ItemKeyKind, LevelPolicy, LevelRule, PastDue, PolicyDocument, PriceMoved,
    Rounding, Sourcing, SourcingMode, Staleness, WarehouseKey,
};
use pannier_protocol::{Currency, ListId, Zone};

/// The documents in force.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicySet {
    pub levels: Vec<LevelRule>,
    pub staleness: Staleness,
    pub sourcing: Sourcing,
    pub rounding: Rounding,
    pub business_zone: Zone,
    pub defaults: Defaults,
}

impl Default for PolicySet {
    /// The default precedence of semantics 1.2; ages are told and nothing is refused for them.
    fn default() -> Self {
        let level = |name: &str, customer, item| LevelRule {
            name: name.to_owned(),
            customer,
            item,
            warehouse: WarehouseKey::Any,
            policy: LevelPolicy::First,
        };
        Self {
            levels: vec![
                level("line_contract", CustomerKey::LineContract, ItemKeyKind::Any),
                level("ship_to_contract", CustomerKey::ShipToContract, ItemKeyKind::Any),
                level("customer_contract", CustomerKey::CustomerContract, ItemKeyKind::Any),
                level("ancestor_contract", CustomerKey::AncestorContract, ItemKeyKind::Any),
                level("group_contract", CustomerKey::GroupContract, ItemKeyKind::Any),
                level("customer_price", CustomerKey::Customer, ItemKeyKind::Any),
                level("group_item_price", CustomerKey::Group, ItemKeyKind::Item),
                level("group_class_price", CustomerKey::Group, ItemKeyKind::Class),
                level("promotion", CustomerKey::Promotion, ItemKeyKind::Any),
                level("list", CustomerKey::List, ItemKeyKind::Any),
            ],
            staleness: Staleness { rules: Vec::new(), suspect: InDoubt::Refuse },
            sourcing: Sourcing { mode: SourcingMode::Split, horizon_days: 90, past_due: PastDue::Ignore },
            rounding: Rounding::HalfAway,
            business_zone: Zone::utc(),
            defaults: Defaults {
                currency: Currency::new("USD").expect("USD is a currency"),
                lists: vec![ListId::new("LIST").expect("LIST is an id")],
                price_moved: PriceMoved::default(),
            },
        }
    }
}

impl PolicySet {
    /// Puts one document in force.
    pub(super) fn set(&mut self, document: PolicyDocument) {
        match document {
            PolicyDocument::Levels(levels) => self.levels = levels,
            PolicyDocument::Staleness(staleness) => self.staleness = staleness,
            PolicyDocument::Sourcing(sourcing) => self.sourcing = sourcing,
            PolicyDocument::Rounding(rounding) => self.rounding = rounding,
            PolicyDocument::BusinessZone(zone) => self.business_zone = zone,
            // In force beside these; see `crate::ownership`.
            PolicyDocument::Ownership(_) => {}
            PolicyDocument::Defaults(defaults) => self.defaults = defaults,
        }
    }
}
