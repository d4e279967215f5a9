//! Checkpoints of nodes on a real nats-server: written while they serve, read when they start. Equal states are equal
//! bytes, so two nodes are compared by the files that they write at one position.

mod confirmed;
mod damage;
mod forgotten;
mod killed;
mod peers;
mod start;
mod store;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use async_nats::jetstream::stream::Config as StreamConfig;
use http::Method;
use pannier_node::{Config, Node};
use pannier_streams::stored::stream_info;
use pannier_tests::TestBroker;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::node::checkout::{order, send};
use super::node::{PATIENCE, Running, client, config};

/// Between two looks at what is waited for.
const LOOK: Duration = Duration::from_millis(10);

/// A node of that name which writes into `folder` all the time.
fn keeping(name: &'static str, folder: &Path) -> impl FnOnce(&mut Config) {
    let folder = folder.to_owned();
    move |config| {
        config.node.name = name.to_owned();
        config.checkpoint.folder = folder;
        config.checkpoint.interval = Duration::from_millis(20);
    }
}

async fn start(test: &TestBroker, change: impl FnOnce(&mut Config)) -> Node {
    let mut config = config(&test.server.url());
    change(&mut config);
    Node::start(config).await.unwrap()
}

/// The same deployment with another node, which need not become ready.
async fn restart(run: Running, change: impl FnOnce(&mut Config)) -> Running {
    run.node.stop().await.unwrap();
    let node = start(&run.test, change).await;
    Running { http: client(&node), node, ..run }
}

/// Positions in the names of the files, the newest first.
fn files(folder: &Path) -> Vec<((u64, u64), PathBuf)> {
    let parse = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_suffix(".checkpoint")?.to_owned();
        let mut parts = name.split('.').skip(1);
        let mut number = |letter| parts.next()?.strip_prefix(letter)?.parse().ok();
        Some(((number('L')?, number('C')?), path))
    };
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().filter_map(|file| parse(file.unwrap().path())).collect();
    files.sort_by(|(a, _), (b, _)| b.cmp(a));
    files
}

async fn ends(run: &Running) -> (u64, u64) {
    let [ledger, catalog] = [&run.streams.ledger, &run.streams.catalog];
    let ledger = stream_info(&run.test.broker, ledger).await.unwrap().last.0;
    (ledger, stream_info(&run.test.broker, catalog).await.unwrap().last.0)
}

/// The checkpoints of all folders at the end of the streams, once nothing moves any more.
async fn at_the_end(run: &Running, folders: &[&Path]) -> Vec<Vec<u8>> {
    let looking = async {
        loop {
            let end = ends(run).await;
            let found = folders.iter().filter_map(|folder| {
                let (_, path) = files(folder).into_iter().find(|(at, _)| *at == end)?;
                // It may be replaced by a newer one in this moment.
                fs::read(path).ok()
            });
            let found: Vec<_> = found.collect();
            if found.len() == folders.len() && ends(run).await == end {
                return found;
            }
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, looking).await.expect("checkpoints at the end of the streams")
}

/// What the metric says; 0 where it is not there.
async fn metric(run: &Running, name: &str) -> u64 {
    let page = run.metrics().await;
    let value = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.map_or(0, |value| value.parse::<f64>().unwrap() as u64)
}

async fn place(run: &Running, key: &str, quantity: &str) -> Value {
    let (status, answer) = send(&run.http, Method::POST, "/v1/orders", Some(key), &order(quantity)).await;
    assert_eq!(status, 201, "{answer}");
    answer
}

/// What `/readyz` says of where the tables came from, as in `disk`.
async fn source(run: &Running) -> String {
    let state = run.http.get("/readyz").await.unwrap();
    let state: Value = serde_json::from_slice(state.body()).unwrap();
    state["load"]["source"].as_str().unwrap_or("none").to_owned()
}

/// Lets all that a stream has reach the end of its age, as days do.
async fn age_out(run: &Running) {
    let context = run.test.broker.context();
    for stream in [&run.streams.ledger, &run.streams.catalog] {
        let was = context.get_stream(stream).await.unwrap().cached_info().config.clone();
        let short = Duration::from_millis(200);
        let aging = StreamConfig { max_age: short, duplicate_window: short, ..was.clone() };
        context.update_stream(aging).await.unwrap();
        let gone = async {
            while stream_info(&run.test.broker, stream).await.unwrap().messages > 0 {
                sleep(LOOK).await;
            }
        };
        timeout(PATIENCE, gone).await.expect("messages age out");
        context.update_stream(was).await.unwrap();
    }
}

/// Flips a bit in the middle.
fn damage(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(file, bytes).unwrap();
}
