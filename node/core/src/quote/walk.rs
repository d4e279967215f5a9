//! One walk down the levels at one instant.
//!
//! The walk also says until when it holds: the first instant at which a row that it used ends, or at which one
//! begins that would beat it. Where that depends on prices (a `lowest` level, whose losers matter too, or a
//! derived row to come, which may have no list price) the instant is only one at which to look again.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use pannier_protocol::Timestamp;
use pannier_protocol::change::{CustomerKey, ItemKeyKind, LevelPolicy, LevelRule, Method, WarehouseKey};

use super::candidate::{Candidate, Found, Line, Shape};
use super::ladder::{is_derived, less_percent, unit_price};
use super::scopes::RankedScope;
use crate::dictionary::ScopeNo;
use crate::quantity::Exact;

/// A price and the rows that made it.
#[derive(Clone)]
pub(super) struct Outcome<'a> {
    /// Of one base unit.
    pub price: Exact,
    /// The row at which the walk ended; of the list, where only discounts were found.
    pub winner: Candidate<'a>,
    /// The level of the topmost contributor, and its row.
    pub level: usize,
    pub shown: Candidate<'a>,
    /// The list row that the winner derives from.
    pub base: Option<Rc<Priced<'a>>>,
    /// Winners of additive levels, from the top.
    pub additive: Vec<Candidate<'a>>,
}

/// A row with what it makes of one base unit.
#[derive(Clone)]
pub(super) struct Priced<'a> {
    pub candidate: Candidate<'a>,
    /// Of one base unit.
    pub price: Exact,
    /// Of a derived row: its list row, which may derive from that of a list above.
    pub base: Option<Rc<Priced<'a>>>,
}

pub(super) struct Walk<'l, 'a> {
    line: &'l Line<'a>,
    at: Timestamp,
    /// Scopes whose cap the line does not fit into.
    excluded: &'l [ScopeNo],
    list: OnceCell<Option<Rc<Priced<'a>>>>,
    until: Cell<Timestamp>,
    is_final: Cell<bool>,
    /// The start of the first row to come that was not looked at.
    unseen: Cell<Timestamp>,
}

/// What a walk found, and until when it holds.
pub(super) struct Walked<'a> {
    pub outcome: Option<Outcome<'a>>,
    pub until: Timestamp,
    /// Otherwise `until` is when to look again.
    pub is_final: bool,
}

/// The five levels that a contract-only account walks.
pub(super) fn is_contract_level(key: CustomerKey) -> bool {
    match key {
        CustomerKey::LineContract
        | CustomerKey::ShipToContract
        | CustomerKey::CustomerContract
        | CustomerKey::AncestorContract
        | CustomerKey::GroupContract => true,
        CustomerKey::Customer | CustomerKey::Group | CustomerKey::Promotion | CustomerKey::List => false,
    }
}

impl<'l, 'a> Walk<'l, 'a> {
    pub(super) fn new(line: &'l Line<'a>, at: Timestamp, excluded: &'l [ScopeNo]) -> Self {
        let (until, unseen) = (Cell::new(Timestamp::MAX), Cell::new(Timestamp::MAX));
        Self { line, at, excluded, list: OnceCell::new(), until, is_final: Cell::new(true), unseen }
    }

    pub(super) fn run(self) -> Walked<'a> {
        let mut best: Option<Outcome<'a>> = None;
        let (mut additive, mut percents) = (Vec::<(usize, Candidate<'a>)>::new(), Exact::ZERO);
        let (mut ended, mut discounts_only) = (false, false);
        for (level, rule) in self.line.levels() {
            let Some(hit) = self.level(rule) else { continue };
            if let Some(off) = percent_off(rule.policy, &hit.candidate) {
                let counted = additive.iter().any(|(_, known)| known.scope.no == hit.candidate.scope.no);
                if let Some(sum) = percents.checked_add(off).filter(|_| !counted) {
                    (percents, discounts_only) = (sum, true);
                    additive.push((level, hit.candidate));
                }
                continue;
            }
            consider(&mut best, self.outcome(level, hit, &additive, percents));
            discounts_only = false;
            if rule.policy != LevelPolicy::Lowest {
                ended = true;
                break;
            }
        }
        if !ended
            && discounts_only
            && let Some(list) = self.list_price().map(Rc::unwrap_or_clone)
        {
            let level = additive.first().map_or(0, |(level, _)| *level);
            consider(&mut best, self.outcome(level, list, &additive, percents));
        }
        let (until, unseen) = (self.until.get(), self.unseen.get());
        Walked { outcome: best, until: until.min(unseen), is_final: self.is_final.get() && until <= unseen }
    }

    /// The list price of one base unit: what derived rows start from. The winner of the list levels, also for
    /// an account that does not walk them; with none in the policy, of the lists as they are.
    pub(super) fn list_price(&self) -> Option<Rc<Priced<'a>>> {
        let list = self.list.get_or_init(|| {
            let rules = &self.line.question.scopes.tables.policies.levels;
            let mut rules = rules.iter().filter(|rule| rule.customer == CustomerKey::List).peekable();
            if rules.peek().is_none() {
                let any = Shape { item: ItemKeyKind::Any, warehouse: WarehouseKey::Any };
                return self.list_level(any, LevelPolicy::First).map(Rc::new);
            }
            let mut best: Option<Priced<'a>> = None;
            for rule in rules {
                let Some(hit) = self.list_level(Shape::from(rule), rule.policy) else { continue };
                if best.as_ref().is_none_or(|best| hit.price < best.price) {
                    best = Some(hit);
                }
                if rule.policy != LevelPolicy::Lowest {
                    break;
                }
            }
            best.map(Rc::new)
        });
        list.clone()
    }

    fn list_level(&self, shape: Shape, policy: LevelPolicy) -> Option<Priced<'a>> {
        let mut found = Found::new();
        self.collect(CustomerKey::List, shape, &mut found);
        // A discount is no price to start from: there a row derives from the lists above.
        let policy = if policy == LevelPolicy::Additive { LevelPolicy::First } else { policy };
        self.pick(found, policy)
    }

    /// The winner of one level.
    fn level(&self, rule: &LevelRule) -> Option<Priced<'a>> {
        let mut found = Found::new();
        self.collect(rule.customer, Shape::from(rule), &mut found);
        // Most levels have nothing of an item.
        if found.is_empty() && rule.policy != LevelPolicy::Lowest {
            return None;
        }
        self.pick(found, rule.policy)
    }

    fn collect(&self, key: CustomerKey, shape: Shape, found: &mut Found<'a>) {
        for scope in self.line.question.scopes.of(key, self.line.contract) {
            if !self.excluded.contains(&scope.no) {
                self.look(shape, scope, found);
            }
        }
    }

    fn look(&self, shape: Shape, scope: &'a RankedScope<'a>, found: &mut Found<'a>) {
        let unseen = self.line.matching(shape, scope, self.at, found);
        self.unseen.set(self.unseen.get().min(unseen));
    }

    /// The first in the total order that has a price; at a `lowest` level the cheapest.
    fn pick(&self, found: Found<'a>, policy: LevelPolicy) -> Option<Priced<'a>> {
        let is_lowest = policy == LevelPolicy::Lowest;
        let has_parents = found.iter().any(|candidate| candidate.scope.depth > 0);
        // Whether rows that lose can hide others.
        let hides = is_lowest || has_parents;
        if hides {
            self.is_final.set(false);
        }
        let (mut now, later): (Found<'a>, Found<'a>) =
            found.into_iter().partition(|candidate| candidate.is_in_force(self.at));
        if hides {
            now.iter().for_each(|candidate| self.holds_until(candidate.end));
        }
        if has_parents {
            now = self.own_before_parents(now);
        }
        now.sort_by(Candidate::order);
        let mut winner: Option<Priced<'a>> = None;
        for candidate in now {
            let Some(priced) = self.priced(candidate, policy) else { continue };
            if winner.as_ref().is_none_or(|best| priced.price < best.price) {
                winner = Some(priced);
            }
            if !is_lowest {
                self.holds_until(candidate.end);
                break;
            }
        }
        for candidate in later {
            if hides || winner.as_ref().is_none_or(|best| candidate.order(&best.candidate).is_lt()) {
                self.holds_until(candidate.start);
                if is_derived(candidate.row.pricing().method) {
                    self.is_final.set(false);
                }
            }
        }
        winner
    }

    /// What a list prices itself does not come from the lists above it.
    fn own_before_parents(&self, now: Found<'a>) -> Found<'a> {
        let hidden = |of: &Candidate<'a>| {
            let mut own = now.iter().filter(|it| it.scope.rank == of.scope.rank);
            own.any(|it| it.scope.depth < of.scope.depth && self.priced(*it, LevelPolicy::First).is_some())
        };
        now.iter().filter(|candidate| !hidden(candidate)).copied().collect()
    }

    /// `None`: a derived row without a list price, which is no hit.
    fn priced(&self, candidate: Candidate<'a>, policy: LevelPolicy) -> Option<Priced<'a>> {
        if percent_off(policy, &candidate).is_some() {
            // What it is taken off is not known yet.
            return Some(Priced { candidate, price: Exact::ZERO, base: None });
        }
        let method = candidate.row.pricing().method;
        let base = if is_derived(method) { self.base_of(&candidate) } else { None };
        if is_derived(method) && base.is_none() {
            // A list price to come need not find this row still in force.
            self.is_final.set(false);
            return None;
        }
        let price = || {
            let units = candidate.base_units()?;
            let list = match &base {
                Some(base) => Some(base.price.checked_mul(units)?),
                None => None,
            };
            let price = unit_price(method, candidate.step.value, list)?.checked_div(units)?;
            price.checked_mul(candidate.scope.multiplier)
        };
        let price = self.line.in_range(price())?;
        Some(Priced { candidate, price, base })
    }

    /// The list price that a derived row starts from. One in a list starts from the lists above that one:
    /// from its own level it would start from itself.
    pub(super) fn base_of(&self, candidate: &Candidate<'a>) -> Option<Rc<Priced<'a>>> {
        let scopes = self.line.question.scopes;
        let own = |scope: &&RankedScope<'a>| std::ptr::eq(*scope, candidate.scope);
        let list = scopes.of(CustomerKey::List, None).find(own);
        let Some(list) = list else { return self.list_price() };
        let shape = Shape { item: ItemKeyKind::Any, warehouse: WarehouseKey::Any };
        let above = scopes.of(CustomerKey::List, None);
        let above = above.filter(|scope| scope.rank == list.rank && scope.depth > list.depth);
        let mut found = Found::new();
        above.for_each(|scope| self.look(shape, scope, &mut found));
        let base = self.pick(found, LevelPolicy::First)?;
        // Its price is as seen from the list asked; the row stands in a list above which that one's
        // multiplier applies again.
        let price = base.price.checked_div(list.multiplier)?;
        Some(Rc::new(Priced { price, ..base }))
    }

    fn outcome(
        &self,
        level: usize,
        hit: Priced<'a>,
        additive: &[(usize, Candidate<'a>)],
        percents: Exact,
    ) -> Option<Outcome<'a>> {
        let price = if additive.is_empty() { Some(hit.price) } else { less_percent(hit.price, percents) };
        let price = self.line.in_range(price)?;
        let (level, shown) = additive.first().copied().unwrap_or((level, hit.candidate));
        Some(Outcome {
            price: price.max(Exact::ZERO),
            winner: hit.candidate,
            level,
            shown,
            base: hit.base,
            additive: additive.iter().map(|(_, candidate)| *candidate).collect(),
        })
    }

    fn holds_until(&self, instant: Timestamp) {
        self.until.set(self.until.get().min(instant));
    }
}

/// Of two prices the lower, of two alike the upper level's.
fn consider<'a>(best: &mut Option<Outcome<'a>>, outcome: Option<Outcome<'a>>) {
    if let Some(outcome) = outcome
        && best.as_ref().is_none_or(|best| outcome.price < best.price)
    {
        *best = Some(outcome);
    }
}

/// The percent that a row adds at an additive level; other rows end the walk there.
fn percent_off(policy: LevelPolicy, candidate: &Candidate<'_>) -> Option<Exact> {
    let percent = *candidate.row.pricing().method == Method::ListPercentOff;
    (policy == LevelPolicy::Additive && percent).then_some(candidate.step.value)
}

impl<'a> Line<'a> {
    /// The levels that this account walks, with their places in the policy.
    pub(super) fn levels(&self) -> impl Iterator<Item = (usize, &'a LevelRule)> {
        let scopes = self.question.scopes;
        let contract_only = scopes.account.is_some_and(|context| context.account.contract_only);
        let levels = scopes.tables.policies.levels.iter().enumerate();
        levels.filter(move |(_, rule)| !contract_only || is_contract_level(rule.customer))
    }
}
