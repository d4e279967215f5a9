//! Order events to a receiver, from real nodes: none is lost, those of one order come in their order, and what comes
//! twice has the same id.

mod deliveries;
mod failures;
mod processes;
mod receiver;
mod tls;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use http::Method;
use pannier_adapters::webhook::{Secrets, Webhook, WebhookConfig, WebhookError, WebhookStatus};
use pannier_node::Node;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::node::Running;
use crate::node::checkout::send;
use receiver::{Delivery, Receiver, Reply, SECRETS};

const PATIENCE: Duration = Duration::from_secs(60);

/// A process in this one.
struct Sending {
    status: watch::Receiver<WebhookStatus>,
    stop: CancellationToken,
    run: JoinHandle<Result<(), WebhookError>>,
}

impl Sending {
    fn start(document: &str) -> Self {
        let config = WebhookConfig::parse(document).unwrap();
        let webhook = Webhook::open(config, Secrets::new(SECRETS).unwrap()).unwrap();
        let (status, stop) = (webhook.status(), CancellationToken::new());
        Self { status, run: tokio::spawn(webhook.run(stop.clone())), stop }
    }

    async fn until(&mut self, what: &str, reached: impl FnMut(&WebhookStatus) -> bool) -> WebhookStatus {
        let status = timeout(PATIENCE, self.status.wait_for(reached)).await;
        *status.unwrap_or_else(|_| panic!("{what} in time")).unwrap()
    }

    async fn stop(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.run).await.expect("it stops in time").unwrap().unwrap();
    }
}

/// A configuration of channel `web` under which a test does not wait for what people would.
fn document(receiver: &Receiver, nodes: &[&Node], nats: &str, state: &Path) -> String {
    let nodes: Vec<String> = nodes.iter().map(|node| format!("http://{}", node.operator_addr())).collect();
    format!(
        "channel = \"web\"\nurl = {:?}\nstate = {state:?}\nnodes = {nodes:?}\nnats = {nats:?}\npoll_ms = 50\nat_once = 4\n\
         request_ms_max = 500\nretry_ms_max = 1000\n",
        receiver.url(),
    )
}

/// Places an order of one piece of `SKU-1`, and returns its id.
async fn place(running: &Running, key: &str, channel: &str) -> String {
    let line = json!({"line": "1", "item": "SKU-1", "quantity": "1", "uom": "EA"});
    let order =
        json!({"account": "C-1", "purchase_order": format!("PO-{key}"), "channel": channel, "lines": [line]});
    let (status, placed) = send(&running.http, Method::POST, "/v1/orders", Some(key), &order).await;
    assert_eq!(status, 201, "{placed}");
    placed["order"].as_str().unwrap().to_owned()
}

/// Ids of the steps of an order, as deliveries bear them, each with its state, once there are `count`.
async fn steps(running: &Running, order: &str, count: usize) -> Vec<(String, String)> {
    let mut progress = running.node.handle().progress();
    loop {
        progress.mark_unchanged();
        let path = format!("/v1/orders/{order}/events");
        let (_, told) = send(&running.http, Method::GET, &path, None, &Value::Null).await;
        let steps = told["steps"].as_array().unwrap();
        if steps.len() >= count {
            assert_eq!(steps.len(), count, "{told}");
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let id = |step: &Value| {
                format!("{}-{}", running.streams.incarnation, text(&step["id"]).replace('.', "-"))
            };
            return steps.iter().map(|step| (id(step), text(&step["state"]))).collect();
        }
        timeout(PATIENCE, progress.changed()).await.expect("the steps come").unwrap();
    }
}

/// Each of these orders was told whole, in its order, whatever came twice; and nothing else was.
fn check(seen: &[Delivery], expected: &BTreeMap<String, Vec<(String, String)>>) {
    let mut bodies: BTreeMap<&str, &Value> = BTreeMap::new();
    for delivery in seen {
        let before = bodies.insert(&delivery.id, &delivery.body);
        assert!(before.is_none_or(|before| *before == delivery.body), "one id, one event: {}", delivery.id);
    }
    let mut told: BTreeMap<String, Vec<(String, String)>> = BTreeMap::new();
    for delivery in seen {
        let kind = delivery.body["type"].as_str().unwrap();
        let step = (delivery.id.clone(), kind.strip_prefix("order.").unwrap().to_owned());
        let steps = told.entry(delivery.order().to_owned()).or_default();
        // A repetition comes before the next event, never after it.
        if steps.last() != Some(&step) {
            steps.push(step);
        }
    }
    assert_eq!(&told, expected);
}

/// Whether all of these were received.
fn has_all(seen: &[Delivery], expected: &BTreeMap<String, Vec<(String, String)>>) -> bool {
    let is_received = |id: &str| seen.iter().any(|it| it.id == id && it.reply == Reply::Status(200));
    expected.values().flatten().all(|(id, _)| is_received(id))
}
