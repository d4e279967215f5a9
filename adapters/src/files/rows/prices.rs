//! Scopes of prices, their rows with ladders, and caps.

use std::collections::BTreeMap;

use pannier_protocol::change::{
    Break, Cap, CapBasis, CapRemoved, Method, ParentList, PriceKey, PriceRow, PriceScope, Prices,
    PricesRemoved, ScopeHeader, ScopeMember, ScopeRemoved,
};
use pannier_protocol::limits::PRICE_ROWS_MAX;
use pannier_protocol::{Change, Currency, DateEdge, Decimal};

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
    let mut removed = Vec::new();
    let mut headers: Gathered<'_, PriceScope, ScopeHeader> = Gathered::new();
    for row in rows {
        let taken = (|| -> Cell<()> {
            let scope = scope(row)?;
            if row.yes(REMOVED)? {
                removed.push(Change::ScopeRemoved(ScopeRemoved { scope }));
                return Ok(());
            }
            let one = header(row, scope.clone())?;
            let empty = ScopeHeader { members: Vec::new(), ..one.clone() };
            headers.add(*row, scope, || Ok(empty), true, |header| merge(header, &one));
            Ok(())
        })();
        if let Err(error) = taken {
            headers.reject(*row, error);
        }
    }
    let (groups, rejects) = headers.finish(|_, header| Ok(vec![checked(Change::Scope(header))?]));
    Parsed { body: Body::Groups(groups), removed, rejects }
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

/// What the rows of one `prices` change share.
type Sheaf = (PriceScope, Currency, Option<Dated>, Option<Dated>);
/// A date edge that can be a key.
type Dated = (String, bool);

/// One ladder while its rungs are gathered.
struct Ladder {
    from: Option<DateEdge>,
    to: Option<DateEdge>,
    row: PriceRow,
}

pub(super) fn prices(rows: &[Row<'_>]) -> Parsed {
    let mut removed = Vec::new();
    let mut ladders: Gathered<'_, (Sheaf, PriceKey), Ladder> = Gathered::new();
    for row in rows {
        let taken = (|| -> Cell<()> {
            let (sheaf, key, from, to) = ladder_key(row)?;
            if row.yes(REMOVED)? {
                let (scope, currency, ..) = sheaf;
                removed.push(Change::PricesRemoved(PricesRemoved { scope, currency, from, rows: vec![key] }));
                return Ok(());
            }
            let start = PriceRow { key: key.clone(), ..rate(row)? };
            let first = start.clone();
            ladders.add(
                *row,
                (sheaf, key),
                || Ok(Ladder { from, to, row: first }),
                true,
                |ladder| climb(&mut ladder.row, &start, row),
            );
            Ok(())
        })();
        if let Err(error) = taken {
            ladders.reject(*row, error);
        }
    }
    let (built, rejects) =
        ladders.finish(|((scope, currency, ..), _), ladder| built(scope, currency, ladder));
    let built = built.into_iter().flatten().collect();
    Parsed { body: Body::Groups(by_scope(built)), removed, rejects }
}

fn ladder_key(row: &Row<'_>) -> Cell<(Sheaf, PriceKey, Option<DateEdge>, Option<DateEdge>)> {
    let currency = row.need("currency", row.currency("currency")?)?;
    let (from, to) = (row.start("from")?, row.end("to")?);
    let dated = |edge: &Option<DateEdge>| edge.as_ref().map(|edge| (edge.date.to_string(), edge.inclusive));
    let item = row.id("item")?;
    let class = if item.is_none() { row.id("class")? } else { None };
    if item.is_none() && class.is_none() {
        return Err(CellError::row("names neither an item nor a class"));
    }
    let key = PriceKey { item, class, uom: row.id("uom")?, warehouse: row.id("warehouse")? };
    Ok(((scope(row)?, currency, dated(&from), dated(&to)), key, from, to))
}

/// What the rungs of a ladder share. Its key is put in by the caller.
fn rate(row: &Row<'_>) -> Cell<PriceRow> {
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
    let key = PriceKey { item: None, class: None, uom: None, warehouse: None };
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
fn built(scope: PriceScope, currency: Currency, ladder: Ladder) -> Cell<Option<Prices>> {
    let Ladder { from, to, mut row } = ladder;
    if row.breaks.is_empty() {
        return Ok(None);
    }
    row.breaks.sort_by_key(|rung| rung.0);
    let prices = Prices { scope, currency, from, to, rows: vec![row] };
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
        Ok(Some(Change::Cap(Cap {
            contract: row.needed_id("contract")?,
            item: row.id("item")?,
            basis: row.need("basis", row.word::<CapBasis>("basis")?)?,
            limit: row.needed_decimal("limit")?,
            consumed: row.needed_decimal("consumed")?,
            past: row.word("past")?.unwrap_or_default(),
            reflects: None,
        })))
    };
    one_by_one(rows, cap, |row| {
        Ok(Change::CapRemoved(CapRemoved { contract: row.needed_id("contract")?, item: row.id("item")? }))
    })
}
