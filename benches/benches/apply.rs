//! Changes into the tables: decode, gate, write, and the digest that goes with every row.
//!
//! Expected on paper: decoding MessagePack of maps with names is about 150 ns a cell, a stock change then a probe, a record of
//! its item built anew and one map insert: about 500 ns. A price row is 30 ns to decode and 31 ns to load, and its hash 40 ns:
//! about 100 ns with 1,000 rows a message. So 2 M changes a second are within reach for prices and not for cells.

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pannier_benches::{ITEMS, Message, Node, cell, item, prices};
use serde_json::{Value, json};

/// Applies messages that were made before, as many as are asked for, each once and in order.
fn applied(node: &mut Node, count: u64, mut next: impl FnMut(&mut Node, usize) -> Message) -> Duration {
    let messages: Vec<Message> = (0..count as usize).map(|at| next(node, at)).collect();
    let began = now();
    for message in &messages {
        node.apply(message);
    }
    began.elapsed()
}

#[expect(clippy::disallowed_methods, reason = "what is measured is time")]
fn now() -> Instant {
    Instant::now()
}

fn apply(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("apply");
    let mut node = Node::loaded();
    let (cells, mut round) = (500_usize, 0);
    group.throughput(Throughput::Elements(cells as u64));
    group.bench_function("stock cells, 500 a message", |bencher| {
        bencher.iter_custom(|count| {
            round += 1;
            applied(&mut node, count, |node, at| {
                let changes: Vec<Value> =
                    (0..cells).map(|n| cell((at * cells + n) % ITEMS, "DAL", round * 1_000 + at)).collect();
                node.stock_message(&Value::Array(changes))
            })
        });
    });
    for rows in [50_usize, 1_000] {
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("price rows, {rows} a scope and message"), |bencher| {
            bencher.iter_custom(|count| {
                round += 1;
                applied(&mut node, count, |node, at| {
                    let price = json!([["0", format!("{}.{}", round % 1_000, at % 10)], ["10", "0.5"]]);
                    let rows = (0..rows).map(|n| (item(n), price.clone()));
                    let scope = json!({"list": format!("L-{}", at % 50)});
                    node.catalog_message(&json!([prices(&scope, rows)]))
                })
            });
        });
    }
}

fn digest(criterion: &mut Criterion) {
    let node = Node::loaded();
    criterion.bench_function("digest of the ledger", |bencher| bencher.iter(|| node.ledger.digest()));
    criterion.bench_function("digest of the catalog", |bencher| bencher.iter(|| node.catalog.digest()));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2)).sample_size(10);
    targets = apply, digest
}
criterion_main!(benches);
