//! Which checkpoints count: those of which another node says the same, or of a node that is alone.

use std::time::Duration;

use pannier_streams::{Ages, init_with};
use serde_json::json;
use tempfile::TempDir;

use super::super::node::checkout::checkout_with;
use super::super::node::members::until;
use super::super::node::stock;
use super::*;

/// Whether a node's newest checkpoint is confirmed and not older than these entries of the ledger.
fn is_confirmed(shown: &Value, node: &str, ledger: u64) -> bool {
    let members = shown["members"].as_array().unwrap();
    let member = members.iter().find(|it| it["member"]["node"] == node);
    let checkpoint = member.map(|it| &it["member"]["checkpoint"]);
    checkpoint.is_some_and(|it| it["confirmed"] == true && it["ledger"].as_u64() >= Some(ledger))
}

#[tokio::test]
async fn another_node_confirms_and_a_node_alone_does_so_itself() {
    let folder = TempDir::new().unwrap();
    let (run, mut wms, ..) = checkout_with(keeping("n1", folder.path())).await;
    let other = start(&run.test, |config| config.node.name = "n2".to_owned()).await;
    for on_hand in ["10", "20"] {
        let at = wms.send(json!([stock(on_hand)])).await;
        // Of the one that keeps and of the one that does not.
        for node in [&run.node, &other] {
            until(node, |shown| is_confirmed(shown, "n1", at.0)).await;
        }
    }
    assert!(run.metrics().await.contains("pannier_checkpoint_overdue_state 0\n"));
    other.stop().await.unwrap();
    let at = wms.send(json!([stock("30")])).await;
    until(&run.node, |shown| is_confirmed(shown, "n1", at.0)).await;
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn streams_keep_as_long_as_they_were_told() {
    let test = TestBroker::start().await;
    let day = Duration::from_secs(24 * 60 * 60);
    let ages = Ages { ledger: Some(7 * day), catalog: Some(35 * day) };
    let prefix = pannier_protocol::subject::Prefix::default();
    assert_eq!(init_with(&test.broker, &prefix, 1, ages).await.unwrap().ages, ages);
    for (stream, days) in [("PNA_LEDGER", 7), ("PNA_CATALOG", 35)] {
        let info = stream_info(&test.broker, stream).await.unwrap();
        assert_eq!(info.age_max(), Some(days * day));
    }
    // Made again they keep theirs, and a node takes them as they are.
    assert_eq!(init_with(&test.broker, &prefix, 1, Ages::default()).await.unwrap().ages, ages);
    let node = start(&test, |_| {}).await;
    assert!(node.handle().ready().await);
    node.stop().await.unwrap();
}
