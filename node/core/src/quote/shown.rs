//! A price as answers show it. Rounding happens here and nowhere else.

use compact_str::CompactString;
use pannier_protocol::api::{BreakShown, Price, PricePart};
use pannier_protocol::{Decimal, Money, Timestamp};

use super::Portioned;
use super::candidate::{Candidate, Line, factor_of};
use super::caps::is_contract;
use super::ladder::unit_price;
use super::walk::{Outcome, Walk};
use crate::quantity::Exact;

/// `None` out of a decimal's range, and for a line without parts.
pub(super) fn price(line: &Line<'_>, portioned: &Portioned<'_>) -> Option<Price> {
    let question = line.question;
    let scopes = question.scopes;
    let first = &portioned.parts.first()?.outcome;
    let mut total = Exact::ZERO;
    for part in &portioned.parts {
        total = total.checked_add(part.outcome.price.checked_mul(part.quantity)?)?;
    }
    let each = total.checked_div(line.base_quantity)?;
    let units = first.winner.base_units()?;
    let in_row_terms = |price: Exact| price.checked_mul(units)?.to_decimal();
    let rounding = scopes.tables.policies.rounding;
    let extended = total.round(question.currency.minor_digits(), rounding)?;
    let uom = first.winner.row.place.uom().unwrap_or(question.item.base_uom);
    let list_price = if question.wants.list_price {
        let list = Walk::new(line, question.pricing_date, &portioned.excluded).list_price();
        list.map(|list| in_row_terms(list.price)).map_or(Some(None), |price| price.map(Some))?
    } else {
        None
    };
    let ladder = if question.wants.breaks { ladder(line, first)? } else { Vec::new() };
    let reached = first.winner.step.bound;
    let next = first.winner.row.pricing().breaks().iter().position(|step| step.0 > reached);
    Some(Price {
        unit_price: in_row_terms(each)?,
        per: Decimal::from_int(first.winner.row.pricing().per.into())?,
        uom: scopes.dictionary.uoms.name(uom).into(),
        order_unit_price: each.checked_mul(question.unit.factor)?.to_decimal()?,
        extended: Money::new(extended, question.currency),
        list_price,
        level: level_name(line, first),
        contract: contract_name(&first.shown).map(CompactString::from),
        valid_until: Some(portioned.until).filter(|until| *until != Timestamp::MAX),
        parts: if portioned.parts.len() > 1 { Some(parts(line, portioned, units)?) } else { None },
        next_break: next.and_then(|at| ladder.get(at).cloned()),
        breaks: question.wants.breaks.then_some(ladder),
    })
}

pub(super) fn level_name(line: &Line<'_>, outcome: &Outcome<'_>) -> CompactString {
    let levels = &line.question.scopes.tables.policies.levels;
    levels.get(outcome.level).map_or_else(CompactString::default, |level| level.name.as_str().into())
}

pub(super) fn contract_name<'a>(candidate: &Candidate<'a>) -> Option<&'a str> {
    is_contract(candidate).then(|| candidate.scope.scope.id())
}

/// Unit prices in the terms of the first part's row, so that the parts compare.
fn parts(line: &Line<'_>, portioned: &Portioned<'_>, units: Exact) -> Option<Vec<PricePart>> {
    let part = |part: &super::Portion<'_>| {
        Some(PricePart {
            quantity: part.quantity.checked_div(line.question.unit.factor)?.to_decimal()?,
            unit_price: part.outcome.price.checked_mul(units)?.to_decimal()?,
            level: level_name(line, &part.outcome),
        })
    };
    portioned.parts.iter().map(part).collect()
}

/// The whole ladder of the winning row, before additive discounts.
fn ladder(line: &Line<'_>, outcome: &Outcome<'_>) -> Option<Vec<BreakShown>> {
    let winner = &outcome.winner;
    let units = winner.base_units()?;
    let pricing = winner.row.pricing();
    let uom = line.question.scopes.dictionary.uoms.name(winner.break_uom(line.question.item));
    let shown = |step: &pannier_protocol::change::Break| {
        let base = match &outcome.base {
            Some(base) if step.0 == winner.step.bound => Some(base.price.checked_mul(units)?),
            Some(base) => Some(base_from(line, outcome, step.0).unwrap_or(base.price).checked_mul(units)?),
            None => None,
        };
        let price = unit_price(pricing.method, Exact::from_decimal(step.1), base)?;
        let price = price.checked_mul(winner.scope.multiplier)?;
        Some(BreakShown { min_quantity: step.0, uom: uom.into(), unit_price: price.to_decimal()? })
    };
    pricing.breaks().iter().map(shown).collect()
}

/// The list price of one base unit that a derived row starts from at its bound: the list has breaks too.
fn base_from(line: &Line<'_>, outcome: &Outcome<'_>, bound: Decimal) -> Option<Exact> {
    let winner = &outcome.winner;
    let factor = factor_of(line.question.item, winner.break_uom(line.question.item))?;
    let line = line.of_quantity(Exact::from_decimal(bound).checked_mul(factor)?);
    let base = Walk::new(&line, line.question.pricing_date, &[]).base_of(winner)?;
    Some(base.price)
}
