//! The ledger's fold, entry by entry.

use std::sync::Arc;

use expect_test::{Expect, expect};
use pannier_protocol::Encoding;
use sha2::{Digest, Sha256};

use super::*;

/// A ledger and the stream that feeds it.
struct Stream {
    ledger: Ledger,
    sequence: u64,
}

impl Stream {
    fn new() -> Self {
        let incarnation = Incarnation::new("7f3a").unwrap();
        Self { ledger: Ledger::new(Arc::default(), Arc::default(), incarnation), sequence: 0 }
    }

    /// `subject claim epoch/sequence @stream_time/sent_at changes` in JSON, as in
    /// `ledger.stock.wms 1/2 @1000/900 {"stock_removed": ...}`.
    fn send(&mut self, line: &str) -> Vec<Effect> {
        let mut words = line.splitn(4, ' ');
        let subject = words.next().unwrap();
        let (epoch, sequence) = words.next().unwrap().split_once('/').unwrap();
        let (stream_time, sent_at) = words.next().unwrap()[1..].split_once('/').unwrap();
        let changes = words.next().unwrap();
        let source = subject.rsplit('.').next().unwrap();
        let source = if source == "control" { "operator" } else { source };
        let epoch = match epoch {
            "claim" => String::new(),
            number => format!(r#""epoch": {{"incarnation": "7f3a", "claim": {number}}},"#),
        };
        let sent_at = Timestamp::from_millis(sent_at.parse().unwrap());
        let payload = format!(
            r#"{{"version": 1, "source": "{source}", {epoch} "sequence": {sequence}, "position": 0,
                "sent_at": "{sent_at}", "changes": [{changes}]}}"#
        );
        self.deliver(subject, stream_time.parse().unwrap(), payload.as_bytes())
    }

    fn deliver(&mut self, subject: &str, stream_time: i64, payload: &[u8]) -> Vec<Effect> {
        self.sequence += 1;
        self.ledger.apply(&Entry {
            subject: Subject::parse(subject).unwrap(),
            stream_sequence: StreamSequence(self.sequence),
            stream_time: Timestamp::from_millis(stream_time),
            encoding: Some(Encoding::Json),
            payload,
        })
    }

    fn cells(&self, source: &str) -> Option<u64> {
        let tables = self.ledger.reader().load();
        let chain = tables.chains.iter().find(|chain| chain.source.as_str() == source)?;
        Some(crate::rows::Rows::rows_count(&*chain.rows, &whole()))
    }
}

fn whole() -> pannier_protocol::change::SnapshotScope {
    let table = pannier_protocol::change::Table::All;
    pannier_protocol::change::SnapshotScope { table, warehouse: None, prices: None }
}

fn set(item: &str) -> String {
    format!(r#"{{"stock_set": {{"item": "{item}", "warehouse": "DAL", "uom": "EA", "on_hand": "5"}}}}"#)
}

const CLAIM: &str = r#"{"claim": {"instance": "test"}}"#;

fn check(script: &[&str], expected: Expect) {
    let (mut stream, mut told) = (Stream::new(), String::new());
    for line in script {
        let effects = stream.send(line);
        let reader = stream.ledger.reader();
        let chains = reader.load().chains.len();
        let clock = stream.ledger.clock().millis();
        told += &format!("L{} clock {clock} chains {chains} {effects:?}\n", reader.position());
    }
    expected.assert_eq(&told);
}

#[test]
fn the_clock_is_the_lesser_stamp_and_never_falls() {
    let mut stream = Stream::new();
    let claim = format!("ledger.stock.wms claim/0 @1000/900 {CLAIM}");
    stream.send(&claim);
    assert_eq!(stream.ledger.clock().millis(), 900);
    stream.send(&format!("ledger.stock.wms 1/1 @2000/9000 {}", set("A")));
    assert_eq!((stream.ledger.clock().millis(), stream.ledger.stamps_apart_count()), (2000, 1));
    stream.send(&format!("ledger.stock.wms 1/2 @1500/1500 {}", set("A")));
    stream.deliver("ledger.stock.wms", 9000, b"no message");
    assert_eq!((stream.ledger.clock().millis(), stream.ledger.stamps_apart_count()), (2000, 1));
}

#[test]
fn orders_wait_for_their_rules_and_strangers_are_poison() {
    check(
        &[
            &format!("ledger.stock.wms claim/0 @1/1 {CLAIM}"),
            r#"ledger.order.n1 1/1 @5/5 {"order": {}}"#,
            r#"ledger.event.erp 1/1 @5/5 {"order_event": {}}"#,
            &format!("catalog.shared.erp claim/0 @5/5 {CLAIM}"),
            &format!("ledger.stock.wms 1/1 @6/6 {}", set("A")),
        ],
        expect![[r#"
            L1 clock 1 chains 0 []
            L2 clock 1 chains 0 [Dropped { subject: Order("n1"), reason: LaterRules }]
            L3 clock 1 chains 0 [Dropped { subject: Event("erp"), reason: LaterRules }]
            L4 clock 1 chains 0 [Review(Review { kind: Poison, subject: Catalog(Shared, "erp"), source: Some("erp"), stream_sequence: StreamSequence(4), index: 0, reason: "catalog.shared.erp has no place in the ledger" }), Dropped { subject: Catalog(Shared, "erp"), reason: Poison }]
            L5 clock 6 chains 1 []
        "#]],
    );
}

#[test]
fn an_unknown_rule_version_stops_the_fold_where_it_stands() {
    check(
        &[
            &format!("ledger.control claim/0 @1/1 {CLAIM}"),
            r#"ledger.control 1/1 @2/2 {"rule_version_activated": {"version": 1}}"#,
            r#"ledger.control 1/3 @3/3 {"rule_version_activated": {"version": 7}}"#,
            &format!("ledger.stock.wms claim/0 @4/4 {CLAIM}"),
        ],
        expect![[r#"
            L1 clock 1 chains 0 []
            L2 clock 2 chains 0 []
            L2 clock 3 chains 0 [Stop { needs: "rule version 7; this build follows 3" }]
            L2 clock 3 chains 0 [Stop { needs: "rule version 7; this build follows 3" }]
        "#]],
    );
    let mut stream = Stream::new();
    let newer = br#"{"version": 2, "later": true}"#;
    assert!(matches!(stream.deliver("ledger.stock.wms", 1, newer).as_slice(), [Effect::Stop { .. }]));
    assert_eq!(stream.ledger.reader().position(), StreamSequence(0));
}

#[test]
fn a_delivery_that_comes_twice_is_passed_over() {
    let mut stream = Stream::new();
    stream.send(&format!("ledger.stock.wms claim/0 @1/1 {CLAIM}"));
    stream.sequence = 0;
    let effects = stream.send(&format!("ledger.stock.wms claim/0 @1/1 {CLAIM}"));
    assert!(matches!(effects.as_slice(), [Effect::Dropped { reason: DropReason::Duplicate, .. }]));
}

#[test]
fn a_parked_snapshot_is_approved_on_the_control_subject() {
    let mut stream = Stream::new();
    let rows = [set("A"), set("B"), set("C")].join(",");
    stream.send(&format!("ledger.stock.wms claim/0 @1/1 {CLAIM}"));
    stream.send(&format!("ledger.stock.wms 1/1 @1/1 {rows}"));
    let begin = r#"{"snapshot_begin": {"id": "s", "scope": {"table": "all"}, "cut": 0}}"#;
    stream.send(&format!("ledger.stock.wms 1/2 @1/1 {begin}"));
    let hash: String = Sha256::digest(b"").iter().map(|byte| format!("{byte:02x}")).collect();
    let end = format!(r#"{{"snapshot_end": {{"id": "s", "rows": 0, "hash": "{hash}"}}}}"#);
    stream.send(&format!("ledger.stock.wms 1/3 @1/1 {end}"));
    let before = stream.ledger.reader().load();
    assert_eq!(stream.cells("wms"), Some(3));

    stream.send(&format!("ledger.control claim/0 @1/1 {CLAIM}"));
    let approve = |subject: &str| {
        format!(
            r#"{{"snapshot_approved": {{"subject": "{subject}",
                "epoch": {{"incarnation": "7f3a", "claim": 1}}, "id": "s"}}}}"#
        )
    };
    for (at, subject) in [(1, "catalog.shared.wms"), (2, "ledger.stock.erp")] {
        let effects = stream.send(&format!("ledger.control 5/{at} @1/1 {}", approve(subject)));
        assert!(matches!(effects.as_slice(), [Effect::Review(_)]), "{effects:?}");
    }
    assert_eq!(stream.send(&format!("ledger.control 5/3 @1/1 {}", approve("ledger.stock.wms"))), []);
    assert_eq!(stream.cells("wms"), Some(0));
    assert_eq!(
        crate::rows::Rows::rows_count(&*before.chains[0].rows, &whole()),
        3,
        "who reads on is not disturbed"
    );
}

#[test]
fn two_nodes_have_one_digest_whatever_their_dictionaries_hold() {
    let (mut one, mut other) = (Stream::new(), Stream::new());
    for item in ["Z", "B", "A"] {
        other.ledger.dictionary.items.intern(item);
    }
    for line in [
        &format!("ledger.stock.wms claim/0 @1/1 {CLAIM}"),
        &format!("ledger.stock.wms 1/1 @2/2 {},{}", set("A"), set("B")),
        &format!("ledger.stock.erp claim/0 @3/3 {CLAIM}"),
        &format!("ledger.stock.erp 3/1 @4/4 {}", set("B")),
    ] {
        let before = one.ledger.digest();
        one.send(line);
        other.send(line);
        assert_eq!(one.ledger.digest(), other.ledger.digest());
        assert_ne!(one.ledger.digest(), before, "{line}");
    }
}
