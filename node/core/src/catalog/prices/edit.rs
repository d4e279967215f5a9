//! One batch's changes to one scope.

use std::collections::btree_map::Entry;
use std::sync::Arc;

use pannier_protocol::Timestamp;
use pannier_protocol::change::{PriceScope, Prices, PricesRemoved};

use super::blocks::{Blocks, BlocksEdit, Cursor};
use super::digest::RowHasher;
use super::row::{Place, Row, RowKey};
use super::scope::{Header, Scope};
use super::terms::{TermsTable, instants};
use crate::dictionary::Dictionary;
use crate::rows::{RowRejection, RowVersion};

/// The scope as it will be; readers see the one before until [`ScopeEdit::finish`] is put in its place.
pub(super) struct ScopeEdit<'a> {
    scope: Scope,
    blocks: BlocksEdit,
    terms: &'a TermsTable,
    dictionary: &'a Dictionary,
}

impl<'a> ScopeEdit<'a> {
    pub(super) fn new(scope: Scope, terms: &'a TermsTable, dictionary: &'a Dictionary) -> Self {
        Self { blocks: BlocksEdit::new(&scope.blocks), scope, terms, dictionary }
    }

    pub(super) fn scope(&self) -> &Scope {
        &self.scope
    }

    pub(super) fn set_header(&mut self, header: Header) {
        let last = self.scope.header.as_ref().map_or(self.scope.cleared, |header| header.version);
        if header.version >= last.max(self.scope.cleared) {
            self.scope.header = Some(Arc::new(header));
        }
    }

    pub(super) fn put(&mut self, prices: &Prices, version: RowVersion, rejected: &mut Vec<RowRejection>) {
        let interned = self.terms.intern(prices.currency, prices.from.as_ref(), prices.to.as_ref());
        let Some(terms) = interned else {
            let scope = &self.scope.scope;
            let reason = format!("prices of {scope} have dates past the calendar; correct them");
            return rejected.push(RowRejection::new(reason));
        };
        let scope = self.scope.scope.clone();
        let mut hasher = RowHasher::new(&scope, self.terms, self.dictionary);
        for row in &prices.rows {
            match Row::new(row, terms, version, self.dictionary) {
                Some(row) => self.put_row(row, &mut hasher, rejected),
                None => {
                    let reason = format!("a price of {scope} names no single item or class, or has no break");
                    rejected.push(RowRejection::new(reason));
                }
            }
        }
    }

    fn put_row(&mut self, row: Row, hasher: &mut RowHasher<'_>, rejected: &mut Vec<RowRejection>) {
        let key = row.key(self.terms);
        let deleted = self.scope.gone.get(&key).copied().unwrap_or_default();
        let mut at = self.blocks.place(&key, self.terms);
        let stated =
            at.ok().and_then(|at| self.blocks.at(at)).map_or(RowVersion::default(), |row| row.version);
        if row.version < self.scope.cleared.max(deleted).max(stated) {
            return;
        }
        let overlapping = self.overlapping(&key, at, self.terms.get(row.terms).end);
        if let Some((other, _)) = overlapping.iter().find(|(_, version)| *version <= row.version) {
            return rejected.push(self.overlap(&key, other));
        }
        for (other, _) in overlapping {
            if let Some(evicted) = self.blocks.remove(&other, self.terms) {
                self.scope.digest = self.scope.digest.wrapping_sub(hasher.hash(&evicted));
                rejected.push(self.overlap(&other, &key));
            }
            at = self.blocks.place(&key, self.terms);
        }
        if deleted != RowVersion::default() {
            Arc::make_mut(&mut self.scope.gone).remove(&key);
        }
        self.scope.digest = self.scope.digest.wrapping_add(hasher.hash(&row));
        if let Some(replaced) = self.blocks.put(at, row) {
            self.scope.digest = self.scope.digest.wrapping_sub(hasher.hash(&replaced));
        }
    }

    /// Other rows of the key, which belongs `at`, whose time meets that from the key's start to `end`.
    fn overlapping(
        &self,
        key: &RowKey,
        at: Result<Cursor, Cursor>,
        end: Timestamp,
    ) -> Vec<(RowKey, RowVersion)> {
        let (Ok(at) | Err(at)) = at;
        let mut found = Vec::new();
        for other in self.blocks.around(at) {
            let terms = self.terms.get(other.terms);
            let other_key = other.key(self.terms);
            let same = other_key.place == key.place && other_key.currency == key.currency;
            if same && terms.start != key.start && terms.start < end && key.start < terms.end {
                found.push((other_key, other.version));
            }
            if other_key > *key && !(same && terms.start < end) {
                break;
            }
        }
        found
    }

    pub(super) fn remove(&mut self, removed: &PricesRemoved, version: RowVersion) {
        let Some((start, _)) = instants(removed.from.as_ref(), None) else { return };
        let scope = self.scope.scope.clone();
        let mut hasher = RowHasher::new(&scope, self.terms, self.dictionary);
        for key in &removed.rows {
            let Some(place) = Place::of_key(key, self.dictionary) else { continue };
            let key = RowKey { place, currency: removed.currency, start };
            match Arc::make_mut(&mut self.scope.gone).entry(key) {
                Entry::Occupied(mut gone) => {
                    let last = version.max(*gone.get());
                    gone.insert(last);
                }
                Entry::Vacant(free) => {
                    free.insert(version);
                }
            }
            let stated = self.blocks.place(&key, self.terms).ok().and_then(|at| self.blocks.at(at));
            if stated.is_some_and(|row| row.version <= version)
                && let Some(row) = self.blocks.remove(&key, self.terms)
            {
                self.scope.digest = self.scope.digest.wrapping_sub(hasher.hash(&row));
            }
        }
    }

    /// Header and rows up to `version` are gone; what a later message stated stays.
    pub(super) fn clear(&mut self, version: RowVersion) {
        self.scope.cleared = self.scope.cleared.max(version);
        if self.scope.header.as_ref().is_some_and(|header| header.version <= version) {
            self.scope.header = None;
        }
        let before = std::mem::replace(&mut self.blocks, BlocksEdit::new(&Blocks::default())).finish();
        let scope = self.scope.scope.clone();
        let mut hasher = RowHasher::new(&scope, self.terms, self.dictionary);
        self.scope.digest = 0;
        for row in before.iter().filter(|row| row.version > version) {
            self.scope.digest = self.scope.digest.wrapping_add(hasher.hash(row));
            let at = self.blocks.place(&row.key(self.terms), self.terms);
            self.blocks.put(at, row.clone());
        }
        if !self.scope.gone.is_empty() {
            Arc::make_mut(&mut self.scope.gone).retain(|_, gone| *gone > version);
        }
    }

    pub(super) fn finish(self) -> Arc<Scope> {
        Arc::new(Scope { blocks: self.blocks.finish(), ..self.scope })
    }

    fn overlap(&self, later: &RowKey, earlier: &RowKey) -> RowRejection {
        let shown = |key: &RowKey| show_key(&self.scope.scope, key, self.dictionary);
        RowRejection::new(format!(
            "{} overlaps the one from {}, which stays in force; end that one first, or remove it",
            shown(later),
            earlier.start,
        ))
    }
}

/// As in `contract K-7: SKU-4711 BX USD from 2026-01-01T06:00:00Z`.
fn show_key(scope: &PriceScope, key: &RowKey, dictionary: &Dictionary) -> String {
    let row = super::show_row(scope, key.place, dictionary);
    format!("{row} {} from {}", key.currency, key.start)
}
