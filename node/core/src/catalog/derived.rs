//! Price lists that derive from one another by way of several sources. A source is refused lists that would derive from
//! themselves or by too many steps, but two can make such ones together, and neither stated anything wrong. Lookups stop
//! at the limit; here it is found when it comes about, so that a human hears of it once.

use std::collections::{BTreeMap, BTreeSet};

use compact_str::CompactString;
use pannier_protocol::Change;

use crate::dictionary::{Dictionary, ScopeNo};
use crate::gate::{Message, Shape};
use crate::limits::{DERIVED_LISTS_MAX, LIST_DEPTH_MAX};

#[derive(Default)]
pub(super) struct Derived {
    /// Lists that were ever given a parent, by name: numbers are not the same on every node.
    pub(super) lists: BTreeMap<CompactString, ScopeNo>,
    /// Those that a human was told of.
    pub(super) told: BTreeSet<CompactString>,
}

impl Derived {
    /// Notes lists that a message gives a parent. Whether it may change what derives from what.
    pub(super) fn note(&mut self, message: &Message, dictionary: &Dictionary) -> bool {
        let Ok((shape, changes)) = &message.body else { return false };
        let mut stated = false;
        for change in changes {
            if let Change::Scope(header) = change
                && header.parent.is_some()
                && self.lists.len() < DERIVED_LISTS_MAX
            {
                let list = dictionary.scope(&header.scope);
                self.lists.insert(dictionary.scope_name(list).into(), list);
                stated = true;
            }
            stated |= matches!(change, Change::ScopeRemoved(_));
        }
        stated || matches!(shape, Shape::UnitCommit(_) | Shape::SnapshotEnd(_))
    }

    /// A sentence for each list that has come to derive wrongly.
    pub(super) fn findings(&mut self, parents: impl Fn(ScopeNo) -> BTreeSet<ScopeNo>) -> Vec<String> {
        let mut findings = Vec::new();
        for (name, list) in &self.lists {
            match fault(*list, &parents) {
                None => drop(self.told.remove(name)),
                Some(fault) if self.told.insert(name.clone()) => findings.push(format!("{name} {fault}")),
                Some(_) => {}
            }
        }
        findings
    }
}

fn fault(list: ScopeNo, parents: &impl Fn(ScopeNo) -> BTreeSet<ScopeNo>) -> Option<String> {
    let mut above = BTreeSet::from([list]);
    for _ in 0..=LIST_DEPTH_MAX {
        above = above.into_iter().flat_map(parents).collect();
        if above.contains(&list) {
            return Some(
                "derives from itself by way of several sources; lookups stop after a few steps: correct the parent \
                 at one of them"
                    .to_owned(),
            );
        }
    }
    let deep =
        "lists above it by way of several sources, or a circle of them; lookups stop there: flatten them";
    (!above.is_empty()).then(|| format!("has more than {LIST_DEPTH_MAX} {deep}"))
}
