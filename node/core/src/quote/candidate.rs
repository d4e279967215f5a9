//! Rows that match a line, and which of two is the more specific.

use std::cell::Cell;
use std::cmp::{Ordering, Reverse};

use pannier_protocol::change::{ItemKeyKind, LevelRule, Table, WarehouseKey};
use pannier_protocol::{Currency, Decimal, SourceId, Timestamp, WarehouseId};

use smallvec::SmallVec;

use super::PriceQuestion;
use super::ladder::{Step, step};
use super::scopes::{RankedScope, ScopePart};
use crate::catalog::{DatedRow, ItemRecord, Place, Row, Target};
use crate::dictionary::{ScopeNo, UomNo, WarehouseNo};
use crate::quantity::Exact;

/// A line with what its levels need.
pub(super) struct Line<'a> {
    pub question: &'a PriceQuestion<'a>,
    pub item: Target,
    pub class: Option<Target>,
    pub warehouse: Option<WarehouseNo>,
    pub contract: Option<ScopeNo>,
    /// Whose price rows count; `None`: of one key those of the lowest source id.
    pub owner: Option<&'a SourceId>,
    /// The whole line in base units.
    pub base_quantity: Exact,
    /// A computation left the range of exact numbers: a row that might have won was not priced.
    pub out_of_range: Cell<bool>,
}

/// Rows of one level: mostly one, and one that follows it.
pub(super) type Found<'a> = SmallVec<[Candidate<'a>; 2]>;

/// A row that matches the line in all but its dates.
#[derive(Clone, Copy)]
pub(super) struct Candidate<'a> {
    pub scope: &'a RankedScope<'a>,
    pub part: &'a ScopePart<'a>,
    pub row: &'a Row,
    pub start: Timestamp,
    pub end: Timestamp,
    /// Base units in the row's unit.
    pub factor: Exact,
    pub step: Step,
    /// The satisfied bound in base units.
    bound: Exact,
    orders_unit: bool,
}

impl<'a> Line<'a> {
    /// `None` when the quantity in base units is out of range.
    pub(super) fn new(question: &'a PriceQuestion<'a>) -> Option<Self> {
        let scopes = question.scopes;
        let warehouse = question.warehouse.and_then(|name| WarehouseId::new(name).ok());
        let class = question.item.class_id.as_ref();
        Some(Self {
            question,
            item: Target::item(question.item.item),
            class: question.item.class.map(Target::class),
            warehouse: warehouse.as_ref().and_then(|id| scopes.dictionary.warehouses.get(id.as_str())),
            contract: question.contract.and_then(|name| scopes.contract(name)),
            owner: scopes.tables.ownership.owner(Table::Prices, warehouse.as_ref(), class),
            base_quantity: question.unit.to_base(question.quantity)?,
            out_of_range: Cell::new(false),
        })
    }

    /// The same line for another quantity, in base units.
    pub(super) fn of_quantity(&self, base_quantity: Exact) -> Self {
        let Self { question, item, class, warehouse, contract, owner, .. } = *self;
        let out_of_range = Cell::new(false);
        Self { question, item, class, warehouse, contract, owner, base_quantity, out_of_range }
    }

    /// Rows of a scope that match at `at` or later; the start of the first to come that was not looked at.
    pub(super) fn matching(
        &self,
        rule: Shape,
        scope: &'a RankedScope<'a>,
        at: Timestamp,
        found: &mut Found<'a>,
    ) -> Timestamp {
        let mut unseen = Timestamp::MAX;
        let first = found.len();
        let parts = scope.parts.iter().filter(|part| self.counts(part));
        for part in parts {
            for target in self.targets(rule.item) {
                for warehouse in self.shelves(rule.warehouse) {
                    let (terms, currency) = (part.chain.rows.terms(), self.question.currency);
                    let shelf = (target, warehouse);
                    let from = part.scope.visit(terms, shelf, currency, scope.span, at, |dated| {
                        found.extend(self.candidate(scope, part, dated));
                    });
                    unseen = unseen.min(from);
                }
            }
        }
        if self.owner.is_none()
            && scope.parts.iter().any(|part| part.chain.source != scope.parts[0].chain.source)
        {
            // Nobody owns them: of each key the rows of the lowest source that has some.
            let mut at = first;
            while let Some(candidate) = found.get(at) {
                if self.is_foreign(candidate) {
                    found.remove(at);
                } else {
                    at += 1;
                }
            }
        }
        unseen
    }

    /// Whether the rows of a part may count.
    pub(super) fn counts(&self, part: &ScopePart<'_>) -> bool {
        self.owner.is_none_or(|owner| *owner == part.chain.source)
    }

    /// Whether a lower source has rows of the same key.
    fn is_foreign(&self, candidate: &Candidate<'a>) -> bool {
        let lower = candidate.scope.parts.iter();
        let mut lower = lower.filter(|part| part.chain.source < candidate.part.chain.source);
        lower.any(|part| has_key(part, candidate.row.place, self.question.currency))
    }

    pub(super) fn targets(&self, item: ItemKeyKind) -> impl Iterator<Item = Target> {
        let own = (item != ItemKeyKind::Class).then_some(self.item);
        let class = self.class.filter(|_| item != ItemKeyKind::Item);
        own.into_iter().chain(class)
    }

    fn shelves(&self, rule: WarehouseKey) -> impl Iterator<Item = Option<WarehouseNo>> {
        let named = self.warehouse.filter(|_| rule != WarehouseKey::Without);
        let without = (rule != WarehouseKey::Named).then_some(None);
        named.map(Some).into_iter().chain(without)
    }

    fn candidate(
        &self,
        scope: &'a RankedScope<'a>,
        part: &'a ScopePart<'a>,
        dated: DatedRow<'a>,
    ) -> Option<Candidate<'a>> {
        let item = self.question.item;
        let (row, pricing) = (dated.row, dated.row.pricing());
        let uom = row.place.uom().unwrap_or(item.base_uom);
        let factor = factor_of(item, uom)?;
        let break_factor = match pricing.break_uom {
            Some(uom) => factor_of(item, uom)?,
            None => factor,
        };
        let quantity = || self.base_quantity.checked_div(break_factor);
        let step = self.in_range(step(&pricing, quantity))??;
        let bound = match step.bound.is_zero() {
            true => Exact::ZERO,
            false => self.in_range(Exact::from_decimal(step.bound).checked_mul(break_factor))?,
        };
        let orders_unit = uom == self.question.unit.uom;
        let DatedRow { start, end, .. } = dated;
        Some(Candidate { scope, part, row, start, end, factor, step, bound, orders_unit })
    }
}

impl Line<'_> {
    /// Notes a computation that left the range.
    pub(super) fn in_range<T>(&self, computed: Option<T>) -> Option<T> {
        if computed.is_none() {
            self.out_of_range.set(true);
        }
        computed
    }
}

/// Which rows of its scopes a level takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    pub item: ItemKeyKind,
    pub warehouse: WarehouseKey,
}

impl From<&LevelRule> for Shape {
    fn from(rule: &LevelRule) -> Self {
        Self { item: rule.item, warehouse: rule.warehouse }
    }
}

impl<'a> Candidate<'a> {
    /// The total order of semantics 1.4: the lesser wins. Never insertion order; where even the source
    /// sequence is the same (one message with two contracts), the names decide.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |of: &Self| {
            let unspecific =
                (of.row.place.target.is_class(), of.scope.rank, of.row.place.warehouse().is_none());
            (unspecific, !of.orders_unit, Reverse(of.bound), Reverse(of.start), Reverse(of.row.version))
        };
        let names =
            |of: &Self| (of.part.chain.source.clone(), of.part.chain.partition, of.scope.scope.clone());
        key(self).cmp(&key(other)).then_with(|| names(self).cmp(&names(other)))
    }

    pub(super) fn is_in_force(&self, at: Timestamp) -> bool {
        self.start <= at && at < self.end
    }

    /// The unit that the bounds are in.
    pub(super) fn break_uom(&self, item: &ItemRecord) -> UomNo {
        let own = || self.row.place.uom().unwrap_or(item.base_uom);
        self.row.pricing().break_uom.unwrap_or_else(own)
    }

    /// How many units the price buys.
    pub(super) fn per(&self) -> Exact {
        Decimal::from_int(self.row.pricing().per.into()).map_or(Exact::ONE, Exact::from_decimal)
    }

    /// Base units that the row's price buys.
    pub(super) fn base_units(&self) -> Option<Exact> {
        self.factor.checked_mul(self.per())
    }
}

pub(super) fn factor_of(item: &ItemRecord, uom: UomNo) -> Option<Exact> {
    item.uom(uom).map(|unit| unit.factor)
}

/// Whether a part has rows of this key, in force or not.
pub(super) fn has_key(part: &ScopePart<'_>, place: Place, currency: Currency) -> bool {
    let mut rows = part.scope.rows_of(place.target, part.chain.rows.terms());
    rows.any(|(row, terms)| row.place == place && terms.currency == currency)
}
