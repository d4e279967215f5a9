//! From a client's request to a sale, and from a shipment back to the client: node, broker, adapter and Tryton.

use http::Method;
use pannier_adapters::tryton::{TrytonConfig, TrytonError, run};
use pannier_tests::{Database, Tryton};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{PATIENT, document};
use crate::node::checkout::send;
use crate::node::{Publisher, Running};
use crate::sink::PATIENCE;

struct Shop {
    running: Running,
    tryton: Tryton,
    stop: CancellationToken,
    adapter: JoinHandle<Result<(), TrytonError>>,
    /// Each holds the claim of its subject.
    _publishers: [Publisher; 3],
}

/// `ITEM-001` and `ITEM-002` are Tryton's, `GHOST` is not; all at a price of 2.5 and for `CUST-001`.
async fn open() -> Shop {
    let tryton = Tryton::start(Database::Sqlite).await;
    let running = Running::start_with(|config| config.node.name = "n1".to_owned()).await;
    let mut control = running.publisher("ledger.control").await;
    control.send(json!([{"rule_version_activated": {"version": 3}}])).await;
    let routing = json!({"rules": [{"backend": "erp"}], "by": "jane", "reason": "one ERP"});
    control.send(json!([{"decision": {"routing": routing}}])).await;
    let (mut erp, mut wms) =
        (running.publisher("catalog.shared.erp-1").await, running.publisher("ledger.stock.wms-1").await);
    let items = ["ITEM-001", "ITEM-002", "GHOST"];
    let halves = json!([{"uom": "u", "numerator": 1, "denominator": 1, "multiple": "0.5"}]);
    let of_each = items.map(|item| json!({"item": {"item": item, "base_uom": "u", "uoms": halves}}));
    let rows: Vec<Value> =
        items.iter().map(|item| json!([item, null, "u", null, 1, "fixed", null, [["0", "2.5"]]])).collect();
    let mut catalog = of_each.to_vec();
    catalog.push(json!({"prices": {"scope": {"list": "LIST"}, "currency": "USD", "rows": rows}}));
    let defaults = json!({"defaults": {"currency": "USD", "lists": ["LIST"]}});
    catalog.push(json!({"policy": {"version": 1, "document": defaults}}));
    catalog.push(json!({"account": {"account": "CUST-001", "root": "CUST-001", "warehouses": ["MAIN"]}}));
    let shared = erp.send(json!(catalog)).await;
    let stock = items
        .map(|item| json!({"stock_set": {"item": item, "warehouse": "MAIN", "uom": "u", "on_hand": "500"}}));
    let ledger = wms.send(json!(stock)).await;
    let at = running.as_of(ledger, shared);
    let path = format!("/v1/price-availability/ITEM-001?quantity=1&at_least={at}");
    assert_eq!(running.http.get(&path).await.unwrap().status(), 200);

    let (stop, adapter) = start(&tryton, &running);
    Shop { running, tryton, stop, adapter, _publishers: [control, erp, wms] }
}

/// The adapter, with the state that it left.
fn start(tryton: &Tryton, running: &Running) -> (CancellationToken, JoinHandle<Result<(), TrytonError>>) {
    let state = tryton.folder.path().join("state");
    let text = document(tryton, &tryton.address(), PATIENT, &running.test.server.url(), &state);
    let stop = CancellationToken::new();
    let adapter = tokio::spawn(run(TrytonConfig::parse(&text).unwrap(), stop.clone()));
    (stop, adapter)
}

impl Shop {
    /// The id of an order of so many pieces.
    async fn place(&self, item: &str, quantity: &str) -> String {
        let line = json!({"line": "7", "item": item, "quantity": quantity, "uom": "u"});
        let order = json!({"account": "CUST-001", "purchase_order": format!("PO-{item}-{quantity}"), "lines": [line]});
        let key = format!("k-{item}-{quantity}");
        let (status, answer) = send(&self.running.http, Method::POST, "/v1/orders", Some(&key), &order).await;
        assert_eq!(status, 201, "{answer}");
        answer["order"].as_str().unwrap().to_owned()
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
        let reached = tokio::time::timeout(PATIENCE, reached).await;
        reached.unwrap_or_else(|_| panic!("{order} is not {state} in time"))
    }

    async fn the_sale(&self, order: &str) -> Value {
        let sales = self.tryton.sales(order).await;
        let [sale] = &sales[..] else { panic!("one sale of {order}: {sales:?}") };
        sale.clone()
    }

    /// Sends what a shipment in waiting has, or a part of it.
    async fn ship(&self, order: &str, part: Option<u32>) {
        let sale = self.the_sale(order).await;
        let waiting = |shipment: &&Value| shipment["state"] == "waiting";
        let shipment =
            sale["shipments"].as_array().unwrap().iter().find(waiting).unwrap()["id"].as_i64().unwrap();
        if let Some(part) = part {
            let fields = ["inventory_moves.quantity"];
            let moves: Option<Value> =
                self.tryton.rest.find("stock.shipment.out", shipment, &fields).await.unwrap();
            let id = moves.unwrap()["inventory_moves"][0]["id"].as_i64().unwrap();
            self.tryton.rest.write("stock.move", id, &json!({"quantity": part})).await.unwrap();
        }
        self.tryton.press("stock.shipment.out", shipment, &["assign_try", "pick", "pack", "do"]).await;
    }
}

impl Shop {
    /// What is left of the order's one line becomes a line of its own, with the same note.
    async fn split(&self, order: &str, left: u32) {
        let line = self.the_sale(order).await["lines"][0]["id"].as_i64().unwrap();
        let kept = "create_date, create_uid, sale, product, unit, unit_price, type, note";
        let sql = |statement: &str| self.tryton.sql(statement);
        sql(&format!(
            "INSERT INTO sale_line ({kept}, quantity) SELECT {kept}, {left} FROM sale_line WHERE id = {line}"
        ));
        sql(&format!("UPDATE sale_line SET quantity = quantity - {left} WHERE id = {line}"));
        sql(&format!(
            "UPDATE stock_move SET origin = 'sale.line,' || (SELECT MAX(id) FROM sale_line) \
             WHERE origin = 'sale.line,{line}' AND state <> 'done'"
        ));
    }

    /// As the assistant for returns does: a copy of the sale with negative lines, received.
    async fn take_back(&self, order: &str, line: &str, quantity: i32) {
        let sale = self.the_sale(order).await["id"].as_i64().unwrap();
        let lines = json!([["create", [{"product": 1, "quantity": -quantity, "unit": 1, "note": line,
            "unit_price": {"__class__": "Decimal", "decimal": "2.5"}}]]]);
        let values = json!({"party": 3, "company": 1, "currency": 1, "warehouse": 5, "invoice_address": 3,
            "shipment_address": 3, "origin": format!("sale.sale,{sale}"), "lines": lines});
        let rest = &self.tryton.rest;
        let made: Value = rest.create("sale.sale", &["id"], &values).await.unwrap();
        let id = made["id"].as_i64().unwrap();
        self.tryton.press("sale.sale", id, &["quote", "confirm"]).await;
        let made: Option<Value> = rest.find("sale.sale", id, &["shipment_returns"]).await.unwrap();
        let paper = made.unwrap()["shipment_returns"][0].as_i64().unwrap();
        self.tryton.press("stock.shipment.out.return", paper, &["receive", "do"]).await;
    }
}

#[tokio::test]
async fn an_order_is_in_tryton_once_and_its_shipments_come_back() {
    let shop = open().await;
    let (good, refused, unknown) = (
        shop.place("ITEM-001", "10").await,
        shop.place("ITEM-002", "2.5").await,
        shop.place("GHOST", "1").await,
    );
    let cancelled = shop.place("ITEM-002", "3").await;

    let shown = shop.until(&good, "acknowledged").await;
    let sale = shop.the_sale(&good).await;
    assert_eq!(sale["state"], "processing");
    assert_eq!(sale["number"], shown["document"], "{shown}");
    assert_eq!(
        (&sale["party"]["code"], &sale["description"]),
        (&json!("CUST-001"), &json!("PO-ITEM-001-10"))
    );
    let line = &sale["lines"][0];
    assert_eq!(
        (&line["product"]["code"], &line["quantity"], &line["note"]),
        (&json!("ITEM-001"), &json!(10.0), &json!("7"))
    );
    assert_eq!(line["unit_price"]["decimal"].as_str().unwrap().trim_end_matches('0'), "2.5");

    let shown = shop.until(&refused, "review").await;
    assert_eq!(shown["reasons"], json!(["refused_by_backend"]), "{shown}");
    shop.until(&unknown, "dead_lettered").await;
    for order in [&refused, &unknown] {
        assert_eq!(shop.tryton.sales(order).await.len(), 0);
    }

    shop.until(&cancelled, "acknowledged").await;
    let path = format!("/v1/orders/{cancelled}/cancel");
    let (status, _) = send(&shop.running.http, Method::POST, &path, Some("c"), &json!({})).await;
    assert_eq!(status, 200);
    shop.until(&cancelled, "cancelled").await;
    assert_eq!(shop.the_sale(&cancelled).await["shipments"][0]["state"], "cancelled");

    shop.ship(&good, Some(4)).await;
    let shown = shop.until(&good, "partially_shipped").await;
    assert_eq!(shown["lines"][0]["shipped"], "4", "{shown}");
    shop.split(&good, 6).await;
    // The second partial one changes nothing in the sale itself.
    shop.ship(&good, Some(5)).await;
    shop.ship(&good, None).await;
    let shown = shop.until(&good, "shipped").await;
    assert_eq!(shown["lines"][0]["shipped"], "10", "{shown}");

    shop.take_back(&good, "7", 10).await;
    let shown = shop.until(&good, "returned").await;
    assert_eq!(shown["lines"][0]["returned"], "10", "{shown}");

    shop.stop.cancel();
    shop.adapter.await.unwrap().unwrap();
    shop.running.node.stop().await.unwrap();
}

#[tokio::test]
async fn what_left_and_came_back_while_nobody_looked_is_told_in_order() {
    let mut shop = open().await;
    let order = shop.place("ITEM-001", "10").await;
    shop.until(&order, "acknowledged").await;
    shop.stop.cancel();
    (&mut shop.adapter).await.unwrap().unwrap();
    shop.ship(&order, None).await;
    shop.take_back(&order, "7", 10).await;
    (shop.stop, shop.adapter) = start(&shop.tryton, &shop.running);
    let shown = shop.until(&order, "returned").await;
    let line = &shown["lines"][0];
    assert_eq!((&line["shipped"], &line["returned"]), (&json!("10"), &json!("10")), "{shown}");

    shop.stop.cancel();
    shop.adapter.await.unwrap().unwrap();
    shop.running.node.stop().await.unwrap();
}
