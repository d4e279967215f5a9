//! What `pannier demo` shows is held to in every run of the tests.

use pannier_tests::nats_server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

/// Three brokers and three nodes, restarted one after the other under load, a node lost, and then no broker for a minute.
#[tokio::test]
async fn customers_do_not_notice_that_a_cluster_is_restarted() {
    let folder = TempDir::new().unwrap();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    demo.args(["demo", "cluster", "--json", "--seconds", "1", "--outage", "60", "--nats-server"])
        .arg(nats_server().await);
    let output = demo.arg("--dir").arg(folder.path()).kill_on_drop(true).output().await.unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{told}{said}");
    let outcome: Value = serde_json::from_str(&told).unwrap();
    for none in ["lookups_failed", "doubled", "lost"] {
        assert_eq!(outcome[none], 0, "{told}");
    }
    for some in ["lookups_sent", "orders_accepted", "stale_answers"] {
        assert!(outcome[some].as_u64().is_some_and(|count| count > 0), "{some}: {told}");
    }
    assert_eq!(outcome["digests_agree"], true, "{told}");
    let outage = &outcome["outage"];
    assert_eq!((&outage["lookups_wrong"], &outage["orders_wrong"]), (&0.into(), &0.into()), "{told}");
    assert!(outage["orders_refused"].as_u64() > Some(0) && outage["lookups"].as_u64() > Some(0), "{told}");
}
