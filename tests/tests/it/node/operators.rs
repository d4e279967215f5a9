//! Operators over HTTP, on two nodes that share one ledger: what they see, and what becomes of what they decide.

use futures_util::StreamExt;
use futures_util::future::join_all;
use http::Method;
use pannier_client::{HttpClient, Options};
use pannier_node::Node;
use pannier_protocol::StreamSequence;
use serde_json::{Value, json};

use super::checkout::{checkout, dispatch, place, second_node, send};
use super::{PATIENCE, Publisher, Running, stock};

/// A checkout with orders `k1` (4 pieces), `k2` (2 pieces) and `k3` (1 piece).
struct Operated {
    running: Running,
    wms: Publisher,
    orders: Vec<String>,
    operators: HttpClient,
}

pub(crate) fn operators(node: &Node) -> HttpClient {
    let options = Options { deadline: PATIENCE, ..Options::default() };
    HttpClient::new(&format!("http://{}", node.operator_addr()), options).unwrap()
}

async fn operated() -> Operated {
    let (running, wms) = checkout().await;
    let mut orders = Vec::new();
    for (key, quantity) in [("k1", "4"), ("k2", "2"), ("k3", "1")] {
        let (status, placed) = place(&running.http, key, quantity).await;
        assert_eq!((status, &placed["state"]), (201, &json!("accepted")), "{placed}");
        orders.push(placed["order"].as_str().unwrap().to_owned());
    }
    let operators = operators(&running.node);
    Operated { running, wms, orders, operators }
}

impl Operated {
    async fn get(&self, path: &str) -> Value {
        let response = self.operators.get(&format!("/v1/operator/{path}")).await.unwrap();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 200, "{path}: {body}");
        body
    }

    async fn passed(&self, position: StreamSequence) {
        self.running.wait_for(|snapshot| snapshot.applied.ledger >= position).await;
    }

    /// The first order is a dead letter of its backend.
    async fn kill_first(&self) -> Publisher {
        let mut erp = self.running.publisher("ledger.event.erp").await;
        let failed = json!({"order": self.orders[0], "generation": 1, "class": "poison", "reason": "no postal code",
                            "attempts": 1});
        let position = erp.send(json!([{"event": {"failed": failed}}])).await;
        self.passed(position).await;
        erp
    }
}

pub(crate) async fn act(http: &HttpClient, path: &str, key: &str, body: &Value) -> (u16, Value) {
    send(http, Method::POST, &format!("/v1/operator/{path}"), Some(key), body).await
}

#[tokio::test]
async fn a_dead_letter_is_found_edited_and_sent_again_once() {
    let operated = operated().await;
    operated.kill_first().await;
    let (node, http) = second_node(&operated.running).await;
    drop(http);
    let other = operators(&node);
    let order = &operated.orders[0];

    let queue = operated.get("orders?state=dead_lettered&backend=erp").await;
    assert_eq!(queue["orders"][0]["order"], json!(order), "{queue}");
    let generation = &queue["orders"][0]["generation"];
    let edit = json!({"closes": generation, "set": {"ship_to_address": "5 Elm St, 75201"}, "by": "jane",
                      "reason": "postal code added"});
    let path = format!("orders/{order}/edit");
    let (status, edited) = act(&operated.operators, &path, "a1", &edit).await;
    let detail = "edited (ship_to_address) by jane: postal code added";
    assert_eq!(
        (status, &edited["outcome"], &edited["detail"]),
        (200, &json!("changed"), &json!(detail)),
        "{edited}"
    );
    // The same act again, at a node that may not have seen the first one yet.
    let (status, again) = act(&other, &path, "a1", &edit).await;
    assert_eq!((status, &again["detail"], &again["position"]), (200, &json!(detail), &edited["position"]));
    let mut reused = edit.clone();
    reused["reason"] = json!("another");
    let (status, refused) = act(&other, &path, "a1", &reused).await;
    assert_eq!((status, &refused["code"]), (422, &json!("key_reused")));

    let dispatch = dispatch(&operated.running, order, 2).await;
    assert_eq!(dispatch.facts.ship_to_address.as_deref(), Some("5 Elm St, 75201"));

    let whole = operated.get(&format!("orders/{order}")).await;
    assert_eq!(whole["placed_facts"]["ship_to_address"], Value::Null, "the original is kept");
    assert_eq!(whole["facts"]["ship_to_address"], json!("5 Elm St, 75201"));
    let steps: Vec<&str> =
        whole["steps"].as_array().unwrap().iter().map(|step| step["what"].as_str().unwrap()).collect();
    assert!(steps.contains(&"refused by the backend after 1 attempts: no postal code"), "{steps:?}");
    assert!(steps.contains(&detail), "{steps:?}");

    // What comes too late is no error, and says why nothing came of it.
    let (status, late) = act(&other, &path, "a2", &edit).await;
    assert_eq!((status, &late["outcome"]), (200, &json!("ignored")), "{late}");
    let (status, unknown) =
        act(&other, "orders/3m5h9q2k7c0000000000000001/approve", "a3", &json!({"by": "jane", "reason": "?"}))
            .await;
    assert_eq!((status, &unknown["code"]), (404, &json!("unknown_order")));
    node.stop().await.unwrap();
    operated.running.node.stop().await.unwrap();
}

/// Acts of two nodes at once: the broker refuses the later of two, which is offered again behind it.
#[tokio::test]
async fn acts_at_once_are_all_carried_out() {
    let operated = operated().await;
    let (node, _http) = second_node(&operated.running).await;
    let other = operators(&node);
    let acts = (0..12).map(|at| {
        let http = if at % 2 == 0 { &operated.operators } else { &other };
        let release = json!({"by": "jane", "reason": format!("count {at}")});
        let path = format!("orders/{}/release", operated.orders[at % 3]);
        async move { act(http, &path, &format!("r{at}"), &release).await }
    });
    for (status, answer) in join_all(acts).await {
        assert_eq!((status, &answer["outcome"]), (200, &json!("changed")), "{answer}");
    }
    node.stop().await.unwrap();
    operated.running.node.stop().await.unwrap();
}

#[tokio::test]
async fn queues_sources_and_backlogs_are_shown() {
    let mut operated = operated().await;
    operated.kill_first().await;
    let (mut listed, mut query) = (Vec::new(), "orders?account=C-1&limit=2".to_owned());
    loop {
        let page = operated.get(&query).await;
        listed.extend(
            page["orders"].as_array().unwrap().iter().map(|it| it["order"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        query = format!("orders?account=C-1&limit=2&cursor={next}");
    }
    assert_eq!(listed, operated.orders);

    let backlog = operated.get("dispatch").await;
    assert_eq!(
        (&backlog["backends"][0]["backend"], &backlog["backends"][0]["dead_lettered_count"]),
        (&json!("erp"), &json!(1))
    );
    let sources = operated.get("sources").await;
    let chains = sources["chains"].as_array().unwrap();
    let wms = chains.iter().find(|chain| chain["subject"] == "ledger.stock.wms-1").unwrap();
    assert_eq!((&wms["loaded"], wms.get("suspect")), (&json!(true), None), "{wms}");

    assert_eq!(operated.get("overcommits").await["cells"], json!([]));
    let position = operated.wms.send(json!([stock("3")])).await;
    operated.passed(position).await;
    let overcommits = operated.get("overcommits").await;
    let cell = &overcommits["cells"][0];
    assert_eq!(
        (&cell["item"], &cell["warehouse"], &cell["orders_count"]),
        (&json!("SKU-1"), &json!("DAL"), &json!(3))
    );

    // A gap, with its reason.
    operated.passed(operated.wms.send_as(90, json!([stock("3")])).await).await;
    let sources = operated.get("sources").await;
    let chains = sources["chains"].as_array().unwrap();
    let wms = chains.iter().find(|chain| chain["subject"] == "ledger.stock.wms-1").unwrap();
    assert_eq!(wms["suspect"], json!("messages are missing"));

    // The alarm of the dead letter is published, and then the ledger says so.
    let mut progress = operated.running.node.handle().progress();
    let review = loop {
        progress.mark_unchanged();
        let review = operated.get("review?kind=order&limit=1").await;
        if review["entries"] != json!([]) {
            break review;
        }
        tokio::time::timeout(PATIENCE, progress.changed()).await.expect("it is published").unwrap();
    };
    assert_eq!(review["entries"][0]["entry"]["order"], json!(operated.orders[0]), "{review}");
    operated.running.node.stop().await.unwrap();
}

#[tokio::test]
async fn rules_are_tried_and_then_put_in_force() {
    let operated = operated().await;
    let rules = json!({"rules": [{"warehouse": "DAL", "backend": "erp-dal"}], "by": "jane", "reason": "Dallas moves"});
    let put = async |query: &str, key: &str| {
        let path = format!("/v1/operator/routing{query}");
        send(&operated.operators, Method::PUT, &path, Some(key), &rules).await
    };
    let (status, tried) = put("?dry_run=true", "a1").await;
    let route =
        json!({"from": "erp", "to": "erp-dal", "orders_count": 3, "open_count": 3, "first": operated.orders});
    assert_eq!((status, &tried["routes"]), (200, &json!([route])));
    assert_eq!(operated.get("routing").await["by"], json!("jane"));
    assert_eq!(operated.get("routing").await["reason"], json!("one ERP"), "nothing was written");
    let (status, answer) = put("", "a1").await;
    assert_eq!((status, &answer["outcome"]), (200, &json!("changed")), "{answer}");
    let in_force = operated.get("routing").await;
    assert_eq!((&in_force["rules"], &in_force["position"]), (&rules["rules"], &answer["position"]));
    operated.running.node.stop().await.unwrap();
}

/// Rows that a human does not trust are counted, condemned on every node, and trusted again once they are sent anew.
#[tokio::test]
async fn what_is_invalidated_is_not_served_until_it_is_sent_anew() {
    let mut operated = operated().await;
    let (node, other) = second_node(&operated.running).await;
    let invalidate = json!({"scope": {"item": "SKU-1"}, "mode": "hard", "subjects": ["ledger.stock.wms-1"], "by": "jane",
                            "reason": "the shelf was moved"});
    let client = operated.running.test.broker.client();
    let mut resync = client.subscribe("pna.v1.resync.wms-1").await.unwrap();
    let mut resync_erp = client.subscribe("pna.v1.resync.erp-1").await.unwrap();
    client.flush().await.unwrap();

    let all = json!({"scope": {"item": "SKU-1"}, "mode": "hard", "by": "jane", "reason": "?"});
    for (request, want) in [
        (&invalidate, json!([["ledger.stock.wms-1", 1]])),
        // The item itself and its price.
        (&all, json!([["ledger.stock.wms-1", 1], ["catalog.shared.erp-1", 2]])),
    ] {
        let (status, tried) =
            send(&operated.operators, Method::POST, "/v1/operator/invalidate?dry_run=true", None, request)
                .await;
        let chains = tried["chains"].as_array().unwrap();
        let chains: Vec<_> = chains.iter().map(|it| json!([it["subject"], it["rows_count"]])).collect();
        assert_eq!((status, json!(chains)), (200, want), "{tried}");
    }

    let (status, done) = act(&operated.operators, "invalidate", "i1", &invalidate).await;
    let detail = "item SKU-1 of 1 chains: not served until sent anew, by jane: the shelf was moved";
    assert_eq!((status, &done["outcome"], &done["detail"]), (200, &json!("changed"), &json!(detail)));
    let at = done["as_of"].as_str().unwrap();
    let status_at = async |http: &HttpClient, at: &str| {
        let path = format!("/v1/price-availability/SKU-1?quantity=1&at_least={at}");
        let answer: Value = serde_json::from_slice(http.get(&path).await.unwrap().body()).unwrap();
        answer["lines"][0]["status"].as_str().unwrap().to_owned()
    };
    for http in [&operated.running.http, &other] {
        assert_eq!(status_at(http, at).await, "invalidated");
    }
    let asked = tokio::time::timeout(PATIENCE, resync.next()).await.unwrap().unwrap();
    assert_eq!(&asked.payload[..], b"ledger.stock.wms-1", "its source is asked, by the node itself");

    let position = operated.wms.send(json!([stock("10")])).await;
    let at = operated.running.as_of(position, StreamSequence(0)).to_string();
    for http in [&operated.running.http, &other] {
        assert_eq!(status_at(http, &at).await, "ok");
    }
    // And by whoever wants to.
    let again = json!({"subjects": ["catalog.shared.erp-1"], "by": "jane", "reason": "?"});
    let (status, answer) = send(&operated.operators, Method::POST, "/v1/operator/resync", None, &again).await;
    assert_eq!((status, answer), (202, json!({"asked": ["catalog.shared.erp-1"]})));
    let asked = tokio::time::timeout(PATIENCE, resync_erp.next()).await.unwrap().unwrap();
    assert_eq!(&asked.payload[..], b"catalog.shared.erp-1");
    node.stop().await.unwrap();
    operated.running.node.stop().await.unwrap();
}
