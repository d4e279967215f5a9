//! Rows of the catalog: replacement, tombstones, overlaps, snapshots and digests.

use std::sync::Arc;

use pannier_protocol::change::{PriceScope, SnapshotScope};
use pannier_protocol::codec::{self, Encoding};
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::{Change, ContractId, Currency, ListId, Timestamp};
use proptest::prelude::*;
use serde::de::DeserializeOwned;

use super::prices::Served;
use super::{CatalogRows, Target};
use crate::dictionary::Dictionary;
use crate::rows::{RowVersion, Rows, Stated};

fn read<T: DeserializeOwned>(json: &str) -> T {
    let read = codec::decode(Encoding::Json, json.as_bytes(), MESSAGE_BYTES_MAX);
    read.unwrap_or_else(|error| panic!("{error}: {json}"))
}

fn change(json: &str) -> Change {
    let change: Change = read(json);
    change.check().unwrap();
    change
}

/// Applies messages of one change each, with these sequences; the reasons of what was refused.
fn apply(rows: &CatalogRows, messages: &[(u64, &str)]) -> Vec<String> {
    let mut rejected = Vec::new();
    for (sequence, json) in messages {
        let (change, version) = (change(json), RowVersion::new(0, *sequence));
        let refused = rows.apply(&[Stated { change: &change, version }]);
        rejected.extend(refused.into_iter().map(|rejection| rejection.reason));
    }
    rejected
}

/// The value and version of the list row of item `A` at an instant.
#[track_caller]
fn check_price(rows: &CatalogRows, dictionary: &Dictionary, at: &str, want: Option<(&str, u64)>) {
    let list = dictionary.scope(&PriceScope::List(ListId::new("L").unwrap()));
    let target = Target::item(dictionary.items.intern("A"));
    let at = Timestamp::parse(at).unwrap();
    let (always, usd) = ((Timestamp::MIN, Timestamp::MAX), Currency::new("USD").unwrap());
    let mut found = None;
    if let Some(scope) = rows.scope(list) {
        scope.visit(rows.terms(), (target, None), usd, always, at, |dated| {
            if dated.start <= at {
                let value = dated.row.pricing().breaks()[0].1;
                found = Some((value.to_string(), dated.row.version.source_sequence()));
            }
        });
    }
    assert_eq!(found.as_ref().map(|(value, version)| (value.as_str(), *version)), want, "at {at}");
}

fn prices(from: &str, to: Option<&str>, value: &str) -> String {
    let edge = |date: &str| format!(r#"{{"date":"{date}","inclusive":true,"zone":"UTC"}}"#);
    let to = to.map_or_else(String::new, |to| format!(r#","to":{}"#, edge(to)));
    format!(
        r#"{{"prices":{{"scope":{{"list":"L"}},"currency":"USD","from":{}{to},
            "rows":[["A",null,null,null,1,"fixed",null,[["0","{value}"]]]]}}}}"#,
        edge(from),
    )
}

const REMOVED: &str = r#"{"prices_removed":{"scope":{"list":"L"},"currency":"USD",
    "from":{"date":"2026-01-01","inclusive":true,"zone":"UTC"},"rows":[["A",null,null,null]]}}"#;

fn new_rows() -> (Arc<Dictionary>, CatalogRows) {
    let dictionary = Arc::new(Dictionary::default());
    (Arc::clone(&dictionary), CatalogRows::new(dictionary))
}

#[test]
fn a_row_replaces_the_one_with_its_key_and_from() {
    let (dictionary, rows) = new_rows();
    let first = prices("2026-01-01", None, "1");
    let second = prices("2026-01-01", Some("2026-06-30"), "2");
    let third = prices("2026-07-01", None, "3");
    assert_eq!(apply(&rows, &[(1, &first), (2, &second), (3, &third)]), Vec::<String>::new());
    check_price(&rows, &dictionary, "2025-12-31T23:59:59Z", None);
    check_price(&rows, &dictionary, "2026-06-30T23:59:59Z", Some(("2", 2)));
    check_price(&rows, &dictionary, "2026-07-01T00:00:00Z", Some(("3", 3)));
}

#[test]
fn of_overlapping_rows_the_earlier_stays() {
    let (dictionary, rows) = new_rows();
    let first = prices("2026-01-01", None, "1");
    let second = prices("2026-06-01", None, "2");
    let rejected = apply(&rows, &[(1, &first), (2, &second)]);
    assert_eq!(
        rejected,
        [
            "list L: A USD from 2026-06-01T00:00:00Z overlaps the one from 2026-01-01T00:00:00Z, which stays in \
          force; end that one first, or remove it"
        ]
    );
    check_price(&rows, &dictionary, "2026-07-01T00:00:00Z", Some(("1", 1)));

    // Earlier is what the source said first, whichever arrives first.
    let (dictionary, rows) = new_rows();
    assert_eq!(apply(&rows, &[(2, &second), (1, &first)]), rejected);
    check_price(&rows, &dictionary, "2026-07-01T00:00:00Z", Some(("1", 1)));
}

#[test]
fn a_delete_is_final_for_what_was_said_before_it() {
    let (dictionary, rows) = new_rows();
    let price = prices("2026-01-01", None, "1");
    apply(&rows, &[(5, &price), (7, REMOVED), (6, &price)]);
    check_price(&rows, &dictionary, "2026-07-01T00:00:00Z", None);
    assert_eq!(rows.digest(), 0);
    apply(&rows, &[(8, &price)]);
    check_price(&rows, &dictionary, "2026-07-01T00:00:00Z", Some(("1", 8)));

    apply(&rows, &[(9, r#"{"scope_removed":{"scope":{"list":"L"}}}"#), (8, &price)]);
    check_price(&rows, &dictionary, "2026-07-01T00:00:00Z", None);
    assert_eq!(rows.digest(), 0);

    for (upsert, remove) in [
        (r#"{"item":{"item":"A","base_uom":"EA"}}"#, r#"{"item_removed":{"item":"A"}}"#),
        (
            r#"{"reference":{"kind":"gtin","number":"4006","item":"A"}}"#,
            r#"{"reference_removed":{"kind":"gtin","number":"4006"}}"#,
        ),
        (r#"{"account":{"account":"C","root":"C"}}"#, r#"{"account_removed":{"account":"C"}}"#),
    ] {
        let (_, rows) = new_rows();
        apply(&rows, &[(2, remove), (1, upsert)]);
        assert_eq!(rows.digest(), 0, "{upsert}");
        apply(&rows, &[(3, upsert)]);
        assert_ne!(rows.digest(), 0, "{upsert}");
    }
}

#[test]
fn lists_do_not_derive_from_themselves() {
    let (_, rows) = new_rows();
    let list = |list: &str, parent: &str| {
        format!(
            r#"{{"scope":{{"scope":{{"list":"{list}"}},"parent":{{"list":"{parent}","multiplier":"0.9"}}}}}}"#
        )
    };
    let rejected = apply(&rows, &[(1, &list("A", "B")), (2, &list("B", "C")), (3, &list("C", "A"))]);
    assert_eq!(rejected, ["list C would derive from itself by way of list A"]);
    assert_eq!(apply(&rows, &[(4, &list("D", "D"))]), ["list D would derive from itself by way of list D"]);

    let deep: Vec<_> = (0..12).map(|at| list(&format!("N{}", at + 1), &format!("N{at}"))).collect();
    let deep: Vec<_> = deep.iter().enumerate().map(|(at, json)| (at as u64 + 10, json.as_str())).collect();
    let refused = apply(&rows, &deep);
    assert_eq!(refused[0], "list N9 has more than 8 lists above it; flatten them");
}

#[test]
fn the_index_follows_the_headers() {
    let (dictionary, rows) = new_rows();
    let contract =
        |members: &str| format!(r#"{{"scope":{{"scope":{{"contract":"K"}},"members":[{members}]}}}}"#);
    let scope = |json: &str| dictionary.scope(&read(json));
    let served = |of: &str| {
        let serving = rows.serving(Served::ContractsOf(scope(of)));
        serving.map_or(0, |serving| serving.len())
    };
    let (account, group) = (r#"{"account":"C"}"#, r#"{"group":"G"}"#);
    apply(&rows, &[(1, &contract(&format!("{account},{group}")))]);
    assert_eq!((served(account), served(group)), (1, 1));
    apply(&rows, &[(2, &contract(group))]);
    assert_eq!((served(account), served(group)), (0, 1));
    apply(&rows, &[(3, r#"{"scope_removed":{"scope":{"contract":"K"}}}"#)]);
    assert_eq!((served(account), served(group)), (0, 0));

    let promotion = r#"{"prices":{"scope":{"promotion":"P"},"currency":"USD",
        "rows":[["A",null,null,null,1,"fixed",null,[["0","1"]]]]}}"#;
    apply(&rows, &[(4, promotion)]);
    assert!(rows.serving(Served::Promotions).is_some_and(|serving| serving.len() == 1));
    let header = r#"{"scope":{"scope":{"promotion":"P"},"members":[{"group":"G"}]}}"#;
    apply(&rows, &[(5, header)]);
    assert!(rows.serving(Served::Promotions).is_some_and(|serving| serving.is_empty()));
    assert!(rows.serving(Served::PromotionsOf(scope(group))).is_some_and(|serving| serving.len() == 1));
}

/// A row of every table, three contracts' worth of prices.
fn sample() -> Vec<String> {
    let mut changes = vec![
        r#"{"item":{"item":"A","base_uom":"EA","uoms":[{"uom":"BX","numerator":10,"denominator":1}]}}"#
            .to_owned(),
        r#"{"item":{"item":"B","base_uom":"EA","class":"bolts"}}"#.to_owned(),
        r#"{"reference":{"kind":{"customer":"C"},"number":"their-1","item":"A","uom":"BX"}}"#.to_owned(),
        r#"{"account":{"account":"C","root":"C","groups":["G"]}}"#.to_owned(),
        r#"{"policy":{"version":1,"document":{"rounding":"half_even"}}}"#.to_owned(),
    ];
    for contract in ["K1", "K2", "K3"] {
        changes.push(format!(
            r#"{{"scope":{{"scope":{{"contract":"{contract}"}},"members":[{{"account":"C"}}]}}}}"#
        ));
        for item in 0..100 {
            changes.push(format!(
                r#"{{"prices":{{"scope":{{"contract":"{contract}"}},"currency":"EUR","rows":[
                    ["I{item}",null,"BX",null,100,{{"list_chain":{{"percents":["5"],"round_digits":2}}}},"EA",
                     [["0","10"],["20","12.5"]]]]}}}}"#
            ));
        }
    }
    changes.push(prices("2026-01-01", None, "1"));
    changes
}

fn load<'a>(changes: impl IntoIterator<Item = &'a String>) -> CatalogRows {
    let (_, rows) = new_rows();
    let rejected: Vec<_> = changes.into_iter().flat_map(|json| apply(&rows, &[(1, json)])).collect();
    assert_eq!(rejected, Vec::<String>::new());
    rows
}

#[test]
fn snapshots_count_miss_and_share_by_scope() {
    let changes = sample();
    for (scope, rows_count) in [
        (r#"{"table":"items"}"#, 2),
        (r#"{"table":"references"}"#, 1),
        (r#"{"table":"accounts"}"#, 1),
        (r#"{"table":"policies"}"#, 1),
        (r#"{"table":"scopes"}"#, 3),
        (r#"{"table":"scopes","prices":{"scope":{"contract":"K2"}}}"#, 1),
        (r#"{"table":"prices"}"#, 301),
        (r#"{"table":"prices","prices":{"kind":"list"}}"#, 1),
        (r#"{"table":"prices","prices":{"scope":{"contract":"K1"}}}"#, 100),
        (r#"{"table":"all"}"#, 309),
        (r#"{"table":"stock"}"#, 0),
    ] {
        let rows = load(&changes);
        let selected: SnapshotScope = read(scope);
        assert_eq!(rows.rows_count(&selected), rows_count, "{scope}");
        let aside = rows.aside();
        assert_eq!(rows.rows_missing_in(&aside, &selected), rows_count, "{scope}");
        rows.share_outside(&aside, &selected);
        assert_eq!(aside.rows_count(&selected), 0, "{scope}");
        let all: SnapshotScope = read(r#"{"table":"all"}"#);
        assert_eq!(aside.rows_count(&all), 309 - rows_count, "{scope}");

        // What the scope held put in again makes the same table, to the digest.
        changes.iter().for_each(|json| {
            apply(&aside, &[(1, json)]);
        });
        assert_eq!(aside.digest(), rows.digest(), "{scope}");
        assert_eq!(rows.rows_missing_in(&aside, &all), 0, "{scope}");
    }
}

#[test]
fn contract_rows_are_replaced_as_one() {
    let (dictionary, rows) = new_rows();
    sample().iter().for_each(|json| {
        apply(&rows, &[(1, json)]);
    });
    let contract = PriceScope::Contract(ContractId::new("K1").unwrap());
    let before = rows.scope(dictionary.scope(&contract)).unwrap();
    let change = change(
        r#"{"prices":{"scope":{"contract":"K1"},"currency":"EUR","rows":[
            ["I1",null,"BX",null,1,"fixed",null,[["0","1"]]],["I2",null,"BX",null,1,"fixed",null,[["0","1"]]]]}}"#,
    );
    rows.apply(&[Stated { change: &change, version: RowVersion::new(0, 2) }]);
    let after = rows.scope(dictionary.scope(&contract)).unwrap();
    let plain = |scope: &super::Scope, item: &str| {
        let target = Target::item(dictionary.items.intern(item));
        scope.rows_of(target, rows.terms()).map(|(row, _)| row.pricing().per).collect::<Vec<_>>()
    };
    assert_eq!((plain(&before, "I1"), plain(&before, "I2")), (vec![100], vec![100]));
    assert_eq!((plain(&after, "I1"), plain(&after, "I2")), (vec![1], vec![1]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// The order of arrival leaves no trace, in digest and rows, however blocks were split.
    #[test]
    fn digests_do_not_depend_on_order(shuffled in Just(sample()).prop_shuffle()) {
        let (straight, rows) = (load(&sample()), load(&shuffled));
        prop_assert_eq!(rows.digest(), straight.digest());
        let cleared = ["K1", "K2", "K3"].map(|contract| {
            format!(r#"{{"scope_removed":{{"scope":{{"contract":"{contract}"}}}}}}"#)
        });
        cleared.iter().for_each(|json| { apply(&rows, &[(2, json)]); });
        cleared.iter().rev().for_each(|json| { apply(&straight, &[(2, json)]); });
        prop_assert_eq!(rows.digest(), straight.digest());
    }
}
