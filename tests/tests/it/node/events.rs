//! The life of an order as server-sent events.

use std::collections::VecDeque;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use pannier_client::HttpClient;
use serde_json::{Value, json};

use super::PATIENCE;
use super::checkout::{checkout, place, second_node, send};

/// An open stream.
struct Stream {
    status: u16,
    body: UnsyncBoxBody<Bytes, String>,
    text: String,
    lines: VecDeque<String>,
}

/// `id what` of a step.
type Step = (String, String);

impl Stream {
    async fn open(http: &HttpClient, path: &str, last: Option<&str>) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let mut request =
            Request::get(format!("{}{path}/events", http.address())).header("Accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("Last-Event-ID", last);
        }
        let response = client.request(request.body(Full::default()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        if status == 200 {
            assert_eq!(response.headers()["content-type"], "text/event-stream");
        }
        Self {
            status,
            body: response.into_body().map_err(|error| error.to_string()).boxed_unsync(),
            text: String::new(),
            lines: VecDeque::new(),
        }
    }

    /// The next line that is neither comment nor blank; `None` at the end.
    async fn line(&mut self) -> Option<String> {
        loop {
            while let Some(line) = self.lines.pop_front() {
                if !line.is_empty() && !line.starts_with(':') && !line.starts_with("retry") {
                    return Some(line);
                }
            }
            let frame = tokio::time::timeout(PATIENCE, self.body.frame()).await.expect("something comes")?;
            self.text.push_str(std::str::from_utf8(frame.unwrap().data_ref().unwrap()).unwrap());
            while let Some(end) = self.text.find('\n') {
                self.lines.push_back(self.text[..end].to_owned());
                self.text.drain(..=end);
            }
        }
    }

    async fn step(&mut self) -> Option<Step> {
        let id = self.line().await?.strip_prefix("id: ").unwrap().to_owned();
        let data = self.line().await.unwrap();
        let step: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(step["id"], json!(id));
        Some((id, step["what"].as_str().unwrap().to_owned()))
    }
}

fn whats(steps: &[Step]) -> Vec<&str> {
    steps.iter().map(|(_, what)| what.as_str()).collect()
}

#[tokio::test]
async fn steps_arrive_as_they_happen_and_go_on_at_another_node() {
    let (running, _wms) = checkout().await;
    let (node, other) = second_node(&running).await;
    let (_, placed) = place(&running.http, "k1", "4").await;
    let order = placed["order"].as_str().unwrap();
    let path = format!("/v1/orders/{order}");
    let mut first = Stream::open(&running.http, &path, None).await;
    let mut steps = vec![first.step().await.unwrap(), first.step().await.unwrap()];
    assert_eq!(whats(&steps), ["placed: accepted", "handed to the backend's queue"]);

    // Somebody cancels it at the other node, and the first stream hears of it.
    let (status, _) =
        send(&other, Method::POST, &format!("{path}/cancel"), Some("c1"), &json!({"reason": "twice"})).await;
    assert_eq!(status, 200);
    steps.push(first.step().await.unwrap());
    assert_eq!(steps[2].1, "cancellation asked by the customer: twice");
    drop(first);
    let mut second = Stream::open(&other, &path, Some(&steps[0].0)).await;
    assert_eq!([second.step().await.unwrap(), second.step().await.unwrap()], steps[1..]);
    // Between two steps: what is not known is passed over, and nothing is told twice.
    let between = format!("{}.999", steps[1].0.split('.').next().unwrap());
    let mut third = Stream::open(&running.http, &path, Some(&between)).await;
    assert_eq!(third.step().await.unwrap(), steps[2]);

    let mut erp = running.publisher("ledger.event.erp").await;
    erp.send(json!([{"event": {"cancelled": {"order": order, "generation": 2, "reason": "as asked"}}}]))
        .await;
    for stream in [&mut second, &mut third] {
        assert_eq!(stream.step().await.unwrap().1, "cancelled by the backend: as asked");
        assert_eq!(stream.step().await, None, "nothing can follow");
    }
    let whole = send(&other, Method::GET, &format!("{path}/events"), None, &json!({})).await.1;
    let last = whole["steps"][3]["id"].as_str().unwrap();
    assert_eq!(Stream::open(&other, &path, Some(last)).await.status, 204);
    assert_eq!(Stream::open(&other, "/v1/orders/none", None).await.status, 404);
    assert_eq!(Stream::open(&other, &path, Some("x")).await.status, 400);
    node.stop().await.unwrap();
    running.node.stop().await.unwrap();
}

#[tokio::test]
async fn streams_end_when_the_node_stops() {
    let (running, _wms) = checkout().await;
    let (_, placed) = place(&running.http, "k1", "4").await;
    let path = format!("/v1/orders/{}", placed["order"].as_str().unwrap());
    let mut stream = Stream::open(&running.http, &path, None).await;
    stream.step().await.unwrap();
    stream.step().await.unwrap();
    running.node.stop().await.unwrap();
    assert_eq!(stream.step().await, None);
}
