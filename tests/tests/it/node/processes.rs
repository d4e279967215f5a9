//! Orders on nodes that are processes of their own, while nodes and the broker are killed: what clients were told is
//! what stands, each order once.

use std::path::Path;
use std::time::Duration;

use futures_util::future::join_all;
use pannier::stage::NodeProcess;
use pannier_client::{Nodes, Options};
use pannier_protocol::api::{OrderAnswer, OrderRequest, OrderState};
use pannier_protocol::{IdempotencyKey, StreamSequence};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep, sleep_until};

use super::checkout::checkout;
use super::gate::{snapshot_end, snapshot_without_end};
use super::{PATIENCE, Publisher, Running, stock};

/// For one try, so that a client goes on to the next node while a broker is away.
const TRY: Duration = Duration::from_secs(8);

struct Deployment {
    running: Running,
    wms: Publisher,
    nodes: Vec<NodeProcess>,
}

impl Deployment {
    /// Nodes `p1`, `p2`... over a ledger with `on_hand` pieces of `SKU-1`.
    async fn start(count: usize, on_hand: &str) -> Self {
        let (running, mut wms) = checkout().await;
        wms.send(json!([stock(on_hand)])).await;
        let pannier = Path::new(env!("CARGO_BIN_EXE_pannier_under_test"));
        let (nats, folder) = (running.test.server.url(), running.test.folder.path());
        let start = |at: usize| NodeProcess::start(&format!("p{at}"), pannier, &nats, &[], folder).unwrap();
        let mut nodes: Vec<_> = (1..=count).map(start).collect();
        for node in &mut nodes {
            node.ready(PATIENCE).await.unwrap();
        }
        Self { running, wms, nodes }
    }

    fn client(&self) -> Nodes {
        let options = Options { deadline: TRY, ..Options::default() };
        Nodes::new(self.nodes.iter().map(NodeProcess::address), &options).unwrap()
    }

    /// What the shelf has left, on every node alike: their lookups wait for each other's positions.
    async fn left(&self, at_least: &str) -> Vec<String> {
        let left = self.nodes.iter().map(async |node| {
            let http = pannier_client::HttpClient::new(node.address(), Options::default()).unwrap();
            let path = format!("/v1/price-availability/SKU-1?quantity=1&at_least={at_least}");
            let answer: serde_json::Value =
                serde_json::from_slice(http.get(&path).await.unwrap().body()).unwrap();
            answer["lines"][0]["availability"]["available"].as_str().unwrap_or("-").to_owned()
        });
        join_all(left).await
    }

    async fn stop(self) {
        for node in self.nodes {
            node.stop().await.unwrap();
        }
        self.running.node.stop().await.unwrap();
    }
}

/// Three pieces, under a purchase order of its own.
fn order(key: &IdempotencyKey) -> OrderRequest {
    let line = json!({"line": "1", "item": "SKU-1", "quantity": "3", "uom": "EA"});
    let order = json!({"account": "C-1", "purchase_order": format!("PO-{key}"), "lines": [line]});
    serde_json::from_value(order).unwrap()
}

fn key(text: String) -> IdempotencyKey {
    IdempotencyKey::new(&text).unwrap()
}

/// Places an order on the nodes, beginning with the one of that number.
async fn place(client: &Nodes, at: usize, key: &IdempotencyKey) -> OrderAnswer {
    client.beginning_with(at).place_order(key, &order(key), PATIENCE).await.unwrap()
}

fn is_accepted(answer: &OrderAnswer) -> bool {
    matches!(answer.state, OrderState::Accepted | OrderState::Dispatched)
}

/// Everybody who asks again is told the same, on whichever node, and the stock is what the answers say.
async fn check(deployment: &Deployment, on_hand: i64, answers: &[(IdempotencyKey, OrderAnswer)]) {
    let client = deployment.client();
    for (at, (key, answer)) in answers.iter().enumerate() {
        let again = place(&client, at, key).await;
        assert_eq!((again.order, &again.lines), (answer.order, &answer.lines), "{key}");
    }
    let accepted = answers.iter().filter(|(_, answer)| is_accepted(answer)).count();
    let left = on_hand - 3 * i64::try_from(accepted).unwrap();
    assert!(left >= 0, "{accepted} orders of 3 from a shelf of {on_hand}");
    let newest = answers.iter().map(|(_, answer)| &answer.as_of).max_by_key(|as_of| as_of.ledger).unwrap();
    let left = left.to_string();
    assert_eq!(deployment.left(&newest.to_string()).await, vec![left; deployment.nodes.len()]);
}

#[tokio::test]
async fn three_nodes_never_promise_the_last_units_twice() {
    let deployment = Deployment::start(3, "10").await;
    let client = deployment.client();
    let placing = (0..64).map(|at| {
        let client = &client;
        async move {
            let key = key(format!("last-{at}"));
            let answer = place(client, at, &key).await;
            (key, answer)
        }
    });
    let answers = join_all(placing).await;
    let accepted = answers.iter().filter(|(_, answer)| is_accepted(answer)).count();
    let rejected = answers.iter().filter(|(_, answer)| answer.state == OrderState::Rejected).count();
    assert_eq!((accepted, rejected), (3, 61));
    check(&deployment, 10, &answers).await;
    deployment.stop().await;
}

/// Each round all orders are under way when a node is killed, at another moment of their lives.
#[tokio::test]
async fn a_node_killed_between_commit_and_answer_loses_and_doubles_nothing() {
    let mut deployment = Deployment::start(2, "1000").await;
    let client = deployment.client();
    let mut answers = Vec::new();
    for round in 0..6 {
        let placing = (0..24).map(|at| {
            let (client, key) = (client.clone(), key(format!("killed-{round}-{at}")));
            tokio::spawn(async move {
                let answer = place(&client, at, &key).await;
                (key, answer)
            })
        });
        let placing: Vec<_> = placing.collect();
        let victim = &mut deployment.nodes[round % 2];
        // Not a wait for something: how far the orders get is what is varied.
        sleep(Duration::from_millis((round * round) as u64)).await;
        victim.process().kill().await.unwrap();
        for placed in placing {
            answers.push(placed.await.unwrap());
        }
        victim.process().start_again().unwrap();
        victim.ready(PATIENCE).await.unwrap();
    }
    assert!(answers.iter().all(|(_, answer)| is_accepted(answer)), "the shelf has enough for all");
    check(&deployment, 1_000, &answers).await;
    deployment.stop().await;
}

#[tokio::test]
async fn a_broker_restarted_under_load_loses_and_doubles_nothing() {
    let mut deployment = Deployment::start(2, "1000").await;
    let client = deployment.client();
    let placing = (0..120).map(|at| {
        let (client, key) = (client.clone(), key(format!("restart-{at}")));
        tokio::spawn(async move {
            sleep(Duration::from_millis(10 * at as u64)).await;
            let answer = place(&client, at, &key).await;
            (key, answer)
        })
    });
    let placing: Vec<_> = placing.collect();
    for pause in [250, 350] {
        sleep(Duration::from_millis(pause)).await;
        deployment.running.test.server.restart().await.unwrap();
    }
    let answers: Vec<_> = join_all(placing).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|(_, answer)| is_accepted(answer)), "the shelf has enough for all");
    check(&deployment, 1_000, &answers).await;
    deployment.stop().await;
}

/// Half of what a source says again is in the node's memory alone when it is killed.
#[tokio::test]
async fn a_node_killed_during_a_resync_comes_to_the_same_tables() {
    let mut deployment = Deployment::start(2, "90").await;
    let shared = StreamSequence(0);
    let (half, hash) = snapshot_without_end(&mut deployment.wms, stock("50")).await;
    let at_half = deployment.running.as_of(half, shared).to_string();
    assert_eq!(deployment.left(&at_half).await, ["90", "90"]);
    let victim = &mut deployment.nodes[0];
    victim.process().kill().await.unwrap();
    victim.process().start_again().unwrap();
    victim.ready(PATIENCE).await.unwrap();
    assert_eq!(deployment.left(&at_half).await, ["90", "90"]);
    let end = deployment.wms.send(snapshot_end(&hash)).await;
    let at_end = deployment.running.as_of(end, shared).to_string();
    assert_eq!(deployment.left(&at_end).await, ["50", "50"]);
    deployment.stop().await;
}

/// The broker stands still with an order in its socket for longer than orders may wait for their verdict.
#[tokio::test]
async fn an_order_that_is_stored_too_late_is_judged_expired() {
    let deployment = Deployment::start(1, "10").await;
    let client = deployment.client();
    place(&client, 0, &key("before".to_owned())).await;
    let broker = Pid::from_raw(deployment.running.test.server.pid().try_into().unwrap()).unwrap();
    kill_process(broker, Signal::STOP).unwrap();
    let stands_still_until = Instant::now() + Duration::from_secs(31);
    let late = key("late".to_owned());
    let pending = client.place_order(&late, &order(&late), Duration::from_millis(1)).await.unwrap();
    assert_eq!(pending.state, OrderState::Pending, "nobody says that it failed");
    sleep_until(stands_still_until).await;
    kill_process(broker, Signal::CONT).unwrap();
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(place(&client, 0, &late).await.state);
    }
    assert_eq!(told, [OrderState::Expired, OrderState::Expired], "and that is final");
    let after = place(&client, 0, &key("after".to_owned())).await;
    assert!(is_accepted(&after), "{after:?}");
    assert_eq!(deployment.left(&after.as_of.to_string()).await, ["4"]);
    deployment.stop().await;
}
