//! A node's tables without a node: what the benches ask, fed as the streams would.

use std::sync::Arc;

use pannier_core::catalog::Catalog;
use pannier_core::dictionary::Dictionary;
use pannier_core::entry::Entry;
use pannier_core::freshness::Board;
use pannier_core::ledger::Ledger;
use pannier_core::lookup::{Caller, Lookup};
use pannier_protocol::api::{LookupAnswer, LookupRequest, decode_lookup};
use pannier_protocol::codec::{decode_envelope, encode};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, Incarnation, StreamSequence, Timestamp};
use serde_json::{Value, json};

pub const ITEMS: usize = 10_000;
const ITEMS_PER_MESSAGE: usize = 500;
pub const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const CATALOG: &str = "catalog.shared.erp";
const STOCK: &str = "ledger.stock.wms";

/// A message as it stands in a stream, in MessagePack.
pub struct Message {
    subject: Subject,
    stream_sequence: StreamSequence,
    payload: Vec<u8>,
}

pub struct Node {
    pub dictionary: Arc<Dictionary>,
    pub ledger: Ledger,
    pub catalog: Catalog,
    stored: u64,
    /// By subject: the epoch that its claim makes, and the last message.
    chains: [(&'static str, Value, usize); 2],
}

impl Default for Node {
    /// Two chains, claimed.
    fn default() -> Self {
        let (dictionary, board): (Arc<Dictionary>, Arc<Board>) = Default::default();
        let ledger = Ledger::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation());
        let catalog = Catalog::new(Arc::clone(&dictionary), board, incarnation());
        let chains = [(CATALOG, Value::Null, 0), (STOCK, Value::Null, 0)];
        let mut node = Self { dictionary, ledger, catalog, stored: 0, chains };
        for at in 0..node.chains.len() {
            let claim = node.message(at, &json!([{"claim": {"instance": "bench"}}]));
            node.chains[at] = (node.chains[at].0, json!({"incarnation": "bench", "claim": node.stored}), 0);
            node.apply(&claim);
        }
        node
    }
}

pub fn incarnation() -> Incarnation {
    Incarnation::new("bench").expect("letters are an incarnation")
}

impl Node {
    /// Every item with a list price, a contract price with a ladder, and stock in two warehouses.
    pub fn loaded() -> Self {
        let mut node = Self::default();
        node.say_catalog(&accounts());
        let numbers: Vec<usize> = (0..ITEMS).collect();
        for chunk in numbers.chunks(ITEMS_PER_MESSAGE) {
            node.say_catalog(&items(chunk));
            node.say_stock(&stock(chunk));
        }
        node
    }

    pub fn say_catalog(&mut self, changes: &Value) {
        let message = self.message(0, changes);
        self.apply(&message);
    }

    pub fn say_stock(&mut self, changes: &Value) {
        let message = self.stock_message(changes);
        self.apply(&message);
    }

    /// The next one of its chain, not applied yet.
    pub fn catalog_message(&mut self, changes: &Value) -> Message {
        self.message(0, changes)
    }

    pub fn stock_message(&mut self, changes: &Value) -> Message {
        self.message(1, changes)
    }

    fn message(&mut self, chain: usize, changes: &Value) -> Message {
        let (subject, epoch, sequence) = &mut self.chains[chain];
        let source = subject.rsplit('.').next();
        let mut envelope = json!({
            "version": 1, "source": source, "sequence": *sequence + usize::from(!epoch.is_null()), "position": *sequence,
            "sent_at": "2027-01-15T08:00:00Z", "changes": changes,
        });
        if !epoch.is_null() {
            envelope["epoch"] = epoch.clone();
            *sequence += 1;
        }
        self.stored += 1;
        let envelope = decode_envelope(Encoding::Json, envelope.to_string().as_bytes()).expect("a message");
        Message {
            subject: Subject::parse(subject).expect("a subject of the grammar"),
            stream_sequence: StreamSequence(self.stored),
            payload: encode(Encoding::MessagePack, &envelope).expect("a message"),
        }
    }

    /// Decodes it, has the gate judge it, and writes the tables.
    pub fn apply(&mut self, message: &Message) {
        let entry = Entry {
            subject: message.subject.clone(),
            stream_sequence: message.stream_sequence,
            stream_time: NOW,
            encoding: Some(Encoding::MessagePack),
            payload: &message.payload,
        };
        let effects =
            if entry.subject.in_ledger() { self.ledger.apply(&entry) } else { self.catalog.apply(&entry) };
        assert!(effects.is_empty(), "{effects:?}");
    }

    pub fn answer(&self, request: &LookupRequest) -> LookupAnswer {
        let (ledger, catalog) = (self.ledger.reader(), self.catalog.reader());
        let lookup = Lookup { ledger: &ledger, catalog: &catalog, dictionary: &self.dictionary };
        lookup.answer(request, NOW, Caller { may_explain: false }).expect("an answer")
    }
}

fn accounts() -> Value {
    json!([
        {"account": {"account": "C-1", "root": "C-1", "warehouses": ["DAL", "CHI"]}},
        {"scope": {"scope": {"contract": "K-1"}, "members": [{"account": "C-1"}]}},
    ])
}

/// A change of prices in a scope: `item`, and its breaks as bound and price.
pub fn prices(scope: &Value, rows: impl Iterator<Item = (String, Value)>) -> Value {
    let row = |(item, breaks): (String, Value)| json!([item, null, "EA", null, 1, "fixed", null, breaks]);
    let rows: Vec<Value> = rows.map(row).collect();
    json!({"prices": {"scope": scope, "currency": "USD", "rows": rows}})
}

pub fn item(number: usize) -> String {
    format!("SKU-{number}")
}

fn items(numbers: &[usize]) -> Value {
    let rows = |breaks: Value| numbers.iter().map(move |n| (item(*n), breaks.clone()));
    let mut changes: Vec<Value> =
        numbers.iter().map(|n| json!({"item": {"item": item(*n), "base_uom": "EA"}})).collect();
    changes.push(prices(&json!({"list": "LIST"}), rows(json!([["0", "1.5"]]))));
    changes
        .push(prices(&json!({"contract": "K-1"}), rows(json!([["0", "1.3"], ["10", "1.2"], ["50", "1.1"]]))));
    Value::Array(changes)
}

pub fn cell(number: usize, warehouse: &str, on_hand: usize) -> Value {
    json!({"stock_set": {"item": item(number), "warehouse": warehouse, "uom": "EA", "on_hand": on_hand.to_string()}})
}

fn stock(numbers: &[usize]) -> Value {
    numbers.iter().flat_map(|n| [cell(*n, "DAL", 100), cell(*n, "CHI", 100)]).collect()
}

/// Twelve of each of these for an account.
pub fn request(account: &str, items: impl Iterator<Item = String>, include: &[&str]) -> LookupRequest {
    let line = |(at, item): (usize, String)| json!({"line": at.to_string(), "item": item, "quantity": "12"});
    let lines: Vec<Value> = items.enumerate().map(line).collect();
    let request = json!({"account": account, "include": include, "lines": lines});
    decode_lookup(Encoding::Json, request.to_string().as_bytes()).expect("a request of the API")
}

/// Of the loaded node, with the default `include`.
pub fn basket(lines: usize) -> LookupRequest {
    request("C-1", (0..lines).map(|n| item(n * 37 % ITEMS)), &["price", "availability"])
}
