//! Scopes of prices, their rows with ladders, and caps.

use std::collections::{BTreeMap, BTreeSet};

use pannier_protocol::change::{
    Break, Cap, CapBasis, CapRemoved, Method, ParentList, PriceKey, PriceRow, PriceScope, Prices,
    PricesRemoved, ScopeHeader, ScopeMember, ScopeRemoved,
};
use pannier_protocol::limits::PRICE_ROWS_MAX;
use pannier_protocol::{Change, Currency, DateEdge, Decimal, LocalDate, Zone};

use super::gather::{Gathered, checked, one_by_one};
use super::{Body, Parsed};
use crate::files::row::{Cell, CellError, Row};
use crate::files::table::{REMOVED, SCOPE_FIELDS};

/// The scope of a row: exactly one of the five fields is filled in.
fn scope(row: &Row<'_>) -> Cell<PriceScope> {
    let mut found = [
        row.id("contract")?.map(PriceScope::Contract),
        row.id("account")?.map(PriceScope::Account),
        row.id("group")?.map(PriceScope::Group),
        row.id("promotion")?.map(PriceScope::Promotion),
        row.id("list")?.map(PriceScope::List),
    ]
    .into_iter()
    .flatten();
    let names = SCOPE_FIELDS.join(", ");
    match (found.next(), found.next()) {
        (Some(scope), None) => Ok(scope),
        (None, _) => Err(CellError::row(format!("none of {names} is filled in"))),
        (Some(_), Some(_)) => Err(CellError::row(format!("more than one of {names} is filled in"))),
    }
}

pub(super) fn scopes(rows: &[Row<'_>]) -> Parsed {
    let mut gone = BTreeSet::new();
    let mut headers: Gathered<'_, PriceScope, ScopeHeader> = Gathered::new();
    for row in rows {
        let taken = (|| -> Cell<()> {
            let scope = scope(row)?;
            if row.yes(REMOVED)? {
                gone.insert(scope);
                return Ok(());
            }
            gone.remove(&scope);
            let one = header(row, scope.clone());
            headers.add(*row, scope, true, |header| {
                let one = one?;
                match header {
                    Some(header) => merge(header, &one),
                    None => {
                        *header = Some(one);
                        Ok(())
                    }
                }
            });
            Ok(())
        })();
        if let Err(error) = taken {
            headers.reject(*row, error);
        }
    }
    let finished = headers.finish(|_, header| Ok(vec![checked(Change::Scope(header))?]));
    let removal = |scope| Change::ScopeRemoved(ScopeRemoved { scope });
    let removed = gone.into_iter().map(removal).collect();
    let failed = finished.failed.into_iter().map(removal).collect();
    Parsed { body: Body::Groups(finished.built), removed, rejects: finished.rejects, failed }
}

fn header(row: &Row<'_>, scope: PriceScope) -> Cell<ScopeHeader> {
    let accounts = row.ids("member_accounts")?.into_iter().map(ScopeMember::Account);
    let groups = row.ids("member_groups")?.into_iter().map(ScopeMember::Group);
    let multiplier = row.decimal("parent_multiplier")?.unwrap_or(Decimal::ONE);
    Ok(ScopeHeader {
        scope,
        from: row.start("from")?,
        to: row.end("to")?,
        members: accounts.chain(groups).collect(),
        parent: row.id("parent_list")?.map(|list| ParentList { list, multiplier }),
    })
}

fn merge(header: &mut ScopeHeader, row: &ScopeHeader) -> Cell<()> {
    if (&header.from, &header.to, &header.parent) != (&row.from, &row.to, &row.parent) {
        return Err(CellError::row("another row of this scope has other dates or another parent"));
    }
    for member in &row.members {
        if !header.members.contains(member) {
            header.members.push(member.clone());
        }
    }
    Ok(())
}

/// What the rows of one `prices` change share, as a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Sheaf {
    scope: PriceScope,
    currency: Currency,
    from: Option<LocalDate>,
    /// With whether that day still counts.
    to: Option<(LocalDate, bool)>,
}

pub(super) fn prices(rows: &[Row<'_>]) -> Parsed {
    let mut gone = BTreeSet::new();
    let mut ladders: Gathered<'_, (Sheaf, PriceKey), PriceRow> = Gathered::new();
    let zone = rows.first().map_or_else(Zone::utc, |row| row.mapping().zone.clone());
    let removal = |(sheaf, key): (Sheaf, PriceKey)| {
        let Sheaf { scope, currency, from, .. } = sheaf;
        let from = from.map(|date| DateEdge { date, inclusive: true, zone: zone.clone() });
        Change::PricesRemoved(PricesRemoved { scope, currency, from, rows: vec![key] })
    };
    for row in rows {
        let taken = (|| -> Cell<()> {
            let (sheaf, key) = ladder_key(row)?;
            if row.yes(REMOVED)? {
                gone.insert((sheaf, key));
                return Ok(());
            }
            gone.remove(&(sheaf.clone(), key.clone()));
            let start = rate(row, key.clone());
            ladders.add(*row, (sheaf, key), true, |ladder| {
                let start = start?;
                climb(ladder.get_or_insert_with(|| start.clone()), &start, row)
            });
            Ok(())
        })();
        if let Err(error) = taken {
            ladders.reject(*row, error);
        }
    }
    let finished = ladders.finish(|(sheaf, _), ladder| built(sheaf, ladder, &zone));
    let groups = by_scope(finished.built.into_iter().flatten().collect());
    let removed = gone.into_iter().map(removal).collect();
    let failed = finished.failed.into_iter().map(removal).collect();
    Parsed { body: Body::Groups(groups), removed, rejects: finished.rejects, failed }
}

fn ladder_key(row: &Row<'_>) -> Cell<(Sheaf, PriceKey)> {
    let currency = row.need("currency", row.currency("currency")?)?;
    let (from, to) = (row.date("from")?, row.end("to")?.map(|edge| (edge.date, edge.inclusive)));
    let item = row.id("item")?;
    let class = if item.is_none() { row.id("class")? } else { None };
    if item.is_none() && class.is_none() {
        return Err(CellError::row("names neither an item nor a class"));
    }
    let key = PriceKey { item, class, uom: row.id("uom")?, warehouse: row.id("warehouse")? };
    Ok((Sheaf { scope: scope(row)?, currency, from, to }, key))
}

/// What the rungs of a ladder share.
fn rate(row: &Row<'_>, key: PriceKey) -> Cell<PriceRow> {
    let method = match row.text("method")?.as_deref() {
        None | Some("fixed") => Method::Fixed,
        Some("incremental") => Method::Incremental,
        Some("list_multiplier") => Method::ListMultiplier,
        Some("list_percent_off") => Method::ListPercentOff,
        Some("list_chain") => {
            let round_digits =
                row.count("round_digits")?.map(|digits| u8::try_from(digits).unwrap_or(u8::MAX));
            Method::ListChain { percents: row.decimals("percents")?, round_digits }
        }
        Some(other) => {
            let known = "fixed, incremental, list_multiplier, list_percent_off, list_chain";
            let reason = format!("{other:?} is none of {known}; give a map");
            return Err(CellError { column: "method".to_owned(), reason });
        }
    };
    let per = row.count("per")?.unwrap_or(1);
    Ok(PriceRow { key, per, method, break_uom: row.id("break_uom")?, breaks: Vec::new() })
}

/// Adds a file row's rungs to its ladder.
fn climb(ladder: &mut PriceRow, start: &PriceRow, row: &Row<'_>) -> Cell<()> {
    if (ladder.per, &ladder.method, &ladder.break_uom) != (start.per, &start.method, &start.break_uom) {
        return Err(CellError::row("another row of this ladder has another per, method or break_uom"));
    }
    let rungs = if row.rungs().is_empty() {
        let from = row.decimal("min_quantity")?.unwrap_or(Decimal::ZERO);
        vec![Break(from, row.needed_decimal("value")?)]
    } else {
        let mut rungs = Vec::new();
        for (from, value) in row.rungs() {
            if let Some(value) = row.decimal_of(value)? {
                rungs.push(Break(row.decimal_of(from)?.unwrap_or(Decimal::ZERO), value));
            }
        }
        rungs
    };
    for rung in rungs {
        if row.mapping().zero_is_no_price && rung.1.is_zero() {
            continue;
        }
        if ladder.breaks.iter().any(|other| other.0 == rung.0) {
            return Err(CellError::row(format!("two prices of this ladder begin at quantity {}", rung.0)));
        }
        ladder.breaks.push(rung);
    }
    Ok(())
}

/// A checked change of one row; none where every rung says "no price".
fn built(sheaf: &Sheaf, mut ladder: PriceRow, zone: &Zone) -> Cell<Option<Prices>> {
    if ladder.breaks.is_empty() {
        return Ok(None);
    }
    ladder.breaks.sort_by_key(|rung| rung.0);
    let Sheaf { scope, currency, from, to } = sheaf.clone();
    let from = from.map(|date| DateEdge { date, inclusive: true, zone: zone.clone() });
    let to = to.map(|(date, inclusive)| DateEdge { date, inclusive, zone: zone.clone() });
    let prices = Prices { scope, currency, from, to, rows: vec![ladder] };
    checked(Change::Prices(prices.clone()))?;
    Ok(Some(prices))
}

/// One group a scope: within it rows of the same currency and dates share a change.
fn by_scope(ladders: Vec<Prices>) -> Vec<Vec<Change>> {
    let mut scopes: BTreeMap<PriceScope, Vec<Prices>> = BTreeMap::new();
    for ladder in ladders {
        let sheaves = scopes.entry(ladder.scope.clone()).or_default();
        let same = |other: &&mut Prices| {
            other.currency == ladder.currency
                && other.from == ladder.from
                && other.to == ladder.to
                && other.rows.len() < PRICE_ROWS_MAX
        };
        match sheaves.iter_mut().rev().find(same) {
            Some(sheaf) => sheaf.rows.extend(ladder.rows),
            None => sheaves.push(ladder),
        }
    }
    scopes.into_values().map(|sheaves| sheaves.into_iter().map(Change::Prices).collect()).collect()
}

pub(super) fn caps(rows: &[Row<'_>]) -> Parsed {
    let cap = |row: &Row<'_>| {
        Ok(Change::Cap(Cap {
            contract: row.needed_id("contract")?,
            item: row.id("item")?,
            basis: row.need("basis", row.word::<CapBasis>("basis")?)?,
            limit: row.needed_decimal("limit")?,
            consumed: row.needed_decimal("consumed")?,
            past: row.word("past")?.unwrap_or_default(),
            reflects: None,
        }))
    };
    one_by_one(rows, cap, |row| {
        Ok(Change::CapRemoved(CapRemoved { contract: row.needed_id("contract")?, item: row.id("item")? }))
    })
}
