//! The fold of the catalog: a chain a source and partition, and the policies of all of them.
//!
//! Policies are documents with versions, not rows: the highest version of a name is in force, whichever chain
//! brought it, and a snapshot that does not repeat one does not take it away. The same version again is no
//! change when it says the same, and is refused when it says something else.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use arc_swap::ArcSwap;
use pannier_protocol::change::{Policy, SnapshotApproved};
use pannier_protocol::codec::change_hash;
use pannier_protocol::limits::{ENVELOPE_VERSION, PARTITIONS};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Change, Incarnation, Partition, SourceId, StreamSequence};

use super::derived::Derived;
use super::{CatalogChain, CatalogRows, CatalogTables, ChainSet};
use crate::dictionary::Dictionary;
use crate::entry::{DropReason, Effect, Entry, ReviewKind};
use crate::freshness::Board;
use crate::gate::{self, Chain, GateMode, Message, Outcome, ReadError};
use crate::rows::RowRejection;
use crate::watermark::Watermark;

type Chains = BTreeMap<SourceId, Chain<CatalogRows>>;

/// State and writer of the catalog's tables.
pub struct Catalog {
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) board: Arc<Board>,
    pub(super) mode: GateMode,
    pub(super) chains: BTreeMap<Partition, Chains>,
    pub(super) policies: BTreeMap<&'static str, Policy>,
    pub(super) derived: Derived,
    /// Set once a newer build is needed; nothing is applied from there on.
    pub(super) stopped: Option<String>,
    pub(super) reader: CatalogReader,
}

/// What lookups hold of the catalog; cheap to clone.
#[derive(Clone)]
pub struct CatalogReader {
    tables: Arc<ArcSwap<CatalogTables>>,
    /// By [`slot`].
    pub(super) positions: Arc<[Watermark]>,
    incarnation: Incarnation,
}

/// Where a partition's watermark is.
fn slot(partition: Partition) -> usize {
    match partition {
        Partition::Family(number) => usize::from(number),
        Partition::Shared => usize::from(PARTITIONS),
    }
}

impl CatalogReader {
    /// The tables as they are now; what is applied to their rows later shows in them.
    pub fn load(&self) -> Arc<CatalogTables> {
        self.tables.load_full()
    }

    /// The last message applied of a partition: a floor for lookups that begin after reading it.
    pub fn position(&self, partition: Partition) -> StreamSequence {
        self.positions[slot(partition)].get()
    }

    pub fn incarnation(&self) -> &Incarnation {
        &self.incarnation
    }
}

impl Catalog {
    /// A catalog before its first message. `board` is shared with the ledger of the same node.
    pub fn new(dictionary: Arc<Dictionary>, board: Arc<Board>, incarnation: Incarnation) -> Self {
        Self::with_gate(dictionary, board, incarnation, GateMode::On)
    }

    /// As [`Catalog::new`]; for measuring what the gate is worth.
    pub fn with_gate(
        dictionary: Arc<Dictionary>,
        board: Arc<Board>,
        incarnation: Incarnation,
        mode: GateMode,
    ) -> Self {
        let positions = (0..=PARTITIONS).map(|_| Watermark::default()).collect();
        let reader = CatalogReader { tables: Arc::default(), positions, incarnation };
        let (chains, policies) = (BTreeMap::new(), BTreeMap::new());
        Self { dictionary, board, mode, chains, policies, derived: Derived::default(), stopped: None, reader }
    }

    pub fn reader(&self) -> CatalogReader {
        self.reader.clone()
    }

    /// Wrapping sum over all chains and the policies in force.
    pub fn digest(&self) -> u128 {
        let chains = self.chains.values().flat_map(BTreeMap::values).map(Chain::digest);
        let policies = self.policies.values().map(|policy| change_hash(&Change::Policy(policy.clone())));
        chains.chain(policies).fold(0, u128::wrapping_add)
    }

    /// Takes in the next message of a partition. One at or before the partition's last is a duplicate of the
    /// delivery. After `Stop` nothing is applied and every message answers `Stop`.
    pub fn apply(&mut self, entry: &Entry<'_>) -> Vec<Effect> {
        let mut out = Outcome::default();
        let Subject::Catalog(partition, source) = &entry.subject else {
            out.poison(entry, format!("{} has no place in the catalog", entry.subject));
            return out.effects;
        };
        if self.stopped.is_none() {
            if entry.stream_sequence <= self.reader.position(*partition) {
                out.dropped(&entry.subject, DropReason::Duplicate);
                return out.effects;
            }
            self.apply_next(entry, *partition, source, &mut out);
        }
        match &self.stopped {
            None => self.reader.positions[slot(*partition)].raise(entry.stream_sequence),
            Some(needs) => out.effects.push(Effect::Stop { needs: needs.clone() }),
        }
        out.effects
    }

    fn apply_next(&mut self, entry: &Entry<'_>, partition: Partition, source: &SourceId, out: &mut Outcome) {
        let message = match gate::read(entry) {
            Ok(message) => message,
            Err(ReadError::Newer { version }) => {
                let needs = format!("envelope version {version}; this build reads {ENVELOPE_VERSION}");
                self.stopped = Some(needs);
                return;
            }
            Err(ReadError::Garbage { reason }) => return out.poison(entry, reason),
        };
        let mut derives = self.derived.note(&message, &self.dictionary);
        let Some(outcome) = self.apply_to_chain(entry, partition, source, message, out) else { return };
        let approvals = outcome.approvals.clone();
        let mut publish = self.conclude(entry, outcome, out);
        for approved in &approvals {
            publish |= self.approve(entry, approved, out);
            derives = true;
        }
        if derives {
            self.tell_derived(entry, out);
        }
        if publish {
            self.publish();
        }
    }

    /// What came of the message; `None` when it found no chain.
    fn apply_to_chain(
        &mut self,
        entry: &Entry<'_>,
        partition: Partition,
        source: &SourceId,
        message: Message,
        out: &mut Outcome,
    ) -> Option<Outcome> {
        match self.chains.entry(partition).or_default().entry(source.clone()) {
            Slot::Occupied(slot) => Some(slot.into_mut().apply(entry, message)),
            Slot::Vacant(slot) => {
                let chain = slot.insert(Chain::new(
                    CatalogRows::new(Arc::clone(&self.dictionary)),
                    gate::open(entry, &message, &self.board, out)?,
                    Arc::clone(&self.board),
                    self.reader.incarnation.clone(),
                    self.mode,
                ));
                Some(chain.apply(entry, message))
            }
        }
    }

    /// Tells lists that have come to derive from themselves, or by too many steps.
    fn tell_derived(&mut self, entry: &Entry<'_>, out: &mut Outcome) {
        let shared = self.chains.get(&Partition::Shared);
        let parents = |list| {
            let scopes = shared.into_iter().flatten().filter_map(|(_, chain)| chain.rows().scope(list));
            scopes.filter_map(|scope| Some(scope.header()?.parent?.0)).collect()
        };
        for reason in self.derived.findings(parents) {
            out.review(entry, ReviewKind::Row, reason);
        }
    }

    /// Passes on what a chain did. Whether a new table set is due.
    fn conclude(&mut self, entry: &Entry<'_>, outcome: Outcome, out: &mut Outcome) -> bool {
        out.effects.extend(outcome.effects);
        let mut publish = outcome.opened || outcome.swapped;
        for policy in outcome.policies {
            match self.put_policy(policy) {
                Ok(changed) => publish |= changed,
                Err(rejection) => out.rejected(entry, vec![rejection]),
            }
        }
        publish
    }

    /// Whether the policy changed what is in force.
    fn put_policy(&mut self, policy: Policy) -> Result<bool, RowRejection> {
        let name = policy.document.name();
        match self.policies.get(name) {
            Some(current) if *current == policy => Ok(false),
            Some(current) if policy.version <= current.version => {
                let (version, current) = (policy.version, current.version);
                let reason = format!(
                    "policy {name} has version {current}, and {version} is not above it; publish it as {}",
                    current.saturating_add(1)
                );
                Err(RowRejection::new(reason))
            }
            Some(_) | None => {
                self.policies.insert(name, policy);
                Ok(true)
            }
        }
    }

    fn approve(&mut self, entry: &Entry<'_>, approved: &SnapshotApproved, out: &mut Outcome) -> bool {
        let subject = &approved.subject;
        let chain = if let Subject::Catalog(partition, source) = subject {
            self.chains.get_mut(partition).and_then(|chains| chains.get_mut(source))
        } else {
            None
        };
        let Some(chain) = chain.filter(|_| approved.epoch.incarnation == self.reader.incarnation) else {
            let reason = format!(
                "{subject} has no snapshots in this catalog; those of the ledger are approved on ledger.control"
            );
            out.review(entry, ReviewKind::Snapshot, reason);
            return false;
        };
        let outcome = chain.approve(entry, approved);
        self.conclude(entry, outcome, out)
    }

    /// One store: a lookup sees the old chains and policies or the new ones.
    pub(super) fn publish(&self) {
        let published = |partition: Partition| {
            let chains = self.chains.get(&partition).into_iter().flatten();
            let carrying = chains.filter(|(_, chain)| chain.carries_rows());
            let chains = carrying.map(|(source, chain)| CatalogChain {
                source: source.clone(),
                partition,
                status: Arc::clone(chain.status()),
                rows: Arc::clone(chain.rows()),
            });
            chains.collect::<Vec<_>>()
        };
        let chains = ChainSet {
            shared: published(Partition::Shared),
            families: std::array::from_fn(|number| published(Partition::Family(number as u8))),
        };
        let (chains, documents) = (Arc::new(chains), Arc::new(self.policies.clone()));
        let mut tables = CatalogTables { chains, documents, ..CatalogTables::default() };
        self.policies.values().for_each(|policy| tables.put(policy));
        self.reader.tables.store(Arc::new(tables));
    }
}

#[cfg(test)]
mod tests;
