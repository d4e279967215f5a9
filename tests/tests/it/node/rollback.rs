//! An old copy of the broker's store is put back under running nodes: no order that a client holds an answer for is lost.

use std::path::Path;

use http::Method;
use pannier_node::Node;
use pannier_node::progress::State;
use pannier_tests::TestBroker;
use serde_json::{Value, json};
use tokio::process::Command;
use tokio::time::timeout;

use super::checkout::{checkout_with, order, send};
use super::members::until;
use super::{PATIENCE, Running, client, config, stock};

async fn place(run: &Running, key: &str, quantity: &str) -> (u16, Value) {
    send(&run.http, Method::POST, "/v1/orders", Some(key), &order(quantity)).await
}

/// What a customer was told and must find again.
fn told(answer: &Value) -> Value {
    let lines = answer["lines"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| json!([line["line"], line["state"], line["promised"]])).collect();
    json!([answer["order"], lines])
}

async fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-a").args([from, to]).status().await.unwrap();
    assert!(copied.success(), "{} to {}", from.display(), to.display());
}

async fn refuses(node: &Node) -> String {
    let mut progress = node.handle().progress();
    let refused = progress.wait_for(|snapshot| snapshot.state == State::Refused);
    timeout(PATIENCE, refused).await.expect("it notices").unwrap().detail.clone()
}

/// `pannier recover`, and what it prints.
async fn recover(test: &TestBroker, nodes: &[&Node], more: &[&str]) -> (bool, Value, String) {
    let nodes = nodes.iter().map(|node| format!("http://{}", node.operator_addr()));
    let nodes = nodes.collect::<Vec<_>>().join(",");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    command.args(["recover", "--json", "--nats", &test.server.url(), "--node", &nodes]).args(more);
    let output = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_default(), said)
}

const WHO: [&str; 4] = ["--by", "jane", "--reason", "the store was put back"];

#[tokio::test]
async fn orders_come_back_after_the_store_was_put_back() {
    let kept = tempfile::tempdir().unwrap();
    let keeping = |config: &mut pannier_node::Config| {
        config.checkpoint.folder = kept.path().to_owned();
        config.checkpoint.interval = std::time::Duration::from_millis(20);
    };
    let (mut run, mut wms, ..) = checkout_with(keeping).await;
    let other = Node::start(config(&run.test.server.url())).await.unwrap();
    assert!(other.handle().ready().await);
    wms.send(json!([stock("100")])).await;
    let (status, early) = place(&run, "early", "3").await;
    assert_eq!(status, 201, "{early}");

    copy_store(&mut run).await;
    assert!(other.handle().ready().await && run.node.handle().ready().await);
    let mut answers = vec![("early".to_owned(), "3".to_owned(), early)];
    answers.extend(late_orders(&run).await);
    let before = run.node.handle().progress().borrow().applied.ledger;
    put_store_back(&mut run.test).await;

    for node in [&run.node, &other] {
        let detail = refuses(node).await;
        assert!(detail.contains("rolled back") && detail.contains("pannier recover"), "{detail}");
    }
    let (status, answer) = place(&run, "late-0", "1").await;
    assert_eq!((status, answer["code"].as_str()), (503, Some("not_ready")), "{answer}");

    let (done, shown, said) = recover(&run.test, &[&run.node, &other], &["--dry-run"]).await;
    assert!(done && shown["done"] == false && shown["parts"].as_u64() > Some(0), "{shown} {said}");
    assert!(shown["ledger_ends_at"].as_u64() < shown["ledger_known_to"].as_u64(), "{shown}");
    for _ in 0..2 {
        let (done, shown, said) = recover(&run.test, &[&run.node, &other], &WHO).await;
        assert!(done && shown["done"] == true, "{shown} {said}");
        assert!(shown["ledger_known_to"].as_u64() >= Some(before.0), "{shown}");
    }
    // The other one goes on refusing, and is no reason to refuse orders elsewhere.
    run.node.stop().await.unwrap();
    let mut again = config(&run.test.server.url());
    again.node.name = "n1".to_owned();
    keeping(&mut again);
    let node = Node::start(again).await.unwrap();
    let run = Running { http: client(&node), node, ..run };
    assert!(run.node.handle().ready().await, "{}", run.node.handle().progress().borrow().detail);

    are_found(&run, &answers).await;
    // 100 less 3 and 20 orders of 1 to 4.
    let (_, shown) =
        send(&run.http, Method::GET, "/v1/price-availability/SKU-1?quantity=1&account=C-1", None, &json!({}))
            .await;
    assert_eq!(shown["lines"][0]["availability"]["available"], "47", "{shown}");
    let (status, answer) = until_placed(&run, "after", "4").await;
    assert_eq!((status, answer["state"] != "rejected"), (201, true), "{answer}");

    other.stop().await.unwrap();

    // Nothing is to be recovered from nodes that follow their streams.
    let (done, _, said) = recover(&run.test, &[&run.node], &WHO).await;
    assert!(!done && said.contains("no node refuses its streams"), "{said}");
    run.node.stop().await.unwrap();
}

/// A node that is started again before anybody has recovered knows what it knew, though its last checkpoint is older.
#[tokio::test]
async fn orders_come_back_though_every_node_was_restarted() {
    let kept = tempfile::tempdir().unwrap();
    let keeping = |config: &mut pannier_node::Config| {
        config.node.name = "n1".to_owned();
        config.checkpoint.folder = kept.path().to_owned();
        config.checkpoint.interval = std::time::Duration::from_secs(3_600);
    };
    let (mut run, mut wms, ..) = checkout_with(keeping).await;
    wms.send(json!([stock("100")])).await;
    copy_store(&mut run).await;
    assert!(run.node.handle().ready().await);
    let answers = late_orders(&run).await;
    let before = run.node.handle().progress().borrow().applied.ledger;
    run.node.stop().await.unwrap();
    put_store_back(&mut run.test).await;

    let again = || {
        let mut again = config(&run.test.server.url());
        keeping(&mut again);
        again
    };
    let node = Node::start(again()).await.unwrap();
    let detail = refuses(&node).await;
    assert!(detail.contains("rolled back"), "{detail}");
    assert_eq!(node.handle().progress().borrow().applied.ledger, before);
    // One that knows nothing of what was lost must not promise the same stock again.
    until(&node, |shown| shown["members"][0]["member"]["lost_entries"] == true).await;
    let mut fresh = config(&run.test.server.url());
    fresh.node.name = "n2".to_owned();
    let fresh = Node::start(fresh).await.unwrap();
    assert!(fresh.handle().ready().await);
    let (status, answer) =
        send(&client(&fresh), Method::POST, "/v1/orders", Some("fresh"), &order("1")).await;
    assert_eq!(status, 503, "{answer}");
    assert!(answer["detail"].as_str().unwrap().contains("the ledger has lost"), "{answer}");
    fresh.stop().await.unwrap();
    let (done, shown, said) = recover(&run.test, &[&node], &WHO).await;
    assert!(done && shown["ledger_known_to"] == json!(before.0), "{shown} {said}");
    node.stop().await.unwrap();
    // What it kept ends with entries that are others now: it goes back to what it shares with the stream.
    let node = Node::start(again()).await.unwrap();
    let run = Running { http: client(&node), node, ..run };
    assert!(run.node.handle().ready().await, "{}", run.node.handle().progress().borrow().detail);
    are_found(&run, &answers).await;
    run.node.stop().await.unwrap();
}

/// Puts a copy of the broker's store aside.
async fn copy_store(run: &mut Running) {
    let (store, old) = (run.test.folder.path().join("store"), run.test.folder.path().join("old"));
    run.test.server.kill().await;
    copy(&store, &old).await;
    run.test.server.start_again().await.unwrap();
}

/// Puts the copy in the place of the store.
async fn put_store_back(test: &mut TestBroker) {
    let (store, old) = (test.folder.path().join("store"), test.folder.path().join("old"));
    test.server.kill().await;
    tokio::fs::remove_dir_all(&store).await.unwrap();
    tokio::fs::rename(&old, &store).await.unwrap();
    test.server.start_again().await.unwrap();
}

/// Twenty of 1 to 4: key, quantity and answer.
async fn late_orders(run: &Running) -> Vec<(String, String, Value)> {
    let mut answers = Vec::new();
    for at in 0..20 {
        let (key, quantity) = (format!("late-{at}"), (at % 4 + 1).to_string());
        let (status, answer) = until_placed(run, &key, &quantity).await;
        assert_eq!(status, 201, "{answer}");
        answers.push((key, quantity, answer));
    }
    answers
}

async fn are_found(run: &Running, answers: &[(String, String, Value)]) {
    for (key, quantity, answer) in answers {
        let id = answer["order"].as_str().unwrap();
        let (status, found) =
            send(&run.http, Method::GET, &format!("/v1/orders/{id}"), None, &json!({})).await;
        assert_eq!((status, told(&found)), (200, told(answer)), "{found}");
        let (status, again) = place(run, key, quantity).await;
        assert_eq!((status, told(&again)), (201, told(answer)), "{again}");
    }
}

/// As customers do: again with the same key while the broker is not back.
async fn until_placed(run: &Running, key: &str, quantity: &str) -> (u16, Value) {
    let placing = async {
        loop {
            let (status, answer) = place(run, key, quantity).await;
            if status != 503 && status != 202 {
                return (status, answer);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, placing).await.expect("orders are taken again")
}
