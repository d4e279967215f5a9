//! A checkpoint of 20,000 price rows, 10,000 items and 20,000 cells, written to memory and read from there.
//!
//! Expected on paper: a row is some 30 bytes before compression, sorted by ranks and hashed: 200 ns to write, most of it
//! compression; to read it 150 ns. So both take about 10 ms here.

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pannier_benches::{Node, incarnation};
use pannier_core::checkpoint::{Frozen, Loader, SinkClosed};

fn written(node: &Node) -> (Vec<u8>, u64) {
    let frozen = Frozen::take(&node.ledger, &node.catalog).expect("no snapshot is open");
    let head = frozen.head(None, None);
    let mut bytes = Vec::new();
    let mut sink = |more: &[u8]| {
        bytes.extend_from_slice(more);
        Ok::<(), SinkClosed>(())
    };
    let rows = frozen.write(&head, &mut sink).expect("memory is open");
    (bytes, rows)
}

fn checkpoint(criterion: &mut Criterion) {
    let node = Node::loaded();
    let (bytes, rows) = written(&node);
    let mut group = criterion.benchmark_group("checkpoint");
    group.throughput(Throughput::Elements(rows));
    group.bench_function("write", |bencher| bencher.iter(|| written(&node)));
    group.bench_function("read", |bencher| {
        bencher.iter(|| {
            let mut loader = Loader::new(incarnation());
            loader.push(black_box(&bytes)).expect("a checkpoint");
            loader.finish().expect("a checkpoint")
        });
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2)).sample_size(10);
    targets = checkpoint
}
criterion_main!(benches);
