//! What an order is told over HTTP, case by case: what is refused and forgotten, and what is judged and remembered.

use futures_util::future::join_all;
use http::Method;
use pannier_protocol::Timestamp;
use pannier_protocol::limits::{ORDER_BYTES_MAX, ORDER_LINES_MAX, ORDER_RESOLVED_BYTES_MAX};
use serde_json::{Value, json};

use super::Running;
use super::checkout::{checkout, checkout_with, place, second_node, send};

/// `checkout` with more items and accounts; where they stand.
async fn counter() -> Running {
    let (running, mut wms, mut erp, _) = checkout_with(|_| {}).await;
    let row = |item: &str| json!([item, null, "EA", null, 1, "fixed", null, [["0", "2.5"]]]);
    let many: Vec<String> = (0..40).map(|at| format!("WAREHOUSE-{at}")).collect();
    let catalog = erp.send(json!([
        {"item": {"item": "BOLT", "base_uom": "EA",
                  "uoms": [{"uom": "BX", "numerator": 10, "denominator": 1, "multiple": "2"}]}},
        {"item": {"item": "SAW", "base_uom": "EA", "entitlement": "tools"}},
        {"item": {"item": "GIFT", "base_uom": "EA"}},
        {"prices": {"scope": {"list": "LIST"}, "currency": "USD", "rows": [row("BOLT"), row("SAW")]}},
        {"account": {"account": "C-1-01", "parent": "C-1", "root": "C-1", "warehouses": ["DAL"]}},
        {"account": {"account": "C-2", "root": "C-2", "blocked": true}},
        {"account": {"account": "C-3", "root": "C-3", "contract_only": true}},
        {"account": {"account": "C-4", "root": "C-4", "territories": ["EAST"], "warehouses": ["DAL"]}},
        {"account": {"account": "C-4-01", "parent": "C-4", "root": "C-4", "territories": ["WEST"]}},
        {"account": {"account": "C-5", "root": "C-5", "warehouses": ["DAL"]}},
        {"account": {"account": "C-6", "root": "C-6", "warehouses": many}},
    ]));
    let catalog = catalog.await;
    let on_hand =
        |item: &str| json!({"stock_set": {"item": item, "warehouse": "DAL", "uom": "EA", "on_hand": "100"}});
    let credit = json!({"credit": {"account": "C-5", "currency": "USD", "limit": "10", "balance": "0"}});
    let ledger = wms.send(json!([on_hand("BOLT"), on_hand("SAW"), on_hand("GIFT"), credit])).await;
    running
        .wait_for(|snapshot| snapshot.applied.ledger >= ledger && snapshot.applied.catalog >= catalog)
        .await;
    running
}

/// Changes of an order of 4 pieces of `SKU-1` for `C-1`.
fn order(name: &str, of_line: &Value, of_order: &Value) -> Value {
    let mut line = json!({"line": "1", "item": "SKU-1", "quantity": "4", "uom": "EA"});
    let mut order = json!({"account": "C-1", "purchase_order": name});
    for (into, from) in [(&mut line, of_line), (&mut order, of_order)] {
        for (field, value) in from.as_object().unwrap() {
            into[field] = value.clone();
        }
    }
    order["lines"] = json!([line]);
    order
}

/// `201 review [price_moved] accepted []`: the order and its line, or the code of a refusal.
fn told(status: u16, answer: &Value) -> String {
    let reasons = |of: &Value| {
        let names: Vec<&str> =
            of["reasons"].as_array().into_iter().flatten().map(|it| it.as_str().unwrap()).collect();
        format!("[{}]", names.join(" "))
    };
    let Some(line) = answer["lines"].get(0) else {
        return format!("{status} {}", answer["code"].as_str().unwrap());
    };
    // What is accepted may be in its backend's queue by the time it is shown.
    let state = answer["state"].as_str().unwrap().replace("dispatched", "accepted");
    format!("{status} {state} {} {} {}", reasons(answer), line["state"].as_str().unwrap(), reasons(line))
}

#[tokio::test]
async fn an_order_is_told_what_is_wrong_with_it() {
    let running = counter().await;
    let none = json!({});
    let (mut hidden, mut wrong) = (Vec::new(), Vec::new());
    for (name, of_line, of_order, want) in [
        ("right", json!({"unit_price": "2.5"}), none.clone(), "201 accepted [] accepted []"),
        (
            "unknown item",
            json!({"item": "SAX"}),
            none.clone(),
            "201 rejected [not_found] rejected [not_found]",
        ),
        ("not theirs", json!({"item": "SAW"}), none.clone(), "201 rejected [not_found] rejected [not_found]"),
        ("unit", json!({"uom": "KG"}), none.clone(), "201 rejected [invalid_uom] rejected [invalid_uom]"),
        (
            "quantity",
            json!({"quantity": "-1"}),
            none.clone(),
            "201 rejected [invalid_quantity] rejected [invalid_quantity]",
        ),
        (
            "multiple",
            json!({"item": "BOLT", "uom": "BX", "quantity": "3"}),
            none.clone(),
            "201 rejected [off_multiple] rejected [off_multiple]",
        ),
        ("no price", json!({"item": "GIFT"}), none.clone(), "201 rejected [no_price] rejected [no_price]"),
        (
            "too many",
            json!({"quantity": "11"}),
            none.clone(),
            "201 rejected [out_of_stock] rejected [out_of_stock]",
        ),
        (
            "contract only",
            none.clone(),
            json!({"account": "C-3"}),
            "201 rejected [not_on_contract] rejected [not_on_contract]",
        ),
        (
            "another price",
            json!({"unit_price": "2", "quantity": "1"}),
            none.clone(),
            "201 review [price_moved] review []",
        ),
        (
            "territory",
            none.clone(),
            json!({"account": "C-4", "ship_to": "C-4-01"}),
            "201 rejected [other_territory] not_placed []",
        ),
        (
            "credit",
            json!({"item": "BOLT", "quantity": "5"}),
            json!({"account": "C-5"}),
            "201 review [credit_limit] review []",
        ),
        ("blocked", none.clone(), json!({"account": "C-2"}), "409 account_blocked"),
        ("nobody", none.clone(), json!({"account": "C-9"}), "404 unknown_account"),
        ("another's ship-to", none.clone(), json!({"ship_to": "C-4"}), "404 unknown_account"),
        ("a field", json!({"qty": 1}), none.clone(), "400 invalid_request"),
        ("the currency", none.clone(), json!({"currency": "usd"}), "400 invalid_request"),
    ] {
        let body = order(name, &of_line, &of_order);
        let (status, mut answer) = send(&running.http, Method::POST, "/v1/orders", Some(name), &body).await;
        wrong.extend(Some(format!("{name}: {answer}")).filter(|_| told(status, &answer) != want));
        if want.contains("not_found") {
            for of_the_request in ["order", "as_of", "purchase_order"] {
                answer[of_the_request] = Value::Null;
            }
            answer["lines"][0]["item"] = Value::Null;
            hidden.push(answer);
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert_eq!(hidden[0], hidden[1], "what is not theirs looks like what is not there");
    running.node.stop().await.unwrap();
}

/// Refused before it is judged, so the key is free for an order that is not.
#[tokio::test]
async fn an_order_that_is_too_large_is_refused_and_its_key_stays_free() {
    let running = counter().await;
    let lines = |count: usize| -> Value {
        let line = |at| json!({"line": format!("{at:064}"), "item": "SKU-1", "quantity": "1", "uom": "EA"});
        (0..count).map(line).collect()
    };
    let resolved = json!({"account": "C-6", "lines": lines(ORDER_LINES_MAX)});
    assert!(resolved.to_string().len() < ORDER_RESOLVED_BYTES_MAX, "small as it was sent");
    let padded =
        json!({"account": "C-1", "lines": lines(1), "references": {"x": " ".repeat(ORDER_BYTES_MAX)}});
    for (name, body, want) in [
        ("bytes", padded, "413 too_large"),
        ("lines", json!({"account": "C-1", "lines": lines(ORDER_LINES_MAX + 1)}), "400 invalid_request"),
        ("no lines", json!({"account": "C-1", "lines": []}), "400 invalid_request"),
        ("resolved", resolved, "413 too_large"),
    ] {
        let (status, answer) = send(&running.http, Method::POST, "/v1/orders", Some(name), &body).await;
        assert_eq!(told(status, &answer), want, "{name}: {answer}");
        let (status, small) = place(&running.http, name, "1").await;
        assert_eq!(status, 201, "{name}: {small}");
    }
    running.node.stop().await.unwrap();
}

/// Every client asks with one key, at two nodes, at once: one order, one promise, one answer.
#[tokio::test]
async fn duplicates_at_once_on_two_nodes_are_one_order() {
    let (running, _wms) = checkout().await;
    let (node, other) = second_node(&running).await;
    let placing = (0..32).map(|at| place(if at % 2 == 0 { &running.http } else { &other }, "k1", "4"));
    let answers = join_all(placing).await;
    let (_, first) = &answers[0];
    for (status, answer) in &answers {
        let shown = |it: &Value| (it["order"].clone(), it["state"].clone(), it["lines"].clone());
        assert_eq!((*status, shown(answer)), (201, shown(first)), "{answer}");
    }
    let at = first["as_of"].as_str().unwrap();
    for http in [&running.http, &other] {
        let path = format!("/v1/price-availability/SKU-1?quantity=1&at_least={at}");
        let lookup: Value = serde_json::from_slice(http.get(&path).await.unwrap().body()).unwrap();
        assert_eq!(lookup["lines"][0]["availability"]["available"], "6", "{lookup}");
    }
    node.stop().await.unwrap();
    running.node.stop().await.unwrap();
}

/// Whatever changes something needs a key, and a key is of one account and one operation.
#[tokio::test]
async fn every_act_needs_a_key_of_its_own_account_and_operation() {
    let running = counter().await;
    let body = |account: &str| order("PO", &json!({}), &json!({"account": account}));
    let now = running.http.get("/v1/price-availability/SKU-1").await.unwrap();
    let now: Value = serde_json::from_slice(now.body()).unwrap();
    let now = Timestamp::parse(now["pricing_date"].as_str().unwrap()).unwrap();
    let line = json!({"line": "1", "item": "BOLT", "quantity": "4", "uom": "EA"});
    let hold =
        json!({"account": "C-1", "expires_at": now.plus_millis(3_600_000).to_string(), "lines": [line]});
    let (placed, held) = (
        send(&running.http, Method::POST, "/v1/orders", Some("k"), &body("C-1")).await,
        send(&running.http, Method::POST, "/v1/holds", Some("k"), &hold).await,
    );
    assert_eq!((placed.0, held.0, &held.1["state"]), (201, 201, &json!("held")), "{placed:?} {held:?}");
    let another = send(&running.http, Method::POST, "/v1/orders", Some("k"), &body("C-4")).await;
    assert_eq!(another.0, 201, "{another:?}");
    assert_ne!(another.1["order"], placed.1["order"], "an order of another account");
    let of_order = format!("/v1/orders/{}/cancel", placed.1["order"].as_str().unwrap());
    let of_hold = format!("/v1/holds/{}", held.1["hold"].as_str().unwrap());
    let keep = json!({"keep": {"1": "3"}});
    for (method, path, body, once_keyed) in [
        (Method::POST, "/v1/orders", body("C-1"), 201),
        (Method::POST, "/v1/holds", hold, 201),
        (Method::PATCH, of_hold.as_str(), keep, 200),
        (Method::DELETE, of_hold.as_str(), json!({}), 200),
        (Method::POST, of_order.as_str(), json!({}), 200),
    ] {
        let (status, refused) = send(&running.http, method.clone(), path, None, &body).await;
        assert_eq!(
            (status, &refused["code"]),
            (400, &json!("idempotency_key_missing")),
            "{method} {path}: {refused}"
        );
        let (status, done) = send(&running.http, method.clone(), path, Some("k"), &body).await;
        assert_eq!(status, once_keyed, "{method} {path}: {done}");
    }
    running.node.stop().await.unwrap();
}
