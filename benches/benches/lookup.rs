//! A basket through the core, without IO.
//!
//! Expected on paper, for one line: an item probe, ten levels of which two hold rows (a binary search in blocks of 64 each),
//! exact arithmetic, and one item's stock over two warehouses: about 3 us. Twenty lines and what a basket loads once (account,
//! scopes): below 80 us. A group that has no price of the item costs one probe of its blocks, about 60 ns; a break one
//! comparison of the search, so 64 of them six; shown whole they cost what they have to be copied. A line of supply is an
//! addition in the walk over days: 64 of them below 2 us. Encoding writes some 500 bytes a line: JSON below 1 us, MessagePack
//! half of it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pannier_benches::{Node, basket, cell, item, prices, request};
use pannier_protocol::{Encoding, codec};
use serde_json::{Value, json};

fn lookup(criterion: &mut Criterion) {
    let node = Node::loaded();
    for lines in [1, 20] {
        let request = basket(lines);
        criterion.bench_function(&format!("lookup of {lines} lines"), |bencher| {
            bencher.iter(|| node.answer(black_box(&request)));
        });
    }
}

/// One line, priced by the list behind so many groups that have no price of it.
fn depth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quote by levels");
    let mut node = Node::loaded();
    for groups in [0_usize, 8, 32] {
        let names: Vec<String> = (0..groups).map(|at| format!("G-{at}")).collect();
        let account = format!("D-{groups}");
        let mut changes = vec![json!({"account": {"account": account, "root": account, "groups": names}})];
        let others = |_| (1..100).map(|n| (item(n), json!([["0", "1"]])));
        changes.extend(names.iter().map(|name| prices(&json!({"group": name}), others(()))));
        node.say_catalog(&Value::Array(changes));
        let request = request(&account, std::iter::once(item(9_999)), &["price"]);
        group.bench_with_input(BenchmarkId::from_parameter(groups), &request, |bencher, request| {
            bencher.iter(|| node.answer(black_box(request)));
        });
    }
}

fn breaks(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quote by breaks");
    let mut node = Node::loaded();
    node.say_catalog(&json!([{"account": {"account": "B-1", "root": "B-1", "groups": ["LADDERS"]}}]));
    for count in [1_usize, 8, 64] {
        let ladder: Vec<Value> =
            (0..count).map(|at| json!([at.to_string(), format!("{}", 200 - at)])).collect();
        let rows = std::iter::once((item(count), Value::Array(ladder)));
        node.say_catalog(&json!([prices(&json!({"group": "LADDERS"}), rows)]));
        for (name, include) in [("price", &["price"][..]), ("with breaks", &["price", "breaks"][..])] {
            let request = request("B-1", std::iter::once(item(count)), include);
            group.bench_with_input(BenchmarkId::new(name, count), &request, |bencher, request| {
                bencher.iter(|| node.answer(black_box(request)));
            });
        }
    }
}

fn atp(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("availability by lines of supply");
    let mut node = Node::loaded();
    for count in [0_usize, 16, 64] {
        let supply = |at: usize| {
            let date = format!("2027-{:02}-{:02}", 2 + at / 28, 1 + at % 28);
            json!({"supply_set": {"item": item(count), "warehouse": "DAL", "reference": format!("PO-{at}"), "uom": "EA",
                                  "date": date, "quantity": "1", "received": "0"}})
        };
        let changes: Vec<Value> =
            std::iter::once(cell(count, "DAL", 3)).chain((0..count).map(supply)).collect();
        node.say_stock(&Value::Array(changes));
        let request = request("C-1", std::iter::once(item(count)), &["availability", "schedule"]);
        group.bench_with_input(BenchmarkId::from_parameter(count), &request, |bencher, request| {
            bencher.iter(|| node.answer(black_box(request)));
        });
    }
}

fn encoded(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode a basket of 20 lines");
    let answer = Node::loaded().answer(&basket(20));
    for (name, encoding) in [("JSON", Encoding::Json), ("MessagePack", Encoding::MessagePack)] {
        let bytes = codec::encode(encoding, &answer).expect("an answer").len();
        group.throughput(Throughput::Bytes(bytes as u64));
        group.bench_function(name, |bencher| bencher.iter(|| codec::encode(encoding, black_box(&answer))));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(500))
        .measurement_time(std::time::Duration::from_secs(2)).sample_size(30);
    targets = lookup, depth, breaks, atp, encoded
}
criterion_main!(benches);
