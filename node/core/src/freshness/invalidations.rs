//! What sources and operators have condemned. An invalidation names, per chain, the last message that it
//! condemns; a row is condemned when it was stated at or before that, whichever of the two arrived first.
//! Rejected: marking the rows, which a late row escapes and which costs a walk over the table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use pannier_protocol::change::{Invalidate, InvalidateMode, InvalidateScope};
use pannier_protocol::subject::Subject;
use pannier_protocol::{Incarnation, SourceSequence, StreamSequence};

use super::ChainStatus;
use crate::limits::{CHAINS_MAX, INVALIDATIONS_MAX};
use crate::rows::RowVersion;

/// The invalidations in force. Readers share one immutable set; most of the time it is empty.
#[derive(Default)]
pub struct Invalidations {
    in_force: ArcSwap<BTreeMap<Subject, Vec<Condemned>>>,
    writer: Mutex<()>,
}

/// What a row is about, as far as it is; external ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowFacts<'a> {
    pub item: Option<&'a str>,
    pub account: Option<&'a str>,
    pub contract: Option<&'a str>,
    pub list: Option<&'a str>,
    pub warehouse: Option<&'a str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Condemned {
    scope: InvalidateScope,
    mode: InvalidateMode,
    up_to: (StreamSequence, SourceSequence),
}

impl Invalidations {
    pub fn is_empty(&self) -> bool {
        self.in_force.load().is_empty()
    }

    /// Whether a row of `chain` is condemned, and how badly. `facts` is only asked for where the chain has an
    /// invalidation in force.
    pub fn condemns<'a>(
        &self,
        chain: &ChainStatus,
        version: RowVersion,
        facts: impl FnOnce() -> RowFacts<'a>,
    ) -> Option<InvalidateMode> {
        let in_force = self.in_force.load();
        if in_force.is_empty() {
            return None;
        }
        let condemned = in_force.get(chain.subject())?;
        let stated_at = chain.load().stated_at(version);
        let facts = facts();
        let matching = condemned.iter().filter(|condemned| {
            stated_at <= condemned.up_to && facts.lie_in(&condemned.scope, chain.subject())
        });
        matching.map(|condemned| condemned.mode).max()
    }

    /// Puts one in force; points of another incarnation condemn nothing that this one has. Past
    /// [`INVALIDATIONS_MAX`] of a chain its first becomes one of the whole chain.
    pub fn add(&self, invalidate: &Invalidate, incarnation: &Incarnation) {
        let points = invalidate.up_to.iter().filter(|point| point.epoch.incarnation == *incarnation);
        self.change(|in_force| {
            for point in points {
                if in_force.len() == CHAINS_MAX && !in_force.contains_key(&point.subject) {
                    continue;
                }
                let condemned = in_force.entry(point.subject.clone()).or_default();
                let up_to = (point.epoch.claim, point.sequence);
                put(condemned, Condemned { scope: invalidate.scope.clone(), mode: invalidate.mode, up_to });
                if condemned.len() > INVALIDATIONS_MAX {
                    let first = condemned.remove(0);
                    put(condemned, Condemned { scope: InvalidateScope::All, ..first });
                }
            }
        });
    }

    /// A snapshot of the whole chain that began at this point has ended: what was condemned up to there is gone.
    pub fn refreshed(&self, subject: &Subject, point: (StreamSequence, SourceSequence)) {
        if !self.in_force.load().contains_key(subject) {
            return;
        }
        self.change(|in_force| {
            let Some(condemned) = in_force.get_mut(subject) else { return };
            condemned.retain(|condemned| condemned.up_to >= point);
            if condemned.is_empty() {
                in_force.remove(subject);
            }
        });
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Subject, Vec<Condemned>>)) {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let mut in_force = BTreeMap::clone(&self.in_force.load());
        change(&mut in_force);
        self.in_force.store(Arc::new(in_force));
    }
}

/// One entry for a scope and mode, up to the greatest point named.
fn put(condemned: &mut Vec<Condemned>, new: Condemned) {
    match condemned.iter_mut().find(|old| old.scope == new.scope && old.mode == new.mode) {
        Some(old) => old.up_to = old.up_to.max(new.up_to),
        None => condemned.push(new),
    }
}

impl RowFacts<'_> {
    fn lie_in(&self, scope: &InvalidateScope, chain: &Subject) -> bool {
        match scope {
            InvalidateScope::All => true,
            InvalidateScope::Item(id) => self.item == Some(id.as_str()),
            InvalidateScope::Account(id) => self.account == Some(id.as_str()),
            InvalidateScope::Contract(id) => self.contract == Some(id.as_str()),
            InvalidateScope::PriceList(id) => self.list == Some(id.as_str()),
            InvalidateScope::Warehouse(id) => self.warehouse == Some(id.as_str()),
            InvalidateScope::Source(id) => chain.source() == Some(id),
        }
    }
}
