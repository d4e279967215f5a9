//! The commands that measure do measure: briefly, with the smallest distributor. No figure is held to anything.

use pannier_tests::nats_server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

async fn measured(arguments: &str) -> Value {
    let folder = TempDir::new().unwrap();
    let mut bench = Command::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    bench.arg("bench").args(arguments.split(' ')).args(["--runs", "1", "--json"]);
    bench.arg("--nats-server").arg(nats_server().await).arg("--dir").arg(folder.path());
    let output = bench.kill_on_drop(true).output().await.unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{told}{said}");
    serde_json::from_str(&told).unwrap_or_else(|error| panic!("{error}: {told}"))
}

#[tokio::test]
async fn lookups_are_measured_beside_a_bare_server() {
    // Without a Redis, which not every machine has.
    let report = measured("lookups --seconds 1 --connections 2 --redis-server no-redis-here").await;
    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&str> = rows.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        [
            "node, basket, JSON",
            "bare hyper, basket, JSON",
            "node, basket, MessagePack",
            "bare hyper, basket, MessagePack",
            "node, line, JSON",
            "bare hyper, line, JSON",
        ]
    );
    for row in rows {
        assert!(row["runs"][0]["per_second"].as_f64() > Some(0.0), "{row}");
    }
    let figures: Vec<&String> = report["figures"].as_object().unwrap().keys().collect();
    assert_eq!(figures, ["basket_json_to_bare", "line_json_cpu_us_above_bare"]);
}

#[tokio::test]
async fn every_way_to_start_is_taken() {
    let report = measured("start").await;
    let ways: Vec<&str> =
        report["runs"].as_array().unwrap().iter().map(|run| run["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["log", "peer", "store", "disk"]);
    assert!(report["bytes"].as_u64() > Some(0), "{report}");
}
