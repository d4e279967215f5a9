//! A publisher in another language, written from `protocol/WIRE.md` alone (`tests/python/publisher.py`): it claims,
//! publishes JSON and MessagePack, a unit, ticks; starts again after losing its state and sends snapshots. A node
//! folds it and a lookup shows it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pannier_client::{HttpClient, Options};
use pannier_node::{Config, Node};
use pannier_protocol::api::{LineAnswer, LineStatus, LookupAnswer, LookupRequest};
use pannier_tests::TestBroker;
use serde_json::{Value, json};
use tokio::process::Command;

/// What is installed; the standard library does the rest.
const NATS_PY: &str = "nats-py==2.16.0";

/// A Python with the NATS client, made once under `target/`.
async fn python() -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/python");
    let python = home.join("bin/python");
    let has_client = async || {
        let import = Command::new(&python).args(["-c", "import nats"]).output().await;
        import.is_ok_and(|output| output.status.success())
    };
    if !has_client().await {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home)).await;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", NATS_PY])).await;
    }
    python
}

/// Its stdout.
async fn run(command: &mut Command) -> String {
    let output = command.kill_on_drop(true).output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

struct Site {
    test: TestBroker,
    python: PathBuf,
    client: HttpClient,
    node: Node,
}

impl Site {
    async fn start() -> Self {
        let (test, _) = TestBroker::start_with_streams().await;
        let mut config = Config::default();
        config.nats.servers = vec![test.server.url()];
        config.http.listen = "127.0.0.1:0".parse().unwrap();
        config.operator.listen.set_port(0);
        config.lookup.at_least_wait = Duration::from_secs(30);
        let node = Node::start(config).await.unwrap();
        assert!(node.handle().ready().await);
        let address = format!("http://{}", node.http_addr());
        let client = HttpClient::new(&address, Options::default()).unwrap();
        Self { test, python: python().await, client, node }
    }

    /// Runs a stage; what it wrote.
    async fn publish(&self, stage: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/publisher.py");
        let url = self.test.server.url();
        let mut command = Command::new(&self.python);
        let told = run(command.arg(script).args(["--url", &url, "--stage", stage])).await;
        serde_json::from_str(&told).unwrap()
    }

    /// The basket, not answered from before what was `published`.
    async fn ask(&self, published: &Value) -> LookupAnswer {
        let line = |item: &str, quantity: &str, uom: &str| json!({"line": item, "item": item, "quantity": quantity, "uom": uom});
        let request: LookupRequest = serde_json::from_value(json!({
            "account": "PY-1", "at_least": published["at_least"], "max_staleness_ms": {"price": 600_000, "availability": 600_000},
            "lines": [line("PY-01", "2", "BX"), line("PY-02", "1", "EA"), line("PY-12", "1", "EA")],
        }))
        .unwrap();
        self.client.lookup(&request).await.unwrap()
    }
}

fn shown(line: &LineAnswer) -> String {
    let price = line.price.as_ref().map(|price| format!("{} {}", price.level, price.extended));
    let stock = line.availability.as_ref().map(|stock| stock.available.to_string());
    format!("{} {:?} {} {}", line.item, line.status, price.unwrap_or_default(), stock.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publisher_in_python_is_understood() {
    let site = Site::start().await;

    let published = site.publish("first").await;
    assert_eq!(
        published["sequences"],
        json!({"catalog.shared.py-erp": 3, "catalog.20.py-erp": 4, "ledger.stock.py-wms": 3})
    );
    let answer = site.ask(&published).await;
    // 2 boxes of 10 at 2.25 = 45; on hand 40.5 - 10, less 0.5 allocated: 30 pieces, 3 boxes.
    let lines: Vec<_> = answer.lines.iter().map(shown).collect();
    assert_eq!(
        lines,
        ["PY-01 Ok customer_contract 45.00 3", "PY-02 Ok list 2.50 40", "PY-12 Ok list 2.50 40"]
    );
    let states: Vec<_> = answer.sources.iter().map(|source| (source.source.as_str(), source.state)).collect();
    assert_eq!(states.len(), 3, "{states:?}");
    assert!(answer.sources.iter().all(|source| source.age_ms.is_some()), "{:?}", answer.sources);
    assert!(answer.lines.iter().all(|line| {
        let freshness = line.freshness.unwrap();
        let fresh = pannier_protocol::api::FreshnessState::Fresh;
        freshness.price.unwrap().state == fresh && freshness.availability.unwrap().state == fresh
    }));

    // The same publisher without its state: other claims, snapshots with one item less.
    let published = site.publish("restart").await;
    let answer = site.ask(&published).await;
    let lines: Vec<_> = answer.lines.iter().map(shown).collect();
    assert_eq!(lines, ["PY-01 Ok customer_contract 44.00 2", "PY-02 Ok list 2.50 20", "PY-12 NotFound  "]);
    assert_eq!(answer.lines[2].status, LineStatus::NotFound);

    site.node.stop().await.unwrap();
    site.test.server.stop().await;
}
