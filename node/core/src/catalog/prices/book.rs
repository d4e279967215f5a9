//! The scopes of one chain, and which of them serve whom.

use std::sync::Arc;

use pannier_protocol::Change;
use pannier_protocol::change::{InvalidateScope, PriceScope, PriceScopeKind, PriceSelection, ScopeHeader};
use pannier_protocol::codec::change_hash;
use pannier_protocol::subject::Subject;
use rustc_hash::FxHashMap;

use super::blocks::Blocks;
use super::edit::ScopeEdit;
use super::row::{Place, Row};
use super::scope::{Header, Scope};
use super::terms::TermsTable;
use crate::catalog::sharded::Sharded;
use crate::dictionary::{Dictionary, ScopeNo};
use crate::freshness::RowFacts;
use crate::limits::{LIST_DEPTH_MAX, SCOPE_SHARDS};
use crate::rows::{RowRejection, RowVersion, Stated};

pub(crate) struct PriceBook {
    pub(super) dictionary: Arc<Dictionary>,
    pub(super) terms: Arc<TermsTable>,
    pub(super) scopes: Sharded<ScopeNo, Arc<Scope>>,
    index: Sharded<Served, Arc<[ScopeNo]>>,
}

/// Whom scopes serve that a lookup cannot name by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Served {
    /// Contracts of this account or group scope.
    ContractsOf(ScopeNo),
    /// Promotions for this account or group scope.
    PromotionsOf(ScopeNo),
    /// Promotions for everybody.
    Promotions,
}

/// Which part of each scope a snapshot repeats.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    pub headers: bool,
    pub rows: bool,
    pub selection: Option<&'a PriceSelection>,
}

impl Part<'_> {
    /// Headers and rows of this scope.
    fn of(&self, scope: &PriceScope) -> (bool, bool) {
        let selected = match self.selection {
            None => true,
            Some(PriceSelection::Scope(named)) => named == scope,
            Some(PriceSelection::Kind(kind)) => *kind == scope.kind(),
        };
        (selected && self.headers, selected && self.rows)
    }
}

impl PriceBook {
    pub(crate) fn new(dictionary: Arc<Dictionary>) -> Self {
        Self::with_terms(dictionary, Arc::default())
    }

    pub(crate) fn aside(&self) -> Self {
        Self::with_terms(Arc::clone(&self.dictionary), Arc::clone(&self.terms))
    }

    fn with_terms(dictionary: Arc<Dictionary>, terms: Arc<TermsTable>) -> Self {
        let (scopes, index) = (Sharded::new(SCOPE_SHARDS), Sharded::new(SCOPE_SHARDS));
        Self { dictionary, terms, scopes, index }
    }

    pub(crate) fn terms(&self) -> &TermsTable {
        &self.terms
    }

    pub(crate) fn scope(&self, scope: ScopeNo) -> Option<Arc<Scope>> {
        self.scopes.get(&scope).filter(|scope| scope.is_alive())
    }

    /// In no order, with those of which nothing is left.
    pub(crate) fn scope_numbers(&self) -> Vec<ScopeNo> {
        let mut numbers = Vec::new();
        self.scopes.for_each(|no, _| numbers.push(*no));
        numbers
    }

    pub(crate) fn serving(&self, served: Served) -> Option<Arc<[ScopeNo]>> {
        self.index.get(&served)
    }

    /// Applies the price changes of a batch; by how much the digest changes.
    pub(crate) fn apply(&self, batch: &[Stated<'_>], rejected: &mut Vec<RowRejection>) -> u128 {
        let mut edits: FxHashMap<ScopeNo, ScopeEdit<'_>> = FxHashMap::default();
        for Stated { change, version } in batch {
            let Some(scope) = scope_of(change) else { continue };
            let no = self.dictionary.scope(scope);
            if let Change::Scope(header) = change {
                match self.header(no, header, *version, &edits) {
                    Ok(header) => self.edit(&mut edits, no, scope).set_header(header),
                    Err(reason) => rejected.push(RowRejection::new(reason)),
                }
            } else if let Change::ScopeRemoved(_) = change {
                self.edit(&mut edits, no, scope).clear(*version);
            } else if let Change::Prices(prices) = change {
                self.edit(&mut edits, no, scope).put(prices, *version, rejected);
            } else if let Change::PricesRemoved(removed) = change {
                self.edit(&mut edits, no, scope).remove(removed, *version);
            }
        }
        let finished = edits.into_values().map(ScopeEdit::finish).collect();
        self.replace(finished)
    }

    fn edit<'a, 'b>(
        &'a self,
        edits: &'b mut FxHashMap<ScopeNo, ScopeEdit<'a>>,
        no: ScopeNo,
        scope: &PriceScope,
    ) -> &'b mut ScopeEdit<'a> {
        edits.entry(no).or_insert_with(|| {
            let before = self.scopes.get(&no);
            let scope = before.map_or_else(|| Scope::empty(no, scope.clone()), |before| before.copy());
            ScopeEdit::new(scope, &self.terms, &self.dictionary)
        })
    }

    /// The header as it is kept, or why not.
    fn header(
        &self,
        no: ScopeNo,
        header: &ScopeHeader,
        version: RowVersion,
        edits: &FxHashMap<ScopeNo, ScopeEdit<'_>>,
    ) -> Result<Header, String> {
        let hash = change_hash(&Change::Scope(header.clone()));
        let record = Header::new(header, version, hash, &self.dictionary)
            .ok_or_else(|| format!("{} has dates past the calendar; correct them", header.scope))?;
        let Some((parent, _)) = record.parent else { return Ok(record) };
        if header.scope.kind() != PriceScopeKind::List {
            return Err(format!("{} has a parent, and only lists have; leave it out", header.scope));
        }
        let mut above = Some(parent);
        for _ in 0..=LIST_DEPTH_MAX {
            let Some(list) = above else { return Ok(record) };
            if list == no {
                let parent = self.dictionary.scope_name(parent);
                return Err(format!("{} would derive from itself by way of {parent}", header.scope));
            }
            above = match edits.get(&list) {
                Some(edit) => edit.scope().header().and_then(|header| header.parent),
                None => self.scopes.get(&list).and_then(|scope| scope.header()?.parent),
            }
            .map(|(list, _)| list);
        }
        Err(format!("{} has more than {LIST_DEPTH_MAX} lists above it; flatten them", header.scope))
    }

    /// Puts each scope in place of the one before, then the index; by how much the digest changes.
    pub(super) fn replace(&self, scopes: Vec<Arc<Scope>>) -> u128 {
        let mut digest = 0_u128;
        let mut index: FxHashMap<Served, Vec<ScopeNo>> = FxHashMap::default();
        for scope in scopes {
            let before = self.scopes.get(&scope.no);
            let (old, new) = (before.as_deref().map_or_else(Vec::new, served_by), served_by(&scope));
            for key in old.iter().filter(|key| !new.contains(key)) {
                self.staged(&mut index, *key).retain(|no| *no != scope.no);
            }
            for key in new.iter().filter(|key| !old.contains(key)) {
                let serving = self.staged(&mut index, *key);
                if let Err(at) = serving.binary_search(&scope.no) {
                    serving.insert(at, scope.no);
                }
            }
            let hash = |scope: &Scope| scope.digest.wrapping_add(scope.header_hash());
            digest = digest.wrapping_add(hash(&scope)).wrapping_sub(before.as_deref().map_or(0, hash));
            self.scopes.insert(scope.no, scope);
        }
        index.into_iter().for_each(|(key, serving)| self.index.insert(key, serving.into()));
        digest
    }

    fn staged<'a>(
        &self,
        index: &'a mut FxHashMap<Served, Vec<ScopeNo>>,
        key: Served,
    ) -> &'a mut Vec<ScopeNo> {
        let now = || self.index.get(&key).map_or_else(Vec::new, |serving| serving.to_vec());
        index.entry(key).or_insert_with(now)
    }

    pub(crate) fn count(&self, part: Part<'_>) -> u64 {
        let mut count = 0;
        self.scopes.for_each(|_, scope| {
            let (headers, rows) = part.of(&scope.scope);
            count += u64::from(headers && scope.header.is_some());
            count += if rows { scope.rows_count() } else { 0 };
        });
        count
    }

    /// Rows that an invalidation of `invalidated` on `chain` would condemn. A contract that serves an account is not the
    /// account's: what is counted names it.
    pub(crate) fn count_in(&self, invalidated: &InvalidateScope, chain: &Subject) -> u64 {
        let mut count = 0;
        self.scopes.for_each(|_, scope| {
            let of_scope = RowFacts::of_scope(&scope.scope);
            let lies_in = |row: &&Row| {
                let Place { target, .. } = row.place;
                let item = Some(target.name(&self.dictionary)).filter(|_| !target.is_class());
                let warehouse = row.place.warehouse().map(|it| self.dictionary.warehouses.name(it));
                RowFacts { item, warehouse, ..of_scope }.lie_in(invalidated, chain)
            };
            count += scope.rows().filter(lies_in).count() as u64;
        });
        count
    }

    pub(crate) fn missing_in(&self, aside: &Self, part: Part<'_>) -> u64 {
        let mut count = 0;
        self.scopes.for_each(|no, scope| {
            let (headers, rows) = part.of(&scope.scope);
            let there = aside.scopes.get(no);
            let header = there.as_ref().is_some_and(|there| there.header.is_some());
            count += u64::from(headers && scope.header.is_some() && !header);
            if rows {
                let there = there.as_ref().map(|there| &there.blocks);
                let missing = |key| there.is_none_or(|there| there.find(&key, &self.terms).is_none());
                count += scope.blocks.iter().filter(|row| missing(row.key(&self.terms))).count() as u64;
            }
        });
        count
    }

    /// Gives `aside` what the snapshot does not repeat; by how much its digest changes.
    pub(crate) fn share_outside(&self, aside: &Self, part: Part<'_>) -> u128 {
        let mut shared = Vec::new();
        self.scopes.for_each(|no, scope| {
            let there = aside.scopes.get(no);
            match (part.of(&scope.scope), there) {
                ((true, true), _) => {}
                ((false, false), _) => shared.push(Arc::clone(scope)),
                ((true, false), there) => {
                    let header = there.and_then(|there| there.header.clone());
                    shared.push(Arc::new(Scope { header, ..scope.copy() }));
                }
                ((false, true), there) => {
                    let empty = Scope::empty(*no, scope.scope.clone());
                    let there = there.map_or(empty, |there| there.copy());
                    shared.push(Arc::new(Scope { header: scope.header.clone(), ..there }));
                }
            }
        });
        aside.replace(shared)
    }
}

impl Scope {
    /// The same scope once more, sharing header and blocks.
    fn copy(&self) -> Self {
        Self {
            scope: self.scope.clone(),
            header: self.header.clone(),
            blocks: Blocks::clone(&self.blocks),
            gone: Arc::clone(&self.gone),
            ..*self
        }
    }
}

fn scope_of(change: &Change) -> Option<&PriceScope> {
    if let Change::Scope(header) = change {
        Some(&header.scope)
    } else if let Change::ScopeRemoved(removed) = change {
        Some(&removed.scope)
    } else if let Change::Prices(prices) = change {
        Some(&prices.scope)
    } else if let Change::PricesRemoved(removed) = change {
        Some(&removed.scope)
    } else {
        None
    }
}

/// The index entries that a scope stands in.
fn served_by(scope: &Scope) -> Vec<Served> {
    let members = scope.header().map_or(&[][..], |header| &header.members);
    match scope.scope.kind() {
        PriceScopeKind::Contract => members.iter().map(|member| Served::ContractsOf(*member)).collect(),
        PriceScopeKind::Promotion if !members.is_empty() => {
            members.iter().map(|member| Served::PromotionsOf(*member)).collect()
        }
        PriceScopeKind::Promotion if scope.is_alive() => vec![Served::Promotions],
        PriceScopeKind::Promotion
        | PriceScopeKind::Account
        | PriceScopeKind::Group
        | PriceScopeKind::List => Vec::new(),
    }
}
