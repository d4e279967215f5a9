//! Price scopes as a checkpoint keeps them: rows in the order in which tables have them, so that loading one builds its
//! blocks without a search.

use std::sync::Arc;

use pannier_protocol::change::PriceScope;
use pannier_protocol::{Currency, DateEdge};
use serde::{Deserialize, Serialize};

use super::blocks::Blocks;
use super::book::PriceBook;
use super::row::{NONE, Place, Row, RowKey, Target};
use super::scope::{Header, Scope};
use super::terms::{Terms, TermsNo, TermsTable};
use crate::checkpoint::{Ranks, Renumber, shared_option, wide};
use crate::dictionary::{ClassNo, ItemNo, ScopeNo, UomNo, WarehouseNo};
use crate::limits::CHECKPOINT_PRICE_ROWS;
use crate::rows::RowVersion;

/// What one message left, collected and not looked into yet.
pub(in crate::catalog) struct FrozenPrices {
    terms: Vec<Terms>,
    scopes: Vec<Arc<Scope>>,
}

/// Currency and dates, by number.
type SavedTerms = (Currency, Option<DateEdge>, Option<DateEdge>);

/// A scope without its rows, and how many follow.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SavedScope {
    no: ScopeNo,
    scope: PriceScope,
    #[serde(with = "shared_option")]
    header: Option<Arc<Header>>,
    gone: Vec<(RowKey, RowVersion)>,
    cleared: RowVersion,
    #[serde(with = "wide")]
    digest: u128,
    rows_count: u64,
}

/// What stands in the section of prices, for one chain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum SavedScopes {
    Terms(Vec<SavedTerms>),
    Scope(SavedScope),
    Rows(Vec<Row>),
}

impl SavedScopes {
    pub(crate) fn rows_count(&self) -> u64 {
        if let Self::Rows(rows) = self { rows.len() as u64 } else { 0 }
    }
}

impl Renumber for Place {
    fn renumber(&mut self, ranks: &Ranks) {
        if self.target.is_class() {
            let mut class = ClassNo(self.target.0 & !Target::CLASS);
            class.renumber(ranks);
            self.target = Target::class(class);
        } else {
            let mut item = ItemNo(self.target.0);
            item.renumber(ranks);
            self.target = Target::item(item);
        }
        if self.warehouse != NONE {
            let mut warehouse = WarehouseNo(self.warehouse);
            warehouse.renumber(ranks);
            self.warehouse = warehouse.0;
        }
        if self.uom != NONE {
            let mut uom = UomNo(self.uom);
            uom.renumber(ranks);
            self.uom = uom.0;
        }
    }
}

impl FrozenPrices {
    /// Hands out terms, then scopes by rank, each followed by its rows.
    pub(in crate::catalog) fn visit<E>(
        mut self,
        ranks: &Ranks,
        mut visit: impl FnMut(&SavedScopes) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut order: Vec<usize> = (0..self.terms.len()).collect();
        let key = |at: &usize| {
            let Terms { currency, from, to, .. } = &self.terms[*at];
            let edge = |edge: &Option<DateEdge>| {
                edge.as_ref().map(|it| (it.date, it.inclusive, it.zone.name().to_owned()))
            };
            (*currency, edge(from), edge(to))
        };
        order.sort_by_cached_key(key);
        let mut terms_ranks = vec![0; order.len()];
        for (rank, at) in order.iter().enumerate() {
            terms_ranks[*at] = rank as u32;
        }
        let saved = order.iter().map(|at| {
            let Terms { currency, from, to, .. } = &self.terms[*at];
            (*currency, from.clone(), to.clone())
        });
        visit(&SavedScopes::Terms(saved.collect()))?;
        let mut numbered: Vec<(ScopeNo, Arc<Scope>)> = Vec::with_capacity(self.scopes.len());
        for scope in self.scopes.drain(..) {
            let mut no = scope.no;
            no.renumber(ranks);
            numbered.push((no, scope));
        }
        numbered.sort_by_key(|(no, _)| *no);
        for (no, scope) in numbered {
            visit(&SavedScopes::Scope(saved_scope(no, &scope, ranks)))?;
            let mut rows: Vec<Row> = scope.blocks.iter().cloned().collect();
            rows.iter_mut().for_each(|row| row.place.renumber(ranks));
            let key = |row: &Row| {
                let Terms { currency, start, .. } = &self.terms[row.terms.0 as usize];
                RowKey { place: row.place, currency: *currency, start: *start }
            };
            rows.sort_unstable_by_key(key);
            for row in &mut rows {
                row.terms = TermsNo(terms_ranks[row.terms.0 as usize]);
                if let Some(extra) = &mut row.extra {
                    Arc::make_mut(extra).break_uom.renumber(ranks);
                }
            }
            while !rows.is_empty() {
                let later = rows.split_off(rows.len().min(CHECKPOINT_PRICE_ROWS));
                visit(&SavedScopes::Rows(std::mem::replace(&mut rows, later)))?;
            }
        }
        Ok(())
    }
}

fn saved_scope(no: ScopeNo, scope: &Scope, ranks: &Ranks) -> SavedScope {
    let header = scope.header.as_deref().cloned().map(|mut header| {
        header.members.renumber(ranks);
        if let Some((parent, _)) = &mut header.parent {
            parent.renumber(ranks);
        }
        Arc::new(header)
    });
    let mut gone: Vec<_> = scope.gone.iter().map(|(key, version)| (*key, *version)).collect();
    gone.iter_mut().for_each(|(key, _)| key.place.renumber(ranks));
    gone.sort_unstable();
    SavedScope {
        no,
        scope: scope.scope.clone(),
        header,
        gone,
        cleared: scope.cleared,
        digest: scope.digest,
        rows_count: scope.rows_count(),
    }
}

impl SavedScope {
    pub(crate) fn rows_count(&self) -> u64 {
        self.rows_count
    }
}

impl PriceBook {
    pub(in crate::catalog) fn freeze(&self) -> FrozenPrices {
        let mut scopes = Vec::new();
        self.scopes.for_each(|_, scope| scopes.push(Arc::clone(scope)));
        FrozenPrices { terms: self.terms().terms.iter().map(|(_, terms)| terms.clone()).collect(), scopes }
    }

    /// `None` when dates mean nothing here.
    pub(in crate::catalog) fn restore_terms(&self, saved: Vec<SavedTerms>) -> Option<()> {
        let terms: &TermsTable = self.terms();
        saved.iter().try_for_each(|(currency, from, to)| {
            terms.intern(*currency, from.as_ref(), to.as_ref()).map(|_| ())
        })
    }

    /// Puts a scope back that is not there yet, with all its rows; by how much the digest changes. `None` when a row
    /// has terms that are not there.
    pub(in crate::catalog) fn restore_scope(&self, saved: SavedScope, rows: Vec<Row>) -> Option<u128> {
        let known = self.terms().terms.count();
        if rows.iter().any(|row| row.terms.0 as usize >= known) {
            return None;
        }
        let scope = Scope {
            no: saved.no,
            scope: saved.scope,
            header: saved.header,
            blocks: Blocks::of_sorted(rows),
            gone: Arc::new(saved.gone.into_iter().collect()),
            cleared: saved.cleared,
            digest: saved.digest,
        };
        Some(self.replace(vec![Arc::new(scope)]))
    }
}
