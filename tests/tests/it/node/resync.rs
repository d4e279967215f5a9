//! Sources that say all of it again, while customers look up.

use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::StreamExt;
use http::Method;
use pannier_protocol::StreamSequence;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::checkout::send;
use super::gate::snapshot;
use super::{PATIENCE, Publisher, Running, stock};

/// Price rows of the large one; `PANNIER_RESYNC_ROWS` makes them a million.
const ROWS: usize = 20_000;
const ROWS_A_MESSAGE: usize = 1_000;
const LINES: usize = 20;
/// A stride that is coprime to all numbers of rows here: baskets meet the whole list.
const STRIDE: usize = 7_919;

#[tokio::test]
async fn one_that_dies_half_way_leaves_what_is_there_and_is_asked_for_again() {
    let run = Running::start().await;
    let (_, mut wms, at) = run.load_item().await;
    assert_eq!(run.line(&at).await, "ok 10.00 10");
    let mut resync = run.test.broker.client().subscribe("pna.v1.resync.wms-1").await.unwrap();
    run.test.broker.client().flush().await.unwrap();
    wms.send(json!([{"snapshot_begin": {"id": "S1", "scope": {"table": "all"}, "cut": 9}}])).await;
    let half = wms.send(json!([{"part": {"of": "S1"}}, stock("7")])).await;
    assert_eq!(run.line(&run.as_of(half, at.shared)).await, "ok 10.00 10");

    // The program ends there, and another one takes its place: it is asked for all of it.
    let mut next = run.publisher("ledger.stock.wms-1").await;
    let asked = tokio::time::timeout(PATIENCE, resync.next()).await.unwrap().unwrap();
    assert_eq!(asked.payload, "ledger.stock.wms-1");
    let whole = snapshot(&mut next, stock("8")).await;
    assert_eq!(run.line(&run.as_of(whole, at.shared)).await, "ok 10.00 8");
    run.node.stop().await.unwrap();
}

fn item(number: usize) -> String {
    format!("B-{number:07}")
}

/// Of the list `BIG`, at one price.
fn prices(numbers: std::ops::Range<usize>, value: &str) -> Value {
    let row = |number| json!([item(number), null, "EA", null, 1, "fixed", null, [["0", value]]]);
    let rows: Vec<Value> = numbers.map(row).collect();
    json!({"prices": {"scope": {"list": "BIG"}, "currency": "USD", "rows": rows}})
}

fn chunks(rows: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    (0..rows).step_by(ROWS_A_MESSAGE).map(move |from| from..rows.min(from + ROWS_A_MESSAGE))
}

/// All prices again at another value, with a change of the first item between all parts.
async fn repeat(source: &mut Publisher, rows: usize, value: &str) -> StreamSequence {
    // What was said so far is in the picture; what follows between its parts comes on top.
    let cut = source.sequence;
    source.send(json!([{"snapshot_begin": {"id": "S1", "scope": {"table": "prices"}, "cut": cut}}])).await;
    let mut hash = Sha256::new();
    for numbers in chunks(rows) {
        source.sequence += 1;
        let part = source.envelope(source.sequence, json!([{"part": {"of": "S1"}}, prices(numbers, value)]));
        let payload = serde_json::to_vec(&part).unwrap();
        hash.update(&payload);
        source.put(payload).await;
        source.send(json!([prices(0..1, "5")])).await;
    }
    let hash: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    source.send(json!([{"snapshot_end": {"id": "S1", "rows": rows, "hash": hash}}])).await
}

/// The prices of one basket, the first item's and those of the others.
async fn basket(run: &Running, rows: usize, number: usize) -> (String, Vec<String>) {
    let others = (1..LINES).map(|line| 1 + (number * LINES + line) * STRIDE % (rows - 1));
    let line =
        |(at, number)| json!({"line": format!("{at}"), "item": item(number), "quantity": "1", "uom": "EA"});
    let lines: Vec<Value> = std::iter::once(0).chain(others).enumerate().map(line).collect();
    let request = json!({"account": "C-BIG", "include": ["price"], "lines": lines});
    let (status, answer) = send(&run.http, Method::POST, "/v1/price-availability", None, &request).await;
    assert_eq!(status, 200, "{answer}");
    let price = |line: &Value| line["price"]["unit_price"].as_str().unwrap_or("none").to_owned();
    let prices: Vec<String> = answer["lines"].as_array().unwrap().iter().map(price).collect();
    (prices[0].clone(), prices[1..].to_vec())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_basket_sees_a_mix_of_old_and_new() {
    let rows = std::env::var("PANNIER_RESYNC_ROWS").map_or(ROWS, |rows| rows.parse().unwrap());
    let run = Running::start().await;
    let (_, _wms, at) = run.load_item().await;
    let mut source = run.publisher("catalog.shared.big").await;
    source.send(json!([{"account": {"account": "C-BIG", "root": "C-BIG", "lists": ["BIG"]}}])).await;
    let mut shared = at.shared;
    for numbers in chunks(rows) {
        let one = |number| json!({"item": {"item": item(number), "base_uom": "EA"}});
        source.send(Value::Array(numbers.clone().map(one).collect())).await;
        shared = source.send(json!([prices(numbers, "1")])).await;
    }
    run.wait_for(|snapshot| snapshot.applied.catalog >= shared).await;

    let stop = AtomicBool::new(false);
    let looking = async {
        let (mut old, mut new) = (0, 0);
        let mut number = 0;
        while !stop.load(Ordering::Relaxed) {
            let (first, others) = basket(&run, rows, number).await;
            number += 1;
            match others.first().map(String::as_str) {
                Some("1") => old += 1,
                Some("2") => new += 1,
                other => panic!("{other:?} is no price of any time"),
            }
            assert!(others.iter().all(|price| *price == others[0]), "old and new: {others:?}");
            // What was said meanwhile holds in both.
            assert!(first == "5" || (first == "1" && others[0] == "1"), "{first} beside {}", others[0]);
        }
        (old, new)
    };
    let repeating = async {
        let at = repeat(&mut source, rows, "2").await;
        run.wait_for(|snapshot| snapshot.applied.catalog >= at).await;
        // Somebody asks after it.
        basket(&run, rows, 0).await;
        stop.store(true, Ordering::Relaxed);
    };
    let ((old, _), ()) = tokio::join!(looking, repeating);
    assert!(old > 0, "nobody asked while the old prices were in force");
    let (first, others) = basket(&run, rows, 1).await;
    assert!(first == "5" && others.iter().all(|price| price == "2"), "{first} {others:?}");
    run.node.stop().await.unwrap();
}
