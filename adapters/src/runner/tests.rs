//! The runner without a broker: what a submission becomes in mirror and outbox, and what a crash leaves of it.

use pannier_protocol::change::{PriceScopeKind, PriceSelection, SnapshotScope, Table};
use pannier_protocol::codec::decode_envelope;
use pannier_protocol::limits::{LEDGER_CHUNK_BYTES_MAX, MESSAGE_BYTES_MAX, MESSAGE_CHANGES_MAX};
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    AccountId, Change, Encoding, Envelope, Epoch, Incarnation, Partition, SourceId, SourceSequence,
    StreamSequence, Timestamp,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::outbox::{CaughtUp, begin_epoch, push_ticks, repeat, repeat_old};
use super::pack::rows_count;
use super::store::{Outgoing, Store, StoreError};
use super::submit::{Review, Snapshot, Submission, priced, submit};
use crate::limits::REPEAT_AGE_MS_MAX;

struct Bench {
    store: Store,
    folder: tempfile::TempDir,
    source: SourceId,
}

const NOW: Timestamp = Timestamp::from_millis(1_795_400_000_000);

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("state")).unwrap();
        Self { store, folder, source: SourceId::new("erp-1").unwrap() }
    }

    /// As after the end of the process.
    fn reopened(self) -> Self {
        let Self { store, folder, source } = self;
        drop(store);
        let store = Store::open(&folder.path().join("state")).unwrap();
        Self { store, folder, source }
    }

    fn stock(&self) -> Subject {
        Subject::Stock(self.source.clone())
    }

    fn catalog(&self, partition: Partition) -> Subject {
        Subject::Catalog(partition, self.source.clone())
    }

    fn submit(&self, submission: Submission) {
        submit(&self.store, &self.source, submission, NOW).unwrap();
    }

    fn groups(&self, groups: Vec<Vec<Change>>) {
        self.submit(Submission { position: 7, groups, ..Submission::default() });
    }

    /// Gives every chain an epoch, as a drain would, and empties the outbox.
    fn claim_all(&self) {
        for (subject, _) in self.store.chains().unwrap() {
            let epoch = Epoch { incarnation: Incarnation::new("7f3a").unwrap(), claim: StreamSequence(1) };
            begin_epoch(&self.store, &self.source, &subject, &epoch, None, NOW).unwrap();
        }
        self.sent();
    }

    /// Takes everything out of the outbox as if it had been stored.
    fn sent(&self) -> Vec<(Subject, Envelope, Vec<u8>)> {
        let mut sent = Vec::new();
        while let Some((id, outgoing)) = self.store.next_outgoing().unwrap() {
            if let Outgoing::Message { subject, sequence, payload } = outgoing {
                let envelope = decode_envelope(Encoding::MessagePack, &payload).unwrap();
                assert_eq!(envelope.sequence, SourceSequence(sequence));
                let mut chain = self.store.chain(&subject).unwrap();
                chain.acknowledged = sequence;
                self.store.write(|tables| tables.put_chain(&subject, &chain)).unwrap();
                sent.push((subject, envelope, payload));
            }
            let remove = |tables: &mut super::store::Tables<'_>| {
                tables.outbox.remove(id)?;
                Ok(())
            };
            self.store.write(remove).unwrap();
        }
        sent
    }

    fn rows(&self, subject: &Subject) -> Vec<Change> {
        self.store.rows(&super::row_key::chain_range(subject)).unwrap()
    }
}

fn change(json: serde_json::Value) -> Change {
    serde_json::from_value(json).unwrap()
}

fn cell(item: u32, warehouse: &str, on_hand: u32) -> Change {
    change(json!({"stock_set": {"item": format!("I{item:06}"), "warehouse": warehouse, "uom": "EA",
        "on_hand": on_hand.to_string()}}))
}

fn account(account: &str, root: &str) -> Change {
    change(json!({"account": {"account": account, "root": root}}))
}

fn contract(contract: &str, members: &[&str]) -> Change {
    let members: Vec<_> = members.iter().map(|member| json!({"account": member})).collect();
    change(json!({"scope": {"scope": {"contract": contract}, "members": members}}))
}

fn prices(contract: &str, items: std::ops::Range<u32>) -> Change {
    let row = |item| json!([format!("I{item:06}"), null, null, null, 1, "fixed", null, [["0", "1.5"]]]);
    let rows: Vec<_> = items.map(row).collect();
    change(json!({"prices": {"scope": {"contract": contract}, "currency": "USD", "rows": rows}}))
}

fn kinds(envelope: &Envelope) -> Vec<&'static str> {
    envelope.changes.iter().map(Change::kind).collect()
}

#[test]
fn a_chain_without_an_epoch_waits_for_its_snapshot() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 5)], vec![cell(2, "DAL", 6)]]);
    assert_eq!(bench.sent(), [], "nothing to send before the claim");
    let epoch = Epoch { incarnation: Incarnation::new("7f3a").unwrap(), claim: StreamSequence(9) };
    begin_epoch(&bench.store, &bench.source, &bench.stock(), &epoch, None, NOW).unwrap();
    let sent = bench.sent();
    let shape: Vec<_> = sent.iter().map(|(_, envelope, _)| kinds(envelope)).collect();
    assert_eq!(shape, [vec!["snapshot_begin"], vec!["part", "stock_set", "stock_set"], vec!["snapshot_end"]]);
    assert!(sent.iter().all(|(_, envelope, _)| envelope.epoch.as_ref() == Some(&epoch)));
    assert!(sent.iter().zip(1..).all(|((_, envelope, _), at)| envelope.sequence.0 == at));
    let Some(Change::SnapshotEnd(end)) = sent[2].1.changes.first() else { panic!("{:?}", sent[2].1) };
    let hash: String = Sha256::digest(&sent[1].2).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((end.rows, end.hash.as_str()), (2, hash.as_str()));
}

#[test]
fn small_groups_share_a_message_and_large_ones_are_units() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(0, "DAL", 1)], vec![account("C-1", "C-1")], vec![contract("K", &["C-1"])]]);
    bench.claim_all();
    let cells = |range: std::ops::Range<u32>| range.map(|item| cell(item, "DAL", 1)).collect::<Vec<_>>();
    bench.groups(vec![cells(0..3), cells(3..5), cells(5..2_000), cells(2_000..2_001)]);
    let sent = bench.sent();
    let shape: Vec<_> =
        sent.iter().map(|(_, envelope, _)| (kinds(envelope)[0], envelope.changes.len())).collect();
    assert_eq!(shape[0], ("stock_set", 5));
    assert_eq!((shape[1].0, shape[shape.len() - 2].0), ("unit_begin", "unit_commit"));
    assert_eq!(shape[shape.len() - 1], ("stock_set", 1));
    let parts: usize = shape[2..shape.len() - 2]
        .iter()
        .map(|(kind, changes)| {
            assert_eq!(*kind, "part");
            changes - 1
        })
        .sum();
    assert_eq!(parts, 1_995);
    assert!(sent.iter().all(|(_, _, payload)| payload.len() <= LEDGER_CHUNK_BYTES_MAX));
}

#[test]
fn price_rows_are_cut_at_both_limits() {
    let bench = Bench::new();
    bench.groups(vec![vec![account("C-1", "C-1")], vec![contract("K", &["C-1"])]]);
    bench.claim_all();
    bench.groups(vec![(0..5).map(|part| prices("K", part * 1_000..(part + 1) * 1_000)).collect()]);
    let sent = bench.sent();
    let rows: u64 = sent
        .iter()
        .map(|(_, envelope, _)| {
            rows_count(&envelope.changes.iter().filter(|c| c.kind() == "prices").cloned().collect::<Vec<_>>())
        })
        .sum();
    assert_eq!(rows, 5_000);
    for (subject, envelope, payload) in &sent {
        assert_eq!(*subject, bench.catalog(Partition::of_root(&AccountId::new("C-1").unwrap())));
        assert!(payload.len() <= MESSAGE_BYTES_MAX);
        assert!(rows_count(&envelope.changes) <= MESSAGE_CHANGES_MAX as u64);
    }
    assert_eq!(sent.len(), 7, "five full messages between the marks");
}

#[test]
fn a_snapshot_removes_what_it_does_not_repeat_and_nothing_else() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 1), cell(2, "DAL", 1), cell(1, "CHI", 1), account("C-1", "C-1")]]);
    bench.claim_all();
    let mut scope = SnapshotScope::whole(Table::Stock);
    scope.warehouse = Some("DAL".parse().unwrap());
    let snapshots = vec![Snapshot { scope, rows: vec![cell(2, "DAL", 9)] }];
    bench.submit(Submission { position: 8, snapshots, ..Submission::default() });
    assert_eq!(bench.rows(&bench.stock()), [cell(1, "CHI", 1), cell(2, "DAL", 9)]);
    assert_eq!(bench.rows(&bench.catalog(Partition::Shared)), [account("C-1", "C-1")]);
    assert_eq!(bench.sent().len(), 3);
}

#[test]
fn a_snapshot_of_prices_reaches_every_partition_that_had_some() {
    let bench = Bench::new();
    let family = |root| bench.catalog(Partition::of_root(&AccountId::new(root).unwrap()));
    bench.groups(vec![
        vec![account("C-1", "C-1"), account("C-2", "C-2")],
        vec![contract("K-1", &["C-1"]), contract("K-2", &["C-2"]), contract("K-3", &["C-1", "C-2"])],
        vec![prices("K-1", 0..1), prices("K-2", 0..1), prices("K-3", 0..1)],
    ]);
    bench.claim_all();
    let scope = priced(Table::Prices, PriceSelection::Kind(PriceScopeKind::Contract));
    let snapshots = vec![Snapshot { scope, rows: vec![prices("K-1", 1..2)] }];
    bench.submit(Submission { position: 8, snapshots, ..Submission::default() });
    let begun: Vec<_> =
        bench.sent().into_iter().filter(|(_, e, _)| kinds(e)[0] == "snapshot_begin").collect();
    let mut subjects: Vec<_> = begun.into_iter().map(|(subject, ..)| subject).collect();
    subjects.sort();
    let mut want = vec![family("C-1"), family("C-2"), bench.catalog(Partition::Shared)];
    want.sort();
    assert_eq!(subjects, want);
    assert_eq!(bench.rows(&family("C-1")), [contract("K-1", &["C-1"]), prices("K-1", 1..2)]);
    assert_eq!(bench.rows(&family("C-2")), [contract("K-2", &["C-2"])], "its header is another table");
}

#[test]
fn a_contract_moves_with_its_members_and_they_with_their_roots() {
    let bench = Bench::new();
    let family = |root| bench.catalog(Partition::of_root(&AccountId::new(root).unwrap()));
    let shared = bench.catalog(Partition::Shared);
    bench.groups(vec![vec![prices("K", 0..2)]]);
    assert_eq!(bench.rows(&shared), [prices("K", 0..1), prices("K", 1..2)], "nobody knows whom it serves");
    bench.groups(vec![vec![contract("K", &["C-1"])]]);
    assert_eq!(bench.rows(&shared), []);
    assert_eq!(bench.rows(&family("C-1")).len(), 3, "its own account is its root until one is known");
    bench.claim_all();
    bench.groups(vec![vec![account("C-1", "C-0")]]);
    assert_eq!(bench.rows(&family("C-1")), []);
    assert_eq!(bench.rows(&family("C-0")).len(), 3);
    let (from, to) = (family("C-1"), family("C-0"));
    let removal = bench.sent().into_iter().find(|(subject, ..)| *subject == from).unwrap();
    assert_eq!(kinds(&removal.1), ["scope_removed"]);
    bench.claim_all();
    bench.groups(vec![vec![contract("K", &["C-1", "C-9"])]]);
    assert_eq!((bench.rows(&to).len(), bench.rows(&shared).len()), (0, 1 + 3));
}

#[test]
fn notes_and_changes_are_kept_together_or_not_at_all() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 1)]]);
    bench.claim_all();
    let crashed: Result<(), StoreError> = bench.store.write(|tables| {
        tables.notes.insert("log", [9].as_slice())?;
        tables.rows.insert([1].as_slice(), [1].as_slice())?;
        Err(StoreError::Outbox)
    });
    assert!(crashed.is_err());
    let bench = bench.reopened();
    assert_eq!(bench.store.note("log").unwrap(), None);
    let review = Review { kind: "row", origin: "erp-1-x-1".to_owned(), payload: b"{}".to_vec() };
    bench.submit(Submission {
        position: 9,
        groups: vec![vec![cell(1, "DAL", 2)]],
        notes: vec![("log".to_owned(), Some(vec![9]))],
        reviews: vec![review],
        ..Submission::default()
    });
    let bench = bench.reopened();
    assert_eq!(bench.store.note("log").unwrap(), Some(vec![9]));
    let (_, first) = bench.store.next_outgoing().unwrap().unwrap();
    let Outgoing::Message { subject, sequence, payload } = first else { panic!("{first:?}") };
    let envelope = decode_envelope(Encoding::MessagePack, &payload).unwrap();
    assert_eq!((subject, sequence, envelope.position), (bench.stock(), 4, 9));
    assert_eq!(envelope.changes, [cell(1, "DAL", 2)]);
}

#[test]
fn positions_never_fall() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 1)]]);
    bench.claim_all();
    bench.submit(Submission { position: 3, groups: vec![vec![cell(1, "DAL", 2)]], ..Submission::default() });
    assert_eq!(bench.sent()[0].1.position, 7);
}

#[test]
fn ticks_name_the_chains_that_were_read_to_the_same_instant() {
    let bench = Bench::new();
    bench.groups(vec![vec![
        cell(1, "DAL", 1),
        account("C-1", "C-1"),
        prices("K", 0..1),
        contract("K", &["C-1"]),
    ]]);
    bench.claim_all();
    let at = |millis| Some(Timestamp::from_millis(millis));
    let caught_up = CaughtUp { ledger: at(5), shared: at(5), families: at(6) };
    push_ticks(&bench.store, &bench.source, &caught_up, NOW).unwrap();
    let sent = bench.sent();
    let named: Vec<_> = sent
        .iter()
        .map(|(subject, envelope, _)| match envelope.changes.first() {
            Some(Change::Tick(tick)) => {
                let points: Vec<_> =
                    tick.subjects.iter().map(|point| (&point.subject, point.sequence.0)).collect();
                assert_eq!(points, [(subject, 3)], "each alone here, at what came before the tick");
                tick.caught_up_to.millis()
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(named, [5, 6, 5], "shared, family, ledger");
    push_ticks(&bench.store, &bench.source, &CaughtUp::default(), NOW).unwrap();
    assert_eq!(bench.sent(), [], "a source that was not read yet says nothing");
}

#[test]
fn a_chain_is_repeated_once_at_a_time() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 1)]]);
    let again = |bench: &Bench| repeat(&bench.store, &bench.source, &bench.stock(), NOW).unwrap();
    assert!(!again(&bench), "it has no epoch: its snapshot comes anyway");
    bench.claim_all();
    assert!(again(&bench));
    assert!(!again(&bench), "one is under way");
    assert_eq!(bench.sent().len(), 3);
    assert!(again(&bench));
}

#[test]
fn a_chain_is_repeated_before_streams_forget_it() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 5)], vec![account("C-1", "C-1")]]);
    bench.claim_all();
    let at = |hours: i64| NOW.plus_millis(hours * 60 * 60 * 1_000);
    let old = |hours| repeat_old(&bench.store, &bench.source, at(hours)).unwrap();
    assert_eq!(old(5 * 24 - 1), []);
    let repeated = old(6 * 24);
    assert_eq!(repeated.len(), 2, "{repeated:?}");
    let sent = bench.sent();
    let begun: Vec<_> =
        sent.iter().filter(|(_, envelope, _)| kinds(envelope).contains(&"snapshot_begin")).collect();
    assert_eq!(begun.len(), 2);
    assert_eq!(old(6 * 24 + 1), [], "the next ones are days away");
}

#[test]
fn a_state_that_notes_no_snapshot_begins_to_count() {
    let bench = Bench::new();
    bench.groups(vec![vec![cell(1, "DAL", 5)]]);
    bench.claim_all();
    let subject = bench.stock();
    let mut chain = bench.store.chain(&subject).unwrap();
    chain.whole_at = None;
    bench.store.write(|tables| tables.put_chain(&subject, &chain)).unwrap();
    let later = NOW.plus_millis(REPEAT_AGE_MS_MAX);
    assert_eq!(repeat_old(&bench.store, &bench.source, NOW).unwrap(), []);
    assert_eq!(repeat_old(&bench.store, &bench.source, later).unwrap(), [subject]);
}
