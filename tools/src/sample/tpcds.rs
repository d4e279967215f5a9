//! Numbers that look like trade: which items sell, in which quantities, at which discount, what lies in the
//! warehouses, and what somebody forgot to fill in. Random numbers drawn by ourselves would have none of
//! the skew and of the blanks; so they are drawn from the last week of TPC-DS at scale 1. Names and texts
//! are not: those of TPC-DS are made of random words.

use std::collections::{BTreeMap, HashMap};

use anyhow::Context;
use tpcdsgen::config::{Session, Table};
use tpcdsgen::row::{InventoryRowGenerator, ItemRowGenerator, StoreSalesRowGenerator};

/// 2003-01-02 as a Julian day: the last on which a store sells, at any scale.
const LAST_DAY: i64 = 2_452_642;
const DAYS: i64 = 7;

/// What the last week says of one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ItemWeek {
    /// In cents; `None` where TPC-DS left it blank.
    pub(super) list_cents: Option<i64>,
    pub(super) sales: Vec<Sale>,
    /// By warehouse, from 0; `None` where the count is blank.
    pub(super) on_hand: BTreeMap<usize, Option<i64>>,
}

/// One line of a till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sale {
    /// 0 is the last day.
    pub(super) days_ago: i64,
    pub(super) customer: u64,
    pub(super) quantity: i64,
    pub(super) list_cents: i64,
    pub(super) paid_cents: i64,
}

/// Every item that sold in the last week, the most popular first.
pub(super) fn last_week() -> anyhow::Result<Vec<ItemWeek>> {
    let session = Session::default();
    let mut items = sales(&session).context("read store_sales")?;
    add_inventory(&session, &mut items).context("read inventory")?;
    add_list_prices(&session, &mut items).context("read item")?;
    let mut items: Vec<(u64, ItemWeek)> = items.into_iter().collect();
    items.sort_by_key(|(key, week)| (std::cmp::Reverse(week.sales.len()), *key));
    Ok(items.into_iter().map(|(_, week)| week).collect())
}

fn sales(session: &Session) -> anyhow::Result<HashMap<u64, ItemWeek>> {
    let mut items: HashMap<u64, ItemWeek> = HashMap::new();
    let rows = session.get_scaling().get_row_count(Table::StoreSales);
    for row in StoreSalesRowGenerator::new(session.clone(), rows) {
        let days_ago = LAST_DAY - row.get_ss_sold_date_sk();
        if !(0..DAYS).contains(&days_ago) {
            continue;
        }
        // The text has the blanks; the getters have what would stand there.
        let text = row.to_string();
        let column: Vec<&str> = text.split('|').collect();
        let (Some(item), Some(customer)) = (number(&column, 2)?, number(&column, 3)?) else { continue };
        let week = items.entry(item.unsigned_abs()).or_default();
        let (Some(quantity), Some(list_cents), Some(paid_cents)) =
            (number(&column, 10)?, cents(&column, 12)?, cents(&column, 13)?)
        else {
            continue;
        };
        week.sales.push(Sale {
            days_ago,
            customer: customer.unsigned_abs(),
            quantity,
            list_cents,
            paid_cents,
        });
    }
    Ok(items)
}

fn add_inventory(session: &Session, items: &mut HashMap<u64, ItemWeek>) -> anyhow::Result<()> {
    let scaling = session.get_scaling();
    let rows = scaling.get_row_count(Table::Inventory);
    let week = scaling.get_id_count(Table::Item) * scaling.get_row_count(Table::Warehouse);
    let mut generator = InventoryRowGenerator::new(session.clone(), rows);
    generator.skip_rows_until_starting_row_number(rows - week + 1);
    for row in generator {
        let text = row.to_string();
        let column: Vec<&str> = text.split('|').collect();
        let (Some(item), Some(warehouse)) = (number(&column, 1)?, number(&column, 2)?) else { continue };
        if let Some(week) = items.get_mut(&item.unsigned_abs()) {
            let warehouse = usize::try_from(warehouse - 1).context("warehouses count from 1")?;
            week.on_hand.insert(warehouse, number(&column, 3)?);
        }
    }
    Ok(())
}

fn add_list_prices(session: &Session, items: &mut HashMap<u64, ItemWeek>) -> anyhow::Result<()> {
    let rows = session.get_scaling().get_row_count(Table::Item);
    for row in ItemRowGenerator::new(session.clone(), rows) {
        let Some(week) = items.get_mut(&row.get_i_item_sk().unsigned_abs()) else { continue };
        let text = row.to_string();
        week.list_cents = cents(&text.split('|').collect::<Vec<_>>(), 5)?;
    }
    Ok(())
}

/// A column of the DAT text; `None` where it is blank.
fn number(column: &[&str], at: usize) -> anyhow::Result<Option<i64>> {
    let text = column.get(at).with_context(|| format!("column {at} is missing"))?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).with_context(|| format!("column {at} is {text:?}"))
}

/// The same of an amount with two digits after the point.
fn cents(column: &[&str], at: usize) -> anyhow::Result<Option<i64>> {
    let text = column.get(at).with_context(|| format!("column {at} is missing"))?;
    if text.is_empty() {
        return Ok(None);
    }
    let decimal =
        pannier_protocol::Decimal::parse(text).with_context(|| format!("column {at} is {text:?}"))?;
    Ok(Some(decimal.micros() / 10_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_week_is_skewed_and_has_blanks() {
        let items = last_week().unwrap();
        assert!(items.len() > 5_000, "{}", items.len());
        assert!(items[0].sales.len() > 2 * items[items.len() / 2].sales.len());
        assert!(items.iter().any(|week| week.list_cents.is_none()));
        assert!(items.iter().any(|week| week.on_hand.values().any(Option::is_none)));
        assert!(items.iter().all(|week| week.on_hand.len() <= 5));
    }
}
