//! Nodes that know of each other: what `pannier cluster` shows, and what becomes of orders where tables differ.

use http::Method;
use pannier_client::{HttpClient, Options};
use pannier_core::gate::GateMode;
use pannier_node::Node;
use serde_json::{Value, json};

use super::checkout::{checkout, place, send};
use super::{PATIENCE, Running, client, config, stock};

/// What the node knows of all, once that is so.
pub(crate) async fn until(node: &Node, what: impl Fn(&Value) -> bool) -> Value {
    let options = Options { deadline: PATIENCE, ..Options::default() };
    let http = HttpClient::new(&format!("http://{}", node.operator_addr()), options).unwrap();
    let seen = async {
        let mut interval = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            interval.tick().await;
            let response = http.get("/v1/operator/cluster").await.unwrap();
            let shown: Value = serde_json::from_slice(response.body()).unwrap();
            if what(&shown) {
                return shown;
            }
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the nodes come to know of each other")
}

async fn start(running: &Running, name: &str, gate: GateMode) -> Node {
    let mut config = config(&running.test.server.url());
    config.node.name = name.to_owned();
    let node = Node::start_with_gate(config, gate).await.unwrap();
    assert!(node.handle().ready().await);
    node
}

fn names(shown: &Value) -> Vec<&str> {
    shown["members"].as_array().unwrap().iter().map(|it| it["member"]["node"].as_str().unwrap()).collect()
}

/// How the tables of a node stand beside those of the one asked: `agrees`, `differs`, `unknown`.
fn agreement(shown: &Value, node: &str) -> String {
    let members = shown["members"].as_array().unwrap();
    let member = members.iter().find(|it| it["member"]["node"] == node);
    let agreement = member.map_or(Value::Null, |it| it["agreement"].clone());
    let kind = agreement.as_object().and_then(|it| it.keys().next().cloned());
    kind.or(agreement.as_str().map(str::to_owned)).unwrap_or_default()
}

#[tokio::test]
async fn nodes_come_agree_and_leave() {
    let (running, _wms) = checkout().await;
    let second = start(&running, "n2", GateMode::On).await;
    // A node that starts may say how its tables stand before it says that it is ready.
    let is_settled = |shown: &Value, node: &str| {
        let members = shown["members"].as_array().unwrap();
        let is_ready = |it: &Value| it["member"]["node"] == node && it["member"]["state"] == "ready";
        agreement(shown, node) == "agrees" && members.iter().any(is_ready)
    };
    for node in [&running.node, &second] {
        let shown = until(node, |it| is_settled(it, "n1") && is_settled(it, "n2")).await;
        assert_eq!((names(&shown), &shown["connected"]), (vec!["n1", "n2"], &json!(true)), "{shown}");
        let member = &shown["members"][1]["member"];
        assert_eq!((&member["rules"], &member["rules_known"]), (&json!(3), &json!(3)));
        assert_eq!(member["http"], json!(second.http_addr().to_string()));
    }
    second.stop().await.unwrap();
    until(&running.node, |it| names(it) == ["n1"]).await;
    running.node.stop().await.unwrap();
}

/// A node whose gate let through what the others held back has other tables.
#[tokio::test]
async fn orders_are_refused_while_tables_differ() {
    let (running, wms) = checkout().await;
    let wrong = start(&running, "n2", GateMode::Off).await;
    // A gap, and then what is relative: not applied where the gate is.
    let gap = wms.send_as(90, json!([stock("10")])).await;
    let adjust = json!({"stock_adjust": {"item": "SKU-1", "warehouse": "DAL", "uom": "EA", "on_hand": "-3", "allocated": "0",
                                         "quarantine": "0"}});
    wms.send_as(91, json!([adjust])).await;
    running.wait_for(|snapshot| snapshot.applied.ledger > gap).await;
    let shown = until(&running.node, |it| agreement(it, "n2") == "differs").await;
    assert_eq!(agreement(&shown, "n1"), "agrees", "with itself");

    // The look at the others is once a second, so the first may still be taken.
    let refused = async {
        for attempt in 0.. {
            let (status, answer) = place(&running.http, &format!("k{attempt}"), "1").await;
            if status == 503 {
                return answer;
            }
        }
        unreachable!("it is tried until it is refused");
    };
    let answer = tokio::time::timeout(PATIENCE, refused).await.unwrap();
    assert_eq!(answer["code"], json!("ledger_unavailable"), "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("nodes do not agree"), "{answer}");
    let lookup = client(&running.node).get("/v1/price-availability/SKU-1").await.unwrap();
    assert_eq!(lookup.status(), 200, "lookups go on");

    wrong.stop().await.unwrap();
    until(&running.node, |it| names(it) == ["n1"]).await;
    let taken = async {
        for attempt in 0.. {
            let body = json!({"account": "C-1", "lines": [{"line": "1", "item": "SKU-1", "quantity": "1", "uom": "EA"}]});
            let key = format!("again{attempt}");
            let (status, _) = send(&running.http, Method::POST, "/v1/orders", Some(&key), &body).await;
            if status == 201 {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, taken).await.expect("orders are taken again");
    running.node.stop().await.unwrap();
}
