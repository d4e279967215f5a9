//! How often a lookup allocates, where time is too noisy to tell. No measurement of criterion: counts are exact.
//!
//! Wanted: a lookup allocates nothing that it does not hand out. What is handed out is counted by copying the answer: every
//! allocation of the copy is one that the answer cannot do without in this shape.
//!
//! `cargo bench -p pannier-benches --bench allocations`

#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use allocation_counter::measure;
use pannier_benches::{Node, basket};
use pannier_protocol::api::decode_lookup;
use pannier_protocol::{Encoding, codec};

fn main() {
    let node = Node::loaded();
    println!("{:<10} {:<24} {:>12} {:>12}", "lines", "", "allocations", "bytes");
    for lines in [1, 20] {
        let request = basket(lines);
        let answer = node.answer(&request);
        let body = codec::encode(Encoding::Json, &request).expect("a request");
        let show = |what: &str, of: allocation_counter::AllocationInfo| {
            println!("{lines:<10} {what:<24} {:>12} {:>12}", of.count_total, of.bytes_total);
        };
        show("decode the request", measure(|| drop(decode_lookup(Encoding::Json, &body))));
        show("answer", measure(|| drop(node.answer(&request))));
        show("of it handed out", measure(|| drop(answer.clone())));
        for (name, encoding) in
            [("encode JSON", Encoding::Json), ("encode MessagePack", Encoding::MessagePack)]
        {
            show(name, measure(|| drop(codec::encode(encoding, &answer))));
        }
    }
}
