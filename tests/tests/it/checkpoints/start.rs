//! Nodes that write checkpoints, and start from them.

use serde_json::json;

use super::*;
use crate::node::checkout::checkout_with;
use crate::node::stock;

#[tokio::test]
async fn checkpoints_are_written_while_lookups_and_orders_go_on() {
    let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, mut wms, _, at) = checkout_with(keeping("n1", own.path())).await;
    wms.send(json!([stock("1000")])).await;
    let before = metric(&run, "pannier_checkpoint_written_total").await;
    let mut placed = 0;
    while metric(&run, "pannier_checkpoint_written_total").await < before + 5 {
        placed += 1;
        let answer = place(&run, &format!("k{placed}"), "2").await;
        assert!(answer["state"] != "rejected", "{answer}");
        assert!(run.line(&at).await.starts_with("ok 10.00 "));
    }
    assert_eq!(metric(&run, "pannier_checkpoint_failed_total{reason=\"disk\"}").await, 0);

    // A node that folds the log from its first entries comes to the same bytes.
    let other = start(&run.test, keeping("n2", others.path())).await;
    assert!(other.handle().ready().await);
    let same = at_the_end(&run, &[own.path(), others.path()]).await;
    assert!(same[0] == same[1], "two nodes wrote other bytes at one position");
    let (ledger, catalog) = ends(&run).await;
    for (stream, at) in [("ledger", ledger), ("catalog", catalog)] {
        let name = format!("pannier_checkpoint_position{{stream=\"{stream}\"}}");
        assert_eq!(metric(&run, &name).await, at);
    }
    assert!(metric(&run, "pannier_checkpoint_rows_count").await > 0);
    let paused = run.metrics().await;
    assert!(
        paused.contains("pannier_checkpoint_pause_seconds ")
            && paused.contains("pannier_checkpoint_age_seconds ")
    );
    other.stop().await.unwrap();
    run.node.stop().await.unwrap();
    assert_eq!(files(own.path()).len(), 2, "the last two are kept");
}

#[tokio::test]
async fn a_node_starts_from_its_disk_when_the_streams_have_aged_out() {
    let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (run, mut wms, mut erp, at) = checkout_with(keeping("n1", own.path())).await;
    let first = place(&run, "k1", "2").await;
    let never_stopped = start(&run.test, keeping("n2", others.path())).await;
    assert!(never_stopped.handle().ready().await);
    at_the_end(&run, &[own.path(), others.path()]).await;

    run.node.handle().stop();
    age_out(&run).await;
    let run = restart(run, keeping("n1", own.path())).await;
    assert!(run.node.handle().ready().await, "{}", run.node.handle().progress().borrow().detail);
    assert_eq!(source(&run).await, "disk");
    assert_eq!(place(&run, "k1", "2").await["order"], first["order"], "its key is remembered");

    // Both go on alike.
    let ledger = wms.send(json!([stock("7")])).await;
    let shared = erp.send(json!([{"item": {"item": "SKU-2", "base_uom": "EA"}}])).await;
    let at = run.as_of(ledger.max(at.ledger), shared);
    let line = run.line(&at).await;
    let other = Running { http: client(&never_stopped), node: never_stopped, ..run };
    assert_eq!(other.line(&at).await, line);
    let same = at_the_end(&other, &[own.path(), others.path()]).await;
    assert!(same[0] == same[1], "a restarted node wrote other bytes");
    other.node.stop().await.unwrap();
}

#[tokio::test]
async fn a_checkpoint_of_another_life_is_refused() {
    let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (elsewhere, ..) = checkout_with(keeping("n1", others.path())).await;
    at_the_end(&elsewhere, &[others.path()]).await;
    elsewhere.node.stop().await.unwrap();
    let (run, _, _, at) = checkout_with(|_| {}).await;
    let (_, foreign) = files(others.path()).remove(0);
    fs::copy(&foreign, own.path().join(foreign.file_name().unwrap())).unwrap();
    // Under a name that says otherwise, too.
    let named = format!("{}.L9.C9.checkpoint", run.streams.incarnation);
    fs::copy(&foreign, own.path().join(named)).unwrap();
    let run = restart(run, keeping("n1", own.path())).await;
    assert!(run.node.handle().ready().await);
    assert_eq!(source(&run).await, "log");
    assert_eq!(metric(&run, "pannier_checkpoint_refused_total{reason=\"other_incarnation\"}").await, 2);
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    run.node.stop().await.unwrap();
}
