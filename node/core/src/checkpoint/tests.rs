//! Whole states through bytes and back, and bytes that are not what was written.

use std::sync::Arc;

use pannier_protocol::change::{SnapshotScope, Table};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Encoding, Incarnation, StreamSequence, Timestamp};

use super::*;
use crate::catalog::Catalog;
use crate::dictionary::Dictionary;
use crate::entry::Entry;
use crate::freshness::Board;
use crate::ledger::Ledger;
use crate::rows::Rows;

struct Node {
    ledger: Ledger,
    catalog: Catalog,
}

fn incarnation() -> Incarnation {
    Incarnation::new("7f3a").unwrap()
}

impl Node {
    fn new() -> Self {
        let (dictionary, board) = (Arc::<Dictionary>::default(), Arc::<Board>::default());
        Self {
            ledger: Ledger::new(Arc::clone(&dictionary), Arc::clone(&board), incarnation()),
            catalog: Catalog::new(dictionary, board, incarnation()),
        }
    }

    fn apply(&mut self, (subject, at, payload): &(Subject, u64, String)) {
        let entry = Entry {
            subject: subject.clone(),
            stream_sequence: StreamSequence(*at),
            stream_time: Timestamp::from_millis(1_000 * *at as i64),
            encoding: Some(Encoding::Json),
            payload: payload.as_bytes(),
        };
        match subject {
            Subject::Catalog(..) => self.catalog.apply(&entry),
            Subject::Stock(_) | Subject::Order(_) | Subject::Event(_) | Subject::Control => {
                self.ledger.apply(&entry)
            }
        };
    }

    fn digests(&self) -> (u128, u128) {
        (self.ledger.digest(), self.catalog.digest())
    }

    fn bytes(&self) -> Vec<u8> {
        written(Frozen::take(&self.ledger, &self.catalog).unwrap())
    }
}

fn written(frozen: Frozen) -> Vec<u8> {
    let mut bytes = Vec::new();
    let head = frozen.head(None, None);
    let mut sink = |frame: &[u8]| {
        bytes.extend_from_slice(frame);
        Ok(())
    };
    frozen.write(&head, &mut sink).unwrap();
    bytes
}

fn loaded(bytes: &[u8], piece: usize) -> Result<Node, LoadError> {
    let mut loader = Loader::new(incarnation());
    for piece in bytes.chunks(piece) {
        loader.push(piece)?;
    }
    let Loaded { ledger, catalog, .. } = loader.finish()?;
    Ok(Node { ledger, catalog })
}

/// A ledger beside an empty catalog, read back.
pub(crate) fn ledger_through_bytes(ledger: &Ledger) -> Ledger {
    let catalog = Catalog::new(Arc::clone(ledger.dictionary()), Arc::default(), incarnation());
    loaded(&written(Frozen::take(ledger, &catalog).unwrap()), 1_009).unwrap().ledger
}

/// Numbers of a seed, the same every time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        // xorshift
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % bound
    }
}

fn stock_change(seed: &mut Seeded) -> String {
    let (item, warehouse) = (seed.below(40), ["DAL", "CHI", "ATL"][seed.below(3) as usize]);
    let (quantity, day) = (seed.below(100), 1 + seed.below(28));
    let cell = format!(r#""item":"I{item}","warehouse":"{warehouse}""#);
    match seed.below(8) {
        0 => format!(r#"{{"stock_adjust":{{{cell},"uom":"EA","quantity":"{quantity}"}}}}"#),
        1 => format!(
            r#"{{"supply_set":{{{cell},"uom":"EA","reference":"PO-{quantity}","date":"2026-11-{day:02}","quantity":"5"}}}}"#
        ),
        2 => format!(r#"{{"safety_set":{{{cell},"uom":"EA","quantity":"2"}}}}"#),
        3 => format!(r#"{{"stock_removed":{{{cell}}}}}"#),
        4 => format!(
            r#"{{"credit":{{"account":"C{item}","currency":"USD","limit":"500","balance":"{quantity}","blocked":false}}}}"#
        ),
        _ => format!(r#"{{"stock_set":{{{cell},"uom":"EA","on_hand":"{quantity}"}}}}"#),
    }
}

fn catalog_change(seed: &mut Seeded) -> String {
    let (n, item, value) = (seed.below(12), seed.below(90), 1 + seed.below(50));
    match seed.below(9) {
        0 => format!(
            r#"{{"item":{{"item":"I{item}","base_uom":"EA","class":"c{n}","uoms":[{{"uom":"BX","numerator":{value},"denominator":3}}]}}}}"#
        ),
        1 => format!(
            r#"{{"reference":{{"kind":{{"customer":"C{n}"}},"number":"n{value}","item":"I{item}","uom":"BX"}}}}"#
        ),
        2 => format!(r#"{{"account":{{"account":"C{n}","root":"C{n}","groups":["G{value}"]}}}}"#),
        3 => format!(r#"{{"scope":{{"scope":{{"contract":"K{n}"}},"members":[{{"account":"C{n}"}}]}}}}"#),
        4 => format!(r#"{{"item_removed":{{"item":"I{item}"}}}}"#),
        5 => format!(
            r#"{{"prices_removed":{{"scope":{{"contract":"K{n}"}},"currency":"EUR","rows":[["I{item}",null,null,null]]}}}}"#
        ),
        6 => format!(
            r#"{{"prices":{{"scope":{{"contract":"K{n}"}},"currency":"USD","from":{{"date":"2026-0{}-01","inclusive":true,"zone":"UTC"}},
                "rows":[["I{item}",null,"BX",null,100,{{"list_chain":{{"percents":["5"]}}}},"EA",[["0","10"],["20","{value}"]]]]}}}}"#,
            1 + n % 9
        ),
        _ => format!(
            r#"{{"prices":{{"scope":{{"contract":"K{n}"}},"currency":"EUR",
                "rows":[["I{item}",null,null,null,1,"fixed",null,[["0","{value}"]]],[null,"c{n}",null,null,1,"fixed",null,[["0","3"]]]]}}}}"#
        ),
    }
}

/// Messages of three chains, with a gap now and then.
fn messages(seed: u64, count: u64) -> Vec<(Subject, u64, String)> {
    let mut seed = Seeded(seed << 32 | 0x9e37_79b9);
    let subjects = ["ledger.stock.wms", "catalog.shared.erp", "catalog.07.erp"];
    let (mut at, mut places, mut all) = (0, [(0, 0); 3], Vec::new());
    for _ in 0..count {
        let of = seed.below(3) as usize;
        let source = subjects[of].rsplit('.').next().unwrap();
        let (claim, sequence) = &mut places[of];
        at += 1;
        let rest = if *claim == 0 {
            *claim = at;
            r#""sequence":0,"changes":[{"claim":{"instance":"t"}}]"#.to_owned()
        } else {
            *sequence += 1 + u64::from(seed.below(40) == 0);
            let change = if of == 0 { stock_change(&mut seed) } else { catalog_change(&mut seed) };
            format!(
                r#""epoch":{{"incarnation":"7f3a","claim":{claim}}},"sequence":{sequence},"changes":[{change}]"#
            )
        };
        let payload = format!(
            r#"{{"version":1,"source":"{source}","position":{at},"sent_at":"1970-01-01T00:00:01Z",{rest}}}"#
        );
        all.push((Subject::parse(subjects[of]).unwrap(), at, payload));
    }
    all
}

fn filled() -> Node {
    let mut node = Node::new();
    messages(7, 900).iter().for_each(|message| node.apply(message));
    let count = |rows: &dyn Fn(&SnapshotScope) -> u64, table| {
        rows(&SnapshotScope { table, warehouse: None, prices: None })
    };
    let (stock, catalog) = (node.ledger.reader().load(), node.catalog.reader().load());
    let shared = [Table::Items, Table::References, Table::Accounts, Table::Scopes, Table::Prices];
    // Items and accounts are shared: a family has prices alone.
    let counts = [
        [Table::Stock, Table::Supply, Table::Safety, Table::Credit]
            .map(|table| count(&|scope| stock.chains[0].rows.rows_count(scope), table))
            .to_vec(),
        shared.map(|table| count(&|scope| catalog.chains.shared[0].rows.rows_count(scope), table)).to_vec(),
        [Table::Scopes, Table::Prices]
            .map(|table| count(&|scope| catalog.chains.families[7][0].rows.rows_count(scope), table))
            .to_vec(),
    ];
    assert!(
        counts.iter().flatten().all(|count| *count > 5),
        "there is not something of everything: {counts:?}"
    );
    node
}

#[test]
fn a_state_goes_through_bytes_and_goes_on_as_it_would_have() {
    for seed in 1..6 {
        let all = messages(seed, 1_200);
        let (before, after) = all.split_at(700 + 40 * seed as usize);
        let mut live = Node::new();
        before.iter().for_each(|message| live.apply(message));
        let bytes = live.bytes();
        let mut again = loaded(&bytes, 1_009).unwrap();
        assert_eq!(again.digests(), live.digests(), "{seed}");
        assert_eq!(again.ledger.reader().position(), live.ledger.reader().position());
        assert!(again.bytes() == bytes, "{seed}: other bytes for the same state");
        for message in after {
            live.apply(message);
            again.apply(message);
            assert_eq!(again.digests(), live.digests(), "{seed}: {message:?}");
        }
        assert!(again.bytes() == live.bytes(), "{seed}: other bytes after going on");
    }
}

#[test]
fn what_is_applied_after_it_was_taken_is_not_in_it() {
    let all = messages(3, 1_200);
    let mut node = Node::new();
    all[..800].iter().for_each(|message| node.apply(message));
    let (bytes, digests) = (node.bytes(), node.digests());
    let frozen = Frozen::take(&node.ledger, &node.catalog).unwrap();
    let late = std::thread::scope(|scope| {
        let writing = scope.spawn(|| written(frozen));
        all[800..].iter().for_each(|message| node.apply(message));
        writing.join().unwrap()
    });
    assert_ne!(node.digests(), digests);
    assert!(late == bytes, "the state moved under its checkpoint");
}

/// Where frames begin, and of which section they are.
fn frames(bytes: &[u8]) -> Vec<(usize, u8, usize)> {
    let (mut at, mut all) = (12, Vec::new());
    while at < bytes.len() {
        let packed = u32::from_le_bytes(bytes[at + 8..at + 12].try_into().unwrap()) as usize;
        all.push((at, bytes[at], 20 + packed));
        at += 20 + packed;
    }
    all
}

#[test]
fn damage_in_any_section_is_told_by_its_name() {
    let bytes = filled().bytes();
    let mut sections = std::collections::BTreeSet::new();
    for (at, section, length) in frames(&bytes) {
        for place in [0, 1, 3, 5, 9, 12, 20, length - 1] {
            let mut damaged = bytes.clone();
            damaged[at + place] ^= 0x41;
            let name = Section::ALL.into_iter().find(|it| *it as u8 == section).unwrap();
            // A length that promises more than there is takes what follows for its own.
            match loaded(&damaged, 4_096).err() {
                Some(LoadError::Damaged { section: told, .. } | LoadError::Short { section: told }) => {
                    assert_eq!(told, name, "{at} {place}");
                }
                other => panic!("{at} {place}: {other:?}"),
            }
            sections.insert(section);
        }
        assert!(matches!(loaded(&bytes[..at], 4_096).err(), Some(LoadError::Short { .. })), "cut at {at}");
    }
    assert_eq!(sections.len(), Section::ALL.len());
    let longer = [&bytes[..], b"x"].concat();
    assert!(matches!(loaded(&longer, 4_096).err(), Some(LoadError::Short { section: Section::End })));
}

#[test]
fn other_versions_and_other_lives_are_refused_with_what_to_do() {
    let bytes = filled().bytes();
    let mut newer = bytes.clone();
    newer[8] += 1;
    let error = loaded(&newer, 64).err().unwrap().to_string();
    assert_eq!(
        error,
        "it has format 2 and this build reads 1; start the build that wrote it, or load another way"
    );
    assert_eq!(loaded(b"something else entirely", 64).err(), Some(LoadError::NotACheckpoint));
    let frozen = Frozen::take(&filled().ledger, &filled().catalog).unwrap();
    let mut later = Vec::new();
    let mut sink = |frame: &[u8]| {
        later.extend_from_slice(frame);
        Ok(())
    };
    let head = Head { rules: 99, ..frozen.head(None, None) };
    frozen.write(&head, &mut sink).unwrap();
    let error = loaded(&later, 64).err().unwrap().to_string();
    assert_eq!(error, "it needs rule version 99 and this build follows 3; upgrade this node");
    let mut other = Loader::new(Incarnation::new("beef").unwrap());
    let error = other.push(&bytes).unwrap_err().to_string();
    assert!(error.contains("incarnation 7f3a and the streams are of beef"), "{error}");
}

#[test]
fn a_snapshot_that_is_open_is_waited_for() {
    let mut node = filled();
    let last = messages(7, 900).iter().rfind(|message| message.0.to_string() == "ledger.stock.wms").cloned();
    let (subject, _, payload) = last.unwrap();
    let read = |key: &str| -> u64 {
        let rest = payload.split(key).nth(1).unwrap();
        rest.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    };
    let (claim, sequence) = (read(r#""claim":"#), read(r#""sequence":"#) + 1);
    let begin = format!(
        r#"{{"version":1,"source":"wms","position":5000,"sent_at":"1970-01-01T00:00:01Z",
            "epoch":{{"incarnation":"7f3a","claim":{claim}}},"sequence":{sequence},
            "changes":[{{"snapshot_begin":{{"id":"s","scope":{{"table":"all"}},"cut":5000}}}}]}}"#
    );
    node.apply(&(subject.clone(), 901, begin));
    let busy = Frozen::take(&node.ledger, &node.catalog).err();
    assert_eq!(busy, Some(Busy { subject }));
}
