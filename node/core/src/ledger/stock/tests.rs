use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::{Expect, expect};
use pannier_protocol::change::{Change, SnapshotScope, Table};
use pannier_protocol::codec::change_hash;
use pannier_protocol::{Encoding, WarehouseId, codec};
use proptest::prelude::*;

use super::{StockCell, StockRows};
use crate::dictionary::Dictionary;
use crate::rows::{RowVersion, Rows, Stated};

fn change(json: &str) -> Change {
    codec::decode(Encoding::Json, json.as_bytes(), json.len()).unwrap()
}

fn apply(rows: &StockRows, changes: &[Change]) -> Vec<String> {
    let version = RowVersion::new(0, 1);
    let batch: Vec<_> = changes.iter().map(|change| Stated { change, version }).collect();
    rows.apply(&batch).into_iter().map(|rejection| rejection.reason).collect()
}

fn scope(table: Table, warehouse: Option<&str>) -> SnapshotScope {
    SnapshotScope { table, warehouse: warehouse.map(|text| WarehouseId::new(text).unwrap()), prices: None }
}

/// One line a cell of item A, then what was rejected.
#[track_caller]
fn check(changes: &[&str], want: &Expect) {
    let dictionary = Arc::new(Dictionary::default());
    let rows = StockRows::new(Arc::clone(&dictionary));
    let changes: Vec<_> = changes.iter().map(|json| change(json)).collect();
    let rejections = apply(&rows, &changes);
    let show = |cell: &StockCell| {
        let receipts: String =
            cell.receipts().iter().map(|r| format!(" received {} {}", r.reference, r.received)).collect();
        format!(
            "{} {}: on hand {} allocated {} quarantine {}{receipts}\n",
            dictionary.warehouses.name(cell.warehouse),
            dictionary.uoms.name(cell.uom),
            cell.on_hand,
            cell.allocated,
            cell.quarantine,
        )
    };
    let record = dictionary.items.get("A").and_then(|item| rows.find_item(item));
    let mut shown: String = record.iter().flat_map(|record| record.cells()).map(show).collect();
    for rejection in rejections {
        shown += &format!("rejected: {rejection}\n");
    }
    want.assert_eq(&shown);
}

const TEN_AT_DAL: &str = r#"{"stock_set":{"item":"A","warehouse":"DAL","uom":"EA","on_hand":"10","receipts":[
    {"reference":"PO-1","received":"4"},{"reference":"PO-2","received":"1"}]}}"#;

#[test]
fn a_set_replaces_and_an_adjustment_adds() {
    check(
        &[
            TEN_AT_DAL,
            r#"{"stock_set":{"item":"A","warehouse":"AUS","uom":"EA","on_hand":"3"}}"#,
            r#"{"stock_adjust":{"item":"A","warehouse":"DAL","uom":"EA","on_hand":"5","allocated":"2",
                "receipts":[{"reference":"PO-1","received":"9"}]}}"#,
        ],
        &expect![[r#"
            DAL EA: on hand 15 allocated 2 quarantine 0 received PO-2 1 received PO-1 9
            AUS EA: on hand 3 allocated 0 quarantine 0
        "#]],
    );
    check(
        &[TEN_AT_DAL, r#"{"stock_set":{"item":"A","warehouse":"DAL","uom":"BX","on_hand":"1"}}"#],
        &expect![[r#"
            DAL BX: on hand 1 allocated 0 quarantine 0
        "#]],
    );
    check(&[TEN_AT_DAL, r#"{"stock_removed":{"item":"A","warehouse":"DAL"}}"#], &expect![""]);
}

#[test]
fn an_adjustment_needs_its_cell_in_its_unit() {
    check(
        &[
            r#"{"stock_adjust":{"item":"A","warehouse":"DAL","uom":"EA","on_hand":"5"}}"#,
            TEN_AT_DAL,
            r#"{"stock_adjust":{"item":"A","warehouse":"AUS","uom":"EA","on_hand":"5"}}"#,
            r#"{"stock_adjust":{"item":"A","warehouse":"DAL","uom":"BX","on_hand":"5"}}"#,
            r#"{"stock_adjust":{"item":"A","warehouse":"DAL","uom":"EA","on_hand":"9223372036854"}}"#,
            r#"{"stock_adjust":{"item":"A","warehouse":"DAL","uom":"EA","on_hand":"1","allocated":"-1"}}"#,
        ],
        &expect![[r#"
            DAL EA: on hand 10 allocated 0 quarantine 0 received PO-1 4 received PO-2 1
            rejected: stock_adjust of A at DAL: there is no cell to add to; send a stock_set of the cell
            rejected: stock_adjust of A at AUS: there is no cell to add to; send a stock_set of the cell
            rejected: stock_adjust of A at DAL: it is in BX and the cell in EA; send a stock_set of the cell
            rejected: stock_adjust of A at DAL: a sum is out of range; send a stock_set of the cell
            rejected: stock_adjust of A at DAL: it would leave less than nothing allocated or in quarantine; send a stock_set of the cell
        "#]],
    );
}

#[test]
fn a_transfer_is_one_record_before_and_another_after() {
    let dictionary = Arc::new(Dictionary::default());
    let rows = StockRows::new(Arc::clone(&dictionary));
    let cell = |warehouse: &str, on_hand: u32| {
        change(&format!(
            r#"{{"stock_set":{{"item":"A","warehouse":"{warehouse}","uom":"EA","on_hand":"{on_hand}"}}}}"#
        ))
    };
    apply(&rows, &[cell("DAL", 10), cell("AUS", 0)]);
    let item = dictionary.items.get("A").unwrap();
    let before = rows.find_item(item).unwrap();
    apply(&rows, &[cell("DAL", 4), cell("AUS", 6)]);
    let after = rows.find_item(item).unwrap();
    let on_hand = |record: &super::ItemStock| -> Vec<String> {
        record.cells().iter().map(|cell| cell.on_hand.to_string()).collect()
    };
    assert_eq!(
        (on_hand(&before), on_hand(&after)),
        (vec!["10".into(), "0".into()], vec!["4".into(), "6".into()])
    );
}

#[test]
fn a_cell_is_as_small_as_planned() {
    assert!(size_of::<StockCell>() <= 80, "{}", size_of::<StockCell>());
    assert!(size_of::<super::ItemStock>() <= 32);
}

/// The table as a list of rows by key: what it is held against.
#[derive(Debug, Clone, Default, PartialEq)]
struct Naive(BTreeMap<Key, Change>);

/// Table, item, contract or account, then warehouse, then reference.
type Key = (Table, String, Option<String>, String);

#[expect(clippy::wildcard_enum_match_arm, reason = "the other kinds are never generated")]
fn key(change: &Change) -> Key {
    let at = |table, item: &str, warehouse: &WarehouseId, rest: &str| {
        (table, item.to_owned(), Some(warehouse.as_str().to_owned()), rest.to_owned())
    };
    match change {
        Change::StockSet(c) => at(Table::Stock, c.item.as_str(), &c.warehouse, ""),
        Change::StockAdjust(c) => at(Table::Stock, c.item.as_str(), &c.warehouse, ""),
        Change::StockRemoved(c) => at(Table::Stock, c.item.as_str(), &c.warehouse, ""),
        Change::SupplySet(c) => at(Table::Supply, c.item.as_str(), &c.warehouse, c.reference.as_str()),
        Change::SupplyRemoved(c) => at(Table::Supply, c.item.as_str(), &c.warehouse, c.reference.as_str()),
        Change::LotsSet(c) => at(Table::Lots, c.item.as_str(), &c.warehouse, ""),
        Change::SafetySet(c) => at(Table::Safety, c.item.as_str(), &c.warehouse, ""),
        Change::OversellSet(c) => (Table::Safety, c.item.as_str().to_owned(), None, String::new()),
        Change::Credit(c) => (Table::Credit, c.account.as_str().to_owned(), None, String::new()),
        Change::CreditRemoved(c) => (Table::Credit, c.account.as_str().to_owned(), None, String::new()),
        Change::Cap(c) => (Table::Caps, c.contract.as_str().to_owned(), None, format!("{:?}", c.item)),
        Change::CapRemoved(c) => (Table::Caps, c.contract.as_str().to_owned(), None, format!("{:?}", c.item)),
        other => unreachable!("{other:?} is never generated"),
    }
}

impl Naive {
    #[expect(clippy::wildcard_enum_match_arm, reason = "what is neither added to nor removed is set")]
    fn apply(&mut self, change: &Change) {
        let key = key(change);
        let removes = match change {
            Change::StockAdjust(adjust) => {
                if let Some(Change::StockSet(cell)) = self.0.get_mut(&key)
                    && cell.uom == adjust.uom
                {
                    cell.on_hand = cell.on_hand.checked_add(adjust.on_hand).unwrap();
                }
                return;
            }
            Change::LotsSet(set) => set.lots.is_empty(),
            Change::SafetySet(set) => set.quantity.is_zero(),
            other => other.kind().ends_with("_removed"),
        };
        if removes {
            self.0.remove(&key);
        } else {
            self.0.insert(key, change.clone());
        }
    }

    fn selects(scope: &SnapshotScope, (table, _, warehouse, _): &Key) -> bool {
        let here = scope.warehouse.as_ref().is_none_or(|named| warehouse.as_deref() == Some(named.as_str()));
        here && (scope.table == Table::All || scope.table == *table)
    }

    fn digest(&self) -> u128 {
        self.0.values().fold(0, |sum, row| sum.wrapping_add(change_hash(row)))
    }
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let one = (0..12_u8, "[AB]", "[XY]", "[PQ]", 0..3_i64, "EA|BX").prop_map(|(kind, item, at, reference, n, uom)| {
        let cell = format!(r#""item":"{item}","warehouse":"{at}""#);
        let text = match kind {
            0 | 1 => format!(r#"{{"stock_set":{{{cell},"uom":"{uom}","on_hand":"{n}"}}}}"#),
            2 => format!(r#"{{"stock_adjust":{{{cell},"uom":"{uom}","on_hand":"{n}"}}}}"#),
            3 => format!(r#"{{"stock_removed":{{{cell}}}}}"#),
            4 => format!(
                r#"{{"supply_set":{{{cell},"uom":"{uom}","reference":"{reference}","date":"2026-11-23","quantity":"{n}"}}}}"#
            ),
            5 => format!(r#"{{"supply_removed":{{{cell},"reference":"{reference}"}}}}"#),
            6 if n == 0 => format!(r#"{{"lots_set":{{{cell},"uom":"{uom}","lots":[]}}}}"#),
            6 => format!(r#"{{"lots_set":{{{cell},"uom":"{uom}","lots":[{{"lot":"L","quantity":"{n}"}}]}}}}"#),
            7 => format!(r#"{{"safety_set":{{{cell},"uom":"{uom}","quantity":"{n}"}}}}"#),
            8 => format!(r#"{{"oversell_set":{{"item":"{item}","allowed":{}}}}}"#, n > 0),
            9 if n == 0 => format!(r#"{{"credit_removed":{{"account":"{item}"}}}}"#),
            9 => format!(r#"{{"credit":{{"account":"{item}","currency":"USD","balance":"{n}"}}}}"#),
            10 if n == 0 => format!(r#"{{"cap_removed":{{"contract":"{item}"}}}}"#),
            10 => format!(
                r#"{{"cap":{{"contract":"{item}","basis":"quantity","limit":"9","consumed":"{n}"}}}}"#
            ),
            _ if n == 0 => format!(r#"{{"cap_removed":{{"contract":"{item}","item":"{at}"}}}}"#),
            _ => format!(
                r#"{{"cap":{{"contract":"{item}","item":"{at}","basis":"quantity","limit":"9","consumed":"{n}"}}}}"#
            ),
        };
        change(&text)
    });
    proptest::collection::vec(one, 0..40)
}

fn scopes() -> impl Strategy<Value = SnapshotScope> {
    let tables =
        [Table::Stock, Table::Supply, Table::Lots, Table::Safety, Table::Credit, Table::Caps, Table::All];
    (proptest::sample::select(tables.to_vec()), proptest::option::of("[XYZ]"))
        .prop_map(|(table, warehouse)| scope(table, warehouse.as_deref()))
}

fn table_of(dictionary: &Arc<Dictionary>, batches: &[&[Change]]) -> (StockRows, Naive) {
    let (rows, mut naive) = (StockRows::new(Arc::clone(dictionary)), Naive::default());
    for batch in batches {
        apply(&rows, batch);
        batch.iter().for_each(|change| naive.apply(change));
    }
    (rows, naive)
}

#[track_caller]
fn check_same(rows: &StockRows, naive: &Naive) {
    assert_eq!(rows.rows_count(&scope(Table::All, None)), naive.0.len() as u64);
    assert_eq!(rows.digest(), naive.digest());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_leaves_what_its_changes_leave_one_by_one(changes in changes(), at in 0..40_usize) {
        let (left, right) = changes.split_at(at.min(changes.len()));
        let ones: Vec<&[Change]> = changes.chunks(1).collect();
        let dictionary = Arc::new(Dictionary::default());
        let (two_batches, naive) = table_of(&dictionary, &[left, right]);
        let (one_by_one, _) = table_of(&dictionary, &ones);
        check_same(&two_batches, &naive);
        check_same(&one_by_one, &naive);
        for item in ["A", "B"] {
            let item = dictionary.items.intern(item);
            prop_assert_eq!(two_batches.find_item(item), one_by_one.find_item(item));
        }
    }

    #[test]
    fn a_snapshot_replaces_its_scope_and_nothing_else(
        before in changes(), repeated in changes(), scope in scopes(),
    ) {
        let dictionary = Arc::new(Dictionary::default());
        let (rows, old) = table_of(&dictionary, &[&before]);
        let repeated: Vec<_> = repeated.into_iter().filter(|c| Naive::selects(&scope, &key(c))).collect();
        let aside = rows.aside();
        apply(&aside, &repeated);
        let mut new = Naive::default();
        repeated.iter().for_each(|change| new.apply(change));

        let selected = |key: &&Key| Naive::selects(&scope, key);
        prop_assert_eq!(rows.rows_count(&scope), old.0.keys().filter(selected).count() as u64);
        let gone = old.0.keys().filter(selected).filter(|key| !new.0.contains_key(key)).count();
        prop_assert_eq!(rows.rows_missing_in(&aside, &scope), gone as u64);

        rows.share_outside(&aside, &scope);
        let outside = old.0.iter().filter(|(key, _)| !Naive::selects(&scope, key));
        new.0.extend(outside.map(|(key, row)| (key.clone(), row.clone())));
        check_same(&aside, &new);
        check_same(&rows, &old);
    }
}

/// A later verdict depends on it, so two nodes that differ in it must have two digests.
#[test]
fn what_a_row_reflects_is_part_of_the_row() {
    let dictionary = Arc::new(Dictionary::default());
    let text = |rest: &str| {
        change(&format!(r#"{{"stock_set":{{"item":"A","warehouse":"X","uom":"EA","on_hand":"1"{rest}}}}}"#))
    };
    let (reflecting, plain) = (text(r#","reflects":{"position":7}"#), text(""));
    let (rows, _) = table_of(&dictionary, &[std::slice::from_ref(&reflecting)]);
    assert_eq!(rows.digest(), change_hash(&reflecting));
    // An overwrite that says nothing of orders leaves what was said.
    let (rows, _) = table_of(&dictionary, &[std::slice::from_ref(&reflecting), std::slice::from_ref(&plain)]);
    assert_eq!(rows.digest(), change_hash(&reflecting));
}
