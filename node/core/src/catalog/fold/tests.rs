//! The catalog's fold, message by message.

use std::sync::Arc;

use pannier_protocol::Encoding;
use pannier_protocol::change::{Rounding, SnapshotScope, Table};
use sha2::{Digest, Sha256};

use super::*;
use crate::rows::Rows;

struct Stream {
    catalog: Catalog,
    sequence: u64,
}

impl Stream {
    fn new() -> Self {
        let incarnation = Incarnation::new("7f3a").unwrap();
        Self { catalog: Catalog::new(Arc::default(), Arc::default(), incarnation), sequence: 0 }
    }

    /// A message of epoch 0 is a claim.
    fn send(&mut self, subject: &str, epoch: u64, sequence: u64, changes: &str) -> Vec<Effect> {
        self.sequence += 1;
        let source = subject.rsplit('.').next().unwrap();
        let payload = message(source, epoch, sequence, changes);
        self.catalog.apply(&Entry {
            subject: Subject::parse(subject).unwrap(),
            stream_sequence: StreamSequence(self.sequence),
            stream_time: pannier_protocol::Timestamp::from_millis(0),
            encoding: Some(Encoding::Json),
            payload: payload.as_bytes(),
        })
    }

    /// The claim of a new chain; its epoch.
    fn claim(&mut self, subject: &str) -> u64 {
        assert_eq!(self.send(subject, 0, 0, r#"{"claim": {"instance": "test"}}"#), []);
        self.sequence
    }

    fn rounding(&self) -> Rounding {
        self.catalog.reader().load().policies.rounding
    }
}

fn message(source: &str, epoch: u64, sequence: u64, changes: &str) -> String {
    let epoch = match epoch {
        0 => String::new(),
        claim => format!(r#""epoch": {{"incarnation": "7f3a", "claim": {claim}}},"#),
    };
    format!(
        r#"{{"version": 1, "source": "{source}", {epoch} "sequence": {sequence}, "position": 0,
            "sent_at": "1970-01-01T00:00:00Z", "changes": [{changes}]}}"#
    )
}

fn rounding(version: u64, rounding: &str) -> String {
    format!(r#"{{"policy": {{"version": {version}, "document": {{"rounding": "{rounding}"}}}}}}"#)
}

fn item(item: &str) -> String {
    format!(r#"{{"item": {{"item": "{item}", "base_uom": "EA"}}}}"#)
}

fn items(chain: &CatalogChain) -> u64 {
    chain.rows.rows_count(&SnapshotScope { table: Table::Items, warehouse: None, prices: None })
}

#[test]
fn the_highest_version_of_a_policy_is_in_force_whoever_sent_it() {
    let mut stream = Stream::new();
    let (erp, ops) = ("catalog.shared.erp", "catalog.shared.ops");
    let (first, second) = (stream.claim(erp), stream.claim(ops));
    assert_eq!(stream.send(ops, second, 1, &rounding(2, "up")), []);
    assert_eq!(stream.rounding(), Rounding::Up);
    let refused = stream.send(erp, first, 1, &rounding(1, "down"));
    assert!(matches!(refused.as_slice(), [Effect::Review(review), Effect::Dropped { .. }]
        if review.reason.contains("publish it as 3")));
    assert_eq!(stream.send(erp, first, 2, &rounding(2, "up")), [], "the same again");
    assert_eq!(
        stream.send(erp, first, 3, &rounding(2, "half_even")).len(),
        2,
        "the same number, another content"
    );
    assert_eq!(stream.rounding(), Rounding::Up);
    assert_eq!(stream.send(erp, first, 4, &rounding(3, "down")), []);
    assert_eq!(stream.rounding(), Rounding::Down);
    assert!(
        stream.catalog.reader().load().chains.shared.is_empty(),
        "who only sends policies is no source of rows"
    );
}

#[test]
fn every_partition_has_a_position_of_its_own() {
    let mut stream = Stream::new();
    let reader = stream.catalog.reader();
    stream.claim("catalog.shared.erp");
    let epoch = stream.claim("catalog.07.erp");
    let removed = r#"{"scope_removed": {"scope": {"contract": "K"}}}"#;
    stream.send("catalog.07.erp", epoch, 1, removed);
    stream.send("catalog.07.erp", 0, 5, "no JSON");
    let positions =
        [Partition::Shared, Partition::Family(7), Partition::Family(8)].map(|p| reader.position(p).0);
    assert_eq!(positions, [1, 4, 0]);
    let tables = reader.load();
    let chains = (tables.chains(Partition::Shared).len(), tables.chains(Partition::Family(7)).len());
    assert_eq!(chains, (0, 1), "a claim alone states nothing");
}

#[test]
fn a_snapshot_is_swapped_in_for_new_readers_and_brings_its_policies() {
    let mut stream = Stream::new();
    let erp = "catalog.shared.erp";
    let epoch = stream.claim(erp);
    stream.send(erp, epoch, 1, &[item("A"), item("B")].join(","));
    let before = stream.catalog.reader().load();
    stream.send(erp, epoch, 2, r#"{"snapshot_begin": {"id": "s", "scope": {"table": "all"}, "cut": 0}}"#);
    let part = [r#"{"part": {"of": "s"}}"#, &item("A"), &rounding(1, "up")].join(",");
    stream.send(erp, epoch, 3, &part);
    assert_eq!(stream.rounding(), Rounding::HalfAway, "not before its end");
    let hash = Sha256::digest(message("erp", epoch, 3, &part));
    let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    let end = format!(r#"{{"snapshot_end": {{"id": "s", "rows": 2, "hash": "{hash}"}}}}"#);
    let parked = stream.send(erp, epoch, 4, &end);
    assert!(matches!(parked.as_slice(), [Effect::Review(_), Effect::Dropped { .. }]), "{parked:?}");

    let ops = stream.claim("catalog.shared.ops");
    let approve = |subject: &str| {
        format!(
            r#"{{"snapshot_approved": {{"subject": "{subject}",
                "epoch": {{"incarnation": "7f3a", "claim": {epoch}}}, "id": "s"}}}}"#
        )
    };
    let elsewhere = stream.send("catalog.shared.ops", ops, 1, &approve("ledger.stock.erp"));
    assert!(matches!(elsewhere.as_slice(), [Effect::Review(_)]));
    assert_eq!(stream.send("catalog.shared.ops", ops, 2, &approve(erp)), []);
    let after = stream.catalog.reader().load();
    assert_eq!((items(&before.chains.shared[0]), items(&after.chains.shared[0])), (2, 1));
    assert_eq!(stream.rounding(), Rounding::Up);
}

#[test]
fn two_nodes_have_one_digest_whatever_their_dictionaries_hold() {
    let (mut one, mut other) = (Stream::new(), Stream::new());
    for item in ["Z", "B", "A"] {
        other.catalog.dictionary.items.intern(item);
    }
    let mut digests = vec![one.catalog.digest()];
    for stream in [&mut one, &mut other] {
        let epoch = stream.claim("catalog.shared.erp");
        stream.send("catalog.shared.erp", epoch, 1, &[item("A"), item("B")].join(","));
        digests.push(stream.catalog.digest());
        stream.send("catalog.shared.erp", epoch, 2, &rounding(1, "up"));
        digests.push(stream.catalog.digest());
    }
    assert_eq!(digests[1..3], digests[3..5]);
    assert!(digests[0] != digests[1] && digests[1] != digests[2]);
}

/// Two sources make together what each alone is refused.
#[test]
fn lists_that_derive_from_themselves_across_sources_are_told_once() {
    const OTHER: &str = "catalog.shared.pim";
    const ERP: &str = "catalog.shared.erp";
    let list = |list: &str, parent: &str| {
        format!(
            r#"{{"scope":{{"scope":{{"list":"{list}"}},"parent":{{"list":"{parent}","multiplier":"0.9"}}}}}}"#
        )
    };
    let told = |effects: Vec<Effect>| -> Vec<String> {
        let reasons = effects.into_iter().map(|effect| {
            let Effect::Review(review) = effect else { panic!("{effect:?}") };
            review.reason.split(" by way").next().unwrap().to_owned()
        });
        reasons.collect()
    };
    let mut stream = Stream::new();
    let (erp, pim) = (stream.claim(ERP), stream.claim(OTHER));
    assert_eq!(told(stream.send(ERP, erp, 1, &list("A", "B"))), Vec::<String>::new());
    let both = ["list A derives from itself", "list B derives from itself"];
    assert_eq!(told(stream.send(OTHER, pim, 1, &list("B", "A"))), both);
    assert_eq!(told(stream.send(OTHER, pim, 2, &list("B", "A"))), Vec::<String>::new(), "once");
    assert_eq!(
        told(stream.send(OTHER, pim, 3, r#"{"scope_removed":{"scope":{"list":"B"}}}"#)),
        Vec::<String>::new()
    );
    assert_eq!(told(stream.send(OTHER, pim, 4, &list("B", "A"))), both, "it came about again");

    let mut stream = Stream::new();
    let (erp, pim) = (stream.claim(ERP), stream.claim(OTHER));
    let mut all = Vec::new();
    for at in 0..10 {
        let header = list(&format!("N{}", at + 1), &format!("N{at}"));
        let (subject, epoch) = if at % 2 == 0 { (ERP, erp) } else { (OTHER, pim) };
        all.extend(told(stream.send(subject, epoch, at / 2 + 1, &header)));
    }
    let deep = |list: &str| format!("list {list} has more than 8 lists above it");
    assert_eq!(all, [deep("N9"), deep("N10")]);
}
