//! A node that is killed while it writes.

use pannier::stage::NodeProcess;
use serde_json::json;

use super::*;
use crate::node::checkout::checkout;
use crate::node::stock;

#[tokio::test]
async fn a_node_killed_while_it_writes_starts_from_what_is_whole() {
    let (run, mut wms) = checkout().await;
    wms.send(json!([stock("1000")])).await;
    let kept = run.test.folder.path().join("checkpoints");
    let pannier = Path::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    let own =
        [("PANNIER_CHECKPOINT__FOLDER", kept.to_str().unwrap()), ("PANNIER_CHECKPOINT__INTERVAL_MS", "1")];
    let (nats, folder) = (run.test.server.url(), run.test.folder.path().to_owned());
    let mut node = NodeProcess::start("killed", pannier, &nats, &own, &folder).unwrap();
    node.ready(PATIENCE).await.unwrap();
    let http = pannier_client::HttpClient::new(node.address(), pannier_client::Options::default()).unwrap();
    let unfinished = || fs::read_dir(kept.join("tmp")).map_or(0, Iterator::count);
    let (mut left_behind, mut answers) = (0, Vec::new());
    for round in 0..6 {
        let key = format!("killed-{round}");
        let (status, answer) = send(&http, Method::POST, "/v1/orders", Some(&key), &order("3")).await;
        assert_eq!(status, 201, "{answer}");
        answers.push((key, answer));
        let writing = async {
            while files(&kept).is_empty() || unfinished() == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, writing).await.expect("it writes all the time");
        node.process().kill().await.unwrap();
        left_behind += unfinished();
        node.process().start_again().unwrap();
        node.ready(PATIENCE).await.unwrap();
        let state = http.get("/readyz").await.unwrap();
        let state: Value = serde_json::from_slice(state.body()).unwrap();
        assert_eq!(state["load"]["source"], "disk", "{state}");
        for (key, answer) in &answers {
            let (_, again) = send(&http, Method::POST, "/v1/orders", Some(key), &order("3")).await;
            assert_eq!((&again["order"], &again["lines"]), (&answer["order"], &answer["lines"]));
        }
    }
    assert!(left_behind > 0, "it was never killed while it wrote");
    // It has the state of a node that was never killed.
    let others = tempfile::tempdir().unwrap();
    let whole = start(&run.test, keeping("n3", others.path())).await;
    assert!(whole.handle().ready().await);
    let same = at_the_end(&run, &[&kept, others.path()]).await;
    assert!(same[0] == same[1], "a node that was killed wrote other bytes");
    node.stop().await.unwrap();
    whole.stop().await.unwrap();
    run.node.stop().await.unwrap();
}
