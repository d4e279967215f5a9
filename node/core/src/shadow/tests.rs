//! What an old and a new ERP say of the same keys.

use std::sync::Arc;

use expect_test::{Expect, expect};
use pannier_protocol::change::{Ownership, Table};
use pannier_protocol::codec;
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::order::HandoverScope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    Change, ClassId, Encoding, Partition, SourceId, StreamSequence, Timestamp, WarehouseId,
};
use serde_json::{Value, json};

use super::Comparison;
use crate::catalog::{CatalogChain, CatalogRows, CatalogTables, ChainSet};
use crate::dictionary::Dictionary;
use crate::freshness::{ChainState, ChainStatus};
use crate::ledger::{LedgerTables, StockChain, StockRows};
use crate::ownership::OwnershipInForce;
use crate::rows::{RowVersion, Rows, Stated};

fn source(name: &str) -> SourceId {
    SourceId::new(name).unwrap()
}

fn apply(rows: &impl Rows, changes: &Value) {
    for change in changes.as_array().unwrap() {
        let json = change.to_string();
        let change: Change = codec::decode(Encoding::Json, json.as_bytes(), MESSAGE_BYTES_MAX)
            .unwrap_or_else(|error| panic!("{error}: {json}"));
        let refused = rows.apply(&[Stated { change: &change, version: RowVersion::new(0, 1) }]);
        assert!(refused.is_empty(), "{refused:?}");
    }
}

fn status(subject: Subject, caught_up_to: Option<Timestamp>) -> Arc<ChainStatus> {
    let epoch = StreamSequence(1);
    Arc::new(ChainStatus::new(
        subject,
        ChainState { epoch, loaded: true, caught_up_to, ..ChainState::default() },
    ))
}

struct World {
    dictionary: Arc<Dictionary>,
    ledger: LedgerTables,
    catalog: CatalogTables,
}

impl World {
    /// What each source says, by source id; `rules` own it.
    fn new(said: &[(&str, Value)], rules: Value) -> Self {
        let dictionary = Arc::new(Dictionary::default());
        let (mut ledger, mut chains) = (LedgerTables::default(), ChainSet::default());
        for (name, changes) in said {
            let (stock, shared) =
                (StockRows::new(Arc::clone(&dictionary)), CatalogRows::new(Arc::clone(&dictionary)));
            apply(&stock, changes);
            apply(&shared, changes);
            let at = Timestamp::parse("2026-11-23T09:00:00Z").ok().filter(|_| *name != "mute");
            let of_stock = status(Subject::Stock(source(name)), at);
            ledger.chains.push(StockChain { source: source(name), status: of_stock, rows: Arc::new(stock) });
            let subject = Subject::Catalog(Partition::Shared, source(name));
            chains.shared.push(CatalogChain {
                source: source(name),
                partition: Partition::Shared,
                status: status(subject, at),
                rows: Arc::new(shared),
            });
        }
        let rules: Ownership = serde_json::from_value(json!({"rules": rules})).unwrap();
        let ownership = Arc::new(OwnershipInForce::new(1, rules));
        let catalog = CatalogTables { chains: Arc::new(chains), ownership, ..CatalogTables::default() };
        Self { dictionary, ledger, catalog }
    }

    #[track_caller]
    fn check(&self, shadow: &str, owner: Option<&str>, scope: &HandoverScope, want: &Expect) {
        let (shadow, owner) = (source(shadow), owner.map(source));
        let comparison = Comparison {
            ledger: &self.ledger,
            catalog: &self.catalog,
            dictionary: &self.dictionary,
            now: Timestamp::parse("2026-11-23T09:00:05Z").unwrap(),
            shadow: &shadow,
            owner: owner.as_ref(),
            scope,
            worst_max: 3,
        };
        let mut shown = String::new();
        for table in comparison.run() {
            shown += &serde_json::to_string(&table).unwrap();
            shown.push('\n');
        }
        want.assert_eq(&shown);
    }
}

fn all() -> HandoverScope {
    HandoverScope { tables: vec![Table::All], ..HandoverScope::default() }
}

fn cell(item: &str, warehouse: &str, on_hand: &str) -> Value {
    json!({"stock_set": {"item": item, "warehouse": warehouse, "uom": "EA", "on_hand": on_hand}})
}

fn prices(rows: &Value) -> Value {
    json!({"prices": {"scope": {"list": "L"}, "currency": "USD", "rows": rows}})
}

#[test]
fn stock_is_compared_by_what_may_be_sold() {
    let gross = json!({"stock_set": {"item": "B", "warehouse": "DAL", "uom": "EA", "on_hand": "9", "allocated": "2"}});
    let supply = |reference: &str, quantity: &str| {
        json!({"supply_set": {"item": "A", "warehouse": "DAL", "uom": "EA", "reference": reference,
               "date": "2026-12-01", "quantity": quantity}})
    };
    let old = json!([
        cell("A", "DAL", "5"),
        cell("A", "CHI", "5"),
        gross,
        cell("C", "DAL", "1"),
        cell("D", "DAL", "1"),
        supply("PO-1", "3"),
        supply("PO-2", "4"),
    ]);
    let boxes = json!({"stock_set": {"item": "D", "warehouse": "DAL", "uom": "BX", "on_hand": "1"}});
    let new = json!([
        cell("A", "DAL", "2"),
        cell("A", "CHI", "5"),
        cell("B", "DAL", "7"),
        boxes,
        cell("E", "DAL", "-8"),
        supply("PO-9", "7"),
    ]);
    let world = World::new(&[("new", new), ("old", old)], json!([{"table": "all", "source": "old"}]));
    world.check("new", None, &all(), &expect![[r#"
        {"table":"stock","equal_count":2,"different_count":2,"missing_count":1,"extra_count":1,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"old","age_ms":5000,"suspect":false}],"worst":[{"key":"D @DAL","owner":"old","owned":{"quantity":"1 EA"},"shadow":{"quantity":"1 BX"}},{"key":"E @DAL","owner":"old","by":"8","owned":{},"shadow":{"quantity":"-8 EA"}},{"key":"A @DAL","owner":"old","by":"3","owned":{"quantity":"5 EA"},"shadow":{"quantity":"2 EA"}}]}
        {"table":"supply","equal_count":1,"different_count":0,"missing_count":0,"extra_count":0,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"old","age_ms":5000,"suspect":false}]}
    "#]]);
    let dallas = HandoverScope { warehouse: WarehouseId::new("CHI").ok(), ..all() };
    world.check("new", Some("old"), &dallas, &expect![[r#"
        {"table":"stock","equal_count":1,"different_count":0,"missing_count":0,"extra_count":0,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"old","age_ms":5000,"suspect":false}]}
    "#]]);
    // Nothing is compared with itself, nor with whom one does not ask for.
    world.check("old", None, &all(), &expect![[""]]);
    world.check("new", Some("wms"), &all(), &expect![[""]]);
}

#[test]
fn prices_are_compared_in_percent_whoever_owns_their_class() {
    let item = |item: &str, class: &str| json!({"item": {"item": item, "base_uom": "EA", "class": class}});
    let row = |item: &str, value: &str| json!([item, null, null, null, 1, "fixed", null, [["0", value]]]);
    let breaks = json!(["C", null, null, null, 1, "fixed", null, [["0", "4"], ["10", "3"]]]);
    let old = json!([
        item("A", "PIPE"), item("B", "VALVE"), item("C", "PIPE"),
        prices(&json!([row("A", "2"), row("B", "2"), breaks])),
        {"scope": {"scope": {"list": "L"}, "parent": {"list": "M", "multiplier": "0.9"}}},
    ]);
    let new = json!([
        item("A", "PIPE"), item("B", "VALVE"),
        {"item": {"item": "C", "base_uom": "EA", "class": "PIPE", "status": "discontinued"}},
        prices(&json!([row("A", "1.5"), row("B", "9"), row("C", "4")])),
        {"scope": {"scope": {"list": "L"}}},
        {"account": {"account": "X", "root": "X"}},
    ]);
    let rules = json!([
        {"table": "prices", "class": "VALVE", "source": "new"}, {"table": "all", "source": "mute"},
    ]);
    let world = World::new(&[("mute", old), ("new", new)], rules);
    world.check("new", None, &all(), &expect![[r#"
        {"table":"items","equal_count":2,"different_count":1,"missing_count":0,"extra_count":0,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"mute","suspect":false}],"worst":[{"key":"C","owner":"mute","owned":{"status":"active"},"shadow":{"status":"discontinued"}}]}
        {"table":"accounts","equal_count":0,"different_count":0,"missing_count":0,"extra_count":1,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"mute","suspect":false}],"worst":[{"key":"X","owner":"mute","owned":{},"shadow":{"blocked":"false","contract_only":"false","root":"X"}}]}
        {"table":"scopes","equal_count":0,"different_count":1,"missing_count":0,"extra_count":0,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"mute","suspect":false}],"worst":[{"key":"list L","owner":"mute","owned":{"parent":"0.9 of list M"},"shadow":{}}]}
        {"table":"prices","equal_count":0,"different_count":2,"missing_count":0,"extra_count":0,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"mute","suspect":false}],"worst":[{"key":"list L: C USD","owner":"mute","by":"33.333333","owned":{"price":"4, 3 from 10"},"shadow":{"price":"4"}},{"key":"list L: A USD","owner":"mute","by":"25","owned":{"price":"2"},"shadow":{"price":"1.5"}}]}
    "#]]);
    let class = HandoverScope {
        tables: vec![Table::Items, Table::Prices],
        class: ClassId::new("VALVE").ok(),
        warehouse: None,
    };
    world.check("new", None, &class, &expect![[r#"
        {"table":"items","equal_count":1,"different_count":0,"missing_count":0,"extra_count":0,"sources":[{"source":"new","age_ms":5000,"suspect":false},{"source":"mute","suspect":false}]}
    "#]]);
}

#[test]
fn without_an_owner_the_lowest_source_counts() {
    let credit = |limit: &str, balance: &str| json!({"credit": {"account": "C-1", "currency": "USD", "limit": limit, "balance": balance}});
    let world = World::new(
        &[("a", json!([credit("100", "10")])), ("b", json!([credit("100", "30"), cell("A", "DAL", "1")]))],
        json!([]),
    );
    world.check("b", None, &all(), &expect![[r#"
        {"table":"credit","equal_count":0,"different_count":1,"missing_count":0,"extra_count":0,"sources":[{"source":"b","age_ms":5000,"suspect":false},{"source":"a","age_ms":5000,"suspect":false}],"worst":[{"key":"C-1","owner":"a","by":"20","owned":{"balance":"10"},"shadow":{"balance":"30"}}]}
    "#]]);
    world.check("a", None, &all(), &expect![[r#"
        {"table":"stock","equal_count":0,"different_count":0,"missing_count":1,"extra_count":0,"sources":[{"source":"a","age_ms":5000,"suspect":false},{"source":"b","age_ms":5000,"suspect":false}],"worst":[{"key":"A @DAL","owner":"b","by":"1","owned":{"quantity":"1 EA"},"shadow":{}}]}
    "#]]);
}
