//! When a chain must be said again: asked for by a node, lost by the broker, lost by the adapter; and when this
//! adapter must not say anything any more.

use std::time::Duration;

use pannier_adapters::files::{FilesConfig, FilesError, load_once, run};
use pannier_adapters::runner::DrainError;
use pannier_core::rows::Rows;
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::subject::Prefix;
use pannier_protocol::{Change, Encoding};
use pannier_streams::{Streams, config};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{Site, change, stock_digest};

const MAPPING: &str = r#"
[[file]]
name = "stock"
pattern = "stock*.csv"
table = "stock"
mode = "delta"
complete = { by = "rename" }
columns = { item = 1, warehouse = 2, on_hand = 3, uom = { value = "EA" } }
"#;

const WAIT_MAX: Duration = Duration::from_secs(20);

fn cells(on_hand: &[(&str, &str)]) -> Vec<Change> {
    let cell = |(item, on_hand): &(&str, &str)| {
        change(json!({"stock_set": {"item": item, "warehouse": "DAL", "uom": "EA", "on_hand": on_hand}}))
    };
    on_hand.iter().map(cell).collect()
}

async fn loaded() -> Site {
    let site = Site::new(MAPPING).await;
    site.put("stock1.csv", "A,DAL,1\nB,DAL,2\n");
    site.load().await;
    site
}

async fn snapshots(site: &Site) -> usize {
    let mut count = 0;
    site.each(&site.streams.ledger, |entry| {
        let envelope = decode_envelope(Encoding::MessagePack, entry.payload).unwrap();
        count += envelope.changes.iter().filter(|change| matches!(change, Change::SnapshotEnd(_))).count();
    })
    .await;
    count
}

#[tokio::test]
async fn a_chain_is_repeated_when_a_node_asks() {
    let site = loaded().await;
    assert_eq!(snapshots(&site).await, 1, "an epoch begins with a snapshot");
    let shutdown = CancellationToken::new();
    let config = FilesConfig::load(&site.config_file("state.redb")).unwrap();
    let adapter = tokio::spawn(run(config, shutdown.clone()));
    let asked = async {
        while snapshots(&site).await < 2 {
            let request = "ledger.stock.erp-1";
            site.test.broker.client().publish("pna.v1.resync.erp-1", request.into()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(WAIT_MAX, asked).await.unwrap();
    shutdown.cancel();
    adapter.await.unwrap().unwrap();
    assert_eq!(snapshots(&site).await, 2, "however often it is asked for");
    let folded = site.fold().await;
    assert_eq!(folded.effects, []);
    assert_eq!(folded.stock().digest(), stock_digest(&cells(&[("A", "1"), ("B", "2")])));
}

#[tokio::test]
async fn streams_that_were_made_anew_get_everything_again() {
    let mut site = loaded().await;
    let context = site.test.broker.context();
    let Streams { ledger, catalog, dispatch, history, .. } = &site.streams;
    for stream in [ledger, catalog, dispatch, history] {
        context.delete_stream(stream).await.unwrap();
    }
    site.streams = config::init(&site.test.broker, &Prefix::default(), 1).await.unwrap();
    site.put("stock2.csv", "B,DAL,3\n");
    site.load().await;
    let folded = site.fold().await;
    assert_eq!(folded.effects, []);
    assert_eq!(folded.stock().digest(), stock_digest(&cells(&[("A", "1"), ("B", "3")])));
}

#[tokio::test]
async fn an_adapter_that_lost_its_state_claims_anew() {
    let site = loaded().await;
    site.put("stock2.csv", "A,DAL,5\nB,DAL,6\n");
    site.load_with("other.redb").await;
    let folded = site.fold().await;
    let state = folded.ledger.chains[0].status.load();
    assert!(!state.suspect && state.epochs.len() == 2, "{state:?}");
    assert_eq!(folded.stock().digest(), stock_digest(&cells(&[("A", "5"), ("B", "6")])));
}

#[tokio::test]
async fn an_adapter_that_was_taken_over_from_stops() {
    let site = loaded().await;
    site.put("stock2.csv", "A,DAL,5\nB,DAL,6\n");
    site.load_with("other.redb").await;
    site.put("stock3.csv", "A,DAL,7\n");
    let config = FilesConfig::load(&site.config_file("state.redb")).unwrap();
    let error = load_once(config, |_| {}).await.unwrap_err();
    assert!(matches!(error, FilesError::Drain(DrainError::Fenced { .. })), "{error}");
    assert!(error.to_string().contains("two adapters run for one source"), "{error}");
    let folded = site.fold().await;
    assert_eq!(folded.stock().digest(), stock_digest(&cells(&[("A", "5"), ("B", "6")])));
}
