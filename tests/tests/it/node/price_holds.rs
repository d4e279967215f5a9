//! Prices promised by one node and honoured by another.

use std::time::Duration;

use pannier_client::HttpClient;
use pannier_node::{Config, Node, config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::checkout::{checkout_with, send, shared_policy};
use super::client;
use http::Method;

/// Keys in files of a folder, of which the first signs.
fn keys(folder: &TempDir, ids: &[&str]) -> config::PriceHolds {
    let key = |id: &&str| {
        let file = folder.path().join(id);
        if !file.exists() {
            std::fs::write(&file, pannier_node::random_secret().unwrap()).unwrap();
        }
        config::PriceHoldKey { id: (*id).to_owned(), file: Some(file), env: None }
    };
    config::PriceHolds { keys: ids.iter().map(key).collect(), lifetime: Duration::from_secs(600) }
}

async fn held(http: &HttpClient, include: &str, at_least: &str) -> Value {
    let path =
        format!("/v1/price-availability/SKU-1?account=C-1&quantity=4&include={include}&at_least={at_least}");
    serde_json::from_slice(http.get(&path).await.unwrap().body()).unwrap()
}

fn order(quantity: &str, token: &Value) -> Value {
    let line = json!({"line": "1", "item": "SKU-1", "quantity": quantity, "uom": "EA", "price_hold": token});
    json!({"account": "C-1", "lines": [line]})
}

async fn place(http: &HttpClient, key: &str, order: &Value) -> (u16, Value) {
    send(http, Method::POST, "/v1/orders", Some(key), order).await
}

#[tokio::test]
async fn a_promised_price_is_honoured_on_another_node_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let with = |ids: &[&str]| {
        let price_holds = keys(&folder, ids);
        move |config: &mut Config| config.price_holds = price_holds
    };
    let (running, _wms, mut erp, at) = checkout_with(with(&["k1"])).await;
    // The second node signs with a newer key and knows the old one; the third has none.
    let (second, second_http) = another(&running.test.server.url(), "n2", with(&["k2", "k1"])).await;
    let (third, third_http) = another(&running.test.server.url(), "n3", |_| {}).await;

    let answer = held(&running.http, "hold", &at.to_string()).await;
    let hold = &answer["lines"][0]["price_hold"];
    assert_eq!(answer["lines"][0]["price"]["order_unit_price"], "2.5", "{answer}");
    assert!(hold["expires_at"].as_str() > answer["pricing_date"].as_str(), "{answer}");
    assert_eq!(held(&running.http, "price", &at.to_string()).await["lines"][0]["price_hold"], json!(null));
    let refused = held(&third_http, "hold", &at.to_string()).await;
    let detail = refused["detail"].as_str().unwrap();
    assert!(detail.starts_with("include: this node holds no prices: leave `hold` out"), "{detail}");

    // The price rises, and the tenant honours what it promised.
    let prices = json!({"prices": {"scope": {"list": "LIST"}, "currency": "USD",
        "rows": [["SKU-1", null, "EA", null, 1, "fixed", null, [["0", "3"]]]]}});
    let shared = erp.send(json!([shared_policy(2, "honour"), prices])).await;
    let at = running.as_of(at.ledger, shared).to_string();
    let token = &hold["token"];
    for http in [&running.http, &second_http, &third_http] {
        assert_eq!(held(http, "price", &at).await["lines"][0]["price"]["order_unit_price"], "3");
    }
    let (status, placed) = place(&second_http, "o1", &order("4", token)).await;
    assert_eq!(
        (status, &placed["total"], &placed["state"]),
        (201, &json!("10"), &json!("accepted")),
        "{placed}"
    );
    assert_eq!(placed["lines"][0]["price"]["unit_price"], "2.5");
    // Under its key it stays what it was, also where the token could not be verified any more, once the node there has
    // come as far.
    held(&third_http, "price", placed["as_of"].as_str().unwrap()).await;
    let (status, again) = place(&third_http, "o1", &order("4", token)).await;
    assert_eq!((status, &again["order"]), (201, &placed["order"]));

    let tampered = format!("{}x", token.as_str().unwrap());
    let cases = [
        (&third_http, json!(token), "lines[0].price_hold: this node holds no prices"),
        (&second_http, json!(tampered), "lines[0].price_hold: "),
        (&second_http, json!("a.b.c"), "lines[0].price_hold: no token as a lookup gives it"),
    ];
    for (http, token, want) in cases {
        let (status, refused) = place(http, "o2", &order("4", &token)).await;
        assert_eq!((status, &refused["code"]), (400, &json!("invalid_request")));
        assert!(refused["detail"].as_str().unwrap().starts_with(want), "{refused}");
    }
    // Signed by the newer key: the node that was not told of it yet does not know it.
    let newer = held(&second_http, "hold", &at).await["lines"][0]["price_hold"]["token"].clone();
    let (status, refused) = place(&running.http, "o2", &order("4", &newer)).await;
    assert_eq!(status, 400);
    assert!(refused["detail"].as_str().unwrap().contains("signed by the key \"k2\""), "{refused}");
    // Of another quantity: judged, and a human decides.
    let (status, doubted) = place(&second_http, "o3", &order("1", token)).await;
    assert_eq!((status, &doubted["state"]), (201, &json!("review")), "{doubted}");
    assert_eq!(doubted["reasons"], json!(["price_hold_invalid"]));
    for node in [second, third, running.node] {
        node.stop().await.unwrap();
    }
}

async fn another(url: &str, name: &str, change: impl FnOnce(&mut Config)) -> (Node, HttpClient) {
    let mut config = super::config(url);
    config.node.name = name.to_owned();
    change(&mut config);
    let node = Node::start(config).await.unwrap();
    assert!(node.handle().ready().await);
    let http = client(&node);
    (node, http)
}
