//! Streams as text, one message a line.
//!
//! `claim`; `3 A=5 B@LAX=2 A+1 A- A~10` is message 3 of the last epoch with a set, one for another warehouse, an
//! adjustment, a removal and supply; `e1:3 ...` is of the first epoch. `@70` gives the position (else it is the
//! stream sequence). `unit:u`, `part:u`, `commit:u`; `begin:s`, `part:s`, `end:s`: snapshots of everything with
//! the cut at the begin's position, unless `begin:s:stock`, `begin:s:stock:LAX`, `begin:s:all::70`; `end:s:bad` has
//! a wrong hash. `poison` is a change that has no place there, `unknown` one that cannot be decoded, `garbage`
//! bytes, `other` an epoch of another incarnation, `tick` one of the message before.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;

use pannier_protocol::change::{
    ChainPoint, Claim, ItemRemoved, Part, SnapshotApproved, SnapshotBegin, SnapshotEnd, SnapshotScope,
    StockAdjust, StockRemoved, StockSet, SupplySet, Table, Tick, UnitBegin, UnitCommit,
};
use pannier_protocol::codec::encode_envelope;
use pannier_protocol::subject::Subject;
use pannier_protocol::{
    Change, Decimal, Encoding, Envelope, Epoch, Incarnation, ItemId, LocalDate, MarkId, SourceId,
    SourceSequence, StreamSequence, SupplyReference, Timestamp, UomCode, WarehouseId,
};
use sha2::{Digest, Sha256};

use super::table::Plain;
use crate::entry::{DropReason, Effect, Entry, ReviewKind};
use crate::freshness::Board;
use crate::gate::{Chain, GateMode, Outcome, ReadError, read};

pub(super) fn subject() -> Subject {
    Subject::Stock(SourceId::new("wms").unwrap())
}

fn incarnation() -> Incarnation {
    Incarnation::new("7f3a").unwrap()
}

/// A chain of the plain table with the stream that feeds it.
pub(super) struct Stream {
    pub(super) chain: Chain<Plain>,
    stream_sequence: u64,
    claims: Vec<u64>,
    /// Count and hash of the parts so far.
    parts: HashMap<MarkId, (u64, Sha256)>,
}

impl Stream {
    pub(super) fn new(mode: GateMode) -> Self {
        let board = Arc::new(Board::default());
        let status = board.chain(&subject()).unwrap();
        let chain = Chain::new(Plain::default(), status, board, incarnation(), mode);
        Self { chain, stream_sequence: 0, claims: Vec::new(), parts: HashMap::new() }
    }

    /// One line of a script into the chain.
    pub(super) fn send(&mut self, line: &str) -> Outcome {
        let payload = self.compose(line);
        self.deliver(&payload)
    }

    /// One line of a script as its writer publishes it.
    pub(super) fn compose(&mut self, line: &str) -> Vec<u8> {
        self.stream_sequence += 1;
        let mut words = line.split_whitespace().peekable();
        let first = words.next().unwrap();
        if first == "claim" {
            self.claims.push(self.stream_sequence);
            let instance = MarkId::new("test").unwrap();
            return self.encode(None, 0, self.stream_sequence, vec![Change::Claim(Claim { instance })]);
        }
        if first == "garbage" {
            return b"\xc1 no message".to_vec();
        }
        let (epoch, sequence) = first.split_once(':').unwrap_or(("", first));
        let at = epoch.strip_prefix('e').map_or(self.claims.len(), |number| number.parse().unwrap());
        let claim = at.checked_sub(1).and_then(|at| self.claims.get(at)).copied().unwrap_or(at as u64);
        let mut epoch = Epoch { incarnation: incarnation(), claim: StreamSequence(claim) };
        let sequence = sequence.parse().unwrap();
        let mut position = self.stream_sequence;
        if let Some(given) = words.next_if(|word| word.starts_with('@')) {
            position = given[1..].parse().unwrap();
        }
        if words.next_if_eq(&"other").is_some() {
            epoch.incarnation = Incarnation::new("0000").unwrap();
        }
        let words: Vec<&str> = words.collect();
        let changes = words.iter().map(|word| self.change(word, &epoch, sequence, position));
        let changes = changes.collect::<Vec<_>>();
        self.encode(Some(epoch), sequence, position, changes)
    }

    /// An operator approves a parked snapshot of the last epoch.
    pub(super) fn approve(&mut self, id: &str) -> Outcome {
        let claim = StreamSequence(*self.claims.last().unwrap());
        let epoch = Epoch { incarnation: incarnation(), claim };
        let approved = SnapshotApproved { subject: subject(), epoch, id: MarkId::new(id).unwrap() };
        let entry = entry(self.stream_sequence, &[]);
        self.chain.approve(&entry, &approved)
    }

    fn encode(
        &mut self,
        epoch: Option<Epoch>,
        sequence: u64,
        position: u64,
        changes: Vec<Change>,
    ) -> Vec<u8> {
        let part = if let Some(Change::Part(part)) = changes.first() { Some(part.of.clone()) } else { None };
        let (count, at) = (changes.len() as u64, Timestamp::from_millis(0));
        let source = SourceId::new("wms").unwrap();
        let is_unknown = changes.iter().any(|change| matches!(change, Change::RuleVersionActivated(_)));
        let envelope = Envelope::new(source, epoch, SourceSequence(sequence), position, at, changes);
        let mut payload = encode_envelope(Encoding::MessagePack, &envelope).unwrap();
        if is_unknown {
            let kind = b"rule_version_activated";
            let at = payload.windows(kind.len()).position(|window| window == kind).unwrap();
            payload[at] = b'f';
        }
        if let Some(of) = part {
            let (rows, sha) = self.parts.entry(of).or_default();
            *rows += count - 1;
            sha.update(&payload);
        }
        payload
    }

    /// A message arrives, be it for the first time or not.
    pub(super) fn deliver(&mut self, payload: &[u8]) -> Outcome {
        let entry = entry(self.stream_sequence, payload);
        match read(&entry) {
            Ok(message) => self.chain.apply(&entry, message),
            Err(ReadError::Garbage { reason }) => {
                let mut out = Outcome::default();
                out.poison(&entry, reason);
                out
            }
            Err(ReadError::Newer { .. }) => unreachable!("scripts write the version of this build"),
        }
    }

    fn change(&mut self, word: &str, epoch: &Epoch, sequence: u64, position: u64) -> Change {
        let (kind, rest) = word.split_once(':').unwrap_or((word, ""));
        let mut args = rest.split(':');
        let id = MarkId::new(args.next().filter(|id| !id.is_empty()).unwrap_or("-")).unwrap();
        match kind {
            "unit" => Change::UnitBegin(UnitBegin { id }),
            "part" => Change::Part(Part { of: id }),
            "commit" | "end" => {
                let (rows, sha) = self.parts.remove(&id).unwrap_or_default();
                let bad = args.next() == Some("bad");
                let sha = if bad { Sha256::digest("bad") } else { sha.finalize() };
                let hash = sha.iter().map(|byte| format!("{byte:02x}")).collect();
                match kind {
                    "end" => Change::SnapshotEnd(SnapshotEnd { id, rows, hash }),
                    _ => Change::UnitCommit(UnitCommit { id, count: rows, hash }),
                }
            }
            "begin" => {
                self.parts.remove(&id);
                let table = match args.next() {
                    Some("stock") => Table::Stock,
                    Some("supply") => Table::Supply,
                    _ => Table::All,
                };
                let warehouse = args.next().filter(|w| !w.is_empty()).map(|w| WarehouseId::new(w).unwrap());
                let cut = args.next().map_or(position, |cut| cut.parse().unwrap());
                let scope = SnapshotScope { table, warehouse, prices: None };
                Change::SnapshotBegin(SnapshotBegin { id, scope, cut })
            }
            "poison" => Change::ItemRemoved(ItemRemoved { item: ItemId::new("A").unwrap() }),
            "unknown" => {
                Change::RuleVersionActivated(pannier_protocol::change::RuleVersionActivated { version: 1 })
            }
            "tick" => {
                let (epoch, sequence) = (epoch.clone(), SourceSequence(sequence - 1));
                let caught_up_to = Timestamp::from_millis(i64::try_from(self.stream_sequence).unwrap());
                let subjects = vec![ChainPoint { subject: subject(), epoch, sequence }];
                Change::Tick(Tick { caught_up_to, subjects })
            }
            row => row_change(row),
        }
    }
}

fn row_change(word: &str) -> Change {
    let at = word.find(['=', '+', '-', '~']).unwrap();
    let (place, quantity) = (&word[..at], &word[at + 1..]);
    let (item, warehouse) = place.split_once('@').unwrap_or((place, "DAL"));
    let (item, warehouse) = (ItemId::new(item).unwrap(), WarehouseId::new(warehouse).unwrap());
    let uom = UomCode::new("EA").unwrap();
    let quantity = if quantity.is_empty() { Decimal::ZERO } else { Decimal::parse(quantity).unwrap() };
    match word.as_bytes()[at] {
        b'=' => Change::StockSet(StockSet {
            item,
            warehouse,
            uom,
            class: None,
            on_hand: quantity,
            allocated: Decimal::ZERO,
            quarantine: Decimal::ZERO,
            on_hand_is_net: false,
            receipts: Vec::new(),
            reflects: None,
        }),
        b'+' => Change::StockAdjust(StockAdjust {
            item,
            warehouse,
            uom,
            on_hand: quantity,
            allocated: Decimal::ZERO,
            quarantine: Decimal::ZERO,
            receipts: Vec::new(),
            reflects: None,
        }),
        b'~' => Change::SupplySet(SupplySet {
            item,
            warehouse,
            reference: SupplyReference::new("PO").unwrap(),
            uom,
            date: LocalDate::new(2026, 12, 1).unwrap(),
            quantity,
            received: Decimal::ZERO,
        }),
        _ => Change::StockRemoved(StockRemoved { item, warehouse }),
    }
}

fn entry(stream_sequence: u64, payload: &[u8]) -> Entry<'_> {
    Entry {
        subject: subject(),
        stream_sequence: StreamSequence(stream_sequence),
        stream_time: Timestamp::from_millis(0),
        encoding: Some(Encoding::MessagePack),
        payload,
    }
}

/// Every line of the script with what it did (a word an effect) and the chain after it.
pub(super) fn trace(script: &str) -> String {
    let (mut stream, mut trace) = (Stream::new(GateMode::On), String::new());
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let out = match line.strip_prefix("approve ") {
            Some(id) => stream.approve(id),
            None => stream.send(line),
        };
        let effects = out.effects.iter().map(shown).collect::<Vec<_>>().join(" ");
        let state = stream.chain.status().load();
        let loaded = if state.loaded { "" } else { "not loaded " };
        let suspect = if state.suspect { "suspect " } else { "" };
        let wanted = if state.wanted { "wanted " } else { "" };
        let swapped = if out.swapped { "swapped " } else { "" };
        let rows = stream.chain.rows();
        let line = format!("{line:<24}| {effects:<28}| {swapped}{loaded}{suspect}{wanted}{rows}");
        writeln!(trace, "{}", line.trim_end()).unwrap();
    }
    trace
}

fn shown(effect: &Effect) -> &'static str {
    match effect {
        Effect::Review(review) => match review.kind {
            ReviewKind::Poison => "review:poison",
            ReviewKind::Row => "review:row",
            ReviewKind::Snapshot => "review:snapshot",
            ReviewKind::Fork => "review:fork",
        },
        Effect::Resync { .. } => "resync",
        Effect::Dropped { reason: DropReason::StagingDropped, .. } => "staging",
        Effect::Dropped { reason, .. } => reason.as_str(),
        Effect::Stop { .. } => "stop",
    }
}
