//! A handover on two nodes, while customers look up and order: at one entry prices and stock are the new systems', orders
//! go to the new ERP, and what is in flight is decided one by one.

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use pannier_client::HttpClient;
use pannier_protocol::order::{Dispatch, DispatchKind};
use pannier_protocol::{AsOf, Encoding, SourceId, codec};
use pannier_streams::stored::last_message;
use serde_json::{Value, json};

use super::checkout::{checkout_with, second_node, send};
use super::operators::{act, operators};
use super::{Publisher, Running, stock};

/// Old systems with 2.50 and 500 pieces, new ones with 3.00 and 300, and everything owned by the old ones.
struct World {
    running: Running,
    operators: HttpClient,
    erp: Publisher,
    /// Kept, as their chains are.
    _new: [Publisher; 2],
    at: AsOf,
}

async fn world() -> World {
    let (running, mut wms, mut erp, _) = checkout_with(|_| {}).await;
    let rules = owned("erp-1", &["wms-1"]);
    erp.send(json!([{"policy": {"version": 1, "document": {"ownership": {"rules": rules}}}}])).await;
    wms.send(json!([stock("500")])).await;
    let mut new_wms = running.publisher("ledger.stock.wms-2").await;
    let mut new_erp = running.publisher("catalog.shared.erp-2").await;
    let ledger = new_wms.send(json!([stock("300")])).await;
    let shared = new_erp.send(json!([
        {"item": {"item": "SKU-1", "base_uom": "EA"}},
        {"account": {"account": "C-1", "root": "C-1", "warehouses": ["DAL"]}},
        {"prices": {"scope": {"list": "LIST"}, "currency": "USD",
                    "rows": [["SKU-1", null, "EA", null, 1, "fixed", null, [["0", "3"]]]]}},
    ]));
    let at = running.as_of(ledger, shared.await);
    let operators = operators(&running.node);
    World { running, operators, erp, _new: [new_wms, new_erp], at }
}

const OF_ERP: [&str; 5] = ["items", "references", "accounts", "scopes", "prices"];

/// The catalog by one source; the last of the others has everything else, and the first of two the stock.
fn owned(erp: &str, wms: &[&str]) -> Value {
    let mut rules: Vec<Value> = OF_ERP.iter().map(|table| json!({"table": table, "source": erp})).collect();
    let tables = if wms.len() == 2 { &["stock", "all"][..] } else { &["all"] };
    rules.extend(tables.iter().zip(wms).map(|(table, source)| json!({"table": table, "source": source})));
    Value::Array(rules)
}

async fn place(http: &HttpClient, key: &str) -> (u16, Value) {
    let line = json!({"line": "1", "item": "SKU-1", "quantity": "1", "uom": "EA"});
    let order = json!({"account": "C-1", "purchase_order": format!("PO-{key}"), "lines": [line]});
    send(http, Method::POST, "/v1/orders", Some(key), &order).await
}

async fn order(http: &HttpClient, key: &str) -> String {
    let (status, placed) = place(http, key).await;
    assert_eq!(status, 201, "{placed}");
    placed["order"].as_str().unwrap().to_owned()
}

/// What a backend was sent, once it was.
async fn dispatched(running: &Running, backend: &str, order: &str, generation: u32) -> Dispatch {
    let order = order.parse().unwrap();
    let subject = running.streams.prefix.dispatch(&SourceId::new(backend).unwrap(), &order, generation);
    let mut progress = running.node.handle().progress();
    loop {
        let stored = last_message(&running.test.broker, &running.streams.dispatch, &subject).await.unwrap();
        if let Some(message) = stored {
            return codec::decode(Encoding::MessagePack, &message.payload, message.payload.len()).unwrap();
        }
        progress.changed().await.unwrap();
    }
}

/// Customers of one node, until they are told to stop: how many orders they placed, and the totals that they saw.
async fn customers(http: &HttpClient, name: &str, stop: &AtomicBool) -> (usize, Vec<(u64, String)>) {
    let (mut placed, mut seen) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let (status, answer) = place(http, &format!("{name}-{placed}")).await;
        assert!(
            status == 201 && matches!(answer["state"].as_str(), Some("accepted" | "dispatched")),
            "{status} {answer}"
        );
        placed += 1;
        let price = answer["lines"][0]["price"]["extended"].as_str().unwrap().to_owned();
        let backend = answer["backend"].as_str().unwrap();
        assert!(
            matches!((price.as_str(), backend), ("2.50" | "2.5" | "3.00" | "3", "erp" | "erp2")),
            "{answer}"
        );
        let lookup = http.get("/v1/price-availability/SKU-1?quantity=4").await.unwrap();
        let lookup: Value = serde_json::from_slice(lookup.body()).unwrap();
        let line = &lookup["lines"][0];
        assert_eq!(line["status"], "ok", "{lookup}");
        let at = AsOf::parse(lookup["as_of"].as_str().unwrap()).unwrap();
        seen.push((at.ledger.0, line["price"]["extended"].as_str().unwrap().to_owned()));
    }
    (placed, seen)
}

#[tokio::test]
async fn everything_changes_hands_at_one_entry_while_customers_go_on() {
    let mut world = world().await;
    let running = &world.running;
    assert_eq!(running.line(&world.at).await, "ok 10.00 500");
    let (node, other) = second_node(running).await;
    let (there, away) = (order(&running.http, "there").await, order(&other, "away").await);
    let mut events = running.publisher("ledger.event.erp").await;
    let document = json!({"order": there, "generation": 1, "document": "SO-1"});
    let at = events.send(json!([{"event": {"acknowledged": document}}])).await;
    running.wait_for(|snapshot| snapshot.applied.ledger >= at).await;

    // Tried: nothing is written.
    let stock = json!({
        "tables": ["stock"], "from": "wms-1", "to": "wms-2", "backends": {"from": "erp", "to": "erp2"},
        "by": "jane", "reason": "go live",
    });
    let (status, tried) = act(&world.operators, "handover?dry_run=true", "h0", &stock).await;
    assert_eq!(status, 200, "{tried}");
    assert_eq!((&tried["version"], &tried["routing"]), (&json!(2), &json!([{"backend": "erp2"}])), "{tried}");
    let owns = owned("erp-1", &["wms-2", "wms-1"]);
    assert_eq!((&tried["ownership"], tried["snapshots"].as_array().unwrap().len()), (&owns, 1));
    let fate = |order: &str| {
        let orders = tried["orders"].as_array().unwrap();
        let shown = orders.iter().find(|shown| shown["order"] == order);
        (shown.unwrap()["fate"].clone(), shown.unwrap()["document"].clone())
    };
    assert_eq!(fate(&there), (json!("stays"), json!("SO-1")));
    assert_eq!(fate(&away), (json!("called_back"), json!(null)));
    assert_eq!(running.line(&world.at).await, "ok 10.00 498");

    // Done, under load, for stock and orders first and for all the rest after it.
    let stop = AtomicBool::new(false);
    let doing = async {
        let (status, done) = act(&world.operators, "handover", "h1", &stock).await;
        assert_eq!((status, &done["outcome"]), (200, &json!("changed")), "{done}");
        let rest =
            json!({"tables": OF_ERP, "from": "erp-1", "to": "erp-2", "by": "jane", "reason": "go live"});
        let (status, all) = act(&world.operators, "handover", "h2", &rest).await;
        assert_eq!((status, &all["outcome"]), (200, &json!("changed")), "{all}");
        let again = act(&world.operators, "handover", "h1", &stock).await;
        assert_eq!((again.0, &again.1["position"]), (200, &done["position"]), "{}", again.1);
        // A while longer, so that orders come after it.
        let last = order(&other, "last").await;
        stop.store(true, Ordering::Relaxed);
        (all["position"].as_u64().unwrap(), last)
    };
    let ((position, last), here, there_too) =
        tokio::join!(doing, customers(&running.http, "here", &stop), customers(&other, "other", &stop));
    for (ledger, price) in here.1.iter().chain(&there_too.1) {
        if *ledger >= position {
            assert_eq!(price, "12.00", "at {ledger}");
        }
    }

    // Whoever asks from now on sees the new systems, less all that was ordered.
    let at = AsOf { ledger: pannier_protocol::StreamSequence(position), ..world.at.clone() };
    // This node has come past all of it once it has judged one more.
    order(&running.http, "one more").await;
    let ordered = 4 + here.0 + there_too.0;
    assert_eq!(running.line(&at).await, format!("ok 12.00 {}", 300 - ordered));
    let shown = world.operators.get("/v1/operator/handover").await.unwrap();
    let shown: Value = serde_json::from_slice(shown.body()).unwrap();
    let owns = owned("erp-2", &["wms-2", "wms-1"]);
    assert_eq!((&shown["version"], &shown["ownership"]), (&json!(3), &owns), "{shown}");
    assert_eq!(dispatched(running, "erp2", &last, 1).await.kind, DispatchKind::Create);

    // What was on its way is called back, and goes on once the old ERP gave it back; the other stays.
    assert_eq!(dispatched(running, "erp", &away, 2).await.kind, DispatchKind::Cancel);
    let back = json!({"order": away, "generation": 2, "reason": "never made"});
    events.send(json!([{"event": {"cancelled": back}}])).await;
    let created = dispatched(running, "erp2", &away, 3).await;
    assert_eq!((created.kind, created.lines.len()), (DispatchKind::Create, 1));
    let shipped = json!({"order": there, "lines": [{"line": "1", "shipped": "1"}]});
    let at = events.send(json!([{"event": {"progressed": shipped}}])).await;
    running.wait_for(|snapshot| snapshot.applied.ledger >= at).await;
    let (_, shown) = send(&running.http, Method::GET, &format!("/v1/orders/{there}"), None, &json!({})).await;
    assert_eq!((&shown["state"], &shown["backend"]), (&json!("shipped"), &json!("erp")));

    // A policy that is published later is in force again.
    let rules = owned("erp-1", &["wms-2", "wms-1"]);
    let shared = world
        .erp
        .send(json!([{"policy": {"version": 4, "document": {"ownership": {"rules": rules}}}}]))
        .await;
    let at = running.as_of(at, shared);
    let line = running.line(&at).await;
    assert!(line.starts_with("ok 10.00 "), "{line}");
    node.stop().await.unwrap();
    world.running.node.stop().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_handed_over_is_refused_with_what_to_do() {
    let world = world().await;
    assert_eq!(world.running.line(&world.at).await, "ok 10.00 500");
    for (request, want) in [
        (
            json!({"tables": ["stock"], "from": "wms-1", "to": "wms-9"}),
            "ledger.stock.wms-9, which would stand for ledger.stock.wms-1, is not known",
        ),
        (
            json!({"tables": ["stock"], "from": "wms-2", "to": "wms-1"}),
            "no rule of ownership says that wms-2 owns any of it",
        ),
        (
            json!({"tables": ["all"], "warehouse": "DAL", "from": "erp-1", "to": "erp-2"}),
            "only stock, supply, lots, safety and orders",
        ),
        (json!({"tables": [], "from": "erp-1", "to": "erp-2"}), "neither tables nor orders"),
        (json!({"tables": ["colours"], "from": "erp-1", "to": "erp-2"}), "tables"),
    ] {
        let mut request = request;
        request
            .as_object_mut()
            .unwrap()
            .extend([("by".to_owned(), json!("jane")), ("reason".to_owned(), json!("go live"))]);
        for query in ["?dry_run=true", ""] {
            let (status, refused) = act(&world.operators, &format!("handover{query}"), "h", &request).await;
            let detail = refused["detail"].as_str().unwrap_or_default();
            assert!(status == 400 && detail.contains(want), "{request}: {refused}");
        }
    }
    assert!(world.running.line(&world.at).await.starts_with("ok 10.00"));
    world.running.node.stop().await.unwrap();
}

#[tokio::test]
async fn a_shadow_is_compared_with_whose_rows_count() {
    let world = world().await;
    assert_eq!(world.running.line(&world.at).await, "ok 10.00 500");
    let compared = async |query: &str| -> Value {
        let shown = world.operators.get(&format!("/v1/operator/shadow?{query}")).await.unwrap();
        serde_json::from_slice(shown.body()).unwrap()
    };
    let drift = |shown: &Value, table: &str| {
        let tables = shown["tables"].as_array().unwrap();
        tables.iter().find(|shown| shown["table"] == table).cloned().unwrap_or_default()
    };
    let stock = drift(&compared("source=wms-2").await, "stock");
    assert_eq!((&stock["different_count"], &stock["equal_count"]), (&json!(1), &json!(0)), "{stock}");
    let apart = json!({"key": "SKU-1 @DAL", "owner": "wms-1", "by": "200",
                       "owned": {"quantity": "500 EA"}, "shadow": {"quantity": "300 EA"}});
    assert_eq!(stock["worst"], json!([apart]));
    let shown = compared("source=erp-2&tables=prices,items&worst=0").await;
    let prices = drift(&shown, "prices");
    assert_eq!((&prices["different_count"], &prices["worst"]), (&json!(1), &Value::Null), "{prices}");
    assert_eq!(drift(&shown, "items")["equal_count"], 1, "{shown}");
    assert_eq!(drift(&shown, "accounts"), Value::Null, "{shown}");

    // The dry run of a handover says the same.
    let rest =
        json!({"tables": ["prices"], "from": "erp-1", "to": "erp-2", "by": "jane", "reason": "go live"});
    let (status, tried) = act(&world.operators, "handover?dry_run=true", "h0", &rest).await;
    assert_eq!((status, &tried["drift"][0]["different_count"]), (200, &json!(1)), "{tried}");

    // Once it is handed over, the old one is the shadow.
    let (status, done) = act(&world.operators, "handover", "h1", &rest).await;
    assert_eq!(status, 200, "{done}");
    assert_eq!(drift(&compared("source=erp-2").await, "prices"), Value::Null);
    let back = drift(&compared("source=erp-1&owner=erp-2").await, "prices");
    assert_eq!((&back["worst"][0]["by"], &back["worst"][0]["owner"]), (&json!("16.666666"), &json!("erp-2")));

    for (query, want) in [
        ("", "source: name the source that is compared"),
        ("source=wms-9", "no chain of wms-9 is known"),
        ("source=wms-2&tables=colours", "tables: unknown variant `colours`"),
        ("source=wms-2&worst=101", "worst: a whole number from 0 to 100"),
    ] {
        let refused = compared(query).await;
        let detail = refused["detail"].as_str().unwrap_or_default();
        assert!(refused["status"] == 400 && detail.contains(want), "{query}: {refused}");
    }
    world.running.node.stop().await.unwrap();
}

/// `pannier policy apply` of a file, with `more` arguments: the token, or what is wrong.
pub(crate) async fn apply(running: &Running, file: &std::path::Path, more: &[&str]) -> Result<AsOf, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    command.args(["policy", "apply", "--nats", &running.test.server.url()]).args(more).arg(file);
    let done = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    if done.status.success() {
        let token = String::from_utf8(done.stdout).unwrap();
        return Ok(AsOf::parse(token.trim()).unwrap());
    }
    Err(String::from_utf8(done.stderr).unwrap())
}

#[tokio::test]
async fn a_policy_undoes_a_handover_only_where_that_is_said() {
    let world = world().await;
    let running = &world.running;
    assert_eq!(running.line(&world.at).await, "ok 10.00 500");
    let request =
        json!({"tables": ["prices"], "from": "erp-1", "to": "erp-2", "by": "jane", "reason": "go live"});
    let (status, done) = act(&world.operators, "handover", "h1", &request).await;
    assert_eq!((status, &done["outcome"]), (200, &json!("changed")), "{done}");
    assert!(running.line(&world.at).await.starts_with("ok 12.00"));

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policy.toml");
    let rule = |table: &str, source: &str| {
        format!("[[ownership.rules]]\ntable = \"{table}\"\nsource = \"{source}\"\n")
    };
    let rules: String = OF_ERP.iter().map(|table| rule(table, "erp-1")).collect();
    std::fs::write(&file, rules + &rule("all", "wms-1")).unwrap();
    let refused = apply(running, &file, &[]).await.unwrap_err();
    assert!(refused.contains("as version 2") && refused.contains("--over-handover"), "{refused}");
    assert!(running.line(&world.at).await.starts_with("ok 12.00"));
    let at = apply(running, &file, &["--over-handover"]).await.unwrap();
    assert!(running.line(&at).await.starts_with("ok 10.00"));
    world.running.node.stop().await.unwrap();
}
