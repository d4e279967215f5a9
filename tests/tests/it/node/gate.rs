//! What foreign and broken publishers can do to a node: nothing but be counted, flagged and put on the review
//! list.

use bytes::Bytes;
use futures_util::StreamExt;
use pannier_protocol::StreamSequence;
use pannier_streams::stored::last_message;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{PATIENCE, Publisher, Running, stock};

impl Running {
    /// The review entry of one finding in the ledger, once it is there.
    async fn review(&self, kind: &str, ledger: StreamSequence, index: u32) -> Value {
        let origin = format!("{}-L{ledger}-{index}", self.streams.incarnation);
        let subject = self.streams.prefix.review_entry(kind, &origin);
        let published = async {
            loop {
                let found = last_message(&self.test.broker, &self.streams.review, &subject).await.unwrap();
                if let Some(message) = found {
                    return serde_json::from_slice(&message.payload).unwrap();
                }
            }
        };
        tokio::time::timeout(PATIENCE, published).await.expect("the review entry is published")
    }

    async fn counted(&self, reason: &str) -> bool {
        self.metrics().await.contains(&format!("pannier_entry_dropped_total{{reason=\"{reason}\"}} 1\n"))
    }
}

/// The whole of the chain anew: one cell.
pub(super) async fn snapshot(publisher: &mut Publisher, cell: Value) -> StreamSequence {
    let (_, hash) = snapshot_without_end(publisher, cell).await;
    publisher.send(snapshot_end(&hash)).await
}

/// All but its end, and the hash that this must have.
pub(super) async fn snapshot_without_end(publisher: &mut Publisher, cell: Value) -> (StreamSequence, String) {
    publisher.send(json!([{"snapshot_begin": {"id": "S1", "scope": {"table": "all"}, "cut": 9}}])).await;
    publisher.sequence += 1;
    let part = publisher.envelope(publisher.sequence, json!([{"part": {"of": "S1"}}, cell]));
    let payload = serde_json::to_vec(&part).unwrap();
    let hash = Sha256::digest(&payload).iter().map(|byte| format!("{byte:02x}")).collect();
    (publisher.put(payload).await, hash)
}

pub(super) fn snapshot_end(hash: &str) -> Value {
    json!([{"snapshot_end": {"id": "S1", "rows": 1, "hash": hash}}])
}

#[tokio::test]
async fn garbage_is_reviewed_with_its_reason_and_the_gap_it_leaves_is_healed_by_a_snapshot() {
    let run = Running::start().await;
    let (_, mut wms, at) = run.load_item().await;
    let mut resync = run.test.broker.client().subscribe("pna.v1.resync.wms-1").await.unwrap();
    run.test.broker.client().flush().await.unwrap();

    let garbage = wms.put(r#"{"version":1,"source":"wms-1","changes":[{"stock_sat":{}}]}"#).await;
    let review = run.review("poison", garbage, 0).await;
    assert_eq!((&review["subject"], &review["source"]), (&json!("ledger.stock.wms-1"), &json!("wms-1")));
    assert_eq!(review["stream_sequence"], garbage.0);
    assert!(review["reason"].as_str().unwrap().contains("stock_sat"), "{review}");
    assert!(review["payload_excerpt"].as_str().unwrap().starts_with("{\"version\":1,"), "{review}");

    wms.sequence += 1;
    let gap = wms.send(json!([stock("3")])).await;
    let at = run.as_of(gap, at.shared);
    assert_eq!(run.line(&at).await, "suspect - -");
    let asked = tokio::time::timeout(PATIENCE, resync.next()).await.unwrap().unwrap();
    assert_eq!(asked.payload, Bytes::from_static(b"ledger.stock.wms-1"));

    let at = run.as_of(snapshot(&mut wms, stock("7")).await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 7");
    assert!(run.counted("poison").await);
}

#[tokio::test]
async fn duplicates_are_dropped_forks_make_the_chain_suspect() {
    let run = Running::start().await;
    let (_, wms, at) = run.load_item().await;
    let at = run.as_of(wms.send_as(1, json!([stock("10")])).await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    assert!(run.counted("duplicate").await);
    let fork = wms.send_as(1, json!([stock("99")])).await;
    assert_eq!(run.line(&run.as_of(fork, at.shared)).await, "suspect - -");
    assert!(run.counted("fork").await);
    run.review("fork", fork, 0).await;
}

#[tokio::test]
async fn a_late_epoch_changes_nothing() {
    let run = Running::start().await;
    let (_, mut old, at) = run.load_item().await;
    let mut new = run.publisher("ledger.stock.wms-1").await;
    let at = run.as_of(snapshot(&mut new, stock("7")).await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 7");
    let late = old.send(json!([stock("99")])).await;
    assert_eq!(run.line(&run.as_of(late, at.shared)).await, "ok 10.00 7");
    assert!(run.counted("fenced").await);
}

#[tokio::test]
async fn a_subject_that_is_none_of_ours_is_reviewed() {
    let run = Running::start().await;
    let (_, wms, at) = run.load_item().await;
    let stray = Publisher { full: "pna.v1.ledger.stock.WMS".into(), ..wms };
    let at = run.as_of(stray.put("{}").await, at.shared);
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    let review = run.review("poison", at.ledger, 0).await;
    assert_eq!(review["subject"], "pna.v1.ledger.stock.WMS");
}
