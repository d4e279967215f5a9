//! The fold of the ledger: one entry after the other, in stream order, the same on every node.
//!
//! It reads the ledger and nothing else. Its clock is the ledger's own: the greatest so far of the lesser of
//! broker's and publisher's stamp, so that neither a broker whose clock goes back nor a publisher whose clock
//! runs ahead moves it alone. Entries without a readable stamp do not move it.
//!
//! Orders and their events came with rule version 2, handovers with 3: until a control entry activates it, every node
//! passes them over unread. What ends by itself (holds, keys) ends before an entry is judged, by ledger time with that entry.

use std::collections::btree_map::Entry as Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use pannier_protocol::change::SnapshotApproved;
use pannier_protocol::limits::ENVELOPE_VERSION;
use pannier_protocol::order::Decision;
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Incarnation, ItemId, SourceId, StreamSequence, Timestamp};

use super::orders::{At, Moment, Orders, OrdersReader, RECOVERY_FORMAT};
use super::{HandedOver, LedgerTables, PromiseRows, StockChain, StockRows};
use crate::dictionary::{Dictionary, ItemNo};
use crate::entry::{DropReason, Effect, Entry, ReviewKind};
use crate::freshness::Board;
use crate::gate::{self, Chain, GateMode, Message, OpenChain, Outcome, ReadError, Shape};
use crate::limits::STAMPS_APART_MS_MAX;
use crate::watermark::Watermark;

/// The highest rule version that this build follows. A ledger begins with version 1.
pub const RULE_VERSION: u32 = 3;
/// From this one on there are orders.
const RULES_WITH_ORDERS: u32 = 2;
/// From this one on systems are handed over.
const RULES_WITH_HANDOVER: u32 = 3;

/// State and writer of the ledger's tables.
pub struct Ledger {
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) board: Arc<Board>,
    pub(super) mode: GateMode,
    pub(super) stock: BTreeMap<SourceId, Chain<StockRows>>,
    pub(super) promises: Arc<PromiseRows>,
    pub(super) control: OpenChain,
    /// Of orders by node, and of events by backend.
    pub(super) others: BTreeMap<Subject, OpenChain>,
    pub(super) orders: Orders,
    /// In force.
    pub(super) rules: u32,
    pub(super) clock: Timestamp,
    pub(super) stamps_apart_count: u64,
    /// Named by the entry at hand.
    effects_count: u32,
    /// Set once a newer build is needed; nothing is applied from there on.
    pub(super) stopped: Option<String>,
    pub(super) reader: LedgerReader,
}

/// What lookups hold of the ledger; cheap to clone.
#[derive(Clone)]
pub struct LedgerReader {
    tables: Arc<ArcSwap<LedgerTables>>,
    orders: OrdersReader,
    pub(super) position: Arc<Watermark>,
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

    /// Orders and holds as of [`LedgerReader::position`] or later.
    pub fn orders(&self) -> &OrdersReader {
        &self.orders
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
        let control = OpenChain::new(incarnation.clone(), mode);
        let tables = LedgerTables::default();
        let promises = Arc::clone(&tables.promises);
        let tables = Arc::new(ArcSwap::from_pointee(tables));
        let orders = Orders::default();
        let reader = LedgerReader { orders: orders.reader(), tables, position: Arc::default(), incarnation };
        Self {
            dictionary,
            board,
            mode,
            stock: BTreeMap::new(),
            promises,
            control,
            others: BTreeMap::new(),
            orders,
            rules: 1,
            clock: Timestamp::MIN,
            stamps_apart_count: 0,
            effects_count: 0,
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

    /// Control entries, groups of orders and events that never came.
    pub fn control_missing_count(&self) -> u64 {
        let others = self.others.values().map(OpenChain::missing_count);
        others.fold(self.control.missing_count(), u64::saturating_add)
    }

    /// External ids to the numbers of this process.
    pub fn dictionary(&self) -> &Arc<Dictionary> {
        &self.dictionary
    }

    /// The rule version in force.
    pub fn rules(&self) -> u32 {
        self.rules
    }

    /// Wrapping sum over the stock chains, the other chains, orders and the clock.
    pub fn digest(&self) -> u128 {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(b"ledger");
        hash.update(&self.clock.millis().to_le_bytes());
        hash.update(&self.control.claimed().0.to_le_bytes());
        hash.update(&self.control.last().0.to_le_bytes());
        if self.rules >= RULES_WITH_ORDERS {
            hash.update(&self.rules.to_le_bytes());
            for (subject, chain) in &self.others {
                hash.update(subject.to_string().as_bytes());
                hash.update(&chain.claimed().0.to_le_bytes());
                hash.update(&chain.last().0.to_le_bytes());
            }
        }
        let begun = hash.digest128().wrapping_add(self.orders.digest());
        self.stock.values().map(Chain::digest).fold(begun, u128::wrapping_add)
    }

    /// Takes in the next entry. One at or before the last is a duplicate of the delivery. After `Stop` nothing
    /// is applied and every entry answers `Stop`.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Vec<Effect> {
        if self.stopped.is_none() && entry.stream_sequence <= self.reader.position() {
            let subject = entry.subject.clone();
            return vec![Effect::Dropped { subject, reason: DropReason::Duplicate }];
        }
        let mut effects = Vec::new();
        self.effects_count = 0;
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
            Subject::Order(_) | Subject::Event(_) if self.rules >= RULES_WITH_ORDERS => {}
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
            Ok(message) => self.apply_message(entry, message, &mut out),
            Err(ReadError::Newer { version }) => {
                self.stopped =
                    Some(format!("envelope version {version}; this build reads {ENVELOPE_VERSION}"));
            }
            Err(ReadError::Garbage { reason }) => out.poison(entry, reason),
        }
        out.effects
    }

    fn apply_message(&mut self, entry: &Entry<'_>, message: Message, out: &mut Outcome) {
        self.advance_clock(entry.stream_time, message.sent_at);
        if self.rules >= RULES_WITH_ORDERS {
            self.judging(entry, |orders, at| orders.expire_due(at));
        }
        match &entry.subject {
            Subject::Stock(source) | Subject::Catalog(_, source) => {
                self.apply_stock(entry, source, message, out)
            }
            Subject::Control => self.apply_control(entry, message, out),
            Subject::Order(_) | Subject::Event(_) => self.apply_orders(entry, message, out),
        }
    }

    /// Lets orders look at the ledger as it is at this entry.
    fn judging(&mut self, entry: &Entry<'_>, judge: impl FnOnce(&mut Orders, &mut At<'_>)) {
        let mut at = At::new(
            &self.stock,
            &self.promises,
            &self.dictionary,
            &mut self.effects_count,
            Moment { position: entry.stream_sequence, stream_time: entry.stream_time, clock: self.clock },
        );
        judge(&mut self.orders, &mut at);
    }

    fn apply_orders(&mut self, entry: &Entry<'_>, message: Message, out: &mut Outcome) {
        let (incarnation, mode) = (&self.reader.incarnation, self.mode);
        let chain = self.others.entry(entry.subject.clone());
        let chain = chain.or_insert_with(|| OpenChain::new(incarnation.clone(), mode));
        let outcome = chain.apply(entry, message, &self.board);
        out.effects.extend(outcome.effects);
        self.apply_changes(entry, &outcome.orders);
    }

    /// Commands, events and decisions, one after the other.
    fn apply_changes(&mut self, entry: &Entry<'_>, changes: &[Change]) {
        let source = entry.subject.source();
        let (mut condemned, mut handed_over) = (Vec::new(), false);
        self.judging(entry, |orders, at| {
            for change in changes {
                if let Change::Command(command) = change {
                    orders.apply_command(at, command);
                } else if let (Change::Event(event), Some(backend)) = (change, source) {
                    orders.apply_event(at, backend, event);
                } else if let Change::Decision(decision) = change
                    && orders.apply_decision(at, decision)
                {
                    if let Decision::Invalidate(rows) = &**decision {
                        condemned.push(rows.invalidate());
                    }
                    handed_over |= matches!(&**decision, Decision::Handover(_) | Decision::Recover(_));
                }
            }
        });
        condemned.iter().for_each(|rows| self.board.invalidate(&self.reader.incarnation, rows));
        if handed_over {
            self.publish();
        }
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
        let (touched, caps) = (touched(&self.dictionary, &message), counts_caps(&message));
        let outcome = chain.apply(entry, message);
        let (publish, swapped) = (outcome.opened || outcome.swapped, outcome.swapped);
        out.effects.extend(outcome.effects);
        if publish {
            self.publish();
        }
        // After the rows: see `PromiseRows`.
        match touched.filter(|_| !swapped) {
            Some(items) if items.is_empty() => {}
            Some(items) => self.judging(entry, |orders, at| orders.stock_changed(at, &items)),
            None => return self.judging(entry, Orders::all_stock_changed),
        }
        if caps {
            self.judging(entry, |orders, at| orders.caps_changed(at));
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
            return;
        }
        let format = outcome.orders.iter().find_map(unknown_format);
        if let Some(format) = format {
            self.stopped = Some(format!("records of format {format}; this build reads {RECOVERY_FORMAT}"));
            return;
        }
        let activated = outcome.activations.iter().map(|activated| activated.version).max();
        self.rules = self.rules.max(activated.unwrap_or_default());
        let (known, later): (Vec<Change>, Vec<Change>) =
            outcome.orders.into_iter().partition(|change| rules_of(change) <= self.rules);
        self.apply_changes(entry, &known);
        if !later.is_empty() {
            out.dropped(&entry.subject, DropReason::LaterRules);
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
            self.judging(entry, Orders::all_stock_changed);
        }
    }

    /// One store: a lookup sees the old chains or the new ones.
    pub(super) fn publish(&self) {
        let carrying = self.stock.iter().filter(|(_, chain)| chain.carries_rows());
        let chains = carrying.map(|(source, chain)| StockChain {
            source: source.clone(),
            status: Arc::clone(chain.status()),
            rows: Arc::clone(chain.rows()),
        });
        let promises = Arc::clone(&self.promises);
        let known = self.reader.tables.load().handed_over.clone();
        let handed_over = self.orders.reader().handover().map(|record| HandedOver::of(&record, known));
        self.reader.tables.store(Arc::new(LedgerTables { chains: chains.collect(), promises, handed_over }));
    }
}

/// From which rule version on a change is judged.
fn rules_of(change: &Change) -> u32 {
    let is_handover = matches!(change, Change::Decision(it) if matches!(&**it, Decision::Handover(_)));
    if is_handover { RULES_WITH_HANDOVER } else { RULES_WITH_ORDERS }
}

/// Of recovered records that this build cannot read.
fn unknown_format(change: &Change) -> Option<u32> {
    let Change::Decision(decision) = change else { return None };
    let Decision::Recover(recover) = &**decision else { return None };
    (recover.format != RECOVERY_FORMAT).then_some(recover.format)
}

/// The items whose figures a message states; `None`: those of messages before it take effect with it.
fn touched(dictionary: &Dictionary, message: &Message) -> Option<BTreeSet<ItemNo>> {
    let Ok((shape, changes)) = &message.body else { return Some(BTreeSet::new()) };
    match shape {
        Shape::Live => {
            let items = changes.iter().filter_map(stock_item);
            Some(items.filter_map(|item| dictionary.items.get(item.as_str())).collect())
        }
        Shape::UnitCommit(_) | Shape::SnapshotEnd(_) => None,
        Shape::Claim | Shape::Part(_) | Shape::UnitBegin(_) | Shape::SnapshotBegin(_) => {
            Some(BTreeSet::new())
        }
    }
}

fn counts_caps(message: &Message) -> bool {
    let changes = message.body.as_ref().map_or(&[][..], |(_, changes)| changes);
    changes.iter().any(|change| matches!(change, Change::Cap(_) | Change::CapRemoved(_)))
}

/// Whose figure at a warehouse a change states.
fn stock_item(change: &Change) -> Option<&ItemId> {
    if let Change::StockSet(set) = change {
        Some(&set.item)
    } else if let Change::StockAdjust(adjust) = change {
        Some(&adjust.item)
    } else if let Change::StockRemoved(removed) = change {
        Some(&removed.item)
    } else if let Change::OversellSet(set) = change {
        Some(&set.item)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
