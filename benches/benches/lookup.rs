//! A basket through the core, without IO.
//!
//! Expected on paper, for one line: an item probe, ten levels of which two hold rows (a binary search in blocks of 64 each),
//! exact arithmetic, and one item's stock over two warehouses: about 3 us. Twenty lines and what a basket loads once (account,
//! scopes): below 80 us.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use pannier_core::catalog::Catalog;
use pannier_core::dictionary::Dictionary;
use pannier_core::entry::Entry;
use pannier_core::freshness::Board;
use pannier_core::ledger::Ledger;
use pannier_core::lookup::{Caller, Lookup};
use pannier_protocol::api::{LookupRequest, decode_lookup};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, Incarnation, StreamSequence, Timestamp};
use serde_json::{Value, json};

const ITEMS: usize = 10_000;
const ITEMS_PER_MESSAGE: usize = 500;
const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

struct Node {
    dictionary: Arc<Dictionary>,
    ledger: Ledger,
    catalog: Catalog,
    stored: u64,
}

impl Node {
    /// Every item with a list price, a contract price with a ladder, and stock in two warehouses.
    fn loaded() -> Self {
        let (dictionary, board): (Arc<Dictionary>, Arc<Board>) = Default::default();
        let incarnation = Incarnation::new("bench").expect("letters are an incarnation");
        let ledger = Ledger::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation.clone());
        let catalog = Catalog::new(Arc::clone(&dictionary), board, incarnation);
        let mut node = Self { dictionary, ledger, catalog, stored: 0 };
        let claim = json!([{"claim": {"instance": "bench"}}]);
        let catalog_epoch = node.say("catalog.shared.erp", Value::Null, 0, &claim);
        let stock_epoch = node.say("ledger.stock.wms", Value::Null, 0, &claim);
        node.say("catalog.shared.erp", catalog_epoch.clone(), 1, &accounts());
        let numbers: Vec<usize> = (0..ITEMS).collect();
        for (at, chunk) in numbers.chunks(ITEMS_PER_MESSAGE).enumerate() {
            node.say("catalog.shared.erp", catalog_epoch.clone(), at + 2, &items(chunk));
            node.say("ledger.stock.wms", stock_epoch.clone(), at + 1, &stock(chunk));
        }
        node
    }

    /// The epoch that a claim makes, by where it stands.
    fn say(&mut self, subject: &str, epoch: Value, sequence: usize, changes: &Value) -> Value {
        let source = subject.rsplit('.').next();
        let mut envelope = json!({
            "version": 1, "source": source, "sequence": sequence, "position": sequence,
            "sent_at": "2027-01-15T08:00:00Z", "changes": changes,
        });
        if !epoch.is_null() {
            envelope["epoch"] = epoch;
        }
        self.stored += 1;
        let payload = envelope.to_string();
        let entry = Entry {
            subject: Subject::parse(subject).expect("a subject of the grammar"),
            stream_sequence: StreamSequence(self.stored),
            stream_time: NOW,
            encoding: Some(Encoding::Json),
            payload: payload.as_bytes(),
        };
        let effects =
            if entry.subject.in_ledger() { self.ledger.apply(&entry) } else { self.catalog.apply(&entry) };
        assert!(effects.is_empty(), "{effects:?}");
        json!({"incarnation": "bench", "claim": self.stored})
    }
}

fn accounts() -> Value {
    json!([
        {"account": {"account": "C-1", "root": "C-1", "warehouses": ["DAL", "CHI"]}},
        {"scope": {"scope": {"contract": "K-1"}, "members": [{"account": "C-1"}]}},
    ])
}

fn items(numbers: &[usize]) -> Value {
    let item = |n: &usize| json!({"item": {"item": format!("SKU-{n}"), "base_uom": "EA"}});
    let row =
        |n: &usize, breaks: &Value| json!([format!("SKU-{n}"), null, "EA", null, 1, "fixed", null, breaks]);
    let rows = |breaks: Value| numbers.iter().map(|n| row(n, &breaks)).collect::<Vec<_>>();
    let prices = |scope: Value, rows| json!({"prices": {"scope": scope, "currency": "USD", "rows": rows}});
    let ladder = json!([["0", "1.3"], ["10", "1.2"], ["50", "1.1"]]);
    let mut changes: Vec<Value> = numbers.iter().map(item).collect();
    changes.push(prices(json!({"list": "LIST"}), rows(json!([["0", "1.5"]]))));
    changes.push(prices(json!({"contract": "K-1"}), rows(ladder)));
    Value::Array(changes)
}

fn stock(numbers: &[usize]) -> Value {
    let cell = |n: &usize, warehouse| json!({"stock_set": {"item": format!("SKU-{n}"), "warehouse": warehouse, "uom": "EA", "on_hand": "100"}});
    numbers.iter().flat_map(|n| [cell(n, "DAL"), cell(n, "CHI")]).collect()
}

fn basket(lines: usize) -> LookupRequest {
    let line = |n: usize| json!({"line": n.to_string(), "item": format!("SKU-{}", n * 37 % ITEMS), "quantity": "12"});
    let request = json!({"account": "C-1", "lines": (0..lines).map(line).collect::<Vec<_>>()});
    decode_lookup(Encoding::Json, request.to_string().as_bytes()).expect("a request of the API")
}

fn lookup(criterion: &mut Criterion) {
    let node = Node::loaded();
    let (ledger, catalog) = (node.ledger.reader(), node.catalog.reader());
    let lookup = Lookup { ledger: &ledger, catalog: &catalog, dictionary: &node.dictionary };
    for lines in [1, 20] {
        let request = basket(lines);
        criterion.bench_function(&format!("lookup of {lines} lines"), |bencher| {
            bencher.iter(|| lookup.answer(black_box(&request), NOW, Caller { may_explain: false }));
        });
    }
}

criterion_group!(benches, lookup);
criterion_main!(benches);
