//! Orders and holds over HTTP, on nodes that share one ledger.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use pannier_client::HttpClient;
use pannier_node::{Config, Node};
use pannier_protocol::codec::decode;
use pannier_protocol::limits::MESSAGE_BYTES_MAX;
use pannier_protocol::order::Dispatch;
use pannier_protocol::{AsOf, Encoding, SourceId, Timestamp};
use pannier_streams::stored::last_message;
use serde_json::{Value, json};

use super::{Publisher, Running, client, config, stock};

/// One account that buys `SKU-1` at 2.5 from 10 pieces in DAL; orders go to `erp`.
pub(crate) async fn checkout() -> (Running, Publisher) {
    let (running, wms, _, _) = checkout_with(|_| {}).await;
    (running, wms)
}

/// With who publishes stock and who publishes the catalog, and where all of it stands.
pub(crate) async fn checkout_with(change: impl FnOnce(&mut Config)) -> (Running, Publisher, Publisher, AsOf) {
    let named = |config: &mut Config| {
        config.node.name = "n1".to_owned();
        change(config);
    };
    let running = Running::start_with(named).await;
    let mut control = running.publisher("ledger.control").await;
    control.send(json!([{"rule_version_activated": {"version": 3}}])).await;
    let routing = json!([{"decision": {"routing": {"rules": [{"backend": "erp"}], "by": "jane", "reason": "one ERP"}}}]);
    control.send(routing).await;
    let (mut erp, wms, at) = running.load_item().await;
    let account = json!({"account": {"account": "C-1", "root": "C-1", "warehouses": ["DAL"]}});
    let shared = erp.send(json!([shared_policy(1, "review"), account])).await;
    let at = running.as_of(at.ledger, shared);
    assert_eq!(running.line(&at).await, "ok 10.00 10");
    (running, wms, erp, at)
}

pub(super) fn shared_policy(version: u32, price_moved: &str) -> Value {
    let defaults = json!({"currency": "USD", "lists": ["LIST"], "price_moved": price_moved});
    json!({"policy": {"version": version, "document": {"defaults": defaults}}})
}

pub(crate) fn order(quantity: &str) -> Value {
    let line = json!({"line": "1", "item": "SKU-1", "quantity": quantity, "uom": "EA"});
    json!({"account": "C-1", "purchase_order": format!("PO-{quantity}"), "lines": [line]})
}

fn request(http: &HttpClient, method: Method, path: &str, key: Option<&str>, body: &Value) -> Request<Bytes> {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{}{path}", http.address()))
        .header("Content-Type", "application/json");
    if let Some(key) = key {
        request = request.header("Idempotency-Key", key);
    }
    request.body(Bytes::from(body.to_string())).unwrap()
}

pub(crate) async fn send(
    http: &HttpClient,
    method: Method,
    path: &str,
    key: Option<&str>,
    body: &Value,
) -> (u16, Value) {
    let response = http.send(request(http, method, path, key, body)).await.unwrap();
    (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap())
}

pub(super) async fn place(http: &HttpClient, key: &str, quantity: &str) -> (u16, Value) {
    let (status, mut answer) = send(http, Method::POST, "/v1/orders", Some(key), &order(quantity)).await;
    // What is accepted may be in its backend's queue by the time it is shown.
    if answer["state"] == "dispatched" {
        answer["state"] = json!("accepted");
    }
    (status, answer)
}

pub(crate) async fn second_node(running: &Running) -> (Node, HttpClient) {
    second_node_of(&running.test.server.url()).await
}

#[tokio::test]
async fn an_order_is_judged_remembered_and_dispatched() {
    let (running, _wms) = checkout().await;
    let (status, first) = place(&running.http, "k1", "4").await;
    assert_eq!(
        (status, &first["state"], &first["lines"][0]["price"]["extended"]),
        (201, &json!("accepted"), &json!("10")),
        "{first}"
    );
    let promised =
        json!([{"quantity": "4", "date": first["lines"][0]["promised"][0]["date"], "warehouse": "DAL"}]);
    assert_eq!(first["lines"][0]["promised"], promised);
    let path = format!("/v1/orders/{}", first["order"].as_str().unwrap());

    // Again, here and on another node; and what is no repetition.
    let (node, other) = second_node(&running).await;
    for http in [&running.http, &other] {
        let (status, again) = place(http, "k1", "4").await;
        assert_eq!((status, &again["order"], &again["lines"]), (201, &first["order"], &first["lines"]));
        let (status, refused) = place(http, "k1", "5").await;
        assert_eq!((status, &refused["code"]), (422, &json!("key_reused")));
    }
    let (status, refused) = send(&other, Method::POST, "/v1/orders", None, &order("4")).await;
    assert_eq!((status, &refused["code"]), (400, &json!("idempotency_key_missing")));
    let (status, suspected) = place(&other, "k2", "4").await;
    assert_eq!(
        (status, &suspected["state"], &suspected["reasons"]),
        (201, &json!("review"), &json!(["suspected_duplicate"]))
    );

    // Its lookups find less: 4 accepted and 4 in review.
    let at = suspected["as_of"].as_str().unwrap();
    let lookup =
        running.http.get(&format!("/v1/price-availability/SKU-1?quantity=1&at_least={at}")).await.unwrap();
    let lookup: Value = serde_json::from_slice(lookup.body()).unwrap();
    assert_eq!(lookup["lines"][0]["availability"]["available"], "2");

    let dispatched = dispatch(&running, first["order"].as_str().unwrap(), 1).await;
    assert_eq!((dispatched.lines.len(), dispatched.lines[0].quantity.to_string().as_str()), (1, "4"));
    let (status, cancelled) =
        send(&running.http, Method::POST, &format!("{path}/cancel"), Some("c1"), &json!({})).await;
    assert_eq!((status, &cancelled["cancel_asked"]), (200, &json!(true)));
    let (_, steps) = send(&running.http, Method::GET, &format!("{path}/events"), None, &json!({})).await;
    assert_eq!(steps["steps"][0]["what"], "placed: accepted", "{steps}");
    node.stop().await.unwrap();
    running.node.stop().await.unwrap();
}

/// The task that the node's outbox published.
pub(super) async fn dispatch(running: &Running, order: &str, generation: u32) -> Dispatch {
    let order = order.parse().unwrap();
    let subject = running.streams.prefix.dispatch(&SourceId::new("erp").unwrap(), &order, generation);
    let mut progress = running.node.handle().progress();
    loop {
        let stored = last_message(&running.test.broker, &running.streams.dispatch, &subject).await.unwrap();
        if let Some(message) = stored {
            return decode(Encoding::MessagePack, &message.payload, MESSAGE_BYTES_MAX).unwrap();
        }
        progress.changed().await.unwrap();
    }
}

#[tokio::test]
async fn the_last_units_are_sold_once() {
    let (running, _wms) = checkout().await;
    let (node, other) = second_node(&running).await;
    let placing = (0..64).map(|at| {
        let http = if at % 2 == 0 { &running.http } else { &other };
        async move {
            let (status, answer) = place(http, &format!("k{at}"), "3").await;
            assert_eq!(status, 201, "{answer}");
            answer["state"].as_str().unwrap().to_owned()
        }
    });
    let states = join_all(placing).await;
    let count = |state: &str| states.iter().filter(|it| *it == state).count();
    // One is accepted, the same purchase order again is held with its stock, and the shelf is empty.
    assert_eq!((count("accepted"), count("review"), count("rejected")), (1, 2, 61), "{states:?}");
    node.stop().await.unwrap();
    running.node.stop().await.unwrap();
}

#[tokio::test]
async fn an_order_survives_a_restart_and_an_overwrite_by_its_source() {
    let (running, mut wms) = checkout().await;
    let (_, first) = place(&running.http, "k1", "6").await;
    // The nightly export knows nothing of it.
    wms.send(json!([stock("10")])).await;
    let (_, second) = place(&running.http, "k2", "5").await;
    assert_eq!((&first["state"], &second["state"]), (&json!("accepted"), &json!("rejected")));
    running.node.stop().await.unwrap();
    let (node, http) = second_node_of(&running.test.server.url()).await;
    let (status, again) = place(&http, "k1", "6").await;
    assert_eq!((status, &again["order"], &again["lines"]), (201, &first["order"], &first["lines"]));
    node.stop().await.unwrap();
}

async fn second_node_of(url: &str) -> (Node, HttpClient) {
    let mut config = config(url);
    config.node.name = "n2".to_owned();
    let node = Node::start(config).await.unwrap();
    assert!(node.handle().ready().await);
    let http = client(&node);
    (node, http)
}

#[tokio::test]
async fn a_hold_keeps_stock_until_it_is_given_back() {
    let (running, _wms) = checkout().await;
    let now = running.http.get("/v1/price-availability/SKU-1").await.unwrap();
    let now: Value = serde_json::from_slice(now.body()).unwrap();
    let now = Timestamp::parse(now["pricing_date"].as_str().unwrap()).unwrap();
    let expires = now.plus_millis(3_600_000).to_string();
    let line = json!({"line": "1", "item": "SKU-1", "quantity": "8", "uom": "EA"});
    let body = json!({"account": "C-1", "expires_at": expires, "lines": [line]});
    let (status, held) = send(&running.http, Method::POST, "/v1/holds", Some("h1"), &body).await;
    assert_eq!((status, &held["state"]), (201, &json!("held")), "{held}");
    assert_eq!(place(&running.http, "k1", "3").await.1["state"], "rejected");
    let path = format!("/v1/holds/{}", held["hold"].as_str().unwrap());
    let (status, less) =
        send(&running.http, Method::PATCH, &path, Some("h2"), &json!({"keep": {"1": "7"}})).await;
    assert_eq!((status, &less["lines"][0]["quantity"]), (200, &json!("7")));
    assert_eq!(place(&running.http, "k2", "3").await.1["state"], "accepted");
    let (status, released) = send(&running.http, Method::DELETE, &path, Some("h3"), &json!({})).await;
    assert_eq!((status, &released["state"]), (200, &json!("released")));
    let (status, unknown) = send(&running.http, Method::GET, "/v1/holds/none", None, &json!({})).await;
    assert_eq!((status, &unknown["code"]), (404, &json!("unknown_order")));
    running.node.stop().await.unwrap();
}

#[tokio::test]
async fn while_the_ledger_is_out_of_reach_orders_are_refused_at_once_and_lookups_go_on() {
    let (mut running, _wms) = checkout().await;
    let (_, first) = place(&running.http, "k1", "4").await;
    running.test.server.kill().await;
    running.wait_for(|snapshot| !snapshot.connected).await;
    let (status, refused) = place(&running.http, "k2", "3").await;
    assert_eq!((status, &refused["code"]), (503, &json!("ledger_unavailable")));
    // What is known is answered all the same.
    assert_eq!(place(&running.http, "k1", "4").await.1["order"], first["order"]);
    let lookup = running.http.get("/v1/price-availability/SKU-1?quantity=1").await.unwrap();
    assert_eq!(lookup.status(), 200);
    running.test.server.start_again().await.unwrap();
    running.wait_for(|snapshot| snapshot.connected).await;
    assert_eq!(place(&running.http, "k2", "3").await.1["state"], "accepted");
    running.node.stop().await.unwrap();
}

/// A broker that hangs keeps its connections: nothing says that the ledger is out of reach but its silence.
#[tokio::test]
async fn a_node_that_is_behind_the_ledger_places_nothing() {
    let (running, _wms) = checkout().await;
    assert_eq!(place(&running.http, "k0", "2").await.1["state"], "accepted");
    running.test.signal("-STOP");
    // Handed over, and nobody knows: asked for as long as a request waits.
    assert_eq!(place(&running.http, "k1", "4").await.0, 202);
    let request = request(&running.http, Method::POST, "/v1/orders", Some("k2"), &order("3"));
    let refused = running.http.send(request).await.unwrap();
    let problem: Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!((refused.status().as_u16(), &problem["code"]), (503, &json!("ledger_unavailable")));
    assert!(refused.headers().contains_key("retry-after"));
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.starts_with("this node is more than 5 s behind the ledger"), "{detail}");
    let lookup = running.http.get("/v1/price-availability/SKU-1?quantity=1").await.unwrap();
    assert_eq!(lookup.status(), 200);
    running.test.signal("-CONT");
    running.wait_for(|snapshot| snapshot.ledger_lag().is_some_and(|lag| lag < Duration::from_secs(1))).await;
    assert_eq!(eventually(&running.http, "k1", "4").await, 201);
    assert_eq!(eventually(&running.http, "k2", "3").await, 201);
    running.node.stop().await.unwrap();
}

/// The status, once the ledger takes commands again.
async fn eventually(http: &HttpClient, key: &str, quantity: &str) -> u16 {
    loop {
        let (status, answer) = place(http, key, quantity).await;
        if !matches!((status, answer["code"].as_str()), (202, None) | (503, Some("ledger_unavailable"))) {
            return status;
        }
    }
}
