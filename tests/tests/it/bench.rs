//! The commands that measure do measure: briefly, with the smallest distributor. No figure is held to anything.

use pannier_tests::nats_server;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

async fn measured(arguments: &str) -> Value {
    let folder = TempDir::new().unwrap();
    measured_in(&folder, &format!("{arguments} --runs 1")).await
}

async fn measured_in(folder: &TempDir, arguments: &str) -> Value {
    let mut bench = Command::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    bench.current_dir(folder.path()).arg("bench").args(arguments.split(' ')).arg("--json");
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
            "PostgreSQL pricing in SQL",
            "node, basket, QUIC",
            "node, line, QUIC",
        ]
    );
    for row in rows {
        assert!(row["runs"][0]["per_second"].as_f64() > Some(0.0), "{row}");
    }
    let figures: Vec<&String> = report["figures"].as_object().unwrap().keys().collect();
    let want = [
        "basket_json_to_bare",
        "basket_json_to_postgres",
        "basket_quic_cpu_to_http",
        "line_json_cpu_us_above_bare",
        "line_quic_cpu_to_http",
    ];
    assert_eq!(figures, want);
}

#[tokio::test]
async fn every_way_to_start_is_taken() {
    let report = measured("start").await;
    let ways: Vec<&str> =
        report["runs"].as_array().unwrap().iter().map(|run| run["way"].as_str().unwrap()).collect();
    assert_eq!(ways, ["log", "peer", "store", "disk"]);
    assert!(report["bytes"].as_u64() > Some(0), "{report}");
}

#[tokio::test]
async fn traffic_is_recorded_by_kind_and_second_and_compared() {
    let folder = TempDir::new().unwrap();
    let load = "load --seconds 2 --warm-up 0 --lines 3 --connections 8 --mix lookups=6,orders=2,holds=2";
    let open =
        measured_in(&folder, &format!("{load} --rate 40 --storm 100 --out open.json --html open.html")).await;
    let kinds: Vec<&str> =
        open["kinds"].as_array().unwrap().iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["lookups", "orders", "holds"], "{open}");
    for kind in open["kinds"].as_array().unwrap() {
        assert!(kind["answered"].as_u64() > Some(0) && kind["errors"] == serde_json::json!({}), "{kind}");
    }
    assert_eq!(open["seconds"].as_array().unwrap().len(), 2, "{open}");
    assert!(
        open["server"]["resident_bytes"].as_u64() > Some(0) && open["storm"].as_f64() > Some(0.0),
        "{open}"
    );
    let page = std::fs::read_to_string(folder.path().join("open.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 3);

    let closed = "load --seconds 1 --warm-up 0 --lines 1 --connections 2 --quic --out closed.json";
    let closed = measured_in(&folder, closed).await;
    assert_eq!(
        (&closed["rate"], &closed["kinds"][0]["errors"]),
        (&Value::Null, &serde_json::json!({})),
        "{closed}"
    );

    let mut compare = Command::new(env!("CARGO_BIN_EXE_pannier_under_test"));
    compare.current_dir(folder.path()).args(["bench", "compare", "open.json", "closed.json", "--json"]);
    let compared: Value = serde_json::from_slice(&compare.output().await.unwrap().stdout).unwrap();
    assert_eq!(
        (&compared[0]["kind"], &compared[0]["figure"]),
        (&"lookups".into(), &"a second".into()),
        "{compared}"
    );
}
