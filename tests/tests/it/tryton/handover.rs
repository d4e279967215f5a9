//! From one Tryton to another while customers look up and order, and back again.

use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use pannier_adapters::tryton::{TrytonConfig, TrytonError, run};
use pannier_client::HttpClient;
use pannier_tests::{Database, Tryton};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use crate::node::checkout::send;
use crate::node::operators::{act, operators};
use crate::node::{Publisher, Running};

struct Shop {
    running: Running,
    operators: HttpClient,
    old: Tryton,
    new: Tryton,
    stop: CancellationToken,
    adapters: Vec<JoinHandle<Result<(), TrytonError>>>,
    /// Each holds the claim of its subject.
    _publishers: [Publisher; 2],
}

/// Everything of a Tryton under one name: its rows, and orders into it.
fn adapter(name: &str, tryton: &Tryton, nats: &str) -> TrytonConfig {
    let text = format!(
        "source = \"{name}\"\nbackend = \"{name}\"\nstate = \"{}\"\nnats = \"{nats}\"\nurl = {}\nkey = {}\n\
         company = 1\nrequest_ms_max = 30000\n[orders]\nagain_ms = 2000\nsteps_per_second = 1000\nsteps_burst = 100\n\
         poll_ms = 200\n[poll]\nevery_ms = 200\ncatalog_every_ms = 1000\noverlap_ms = 5000\n[catalog]\ntick_ms = 200\n",
        tryton.folder.path().join("state").display(),
        tryton.state["url"],
        tryton.state["key"],
    );
    TrytonConfig::parse(&text).unwrap()
}

/// Two with the same data, but for what of `ITEM-003` is in MAIN; the old one owns everything and has the orders.
async fn open() -> Shop {
    let [old, new] = Tryton::start_two(Database::Sqlite).await;
    let lines = json!([["create", [{"product": 3, "quantity": 321}]]]);
    let inventory = json!({"location": 3, "company": 1, "lines": lines});
    let made: Value = new.rest.create("stock.inventory", &["id"], &inventory).await.unwrap();
    new.press("stock.inventory", made["id"].as_i64().unwrap(), &["confirm"]).await;

    let running = Running::start_with(|config| config.node.name = "n1".to_owned()).await;
    let mut control = running.publisher("ledger.control").await;
    control.send(json!([{"rule_version_activated": {"version": 3}}])).await;
    let routing = json!({"rules": [{"backend": "old"}], "by": "jane", "reason": "the old one"});
    control.send(json!([{"decision": {"routing": routing}}])).await;
    let mut tenant = running.publisher("catalog.shared.tenant").await;
    let rules = json!({"rules": [{"table": "all", "source": "old"}]});
    tenant.send(json!([{"policy": {"version": 1, "document": {"ownership": rules}}}])).await;
    let (stop, nats) = (CancellationToken::new(), running.test.server.url());
    let adapters = [("old", &old), ("new", &new)]
        .map(|(name, tryton)| tokio::spawn(run(adapter(name, tryton, &nats), stop.clone())));
    let operators = operators(&running.node);
    Shop { running, operators, old, new, stop, adapters: adapters.into(), _publishers: [control, tenant] }
}

impl Shop {
    async fn asked(&self, path: &str) -> Value {
        let shown = self.operators.get(&format!("/v1/operator/{path}")).await.unwrap();
        serde_json::from_slice(shown.body()).unwrap()
    }

    /// The new one compared with the old one, once both have said everything: rows of all tables that differ.
    async fn compared(&self) -> Vec<Value> {
        let mut progress = self.running.node.handle().progress();
        let settled = async {
            loop {
                let shown = self.asked("shadow?source=new&owner=old").await;
                // Refused as long as nothing of the new one is known.
                let tables = shown["tables"].as_array().cloned().unwrap_or_default();
                let sound = |table: &Value| {
                    let mut sources = table["sources"].as_array().unwrap().iter();
                    sources.all(|it| it["suspect"] == false && it["age_ms"].is_u64())
                };
                let one = |table: &Value| table["missing_count"] == 0 && table["extra_count"] == 0;
                let has = |name: &str| tables.iter().any(|table| table["table"] == name);
                if has("stock")
                    && has("prices")
                    && has("accounts")
                    && tables.iter().all(|it| sound(it) && one(it))
                {
                    return tables;
                }
                progress.changed().await.unwrap();
            }
        };
        let tables = timeout(PATIENCE, settled).await.expect("both have said everything in time");
        tables.iter().flat_map(|table| table["worst"].as_array().cloned().unwrap_or_default()).collect()
    }

    async fn place(&self, key: &str, item: &str) -> String {
        let line = json!({"line": "1", "item": item, "quantity": "1", "uom": "u"});
        let order = json!({"account": "CUST-001", "purchase_order": format!("PO-{key}"), "lines": [line]});
        let (status, placed) = send(&self.running.http, Method::POST, "/v1/orders", Some(key), &order).await;
        assert_eq!(status, 201, "{placed}");
        assert!(matches!(placed["state"].as_str(), Some("accepted" | "dispatched")), "{placed}");
        placed["order"].as_str().unwrap().to_owned()
    }

    /// The order as a client sees it, once its state is this one.
    async fn until(&self, order: &str, state: &str) -> Value {
        let mut progress = self.running.node.handle().progress();
        let path = format!("/v1/orders/{order}");
        let reached = async {
            loop {
                let (_, shown) = send(&self.running.http, Method::GET, &path, None, &json!({})).await;
                if shown["state"] == state {
                    return shown;
                }
                progress.changed().await.unwrap();
            }
        };
        let reached = timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{order} is not {state} in time"))
    }

    /// In effect, in the old one and in the new one.
    async fn sales(&self, order: &str) -> (usize, usize) {
        (self.old.count(order).await[1], self.new.count(order).await[1])
    }

    /// A customer who looks up and orders, one order after the other, until told to stop; what was ordered.
    async fn customer(&self, stop: &AtomicBool) -> Vec<String> {
        let mut placed = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let path = "/v1/price-availability/ITEM-002?account=CUST-001&quantity=1";
            let lookup = self.running.http.get(path).await.unwrap();
            let lookup: Value = serde_json::from_slice(lookup.body()).unwrap();
            assert_eq!(lookup["lines"][0]["status"], "ok", "{lookup}");
            let order = self.place(&format!("customer-{}", placed.len()), "ITEM-002").await;
            self.until(&order, "acknowledged").await;
            placed.push(order);
        }
        placed
    }

    async fn hand_over(&self, from: &str, to: &str) {
        let request = json!({
            "tables": ["all"], "from": from, "to": to, "backends": {"from": from, "to": to},
            "by": "jane", "reason": "go live",
        });
        let (status, tried) = act(&self.operators, "handover?dry_run=true", "tried", &request).await;
        assert_eq!(status, 200, "{tried}");
        assert!(!tried["drift"].as_array().unwrap().is_empty(), "{tried}");
        let (status, done) = act(&self.operators, "handover", &format!("{from}-{to}"), &request).await;
        assert_eq!((status, &done["outcome"]), (200, &json!("changed")), "{done}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_tryton_takes_over_while_customers_go_on_and_hands_back() {
    let shop = open().await;
    let drifts = shop.compared().await;
    let want = json!([{"key": "ITEM-003 @MAIN", "owner": "old", "by": "179", "owned": {"quantity": "500 u"},
                       "shadow": {"quantity": "321 u"}}]);
    assert_eq!(json!(drifts), want);
    let there = shop.place("there", "ITEM-001").await;
    shop.until(&there, "acknowledged").await;

    let stop = AtomicBool::new(false);
    let doing = async {
        shop.hand_over("old", "new").await;
        // A while longer, so that orders come after it.
        let last = shop.place("last", "ITEM-001").await;
        shop.until(&last, "acknowledged").await;
        stop.store(true, Ordering::Relaxed);
        last
    };
    let (last, placed) = tokio::join!(doing, shop.customer(&stop));
    assert_eq!(shop.sales(&last).await, (0, 1));
    for order in &placed {
        let (old, new) = shop.sales(order).await;
        assert_eq!(old + new, 1, "{order} is in the old one {old} times and in the new one {new} times");
    }
    let path =
        "/v1/price-availability/ITEM-003?account=CUST-001&quantity=1&include=price,availability,warehouses";
    let lookup = shop.running.http.get(path).await.unwrap();
    let lookup: Value = serde_json::from_slice(lookup.body()).unwrap();
    let main = json!({"warehouse": "MAIN", "available": "321"});
    let shown = lookup["lines"][0]["availability"]["warehouses"].as_array().unwrap();
    assert!(shown.contains(&main), "{lookup}");

    // What the old one has stays there until it is over.
    let sale = &shop.old.sales(&there).await[0];
    let shipment = sale["shipments"][0]["id"].as_i64().unwrap();
    shop.old.press("stock.shipment.out", shipment, &["assign_try", "pick", "pack", "do"]).await;
    shop.until(&there, "shipped").await;
    assert_eq!(shop.sales(&there).await, (1, 0));

    shop.hand_over("new", "old").await;
    let back = shop.place("back", "ITEM-001").await;
    shop.until(&back, "acknowledged").await;
    assert_eq!(shop.sales(&back).await, (1, 0));
    shop.stop.cancel();
    for adapter in shop.adapters {
        timeout(PATIENCE, adapter).await.expect("it stops in time").unwrap().unwrap();
    }
    shop.running.node.stop().await.unwrap();
}
