//! Items, other parties' numbers, and accounts.

use std::fmt::Display;

use pannier_protocol::change::{ItemStatus, RelationKind, SourcingMode, Table};

use super::tally::Facts;
use super::{Comparison, Place, Sources, Tallies, distinct};
use crate::catalog::{
    AccountRecord, CatalogChain, ItemRecord, KitPart, NumberOf, ReferenceRecord, RelationRecord, UomRecord,
};
use crate::dictionary::Dictionary;
use crate::quantity::Exact;

impl Comparison<'_> {
    pub(super) fn records(&self, chains: &[CatalogChain], tallies: &mut Tallies) {
        let names = self.dictionary;
        for item in distinct(chains.iter().map(|chain| chain.rows.item_numbers())) {
            let found = chains.iter().filter_map(|chain| Some((&chain.source, chain.rows.item(item)?)));
            let found: Vec<_> = found.collect();
            // Of which class it is, every source says for itself, as where lookups choose.
            let owner = |record: &ItemRecord| {
                self.catalog.ownership.owner(Table::Items, None, record.class_id.as_ref())
            };
            let owned = found.iter().find(|(source, record)| owner(record) == Some(*source));
            let class = owned.or(found.first()).and_then(|(_, record)| record.class_id.as_ref());
            let rows: Sources<'_, Facts> =
                found.iter().map(|(source, record)| (*source, of_item(record, names))).collect();
            let place = Place { table: Table::Items, warehouse: None, class };
            self.compare(tallies, place, &rows, || names.items.name(item).to_owned());
        }
        for account in distinct(chains.iter().map(|chain| chain.rows.account_numbers())) {
            let found = |chain: &CatalogChain| Some(of_account(&*chain.rows.account(account)?, names));
            let rows = chains.iter().filter_map(|chain| Some((&chain.source, found(chain)?))).collect();
            let place = Place { table: Table::Accounts, warehouse: None, class: None };
            self.compare(tallies, place, &rows, || names.accounts.name(account).to_owned());
        }
        for (of, number) in distinct(chains.iter().map(|chain| chain.rows.reference_keys())) {
            let found =
                |chain: &CatalogChain| Some(of_reference(&*chain.rows.reference(of, &number)?, names));
            let rows = chains.iter().filter_map(|chain| Some((&chain.source, found(chain)?))).collect();
            let place = Place { table: Table::References, warehouse: None, class: None };
            self.compare(tallies, place, &rows, || match of {
                NumberOf::Customer(account) => format!("{number} of {}", names.accounts.name(account)),
                NumberOf::SharedCustomer => format!("{number} of customers"),
                NumberOf::Vendor => format!("{number} of the vendor"),
                NumberOf::Gtin => format!("GTIN {number}"),
            });
        }
    }
}

fn listed<T>(of: &[T], mut show: impl FnMut(&T) -> String) -> String {
    of.iter().map(&mut show).collect::<Vec<_>>().join(", ")
}

fn optional<T: Display>(of: Option<&T>) -> String {
    of.map_or_else(String::new, T::to_string)
}

fn fraction(exact: Exact) -> String {
    match exact.denominator() {
        1 => exact.numerator().to_string(),
        denominator => format!("{}/{denominator}", exact.numerator()),
    }
}

/// Each entry, in an order that two sources share.
fn sorted<T>(of: &[T], show: impl FnMut(&T) -> String) -> String {
    let mut shown: Vec<String> = of.iter().map(show).collect();
    shown.sort_unstable();
    shown.join(", ")
}

fn of_item(item: &ItemRecord, names: &Dictionary) -> Facts {
    let uom = |uom| names.uoms.name(uom);
    let unit = |it: &UomRecord| {
        let (multiple, minimum) =
            (it.multiple.map(|by| format!(" by {by}")), it.minimum.map(|it| format!(" from {it}")));
        let orders: String = multiple.into_iter().chain(minimum).collect();
        format!("{} {}{orders}", uom(it.uom), fraction(it.factor))
    };
    let part = |it: &KitPart| format!("{} {} {}", it.quantity, uom(it.uom), names.items.name(it.item));
    let relation = |it: &RelationRecord| {
        let kind = match it.relation {
            RelationKind::Alternative => "alternative",
            RelationKind::Substitute => "substitute",
            RelationKind::Replacement => "replacement",
        };
        format!("{kind} {} {} {}", fraction(it.ratio), uom(it.uom), names.items.name(it.item))
    };
    let status = match item.status {
        ItemStatus::Active => "active",
        ItemStatus::Discontinued => "discontinued",
    };
    Facts::new([
        ("base_uom", uom(item.base_uom).to_owned()),
        ("uoms", sorted(&item.uoms, unit)),
        ("class", optional(item.class_id.as_ref())),
        ("entitlement", optional(item.entitlement.as_ref())),
        ("status", status.to_owned()),
        ("backorder", item.backorder.to_string()),
        ("lot_tracked", item.lot_tracked.to_string()),
        ("kit", sorted(&item.kit, part)),
        ("relations", listed(&item.relations, relation)),
    ])
}

fn of_account(account: &AccountRecord, names: &Dictionary) -> Facts {
    let scope = |scope: &_| names.scope_name(*scope).to_owned();
    let sourcing = account.sourcing.map_or("", |mode| match mode {
        SourcingMode::Single => "single",
        SourcingMode::ShipComplete => "ship_complete",
        SourcingMode::Split => "split",
    });
    Facts::new([
        ("root", account.root.to_string()),
        ("parent", account.parent.map_or_else(String::new, |it| names.accounts.name(it).to_owned())),
        ("groups", listed(&account.groups, scope)),
        ("lists", listed(&account.lists, scope)),
        ("currency", optional(account.currency.as_ref())),
        ("entitlements", listed(&account.entitlements, ToString::to_string)),
        ("contract_only", account.contract_only.to_string()),
        ("blocked", account.blocked.to_string()),
        ("company", optional(account.company.as_ref())),
        ("territories", sorted(&account.territories, ToString::to_string)),
        ("warehouses", listed(&account.warehouses, |it| names.warehouses.name(*it).to_owned())),
        ("sourcing", sourcing.to_owned()),
    ])
}

fn of_reference(reference: &ReferenceRecord, names: &Dictionary) -> Facts {
    Facts::new([
        ("item", names.items.name(reference.item).to_owned()),
        ("uom", reference.uom.map_or_else(String::new, |uom| names.uoms.name(uom).to_owned())),
    ])
}
