//! Why this price and no other: the winner, and every row of the item in the scopes that were asked, with the
//! reason why it was not taken. Asked for seldom, so it looks through the scopes once more on its own.

use pannier_protocol::api::{Explain, RejectedCandidate, RejectedReason};
use pannier_protocol::change::{InvalidateMode, LevelPolicy, LevelRule, WarehouseKey};

use super::candidate::{Line, factor_of, has_key};
use super::ladder::{is_derived, step};
use super::record::origin;
use super::scopes::{RankedScope, ScopePart};
use super::shown::{contract_name, level_name};
use super::walk::{Outcome, Walk};
use super::{Portioned, note_condemned};
use crate::catalog::{Row, Terms, show_row};
use crate::freshness::Consulted;
use crate::limits::EXPLAIN_CANDIDATES_MAX;

pub(super) fn explain<'a>(line: &Line<'a>, portioned: Option<&Portioned<'a>>) -> Explain {
    let outcome = portioned.and_then(|portioned| portioned.parts.first()).map(|part| &part.outcome);
    let condemned = outcome.is_some_and(|outcome| {
        let mut consulted = Consulted::default();
        note_condemned(line, outcome, &mut consulted);
        consulted.invalidated() == Some(InvalidateMode::Hard)
    });
    let stated = outcome.map(origin);
    let dictionary = line.question.scopes.dictionary;
    let shown =
        |outcome: &Outcome<'_>| show_row(&outcome.shown.scope.scope, outcome.shown.row.place, dictionary);
    let won = outcome.filter(|_| !condemned);
    let reasons = Reasons { line, portioned, outcome, condemned };
    Explain {
        pricing_date: line.question.pricing_date,
        row: won.map(shown),
        level: won.map(|outcome| level_name(line, outcome).to_string()),
        contract: won.and_then(|outcome| contract_name(&outcome.shown)).map(str::to_owned),
        source: stated.as_ref().map(|stated| stated.source.clone()),
        epoch: stated.as_ref().map(|stated| stated.epoch),
        source_sequence: stated.map(|stated| stated.sequence),
        rejected: reasons.rejected(),
    }
}

struct Reasons<'l, 'a> {
    line: &'l Line<'a>,
    portioned: Option<&'l Portioned<'a>>,
    outcome: Option<&'l Outcome<'a>>,
    /// The winner is not to be served.
    condemned: bool,
}

impl Reasons<'_, '_> {
    /// In the order of the walk; at most [`EXPLAIN_CANDIDATES_MAX`].
    fn rejected(&self) -> Vec<RejectedCandidate> {
        let mut rejected = Vec::new();
        let scopes = self.line.question.scopes;
        for (level, rule) in self.line.levels() {
            for scope in scopes.of(rule.customer, self.line.contract) {
                for part in &scope.parts {
                    for target in self.line.targets(rule.item) {
                        for (row, terms) in part.scope.rows_of(target, part.chain.rows.terms()) {
                            if rejected.len() == EXPLAIN_CANDIDATES_MAX {
                                return rejected;
                            }
                            let Some(reason) = self.reason((level, rule), scope, part, row, terms) else {
                                continue;
                            };
                            let row = show_row(&scope.scope, row.place, scopes.dictionary);
                            rejected.push(RejectedCandidate { row, level: rule.name.clone(), reason });
                        }
                    }
                }
            }
        }
        rejected
    }

    /// `None` for a row that was used, and for one that the level does not look at.
    fn reason(
        &self,
        (level, rule): (usize, &LevelRule),
        scope: &RankedScope<'_>,
        part: &ScopePart<'_>,
        row: &Row,
        terms: &Terms,
    ) -> Option<RejectedReason> {
        if self.is_used(row) {
            return self.condemned.then_some(RejectedReason::Invalidated);
        }
        let question = self.line.question;
        let shelf = row.place.warehouse();
        let looks = match rule.warehouse {
            WarehouseKey::Any => true,
            WarehouseKey::Named => shelf.is_some(),
            WarehouseKey::Without => shelf.is_none(),
        };
        if !looks {
            return None;
        }
        let at = question.pricing_date;
        let (start, end) = (terms.start.max(scope.span.0), terms.end.min(scope.span.1));
        let pricing = row.pricing();
        let uom = row.place.uom().unwrap_or(question.item.base_uom);
        let factor = factor_of(question.item, pricing.break_uom.unwrap_or(uom));
        let sellable = factor_of(question.item, uom).is_some();
        let satisfied = || step(&pricing, || self.line.base_quantity.checked_div(factor?))?;
        Some(if !self.counts(scope, part, row) {
            RejectedReason::NotOwner
        } else if terms.currency != question.currency {
            RejectedReason::OtherCurrency
        } else if shelf.is_some() && shelf != self.line.warehouse {
            RejectedReason::OtherWarehouse
        } else if factor.is_none() || !sellable {
            RejectedReason::UnknownUom
        } else if at < start || at >= end {
            RejectedReason::NotInForce
        } else if satisfied().is_none() {
            RejectedReason::BelowFirstBreak
        } else if self.portioned.is_some_and(|portioned| portioned.excluded.contains(&scope.no)) {
            RejectedReason::CapExhausted
        } else if is_derived(pricing.method) && self.has_no_list_price() {
            RejectedReason::NoBasePrice
        } else {
            self.beaten(level, rule)
        })
    }

    /// Why a row that could have priced the line did not.
    fn beaten(&self, level: usize, rule: &LevelRule) -> RejectedReason {
        let won_at = self.outcome.map_or(level, |outcome| self.level_of_winner(outcome));
        if rule.policy == LevelPolicy::Lowest || level < won_at {
            RejectedReason::DearerThanWinner
        } else if level > won_at {
            let compared =
                self.line.levels().any(|(at, rule)| at <= won_at && rule.policy == LevelPolicy::Lowest);
            if compared { RejectedReason::DearerThanWinner } else { RejectedReason::LowerLevel }
        } else {
            RejectedReason::LessSpecific
        }
    }

    /// Where the walk ended, which with additive levels above is not the level shown.
    fn level_of_winner(&self, outcome: &Outcome<'_>) -> usize {
        let scopes = self.line.question.scopes;
        let mut levels = self.line.levels().filter(|(level, rule)| {
            let mut asked = scopes.of(rule.customer, self.line.contract);
            *level >= outcome.level && asked.any(|scope| std::ptr::eq(scope, outcome.winner.scope))
        });
        levels.next().map_or(outcome.level, |(level, _)| level)
    }

    fn is_used(&self, row: &Row) -> bool {
        let parts = self.portioned.iter().flat_map(|portioned| &portioned.parts);
        parts.flat_map(|part| part.outcome.rows()).any(|candidate| std::ptr::eq(candidate.row, row))
    }

    fn counts(&self, scope: &RankedScope<'_>, part: &ScopePart<'_>, row: &Row) -> bool {
        let lower = scope.parts.iter().filter(|other| other.chain.source < part.chain.source);
        let foreign =
            || lower.into_iter().any(|other| has_key(other, row.place, self.line.question.currency));
        self.line.counts(part) && (self.line.owner.is_some() || !foreign())
    }

    fn has_no_list_price(&self) -> bool {
        Walk::new(self.line, self.line.question.pricing_date, &[]).list_price().is_none()
    }
}
