//! Accounts, ship-tos and items as lines name them.

use pannier_protocol::api::ItemType;
use pannier_protocol::{AccountId, Partition};

use super::world::World;
use crate::catalog::{AccountRefusal, accounts, items, uoms};

const ACCOUNTS: &str = r#"
    {"account":{"account":"TOP","root":"TOP"}}
    {"account":{"account":"MID","root":"TOP","parent":"TOP"}}
    {"account":{"account":"BUYER","root":"TOP","parent":"MID","entitlements":["hazmat","alcohol"],"warehouses":["DAL","HOU"]}}
    {"account":{"account":"SITE","root":"TOP","parent":"BUYER"}}
    {"account":{"account":"DOCK","root":"TOP","parent":"SITE"}}
    {"account":{"account":"OWN","root":"TOP","parent":"SITE","warehouses":["ELP"]}}
    {"account":{"account":"SHUT","root":"TOP","parent":"BUYER","blocked":true}}
    {"account":{"account":"LOOP-A","root":"LOOP-A","parent":"LOOP-B"}}
    {"account":{"account":"LOOP-B","root":"LOOP-A","parent":"LOOP-A"}}
    {"account":{"account":"ORPHAN","root":"LOST","parent":"LOST"}}
"#;

/// Who stands between, above, and which warehouses are eligible; or why not.
#[track_caller]
fn check_account(account: &str, ship_to: Option<&str>, want: Result<(&str, &str, &str), AccountRefusal>) {
    let world = World::new(ACCOUNTS);
    let id = |text| AccountId::new(text).unwrap();
    let resolved =
        accounts::resolve(&world.tables, &world.dictionary, &id(account), ship_to.map(id).as_ref());
    let shown = resolved.map(|context| {
        let ids = |records: &[std::sync::Arc<crate::catalog::AccountRecord>]| {
            records.iter().map(|record| record.id.as_str()).collect::<Vec<_>>().join(" ")
        };
        let warehouses = context.warehouses().iter().map(|it| world.dictionary.warehouses.name(*it));
        (ids(&context.between), ids(&context.ancestors), warehouses.collect::<Vec<_>>().join(" "))
    });
    let shown = shown.as_ref().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()));
    assert_eq!(shown, want.as_ref().map(|want| *want), "{account} {ship_to:?}");
}

#[test]
fn accounts_are_resolved_with_who_stands_above_them() {
    check_account("BUYER", None, Ok(("", "MID TOP", "DAL HOU")));
    check_account("BUYER", Some("BUYER"), Ok(("", "MID TOP", "DAL HOU")));
    check_account("BUYER", Some("SITE"), Ok(("", "MID TOP", "DAL HOU")));
    check_account("BUYER", Some("DOCK"), Ok(("SITE", "MID TOP", "DAL HOU")));
    check_account("BUYER", Some("OWN"), Ok(("SITE", "MID TOP", "ELP")));
    check_account("LOOP-A", None, Ok(("", "LOOP-B", "")));
    check_account("ORPHAN", None, Ok(("", "", "")));
    // Above, beside, unknown: all look alike.
    for ship_to in ["MID", "LOOP-A", "NOBODY"] {
        check_account("BUYER", Some(ship_to), Err(AccountRefusal::Unknown));
    }
    check_account("NOBODY", None, Err(AccountRefusal::Unknown));
    check_account("SHUT", None, Err(AccountRefusal::Blocked));
    check_account("BUYER", Some("SHUT"), Err(AccountRefusal::Blocked));
}

/// The item found, and the unit of one of what was asked; `account` may be empty.
#[track_caller]
fn check_item(account: &str, ship_to: Option<&str>, item: (&str, ItemType), want: Option<(&str, &str)>) {
    let mut world = World::new(ACCOUNTS);
    world.add(
        "erp",
        Partition::Shared,
        r#"
        {"item":{"item":"A","base_uom":"EA","uoms":[{"uom":"BX","numerator":10,"denominator":1}]}}
        {"item":{"item":"B","base_uom":"EA"}}
        {"item":{"item":"ACID","base_uom":"EA","entitlement":"hazmat"}}
        {"item":{"item":"PERMIT","base_uom":"EA","entitlement":"explosives"}}
        {"reference":{"kind":"shared_customer","number":"1","item":"A"}}
        {"reference":{"kind":"shared_customer","number":"2","item":"A"}}
        {"reference":{"kind":{"customer":"TOP"},"number":"2","item":"B"}}
        {"reference":{"kind":{"customer":"MID"},"number":"3","item":"A","uom":"BX"}}
        {"reference":{"kind":{"customer":"TOP"},"number":"3","item":"B"}}
        {"reference":{"kind":{"customer":"DOCK"},"number":"4","item":"A","uom":"BX"}}
        {"reference":{"kind":{"customer":"BUYER"},"number":"4","item":"B"}}
        {"reference":{"kind":"vendor","number":"V1","item":"A","uom":"BX"}}
        {"reference":{"kind":"gtin","number":"4006381333931","item":"A"}}
        {"reference":{"kind":"gtin","number":"HIDDEN","item":"PERMIT"}}
        {"reference":{"kind":"gtin","number":"GONE","item":"NOWHERE"}}
        "#,
    );
    let context = world.account(Some(account).filter(|id| !id.is_empty()), ship_to);
    let found = items::resolve(&world.tables, &world.dictionary, context.as_ref(), item.0, item.1);
    let shown = found.map(|found| {
        let unit = uoms::resolve(&found.record, &world.dictionary, None, found.uom).unwrap();
        (found.record.id.to_string(), world.dictionary.uoms.name(unit.uom).to_owned())
    });
    let shown = shown.as_ref().map(|(item, uom)| (item.as_str(), uom.as_str()));
    assert_eq!(shown, want, "{account} {ship_to:?} {item:?}");
}

#[test]
fn items_are_found_by_their_own_and_others_numbers() {
    let customer = |number| (number, ItemType::Customer);
    check_item("BUYER", None, ("A", ItemType::Own), Some(("A", "EA")));
    check_item("BUYER", None, customer("A"), None);
    check_item("BUYER", None, customer("1"), Some(("A", "EA")));
    check_item("BUYER", None, customer("2"), Some(("B", "EA")));
    check_item("BUYER", None, customer("3"), Some(("A", "BX")));
    check_item("BUYER", None, customer("4"), Some(("B", "EA")));
    check_item("BUYER", Some("DOCK"), customer("4"), Some(("A", "BX")));
    check_item("", None, customer("1"), Some(("A", "EA")));
    check_item("", None, customer("3"), None);
    check_item("", None, ("V1", ItemType::Vendor), Some(("A", "BX")));
    check_item("", None, ("4006381333931", ItemType::Gtin), Some(("A", "EA")));
    check_item("", None, ("V1", ItemType::Gtin), None);
    check_item("BUYER", None, ("GONE", ItemType::Gtin), None);
}

#[test]
fn items_that_the_account_may_not_buy_are_not_there() {
    check_item("BUYER", None, ("ACID", ItemType::Own), Some(("ACID", "EA")));
    check_item("BUYER", None, ("PERMIT", ItemType::Own), None);
    check_item("BUYER", None, ("HIDDEN", ItemType::Gtin), None);
    // Entitlements are those of the account's own record.
    check_item("MID", None, ("ACID", ItemType::Own), None);
    check_item("", None, ("ACID", ItemType::Own), None);
}

#[test]
fn a_line_is_in_its_own_unit_the_references_or_the_base() {
    let world = World::new(
        r#"{"item":{"item":"A","base_uom":"EA","uoms":[{"uom":"BX","numerator":10,"denominator":1}]}}"#,
    );
    let item = items::find_item(&world.tables, world.dictionary.items.get("A").unwrap()).unwrap();
    let uom = |name: &str| world.dictionary.uoms.intern(name);
    let resolve = |requested: Option<&str>, reference: Option<&str>| {
        let unit = uoms::resolve(&item, &world.dictionary, requested, reference.map(uom)).ok()?;
        Some(world.dictionary.uoms.name(unit.uom).to_owned())
    };
    assert_eq!(resolve(None, None).as_deref(), Some("EA"));
    assert_eq!(resolve(None, Some("BX")).as_deref(), Some("BX"));
    assert_eq!(resolve(Some("EA"), Some("BX")).as_deref(), Some("EA"));
    assert_eq!(resolve(Some("CASE"), None), None);
    assert_eq!(resolve(None, Some("CASE")), None);
}
