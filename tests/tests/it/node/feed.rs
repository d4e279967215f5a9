//! What happens to the streams under a node.

use futures_util::TryStreamExt;
use pannier_node::progress::State;
use pannier_node::{Failure, Node};
use pannier_protocol::subject::Prefix;
use pannier_streams::Streams;
use pannier_streams::config::init;
use pannier_tests::TestBroker;
use serde_json::json;

use super::{Running, config, stock};

#[tokio::test]
async fn a_change_is_seen_by_the_lookup_that_asks_for_it() {
    let run = Running::start().await;
    let (_, mut wms, at) = run.load_item().await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    let at = run.as_of(wms.send(json!([stock("3")])).await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 3");
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_started_later_reads_from_the_beginning() {
    let run = Running::start().await;
    let (_, _, at) = run.load_item().await;
    let first = run.ask(&at).await;
    run.node.stop().await.unwrap();
    let node = Node::start(config(&run.test.server.url())).await.unwrap();
    assert!(node.handle().ready().await);
    let run = Running { http: super::client(&node), node, ..run };
    let again = run.ask(&at).await;
    assert_eq!(again["lines"][0]["price"], first["lines"][0]["price"]);
    assert_eq!(again["as_of"], first["as_of"]);
}

#[tokio::test]
async fn lookups_go_on_while_nats_is_down_and_changes_when_it_is_back() {
    let mut run = Running::start().await;
    let (_, mut wms, at) = run.load_item().await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    run.test.server.kill().await;
    run.wait_for(|snapshot| !snapshot.connected).await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    assert_eq!(run.http.get("/readyz").await.unwrap().status(), 200);
    run.test.server.start_again().await.unwrap();
    run.wait_for(|snapshot| snapshot.connected).await;
    run.test.broker = run.test.connect().await;
    wms.context = run.test.broker.context().clone();
    let at = run.as_of(wms.send(json!([stock("3")])).await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 3");
}

#[tokio::test]
async fn consumers_deleted_under_the_node_are_made_again() {
    let run = Running::start().await;
    let (_, mut wms, at) = run.load_item().await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    for name in [&run.streams.ledger, &run.streams.catalog] {
        let stream = run.test.broker.context().get_stream(name).await.unwrap();
        let consumers: Vec<String> = stream.consumer_names().try_collect().await.unwrap();
        assert_eq!(consumers.len(), 1);
        for consumer in consumers {
            stream.delete_consumer(&consumer).await.unwrap();
        }
    }
    let at = run.as_of(wms.send(json!([stock("3")])).await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 3");
    assert!(run.metrics().await.contains("pannier_consumer_restarts_total{stream=\"ledger\"} "));
}

#[tokio::test]
async fn a_node_may_start_before_its_nats() {
    let (mut test, _) = TestBroker::start_with_streams().await;
    test.server.kill().await;
    let node = Node::start(config(&test.server.url())).await.unwrap();
    let http = super::client(&node);
    assert_eq!(http.get("/healthz").await.unwrap().status(), 200);
    assert_eq!(http.get("/readyz").await.unwrap().status(), 503);
    assert_eq!(node.handle().progress().borrow().state, State::Starting);
    test.server.start_again().await.unwrap();
    assert!(node.handle().ready().await);
    assert_eq!(http.get("/readyz").await.unwrap().status(), 200);
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_creates_no_streams_and_ends_without_them() {
    let test = TestBroker::start().await;
    let node = Node::start(config(&test.server.url())).await.unwrap();
    let Err(Failure::Failed { task, reason }) = node.run().await else { panic!("the node goes on") };
    assert_eq!(task, "feed");
    assert!(reason.contains("`pannier init`"), "{reason}");
    let streams: Vec<String> = test.broker.context().stream_names().try_collect().await.unwrap();
    assert_eq!(streams, Vec::<String>::new());
}

#[tokio::test]
async fn streams_made_anew_are_refused() {
    let run = Running::start().await;
    let (_, _, at) = run.load_item().await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    let Streams { ledger, catalog, dispatch, history, .. } = &run.streams;
    for name in [ledger, catalog, dispatch, history] {
        run.test.broker.context().delete_stream(name).await.unwrap();
    }
    init(&run.test.broker, &Prefix::default(), 1).await.unwrap();
    let detail = run.refusal().await;
    assert!(detail.contains("made anew; restart the node"), "{detail}");
}

#[tokio::test]
async fn a_deleted_stream_is_refused() {
    let run = Running::start().await;
    run.load_item().await;
    run.test.broker.context().delete_stream(&run.streams.catalog).await.unwrap();
    let detail = run.refusal().await;
    assert!(detail.contains("PNA_CATALOG was deleted; restore the stream"), "{detail}");
}

#[tokio::test]
async fn a_message_of_a_newer_build_stops_the_feed_and_says_so() {
    let run = Running::start().await;
    let (_, mut wms, at) = run.load_item().await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    wms.put(r#"{"version":2,"something":"new"}"#).await;
    let detail = run.refusal().await;
    assert!(detail.contains("upgrade this node"), "{detail}");
    wms.send(json!([stock("3")])).await;
    run.node.stop().await.unwrap();
}
