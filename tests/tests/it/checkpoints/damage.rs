//! Files that are not what was written.

use serde_json::json;

use super::*;
use crate::node::checkout::checkout_with;
use crate::node::stock;

/// A node that stopped with two checkpoints, the newest at the streams' end.
async fn stopped_with_two(folder: &Path) -> Running {
    let (run, mut wms, ..) = checkout_with(keeping("n1", folder)).await;
    at_the_end(&run, &[folder]).await;
    wms.send(json!([stock("9")])).await;
    at_the_end(&run, &[folder]).await;
    run.node.handle().stop();
    let mut state = run.node.handle().progress();
    state.wait_for(|snapshot| snapshot.state == pannier_node::progress::State::Stopping).await.unwrap();
    assert_eq!(files(folder).len(), 2);
    run
}

#[tokio::test]
async fn the_older_one_is_used_when_the_newest_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let run = stopped_with_two(folder.path()).await;
    let (ledger, catalog) = ends(&run).await;
    damage(&files(folder.path())[0].1);
    let run = restart(run, |config| {
        keeping("n1", folder.path())(config);
        config.checkpoint.interval = Duration::from_secs(60);
    });
    let run = run.await;
    assert!(run.node.handle().ready().await);
    assert_eq!(source(&run).await, "disk");
    assert_eq!(metric(&run, "pannier_checkpoint_refused_total{reason=\"damaged\"}").await, 1);
    assert!(metric(&run, "pannier_checkpoint_position{stream=\"ledger\"}").await < ledger);
    let at = run.as_of(pannier_protocol::StreamSequence(ledger), pannier_protocol::StreamSequence(catalog));
    assert_eq!(run.line(&at).await, "ok 10.00 9");
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn the_log_is_used_when_all_are_damaged_and_it_still_begins_there() {
    let folder = tempfile::tempdir().unwrap();
    let run = stopped_with_two(folder.path()).await;
    files(folder.path()).iter().for_each(|(_, file)| damage(file));
    let run = restart(run, keeping("n1", folder.path())).await;
    assert!(run.node.handle().ready().await);
    assert_eq!(source(&run).await, "log");
    assert_eq!(metric(&run, "pannier_checkpoint_refused_total{reason=\"damaged\"}").await, 2);
    run.node.stop().await.unwrap();
}

#[tokio::test]
async fn without_a_checkpoint_and_a_log_a_node_says_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let run = stopped_with_two(folder.path()).await;
    files(folder.path()).iter().for_each(|(_, file)| damage(file));
    age_out(&run).await;
    let run = restart(run, keeping("n1", folder.path())).await;
    let detail = run.refusal().await;
    for part in ["there is nothing to start from", "is damaged", "copy a checkpoint of another node"] {
        assert!(detail.contains(part), "{detail}");
    }
    run.node.stop().await.unwrap();
}
