//! A node against a real nats-server.

mod asking;
pub(crate) mod checkout;
mod events;
mod feed;
mod gate;
pub(crate) mod handover;
mod http;
pub(crate) mod members;
pub(crate) mod operators;
mod orders;
mod price_holds;
mod processes;
mod reflection;
mod resync;
mod rollback;
mod verdicts;

use std::time::Duration;

use bytes::Bytes;
use pannier_client::{HttpClient, Options};
use pannier_node::progress::{Snapshot, State};
use pannier_node::{Config, Node};
use pannier_protocol::codec::encode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    AsOf, Change, Encoding, Envelope, Epoch, SourceId, SourceSequence, StreamSequence, Timestamp,
};
use pannier_streams::Streams;
use pannier_tests::TestBroker;
use serde_json::{Value, json};

/// Nothing in these tests takes this long; what does hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Of every message; tests do not depend on when they run.
const NOW: Timestamp = Timestamp::from_millis(1_790_000_000_000);

pub(crate) struct Running {
    pub(crate) test: TestBroker,
    pub(crate) streams: Streams,
    pub(crate) node: Node,
    pub(crate) http: HttpClient,
}

pub(crate) fn config(servers: &str) -> Config {
    let mut config = Config::default();
    config.nats.servers = vec![servers.to_owned()];
    config.http.listen.set_port(0);
    config.operator.listen.set_port(0);
    config.lookup.at_least_wait = Duration::from_secs(30);
    config
}

pub(crate) fn client(node: &Node) -> HttpClient {
    HttpClient::new(
        &format!("http://{}", node.http_addr()),
        Options { deadline: PATIENCE, ..Options::default() },
    )
    .unwrap()
}

impl Running {
    async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// Ready, with empty streams.
    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let (test, streams) = TestBroker::start_with_streams().await;
        let mut config = config(&test.server.url());
        change(&mut config);
        let node = Node::start(config).await.unwrap();
        assert!(node.handle().ready().await);
        let http = client(&node);
        Self { test, streams, node, http }
    }

    /// Claims a subject, as in `ledger.stock.wms-1`.
    pub(crate) async fn publisher(&self, subject: &str) -> Publisher {
        Publisher::claim(&self.test, &self.streams, subject).await
    }

    /// An item with a list price and stock in one warehouse; where the three stand.
    async fn load_item(&self) -> (Publisher, Publisher, AsOf) {
        let mut erp = self.publisher("catalog.shared.erp-1").await;
        let mut wms = self.publisher("ledger.stock.wms-1").await;
        let shared = erp.send(json!([
            {"item": {"item": "SKU-1", "base_uom": "EA"}},
            {"prices": {"scope": {"list": "LIST"}, "currency": "USD",
                        "rows": [["SKU-1", null, "EA", null, 1, "fixed", null, [["0", "2.5"]]]]}},
        ]));
        let shared = shared.await;
        let ledger = wms.send(json!([stock("10")])).await;
        let at = self.as_of(ledger, shared);
        (erp, wms, at)
    }

    pub(crate) fn as_of(&self, ledger: StreamSequence, shared: StreamSequence) -> AsOf {
        AsOf { incarnation: self.streams.incarnation.clone(), ledger, shared, partition: StreamSequence(0) }
    }

    /// The answer to one line of `SKU-1`, once the node is there.
    pub(crate) async fn ask(&self, at_least: &AsOf) -> Value {
        let path = format!("/v1/price-availability/SKU-1?quantity=4&at_least={at_least}");
        let response = self.http.get(&path).await.unwrap();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(response.status(), 200, "{body}");
        body
    }

    /// `ok 10.00 10`: status, extended price and available of the line.
    pub(crate) async fn line(&self, at_least: &AsOf) -> String {
        let answer = self.ask(at_least).await;
        let line = &answer["lines"][0];
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let (price, available) = (&line["price"]["extended"], &line["availability"]["available"]);
        format!("{} {} {}", text(&line["status"]), text(price), text(available))
    }

    pub(crate) async fn metrics(&self) -> String {
        String::from_utf8(self.http.get("/metrics").await.unwrap().body().to_vec()).unwrap()
    }

    async fn wait_for(&self, what: impl FnMut(&Snapshot) -> bool) -> Snapshot {
        let mut progress = self.node.handle().progress();
        let reached = tokio::time::timeout(PATIENCE, progress.wait_for(what)).await;
        reached.expect("the node gets there").unwrap().clone()
    }

    /// The reason for which the node refuses, which `/readyz` and lookups give too.
    pub(crate) async fn refusal(&self) -> String {
        let detail = self.wait_for(|snapshot| snapshot.state == State::Refused).await.detail;
        let ready = self.http.get("/readyz").await.unwrap();
        let shown: Value = serde_json::from_slice(ready.body()).unwrap();
        assert_eq!((ready.status().as_u16(), &shown["detail"]), (503, &json!(detail)));
        let lookup = self.http.get("/v1/price-availability/SKU-1").await.unwrap();
        let problem: Value = serde_json::from_slice(lookup.body()).unwrap();
        assert_eq!((lookup.status().as_u16(), &problem["code"]), (503, &json!("not_ready")));
        assert_eq!(problem["detail"], detail);
        detail
    }
}

/// The absolute stock of `SKU-1` in DAL.
pub(crate) fn stock(on_hand: &str) -> Value {
    json!({"stock_set": {"item": "SKU-1", "warehouse": "DAL", "uom": "EA", "on_hand": on_hand}})
}

/// Publishes as a foreign program might: without the broker's fence, and whatever it is told to.
pub(crate) struct Publisher {
    context: async_nats::jetstream::Context,
    full: String,
    subject: Subject,
    epoch: Epoch,
    /// Of the last message.
    sequence: u64,
}

impl Publisher {
    async fn claim(test: &TestBroker, streams: &Streams, subject: &str) -> Self {
        let subject = Subject::parse(subject).unwrap();
        let epoch = Epoch { incarnation: streams.incarnation.clone(), claim: StreamSequence(0) };
        let full = streams.prefix.full(&subject);
        let mut own = Self { context: test.broker.context().clone(), full, subject, epoch, sequence: 0 };
        // Who writes for operators goes on in the epoch of all of them.
        let instance = if own.subject == Subject::Control { "pannier" } else { "test" };
        let mut claim = own.envelope(0, json!([{"claim": {"instance": instance}}]));
        claim.epoch = None;
        own.epoch.claim = own.put(encode_envelope(Encoding::Json, &claim).unwrap()).await;
        own
    }

    fn envelope(&self, sequence: u64, changes: Value) -> Envelope {
        let changes: Vec<Change> = serde_json::from_value(changes).unwrap();
        let source = self.subject.source().cloned().unwrap_or_else(|| SourceId::new("operator").unwrap());
        Envelope::new(source, Some(self.epoch.clone()), SourceSequence(sequence), sequence, NOW, changes)
    }

    /// The next message.
    pub(crate) async fn send(&mut self, changes: Value) -> StreamSequence {
        self.sequence += 1;
        self.send_as(self.sequence, changes).await
    }

    /// A message under any sequence.
    async fn send_as(&self, sequence: u64, changes: Value) -> StreamSequence {
        self.put(encode_envelope(Encoding::Json, &self.envelope(sequence, changes)).unwrap()).await
    }

    /// Any bytes.
    async fn put(&self, payload: impl Into<Bytes>) -> StreamSequence {
        let mut headers = async_nats::HeaderMap::new();
        headers.insert("Content-Type", "application/json");
        let sent = self.context.publish_with_headers(self.full.clone(), headers, payload.into()).await;
        StreamSequence(sent.unwrap().await.unwrap().sequence)
    }
}
