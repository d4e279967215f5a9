//! What the generated distributor's prices are, for peers that are to calculate them as well: the rows as a shop would
//! put them into a store of its own, without dates, units and sources.

use pannier_protocol::Change;
use pannier_protocol::change::Prices;

use crate::generate::Shape;

/// Of one item in one scope: hundredths from so many pieces on, or hundredths of a percent off the list.
pub(super) struct Priced {
    pub(super) item: String,
    pub(super) ladder: Vec<(i64, i64)>,
}

/// The rows in force this year of a change of prices; none of any other.
fn of(change: Change) -> Vec<Priced> {
    let Change::Prices(Prices { from, rows, .. }) = change else { return Vec::new() };
    // Those that follow begin next year.
    if from.is_some_and(|edge| edge.date.to_string().as_str() >= "2027") {
        return Vec::new();
    }
    let whole = |micros: i64| micros / 1_000_000;
    let rows = rows.into_iter().filter_map(|row| {
        let ladder = row.breaks.iter().map(|step| (whole(step.0.micros()), step.1.micros() / 10_000));
        Some(Priced { item: row.key.item?.to_string(), ladder: ladder.collect() })
    });
    rows.collect()
}

pub(super) fn contract(shape: &Shape, account: u64) -> Vec<Priced> {
    shape.contract(account).flat_map(of).collect()
}

pub(super) fn list(shape: &Shape) -> impl Iterator<Item = Priced> {
    shape.list().flat_map(of)
}

/// By number of the group.
pub(super) fn groups(shape: &Shape) -> impl Iterator<Item = (String, Vec<Priced>)> {
    shape.groups().filter_map(|change| {
        let Change::Prices(prices) = &change else { return None };
        let pannier_protocol::change::PriceScope::Group(group) = &prices.scope else { return None };
        Some((group.to_string(), of(change)))
    })
}

/// What is on the shelf of each warehouse.
pub(super) fn shelves(shape: &Shape, item: u64) -> Vec<(String, i64)> {
    let cells = shape.cells(item).filter_map(|change| {
        let Change::StockSet(set) = change else { return None };
        Some((set.warehouse.to_string(), set.on_hand.micros() / 1_000_000))
    });
    cells.collect()
}

/// The group of an account.
pub(super) fn group(shape: &Shape, account: u64) -> Option<String> {
    let Change::Account(account) = shape.account(account) else { return None };
    account.groups.first().map(ToString::to_string)
}
