//! The nightly export of the ERP: what is sold, to whom, at which prices, and what is on order.

use super::record::{Calendar, Lines, implied, item_number, sign_behind, with_comma};
use super::{Output, blank};
use crate::sample::distributor::{Distributor, Item, Price};

pub(super) fn write(out: &mut Output, distributor: &Distributor, calendar: Calendar) -> anyhow::Result<()> {
    out.file("ITEMMAST.TXT", item_master(distributor)?)?;
    out.file("UNITS.CSV", units(distributor)?)?;
    out.file("KITS.CSV", kits(distributor)?)?;
    out.file("RELATED.CSV", related(distributor)?)?;
    out.file("XREF.CSV", references(distributor)?)?;
    out.file("CUSTOMER.TXT", customers(distributor)?)?;
    out.file("CONTRACT.CSV", contracts(distributor, calendar)?)?;
    out.file("LISTPRC.TXT", list_prices(distributor, calendar)?)?;
    out.file("SPECIALS.CSV", special_prices(distributor, calendar)?)?;
    out.file("SUPPLY.CSV", supply(distributor, calendar)?)?;
    out.file("CAPS.CSV", caps(distributor)?)
}

/// Fixed width between a leader and a trailer with the count.
fn item_master(distributor: &Distributor) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    lines.line("HDR ITEM MASTER");
    for item in &distributor.items {
        let status = if item.status.as_deref() == Some("discontinued") { "D" } else { "A" };
        let flag = |set: bool| if set { "Y" } else { "N" };
        lines.fixed(&[
            (&item_number(&item.item)?, 8),
            (&item.description, 44),
            (&item.base_uom, 3),
            (&item.class, 4),
            (blank(&item.entitlement), 4),
            (status, 1),
            (flag(item.backorder), 1),
            (flag(item.lot_tracked), 1),
        ])?;
    }
    lines.line(&format!("TRL {:08}", distributor.items.len()));
    Ok(lines)
}

fn units(distributor: &Distributor) -> anyhow::Result<Lines> {
    csv("ITEM;UNIT;BASE_UNITS;MULTIPLE;MINIMUM", &distributor.items, |lines, item| {
        for uom in &item.uoms {
            let numerator = uom.numerator.to_string();
            let (multiple, minimum) = (blank(&uom.multiple), blank(&uom.minimum));
            lines.delimited(';', &[&item_number(&item.item)?, &uom.uom, &numerator, multiple, minimum])?;
        }
        Ok(())
    })
}

fn kits(distributor: &Distributor) -> anyhow::Result<Lines> {
    csv("KIT;PART;QTY;UNIT", &distributor.items, |lines, item| {
        for part in &item.kit {
            let (kit, component) = (item_number(&item.item)?, item_number(&part.item)?);
            lines.delimited(';', &[&kit, &component, &with_comma(&part.quantity)?, &part.uom])?;
        }
        Ok(())
    })
}

fn related(distributor: &Distributor) -> anyhow::Result<Lines> {
    csv("ITEM;TYPE;OTHER;UNIT;RATIO", &distributor.items, |lines, item| {
        for relation in &item.relations {
            let kind = first_letter(&relation.relation);
            let ratio = relation.numerator.unwrap_or(1).to_string();
            let (this, other) = (item_number(&item.item)?, item_number(&relation.item)?);
            lines.delimited(';', &[&this, &kind, &other, &relation.uom, &ratio])?;
        }
        Ok(())
    })
}

fn references(distributor: &Distributor) -> anyhow::Result<Lines> {
    csv("TYPE;CUSTOMER;NUMBER;ITEM;UNIT", &distributor.items, |lines, item| {
        for reference in &item.references {
            let kind = first_letter(&reference.kind);
            let (account, uom) = (blank(&reference.account), blank(&reference.uom));
            lines.delimited(';', &[&kind, account, &reference.number, &item_number(&item.item)?, uom])?;
        }
        Ok(())
    })
}

/// Bars between, no header, the name in a column that nothing is mapped to.
fn customers(distributor: &Distributor) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    for account in &distributor.accounts {
        let flag = |set: bool| if set { "Y" } else { "N" };
        lines.delimited(
            '|',
            &[
                &account.account,
                &account.name,
                blank(&account.parent),
                account.root.as_deref().unwrap_or(&account.account),
                &account.groups.join(","),
                blank(&account.currency),
                &account.entitlements.join(","),
                flag(account.contract_only),
                flag(account.blocked),
                &account.warehouses.join(","),
                blank(&account.sourcing),
                &account.lists.join(","),
            ],
        )?;
    }
    Ok(lines)
}

fn contracts(distributor: &Distributor, calendar: Calendar) -> anyhow::Result<Lines> {
    let header = "CONTRACT;PROMO;LIST;FROM;TO;CUSTOMERS;GROUPS;BASE_LIST;FACTOR";
    csv(header, &distributor.scopes, |lines, scope| {
        let factor = scope.parent_multiplier.as_deref().map(with_comma).transpose()?;
        lines.delimited(
            ';',
            &[
                blank(&scope.contract),
                blank(&scope.promotion),
                blank(&scope.list),
                &calendar.dotted(scope.from)?,
                &calendar.dotted(scope.to)?,
                &scope.accounts.join(","),
                &scope.groups.join(","),
                blank(&scope.parent_list),
                blank(&factor),
            ],
        )
    })
}

fn prices(distributor: &Distributor) -> impl Iterator<Item = (Option<&Item>, &Price)> {
    let of_items = distributor.items.iter().flat_map(|item| item.prices.iter().map(move |p| (Some(item), p)));
    of_items.chain(distributor.class_prices.iter().map(|price| (None, price)))
}

/// Fixed width, implied decimals, three rungs side by side.
fn list_prices(distributor: &Distributor, calendar: Calendar) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    for (item, price) in prices(distributor).filter(|(_, price)| price.list.is_some()) {
        let item = item.map(|item| item_number(&item.item)).transpose()?;
        let method = if price.method.as_deref() == Some("incremental") { "I" } else { "F" };
        let per = format!("{:04}", price.per.unwrap_or(1));
        let (from, to) = (calendar.with_century(price.from)?, calendar.with_century(price.to)?);
        let mut columns = vec![
            (blank(&price.list), 8),
            (blank(&item), 8),
            (price.currency.as_deref().unwrap_or("USD"), 3),
            (blank(&price.uom), 3),
            (&per, 4),
            (method, 1),
            (&from, 7),
            (&to, 7),
            (blank(&price.break_uom), 3),
        ];
        let rungs = price
            .breaks
            .iter()
            .map(|(quantity, value)| Ok((implied(quantity, 3, 10)?, implied(value, 4, 12)?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        columns.extend(rungs.iter().flat_map(|(quantity, value)| [(quantity.as_str(), 10), (value, 12)]));
        lines.fixed(&columns)?;
    }
    Ok(lines)
}

/// Contracts, customers, groups and promotions in one spreadsheet, decimal commas in it.
fn special_prices(distributor: &Distributor, calendar: Calendar) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    lines.line(
        "CONTRACT;CUSTOMER;GROUP;PROMO;CURR;FROM;TO;ITEM;CLASS;UNIT;PER;METHOD;CHAIN;BRK_UNIT;\
         QTY1;VALUE1;QTY2;VALUE2;QTY3;VALUE3",
    );
    for (item, price) in prices(distributor).filter(|(_, price)| price.list.is_none()) {
        let mut columns = vec![
            blank(&price.contract).to_owned(),
            blank(&price.account).to_owned(),
            blank(&price.group).to_owned(),
            blank(&price.promotion).to_owned(),
            price.currency.as_deref().unwrap_or("USD").to_owned(),
            calendar.dotted(price.from)?,
            calendar.dotted(price.to)?,
            item.map(|item| item_number(&item.item)).transpose()?.unwrap_or_default(),
            blank(&price.class).to_owned(),
            blank(&price.uom).to_owned(),
            price.per.unwrap_or(1).to_string(),
            price.method.as_deref().unwrap_or("fixed").to_uppercase(),
            price.percents.join("/"),
            blank(&price.break_uom).to_owned(),
        ];
        for (quantity, value) in &price.breaks {
            columns.extend([with_comma(quantity)?, with_comma(value)?]);
        }
        columns.resize(20, String::new());
        lines.delimited(';', &columns.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(lines)
}

fn supply(distributor: &Distributor, calendar: Calendar) -> anyhow::Result<Lines> {
    csv("WHS;ITEM;DOC;UNIT;DUE;QTY", &distributor.items, |lines, item| {
        for (cell, supply) in item.stock.iter().flat_map(|cell| cell.supply.iter().map(move |s| (cell, s))) {
            let (number, due) = (item_number(&item.item)?, calendar.dotted(Some(supply.day))?);
            let quantity = sign_behind(&with_comma(&supply.quantity)?);
            let columns = [&cell.warehouse, &number, &supply.reference, &item.base_uom, &due, &quantity];
            lines.delimited(';', &columns.map(String::as_str))?;
        }
        Ok(())
    })
}

fn caps(distributor: &Distributor) -> anyhow::Result<Lines> {
    csv("CONTRACT;ITEM;LIMIT;USED;PAST", &distributor.items, |lines, item| {
        let Some(cap) = &item.cap else { return Ok(()) };
        let past = if cap.past.as_deref() == Some("split") { "S" } else { "F" };
        let (number, limit) = (item_number(&item.item)?, with_comma(&cap.limit)?);
        lines.delimited(';', &[&cap.contract, &number, &limit, &with_comma(&cap.consumed)?, past])
    })
}

fn csv<T>(
    header: &str,
    rows: &[T],
    mut row: impl FnMut(&mut Lines, &T) -> anyhow::Result<()>,
) -> anyhow::Result<Lines> {
    let mut lines = Lines::default();
    lines.line(header);
    rows.iter().try_for_each(|value| row(&mut lines, value))?;
    Ok(lines)
}

fn first_letter(word: &str) -> String {
    word.chars().take(1).flat_map(char::to_uppercase).collect()
}
