//! Nodes that know of each other: what `pannier cluster` shows, and what becomes of orders where tables differ.

use std::time::Duration;

use http::Method;
use pannier_client::{HttpClient, Options};
use pannier_core::gate::GateMode;
use pannier_node::Node;
use pannier_node::progress::State;
use serde_json::{Value, json};

use super::checkout::{checkout, place, send};
use super::{PATIENCE, Running, client, config, stock};

/// What the node knows of all, once that is so.
pub(crate) async fn until(node: &Node, what: impl Fn(&Value) -> bool) -> Value {
    let options = Options { deadline: PATIENCE, ..Options::default() };
    let http = HttpClient::new(&format!("http://{}", node.operator_addr()), options).unwrap();
    let seen = async {
        let mut interval = tokio::time::interval(Duration::from_millis(50));
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

/// A node whose gate let through what the others held back has other tables: it folds again, finds that, and leaves.
#[tokio::test]
async fn orders_are_refused_until_the_node_with_wrong_tables_has_left() {
    let (running, wms) = checkout().await;
    let kept = tempfile::tempdir().unwrap();
    let mut with = config(&running.test.server.url());
    with.node.name = "n2".to_owned();
    with.checkpoint.folder = kept.path().to_owned();
    with.checkpoint.interval = Duration::from_secs(3_600);
    let wrong = Node::start_with_gate(with, GateMode::Off).await.unwrap();
    assert!(wrong.handle().ready().await);
    // A gap, and then what is relative: not applied where the gate is.
    let gap = wms.send_as(90, json!([stock("10")])).await;
    let adjust = json!({"stock_adjust": {"item": "SKU-1", "warehouse": "DAL", "uom": "EA", "on_hand": "-3", "allocated": "0",
                                         "quarantine": "0"}});
    wms.send_as(91, json!([adjust])).await;
    running.wait_for(|snapshot| snapshot.applied.ledger > gap).await;
    let (mut orders_refused, mut lookups_flagged, mut attempt) = (false, false, 0);
    let left = async {
        while wrong.handle().progress().borrow().state != State::Refused
            || !orders_refused
            || !lookups_flagged
        {
            attempt += 1;
            let (status, answer) = place(&running.http, &format!("k{attempt}"), "1").await;
            if status == 503 {
                assert_eq!(answer["code"], json!("ledger_unavailable"), "{answer}");
                assert!(answer["detail"].as_str().unwrap().contains("nodes do not agree"), "{answer}");
                orders_refused = true;
            }
            let lookup = client(&running.node).get("/v1/price-availability/SKU-1").await.unwrap();
            assert_eq!(lookup.status(), 200, "lookups go on");
            let answer: Value = serde_json::from_slice(lookup.body()).unwrap();
            lookups_flagged |= answer["nodes_disagree"] == true;
        }
    };
    tokio::time::timeout(PATIENCE, left).await.expect("the wrong one leaves");
    let detail = wrong.handle().progress().borrow().detail.clone();
    assert!(detail.contains("this node is wrong and leaves"), "{detail}");
    let evidence = std::fs::read_dir(kept.path().join("evidence")).unwrap();
    assert!(
        evidence.flatten().any(|it| it.file_name().to_str().unwrap().ends_with(".checkpoint")),
        "{detail}"
    );
    assert_eq!(running.node.handle().progress().borrow().state, State::Ready);
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
    wrong.stop().await.unwrap();
    running.node.stop().await.unwrap();
}
