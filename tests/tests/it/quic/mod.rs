//! Checkout over QUIC: a real node, real streams, certificates of an authority of the test.

mod refused;

use std::path::{Path, PathBuf};
use std::time::Duration;

use pannier::stage::NodeProcess;
use pannier_client::{CallError, HttpClient, Nodes, Options, QuicClient, SendError};
use pannier_node::Config;
use pannier_protocol::api::{LookupAnswer, LookupRequest, OrderRequest, OrderState};
use pannier_protocol::frame::RequestHead;
use pannier_protocol::{Encoding, IdempotencyKey};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::node::checkout::{checkout_with, order, send};
use crate::node::{PATIENCE, Running, stock};
use pannier::stage::Authority;

const NAME: &str = "localhost";

/// The authority of a deployment, and a certificate of it on disk.
pub(crate) struct Certified {
    pub(crate) authority: Authority,
    folder: TempDir,
    certificate: PathBuf,
    key: PathBuf,
}

impl Certified {
    fn new() -> Self {
        Self::of(NAME)
    }

    /// For nodes that are known by this name, or number.
    pub(crate) fn of(name: &str) -> Self {
        let (authority, folder) = (Authority::new("ours").unwrap(), tempfile::tempdir().unwrap());
        let issued = authority.issue(name).unwrap();
        let [certificate, key] = ["node.pem", "node.key"].map(|name| folder.path().join(name));
        std::fs::write(&certificate, issued.certificate_pem()).unwrap();
        std::fs::write(&key, issued.key_pem()).unwrap();
        Self { authority, folder, certificate, key }
    }

    /// Gives its state to nodes that start, and takes it from them.
    pub(crate) fn peering(&self) -> impl FnOnce(&mut Config) + use<> {
        let (listening, authority) = (self.listening(), self.folder.path().join("authority.pem"));
        std::fs::write(&authority, self.authority.pem()).unwrap();
        move |config| {
            listening(config);
            config.quic.authority = authority;
        }
    }

    fn listening(&self) -> impl FnOnce(&mut Config) + use<> {
        let (certificate, key) = (self.certificate.clone(), self.key.clone());
        move |config| {
            config.quic.listen.set_port(0);
            (config.quic.certificate, config.quic.key) = (certificate, key);
        }
    }

    fn options(&self) -> Options {
        let authority = Some(self.authority.pem().into_bytes());
        Options { authority, deadline: PATIENCE, ..Options::default() }
    }
}

fn address(run: &Running) -> String {
    format!("quic://{NAME}:{}", run.node.quic_addr().unwrap().port())
}

fn lookup(quantity: &str) -> LookupRequest {
    let line = json!({"line": "1", "item": "SKU-1", "quantity": quantity});
    serde_json::from_value(json!({"account": "C-1", "lines": [line]})).unwrap()
}

fn placed(quantity: &str) -> OrderRequest {
    serde_json::from_value(order(quantity)).unwrap()
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

/// Without what differs from call to call.
fn told(answer: &LookupAnswer) -> Value {
    let mut told = serde_json::to_value(answer).unwrap();
    for line in told["lines"].as_array_mut().unwrap() {
        line["freshness"] = Value::Null;
    }
    told["sources"] = Value::Null;
    told["pricing_date"] = Value::Null;
    told
}

#[tokio::test]
async fn answers_are_those_of_http() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(certified.listening()).await;
    let quic = QuicClient::new(&address(&run), certified.options()).unwrap();
    let packed = Options { encoding: Encoding::MessagePack, ..Options::default() };
    let http = HttpClient::new(run.http.address(), packed).unwrap();
    for quantity in ["1", "3", "12"] {
        let answer = quic.lookup(&lookup(quantity)).await.unwrap();
        assert_eq!(told(&answer), told(&http.lookup(&lookup(quantity)).await.unwrap()));
    }
    let answer = quic.place_order(&key("k1"), &placed("3")).await.unwrap();
    assert!(matches!(answer.state, OrderState::Accepted | OrderState::Dispatched), "{answer:?}");
    let again = http.place_order(&key("k1"), &placed("3")).await.unwrap();
    assert_eq!((again.order, &again.lines), (answer.order, &answer.lines), "one order by both ways");
    assert_eq!(quic.order(&answer.order).await.unwrap().order, answer.order);

    // Refusals too, with what belongs to them.
    let other = placed("4");
    let [over_quic, over_http] = [
        quic.place_order(&key("k1"), &other).await.unwrap_err(),
        http.place_order(&key("k1"), &other).await.unwrap_err(),
    ];
    assert_eq!(over_quic.to_string(), over_http.to_string());
    assert!(matches!(over_quic, CallError::Problem { .. }), "{over_quic:?}");
    let head = |method: &str, path: &str| RequestHead {
        method: method.to_owned(),
        path: path.to_owned(),
        correlation_id: Some("cart-1".to_owned()),
        ..RequestHead::default()
    };
    let (told, _) = quic.send(&head("GET", "/nowhere"), b"").await.unwrap();
    assert_eq!((told.status, told.correlation_id.as_deref()), (404, Some("cart-1")));
    let (told, _) = quic.send(&head("DELETE", "/v1/orders"), b"").await.unwrap();
    assert_eq!((told.status, told.allow.as_deref()), (405, Some("POST")));
    let (told, _) = quic.send(&head("GET", "/v1/price-availability/SKU-1?quantity=1"), b"").await.unwrap();
    assert_eq!(told.status, 200);
    assert!(run.metrics().await.contains("pannier_quic_connections_count 1"), "all on one connection");
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn many_streams_go_on_beside_each_other() {
    let certified = Certified::new();
    let (run, mut wms, ..) = checkout_with(certified.listening()).await;
    wms.send(json!([stock("1000")])).await;
    let quic = QuicClient::new(&address(&run), certified.options()).unwrap();
    // More than a connection may have under way: the rest waits for its turn.
    let asking = (0..600).map(|at| {
        let quic = quic.clone();
        async move {
            match at % 10 {
                0 => quic.place_order(&key(&format!("many-{at}")), &placed("1")).await.map(drop),
                _ => quic.lookup(&lookup("2")).await.map(drop),
            }
        }
    });
    let outcomes = futures_util::future::join_all(asking).await;
    let refused: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    let is_busy = |error: &CallError| error.to_string().starts_with("too_many_requests");
    assert!(refused.iter().all(is_busy), "{refused:?}");
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn a_node_that_stops_finishes_what_is_under_way() {
    let certified = Certified::new();
    let listening = |config: &mut Config| {
        certified.listening()(config);
        config.lookup.at_least_wait = Duration::from_secs(1);
    };
    let (run, ..) = checkout_with(listening).await;
    let quic = QuicClient::new(&address(&run), certified.options()).unwrap();
    quic.lookup(&lookup("1")).await.unwrap();
    let hasty = Options { deadline: Duration::from_millis(500), ..certified.options() };
    let hasty = QuicClient::new(&address(&run), hasty).unwrap();
    // Waits in the node, for a position that the ledger reaches once something is published.
    let end = run.node.handle().progress().borrow().applied.ledger;
    let mut waiting = lookup("1");
    let next = pannier_protocol::StreamSequence(end.0 + 1);
    waiting.at_least = Some(run.as_of(next, pannier_protocol::StreamSequence(0)));
    let asked = tokio::spawn({
        let quic = quic.clone();
        async move { quic.lookup(&waiting).await }
    });
    let metrics = async || run.metrics().await.contains("pannier_lookup_waiting_count 1");
    while !asked.is_finished() && !metrics().await {
        tokio::task::yield_now().await;
    }
    let stopping = run.node.handle();
    stopping.stop();
    let outcome = asked.await.unwrap();
    // Either it was answered, or told that it cannot be: never cut.
    assert!(matches!(&outcome, Ok(_) | Err(CallError::Problem { .. })), "{outcome:?}");
    run.node.run().await.unwrap();
    let error = hasty.lookup(&lookup("1")).await.unwrap_err();
    assert!(error.is_passing(), "{error:?}");
}

/// By QUIC first; the rest as over HTTP.
#[tokio::test]
async fn the_next_node_answers_where_one_was_killed() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(certified.listening()).await;
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (listen, folder) = (free.to_string(), run.test.folder.path().to_owned());
    let own = [
        ("PANNIER_QUIC__LISTEN", listen.as_str()),
        ("PANNIER_QUIC__CERTIFICATE", certified.certificate.to_str().unwrap()),
        ("PANNIER_QUIC__KEY", certified.key.to_str().unwrap()),
    ];
    let pannier = Path::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    let mut killed = NodeProcess::start("q1", pannier, &run.test.server.url(), &own, &folder).unwrap();
    killed.ready(PATIENCE).await.unwrap();
    let options = Options { deadline: Duration::from_secs(2), ..certified.options() };
    let first = format!("quic://{NAME}:{}", free.port());
    let nodes = Nodes::new([first.as_str(), address(&run).as_str()], &options).unwrap();
    nodes.place_order(&key("k1"), &placed("1"), PATIENCE).await.unwrap();
    killed.process().kill().await.unwrap();
    let answer = nodes.place_order(&key("k1"), &placed("1"), PATIENCE).await.unwrap();
    let (_, shown) =
        send(&run.http, http::Method::GET, &format!("/v1/orders/{}", answer.order), None, &json!({})).await;
    assert_eq!(shown["order"], answer.order.to_string());
    nodes.lookup(&lookup("1"), PATIENCE).await.unwrap();
    run.node.stop().await.unwrap();
}

/// Whose certificate is of another authority, or of another name, is no node of ours.
#[tokio::test]
async fn only_a_certified_node_is_asked() {
    let certified = Certified::new();
    let (run, ..) = checkout_with(certified.listening()).await;
    let stranger = Options {
        authority: Some(Authority::new("other").unwrap().pem().into_bytes()),
        ..certified.options()
    };
    let by_number = address(&run).replace(NAME, "127.0.0.1");
    for (address, options) in [(address(&run), stranger), (by_number, certified.options())] {
        let error = QuicClient::new(&address, options).unwrap().lookup(&lookup("1")).await.unwrap_err();
        assert!(matches!(&error, CallError::Send(SendError::Unreachable { .. })), "{error:?}");
    }
    let error = QuicClient::new(&address(&run), Options::default()).unwrap_err().to_string();
    assert!(error.contains("the PEM of the authority"), "{error}");
    run.node.stop().await.unwrap();
}
