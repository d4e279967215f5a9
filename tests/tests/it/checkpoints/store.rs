//! Nodes that start from the object store: nothing of their own, and no other node to ask.

use pannier_streams::checkpoints::Shelf;
use serde_json::json;
use tempfile::TempDir;

use super::*;
use crate::node::checkout::checkout_with;
use crate::node::stock;

fn sharing(folder: &Path) -> impl FnOnce(&mut Config) {
    let keeping = keeping("n1", folder);
    move |config| {
        keeping(config);
        config.checkpoint.share_interval = Duration::from_millis(20);
    }
}

/// Positions of the checkpoints there, the newest first.
async fn shelved(shelf: &Shelf) -> Vec<String> {
    let mut names: Vec<String> = shelf.list().await.unwrap().into_iter().map(|it| it.name).collect();
    names.sort_by_key(|name| std::cmp::Reverse(position(name)));
    names
}

/// Of the ledger, in a name.
fn position(name: &str) -> u64 {
    let part = name.split('.').find_map(|part| part.strip_prefix('L'));
    part.unwrap().parse().unwrap()
}

#[tokio::test]
async fn a_copy_outlives_all_nodes_and_a_damaged_one_is_passed_over() {
    let folder = TempDir::new().unwrap();
    let (mut run, mut wms, ..) = checkout_with(sharing(folder.path())).await;
    let first = place(&run, "k1", "2").await;
    let shelf = Shelf::open(&run.test.broker, &run.streams).await.unwrap();
    let (mut at, mut there) = (wms.send(json!([stock("10")])).await, Vec::<String>::new());
    let filled = async {
        // Two at different places, the newer one at the streams' end.
        while there.len() < 2 || position(&there[0]) < at.0 {
            there = shelved(&shelf).await;
            if there.len() == 1 && position(&there[0]) >= at.0 {
                at = wms.send(json!([stock("10")])).await;
            }
            sleep(LOOK).await;
        }
    };
    timeout(PATIENCE, filled).await.expect("two checkpoints in the object store");
    assert!(there.len() <= 3, "the old ones go: {there:?}");
    assert!(run.metrics().await.contains("pannier_checkpoint_shared_total{outcome=\"shared\"}"));
    age_out(&run).await;
    let end = ends(&run).await;
    run.node.stop().await.unwrap();

    // A newer one that nobody can read.
    let newest = shelved(&shelf).await.remove(0);
    let damaged = newest.replace(&format!(".L{}.", position(&newest)), &format!(".L{}.", end.0 + 9));
    shelf.put(&damaged, &mut &b"no checkpoint"[..]).await.unwrap();
    run.node = start(&run.test, |config| config.node.name = "n2".to_owned()).await;
    assert!(run.node.handle().ready().await, "{}", run.node.handle().progress().borrow().detail);
    run.http = client(&run.node);
    assert_eq!(source(&run).await, "store");
    assert_eq!(metric(&run, "pannier_checkpoint_refused_total{reason=\"no_checkpoint\"}").await, 1);
    assert_eq!(place(&run, "k1", "2").await["order"], first["order"], "its key is remembered");
    run.node.stop().await.unwrap();
}
