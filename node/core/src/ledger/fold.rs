//! The fold of the ledger: one entry after the other, in stream order, the same on every node.
//!
//! It reads the ledger and nothing else. Its clock is the ledger's own: the greatest so far of the lesser of
//! broker's and publisher's stamp, so that neither a broker whose clock goes back nor a publisher whose clock
//! runs ahead moves it alone. Entries without a readable stamp do not move it.
//!
//! Orders and their events belong to a later rule version: until a control entry activates one, every node
//! passes them over unread.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pannier_protocol::change::SnapshotApproved;
use pannier_protocol::limits::ENVELOPE_VERSION;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, SourceId, StreamSequence, Timestamp};

use super::{LedgerTables, PromiseRows, StockChain, StockRows};
use crate::dictionary::Dictionary;
use crate::entry::{DropReason, Effect, Entry, ReviewKind};
use crate::freshness::Board;
use crate::gate::{self, Chain, ControlChain, GateMode, Message, Outcome, ReadError};
use crate::limits::STAMPS_APART_MS_MAX;
use crate::watermark::Watermark;

/// The rule version that this build follows; the only one so far.
pub const RULE_VERSION: u32 = 1;

/// State and writer of the ledger's tables.
pub struct Ledger {
    dictionary: Arc<Dictionary>,
    board: Arc<Board>,
    mode: GateMode,
    stock: BTreeMap<SourceId, Chain<StockRows>>,
    promises: Arc<PromiseRows>,
    control: ControlChain,
    clock: Timestamp,
    stamps_apart_count: u64,
    /// Set once a newer build is needed; nothing is applied from there on.
    stopped: Option<String>,
    reader: LedgerReader,
}

/// What lookups hold of the ledger; cheap to clone.
#[derive(Clone)]
pub struct LedgerReader {
    tables: Arc<ArcSwap<LedgerTables>>,
    position: Arc<Watermark>,
    incarnation: Incarnation,
}

impl LedgerReader {
    /// The tables as they are now; what is applied to their rows later shows in them.
    pub fn load(&self) -> Arc<LedgerTables> {
        self.tables.load_full()
    }

    /// The last entry applied: a floor for lookups that begin after reading it.
    pub fn position(&self) -> StreamSequence {
        self.position.get()
    }

    pub fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }
}

impl Ledger {
    /// A ledger before its first entry. `board` is shared with the catalog of the same node.
    pub fn new(dictionary: Arc<Dictionary>, board: Arc<Board>, incarnation: Incarnation) -> Self {
        Self::with_gate(dictionary, board, incarnation, GateMode::On)
    }

    /// As [`Ledger::new`]; for measuring what the gate is worth.
    pub fn with_gate(
        dictionary: Arc<Dictionary>,
        board: Arc<Board>,
        incarnation: Incarnation,
        mode: GateMode,
    ) -> Self {
        let control = ControlChain::new(incarnation.clone(), mode);
        let tables = LedgerTables::default();
        let promises = Arc::clone(&tables.promises);
        let tables = Arc::new(ArcSwap::from_pointee(tables));
        let reader = LedgerReader { tables, position: Arc::default(), incarnation };
        Self {
            dictionary,
            board,
            mode,
            stock: BTreeMap::new(),
            promises,
            control,
            clock: Timestamp::MIN,
            stamps_apart_count: 0,
            stopped: None,
            reader,
        }
    }

    pub fn reader(&self) -> LedgerReader {
        self.reader.clone()
    }

    /// Ledger time: never falls; [`Timestamp::MIN`] before the first stamp.
    pub fn clock(&self) -> Timestamp {
        self.clock
    }

    /// Entries whose two stamps were more than [`STAMPS_APART_MS_MAX`] apart.
    pub fn stamps_apart_count(&self) -> u64 {
        self.stamps_apart_count
    }

    /// Control entries that never came.
    pub fn control_missing_count(&self) -> u64 {
        self.control.missing_count()
    }

    /// Wrapping sum over the stock chains, the control chain and the clock.
    pub fn digest(&self) -> u128 {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(b"ledger");
        hash.update(&self.clock.millis().to_le_bytes());
        hash.update(&self.control.claimed().0.to_le_bytes());
        hash.update(&self.control.last().0.to_le_bytes());
        self.stock.values().map(Chain::digest).fold(hash.digest128(), u128::wrapping_add)
    }

    /// Takes in the next entry. One at or before the last is a duplicate of the delivery. After `Stop` nothing
    /// is applied and every entry answers `Stop`.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Vec<Effect> {
        if self.stopped.is_none() && entry.stream_sequence <= self.reader.position() {
            let subject = entry.subject.clone();
            return vec![Effect::Dropped { subject, reason: DropReason::Duplicate }];
        }
        let mut effects = Vec::new();
        if self.stopped.is_none() {
            effects = self.apply_next(entry);
        }
        match &self.stopped {
            None => self.reader.position.raise(entry.stream_sequence),
            Some(needs) => effects.push(Effect::Stop { needs: needs.clone() }),
        }
        effects
    }

    fn apply_next(&mut self, entry: &Entry<'_>) -> Vec<Effect> {
        let mut out = Outcome::default();
        match &entry.subject {
            Subject::Stock(_) | Subject::Control => {}
            Subject::Order(_) | Subject::Event(_) => {
                out.dropped(&entry.subject, DropReason::LaterRules);
                return out.effects;
            }
            Subject::Catalog(..) => {
                out.poison(entry, format!("{} has no place in the ledger", entry.subject));
                return out.effects;
            }
        }
        match gate::read(entry) {
            Ok(message) => {
                self.advance_clock(entry.stream_time, message.sent_at);
                match entry.subject.source() {
                    Some(source) => self.apply_stock(entry, source, message, &mut out),
                    None => self.apply_control(entry, message, &mut out),
                }
            }
            Err(ReadError::Newer { version }) => {
                self.stopped =
                    Some(format!("envelope version {version}; this build reads {ENVELOPE_VERSION}"));
            }
            Err(ReadError::Garbage { reason }) => out.poison(entry, reason),
        }
        out.effects
    }

    fn advance_clock(&mut self, stream_time: Timestamp, sent_at: Timestamp) {
        let apart = stream_time.millis_since(sent_at).max(sent_at.millis_since(stream_time));
        self.stamps_apart_count += u64::from(apart > STAMPS_APART_MS_MAX);
        self.clock = self.clock.max(stream_time.min(sent_at));
    }

    fn apply_stock(&mut self, entry: &Entry<'_>, source: &SourceId, message: Message, out: &mut Outcome) {
        let chain = match self.stock.entry(source.clone()) {
            Slot::Occupied(slot) => slot.into_mut(),
            Slot::Vacant(slot) => {
                let opened = gate::open(entry, &message, &self.board, out);
                let Some(status) = opened else { return };
                slot.insert(Chain::new(
                    StockRows::new(Arc::clone(&self.dictionary)),
                    status,
                    Arc::clone(&self.board),
                    self.reader.incarnation.clone(),
                    self.mode,
                ))
            }
        };
        let outcome = chain.apply(entry, message);
        let publish = outcome.opened || outcome.swapped;
        out.effects.extend(outcome.effects);
        if publish {
            self.publish();
        }
    }

    fn apply_control(&mut self, entry: &Entry<'_>, message: Message, out: &mut Outcome) {
        let outcome = self.control.apply(entry, message, &self.board);
        out.effects.extend(outcome.effects);
        for approved in &outcome.approvals {
            self.approve(entry, approved, out);
        }
        let unknown = outcome.activations.iter().find(|activated| activated.version > RULE_VERSION);
        if let Some(activated) = unknown {
            let version = activated.version;
            self.stopped = Some(format!("rule version {version}; this build follows {RULE_VERSION}"));
        }
    }

    fn approve(&mut self, entry: &Entry<'_>, approved: &SnapshotApproved, out: &mut Outcome) {
        let chain = match &approved.subject {
            Subject::Stock(source) => self.stock.get_mut(source),
            Subject::Order(_) | Subject::Event(_) | Subject::Control | Subject::Catalog(..) => None,
        };
        let Some(chain) = chain.filter(|_| approved.epoch.incarnation == self.reader.incarnation) else {
            let subject = &approved.subject;
            let reason = format!(
                "{subject} has no snapshots in this ledger; those of the catalog are approved on catalog.shared"
            );
            return out.review(entry, ReviewKind::Snapshot, reason);
        };
        let outcome = chain.approve(entry, approved);
        out.effects.extend(outcome.effects);
        if outcome.swapped {
            self.publish();
        }
    }

    /// One store: a lookup sees the old chains or the new ones.
    fn publish(&self) {
        let carrying = self.stock.iter().filter(|(_, chain)| chain.carries_rows());
        let chains = carrying.map(|(source, chain)| StockChain {
            source: source.clone(),
            status: Arc::clone(chain.status()),
            rows: Arc::clone(chain.rows()),
        });
        let promises = Arc::clone(&self.promises);
        self.reader.tables.store(Arc::new(LedgerTables { chains: chains.collect(), promises }));
    }
}

#[cfg(test)]
mod tests;
