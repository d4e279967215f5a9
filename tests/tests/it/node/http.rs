//! Sockets: slow, silent, greedy and vanished clients.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pannier_protocol::StreamSequence;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{PATIENCE, Running};

const SHORT: Duration = Duration::from_millis(50);
const BASKET: &str = r#"{"account":null,"lines":[{"line":"1","item":"SKU-1","quantity":"1"}]}"#;

impl Running {
    /// Sends these bytes on a connection of their own.
    async fn send(&self, bytes: &str) -> TcpStream {
        send_to(self.node.http_addr(), bytes).await
    }
}

async fn send_to(address: SocketAddr, bytes: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes.as_bytes()).await.unwrap();
    stream
}

fn head(content_length: usize) -> String {
    format!("POST /v1/price-availability HTTP/1.1\r\nhost: x\r\ncontent-length: {content_length}\r\n\r\n")
}

/// What comes until the node closes the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the node closes").unwrap();
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn silent_and_slow_heads_are_closed() {
    let run = Running::start_with(|config| config.http.header_timeout = SHORT).await;
    for address in [run.node.http_addr(), run.node.operator_addr()] {
        for begun in ["", "PRI * HT", "GET /healthz HTTP/1.1\r\nhost"] {
            let answered = rest(send_to(address, begun).await).await;
            assert!(answered.is_empty() || answered.starts_with("HTTP/1.1 408"), "{begun:?}: {answered}");
        }
    }
}

/// The operators' listener trusts its clients no more.
#[tokio::test]
async fn slow_and_large_acts_are_refused() {
    let run = Running::start_with(|config| config.http.body_timeout = SHORT).await;
    let act = |content_length: usize| {
        format!(
            "POST /v1/operator/orders/3m5h9q2k7c0000000000000001/approve HTTP/1.1\r\nhost: x\r\n\
             content-type: application/json\r\nidempotency-key: a\r\ncontent-length: {content_length}\r\n\r\n"
        )
    };
    let slow = rest(send_to(run.node.operator_addr(), &format!("{}{{", act(100))).await).await;
    assert!(slow.starts_with("HTTP/1.1 400") && slow.contains("did not arrive within 50 ms"), "{slow}");
    let large = rest(send_to(run.node.operator_addr(), &act(512 * 1024 + 1)).await).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("too_large"), "{large}");
}

#[tokio::test]
async fn slow_and_large_bodies_are_refused() {
    let run = Running::start_with(|config| config.http.body_timeout = SHORT).await;
    let slow = rest(run.send(&format!("{}{{", head(100))).await).await;
    assert!(slow.starts_with("HTTP/1.1 400") && slow.contains("did not arrive within 50 ms"), "{slow}");
    let large = rest(run.send(&head(512 * 1024 + 1)).await).await;
    assert!(large.starts_with("HTTP/1.1 413") && large.contains("too_large"), "{large}");
    let chunked = "POST /v1/price-availability HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{chunked}{:x}\r\n{}\r\n", 512 * 1024 + 1, " ".repeat(512 * 1024 + 1));
    let large = rest(run.send(&chunk).await).await;
    assert!(large.starts_with("HTTP/1.1 413"), "{large}");
}

#[tokio::test]
async fn http2_is_served_on_the_same_port() {
    let run = Running::start().await;
    let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http::<Full<Bytes>>();
    let uri = format!("http://{}/v1/price-availability", run.node.http_addr());
    let request = http::Request::post(uri).body(Full::new(Bytes::from(BASKET))).unwrap();
    let response = client.request(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.version()), (200, http::Version::HTTP_2));
    let body: Value =
        serde_json::from_slice(&response.into_body().collect().await.unwrap().to_bytes()).unwrap();
    assert_eq!(body["lines"][0]["status"], "not_found");
}

#[tokio::test]
async fn a_position_beyond_the_end_is_the_clients_error() {
    let run = Running::start().await;
    let (_, _, mut at) = run.load_item().await;
    at.ledger = StreamSequence(at.ledger.0 + 1);
    let path = format!("/v1/price-availability/SKU-1?at_least={at}");
    // At once, not when the 30 s of this node's `at_least_wait` are over.
    let response = tokio::time::timeout(Duration::from_secs(10), run.http.get(&path)).await.unwrap().unwrap();
    let problem: Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!((response.status().as_u16(), &problem["code"]), (400, &json!("invalid_request")));
    assert_eq!(
        problem["detail"],
        format!("at_least {at} is beyond the end of the streams; give back an as_of as it was answered")
    );
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_its_lookup() {
    let mut run = Running::start().await;
    let (_, _, mut at) = run.load_item().await;
    run.line(&at).await;
    at.ledger = StreamSequence(at.ledger.0 + 100);
    // Nobody says any more that this is beyond the end.
    run.test.server.kill().await;
    let request = format!("GET /v1/price-availability/SKU-1?at_least={at} HTTP/1.1\r\nhost: x\r\n\r\n");
    let stream = run.send(&request).await;
    while !run.metrics().await.contains("pannier_lookup_waiting_count 1\n") {}
    drop(stream);
    while !run.metrics().await.contains("pannier_lookup_waiting_count 0\n") {}
    assert!(run.metrics().await.contains("pannier_lookup_in_flight_count 0\n"));
}

#[tokio::test]
async fn a_request_under_way_is_finished_when_the_node_stops() {
    let run = Running::start().await;
    let (begin, end) = BASKET.split_at(20);
    let mut under_way = run.send(&format!("{}{begin}", head(BASKET.len()))).await;
    while !run.metrics().await.contains("pannier_lookup_in_flight_count 1\n") {}
    let idle = run.send("").await;
    let (address, handle) = (run.node.http_addr(), run.node.handle());
    handle.stop();
    assert_eq!(rest(idle).await, "");
    under_way.write_all(end.as_bytes()).await.unwrap();
    let answered = rest(under_way).await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
    run.node.run().await.unwrap();
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn connections_above_the_limit_wait() {
    let run = Running::start_with(|config| config.http.connections = 1).await;
    let first = run.send("").await;
    let close = "GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut second = run.send(close).await;
    let mut byte = [0];
    assert!(tokio::time::timeout(SHORT, second.read(&mut byte)).await.is_err(), "served beside the first");
    drop(first);
    let answered = rest(second).await;
    assert!(answered.starts_with("HTTP/1.1 200"), "{answered}");
}
