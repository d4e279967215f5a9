//! One price scope: its header and rows, the unit of visibility of prices.

use std::collections::BTreeMap;
use std::sync::Arc;

use pannier_protocol::change::{PriceScope, ScopeHeader, ScopeMember};
use pannier_protocol::{Currency, Decimal, Timestamp};
use serde::{Deserialize, Serialize};

use super::blocks::{Blocks, Cursor};
use super::row::{Place, Row, RowKey, Target};
use super::terms::{Terms, TermsTable, instants};
use crate::dictionary::{Dictionary, ScopeNo, WarehouseNo};
use crate::limits::FUTURE_ROWS_MAX;
use crate::rows::RowVersion;

/// A contract, account, group, promotion or list as one chain states it.
#[derive(Debug)]
pub struct Scope {
    pub no: ScopeNo,
    pub scope: PriceScope,
    pub(super) header: Option<Arc<Header>>,
    pub(super) blocks: Blocks,
    /// Deletes that older rows must not undo; they end with the next snapshot.
    pub(super) gone: Arc<BTreeMap<RowKey, RowVersion>>,
    /// Header and rows at or below this version were removed as a whole.
    pub(super) cleared: RowVersion,
    /// Sum of the hashes of the rows.
    pub(super) digest: u128,
}

/// Whom a scope serves and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    #[serde(with = "crate::checkpoint::instant")]
    pub start: Timestamp,
    #[serde(with = "crate::checkpoint::instant")]
    pub end: Timestamp,
    /// Account and group scopes.
    pub members: Box<[ScopeNo]>,
    /// Of a list: where prices come from that it lacks, and times what.
    pub parent: Option<(ScopeNo, Decimal)>,
    pub version: RowVersion,
    #[serde(with = "crate::checkpoint::wide")]
    pub(super) hash: u128,
}

/// A row with the span in which it holds: its own within the header's.
#[derive(Debug, Clone, Copy)]
pub struct DatedRow<'a> {
    pub row: &'a Row,
    pub start: Timestamp,
    pub end: Timestamp,
}

impl Header {
    /// `None` when a date is past the calendar.
    pub(super) fn new(
        header: &ScopeHeader,
        version: RowVersion,
        hash: u128,
        dictionary: &Dictionary,
    ) -> Option<Self> {
        let (start, end) = instants(header.from.as_ref(), header.to.as_ref())?;
        let members = header.members.iter().map(|member| match member {
            ScopeMember::Account(account) => dictionary.scope(&PriceScope::Account(account.clone())),
            ScopeMember::Group(group) => dictionary.scope(&PriceScope::Group(group.clone())),
        });
        let parent = header.parent.as_ref().map(|parent| {
            let list = dictionary.scope(&PriceScope::List(parent.list.clone()));
            (list, parent.multiplier)
        });
        Some(Self { start, end, members: members.collect(), parent, version, hash })
    }
}

impl Scope {
    pub(super) fn empty(no: ScopeNo, scope: PriceScope) -> Self {
        Self {
            no,
            scope,
            header: None,
            blocks: Blocks::default(),
            gone: Arc::default(),
            cleared: RowVersion::default(),
            digest: 0,
        }
    }

    pub fn header(&self) -> Option<&Header> {
        self.header.as_deref()
    }

    pub fn rows_count(&self) -> u64 {
        self.blocks.rows_count()
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &Row> {
        self.blocks.iter()
    }

    /// Every row by its identity, and the end of its own dates.
    pub(crate) fn keyed<'a>(
        &'a self,
        terms: &'a TermsTable,
    ) -> impl Iterator<Item = (RowKey, &'a Row, Timestamp)> {
        self.rows().map(move |row| (row.key(terms), row, terms.get(row.terms).end))
    }

    /// Whether anything of it is left.
    pub(super) fn is_alive(&self) -> bool {
        self.header.is_some() || self.rows_count() > 0
    }

    pub(super) fn header_hash(&self) -> u128 {
        self.header.as_ref().map_or(0, |header| header.hash)
    }

    /// Every row of a target, whatever its warehouse, currency and dates: what `explain` looks through.
    pub(crate) fn rows_of<'a>(
        &'a self,
        target: Target,
        terms: &'a TermsTable,
    ) -> impl Iterator<Item = (&'a Row, &'a Terms)> {
        let mut cursor = self.blocks.seek(Place::first_of(target, Some(WarehouseNo(0))));
        std::iter::from_fn(move || {
            let row = self.blocks.get(cursor).filter(|row| row.place.target == target)?;
            cursor = self.blocks.next(cursor);
            Some((row, terms.get(row.terms)))
        })
    }

    /// Visits the rows of a target for a warehouse (or without one) in one currency that `span`, the header's,
    /// lets hold at `at`, and the next ones of each key to come; the start of the first that is not visited.
    pub(crate) fn visit<'a>(
        &'a self,
        terms: &'a TermsTable,
        shelf: (Target, Option<WarehouseNo>),
        currency: Currency,
        span: (Timestamp, Timestamp),
        at: Timestamp,
        mut visit: impl FnMut(DatedRow<'a>),
    ) -> Timestamp {
        let mut unseen = Timestamp::MAX;
        let first = Place::first_of(shelf.0, shelf.1);
        let at = at.max(span.0);
        let mut cursor = self.blocks.seek(first);
        while let Some(row) = self.blocks.get(cursor)
            && row.place.same_shelf(first)
        {
            let place = row.place;
            let key = RowKey { place, currency, start: at };
            let next = self.blocks.skip(cursor, |row| row.key(terms) <= key);
            let mut show = |cursor: Cursor| {
                let row = self.blocks.get(cursor)?;
                let Terms { currency: of, start, end, .. } = terms.get(row.terms);
                let dated = DatedRow { row, start: (*start).max(span.0), end: (*end).min(span.1) };
                let fits = row.place == place && *of == currency;
                if fits && at < dated.end && dated.start < dated.end {
                    visit(dated);
                }
                fits.then_some(())
            };
            if let Some(current) = self.blocks.previous(next)
                && current >= cursor
            {
                show(current);
            }
            let mut future = next;
            let mut seen = 0;
            while seen < FUTURE_ROWS_MAX && show(future).is_some() {
                future = self.blocks.next(future);
                seen += 1;
            }
            if let Some(row) = self.blocks.get(future).filter(|row| row.place == place)
                && seen == FUTURE_ROWS_MAX
            {
                let Terms { currency: of, start, .. } = terms.get(row.terms);
                unseen = unseen.min(if *of == currency { *start } else { Timestamp::MAX });
            }
            cursor = self.blocks.skip(next, |row| row.place <= place);
        }
        unseen
    }
}
